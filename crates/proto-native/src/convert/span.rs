//! Times that a request names.

use mainspring_core::{ErrorKind, Timestamp};
use mainspring_http::ApiError;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) fn wrong(what: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::InvalidInput, what.into())
}

fn instant(field: &str, text: &str) -> Result<Timestamp, ApiError> {
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|e| wrong(format!("{field} {text:?} is no time: {e}")).hint("write it as 2026-11-25T08:00:00Z"))?;
    Ok(Timestamp(i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)))
}

/// The time that is meant by `from`, `until` and how many seconds it is long: `seconds` before `now` where all are left out.
pub(crate) fn span(
    (from, until, last): (Option<&str>, Option<&str>, Option<u64>),
    (now, seconds): (Timestamp, u64),
) -> Result<(Timestamp, Timestamp), ApiError> {
    let until = until.map(|text| instant("until", text)).transpose()?.unwrap_or(now);
    let from = match (from, last) {
        (Some(_), Some(_)) => return Err(wrong("give from, or how long the time is, not both")),
        (Some(text), None) => instant("from", text)?,
        (None, Some(0)) => return Err(wrong("the last 0 seconds are no time; it must be at least 1")),
        (None, last) => {
            let micros = i64::try_from(last.unwrap_or(seconds)).unwrap_or(i64::MAX).saturating_mul(1_000_000);
            until.plus_micros(-micros)
        }
    };
    if from >= until {
        return Err(wrong("from must be before until"));
    }
    Ok((from, until))
}

//! Ends of ranges: numbers, and dates and times.

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::temporal_conversions::timestamp_us_to_datetime;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An end of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct End {
    /// The number; of a date or a time microseconds since 1970.
    pub at: f64,
    /// Whether it is a date or a time.
    pub is_time: bool,
}

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let time = value.as_str().and_then(moment).map(|at| Self { at, is_time: true });
        time.or_else(|| value.as_f64().map(|at| Self { at, is_time: false })).ok_or_else(|| {
            let expected = "a number, a date (2026-01-31) or a time (2026-01-31T09:26:56Z)";
            serde::de::Error::custom(format!("{value} is no end of a range; it must be {expected}"))
        })
    }
}

/// A date or a time of ISO 8601 from 1678 to 2261, in UTC where it does not say otherwise, as microseconds since 1970.
pub(super) fn moment(text: &str) -> Option<f64> {
    // Whole microseconds of these years are exact in 64 bits.
    string_to_timestamp_nanos(text).ok().map(|nanos| nanos.div_euclid(1_000) as f64)
}

/// It in words: a day where it is the beginning of one.
pub(super) fn shown(at: f64) -> String {
    let said = timestamp_us_to_datetime(at as i64).map(|time| time.to_string()).unwrap_or_default();
    said.strip_suffix(" 00:00:00").map_or_else(|| format!("{said} UTC"), str::to_owned)
}

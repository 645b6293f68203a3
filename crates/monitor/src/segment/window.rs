//! What the rows of a segment looked like: they are read one by one, since what is kept of each minute is of all rows.

use super::{Segment, SegmentError};
use mainspring_core::{Authorized, ErrorKind, Failure, Name, Timestamp};
use mainspring_journal::Tile;
use mainspring_query::{Query, QueryError, QueryJournal, identifier, literal};

/// Rows that are read at most, the newest.
const MOST_ROWS: u64 = 1_000_000;
/// Values of one part, about.
const VALUES: usize = 2_000_000;
/// How long the first part is, and the shortest, microseconds.
const FIRST: i64 = 3_600_000_000;
const SHORTEST: i64 = 1_000_000;

pub(super) const COLUMNS: &str =
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'predictions'";

/// Which rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Whose.
    pub deployment: Name,
    /// From here on.
    pub from: Timestamp,
    /// And before then.
    pub until: Timestamp,
    /// Of this variant.
    pub variant: Option<String>,
    /// Of this version.
    pub version: Option<String>,
    /// Of this segment.
    pub segment: Segment,
    /// Of all others instead.
    pub others: bool,
}

/// What they looked like.
#[derive(Debug, Clone)]
pub struct Window {
    /// From here on: later than was asked for where there were too many rows.
    pub since: Timestamp,
    /// Rows that were read.
    pub rows: u64,
    /// Their columns. Requests are not counted.
    pub tile: Tile,
}

/// Why it cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// The journal could not be asked.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Rows cannot be told apart so.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The rows that were read cannot be put together.
    #[error("the rows of the journal cannot be put together: {0}")]
    Rows(String),
}

impl Failure for WindowError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Query(e) => e.kind(),
            Self::Segment(e) => e.kind(),
            Self::Rows(_) => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Query(e) => e.hint(),
            Self::Segment(e) => e.hint(),
            Self::Rows(_) => None,
        }
    }
}

impl Wanted {
    /// What holds of each of the rows, whether they were kept or not and of whichever segment: `prefix` stands before columns.
    pub(super) fn scope(&self, prefix: &str) -> String {
        let mut all =
            format!("{prefix}deployment = {} AND {prefix}shadow_of IS NULL", literal(self.deployment.as_str()));
        for (column, value) in [("variant", &self.variant), ("version", &self.version)] {
            if let Some(value) = value {
                all.push_str(&format!(" AND {prefix}{column} = {}", literal(value)));
            }
        }
        all
    }

    /// What holds of each of the rows. A row without a value is of the others.
    pub(super) fn condition(&self, known: &[(&str, &str)], prefix: &str) -> Result<String, SegmentError> {
        let kept = format!("{} AND {prefix}payload = 'kept'", self.scope(prefix));
        if self.segment.is_all() {
            return Ok(kept);
        }
        let segment = self.segment.condition(self.deployment.as_str(), known, prefix)?;
        let is = if self.others { "IS NOT TRUE" } else { "IS TRUE" };
        Ok(format!("{kept} AND ({segment}) {is}"))
    }

    /// Which deployment, from when on, and until when.
    pub(super) fn of(&self) -> (&str, Timestamp, Timestamp) {
        (self.deployment.as_str(), self.from, self.until)
    }
}

/// Reads the rows of a segment, the newest first: all of the time that is asked for, or the newest million.
///
/// # Errors
/// [`WindowError`].
pub async fn window(query: &Query, auth: &Authorized<QueryJournal>, wanted: &Wanted) -> Result<Window, WindowError> {
    let query = query.of_deployment(wanted.deployment.as_str()).since(wanted.from).reaching(VALUES);
    let known = query.sql(auth, COLUMNS).await?.values();
    let known: Vec<(&str, &str)> =
        known.iter().filter_map(|row| Some((row.first()?.as_str()?, row.get(1)?.as_str()?))).collect();
    let condition = wanted.condition(&known, "")?;
    let is_payload = |name: &&str| name.starts_with("in.") || name.starts_with("out.");
    let payload: Vec<String> = known.iter().map(|(name, _)| *name).filter(is_payload).map(identifier).collect();
    let most = (VALUES / payload.len().max(1)).max(1_000);
    let columns = std::iter::once("payload".to_owned()).chain(payload).collect::<Vec<_>>().join(", ");
    let mut seen = Window { since: wanted.until, rows: 0, tile: Tile::default() };
    let mut step = FIRST;
    while seen.since > wanted.from && seen.rows < MOST_ROWS {
        let from = seen.since.plus_micros(-step).max(wanted.from);
        let sql = format!(
            "SELECT {columns} FROM predictions WHERE {condition} AND at >= {} AND at < {}",
            instant(from),
            instant(seen.since)
        );
        let part = query.sql_limited(auth, &sql, most).await?;
        if part.truncated() && step > SHORTEST {
            step = (step / 4).max(SHORTEST);
            continue;
        }
        for batch in part.batches() {
            seen.tile.absorb_columns(batch);
        }
        seen.rows += part.rows() as u64;
        seen.since = from;
        if part.truncated() {
            break;
        }
        if part.rows() < most / 4 {
            step = step.saturating_mul(4);
        }
    }
    Ok(seen)
}

pub(super) fn instant(at: Timestamp) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.micros())
}

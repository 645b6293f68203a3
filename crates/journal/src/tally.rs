//! How many events were taken and never written: counted while they are, for the process that comes after a `kill -9`.
//!
//! Each shard of the queue says how many events it was handed, the writer how many of those it has written, whole or as counts
//! of a gap. What a process leaves between the two is what died with it.

use crate::snapshot::Kind;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use mainspring_process::tally::{COUNTS, Tally};
use std::path::Path;
use std::sync::Arc;

/// The file, in the journal's folder.
const FILE: &str = "tally";
/// Which count says what was written.
pub(crate) const WRITTEN: usize = 0;
/// The first of those that say what each shard was handed.
pub(crate) const HANDED: usize = 1;

/// Begins to count in a folder. With what the process before this one lost; `None` where that is not known.
pub(crate) fn open(dir: &Path) -> (Option<Arc<Tally>>, Option<u64>) {
    match Tally::open(&dir.join(FILE)) {
        Ok(Some((tally, before))) => (Some(Arc::new(tally)), before.map(|counts| lost(&counts))),
        Ok(None) => (None, None),
        Err(error) => {
            tracing::warn!(%error, dir = %dir.display(), "what a kill -9 would lose is not counted");
            (None, None)
        }
    }
}

fn lost(counts: &[u64; COUNTS]) -> u64 {
    let handed = counts[HANDED..].iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
    handed.saturating_sub(counts[WRITTEN])
}

/// Predictions that a batch stands for: those of its rows, or those that a gap counts.
pub(crate) fn events(kind: Kind, batch: &RecordBatch) -> u64 {
    match kind {
        Kind::Prediction => {
            let rows = batch.column_by_name("row").and_then(|c| c.as_primitive_opt::<Int32Type>());
            rows.map_or(0, |rows| rows.values().iter().filter(|row| **row == 0).count() as u64)
        }
        Kind::Gap => {
            let counted = batch.column_by_name("events").and_then(|c| c.as_primitive_opt::<Int64Type>());
            counted.map_or(0, |n| n.values().iter().filter_map(|n| u64::try_from(*n).ok()).sum())
        }
        Kind::Feedback | Kind::Decision => 0,
    }
}

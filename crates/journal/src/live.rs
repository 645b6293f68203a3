//! What subscribers hear: the rows of the last tenth of a second.

use crate::log::StreamHeader;
use arrow::array::RecordBatch;
use std::sync::Arc;

/// Everything that was journaled since the last one. A subscriber that falls behind is told how many
/// it missed (`RecvError::Lagged`); the log and the tiles still have them.
#[derive(Debug, Clone)]
pub struct MicroBatch {
    /// Batches by stream.
    pub slices: Vec<Slice>,
}

/// Rows of one stream.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Whose, of which kind and deployment.
    pub header: Arc<StreamHeader>,
    /// The rows; the columns are those of [`layout`](crate::layout).
    pub batch: RecordBatch,
}

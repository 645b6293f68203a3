//! The event log: append, recover, seal to Parquet, follow live, keep tiles.
//!
//! ```text
//! append ─▶ queue (bounded, a shard per core) ─▶ writer thread ─▶ typed Arrow batches
//!                                                  │   │  └─▶ tiles (sketches per minute)
//!                                                  │   └────▶ live subscribers
//!                                                  └─▶ log segment (CRC-framed Arrow IPC, group fsync)
//!                                                        └─▶ sealer ─▶ Parquet in the artifact store
//! ```
//!
//! [`Journal::append`] never waits: when memory runs out the payload is dropped and counted, then the
//! event is counted without being stored. What [`Journal::append_durable`] acknowledged is on disk.
//! The formats are described in [`log`] (segments) and [`layout`] (columns).

pub mod error;
pub mod journal;
pub mod layout;
pub mod live;
pub mod log;
pub mod settings;
pub mod snapshot;
pub mod stats;
mod tally;
pub mod tiles;

mod batch;
mod decision;
mod fed;
mod feedback;
mod queue;
mod readers;
mod relay;
mod retention;
mod seal;
mod writer;

#[cfg(test)]
mod testing;

pub use error::JournalError;
pub use feedback::sql::migrations::MIGRATIONS;
pub use feedback::{Accepted, FeedbackReceipt, SendFeedback};
pub use journal::Journal;
pub use layout::arrow_type;
pub use live::{MicroBatch, Slice};
pub use log::recover::Recovery;
pub use readers::Reading;
pub use retention::{Retention, RetentionReport};
pub use settings::{JournalSettings, SyncMode};
pub use snapshot::{Kind, SealedFile, Snapshot};
pub use stats::{JournalStats, Spent};
pub use tiles::{Column, LiveWindow, Point, Quantiles, RequestTile, Tile, Tiles, Window};
pub use writer::OF_SHADOWS;

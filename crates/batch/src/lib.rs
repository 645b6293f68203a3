//! A model over a whole file: CSV, JSON lines, Arrow or Parquet, in a folder or in S3.
//!
//! The input is cut into shards, always the same ones for the same file. Threads take them in turn; each
//! turns columns into tensors, runs the model, joins its answers to the input's columns and writes one
//! part. A part that is whole is renamed into place and then noted in a manifest beside the output, so a
//! run that was killed goes on where it was, without a row lost or doubled. Parts become the output in
//! their order.
//!
//! Memory is bounded: a thread holds one shard's text or one row group of its part (at most
//! [`SHARD_ROWS`] rows and about [`SHARD_BYTES`] bytes), and the tensors of one call.

mod carry;
mod columns;
mod csv;
mod error;
mod format;
mod json;
mod manifest;
mod measure;
mod model;
mod outputs;
mod part;
mod place;
mod plan;
mod read;
mod run;
#[cfg(test)]
mod tests;
mod tolerate;
mod work;

pub use error::BatchError;
pub use format::Format;
pub use model::{LoadedModel, ModelId};
pub use place::Place;
pub use plan::{SHARD_BYTES, SHARD_ROWS};
pub use run::{Finished, Job, Progress, Report, run};
pub use tolerate::OnError;

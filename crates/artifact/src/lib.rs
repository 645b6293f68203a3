//! Artifacts: files by path, in a folder or in an S3 bucket, behind one interface.
//!
//! A path cannot leave the store ([`ArtifactPath`]). A file is there whole or not at all: an upload
//! that is cut short leaves nothing to see. On local disk a file is synced before the reply.

mod aws;
mod cache;
mod error;
mod local;
mod opened;
mod path;
mod remote;
mod store;

pub use aws::AwsSigner;
pub use bytes::Bytes;
pub use error::ArtifactError;
pub use futures::stream::BoxStream;
pub use opened::Opened;
pub use path::{ArtifactPath, PathError};
pub use store::{Artifacts, Entry};

#[cfg(test)]
mod tests;

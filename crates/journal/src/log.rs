//! The log: segment files of CRC-framed Arrow IPC.
//!
//! ```text
//! segment  = "MSJL" version:u32le frame*
//! frame    = length:u32le crc:u32le kind:u32le key:u32le body padding     (padding to 8 bytes)
//! kind 1   = a stream begins: header_length:u32le header(JSON) Arrow IPC schema message
//! kind 2   = rows of stream `key`: message_length:u32le 0:u32le Arrow IPC record batch message, padding
//!            to 8, record batch body
//! ```
//!
//! `length` counts the body; `crc` is CRC-32 (IEEE) over length, kind, key and body. `key` numbers the
//! streams of one segment; a stream is one tenant, kind, deployment and schema fingerprint. Reading
//! stops at the first frame that is not whole: what a killed process left behind it is cut off.
//! Segment files are called `<sequence>-<uuid>.log`; the uuid also names the Parquet files made from
//! it, so sealing a segment twice writes the same files again.

mod fits;
pub mod frame;
pub mod recover;
pub(crate) mod segment;

use mainspring_core::Tenant;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a stream of a segment holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamHeader {
    /// Whose.
    pub tenant: String,
    /// `prediction`, `feedback` or `gap`.
    pub kind: crate::snapshot::Kind,
    /// Which deployment; `None` when the rows do not say.
    pub deployment: Option<Arc<str>>,
    /// [`fingerprint`](crate::layout::fingerprint) of its columns.
    pub fingerprint: u64,
}

impl StreamHeader {
    /// Whether the stream belongs to `tenant`.
    pub fn is_of(&self, tenant: &Tenant) -> bool {
        self.tenant == tenant.as_str()
    }
}

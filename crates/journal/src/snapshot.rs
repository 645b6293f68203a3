//! What there is to read: sealed files and the rows that are not sealed yet.

use crate::error::JournalError;
use crate::journal::Journal;
use crate::log::frame::Rows;
use crate::log::recover::read_segment;
use crate::log::segment::SegmentId;
use crate::readers::Reading;
use crate::seal::store;
use mainspring_core::Tenant;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Kinds of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One line an answered row or failed request.
    Prediction,
    /// One line a piece of feedback.
    Feedback,
    /// One line for what is missing.
    Gap,
    /// One line a decision of a controller.
    Decision,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Prediction, Self::Feedback, Self::Gap, Self::Decision];

    /// The partition's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prediction => "prediction",
            Self::Feedback => "feedback",
            Self::Gap => "gap",
            Self::Decision => "decision",
        }
    }
}

/// A segment on disk.
#[derive(Debug, Clone)]
pub(crate) struct OpenSegment {
    pub id: SegmentId,
    pub path: PathBuf,
    /// Bytes of whole frames.
    pub len: u64,
    /// Its rows are in the artifact store; it waits to be deleted.
    pub sealed: bool,
}

/// A sealed Parquet file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFile {
    /// Where it can be read on this machine.
    pub path: PathBuf,
    /// Its deployment; `None` for rows that do not say.
    pub deployment: Option<String>,
    /// Its day, `2026-11-23`.
    pub date: String,
    /// Its size.
    pub bytes: u64,
}

/// Every row of one tenant and kind, each exactly once.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Rows not sealed yet, oldest first.
    pub live: Vec<Rows>,
    /// Sealed files.
    pub files: Vec<SealedFile>,
    /// Keeps the files where they are: hold it as long as they are read.
    pub reading: Reading,
}

impl Journal {
    /// Everything journaled so far of `tenant` and `kind`, what was appended before the call included.
    ///
    /// # Errors
    /// [`JournalError`] when the log or the artifact store cannot be read.
    pub async fn snapshot(&self, tenant: &Tenant, kind: Kind) -> Result<Snapshot, JournalError> {
        // A disk that takes no writes must not stop queries over what is there.
        match self.flush().await {
            Ok(()) | Err(JournalError::NotDurable { .. }) => {}
            Err(e) => return Err(e),
        }
        let reading = self.shared().readers.begin();
        let (open, live) = self.read_log(tenant, kind).await?;
        let mut files = store::list(self.shared(), &reading, tenant, kind).await?;
        // A segment being sealed right now is read from the log, not from the files made of it.
        files.retain(|f| !open.iter().any(|s| store::is_made_of(f, &s.id)));
        Ok(Snapshot { live, files, reading })
    }

    /// The open segments and their rows, as they stood at one moment.
    async fn read_log(&self, tenant: &Tenant, kind: Kind) -> Result<(Vec<OpenSegment>, Vec<Rows>), JournalError> {
        loop {
            let open: Vec<OpenSegment> = self.shared().segments.lock().iter().filter(|s| !s.sealed).cloned().collect();
            let (segments, of) = (open.clone(), tenant.clone());
            let read = tokio::task::spawn_blocking(move || read_open(&segments, &of, kind)).await;
            if let Some(live) = read.map_err(|_| JournalError::Closed)?? {
                return Ok((open, live));
            }
        }
    }
}

/// Rows of the open segments; `None` when one of them was sealed and removed meanwhile.
fn read_open(open: &[OpenSegment], tenant: &Tenant, kind: Kind) -> Result<Option<Vec<Rows>>, JournalError> {
    let mut live = Vec::new();
    for segment in open.iter().filter(|s| s.len > 0) {
        match read_segment(&segment.path, segment.len) {
            Ok(rows) => live.extend(rows.into_iter().filter(|r| r.header.kind == kind && r.header.is_of(tenant))),
            Err(JournalError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        }
    }
    Ok(Some(live))
}

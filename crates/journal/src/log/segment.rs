//! The segment being written.

use super::StreamHeader;
use super::frame::{MAGIC, push_rows, push_stream};
use crate::error::JournalError;
use arrow::array::RecordBatch;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use uuid::Uuid;

/// Name of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct SegmentId {
    pub sequence: u64,
    pub id: Uuid,
}

impl SegmentId {
    pub fn file_name(&self) -> String {
        format!("{:012}-{}.log", self.sequence, self.id)
    }

    pub fn parse(file_name: &str) -> Option<Self> {
        let (sequence, id) = file_name.strip_suffix(".log")?.split_once('-')?;
        Some(Self { sequence: sequence.parse().ok()?, id: Uuid::parse_str(id).ok()? })
    }
}

/// A segment open for appending. Frames gather in memory and go to the file in one write; a write
/// that fails is undone and tried again later.
#[derive(Debug)]
pub(crate) struct Segment {
    pub id: SegmentId,
    pub path: PathBuf,
    pub opened: Instant,
    file: Option<File>,
    /// Bytes of whole frames in the file.
    written: u64,
    /// Rows in the file and in `pending`.
    pub rows: u64,
    unsynced: bool,
    /// The file may go on behind `written`: a failed write could not be undone yet.
    torn: bool,
    pending: Vec<u8>,
    pending_rows: u64,
    streams: HashMap<StreamHeader, u32>,
}

impl Segment {
    /// A segment whose file is made with the first write.
    pub fn new(dir: &Path, id: SegmentId) -> Self {
        Self {
            id,
            path: dir.join(id.file_name()),
            opened: Instant::now(),
            file: None,
            written: 0,
            rows: 0,
            unsynced: false,
            torn: false,
            pending: MAGIC.to_vec(),
            pending_rows: 0,
            streams: HashMap::new(),
        }
    }

    fn create(path: &Path) -> std::io::Result<File> {
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        match path.parent().map_or(Ok(()), sync_dir) {
            Ok(()) => Ok(file),
            Err(e) => {
                let _already_failing = std::fs::remove_file(path);
                Err(e)
            }
        }
    }

    /// Puts rows into memory, to be written by [`Segment::write`].
    pub fn push(&mut self, header: &StreamHeader, batch: &RecordBatch) -> Result<(), JournalError> {
        let key = if let Some(key) = self.streams.get(header) {
            *key
        } else {
            let key = self.streams.len() as u32;
            push_stream(&mut self.pending, key, header, &batch.schema())
                .map_err(JournalError::arrow("encode a schema"))?;
            self.streams.insert(header.clone(), key);
            key
        };
        push_rows(&mut self.pending, key, batch).map_err(JournalError::arrow("encode a batch"))?;
        self.pending_rows += batch.num_rows() as u64;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Bytes in memory.
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Bytes in the file and in memory.
    pub fn len(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// Bytes of whole frames in the file, for readers.
    pub fn written(&self) -> u64 {
        self.written
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Hands what is in memory to the operating system. Returns bytes and rows written. After an
    /// error the file ends at the last whole frame and memory still holds the rest.
    pub fn write(&mut self) -> Result<(u64, u64), JournalError> {
        if self.pending.is_empty() {
            return Ok((0, 0));
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(Self::create(&self.path).map_err(JournalError::io("create", &self.path))?),
        };
        // Behind a torn frame nothing is ever read, so it goes before anything else is written.
        if self.torn {
            file.set_len(self.written).map_err(JournalError::io("cut back", &self.path))?;
            self.torn = false;
        }
        if let Err(e) = file.write_all(&self.pending) {
            self.torn = file.set_len(self.written).is_err();
            return Err(JournalError::io("append to", &self.path)(e));
        }
        let done = (self.pending.len() as u64, self.pending_rows);
        self.written += done.0;
        self.pending.clear();
        self.pending_rows = 0;
        self.unsynced = true;
        // A burst must not hold its buffer for ever.
        if self.pending.capacity() > 8 << 20 {
            self.pending = Vec::new();
        }
        Ok(done)
    }

    pub fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// Waits until the file is on disk.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        if let Some(file) = &self.file {
            file.sync_data().map_err(JournalError::io("sync", &self.path))?;
        }
        self.unsynced = false;
        Ok(())
    }
}

/// Makes the names in a folder survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

//! What a start finds of earlier processes.

use super::frame::FrameReader;
use super::segment::SegmentId;
use crate::error::JournalError;
use crate::log::frame::Rows;
use std::fs::{File, OpenOptions};
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// What recovery found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recovery {
    /// Segments found.
    pub segments: u64,
    /// Whole frames in them.
    pub frames: u64,
    /// Rows in them.
    pub rows: u64,
    /// Torn tails that were cut.
    pub cut: Vec<Cut>,
    /// Predictions that the process before this one had taken and not written when it was killed. `None` where that is not
    /// known: there was none, the machine was started since, or the folder is on a file system where it is not counted.
    pub lost: Option<u64>,
    /// Whether tiles were read from their snapshot; else they were rebuilt from what the log holds.
    pub tiles_restored: bool,
}

/// A torn tail that was cut.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Cut {
    /// The segment.
    pub segment: PathBuf,
    /// Length after the cut.
    pub kept: u64,
    /// Bytes cut off.
    pub bytes: u64,
    /// What was wrong with them.
    pub why: &'static str,
}

/// A segment found at the start.
pub(crate) struct Found {
    pub id: SegmentId,
    pub path: PathBuf,
    pub len: u64,
}

/// Finds segments, oldest first, cuts torn tails, and shows every row to `see`.
pub(crate) fn recover(
    dir: &Path,
    report: &mut Recovery,
    mut see: impl FnMut(&SegmentId, &Rows),
) -> Result<Vec<Found>, JournalError> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(JournalError::io("list", dir))? {
        let entry = entry.map_err(JournalError::io("list", dir))?;
        ids.extend(entry.file_name().to_str().and_then(SegmentId::parse));
    }
    ids.sort_unstable();
    let mut found = Vec::new();
    for id in ids {
        let path = dir.join(id.file_name());
        let file = File::open(&path).map_err(JournalError::io("open", &path))?;
        let size = file.metadata().map_err(JournalError::io("open", &path))?.len();
        let mut reader = FrameReader::new(BufReader::with_capacity(1 << 16, file));
        let mut rows = 0;
        while let Some(next) = reader.next_rows() {
            rows += next.batch.num_rows() as u64;
            see(&id, &next);
        }
        if let Some(why) = reader.torn() {
            cut(&path, reader.good())?;
            report.cut.push(Cut { segment: path.clone(), kept: reader.good(), bytes: size - reader.good(), why });
        }
        report.segments += 1;
        report.frames += reader.frames();
        report.rows += rows;
        found.push(Found { id, path, len: reader.good() });
    }
    Ok(found)
}

fn cut(path: &Path, len: u64) -> Result<(), JournalError> {
    let file = OpenOptions::new().write(true).open(path).map_err(JournalError::io("open", path))?;
    file.set_len(len).and_then(|()| file.sync_all()).map_err(JournalError::io("cut", path))
}

/// The rows of one segment up to `len` bytes, all of which were whole when they were written.
pub(crate) fn read_segment(path: &Path, len: u64) -> Result<Vec<Rows>, JournalError> {
    use std::io::Read;
    let file = File::open(path).map_err(JournalError::io("open", path))?;
    let mut reader = FrameReader::new(BufReader::with_capacity(1 << 16, file).take(len));
    let rows = std::iter::from_fn(|| reader.next_rows()).collect();
    match reader.torn() {
        Some(why) => Err(JournalError::Damaged { path: path.to_owned(), why: why.to_owned() }),
        None => Ok(rows),
    }
}

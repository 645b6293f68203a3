//! Columns of tiles that nobody adds to, in files of their own: so that memory holds the running minutes.
//!
//! A file is never changed. The snapshot of the tiles names those that count; what it does not name is removed by the
//! next start, since the log has its rows, or once a later snapshot is on disk.
//!
//! ```text
//! magic (8) | length of the index (4) | CRC-32 of the index (4) | index | columns
//! ```
//!
//! The index has each column's name, place, length and CRC-32; index and columns are postcard.

use super::Column;
use crate::error::JournalError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"MSJC\x01\0\0\0";
const HEAD: usize = 16;
/// Bytes of an index that are believed: those of a damaged file may say anything.
const MOST_INDEX: usize = 64 << 20;

/// Where a tile's columns are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parked {
    /// Counts the files of a folder.
    pub number: u64,
    /// Its size.
    pub bytes: u64,
}

/// A column in a file.
#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    /// From the end of the index.
    at: u64,
    len: u32,
    sum: u32,
}

impl Entry {
    fn end(&self) -> Option<u64> {
        self.at.checked_add(u64::from(self.len))
    }
}

/// The folder of the files below a journal's.
pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("tiles")
}

fn path(dir: &Path, number: u64) -> PathBuf {
    folder(dir).join(format!("{number:012}.columns"))
}

/// Writes columns to the file `number`, down to the disk.
pub(crate) fn write(dir: &Path, number: u64, columns: &BTreeMap<String, Column>) -> Result<Parked, JournalError> {
    let path = path(dir, number);
    let (mut body, mut index) = (Vec::new(), Vec::with_capacity(columns.len()));
    let damaged = |e: postcard::Error| JournalError::Damaged { path: path.clone(), why: e.to_string() };
    for (name, column) in columns {
        let at = body.len();
        body = postcard::to_extend(column, body).map_err(damaged)?;
        let (len, sum) = ((body.len() - at) as u32, crc32fast::hash(&body[at..]));
        index.push(Entry { name: name.clone(), at: at as u64, len, sum });
    }
    let index = postcard::to_stdvec(&index).map_err(damaged)?;
    let made = || {
        std::fs::create_dir_all(folder(dir))?;
        let mut file = File::create(&path)?;
        file.write_all(&MAGIC)?;
        file.write_all(&(index.len() as u32).to_le_bytes())?;
        file.write_all(&crc32fast::hash(&index).to_le_bytes())?;
        file.write_all(&index)?;
        file.write_all(&body)?;
        file.sync_data()
    };
    made().map_err(JournalError::io("write", &path))?;
    Ok(Parked { number, bytes: (HEAD + index.len() + body.len()) as u64 })
}

/// Reads all columns.
pub(crate) fn read(dir: &Path, parked: &Parked) -> Result<BTreeMap<String, Column>, JournalError> {
    Index::read(dir, parked)?.between(dir, None)
}

/// A file whose index is read.
pub(crate) struct Index {
    number: u64,
    /// By name.
    entries: Vec<Entry>,
    /// Where the columns begin.
    body: u64,
}

impl Index {
    /// Reads the index alone.
    pub(crate) fn read(dir: &Path, parked: &Parked) -> Result<Self, JournalError> {
        let path = path(dir, parked.number);
        let damaged = |why: &str| JournalError::Damaged { path: path.clone(), why: why.to_owned() };
        let mut file = File::open(&path).map_err(JournalError::io("open", &path))?;
        let mut part = |len: usize| {
            let mut bytes = vec![0; len];
            file.read_exact(&mut bytes).map(|()| bytes).map_err(JournalError::io("read", &path))
        };
        let head = part(HEAD)?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let len = number(8) as usize;
        if head[..8] != MAGIC || len > MOST_INDEX {
            return Err(damaged("it does not begin like columns of this version"));
        }
        let index = part(len)?;
        if crc32fast::hash(&index) != number(12) {
            return Err(damaged("the checksum of its index does not match"));
        }
        let entries: Vec<Entry> = postcard::from_bytes(&index).map_err(|e| damaged(&e.to_string()))?;
        if !entries.is_sorted_by(|a, b| a.name < b.name && a.end() == Some(b.at)) {
            return Err(damaged("its columns are not one behind the other"));
        }
        Ok(Self { number: parked.number, entries, body: (HEAD + len) as u64 })
    }

    /// The columns' names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// Reads the columns from the name `of.0` up to and with `of.1`, or all: they stand in one piece.
    pub(crate) fn between(
        &self,
        dir: &Path,
        of: Option<(&str, &str)>,
    ) -> Result<BTreeMap<String, Column>, JournalError> {
        let path = path(dir, self.number);
        let damaged = |why: &str| JournalError::Damaged { path: path.clone(), why: why.to_owned() };
        let range = match of {
            None => 0..self.entries.len(),
            Some((first, last)) => {
                let from = self.entries.partition_point(|entry| entry.name.as_str() < first);
                from..self.entries.partition_point(|entry| entry.name.as_str() <= last).max(from)
            }
        };
        let entries = &self.entries[range];
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(BTreeMap::new()) };
        let len = last.end().and_then(|end| usize::try_from(end - first.at).ok());
        let len = len.ok_or_else(|| damaged("its columns are longer than a file can be"))?;
        let mut file = File::open(&path).map_err(JournalError::io("open", &path))?;
        let mut bytes = Vec::new();
        // Room for what is there, not for what a damaged file may say.
        let read = || {
            file.seek(SeekFrom::Start(self.body + first.at))?;
            file.take(len as u64).read_to_end(&mut bytes)
        };
        read().map_err(JournalError::io("read", &path))?;
        if bytes.len() < len {
            return Err(damaged("it ends early"));
        }
        let mut columns = BTreeMap::new();
        for entry in entries {
            let at = (entry.at - first.at) as usize;
            let bytes = &bytes[at..at + entry.len as usize];
            if crc32fast::hash(bytes) != entry.sum {
                return Err(damaged(&format!("the checksum of {:?} does not match", entry.name)));
            }
            let column = postcard::from_bytes(bytes).map_err(|e| damaged(&e.to_string()))?;
            columns.insert(entry.name.clone(), column);
        }
        Ok(columns)
    }
}

/// Removes the files before `next` that `kept` does not have. What cannot be removed is tried again by the next start.
pub(crate) fn sweep(dir: &Path, next: u64, kept: &HashSet<u64>) {
    for (number, path) in numbered(dir) {
        if number < next && !kept.contains(&number) {
            let _next_start_tries_again = std::fs::remove_file(path);
        }
    }
}

/// The number that no file has yet.
pub(crate) fn next(dir: &Path) -> u64 {
    numbered(dir).map(|(number, _)| number + 1).max().unwrap_or(0)
}

fn numbered(dir: &Path) -> impl Iterator<Item = (u64, PathBuf)> {
    std::fs::read_dir(folder(dir)).into_iter().flatten().flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.strip_suffix(".columns")?.parse().ok()?;
        Some((number, entry.path()))
    })
}

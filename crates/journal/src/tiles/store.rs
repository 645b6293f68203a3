//! Tiles on disk: one file, replaced as a whole, that says which segments it covers and which files of columns count.

use super::series::Before;
use super::{Series, SeriesKey, Tiles, parked};
use crate::error::JournalError;
use crate::log::segment::{SegmentId, sync_dir};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"MSJT\x03\0\0\0";
/// Of the form before, in which all columns were in this file.
const BEFORE: [u8; 8] = *b"MSJT\x02\0\0\0";

#[derive(Serialize)]
struct Out<'a> {
    covered: &'a [SegmentId],
    series: Vec<(&'a SeriesKey, &'a Series)>,
}

#[derive(Deserialize)]
struct In<S> {
    covered: Vec<SegmentId>,
    series: Vec<(SeriesKey, S)>,
}

pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("tiles.bin")
}

/// All tiles at one moment.
pub(crate) struct TileSnapshot {
    /// Segments whose rows they have seen, all of each.
    pub covered: Vec<SegmentId>,
    /// Magic, CRC-32, then the tiles in postcard.
    bytes: Vec<u8>,
    /// Files of columns that it names, and the number of the first that is later than it.
    parked: HashSet<u64>,
    next: u64,
}

impl Tiles {
    /// The tiles now, when every row of the segments `covered` has been seen, and no other segment's.
    pub(crate) fn snapshot(&self, covered: &[SegmentId]) -> TileSnapshot {
        let all = self.0.series.lock();
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&[0; 4]);
        let body = Out { covered, series: all.iter().collect() };
        // Writing to a vector fails only for types that postcard cannot hold; there are none here,
        // and an empty snapshot would read as damaged, which recovery knows how to treat.
        let mut out = postcard::to_extend(&body, out).unwrap_or_default();
        if out.len() > 12 {
            let sum = crc32fast::hash(&out[12..]);
            out[8..12].copy_from_slice(&sum.to_le_bytes());
        }
        let parked = all.values().flat_map(Series::parked).map(|p| p.number).collect();
        TileSnapshot { covered: covered.to_vec(), bytes: out, parked, next: *self.0.next.lock() }
    }

    /// Reads the snapshot in `dir`. Returns the segments that it covers; `None` when there is none.
    pub(crate) fn restore(&self, dir: &Path) -> Result<Option<Vec<SegmentId>>, JournalError> {
        let path = path(dir);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(JournalError::io("read", &path)(e)),
        };
        let stored = decode(&bytes).map_err(|why| JournalError::Damaged { path, why })?;
        // What an earlier process parked and no snapshot names is counted again from the log.
        let kept = stored.series.iter().flat_map(|(_, s)| s.parked()).map(|p| p.number).collect();
        parked::sweep(dir, u64::MAX, &kept);
        *self.0.series.lock() = stored.series.into_iter().collect();
        Ok(Some(stored.covered))
    }
}

fn decode(bytes: &[u8]) -> Result<In<Series>, String> {
    let Some((head, body)) = bytes.split_at_checked(12) else { return Err("it is too short".into()) };
    if head[..8] != MAGIC && head[..8] != BEFORE {
        return Err("it does not begin like tiles of this version".into());
    }
    if head[8..] != crc32fast::hash(body).to_le_bytes() {
        return Err("its checksum does not match".into());
    }
    fn read<S: DeserializeOwned>(body: &[u8]) -> Result<In<S>, String> {
        postcard::from_bytes(body).map_err(|e| e.to_string())
    }
    if head[..8] == MAGIC {
        return read(body);
    }
    let In { covered, series } = read::<Before>(body)?;
    Ok(In { covered, series: series.into_iter().map(|(key, series)| (key, series.into())).collect() })
}

/// Replaces the snapshot on disk.
pub(crate) fn write(dir: &Path, snapshot: &TileSnapshot) -> Result<(), JournalError> {
    let path = path(dir);
    let temporary = dir.join("tiles.bin.new");
    let replace = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(&snapshot.bytes)?;
        file.sync_data()?;
        std::fs::rename(&temporary, &path)?;
        sync_dir(dir)
    };
    let folder = parked::folder(dir);
    if folder.exists() {
        sync_dir(&folder).map_err(JournalError::io("sync", &folder))?;
    }
    replace().map_err(JournalError::io("write", &path))?;
    parked::sweep(dir, snapshot.next, &snapshot.parked);
    Ok(())
}

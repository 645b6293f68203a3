//! Local copies of folders in a bucket, one for each state of their content.

use crate::error::{self, ArtifactError};
use crate::path::ArtifactPath;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use object_store::ObjectMeta;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use tokio::io::AsyncWriteExt;

/// Whole copies, by key.
const WHOLE: &str = "whole";
/// Copies that are not whole yet, or are being removed.
const PARTIAL: &str = "partial";
/// One small file for each copy; its time is when the copy was last asked for.
const USED: &str = "used";

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The cache in a folder. Processes may share it.
#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
    /// Who downloads what now: the others wait.
    busy: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl Cache {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), busy: Mutex::new(HashMap::new()) }
    }

    /// The key of a file that never changes under its name.
    pub(crate) fn key_of_file(location: &str, file: &ArtifactPath, size: u64) -> String {
        let mut hash = Sha256::new();
        for part in [location, file.as_str()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(size.to_be_bytes());
        hex::encode(hash.finalize())
    }

    /// The key of a folder's content: names, sizes and entity tags. A store without entity tags
    /// falls back on the times of change.
    pub(crate) fn key(location: &str, files: &[(String, ObjectMeta)]) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        for (below, meta) in files {
            add(below);
            add(&meta.size.to_string());
            match &meta.e_tag {
                Some(tag) => add(tag),
                None => {
                    // Times are only comparable within one bucket.
                    add(location);
                    add(&meta.last_modified.to_rfc3339());
                }
            }
        }
        hex::encode(hash.finalize())
    }

    /// The copy with this key. `fill` makes it when it is not there, once, however many ask.
    pub(crate) async fn folder<F>(&self, key: &str, fill: impl FnOnce(PathBuf) -> F) -> Result<PathBuf, ArtifactError>
    where
        F: Future<Output = Result<(), ArtifactError>>,
    {
        let turn = self.turn(key);
        let held = turn.lock().await;
        let whole = self.root.join(WHOLE).join(key);
        if !whole.is_dir() {
            let partial = Partial(self.root.join(PARTIAL).join(unique(key)));
            fs::create_dir_all(&partial.0).map_err(|e| cannot("making a folder in", &self.root, &e))?;
            fill(partial.0.clone()).await?;
            fs::create_dir_all(self.root.join(WHOLE)).map_err(|e| cannot("making a folder in", &self.root, &e))?;
            if let Err(e) = fs::rename(&partial.0, &whole)
                // Another process was faster, with the same content.
                && !whole.is_dir()
            {
                return Err(cannot("writing to", &self.root, &e));
            }
        }
        self.touch(key).map_err(|e| cannot("writing to", &self.root, &e))?;
        drop(held);
        Ok(whole)
    }

    fn turn(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut busy = self.busy.lock();
        busy.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = busy.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        busy.insert(key.to_owned(), Arc::downgrade(&turn));
        turn
    }

    fn touch(&self, key: &str) -> io::Result<()> {
        let folder = self.root.join(USED);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(key), b".")
    }

    /// Removes copies, those asked for longest ago first and none asked for within `idle`, until at most
    /// `max_bytes` are left.
    pub(crate) async fn evict(&self, max_bytes: u64, idle: Duration) -> Result<u64, ArtifactError> {
        let root = self.root.clone();
        let done = tokio::task::spawn_blocking(move || evict(&root, max_bytes, idle)).await;
        done.unwrap_or_else(|e| Err(io::Error::other(e))).map_err(|e| cannot("cleaning", &self.root, &e))
    }
}

fn evict(root: &Path, max_bytes: u64, idle: Duration) -> io::Result<u64> {
    let whole = root.join(WHOLE);
    if !whole.is_dir() {
        return Ok(0);
    }
    let mut copies: Vec<(SystemTime, u64, String)> = Vec::new();
    for entry in fs::read_dir(&whole)? {
        let entry = entry?;
        let key = entry.file_name().to_string_lossy().into_owned();
        let used = fs::metadata(root.join(USED).join(&key)).and_then(|m| m.modified());
        copies.push((used.unwrap_or(SystemTime::UNIX_EPOCH), bytes_in(&entry.path())?, key));
    }
    copies.sort();
    let mut left: u64 = copies.iter().map(|c| c.1).sum();
    let mut freed = 0;
    for (used, size, key) in copies {
        // Marks are made by the file system's clock, which need not be ours to the second.
        let in_use = !idle.is_zero() && used.elapsed().map_or(true, |since| since < idle);
        if left <= max_bytes || in_use {
            break;
        }
        // Renamed first, so that nobody finds half of it.
        let away = Partial(root.join(PARTIAL).join(unique(&key)));
        fs::create_dir_all(root.join(PARTIAL))?;
        fs::rename(whole.join(&key), &away.0)?;
        fs::remove_dir_all(&away.0)?;
        let _ = fs::remove_file(root.join(USED).join(&key));
        left -= size;
        freed += size;
    }
    Ok(freed)
}

fn bytes_in(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() { bytes_in(&entry.path())? } else { meta.len() };
    }
    Ok(sum)
}

fn unique(key: &str) -> String {
    format!("{key}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn cannot(what: &'static str, path: &Path, e: &io::Error) -> ArtifactError {
    error::local(what, &path.display().to_string(), e)
}

/// A folder that is removed unless it was renamed away.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Usually gone already.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes the pieces of a file into a new file of a cached copy.
pub(crate) async fn write(
    target: &Path,
    pieces: impl Stream<Item = Result<Bytes, ArtifactError>>,
) -> Result<(), ArtifactError> {
    let fail = |e: io::Error| cannot("writing to", target, &e);
    if let Some(folder) = target.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(fail)?;
    }
    let mut file = tokio::fs::File::create(target).await.map_err(fail)?;
    let mut pieces = pin!(pieces);
    while let Some(piece) = pieces.next().await {
        file.write_all(&piece?).await.map_err(fail)?;
    }
    file.flush().await.map_err(fail)
}

//! How long environments are kept: those that open models run in always, others while they were used not long
//! ago and all together are not too large.

use super::Environments;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(86_400);
/// What is kept.
pub(super) const LIMITS: Limits = Limits { unused: Duration::from_secs(30 * 86_400), bytes: 20 << 30, safe: DAY };
/// A file of an environment that is touched when it is used.
const USED: &str = "mainspring-used";
/// A file of an environment with its size, bytes.
const SIZE: &str = "mainspring-bytes";

/// What is kept of environments that no open model runs in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Since its last use.
    pub unused: Duration,
    /// All together; those that were not used for the longest time go first.
    pub bytes: u64,
    /// An environment that was used since then stays: another process may start a model in it.
    pub safe: Duration,
}

/// How many open models run in each environment.
pub(super) type Holders = Arc<Mutex<HashMap<PathBuf, usize>>>;

/// Keeps an environment while it is there.
#[derive(Debug)]
pub(crate) struct Held {
    environment: PathBuf,
    holders: Holders,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut holders = self.holders.lock();
        if let Some(count) = holders.get_mut(&self.environment) {
            *count -= 1;
            if *count == 0 {
                holders.remove(&self.environment);
            }
        }
        used(&self.environment);
    }
}

struct Kept {
    path: PathBuf,
    idle: Duration,
    bytes: u64,
}

impl Environments {
    /// Keeps the environment that `interpreter` is of; an interpreter of none is nothing to keep.
    pub fn hold(&self, interpreter: &Path) -> Option<Held> {
        let environment = interpreter.parent()?.parent()?.to_owned();
        if environment.parent() != Some(&self.folder) {
            return None;
        }
        *self.held.lock().entry(environment.clone()).or_default() += 1;
        Some(Held { environment, holders: Arc::clone(&self.held) })
    }

    /// Takes away what is not to be kept.
    pub(super) fn sweep(&self, limits: Limits) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        let mut kept: Vec<Kept> = entries.flatten().filter_map(|entry| self.idle(&entry.path())).collect();
        kept.sort_by_key(|k| k.idle);
        let mut total = 0_u64;
        for Kept { path, idle, bytes } in kept {
            total = total.saturating_add(bytes);
            if idle <= limits.unused && (total <= limits.bytes || idle <= limits.safe) {
                continue;
            }
            total = total.saturating_sub(bytes);
            match std::fs::remove_dir_all(&path) {
                Ok(()) => {
                    tracing::info!(environment = %path.display(), bytes, idle_days = idle.as_secs() / 86_400, "an unused environment was removed")
                }
                Err(error) => {
                    tracing::warn!(%error, environment = %path.display(), "cannot remove an unused environment")
                }
            }
            // Its lock is of no use without it.
            let lock = path.with_extension("lock");
            if let Err(error) = std::fs::remove_file(&lock) {
                tracing::debug!(%error, path = %lock.display(), "no lock of a removed environment");
            }
        }
    }

    /// An environment that no open model runs in.
    fn idle(&self, path: &Path) -> Option<Kept> {
        // Neither a lock nor one that is being built.
        if path.extension().is_some() || !path.is_dir() || self.held.lock().contains_key(path) {
            return None;
        }
        let marked = std::fs::metadata(path.join(USED)).or_else(|_| std::fs::metadata(path));
        let since = marked.and_then(|m| m.modified()).ok()?;
        let bytes = std::fs::read_to_string(path.join(SIZE)).ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0);
        Some(Kept { path: path.to_owned(), idle: since.elapsed().unwrap_or_default(), bytes })
    }
}

/// Notes that an environment is used now.
pub(super) fn used(environment: &Path) {
    let touched = std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(environment.join(USED))
        .and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = touched {
        tracing::debug!(%error, environment = %environment.display(), "cannot note that an environment is used");
    }
}

/// Notes how large an environment is.
pub(super) fn weigh(environment: &Path) {
    if let Err(error) = std::fs::write(environment.join(SIZE), size(environment).to_string()) {
        tracing::debug!(%error, environment = %environment.display(), "cannot note the size of an environment");
    }
}

fn size(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

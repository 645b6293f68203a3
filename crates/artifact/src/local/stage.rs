//! Uploads before they are whole: a file in the staging folder, which is synced and renamed into
//! its place, or removed.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Numbers the staged files of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// How old a staged file must be before opening the store removes it. Another process may use the
/// same folder, so a younger one may still be growing.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 3600);

/// A file that is not in its place yet. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Staged {
    path: PathBuf,
    placed: bool,
}

impl Staged {
    /// A new, empty file in the folder `staging`, which is made when it is missing; the folder above
    /// it must be there.
    pub(super) fn create(staging: &Path) -> io::Result<(Self, File)> {
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = staging.join(format!("{}-{number}", std::process::id()));
            match File::options().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((Self { path, placed: false }, file)),
                // Left by an earlier process with the same number, or made by one on another
                // machine that shares the folder.
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) if e.kind() == ErrorKind::NotFound => match fs::create_dir(staging) {
                    Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
                    _ => {}
                },
                Err(e) => return Err(e),
            }
        }
    }

    /// Syncs the file, renames it to `target`, and syncs the folder that holds it now. `folder`
    /// makes that folder; a delete may remove an empty one in between, so it is tried again.
    pub(super) fn place(mut self, file: &File, target: &Path, folder: impl Fn() -> io::Result<()>) -> io::Result<()> {
        file.sync_all()?;
        let mut tries = 0;
        loop {
            match fs::rename(&self.path, target) {
                Ok(()) => break,
                Err(e) if e.kind() == ErrorKind::NotFound && tries < 8 => {
                    folder()?;
                    tries += 1;
                }
                Err(e) => return Err(e),
            }
        }
        self.placed = true;
        target.parent().map_or(Ok(()), sync_dir)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.placed {
            // What cannot be removed now is removed by a later start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Removes what uploads of dead processes left.
pub(super) fn sweep(staging: &Path) -> io::Result<()> {
    // A file made now tells the time by the same clock as the others' times.
    let (probe, file) = Staged::create(staging)?;
    let now = file.metadata()?.modified()?;
    drop(probe);
    for entry in fs::read_dir(staging)? {
        let entry = entry?;
        let Ok(modified) = entry.metadata().and_then(|m| m.modified()) else { continue };
        if now.duration_since(modified).is_ok_and(|age| age > LEFT_BEHIND) {
            tracing::info!(file = %entry.path().display(), "removing an upload that was never finished");
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

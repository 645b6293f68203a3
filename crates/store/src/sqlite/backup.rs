//! A consistent copy while the database is in use.

use super::open::connect;
use crate::error::StoreError;
use rusqlite::backup::StepResult;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Copies the database at `from`, called `name`.
pub(crate) async fn backup(from: &Path, name: String, to: &Path) -> Result<(), StoreError> {
    let (from, to, name) = (from.to_owned(), to.to_owned(), Arc::from(name));
    let work = move || copy(&from, &to, &name);
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Panicked))
}

/// Copies into a file beside `to`, syncs it and gives it its name, so that a backup that was cut
/// short is never taken for a whole one.
fn copy(from: &Path, to: &Path, name: &Arc<str>) -> Result<(), StoreError> {
    let fail = |reason: String| StoreError::Backup { path: to.display().to_string(), reason };
    if to.exists() {
        return Err(fail("the file exists already".to_owned()));
    }
    let part = partial(to);
    let done = copy_into(from, &part, name).and_then(|()| {
        std::fs::File::open(&part).and_then(|f| f.sync_all()).map_err(|e| e.to_string())?;
        std::fs::rename(&part, to).map_err(|e| e.to_string())?;
        let folder = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder).and_then(|f| f.sync_all()).map_err(|e| e.to_string())
    });
    if done.is_err() {
        // It may not even exist; the error that matters is the one at hand.
        let _ = std::fs::remove_file(&part);
    }
    done.map_err(fail)
}

fn partial(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    to.with_file_name(name)
}

fn copy_into(from: &Path, part: &Path, name: &Arc<str>) -> Result<(), String> {
    let source = connect(from, name, Duration::from_secs(5)).map_err(|e| e.to_string())?;
    if part.exists() {
        std::fs::remove_file(part).map_err(|e| e.to_string())?;
    }
    super::open::create_private(part).map_err(|e| e.to_string())?;
    let mut target = rusqlite::Connection::open(part).map_err(|e| e.to_string())?;
    {
        let backup = rusqlite::backup::Backup::new(&source.raw, &mut target).map_err(|e| e.to_string())?;
        // All pages in one step: a read snapshot of a WAL database blocks no writer, and a copy in
        // several steps starts over at each write in between.
        match backup.step(-1).map_err(|e| e.to_string())? {
            StepResult::Done => {}
            other => return Err(format!("the database could not be read: {other:?}")),
        }
    }
    // The copy is one plain file, without a log beside it.
    target.pragma_update(None, "journal_mode", "DELETE").map_err(|e| e.to_string())?;
    target.close().map_err(|(_, e)| e.to_string())
}

//! Reading from the folder.

use super::Local;
use crate::error::{self, ArtifactError};
use crate::opened::Opened;
use crate::path::{ArtifactPath, STAGING};
use crate::store::Entry;
use bytes::Bytes;
use std::fs;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

impl Local {
    /// Opens a file for reading, with what is known about it.
    fn file(&self, path: &ArtifactPath) -> Result<(fs::File, fs::Metadata), ArtifactError> {
        let fail = |e: io::Error| missing(path, error::local("reading", path.as_str(), &e));
        let full = self.existing(path).map_err(|e| missing(path, e))?;
        let file = fs::File::open(full).map_err(fail)?;
        let meta = file.metadata().map_err(fail)?;
        if !meta.is_file() {
            return Err(ArtifactError::NotFound { path: path.as_str().to_owned() });
        }
        Ok((file, meta))
    }

    pub(crate) async fn get(&self, path: &ArtifactPath) -> Result<Bytes, ArtifactError> {
        self.blocking(path, |store, path| {
            let (mut file, meta) = store.file(path)?;
            let mut bytes = Vec::with_capacity(meta.len() as usize);
            file.read_to_end(&mut bytes).map_err(|e| error::local("reading", path.as_str(), &e))?;
            Ok(bytes.into())
        })
        .await
    }

    pub(crate) async fn get_range(&self, path: &ArtifactPath, range: Range<u64>) -> Result<Bytes, ArtifactError> {
        self.blocking(path, move |store, path| {
            let fail = |e: io::Error| error::local("reading", path.as_str(), &e);
            let (mut file, meta) = store.file(path)?;
            let range = within(path, range, meta.len())?;
            file.seek(SeekFrom::Start(range.start)).map_err(fail)?;
            let wanted = range.end - range.start;
            let mut bytes = Vec::with_capacity(wanted as usize);
            file.take(wanted).read_to_end(&mut bytes).map_err(fail)?;
            Ok(bytes.into())
        })
        .await
    }

    pub(crate) async fn open_file(&self, path: &ArtifactPath) -> Result<Opened, ArtifactError> {
        let (file, meta) = self.blocking(path, Self::file).await?;
        Ok(Opened::local(path.clone(), meta.len(), tag(&meta), file))
    }

    pub(crate) async fn head(&self, path: &ArtifactPath) -> Result<Entry, ArtifactError> {
        self.blocking(path, |store, path| {
            let (_, meta) = store.file(path)?;
            Ok(Entry { path: path.clone(), is_dir: false, size: meta.len() })
        })
        .await
    }

    pub(crate) async fn list(&self, dir: &ArtifactPath) -> Result<Vec<Entry>, ArtifactError> {
        self.blocking(dir, Self::entries).await
    }

    pub(crate) async fn walk(&self, dir: &ArtifactPath) -> Result<Vec<Entry>, ArtifactError> {
        self.blocking(dir, Self::files_below).await
    }

    pub(crate) async fn local_dir(&self, dir: &ArtifactPath) -> Result<PathBuf, ArtifactError> {
        self.blocking(dir, |store, dir| {
            let full = store.existing(dir).map_err(|e| missing(dir, e))?;
            let is_empty = match fs::read_dir(&full) {
                Ok(mut entries) => entries.next().is_none(),
                Err(e) => return Err(missing(dir, error::local("reading", dir.as_str(), &e))),
            };
            if is_empty {
                return Err(ArtifactError::NotFound { path: dir.as_str().to_owned() });
            }
            Ok(full)
        })
        .await
    }

    pub(crate) async fn local_files(&self, files: Vec<(ArtifactPath, u64)>) -> Result<Vec<PathBuf>, ArtifactError> {
        let find = move |store: &Self, _: &ArtifactPath| {
            files.iter().map(|(file, _)| store.existing(file).map_err(|e| missing(file, e))).collect()
        };
        self.blocking(&ArtifactPath::root(), find).await
    }

    /// What is directly inside a folder; nothing when it is not there or is a file.
    fn entries(&self, dir: &ArtifactPath) -> Result<Vec<Entry>, ArtifactError> {
        let full = match self.existing(dir) {
            Ok(full) => full,
            Err(e) if matches!(missing(dir, e.clone()), ArtifactError::NotFound { .. }) => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let reading = match fs::read_dir(&full) {
            Ok(reading) => reading,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
            Err(e) => return Err(error::local("listing", dir.as_str(), &e)),
        };
        let mut entries = Vec::new();
        for item in reading {
            let item = item.map_err(|e| error::local("listing", dir.as_str(), &e))?;
            if dir.is_root() && item.file_name() == STAGING {
                continue;
            }
            // A name that cannot be a path of the store was not put here through it.
            let Some(path) = item.file_name().to_str().and_then(|name| dir.join(name).ok()) else { continue };
            // Gone since the listing, or a link that leads nowhere or out: not an entry.
            let Ok(meta) = self
                .existing(&path)
                .and_then(|real| real.metadata().map_err(|e| error::local("listing", path.as_str(), &e)))
            else {
                continue;
            };
            let size = if meta.is_file() { meta.len() } else { 0 };
            entries.push(Entry { path, is_dir: meta.is_dir(), size });
        }
        Ok(entries)
    }

    /// All files at any depth. Links to folders are not followed, so a loop of them ends.
    pub(super) fn files_below(&self, dir: &ArtifactPath) -> Result<Vec<Entry>, ArtifactError> {
        let mut files = Vec::new();
        let mut folders = vec![dir.clone()];
        while let Some(folder) = folders.pop() {
            for entry in self.entries(&folder)? {
                if !entry.is_dir {
                    files.push(entry);
                } else if !self.full(&entry.path).is_symlink() {
                    folders.push(entry.path);
                }
            }
        }
        Ok(files)
    }
}

/// Changes whenever the file does: a file is only ever replaced by a new one.
fn tag(meta: &fs::Metadata) -> String {
    let modified = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    // Two files may be written within one tick of the file system's clock.
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(meta);
    #[cfg(not(unix))]
    let file = 0_u64;
    format!("{file:x}-{:x}-{:x}", modified.as_nanos(), meta.len())
}

/// Reading below a file finds nothing, as in a bucket.
fn missing(path: &ArtifactPath, error: ArtifactError) -> ArtifactError {
    match error {
        ArtifactError::WrongShape { .. } => ArtifactError::NotFound { path: path.as_str().to_owned() },
        other => other,
    }
}

/// The part of `range` that is inside a file of `size` bytes.
pub(crate) fn within(path: &ArtifactPath, range: Range<u64>, size: u64) -> Result<Range<u64>, ArtifactError> {
    let Range { start, end } = range;
    if start > end || start > size {
        return Err(ArtifactError::Range { path: path.as_str().to_owned(), start, end, size });
    }
    Ok(start..end.min(size))
}

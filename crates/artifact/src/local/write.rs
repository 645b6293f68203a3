//! Writing into the folder.

use super::Local;
use super::stage::{Staged, sync_dir};
use crate::error::{self, ArtifactError};
use crate::path::{ArtifactPath, STAGING};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use tokio::io::AsyncWriteExt;

impl Local {
    pub(crate) async fn put(&self, path: &ArtifactPath, bytes: Bytes) -> Result<(), ArtifactError> {
        self.blocking(path, move |store, path| {
            let (staged, mut file) = store.stage(path)?;
            file.write_all(&bytes).map_err(|e| error::local("writing", path.as_str(), &e))?;
            store.place(staged, &file, path)
        })
        .await
    }

    pub(crate) async fn put_stream<S>(&self, path: &ArtifactPath, stream: S) -> Result<u64, ArtifactError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        let fail = |e: io::Error| error::local("writing", path.as_str(), &e);
        let (staged, file) = self.blocking(path, Self::stage).await?;
        let mut file = tokio::fs::File::from_std(file);
        let mut stream = pin!(stream);
        let mut size = 0;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|e| error::unread(path, &e))?;
            size += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(fail)?;
        }
        file.flush().await.map_err(fail)?;
        let file = file.into_std().await;
        self.blocking(path, move |store, path| store.place(staged, &file, path)).await?;
        Ok(size)
    }

    /// The kernel copies from file to file: nothing of it passes through memory of ours.
    pub(crate) async fn put_file(&self, path: &ArtifactPath, from: &Path) -> Result<u64, ArtifactError> {
        let from = from.to_owned();
        self.blocking(path, move |store, path| {
            let mut from = fs::File::open(&from).map_err(|e| error::unread(path, &e))?;
            let (staged, mut file) = store.stage(path)?;
            let size = io::copy(&mut from, &mut file).map_err(|e| error::local("writing", path.as_str(), &e))?;
            store.place(staged, &file, path)?;
            Ok(size)
        })
        .await
    }

    fn stage(&self, path: &ArtifactPath) -> Result<(Staged, fs::File), ArtifactError> {
        Staged::create(&self.root.join(STAGING)).map_err(|e| match e.kind() {
            ErrorKind::NotFound => self.gone(),
            _ => error::local("writing", path.as_str(), &e),
        })
    }

    /// The store's own folder is not there any more. Making it again would hide what happened to
    /// the artifacts that were in it.
    fn gone(&self) -> ArtifactError {
        ArtifactError::Unavailable {
            store: self.location(),
            reason: "its folder is gone; put it back, or start again to begin with an empty one".to_owned(),
        }
    }

    fn place(&self, staged: Staged, file: &fs::File, path: &ArtifactPath) -> Result<(), ArtifactError> {
        let fail = |e: io::Error| error::local("writing", path.as_str(), &e);
        let folder = self.folder_for(path)?;
        let target = folder.join(path.name());
        staged.place(file, &target, || make_dirs(&folder)).map_err(fail)
    }

    /// Makes the folders above `path`, durably, and returns the one that holds it. Checks first
    /// that no link among those that exist leads out of the store.
    fn folder_for(&self, path: &ArtifactPath) -> Result<PathBuf, ArtifactError> {
        let parent = path.parent().unwrap_or_else(ArtifactPath::root);
        let mut there = parent.clone();
        let real = loop {
            match self.existing(&there) {
                Ok(real) => break real,
                Err(ArtifactError::NotFound { .. }) if self.full(&there).is_symlink() => {
                    return Err(ArtifactError::Escapes { path: path.as_str().to_owned() });
                }
                Err(ArtifactError::NotFound { .. }) => match there.parent() {
                    Some(above) => there = above,
                    None => return Err(self.gone()),
                },
                Err(e) => return Err(e),
            }
        };
        let folder = match parent.below(&there) {
            Some(rest) => real.join(rest),
            None => real,
        };
        make_dirs(&folder).map_err(|e| error::local("writing", path.as_str(), &e))?;
        Ok(folder)
    }

    pub(crate) async fn delete_prefix(&self, path: &ArtifactPath) -> Result<u64, ArtifactError> {
        self.blocking(path, |store, path| {
            let fail = |e: io::Error| error::local("deleting", path.as_str(), &e);
            let full = store.full(path);
            // The folder is checked, not the path itself: a link is removed, not what it leads to.
            if let Some(parent) = path.parent() {
                match store.existing(&parent) {
                    Ok(_) => {}
                    Err(ArtifactError::NotFound { .. }) => return Ok(0),
                    Err(e) => return Err(e),
                }
            }
            let meta = match full.symlink_metadata() {
                Ok(meta) => meta,
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(0),
                Err(e) => return Err(fail(e)),
            };
            if !meta.is_dir() {
                fs::remove_file(&full).map_err(fail)?;
                store.prune(path);
                return Ok(1);
            }
            let count = store.files_below(path)?.len() as u64;
            if path.is_root() {
                for entry in fs::read_dir(&full).map_err(fail)? {
                    let entry = entry.map_err(fail)?;
                    let kind = entry.file_type().map_err(fail)?;
                    if entry.file_name() == STAGING {
                        continue;
                    }
                    let done =
                        if kind.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
                    done.map_err(fail)?;
                }
            } else {
                remove_all(&full).map_err(fail)?;
                store.prune(path);
            }
            Ok(count)
        })
        .await
    }

    /// Removes the folders above `path` that are empty now, and makes the removal durable.
    fn prune(&self, path: &ArtifactPath) {
        let mut above = path.parent();
        while let Some(folder) = above {
            // One that holds something stays, and so do those above it.
            if folder.is_root() || fs::remove_dir(self.full(&folder)).is_err() {
                // A delete that a power cut undoes is repeated by whoever asked for it.
                let _ = sync_dir(&self.full(&folder));
                return;
            }
            above = folder.parent();
        }
    }

    pub(crate) async fn copy_prefix(&self, from: &ArtifactPath, to: &ArtifactPath) -> Result<u64, ArtifactError> {
        let to = to.clone();
        self.blocking(from, move |store, from| {
            let source = store.existing(from)?;
            if source.is_file() {
                store.copy_file(&source, &to)?;
                return Ok(1);
            }
            // Listed before the first copy, so that a copy into the folder itself ends.
            let files = store.files_below(from)?;
            for entry in &files {
                let rest = entry.path.below(from).unwrap_or_default();
                store.copy_file(&store.existing(&entry.path)?, &to.join(rest)?)?;
            }
            if files.is_empty() {
                return Err(ArtifactError::NotFound { path: from.as_str().to_owned() });
            }
            Ok(files.len() as u64)
        })
        .await
    }

    fn copy_file(&self, source: &Path, to: &ArtifactPath) -> Result<(), ArtifactError> {
        let fail = |e: io::Error| error::local("copying", to.as_str(), &e);
        let mut from = fs::File::open(source).map_err(fail)?;
        let (staged, mut file) = self.stage(to)?;
        // The kernel copies without passing the bytes through here, where it can.
        io::copy(&mut from, &mut file).map_err(fail)?;
        self.place(staged, &file, to)
    }
}

/// Makes a folder and those above it, each synced into the one that holds it.
fn make_dirs(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Ok(()) => dir.parent().map_or(Ok(()), sync_dir),
        Err(e) if e.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(ErrorKind::NotADirectory.into()),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            make_dirs(dir.parent().ok_or(e)?)?;
            make_dirs(dir)
        }
        Err(e) => Err(e),
    }
}

/// Removes a folder with what is in it; one that an upload fills meanwhile is tried again.
fn remove_all(dir: &Path) -> io::Result<()> {
    for _ in 0..8 {
        match fs::remove_dir_all(dir) {
            Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => {}
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            done => return done,
        }
    }
    fs::remove_dir_all(dir)
}

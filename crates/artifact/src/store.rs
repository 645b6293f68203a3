//! The handle that everybody holds.

use crate::error::{ArtifactError, local};
use crate::local::Local;
use crate::opened::Opened;
use crate::path::ArtifactPath;
use crate::remote::Remote;
use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;
use mainspring_core::Tasks;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A file or folder in a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its whole path from the root of the store.
    pub path: ArtifactPath,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Bytes of a file; 0 for a folder.
    pub size: u64,
}

/// The artifact store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Artifacts {
    backend: Arc<Backend>,
}

#[derive(Debug)]
enum Backend {
    Local(Local),
    Remote(Remote),
}

impl Artifacts {
    /// Opens a folder (`path` or `file:///path`, made when it does not exist) or a bucket
    /// (`s3://bucket/prefix`). A bucket's credentials, region and endpoint come from the `AWS_*`
    /// environment; plain HTTP is allowed for an endpoint on loopback only. `cache` is the folder
    /// for local copies of what a bucket holds; a local store does not use it.
    ///
    /// # Errors
    /// [`ArtifactError::Settings`] for another scheme or a bucket without a name,
    /// [`ArtifactError::Refused`] or [`ArtifactError::Io`] when the folder cannot be made.
    pub fn open(url: &str, cache: &Path) -> Result<Self, ArtifactError> {
        Self::open_with(url, cache, &[])
    }

    /// Like [`Artifacts::open`], with settings of a bucket that go before the environment's, by the
    /// same names: `("AWS_ENDPOINT_URL", "https://…")`. A local store ignores them.
    ///
    /// # Errors
    /// As [`Artifacts::open`]; [`ArtifactError::Settings`] for a name that means nothing.
    pub fn open_with(url: &str, cache: &Path, options: &[(String, String)]) -> Result<Self, ArtifactError> {
        let refuse = |reason: &str| ArtifactError::Settings { url: url.to_owned(), reason: reason.to_owned() };
        let backend = if let Some(rest) = url.strip_prefix("s3://") {
            Backend::Remote(Remote::s3(rest, cache, options)?)
        } else if let Some(path) = url.strip_prefix("file://") {
            if !path.starts_with('/') {
                return Err(refuse("a file URL has three slashes and an absolute path"));
            }
            Backend::Local(Local::open(Path::new(path))?)
        } else if url.contains("://") {
            return Err(refuse("only folders and S3 are supported"));
        } else if url.is_empty() {
            return Err(refuse("it is empty"));
        } else {
            Backend::Local(Local::open(Path::new(url))?)
        };
        Ok(Self { backend: Arc::new(backend) })
    }

    /// Lets `tasks` clean up after uploads to a bucket whose future was dropped: their parts are
    /// discarded. Without it the bucket keeps such parts, unseen, until its own lifecycle rule
    /// (`AbortIncompleteMultipartUpload`) removes them.
    pub fn with_tasks(self, tasks: Tasks) -> Self {
        match Arc::try_unwrap(self.backend) {
            Ok(Backend::Remote(remote)) => Self { backend: Arc::new(Backend::Remote(remote.with_tasks(tasks))) },
            Ok(local) => Self { backend: Arc::new(local) },
            Err(shared) => Self { backend: shared },
        }
    }

    /// Stores a file, in place of what is there.
    ///
    /// # Errors
    /// [`ArtifactError::Full`], [`ArtifactError::WrongShape`] where a folder is in the way.
    pub async fn put(&self, path: &ArtifactPath, bytes: Bytes) -> Result<(), ArtifactError> {
        file(path)?;
        match self.backend.as_ref() {
            Backend::Local(s) => s.put(path, bytes).await,
            Backend::Remote(s) => s.put(path, bytes).await,
        }
    }

    /// Stores a file as it arrives, in place of what is there; returns its size in bytes. When the
    /// stream fails, or this future is dropped, nothing is stored.
    ///
    /// # Errors
    /// [`ArtifactError::Upload`] when the stream fails; as [`Artifacts::put`].
    pub async fn put_stream<S>(&self, path: &ArtifactPath, stream: S) -> Result<u64, ArtifactError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        file(path)?;
        match self.backend.as_ref() {
            Backend::Local(s) => s.put_stream(path, stream).await,
            Backend::Remote(s) => s.put_stream(path, stream).await,
        }
    }

    /// Stores a copy of the file at `from`, in place of what is there; returns its size in bytes.
    ///
    /// # Errors
    /// [`ArtifactError::Upload`] when `from` cannot be read; as [`Artifacts::put`].
    pub async fn put_file(&self, path: &ArtifactPath, from: &Path) -> Result<u64, ArtifactError> {
        file(path)?;
        match self.backend.as_ref() {
            Backend::Local(s) => s.put_file(path, from).await,
            Backend::Remote(s) => s.put_file(path, from).await,
        }
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`], also for a folder.
    pub async fn get(&self, path: &ArtifactPath) -> Result<Bytes, ArtifactError> {
        file(path)?;
        match self.backend.as_ref() {
            Backend::Local(s) => s.get(path).await,
            Backend::Remote(s) => s.get(path).await,
        }
    }

    /// Reads bytes `range.start` up to, not including, `range.end`. A range that ends past the end
    /// of the file is cut there.
    ///
    /// # Errors
    /// [`ArtifactError::Range`] when it starts past the end; as [`Artifacts::get`].
    pub async fn get_range(&self, path: &ArtifactPath, range: Range<u64>) -> Result<Bytes, ArtifactError> {
        file(path)?;
        match self.backend.as_ref() {
            Backend::Local(s) => s.get_range(path, range).await,
            Backend::Remote(s) => s.get_range(path, range).await,
        }
    }

    /// Opens a file: its size, its tag, and its content whole or in part as it is read.
    ///
    /// # Errors
    /// As [`Artifacts::get`].
    pub async fn open_file(&self, path: &ArtifactPath) -> Result<Opened, ArtifactError> {
        file(path)?;
        match self.backend.as_ref() {
            Backend::Local(s) => s.open_file(path).await,
            Backend::Remote(s) => s.open_file(path).await,
        }
    }

    /// The size of a file in bytes, and its content as it is read.
    ///
    /// # Errors
    /// As [`Artifacts::get`].
    pub async fn get_stream(
        &self,
        path: &ArtifactPath,
    ) -> Result<(u64, BoxStream<'static, io::Result<Bytes>>), ArtifactError> {
        self.get_range_stream(path, 0..u64::MAX).await
    }

    /// Like [`Artifacts::get_stream`], for a part of the file. The number is the size of the whole
    /// file; the part is cut as by [`Artifacts::get_range`].
    ///
    /// # Errors
    /// As [`Artifacts::get_range`].
    pub async fn get_range_stream(
        &self,
        path: &ArtifactPath,
        range: Range<u64>,
    ) -> Result<(u64, BoxStream<'static, io::Result<Bytes>>), ArtifactError> {
        let opened = self.open_file(path).await?;
        Ok((opened.size(), opened.part(range)?))
    }

    /// What is known about a file without reading it.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`], also for a folder.
    pub async fn head(&self, path: &ArtifactPath) -> Result<Entry, ArtifactError> {
        file(path)?;
        match self.backend.as_ref() {
            Backend::Local(s) => s.head(path).await,
            Backend::Remote(s) => s.head(path).await,
        }
    }

    /// The files and folders directly inside a folder, sorted by path. A folder that is not there
    /// is empty, because a bucket has no empty folders.
    ///
    /// # Errors
    /// [`ArtifactError::Unavailable`], [`ArtifactError::Refused`].
    pub async fn list(&self, dir: &ArtifactPath) -> Result<Vec<Entry>, ArtifactError> {
        let mut entries = match self.backend.as_ref() {
            Backend::Local(s) => s.list(dir).await,
            Backend::Remote(s) => s.list(dir).await,
        }?;
        entries.sort();
        Ok(entries)
    }

    /// All files at any depth below a folder, sorted by path.
    ///
    /// # Errors
    /// As [`Artifacts::list`].
    pub async fn walk(&self, dir: &ArtifactPath) -> Result<Vec<Entry>, ArtifactError> {
        let mut entries = match self.backend.as_ref() {
            Backend::Local(s) => s.walk(dir).await,
            Backend::Remote(s) => s.walk(dir).await,
        }?;
        entries.sort();
        Ok(entries)
    }

    /// The bytes of all files below a folder.
    ///
    /// # Errors
    /// As [`Artifacts::list`].
    pub async fn usage(&self, dir: &ArtifactPath) -> Result<u64, ArtifactError> {
        Ok(self.walk(dir).await?.iter().map(|e| e.size).sum())
    }

    /// Removes a file, or a folder with everything below it; returns how many files. Nothing there
    /// is no error.
    ///
    /// # Errors
    /// As [`Artifacts::list`]; what was removed before stays removed.
    pub async fn delete_prefix(&self, path: &ArtifactPath) -> Result<u64, ArtifactError> {
        match self.backend.as_ref() {
            Backend::Local(s) => s.delete_prefix(path).await,
            Backend::Remote(s) => s.delete_prefix(path).await,
        }
    }

    /// Copies a file, or everything below a folder, to another place; returns how many files.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`] when nothing is at `from`; as [`Artifacts::put`].
    pub async fn copy_prefix(&self, from: &ArtifactPath, to: &ArtifactPath) -> Result<u64, ArtifactError> {
        file(to)?;
        match self.backend.as_ref() {
            Backend::Local(s) => s.copy_prefix(from, to).await,
            Backend::Remote(s) => s.copy_prefix(from, to).await,
        }
    }

    /// A folder of the store on local disk, for programs that need files. A local store's own
    /// folder, which must not be written to; a bucket's is downloaded into the cache once for each
    /// state of its content, and stays valid until [`Artifacts::evict`] removes it.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`] when there is no such folder, or it is empty.
    pub async fn local_dir(&self, dir: &ArtifactPath) -> Result<PathBuf, ArtifactError> {
        match self.backend.as_ref() {
            Backend::Local(s) => s.local_dir(dir).await,
            Backend::Remote(s) => s.local_dir(dir).await,
        }
    }

    /// Files on local disk, in the order given, each with its size: for files that never change under
    /// their names. A local store's own, which must not be written to; a bucket's are downloaded into the
    /// cache, each once.
    ///
    /// # Errors
    /// [`ArtifactError::NotFound`] when one is not there.
    pub async fn local_files(&self, files: Vec<(ArtifactPath, u64)>) -> Result<Vec<PathBuf>, ArtifactError> {
        match self.backend.as_ref() {
            Backend::Local(s) => s.local_files(files).await,
            Backend::Remote(s) => s.local_files(files).await,
        }
    }

    /// Removes the copies from the cache that were asked for longest ago, and not within `idle`, until it
    /// holds at most `max_bytes`; returns how many bytes were freed. Open files stay readable. A local
    /// store has no cache and frees nothing.
    ///
    /// # Errors
    /// [`ArtifactError::Io`] when the cache cannot be read or written.
    pub async fn evict(&self, max_bytes: u64, idle: Duration) -> Result<u64, ArtifactError> {
        match self.backend.as_ref() {
            Backend::Local(_) => Ok(0),
            Backend::Remote(s) => s.evict(max_bytes, idle).await,
        }
    }

    /// Whether the store answers. A bucket is asked for a folder that it does not have, which costs as much as any listing.
    ///
    /// # Errors
    /// [`ArtifactError::Unavailable`], also where the folder or the bucket is gone; [`ArtifactError::Refused`].
    pub async fn reach(&self) -> Result<(), ArtifactError> {
        let answer = match self.backend.as_ref() {
            Backend::Local(s) => {
                let root = s.location();
                let there = tokio::fs::metadata(&root).await;
                there.map(drop).map_err(|e| local("looking at", &root, &e))
            }
            Backend::Remote(s) => s.list(&ArtifactPath::parse("is-anybody-there")?).await.map(drop),
        };
        answer.map_err(|error| match error {
            ArtifactError::NotFound { .. } => {
                ArtifactError::Unavailable { store: self.location(), reason: "it is not there".to_owned() }
            }
            other => other,
        })
    }

    /// Where the store is, for messages: a folder or `s3://bucket/prefix`.
    pub fn location(&self) -> String {
        match self.backend.as_ref() {
            Backend::Local(s) => s.location(),
            Backend::Remote(s) => s.location().to_owned(),
        }
    }
}

/// The root is a folder, never a file.
fn file(path: &ArtifactPath) -> Result<(), ArtifactError> {
    if path.is_root() {
        return Err(ArtifactError::WrongShape { path: String::new(), reason: "it is the root of the store" });
    }
    Ok(())
}

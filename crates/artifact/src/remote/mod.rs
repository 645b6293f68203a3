//! An object store: S3 and what speaks its protocol.

mod open;
mod upload;

pub(crate) use open::retry;

use crate::cache::Cache;
use crate::error::ArtifactError;
use crate::local::within;
use crate::opened::Opened;
use crate::path::ArtifactPath;
use crate::store::Entry;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use mainspring_core::Tasks;
use object_store::path::Path as Key;
use object_store::{Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How many bytes one request reads. A file is read in several requests, each with its own time
/// limit, so that a large one is not cut off by it.
const PIECE: u64 = 16 << 20;
/// How many requests run at a time for one operation on many objects.
const AT_ONCE: usize = 8;

/// The store in a bucket.
#[derive(Debug)]
pub(crate) struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    location: String,
    cache: Cache,
    tasks: Option<Tasks>,
}

impl Remote {
    pub(crate) fn with_tasks(mut self, tasks: Tasks) -> Self {
        self.tasks = Some(tasks);
        self
    }

    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    fn key(&self, path: &ArtifactPath) -> Result<Key, ArtifactError> {
        let text = match (self.prefix.as_ref(), path.as_str()) {
            ("", below) => below.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, below) => format!("{prefix}/{below}"),
        };
        Key::parse(&text).map_err(|e| ArtifactError::Io {
            what: "naming",
            path: path.as_str().to_owned(),
            reason: e.to_string(),
        })
    }

    /// The path of an object, or nothing when its key is no path of this store.
    fn path(&self, key: &Key) -> Option<ArtifactPath> {
        let below = match self.prefix.as_ref() {
            "" => key.as_ref(),
            prefix => key.as_ref().strip_prefix(prefix)?.strip_prefix('/')?,
        };
        ArtifactPath::parse(below).ok()
    }

    fn entry(&self, meta: &ObjectMeta) -> Option<Entry> {
        Some(Entry { path: self.path(&meta.location)?, is_dir: false, size: meta.size })
    }

    /// The object store's error in this crate's words.
    fn fail(&self, what: &'static str, path: &ArtifactPath, error: Error) -> ArtifactError {
        let place = path.as_str().to_owned();
        match error {
            Error::NotFound { .. } => ArtifactError::NotFound { path: place },
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => ArtifactError::Refused {
                store: self.location.clone(),
                reason: format!("{what} {place:?}: {}", chain(&error)),
            },
            Error::Generic { .. } | Error::JoinError { .. } => {
                ArtifactError::Unavailable { store: self.location.clone(), reason: chain(&error) }
            }
            other => ArtifactError::Io { what, path: place, reason: chain(&other) },
        }
    }

    async fn meta(&self, path: &ArtifactPath) -> Result<ObjectMeta, ArtifactError> {
        let key = self.key(path)?;
        self.store.head(&key).await.map_err(|e| self.fail("reading", path, e))
    }

    pub(crate) async fn head(&self, path: &ArtifactPath) -> Result<Entry, ArtifactError> {
        let meta = self.meta(path).await?;
        Ok(Entry { path: path.clone(), is_dir: false, size: meta.size })
    }

    pub(crate) async fn get(&self, path: &ArtifactPath) -> Result<Bytes, ArtifactError> {
        let meta = self.meta(path).await?;
        let size = meta.size;
        let mut pieces = pieces(Arc::clone(&self.store), meta, 0..size);
        let mut all = bytes::BytesMut::with_capacity(size as usize);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|e| self.fail("reading", path, e))?;
            if piece.len() as u64 == size {
                return Ok(piece);
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    pub(crate) async fn get_range(&self, path: &ArtifactPath, range: Range<u64>) -> Result<Bytes, ArtifactError> {
        let meta = self.meta(path).await?;
        let range = within(path, range, meta.size)?;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let read = piece(Arc::clone(&self.store), meta, range).await;
        read.map_err(|e| self.fail("reading", path, e))
    }

    pub(crate) async fn open_file(&self, path: &ArtifactPath) -> Result<Opened, ArtifactError> {
        let meta = self.meta(path).await?;
        let object = Object { store: Arc::clone(&self.store), meta };
        Ok(Opened::remote(path.clone(), object.meta.size, object.tag(), object))
    }

    pub(crate) async fn list(&self, dir: &ArtifactPath) -> Result<Vec<Entry>, ArtifactError> {
        let key = self.key(dir)?;
        let listed = self.store.list_with_delimiter(Some(&key)).await.map_err(|e| self.fail("listing", dir, e))?;
        let folders = listed.common_prefixes.iter().filter_map(|k| self.path(k));
        let folders = folders.map(|path| Entry { path, is_dir: true, size: 0 });
        // The marker object that some tools make for a folder has the folder's own name.
        let files = listed.objects.iter().filter_map(|m| self.entry(m)).filter(|e| e.path != *dir);
        Ok(folders.chain(files).collect())
    }

    pub(crate) async fn walk(&self, dir: &ArtifactPath) -> Result<Vec<Entry>, ArtifactError> {
        Ok(self.metas(dir).await?.iter().filter_map(|m| self.entry(m)).collect())
    }

    async fn metas(&self, dir: &ArtifactPath) -> Result<Vec<ObjectMeta>, ArtifactError> {
        let key = self.key(dir)?;
        let all: Vec<ObjectMeta> =
            self.store.list(Some(&key)).try_collect().await.map_err(|e| self.fail("listing", dir, e))?;
        Ok(all.into_iter().filter(|m| m.location != key).collect())
    }

    pub(crate) async fn delete_prefix(&self, path: &ArtifactPath) -> Result<u64, ArtifactError> {
        let mut keys: Vec<Key> = self.metas(path).await?.into_iter().map(|m| m.location).collect();
        if !path.is_root() {
            match self.meta(path).await {
                Ok(meta) => keys.push(meta.location),
                Err(ArtifactError::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        let count = keys.len() as u64;
        let keys = stream::iter(keys.into_iter().map(Ok)).boxed();
        let deleted: Result<Vec<Key>, Error> = self.store.delete_stream(keys).try_collect().await;
        deleted.map_err(|e| self.fail("deleting", path, e))?;
        Ok(count)
    }

    pub(crate) async fn copy_prefix(&self, from: &ArtifactPath, to: &ArtifactPath) -> Result<u64, ArtifactError> {
        let mut pairs = Vec::new();
        for entry in self.walk(from).await? {
            let target = to.join(entry.path.below(from).unwrap_or_default())?;
            pairs.push((self.key(&entry.path)?, self.key(&target)?));
        }
        if pairs.is_empty() {
            let meta = self.meta(from).await?;
            pairs.push((meta.location, self.key(to)?));
        }
        let count = pairs.len() as u64;
        let copies = pairs.into_iter().map(|(a, b)| async move { self.store.copy(&a, &b).await });
        let done: Result<Vec<()>, Error> = stream::iter(copies).buffer_unordered(AT_ONCE).try_collect().await;
        done.map_err(|e| self.fail("copying", from, e))?;
        Ok(count)
    }

    pub(crate) async fn local_dir(&self, dir: &ArtifactPath) -> Result<PathBuf, ArtifactError> {
        let metas = self.metas(dir).await?;
        let mut files: Vec<(String, ObjectMeta)> =
            metas.into_iter().filter_map(|m| Some((self.path(&m.location)?.below(dir)?.to_owned(), m))).collect();
        if files.is_empty() {
            return Err(ArtifactError::NotFound { path: dir.as_str().to_owned() });
        }
        files.sort_by(|a, b| a.0.cmp(&b.0));
        let key = Cache::key(&self.location, &files);
        self.cache.folder(&key, |folder| self.download(dir, files, folder)).await
    }

    pub(crate) async fn local_files(&self, files: Vec<(ArtifactPath, u64)>) -> Result<Vec<PathBuf>, ArtifactError> {
        let each = files.into_iter().map(|(file, size)| async move { self.local_file(&file, size).await });
        stream::iter(each).buffered(AT_ONCE).try_collect().await
    }

    async fn local_file(&self, file: &ArtifactPath, size: u64) -> Result<PathBuf, ArtifactError> {
        let key = Cache::key_of_file(&self.location, file, size);
        let name = file.as_str().rsplit('/').next().unwrap_or_default();
        let fill = |folder: PathBuf| async move {
            let meta = self.meta(file).await?;
            self.download(file, vec![(name.to_owned(), meta)], folder).await
        };
        Ok(self.cache.folder(&key, fill).await?.join(name))
    }

    async fn download(
        &self,
        dir: &ArtifactPath,
        files: Vec<(String, ObjectMeta)>,
        folder: PathBuf,
    ) -> Result<(), ArtifactError> {
        let each = files.into_iter().map(|(below, meta)| {
            let target = folder.join(&below);
            async move {
                let size = meta.size;
                let pieces = pieces(Arc::clone(&self.store), meta, 0..size).map_err(|e| self.fail("reading", dir, e));
                crate::cache::write(&target, pieces).await
            }
        });
        let done: Result<Vec<()>, ArtifactError> = stream::iter(each).buffer_unordered(AT_ONCE).try_collect().await;
        done.map(|_| ())
    }

    pub(crate) async fn evict(&self, max_bytes: u64, idle: Duration) -> Result<u64, ArtifactError> {
        self.cache.evict(max_bytes, idle).await
    }
}

/// An object as it was when it was opened.
#[derive(Debug)]
pub(crate) struct Object {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
}

impl Object {
    fn tag(&self) -> String {
        let text = match &self.meta.e_tag {
            Some(tag) => tag.clone(),
            None => format!("{:x}-{:x}", self.meta.last_modified.timestamp_micros(), self.meta.size),
        };
        text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
    }

    pub(crate) fn stream(self, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        pieces(self.store, self.meta, range).map_err(|e| io::Error::other(chain(&e))).boxed()
    }
}

/// A range of an object in pieces; the next one is fetched while one is used.
fn pieces(
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    range: Range<u64>,
) -> BoxStream<'static, Result<Bytes, Error>> {
    let count = (range.end - range.start).div_ceil(PIECE);
    let pieces = (0..count).map(move |n| {
        let start = range.start + n * PIECE;
        piece(Arc::clone(&store), meta.clone(), start..(start + PIECE).min(range.end))
    });
    stream::iter(pieces).buffered(2).boxed()
}

/// One range of an object, if it is still the object that `meta` describes.
async fn piece(store: Arc<dyn ObjectStore>, meta: ObjectMeta, range: Range<u64>) -> Result<Bytes, Error> {
    let options = GetOptions { range: Some(GetRange::Bounded(range)), if_match: meta.e_tag, ..GetOptions::default() };
    store.get_opts(&meta.location, options).await?.bytes().await
}

/// An error and its causes in one line; the outermost alone often says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text
}

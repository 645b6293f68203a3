//! Where a file is: in a folder or in S3.

use crate::error::BatchError;
use futures::{StreamExt, TryStreamExt};
use mainspring_artifact::{ArtifactError, ArtifactPath, Artifacts};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file in a folder, or an object in a bucket.
#[derive(Debug, Clone)]
pub enum Place {
    /// On this machine.
    Local(PathBuf),
    /// `s3://bucket/key`, with the credentials of the `AWS_*` environment.
    Remote {
        /// The address as it was given.
        url: String,
        /// The folder that holds it.
        store: Artifacts,
        /// Its name in there.
        path: ArtifactPath,
    },
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub size: u64,
    pub tag: String,
}

impl Place {
    /// A path, `file:///path` or `s3://bucket/key`. `options` are settings of the bucket that go before
    /// the environment's, by the same names.
    ///
    /// # Errors
    /// [`BatchError::Store`] for another scheme, or an address that names no object.
    pub fn parse(text: &str, options: &[(String, String)]) -> Result<Self, BatchError> {
        if let Some(path) = text.strip_prefix("file://") {
            return Ok(Self::Local(PathBuf::from(path)));
        }
        if !text.contains("://") {
            return Ok(Self::Local(PathBuf::from(text)));
        }
        let wrong = |reason: &str| ArtifactError::Settings { url: text.to_owned(), reason: reason.to_owned() };
        if !text.starts_with("s3://") {
            return Err(wrong("a file is a path, or s3://BUCKET/KEY").into());
        }
        let (folder, name) = text.rsplit_once('/').unwrap_or((text, ""));
        if name.is_empty() || folder.len() <= "s3://".len() {
            return Err(wrong("it names no object: s3://BUCKET/KEY").into());
        }
        // A store's cache is for folders; files are copied into the run's own folder.
        let store = Artifacts::open_with(folder, Path::new("/nonexistent"), options)?;
        let path = ArtifactPath::parse(name).map_err(ArtifactError::from)?;
        Ok(Self::Remote { url: text.to_owned(), store, path })
    }

    /// A file beside it whose name is longer by `ending`.
    pub(crate) fn beside(&self, ending: &str) -> Result<Self, BatchError> {
        Ok(match self {
            Self::Local(path) => {
                let mut name = path.clone().into_os_string();
                name.push(ending);
                Self::Local(name.into())
            }
            Self::Remote { url, store, path } => Self::Remote {
                url: format!("{url}{ending}"),
                store: store.clone(),
                path: ArtifactPath::parse(&format!("{path}{ending}")).map_err(ArtifactError::from)?,
            },
        })
    }

    /// As it was given; a path in full, so that it means the same elsewhere.
    pub fn name(&self) -> String {
        match self {
            Self::Local(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string(),
            Self::Remote { url, .. } => url.clone(),
        }
    }

    pub(crate) fn short(&self) -> String {
        match self {
            Self::Local(path) => path.display().to_string(),
            Self::Remote { url, .. } => url.clone(),
        }
    }

    /// Its state; `None` when it is not there.
    pub(crate) async fn stamp(&self) -> Result<Option<Stamp>, BatchError> {
        match self {
            Self::Local(path) => match std::fs::metadata(path) {
                Ok(meta) if meta.is_file() => {
                    let changed = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
                    let tag = format!("{:x}", changed.unwrap_or_default().as_nanos());
                    Ok(Some(Stamp { size: meta.len(), tag }))
                }
                Ok(_) => Err(BatchError::reading(path, std::io::Error::other("it is no file"))),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(BatchError::reading(path, e)),
            },
            Self::Remote { store, path, .. } => match store.open_file(path).await {
                Ok(opened) => Ok(Some(Stamp { size: opened.size(), tag: opened.tag().to_owned() })),
                Err(ArtifactError::NotFound { .. }) => Ok(None),
                Err(e) => Err(e.into()),
            },
        }
    }

    /// The file on this machine: itself, or a copy in `folder`, made once for each state of the object.
    pub(crate) async fn local(&self, folder: &Path, stamp: &Stamp) -> Result<PathBuf, BatchError> {
        let (store, path) = match self {
            Self::Local(path) => return Ok(path.clone()),
            Self::Remote { store, path, .. } => (store, path),
        };
        let copy = folder.join(format!("input-{}", stamp.tag));
        if copy.metadata().is_ok_and(|m| m.len() == stamp.size) {
            return Ok(copy);
        }
        let part = folder.join("input.part");
        let opened = store.open_file(path).await?;
        if opened.tag() != stamp.tag {
            return Err(BatchError::Changed { name: self.short() });
        }
        let size = opened.size();
        let mut file = std::fs::File::create(&part).map_err(|e| BatchError::writing(&part, e))?;
        let mut pieces = opened.part(0..size)?;
        while let Some(piece) = pieces.next().await {
            let piece =
                piece.map_err(|e| BatchError::Io { what: "cannot read", path: self.short().into(), source: e })?;
            file.write_all(&piece).map_err(|e| BatchError::writing(&part, e))?;
        }
        file.sync_all().map_err(|e| BatchError::writing(&part, e))?;
        std::fs::rename(&part, &copy).map_err(|e| BatchError::writing(&copy, e))?;
        Ok(copy)
    }

    /// Puts the whole file `from` here, in place of what is here, in one step.
    pub(crate) async fn publish(&self, from: &Path) -> Result<(), BatchError> {
        match self {
            Self::Local(path) => {
                std::fs::rename(from, path).map_err(|e| BatchError::writing(path, e))?;
                sync_folder(path)
            }
            Self::Remote { store, path, .. } => {
                let file = tokio::fs::File::open(from).await.map_err(|e| BatchError::reading(from, e))?;
                let pieces = tokio_util::io::ReaderStream::with_capacity(file, 1 << 20).into_stream();
                store.put_stream(path, pieces).await?;
                Ok(())
            }
        }
    }
}

/// Makes sure that a rename into the folder of `path` outlives a power cut.
pub(crate) fn sync_folder(path: &Path) -> Result<(), BatchError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::File::open(folder).and_then(|f| f.sync_all()).map_err(|e| BatchError::writing(folder, e))
}

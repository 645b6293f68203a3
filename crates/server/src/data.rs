//! The data folder: made when missing, held by one process at a time, marked so that nothing else
//! is mistaken for it.

use mainspring_core::IdGen;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The data folder, locked for this process until dropped.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    _lock: File,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It cannot be made or written.
    #[error("cannot use {} as the data folder: {source}", path.display())]
    Io {
        /// The folder or the file in it.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process holds it.
    #[error("{} is in use by another mainspring{}", path.display(), .pid.as_ref().map(|p| format!(" (process {p})")).unwrap_or_default())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// Its process id, when known.
        pid: Option<String>,
    },
}

/// Makes a folder, and those above it that are missing, for this user alone: predictions and hashes
/// of keys are in it. A folder that exists keeps its permissions.
pub(crate) fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

impl DataDir {
    /// Makes the folder when missing and takes its lock.
    ///
    /// # Errors
    /// [`DataError`] when it cannot be written, or another process holds it.
    pub fn open(root: &Path) -> Result<Self, DataError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| DataError::Io { path, source }
        };
        make_private(root).map_err(io(root))?;
        // Canonical, so that messages and tools name the same place wherever they run.
        let root = root.canonicalize().map_err(io(root))?;
        let lock_path = root.join("lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock_path)
            .map_err(io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let pid =
                    std::fs::read_to_string(&lock_path).ok().map(|p| p.trim().to_owned()).filter(|p| !p.is_empty());
                return Err(DataError::Locked { path: root, pid });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(DataError::Io { path: lock_path, source }),
        }
        // The id is for people; a full disk must not keep the server from starting for it.
        let _best_effort = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Self { root, _lock: lock })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What this folder's journal is called among the replicas: made once, and kept with it.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn replica(&self, ids: &dyn IdGen) -> Result<String, DataError> {
        let path = self.root.join("replica");
        let io = |source| DataError::Io { path: path.clone(), source };
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(io(e)),
        }
        let (name, part) = (ids.hex32(), self.root.join("replica.part"));
        // Whole or not at all: counts under half a name would be another replica's.
        std::fs::write(&part, &name).and_then(|()| std::fs::rename(&part, &path)).map_err(io)?;
        Ok(name)
    }

    /// The SQLite file.
    pub fn database(&self) -> PathBuf {
        self.root.join("mainspring.db")
    }

    /// Local artifacts.
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    /// The journal's own log and its sealed files.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// What conversions write while they run.
    pub fn conversions(&self) -> PathBuf {
        self.root.join("conversions")
    }

    /// Copies of datasets while their profiles are made.
    pub fn profiles(&self) -> PathBuf {
        self.root.join("profiles")
    }

    /// Environments of models that run in Python, and what their processes write; may be deleted while
    /// no server runs.
    pub fn python(&self) -> PathBuf {
        self.root.join("python")
    }

    /// Copies of remote artifacts; may be deleted at any time.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }
}

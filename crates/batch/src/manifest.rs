//! What is known of a run on disk: what it is, and which shards are done.

use crate::error::BatchError;
use crate::place::sync_folder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

const FILE: &str = "manifest.json";

/// What a run is. A run goes on only when all of this is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub input: String,
    pub input_size: u64,
    pub input_tag: String,
    pub input_format: String,
    pub output: String,
    pub output_format: String,
    pub model: String,
    pub version: String,
    pub files: String,
    pub columns: Option<Vec<String>>,
    pub prefix: String,
    /// What becomes of rows that fail.
    #[serde(default = "fail")]
    pub on_error: String,
}

/// Manifests from before there was a choice.
fn fail() -> String {
    "fail".into()
}

impl Identity {
    /// In what `self`, the run that is asked for, differs from `other`, the one on disk.
    fn difference(&self, other: &Self) -> Option<String> {
        let pairs = [
            ("the input", &self.input, &other.input),
            ("the input's format", &self.input_format, &other.input_format),
            ("the output", &self.output, &other.output),
            ("the output's format", &self.output_format, &other.output_format),
            ("the model", &self.model, &other.model),
            ("the model's version", &self.version, &other.version),
            ("the prefix", &self.prefix, &other.prefix),
            ("what becomes of rows that fail", &self.on_error, &other.on_error),
        ];
        if let Some((what, now, then)) = pairs.into_iter().find(|(_, now, then)| now != then) {
            return Some(format!("{what} was {then}, and is {now}"));
        }
        if self.columns != other.columns {
            return Some("it takes other columns".to_owned());
        }
        if self.files != other.files {
            return Some("the files of the model changed".to_owned());
        }
        (self != other).then(|| "the input changed".to_owned())
    }
}

/// A shard that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub rows: u64,
    pub engine_ns: u64,
    /// Of its rows, those that failed.
    #[serde(default)]
    pub failed: u64,
}

/// The manifest's content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The prediction id of the whole run.
    pub id: String,
    pub identity: Identity,
    /// Rows a call; kept, so that a run that goes on makes the same calls.
    pub batch_rows: usize,
    /// Whether the input's columns go over as they are, so that a shard is a row group.
    #[serde(default)]
    pub carried: Option<bool>,
    /// By shard.
    pub done: BTreeMap<usize, Done>,
    /// The output is in its place; what is left is to tell of it.
    pub finished: bool,
    /// Its bytes, once it is.
    pub bytes: u64,
}

/// The folder of a run, held by this process.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes or opens the folder.
    pub fn open(root: &Path) -> Result<Self, BatchError> {
        std::fs::create_dir_all(root).map_err(|e| BatchError::writing(root, e))?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(|e| BatchError::writing(&path, e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(BatchError::Busy { folder: root.display().to_string() }),
            Err(TryLockError::Error(e)) => Err(BatchError::writing(&path, e)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.root
    }

    pub fn part(&self, shard: usize) -> PathBuf {
        self.root.join(format!("{shard:06}.part"))
    }

    /// What is told of rows that failed, a JSON object a line; beside the part where there are some.
    pub fn failures(&self, shard: usize) -> PathBuf {
        self.root.join(format!("{shard:06}.errors"))
    }

    /// What is told of all rows that failed, in one file of the folder.
    pub fn all_failures(&self, manifest: &Manifest) -> Result<PathBuf, BatchError> {
        let whole = self.root.join("errors");
        let mut out = File::create(&whole).map_err(|e| BatchError::writing(&whole, e))?;
        for (shard, _) in manifest.done.iter().filter(|(_, d)| d.failed > 0) {
            let path = self.failures(*shard);
            let mut part = File::open(&path).map_err(|e| BatchError::reading(&path, e))?;
            std::io::copy(&mut part, &mut out).map_err(|e| BatchError::writing(&whole, e))?;
        }
        out.sync_all().map_err(|e| BatchError::writing(&whole, e))?;
        Ok(whole)
    }

    /// Forgets what an earlier run left.
    pub fn clear(&self) -> Result<(), BatchError> {
        let entries = std::fs::read_dir(&self.root).map_err(|e| BatchError::reading(&self.root, e))?;
        for entry in entries.filter_map(Result::ok).filter(|e| e.file_name() != "lock") {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(|e| BatchError::writing(&path, e))?;
        }
        Ok(())
    }

    /// The run that was begun here, if it is this one; `None` when none was.
    pub fn resume(&self, identity: &Identity) -> Result<Option<Manifest>, BatchError> {
        let path = self.root.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(BatchError::reading(&path, e)),
        };
        let other = |difference: String| BatchError::OtherRun { folder: self.root.display().to_string(), difference };
        let found: Manifest = serde_json::from_slice(&text).map_err(|e| other(format!("its manifest is {e}")))?;
        match identity.difference(&found.identity) {
            None => Ok(Some(found)),
            Some(difference) => Err(other(difference)),
        }
    }

    /// Writes the manifest in one step.
    pub fn save(&self, manifest: &Manifest) -> Result<(), BatchError> {
        let (path, next) = (self.root.join(FILE), self.root.join("manifest.next"));
        let text = serde_json::to_vec(manifest).map_err(|e| BatchError::Broken(e.to_string()))?;
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&next)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&next, &path)
        };
        write().map_err(|e| BatchError::writing(&path, e))?;
        sync_folder(&path)
    }

    /// Takes the folder away.
    pub fn remove(self) -> Result<(), BatchError> {
        std::fs::remove_dir_all(&self.root).map_err(|e| BatchError::writing(&self.root, e))
    }
}

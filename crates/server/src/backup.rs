//! Saving and restoring what is kept on this machine: the SQLite database, local artifacts and the
//! journal. A backup may be taken while the server runs: the database is copied by SQLite's own
//! online backup first, then the files it speaks of, which are never changed in place.

use crate::config::Settings;
use crate::data::{DataDir, DataError, make_private};
use crate::wiring;
use mainspring_core::{ErrorKind, Failure};
use std::fmt;
use std::path::{Path, PathBuf};

/// What a backup holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Files copied.
    pub files: u64,
    /// Their size, bytes.
    pub bytes: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files, {:.1} MiB", self.files, self.bytes as f64 / f64::from(1 << 20))
    }
}

/// Why a backup or a restore did not happen.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target exists.
    #[error("{} exists already; a backup makes its own folder", .0.display())]
    Exists(PathBuf),
    /// There is nothing to save.
    #[error("there is no {}", .0.display())]
    NoData(PathBuf),
    /// Not a backup.
    #[error("{} is not a whole backup: {reason}", path.display())]
    NotABackup {
        /// Folder given.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The data folder holds something.
    #[error("{} holds data already; restore into an empty folder", .0.display())]
    NotEmpty(PathBuf),
    /// The metadata are not here.
    #[error("metadata is in Postgres, which has its own tools")]
    Postgres,
    /// The database could not be copied.
    #[error("cannot copy the database: {0}")]
    Database(String),
    /// A file could not be copied.
    #[error("cannot copy {}: {source}", path.display())]
    Copy {
        /// File at fault.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl Failure for BackupError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Exists(_) | Self::NoData(_) | Self::NotEmpty(_) | Self::NotABackup { .. } | Self::Postgres => {
                ErrorKind::InvalidInput
            }
            Self::Database(_) | Self::Copy { .. } | Self::Data(_) => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Postgres => {
                Some("use pg_dump for the database, and copy the data folder's journal/ beside it".into())
            }
            Self::NotEmpty(_) => Some("name another folder with --data".into()),
            Self::NoData(_) => Some("name the data folder with --data".into()),
            _ => None,
        }
    }
}

/// Written last, so that a backup cut short is not taken for a whole one.
const MARK: &str = "BACKUP";
const DATABASE: &str = "mainspring.db";
const FOLDERS: [&str; 2] = ["artifacts", "journal"];

/// Saves the data folder into the new folder `to`.
///
/// # Errors
/// [`BackupError`]; a folder that could not be finished is left without its mark and is refused by
/// [`load`].
pub async fn save(settings: &Settings, to: &Path) -> Result<Report, BackupError> {
    if settings.database.is_some() {
        return Err(BackupError::Postgres);
    }
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let source = settings.data.join(DATABASE);
    if !source.is_file() {
        return Err(BackupError::NoData(source));
    }
    make_private(to).map_err(|source| BackupError::Copy { path: to.to_owned(), source })?;
    let mut report = Report::default();
    let copy = to.join(DATABASE);
    // As it is: an older server may be using it, and may be what it is restored for.
    wiring::back_up_database(settings, &copy).await.map_err(|e| BackupError::Database(e.to_string()))?;
    count(&copy, &mut report)?;
    for folder in FOLDERS {
        copy_tree(&settings.data.join(folder), &to.join(folder), &mut report)?;
    }
    let mark = to.join(MARK);
    std::fs::write(&mark, format!("mainspring {}\n{report}\n", crate::VERSION))
        .map_err(|source| BackupError::Copy { path: mark, source })?;
    Ok(report)
}

/// Brings the backup in `from` into the data folder, which must be empty.
///
/// # Errors
/// [`BackupError`].
pub fn load(settings: &Settings, from: &Path) -> Result<Report, BackupError> {
    if !from.join(MARK).is_file() {
        let reason = format!("it has no file {MARK}");
        return Err(BackupError::NotABackup { path: from.to_owned(), reason });
    }
    let data = DataDir::open(&settings.data)?;
    let leftover = std::fs::read_dir(data.root())
        .map_err(|source| BackupError::Copy { path: data.root().to_owned(), source })?
        .filter_map(Result::ok)
        .any(|entry| entry.file_name() != "lock");
    if leftover {
        return Err(BackupError::NotEmpty(data.root().to_owned()));
    }
    let mut report = Report::default();
    copy_file(&from.join(DATABASE), &data.database(), &mut report)?;
    for folder in FOLDERS {
        copy_tree(&from.join(folder), &data.root().join(folder), &mut report)?;
    }
    Ok(report)
}

fn count(path: &Path, report: &mut Report) -> Result<(), BackupError> {
    let size = path.metadata().map_err(|source| BackupError::Copy { path: path.to_owned(), source })?.len();
    report.files += 1;
    report.bytes += size;
    Ok(())
}

fn copy_file(from: &Path, to: &Path, report: &mut Report) -> Result<(), BackupError> {
    match std::fs::copy(from, to) {
        Ok(size) => {
            report.files += 1;
            report.bytes += size;
            Ok(())
        }
        // Retention or a purge took it between listing and copying: then it is not wanted either.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && from.file_name() != Some(DATABASE.as_ref()) => Ok(()),
        Err(source) => Err(BackupError::Copy { path: from.to_owned(), source }),
    }
}

fn copy_tree(from: &Path, to: &Path, report: &mut Report) -> Result<(), BackupError> {
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(BackupError::Copy { path: from.to_owned(), source }),
    };
    std::fs::create_dir_all(to).map_err(|source| BackupError::Copy { path: to.to_owned(), source })?;
    for entry in entries {
        let entry = entry.map_err(|source| BackupError::Copy { path: from.to_owned(), source })?;
        let kind = entry.file_type().map_err(|source| BackupError::Copy { path: entry.path(), source })?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_tree(&entry.path(), &target, report)?;
        } else if kind.is_file() {
            copy_file(&entry.path(), &target, report)?;
        }
    }
    Ok(())
}

//! Saving and restoring what is kept on this machine: the SQLite database, local artifacts and the
//! journal. A backup may be taken while the server runs: the database is copied by SQLite's own
//! online backup first, then the journal's log, then the files that both speak of, which are never
//! changed in place. The log comes before the artifacts because a segment that is sealed meanwhile
//! moves from the one into the other: copied in this order it is in both, and sealing it again after
//! a restore replaces its files.

use crate::config::Settings;
use crate::data::{DataDir, DataError, make_private};
use crate::wiring;
use mainspring_core::{ErrorKind, Failure};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What a backup holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Files copied.
    pub files: u64,
    /// Their size, bytes.
    pub bytes: u64,
    /// The bucket that has the artifacts and the sealed part of the journal, which are then not in the backup.
    pub bucket: Option<String>,
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
    /// The backup would be copied into itself.
    #[error("{} is inside {}, which the backup copies", to.display(), of.display())]
    Inside {
        /// The target.
        to: PathBuf,
        /// The folder to copy.
        of: PathBuf,
    },
    /// The data folder or the folder of artifacts holds something.
    #[error("{} holds data already; restore into an empty folder", .0.display())]
    NotEmpty(PathBuf),
    /// The artifacts of the backup would go into a bucket.
    #[error("the backup holds artifacts, and --artifacts names {0}: they are restored into folders only")]
    ToBucket(String),
    /// The artifacts are in a bucket that the settings do not name.
    #[error("the artifacts of this backup are in {bucket}, and --artifacts names {}", .named.as_deref().unwrap_or("nothing"))]
    OtherStore {
        /// Where they are.
        bucket: String,
        /// What the settings name.
        named: Option<String>,
    },
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
            Self::Exists(_)
            | Self::NoData(_)
            | Self::Inside { .. }
            | Self::NotEmpty(_)
            | Self::ToBucket(_)
            | Self::OtherStore { .. }
            | Self::NotABackup { .. }
            | Self::Postgres => ErrorKind::InvalidInput,
            Self::Database(_) | Self::Copy { .. } | Self::Data(_) => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Postgres => {
                Some("use pg_dump for the database, and copy the data folder's journal/ beside it".into())
            }
            Self::Inside { .. } => Some("name a folder outside of it".into()),
            Self::NotEmpty(_) => Some("name another folder with --data, or with --artifacts for the artifacts".into()),
            Self::ToBucket(_) => Some("name a folder with --artifacts, or leave it out".into()),
            Self::OtherStore { bucket, .. } => {
                Some(format!("say --artifacts {bucket}, or the bucket that its files were copied to"))
            }
            Self::NoData(_) => Some(
                "name the data folder with --data, and the folder of artifacts, if it is another, with --artifacts"
                    .into(),
            ),
            _ => None,
        }
    }
}

/// Written last, so that a backup cut short is not taken for a whole one.
const MARK: &str = "BACKUP";
const DATABASE: &str = "mainspring.db";
const ARTIFACTS: &str = "artifacts";
const JOURNAL: &str = "journal";
/// Begins the line of the mark that says which bucket has the artifacts.
const ELSEWHERE: &str = "artifacts in ";

/// Where the settings say that artifacts are.
enum Place {
    Folder(PathBuf),
    Bucket(String),
}

impl Place {
    fn of(settings: &Settings) -> Self {
        match settings.artifacts.as_deref() {
            None => Self::Folder(settings.data.join(ARTIFACTS)),
            Some(url) => match url.strip_prefix("file://") {
                Some(path) => Self::Folder(path.into()),
                None if url.contains("://") => Self::Bucket(url.to_owned()),
                None => Self::Folder(url.into()),
            },
        }
    }
}

/// Saves the data folder, and the folder of the artifacts where that is another one, into the new folder `to`.
///
/// # Errors
/// [`BackupError`]; a folder that could not be finished is left without its mark and is refused by
/// [`load`].
pub async fn save(settings: &Settings, to: &Path) -> Result<Report, BackupError> {
    save_with(settings, to, async || {}).await
}

/// Saves; `between` the copy of the journal and that of the artifacts something else happens, in a test.
async fn save_with(settings: &Settings, to: &Path, between: impl AsyncFnOnce()) -> Result<Report, BackupError> {
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
    let (place, journal) = (Place::of(settings), settings.data.join(JOURNAL));
    outside(to, &journal)?;
    if let Place::Folder(folder) = &place {
        outside(to, folder)?;
        // One that is wrongly named must not look like one that is empty.
        if settings.artifacts.is_some() && !folder.is_dir() {
            return Err(BackupError::NoData(folder.clone()));
        }
    }
    make_private(to).map_err(copying(to))?;
    let mut report = Report::default();
    let copy = to.join(DATABASE);
    // As it is: an older server may be using it, and may be what it is restored for.
    wiring::back_up_database(settings, &copy).await.map_err(|e| BackupError::Database(e.to_string()))?;
    sync(&copy)?;
    count(&copy, &mut report)?;
    // Segments before the tiles: those may have seen more than the log that is copied, never less.
    copy_tree(&journal, &to.join(JOURNAL), &mut report, Files::Logs)?;
    copy_tree(&journal, &to.join(JOURNAL), &mut report, Files::Others)?;
    between().await;
    match place {
        Place::Folder(folder) => copy_tree(&folder, &to.join(ARTIFACTS), &mut report, Files::All)?,
        Place::Bucket(url) => report.bucket = Some(url),
    }
    let mark = to.join(MARK);
    let elsewhere = report.bucket.as_ref().map_or_else(String::new, |url| format!("{ELSEWHERE}{url}\n"));
    std::fs::write(&mark, format!("mainspring {}\n{report}\n{elsewhere}", crate::VERSION)).map_err(copying(&mark))?;
    sync(&mark)?;
    sync(to)?;
    Ok(report)
}

/// Brings the backup in `from` into the data folder, which must be empty, and its artifacts into the folder that
/// the settings name.
///
/// # Errors
/// [`BackupError`].
pub fn load(settings: &Settings, from: &Path) -> Result<Report, BackupError> {
    let Ok(mark) = std::fs::read_to_string(from.join(MARK)) else {
        let reason = format!("it has no file {MARK}");
        return Err(BackupError::NotABackup { path: from.to_owned(), reason });
    };
    let bucket = mark.lines().find_map(|line| line.strip_prefix(ELSEWHERE)).map(str::to_owned);
    let place = match (Place::of(settings), &bucket) {
        (Place::Folder(folder), None) => Some(folder),
        (Place::Bucket(url), None) if holds_something(&from.join(ARTIFACTS))? => {
            return Err(BackupError::ToBucket(url));
        }
        (Place::Bucket(_), _) => None,
        (Place::Folder(_), Some(bucket)) => {
            return Err(BackupError::OtherStore { bucket: bucket.clone(), named: settings.artifacts.clone() });
        }
    };
    let data = DataDir::open(&settings.data)?;
    let leftover = std::fs::read_dir(data.root())
        .map_err(copying(data.root()))?
        .filter_map(Result::ok)
        .any(|entry| entry.file_name() != "lock");
    if leftover {
        return Err(BackupError::NotEmpty(data.root().to_owned()));
    }
    if let Some(folder) = place.as_ref().filter(|_| settings.artifacts.is_some()) {
        if holds_something(folder)? {
            return Err(BackupError::NotEmpty(folder.clone()));
        }
        make_private(folder).map_err(copying(folder))?;
    }
    let mut report = Report { bucket, ..Report::default() };
    copy_file(&from.join(DATABASE), &data.database(), &mut report)?;
    copy_tree(&from.join(JOURNAL), &data.journal(), &mut report, Files::All)?;
    if let Some(folder) = place {
        copy_tree(&from.join(ARTIFACTS), &folder, &mut report, Files::All)?;
    }
    sync(data.root())?;
    Ok(report)
}

fn copying(path: &Path) -> impl Fn(std::io::Error) -> BackupError {
    move |source| BackupError::Copy { path: path.to_owned(), source }
}

fn outside(to: &Path, of: &Path) -> Result<(), BackupError> {
    let (to_whole, of_whole) = (std::path::absolute(to).map_err(copying(to))?, whole(of)?);
    // What is not there yet has no canonical name; the first folder above it that is has one.
    let known = to_whole.ancestors().find_map(|above| above.canonicalize().ok());
    if to_whole.starts_with(&of_whole) || known.is_some_and(|above| above.starts_with(&of_whole)) {
        return Err(BackupError::Inside { to: to.to_owned(), of: of.to_owned() });
    }
    Ok(())
}

fn whole(path: &Path) -> Result<PathBuf, BackupError> {
    path.canonicalize().or_else(|_| std::path::absolute(path)).map_err(copying(path))
}

/// Whether anything is in a folder, uploads that were cut off aside.
fn holds_something(folder: &Path) -> Result<bool, BackupError> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.any(|e| e.is_ok_and(|e| e.file_name() != ".staging"))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(copying(folder)(source)),
    }
}

/// Waits until a file, or the names in a folder, are on the disk.
fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(copying(path))
}

fn count(path: &Path, report: &mut Report) -> Result<(), BackupError> {
    let size = path.metadata().map_err(copying(path))?.len();
    report.files += 1;
    report.bytes += size;
    Ok(())
}

fn copy_file(from: &Path, to: &Path, report: &mut Report) -> Result<(), BackupError> {
    match std::fs::copy(from, to) {
        Ok(size) => {
            report.files += 1;
            report.bytes += size;
            sync(to)
        }
        // Retention, a purge or the end of a sealed segment took it between listing and copying: then it is
        // not wanted, or is among the artifacts.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && from.file_name() != Some(DATABASE.as_ref()) => Ok(()),
        Err(source) => Err(copying(from)(source)),
    }
}

/// Which files of a folder are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Files {
    All,
    /// Segments of the journal.
    Logs,
    /// What is no segment.
    Others,
}

impl Files {
    fn has(self, path: &Path) -> bool {
        let log = path.extension().is_some_and(|e| e == "log");
        self == Self::All || log == (self == Self::Logs)
    }
}

fn copy_tree(from: &Path, to: &Path, report: &mut Report, files: Files) -> Result<(), BackupError> {
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(copying(from)(source)),
    };
    std::fs::create_dir_all(to).map_err(copying(to))?;
    for entry in entries {
        let entry = entry.map_err(copying(from))?;
        let kind = entry.file_type().map_err(copying(&entry.path()))?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_tree(&entry.path(), &target, report, files)?;
        } else if kind.is_file() && files.has(&entry.path()) {
            copy_file(&entry.path(), &target, report)?;
        }
    }
    sync(to)
}

#[cfg(test)]
mod tests;

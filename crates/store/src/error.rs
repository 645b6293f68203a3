//! What can go wrong with the database, told apart far enough that a caller can act on it.

use mainspring_core::{ErrorKind, Failure};

/// A failure of the metadata database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A row with this key exists already.
    #[error("a row with the same {constraint} exists already")]
    Unique {
        /// The columns (SQLite) or the constraint's name (Postgres).
        constraint: String,
    },
    /// A row refers to one that does not exist, or is referred to by others.
    #[error("a row refers to one that is not there, or others refer to it: {detail}")]
    ForeignKey {
        /// The database's own words.
        detail: String,
    },
    /// A `CHECK` or `NOT NULL` constraint refused the row.
    #[error("a constraint refused the row: {detail}")]
    Check {
        /// The database's own words.
        detail: String,
    },
    /// The disk that holds the database is full; nothing of the transaction was kept.
    #[error("the disk of the database is full: {detail}")]
    Full {
        /// The database's own words.
        detail: String,
    },
    /// The database, or this transaction, may only read.
    #[error("the database is read-only here: {detail}")]
    ReadOnly {
        /// The database's own words.
        detail: String,
    },
    /// The database does not answer.
    #[error("the database {what} does not answer: {reason}")]
    Unavailable {
        /// Which one, without credentials.
        what: String,
        /// Why, as far as is known.
        reason: String,
    },
    /// More waits for the database than it may hold, or another process holds its lock.
    #[error("the database is busy: {detail}")]
    Busy {
        /// What was waited for.
        detail: String,
    },
    /// Another transaction won; the whole request can be sent again.
    #[error("another transaction changed the same rows: {detail}")]
    Conflict {
        /// The database's own words.
        detail: String,
    },
    /// A lease is held by somebody newer.
    #[error("the lease {name:?} was lost: token {token} is not its current one")]
    LeaseLost {
        /// The lease.
        name: String,
        /// The token that is out of date.
        token: i64,
    },
    /// The schema was written by a newer binary.
    #[error("the tables of {domain} are at version {found}; this binary knows up to {known}")]
    Newer {
        /// The migration set.
        domain: String,
        /// The version in the database.
        found: u32,
        /// The last version of this binary.
        known: u32,
    },
    /// A migration that was applied is no longer what it was.
    #[error("migration {version} ({name}) of {domain} was changed after it was applied")]
    Changed {
        /// The migration set.
        domain: String,
        /// Its version.
        version: u32,
        /// Its name.
        name: String,
    },
    /// A migration failed; the database is as it was.
    #[error("migration {version} ({name}) of {domain} failed: {reason}")]
    Migration {
        /// The migration set.
        domain: String,
        /// Its version.
        version: u32,
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A column is missing, NULL or of another type than asked for.
    #[error("column {column:?} holds {found}, not {wanted}")]
    Column {
        /// The column asked for.
        column: String,
        /// The type asked for.
        wanted: &'static str,
        /// What is there.
        found: String,
    },
    /// A parameter does not fit the statement.
    #[error("parameter ${index} {reason}")]
    Param {
        /// Counted from one, as in the SQL.
        index: usize,
        /// Why it does not fit.
        reason: String,
    },
    /// The statement is wrong, or the database refused it for a reason not listed here.
    #[error("the statement {statement:?} failed: {reason}")]
    Sql {
        /// The first part of the statement; its parameters are not shown.
        statement: String,
        /// The database's own words.
        reason: String,
    },
    /// An earlier statement of this transaction failed, so nothing more can run in it.
    #[error("an earlier statement failed, so the transaction was given up: {reason}")]
    Aborted {
        /// The earlier failure.
        reason: String,
    },
    /// The file is not a database, or is damaged.
    #[error("the database {what} is damaged or is not a database: {reason}")]
    Corrupt {
        /// Its path.
        what: String,
        /// The database's own words.
        reason: String,
    },
    /// The code inside a transaction panicked; the transaction was rolled back.
    #[error("the code inside a transaction panicked; its changes were rolled back")]
    Panicked,
    /// A transaction was started inside a transaction.
    #[error("a transaction was started inside another one; use the connection at hand")]
    Nested,
    /// The database was closed.
    #[error("the database was closed")]
    Closed,
    /// The settings name no database that this binary knows.
    #[error("{given:?} names no database: {reason}")]
    Settings {
        /// What was given, without credentials.
        given: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// A copy of the database could not be made.
    #[error("the backup to {path} failed: {reason}")]
    Backup {
        /// Where to.
        path: String,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    /// Whether the same request may succeed when it is sent again unchanged.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Conflict { .. }) || self.kind().retryable()
    }

    /// Whether a row with the same key exists.
    pub fn is_unique(&self) -> bool {
        matches!(self, Self::Unique { .. })
    }

    /// A statement's failure, with only the first part of its text.
    pub(crate) fn sql(statement: &str, reason: impl std::fmt::Display) -> Self {
        let mut text: String = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((cut, _)) = text.char_indices().nth(160) {
            text.truncate(cut);
            text.push('…');
        }
        Self::Sql { statement: text, reason: reason.to_string() }
    }
}

impl Failure for StoreError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unique { .. } => ErrorKind::AlreadyExists,
            Self::ForeignKey { .. } | Self::Conflict { .. } | Self::LeaseLost { .. } => ErrorKind::Conflict,
            Self::Check { .. } | Self::Settings { .. } => ErrorKind::InvalidInput,
            Self::Busy { .. } => ErrorKind::Overloaded,
            Self::Full { .. } | Self::Unavailable { .. } | Self::Closed => ErrorKind::Unavailable,
            Self::ReadOnly { .. }
            | Self::Newer { .. }
            | Self::Changed { .. }
            | Self::Migration { .. }
            | Self::Column { .. }
            | Self::Param { .. }
            | Self::Sql { .. }
            | Self::Aborted { .. }
            | Self::Corrupt { .. }
            | Self::Panicked
            | Self::Nested
            | Self::Backup { .. } => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Full { .. } => "free space on the disk that holds the database, then send the request again",
            Self::ReadOnly { .. } => "check the permissions of the database file and its folder, and the user's grants",
            Self::Unavailable { .. } => {
                "check that the database runs and can be reached; requests work again once it is"
            }
            Self::Busy { .. } => "send the request again after a while",
            Self::Conflict { .. } => "send the request again",
            Self::Newer { .. } => "start the newer binary, or restore the backup made before the upgrade",
            Self::Changed { .. } => "use the binary that made this database, or restore a backup",
            Self::Corrupt { .. } => "restore a backup: mainspring backup makes them",
            Self::Settings { .. } => "give a file path, sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

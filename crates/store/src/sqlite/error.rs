//! SQLite's result codes in this crate's words. The codes: <https://www.sqlite.org/rescode.html>.

use crate::error::StoreError;
use rusqlite::{Error, ErrorCode, ffi};

/// What `error` means for the caller. `name` is the database's name for messages.
pub(super) fn translate(error: &Error, sql: &str, name: &str) -> StoreError {
    let (code, text) = match error {
        Error::SqliteFailure(code, text) => (code, text.clone().unwrap_or_else(|| code.to_string())),
        Error::SqlInputError { error, msg, .. } => (error, msg.clone()),
        other => return StoreError::sql(sql, other),
    };
    match code.code {
        ErrorCode::ConstraintViolation => constraint(code.extended_code, text),
        ErrorCode::DiskFull => StoreError::Full { detail: text },
        ErrorCode::ReadOnly => StoreError::ReadOnly { detail: text },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy { detail: text },
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            StoreError::Corrupt { what: name.to_owned(), reason: text }
        }
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure => {
            StoreError::Unavailable { what: name.to_owned(), reason: text }
        }
        _ => StoreError::sql(sql, text),
    }
}

fn constraint(extended: i32, text: String) -> StoreError {
    match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            // "UNIQUE constraint failed: runs.tenant, runs.id"
            let columns = text.split_once(": ").map_or(text.as_str(), |(_, c)| c);
            StoreError::Unique { constraint: columns.to_owned() }
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY | ffi::SQLITE_CONSTRAINT_TRIGGER => StoreError::ForeignKey { detail: text },
        _ => StoreError::Check { detail: text },
    }
}

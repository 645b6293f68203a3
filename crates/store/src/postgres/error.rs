//! Postgres's SQLSTATE codes in this crate's words. The codes:
//! <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use crate::error::StoreError;
use sqlx::Error;
use sqlx::postgres::PgDatabaseError;

/// What `error` means for the caller. `name` is the database's name for messages.
pub(super) fn translate(error: Error, sql: &str, name: &str) -> StoreError {
    let unavailable = |reason: String| StoreError::Unavailable { what: name.to_owned(), reason };
    match error {
        Error::Database(e) => match e.try_downcast::<PgDatabaseError>() {
            Ok(e) => from_server(&e, sql, name),
            Err(e) => StoreError::sql(sql, e),
        },
        Error::PoolTimedOut => unavailable("no connection became free in time".to_owned()),
        Error::PoolClosed => StoreError::Closed,
        Error::Io(e) => unavailable(e.to_string()),
        Error::Tls(e) => unavailable(format!("TLS: {e}")),
        // The stream ended in the middle of a message, or a worker is gone.
        Error::Protocol(e) => unavailable(e),
        Error::WorkerCrashed => unavailable("its connection was lost".to_owned()),
        Error::Configuration(e) => StoreError::Settings { given: name.to_owned(), reason: e.to_string() },
        other => StoreError::sql(sql, other),
    }
}

fn from_server(e: &PgDatabaseError, sql: &str, name: &str) -> StoreError {
    let detail = match e.detail() {
        Some(more) => format!("{}: {more}", e.message()),
        None => e.message().to_owned(),
    };
    match e.code() {
        "23505" | "23P01" => StoreError::Unique { constraint: e.constraint().unwrap_or("key").to_owned() },
        "23503" | "23001" => StoreError::ForeignKey { detail },
        // not_null_violation, check_violation, restrict_violation and the rest of class 23
        code if code.starts_with("23") => StoreError::Check { detail },
        "53100" => StoreError::Full { detail },
        "25006" => StoreError::ReadOnly { detail },
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => StoreError::Conflict { detail },
        // lock_not_available; query_canceled, when the statement's time was over
        "55P03" | "57014" => StoreError::Busy { detail },
        // Classes 08 (connection), 57P (shut-down, starting up), 53 (out of memory, too many
        // connections); 28 and 3D: refused credentials, no such database.
        code if ["08", "57P", "53", "28", "3D"].iter().any(|class| code.starts_with(class)) => {
            StoreError::Unavailable { what: name.to_owned(), reason: detail }
        }
        "XX001" | "XX002" => StoreError::Corrupt { what: name.to_owned(), reason: detail },
        _ => StoreError::sql(sql, detail),
    }
}

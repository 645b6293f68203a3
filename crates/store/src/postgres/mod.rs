//! Postgres: a pool, and a transaction of its own for each read and write.

mod conn;
mod error;
mod migrate;
mod types;

use crate::conn::{Conn, Driver};
use crate::error::StoreError;
use crate::job::run_here;
use crate::migrate::{MigrationSet, Pending};
use crate::settings::DbSettings;
use error::translate;
use futures::future::BoxFuture;
use mainspring_core::{Clock, Secret};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use conn::PgConn;

/// One state of the database for as long as the read lasts.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/// The database itself ends a statement in time; how much longer its word may take to arrive.
const GRACE: Duration = Duration::from_secs(5);

/// An open Postgres database.
pub(crate) struct Postgres {
    pool: PgPool,
    name: Arc<str>,
    wait: Duration,
    statement: Duration,
    clock: Arc<dyn Clock>,
}

/// Connects, and applies what is missing.
pub(crate) async fn open(
    url: &Secret,
    settings: &DbSettings,
    sets: &[MigrationSet],
    clock: Arc<dyn Clock>,
) -> Result<Postgres, StoreError> {
    let db = pool(url, settings, clock)?;
    migrate::apply(&db, sets).await?;
    Ok(db)
}

/// What opening would apply.
pub(crate) async fn pending(
    url: &Secret,
    settings: &DbSettings,
    sets: &[MigrationSet],
    clock: Arc<dyn Clock>,
) -> Result<Pending, StoreError> {
    let db = pool(url, settings, clock)?;
    let pending = migrate::pending(&db, sets).await;
    db.close().await;
    pending
}

fn pool(url: &Secret, settings: &DbSettings, clock: Arc<dyn Clock>) -> Result<Postgres, StoreError> {
    let name: Arc<str> = settings.display().into();
    let options = PgConnectOptions::from_str(url.reveal())
        .map_err(|e| StoreError::Settings { given: name.to_string(), reason: e.to_string() })?
        .application_name("mainspring")
        .statement_cache_capacity(512)
        .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(1));
    let pool = PgPoolOptions::new()
        .max_connections(settings.connections)
        .acquire_timeout(settings.wait)
        // A connection that the database closed meanwhile is found here and replaced.
        .test_before_acquire(true)
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(1800))
        .connect_lazy_with(options);
    Ok(Postgres { pool, name, wait: settings.wait, statement: settings.statement, clock })
}

impl Postgres {
    pub(crate) async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut conn = self.begin(BEGIN_READ).await?;
        let result = run_here(f, &mut conn).await;
        // Nothing was changed; a connection that broke meanwhile is replaced by the pool.
        let _ = end(conn, false).await;
        result
    }

    /// The closure's result, and whether it wrote to the outbox.
    pub(crate) async fn write<T, E, F>(&self, f: F) -> Result<(T, bool), E>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut conn = self.begin(BEGIN_WRITE).await?;
        let result = run_here(f, &mut conn).await;
        let outboxed = conn.outboxed;
        match result {
            Ok(value) => {
                end(conn, true).await?;
                Ok((value, outboxed))
            }
            Err(reason) => {
                // The database rolls back on its own when the connection is gone.
                let _ = end(conn, false).await;
                Err(reason)
            }
        }
    }

    async fn begin(&self, begin: &str) -> Result<Conn, StoreError> {
        self.begin_limited(begin, Some(self.statement)).await
    }

    /// Begins a transaction whose statements, and whose pauses between them, end after `limit`.
    async fn begin_limited(&self, begin: &str, limit: Option<Duration>) -> Result<Conn, StoreError> {
        let ms = limit.map_or(0, |l| l.as_millis());
        let script = format!(
            "{begin}; SET LOCAL statement_timeout = {ms}; SET LOCAL idle_in_transaction_session_timeout = {ms}"
        );
        let answer = limit.map_or(Duration::MAX, |l| l.saturating_add(GRACE));
        // The pool's own limit does not cover a connection that hangs at BEGIN.
        let begun = tokio::time::timeout(self.wait, async {
            let conn = self.pool.acquire().await.map_err(|e| translate(e, begin, &self.name))?;
            PgConn::begin(conn, script, Arc::clone(&self.name), answer).await
        });
        let begun = begun.await.unwrap_or_else(|_| {
            let reason = format!("no connection within {} ms", self.wait.as_millis());
            Err(StoreError::Unavailable { what: self.name.to_string(), reason })
        });
        Ok(Conn::new(Driver::Postgres(begun?), Arc::clone(&self.clock)))
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) fn display(&self) -> &str {
        &self.name
    }
}

async fn end(conn: Conn, commit: bool) -> Result<(), StoreError> {
    match conn.driver {
        Driver::Postgres(pg) => pg.end(commit).await,
        Driver::Sqlite(_) => Err(StoreError::Closed),
    }
}

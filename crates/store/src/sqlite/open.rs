//! Opening: the file, its settings, its tables, its threads.

use super::checkpoint::Checkpoint;
use super::conn::SqliteConn;
use super::error::translate;
use super::readers::Readers;
use super::threads;
use super::{Line, QUEUE, Queue, Sqlite};
use crate::conn::Dialect;
use crate::error::StoreError;
use crate::migrate::{self, Applied, MigrationSet, Pending};
use crate::settings::DbSettings;
use mainspring_core::Clock;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// How many prepared statements each connection keeps.
const STATEMENTS: usize = 256;

/// Opens the database, applies what is missing and starts the threads.
pub(crate) async fn open(
    path: &Path,
    settings: &DbSettings,
    sets: Vec<MigrationSet>,
    clock: Arc<dyn Clock>,
    outbox: watch::Sender<u64>,
) -> Result<Sqlite, StoreError> {
    let (path, settings) = (path.to_owned(), settings.clone());
    let runtime = tokio::runtime::Handle::current();
    let work = move || {
        let name: Arc<str> = settings.display().into();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| unopened(&name, &e))?;
        }
        if !path.exists() {
            create_private(&path).map_err(|e| unopened(&name, &e))?;
        }
        let writer = connect(&path, &name, settings.wait)?;
        apply(&writer, &sets, clock.as_ref())?;
        pragma(&writer, "foreign_keys", "ON")?;

        let mut handles = Vec::new();
        let shared = threads::Shared { runtime, clock };
        let (write_sender, receiver) = crossbeam_channel::unbounded();
        let (checkpoint, handle) = Checkpoint::start(connect(&path, &name, settings.wait)?)?;
        handles.push(threads::writer((writer, checkpoint), receiver, shared.clone(), outbox)?);
        handles.push(handle);
        let readers = Readers::default();
        for number in 0..settings.connections {
            let reader = connect(&path, &name, settings.wait)?;
            pragma(&reader, "query_only", "ON")?;
            // KiB of pages. With SQLite's 2 MiB a search over ten thousand runs reads most of them twice.
            pragma(&reader, "cache_size", "-8192")?;
            handles.push(threads::reader(number, reader, readers.join(), shared.clone())?);
        }
        let queue = |line| Queue { line, places: Arc::new(Semaphore::new(QUEUE)), wait: settings.wait };
        Ok(Sqlite {
            name: name.to_string(),
            writer: queue(Line::Writer(write_sender)),
            readers: queue(Line::Readers(readers)),
            reader_count: settings.connections as usize,
            threads: Mutex::new(handles),
        })
    };
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Panicked))
}

/// What opening would apply.
pub(crate) async fn pending(
    path: &Path,
    settings: &DbSettings,
    sets: Vec<MigrationSet>,
) -> Result<Pending, StoreError> {
    let (path, settings) = (path.to_owned(), settings.clone());
    let work = move || {
        let mut known = Vec::new();
        if path.exists() {
            let mut conn = connect(&path, &settings.display().into(), settings.wait)?;
            let there = "SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'";
            if !conn.query(there, &[])?.is_empty() {
                known = applied(&conn)?;
            }
        }
        Pending::of(Dialect::Sqlite, &sets, &known)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Panicked))
}

/// Makes an empty file that only this user may read: it will hold the digests of keys. SQLite gives
/// its log the same permissions.
pub(super) fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

fn unopened(name: &str, e: &std::io::Error) -> StoreError {
    match e.kind() {
        std::io::ErrorKind::StorageFull => StoreError::Full { detail: e.to_string() },
        _ => StoreError::Unavailable { what: name.to_owned(), reason: e.to_string() },
    }
}

/// A connection with the settings that all have in common.
pub(super) fn connect(path: &Path, name: &Arc<str>, busy: Duration) -> Result<SqliteConn, StoreError> {
    let fail = |e: rusqlite::Error| match translate(&e, "open", name) {
        StoreError::Sql { reason, .. } => StoreError::Unavailable { what: name.to_string(), reason },
        other => other,
    };
    let raw = rusqlite::Connection::open(path).map_err(fail)?;
    raw.set_prepared_statement_cache_capacity(STATEMENTS);
    raw.busy_timeout(busy).map_err(fail)?;
    // A plan depends on the statement alone. Otherwise SQLite may look at what is bound, and a statement of the cache, whose
    // bindings are cleared each time, is compiled anew at each use: 50 µs in place of 5.
    raw.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(fail)?;
    let conn = SqliteConn { raw, name: Arc::clone(name), orders: HashMap::new() };
    write_ahead(&conn, busy)?;
    // FULL syncs the log at each commit: what was acknowledged survives a power cut.
    pragma(&conn, "synchronous", "FULL")?;
    pragma(&conn, "temp_store", "MEMORY")?;
    // When the log has so many pages (64 MiB), a commit copies what is not yet in the database, so that the
    // log begins anew. Most of it was copied beside the writer by then.
    pragma(&conn, "wal_autocheckpoint", "16384")?;
    // The log shrinks back to this after a checkpoint, in bytes.
    pragma(&conn, "journal_size_limit", "67108864")?;
    Ok(conn)
}

/// Switches to the write-ahead log. While another opens the same new file, SQLite refuses this at once,
/// whatever the busy timeout says, because both want the whole file.
fn write_ahead(conn: &SqliteConn, busy: Duration) -> Result<(), StoreError> {
    let begun = Instant::now();
    loop {
        match pragma(conn, "journal_mode", "WAL") {
            Err(StoreError::Busy { .. }) if begun.elapsed() < busy => std::thread::sleep(Duration::from_millis(5)),
            done => return done,
        }
    }
}

fn pragma(conn: &SqliteConn, key: &str, value: &str) -> Result<(), StoreError> {
    conn.raw.pragma_update(None, key, value).map_err(|e| translate(&e, key, &conn.name))
}

/// Applies the missing migrations in one transaction. Foreign keys are off meanwhile, as SQLite
/// asks for when tables are rebuilt (<https://www.sqlite.org/lang_altertable.html>, section 7),
/// and are checked before the commit.
fn apply(conn: &SqliteConn, sets: &[MigrationSet], clock: &dyn Clock) -> Result<(), StoreError> {
    pragma(conn, "foreign_keys", "OFF")?;
    conn.control("BEGIN IMMEDIATE")?;
    let done = apply_steps(conn, sets, clock).and_then(|()| conn.control("COMMIT"));
    if done.is_err() && !conn.raw.is_autocommit() {
        conn.control("ROLLBACK")?;
    }
    done
}

fn apply_steps(conn: &SqliteConn, sets: &[MigrationSet], clock: &dyn Clock) -> Result<(), StoreError> {
    conn.raw.execute_batch(migrate::TABLE).map_err(|e| translate(&e, migrate::TABLE, &conn.name))?;
    let steps = migrate::plan(Dialect::Sqlite, sets, &applied(conn)?)?;
    if steps.is_empty() {
        return Ok(());
    }
    for step in &steps {
        conn.raw.execute_batch(step.text).map_err(|e| match translate(&e, step.text, &conn.name) {
            full @ StoreError::Full { .. } => full,
            other => step.failed(other),
        })?;
        let args = rusqlite::params![step.domain, step.version, step.name, step.checksum, clock.now().micros()];
        conn.raw.execute(migrate::INSERT, args).map_err(|e| translate(&e, migrate::INSERT, &conn.name))?;
        tracing::info!(domain = step.domain, version = step.version, name = step.name, "migration applied");
    }
    let check = || -> rusqlite::Result<Option<String>> {
        let mut statement = conn.raw.prepare("PRAGMA foreign_key_check")?;
        let mut rows = statement.query([])?;
        rows.next()?.map(|row| row.get::<_, String>(0)).transpose()
    };
    match check().map_err(|e| translate(&e, "PRAGMA foreign_key_check", &conn.name))? {
        None => Ok(()),
        Some(table) => Err(StoreError::ForeignKey { detail: format!("after the migrations, in table {table}") }),
    }
}

fn applied(conn: &SqliteConn) -> Result<Vec<Applied>, StoreError> {
    let read = || -> rusqlite::Result<Vec<Applied>> {
        let mut statement = conn.raw.prepare(migrate::SELECT)?;
        let rows = statement.query_map([], |r| {
            Ok(Applied { domain: r.get(0)?, version: r.get(1)?, name: r.get(2)?, checksum: r.get(3)? })
        })?;
        rows.collect()
    };
    read().map_err(|e| translate(&e, migrate::SELECT, &conn.name))
}

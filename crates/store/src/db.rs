//! The handle that everybody holds.

use crate::conn::Conn;
use crate::error::StoreError;
use crate::migrate::{MigrationSet, Pending};
use crate::postgres::Postgres;
use crate::settings::{DbSettings, Target};
use crate::sqlite::Sqlite;
use futures::future::BoxFuture;
use mainspring_core::{Clock, Ctx, Timestamp};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// The metadata database. Cheap to clone; when the last clone goes, its threads end.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    clock: Arc<dyn Clock>,
    outbox: watch::Sender<u64>,
}

enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Db").field(&self.display()).finish()
    }
}

impl Db {
    /// Opens the database and brings its tables up to date: the store's own and those of `sets`,
    /// all in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer binary wrote it, [`StoreError::Changed`] when an applied
    /// migration is not what it was, [`StoreError::Unavailable`] when it cannot be reached or opened.
    pub async fn open(settings: &DbSettings, sets: &[MigrationSet], ctx: &Ctx) -> Result<Self, StoreError> {
        let all = with_own(sets)?;
        let outbox = watch::Sender::new(0);
        let clock = Arc::clone(&ctx.clock);
        let backend = match &settings.target {
            Target::Sqlite(path) => {
                let opened = crate::sqlite::open(path, settings, all, Arc::clone(&clock), outbox.clone()).await?;
                Backend::Sqlite(opened)
            }
            Target::Postgres(url) => {
                Backend::Postgres(crate::postgres::open(url, settings, &all, Arc::clone(&clock)).await?)
            }
        };
        Ok(Self { inner: Arc::new(Inner { backend, clock, outbox }) })
    }

    /// Runs `f` on a snapshot: it sees one state of the database and cannot change it.
    ///
    /// # Errors
    /// `f`'s own; [`StoreError::Busy`] or [`StoreError::Unavailable`] when it could not begin.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.inner.backend {
            Backend::Sqlite(db) => db.read(f).await,
            Backend::Postgres(db) => db.read(f).await,
        }
    }

    /// Runs `f` in a transaction that is committed when `f` returns `Ok` and rolled back otherwise.
    /// `Ok` comes back only after the commit is on disk.
    ///
    /// On SQLite all writes run one after the other, and those that wait at the same time share one
    /// commit, so `f` must not wait for anything but its connection. On Postgres each write has its
    /// own transaction at READ COMMITTED; see [`Conn::lock`] for changes that read before they decide.
    ///
    /// When the returned future is dropped before `f` began, `f` does not run; after that, its
    /// changes may or may not be kept.
    ///
    /// # Errors
    /// `f`'s own; a [`StoreError`] when the transaction could not begin or commit. A failed
    /// statement rolls the transaction back even when `f` returns `Ok`.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.inner.backend {
            Backend::Sqlite(db) => db.write(f).await,
            Backend::Postgres(db) => {
                let (result, outboxed) = db.write(f).await?;
                if outboxed {
                    self.inner.outbox.send_modify(|n| *n = n.wrapping_add(1));
                }
                Ok(result)
            }
        }
    }

    /// A number that changes after each commit of this process that wrote to the outbox, so that a
    /// relay need not poll for its own process's events.
    pub fn outbox_changed(&self) -> watch::Receiver<u64> {
        self.inner.outbox.subscribe()
    }

    /// What [`Db::open`] would apply. Changes nothing: whoever only looks must not
    /// upgrade the database under an older binary that uses it.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub async fn pending(settings: &DbSettings, sets: &[MigrationSet], ctx: &Ctx) -> Result<Pending, StoreError> {
        let all = with_own(sets)?;
        match &settings.target {
            Target::Sqlite(path) => crate::sqlite::pending(path, settings, all).await,
            Target::Postgres(url) => crate::postgres::pending(url, settings, &all, Arc::clone(&ctx.clock)).await,
        }
    }

    /// Copies a database into a new file, as it is, whether or not somebody uses it; the copy is one
    /// consistent state.
    ///
    /// # Errors
    /// [`StoreError::Backup`] when the file exists or cannot be written, and always on Postgres,
    /// whose own tool is `pg_dump`.
    pub async fn backup(settings: &DbSettings, to: &Path) -> Result<(), StoreError> {
        match &settings.target {
            Target::Sqlite(path) => crate::sqlite::backup(path, settings.display(), to).await,
            Target::Postgres(_) => {
                let name = settings.display();
                let reason = format!("this database is Postgres; back it up with: pg_dump --format=custom {name}");
                Err(StoreError::Backup { path: to.display().to_string(), reason })
            }
        }
    }

    /// Waits for what was begun, then closes. Everything after that gets [`StoreError::Closed`].
    pub async fn close(&self) {
        match &self.inner.backend {
            Backend::Sqlite(db) => db.close().await,
            Backend::Postgres(db) => db.close().await,
        }
    }

    /// Whether other processes may use it at the same time; a file is one process's alone.
    pub fn is_shared(&self) -> bool {
        matches!(self.inner.backend, Backend::Postgres(_))
    }

    /// The database's name for messages, without credentials.
    pub fn display(&self) -> String {
        match &self.inner.backend {
            Backend::Sqlite(db) => db.display().to_owned(),
            Backend::Postgres(db) => db.display().to_owned(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }
}

/// The store's own tables first, then the domains'.
fn with_own(sets: &[MigrationSet]) -> Result<Vec<MigrationSet>, StoreError> {
    let mut all = vec![crate::sql::migrations::MIGRATIONS];
    all.extend_from_slice(sets);
    crate::migrate::check(&all)?;
    Ok(all)
}

//! Copies the log into the database beside the writer: writes then wait for the little that came
//! meanwhile, not for all the pages that were changed since the last time.

use super::conn::SqliteConn;
use super::threads;
use crate::error::StoreError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How often, while there are commits.
const EVERY: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Flags {
    /// There were commits since the last copy began.
    commits: AtomicBool,
    ended: AtomicBool,
}

/// The writer's end. The thread ends when it is dropped.
pub(super) struct Checkpoint {
    flags: Arc<Flags>,
    thread: Thread,
}

impl Checkpoint {
    /// Starts the thread, on a connection of its own.
    pub(super) fn start(conn: SqliteConn) -> Result<(Self, JoinHandle<()>), StoreError> {
        let flags = Arc::<Flags>::default();
        let handle = threads::start("store-checkpoint".to_owned(), {
            let flags = Arc::clone(&flags);
            move || {
                while flags.wait() {
                    // The writer does it itself when the log has grown, and says so when it cannot.
                    if let Err(error) = conn.raw.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
                        tracing::debug!(%error, "the log could not be copied beside the writer");
                    }
                    flags.rest();
                }
            }
        })?;
        Ok((Self { flags, thread: handle.thread().clone() }, handle))
    }

    /// There was a commit.
    pub(super) fn note(&self) {
        if !self.flags.commits.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        self.flags.ended.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Flags {
    fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits for a commit; false at the end.
    fn wait(&self) -> bool {
        while !self.ended() {
            if self.commits.swap(false, Ordering::AcqRel) {
                return true;
            }
            std::thread::park();
        }
        false
    }

    fn rest(&self) {
        let until = Instant::now() + EVERY;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|_| !self.ended()) {
            std::thread::park_timeout(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Db, DbSettings, FutureExt, Migration, MigrationSet, args};
    use mainspring_core::Ctx;
    use std::time::{Duration, Instant};

    const SET: MigrationSet = MigrationSet {
        domain: "checkpoint",
        migrations: &[Migration {
            version: 1,
            name: "rows",
            sqlite: "CREATE TABLE rows (body TEXT NOT NULL)",
            postgres: "CREATE TABLE rows (body TEXT NOT NULL)",
        }],
    };

    #[tokio::test]
    async fn what_is_written_reaches_the_database_while_it_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let db = Db::open(&DbSettings::sqlite(&path), &[SET], &Ctx::system()).await.unwrap();
        let body = "x".repeat(1 << 20);
        db.write(move |c| async move { c.execute("INSERT INTO rows (body) VALUES ($1)", args![body]).await }.boxed())
            .await
            .unwrap();
        let until = Instant::now() + Duration::from_mins(1);
        while std::fs::metadata(&path).unwrap().len() < 1 << 20 {
            assert!(Instant::now() < until, "the log was not copied");
            tokio::task::yield_now().await;
        }
        db.close().await;
    }
}

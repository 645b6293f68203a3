//! One connection inside a transaction: what a closure given to [`crate::Db`] works with.

use crate::error::StoreError;
use crate::postgres::PgConn;
use crate::row::Row;
use crate::sqlite::SqliteConn;
use crate::value::Value;
use mainspring_core::{Clock, Timestamp};
use std::sync::Arc;

/// Which SQL is spoken, for the few statements that cannot be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// One connection inside a transaction (in `write`) or a snapshot (in `read`).
pub struct Conn {
    pub(crate) driver: Driver,
    clock: Arc<dyn Clock>,
    /// The first failure of this transaction.
    failed: Option<StoreError>,
    /// The failure of the transaction before, for the thread that has to report it.
    pub(crate) last_failure: Option<StoreError>,
    /// Whether this transaction wrote to the outbox.
    pub(crate) outboxed: bool,
}

pub(crate) enum Driver {
    Sqlite(SqliteConn),
    Postgres(PgConn),
}

impl Conn {
    pub(crate) fn new(driver: Driver, clock: Arc<dyn Clock>) -> Self {
        Self { driver, clock, failed: None, last_failure: None, outboxed: false }
    }

    /// Runs a statement and returns its rows. Placeholders are `$1`, `$2`, …; each may be used
    /// more than once, and all of `args` must be used.
    ///
    /// # Errors
    /// What the database says. After any error this transaction can do nothing more, and is rolled
    /// back at its end.
    pub async fn query(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.usable()?;
        let done = match &mut self.driver {
            Driver::Sqlite(conn) => conn.query(sql, &args),
            Driver::Postgres(conn) => conn.query(sql, &args).await,
        };
        self.note(done)
    }

    /// Runs a statement and returns its first row, if there is one.
    ///
    /// # Errors
    /// As [`Conn::query`].
    pub async fn query_opt(&mut self, sql: &str, args: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, args).await?.into_iter().next())
    }

    /// Runs a statement and returns how many rows it changed.
    ///
    /// # Errors
    /// As [`Conn::query`].
    pub async fn execute(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, StoreError> {
        self.usable()?;
        let done = match &mut self.driver {
            Driver::Sqlite(conn) => conn.execute(sql, &args),
            Driver::Postgres(conn) => conn.execute(sql, &args).await,
        };
        self.note(done)
    }

    /// Writes many rows with few statements, `head VALUES (…), (…) tail`, and returns how many rows
    /// changed. Up to eight rows are one statement, more are powers of two up to 64, so that few distinct
    /// statements exist and all stay prepared.
    ///
    /// # Errors
    /// As [`Conn::query`].
    pub async fn insert_rows(&mut self, head: &str, tail: &str, mut rows: Vec<Vec<Value>>) -> Result<u64, StoreError> {
        let mut done = 0;
        while !rows.is_empty() {
            let count = if rows.len() <= 8 { rows.len() } else { (1 << rows.len().ilog2()).min(64) };
            let rest = rows.split_off(count);
            let mut text = String::with_capacity(head.len() + tail.len() + count * 48);
            text.push_str(head);
            text.push_str(" VALUES ");
            let mut args = Vec::new();
            for (i, row) in rows.into_iter().enumerate() {
                text.push_str(if i == 0 { "(" } else { ", (" });
                for (j, value) in row.into_iter().enumerate() {
                    args.push(value);
                    text.push_str(if j == 0 { "$" } else { ", $" });
                    text.push_str(&args.len().to_string());
                }
                text.push(')');
            }
            text.push(' ');
            text.push_str(tail);
            done += self.execute(&text, args).await?;
            rows = rest;
        }
        Ok(done)
    }

    /// Makes everything that takes the same `key` run one after the other, until the transaction
    /// ends. SQLite's writes do so anyway. On Postgres, where writes run beside each other at READ
    /// COMMITTED, a change that first reads and then decides ("the next version number", "at most
    /// one active") needs this, `SELECT … FOR UPDATE`, or a unique constraint.
    ///
    /// # Errors
    /// As [`Conn::query`].
    pub async fn lock(&mut self, key: &str) -> Result<(), StoreError> {
        match self.dialect() {
            Dialect::Sqlite => self.usable(),
            Dialect::Postgres => self
                .query("SELECT 1 AS locked FROM pg_advisory_xact_lock(hashtextextended($1, 0))", crate::args![key])
                .await
                .map(|_| ()),
        }
    }

    /// Which SQL is spoken.
    pub fn dialect(&self) -> Dialect {
        match self.driver {
            Driver::Sqlite(_) => Dialect::Sqlite,
            Driver::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Now, by the clock that the database was opened with.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn usable(&self) -> Result<(), StoreError> {
        match &self.failed {
            None => Ok(()),
            Some(first) => Err(StoreError::Aborted { reason: first.to_string() }),
        }
    }

    fn note<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(reason) = &done {
            self.failed = Some(reason.clone());
        }
        done
    }

    /// Returns this transaction's first failure, and makes the connection usable again.
    pub(crate) fn take_failure(&mut self) -> Option<StoreError> {
        self.last_failure = self.failed.take();
        self.last_failure.clone()
    }
}

//! Statements on one Postgres connection.
//!
//! The server decides what type each parameter has, and each value is encoded for that type. The
//! other way round has a trap: a statement is prepared once and kept, so a parameter that was NULL
//! or an integer the first time would fix a type that a later float is then read as.

use super::error::translate;
use super::types::{Param, decode};
use crate::error::StoreError;
use crate::row::Row;
use crate::value::Value;
use futures::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow, PgStatement, PgTypeInfo, Postgres};
use sqlx::{Arguments, AssertSqlSafe, Column, Either, Executor, Row as _, SqlSafeStr, Statement};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// One connection that is, or may be, inside a transaction. The pool gets it back only after the
/// database said that the transaction ended; given up before that, wherever it was, it is closed, and
/// the database rolls back.
pub(crate) struct PgConn {
    conn: PoolConnection<Postgres>,
    name: Arc<str>,
    /// How long an answer may take.
    limit: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// An answer did not come in time; the connection is good for nothing more.
    Silent,
    Ended,
}

impl Drop for PgConn {
    fn drop(&mut self) {
        if self.state != State::Ended {
            self.conn.close_on_drop();
        }
    }
}

impl PgConn {
    /// Begins a transaction with `script`.
    pub(super) async fn begin(
        conn: PoolConnection<Postgres>,
        script: String,
        name: Arc<str>,
        limit: Duration,
    ) -> Result<Self, StoreError> {
        let mut begun = Self { conn, name, limit, state: State::Open };
        begun.script(script).await?;
        Ok(begun)
    }

    /// Commits, or rolls back.
    pub(super) async fn end(mut self, commit: bool) -> Result<(), StoreError> {
        if self.state == State::Silent {
            return Err(self.silent());
        }
        self.script(if commit { "COMMIT" } else { "ROLLBACK" }.to_owned()).await?;
        self.state = State::Ended;
        Ok(())
    }

    pub(crate) async fn query(&mut self, sql: &str, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        let done = timeout(self.limit, self.rows(sql, args)).await;
        done.unwrap_or_else(|_| Err(self.silent()))
    }

    pub(crate) async fn execute(&mut self, sql: &str, args: &[Value]) -> Result<u64, StoreError> {
        let done = timeout(self.limit, self.changed(sql, args)).await;
        done.unwrap_or_else(|_| Err(self.silent()))
    }

    /// Runs a script of several statements without parameters.
    pub(super) async fn script(&mut self, sql: String) -> Result<(), StoreError> {
        let shown = sql.clone();
        let done = timeout(self.limit, (&mut *self.conn).execute(sqlx::raw_sql(AssertSqlSafe(sql)))).await;
        match done {
            Ok(ran) => ran.map(|_| ()).map_err(|e| translate(e, &shown, &self.name)),
            Err(_) => Err(self.silent()),
        }
    }

    fn silent(&mut self) -> StoreError {
        self.state = State::Silent;
        let reason = format!("no answer within {} ms", self.limit.as_millis());
        StoreError::Unavailable { what: self.name.to_string(), reason }
    }

    async fn rows(&mut self, sql: &str, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        let (statement, bound) = self.prepare(sql, args).await?;
        let rows = statement.query_with(bound).fetch_all(&mut *self.conn).await;
        let rows = rows.map_err(|e| translate(e, sql, &self.name))?;
        let columns: Arc<[String]> = statement.columns().iter().map(|c| c.name().to_owned()).collect();
        rows.iter().map(|row| convert(row, &columns)).collect()
    }

    async fn changed(&mut self, sql: &str, args: &[Value]) -> Result<u64, StoreError> {
        let (statement, bound) = self.prepare(sql, args).await?;
        let name = Arc::clone(&self.name);
        let mut stream = (&mut *self.conn).fetch_many(statement.query_with(bound));
        let mut changed = 0;
        while let Some(part) = stream.try_next().await.map_err(|e| translate(e, sql, &name))? {
            if let Either::Left(done) = part {
                changed += done.rows_affected();
            }
        }
        Ok(changed)
    }

    /// Prepares, or finds prepared, and encodes the arguments for the types that the server wants.
    async fn prepare(&mut self, sql: &str, args: &[Value]) -> Result<(PgStatement, PgArguments), StoreError> {
        let text = AssertSqlSafe(sql).into_sql_str();
        let prepared = (&mut *self.conn).prepare_with(text, &[]).await;
        let statement = prepared.map_err(|e| translate(e, sql, &self.name))?;
        let types: Vec<PgTypeInfo> = match statement.parameters() {
            Some(Either::Left(types)) => types.to_vec(),
            _ => Vec::new(),
        };
        if types.len() > args.len() {
            let reason = format!("is missing: {} given", args.len());
            return Err(StoreError::Param { index: args.len() + 1, reason });
        }
        if types.len() < args.len() {
            let reason = format!("is not used: the last is ${}", types.len());
            return Err(StoreError::Param { index: args.len(), reason });
        }
        let mut bound = PgArguments::default();
        for (i, (value, ty)) in args.iter().zip(types).enumerate() {
            let added = bound.add(Param { value, ty });
            added.map_err(|e| StoreError::Param { index: i + 1, reason: e.to_string() })?;
        }
        Ok((statement, bound))
    }
}

fn convert(row: &PgRow, columns: &Arc<[String]>) -> Result<Row, StoreError> {
    let mut values = Vec::with_capacity(columns.len());
    for (i, column) in columns.iter().enumerate() {
        let wrong = |found: String| StoreError::Column { column: column.clone(), wanted: "a value", found };
        let raw = row.try_get_raw(i).map_err(|e| wrong(e.to_string()))?;
        values.push(decode(&raw).map_err(wrong)?);
    }
    Ok(Row::new(Arc::clone(columns), values))
}

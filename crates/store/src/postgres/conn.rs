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
use sqlx::postgres::{PgArguments, PgRow, PgStatement, PgTypeInfo, Postgres};
use sqlx::{Arguments, AssertSqlSafe, Column, Either, Executor, Row as _, SqlSafeStr, Statement, Transaction};
use std::sync::Arc;

/// One connection inside a transaction.
pub(crate) struct PgConn {
    pub(super) tx: Transaction<'static, Postgres>,
    pub(super) name: Arc<str>,
}

impl PgConn {
    pub(crate) async fn query(&mut self, sql: &str, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        let (statement, bound) = self.prepare(sql, args).await?;
        let name = Arc::clone(&self.name);
        let rows = statement.query_with(bound).fetch_all(&mut *self.tx).await.map_err(|e| translate(e, sql, &name))?;
        let columns: Arc<[String]> = statement.columns().iter().map(|c| c.name().to_owned()).collect();
        rows.iter().map(|row| convert(row, &columns)).collect()
    }

    pub(crate) async fn execute(&mut self, sql: &str, args: &[Value]) -> Result<u64, StoreError> {
        let (statement, bound) = self.prepare(sql, args).await?;
        let name = Arc::clone(&self.name);
        let mut stream = (&mut *self.tx).fetch_many(statement.query_with(bound));
        let mut changed = 0;
        while let Some(part) = stream.try_next().await.map_err(|e| translate(e, sql, &name))? {
            if let Either::Left(done) = part {
                changed += done.rows_affected();
            }
        }
        Ok(changed)
    }

    /// Runs a script of several statements without parameters.
    pub(super) async fn script(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let done = (&mut *self.tx).execute(sqlx::raw_sql(sql)).await;
        done.map(|_| ()).map_err(|e| translate(e, sql, &self.name))
    }

    /// Prepares, or finds prepared, and encodes the arguments for the types that the server wants.
    async fn prepare(&mut self, sql: &str, args: &[Value]) -> Result<(PgStatement, PgArguments), StoreError> {
        let text = AssertSqlSafe(sql).into_sql_str();
        let prepared = (&mut *self.tx).prepare_with(text, &[]).await;
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

//! Statements on one SQLite connection.

use super::error::translate;
use crate::error::StoreError;
use crate::row::Row;
use crate::value::Value;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, ToSql};
use std::collections::HashMap;
use std::sync::Arc;

/// Of so many statements it is remembered how their placeholders stand.
const ORDERS: usize = 1024;

/// One connection of a database thread.
pub(crate) struct SqliteConn {
    pub(super) raw: rusqlite::Connection,
    /// The database's name for messages.
    pub(super) name: Arc<str>,
    /// By statement, the number of the argument that each position takes.
    pub(super) orders: HashMap<Box<str>, Arc<[usize]>>,
}

impl SqliteConn {
    pub(crate) fn query(&mut self, sql: &str, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        let fail = |e: rusqlite::Error| translate(&e, sql, &self.name);
        let mut statement = self.raw.prepare_cached(sql).map_err(fail)?;
        let order = order(&mut self.orders, &statement, sql)?;
        bind(&mut statement, sql, (&order, args), &self.name)?;
        let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.raw_query();
        let mut out = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            let mut values = Vec::with_capacity(columns.len());
            for (i, column) in columns.iter().enumerate() {
                values.push(read(row.get_ref(i).map_err(fail)?, column)?);
            }
            out.push(Row::new(Arc::clone(&columns), values));
        }
        Ok(out)
    }

    pub(crate) fn execute(&mut self, sql: &str, args: &[Value]) -> Result<u64, StoreError> {
        let fail = |e: rusqlite::Error| translate(&e, sql, &self.name);
        let mut statement = self.raw.prepare_cached(sql).map_err(fail)?;
        let order = order(&mut self.orders, &statement, sql)?;
        bind(&mut statement, sql, (&order, args), &self.name)?;
        if statement.column_count() == 0 {
            let changed = statement.raw_execute().map_err(fail)?;
            return Ok(changed as u64);
        }
        // A SELECT, or a change with RETURNING: each row that comes back is one.
        let mut rows = statement.raw_query();
        let mut count = 0;
        while rows.next().map_err(fail)?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Runs one fixed statement of this crate, such as `BEGIN`.
    pub(super) fn control(&self, sql: &str) -> Result<(), StoreError> {
        let run = || self.raw.prepare_cached(sql)?.raw_execute();
        run().map(|_| ()).map_err(|e| translate(&e, sql, &self.name))
    }
}

/// Which argument each position of a statement takes. SQLite numbers `$2 … $1` by first appearance, and
/// finds a placeholder's name by going through all of them, so it is asked once a statement.
fn order(
    orders: &mut HashMap<Box<str>, Arc<[usize]>>,
    statement: &CachedStatement<'_>,
    sql: &str,
) -> Result<Arc<[usize]>, StoreError> {
    if let Some(known) = orders.get(sql) {
        return Ok(Arc::clone(known));
    }
    let number = |position| statement.parameter_name(position).and_then(|n| n[1..].parse().ok()).filter(|n| *n > 0);
    let found: Option<Arc<[usize]>> = (1..=statement.parameter_count()).map(number).collect();
    let found = found.ok_or_else(|| StoreError::sql(sql, "its placeholders must be $1, $2, …"))?;
    if orders.len() >= ORDERS {
        orders.clear();
    }
    orders.insert(sql.into(), Arc::clone(&found));
    Ok(found)
}

/// Binds each position to the argument that `order` names.
fn bind(
    statement: &mut CachedStatement<'_>,
    sql: &str,
    (order, args): (&[usize], &[Value]),
    name: &str,
) -> Result<(), StoreError> {
    let mut used = 0;
    for (position, number) in order.iter().enumerate() {
        let Some(value) = args.get(number - 1) else {
            return Err(StoreError::Param { index: *number, reason: format!("is missing: {} given", args.len()) });
        };
        used = used.max(*number);
        statement.raw_bind_parameter(position + 1, Bound(value)).map_err(|e| translate(&e, sql, name))?;
    }
    if used < args.len() {
        return Err(StoreError::Param { index: args.len(), reason: format!("is not used: the last is ${used}") });
    }
    Ok(())
}

struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Bool(b) => ValueRef::Integer((*b).into()),
            Value::Int(i) => ValueRef::Integer(*i),
            Value::Real(r) => ValueRef::Real(*r),
            Value::Text(t) => ValueRef::Text(t.as_bytes()),
            Value::Blob(b) => ValueRef::Blob(b),
        }))
    }
}

fn read(value: ValueRef<'_>, column: &str) -> Result<Value, StoreError> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Int(i),
        ValueRef::Real(r) => Value::Real(r),
        ValueRef::Blob(b) => Value::Blob(b.to_vec()),
        ValueRef::Text(t) => Value::Text(String::from_utf8(t.to_vec()).map_err(|_| StoreError::Column {
            column: column.to_owned(),
            wanted: "text",
            found: "text that is not UTF-8".to_owned(),
        })?),
    })
}

#[cfg(test)]
mod tests {
    use super::super::open::connect;
    use rusqlite::StatementStatus;
    use std::time::Duration;

    /// With two indexes to choose from, SQLite 3.54 looks at what is bound, and compiles anew each time that it is.
    #[test]
    fn a_statement_of_the_cache_is_compiled_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = connect(&folder.path().join("t.db"), &"t".into(), Duration::from_secs(1)).unwrap();
        let tables =
            "CREATE TABLE t (a TEXT, b TEXT, n INTEGER, d TEXT, PRIMARY KEY (a, b, n)); CREATE INDEX i ON t (a, d);";
        conn.raw.execute_batch(tables).unwrap();
        let sql = "SELECT * FROM t WHERE a = $1 AND b = $2 ORDER BY n DESC LIMIT 1";
        for b in ["x", "y", "z"] {
            conn.query(sql, &crate::args!["a", b]).unwrap();
        }
        assert_eq!(conn.raw.prepare_cached(sql).unwrap().get_status(StatementStatus::RePrepare), 0);
    }
}

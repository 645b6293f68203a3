//! Applying migrations on Postgres.

use super::{BEGIN_READ, BEGIN_WRITE, Postgres, end};
use crate::conn::{Conn, Dialect, Driver};
use crate::error::StoreError;
use crate::migrate::{self, Applied, MigrationSet, Pending};
use crate::value::Value;

/// Processes that start at the same time wait here for each other ("mainspring" in bytes, folded).
const LOCK: &str = "SELECT 1 AS locked FROM pg_advisory_xact_lock(7882831580013093479)";

pub(super) async fn apply(db: &Postgres, sets: &[MigrationSet]) -> Result<(), StoreError> {
    // A step over a large table takes as long as it takes.
    let mut conn = db.begin_limited(BEGIN_WRITE, None).await?;
    match steps(&mut conn, sets).await {
        Ok(()) => end(conn, true).await,
        Err(reason) => {
            // The reason that matters is the one at hand.
            let _ = end(conn, false).await;
            Err(reason)
        }
    }
}

pub(super) async fn pending(db: &Postgres, sets: &[MigrationSet]) -> Result<Pending, StoreError> {
    let mut conn = db.begin(BEGIN_READ).await?;
    let there = conn.query("SELECT 1 AS there WHERE to_regclass('schema_migrations') IS NOT NULL", Vec::new()).await?;
    let known = if there.is_empty() { Vec::new() } else { applied(&mut conn).await? };
    // Nothing was changed.
    let _ = end(conn, false).await;
    Pending::of(Dialect::Postgres, sets, &known)
}

async fn applied(conn: &mut Conn) -> Result<Vec<Applied>, StoreError> {
    let rows = conn.query(migrate::SELECT, Vec::new()).await?;
    let read = rows.iter().map(|row| {
        let version = u32::try_from(row.int("version")?).unwrap_or(u32::MAX);
        Ok(Applied { domain: row.text("domain")?, version, name: row.text("name")?, checksum: row.text("checksum")? })
    });
    read.collect()
}

async fn steps(conn: &mut Conn, sets: &[MigrationSet]) -> Result<(), StoreError> {
    conn.query(LOCK, Vec::new()).await?;
    script(conn, migrate::TABLE).await?;
    let applied = applied(conn).await?;
    for step in migrate::plan(Dialect::Postgres, sets, &applied)? {
        script(conn, step.text).await.map_err(|e| match e {
            e @ (StoreError::Full { .. } | StoreError::Unavailable { .. }) => e,
            e => step.failed(e),
        })?;
        let at = Value::Int(conn.now().micros());
        let args = crate::args![step.domain, step.version, step.name, step.checksum.as_str(), at];
        conn.execute(migrate::INSERT, args).await?;
        tracing::info!(domain = step.domain, version = step.version, name = step.name, "migration applied");
    }
    Ok(())
}

async fn script(conn: &mut Conn, sql: &'static str) -> Result<(), StoreError> {
    match &mut conn.driver {
        Driver::Postgres(_) if sql.trim().is_empty() => Ok(()),
        Driver::Postgres(pg) => pg.script(sql.to_owned()).await,
        Driver::Sqlite(_) => Err(StoreError::Closed),
    }
}

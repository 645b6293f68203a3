//! The statements over conversions.

mod migrations;

pub use migrations::MIGRATIONS;

use crate::job::{Course, Job, State};
use mainspring_core::{Tenant, Timestamp};
use mainspring_store::{Conn, Row, StoreError, args};

/// How long a job counts as running that nobody has said so of, microseconds.
pub(crate) const SILENT: i64 = 20_000_000;

fn wrong(column: &str, found: String) -> StoreError {
    StoreError::Column { column: column.to_owned(), wanted: "a value this binary wrote", found }
}

fn course(job: &Job) -> Result<String, StoreError> {
    serde_json::to_string(&job.course).map_err(|e| wrong("course", e.to_string()))
}

/// A row as it stands `now`.
fn job(row: &Row, now: Timestamp) -> Result<Job, StoreError> {
    let (task, state, text) = (row.text("task")?, row.text("state")?, row.text("course")?);
    let task = ["convert", "optimize"].into_iter().find(|t| *t == task).ok_or_else(|| wrong("task", task))?;
    let state = State::ALL.into_iter().find(|s| s.as_str() == state).ok_or_else(|| wrong("state", state))?;
    let course: Course = serde_json::from_str(&text).map_err(|e| wrong("course", e.to_string()))?;
    let found = Job {
        id: row.text("id")?,
        task,
        model: row.text("model")?,
        state,
        created: Timestamp(row.int("created_at")?),
        course,
    };
    let silent = now.0.saturating_sub(row.int("seen_at")?) > SILENT;
    Ok(if silent && !state.ended() { found.interrupted() } else { found })
}

/// A job that begins. Of those that ended long ago, the oldest of the tenant go.
pub(crate) async fn insert(
    c: &mut Conn,
    tenant: &Tenant,
    job: &Job,
    replica: &str,
    kept: i64,
) -> Result<(), StoreError> {
    c.execute(
        "INSERT INTO conversions (tenant, id, task, model, state, created_at, replica, seen_at, cancelled, course)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $6, 0, $8)",
        args![tenant, &job.id, job.task, &job.model, job.state.as_str(), job.created, replica, course(job)?],
    )
    .await?;
    c.execute(
        "DELETE FROM conversions WHERE tenant = $1 AND state NOT IN ('waiting', 'running') AND id NOT IN
         (SELECT id FROM conversions WHERE tenant = $1 ORDER BY created_at DESC, id DESC LIMIT $2)",
        args![tenant, kept],
    )
    .await
    .map(|_| ())
}

/// How a job stands, said by the replica that runs it. Whether somebody wants it to stop.
pub(crate) async fn save(c: &mut Conn, job: &Job) -> Result<bool, StoreError> {
    let sql = "UPDATE conversions SET state = $2, course = $3, seen_at = $4 WHERE id = $1 RETURNING cancelled";
    let row = c.query_opt(sql, args![&job.id, job.state.as_str(), course(job)?, c.now()]).await?;
    row.map_or(Ok(false), |r| Ok(r.int("cancelled")? != 0))
}

/// No process runs what this replica ran.
pub(crate) async fn forsake(c: &mut Conn, replica: &str) -> Result<(), StoreError> {
    let sql = "UPDATE conversions SET seen_at = 0 WHERE replica = $1 AND state IN ('waiting', 'running')";
    c.execute(sql, args![replica]).await.map(|_| ())
}

/// A job of a tenant.
pub(crate) async fn one(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<Option<Job>, StoreError> {
    let sql = "SELECT * FROM conversions WHERE tenant = $1 AND id = $2";
    let now = c.now();
    c.query_opt(sql, args![tenant, id]).await?.map(|row| job(&row, now)).transpose()
}

/// Every job of a tenant, newest first.
pub(crate) async fn all(c: &mut Conn, tenant: &Tenant) -> Result<Vec<Job>, StoreError> {
    let sql = "SELECT * FROM conversions WHERE tenant = $1 ORDER BY created_at DESC, id DESC";
    let now = c.now();
    c.query(sql, args![tenant]).await?.iter().map(|row| job(row, now)).collect()
}

/// Asks the replica that runs it to stop it. Whether there is such a job.
pub(crate) async fn cancel(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE conversions SET cancelled = 1 WHERE tenant = $1 AND id = $2";
    Ok(c.execute(sql, args![tenant, id]).await? > 0)
}

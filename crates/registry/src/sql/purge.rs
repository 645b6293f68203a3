//! Finding and removing what was deleted long enough ago.
//!
//! A run or a logged model goes in three steps, each of which can be the last before a crash: it is
//! marked (`purging`: nobody sees or restores it any more), its artifacts are removed, its rows are
//! removed. What is marked is due whatever its age, so that the next purge goes on from there.

use mainspring_core::Tenant;
use mainspring_store::{Conn, Row, StoreError, Value, args};

/// What can be purged on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Run,
    LoggedModel,
}

impl Kind {
    fn table(self) -> &'static str {
        match self {
            Self::Run => "runs",
            Self::LoggedModel => "logged_models",
        }
    }

    /// The column of its id, in its own table and in `model_versions`.
    fn id(self) -> &'static str {
        match self {
            Self::Run => "run_id",
            Self::LoggedModel => "model_id",
        }
    }

    /// When a row of its table is due: `$2` is the time (ms) at or before which it was deleted.
    fn due(self) -> &'static str {
        match self {
            Self::Run => "(t.lifecycle_stage = 'purging' OR (t.lifecycle_stage = 'deleted' AND t.deleted_time <= $2))",
            // Models of a deleted experiment go with it, whatever their own stage.
            Self::LoggedModel => {
                "(t.lifecycle_stage = 'purging' OR (t.lifecycle_stage = 'deleted' AND t.last_updated_time <= $2) \
                 OR EXISTS (SELECT 1 FROM experiments e WHERE e.tenant = t.tenant \
                     AND e.experiment_id = t.experiment_id AND e.lifecycle_stage = 'deleted' \
                     AND e.last_update_time <= $2))"
            }
        }
    }
}

/// One thing to remove and where its artifacts are.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub id: String,
    /// The experiment that it is in, or that it is.
    pub experiment: i64,
    pub artifact_uri: String,
}

fn candidates(rows: &[Row]) -> Result<Vec<Candidate>, StoreError> {
    let read = |r: &Row| {
        Ok(Candidate { id: r.text("id")?, experiment: r.int("experiment_id")?, artifact_uri: r.text("artifact_uri")? })
    };
    rows.iter().map(read).collect()
}

/// The runs or logged models that were deleted at or before `before` (ms).
pub(crate) async fn due(c: &mut Conn, tenant: &Tenant, kind: Kind, before: i64) -> Result<Vec<Candidate>, StoreError> {
    let (table, id, due) = (kind.table(), kind.id(), kind.due());
    let sql = format!(
        "SELECT t.{id} AS id, t.experiment_id, t.artifact_uri FROM {table} t \
         WHERE t.tenant = $1 AND {due} ORDER BY t.{id}"
    );
    candidates(&c.query(&sql, args![tenant, before]).await?)
}

/// Every tenant that has an experiment; each has its default one.
pub(crate) async fn tenants(c: &mut Conn) -> Result<Vec<String>, StoreError> {
    let rows = c.query("SELECT DISTINCT tenant FROM experiments ORDER BY tenant", args![]).await?;
    rows.iter().map(|r| r.text("tenant")).collect()
}

/// Experiments that were deleted at or before `before`.
pub(crate) async fn due_experiments(c: &mut Conn, tenant: &Tenant, before: i64) -> Result<Vec<Candidate>, StoreError> {
    let sql = "SELECT CAST(e.experiment_id AS TEXT) AS id, e.experiment_id, e.artifact_location AS artifact_uri \
               FROM experiments e WHERE e.tenant = $1 \
               AND (e.lifecycle_stage = 'purging' OR (e.lifecycle_stage = 'deleted' AND e.last_update_time <= $2)) \
               ORDER BY e.experiment_id";
    candidates(&c.query(sql, args![tenant, before]).await?)
}

/// How many runs and logged models an experiment has, in whatever stage.
pub(crate) async fn members(c: &mut Conn, tenant: &Tenant, experiment: i64) -> Result<u64, StoreError> {
    let sql = "SELECT (SELECT COUNT(*) FROM runs WHERE tenant = $1 AND experiment_id = $2) \
               + (SELECT COUNT(*) FROM logged_models WHERE tenant = $1 AND experiment_id = $2) AS n";
    let row = c.query_opt(sql, args![tenant, experiment]).await?;
    row.map_or(Ok(0), |r| r.int("n")).map(|n| u64::try_from(n).unwrap_or(0))
}

/// The versions, `name/3`, that came from a run or a logged model, each with where its files are.
pub(crate) async fn versions_of(
    c: &mut Conn,
    tenant: &Tenant,
    kind: Kind,
    id: &str,
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = format!(
        "SELECT name || '/' || CAST(version AS TEXT) AS version, storage FROM model_versions \
         WHERE tenant = $1 AND {} = $2 AND current_stage <> 'Deleted_Internal' ORDER BY name, version",
        kind.id()
    );
    let rows = c.query(&sql, args![tenant, id]).await?;
    rows.iter().map(|r| Ok((r.text("version")?, r.text("storage")?))).collect()
}

/// Where the artifacts of the other experiments go.
pub(crate) async fn other_locations(c: &mut Conn, tenant: &Tenant, experiment: i64) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT artifact_location FROM experiments WHERE tenant = $1 AND experiment_id <> $2";
    c.query(sql, args![tenant, experiment]).await?.iter().map(|r| r.text("artifact_location")).collect()
}

/// Takes a run or a logged model out of everybody's sight before its artifacts go, so that nobody
/// restores half of it. Returns whether it is still due.
pub(crate) async fn mark(c: &mut Conn, tenant: &Tenant, kind: Kind, id: &str, before: i64) -> Result<bool, StoreError> {
    let (table, column, due) = (kind.table(), kind.id(), kind.due());
    let sql = format!(
        "UPDATE {table} AS t SET lifecycle_stage = 'purging' WHERE t.tenant = $1 AND t.{column} = $3 AND {due}"
    );
    Ok(c.execute(&sql, args![tenant, before, id]).await? == 1)
}

/// Takes a deleted experiment that has become empty out of everybody's sight. Returns whether it is
/// still due and empty.
pub(crate) async fn mark_experiment(
    c: &mut Conn,
    tenant: &Tenant,
    experiment: i64,
    before: i64,
) -> Result<bool, StoreError> {
    if members(c, tenant, experiment).await? > 0 {
        return Ok(false);
    }
    let sql = "UPDATE experiments SET lifecycle_stage = 'purging' WHERE tenant = $1 AND experiment_id = $3 \
               AND (lifecycle_stage = 'purging' OR (lifecycle_stage = 'deleted' AND last_update_time <= $2))";
    Ok(c.execute(sql, args![tenant, before, experiment]).await? == 1)
}

async fn delete_all(
    c: &mut Conn,
    tables: &[&str],
    column: &str,
    (tenant, id): (&Tenant, Value),
) -> Result<(), StoreError> {
    for table in tables {
        let sql = format!("DELETE FROM {table} WHERE tenant = $1 AND {column} = $2");
        c.execute(&sql, args![tenant, id.clone()]).await?;
    }
    Ok(())
}

/// Removes the rows of a marked run or logged model with all that was logged to it.
pub(crate) async fn remove(c: &mut Conn, tenant: &Tenant, kind: Kind, id: &str) -> Result<(), StoreError> {
    const RUN: &[&str] =
        &["metric_chunks", "run_metrics", "run_params", "run_tags", "run_datasets", "run_models", "runs"];
    const LOGGED_MODEL: &[&str] =
        &["logged_model_params", "logged_model_tags", "logged_model_metrics", "run_models", "logged_models"];
    if kind == Kind::Run {
        // On Postgres a compaction could put a chunk behind the delete's back.
        super::chunks::lock(c, tenant, id).await?;
    }
    if kind == Kind::LoggedModel {
        // Runs that read or produced it show it no more.
        let sql = "UPDATE runs SET revision = revision + 1 WHERE tenant = $1 \
                   AND run_id IN (SELECT m.run_id FROM run_models m WHERE m.tenant = $1 AND m.model_id = $2)";
        c.execute(sql, args![tenant, id]).await?;
    }
    let tables = if kind == Kind::Run { RUN } else { LOGGED_MODEL };
    delete_all(c, tables, kind.id(), (tenant, id.into())).await
}

/// Removes the rows of a marked experiment.
pub(crate) async fn remove_experiment(c: &mut Conn, tenant: &Tenant, experiment: i64) -> Result<(), StoreError> {
    delete_all(c, &["experiment_tags", "datasets", "experiments"], "experiment_id", (tenant, experiment.into())).await
}

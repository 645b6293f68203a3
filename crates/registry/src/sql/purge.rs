//! Finding and removing what was deleted long enough ago.

use mainspring_core::Tenant;
use mainspring_store::{Conn, StoreError, args};

/// One thing to remove and where its artifacts are.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub id: String,
    pub artifact_uri: String,
}

async fn candidates(c: &mut Conn, sql: &str, tenant: &Tenant, before: i64) -> Result<Vec<Candidate>, StoreError> {
    let rows = c.query(sql, args![tenant, before]).await?;
    rows.iter().map(|r| Ok(Candidate { id: r.text("id")?, artifact_uri: r.text("artifact_uri")? })).collect()
}

/// Runs deleted at or before `before` (ms), and those that an earlier purge did not finish.
pub(crate) async fn runs(c: &mut Conn, tenant: &Tenant, before: i64) -> Result<Vec<Candidate>, StoreError> {
    let sql = "SELECT run_id AS id, artifact_uri FROM runs WHERE tenant = $1 \
               AND lifecycle_stage IN ('deleted', 'purging') AND deleted_time <= $2 ORDER BY run_id";
    candidates(c, sql, tenant, before).await
}

/// Logged models deleted at or before `before`, and those of experiments deleted then.
pub(crate) async fn logged_models(c: &mut Conn, tenant: &Tenant, before: i64) -> Result<Vec<Candidate>, StoreError> {
    let sql = "SELECT m.model_id AS id, m.artifact_uri FROM logged_models m WHERE m.tenant = $1 \
               AND ((m.lifecycle_stage IN ('deleted', 'purging') AND m.last_updated_time <= $2) \
                OR EXISTS (SELECT 1 FROM experiments e WHERE e.tenant = m.tenant \
                    AND e.experiment_id = m.experiment_id AND e.lifecycle_stage = 'deleted' \
                    AND e.last_update_time <= $2)) ORDER BY m.model_id";
    candidates(c, sql, tenant, before).await
}

/// Experiments deleted at or before `before` that have no runs and no logged models any more.
pub(crate) async fn experiments(c: &mut Conn, tenant: &Tenant, before: i64) -> Result<Vec<Candidate>, StoreError> {
    let sql = "SELECT CAST(e.experiment_id AS TEXT) AS id, e.artifact_location AS artifact_uri FROM experiments e \
               WHERE e.tenant = $1 AND e.lifecycle_stage = 'deleted' AND e.last_update_time <= $2 \
               AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.tenant = e.tenant AND r.experiment_id = e.experiment_id) \
               AND NOT EXISTS (SELECT 1 FROM logged_models m \
                   WHERE m.tenant = e.tenant AND m.experiment_id = e.experiment_id) ORDER BY e.experiment_id";
    candidates(c, sql, tenant, before).await
}

/// A version, `name/3`, whose files lie at or below `artifact_uri`; `None` when there is none.
pub(crate) async fn served_from(
    c: &mut Conn,
    tenant: &Tenant,
    artifact_uri: &str,
) -> Result<Option<String>, StoreError> {
    let row = c
        .query_opt(
            "SELECT name || '/' || CAST(version AS TEXT) AS version FROM model_versions \
             WHERE tenant = $1 AND current_stage <> 'Deleted_Internal' \
             AND (storage = $2 OR substr(storage, 1, $3) = $4) LIMIT 1",
            args![
                tenant,
                artifact_uri,
                i64::try_from(artifact_uri.chars().count() + 1).unwrap_or(i64::MAX),
                format!("{artifact_uri}/")
            ],
        )
        .await?;
    row.map(|r| r.text("version")).transpose()
}

/// Takes a run or a logged model out of everybody's sight before its artifacts go, so that nobody
/// restores half of it. Returns whether it was still deleted.
pub(crate) async fn mark(c: &mut Conn, tenant: &Tenant, table: &str, id: &str) -> Result<bool, StoreError> {
    let sql = match table {
        "runs" => {
            "UPDATE runs SET lifecycle_stage = 'purging' \
             WHERE tenant = $1 AND run_id = $2 AND lifecycle_stage IN ('deleted', 'purging')"
        }
        // Models of a deleted experiment go with it, whatever their own stage.
        _ => "UPDATE logged_models SET lifecycle_stage = 'purging' WHERE tenant = $1 AND model_id = $2",
    };
    Ok(c.execute(sql, args![tenant, id]).await? == 1)
}

async fn delete_all(c: &mut Conn, tenant: &Tenant, tables: &[(&str, &str)], id: &str) -> Result<(), StoreError> {
    for (table, column) in tables {
        c.execute(&format!("DELETE FROM {table} WHERE tenant = $1 AND {column} = $2"), args![tenant, id]).await?;
    }
    Ok(())
}

/// Removes a marked run and all that was logged to it.
pub(crate) async fn remove_run(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<(), StoreError> {
    let tables = ["metric_chunks", "run_metrics", "run_params", "run_tags", "run_datasets", "run_models", "runs"];
    delete_all(c, tenant, &tables.map(|t| (t, "run_id")), id).await
}

/// Removes a marked logged model.
pub(crate) async fn remove_logged_model(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<(), StoreError> {
    let tables = ["logged_model_params", "logged_model_tags", "logged_model_metrics", "run_models", "logged_models"];
    delete_all(c, tenant, &tables.map(|t| (t, "model_id")), id).await
}

/// Removes an empty deleted experiment. Returns whether it was still deleted and empty.
pub(crate) async fn remove_experiment(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<bool, StoreError> {
    let Ok(number) = id.parse::<i64>() else { return Ok(false) };
    let done = c
        .execute(
            "DELETE FROM experiments WHERE tenant = $1 AND experiment_id = $2 AND lifecycle_stage = 'deleted' \
             AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.tenant = $1 AND r.experiment_id = $2)",
            args![tenant, number],
        )
        .await?;
    if done == 0 {
        return Ok(false);
    }
    for table in ["experiment_tags", "datasets"] {
        let sql = format!("DELETE FROM {table} WHERE tenant = $1 AND experiment_id = $2");
        c.execute(&sql, args![tenant, number]).await?;
    }
    Ok(true)
}

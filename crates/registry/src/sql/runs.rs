//! Runs and what is shown with them.

use super::build::Sql;
use super::inputs;
use crate::types::{Lifecycle, Metric, Pair, Run, RunInfo, RunStatus};
use mainspring_core::Tenant;
use mainspring_store::{Conn, Dialect, Row, StoreError, Value, args};

const COLUMNS: &str = "run_id, experiment_id, name, user_id, status, start_time, end_time, artifact_uri, \
                                  lifecycle_stage";

fn read(mut row: Row) -> Result<RunInfo, StoreError> {
    Ok(RunInfo {
        id: row.take_text("run_id")?,
        name: row.take_text("name")?,
        experiment: row.int("experiment_id")?,
        user: row.take_text("user_id")?,
        status: RunStatus::parse(text(&row, "status")?).unwrap_or(RunStatus::Running),
        started: row.int("start_time")?,
        ended: row.opt_int("end_time")?,
        artifact_uri: row.take_text("artifact_uri")?,
        stage: Lifecycle::parse(text(&row, "lifecycle_stage")?),
    })
}

pub(crate) async fn insert(c: &mut Conn, tenant: &Tenant, r: &RunInfo) -> Result<(), StoreError> {
    c.execute(
        "INSERT INTO runs (tenant, run_id, experiment_id, name, user_id, status, start_time, end_time, \
         deleted_time, artifact_uri, lifecycle_stage) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, $9, $10)",
        args![
            tenant,
            &r.id,
            r.experiment,
            &r.name,
            &r.user,
            r.status.as_str(),
            r.started,
            r.ended,
            &r.artifact_uri,
            r.stage.as_str()
        ],
    )
    .await
    .map(|_| ())
}

pub(crate) async fn info(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<Option<RunInfo>, StoreError> {
    // A run that is being purged is gone for everybody but the purge.
    let text = format!("SELECT {COLUMNS} FROM runs WHERE tenant = $1 AND run_id = $2 AND lifecycle_stage <> 'purging'");
    c.query_opt(&text, args![tenant, id]).await?.map(read).transpose()
}

/// The run, which the caller is about to change or to log to: whoever keeps it sees by its revision that it did. Two
/// changes of one run come one after the other.
pub(crate) async fn touch(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<Option<RunInfo>, StoreError> {
    let text = format!(
        "UPDATE runs SET revision = revision + 1 \
         WHERE tenant = $1 AND run_id = $2 AND lifecycle_stage <> 'purging' RETURNING {COLUMNS}"
    );
    c.query_opt(&text, args![tenant, id]).await?.map(read).transpose()
}

/// Some runs, in this order.
pub(crate) async fn infos(c: &mut Conn, tenant: &Tenant, ids: &[String]) -> Result<Vec<RunInfo>, StoreError> {
    let mut sql = Sql::new(c.dialect(), "SELECT ");
    sql.push(COLUMNS).push(" FROM ").each(ids).push(" CROSS JOIN runs WHERE run_id = e.value AND tenant = ");
    sql.arg(tenant).push(" ORDER BY e.place");
    sql.rows(c).await?.into_iter().map(read).collect()
}

/// Changes a run's status and end, each where it is said. It was touched.
pub(crate) async fn update(
    c: &mut Conn,
    tenant: &Tenant,
    id: &str,
    (status, ended): (Option<RunStatus>, Option<i64>),
) -> Result<u64, StoreError> {
    c.execute(
        "UPDATE runs SET status = COALESCE($3, status), end_time = COALESCE($4, end_time) \
         WHERE tenant = $1 AND run_id = $2",
        args![tenant, id, status.map(RunStatus::as_str), ended],
    )
    .await
}

/// Renames a run in its row; its tag `mlflow.runName` is written apart. It was touched.
pub(crate) async fn rename(c: &mut Conn, tenant: &Tenant, id: &str, name: &str) -> Result<u64, StoreError> {
    c.execute("UPDATE runs SET name = $3 WHERE tenant = $1 AND run_id = $2", args![tenant, id, name]).await
}

pub(crate) async fn set_stage(
    c: &mut Conn,
    tenant: &Tenant,
    id: &str,
    stage: Lifecycle,
    deleted: Option<i64>,
) -> Result<u64, StoreError> {
    c.execute(
        "UPDATE runs SET lifecycle_stage = $3, deleted_time = $4, revision = revision + 1 \
         WHERE tenant = $1 AND run_id = $2 AND lifecycle_stage <> 'purging'",
        args![tenant, id, stage.as_str(), deleted],
    )
    .await
}

fn text<'a>(row: &'a Row, column: &str) -> Result<&'a str, StoreError> {
    match row.get(column)? {
        Value::Text(t) => Ok(t),
        other => {
            Err(StoreError::Column { column: column.to_owned(), wanted: "text", found: other.type_name().to_owned() })
        }
    }
}

/// Adds to each run its metrics, params, tags, inputs and outputs: one query a kind, however many
/// runs there are.
pub(crate) async fn hydrate(c: &mut Conn, tenant: &Tenant, found: Vec<RunInfo>) -> Result<Vec<Run>, StoreError> {
    let mut runs: Vec<Run> = found
        .into_iter()
        .map(|info| Run {
            info,
            metrics: Vec::new(),
            params: Vec::new(),
            tags: Vec::new(),
            inputs: Vec::new(),
            model_inputs: Vec::new(),
            model_outputs: Vec::new(),
        })
        .collect();
    if runs.is_empty() {
        return Ok(runs);
    }
    let ids: Vec<String> = runs.iter().map(|r| r.info.id.clone()).collect();

    for mut row in rows_of(c, tenant, "run_metrics", "m.key, m.value, m.is_nan, m.step, m.timestamp", &ids).await? {
        if let Some(run) = at(&mut runs, &row)? {
            let value = if row.int("is_nan")? == 1 { f64::NAN } else { row.real("value")? };
            run.metrics.push(Metric::new(row.take_text("key")?, value, row.int("timestamp")?, row.int("step")?));
        }
    }
    for (table, params) in [("run_params", true), ("run_tags", false)] {
        for mut row in rows_of(c, tenant, table, "m.key, m.value", &ids).await? {
            if let Some(run) = at(&mut runs, &row)? {
                let pair = Pair { key: row.take_text("key")?, value: row.take_text("value")? };
                if params { run.params.push(pair) } else { run.tags.push(pair) }
            }
        }
    }
    for row in inputs::datasets_of(c, tenant, &ids).await? {
        if let Some(run) = at(&mut runs, &row)? {
            run.inputs.push(inputs::read_dataset(&row)?);
        }
    }
    for row in inputs::models_of(c, tenant, &ids).await? {
        if let Some(run) = at(&mut runs, &row)? {
            let (model, is_input) = inputs::read_model(&row)?;
            if is_input { run.model_inputs.push(model.model_id) } else { run.model_outputs.push(model) }
        }
    }
    for run in &mut runs {
        run.metrics.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        run.params.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        run.tags.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    }
    Ok(runs)
}

/// The run that a row of [`Sql::each`] belongs to.
fn at<'a>(runs: &'a mut [Run], row: &Row) -> Result<Option<&'a mut Run>, StoreError> {
    Ok(usize::try_from(row.int("place")?).ok().and_then(|place| runs.get_mut(place)))
}

async fn rows_of(
    c: &mut Conn,
    tenant: &Tenant,
    table: &str,
    columns: &str,
    ids: &[String],
) -> Result<Vec<Row>, StoreError> {
    let mut sql = Sql::new(c.dialect(), "SELECT e.place, ");
    sql.push(columns).push(" FROM ").each(ids).push(" CROSS JOIN ").push(table).push(" m");
    if sql.dialect == Dialect::Sqlite {
        // Without statistics SQLite would rather read the whole tenant than look up many runs.
        sql.push(" INDEXED BY ").push(table).push("_by_run");
    }
    sql.push(" WHERE m.run_id = e.value AND m.tenant = ").arg(tenant);
    sql.rows(c).await
}

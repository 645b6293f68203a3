//! Datasets that runs read, and logged models that runs read and produced.

use super::build::Sql;
use crate::types::{Dataset, DatasetInput, DatasetSummary, ModelOutput, NamedDataset, Pair};
use mainspring_core::Tenant;
use mainspring_store::{Conn, Dialect, Row, StoreError, args};

/// The tag that says what a dataset was used for.
pub(crate) const CONTEXT: &str = "mlflow.data.context";

/// Writes a dataset under `id` unless the experiment knows it, and returns the id it has.
pub(crate) async fn dataset_id(
    c: &mut Conn,
    tenant: &Tenant,
    experiment: i64,
    d: &Dataset,
    id: &str,
) -> Result<String, StoreError> {
    c.execute(
        "INSERT INTO datasets (tenant, dataset_id, experiment_id, name, digest, source_type, source, schema_text, \
         profile) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (tenant, experiment_id, name, digest) DO NOTHING",
        args![
            tenant,
            id,
            experiment,
            &d.name,
            &d.digest,
            &d.source_type,
            &d.source,
            d.schema.as_ref(),
            d.profile.as_ref()
        ],
    )
    .await?;
    let row = c
        .query_opt(
            "SELECT dataset_id FROM datasets WHERE tenant = $1 AND experiment_id = $2 AND name = $3 AND digest = $4",
            args![tenant, experiment, &d.name, &d.digest],
        )
        .await?;
    row.map_or_else(|| Ok(id.to_owned()), |r| r.text("dataset_id"))
}

/// Records that a run read a dataset; a second time changes nothing.
pub(crate) async fn add_dataset(
    c: &mut Conn,
    tenant: &Tenant,
    (run, experiment): (&str, i64),
    dataset: &str,
    tags: &[Pair],
) -> Result<(), StoreError> {
    let context = tags.iter().find(|t| t.key == CONTEXT).map(|t| t.value.clone());
    let all: serde_json::Value = tags.iter().map(|t| serde_json::json!([t.key, t.value])).collect();
    let all = all.to_string();
    c.execute(
        "INSERT INTO run_datasets (tenant, run_id, dataset_id, experiment_id, tags, context) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, run_id, dataset_id) DO NOTHING",
        args![tenant, run, dataset, experiment, all, context],
    )
    .await
    .map(|_| ())
}

/// Records that a run read (`in`) or produced (`out`) a logged model.
pub(crate) async fn add_model(
    c: &mut Conn,
    tenant: &Tenant,
    run: &str,
    direction: &str,
    model: &ModelOutput,
) -> Result<(), StoreError> {
    c.execute(
        "INSERT INTO run_models (tenant, run_id, model_id, direction, step) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT DO NOTHING",
        args![tenant, run, &model.model_id, direction, model.step],
    )
    .await
    .map(|_| ())
}

/// The datasets of some runs: rows for [`read_dataset`], each with its run's place in `runs`.
pub(crate) async fn datasets_of(c: &mut Conn, tenant: &Tenant, runs: &[String]) -> Result<Vec<Row>, StoreError> {
    let mut sql = Sql::new(
        c.dialect(),
        "SELECT e.place, i.tags, d.name, d.digest, d.source_type, d.source, d.schema_text, d.profile FROM ",
    );
    sql.each(runs).push(
        " CROSS JOIN run_datasets i JOIN datasets d ON d.tenant = i.tenant AND d.dataset_id = i.dataset_id \
         WHERE i.run_id = e.value AND i.tenant = ",
    );
    sql.arg(tenant).push(" ORDER BY d.name, d.digest");
    sql.rows(c).await
}

pub(crate) fn read_dataset(row: &Row) -> Result<DatasetInput, StoreError> {
    let tags: Vec<(String, String)> = serde_json::from_str(&row.text("tags")?).unwrap_or_default();
    let dataset = Dataset {
        name: row.text("name")?,
        digest: row.text("digest")?,
        source_type: row.text("source_type")?,
        source: row.text("source")?,
        schema: row.opt_text("schema_text")?,
        profile: row.opt_text("profile")?,
    };
    Ok(DatasetInput { dataset, tags: tags.into_iter().map(|(key, value)| Pair { key, value }).collect() })
}

/// The logged models of some runs: rows for [`read_model`], each with its run's place in `runs`.
pub(crate) async fn models_of(c: &mut Conn, tenant: &Tenant, runs: &[String]) -> Result<Vec<Row>, StoreError> {
    let mut sql = Sql::new(c.dialect(), "SELECT e.place, m.model_id, m.direction, m.step FROM ");
    sql.each(runs).push(" CROSS JOIN run_models m WHERE m.run_id = e.value AND m.tenant = ");
    sql.arg(tenant).push(" ORDER BY m.step, m.model_id");
    sql.rows(c).await
}

/// A logged model, and whether the run read it.
pub(crate) fn read_model(row: &Row) -> Result<(ModelOutput, bool), StoreError> {
    let model = ModelOutput { model_id: row.text("model_id")?, step: row.int("step")? };
    Ok((model, row.text("direction")? == "in"))
}

/// The datasets used in some experiments, at most 1000.
pub(crate) async fn summaries(
    c: &mut Conn,
    tenant: &Tenant,
    experiments: &[i64],
) -> Result<Vec<DatasetSummary>, StoreError> {
    let mut sql = Sql::new(
        c.dialect(),
        "SELECT DISTINCT d.experiment_id, d.name, d.digest, i.context FROM datasets d \
         JOIN run_datasets i ON i.tenant = d.tenant AND i.dataset_id = d.dataset_id WHERE d.tenant = ",
    );
    sql.arg(tenant).push(" AND d.experiment_id IN ").list(experiments.iter().copied());
    sql.push(" ORDER BY d.experiment_id, d.name, d.digest LIMIT 1000");
    let rows = sql.rows(c).await?;
    rows.iter()
        .map(|row| {
            Ok(DatasetSummary {
                experiment: row.int("experiment_id")?,
                name: row.text("name")?,
                digest: row.text("digest")?,
                context: row.opt_text("context")?,
            })
        })
        .collect()
}

/// Datasets with this name, or with this text in their source, by their ids and after `after`: id, name and source. What
/// else was logged of a dataset may be large.
pub(crate) async fn named(
    c: &mut Conn,
    tenant: &Tenant,
    (name, source): (&str, &str),
    (after, limit): (&str, u32),
) -> Result<Vec<NamedDataset>, StoreError> {
    let find = match c.dialect() {
        Dialect::Sqlite => "instr",
        Dialect::Postgres => "strpos",
    };
    let sql = format!(
        "SELECT dataset_id, name, source FROM datasets WHERE tenant = $1 AND dataset_id > $2 \
         AND (name = $3 OR {find}(source, $4) > 0) ORDER BY dataset_id LIMIT $5"
    );
    let rows = c.query(&sql, args![tenant, after, name, source, limit]).await?;
    rows.iter()
        .map(|r| Ok(NamedDataset { id: r.text("dataset_id")?, name: r.text("name")?, source: r.text("source")? }))
        .collect()
}

/// Runs that read one of these datasets.
pub(crate) async fn readers_of_datasets(
    c: &mut Conn,
    tenant: &Tenant,
    datasets: &[String],
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    let mut sql = Sql::new(c.dialect(), "SELECT DISTINCT run_id FROM run_datasets WHERE tenant = ");
    sql.arg(tenant).push(" AND dataset_id IN ").list(datasets.iter());
    sql.push(" ORDER BY run_id LIMIT ").arg(i64::from(limit));
    sql.rows(c).await?.iter().map(|r| r.text("run_id")).collect()
}

/// Runs that read a logged model.
pub(crate) async fn readers(c: &mut Conn, tenant: &Tenant, model: &str, limit: u32) -> Result<Vec<String>, StoreError> {
    let rows = c
        .query(
            "SELECT DISTINCT run_id FROM run_models WHERE tenant = $1 AND model_id = $2 AND direction = 'in' \
             ORDER BY run_id LIMIT $3",
            args![tenant, model, limit],
        )
        .await?;
    rows.iter().map(|r| r.text("run_id")).collect()
}

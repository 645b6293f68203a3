//! Logged models.

use super::build::{Sql, pairs_by};
use crate::search::{Clause, Field, Op};
use crate::types::{Lifecycle, LoggedModel, LoggedModelStatus, Metric, Pair};
use mainspring_core::Tenant;
use mainspring_store::{Conn, Row, StoreError, args};
use std::collections::{BTreeMap, HashMap};

const COLUMNS: &str = "m.model_id, m.experiment_id, m.name, m.artifact_uri, m.creation_time, m.last_updated_time, \
                       m.status, m.status_message, m.model_type, m.source_run_id, m.lifecycle_stage";

fn read(row: &Row) -> Result<LoggedModel, StoreError> {
    Ok(LoggedModel {
        id: row.text("model_id")?,
        experiment: row.int("experiment_id")?,
        name: row.text("name")?,
        artifact_uri: row.text("artifact_uri")?,
        created: row.int("creation_time")?,
        updated: row.int("last_updated_time")?,
        status: LoggedModelStatus::from_number(row.int("status")?).unwrap_or(LoggedModelStatus::Unspecified),
        status_message: row.opt_text("status_message")?,
        model_type: row.opt_text("model_type")?,
        source_run_id: row.opt_text("source_run_id")?,
        stage: Lifecycle::parse(&row.text("lifecycle_stage")?),
        tags: Vec::new(),
        params: Vec::new(),
        metrics: Vec::new(),
    })
}

pub(crate) async fn insert(c: &mut Conn, tenant: &Tenant, m: &LoggedModel) -> Result<(), StoreError> {
    c.execute(
        "INSERT INTO logged_models (tenant, model_id, experiment_id, name, artifact_uri, creation_time, \
         last_updated_time, status, status_message, model_type, source_run_id, lifecycle_stage) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        args![
            tenant,
            &m.id,
            m.experiment,
            &m.name,
            &m.artifact_uri,
            m.created,
            m.updated,
            m.status.number(),
            m.status_message.as_ref(),
            m.model_type.as_ref(),
            m.source_run_id.as_ref(),
            m.stage.as_str()
        ],
    )
    .await?;
    set_pairs(c, tenant, &m.id, "logged_model_params", &m.params).await?;
    set_pairs(c, tenant, &m.id, "logged_model_tags", &m.tags).await
}

/// Writes params or tags; the last of one key wins.
pub(crate) async fn set_pairs(
    c: &mut Conn,
    tenant: &Tenant,
    id: &str,
    table: &str,
    pairs: &[Pair],
) -> Result<(), StoreError> {
    let unique: BTreeMap<&str, &str> = pairs.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
    let rows = unique.into_iter().map(|(k, v)| args![tenant, id, k, v]).collect();
    c.insert_rows(
        &format!("INSERT INTO {table} (tenant, model_id, key, value)"),
        "ON CONFLICT (tenant, model_id, key) DO UPDATE SET value = excluded.value",
        rows,
    )
    .await
    .map(|_| ())
}

pub(crate) async fn delete_tag(c: &mut Conn, tenant: &Tenant, id: &str, key: &str) -> Result<u64, StoreError> {
    c.execute("DELETE FROM logged_model_tags WHERE tenant = $1 AND model_id = $2 AND key = $3", args![tenant, id, key])
        .await
}

pub(crate) async fn by_id(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<Option<LoggedModel>, StoreError> {
    let text = format!(
        "SELECT {COLUMNS} FROM logged_models m \
         WHERE m.tenant = $1 AND m.model_id = $2 AND m.lifecycle_stage <> 'purging'"
    );
    let Some(row) = c.query_opt(&text, args![tenant, id]).await? else { return Ok(None) };
    let found = hydrate(c, tenant, vec![read(&row)?]).await?;
    Ok(found.into_iter().next())
}

pub(crate) async fn set_status(
    c: &mut Conn,
    tenant: &Tenant,
    id: &str,
    status: LoggedModelStatus,
    now: i64,
) -> Result<u64, StoreError> {
    c.execute(
        "UPDATE logged_models SET status = $3, last_updated_time = $4 \
         WHERE tenant = $1 AND model_id = $2 AND lifecycle_stage <> 'purging'",
        args![tenant, id, status.number(), now],
    )
    .await
}

pub(crate) async fn set_stage(
    c: &mut Conn,
    tenant: &Tenant,
    id: &str,
    stage: Lifecycle,
    now: i64,
) -> Result<u64, StoreError> {
    c.execute(
        "UPDATE logged_models SET lifecycle_stage = $3, last_updated_time = $4 \
         WHERE tenant = $1 AND model_id = $2 AND lifecycle_stage <> 'purging'",
        args![tenant, id, stage.as_str(), now],
    )
    .await
}

/// Restricts metrics to a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OnDataset {
    pub name: String,
    pub digest: Option<String>,
}

/// An entry of an order; metrics may be restricted to a dataset.
#[derive(Debug, Clone)]
pub(crate) struct ModelOrder {
    pub field: Field,
    pub ascending: bool,
    pub on: Option<OnDataset>,
}

/// What a search of logged models asks for.
pub(crate) struct Query {
    pub experiments: Vec<i64>,
    pub clauses: Vec<Clause>,
    pub datasets: Vec<OnDataset>,
    pub orders: Vec<ModelOrder>,
    pub limit: u64,
    pub offset: u64,
}

fn on_datasets(sql: &mut Sql, alias: &str, datasets: &[OnDataset]) {
    if datasets.is_empty() {
        return;
    }
    for (i, d) in datasets.iter().enumerate() {
        sql.push(if i == 0 { " AND ((" } else { " OR (" });
        sql.push(alias).push(".dataset_name = ").arg(&d.name);
        if let Some(digest) = &d.digest {
            sql.push(" AND ").push(alias).push(".dataset_digest = ").arg(digest);
        }
        sql.push(")");
    }
    sql.push(")");
}

/// A status is stored as a number and searched by its word.
const STATUS_WORD: &str =
    "CASE m.status WHEN 1 THEN 'PENDING' WHEN 2 THEN 'READY' WHEN 3 THEN 'FAILED' ELSE 'UNSPECIFIED' END";

fn filter(sql: &mut Sql, tenant: &Tenant, q: &Query, clause: &Clause) {
    let table = match &clause.field {
        Field::Attribute(column) => {
            let status = *column == "status";
            let column = if status { STATUS_WORD.to_owned() } else { format!("m.{column}") };
            sql.and_compare(&column, clause);
            return;
        }
        Field::Dataset(_) => return,
        Field::Metric(_) => "logged_model_metrics",
        Field::Param(_) => "logged_model_params",
        Field::Tag(_) => "logged_model_tags",
    };
    let (Field::Metric(key) | Field::Param(key) | Field::Tag(key)) = &clause.field else { return };
    sql.push(" AND EXISTS (SELECT 1 FROM ").push(table).push(" f WHERE f.tenant = ").arg(tenant);
    sql.push(" AND f.model_id = m.model_id AND f.key = ").arg(key);
    if let Field::Metric(_) = clause.field {
        if clause.op == Op::Ne {
            sql.push(" AND (f.is_nan = 1 OR ").compare("f.value", clause.op, &clause.value).push(")");
        } else {
            sql.push(" AND f.is_nan = 0").and_compare("f.value", clause);
        }
        on_datasets(sql, "f", &q.datasets);
    } else {
        sql.and_compare("f.value", clause);
    }
    sql.push(")");
}

/// The value of a metric by which models are ordered: the newest one.
fn newest(sql: &mut Sql, tenant: &Tenant, key: &str, on: Option<&OnDataset>) {
    sql.push("(SELECT n.value FROM logged_model_metrics n WHERE n.tenant = ").arg(tenant);
    sql.push(" AND n.model_id = m.model_id AND n.key = ").arg(key);
    if let Some(on) = on {
        on_datasets(sql, "n", std::slice::from_ref(on));
    }
    sql.push(" ORDER BY n.timestamp DESC, n.step DESC, n.run_id ASC LIMIT 1)");
}

fn order(sql: &mut Sql, tenant: &Tenant, orders: &[ModelOrder]) {
    let (mut by_creation, mut by_id) = (false, false);
    for entry in orders {
        let direction = if entry.ascending { " ASC, " } else { " DESC, " };
        match &entry.field {
            Field::Attribute(column) => {
                by_creation |= *column == "creation_time";
                by_id |= *column == "model_id";
                let text = !matches!(*column, "creation_time" | "last_updated_time" | "status");
                let bytes = if text { sql.bytewise() } else { "" };
                sql.push(&format!("CASE WHEN m.{column} IS NULL THEN 1 ELSE 0 END, m.{column}{bytes}"));
                sql.push(direction);
            }
            Field::Metric(key) => {
                sql.push("CASE WHEN ");
                newest(sql, tenant, key, entry.on.as_ref());
                sql.push(" IS NULL THEN 1 ELSE 0 END, ");
                newest(sql, tenant, key, entry.on.as_ref());
                sql.push(direction);
            }
            Field::Param(_) | Field::Tag(_) | Field::Dataset(_) => {}
        }
    }
    if !by_creation {
        sql.push("m.creation_time DESC, ");
    }
    sql.push(if by_id { "m.tenant" } else { "m.model_id ASC" });
}

pub(crate) async fn search(c: &mut Conn, tenant: &Tenant, q: &Query) -> Result<Vec<LoggedModel>, StoreError> {
    let mut sql = Sql::new(c.dialect(), "SELECT ");
    sql.push(COLUMNS).push(" FROM logged_models m WHERE m.tenant = ").arg(tenant);
    sql.push(" AND m.experiment_id IN ").list(q.experiments.iter().copied());
    sql.push(" AND m.lifecycle_stage = 'active'");
    for clause in &q.clauses {
        filter(&mut sql, tenant, q, clause);
    }
    if !q.datasets.is_empty() && !q.clauses.iter().any(|c| matches!(c.field, Field::Metric(_))) {
        sql.push(" AND EXISTS (SELECT 1 FROM logged_model_metrics f WHERE f.tenant = ").arg(tenant);
        sql.push(" AND f.model_id = m.model_id");
        on_datasets(&mut sql, "f", &q.datasets);
        sql.push(")");
    }
    sql.push(" ORDER BY ");
    order(&mut sql, tenant, &q.orders);
    sql.page(q.limit, q.offset);
    let found = sql.rows(c).await?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    hydrate(c, tenant, found).await
}

/// Adds tags, params and metrics: one query a kind.
async fn hydrate(c: &mut Conn, tenant: &Tenant, mut found: Vec<LoggedModel>) -> Result<Vec<LoggedModel>, StoreError> {
    if found.is_empty() {
        return Ok(found);
    }
    let of = |c: &Conn, table: &str, columns: &str| {
        let mut sql = Sql::new(c.dialect(), "SELECT ");
        sql.push(columns).push(" FROM ").push(table).push(" WHERE tenant = ").arg(tenant);
        sql.push(" AND model_id IN ").list(found.iter().map(|m| &m.id)).push(" ORDER BY model_id, key");
        sql
    };
    let sql = of(c, "logged_model_tags", "model_id, key, value");
    let mut tags = pairs_by(&sql.rows(c).await?, "model_id")?;
    let sql = of(c, "logged_model_params", "model_id, key, value");
    let mut params = pairs_by(&sql.rows(c).await?, "model_id")?;
    let sql = of(
        c,
        "logged_model_metrics",
        "model_id, key, run_id, timestamp, step, value, is_nan, dataset_name, dataset_digest",
    );
    let mut metrics: HashMap<String, Vec<Metric>> = HashMap::new();
    for row in &sql.rows(c).await? {
        let id = row.text("model_id")?;
        let some = |text: String| (!text.is_empty()).then_some(text);
        metrics.entry(id.clone()).or_default().push(Metric {
            key: row.text("key")?,
            value: if row.int("is_nan")? == 1 { f64::NAN } else { row.real("value")? },
            timestamp: row.int("timestamp")?,
            step: row.int("step")?,
            dataset_name: some(row.text("dataset_name")?),
            dataset_digest: some(row.text("dataset_digest")?),
            run_id: some(row.text("run_id")?),
            model_id: Some(id),
        });
    }
    for m in &mut found {
        m.tags = tags.remove(&m.id).unwrap_or_default();
        m.params = params.remove(&m.id).unwrap_or_default();
        m.metrics = metrics.remove(&m.id).unwrap_or_default();
    }
    Ok(found)
}

//! Experiments and their tags.

use super::build::{Sql, pairs, pairs_by};
use crate::search::{Clause, Field, Op, Order};
use crate::types::{Experiment, ExperimentSummary, Lifecycle, Pair, View};
use mainspring_core::Tenant;
use mainspring_store::{Conn, Row, StoreError, args};

const COLUMNS: &str =
    "e.experiment_id, e.name, e.artifact_location, e.lifecycle_stage, e.creation_time, e.last_update_time";

/// What is being purged is gone for everybody but the purge.
const SEEN: &str = "e.lifecycle_stage <> 'purging'";

fn read(row: &Row) -> Result<Experiment, StoreError> {
    Ok(Experiment {
        id: row.int("experiment_id")?,
        name: row.text("name")?,
        artifact_location: row.text("artifact_location")?,
        stage: Lifecycle::parse(&row.text("lifecycle_stage")?),
        created: row.int("creation_time")?,
        updated: row.int("last_update_time")?,
        tags: Vec::new(),
    })
}

/// Writes an experiment; `false` when its id or name is taken.
pub(crate) async fn insert(c: &mut Conn, tenant: &Tenant, e: &Experiment) -> Result<bool, StoreError> {
    let done = c
        .execute(
            "INSERT INTO experiments (tenant, experiment_id, name, artifact_location, lifecycle_stage, \
             creation_time, last_update_time) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            args![tenant, e.id, &e.name, &e.artifact_location, e.stage.as_str(), e.created, e.updated],
        )
        .await?;
    for tag in &e.tags {
        set_tag(c, tenant, e.id, tag).await?;
    }
    Ok(done == 1)
}

/// The experiment without its tags.
pub(crate) async fn plain(c: &mut Conn, tenant: &Tenant, id: i64) -> Result<Option<Experiment>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM experiments e WHERE e.tenant = $1 AND e.experiment_id = $2 AND {SEEN}");
    c.query_opt(&text, args![tenant, id]).await?.as_ref().map(read).transpose()
}

pub(crate) async fn by_id(c: &mut Conn, tenant: &Tenant, id: i64) -> Result<Option<Experiment>, StoreError> {
    let Some(mut found) = plain(c, tenant, id).await? else { return Ok(None) };
    found.tags = tags(c, tenant, id).await?;
    Ok(Some(found))
}

pub(crate) async fn by_name(c: &mut Conn, tenant: &Tenant, name: &str) -> Result<Option<Experiment>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM experiments e WHERE e.tenant = $1 AND e.name = $2 AND {SEEN}");
    let Some(row) = c.query_opt(&text, args![tenant, name]).await? else { return Ok(None) };
    let mut found = read(&row)?;
    found.tags = tags(c, tenant, found.id).await?;
    Ok(Some(found))
}

async fn tags(c: &mut Conn, tenant: &Tenant, id: i64) -> Result<Vec<Pair>, StoreError> {
    let rows = c
        .query(
            "SELECT key, value FROM experiment_tags WHERE tenant = $1 AND experiment_id = $2 ORDER BY key",
            args![tenant, id],
        )
        .await?;
    pairs(&rows)
}

pub(crate) async fn rename(c: &mut Conn, tenant: &Tenant, id: i64, name: &str, now: i64) -> Result<u64, StoreError> {
    c.execute(
        "UPDATE experiments SET name = $3, last_update_time = $4 WHERE tenant = $1 AND experiment_id = $2",
        args![tenant, id, name, now],
    )
    .await
}

/// Moves an experiment and all its runs to a stage, but for runs whose purge has begun.
pub(crate) async fn set_stage(
    c: &mut Conn,
    tenant: &Tenant,
    id: i64,
    stage: Lifecycle,
    now: i64,
) -> Result<(), StoreError> {
    c.execute(
        "UPDATE experiments SET lifecycle_stage = $3, last_update_time = $4 \
         WHERE tenant = $1 AND experiment_id = $2",
        args![tenant, id, stage.as_str(), now],
    )
    .await?;
    let deleted = (stage == Lifecycle::Deleted).then_some(now);
    c.execute(
        "UPDATE runs SET lifecycle_stage = $3, deleted_time = $4, revision = revision + 1 \
         WHERE tenant = $1 AND experiment_id = $2 AND lifecycle_stage <> 'purging'",
        args![tenant, id, stage.as_str(), deleted],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_tag(c: &mut Conn, tenant: &Tenant, id: i64, tag: &Pair) -> Result<u64, StoreError> {
    c.execute(
        "INSERT INTO experiment_tags (tenant, experiment_id, key, value) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant, experiment_id, key) DO UPDATE SET value = excluded.value",
        args![tenant, id, &tag.key, &tag.value],
    )
    .await
}

pub(crate) async fn delete_tag(c: &mut Conn, tenant: &Tenant, id: i64, key: &str) -> Result<u64, StoreError> {
    c.execute(
        "DELETE FROM experiment_tags WHERE tenant = $1 AND experiment_id = $2 AND key = $3",
        args![tenant, id, key],
    )
    .await
}

/// The clauses of a lifecycle view on `alias`.
pub(crate) fn in_view(sql: &mut Sql, alias: &str, view: View) {
    match view {
        View::Active => sql.push(" AND ").push(alias).push(".lifecycle_stage = 'active'"),
        View::Deleted => sql.push(" AND ").push(alias).push(".lifecycle_stage = 'deleted'"),
        View::All => sql.push(" AND ").push(alias).push(".lifecycle_stage IN ('active', 'deleted')"),
    };
}

fn filter(sql: &mut Sql, tenant: &Tenant, clauses: &[Clause]) {
    for clause in clauses {
        match &clause.field {
            Field::Attribute("experiment_id") => {
                // Ids are whole numbers that a filter writes as text.
                sql.and_compare("CAST(e.experiment_id AS TEXT)", clause);
            }
            Field::Attribute(column) => {
                sql.and_compare(&format!("e.{column}"), clause);
            }
            Field::Tag(key) => {
                sql.push(if clause.op == Op::IsNull { " AND NOT EXISTS (" } else { " AND EXISTS (" });
                sql.push("SELECT 1 FROM experiment_tags t WHERE t.tenant = ").arg(tenant);
                sql.push(" AND t.experiment_id = e.experiment_id AND t.key = ").arg(key);
                if !matches!(clause.op, Op::IsNull | Op::IsNotNull) {
                    sql.and_compare("t.value", clause);
                }
                sql.push(")");
            }
            Field::Metric(_) | Field::Param(_) | Field::Dataset(_) => {}
        }
    }
}

fn order(sql: &mut Sql, orders: &[Order]) {
    sql.push(" ORDER BY ");
    let mut by_id = false;
    for entry in orders {
        let Field::Attribute(column) = entry.field else { continue };
        by_id |= column == "experiment_id";
        let text = if column == "name" { sql.bytewise() } else { "" };
        sql.push("e.").push(column).push(text).push(if entry.ascending { " ASC, " } else { " DESC, " });
    }
    if orders.is_empty() {
        sql.push("e.creation_time DESC, e.experiment_id ASC");
    } else {
        sql.push(if by_id { "e.tenant" } else { "e.experiment_id DESC" });
    }
}

/// What a search of experiments asks for.
pub(crate) struct Query {
    pub view: View,
    pub clauses: Vec<Clause>,
    pub orders: Vec<Order>,
    pub limit: u64,
    pub offset: u64,
}

pub(crate) async fn search(c: &mut Conn, tenant: &Tenant, q: &Query) -> Result<Vec<Experiment>, StoreError> {
    let mut sql = Sql::new(c.dialect(), "SELECT ");
    sql.push(COLUMNS).push(" FROM experiments e WHERE e.tenant = ").arg(tenant);
    in_view(&mut sql, "e", q.view);
    filter(&mut sql, tenant, &q.clauses);
    order(&mut sql, &q.orders);
    sql.page(q.limit, q.offset);
    let rows = sql.rows(c).await?;
    let mut found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        return Ok(found);
    }
    let mut sql = Sql::new(
        c.dialect(),
        "SELECT CAST(experiment_id AS TEXT) AS owner, key, value FROM experiment_tags WHERE tenant = ",
    );
    sql.arg(tenant).push(" AND experiment_id IN ").list(found.iter().map(|e| e.id)).push(" ORDER BY key");
    let mut tags = pairs_by(&sql.rows(c).await?, "owner")?;
    for e in &mut found {
        e.tags = tags.remove(&e.id.to_string()).unwrap_or_default();
    }
    Ok(found)
}

/// Adds the number of active runs and the start of the newest to each experiment.
pub(crate) async fn summaries(
    c: &mut Conn,
    tenant: &Tenant,
    found: Vec<Experiment>,
) -> Result<Vec<ExperimentSummary>, StoreError> {
    let mut sql = Sql::new(
        c.dialect(),
        "SELECT experiment_id, COUNT(*) AS runs, MAX(start_time) AS last_run FROM runs WHERE tenant = ",
    );
    sql.arg(tenant).push(" AND experiment_id IN ").list(found.iter().map(|e| e.id));
    sql.push(" AND lifecycle_stage = 'active' GROUP BY experiment_id");
    let rows = sql.rows(c).await?;
    let mut counts = std::collections::HashMap::new();
    for row in &rows {
        counts.insert(row.int("experiment_id")?, (row.int("runs")? as u64, row.opt_int("last_run")?));
    }
    Ok(found
        .into_iter()
        .map(|experiment| {
            let (runs, last_run) = counts.get(&experiment.id).copied().unwrap_or_default();
            ExperimentSummary { experiment, runs, last_run }
        })
        .collect())
}

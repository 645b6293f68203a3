//! The search of runs: filter, order and limit happen in one statement; only the page is hydrated.

use super::build::Sql;
use super::experiments::in_view;
use super::runs;
use crate::search::{Clause, Field, Op, Order};
use crate::types::{RunInfo, View};
use mainspring_core::Tenant;
use mainspring_store::{Conn, StoreError};

/// What a search of runs asks for.
pub(crate) struct Query {
    pub experiments: Vec<i64>,
    pub view: View,
    pub clauses: Vec<Clause>,
    pub orders: Vec<Order>,
    pub limit: u64,
    pub offset: u64,
}

fn table(field: &Field) -> Option<(&'static str, &str)> {
    match field {
        Field::Metric(key) => Some(("run_metrics", key)),
        Field::Param(key) => Some(("run_params", key)),
        Field::Tag(key) => Some(("run_tags", key)),
        Field::Attribute(_) | Field::Dataset(_) => None,
    }
}

/// ` FROM table f WHERE …` narrowed to the key and the experiments of the search.
fn keyed(sql: &mut Sql, tenant: &Tenant, q: &Query, (table, key): (&str, &str)) {
    sql.push(" FROM ").push(table).push(" f WHERE f.tenant = ").arg(tenant);
    sql.push(" AND f.experiment_id IN ").list(q.experiments.iter().copied());
    sql.push(" AND f.key = ").arg(key);
}

fn filter(sql: &mut Sql, tenant: &Tenant, q: &Query, clause: &Clause) {
    match (&clause.field, table(&clause.field)) {
        (Field::Attribute(column), _) => {
            sql.and_compare(&format!("r.{column}"), clause);
        }
        (Field::Dataset(what), _) => dataset(sql, tenant, what, clause),
        (field, Some(keyed_table)) => {
            sql.push(if clause.op == Op::IsNull { " AND r.run_id NOT IN (" } else { " AND r.run_id IN (" });
            sql.push("SELECT f.run_id");
            keyed(sql, tenant, q, keyed_table);
            match (field, clause.op) {
                (_, Op::IsNull | Op::IsNotNull) => {}
                // A NaN is stored as 0 and a flag; it differs from every number and is never
                // above or below one.
                (Field::Metric(_), Op::Ne) => {
                    sql.push(" AND (f.is_nan = 1 OR ").compare("f.value", clause.op, &clause.value).push(")");
                }
                (Field::Metric(_), _) => {
                    sql.push(" AND f.is_nan = 0").and_compare("f.value", clause);
                }
                _ => {
                    sql.and_compare("f.value", clause);
                }
            }
            sql.push(")");
        }
        (_, None) => {}
    }
}

fn dataset(sql: &mut Sql, tenant: &Tenant, what: &str, clause: &Clause) {
    sql.push(" AND r.run_id IN (SELECT i.run_id FROM run_datasets i");
    if what == "context" {
        sql.push(" WHERE i.tenant = ").arg(tenant).and_compare("i.context", clause);
    } else {
        sql.push(" JOIN datasets d ON d.tenant = i.tenant AND d.dataset_id = i.dataset_id WHERE i.tenant = ");
        sql.arg(tenant).and_compare(&format!("d.{what}"), clause);
    }
    sql.push(")");
}

/// The joins that make ordered-by values available, without losing runs that lack them.
fn joins(sql: &mut Sql, orders: &[Order]) {
    for (i, entry) in orders.iter().enumerate() {
        if let Some((table, key)) = table(&entry.field) {
            let o = format!("o{i}");
            sql.push(" LEFT JOIN ").push(table).push(" ").push(&o).push(" ON ");
            for column in ["tenant", "experiment_id", "run_id"] {
                sql.push(&format!("{o}.{column} = r.{column} AND "));
            }
            sql.push(&o).push(".key = ").arg(key);
        }
    }
}

fn order(sql: &mut Sql, orders: &[Order]) {
    sql.push(" ORDER BY ");
    let mut by_start = false;
    for (i, entry) in orders.iter().enumerate() {
        let direction = if entry.ascending { "ASC" } else { "DESC" };
        let bytes = sql.bytewise();
        let text = match &entry.field {
            // Runs without the metric come last, those with a NaN before them.
            Field::Metric(_) => format!(
                "CASE WHEN o{i}.is_nan = 1 THEN 1 WHEN o{i}.value IS NULL THEN 2 ELSE 0 END, o{i}.value {direction}, "
            ),
            Field::Param(_) | Field::Tag(_) => {
                format!("CASE WHEN o{i}.value IS NULL THEN 1 ELSE 0 END, o{i}.value{bytes} {direction}, ")
            }
            Field::Attribute("start_time") => {
                by_start = true;
                format!("r.start_time {direction}, ")
            }
            Field::Attribute(column @ "end_time") => {
                format!("CASE WHEN r.{column} IS NULL THEN 1 ELSE 0 END, r.{column} {direction}, ")
            }
            Field::Attribute(column) => format!("r.{column}{bytes} {direction}, "),
            Field::Dataset(_) => String::new(),
        };
        sql.push(&text);
    }
    sql.push(if by_start { "r.run_id" } else { "r.start_time DESC, r.run_id" });
}

/// The runs of one page, in order.
pub(crate) async fn search(c: &mut Conn, tenant: &Tenant, q: &Query) -> Result<Vec<RunInfo>, StoreError> {
    if q.experiments.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(c.dialect(), "SELECT ");
    sql.push(runs::COLUMNS).push(" FROM runs r");
    joins(&mut sql, &q.orders);
    sql.push(" WHERE r.tenant = ").arg(tenant);
    sql.push(" AND r.experiment_id IN ").list(q.experiments.iter().copied());
    in_view(&mut sql, "r", q.view);
    for clause in &q.clauses {
        filter(&mut sql, tenant, q, clause);
    }
    order(&mut sql, &q.orders);
    sql.page(q.limit, q.offset);
    sql.rows(c).await?.iter().map(runs::read).collect()
}

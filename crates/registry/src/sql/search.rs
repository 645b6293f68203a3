//! The search of runs: filter, order and limit happen in one statement, which says what to read.

use super::build::Sql;
use super::experiments::in_view;
use super::migrations;
use crate::search::{Clause, Field, Op, Operand, Order};
use crate::shown::Found;
use crate::types::View;
use mainspring_core::Tenant;
use mainspring_store::{Conn, Row, StoreError};

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

/// A filter that its own table can answer, joined as `f0`, `f1`, ….
struct Joined<'a> {
    clause: &'a Clause,
    table: &'static str,
    key: &'a str,
}

/// The filters to join, the most selective first: SQLite reads the tables of a CROSS JOIN in the
/// order they are written, so the first one decides how many runs are looked at at all.
fn joined(clauses: &[Clause]) -> Vec<Joined<'_>> {
    let mut all: Vec<Joined<'_>> = clauses
        .iter()
        .filter(|c| c.op != Op::IsNull)
        .filter_map(|clause| table(&clause.field).map(|(table, key)| Joined { clause, table, key }))
        .collect();
    all.sort_by_key(|j| match (j.clause.op, &j.clause.field) {
        (Op::Eq, _) => 0,
        (Op::In, _) => 1,
        (Op::Ne | Op::NotIn | Op::IsNotNull, _) => 3,
        _ => 2,
    });
    all
}

/// The conditions of the `i`th joined filter.
fn filter_joined(sql: &mut Sql, tenant: &Tenant, q: &Query, (i, join): (usize, &Joined<'_>)) {
    let f = format!("f{i}");
    sql.push(" AND ").push(&f).push(".tenant = ").arg(tenant);
    if i == 0 {
        sql.push(" AND f0.experiment_id IN ").list(q.experiments.iter().copied());
    } else {
        sql.push(&format!(" AND {f}.experiment_id = f0.experiment_id AND {f}.run_id = f0.run_id"));
    }
    sql.push(" AND ").push(&f).push(".key = ").arg(join.key);
    let (value, clause) = (format!("{f}.value"), join.clause);
    match (&clause.field, clause.op) {
        (_, Op::IsNotNull) => {}
        // A NaN is stored as 0 and a flag; it differs from every number and is never above or
        // below one.
        (Field::Metric(_), Op::Ne) => {
            sql.push(&format!(" AND ({f}.is_nan = 1 OR ")).compare(&value, clause.op, &clause.value).push(")");
        }
        (Field::Metric(_), _) => {
            sql.push(&format!(" AND {f}.is_nan = 0")).and_compare(&value, clause);
        }
        (_, Op::Eq) if matches!(&clause.value, Operand::Text(text) if text.chars().count() <= migrations::SHORT) => {
            // Only short values are in the index of values, which has to be told that this one is.
            sql.push(&format!(" AND length({value}) <= {}", migrations::SHORT)).and_compare(&value, clause);
        }
        _ => {
            sql.and_compare(&value, clause);
        }
    }
}

/// The filters that are not joined: attributes, datasets, and what a run must not have.
fn filter(sql: &mut Sql, tenant: &Tenant, q: &Query, clause: &Clause) {
    match (&clause.field, table(&clause.field)) {
        (Field::Attribute(column), _) => {
            sql.and_compare(&format!("r.{column}"), clause);
        }
        (Field::Dataset(what), _) => dataset(sql, tenant, what, clause),
        (_, Some((table, key))) if clause.op == Op::IsNull => {
            sql.push(" AND r.run_id NOT IN (SELECT n.run_id FROM ")
                .push(table)
                .push(" n WHERE n.tenant = ")
                .arg(tenant);
            sql.push(" AND n.experiment_id IN ").list(q.experiments.iter().copied());
            sql.push(" AND n.key = ").arg(key).push(")");
        }
        _ => {}
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

/// By what table an entry of the order is read: a joined filter's where it names the same thing,
/// else one of its own that does not lose runs without a value.
fn ordered_by(sql: &mut Sql, orders: &[Order], joined: &[Joined<'_>]) -> Vec<String> {
    let mut aliases = Vec::with_capacity(orders.len());
    for (i, entry) in orders.iter().enumerate() {
        if let Some(at) = joined.iter().position(|j| j.clause.field == entry.field) {
            aliases.push(format!("f{at}"));
            continue;
        }
        let o = format!("o{i}");
        if let Some((table, key)) = table(&entry.field) {
            sql.push(" LEFT JOIN ").push(table).push(" ").push(&o).push(" ON ");
            for column in ["tenant", "experiment_id", "run_id"] {
                sql.push(&format!("{o}.{column} = r.{column} AND "));
            }
            sql.push(&o).push(".key = ").arg(key);
        }
        aliases.push(o);
    }
    aliases
}

/// Whether a joined filter leaves only runs whose metric is a number: nothing is left to put last then.
fn is_number(joined: &[Joined<'_>], field: &Field) -> bool {
    joined.iter().any(|j| j.clause.field == *field && j.clause.op != Op::Ne)
}

fn order(sql: &mut Sql, orders: &[Order], (joined, aliases): (&[Joined<'_>], &[String])) {
    sql.push(" ORDER BY ");
    let mut by_start = false;
    for (entry, o) in orders.iter().zip(aliases) {
        let direction = if entry.ascending { "ASC" } else { "DESC" };
        let bytes = sql.bytewise();
        let text = match &entry.field {
            Field::Metric(_) if is_number(joined, &entry.field) => format!("{o}.value {direction}, "),
            // Runs without the metric come last, those with a NaN before them.
            Field::Metric(_) => format!(
                "CASE WHEN {o}.is_nan = 1 THEN 1 WHEN {o}.value IS NULL THEN 2 ELSE 0 END, {o}.value {direction}, "
            ),
            Field::Param(_) | Field::Tag(_) => {
                format!("CASE WHEN {o}.value IS NULL THEN 1 ELSE 0 END, {o}.value{bytes} {direction}, ")
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

/// Which runs one page has, in order.
pub(crate) async fn search(c: &mut Conn, tenant: &Tenant, q: &Query) -> Result<Vec<Found>, StoreError> {
    if q.experiments.is_empty() {
        return Ok(Vec::new());
    }
    let joined = joined(&q.clauses);
    let mut sql = Sql::new(c.dialect(), "SELECT r.run_id, r.revision FROM ");
    for (i, join) in joined.iter().enumerate() {
        sql.push(join.table).push(&format!(" f{i} CROSS JOIN "));
    }
    sql.push("runs r");
    let aliases = ordered_by(&mut sql, &q.orders, &joined);
    sql.push(" WHERE r.tenant = ").arg(tenant);
    if joined.is_empty() {
        sql.push(" AND r.experiment_id IN ").list(q.experiments.iter().copied());
    } else {
        sql.push(" AND r.run_id = f0.run_id");
    }
    in_view(&mut sql, "r", q.view);
    for join in joined.iter().enumerate() {
        filter_joined(&mut sql, tenant, q, (join.0, join.1));
    }
    for clause in &q.clauses {
        filter(&mut sql, tenant, q, clause);
    }
    order(&mut sql, &q.orders, (&joined, &aliases));
    sql.page(q.limit, q.offset);
    let read = |mut row: Row| Ok(Found { id: row.take_text("run_id")?, revision: row.int("revision")? });
    sql.rows(c).await?.into_iter().map(read).collect()
}

//! What is logged to runs: params, tags, metric points and the latest value of each metric.

use super::build::{Sql, pairs};
use crate::points::{Point, later};
use crate::types::{Metric, Pair};
use mainspring_core::Tenant;
use mainspring_store::{Conn, StoreError, Value, args};
use std::collections::BTreeMap;

/// The run that is logged to.
pub(crate) struct Target<'a> {
    pub tenant: &'a Tenant,
    pub experiment: i64,
    pub run: &'a str,
}

/// Writes params that are not there yet and returns how many were not there.
pub(crate) async fn add_params(c: &mut Conn, to: &Target<'_>, params: &[Pair]) -> Result<u64, StoreError> {
    let rows = params.iter().map(|p| args![to.tenant, to.experiment, &p.key, to.run, &p.value]).collect();
    c.insert_rows(
        "INSERT INTO run_params (tenant, experiment_id, key, run_id, value)",
        "ON CONFLICT (tenant, experiment_id, key, run_id) DO NOTHING",
        rows,
    )
    .await
}

/// The params of a run with one of these keys.
pub(crate) async fn params(c: &mut Conn, to: &Target<'_>, keys: &[Pair]) -> Result<Vec<Pair>, StoreError> {
    let mut sql = Sql::new(c.dialect(), "SELECT key, value FROM run_params WHERE tenant = ");
    sql.arg(to.tenant).push(" AND experiment_id = ").arg(to.experiment);
    sql.push(" AND run_id = ").arg(to.run).push(" AND key IN ").list(keys.iter().map(|p| &p.key));
    pairs(&sql.rows(c).await?)
}

/// Writes tags; of one key that comes twice the last wins.
pub(crate) async fn set_tags(c: &mut Conn, to: &Target<'_>, tags: &[Pair]) -> Result<(), StoreError> {
    // Postgres refuses to touch one row twice in a statement.
    let unique: BTreeMap<&str, &str> = tags.iter().map(|t| (t.key.as_str(), t.value.as_str())).collect();
    let rows = unique.into_iter().map(|(k, v)| args![to.tenant, to.experiment, k, to.run, v]).collect();
    c.insert_rows(
        "INSERT INTO run_tags (tenant, experiment_id, key, run_id, value)",
        "ON CONFLICT (tenant, experiment_id, key, run_id) DO UPDATE SET value = excluded.value",
        rows,
    )
    .await
    .map(|_| ())
}

pub(crate) async fn delete_tag(c: &mut Conn, to: &Target<'_>, key: &str) -> Result<u64, StoreError> {
    c.execute(
        "DELETE FROM run_tags WHERE tenant = $1 AND experiment_id = $2 AND key = $3 AND run_id = $4",
        args![to.tenant, to.experiment, key, to.run],
    )
    .await
}

/// One tag of a run.
pub(crate) async fn tag(c: &mut Conn, to: &Target<'_>, key: &str) -> Result<Option<String>, StoreError> {
    let row = c
        .query_opt(
            "SELECT value FROM run_tags WHERE tenant = $1 AND experiment_id = $2 AND key = $3 AND run_id = $4",
            args![to.tenant, to.experiment, key, to.run],
        )
        .await?;
    row.map(|r| r.text("value")).transpose()
}

/// Writes the points of a batch and moves the latest values forward.
pub(crate) async fn add_points(
    c: &mut Conn,
    to: &Target<'_>,
    points: &BTreeMap<String, Vec<Point>>,
    seq: i64,
) -> Result<(), StoreError> {
    super::chunks::add(c, to, points, seq).await?;
    let mut latest = Vec::with_capacity(points.len());
    for (key, points) in points {
        let newest = points.iter().copied().reduce(|a, b| if later(&b, &a) { b } else { a });
        if let Some(p) = newest {
            let (value, nan) = if p.value.is_nan() { (0.0, 1_i64) } else { (p.value, 0) };
            latest.push(args![to.tenant, to.experiment, key, to.run, value, nan, p.step, p.timestamp]);
        }
    }
    c.insert_rows(
        "INSERT INTO run_metrics (tenant, experiment_id, key, run_id, value, is_nan, step, timestamp)",
        "ON CONFLICT (tenant, experiment_id, key, run_id) DO UPDATE SET value = excluded.value, \
         is_nan = excluded.is_nan, step = excluded.step, timestamp = excluded.timestamp \
         WHERE (excluded.step, excluded.timestamp, excluded.value) \
             > (run_metrics.step, run_metrics.timestamp, run_metrics.value)",
        latest,
    )
    .await
    .map(|_| ())
}

/// Writes metrics that measure a logged model.
pub(crate) async fn add_model_metrics(c: &mut Conn, to: &Target<'_>, metrics: &[Metric]) -> Result<(), StoreError> {
    let row = |m: &Metric| -> Option<Vec<Value>> {
        let model = m.model_id.as_ref()?;
        let (value, nan) = if m.value.is_nan() { (0.0, 1_i64) } else { (m.value, 0) };
        Some(args![
            to.tenant,
            model,
            &m.key,
            to.run,
            m.timestamp,
            m.step,
            value,
            nan,
            m.dataset_name.as_deref().unwrap_or_default(),
            m.dataset_digest.as_deref().unwrap_or_default()
        ])
    };
    c.insert_rows(
        "INSERT INTO logged_model_metrics (tenant, model_id, key, run_id, timestamp, step, value, is_nan, \
         dataset_name, dataset_digest)",
        "ON CONFLICT DO NOTHING",
        metrics.iter().filter_map(row).collect(),
    )
    .await
    .map(|_| ())
}

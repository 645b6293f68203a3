//! The points of metrics: written as one chunk a (run, key, batch), read by key, and merged into
//! larger chunks when a key has many small ones.
//!
//! A training loop logs one point a call, so its history arrives as one row a point. Merging costs
//! the calls nothing: it happens behind them, a bounded number of chunks a transaction. A step takes
//! its rows out with `DELETE … RETURNING` and puts the same points back, all or nothing, so that a
//! crash, a chunk that arrives meanwhile or another replica neither loses nor doubles a point.

use super::build::Sql;
use super::log::Target;
use crate::points::{Point, WIDTH, pack, unpack};
use mainspring_core::Tenant;
use mainspring_store::{Conn, StoreError, Value, args};
use std::collections::BTreeMap;

/// A chunk of fewer bytes than this is small: 256 points.
const SMALL: usize = 256 * WIDTH;
/// No chunk is merged beyond this many bytes: 4096 points.
const FULL: usize = 4096 * WIDTH;
/// So many small chunks of one key are worth merging.
pub(crate) const MANY: usize = 64;
/// Most chunks that one transaction takes.
const STEP: usize = 1024;

fn bound(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Makes merging a run's chunks and removing them run one after the other.
pub(crate) async fn lock(c: &mut Conn, tenant: &Tenant, run: &str) -> Result<(), StoreError> {
    c.lock(&format!("registry/chunks/{tenant}/{run}")).await
}

/// Writes the points of a batch, one chunk a key. `seq` orders the chunks of a key.
pub(crate) async fn add(
    c: &mut Conn,
    to: &Target<'_>,
    points: &BTreeMap<String, Vec<Point>>,
    seq: i64,
) -> Result<(), StoreError> {
    let rows = points.iter().map(|(key, p)| args![to.tenant, to.run, key, seq, pack(p)]).collect();
    insert(c, rows).await
}

async fn insert(c: &mut Conn, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
    c.insert_rows("INSERT INTO metric_chunks (tenant, run_id, key, seq, points)", "", rows).await.map(|_| ())
}

/// The points of a metric of one run, unsorted.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub points: Vec<Point>,
    /// In how many small chunks they were.
    pub small: usize,
}

/// All points of a metric of some runs, by run.
pub(crate) async fn history(
    c: &mut Conn,
    tenant: &Tenant,
    runs: &[String],
    key: &str,
) -> Result<BTreeMap<String, History>, StoreError> {
    let mut sql = Sql::new(c.dialect(), "SELECT run_id, points FROM metric_chunks WHERE tenant = ");
    sql.arg(tenant).push(" AND run_id IN ").list(runs.iter()).push(" AND key = ").arg(key);
    let rows = sql.rows(c).await?;
    let mut out: BTreeMap<String, History> = BTreeMap::new();
    for row in &rows {
        let (Value::Text(run), Value::Blob(chunk)) = (row.get("run_id")?, row.get("points")?) else { continue };
        if !out.contains_key(run) {
            out.insert(run.clone(), History::default());
        }
        if let Some(of_run) = out.get_mut(run) {
            of_run.small += usize::from(chunk.len() < SMALL);
            unpack(chunk, &mut of_run.points);
        }
    }
    Ok(out)
}

/// The metrics of a run that have many small chunks.
pub(crate) async fn crowded(c: &mut Conn, tenant: &Tenant, run: &str) -> Result<Vec<String>, StoreError> {
    let rows = c
        .query(
            "SELECT key FROM metric_chunks WHERE tenant = $1 AND run_id = $2 AND length(points) < $3 \
             GROUP BY key HAVING COUNT(*) >= $4 ORDER BY key",
            args![tenant, run, bound(SMALL), bound(MANY)],
        )
        .await?;
    rows.iter().map(|r| r.text("key")).collect()
}

/// Merges the oldest small chunks of a metric. Returns whether there may be more.
pub(crate) async fn merge(c: &mut Conn, tenant: &Tenant, run: &str, key: &str) -> Result<bool, StoreError> {
    lock(c, tenant, run).await?;
    let taken = c
        .query(
            "DELETE FROM metric_chunks WHERE tenant = $1 AND run_id = $2 AND key = $3 AND seq IN \
             (SELECT seq FROM metric_chunks WHERE tenant = $1 AND run_id = $2 AND key = $3 AND length(points) < $4 \
              ORDER BY seq LIMIT $5) RETURNING seq, points",
            args![tenant, run, key, bound(SMALL), bound(STEP)],
        )
        .await?;
    let mut chunks: Vec<(i64, Vec<u8>)> = Vec::with_capacity(taken.len());
    for row in &taken {
        if let Value::Blob(points) = row.get("points")? {
            chunks.push((row.int("seq")?, points.clone()));
        }
    }
    chunks.sort_unstable_by_key(|(seq, _)| *seq);
    let merged = joined(chunks).into_iter().map(|(seq, points)| args![tenant, run, key, seq, points]).collect();
    insert(c, merged).await?;
    Ok(taken.len() == STEP)
}

/// Joins chunks in their order into ones of at most [`FULL`] bytes, each with the number of its first.
fn joined(chunks: Vec<(i64, Vec<u8>)>) -> Vec<(i64, Vec<u8>)> {
    let mut out: Vec<(i64, Vec<u8>)> = Vec::new();
    for (seq, mut points) in chunks {
        // What a reader leaves out must not shift the points behind it.
        points.truncate(points.len() - points.len() % WIDTH);
        match out.last_mut() {
            Some((_, last)) if last.len() + points.len() <= FULL => last.append(&mut points),
            _ => out.push((seq, points)),
        }
    }
    out
}

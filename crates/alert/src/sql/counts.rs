//! What each replica counted for each objective, minute by minute; older minutes are hours.

use super::tenant;
use crate::error::AlertError;
use crate::slo::{Count, Sums, WINDOWS};
use mainspring_core::{Tenant, Timestamp};
use mainspring_store::{Conn, Value, args};

/// Microseconds of a minute and an hour.
const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;

/// Minutes as one replica counts them: a minute that was written before is replaced, unless more was counted then.
pub(crate) async fn record(
    c: &mut Conn,
    replica: &str,
    counts: &[(crate::slo::Series, Count)],
) -> Result<(), AlertError> {
    let rows: Vec<Vec<Value>> = counts
        .iter()
        .map(|(of, count)| {
            let (total, bad) =
                (i64::try_from(count.total).unwrap_or(i64::MAX), i64::try_from(count.bad).unwrap_or(i64::MAX));
            args![&of.tenant, &of.deployment, &of.counted, replica, count.at, MINUTE, total, bad]
        })
        .collect();
    c.insert_rows(
        "INSERT INTO slo_count (tenant, deployment, objective, replica, at, span, total, bad)",
        "ON CONFLICT (tenant, deployment, objective, replica, span, at) DO UPDATE
         SET total = excluded.total, bad = excluded.bad WHERE excluded.total >= slo_count.total",
        rows,
    )
    .await?;
    Ok(())
}

/// Makes hours of the minutes before `before`, and forgets what is older than `oldest`.
pub(crate) async fn roll(c: &mut Conn, before: Timestamp, oldest: Timestamp) -> Result<(), AlertError> {
    let before = before.micros() - before.micros().rem_euclid(HOUR);
    c.execute(
        "INSERT INTO slo_count (tenant, deployment, objective, replica, at, span, total, bad)
         SELECT tenant, deployment, objective, replica, at - at % $1, $1, CAST(SUM(total) AS BIGINT), CAST(SUM(bad) AS BIGINT)
         FROM slo_count WHERE span = $2 AND at < $3 GROUP BY tenant, deployment, objective, replica, at - at % $1
         ON CONFLICT (tenant, deployment, objective, replica, span, at) DO UPDATE
         SET total = slo_count.total + excluded.total, bad = slo_count.bad + excluded.bad",
        args![HOUR, MINUTE, before],
    )
    .await?;
    c.execute("DELETE FROM slo_count WHERE span = $1 AND at < $2", args![MINUTE, before]).await?;
    c.execute("DELETE FROM slo_count WHERE at < $1", args![oldest]).await?;
    Ok(())
}

/// What all replicas counted in each of [`WINDOWS`] up to now.
pub(crate) async fn sums(c: &mut Conn, now: Timestamp) -> Result<Vec<Sums>, AlertError> {
    let mut columns = String::new();
    let mut values = Vec::new();
    for (i, window) in WINDOWS.iter().enumerate() {
        let since = now.micros() - i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        values.push(Value::Int(since - since.rem_euclid(MINUTE)));
        let n = i + 1;
        columns.push_str(&format!(
            ", CAST(SUM(CASE WHEN at >= ${n} THEN total ELSE 0 END) AS BIGINT) AS t{i},
               CAST(SUM(CASE WHEN at >= ${n} THEN bad ELSE 0 END) AS BIGINT) AS b{i}"
        ));
    }
    let sql =
        format!("SELECT tenant, deployment, objective{columns} FROM slo_count GROUP BY tenant, deployment, objective");
    let rows = c.query(&sql, values).await?;
    rows.iter()
        .map(|row| {
            let count = |name: String| row.int(&name).map(|n| u64::try_from(n).unwrap_or(0));
            let mut windows = [(0, 0); WINDOWS.len()];
            for (i, window) in windows.iter_mut().enumerate() {
                *window = (count(format!("t{i}"))?, count(format!("b{i}"))?);
            }
            let tenant: Tenant = tenant(row)?;
            Ok(Sums { tenant, deployment: row.text("deployment")?, counted: row.text("objective")?, windows })
        })
        .collect()
}

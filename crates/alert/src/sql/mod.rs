//! The tables of alerts.

mod counts;
mod deliveries;
mod migrations;

pub(crate) use counts::{record, roll, sums};
pub use deliveries::{Delivery, DeliveryState};
pub(crate) use deliveries::{Done, claim, due, enqueue, finish, list as deliveries, waits};
pub use migrations::MIGRATIONS;

use crate::error::AlertError;
use crate::machine::{Alert, Group};
use crate::silence::Silence;
use mainspring_core::{Tenant, Timestamp};
use mainspring_store::{Conn, Row, StoreError, args};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) fn stored<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T, AlertError> {
    serde_json::from_str(text).map_err(|e| AlertError::Stored { what, reason: e.to_string() })
}

pub(crate) fn text(value: &impl Serialize, what: &'static str) -> Result<String, AlertError> {
    serde_json::to_string(value).map_err(|e| AlertError::Stored { what, reason: e.to_string() })
}

pub(crate) fn tenant(row: &Row) -> Result<Tenant, AlertError> {
    let text = row.text("tenant")?;
    Tenant::new(&text).map_err(|e| AlertError::Stored { what: "tenant", reason: e.to_string() })
}

/// Rows of everybody, of which one that cannot be read must not keep the others back.
#[derive(Debug)]
pub(crate) struct Read<T> {
    /// Those that can be read.
    pub rows: Vec<T>,
    /// Which cannot, and why.
    pub unread: Vec<String>,
}

impl<T> Read<T> {
    fn of(rows: &[Row], keys: &[&str], one: impl Fn(&Row) -> Result<T, AlertError>) -> Result<Self, AlertError> {
        let mut read = Self { rows: Vec::with_capacity(rows.len()), unread: Vec::new() };
        for row in rows {
            match one(row) {
                Ok(value) => read.rows.push(value),
                Err(error @ AlertError::Stored { .. }) => {
                    let which = keys.iter().map(|key| Ok(format!("{key} {:?}", row.text(key)?)));
                    read.unread
                        .push(format!("{error} ({})", which.collect::<Result<Vec<_>, StoreError>>()?.join(", ")));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }
}

/// One alert. One that cannot be read is none: what is said of it next begins anew in its place.
pub(crate) async fn alert(c: &mut Conn, tenant: &Tenant, fingerprint: &str) -> Result<Option<Alert>, AlertError> {
    let sql = "SELECT body FROM alert WHERE tenant = $1 AND fingerprint = $2";
    let Some(row) = c.query_opt(sql, args![tenant, fingerprint]).await? else { return Ok(None) };
    match stored(&row.text("body")?, "alert") {
        Err(error @ AlertError::Stored { .. }) => {
            tracing::error!(%tenant, fingerprint, %error, "an alert is taken for one that never was");
            Ok(None)
        }
        alert => alert.map(Some),
    }
}

/// Every alert that fires, of all tenants.
pub(crate) async fn firing(c: &mut Conn) -> Result<Read<(Tenant, Alert)>, AlertError> {
    let rows = c.query("SELECT tenant, fingerprint, body FROM alert WHERE phase = 'firing'", args![]).await?;
    Read::of(&rows, &["tenant", "fingerprint"], |row| Ok((tenant(row)?, stored(&row.text("body")?, "alert")?)))
}

/// Alerts of a tenant, the last changed first.
pub(crate) async fn alerts(c: &mut Conn, tenant: &Tenant, limit: u32) -> Result<Vec<Alert>, AlertError> {
    // What fires stands first however long ago it changed.
    let sql = "SELECT fingerprint, body FROM alert WHERE tenant = $1
               ORDER BY CASE phase WHEN 'firing' THEN 0 ELSE 1 END, updated_at DESC LIMIT $2";
    let rows = c.query(sql, args![tenant, limit]).await?;
    Ok(Read::of(&rows, &["fingerprint"], |row| stored(&row.text("body")?, "alert"))?.rows)
}

/// Keeps an alert.
pub(crate) async fn put(c: &mut Conn, tenant: &Tenant, alert: &Alert, now: Timestamp) -> Result<(), AlertError> {
    let phase = alert.phase.as_str();
    c.execute(
        "INSERT INTO alert (tenant, fingerprint, phase, body, updated_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant, fingerprint) DO UPDATE
         SET phase = excluded.phase, body = excluded.body, updated_at = excluded.updated_at",
        args![tenant, &alert.fingerprint, phase, text(alert, "alert")?, now],
    )
    .await?;
    Ok(())
}

/// Which group of which channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupKey {
    pub tenant: Tenant,
    pub channel: String,
    pub group: String,
}

/// What every channel was told.
pub(crate) async fn groups(c: &mut Conn) -> Result<Read<(GroupKey, Group)>, AlertError> {
    let rows = c.query("SELECT * FROM alert_group", args![]).await?;
    let one = |row: &Row| {
        let key = GroupKey { tenant: tenant(row)?, channel: row.text("channel")?, group: row.text("grp")? };
        Ok((key, stored(&row.text("body")?, "group of alerts")?))
    };
    Read::of(&rows, &["tenant", "channel", "grp"], one)
}

/// Keeps what a channel was told, or forgets it.
pub(crate) async fn put_group(c: &mut Conn, key: &GroupKey, group: Option<&Group>) -> Result<(), AlertError> {
    let mut args = args![&key.tenant, &key.channel, &key.group];
    let sql = match group {
        None => "DELETE FROM alert_group WHERE tenant = $1 AND channel = $2 AND grp = $3",
        Some(group) => {
            args.push(text(group, "group of alerts")?.into());
            "INSERT INTO alert_group (tenant, channel, grp, body) VALUES ($1, $2, $3, $4)
             ON CONFLICT (tenant, channel, grp) DO UPDATE SET body = excluded.body"
        }
    };
    c.execute(sql, args).await?;
    Ok(())
}

/// A silence as it is kept.
pub(crate) struct StoredSilence {
    pub id: String,
    pub tenant: Tenant,
    pub body: String,
}

/// Silences that have not ended, of all tenants.
pub(crate) async fn silences(c: &mut Conn, now: Timestamp) -> Result<Vec<StoredSilence>, AlertError> {
    let sql = "SELECT id, tenant, body FROM alert_silence WHERE ends_at > $1 ORDER BY id";
    let rows = c.query(sql, args![now]).await?;
    let one = |row: &Row| Ok(StoredSilence { id: row.text("id")?, tenant: tenant(row)?, body: row.text("body")? });
    rows.iter().map(one).collect()
}

/// How many silences of a tenant have not ended.
pub(crate) async fn count_silences(c: &mut Conn, tenant: &Tenant, now: Timestamp) -> Result<usize, AlertError> {
    let sql = "SELECT COUNT(*) AS n FROM alert_silence WHERE tenant = $1 AND ends_at > $2";
    let rows = c.query(sql, args![tenant, now]).await?;
    let n = rows.first().map(|row| row.int("n")).transpose()?.unwrap_or(0);
    Ok(usize::try_from(n).unwrap_or(usize::MAX))
}

/// Keeps a silence.
pub(crate) async fn put_silence(c: &mut Conn, tenant: &Tenant, silence: &Silence) -> Result<(), AlertError> {
    let sql = "INSERT INTO alert_silence (id, tenant, body, ends_at) VALUES ($1, $2, $3, $4)";
    c.execute(sql, args![&silence.id, tenant, text(silence, "silence")?, silence.until]).await?;
    Ok(())
}

/// Ends a silence; whether there was one.
pub(crate) async fn end_silence(c: &mut Conn, tenant: &Tenant, id: &str, now: Timestamp) -> Result<bool, AlertError> {
    let sql = "UPDATE alert_silence SET ends_at = $3 WHERE tenant = $1 AND id = $2 AND ends_at > $3";
    Ok(c.execute(sql, args![tenant, id, now]).await? > 0)
}

/// How far each list of happenings was read.
pub(crate) async fn cursors(c: &mut Conn) -> Result<Vec<(String, u64)>, AlertError> {
    let rows = c.query("SELECT stream, position FROM alert_cursor", args![]).await?;
    rows.iter().map(|row| Ok((row.text("stream")?, u64::try_from(row.int("position")?).unwrap_or(0)))).collect()
}

/// A list was read so far.
pub(crate) async fn put_cursor(c: &mut Conn, stream: &str, position: u64) -> Result<(), AlertError> {
    c.execute(
        "INSERT INTO alert_cursor (stream, position) VALUES ($1, $2)
         ON CONFLICT (stream) DO UPDATE SET position = excluded.position
         WHERE alert_cursor.position < excluded.position",
        args![stream, i64::try_from(position).unwrap_or(i64::MAX)],
    )
    .await?;
    Ok(())
}

/// Forgets what ended before `before`.
pub(crate) async fn purge(c: &mut Conn, before: Timestamp) -> Result<(), AlertError> {
    c.execute("DELETE FROM alert WHERE phase IN ('resolved', 'happened') AND updated_at < $1", args![before]).await?;
    c.execute("DELETE FROM alert_delivery WHERE state <> 'waiting' AND updated_at < $1", args![before]).await?;
    c.execute("DELETE FROM alert_silence WHERE ends_at < $1", args![before]).await?;
    Ok(())
}

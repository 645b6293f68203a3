//! Notices on their way: each stays until somebody took it, refused it for good, or a day has passed.

use super::{Read, stored, tenant, text};
use crate::error::AlertError;
use crate::notice::Notice;
use mainspring_core::{EventId, Tenant, Timestamp};
use mainspring_store::{Conn, Row, args};

/// Where a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be sent, or to be sent again.
    Waiting,
    /// The receiver took it.
    Sent,
    /// The receiver refused it for good.
    Refused,
    /// It could not be sent for a day.
    Expired,
}

impl DeliveryState {
    const ALL: [Self; 4] = [Self::Waiting, Self::Sent, Self::Refused, Self::Expired];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }
}

/// A notice on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Whose.
    pub tenant: Tenant,
    /// What is sent; its id is the delivery's.
    pub notice: Notice,
    /// Where it is.
    pub state: DeliveryState,
    /// How often it was sent.
    pub attempts: u32,
    /// When it is sent again.
    pub next_at: Timestamp,
    /// Why it was not taken.
    pub error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last tried.
    pub updated_at: Timestamp,
}

fn delivery(row: &Row) -> Result<Delivery, AlertError> {
    let state = row.text("state")?;
    Ok(Delivery {
        tenant: tenant(row)?,
        notice: stored(&row.text("body")?, "notice")?,
        state: DeliveryState::ALL.into_iter().find(|s| s.as_str() == state).unwrap_or(DeliveryState::Waiting),
        attempts: u32::try_from(row.int("attempts")?).unwrap_or(u32::MAX),
        next_at: Timestamp(row.int("next_at")?),
        error: row.opt_text("error")?,
        created_at: Timestamp(row.int("created_at")?),
        updated_at: Timestamp(row.int("updated_at")?),
    })
}

/// Puts a notice on its way.
pub(crate) async fn enqueue(c: &mut Conn, notice: &Notice) -> Result<(), AlertError> {
    let (body, at) = (text(notice, "notice")?, notice.at);
    c.execute(
        "INSERT INTO alert_delivery
             (id, tenant, channel, grp, body, state, attempts, next_at, error, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, 'waiting', 0, $6, NULL, $6, $6)",
        args![&notice.id, &notice.tenant, &notice.channel, &notice.group, body, at],
    )
    .await?;
    Ok(())
}

/// Whether a notice of the group is on its way.
pub(crate) async fn waits(c: &mut Conn, key: &super::GroupKey) -> Result<bool, AlertError> {
    let sql = "SELECT id FROM alert_delivery
               WHERE tenant = $1 AND channel = $2 AND grp = $3 AND state = 'waiting' LIMIT 1";
    Ok(c.query_opt(sql, args![&key.tenant, &key.channel, &key.group]).await?.is_some())
}

/// What is to be sent now, at most `most` of each channel: of each group the oldest only, so that none overtakes another.
pub(crate) async fn due(c: &mut Conn, now: Timestamp, most: u32) -> Result<Read<Delivery>, AlertError> {
    let sql = "SELECT * FROM (
                   SELECT d.*, ROW_NUMBER() OVER (PARTITION BY d.tenant, d.channel ORDER BY d.next_at, d.id) AS place
                   FROM alert_delivery AS d WHERE d.state = 'waiting' AND d.next_at <= $1 AND NOT EXISTS (
                       SELECT 1 FROM alert_delivery AS e WHERE e.tenant = d.tenant AND e.channel = d.channel
                       AND e.grp = d.grp AND e.state = 'waiting' AND e.id < d.id)) AS w
               WHERE w.place <= $2 ORDER BY w.next_at, w.id";
    Read::of(&c.query(sql, args![now, most]).await?, &["tenant", "channel", "id"], delivery)
}

/// Says that it is being sent, so that nobody else sends it before `next`. Whether it still was to be sent.
pub(crate) async fn claim(c: &mut Conn, one: &Delivery, next: Timestamp) -> Result<bool, AlertError> {
    let sql = "UPDATE alert_delivery SET attempts = attempts + 1, next_at = $3
               WHERE id = $1 AND state = 'waiting' AND next_at = $2";
    Ok(c.execute(sql, args![&one.notice.id, one.next_at, next]).await? > 0)
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub id: EventId,
    pub state: DeliveryState,
    pub next_at: Timestamp,
    pub error: Option<String>,
    pub at: Timestamp,
}

/// Writes down how an attempt ended.
pub(crate) async fn finish(c: &mut Conn, done: &Done) -> Result<(), AlertError> {
    let sql = "UPDATE alert_delivery SET state = $2, next_at = $3, error = $4, updated_at = $5 WHERE id = $1";
    let state = done.state.as_str();
    c.execute(sql, args![&done.id, state, done.next_at, done.error.clone(), done.at]).await?;
    Ok(())
}

/// The last deliveries to a channel, the newest first.
pub(crate) async fn list(
    c: &mut Conn,
    tenant: &Tenant,
    channel: &str,
    limit: u32,
) -> Result<Vec<Delivery>, AlertError> {
    let sql = "SELECT * FROM alert_delivery WHERE tenant = $1 AND channel = $2 ORDER BY id DESC LIMIT $3";
    let rows = c.query(sql, args![tenant, channel, limit]).await?;
    Ok(Read::of(&rows, &["id"], delivery)?.rows)
}

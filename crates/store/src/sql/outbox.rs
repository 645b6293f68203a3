//! The outbox: events written in the transaction that caused them, relayed at least once.

use crate::conn::Conn;
use crate::db::Db;
use crate::error::StoreError;
use crate::row::Row;
use crate::value::Value;
use futures::FutureExt;
use mainspring_core::{EventId, Tenant, Timestamp};

/// One event that waits to be relayed.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxEvent {
    /// Its id: a receiver that saw it before ignores it.
    pub id: EventId,
    /// What it is about: the name of the relay that takes it.
    pub topic: String,
    /// The event.
    pub body: serde_json::Value,
    /// When it was written.
    pub at: Timestamp,
}

/// An event to be written.
#[derive(Debug)]
pub struct NewEvent<'a> {
    /// Whose.
    pub tenant: &'a Tenant,
    /// What it is about.
    pub topic: &'a str,
    /// Its id.
    pub id: EventId,
    /// The event as JSON.
    pub body: String,
}

impl Conn {
    /// Writes an event in this transaction, to be relayed at least once after the commit. It is
    /// filed under the tenant that `body` names in its field `tenant`, else under `default`.
    ///
    /// # Errors
    /// As [`Conn::query`]; [`StoreError::Unique`] when the id was used before and is still waiting.
    pub async fn outbox(&mut self, topic: &str, id: EventId, body: &serde_json::Value) -> Result<(), StoreError> {
        let named = body.get("tenant").and_then(serde_json::Value::as_str);
        let tenant = named.and_then(|t| Tenant::new(t).ok()).unwrap_or_default();
        self.outbox_all(vec![NewEvent { tenant: &tenant, topic, id, body: body.to_string() }]).await
    }

    /// The same of many events, in this order, with few statements.
    ///
    /// # Errors
    /// As [`Conn::outbox`].
    pub async fn outbox_all(&mut self, events: Vec<NewEvent<'_>>) -> Result<(), StoreError> {
        let now = self.now();
        let row = |NewEvent { tenant, topic, id, body }: NewEvent<'_>| crate::args![tenant, id, topic, body, now];
        let rows = events.into_iter().map(row).collect();
        self.outboxed |= self.insert_rows("INSERT INTO outbox (tenant, id, topic, body, at)", "", rows).await? > 0;
        Ok(())
    }
}

impl Db {
    /// The oldest events of a topic, in the order in which they were written. They stay until
    /// [`Db::outbox_done`]; a relay that stops in between sends them again.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub async fn outbox_take(&self, topic: &str, limit: u32) -> Result<Vec<OutboxEvent>, StoreError> {
        self.outbox_take_of(&[topic], limit).await
    }

    /// The same of several topics, in the order in which they were written, whatever their topic.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub async fn outbox_take_of(&self, topics: &[&str], limit: u32) -> Result<Vec<OutboxEvent>, StoreError> {
        let topics: Vec<String> = topics.iter().map(|&t| t.to_owned()).collect();
        self.read(move |c| {
            async move {
                let mut rows = Vec::new();
                // Each by its index: sorted together, all that waits would be read each time.
                for topic in topics {
                    let sql = "SELECT seq, id, topic, body, at FROM outbox WHERE topic = $1 ORDER BY seq LIMIT $2";
                    for row in c.query(sql, crate::args![topic, limit]).await? {
                        rows.push((row.int("seq")?, row));
                    }
                }
                rows.sort_by_key(|(seq, _)| *seq);
                rows.iter().take(limit as usize).map(|(_, row)| event(row)).collect()
            }
            .boxed()
        })
        .await
    }

    /// Removes events that were relayed. Ids that are not there are ignored.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn outbox_done(&self, ids: &[EventId]) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.write(move |c| {
            async move {
                // Bounded, because SQLite takes at most 32,766 parameters.
                for part in ids.chunks(500) {
                    let holes: Vec<String> = (1..=part.len()).map(|n| format!("${n}")).collect();
                    let sql = format!("DELETE FROM outbox WHERE id IN ({})", holes.join(", "));
                    c.execute(&sql, part.iter().map(Value::from).collect()).await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }
}

fn event(row: &Row) -> Result<OutboxEvent, StoreError> {
    let wrong = |column: &str, wanted: &'static str, found: String| StoreError::Column {
        column: column.to_owned(),
        wanted,
        found,
    };
    let (id, body) = (row.text("id")?, row.text("body")?);
    Ok(OutboxEvent {
        id: id.parse().map_err(|_| wrong("id", "an event id", id))?,
        topic: row.text("topic")?,
        body: serde_json::from_str(&body).map_err(|e| wrong("body", "JSON", e.to_string()))?,
        at: Timestamp(row.int("at")?),
    })
}

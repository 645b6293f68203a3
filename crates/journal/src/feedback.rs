//! Feedback: labels, rewards and comments about predictions.
//!
//! Feedback is written in one transaction (deduplicated by its event id) together with an outbox
//! event; a relay moves it to the log as kind `feedback`. So it is never dropped, and stands in the log
//! at least once: readers count each `event_id` once and take the latest for each (prediction, row,
//! name).

use crate::error::JournalError;
use crate::journal::Journal;
use mainspring_core::auth::Effect;
use mainspring_core::event::{About, Feedback, FeedbackValue};
use mainspring_core::{Action, Authorized, EventId, Resource, Tenant, Timestamp};
use mainspring_store::{Conn, FutureExt, args};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering::Relaxed;

pub(crate) mod index;
pub(crate) mod rows;
pub(crate) mod sql;

/// The outbox topic of feedback on its way to the log.
pub(crate) const TOPIC: &str = "journal.feedback";
/// A caller's own id is unique per deployment for this long, microseconds: 30 days.
pub(crate) const CLIENT_ID_WINDOW: i64 = 30 * 86_400_000_000;
const MAX_NAME: usize = 128;
const MAX_TEXT: usize = 64 << 10;
const MAX_CLIENT_ID: usize = 1024;

/// Sends feedback about predictions.
#[derive(Debug, Clone, Copy)]
pub struct SendFeedback;

impl Action for SendFeedback {
    const NAME: &'static str = "feedback.send";
    const EFFECT: Effect = Effect::Infer;

    fn resource(&self) -> Resource {
        Resource { kind: "feedback", name: "*".into() }
    }
}

/// What became of one piece of feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Accepted {
    /// Taken.
    New,
    /// Taken before under the same event id; nothing changed.
    Duplicate,
}

/// The answer to one piece of feedback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeedbackReceipt {
    /// Its event id.
    pub event: EventId,
    /// What became of it.
    pub accepted: Accepted,
    /// The prediction it is about; `None` when a caller's own id is not known yet. Such feedback is
    /// kept, and joins when the prediction is found at reading.
    pub prediction: Option<EventId>,
}

/// What the outbox carries.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Relayed {
    pub tenant: Tenant,
    pub feedback: Feedback,
    pub prediction: Option<EventId>,
}

impl Journal {
    /// Takes feedback, all of it or none: when this returns it is in the database and will reach the
    /// log. Its tenant is the caller's.
    ///
    /// # Errors
    /// [`JournalError::InvalidFeedback`] for a value that cannot be stored,
    /// [`JournalError::AmbiguousClientId`] when a caller's own id names several predictions,
    /// [`JournalError::Store`] from the database.
    pub async fn feedback(
        &self,
        auth: &Authorized<SendFeedback>,
        feedback: Vec<Feedback>,
    ) -> Result<Vec<FeedbackReceipt>, JournalError> {
        let tenant = auth.tenant().clone();
        feedback.iter().enumerate().try_for_each(|(i, f)| check(i, f))?;
        let ids = std::sync::Arc::clone(&self.shared().ctx.ids);
        let _writing = feedback.iter().map(|f| f.at).min().map(|at| self.shared().fed.writing(at));
        let receipts = self
            .shared()
            .db
            .write(move |conn| {
                async move {
                    let mut receipts = Vec::with_capacity(feedback.len());
                    for mut f in feedback {
                        f.tenant = tenant.clone();
                        let outbox = ids.event(f.at);
                        receipts.push(take(conn, f, outbox).await?);
                    }
                    Ok::<_, JournalError>(receipts)
                }
                .boxed()
            })
            .await?;
        let new = receipts.iter().filter(|r| r.accepted == Accepted::New).count() as u64;
        let counters = &self.shared().counters;
        counters.feedback.fetch_add(new, Relaxed);
        counters.feedback_duplicates.fetch_add(receipts.len() as u64 - new, Relaxed);
        Ok(receipts)
    }
}

fn check(index: usize, f: &Feedback) -> Result<(), JournalError> {
    let refuse = |why: String| Err(JournalError::InvalidFeedback { index, why });
    if f.name.is_empty() || f.name.len() > MAX_NAME {
        return refuse(format!("a name has 1 to {MAX_NAME} bytes, this one has {}", f.name.len()));
    }
    match &f.value {
        FeedbackValue::Number(n) if !n.is_finite() => return refuse(format!("{n} is not a finite number")),
        FeedbackValue::Text(t) if t.len() > MAX_TEXT => {
            return refuse(format!("a text has at most {MAX_TEXT} bytes, this one has {}", t.len()));
        }
        _ => {}
    }
    if i32::try_from(f.row).is_err() {
        return refuse(format!("row {} does not exist in any request", f.row));
    }
    match &f.about {
        About::ClientId { id, deployment } if id.is_empty() || id.len() > MAX_CLIENT_ID || deployment.is_empty() => {
            refuse(format!("your own id has 1 to {MAX_CLIENT_ID} bytes and needs its deployment"))
        }
        _ => Ok(()),
    }
}

async fn take(conn: &mut Conn, f: Feedback, outbox: EventId) -> Result<FeedbackReceipt, JournalError> {
    let prediction = match &f.about {
        About::Prediction(id) => Some(*id),
        About::ClientId { deployment, id } => resolve(conn, &f.tenant, deployment, id, f.at).await?,
    };
    let args = args![&f.tenant, f.event.to_string(), f.at.micros()];
    let accepted = if conn.execute(sql::INSERT_SEEN, args).await? == 0 {
        Accepted::Duplicate
    } else {
        let relayed = Relayed { tenant: f.tenant.clone(), feedback: f.clone(), prediction };
        let body = serde_json::to_value(&relayed)
            .map_err(|e| JournalError::InvalidFeedback { index: 0, why: e.to_string() })?;
        conn.outbox(TOPIC, outbox, &body).await?;
        Accepted::New
    };
    Ok(FeedbackReceipt { event: f.event, accepted, prediction })
}

/// The one prediction that carries a caller's own id.
async fn resolve(
    conn: &mut Conn,
    tenant: &Tenant,
    deployment: &str,
    id: &str,
    now: Timestamp,
) -> Result<Option<EventId>, JournalError> {
    let since = now.micros().saturating_sub(CLIENT_ID_WINDOW);
    let Some(row) = conn.query_opt(sql::FIND_CLIENT_ID, args![tenant, deployment, id, since]).await? else {
        return Ok(None);
    };
    let count = row.int("uses")?;
    if count > 1 {
        return Err(JournalError::AmbiguousClientId { deployment: deployment.into(), id: id.into(), count });
    }
    Ok(row.text("prediction_id")?.parse().ok())
}

/// A value as text, its type, and its number where it has one.
pub(crate) fn value_columns(value: &FeedbackValue) -> (String, &'static str, Option<f64>) {
    match value {
        FeedbackValue::Bool(b) => (b.to_string(), "bool", Some(f64::from(u8::from(*b)))),
        FeedbackValue::Number(n) => (n.to_string(), "number", Some(*n)),
        FeedbackValue::Text(t) => (t.clone(), "text", None),
    }
}

#[cfg(test)]
mod tests;

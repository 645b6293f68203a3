//! Moves feedback from the outbox to the log, at least once.

use super::{Relayed, TOPIC, value_columns};
use crate::error::JournalError;
use crate::journal::Shared;
use crate::layout::{self, feedback_schema};
use crate::log::StreamHeader;
use crate::snapshot::Kind;
use crate::writer::Command;
use arrow::array::{Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use mainspring_core::event::About;
use mainspring_core::{EventId, Tenant};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

const BATCH: u32 = 1000;
/// How often the outbox is looked at when nothing rings: for what an earlier process left.
const LOOK: Duration = Duration::from_secs(2);

/// Runs until shutdown.
pub(crate) async fn run(shared: Arc<Shared>, commands: crossbeam_channel::Sender<Command>) {
    let mut changed = shared.db.outbox_changed();
    loop {
        changed.mark_unchanged();
        match relay(&shared, &commands).await {
            Ok(moved) if moved == BATCH as usize => continue,
            Ok(_) => {}
            Err(e) => {
                tracing::warn!(error = %e, "feedback waits in the database for the log");
                tokio::time::sleep(LOOK).await;
            }
        }
        let _rung_or_late = tokio::time::timeout(LOOK, changed.changed()).await;
    }
}

async fn relay(shared: &Shared, commands: &crossbeam_channel::Sender<Command>) -> Result<usize, JournalError> {
    let events = shared.db.outbox_take(TOPIC, BATCH).await?;
    if events.is_empty() {
        return Ok(0);
    }
    let mut streams: BTreeMap<(Tenant, Option<String>), Vec<Relayed>> = BTreeMap::new();
    for event in &events {
        match serde_json::from_value::<Relayed>(event.body.clone()) {
            Ok(relayed) => streams.entry(stream(&relayed)).or_default().push(relayed),
            Err(e) => tracing::error!(error = %e, id = %event.id, "feedback in the outbox cannot be read; skipped"),
        }
    }
    for ((tenant, deployment), feedback) in streams {
        let batch = rows(&feedback).map_err(JournalError::arrow("build feedback rows"))?;
        let header = StreamHeader {
            tenant: tenant.as_str().to_owned(),
            kind: Kind::Feedback,
            deployment: deployment.map(Arc::from),
            fingerprint: layout::fingerprint(&batch.schema()),
        };
        let (done, stored) = oneshot::channel();
        commands.send(Command::Rows(header, batch, done)).map_err(|_| JournalError::Closed)?;
        shared.queue.wake_now();
        stored.await.map_err(|_| JournalError::Closed)??;
    }
    let ids: Vec<EventId> = events.iter().map(|e| e.id).collect();
    shared.db.outbox_done(&ids).await?;
    Ok(events.len())
}

fn stream(relayed: &Relayed) -> (Tenant, Option<String>) {
    let deployment = match &relayed.feedback.about {
        About::Prediction(_) => None,
        About::ClientId { deployment, .. } => Some(deployment.clone()),
    };
    (relayed.tenant.clone(), deployment)
}

pub(crate) fn rows(feedback: &[Relayed]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let text = |f: &dyn Fn(&Relayed) -> String| StringArray::from_iter_values(feedback.iter().map(f));
    let maybe = |f: &dyn Fn(&Relayed) -> Option<String>| -> StringArray { feedback.iter().map(f).collect() };
    let at: Vec<i64> = feedback.iter().map(|r| r.feedback.at.micros()).collect();
    let own_id = |r: &Relayed| match &r.feedback.about {
        About::Prediction(_) => None,
        About::ClientId { id, .. } => Some(id.clone()),
    };
    let numbers: Float64Array = feedback.iter().map(|r| value_columns(&r.feedback.value).2).collect();
    RecordBatch::try_new(
        feedback_schema(),
        vec![
            Arc::new(text(&|r| r.feedback.event.to_string())),
            Arc::new(TimestampMicrosecondArray::from(at).with_timezone("UTC")),
            Arc::new(maybe(&|r| r.prediction.map(|p| p.to_string()))),
            Arc::new(maybe(&own_id)),
            Arc::new(Int32Array::from_iter_values(feedback.iter().map(|r| r.feedback.row as i32))),
            Arc::new(text(&|r| r.feedback.name.clone())),
            Arc::new(text(&|r| value_columns(&r.feedback.value).0)),
            Arc::new(text(&|r| value_columns(&r.feedback.value).1.to_owned())),
            Arc::new(numbers),
        ],
    )
}

//! Moves events from the outbox to the log, at least once.

use crate::decision;
use crate::error::JournalError;
use crate::feedback;
use crate::journal::Shared;
use crate::log::StreamHeader;
use crate::writer::Command;
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use mainspring_core::EventId;
use mainspring_core::event::Decision;
use mainspring_store::OutboxEvent;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

const BATCH: u32 = 1000;
/// How often the outbox is looked at when nothing rings: for what an earlier process left.
const LOOK: Duration = Duration::from_secs(2);

/// Rows by the stream that they belong to.
pub(crate) type Streams = Vec<(StreamHeader, RecordBatch)>;

/// What is relayed: a topic, and how its events become rows.
type Topic = (&'static str, fn(&[OutboxEvent]) -> Result<Streams, ArrowError>);
const TOPICS: [Topic; 2] = [(feedback::TOPIC, feedback::rows::streams), (Decision::TOPIC, decision::streams)];

/// Runs until shutdown.
pub(crate) async fn run(shared: Arc<Shared>, commands: crossbeam_channel::Sender<Command>) {
    let mut changed = shared.db.outbox_changed();
    loop {
        changed.mark_unchanged();
        let mut more = false;
        for topic in TOPICS {
            let written = shared.fed.written(shared.ctx.now());
            match relay(&shared, &commands, topic).await {
                Ok(moved) if moved == BATCH as usize => more = true,
                Ok(_) if topic.0 == feedback::TOPIC => shared.fed.relayed(written),
                Ok(_) => {}
                Err(e) => {
                    tracing::warn!(error = %e, topic = topic.0, "events wait in the database for the log");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
        if !more {
            let _rung_or_late = tokio::time::timeout(LOOK, changed.changed()).await;
        }
    }
}

async fn relay(
    shared: &Shared,
    commands: &crossbeam_channel::Sender<Command>,
    (topic, streams): Topic,
) -> Result<usize, JournalError> {
    let events = shared.db.outbox_take(topic, BATCH).await?;
    for (header, batch) in streams(&events).map_err(JournalError::arrow("build rows"))? {
        let (done, stored) = oneshot::channel();
        commands.send(Command::Rows(header, batch, done)).map_err(|_| JournalError::Closed)?;
        shared.queue.wake_now();
        stored.await.map_err(|_| JournalError::Closed)??;
    }
    if !events.is_empty() {
        let ids: Vec<EventId> = events.iter().map(|e| e.id).collect();
        shared.db.outbox_done(&ids).await?;
    }
    Ok(events.len())
}

/// What the events carry; one that cannot be read would stop all others for ever, and is left out.
pub(crate) fn read<T: DeserializeOwned>(events: &[OutboxEvent]) -> Vec<T> {
    let read = |event: &OutboxEvent| match serde_json::from_value(event.body.clone()) {
        Ok(body) => Some(body),
        Err(e) => {
            tracing::error!(error = %e, id = %event.id, topic = event.topic, "an event in the outbox cannot be read; skipped");
            None
        }
    };
    events.iter().filter_map(read).collect()
}

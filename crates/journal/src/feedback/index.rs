//! Keeps which prediction carries which caller's own id.

use super::{CLIENT_ID_WINDOW, sql};
use crate::batch::ClientId;
use crate::error::JournalError;
use crate::journal::Shared;
use mainspring_store::{FutureExt, args};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc;

/// Ids of one transaction.
const BATCH: usize = 2000;
const RETRY: Duration = Duration::from_secs(1);

/// Takes ids from the writer until it has ended. While the database is away the ids wait in the
/// channel; what does not fit there is counted as skipped by the writer.
pub(crate) async fn run(shared: Arc<Shared>, mut ids: mpsc::Receiver<ClientId>) {
    let stop = shared.ctx.tasks.cancelled();
    let mut batch = Vec::with_capacity(BATCH);
    while ids.recv_many(&mut batch, BATCH).await > 0 {
        let uses = count(std::mem::take(&mut batch));
        while let Err(e) = store(&shared, uses.clone()).await {
            tracing::warn!(error = %e, "callers' own ids wait for the database");
            if stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
                shared.counters.client_ids_skipped.fetch_add(uses.len() as u64, Relaxed);
                break;
            }
        }
    }
}

/// The last prediction with each id, and how many there were.
fn count(batch: Vec<ClientId>) -> Arc<[(ClientId, i64)]> {
    let mut uses = HashMap::new();
    for next in batch {
        let key = (next.tenant.as_str().to_owned(), next.target.deployment.clone(), Arc::clone(&next.id));
        let before = uses.get(&key).map_or(0, |(_, count)| *count);
        uses.insert(key, (next, before + 1));
    }
    uses.into_values().collect()
}

async fn store(shared: &Shared, uses: Arc<[(ClientId, i64)]>) -> Result<(), JournalError> {
    shared
        .db
        .write(move |conn| {
            async move {
                for (last, count) in uses.iter() {
                    let at = last.at.micros();
                    let args = args![
                        &last.tenant,
                        last.target.deployment.to_string(),
                        last.id.to_string(),
                        last.prediction.to_string(),
                        at,
                        *count,
                        at.saturating_sub(CLIENT_ID_WINDOW)
                    ];
                    conn.execute(sql::UPSERT_CLIENT_ID, args).await?;
                }
                Ok::<_, JournalError>(())
            }
            .boxed()
        })
        .await
}

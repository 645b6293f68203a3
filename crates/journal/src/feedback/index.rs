//! Keeps which prediction carries which caller's own id.

use super::sql;
use crate::batch::ClientId;
use crate::error::JournalError;
use crate::journal::Shared;
use mainspring_store::{FutureExt, args};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc;

/// Ids of one transaction.
const BATCH: usize = 2000;
const RETRY: Duration = Duration::from_secs(1);
/// How long the first id of a batch waits for others, so that a slow stream of requests is not a commit
/// each. Feedback that comes sooner is an orphan until it is read.
const LINGER: Duration = Duration::from_millis(200);

/// Takes ids from the writer until it has ended. While the database is away the ids wait in the
/// channel; what does not fit there is counted as skipped by the writer.
pub(crate) async fn run(shared: Arc<Shared>, mut ids: mpsc::Receiver<ClientId>) {
    let stop = shared.ctx.tasks.cancelled();
    while let Some(batch) = gather(&mut ids).await {
        let uses = count(batch);
        while let Err(e) = store(&shared, uses.clone()).await {
            tracing::warn!(error = %e, "callers' own ids wait for the database");
            if stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
                shared.counters.client_ids_skipped.fetch_add(uses.len() as u64, Relaxed);
                break;
            }
        }
    }
}

/// The ids of one transaction; `None` when there will be no more.
async fn gather(ids: &mut mpsc::Receiver<ClientId>) -> Option<Vec<ClientId>> {
    let mut batch = Vec::with_capacity(BATCH);
    if ids.recv_many(&mut batch, BATCH).await == 0 {
        return None;
    }
    let full = async {
        loop {
            let room = BATCH - batch.len();
            if room == 0 || ids.recv_many(&mut batch, room).await == 0 {
                return;
            }
        }
    };
    // Late is as good as full.
    let _full_or_late = tokio::time::timeout(LINGER, full).await;
    Some(batch)
}

/// The last prediction with each id, and how many there were; in one order, so that replicas that write
/// the same ids do not wait for each other in a circle.
fn count(batch: Vec<ClientId>) -> Arc<[(ClientId, i64)]> {
    let mut uses = BTreeMap::new();
    for next in batch {
        let key = (next.tenant.as_str().to_owned(), next.target.deployment.clone(), Arc::clone(&next.id));
        let before = uses.get(&key).map_or(0, |(_, count)| *count);
        uses.insert(key, (next, before + 1));
    }
    uses.into_values().collect()
}

async fn store(shared: &Shared, uses: Arc<[(ClientId, i64)]>) -> Result<(), JournalError> {
    let storing = shared.db.write(move |conn| {
        async move {
            let rows = uses.iter().map(|(last, count)| {
                args![
                    &last.tenant,
                    last.target.deployment.to_string(),
                    last.id.to_string(),
                    last.prediction.to_string(),
                    last.at.micros(),
                    *count
                ]
            });
            conn.insert_rows(sql::COUNT_CLIENT_IDS, sql::ADD_USES, rows.collect()).await?;
            Ok::<_, JournalError>(())
        }
        .boxed()
    });
    storing.await
}

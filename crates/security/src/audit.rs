//! The audit trail's sink: takes decisions without blocking and writes them in batches.

use mainspring_core::{AuditRecord, AuditSink, Ctx};
use mainspring_store::{Db, FutureExt, StoreError};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Records that may wait for the database.
const WAITING: usize = 4096;
/// Denials written in a burst, and per second after it.
const BURST: f64 = 200.0;
const PER_SECOND: f64 = 20.0;

/// Counters of the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrailStats {
    /// Denials heard of.
    pub denials: u64,
    /// Denials counted but not written, because too many came at once.
    pub suppressed: u64,
    /// Records lost because the database was away for too long.
    pub lost: u64,
}

/// Takes records without blocking; a task writes them. A flood of denials is written up to a rate
/// and counted beyond it; the next one written says how many were not.
#[derive(Debug)]
pub struct Trail {
    send: mpsc::Sender<AuditRecord>,
    bucket: Mutex<Bucket>,
    denials: AtomicU64,
    suppressed: AtomicU64,
    lost: AtomicU64,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
    /// Suppressed since the last one that was written.
    since: u64,
}

impl Trail {
    /// Starts the sink and its writing task.
    pub fn start(db: Db, ctx: &Ctx) -> Arc<Self> {
        let (send, receive) = mpsc::channel(WAITING);
        let bucket = Mutex::new(Bucket { tokens: BURST, filled: Instant::now(), since: 0 });
        let zero = || AtomicU64::new(0);
        let trail = Arc::new(Self { send, bucket, denials: zero(), suppressed: zero(), lost: zero() });
        drop(ctx.tasks.spawn_graceful(write(db, receive, ctx.clone())));
        trail
    }

    /// The counters.
    pub fn stats(&self) -> TrailStats {
        TrailStats {
            denials: self.denials.load(Ordering::Relaxed),
            suppressed: self.suppressed.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }

    /// Whether one more denial may be written; if so, how many before it were not.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut bucket = self.bucket.lock();
        let gained = now.duration_since(bucket.filled).as_secs_f64() * PER_SECOND;
        bucket.tokens = (bucket.tokens + gained).min(BURST);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            bucket.since += 1;
            return None;
        }
        bucket.tokens -= 1.0;
        Some(std::mem::take(&mut bucket.since))
    }
}

impl AuditSink for Trail {
    fn record(&self, mut record: AuditRecord) {
        if !record.allowed {
            self.denials.fetch_add(1, Ordering::Relaxed);
            match self.admit(Instant::now()) {
                None => {
                    self.suppressed.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Some(0) => {}
                Some(n) => {
                    let reason = record.reason.take().unwrap_or_default();
                    record.reason = Some(format!("{reason} ({n} denials before this one were not written)"));
                }
            }
        }
        if self.send.try_send(record).is_err() && self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!("audit records are being lost: the database has not taken any for too long");
        }
    }
}

async fn write(db: Db, mut receive: mpsc::Receiver<AuditRecord>, ctx: Ctx) {
    let stop = ctx.tasks.cancelled();
    let mut batch = Vec::with_capacity(256);
    loop {
        let stopping = stop.is_cancelled();
        if stopping {
            receive.close();
        }
        if batch.is_empty() {
            let got = tokio::select! {
                n = receive.recv_many(&mut batch, 256) => n,
                () = stop.cancelled(), if !stopping => continue,
            };
            if got == 0 {
                return;
            }
        }
        match store(&db, batch.clone()).await {
            Ok(()) => batch.clear(),
            Err(error) if stopping => {
                return tracing::error!(%error, lost = batch.len(), "audit records lost at shutdown");
            }
            Err(error) => {
                tracing::warn!(%error, "cannot write the audit trail; trying again");
                let _stopped = stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await;
            }
        }
    }
}

async fn store(db: &Db, batch: Vec<AuditRecord>) -> Result<(), StoreError> {
    db.write(move |c| {
        async move {
            for record in &batch {
                c.audit(record).await?;
            }
            Ok(())
        }
        .boxed()
    })
    .await
}

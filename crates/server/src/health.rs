//! Whether the server takes requests, and what of it does not work. Looked at in the background, so
//! that a probe costs a few loads.

use mainspring_artifact::Artifacts;
use mainspring_core::{Ctx, Failure};
use mainspring_engine_onnx::OnnxRuntime;
use mainspring_journal::Journal;
use mainspring_proto_native::dto::system::{Check, Health as Report};
use mainspring_registry::Registry;
use mainspring_serving::Serving;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often other processes' changes, and the database with them, are looked for.
const EVERY: Duration = Duration::from_millis(500);

/// How often the artifact store is asked whether it is there: a bucket wants money for each answer.
const SELDOM: Duration = Duration::from_secs(30);
/// How long its answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The state of the server. Clones share it.
#[derive(Debug, Clone)]
pub struct Health {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Cancelled when the server takes no more requests.
    stop: CancellationToken,
    /// What was declared when the server started was loaded, or failed to.
    caught_up: AtomicBool,
    /// What the database said last, when it does not answer.
    database: Mutex<Option<String>>,
    /// The same of the artifact store.
    artifacts: Mutex<Option<String>>,
    journal: Journal,
    onnx: OnnxRuntime,
}

impl Health {
    /// Of a server that is not ready yet; `stop` is cancelled when it begins to shut down.
    pub fn new(journal: Journal, onnx: OnnxRuntime, stop: CancellationToken) -> Self {
        let (caught_up, database, artifacts) = Default::default();
        Self { inner: Arc::new(Inner { stop, caught_up, database, artifacts, journal, onnx }) }
    }

    /// Starts to look.
    pub fn follow(&self, registry: Registry, serving: Serving, artifacts: Artifacts, ctx: &Ctx) {
        let me = self.clone();
        drop(ctx.tasks.spawn("health: load what is declared", async move {
            serving.all_settled().await;
            me.inner.caught_up.store(true, Ordering::Release);
        }));
        let me = self.clone();
        drop(ctx.tasks.spawn("health: database", async move {
            loop {
                // The query by which other replicas' changes are seen says as well whether the
                // database answers.
                let said = registry.refresh().await.err().map(|e| e.to_string());
                note("database", &me.inner.database, said);
                tokio::time::sleep(EVERY).await;
            }
        }));
        let me = self.clone();
        drop(ctx.tasks.spawn("health: artifacts", async move {
            loop {
                let said = match tokio::time::timeout(PATIENCE, artifacts.reach()).await {
                    Ok(answer) => answer.err().map(|e| e.to_string()),
                    Err(_) => Some(format!("{} has not answered for {} s", artifacts.location(), PATIENCE.as_secs())),
                };
                note("artifact store", &me.inner.artifacts, said);
                tokio::time::sleep(SELDOM).await;
            }
        }));
    }

    /// Whether requests are welcome. A database or an artifact store that is away does not make the
    /// server unready: deployed models go on answering without them, and taking every replica that
    /// shares them out of service would end what still works.
    pub fn ready(&self) -> bool {
        let inner = &self.inner;
        !inner.stop.is_cancelled() && inner.caught_up.load(Ordering::Acquire) && !self.answers_wait_for_a_sick_log()
    }

    /// With `journal.sync: always` no prediction is answered while the log takes no writes.
    fn answers_wait_for_a_sick_log(&self) -> bool {
        self.inner.journal.is_durable() && self.inner.journal.stats().degraded
    }

    /// What works and what does not.
    pub fn report(&self) -> Report {
        let inner = &self.inner;
        let requests = if inner.stop.is_cancelled() {
            Some("the server is stopping".to_owned())
        } else if !inner.caught_up.load(Ordering::Acquire) {
            Some("loading what was declared before the start".to_owned())
        } else {
            None
        };
        let engine = inner.onnx.library().err().map(|e| match e.hint() {
            Some(hint) => format!("{e}; {hint}"),
            None => e.to_string(),
        });
        // Their own words name folders, buckets, addresses and users, and a probe wants no key.
        let away = |failed: bool, what: &str| failed.then(|| format!("{what}; the server's log says why"));
        let checks = [
            ("requests", requests),
            ("database", away(inner.database.lock().is_some(), "the database does not answer")),
            ("artifacts", away(inner.artifacts.lock().is_some(), "the artifact store does not answer")),
            ("journal", away(inner.journal.stats().degraded, "the journal takes no writes")),
            ("engine", engine),
        ];
        let checks = checks.map(|(name, message)| Check { name: name.into(), ok: message.is_none(), message });
        Report { ready: self.ready(), checks: checks.into() }
    }
}

/// Keeps what a store of others said last, and says in the log when that changes.
fn note(what: &str, last: &Mutex<Option<String>>, said: Option<String>) {
    let mut last = last.lock();
    match (&*last, &said) {
        (None, Some(error)) => tracing::error!(error, "the {what} does not answer; deployed models go on"),
        (Some(_), None) => tracing::info!("the {what} answers again"),
        _ => {}
    }
    *last = said;
}

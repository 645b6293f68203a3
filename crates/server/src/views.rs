//! What only the whole server knows.

use crate::config::Resolved;
use futures::future::BoxFuture;
use mainspring_core::Timestamp;
use mainspring_engine_onnx::OnnxRuntime;
use mainspring_journal::Journal;
use mainspring_proto_native::Views;
use mainspring_proto_native::dto::Time;
use mainspring_proto_native::dto::system::{Check, Config, Health, Info, Setting};
use mainspring_store::Db;

/// The server, seen by its own API.
#[derive(Debug)]
pub struct Whole {
    /// When it started.
    pub started_at: Timestamp,
    /// The metadata database.
    pub db: Db,
    /// Where artifacts are.
    pub artifacts: String,
    /// The engine.
    pub onnx: OnnxRuntime,
    /// The journal.
    pub journal: Journal,
    /// Settings with their origins.
    pub resolved: Option<Resolved>,
    /// Whether requests from this machine need no key.
    pub open_on_loopback: bool,
}

impl Whole {
    fn engine(&self) -> Check {
        let library = self.onnx.library();
        Check { name: "engine".into(), ok: library.is_ok(), message: library.err().map(ToString::to_string) }
    }

    fn log(&self) -> Check {
        let stats = self.journal.stats();
        let message = stats.degraded.then(|| stats.last_error.unwrap_or_else(|| "the log takes no writes".into()));
        Check { name: "journal".into(), ok: !stats.degraded, message }
    }

    async fn database(&self) -> Check {
        let probe = self.db.read(|c| Box::pin(async move { c.query("SELECT 1 AS one", vec![]).await.map(drop) }));
        let answer: Result<(), mainspring_store::StoreError> = probe.await;
        Check { name: "database".into(), ok: answer.is_ok(), message: answer.err().map(|e| e.to_string()) }
    }
}

impl Views for Whole {
    fn info(&self) -> Info {
        let database = self.db.display();
        Info {
            name: "mainspring".into(),
            version: crate::VERSION.into(),
            started_at: Time::from(self.started_at),
            database: if database.starts_with("postgres") { "postgres".into() } else { "sqlite".into() },
            artifacts: self.artifacts.clone(),
            engines: self.onnx.library().ok().map(|found| format!("onnxruntime {found}")).into_iter().collect(),
            open_on_loopback: self.open_on_loopback,
        }
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async move {
            let checks = vec![self.database().await, self.log(), self.engine()];
            // Without an engine everything but serving works, so it does not make the server unready.
            let ready = checks.iter().all(|c| c.ok || c.name == "engine");
            Health { ready, checks }
        })
    }

    fn config(&self) -> Config {
        let rows = self.resolved.as_ref().map(Resolved::rows).unwrap_or_default();
        let setting = |(key, value, origin): (&crate::config::Key, String, &crate::config::Origin)| Setting {
            key: key.name.into(),
            value,
            origin: origin.to_string(),
            help: key.help.into(),
        };
        Config { settings: rows.into_iter().map(setting).collect() }
    }
}

//! What only the whole server knows.

use crate::config::Resolved;
use crate::health::Health;
use futures::future::BoxFuture;
use mainspring_core::{EventId, Gate, Principal, Timestamp};
use mainspring_engine_onnx::OnnxRuntime;
use mainspring_http::ApiError;
use mainspring_lineage::Lineage;
use mainspring_proto_native::Views;
use mainspring_proto_native::dto::Time;
use mainspring_proto_native::dto::journal::BatchRun;
use mainspring_proto_native::dto::system::{Config, Health as Report, Info, Setting};
use mainspring_store::Db;
use std::sync::Arc;

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
    /// Whether it takes requests.
    pub health: Health,
    /// Settings with their origins.
    pub resolved: Option<Resolved>,
    /// Whether requests from this machine need no key.
    pub open_on_loopback: bool,
    /// Where a run over a file is noted.
    pub lineage: Lineage,
    /// Asked in the name of whoever tells of such a run.
    pub gate: Gate,
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

    fn health(&self) -> Report {
        self.health.report()
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

    fn predicted<'a>(
        &'a self,
        who: &'a Arc<Principal>,
        of: (EventId, Timestamp),
        run: &'a BatchRun,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async move { crate::lineage::bulk(&self.lineage, &self.gate, who, of, run).await })
    }
}

//! Serves the MLflow API alone: `serve PORT FOLDER`.

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use mainspring_artifact::Artifacts;
use mainspring_core::{AuditRecord, AuditSink, Ctx, Decision, Effect, Gate, Policy, Principal, Resource};
use mainspring_http::Caller;
use mainspring_proto_mlflow::{MlflowState, open_routes, routes};
use mainspring_registry::{MIGRATIONS, Registry};
use mainspring_store::{Db, DbSettings};
use std::path::PathBuf;
use std::sync::Arc;

struct Open;

impl Policy for Open {
    fn decide(&self, _: &Principal, _: &'static str, _: Effect, _: &Resource) -> Decision {
        Decision::Allow
    }
}

impl AuditSink for Open {
    fn record(&self, _: AuditRecord) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().unwrap_or_default().parse()?;
    let folder = PathBuf::from(args.next().unwrap_or_default());
    std::fs::create_dir_all(&folder)?;
    let ctx = Ctx::system();
    let db = Db::open(&DbSettings::sqlite(folder.join("meta.db")), &[MIGRATIONS], &ctx).await?;
    let artifacts = Artifacts::open(&folder.join("artifacts").display().to_string(), &folder.join("cache"))?;
    let registry = Registry::open(db, artifacts, ctx.clone()).await?;
    let gate = Gate::new(Arc::new(Open), Arc::new(Open), Arc::clone(&ctx.clock));
    let who = Arc::new(Principal::loopback());
    let app = routes(MlflowState { registry, gate }).merge(open_routes()).layer(from_fn(
        move |mut request: Request, next: Next| {
            Caller::put(request.extensions_mut(), Arc::clone(&who));
            next.run(request)
        },
    ));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, app).await?;
    Ok(())
}

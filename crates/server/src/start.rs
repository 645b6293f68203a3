//! Start and stop.

use crate::config::{Resolved, Settings};
use crate::data::DataDir;
use crate::error::StartError;
use crate::metrics::{self, Reading};
use crate::ports::{Doorman, Models, Recorder};
use crate::reconcile::Reconciler;
use crate::views::Whole;
use crate::{console, durable, trace, wiring};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mainspring_core::{Ctx, Gate, Principal, Tasks};
use mainspring_engine::Engine;
use mainspring_engine_onnx::OnnxRuntime;
use mainspring_engine_python::{PythonRuntime, PythonSettings};
use mainspring_http::{ApiError, Caller, Guard, Render, ServeSettings, TlsSettings, problem};
use mainspring_journal::Journal;
use mainspring_proto_mlflow::{MlflowState, scoring};
use mainspring_proto_native::NativeState;
use mainspring_proto_oip::{Limits, OipState};
use mainspring_query::{Limits as QueryLimits, Query};
use mainspring_registry::Registry;
use mainspring_resource::Resources;
use mainspring_security::{RolePolicy, Security, SecuritySettings, Trail};
use mainspring_serving::{Describe, ReadStats, Serving};
use mainspring_store::Db;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// What a running server says about itself.
#[derive(Debug, Clone)]
pub struct About {
    /// Where it listens: `http://127.0.0.1:8080`.
    pub url: String,
    /// The data folder.
    pub data: String,
    /// The metadata database.
    pub database: String,
    /// The artifact store.
    pub artifacts: String,
    /// The engine and its version, or what is missing.
    pub engine: String,
    /// What the operator should know: recovery, missing parts.
    pub remarks: Vec<String>,
}

/// A running server.
#[derive(Debug)]
pub struct Running {
    about: About,
    front: Tasks,
    ctx: Ctx,
    journal: Journal,
    db: Db,
    data: DataDir,
}

impl Running {
    /// What it says about itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Stops accepting, lets running requests finish, then closes the parts in order: what feeds the
    /// journal first, the database last. Returns whether everything ended within `grace`.
    pub async fn shutdown(self, grace: Duration) -> bool {
        let drained = self.front.shutdown(grace).await;
        let ended = self.ctx.tasks.shutdown(Duration::from_secs(5)).await;
        self.journal.close().await;
        self.db.close().await;
        drop(self.data);
        drained && ended
    }
}

/// Every part, open.
struct Parts {
    registry: Registry,
    journal: Journal,
    security: Security,
    resources: Resources,
    serving: Serving,
    onnx: OnnxRuntime,
    gate: Gate,
    db: Db,
    ctx: Ctx,
}

/// Opens everything and begins to serve.
///
/// # Errors
/// [`StartError`] naming the part and what to do.
pub async fn start(settings: Settings, resolved: Option<Resolved>) -> Result<Running, StartError> {
    let ctx = Ctx::system();
    let data = DataDir::open(&settings.data)?;
    let settings = Settings { data: data.root().to_owned(), ..settings };
    let parts = open(&settings, &data, &ctx).await?;
    let address = SocketAddr::new(settings.host, settings.port);
    if !settings.host.is_loopback() && !parts.security.has_keys() {
        return Err(StartError::Open { address });
    }
    let listener = TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
    let tls = tls(&settings, &data)?;
    let url = format!("{}://{address}", if tls.is_some() { "https" } else { "http" });

    let app = app(&settings, &parts, resolved);
    Reconciler::new(parts.resources.clone(), parts.serving.clone(), parts.gate.clone()).start(&ctx);
    crate::purge::start(&settings, &parts.registry, &parts.gate, &ctx);
    let front = Tasks::new();
    let serve = ServeSettings {
        tls,
        max_connections: settings.connections,
        grace: settings.shutdown_grace,
        ..ServeSettings::default()
    };
    let tasks = front.clone();
    drop(front.spawn_graceful(async move { mainspring_http::serve(listener, app, serve, &tasks).await }));
    if let Some(path) = &settings.port_file {
        write_port(path, address.port())?;
    }
    let about = about(&settings, &parts, url);
    Ok(Running { about, front, ctx, journal: parts.journal, db: parts.db, data })
}

async fn open(settings: &Settings, data: &DataDir, ctx: &Ctx) -> Result<Parts, StartError> {
    let db = wiring::open_database(settings, ctx).await?;
    let artifacts = wiring::open_artifacts(settings, data)?.with_tasks(ctx.tasks.clone());
    let security = Security::open(db.clone(), ctx, SecuritySettings::default())
        .await
        .map_err(StartError::part("read the keys"))?;
    let gate = Gate::new(Arc::new(RolePolicy), Trail::start(db.clone(), ctx), Arc::clone(&ctx.clock));
    let registry = Registry::open(db.clone(), artifacts.clone(), ctx.clone())
        .await
        .map_err(StartError::part("open the registry"))?;
    let journal = wiring::open_journal(settings, data, (&artifacts, &db), ctx).await?;
    let resources = Resources::new(db.clone(), wiring::kinds(), ctx.clone());
    let (library, threads) = (settings.onnxruntime.clone(), settings.engine_threads);
    // Loading the library maps 20 MB and runs its initialisers.
    let onnx = tokio::task::spawn_blocking(move || OnnxRuntime::open(library.as_deref(), threads))
        .await
        .map_err(|e| StartError::Engine(e.to_string()))?;
    let python = PythonSettings { python: settings.python.clone(), folder: data.python() };
    let python =
        PythonRuntime::open(python).map_err(|e| StartError::Engine(format!("{}: {e}", data.python().display())))?;
    // The first that runs one of a model's flavors runs it.
    let engines: Vec<Arc<dyn Engine>> = vec![Arc::new(onnx.clone()), Arc::new(python)];
    let models = Models { registry: registry.clone(), artifacts };
    let serving = Serving::new(engines, Arc::new(models), Arc::new(Recorder(journal.clone())), ctx.clone());
    Ok(Parts { registry, journal, security, resources, serving, onnx, gate, db, ctx: ctx.clone() })
}

fn tls(settings: &Settings, data: &DataDir) -> Result<Option<TlsSettings>, StartError> {
    let made = match &settings.tls {
        Some((cert, key)) => TlsSettings::from_files(cert, key),
        None if settings.tls_self_signed => {
            let mut names = vec!["localhost".to_owned(), settings.host.to_string()];
            names.extend(settings.hostnames.iter().cloned());
            TlsSettings::self_signed(names, &data.root().join("tls"))
        }
        None => return Ok(None),
    };
    made.map(Some).map_err(|e| StartError::Tls(e.to_string()))
}

/// Every protocol on one router, each behind the guard with its own shape of refusals.
fn app(settings: &Settings, parts: &Parts, resolved: Option<Resolved>) -> Router {
    let doorman = Doorman {
        security: parts.security.clone(),
        loopback: settings.host.is_loopback().then(|| Arc::new(Principal::loopback())),
        hosts: settings.hostnames.clone(),
    };
    let open_on_loopback = doorman.loopback.is_some();
    let guard = Guard::new(Arc::new(doorman));

    let limits = Limits { max_body: settings.body_limit, ..Limits::default() };
    let oip = OipState::new(parts.serving.clone(), parts.gate.clone(), parts.ctx.clone(), limits, || true);
    let scoring_state = scoring::ScoringState::new(parts.serving.clone(), parts.gate.clone(), settings.body_limit);
    let mlflow = MlflowState { registry: parts.registry.clone(), gate: parts.gate.clone() };
    let native = NativeState {
        registry: parts.registry.clone(),
        serving: parts.serving.clone(),
        journal: parts.journal.clone(),
        query: Query::new(parts.journal.clone(), QueryLimits::default()),
        security: parts.security.clone(),
        resources: parts.resources.clone(),
        gate: parts.gate.clone(),
        views: Arc::new(Whole {
            started_at: parts.ctx.now(),
            db: parts.db.clone(),
            artifacts: settings
                .artifacts
                .clone()
                .unwrap_or_else(|| settings.data.join("artifacts").display().to_string()),
            onnx: parts.onnx.clone(),
            journal: parts.journal.clone(),
            resolved,
            open_on_loopback,
        }),
        ctx: parts.ctx.clone(),
        max_body: settings.body_limit,
    };
    let kept = |routes: Router, render: Render| durable::layer(routes, &parts.journal, render);
    let rest = kept(mainspring_proto_oip::routes(oip.clone()), mainspring_proto_oip::render_error);
    let grpc = kept(mainspring_proto_oip::grpc(oip.clone()), mainspring_proto_oip::render_grpc_error);
    let scoring = scoring::routes(scoring_state.clone()).merge(scoring::root(scoring_state));
    let scoring = kept(scoring, scoring::render_error);
    let native_routes = kept(mainspring_proto_native::routes(native.clone()), problem);
    let app = Router::new()
        .merge(guard.protect(rest, mainspring_proto_oip::render_error))
        .merge(guard.open(mainspring_proto_oip::probes(oip.clone()), mainspring_proto_oip::render_error))
        .merge(guard.protect(grpc, mainspring_proto_oip::render_grpc_error))
        .merge(guard.open(mainspring_proto_oip::grpc_probes(oip), mainspring_proto_oip::render_grpc_error))
        .merge(guard.protect(scoring, scoring::render_error))
        .merge(guard.protect(mainspring_proto_mlflow::routes(mlflow), mainspring_proto_mlflow::render_error))
        .merge(guard.open(mainspring_proto_mlflow::open_routes(), mainspring_proto_mlflow::render_error))
        .merge(guard.protect(native_routes, problem))
        .merge(guard.open(mainspring_proto_native::open_routes(native), problem))
        .merge(guard.protect(metrics_route(parts), problem))
        .merge(console::routes())
        .fallback(|| async {
            ApiError::new(mainspring_core::ErrorKind::NotFound, "there is nothing at this path")
                .hint("the console is at /ui/, the API under /api/v1, models under /v2/models")
                .into_response()
        });
    if settings.otlp_endpoint.is_some() { trace::layer(app) } else { app }
}

fn metrics_route(parts: &Parts) -> Router {
    let (serving, journal, gate) = (parts.serving.clone(), parts.journal.clone(), parts.gate.clone());
    let began = Instant::now();
    Router::new().route(
        "/metrics",
        get(move |Caller(who): Caller| async move {
            let stats = match gate.authorize(&who, ReadStats { deployment: None }) {
                Ok(auth) => serving.stats(&auth),
                Err(denied) => return ApiError::from(denied).into_response(),
            };
            let views = match gate.authorize(&who, Describe { deployment: None }) {
                Ok(auth) => serving.list(&auth),
                Err(denied) => return ApiError::from(denied).into_response(),
            };
            let reading = Reading {
                deployments: stats,
                views,
                journal: journal.stats(),
                uptime: began.elapsed(),
                resident: metrics::resident(),
            };
            let page: Response =
                ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], reading.render()).into_response();
            page
        }),
    )
}

/// Written beside and renamed, so that whoever waits for the file never reads half a number.
fn write_port(path: &std::path::Path, port: u16) -> Result<(), StartError> {
    let part = path.with_extension("part");
    std::fs::write(&part, format!("{port}\n"))
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|source| StartError::PortFile { path: path.display().to_string(), source })
}

fn about(settings: &Settings, parts: &Parts, url: String) -> About {
    let mut remarks = Vec::new();
    let engine = match parts.onnx.library() {
        Ok(found) => format!("ONNX Runtime {found}"),
        Err(e) => {
            remarks.push("no model can be deployed yet: run `mainspring doctor`".to_owned());
            e.to_string()
        }
    };
    for cut in &parts.journal.recovery().cut {
        remarks.push(format!(
            "journal recovered: {} bytes of an unfinished write were cut from {} ({})",
            cut.bytes,
            cut.segment.display(),
            cut.why
        ));
    }
    if !console::embedded() {
        remarks.push("this binary was built without its console (make build)".to_owned());
    }
    About {
        url,
        data: settings.data.display().to_string(),
        database: parts.db.display(),
        artifacts: settings.artifacts.clone().unwrap_or_else(|| "in the data folder".to_owned()),
        engine,
        remarks,
    }
}

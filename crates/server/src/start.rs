//! Start and stop.

use crate::alerts::{self, Channels, Slos};
use crate::app::{Front, app};
use crate::config::{Resolved, Settings};
use crate::conversions::Shelf;
use crate::data::DataDir;
use crate::deployments::Deployments;
use crate::error::StartError;
use crate::health::Health;
use crate::lineage::{self, House, Outbound};
use crate::metrics::Source;
use crate::personalizers::{Choices, Declared};
use crate::ports::{Models, Recorder};
use crate::rules::Suites;
use crate::telemetry::Telemetry;
use crate::{console, costs, export, monitors, rollouts, wiring};
use mainspring_alert::Alerts;
use mainspring_artifact::Artifacts;
use mainspring_convert::Conversions;
use mainspring_core::{Ctx, Gate, Tasks};
use mainspring_cost::Costs;
use mainspring_engine_onnx::OnnxRuntime;
use mainspring_http::{ServeSettings, TlsSettings};
use mainspring_journal::Journal;
use mainspring_lineage::Lineage;
use mainspring_monitor::live::Monitors;
use mainspring_monitor::performance::Performance;
use mainspring_personalize::Personalizers;
use mainspring_query::{Limits, Query};
use mainspring_registry::Registry;
use mainspring_resource::{Kinds, Resources};
use mainspring_rollout::Rollouts;
use mainspring_security::{RolePolicy, Security, SecuritySettings, Trail};
use mainspring_serving::Serving;
use mainspring_store::Db;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
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
pub(crate) struct Parts {
    pub(crate) registry: Registry,
    pub(crate) artifacts: Artifacts,
    pub(crate) journal: Journal,
    pub(crate) security: Security,
    pub(crate) resources: Resources,
    pub(crate) serving: Serving,
    pub(crate) conversions: Conversions,
    pub(crate) personalizers: Personalizers,
    pub(crate) rollouts: Rollouts,
    pub(crate) query: Query,
    /// One for all who ask: it takes one report at a time.
    pub(crate) performance: Performance,
    pub(crate) house: House,
    pub(crate) lineage: Lineage,
    pub(crate) monitors: Monitors,
    pub(crate) alerts: Alerts,
    pub(crate) slos: Slos,
    pub(crate) costs: Costs,
    pub(crate) onnx: OnnxRuntime,
    pub(crate) gate: Gate,
    pub(crate) db: Db,
    pub(crate) ctx: Ctx,
}

/// Opens everything and begins to serve.
///
/// # Errors
/// [`StartError`] naming the part and what to do.
pub async fn start(
    settings: Settings,
    resolved: Option<Resolved>,
    telemetry: &Telemetry,
) -> Result<Running, StartError> {
    let ctx = Ctx::system();
    let data = DataDir::open(&settings.data)?;
    let settings = Settings { data: data.root().to_owned(), ..settings };
    let parts = open(&settings, &data, &ctx, telemetry).await?;
    let address = SocketAddr::new(settings.host, settings.port);
    if !settings.open_on_loopback() && !parts.security.has_keys() {
        return Err(StartError::Open { address, make: crate::keys::first_key(resolved.as_ref()) });
    }
    let listener = TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
    let tls = tls(&settings, &data)?;
    if let Some(tls) = &tls {
        drop(ctx.tasks.spawn("follow the TLS certificate", tls.clone().follow()));
    }
    let url = format!("{}://{address}", if tls.is_some() { "https" } else { "http" });

    parts.resources.carry_out().await.map_err(StartError::part("carry out what is declared"))?;
    drop(ctx.tasks.spawn("follow what is declared", parts.resources.clone().follow()));
    rollouts::start(&settings, &parts, &ctx)?;
    tell_lineage(&settings, &parts)?;
    monitors::start(&parts, &ctx);
    let reached = settings.public_url.clone().unwrap_or_else(|| url.clone());
    costs::start(&parts, &ctx);
    let replica = data.replica(&*ctx.ids)?;
    alerts::start(&parts, &ctx, (reached, replica.clone()));
    crate::upkeep::start(&settings, &parts.registry, &parts.gate, &ctx);
    let front = Tasks::new();
    let health = Health::new(parts.journal.clone(), parts.onnx.clone(), front.cancelled());
    health.follow(parts.registry.clone(), parts.serving.clone(), parts.artifacts.clone(), &ctx);
    let source = Source::new(&parts, health.clone());
    export::start(&settings, &source, replica, &ctx)?;
    let app = app(&settings, &parts, Front { health, source, tasks: front.clone(), resolved });
    let serve = ServeSettings {
        tls,
        max_connections: settings.connections,
        grace: settings.shutdown_grace,
        quiet: mainspring_process::settle_thread,
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

/// Tells a collector outside what happens here, where one is named.
fn tell_lineage(settings: &Settings, parts: &Parts) -> Result<(), StartError> {
    let Some(url) = settings.lineage_url.clone() else { return Ok(()) };
    parts.registry.tell_changes();
    let (db, house, lineage) = (parts.db.clone(), parts.house.clone(), parts.lineage.clone());
    lineage::start(Outbound { db, house, lineage, url, key: settings.lineage_key.clone() }, &parts.ctx)
}

async fn open(settings: &Settings, data: &DataDir, ctx: &Ctx, telemetry: &Telemetry) -> Result<Parts, StartError> {
    let db = wiring::open_database(settings, ctx).await?;
    let artifacts = wiring::open_artifacts(settings, data)?.with_tasks(ctx.tasks.clone());
    crate::upkeep::evict(artifacts.clone(), settings.artifacts_cache, ctx);
    let security = Security::open(db.clone(), ctx, SecuritySettings::default())
        .await
        .map_err(StartError::part("read the keys"))?;
    let gate = Gate::new(Arc::new(RolePolicy), Trail::start(db.clone(), ctx), Arc::clone(&ctx.clock));
    let registry = Registry::open(db.clone(), artifacts.clone(), ctx.clone())
        .await
        .map_err(StartError::part("open the registry"))?;
    let journal = wiring::open_journal(settings, data, (&artifacts, &db), ctx).await?;
    let wiring::Engines { onnx, python, all } = wiring::open_engines(settings, &data.python()).await?;
    let shelf = Shelf { registry: registry.clone(), artifacts: artifacts.clone(), gate: gate.clone() };
    let known = monitors::Registered::new(shelf.clone(), data.profiles());
    let monitors = Monitors::new(db.clone(), ctx.clone(), Arc::new(known));
    let workshop = mainspring_convert::Settings {
        folder: data.conversions(),
        db: db.clone(),
        python,
        onnx: Arc::new(onnx.clone()),
    };
    let conversions = Conversions::open(workshop, Arc::new(shelf), ctx.clone())
        .await
        .map_err(StartError::part("make the folder of conversions ready"))?;
    let models = Models { registry: registry.clone(), artifacts: artifacts.clone(), gate: gate.clone() };
    let recorder = Recorder { journal: journal.clone(), tracer: telemetry.tracer() };
    let serving = Serving::new(all, Arc::new(models), Arc::new(recorder), ctx.clone()).ruled_by(Arc::new(Suites));
    let slos = Slos::default();
    let deployments =
        Deployments::new(serving.clone(), journal.clone(), slos.clone(), (registry.clone(), gate.clone()));
    let brake = alerts::Brake { registry: registry.clone(), gate: gate.clone() };
    let alerts = alerts::open(settings, db.clone(), ctx, brake)?;
    let channels = Channels { alerts: alerts.clone() };
    let choices = Choices { journal: journal.clone(), gate: gate.clone(), ctx: ctx.clone() };
    let personalizers = Personalizers::new(Arc::new(choices), db.clone(), ctx.clone());
    let declared = Declared { personalizers: personalizers.clone(), serving: serving.clone(), gate: gate.clone() };
    let rollouts = Rollouts::new(db.clone(), ctx.clone());
    let rolled = rollouts::Declared { rollouts: rollouts.clone(), registry: registry.clone(), gate: gate.clone() };
    let query = Query::new(journal.clone(), Limits::default());
    let house =
        House { registry: registry.clone(), serving: serving.clone(), query: query.clone(), gate: gate.clone() };
    let lineage = Lineage::new(db.clone(), Arc::new(house.clone()), ctx.clone(), settings.lineage_url.is_some());
    let watched = monitors::Declared { monitors: monitors.clone(), gate: gate.clone() };
    let household = costs::Household {
        registry: registry.clone(),
        serving: serving.clone(),
        journal: journal.clone(),
        gate: gate.clone(),
        ctx: ctx.clone(),
        counted: costs::Counted::default(),
    };
    let costs = Costs::new(&query, Arc::new(household), gate.clone(), ctx.clone());
    let mut kinds = vec![deployments.kind(), declared.kind(), rolled.kind(), watched.kind(), channels.kind()];
    kinds.extend(costs::kinds(&costs));
    let resources = Resources::new(db.clone(), Kinds::new(kinds), ctx.clone());
    Ok(Parts {
        registry,
        artifacts,
        journal,
        security,
        resources,
        serving,
        conversions,
        personalizers,
        rollouts,
        performance: Performance::new(query.clone()),
        query,
        house,
        lineage,
        monitors,
        alerts,
        slos,
        costs,
        onnx,
        gate,
        db,
        ctx: ctx.clone(),
    })
}

fn tls(settings: &Settings, data: &DataDir) -> Result<Option<TlsSettings>, StartError> {
    let made = match &settings.tls {
        Some((cert, key)) => TlsSettings::from_files(cert, key),
        None if settings.tls_self_signed => {
            let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
            // Nobody calls a server by the address that stands for all of its addresses.
            if !settings.host.is_unspecified() && !settings.host.is_loopback() {
                names.push(settings.host.to_string());
            }
            names.extend(settings.hostnames.iter().cloned());
            TlsSettings::self_signed(names, &data.root().join("tls"))
        }
        None => return Ok(None),
    };
    made.map(Some).map_err(|e| StartError::Tls(e.to_string()))
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
            remarks.push("no ONNX model can be deployed yet: run `mainspring doctor`".to_owned());
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
    if let Some(lost @ 1..) = parts.journal.recovery().lost {
        remarks.push(format!(
            "{lost} predictions were not in the journal yet when the process before this one was killed"
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

//! The real domains on a temporary folder, with an engine that adds the columns of a row.

use crate::dto::system::{Check, Config, Health, Info};
use crate::{NativeState, Views, open_routes, routes};
use axum::Router;
use axum::body::{Body, to_bytes};
use futures::future::BoxFuture;
use http::{HeaderMap, Request, StatusCode};
use mainspring_alert::render::Outgoing;
use mainspring_alert::{Alerts, Courier, Refused};
use mainspring_artifact::Artifacts;
use mainspring_convert::{Conversions, Found, Models, NewModel, PortError, Task};
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{Ctx, DType, EventId, Gate, Name, Prediction, Principal, Role, Tenant, Tensor, Timestamp};
use mainspring_cost::{Costs, House, Running, Stored};
use mainspring_engine::{
    AnswerForm, Engine, EngineError, LoadOptions, Model, ModelFiles, RunCx, Signature, TensorSpec,
};
use mainspring_engine_python::{PythonRuntime, PythonSettings};
use mainspring_http::{ApiError, Caller, Peer};
use mainspring_journal::{Journal, JournalSettings};
use mainspring_lineage::{Around, Known, Lineage, Look, Node, Own, PortError as KnownError, Starts, ThingKind};
use mainspring_monitor::live::Monitors;
use mainspring_monitor::performance::Performance;
use mainspring_query::{Limits, Query};
use mainspring_registry::Registry;
use mainspring_resource::{Invalid, Kind, Kinds, Resources};
use mainspring_rollout::{Before, Earlier, EventStream, Events, PortResult, Rollouts, Wanted};
use mainspring_security::{RolePolicy, Security, SecuritySettings, Trail};
use mainspring_serving::{
    Deploy, DeploymentSpec, Describe, ModelSource, PredictionSink, Resolved, Serving, SourceError,
};
use mainspring_store::{Db, DbSettings};
use mainspring_traffic::{Route, RouteSpec, Row, RowVariant, Share, UnitFrom, Variant};
use mainspring_webhook::Vault;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tower::ServiceExt;

#[derive(Debug)]
struct Adder;

#[derive(Debug)]
struct AdderModel(Signature);

impl Engine for Adder {
    fn name(&self) -> &'static str {
        "adder"
    }

    fn flavors(&self) -> &'static [&'static str] {
        &["onnx"]
    }

    fn load(&self, _files: &ModelFiles, _options: &LoadOptions) -> Result<Arc<dyn Model>, EngineError> {
        let spec = |name: &str, width| TensorSpec::new(name, DType::Fp32, &[-1, width]);
        Ok(Arc::new(AdderModel(Signature { inputs: vec![spec("x", 2)], outputs: vec![spec("sum", 1)] })))
    }
}

impl Model for AdderModel {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn answer(&self) -> AnswerForm {
        AnswerForm::Tensors
    }

    fn waits(&self) -> bool {
        false
    }

    fn run(&self, inputs: &[NamedTensor], _cx: &RunCx) -> Result<Vec<NamedTensor>, EngineError> {
        let x = inputs[0].tensor.to_vec::<f32>().unwrap_or_default();
        let sums: Vec<f32> = x.chunks(2).map(|row| row.iter().sum()).collect();
        let tensor = Tensor::from_vec(DType::Fp32, vec![sums.len(), 1], sums)?;
        Ok(vec![NamedTensor { name: "sum".into(), tensor }])
    }

    fn instances(&self) -> usize {
        1
    }

    fn memory_bytes(&self) -> u64 {
        1
    }
}

#[derive(Debug)]
struct OneFile(PathBuf, watch::Sender<u64>);

impl ModelSource for OneFile {
    fn resolve<'a>(&'a self, _tenant: &'a Tenant, _uri: &'a str) -> BoxFuture<'a, Result<Resolved, SourceError>> {
        let root = self.0.clone();
        Box::pin(async move { Ok(Resolved { model: "adder".into(), version: "3".into(), root, mlmodel: None }) })
    }

    fn faster<'a>(&'a self, _: &'a Tenant, _: &'a Resolved) -> BoxFuture<'a, Result<Option<Resolved>, SourceError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn refused(&self, _: &Tenant, _: &str, _: &Resolved) -> Option<String> {
        None
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.1.subscribe()
    }
}

/// The journal of rollouts is the server's to adapt.
#[derive(Debug)]
struct NoEvents;

impl Events for NoEvents {
    fn follow(&self, _: Wanted) -> PortResult<'_, Box<dyn EventStream>> {
        Box::pin(std::future::ready(Err(mainspring_rollout::PortError("there is no journal here".into()))))
    }

    fn before(&self, _: Before) -> PortResult<'_, Vec<Earlier>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

#[derive(Debug)]
struct Recorder(Journal);

impl PredictionSink for Recorder {
    fn append(&self, prediction: Prediction) -> Option<mainspring_serving::Kept> {
        self.0.append(prediction);
        None
    }

    fn answered_last(&self, tenant: &Tenant, deployment: &Name, variant: &str) -> Option<(String, String)> {
        self.0.tiles().answered_last(tenant, deployment.as_str(), variant)
    }
}

/// Takes everything but what goes to `full`.
struct Postman;

impl Courier for Postman {
    fn send(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<(), Refused>> {
        let full = matches!(&outgoing, Outgoing::Http(r) if r.url.reveal().contains("full"));
        let refused = Refused { reason: "it answered 507".into(), for_good: false, after: None };
        Box::pin(std::future::ready(if full { Err(refused) } else { Ok(()) }))
    }
}

/// Nothing to convert.
struct NoModels;

impl Models for NoModels {
    fn find<'a>(
        &'a self,
        _: &'a Arc<Principal>,
        model: &'a str,
        _: &'a Task,
        _: Option<&'a std::path::Path>,
    ) -> BoxFuture<'a, Result<Found, PortError>> {
        let message = format!("there is no model {model}");
        let error = PortError { kind: mainspring_core::ErrorKind::NotFound, message, hint: None };
        Box::pin(std::future::ready(Err(error)))
    }

    fn register<'a>(&'a self, who: &'a Arc<Principal>, new: NewModel) -> BoxFuture<'a, Result<String, PortError>> {
        let _ = (who, new);
        Box::pin(std::future::ready(Ok("1".into())))
    }
}

/// A run that made the version `churn/3`.
struct Chain;

impl Known for Chain {
    fn look<'a>(&'a self, _: &'a Arc<Principal>) -> Box<dyn Look + 'a> {
        Box::new(Chain)
    }

    fn alias<'a>(
        &'a self,
        _: &'a Arc<Principal>,
        model: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Node, KnownError>> {
        Box::pin(std::future::ready(Ok(Node::Model { name: model.into(), version: "3".into() })))
    }

    fn runs<'a>(&'a self, _: &'a Arc<Principal>, _: &'a str) -> BoxFuture<'a, Result<Starts, KnownError>> {
        Box::pin(std::future::ready(Ok(Starts::default())))
    }

    fn own<'a>(&'a self, _: &'a Arc<Principal>, _: ThingKind) -> BoxFuture<'a, Result<Vec<Own>, KnownError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn one<'a>(
        &'a self,
        _: &'a Arc<Principal>,
        _: ThingKind,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<Own>, KnownError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

impl Look for Chain {
    fn around<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<Around, KnownError>> {
        let (run, made) = (Node::Run("a".repeat(32)), Node::Model { name: "churn".into(), version: "3".into() });
        let (up, down) = if *node == run { (vec![], vec![made]) } else { (vec![run], vec![]) };
        Box::pin(std::future::ready(Ok(Around { exists: true, up, down, ..Around::default() })))
    }
}

/// No version knows what it was trained on.
struct Untrained;

impl mainspring_monitor::live::Models for Untrained {
    fn resolve<'a>(
        &'a self,
        _: &'a Tenant,
        uri: &'a str,
    ) -> mainspring_monitor::live::PortResult<'a, (String, String)> {
        Box::pin(async move { Ok((uri.to_owned(), "3".to_owned())) })
    }

    fn training<'a>(
        &'a self,
        _: &'a Tenant,
        _: &'a str,
        _: &'a str,
    ) -> mainspring_monitor::live::PortResult<'a, Option<mainspring_monitor::live::Trained>> {
        Box::pin(async { Ok(None) })
    }
}

/// One version and one journal are kept; the default tenant and another one are here.
struct Cellar;

impl House for Cellar {
    fn tenants(&self) -> mainspring_cost::PortResult<'_, Vec<Tenant>> {
        Box::pin(async { Ok(vec![Tenant::default(), Tenant::new("other").unwrap()]) })
    }

    fn days(&self, _: &Tenant, _: Option<&str>) -> Option<u32> {
        Some(90)
    }

    fn stored<'a>(&'a self, _: &'a Arc<Principal>) -> mainspring_cost::PortResult<'a, Vec<Stored>> {
        let kept = |what, of: &str, bytes| Stored { what, of: of.into(), bytes };
        Box::pin(async move { Ok(vec![kept("model", "adder/3", 2_000_000_000), kept("journal", "adder", 1_000)]) })
    }

    fn running<'a>(&'a self, _: &'a Arc<Principal>) -> mainspring_cost::PortResult<'a, Vec<Running>> {
        Box::pin(async {
            let (deployment, model) = ("adder".to_owned(), "adder".to_owned());
            Ok(vec![Running { deployment, model, version: "3".into(), instances: 2 }])
        })
    }
}

struct Whole;

impl Views for Whole {
    fn info(&self) -> Info {
        Info {
            name: "mainspring".into(),
            version: "0".into(),
            started_at: mainspring_core::Timestamp(0).into(),
            database: "sqlite".into(),
            artifacts: "here".into(),
            engines: vec![],
            open_on_loopback: false,
        }
    }

    fn health(&self) -> Health {
        let bad = Check { name: "engine".into(), ok: false, message: Some("it is not there".into()) };
        Health { ready: false, checks: vec![bad] }
    }

    fn config(&self) -> Config {
        Config { settings: vec![] }
    }

    fn predicted<'a>(
        &'a self,
        _: &'a Arc<Principal>,
        _: (EventId, Timestamp),
        _: &'a crate::dto::journal::BatchRun,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

pub(super) struct World {
    dir: tempfile::TempDir,
    pub(super) state: NativeState,
}

/// An answer: status, headers, and the body as JSON (null when it is none).
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

pub(super) fn who(tenant: &str, role: Role) -> Arc<Principal> {
    Arc::new(Principal {
        subject: "key:test".into(),
        tenant: Tenant::new(tenant).unwrap(),
        role,
        ..Principal::loopback()
    })
}

impl World {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ctx = Ctx::system();
        let sets = [
            mainspring_registry::MIGRATIONS,
            mainspring_resource::MIGRATIONS,
            mainspring_security::MIGRATIONS,
            mainspring_journal::MIGRATIONS,
            mainspring_convert::MIGRATIONS,
            mainspring_rollout::MIGRATIONS,
            mainspring_lineage::MIGRATIONS,
            mainspring_monitor::live::MIGRATIONS,
            mainspring_alert::MIGRATIONS,
        ];
        let db = Db::open(&DbSettings::sqlite(dir.path().join("db")), &sets, &ctx).await.unwrap();
        let path = |name: &str| dir.path().join(name);
        let artifacts = Artifacts::open(path("artifacts").to_str().unwrap(), &path("cache")).unwrap();
        let registry = Registry::open(db.clone(), artifacts.clone(), ctx.clone()).await.unwrap();
        let settings = JournalSettings::new(path("journal"));
        let journal = Journal::open(settings, artifacts, db.clone(), ctx.clone()).await.unwrap();
        let security = Security::open(db.clone(), &ctx, SecuritySettings::default()).await.unwrap();
        let gate = Gate::new(Arc::new(RolePolicy), Trail::start(db.clone(), &ctx), Arc::clone(&ctx.clock));
        let kind = Kind::of("Deployment", "a model", schema(), |name: &Name, spec: &DeploymentSpec| {
            spec.validate(name).map_err(|e| Invalid { path: String::new(), reason: e.to_string() })
        });
        let resources = Resources::new(db.clone(), Kinds::new(vec![kind]), ctx.clone());
        std::fs::write(path("m.onnx"), b"not looked at by this engine").unwrap();
        let source = Arc::new(OneFile(path("m.onnx"), watch::Sender::new(0)));
        let sink = Arc::new(Recorder(journal.clone()));
        let serving = Serving::new(vec![Arc::new(Adder)], source, sink, ctx.clone());
        let query = Query::new(journal.clone(), Limits::default());
        let views = Arc::new(Whole);
        let python = PythonSettings { python: None, folder: path("python"), allowed: true };
        let settings = mainspring_convert::Settings {
            folder: path("conversions"),
            db,
            python: PythonRuntime::open(python).unwrap(),
            onnx: Arc::new(Adder),
        };
        let lineage = Lineage::new(settings.db.clone(), Arc::new(Chain), ctx.clone(), false);
        let rollouts = Rollouts::new(settings.db.clone(), ctx.clone());
        let monitors = Monitors::new(settings.db.clone(), ctx.clone(), Arc::new(Untrained));
        let alerts = Alerts::new(settings.db.clone(), ctx.clone(), Vault::new(dir.path()), Arc::new(Postman));
        let conversions = Conversions::open(settings, Arc::new(NoModels), ctx.clone()).await.unwrap();
        let costs = Costs::new(&query, Arc::new(Cellar), gate.clone(), ctx.clone());
        let state = NativeState {
            costs,
            registry,
            serving,
            conversions,
            rollouts,
            monitors,
            rollout_events: Arc::new(NoEvents),
            alerts,
            buckets: vec![Duration::from_millis(10)],
            journal,
            performance: Performance::new(query.clone()),
            query,
            lineage,
            security,
            resources,
            gate,
            views,
            ctx,
            max_body: 1 << 20,
        };
        Self { dir, state }
    }

    /// The folder that everything lives in.
    pub(super) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Deploys the adder and waits until it answers.
    pub(super) async fn deployed(self, name: &str) -> Self {
        let (operator, name) = (who("default", Role::Admin), Name::new(name).unwrap());
        let auth = self.state.gate.authorize(&operator, Deploy { deployment: name.clone() }).unwrap();
        self.state.serving.deploy(&auth, DeploymentSpec::new("models:/adder@champion")).unwrap();
        let auth = self.state.gate.authorize(&operator, Describe { deployment: Some(name.clone()) }).unwrap();
        let view = self.state.serving.settled(&auth, &name).await.unwrap();
        assert!(view.ready(), "{:?}", view.reason);
        self
    }

    /// Lets a rollout of two variants decide about a deployment, by the caller's key.
    pub(super) async fn rollout(&self, name: &str) -> Arc<Row> {
        let half = Share::from_fraction(0.5).unwrap();
        let names = ["stable", "v2"];
        let variants = names.map(|name| Variant { name: name.into(), weight: half }).to_vec();
        let row = Arc::new(Row {
            rollout: "r".into(),
            unit: UnitFrom::Key,
            variants: names.map(|name| RowVariant { name: name.into(), model: "models:/adder/3".into() }).to_vec(),
            route: Route::new(RouteSpec { salt: "s".into(), variants, holdout: None, layer: None }).unwrap(),
            policy: None,
            shadow: None,
            limits: None,
        });
        let (operator, name) = (who("default", Role::Admin), Name::new(name).unwrap());
        let auth = self.state.gate.authorize(&operator, Deploy { deployment: name.clone() }).unwrap();
        self.state.serving.route(&auth, Some(Arc::clone(&row))).unwrap();
        let auth = self.state.gate.authorize(&operator, Describe { deployment: Some(name.clone()) }).unwrap();
        self.state.serving.settled(&auth, &name).await.unwrap();
        row
    }

    fn app(&self) -> Router {
        routes(self.state.clone()).merge(open_routes(self.state.clone()))
    }

    pub(super) async fn send(&self, caller: Option<&Arc<Principal>>, request: Request<Body>) -> Got {
        let mut request = request;
        request.extensions_mut().insert(Peer::new(([127, 0, 0, 1], 9).into(), false));
        if let Some(caller) = caller {
            Caller::put(request.extensions_mut(), Arc::clone(caller));
        }
        let (parts, body) = self.app().oneshot(request).await.unwrap().into_parts();
        let bytes = to_bytes(body, 64 << 20).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Got { status: parts.status, headers: parts.headers, body }
    }

    /// As an administrator of the default tenant.
    pub(super) async fn call(&self, method: &str, path: &str, body: Value) -> Got {
        self.call_as(&who("default", Role::Admin), method, path, body).await
    }

    pub(super) async fn call_as(&self, caller: &Arc<Principal>, method: &str, path: &str, body: Value) -> Got {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        self.send(Some(caller), request.body(text.into()).unwrap()).await
    }

    pub(super) async fn get(&self, path: &str) -> Got {
        self.call("GET", path, Value::Null).await
    }

    /// Sends documents.
    pub(super) async fn apply(&self, path: &str, yaml: &str) -> Got {
        let request = Request::builder().method("POST").uri(path).body(yaml.to_owned().into()).unwrap();
        self.send(Some(&who("default", Role::Admin)), request).await
    }
}

fn schema() -> Value {
    let property = |kind: &str| json!({ "type": kind });
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "model": property("string"),
            "default": property("boolean"),
            "engine": property("object"),
            "limits": property("object"),
            "journal": property("object"),
        }
    })
}

//! The doors over a real serving domain with a small engine in Rust.

mod grpc;
mod rest;
mod ws;

use crate::{Limits, OipState};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::Request;
use mainspring_core::{
    AuditRecord, AuditSink, Ctx, DType, Decision, Effect, Gate, Name, NamedTensor, Outcome, Policy, Prediction,
    Principal, Resource, Role, Tenant, Tensor, Tokens,
};
use mainspring_engine::{
    AnswerForm, Content, Engine, EngineError, LoadOptions, Model, ModelFiles, Part, RunCx, Signature, TensorSpec,
};
use mainspring_http::Caller;
use mainspring_serving::{
    Deploy, DeploymentSpec, Describe, ModelSource, NotKept, PredictionSink, Resolved, Serving, SourceError,
};
use mainspring_traffic::{Route, RouteSpec, Row, RowVariant, Share, UnitFrom, Variant};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Adds the columns of `X` up; says each sum in words as well. Refuses a row that begins with -1,
/// fails on -2, and answers 0xff instead of text on -3.
#[derive(Debug)]
struct Adder {
    signature: Signature,
    /// Answers in parts too: as many as `X` begins with, each a word.
    streams: bool,
}

impl Adder {
    fn new(streams: bool) -> Self {
        let spec = |name: &str, dtype, shape: &[i64]| TensorSpec::new(name, dtype, shape);
        Self {
            streams,
            signature: Signature {
                inputs: vec![spec("X", DType::Fp32, &[-1, 3])],
                outputs: vec![spec("sum", DType::Fp32, &[-1]), spec("words", DType::Bytes, &[-1])],
            },
        }
    }
}

impl Model for Adder {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn answer(&self) -> AnswerForm {
        AnswerForm::Tensors
    }

    fn waits(&self) -> bool {
        false
    }

    fn run(&self, inputs: &[NamedTensor], _: &RunCx) -> Result<Vec<NamedTensor>, EngineError> {
        let values: Vec<f32> = inputs[0].tensor.to_vec().unwrap();
        let (mut sums, mut words) = (Vec::new(), Vec::new());
        for row in values.chunks_exact(3) {
            if row[0] == -1.0 || row[0] == -2.0 {
                return Err(EngineError::Run { reason: "no such row".into(), bad_input: row[0] == -1.0 });
            }
            let sum: f32 = row.iter().sum();
            sums.push(sum);
            words.push(if row[0] == -3.0 { Bytes::from_static(&[0xff]) } else { Bytes::from(format!("sum {sum}")) });
        }
        let rows = sums.len();
        Ok(vec![
            NamedTensor { name: "sum".into(), tensor: Tensor::from_vec(DType::Fp32, vec![rows], sums)? },
            NamedTensor { name: "words".into(), tensor: Tensor::from_strings(vec![rows], words)? },
        ])
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn stream(
        &self,
        inputs: &[NamedTensor],
        cx: &RunCx,
        take: &mut dyn FnMut(Part) -> bool,
    ) -> Result<Vec<Tokens>, EngineError> {
        if !self.streams {
            let contents = vec![Content::Text; 2];
            take(Part { outputs: self.run(inputs, cx)?, contents });
            return Ok(Vec::new());
        }
        let count = inputs[0].tensor.to_vec::<f32>().unwrap()[0] as u8;
        let params = cx.params.as_ref().map_or("", |p| p.as_str());
        for i in 0..count {
            if i == 3 {
                return Err(EngineError::Run { reason: "four are too many".into(), bad_input: true });
            }
            let json = i == 1;
            let text = if json { format!("{{\"part\":{i}}}") } else { format!("part {i}{params}") };
            let tensor = Tensor::from_strings(vec![1], vec![text.into()])?;
            let content = if json { Content::Json } else { Content::Text };
            if !take(Part { outputs: vec![NamedTensor { name: "text".into(), tensor }], contents: vec![content] }) {
                break;
            }
        }
        Ok(Vec::new())
    }

    fn instances(&self) -> usize {
        1
    }

    fn memory_bytes(&self) -> u64 {
        1234
    }
}

#[derive(Debug)]
struct Adding;

impl Engine for Adding {
    fn name(&self) -> &'static str {
        "adding"
    }

    fn flavors(&self) -> &'static [&'static str] {
        &["onnx"]
    }

    fn platform(&self) -> &'static str {
        "onnxruntime_onnx"
    }

    fn load(&self, _: &ModelFiles, options: &LoadOptions) -> Result<Arc<dyn Model>, EngineError> {
        Ok(Arc::new(Adder::new(&*options.name == "teller")))
    }
}

/// Finds every model in one file; a model called `gone` nowhere.
struct OneFile {
    file: PathBuf,
    changes: watch::Receiver<u64>,
}

impl ModelSource for OneFile {
    fn resolve<'a>(&'a self, _: &'a Tenant, uri: &'a str) -> BoxFuture<'a, Result<Resolved, SourceError>> {
        let found = if uri.contains("gone") {
            let message = format!("{uri} is gone");
            Err(SourceError { kind: mainspring_core::ErrorKind::NotFound, message, hint: None })
        } else {
            let version = if uri.ends_with("/2") { "rev-8" } else { "rev-7" };
            Ok(Resolved { model: uri.to_owned(), version: version.into(), root: self.file.clone(), mlmodel: None })
        };
        Box::pin(std::future::ready(found))
    }

    fn faster<'a>(&'a self, _: &'a Tenant, _: &'a Resolved) -> BoxFuture<'a, Result<Option<Resolved>, SourceError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn refused(&self, _: &Tenant, _: &str, _: &Resolved) -> Option<String> {
        None
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}

/// What a disk says once it has taken a prediction, or has not.
type Word = Option<Result<(), NotKept>>;

/// Keeps what the journal would; with a disk, answers wait for its word.
#[derive(Default)]
struct Kept(Mutex<Vec<Prediction>>, Mutex<Option<watch::Receiver<Word>>>);

impl PredictionSink for Kept {
    fn append(&self, prediction: Prediction) -> Option<mainspring_serving::Kept> {
        self.0.lock().unwrap().push(prediction);
        let mut disk = self.1.lock().unwrap().clone()?;
        Some(Box::pin(async move { disk.wait_for(Option::is_some).await.unwrap().clone().unwrap() }))
    }

    fn answered_last(&self, _: &Tenant, _: &Name, _: &str) -> Option<(String, String)> {
        None
    }
}

fn full() -> NotKept {
    let kind = mainspring_core::ErrorKind::Unavailable;
    NotKept { kind, message: "no space left".into(), hint: Some("free some".into()) }
}

struct ByRole;

impl Policy for ByRole {
    fn decide(&self, who: &Principal, _: &'static str, effect: Effect, _: &Resource) -> Decision {
        let needed = match effect {
            Effect::Infer => Role::Infer,
            Effect::Read => Role::Read,
            Effect::Write => Role::Write,
            Effect::Admin => Role::Admin,
        };
        if who.role >= needed { Decision::Allow } else { Decision::Deny(format!("this needs the role {needed:?}")) }
    }
}

struct Deaf;

impl AuditSink for Deaf {
    fn record(&self, _: AuditRecord) {}
}

/// A serving domain with the deployments `adder`, `teller`, which answers in parts too, and `broken`, which cannot
/// load.
struct House {
    state: OipState,
    kept: Arc<Kept>,
    gate: Gate,
    _folder: tempfile::TempDir,
    _changed: watch::Sender<u64>,
}

impl House {
    async fn open() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.onnx");
        std::fs::write(&file, b"adder").unwrap();
        let (changed, changes) = watch::channel(0);
        let (ctx, kept) = (Ctx::system(), Arc::new(Kept::default()));
        let source = Arc::new(OneFile { file, changes });
        let serving = Serving::new(vec![Arc::new(Adding)], source, kept.clone(), ctx.clone());
        let gate = Gate::new(Arc::new(ByRole), Arc::new(Deaf), ctx.clock.clone());
        let state = OipState::new(serving, gate.clone(), ctx, limits, || true);
        let house = Self { state, kept, gate, _folder: folder, _changed: changed };
        for (name, uri) in [("adder", "models:/adder/1"), ("broken", "models:/gone/1"), ("teller", "models:/adder/1")] {
            house.declare(name, DeploymentSpec::new(uri)).await;
        }
        house
    }

    /// Declares a deployment anew.
    async fn declare(&self, name: &str, spec: DeploymentSpec) {
        let (me, deployment) = (Arc::new(Principal::system()), Name::new(name).unwrap());
        let auth = self.gate.authorize(&me, Deploy { deployment: deployment.clone() }).unwrap();
        self.state.serving().deploy(&auth, spec).unwrap();
        let auth = self.gate.authorize(&me, Describe { deployment: Some(deployment.clone()) }).unwrap();
        self.state.serving().settled(&auth, &deployment).await.unwrap();
    }

    /// Everything behind a guard that takes the caller from a header.
    fn app(&self) -> Router {
        let guarded = crate::routes(self.state.clone()).merge(crate::grpc(self.state.clone()));
        guarded
            .layer(axum::middleware::map_request(|mut request: Request<Body>| async {
                let role = match request.headers().get("x-role").and_then(|v| v.to_str().ok()) {
                    Some("none") => return request,
                    Some("infer") => Role::Infer,
                    _ => Role::Admin,
                };
                let who = Principal { role, ..Principal::loopback() };
                Caller::put(request.extensions_mut(), Arc::new(who));
                request
            }))
            .merge(crate::probes(self.state.clone()))
            .merge(crate::grpc_probes(self.state.clone()))
    }

    /// Lets half of the units of `deployment` try its second version, variant `v8`; a unit is what the header
    /// `x-user` says.
    async fn rollout(&self, deployment: &str) -> Arc<Row> {
        let half = Share::from_fraction(0.5).unwrap();
        let variant = |name: &str| Variant { name: name.into(), weight: half };
        let model = |name: &str, version| RowVariant { name: name.into(), model: format!("models:/adder/{version}") };
        let variants = vec![variant("stable"), variant("v8")];
        let row = Arc::new(Row {
            rollout: "r".into(),
            unit: UnitFrom::Header("x-user".into()),
            variants: vec![model("stable", 1), model("v8", 2)],
            route: Route::new(RouteSpec { salt: "s".into(), variants, holdout: None, layer: None }).unwrap(),
            policy: None,
            shadow: None,
            limits: None,
        });
        let (me, deployment) = (Arc::new(Principal::system()), Name::new(deployment).unwrap());
        let auth = self.gate.authorize(&me, Deploy { deployment: deployment.clone() }).unwrap();
        self.state.serving().route(&auth, Some(Arc::clone(&row))).unwrap();
        let auth = self.gate.authorize(&me, Describe { deployment: Some(deployment.clone()) }).unwrap();
        self.state.serving().settled(&auth, &deployment).await.unwrap();
        row
    }

    /// Variant and unit of each prediction that counts, in the order of the journal.
    fn counted(&self) -> Vec<(String, u64)> {
        let kept = self.kept.0.lock().unwrap();
        let of =
            |p: &Prediction| p.assignment.generation.and(p.assignment.unit).map(|u| (p.target.variant.to_string(), u));
        kept.iter().filter_map(of).collect()
    }

    /// From now on answers wait for the word of a disk.
    fn with_disk(&self) -> watch::Sender<Word> {
        let (word, disk) = watch::channel(None);
        *self.kept.1.lock().unwrap() = Some(disk);
        word
    }

    /// Waits until the journal has been handed `n` predictions.
    async fn handed(&self, n: usize) {
        while self.kept.0.lock().unwrap().len() < n {
            tokio::task::yield_now().await;
        }
    }

    /// What the journal has: protocol, the caller's id and how it ended.
    fn journal(&self) -> Vec<(&'static str, Option<String>, Outcome)> {
        let kept = self.kept.0.lock().unwrap();
        kept.iter()
            .map(|p| (p.protocol.as_str(), p.client_id.as_deref().map(str::to_owned), p.outcome.clone()))
            .collect()
    }

    /// Listens on a free port of loopback.
    async fn listen(&self) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = self.app();
        self.state.ctx().tasks.spawn("test server", async move {
            axum::serve(listener, app).await.unwrap();
        });
        address
    }
}

/// Status, headers and body of a response.
async fn open(response: Response) -> (u16, http::HeaderMap, Bytes) {
    let (parts, body) = response.into_parts();
    (parts.status.as_u16(), parts.headers, axum::body::to_bytes(body, usize::MAX).await.unwrap())
}

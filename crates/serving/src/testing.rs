//! What the tests share: an engine whose models do as a text file says, a source, a sink, a rig.

use crate::{
    Answer, Ask, Deploy, DeploymentSpec, DeploymentView, Describe, Infer, InferRequest, ModelSource, PredictionSink,
    ReadStats, Resolved, ServeError, Serving, SourceError, Undeploy, VersionStats,
};
use futures::future::BoxFuture;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{
    Action, AuditRecord, AuditSink, Authorized, Ctx, DType, Decision, Effect, ErrorKind, Gate, Name, Outcome, Policy,
    Prediction, Principal, Protocol, Resource, Tenant, Tensor, Tokens,
};
use mainspring_engine::{
    AnswerForm, Content, Counted, Engine, EngineError, LoadOptions, Model, ModelFiles, Part, RunCx, Signature,
    TensorSpec,
};
use mainspring_traffic::{HardLimits, RequestHead, RouteSpec, Row, RowVariant, Shadow, Share, Variant};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A door that models of the kind `gated` wait at.
#[derive(Debug, Default)]
pub struct Door {
    shut: Mutex<bool>,
    moved: Condvar,
    pub inside: AtomicUsize,
}

impl Door {
    pub fn shut(&self) {
        *self.shut.lock() = true;
    }

    pub fn open(&self) {
        *self.shut.lock() = false;
        self.moved.notify_all();
    }

    fn pass(&self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let mut shut = self.shut.lock();
        while *shut {
            self.moved.wait(&mut shut);
        }
        drop(shut);
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Reads `model.onnx` as a text: `quick 2` adds 2 to each value at once, `gated 2` passes the door
/// first, `busy 2` takes 400 µs, `apart 2` says that it runs in another process, `fewer` drops a row, `wrong` answers something undeclared, `panics`
/// panics on any value but zero, `picky 2` passes the door like `gated` and refuses a call with a negative value,
/// `mortal 2` does so too and ends its process on one, `extra 2` answers one with a row too many,
/// `counts 2` takes two tokens a row, `parts 2` answers in as many parts as the first value says, `bad` cannot be loaded,
/// `later 2` can at the third attempt,
/// `other 2` takes an input of another name, `slow 2` says so and passes the door to be loaded, `patient 2` is loaded until nobody waits.
#[derive(Debug, Clone, Default)]
pub struct TextEngine {
    pub door: Arc<Door>,
    pub loaded: Arc<AtomicUsize>,
    pub given_up: Arc<AtomicUsize>,
    /// What came with each call.
    pub calls: Arc<Mutex<Vec<RunCx>>>,
    /// How often `later` was to be opened.
    pub tries: Arc<AtomicUsize>,
    /// Set while its models are down.
    pub down: Arc<AtomicBool>,
}

#[derive(Debug)]
struct TextModel {
    kind: String,
    add: f32,
    signature: Signature,
    instances: usize,
    engine: TextEngine,
}

impl Drop for TextModel {
    fn drop(&mut self) {
        self.engine.loaded.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Engine for TextEngine {
    fn name(&self) -> &'static str {
        "text"
    }

    fn flavors(&self) -> &'static [&'static str] {
        &["onnx"]
    }

    fn may_open_later(&self) -> bool {
        self.tries.load(Ordering::SeqCst) > 0
    }

    fn load(&self, files: &ModelFiles, options: &LoadOptions) -> Result<Arc<dyn Model>, EngineError> {
        let path = files.root.join(&files.entry);
        let fail = |reason: String| EngineError::Load { path: path.display().to_string(), reason };
        let text = std::fs::read_to_string(&path).map_err(|e| fail(e.to_string()))?;
        let (kind, add) = text.split_once(' ').unwrap_or((&text, "0"));
        if kind == "later" && self.tries.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(fail("it cannot be opened now".into()));
        }
        if kind == "bad" {
            return Err(fail("it is bad".into()));
        }
        if kind == "slow" {
            options.watch.say(&format!("opening slowly for {}, {:?}", options.name, options.worker.environment));
            self.door.pass();
        }
        if kind == "patient" {
            options.watch.say("opening");
            while !options.watch.gone() {
                std::thread::yield_now();
            }
            self.given_up.fetch_add(1, Ordering::SeqCst);
            return Err(EngineError::GivenUp);
        }
        let spec = |name: &str| TensorSpec::new(name, DType::Fp32, &[-1, -1]);
        let input = spec(if kind == "other" { "z" } else { "x" });
        self.loaded.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(TextModel {
            kind: kind.into(),
            add: add.parse().unwrap(),
            signature: Signature { inputs: vec![input], outputs: vec![spec("y")] },
            instances: options.instances.max(1),
            engine: self.clone(),
        }))
    }
}

impl Model for TextModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn answer(&self) -> AnswerForm {
        if self.kind == "apart" { AnswerForm::Array } else { AnswerForm::Tensors }
    }

    fn waits(&self) -> bool {
        self.kind == "apart" || self.kind == "parts"
    }

    fn streams(&self) -> bool {
        self.kind == "parts"
    }

    fn stream(
        &self,
        inputs: &[NamedTensor],
        cx: &RunCx,
        take: &mut dyn FnMut(Part) -> bool,
    ) -> Result<Vec<Tokens>, EngineError> {
        if self.kind != "parts" {
            let Counted { outputs, tokens } = self.run_counted(inputs, cx)?;
            take(Part { outputs, contents: vec![Content::Text] });
            return Ok(tokens);
        }
        self.engine.door.inside.fetch_add(1, Ordering::SeqCst);
        let count = inputs[0].tensor.to_vec::<f32>().unwrap()[0];
        let mut place = 0.0;
        while place < count {
            let tensor = Tensor::from_vec(DType::Fp32, vec![1], vec![place + self.add])?;
            if !take(Part { outputs: vec![named("y", tensor)], contents: vec![Content::Text] }) {
                break;
            }
            place += 1.0;
            if place == 7.0 {
                return Err(EngineError::Run { reason: "seven is too many".into(), bad_input: true });
            }
        }
        self.engine.door.inside.fetch_sub(1, Ordering::SeqCst);
        Ok(Vec::new())
    }

    fn run_counted(&self, inputs: &[NamedTensor], cx: &RunCx) -> Result<Counted, EngineError> {
        let outputs = self.run(inputs, cx)?;
        let rows = if self.kind == "counts" { inputs[0].tensor.shape()[0] } else { 0 };
        Ok(Counted { outputs, tokens: vec![Tokens { input: self.add as u64, output: 0 }; rows] })
    }

    fn health(&self) -> Result<(), EngineError> {
        if self.engine.down.load(Ordering::SeqCst) {
            let reason = "it ended 5 times in a row; it is started again in 30 s".into();
            return Err(EngineError::Down { reason, again: Duration::from_secs(30) });
        }
        Ok(())
    }

    fn run(&self, inputs: &[NamedTensor], cx: &RunCx) -> Result<Vec<NamedTensor>, EngineError> {
        self.health()?;
        self.engine.calls.lock().push(cx.clone());
        let x = &inputs[0].tensor;
        let mut values = x.to_vec::<f32>().unwrap();
        let mut shape = x.shape().to_vec();
        match &*self.kind {
            "gated" | "busy" | "picky" | "apart" | "mortal" | "extra" => {
                let started = Instant::now();
                while started.elapsed() < Duration::from_micros(400) {
                    std::hint::spin_loop();
                }
                if self.kind == "picky" && values.iter().any(|v| *v < 0.0) {
                    return Err(EngineError::Run { reason: "it is negative".into(), bad_input: true });
                }
                if self.kind == "mortal" && values.iter().any(|v| *v < 0.0) {
                    return Err(EngineError::Died { reason: "it exited with code 3".into() });
                }
                if self.kind == "extra" && values.iter().any(|v| *v < 0.0) {
                    values.extend_from_within(..shape[1]);
                    shape[0] += 1;
                }
                if self.kind != "busy" && values.iter().any(|v| *v != 0.0) {
                    self.engine.door.pass();
                }
            }
            "fewer" => {
                shape[0] -= 1;
                values.truncate(shape[0] * shape[1]);
            }
            "wrong" => {
                let (declared, got) = ("FP32".into(), "INT8".into());
                return Err(EngineError::WrongOutput { output: "y".into(), declared, got });
            }
            "panics" if values.iter().any(|v| *v != 0.0) => panic!("as told"),
            _ => {}
        }
        for v in &mut values {
            *v += self.add;
        }
        Ok(vec![named("y", Tensor::from_vec(DType::Fp32, shape, values)?)])
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn memory_bytes(&self) -> u64 {
        1000
    }
}

pub fn named(name: &str, tensor: Tensor) -> NamedTensor {
    NamedTensor { name: name.into(), tensor }
}

/// Versions on disk, and the alias that moves between them.
pub struct Shelf {
    pub folder: tempfile::TempDir,
    pub current: Mutex<Result<String, SourceError>>,
    /// A version that nothing new may take.
    pub frozen: Mutex<Option<String>>,
    pub changes: watch::Sender<u64>,
}

impl Shelf {
    fn new() -> Self {
        let current = Mutex::new(Ok("1".to_owned()));
        Self { folder: tempfile::tempdir().unwrap(), current, frozen: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// Puts a version onto the shelf.
    pub fn put(&self, version: &str, model: &str) {
        let folder = self.folder.path().join(version);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("model.onnx"), model).unwrap();
    }

    /// Adds an `MLmodel` file to a version.
    pub fn mlmodel(&self, version: &str, text: &str) {
        std::fs::write(self.folder.path().join(version).join("MLmodel"), text).unwrap();
    }

    /// Moves the alias.
    pub fn point(&self, version: &str) {
        *self.current.lock() = Ok(version.into());
        self.changes.send_modify(|n| *n += 1);
    }

    pub fn fail(&self, kind: ErrorKind) {
        *self.current.lock() = Err(SourceError { kind, message: "the registry is away".into(), hint: None });
        self.changes.send_modify(|n| *n += 1);
    }
}

impl ModelSource for Shelf {
    fn resolve<'a>(&'a self, _: &'a Tenant, uri: &'a str) -> BoxFuture<'a, Result<Resolved, SourceError>> {
        Box::pin(async move {
            // A URI that ends with a version means it; any other one is the alias.
            let named = uri.rsplit('/').next().filter(|v| v.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned);
            let version = match named {
                Some(version) => version,
                None => self.current.lock().clone()?,
            };
            let root = self.folder.path().join(&version);
            Ok(Resolved { model: "m".into(), version, root, mlmodel: None })
        })
    }

    fn faster<'a>(&'a self, _: &'a Tenant, of: &'a Resolved) -> BoxFuture<'a, Result<Option<Resolved>, SourceError>> {
        // What was made from a version lies beside it.
        let version = format!("{}-faster", of.version);
        let root = self.folder.path().join(&version);
        let found = root.exists().then(|| Resolved { model: of.model.clone(), version, root, mlmodel: None });
        Box::pin(std::future::ready(Ok(found)))
    }

    fn refused(&self, _: &Tenant, uri: &str, found: &Resolved) -> Option<String> {
        let frozen = self.frozen.lock().as_deref() == Some(&*found.version);
        (frozen && uri.ends_with("latest")).then(|| "it is frozen".to_owned())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[derive(Default)]
pub struct Sink(pub Mutex<Vec<Prediction>>);

impl PredictionSink for Sink {
    fn append(&self, prediction: Prediction) -> Option<crate::Kept> {
        self.0.lock().push(prediction);
        None
    }

    fn answered_last(&self, _: &Tenant, deployment: &Name, variant: &str) -> Option<(String, String)> {
        let all = self.0.lock();
        let of = |p: &&Prediction| *p.target.deployment == *deployment.as_str() && *p.target.variant == *variant;
        let last = all.iter().rev().filter(of).find(|p| matches!(p.outcome, Outcome::Ok))?;
        Some((last.target.model.to_string(), last.target.version.to_string()))
    }
}

struct Everyone;

impl Policy for Everyone {
    fn decide(&self, _: &Principal, _: &'static str, _: Effect, _: &Resource) -> Decision {
        Decision::Allow
    }
}

impl AuditSink for Everyone {
    fn record(&self, _: AuditRecord) {}
}

/// A serving with everything around it.
#[derive(Clone)]
pub struct Rig {
    pub serving: Serving,
    pub shelf: Arc<Shelf>,
    pub sink: Arc<Sink>,
    pub engine: TextEngine,
    gate: Gate,
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

impl Rig {
    pub fn new() -> Self {
        let engine = TextEngine::default();
        Self::over(Arc::new(engine.clone()), engine)
    }

    /// A rig whose models another engine opens; its text engine has nothing to do.
    pub fn over(engine: Arc<dyn Engine>, text: TextEngine) -> Self {
        Self::with((Arc::new(Shelf::new()), Arc::new(Sink::default())), engine, text)
    }

    /// Another process, which finds the same versions and predictions.
    pub fn again(&self) -> Self {
        Self::with(
            (Arc::clone(&self.shelf), Arc::clone(&self.sink)),
            Arc::new(self.engine.clone()),
            self.engine.clone(),
        )
    }

    fn with((shelf, sink): (Arc<Shelf>, Arc<Sink>), engine: Arc<dyn Engine>, text: TextEngine) -> Self {
        let ctx = Ctx::system();
        let gate = Gate::new(Arc::new(Everyone), Arc::new(Everyone), Arc::clone(&ctx.clock));
        let serving = Serving::new(vec![engine], shelf.clone(), sink.clone(), ctx);
        Self { serving, shelf, sink, engine: text, gate }
    }

    /// A rig whose deployment `m` serves version 1, which is `model`.
    pub async fn serving(model: &str, spec: impl FnOnce(&mut DeploymentSpec)) -> Self {
        let rig = Self::new();
        rig.shelf.put("1", model);
        rig.deploy("m", spec).unwrap();
        let view = rig.settled("m").await;
        assert!(view.ready(), "{view:?}");
        rig
    }

    pub fn auth<A: Action>(&self, action: A) -> Authorized<A> {
        self.gate.authorize(&Arc::new(Principal::loopback()), action).unwrap()
    }

    /// What somebody is allowed who showed a key.
    pub fn keyed<A: Action>(&self, subject: &str, action: A) -> Authorized<A> {
        let who = Principal { subject: subject.into(), ..Principal::loopback() };
        self.gate.authorize(&Arc::new(who), action).unwrap()
    }

    /// What somebody is allowed who may only call.
    pub fn caller<A: Action>(&self, action: A) -> Authorized<A> {
        let who = Principal { role: mainspring_core::Role::Infer, ..Principal::loopback() };
        self.gate.authorize(&Arc::new(who), action).unwrap()
    }

    pub fn deploy(&self, deployment: &str, spec: impl FnOnce(&mut DeploymentSpec)) -> Result<(), ServeError> {
        let mut declared = DeploymentSpec::new("models:/m@champion");
        spec(&mut declared);
        self.serving.deploy(&self.auth(Deploy { deployment: name(deployment) }), declared)
    }

    pub fn undeploy(&self, deployment: &str) -> Result<(), ServeError> {
        self.serving.undeploy(&self.auth(Undeploy { deployment: name(deployment) }))
    }

    pub fn describe(&self, deployment: &str) -> Option<DeploymentView> {
        self.serving.describe(&self.auth(Describe { deployment: Some(name(deployment)) }))
    }

    /// Lets `row` decide about deployment `m`.
    pub fn route(&self, row: Option<Row>) -> Result<(), ServeError> {
        self.serving.route(&self.auth(Deploy { deployment: name("m") }), row.map(Arc::new))
    }

    /// Sends one value with a header, and returns what came back.
    pub async fn ask_as(&self, header: (&'static str, &str), value: f32) -> Result<f32, ServeError> {
        let auth = self.auth(Infer { deployment: name("m") });
        let picked = self.serving.pick(&auth, Ask { version: None, head: &Said(header.0, header.1.to_owned()) })?;
        let answer = self.serving.infer(&auth, InferRequest { picked: Some(picked), ..request(&[value]) }).await?;
        let got = answer.outputs[0].tensor.to_vec::<f32>().unwrap()[0];
        answer.encoded().await?;
        Ok(got)
    }

    /// Sends one value to a variant by its name, and returns what came back.
    pub async fn ask_named(&self, variant: &str, value: f32) -> Result<f32, ServeError> {
        self.ask_as((mainspring_traffic::VARIANT_HEADER, variant), value).await
    }

    pub async fn settled(&self, deployment: &str) -> DeploymentView {
        let auth = self.auth(Describe { deployment: None });
        self.serving.settled(&auth, &name(deployment)).await.unwrap()
    }

    /// Counters of the current version.
    pub fn stats(&self) -> VersionStats {
        let auth = self.auth(ReadStats { deployment: Some(name("m")) });
        self.serving.stats(&auth)[0].versions.iter().find(|v| v.current).unwrap().clone()
    }

    pub fn closed(&self, by: crate::ClosedBy) -> u64 {
        let auth = self.auth(ReadStats { deployment: Some(name("m")) });
        let batches = self.serving.batches(&auth).unwrap();
        batches[0].closed.iter().find(|(b, _)| *b == by).unwrap().1
    }

    pub async fn infer(&self, request: InferRequest) -> Result<Answer, ServeError> {
        self.serving.infer(&self.auth(Infer { deployment: name("m") }), request).await
    }

    /// Sends `values` as rows of one and returns what came back.
    pub async fn ask(&self, values: &[f32]) -> Result<Vec<f32>, ServeError> {
        let answer = self.infer(request(values)).await?;
        let got = answer.outputs[0].tensor.to_vec::<f32>().unwrap();
        answer.encoded().await?;
        Ok(got)
    }
}

/// A request with one header.
pub struct Said(pub &'static str, pub String);

impl RequestHead for Said {
    fn header(&self, name: &str) -> Option<&[u8]> {
        (name == self.0).then_some(self.1.as_bytes())
    }

    fn find<'a>(&'a self, name: &str, find: &mut dyn FnMut(&'a [u8]) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        self.header(name).and_then(find)
    }
}

/// The first row of rollout `r`: versions of the shelf with their part of the traffic in percent, stable first.
pub fn row(unit: &str, variants: &[(&str, u32)]) -> Row {
    let named = |(i, (version, percent)): (usize, &(&str, u32))| {
        let name = if i == 0 { "stable".to_owned() } else { format!("v{version}") };
        let weight = Share::from_ppm(percent * 10_000).unwrap();
        (RowVariant { name: name.clone(), model: format!("models:/m/{version}") }, Variant { name, weight })
    };
    let (variants, weights) = variants.iter().enumerate().map(named).unzip();
    let spec = RouteSpec { salt: "r".into(), variants: weights, holdout: None, layer: None };
    let route = mainspring_traffic::Route::new(spec).unwrap();
    Row { rollout: "r".into(), unit: unit.parse().unwrap(), variants, route, policy: None, shadow: None, limits: None }
}

/// The same row of another rollout.
pub fn other(row: &Row) -> Row {
    Row { rollout: "other".into(), ..row.clone() }
}

/// The same row with hard limits.
pub fn limited(row: &Row, limits: HardLimits) -> Row {
    Row { limits: Some(limits), ..row.clone() }
}

/// The same row with its last candidate in the shadow of a part of the requests, in percent.
pub fn shadowed(row: &Row, percent: u32, max_in_flight: u32) -> Row {
    let variant = u16::try_from(row.variants.len() - 1).unwrap();
    let shadow = Shadow { variant, share: Share::from_ppm(percent * 10_000).unwrap(), max_in_flight };
    Row { shadow: Some(shadow), ..row.clone() }
}

/// The next row, with other parts of the traffic in percent.
pub fn reweighted(row: &Row, percents: &[u32]) -> Row {
    let weights: Vec<Share> = percents.iter().map(|p| Share::from_ppm(p * 10_000).unwrap()).collect();
    Row { route: row.route.reweighted(&weights).unwrap(), ..row.clone() }
}

pub fn request(values: &[f32]) -> InferRequest {
    rows(values.len(), values)
}

pub fn rows(rows: usize, values: &[f32]) -> InferRequest {
    let shape = vec![rows, values.len().checked_div(rows).unwrap_or(1)];
    InferRequest {
        version: None,
        picked: None,
        client_id: None,
        inputs: vec![named("x", Tensor::from_vec(DType::Fp32, shape, values.to_vec()).unwrap())],
        protocol: Protocol::Native,
        params: crate::GivenParams::default(),
        deadline: None,
        received: Instant::now(),
    }
}

/// Waits until `condition` holds; fails after a minute, which no machine needs.
pub async fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "the condition never held");
        tokio::task::yield_now().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a test awaits what it spawns")]
pub fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(task)
}

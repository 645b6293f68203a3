//! What routing costs a request: nanoseconds to find its deployment and who answers, among 10,000 that have a rollout, beside
//! the same among 10,000 that have none.
//!
//! `cargo run --release -p mainspring-serving --example routing [-- DEPLOYMENTS]`
//!
//! Deployments and units come in an order that no cache can foresee. It is all that happens before a request's inputs are
//! read: the deployment, its routing row, the unit's header, the choice, the id of the prediction, what is kept loaded
//! meanwhile. Models do nothing here, and every candidate is ready.
//!
//! Ends with 1 when rollouts add more than 300 ns.
#![expect(clippy::print_stdout, reason = "it prints its figures")]

use futures::future::BoxFuture;
use mainspring_core::{
    AuditRecord, AuditSink, Authorized, Ctx, DType, Decision, Effect, Gate, Name, NamedTensor, Policy, Prediction,
    Principal, Resource, Tenant,
};
use mainspring_engine::{
    AnswerForm, Engine, EngineError, LoadOptions, Model, ModelFiles, RunCx, Signature, TensorSpec,
};
use mainspring_serving::{
    Ask, Deploy, DeploymentSpec, Describe, Infer, Kept, ModelSource, PredictionSink, Resolved, Serving, SourceError,
    VariantState,
};
use mainspring_traffic::{RequestHead, RouteSpec, Row, RowVariant, Share, UnitFrom, Variant};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

const CALLS: u32 = 500_000;
const ROUNDS: u64 = 15;
const UNITS: usize = 4_096;
/// What a rollout may add to a request, in nanoseconds.
const TARGET: f64 = 300.0;

#[derive(Debug)]
struct Nothing(Signature);

impl Model for Nothing {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn answer(&self) -> AnswerForm {
        AnswerForm::Tensors
    }

    fn waits(&self) -> bool {
        false
    }

    fn instances(&self) -> usize {
        1
    }

    fn memory_bytes(&self) -> u64 {
        0
    }

    fn run(&self, inputs: &[NamedTensor], _: &RunCx) -> Result<Vec<NamedTensor>, EngineError> {
        Ok(inputs.to_vec())
    }
}

#[derive(Debug)]
struct NoEngine;

impl Engine for NoEngine {
    fn name(&self) -> &'static str {
        "nothing"
    }

    fn flavors(&self) -> &'static [&'static str] {
        &["onnx"]
    }

    fn load(&self, _: &ModelFiles, _: &LoadOptions) -> Result<Arc<dyn Model>, EngineError> {
        let spec = TensorSpec::new("x", DType::Fp32, &[-1, 1]);
        Ok(Arc::new(Nothing(Signature { inputs: vec![spec.clone()], outputs: vec![spec] })))
    }
}

struct Shelf(PathBuf, watch::Sender<u64>);

impl ModelSource for Shelf {
    fn resolve<'a>(&'a self, _: &'a Tenant, uri: &'a str) -> BoxFuture<'a, Result<Resolved, SourceError>> {
        let version = uri.rsplit('/').next().unwrap_or(uri).into();
        let resolved = Resolved { model: "m".into(), version, root: self.0.clone(), mlmodel: None };
        Box::pin(std::future::ready(Ok(resolved)))
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

struct Nowhere;

impl PredictionSink for Nowhere {
    fn append(&self, _: Prediction) -> Option<Kept> {
        None
    }

    fn answered_last(&self, _: &Tenant, _: &Name, _: &str) -> Option<(String, String)> {
        None
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

/// A request with its unit in a header, and some other headers.
struct Said<'a>(&'a str);

impl RequestHead for Said<'_> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        let others = ["host", "content-type", "content-length", "accept", "user-agent", "traceparent"];
        others.iter().all(|other| *other != name).then_some(())?;
        (name == "x-user-id").then_some(self.0.as_bytes())
    }

    fn find<'a>(&'a self, name: &str, find: &mut dyn FnMut(&'a [u8]) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        self.header(name).and_then(find)
    }
}

/// One unit of twenty gets the candidate.
fn row(i: usize) -> Result<Row, Box<dyn Error>> {
    let variant = |name: &str, weight| {
        Ok::<_, Box<dyn Error>>(Variant { name: name.into(), weight: Share::from_fraction(weight)? })
    };
    let model = |name: &str, version| RowVariant { name: name.into(), model: format!("models:/m/{version}") };
    let variants = vec![variant("stable", 0.95)?, variant("v2", 0.05)?];
    Ok(Row {
        rollout: format!("r{i}"),
        unit: UnitFrom::Header("x-user-id".into()),
        variants: vec![model("stable", 1), model("v2", 2)],
        route: mainspring_traffic::Route::new(RouteSpec {
            salt: format!("r{i}"),
            variants,
            holdout: None,
            layer: None,
        })?,
        policy: None,
        shadow: None,
        limits: None,
    })
}

/// Nanoseconds a request.
fn measure(
    serving: &Serving,
    asked: &[Authorized<Infer>],
    units: &[String],
    round: u64,
) -> Result<f64, Box<dyn Error>> {
    let mut state = round + 1;
    let started = Instant::now();
    for _ in 0..CALLS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = (state >> 32) as usize;
        let head = Said(&units[high / 7 % units.len()]);
        std::hint::black_box(serving.pick(&asked[high % asked.len()], Ask { version: None, head: &head })?);
    }
    Ok(started.elapsed().as_nanos() as f64 / f64::from(CALLS))
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let many: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("model.onnx"), [])?;
    let ctx = Ctx::system();
    let gate = Gate::new(Arc::new(Everyone), Arc::new(Everyone), Arc::clone(&ctx.clock));
    let source = Arc::new(Shelf(folder.path().to_owned(), watch::Sender::new(0)));
    let serving = Serving::new(vec![Arc::new(NoEngine)], source, Arc::new(Nowhere), ctx);
    let who = Arc::new(Principal::loopback());
    let mut groups = [Vec::with_capacity(many), Vec::with_capacity(many)];
    for (group, stem) in groups.iter_mut().zip(["plain", "routed"]) {
        for i in 0..many {
            let name = Name::new(&format!("{stem}-{i:05}"))?;
            let deploy = gate.authorize(&who, Deploy { deployment: name.clone() })?;
            serving.deploy(&deploy, DeploymentSpec::new("models:/m/1"))?;
            group.push(gate.authorize(&who, Infer { deployment: name })?);
        }
    }
    serving.all_settled().await;
    let [plain, routed] = &groups;
    for (i, asked) in routed.iter().enumerate() {
        let deploy = gate.authorize(&who, Deploy { deployment: asked.action().deployment.clone() })?;
        serving.route(&deploy, Some(Arc::new(row(i)?)))?;
    }
    serving.all_settled().await;
    let all = serving.list(&gate.authorize(&who, Describe { deployment: None })?);
    let ready = all.iter().flat_map(|view| &view.variants).filter(|v| v.state == VariantState::Ready).count();
    if ready != 2 * many {
        return Err(format!("{ready} of {} variants are ready", 2 * many).into());
    }
    let units: Vec<String> = (0..UNITS).map(|i| format!("f47ac10b-58cc-4372-a567-{i:012}")).collect();
    // By turns, and the best of each: the machine has other work.
    let (mut alone, mut decided) = (f64::INFINITY, f64::INFINITY);
    for round in 0..ROUNDS {
        alone = alone.min(measure(&serving, plain, &units, round)?);
        decided = decided.min(measure(&serving, routed, &units, round)?);
    }
    let adds = decided - alone;
    println!(
        "twice {many} deployments, {UNITS} units of 36 bytes, best of {ROUNDS} rounds of {CALLS} requests by turns"
    );
    println!("without a rollout  {alone:6.1} ns: the deployment, and what answers");
    println!("with one           {decided:6.1} ns: the same, by the unit's variant");
    println!("a rollout adds     {adds:6.1} ns");
    Ok(if adds < TARGET { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

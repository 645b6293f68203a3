//! What serving costs: nanoseconds for one row through a 100-tree model, `Model::run` beside
//! `Serving::infer` with routing, checks, counters and the journal event; and what ten rules on its row add.
//!
//! `cargo run --release -p mainspring-serving --example serving_overhead` in the repository's root.
#![expect(clippy::print_stdout, reason = "it prints its figures")]

use futures::future::BoxFuture;
use mainspring_core::{
    AuditRecord, AuditSink, Authorized, Ctx, DType, Decision, Effect, Gate, Name, NamedTensor, Policy, Prediction,
    Principal, Protocol, Resource, Tenant, Tensor,
};
use mainspring_engine::{Engine, LoadOptions, ModelFiles, RunCx};
use mainspring_engine_onnx::OnnxRuntime;
use mainspring_serving::{
    Contract, Deploy, DeploymentSpec, Describe, GivenParams, Infer, InferRequest, Kept, ModelSource, PredictionSink,
    Resolved, RowRules, RuleError, RuleMaker, RulesSpec, Seen, Serving, SourceError,
};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

const CALLS: u32 = 500;
const RUNS: u32 = 400;

struct File(PathBuf, watch::Sender<u64>);

impl ModelSource for File {
    fn resolve<'a>(&'a self, _: &'a Tenant, uri: &'a str) -> BoxFuture<'a, Result<Resolved, SourceError>> {
        let resolved = Resolved { model: uri.into(), version: "1".into(), root: self.0.clone(), mlmodel: None };
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
    fn append(&self, prediction: Prediction) -> Option<Kept> {
        std::hint::black_box(prediction);
        None
    }

    fn answered_last(&self, _: &Tenant, _: &Name, _: &str) -> Option<(String, String)> {
        None
    }
}

/// As many ranges as there are rules, over the first columns.
#[derive(Debug)]
struct Ranges(usize);

impl RuleMaker for Ranges {
    fn make(&self, rules: &RulesSpec, _: &Contract) -> Result<Arc<dyn RowRules>, RuleError> {
        Ok(Arc::new(Self(rules.expectations.len())))
    }
}

impl RowRules for Ranges {
    fn look(&self, inputs: &[NamedTensor], rows: usize, tell: &mut dyn FnMut(Seen)) {
        let values = inputs[0].tensor.as_slice::<f32>().unwrap_or_default();
        for rule in 0..self.0 {
            for (row, of) in values.chunks(30).take(rows).enumerate() {
                if !(-1e9..1e9).contains(&of[rule]) {
                    tell(Seen { rule, row, broken: true });
                }
            }
        }
    }

    fn why(&self, _: usize, _: &[NamedTensor], _: usize) -> String {
        "it is out of range".into()
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

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine-onnx/tests-data");
    let engine = OnnxRuntime::open(None, 0);
    let library = engine.library().map_err(Clone::clone)?.clone();
    println!("{library}");
    let files = ModelFiles { root: data.clone(), entry: "trees100.onnx".into(), flavor: "onnx".into() };
    let model = engine.load(&files, &LoadOptions::default())?;

    let ctx = Ctx::system();
    let gate = Gate::new(Arc::new(Everyone), Arc::new(Everyone), Arc::clone(&ctx.clock));
    let source = Arc::new(File(data.join("trees100.onnx"), watch::Sender::new(0)));
    let serving = Serving::new(vec![Arc::new(engine)], source, Arc::new(Nowhere), ctx).ruled_by(Arc::new(Ranges(0)));
    let (who, name) = (Arc::new(Principal::loopback()), Name::new("trees")?);
    let deploy = gate.authorize(&who, Deploy { deployment: name.clone() })?;
    serving.deploy(&deploy, DeploymentSpec::new("trees100.onnx"))?;
    let view = serving.settled(&gate.authorize(&who, Describe { deployment: None })?, &name).await?;
    println!("{:?}", view.current().map(|v| v.execution).ok_or(view.reason.unwrap_or_default())?);

    let ruled = Name::new("ruled")?;
    let mut spec = DeploymentSpec::new("trees100.onnx");
    let rule =
        serde_json::json!({"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "max_value": 1}});
    spec.rules = Some(serde_json::from_value(serde_json::json!({"expectations": vec![rule; 10]}))?);
    serving.deploy(&gate.authorize(&who, Deploy { deployment: ruled.clone() })?, spec)?;
    serving.settled(&gate.authorize(&who, Describe { deployment: None })?, &ruled).await?;

    let row: Vec<f32> = (0..30_u8).map(f32::from).collect();
    let inputs = vec![NamedTensor { name: "X".into(), tensor: Tensor::from_vec(DType::Fp32, vec![1, 30], row)? }];
    let auth = gate.authorize(&who, Infer { deployment: name })?;
    let of_ruled = gate.authorize(&who, Infer { deployment: ruled })?;
    // The best of many short runs: what a call costs when nobody else has the core.
    let (mut bare, mut served, mut judged) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
    let best = |best: &mut f64, started: Instant| {
        *best = best.min(started.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    };
    for _ in 0..RUNS {
        let started = Instant::now();
        for _ in 0..CALLS {
            std::hint::black_box(model.run(&inputs.clone(), &RunCx::default())?);
        }
        best(&mut bare, started);
        let started = Instant::now();
        ask(&serving, &auth, &inputs).await?;
        best(&mut served, started);
        let started = Instant::now();
        ask(&serving, &of_ruled, &inputs).await?;
        best(&mut judged, started);
    }
    println!("engine {bare:.0} ns, serving {served:.0} ns, {:+.0} ns", served - bare);
    println!("ten rules {judged:.0} ns, {:+.0} ns", judged - served);
    Ok(())
}

async fn ask(serving: &Serving, auth: &Authorized<Infer>, inputs: &[NamedTensor]) -> Result<(), Box<dyn Error>> {
    for _ in 0..CALLS {
        let request = InferRequest {
            version: None,
            picked: None,
            client_id: None,
            inputs: inputs.to_vec(),
            params: GivenParams::default(),
            protocol: Protocol::Native,
            deadline: None,
            received: Instant::now(),
        };
        serving.infer(auth, request).await?.encoded().await?;
    }
    Ok(())
}

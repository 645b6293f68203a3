//! Opening a version: which file, which engine, and how its requests should run.

use crate::contract::{Contract, stacked};
use crate::error::ServeError;
use crate::event::place;
use crate::mlmodel::MlflowInputs;
use crate::run::{BatchRules, Facts, Origin};
use crate::source::Resolved;
use crate::spec::{DeploymentSpec, Instances};
use crate::usage;
use crate::view::Execution;
use crate::warm;
use mainspring_core::{Name, Target, Timestamp};
use mainspring_engine::{Engine, EngineError, LoadOptions, Model, Watch};
use std::sync::Arc;
use std::time::Duration;

/// What to open and for whom.
pub(crate) struct Order {
    pub name: Name,
    /// The variant that it is loaded as, and the URI that it was found under.
    pub variant: Arc<str>,
    pub uri: Arc<str>,
    pub spec: Arc<DeploymentSpec>,
    pub resolved: Resolved,
    pub origin: Origin,
    pub engines: Arc<[Arc<dyn Engine>]>,
    pub now: Timestamp,
    pub watch: Watch,
}

/// Opens and warms a version. Blocks.
pub(crate) fn open(order: &Order) -> Result<(Facts, Arc<dyn Model>), ServeError> {
    let started = std::time::Instant::now();
    let root = &order.resolved.root;
    let mlmodel = mainspring_mlmodel::read(root, order.resolved.mlmodel.as_deref())?.map(Arc::new);
    let (engine, files) = mainspring_mlmodel::choose(&order.engines, root, mlmodel.as_deref())?;
    let instances = match order.spec.engine.instances {
        Instances::Auto => 0,
        Instances::Count(n) => n as usize,
    };
    let options = LoadOptions {
        instances,
        threads: 0,
        name: order.name.shared(),
        worker: order.spec.engine.python.worker(),
        watch: order.watch.clone(),
    };
    let model = engine.load(&files, &options).map_err(|error| match error {
        EngineError::Load { .. } if engine.may_open_later() => ServeError::NotOpened(error),
        other => other.into(),
    })?;
    let signature = model.signature().clone();
    let mlmodel = mainspring_mlmodel::described(mlmodel, &*model, root)?;
    let columns = stacked(&signature, mlmodel.as_ref().and_then(|m| m.signature.as_ref()));
    let names: Option<Arc<[Arc<str>]>> = columns.unwrap_or_default().iter().map(|c| c.name.clone()).collect();
    let target = Arc::new(Target {
        deployment: order.name.shared(),
        variant: Arc::clone(&order.variant),
        model: order.resolved.model.as_str().into(),
        version: order.resolved.version.as_str().into(),
        columns: names.unwrap_or_default(),
    });
    let mut contract = Contract {
        target,
        labels: Vec::new(),
        signature,
        platform: engine.platform(),
        // A conversion says what the model that it comes from answers with.
        answer: mlmodel.as_ref().and_then(|m| m.answer).unwrap_or_else(|| model.answer()),
        max_batch_rows: 0,
        streams: model.streams(),
        mlmodel,
    };
    let example = warm::example(root, &contract);
    let max_rows = order.spec.engine.batch.max_rows as usize;
    let warmth = warm::up(&*model, example, max_rows)?;
    // After the warm-up, for some engines learn them from an answer.
    contract.labels = (0..contract.signature.outputs.len()).map(|i| model.labels(i)).collect();
    contract.max_batch_rows = if warmth.execution.batched { max_rows } else { 0 };
    check_redacted(&order.spec.journal.redact, &contract)?;
    let rules =
        BatchRules { max_rows, max_delay: order.spec.engine.batch.max_delay.0, shared: warmth.execution.batched };
    let says_usage = usage::is_said(&contract.signature);
    let facts = Facts {
        origin: order.origin.clone(),
        uri: Arc::clone(&order.uri),
        contract: Arc::new(contract),
        engine: engine.name(),
        execution: warmth.execution,
        rules,
        loaded_at: order.now.plus_micros(i64::try_from(started.elapsed().as_micros()).unwrap_or(0)),
        load_ms: millis(started.elapsed()),
        warnings: warmth.warnings,
        says_usage,
    };
    Ok((facts, model))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A name that nothing matches would leave personal data in the journal without a word.
pub(crate) fn check_redacted(names: &[String], contract: &Contract) -> Result<(), ServeError> {
    for name in names {
        if place(name, contract).is_none() {
            let mut known: Vec<&str> = contract.signature.inputs.iter().map(|i| &*i.name).collect();
            if let Some(MlflowInputs::Columns(columns)) = contract.mlflow().and_then(|m| m.inputs.as_ref()) {
                known.extend(columns.iter().filter_map(|c| c.name.as_deref()));
            }
            known.extend(contract.mlflow().iter().flat_map(|m| &m.params).map(|p| p.name.as_str()));
            return Err(ServeError::Redact {
                name: name.clone(),
                nearest: mainspring_core::nearest(name, known).map(str::to_owned),
            });
        }
    }
    Ok(())
}

/// Whether it is an ONNX model; one whose `MLmodel` cannot be read is not.
pub(crate) fn is_onnx(resolved: &Resolved) -> bool {
    let mlmodel = mainspring_mlmodel::read(&resolved.root, resolved.mlmodel.as_deref());
    matches!(mlmodel, Ok(Some(m)) if m.flavors.contains_key("onnx"))
        || resolved.root.extension().is_some_and(|e| e == "onnx")
}

/// How requests run by default, when warm-up could not measure.
pub(crate) fn unmeasured(batched: bool) -> Execution {
    Execution { inline_rows: 0, batched, one_row_ns: 0, per_row_ns: 0 }
}

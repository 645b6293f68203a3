//! Opening a version: which file, which engine, and how its requests should run.

use crate::contract::{Contract, stacked};
use crate::error::ServeError;
use crate::event::place;
use crate::mlmodel::{MlflowInputs, Mlmodel};
use crate::run::{BatchRules, Facts, Origin};
use crate::source::Resolved;
use crate::spec::{DeploymentSpec, Instances};
use crate::view::Execution;
use crate::warm;
use mainspring_core::{Name, Target, Timestamp};
use mainspring_engine::{Engine, LoadOptions, Model, ModelFiles, Watch};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What to open and for whom.
pub(crate) struct Order {
    pub name: Name,
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
    let mlmodel = mlmodel(&order.resolved)?.map(Arc::new);
    let (engine, files) = choose(&order.engines, root, mlmodel.as_deref())?;
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
    let model = engine.load(&files, &options)?;
    let signature = model.signature().clone();
    let columns = stacked(&signature, mlmodel.as_ref().and_then(|m| m.signature.as_ref()));
    let names: Option<Arc<[Arc<str>]>> = columns.unwrap_or_default().iter().map(|c| c.name.clone()).collect();
    let target = Arc::new(Target {
        deployment: order.name.shared(),
        variant: "stable".into(),
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
    let facts = Facts {
        origin: order.origin.clone(),
        contract: Arc::new(contract),
        engine: engine.name(),
        execution: warmth.execution,
        rules,
        loaded_at: order.now.plus_micros(i64::try_from(started.elapsed().as_micros()).unwrap_or(0)),
        load_ms: millis(started.elapsed()),
        warnings: warmth.warnings,
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
    matches!(mlmodel(resolved), Ok(Some(m)) if m.flavors.contains_key("onnx"))
        || resolved.root.extension().is_some_and(|e| e == "onnx")
}

fn mlmodel(resolved: &Resolved) -> Result<Option<Mlmodel>, ServeError> {
    let path = || resolved.root.join("MLmodel").display().to_string();
    let text = match &resolved.mlmodel {
        Some(text) => text.clone(),
        None => match std::fs::read_to_string(resolved.root.join("MLmodel")) {
            Ok(text) => text,
            Err(_) => return Ok(None),
        },
    };
    Mlmodel::parse(&text).map(Some).map_err(|source| ServeError::Mlmodel { path: path(), source })
}

type Chosen<'a> = (&'a Arc<dyn Engine>, ModelFiles);

fn choose<'a>(
    engines: &'a [Arc<dyn Engine>],
    root: &Path,
    mlmodel: Option<&Mlmodel>,
) -> Result<Chosen<'a>, ServeError> {
    let runs = |flavor: &str| engines.iter().find(|e| e.flavors().contains(&flavor));
    let none = |flavors: String| ServeError::NoEngine {
        path: root.display().to_string(),
        flavors,
        engines: engines.iter().flat_map(|e| e.flavors()).copied().collect::<Vec<_>>().join(", "),
    };
    let Some(mlmodel) = mlmodel else {
        let (folder, entry) = bare(root)?;
        let engine = runs("onnx").ok_or_else(|| none("onnx".into()))?;
        return Ok((engine, ModelFiles { root: folder, entry, flavor: "onnx".into() }));
    };
    // The engines' order decides: every MLflow model has python_function beside its own flavor.
    for engine in engines {
        for flavor in engine.flavors() {
            let Some(data) = mlmodel.flavors.get(*flavor) else { continue };
            let entry = match (*flavor, data) {
                // Its loader reads the whole folder; `data` is a matter between the two.
                ("python_function", _) => PathBuf::from("MLmodel"),
                (_, Some(data)) => data.clone(),
                (_, None) => PathBuf::from(format!("model.{flavor}")),
            };
            return Ok((engine, ModelFiles { root: root.to_owned(), entry, flavor: (*flavor).into() }));
        }
    }
    let own: Vec<&str> = mlmodel.flavors.keys().map(String::as_str).filter(|f| *f != "python_function").collect();
    Err(none(if own.is_empty() { "python_function".into() } else { own.join(", ") }))
}

/// The `.onnx` file that `root` is or holds.
fn bare(root: &Path) -> Result<(PathBuf, PathBuf), ServeError> {
    let load = |reason: String| {
        ServeError::Engine(mainspring_engine::EngineError::Load { path: root.display().to_string(), reason })
    };
    if root.is_file() {
        let folder = root.parent().unwrap_or(Path::new(".")).to_owned();
        return Ok((folder, root.file_name().map(PathBuf::from).unwrap_or_default()));
    }
    let entries = std::fs::read_dir(root).map_err(|e| load(e.to_string()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|e| PathBuf::from(e.file_name()))
        .filter(|p| p.extension().is_some_and(|x| x.eq_ignore_ascii_case("onnx")))
        .collect();
    found.sort();
    let at = found.iter().position(|p| p == Path::new("model.onnx"));
    match (at, found.len()) {
        (Some(at), _) => Ok((root.to_owned(), found.swap_remove(at))),
        (None, 1) => Ok((root.to_owned(), found.swap_remove(0))),
        (None, 0) => Err(load("there is neither an MLmodel file nor an .onnx file in it".into())),
        (None, n) => Err(load(format!("there are {n} .onnx files in it and none is called model.onnx"))),
    }
}

/// How requests run by default, when warm-up could not measure.
pub(crate) fn unmeasured(batched: bool) -> Execution {
    Execution { inline_rows: 0, batched, one_row_ns: 0, per_row_ns: 0 }
}

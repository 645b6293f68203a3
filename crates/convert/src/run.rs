//! One job from its order to a registered version.

use crate::conversions::Inner;
use crate::decide;
use crate::error::ConvertError;
use crate::findings::{Candidate, Findings};
use crate::lineage::{CONVERTED_FROM, OPTIMIZED_FROM, PASSED, PROOF};
use crate::order::{Order, Task};
use crate::ports::{Found, NewModel};
use crate::report::{Converted, Optimized, Report};
use mainspring_core::Principal;
use mainspring_engine::{EngineError, Environment, LoadOptions, ModelFiles, Watch};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows that are compared at most: more prove little more and take long.
const MAX_ROWS: usize = 10_000;

const PROGRAMS: [(&str, &str); 7] = [
    ("worker.py", mainspring_engine_python::WORKER),
    ("common.py", include_str!("python/common.py")),
    ("graph.py", include_str!("python/graph.py")),
    ("exporters.py", include_str!("python/exporters.py")),
    ("convert.py", include_str!("python/convert.py")),
    ("optimize.py", include_str!("python/optimize.py")),
    ("package.py", include_str!("python/package.py")),
];

/// What a job ends with: the findings, and the version that was registered.
pub(crate) type Ended = (Findings, Option<String>);

/// Runs an order; `found` hears the findings as soon as there are some, whatever comes of them.
pub(crate) async fn run(
    inner: &Arc<Inner>,
    who: &Arc<Principal>,
    order: Order,
    watch: Watch,
    found: impl Fn(&Findings) + Send + Sync,
) -> Result<Ended, ConvertError> {
    let scratch = tempfile::Builder::new().prefix("convert-").tempdir_in(&inner.folder).map_err(io)?;
    watch.say("looking for the model");
    let wants_dataset = order.rows.is_none().then_some(scratch.path());
    let source = inner.models.find(who, &order.model, &order.task, wants_dataset).await?;
    let shop = Arc::new(Shop { inner: Arc::clone(inner), order, source, folder: scratch.path().to_owned(), watch });
    let (python, findings, form) = blocking({
        let shop = Arc::clone(&shop);
        move || shop.measure()
    })
    .await?;
    found(&findings);
    let Some(winner) = findings.winner().cloned() else {
        return match &shop.order.task {
            Task::Optimize(_) => Ok((findings, None)),
            Task::Convert(_) => Err(shop.refusal(&findings)),
        };
    };
    let root = blocking({
        let shop = Arc::clone(&shop);
        move || shop.package(&python, &winner.path, form.as_deref())
    })
    .await?;
    if shop.watch.gone() {
        return Err(ConvertError::Cancelled);
    }
    shop.watch.say("registering");
    let new = shop.new_model(&findings, root);
    let version = inner.models.register(who, new).await?;
    Ok((findings, Some(version)))
}

fn io(e: std::io::Error) -> ConvertError {
    ConvertError::Io(e.to_string())
}

/// Programs take as long as they take; no request waits for them.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ConvertError> + Send + 'static,
) -> Result<T, ConvertError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| ConvertError::Io(e.to_string()))?
}

/// A job's model and its folder.
struct Shop {
    inner: Arc<Inner>,
    order: Order,
    source: Found,
    folder: PathBuf,
    watch: Watch,
}

impl Shop {
    /// Exports or optimises, and decides. With it come the interpreter, and what the Python model answers
    /// with.
    fn measure(&self) -> Result<(PathBuf, Findings, Option<String>), ConvertError> {
        if matches!(self.order.task, Task::Convert(_)) || self.order.environment == Environment::Own {
            // Exporting opens the model as it was logged, and installing what it asks for runs what that brings;
            // what was ONNX before holds no code.
            self.inner.python.allow(&self.source.root)?;
        }
        for (name, text) in PROGRAMS {
            std::fs::write(self.folder.join(name), text).map_err(io)?;
        }
        let rows = self.rows()?;
        let mut packages = packages(&self.order.task, &self.source.root);
        if rows.as_ref().is_some_and(|r| r["format"] == "parquet") {
            packages.push("pyarrow");
        }
        let python = self.inner.python.tools(&self.source.root, self.order.environment, &packages, &self.watch)?;
        let mut order = json!({ "root": self.source.root, "work": self.folder, "rows": rows, "max_rows": MAX_ROWS });
        match &self.order.task {
            Task::Convert(tolerance) => {
                order["tolerance"] = json!({ "relative": tolerance.relative, "absolute": tolerance.absolute });
                let report: Converted = self.program(&python, "convert.py", &order)?;
                let form = report.form.clone();
                Ok((python, decide::conversion(self.source.uri(), report, *tolerance), Some(form)))
            }
            Task::Optimize(gate) => {
                order["closeness"] = json!(gate.closeness);
                order["label"] = json!(gate.label);
                let report: Optimized = self.program(&python, "optimize.py", &order)?;
                Ok((python, decide::optimisation(self.source.uri(), report, gate), None))
            }
        }
    }

    /// The rows to compare on, as the programs are told of them; `null` is the input example.
    fn rows(&self) -> Result<Option<Value>, ConvertError> {
        if let Some(rows) = &self.order.rows {
            let format = rows.format().unwrap_or_default();
            let path = self.folder.join(format!("rows.{format}"));
            std::fs::write(&path, &rows.content).map_err(io)?;
            return Ok(Some(told(&path, format, &rows.name)));
        }
        Ok(self.source.dataset.as_ref().map(|(path, format, from)| told(path, format, from)))
    }

    fn program<T: DeserializeOwned>(
        &self,
        python: &Path,
        program: &'static str,
        order: &Value,
    ) -> Result<T, ConvertError> {
        let report = self.folder.join("report.json");
        if let Err(e) = std::fs::remove_file(&report)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            return Err(io(e));
        }
        std::fs::write(self.folder.join("order.json"), order.to_string()).map_err(io)?;
        self.inner.python.run_tool(python, &self.folder, program, &self.watch)?;
        let broken = |reason: String| ConvertError::Program { program, reason };
        let text = std::fs::read(&report).map_err(|e| broken(format!("left no report: {e}")))?;
        match serde_json::from_slice(&text).map_err(|e| broken(format!("left a report that cannot be read: {e}")))? {
            Report::Whole(whole) => Ok(whole),
            Report::Refused { refused } => Err(self.refused(refused)),
        }
    }

    fn refused(&self, reason: String) -> ConvertError {
        let done = match self.order.task {
            Task::Convert(_) => "converted",
            Task::Optimize(_) => "optimised",
        };
        ConvertError::Refused { model: self.source.uri(), done, reason }
    }

    fn refusal(&self, findings: &Findings) -> ConvertError {
        match decide::disagreement(findings) {
            Ok(reason) => ConvertError::Disagrees { model: self.source.uri(), reason },
            Err(reason) => self.refused(reason),
        }
    }

    /// Makes an MLflow model of the file, and sees that the server's own engine opens it.
    fn package(&self, python: &Path, file: &str, form: Option<&str>) -> Result<PathBuf, ConvertError> {
        let into = self.folder.join("model");
        let order = json!({ "root": self.source.root, "file": file, "into": into, "answer": form });
        let _: Value = self.program(python, "package.py", &order)?;
        self.watch.say("opening it with the server's own ONNX Runtime");
        let files = ModelFiles { root: into.clone(), entry: "model.onnx".into(), flavor: "onnx".into() };
        let options = LoadOptions { instances: 1, name: "conversion".into(), ..LoadOptions::default() };
        match self.inner.onnx.load(&files, &options) {
            Ok(_) => Ok(into),
            Err(EngineError::Load { reason, .. }) => {
                Err(self.refused(format!("the server's own ONNX Runtime cannot open the result: {reason}")))
            }
            Err(other) => Err(other.into()),
        }
    }

    fn new_model(&self, findings: &Findings, root: PathBuf) -> NewModel {
        let done = match self.order.task {
            Task::Convert(_) => "Converted to ONNX",
            Task::Optimize(_) => "Optimised",
        };
        let name = findings.winner().map_or("", |w| w.name.as_str());
        let tags = findings.winner().map(|w| tags(&self.order.task, findings, w)).unwrap_or_default();
        NewModel {
            description: format!("{done} ({name}) from version {} of {}", self.source.version, self.source.name),
            from: self.source.clone(),
            root,
            tags,
        }
    }
}

fn told(path: &Path, format: &str, from: &str) -> Value {
    json!({ "path": path, "format": format, "from": from })
}

/// What the new version says of how it came to be.
pub(crate) fn tags(task: &Task, findings: &Findings, winner: &Candidate) -> Vec<(String, String)> {
    let times = findings.times(&winner.speed);
    let speed = |before: u64, after: u64, times: f64| {
        format!("{:.1} us, before {:.1} us ({times:.1} times)", after as f64 / 1e3, before as f64 / 1e3)
    };
    let (from, how) = match task {
        Task::Convert(_) => (CONVERTED_FROM, "mainspring.conversion"),
        Task::Optimize(_) => (OPTIMIZED_FROM, "mainspring.optimization"),
    };
    let mut tags = vec![
        (from.to_owned(), findings.source.clone()),
        (how.to_owned(), winner.name.clone()),
        (PROOF.to_owned(), PASSED.to_owned()),
        ("mainspring.proof.rule".to_owned(), findings.rule.clone()),
        ("mainspring.proof.rows".to_owned(), format!("{} of {}", findings.rows, findings.rows_from)),
        ("mainspring.proof.agreeing".to_owned(), format!("{} of {}", winner.agreeing, findings.rows)),
        ("mainspring.speed.row".to_owned(), speed(findings.before.one_ns, winner.speed.one_ns, times.0)),
        (
            "mainspring.speed.batch".to_owned(),
            format!(
                "{} rows in {}",
                findings.batch_rows,
                speed(findings.before.batch_ns, winner.speed.batch_ns, times.1)
            ),
        ),
    ];
    if let Some(worst) = winner.outputs.iter().find(|o| o.difference.is_some()) {
        let value = format!("row {}: {}, the model says {}", worst.row, worst.got, worst.expected);
        tags.push(("mainspring.proof.worst".to_owned(), value));
    }
    if let (Some(measure), Some(score), Some(own)) = (&findings.measure, winner.score, findings.score) {
        tags.push((format!("mainspring.proof.{measure}"), format!("{score:.4}, before {own:.4}")));
    }
    tags
}

/// What an exporter needs beside the model's own packages.
pub(crate) fn packages(task: &Task, root: &Path) -> Vec<&'static str> {
    let mlmodel = std::fs::read_to_string(root.join("MLmodel")).unwrap_or_default();
    packages_for(task, &mlmodel)
}

pub(crate) fn packages_for(task: &Task, mlmodel: &str) -> Vec<&'static str> {
    let loader = mlmodel.lines().find_map(|l| l.trim().strip_prefix("loader_module:")).unwrap_or_default().trim();
    let mut all = vec!["onnx", "onnxruntime"];
    match (task, loader) {
        (Task::Optimize(_), _) => {}
        (_, "mlflow.sklearn" | "mlflow.xgboost" | "mlflow.lightgbm") => all.extend(["skl2onnx", "onnxmltools"]),
        (_, "mlflow.pytorch") => all.push("onnxscript"),
        (_, "mlflow.tensorflow" | "mlflow.keras") => all.push("tf2onnx"),
        _ => {}
    }
    all
}

//! The engine.

use crate::environment::Environments;
use crate::find::{Found, find};
use crate::model::PythonModel;
use crate::worker::Start;
use mainspring_engine::{Engine, EngineError, Environment, LoadOptions, Model, ModelFiles};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the engine needs to know.
#[derive(Debug, Clone)]
pub struct PythonSettings {
    /// The server's Python; looked for when not set.
    pub python: Option<PathBuf>,
    /// A folder of its own: environments that were built, and what workers write.
    pub folder: PathBuf,
    /// Whether models may run here: each of them is code of whoever logged it.
    pub allowed: bool,
}

/// Runs MLflow models with the `python_function` flavor in processes of their own. Clones share it.
#[derive(Debug, Clone)]
pub struct PythonRuntime(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    python: Option<PathBuf>,
    allowed: bool,
    scratch: PathBuf,
    environments: Environments,
}

impl PythonRuntime {
    /// Makes the engine's folder ready. What workers of an earlier process left there goes; so no two
    /// processes may share it.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn open(settings: PythonSettings) -> std::io::Result<Self> {
        let folder = std::path::absolute(&settings.folder)?;
        let scratch = folder.join("run");
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch)?;
        }
        std::fs::create_dir_all(&scratch)?;
        let environments = Environments::new(folder.join("environments"));
        Ok(Self(Arc::new(Inner { python: settings.python, allowed: settings.allowed, scratch, environments })))
    }

    /// The server's Python.
    ///
    /// # Errors
    /// [`EngineError::Missing`] when there is none.
    pub fn python(&self) -> Result<Found, EngineError> {
        find(self.0.python.as_deref())
    }

    /// Whether the model at `path`, which is code of whoever logged it, may run here.
    ///
    /// # Errors
    /// [`EngineError::NotAllowed`].
    pub fn allow(&self, path: &Path) -> Result<(), EngineError> {
        if self.0.allowed {
            return Ok(());
        }
        Err(EngineError::NotAllowed {
            path: path.display().to_string(),
            reason: "it would run code of whoever logged it, nothing here is signed, and this server is not told to trust it"
                .into(),
            hint: "log it as ONNX, or let the server run such models: --python-models allow (MAINSPRING_PYTHON_MODELS)",
        })
    }

    pub(crate) fn environments(&self) -> &Environments {
        &self.0.environments
    }

    pub(crate) fn start(&self, files: &ModelFiles, options: &LoadOptions) -> Result<PythonModel, EngineError> {
        let path = files.root.join(&files.entry);
        if !path.is_file() {
            return Err(EngineError::Load { path: path.display().to_string(), reason: "there is no such file".into() });
        }
        self.allow(&path)?;
        let root = files.root.canonicalize().unwrap_or_else(|_| files.root.clone());
        let own = self.python();
        let python = match options.worker.environment {
            Environment::Shared => own?.path,
            Environment::Own => self.0.environments.of(&root, own, &options.watch)?,
        };
        let held = self.0.environments.hold(&python);
        options.watch.say("starting the model's Python worker");
        let start = Start {
            python,
            model: if files.flavor == "python_file" { root.join(&files.entry) } else { root },
            name: Arc::clone(&options.name),
            scratch: self.0.scratch.clone(),
            limits: options.worker.clone(),
            threads: options.threads,
        };
        PythonModel::open(start, held, options.instances, &options.watch)
    }
}

impl Engine for PythonRuntime {
    fn name(&self) -> &'static str {
        "python"
    }

    fn flavors(&self) -> &'static [&'static str] {
        &["python_function", "python_file"]
    }

    fn platform(&self) -> &'static str {
        "mlflow_python_function"
    }

    fn may_open_later(&self) -> bool {
        true
    }

    fn load(&self, files: &ModelFiles, options: &LoadOptions) -> Result<Arc<dyn Model>, EngineError> {
        Ok(Arc::new(self.start(files, options)?))
    }
}

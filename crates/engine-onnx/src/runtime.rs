//! The loaded library, and the engine over it.

use crate::elf;
use crate::find::{self, Found};
use crate::model::OnnxModel;
use mainspring_engine::{Engine, EngineError, LoadOptions, Model, ModelFiles};
use ort::environment::{Environment, GlobalThreadPoolOptions};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;

/// The library is loaded once a process: the first one stays.
static LOADED: Mutex<Option<(Found, Environment)>> = Mutex::new(None);

/// ONNX Runtime as an engine. It can be made on a machine that lacks the library: then every load
/// says so.
#[derive(Debug, Clone)]
pub struct OnnxRuntime {
    pub(crate) environment: Result<Environment, EngineError>,
    found: Option<Found>,
}

impl OnnxRuntime {
    /// Finds and loads the library. `threads` is the size of the one thread pool that large models
    /// share; 0 takes one a core.
    pub fn open(explicit: Option<&Path>, threads: usize) -> Self {
        match load(explicit, threads) {
            Ok((found, environment)) => Self { environment: Ok(environment), found: Some(found) },
            Err(e) => Self { environment: Err(e), found: None },
        }
    }

    /// The library in use.
    ///
    /// # Errors
    /// Why there is none, and how to get it.
    pub fn library(&self) -> Result<&Found, &EngineError> {
        match (&self.found, &self.environment) {
            (Some(found), _) => Ok(found),
            (None, Err(e)) => Err(e),
            (None, Ok(_)) => Err(&EngineError::Deadline),
        }
    }
}

fn load(explicit: Option<&Path>, threads: usize) -> Result<(Found, Environment), EngineError> {
    let mut loaded = LOADED.lock();
    if let Some((found, environment)) = &*loaded {
        return Ok((found.clone(), environment.clone()));
    }
    let mut found = find::find(explicit)?;
    elf::check(&found.path)
        .map_err(|reason| missing(format!("{} cannot be loaded: {reason}", found.path.display())))?;
    // A library that has the entry point but not what is behind it makes `ort` panic.
    let environment = std::panic::catch_unwind(|| start(&found.path, threads))
        .unwrap_or_else(|_| Err(missing(format!("{} is no working ONNX Runtime", found.path.display()))))?;
    if found.version.is_none() {
        found.version = Some(format!("{}.{} or newer", find::OLDEST.0, find::OLDEST.1));
    }
    *loaded = Some((found.clone(), environment.clone()));
    Ok((found, environment))
}

fn missing(reason: String) -> EngineError {
    EngineError::Missing { engine: "ONNX Runtime", reason }
}

fn start(path: &Path, threads: usize) -> Result<Environment, EngineError> {
    let builder = ort::init_from(path).map_err(|e| missing(e.to_string()))?;
    let failed = |e: ort::Error| missing(format!("{} does not start: {e}", path.display()));
    let pool = GlobalThreadPoolOptions::default()
        .with_inter_threads(1)
        .and_then(|p| p.with_intra_threads(threads))
        // A spinning pool burns the cores that requests and the journal need.
        .and_then(|p| p.with_spin_control(false))
        .map_err(failed)?;
    let environment =
        builder.with_name("mainspring").with_telemetry(false).with_global_thread_pool(pool).build().map_err(failed)?;
    // What fails comes back as an error, and is told where it is handled.
    environment.set_log_level(ort::logging::LogLevel::Fatal);
    Ok(environment)
}

impl Engine for OnnxRuntime {
    fn name(&self) -> &'static str {
        "onnxruntime"
    }

    fn flavors(&self) -> &'static [&'static str] {
        &["onnx"]
    }

    fn platform(&self) -> &'static str {
        "onnxruntime_onnx"
    }

    fn load(&self, files: &ModelFiles, options: &LoadOptions) -> Result<Arc<dyn Model>, EngineError> {
        let environment = self.environment.as_ref().map_err(Clone::clone)?;
        Ok(Arc::new(OnnxModel::open(environment, &files.root.join(&files.entry), options)?))
    }
}

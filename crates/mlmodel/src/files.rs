//! Which file of a model's folder is opened, and by which engine.

use crate::mlmodel::{Mlmodel, MlmodelError, told as told_signature};
use mainspring_core::{ErrorKind, Failure};
use mainspring_engine::{Engine, EngineError, Model, ModelFiles};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a folder cannot be opened as a model.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FilesError {
    /// The `MLmodel` file cannot be read.
    #[error("cannot load {path}: {source}")]
    Mlmodel {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: MlmodelError,
    },
    /// No engine opens this flavor.
    #[error("{path} has the flavor {flavors}, and no engine here runs it; the engines here run: {engines}")]
    NoEngine {
        /// Folder of the model.
        path: String,
        /// Flavors that the model has.
        flavors: String,
        /// Flavors that can run.
        engines: String,
    },
    /// There is no model in it.
    #[error(transparent)]
    Empty(#[from] EngineError),
}

impl Failure for FilesError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Mlmodel { .. } => ErrorKind::InvalidInput,
            Self::NoEngine { .. } => ErrorKind::Unimplemented,
            Self::Empty(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoEngine { .. } => Some(
                "log the model with the log_model of its framework, which adds python_function, or with mlflow.onnx"
                    .into(),
            ),
            Self::Empty(e) => e.hint(),
            Self::Mlmodel { .. } => None,
        }
    }
}

/// The `MLmodel` file of the folder `root`, or of `text` when its text is known already; `None` when
/// there is none.
///
/// # Errors
/// [`FilesError::Mlmodel`].
pub fn read(root: &Path, text: Option<&str>) -> Result<Option<Mlmodel>, FilesError> {
    let path = root.join("MLmodel");
    let found;
    let text = match text {
        Some(text) => text,
        None => match std::fs::read_to_string(&path) {
            Ok(text) => {
                found = text;
                &found
            }
            Err(_) => return Ok(None),
        },
    };
    Mlmodel::parse(text).map(Some).map_err(|source| FilesError::Mlmodel { path: path.display().to_string(), source })
}

/// What the model's files say of it, with the signature that the model itself tells when they have none.
///
/// # Errors
/// [`FilesError::Mlmodel`] when what it tells is no signature.
pub fn described(
    mlmodel: Option<Arc<Mlmodel>>,
    model: &dyn Model,
    root: &Path,
) -> Result<Option<Arc<Mlmodel>>, FilesError> {
    let Some(told) = model.mlflow_signature() else { return Ok(mlmodel) };
    if mlmodel.as_ref().is_some_and(|m| m.signature.as_ref().is_some_and(|s| s.inputs.is_some())) {
        return Ok(mlmodel);
    }
    let signature =
        told_signature(told).map_err(|source| FilesError::Mlmodel { path: root.display().to_string(), source })?;
    let known = mlmodel.map(|m| Mlmodel::clone(&m)).unwrap_or_default();
    Ok(Some(Arc::new(Mlmodel { signature: Some(signature), ..known })))
}

/// A Python file with a function `predict`, which is no MLflow model.
const PYTHON_FILE: &str = "python_file";

/// The engine that opens the model in `root` (a folder, a bare `.onnx` file or a bare `.py` file), and
/// which file it opens. The engines' order decides: every MLflow model has python_function beside its own flavor.
///
/// # Errors
/// [`FilesError::NoEngine`]; [`FilesError::Empty`] when there is nothing to open.
pub fn choose<'a>(
    engines: &'a [Arc<dyn Engine>],
    root: &Path,
    mlmodel: Option<&Mlmodel>,
) -> Result<(&'a Arc<dyn Engine>, ModelFiles), FilesError> {
    let runs = |flavor: &str| engines.iter().find(|e| e.flavors().contains(&flavor));
    let none = |flavors: String| FilesError::NoEngine {
        path: root.display().to_string(),
        flavors,
        engines: engines.iter().flat_map(|e| e.flavors()).copied().collect::<Vec<_>>().join(", "),
    };
    let Some(mlmodel) = mlmodel else {
        let (folder, entry) = bare(root)?;
        let flavor = if entry.extension().is_some_and(|e| e == "py") { PYTHON_FILE } else { "onnx" };
        let engine = runs(flavor).ok_or_else(|| none(flavor.into()))?;
        return Ok((engine, ModelFiles { root: folder, entry, flavor: flavor.into() }));
    };
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

/// The `.onnx` file that `root` is or holds, or the Python file: `model.py`, or the only one.
fn bare(root: &Path) -> Result<(PathBuf, PathBuf), EngineError> {
    let load = |reason: String| EngineError::Load { path: root.display().to_string(), reason };
    if root.is_file() {
        let folder = root.parent().unwrap_or(Path::new(".")).to_owned();
        return Ok((folder, root.file_name().map(PathBuf::from).unwrap_or_default()));
    }
    let entries = std::fs::read_dir(root).map_err(|e| load(e.to_string()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| PathBuf::from(e.file_name())).collect();
    files.sort();
    for extension in ["onnx", "py"] {
        let mut found: Vec<PathBuf> = files
            .iter()
            .filter(|p| p.extension().is_some_and(|x| x.eq_ignore_ascii_case(extension)))
            .cloned()
            .collect();
        let usual = format!("model.{extension}");
        let at = found.iter().position(|p| *p == Path::new(&usual));
        match (at, found.len()) {
            (Some(at), _) => return Ok((root.to_owned(), found.swap_remove(at))),
            // Exporters of language models put the graph into a folder of its own.
            (None, 0) if extension == "onnx" && root.join("onnx").is_dir() => {
                return bare(&root.join("onnx")).map(|(_, entry)| (root.to_owned(), Path::new("onnx").join(entry)));
            }
            (None, 0) => {}
            (None, 1) => return Ok((root.to_owned(), found.swap_remove(0))),
            (None, n) => {
                return Err(load(format!("there are {n} .{extension} files in it and none is called {usual}")));
            }
        }
    }
    Err(load("there is no MLmodel file, no .onnx file and no .py file in it".into()))
}

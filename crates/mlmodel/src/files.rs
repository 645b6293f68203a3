//! Which file of a model's folder is opened, and by which engine.

use crate::mlmodel::{Mlmodel, MlmodelError};
use mainspring_core::{ErrorKind, Failure};
use mainspring_engine::{Engine, EngineError, ModelFiles};
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

/// The engine that opens the model in `root` (a folder, or a bare `.onnx` file), and which file it
/// opens. The engines' order decides: every MLflow model has python_function beside its own flavor.
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
        let engine = runs("onnx").ok_or_else(|| none("onnx".into()))?;
        return Ok((engine, ModelFiles { root: folder, entry, flavor: "onnx".into() }));
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

/// The `.onnx` file that `root` is or holds.
fn bare(root: &Path) -> Result<(PathBuf, PathBuf), EngineError> {
    let load = |reason: String| EngineError::Load { path: root.display().to_string(), reason };
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

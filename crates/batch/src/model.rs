//! The model of a run.

use crate::error::BatchError;
use mainspring_core::Target;
use mainspring_engine::{Engine, LoadOptions, Model, Worker};
use mainspring_mlmodel::{Contract, choose, described, read, stacked};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use twox_hash::XxHash3_128;

/// Which model it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelId {
    /// The registered model, or the folder.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// An open model and what it takes.
#[derive(Debug, Clone)]
pub struct LoadedModel {
    pub(crate) id: ModelId,
    pub(crate) contract: Arc<Contract>,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) engine: &'static str,
    /// A digest of its files.
    pub(crate) files: String,
}

impl LoadedModel {
    /// Opens the model in the folder `root` with the first engine that runs one of its flavors. A model
    /// that runs in processes of its own gets one for each of `threads`; other engines choose. Blocks.
    ///
    /// # Errors
    /// [`BatchError::Files`] and [`BatchError::Engine`].
    pub fn open(
        engines: &[Arc<dyn Engine>],
        root: &Path,
        id: ModelId,
        options: (usize, Worker, mainspring_engine::Watch),
    ) -> Result<Self, BatchError> {
        let (threads, worker, watch) = options;
        let mlmodel = read(root, None)?.map(Arc::new);
        let (engine, files) = choose(engines, root, mlmodel.as_deref())?;
        let own_process = matches!(files.flavor.as_str(), "python_function" | "python_file");
        let options = LoadOptions {
            instances: if own_process { threads } else { 0 },
            threads: 0,
            name: id.name.as_str().into(),
            worker,
            watch,
        };
        let model = engine.load(&files, &options)?;
        let signature = model.signature().clone();
        let mlmodel = described(mlmodel, &*model, root)?;
        let columns = stacked(&signature, mlmodel.as_ref().and_then(|m| m.signature.as_ref()));
        let names: Option<Arc<[Arc<str>]>> = columns.unwrap_or_default().iter().map(|c| c.name.clone()).collect();
        let target = Arc::new(Target {
            deployment: "".into(),
            variant: "batch".into(),
            model: id.name.as_str().into(),
            version: id.version.as_str().into(),
            columns: names.unwrap_or_default(),
        });
        let contract = Contract {
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
        let files = digest(root).map_err(|e| BatchError::reading(root, e))?;
        Ok(Self { id, contract: Arc::new(contract), model, engine: engine.name(), files })
    }

    /// Rows that one call takes: 1 for a model whose batch is fixed at one row, `None` for any number.
    pub(crate) fn fixed_rows(&self) -> Result<Option<usize>, BatchError> {
        let mut fixed = None;
        for input in &self.contract.signature.inputs {
            match input.shape.first() {
                Some(1) => fixed = Some(1),
                Some(rows) if *rows >= 0 => {
                    return Err(BatchError::FixedRows { rows: *rows, input: input.name.to_string() });
                }
                _ => {}
            }
        }
        Ok(fixed)
    }
}

/// A digest of the names and contents of all files.
fn digest(root: &Path) -> std::io::Result<String> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    if root.is_file() {
        files.append(&mut folders);
    }
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            // Python leaves compiled files beside the sources that it reads.
            if path.is_dir() {
                if path.file_name().is_none_or(|n| n != "__pycache__") {
                    folders.push(path);
                }
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut hash = XxHash3_128::new();
    let mut buffer = vec![0; 1 << 20];
    for path in files {
        let below = path.strip_prefix(root).unwrap_or(&path);
        hash.write(below.as_os_str().as_encoded_bytes());
        let mut file = std::fs::File::open(&path)?;
        hash.write(&file.metadata()?.len().to_le_bytes());
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => hash.write(&buffer[..n]),
            }
        }
    }
    Ok(format!("xxh3:{:032x}", hash.finish_128()))
}

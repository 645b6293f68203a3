//! The engine.

use crate::folder::Folder;
use crate::model::TextModel;
use mainspring_engine::{Engine, EngineError, LoadOptions, Model, ModelFiles};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An engine of tensors that also takes language models. Where a model's folder has no tokenizer, it
/// is the inner engine.
#[derive(Debug, Clone)]
pub struct TextRuntime {
    inner: Arc<dyn Engine>,
}

impl TextRuntime {
    /// `inner` runs the graphs.
    pub fn over(inner: Arc<dyn Engine>) -> Self {
        Self { inner }
    }
}

impl Engine for TextRuntime {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn flavors(&self) -> &'static [&'static str] {
        self.inner.flavors()
    }

    fn platform(&self) -> &'static str {
        self.inner.platform()
    }

    fn load(&self, files: &ModelFiles, options: &LoadOptions) -> Result<Arc<dyn Model>, EngineError> {
        let Some(place) = tokenizer(files) else { return self.inner.load(files, options) };
        let failed = |(path, reason): (PathBuf, String)| EngineError::Load { path: path.display().to_string(), reason };
        let folder = Folder::read(&place).map_err(failed)?;
        let graph = self.inner.load(files, options)?;
        TextModel::open(folder, graph).map(|model| Arc::new(model) as Arc<dyn Model>).map_err(|reason| {
            let path = files.root.join(&files.entry);
            failed((path, reason))
        })
    }
}

/// The folder of the tokenizer: the graph's own, or the model's when the graph is in a folder of its
/// own (`onnx/model.onnx`, as `optimum` writes it).
fn tokenizer(files: &ModelFiles) -> Option<PathBuf> {
    let entry = files.root.join(&files.entry);
    let places = [entry.parent().map(Path::to_owned), Some(files.root.clone())];
    let whole = |place: &PathBuf| ["tokenizer.json", "config.json"].iter().all(|name| place.join(name).is_file());
    places.into_iter().flatten().find(whole)
}

//! What one loaded version takes and gives, for the protocols that build its inputs.

use crate::mlmodel::{ColumnSpec, MlflowInputs, MlflowSignature, Mlmodel};
use mainspring_core::Target;
use mainspring_engine::{AnswerForm, Signature};
use std::sync::Arc;

/// What one loaded version takes and gives. Shared: asking for it costs one reference count.
#[derive(Debug, Clone)]
pub struct Contract {
    /// Deployment, variant, model and version.
    pub target: Arc<Target>,
    /// Tensors in and out, as the model itself declares them.
    pub signature: Signature,
    /// The engine's name for the platform of the model: `onnxruntime_onnx`, as Triton calls it.
    pub platform: &'static str,
    /// What the model's own library would answer with.
    pub answer: AnswerForm,
    /// Rows that one call may hold, 0 when requests cannot share calls.
    pub max_batch_rows: usize,
    /// Class names of an output's second dimension, by output index, where the model says them.
    pub labels: Vec<Option<Arc<[Arc<str>]>>>,
    /// Whether it can answer in parts.
    pub streams: bool,
    /// What the `MLmodel` file says, when it is an MLflow model.
    pub mlmodel: Option<Arc<Mlmodel>>,
}

/// The columns that stand side by side in a model's one input `[rows, columns]`.
pub fn stacked<'a>(signature: &Signature, mlflow: Option<&'a MlflowSignature>) -> Option<&'a [ColumnSpec]> {
    match (signature.inputs.as_slice(), mlflow?.inputs.as_ref()?) {
        ([only], MlflowInputs::Columns(columns)) if only.shape.len() == 2 => Some(columns),
        _ => None,
    }
}

impl Contract {
    /// The signature that was logged with the MLflow model.
    pub fn mlflow(&self) -> Option<&MlflowSignature> {
        self.mlmodel.as_ref().and_then(|m| m.signature.as_ref())
    }
}

//! The engine port: what a model looks like from outside, and the traits an inference engine
//! implements. Nothing here knows ONNX, Python or HTTP.

mod signature;
pub mod suite;
#[cfg(test)]
mod tests;

pub use signature::{Signature, SignatureError, TensorSpec};

use mainspring_core::tensor::{NamedTensor, TensorError};
use mainspring_core::{DType, ErrorKind, Failure};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// The files of a model, on local disk, and what is known of it before it is opened.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    /// The folder of the model (an MLflow model's root), or the folder of a bare file.
    pub root: PathBuf,
    /// The file to open, relative to `root`: `model.onnx`.
    pub entry: PathBuf,
    /// `onnx`, `sklearn`, …: which engine it needs.
    pub flavor: String,
}

/// How to open a model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// How many calls may run at once; 0 lets the engine choose.
    pub instances: usize,
    /// Threads inside one call; 0 lets the engine choose.
    pub threads: usize,
}

/// Limits that travel with a call.
#[derive(Debug, Clone, Default)]
pub struct RunCx {
    /// After this instant nobody waits for the answer.
    pub deadline: Option<Instant>,
}

/// Opens models of certain flavors. One value a process; implementations are cheap to share.
pub trait Engine: Send + Sync + std::fmt::Debug + 'static {
    /// Stable name: `onnxruntime`.
    fn name(&self) -> &'static str;

    /// Flavors it can open: `onnx`.
    fn flavors(&self) -> &'static [&'static str];

    /// The platform of its models, as Triton's metadata calls it: `onnxruntime_onnx`.
    fn platform(&self) -> &'static str {
        self.name()
    }

    /// Opens a model. Blocks: the caller runs it off the async threads.
    ///
    /// # Errors
    /// [`EngineError::Load`] when the files are not a model that this engine can run;
    /// [`EngineError::Missing`] when the engine itself is not on this machine.
    fn load(&self, files: &ModelFiles, options: &LoadOptions) -> Result<Arc<dyn Model>, EngineError>;
}

/// An open model. Calls may come from many threads at once.
pub trait Model: Send + Sync + std::fmt::Debug + 'static {
    /// Inputs and outputs as the model itself declares them.
    fn signature(&self) -> &Signature;

    /// Runs one batch. Inputs come in the order of [`Signature::inputs`] and have been checked
    /// against it. Blocks until done: a few microseconds for a tabular model, seconds for a large
    /// one; the caller decides which thread that is.
    ///
    /// Outputs come in the order of [`Signature::outputs`].
    ///
    /// # Errors
    /// [`EngineError::Run`] when the model refuses the values or fails;
    /// [`EngineError::Deadline`] when `cx.deadline` passed before it could start.
    fn run(&self, inputs: &[NamedTensor], cx: &RunCx) -> Result<Vec<NamedTensor>, EngineError>;

    /// Class names along the second dimension of output `output`, when the model says them.
    fn labels(&self, output: usize) -> Option<Arc<[Arc<str>]>> {
        let _ = output;
        None
    }

    /// How many calls can run at once without waiting for each other.
    fn instances(&self) -> usize;

    /// Memory held, bytes, as well as the engine can tell.
    fn memory_bytes(&self) -> u64;
}

/// Why an engine could not load or run.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The engine is not on this machine.
    #[error("{engine} is not available: {reason}")]
    Missing {
        /// Which engine.
        engine: &'static str,
        /// Why, and how to mend it.
        reason: String,
    },
    /// The files are not a model that it can run.
    #[error("cannot load {path}: {reason}")]
    Load {
        /// File at fault.
        path: String,
        /// What the engine said.
        reason: String,
    },
    /// The model failed on these values.
    #[error("the model failed: {reason}")]
    Run {
        /// What the engine said.
        reason: String,
        /// Whether the values, not the model, are at fault.
        bad_input: bool,
    },
    /// The model answered with something else than it declares.
    #[error("the model returned {got} for output {output:?}, which its signature declares as {declared}")]
    WrongOutput {
        /// Output name.
        output: String,
        /// What it declares.
        declared: String,
        /// What came.
        got: String,
    },
    /// The deadline passed before the call could start.
    #[error("the deadline passed before the model could start")]
    Deadline,
    /// Bytes that are not a tensor.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl Failure for EngineError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } => ErrorKind::Unavailable,
            Self::Load { .. } | Self::WrongOutput { .. } | Self::Run { bad_input: false, .. } => ErrorKind::Internal,
            Self::Run { bad_input: true, .. } | Self::Tensor(_) => ErrorKind::InvalidInput,
            Self::Deadline => ErrorKind::DeadlineExceeded,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("run: mainspring doctor".into()),
            _ => None,
        }
    }
}

/// A zero-filled batch of `rows` rows that fits `signature`, for warm-up. Unknown dimensions other
/// than the first become 1.
///
/// # Errors
/// [`TensorError`] when the declared shape overflows.
pub fn zeros(signature: &Signature, rows: usize) -> Result<Vec<NamedTensor>, TensorError> {
    signature
        .inputs
        .iter()
        .map(|spec| {
            let shape: Vec<usize> = spec
                .shape
                .iter()
                .enumerate()
                .map(|(i, d)| usize::try_from(*d).unwrap_or(if i == 0 { rows } else { 1 }))
                .collect();
            let count = mainspring_core::tensor::element_count(&shape)
                .ok_or_else(|| TensorError::Overflow { shape: shape.clone() })?;
            let tensor = match spec.dtype {
                DType::Bytes => mainspring_core::Tensor::from_strings(shape, vec![bytes::Bytes::new(); count])?,
                fixed => {
                    let len = count * fixed.size().unwrap_or(1);
                    // u64 words, so that the zeros are aligned for every element type.
                    let words = mainspring_core::Tensor::from_vec(
                        DType::Uint64,
                        vec![len.div_ceil(8)],
                        vec![0_u64; len.div_ceil(8)],
                    )?;
                    mainspring_core::Tensor::from_raw(fixed, shape, words.to_wire().slice(0..len))?
                }
            };
            Ok(NamedTensor { name: Arc::clone(&spec.name), tensor })
        })
        .collect()
}

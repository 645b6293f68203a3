//! The engine port: what a model looks like from outside, and the traits an inference engine
//! implements. Nothing here knows ONNX or HTTP.

mod options;
mod signature;
pub mod suite;
#[cfg(test)]
mod tests;
mod together;

pub use options::{Environment, LoadOptions, Watch, Worker, WrongLimit};
pub use signature::{Content, Signature, SignatureError, TensorSpec};
pub use together::{stack, stacked, together};

use mainspring_core::tensor::{NamedTensor, TensorError};
use mainspring_core::{DType, ErrorKind, EventId, Failure, Tokens};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The files of a model, on local disk, and what is known of it before it is opened.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    /// The folder of the model (an MLflow model's root), or the folder of a bare file.
    pub root: PathBuf,
    /// The file to open, relative to `root`: `model.onnx`.
    pub entry: PathBuf,
    /// `onnx`, `python_function`, …: which engine it needs.
    pub flavor: String,
}

/// What travels with a call beside its tensors.
#[derive(Debug, Clone, Default)]
pub struct RunCx {
    /// After this instant nobody waits for the answer.
    pub deadline: Option<Instant>,
    /// What the requests of this call say beside their data; they all say the same.
    pub params: Option<Params>,
    /// The predictions that the call answers, for models whose [`Model::waits`] is true; empty for
    /// others, and in warm-up.
    pub ids: Vec<EventId>,
}

/// Parameters of a request, by name: those that the model's signature declares, in its order, as the
/// text of a JSON object in which NaN and the infinities stand as Python writes them. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params(Arc<str>);

impl Params {
    /// Parameters out of the text of a JSON object.
    pub fn new(json: &str) -> Self {
        Self(json.into())
    }

    /// The text of the object.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, shared.
    pub fn text(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
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

    /// Whether a model that it could not open may open another time, though nothing about its files changed: it starts
    /// processes, or installs what they need.
    fn may_open_later(&self) -> bool {
        false
    }

    /// Opens a model. Blocks: the caller runs it off the async threads.
    ///
    /// # Errors
    /// [`EngineError::Load`] when the files are not a model that this engine can run;
    /// [`EngineError::Missing`] when the engine itself is not on this machine;
    /// [`EngineError::GivenUp`] when [`LoadOptions::watch`] gave the load up.
    fn load(&self, files: &ModelFiles, options: &LoadOptions) -> Result<Arc<dyn Model>, EngineError>;
}

/// What a model's own library hands its caller, for protocols that write answers as it would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// Tensors by name, and nothing more is known.
    Tensors,
    /// One array or list without a name.
    Array,
    /// A data frame: a column an output.
    Frame,
    /// Arrays by name.
    Map,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its tensors. Their names and shapes may be others than the model declares for a whole answer.
    pub outputs: Vec<NamedTensor>,
    /// What the elements of each are, when they are BYTES.
    pub contents: Vec<Content>,
}

/// What a call gave, and what it took beside time.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// In the order of [`Signature::outputs`].
    pub outputs: Vec<NamedTensor>,
    /// Of each row; empty where the model counts none.
    pub tokens: Vec<Tokens>,
}

/// An open model. Calls may come from many threads at once.
pub trait Model: Send + Sync + std::fmt::Debug + 'static {
    /// Inputs and outputs as the model itself declares them.
    fn signature(&self) -> &Signature;

    /// What its own library would answer with.
    fn answer(&self) -> AnswerForm;

    /// Whether a call must not run on a thread that answers requests, however quick it was at warm-up:
    /// it waits for another process, or takes much longer for some values than for others.
    fn waits(&self) -> bool;

    /// Runs one batch. Inputs come in the order of [`Signature::inputs`], without those optional ones
    /// that the request leaves out, and have been checked against it. Blocks until done: a few microseconds for a tabular model, seconds for a large
    /// one; the caller decides which thread that is.
    ///
    /// Outputs come in the order of [`Signature::outputs`].
    ///
    /// # Errors
    /// [`EngineError::Run`] when the model refuses the values or fails;
    /// [`EngineError::Deadline`] when `cx.deadline` passed before it could start;
    /// [`EngineError::TooSlow`], [`EngineError::Died`] and [`EngineError::Down`] when it runs in
    /// another process and that one failed.
    fn run(&self, inputs: &[NamedTensor], cx: &RunCx) -> Result<Vec<NamedTensor>, EngineError>;

    /// As [`Model::run`], with the tokens of each row, where the model counts them.
    ///
    /// # Errors
    /// As [`Model::run`].
    fn run_counted(&self, inputs: &[NamedTensor], cx: &RunCx) -> Result<Counted, EngineError> {
        Ok(Counted { outputs: self.run(inputs, cx)?, tokens: Vec::new() })
    }

    /// As [`Model::run_counted`], of several requests in one call: their rows under each other, those of the first on top.
    /// They agree in everything but the number of rows.
    ///
    /// # Errors
    /// As [`Model::run`].
    fn run_together(&self, requests: &[&[NamedTensor]], cx: &RunCx) -> Result<Counted, EngineError> {
        match requests {
            [only] => self.run_counted(only, cx),
            many => self.run_counted(&together(many)?, cx),
        }
    }

    /// What MLflow would say of it, when its files do not: an object with `inputs`, `outputs` and
    /// `params`, each the JSON text of a schema.
    fn mlflow_signature(&self) -> Option<&str> {
        None
    }

    /// Whether it can answer in parts: what [`Model::stream`] hands out before the whole answer is there.
    fn streams(&self) -> bool {
        false
    }

    /// Runs one request of one row and hands each part of its answer to `take`, which says whether
    /// somebody wants another one; the model stops when nobody does. A model that does not answer in
    /// parts hands out its whole answer as one. Returns when the answer is complete or was given up, with the tokens
    /// of the row, where the model counts them.
    ///
    /// # Errors
    /// As [`Model::run`], also after some parts were handed out.
    fn stream(
        &self,
        inputs: &[NamedTensor],
        cx: &RunCx,
        take: &mut dyn FnMut(Part) -> bool,
    ) -> Result<Vec<Tokens>, EngineError> {
        let Counted { outputs, tokens } = self.run_counted(inputs, cx)?;
        let contents = self.signature().outputs.iter().map(|o| o.content).collect();
        take(Part { outputs, contents });
        Ok(tokens)
    }

    /// Class names along the second dimension of output `output`, when the model says them.
    fn labels(&self, output: usize) -> Option<Arc<[Arc<str>]>> {
        let _ = output;
        None
    }

    /// How many calls can run at once without waiting for each other.
    fn instances(&self) -> usize;

    /// Memory held, bytes, as well as the engine can tell.
    fn memory_bytes(&self) -> u64;

    /// Whether a call would find it able to answer now. Costs no call.
    ///
    /// # Errors
    /// What a call would get instead: [`EngineError::Down`].
    fn health(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// How many of its processes were started in place of one that ended; `None` when it runs in no process of its own.
    fn restarts(&self) -> Option<u64> {
        None
    }
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
    /// The call was stopped at the engine's own limit.
    #[error("the model did not answer within {limit:?}, and its worker was stopped")]
    TooSlow {
        /// The limit.
        limit: Duration,
    },
    /// The process that ran the model ended in the middle of the call.
    #[error("the model's worker ended during the call: {reason}")]
    Died {
        /// How it ended.
        reason: String,
    },
    /// No process is there to run the model, and none will be for a while.
    #[error("the model's worker is down: {reason}")]
    Down {
        /// Why, and when it is tried again.
        reason: String,
        /// Time until then.
        again: Duration,
    },
    /// The operator does not let models of this kind run here.
    #[error("cannot load {path}: {reason}")]
    NotAllowed {
        /// File of the model.
        path: String,
        /// Who does not allow what.
        reason: String,
        /// What to do next.
        hint: &'static str,
    },
    /// Nobody waits for the model any more.
    #[error("the load was given up")]
    GivenUp,
    /// The caller took no part of an answer that comes in parts, so the model was stopped.
    #[error("the caller took no part of the answer for {patience:?}, so it was given up")]
    NotTaken {
        /// How long the model waited.
        patience: Duration,
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
            Self::Missing { .. } | Self::Down { .. } => ErrorKind::Unavailable,
            Self::Load { .. } | Self::WrongOutput { .. } | Self::Died { .. } | Self::Run { bad_input: false, .. } => {
                ErrorKind::Internal
            }
            Self::Run { bad_input: true, .. } | Self::Tensor(_) => ErrorKind::InvalidInput,
            Self::Deadline | Self::TooSlow { .. } => ErrorKind::DeadlineExceeded,
            Self::NotAllowed { .. } => ErrorKind::Denied,
            Self::GivenUp | Self::NotTaken { .. } => ErrorKind::Cancelled,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotAllowed { hint, .. } => Some((*hint).into()),
            Self::Missing { .. } => Some("run: mainspring doctor".into()),
            Self::TooSlow { .. } => {
                Some("send fewer rows, or raise engine.python.timeout of the deployment; the server's log has what the model wrote".into())
            }
            Self::Died { .. } | Self::Down { .. } => {
                Some("the server's log has the last lines that the model wrote; deploy a version that does not end its process".into())
            }
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Down { again, .. } => Some(*again),
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
                DType::Bytes => {
                    let nothing = if spec.content == Content::Json { "null" } else { "" };
                    mainspring_core::Tensor::from_strings(
                        shape,
                        vec![bytes::Bytes::from_static(nothing.as_bytes()); count],
                    )?
                }
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

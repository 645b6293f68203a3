//! An open ONNX model.

use crate::convert;
use crate::pool::Pool;
use mainspring_core::Tensor;
use mainspring_core::tensor::NamedTensor;
use mainspring_engine::{EngineError, LoadOptions, Model, RunCx, Signature, TensorSpec};
use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights, SessionBuilder};
use ort::session::{Session, SessionInputValue};
use ort::value::Outlet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Above this many bytes a model's calls share the one thread pool; below it, a call that takes
/// microseconds would pay more for waking threads than it gains.
const LARGE: u64 = 16 << 20;

/// An open ONNX model: one session an instance.
#[derive(Debug)]
pub(crate) struct OnnxModel {
    signature: Signature,
    sessions: Pool<Session>,
    memory: u64,
}

impl OnnxModel {
    pub(crate) fn open(environment: &Environment, path: &Path, options: &LoadOptions) -> Result<Self, EngineError> {
        let fail = |reason: String| EngineError::Load { path: path.display().to_string(), reason };
        let size = path.metadata().map_err(|e| fail(e.to_string()))?.len();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let instances = if options.instances == 0 { cores } else { options.instances };
        let threads = match options.threads {
            0 if size > LARGE => None,
            0 => Some(1),
            n => Some(n),
        };
        let weights = PrepackedWeights::new();
        let mut sessions = Vec::with_capacity(instances);
        for _ in 0..instances {
            let session = builder(environment, threads, &weights)
                .and_then(|mut b| b.commit_from_file(path))
                .map_err(|e| fail(e.message().to_owned()))?;
            sessions.push(session);
        }
        let signature = sessions.first().map(signature).transpose().map_err(fail)?.unwrap_or_default();
        // Each session holds the weights that could not be shared, and a copy of the graph.
        let memory = size.saturating_mul(instances as u64);
        Ok(Self { signature, sessions: Pool::new(sessions), memory })
    }
}

fn builder(
    environment: &Environment,
    threads: Option<usize>,
    weights: &PrepackedWeights,
) -> ort::Result<SessionBuilder> {
    let builder = Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        // Patterns are kept per shape; batches have as many shapes as they have sizes.
        .with_memory_pattern(false)?
        .with_prepacked_weights(weights)?;
    Ok(match threads {
        None => builder,
        Some(n) => builder.with_independent_thread_pool()?.with_intra_threads(n)?,
    })
}

fn signature(session: &Session) -> Result<Signature, String> {
    let specs = |outlets: &[Outlet]| {
        let spec =
            |o: &Outlet| convert::spec(o).map(|(dtype, shape)| TensorSpec { name: Arc::from(o.name()), dtype, shape });
        outlets.iter().map(spec).collect::<Result<Vec<_>, _>>()
    };
    Ok(Signature { inputs: specs(session.inputs())?, outputs: specs(session.outputs())? })
}

impl Model for OnnxModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn run(&self, inputs: &[NamedTensor], cx: &RunCx) -> Result<Vec<NamedTensor>, EngineError> {
        // Filled only for tensors that are not aligned.
        let mut spare: Vec<Vec<u64>> = inputs.iter().map(|_| Vec::new()).collect();
        let mut values: Vec<SessionInputValue<'_>> = Vec::with_capacity(inputs.len());
        for (given, spare) in inputs.iter().zip(&mut spare) {
            values.push(convert::input(&given.tensor, spare)?);
        }
        let mut session = self.sessions.take();
        if cx.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(EngineError::Deadline);
        }
        let outputs = convert::failed(session.run::<0>(&values[..]))?;
        let mut named = Vec::with_capacity(self.signature.outputs.len());
        for (spec, value) in self.signature.outputs.iter().zip(outputs.values()) {
            let tensor = convert::output(&value)?;
            declared(spec, &tensor)?;
            named.push(NamedTensor { name: Arc::clone(&spec.name), tensor });
        }
        Ok(named)
    }

    fn instances(&self) -> usize {
        self.sessions.len()
    }

    fn memory_bytes(&self) -> u64 {
        self.memory
    }
}

/// Whether an output is what the model declares. ONNX Runtime only warns when it is not.
fn declared(spec: &TensorSpec, got: &Tensor) -> Result<(), EngineError> {
    let fits = spec.dtype == got.dtype()
        && spec.shape.len() == got.shape().len()
        && spec.shape.iter().zip(got.shape()).all(|(want, have)| *want < 0 || usize::try_from(*want) == Ok(*have));
    // Converters often leave the rank out: then the list of dimensions is empty.
    if fits || (spec.shape.is_empty() && spec.dtype == got.dtype()) {
        return Ok(());
    }
    Err(EngineError::WrongOutput {
        output: spec.name.to_string(),
        declared: format!("{} {:?}", spec.dtype, spec.shape),
        got: format!("{} {:?}", got.dtype(), got.shape()),
    })
}

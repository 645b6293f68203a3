//! An open model: its workers behind the port.

use crate::frame::{self, Failure, Ready};
use crate::pool::Pool;
use crate::worker::Start;
use mainspring_core::tensor::NamedTensor;
use mainspring_engine::{AnswerForm, EngineError, Model, RunCx, Signature, TensorSpec, Watch};
use std::sync::Arc;
use std::time::Instant;

/// An open model.
#[derive(Debug)]
pub(crate) struct PythonModel {
    pub(crate) pool: Pool,
    name: Arc<str>,
    signature: Signature,
    ready: Ready,
    show_errors: bool,
}

impl PythonModel {
    pub fn open(start: Start, instances: usize, watch: &Watch) -> Result<Self, EngineError> {
        let (name, show_errors) = (Arc::clone(&start.name), start.limits.show_errors);
        let (pool, ready) = Pool::open(start, instances, watch)?;
        Ok(Self { pool, name, signature: ready.signature(), ready, show_errors })
    }

    fn failed(&self, failure: Failure) -> EngineError {
        match failure {
            Failure::Refused { refused } => EngineError::Run { reason: refused, bad_input: true },
            Failure::Wrong { wrong } => {
                EngineError::Run { reason: format!("its answer cannot be served: {wrong}"), bad_input: false }
            }
            Failure::Raised { raised, message, values } => {
                tracing::warn!(deployment = %self.name, exception = raised, text = message, "the model raised an exception");
                let reason = if self.show_errors {
                    format!("it raised {raised}: {message}")
                } else {
                    format!("it raised {raised}; the server's log has its text (engine.python.showErrors)")
                };
                EngineError::Run { reason, bad_input: values }
            }
        }
    }
}

impl Model for PythonModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn answer(&self) -> AnswerForm {
        self.ready.form.into()
    }

    fn waits(&self) -> bool {
        true
    }

    fn run(&self, inputs: &[NamedTensor], cx: &RunCx) -> Result<Vec<NamedTensor>, EngineError> {
        let call = frame::call(inputs).map_err(|e| EngineError::Run { reason: e.to_string(), bad_input: true })?;
        if cx.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(EngineError::Deadline);
        }
        let answer = self.pool.lease(cx.deadline)?.call(&call)?;
        let outputs = match frame::tensors(&answer) {
            Ok(Ok(outputs)) => outputs,
            Ok(Err(failure)) => return Err(self.failed(failure)),
            Err(garbled) => return Err(EngineError::Run { reason: garbled.to_string(), bad_input: false }),
        };
        if outputs.len() != self.signature.outputs.len() {
            let reason = format!("it gave {} outputs, not {}", outputs.len(), self.signature.outputs.len());
            return Err(EngineError::Run { reason, bad_input: false });
        }
        self.signature.outputs.iter().zip(&outputs).try_for_each(|(spec, got)| declared(spec, got))?;
        Ok(outputs)
    }

    fn instances(&self) -> usize {
        self.pool.size()
    }

    fn memory_bytes(&self) -> u64 {
        self.pool.memory()
    }
}

/// Whether an output is what the model declares.
fn declared(spec: &TensorSpec, got: &NamedTensor) -> Result<(), EngineError> {
    let (dtype, shape) = (got.tensor.dtype(), got.tensor.shape());
    let fits = spec.name == got.name
        && spec.dtype == dtype
        && spec.shape.len() == shape.len()
        && spec.shape.iter().zip(shape).all(|(want, have)| *want < 0 || usize::try_from(*want) == Ok(*have));
    if fits {
        return Ok(());
    }
    Err(EngineError::WrongOutput {
        output: spec.name.to_string(),
        declared: format!("{} {:?}", spec.dtype, spec.shape),
        got: format!("{dtype} {shape:?}"),
    })
}

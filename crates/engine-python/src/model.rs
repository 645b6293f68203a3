//! An open model: its workers behind the port.

use crate::environment::Held;
use crate::frame::{self, Failure, Outgoing, Ready};
use crate::nested;
use crate::pool::Pool;
use crate::worker::Start;
use mainspring_core::Tokens;
use mainspring_core::tensor::NamedTensor;
use mainspring_engine::{AnswerForm, Content, EngineError, Model, Params, Part, RunCx, Signature, TensorSpec, Watch};
use std::sync::Arc;
use std::time::Instant;

/// An open model.
#[derive(Debug)]
pub(crate) struct PythonModel {
    pub(crate) pool: Pool,
    name: Arc<str>,
    signature: Signature,
    /// Whether an input holds nested values.
    nested: bool,
    ready: Ready,
    show_errors: bool,
    /// Dropped after the pool, whose workers run in it.
    _environment: Option<Held>,
}

impl PythonModel {
    pub fn open(start: Start, held: Option<Held>, instances: usize, watch: &Watch) -> Result<Self, EngineError> {
        let (name, show_errors) = (Arc::clone(&start.name), start.limits.show_errors);
        let (pool, ready) = Pool::open(start, instances, watch)?;
        let signature = ready.tensors();
        let nested = signature.inputs.iter().any(|i| i.content == Content::Json);
        Ok(Self { pool, name, signature, nested, ready, show_errors, _environment: held })
    }

    /// The frame of a call, nested values as the worker reads them.
    fn call(&self, inputs: &[NamedTensor], cx: &RunCx, stream: bool) -> Result<Outgoing, EngineError> {
        if cx.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(EngineError::Deadline);
        }
        let bad = |reason: String| EngineError::Run { reason, bad_input: true };
        let params = cx.params.as_ref().map(Params::as_str);
        if !self.nested {
            return frame::call(inputs, params, stream).map_err(|e| bad(e.to_string()));
        }
        let mut turned = inputs.to_vec();
        for input in &mut turned {
            let json = self.signature.inputs.iter().any(|s| s.content == Content::Json && s.name == input.name);
            if json {
                input.tensor =
                    nested::outgoing(&input.tensor).map_err(|e| bad(format!("input {:?}: {e}", input.name)))?;
            }
        }
        frame::call(&turned, params, stream).map_err(|e| bad(e.to_string()))
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
        let call = self.call(inputs, cx, false)?;
        let answer = self.pool.lease(cx.deadline)?.call(&call, &cx.ids)?;
        let mut outputs = match frame::tensors(&answer) {
            Ok(Ok(outputs)) => outputs,
            Ok(Err(failure)) => return Err(self.failed(failure)),
            Err(garbled) => return Err(EngineError::Run { reason: garbled.to_string(), bad_input: false }),
        };
        if outputs.len() != self.signature.outputs.len() {
            let reason = format!("it gave {} outputs, not {}", outputs.len(), self.signature.outputs.len());
            return Err(EngineError::Run { reason, bad_input: false });
        }
        for (spec, got) in self.signature.outputs.iter().zip(&mut outputs) {
            declared(spec, got)?;
            if spec.content == Content::Json {
                got.tensor = nested::incoming(&got.tensor).map_err(|e| EngineError::Run {
                    reason: format!("output {:?} of its answer: {e}", spec.name),
                    bad_input: false,
                })?;
            }
        }
        Ok(outputs)
    }

    fn mlflow_signature(&self) -> Option<&str> {
        self.ready.signature.as_deref()
    }

    fn streams(&self) -> bool {
        self.ready.streams
    }

    fn stream(
        &self,
        inputs: &[NamedTensor],
        cx: &RunCx,
        take: &mut dyn FnMut(Part) -> bool,
    ) -> Result<Vec<Tokens>, EngineError> {
        let call = self.call(inputs, cx, true)?;
        let end = self.pool.lease(cx.deadline)?.stream(&call, &cx.ids, take)?;
        end.map(|()| Vec::new()).map_err(|failure| self.failed(failure))
    }

    fn instances(&self) -> usize {
        self.pool.size()
    }

    fn memory_bytes(&self) -> u64 {
        self.pool.memory()
    }

    fn health(&self) -> Result<(), EngineError> {
        self.pool.health()
    }

    fn restarts(&self) -> Option<u64> {
        Some(self.pool.restarts())
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

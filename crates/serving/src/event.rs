//! The journal event of one request.

use crate::contract::{Contract, stacked};
use crate::deployment::Deployment;
use crate::run::Loaded;
use crate::source::{Kept, PredictionSink};
use crate::stats::{Recorder, Sample, nanos};
use crate::traffic::{Ended, Guard};
use bytes::Bytes;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{
    Assignment, DType, ErrorKind, EventId, Outcome, Prediction, Protocol, Target, Tenant, Tensor, Timestamp, Timing,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a redacted value is replaced with.
const REDACTED: &[u8] = b"[redacted]";

/// What is known of a request while it is answered; ends as one [`Prediction`].
pub(crate) struct Event {
    pub id: EventId,
    pub at: Timestamp,
    pub received: Instant,
    pub tenant: Tenant,
    pub protocol: Protocol,
    pub client_id: Option<Arc<str>>,
    pub assignment: Assignment,
    pub rows: u32,
    pub batch_rows: u32,
    pub timing: Timing,
    pub inputs: Arc<[NamedTensor]>,
    pub deployment: Arc<Deployment>,
    pub contract: Option<Arc<Contract>>,
    pub recorder: Arc<Recorder>,
    /// What watches the candidate that answers.
    pub guard: Option<Arc<Guard>>,
    pub sink: Arc<dyn PredictionSink>,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Event {
    /// This version answers, or was to.
    pub fn answers(&mut self, loaded: &Loaded) {
        self.recorder = Arc::clone(&loaded.recorder);
        self.contract = Some(Arc::clone(&loaded.facts.contract));
    }

    /// The answer is encoded (or could not be).
    pub fn answered(mut self, outputs: &Arc<[NamedTensor]>, encode: Duration, outcome: Outcome) -> Option<Kept> {
        self.timing.encode_ns = nanos(encode);
        self.timing.total_ns = nanos(self.received.elapsed());
        match &outcome {
            Outcome::Ok => {
                self.recorder.answered(Sample { at: self.at, rows: self.rows, timing: self.timing });
                self.recorder.count_nans(outputs);
            }
            Outcome::Failed { kind, .. } => self.recorder.failed(*kind, self.timing.total_ns),
        }
        self.watched(match &outcome {
            Outcome::Ok => None,
            Outcome::Failed { kind, .. } => Some(*kind),
        });
        self.append(Arc::clone(outputs), outcome)
    }

    /// The request failed, was refused or was given up.
    pub fn failed(mut self, kind: ErrorKind, message: &str) {
        self.timing.total_ns = nanos(self.received.elapsed());
        self.recorder.failed(kind, self.timing.total_ns);
        self.watched(Some(kind));
        let _nobody_waits = self.append(Arc::default(), Outcome::Failed { kind, message: message.into() });
    }

    /// Tells what watches the candidate how its request ended.
    fn watched(&self, failed: Option<ErrorKind>) {
        let Some(guard) = &self.guard else { return };
        let Timing { queue_ns, engine_ns, total_ns, .. } = self.timing;
        let at = self.at.plus_micros(i64::try_from(total_ns / 1000).unwrap_or(0));
        let took = Duration::from_nanos(if failed.is_some() { total_ns } else { queue_ns + engine_ns });
        if let (Some(trip), Some(contract)) = (guard.ended(Ended { at, failed, took }), &self.contract) {
            let variant = &contract.target.variant;
            tracing::warn!(deployment = %self.deployment.name, %variant, "a candidate is beyond a hard limit: {trip}");
        }
    }

    fn append(self, outputs: Arc<[NamedTensor]>, outcome: Outcome) -> Option<Kept> {
        let spec = self.deployment.spec.load();
        let keep = sampled(self.id, spec.journal.sample);
        let (inputs, outputs) = if keep {
            (redact(self.inputs, &spec.journal.redact, self.contract.as_deref()), outputs)
        } else {
            (Arc::default(), Arc::default())
        };
        let target: &Arc<Target> = self.contract.as_ref().map_or(&self.deployment.nobody, |c| &c.target);
        self.sink.append(Prediction {
            id: self.id,
            at: self.at,
            tenant: self.tenant,
            target: Arc::clone(target),
            protocol: self.protocol,
            client_id: self.client_id,
            assignment: self.assignment,
            outcome,
            rows: self.rows,
            batch_rows: self.batch_rows,
            timing: self.timing,
            inputs,
            outputs,
        })
    }
}

/// Whether the payload of this request is kept. Follows from the id, whose last 32 bits are random,
/// so everybody who knows the id and the share comes to the same answer.
fn sampled(id: EventId, share: f64) -> bool {
    let b = id.as_bytes();
    share >= 1.0 || f64::from(u32::from_be_bytes([b[12], b[13], b[14], b[15]])) < share * 4_294_967_296.0
}

/// Where a redacted name is: an input, or a column of the one stacked input.
pub(crate) enum Place {
    Input,
    Column(usize),
}

/// Finds a name of `journal.redact` in what a version takes.
pub(crate) fn place(name: &str, contract: &Contract) -> Option<Place> {
    let inputs = &contract.signature.inputs;
    if inputs.iter().any(|i| *i.name == *name) {
        return Some(Place::Input);
    }
    let columns = stacked(&contract.signature, contract.mlflow())?;
    columns.iter().position(|c| c.name.as_deref() == Some(name)).map(Place::Column)
}

fn redact(inputs: Arc<[NamedTensor]>, names: &[String], contract: Option<&Contract>) -> Arc<[NamedTensor]> {
    if names.is_empty() {
        return inputs;
    }
    // Without a contract nobody knows which tensor holds what, so nothing is kept.
    let Some(contract) = contract else { return Arc::from([]) };
    let mut kept: Vec<NamedTensor> = inputs.to_vec();
    for name in names {
        match place(name, contract) {
            Some(Place::Column(column)) => {
                for found in &mut kept {
                    found.tensor = without_column(&found.tensor, column);
                }
            }
            Some(Place::Input) | None => {
                if let Some(found) = kept.iter_mut().find(|t| *t.name == **name) {
                    found.tensor = hidden(&found.tensor);
                }
            }
        }
    }
    kept.into()
}

/// `[redacted]` for each row.
fn hidden(tensor: &Tensor) -> Tensor {
    let rows = tensor.rows();
    Tensor::from_strings(vec![rows], vec![Bytes::from_static(REDACTED); rows])
        .unwrap_or_else(|_| tensor.slice_rows(0, 0))
}

/// NaN in one column of a `[rows, columns]` tensor; types that have no NaN are hidden as a whole.
fn without_column(tensor: &Tensor, column: usize) -> Tensor {
    let Some(width) = tensor.shape().get(1).copied().filter(|w| column < *w) else { return hidden(tensor) };
    let shape = tensor.shape().to_vec();
    macro_rules! blank {
        ($type:ty, $nan:expr) => {
            tensor.to_vec::<$type>().and_then(|mut values| {
                values.iter_mut().skip(column).step_by(width).for_each(|v| *v = $nan);
                Tensor::from_vec(tensor.dtype(), shape, values).ok()
            })
        };
    }
    let blanked = match tensor.dtype() {
        DType::Fp32 => blank!(f32, f32::NAN),
        DType::Fp64 => blank!(f64, f64::NAN),
        DType::Fp16 => blank!(half::f16, half::f16::NAN),
        DType::Bf16 => blank!(half::bf16, half::bf16::NAN),
        DType::Bytes => tensor.strings().and_then(|values| {
            let mut values = values.to_vec();
            values.iter_mut().skip(column).step_by(width).for_each(|v| *v = Bytes::from_static(REDACTED));
            Tensor::from_strings(shape, values).ok()
        }),
        _ => None,
    };
    blanked.unwrap_or_else(|| hidden(tensor))
}

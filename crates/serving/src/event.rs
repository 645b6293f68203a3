//! The journal event of one request.

use crate::contract::{Contract, stacked};
use crate::deployment::Deployment;
use crate::rules::Flags;
use crate::run::{Loaded, Ran};
use crate::source::{Kept, PredictionSink};
use crate::stats::{Recorder, Sample, nanos};
use crate::traffic::{Ended, Guard};
use bytes::Bytes;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{
    Assignment, Cached, DType, ErrorKind, EventId, Outcome, Prediction, Protocol, Target, Tenant, Tensor, Timestamp,
    Timing, Tokens,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a redacted text is replaced with.
const REDACTED: &str = "[redacted]";
/// What the journal has in the place of a failure's text, which may repeat what was sent. The caller got all of it.
const HIDDEN: &str = "the text is left out: journal.redact hides values of this deployment, and it may hold one";
const NOT_SAMPLED: &str = "the text is left out: journal.sample keeps no values of this request, and it may hold one";

/// What is known of a request while it is answered; ends as one [`Prediction`]. It goes from hand to hand: boxed, as moving
/// it would copy it each time.
pub(crate) struct Event {
    pub id: EventId,
    pub at: Timestamp,
    pub received: Instant,
    pub tenant: Tenant,
    pub protocol: Protocol,
    pub client_id: Option<Arc<str>>,
    /// Who asked; in a shadow, who asked for the real answer.
    pub caller: Arc<str>,
    pub assignment: Assignment,
    pub rows: u32,
    pub batch_rows: u32,
    pub timing: Timing,
    pub params: Option<Arc<str>>,
    pub inputs: Arc<[NamedTensor]>,
    pub deployment: Arc<Deployment>,
    pub contract: Option<Arc<Contract>>,
    pub recorder: Arc<Recorder>,
    /// What watches the candidate that answers.
    pub guard: Option<Arc<Guard>>,
    /// When the first part of an answer that comes in parts was there: what comes after it is as slow as its reader.
    pub first_part: Option<Duration>,
    /// It was given up at a limit that the caller had set, and not the deployment.
    pub gave_up: bool,
    /// Rules that its rows broke.
    pub flags: Option<Flags>,
    /// Tokens of the answer, where its model counts them.
    pub tokens: Option<Tokens>,
    /// Where the answer is from, when it was kept.
    pub cached: Option<Cached>,
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

    /// The engine was asked.
    pub fn ran(&mut self, ran: &Ran) {
        (self.timing.queue_ns, self.timing.engine_ns) = (ran.queue_ns, ran.engine_ns);
        (self.batch_rows, self.tokens) = (ran.batch_rows, ran.tokens);
    }

    /// The answer is encoded (or could not be).
    pub fn answered(
        mut self: Box<Self>,
        outputs: &Arc<[NamedTensor]>,
        encode: Duration,
        outcome: Outcome,
    ) -> Option<Kept> {
        self.timing.encode_ns = nanos(encode);
        self.timing.total_ns = nanos(self.received.elapsed());
        match &outcome {
            Outcome::Ok => {
                let cached = self.cached.is_some();
                self.recorder.answered(Sample { at: self.at, rows: self.rows, timing: self.timing, cached });
                self.recorder.count_nans(outputs);
                if let Some(tokens) = self.tokens.filter(|_| !cached) {
                    self.recorder.spent(tokens);
                }
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
    pub fn failed(mut self: Box<Self>, kind: ErrorKind, message: &str) {
        self.timing.total_ns = nanos(self.received.elapsed());
        self.recorder.failed(kind, self.timing.total_ns);
        self.watched(Some(kind));
        let _nobody_waits = self.append(Arc::default(), Outcome::Failed { kind, message: message.into() });
    }

    /// Tells what watches the candidate how its request ended.
    fn watched(&self, failed: Option<ErrorKind>) {
        // An answer that was kept says nothing of what the candidate does now.
        let Some(guard) = self.guard.as_ref().filter(|_| self.cached.is_none()) else { return };
        let Timing { queue_ns, engine_ns, total_ns, .. } = self.timing;
        let at = self.at.plus_micros(i64::try_from(total_ns / 1000).unwrap_or(0));
        let took = Duration::from_nanos(if failed.is_some() { total_ns } else { queue_ns + engine_ns });
        let took = self.first_part.unwrap_or(took);
        let failed = if self.gave_up { Some(ErrorKind::Cancelled) } else { failed };
        if let (Some(trip), Some(contract)) = (guard.ended(Ended { at, failed, took }), &self.contract) {
            let variant = &contract.target.variant;
            tracing::warn!(deployment = %self.deployment.name, %variant, "a candidate is beyond a hard limit: {trip}");
        }
    }

    fn append(self: Box<Self>, outputs: Arc<[NamedTensor]>, outcome: Outcome) -> Option<Kept> {
        let spec = self.deployment.spec.load();
        let keep = sampled(self.id, spec.journal.sample);
        let outcome = without_text(outcome, keep, &spec.journal.redact);
        let (params, inputs, outputs) = if keep {
            let names = spec.journal.redact.as_slice();
            let params = self.params.and_then(|params| without_params(params, names));
            (params, redact(self.inputs, names, self.contract.as_deref()), outputs)
        } else {
            (None, Arc::default(), Arc::default())
        };
        let target: &Arc<Target> = self.contract.as_ref().map_or(&self.deployment.nobody, |c| &c.target);
        self.sink.append(Prediction {
            id: self.id,
            at: self.at,
            tenant: self.tenant,
            target: Arc::clone(target),
            protocol: self.protocol,
            client_id: self.client_id,
            caller: self.caller,
            assignment: self.assignment,
            outcome,
            rows: self.rows,
            batch_rows: self.batch_rows,
            timing: self.timing,
            tokens: self.tokens,
            cached: self.cached,
            flags: self.flags,
            params,
            inputs,
            outputs,
        })
    }
}

/// The outcome without words of others about a request whose values are not all kept: a refusal names the value that
/// does not fit, and a model's exception may say anything.
fn without_text(outcome: Outcome, keep: bool, redact: &[String]) -> Outcome {
    match outcome {
        Outcome::Failed { kind, .. } if !redact.is_empty() => Outcome::Failed { kind, message: HIDDEN.into() },
        Outcome::Failed { kind, .. } if !keep => Outcome::Failed { kind, message: NOT_SAMPLED.into() },
        as_it_is => as_it_is,
    }
}

/// Whether the payload of this request is kept. Follows from the id, whose last 32 bits are random,
/// so everybody who knows the id and the share comes to the same answer.
fn sampled(id: EventId, share: f64) -> bool {
    let b = id.as_bytes();
    share >= 1.0 || f64::from(u32::from_be_bytes([b[12], b[13], b[14], b[15]])) < share * 4_294_967_296.0
}

/// Where a redacted name is: an input, a column of the one stacked input, or a parameter.
pub(crate) enum Place {
    Input,
    Column(usize),
    Param,
}

/// Finds a name of `journal.redact` in what a version takes.
pub(crate) fn place(name: &str, contract: &Contract) -> Option<Place> {
    let inputs = &contract.signature.inputs;
    if inputs.iter().any(|i| *i.name == *name) {
        return Some(Place::Input);
    }
    let columns = stacked(&contract.signature, contract.mlflow()).unwrap_or_default();
    let column = columns.iter().position(|c| c.name.as_deref() == Some(name)).map(Place::Column);
    column.or_else(|| contract.mlflow()?.params.iter().any(|p| p.name == name).then_some(Place::Param))
}

/// The parameters with what is redacted hidden; `params` is the text of an object.
fn without_params(params: Arc<str>, names: &[String]) -> Option<Arc<str>> {
    if names.is_empty() {
        return Some(params);
    }
    mainspring_mlmodel::without_params(&params, names, REDACTED).map(Arc::from)
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
                kept.retain_mut(|input| replace(input, without_column(&input.tensor, column)));
            }
            Some(Place::Param) => {}
            Some(Place::Input) | None => {
                kept.retain_mut(|input| *input.name != **name || replace(input, blank(&input.tensor, 0, 1)));
            }
        }
    }
    kept.into()
}

/// Puts what is left of an input in its place; `false` when nothing is.
fn replace(input: &mut NamedTensor, left: Option<Tensor>) -> bool {
    left.map(|left| input.tensor = left).is_some()
}

/// A `[rows, columns]` tensor with one column blank; another one is hidden as a whole.
fn without_column(tensor: &Tensor, column: usize) -> Option<Tensor> {
    let width = tensor.shape().get(1).copied().filter(|width| column < *width);
    width.map_or_else(|| blank(tensor, 0, 1), |width| blank(tensor, column, width))
}

/// NaN or `[redacted]` in every `step`th element from `first` on, so that the journal's column keeps its type.
/// `None` for types that can say neither: the journal then has no value at all, which reads as NULL.
fn blank(tensor: &Tensor, first: usize, step: usize) -> Option<Tensor> {
    let shape = tensor.shape().to_vec();
    macro_rules! numbers {
        ($type:ty) => {
            tensor.to_vec::<$type>().and_then(|mut values| {
                values.iter_mut().skip(first).step_by(step).for_each(|v| *v = <$type>::NAN);
                Tensor::from_vec(tensor.dtype(), shape, values).ok()
            })
        };
    }
    match tensor.dtype() {
        DType::Fp32 => numbers!(f32),
        DType::Fp64 => numbers!(f64),
        DType::Fp16 => numbers!(half::f16),
        DType::Bf16 => numbers!(half::bf16),
        DType::Bytes => tensor.strings().and_then(|values| {
            let mut values = values.to_vec();
            values.iter_mut().skip(first).step_by(step).for_each(|v| *v = Bytes::from_static(REDACTED.as_bytes()));
            Tensor::from_strings(shape, values).ok()
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_redacted_keeps_its_type_or_is_left_out() {
        let numbers = Tensor::from_vec(DType::Fp64, vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let hidden = blank(&numbers, 0, 1).unwrap();
        assert_eq!((hidden.dtype(), hidden.shape()), (DType::Fp64, &[2, 2][..]));
        assert!(hidden.to_vec::<f64>().unwrap().iter().all(|v| v.is_nan()));
        let one = without_column(&numbers, 1).unwrap().to_vec::<f64>().unwrap();
        assert!(one[0] == 1.0 && one[1].is_nan() && one[2] == 3.0 && one[3].is_nan());
        let texts = Tensor::from_strings(vec![2], vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]).unwrap();
        assert_eq!(blank(&texts, 0, 1).unwrap().strings().unwrap(), ["[redacted]", "[redacted]"]);
        let whole = Tensor::from_vec(DType::Int64, vec![2], vec![1_i64, 2]).unwrap();
        assert!(blank(&whole, 0, 1).is_none(), "a whole number can only be left out");
    }
}

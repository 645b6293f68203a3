//! Answers in parts.

use super::Serving;
use super::call::{Admitted, Call, late};
use crate::action::Infer;
use crate::contract::Contract;
use crate::deployment::Deployment;
use crate::error::ServeError;
use crate::request::InferRequest;
use crate::rules::summary;
use crate::run::{Loaded, PartSender, Ran, Reply, Waiting, Work};
use crate::traffic::Aside;
use crate::usage;
use bytes::{BufMut, BytesMut};
use mainspring_core::tensor::{NamedTensor, TensorError};
use mainspring_core::{Authorized, DType, EventId, Outcome, Target, Tensor, Tokens};
use mainspring_engine::{Content, Part};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;

#[cfg(test)]
mod tests;

/// Bytes of a streamed answer that the journal may have; what comes after them is not kept.
const KEPT: usize = 1 << 20;

/// The parts of an answer that the journal will have.
#[derive(Debug, Default)]
pub(super) struct Kept {
    parts: Vec<Part>,
    bytes: usize,
}

impl Kept {
    pub(super) fn add(&mut self, part: &Part) {
        let bytes: usize = part.outputs.iter().map(|o| o.tensor.byte_len()).sum();
        if self.bytes + bytes <= KEPT {
            self.parts.push(part.clone());
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// As one row.
    pub(super) fn whole(&self) -> Vec<NamedTensor> {
        whole(&self.parts).unwrap_or_default()
    }
}

/// An answer that comes in parts: one prediction with one journal event, which is appended after the
/// last part. Dropped before that, the request was cancelled and the model stops.
pub struct AnswerParts {
    /// The id that feedback and everything else joins on.
    pub id: EventId,
    /// What answers.
    pub target: Arc<Target>,
    /// The caller's own id.
    pub client_id: Option<Arc<str>>,
    /// What the version takes and gives.
    pub contract: Arc<Contract>,
    /// Rules of the deployment that its row broke.
    pub flags: Option<Arc<str>>,
    call: Call,
    loaded: Arc<Loaded>,
    deployment: Arc<Deployment>,
    parts: Receiver<Part>,
    waiting: Option<Waiting>,
    /// Until when the first part must be there.
    deadline: Option<Instant>,
    received: Instant,
    kept: Kept,
    /// As far as its parts said.
    tokens: Option<Tokens>,
    /// Who asks the shadow, where the answer has one.
    serving: Option<Serving>,
}

impl std::fmt::Debug for AnswerParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerParts").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Serving {
    /// Answers a request of one row in parts, as the model hands them out; a model that does not stream
    /// gives one. The deployment's deadline is that of the first part.
    ///
    /// # Errors
    /// [`ServeError`] for what can be told before the model starts, which is in the journal then.
    pub fn infer_parts(&self, auth: &Authorized<Infer>, mut request: InferRequest) -> Result<AnswerParts, ServeError> {
        let (mut call, chosen) = self.call(auth, &mut request)?;
        let Some(event) = &call.event else { return Err(ServeError::Cancelled) };
        let (id, client_id, received) = (event.id, event.client_id.clone(), event.received);
        let deployment = Arc::clone(&event.deployment);
        // Answers in parts are not kept.
        let accepted = call.accept(request, chosen);
        let admitted = accepted.and_then(|accepted| call.admit(accepted)).and_then(|admitted| {
            if admitted.work.rows == 1 {
                Ok(admitted)
            } else {
                Err(ServeError::StreamRows { rows: admitted.work.rows })
            }
        });
        let Admitted { loaded, work } = admitted.inspect_err(|error| call.fail(error))?;
        let (sender, parts) = PartSender::new();
        let deadline = work.deadline;
        let waiting = loaded.enqueue(Work { parts: Some(sender), ..work });
        let serving = call.aside.as_ref().map(|_| self.clone());
        let flags = call.event.as_ref().and_then(|event| event.flags.as_ref()).and_then(summary);
        Ok(AnswerParts {
            id,
            target: Arc::clone(&loaded.facts.contract.target),
            client_id,
            contract: Arc::clone(&loaded.facts.contract),
            flags,
            call,
            loaded,
            deployment,
            parts,
            waiting: Some(waiting),
            deadline,
            received,
            kept: Kept::default(),
            tokens: None,
            serving,
        })
    }
}

impl AnswerParts {
    /// The next part; `None` after the last one, when the prediction is in the journal (and on disk, where
    /// answers wait for that). After an error there is nothing more.
    ///
    /// # Errors
    /// [`ServeError`]; the journal has it then.
    pub async fn next(&mut self) -> Option<Result<Part, ServeError>> {
        let part = match self.deadline {
            Some(at) => match tokio::time::timeout_at(at.into(), self.parts.recv()).await {
                Ok(part) => part,
                Err(_) => {
                    self.waiting = None;
                    self.parts.close();
                    return Some(Err(self.failed(late(&self.deployment, self.received))));
                }
            },
            None => self.parts.recv().await,
        };
        let Some(part) = part else { return self.end().await.err().map(Err) };
        self.deadline = None;
        if let Some(event) = &mut self.call.event {
            event.first_part.get_or_insert_with(|| self.received.elapsed());
        }
        if self.loaded.facts.says_usage {
            self.tokens = usage::of_part(&part).or(self.tokens);
        }
        self.kept.add(&part);
        Some(Ok(part))
    }

    /// A part could not be written or sent.
    pub fn cannot_send(&mut self, kind: mainspring_core::ErrorKind, message: &str) {
        self.waiting = None;
        self.parts.close();
        self.call.release();
        if let Some(event) = self.call.event.take() {
            event.failed(kind, message);
        }
    }

    fn failed(&mut self, error: ServeError) -> ServeError {
        self.call.fail(&error);
        error
    }

    async fn end(&mut self) -> Result<(), ServeError> {
        let Some(waiting) = self.waiting.take() else { return Ok(()) };
        let ran = match waiting.await {
            Some(Reply::Ran(Ok(ran))) => ran,
            Some(Reply::Ran(Err(error))) => return Err(self.failed(error.into())),
            Some(Reply::Expired) => return Err(self.failed(late(&self.deployment, self.received))),
            None => return Err(self.failed(ServeError::Stopping)),
        };
        self.call.release();
        let Some(mut event) = self.call.event.take() else { return Ok(()) };
        event.ran(&Ran { tokens: self.tokens.or(ran.tokens), ..ran });
        if let (Some(serving), Some(aside)) = (&self.serving, self.call.aside.take()) {
            serving.cast(Aside { parts: true, ..*aside }, &event);
        }
        let whole = self.kept.whole();
        let bytes = self.kept.bytes;
        if bytes > KEPT {
            tracing::debug!(
                deployment = %self.loaded.facts.contract.target.deployment, id = %self.id, bytes, kept = KEPT,
                "the journal has the first parts of a streamed answer only"
            );
        }
        match event.answered(&whole.into(), Duration::ZERO, Outcome::Ok) {
            Some(kept) => Ok(kept.await?),
            None => Ok(()),
        }
    }
}

/// The parts as one row: texts one after the other, JSON values as a list, numbers side by side.
fn whole(parts: &[Part]) -> Result<Vec<NamedTensor>, TensorError> {
    let Some(first) = parts.first() else { return Ok(Vec::new()) };
    first
        .outputs
        .iter()
        .zip(&first.contents)
        .map(|(output, content)| {
            let mut all = parts.iter().flat_map(|p| &p.outputs).filter(|o| o.name == output.name).map(|o| &o.tensor);
            let tensor = if output.tensor.dtype() == DType::Bytes {
                texts(all, *content)?
            } else {
                let same: Vec<&Tensor> = all.by_ref().filter(|t| t.dtype() == output.tensor.dtype()).collect();
                let mut bytes = BytesMut::new();
                for tensor in &same {
                    bytes.put(tensor.to_wire());
                }
                let count = same.iter().map(|t| t.len()).sum();
                Tensor::from_raw(output.tensor.dtype(), vec![1, count], bytes.freeze())?
            };
            Ok(NamedTensor { name: Arc::clone(&output.name), tensor })
        })
        .collect()
}

fn texts<'a>(all: impl Iterator<Item = &'a Tensor>, content: Content) -> Result<Tensor, TensorError> {
    let mut out = BytesMut::new();
    let json = content == Content::Json;
    for (i, element) in all.filter_map(Tensor::strings).flatten().enumerate() {
        if json {
            out.put_u8(if i == 0 { b'[' } else { b',' });
        }
        out.put_slice(element);
    }
    if json {
        out.put_slice(if out.is_empty() { b"[]" } else { b"]" });
    }
    Tensor::from_strings(vec![1], vec![out.freeze()])
}

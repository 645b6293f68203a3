//! A request, its answer, and the journal event that both leave behind.

use crate::cache::Lookup;
use crate::contract::Contract;
use crate::error::ServeError;
use crate::event::Event;
use crate::pick::Picked;
use crate::source::Kept;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{ErrorKind, EventId, Outcome, Protocol, Target};
use mainspring_mlmodel::GivenParams;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// One request for inference.
#[derive(Debug)]
pub struct InferRequest {
    /// The version asked for; `None` is whichever is due. Naming one is a forced assignment.
    pub version: Option<String>,
    /// Who answers, when [`crate::Serving::pick`] was asked already; `version` says nothing then.
    pub picked: Option<Picked>,
    /// The caller's own id, echoed and journaled untouched.
    pub client_id: Option<Arc<str>>,
    /// Input tensors by name, in any order.
    pub inputs: Vec<NamedTensor>,
    /// What it says beside its data.
    pub params: GivenParams,
    /// By which door it came.
    pub protocol: Protocol,
    /// After this nobody waits for the answer. The deployment's own deadline counts when earlier.
    pub deadline: Option<Instant>,
    /// When it was received, before parsing.
    pub received: Instant,
}

/// A request that a protocol refused before it came to [`crate::Serving::infer`], because its body
/// could not be read.
#[derive(Debug)]
pub struct Refusal {
    /// The version asked for.
    pub version: Option<String>,
    /// Who was to answer, when that was known already.
    pub picked: Option<Picked>,
    /// The caller's own id, when it could be read.
    pub client_id: Option<Arc<str>>,
    /// By which door it came.
    pub protocol: Protocol,
    /// When it was received.
    pub received: Instant,
    /// What kind of failure.
    pub kind: ErrorKind,
    /// The message that the caller sees.
    pub message: String,
}

/// An answer. Its journal event is appended when it is dropped or when one of the closing methods
/// is called, so no answer goes unrecorded.
#[derive(Debug)]
pub struct Answer {
    /// The id that feedback and everything else joins on.
    pub id: EventId,
    /// What answered.
    pub target: Arc<Target>,
    /// Outputs in the order of the contract's signature.
    pub outputs: Arc<[NamedTensor]>,
    /// The caller's own id.
    pub client_id: Option<Arc<str>>,
    /// What the version takes and gives.
    pub contract: Arc<Contract>,
    /// Rows of the engine call that this request shared.
    pub batch_rows: u32,
    /// Rules of the deployment that its rows broke: `age:between,plan:in_set`.
    pub flags: Option<Arc<str>>,
    /// Whether it was kept; `None` where the deployment keeps none.
    pub cache: Option<Lookup>,
    pub(crate) event: Option<Box<Event>>,
    pub(crate) answered: Instant,
}

impl Answer {
    /// The answer is rendered: records how long that took and appends the journal event. Where answers
    /// wait for the disk, what is returned ends when the event is there.
    ///
    /// # Errors
    /// [`ServeError::NotKept`] when the disk does not take it: the answer must not leave then.
    pub fn encoded(mut self) -> Encoded {
        Encoded(self.close(Outcome::Ok))
    }

    /// The answer could not be rendered or sent: the journal says so instead.
    pub fn failed(mut self, kind: ErrorKind, message: &str) {
        let _nobody_waits = self.close(Outcome::Failed { kind, message: message.into() });
    }

    fn close(&mut self, outcome: Outcome) -> Option<Kept> {
        self.event.take()?.answered(&self.outputs, self.answered.elapsed(), outcome)
    }
}

/// The end of an answer. Not a future that holds the answer: every request passes through it, and most have nothing
/// to wait for.
#[must_use = "where answers wait for the disk, this is what they wait for"]
pub struct Encoded(Option<Kept>);

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoded").field("waits", &self.0.is_some()).finish()
    }
}

impl Future for Encoded {
    type Output = Result<(), ServeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            None => Poll::Ready(Ok(())),
            Some(kept) => kept.as_mut().poll(cx).map_err(ServeError::from),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let _nobody_waits = self.close(Outcome::Ok);
    }
}

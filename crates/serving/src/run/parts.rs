//! Answers that are handed out while the model still works on them.

use mainspring_core::tensor::NamedTensor;
use mainspring_engine::{Counted, EngineError, Model, Part, RunCx};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

/// Parts that wait for the caller before the model waits for it.
const AHEAD: usize = 16;
/// How long a model waits for a caller that takes no part.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it looks whether there is room again.
const LOOK: Duration = Duration::from_millis(1);

/// Where the parts of an answer go.
pub(crate) struct PartSender(Sender<Part>);

impl PartSender {
    /// Both ends.
    pub fn new() -> (Self, Receiver<Part>) {
        let (sender, receiver) = channel(AHEAD);
        (Self(sender), receiver)
    }

    /// Lets the model answer in parts. There is no other output.
    pub(super) fn fill(&self, model: &dyn Model, inputs: &[NamedTensor], cx: &RunCx) -> Result<Counted, EngineError> {
        let mut stuck = false;
        let tokens = model.stream(inputs, cx, &mut |part| self.send(part, &mut stuck))?;
        if stuck {
            return Err(EngineError::NotTaken { patience: PATIENCE });
        }
        Ok(Counted { outputs: Vec::new(), tokens })
    }

    fn send(&self, mut part: Part, stuck: &mut bool) -> bool {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.0.try_send(part) {
                Ok(()) => return true,
                Err(TrySendError::Closed(_)) => return false,
                Err(TrySendError::Full(_)) if Instant::now() >= until => {
                    *stuck = true;
                    return false;
                }
                Err(TrySendError::Full(back)) => part = back,
            }
            std::thread::sleep(LOOK);
        }
    }
}

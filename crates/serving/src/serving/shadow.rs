//! Runs shadows: after the answer, beside everything else.

use super::Serving;
use super::call::{late, queued};
use super::stream::Kept;
use crate::error::ServeError;
use crate::event::Event;
use crate::run::{Loaded, PartSender, Ran, Reply, Work};
use crate::traffic::{Aside, Turn};
use crate::usage;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{Assignment, Failure, Outcome, Timing};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a shadow may take where the deployment has no deadline.
const PATIENCE: Duration = Duration::from_secs(30);

impl Serving {
    /// Asks the shadow what was asked in `real`, unless it is busy with as much as it may be.
    pub(super) fn cast(&self, aside: Aside, real: &Event) {
        let Some(turn) = aside.shade.turn() else { return };
        let (id, at) = self.made();
        let event = Box::new(Event {
            id,
            at,
            received: Instant::now(),
            tenant: real.tenant.clone(),
            protocol: real.protocol,
            client_id: None,
            caller: Arc::clone(&real.caller),
            assignment: Assignment { unit: real.assignment.unit, shadow_of: Some(real.id), ..Assignment::default() },
            rows: real.rows,
            batch_rows: 0,
            timing: Timing::default(),
            params: real.params.clone(),
            inputs: Arc::clone(&real.inputs),
            deployment: Arc::clone(&real.deployment),
            contract: Some(Arc::clone(&aside.loaded.facts.contract)),
            recorder: Arc::clone(aside.shade.recorder()),
            guard: None,
            first_part: None,
            gave_up: false,
            flags: None,
            tokens: None,
            cached: None,
            sink: Arc::clone(&real.sink),
        });
        self.means.ctx.tasks.spawn("shadow", run(aside, event, turn));
    }
}

/// Never on this thread, where the next request may wait already: it takes its turn in the queue.
async fn run(aside: Aside, mut event: Box<Event>, turn: Turn) {
    let Aside { loaded, params, parts, .. } = aside;
    let patience = event.deployment.spec.load().limits.deadline.map_or(PATIENCE, |d| d.0);
    let deadline = Some(event.received + patience);
    let (inputs, rows) = (Arc::clone(&event.inputs), event.rows as usize);
    let work = Work { id: event.id, inputs, rows, params, deadline, parts: None };
    let ran = if parts {
        in_parts(&loaded, &event, work).await
    } else {
        queued(&loaded, &event.deployment, work, event.received).await.map(|ran| loaded.counted(ran))
    };
    match ran {
        Ok(ran) => {
            event.ran(&ran);
            let outputs: Arc<[NamedTensor]> = ran.outputs.into();
            let _nobody_waits = event.answered(&outputs, Duration::ZERO, Outcome::Ok);
        }
        Err(error) => event.failed(error.kind(), &error.to_string()),
    }
    drop(turn);
}

/// Lets the shadow answer in parts, as what it is compared with did: the limit is that of the first part.
async fn in_parts(loaded: &Arc<Loaded>, event: &Event, work: Work) -> Result<Ran, ServeError> {
    let too_late = || late(&event.deployment, event.received);
    let (sender, mut parts) = PartSender::new();
    let mut until = work.deadline.unwrap_or(event.received + PATIENCE);
    let waiting = loaded.enqueue(Work { parts: Some(sender), ..work });
    let (mut kept, mut tokens) = (Kept::default(), None);
    while let Some(part) = tokio::time::timeout_at(until.into(), parts.recv()).await.map_err(|_| too_late())? {
        kept.add(&part);
        if loaded.facts.says_usage {
            tokens = usage::of_part(&part).or(tokens);
        }
        until = Instant::now() + PATIENCE;
    }
    match waiting.await {
        Some(Reply::Ran(Ok(ran))) => Ok(Ran { outputs: kept.whole(), tokens: tokens.or(ran.tokens), ..ran }),
        Some(Reply::Ran(Err(error))) => Err(error.into()),
        Some(Reply::Expired) => Err(too_late()),
        None => Err(ServeError::Stopping),
    }
}

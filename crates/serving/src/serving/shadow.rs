//! Runs shadows: after the answer, beside everything else.

use super::Serving;
use super::call::queued;
use crate::event::Event;
use crate::request::Answer;
use crate::run::{Ran, Work};
use crate::traffic::{Aside, Turn};
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{Assignment, Failure, Outcome, Timing};
use mainspring_engine::RunCx;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a shadow may take where the deployment has no deadline.
const PATIENCE: Duration = Duration::from_secs(30);

impl Serving {
    /// Asks the shadow what `answer` answers, unless it is busy with as much as it may be.
    pub(super) fn cast(&self, aside: Aside, answer: &Answer) {
        let Some(real) = &answer.event else { return };
        let Some(turn) = aside.shade.turn() else { return };
        let (id, at) = self.made();
        let event = Event {
            id,
            at,
            received: Instant::now(),
            tenant: real.tenant.clone(),
            protocol: real.protocol,
            client_id: None,
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
            sink: Arc::clone(&real.sink),
        };
        self.means.ctx.tasks.spawn("shadow", run(aside, event, turn));
    }
}

async fn run(aside: Aside, mut event: Event, turn: Turn) {
    let Aside { loaded, params, .. } = aside;
    let patience = event.deployment.spec.load().limits.deadline.map_or(PATIENCE, |d| d.0);
    let deadline = Some(event.received + patience);
    let rows = event.rows as usize;
    let cx = RunCx { deadline, params: params.clone(), ids: Vec::new() };
    let ran = match loaded.try_inline(&event.inputs, rows, &cx) {
        Some(result) => result.map_err(Into::into),
        None => {
            let work = Work { id: event.id, inputs: Arc::clone(&event.inputs), rows, params, deadline, parts: None };
            queued(&loaded, &event.deployment, work, event.received).await
        }
    };
    match ran {
        Ok(Ran { outputs, queue_ns, engine_ns, batch_rows }) => {
            (event.timing.queue_ns, event.timing.engine_ns) = (queue_ns, engine_ns);
            event.batch_rows = batch_rows;
            let outputs: Arc<[NamedTensor]> = outputs.into();
            let _nobody_waits = event.answered(&outputs, Duration::ZERO, Outcome::Ok);
        }
        Err(error) => event.failed(error.kind(), &error.to_string()),
    }
    drop(turn);
}

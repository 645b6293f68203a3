//! One request on its way through admission and the engine to its answer.

use crate::deployment::Deployment;
use crate::error::ServeError;
use crate::event::Event;
use crate::pick::Chosen;
use crate::request::{Answer, InferRequest};
use crate::rules::summary;
use crate::run::{Loaded, Ran, Reply, Work};
use crate::traffic::Aside;
use mainspring_core::Failure;
use mainspring_engine::{EngineError, Params};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One request on its way. Dropped before its end, it was cancelled.
pub(super) struct Call {
    pub(super) event: Option<Box<Event>>,
    admitted: bool,
    /// Whether the caller's own limit of time ends before the deployment's.
    impatient: bool,
    /// What is to happen in the shadow of its answer.
    pub(super) aside: Option<Box<Aside>>,
}

impl Call {
    pub(super) fn new(event: Box<Event>) -> Self {
        Self { event: Some(event), admitted: false, impatient: false, aside: None }
    }

    pub(super) async fn run(&mut self, Admitted { loaded, work }: Admitted) -> Result<Answer, ServeError> {
        let ran = match loaded.inline(work).await {
            Ok(result) => result?,
            Err(work) => {
                let Some(event) = &self.event else { return Err(ServeError::Cancelled) };
                queued(&loaded, &event.deployment, work, event.received).await?
            }
        };
        self.answer(&loaded, ran)
    }

    /// Checks the request against what answers it, and counts it in.
    pub(super) fn admit(
        &mut self,
        mut request: InferRequest,
        chosen: Result<Chosen, ServeError>,
    ) -> Result<Admitted, ServeError> {
        let Some(event) = self.event.as_mut() else { return Err(ServeError::Cancelled) };
        let deployment = Arc::clone(&event.deployment);
        let accepted = chosen.and_then(|chosen| accept(event, &mut request, chosen));
        event.inputs = std::mem::take(&mut request.inputs).into();
        let Accepted { loaded, params, aside } = accepted?;
        self.aside = aside;
        let (id, rows, inputs) = (event.id, event.rows as usize, Arc::clone(&event.inputs));

        let limits = &deployment.spec.load().limits;
        admit(&deployment.in_flight, limits.max_in_flight as usize)
            .map_err(|in_flight| overloaded(&deployment, &loaded, in_flight))?;
        self.admitted = true;
        let own = limits.deadline.map(|d| request.received + d.0);
        self.impatient = request.deadline.is_some_and(|asked| own.is_none_or(|own| asked < own));
        let deadline = match (own, request.deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if deadline.is_some_and(|d| d <= Instant::now()) {
            return Err(late(&deployment, request.received));
        }
        Ok(Admitted { loaded, work: Work { id, inputs, rows, params, deadline, parts: None } })
    }

    fn answer(&mut self, loaded: &Loaded, ran: Ran) -> Result<Answer, ServeError> {
        self.release();
        let Some(mut event) = self.event.take() else { return Err(ServeError::Cancelled) };
        event.timing.queue_ns = ran.queue_ns;
        event.timing.engine_ns = ran.engine_ns;
        event.batch_rows = ran.batch_rows;
        Ok(Answer {
            id: event.id,
            target: Arc::clone(&loaded.facts.contract.target),
            outputs: ran.outputs.into(),
            client_id: event.client_id.clone(),
            contract: Arc::clone(&loaded.facts.contract),
            batch_rows: ran.batch_rows,
            flags: event.flags.as_ref().and_then(summary),
            event: Some(event),
            answered: Instant::now(),
        })
    }

    pub(super) fn fail(&mut self, error: &ServeError) {
        self.release();
        if let Some(mut event) = self.event.take() {
            let late = matches!(error, ServeError::Deadline { .. } | ServeError::Engine(EngineError::Deadline));
            event.gave_up = late && self.impatient;
            event.failed(error.kind(), &error.to_string());
        }
    }

    pub(super) fn release(&mut self) {
        if std::mem::take(&mut self.admitted)
            && let Some(event) = &self.event
        {
            event.deployment.in_flight.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.event.is_some() {
            self.fail(&ServeError::Cancelled);
        }
    }
}

/// A request that may run.
pub(super) struct Admitted {
    pub(super) loaded: Arc<Loaded>,
    pub(super) work: Work,
}

/// A request that fits the version that answers it.
struct Accepted {
    loaded: Arc<Loaded>,
    params: Option<Params>,
    aside: Option<Box<Aside>>,
}

/// Checks inputs and parameters against the version that was chosen.
fn accept(event: &mut Event, request: &mut InferRequest, mut chosen: Chosen) -> Result<Accepted, ServeError> {
    chosen.decide(&event.id, &request.inputs);
    let Chosen { loaded, assignment, guard, shaded, .. } = chosen;
    (event.assignment, event.guard) = (assignment, guard);
    event.answers(&loaded);
    let spec = event.deployment.spec.load();
    if let Some(limit) = spec.limits.max_request_bytes {
        let bytes = request.inputs.iter().map(|i| i.tensor.byte_len() as u64).sum();
        if bytes > limit.0 {
            return Err(ServeError::TooLarge { name: event.deployment.name.to_string(), bytes, limit: limit.0 });
        }
    }
    let rows = loaded.facts.contract.signature.accept(&mut request.inputs)?;
    if rows == 0 {
        return Err(ServeError::NoRows);
    }
    event.rows = u32::try_from(rows).unwrap_or(u32::MAX);
    if spec.rules.is_some()
        && let Some(rules) = &*loaded.rules.load()
    {
        event.flags = match rules.judge(event.deployment.name.as_str(), &request.inputs, rows) {
            Ok(flags) => flags,
            Err((refused, flags)) => {
                event.flags = Some(flags);
                return Err(refused);
            }
        };
    }
    let params = loaded.facts.contract.params(std::mem::take(&mut request.params))?;
    event.params = params.as_ref().map(Params::text);
    let aside = shaded.and_then(|traffic| traffic.aside(&loaded, &event.id, params.as_ref()));
    Ok(Accepted { loaded, params, aside: aside.map(Box::new) })
}

/// Counts a request in, or says how many there are.
fn admit(in_flight: &AtomicUsize, limit: usize) -> Result<(), usize> {
    let before = in_flight.fetch_add(1, Ordering::AcqRel);
    if before < limit {
        return Ok(());
    }
    in_flight.fetch_sub(1, Ordering::AcqRel);
    Err(before)
}

/// The refusal, with the time in which half of what waits should be done.
fn overloaded(deployment: &Deployment, loaded: &Loaded, in_flight: usize) -> ServeError {
    let each = loaded.recorder.mean_engine_ns().max(1_000);
    let half = each.saturating_mul(in_flight as u64) / (2 * loaded.instances() as u64);
    let retry_after = Duration::from_nanos(half).clamp(Duration::from_millis(10), Duration::from_secs(30));
    ServeError::Overloaded { name: deployment.name.to_string(), in_flight, retry_after }
}

pub(super) fn late(deployment: &Deployment, received: Instant) -> ServeError {
    ServeError::Deadline { name: deployment.name.to_string(), waited: received.elapsed() }
}

pub(super) async fn queued(
    loaded: &Arc<Loaded>,
    deployment: &Deployment,
    work: Work,
    received: Instant,
) -> Result<Ran, ServeError> {
    let deadline = work.deadline;
    let waiting = loaded.enqueue(work);
    let reply = match deadline {
        Some(deadline) => match tokio::time::timeout_at(deadline.into(), waiting).await {
            Ok(reply) => reply,
            Err(_) => return Err(late(deployment, received)),
        },
        None => waiting.await,
    };
    match reply {
        Some(Reply::Ran(result)) => Ok(result?),
        Some(Reply::Expired) => Err(late(deployment, received)),
        None => Err(ServeError::Stopping),
    }
}

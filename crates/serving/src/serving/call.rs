//! One request on its way through admission and the engine to its answer.

use crate::cache::{Answers, KeptAnswer, Key, LARGEST, Lookup, key};
use crate::deployment::Deployment;
use crate::error::ServeError;
use crate::event::Event;
use crate::pick::Chosen;
use crate::request::{Answer, InferRequest};
use crate::rules::summary;
use crate::run::{Loaded, Ran, Reply, Work};
use crate::stats::nanos;
use crate::traffic::Aside;
use mainspring_core::event::share_ns;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{Cached, Failure};
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
    /// Where its answer is to be kept.
    keep: Option<Box<Keep>>,
}

/// Where an answer is to be kept, and why it was not there.
struct Keep {
    answers: Arc<Answers>,
    key: Key,
    lookup: Lookup,
}

/// What a request that may be answered needs.
pub(super) enum Step {
    /// The model.
    Run(Admitted),
    /// Nothing: this was the answer before.
    Known { loaded: Arc<Loaded>, answer: Arc<KeptAnswer> },
}

impl Call {
    pub(super) fn new(event: Box<Event>) -> Self {
        Self { event: Some(event), admitted: false, impatient: false, aside: None, keep: None }
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

    /// Checks the request against what answers it, and finds its answer or counts it in.
    pub(super) fn begin(
        &mut self,
        request: InferRequest,
        chosen: Result<Chosen, ServeError>,
    ) -> Result<Step, ServeError> {
        let mut accepted = self.accept(request, chosen)?;
        if let (Some(answers), Some(event)) = (accepted.answers.take(), &self.event) {
            let started = Instant::now();
            let key = key(&event.inputs, accepted.params.as_ref());
            let (lookup, found) = if event.assignment.generation.is_some() {
                (Lookup::Bypass, None)
            } else {
                answers.find(&key, event.at).map_or((Lookup::Miss, None), |found| (Lookup::Hit, Some(found)))
            };
            event.recorder.looked_up(lookup, nanos(started.elapsed()));
            if let Some(answer) = found {
                return Ok(Step::Known { loaded: accepted.loaded, answer });
            }
            self.keep = Some(Box::new(Keep { answers, key, lookup }));
        }
        self.admit(accepted).map(Step::Run)
    }

    /// Checks the request against what answers it.
    pub(super) fn accept(
        &mut self,
        mut request: InferRequest,
        chosen: Result<Chosen, ServeError>,
    ) -> Result<Accepted, ServeError> {
        let Some(event) = self.event.as_mut() else { return Err(ServeError::Cancelled) };
        let accepted = chosen.and_then(|chosen| accept(event, &mut request, chosen));
        event.inputs = std::mem::take(&mut request.inputs).into();
        let (mut accepted, aside) = accepted?;
        (self.aside, accepted.deadline) = (aside, request.deadline);
        Ok(accepted)
    }

    /// Counts the request in.
    pub(super) fn admit(&mut self, accepted: Accepted) -> Result<Admitted, ServeError> {
        let Some(event) = self.event.as_mut() else { return Err(ServeError::Cancelled) };
        let Accepted { loaded, params, deadline: asked, .. } = accepted;
        let (deployment, received) = (Arc::clone(&event.deployment), event.received);
        let (id, rows, inputs) = (event.id, event.rows as usize, Arc::clone(&event.inputs));

        let limits = &deployment.spec.load().limits;
        admit(&deployment.in_flight, limits.max_in_flight as usize)
            .map_err(|in_flight| overloaded(&deployment, &loaded, in_flight))?;
        self.admitted = true;
        let own = limits.deadline.map(|d| received + d.0);
        self.impatient = asked.is_some_and(|asked| own.is_none_or(|own| asked < own));
        let deadline = match (own, asked) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if deadline.is_some_and(|d| d <= Instant::now()) {
            return Err(late(&deployment, received));
        }
        Ok(Admitted { loaded, work: Work { id, inputs, rows, params, deadline, parts: None } })
    }

    fn answer(&mut self, loaded: &Loaded, ran: Ran) -> Result<Answer, ServeError> {
        self.release();
        let ran = loaded.counted(ran);
        let Some(mut event) = self.event.take() else { return Err(ServeError::Cancelled) };
        event.ran(&ran);
        let outputs: Arc<[NamedTensor]> = ran.outputs.into();
        let mut cache = None;
        if let Some(keep) = self.keep.take() {
            let Keep { answers, key, lookup } = *keep;
            cache = Some(lookup);
            let answer = KeptAnswer {
                outputs: Arc::clone(&outputs),
                from: event.id,
                at: event.at,
                spent_ns: share_ns(ran.engine_ns, event.rows, ran.batch_rows),
                tokens: ran.tokens,
                batch_rows: ran.batch_rows,
            };
            loaded.keep(&answers, key, answer);
        }
        Ok(answer(loaded, event, (outputs, cache)))
    }

    /// Answers with what was kept.
    pub(super) fn known(&mut self, loaded: &Loaded, kept: &KeptAnswer) -> Result<Answer, ServeError> {
        let Some(mut event) = self.event.take() else { return Err(ServeError::Cancelled) };
        event.cached = Some(Cached { from: kept.from, saved_ns: kept.spent_ns });
        (event.tokens, event.batch_rows) = (kept.tokens, kept.batch_rows);
        Ok(answer(loaded, event, (Arc::clone(&kept.outputs), Some(Lookup::Hit))))
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
pub(super) struct Accepted {
    loaded: Arc<Loaded>,
    params: Option<Params>,
    /// The caller's own.
    deadline: Option<Instant>,
    /// Those of the version, where it keeps some.
    answers: Option<Arc<Answers>>,
}

fn answer(loaded: &Loaded, event: Box<Event>, (outputs, cache): (Arc<[NamedTensor]>, Option<Lookup>)) -> Answer {
    Answer {
        id: event.id,
        target: Arc::clone(&loaded.facts.contract.target),
        outputs,
        client_id: event.client_id.clone(),
        contract: Arc::clone(&loaded.facts.contract),
        batch_rows: event.batch_rows,
        flags: event.flags.as_ref().and_then(summary),
        cache,
        event: Some(event),
        answered: Instant::now(),
    }
}

/// Checks inputs and parameters against the version that was chosen. And what is to happen in the shadow of its answer.
fn accept(
    event: &mut Event,
    request: &mut InferRequest,
    mut chosen: Chosen,
) -> Result<(Accepted, Option<Box<Aside>>), ServeError> {
    chosen.decide(&event.id, &request.inputs);
    let Chosen { loaded, assignment, guard, shaded, .. } = chosen;
    (event.assignment, event.guard) = (assignment, guard);
    event.answers(&loaded);
    let spec = event.deployment.spec.load();
    let bytes = request.inputs.iter().map(|i| i.tensor.byte_len() as u64).sum();
    if let Some(limit) = spec.limits.max_request_bytes
        && bytes > limit.0
    {
        return Err(ServeError::TooLarge { name: event.deployment.name.to_string(), bytes, limit: limit.0 });
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
    let aside = shaded.and_then(|route| route.traffic.as_ref()?.aside(&loaded, &event.id, params.as_ref()));
    let answers = spec.cache.filter(|_| bytes <= LARGEST).and_then(|_| loaded.answers.load_full());
    Ok((Accepted { loaded, params, deadline: None, answers }, aside.map(Box::new)))
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

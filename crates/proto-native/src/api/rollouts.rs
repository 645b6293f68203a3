//! Rollouts: where they are, what was decided, and what a person wants.

use super::{Failures, Reply};
use crate::convert::rollouts::replayed;
use crate::dto::rollouts::{RolloutCourse, RolloutDecisions, RolloutList, RolloutOrder, RolloutReplay, RolloutView};
use crate::extract::{Params, Seg, page_size};
use crate::state::NativeState;
use axum::Json;
use axum::extract::State;
use mainspring_core::{Authorized, ErrorKind, Name, Timestamp};
use mainspring_http::{ApiError, Caller};
use mainspring_registry::ModelUri;
use mainspring_rollout::{
    Batch, Before, Course, Event, EventStream, Order, OrderRollout, Plan, PortError, ReadRollouts, Record, Replay,
    StartRollout, View, Wanted,
};
use serde::Deserialize;
use tokio::sync::Semaphore;
use utoipa::IntoParams;

/// Newest decisions among which the last one with numbers is looked for.
const LAST: u32 = 20;

fn named(name: &str) -> Result<Name, ApiError> {
    Name::new(name).map_err(|e| ApiError::new(ErrorKind::NotFound, format!("there is no rollout {name:?}: {e}")))
}

/// That there is no run of it, and why.
fn nobody(s: &NativeState, auth: &Authorized<ReadRollouts>, name: &Name) -> ApiError {
    let name = name.as_str();
    if s.rollouts.is_declared(auth) {
        let message = format!("rollout {name:?} is declared, and its first run has not begun yet");
        let hint = format!("ask again in a second; what keeps it says: mainspring get rollout {name}");
        return ApiError::new(ErrorKind::NotFound, message).hint(hint);
    }
    ApiError::new(ErrorKind::NotFound, format!("there is no rollout {name:?}"))
        .hint("declare one: mainspring apply -f, with kind: Rollout")
}

#[utoipa::path(get, path = "/api/v1/rollouts", operation_id = "listRollouts", tag = "rollouts",
    responses((status = 200, description = "The last run of each, by name", body = RolloutList), Failures))]
pub(crate) async fn list_rollouts(State(s): State<NativeState>, Caller(who): Caller) -> Reply<RolloutList> {
    let views = s.rollouts.list(&s.may(&who, ReadRollouts { rollout: None })?);
    Ok(Json(RolloutList { rollouts: views.iter().map(Into::into).collect() }))
}

/// One rollout with its numbers, and which of its versions nothing new may take.
async fn shown(s: &NativeState, auth: &Authorized<ReadRollouts>, name: &Name) -> Result<RolloutView, ApiError> {
    let mut view = numbers(s, auth, name).await?;
    for variant in &mut view.variants {
        let uri = variant.model.parse::<ModelUri>();
        variant.frozen = uri.ok().and_then(|uri| s.registry.frozen(auth.tenant(), &uri));
    }
    Ok(view)
}

/// The numbers of now, or after its end those of the last decision that had some.
async fn numbers(s: &NativeState, auth: &Authorized<ReadRollouts>, name: &Name) -> Result<RolloutView, ApiError> {
    let view = s.rollouts.status(auth).ok_or_else(|| nobody(s, auth, name))?;
    if view.report.is_some() || !view.run.state.phase.ended() {
        return Ok(RolloutView::from(&view));
    }
    let last = s.rollouts.decisions(auth, Some(view.run.number), u64::MAX, LAST).await?;
    Ok(RolloutView::of(&view, last.iter().find(|decision| decision.evidence.is_some())))
}

#[utoipa::path(get, path = "/api/v1/rollouts/{name}", operation_id = "getRollout", tag = "rollouts",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "Its last run", body = RolloutView), Failures))]
pub(crate) async fn get_rollout(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
) -> Reply<RolloutView> {
    let name = named(&name)?;
    let auth = s.may(&who, ReadRollouts { rollout: Some(name.clone()) })?;
    Ok(Json(shown(&s, &auth, &name).await?))
}

/// Which decisions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Which run; the last one when left out.
    run: Option<i64>,
    /// Only those before this number.
    before: Option<u64>,
    /// How many at most, up to 1000; 100 when left out.
    limit: Option<u32>,
}

#[utoipa::path(get, path = "/api/v1/rollouts/{name}/decisions", operation_id = "listRolloutDecisions", tag = "rollouts",
    params(("name" = String, Path, description = "Name"), Which),
    responses((status = 200, description = "Newest first", body = RolloutDecisions), Failures))]
pub(crate) async fn list_rollout_decisions(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
    Params(which): Params<Which>,
) -> Reply<RolloutDecisions> {
    let auth = s.may(&who, ReadRollouts { rollout: Some(named(&name)?) })?;
    let (before, limit) = (which.before.unwrap_or(u64::MAX), page_size(which.limit, 100)?);
    let decisions = s.rollouts.decisions(&auth, which.run, before, limit).await?;
    Ok(Json(RolloutDecisions { decisions: decisions.iter().map(Into::into).collect() }))
}

#[utoipa::path(post, path = "/api/v1/rollouts/{name}/start", operation_id = "startRollout", tag = "rollouts",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "The next run of what is declared", body = RolloutView), Failures))]
pub(crate) async fn start_rollout(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
) -> Reply<RolloutView> {
    let name = named(&name)?;
    s.rollouts.start(&s.may(&who, StartRollout { rollout: name.clone() })?).await?;
    s.rollouts.refresh().await?;
    let read = s.may(&who, ReadRollouts { rollout: Some(name.clone()) })?;
    let view = s.rollouts.status(&read).ok_or_else(|| nobody(&s, &read, &name))?;
    Ok(Json(RolloutView::from(&view)))
}

#[utoipa::path(post, path = "/api/v1/rollouts/{name}/orders/{order}", operation_id = "orderRollout", tag = "rollouts",
    params(("name" = String, Path, description = "Name"), ("order" = RolloutOrder, Path, description = "What to do"), Whom),
    responses((status = 200, description = "It is done", body = RolloutView), Failures))]
pub(crate) async fn order_rollout(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg((name, order)): Seg<(String, RolloutOrder)>,
    Params(whom): Params<Whom>,
) -> Reply<RolloutView> {
    let name = named(&name)?;
    let read = s.may(&who, ReadRollouts { rollout: Some(name.clone()) })?;
    let order = match &whom.candidate {
        Some(candidate) => one(&s.rollouts.status(&read).ok_or_else(|| nobody(&s, &read, &name))?, order, candidate)?,
        None => order.into(),
    };
    // It is printed on terminals, which obey such characters.
    let plain = |reason: String| reason.replace(char::is_control, " ");
    let reason = whom.reason.map(plain).filter(|reason| !reason.trim().is_empty());
    if let Some(long) = reason.as_ref().map(|reason| reason.chars().count()).filter(|count| *count > REASON) {
        let message = format!("a reason has at most {REASON} characters, and this one {long}");
        return Err(ApiError::new(ErrorKind::InvalidInput, message));
    }
    s.rollouts.order(&s.may(&who, OrderRollout { rollout: name.clone(), order, reason })?).await?;
    Ok(Json(shown(&s, &read, &name).await?))
}

/// Whom an order is about, and why it is given.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Whom {
    /// The candidate to promote, by its name; left out, it is the one that leads or the only one that is left.
    candidate: Option<String>,
    /// Why, in a sentence of at most 500 characters: the decision tells it, and whoever is told of the decision.
    reason: Option<String>,
}

/// Characters of a reason.
const REASON: usize = 500;

/// The order for one of several candidates.
fn one(view: &View, order: RolloutOrder, candidate: &str) -> Result<Order, ApiError> {
    if order != RolloutOrder::Promote {
        return Err(ApiError::new(ErrorKind::InvalidInput, "only an order to promote names a candidate"));
    }
    let all = &view.run.spec.candidates;
    let place = all.iter().position(|c| c.name.as_str() == candidate).and_then(|at| u16::try_from(at + 1).ok());
    place.map(Order::PromoteOne).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|c| c.name.as_str()).collect();
        let message = format!("rollout {:?} has no candidate {candidate:?}", view.run.name.as_str());
        ApiError::new(ErrorKind::InvalidInput, message).hint(format!("it has: {}", names.join(", ")))
    })
}

/// Of which run.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfRun {
    /// Which run; the last one when left out.
    run: Option<i64>,
}

#[utoipa::path(post, path = "/api/v1/rollouts/{name}/replay", operation_id = "replayRollout", tag = "rollouts",
    params(("name" = String, Path, description = "Name"), OfRun),
    responses((status = 200, description = "Whether the same decisions follow from the journal", body = RolloutReplay), Failures))]
pub(crate) async fn replay_rollout(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
    Params(which): Params<OfRun>,
) -> Reply<RolloutReplay> {
    let auth = s.may(&who, ReadRollouts { rollout: Some(named(&name)?) })?;
    let _reading = READING.acquire().await;
    let (record, stream) = recorded(&s, &auth, which.run).await?;
    let decisions = record.decisions.len();
    // What came after the last decision that rests on something decides nothing.
    let cuts = record.decisions.iter().filter_map(|d| d.evidence.as_ref().map(|evidence| evidence.cut));
    let last = cuts.max().unwrap_or(Timestamp(i64::MIN));
    let replay = folded(stream, Replay::new(record), Replay::push, last).await?;
    let found = aside(move || replay.finish()).await?;
    Ok(Json(replayed(decisions, &found)))
}

#[utoipa::path(get, path = "/api/v1/rollouts/{name}/course", operation_id = "getRolloutCourse", tag = "rollouts",
    params(("name" = String, Path, description = "Name"), OfRun),
    responses((status = 200, description = "The effect of each metric as it stood over time, from the journal", body = RolloutCourse), Failures))]
pub(crate) async fn get_rollout_course(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
    Params(which): Params<OfRun>,
) -> Reply<RolloutCourse> {
    let auth = s.may(&who, ReadRollouts { rollout: Some(named(&name)?) })?;
    let _reading = READING.acquire().await;
    let (record, stream) = recorded(&s, &auth, which.run).await?;
    // What comes after the end changes nothing, and a run that goes on always has more.
    let last = if record.state.phase.ended() { record.state.since } else { s.ctx.now() };
    let course = folded(stream, Course::new(record), Course::push, last).await?;
    let metrics = aside(move || course.finish()).await?;
    Ok(Json(RolloutCourse { metrics: metrics.iter().map(Into::into).collect() }))
}

fn unread(error: PortError) -> ApiError {
    ApiError::new(ErrorKind::Unavailable, error.to_string())
}

/// Runs that are read from the journal at once; who comes then waits. Each takes a core and the memory of a ledger.
static READING: Semaphore = Semaphore::const_new(2);

/// A run, and the events of its time that the journal has.
async fn recorded(
    s: &NativeState,
    auth: &Authorized<ReadRollouts>,
    run: Option<i64>,
) -> Result<(Record, Box<dyn EventStream>), ApiError> {
    let mut record = s.rollouts.record(auth, run).await?;
    let plan = Plan::of(&record.spec);
    let (tenant, deployment) = (auth.tenant().clone(), record.spec.deployment.clone());
    let begun = record.decisions.iter().find(|d| d.generation > 0);
    let metrics = plan.before();
    if let (Some(begun), false) = (begun, metrics.is_empty()) {
        let (tenant, deployment) = (tenant.clone(), deployment.clone());
        let unit = record.spec.assignment.unit.clone();
        let before = Before { tenant, deployment, until: begun.at, unit, metrics };
        record.earlier = s.rollout_events.before(before).await.map_err(unread)?;
    }
    let wanted = Wanted {
        tenant,
        deployment,
        from: record.created_at,
        generation: begun.map_or(0, |d| d.generation),
        labels: plan.labels(),
        outputs: plan.outputs(),
        inputs: plan.inputs(),
    };
    let stream = s.rollout_events.follow(wanted).await.map_err(unread)?;
    Ok((record, stream))
}

/// Pushes the events into `into` until none is left of the past, or none before `last` is missing.
async fn folded<T: Send + 'static>(
    mut stream: Box<dyn EventStream>,
    mut into: T,
    push: fn(&mut T, Vec<Event>, Timestamp),
    last: Timestamp,
) -> Result<T, ApiError> {
    loop {
        let Batch { events, complete_until, reading } = stream.next().await.map_err(unread)?;
        let over = (events.is_empty() && !reading) || complete_until >= last;
        into = aside(move || {
            push(&mut into, events, complete_until);
            into
        })
        .await?;
        if over {
            return Ok(into);
        }
    }
}

/// Seconds of work for a rollout of millions of answers.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let bug = |_| ApiError::new(ErrorKind::Internal, "what reads the journal stopped at a bug");
    tokio::task::spawn_blocking(work).await.map_err(bug)
}

//! Rollouts: where they are, what was decided, and what a person wants.

use super::{Failures, Reply};
use crate::convert::rollouts::replayed;
use crate::dto::rollouts::{RolloutDecisions, RolloutList, RolloutOrder, RolloutReplay, RolloutView};
use crate::extract::{Params, Seg, page_size};
use crate::state::NativeState;
use axum::Json;
use axum::extract::State;
use mainspring_core::{Authorized, ErrorKind, Name, Timestamp};
use mainspring_http::{ApiError, Caller};
use mainspring_registry::ModelUri;
use mainspring_rollout::{Batch, Before, Order, OrderRollout, Plan, ReadRollouts, Replay, StartRollout, View, Wanted};
use serde::Deserialize;
use utoipa::IntoParams;

/// Newest decisions among which the last one with numbers is looked for.
const LAST: u32 = 20;

fn named(name: &str) -> Result<Name, ApiError> {
    Name::new(name).map_err(|e| ApiError::new(ErrorKind::NotFound, format!("there is no rollout {name:?}: {e}")))
}

fn nobody(name: &Name) -> ApiError {
    ApiError::new(ErrorKind::NotFound, format!("there is no rollout {:?}", name.as_str()))
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
    let view = s.rollouts.status(auth).ok_or_else(|| nobody(name))?;
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
    let view = s.rollouts.status(&s.may(&who, ReadRollouts { rollout: Some(name.clone()) })?);
    Ok(Json(RolloutView::from(&view.ok_or_else(|| nobody(&name))?)))
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
        Some(candidate) => one(&s.rollouts.status(&read).ok_or_else(|| nobody(&name))?, order, candidate)?,
        None => order.into(),
    };
    let reason = whom.reason.filter(|reason| !reason.trim().is_empty());
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
    let mut record = s.rollouts.record(&auth, which.run).await?;
    let plan = Plan::of(&record.spec);
    let generation = record.decisions.iter().map(|d| d.generation).find(|g| *g > 0).unwrap_or(0);
    let wanted = Wanted {
        tenant: auth.tenant().clone(),
        deployment: record.spec.deployment.clone(),
        from: record.created_at,
        generation,
        labels: plan.labels(),
        outputs: plan.outputs(),
        inputs: plan.inputs(),
    };
    let failed = |e: mainspring_rollout::PortError| ApiError::new(ErrorKind::Unavailable, e.to_string());
    let metrics = plan.before();
    let begun = record.decisions.iter().find(|d| d.generation > 0).map(|d| d.at);
    if let (Some(until), false) = (begun, metrics.is_empty()) {
        let (tenant, deployment) = (wanted.tenant.clone(), wanted.deployment.clone());
        let unit = record.spec.assignment.unit.clone();
        let before = Before { tenant, deployment, until, unit, metrics };
        record.earlier = s.rollout_events.before(before).await.map_err(failed)?;
    }
    let mut stream = s.rollout_events.follow(wanted).await.map_err(failed)?;
    let decisions = record.decisions.len();
    // What came after the last decision that rests on something decides nothing.
    let cuts = record.decisions.iter().filter_map(|d| d.evidence.as_ref().map(|evidence| evidence.cut));
    let last = cuts.max().unwrap_or(Timestamp(i64::MIN));
    let bug = |_| ApiError::new(ErrorKind::Internal, "the replay stopped at a bug");
    let mut replay = Replay::new(record);
    loop {
        let Batch { events, complete_until, reading } = stream.next().await.map_err(failed)?;
        if events.is_empty() && !reading {
            break;
        }
        // Seconds of work for a rollout of millions of answers.
        let part = tokio::task::spawn_blocking(move || {
            replay.push(events, complete_until);
            replay
        });
        replay = part.await.map_err(bug)?;
        if complete_until >= last {
            break;
        }
    }
    let found = tokio::task::spawn_blocking(move || replay.finish()).await.map_err(bug)?;
    Ok(Json(replayed(decisions, &found)))
}

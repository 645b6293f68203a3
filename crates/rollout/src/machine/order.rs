//! What people may order.

use super::approval::{self, Who};
use super::row::Traffic;
use super::step::{self, Draft};
use super::{DecisionKind, Machine, Phase, RowFailed, State, Transition, signals};
use crate::spec::{ApprovalPoint, StepSpec};
use mainspring_core::{ErrorKind, Failure, Timestamp};
use serde::{Deserialize, Serialize};

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// Stop where it is; guardrails are watched on.
    Pause,
    /// Go on, past the signals that stopped it until they are calm.
    Resume,
    /// Give the candidate all the traffic, whatever the evidence says; of several the one that leads. Where it has that already
    /// and nobody can look into its window, keep it.
    Promote,
    /// Give this one of several candidates all the traffic, from 1.
    PromoteOne(u16),
    /// Give stable all the traffic.
    Abort,
    /// Go on to the next step, whatever the evidence says; past signals as [`Order::Resume`].
    Skip,
    /// Agree to what is waiting.
    Approve,
}

impl Order {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote | Self::PromoteOne(_) => "promote",
            Self::Abort => "abort",
            Self::Skip => "skip",
            Self::Approve => "approve",
        }
    }

    /// Whether it gives a candidate all the traffic.
    pub(super) fn promotes(self) -> bool {
        matches!(self, Self::Promote | Self::PromoteOne(_))
    }
}

/// The state forbids an order.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OrderError {
    /// It makes no sense now.
    #[error("rollout {rollout:?} is {phase}: it cannot {order}; {instead}")]
    Phase {
        /// The rollout.
        rollout: String,
        /// Its phase.
        phase: &'static str,
        /// The order.
        order: &'static str,
        /// What can be done.
        instead: &'static str,
    },
    /// Somebody else must agree.
    #[error("{by} cannot approve rollout {rollout:?}: {why}")]
    Approver {
        /// The rollout.
        rollout: String,
        /// Who.
        by: String,
        /// Why not, and who is missing.
        why: String,
    },
    /// A bug.
    #[error(transparent)]
    Row(#[from] RowFailed),
}

impl Failure for OrderError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Phase { .. } => ErrorKind::Conflict,
            Self::Approver { .. } => ErrorKind::Denied,
            Self::Row(_) => ErrorKind::Internal,
        }
    }
}

pub(super) fn order(
    machine: &Machine<'_>,
    state: &State,
    order: Order,
    who: &Who,
    now: Timestamp,
) -> Result<Transition, OrderError> {
    let mut done = carried_out(machine, state, order, who, now)?;
    if let Some(reason) = &who.reason {
        let decision = &mut done.decision;
        decision.sentence = format!("{}; the reason given: {reason}", decision.sentence);
        decision.reason = Some(reason.clone());
    }
    Ok(done)
}

fn carried_out(
    machine: &Machine<'_>,
    state: &State,
    order: Order,
    who: &Who,
    now: Timestamp,
) -> Result<Transition, OrderError> {
    let Who { by, groups, .. } = who;
    let draft = Draft { machine, state, now, by, groups, order: Some(order), evidence: None, facts: None };
    let refuse = |instead: &'static str| {
        let (rollout, phase) = (machine.name.to_owned(), state.phase.words());
        Err(OrderError::Phase { rollout, phase, order: order.as_str(), instead })
    };
    let routed =
        matches!(state.phase, Phase::Step | Phase::Paused | Phase::Alarmed | Phase::Review | Phase::Approval(_));
    match order {
        Order::Pause if matches!(state.phase, Phase::Step | Phase::Alarmed) => {
            Ok(draft.stay(Phase::Paused, DecisionKind::Paused, format!("{by} paused it; the weights stay as they are")))
        }
        Order::Pause => refuse("only a rollout in a step can be paused"),
        Order::Resume if matches!(state.phase, Phase::Paused | Phase::Alarmed) => {
            let (passing, said) = signals::let_pass(state, state.step);
            let draft = Draft { state: &passing, ..draft };
            Ok(draft.stay(Phase::Step, DecisionKind::Resumed, format!("{by} resumed it{said}")))
        }
        Order::Resume => refuse("only a paused rollout can be resumed"),
        Order::Approve => match state.phase {
            Phase::Approval(point) => approval::approve(&draft, point),
            _ => refuse("nothing waits for an approval"),
        },
        Order::Skip if matches!(state.phase, Phase::Step | Phase::Paused | Phase::Alarmed) => {
            let next = state.step + 1;
            if usize::from(next) >= machine.spec.steps.len() {
                return refuse("this is its last step; promote or abort it");
            }
            let (passing, said) = signals::let_pass(state, next);
            let draft = Draft { state: &passing, ..draft };
            Ok(step::enter(&draft, next, format!("{by} skipped to the next step{said}"), Vec::new())?)
        }
        Order::Skip => refuse("only a step can be skipped"),
        Order::Promote | Order::PromoteOne(_) if state.phase == Phase::Watching => {
            let Some(hold) = state.hold.as_ref() else {
                return refuse("it is promoted, and its window ends by itself; abort takes it back");
            };
            if asked(machine, state, order).is_err() {
                return refuse("another candidate has all the traffic; abort takes it back");
            }
            let sentence = format!("{by} kept {} before the window was over: {}", draft.candidate(), hold.reason);
            Ok(step::remove(&draft, Phase::Succeeded, DecisionKind::Succeeded, sentence))
        }
        Order::Promote | Order::PromoteOne(_) if !routed || state.started.is_none() => {
            refuse("only what is being compared can be promoted")
        }
        Order::Promote | Order::PromoteOne(_) if bypassed(machine, state) => refuse(
            "people or webhooks must agree before that, and an order is not enough; approve it, or skip to where it is asked",
        ),
        Order::Promote | Order::PromoteOne(_) => {
            let chosen = match asked(machine, state, order) {
                Ok(chosen) => chosen,
                Err(instead) => return refuse(instead),
            };
            let sentence = format!("{by} promoted {}, whatever the evidence says", machine.name_of(chosen));
            Ok(step::promote(&draft, chosen, sentence, Vec::new())?)
        }
        Order::Abort if !state.phase.ended() => Ok(step::roll_back(&draft, format!("{by} aborted it"), Vec::new())?),
        Order::Abort => refuse("it has ended"),
    }
}

/// The candidate that an order to promote means, from 1, or why it means none.
fn asked(machine: &Machine<'_>, state: &State, order: Order) -> Result<u16, &'static str> {
    let Order::PromoteOne(one) = order else {
        return machine.leading(state).ok_or("several candidates are left and none leads yet; say which one");
    };
    let left = machine.live(state).contains(&one);
    left.then_some(one).ok_or("that candidate is not there any more; promote one that is left")
}

/// Whether an order makes sense to somebody who may give it, in a phase that has it.
pub(super) fn is_open(machine: &Machine<'_>, state: &State, order: Order) -> bool {
    match order {
        Order::Skip => usize::from(state.step) + 1 < machine.spec.steps.len(),
        Order::Promote | Order::PromoteOne(_) => state.phase == Phase::Watching || !bypassed(machine, state),
        Order::Pause | Order::Resume | Order::Approve | Order::Abort => true,
    }
}

/// Whether an order to promote would go past people or webhooks that must agree: where it waits for them, or before a later step.
fn bypassed(machine: &Machine<'_>, state: &State) -> bool {
    let waits = |point| approval::binding(machine.spec, state, point);
    let ahead = machine.spec.steps.iter().skip(usize::from(state.step) + 1);
    let now = matches!(state.phase, Phase::Approval(point) if waits(point));
    now || ahead.map(StepSpec::point).any(waits)
}

/// Everybody has agreed; `webhooks` are the checks of those that have.
pub(super) fn approved(
    draft: &Draft<'_>,
    point: ApprovalPoint,
    webhooks: Vec<String>,
) -> Result<Transition, RowFailed> {
    let mut state = draft.state.clone();
    if !state.approved.contains(&point) {
        state.approved.push(point);
    }
    let draft = Draft { state: &state, ..*draft };
    let all: Vec<&str> = state.agreed.iter().filter(|a| a.point == point).map(|a| a.by.as_str()).collect();
    let alone = webhooks.is_empty() && all.len() <= 1 && draft.order.is_some();
    let people = if alone { draft.by.to_owned() } else { all.join(" and ") };
    let people = (!people.is_empty()).then(|| format!("{people} approved"));
    let agreed = webhooks.iter().map(|name| format!("{} agreed", name.replacen(':', " ", 1)));
    let sentence = people.into_iter().chain(agreed).collect::<Vec<_>>().join(", ");
    if point == ApprovalPoint::Promotion {
        return step::promote(&draft, state.chosen.unwrap_or(1), sentence, webhooks);
    }
    let (next, traffic) = (state.step, &draft.machine.spec.steps);
    let Some(spec) = traffic.get(usize::from(next)) else { return Err(RowFailed::Missing("step")) };
    draft.go(
        step::Going { phase: Phase::Step, step: next, traffic: Traffic::Step(spec), kind: DecisionKind::Approved },
        sentence,
        webhooks,
    )
}

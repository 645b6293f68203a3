//! Webhooks that must agree: when they are asked, and what their answers mean.

use super::{Facts, HoldCause, Phase, Readiness, State, approval};
use crate::spec::{ApprovalPoint, RolloutSpec, WebhookSpec};

/// Webhooks that are asked now; all of them must agree at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate<'a> {
    /// Before what; nothing is the first step, in the preflight.
    pub before: Option<ApprovalPoint>,
    /// Which ones.
    pub webhooks: Vec<&'a WebhookSpec>,
}

/// What the webhooks of a gate said.
pub(super) enum Said {
    /// All of them agreed: their checks.
    Yes(Vec<String>),
    /// One did not, in words.
    No(String),
    /// Not all have answered.
    Nothing,
}

/// The webhooks that are asked at a point the next time, or now.
pub fn asked<'a>(
    spec: &'a RolloutSpec,
    state: &State,
    point: ApprovalPoint,
) -> impl Iterator<Item = &'a WebhookSpec> + use<'a> {
    approval::entries(spec, state, point).filter_map(|a| a.webhook.as_ref())
}

/// The gate that a rollout stands before. It is the last thing that is asked, so that an answer is about what is known when it
/// goes on: a preflight asks once everything else holds, an approval once the people have agreed.
pub(super) fn gate<'a>(spec: &'a RolloutSpec, state: &State, facts: &Facts) -> Option<Gate<'a>> {
    let (before, webhooks): (_, Vec<_>) = match state.phase {
        Phase::Preflight if held(facts) => (None, spec.preflight.webhooks.iter().collect()),
        // What is held for another reason goes nowhere, whatever they say.
        Phase::Approval(point) if approval::agreed(spec, state, point) && heeds(state) => {
            (Some(point), asked(spec, state, point).collect())
        }
        _ => return None,
    };
    (!webhooks.is_empty()).then_some(Gate { before, webhooks })
}

/// Whether a webhook's answer would change anything.
fn heeds(state: &State) -> bool {
    state.hold.as_ref().is_none_or(|hold| hold.cause == HoldCause::Webhook)
}

/// Whether the candidate is ready and everything that was checked holds.
pub(super) fn held(facts: &Facts) -> bool {
    facts.candidate == Readiness::Ready && facts.checks.iter().all(|check| check.passed == Some(true))
}

impl Gate<'_> {
    /// What its webhooks said. One of which nothing is known has not agreed.
    pub(super) fn said(&self, facts: &Facts) -> Said {
        let mut agreed = Vec::new();
        let mut open = false;
        for webhook in &self.webhooks {
            let name = webhook.check_name();
            match facts.webhooks.iter().find(|check| check.name == name) {
                Some(check) if check.passed == Some(false) => {
                    return Said::No(format!("webhook {} {}", webhook.name, check.detail));
                }
                Some(check) if check.passed == Some(true) => agreed.push(name),
                _ => open = true,
            }
        }
        if open { Said::Nothing } else { Said::Yes(agreed) }
    }
}

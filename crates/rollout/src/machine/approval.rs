//! Who must agree, who has, and who is missing.

use super::order::OrderError;
use super::running::{self, Barred};
use super::step::{self, Draft, over};
use super::webhook::{self, Said};
use super::{DecisionKind, HoldCause, Input, RowChange, RowFailed, State, Transition};
use crate::spec::{ApprovalPoint, ApprovalSpec, RolloutSpec};
use mainspring_core::{Principal, Timestamp};
use serde::{Deserialize, Serialize};

/// Who orders something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// As audit knows them: `key:ab12cd34`, `session:ab12cd34`, `loopback`.
    pub by: String,
    /// The groups that they are in.
    pub groups: Vec<String>,
    /// Why they do, in their words.
    pub reason: Option<String>,
}

impl Who {
    /// Somebody in no group.
    pub fn new(by: &str) -> Self {
        Self { by: by.to_owned(), groups: Vec::new(), reason: None }
    }
}

impl From<&Principal> for Who {
    fn from(who: &Principal) -> Self {
        let groups = who.groups.iter().map(ToString::to_string).collect();
        Self { by: who.subject.to_string(), groups, reason: None }
    }
}

/// One person, however they came in: a session is the key that it was opened with.
pub(crate) fn person(subject: &str) -> String {
    subject.strip_prefix("session:").map_or_else(|| subject.to_owned(), |key| format!("key:{key}"))
}

/// Somebody agreed to what is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agreement {
    /// To what.
    pub point: ApprovalPoint,
    /// Who.
    pub by: String,
    /// In which groups they were.
    pub groups: Vec<String>,
    /// When.
    pub at: Timestamp,
}

/// Agreements that one entry of `approvals` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Of whom; nothing is anybody who may order.
    pub group: Option<String>,
    /// Of how many.
    pub wanted: u8,
    /// Who has agreed.
    pub by: Vec<String>,
}

impl Need {
    /// How many are missing.
    pub fn missing(&self) -> usize {
        usize::from(self.wanted).saturating_sub(self.by.len())
    }

    fn takes(&self, groups: &[String]) -> bool {
        self.group.as_ref().is_none_or(|group| groups.contains(group))
    }
}

/// Who is asked at a point the next time, or now where a rollout waits there: everybody the first time, later on whoever is asked
/// at every step.
pub fn entries<'a>(
    spec: &'a RolloutSpec,
    state: &State,
    point: ApprovalPoint,
) -> impl Iterator<Item = &'a ApprovalSpec> + use<'a> {
    let before = state.approved.contains(&point);
    spec.approvals.iter().filter(move |a| a.before == point && (a.every_step || !before))
}

/// What people are asked at a point, and who has agreed.
pub fn needs(spec: &RolloutSpec, state: &State, point: ApprovalPoint) -> Vec<Need> {
    let entries = entries(spec, state, point).filter(|a| a.webhook.is_none());
    let need = |entry: &ApprovalSpec| Need {
        group: entry.group.as_ref().map(ToString::to_string),
        wanted: entry.approvals,
        by: Vec::new(),
    };
    let mut needs: Vec<Need> = entries.map(need).collect();
    let agreed: Vec<&Agreement> = state.agreed.iter().filter(|a| a.point == point).collect();
    for one in &agreed {
        let mut tried = vec![false; needs.len()];
        counted(&mut needs, &agreed, one, &mut tried);
    }
    needs
}

/// Counts an agreement for one of the needs that it fits, if need be by counting another for another one: whoever is in two
/// groups speaks for one of them, the one where nobody else does.
fn counted(needs: &mut [Need], agreed: &[&Agreement], one: &Agreement, tried: &mut [bool]) -> bool {
    for at in 0..needs.len() {
        if tried[at] || !needs[at].takes(&one.groups) {
            continue;
        }
        tried[at] = true;
        if needs[at].missing() > 0 {
            needs[at].by.push(one.by.clone());
            return true;
        }
        for place in 0..needs[at].by.len() {
            let Some(other) = agreed.iter().find(|a| a.by == needs[at].by[place]) else { continue };
            if counted(needs, agreed, other, tried) {
                needs[at].by[place].clone_from(&one.by);
                return true;
            }
        }
    }
    false
}

/// When what is asked lapses.
pub fn lapses(spec: &RolloutSpec, state: &State, point: ApprovalPoint) -> Option<Timestamp> {
    let shortest = entries(spec, state, point).filter_map(|a| a.expires).map(|e| e.0).min()?;
    Some(state.since.plus_micros(i64::try_from(shortest.as_micros()).unwrap_or(i64::MAX)))
}

/// Whether a group or several people must agree at a point the next time, or now: whoever began it may not.
pub fn strict(spec: &RolloutSpec, state: &State, point: ApprovalPoint) -> bool {
    entries(spec, state, point).any(ApprovalSpec::strict)
}

/// Whether an order is not enough to go past a point: a group, several people or a webhook must agree.
pub(super) fn binding(spec: &RolloutSpec, state: &State, point: ApprovalPoint) -> bool {
    strict(spec, state, point) || webhook::asked(spec, state, point).next().is_some()
}

/// Whether all people who must agree at a point have.
pub(super) fn agreed(spec: &RolloutSpec, state: &State, point: ApprovalPoint) -> bool {
    needs(spec, state, point).iter().all(|need| need.missing() == 0)
}

/// The state in which a point is asked: what was agreed to at an earlier time does not count.
pub(super) fn asked(state: &State, point: ApprovalPoint) -> State {
    let mut state = state.clone();
    state.agreed.retain(|a| a.point != point);
    state
}

/// Whether people are asked at a point, or webhooks alone.
pub(super) fn asks(spec: &RolloutSpec, state: &State, point: ApprovalPoint) -> DecisionKind {
    let people = needs(spec, state, point).iter().any(|need| need.missing() > 0);
    if people { DecisionKind::ApprovalAsked } else { DecisionKind::WebhookAsked }
}

/// Who is missing: `1 more approval of group risk, then webhook change-board`.
pub(super) fn missing(spec: &RolloutSpec, state: &State, point: ApprovalPoint) -> String {
    let people = people(&needs(spec, state, point));
    let webhooks: Vec<String> = webhook::asked(spec, state, point).map(|w| format!("webhook {}", w.name)).collect();
    let both = [people, webhooks.join(" and ")];
    both.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", then ")
}

fn people(needs: &[Need]) -> String {
    let words = |need: &Need| {
        let of = need.group.as_ref().map(|group| format!(" of group {group}")).unwrap_or_default();
        let more = if need.by.is_empty() { "" } else { " more" };
        format!("{}{more} approval{}{of}", need.missing(), if need.missing() == 1 { "" } else { "s" })
    };
    needs.iter().filter(|n| n.missing() > 0).map(words).collect::<Vec<_>>().join(" and ")
}

/// Somebody agrees to what is asked.
pub(super) fn approve(draft: &Draft<'_>, point: ApprovalPoint) -> Result<Transition, OrderError> {
    let (spec, me) = (draft.machine.spec, person(draft.by));
    let (open, left) = (needs(spec, draft.state, point), missing(spec, draft.state, point));
    let refuse = |why: String| {
        let (rollout, by) = (draft.machine.name.to_owned(), draft.by.to_owned());
        Err(OrderError::Approver { rollout, by, why })
    };
    if strict(spec, draft.state, point) && draft.state.starter.as_ref() == Some(&me) {
        return refuse(format!("whoever began it may not; it waits for {left}"));
    }
    if draft.state.agreed.iter().any(|a| a.point == point && a.by == me) {
        return refuse(format!("they have already; it waits for {left}"));
    }
    let mut state = draft.state.clone();
    state.agreed.push(Agreement { point, by: me, groups: draft.groups.to_vec(), at: draft.now });
    let after = needs(spec, &state, point);
    let count = |needs: &[Need]| needs.iter().map(|need| need.by.len()).sum::<usize>();
    if count(&after) == count(&open) {
        return refuse(format!("it waits for {left}"));
    }
    let left = missing(spec, &state, point);
    if let Some(hold) = state.hold.clone().filter(|_| left.is_empty()) {
        let sentence = format!("{} approved; it goes on once this is gone: {}", draft.by, hold.reason);
        return Ok(draft.done(state, RowChange::Keep, DecisionKind::Agreed, sentence));
    }
    if left.is_empty() {
        return Ok(super::order::approved(&Draft { state: &state, ..*draft }, point, Vec::new())?);
    }
    let sentence = format!("{} approved; it waits for {left}", draft.by);
    Ok(draft.done(state, RowChange::Keep, DecisionKind::Agreed, sentence))
}

/// What follows by itself while somebody is waited for: nothing without a webhook, until it lapses.
pub(super) fn waiting(
    draft: &Draft<'_>,
    input: Input<'_>,
    point: ApprovalPoint,
) -> Result<Option<Transition>, RowFailed> {
    let facts = input.facts;
    if let Some(back) = lapsed(draft, point)? {
        return Ok(Some(back));
    }
    match running::barred(draft, input)? {
        Some(Barred::Back(back)) => return Ok(Some(*back)),
        Some(Barred::Holds(cause, reason)) => return Ok(draft.hold(cause, reason)),
        None => {}
    }
    if draft.state.hold.as_ref().is_some_and(|hold| hold.cause != HoldCause::Webhook) {
        let state = State { hold: None, ..draft.state.clone() };
        let sentence = "released: what held it is gone".to_owned();
        return Ok(Some(draft.done(state, RowChange::Keep, DecisionKind::Released, sentence)));
    }
    if missing(draft.machine.spec, draft.state, point).is_empty() {
        // They agreed while it was held.
        return super::order::approved(draft, point, Vec::new()).map(Some);
    }
    let Some(gate) = webhook::gate(draft.machine.spec, draft.state, facts) else { return Ok(None) };
    match gate.said(facts) {
        Said::Yes(names) => super::order::approved(draft, point, names).map(Some),
        Said::No(why) => Ok(draft.hold_anew(HoldCause::Webhook, why)),
        Said::Nothing => Ok(None),
    }
}

/// Nobody, or too few, agreed in time.
fn lapsed(draft: &Draft<'_>, point: ApprovalPoint) -> Result<Option<Transition>, RowFailed> {
    let entries = entries(draft.machine.spec, draft.state, point);
    let Some(expires) = entries.filter_map(|a| a.expires).min_by_key(|e| e.0) else { return Ok(None) };
    if !over(draft.now, draft.state.since, expires) {
        return Ok(None);
    }
    let (spec, state) = (draft.machine.spec, draft.state);
    let (people, missing) = (people(&needs(spec, state, point)), missing(spec, state, point));
    let said = state.hold.as_ref().filter(|h| h.cause == HoldCause::Webhook);
    let sentence = match said {
        _ if !people.is_empty() => format!("{people} did not come within {expires}"),
        Some(hold) => format!("{}; it did not agree within {expires}", hold.reason),
        None => format!("{missing} did not agree within {expires}"),
    };
    step::roll_back(draft, sentence, vec!["approvals".to_owned()]).map(Some)
}

//! The state machine: what is known, and what is done about it. No I/O, no clock, no randomness: the same inputs give the
//! same decisions, today and when a journal is replayed.

mod approval;
mod bandit;
mod contextual;
mod order;
mod row;
mod running;
mod signals;
mod step;
#[cfg(test)]
mod tests;
mod webhook;
mod words;

pub(crate) use approval::person;
pub use approval::{Agreement, Need, Who, lapses, needs, strict};
pub use order::{Order, OrderError};
pub use row::RowFailed;
pub use signals::Signal;
pub use webhook::{Gate, asked};

use crate::ledger::{Report, Stratum};
use crate::rehearsal::Rehearsed;
use crate::spec::{ApprovalPoint, RolloutSpec, STABLE};
use mainspring_core::Timestamp;
use mainspring_traffic::{Row, Share};
use serde::{Deserialize, Serialize};

/// Where a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// It waits for the deployment to be free.
    Pending,
    /// The candidate is loaded and checked; nobody gets its answers.
    Preflight,
    /// In a step; [`State::hold`] says when it does not go on.
    Step,
    /// A person must agree before it goes on.
    Approval(ApprovalPoint),
    /// Stopped where it is, by a person.
    Paused,
    /// Stopped where it is by a signal; goes on by itself.
    Alarmed,
    /// Time is up without a verdict: a person promotes or aborts.
    Review,
    /// The candidate has all the traffic; the deployment's own model follows.
    Promoting,
    /// Promoted; late labels can still reverse it.
    Watching,
    /// The candidate is what the deployment serves. The end.
    Succeeded,
    /// Stable has all the traffic again. The end.
    RolledBack,
}

impl Phase {
    /// Whether nothing follows any more but taking the row away.
    pub fn ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::RolledBack)
    }

    /// The same in a sentence.
    pub fn words(self) -> &'static str {
        if self == Self::RolledBack { "rolled back" } else { self.as_str() }
    }

    /// The stable word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Preflight => "preflight",
            Self::Step => "step",
            Self::Approval(_) => "approval",
            Self::Paused => "paused",
            Self::Alarmed => "alarmed",
            Self::Review => "review",
            Self::Promoting => "promoting",
            Self::Watching => "watching",
            Self::Succeeded => "succeeded",
            Self::RolledBack => "rolledBack",
        }
    }
}

/// The models of all variants, pinned to versions when the rollout begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pins {
    /// What the deployment answers with now.
    pub stable: String,
    /// What may take its place, in the order of the spec. A single text is one candidate.
    #[serde(alias = "candidate", deserialize_with = "one_or_several")]
    pub candidates: Vec<String>,
}

fn one_or_several<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Form::deserialize(from)? {
        Form::One(one) => vec![one],
        Form::Several(several) => several,
    })
}

/// Why it does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HoldCause {
    /// Another rollout has the deployment, or the model was rolled back a short while ago.
    Blocked,
    /// The models cannot be resolved.
    Unresolved,
    /// The candidate cannot answer everywhere.
    NotReady,
    /// The journal says nothing new.
    NoNews,
    /// The sample ratio, or units that saw two variants: the comparison cannot be trusted.
    Untrusted,
    /// Nobody asks the candidate.
    NoData,
    /// A webhook does not agree.
    Webhook,
}

/// What the evidence has no more room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Full {
    /// For units.
    pub units: bool,
    /// For answers that labels may come for.
    pub answers: bool,
}

impl Full {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// It does not go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Why.
    pub cause: HoldCause,
    /// In words.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// Everything that a rollout is, but for its evidence: one value in one database row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The run's id: it is the salt when the spec names none.
    pub run: String,
    /// Where it is.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// When it began to use the deployment.
    pub started: Option<Timestamp>,
    /// Which step of the spec.
    pub step: u16,
    /// Since when.
    pub step_since: Timestamp,
    /// Why it does not go on.
    pub hold: Option<Hold>,
    /// The pinned models.
    pub pins: Option<Pins>,
    /// The routing row, as it was last written; nothing before the beginning and after the end.
    pub row: Option<Row>,
    /// The generation of the deployment's row that was last written.
    pub generation: u64,
    /// The times of constant weights so far.
    pub strata: Vec<Stratum>,
    /// What people agreed to.
    pub approved: Vec<ApprovalPoint>,
    /// What the evidence has no more room for, as far as that was said.
    #[serde(default, skip_serializing_if = "Full::is_none")]
    pub full: Full,
    /// The checks of which it was said that they failed, where it goes on all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warned: Vec<String>,
    /// Who agreed to what, since it was last asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agreed: Vec<Agreement>,
    /// Who began it, where that matters: they may not approve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starter: Option<String>,
    /// When it was promoted.
    pub promoted: Option<Timestamp>,
    /// The candidate that is promoted, or that a person may promote, where there are several; from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<u16>,
    /// Candidates that were taken out, from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<u16>,
    /// The signals that stopped it, while it stands still for them or for a person who paused it then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Signal>,
    /// The signals that a person let pass, each for one step and until it is calm: meanwhile it does not stop that step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledged: Vec<Signal>,
    /// How many decisions there were.
    pub decisions: u64,
}

impl State {
    /// A rollout that was just declared; `generation` is that of the deployment's last row, 0 when it never had one.
    pub fn new(run: String, at: Timestamp, generation: u64) -> Self {
        Self {
            run,
            phase: Phase::Pending,
            since: at,
            started: None,
            step: 0,
            step_since: at,
            hold: None,
            pins: None,
            row: None,
            generation,
            strata: Vec::new(),
            approved: Vec::new(),
            full: Full::default(),
            warned: Vec::new(),
            agreed: Vec::new(),
            starter: None,
            promoted: None,
            chosen: None,
            dropped: Vec::new(),
            alarms: Vec::new(),
            acknowledged: Vec::new(),
            decisions: 0,
        }
    }

    /// The signals that a person let pass in this step.
    pub fn let_pass(&self) -> impl Iterator<Item = &Signal> {
        self.acknowledged.iter().filter(|signal| signal.step == self.step)
    }

    /// Whether the controller still has something to do.
    pub fn active(&self) -> bool {
        !self.phase.ended() || self.row.is_some()
    }

    /// Whether the next run may begin: it has ended, and at most keeps its candidate warm. One that was reversed after its
    /// promotion keeps its row until the deployment itself is back.
    pub fn replaceable(&self) -> bool {
        self.phase.ended() && (self.row.is_none() || self.promoted.is_none())
    }

    /// The weight of the candidates together now, 0 to 1.
    pub fn weight(&self) -> f64 {
        let stable = |row: &Row| row.route.split().weight(0);
        let rest = self.row.as_ref().and_then(|row| Share::rest(&[stable(row)]).ok());
        rest.map_or(0.0, Share::fraction)
    }

    /// The weights of all variants now, stable first, 0 to 1; none without a row.
    pub fn weights(&self) -> Vec<f64> {
        let row = self.row.as_ref();
        row.map(|row| row.route.split().weights().iter().map(|w| w.fraction()).collect()).unwrap_or_default()
    }
}

/// Whether the candidate can answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Readiness {
    /// Not known.
    #[default]
    Unknown,
    /// It is being loaded, or a replica has not taken the row yet.
    Loading(String),
    /// In every replica, warm.
    Ready,
    /// It cannot be loaded.
    Failed(String),
}

/// What became of one check of the preflight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Its name: `signature`, `replay`, `gate:auc`.
    pub name: String,
    /// Whether it holds; nothing while it runs.
    pub passed: Option<bool>,
    /// In words, with the numbers, or why not.
    pub detail: String,
    /// What a replay of recorded requests has shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Box<Rehearsed>>,
}

impl Checked {
    /// A check without a replay.
    pub fn new(name: impl Into<String>, passed: Option<bool>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), passed, detail: detail.into(), replay: None }
    }
}

/// A candidate whose version is frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrozenCandidate {
    /// The candidate.
    pub variant: String,
    /// By whom and why.
    pub why: String,
}

/// What is known beside the evidence.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// Why the deployment cannot be used yet.
    pub blocked: Option<String>,
    /// The pinned models; asked before the beginning.
    pub pins: Option<Pins>,
    /// Why they are not known.
    pub unresolved: Option<String>,
    /// Who began it; asked before the beginning, where somebody else must approve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starter: Option<String>,
    /// Whether the candidates that are left can answer.
    pub candidate: Readiness,
    /// A hard limit that a replica says was broken, with the numbers.
    pub tripped: Option<String>,
    /// Which variant broke it; the candidate when there is one only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tripped_variant: Option<String>,
    /// The candidates whose versions are frozen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<FrozenCandidate>,
    /// The checks of the preflight.
    pub checks: Vec<Checked>,
    /// What the webhooks of the gate that it stands before last said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Checked>,
    /// Whether what the deployment itself declares resolves to the variant with all the traffic; false where that decides
    /// nothing.
    pub settled: bool,
    /// Why the journal says nothing new, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<String>,
    /// The rollout that waits for the deployment, once this one has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// All events up to here are in the ledger.
    pub complete_until: Timestamp,
}

/// What the machine sees.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Now.
    pub now: Timestamp,
    /// The evidence.
    pub report: &'a Report,
    /// Everything else.
    pub facts: &'a Facts,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DecisionKind {
    /// It began: the candidate is loaded.
    Started,
    /// It went on to the next step.
    Advanced,
    /// It does not go on.
    Held,
    /// It goes on again.
    Released,
    /// A person, or a signal, stopped it where it is.
    Paused,
    /// It goes on again.
    Resumed,
    /// A signal that a person let pass is calm again.
    Calmed,
    /// A person must agree.
    ApprovalAsked,
    /// Webhooks must agree, and no person.
    WebhookAsked,
    /// A person agreed, and others still must.
    Agreed,
    /// A person agreed.
    Approved,
    /// Time is up: a person decides.
    ReviewAsked,
    /// The candidate got all the traffic.
    Promoted,
    /// The evidence has no more room; it goes on with what it has.
    Full,
    /// A check of the comparison failed, and the file says to go on.
    Warned,
    /// A bandit moved its weights.
    Reweighted,
    /// One of several candidates was taken out.
    Dropped,
    /// What the deployment declares has followed.
    Settled,
    /// Stable got all the traffic.
    RolledBack,
    /// The end of a promotion.
    Succeeded,
    /// The end of a rollback: the candidate is unloaded.
    Closed,
}

impl DecisionKind {
    /// The word in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Advanced => "advanced",
            Self::Held => "held",
            Self::Released => "released",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Calmed => "calmed",
            Self::ApprovalAsked => "approval-asked",
            Self::WebhookAsked => "webhook-asked",
            Self::Agreed => "agreed",
            Self::Approved => "approved",
            Self::ReviewAsked => "review-asked",
            Self::Promoted => "promoted",
            Self::Full => "full",
            Self::Warned => "warned",
            Self::Reweighted => "reweighted",
            Self::Dropped => "dropped",
            Self::Settled => "settled",
            Self::RolledBack => "rolled-back",
            Self::Succeeded => "succeeded",
            Self::Closed => "closed",
        }
    }
}

/// One line of the log of decisions: never changed, never removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Counts from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: DecisionKind,
    /// `controller`, or the person.
    pub by: String,
    /// In words.
    pub sentence: String,
    /// The names of the metrics, checks and facts that decided.
    pub because: Vec<String>,
    /// The phase since.
    pub phase: Phase,
    /// The step since.
    pub step: u16,
    /// The generation of the routing row since.
    pub generation: u64,
    /// The weight of the candidates together since, 0 to 1.
    pub weight: f64,
    /// The weights of all variants since, where there are several candidates: the probabilities with which units got them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// What a person ordered.
    pub order: Option<Order>,
    /// The groups that the person was in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Why, in the words of who ordered it; the sentence has it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The numbers that justify it.
    pub evidence: Option<Report>,
    /// The facts that justify it.
    pub facts: Option<Facts>,
}

/// What the deployment itself declares should become this model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Follow {
    /// The deployment.
    pub deployment: String,
    /// The rollout.
    pub rollout: String,
    /// What it was.
    pub from: String,
    /// What it should be: pinned.
    pub to: String,
    /// Whether that is where it was before the promotion, which it may go back to even when the version is frozen.
    #[serde(default)]
    pub back: bool,
}

/// A version that nothing new may take, since it was rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    /// The model, pinned.
    pub model: String,
    /// Why.
    pub reason: String,
}

/// What happens to the routing row.
#[derive(Debug, Clone, PartialEq)]
pub enum RowChange {
    /// Nothing.
    Keep,
    /// It becomes [`State::row`].
    Put,
    /// It is taken away: the deployment serves what it declares.
    Remove,
}

/// One decision and what follows from it; written as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The state after it.
    pub state: State,
    /// The routing row after it.
    pub row: RowChange,
    /// What is told to whoever owns the deployment's declaration.
    pub follow: Option<Follow>,
    /// What is to be frozen.
    pub freeze: Vec<Freeze>,
    /// The line in the log.
    pub decision: Decision,
}

/// A rollout as the machine sees it.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// Its name.
    pub name: &'a str,
    /// What was declared when it began.
    pub spec: &'a RolloutSpec,
}

impl<'a> Machine<'a> {
    /// The candidates' names, in the order of the spec.
    fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.spec.candidates.iter().map(|c| c.name.as_str())
    }

    /// The name of a variant, 0 is stable.
    fn name_of(&self, variant: u16) -> &'a str {
        let candidate = usize::from(variant).checked_sub(1);
        candidate.and_then(|at| self.spec.candidates.get(at)).map_or(STABLE, |c| c.name.as_str())
    }

    /// The candidates that have not been taken out, from 1; the one that is promoted, once one is.
    fn live(&self, state: &State) -> Vec<u16> {
        let promoted = state.chosen.filter(|_| state.promoted.is_some());
        let left = (1_u16..).take(self.spec.candidates.len());
        left.filter(|at| promoted.map_or(!state.dropped.contains(at), |one| one == *at)).collect()
    }

    /// The candidate that an order to promote takes when it names none, from 1: the one that leads, or the only one that is
    /// left. Nothing where a person has to name one.
    pub fn leading(&self, state: &State) -> Option<u16> {
        let live = self.live(state);
        let only = || live.first().copied().filter(|_| live.len() == 1);
        state.chosen.or_else(only).filter(|one| live.contains(one))
    }

    /// The webhooks that are to be asked now; nothing where none must agree.
    pub fn gate(&self, state: &State, facts: &Facts) -> Option<Gate<'a>> {
        webhook::gate(self.spec, state, facts)
    }

    /// What is to be done now: at most one thing. Ask again after it was written.
    ///
    /// # Errors
    /// [`RowFailed`] when the spec makes no routing row, which validation excludes.
    pub fn step(&self, state: &State, input: Input<'_>) -> Result<Option<Transition>, RowFailed> {
        step::step(self, state, input)
    }

    /// Whether an order of those that a phase has makes sense: to skip the last step, or to promote past somebody who must agree,
    /// does not.
    pub fn is_open(&self, state: &State, order: Order) -> bool {
        order::is_open(self, state, order)
    }

    /// What follows from a person's order.
    ///
    /// # Errors
    /// [`OrderError`] when the state forbids it.
    pub fn order(&self, state: &State, order: Order, who: &Who, now: Timestamp) -> Result<Transition, OrderError> {
        order::order(self, state, order, who, now)
    }
}

//! Rollouts: where they are, the evidence, the decisions.

use super::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A variant of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutVariant {
    /// `stable`, or the candidate's name.
    pub name: String,
    /// Its model, pinned to a version.
    pub model: String,
    /// Why nothing new may take its version, where that is frozen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<String>,
    /// Its part of the units that the rollout reaches, 0 to 1.
    pub weight: f64,
    /// Units that it saw first.
    pub units: u64,
    /// Units in the present step.
    pub step_units: u64,
    /// Answers that count.
    pub answers: u64,
    /// Its last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Time>,
    /// Whether it was taken out of several candidates.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
}

/// What is not in the evidence of a rollout, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutLeftOut {
    /// Answers to requests without what the unit is taken from, since the first step began.
    pub unitless: u64,
    /// What they lacked: `header x-user-id`, `input user_id`, `API key`. Left out where each request is a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// Answers of the warm-up after each change of weights.
    pub warm_up: u64,
    /// Answers of other generations or variants than those of this rollout.
    pub strangers: u64,
    /// Labels about answers that are not counted.
    pub unmatched_labels: u64,
    /// Answers and labels that came after a look at their time; later looks count them.
    pub late: u64,
    /// Answers of units that found no place any more.
    pub crowded_out: u64,
    /// Answers that were forgotten to make room: labels that still come for them are not counted.
    pub forgotten: u64,
}

/// A step of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStep {
    /// `canary 5%`.
    pub title: String,
    /// Whether it is over, under way, or to come: `done`, `now`, `next`.
    pub state: String,
}

/// An effect with its confidence sequence: valid however often it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectRange {
    /// Lower end; none when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The estimate.
    pub estimate: f64,
    /// Upper end; none when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

/// A z statistic of a group-sequential test and the boundary beyond which it answers its question.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutReached {
    /// The statistic.
    pub z: f64,
    /// The boundary; none where nothing of the error rate may be spent yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
}

/// The looks of a group-sequential test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutLooks {
    /// Planned looks whose time has come.
    pub due: u32,
    /// Planned looks.
    pub of: u32,
    /// Units at the last one, split evenly; 0 before the first.
    pub units: u64,
    /// Units at the end.
    pub max_units: u64,
    /// Whether it is worse than its margin, at the last look.
    pub harm: RolloutReached,
    /// Whether it keeps its margin.
    pub holds: RolloutReached,
    /// Whether it is better.
    pub better: RolloutReached,
}

/// How a metric is tested, where the file says it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutTested {
    /// `asymptotic`, `msprt`, `groupSequential`, `rateRatio`, `betting` or `exceedance`.
    pub test: String,
    /// The error rate of each of its questions, of one candidate, where the metric has one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Of a group-sequential test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks: Option<RolloutLooks>,
}

/// One metric of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutMetric {
    /// Its name, with the candidate's where there are several.
    pub name: String,
    /// The candidate, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// `guardrail`, `success`, `reported`, `signal` or `quality`.
    pub role: String,
    /// What its test says: `better`, `non-inferior`, `unclear`, `worse` or `no-data`.
    pub finding: String,
    /// Whether a promotion waits for it.
    pub required: bool,
    /// Stable's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<f64>,
    /// The candidate's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<f64>,
    /// The candidate's effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<EffectRange>,
    /// How to read the effect: `difference`, `ratio` or `mean`.
    pub scale: String,
    /// Units that it rests on, of stable and of the candidate.
    pub units: Vec<u64>,
    /// The largest e-value so far against "no worse than its margin", as a natural logarithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_e_harm: Option<f64>,
    /// The same against "no better".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_e_better: Option<f64>,
    /// The part of the variance that what was known of the units before takes out of the effect (CUPED), 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variance_explained: Option<f64>,
    /// Units that were known from before the rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_units: Option<u64>,
    /// How it is tested, where the file says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tested: Option<RolloutTested>,
    /// Why there is no finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// An estimate of a bandit's arm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArmValue {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// What a bandit knows of one of its variants.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutArm {
    /// The variant.
    pub variant: String,
    /// Its units with a reward.
    pub units: u64,
    /// The probability that it is the best of all.
    pub best: f64,
    /// Its mean reward.
    pub mean: ArmValue,
    /// What it alone would have brought, by inverse propensities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ips: Option<ArmValue>,
    /// The same, normalised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snips: Option<ArmValue>,
    /// The same, doubly robust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dr: Option<ArmValue>,
    /// How many answers of this variant alone would tell as much.
    pub effective: f64,
    /// Of a contextual bandit, how much better than stable it would be alone for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_stable: Option<EffectRange>,
}

/// What a contextual bandit knows of one variant in one context.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutContextArm {
    /// The variant.
    pub variant: String,
    /// Its units with a reward here.
    pub units: u64,
    /// What it is believed to bring here.
    pub mean: ArmValue,
    /// The probability that it is the best of all here.
    pub best: f64,
    /// The probability with which units get it here now.
    pub weight: f64,
}

/// What a contextual bandit knows of one context.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutContext {
    /// Its number, as the journal has it.
    pub context: u32,
    /// In words: `age < 30, country = de`.
    pub title: String,
    /// Its part of the units with a reward, 0 to 1.
    pub share: f64,
    /// The variants, stable first.
    pub arms: Vec<RolloutContextArm>,
}

/// What choosing by context has brought beyond one variant for all.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutGain {
    /// The variant.
    pub over: String,
    /// Units that it rests on.
    pub units: u64,
    /// How much better, doubly robust, exploration included.
    pub gain: EffectRange,
}

/// Why a rollout does not go on.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutHold {
    /// `blocked`, `unresolved`, `notReady`, `noNews`, `untrusted`, `noData` or `webhook`.
    pub cause: String,
    /// In words.
    pub reason: String,
    /// Since when.
    pub since: Time,
}

/// Agreements that are asked for.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalNeed {
    /// Of whom; left out for anybody who may order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Of how many different people.
    pub wanted: u64,
    /// Who has agreed.
    pub by: Vec<String>,
}

/// What a rollout waits for people or webhooks to agree to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutApproval {
    /// Before `shadow`, `canary`, `abTest`, `bandit` or `promotion`.
    pub before: String,
    /// All of these people.
    pub needs: Vec<ApprovalNeed>,
    /// The webhooks that must agree, too, by name; they are asked once the people have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<String>,
    /// Who may not, since they began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_by: Option<String>,
    /// When it lapses, and stable takes everything back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// A time of constant weights.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutWeights {
    /// Since when.
    pub since: Time,
    /// The weights, stable first, 0 to 1.
    pub weights: Vec<f64>,
    /// Whether the candidate answered in the shadow.
    pub shadow: bool,
}

/// Requests that a replay did not ask again, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplayLeftOut {
    /// Hidden by `journal.redact`.
    pub redacted: u64,
    /// Not kept by `journal.sample`.
    pub sampled: u64,
    /// Dropped by the journal for want of memory.
    pub dropped: u64,
    /// Kept as a digest only.
    pub too_large: u64,
    /// Not what the model takes now.
    pub unreadable: u64,
}

/// A row of a replay whose answers are far apart.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplayRow {
    /// The id of the recorded prediction, or the line of the golden file.
    pub request: String,
    /// The row of the request, from 0.
    pub row: u64,
    /// The output; empty where the candidate failed.
    pub output: String,
    /// What stable answered, or what the file says.
    pub stable: String,
    /// What the candidate answered.
    pub candidate: String,
    /// How far they are apart, where both are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
}

/// What a replay of requests has shown.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckReplay {
    /// The journal, or the golden file.
    pub from: String,
    /// Requests that both answered.
    pub requests: u64,
    /// Their rows.
    pub rows: u64,
    /// Rows within the tolerance.
    pub within: u64,
    /// Rows with a label.
    pub labelled: u64,
    /// Those with the same one.
    pub same_label: u64,
    /// Requests that the candidate alone failed.
    pub failed: u64,
    /// Requests that stable failed.
    pub unanswered: u64,
    /// The mean of the absolute differences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_abs_diff: Option<f64>,
    /// The largest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_abs_diff: Option<f64>,
    /// The median time of stable and of the candidate, microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_us: Option<Vec<f64>>,
    /// What was not asked again.
    pub left_out: ReplayLeftOut,
    /// The worst rows, the worst first.
    pub worst: Vec<ReplayRow>,
}

/// A check of the preflight, or a webhook that must agree.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutCheck {
    /// `signature`, `replay`, `gate:auc`, `webhook:NAME`; with `of v8` where there are several candidates.
    pub name: String,
    /// Whether it holds; nothing while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// In words.
    pub detail: String,
    /// The numbers of a replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<CheckReplay>,
}

/// One line of the log of decisions.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutDecision {
    /// Counts from 1.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// What: `started`, `advanced`, `held`, `calmed`, `promoted`, `rolledBack`, …
    pub kind: String,
    /// `controller`, or the person.
    pub by: String,
    /// In words.
    pub sentence: String,
    /// The metrics, checks and facts that decided.
    pub because: Vec<String>,
    /// The weight of the candidates together since, 0 to 1.
    pub weight: f64,
    /// The weights of all variants since, stable first, where there are several candidates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// What a bandit knew at that moment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<RolloutArm>,
    /// The phase since.
    pub phase: String,
    /// The metrics at that moment, where evidence decided.
    pub metrics: Vec<RolloutMetric>,
    /// The checks of the preflight, where they decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<RolloutCheck>,
}

/// A rollout.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutView {
    /// Its name.
    pub name: String,
    /// The deployment whose units it shares out.
    pub deployment: String,
    /// Which run of it.
    pub run: i64,
    /// `pending`, `preflight`, `step`, `approval`, `paused`, `alarmed`, `review`, `promoting`, `watching`, `succeeded` or
    /// `rolledBack`.
    pub phase: String,
    /// Since when.
    pub since: Time,
    /// When it was declared.
    pub created_at: Time,
    /// When it began to use the deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// Why it does not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<RolloutHold>,
    /// Stable, then the candidates.
    pub variants: Vec<RolloutVariant>,
    /// Its steps.
    pub steps: Vec<RolloutStep>,
    /// What is measured. Empty where another replica decides.
    pub metrics: Vec<RolloutMetric>,
    /// What a bandit knows of its variants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<RolloutArm>,
    /// What a contextual bandit knows of its contexts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<RolloutContext>,
    /// What a contextual bandit has brought beyond each variant alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gains: Vec<RolloutGain>,
    /// The weights over time.
    pub weights: Vec<RolloutWeights>,
    /// Answers up to here are in the evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_until: Option<Time>,
    /// After its end, the number of the decision whose numbers these are: the last one that had some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_of: Option<u64>,
    /// What is not in the evidence, where something is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<RolloutLeftOut>,
    /// The candidate that an order to promote takes when it names none: the one that leads, or the only one that is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
    /// Signals that a person let pass in this step: they stop it again once they have been calm.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed_signals: Vec<String>,
    /// What a person may order now.
    pub orders: Vec<String>,
    /// Who must agree before it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<RolloutApproval>,
    /// How many decisions there were.
    pub decisions: u64,
}

/// Rollouts by name.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutList {
    /// The last run of each.
    pub rollouts: Vec<RolloutView>,
}

/// Decisions, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutDecisions {
    /// Newest first.
    pub decisions: Vec<RolloutDecision>,
}

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum RolloutOrder {
    Pause,
    Resume,
    Promote,
    Abort,
    Skip,
    Approve,
}

/// Whether the log of decisions follows from the journal.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutReplay {
    /// Decisions in the log.
    pub decisions: u64,
    /// The same ones came out of the journal again.
    pub same: u64,
    /// The first that did not, and how it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diverged: Option<String>,
    /// Numbers that differ although the decision is the same.
    pub numbers: Vec<String>,
}

/// How sure one metric was at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutCoursePoint {
    /// What came up to here is in it.
    pub at: Time,
    /// The effect, with its confidence sequence.
    pub effect: EffectRange,
    /// Units that it rests on, of stable and of the candidate.
    pub units: [u64; 2],
}

/// What one metric said over time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutMetricCourse {
    /// Its name, as [`RolloutMetric::name`].
    pub name: String,
    /// The candidate, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// As [`RolloutMetric::role`].
    pub role: String,
    /// As [`RolloutMetric::scale`].
    pub scale: String,
    /// The oldest first, ever further apart; none from before there was an effect.
    pub points: Vec<RolloutCoursePoint>,
}

/// The effects of a run as they stood over time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutCourse {
    /// The metrics, as declared.
    pub metrics: Vec<RolloutMetricCourse>,
}

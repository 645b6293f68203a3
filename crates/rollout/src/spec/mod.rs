//! The spec of the kind `Rollout`.

pub(crate) mod check;
pub(crate) mod layers;
mod metrics;
mod not_built;
mod preflight;
mod steps;
mod testing;
#[cfg(test)]
pub(crate) mod tests;
mod webhook;

pub use check::SpecError;
pub use layers::LayerError;
pub use metrics::{
    Covariate, CupedSpec, DirectionSpec, MetricKind, MetricSpec, MetricsSpec, MultipleExposureSpec, NoDataSpec, OnFail,
    QualitySpec, SignalSpec, Source, SrmSpec,
};
pub use preflight::{GateSpec, PreflightSpec, ReplaySpec, ToleranceSpec};
pub use steps::{
    AbTestStep, BanditStep, CanaryStep, CompareSpec, ContextualBanditStep, FeatureSpec, ShadowStep, StepKind, StepSpec,
};
pub(crate) use testing::DEFAULT_LOOKS;
pub use testing::{MetricTest, SpendingSpec};
pub use webhook::WebhookSpec;

use mainspring_core::Name;
use mainspring_resource::HumanDuration;
use mainspring_traffic::UnitFrom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// The variant that is there already.
pub const STABLE: &str = "stable";

/// How a candidate comes to answer a deployment's requests: in which steps, watched by which metrics, and what
/// decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Rollout")]
pub struct RolloutSpec {
    /// The deployment whose requests are shared out. What it answers with when the rollout begins is `stable`.
    #[schemars(with = "String")]
    pub deployment: Name,
    /// What is to take its place: one of them.
    #[schemars(length(min = 1, max = 8))]
    pub candidates: Vec<CandidateSpec>,
    /// Who gets which variant.
    #[serde(default)]
    pub assignment: AssignmentSpec,
    /// What must hold before the first request reaches the candidate.
    #[serde(default)]
    pub preflight: PreflightSpec,
    /// One after the other; the last one decides.
    #[schemars(length(min = 1, max = 30))]
    pub steps: Vec<StepSpec>,
    /// How long after each change of weights answers are left out of the statistics: caches are cold then.
    #[serde(default = "warmup_exclude")]
    pub warmup_exclude: HumanDuration,
    /// After this long without a verdict it is a matter for a person.
    #[serde(default = "max_duration")]
    pub max_duration: HumanDuration,
    /// What is measured.
    #[serde(default)]
    pub metrics: MetricsSpec,
    /// What takes the candidate out within seconds, without statistics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard_limits: Option<HardLimitsSpec>,
    /// What is decided from it.
    #[serde(default)]
    pub decision: DecisionSpec,
    /// What follows a rollback or a promotion.
    #[serde(default)]
    pub rollback: RollbackSpec,
    /// Where a person, or a webhook, must agree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<ApprovalSpec>,
}

fn warmup_exclude() -> HumanDuration {
    HumanDuration(Duration::from_secs(30))
}

fn max_duration() -> HumanDuration {
    HumanDuration(21 * DAY)
}

/// A candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CandidateSpec {
    /// Its name in headers, in the journal and in decisions.
    #[schemars(with = "String")]
    pub name: Name,
    /// Its model: `models:/churn/8`. An alias is resolved once, when the rollout begins.
    pub model: String,
}

/// Who gets which variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AssignmentSpec {
    /// What is assigned and analysed: `header:x-user-id`, `cookie:uid`, `field:user_id`, `key` (the caller's API key) or `request`.
    /// A request without it gets an answer that is not counted, of stable or of a candidate.
    pub unit: String,
    /// Decides which units come first. A salt of its own for each rollout when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Rollouts that may not touch the same units share a layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<LayerSpec>,
    /// Units that no rollout may touch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holdout: Option<HoldoutSpec>,
}

impl AssignmentSpec {
    /// What a request must have to be counted, in words: `header x-user-id`. Nothing where each request is a unit.
    pub fn carrier(&self) -> Option<String> {
        match self.unit.parse().ok()? {
            UnitFrom::Header(name) => Some(format!("header {name}")),
            UnitFrom::Cookie(name) => Some(format!("cookie {name}")),
            UnitFrom::Field(name) => Some(format!("input {name}")),
            UnitFrom::Key => Some("API key".to_owned()),
            UnitFrom::Request => None,
        }
    }
}

impl Default for AssignmentSpec {
    fn default() -> Self {
        Self { unit: "request".to_owned(), salt: None, layer: None, holdout: None }
    }
}

/// A place among rollouts that exclude each other, of whatever deployments. All of them declare the same name and the same
/// places, and each another place: one that an active rollout has is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LayerSpec {
    /// The layer's name.
    pub name: String,
    /// The size of each place in percent of the units, together 100 at most.
    pub places: Vec<f64>,
    /// Which of them this rollout has, from 1.
    #[schemars(range(min = 1))]
    pub place: u16,
}

/// Units that no rollout may touch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HoldoutSpec {
    /// Which ones: holdouts of one name hold the same units out.
    pub name: String,
    /// How many, in percent.
    pub percent: f64,
}

/// What takes the candidate out within seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HardLimitsSpec {
    /// The highest part of the candidate's requests that may fail, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// The highest 99th percentile of the time it takes to answer. A single slow request is never beyond it; of fewer than
    /// 100 requests, two are, as they would be of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<HumanDuration>,
    /// How far back both look.
    #[serde(default = "limits_window")]
    pub window: HumanDuration,
    /// Requests of the window that it takes to judge, by either limit.
    #[serde(default = "limits_requests")]
    pub min_requests: u32,
}

fn limits_window() -> HumanDuration {
    HumanDuration(Duration::from_secs(30))
}

fn limits_requests() -> u32 {
    50
}

/// What is decided from the metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DecisionSpec {
    /// What it takes to promote. When not set: `better` with success metrics, else `notWorse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship: Option<Ship>,
    /// The probability, for each kind of mistake, of making it: promoting what is no better, letting a broken
    /// guardrail pass, rolling back what is harmless.
    pub alpha: f64,
    /// Units, in both variants together, at which the tests of means are at their best. Fixed when the rollout
    /// begins.
    pub expected_units: u64,
    /// What happens when time is up without a verdict.
    pub at_max_duration: AtMaxDuration,
    /// What happens when there is no news of the traffic.
    pub on_no_news: NoNewsSpec,
}

impl Default for DecisionSpec {
    fn default() -> Self {
        Self {
            ship: None,
            alpha: 0.05,
            expected_units: 10_000,
            at_max_duration: AtMaxDuration::Review,
            on_no_news: NoNewsSpec::default(),
        }
    }
}

/// What it takes to promote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Ship {
    /// A success metric is better, and every guardrail is shown to hold its margin.
    Better,
    /// Every guardrail is shown to hold its margin.
    NotWorse,
    /// The last step ended and nothing was shown to be worse. The weakest: a small sample shows nothing.
    NoHarm,
}

/// What happens when time is up without a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AtMaxDuration {
    /// A person promotes or aborts; guardrails are watched on.
    Review,
    /// Back to stable.
    Rollback,
}

/// What happens when there is no news of the traffic: the journal cannot be read, the candidate is not ready.
/// Weights never rise meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NoNewsSpec {
    /// How long it is waited.
    pub hold: HumanDuration,
    /// And then.
    pub then: NoNewsThen,
}

impl Default for NoNewsSpec {
    fn default() -> Self {
        Self { hold: HumanDuration(10 * MINUTE), then: NoNewsThen::Hold }
    }
}

/// What follows when news stay out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NoNewsThen {
    /// It is waited on.
    Hold,
    /// Back to stable.
    Rollback,
}

/// What follows a rollback or a promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RollbackSpec {
    /// How long after a promotion labels that come late can still reverse it. Stable stays warm for as long.
    pub window: HumanDuration,
    /// How long the candidate stays loaded after a rollback.
    pub keep_warm: HumanDuration,
    /// How long the same model may not be tried again on this deployment after a rollback.
    pub cooldown: HumanDuration,
    /// After a rollback because something was worse, a hard limit was broken or a check failed, the candidate's version is frozen:
    /// nothing new may take it until a person says `mainspring model unfreeze`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub freeze_version: bool,
    #[serde(skip_serializing)]
    #[schemars(default)]
    notify: not_built::Notify,
}

impl Default for RollbackSpec {
    fn default() -> Self {
        Self {
            window: HumanDuration(Duration::ZERO),
            keep_warm: HumanDuration(10 * MINUTE),
            cooldown: HumanDuration(Duration::ZERO),
            freeze_version: false,
            notify: not_built::Notify,
        }
    }
}

/// Where a person, or a webhook, must agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalSpec {
    /// Before which kind of step, or before the promotion. Several entries for one point must all be satisfied.
    pub before: ApprovalPoint,
    /// Before each step of its kind, where there are several; if not, before the first alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub every_step: bool,
    /// Only who is in this group may: `mainspring key create --group NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub group: Option<Name>,
    /// How many different people must.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = 10))]
    pub approvals: u8,
    /// A webhook must agree, in place of a person: it is asked once the people of this point have, and no order goes past it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSpec>,
    /// How long they have; then stable takes everything back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<HumanDuration>,
}

fn one() -> u8 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_one(n: &u8) -> bool {
    *n == 1
}

impl ApprovalSpec {
    /// Whether whoever began the rollout, and an order to promote, are not enough: a group or several people must agree.
    pub fn strict(&self) -> bool {
        self.group.is_some() || self.approvals > 1
    }
}

/// Before what somebody must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ApprovalPoint {
    /// A shadow step.
    Shadow,
    /// A canary step.
    Canary,
    /// An A/B test.
    AbTest,
    /// The bandit, by what requests carry or not.
    Bandit,
    /// The promotion.
    Promotion,
}

impl RolloutSpec {
    /// The success metric that a step learns from, if it is a bandit.
    pub fn reward<'a>(&'a self, step: &'a StepSpec) -> Option<&'a str> {
        let fits = |m: &&MetricSpec| matches!(m.kind, MetricKind::Mean | MetricKind::Total);
        let first = || self.metrics.success.iter().find(fits).map(|m| m.name.as_str());
        step.learns_from().or_else(first).filter(|_| step.learns())
    }

    /// What it takes to promote.
    pub fn ship(&self) -> Ship {
        let by_metrics = if self.metrics.success.is_empty() { Ship::NotWorse } else { Ship::Better };
        self.decision.ship.unwrap_or(by_metrics)
    }
}

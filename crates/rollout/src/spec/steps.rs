//! The steps of a rollout.

use super::ApprovalPoint;
use mainspring_resource::HumanDuration;
use mainspring_traffic::{Contexts, Feature, Levels, PolicyError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One step: exactly one of its fields.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct StepSpec {
    /// The candidate answers in the shadow: nobody gets its answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowStep>,
    /// A small part of the units get the candidate; it must not harm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStep>,
    /// A large part of the units get the candidate, until there is a verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ab_test: Option<AbTestStep>,
    /// All candidates and stable share the traffic, the better ones more and more of it. The last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandit: Option<BanditStep>,
    /// All candidates and stable share the traffic, each request by what it carries. The last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contextual_bandit: Option<ContextualBanditStep>,
}

/// The candidate answers in the shadow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShadowStep {
    /// How many of the answered requests it is asked, in percent.
    pub percent: f64,
    /// How many it works on at a time; what comes beyond that is dropped and counted.
    #[serde(default = "max_in_flight")]
    pub max_in_flight: u32,
    /// How long at least.
    pub duration: HumanDuration,
    /// Units that both answered, at least.
    #[serde(default = "min_pairs")]
    pub min_exposures: u64,
    /// What its answers may differ by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<CompareSpec>,
}

fn max_in_flight() -> u32 {
    64
}

fn min_pairs() -> u64 {
    100
}

/// How far the answers of the shadow may be from those that the caller got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompareSpec {
    /// The output.
    pub output: String,
    /// The mean of the absolute differences at most; rolls back when it is shown to be more.
    pub max_mean_abs_diff: f64,
}

/// A small part of the units get the candidate; several candidates share it evenly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CanaryStep {
    /// How many units, in percent.
    pub weight: f64,
    /// Units that got the candidate in this step, at least.
    #[serde(default = "min_exposures")]
    pub min_exposures: u64,
    /// How long at least.
    #[serde(default = "min_duration")]
    pub min_duration: HumanDuration,
}

fn min_exposures() -> u64 {
    100
}

fn min_duration() -> HumanDuration {
    HumanDuration(Duration::from_secs(600))
}

/// A large part of the units get the candidate, until there is a verdict; several candidates share it evenly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AbTestStep {
    /// How many units, in percent.
    #[serde(default = "half")]
    pub weight: f64,
    /// Units that got the candidate in this step before a verdict, at least.
    #[serde(default = "min_exposures")]
    pub min_exposures: u64,
    /// How long at least, so that a whole day or week is in it and novelty wears off.
    #[serde(default)]
    pub min_duration: HumanDuration,
    /// How long at most; then as `decision.atMaxDuration` says.
    pub max_duration: HumanDuration,
}

fn half() -> f64 {
    50.0
}

/// Top-two Thompson sampling: each variant gets the more traffic the likelier it is to be the best. It ends when one is with
/// the probability that is asked for: a candidate is promoted if its guardrails and `decision.ship` allow it, stable takes
/// everything back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BanditStep {
    /// The success metric that it learns from; the first one when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Weights move once in so long at most. Labels should come sooner than that.
    #[serde(default = "hour")]
    pub period: HumanDuration,
    /// The least that each variant gets, in percent.
    #[serde(default = "one_percent")]
    pub min_weight: f64,
    /// The part of the units that is assigned evenly, whatever is believed, in percent.
    #[serde(default = "ten_percent")]
    pub even: f64,
    /// Units of each variant, counted in each time of constant weights, before weights move and before it ends.
    #[serde(default = "min_exposures")]
    pub min_exposures: u64,
    /// How long at least.
    #[serde(default)]
    pub min_duration: HumanDuration,
    /// How likely a variant must be the best of all to end it, in percent.
    #[serde(default = "nearly_certain")]
    pub best_at: f64,
    /// How long at most; then as `decision.atMaxDuration` says.
    pub max_duration: HumanDuration,
}

/// Thompson sampling by what requests carry: in each context a variant gets the more traffic the likelier it is to be the best
/// there. It ends when one variant is the best in every context, as a bandit does, or when its time is over: then the best
/// single variant is promoted if its guardrails and `decision.ship` allow it. Without `maxDuration` it goes on learning until
/// the rollout's own is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContextualBanditStep {
    /// What tells requests apart. A context is one level of each; there may be 64 contexts.
    #[schemars(length(min = 1, max = 6))]
    pub features: Vec<FeatureSpec>,
    /// The success metric that it learns from; the first one when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Weights move once in so long at most. Labels should come sooner than that.
    #[serde(default = "hour")]
    pub period: HumanDuration,
    /// The least that each variant gets in each context, in percent.
    #[serde(default = "one_percent")]
    pub min_weight: f64,
    /// The part of the units that is assigned evenly, whatever is believed, in percent.
    #[serde(default = "ten_percent")]
    pub even: f64,
    /// Units of each variant with a reward, before weights move and before it ends.
    #[serde(default = "min_exposures")]
    pub min_exposures: u64,
    /// How long at least.
    #[serde(default)]
    pub min_duration: HumanDuration,
    /// How likely one variant must be the best in every context to end it, in percent.
    #[serde(default = "nearly_certain")]
    pub best_at: f64,
    /// How long at most; then the best single variant is promoted if it may be, else it is as `decision.atMaxDuration` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<HumanDuration>,
}

/// One thing that tells requests apart: the first row of an input, as a number or as one of a few values. One of `cuts` and
/// `values`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FeatureSpec {
    /// The input's name, a column or a tensor.
    pub input: String,
    /// For a number: below the first, from each to below the next, from the last on; ascending. What is no number is a level of
    /// its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<f64>,
    /// For a text, a truth value or a whole number, as it is written: each of these is a level, and all others together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

impl ContextualBanditStep {
    /// The contexts of its features.
    ///
    /// # Errors
    /// [`PolicyError`], which validation finds.
    pub fn contexts(&self) -> Result<Contexts, PolicyError> {
        let feature = |f: &FeatureSpec| {
            let levels =
                if f.cuts.is_empty() { Levels::Values(f.values.clone()) } else { Levels::Cuts(f.cuts.clone()) };
            Feature { input: f.input.clone(), levels }
        };
        Contexts::new(self.features.iter().map(feature).collect())
    }
}

fn hour() -> HumanDuration {
    HumanDuration(Duration::from_secs(3600))
}

fn one_percent() -> f64 {
    1.0
}

fn ten_percent() -> f64 {
    10.0
}

fn nearly_certain() -> f64 {
    99.0
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepKind<'a> {
    /// In the shadow.
    Shadow(&'a ShadowStep),
    /// A canary.
    Canary(&'a CanaryStep),
    /// An A/B test.
    AbTest(&'a AbTestStep),
    /// A bandit.
    Bandit(&'a BanditStep),
    /// A bandit by what requests carry.
    ContextualBandit(&'a ContextualBanditStep),
}

impl StepSpec {
    /// A shadow step.
    pub fn shadow(step: ShadowStep) -> Self {
        Self { shadow: Some(step), ..Self::default() }
    }

    /// A canary step.
    pub fn canary(step: CanaryStep) -> Self {
        Self { canary: Some(step), ..Self::default() }
    }

    /// An A/B test.
    pub fn ab_test(step: AbTestStep) -> Self {
        Self { ab_test: Some(step), ..Self::default() }
    }

    /// A bandit.
    pub fn bandit(step: BanditStep) -> Self {
        Self { bandit: Some(step), ..Self::default() }
    }

    /// A bandit by what requests carry.
    pub fn contextual_bandit(step: ContextualBanditStep) -> Self {
        Self { contextual_bandit: Some(step), ..Self::default() }
    }

    /// Where somebody may have to agree before it.
    pub fn point(&self) -> ApprovalPoint {
        match self.kind() {
            Some(StepKind::Shadow(_)) | None => ApprovalPoint::Shadow,
            Some(StepKind::Canary(_)) => ApprovalPoint::Canary,
            Some(StepKind::AbTest(_)) => ApprovalPoint::AbTest,
            Some(StepKind::Bandit(_) | StepKind::ContextualBandit(_)) => ApprovalPoint::Bandit,
        }
    }

    /// What it is; `None` when it is not exactly one thing.
    pub fn kind(&self) -> Option<StepKind<'_>> {
        let mut kinds = [
            self.shadow.as_ref().map(StepKind::Shadow),
            self.canary.as_ref().map(StepKind::Canary),
            self.ab_test.as_ref().map(StepKind::AbTest),
            self.bandit.as_ref().map(StepKind::Bandit),
            self.contextual_bandit.as_ref().map(StepKind::ContextualBandit),
        ]
        .into_iter()
        .flatten();
        kinds.next().filter(|_| kinds.next().is_none())
    }

    /// Whether it is a bandit, of either kind.
    pub(crate) fn learns(&self) -> bool {
        matches!(self.kind(), Some(StepKind::Bandit(_) | StepKind::ContextualBandit(_)))
    }

    /// The success metric that it names to learn from.
    pub(crate) fn learns_from(&self) -> Option<&str> {
        match self.kind()? {
            StepKind::Bandit(step) => step.metric.as_deref(),
            StepKind::ContextualBandit(step) => step.metric.as_deref(),
            StepKind::Shadow(_) | StepKind::Canary(_) | StepKind::AbTest(_) => None,
        }
    }

    /// For sentences: `canary 5%`.
    pub fn title(&self) -> String {
        match self.kind() {
            Some(StepKind::Shadow(s)) => format!("shadow {}%", s.percent),
            Some(StepKind::Canary(s)) => format!("canary {}%", s.weight),
            Some(StepKind::AbTest(s)) => format!("A/B test {}%", s.weight),
            Some(StepKind::Bandit(_)) => "bandit".to_owned(),
            Some(StepKind::ContextualBandit(_)) => "contextual bandit".to_owned(),
            None => "an empty step".to_owned(),
        }
    }
}

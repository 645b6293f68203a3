//! The steps of a rollout.

use super::not_built;
use mainspring_resource::HumanDuration;
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
    #[serde(skip_serializing)]
    bandit: not_built::Bandit,
    #[serde(skip_serializing)]
    contextual_bandit: not_built::ContextualBandit,
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

/// A small part of the units get the candidate.
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

/// A large part of the units get the candidate, until there is a verdict.
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

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepKind<'a> {
    /// In the shadow.
    Shadow(&'a ShadowStep),
    /// A canary.
    Canary(&'a CanaryStep),
    /// An A/B test.
    AbTest(&'a AbTestStep),
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

    /// What it is; `None` when it is not exactly one thing.
    pub fn kind(&self) -> Option<StepKind<'_>> {
        match (&self.shadow, &self.canary, &self.ab_test) {
            (Some(step), None, None) => Some(StepKind::Shadow(step)),
            (None, Some(step), None) => Some(StepKind::Canary(step)),
            (None, None, Some(step)) => Some(StepKind::AbTest(step)),
            _ => None,
        }
    }

    /// For sentences: `canary 5%`.
    pub fn title(&self) -> String {
        match self.kind() {
            Some(StepKind::Shadow(s)) => format!("shadow {}%", s.percent),
            Some(StepKind::Canary(s)) => format!("canary {}%", s.weight),
            Some(StepKind::AbTest(s)) => format!("A/B test {}%", s.weight),
            None => "an empty step".to_owned(),
        }
    }
}

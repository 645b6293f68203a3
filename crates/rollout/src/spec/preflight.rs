//! What must hold before the first request reaches the candidate.

use super::WebhookSpec;
use mainspring_resource::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(1800);

/// What must hold before the first request reaches the candidate. That it is loaded and warm is always asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PreflightSpec {
    /// The candidate takes every request that stable takes, and answers with the same outputs.
    pub signature: bool,
    /// Recorded requests are answered again, by both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplaySpec>,
    /// Metrics of the candidate's run in the registry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateSpec>,
    /// The candidate's version says what it is: it has a description, or a file `MODEL_CARD.md`, `model_card.md` or `README.md`
    /// among those of its model.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub model_card: bool,
    /// Webhooks that must agree, asked once everything else holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<WebhookSpec>,
    /// How long all of it may take.
    pub timeout: HumanDuration,
}

impl Default for PreflightSpec {
    fn default() -> Self {
        Self {
            signature: true,
            replay: None,
            gates: Vec::new(),
            model_card: false,
            webhooks: Vec::new(),
            timeout: HumanDuration(TIMEOUT),
        }
    }
}

/// Requests that both variants are asked again before traffic reaches the candidate. Nobody gets these answers, and they are
/// not in the journal. At least one of `tolerance`, `minLabelAgreement` and `maxLatencyRatio`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplaySpec {
    /// The newest so many of the journal whose inputs are kept as they were.
    #[serde(default = "requests")]
    #[schemars(range(min = 1, max = 10000))]
    pub requests: u32,
    /// Fewer than that show nothing, and the check fails: 20 when not set, 1 of a golden file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_requests: Option<u32>,
    /// A file of JSON lines instead of the journal, `{"inputs": [...], "outputs": [...]}` each, among the files of a run:
    /// `runs:/RUN/golden.jsonl`. Where a line has outputs, the candidate is compared with them and not with
    /// stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<String>,
    /// How far its numbers may be from stable's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<ToleranceSpec>,
    /// Rows, in percent, that must get the same label: the same whole number, truth value or text, or the same place of the
    /// largest of several numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_label_agreement: Option<f64>,
    /// The candidate's median time over stable's, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency_ratio: Option<f64>,
    /// Requests that are on their way at a time.
    #[serde(default = "max_in_flight")]
    #[schemars(range(min = 1, max = 64))]
    pub max_in_flight: u32,
}

fn requests() -> u32 {
    200
}

fn max_in_flight() -> u32 {
    4
}

impl ReplaySpec {
    /// Requests without which nothing is shown.
    pub fn least(&self) -> u64 {
        let default = if self.golden.is_some() { 1 } else { self.requests.min(20) };
        u64::from(self.min_requests.unwrap_or(default))
    }
}

/// A floating-point number may be from stable's by `absolute + relative * |stable's|`; everything else must be equal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToleranceSpec {
    /// By so much.
    #[serde(default)]
    pub absolute: f64,
    /// By such a part of it.
    #[serde(default)]
    pub relative: f64,
    /// Rows, in percent, all of whose values must be as near as that.
    #[serde(default = "all")]
    pub min_rows: f64,
}

fn all() -> f64 {
    100.0
}

/// A metric of the candidate's run and its bounds; at least one of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GateSpec {
    /// The metric's name, as it was logged.
    pub metric: String,
    /// The least it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The most it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

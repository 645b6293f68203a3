//! How good predictions probably were, before there are labels.

use super::Time;
use super::performance::SegmentValue;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Which rows of a deployment.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EstimateWindow {
    /// Rows of the last so many seconds. Not with `from`.
    #[schema(minimum = 1)]
    pub last_seconds: Option<u64>,
    /// Rows from then on, RFC 3339.
    pub from: Option<String>,
    /// Rows before then, RFC 3339.
    pub until: Option<String>,
    /// Of this variant; all when left out.
    pub variant: Option<String>,
    /// Of this version; all when left out.
    pub version: Option<String>,
    /// Of this segment alone: columns with their values, `{"in.plan": "gold"}`.
    pub segment: BTreeMap<String, SegmentValue>,
    /// Of all rows that are not of the segment instead.
    pub others: bool,
}

/// What to learn from: labelled rows of the deployment, or a file that a version names.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EstimateReference {
    /// The version, `models:/churn@champion`, whose tag `mainspring.reference_data` names a file of predictions with labels.
    /// Not with `rows`.
    pub model: Option<String>,
    /// Those of these rows that are labelled; of the thirty days before the window when left out.
    pub rows: Option<EstimateWindow>,
}

/// Which rows, and from what. All of it may be left out.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EstimateRequest {
    /// The rows that are estimated; those of the last day when left out.
    pub window: EstimateWindow,
    /// What to learn from.
    pub reference: EstimateReference,
    /// Name of the feedback that says what was true, and of a file's column with it; `label` when left out.
    pub label: Option<String>,
    /// Output with the prediction; of rows it is found out, and of a file `prediction` when left out. `NAME=OUTPUT` where a
    /// file's column is called otherwise.
    pub prediction: Option<String>,
    /// Outputs with probabilities, likewise; of a file without them it is a regression.
    pub scores: Vec<String>,
    /// Of two classes the one that is looked for; the second in order when left out.
    pub positive: Option<String>,
    /// Parts that the reference is cut into; those of the window are as long. 10 when left out.
    #[schema(minimum = 1, maximum = 1000)]
    pub chunks: Option<usize>,
}

/// A metric as it probably is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EstimatedMetric {
    /// `accuracy`, `roc_auc`, `mae`, …
    pub name: String,
    /// The estimate.
    pub value: f64,
    /// Three sampling errors below it.
    pub low: f64,
    /// And above it.
    pub high: f64,
    /// Below it is less than the reference's parts were; none where that is impossible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower_threshold: Option<f64>,
    /// Above it is more than they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper_threshold: Option<f64>,
    /// Whether the estimate is beyond one of them.
    pub alert: bool,
    /// What it really is, of the rows whose label has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realized: Option<f64>,
}

/// Rows that are estimated together.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EstimatedPart {
    /// When the first of them came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When the last of them came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// How many.
    pub rows: u64,
    /// Those of them whose label has come.
    pub labeled: u64,
    /// Metrics.
    pub metrics: Vec<EstimatedMetric>,
}

/// How good the predictions of a window probably were.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EstimateReport {
    /// Whose.
    pub deployment: String,
    /// `cbpe` of a classification, `dle` of a regression.
    pub method: String,
    /// What was learnt from, in words.
    pub reference: String,
    /// Rows that were learnt from.
    pub reference_rows: u64,
    /// Rows that were estimated.
    pub rows: u64,
    /// Rows of the reference and of the window that lack something.
    pub left_out: [u64; 2],
    /// Rows of the window whose payload was not kept.
    pub unkept: u64,
    /// Whether there were older rows in the window that were not read.
    pub partial: bool,
    /// The classes in their order; the last of two is looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Whether probabilities were calibrated on the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<bool>,
    /// Share of the variance of absolute errors that was learnt from the inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<f64>,
    /// All rows together.
    pub whole: EstimatedPart,
    /// Part after part, the oldest first.
    pub parts: Vec<EstimatedPart>,
    /// Whether any part is beyond what the reference's were.
    pub alert: bool,
}

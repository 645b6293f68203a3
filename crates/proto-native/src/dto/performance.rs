//! How good predictions were.

use super::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Which predictions, and how they are measured. All of it may be left out.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PerformanceRequest {
    /// Predictions of the last so many seconds; a day when left out. Not with `from`.
    #[schema(minimum = 1)]
    pub last_seconds: Option<u64>,
    /// Predictions from then on, RFC 3339.
    pub from: Option<String>,
    /// Predictions before then, RFC 3339; now when left out.
    pub until: Option<String>,
    /// Name of the feedback that says what was true; `label` when left out.
    pub label: Option<String>,
    /// Output with the prediction; found out when left out.
    pub prediction: Option<String>,
    /// Output with the probability or probabilities; found out when left out.
    pub score: Option<String>,
    /// `classification`, `regression` or `ranking`; found out when left out.
    pub task: Option<String>,
    /// Columns to group by: `version`, `variant`, `caller`, `hour`, `day`, or an input or output.
    pub by: Vec<String>,
    /// Predictions of this segment alone: columns with their values, `{"in.plan": "gold"}`.
    pub segment: BTreeMap<String, SegmentValue>,
    /// Of two classes the one that is looked for; the second in order when left out.
    pub positive: Option<String>,
    /// How many items of an order count; 10 when left out.
    #[schema(minimum = 1)]
    pub k: Option<usize>,
    /// What a row is worth: by true class, then by predicted class.
    pub worth: Option<BTreeMap<String, BTreeMap<String, f64>>>,
    /// How often intervals hold what is true; 0.95 when left out.
    pub confidence: Option<f64>,
}

/// The value that each row of a segment has in a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SegmentValue {
    /// True or false.
    Truth(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// A number, and between what it is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeasureDto {
    /// The number.
    pub value: f64,
    /// Lower end; none where no method is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// How the interval was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// A metric.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PerformanceMetric {
    /// Its name: `accuracy`, `roc_auc`, `rmse`, …
    pub name: String,
    /// Of which class, where it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Its value.
    #[serde(flatten)]
    pub measure: MeasureDto,
}

/// A point of the calibration curve.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CalibrationBin {
    /// Rows.
    pub rows: u64,
    /// Their mean probability.
    pub predicted: f64,
    /// The share that was true.
    pub observed: MeasureDto,
}

/// Predictions that are measured together.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PerformanceGroup {
    /// Value of each column that is grouped by.
    pub by: BTreeMap<String, String>,
    /// Predicted rows.
    pub rows: u64,
    /// Rows with a label.
    pub labeled: u64,
    /// Labelled rows that could not be compared.
    pub unfit: u64,
    /// Metrics.
    pub metrics: Vec<PerformanceMetric>,
    /// A row for each true class, in the order of `classes`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<u64>>,
    /// The calibration curve of the positive class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calibration: Vec<CalibrationBin>,
    /// The expected calibration error that so many rows have by chance alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_by_chance: Option<f64>,
}

/// A group's metric beside that of the largest group, which is the first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PerformanceComparison {
    /// Place of the group among `groups`.
    pub group: usize,
    /// The metric.
    pub name: String,
    /// Of which class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// This group's less the largest's.
    pub difference: MeasureDto,
    /// This group's over the largest's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<MeasureDto>,
    /// Whether there is a difference, corrected for the number of comparisons (Bonferroni).
    pub differs: bool,
}

/// How long after their predictions labels came.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelDelay {
    /// Half came earlier, seconds.
    pub median_seconds: f64,
    /// 95 % came earlier, seconds.
    pub p95_seconds: f64,
    /// Predictions without a label that are younger than that.
    pub may_come: u64,
}

/// Performance of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PerformanceReport {
    /// Whose.
    pub deployment: String,
    /// Which predictions, `in.plan = gold`; all when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// Name of the feedback.
    pub label: String,
    /// `classification`, `regression` or `ranking`.
    pub task: String,
    /// Column with the predictions.
    pub prediction: String,
    /// Column with the probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// Classes in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Of two classes the one that is looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// Of an order, how many items count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<usize>,
    /// Predictions from then on.
    pub from: Time,
    /// And before then.
    pub until: Time,
    /// How often intervals hold what is true.
    pub confidence: f64,
    /// How late labels came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<LabelDelay>,
    /// All predictions together.
    pub overall: PerformanceGroup,
    /// By the columns that were asked for, the one with the most labels first.
    pub groups: Vec<PerformanceGroup>,
    /// Each group beside the first.
    pub comparisons: Vec<PerformanceComparison>,
    /// How unlike groups of inputs or outputs are treated, by Fairlearn's names: of two classes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fairness: Vec<PerformanceMetric>,
    /// What must be known to read this.
    pub notes: Vec<String>,
}

//! Conversions to ONNX and optimisations.

use super::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What to do with a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum ConversionTask {
    Convert,
    Optimize,
}

/// Where the packages of the model come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConversionEnv {
    /// An environment built from what the model asks for.
    #[default]
    Auto,
    /// The server's own Python.
    Shared,
}

/// A file of rows.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConversionData {
    /// Its name, which ends in csv, parquet, json, jsonl, npy or npz.
    pub name: String,
    /// Its content in base64.
    pub content: String,
}

/// What is asked for. What is left out has its default.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConversionRequest {
    /// The model: `churn@champion` or `churn/3`.
    pub model: String,
    /// What to do with it.
    pub task: ConversionTask,
    /// Where its packages come from.
    #[serde(default)]
    pub env: ConversionEnv,
    /// Rows to compare on; else a dataset of its run in this server's store, else its input example.
    #[serde(default)]
    pub data: Option<ConversionData>,
    /// Convert: how far numbers may be apart, as a share of the value.
    #[serde(default)]
    pub relative: Option<f64>,
    /// Convert: how far beside it.
    #[serde(default)]
    pub absolute: Option<f64>,
    /// Optimize: share of rows that must get the same answer.
    #[serde(default)]
    pub agreement: Option<f64>,
    /// Optimize: how far numbers may be apart and count as the same.
    #[serde(default)]
    pub closeness: Option<f64>,
    /// Optimize: column of the data with the true answers; then the accuracy decides.
    #[serde(default)]
    pub label: Option<String>,
    /// Optimize: accuracy that may be lost.
    #[serde(default)]
    pub drop: Option<f64>,
}

/// A conversion as it stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversionView {
    /// Its id.
    pub id: String,
    /// `convert` or `optimize`.
    pub task: String,
    /// The model, as it was named.
    pub model: String,
    /// `waiting`, `running`, `done`, `failed`, `cancelled`, or `interrupted`: the server that ran it stopped.
    pub state: String,
    /// When it was asked for.
    pub created_at: Time,
    /// What it did so far, oldest first.
    pub steps: Vec<String>,
    /// Steps before these that are not kept.
    pub forgotten: u64,
    /// What it found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<ConversionFindings>,
    /// The version that was registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ConversionFailure>,
}

/// Why a conversion failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversionFailure {
    /// The kind of failure.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Conversions, newest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversionList {
    /// Newest first; the last few hundred are kept.
    pub conversions: Vec<ConversionView>,
}

/// What a conversion found out.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversionFindings {
    /// The version that was looked at: `models:/churn/3`.
    pub source: String,
    /// Its framework.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framework: Option<String>,
    /// What it is: `Pipeline(StandardScaler, LogisticRegression)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// Where the rows are from.
    pub rows_from: String,
    /// How many there were.
    pub rows: u64,
    /// Rows of the batch that was measured.
    pub batch_rows: u64,
    /// What had to be reached.
    pub rule: String,
    /// `accuracy` or `r2`, when labels decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// The model it was compared with: the Python model, or the ONNX model as it is.
    pub before: ConversionSpeed,
    /// Accuracy of that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What was made.
    pub candidates: Vec<ConversionCandidate>,
    /// What could not be made.
    pub failed: Vec<ConversionMiss>,
    /// What whoever relies on it should know: that few rows were compared.
    pub warnings: Vec<String>,
    /// The name of the candidate that is the best of those that pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
}

/// Time and size.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversionSpeed {
    /// One row, microseconds.
    pub row_us: f64,
    /// A batch, microseconds.
    pub batch_us: f64,
    /// Bytes of the model; 0 where that says nothing.
    pub bytes: u64,
}

/// Something that was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversionCandidate {
    /// How it was made.
    pub name: String,
    /// Its time and size.
    pub speed: ConversionSpeed,
    /// How many times as fast as before, with one row.
    pub row_times: f64,
    /// How many times as fast as before, with a batch.
    pub batch_times: f64,
    /// Rows that got the same answer.
    pub agreeing: u64,
    /// Its accuracy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Its outputs beside the model's own.
    pub outputs: Vec<ConversionOutput>,
    /// Why it may not be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// An output, and its worst row.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversionOutput {
    /// Its name.
    pub name: String,
    /// Whether it has to be equal; else near.
    pub equal: bool,
    /// Rows that differ by more than is allowed.
    pub differing: u64,
    /// The worst row, from 0.
    pub row: u64,
    /// What the model says there.
    pub expected: String,
    /// What the candidate says there.
    pub got: String,
    /// How far apart the two are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
}

/// Something that could not be made.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversionMiss {
    /// How it was tried.
    pub name: String,
    /// Why it failed.
    pub reason: String,
}

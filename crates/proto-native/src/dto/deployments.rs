//! Deployments, their traffic, and calling one.

use super::{Number, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Where a deployment or a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum DeploymentState {
    Loading,
    Ready,
    Failed,
    Draining,
}

/// A deployment in one line.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentSummary {
    /// Name.
    pub name: String,
    /// Where it stands.
    pub state: DeploymentState,
    /// Why, when it does not answer or its newest version failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Which version serves and why, when `prefer` leaves it open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// When the state last changed.
    pub since: Time,
    /// The model URI that is declared.
    pub model: String,
    /// The version that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it answers MLflow scoring requests that name no deployment.
    pub default: bool,
    /// Its traffic since the server started.
    pub traffic: Traffic,
}

/// Every deployment.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentList {
    /// By name.
    pub deployments: Vec<DeploymentSummary>,
}

/// Requests and how long they took.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Requests answered.
    pub answered: u64,
    /// Requests refused or failed.
    pub failed: u64,
    /// Rows in the requests answered.
    pub rows: u64,
    /// How long answered requests took; absent while there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Quantiles>,
}

/// The parts of the requests' latency, each absent while there was none.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parts {
    /// Waiting for admission and for a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Quantiles>,
    /// In the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<Quantiles>,
    /// Turning outputs into the protocol's bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encode: Option<Quantiles>,
}

/// Quantiles of a duration, milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 90 % took at most this.
    pub p90: f64,
    /// 99 % took at most this.
    pub p99: f64,
    /// The mean.
    pub mean: f64,
    /// The longest.
    pub max: f64,
}

/// One input or output tensor.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TensorField {
    /// Name.
    pub name: String,
    /// Open Inference Protocol type, e.g. `FP32`.
    pub datatype: String,
    /// Dimensions; -1 is any size.
    pub shape: Vec<i64>,
}

/// One column of the signature that the model was logged with.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ColumnField {
    /// Name.
    pub name: String,
    /// MLflow type, e.g. `double`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether every row must have it.
    pub required: bool,
}

/// What a version takes and gives.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignatureView {
    /// Tensors the engine takes.
    pub inputs: Vec<TensorField>,
    /// Tensors it gives.
    pub outputs: Vec<TensorField>,
    /// Columns to fill a row with in `predict`. Made from the MLflow signature, or else from the
    /// input tensors.
    pub columns: Vec<ColumnField>,
}

/// How requests of a version run, as warm-up measured it.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionView {
    /// Requests of up to this many rows run on the calling thread; larger ones are queued.
    pub inline_rows: u64,
    /// Whether queued requests share calls.
    pub batched: bool,
    /// Median time of a call with one row, microseconds.
    pub one_row_us: f64,
    /// Time that each further row adds, microseconds.
    pub per_row_us: f64,
}

/// One loaded version.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionDetail {
    /// The variant.
    pub variant: String,
    /// The registered model, or the file.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Where it stands.
    pub state: DeploymentState,
    /// Whether requests that name no version go to it.
    pub current: bool,
    /// The engine that runs it.
    pub engine: String,
    /// Calls that may run at once.
    pub instances: u64,
    /// Memory held, bytes.
    pub memory_bytes: u64,
    /// When it was ready.
    pub loaded_at: Time,
    /// How long loading took, milliseconds.
    pub load_ms: u64,
    /// How its requests run.
    pub execution: ExecutionView,
    /// What warm-up noticed.
    pub warnings: Vec<String>,
    /// What it takes and gives.
    pub signature: SignatureView,
}

/// A deployment in full.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentDetail {
    /// The line that the list shows.
    pub summary: DeploymentSummary,
    /// What is declared, with defaults filled in.
    pub spec: Value,
    /// Versions held: the current one first, then those that drain.
    pub versions: Vec<VersionDetail>,
    /// Counters and latencies of each version since the server started.
    pub stats: Vec<VersionStatsView>,
}

/// Failures of one kind.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureView {
    /// The kind, e.g. `invalid_input`.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// Counters and latencies of one version since the server started.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatsView {
    /// The version; `-` for requests that reached none.
    pub version: String,
    /// The variant.
    pub variant: String,
    /// Totals.
    pub traffic: Traffic,
    /// Failures by kind.
    pub failures: Vec<FailureView>,
    /// Where the time of the answered ones went.
    #[serde(flatten)]
    pub parts: Parts,
}

/// Statistics of one deployment.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStats {
    /// Name.
    pub name: String,
    /// Per version.
    pub versions: Vec<VersionStatsView>,
}

/// Batches that one reason closed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClosedView {
    /// `size`, `delay`, `idle`, `shape`, `alone` or `inline`.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// Engine calls of one size.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchSizeView {
    /// Rows in the call: exact up to 128, then the next power of two.
    pub rows: u64,
    /// How many calls.
    pub calls: u64,
    /// Mean time in the engine, microseconds.
    pub mean_us: f64,
}

/// Why batches of one version closed, and how large they were.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchesOfVersion {
    /// The version.
    pub version: String,
    /// Whether requests that name no version go to it.
    pub current: bool,
    /// Rows of one call at most.
    pub max_rows: u32,
    /// How long a batch may wait, milliseconds.
    pub max_delay_ms: f64,
    /// Requests that wait now.
    pub waiting: u64,
    /// Engine calls.
    pub batches: u64,
    /// Calls by the reason that closed their batch.
    pub closed_by: Vec<ClosedView>,
    /// Calls by size.
    pub sizes: Vec<BatchSizeView>,
}

/// Why batches of one deployment closed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentBatches {
    /// Name.
    pub name: String,
    /// Per version.
    pub versions: Vec<BatchesOfVersion>,
}

/// What happens to a request with a row that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum RuleActionView {
    Count,
    Flag,
    Reject,
}

/// A rule of a deployment, and what it counted since the server started.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRule {
    /// What it is called.
    pub name: String,
    /// `expect_…`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happens when it is broken.
    pub action: RuleActionView,
    /// Rows that it was about.
    pub rows: u64,
    /// Those that broke it.
    pub broken: u64,
    /// Requests with such a row.
    pub requests: u64,
}

/// The rules that the rows of a deployment's requests must keep.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRules {
    /// Name.
    pub name: String,
    /// In the order in which they are declared.
    pub rules: Vec<DeploymentRule>,
}

/// One second of one version's traffic.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveVersion {
    /// Deployment.
    pub deployment: String,
    /// Version.
    pub version: String,
    /// Variant.
    pub variant: String,
    /// What happened in this second.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// Where the time of the answered ones went.
    #[serde(flatten)]
    pub parts: Parts,
}

/// One second of traffic: the event `tick` of a live stream.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveTick {
    /// End of the second, milliseconds since the epoch.
    pub at_ms: i64,
    /// Each version that had traffic or stands ready.
    pub versions: Vec<LiveVersion>,
}

/// Rows to predict for, by column name.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PredictRequest {
    /// One object a row.
    #[schema(value_type = Vec<Object>)]
    pub rows: Vec<Map<String, Value>>,
    /// This version instead of the one that answers.
    pub version: Option<String>,
    /// Your own id for feedback, unique per deployment for 30 days.
    pub id: Option<String>,
}

/// What the model said.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PredictAnswer {
    /// The prediction's id; feedback refers to it.
    pub id: String,
    /// Deployment.
    pub deployment: String,
    /// Variant.
    pub variant: String,
    /// Model.
    pub model: String,
    /// Version.
    pub version: String,
    /// One object a row: output name to value (a number, a text, or an array).
    #[schema(value_type = Vec<Object>)]
    pub predictions: Vec<Map<String, Value>>,
    /// From the parsed request to the answer, milliseconds.
    pub latency_ms: Number,
    /// Rules of the deployment that the rows broke.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

//! Feedback, queries and the state of the journal.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A value of feedback.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a number, a text or a boolean")]
#[allow(missing_docs)]
pub enum FeedbackValueDto {
    Bool(bool),
    Number(f64),
    Text(String),
}

/// One piece of feedback. It names the prediction by `predictionId`, or by `deployment` and the
/// `id` that you sent with the request.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FeedbackItem {
    /// The prediction's id.
    pub prediction_id: Option<String>,
    /// The deployment within which `id` is unique.
    pub deployment: Option<String>,
    /// Your own id.
    pub id: Option<String>,
    /// Which row of the request, from 0.
    #[serde(default)]
    pub row: u32,
    /// What was measured: `label`, `reward`, `converted`, …
    pub name: String,
    /// Its value; the latest for one (prediction, row, name) counts.
    pub value: FeedbackValueDto,
    /// Id of this piece; sending the same id twice counts once. Made when left out.
    pub event_id: Option<String>,
}

/// Many pieces of feedback.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackBatch {
    /// The pieces; all of them are taken or none.
    pub feedback: Vec<FeedbackItem>,
}

/// One piece of feedback, or many.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(missing_docs)]
pub enum FeedbackRequest {
    Many(FeedbackBatch),
    One(FeedbackItem),
}

/// What became of the feedback.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedbackAnswer {
    /// Pieces stored durably.
    pub accepted: u64,
    /// Pieces that were here already, by their event id.
    pub duplicates: u64,
    /// Of those accepted: pieces whose prediction is not known here yet. They are kept.
    pub orphans: u64,
}

/// A query.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueryRequest {
    /// A SELECT over `predictions` and `feedback`.
    pub sql: String,
    /// Rows at most; the server's own limit (10000) counts when it is lower.
    #[schema(minimum = 1)]
    pub limit: Option<u32>,
}

/// One column of an answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueryColumn {
    /// Name.
    pub name: String,
    /// Arrow type, e.g. `Int64`.
    #[serde(rename = "type")]
    pub type_: String,
}

/// The rows of a query.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueryAnswer {
    /// The columns in order.
    pub columns: Vec<QueryColumn>,
    /// One array a row, in the order of the columns.
    pub rows: Vec<Vec<Value>>,
    /// Whether the limit cut rows off.
    pub truncated: bool,
    /// How long it took, milliseconds.
    pub took_ms: f64,
}

/// The state of the journal since the server started.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JournalView {
    /// Predictions taken in.
    pub appended: u64,
    /// Predictions whose payload was dropped because memory was full.
    pub payloads_dropped: u64,
    /// Predictions that were counted but not stored.
    pub dropped: u64,
    /// Pieces of feedback taken.
    pub feedback: u64,
    /// Log segments turned into Parquet.
    pub segments: u64,
    /// Bytes written to the log.
    pub bytes: u64,
    /// Whether the log takes no writes now, e.g. because the disk is full.
    pub degraded: bool,
    /// The last failure of the log or of sealing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Predictions that the process before this one had taken and not written when it was killed; none where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// What recovery had to cut at the start, after a crash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<String>,
}

/// A run of a model over a whole file, made elsewhere. It becomes one event of the journal.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchRun {
    /// The prediction id that all its rows carry: a UUID.
    pub id: String,
    /// The registered model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Where the input is.
    pub input: String,
    /// Where the output is.
    pub output: String,
    /// Rows that were predicted.
    pub rows: u64,
    /// Bytes of the output.
    pub bytes: u64,
    /// Rows a call of the model.
    pub batch_rows: u64,
    /// Time in the engine, all threads together, milliseconds.
    pub engine_ms: f64,
    /// Time from beginning to end, milliseconds.
    pub took_ms: f64,
}

/// The run is in the journal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BatchAnswer {
    /// Its event's id, which is the prediction id of its rows.
    pub id: String,
}

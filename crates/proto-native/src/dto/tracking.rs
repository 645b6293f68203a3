//! Experiments and runs.

use super::{Number, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// An experiment.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentView {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// `active` or `deleted`.
    pub lifecycle: String,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Its active runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
    /// When its newest active run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<Time>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A page of experiments.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentPage {
    /// Newest change first.
    pub experiments: Vec<ExperimentView>,
    /// Send it to get the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Which experiments.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ExperimentQuery {
    /// MLflow's filter grammar, e.g. `name LIKE 'churn%'`.
    pub filter: Option<String>,
    /// `active` (default), `deleted` or `all`.
    pub view: Option<String>,
    /// Entries at most; 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// The `nextPageToken` of the page before.
    pub page_token: Option<String>,
}

/// Which runs.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunSearch {
    /// Experiments to search in; all active ones when empty.
    #[serde(default)]
    pub experiment_ids: Vec<String>,
    /// MLflow's filter grammar, e.g. `metrics.auc > 0.9 AND params.depth = '6'`.
    pub filter: Option<String>,
    /// MLflow's order grammar, e.g. `metrics.auc DESC`.
    #[serde(default)]
    pub order_by: Vec<String>,
    /// `active` (default), `deleted` or `all`.
    pub view: Option<String>,
    /// Entries at most; 1 to 1000, 100 when left out.
    #[schema(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// The `nextPageToken` of the page before.
    pub page_token: Option<String>,
}

/// A run in one line.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Its experiment's id.
    pub experiment_id: String,
    /// `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
    pub status: String,
    /// `active` or `deleted`.
    pub lifecycle: String,
    /// Who ran it.
    pub user: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// The latest value of each metric.
    pub metrics: BTreeMap<String, Number>,
    /// Parameters.
    pub params: BTreeMap<String, String>,
    /// Tags, without MLflow's own.
    pub tags: BTreeMap<String, String>,
    /// The run it is nested in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
}

/// A page of runs.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunPage {
    /// In the order asked for.
    pub runs: Vec<RunSummary>,
    /// Send it to get the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A data set that a run used.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatasetView {
    /// Name.
    pub name: String,
    /// Digest.
    pub digest: String,
    /// `local`, `http`, …
    pub source_type: String,
    /// Where it came from.
    pub source: String,
    /// `training`, `eval`, …, when the run said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// A run in full.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunDetail {
    /// The line that a search shows.
    pub run: RunSummary,
    /// MLflow's own tags (source, user, git commit, …).
    pub system_tags: BTreeMap<String, String>,
    /// Data sets it used.
    pub datasets: Vec<DatasetView>,
    /// Model versions made from it.
    pub model_versions: Vec<super::models::ModelVersionView>,
    /// Where its artifacts are.
    pub artifact_uri: String,
}

/// Which runs to compare.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompareRequest {
    /// 2 to 50 run ids.
    #[schema(min_items = 2, max_items = 50)]
    pub run_ids: Vec<String>,
}

/// One parameter across the runs.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComparedParam {
    /// Its key.
    pub key: String,
    /// Its value in each run, in the order asked for; null where it is missing.
    pub values: Vec<Option<String>>,
    /// Whether the values are not all the same.
    pub differs: bool,
}

/// One metric across the runs.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComparedMetric {
    /// Its key.
    pub key: String,
    /// Its latest value in each run, in the order asked for; null where it is missing.
    pub values: Vec<Option<Number>>,
    /// Whether the values are not all the same.
    pub differs: bool,
}

/// Runs side by side.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The runs, in the order asked for.
    pub runs: Vec<RunSummary>,
    /// By key.
    pub params: Vec<ComparedParam>,
    /// By key.
    pub metrics: Vec<ComparedMetric>,
}

/// How much of a history.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct MetricQuery {
    /// The metric's key.
    pub key: String,
    /// Points at most; 2 to 10000, 1000 when left out.
    #[param(minimum = 2, maximum = 10_000)]
    pub points: Option<u32>,
}

/// One point of a metric.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricPoint {
    /// Step.
    pub step: i64,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// Value.
    pub value: Number,
}

/// A metric over the steps of a run.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricHistory {
    /// The metric's key.
    pub key: String,
    /// Points in the order of step and time. When there are more than asked for, the first, the
    /// last, and the lowest and highest of each stretch between.
    pub points: Vec<MetricPoint>,
    /// Points there are.
    pub total: u64,
}

/// A file or folder of a run.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactEntry {
    /// Path from the root of the run's artifacts.
    pub path: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Bytes; absent for a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// The content of a folder of a run.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactList {
    /// Folders first, then by name.
    pub entries: Vec<ArtifactEntry>,
}

/// Which folder.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ArtifactQuery {
    /// Folder within the run's artifacts; the root when left out.
    pub path: Option<String>,
}

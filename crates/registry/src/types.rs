//! What the registry knows: experiments, runs, datasets, logged models, registered models.
//! Times are milliseconds since the epoch, as MLflow's clients send and show them.

use serde::Serialize;

/// Whether a thing is in use or deleted and restorable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// In use.
    Active,
    /// Deleted; can be restored until it is purged.
    Deleted,
}

impl Lifecycle {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deleted => "deleted",
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        if text == "active" { Self::Active } else { Self::Deleted }
    }
}

/// Which lifecycle stages a search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// Only what is in use.
    #[default]
    Active,
    /// Only what is deleted.
    Deleted,
    /// Both.
    All,
}

/// A key and a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

impl Pair {
    /// A pair of these.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// A group of runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Experiment {
    /// Counted up from 0, per tenant.
    pub id: i64,
    /// Unique per tenant, deleted ones included.
    pub name: String,
    /// Where its runs' artifacts go; `mlflow-artifacts:/<id>` unless it was given.
    pub artifact_location: String,
    /// In use or deleted.
    pub stage: Lifecycle,
    /// When it was created, ms.
    pub created: i64,
    /// When it was last renamed, deleted or restored, ms.
    pub updated: i64,
    /// Tags by key.
    pub tags: Vec<Pair>,
}

/// An experiment and how many runs it has.
#[derive(Debug, Clone, Serialize)]
pub struct ExperimentSummary {
    /// The experiment.
    #[serde(flatten)]
    pub experiment: Experiment,
    /// Its active runs.
    pub runs: u64,
    /// Start of its newest active run, ms.
    pub last_run: Option<i64>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum RunStatus {
    Running,
    Scheduled,
    Finished,
    Failed,
    Killed,
}

impl RunStatus {
    /// Every status with MLflow's number for it.
    pub const ALL: [(Self, &'static str, i64); 5] = [
        (Self::Running, "RUNNING", 1),
        (Self::Scheduled, "SCHEDULED", 2),
        (Self::Finished, "FINISHED", 3),
        (Self::Failed, "FAILED", 4),
        (Self::Killed, "KILLED", 5),
    ];

    /// MLflow's word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(s, ..)| *s == self).map_or("RUNNING", |(_, text, _)| text)
    }

    /// The status with this word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, t, _)| *t == text).map(|(s, ..)| *s)
    }
}

/// A run without what was logged to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunInfo {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Shown name, also in the tag `mlflow.runName`.
    pub name: String,
    /// The experiment it belongs to.
    pub experiment: i64,
    /// Who started it, as the client said.
    pub user: String,
    /// How it stands.
    pub status: RunStatus,
    /// When it started, ms.
    pub started: i64,
    /// When it ended, ms.
    pub ended: Option<i64>,
    /// Where its artifacts are.
    pub artifact_uri: String,
    /// In use or deleted.
    pub stage: Lifecycle,
}

/// One logged value of a metric, or the latest one of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// The metric's name.
    pub key: String,
    /// The value; NaN is kept, an infinity is kept as the largest finite double of its sign.
    pub value: f64,
    /// When it was logged, ms.
    pub timestamp: i64,
    /// The training step.
    pub step: i64,
    /// The logged model it measures.
    pub model_id: Option<String>,
    /// The dataset it was measured on.
    pub dataset_name: Option<String>,
    /// That dataset's digest.
    pub dataset_digest: Option<String>,
    /// The run that logged it, where a metric is shown outside its run.
    pub run_id: Option<String>,
}

impl Metric {
    /// A metric of a run, on no model and no dataset.
    pub fn new(key: impl Into<String>, value: f64, timestamp: i64, step: i64) -> Self {
        Self {
            key: key.into(),
            value,
            timestamp,
            step,
            model_id: None,
            dataset_name: None,
            dataset_digest: None,
            run_id: None,
        }
    }
}

/// A dataset as the client described it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// Hash of its content, as the client computed it.
    pub digest: String,
    /// Kind of source: `local`, `s3`, `code`, …
    pub source_type: String,
    /// The source, usually a JSON object.
    pub source: String,
    /// Columns and types, JSON.
    pub schema: Option<String>,
    /// Row count and other facts, JSON.
    pub profile: Option<String>,
}

/// A dataset used by a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetInput {
    /// The dataset.
    pub dataset: Dataset,
    /// Tags of this use of it, e.g. `mlflow.data.context`.
    pub tags: Vec<Pair>,
}

/// A dataset, as far as its place is known: what else was logged of it may be large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedDataset {
    /// Its id here.
    pub id: String,
    /// The name it was logged with.
    pub name: String,
    /// Where it is, as its client wrote it.
    pub source: String,
}

/// A version with the value of one of its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedVersion {
    /// The model.
    pub name: String,
    /// The number.
    pub version: i64,
    /// When it was registered, ms.
    pub created: i64,
    /// When it last changed, ms.
    pub updated: i64,
    /// The tag.
    pub tag: Pair,
}

/// A dataset as the list of an experiment's datasets shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetSummary {
    /// The experiment.
    pub experiment: i64,
    /// The dataset's name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// What it was used for (`training`, …), if said.
    pub context: Option<String>,
}

/// A logged model that a run produced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelOutput {
    /// The logged model.
    pub model_id: String,
    /// At which step.
    pub step: i64,
}

/// A run and everything logged to it, with the latest value of each metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// The run itself.
    pub info: RunInfo,
    /// Latest value of each metric, by key.
    pub metrics: Vec<Metric>,
    /// Params, by key.
    pub params: Vec<Pair>,
    /// Tags, by key.
    pub tags: Vec<Pair>,
    /// Datasets it read.
    pub inputs: Vec<DatasetInput>,
    /// Logged models it read.
    pub model_inputs: Vec<String>,
    /// Logged models it produced.
    pub model_outputs: Vec<ModelOutput>,
}

/// How a logged model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LoggedModelStatus {
    /// Not said.
    Unspecified,
    /// Being written.
    Pending,
    /// Written.
    Ready,
    /// Its upload failed.
    Failed,
}

impl LoggedModelStatus {
    /// Every status with the number that MLflow stores and its name on the wire.
    pub const ALL: [(Self, &'static str, i64); 4] = [
        (Self::Unspecified, "LOGGED_MODEL_STATUS_UNSPECIFIED", 0),
        (Self::Pending, "LOGGED_MODEL_PENDING", 1),
        (Self::Ready, "LOGGED_MODEL_READY", 2),
        (Self::Failed, "LOGGED_MODEL_UPLOAD_FAILED", 3),
    ];

    /// MLflow's number.
    pub fn number(self) -> i64 {
        Self::ALL.iter().find(|(s, ..)| *s == self).map_or(0, |(.., n)| *n)
    }

    /// The status with this number.
    pub fn from_number(n: i64) -> Option<Self> {
        Self::ALL.iter().find(|(.., m)| *m == n).map(|(s, ..)| *s)
    }

    /// The word stored and searched: `READY`, …
    pub fn wire(self) -> &'static str {
        Self::ALL.iter().find(|(s, ..)| *s == self).map_or("", |(_, w, _)| w)
    }
}

/// A model written by a run, before and beside its registration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedModel {
    /// `m-` and 32 hexadecimal digits.
    pub id: String,
    /// The experiment it belongs to.
    pub experiment: i64,
    /// Its name.
    pub name: String,
    /// Where its files are.
    pub artifact_uri: String,
    /// When it was created, ms.
    pub created: i64,
    /// When it was last changed, ms.
    pub updated: i64,
    /// How it stands.
    pub status: LoggedModelStatus,
    /// Why it failed, if the client said.
    pub status_message: Option<String>,
    /// Free text, e.g. `agent`.
    pub model_type: Option<String>,
    /// The run that wrote it.
    pub source_run_id: Option<String>,
    /// In use or deleted.
    pub stage: Lifecycle,
    /// Tags by key.
    pub tags: Vec<Pair>,
    /// Params by key.
    pub params: Vec<Pair>,
    /// Every metric logged against it.
    pub metrics: Vec<Metric>,
}

/// The stage that MLflow keeps for deleted versions; never shown.
pub(crate) const STAGE_DELETED: &str = "Deleted_Internal";

/// A name pointing at a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alias {
    /// The alias.
    pub alias: String,
    /// The version it points at.
    pub version: i64,
}

/// A registered model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegisteredModel {
    /// Unique per tenant.
    pub name: String,
    /// When it was created, ms.
    pub created: i64,
    /// When it or one of its versions was last changed, ms.
    pub updated: i64,
    /// Free text.
    pub description: Option<String>,
    /// Tags by key.
    pub tags: Vec<Pair>,
    /// Aliases by name.
    pub aliases: Vec<Alias>,
    /// The newest version of each stage.
    pub latest: Vec<ModelVersion>,
}

/// The tag that shows where MLflow's clients look that a version is frozen.
pub const FROZEN_TAG: &str = "mainspring.frozen";

/// A version that nothing new may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Frozen {
    /// Who froze it, as audit knows them; a rollout is the system.
    pub by: String,
    /// When, ms.
    pub at: i64,
    /// Why.
    pub reason: String,
}

/// A version of a registered model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelVersion {
    /// The registered model.
    pub name: String,
    /// Counted up from 1.
    pub version: i64,
    /// When it was created, ms.
    pub created: i64,
    /// When it was last changed, ms.
    pub updated: i64,
    /// Free text.
    pub description: Option<String>,
    /// `None`, `Staging`, `Production` or `Archived`.
    pub stage: String,
    /// Where the client said the model is.
    pub source: String,
    /// Where its files really are.
    pub storage: String,
    /// The run it comes from.
    pub run_id: Option<String>,
    /// The logged model it comes from.
    pub model_id: Option<String>,
    /// A link to the run in another server.
    pub run_link: Option<String>,
    /// Tags by key.
    pub tags: Vec<Pair>,
    /// Aliases that point at it.
    pub aliases: Vec<String>,
    /// Whether nothing new may take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
}

/// A page of results, and the token of the next page when there is one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    /// The results.
    pub items: Vec<T>,
    /// Give this back to get the next page.
    pub next: Option<String>,
}

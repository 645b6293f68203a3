//! Registered models.

use super::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// A registered model.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelView {
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Alias to version.
    pub aliases: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// The newest version; absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_version: Option<String>,
}

/// A page of models.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelPage {
    /// By name.
    pub models: Vec<ModelView>,
    /// Send it to get the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Which models.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ModelQuery {
    /// MLflow's filter grammar, e.g. `name LIKE 'churn%'`.
    pub filter: Option<String>,
    /// Entries at most; 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// The `nextPageToken` of the page before.
    pub page_token: Option<String>,
}

/// A version that nothing new may take.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionFrozen {
    /// Who froze it; `system` is a rollout.
    pub by: String,
    /// When.
    pub at: Time,
    /// Why.
    pub reason: String,
}

/// Why a version is frozen.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FreezeRequest {
    /// In 1 to 1000 characters.
    pub reason: String,
}

/// One version of a model.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelVersionView {
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// `READY`: a version is registered once its files are there.
    pub status: String,
    /// MLflow stage: `None`, `Staging`, `Production` or `Archived`.
    pub stage: String,
    /// Description.
    pub description: String,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// The run it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Where its files came from.
    pub source: String,
    /// Aliases that point at it.
    pub aliases: Vec<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Whether nothing new may take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<VersionFrozen>,
}

/// A model with its versions.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelDetail {
    /// The model.
    pub model: ModelView,
    /// Newest first.
    pub versions: Vec<ModelVersionView>,
}

/// Where an alias shall point.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AliasRequest {
    /// The version.
    pub version: String,
}

/// Where an alias points.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AliasView {
    /// The model.
    pub name: String,
    /// The alias.
    pub alias: String,
    /// The version.
    pub version: String,
}

/// A deployment that names a version.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineageDeployment {
    /// Its name.
    pub name: String,
    /// The version it answers with.
    pub version: String,
    /// By which URI it names the model.
    pub model: String,
}

/// A version, where it came from and where it went.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineageVersion {
    /// The version.
    pub version: ModelVersionView,
    /// The version of the same model that it was made from, by conversion or optimisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_from: Option<String>,
    /// The run that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<super::tracking::RunSummary>,
    /// Data sets of that run.
    pub datasets: Vec<super::tracking::DatasetView>,
    /// Deployments that answer with it.
    pub deployments: Vec<LineageDeployment>,
}

/// From data sets over runs and versions to deployments.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lineage {
    /// The model.
    pub model: String,
    /// Newest version first.
    pub versions: Vec<LineageVersion>,
}

/// What to purge.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PurgeRequest {
    /// Only what was deleted at least this many seconds ago.
    pub older_than_seconds: u64,
    /// Say what would be freed and free nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was purged, or with `dryRun` would be.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PurgeAnswer {
    /// Runs gone.
    pub runs: u64,
    /// Experiments gone.
    pub experiments: u64,
    /// Logged models gone.
    pub models: u64,
    /// Files freed in the artifact store.
    pub files: u64,
    /// The bytes of these files.
    pub bytes: u64,
    /// Runs and logged models kept because a model version is served from their files.
    pub kept: Vec<PurgeKept>,
    /// Things whose artifacts are in another store, which this server does not touch.
    pub elsewhere: Vec<String>,
}

/// Something that a purge kept.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PurgeKept {
    /// The run or the logged model.
    pub id: String,
    /// The model version that is served from its files.
    pub served_by: String,
}

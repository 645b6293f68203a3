//! The server itself.

use super::Time;
use super::deployments::DeploymentSummary;
use super::journal::JournalView;
use super::tracking::RunSummary;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What this server is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// `mainspring`.
    pub name: String,
    /// Version of the binary.
    pub version: String,
    /// When it started.
    pub started_at: Time,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// Where artifacts are: a folder or `s3://bucket/prefix`.
    pub artifacts: String,
    /// Engines that can run models, e.g. `onnxruntime 1.24.0`.
    pub engines: Vec<String>,
    /// Whether requests from the machine itself need no key.
    pub open_on_loopback: bool,
}

/// One part of the server.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// `requests`, `database`, `journal`, `engine`.
    pub name: String,
    /// Whether it works.
    pub ok: bool,
    /// What is wrong, when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether the server takes requests, and which of its parts work.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether it takes requests: not while it loads what was declared before it started, while it
    /// stops, or while no prediction could be answered. A database that is away fails its own check
    /// alone, because deployed models go on answering.
    pub ready: bool,
    /// The checks.
    pub checks: Vec<Check>,
}

/// How many there are of each.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Active experiments.
    pub experiments: u64,
    /// Active runs.
    pub runs: u64,
    /// Registered models.
    pub models: u64,
    /// Their versions.
    pub model_versions: u64,
    /// Deployments.
    pub deployments: u64,
}

/// The first page: what runs, what is new, what needs a look.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// The state in one sentence with figures.
    pub headline: String,
    /// How many there are of each.
    pub counts: Counts,
    /// Each deployment with its traffic.
    pub deployments: Vec<DeploymentSummary>,
    /// The newest runs.
    pub recent_runs: Vec<RunSummary>,
    /// The state of the journal; absent when the caller may not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalView>,
}

/// One setting and where its value comes from.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// Its key in `mainspring.toml`.
    pub key: String,
    /// Its value; `***` for a secret.
    pub value: String,
    /// `flag`, `environment`, `file` or `default`.
    pub origin: String,
    /// What it does.
    pub help: String,
}

/// The configuration as it is in effect.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Every setting.
    pub settings: Vec<Setting>,
}

/// Which part of a long list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Entries at most; 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// The `nextPageToken` of the page before.
    pub page_token: Option<String>,
}

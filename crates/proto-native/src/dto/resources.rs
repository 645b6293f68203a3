//! Declared resources.

use super::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// What an apply did to one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Change {
    Created,
    Updated,
    Unchanged,
    RolledBack,
    Deleted,
}

/// One resource after an apply.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its generation now.
    pub generation: i64,
    /// What happened.
    pub change: Change,
    /// The earlier generation that a rollback brought back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored: Option<i64>,
}

/// What an apply did, in the order of the documents.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyAnswer {
    /// Each resource.
    pub applied: Vec<Applied>,
}

/// How documents are sent.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ApplyQuery {
    /// Name of the file that the documents come from, for error messages.
    pub file: Option<String>,
}

/// One field that differs.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// Where, e.g. `engine.batch.maxRows`.
    pub path: String,
    /// Value now; absent when the field is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Value after; absent when the field goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What applying a document would do.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDiff {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// What would happen.
    pub change: Change,
    /// Field by field.
    pub fields: Vec<FieldChange>,
}

/// What applying would do, in the order of the documents.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffAnswer {
    /// Each resource.
    pub diffs: Vec<ResourceDiff>,
}

/// A declared resource.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceView {
    /// `mainspring/v1`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// UUID; another after the resource was deleted and made again.
    pub id: String,
    /// Counts its changes from 1.
    pub generation: i64,
    /// What was declared, with defaults filled in.
    pub spec: Value,
    /// What is, in this process: `state`, `reason`, `version`, and whether it is `settled`. Null until
    /// it was taken up here.
    pub status: Option<Value>,
    /// When it was first applied.
    pub created_at: Time,
    /// When its spec last changed.
    pub updated_at: Time,
    /// Who changed it last.
    pub updated_by: String,
}

/// Resources of one kind, or of all.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceList {
    /// By kind and name.
    pub resources: Vec<ResourceView>,
    /// Send it to get the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Which resources to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ResourceQuery {
    /// Only this kind.
    pub kind: Option<String>,
    /// Entries at most; 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// The `nextPageToken` of the page before.
    pub page_token: Option<String>,
}

/// One generation.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Generation {
    /// Its number.
    pub generation: i64,
    /// What made it.
    pub change: Change,
    /// When.
    pub at: Time,
    /// By whom.
    pub by: String,
    /// The spec; null for a deletion.
    pub spec: Option<Value>,
}

/// Every generation, newest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Newest first.
    pub generations: Vec<Generation>,
}

/// Which generation to bring back.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollbackRequest {
    /// The generation; the one before the current when left out.
    pub to_generation: Option<i64>,
}

/// A kind that can be declared.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KindView {
    /// Its name, as in `kind:`.
    pub kind: String,
    /// What it is.
    pub description: String,
}

/// The kinds that can be declared.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KindList {
    /// By name.
    pub kinds: Vec<KindView>,
}

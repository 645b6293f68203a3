//! What a declared thing looks like from outside.

use mainspring_core::{Name, Tenant, Timestamp};
use serde::Serialize;
use serde_json::Value;

/// What happened to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It was not there.
    Created,
    /// Its spec changed.
    Updated,
    /// Its spec is the one that was there.
    Unchanged,
    /// An earlier spec came back.
    RolledBack,
    /// It is gone.
    Deleted,
}

impl Change {
    pub(crate) const ALL: [Self; 5] = [Self::Created, Self::Updated, Self::Unchanged, Self::RolledBack, Self::Deleted];

    /// The word in the database and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::RolledBack => "rolledBack",
            Self::Deleted => "deleted",
        }
    }
}

/// What an apply, a rollback or a delete did to one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Kind: `Deployment`.
    pub kind: String,
    /// Name.
    pub name: Name,
    /// Its generation now.
    pub generation: i64,
    /// What happened.
    pub change: Change,
    /// The earlier generation that a rollback brought back.
    pub restored: Option<i64>,
}

/// A declared thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// UUID; another after the thing was deleted and made again.
    pub id: String,
    /// Whose.
    pub tenant: Tenant,
    /// Kind: `Deployment`.
    pub kind: String,
    /// Name.
    pub name: Name,
    /// Counts changes of the spec, from 1; never used twice for one name.
    pub generation: i64,
    /// What it should be.
    pub spec: Value,
    /// What it is in this process; `None` until this generation was taken up here.
    pub status: Option<Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its spec last changed.
    pub updated_at: Timestamp,
    /// Who changed it.
    pub updated_by: String,
}

/// One generation of a thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// Its number.
    pub generation: i64,
    /// What happened.
    pub change: Change,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub subject: String,
    /// The spec since then; the last one when the thing was deleted.
    pub spec: Value,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// Path: `engine.batch.maxRows`.
    pub path: String,
    /// Value now; `None` when it is not there.
    pub before: Option<Value>,
    /// Value after an apply; `None` when it goes away.
    pub after: Option<Value>,
}

/// What an apply would do to one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Diff {
    /// Kind: `Deployment`.
    pub kind: String,
    /// Name.
    pub name: Name,
    /// What would happen.
    pub change: Change,
    /// Each field that differs.
    pub fields: Vec<FieldChange>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The things, by kind and name.
    pub resources: Vec<Resource>,
    /// Asks for the next part; `None` at the end.
    pub next: Option<String>,
}

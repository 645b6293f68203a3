//! Declared resources.

use crate::dto::resources::{Applied, Change, FieldChange, Generation, ResourceDiff, ResourceView};
use mainspring_resource as domain;

impl From<domain::Change> for Change {
    fn from(change: domain::Change) -> Self {
        match change {
            domain::Change::Created => Self::Created,
            domain::Change::Updated => Self::Updated,
            domain::Change::Unchanged => Self::Unchanged,
            domain::Change::RolledBack => Self::RolledBack,
            domain::Change::Deleted => Self::Deleted,
        }
    }
}

impl From<domain::Applied> for Applied {
    fn from(a: domain::Applied) -> Self {
        Self {
            kind: a.kind,
            name: a.name.to_string(),
            generation: a.generation,
            change: a.change.into(),
            restored: a.restored,
        }
    }
}

impl From<domain::Diff> for ResourceDiff {
    fn from(d: domain::Diff) -> Self {
        let fields = d.fields.into_iter();
        Self {
            kind: d.kind,
            name: d.name.to_string(),
            change: d.change.into(),
            fields: fields.map(|f| FieldChange { path: f.path, before: f.before, after: f.after }).collect(),
        }
    }
}

impl From<domain::Resource> for ResourceView {
    fn from(r: domain::Resource) -> Self {
        Self {
            api_version: domain::API_VERSION.to_owned(),
            kind: r.kind,
            name: r.name.to_string(),
            id: r.id,
            generation: r.generation,
            spec: r.spec,
            status: r.status,
            created_at: r.created_at.into(),
            updated_at: r.updated_at.into(),
            updated_by: r.updated_by,
        }
    }
}

impl From<domain::Generation> for Generation {
    fn from(g: domain::Generation) -> Self {
        let gone = g.change == domain::Change::Deleted;
        Self {
            generation: g.generation,
            change: g.change.into(),
            at: g.at.into(),
            by: g.subject,
            spec: (!gone).then_some(g.spec),
        }
    }
}

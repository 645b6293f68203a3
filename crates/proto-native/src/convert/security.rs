//! Keys and the audit trail.

use crate::dto::security::{AuditEntry, CreatedKey, KeyView};
use mainspring_security as domain;

impl From<domain::KeyInfo> for KeyView {
    fn from(k: domain::KeyInfo) -> Self {
        Self {
            id: k.id,
            label: k.label,
            role: k.role.into(),
            tenant: k.tenant.to_string(),
            groups: k.groups.iter().map(ToString::to_string).collect(),
            created_at: k.created_at.into(),
            created_by: k.created_by,
            expires_at: k.expires_at.map(Into::into),
            revoked_at: k.revoked_at.map(Into::into),
            last_used_at: k.last_used_at.map(Into::into),
            replaced_by: k.replaced_by,
        }
    }
}

impl From<domain::CreatedKey> for CreatedKey {
    fn from(k: domain::CreatedKey) -> Self {
        Self { key: k.key.reveal().to_owned(), info: k.info.into() }
    }
}

impl From<mainspring_security::AuditEntry> for AuditEntry {
    fn from(e: mainspring_security::AuditEntry) -> Self {
        Self {
            at: e.at.into(),
            subject: e.subject,
            action: e.action,
            resource_kind: e.resource_kind,
            resource_name: e.resource_name,
            allowed: e.allowed,
            reason: e.reason,
            detail: e.detail,
        }
    }
}

//! Keys, sessions and the audit trail.

use super::Time;
use mainspring_core::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a key may do, each including the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum RoleDto {
    Infer,
    Read,
    Write,
    Admin,
}

impl From<Role> for RoleDto {
    fn from(role: Role) -> Self {
        match role {
            Role::Infer => Self::Infer,
            Role::Read => Self::Read,
            Role::Write => Self::Write,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<RoleDto> for Role {
    fn from(role: RoleDto) -> Self {
        match role {
            RoleDto::Infer => Self::Infer,
            RoleDto::Read => Self::Read,
            RoleDto::Write => Self::Write,
            RoleDto::Admin => Self::Admin,
        }
    }
}

/// A key, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// Its id: the part between `msk_` and the secret.
    pub id: String,
    /// What it is for.
    pub label: String,
    /// What it may do.
    pub role: RoleDto,
    /// Whose data it sees.
    pub tenant: String,
    /// The groups that whoever has it is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// When it was made.
    pub created_at: Time,
    /// By whom.
    pub created_by: String,
    /// When it stops working by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Time>,
    /// When it was last used, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Time>,
    /// The key that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
}

/// Every key of the tenant.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyList {
    /// Newest first.
    pub keys: Vec<KeyView>,
}

/// A key to make.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateKeyRequest {
    /// What it is for.
    pub label: String,
    /// What it may do.
    pub role: RoleDto,
    /// Whose data it sees; the caller's own tenant when left out.
    pub tenant: Option<String>,
    /// The groups that whoever has it is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Seconds after which it stops working; never when left out.
    pub expires_in_seconds: Option<u64>,
}

/// How to rotate a key.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateKeyRequest {
    /// Seconds for which the old key still works; 3600 when left out.
    pub grace_seconds: Option<u64>,
    /// Seconds after which the new key stops working; as many as the old one was made for when left out.
    pub expires_in_seconds: Option<u64>,
}

/// A new key. The secret is shown here and never again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedKey {
    /// The key itself: `msk_<id>_<secret>`.
    pub key: String,
    /// What is known about it.
    pub info: KeyView,
}

/// A login.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginRequest {
    /// An API key.
    pub key: String,
}

/// Who is asking.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// `key:…`, `session:…` or `loopback`.
    pub subject: String,
    /// Whose data they see.
    pub tenant: String,
    /// What they may do.
    pub role: RoleDto,
    /// Repeat it as `x-csrf-token` on every request but GET; present only with a session cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csrf_token: Option<String>,
    /// When the session ends at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// One line of the audit trail.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// When.
    pub at: Time,
    /// Who.
    pub subject: String,
    /// What, e.g. `key.create`.
    pub action: String,
    /// Kind of the thing.
    pub resource_kind: String,
    /// Name of the thing.
    pub resource_name: String,
    /// Whether it was allowed.
    pub allowed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What became of the thing, where its name does not say that: `champion is version 3, was 2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A page of the audit trail.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Send it to get the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

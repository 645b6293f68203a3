//! Who somebody is and what they may do: API keys, the console's sessions, the role policy and the
//! audit trail's sink.
//!
//! Keys are 256 random bits, so they are stored as a plain SHA-256: a slow hash such as Argon2
//! protects passwords, which people choose and others can guess; nobody can enumerate 2^256 keys,
//! and a slow hash would cost milliseconds on every prediction.

mod action;
mod audit;
mod error;
mod key;
mod policy;
mod security;
mod session;
pub mod sql;
mod table;
mod throttle;

pub use action::{CloseSession, CreateKey, ListKeys, OpenSession, ReadAudit, RevokeKey, RotateKey};
pub use audit::{Trail, TrailStats};
pub use error::{AuthError, SecurityError};
pub use key::{CreatedKey, KeyInfo, NewKey, groups};
pub use mainspring_store::sql::AuditEntry;
pub use policy::RolePolicy;
pub use security::{Security, SecuritySettings};
pub use session::{Session, csrf_of};
pub use sql::migrations::MIGRATIONS;

#[cfg(test)]
mod tests;

//! The store's own tables: the audit trail, the outbox, idempotency keys and leases.

pub mod audit;
pub mod idempotency;
pub mod leader;
pub mod lease;
pub mod migrations;
pub mod outbox;

pub use audit::{AuditEntry, AuditQuery};
pub use idempotency::{IdempotencyKey, StoredReply};
pub use leader::{Lead, Leader, Passes};
pub use lease::Lease;
pub use migrations::MIGRATIONS;
pub use outbox::{NewEvent, OutboxEvent};

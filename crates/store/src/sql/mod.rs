//! The store's own tables: the audit trail, the outbox, idempotency keys and leases.

pub mod audit;
pub mod idempotency;
pub mod lease;
pub mod migrations;
pub mod outbox;

pub use audit::{AuditEntry, AuditQuery};
pub use idempotency::{IdempotencyKey, StoredReply};
pub use lease::Lease;
pub use migrations::MIGRATIONS;
pub use outbox::OutboxEvent;

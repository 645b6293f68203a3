//! The journal's tables.

use mainspring_store::{Migration, MigrationSet};

const TABLES: &str = "
CREATE TABLE journal_client_ids (
    tenant TEXT NOT NULL,
    deployment TEXT NOT NULL,
    client_id TEXT NOT NULL,
    prediction_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    PRIMARY KEY (tenant, deployment, client_id)
);
CREATE INDEX journal_client_ids_by_at ON journal_client_ids (at);
CREATE TABLE journal_feedback_seen (
    tenant TEXT NOT NULL,
    event_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant, event_id)
);
CREATE INDEX journal_feedback_seen_by_at ON journal_feedback_seen (at);
";

/// Callers' own ids, and the ids of feedback that was taken.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "journal",
    migrations: &[Migration { version: 1, name: "client ids and feedback ids", sqlite: TABLES, postgres: TABLES }],
};

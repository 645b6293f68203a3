//! The schema, version by version. An applied migration is never edited.

use mainspring_store::{Migration, MigrationSet};

/// Tables of rollouts.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "rollout",
    migrations: &[
        Migration { version: 1, name: "runs, routing rows and decisions", sqlite: SQLITE_1, postgres: POSTGRES_1 },
        Migration { version: 2, name: "which write each is of", sqlite: SQLITE_2, postgres: POSTGRES_2 },
    ],
};

const SQLITE_2: &str = "
ALTER TABLE rollout_run ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollout_row ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
CREATE INDEX rollout_run_epoch ON rollout_run (epoch);
CREATE INDEX rollout_row_epoch ON rollout_row (epoch);
";

const POSTGRES_2: &str = "
ALTER TABLE rollout_run ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollout_row ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
CREATE INDEX rollout_run_epoch ON rollout_run (epoch);
CREATE INDEX rollout_row_epoch ON rollout_row (epoch);
";

const SQLITE_1: &str = "
CREATE TABLE rollout_run (
    tenant TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL,
    deployment TEXT NOT NULL, spec TEXT NOT NULL, state TEXT NOT NULL, version INTEGER NOT NULL,
    active INTEGER NOT NULL, phase TEXT NOT NULL, candidate TEXT, rolled_back_at INTEGER,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name, number)
) STRICT;
CREATE INDEX rollout_run_active ON rollout_run (active);
CREATE INDEX rollout_run_deployment ON rollout_run (tenant, deployment, rolled_back_at);
CREATE TABLE rollout_row (
    tenant TEXT NOT NULL, deployment TEXT NOT NULL, rollout TEXT NOT NULL, generation INTEGER NOT NULL, routing TEXT,
    PRIMARY KEY (tenant, deployment)
) STRICT;
CREATE TABLE rollout_decision (
    tenant TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, seq INTEGER NOT NULL,
    at INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, name, number, seq)
) STRICT;
CREATE TABLE rollout_epoch (one INTEGER PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;
INSERT INTO rollout_epoch (one, epoch) VALUES (1, 0);
";

const POSTGRES_1: &str = "
CREATE TABLE rollout_run (
    tenant TEXT NOT NULL, name TEXT NOT NULL, number BIGINT NOT NULL, id TEXT NOT NULL,
    deployment TEXT NOT NULL, spec TEXT NOT NULL, state TEXT NOT NULL, version BIGINT NOT NULL,
    active BOOLEAN NOT NULL, phase TEXT NOT NULL, candidate TEXT, rolled_back_at BIGINT,
    created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, name, number)
);
CREATE INDEX rollout_run_active ON rollout_run (active);
CREATE INDEX rollout_run_deployment ON rollout_run (tenant, deployment, rolled_back_at);
CREATE TABLE rollout_row (
    tenant TEXT NOT NULL, deployment TEXT NOT NULL, rollout TEXT NOT NULL, generation BIGINT NOT NULL, routing TEXT,
    PRIMARY KEY (tenant, deployment)
);
CREATE TABLE rollout_decision (
    tenant TEXT NOT NULL, name TEXT NOT NULL, number BIGINT NOT NULL, seq BIGINT NOT NULL,
    at BIGINT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, name, number, seq)
);
CREATE TABLE rollout_epoch (one BIGINT PRIMARY KEY, epoch BIGINT NOT NULL);
INSERT INTO rollout_epoch (one, epoch) VALUES (1, 0);
";

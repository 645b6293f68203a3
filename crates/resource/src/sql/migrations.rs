//! The schema, version by version. An applied migration is never edited.

use mainspring_store::{Migration, MigrationSet};

/// Tables of declared state.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "resource",
    migrations: &[
        Migration { version: 1, name: "resources and their history", sqlite: SQLITE_1, postgres: POSTGRES_1 },
        Migration { version: 2, name: "status is asked where a thing runs", sqlite: NO_STATUS, postgres: NO_STATUS },
    ],
};

const NO_STATUS: &str = "ALTER TABLE resource DROP COLUMN status;";

const SQLITE_1: &str = "
CREATE TABLE resource (
    tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    id TEXT NOT NULL, generation INTEGER NOT NULL, spec TEXT NOT NULL, status TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, updated_by TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, name)
) STRICT;
CREATE TABLE resource_history (
    tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL,
    change TEXT NOT NULL, at INTEGER NOT NULL, subject TEXT NOT NULL, spec TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, name, generation)
) STRICT;
CREATE TABLE resource_epoch (one INTEGER PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;
INSERT INTO resource_epoch (one, epoch) VALUES (1, 0);
";

const POSTGRES_1: &str = "
CREATE TABLE resource (
    tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    id TEXT NOT NULL, generation BIGINT NOT NULL, spec TEXT NOT NULL, status TEXT,
    created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, updated_by TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, name)
);
CREATE TABLE resource_history (
    tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, generation BIGINT NOT NULL,
    change TEXT NOT NULL, at BIGINT NOT NULL, subject TEXT NOT NULL, spec TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, name, generation)
);
CREATE TABLE resource_epoch (one BIGINT PRIMARY KEY, epoch BIGINT NOT NULL);
INSERT INTO resource_epoch (one, epoch) VALUES (1, 0);
";

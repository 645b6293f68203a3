//! The schema, version by version. An applied migration is never edited.

use mainspring_store::{Migration, MigrationSet};

/// Tables of monitors and of the profiles of versions.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "monitor",
    migrations: &[
        Migration { version: 1, name: "states, transitions and profiles", sqlite: SQLITE_1, postgres: POSTGRES_1 },
        Migration { version: 2, name: "what the one that leads says of them", sqlite: SQLITE_2, postgres: POSTGRES_2 },
        Migration { version: 3, name: "what each look saw", sqlite: SQLITE_3, postgres: POSTGRES_3 },
        Migration { version: 4, name: "profiles of new versions", sqlite: SQLITE_4, postgres: POSTGRES_4 },
    ],
};

const SQLITE_4: &str = "
CREATE TABLE monitor_profiled (one INTEGER PRIMARY KEY CHECK (one = 1), until INTEGER NOT NULL) STRICT;
";

const POSTGRES_4: &str = "
CREATE TABLE monitor_profiled (one BIGINT PRIMARY KEY CHECK (one = 1), until BIGINT NOT NULL);
";

const SQLITE_3: &str = "
CREATE TABLE monitor_history (
    tenant TEXT NOT NULL, name TEXT NOT NULL, step INTEGER NOT NULL, slot INTEGER NOT NULL, at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, name, step, slot)
) STRICT;
";

const POSTGRES_3: &str = "
CREATE TABLE monitor_history (
    tenant TEXT NOT NULL, name TEXT NOT NULL, step BIGINT NOT NULL, slot BIGINT NOT NULL, at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, name, step, slot)
);
";

const SQLITE_2: &str = "
ALTER TABLE monitor_state ADD COLUMN late INTEGER NOT NULL DEFAULT 0;
ALTER TABLE monitor_state ADD COLUMN problem TEXT;
";

const POSTGRES_2: &str = "
ALTER TABLE monitor_state ADD COLUMN late BIGINT NOT NULL DEFAULT 0;
ALTER TABLE monitor_state ADD COLUMN problem TEXT;
";

const SQLITE_1: &str = "
CREATE TABLE monitor_state (
    tenant TEXT NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL, state TEXT NOT NULL, version INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT;
CREATE TABLE monitor_transition (
    tenant TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, name, seq)
) STRICT;
CREATE TABLE monitor_profile (
    tenant TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, profile TEXT NOT NULL, source TEXT NOT NULL,
    saved_by TEXT NOT NULL, saved_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, model, version)
) STRICT;
";

const POSTGRES_1: &str = "
CREATE TABLE monitor_state (
    tenant TEXT NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL, state TEXT NOT NULL, version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);
CREATE TABLE monitor_transition (
    tenant TEXT NOT NULL, name TEXT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, name, seq)
);
CREATE TABLE monitor_profile (
    tenant TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, profile TEXT NOT NULL, source TEXT NOT NULL,
    saved_by TEXT NOT NULL, saved_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, model, version)
);
";

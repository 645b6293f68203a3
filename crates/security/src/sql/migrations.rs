//! The tables of keys and sessions.

use mainspring_store::{Migration, MigrationSet};

/// Keys, sessions and the generation that tells replicas of a change.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "security",
    migrations: &[
        Migration { version: 1, name: "keys, sessions", sqlite: SQLITE_1, postgres: POSTGRES_1 },
        Migration { version: 2, name: "groups of keys", sqlite: BOTH_2, postgres: BOTH_2 },
    ],
};

/// Names, with commas between them.
const BOTH_2: &str = "ALTER TABLE api_keys ADD COLUMN member_of TEXT NOT NULL DEFAULT '';";

const SQLITE_1: &str = "
CREATE TABLE api_keys (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL,
    label TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER,
    replaced_by TEXT
) WITHOUT ROWID;
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at);

CREATE TABLE sessions (
    tenant TEXT NOT NULL,
    hash BLOB NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE security_generation (
    tenant TEXT NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL
) WITHOUT ROWID;
";

const POSTGRES_1: &str = "
CREATE TABLE api_keys (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    hash BYTEA NOT NULL,
    label TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    replaced_by TEXT
);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at);

CREATE TABLE sessions (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE security_generation (
    tenant TEXT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL
);
";

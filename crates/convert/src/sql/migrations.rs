//! The table of conversions.

use mainspring_store::{Migration, MigrationSet};

/// Conversions, with what became of them.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "convert",
    migrations: &[Migration { version: 1, name: "conversions", sqlite: SQLITE_1, postgres: POSTGRES_1 }],
};

const SQLITE_1: &str = "
CREATE TABLE conversions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    task TEXT NOT NULL,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    replica TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    course TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX conversions_by_tenant ON conversions (tenant, created_at);
";

const POSTGRES_1: &str = "
CREATE TABLE conversions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    task TEXT NOT NULL,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    replica TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    course TEXT NOT NULL
);
CREATE INDEX conversions_by_tenant ON conversions (tenant, created_at);
";

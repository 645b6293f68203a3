//! The tables. Names are long, so that keys are digests of them.

use mainspring_store::{Migration, MigrationSet};

macro_rules! tables {
    (tail: $tail:literal) => {
        concat!(
            "
CREATE TABLE lineage_events (
    tenant TEXT NOT NULL, event TEXT NOT NULL, at BIGINT NOT NULL, received BIGINT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, event));
CREATE INDEX lineage_events_by_time ON lineage_events (tenant, at, event);

CREATE TABLE lineage_things (
    tenant TEXT NOT NULL, thing TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    created BIGINT NOT NULL, updated BIGINT NOT NULL,
    PRIMARY KEY (tenant, thing));
CREATE INDEX lineage_things_by_name ON lineage_things (tenant, kind, namespace, name);

CREATE TABLE lineage_facets (
    tenant TEXT NOT NULL, thing TEXT NOT NULL, name TEXT NOT NULL, at BIGINT NOT NULL, body TEXT,
    PRIMARY KEY (tenant, thing, name));

CREATE TABLE lineage_edges (
    tenant TEXT NOT NULL, job TEXT NOT NULL, direction TEXT NOT NULL, dataset TEXT NOT NULL,
    PRIMARY KEY (tenant, job, direction, dataset))",
            $tail,
            ";
CREATE INDEX lineage_edges_by_dataset ON lineage_edges (tenant, dataset, direction, job);

CREATE TABLE lineage_runs (
    tenant TEXT NOT NULL, run TEXT NOT NULL, job TEXT NOT NULL, state TEXT, state_at BIGINT NOT NULL,
    started BIGINT, ended BIGINT, created BIGINT NOT NULL, updated BIGINT NOT NULL,
    PRIMARY KEY (tenant, run))",
            $tail,
            ";
CREATE INDEX lineage_runs_by_job ON lineage_runs (tenant, job, updated);

CREATE TABLE lineage_told (
    tenant TEXT NOT NULL, what TEXT NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (tenant, what))",
            $tail,
            ";
"
        )
    };
}

/// The schema.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "lineage",
    migrations: &[Migration {
        version: 1,
        name: "events, jobs, datasets, runs",
        sqlite: tables!(tail: " WITHOUT ROWID"),
        postgres: tables!(tail: ""),
    }],
};

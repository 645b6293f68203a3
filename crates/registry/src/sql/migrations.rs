//! The registry's tables. One text makes both dialects.
//!
//! What is logged to a run is clustered by (experiment, key): a search that filters or orders by
//! `metrics.loss` reads one run of neighbouring rows instead of one row in a thousand, and an
//! update of a latest value touches one tree. `*_by_run` finds what to show with a run, `*_by_value` the runs
//! whose param or tag is a given one.

use mainspring_store::{Migration, MigrationSet};

macro_rules! schema {
    (blob: $blob:literal, tail: $tail:literal) => {
        concat!(
            "
CREATE TABLE registry_counters (
    tenant TEXT NOT NULL, name TEXT NOT NULL, value BIGINT NOT NULL,
    PRIMARY KEY (tenant, name))",
            $tail,
            ";

CREATE TABLE experiments (
    tenant TEXT NOT NULL, experiment_id BIGINT NOT NULL, name TEXT NOT NULL,
    artifact_location TEXT NOT NULL, lifecycle_stage TEXT NOT NULL,
    creation_time BIGINT NOT NULL, last_update_time BIGINT NOT NULL,
    PRIMARY KEY (tenant, experiment_id));
CREATE UNIQUE INDEX experiments_by_name ON experiments (tenant, name);

CREATE TABLE experiment_tags (
    tenant TEXT NOT NULL, experiment_id BIGINT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (tenant, experiment_id, key))",
            $tail,
            ";

CREATE TABLE runs (
    tenant TEXT NOT NULL, run_id TEXT NOT NULL, experiment_id BIGINT NOT NULL,
    name TEXT NOT NULL, user_id TEXT NOT NULL, status TEXT NOT NULL,
    start_time BIGINT NOT NULL, end_time BIGINT, deleted_time BIGINT,
    artifact_uri TEXT NOT NULL, lifecycle_stage TEXT NOT NULL,
    PRIMARY KEY (tenant, run_id));
CREATE INDEX runs_by_start ON runs (tenant, experiment_id, lifecycle_stage, start_time DESC, run_id);

CREATE TABLE run_params (
    tenant TEXT NOT NULL, experiment_id BIGINT NOT NULL, key TEXT NOT NULL, run_id TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (tenant, experiment_id, key, run_id))",
            $tail,
            ";
CREATE INDEX run_params_by_run ON run_params (tenant, run_id);

CREATE TABLE run_tags (
    tenant TEXT NOT NULL, experiment_id BIGINT NOT NULL, key TEXT NOT NULL, run_id TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (tenant, experiment_id, key, run_id))",
            $tail,
            ";
CREATE INDEX run_tags_by_run ON run_tags (tenant, run_id);

CREATE TABLE run_metrics (
    tenant TEXT NOT NULL, experiment_id BIGINT NOT NULL, key TEXT NOT NULL, run_id TEXT NOT NULL,
    value DOUBLE PRECISION NOT NULL, is_nan BIGINT NOT NULL,
    step BIGINT NOT NULL, timestamp BIGINT NOT NULL,
    PRIMARY KEY (tenant, experiment_id, key, run_id))",
            $tail,
            ";
CREATE INDEX run_metrics_by_run ON run_metrics (tenant, run_id);

CREATE TABLE metric_chunks (
    tenant TEXT NOT NULL, run_id TEXT NOT NULL, key TEXT NOT NULL, seq BIGINT NOT NULL,
    points ",
            $blob,
            " NOT NULL,
    PRIMARY KEY (tenant, run_id, key, seq))",
            $tail,
            ";

CREATE TABLE datasets (
    tenant TEXT NOT NULL, dataset_id TEXT NOT NULL, experiment_id BIGINT NOT NULL,
    name TEXT NOT NULL, digest TEXT NOT NULL, source_type TEXT NOT NULL, source TEXT NOT NULL,
    schema_text TEXT, profile TEXT,
    PRIMARY KEY (tenant, dataset_id));
CREATE UNIQUE INDEX datasets_by_digest ON datasets (tenant, experiment_id, name, digest);

CREATE TABLE run_datasets (
    tenant TEXT NOT NULL, run_id TEXT NOT NULL, dataset_id TEXT NOT NULL, experiment_id BIGINT NOT NULL,
    tags TEXT NOT NULL, context TEXT,
    PRIMARY KEY (tenant, run_id, dataset_id))",
            $tail,
            ";
CREATE INDEX run_datasets_by_dataset ON run_datasets (tenant, dataset_id);

CREATE TABLE run_models (
    tenant TEXT NOT NULL, run_id TEXT NOT NULL, model_id TEXT NOT NULL, direction TEXT NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (tenant, run_id, direction, model_id, step))",
            $tail,
            ";
CREATE INDEX run_models_by_model ON run_models (tenant, model_id);

CREATE TABLE logged_models (
    tenant TEXT NOT NULL, model_id TEXT NOT NULL, experiment_id BIGINT NOT NULL, name TEXT NOT NULL,
    artifact_uri TEXT NOT NULL, creation_time BIGINT NOT NULL, last_updated_time BIGINT NOT NULL,
    status BIGINT NOT NULL, status_message TEXT, model_type TEXT, source_run_id TEXT,
    lifecycle_stage TEXT NOT NULL,
    PRIMARY KEY (tenant, model_id));
CREATE INDEX logged_models_by_creation
    ON logged_models (tenant, experiment_id, lifecycle_stage, creation_time DESC, model_id);

CREATE TABLE logged_model_params (
    tenant TEXT NOT NULL, model_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (tenant, model_id, key))",
            $tail,
            ";

CREATE TABLE logged_model_tags (
    tenant TEXT NOT NULL, model_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (tenant, model_id, key))",
            $tail,
            ";

CREATE TABLE logged_model_metrics (
    tenant TEXT NOT NULL, model_id TEXT NOT NULL, key TEXT NOT NULL, run_id TEXT NOT NULL,
    timestamp BIGINT NOT NULL, step BIGINT NOT NULL, value DOUBLE PRECISION NOT NULL, is_nan BIGINT NOT NULL,
    dataset_name TEXT NOT NULL, dataset_digest TEXT NOT NULL,
    PRIMARY KEY (tenant, model_id, key, run_id, timestamp, step))",
            $tail,
            ";
CREATE INDEX logged_model_metrics_by_key ON logged_model_metrics (tenant, key, model_id);

CREATE TABLE registered_models (
    tenant TEXT NOT NULL, name TEXT NOT NULL, creation_time BIGINT NOT NULL,
    last_updated_time BIGINT NOT NULL, description TEXT,
    PRIMARY KEY (tenant, name));

CREATE TABLE registered_model_tags (
    tenant TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (tenant, name, key))",
            $tail,
            ";

CREATE TABLE registered_model_aliases (
    tenant TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL, version BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (tenant, name, alias))",
            $tail,
            ";

CREATE TABLE model_versions (
    tenant TEXT NOT NULL, name TEXT NOT NULL, version BIGINT NOT NULL,
    creation_time BIGINT NOT NULL, last_updated_time BIGINT NOT NULL, description TEXT,
    current_stage TEXT NOT NULL, source TEXT NOT NULL, storage TEXT NOT NULL,
    run_id TEXT, model_id TEXT, run_link TEXT,
    PRIMARY KEY (tenant, name, version));
CREATE INDEX model_versions_by_update ON model_versions (tenant, last_updated_time DESC, name, version DESC);
CREATE INDEX model_versions_by_run ON model_versions (tenant, run_id);

CREATE TABLE model_version_tags (
    tenant TEXT NOT NULL, name TEXT NOT NULL, version BIGINT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (tenant, name, version, key))",
            $tail,
            ";
"
        )
    };
}

/// A purge asks for each logged model whether a version is served from it.
const BY_MODEL: &str = "CREATE INDEX model_versions_by_model ON model_versions (tenant, model_id);";

/// Small batches keep the points of all their metrics in one chunk since: a server that reads only the chunks
/// of one metric would not find them, so it must not open this database. The tables are the same.
const SHARED_CHUNKS: &str = "DELETE FROM metric_chunks WHERE key = '';";

/// The most characters of a param or a tag that is in the index of values.
pub(super) const SHORT: usize = 64;

macro_rules! by_value {
    () => {
        "
CREATE INDEX run_params_by_value ON run_params (tenant, experiment_id, key, value) WHERE length(value) <= 64;
CREATE INDEX run_tags_by_value ON run_tags (tenant, experiment_id, key, value) WHERE length(value) <= 64;"
    };
}

/// What is shown with a run is read from the index alone. Postgres has no room for long values in one.
const BY_RUN: &str = concat!(
    "
DROP INDEX run_params_by_run;
CREATE INDEX run_params_by_run ON run_params (tenant, run_id, key, value);
DROP INDEX run_tags_by_run;
CREATE INDEX run_tags_by_run ON run_tags (tenant, run_id, key, value);",
    by_value!()
);

/// By its revision a reader sees whether a run is what it was.
const REVISION: &str = "ALTER TABLE runs ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;";

/// A run is found by its id in one tree instead of two: a search looks up each run that it may show.
const RUNS_BY_ID: &str = "
CREATE TABLE runs_by_id (
    tenant TEXT NOT NULL, run_id TEXT NOT NULL, experiment_id BIGINT NOT NULL,
    name TEXT NOT NULL, user_id TEXT NOT NULL, status TEXT NOT NULL,
    start_time BIGINT NOT NULL, end_time BIGINT, deleted_time BIGINT,
    artifact_uri TEXT NOT NULL, lifecycle_stage TEXT NOT NULL, revision BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, run_id)) WITHOUT ROWID;
INSERT INTO runs_by_id
    SELECT tenant, run_id, experiment_id, name, user_id, status, start_time, end_time, deleted_time,
           artifact_uri, lifecycle_stage, revision
    FROM runs;
DROP TABLE runs;
ALTER TABLE runs_by_id RENAME TO runs;
CREATE INDEX runs_by_start ON runs (tenant, experiment_id, lifecycle_stage, start_time DESC, run_id);";

/// Who froze a version, when and why.
const FROZEN: &str = "
ALTER TABLE model_versions ADD COLUMN frozen_by TEXT;
ALTER TABLE model_versions ADD COLUMN frozen_at BIGINT;
ALTER TABLE model_versions ADD COLUMN frozen_reason TEXT;
CREATE INDEX model_versions_frozen ON model_versions (tenant, name, version) WHERE frozen_at IS NOT NULL;";

/// What was registered since.
const BY_CREATION: &str = "CREATE INDEX model_versions_by_creation ON model_versions (creation_time);";

/// The registry's schema.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "registry",
    migrations: &[
        Migration {
            version: 1,
            name: "tables",
            sqlite: schema!(blob: "BLOB", tail: " WITHOUT ROWID"),
            postgres: schema!(blob: "BYTEA", tail: ""),
        },
        Migration { version: 2, name: "versions by logged model", sqlite: BY_MODEL, postgres: BY_MODEL },
        Migration {
            version: 3,
            name: "points of several metrics in one chunk",
            sqlite: SHARED_CHUNKS,
            postgres: SHARED_CHUNKS,
        },
        Migration { version: 4, name: "searches from indexes alone", sqlite: BY_RUN, postgres: by_value!() },
        Migration { version: 5, name: "revisions of runs", sqlite: REVISION, postgres: REVISION },
        // Postgres keeps rows apart from every index.
        Migration { version: 6, name: "runs clustered by id", sqlite: RUNS_BY_ID, postgres: "" },
        Migration { version: 7, name: "frozen versions", sqlite: FROZEN, postgres: FROZEN },
        Migration { version: 8, name: "versions by their creation", sqlite: BY_CREATION, postgres: BY_CREATION },
    ],
};

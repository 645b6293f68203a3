//! What was learnt, so that a restart does not forget it.

use mainspring_store::{Migration, MigrationSet};

const SQLITE: &str = "
CREATE TABLE personalizer_model (
    tenant TEXT NOT NULL, name TEXT NOT NULL, bits INTEGER NOT NULL, model BLOB NOT NULL, saved_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT;
";

const POSTGRES: &str = "
CREATE TABLE personalizer_model (
    tenant TEXT NOT NULL, name TEXT NOT NULL, bits BIGINT NOT NULL, model BYTEA NOT NULL, saved_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);
";

/// Models of personalizers.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "personalize",
    migrations: &[Migration { version: 1, name: "models", sqlite: SQLITE, postgres: POSTGRES }],
};

pub(crate) const LOAD: &str = "SELECT model FROM personalizer_model WHERE tenant = $1 AND name = $2 AND bits = $3";

pub(crate) const SAVE: &str = "INSERT INTO personalizer_model (tenant, name, bits, model, saved_at) \
     VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (tenant, name) DO UPDATE SET bits = excluded.bits, model = excluded.model, saved_at = excluded.saved_at";

pub(crate) const FORGET: &str = "DELETE FROM personalizer_model WHERE tenant = $1 AND name = $2";

//! The tables of declared state and the statements over them.

mod migrations;

pub use migrations::MIGRATIONS;

pub(crate) const ONE: &str = "SELECT * FROM resource WHERE tenant = $1 AND kind = $2 AND name = $3";

pub(crate) const PAGE: &str = "SELECT * FROM resource WHERE tenant = $1 AND (kind = $2 OR $2 = '') \
     AND (kind > $3 OR (kind = $3 AND name > $4)) ORDER BY kind, name LIMIT $5";

pub(crate) const OF_KIND: &str = "SELECT * FROM resource WHERE kind = $1 ORDER BY tenant, name";

pub(crate) const OTHERS: &str =
    "SELECT name, spec FROM resource WHERE tenant = $1 AND kind = $2 AND name <> $3 ORDER BY name";

pub(crate) const INSERT: &str = "INSERT INTO resource \
     (tenant, kind, name, id, generation, spec, created_at, updated_at, updated_by) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)";

/// Compare and swap: no row changes when the generation is another by now.
pub(crate) const UPDATE: &str = "UPDATE resource SET generation = $5, spec = $6, updated_at = $7, updated_by = $8 \
     WHERE tenant = $1 AND kind = $2 AND name = $3 AND generation = $4";

pub(crate) const DELETE: &str =
    "DELETE FROM resource WHERE tenant = $1 AND kind = $2 AND name = $3 AND generation = $4";

pub(crate) const REMEMBER: &str = "INSERT INTO resource_history \
     (tenant, kind, name, generation, change, at, subject, spec) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

pub(crate) const HISTORY: &str = "SELECT * FROM resource_history WHERE tenant = $1 AND kind = $2 AND name = $3 \
     ORDER BY generation DESC";

/// Generations go on counting after a deletion, so that each number means one thing for ever.
pub(crate) const LAST_GENERATION: &str =
    "SELECT COALESCE(MAX(generation), 0) AS last FROM resource_history WHERE tenant = $1 AND kind = $2 AND name = $3";

pub(crate) const BUMP: &str = "UPDATE resource_epoch SET epoch = epoch + 1 WHERE one = 1";

pub(crate) const EPOCH: &str = "SELECT epoch FROM resource_epoch WHERE one = 1";

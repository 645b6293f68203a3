//! Migrations: every domain brings its own, numbered on its own, and all are applied in one
//! transaction when the database is opened.

use crate::conn::Dialect;
use crate::error::StoreError;
use sha2::{Digest, Sha256};

/// The migrations of one domain, in order.
#[derive(Debug, Clone, Copy)]
pub struct MigrationSet {
    /// The domain, unique in the process; recorded with each applied version.
    pub domain: &'static str,
    /// Its migrations; versions count 1, 2, 3, … without a gap.
    pub migrations: &'static [Migration],
}

/// One step. Once released it never changes: its text is checked against what was applied.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Counted from one.
    pub version: u32,
    /// What it does, in a few words.
    pub name: &'static str,
    /// One or more statements for SQLite. Foreign keys are checked after all migrations ran.
    pub sqlite: &'static str,
    /// One or more statements for Postgres.
    pub postgres: &'static str,
}

impl Migration {
    fn text(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }

    fn checksum(&self, dialect: Dialect) -> String {
        hex::encode(Sha256::digest(self.text(dialect)))
    }
}

/// A version that the database says was applied.
pub(crate) struct Applied {
    pub(crate) domain: String,
    pub(crate) version: u32,
    pub(crate) name: String,
    pub(crate) checksum: String,
}

/// What is still to be applied to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// How many migrations.
    pub steps: usize,
    /// Whether none was applied yet: nobody can be using it.
    pub new: bool,
}

impl Pending {
    pub(crate) fn of(dialect: Dialect, sets: &[MigrationSet], applied: &[Applied]) -> Result<Self, StoreError> {
        Ok(Self { steps: plan(dialect, sets, applied)?.len(), new: applied.is_empty() })
    }
}

/// A migration still to be applied.
pub(crate) struct Step {
    pub(crate) domain: &'static str,
    pub(crate) version: u32,
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    pub(crate) checksum: String,
}

impl Step {
    pub(crate) fn failed(&self, reason: impl std::fmt::Display) -> StoreError {
        StoreError::Migration {
            domain: self.domain.to_owned(),
            version: self.version,
            name: self.name.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Refuses sets that could not be recorded faithfully.
pub(crate) fn check(sets: &[MigrationSet]) -> Result<(), StoreError> {
    for (i, set) in sets.iter().enumerate() {
        if sets[..i].iter().any(|s| s.domain == set.domain) {
            return Err(StoreError::sql(set.domain, "two migration sets have the same domain"));
        }
        for (expected, m) in (1..).zip(set.migrations) {
            if m.version != expected {
                let reason = format!("its version must be {expected}: versions count from one without a gap");
                return Err(StoreError::Migration {
                    domain: set.domain.to_owned(),
                    version: m.version,
                    name: m.name.to_owned(),
                    reason,
                });
            }
        }
    }
    Ok(())
}

/// What is still to be applied, after checking what was. Domains that no set names are left alone:
/// a tool that knows only some of them can open the database.
pub(crate) fn plan(dialect: Dialect, sets: &[MigrationSet], applied: &[Applied]) -> Result<Vec<Step>, StoreError> {
    let mut steps = Vec::new();
    for set in sets {
        let mut last = 0;
        for a in applied.iter().filter(|a| a.domain == set.domain) {
            last = last.max(a.version);
            let Some(known) = set.migrations.iter().find(|m| m.version == a.version) else {
                return Err(StoreError::Newer {
                    domain: a.domain.clone(),
                    found: a.version,
                    known: set.migrations.last().map_or(0, |m| m.version),
                });
            };
            if known.checksum(dialect) != a.checksum {
                return Err(StoreError::Changed { domain: a.domain.clone(), version: a.version, name: a.name.clone() });
            }
        }
        steps.extend(set.migrations.iter().filter(|m| m.version > last).map(|m| Step {
            domain: set.domain,
            version: m.version,
            name: m.name,
            text: m.text(dialect),
            checksum: m.checksum(dialect),
        }));
    }
    Ok(steps)
}

/// The table that records what was applied; the same text serves both databases.
pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    domain TEXT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (domain, version)
)";

pub(crate) const SELECT: &str =
    "SELECT domain, version, name, checksum FROM schema_migrations ORDER BY domain, version";

pub(crate) const INSERT: &str =
    "INSERT INTO schema_migrations (domain, version, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)";

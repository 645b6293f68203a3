//! The registry's SQL, the same text on SQLite and Postgres but for patterns and text order.

pub(crate) mod build;
pub(crate) mod chunks;
pub(crate) mod experiments;
pub(crate) mod inputs;
pub(crate) mod log;
pub(crate) mod logged_models;
mod migrations;
pub(crate) mod models;
pub(crate) mod purge;
pub(crate) mod runs;
pub(crate) mod search;
pub(crate) mod versions;

pub use migrations::MIGRATIONS;

use mainspring_core::Tenant;
use mainspring_store::{Conn, Row, StoreError, args};

/// Makes what decides about a tenant's models and versions run one after the other: each change reads
/// before it writes, and a purge must not take the files of a version that is just being registered.
/// SQLite's writes do so anyway.
pub(crate) async fn lock_models(c: &mut Conn, tenant: &Tenant) -> Result<(), StoreError> {
    c.lock(&format!("registry/models/{tenant}")).await
}

/// Counts `name` up and returns the new value. The row is locked until the transaction ends, so
/// no two get the same.
pub(crate) async fn count_up(c: &mut Conn, tenant: &Tenant, name: &str) -> Result<i64, StoreError> {
    let row = c
        .query_opt(
            "INSERT INTO registry_counters (tenant, name, value) VALUES ($1, $2, 1) \
             ON CONFLICT (tenant, name) DO UPDATE SET value = registry_counters.value + 1 RETURNING value",
            args![tenant, name],
        )
        .await?;
    row.map_or(Ok(0), |r: Row| r.int("value"))
}

/// The sum of a counter over all tenants.
pub(crate) async fn counter(c: &mut Conn, name: &str) -> Result<i64, StoreError> {
    let row = c
        .query_opt("SELECT COALESCE(MAX(value), 0) AS value FROM registry_counters WHERE name = $1", args![name])
        .await?;
    row.map_or(Ok(0), |r| r.int("value"))
}

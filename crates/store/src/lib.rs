//! The metadata database, one interface over SQLite and Postgres: transactions, migrations, group
//! commit, and the four things every domain needs in its own transaction: the audit trail, the
//! outbox, idempotency keys and leases. No domain's SQL lives here.
//!
//! A domain writes its SQL once, with `$1` placeholders, and runs it through [`Conn`] inside
//! [`Db::read`] or [`Db::write`]:
//!
//! ```ignore
//! db.write(move |c| async move {
//!     c.execute("INSERT INTO runs (tenant, id) VALUES ($1, $2)", args![tenant, id]).await?;
//!     c.audit(&record).await
//! }.boxed()).await?;
//! ```
//!
//! A statement that fails ends its transaction, on both databases: what was written is rolled back
//! even if the closure goes on. To tolerate a conflict, say so in SQL (`ON CONFLICT DO NOTHING`).

mod conn;
mod db;
mod error;
mod job;
mod migrate;
mod postgres;
mod row;
mod settings;
pub mod sql;
mod sqlite;
mod value;

pub use conn::{Conn, Dialect};
pub use db::Db;
pub use error::StoreError;
pub use futures::future::{BoxFuture, FutureExt};
pub use migrate::{Migration, MigrationSet};
pub use row::Row;
pub use settings::DbSettings;
pub use sql::OutboxEvent;
pub use value::Value;

#[cfg(test)]
mod tests;

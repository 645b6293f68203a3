//! Leases with fencing tokens: at most one holder at a time by the clocks, and by the token even
//! when the clocks are wrong.
//!
//! Every acquisition gets a higher token. A change that only the holder may make calls
//! [`Conn::lease_check`] in its transaction, which fails once anybody else has acquired the lease
//! since, however late the change arrives. Time alone takes a lease from nobody: a holder that was slow on a busy
//! machine goes on where nobody wanted its place, and need not learn everything anew.

use crate::conn::{Conn, Dialect};
use crate::db::Db;
use crate::error::StoreError;
use futures::FutureExt;
use mainspring_core::{Tenant, Timestamp};
use std::time::Duration;

/// A lease that was acquired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose.
    pub tenant: Tenant,
    /// What is leased.
    pub name: String,
    /// Who holds it: unique to the process.
    pub owner: String,
    /// Higher than every token before it.
    pub token: i64,
    /// From when on another may take it, unless it is renewed.
    pub expires_at: Timestamp,
}

impl Lease {
    fn lost(&self) -> StoreError {
        StoreError::LeaseLost { name: self.name.clone(), token: self.token }
    }
}

fn after(now: Timestamp, ttl: Duration) -> Timestamp {
    now.plus_micros(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX))
}

impl Conn {
    /// Fails when the lease was acquired by anybody since; until this transaction ends nobody else can acquire it.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], and as [`Conn::query`].
    pub async fn lease_check(&mut self, lease: &Lease) -> Result<(), StoreError> {
        let sql = match self.dialect() {
            Dialect::Sqlite => "SELECT token FROM leases WHERE tenant = $1 AND name = $2 AND token = $3",
            // FOR SHARE keeps an acquisition waiting until this transaction has ended.
            Dialect::Postgres => "SELECT token FROM leases WHERE tenant = $1 AND name = $2 AND token = $3 FOR SHARE",
        };
        let args = crate::args![&lease.tenant, &lease.name, lease.token];
        self.query_opt(sql, args).await?.map(|_| ()).ok_or_else(|| lease.lost())
    }
}

impl Db {
    /// Takes the lease for `ttl` when it is free or expired; `None` when somebody holds it. Who
    /// holds it already gets a new token, so one process uses one owner for one holder.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn lease_acquire(
        &self,
        tenant: &Tenant,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let now = self.now();
        let expires_at = after(now, ttl);
        let (tenant, name, owner) = (tenant.clone(), name.to_owned(), owner.to_owned());
        self.write(move |c| {
            async move {
                let args = crate::args![&tenant, &name, &owner, expires_at, now];
                let row = c
                    .query_opt(
                        "INSERT INTO leases (tenant, name, owner, token, expires_at) VALUES ($1, $2, $3, 1, $4)
                         ON CONFLICT (tenant, name) DO UPDATE
                         SET owner = excluded.owner, token = leases.token + 1, expires_at = excluded.expires_at
                         WHERE leases.expires_at <= $5 OR leases.owner = excluded.owner
                         RETURNING token",
                        args,
                    )
                    .await?;
                row.map(|r| Ok(Lease { tenant, name, owner, token: r.int("token")?, expires_at })).transpose()
            }
            .boxed()
        })
        .await
    }

    /// Holds the lease for another `ttl` from now.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when somebody acquired it since; as [`Db::write`].
    pub async fn lease_renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, StoreError> {
        let renewed = Lease { expires_at: after(self.now(), ttl), ..lease.clone() };
        let args = crate::args![renewed.expires_at, &lease.tenant, &lease.name, lease.token];
        let sql = "UPDATE leases SET expires_at = $1 WHERE tenant = $2 AND name = $3 AND token = $4";
        match self.write(move |c| async move { c.execute(sql, args).await }.boxed()).await {
            Ok(1) => Ok(renewed),
            Ok(_) => Err(lease.lost()),
            Err(e) => Err(e),
        }
    }

    /// Gives the lease back, so that the next holder need not wait. A lease that was lost already
    /// is left as it is. The token goes on counting.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn lease_release(&self, lease: &Lease) -> Result<(), StoreError> {
        let args = crate::args![&lease.tenant, &lease.name, lease.token];
        let sql = "UPDATE leases SET expires_at = 0 WHERE tenant = $1 AND name = $2 AND token = $3";
        self.write(move |c| async move { c.execute(sql, args).await }.boxed()).await.map(|_| ())
    }
}

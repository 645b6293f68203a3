//! Idempotency keys: the reply to a request, kept with the change that it made, so that the same
//! request sent again gets the same reply and changes nothing.

use crate::conn::Conn;
use crate::db::Db;
use crate::error::StoreError;
use futures::FutureExt;
use mainspring_core::Tenant;
use std::time::Duration;

/// Whose key, for what, and the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    /// Whose.
    pub tenant: Tenant,
    /// The operation: the same key may be used for another one.
    pub scope: String,
    /// What the client sent.
    pub key: String,
}

/// What was answered the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReply {
    /// A digest of the first request; another one under the same key is the client's mistake.
    pub fingerprint: String,
    /// The reply.
    pub reply: String,
}

impl Conn {
    /// The reply kept under a key, unless it has expired.
    ///
    /// # Errors
    /// As [`Conn::query`].
    pub async fn idempotency_get(&mut self, key: &IdempotencyKey) -> Result<Option<StoredReply>, StoreError> {
        let args = crate::args![&key.tenant, &key.scope, &key.key, self.now()];
        let row = self
            .query_opt(
                "SELECT fingerprint, reply FROM idempotency
                 WHERE tenant = $1 AND scope = $2 AND key = $3 AND expires_at > $4",
                args,
            )
            .await?;
        row.map(|r| Ok(StoredReply { fingerprint: r.text("fingerprint")?, reply: r.text("reply")? })).transpose()
    }

    /// Keeps a reply for `ttl`, in the transaction of the change. Returns false, and keeps what is
    /// there, when a reply that has not expired is kept under the key: then another request with
    /// the same key was faster, and this transaction should be given up.
    ///
    /// # Errors
    /// As [`Conn::query`].
    pub async fn idempotency_put(
        &mut self,
        key: &IdempotencyKey,
        stored: &StoredReply,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let until = now.plus_micros(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX));
        let args = crate::args![&key.tenant, &key.scope, &key.key, &stored.fingerprint, &stored.reply, until, now];
        let changed = self
            .execute(
                "INSERT INTO idempotency (tenant, scope, key, fingerprint, reply, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (tenant, scope, key) DO UPDATE
                 SET fingerprint = excluded.fingerprint, reply = excluded.reply, expires_at = excluded.expires_at
                 WHERE idempotency.expires_at <= $7",
                args,
            )
            .await?;
        Ok(changed == 1)
    }
}

impl Db {
    /// Removes idempotency keys that have expired; returns how many.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn sweep_idempotency(&self) -> Result<u64, StoreError> {
        let args = crate::args![self.now()];
        let sql = "DELETE FROM idempotency WHERE expires_at <= $1";
        self.write(move |c| async move { c.execute(sql, args).await }.boxed()).await
    }
}

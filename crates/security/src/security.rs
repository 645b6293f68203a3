//! The handle: keys and sessions, in memory for every request, in the database for good.

use crate::action::{CloseSession, CreateKey, ListKeys, OpenSession, ReadAudit, RevokeKey, RotateKey};
use crate::error::{AuthError, SecurityError};
use crate::key::{CreatedKey, KeyInfo, NewKey, generate, id_text, random_secret};
use crate::session::{Session, csrf_of, hash_of};
use crate::sql::{self, SessionRow};
use crate::table::Table;
use crate::throttle::Throttle;
use arc_swap::ArcSwap;
use mainspring_core::{Authorized, Ctx, Principal, Secret, Tenant, Timestamp};
use mainspring_store::sql::{AuditEntry, AuditQuery};
use mainspring_store::{Db, FutureExt, StoreError};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// How long sessions last, and how much failure is borne.
#[derive(Debug, Clone)]
pub struct SecuritySettings {
    /// A session without a request for this long has ended.
    pub session_idle: Duration,
    /// A session ends after this long in any case.
    pub session_lifetime: Duration,
    /// How often other processes' changes are looked for.
    pub poll: Duration,
    /// Wrong credentials that one address may send within `throttle_window`.
    pub throttle_failures: u32,
    /// The window in which they are counted.
    pub throttle_window: Duration,
}

impl Default for SecuritySettings {
    fn default() -> Self {
        Self {
            session_idle: Duration::from_hours(8),
            session_lifetime: Duration::from_hours(7 * 24),
            poll: Duration::from_millis(500),
            throttle_failures: 30,
            throttle_window: Duration::from_mins(1),
        }
    }
}

/// Keys and sessions. Clones share one state.
#[derive(Clone)]
pub struct Security {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    ctx: Ctx,
    settings: SecuritySettings,
    table: ArcSwap<Table>,
    generation: AtomicI64,
    throttle: Throttle,
    /// One reload at a time, so that an older state never replaces a newer one.
    reloading: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Security")
    }
}

fn micros(d: Duration) -> i64 {
    i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
}

impl Security {
    /// Reads keys and sessions, and starts the tasks that follow other processes' changes and write
    /// down when keys were used.
    ///
    /// # Errors
    /// [`SecurityError::Store`] when the database cannot be read.
    pub async fn open(db: Db, ctx: &Ctx, settings: SecuritySettings) -> Result<Self, SecurityError> {
        let throttle = Throttle::new(settings.throttle_failures, settings.throttle_window);
        let inner = Inner {
            db,
            ctx: ctx.clone(),
            settings,
            table: ArcSwap::from_pointee(Table::default()),
            generation: AtomicI64::new(-1),
            throttle,
            reloading: tokio::sync::Mutex::new(()),
        };
        let security = Self { inner: Arc::new(inner) };
        security.reload().await?;
        drop(ctx.tasks.spawn("security: follow changes", security.clone().follow()));
        drop(ctx.tasks.spawn_graceful(security.clone().write_uses()));
        Ok(security)
    }

    /// Whether any key works now: without one, only loopback can be served.
    pub fn has_keys(&self) -> bool {
        let now = self.inner.ctx.now();
        self.inner.table.load().keys.values().any(|k| !k.expired(now))
    }

    /// Who an API key belongs to. Does no I/O.
    ///
    /// # Errors
    /// [`AuthError`] when the key is not known or has expired.
    pub fn authenticate_key(&self, key: &str, from: IpAddr) -> Result<Arc<Principal>, AuthError> {
        let found = self.inner.table.load().key(key, self.inner.ctx.now()).map(|(_, who)| Arc::clone(who));
        found.map_err(|e| self.count(e, from))
    }

    /// Who a session's cookie belongs to. `csrf` is `Some(what was sent)` for a request that may
    /// change something. Does no I/O.
    ///
    /// # Errors
    /// [`AuthError`] when the session has ended or the CSRF token is wrong.
    pub fn authenticate_session(&self, token: &str, csrf: Option<Option<&str>>) -> Result<Arc<Principal>, AuthError> {
        let idle = micros(self.inner.settings.session_idle);
        let table = self.inner.table.load();
        let entry = table.session(token, csrf, self.inner.ctx.now(), idle)?;
        Ok(Arc::clone(entry.principal()))
    }

    /// When a living session ends at the latest.
    pub fn session_expiry(&self, token: &str) -> Option<Timestamp> {
        self.inner.table.load().sessions.get(&hash_of(token)).map(|s| s.expires_at)
    }

    fn count(&self, error: AuthError, from: IpAddr) -> AuthError {
        self.inner.throttle.failed(from, Instant::now()).map_or(error, AuthError::Throttled)
    }

    /// Makes a key. Its secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`SecurityError`] when label, tenant or expiry are not allowed, or the database fails.
    pub async fn create_key(&self, auth: &Authorized<CreateKey>, new: NewKey) -> Result<CreatedKey, SecurityError> {
        let now = self.inner.ctx.now();
        let length = new.label.chars().count();
        if new.label.trim().is_empty() || length > 200 {
            return Err(SecurityError::Label(length));
        }
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(SecurityError::Past);
        }
        let tenant = new.tenant.clone().unwrap_or_else(|| auth.tenant().clone());
        if tenant != *auth.tenant() && *auth.tenant() != Tenant::default() {
            return Err(SecurityError::OtherTenant { own: auth.tenant().to_string(), other: tenant.to_string() });
        }
        let (created, hash) = self.draw(auth.who(), new, tenant)?;
        let (info, mut audit) = (created.info.clone(), auth.audit());
        audit.says(format!("its id is {}", info.id));
        self.change(move |c| {
            async move {
                sql::insert_key(c, &info, &hash).await?;
                sql::bump(c, &info.tenant).await?;
                Ok(c.audit(&audit).await?)
            }
            .boxed()
        })
        .await?;
        Ok(created)
    }

    fn draw(&self, by: &Principal, new: NewKey, tenant: Tenant) -> Result<(CreatedKey, [u8; 32]), SecurityError> {
        let id = self.inner.ctx.ids.random();
        let (key, hash) = generate(id)?;
        let info = KeyInfo {
            id: id_text(id),
            label: new.label,
            role: new.role,
            tenant,
            groups: new.groups,
            created_at: self.inner.ctx.now(),
            created_by: by.subject.to_string(),
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
            replaced_by: None,
        };
        Ok((CreatedKey { key, info }, hash))
    }

    /// The keys of the caller's tenant, newest first; those of every tenant for the default one.
    ///
    /// # Errors
    /// [`SecurityError::Store`].
    pub async fn list_keys(&self, auth: &Authorized<ListKeys>) -> Result<Vec<KeyInfo>, SecurityError> {
        let tenant = auth.tenant().clone();
        let mut keys = self.inner.db.read(move |c| async move { sql::list_keys(c, &tenant).await }.boxed()).await?;
        let table = self.inner.table.load();
        for key in &mut keys {
            let entry = u64::from_str_radix(&key.id, 16).ok().and_then(|id| table.keys.get(&id));
            let used = entry.map(|e| e.used.at()).filter(|at| at.micros() > 0);
            key.last_used_at = key.last_used_at.max(used);
        }
        Ok(keys)
    }

    /// Puts a new key in the place of an old one, which goes on working for `grace`. The new one works for as long as
    /// `lasts` says, else for as long as the old one was made for, from now on.
    ///
    /// # Errors
    /// [`SecurityError`] when there is no such key, it no longer works or was replaced before, or the new one would not
    /// work at all.
    pub async fn rotate_key(
        &self,
        auth: &Authorized<RotateKey>,
        grace: Duration,
        lasts: Option<Duration>,
    ) -> Result<CreatedKey, SecurityError> {
        let (tenant, id, now) = (auth.tenant().clone(), auth.action().id.clone(), self.inner.ctx.now());
        let (read_tenant, read_id) = (tenant.clone(), id.clone());
        let old: KeyInfo =
            self.inner.db.read(move |c| async move { sql::find_key(c, &read_tenant, &read_id).await }.boxed()).await?;
        let as_before = || old.expires_at.map(|at| at.micros() - old.created_at.micros());
        let expires_at = lasts.map(micros).or_else(as_before).map(|lasts| now.plus_micros(lasts));
        // A replaced key's end is that of its grace; it is refused below, with the words for that.
        if old.replaced_by.is_none() && expires_at.is_some_and(|at| at <= now) {
            return Err(SecurityError::Past);
        }
        let new = NewKey { label: old.label, role: old.role, tenant: None, groups: old.groups, expires_at };
        let (created, hash) = self.draw(auth.who(), new, old.tenant)?;
        let (info, mut audit) = (created.info.clone(), auth.audit());
        audit.says(format!("replaced by {}", info.id));
        self.change(move |c| {
            async move {
                c.lock(&format!("api-key/{id}")).await?;
                let old = sql::find_key(c, &tenant, &id).await?;
                match old.replaced_by {
                    Some(by) if old.revoked_at.is_none() => return Err(SecurityError::Replaced { id, by }),
                    _ if old.revoked_at.is_some() || old.expires_at.is_some_and(|at| at <= now) => {
                        return Err(SecurityError::Dead { id });
                    }
                    _ => {}
                }
                let until = now.plus_micros(micros(grace));
                sql::insert_key(c, &info, &hash).await?;
                sql::replace(c, &id, &info.id, old.expires_at.map_or(until, |at| at.min(until))).await?;
                sql::bump(c, &info.tenant).await?;
                Ok(c.audit(&audit).await?)
            }
            .boxed()
        })
        .await?;
        Ok(created)
    }

    /// Makes a key and its sessions stop working: here at once, in other processes within the poll
    /// interval. Revoking twice is no error.
    ///
    /// # Errors
    /// [`SecurityError::NoSuchKey`].
    pub async fn revoke_key(&self, auth: &Authorized<RevokeKey>) -> Result<(), SecurityError> {
        let (tenant, id, now, audit) =
            (auth.tenant().clone(), auth.action().id.clone(), self.inner.ctx.now(), auth.audit());
        self.change(move |c| {
            async move {
                let key = sql::find_key(c, &tenant, &id).await?;
                sql::revoke(c, &id, now).await?;
                sql::bump(c, &key.tenant).await?;
                Ok(c.audit(&audit).await?)
            }
            .boxed()
        })
        .await
    }

    /// Opens a session for whoever holds `key`.
    ///
    /// # Errors
    /// [`SecurityError::Auth`] when the key is not accepted or is not the caller's.
    pub async fn login(&self, auth: &Authorized<OpenSession>, key: &str) -> Result<Session, SecurityError> {
        let now = self.inner.ctx.now();
        let (id, who) = {
            let table = self.inner.table.load();
            let (id, who) = table.key(key, now)?;
            (id, Arc::clone(who))
        };
        if who != *auth.who() {
            return Err(AuthError::UnknownKey.into());
        }
        let token = random_secret()?;
        let expires_at = now.plus_micros(micros(self.inner.settings.session_lifetime));
        let row = SessionRow { hash: hash_of(&token), key: id, used_at: now, expires_at };
        let (tenant, audit) = (who.tenant.clone(), auth.audit());
        self.change(move |c| {
            async move {
                sql::insert_session(c, &tenant, &row).await?;
                sql::bump(c, &tenant).await?;
                Ok(c.audit(&audit).await?)
            }
            .boxed()
        })
        .await?;
        Ok(Session { csrf: csrf_of(&token), token: Secret::new(token), expires_at, who })
    }

    /// Ends a session. Ending one that has ended is no error.
    ///
    /// # Errors
    /// [`SecurityError::Store`].
    pub async fn logout(&self, auth: &Authorized<CloseSession>, token: &str) -> Result<(), SecurityError> {
        let (hash, tenant, audit) = (hash_of(token), auth.tenant().clone(), auth.audit());
        self.change(move |c| {
            async move {
                sql::delete_session(c, &hash).await?;
                sql::bump(c, &tenant).await?;
                Ok(c.audit(&audit).await?)
            }
            .boxed()
        })
        .await
    }

    /// One page of the audit trail of the caller's tenant, newest first.
    ///
    /// # Errors
    /// [`SecurityError::Store`].
    pub async fn audit(
        &self,
        auth: &Authorized<ReadAudit>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, SecurityError> {
        let query = AuditQuery { before, limit, ..AuditQuery::newest(auth.tenant().clone()) };
        Ok(self.inner.db.audit_page(query).await?)
    }

    /// Writes a change and takes it over into memory before answering, so that it counts at once.
    async fn change<F>(&self, f: F) -> Result<(), SecurityError>
    where
        F: for<'c> FnOnce(&'c mut mainspring_store::Conn) -> mainspring_store::BoxFuture<'c, Result<(), SecurityError>>
            + Send
            + 'static,
    {
        self.inner.db.write(f).await?;
        self.reload().await
    }

    async fn reload(&self) -> Result<(), SecurityError> {
        let _one = self.inner.reloading.lock().await;
        let now = self.inner.ctx.now();
        let all: sql::Everything =
            self.inner.db.read(move |c| async move { sql::everything(c, now).await }.boxed()).await?;
        let table = Table::build(all.keys, all.sessions, &self.inner.table.load());
        self.inner.table.store(Arc::new(table));
        self.inner.generation.store(all.generation, Ordering::Release);
        Ok(())
    }

    async fn follow(self) {
        let mut away = false;
        loop {
            tokio::time::sleep(self.inner.settings.poll).await;
            let found: Result<i64, StoreError> =
                self.inner.db.read(|c| async move { sql::generation(c).await }.boxed()).await;
            let result = match found {
                Ok(n) if n == self.inner.generation.load(Ordering::Acquire) => Ok(()),
                Ok(_) => self.reload().await,
                Err(e) => Err(e.into()),
            };
            // What is in memory goes on counting while the database is away; said once, not twice a
            // second.
            match result {
                Ok(()) => away = false,
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(%error, "cannot look for changed keys; those known here go on working");
                }
                Err(_) => {}
            }
        }
    }

    /// Writes down once a minute, and at shutdown, when keys and sessions were used.
    async fn write_uses(self) {
        let stop = self.inner.ctx.tasks.cancelled();
        loop {
            let stopped = stop.run_until_cancelled(tokio::time::sleep(Duration::from_mins(1))).await.is_none();
            if let Err(error) = self.flush_uses().await {
                tracing::warn!(%error, "cannot write down when keys were used");
            }
            if stopped {
                return;
            }
        }
    }

    pub(crate) async fn flush_uses(&self) -> Result<(), StoreError> {
        let table = self.inner.table.load_full();
        let keys: Vec<_> = table.keys.iter().filter_map(|(id, k)| Some((*id, k.used.unwritten()?))).collect();
        let sessions: Vec<_> = table.sessions.iter().filter_map(|(h, s)| Some((*h, s.used.unwritten()?))).collect();
        if keys.is_empty() && sessions.is_empty() {
            return Ok(());
        }
        let (k, s) = (keys.clone(), sessions.clone());
        self.inner.db.write(move |c| async move { sql::used(c, &k, &s).await }.boxed()).await?;
        for (id, at) in keys {
            table.keys.get(&id).inspect(|e| e.used.written(at));
        }
        for (hash, at) in sessions {
            table.sessions.get(&hash).inspect(|e| e.used.written(at));
        }
        Ok(())
    }
}

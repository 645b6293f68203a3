//! The handle that everybody holds.

use crate::error::{RegistryError, Result};
use crate::ops::freeze::Known;
use crate::shown::Shown;
use crate::sql;
use crate::told::{Changed, Told};
use crate::types::{Experiment, Lifecycle, View};
use mainspring_artifact::Artifacts;
use mainspring_core::{AuditRecord, Ctx, EventId, Tenant};
use mainspring_store::{BoxFuture, Conn, Db};
use parking_lot::{Mutex, RwLock};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio::sync::watch;

/// The registry of one server. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub db: Db,
    pub artifacts: Artifacts,
    pub ctx: Ctx,
    changes: watch::Sender<u64>,
    seq: AtomicI64,
    /// Whether changes are told in the outbox.
    told: AtomicBool,
    /// Runs that may have many small chunks of metric points.
    pub crowded: Mutex<HashMap<Tenant, HashSet<String>>>,
    /// The frozen versions, as of the last look.
    pub frozen: RwLock<Arc<Known>>,
    /// What searches have read of runs.
    pub shown: Shown,
    /// Tenants whose default experiment is known to exist.
    tenants: RwLock<HashSet<Tenant>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("db", &self.inner.db).finish()
    }
}

/// What a search of experiments asks for.
#[derive(Debug, Clone)]
pub struct ExperimentSearch {
    /// Which lifecycle stages.
    pub view: View,
    /// Filter, e.g. `name LIKE 'churn%' AND tags.team = 'a'`.
    pub filter: String,
    /// Order, e.g. `name ASC`.
    pub order_by: Vec<String>,
    /// Size of a page, 1 to 50000.
    pub max_results: i64,
    /// From the page before.
    pub page_token: Option<String>,
}

impl Default for ExperimentSearch {
    fn default() -> Self {
        Self { view: View::Active, filter: String::new(), order_by: Vec::new(), max_results: 1000, page_token: None }
    }
}

/// The counter that moves when an alias, a stage or a version does.
const CHANGES: &str = "changes";

impl Registry {
    /// A registry over a database that was opened with [`crate::MIGRATIONS`], and an artifact
    /// store. Makes sure that experiment 0, `Default`, exists.
    ///
    /// # Errors
    /// [`crate::RegistryError::Store`] when the database does not answer.
    pub async fn open(db: Db, artifacts: Artifacts, ctx: Ctx) -> Result<Self> {
        let seen = db.read(|c| Box::pin(async move { sql::counter(c, CHANGES).await })).await?;
        let inner = Inner {
            db,
            artifacts,
            ctx,
            changes: watch::Sender::new(seen as u64),
            seq: AtomicI64::new(0),
            told: AtomicBool::new(false),
            crowded: Mutex::default(),
            frozen: RwLock::default(),
            shown: Shown::default(),
            tenants: RwLock::default(),
        };
        let registry = Self { inner: Arc::new(inner) };
        registry.ready(&Tenant::default()).await?;
        registry.learn_frozen(seen as u64).await?;
        Ok(registry)
    }

    /// A number that changes when an alias, a stage or a version changed: look again at what you
    /// resolved.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Looks whether another replica changed something, and tells those who watch
    /// [`Registry::changes`]. For a server that shares its database: call it every second or so.
    ///
    /// # Errors
    /// [`crate::RegistryError::Store`] when the database does not answer.
    pub async fn refresh(&self) -> Result<()> {
        let now = self.inner.db.read(|c| Box::pin(async move { sql::counter(c, CHANGES).await })).await?;
        self.arrive_at(now).await
    }

    /// The artifact store that runs and models write to.
    pub fn artifacts(&self) -> &Artifacts {
        &self.inner.artifacts
    }

    /// A change that deployments follow: kept with its audit record, which it may say more in, in one transaction, and told to
    /// those who watch.
    pub(crate) async fn change<T, F>(&self, audit: AuditRecord, f: F) -> Result<T>
    where
        F: for<'c> FnOnce(&'c mut Conn, &'c mut AuditRecord) -> BoxFuture<'c, Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let mut audit = audit;
        let kept = self.inner.db.write(move |c| {
            Box::pin(async move {
                let done = f(&mut *c, &mut audit).await?;
                c.audit(&audit).await?;
                Ok::<_, RegistryError>((done, changed(c).await?))
            })
        });
        let (done, at) = kept.await?;
        if let Err(error) = self.arrive_at(at).await {
            tracing::warn!(%error, "it is not known which versions are frozen since the last change; asked again after the next");
        }
        Ok(done)
    }

    /// From now on each run that begins or changes its state and each new version is told as a [`Told`] in the
    /// outbox, in the change's own transaction: for somebody who takes them away.
    pub fn tell_changes(&self) {
        self.inner.told.store(true, Ordering::Relaxed);
    }

    /// What is to be told of a change, where somebody wants to know.
    pub(crate) fn told(&self, tenant: &Tenant, what: Changed) -> Option<(EventId, Told)> {
        let at = self.inner.ctx.now();
        let told = || (self.inner.ctx.ids.event(at), Told { tenant: tenant.clone(), at, what });
        self.inner.told.load(Ordering::Relaxed).then(told)
    }

    /// Learns what a change left frozen, and only then tells of it: who is told asks [`Registry::frozen`] once, and not again
    /// before the next change. Told also where nothing was learned, since most of who is told asks something else.
    async fn arrive_at(&self, now: i64) -> Result<()> {
        let now = now as u64;
        let learned = self.learn_frozen(now).await;
        self.inner.changes.send_if_modified(|seen| {
            // What could not be learned when the change was told is news by itself.
            let news = now != *seen || matches!(learned, Ok(true));
            *seen = now;
            news
        });
        learned.map(drop)
    }

    pub(crate) fn now(&self) -> i64 {
        self.inner.ctx.now().millis()
    }

    /// A number larger than every one before it, by time: the order of metric chunks. The low bits
    /// are random so that two replicas do not choose the same.
    pub(crate) fn next_seq(&self) -> i64 {
        let low = (self.inner.ctx.ids.random() & 0x3ff) as i64;
        let wanted = (self.inner.ctx.now().micros() << 10) | low;
        let before = self.inner.seq.fetch_max(wanted, Ordering::Relaxed);
        if before < wanted { wanted } else { self.inner.seq.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    /// Makes sure that a tenant has its default experiment.
    pub(crate) async fn ready(&self, tenant: &Tenant) -> Result<()> {
        if self.inner.tenants.read().contains(tenant) {
            return Ok(());
        }
        let now = self.now();
        let owner = tenant.clone();
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    let default = Experiment {
                        id: 0,
                        name: "Default".into(),
                        artifact_location: format!("{}/0", crate::uri::PROXY),
                        stage: Lifecycle::Active,
                        created: now,
                        updated: now,
                        tags: Vec::new(),
                    };
                    sql::experiments::insert(c, &owner, &default).await
                })
            })
            .await?;
        self.inner.tenants.write().insert(tenant.clone());
        Ok(())
    }
}

/// Counts the change counter up inside the change's own transaction.
async fn changed(c: &mut Conn) -> Result<i64> {
    // One counter for all tenants, so that one query shows whether anything moved.
    Ok(sql::count_up(c, &Tenant::default(), CHANGES).await?)
}

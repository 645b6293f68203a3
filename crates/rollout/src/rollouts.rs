//! The face of the domain: what others ask of rollouts.

use crate::action::{OrderRollout, ReadRollouts, StartRollout};
use crate::error::RolloutError;
use crate::ledger::Report;
use crate::machine::{Decision, Machine, Order, Who};
use crate::replay::Record;
use crate::spec::RolloutSpec;
use crate::sql::{self, Begin, Change, Routing, Run};
use mainspring_core::{AuditRecord, Authorized, Ctx, Name, Tenant};
use mainspring_store::{Db, FutureExt};
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::watch;

type Key = (Tenant, Name);

/// What a process knows of the database, as of the last look.
#[derive(Debug, Default)]
struct Seen {
    runs: BTreeMap<Key, Arc<Run>>,
    rows: BTreeMap<Key, Routing>,
    /// All of `rows`.
    table: Arc<Vec<Routing>>,
}

impl Seen {
    fn take(&mut self, runs: Vec<Run>, rows: Vec<Routing>) {
        self.runs.extend(runs.into_iter().map(|run| ((run.tenant.clone(), run.name.clone()), Arc::new(run))));
        if rows.is_empty() {
            return;
        }
        self.rows.extend(rows.into_iter().map(|row| ((row.tenant.clone(), row.deployment.clone()), row)));
        self.table = Arc::new(self.rows.values().cloned().collect());
    }
}

/// What is declared in this process, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub specs: BTreeMap<Key, Arc<RolloutSpec>>,
    pub withdrawn: BTreeSet<Key>,
}

/// One rollout for people.
#[derive(Debug, Clone)]
pub struct View {
    /// The run.
    pub run: Run,
    /// The evidence at the last look; only where the controller runs.
    pub report: Option<Arc<Report>>,
}

/// Rollouts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rollouts {
    pub(crate) db: Db,
    pub(crate) ctx: Ctx,
    seen: Arc<RwLock<Seen>>,
    pub(crate) declared: Arc<RwLock<Declared>>,
    pub(crate) reports: Arc<RwLock<HashMap<Key, Arc<Report>>>>,
    changed: Arc<watch::Sender<i64>>,
}

impl Rollouts {
    /// Rollouts kept in `db`.
    pub fn new(db: Db, ctx: Ctx) -> Self {
        Self {
            db,
            ctx,
            seen: Arc::default(),
            declared: Arc::default(),
            reports: Arc::default(),
            changed: Arc::new(watch::Sender::new(-1)),
        }
    }

    /// Takes a declaration; the controller begins a run within a second. What runs keeps the spec that it began with. Does
    /// not wait.
    ///
    /// # Errors
    /// [`RolloutError::Active`] when a run with another spec is active: what is being compared must not change.
    /// [`RolloutError::Layer`] when its place is another's.
    pub fn declare(&self, auth: &Authorized<StartRollout>, spec: RolloutSpec) -> Result<(), RolloutError> {
        spec.validate()?;
        let key = (auth.tenant().clone(), auth.action().rollout.clone());
        if let Some(run) = self.seen.read().runs.get(&key)
            && !run.state.phase.ended()
            && *run.spec != spec
        {
            return Err(RolloutError::Active { rollout: key.1.to_string(), phase: run.state.phase.as_str() });
        }
        self.fits_layer(&key, &spec)?;
        let mut declared = self.declared.write();
        declared.withdrawn.remove(&key);
        declared.specs.insert(key, Arc::new(spec));
        Ok(())
    }

    /// It is no longer declared: what is active is rolled back. Does not wait.
    pub fn withdraw(&self, auth: &Authorized<StartRollout>) {
        let key = (auth.tenant().clone(), auth.action().rollout.clone());
        let mut declared = self.declared.write();
        declared.specs.remove(&key);
        declared.withdrawn.insert(key);
    }

    /// What is active and, as far as this process was told, neither declared nor withdrawn: its declaration was refused here,
    /// or has not come yet, or was deleted before this process began.
    pub(crate) fn undeclared(&self) -> BTreeSet<Key> {
        let (seen, declared) = (self.seen.read(), self.declared.read());
        let told = |key: &Key| declared.specs.contains_key(key) || declared.withdrawn.contains(key);
        let active = seen.runs.iter().filter(|(_, run)| !run.state.phase.ended());
        active.map(|(key, _)| key).filter(|key| !told(key)).cloned().collect()
    }

    /// Nobody declares it any more, unless somebody did just now.
    pub(crate) fn deleted(&self, key: &Key) {
        let mut declared = self.declared.write();
        if !declared.specs.contains_key(key) {
            declared.withdrawn.insert(key.clone());
        }
    }

    /// Begins the next run of a rollout that has ended, with the spec of its last declaration.
    ///
    /// # Errors
    /// [`RolloutError::NotFound`], [`RolloutError::Active`], [`RolloutError::Layer`], [`RolloutError::Store`].
    pub async fn start(&self, auth: &Authorized<StartRollout>) -> Result<(), RolloutError> {
        let key = (auth.tenant().clone(), auth.action().rollout.clone());
        let not_found = || RolloutError::NotFound { rollout: key.1.to_string() };
        let declared = self.declared.read().specs.get(&key).cloned();
        let spec = match declared {
            Some(spec) => spec,
            None => self.current(&key.0, &key.1).await?.ok_or_else(not_found)?.spec,
        };
        let begun = self.create([(&key, spec)], Some(auth.audit())).await?;
        self.refresh().await?;
        if begun == [true] {
            return Ok(());
        }
        let phase = self.current(&key.0, &key.1).await?.map_or("active", |run| run.state.phase.as_str());
        Err(RolloutError::Active { rollout: key.1.to_string(), phase })
    }

    /// Carries out a person's order, at once and whoever leads.
    ///
    /// # Errors
    /// [`RolloutError::NotFound`], [`RolloutError::Order`] when its state forbids it, [`RolloutError::Raced`] when
    /// something was decided at the same moment.
    pub async fn order(&self, auth: &Authorized<OrderRollout>) -> Result<Decision, RolloutError> {
        let OrderRollout { rollout, order, reason } = auth.action();
        let who = Who { reason: reason.clone(), ..Who::from(&**auth.who()) };
        self.ordered((auth.tenant(), rollout), *order, &who, Some(auth.audit())).await
    }

    pub(crate) async fn ordered(
        &self,
        (tenant, rollout): (&Tenant, &Name),
        order: Order,
        who: &Who,
        audit: Option<AuditRecord>,
    ) -> Result<Decision, RolloutError> {
        let not_found = || RolloutError::NotFound { rollout: rollout.to_string() };
        let run = self.current(tenant, rollout).await?.ok_or_else(not_found)?;
        let machine = Machine { name: rollout.as_str(), spec: &run.spec };
        let done = machine.order(&run.state, order, who, self.ctx.now())?;
        let decision = done.decision.clone();
        let ids = std::array::from_fn(|_| self.ctx.event_id());
        self.commit(vec![Arc::new(Change { run, done, ids, lease: None, audit })]).await?;
        self.refresh().await?;
        Ok(decision)
    }

    /// One rollout of the tenant, as this process knows it.
    pub fn status(&self, auth: &Authorized<ReadRollouts>) -> Option<View> {
        let key = (auth.tenant().clone(), auth.action().rollout.clone()?);
        self.view(&key)
    }

    /// Whether somebody declares it, as far as this process was told: its first run may still be about to begin.
    pub fn is_declared(&self, auth: &Authorized<ReadRollouts>) -> bool {
        let name = auth.action().rollout.clone();
        name.is_some_and(|name| self.declared.read().specs.contains_key(&(auth.tenant().clone(), name)))
    }

    /// All rollouts of the tenant, as this process knows them.
    pub fn list(&self, auth: &Authorized<ReadRollouts>) -> Vec<View> {
        let keys: Vec<Key> = self.seen.read().runs.keys().filter(|(t, _)| t == auth.tenant()).cloned().collect();
        keys.iter().filter_map(|key| self.view(key)).collect()
    }

    fn view(&self, key: &Key) -> Option<View> {
        let run = self.seen_run(key)?;
        let report = self.reports.read().get(key).cloned();
        Some(View { run: Run::clone(&run), report })
    }

    /// Decisions of a run, the newest first, before number `before` (`u64::MAX` for the newest); the last run when `number`
    /// is `None`. At most 1,000.
    ///
    /// # Errors
    /// [`RolloutError::NotFound`], [`RolloutError::Store`].
    pub async fn decisions(
        &self,
        auth: &Authorized<ReadRollouts>,
        number: Option<i64>,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Decision>, RolloutError> {
        let not_found = || RolloutError::NotFound { rollout: "*".to_owned() };
        let (tenant, name) = (auth.tenant().clone(), auth.action().rollout.clone().ok_or_else(not_found)?);
        let number = match number {
            Some(number) => number,
            None => {
                let none = || RolloutError::NotFound { rollout: name.to_string() };
                self.current(&tenant, &name).await?.ok_or_else(none)?.number
            }
        };
        let limit = limit.min(1000);
        self.db
            .read(move |c| async move { sql::decisions(c, (&tenant, &name, number), before, limit).await }.boxed())
            .await
    }

    /// A whole run, for [`crate::replay`]: the last one when `number` is `None`.
    ///
    /// # Errors
    /// [`RolloutError::NotFound`], [`RolloutError::Store`].
    pub async fn record(&self, auth: &Authorized<ReadRollouts>, number: Option<i64>) -> Result<Record, RolloutError> {
        let name = auth.action().rollout.clone().ok_or_else(|| RolloutError::NotFound { rollout: "*".to_owned() })?;
        let not_found = || RolloutError::NotFound { rollout: name.to_string() };
        let last = self.current(auth.tenant(), &name).await?.ok_or_else(not_found)?;
        let number = number.unwrap_or(last.number);
        let (tenant, asked) = (auth.tenant().clone(), name.clone());
        let read = self.db.read(move |c| {
            async move {
                let key = (&tenant, &asked, number);
                let Some(run) = sql::numbered(c, key).await? else { return Ok::<_, RolloutError>(None) };
                let mut decisions = sql::decisions(c, key, u64::MAX, u32::MAX).await?;
                decisions.reverse();
                Ok(Some((run, decisions)))
            }
            .boxed()
        });
        let no_run = || RolloutError::NotFound { rollout: format!("{name}, run {number}") };
        let (run, decisions) = read.await?.ok_or_else(no_run)?;
        let Run { spec, created_at, state, .. } = run;
        Ok(Record { name: name.to_string(), state, created_at, spec, decisions, earlier: Vec::new() })
    }

    /// The routing rows of all tenants, for this process's deployments.
    pub fn rows(&self) -> Arc<Vec<Routing>> {
        Arc::clone(&self.seen.read().table)
    }

    /// The routing row of one deployment.
    pub(crate) fn row(&self, tenant: &Tenant, deployment: &Name) -> Option<Routing> {
        self.seen.read().rows.get(&(tenant.clone(), deployment.clone())).cloned()
    }

    /// Changes when [`Rollouts::rows`] may have.
    pub fn changes(&self) -> watch::Receiver<i64> {
        self.changed.subscribe()
    }

    /// Reads what was written since the last time, here and elsewhere.
    ///
    /// # Errors
    /// [`RolloutError::Store`].
    pub async fn refresh(&self) -> Result<(), RolloutError> {
        let known = *self.changed.borrow();
        let read = self.db.read(move |c| {
            async move {
                let epoch = sql::epoch(c).await?;
                if epoch == known {
                    return Ok::<_, RolloutError>(None);
                }
                Ok(Some((epoch, sql::runs(c, known).await?, sql::rows(c, known).await?)))
            }
            .boxed()
        });
        let Some((epoch, runs, rows)) = read.await? else { return Ok(()) };
        {
            let mut seen = self.seen.write();
            // An older answer may come after a newer one, which has all that is in it.
            if epoch <= *self.changed.borrow() {
                return Ok(());
            }
            seen.take(runs, rows);
            self.changed.send_replace(epoch);
        }
        Ok(())
    }

    /// The last run of each name.
    pub(crate) fn runs(&self) -> BTreeMap<Key, Arc<Run>> {
        self.seen.read().runs.clone()
    }

    pub(crate) fn seen_run(&self, key: &Key) -> Option<Arc<Run>> {
        self.seen.read().runs.get(key).cloned()
    }

    pub(crate) async fn current(&self, tenant: &Tenant, name: &Name) -> Result<Option<Run>, RolloutError> {
        let (tenant, name) = (tenant.clone(), name.clone());
        self.db.read(move |c| async move { sql::current(c, &tenant, &name).await }.boxed()).await
    }

    /// Begins the next run of each in one transaction; false where there is one. Call [`Rollouts::refresh`] after it.
    pub(crate) async fn create<'a>(
        &self,
        all: impl IntoIterator<Item = (&'a Key, Arc<RolloutSpec>)>,
        audit: Option<AuditRecord>,
    ) -> Result<Vec<bool>, RolloutError> {
        let ctx = &self.ctx;
        let begin = |((tenant, name), spec): (&Key, Arc<RolloutSpec>)| {
            let (tenant, name, audit) = (tenant.clone(), name.clone(), audit.clone());
            let ids = std::array::from_fn(|_| ctx.event_id());
            Begin { tenant, name, spec, id: ctx.event_id(), ids, at: ctx.now(), audit }
        };
        let begins: Vec<Begin> = all.into_iter().map(begin).collect();
        self.db.write(move |c| async move { sql::create(c, &begins).await }.boxed()).await
    }

    /// Writes decisions in one transaction.
    pub(crate) async fn commit(&self, changes: Vec<Arc<Change>>) -> Result<(), RolloutError> {
        self.db.write(move |c| async move { sql::commit(c, &changes).await }.boxed()).await
    }
}

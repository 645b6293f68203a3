//! The controller: one of all replicas leads, folds the events, asks the machine, and writes what it decides.

mod asking;
mod facts;
mod feed;
mod following;
mod freezing;
mod question;

use crate::error::RolloutError;
use crate::ledger::Limits;
use crate::machine::{Facts, Order, OrderError, Phase, Who};
use crate::pilot::Pilot;
use crate::ports::{Declarations, Events, Fleet, Webhooks};
use crate::rollouts::Rollouts;
use crate::spec::RolloutSpec;
use crate::sql::{Change, Run};
use asking::Asking;
use facts::facts;
use feed::{Budget, Feed, Trouble};
use following::Following;
use freezing::Freezing;
use futures::{FutureExt, StreamExt, stream};
use mainspring_core::{Name, Tenant, Timestamp};
use mainspring_store::sql::{Lead, Leader, Passes};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

const LEASE: &str = "rollout.controller";
const TTL: Duration = Duration::from_secs(10);
/// Decisions of one transaction.
const TOGETHER: usize = 128;
/// Transactions at the same time: they share a commit where the database can do that.
const BESIDE: usize = 32;
/// Events of the outbox that one pass relays, beside those that wait.
const RELAYED: u32 = 100;

/// The rest of the server.
#[derive(Clone)]
pub struct Ports {
    /// The deployments.
    pub fleet: Arc<dyn Fleet>,
    /// The journal.
    pub events: Arc<dyn Events>,
    /// What deployments declare.
    pub declarations: Arc<dyn Declarations>,
    /// Webhooks that must agree.
    pub webhooks: Arc<dyn Webhooks>,
}

/// A rollout in the hands of the leader.
struct Running {
    pilot: Pilot,
    number: i64,
    version: i64,
    feed: Feed,
    asking: Asking,
    trouble: Trouble,
}

impl Running {
    fn new(run: &Run, limits: Limits) -> Self {
        let pilot = Pilot::new(run.name.as_str(), Arc::clone(&run.spec), run.state.clone(), limits);
        let (feed, asking, trouble) = (Feed::default(), Asking::default(), Trouble::default());
        Self { pilot, number: run.number, version: run.version, feed, asking, trouble }
    }
}

type Key = (Tenant, Name);
/// A decision, and whose.
type Decided = (Key, Arc<Change>);

/// The controller of one process.
pub struct Controller {
    rollouts: Rollouts,
    ports: Ports,
    leader: Leader,
    limits: Limits,
    running: BTreeMap<Key, Running>,
    /// Rollouts that wait for a deployment, by the deployment.
    waiting: BTreeMap<Key, Name>,
    /// Rollouts that could not begin, or not be ended.
    refused: BTreeMap<Key, Trouble>,
    /// Rollouts of whose declaration this process was not told, and when it is asked for again.
    undeclared: BTreeMap<Key, Trouble>,
    /// What keeps deployments from following.
    following: Following,
    freezing: Freezing,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("leader", &self.leader).finish_non_exhaustive()
    }
}

impl Controller {
    /// The controller of the process `owner`, a name that no other process has.
    pub fn new(rollouts: Rollouts, ports: Ports, owner: String, limits: Limits) -> Self {
        let leader = Leader::new(rollouts.db.clone(), LEASE, owner, TTL);
        Self {
            rollouts,
            ports,
            leader,
            limits,
            running: BTreeMap::new(),
            waiting: BTreeMap::new(),
            refused: BTreeMap::new(),
            undeclared: BTreeMap::new(),
            following: Following::default(),
            freezing: Freezing::default(),
        }
    }

    /// Whether this process leads.
    pub fn leads(&self) -> bool {
        self.leader.lease().is_some()
    }

    /// Looks once at everything. Every process reads what was written; the leader also decides.
    ///
    /// # Errors
    /// [`RolloutError::Store`] when the database does not answer. What one rollout lacks holds up that one alone.
    pub async fn pass(&mut self) -> Result<(), RolloutError> {
        // No answer from before this moment can be of a row that the refresh does not know.
        let known = self.rollouts.ctx.now();
        self.rollouts.refresh().await?;
        if !self.lead().await? {
            self.rollouts.reports.write().clear();
            return Ok(());
        }
        self.reconcile().await?;
        self.take_up();
        let keys: Vec<Key> = self.running.keys().cloned().collect();
        let mut budget = Budget::at(known);
        let (mut decided, mut writing) = (Vec::new(), write(self.rollouts.clone(), Vec::new()).boxed());
        for some in keys.chunks(TOGETHER) {
            // The database writes while the next ones are looked at.
            let (written, more) = futures::join!(writing, self.decide(some, known, &mut budget));
            self.believe(written)?;
            decided.extend(more?);
            if !self.leads() {
                return Ok(());
            }
            let full = decided.len() >= TOGETHER;
            let now = if full { std::mem::take(&mut decided) } else { Vec::new() };
            writing = write(self.rollouts.clone(), now).boxed();
        }
        self.believe(writing.await)?;
        self.believe(write(self.rollouts.clone(), decided).await)?;
        self.relay().await?;
        self.rollouts.refresh().await
    }

    /// What is decided of some rollouts; no more of them once another process leads.
    async fn decide(
        &mut self,
        keys: &[Key],
        known: Timestamp,
        budget: &mut Budget,
    ) -> Result<Vec<Decided>, RolloutError> {
        let mut decided = Vec::new();
        for key in keys {
            if !self.lead().await? {
                break;
            }
            match self.one(key, known, budget).await {
                Ok(change) => decided.extend(change.map(|change| (key.clone(), Arc::new(change)))),
                Err(RolloutError::Store(error)) => return Err(self.lost(error)),
                Err(error) => self.troubled(key, &error),
            }
        }
        Ok(decided)
    }

    /// A store that does not answer, or a lease that is gone: nothing of what is in memory can be trusted.
    fn lost(&mut self, error: mainspring_store::StoreError) -> RolloutError {
        self.leader.lost();
        self.running.clear();
        error.into()
    }

    fn troubled(&mut self, key: &Key, error: &RolloutError) {
        let now = self.rollouts.ctx.now();
        let Some(running) = self.running.get_mut(key) else { return };
        if running.trouble.comes(now) {
            tracing::warn!(rollout = %key.1, %error, "the rollout holds where it is");
        }
    }

    /// Whether this process leads; asked again and again, since a pass over many rollouts may last longer than the lease.
    async fn lead(&mut self) -> Result<bool, RolloutError> {
        match self.leader.lead().await {
            Ok(Lead::Kept) => {}
            Ok(Lead::Taken | Lead::No) => self.running.clear(),
            Err(error) => return Err(self.lost(error)),
        }
        Ok(self.leads())
    }

    /// What is declared begins; what is withdrawn ends.
    async fn reconcile(&mut self) -> Result<(), RolloutError> {
        self.miss().await;
        let (specs, withdrawn): (BTreeMap<Key, _>, _) = {
            let declared = self.rollouts.declared.read();
            (declared.specs.clone(), declared.withdrawn.clone())
        };
        self.refused.retain(|key, _| specs.contains_key(key) || withdrawn.contains(key));
        let mut begins = specs;
        begins.retain(|key, spec| {
            let run = self.rollouts.seen_run(key);
            run.is_none_or(|run| run.state.replaceable() && *run.spec != **spec) && self.may_try(key)
        });
        let begins: Vec<_> = begins.into_iter().collect();
        for some in begins.chunks(TOGETHER) {
            self.begin(some).await?;
        }
        if !begins.is_empty() {
            self.rollouts.refresh().await?;
        }
        for key in withdrawn {
            let active = self.rollouts.seen_run(&key).is_some_and(|run| !run.state.phase.ended());
            if active {
                if !self.may_try(&key) {
                    continue;
                }
                let by = Who::new("the deletion of its declaration");
                let done = match self.rollouts.ordered((&key.0, &key.1), Order::Abort, &by, None).await {
                    Ok(_) | Err(RolloutError::Order(OrderError::Phase { .. }) | RolloutError::NotFound { .. }) => {
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
                if !self.tried(&key, done)? {
                    continue;
                }
            }
            self.rollouts.declared.write().withdrawn.remove(&key);
        }
        Ok(())
    }

    /// Begins runs in one transaction, or each for itself where one of them may not begin.
    async fn begin(&mut self, some: &[(Key, Arc<RolloutSpec>)]) -> Result<(), RolloutError> {
        let all = some.iter().map(|(key, spec)| (key, Arc::clone(spec)));
        match self.rollouts.create(all, None).await {
            Ok(_) => self.refused.retain(|key, _| !some.iter().any(|(begun, _)| begun == key)),
            Err(RolloutError::Store(error)) => return Err(self.lost(error)),
            Err(_) => {
                for (key, spec) in some {
                    let done = self.rollouts.create([(key, Arc::clone(spec))], None).await;
                    self.tried(key, done.map(drop))?;
                }
            }
        }
        Ok(())
    }

    /// What goes on although its declaration was deleted while nobody here could take note of that ends, too. The database
    /// is asked, and not what this process was handed: on a start that may still be on its way, another server may have
    /// taken the declaration, and this one may have refused it.
    async fn miss(&mut self) {
        let (missing, now) = (self.rollouts.undeclared(), self.rollouts.ctx.now());
        self.undeclared.retain(|key, _| missing.contains(key));
        for key in missing {
            if !self.undeclared.get(&key).is_none_or(|asked| asked.over(now)) {
                continue;
            }
            let declared = self.ports.declarations.author(&key.0, &key.1).await;
            if matches!(declared, Ok(None)) {
                self.rollouts.deleted(&key);
                continue;
            }
            // It is declared, or nobody knows. It is asked again, since a deletion may have passed this process by.
            let first = self.undeclared.entry(key.clone()).or_default().comes(now);
            if let (true, Err(error)) = (first, declared) {
                tracing::warn!(rollout = %key.1, %error, "it is not known whether the rollout is still declared; it goes on");
            }
        }
    }

    fn may_try(&self, key: &Key) -> bool {
        self.refused.get(key).is_none_or(|trouble| trouble.over(self.rollouts.ctx.now()))
    }

    /// Whether a rollout was begun or ended. One that was not holds up nobody else; it is tried again.
    fn tried(&mut self, key: &Key, done: Result<(), RolloutError>) -> Result<bool, RolloutError> {
        match done {
            Ok(()) => {
                self.refused.remove(key);
                Ok(true)
            }
            Err(RolloutError::Store(error)) => Err(self.lost(error)),
            Err(error) => {
                if self.refused.entry(key.clone()).or_default().comes(self.rollouts.ctx.now()) {
                    tracing::warn!(rollout = %key.1, %error, "the rollout cannot begin or end yet; it is tried again");
                }
                Ok(false)
            }
        }
    }

    /// Brings what is in memory in line with what was read.
    fn take_up(&mut self) {
        let mut runs = self.rollouts.runs();
        runs.retain(|_, run| run.state.active());
        self.running.retain(|key, _| runs.contains_key(key));
        self.rollouts.reports.write().retain(|key, _| runs.contains_key(key));
        let pending = runs.values().filter(|run| run.state.phase == Phase::Pending);
        self.waiting = pending.map(|r| ((r.tenant.clone(), r.spec.deployment.clone()), r.name.clone())).collect();
        for (key, run) in runs {
            match self.running.get_mut(&key) {
                Some(known) if known.number == run.number => {
                    if known.version < run.version {
                        known.version = run.version;
                        known.pilot.adopt(run.state.clone());
                    }
                }
                _ => drop(self.running.insert(key, Running::new(&run, self.limits))),
            }
        }
    }

    /// Takes one rollout's news and asks what is to be done.
    async fn one(&mut self, key: &Key, known: Timestamp, budget: &mut Budget) -> Result<Option<Change>, RolloutError> {
        let Some(running) = self.running.get_mut(key) else { return Ok(None) };
        let now = self.rollouts.ctx.now();
        let wanting = feed::Wanting { tenant: &key.0, ctx: &self.rollouts.ctx, limits: self.limits };
        running.feed.take(&self.ports, &mut running.pilot, wanting, budget).await;
        running.pilot.advance(running.feed.complete_until.min(known));
        if running.feed.reading {
            return Ok(None);
        }
        if running.pilot.news() {
            self.rollouts.reports.write().insert(key.clone(), running.pilot.report());
        }
        let current = self.rollouts.seen_run(key).filter(|run| run.version == running.version);
        let Some(run) = current.filter(|_| running.trouble.over(now)) else { return Ok(None) };
        if run.state.phase == Phase::Pending {
            // Until it begins, the deployment's row is another's.
            let row = self.rollouts.row(&run.tenant, &run.spec.deployment);
            let generation = row.map_or(0, |row| row.generation);
            if running.pilot.state().generation != generation {
                let state = running.pilot.state().clone();
                running.pilot.adopt(crate::State { generation, ..state });
            }
        }
        let wanted = self.waiting.get(&(run.tenant.clone(), run.spec.deployment.clone()));
        let facts = facts(&self.rollouts, &self.ports, (&run, wanted)).await?;
        let silence = running.feed.silence.clone();
        let mut facts = Facts { complete_until: running.feed.complete_until, silence, ..facts };
        facts.webhooks = running.webhooks(&key.0, &facts, &self.ports, &self.rollouts.ctx);
        let done = running.pilot.ask(now, &facts)?;
        if running.trouble.ends() {
            tracing::info!(rollout = %key.1, "the rollout goes on");
        }
        let Some(done) = done else { return Ok(None) };
        let run = Run { state: running.pilot.state().clone(), ..Run::clone(&run) };
        let ids = std::array::from_fn(|_| self.rollouts.ctx.event_id());
        Ok(Some(Change { run, done, ids, lease: self.leader.lease().cloned(), audit: None }))
    }

    /// Believes what was written.
    fn believe(&mut self, written: Vec<(Decided, Result<(), RolloutError>)>) -> Result<(), RolloutError> {
        for ((key, change), done) in written {
            match done {
                Ok(()) => {
                    let decision = &change.done.decision;
                    tracing::info!(rollout = %key.1, kind = ?decision.kind, sentence = %decision.sentence, "rollout decision");
                    if let Some(running) = self.running.get_mut(&key) {
                        running.version = change.run.version + 1;
                        running.pilot.adopt(change.done.state.clone());
                    }
                }
                // A person was faster: the next pass reads what they ordered. The evidence is the same.
                Err(RolloutError::Raced { .. }) => {}
                Err(RolloutError::Store(error)) => return Err(self.lost(error)),
                Err(error) => self.troubled(&key, &error),
            }
        }
        Ok(())
    }

    /// Tells deployments to follow, and freezes versions. The journal fetches the decisions itself.
    async fn relay(&mut self) -> Result<(), RolloutError> {
        let (db, now) = (self.rollouts.db.clone(), self.rollouts.ctx.now());
        // What waits is the oldest: beside it there is always room for others.
        let most = RELAYED.saturating_add(self.following.waiting);
        let events = db.outbox_take(crate::FOLLOWS, most).await?;
        let done = self.following.relay(&*self.ports.declarations, events, now).await;
        if !done.is_empty() {
            db.outbox_done(&done).await?;
        }
        let events = db.outbox_take(crate::FREEZES, RELAYED).await?;
        let done = self.freezing.relay(&*self.ports.declarations, events, now).await;
        if !done.is_empty() {
            db.outbox_done(&done).await?;
        }
        Ok(())
    }
}

/// Writes decisions in one transaction; each for itself where two are of one deployment, or one of them cannot be written and
/// must not hold up the others.
async fn write(rollouts: Rollouts, decided: Vec<Decided>) -> Vec<(Decided, Result<(), RolloutError>)> {
    let changes: Vec<_> = decided.iter().map(|(_, change)| Arc::clone(change)).collect();
    let deployments: HashSet<_> = changes.iter().map(|c| (&c.run.tenant, &c.run.spec.deployment)).collect();
    let apart = deployments.len() == changes.len();
    let done = if changes.is_empty() || !apart { None } else { Some(rollouts.commit(changes).await) };
    match done {
        Some(Ok(())) => decided.into_iter().map(|one| (one, Ok(()))).collect(),
        // It says the same of all.
        Some(Err(RolloutError::Store(error))) => {
            decided.into_iter().map(|one| (one, Err(error.clone().into()))).collect()
        }
        Some(Err(_)) | None => {
            let alone = async |one: Decided| {
                let done = rollouts.commit(vec![Arc::clone(&one.1)]).await;
                (one, done)
            };
            stream::iter(decided).map(alone).buffer_unordered(BESIDE).collect().await
        }
    }
}

impl Passes for Controller {
    type Error = RolloutError;
    const STANDS_STILL: &'static str = "rollouts hold where they are";

    fn pass(&mut self) -> impl Future<Output = Result<(), RolloutError>> + Send {
        Self::pass(self)
    }

    fn leader(&mut self) -> &mut Leader {
        &mut self.leader
    }
}

#[cfg(test)]
mod tests;

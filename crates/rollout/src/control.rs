//! The controller: one of all replicas leads, folds the events, asks the machine, and writes what it decides.

mod asking;
mod facts;
mod feed;
mod following;
mod freezing;
mod question;

use crate::error::RolloutError;
use crate::ledger::Limits;
use crate::machine::{DecisionKind, Facts, Order, OrderError, Phase, Who};
use crate::pilot::Pilot;
use crate::ports::{Declarations, Events, Fleet, Webhooks};
use crate::rollouts::Rollouts;
use crate::sql::{Change, Run};
use asking::Asking;
use facts::facts;
use feed::{Budget, Feed, Trouble};
use following::Following;
use freezing::Freezing;
use futures::{StreamExt, stream};
use mainspring_core::{Name, Tenant, Timestamp};
use mainspring_store::sql::{Lead, Leader, Passes};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const LEASE: &str = "rollout.controller";
const TTL: Duration = Duration::from_secs(10);
/// Decisions that are written at the same time: they share a commit where the database can do that.
const TOGETHER: usize = 32;
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

/// A decision, after it was to be written.
struct Written {
    /// Whose.
    key: Key,
    /// The state and the version after it.
    state: crate::State,
    version: i64,
    kind: DecisionKind,
    sentence: String,
    /// Whether it was.
    done: Result<(), RolloutError>,
}

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
        let mut decided = Vec::new();
        let mut budget = Budget::at(known);
        for key in keys {
            if !self.lead().await? {
                return Ok(());
            }
            match self.one(&key, known, &mut budget).await {
                Ok(change) => decided.extend(change.map(|change| (key, change))),
                Err(RolloutError::Store(error)) => return Err(self.lost(error)),
                Err(error) => self.troubled(&key, &error),
            }
            if decided.len() >= 4 * TOGETHER {
                self.write(std::mem::take(&mut decided)).await?;
            }
        }
        self.write(decided).await?;
        self.relay().await?;
        self.rollouts.refresh().await
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
        let mut begun = Vec::new();
        for (key, spec) in specs {
            let run = self.rollouts.seen_run(&key);
            if run.is_none_or(|run| run.state.replaceable() && *run.spec != *spec) && self.may_try(&key) {
                let rollouts = self.rollouts.clone();
                begun.push(async move { (rollouts.create(&key, spec, None).await.map(drop), key) });
            }
        }
        if !begun.is_empty() {
            let begun: Vec<_> = stream::iter(begun).buffer_unordered(TOGETHER).collect().await;
            for (done, key) in begun {
                self.tried(&key, done)?;
            }
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

    /// Writes one decision; answers with what it makes of the rollout.
    fn writing(&self, key: Key, change: Change) -> impl Future<Output = Written> + Send + use<> {
        let rollouts = self.rollouts.clone();
        let (state, version) = (change.done.state.clone(), change.run.version + 1);
        let (kind, sentence) = (change.done.decision.kind, change.done.decision.sentence.clone());
        async move { Written { key, state, version, kind, sentence, done: rollouts.commit(change).await } }
    }

    /// Writes decisions, then believes them.
    async fn write(&mut self, decided: Vec<(Key, Change)>) -> Result<(), RolloutError> {
        let writing: Vec<_> = decided.into_iter().map(|(key, change)| self.writing(key, change)).collect();
        let written: Vec<_> = stream::iter(writing).buffer_unordered(TOGETHER).collect().await;
        for Written { key, state, version, kind, sentence, done } in written {
            match done {
                Ok(()) => {
                    tracing::info!(rollout = %key.1, ?kind, sentence, "rollout decision");
                    if let Some(running) = self.running.get_mut(&key) {
                        running.version = version;
                        running.pilot.adopt(state);
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

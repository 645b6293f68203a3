//! The controller: one of all replicas leads, folds the events, asks the machine, and writes what it decides.

use crate::error::RolloutError;
use crate::ledger::{Limits, Plan};
use crate::machine::{Facts, Order, Phase, Transition};
use crate::pilot::Pilot;
use crate::ports::{Declarations, EventStream, Events, Fleet, Wanted};
use crate::rollouts::Rollouts;
use crate::sql::{self, Change, Run};
use mainspring_core::{Name, Tenant, Timestamp};
use mainspring_store::FutureExt;
use mainspring_store::sql::{Lease, OutboxEvent};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const LEASE: &str = "rollout.controller";
const TTL: Duration = Duration::from_secs(10);
/// Between two passes.
const PAUSE: Duration = Duration::from_secs(1);
/// Batches that one rollout may take in one pass, so that one with a long past does not hold up the others.
const BATCHES: usize = 50;
/// Events of the outbox that one pass relays.
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
}

/// A rollout in the hands of the leader.
struct Running {
    pilot: Pilot,
    number: i64,
    version: i64,
    stream: Option<Box<dyn EventStream>>,
    complete_until: Timestamp,
}

/// The controller of one process.
pub struct Controller {
    rollouts: Rollouts,
    ports: Ports,
    owner: String,
    limits: Limits,
    lease: Option<Lease>,
    running: BTreeMap<(Tenant, Name), Running>,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("owner", &self.owner).field("lease", &self.lease).finish_non_exhaustive()
    }
}

impl Controller {
    /// The controller of the process `owner`, a name that no other process has.
    pub fn new(rollouts: Rollouts, ports: Ports, owner: String, limits: Limits) -> Self {
        Self { rollouts, ports, owner, limits, lease: None, running: BTreeMap::new() }
    }

    /// Passes once a second until it is cancelled; then gives the lease back.
    pub async fn run(mut self) {
        let stop = self.rollouts.ctx.tasks.cancelled();
        let mut failing = false;
        while !stop.is_cancelled() {
            match self.pass().await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "rollouts hold where they are: the controller cannot work");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        if let Some(lease) = self.lease.take()
            && let Err(error) = self.rollouts.db.lease_release(&lease).await
        {
            tracing::debug!(%error, "the lease of the rollout controller runs out by itself");
        }
    }

    /// Whether this process leads.
    pub fn leads(&self) -> bool {
        self.lease.is_some()
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
            self.running.clear();
            self.rollouts.reports.write().clear();
            return Ok(());
        }
        self.reconcile().await?;
        self.take_up();
        let keys: Vec<(Tenant, Name)> = self.running.keys().cloned().collect();
        for key in keys {
            match self.one(&key, known).await {
                Ok(()) => {}
                // Somebody else wrote it, or leads: what is known of it is out of date.
                Err(RolloutError::Raced { .. }) => drop(self.running.remove(&key)),
                Err(RolloutError::Store(error)) => return Err(self.lost(error)),
                Err(error) => tracing::warn!(rollout = %key.1, %error, "the rollout holds where it is"),
            }
        }
        self.relay().await?;
        self.rollouts.refresh().await
    }

    /// A store that does not answer, or a lease that is gone: nothing of what is in memory can be trusted.
    fn lost(&mut self, error: mainspring_store::StoreError) -> RolloutError {
        self.lease = None;
        self.running.clear();
        error.into()
    }

    async fn lead(&mut self) -> Result<bool, RolloutError> {
        let db = self.rollouts.db.clone();
        if let Some(lease) = self.lease.take() {
            match db.lease_renew(&lease, TTL).await {
                Ok(renewed) => self.lease = Some(renewed),
                Err(mainspring_store::StoreError::LeaseLost { .. }) => self.running.clear(),
                Err(error) => return Err(self.lost(error)),
            }
        }
        if self.lease.is_none() {
            self.lease = db.lease_acquire(&Tenant::default(), LEASE, &self.owner, TTL).await?;
        }
        Ok(self.lease.is_some())
    }

    /// What is declared begins; what is withdrawn ends.
    async fn reconcile(&mut self) -> Result<(), RolloutError> {
        let (specs, withdrawn) = {
            let declared = self.rollouts.declared.read();
            (declared.specs.clone(), declared.withdrawn.clone())
        };
        for (key, spec) in specs {
            let begin = self.rollouts.seen_run(&key).is_none_or(|run| !run.state.active() && *run.spec != *spec);
            if begin {
                self.rollouts.create(&key, spec, None).await?;
            }
        }
        for key in withdrawn {
            let active = self.rollouts.seen_run(&key).is_some_and(|run| !run.state.phase.ended());
            if active {
                let by = "the deletion of its declaration";
                match self.rollouts.ordered((&key.0, &key.1), Order::Abort, by, None).await {
                    Ok(_) | Err(RolloutError::Order(_) | RolloutError::NotFound { .. }) => {}
                    Err(RolloutError::Raced { .. }) => continue,
                    Err(error) => return Err(error),
                }
            }
            self.rollouts.declared.write().withdrawn.remove(&key);
        }
        Ok(())
    }

    /// Brings what is in memory in line with what was read.
    fn take_up(&mut self) {
        let active = self.rollouts.runs().into_iter().filter(|run| run.state.active());
        let runs: BTreeMap<_, Run> = active.map(|run| ((run.tenant.clone(), run.name.clone()), run)).collect();
        self.running.retain(|key, _| runs.contains_key(key));
        self.rollouts.reports.write().retain(|key, _| runs.contains_key(key));
        for (key, run) in runs {
            match self.running.get_mut(&key) {
                Some(known) if known.number == run.number => {
                    if known.version < run.version {
                        known.version = run.version;
                        known.pilot.adopt(run.state);
                    }
                }
                _ => {
                    let pilot = Pilot::new(key.1.as_str(), Arc::clone(&run.spec), run.state, self.limits);
                    let (number, version) = (run.number, run.version);
                    let running =
                        Running { pilot, number, version, stream: None, complete_until: Timestamp::default() };
                    self.running.insert(key, running);
                }
            }
        }
    }

    async fn one(&mut self, key: &(Tenant, Name), known: Timestamp) -> Result<(), RolloutError> {
        let Some(running) = self.running.get_mut(key) else { return Ok(()) };
        let fed = feed(&self.ports, key, running, self.limits).await;
        let now = self.rollouts.ctx.now();
        if let Err(error) = fed {
            // Without news it holds; guardrails in the replicas go on.
            tracing::debug!(rollout = %key.1, %error, "no news of the rollout's traffic");
            running.stream = None;
        }
        running.pilot.advance(running.complete_until.min(known));
        self.rollouts.reports.write().insert(key.clone(), running.pilot.report());
        let Some(run) = self.rollouts.seen_run(key).filter(|run| run.version == running.version) else { return Ok(()) };
        if run.state.phase == Phase::Pending {
            let generation = generation(&self.rollouts, &run);
            if let Some(running) = self.running.get_mut(key) {
                let mut state = running.pilot.state().clone();
                state.generation = generation;
                running.pilot.adopt(state);
            }
        }
        let facts = facts(&self.rollouts, &self.ports, &run).await?;
        let Some(running) = self.running.get_mut(key) else { return Ok(()) };
        let facts = Facts { complete_until: running.complete_until, ..facts };
        let Some(done) = running.pilot.ask(now, &facts)? else { return Ok(()) };
        let run = Run { state: running.pilot.state().clone(), ..run };
        self.write(key, run, done).await
    }

    /// Writes a decision, then believes it.
    async fn write(&mut self, key: &(Tenant, Name), run: Run, done: Transition) -> Result<(), RolloutError> {
        let ctx = &self.rollouts.ctx;
        let ids = [ctx.event_id(), ctx.event_id()];
        let (state, version) = (done.state.clone(), run.version + 1);
        tracing::info!(rollout = %key.1, kind = ?done.decision.kind, sentence = done.decision.sentence, "rollout decision");
        let lease = self.lease.clone();
        self.rollouts.commit(Change { run, done, ids, lease, audit: None }).await?;
        if let Some(running) = self.running.get_mut(key) {
            running.version = version;
            running.pilot.adopt(state);
        }
        Ok(())
    }

    /// Tells deployments to follow, at least once and in order. The journal fetches the decisions itself.
    async fn relay(&mut self) -> Result<(), RolloutError> {
        let db = self.rollouts.db.clone();
        let mut done = Vec::new();
        for event in db.outbox_take(crate::FOLLOWS, RELAYED).await? {
            let told = match followed(&event) {
                Some((tenant, follow)) => self.ports.declarations.follow(&tenant, &follow).await,
                None => Ok(()),
            };
            if let Err(error) = told {
                tracing::warn!(%error, "a deployment does not follow its rollout yet; it is tried again");
                break;
            }
            done.push(event.id);
        }
        if !done.is_empty() {
            db.outbox_done(&done).await?;
        }
        Ok(())
    }
}

/// The generation of the deployment's last row.
fn generation(rollouts: &Rollouts, run: &Run) -> u64 {
    let rows = rollouts.rows();
    let row = rows.iter().find(|r| r.tenant == run.tenant && r.deployment == run.spec.deployment);
    row.map_or(0, |r| r.generation)
}

/// What is known of a run beside its evidence. What cannot be asked is not known, and holds.
async fn facts(rollouts: &Rollouts, ports: &Ports, run: &Run) -> Result<Facts, RolloutError> {
    let mut facts = Facts::default();
    let (tenant, deployment, fleet) = (&run.tenant, &run.spec.deployment, &ports.fleet);
    if run.state.phase == Phase::Pending {
        facts.blocked = occupied(rollouts, run);
        if facts.blocked.is_none()
            && let Some(candidate) = run.spec.candidate()
        {
            match fleet.pins(tenant, deployment, &candidate.model).await {
                Ok(pins) => {
                    facts.blocked = cooling(rollouts, run, &pins.candidate).await?;
                    facts.pins = Some(pins);
                }
                Err(error) => facts.unresolved = Some(error.to_string()),
            }
        }
        return Ok(facts);
    }
    let Some(row) = &run.state.row else { return Ok(facts) };
    if let Ok(view) = fleet.view(tenant, deployment, row).await {
        facts.candidate = view.candidate;
        facts.tripped = view.tripped;
        facts.settled = view.settled;
    }
    if run.state.phase == Phase::Preflight {
        match fleet.checks(tenant, deployment, row, &run.spec.preflight).await {
            Ok(checks) => facts.checks = checks,
            // What cannot be asked has not passed.
            Err(error) => facts.checks = vec![pending(&error.to_string())],
        }
    }
    Ok(facts)
}

fn occupied(rollouts: &Rollouts, run: &Run) -> Option<String> {
    let rows = rollouts.rows();
    let row = rows.iter().find(|r| r.tenant == run.tenant && r.deployment == run.spec.deployment)?;
    (row.row.is_some() && row.rollout != run.name.as_str())
        .then(|| format!("rollout {:?} has the deployment {:?}", row.rollout, run.spec.deployment))
}

async fn cooling(rollouts: &Rollouts, run: &Run, candidate: &str) -> Result<Option<String>, RolloutError> {
    let cooldown = run.spec.rollback.cooldown;
    if cooldown.0.is_zero() {
        return Ok(None);
    }
    let (tenant, deployment, model) = (run.tenant.clone(), run.spec.deployment.clone(), candidate.to_owned());
    let read =
        rollouts.db.read(move |c| async move { sql::rolled_back(c, &tenant, &deployment, &model).await }.boxed());
    let Some(last) = read.await? else { return Ok(None) };
    let until = last.plus_micros(i64::try_from(cooldown.0.as_micros()).unwrap_or(i64::MAX));
    let left = (until.micros() - rollouts.ctx.now().micros()) / 1_000_000;
    Ok((left > 0).then(|| format!("{candidate} was rolled back a short while ago and may be tried again in {left} s")))
}

fn pending(detail: &str) -> crate::machine::Checked {
    crate::machine::Checked { name: "checks".to_owned(), passed: None, detail: detail.to_owned() }
}

fn followed(event: &OutboxEvent) -> Option<(Tenant, crate::machine::Follow)> {
    let tenant = Tenant::new(event.body.get("tenant")?.as_str()?).ok()?;
    let follow = serde_json::from_value(event.body.get("follow")?.clone()).ok()?;
    Some((tenant, follow))
}

/// Takes what has come since the last pass; opens the stream when there is none, from the rollout's beginning: the ledger
/// is rebuilt from the journal.
async fn feed(ports: &Ports, key: &(Tenant, Name), running: &mut Running, limits: Limits) -> Result<(), RolloutError> {
    let Some(first) = running.pilot.state().strata.first().cloned() else { return Ok(()) };
    let mut stream = match running.stream.take() {
        Some(stream) => stream,
        None => {
            let (spec, state) = (Arc::clone(running.pilot.spec()), running.pilot.state().clone());
            running.pilot = Pilot::new(key.1.as_str(), Arc::clone(&spec), state, limits);
            let plan = Plan::of(&spec);
            let wanted = Wanted {
                tenant: key.0.clone(),
                deployment: spec.deployment.clone(),
                from: first.start,
                generation: first.generation,
                labels: plan.labels(),
                outputs: plan.outputs(),
            };
            running.complete_until = first.start;
            ports.events.follow(wanted).await?
        }
    };
    for _ in 0..BATCHES {
        let batch = stream.next().await?;
        let more = !batch.events.is_empty();
        running.complete_until = running.complete_until.max(batch.complete_until);
        running.pilot.push(batch.events);
        if !more {
            break;
        }
    }
    running.stream = Some(stream);
    Ok(())
}

#[cfg(test)]
mod tests;

//! What this process tells the others of its rollouts, and hears from them, where several share a database.
//!
//! Each process journals what it answers, and seals it every few minutes; until then nobody else can read it. So once a
//! second it writes down what its rollouts need of it, one row for all of them, and the process that decides reads the
//! rows of the others. What is sealed meanwhile is forgotten.

mod follow;
mod hear;
#[cfg(test)]
mod tests;

pub use follow::EveryJournal;
pub use hear::EveryReplica;

use super::events::{answers, labels, settled};
use super::fleet::standing;
use crate::deployments::acting_for;
use mainspring_core::{Ctx, Gate, Name, Tenant, Timestamp};
use mainspring_journal::{Journal, MicroBatch};
use mainspring_rollout::news::{Bulletin, News, Numbered, Place, Said, Standing, Traffic};
use mainspring_rollout::{Event, Label, Plan, PortError, ReadRollouts, RolloutError, Rollouts, Wanted};
use mainspring_serving::{Describe, Serving};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{self, Receiver, error::TryRecvError};
use tokio::time::MissedTickBehavior;

/// How often something is told and heard.
const EVERY: Duration = Duration::from_secs(1);
/// Events that wait while the database does not answer; more are let go of, and said.
const MOST: usize = 500_000;
/// How often what nobody needs any more is forgotten, in rounds.
const FORGET: u64 = 60;
/// How long bulletins are kept when no rollout is active, and beyond the sealing of what they tell, microseconds.
const KEEP: i64 = 600_000_000;
/// How long the database may take to answer; the journal's batches, which wait meanwhile, are kept for five times as long.
const SILENCE: Duration = Duration::from_secs(5);
/// How long the last word may take.
const LAST: Duration = Duration::from_secs(2);
/// Bulletins that one who follows may fall behind.
const BEHIND: usize = 1024;

/// The wire between processes.
#[derive(Clone)]
pub struct Wire(Arc<Inner>);

struct Inner {
    news: News,
    /// This process, a name that no other has.
    process: String,
    journal: Journal,
    rollouts: Rollouts,
    serving: Serving,
    gate: Gate,
    ctx: Ctx,
    heard: Mutex<BTreeMap<String, hear::Heard>>,
    asking: Mutex<hear::Asking>,
    bulletins: broadcast::Sender<Arc<Numbered>>,
    /// What the journal gets, while a rollout has a deployment.
    live: Mutex<Option<Receiver<Arc<MicroBatch>>>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("process", &self.0.process).finish_non_exhaustive()
    }
}

/// What is to be told.
#[derive(Default)]
struct Saying {
    seq: i64,
    unsent: BTreeMap<Place, Vec<Event>>,
    /// What was said about answers, of each tenant: once for all its rollouts.
    said: BTreeMap<Tenant, Vec<Label>>,
    /// What the database did not confirm: it is told again as it was, for it may be there.
    pending: Option<Numbered>,
    /// Deployments that a rollout has now, whether or not it has begun to compare.
    taken: Vec<(Tenant, Name)>,
    wanted: Vec<Wanted>,
    /// The names of the labels that a tenant's rollouts want.
    labels: BTreeMap<Tenant, Vec<String>>,
    /// The epoch of the rollouts that these are of; -1 and less while they have not been read.
    epoch: i64,
    /// Until when it was said that all is told.
    until: Timestamp,
    /// When something was let go of that nobody is told now.
    lost: Option<Timestamp>,
    failing: bool,
}

impl Saying {
    /// Takes what the journal has got since the last time. Whether that is all of it.
    #[must_use]
    fn collect(&mut self, live: &mut Receiver<Arc<MicroBatch>>) -> bool {
        let mut all = true;
        loop {
            let batch = match live.try_recv() {
                Ok(batch) => batch,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                // Nobody would have been told of them.
                Err(TryRecvError::Lagged(_)) if self.wanted.is_empty() => continue,
                Err(TryRecvError::Lagged(missed)) => {
                    all = false;
                    tracing::warn!(
                        missed,
                        "batches of the journal went by; other servers hear of them once they are sealed"
                    );
                    continue;
                }
            };
            for wanted in &self.wanted {
                let place = Place::new(&wanted.tenant, &wanted.deployment);
                answers(&batch, wanted, self.unsent.entry(place).or_default());
            }
            for (tenant, names) in &self.labels {
                self.said.entry(tenant.clone()).or_default().extend(labels(&batch, tenant, names));
            }
        }
        self.unsent.retain(|_, events| !events.is_empty());
        self.said.retain(|_, labels| !labels.is_empty());
        let waiting =
            self.unsent.values().map(Vec::len).sum::<usize>() + self.said.values().map(Vec::len).sum::<usize>();
        if waiting > MOST {
            all = false;
            tracing::warn!(events = waiting, "too much waits to be told; other servers hear of it once it is sealed");
            self.unsent.clear();
            self.said.clear();
        }
        all
    }

    fn is_silent(&self) -> bool {
        self.taken.is_empty() && self.unsent.is_empty() && self.said.is_empty()
    }

    /// What waits, as the next bulletin. After a loss nothing new is said to be told before the lost is sealed; then readers
    /// are sent there.
    fn bulletin(&mut self, until: Timestamp, unsealed_since: Option<Timestamp>, standings: Vec<Standing>) -> Bulletin {
        let sealed = |lost: &mut Timestamp| unsealed_since.is_none_or(|since| since > *lost);
        let gap = self.lost.take_if(sealed).is_some();
        if self.lost.is_none() {
            self.until = self.until.max(until);
        }
        let traffic = std::mem::take(&mut self.unsent).into_iter().map(|(of, events)| Traffic { of, events });
        let said = std::mem::take(&mut self.said).into_iter();
        let labels = said.map(|(tenant, labels)| Said { tenant: tenant.as_str().to_owned(), labels });
        Bulletin { until: self.until, traffic: traffic.collect(), labels: labels.collect(), standings, gap }
    }

    /// Before when no active rollout needs a bulletin; nothing while it is not known which there are.
    fn needless(&self, now: Timestamp) -> Option<Timestamp> {
        let first = self.wanted.iter().map(|wanted| wanted.from).min().unwrap_or(now);
        (self.epoch >= 0).then(|| first.min(Timestamp(now.micros() - KEEP)))
    }
}

impl Wire {
    /// The wire of these parts.
    pub(crate) fn of(parts: &crate::start::Parts, ctx: &Ctx) -> Self {
        Self(Arc::new(Inner {
            news: News::new(parts.db.clone()),
            process: ctx.event_id().to_string(),
            journal: parts.journal.clone(),
            rollouts: parts.rollouts.clone(),
            serving: parts.serving.clone(),
            gate: parts.gate.clone(),
            ctx: ctx.clone(),
            heard: Mutex::default(),
            asking: Mutex::default(),
            bulletins: broadcast::Sender::new(BEHIND),
            live: Mutex::default(),
        }))
    }

    /// Tells and hears until shutdown, and says then what was answered last.
    pub async fn run(self) {
        let mut saying = Saying { epoch: i64::MIN, ..Saying::default() };
        let mut every = tokio::time::interval(EVERY);
        // After a silence each round is as useful as one.
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.0.ctx.tasks.cancelled();
        for round in 0_u64.. {
            tokio::select! {
                _ = every.tick() => {}
                () = stop.cancelled() => break,
            }
            self.want(&mut saying);
            let (now, until) = self.collect(&mut saying);
            let mut done = soon(self.0.news.beat(&self.0.process, now)).await;
            if done.is_ok() {
                done = soon(self.tell(&mut saying, (now, until))).await;
            }
            if done.is_ok() {
                done = soon(self.hear()).await;
            }
            if done.is_ok() && round % FORGET == 0 {
                done = soon(self.forget(&saying, now)).await;
            }
            match done {
                Ok(()) => saying.failing = false,
                Err(error) if !std::mem::replace(&mut saying.failing, true) => {
                    tracing::warn!(%error, "servers cannot tell each other of their rollouts; what is to be told waits");
                }
                Err(_) => {}
            }
        }
        let last = async {
            let _sealed_as_well = self.0.journal.flush().await;
            let moment = self.collect(&mut saying);
            self.tell(&mut saying, moment).await?;
            self.0.news.gone(&self.0.process).await
        };
        if !matches!(tokio::time::timeout(LAST, last).await, Ok(Ok(()))) {
            tracing::debug!("what was answered last is told by what is sealed");
        }
    }

    /// Takes what the journal has got. Answers with now and with until when that is all.
    fn collect(&self, saying: &mut Saying) -> (Timestamp, Timestamp) {
        // Before the journal is asked, so that what comes meanwhile is not said to be there.
        let now = self.0.ctx.now();
        let until = settled(&self.0.journal, now);
        let mut live = self.0.live.lock();
        if !live.as_mut().is_none_or(|live| saying.collect(live)) {
            saying.lost = Some(self.0.ctx.now());
        }
        (now, until)
    }

    /// Listens to the journal from now on: a rollout's row is about to be handed to its deployment. What was answered before
    /// is none of it.
    pub(super) fn listen(&self) {
        self.0.live.lock().get_or_insert_with(|| self.0.journal.subscribe());
    }

    /// Listens no more while no rollout has a deployment.
    fn rest(&self) {
        let mut live = self.0.live.lock();
        // Asked with the lock in hand: whoever is about to hand a row on has made it known before.
        if self.0.rollouts.rows().iter().all(|r| r.row.is_none()) {
            *live = None;
        }
    }

    /// What the rollouts need that have a deployment now.
    fn want(&self, saying: &mut Saying) {
        let epoch = *self.0.rollouts.changes().borrow();
        if epoch == saying.epoch {
            return;
        }
        saying.epoch = epoch;
        let rows = self.0.rollouts.rows();
        let taken = || rows.iter().filter(|r| r.row.is_some());
        saying.taken = taken().map(|r| (r.tenant.clone(), r.deployment.clone())).collect();
        saying.wanted = taken().filter_map(|r| self.wanted(r)).collect();
        saying.labels = BTreeMap::new();
        for wanted in saying.wanted.iter().filter(|wanted| !wanted.labels.is_empty()) {
            let names = saying.labels.entry(wanted.tenant.clone()).or_default();
            names.extend(wanted.labels.iter().filter(|label| !names.contains(label)).cloned().collect::<Vec<_>>());
        }
        if saying.taken.is_empty() {
            self.rest();
        } else {
            self.listen();
        }
    }

    fn wanted(&self, routing: &mainspring_rollout::Routing) -> Option<Wanted> {
        let read = ReadRollouts { rollout: Some(Name::new(&routing.rollout).ok()?) };
        let auth = self.0.gate.authorize(&acting_for(&routing.tenant), read).ok()?;
        let run = self.0.rollouts.status(&auth)?.run;
        let first = run.state.strata.first()?;
        let plan = Plan::of(&run.spec);
        Some(Wanted {
            tenant: routing.tenant.clone(),
            deployment: routing.deployment.clone(),
            from: first.start,
            generation: first.generation,
            labels: plan.labels(),
            outputs: plan.outputs(),
            inputs: plan.inputs(),
        })
    }

    /// Writes what there is, also when it is nothing: that all is told until now is news.
    async fn tell(&self, saying: &mut Saying, (now, until): (Timestamp, Timestamp)) -> Result<(), RolloutError> {
        if let Some(pending) = &saying.pending {
            self.0.news.tell(pending).await?;
            saying.pending = None;
        }
        if saying.is_silent() {
            return Ok(());
        }
        let standings = saying.taken.iter().filter_map(|(tenant, name)| self.standing(tenant, name)).collect();
        let bulletin = saying.bulletin(until, self.0.journal.unsealed_since(), standings);
        saying.seq += 1;
        let pending = Numbered { process: self.0.process.clone(), seq: saying.seq, at: now, bulletin };
        let pending = saying.pending.insert(pending);
        self.0.news.tell(pending).await?;
        saying.pending = None;
        Ok(())
    }

    fn standing(&self, tenant: &Tenant, deployment: &Name) -> Option<Standing> {
        let describe = Describe { deployment: Some(deployment.clone()) };
        let auth = self.0.gate.authorize(&acting_for(tenant), describe).ok()?;
        standing(&self.0.serving.describe(&auth)?, Place::new(tenant, deployment))
    }

    /// What the journal has where everybody reads it needs no bulletin, and what is older than every rollout no reader.
    async fn forget(&self, saying: &Saying, now: Timestamp) -> Result<(), RolloutError> {
        let sealed = self.0.journal.unsealed_since().unwrap_or(now);
        self.0.news.forget(&self.0.process, Timestamp(sealed.micros() - KEEP)).await?;
        match saying.needless(now) {
            Some(before) => self.0.news.forget_all(before).await,
            None => Ok(()),
        }
    }
}

/// What the database answers, unless it takes too long; what was to be told then is told again.
async fn soon(done: impl Future<Output = Result<(), RolloutError>>) -> Result<(), RolloutError> {
    let silent = |_| RolloutError::Port(PortError(format!("the database has said nothing for {SILENCE:?}")));
    tokio::time::timeout(SILENCE, done).await.map_err(silent)?
}

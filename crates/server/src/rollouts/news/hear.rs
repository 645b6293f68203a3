//! What other processes say, and how the variants are in all of them.

use super::Wire;
use crate::rollouts::fleet::Replica;
use mainspring_core::{Name, Tenant, Timestamp};
use mainspring_rollout::machine::{Checked, Pins, Readiness};
use mainspring_rollout::news::{Numbered, Place, Standing};
use mainspring_rollout::spec::{CandidateSpec, RolloutSpec};
use mainspring_rollout::{Fleet, FleetView, PortError, PortResult, RolloutError, Tripped};
use mainspring_traffic::{Row, Share};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a process that says nothing counts as one that answers, microseconds.
const LIVES: i64 = 15_000_000;

/// How far clocks may be off, microseconds.
pub(super) const OFF: i64 = 5_000_000;
/// How long a process lives on that does not say so, microseconds: it does so each second.
const BEATS: i64 = 5_000_000;

/// What this process wants to know.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// When it last did.
    pub last: Timestamp,
    /// Deployments whose rollout has not begun, and when they were asked about last.
    first: BTreeMap<Place, Timestamp>,
    /// The other processes that say that they live.
    beating: BTreeMap<String, Beat>,
}

/// What a process said last.
#[derive(Debug)]
struct Beat {
    /// By its own clock.
    said: Timestamp,
    /// When that was new, by this process's clock.
    heard: Timestamp,
}

/// Whether a process lives by what it said when it was met: a clock may be a little off.
fn fresh(said: Timestamp, now: Timestamp) -> bool {
    now.micros() - said.micros() < BEATS + OFF
}

#[cfg(test)]
impl Asking {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

/// What another process said last.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The last bulletin that those who follow were handed.
    seq: i64,
    /// When it was heard, by this process's clock.
    at: Timestamp,
    /// Until when all that it answered is told.
    until: Timestamp,
    standings: Vec<Standing>,
}

impl Wire {
    /// Reads what the others have told since the last time, and hands it to whoever follows a rollout here.
    pub(super) async fn hear(&self) -> Result<(), RolloutError> {
        let now = self.0.ctx.now().micros();
        if self.0.bulletins.receiver_count() == 0 && now - self.0.asking.lock().last.micros() > LIVES {
            // Nobody decides here.
            self.0.heard.lock().clear();
            self.0.asking.lock().first.clear();
            return Ok(());
        }
        for (process, head) in self.0.news.heads(&self.0.process).await? {
            let met = self.0.heard.lock().get(&process).map(|heard| heard.seq).filter(|seq| *seq > 0);
            // How one is that is met for the first time its last bulletin says; who follows reads by itself what came before.
            let mut known = met.unwrap_or(head - 1);
            while known < head {
                let told = self.0.news.after(&process, known).await?;
                let Some(last) = told.last else { break };
                known = last;
                for numbered in told.bulletins.into_iter().map(Arc::new) {
                    // Handed on before it is known to be told, so that whoever knows finds it.
                    let _nobody_follows = self.0.bulletins.send(Arc::clone(&numbered));
                    self.heard(&numbered);
                    self.0.heard.lock().entry(process.clone()).or_default().seq = numbered.seq;
                }
                self.0.heard.lock().entry(process.clone()).or_default().seq = last;
            }
        }
        Ok(())
    }

    /// Takes what a bulletin says of its process.
    pub(super) fn heard(&self, numbered: &Numbered) {
        let now = self.0.ctx.now();
        // What was told a while ago says nothing of now; a clock may be a little off.
        let at = if now.micros() - numbered.at.micros() > OFF { numbered.at } else { now };
        let mut all = self.0.heard.lock();
        let heard = all.entry(numbered.process.clone()).or_default();
        if numbered.bulletin.until >= heard.until {
            (heard.at, heard.until) = (at, numbered.bulletin.until);
            heard.standings.clone_from(&numbered.bulletin.standings);
        }
    }

    /// The other processes that live.
    pub(super) fn living(&self) -> Vec<String> {
        let now = self.0.ctx.now().micros();
        self.0.heard.lock().iter().filter(|(_, h)| now - h.at.micros() < LIVES).map(|(p, _)| p.clone()).collect()
    }

    /// Looks which other processes live, where that decides: of a rollout that has not begun.
    pub(super) async fn look_around(&self, of: &Place, row: &Row) -> Result<(), RolloutError> {
        if !self.asks(of, row) {
            return Ok(());
        }
        let beats = self.0.news.beats(&self.0.process).await?;
        let now = self.0.ctx.now();
        let mut asking = self.0.asking.lock();
        let known = std::mem::take(&mut asking.beating);
        for (process, said) in beats {
            let heard = match known.get(&process) {
                Some(beat) if beat.said == said => beat.heard,
                Some(_) => now,
                None if fresh(said, now) => now,
                // One that said so long ago, until it says so again.
                None => Timestamp(0),
            };
            asking.beating.insert(process, Beat { said, heard });
        }
        Ok(())
    }

    /// The other processes of which the candidate of a rollout that has not begun is asked, as of the last look.
    fn beating(&self) -> Vec<String> {
        let now = self.0.ctx.now().micros();
        let asking = self.0.asking.lock();
        let lives = |beat: &Beat| now - beat.heard.micros() < BEATS;
        asking.beating.iter().filter(|(_, beat)| lives(beat)).map(|(process, _)| process.clone()).collect()
    }

    /// Whether the others are asked how they are, for a candidate that nobody has asked yet.
    fn asks(&self, of: &Place, row: &Row) -> bool {
        let now = self.0.ctx.now();
        let mut asking = self.0.asking.lock();
        asking.last = now;
        asking.first.retain(|_, asked| now.micros() - asked.micros() < LIVES);
        if begun(row) {
            asking.first.remove(of);
            return false;
        }
        asking.first.insert(of.clone(), now);
        true
    }

    /// What keeps the candidate of a row from answering in another process, and the limit that it was beyond there.
    pub(super) fn elsewhere(&self, of: &Place, row: &Row) -> (Option<Readiness>, Option<Tripped>) {
        let asked = if begun(row) { Vec::new() } else { self.beating() };
        let now = self.0.ctx.now().micros();
        let heard = self.0.heard.lock();
        let (mut obstacle, mut tripped) = (None, None);
        let silent = |process: &&String| heard.get(*process).is_none_or(|h| now - h.at.micros() >= LIVES);
        if let Some(process) = asked.iter().find(silent) {
            obstacle = Some(Readiness::Loading(format!("server {process} is asked whether it is ready there")));
        }
        let counts = |process: &String| begun(row) || asked.contains(process);
        for (process, heard) in heard.iter().filter(|(p, h)| now - h.at.micros() < LIVES && counts(p)) {
            // Before the first request what is said must be about this row: another run's candidate may have been ready.
            let of_row = |s: &&Standing| begun(row) || s.generation >= row.generation();
            let standing = heard.standings.iter().filter(|s| s.of == *of && s.rollout == row.rollout).find(of_row);
            let Some(standing) = standing else {
                let why = format!("the routing row has not reached server {process} yet");
                obstacle.get_or_insert(Readiness::Loading(why));
                continue;
            };
            let told = |why: &String| format!("on server {process}: {why}");
            match &standing.candidate {
                Readiness::Ready | Readiness::Unknown => {}
                Readiness::Loading(why) => drop(obstacle.get_or_insert(Readiness::Loading(told(why)))),
                Readiness::Failed(why) => drop(obstacle.get_or_insert(Readiness::Failed(told(why)))),
            }
            if let Some(Tripped { variant, why }) = standing.tripped.as_ref().filter(|t| answers(row, &t.variant)) {
                tripped.get_or_insert_with(|| Tripped { variant: variant.clone(), why: told(why) });
            }
        }
        (obstacle, tripped)
    }
}

/// Whether a candidate gets requests, or a part of them in the shadow.
fn begun(row: &Row) -> bool {
    row.shadow.is_some() || row.route.split().weight(0) != Share::ALL
}

/// Whether a candidate has a part of the traffic, or as good a claim to it as the others: what one is told of that was taken
/// out hides what is wrong with another.
fn answers(row: &Row, variant: &str) -> bool {
    let weights = row.route.split().weights();
    let at = row.variants.iter().position(|v| v.name == variant);
    let none = weights.iter().skip(1).all(|weight| *weight == Share::NONE);
    at.is_some_and(|at| none || weights.get(at).is_some_and(|weight| *weight != Share::NONE))
}

/// The deployments of all processes.
#[derive(Debug, Clone)]
pub struct EveryReplica {
    /// Those of this one.
    pub own: Replica,
    /// What the others say.
    pub wire: Wire,
}

impl Fleet for EveryReplica {
    fn pins<'a>(
        &'a self,
        tenant: &'a Tenant,
        deployment: &'a Name,
        candidates: &'a [CandidateSpec],
    ) -> PortResult<'a, Pins> {
        self.own.pins(tenant, deployment, candidates)
    }

    fn view<'a>(&'a self, tenant: &'a Tenant, deployment: &'a Name, row: &'a Row) -> PortResult<'a, FleetView> {
        Box::pin(async move {
            let own = self.own.view(tenant, deployment, row).await?;
            let of = Place::new(tenant, deployment);
            self.wire.look_around(&of, row).await.map_err(|e| PortError(e.to_string()))?;
            let (obstacle, tripped) = self.wire.elsewhere(&of, row);
            let candidate = match (own.candidate, obstacle) {
                (Readiness::Ready, Some(obstacle)) => obstacle,
                (own, _) => own,
            };
            Ok(FleetView { candidate, tripped: own.tripped.or(tripped) })
        })
    }

    fn frozen<'a>(&'a self, tenant: &'a Tenant, models: &'a [String]) -> PortResult<'a, Vec<Option<String>>> {
        self.own.frozen(tenant, models)
    }

    fn settled<'a>(&'a self, tenant: &'a Tenant, deployment: &'a Name, row: &'a Row) -> PortResult<'a, bool> {
        self.own.settled(tenant, deployment, row)
    }

    fn checks<'a>(
        &'a self,
        tenant: &'a Tenant,
        deployment: &'a Name,
        row: &'a Row,
        spec: &'a RolloutSpec,
    ) -> PortResult<'a, Vec<Checked>> {
        self.own.checks(tenant, deployment, row, spec)
    }
}

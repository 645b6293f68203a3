//! The controller: every process counts; one of all leads, judges objectives, makes notices and sends them.

mod deliver;
mod notices;
#[cfg(test)]
mod tests;

use crate::alerts::Alerts;
use crate::error::AlertError;
use crate::machine::Phase;
use crate::ports::{Happenings, Traffic};
use crate::signal::{Signal, Source, Subject};
use crate::slo::{self, Count, Series, Standing, Sums, WINDOWS};
use crate::sql;
use mainspring_core::{Tenant, Timestamp};
use mainspring_store::sql::{Lead, Leader, Passes};
use mainspring_store::{FutureExt, StoreError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

const LEASE: &str = "alert.controller";
const TTL: Duration = Duration::from_secs(10);
/// Between two looks at the objectives.
const LOOK: i64 = 15 * SECOND;
/// Minutes are counted again for so long, since answers reach the journal late.
const SETTLES: i64 = 3 * MINUTE;
/// As far back as minutes are kept as minutes, less some room.
const BACK: i64 = 80 * MINUTE;
/// Minutes older than this are hours: longer than the longest window that needs them.
const MINUTES: i64 = 7 * 3600 * SECOND;
/// How often old things are put away, and how long they are kept.
const TIDY: i64 = 10 * MINUTE;
const KEEP: i64 = 30 * 86_400 * SECOND;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;

/// The rest of the server.
#[derive(Clone)]
pub struct Ports {
    /// What happened.
    pub happenings: Arc<dyn Happenings>,
    /// Objectives, and requests.
    pub traffic: Arc<dyn Traffic>,
}

/// The controller of one process.
pub struct Controller {
    alerts: Alerts,
    ports: Ports,
    leader: Leader,
    /// Under which name this process's counts are kept: that of its data, which outlives it.
    replica: String,
    /// What was written of the minutes that are still counted.
    written: HashMap<(Series, Timestamp), Count>,
    /// Rows that could not be read, and were said to be.
    unread: BTreeMap<&'static str, Vec<String>>,
    looked: Option<Timestamp>,
    tidied: Option<Timestamp>,
    /// What is being sent, to which channel.
    sending: Vec<((Tenant, String), JoinHandle<()>)>,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("leader", &self.leader).finish_non_exhaustive()
    }
}

fn due(last: Option<Timestamp>, now: Timestamp, every: i64) -> bool {
    last.is_none_or(|last| now.micros() - last.micros() >= every || now < last)
}

impl Controller {
    /// The controller of the process `owner`, a name that no other process has; `replica` names the journal whose
    /// requests it counts, and stays the same when the process starts again over the same journal.
    pub fn new(alerts: Alerts, ports: Ports, owner: String, replica: String) -> Self {
        let leader = Leader::new(alerts.db.clone(), LEASE, owner, TTL);
        Self {
            alerts,
            ports,
            leader,
            replica,
            written: HashMap::new(),
            unread: BTreeMap::new(),
            looked: None,
            tidied: None,
            sending: Vec::new(),
        }
    }

    /// Looks once at everything. Every process counts its requests; the leader also judges, tells and sends.
    ///
    /// # Errors
    /// [`AlertError::Store`] when the database does not answer.
    pub async fn pass(&mut self) -> Result<(), AlertError> {
        let now = self.alerts.ctx.now();
        let looks = due(self.looked, now, LOOK);
        let signals = if looks { self.count(now).await? } else { Vec::new() };
        if self.leader.lead().await? == Lead::No {
            self.looked = if looks { Some(now) } else { self.looked };
            return Ok(());
        }
        let done = self.leading(now, looks.then_some(signals)).await;
        if let Err(AlertError::Store(StoreError::LeaseLost { .. })) = &done {
            self.leader.lost();
        }
        done
    }

    async fn leading(&mut self, now: Timestamp, signals: Option<Vec<(Tenant, Signal)>>) -> Result<(), AlertError> {
        if let Some(signals) = signals {
            self.say(signals).await?;
            // Only now, so that a look that was not written is taken again.
            self.looked = Some(now);
        }
        self.take_happenings(now).await?;
        self.make_notices(now).await?;
        self.deliver(now).await?;
        if due(self.tidied, now, TIDY) {
            self.tidy(now).await?;
            self.tidied = Some(now);
        }
        Ok(())
    }

    /// Writes what this process counted, reads what all did, and judges.
    async fn count(&mut self, now: Timestamp) -> Result<Vec<(Tenant, Signal)>, AlertError> {
        let objectives = self.ports.traffic.objectives();
        let since = self.looked.map_or(now.micros() - BACK, |at| at.micros() - SETTLES).max(now.micros() - BACK);
        let since = Timestamp(since - since.rem_euclid(MINUTE));
        let rules = self.ports.traffic.rules();
        let mut counts: BTreeMap<(Series, Timestamp), Count> = BTreeMap::new();
        for objective in &objectives {
            let series = objective.series();
            for count in self.ports.traffic.minutes(objective, since).into_iter().filter(|c| c.total > 0) {
                counts.insert((series.clone(), count.at), count);
            }
        }
        for limit in &rules {
            let minutes = self.ports.traffic.judged(limit, since).into_iter().filter(|c| c.total > 0);
            counts.extend(minutes.map(|count| ((limit.series(), count.at), count)));
        }
        counts.retain(|key, count| self.written.get(key) != Some(count));
        if !counts.is_empty() {
            let (replica, rows) = (self.replica.clone(), counts.iter().map(|((s, _), c)| (s.clone(), *c)).collect());
            let rows: Vec<(Series, Count)> = rows;
            self.alerts.db.write(move |c| async move { sql::record(c, &replica, &rows).await }.boxed()).await?;
            self.written.extend(counts);
        }
        self.written.retain(|(_, at), _| *at >= since);
        let sums = if objectives.is_empty() && rules.is_empty() {
            Vec::new()
        } else {
            self.alerts.db.read(move |c| async move { sql::sums(c, now).await }.boxed()).await?
        };
        let (standings, signals) = judged(&objectives, &rules, sums);
        *self.alerts.standings.write() = standings;
        Ok(signals)
    }

    /// Says what was judged; an alert of an objective or a rule that is no longer declared is over.
    async fn say(&self, signals: Vec<(Tenant, Signal)>) -> Result<(), AlertError> {
        let known: BTreeSet<(Tenant, String)> =
            signals.iter().map(|(tenant, s)| (tenant.clone(), s.subject.fingerprint())).collect();
        for (tenant, signal) in signals {
            self.alerts.observe(&tenant, signal).await?;
        }
        let firing = self.alerts.db.read(|c| async move { sql::firing(c).await }.boxed()).await?;
        for (tenant, alert) in firing.rows {
            let ours = matches!(alert.subject.source, Source::Slo | Source::Quality) && alert.phase == Phase::Firing;
            if ours && !known.contains(&(tenant.clone(), alert.fingerprint.clone())) {
                let sentence = gone(&alert.subject);
                let subject = Subject { sentence, ..alert.subject };
                let over = Signal { subject, active: false, keep: Duration::ZERO };
                self.alerts.observe(&tenant, over).await?;
            }
        }
        Ok(())
    }

    /// Says once which rows cannot be read: they are left out, and everything else goes on.
    fn tell_unread(&mut self, of: &'static str, unread: Vec<String>) {
        let known = self.unread.entry(of).or_default();
        for which in unread.iter().filter(|which| !known.contains(which)) {
            tracing::error!("{which}: it is left out; delete the row, or bring the database back from a backup");
        }
        *known = unread;
    }

    async fn tidy(&self, now: Timestamp) -> Result<(), AlertError> {
        let longest = WINDOWS.last().map_or(0, |w| i64::try_from(w.as_micros()).unwrap_or(i64::MAX));
        let (minutes, oldest) = (now.plus_micros(-MINUTES), now.plus_micros(-longest - 86_400 * SECOND));
        let lease = self.leader.lease().cloned();
        let write = self.alerts.db.write(move |c| {
            async move {
                if let Some(lease) = &lease {
                    c.lease_check(lease).await?;
                }
                sql::roll(c, minutes, oldest).await?;
                sql::purge(c, now.plus_micros(-KEEP)).await
            }
            .boxed()
        });
        write.await
    }
}

/// Why an alert of an objective or a rule ends that nobody declares any more.
fn gone(subject: &Subject) -> String {
    let what = if subject.source == Source::Slo { "objective" } else { "rule" };
    match subject.labels.get(what) {
        Some(name) => format!("{} no longer declares the {what} {name}", subject.deployment()),
        None => "it is no longer declared".to_owned(),
    }
}

/// Where each objective is, and what is to be said.
fn judged(
    objectives: &[slo::Objective],
    rules: &[slo::RuleLimit],
    sums: Vec<Sums>,
) -> (Vec<Standing>, Vec<(Tenant, Signal)>) {
    let by: HashMap<(Tenant, String, String), Sums> =
        sums.into_iter().map(|s| ((s.tenant.clone(), s.deployment.clone(), s.counted.clone()), s)).collect();
    let (mut standings, mut signals) = (Vec::new(), Vec::new());
    for objective in objectives {
        let Series { tenant, deployment, counted } = objective.series();
        let key = (tenant, deployment.to_string(), counted);
        let nothing = || Sums {
            tenant: key.0.clone(),
            deployment: key.1.clone(),
            counted: key.2.clone(),
            windows: [(0, 0); WINDOWS.len()],
        };
        let (standing, said) = slo::judge(objective, by.get(&key).unwrap_or(&nothing()));
        signals.extend(said.into_iter().map(|signal| (objective.tenant.clone(), signal)));
        standings.push(standing);
    }
    for limit in rules {
        let Series { tenant, deployment, counted } = limit.series();
        let key = (tenant, deployment.to_string(), counted);
        signals.push((limit.tenant.clone(), limit.judge(by.get(&key))));
    }
    (standings, signals)
}

impl Passes for Controller {
    type Error = AlertError;
    const STANDS_STILL: &'static str = "no alerts are sent";

    fn pass(&mut self) -> impl Future<Output = Result<(), AlertError>> + Send {
        Self::pass(self)
    }

    fn leader(&mut self) -> &mut Leader {
        &mut self.leader
    }
}

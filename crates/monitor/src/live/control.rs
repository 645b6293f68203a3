//! The controller: one of all replicas leads, samples the rows, folds each minute, and writes what came of it.

use super::early::Early;
use super::error::WatchError;
use super::history::{self, Point};
use super::labels;
use super::monitors::{Declared, Key, Monitors};
use super::outlook::{Wants, Work, is_passing};
use super::part::Part;
use super::ports::{Alarm, Alarms, Asked, Estimates, RowStream, Traffic, Wanted};
use super::rows::{self, Minute, Sampler, most_of_each};
use super::spec::{MonitorSpec, Whose};
use super::sql::{self, Change, Ends, State};
use super::watch::{References, Transition, TransitionKind, Watch, is_hidden};
use super::why::{self, Answers, Given, Why};
use super::words;
use crate::segment::Segment;
use mainspring_core::{Ctx, Failure, Tenant, Timestamp, panic_words};
use mainspring_store::sql::{Lead, Leader, Lease, Passes};
use mainspring_store::{FutureExt, StoreError};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

const LEASE: &str = "monitor.controller";
const TTL: Duration = Duration::from_secs(10);
/// Passes between two looks at what the leader has written.
const LOOK: u32 = 5;
/// Parts of its rows that one monitor takes in one pass, so that one with a long past does not hold up the others.
const PARTS: usize = 20;
/// How long it goes on taking them, microseconds: a quarter of the lease, of which half is left whenever one begins.
const TAKES: i64 = 2_500_000;
/// Of how long a time labels are read in one pass, microseconds.
const LABELS: i64 = 6 * 3_600_000_000;
/// After how long a drift that goes on is explained again, microseconds.
const AGAIN: i64 = 3_600_000_000;
/// Looks in a row at which the rows of a drift may be read in vain before it counts as explained.
const TRIES: u32 = 3;
/// Rows of which those are drawn that a model is asked about again.
const RECENT: usize = 512;
/// Alarms that one pass passes on.
const RELAYED: u32 = 100;
/// How long alarms wait within a pass at most, microseconds, but for what one monitor takes.
const RELAY: i64 = 2_000_000;
/// Passes that a monitor sits out after an error.
const SITS_OUT: u32 = 10;
/// Microseconds after which somebody is told that a monitor does not go on.
const STILL: i64 = 300_000_000;
/// How much of a time without rows, or with large states, may have to be read again after a restart, microseconds.
const UNWRITTEN: i64 = 600_000_000;
/// Learnt numbers from which on a state is large: some 2 MB.
const LARGE: usize = 200_000;

/// The rest of the server.
#[derive(Clone)]
pub struct Ports {
    /// The journal.
    pub traffic: Arc<dyn Traffic>,
    /// Whom alarms concern.
    pub alarms: Arc<dyn Alarms>,
    /// The models.
    pub answers: Arc<dyn Answers>,
    /// How good answers probably are.
    pub estimates: Arc<dyn Estimates>,
}

/// A monitor in the hands of the leader.
struct Running {
    spec: Arc<MonitorSpec>,
    watch: Arc<Watch>,
    version: i64,
    /// What is read; `None` before the first look and after an error.
    reading: Option<Reading>,
    /// Of the version that is watched, once they were looked up.
    references: Option<References>,
    /// What is written of the position.
    written: Timestamp,
    /// Looks that are not written yet.
    points: Vec<Point>,
    /// Rows that came too late, of what is read now.
    late: u64,
    /// Columns that the deployment redacts, or that of the rows that they are compared with.
    hidden: Vec<String>,
    /// The window that is being estimated.
    estimating: Option<Work>,
    /// Looks in a row at which the rows of a drift could not be read.
    unread: u32,
    /// Passes that it still sits out.
    sits_out: u32,
}

/// What is written with a state.
struct News<'a> {
    told: Vec<Transition>,
    /// What the looks since the last write saw.
    points: Vec<Point>,
    /// What stood in its place and is not gone on with.
    before: Option<State>,
    lease: &'a Lease,
}

struct Reading {
    mine: Lane,
    /// What they are compared with, where that is live.
    beside: Option<Lane>,
}

/// Rows as they come, and the minutes that are complete.
struct Lane {
    stream: Box<dyn RowStream>,
    sampler: Sampler,
    until: Timestamp,
    hidden: Vec<String>,
}

impl Lane {
    async fn open(traffic: &dyn Traffic, wanted: Wanted) -> Result<Self, WatchError> {
        let (from, step) = (wanted.from, wanted.spec.step());
        Ok(Self {
            stream: traffic.follow(wanted).await?,
            sampler: Sampler::from(from).every(step),
            until: from,
            hidden: Vec::new(),
        })
    }

    /// Takes the next part; says whether there is more.
    async fn take(&mut self, spec: &MonitorSpec, whose: Whose<'_>) -> Result<bool, WatchError> {
        let rows = self.stream.next().await?;
        for batch in &rows.batches {
            self.sampler.take_of(batch, spec, whose).map_err(|e| super::PortError {
                kind: mainspring_core::ErrorKind::Internal,
                message: format!("rows of the journal cannot be read: {e}"),
            })?;
        }
        self.until = self.until.max(rows.complete_until);
        self.hidden = rows.hidden;
        Ok(rows.more)
    }
}

/// Minutes that are complete, and up to when they are.
struct Complete {
    minutes: Vec<Minute>,
    /// What these are compared with, by their beginnings, where that is live.
    beside: Option<BTreeMap<Timestamp, Minute>>,
    until: Timestamp,
}

/// The controller of one process.
pub struct Controller {
    monitors: Monitors,
    ports: Ports,
    leader: Leader,
    running: BTreeMap<Key, Running>,
    passes: u32,
    /// States of monitors that nobody declares any more were looked for.
    tidied: bool,
    early: Early,
    /// Monitors that do not go on.
    still: BTreeMap<Key, Still>,
}

/// A monitor that does not go on.
#[derive(Debug, Clone, Copy)]
struct Still {
    since: Timestamp,
    /// Whether somebody was told.
    told: bool,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("leader", &self.leader).finish_non_exhaustive()
    }
}

impl Controller {
    /// The controller of the process `owner`, a name that no other process has.
    pub fn new(monitors: Monitors, ports: Ports, owner: String) -> Self {
        let leader = Leader::new(monitors.db.clone(), LEASE, owner, TTL);
        Self {
            monitors,
            ports,
            leader,
            running: BTreeMap::new(),
            passes: 0,
            tidied: false,
            early: Early::default(),
            still: BTreeMap::new(),
        }
    }

    /// Looks once at everything. The leader folds and tells; the others read what it has written.
    ///
    /// # Errors
    /// [`WatchError::Store`] when the database does not answer. What one monitor lacks holds up that one alone.
    pub async fn pass(&mut self) -> Result<(), WatchError> {
        if self.lead().await?.is_none() {
            self.passes = self.passes.wrapping_add(1);
            return if self.passes.is_multiple_of(LOOK) { self.monitors.refresh().await } else { Ok(()) };
        }
        self.take_up().await?;
        let keys: Vec<Key> = self.running.keys().cloned().collect();
        let mut relayed = self.monitors.ctx.now();
        for key in keys {
            // A pass over many monitors may last longer than the lease. Who was succeeded meanwhile begins anew.
            let lease = self.lead().await?;
            let (Some(lease), Some(running)) = (lease, self.running.get_mut(&key)) else { continue };
            if running.sits_out > 0 {
                running.sits_out -= 1;
                continue;
            }
            // One monitor's bug must not hold up those of others.
            let done = AssertUnwindSafe(self.one(&key)).catch_unwind().await;
            let done = done.unwrap_or_else(|panic| Err(WatchError::Bug(panic_words(&*panic).to_owned())));
            self.after(&key, done, &lease).await?;
            // Where very many drift at once, and each is explained, the first to drift does not wait for the last.
            if self.monitors.ctx.now().micros() - relayed.micros() >= RELAY {
                self.relay().await?;
                relayed = self.monitors.ctx.now();
            }
        }
        self.relay().await?;
        let Some(lease) = self.lead().await? else { return Ok(()) };
        let early = self.early.pass(&self.monitors, &lease).await;
        early.map_err(|error| if let WatchError::Store(error) = error { self.lost(error) } else { error })
    }

    /// What follows from how it went with one monitor.
    async fn after(&mut self, key: &Key, done: Result<(), WatchError>, lease: &Lease) -> Result<(), WatchError> {
        let error = match done {
            Err(WatchError::Store(error)) => return Err(self.lost(error)),
            other => other.err(),
        };
        self.stopped(key, error.as_ref(), lease).await?;
        match error {
            None => {}
            // Somebody else wrote it, or leads: what is known of it is out of date.
            Some(WatchError::Raced(_) | WatchError::Stored { .. }) => drop(self.running.remove(key)),
            Some(error) => {
                // What was read since the last minute that was written is read again.
                if let Some(running) = self.running.get_mut(key) {
                    running.reading = None;
                    running.sits_out = SITS_OUT;
                }
                if let WatchError::Bug(_) = error {
                    tracing::error!(monitor = %key.1, %error, "the monitor stands still");
                } else {
                    tracing::debug!(monitor = %key.1, %error, "the monitor stands still");
                }
            }
        }
        Ok(())
    }

    /// A store that does not answer, or a lease that is gone: nothing of what is in memory can be trusted.
    fn lost(&mut self, error: StoreError) -> WatchError {
        self.leader.lost();
        self.begin_anew();
        error.into()
    }

    fn begin_anew(&mut self) {
        self.running.clear();
        self.still.clear();
        self.early = Early::default();
    }

    async fn lead(&mut self) -> Result<Option<Lease>, WatchError> {
        match self.leader.lead().await {
            Ok(Lead::Kept) => {}
            Ok(Lead::Taken | Lead::No) => self.begin_anew(),
            Err(error) => return Err(self.lost(error)),
        }
        Ok(self.leader.lease().cloned())
    }

    /// Brings what runs in line with what is declared.
    async fn take_up(&mut self) -> Result<(), WatchError> {
        let (specs, withdrawn) = {
            let known = self.monitors.known.read();
            (known.specs.clone(), known.withdrawn.clone())
        };
        let mut gone = withdrawn;
        if !self.tidied {
            // One that was taken away while no leader was there to let go of it; what is declared is known by now.
            let written = self.monitors.db.read(|c| async move { sql::writes(c).await }.boxed()).await?;
            let written = written.into_iter().map(|(tenant, name, ..)| (tenant, name));
            gone.extend(written.filter(|key| !specs.contains_key(key)));
        }
        for key in gone {
            let Some(lease) = self.lead().await? else { return Ok(()) };
            self.forget(&key, lease).await?;
        }
        self.tidied = true;
        self.running.retain(|key, _| specs.contains_key(key));
        self.still.retain(|key, _| specs.contains_key(key));
        for (key, declared) in specs {
            let spec = &declared.spec;
            match self.running.get_mut(&key) {
                Some(running) if running.spec == *spec => {}
                Some(running) if spec.tests_as(&running.spec) => running.spec = Arc::clone(spec),
                _ => {
                    let Some(lease) = self.lead().await? else { return Ok(()) };
                    match self.begin(&key, declared, &lease).await {
                        Ok(running) => drop(self.running.insert(key, running)),
                        Err(WatchError::Store(error)) => return Err(self.lost(error)),
                        Err(error) => self.stopped(&key, Some(&error), &lease).await?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets go of a monitor that is no longer declared.
    async fn forget(&mut self, key: &Key, lease: Lease) -> Result<(), WatchError> {
        let (ctx, (tenant, name)) = (&self.monitors.ctx, key.clone());
        let ends = Ends { lease, at: ctx.now(), alarms: std::array::from_fn(|_| ctx.event_id()) };
        let db = self.monitors.db.clone();
        let done = db.write(move |c| async move { sql::forget(c, (&tenant, &name), &ends).await }.boxed()).await;
        match done {
            Ok(()) => self.monitors.known.write().withdrawn.retain(|other| other != key),
            Err(WatchError::Store(error)) => return Err(self.lost(error)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Goes on where the last leader was, or begins with the rows since the declaration, and writes down where.
    async fn begin(&mut self, key: &Key, declared: Declared, lease: &Lease) -> Result<Running, WatchError> {
        let Declared { spec, since } = declared;
        let (tenant, name) = key.clone();
        let db = self.monitors.db.clone();
        let found = db.read(move |c| async move { sql::one(c, &tenant, &name).await }.boxed()).await?;
        let version = found.as_ref().map_or(0, |state| state.version);
        if let (Some(view), Some(state)) = (self.monitors.known.write().views.get_mut(key), &found) {
            view.problem.clone_from(&state.problem);
        }
        let (known, before) = match found {
            Some(state) if spec.tests_as(&state.spec) => (Some(state.watch), None),
            other => (None, other),
        };
        let fresh = known.is_none();
        let watch = Arc::new(known.unwrap_or_else(|| Watch::new(since, &spec)));
        let written = watch.position;
        let mut running = Running {
            spec,
            watch,
            version,
            reading: None,
            references: None,
            written,
            points: Vec::new(),
            late: 0,
            hidden: Vec::new(),
            estimating: None,
            unread: 0,
            sits_out: 0,
        };
        if fresh {
            let news = News { told: Vec::new(), points: Vec::new(), before, lease };
            running.write(key, &self.monitors, news).await?;
        }
        self.show(key, &running.watch, 0);
        Ok(running)
    }

    /// Says why a monitor does not go on, or that it does, here and to the servers that do not lead.
    async fn stopped(&mut self, key: &Key, error: Option<&WatchError>, lease: &Lease) -> Result<(), WatchError> {
        let problem = error.map(told);
        let now = self.monitors.ctx.now();
        let long = problem.as_ref().is_some_and(|_| {
            let still = self.still.entry(key.clone()).or_insert(Still { since: now, told: false });
            !still.told && now.micros() - still.since.micros() >= STILL
        });
        let (spec, tell) = {
            let mut known = self.monitors.known.write();
            let Some(view) = known.views.get_mut(key) else { return Ok(()) };
            let news = view.problem != problem;
            if !news && !long {
                return Ok(());
            }
            view.problem.clone_from(&problem);
            // Whoever led before may have told it, so an end is told always: where nothing fires it ends nothing.
            let told = self.still.get(key).is_none_or(|still| still.told);
            (Arc::clone(&view.spec), long || news && told)
        };
        let ((tenant, name), lease) = (key.clone(), lease.clone());
        let told = tell.then(|| (now, self.monitors.ctx.event_id()));
        let still = sql::Standstill { tenant, name, spec, problem, told, lease };
        let goes_on = still.problem.is_none();
        let db = self.monitors.db.clone();
        let said = db.write(move |c| async move { sql::say(c, &still).await }.boxed()).await;
        match said {
            Err(WatchError::Store(error)) => return Err(self.lost(error)),
            said => said?,
        }
        if goes_on {
            self.still.remove(key);
        } else if let Some(still) = self.still.get_mut(key) {
            still.told |= tell;
        }
        Ok(())
    }

    fn show(&self, key: &Key, watch: &Arc<Watch>, late: u64) {
        if let Some(view) = self.monitors.known.write().views.get_mut(key) {
            view.watch = Some(Arc::clone(watch));
            view.late = late;
        }
    }

    async fn one(&mut self, key: &Key) -> Result<(), WatchError> {
        let Some(running) = self.running.get_mut(key) else { return Ok(()) };
        let ctx = &self.monitors.ctx;
        let Complete { minutes, beside, until } = running.feed(key, &*self.ports.traffic, ctx).await?;
        let late = running.late;
        let estimated = running.estimating.as_mut().is_some_and(Work::is_done);
        let new = !minutes.is_empty() || until.micros() >= running.watch.position.micros() + running.watch.step();
        if !new && !estimated {
            // Nothing is new until a minute is over: what is known may be large, and is not copied each second.
            let watch = Arc::clone(&running.watch);
            self.show(key, &watch, late);
            return Ok(());
        }
        let mut watch = (*running.watch).clone();
        let mut points = Vec::new();
        let mut told = watch.part_detectors(&running.spec);
        told.extend(watch.hide(&running.hidden, &running.spec));
        told.extend(running.compare_anew(&key.0, &mut watch, &self.monitors).await?);
        for mut minute in most_of_each(minutes, (&watch.model, &watch.version)) {
            // Folding a long past may last longer than the lease, too.
            if self.leader.lead().await? != Lead::Kept {
                return Err(WatchError::Raced(key.1.to_string()));
            }
            // Of rows that came before it was redacted, and where it is so on the other side alone.
            minute.columns.retain(|name, _| !is_hidden(name, &running.hidden));
            if let Some(beside) = &beside {
                told.extend(watch.fold_beside((&minute, beside.get(&minute.at)), &running.spec));
                points.push(Point::of(&watch, minute.at.plus_micros(running.spec.step())));
                continue;
            }
            if watch.is_new(&minute) || running.references.is_none() {
                let of = (minute.model.as_str(), minute.version.as_str());
                let before = watch.compared.as_ref().filter(|_| !watch.is_new(&minute));
                running.references = Some(self.monitors.references(&key.0, &running.spec, of, before).await?);
            }
            let references = running.references.clone().unwrap_or_default();
            told.extend(watch.fold(&minute, &running.spec, &references));
            points.push(Point::of(&watch, minute.at.plus_micros(running.spec.step())));
        }
        watch.settle(until);
        told.extend(running.labels(key, &mut watch, (&*self.ports.traffic, &self.monitors)).await?);
        told.extend(running.estimate(&key.0, &mut watch, (&self.monitors, &self.ports.estimates)));
        // Reading labels may have taken a while, and so may asking the model: what is then known is written under a lease that
        // holds, or it would be found again and again and never told.
        if self.leader.lead().await? != Lead::Kept {
            return Err(WatchError::Raced(key.1.to_string()));
        }
        explain((&running.spec, &mut running.unread), key, (&mut watch, &mut told), &self.ports).await;
        if self.leader.lead().await? != Lead::Kept {
            return Err(WatchError::Raced(key.1.to_string()));
        }
        let counted = |w: &Watch| (w.rows, w.truth.rows);
        let estimated = watch.outlook != running.watch.outlook;
        let folded = counted(&watch) != counted(&running.watch) || estimated || !told.is_empty();
        if watch.truth.rows != running.watch.truth.rows && !points.is_empty() {
            points.pop();
            points.push(Point::of(&watch, watch.position));
        }
        running.points =
            history::kept(std::mem::take(&mut running.points).into_iter().chain(points).collect(), ctx.now());
        let idle = watch.position.micros() - running.written.micros();
        running.watch = Arc::new(watch);
        let large = told.is_empty() && running.watch.kept() > LARGE;
        if (folded && !large) || idle >= UNWRITTEN {
            for transition in &told {
                tracing::info!(monitor = %key.1, sentence = transition.sentence, "drift");
            }
            let Some(lease) = self.leader.lease() else { return Err(WatchError::Raced(key.1.to_string())) };
            let points = std::mem::take(&mut running.points);
            running.write(key, &self.monitors, News { told, points, before: None, lease }).await?;
        }
        let watch = Arc::clone(&running.watch);
        self.show(key, &watch, late);
        Ok(())
    }

    /// Passes alarms on, at least once and in order. The journal fetches the transitions itself.
    async fn relay(&mut self) -> Result<(), WatchError> {
        let db = self.monitors.db.clone();
        let mut done = Vec::new();
        for event in db.outbox_take(super::ALARMS, RELAYED).await? {
            match serde_json::from_value::<Alarm>(event.body.clone()) {
                Ok(alarm) => {
                    if let Err(error) = self.ports.alarms.tell(&alarm).await {
                        tracing::warn!(monitor = alarm.monitor, %error, "an alarm waits; it is tried again");
                        break;
                    }
                }
                Err(error) => tracing::error!(%error, id = %event.id, "an alarm cannot be read; it is left out"),
            }
            done.push(event.id);
        }
        if !done.is_empty() {
            db.outbox_done(&done).await?;
        }
        Ok(())
    }
}

fn told(error: &WatchError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// Asks the model what a drift does to its answers: when something has drifted, and once an hour while it goes on.
async fn explain(
    (spec, unread): (&MonitorSpec, &mut u32),
    (tenant, name): &Key,
    (watch, told): (&mut Watch, &mut [Transition]),
    ports: &Ports,
) {
    let new = told.iter().any(|t| t.kind == TransitionKind::Drifted);
    let old = watch.why.as_ref().is_none_or(|why| watch.position.micros() - why.at.micros() >= AGAIN);
    let drifts = watch.surely_drifted().next().is_some();
    if !(new || drifts && (old || *unread > 0)) {
        return;
    }
    let inputs = MonitorSpec { columns: vec!["in.*".to_owned()], segments: Vec::new(), ..spec.clone() };
    let window = i64::try_from(inputs.window.0.as_micros()).unwrap_or(i64::MAX);
    let (tenant, spec) = (tenant.clone(), Arc::new(inputs));
    let of = Asked { tenant: tenant.clone(), deployment: spec.deployment.clone(), version: watch.version.clone() };
    let begun = tokio::time::Instant::now();
    let (read_by, ends) = (begun + why::PATIENCE / 2, begun + why::PATIENCE);
    let wanted = Wanted { tenant, spec, from: watch.position.plus_micros(-window) };
    // Other monitors wait, and the lease does not: half of the time is for the model.
    let rows = tokio::time::timeout_at(read_by, ports.traffic.recent(wanted, of.clone(), RECENT)).await;
    let rows = rows.map_err(|_| format!("reading them takes over {:?}", why::PATIENCE / 2));
    let rows = rows.and_then(|rows| rows.map_err(|e| e.to_string()));
    let given = rows.and_then(|rows| {
        let inputs = rows::inputs(&rows.batches).map_err(|e| e.to_string())?;
        Ok(Given { hidden: rows.hidden, ..inputs })
    });
    let why = match given {
        Ok(given) => {
            *unread = 0;
            let left = ends.saturating_duration_since(tokio::time::Instant::now());
            why::explain(&*ports.answers, &of, (watch, &given.drawn()), left).await
        }
        // Of what a monitor cannot explain it still tells.
        Err(error) => {
            tracing::warn!(monitor = %name, error, "the rows behind a drift cannot be read");
            *unread += 1;
            Why::none(watch.position, format!("the rows behind it could not be read: {error}"))
        }
    };
    for transition in told.iter_mut().filter(|t| t.kind == TransitionKind::Drifted) {
        words::explained(transition, &why);
    }
    // What could not be read now may be at the next look, and not at every one.
    if !(1..TRIES).contains(&*unread) {
        watch.why = Some(why);
        *unread = 0;
    }
}

impl Running {
    /// Writes the state with what it has to tell. After an error it is not to be trusted any more.
    async fn write(&mut self, key: &Key, monitors: &Monitors, news: News<'_>) -> Result<(), WatchError> {
        let ctx = &monitors.ctx;
        let News { told, points, before, lease } = news;
        let (tenant, name) = key.clone();
        let (spec, watch) = (Arc::clone(&self.spec), (*self.watch).clone());
        let (version, late) = (self.version, self.late);
        let state = State { tenant, name, spec, watch, version, late, problem: None };
        let told = told.into_iter().map(|t| (t, [ctx.event_id(), ctx.event_id()])).collect();
        let ends = Ends { lease: lease.clone(), at: ctx.now(), alarms: std::array::from_fn(|_| ctx.event_id()) };
        let change = Box::new(Change { state, told, points, before, ends });
        Box::pin(monitors.db.write(move |c| async move { sql::commit(c, &change).await }.boxed())).await?;
        self.version += 1;
        self.written = self.watch.position;
        Ok(())
    }

    /// Begins anew where another profile was saved with the version that the columns are compared with.
    async fn compare_anew(
        &mut self,
        tenant: &Tenant,
        watch: &mut Watch,
        monitors: &Monitors,
    ) -> Result<Option<Transition>, WatchError> {
        let Some(with) = &watch.compared else { return Ok(None) };
        let Some(references) = monitors.saved_since(tenant, with).await? else { return Ok(None) };
        let told = watch.compare_with(&references, &self.spec);
        self.references = Some(references);
        Ok(told)
    }

    /// Folds the labels whose wait is over.
    async fn labels(
        &mut self,
        (tenant, name): &Key,
        watch: &mut Watch,
        (traffic, monitors): (&dyn Traffic, &Monitors),
    ) -> Result<Vec<Transition>, WatchError> {
        let (Some(label), Some(due)) = (&self.spec.label, watch.labels_due(&self.spec)) else { return Ok(Vec::new()) };
        let from = watch.truth.until;
        let until = due.min(from.plus_micros(LABELS));
        let wanted = Wanted { tenant: tenant.clone(), spec: Arc::clone(&self.spec), from };
        let rows = traffic.labels(wanted, until).await?;
        let (mut sampler, all) = (Sampler::from(from).every(self.spec.step()), Segment::default());
        for batch in &rows.batches {
            // They are of the monitor's segment already, whose columns they need not have.
            let whose = Whose { part: Part::Of(&all), ..self.spec.whose() };
            let watched = labels::watched(batch, (label, &self.spec.segments))
                .and_then(|batch| sampler.take_of(&batch, &self.spec, whose));
            watched.map_err(|e| super::PortError {
                kind: mainspring_core::ErrorKind::Internal,
                message: format!("labels of the journal cannot be read for monitor {name}: {e}"),
            })?;
        }
        let references = match &self.references {
            Some(references) => references.clone(),
            None => {
                let of = (watch.model.as_str(), watch.version.as_str());
                monitors.references(tenant, &self.spec, of, watch.compared.as_ref()).await?
            }
        };
        let mut told = Vec::new();
        for minute in sampler.close(rows.complete_until) {
            told.extend(watch.fold_labels(&minute, &self.spec, &references));
        }
        watch.settle_labels(rows.complete_until);
        Ok(told)
    }

    /// Takes what was found out of a window, and has the next one looked at. Does not wait.
    fn estimate(
        &mut self,
        tenant: &Tenant,
        watch: &mut Watch,
        (monitors, estimates): (&Monitors, &Arc<dyn Estimates>),
    ) -> Vec<Transition> {
        let spec = Arc::clone(&self.spec);
        let mut told: Vec<Transition> = watch.plan_estimate(&spec).into_iter().collect();
        if let Some(mut work) = self.estimating.take() {
            let of = (&watch.model, &watch.version) == (&work.of.0, &work.of.1);
            // What it is of may be over: it is given up.
            if of && spec.estimate.as_ref() == Some(&work.spec) {
                match work.take() {
                    None => self.estimating = Some(work),
                    Some(Err(error)) if is_passing(&error) => {
                        tracing::debug!(%error, "a window is estimated later");
                    }
                    Some(found) => {
                        told.extend(watch.fold_estimate(work.due, found.map_err(|e| self::told(&e)), &spec));
                    }
                }
            }
        }
        if let (None, Some(asked), Some(due)) = (&self.estimating, &spec.estimate, watch.estimate_due(&spec)) {
            let wants = Wants {
                tenant: tenant.clone(),
                spec: Arc::clone(&spec),
                model: watch.model.clone(),
                version: watch.version.clone(),
                models: Arc::clone(&monitors.models),
                estimates: Arc::clone(estimates),
            };
            self.estimating = Some(Work::begin(&monitors.ctx.tasks, wants, asked, due));
        }
        told
    }

    /// Takes what has come and gives the minutes that are complete, with the moment up to which they are.
    async fn feed(&mut self, key: &Key, traffic: &dyn Traffic, ctx: &Ctx) -> Result<Complete, WatchError> {
        let begun = ctx.now();
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => {
                let (tenant, spec, from) = (key.0.clone(), Arc::clone(&self.spec), self.watch.position);
                let other = spec
                    .beside()
                    .map(|(deployment, _)| MonitorSpec { deployment: deployment.clone(), ..(*spec).clone() });
                let mine = Lane::open(traffic, Wanted { tenant: tenant.clone(), spec, from }).await?;
                let beside = match other {
                    Some(spec) => Some(Lane::open(traffic, Wanted { tenant, spec: Arc::new(spec), from }).await?),
                    None => None,
                };
                Reading { mine, beside }
            }
        };
        let spec = Arc::clone(&self.spec);
        let (mut minutes, mut beside, mut until) = (Vec::new(), Vec::new(), self.watch.position);
        for _ in 0..PARTS {
            let mut more = reading.mine.take(&spec, spec.whose()).await?;
            let mut complete = reading.mine.until;
            if let (Some(lane), Some((_, whose))) = (&mut reading.beside, spec.beside()) {
                more |= lane.take(&spec, whose).await?;
                complete = complete.min(lane.until);
                beside.extend(lane.sampler.close(complete));
            }
            until = until.max(complete);
            minutes.extend(reading.mine.sampler.close(until));
            if !more || ctx.now().micros() - begun.micros() >= TAKES {
                break;
            }
        }
        self.late = reading.mine.sampler.late();
        let other = reading.beside.iter().flat_map(|lane| &lane.hidden);
        self.hidden = reading.mine.hidden.iter().chain(other).cloned().collect();
        let before = self.watch.beside.clone().unwrap_or_default();
        let beside = reading.beside.is_some().then(|| {
            let kept = most_of_each(beside, (&before.0, &before.1));
            kept.into_iter().map(|minute| (minute.at, minute)).collect()
        });
        self.reading = Some(reading);
        Ok(Complete { minutes, beside, until })
    }
}

impl Passes for Controller {
    type Error = WatchError;
    const STANDS_STILL: &'static str = "monitors stand still";

    fn pass(&mut self) -> impl Future<Output = Result<(), WatchError>> + Send {
        Self::pass(self)
    }

    fn leader(&mut self) -> &mut Leader {
        &mut self.leader
    }
}

#[cfg(test)]
mod tests;

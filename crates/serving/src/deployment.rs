//! A deployment in memory: what is declared, what answers, and what is counted.

use crate::error::with_hint;
use crate::rules::{RuleCounts, RuleView};
use crate::run::Loaded;
use crate::spec::DeploymentSpec;
use crate::stats::{Batches, DeploymentStats, Recorder, VersionStats};
use crate::traffic::Traffic;
use crate::view::{DeploymentView, State, VersionView};
use arc_swap::{ArcSwap, ArcSwapOption};
use mainspring_core::{Name, Target, Tenant, Timestamp};
use mainspring_traffic::Row;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// What the one version of a deployment is called that no rollout decides about.
pub(crate) const STABLE: &str = "stable";

/// Versions whose counters are kept after they are unloaded.
const KEPT_VERSIONS: usize = 16;

/// Where requests go, replaced as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// What answers; stable, when a row decides.
    pub current: Option<Arc<Loaded>>,
    /// The row that decides, with its candidates. Not behind a pointer: every request would follow it.
    pub traffic: Option<Traffic>,
    /// Versions that finish what they have.
    pub draining: Vec<Arc<Loaded>>,
    pub state: State,
    pub reason: Option<String>,
    /// Which version was chosen and why, when the spec leaves it open.
    pub choice: Option<String>,
    pub since: Timestamp,
}

impl Route {
    /// What may answer: the current version, then those of candidates.
    pub fn answering(&self) -> impl Iterator<Item = &Arc<Loaded>> {
        let candidates = self.traffic.iter().flat_map(|t| &t.candidates).filter_map(|c| c.loaded.as_ref());
        self.current.iter().chain(candidates)
    }

    /// Changes the traffic, when there is some.
    pub fn change_traffic(&mut self, change: impl FnOnce(&mut Traffic)) {
        if let Some(traffic) = &mut self.traffic {
            change(traffic);
            traffic.settle();
        }
    }
}

/// A deployment.
pub(crate) struct Deployment {
    pub tenant: Tenant,
    pub name: Name,
    pub spec: ArcSwap<DeploymentSpec>,
    /// The routing row that is declared; the controller makes it so.
    pub row: ArcSwapOption<Row>,
    /// Replaced by [`Deployment::reroute`] only.
    pub route: ArcSwap<Route>,
    /// Held while `route` is replaced: by the controller, a drain, or a load that says how it goes.
    rerouting: Mutex<()>,
    /// What stands in the journal for requests that no version could take.
    pub nobody: Arc<Target>,
    pub in_flight: AtomicUsize,
    pub unserved: Arc<Recorder>,
    pub failed_loads: AtomicU64,
    /// What rules counted.
    pub rule_counts: RuleCounts,
    recorders: Mutex<Vec<(Arc<Target>, Arc<Recorder>)>>,
    /// Counts declarations; the controller publishes in `settled` the last one it dealt with.
    pub declared: AtomicU64,
    pub settled: watch::Sender<u64>,
    pub wake: Notify,
    /// What is being loaded may be wanted no more.
    pub unwanted: Notify,
    /// While the controller makes what it read so: state and reason may change at any moment.
    pub busy: AtomicBool,
    pub gone: CancellationToken,
}

impl Deployment {
    pub fn new(tenant: Tenant, name: Name, spec: DeploymentSpec, now: Timestamp) -> Self {
        let nobody = Arc::new(Target {
            deployment: name.shared(),
            variant: STABLE.into(),
            model: spec.model.as_str().into(),
            version: "".into(),
            columns: Arc::default(),
        });
        let route = Route {
            current: None,
            traffic: None,
            draining: Vec::new(),
            state: State::Loading,
            reason: Some(format!("resolving {}", spec.model)),
            choice: None,
            since: now,
        };
        Self {
            tenant,
            name,
            spec: ArcSwap::from_pointee(spec),
            row: ArcSwapOption::empty(),
            route: ArcSwap::from_pointee(route),
            rerouting: Mutex::default(),
            nobody,
            in_flight: AtomicUsize::new(0),
            unserved: Arc::default(),
            failed_loads: AtomicU64::new(0),
            rule_counts: RuleCounts::default(),
            recorders: Mutex::default(),
            declared: AtomicU64::new(1),
            settled: watch::Sender::new(0),
            wake: Notify::new(),
            unwanted: Notify::new(),
            busy: AtomicBool::new(false),
            gone: CancellationToken::new(),
        }
    }

    /// Replaces the route. `since` moves when the state does. Returns what answers no more and shares its
    /// model with nothing that does; it is among what drains.
    pub fn reroute(&self, now: Timestamp, change: impl FnOnce(&mut Route)) -> Vec<Arc<Loaded>> {
        let _rerouting = self.rerouting.lock();
        let before = self.route.load();
        let mut route = Route::clone(&before);
        change(&mut route);
        if route.state != before.state {
            route.since = now;
        }
        let gone = |old: &&Arc<Loaded>| !route.answering().any(|l| l.shares_with(old));
        let mut retired: Vec<Arc<Loaded>> = before.answering().filter(gone).cloned().collect();
        // Of variants that share a model, one drains.
        retired.dedup_by(|a, b| a.shares_with(b));
        route.draining.extend(retired.iter().cloned());
        self.route.store(Arc::new(route));
        retired
    }

    /// The counters of a version, kept over reloads of the same version.
    pub fn recorder(&self, target: &Arc<Target>) -> Arc<Recorder> {
        let mut recorders = self.recorders.lock();
        if let Some(at) = recorders.iter().position(|(t, _)| t == target) {
            let known = recorders.remove(at);
            recorders.insert(0, known);
        } else {
            recorders.insert(0, (Arc::clone(target), Arc::default()));
            // What is loaded counts on, however many were tried beside it.
            let unused = |(_, recorder): &(_, Arc<Recorder>)| Arc::strong_count(recorder) == 1;
            while recorders.len() > KEPT_VERSIONS {
                let Some(at) = recorders.iter().rposition(unused).filter(|at| *at > 0) else { break };
                recorders.remove(at);
            }
        }
        Arc::clone(&recorders[0].1)
    }

    pub fn view(&self) -> DeploymentView {
        // Read before the route, which the controller replaces before it says that it is done.
        let settled =
            !self.busy.load(Ordering::SeqCst) && *self.settled.borrow() >= self.declared.load(Ordering::SeqCst);
        let route = self.route.load();
        let down = route.current.as_ref().and_then(|current| current.health().err()).map(|e| with_hint(&e));
        let version = |loaded: &Arc<Loaded>, state: State| VersionView {
            contract: Arc::clone(&loaded.facts.contract),
            state,
            current: route.current.as_ref().is_some_and(|c| Arc::ptr_eq(c, loaded)),
            engine: loaded.facts.engine,
            instances: loaded.instances(),
            memory_bytes: loaded.memory_bytes(),
            loaded_at: loaded.facts.loaded_at,
            load_ms: loaded.facts.load_ms,
            execution: loaded.facts.execution,
            warnings: loaded.facts.warnings.clone(),
        };
        let stands = |l: &Arc<Loaded>| if l.health().is_ok() { State::Ready } else { State::Failed };
        let answering = route.answering().map(|l| version(l, stands(l)));
        let versions = answering.chain(route.draining.iter().map(|l| version(l, State::Draining)));
        DeploymentView {
            name: self.name.clone(),
            spec: self.spec.load_full(),
            state: if down.is_some() { State::Failed } else { route.state },
            reason: down.or_else(|| route.reason.clone()),
            choice: route.choice.clone(),
            since: route.since,
            settled,
            versions: versions.collect(),
            rollout: route.traffic.as_ref().map(|t| t.row.rollout.clone()),
            variants: route.traffic.as_ref().map(|t| t.views(&route)).unwrap_or_default(),
        }
    }

    pub fn stats(&self) -> DeploymentStats {
        let route = self.route.load();
        let loaded = |target: &Arc<Target>| {
            let of = |l: &&Arc<Loaded>| l.facts.contract.target == *target;
            let held = route.answering().chain(&route.draining).find(of);
            let answers = held.and_then(|l| l.answers.load_full()).map(|answers| answers.size());
            let (memory, restarts) = (held.map_or(0, |l| l.memory_bytes()), held.and_then(|l| l.restarts()));
            (route.current.as_ref().is_some_and(|l| of(&l)), memory, restarts, answers)
        };
        let recorders = self.recorders.lock().clone();
        let versions: Vec<VersionStats> = recorders
            .into_iter()
            .map(|(target, recorder)| {
                let (current, memory_bytes, restarts, answers) = loaded(&target);
                let mut stats = VersionStats { current, memory_bytes, restarts, ..recorder.view(target) };
                (stats.cache.entries, stats.cache.bytes) = answers.unwrap_or_default();
                stats
            })
            .collect();
        DeploymentStats {
            name: self.name.clone(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            unserved: self.unserved.failures(),
            failed_loads: self.failed_loads.load(Ordering::Relaxed),
            rules: self.rules(),
            versions,
        }
    }

    /// What each rule that is declared counted; nothing before a version answers.
    pub fn rules(&self) -> Vec<RuleView> {
        let route = self.route.load();
        let ruled = route.current.as_ref().and_then(|loaded| loaded.rules.load_full());
        ruled.map(|ruled| ruled.views()).unwrap_or_default()
    }

    pub fn batches(&self) -> Vec<Batches> {
        let spec = self.spec.load();
        let route = self.route.load();
        let recorders = self.recorders.lock().clone();
        recorders
            .into_iter()
            .map(|(target, recorder)| {
                let of = |l: &&Arc<Loaded>| l.facts.contract.target == target;
                let held = route.answering().chain(&route.draining).find(of);
                Batches {
                    version: Arc::clone(&target.version),
                    current: route.current.as_ref().is_some_and(|l| of(&l)),
                    max_rows: spec.engine.batch.max_rows,
                    max_delay_ms: spec.engine.batch.max_delay.0.as_secs_f64() * 1e3,
                    execution: held.map(|l| l.facts.execution),
                    closed: recorder.closed(),
                    rows: recorder.sizes(),
                    waiting: held.map_or(0, |l| l.waiting()),
                }
            })
            .collect()
    }

    /// Waits until nobody but the drain itself and the list of draining versions holds `old`. A
    /// route that a request is still reading holds it too, so this needs no lock against them.
    pub async fn quiet(&self, old: &Arc<Loaded>, poll: Duration) {
        let mut tick = tokio::time::interval(poll);
        while Arc::strong_count(old) > 2 {
            tick.tick().await;
        }
    }

    /// Waits until the latest declaration was dealt with; false when the deployment went meanwhile.
    pub async fn settled(&self) -> bool {
        let declared = self.declared.load(Ordering::SeqCst);
        let mut settled = self.settled.subscribe();
        tokio::select! {
            _ = settled.wait_for(|done| *done >= declared) => true,
            () = self.gone.cancelled() => false,
        }
    }
}

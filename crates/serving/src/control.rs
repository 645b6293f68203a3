//! The life of a deployment: resolve, load, warm, swap, drain; again whenever something changed.

use crate::choice::{Choice, choose, fallen_back};
use crate::deployment::Deployment;
use crate::error::{ServeError, with_hint};
use crate::load::{self, Order};
use crate::rules::{RuleMaker, Ruled};
use crate::run::{Facts, Loaded, Origin, Pool, Timer};
use crate::source::{ModelSource, PredictionSink, Resolved};
use crate::spec::DeploymentSpec;
use crate::traffic::{Candidate, Traffic};
use crate::view::State;
use mainspring_core::{Ctx, Failure};
use mainspring_engine::{Engine, Model, Watch};
use mainspring_traffic::{Row, StaleRow};
use seat::Seat;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

mod seat;

/// What every deployment shares.
pub(crate) struct Means {
    pub engines: Arc<[Arc<dyn Engine>]>,
    pub source: Arc<dyn ModelSource>,
    pub sink: Arc<dyn PredictionSink>,
    pub ctx: Ctx,
    /// What makes rules ready, once somebody does.
    pub rules: OnceLock<Arc<dyn RuleMaker>>,
    pub pool: Pool,
    pub timer: Timer,
    /// Loads that may run at once: each may take a core and as much memory again.
    pub loads: Semaphore,
}

/// Between two attempts when what is asked does not answer: the first and the longest wait.
const SOON: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Between two attempts to open a model that may open another time. Each may install an environment.
const LATE: (Duration, Duration) =
    (if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(30) }, Duration::from_mins(10));
/// How often a drained version is looked at.
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// Runs until the deployment is taken away or the process stops.
pub(crate) async fn run(means: Arc<Means>, deployment: Arc<Deployment>) {
    let mut changes = means.source.changes();
    // Failures since the last attempt that left nothing to mend.
    let mut failures = 0;
    let mut source_lives = true;
    loop {
        changes.mark_unchanged();
        let declared = deployment.declared.load(Ordering::SeqCst);
        deployment.busy.store(true, Ordering::SeqCst);
        let outcome = tokio::select! {
            outcome = converge(&means, &deployment) => outcome,
            () = deployment.unwanted.notified() => continue,
            () = deployment.gone.cancelled() => break,
        };
        let again = outcome.unwrap_or_else(|error| {
            failed(&means, &deployment, &error);
            mends(&error)
        });
        let again = again.map(|pace| pace.wait(failures));
        failures = if again.is_some() { failures + 1 } else { 0 };
        deployment.busy.store(false, Ordering::SeqCst);
        deployment.settled.send_replace(declared);
        tokio::select! {
            () = deployment.wake.notified() => {}
            changed = changes.changed(), if source_lives => source_lives = changed.is_ok(),
            () = sleep(again) => {}
            () = deployment.gone.cancelled() => break,
        }
    }
    retire(&means, &deployment);
}

/// How soon a failure may mend itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pace {
    Soon,
    Late,
}

impl Pace {
    /// The wait after so many failures before; each doubles it.
    fn wait(self, failures: u32) -> Duration {
        let (first, last) = match self {
            Self::Soon => SOON,
            Self::Late => LATE,
        };
        first.saturating_mul(1 << failures.min(16)).min(last)
    }
}

/// How soon trying again may help; `None` when only a change can.
fn mends(error: &ServeError) -> Option<Pace> {
    match error {
        ServeError::NotOpened(_) => Some(Pace::Late),
        other => other.kind().retryable().then_some(Pace::Soon),
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

fn failed(means: &Means, deployment: &Deployment, error: &ServeError) {
    let reason = with_hint(error);
    tracing::warn!(deployment = %deployment.name, %reason, "cannot load what is declared");
    deployment.failed_loads.fetch_add(1, Ordering::Relaxed);
    deployment.reroute(means.ctx.now(), |route| {
        route.state = if route.current.is_some() { State::Ready } else { State::Failed };
        route.reason = Some(reason);
    });
}

/// Makes what is declared so: nothing to do when it is already. Says how soon trying again may mend a
/// candidate that failed.
async fn converge(means: &Arc<Means>, deployment: &Arc<Deployment>) -> Result<Option<Pace>, ServeError> {
    let spec = deployment.spec.load_full();
    let Some(row) = deployment.row.load_full() else {
        let own = Seat::own(&spec);
        let outcome = seat(means, deployment, &spec, &own).await;
        if outcome.is_err() && deployment.route.load().current.is_none() {
            stand_in(means, deployment, &spec, &own).await;
        }
        return outcome.map(|()| None);
    };
    let stable = Seat::variant(&row, 0);
    let stable = seat(means, deployment, &spec, &stable);
    let candidates = (1..row.variants.len()).map(|at| candidate(means, deployment, &spec, Seat::variant(&row, at)));
    let (stable, mends) = futures::future::join(stable, futures::future::join_all(candidates)).await;
    stable?;
    Ok(mends.into_iter().flatten().min())
}

/// Lets a candidate serve; its failure is its own. Says how soon trying again may mend it.
async fn candidate(
    means: &Arc<Means>,
    deployment: &Arc<Deployment>,
    spec: &Arc<DeploymentSpec>,
    at: Seat,
) -> Option<Pace> {
    let error = seat(means, deployment, spec, &at).await.err()?;
    let reason = with_hint(&error);
    tracing::warn!(deployment = %deployment.name, variant = %at.variant, %reason, "cannot load a candidate");
    deployment.failed_loads.fetch_add(1, Ordering::Relaxed);
    deployment.reroute(means.ctx.now(), |route| {
        at.change(route, |candidate| {
            candidate.failed = true;
            candidate.reason = Some(reason);
        });
    });
    mends(&error)
}

/// Finds the version for a seat, and lets it serve.
async fn seat(
    means: &Arc<Means>,
    deployment: &Arc<Deployment>,
    spec: &Arc<DeploymentSpec>,
    seat: &Seat,
) -> Result<(), ServeError> {
    let named = means.source.resolve(&deployment.tenant, &seat.uri).await?;
    let Choice { resolved, why, instead } = choose(&*means.source, &deployment.tenant, spec, named).await?;
    if seat.is_own() {
        may_take(means, deployment, &seat.uri, (instead.as_ref().unwrap_or(&resolved), &resolved))?;
    }
    let preferred = resolved.version.clone();
    let Some(named) = instead else { return take_up(means, deployment, spec, (seat, resolved, why)).await };
    match take_up(means, deployment, spec, (seat, resolved, why)).await {
        Err(ServeError::Stopping) => Err(ServeError::Stopping),
        Err(error) => {
            tracing::warn!(deployment = %deployment.name, %error, "what is preferred cannot be loaded");
            let why = fallen_back(&named, &preferred, &error);
            take_up(means, deployment, spec, (seat, named, Some(why))).await
        }
        Ok(()) => Ok(()),
    }
}

/// Lets the version answer that did so last, where what is declared cannot be loaded and nothing else answers: as after a start
/// under an alias that points at what is broken (ADR 0043). Only of the registered model that is declared: what a deployment of
/// this name once was, before it was deleted, nobody asks for.
async fn stand_in(means: &Arc<Means>, deployment: &Arc<Deployment>, spec: &Arc<DeploymentSpec>, seat: &Seat) {
    let (tenant, name) = (&deployment.tenant, &deployment.name);
    let Some((model, version)) = means.sink.answered_last(tenant, name, &seat.variant) else { return };
    let of_model = seat.uri.strip_prefix("models:/").and_then(|uri| uri.strip_prefix(model.as_str()));
    if !of_model.is_some_and(|rest| rest.starts_with(['@', '/'])) {
        return;
    }
    let outcome = match means.source.resolve(tenant, &format!("models:/{model}/{version}")).await {
        Ok(resolved) => take_up(means, deployment, spec, (seat, resolved, None)).await,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => tracing::warn!(deployment = %name, %model, %version, "what answered last answers again"),
        Err(error) => {
            tracing::warn!(deployment = %name, %model, %version, %error, "what answered last cannot be loaded");
        }
    }
}

/// Refuses what nothing new may take where a URI has come to mean it by itself, while something else answers. Where nothing
/// does, as after a start, it is not known whether the version is new here, and no answer at all would be worse.
fn may_take(
    means: &Means,
    deployment: &Deployment,
    uri: &str,
    (named, chosen): (&Resolved, &Resolved),
) -> Result<(), ServeError> {
    let route = deployment.route.load();
    let Some(current) = &route.current else { return Ok(()) };
    let answers = &current.facts.origin;
    if [named, chosen].iter().any(|is| answers.model == is.model && answers.version == is.version) {
        return Ok(());
    }
    let Some(why) = means.source.refused(&deployment.tenant, uri, named) else { return Ok(()) };
    Err(ServeError::Refused {
        uri: uri.to_owned(),
        means: format!("version {} of {}", named.version, named.model),
        answers: answers.version.clone(),
        why,
    })
}

/// Lets a version serve, unless it does already. `why` is shown once it does.
async fn take_up(
    means: &Arc<Means>,
    deployment: &Arc<Deployment>,
    spec: &Arc<DeploymentSpec>,
    (seat, resolved, why): (&Seat, Resolved, Option<String>),
) -> Result<(), ServeError> {
    let origin = Origin {
        model: resolved.model.clone(),
        version: resolved.version.clone(),
        root: resolved.root.clone(),
        engine: spec.engine.clone(),
    };
    let route = deployment.route.load();
    // The variant itself rather than another one that is the same version.
    let held =
        route.answering().filter(|l| l.facts.origin == origin).min_by_key(|l| !l.stands_for(seat.name())).cloned();
    drop(route);
    if let Some(held) = held {
        load::check_redacted(&spec.journal.redact, &held.facts.contract)?;
        held.rules.store(Ruled::of(means.rules.get(), deployment, spec.rules.as_ref(), &held.facts.contract)?);
        held.keeps(spec.cache.as_ref());
        put(means, deployment, seat, (held, why));
        return Ok(());
    }
    deployment.reroute(means.ctx.now(), |route| {
        seat.say(route, format!("loading {} version {}", origin.model, origin.version));
    });
    let _turn = means.loads.acquire().await.map_err(|_| ServeError::Stopping)?;
    let order = Order {
        name: deployment.name.clone(),
        variant: Arc::clone(&seat.variant),
        uri: Arc::clone(&seat.uri),
        spec: Arc::clone(spec),
        resolved,
        origin,
        engines: Arc::clone(&means.engines),
        now: means.ctx.now(),
        watch: Watch::default(),
    };
    let (facts, model) = open(means, deployment, seat, order).await?;
    let target = Arc::clone(&facts.contract.target);
    let rules = Ruled::of(means.rules.get(), deployment, spec.rules.as_ref(), &facts.contract)?;
    let loaded = Loaded::new(facts, model, deployment.recorder(&target), means.pool.clone(), means.timer.clone());
    loaded.rules.store(rules);
    loaded.keeps(spec.cache.as_ref());
    tracing::info!(
        deployment = %target.deployment, variant = %target.variant, model = %target.model, version = %target.version,
        load_ms = loaded.facts.load_ms, inline_rows = loaded.facts.execution.inline_rows, "ready"
    );
    put(means, deployment, seat, (loaded, why));
    Ok(())
}

/// Seats a loaded version, and lets go what nobody needs any more: that may be the version itself, when the
/// seat was taken away meanwhile.
fn put(means: &Arc<Means>, deployment: &Arc<Deployment>, seat: &Seat, (loaded, why): (Arc<Loaded>, Option<String>)) {
    let retired = deployment.reroute(means.ctx.now(), |route| seat.put(deployment, route, (&loaded, why)));
    drain(means, deployment, retired);
    if Arc::strong_count(&loaded) == 1 {
        unload(loaded);
    }
}

/// Puts a routing row in place, or lets go of the one there is. What the variants of both are goes on
/// answering; the deployment's task loads the rest, and ends the traffic of a row that is let go once what the
/// deployment declares can answer by itself.
///
/// # Errors
/// [`StaleRow`] when a newer row of the rollout is in place.
pub(crate) fn decide(means: &Arc<Means>, deployment: &Arc<Deployment>, row: Option<Arc<Row>>) -> Result<(), StaleRow> {
    let mut outcome = Ok(false);
    let retired = deployment.reroute(means.ctx.now(), |route| {
        outcome = match (deployment.row.load().as_deref(), row.as_deref()) {
            (Some(have), Some(offered)) => offered.replaces(have),
            (have, offered) => Ok(have.is_some() || offered.is_some()),
        };
        if !matches!(outcome, Ok(true)) {
            return;
        }
        if let Some(row) = &row {
            // Before anything answers, what loads is what the deployment declares by itself.
            if route.current.is_none() || route.traffic.as_ref().is_some_and(|t| loads_in_vain(t, row)) {
                deployment.unwanted.notify_one();
            }
            seat::install(deployment, route, row);
        }
        deployment.row.store(row.clone());
    });
    drain(means, deployment, retired);
    if outcome? {
        deployment.declared.fetch_add(1, Ordering::SeqCst);
        deployment.wake.notify_one();
    }
    Ok(())
}

/// Whether something is being loaded that the next row has no place for.
fn loads_in_vain(traffic: &Traffic, next: &Row) -> bool {
    let loading = |c: &Candidate| c.loaded.is_none() && !c.failed;
    let mut candidates = traffic.row.variants.iter().skip(1).zip(&traffic.candidates);
    candidates.any(|(variant, c)| loading(c) && next.variants.iter().all(|v| v.model != variant.model))
}

/// Opens on a thread of its own: it takes as long as it takes, and no other request waits for it.
async fn open(
    means: &Arc<Means>,
    deployment: &Arc<Deployment>,
    seat: &Seat,
    order: Order,
) -> Result<(Facts, Arc<dyn Model>), ServeError> {
    let (done, opened) = oneshot::channel();
    let left = Left::default();
    let order = Order { watch: watch(means, deployment, seat, &left), ..order };
    let name = order.name.to_string();
    let thread = std::thread::Builder::new().name("model-load".into()).spawn(move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| load::open(&order)));
        let result = result.unwrap_or_else(|_| {
            Err(ServeError::Engine(mainspring_engine::EngineError::Load {
                path: order.resolved.root.display().to_string(),
                reason: "the engine panicked; the log has the details".into(),
            }))
        });
        let _ = done.send(result);
    });
    if let Err(error) = thread {
        tracing::error!(deployment = %name, %error, "cannot start a thread to load a model");
        return Err(ServeError::Stopping);
    }
    opened.await.map_err(|_| ServeError::Stopping)?
}

/// Set when nobody waits for a load any more.
#[derive(Default)]
struct Left(Arc<AtomicBool>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Shows what a load is doing as the reason of whose it is.
fn watch(means: &Arc<Means>, deployment: &Arc<Deployment>, seat: &Seat, left: &Left) -> Watch {
    let (gone, late) = (Arc::clone(&left.0), Arc::clone(&left.0));
    let (deployment, clock, seat) = (Arc::clone(deployment), Arc::clone(&means.ctx.clock), seat.clone());
    let says = move |what: &str| {
        if !late.load(Ordering::Relaxed) {
            deployment.reroute(clock.now(), |route| seat.say(route, what.to_owned()));
        }
    };
    Watch::new(says, move || gone.load(Ordering::Relaxed))
}

/// Takes the deployment's last versions away.
fn retire(means: &Arc<Means>, deployment: &Arc<Deployment>) {
    let retired = deployment.reroute(means.ctx.now(), |route| {
        route.current = None;
        route.traffic = None;
        route.state = State::Draining;
        route.reason = Some("the deployment was deleted".into());
    });
    drain(means, deployment, retired);
}

/// Waits until nobody uses the versions any more, then unloads them.
fn drain(means: &Arc<Means>, deployment: &Arc<Deployment>, retired: Vec<Arc<Loaded>>) {
    for old in retired {
        let deployment = Arc::clone(deployment);
        let clock = Arc::clone(&means.ctx.clock);
        means.ctx.tasks.spawn("drain", async move {
            deployment.quiet(&old, DRAIN_POLL).await;
            deployment.reroute(clock.now(), |route| route.draining.retain(|l| !Arc::ptr_eq(l, &old)));
            unload(old);
        });
    }
}

/// Freeing a session may take milliseconds: it happens where no request waits for it.
fn unload(old: Arc<Loaded>) {
    let unload = std::thread::Builder::new().name("model-unload".into()).spawn(move || drop(old));
    if let Err(error) = unload {
        tracing::warn!(%error, "no thread to unload a model on; it was unloaded in place");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_tried_ever_less_often() {
        let waits: Vec<u64> = [0, 1, 5, 200].map(|n| Pace::Soon.wait(n).as_secs()).into();
        assert_eq!(waits, [1, 2, 30, 30]);
        assert_eq!((Pace::Late.wait(0), Pace::Late.wait(200)), LATE);
    }
}

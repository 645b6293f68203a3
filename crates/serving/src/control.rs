//! The life of a deployment: resolve, load, warm, swap, drain; again whenever something changed.

use crate::choice::{Choice, choose, fallen_back};
use crate::deployment::Deployment;
use crate::error::ServeError;
use crate::load::{self, Order};
use crate::run::{Facts, Loaded, Origin, Pool, Timer};
use crate::source::{ModelSource, PredictionSink, Resolved};
use crate::spec::DeploymentSpec;
use crate::view::State;
use mainspring_core::{Ctx, Failure};
use mainspring_engine::{Engine, Model, Watch};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// What every deployment shares.
pub(crate) struct Means {
    pub engines: Arc<[Arc<dyn Engine>]>,
    pub source: Arc<dyn ModelSource>,
    pub sink: Arc<dyn PredictionSink>,
    pub ctx: Ctx,
    pub pool: Pool,
    pub timer: Timer,
    /// Loads that may run at once: each may take a core and as much memory again.
    pub loads: Semaphore,
}

/// Between two attempts when a failure may mend itself.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(30);
/// How often a drained version is looked at.
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// Runs until the deployment is taken away or the process stops.
pub(crate) async fn run(means: Arc<Means>, deployment: Arc<Deployment>) {
    let mut changes = means.source.changes();
    let mut retry = RETRY_FIRST;
    let mut source_lives = true;
    loop {
        changes.mark_unchanged();
        let declared = deployment.declared.load(Ordering::SeqCst);
        deployment.busy.store(true, Ordering::SeqCst);
        let outcome = tokio::select! {
            outcome = converge(&means, &deployment) => outcome,
            () = deployment.gone.cancelled() => break,
        };
        let again = match outcome {
            Ok(()) => {
                retry = RETRY_FIRST;
                None
            }
            Err(error) => {
                failed(&means, &deployment, &error);
                error.kind().retryable().then(|| {
                    let wait = retry;
                    retry = (retry * 2).min(RETRY_LAST);
                    wait
                })
            }
        };
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

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

fn failed(means: &Means, deployment: &Deployment, error: &ServeError) {
    let reason = match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    tracing::warn!(deployment = %deployment.name, %reason, "cannot load what is declared");
    deployment.failed_loads.fetch_add(1, Ordering::Relaxed);
    deployment.reroute(means.ctx.now(), |route| {
        route.state = if route.current.is_some() { State::Ready } else { State::Failed };
        route.reason = Some(reason);
    });
}

/// Makes what is declared so: nothing to do when it is already.
async fn converge(means: &Arc<Means>, deployment: &Arc<Deployment>) -> Result<(), ServeError> {
    let spec = deployment.spec.load_full();
    let named = means.source.resolve(&deployment.tenant, &spec.model).await?;
    let Choice { resolved, why, instead } = choose(&*means.source, &deployment.tenant, &spec, named).await?;
    let preferred = resolved.version.clone();
    let Some(named) = instead else { return take_up(means, deployment, &spec, (resolved, why)).await };
    match take_up(means, deployment, &spec, (resolved, why)).await {
        Err(ServeError::Stopping) => Err(ServeError::Stopping),
        Err(error) => {
            tracing::warn!(deployment = %deployment.name, %error, "what is preferred cannot be loaded");
            let why = fallen_back(&named, &preferred, &error);
            take_up(means, deployment, &spec, (named, Some(why))).await
        }
        Ok(()) => Ok(()),
    }
}

/// Lets a version serve, unless it does already. `why` is shown once it does.
async fn take_up(
    means: &Arc<Means>,
    deployment: &Arc<Deployment>,
    spec: &Arc<DeploymentSpec>,
    (resolved, why): (Resolved, Option<String>),
) -> Result<(), ServeError> {
    let origin = Origin {
        model: resolved.model.clone(),
        version: resolved.version.clone(),
        root: resolved.root.clone(),
        engine: spec.engine.clone(),
    };
    if deployment.serves(&origin) {
        if let Some(current) = &deployment.route.load().current {
            load::check_redacted(&spec.journal.redact, &current.facts.contract)?;
        }
        deployment.reroute(means.ctx.now(), |route| {
            route.state = State::Ready;
            route.reason = None;
            route.choice = why;
        });
        return Ok(());
    }
    deployment.reroute(means.ctx.now(), |route| {
        if route.current.is_none() {
            route.state = State::Loading;
        }
        route.reason = Some(format!("loading {} version {}", origin.model, origin.version));
    });
    let _turn = means.loads.acquire().await.map_err(|_| ServeError::Stopping)?;
    let order = Order {
        name: deployment.name.clone(),
        spec: Arc::clone(spec),
        resolved,
        origin,
        engines: Arc::clone(&means.engines),
        now: means.ctx.now(),
        watch: Watch::default(),
    };
    let (facts, model) = open(means, deployment, order).await?;
    swap(means, deployment, (facts, model), why);
    Ok(())
}

/// Opens on a thread of its own: it takes as long as it takes, and no other request waits for it.
async fn open(
    means: &Arc<Means>,
    deployment: &Arc<Deployment>,
    order: Order,
) -> Result<(Facts, Arc<dyn Model>), ServeError> {
    let (done, opened) = oneshot::channel();
    let left = Left::default();
    let order = Order { watch: watch(means, deployment, &left), ..order };
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

/// Shows what a load is doing as the deployment's reason.
fn watch(means: &Arc<Means>, deployment: &Arc<Deployment>, left: &Left) -> Watch {
    let (gone, late) = (Arc::clone(&left.0), Arc::clone(&left.0));
    let (deployment, clock) = (Arc::clone(deployment), Arc::clone(&means.ctx.clock));
    let says = move |what: &str| {
        if !late.load(Ordering::Relaxed) {
            deployment.reroute(clock.now(), |route| route.reason = Some(what.to_owned()));
        }
    };
    Watch::new(says, move || gone.load(Ordering::Relaxed))
}

fn swap(
    means: &Arc<Means>,
    deployment: &Arc<Deployment>,
    (facts, model): (Facts, Arc<dyn Model>),
    why: Option<String>,
) {
    let target = Arc::clone(&facts.contract.target);
    let recorder = deployment.recorder(&target);
    let loaded = Loaded::new(facts, model, recorder, means.pool.clone(), means.timer.clone());
    tracing::info!(
        deployment = %target.deployment, model = %target.model, version = %target.version,
        load_ms = loaded.facts.load_ms, inline_rows = loaded.facts.execution.inline_rows, "ready"
    );
    let mut old = None;
    deployment.reroute(means.ctx.now(), |route| {
        old = route.current.replace(loaded);
        route.draining.extend(old.clone());
        route.state = State::Ready;
        route.reason = None;
        route.choice = why;
    });
    if let Some(old) = old {
        drain(means, deployment, old);
    }
}

/// Takes the deployment's last version away.
fn retire(means: &Arc<Means>, deployment: &Arc<Deployment>) {
    let mut last = None;
    deployment.reroute(means.ctx.now(), |route| {
        last = route.current.take();
        route.draining.extend(last.clone());
        route.state = State::Draining;
        route.reason = Some("the deployment was deleted".into());
    });
    if let Some(last) = last {
        drain(means, deployment, last);
    }
}

/// Waits until nobody uses a version any more, then unloads it.
fn drain(means: &Arc<Means>, deployment: &Arc<Deployment>, old: Arc<Loaded>) {
    let deployment = Arc::clone(deployment);
    let clock = Arc::clone(&means.ctx.clock);
    means.ctx.tasks.spawn("drain", async move {
        deployment.quiet(&old, DRAIN_POLL).await;
        deployment.reroute(clock.now(), |route| route.draining.retain(|l| !Arc::ptr_eq(l, &old)));
        // Freeing a session may take milliseconds; this runs where requests do not wait for it.
        let unload = std::thread::Builder::new().name("model-unload".into()).spawn(move || drop(old));
        if let Err(error) = unload {
            tracing::warn!(%error, "no thread to unload a model on; it was unloaded in place");
        }
    });
}

//! The face of the domain: declare, ask, infer.

use crate::action::{Deploy, Describe, Infer, ReadStats, Undeploy};
use crate::contract::Contract;
use crate::control::{self, Means};
use crate::deployment::Deployment;
use crate::error::ServeError;
use crate::event::Event;
use crate::pick::{self, Ask, Chosen, Picked, explains};
use crate::request::{Answer, InferRequest, Refusal};
use crate::rules::RuleMaker;
use crate::run::{Pool, Timer};
use crate::source::{ModelSource, PredictionSink};
use crate::spec::DeploymentSpec;
use crate::stats::{Batches, DeploymentStats};
use crate::view::{DeploymentView, VariantView};
use arc_swap::ArcSwap;
use mainspring_core::{Assignment, Authorized, Ctx, EventId, Name, Protocol, Tenant, Timestamp, Timing};
use mainspring_engine::Engine;
use mainspring_traffic::Row;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::sync::Semaphore;

mod again;
mod call;
mod rehearse;
mod shadow;
mod stream;
#[cfg(test)]
mod tests;

use call::{Call, Step};
pub use rehearse::Rehearsed;
pub use stream::AnswerParts;

/// A search by order would read the names of a dozen others for each request.
type Table = HashMap<Tenant, HashMap<Name, Arc<Deployment>>>;

/// Everything that is deployed in this process. Clones share it.
#[derive(Clone)]
pub struct Serving {
    means: Arc<Means>,
    table: Arc<ArcSwap<Table>>,
    /// Held while the table is replaced; never by a request.
    changing: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Serving")
    }
}

impl Serving {
    /// Nothing deployed yet. Deployments that were declared before are declared again by the
    /// caller.
    pub fn new(
        engines: Vec<Arc<dyn Engine>>,
        source: Arc<dyn ModelSource>,
        sink: Arc<dyn PredictionSink>,
        ctx: Ctx,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let means = Means {
            engines: engines.into(),
            source,
            sink,
            ctx,
            rules: OnceLock::new(),
            pool: Pool::new(),
            timer: Timer::start(),
            loads: Semaphore::new(cores.min(4)),
        };
        Self { means: Arc::new(means), table: Arc::default(), changing: Arc::default() }
    }

    /// Lets `maker` make rules ready; until then deployments with rules cannot be loaded. The first one stays.
    #[must_use]
    pub fn ruled_by(self, maker: Arc<dyn RuleMaker>) -> Self {
        let _the_first_stays = self.means.rules.set(maker);
        self
    }

    /// Declares a deployment, or changes it. Returns at once; a task of the deployment loads what is
    /// declared, and what answered before answers until then. [`Serving::settled`] waits for it.
    ///
    /// # Errors
    /// [`ServeError::Spec`]; nothing changed then. Whether the model loads shows in
    /// [`Serving::describe`].
    pub fn deploy(&self, auth: &Authorized<Deploy>, spec: DeploymentSpec) -> Result<(), ServeError> {
        let (tenant, name) = (auth.tenant(), &auth.action().deployment);
        spec.validate(name)?;
        let _changing = self.changing.lock();
        let table = self.table.load_full();
        if let Some(known) = table.get(tenant).and_then(|m| m.get(name)) {
            known.spec.store(Arc::new(spec));
            known.declared.fetch_add(1, Ordering::SeqCst);
            known.wake.notify_one();
            return Ok(());
        }
        let deployment = Arc::new(Deployment::new(tenant.clone(), name.clone(), spec, self.means.ctx.now()));
        let mut next = Table::clone(&table);
        next.entry(tenant.clone()).or_default().insert(name.clone(), Arc::clone(&deployment));
        self.table.store(Arc::new(next));
        self.means.ctx.tasks.spawn("deployment", control::run(Arc::clone(&self.means), deployment));
        Ok(())
    }

    /// Takes a deployment away: requests find it no more, those in flight finish, then it unloads.
    ///
    /// # Errors
    /// [`ServeError::NoDeployment`].
    pub fn undeploy(&self, auth: &Authorized<Undeploy>) -> Result<(), ServeError> {
        let (tenant, name) = (auth.tenant(), &auth.action().deployment);
        let _changing = self.changing.lock();
        let deployment = self.find(tenant, name)?;
        let mut next = Table::clone(&self.table.load());
        if let Some(mine) = next.get_mut(tenant) {
            mine.remove(name);
        }
        self.table.store(Arc::new(next));
        deployment.gone.cancel();
        Ok(())
    }

    /// Lets a rollout decide about a deployment's traffic, by its next row; without one, the deployment's own
    /// model answers again, once it can. The weights of a row hold at once. What its variants need is loaded
    /// beside what answers, and until a candidate is ready stable answers its units.
    ///
    /// # Errors
    /// [`ServeError::NoDeployment`], [`ServeError::Row`], and [`ServeError::Stale`] for a row that is older than
    /// the one in place; nothing changed then.
    pub fn route(&self, auth: &Authorized<Deploy>, row: Option<Arc<Row>>) -> Result<(), ServeError> {
        if let Some(row) = &row {
            row.check()?;
        }
        let deployment = self.find(auth.tenant(), &auth.action().deployment)?;
        Ok(control::decide(&self.means, &deployment, row)?)
    }

    /// Waits until the latest declaration was dealt with, and describes the outcome.
    ///
    /// # Errors
    /// [`ServeError::NoDeployment`], also when it is taken away meanwhile.
    pub async fn settled(&self, auth: &Authorized<Describe>, name: &Name) -> Result<DeploymentView, ServeError> {
        let deployment = self.find(auth.tenant(), name)?;
        if deployment.settled().await { Ok(view(&deployment, auth)) } else { Err(self.nobody(auth.tenant(), name)) }
    }

    /// Waits until the latest declaration of every deployment that there is now, of every tenant, was
    /// dealt with. It tells nothing about the outcomes, so it needs no permission.
    pub async fn all_settled(&self) {
        let all: Vec<Arc<Deployment>> = self.table.load().values().flat_map(|m| m.values().cloned()).collect();
        for deployment in all {
            deployment.settled().await;
        }
    }

    /// Whose deployments there are: for whoever tells what all of them do.
    pub fn tenants(&self) -> Vec<Tenant> {
        let table = self.table.load();
        table.iter().filter(|(_, mine)| !mine.is_empty()).map(|(tenant, _)| tenant.clone()).collect()
    }

    /// The deployment that answers scoring requests which name none. Whoever declares sees to it that
    /// there is one at most; of two the first by name answers.
    pub fn default_deployment(&self, tenant: &Tenant) -> Option<Name> {
        let table = self.table.load();
        table.get(tenant)?.iter().filter(|(_, d)| d.spec.load().default).map(|(name, _)| name).min().cloned()
    }

    /// Describes the deployment that `auth` names; `None` when there is none, or `auth` names all.
    pub fn describe(&self, auth: &Authorized<Describe>) -> Option<DeploymentView> {
        let name = auth.action().deployment.as_ref()?;
        self.find(auth.tenant(), name).ok().map(|d| view(&d, auth))
    }

    /// Describes the tenant's deployments that `auth` names, by name.
    pub fn list(&self, auth: &Authorized<Describe>) -> Vec<DeploymentView> {
        self.of(auth.tenant(), auth.action().deployment.as_ref()).iter().map(|d| view(d, auth)).collect()
    }

    /// Whether a request to the deployment that `auth` names would find a version to answer it.
    ///
    /// # Errors
    /// [`ServeError::NoDeployment`], [`ServeError::NoVersion`] and [`ServeError::NotReady`];
    /// [`ServeError::Engine`] when the version is loaded and its model is down.
    pub fn ready(&self, auth: &Authorized<Describe>, version: Option<&str>) -> Result<(), ServeError> {
        let explains = explains(auth.who());
        let ready = |of: &Deployment, version| Ok(pick::version(of, version, explains)?.health()?);
        match &auth.action().deployment {
            Some(name) => ready(&*self.find(auth.tenant(), name)?, version),
            None => self.of(auth.tenant(), None).iter().try_for_each(|d| ready(d, None)),
        }
    }

    /// Counters of the deployments that `auth` names, by name.
    pub fn stats(&self, auth: &Authorized<ReadStats>) -> Vec<DeploymentStats> {
        self.of(auth.tenant(), auth.action().deployment.as_ref()).iter().map(|d| d.stats()).collect()
    }

    /// Why the batches of the deployment that `auth` names closed, by version; `None` when there is
    /// no such deployment.
    pub fn batches(&self, auth: &Authorized<ReadStats>) -> Option<Vec<Batches>> {
        let name = auth.action().deployment.as_ref()?;
        self.find(auth.tenant(), name).ok().map(|d| d.batches())
    }

    /// What the version that a request would go to takes and gives, whatever its unit. Costs a reference count.
    ///
    /// # Errors
    /// As [`Serving::ready`], but for a model that is down.
    pub fn contract(&self, auth: &Authorized<Infer>, version: Option<&str>) -> Result<Arc<Contract>, ServeError> {
        let deployment = self.find(auth.tenant(), &auth.action().deployment)?;
        Ok(Arc::clone(&pick::version(&deployment, version, explains(auth.who()))?.facts.contract))
    }

    /// Who answers a request, so that its inputs can be made for that version. Hand it on with the request.
    ///
    /// # Errors
    /// As [`Serving::contract`]; and [`ServeError::NoVariant`], [`ServeError::VariantNotReady`] for a variant that
    /// the caller names. Nothing is in the journal then; [`Serving::refuse`] leaves it there.
    pub fn pick(&self, auth: &Authorized<Infer>, ask: Ask<'_>) -> Result<Picked, ServeError> {
        let deployment = self.find(auth.tenant(), &auth.action().deployment)?;
        let chosen = self.choose(auth, &deployment, ask)?;
        Ok(Picked { deployment, chosen })
    }

    fn choose(&self, auth: &Authorized<Infer>, of: &Deployment, ask: Ask<'_>) -> Result<Chosen, ServeError> {
        pick::pick(of, ask, auth.who(), || self.made())
    }

    /// Answers a request. Dropping the future gives the request up: it leaves the queue, and the
    /// journal says that it was cancelled.
    ///
    /// # Errors
    /// [`ServeError`]; all but [`ServeError::NoDeployment`] are in the journal already.
    pub fn infer<'a>(
        &'a self,
        auth: &Authorized<Infer>,
        mut request: InferRequest,
    ) -> impl Future<Output = Result<Answer, ServeError>> + Send + use<'a> {
        // Before the future, which would hold the request for as long as it lives.
        let begun = self.call(auth, &mut request).map(|(mut call, chosen)| {
            let step = call.begin(request, chosen);
            (call, step)
        });
        async move {
            let (mut call, step) = begun?;
            let answered = match step {
                Ok(Step::Run(admitted)) => call.run(admitted).await,
                Ok(Step::Known { loaded, answer }) => call.known(&loaded, &answer),
                Err(error) => Err(error),
            };
            match answered {
                Ok(answer) => {
                    if let (Some(aside), Some(event)) = (call.aside.take(), &answer.event) {
                        self.cast(*aside, event);
                    }
                    Ok(answer)
                }
                Err(error) => {
                    call.fail(&error);
                    Err(error)
                }
            }
        }
    }

    /// Opens the event of a request, and chooses who answers it unless that was done.
    fn call(
        &self,
        auth: &Authorized<Infer>,
        request: &mut InferRequest,
    ) -> Result<(Call, Result<Chosen, ServeError>), ServeError> {
        let (deployment, chosen) = match request.picked.take().filter(|p| p.is_for(auth)) {
            Some(Picked { deployment, chosen }) => (deployment, Ok(chosen)),
            None => {
                let deployment = self.find(auth.tenant(), &auth.action().deployment)?;
                let ask = Ask { version: request.version.as_deref(), head: &() };
                let chosen = self.choose(auth, &deployment, ask);
                (deployment, chosen)
            }
        };
        let made = chosen.as_ref().ok().and_then(|c| c.made);
        let event = self.event(auth, deployment, Asked::from(&*request), made);
        Ok((Call::new(event), chosen))
    }

    /// Records a request that its protocol refused before [`Serving::infer`] saw it. Returns the id
    /// under which the journal has it; `None` when the deployment does not exist.
    pub fn refuse(&self, auth: &Authorized<Infer>, refusal: Refusal) -> Option<EventId> {
        let asked = Asked {
            protocol: refusal.protocol,
            client_id: refusal.client_id,
            received: refusal.received,
            forced: refusal.version.is_some(),
        };
        let event = match refusal.picked.filter(|p| p.is_for(auth)) {
            Some(Picked { deployment, chosen }) => {
                let mut event = self.event(auth, deployment, asked, chosen.made);
                (event.assignment, event.guard) = (chosen.assignment, chosen.guard);
                event.answers(&chosen.loaded);
                event
            }
            None => {
                let deployment = self.find(auth.tenant(), &auth.action().deployment).ok()?;
                let loaded = pick::version(&deployment, refusal.version.as_deref(), false).ok();
                let mut event = self.event(auth, deployment, asked, None);
                if let Some(loaded) = loaded {
                    event.answers(&loaded);
                }
                event
            }
        };
        let id = event.id;
        event.failed(refusal.kind, &refusal.message);
        Some(id)
    }

    fn event(
        &self,
        auth: &Authorized<Infer>,
        deployment: Arc<Deployment>,
        asked: Asked,
        made: Option<(EventId, Timestamp)>,
    ) -> Box<Event> {
        let (id, at) = made.unwrap_or_else(|| self.made());
        Box::new(Event {
            id,
            at,
            received: asked.received,
            tenant: auth.tenant().clone(),
            protocol: asked.protocol,
            client_id: asked.client_id,
            caller: Arc::clone(&auth.who().subject),
            assignment: Assignment { forced: asked.forced, ..Assignment::default() },
            rows: 0,
            batch_rows: 0,
            timing: Timing::default(),
            params: None,
            inputs: Arc::default(),
            recorder: Arc::clone(&deployment.unserved),
            guard: None,
            first_part: None,
            gave_up: false,
            flags: None,
            tokens: None,
            cached: None,
            deployment,
            contract: None,
            sink: Arc::clone(&self.means.sink),
        })
    }

    fn made(&self) -> (EventId, Timestamp) {
        let at = self.means.ctx.now();
        (self.means.ctx.ids.event(at), at)
    }

    pub(crate) fn find(&self, tenant: &Tenant, name: &Name) -> Result<Arc<Deployment>, ServeError> {
        let table = self.table.load();
        table.get(tenant).and_then(|m| m.get(name)).cloned().ok_or_else(|| self.nobody(tenant, name))
    }

    fn nobody(&self, tenant: &Tenant, name: &Name) -> ServeError {
        let table = self.table.load();
        let mut names: Vec<&str> = table.get(tenant).into_iter().flatten().map(|(n, _)| n.as_str()).collect();
        names.sort_unstable();
        let nearest = mainspring_core::nearest(name.as_str(), names).map(str::to_owned);
        ServeError::NoDeployment { name: name.to_string(), nearest }
    }

    /// By name.
    fn of(&self, tenant: &Tenant, name: Option<&Name>) -> Vec<Arc<Deployment>> {
        let table = self.table.load();
        let mine = table.get(tenant).into_iter().flatten();
        let named = mine.filter(|(n, _)| name.is_none_or(|name| *n == name));
        let mut found: Vec<Arc<Deployment>> = named.map(|(_, d)| Arc::clone(d)).collect();
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        found
    }
}

/// What a request says about itself, apart from its values.
struct Asked {
    protocol: Protocol,
    client_id: Option<Arc<str>>,
    received: Instant,
    forced: bool,
}

impl From<&InferRequest> for Asked {
    fn from(request: &InferRequest) -> Self {
        Self {
            protocol: request.protocol,
            client_id: request.client_id.clone(),
            received: request.received,
            forced: request.version.is_some(),
        }
    }
}

fn view(deployment: &Deployment, auth: &Authorized<Describe>) -> DeploymentView {
    let view = deployment.view();
    if explains(auth.who()) {
        return view;
    }
    let variants = view.variants.into_iter().map(|v| VariantView { reason: None, ..v }).collect();
    DeploymentView { reason: None, variants, ..view }
}

//! The face of the domain: declare, rank, reward.

use crate::action::{Inspect, Rank};
use crate::error::PersonalizeError;
use crate::features;
use crate::learner::{self, Candidate, Chosen, Learner};
use crate::ports::{Log, Past};
use crate::spec::PersonalizerSpec;
use crate::sql;
use arc_swap::ArcSwap;
use bytes::Bytes;
use mainspring_core::{
    Assignment, Authorized, Ctx, DType, EventId, Name, NamedTensor, Outcome, Prediction, Protocol, Target, Tenant,
    Tensor, Timestamp, Timing,
};
use mainspring_stats::contextual::RewardModel;
use mainspring_store::{Db, FutureExt, args};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Actions of one request at most.
const MOST_ACTIONS: usize = 100;
/// How often it is looked whether a wait is over.
const TICK: Duration = Duration::from_secs(1);
/// How often what was learnt is put into the database.
const SAVE: Duration = Duration::from_secs(15);

/// A request for a choice.
#[derive(Debug, Clone, Default)]
pub struct RankRequest {
    /// The caller's own id of the choice; ours is used when there is none.
    pub event: Option<String>,
    /// What is known about the moment: any JSON.
    pub context: Value,
    /// What there is to choose from; ids are unique.
    pub actions: Vec<Candidate>,
    /// Ids of actions that may not be chosen now.
    pub excluded: Vec<String>,
    /// The choice may not be shown: nothing is learnt unless [`Personalizers::activate`] says that it was.
    pub deferred: bool,
}

/// A choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// The id to send its reward under.
    pub event: String,
    /// The id of the action to take.
    pub action: String,
    /// Every action with its probability: the chosen one first, then by probability; excluded ones with 0 where they
    /// stood in the request.
    pub ranking: Vec<(String, f64)>,
}

/// A personalizer as others see it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Whether it answers; after a start it reads first what it learnt before.
    pub ready: bool,
    /// Why it does not.
    pub reason: Option<String>,
    /// Rewards learnt from in all.
    pub learnt: u64,
    /// Of those since the start, how many came and how many did not.
    pub rewarded: u64,
    /// Choices whose wait ended without a reward.
    pub unrewarded: u64,
    /// Choices that wait.
    pub waiting: u64,
}

struct One {
    tenant: Tenant,
    name: Name,
    target: Arc<Target>,
    spec: Mutex<PersonalizerSpec>,
    learner: Mutex<Option<Learner>>,
    /// Callers' own ids of choices that wait, with what they were told; that is lost at a restart.
    ids: Mutex<HashMap<String, (EventId, Option<Ranked>)>>,
    reason: Mutex<Option<String>>,
    gone: CancellationToken,
}

struct Inner {
    all: ArcSwap<HashMap<(Tenant, Name), Arc<One>>>,
    changing: Mutex<()>,
    log: Arc<dyn Log>,
    db: Db,
    ctx: Ctx,
}

/// Every personalizer of this process. Clones share it.
#[derive(Clone)]
pub struct Personalizers(Arc<Inner>);

impl std::fmt::Debug for Personalizers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Personalizers")
    }
}

impl Personalizers {
    /// Nothing declared yet. `db` must have been opened with [`crate::MIGRATIONS`].
    pub fn new(log: Arc<dyn Log>, db: Db, ctx: Ctx) -> Self {
        Self(Arc::new(Inner { all: ArcSwap::default(), changing: Mutex::default(), log, db, ctx }))
    }

    /// Declares a personalizer, or changes it: what was learnt stays, unless the model has another size.
    ///
    /// # Errors
    /// [`PersonalizeError::Request`] for a spec that is none.
    pub fn declare(&self, tenant: &Tenant, name: &Name, spec: PersonalizerSpec) -> Result<(), PersonalizeError> {
        spec.validate().map_err(|e| PersonalizeError::Request(e.to_string()))?;
        let _changing = self.0.changing.lock();
        let key = (tenant.clone(), name.clone());
        let known = self.0.all.load().get(&key).cloned();
        if let Some(known) = known {
            // One lock at a time: who saves takes them in the other order.
            let same = known.spec.lock().model == spec.model;
            if same {
                *known.spec.lock() = spec.clone();
                if let Some(learner) = &mut *known.learner.lock() {
                    learner.change(&spec);
                }
                return Ok(());
            }
            known.gone.cancel();
        }
        let target = Target {
            deployment: name.shared(),
            variant: "stable".into(),
            model: "personalizer".into(),
            version: "".into(),
            columns: Arc::default(),
        };
        let one = Arc::new(One {
            tenant: tenant.clone(),
            name: name.clone(),
            target: Arc::new(target),
            spec: Mutex::new(spec),
            learner: Mutex::default(),
            ids: Mutex::default(),
            reason: Mutex::new(Some("it reads what it learnt before".into())),
            gone: CancellationToken::new(),
        });
        self.put(key, Some(Arc::clone(&one)));
        let (inner, tasks) = (Arc::clone(&self.0), &self.0.ctx.tasks);
        let stop = tasks.cancelled();
        drop(tasks.spawn_graceful(async move { inner.run(&one, &stop).await }));
        Ok(())
    }

    /// Takes a personalizer away, with what it learnt.
    pub fn withdraw(&self, tenant: &Tenant, name: &Name) {
        let _changing = self.0.changing.lock();
        let key = (tenant.clone(), name.clone());
        let Some(one) = self.0.all.load().get(&key).cloned() else { return };
        one.gone.cancel();
        self.put(key, None);
        let inner = Arc::clone(&self.0);
        drop(self.0.ctx.tasks.spawn("forget a personalizer", async move {
            if let Err(error) = inner.forget(&one).await {
                tracing::warn!(personalizer = %one.name, %error, "what it learnt stays in the database");
            }
        }));
    }

    fn put(&self, key: (Tenant, Name), one: Option<Arc<One>>) {
        let mut next = HashMap::clone(&self.0.all.load());
        match one {
            Some(one) => drop(next.insert(key, one)),
            None => drop(next.remove(&key)),
        }
        self.0.all.store(Arc::new(next));
    }

    fn find(&self, tenant: &Tenant, name: &Name) -> Result<Arc<One>, PersonalizeError> {
        let found = self.0.all.load().get(&(tenant.clone(), name.clone())).cloned();
        found.ok_or_else(|| PersonalizeError::Unknown(name.to_string()))
    }

    /// What it has learnt; `None` when there is none of the name.
    pub fn view(&self, auth: &Authorized<Inspect>) -> Option<View> {
        let one = self.find(auth.tenant(), &auth.action().personalizer).ok()?;
        let learner = one.learner.lock();
        let count = |n: &dyn Fn(&Learner) -> u64| learner.as_ref().map_or(0, n);
        Some(View {
            ready: learner.is_some(),
            reason: one.reason.lock().clone(),
            learnt: count(&|l| l.model().learnt() as u64),
            rewarded: count(&|l| l.rewarded),
            unrewarded: count(&|l| l.unrewarded),
            waiting: count(&|l| l.waiting() as u64),
        })
    }

    /// Chooses an action.
    ///
    /// # Errors
    /// [`PersonalizeError`] for a request that makes no choice, or one that came before it was ready.
    pub fn rank(&self, auth: &Authorized<Rank>, request: RankRequest) -> Result<Ranked, PersonalizeError> {
        let began = Instant::now();
        let one = self.find(auth.tenant(), &auth.action().personalizer)?;
        check(&request)?;
        let able: Vec<&Candidate> = request.actions.iter().filter(|a| !request.excluded.contains(&a.id)).collect();
        let read = learner::read(&request.context, &able)?;
        let ctx = &self.0.ctx;
        let (at, draw) = (ctx.now(), unit(ctx.ids.random()));
        let id = ctx.ids.event(at);
        let due = (!request.deferred).then(|| one.due(at));
        let inputs = inputs(&request)?;
        let (prediction, ranked) = {
            let mut learner = one.learner.lock();
            // Sent again, after an answer that was lost or while it is being made: it is one choice.
            if let Some(known) = request.event.as_ref().and_then(|own| one.ids.lock().get(own)?.1.clone()) {
                return Ok(known);
            }
            let learner = learner.as_mut().ok_or_else(|| PersonalizeError::NotReady {
                name: one.name.to_string(),
                reason: one.reason.lock().clone().unwrap_or_default(),
            })?;
            let chosen = learner.choose(&read.context, &read.actions, draw)?;
            // Before anything is waited for or remembered: a choice that cannot be kept is none when it is sent again.
            let (action, propensity) = (able[chosen.action], chosen.probabilities[chosen.action]);
            let caller = Arc::clone(&auth.who().subject);
            let made = Made { one: &one, request: &request, caller, inputs, action, propensity };
            let prediction = made.prediction((id, at), began)?;
            learner.wait(id, features::crossed(&read.context, &read.actions[chosen.action]), due);
            let ranked = ranked(&request, (&able, &chosen), id);
            if let Some(own) = &request.event {
                one.ids.lock().insert(own.clone(), (id, Some(ranked.clone())));
            }
            (prediction, ranked)
        };
        self.0.log.append(prediction);
        Ok(ranked)
    }

    /// A choice that was deferred is shown now.
    ///
    /// # Errors
    /// [`PersonalizeError::NotWaiting`].
    pub fn activate(&self, auth: &Authorized<Rank>, event: &str) -> Result<(), PersonalizeError> {
        let one = self.find(auth.tenant(), &auth.action().personalizer)?;
        let due = one.due(self.0.ctx.now());
        let known = one.id(event).is_some_and(|id| one.learner.lock().as_mut().is_some_and(|l| l.activate(id, due)));
        if known { Ok(()) } else { Err(PersonalizeError::NotWaiting(event.to_owned())) }
    }

    /// Keeps what a choice brought, and learns from it. One that is not waited for any more is kept all the same.
    ///
    /// # Errors
    /// [`PersonalizeError::Request`] for a value that is no number, [`PersonalizeError::Log`] when it cannot be kept.
    pub async fn reward(&self, auth: &Authorized<Rank>, event: &str, value: f64) -> Result<(), PersonalizeError> {
        let one = self.find(auth.tenant(), &auth.action().personalizer)?;
        if !value.is_finite() {
            return Err(PersonalizeError::Request(format!("the reward is {value}; it must be a finite number")));
        }
        let id = one.id(event);
        let of = id.ok_or_else(|| event.to_owned());
        self.0.log.reward(auth.who(), (one.name.as_str(), of), value).await.map_err(PersonalizeError::Log)?;
        if let (Some(id), Some(learner)) = (id, &mut *one.learner.lock()) {
            learner.reward(id, value);
        }
        Ok(())
    }
}

/// A choice as its caller sees it: the chosen action first, then the others by probability.
fn ranked(request: &RankRequest, (able, chosen): (&[&Candidate], &Chosen), id: EventId) -> Ranked {
    let mut ranking: Vec<(String, f64)> =
        able.iter().zip(&chosen.probabilities).map(|(a, p)| (a.id.clone(), *p)).collect();
    let first = ranking.remove(chosen.action);
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranking.insert(0, first);
    for (at, excluded) in request.actions.iter().enumerate().filter(|(_, a)| request.excluded.contains(&a.id)) {
        ranking.insert(at.min(ranking.len()), (excluded.id.clone(), 0.0));
    }
    let event = request.event.clone().unwrap_or_else(|| id.to_string());
    Ranked { event, action: able[chosen.action].id.clone(), ranking }
}

fn check(request: &RankRequest) -> Result<(), PersonalizeError> {
    let refuse = |why: String| Err(PersonalizeError::Request(why));
    if request.actions.is_empty() {
        return refuse("there are no actions to choose from".into());
    }
    if request.actions.len() > MOST_ACTIONS {
        return refuse(format!(
            "there are {} actions; at most {MOST_ACTIONS} are ranked at once",
            request.actions.len()
        ));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = request.actions.iter().find(|a| !seen.insert(&a.id)) {
        return refuse(format!("action {:?} is there twice", twice.id));
    }
    if let Some(unknown) = request.excluded.iter().find(|id| !seen.contains(id)) {
        return refuse(format!("action {unknown:?} is excluded and is not among the actions"));
    }
    if seen.len() == request.excluded.iter().collect::<BTreeSet<_>>().len() {
        return refuse("every action is excluded".into());
    }
    match &request.event {
        Some(event) if event.is_empty() || event.len() > 1024 => {
            refuse(format!("an event id has 1 to 1024 bytes; this one has {}", event.len()))
        }
        _ => Ok(()),
    }
}

/// A number from 0 to below 1 of 53 random bits.
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

fn text(name: &str, text: String) -> Result<NamedTensor, PersonalizeError> {
    Ok(NamedTensor { name: name.into(), tensor: Tensor::from_strings(vec![1], vec![Bytes::from(text)])? })
}

/// What was known and what there was to choose from, as the log has it.
fn inputs(request: &RankRequest) -> Result<Arc<[NamedTensor]>, PersonalizeError> {
    let actions: Vec<Value> = request.actions.iter().map(|a| json!({ "id": a.id, "features": a.features })).collect();
    Ok(Arc::new([text("context", request.context.to_string())?, text("actions", Value::from(actions).to_string())?]))
}

/// A choice on its way into the log.
struct Made<'a> {
    one: &'a One,
    request: &'a RankRequest,
    caller: Arc<str>,
    inputs: Arc<[NamedTensor]>,
    action: &'a Candidate,
    propensity: f64,
}

impl Made<'_> {
    /// One row: what was known, what there was, what was taken.
    fn prediction(self, (id, at): (EventId, Timestamp), began: Instant) -> Result<Prediction, PersonalizeError> {
        let probability = Tensor::from_vec(DType::Fp64, vec![1], vec![self.propensity])?;
        let total_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Ok(Prediction {
            id,
            at,
            tenant: self.one.tenant.clone(),
            target: Arc::clone(&self.one.target),
            protocol: Protocol::Personalizer,
            client_id: self.request.event.as_deref().map(Into::into),
            caller: self.caller,
            assignment: Assignment { propensity: self.propensity as f32, ..Assignment::default() },
            outcome: Outcome::Ok,
            rows: 1,
            batch_rows: 1,
            tokens: None,
            cached: None,
            flags: None,
            params: None,
            timing: Timing { engine_ns: total_ns, total_ns, ..Timing::default() },
            inputs: self.inputs,
            outputs: Arc::new([
                text("action", self.action.id.clone())?,
                NamedTensor { name: "probability".into(), tensor: probability },
            ]),
        })
    }
}

impl One {
    fn due(&self, at: Timestamp) -> Timestamp {
        at.plus_micros(i64::try_from(self.spec.lock().reward.wait.0.as_micros()).unwrap_or(i64::MAX))
    }

    /// The id of a choice by the caller's own, or by ours.
    fn id(&self, event: &str) -> Option<EventId> {
        self.ids.lock().get(event).map(|(id, _)| *id).or_else(|| event.parse().ok())
    }
}

impl Inner {
    /// Reads what was learnt, then learns and saves until the end.
    async fn run(&self, one: &One, stop: &CancellationToken) {
        while let Err(error) = self.begin(one).await {
            *one.reason.lock() = Some(error.to_string());
            tracing::warn!(personalizer = %one.name, %error, "it cannot read what it learnt before; it tries again");
            tokio::select! {
                () = tokio::time::sleep(TICK * 5) => {}
                () = one.gone.cancelled() => return,
                () = stop.cancelled() => return,
            }
        }
        *one.reason.lock() = None;
        let (mut saved, mut next) = (-1.0, Instant::now() + SAVE);
        loop {
            let ended = tokio::select! {
                () = tokio::time::sleep(TICK) => false,
                () = one.gone.cancelled() => return,
                () = stop.cancelled() => true,
            };
            let learnt = self.tick(one);
            if learnt > saved && (ended || next <= Instant::now()) {
                next = Instant::now() + SAVE;
                match self.save(one).await {
                    Ok(()) => saved = learnt,
                    Err(error) => tracing::warn!(personalizer = %one.name, %error, "what it learnt is not saved yet"),
                }
            }
            if ended {
                return;
            }
        }
    }

    /// Learns from what is due. Returns how much was learnt in all.
    fn tick(&self, one: &One) -> f64 {
        let mut learner = one.learner.lock();
        let Some(learner) = &mut *learner else { return 0.0 };
        learner.tick(self.ctx.now());
        one.ids.lock().retain(|_, (id, _)| learner.waits(*id));
        learner.model().learnt()
    }

    async fn begin(&self, one: &One) -> Result<(), PersonalizeError> {
        let spec = one.spec.lock().clone();
        let args = args![&one.tenant, one.name.as_str(), spec.model.bits];
        let stored = self.db.read(move |c| async move { c.query_opt(sql::LOAD, args).await }.boxed()).await?;
        let model: Option<RewardModel> = match stored {
            None => None,
            Some(row) => Some(
                postcard::from_bytes(&row.blob("model")?)
                    .map_err(|e| PersonalizeError::Stored { name: one.name.to_string(), why: e.to_string() })?,
            ),
        };
        let mut learner = Learner::new(&spec, model)?;
        let wait = i64::try_from(spec.reward.wait.0.as_micros()).unwrap_or(i64::MAX);
        let since = Timestamp(self.ctx.now().micros().saturating_sub(wait));
        let past = self.log.since(&one.tenant, one.name.as_str(), since).await.map_err(PersonalizeError::Log)?;
        for choice in past.into_iter().filter(|p| p.rewards.is_empty()) {
            one.remember(&mut learner, &choice)?;
        }
        let mut own = one.learner.lock();
        // It may have been declared otherwise meanwhile.
        learner.change(&one.spec.lock());
        *own = Some(learner);
        Ok(())
    }

    async fn save(&self, one: &One) -> Result<(), PersonalizeError> {
        let (bits, model) = {
            let learner = one.learner.lock();
            let Some(learner) = &*learner else { return Ok(()) };
            let model = postcard::to_stdvec(learner.model());
            (one.spec.lock().model.bits, model.map_err(|e| PersonalizeError::Request(e.to_string()))?)
        };
        let args = args![&one.tenant, one.name.as_str(), bits, model, self.ctx.now()];
        self.db.write(move |c| async move { c.execute(sql::SAVE, args).await }.boxed()).await?;
        Ok(())
    }

    async fn forget(&self, one: &One) -> Result<(), PersonalizeError> {
        let args = args![&one.tenant, one.name.as_str()];
        self.db.write(move |c| async move { c.execute(sql::FORGET, args).await }.boxed()).await?;
        Ok(())
    }
}

impl One {
    /// A choice of before a restart, whose wait is not over.
    fn remember(&self, learner: &mut Learner, past: &Past) -> Result<(), PersonalizeError> {
        let (id, said) = &past.action;
        let action = features::of_action(id, said)?;
        let context = features::features("context", &past.context)?;
        learner.wait(past.id, features::crossed(&context, &action), Some(self.due(past.at)));
        if let Some(own) = &past.client_id {
            self.ids.lock().insert(own.clone(), (past.id, None));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

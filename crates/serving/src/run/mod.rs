//! A loaded version at work: inline on the caller's thread, or through its queue and the pool.

mod again;
mod batch;
mod parts;
mod pool;
mod queue;
mod round;
mod slots;
#[cfg(test)]
mod tests;
mod timer;

pub(crate) use parts::PartSender;
pub(crate) use pool::Pool;
pub(crate) use queue::{Reply, Waiting, Work};
pub(crate) use timer::Timer;

use crate::cache::{Answers, KeptAnswer, Key};
use crate::contract::Contract;
use crate::rules::Ruled;
use crate::spec::CacheSpec;
use crate::stats::{ClosedBy, Recorder, nanos};
use crate::usage;
use crate::view::Execution;
use again::{Again, Lost};
use arc_swap::ArcSwapOption;
use batch::{Portions, Timed};
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{Target, Timestamp, Tokens};
use mainspring_engine::{Counted, EngineError, Model, RunCx};
use pool::Room;
use queue::{Item, Queue, Trigger};
use round::{Entry, Guest, Party};
use slots::{Slot, Slots};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How a version's queue closes its batches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchRules {
    pub max_rows: usize,
    pub max_delay: Duration,
    /// Whether several requests may share a call.
    pub shared: bool,
}

/// Where a version came from: another one of these under the same URI is another version.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Origin {
    pub model: String,
    pub version: String,
    pub root: PathBuf,
    pub engine: crate::spec::EngineSpec,
}

/// What is known of a version once it is warm.
#[derive(Clone)]
pub(crate) struct Facts {
    pub origin: Origin,
    /// The URI that it was found under.
    pub uri: Arc<str>,
    pub contract: Arc<Contract>,
    pub engine: &'static str,
    pub execution: Execution,
    pub rules: BatchRules,
    pub loaded_at: Timestamp,
    pub load_ms: u64,
    pub warnings: Vec<String>,
    /// Whether its answers say which tokens they took.
    pub says_usage: bool,
}

/// A version that can answer, under the name of one variant. Unloaded when the last reference to what runs
/// it goes.
pub(crate) struct Loaded {
    pub facts: Facts,
    pub recorder: Arc<Recorder>,
    /// What rows must keep; looked at only where the deployment declares rules.
    pub rules: ArcSwapOption<Ruled>,
    /// Answers that it gave, where the deployment keeps them.
    pub answers: ArcSwapOption<Answers>,
    runner: Arc<Runner>,
}

/// The model at work. Variants that are the same version share it.
struct Runner {
    model: Arc<dyn Model>,
    slots: Slots,
    queue: Queue,
    pool: Pool,
    /// Keeps room in the pool for its instances.
    _room: Room,
    timer: Timer,
    /// Whether warm-up saw a row come out for each that went in: a free first dimension is not always the batch.
    row_for_row: bool,
    me: Weak<Runner>,
    /// For the log.
    target: Arc<Target>,
}

/// One call of the engine, for one request.
#[derive(Debug)]
pub(crate) struct Ran {
    pub outputs: Vec<NamedTensor>,
    /// Of the request's rows, where the model counts them.
    pub tokens: Option<Tokens>,
    pub queue_ns: u64,
    pub engine_ns: u64,
    pub batch_rows: u32,
}

impl Loaded {
    pub fn new(facts: Facts, model: Arc<dyn Model>, recorder: Arc<Recorder>, pool: Pool, timer: Timer) -> Arc<Self> {
        let instances = model.instances().max(1);
        let room = pool.room(instances);
        let runner = Arc::new_cyclic(|me| Runner {
            queue: Queue::new(facts.rules),
            model,
            slots: Slots::new(instances),
            pool,
            _room: room,
            timer,
            row_for_row: facts.execution.batched && facts.execution.one_row_ns > 0,
            me: Weak::clone(me),
            target: Arc::clone(&facts.contract.target),
        });
        Arc::new(Self { facts, recorder, rules: ArcSwapOption::empty(), answers: ArcSwapOption::empty(), runner })
    }

    /// With the tokens that the model says its answer took.
    pub fn counted(&self, ran: Ran) -> Ran {
        if !self.facts.says_usage {
            return ran;
        }
        Ran { tokens: usage::of(&ran.outputs), ..ran }
    }

    /// The same version at work as another variant, or found under another URI.
    pub fn standing_for(
        &self,
        variant: &str,
        uri: &str,
        recorder: impl FnOnce(&Arc<Target>) -> Arc<Recorder>,
    ) -> Arc<Self> {
        let target = Arc::new(Target { variant: variant.into(), ..Target::clone(&self.facts.contract.target) });
        let recorder = recorder(&target);
        let contract = Arc::new(Contract { target, ..Contract::clone(&self.facts.contract) });
        let facts = Facts { contract, uri: uri.into(), ..self.facts.clone() };
        let rules = ArcSwapOption::new(self.rules.load_full());
        let same = *variant == *self.facts.contract.target.variant;
        let answers = self.answers.load_full().and_then(|a| if same { Some(a) } else { Answers::of(Some(a.spec())) });
        let answers = ArcSwapOption::new(answers);
        Arc::new(Self { facts, recorder, rules, answers, runner: Arc::clone(&self.runner) })
    }

    /// From now on it keeps its answers as this says. What it has stays where that is what it did.
    pub fn keeps(&self, spec: Option<&CacheSpec>) {
        if self.answers.load().as_ref().map(|answers| answers.spec()) != spec {
            self.answers.store(Answers::of(spec));
        }
    }

    /// Keeps an answer.
    pub fn keep(&self, answers: &Arc<Answers>, key: Key, answer: KeptAnswer) {
        let now = answer.at;
        if answers.keep(key, answer) {
            let answers = Arc::clone(answers);
            self.runner.pool.submit(move || answers.sweep(now));
        }
    }

    /// Whether it is this variant, found under this URI.
    pub fn stands_for(&self, (variant, uri): (&str, &str)) -> bool {
        *self.facts.contract.target.variant == *variant && *self.facts.uri == *uri
    }

    /// Whether both are one model in memory.
    pub fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.runner, &other.runner)
    }

    pub fn instances(&self) -> usize {
        self.runner.model.instances().max(1)
    }

    pub fn memory_bytes(&self) -> u64 {
        self.runner.model.memory_bytes()
    }

    /// Whether a call would find the model able to answer.
    pub fn health(&self) -> Result<(), EngineError> {
        self.runner.model.health()
    }

    pub fn restarts(&self) -> Option<u64> {
        self.runner.model.restarts()
    }

    pub fn waiting(&self) -> usize {
        self.runner.queue.len()
    }

    /// Runs on this thread, in one call with what else this thread finds ready for the model, if the request is
    /// small enough and an instance is idle. Else gives it back.
    pub async fn inline(&self, work: Work) -> Result<Result<Ran, EngineError>, Work> {
        let most = self.facts.execution.inline_rows;
        if most == 0 {
            return Err(work);
        }
        let units = self.units(&work.inputs, work.rows);
        if units > most {
            return Err(work);
        }
        let entry = if self.facts.rules.shared { round::enter(self, work, units) } else { Entry::Alone(work) };
        let party = match entry {
            Entry::Alone(first) => Some(Party { first, since: Instant::now(), guests: Vec::new() }),
            Entry::First(lead) => lead.gather().await,
            Entry::Joined(answer) => return answer.await.unwrap_or_else(|_| Ok(Err(unanswered()))),
        };
        let Some(party) = party else { return Ok(Err(unanswered())) };
        self.call(party)
    }

    /// One call on this thread for all of them, if an instance is idle.
    fn call(&self, party: Party) -> Result<Result<Ran, EngineError>, Work> {
        let runner = &*self.runner;
        let Some(slot) = runner.slots.try_acquire() else {
            round::send_away(party.guests);
            return Err(party.first);
        };
        let rows = party.rows();
        let cx = RunCx {
            deadline: party.first.deadline.filter(|_| party.guests.is_empty()),
            params: party.first.params.clone(),
            ids: Vec::new(),
        };
        let started = Instant::now();
        let result = guarded(|| runner.model.run_together(&party.inputs(), &cx));
        let result = runner.checked(result, rows, party.guests.is_empty());
        let engine_ns = nanos(started.elapsed());
        let Party { first, since, guests } = party;
        self.recorder.executed(rows, engine_ns, ClosedBy::Inline);
        if !guests.is_empty() && Again::after(&result) == Some(Again::Alone) {
            // The values of one request are no reason to fail the others.
            drop(slot);
            for guest in guests {
                let Guest { work, enqueued, reply } = guest;
                let _ = reply.send(self.call(Party { first: work, since: enqueued, guests: Vec::new() }));
            }
            return self.call(Party { first, since, guests: Vec::new() });
        }
        drop(slot);
        if runner.queue.len() > 0 {
            runner.pump(Trigger::Idle);
        }
        let mut portions = Portions::new(1 + guests.len(), result, Timed { started, engine_ns, rows });
        let mine = portions.cut(first.rows, since);
        for guest in guests {
            let _ = guest.reply.send(Ok(portions.cut(guest.work.rows, guest.enqueued)));
        }
        Ok(mine)
    }

    /// How many rows of the size that warm-up ran the request amounts to: a free dimension, such as
    /// the length of a text, makes a row larger.
    fn units(&self, inputs: &[NamedTensor], rows: usize) -> usize {
        let mut units = rows;
        let mut specs = self.facts.contract.signature.inputs.iter();
        for given in inputs {
            // Optional inputs may be left out; the rest is in order.
            let Some(spec) = specs.find(|s| s.name == given.name) else { continue };
            let row: usize = spec.shape.iter().skip(1).map(|d| usize::try_from(*d).unwrap_or(1)).product();
            units = units.max(given.tensor.len().checked_div(row).unwrap_or(0));
        }
        units
    }

    /// Puts a request into the queue. Dropping what this returns takes it out again.
    pub fn enqueue(self: &Arc<Self>, work: Work) -> Waiting {
        let runner = &*self.runner;
        let (waiting, alarm) = runner.queue.push(self, work);
        if let Some(at) = alarm {
            runner.timer.set(at, Weak::clone(&runner.me));
        }
        runner.pump(Trigger::Idle);
        waiting
    }
}

impl Runner {
    /// The timer's call: some batch may be due.
    fn wake(&self) {
        self.queue.disarm();
        self.pump(Trigger::Delay);
        if let Some(at) = self.queue.rearm() {
            self.timer.set(at, Weak::clone(&self.me));
        }
    }

    /// Starts as many batches as are due and as there are idle instances.
    fn pump(&self, trigger: Trigger) {
        let Some(me) = self.me.upgrade() else { return };
        while let Some((batch, slot)) = self.queue.take(trigger, Instant::now(), || self.slots.try_acquire_owned(&me)) {
            if let Some(at) = self.queue.rearm() {
                self.timer.set(at, Weak::clone(&self.me));
            }
            if batch.items.is_empty() {
                continue;
            }
            let runner = Arc::clone(&me);
            self.pool.submit(move || {
                runner.execute(batch);
                drop(slot);
                runner.pump(Trigger::Idle);
            });
        }
    }

    /// Runs a batch. Where its call fails, what one request did is no reason to fail the others: they are run again.
    fn execute(&self, batch: queue::Batch) {
        let mut left = VecDeque::from([batch]);
        let mut lost = Lost::default();
        while let Some(queue::Batch { items, closed }) = left.pop_front() {
            let rows = items.iter().map(|i| i.work.rows).sum();
            let started = Instant::now();
            let result = self.checked(self.once(&items), rows, items.len() == 1);
            let timed = Timed { started, engine_ns: nanos(started.elapsed()), rows };
            // A call that variants share counts for the one whose request was first.
            if let Some(first) = items.first() {
                first.owner.recorder.executed(rows, timed.engine_ns, closed);
            }
            let how = Again::after(&result);
            if lost.counts_out(how) {
                for batch in std::mem::take(&mut left) {
                    batch::hand_out(batch.items, result.clone(), timed);
                }
                batch::hand_out(items, result, timed);
                return;
            }
            match how {
                Some(Again::Halves) if items.len() > 1 && lost.both_halves() => {
                    let rest = std::mem::take(&mut left).into_iter().map(|batch| batch.items).chain([items]);
                    left.extend(rest.flat_map(|items| Again::Alone.split(items)));
                }
                Some(how) if items.len() > 1 => left.extend(how.split(items)),
                _ => batch::hand_out(items, result, timed),
            }
        }
    }

    /// One call for all of them.
    fn once(&self, items: &[Item]) -> Result<Counted, EngineError> {
        // Only a model in another process joins what it writes to what it answers.
        let ids = if self.model.waits() { items.iter().map(|i| i.work.id).collect() } else { Vec::new() };
        let params = items.first().and_then(|i| i.work.params.clone());
        let cx = RunCx { deadline: None, params, ids };
        guarded(|| match items {
            [Item { work: Work { parts: Some(parts), inputs, .. }, .. }] => parts.fill(&*self.model, inputs, &cx),
            items => {
                let requests: Vec<&[NamedTensor]> = items.iter().map(|item| &*item.work.inputs).collect();
                self.model.run_together(&requests, &cx)
            }
        })
    }

    /// The result of a call of so many rows, if it has a row for each of them.
    fn checked(&self, result: Result<Counted, EngineError>, rows: usize, alone: bool) -> Result<Counted, EngineError> {
        let counted = result?;
        if !alone || self.row_for_row {
            batch::row_for_row(&counted.outputs, rows)?;
        }
        Ok(counted)
    }
}

/// What a request gets whose call ended without a word.
fn unanswered() -> EngineError {
    EngineError::Run {
        reason: "the call that it was part of ended early; the log has the details".into(),
        bad_input: false,
    }
}

/// A panic in an engine is the failure of one call, not of the thread that made it.
fn guarded<T>(call: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(EngineError::Run { reason: "the engine panicked; the log has the details".into(), bad_input: false })
    })
}

impl Drop for Runner {
    fn drop(&mut self) {
        tracing::info!(deployment = %self.target.deployment, version = %self.target.version, "unloaded");
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("target", &self.facts.contract.target).finish_non_exhaustive()
    }
}

/// A slot that keeps its model loaded.
type OwnedSlot = Slot<Arc<Runner>>;

//! The controller over a real database, with a fake clock, a fake fleet and a journal in memory.

mod apart;
mod freeze;
mod webhooks;

use super::*;
use crate::action::{OrderRollout, ReadRollouts, StartRollout};
use crate::event::Event;
use crate::machine::{Checked, Decision, DecisionKind, Follow, Freeze, HoldCause, Pins, Readiness};
use crate::ports::{
    Answer, Batch, Before, Earlier, EventStream, FleetView, PortError, PortResult, Question, Tripped, Wanted,
};
use crate::simulate::{Behaviour, Generator, World};
use crate::spec::{CandidateSpec, RolloutSpec, Source};
use crate::{MIGRATIONS, rollouts::Rollouts};
use mainspring_core::{Ctx, ManualClock};
use mainspring_store::{Db, FutureExt};
use mainspring_testkit::{TempDb, may};
use mainspring_traffic::Row;
use parking_lot::Mutex;
use std::collections::BTreeSet;

const SECOND: i64 = 1_000_000;

/// Everything around the controllers.
struct Stage {
    clock: ManualClock,
    traffic: Mutex<Generator>,
    journal: Mutex<Vec<Event>>,
    /// The journal does not answer.
    dark: Mutex<bool>,
    /// A long past is being read.
    long: Mutex<bool>,
    tripped: Mutex<Option<String>>,
    frozen: Mutex<Vec<Freeze>>,
    /// Whether the registry misses the next order.
    deaf: Mutex<bool>,
    declared: Mutex<String>,
    opened: Mutex<u32>,
    /// Microseconds that each opening takes.
    slow: Mutex<i64>,
    /// Deployments that do not follow.
    stubborn: Mutex<BTreeSet<String>>,
    /// Who followed, and what.
    followed: Mutex<Vec<(String, String)>>,
    /// Who declared a rollout, whichever.
    author: Mutex<Result<Option<String>, PortError>>,
    /// How often that was asked.
    asked: Mutex<u32>,
    /// What a webhook says; nothing at all where it hangs.
    said: Mutex<Option<Answer>>,
    questions: Mutex<Vec<Question>>,
    /// Questions that nobody waits for any more.
    taken_back: Mutex<u32>,
}

impl Stage {
    fn now(&self) -> Timestamp {
        use mainspring_core::Clock;
        self.clock.now()
    }
}

/// One process's view of the stage.
struct Process(Arc<Stage>);

impl Fleet for Process {
    fn pins<'a>(&'a self, _: &'a Tenant, _: &'a Name, candidates: &'a [CandidateSpec]) -> PortResult<'a, Pins> {
        let stable = self.0.declared.lock().clone();
        let candidates = candidates.iter().map(|c| c.model.replace("@new", "/8")).collect();
        async move { Ok(Pins { stable, candidates }) }.boxed()
    }

    fn view<'a>(&'a self, _: &'a Tenant, _: &'a Name, row: &'a Row) -> PortResult<'a, FleetView> {
        assert_eq!(row.variants.len(), 2);
        let why = self.0.tripped.lock().clone();
        let tripped = why.map(|why| Tripped { variant: row.variants[1].name.clone(), why });
        async move { Ok(FleetView { candidate: Readiness::Ready, tripped }) }.boxed()
    }

    fn frozen<'a>(&'a self, _: &'a Tenant, models: &'a [String]) -> PortResult<'a, Vec<Option<String>>> {
        let frozen = self.0.frozen.lock().clone();
        let known = models.iter().map(|m| frozen.iter().find(|f| f.model == *m).map(|f| f.reason.clone())).collect();
        async move { Ok(known) }.boxed()
    }

    fn settled<'a>(&'a self, _: &'a Tenant, _: &'a Name, row: &'a Row) -> PortResult<'a, bool> {
        let all = usize::from(row.route.split().weight(1) == mainspring_traffic::Share::ALL);
        let settled = *self.0.declared.lock() == row.variants[all].model;
        async move { Ok(settled) }.boxed()
    }

    fn checks<'a>(
        &'a self,
        _: &'a Tenant,
        _: &'a Name,
        _: &'a Row,
        _: &'a RolloutSpec,
    ) -> PortResult<'a, Vec<Checked>> {
        async move { Ok(vec![Checked::new("signature", Some(true), "alike")]) }.boxed()
    }
}

struct Stream(Arc<Stage>, usize, Wanted);

impl EventStream for Stream {
    fn next(&mut self) -> PortResult<'_, Batch> {
        let dark = *self.0.dark.lock();
        if *self.0.long.lock() {
            return async { Ok(Batch { reading: true, ..Batch::default() }) }.boxed();
        }
        let journal = self.0.journal.lock();
        let wanted = &self.2;
        let fits = |e: &&Event| match e {
            Event::Exposure(e) => e.generation >= wanted.generation,
            Event::Shadow(_) | Event::Label(_) | Event::Unitless(_) => true,
        };
        // In parts, as a long past would come.
        let rest = &journal[self.1.min(journal.len())..];
        let part = &rest[..rest.len().min(5_000)];
        self.1 += part.len();
        let behind = part.len() < rest.len();
        let events: Vec<Event> = part.iter().filter(fits).cloned().collect();
        let complete_until = if behind { Timestamp(0) } else { self.0.now() };
        async move {
            if dark {
                return Err(PortError("the journal does not answer".into()));
            }
            Ok(Batch { events, complete_until, reading: behind })
        }
        .boxed()
    }
}

impl Events for Process {
    fn follow(&self, wanted: Wanted) -> PortResult<'_, Box<dyn EventStream>> {
        *self.0.opened.lock() += 1;
        self.0.clock.advance(*self.0.slow.lock());
        assert_eq!((wanted.labels.clone(), wanted.outputs.len()), (vec!["liked".to_owned()], 0));
        let stream: Box<dyn EventStream> = Box::new(Stream(Arc::clone(&self.0), 0, wanted));
        async move { Ok(stream) }.boxed()
    }

    fn before(&self, wanted: Before) -> PortResult<'_, Vec<Earlier>> {
        let known = |metric: &(String, Source, std::time::Duration)| Earlier {
            metric: metric.0.clone(),
            means: (0..50).map(|n| (n, n as f64)).collect(),
        };
        let known = wanted.metrics.iter().map(known).collect();
        async move { Ok(known) }.boxed()
    }
}

impl Declarations for Process {
    fn follow<'a>(&'a self, _: &'a Tenant, follow: &'a Follow) -> PortResult<'a, ()> {
        let frozen = !follow.back && self.0.frozen.lock().iter().any(|f| f.model == follow.to);
        let follows = !frozen && !self.0.stubborn.lock().contains(&follow.deployment);
        if follows {
            *self.0.declared.lock() = follow.to.clone();
            self.0.followed.lock().push((follow.deployment.clone(), follow.to.clone()));
        }
        async move { if follows { Ok(()) } else { Err(PortError("it has gone mad".into())) } }.boxed()
    }

    fn freeze<'a>(&'a self, _: &'a Tenant, freeze: &'a Freeze) -> PortResult<'a, ()> {
        let deaf = std::mem::take(&mut *self.0.deaf.lock());
        if !deaf {
            self.0.frozen.lock().push(freeze.clone());
        }
        async move { if deaf { Err(PortError("it does not answer".into())) } else { Ok(()) } }.boxed()
    }

    fn author<'a>(&'a self, _: &'a Tenant, _: &'a Name) -> PortResult<'a, Option<String>> {
        *self.0.asked.lock() += 1;
        let author = self.0.author.lock().clone();
        async move { author }.boxed()
    }
}

fn spec(extra: &str) -> RolloutSpec {
    let yaml = format!(
        "{{deployment: churn, candidates: [{{name: v8, model: 'models:/churn@new'}}], warmupExclude: 5s,
          steps: [{{canary: {{weight: 5, minExposures: 50, minDuration: 1m}}}},
                  {{abTest: {{weight: 50, minExposures: 500, minDuration: 1m, maxDuration: 1h}}}}],
          metrics: {{guardrails: [{{name: errors, kind: errors, nonInferiority: 0.02}}],
                     success: [{{name: liked, kind: mean, source: 'label:liked'}}]}},
          decision: {{expectedUnits: 5000}}, rollback: {{keepWarm: 10s{extra}}}}}"
    );
    let spec = crate::spec::tests::parse(&yaml).unwrap();
    spec.validate().unwrap();
    spec
}

/// Ten requests a second; the candidate fails and is liked as often as said.
fn stage(clock: &ManualClock, failing: f64, liked: f64) -> Arc<Stage> {
    use mainspring_core::Clock;
    let mut variants = vec![Behaviour::default(); 2];
    variants[0].labels.insert("liked".into(), (0.3, 0.0));
    variants[1] =
        Behaviour { error_rate: failing, labels: [("liked".to_owned(), (liked, 0.0))].into(), ..Behaviour::default() };
    let world = World { per_hour: 72_000.0, label_delay: SECOND, variants, ..World::default() };
    Arc::new(Stage {
        traffic: Mutex::new(Generator::new(world, 3, clock.now())),
        clock: clock.clone(),
        journal: Mutex::default(),
        dark: Mutex::new(false),
        long: Mutex::new(false),
        tripped: Mutex::default(),
        frozen: Mutex::default(),
        deaf: Mutex::new(false),
        declared: Mutex::new("models:/churn/7".into()),
        opened: Mutex::new(0),
        slow: Mutex::new(0),
        stubborn: Mutex::default(),
        followed: Mutex::default(),
        author: Mutex::new(Ok(Some("key:author".into()))),
        asked: Mutex::new(0),
        said: Mutex::default(),
        questions: Mutex::default(),
        taken_back: Mutex::new(0),
    })
}

/// A process with a controller.
struct Server {
    rollouts: Rollouts,
    controller: Controller,
}

impl Server {
    fn new(db: &Db, ctx: &Ctx, stage: &Arc<Stage>, owner: &str) -> Self {
        let rollouts = Rollouts::new(db.clone(), ctx.clone());
        let process = Arc::new(Process(Arc::clone(stage)));
        let ports =
            Ports { fleet: process.clone(), events: process.clone(), declarations: process.clone(), webhooks: process };
        let controller = Controller::new(rollouts.clone(), ports, owner.to_owned(), Limits::default());
        Self { rollouts, controller }
    }

    async fn order(&self, order: Order) -> Result<Decision, RolloutError> {
        self.rollouts.order(&may(OrderRollout { rollout: Name::new("v8").unwrap(), order, reason: None })).await
    }

    fn phase(&self) -> Phase {
        self.rollouts.status(&read()).unwrap().run.state.phase
    }

    async fn log(&self) -> Vec<Decision> {
        let mut log = self.rollouts.decisions(&read(), None, u64::MAX, 1000).await.unwrap();
        log.reverse();
        log
    }
}

fn start() -> mainspring_core::Authorized<StartRollout> {
    may(StartRollout { rollout: Name::new("v8").unwrap() })
}

fn read() -> mainspring_core::Authorized<ReadRollouts> {
    may(ReadRollouts { rollout: Some(Name::new("v8").unwrap()) })
}

/// Time passes: traffic under the row that replicas have, then a pass of each controller.
async fn pass(stage: &Stage, servers: &mut [&mut Server], seconds: i64) {
    stage.clock.advance(seconds * SECOND);
    let row = servers[0].rollouts.rows().first().and_then(|r| r.row.clone());
    let events = stage.traffic.lock().until(stage.now(), row.as_deref());
    stage.journal.lock().extend(events);
    for server in servers {
        server.controller.pass().await.unwrap();
    }
}

fn contiguous(log: &[Decision]) {
    let seqs: Vec<u64> = log.iter().map(|d| d.seq).collect();
    assert_eq!(seqs, (1..=log.len() as u64).collect::<Vec<_>>());
    assert!(log.windows(2).all(|w| w[0].generation <= w[1].generation && w[0].at <= w[1].at));
}

fn kinds(log: &[Decision]) -> Vec<DecisionKind> {
    log.iter().map(|d| d.kind).collect()
}

/// A better candidate is promoted although its first leader dies half-way.
async fn two_replicas_and_a_killed_leader(temp: TempDb) {
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.5);
    let (mut a, mut b) = (Server::new(&db, &temp.ctx, &stage, "a"), Server::new(&db, &temp.ctx, &stage, "b"));
    a.rollouts.declare(&start(), spec("")).unwrap();
    b.rollouts.declare(&start(), spec("")).unwrap();
    for _ in 0..25 {
        pass(&stage, &mut [&mut a, &mut b], 4).await;
    }
    assert!(a.controller.leads() && !b.controller.leads());
    assert_eq!(b.rollouts.status(&read()).unwrap().run.state.step, 1, "the other replica reads what was decided");
    assert_eq!(a.rollouts.rows(), b.rollouts.rows());
    // The leader dies; the other one folds the journal again and goes on.
    let lease = a.controller.leader.lease().cloned().unwrap();
    drop(a);
    let before = b.log().await;
    for _ in 0..60 {
        pass(&stage, &mut [&mut b], 4).await;
    }
    assert!(b.controller.leads());
    assert_eq!(*stage.opened.lock(), 2, "each leader opens the journal once");
    let log = b.log().await;
    contiguous(&log);
    assert_eq!(log[..before.len()], before);
    assert_eq!(b.phase(), Phase::Succeeded, "{:?}", kinds(&log));
    let promoted = log.iter().find(|d| d.kind == DecisionKind::Promoted).unwrap();
    assert!(promoted.evidence.as_ref().unwrap().metric("liked").unwrap().units[1] > 500);
    assert_eq!(*stage.declared.lock(), "models:/churn/8");
    assert!(b.rollouts.rows()[0].row.is_none(), "the deployment itself serves it");
    // The whole run, folded again from the journal, gives the same decisions: also those of the dead leader.
    let record = b.rollouts.record(&read(), None).await.unwrap();
    let replayed = crate::replay(record, stage.journal.lock().clone());
    assert!(replayed.exact(), "{:?}", replayed.diverged.or(replayed.numbers.first().cloned()).map(|d| d.what));
    assert_eq!(replayed.same, log.len() as u64);
    // The journal is told of everything, once and in order.
    let told = db.outbox_take(mainspring_core::event::Decision::TOPIC, 1000).await.unwrap();
    let told: Vec<mainspring_core::event::Decision> =
        told.into_iter().map(|e| serde_json::from_value(e.body).unwrap()).collect();
    assert_eq!(told.iter().map(|d| d.sequence).collect::<Vec<_>>(), (1..=log.len() as u64).collect::<Vec<_>>());
    assert!(told.iter().zip(&log).all(|(told, d)| told.sentence == d.sentence && told.by == "Rollout/v8"));
    assert!(told.iter().zip(&log).all(|(told, d)| told.numbers["weights"] == serde_json::json!(d.weights)));
    // What the dead leader still wanted to write is refused.
    let run = b.rollouts.current(&Tenant::default(), &Name::new("v8").unwrap()).await.unwrap().unwrap();
    let machine = crate::Machine { name: "v8", spec: &run.spec };
    let old = crate::State { phase: Phase::Step, ..run.state.clone() };
    let done = machine.order(&old, Order::Pause, &Who::new("a"), stage.now()).unwrap();
    let ids = std::array::from_fn(|_| temp.ctx.event_id());
    let late = b.rollouts.commit(vec![Arc::new(Change { run, done, ids, lease: Some(lease), audit: None })]).await;
    assert!(matches!(late, Err(RolloutError::Store(mainspring_store::StoreError::LeaseLost { .. }))), "{late:?}");
    assert_eq!(b.log().await, log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_and_a_killed_leader_on_sqlite() {
    two_replicas_and_a_killed_leader(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_and_a_killed_leader_on_postgres() {
    two_replicas_and_a_killed_leader(TempDb::postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_decided_or_shown_while_a_long_past_is_read() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.3);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    a.rollouts.declare(&start(), spec("")).unwrap();
    for _ in 0..10 {
        pass(&stage, &mut [&mut a], 4).await;
    }
    drop(a);
    *stage.long.lock() = true;
    let mut b = Server::new(&db, &temp.ctx, &stage, "b");
    for _ in 0..30 {
        pass(&stage, &mut [&mut b], 4).await;
    }
    let before = b.log().await;
    assert!(b.controller.leads() && b.phase() == Phase::Step);
    assert_eq!(before.last().unwrap().kind, DecisionKind::Advanced, "it is not even said to be held");
    assert!(b.rollouts.status(&read()).unwrap().report.is_none(), "a part of the evidence is none");
    *stage.long.lock() = false;
    *stage.tripped.lock() = Some("20 of 30 failed".into());
    for _ in 0..3 {
        pass(&stage, &mut [&mut b], 4).await;
    }
    assert_eq!(b.phase(), Phase::RolledBack, "{:?}", kinds(&b.log().await));
    let replayed = crate::replay(b.rollouts.record(&read(), None).await.unwrap(), stage.journal.lock().clone());
    assert!(replayed.exact(), "{:?}", replayed.diverged.or(replayed.numbers.first().cloned()).map(|d| d.what));
}

/// What is sent to those that were opened is kept for seconds only: they are asked before all others are opened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_opens_as_many_as_one_pass_has_time_for() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.3);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let names: Vec<Name> = (0..4).map(|n| Name::new(&format!("r{n}")).unwrap()).collect();
    for name in &names {
        let of = RolloutSpec { deployment: name.clone(), ..spec("") };
        a.rollouts.declare(&may(StartRollout { rollout: name.clone() }), of).unwrap();
    }
    for _ in 0..4 {
        pass(&stage, &mut [&mut a], 4).await;
    }
    drop(a);
    *stage.slow.lock() = 3 * SECOND;
    let mut b = Server::new(&db, &temp.ctx, &stage, "b");
    while !b.controller.leads() {
        *stage.opened.lock() = 0;
        pass(&stage, &mut [&mut b], 4).await;
    }
    let mut opened = vec![*stage.opened.lock()];
    while *opened.last().unwrap() < 4 && opened.len() < 9 {
        pass(&stage, &mut [&mut b], 1).await;
        opened.push(*stage.opened.lock());
    }
    assert_eq!(opened, [2, 4]);
    pass(&stage, &mut [&mut b], 1).await;
    let reports =
        names.iter().map(|name| b.rollouts.status(&may(ReadRollouts { rollout: Some(name.clone()) })).unwrap());
    assert!(reports.into_iter().all(|status| status.report.is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_candidate_rolls_back_cools_down_and_may_be_tried_again() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.6, 0.3);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    a.rollouts.declare(&start(), spec(", cooldown: 10m")).unwrap();
    for _ in 0..40 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    let log = a.log().await;
    assert_eq!(a.phase(), Phase::RolledBack, "{:?}", kinds(&log));
    assert_eq!(log.iter().find(|d| d.kind == DecisionKind::RolledBack).unwrap().because, ["errors"]);
    assert_eq!(log.last().unwrap().kind, DecisionKind::Closed);
    // The same declaration again begins nothing; a person may, and waits for the cool-down.
    a.rollouts.declare(&start(), spec(", cooldown: 10m")).unwrap();
    pass(&stage, &mut [&mut a], 2).await;
    assert_eq!(a.phase(), Phase::RolledBack);
    a.rollouts.start(&start()).await.unwrap();
    assert!(matches!(a.rollouts.start(&start()).await, Err(RolloutError::Active { .. })));
    pass(&stage, &mut [&mut a], 2).await;
    let view = a.rollouts.status(&read()).unwrap();
    assert_eq!((view.run.number, view.run.state.hold.unwrap().cause), (2, HoldCause::Blocked));
    pass(&stage, &mut [&mut a], 600).await;
    pass(&stage, &mut [&mut a], 2).await;
    let state = a.rollouts.status(&read()).unwrap().run.state;
    assert!(state.generation > log.last().unwrap().generation, "the rows of the deployment count on");
    assert_ne!(state.phase, Phase::Pending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_interfere_and_what_is_deleted_goes_back_to_stable() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.3);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    assert!(matches!(a.order(Order::Abort).await, Err(RolloutError::NotFound { .. })));
    a.rollouts.declare(&start(), spec("")).unwrap();
    for _ in 0..4 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    a.order(Order::Pause).await.unwrap();
    assert!(matches!(a.order(Order::Approve).await, Err(RolloutError::Order(_))));
    for _ in 0..20 {
        pass(&stage, &mut [&mut a], 6).await;
    }
    assert_eq!((a.phase(), a.rollouts.status(&read()).unwrap().run.state.step), (Phase::Paused, 0));
    a.order(Order::Resume).await.unwrap();
    pass(&stage, &mut [&mut a], 2).await;
    assert_eq!(a.rollouts.status(&read()).unwrap().run.state.step, 1, "its time and its units came meanwhile");
    // What is being compared must not change.
    let changed = a.rollouts.declare(&start(), spec(", window: 1h"));
    assert!(matches!(changed, Err(RolloutError::Active { .. })), "{changed:?}");
    a.rollouts.withdraw(&start());
    pass(&stage, &mut [&mut a], 2).await;
    assert_eq!(a.phase(), Phase::RolledBack);
    let log = a.log().await;
    contiguous(&log);
    assert_eq!(log.last().unwrap().by, "the deletion of its declaration");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_does_not_answer_holds_and_a_hard_limit_still_acts() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.5);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    a.rollouts.declare(&start(), spec("")).unwrap();
    for _ in 0..5 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    *stage.dark.lock() = true;
    for _ in 0..30 {
        pass(&stage, &mut [&mut a], 10).await;
    }
    let state = a.rollouts.status(&read()).unwrap().run.state;
    assert_eq!((state.step, state.hold.unwrap().cause), (0, HoldCause::NoNews));
    *stage.tripped.lock() = Some("replica b: 30 of 50 failed".into());
    pass(&stage, &mut [&mut a], 1).await;
    assert_eq!(a.phase(), Phase::RolledBack);
    assert!(a.log().await.last().unwrap().sentence.contains("30 of 50"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_deployment_has_one_rollout_at_a_time() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.3);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    a.rollouts.declare(&start(), spec("")).unwrap();
    pass(&stage, &mut [&mut a], 2).await;
    let other = may(StartRollout { rollout: Name::new("w9").unwrap() });
    a.rollouts.declare(&other, spec("")).unwrap();
    for _ in 0..3 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    let read = may(ReadRollouts { rollout: Some(Name::new("w9").unwrap()) });
    let waiting = a.rollouts.status(&read).unwrap().run.state;
    assert_eq!(waiting.hold.clone().unwrap().cause, HoldCause::Blocked);
    assert!(waiting.hold.unwrap().reason.contains("v8"));
    assert_eq!(a.rollouts.list(&may(ReadRollouts { rollout: None })).len(), 2);
    a.order(Order::Abort).await.unwrap();
    for _ in 0..10 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    let state = a.rollouts.status(&read).unwrap().run.state;
    assert!(state.started.is_some() && state.weight() > 0.0, "{:?}", state.hold);
}

/// What keeps a candidate warm after a rollback keeps nobody waiting.
async fn the_next_rollout_takes_the_deployment_over(temp: TempDb) {
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.3);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let warm = || {
        let mut spec = spec("");
        spec.rollback.keep_warm = "1h".parse().unwrap();
        spec
    };
    a.rollouts.declare(&start(), warm()).unwrap();
    for _ in 0..3 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    a.order(Order::Abort).await.unwrap();
    for _ in 0..3 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    assert!(a.rollouts.rows()[0].row.is_some(), "nobody waits: it is kept warm");
    // The next run of the same rollout has it at once, and the end of the last one is in its log.
    a.rollouts.start(&start()).await.unwrap();
    let log = a.rollouts.decisions(&read(), Some(1), u64::MAX, 10).await.unwrap();
    assert_eq!(log[0].kind, DecisionKind::Closed);
    let record = a.rollouts.record(&read(), Some(1)).await.unwrap();
    let replayed = crate::replay(record, stage.journal.lock().clone());
    assert!(replayed.exact(), "{:?}", replayed.diverged.or(replayed.numbers.first().cloned()).map(|d| d.what));
    for _ in 0..3 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    let second = a.rollouts.status(&read()).unwrap().run;
    assert_eq!((second.number, second.state.phase), (2, Phase::Step));
    assert!(second.state.weight() > 0.0 && second.state.generation > log[0].generation);
    // Another rollout has it two passes after this one was aborted.
    a.rollouts.declare(&may(StartRollout { rollout: Name::new("w9").unwrap() }), warm()).unwrap();
    pass(&stage, &mut [&mut a], 2).await;
    a.order(Order::Abort).await.unwrap();
    for _ in 0..3 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    let other = a.rollouts.status(&may(ReadRollouts { rollout: Some(Name::new("w9").unwrap()) })).unwrap().run;
    assert!(other.state.started.is_some(), "{:?}", other.state.hold);
    assert_eq!(a.rollouts.rows()[0].rollout, "w9");
    let log = a.log().await;
    assert!(log.last().unwrap().sentence.contains("rollout \"w9\" waits"), "{}", log.last().unwrap().sentence);
    // Declaring another spec while the candidate is only kept warm is no change of what is compared.
    let mut changed = warm();
    changed.max_duration = "5d".parse().unwrap();
    a.rollouts.declare(&start(), changed).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_rollout_takes_the_deployment_over_on_sqlite() {
    the_next_rollout_takes_the_deployment_over(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_rollout_takes_the_deployment_over_on_postgres() {
    the_next_rollout_takes_the_deployment_over(TempDb::postgres()).await;
}

/// A person's order between a pass's look and its write: the decision is dropped, the evidence is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_faster_costs_no_evidence() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.5);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let b = Rollouts::new(db.clone(), temp.ctx.clone());
    let mut soon = spec("");
    soon.steps[0].canary.as_mut().unwrap().min_exposures = 10;
    a.rollouts.declare(&start(), soon).unwrap();
    for _ in 0..16 {
        pass(&stage, &mut [&mut a], 4).await;
    }
    let key = (Tenant::default(), Name::new("v8").unwrap());
    stage.clock.advance(5 * SECOND);
    let events = stage.traffic.lock().until(stage.now(), a.rollouts.rows()[0].row.as_deref());
    stage.journal.lock().extend(events);
    // The leader has made up its mind, and somebody pauses it in another process.
    assert!(a.controller.lead().await.unwrap());
    let change = a.controller.one(&key, stage.now(), &mut Budget::at(stage.now())).await.unwrap().unwrap();
    assert_eq!(change.done.decision.kind, DecisionKind::Advanced);
    b.order(&may(OrderRollout { rollout: key.1.clone(), order: Order::Pause, reason: None })).await.unwrap();
    let written = super::write(a.rollouts.clone(), vec![(key.clone(), Arc::new(change))]).await;
    a.controller.believe(written).unwrap();
    let units = a.rollouts.status(&read()).unwrap().report.unwrap().units.clone();
    pass(&stage, &mut [&mut a], 2).await;
    assert_eq!((a.phase(), a.rollouts.status(&read()).unwrap().run.state.step), (Phase::Paused, 0));
    let after = a.rollouts.status(&read()).unwrap().report.unwrap().units.clone();
    assert!(after[0] >= units[0] && units[0] > 100, "{after:?} after {units:?}");
    assert_eq!(*stage.opened.lock(), 1, "the journal is not read again");
}

/// Somebody has changed the database by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_that_cannot_begin_holds_up_no_other() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.3);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let warm = |most: &str| {
        let mut spec = spec("");
        spec.rollback.keep_warm = "1h".parse().unwrap();
        spec.max_duration = most.parse().unwrap();
        spec
    };
    a.rollouts.declare(&start(), warm("4d")).unwrap();
    for _ in 0..3 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    a.order(Order::Abort).await.unwrap();
    pass(&stage, &mut [&mut a], 2).await;
    let shift = |sql: &'static str| mainspring_testkit::db::execute(&db, sql, Vec::new());
    shift("UPDATE rollout_row SET generation = generation + 70").await.unwrap();
    // Its next run cannot take the row over.
    a.rollouts.declare(&start(), warm("5d")).unwrap();
    let other = Name::new("w9").unwrap();
    let elsewhere = RolloutSpec { deployment: Name::new("other").unwrap(), ..spec("") };
    a.rollouts.declare(&may(StartRollout { rollout: other.clone() }), elsewhere).unwrap();
    for _ in 0..4 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    let number = |server: &Server| server.rollouts.status(&read()).unwrap().run.number;
    let begun = a.rollouts.status(&may(ReadRollouts { rollout: Some(other) })).unwrap().run.state.started;
    assert!(begun.is_some() && number(&a) == 1, "{begun:?}");
    // It is tried again, more rarely.
    shift("UPDATE rollout_row SET generation = generation - 70 WHERE rollout = 'v8'").await.unwrap();
    pass(&stage, &mut [&mut a], 10).await;
    assert_eq!(number(&a), 2);
}

#[test]
fn trouble_is_said_once_and_tried_ever_more_rarely() {
    let mut trouble = feed::Trouble::default();
    let mut now = Timestamp(0);
    let (mut said, mut tries) = (0, 0);
    while now < Timestamp(600 * SECOND) {
        if trouble.over(now) {
            tries += 1;
            said += u32::from(trouble.comes(now));
        }
        now = now.plus_micros(SECOND);
    }
    assert_eq!(said, 1);
    assert!((10..20).contains(&tries), "1 + 2 + 4 + … + 60 s: {tries}");
    assert!(trouble.ends() && !trouble.ends());
    assert!(trouble.over(now), "what works is asked each second again");
}

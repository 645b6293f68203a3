//! Whole rollouts of real models, from the declaration to the end: ONNX Runtime, serving, the registry, the journal and the
//! controller as a server has them, and a clock that moves when told to. A day of traffic and a week of labels take seconds.

use super::*;
use crate::ports::{Models, Recorder};
use mainspring_core::event::{About, Feedback, FeedbackValue};
use mainspring_core::{DType, EventId, IdGen, ManualClock, NamedTensor, Protocol, SeededIds, Tensor, Timestamp};
use mainspring_engine_onnx::OnnxRuntime;
use mainspring_journal::{Journal, JournalSettings, SendFeedback};
use mainspring_registry::actions::{CreateModel, CreateRun, CreateVersion, SetAlias};
use mainspring_registry::{ModelUri, NewRun, NewVersion};
use mainspring_resource::{Apply, Kinds, Resources};
use mainspring_rollout::machine::HoldCause;
use mainspring_rollout::{Answer, Decision, DecisionKind, Limits, Phase, Ports, Question, Said, Webhooks};
use mainspring_serving::{Ask, DeploymentSpec, Describe, GivenParams, Infer, InferRequest};
use mainspring_testkit::{TempArtifacts, TempDb, eventually, may, onnxruntime, open_gate};
use mainspring_traffic::RequestHead;
use std::path::Path;
use std::time::Instant;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
/// How long a leader can keep silent.
const RENEWS: i64 = 8 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;

struct NoWebhooks;

impl Webhooks for NoWebhooks {
    fn ask(&self, _: Question) -> futures::future::BoxFuture<'_, Answer> {
        Box::pin(std::future::ready(Answer::new(Said::Yes("answered 200".into()))))
    }
}

/// A request of a user.
struct User(String);

impl RequestHead for User {
    fn header(&self, name: &str) -> Option<&[u8]> {
        (name == "x-user-id").then_some(self.0.as_bytes())
    }

    fn find<'a>(&'a self, name: &str, find: &mut dyn FnMut(&'a [u8]) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        self.header(name).and_then(find)
    }
}

/// What became of a request.
struct Answered {
    /// Nothing where it failed.
    id: Option<EventId>,
    at: Timestamp,
    candidate: bool,
    right: bool,
}

/// A server, its deployment `lump` of a model that guesses, and a candidate.
struct World {
    rollouts: Rollouts,
    controller: mainspring_rollout::Controller,
    serving: Serving,
    registry: Registry,
    journal: Journal,
    gate: Gate,
    clock: ManualClock,
    ids: SeededIds,
    users: u64,
    answers: Vec<Answered>,
    _kept: (TempDb, TempArtifacts, tempfile::TempDir),
}

fn lump() -> Name {
    Name::new("lump").unwrap()
}

impl World {
    /// Version 1 of the model is `weak`, which is right as often as not; version 2 is `candidate`.
    async fn new(candidate: &str) -> Self {
        let temp = TempDb::sqlite();
        let (artifacts, folder) = (TempArtifacts::local(), tempfile::tempdir().unwrap());
        let (db, ctx) = (temp.open_with(crate::wiring::MIGRATIONS).await, temp.ctx.clone());
        let registry = Registry::open(db.clone(), artifacts.store.clone(), ctx.clone()).await.unwrap();
        registry.create_model(&may(CreateModel::on("lump")), "lump", Vec::new(), None).await.unwrap();
        for (version, model) in ["weak", candidate].into_iter().enumerate() {
            let run = registry.create_run(&may(CreateRun::any()), NewRun::default()).await.unwrap().info;
            let (source, run_id) = (format!("{}/model", run.artifact_uri), Some(run.id));
            let new = NewVersion { name: "lump".into(), source, run_id, ..NewVersion::default() };
            registry.create_version(&may(CreateVersion::on("lump")), new).await.unwrap();
            let uri: ModelUri = format!("models:/lump/{}", version + 1).parse().unwrap();
            let at = registry.resolve(&Tenant::default(), &uri).await.unwrap().artifacts.join("model.onnx").unwrap();
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data").join(format!("{model}.onnx"));
            artifacts.store.put_file(&at, &file).await.unwrap();
        }
        registry.set_alias(&may(SetAlias::on("lump")), "lump", "live", 1).await.unwrap();

        let settings =
            JournalSettings { emit_every: Duration::from_millis(2), ..JournalSettings::new(folder.path().join("log")) };
        let journal = Journal::open(settings, artifacts.store.clone(), db.clone(), ctx.clone()).await.unwrap();
        let gate = open_gate(Arc::clone(&ctx.clock));
        let models = Models { registry: registry.clone(), artifacts: artifacts.store.clone(), gate: gate.clone() };
        let recorder = Recorder { journal: journal.clone(), tracer: None };
        let engine = OnnxRuntime::open(onnxruntime().as_deref(), 1);
        assert!(engine.library().is_ok(), "{:?}: run `make setup` first", engine.library());
        let serving = Serving::new(vec![Arc::new(engine)], Arc::new(models), Arc::new(recorder), ctx.clone());
        serving.deploy(&may(Deploy { deployment: lump() }), DeploymentSpec::new("models:/lump@live")).unwrap();
        serving.settled(&may(Describe { deployment: None }), &lump()).await.unwrap();

        let deployments = Kind::of("Deployment", "", Value::Null, |_, _: &DeploymentSpec| Ok(()));
        let resources =
            Resources::new(db.clone(), Kinds::new(vec![deployments, mainspring_rollout::kind()]), ctx.clone());
        let text = "apiVersion: mainspring/v1\nkind: Deployment\nname: lump\nmodel: models:/lump@live\n";
        let document = mainspring_resource::parse(text, "test").unwrap().remove(0);
        let apply = may(Apply { kind: "deployment".into(), name: "lump".into() });
        resources.apply(vec![(apply, document)]).await.unwrap();

        let rollouts = Rollouts::new(db, ctx.clone());
        let rehearsals = Rehearsals::new(journal.clone(), serving.clone(), registry.clone(), gate.clone(), ctx.clone());
        let (of_fleet, of_registry) = (serving.clone(), registry.clone());
        let fleet = Replica { serving: of_fleet, registry: of_registry, gate: gate.clone(), rehearsals };
        let ports = Ports {
            fleet: Arc::new(fleet),
            events: Arc::new(JournalEvents::new(journal.clone(), gate.clone(), ctx)),
            declarations: Arc::new(Declarer { registry: registry.clone(), resources, gate: gate.clone() }),
            webhooks: Arc::new(NoWebhooks),
        };
        let controller = mainspring_rollout::Controller::new(rollouts.clone(), ports, "one".into(), Limits::default());
        Self {
            rollouts,
            controller,
            serving,
            registry,
            journal,
            gate,
            clock: temp.clock.clone(),
            ids: SeededIds::new(7),
            users: 0,
            answers: Vec::new(),
            _kept: (temp, artifacts, folder),
        }
    }

    /// The same, with its rollout in the first step.
    async fn rolling(candidate: &str, more: Value) -> Self {
        let mut world = Self::new(candidate).await;
        let mut spec = json!({
            "deployment": "lump", "candidates": [{"name": "next", "model": "models:/lump/2"}],
            "assignment": {"unit": "header:x-user-id"}, "warmupExclude": "0ms",
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let spec: RolloutSpec = serde_json::from_value(spec).unwrap();
        world.rollouts.declare(&may(StartRollout { rollout: lump() }), spec).unwrap();
        for _ in 0..20 {
            if world.state().is_some_and(|state| state.phase == Phase::Step) {
                return world;
            }
            world.turn(SECOND).await;
        }
        panic!("it does not begin: {:?}", world.state());
    }

    fn now(&self) -> Timestamp {
        use mainspring_core::Clock;
        self.clock.now()
    }

    fn state(&self) -> Option<mainspring_rollout::State> {
        let read = may(ReadRollouts { rollout: Some(lump()) });
        Some(self.rollouts.status(&read)?.run.state.clone())
    }

    fn phase(&self) -> Phase {
        self.state().unwrap().phase
    }

    /// Time passes, what was answered reaches the journal, the controller looks once, and serving hears of it.
    async fn turn(&mut self, micros: i64) {
        // A leader that says nothing for ten seconds is succeeded, and its successor reads the journal from the beginning.
        let renewed = if micros > MINUTE { 0 } else { (micros - 1) / RENEWS };
        for _ in 0..renewed {
            self.clock.advance(RENEWS);
            self.controller.pass().await.unwrap();
        }
        self.clock.advance(micros - renewed * RENEWS);
        let (now, journal) = (self.now(), self.journal.clone());
        journal.flush().await.unwrap();
        eventually("the journal is up to now", || std::future::ready(journal.fed_until() >= now)).await;
        self.registry.refresh().await.unwrap();
        self.controller.pass().await.unwrap();
        for routing in self.rollouts.rows().iter() {
            let key = (routing.tenant.clone(), routing.deployment.clone());
            hand(&self.serving, &self.gate, &key, routing.row.clone()).unwrap();
        }
        self.serving.settled(&may(Describe { deployment: None }), &lump()).await.unwrap();
    }

    /// Another user asks.
    async fn ask(&mut self) -> &Answered {
        self.users += 1;
        let user = User(format!("user-{}", self.users));
        let number = || (self.ids.random() >> 40) as f32 / (1 << 23) as f32 - 1.0;
        let x = vec![number(), number(), number()];
        let truth = i64::from(x[0] > 0.0);
        let auth = may(Infer { deployment: lump() });
        let picked = self.serving.pick(&auth, Ask { version: None, head: &user }).unwrap();
        let candidate = picked.named().unwrap().as_str() == "next";
        let tensor = Tensor::from_vec(DType::Fp32, vec![1, 3], x).unwrap();
        let request = InferRequest {
            version: None,
            picked: Some(picked),
            client_id: None,
            inputs: vec![NamedTensor { name: "x".into(), tensor }],
            params: GivenParams::default(),
            protocol: Protocol::OipRest,
            deadline: None,
            received: Instant::now(),
        };
        let at = self.now();
        let answered = match self.serving.infer(&auth, request).await {
            Ok(answer) => {
                let right = answer.outputs[0].tensor.to_vec::<i64>().unwrap() == [truth];
                let id = Some(answer.id);
                answer.encoded().await.unwrap();
                Answered { id, at, candidate, right }
            }
            Err(_) => Answered { id: None, at, candidate, right: false },
        };
        self.answers.push(answered);
        self.answers.last().unwrap()
    }

    /// Says of the answers from this one on whether they were right.
    async fn tell(&self, from: usize) {
        let at = self.now();
        let said = self.answers[from..].iter().filter_map(|answered| {
            Some(Feedback {
                event: self.ids.event(at),
                at,
                tenant: Tenant::default(),
                about: About::Prediction(answered.id?),
                row: 0,
                name: "correct".into(),
                value: FeedbackValue::Bool(answered.right),
            })
        });
        self.journal.feedback(&may(SendFeedback), said.collect()).await.unwrap();
    }

    /// So many users ask in each of so many turns, and say at once whether the answer was right, until it is over. A turn takes a
    /// second: the journal looks as seldom for feedback.
    async fn turns(&mut self, turns: usize, (users, takes): (usize, i64), until: Phase) {
        for _ in 0..turns {
            let from = self.answers.len();
            for _ in 0..users {
                self.ask().await;
            }
            self.tell(from).await;
            self.turn(takes).await;
            if self.phase() == until {
                return;
            }
        }
        panic!("after {turns} turns it is {:?}: {:?}", self.state(), self.last().await.sentence);
    }

    /// Nobody asks, and hours pass until the controller has seen it: a long past is read in parts, and looks of one that lasts for
    /// days are an hour apart.
    async fn until(&mut self, seen: impl Fn(&mainspring_rollout::State) -> bool) {
        for _ in 0..20 {
            if seen(&self.state().unwrap()) {
                return;
            }
            self.turn(60 * MINUTE).await;
        }
        panic!("it is {:?}: {:?}", self.state(), self.last().await.sentence);
    }

    async fn decisions(&self) -> Vec<Decision> {
        let read = may(ReadRollouts { rollout: Some(lump()) });
        let mut log = self.rollouts.decisions(&read, None, u64::MAX, 1000).await.unwrap();
        log.reverse();
        log
    }

    async fn last(&self) -> Decision {
        self.decisions().await.pop().unwrap()
    }

    /// The version that the alias means, and the part of the users who met the candidate.
    async fn outcome(&self) -> (String, f64) {
        let uri: ModelUri = "models:/lump@live".parse().unwrap();
        let version = self.registry.resolve(&Tenant::default(), &uri).await.unwrap().version;
        let met = self.answers.iter().filter(|a| a.candidate).count() as f64;
        (version, met / self.answers.len() as f64)
    }
}

/// Whether the answers are right.
fn correct(more: Value) -> Value {
    let mut metric = json!({"name": "correct", "kind": "mean", "source": "label:correct"});
    metric.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    metric
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_better_model_ships_and_its_window_passes() {
    let steps = json!([{"canary": {"weight": 10, "minExposures": 20, "minDuration": "5m"}},
                       {"abTest": {"weight": 50, "minExposures": 100, "minDuration": "10m", "maxDuration": "14d"}}]);
    let metrics = json!({"guardrails": [{"name": "errors", "kind": "errors", "nonInferiority": 0.05}], "success": [correct(json!({}))]});
    let more = json!({"steps": steps, "metrics": metrics, "rollback": {"window": "7d"}});
    let mut world = World::rolling("good", more).await;
    world.turns(40, (150, 5 * MINUTE), Phase::Watching).await;
    assert_eq!(world.outcome().await.0, "2");
    // What ships answers everybody.
    let from = world.answers.len();
    for _ in 0..50 {
        world.ask().await;
    }
    assert!(world.answers[from..].iter().all(|a| a.right));
    world.turn(6 * DAY).await;
    assert_eq!(world.phase(), Phase::Watching);
    world.turn(DAY).await;
    world.until(|state| state.phase == Phase::Succeeded).await;
    let log = world.decisions().await;
    let kinds: Vec<DecisionKind> = log.iter().map(|d| d.kind).collect();
    let promoted = log.iter().find(|d| d.kind == DecisionKind::Promoted).unwrap();
    let last = log.last().unwrap();
    assert_eq!(last.kind, DecisionKind::Succeeded, "{kinds:?}");
    assert!((last.at.micros() - promoted.at.micros()) / DAY >= 7, "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worse_model_is_out_within_its_first_steps_before_two_percent_met_it() {
    let steps = json!([{"canary": {"weight": 1, "minExposures": 30, "minDuration": "3h"}},
                       {"canary": {"weight": 5, "minExposures": 200, "minDuration": "20m"}},
                       {"abTest": {"weight": 50, "minExposures": 1000, "minDuration": "1h", "maxDuration": "14d"}}]);
    let metrics = json!({"guardrails": [correct(json!({"nonInferiority": 0.05}))]});
    let more = json!({"steps": steps, "metrics": metrics, "decision": {"ship": "notWorse"}});
    let mut world = World::rolling("wrong", more).await;
    world.turns(40, (600, 20 * MINUTE), Phase::RolledBack).await;
    let last = world.decisions().await.into_iter().find(|d| d.kind == DecisionKind::RolledBack).unwrap();
    assert!(last.because.contains(&"correct".to_owned()) && last.step <= 1, "{last:?}");
    let (version, met) = world.outcome().await;
    assert!(version == "1" && met < 0.02, "{version}, {met}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_model_is_caught_by_its_99th_percentile() {
    let steps = json!([{"canary": {"weight": 20, "minExposures": 100_000, "minDuration": "1h"}}]);
    let metrics =
        json!({"guardrails": [{"name": "p99", "kind": "quantile", "source": "latency", "q": 0.99, "margin": 2.0}]});
    let mut world =
        World::rolling("slow", json!({"steps": steps, "metrics": metrics, "decision": {"ship": "notWorse"}})).await;
    world.turns(40, (100, MINUTE), Phase::RolledBack).await;
    let last = world.decisions().await.into_iter().find(|d| d.kind == DecisionKind::RolledBack).unwrap();
    assert_eq!(last.because, ["p99"], "{last:?}");
    let right = |candidate: bool| world.answers.iter().filter(|a| a.candidate == candidate && a.right).count();
    assert!(right(true) > 0 && right(false) > 0, "it answered, and slowly");
}

/// A hundred requests a second, of which a fifth goes to a model that fails at all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashing_model_is_out_after_seconds_of_traffic() {
    let steps = json!([{"canary": {"weight": 20, "minExposures": 100_000, "minDuration": "1h"}}]);
    let limits = json!({"errorRate": 0.3, "window": "30s", "minRequests": 10});
    let mut world =
        World::rolling("broken", json!({"steps": steps, "hardLimits": limits, "decision": {"ship": "noHarm"}})).await;
    for n in 1..2_000 {
        world.clock.advance(SECOND / 100);
        world.ask().await;
        if n % 100 == 0 {
            world.turn(0).await;
            if world.phase() == Phase::RolledBack {
                break;
            }
        }
    }
    let failed: Vec<&Answered> = world.answers.iter().filter(|a| a.id.is_none()).collect();
    assert!(failed.iter().all(|a| a.candidate) && (10..=12).contains(&failed.len()), "{} failed", failed.len());
    let out = world.decisions().await.into_iter().find(|d| d.kind == DecisionKind::RolledBack).unwrap();
    assert!(out.sentence.contains("hard limit"), "{}", out.sentence);
    let since = |at: Timestamp| at.micros() - failed[0].at.micros();
    assert!(since(failed.last().unwrap().at) < 5 * SECOND && since(out.at) < 5 * SECOND, "{}", since(out.at));
    assert_eq!(world.outcome().await.0, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_biased_assignment_is_not_decided_on() {
    let steps = json!([{"abTest": {"weight": 50, "minExposures": 600, "minDuration": "1m", "maxDuration": "14d"}}]);
    let mut world = World::rolling("good", json!({"steps": steps, "metrics": {"success": [correct(json!({}))]}})).await;
    for _ in 0..6 {
        let from = world.answers.len();
        for _ in 0..250 {
            let next = format!("user-{}", world.users + 1);
            let row = world.rollouts.rows()[0].row.clone().unwrap();
            // Every other user of stable never asks.
            if row.choose(next.as_bytes(), None).variant == 0 && world.users % 2 == 0 {
                world.users += 1;
                continue;
            }
            world.ask().await;
        }
        world.tell(from).await;
        world.turn(MINUTE).await;
    }
    world.until(|state| state.hold.as_ref().is_some_and(|hold| hold.cause == HoldCause::Untrusted)).await;
    assert_eq!(world.phase(), Phase::Step);
    let ended = |d: &Decision| matches!(d.kind, DecisionKind::Promoted | DecisionKind::RolledBack);
    assert!(!world.decisions().await.iter().any(ended));
    assert_eq!(world.outcome().await.0, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_that_come_days_after_a_promotion_reverse_it() {
    let steps = json!([{"abTest": {"weight": 50, "minExposures": 200, "minDuration": "10m", "maxDuration": "14d"}}]);
    let late = json!({"nonInferiority": 0.05, "delay": "3d"});
    let metrics = json!({"guardrails": [{"name": "errors", "kind": "errors", "nonInferiority": 0.1}, correct(late)]});
    let more =
        json!({"steps": steps, "metrics": metrics, "decision": {"ship": "notWorse"}, "rollback": {"window": "7d"}});
    let mut world = World::rolling("wrong", more).await;
    for _ in 0..40 {
        for _ in 0..150 {
            world.ask().await;
        }
        world.turn(5 * MINUTE).await;
        if world.phase() == Phase::Watching {
            break;
        }
    }
    assert_eq!((world.phase(), world.outcome().await.0.as_str()), (Phase::Watching, "2"));
    world.turn(3 * DAY).await;
    world.tell(0).await;
    world.until(|state| state.phase == Phase::RolledBack).await;
    let log = world.decisions().await;
    let back = log.iter().find(|d| d.kind == DecisionKind::RolledBack).unwrap();
    assert!(back.because.contains(&"correct".to_owned()), "{back:?}");
    assert_eq!((world.phase(), world.outcome().await.0.as_str()), (Phase::RolledBack, "1"));
}

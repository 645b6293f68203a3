//! A webhook is asked by who leads, again until it agrees, and by nobody once it is not waited for.

use super::*;
use crate::ports::Said;
use futures::future::BoxFuture;

/// Tells the stage when the question is taken back.
struct Waits(Arc<Stage>);

impl Drop for Waits {
    fn drop(&mut self) {
        *self.0.taken_back.lock() += 1;
    }
}

impl Webhooks for Process {
    fn ask(&self, question: Question) -> BoxFuture<'_, Answer> {
        self.0.questions.lock().push(question);
        let said = self.0.said.lock().clone();
        let waits = said.is_none().then(|| Waits(Arc::clone(&self.0)));
        Box::pin(async move {
            let _waits = waits;
            match said {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

fn gated() -> RolloutSpec {
    let hook = |name: &str| serde_json::json!({"name": name, "url": "https://board.example.com/", "secret": {"file": "board"}});
    let mut spec = spec("");
    spec.preflight.webhooks = serde_json::from_value(serde_json::json!([hook("tests")])).unwrap();
    spec.approvals =
        serde_json::from_value(serde_json::json!([{"before": "abTest", "webhook": hook("board")}])).unwrap();
    spec.validate().unwrap();
    spec
}

/// Passes of a second each; the questions come to their answers between them.
async fn passes(stage: &Stage, server: &mut Server, seconds: usize) {
    for _ in 0..seconds {
        pass(stage, &mut [server], 1).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn until(stage: &Stage, server: &mut Server, done: impl Fn(&Server) -> bool) {
    for _ in 0..400 {
        passes(stage, server, 1).await;
        if done(server) {
            return;
        }
    }
    panic!("{:?}", server.log().await.last());
}

fn reason(server: &Server) -> Option<String> {
    Some(server.rollouts.status(&read()).unwrap().run.state.hold.clone()?.reason)
}

async fn a_gate_outlives_who_asks(temp: TempDb) {
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.5);
    let (mut a, mut b) = (Server::new(&db, &temp.ctx, &stage, "a"), Server::new(&db, &temp.ctx, &stage, "b"));
    for server in [&a, &b] {
        server.rollouts.declare(&start(), gated()).unwrap();
    }
    // It hangs, and nothing goes on.
    for _ in 0..10 {
        pass(&stage, &mut [&mut a, &mut b], 1).await;
    }
    assert_eq!(
        (a.phase(), stage.questions.lock().len()),
        (Phase::Preflight, 1),
        "one question at a time, by one server"
    );
    // It refuses: both servers show why.
    *stage.said.lock() = Some(Answer::new(Said::No("answered 403: 3 tests are red".into())));
    a.controller.running.values_mut().for_each(|running| running.asking = asking::Asking::default());
    until(&stage, &mut a, |server| reason(server).is_some()).await;
    pass(&stage, &mut [&mut b], 0).await;
    for server in [&a, &b] {
        assert_eq!(reason(server).unwrap(), "webhook tests answered 403: 3 tests are red");
    }
    // Whoever refuses is asked ever more rarely, and at least once a minute.
    let before = stage.questions.lock().len();
    passes(&stage, &mut a, 240).await;
    let asked = stage.questions.lock().len() - before;
    assert!((4..=10).contains(&asked), "{asked} questions in four minutes");
    *stage.said.lock() = Some(Answer::new(Said::Yes("answered 200".into())));
    until(&stage, &mut a, |server| server.phase() == Phase::Step).await;
    assert_eq!(a.log().await.last().unwrap().because, ["signature", "webhook:tests"]);
    // Before the test it hangs again, and who leads dies.
    *stage.said.lock() = None;
    until(&stage, &mut a, |server| matches!(server.phase(), Phase::Approval(_))).await;
    passes(&stage, &mut a, 3).await;
    let asked = stage.questions.lock().len();
    let taken_back = *stage.taken_back.lock();
    drop(a);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(*stage.taken_back.lock(), taken_back + 1, "a question dies with who asked");
    passes(&stage, &mut b, 30).await;
    assert!(b.controller.leads() && matches!(b.phase(), Phase::Approval(_)), "{:?}", b.phase());
    assert_eq!(stage.questions.lock().len(), asked + 1, "the other one asks anew");
    *stage.said.lock() = Some(Answer::new(Said::Yes("answered 200".into())));
    b.controller.running.values_mut().for_each(|running| running.asking = asking::Asking::default());
    until(&stage, &mut b, |server| server.phase() == Phase::Step).await;
    let asked = stage.questions.lock().len();
    until(&stage, &mut b, |server| server.phase() == Phase::Succeeded).await;
    assert_eq!(stage.questions.lock().len(), asked, "what is over is asked by nobody");
    // What the webhooks said is in the decisions, so that they come out again without them.
    let log = b.log().await;
    contiguous(&log);
    let record = b.rollouts.record(&read(), None).await.unwrap();
    let replayed = crate::replay(record, stage.journal.lock().clone());
    assert!(replayed.exact(), "{:?}", replayed.diverged.or(replayed.numbers.first().cloned()).map(|d| d.what));
    assert_eq!(replayed.same, log.len() as u64);
    let mut deaf = b.rollouts.record(&read(), None).await.unwrap();
    let agreed = deaf.decisions.iter_mut().find(|d| d.kind == DecisionKind::Approved).unwrap();
    agreed.facts.as_mut().unwrap().webhooks.clear();
    let diverged = crate::replay(deaf, stage.journal.lock().clone()).diverged.unwrap();
    assert_eq!(diverged.recorded.kind, DecisionKind::Approved, "without the answer it would not have gone on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_outlives_who_asks_on_sqlite() {
    a_gate_outlives_who_asks(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_outlives_who_asks_on_postgres() {
    a_gate_outlives_who_asks(TempDb::postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_says_what_is_known_and_one_that_is_lost_holds_nothing() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.5);
    let mut server = Server::new(&db, &temp.ctx, &stage, "a");
    server.rollouts.declare(&start(), gated()).unwrap();
    *stage.said.lock() = Some(Answer::new(Said::Nothing("did not answer within 10s".into())));
    until(&stage, &mut server, |_| stage.questions.lock().len() == 2).await;
    passes(&stage, &mut server, 1).await;
    assert_eq!(reason(&server), None, "what gets lost once or twice is asked again");
    until(&stage, &mut server, |server| reason(server).is_some()).await;
    assert_eq!(reason(&server).unwrap(), "webhook tests did not answer within 10s");
    assert_eq!(stage.questions.lock().len(), 3);
    *stage.said.lock() = Some(Answer::new(Said::Yes("answered 200".into())));
    until(&stage, &mut server, |server| server.phase() == Phase::Step).await;
    // The next one asks for a pause.
    *stage.said.lock() = Some(Answer { said: Said::No("answered 403".into()), after: Some(Duration::from_secs(300)) });
    until(&stage, &mut server, |server| matches!(server.phase(), Phase::Approval(_))).await;
    let before = stage.questions.lock().len();
    passes(&stage, &mut server, 240).await;
    assert_eq!(stage.questions.lock().len(), before + 1);
    let questions = stage.questions.lock().clone();
    let ids: BTreeSet<&str> = questions.iter().map(|q| q.id.as_str()).collect();
    assert_eq!(ids.len(), questions.len(), "each question has an id of its own");
    let of = |q: &Question| serde_json::from_str::<serde_json::Value>(&q.body).unwrap();
    let (first, last) = (of(&questions[0]), of(questions.last().unwrap()));
    assert_eq!((&first["type"], &first["data"]["before"]), (&"rollout.gate".into(), &"preflight".into()));
    assert_eq!(first["data"]["step"], serde_json::json!({"index": 0, "title": "canary 5%"}));
    assert_eq!(first["data"]["checks"][0]["name"], "signature");
    let data = &last["data"];
    for (name, value) in [("rollout", "v8"), ("deployment", "churn"), ("webhook", "board"), ("before", "abTest")] {
        assert_eq!(data[name], value, "{name}");
    }
    assert_eq!(data["step"], serde_json::json!({"index": 1, "title": "A/B test 50%"}));
    assert_eq!(
        (&data["variants"][1]["model"], &data["variants"][1]["weight"]),
        (&"models:/churn/8".into(), &0.05.into())
    );
    assert!(data["variants"][1]["units"].as_u64().unwrap() >= 50, "{data}");
    let errors = data["metrics"].as_array().unwrap().iter().find(|m| m["name"] == "errors").unwrap();
    assert_eq!((&errors["role"], &errors["finding"]), (&"guardrail".into(), &"unclear".into()));
}

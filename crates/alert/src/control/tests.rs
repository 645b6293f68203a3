//! The controller over a real database, with a fake clock and a receiver in memory.

mod freezing;

use super::deliver::pause;
use super::*;
use crate::alerts::NewSilence;
use crate::notice::Status;
use crate::ports::{Courier, PortError, Refused};
use crate::render::Outgoing;
use crate::signal::{Happening, Severity, Subject};
use crate::spec::ChannelSpec;
use crate::{MIGRATIONS, ReadAlerts, SilenceAlerts};
use futures::future::BoxFuture;
use mainspring_core::{Ctx, ManualClock, Name, SeededIds, Tasks};
use mainspring_store::Db;
use mainspring_testkit::{TempDb, may};
use mainspring_webhook::Vault;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// What stands outside.
#[derive(Default)]
struct Outside {
    /// Bodies that the receiver took, in order, each with its id.
    taken: Mutex<Vec<(String, Value)>>,
    /// What it says instead.
    refuses: Mutex<Option<Refused>>,
    /// It takes a notice, and the process dies before it is written down.
    dies: Mutex<bool>,
    /// A host that takes connections and does not answer.
    hangs: Mutex<Option<&'static str>>,
    objectives: Mutex<Vec<slo::Objective>>,
    counts: Mutex<Vec<Count>>,
    rules: Mutex<Vec<slo::RuleLimit>>,
    judged: Mutex<Vec<Count>>,
    news: Mutex<Vec<Happening>>,
}

struct Receiver(Arc<Outside>);

impl Courier for Receiver {
    fn send(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async move {
            let Outgoing::Http(request) = outgoing else { panic!("no mail is expected") };
            if self.0.hangs.lock().is_some_and(|host| request.url.reveal().contains(host)) {
                std::future::pending::<()>().await;
            }
            if let Some(refused) = self.0.refuses.lock().clone() {
                return Err(refused);
            }
            let header = |name: &str| request.headers.iter().find(|(n, _)| *n == name).unwrap().1.clone();
            self.0.taken.lock().push((header("webhook-id"), serde_json::from_str(&request.body).unwrap()));
            if *self.0.dies.lock() {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }
}

struct World(Arc<Outside>);

impl Happenings for World {
    fn after<'a>(&'a self, known: &'a BTreeMap<String, u64>) -> BoxFuture<'a, Result<Vec<Happening>, PortError>> {
        let at = |h: &Happening| known.get(&h.stream).copied().unwrap_or(0);
        let news: Vec<Happening> = self.0.news.lock().iter().filter(|h| h.position > at(h)).cloned().collect();
        Box::pin(std::future::ready(Ok(news)))
    }
}

impl Traffic for World {
    fn objectives(&self) -> Vec<slo::Objective> {
        self.0.objectives.lock().clone()
    }

    fn minutes(&self, _: &slo::Objective, since: Timestamp) -> Vec<Count> {
        self.0.counts.lock().iter().filter(|c| c.at >= since).copied().collect()
    }

    fn rules(&self) -> Vec<slo::RuleLimit> {
        self.0.rules.lock().clone()
    }

    fn judged(&self, _: &slo::RuleLimit, since: Timestamp) -> Vec<Count> {
        self.0.judged.lock().iter().filter(|c| c.at >= since).copied().collect()
    }
}

struct Stage {
    temp: TempDb,
    db: Db,
    clock: ManualClock,
    outside: Arc<Outside>,
    folder: tempfile::TempDir,
}

fn tenant() -> Tenant {
    Tenant::default()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn channel(yaml: &str) -> ChannelSpec {
    let spec: ChannelSpec = serde_saphyr::from_str(yaml).unwrap();
    spec.validate().unwrap();
    spec
}

const WEBHOOK: &str = "{webhook: {url: 'https://hooks.example.com/a', secret: {file: key}}}";

impl Stage {
    async fn on(temp: TempDb) -> Self {
        let db = temp.open_with(&[MIGRATIONS]).await;
        let clock = temp.clock.clone();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "whsec_c2VjcmV0\n").unwrap();
        Self { temp, db, clock, outside: Arc::default(), folder }
    }

    /// A process: alerts and their controller, with this channel.
    fn process(&self, seed: u64, spec: &str) -> (Alerts, Controller) {
        let ctx = Ctx { clock: Arc::new(self.clock.clone()), ids: Arc::new(SeededIds::new(seed)), tasks: Tasks::new() };
        let courier = Arc::new(Receiver(Arc::clone(&self.outside)));
        let alerts = Alerts::new(self.db.clone(), ctx, Vault::new(self.folder.path()), courier);
        alerts.reached_at("https://ml.example.com/".into());
        alerts.declare(&tenant(), &name("oncall"), channel(spec));
        let world = Arc::new(World(Arc::clone(&self.outside)));
        let ports = Ports { happenings: world.clone(), traffic: world };
        (alerts.clone(), Controller::new(alerts, ports, format!("process-{seed}"), format!("replica-{seed}")))
    }

    fn pass_time(&self, seconds: i64) {
        self.clock.advance(seconds * SECOND);
    }

    fn now(&self) -> Timestamp {
        use mainspring_core::Clock;
        self.clock.now()
    }

    fn taken(&self) -> Vec<Value> {
        self.outside.taken.lock().iter().map(|(_, body)| body.clone()).collect()
    }

    /// Passes and waits for what is sent.
    async fn turn(&self, controller: &mut Controller) {
        controller.pass().await.unwrap();
        controller.sent().await;
    }

    async fn sql(&self, sql: &'static str) -> Vec<i64> {
        let read = self.db.read(move |c| {
            async move {
                let rows = c.query(sql, vec![]).await?;
                rows.iter().map(|r| r.int("n")).collect::<Result<Vec<i64>, StoreError>>()
            }
            .boxed()
        });
        read.await.unwrap()
    }
}

fn burn(active: bool) -> Signal {
    let labels = BTreeMap::from([("deployment".to_owned(), "churn".to_owned())]);
    let subject = Subject {
        name: "Drift".into(),
        source: Source::Drift,
        severity: Severity::Page,
        labels,
        sentence: if active { "age drifted".into() } else { "age is as it was".into() },
        numbers: json!({"e": 40.0}),
        query: Some("SELECT 1".into()),
        runbook: Some("https://wiki/drift".into()),
        page: Some("/ui/deployments/churn".into()),
    };
    Signal { subject, active, keep: Duration::ZERO }
}

fn refused(for_good: bool) -> Refused {
    Refused { reason: "it answered 503".into(), for_good, after: None }
}

async fn an_alert_is_told_repeated_and_taken_back(temp: TempDb) {
    let stage = Stage::on(temp).await;
    let (alerts, mut controller) = stage.process(1, WEBHOOK);
    alerts.observe(&tenant(), burn(true)).await.unwrap();
    alerts.observe(&tenant(), burn(true)).await.unwrap();
    stage.turn(&mut controller).await;
    assert!(stage.taken().is_empty(), "it waits for others of its group");
    stage.pass_time(30);
    stage.turn(&mut controller).await;
    stage.turn(&mut controller).await;
    let taken = stage.taken();
    assert_eq!(taken.len(), 1);
    let (told, data) = (&taken[0], &taken[0]["data"]);
    assert_eq!((&told["type"], &data["labels"]["deployment"]), (&json!("alert.firing"), &json!("churn")));
    let alert = &data["alerts"][0];
    assert_eq!(alert["link"], "https://ml.example.com/ui/deployments/churn");
    assert_eq!(
        (&alert["numbers"]["e"], &alert["query"], &alert["runbook"]),
        (&json!(40.0), &json!("SELECT 1"), &json!("https://wiki/drift"))
    );
    stage.pass_time(4 * 3600);
    stage.turn(&mut controller).await;
    assert_eq!(stage.taken()[1]["data"]["repeated"], true);
    alerts.observe(&tenant(), burn(false)).await.unwrap();
    stage.pass_time(300);
    stage.turn(&mut controller).await;
    let taken = stage.taken();
    assert_eq!((taken.len(), &taken[2]["type"]), (3, &json!("alert.resolved")));
    assert_eq!(taken[2]["data"]["alerts"][0]["summary"], "age is as it was");
    assert_eq!(taken[2]["data"]["group"], taken[0]["data"]["group"], "a receiver's own alert is one");
    // The journal heard of both ends, once each.
    let events = stage.db.outbox_take(mainspring_core::event::Decision::TOPIC, 10).await.unwrap();
    let said: Vec<_> =
        events.iter().map(|e| (e.body["decision"].as_str().unwrap(), e.body["sequence"].as_u64().unwrap())).collect();
    assert_eq!(said, [("raised", 1), ("resolved", 2)]);
    // Nothing is left but history.
    assert_eq!(stage.sql("SELECT COUNT(*) AS n FROM alert_group").await, [0]);
    let list = alerts.list(&may(ReadAlerts), 10).await.unwrap();
    assert_eq!((list.len(), list[0].phase), (1, Phase::Resolved));
    drop(stage.temp);
}

#[tokio::test]
async fn an_alert_is_told_repeated_and_taken_back_on_sqlite() {
    an_alert_is_told_repeated_and_taken_back(TempDb::sqlite()).await;
}

#[tokio::test]
async fn an_alert_is_told_repeated_and_taken_back_on_postgres() {
    an_alert_is_told_repeated_and_taken_back(TempDb::postgres()).await;
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_under_the_same_id_and_in_order() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let (alerts, mut controller) = stage.process(
        1,
        "{groupWait: 0s, groupInterval: 0s, webhook: {url: 'https://h.example.com/', secret: {file: key}}}",
    );
    *stage.outside.refuses.lock() = Some(refused(false));
    alerts.observe(&tenant(), burn(true)).await.unwrap();
    stage.turn(&mut controller).await;
    stage.turn(&mut controller).await;
    assert_eq!(stage.sql("SELECT attempts AS n FROM alert_delivery").await, [1], "not again at once");
    assert!(alerts.health(&tenant(), &name("oncall")).unwrap().is_err());
    // It is over meanwhile; that must not overtake.
    alerts.observe(&tenant(), burn(false)).await.unwrap();
    stage.pass_time(3);
    stage.turn(&mut controller).await;
    assert_eq!(stage.sql("SELECT attempts AS n FROM alert_delivery ORDER BY id").await, [1, 0]);
    *stage.outside.refuses.lock() = None;
    stage.pass_time(10);
    stage.turn(&mut controller).await;
    stage.turn(&mut controller).await;
    let said: Vec<Value> = stage.taken().iter().map(|t| t["type"].clone()).collect();
    assert_eq!(said, [json!("alert.firing"), json!("alert.resolved")]);
    assert_eq!(alerts.health(&tenant(), &name("oncall")), Some(Ok(())));
}

async fn a_channel_that_does_not_answer_holds_up_no_other(temp: TempDb) {
    let stage = Stage::on(temp).await;
    *stage.outside.hangs.lock() = Some("slow.example.com");
    let (alerts, mut controller) = stage.process(
        1,
        "{groupBy: [column], groupWait: 0s, webhook: {url: 'https://slow.example.com/', secret: {file: key}}}",
    );
    let other = "{groupWait: 0s, webhook: {url: 'https://h.example.com/', secret: {file: key}}}";
    alerts.declare(&tenant(), &name("other"), channel(other));
    for column in 0..20 {
        let mut signal = burn(true);
        signal.subject.labels.insert("column".into(), column.to_string());
        alerts.observe(&tenant(), signal).await.unwrap();
    }
    controller.pass().await.unwrap();
    mainspring_testkit::eventually("the other channel has heard", || async { stage.taken().len() == 1 }).await;
    controller.pass().await.unwrap();
    assert_eq!(stage.sql("SELECT COUNT(*) AS n FROM alert_delivery WHERE attempts > 0").await, [4 + 1]);
}

#[tokio::test]
async fn a_channel_that_does_not_answer_holds_up_no_other_on_sqlite() {
    a_channel_that_does_not_answer_holds_up_no_other(TempDb::sqlite()).await;
}

#[tokio::test]
async fn a_channel_that_does_not_answer_holds_up_no_other_on_postgres() {
    a_channel_that_does_not_answer_holds_up_no_other(TempDb::postgres()).await;
}

#[tokio::test]
async fn a_channel_that_is_declared_anew_hears_of_what_it_no_longer_wants_only_that_it_is_over() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let (alerts, mut controller) = stage.process(1, WEBHOOK);
    let anew = |more: &str| {
        let spec =
            format!("{{{more}, groupWait: 0s, webhook: {{url: 'https://h.example.com/', secret: {{file: key}}}}}}");
        alerts.declare(&tenant(), &name("oncall"), channel(&spec));
    };
    alerts.observe(&tenant(), burn(true)).await.unwrap();
    stage.pass_time(30);
    stage.turn(&mut controller).await;
    // It is to hear of less.
    anew("on: [slo]");
    stage.pass_time(86_400);
    stage.turn(&mut controller).await;
    assert_eq!(stage.taken().len(), 1);
    // It is to hear of all of them together: one group is new, and the old one is not repeated beside it.
    anew("groupBy: []");
    for _ in 0..2 {
        stage.pass_time(86_400);
        stage.turn(&mut controller).await;
    }
    let taken = stage.taken();
    let group = |n: usize| &taken[n]["data"]["group"];
    assert_eq!(taken.len(), 3);
    assert!(group(0) != group(1) && group(1) == group(2));
    alerts.observe(&tenant(), burn(false)).await.unwrap();
    stage.pass_time(86_400);
    stage.turn(&mut controller).await;
    let taken = stage.taken();
    assert!(taken.len() == 5 && taken[3..].iter().all(|t| t["type"] == "alert.resolved"));
    assert_eq!(stage.sql("SELECT COUNT(*) AS n FROM alert_group").await, [0]);
}

#[tokio::test]
async fn what_was_taken_before_the_process_died_comes_again_under_its_id() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let (alerts, mut first) =
        stage.process(1, "{groupWait: 0s, webhook: {url: 'https://h.example.com/', secret: {file: key}}}");
    alerts.observe(&tenant(), burn(true)).await.unwrap();
    *stage.outside.dies.lock() = true;
    first.pass().await.unwrap();
    mainspring_testkit::eventually("the receiver has it", || async { stage.taken().len() == 1 }).await;
    // The process is gone, with its tasks and its lease.
    alerts.ctx.tasks.shutdown(Duration::from_secs(5)).await;
    drop(first);
    *stage.outside.dies.lock() = false;
    let (_, mut second) = stage.process(2, WEBHOOK);
    stage.turn(&mut second).await;
    assert_eq!(stage.taken().len(), 1, "the lease runs on");
    stage.pass_time(61);
    stage.turn(&mut second).await;
    let ids: Vec<String> = stage.outside.taken.lock().iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1], "by which the receiver knows that it has it");
    stage.pass_time(600);
    stage.turn(&mut second).await;
    assert_eq!(stage.taken().len(), 2);
}

#[tokio::test]
async fn only_the_leader_sends_and_a_late_leader_is_fenced_off() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let quick = "{groupWait: 0s, webhook: {url: 'https://h.example.com/', secret: {file: key}}}";
    let (alerts, mut first) = stage.process(1, quick);
    let (_, mut second) = stage.process(2, quick);
    stage.turn(&mut first).await;
    alerts.observe(&tenant(), burn(true)).await.unwrap();
    stage.turn(&mut second).await;
    assert!(stage.taken().is_empty(), "the second does not lead");
    stage.pass_time(11);
    stage.turn(&mut second).await;
    assert_eq!(stage.taken().len(), 1);
    // The first believes that it still leads.
    let late = first.make_notices(stage.now()).await;
    assert!(late.is_ok() || matches!(late, Err(AlertError::Store(StoreError::LeaseLost { .. }))));
    alerts
        .observe(
            &tenant(),
            Signal { subject: Subject { severity: Severity::Ticket, ..burn(true).subject }, ..burn(true) },
        )
        .await
        .unwrap();
    stage.pass_time(301);
    let late = first.make_notices(stage.now()).await;
    assert!(matches!(late, Err(AlertError::Store(StoreError::LeaseLost { .. }))), "{late:?}");
    assert_eq!(stage.sql("SELECT COUNT(*) AS n FROM alert_delivery").await, [1]);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_holds_up_nobody_else() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let (alerts, mut controller) = stage.process(1, WEBHOOK);
    let other = |active| {
        let mut signal = burn(active);
        signal.subject.labels.insert("deployment".into(), "fraud".into());
        signal
    };
    alerts.observe(&tenant(), burn(true)).await.unwrap();
    alerts.observe(&tenant(), other(true)).await.unwrap();
    stage.turn(&mut controller).await;
    for table in ["alert", "alert_group", "alert_delivery"] {
        let sql = format!(
            "UPDATE {table} SET body = '{{' WHERE tenant = 'default' AND {} = (SELECT min({}) FROM {table})",
            if table == "alert" { "fingerprint" } else { "1" },
            if table == "alert" { "fingerprint" } else { "1" },
        );
        let write =
            stage.db.write(move |c| async move { c.execute(&sql, vec![]).await.map_err(AlertError::from) }.boxed());
        assert!(write.await.unwrap() > 0 || table != "alert", "{table}");
    }
    stage.pass_time(30);
    stage.turn(&mut controller).await;
    let told: Vec<Value> = stage.taken().iter().map(|t| t["data"]["labels"]["deployment"].clone()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(alerts.list(&may(ReadAlerts), 10).await.unwrap().len(), 1);
    // What is said of the alert again begins anew in its place.
    alerts.observe(&tenant(), burn(true)).await.unwrap();
    alerts.observe(&tenant(), other(true)).await.unwrap();
    assert_eq!(alerts.list(&may(ReadAlerts), 10).await.unwrap().len(), 2);
    stage.pass_time(30);
    stage.turn(&mut controller).await;
    stage.pass_time(30);
    stage.turn(&mut controller).await;
    let mut told: Vec<Value> = stage.taken().iter().map(|t| t["data"]["labels"]["deployment"].clone()).collect();
    told.sort_by_key(Value::to_string);
    assert_eq!(told, [json!("churn"), json!("fraud")]);
}

#[tokio::test]
async fn a_rule_that_too_many_rows_break_is_an_alert_until_it_is_no_longer_declared() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let (alerts, mut controller) = stage.process(1, WEBHOOK);
    let limit = slo::RuleLimit {
        tenant: tenant(),
        deployment: name("churn"),
        rule: "age:between".into(),
        over: 0.05,
        window: Duration::from_secs(300),
        minimum: 20,
        severity: Severity::Ticket,
        runbook: None,
        recorded: true,
    };
    stage.outside.rules.lock().push(limit);
    let at = Timestamp(stage.now().micros() - stage.now().micros().rem_euclid(MINUTE));
    stage.outside.judged.lock().push(Count { at, total: 100, bad: 6 });
    stage.turn(&mut controller).await;
    let firing =
        || async { alerts.list(&may(ReadAlerts), 10).await.unwrap().into_iter().map(|a| (a.phase, a.subject)).next() };
    let (phase, subject) = firing().await.unwrap();
    assert_eq!((phase, subject.name.as_str(), subject.source), (Phase::Firing, "RuleBroken", Source::Quality));
    assert!(subject.sentence.contains("6 of 100 rows"), "{}", subject.sentence);
    stage.outside.rules.lock().clear();
    stage.pass_time(15);
    stage.turn(&mut controller).await;
    let (phase, subject) = firing().await.unwrap();
    assert_eq!(phase, Phase::Resolved, "what nobody asks for is not waited for");
    assert_eq!(subject.sentence, "churn no longer declares the rule age:between");
}

#[tokio::test]
async fn a_refusal_for_good_is_not_tried_again_and_a_day_is_enough() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let (alerts, mut controller) =
        stage.process(1, "{groupWait: 0s, webhook: {url: 'https://h.example.com/', secret: {file: key}}}");
    *stage.outside.refuses.lock() = Some(refused(true));
    alerts.observe(&tenant(), burn(true)).await.unwrap();
    stage.turn(&mut controller).await;
    let state = || async {
        let views = alerts.channels(&may(ReadAlerts), 1).await.unwrap();
        views[0].deliveries[0].state
    };
    assert_eq!(state().await, crate::DeliveryState::Refused);
    // The secret is missing for a day.
    std::fs::remove_file(stage.folder.path().join("key")).unwrap();
    alerts.observe(&tenant(), burn(false)).await.unwrap();
    stage.pass_time(300);
    stage.turn(&mut controller).await;
    assert_eq!(state().await, crate::DeliveryState::Waiting);
    stage.pass_time(86_400);
    stage.turn(&mut controller).await;
    assert_eq!(state().await, crate::DeliveryState::Expired);
    let views = alerts.channels(&may(ReadAlerts), 1).await.unwrap();
    assert!(views[0].deliveries[0].error.as_ref().unwrap().contains("cannot be read"));
}

#[tokio::test]
async fn a_silenced_alert_is_not_told_until_the_silence_ends() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let (alerts, mut controller) = stage.process(1, WEBHOOK);
    let (all, one) = (may(SilenceAlerts { id: None }), "deployment=churn".parse().unwrap());
    let new = |matching| NewSilence { matching, length: Duration::from_secs(3600), reason: "known".into() };
    assert!(matches!(alerts.silence(&all, new(vec![])).await, Err(AlertError::BadSilence(_))));
    let silence = alerts.silence(&all, new(vec![one])).await.unwrap();
    alerts.observe(&tenant(), burn(true)).await.unwrap();
    stage.pass_time(3599);
    stage.turn(&mut controller).await;
    assert!(stage.taken().is_empty());
    stage.pass_time(1);
    stage.turn(&mut controller).await;
    assert_eq!(stage.taken().len(), 1);
    let over = alerts.end_silence(&may(SilenceAlerts { id: Some(silence.id) })).await;
    assert!(matches!(over, Err(AlertError::NoSilence { .. })), "it has ended by itself");
}

#[tokio::test]
async fn a_silence_that_cannot_be_read_silences_nothing_and_holds_nothing_up() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let (alerts, mut controller) = stage.process(1, WEBHOOK);
    let until = stage.now().plus_micros(86_400 * SECOND);
    let wrong = [("1", "deployment=~["), ("2", "what?")].map(|(id, matcher)| {
        let body = json!({"id": id, "matching": [matcher], "from": 0, "until": until, "reason": "", "by": "x"});
        (id, body.to_string())
    });
    let write = stage.db.write(move |c| {
        async move {
            for (id, body) in wrong {
                let sql = "INSERT INTO alert_silence (id, tenant, body, ends_at) VALUES ($1, 'other', $2, $3)";
                c.execute(sql, mainspring_store::args![id, body, until]).await?;
            }
            Ok::<_, StoreError>(())
        }
        .boxed()
    });
    write.await.unwrap();
    let (all, one) = (may(SilenceAlerts { id: None }), "objective=\"~[\"".parse().unwrap());
    let new = NewSilence { matching: vec![one], length: Duration::from_secs(3600), reason: "known".into() };
    let kept = alerts.silence(&all, new).await.unwrap();
    for _ in 0..2 {
        assert_eq!(alerts.silences(&may(ReadAlerts)).await.unwrap(), std::slice::from_ref(&kept));
    }
    alerts.observe(&tenant(), burn(true)).await.unwrap();
    stage.pass_time(30);
    stage.turn(&mut controller).await;
    assert_eq!(stage.taken().len(), 1);
}

async fn a_tenant_has_only_so_many_silences(temp: TempDb) {
    let stage = Stage::on(temp).await;
    let (alerts, _) = stage.process(1, WEBHOOK);
    let all = may(SilenceAlerts { id: None });
    let begin = |matchers: usize, reason: &str| {
        let matching = (0..matchers).map(|i| format!("label{i}=x").parse().unwrap()).collect();
        alerts.silence(&all, NewSilence { matching, length: Duration::from_secs(60), reason: reason.to_owned() })
    };
    for (matchers, reason) in [(21, ""), (1, "x".repeat(1025).as_str())] {
        assert!(matches!(begin(matchers, reason).await, Err(AlertError::BadSilence(_))));
    }
    for _ in 0..500 {
        begin(20, "").await.unwrap();
    }
    assert!(matches!(begin(1, "").await, Err(AlertError::TooMany { most: 500 })));
    stage.pass_time(60);
    begin(1, "").await.unwrap();
}

#[tokio::test]
async fn a_tenant_has_only_so_many_silences_on_sqlite() {
    a_tenant_has_only_so_many_silences(TempDb::sqlite()).await;
}

#[tokio::test]
async fn a_tenant_has_only_so_many_silences_on_postgres() {
    a_tenant_has_only_so_many_silences(TempDb::postgres()).await;
}

#[tokio::test]
async fn a_channel_hears_only_what_it_asked_for() {
    let stage = Stage::on(TempDb::sqlite()).await;
    for (n, (spec, hears)) in [
        ("on: [slo]", false),
        ("on: [drift, slo]", true),
        ("severity: page", true),
        ("matching: ['deployment=~ch.*', 'severity=page']", true),
        ("matching: ['deployment!=churn']", false),
    ]
    .into_iter()
    .enumerate()
    {
        let spec = channel(&format!("{{{spec}, webhook: {{url: 'https://h.example.com/', secret: {{file: key}}}}}}"));
        assert_eq!(spec.wants(&burn(true).subject), hears, "{n}");
    }
    let quiet = Subject { severity: Severity::Ticket, ..burn(true).subject };
    assert!(!channel("{severity: page, webhook: {url: 'https://h.example.com/', secret: {file: key}}}").wants(&quiet));
    drop(stage);
}

fn promoted(stream: &str, position: u64, at: Timestamp) -> Happening {
    let subject = Subject { name: "RolledBack".into(), source: Source::Rollout, ..burn(true).subject };
    Happening { stream: stream.into(), tenant: tenant(), position, at, subject: Some(subject) }
}

#[tokio::test]
async fn what_happens_is_told_once_and_what_happened_before_is_not() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let (alerts, mut controller) = stage.process(1, WEBHOOK);
    stage.outside.news.lock().push(promoted("r/1", 1, stage.now().plus_micros(-1)));
    stage.turn(&mut controller).await;
    stage.pass_time(5);
    stage.outside.news.lock().push(promoted("r/1", 2, stage.now()));
    stage.turn(&mut controller).await;
    stage.turn(&mut controller).await;
    // Another process goes on where this one was.
    stage.pass_time(20);
    let (_, mut second) = stage.process(2, WEBHOOK);
    stage.outside.news.lock().push(promoted("r/2", 1, stage.now()));
    stage.turn(&mut second).await;
    let taken = stage.taken();
    assert_eq!(taken.len(), 2);
    assert!(taken.iter().all(|t| t["type"] == "alert.happened" && t["data"]["alerts"][0]["name"] == "RolledBack"));
    assert_eq!(alerts.list(&may(ReadAlerts), 10).await.unwrap().len(), 2);
    assert_eq!(Status::Happened.as_str(), "happened");
}

fn objective() -> slo::Objective {
    slo::Objective {
        tenant: tenant(),
        deployment: name("churn"),
        name: "availability".into(),
        target: 0.99,
        within: None,
        minimum: 20,
        runbook: None,
        answers: None,
    }
}

fn minute(at: Timestamp, total: u64, bad: u64) -> Count {
    Count { at: Timestamp(at.micros() - at.micros().rem_euclid(MINUTE)), total, bad }
}

async fn a_budget_survives_restarts_and_is_of_all_replicas(temp: TempDb) {
    let stage = Stage::on(temp).await;
    *stage.outside.objectives.lock() = vec![objective()];
    let (alerts, mut one) = stage.process(1, WEBHOOK);
    let (_, mut two) = stage.process(2, WEBHOOK);
    stage.outside.counts.lock().push(minute(stage.now(), 1000, 2));
    // Counted by two replicas, each of its own requests; again and again.
    for _ in 0..3 {
        stage.turn(&mut one).await;
        stage.turn(&mut two).await;
        stage.pass_time(15);
    }
    // The running minute grows.
    stage.outside.counts.lock()[0].total = 1500;
    stage.turn(&mut one).await;
    let standing = |alerts: &Alerts| alerts.standings(&may(ReadAlerts))[0].clone();
    let last = *standing(&alerts).burns.last().unwrap();
    assert_eq!((last.total, last.bad), (2500, 4));
    assert!((standing(&alerts).left - (1.0 - 4.0 / 25.0)).abs() < 1e-9);
    // Ten days later, over the same journal, which has forgotten its minutes; and minutes are hours by now.
    stage.pass_time(8 * 3600);
    stage.turn(&mut one).await;
    assert_eq!(stage.sql("SELECT COUNT(*) AS n FROM slo_count WHERE span = 60000000").await, [0]);
    stage.pass_time(10 * 86_400);
    stage.outside.counts.lock().clear();
    let (alerts, mut again) = stage.process(1, WEBHOOK);
    stage.turn(&mut again).await;
    let last = *standing(&alerts).burns.last().unwrap();
    assert_eq!((last.total, last.bad), (2500, 4));
    // After the period it is forgiven.
    stage.pass_time(21 * 86_400);
    stage.turn(&mut again).await;
    assert_eq!(standing(&alerts).left, 1.0);
}

#[tokio::test]
async fn a_budget_survives_restarts_and_is_of_all_replicas_on_sqlite() {
    a_budget_survives_restarts_and_is_of_all_replicas(TempDb::sqlite()).await;
}

#[tokio::test]
async fn a_budget_survives_restarts_and_is_of_all_replicas_on_postgres() {
    a_budget_survives_restarts_and_is_of_all_replicas(TempDb::postgres()).await;
}

#[tokio::test]
async fn a_budget_that_burns_is_an_alert_and_is_over_when_it_does_not() {
    let stage = Stage::on(TempDb::sqlite()).await;
    *stage.outside.objectives.lock() = vec![objective()];
    let (alerts, mut controller) = stage.process(1, "{on: [slo], severity: page, groupWait: 0s, groupInterval: 0s, webhook: {url: 'https://h.example.com/', secret: {file: key}}}");
    let minutes = |good: bool, n: i64| {
        (0..n).map(|i| minute(stage.now().plus_micros(i * MINUTE), 100, if good { 0 } else { 50 })).collect::<Vec<_>>()
    };
    let bad = minutes(false, 3);
    stage.outside.counts.lock().extend(bad);
    stage.pass_time(180);
    stage.turn(&mut controller).await;
    let taken = stage.taken();
    assert_eq!(taken.len(), 1, "the ticket is not for this channel");
    let said = taken[0]["data"]["alerts"][0]["summary"].as_str().unwrap();
    assert!(said.contains("150 of 300 requests failed in 1h, 50.0 times what 99 % allows"), "{said}");
    // Good again: half an hour later no short window of a page burns, and five minutes more have to pass.
    let good = minutes(true, 60);
    stage.outside.counts.lock().extend(good);
    for _ in 0..90 {
        stage.pass_time(30);
        stage.turn(&mut controller).await;
    }
    let types: Vec<Value> = stage.taken().iter().map(|t| t["type"].clone()).collect();
    assert_eq!(types, [json!("alert.firing"), json!("alert.resolved")]);
    // The ticket's alert goes on, until the deployment has no objective any more.
    let firing = |list: Vec<crate::Alert>| list.iter().filter(|a| a.phase == Phase::Firing).count();
    assert_eq!(firing(alerts.list(&may(ReadAlerts), 10).await.unwrap()), 1);
    stage.outside.objectives.lock().clear();
    stage.pass_time(15);
    stage.turn(&mut controller).await;
    let all = alerts.list(&may(ReadAlerts), 10).await.unwrap();
    let over = all.iter().find(|a| a.phase == Phase::Resolved && a.since == stage.now()).unwrap();
    assert_eq!(over.subject.sentence, "churn no longer declares the objective availability");
    assert_eq!(firing(all), 0);
}

#[test]
fn pauses_double_up_to_a_limit_and_heed_the_receiver() {
    let seconds = |attempt, random| pause(attempt, None, random) / SECOND;
    assert_eq!([1, 2, 3, 4, 5].map(|n| seconds(n, 0)), [5, 10, 20, 40, 80]);
    assert_eq!(seconds(40, 0), 600);
    assert_eq!(seconds(u32::MAX, 0), 600);
    assert!((0..1000).all(|r| (600..=720).contains(&seconds(20, r * 1_000_003))));
    assert_eq!(pause(1, Some(Duration::from_secs(90)), 0), 90 * SECOND);
    assert_eq!(pause(1, Some(Duration::from_secs(999_999)), 0), 3600 * SECOND);
}

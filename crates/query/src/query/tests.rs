use super::*;
use mainspring_artifact::Artifacts;
use mainspring_core::event::{About, Decision, Feedback, FeedbackValue};
use mainspring_core::{
    Assignment, Ctx, DType, ErrorKind, EventId, Failure, NamedTensor, Outcome, Prediction, Protocol, Target, Tensor,
    Timestamp, Timing,
};
use mainspring_journal::{JournalSettings, MIGRATIONS, Retention, SendFeedback};
use mainspring_store::{Db, DbSettings, FutureExt, StoreError};
use mainspring_testkit::{PATIENCE, eventually, may, may_in};
use serde_json::{Value, json};
use std::path::Path;

struct World {
    ctx: Ctx,
    db: Db,
    journal: Journal,
    query: Query,
}

async fn open(dir: &Path, limits: Limits) -> World {
    let ctx = Ctx::system();
    let db = Db::open(&DbSettings::sqlite(dir.join("meta.db")), &[MIGRATIONS], &ctx).await.unwrap();
    let artifacts = Artifacts::open(dir.join("artifacts").to_str().unwrap(), &dir.join("cache")).unwrap();
    let settings = JournalSettings { emit_every: Duration::from_millis(5), ..JournalSettings::new(dir.join("log")) };
    let journal = Journal::open(settings, artifacts, db.clone(), ctx.clone()).await.unwrap();
    let query = Query::new(journal.clone(), limits);
    World { ctx, db, journal, query }
}

impl World {
    async fn ask(&self, sql: &str) -> Result<Answer, QueryError> {
        self.query.sql(&may(QueryJournal), sql).await
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        self.ask(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")).values()
    }

    async fn shut_down(self) {
        self.journal.close().await;
        assert!(self.ctx.tasks.shutdown(PATIENCE).await);
    }
}

fn id(n: u64) -> EventId {
    EventId(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(n)))
}

fn numbers(name: &str, values: Vec<f32>) -> NamedTensor {
    let n = values.len();
    NamedTensor { name: name.into(), tensor: Tensor::from_vec(DType::Fp32, vec![n], values).unwrap() }
}

fn words(name: &str, values: &[&str]) -> NamedTensor {
    let values: Vec<_> = values.iter().map(|v| v.as_bytes().to_vec().into()).collect();
    NamedTensor { name: name.into(), tensor: Tensor::from_strings(vec![values.len()], values).unwrap() }
}

fn prediction(n: u64, deployment: &str, inputs: Vec<NamedTensor>) -> Prediction {
    Prediction {
        id: id(n),
        at: Timestamp(1_772_323_200_000_000 + n as i64),
        tenant: Tenant::default(),
        target: Arc::new(Target {
            deployment: deployment.into(),
            variant: if n.is_multiple_of(2) { "even" } else { "odd" }.into(),
            model: deployment.into(),
            version: "1".into(),
            columns: Arc::default(),
        }),
        protocol: Protocol::OipRest,
        client_id: None,
        caller: "key:k1".into(),
        assignment: Assignment::default(),
        outcome: Outcome::Ok,
        rows: 1,
        batch_rows: 1,
        timing: Timing { total_ns: 1500, ..Timing::default() },
        tokens: None,
        cached: None,
        flags: None,
        params: None,
        inputs: inputs.into(),
        outputs: Arc::new([numbers("score", vec![n as f32 / 10.0])]),
    }
}

#[tokio::test]
async fn a_query_right_after_the_answer_sees_it_sealed_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Limits::default()).await;
    let sql = "select variant, count(*) as n from predictions group by 1 order by 1";
    assert_eq!(world.rows(sql).await, Vec::<Vec<Value>>::new());
    (0..5).for_each(|n| world.journal.append(prediction(n, "churn", vec![numbers("age", vec![30.0])])));
    assert_eq!(world.rows(sql).await, [[json!("even"), json!(3)], [json!("odd"), json!(2)]]);
    world.journal.seal().await.unwrap();
    (5..8).for_each(|n| world.journal.append(prediction(n, "churn", vec![numbers("age", vec![40.0])])));
    assert_eq!(world.rows(sql).await, [[json!("even"), json!(4)], [json!("odd"), json!(4)]]);
    let mixed = "select deployment, date, sum(\"in.age\"), max(\"out.score\") from predictions \
                 where date = '2026-03-01' and deployment = 'churn' group by 1, 2";
    assert_eq!(world.rows(mixed).await, [[json!("churn"), json!("2026-03-01"), json!(270.0), json!(0.7)]]);
    assert_eq!(world.rows("select count(*) from predictions where deployment = 'other'").await, [[json!(0)]]);
    let at = world.rows("select at, total_us from predictions order by event_id limit 1").await;
    assert_eq!(at, [[json!("2026-03-01T00:00:00Z"), json!(1.5)]]);
    world.shut_down().await;
}

/// `tests-data/envelope-1` is what the journal wrote before the envelope had `generation`, `context`, `shadow_of` and `flags`:
/// three predictions in a sealed file, two in a log.
#[tokio::test]
async fn a_journal_of_the_first_envelope_is_read_with_null_for_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data/envelope-1"), dir.path());
    let world = open(dir.path(), Limits::default()).await;
    let mut new = prediction(7, "churn", vec![numbers("age", vec![50.0])]);
    new.assignment = Assignment {
        generation: Some(3),
        context: Some(2),
        shadow_of: Some(id(6)),
        unit: Some(9),
        ..Assignment::default()
    };
    new.flags = Some([Some("age:between".into())].into());
    world.journal.append(new);
    let sql = "select \"in.age\", propensity, unit, generation, context, shadow_of, flags, caller from predictions order by event_id";
    let old = |age: f64| {
        let none = Value::Null;
        [json!(age), json!(1.0), none.clone(), none.clone(), none.clone(), none.clone(), none.clone(), none]
    };
    let newest = [
        json!(50.0),
        json!(1.0),
        json!(9),
        json!(3),
        json!(2),
        json!(id(6).to_string()),
        json!("age:between"),
        json!("key:k1"),
    ];
    let expected = [old(30.0), old(30.0), old(30.0), old(40.0), old(40.0), newest];
    assert_eq!(world.rows(sql).await, expected, "in logs of both and a sealed file");
    world.journal.seal().await.unwrap();
    assert_eq!(world.rows(sql).await, expected, "sealed");
    let live = "select count(*) from predictions where shadow_of is null and generation is null";
    assert_eq!(world.rows(live).await, [[json!(5)]]);
    world.shut_down().await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn columns_of_different_deployments_unite_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Limits::default()).await;
    world.journal.append(prediction(1, "a", vec![numbers("x", vec![1.5]), numbers("only_a", vec![7.0])]));
    world.journal.append(prediction(2, "b", vec![words("x", &["text"])]));
    let mut wide = prediction(3, "c", vec![]);
    let tensor = Tensor::from_vec(DType::Fp32, vec![1, 2], vec![1.0_f32, 2.0]).unwrap();
    wide.inputs = Arc::new([NamedTensor { name: "wide".into(), tensor }]);
    world.journal.append(wide);
    let sql = "select deployment, \"in.x\", \"in.only_a\", \"in.wide\" from predictions order by event_id";
    let expected = [
        [json!("a"), json!("1.5"), json!(7.0), Value::Null],
        [json!("b"), json!("text"), Value::Null, Value::Null],
        [json!("c"), Value::Null, Value::Null, json!([1.0, 2.0])],
    ];
    assert_eq!(world.rows(sql).await, expected, "in the log");
    world.journal.seal().await.unwrap();
    assert_eq!(world.rows(sql).await, expected, "sealed");
    world.shut_down().await;
}

#[tokio::test]
async fn a_tenant_sees_only_its_own_rows() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Limits::default()).await;
    world.journal.append(prediction(1, "churn", vec![]));
    let other = may_in(&Tenant::new("other").unwrap(), QueryJournal);
    for sealed in [false, true] {
        if sealed {
            world.journal.seal().await.unwrap();
        }
        let sql = "select count(*) from predictions where tenant = 'default' or true";
        assert_eq!(world.query.sql(&other, sql).await.unwrap().values(), [[json!(0)]]);
        assert_eq!(world.rows(sql).await, [[json!(1)]]);
    }
    world.shut_down().await;
}

#[tokio::test]
async fn nothing_but_queries_over_these_tables_runs() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Limits::default()).await;
    world.journal.append(prediction(1, "churn", vec![]));
    world.journal.seal().await.unwrap();
    let files = world.journal.snapshot(&Tenant::default(), mainspring_journal::Kind::Prediction).await.unwrap().files;
    let parquet = files[0].path.display();
    let out = dir.path().join("out.csv");
    for sql in [
        format!("copy (select 1) to '{}' stored as csv", out.display()),
        "copy predictions to 'x.parquet'".into(),
        format!("create external table t stored as parquet location '{parquet}'"),
        "create table t as select 1".into(),
        "create view v as select 1".into(),
        "drop table predictions".into(),
        "insert into predictions values (1)".into(),
        "delete from predictions".into(),
        "update predictions set variant = 'x'".into(),
        "set datafusion.execution.target_partitions = 1".into(),
        format!("select * from '{parquet}'"),
        format!("select * from read_parquet('{parquet}')"),
        "select * from '/etc/passwd'".into(),
        "explain analyze copy predictions to 'x.parquet'".into(),
        "select 1; select 2".into(),
        "not sql at all".into(),
        "select nothing from predictions".into(),
        "select * from nowhere".into(),
        String::new(),
    ] {
        let refused = world.ask(&sql).await.expect_err(&sql);
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{sql}: {refused:?}");
        assert!(!refused.to_string().is_empty() && !out.exists());
    }
    assert_eq!(world.rows("select count(*) from predictions").await, [[json!(1)]]);
    world.shut_down().await;
}

#[tokio::test]
async fn limits_of_rows_time_and_memory_are_kept_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { rows: 10, timeout: PATIENCE, memory: 2 << 20, concurrent: 1, wait: PATIENCE };
    let world = open(dir.path(), limits).await;
    (0..25).for_each(|n| world.journal.append(prediction(n, "churn", vec![])));
    let answer = world.ask("select * from predictions").await.unwrap();
    assert_eq!((answer.rows(), answer.truncated()), (10, true));
    let answer = world.ask("select * from predictions limit 10").await.unwrap();
    assert_eq!((answer.rows(), answer.truncated()), (10, false));
    // In no order, for what is sorted is counted without memory where one thread does all of it.
    let many = "select count(distinct value * 7919 % 3000017) from generate_series(1, 3000000)";
    let memory = world.ask(many).await.unwrap_err();
    assert!(matches!(memory, QueryError::Memory { limit_mib: 2, .. }), "{memory:?}");
    let endless = "select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    let auth = may(QueryJournal);
    let hurried = Query::new(world.journal.clone(), Limits { timeout: Duration::from_millis(100), ..limits });
    let slow = hurried.sql(&auth, endless).await.unwrap_err();
    assert_eq!(slow.kind(), ErrorKind::DeadlineExceeded, "{slow:?}");
    // The next one waits for its turn, and is refused only when that does not come.
    let mut first = Box::pin(world.query.sql(&auth, endless));
    assert!(futures::poll!(&mut first).is_pending(), "it has its turn");
    let mut second = Box::pin(world.query.sql(&auth, "select 1"));
    assert!(futures::poll!(&mut second).is_pending(), "it waits");
    drop(first);
    assert_eq!(second.await.unwrap().rows(), 1);
    let hasty = Query::new(world.journal.clone(), Limits { wait: Duration::from_millis(20), ..limits });
    let mut first = Box::pin(hasty.sql(&auth, endless));
    assert!(futures::poll!(&mut first).is_pending(), "it has its turn");
    let second = hasty.sql(&auth, "select 1").await.unwrap_err();
    assert!(matches!(second, QueryError::Busy(1)) && second.retry_after().is_some(), "{second:?}");
    drop(first);
    world.shut_down().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_said_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Limits::default()).await;
    world.journal.append(prediction(1, "churn", vec![numbers("age", vec![30.0])]));
    for (sql, said) in [
        (
            "select from predictions where",
            "line 1, column 30: expected an expression, found the end of the query\n  select from predictions where\n                               ^",
        ),
        (
            "select variant,\n  count(*\nfrom predictions",
            "line 3, column 1: expected ), found from\n  from predictions\n  ^",
        ),
        ("selekt 1", "line 1, column 1: expected an SQL statement, found selekt\n  selekt 1\n  ^"),
        ("select 'a", "line 1, column 8: Unterminated string literal\n  select 'a\n         ^"),
        (
            "select variantt from predictions",
            "line 1, column 8: there is no column variantt; did you mean variant?\n  select variantt from predictions\n         ^",
        ),
        (
            "select in.age from predictions",
            "line 1, column 8: there is no column in.age; did you mean \"in.age\", with its double quotes?",
        ),
        ("select * from prediction", "line 1, column 15: table 'prediction' not found"),
        ("select nothing(1)", "line 1, column 8: Invalid function 'nothing'. Did you mean 'contains'?"),
    ] {
        let refused = world.ask(sql).await.expect_err(sql).to_string();
        assert!(refused.starts_with(&format!("the query is not valid: {said}")), "{sql}:\n{refused}");
    }
    world.shut_down().await;
}

fn piece(event: u64, about: About, name: &str, value: FeedbackValue) -> Feedback {
    let at = Timestamp(1_772_323_300_000_000 + event as i64);
    Feedback { event: id(1_000_000 + event), at, tenant: Tenant::default(), about, row: 0, name: name.into(), value }
}

#[tokio::test]
async fn the_latest_feedback_joins_its_prediction_by_either_id() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Limits::default()).await;
    for n in 1..=4 {
        let mut p = prediction(n, "churn", vec![]);
        p.client_id = (n == 3).then(|| "mine".into());
        world.journal.append(p);
    }
    let own = |id: &str| About::ClientId { deployment: "churn".into(), id: id.into() };
    let send = may(SendFeedback);
    let sent = vec![
        piece(1, About::Prediction(id(1)), "label", FeedbackValue::Bool(true)),
        piece(2, About::Prediction(id(1)), "label", FeedbackValue::Bool(false)),
        piece(3, About::Prediction(id(1)), "reward", FeedbackValue::Number(2.5)),
        piece(4, own("mine"), "label", FeedbackValue::Text("yes".into())),
        piece(5, own("nobody's"), "label", FeedbackValue::Bool(true)),
        piece(6, About::Prediction(id(99)), "label", FeedbackValue::Bool(true)),
    ];
    world.journal.feedback(&send, sent).await.unwrap();
    eventually("feedback is in the log", || async {
        world.rows("select count(*) from feedback_log").await == [[json!(6)]]
    })
    .await;
    for sealed in [false, true] {
        if sealed {
            world.journal.seal().await.unwrap();
        }
        // A query of its own reads less, and says the same of what it reads.
        let since = "f.at >= arrow_cast(1772323300000002, 'Timestamp(Microsecond, Some(\"UTC\"))')";
        for (filter, latest) in [("f.name = 'label'", 4), (since, 5), ("TRUE", 5)] {
            let own = world
                .rows(&format!("select event_id, value from ({}) order by 1", crate::feedback(filter, "TRUE")))
                .await;
            let of_table = format!("select event_id, value from feedback f where {filter} order by 1");
            assert_eq!((own.len(), &own), (latest, &world.rows(&of_table).await), "{filter}");
        }
        // What was corrected too late is what it was in time.
        for (wait, values) in [(100_000_000, &["true"][..]), (100_000_001, &["false", "yes"]), (99_999_999, &[])] {
            let sql = crate::feedback_in_time(("f.name = 'label'", "TRUE"), ("p.deployment = 'churn'", wait));
            let found = world.rows(&format!("select value from ({sql}) order by 1")).await;
            assert_eq!(found, values.iter().map(|v| vec![json!(v)]).collect::<Vec<_>>(), "{wait}");
        }
        let rows = world
            .rows("select event_id, feedback_name, feedback_value, feedback_number from labeled order by 1, 2")
            .await;
        let expected = [
            [json!(id(1).to_string()), json!("label"), json!("false"), json!(0.0)],
            [json!(id(1).to_string()), json!("reward"), json!("2.5"), json!(2.5)],
            [json!(id(3).to_string()), json!("label"), json!("yes"), Value::Null],
        ];
        assert_eq!(rows, expected);
        assert_eq!(world.rows("select count(*) from predictions_with_feedback").await, [[json!(5)]]);
        let auth = may(QueryJournal);
        let stats = world.query.feedback_stats(&auth, None).await.unwrap();
        let expected = FeedbackStats { feedback: 5, matched: 3, match_rate: Some(0.6), predictions: 4, labeled: 2 };
        assert_eq!(stats, expected);
        let none = world.query.feedback_stats(&auth, Some("o'ther")).await.unwrap();
        assert_eq!((none.predictions, none.matched), (0, 0));
    }
    world.shut_down().await;
}

#[tokio::test]
async fn a_decision_stands_once_however_often_it_was_relayed() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Limits::default()).await;
    let decision = |n: u64| Decision {
        event: id(n),
        at: Timestamp(1_772_323_300_000_000 + n as i64),
        tenant: Tenant::default(),
        deployment: "churn".into(),
        by: "Rollout/churn-v8".into(),
        sequence: n,
        decision: "advanced".into(),
        sentence: "v8 goes to 5 % of the units".into(),
        numbers: json!({"weights": [0.95, 0.05]}),
    };
    let sent = [decision(1), decision(2), decision(1)];
    world
        .db
        .write(move |conn| {
            async move {
                for (n, d) in sent.iter().enumerate() {
                    conn.outbox(Decision::TOPIC, id(100 + n as u64), &serde_json::to_value(d).unwrap()).await?;
                }
                Ok::<_, StoreError>(())
            }
            .boxed()
        })
        .await
        .unwrap();
    eventually("decisions are in the log", || async {
        world.rows("select count(*) from decisions").await == [[json!(2)]]
    })
    .await;
    for sealed in [false, true] {
        if sealed {
            world.journal.seal().await.unwrap();
        }
        let sql = "select sequence, deployment, decided_by, decision, sentence, numbers from decisions order by 1";
        let said = |n| {
            [
                json!(n),
                json!("churn"),
                json!("Rollout/churn-v8"),
                json!("advanced"),
                json!("v8 goes to 5 % of the units"),
                json!(r#"{"weights":[0.95,0.05]}"#),
            ]
        };
        assert_eq!(world.rows(sql).await, [said(1), said(2)]);
        let theirs = world
            .query
            .sql(&may_in(&Tenant::new("other").unwrap(), QueryJournal), "select * from decisions")
            .await
            .unwrap();
        assert!(theirs.values().is_empty());
    }
    world.shut_down().await;
}

#[tokio::test]
async fn tables_and_columns_can_be_looked_up() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Limits::default()).await;
    let tables =
        world.rows("select table_name from information_schema.tables where table_schema = 'journal' order by 1").await;
    let names: Vec<_> = tables.iter().map(|r| r[0].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["decisions", "feedback", "feedback_log", "gaps", "labeled", "predictions", "predictions_with_feedback"]
    );
    let hint = world.ask("select * from prediction").await.unwrap_err().hint().unwrap();
    assert!(hint.contains(&names.join(", ")), "{hint}");
    let answer = world.ask("select event_id, row, at, unit from predictions").await.unwrap();
    let columns: Vec<_> = answer.columns().into_iter().map(|c| (c.name, c.data_type)).collect();
    assert_eq!(columns[0], ("event_id".into(), "Utf8".into()));
    assert_eq!(columns[3], ("unit".into(), "UInt64".into()));
    world.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_removes_no_file_under_a_query() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Limits::default()).await;
    world.journal.set_retention(&Tenant::default(), "churn", Retention { days: None, bytes: Some(0) });
    let sql = "select count(*), count(distinct a.event_id) from predictions a cross join predictions b";
    for round in 0..20 {
        for day in 0..8 {
            let mut p = prediction(round * 100 + day, "churn", vec![]);
            p.at = Timestamp(p.at.micros() - day as i64 * 86_400_000_000);
            world.journal.append(p);
        }
        world.journal.seal().await.unwrap();
        let (asked, cleaned) = tokio::join!(world.ask(sql), world.journal.clean_up());
        let rows = asked.unwrap().values();
        assert!(rows == [[json!(64), json!(8)]] || rows == [[json!(0), json!(0)]], "{rows:?}");
        assert_eq!(cleaned.unwrap().files, 8);
    }
    world.shut_down().await;
}

/// What another deployment has under a name decides nothing about this one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_deployments_rows_have_its_own_columns_and_types() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Limits::default()).await;
    world.journal.append(prediction(1, "numbers", vec![numbers("x", vec![1.5])]));
    world.journal.append(prediction(2, "words", vec![words("x", &["one"]), words("more", &["two"])]));
    let columns = "SELECT column_name, data_type FROM information_schema.columns \
                   WHERE table_name = 'predictions' AND column_name LIKE 'in.%' ORDER BY column_name";
    let own = world.query.of_deployment("numbers");
    for sealed in [false, true] {
        if sealed {
            world.journal.seal().await.unwrap();
        }
        let found = own.sql(&may(QueryJournal), columns).await.unwrap().values();
        assert_eq!(found, [[json!("in.x"), json!("Float32")]], "sealed: {sealed}");
        let rows = own.sql(&may(QueryJournal), "SELECT deployment, \"in.x\" FROM predictions").await.unwrap().values();
        assert_eq!(rows, [[json!("numbers"), json!(1.5)]]);
        assert_eq!(world.rows(columns).await.len(), 2, "the others are there for who asks for all");
    }
    world.shut_down().await;
}

/// What a column was before the days that are asked about decides nothing about it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_before_those_that_matter_have_no_say_in_what_a_column_is() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Limits::default()).await;
    let mut old = prediction(1, "churn", vec![words("x", &["one"])]);
    old.at = Timestamp(old.at.micros() - 86_400_000_000);
    world.journal.append(old);
    world.journal.seal().await.unwrap();
    let new = prediction(2, "churn", vec![numbers("x", vec![1.5])]);
    let at = new.at;
    world.journal.append(new);
    world.journal.seal().await.unwrap();
    let columns =
        "SELECT data_type FROM information_schema.columns WHERE table_name = 'predictions' AND column_name = 'in.x'";
    assert_eq!(world.rows(columns).await, [[json!("Utf8")]]);
    let recent = world.query.since(at);
    assert_eq!(recent.sql(&may(QueryJournal), columns).await.unwrap().values(), [[json!("Float32")]]);
    let rows = recent.sql(&may(QueryJournal), "SELECT \"in.x\" FROM predictions").await.unwrap().values();
    assert_eq!(rows, [[json!(1.5)]]);
    let day_before = world.query.since(Timestamp(at.micros() - 86_400_000_000));
    assert_eq!(day_before.sql(&may(QueryJournal), columns).await.unwrap().values(), [[json!("Utf8")]]);
    world.shut_down().await;
}

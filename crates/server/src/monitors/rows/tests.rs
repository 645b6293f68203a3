//! A real journal, asked as monitors and windows ask it.

use super::*;
use crate::ports::{Models, Recorder};
use bytes::Bytes;
use mainspring_artifact::Artifacts;
use mainspring_core::{
    Assignment, DType, Name, NamedTensor, Outcome, Prediction, Protocol, Target, Tenant, Tensor, Timing,
};
use mainspring_journal::JournalSettings;
use mainspring_monitor::live::MonitorSpec;
use mainspring_monitor::segment::{self, Segment, WindowError, window};
use mainspring_query::Limits;
use mainspring_registry::Registry;
use mainspring_testkit::{TempDb, open_gate};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

struct World {
    rows: JournalRows,
    _kept: (TempDb, tempfile::TempDir),
}

impl World {
    async fn new() -> Self {
        let (temp, folder) = (TempDb::sqlite(), tempfile::tempdir().unwrap());
        let (db, ctx) = (temp.open_with(crate::wiring::MIGRATIONS).await, temp.ctx.clone());
        let path = |name: &str| folder.path().join(name);
        let artifacts = Artifacts::open(path("artifacts").to_str().unwrap(), &path("cache")).unwrap();
        let settings =
            JournalSettings { emit_every: Duration::from_millis(5), ..JournalSettings::new(path("journal")) };
        let registry = Registry::open(db.clone(), artifacts.clone(), ctx.clone()).await.unwrap();
        let journal = Journal::open(settings, artifacts.clone(), db, ctx.clone()).await.unwrap();
        let gate = open_gate(Arc::clone(&ctx.clock));
        let query = Query::new(journal.clone(), Limits::default());
        let models = Models { registry, artifacts, gate: gate.clone() };
        let recorder = Recorder { journal: journal.clone(), tracer: None };
        let serving = Serving::new(Vec::new(), Arc::new(models), Arc::new(recorder), ctx.clone());
        Self { rows: JournalRows { journal, query, serving, gate, ctx }, _kept: (temp, folder) }
    }

    /// So many rows in one request, so long ago: of the plan gold where the number is even, else free.
    async fn answered(&self, ago: i64, rows: usize) {
        let target = Target {
            deployment: "churn".into(),
            variant: "stable".into(),
            model: "churn".into(),
            version: "3".into(),
            columns: Arc::default(),
        };
        let ages = (0..rows).map(|i| i as f32).collect::<Vec<_>>();
        let plans = (0..rows).map(|i| Bytes::from_static(if i % 2 == 0 { b"gold" } else { b"free" })).collect();
        let named = |name: &str, tensor| NamedTensor { name: name.into(), tensor };
        let inputs = vec![
            named("age", Tensor::from_vec(DType::Fp32, vec![rows], ages).unwrap()),
            named("plan", Tensor::from_strings(vec![rows], plans).unwrap()),
        ];
        let prediction = Prediction {
            id: self.rows.ctx.event_id(),
            at: self.rows.ctx.now().plus_micros(-ago),
            tenant: Tenant::default(),
            target: Arc::new(target),
            protocol: Protocol::OipRest,
            client_id: None,
            caller: "loopback".into(),
            assignment: Assignment::default(),
            outcome: Outcome::Ok,
            rows: rows as u32,
            batch_rows: rows as u32,
            timing: Timing::default(),
            tokens: None,
            cached: None,
            flags: None,
            params: None,
            inputs: inputs.into(),
            outputs: Arc::default(),
        };
        self.rows.journal.append_durable(prediction).await.unwrap();
    }

    fn wanted(&self, spec: serde_json::Value, back: i64) -> Wanted {
        let spec: MonitorSpec = serde_json::from_value(spec).unwrap();
        Wanted { tenant: Tenant::default(), spec: Arc::new(spec), from: self.rows.ctx.now().plus_micros(-back) }
    }
}

fn asked() -> Asked {
    Asked { tenant: Tenant::default(), deployment: Name::new("churn").unwrap(), version: "3".into() }
}

const DAY: i64 = 24 * 60 * MINUTE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_long_window_the_latest_rows_alone_are_read() {
    let world = World::new().await;
    for ago in [6 * DAY, 2 * DAY, 100 * MINUTE, 50 * MINUTE, MINUTE] {
        world.answered(ago, 60).await;
    }
    let auth = world.rows.gate.authorize(&acting_for(&Tenant::default()), QueryJournal).unwrap();
    let now = world.rows.ctx.now();
    let began = async |spec, most| {
        let wanted = world.wanted(spec, 7 * DAY);
        world.rows.began(&auth, (&wanted, &asked()), (most, &wanted.spec.in_segment(&[("in.plan", "Utf8")], ""))).await
    };
    let churn = json!({"deployment": "churn"});
    // As far back as the rows that are wanted, and all of the window where there are fewer.
    for (most, ago) in [(10, MINUTE), (61, 50 * MINUTE), (150, 100 * MINUTE), (200, 2 * DAY), (5_000, 7 * DAY)] {
        assert_eq!(began(churn.clone(), most).await.unwrap(), now.plus_micros(-ago), "{most}");
    }
    let gold = json!({"deployment": "churn", "segment": {"in.plan": "gold"}});
    assert_eq!(began(gold.clone(), 61).await.unwrap(), now.plus_micros(-100 * MINUTE), "thirty of each");
    let found = async |spec, most| {
        let rows = world.rows.recent(world.wanted(spec, 7 * DAY), asked(), most).await.unwrap();
        rows.batches.iter().map(RecordBatch::num_rows).sum::<usize>()
    };
    assert_eq!((found(churn.clone(), 100).await, found(churn, 5_000).await), (100, 300));
    assert_eq!(found(gold, 5_000).await, 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_of_a_segment_is_made_of_its_rows() {
    let world = World::new().await;
    for ago in [2 * DAY, 3 * 60 * MINUTE, MINUTE] {
        world.answered(ago, 1_000).await;
    }
    let auth = world.rows.gate.authorize(&acting_for(&Tenant::default()), QueryJournal).unwrap();
    let now = world.rows.ctx.now();
    let seen = async |last: i64, segment: serde_json::Value, others| {
        let segment: Segment = serde_json::from_value(segment).unwrap();
        let deployment = Name::new("churn").unwrap();
        let from = now.plus_micros(-last);
        let wanted = segment::Wanted { deployment, from, until: now, variant: None, version: None, segment, others };
        window(&world.rows.query, &auth, &wanted).await
    };
    let gold = seen(DAY, json!({"in.plan": "gold"}), false).await.unwrap();
    assert_eq!((gold.rows, gold.since), (1_000, now.plus_micros(-DAY)));
    assert_eq!(gold.tile.columns["in.age"].numeric.as_ref().unwrap().count(), 1_000);
    assert_eq!(gold.tile.columns["in.plan"].text.as_ref().unwrap().present, 1_000);
    let others = seen(3 * DAY, json!({"in.plan": "gold"}), true).await.unwrap();
    assert_eq!(others.rows, 1_500);
    let old = seen(DAY, json!({"in.plan": "gold", "in.age": 998}), false).await.unwrap();
    assert_eq!(old.rows, 2);
    let error = seen(DAY, json!({"in.plam": "gold"}), false).await.unwrap_err();
    assert!(matches!(&error, WindowError::Segment(_)), "{error}");
    assert_eq!(Failure::hint(&error).as_deref(), Some("did you mean in.plan?"));
}

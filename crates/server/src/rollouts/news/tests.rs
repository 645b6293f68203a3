//! Two processes on one database: what one tells, and what the other makes of it.

use super::hear::EveryReplica;
use super::*;
use crate::ports::{Models, Recorder};
use crate::rollouts::events::JournalEvents;
use crate::rollouts::fleet::Replica;
use crate::rollouts::rehearse::Rehearsals;
use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use mainspring_core::{EventId, ManualClock};
use mainspring_journal::log::StreamHeader;
use mainspring_journal::{JournalSettings, Kind, Slice};
use mainspring_registry::Registry;
use mainspring_rollout::machine::Readiness;
use mainspring_rollout::{Batch, EventStream, Events, Exposure, Tripped};
use mainspring_testkit::clock::START_MILLIS;
use mainspring_testkit::{TempArtifacts, TempDb, open_gate};
use mainspring_traffic::{Route, RouteSpec, Row, RowVariant, Share, UnitFrom, Variant};

const SECOND: i64 = 1_000_000;
const OTHER: &str = "other";

/// The process that decides, and what it stands on.
struct Stage {
    wire: Wire,
    clock: ManualClock,
    replica: Replica,
    _kept: (TempDb, TempArtifacts, tempfile::TempDir),
}

async fn stage(temp: TempDb) -> Stage {
    let (ctx, clock) = (temp.ctx.clone(), temp.clock.clone());
    let db = temp.open_with(crate::wiring::MIGRATIONS).await;
    let (artifacts, folder) = (TempArtifacts::local(), tempfile::tempdir().unwrap());
    let registry = Registry::open(db.clone(), artifacts.store.clone(), ctx.clone()).await.unwrap();
    let settings = JournalSettings::new(folder.path().join("log"));
    let journal = Journal::open(settings, artifacts.store.clone(), db.clone(), ctx.clone()).await.unwrap();
    let gate = open_gate(Arc::clone(&ctx.clock));
    let models = Models { registry: registry.clone(), artifacts: artifacts.store.clone(), gate: gate.clone() };
    let recorder = Recorder { journal: journal.clone(), tracer: None };
    let serving = Serving::new(Vec::new(), Arc::new(models), Arc::new(recorder), ctx.clone());
    let wire = Wire(Arc::new(Inner {
        news: News::new(db.clone()),
        process: "own".into(),
        journal,
        rollouts: Rollouts::new(db, ctx.clone()),
        serving: serving.clone(),
        gate: gate.clone(),
        ctx,
        heard: Mutex::default(),
        asking: Mutex::default(),
        bulletins: broadcast::Sender::new(BEHIND),
        live: Mutex::default(),
    }));
    let (journal, ctx) = (wire.0.journal.clone(), wire.0.ctx.clone());
    let rehearsals = Rehearsals::new(journal, serving.clone(), registry.clone(), gate.clone(), ctx);
    Stage { wire, clock, replica: Replica { serving, registry, gate, rehearsals }, _kept: (temp, artifacts, folder) }
}

impl Stage {
    /// The other process says something.
    async fn tell(&self, seq: i64, bulletin: Bulletin) {
        let at = self.wire.0.ctx.now();
        self.wire.0.news.tell(&Numbered { process: OTHER.into(), seq, at, bulletin }).await.unwrap();
    }

    async fn follow(&self) -> Result<Box<dyn EventStream>, PortError> {
        let inner = &self.wire.0;
        let own = JournalEvents::new(inner.journal.clone(), inner.gate.clone(), inner.ctx.clone());
        EveryJournal { own, wire: self.wire.clone() }.follow(wanted()).await
    }

    fn elsewhere(&self, row: &Row) -> (Option<Readiness>, Option<Tripped>) {
        EveryReplica { own: self.replica.clone(), wire: self.wire.clone() }.wire.elsewhere(&place(), row)
    }
}

impl Stage {
    async fn beat(&self, process: &str) {
        self.wire.0.news.beat(process, self.wire.0.ctx.now()).await.unwrap();
    }

    async fn look_around(&self, row: &Row) {
        self.wire.look_around(&place(), row).await.unwrap();
    }
}

fn churn() -> Name {
    Name::new("churn").unwrap()
}

fn place() -> Place {
    Place::new(&Tenant::default(), &churn())
}

fn wanted() -> Wanted {
    Wanted {
        tenant: Tenant::default(),
        deployment: churn(),
        from: Timestamp::from_millis(START_MILLIS),
        generation: 1,
        labels: vec!["liked".into()],
        outputs: Vec::new(),
        inputs: Vec::new(),
    }
}

fn id(n: i64) -> EventId {
    format!("01890a5d-ac96-774b-bcce-{n:012}").parse().unwrap()
}

/// A bulletin with one answer and one label about it, until its moment.
fn bulletin(at: Timestamp, n: i64) -> Bulletin {
    let exposure = Exposure {
        at,
        id: id(n),
        unit: 1,
        variant: "v8".into(),
        generation: 1,
        context: None,
        failed: None,
        latency_ns: 1,
        outputs: Vec::new(),
        inputs: Vec::new(),
    };
    let said = |name: &str| Label { at, about: id(n), row: 0, name: name.into(), value: 1.0, truth: true };
    let labels = vec![said("liked"), said("of another rollout")];
    Bulletin {
        until: at,
        traffic: vec![Traffic { of: place(), events: vec![Event::Exposure(exposure)] }],
        labels: vec![Said { tenant: "default".into(), labels }],
        ..Bulletin::default()
    }
}

fn row(generation: u64, weights: &[(&str, u32)]) -> Row {
    let variant = |(name, ppm): &(&str, u32)| Variant { name: (*name).into(), weight: Share::from_ppm(*ppm).unwrap() };
    let variants = weights.iter().map(variant).collect();
    let route = Route::new(RouteSpec { salt: "s".into(), variants, holdout: None, layer: None }).unwrap();
    let of = |(name, _): &(&str, u32)| RowVariant { name: (*name).into(), model: "models:/churn/7".into() };
    Row {
        rollout: "r".into(),
        unit: UnitFrom::Key,
        variants: weights.iter().map(of).collect(),
        route: route.after(generation - 1),
        policy: None,
        shadow: None,
        limits: None,
    }
}

fn standing(generation: u64, candidate: Readiness, tripped: Option<&str>) -> Standing {
    let tripped = tripped.map(|variant| Tripped { variant: variant.into(), why: "50 %".into() });
    Standing { of: place(), rollout: "r".into(), generation, candidate, tripped }
}

fn says(until: Timestamp, standing: Standing) -> Bulletin {
    Bulletin { until, standings: vec![standing], ..Bulletin::default() }
}

/// Labels as they are journaled.
fn feedback(labels: &[(&str, &str, f64)]) -> Arc<MicroBatch> {
    let text = |all: Vec<String>| Arc::new(StringArray::from(all)) as ArrayRef;
    let n = labels.len();
    let batch = RecordBatch::try_from_iter([
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![SECOND; n])) as ArrayRef),
        ("prediction_id", text((0..n).map(|n| id(n as i64).to_string()).collect())),
        ("row", Arc::new(Int32Array::from(vec![0; n]))),
        ("name", text(labels.iter().map(|(name, ..)| (*name).to_owned()).collect())),
        ("value_type", text(labels.iter().map(|(_, kind, _)| (*kind).to_owned()).collect())),
        ("value_number", Arc::new(Float64Array::from_iter_values(labels.iter().map(|(.., value)| *value)))),
    ]);
    let header = StreamHeader { tenant: "default".into(), kind: Kind::Feedback, deployment: None, fingerprint: 0 };
    Arc::new(MicroBatch { slices: vec![Slice { header: Arc::new(header), batch: batch.unwrap() }] })
}

#[test]
fn a_label_is_told_once_however_many_rollouts_want_it() {
    let (journal, mut live) = broadcast::channel(4);
    let labels = [(Tenant::default(), vec!["liked".to_owned()])].into();
    let mut saying = Saying { wanted: vec![wanted(), wanted()], labels, ..Saying::default() };
    let all = [("liked", "bool", 1.0), ("liked", "number", f64::NAN), ("other", "bool", 1.0), ("liked", "number", 0.5)];
    journal.send(feedback(&all)).unwrap();
    assert!(saying.collect(&mut live));
    let told = saying.bulletin(Timestamp(9), None, Vec::new());
    assert!(told.traffic.is_empty() && told.labels.len() == 1);
    let said: Vec<(f64, bool)> = told.labels[0].labels.iter().map(|l| (l.value, l.truth)).collect();
    assert_eq!(said, [(1.0, true), (0.5, false)]);
    assert!(saying.is_silent(), "each once");
}

#[test]
fn after_a_loss_nothing_is_said_to_be_told_before_it_is_sealed() {
    let (journal, mut live) = broadcast::channel(2);
    let mut saying = Saying { wanted: vec![wanted()], ..Saying::default() };
    let told = saying.bulletin(Timestamp(10), Some(Timestamp(1)), Vec::new());
    assert_eq!((told.until, told.gap), (Timestamp(10), false));
    for _ in 0..5 {
        journal.send(feedback(&[])).unwrap();
    }
    assert!(!saying.collect(&mut live), "the oldest went by");
    saying.lost = Some(Timestamp(20));
    let told = saying.bulletin(Timestamp(20), Some(Timestamp(1)), Vec::new());
    assert_eq!((told.until, told.gap), (Timestamp(10), false));
    let told = saying.bulletin(Timestamp(30), Some(Timestamp(21)), Vec::new());
    assert_eq!((told.until, told.gap), (Timestamp(30), true), "readers are sent to what is sealed");
    let told = saying.bulletin(Timestamp(40), Some(Timestamp(21)), Vec::new());
    assert_eq!((told.until, told.gap), (Timestamp(40), false));
    // What no rollout wants is no loss.
    for _ in 0..5 {
        journal.send(feedback(&[])).unwrap();
    }
    saying.wanted.clear();
    assert!(saying.collect(&mut live));
}

#[test]
fn nothing_is_forgotten_before_it_is_known_which_rollouts_there_are() {
    let now = Timestamp(10 * KEEP);
    let mut saying = Saying { epoch: i64::MIN, ..Saying::default() };
    assert_eq!(saying.needless(now), None);
    saying.epoch = -1;
    assert_eq!(saying.needless(now), None);
    saying.epoch = 0;
    assert_eq!(saying.needless(now), Some(Timestamp(9 * KEEP)));
    saying.wanted = vec![Wanted { from: Timestamp(KEEP), ..wanted() }];
    assert_eq!(saying.needless(now), Some(Timestamp(KEEP)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_whom_one_meets_only_the_last_word_is_heard_and_who_follows_reads_the_rest() {
    let stage = stage(TempDb::sqlite()).await;
    let mut early = stage.follow().await.unwrap();
    let now = stage.wire.0.ctx.now();
    for n in 1..=300 {
        stage.tell(n, bulletin(now.plus_micros(n), n)).await;
    }
    let mut told = stage.wire.0.bulletins.subscribe();
    stage.wire.hear().await.unwrap();
    assert_eq!(told.try_recv().unwrap().seq, 300);
    assert_eq!(told.try_recv().unwrap_err(), TryRecvError::Empty);
    stage.tell(301, bulletin(now.plus_micros(301), 301)).await;
    stage.wire.hear().await.unwrap();
    assert_eq!(told.try_recv().unwrap().seq, 301);
    let mut late = stage.follow().await.unwrap();
    // So much that all of it is told.
    stage.clock.advance(10 * SECOND);
    for stream in [&mut early, &mut late] {
        let Batch { events, complete_until, .. } = stream.next().await.unwrap();
        let exposures = events.iter().filter(|e| matches!(e, Event::Exposure(_))).count();
        assert_eq!((exposures, events.len()), (301, 602), "each answer, and its label of this rollout");
        assert!(complete_until <= now.plus_micros(301), "{complete_until:?}");
    }
    assert!(stream_is_empty(&mut early).await);
}

async fn stream_is_empty(stream: &mut Box<dyn EventStream>) -> bool {
    stream.next().await.unwrap().events.is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_something_sends_who_follows_to_what_is_sealed() {
    let stage = stage(TempDb::sqlite()).await;
    let mut stream = stage.follow().await.unwrap();
    stage.wire.0.asking.lock().last = stage.wire.0.ctx.now();
    stage.tell(1, Bulletin { gap: true, ..bulletin(stage.wire.0.ctx.now(), 1) }).await;
    stage.wire.hear().await.unwrap();
    assert!(stream.next().await.unwrap_err().0.contains("could not tell of all"));
    // The past is read too early, as long as a clock may be off.
    assert!(stage.follow().await.is_err());
    stage.clock.advance(10 * SECOND);
    let mut stream = stage.follow().await.unwrap();
    assert_eq!(stream.next().await.unwrap().events.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_is_not_ready_because_that_of_the_run_before_was() {
    let stage = stage(TempDb::sqlite()).await;
    let fresh = |generation| row(generation, &[("stable", 1_000_000), ("v8", 0)]);
    let now = || stage.wire.0.ctx.now();
    let loading = |seen: (Option<Readiness>, Option<Tripped>)| matches!(seen, (Some(Readiness::Loading(_)), None));
    stage.beat(OTHER).await;
    stage.look_around(&fresh(5)).await;
    assert!(loading(stage.elsewhere(&fresh(5))), "it is asked first");
    stage.tell(1, says(now(), standing(3, Readiness::Ready, None))).await;
    stage.wire.hear().await.unwrap();
    assert!(loading(stage.elsewhere(&fresh(5))), "the other one has not seen this row");
    stage.tell(2, says(now(), standing(5, Readiness::Ready, None))).await;
    stage.wire.hear().await.unwrap();
    assert_eq!(stage.elsewhere(&fresh(5)), (None, None));
    // The next run is asked anew, under the same name.
    assert!(loading(stage.elsewhere(&fresh(9))));
    // Once it has begun, a row that is a little behind says as much.
    let begun = row(6, &[("stable", 900_000), ("v8", 100_000)]);
    stage.look_around(&begun).await;
    assert_eq!(stage.elsewhere(&begun), (None, None));
    assert!(stage.wire.0.asking.lock().is_empty(), "nothing is kept of what has begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_one_who_was_taken_out_broke_hides_no_other() {
    let stage = stage(TempDb::sqlite()).await;
    let after = row(6, &[("stable", 500_000), ("v8", 0), ("v9", 500_000)]);
    let before = row(5, &[("stable", 500_000), ("v8", 250_000), ("v9", 250_000)]);
    stage.wire.0.asking.lock().last = stage.wire.0.ctx.now();
    let tell = async |process: &str, tripped: &str| {
        let at = stage.wire.0.ctx.now();
        let bulletin = says(at, standing(5, Readiness::Ready, Some(tripped)));
        stage.wire.0.news.tell(&Numbered { process: process.into(), seq: 1, at, bulletin }).await.unwrap();
    };
    tell("a", "v8").await;
    tell("b", "v9").await;
    stage.wire.hear().await.unwrap();
    let variant = |row: &Row| stage.elsewhere(row).1.map(|t| t.variant);
    assert_eq!((variant(&before).as_deref(), variant(&after).as_deref()), (Some("v8"), Some("v9")));
}

/// Who waits for whom, on a database.
async fn wait_for_the_living(temp: TempDb) {
    let stage = stage(temp).await;
    let fresh = row(5, &[("stable", 1_000_000), ("v8", 0)]);
    let waits = async || {
        stage.look_around(&fresh).await;
        stage.wire.hear().await.unwrap();
        stage.elsewhere(&fresh).0
    };
    // Somebody who died yesterday is no company.
    stage.beat("dead").await;
    stage.clock.advance(86_400 * SECOND);
    assert_eq!(waits().await, None, "a server that is alone does not wait");
    let now = || stage.wire.0.ctx.now();
    stage.beat("a").await;
    stage.beat("b").await;
    assert!(matches!(waits().await, Some(Readiness::Loading(why)) if why.contains("server a is asked")));
    let tell = async |process: &str| {
        let bulletin = says(now(), standing(5, Readiness::Ready, None));
        stage.wire.0.news.tell(&Numbered { process: process.into(), seq: 1, at: now(), bulletin }).await.unwrap();
    };
    tell("a").await;
    assert!(matches!(waits().await, Some(Readiness::Loading(why)) if why.contains("server b is asked")));
    // b is killed: it beats no more, and is waited for until that lapses.
    for second in 1..=5 {
        stage.clock.advance(SECOND);
        stage.beat("a").await;
        assert_eq!(waits().await.is_some(), second < 5, "after {second} s");
    }
    // So is one that was killed after it had answered for the row before.
    let next = row(7, &[("stable", 1_000_000), ("v8", 0)]);
    stage.look_around(&next).await;
    assert!(stage.elsewhere(&next).0.is_some(), "a lives and has not seen this row");
    stage.clock.advance(5 * SECOND);
    stage.look_around(&next).await;
    assert_eq!(stage.elsewhere(&next), (None, None), "a beats no more, though it was heard 10 s ago");
    stage.beat("a").await;
    // One that ends says so.
    stage.beat("c").await;
    assert!(waits().await.is_some());
    stage.wire.0.news.gone("c").await.unwrap();
    assert_eq!(waits().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_waits_for_those_that_live_and_for_nobody_else() {
    wait_for_the_living(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_candidate_waits_for_those_that_live_and_for_nobody_else() {
    wait_for_the_living(TempDb::postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_is_listened_to_only_while_a_rollout_has_a_deployment() {
    let stage = stage(TempDb::sqlite()).await;
    let listens = || stage.wire.0.live.lock().is_some();
    let mut saying = Saying { epoch: i64::MIN, ..Saying::default() };
    stage.wire.want(&mut saying);
    assert!(!listens());
    stage.wire.listen();
    stage.wire.listen();
    assert!(listens());
    let (now, until) = stage.wire.collect(&mut saying);
    assert!(until <= now && saying.lost.is_none());
    stage.wire.rest();
    assert!(!listens(), "no rollout has a row");
}

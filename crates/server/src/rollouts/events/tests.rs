//! A long past, read in parts.

use super::*;
use mainspring_core::event::{About, Feedback, FeedbackValue};
use mainspring_core::{
    Assignment, DType, IdGen, NamedTensor, Outcome, Prediction, Protocol, SeededIds, Target, Tensor, Timing,
};
use mainspring_journal::{JournalSettings, SendFeedback};
use mainspring_testkit::{TempArtifacts, TempDb, eventually, may, open_gate};
use std::time::Duration;

const SECOND: i64 = 1_000_000;

fn wanted() -> Wanted {
    Wanted {
        tenant: Tenant::default(),
        deployment: Name::new("churn").unwrap(),
        from: Timestamp(0),
        generation: 1,
        labels: vec!["liked".into()],
        outputs: vec!["good".into()],
        inputs: Vec::new(),
    }
}

fn prediction(id: EventId, at: Timestamp, n: u64) -> Prediction {
    Prediction {
        id,
        at,
        tenant: Tenant::default(),
        target: Arc::new(Target {
            deployment: "churn".into(),
            variant: "stable".into(),
            model: "churn".into(),
            version: "1".into(),
            columns: Arc::default(),
        }),
        protocol: Protocol::OipRest,
        client_id: None,
        caller: "key:k1".into(),
        assignment: Assignment { unit: Some(n), generation: Some(1), ..Assignment::default() },
        outcome: Outcome::Ok,
        rows: 1 + (n % 3) as u32,
        batch_rows: 1,
        timing: Timing { total_ns: 1500, ..Timing::default() },
        tokens: None,
        cached: None,
        flags: None,
        params: None,
        inputs: Arc::default(),
        outputs: Arc::default(),
    }
}

struct World {
    events: JournalEvents,
    ids: SeededIds,
    kept: (TempDb, TempArtifacts, tempfile::TempDir),
}

impl World {
    async fn new(part: usize) -> Self {
        let temp = TempDb::sqlite();
        let (ctx, db) = (temp.ctx.clone(), temp.open_with(crate::wiring::MIGRATIONS).await);
        let (artifacts, folder) = (TempArtifacts::local(), tempfile::tempdir().unwrap());
        let log = folder.path().join("log");
        let settings = JournalSettings { emit_every: Duration::from_millis(5), ..JournalSettings::new(log) };
        let journal = Journal::open(settings, artifacts.store.clone(), db, ctx.clone()).await.unwrap();
        let gate = open_gate(Arc::clone(&ctx.clock));
        let events = JournalEvents { part, ..JournalEvents::new(journal, gate, ctx) };
        Self { events, ids: SeededIds::new(1), kept: (temp, artifacts, folder) }
    }

    /// An answer of some seconds ago.
    fn answer(&self, ago: i64, n: u64) -> EventId {
        let at = self.events.ctx.now().plus_micros(-ago * SECOND);
        let id = self.ids.event(at);
        self.events.journal.append(prediction(id, at, n));
        id
    }

    async fn liked(&self, ids: &[EventId], ago: i64) {
        let at = self.events.ctx.now().plus_micros(-ago * SECOND);
        let said = ids.iter().map(|id| Feedback {
            event: self.ids.event(at),
            at,
            tenant: Tenant::default(),
            about: About::Prediction(*id),
            row: 0,
            name: "liked".into(),
            value: FeedbackValue::Bool(true),
        });
        self.events.journal.feedback(&may(SendFeedback), said.collect()).await.unwrap();
    }

    /// Everything of a stream until it is quiet, and how many parts of a long past there were.
    async fn all(&self) -> (Vec<Event>, usize) {
        let mut stream = self.events.follow(wanted()).await.unwrap();
        let (mut events, mut parts, mut until) = (Vec::new(), 0, Timestamp(i64::MIN));
        loop {
            let batch = stream.next().await.unwrap();
            assert!(batch.events.iter().all(|e| e.at() > until), "what was said to be complete is");
            if batch.reading {
                assert!(batch.events.iter().all(|e| e.at() <= batch.complete_until));
                assert!(batch.events.len() <= 2 * self.events.part);
                (parts, until) = (parts + 1, batch.complete_until);
            } else if batch.events.is_empty() {
                return (events, parts);
            }
            events.extend(batch.events);
        }
    }
}

/// All that was there when a stream began.
async fn past(stream: &mut Box<dyn EventStream>) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let batch = stream.next().await.unwrap();
        events.extend(batch.events);
        if !batch.reading {
            return events;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_past_comes_in_parts_and_each_event_once() {
    let world = World::new(40).await;
    let mut ids = Vec::new();
    // An hour of traffic in bursts of one moment, the half of it sealed, up to now.
    for n in 0..300_u64 {
        ids.push(world.answer(3600 - 12 * (n as i64 / 3) * 3, n));
        if n == 150 {
            world.events.journal.seal().await.unwrap();
        }
    }
    for (i, some) in ids.chunks(30).enumerate() {
        world.liked(some, 3000 - 300 * i as i64).await;
    }
    let all: usize = 300 + 300;
    eventually("everything is in the journal", || async { world.all().await.0.len() == all }).await;
    let (events, parts) = world.all().await;
    let keys: HashSet<Key> = events.iter().map(key).collect();
    assert_eq!((events.len(), keys.len()), (all, all));
    assert!(parts > 10, "{parts} parts");
    let whole = World { events: JournalEvents { part: PART, ..world.events.clone() }, ..world };
    let (at_once, few) = whole.all().await;
    assert_eq!((at_once.len(), at_once.iter().map(key).collect::<HashSet<Key>>()), (all, keys));
    assert!(few < parts, "{few} and {parts} parts");
}

/// Read from what is kept, and heard as it comes: answers whose requests had no unit, once each whatever their rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_without_a_unit_are_told_and_what_was_named_or_failed_is_not() {
    let world = World::new(PART).await;
    let answer = |ago: i64, change: fn(&mut Prediction)| {
        let at = world.events.ctx.now().plus_micros(-ago * SECOND);
        let mut made =
            Prediction { rows: 3, assignment: Assignment::default(), ..prediction(world.ids.event(at), at, 0) };
        change(&mut made);
        let id = made.id;
        world.events.journal.append(made);
        id
    };
    let all = |ago: i64| {
        let unitless = answer(ago, |_| {});
        answer(ago, |p| p.assignment.forced = true);
        answer(ago, |p| p.assignment.unit = Some(1));
        answer(ago, |p| p.outcome = Outcome::Failed { kind: ErrorKind::Internal, message: "x".into() });
        unitless
    };
    let counted = |events: &[Event]| -> Vec<EventId> {
        events.iter().filter_map(|e| if let Event::Unitless(u) = e { Some(u.id) } else { None }).collect()
    };
    let kept = all(100);
    world.events.journal.flush().await.unwrap();
    eventually("it is in the journal", || async { !world.all().await.0.is_empty() }).await;
    assert_eq!(counted(&world.all().await.0), [kept]);
    let mut stream = world.events.follow(wanted()).await.unwrap();
    assert_eq!(counted(&past(&mut stream).await), [kept]);
    let came = all(1);
    world.events.journal.flush().await.unwrap();
    let mut heard = Vec::new();
    while heard.is_empty() {
        heard = counted(&stream.next().await.unwrap().events);
        tokio::task::yield_now().await;
    }
    assert_eq!(heard, [came]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_while_a_long_past_is_read_is_not_lost() {
    let world = World::new(20).await;
    for n in 0..100 {
        world.answer(3600 - 10 * n as i64, n);
    }
    world.events.journal.flush().await.unwrap();
    let mut stream = world.events.follow(wanted()).await.unwrap();
    let mut seen = Vec::new();
    let mut new = 1000;
    // Something comes after each part.
    for _ in 0..40 {
        let batch = stream.next().await.unwrap();
        seen.extend(batch.events.iter().map(key));
        world.answer(250 - 6 * (new as i64 - 1000), new);
        world.events.journal.flush().await.unwrap();
        new += 1;
    }
    while seen.len() < 100 + (new - 1000) as usize {
        let batch = stream.next().await.unwrap();
        seen.extend(batch.events.iter().map(key));
        tokio::task::yield_now().await;
    }
    let keys: HashSet<Key> = seen.iter().cloned().collect();
    assert_eq!(keys.len(), seen.len(), "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_of_one_moment_than_is_read_at_once_is_said() {
    let world = World::new(10).await;
    for n in 0..60 {
        world.answer(1000, 3 * n);
    }
    world.events.journal.flush().await.unwrap();
    let mut stream = match world.events.follow(wanted()).await {
        Ok(stream) => stream,
        Err(error) => return assert!(error.0.contains("lines of one moment"), "{error}"),
    };
    let error = loop {
        if let Err(error) = stream.next().await {
            break error;
        }
    };
    assert!(error.0.contains("lines of one moment"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_is_no_time_for_is_asked_for_in_shorter_times_and_then_said() {
    let world = World::new(PART).await;
    let limits = Limits { timeout: Duration::ZERO, ..limits() };
    let events = JournalEvents { query: Query::new(world.events.journal.clone(), limits), ..world.events.clone() };
    eventually("feedback is read", || async { world.events.journal.fed_until() > Timestamp(0) }).await;
    let mut stream = events.follow(wanted()).await.unwrap();
    let mut parts = 0;
    let error = loop {
        match stream.next().await {
            Ok(batch) => assert!(batch.reading && batch.events.is_empty() && batch.complete_until < wanted().from),
            Err(error) => break error,
        }
        parts += 1;
    };
    assert!(error.0.contains("took longer than"), "{error}");
    // An hour, a quarter of it, and so on.
    assert_eq!(parts, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_late_has_missed_nothing() {
    let world = World::new(PART).await;
    let mut stream = world.events.follow(wanted()).await.unwrap();
    assert!(past(&mut stream).await.is_empty());
    // More batches than the journal keeps.
    let mut came: Vec<EventId> = Vec::new();
    for n in 0..300 {
        came.push(world.answer(1, n));
        world.events.journal.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut heard: Vec<EventId> = Vec::new();
    eventually("all of it is heard", || {
        heard.extend(futures::executor::block_on(stream.next()).unwrap().events.iter().filter_map(|e| match e {
            Event::Exposure(e) => Some(e.id),
            _ => None,
        }));
        let all = heard.len() == came.len();
        async move { all }
    })
    .await;
    assert_eq!(heard, came);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_late_is_told_nothing_twice() {
    let world = World::new(PART).await;
    let (from, span) = (world.events.ctx.now().plus_micros(-SECOND), FIRST);
    let mut stream = Following {
        live: None,
        wanted: Arc::new(Wanted { from, ..wanted() }),
        journal: world.events.clone(),
        past: None,
        reading: None,
        seen: HashSet::new(),
        until: from,
    };
    assert!(stream.read(Reading { from, span }).await.unwrap().events.is_empty());
    // It is heard, and read as well.
    world.answer(0, 1);
    world.events.journal.flush().await.unwrap();
    let mut read = 0;
    while read == 0 {
        read = stream.read(Reading { from, span }).await.unwrap().events.len();
    }
    world.kept.0.clock.advance(10 * AGAIN);
    let events = stream.next().await.unwrap().events;
    assert_eq!((read, events.len()), (1, 0), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_is_of_the_type_that_its_own_deployment_has() {
    let world = World::new(PART).await;
    let answer = |deployment: &str, good: Tensor| {
        let at = world.events.ctx.now().plus_micros(-100 * SECOND);
        let mut made = prediction(world.ids.event(at), at, 0);
        made.rows = 1;
        made.outputs = [NamedTensor { name: "good".into(), tensor: good }].into();
        made.target = Arc::new(Target { deployment: deployment.into(), ..Target::clone(&made.target) });
        world.events.journal.append(made);
    };
    answer("churn", Tensor::from_vec(DType::Bool, [1_usize].to_vec(), vec![1_u8]).unwrap());
    answer("other", Tensor::from_strings([1_usize].to_vec(), vec!["very".into()]).unwrap());
    world.events.journal.flush().await.unwrap();
    eventually("it is in the journal", || async { !world.all().await.0.is_empty() }).await;
    let (events, _) = world.all().await;
    let [Event::Exposure(only)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(only.outputs, [(Arc::from("good"), 1.0)]);
}

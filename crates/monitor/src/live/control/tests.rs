//! The controller over a real database, with a fake clock and a journal in memory.

use super::super::action::{DeclareMonitor, ReadMonitors, ReadProfile, SaveProfile};
use super::super::ports::{Answer, Answered, Estimates, FreshVersion, PortError, PortResult, Rows};
use super::super::rows::tests::{Lines, batch, spec};
use super::super::rows::{Cells, MINUTE};
use super::super::watch::TransitionKind;
use super::super::watch::tests::Dice;
use super::*;
use crate::live::MIGRATIONS;
use crate::profile::Profile;
use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use mainspring_core::event::Decision;
use mainspring_core::{Clock, Ctx, ErrorKind, ManualClock, Name, Tenant};
use mainspring_store::Db;
use mainspring_testkit::{TempDb, may};
use parking_lot::Mutex;
use serde_json::json;

mod early;
mod estimated;
mod models;
mod profiles;
mod segments;
mod told;

const SECOND: i64 = 1_000_000;

/// Everything around the controllers.
struct Stage {
    clock: ManualClock,
    /// Rows with the moment at which they were journaled.
    journal: Mutex<Vec<RecordBatch>>,
    dice: Mutex<Dice>,
    shift: Mutex<f64>,
    version: Mutex<&'static str>,
    /// Columns of the same values beside the one.
    more: Mutex<usize>,
    /// Columns that are redacted.
    hidden: Mutex<Vec<String>>,
    /// The journal does not answer.
    dark: Mutex<bool>,
    /// It has a bug, once.
    bug: Mutex<bool>,
    /// How long it takes for a part, microseconds.
    slow: Mutex<i64>,
    told: Mutex<Vec<Alarm>>,
    /// Alarms that nobody takes.
    deaf: Mutex<bool>,
    trained: Mutex<Option<Profile>>,
    /// What is the matter with the training data.
    unused: Mutex<Option<String>>,
    /// Labelled rows.
    labels: Mutex<Vec<RecordBatch>>,
    /// Reading the training data takes until this is told.
    slowly: Mutex<Option<Arc<tokio::sync::Notify>>>,
    /// Versions that were registered, and how large their training data is.
    fresh: Mutex<Vec<(FreshVersion, Option<u64>)>>,
    asked: Mutex<u32>,
    /// What accuracy each window has by its estimate, and by the labels that have come.
    accuracy: Mutex<(f64, Option<f64>)>,
    /// Windows that were asked for.
    windows: Mutex<Vec<crate::estimate::Request>>,
    /// Nobody has a turn for an estimate.
    busy: Mutex<bool>,
    /// How often the rows behind a drift cannot be read yet.
    unreadable: Mutex<u32>,
    /// How far the further columns are from `in.x`.
    apart: Mutex<f64>,
}

struct Process(Arc<Stage>);

struct Stream {
    stage: Arc<Stage>,
    read: usize,
    from: Timestamp,
}

fn failed(message: &str) -> PortError {
    PortError { kind: ErrorKind::Unavailable, message: message.to_owned() }
}

impl RowStream for Stream {
    fn next(&mut self) -> PortResult<'_, Rows> {
        assert!(!std::mem::take(&mut *self.stage.bug.lock()), "rows without an end");
        let dark = *self.stage.dark.lock();
        self.stage.clock.advance(*self.stage.slow.lock());
        let journal = self.stage.journal.lock();
        // In parts, as a long past would come.
        let part: Vec<RecordBatch> = journal[self.read..].iter().take(3).cloned().collect();
        self.read += part.len();
        let more = self.read < journal.len();
        let hidden = self.stage.hidden.lock().clone();
        let complete_until = if more { self.from } else { self.stage.clock.now().plus_micros(-5 * SECOND) };
        Box::pin(async move {
            if dark {
                Err(failed("the journal does not answer"))
            } else {
                Ok(Rows { batches: part, complete_until, more, hidden })
            }
        })
    }
}

impl Traffic for Process {
    fn follow(&self, wanted: Wanted) -> PortResult<'_, Box<dyn RowStream>> {
        assert_eq!(wanted.spec.deployment.as_str(), "churn");
        let stream = Stream { stage: Arc::clone(&self.0), read: 0, from: wanted.from };
        Box::pin(async move { Ok(Box::new(stream) as Box<dyn RowStream>) })
    }

    fn recent(&self, wanted: Wanted, _: Asked, most: usize) -> PortResult<'_, Rows> {
        assert_eq!((wanted.spec.columns.as_slice(), most), (&["in.*".to_owned()][..], 512));
        let mut unreadable = self.0.unreadable.lock();
        if *unreadable > 0 {
            *unreadable -= 1;
            return Box::pin(async { Err(failed("the journal is busy")) });
        }
        let batches: Vec<RecordBatch> = self.0.journal.lock().last().cloned().into_iter().collect();
        Box::pin(async move { Ok(Rows { batches, ..Rows::default() }) })
    }

    fn labels(&self, wanted: Wanted, until: Timestamp) -> PortResult<'_, Rows> {
        let batches = self.labelled(wanted.from, until);
        Box::pin(async move { Ok(Rows { batches, complete_until: until, ..Rows::default() }) })
    }
}

/// Answers twice what it is asked.
impl Answers for Process {
    fn again<'a>(&'a self, of: &'a Asked, rows: Given) -> PortResult<'a, Answered> {
        assert!(of.deployment.as_str() == "churn" && ["3", "4"].contains(&of.version.as_str()));
        let Cells::Numbers(values) = &rows.columns["in.x"] else { unreachable!() };
        let rows = values.iter().map(|v| Answer::Numbers(vec![2.0 * v])).collect();
        Box::pin(async move { Ok(Answered { output: "out.y".into(), rows }) })
    }
}

impl Process {
    fn labelled(&self, from: Timestamp, until: Timestamp) -> Vec<RecordBatch> {
        let minute = |b: &RecordBatch| {
            let at = b.column_by_name("at").unwrap().as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
            Timestamp(at.value(0))
        };
        self.0.labels.lock().iter().filter(|b| (from..until).contains(&minute(b))).cloned().collect()
    }
}

impl Alarms for Process {
    fn tell<'a>(&'a self, alarm: &'a Alarm) -> PortResult<'a, ()> {
        if *self.0.deaf.lock() {
            return Box::pin(async { Err(failed("nobody listens")) });
        }
        self.0.told.lock().push(alarm.clone());
        Box::pin(async { Ok(()) })
    }
}

fn stage(clock: &ManualClock) -> Arc<Stage> {
    Arc::new(Stage {
        clock: clock.clone(),
        journal: Mutex::default(),
        dice: Mutex::new(Dice::new(1)),
        shift: Mutex::default(),
        version: Mutex::new("3"),
        more: Mutex::default(),
        hidden: Mutex::default(),
        dark: Mutex::default(),
        bug: Mutex::default(),
        slow: Mutex::default(),
        told: Mutex::default(),
        deaf: Mutex::default(),
        trained: Mutex::default(),
        unused: Mutex::default(),
        labels: Mutex::default(),
        slowly: Mutex::default(),
        fresh: Mutex::default(),
        asked: Mutex::default(),
        accuracy: Mutex::default(),
        windows: Mutex::default(),
        busy: Mutex::default(),
        unreadable: Mutex::default(),
        apart: Mutex::default(),
    })
}

/// A process with a controller.
struct Server {
    monitors: Monitors,
    controller: Controller,
}

impl Server {
    fn new(db: &Db, ctx: &Ctx, stage: &Arc<Stage>, owner: &str) -> Self {
        let process = Arc::new(Process(Arc::clone(stage)));
        let monitors = Monitors::new(db.clone(), ctx.clone(), process.clone());
        let ports =
            Ports { traffic: process.clone(), alarms: process.clone(), answers: process.clone(), estimates: process };
        let controller = Controller::new(monitors.clone(), ports, owner.to_owned());
        Self { monitors, controller }
    }

    fn view(&self) -> super::super::View {
        self.monitors.status(&read()).unwrap()
    }

    fn watch(&self) -> Watch {
        (*self.view().watch.unwrap()).clone()
    }
}

fn name() -> Name {
    Name::new("churn-drift").unwrap()
}

fn declare() -> mainspring_core::Authorized<DeclareMonitor> {
    may(DeclareMonitor { monitor: name() })
}

fn read() -> mainspring_core::Authorized<ReadMonitors> {
    may(ReadMonitors { monitor: Some(name()) })
}

/// A minute passes with its traffic, and each controller passes.
async fn pass(stage: &Stage, servers: &mut [&mut Server], rows: usize) {
    let start = stage.clock.now().micros();
    if rows > 0 {
        let (mut dice, mut journal) = (stage.dice.lock(), stage.journal.lock());
        let x: Float64Array = (0..rows).map(|_| Some(dice.normal() + *stage.shift.lock())).collect();
        let apart = *stage.apart.lock();
        let further: Float64Array = x.iter().map(|x| x.map(|x| x + apart)).collect();
        let (x, further) = (Arc::new(x) as ArrayRef, Arc::new(further) as ArrayRef);
        let more: Vec<String> = (0..*stage.more.lock()).map(|n| format!("in.x{n}")).collect();
        let mut columns = vec![("in.x", Arc::clone(&x))];
        columns.extend(more.iter().map(|name| (name.as_str(), Arc::clone(&further))));
        let at = (0..rows as i64).map(|i| start + i * MINUTE / rows as i64).collect();
        let first_id = journal.len() as u64 * 10_000;
        let lines = Lines { at, first_id, variant: "stable", version: *stage.version.lock() };
        journal.push(batch(&lines, columns));
    }
    stage.clock.advance(MINUTE);
    for server in servers {
        for _ in 0..3 {
            server.controller.pass().await.unwrap();
        }
    }
}

async fn a_killed_leader_loses_and_doubles_nothing(temp: TempDb) {
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let declared = spec(json!({
        "window": "30m", "reference": {"firstRows": 1000}, "recoverAfter": "5m", "severity": "critical",
        "onDrift": {"rollout": "abort"}, "runbook": "https://wiki/churn"
    }));
    let (mut a, mut b) = (Server::new(&db, &temp.ctx, &stage, "a"), Server::new(&db, &temp.ctx, &stage, "b"));
    for server in [&a, &b] {
        server.monitors.declare(&declare(), declared.clone(), server.monitors.ctx.now()).unwrap();
    }
    // The whole run by one watch that never stops, from the same rows.
    pass(&stage, &mut [&mut a, &mut b], 0).await;
    let (mut one, mut whole) = {
        let begun = Timestamp(stage.clock.now().micros() - MINUTE);
        (Sampler::from(begun), Watch::new(begun, &declared))
    };
    for minute in 0..90 {
        *stage.shift.lock() = if minute < 40 { 0.0 } else { 1.0 };
        if minute == 60 {
            // Killed: what it had read and not written is gone, and its lease runs out.
            a = Server::new(&db, &temp.ctx, &stage, "c");
        }
        if minute < 60 {
            pass(&stage, &mut [&mut a, &mut b], 300).await;
        } else {
            pass(&stage, &mut [&mut b], 300).await;
        }
    }
    // What the last minute needs to be complete.
    pass(&stage, &mut [&mut b], 0).await;
    drop(a);
    let mut told = Vec::new();
    for rows in stage.journal.lock().iter() {
        one.take(rows, &declared).unwrap();
    }
    for minute in one.close(stage.clock.now()) {
        told.extend(whole.fold(&minute, &declared, &References::default()));
        whole.settle(minute.at.plus_micros(MINUTE));
    }
    let found = b.watch();
    assert_eq!(b.view().problem, None);
    assert_eq!((found.rows, found.tracks.clone()), (whole.rows, whole.tracks.clone()));
    assert_eq!(found.rows, [90 * 300, 90 * 256]);
    let kept = b.monitors.transitions(&read(), u64::MAX, 100).await.unwrap();
    assert_eq!(
        kept.iter().rev().map(|(_, t)| (t.at, t.kind)).collect::<Vec<_>>(),
        told.iter().map(|t| (t.at, t.kind)).collect::<Vec<_>>()
    );
    // What is told says what it does to the answers: the column moved by 1, the answer by 2.
    let why = found.why.as_ref().unwrap();
    assert_eq!((why.output.as_str(), why.rows, why.causes.len()), ("out.y", 128, 1));
    let cause = &why.causes[0];
    assert!((1.6..2.4).contains(&cause.shift.unwrap()) && (1.8..2.8).contains(&cause.importance), "{cause:?}");
    assert!(kept[0].1.sentence.contains("in.x (moves the mean of out.y by +"), "{}", kept[0].1.sentence);
    assert_eq!(kept[0].1.numbers["why"]["causes"][0]["column"], "in.x");
    let said = super::super::why(&b.view());
    assert!(
        said.len() == 3 && said[1].contains("over 128 rows asked again") && said[2].starts_with("What to do:"),
        "{said:?}"
    );
    assert_eq!((told.len(), told[0].kind), (1, TransitionKind::Drifted));
    // The journal and whom it concerns are told of it.
    let events = db.outbox_take(Decision::TOPIC, 100).await.unwrap();
    let event: Decision = serde_json::from_value(events[0].body.clone()).unwrap();
    assert_eq!((events.len(), event.by.as_str(), event.sequence), (1, "Monitor/churn-drift", 1));
    assert_eq!((event.decision.as_str(), event.deployment.as_str()), ("drifted", "churn"));
    let alarms = stage.told.lock().clone();
    let order = Some(super::super::spec::RolloutOrder::Abort);
    assert_eq!((alarms.len(), alarms[0].firing, alarms[0].order), (1, true, order));
    assert!(alarms[0].numbers["query"].as_str().unwrap().contains("\"in.x\""));
    assert_eq!((alarms[0].severity.as_str(), alarms[0].runbook.as_deref()), ("critical", Some("https://wiki/churn")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_loses_and_doubles_nothing_on_sqlite() {
    a_killed_leader_loses_and_doubles_nothing(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_loses_and_doubles_nothing_on_postgres() {
    a_killed_leader_loses_and_doubles_nothing(TempDb::postgres()).await;
}

/// Half an hour in which a column shifts after twelve minutes.
async fn drifts(stage: &Stage, server: &mut Server) {
    server
        .monitors
        .declare(
            &declare(),
            spec(json!({"window": "30m", "reference": {"firstRows": 1000}})),
            server.monitors.ctx.now(),
        )
        .unwrap();
    for minute in 0..30 {
        *stage.shift.lock() = if minute < 12 { 0.0 } else { 2.0 };
        pass(stage, &mut [server], 300).await;
    }
}

/// What stands in the place of a redacted value is not what came: it is no drift, and ends one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_is_redacted_is_watched_no_more() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    drifts(&stage, &mut a).await;
    assert!(a.watch().drifting && a.watch().tracks.contains_key("in.x"));
    stage.hidden.lock().push("in.x".to_owned());
    // The first minute is of rows that came before it.
    for _ in 0..3 {
        pass(&stage, &mut [&mut a], 0).await;
    }
    assert!(!a.watch().drifting && a.watch().tracks.is_empty(), "{:?}", a.watch());
    let kept = a.monitors.transitions(&read(), u64::MAX, 100).await.unwrap();
    assert!(kept.len() == 2 && kept[0].1.sentence.contains("in.x is redacted now"), "{kept:?}");
    let alarms: Vec<bool> = stage.told.lock().iter().map(|alarm| alarm.firing).collect();
    assert_eq!(alarms, [true, false]);
}

/// The leader died between a deletion and letting go of what was deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_away_while_nobody_led_ends_its_alarm() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    drifts(&stage, &mut a).await;
    assert!(a.watch().drifting);
    drop(a);
    let mut b = Server::new(&db, &temp.ctx, &stage, "b");
    pass(&stage, &mut [&mut b], 0).await;
    pass(&stage, &mut [&mut b], 0).await;
    let alarms: Vec<bool> = stage.told.lock().iter().map(|alarm| alarm.firing).collect();
    assert_eq!(alarms, [true, false]);
    assert!(db.read(|c| async move { sql::writes(c).await }.boxed()).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stands_still_without_news_and_says_why_and_goes_on() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let (mut a, mut b) = (Server::new(&db, &temp.ctx, &stage, "a"), Server::new(&db, &temp.ctx, &stage, "b"));
    for server in [&a, &b] {
        server.monitors.declare(&declare(), spec(json!({})), server.monitors.ctx.now()).unwrap();
    }
    // What another binary wrote and nobody can read hides no other.
    let sql =
        "INSERT INTO monitor_state (tenant, name, spec, state, version, updated_at) VALUES ($1, $2, $3, $3, 1, 1)";
    let odd = mainspring_store::args!["default", "a-other", "{"];
    db.write(move |c| async move { c.execute(sql, odd).await }.boxed()).await.unwrap();
    assert_eq!(a.view().state(), "waiting");
    a.controller.pass().await.unwrap();
    pass(&stage, &mut [&mut a, &mut b], 100).await;
    *stage.dark.lock() = true;
    for _ in 0..3 {
        pass(&stage, &mut [&mut a, &mut b], 100).await;
    }
    for view in [a.view(), b.view()] {
        assert_eq!((view.state(), view.problem.as_deref()), ("stopped", Some("the journal does not answer")));
    }
    *stage.dark.lock() = false;
    for n in 0..8 {
        if n == 4 {
            // It remembers nothing, and what was folded comes to it again.
            a.controller.leader.lost();
        }
        pass(&stage, &mut [&mut a, &mut b], 100).await;
    }
    assert_eq!((a.view().problem, a.watch().rows[0]), (None, 1_100), "the rows of the dark minutes are there");
    // The others look every few passes.
    for _ in 0..LOOK {
        b.controller.pass().await.unwrap();
    }
    assert_eq!((b.view().problem, b.watch().rows[0]), (None, 1_100));
    assert!(a.view().late > 0 && b.view().late == a.view().late, "{} {}", a.view().late, b.view().late);
    assert_eq!((a.view().state(), b.view().state()), ("learning", "learning"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bug_that_one_monitor_meets_holds_up_no_other() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let other = Name::new("a-first").unwrap();
    let first = ReadMonitors { monitor: Some(other.clone()) };
    a.monitors.declare(&may(DeclareMonitor { monitor: other }), spec(json!({})), a.monitors.ctx.now()).unwrap();
    a.monitors.declare(&declare(), spec(json!({})), a.monitors.ctx.now()).unwrap();
    a.controller.pass().await.unwrap();
    pass(&stage, &mut [], 100).await;
    stage.clock.advance(6 * SECOND);
    *stage.bug.lock() = true;
    a.controller.pass().await.unwrap();
    let problem = a.monitors.status(&may(first.clone())).unwrap().problem.unwrap();
    assert!(problem.contains("a bug of the server: rows without an end"), "{problem}");
    assert_eq!((a.view().problem, a.watch().rows[0]), (None, 100));
    for _ in 0..8 {
        pass(&stage, &mut [&mut a], 100).await;
    }
    let view = a.monitors.status(&may(first)).unwrap();
    assert_eq!(
        (view.problem, view.watch.unwrap().rows),
        (None, a.watch().rows),
        "it is tried again, and has lost nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn training_data_that_takes_long_to_read_holds_up_no_other_monitor() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    *stage.trained.lock() = Some(trained(&stage, 0.0));
    let read = Arc::new(tokio::sync::Notify::new());
    *stage.slowly.lock() = Some(Arc::clone(&read));
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let other = Name::new("a-first").unwrap();
    let first = ReadMonitors { monitor: Some(other.clone()) };
    a.monitors.declare(&may(DeclareMonitor { monitor: other }), spec(json!({})), a.monitors.ctx.now()).unwrap();
    a.monitors.declare(&declare(), spec(json!({"reference": {"window": "7d"}})), a.monitors.ctx.now()).unwrap();
    a.controller.pass().await.unwrap();
    for _ in 0..3 {
        pass(&stage, &mut [&mut a], 100).await;
    }
    let problem = a.monitors.status(&may(first.clone())).unwrap().problem.unwrap();
    assert!(problem.contains("is being read"), "{problem}");
    assert_eq!((a.view().problem, a.watch().rows[0]), (None, 200), "all minutes that are complete");
    read.notify_one();
    for _ in 0..8 {
        pass(&stage, &mut [&mut a], 100).await;
    }
    let view = a.monitors.status(&may(first)).unwrap();
    assert_eq!((view.problem, view.watch.unwrap().rows[0]), (None, a.watch().rows[0]), "it has lost nothing");
    assert_eq!(a.watch().rows[0], 1_000);
    assert_eq!(*stage.asked.lock(), 1, "it was read once");
}

/// Both a long past of one monitor and many monitors take longer than the lease lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_lasts_longer_than_the_lease_loses_nothing() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let (mut a, mut b) = (Server::new(&db, &temp.ctx, &stage, "a"), Server::new(&db, &temp.ctx, &stage, "b"));
    for n in 0..6 {
        let monitor = Name::new(&format!("m{n}")).unwrap();
        a.monitors.declare(&may(DeclareMonitor { monitor }), spec(json!({})), a.monitors.ctx.now()).unwrap();
    }
    a.controller.pass().await.unwrap();
    for _ in 0..20 {
        pass(&stage, &mut [], 100).await;
    }
    *stage.slow.lock() = 3 * SECOND;
    for _ in 0..10 {
        a.controller.pass().await.unwrap();
        b.controller.pass().await.unwrap();
        assert!(b.controller.leader.lease().is_none(), "nobody succeeds who is at work");
    }
    let all = a.monitors.list(&may(ReadMonitors { monitor: None }));
    assert_eq!(all.len(), 6);
    for view in all {
        assert_eq!((view.problem, view.watch.unwrap().rows[0]), (None, 2_000), "{}", view.name);
    }
}

/// Nothing else would ever end it: the monitor that comes after it, if one does, has other labels or begins anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_ends_with_the_monitor_that_raised_it() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let declared = spec(json!({"window": "30m", "reference": {"firstRows": 1000}, "onDrift": {"rollout": "pause"}}));
    let changed = [
        Some(MonitorSpec { level: 0.001, ..declared.clone() }),
        Some(MonitorSpec { variant: "canary".into(), ..declared.clone() }),
        None,
    ];
    for (round, change) in changed.into_iter().enumerate() {
        a.monitors.declare(&declare(), declared.clone(), a.monitors.ctx.now()).unwrap();
        for minute in 0..25 {
            *stage.shift.lock() = if minute < 10 { 0.0 } else { 2.0 };
            pass(&stage, &mut [&mut a], 256).await;
        }
        assert_eq!((a.view().state(), stage.told.lock().len()), ("drifting", 2 * round + 1));
        match change {
            Some(other) => a.monitors.declare(&declare(), other, a.monitors.ctx.now()).unwrap(),
            None => a.monitors.withdraw(&declare()),
        }
        pass(&stage, &mut [&mut a], 0).await;
        let last = stage.told.lock().last().cloned().unwrap();
        assert_eq!((last.firing, last.variant.as_str(), last.deployment.as_str()), (false, "stable", "churn"));
        assert!(last.order.is_none() && last.sentence.contains("drift until it was"), "{}", last.sentence);
        a.monitors.withdraw(&declare());
        pass(&stage, &mut [&mut a], 0).await;
        assert_eq!(stage.told.lock().len(), 2 * round + 2, "once");
    }
}

/// The profile of rows like the stage's, moved by `shift`.
fn trained(stage: &Stage, shift: f64) -> crate::profile::Profile {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("train.csv");
    let lines: Vec<String> = (0..3_000).map(|_| (stage.dice.lock().normal() + shift).to_string()).collect();
    std::fs::write(&file, format!("x\n{}\n", lines.join("\n"))).unwrap();
    crate::profile::profile(&crate::Table::open(&file).unwrap(), 1).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_profile_of_the_training_data_is_made_once_and_a_saved_one_comes_first() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    *stage.trained.lock() = Some(trained(&stage, 0.0));
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    a.monitors.declare(&declare(), spec(json!({"window": "30m"})), a.monitors.ctx.now()).unwrap();
    a.controller.pass().await.unwrap();
    let auth = may(ReadProfile { model: "churn".into() });
    for _ in 0..20 {
        pass(&stage, &mut [&mut a], 200).await;
    }
    assert_eq!((*stage.asked.lock(), a.view().state()), (1, "steady"));
    let audited = "SELECT COUNT(*) AS n FROM audit WHERE action = 'profile.save' AND resource_name = 'churn'";
    assert_eq!(mainspring_testkit::db::number(&db, audited).await, 1, "what the server saves by itself is audited");
    let saved = a.monitors.profile(&auth, "3").await.unwrap();
    assert_eq!((saved.source.as_str(), saved.saved_by.as_str()), ("the run's dataset churn", "the server"));
    // A person knows better; the next version that answers is compared with what was saved with it.
    let save = may(SaveProfile { model: "churn".into() });
    a.monitors.save_profile(&save, "4", &trained(&stage, 2.0)).await.unwrap();
    *stage.version.lock() = "4";
    for _ in 0..20 {
        pass(&stage, &mut [&mut a], 200).await;
    }
    assert_eq!((*stage.asked.lock(), a.view().state(), a.watch().version.as_str()), (1, "drifting", "4"));
    let mut empty = trained(&stage, 0.0);
    empty.columns.iter_mut().for_each(|c| c.calibration = None);
    let refused = a.monitors.save_profile(&save, "5", &empty).await;
    assert!(matches!(refused, Err(WatchError::Profile(_))));
    // Asked for by name, a profile that is not there is not replaced by anything.
    *stage.trained.lock() = None;
    a.monitors
        .declare(&declare(), spec(json!({"reference": {"profile": "models:/churn/9"}})), a.monitors.ctx.now())
        .unwrap();
    for _ in 0..3 {
        pass(&stage, &mut [&mut a], 200).await;
    }
    let problem = a.view().problem.unwrap();
    assert!(
        problem.contains("no profile is saved with version 9") && problem.contains("--version churn/9"),
        "{problem}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_wait_for_who_hears_them_and_what_is_deleted_is_forgotten() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let declared = spec(json!({"window": "6m", "reference": {"firstRows": 1000}, "recoverAfter": "5m"}));
    a.monitors.declare(&declare(), declared.clone(), a.monitors.ctx.now()).unwrap();
    *stage.deaf.lock() = true;
    a.controller.pass().await.unwrap();
    for minute in 0..70 {
        *stage.shift.lock() = if (20..35).contains(&minute) { 1.5 } else { 0.0 };
        pass(&stage, &mut [&mut a], 256).await;
    }
    assert!(stage.told.lock().is_empty());
    *stage.deaf.lock() = false;
    pass(&stage, &mut [&mut a], 256).await;
    let firing: Vec<bool> = stage.told.lock().iter().map(|alarm| alarm.firing).collect();
    assert_eq!(firing, [true, false], "in their order");
    assert!(stage.told.lock()[1].order.is_none(), "what is over orders nothing");
    // A change of the words around it goes on; a change of the test begins anew.
    let rows = a.watch().rows[0];
    a.monitors
        .declare(
            &declare(),
            MonitorSpec { severity: super::super::spec::Severity::Critical, ..declared.clone() },
            a.monitors.ctx.now(),
        )
        .unwrap();
    pass(&stage, &mut [&mut a], 256).await;
    assert_eq!(a.watch().rows[0], rows + 256);
    a.monitors.declare(&declare(), MonitorSpec { level: 0.001, ..declared }, a.monitors.ctx.now()).unwrap();
    pass(&stage, &mut [&mut a], 256).await;
    pass(&stage, &mut [&mut a], 0).await;
    assert!(a.watch().rows[0] <= 512, "{:?}", a.watch().rows);
    a.monitors.withdraw(&declare());
    pass(&stage, &mut [&mut a], 256).await;
    assert!(a.monitors.list(&may(ReadMonitors { monitor: None })).is_empty());
    let left = db.read(|c| async move { sql::writes(c).await }.boxed()).await.unwrap();
    assert!(left.is_empty());
    assert_eq!(a.monitors.transitions(&read(), u64::MAX, 10).await.unwrap().len(), 2, "what was told stays");
}

/// Hundreds of columns make a state of megabytes while it is open which bins their numbers fall into: it is not written each
/// minute. After that they keep no numbers, however many rows their references are made of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_state_is_written_seldom_and_loses_nothing() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    *stage.more.lock() = 399;
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let declared = spec(json!({"reference": {"firstRows": 5000}}));
    a.monitors.declare(&declare(), declared.clone(), a.monitors.ctx.now()).unwrap();
    a.controller.pass().await.unwrap();
    let written = async || {
        let one = db.read(|c| async move { sql::one(c, &Tenant::default(), &name()).await }.boxed()).await;
        let state = one.unwrap().unwrap();
        (state.version, state.watch.rows[0])
    };
    let (mut versions, mut most) = (Vec::new(), 0);
    for minute in 0..24 {
        pass(&stage, &mut [&mut a], 250).await;
        versions.push(written().await.0);
        let kept = a.watch().kept();
        assert!(minute < 6 || kept == 0, "minute {minute}: {kept} numbers");
        most = most.max(kept);
    }
    let seldom = versions.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!((200_001..=400 * 1_280).contains(&most) && (1..4).contains(&seldom), "{most} numbers, {versions:?}");
    let (rows, kept) = (a.watch().rows[0], written().await.1);
    assert_eq!((rows, kept), (23 * 250, rows));
    let watch = a.watch();
    // A quarter of them, at most 1,024, decided on the bins, and is not counted in them.
    let counted: Vec<u64> = watch.tracks.values().map(|t| t.reference().unwrap().rows()).collect();
    assert_eq!(counted, [5_000 - 1_024; 400]);
}

/// Labels are looked at when their wait is over, each once, also by the one that succeeds; and looks are kept.
async fn labels_and_looks(temp: TempDb) {
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let declared = spec(json!({
        "window": "30m", "reference": {"firstRows": 1000},
        "label": {"name": "y", "wait": "10m", "prediction": "out.p"}
    }));
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    a.monitors.declare(&declare(), declared.clone(), a.monitors.ctx.now()).unwrap();
    pass(&stage, &mut [&mut a], 0).await;
    for minute in 0..60 {
        let start = stage.clock.now().micros();
        let wrong = |i: usize| if minute < 20 { i.is_multiple_of(10) } else { i.is_multiple_of(2) };
        let numbers =
            |f: &dyn Fn(usize) -> f64| Arc::new((0..200).map(|i| Some(f(i))).collect::<Float64Array>()) as ArrayRef;
        let truth = numbers(&|i| (i % 3) as f64);
        let ints: arrow::array::Int64Array = (0..200).map(|i| Some((i % 3) as i64 + i64::from(wrong(i)))).collect();
        let at = (0..200).map(|i| start + i * MINUTE / 200).collect();
        let lines = Lines { at, first_id: 1_000_000 + minute * 1_000, variant: "stable", version: "3" };
        let kinds = Arc::new(StringArray::from(vec!["number"; 200])) as ArrayRef;
        let values = Arc::new((0..200).map(|i| Some((i % 3).to_string())).collect::<StringArray>()) as ArrayRef;
        let rows = vec![
            ("out.p", Arc::new(ints) as ArrayRef),
            ("label_value", values),
            ("label_type", kinds),
            ("label_number", truth),
        ];
        stage.labels.lock().push(batch(&lines, rows));
        if minute == 45 {
            a = Server::new(&db, &temp.ctx, &stage, "b");
            a.monitors.declare(&declare(), declared.clone(), a.monitors.ctx.now()).unwrap();
        }
        pass(&stage, &mut [&mut a], 200).await;
    }
    let watch = a.watch();
    assert_eq!(a.view().problem, None);
    // Of a version's rows the labels are looked at once, up to ten minutes ago.
    assert_eq!(watch.truth.until.micros(), watch.position.micros() - 10 * MINUTE);
    assert_eq!(watch.truth.rows % 200, 0);
    assert!((46..=50).contains(&(watch.truth.rows / 200)), "{}", watch.truth.rows);
    assert_eq!(watch.truth.tracks["error.y"].standing, super::super::track::Standing::Drift);
    assert_eq!(watch.truth.tracks["label.y"].standing, super::super::track::Standing::Steady);
    let told = a.monitors.transitions(&read(), u64::MAX, 100).await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    let (sentence, numbers) = (&told[0].1.sentence, &told[0].1.numbers);
    assert!(sentence.contains("error.y") && sentence.contains("no longer as wrong"), "{sentence}");
    assert_eq!(numbers["columns"][0]["drift"], "concept");
    let query = numbers["query"].as_str().unwrap();
    assert!(
        query.contains("FROM labeled") && query.contains("feedback_name = 'y'") && !query.contains("error.y"),
        "{query}"
    );
    // Each look of the last hours, and nothing twice.
    let points = a.monitors.history(&read(), Timestamp(0)).await.unwrap();
    assert!(points.len() >= 45 && points.is_sorted_by(|a, b| a.at < b.at), "{}", points.len());
    let error = |p: &Point| p.columns.iter().find(|e| e.column == "error.y").map(crate::live::Effect::beyond);
    assert!(error(points.last().unwrap()).unwrap() > 0.3 && error(&points[25]).unwrap_or(0.0) < 0.1);
    let since = points[40].at;
    assert_eq!(a.monitors.history(&read(), since).await.unwrap().len(), points.len() - 40);
    // Much later one look is left of each hour.
    stage.clock.advance(8 * 60 * MINUTE);
    pass(&stage, &mut [&mut a], 200).await;
    pass(&stage, &mut [&mut a], 200).await;
    let later = a.monitors.history(&read(), Timestamp(0)).await.unwrap();
    assert!(later.len() <= 4, "{}", later.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_and_looks_on_sqlite() {
    labels_and_looks(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_and_looks_on_postgres() {
    labels_and_looks(TempDb::postgres()).await;
}

/// Of one journal the rows of one variant are watched and those of the other are what they are compared with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variant_is_watched_beside_another() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let declared = json!({"variant": "v8", "window": "30m", "reference": {"variant": "stable"}});
    a.monitors.declare(&declare(), spec(declared), a.monitors.ctx.now()).unwrap();
    pass(&stage, &mut [&mut a], 0).await;
    for minute in 0..50 {
        let start = stage.clock.now().micros();
        {
            let (mut dice, mut journal) = (stage.dice.lock(), stage.journal.lock());
            let by = if minute < 25 { 0.0 } else { 1.0 };
            let x: Float64Array = (0..150).map(|_| Some(dice.normal() + by)).collect();
            let at = (0..150).map(|i| start + i * MINUTE / 150).collect();
            let lines = Lines { at, first_id: 5_000_000 + minute * 1_000, variant: "v8", version: "4" };
            journal.push(batch(&lines, vec![("in.x", Arc::new(x) as ArrayRef)]));
        }
        pass(&stage, &mut [&mut a], 150).await;
    }
    let watch = a.watch();
    assert_eq!((a.view().problem, watch.version.as_str()), (None, "4"));
    assert_eq!(watch.beside, Some(("churn".into(), "3".into())));
    assert!(watch.rows[0] >= 48 * 150, "{:?}", watch.rows);
    assert_eq!(watch.tracks["in.x"].standing, super::super::track::Standing::Drift);
}

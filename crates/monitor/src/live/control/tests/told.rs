//! What whoever hears of an alarm is told while more drifts, and less.

use super::*;

/// A minute of an input and an output that move apart from each other, by so many standard deviations.
async fn both(stage: &Stage, server: &mut Server, (input, output): (f64, f64)) {
    let start = stage.clock.now().micros();
    {
        let (mut dice, mut journal) = (stage.dice.lock(), stage.journal.lock());
        let mut normal = |by: f64| Arc::new((0..200).map(|_| Some(dice.normal() + by)).collect::<Float64Array>());
        let (x, y) = (normal(input) as ArrayRef, normal(output) as ArrayRef);
        let at = (0..200).map(|i| start + i * MINUTE / 200).collect();
        let lines = Lines { at, first_id: journal.len() as u64 * 10_000, variant: "stable", version: "3" };
        journal.push(batch(&lines, vec![("in.x", x), ("out.y", y)]));
    }
    pass(stage, &mut [server], 0).await;
}

/// An alert says what is true now, of all that drifts: also when only a part of it has begun or ended. Its order is given where
/// something begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_says_all_that_drifts_when_a_part_begins_or_ends() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let declared = json!({
        "window": "12m", "recoverAfter": "5m", "reference": {"firstRows": 1000}, "onDrift": {"rollout": "pause"}
    });
    a.monitors.declare(&declare(), spec(declared), a.monitors.ctx.now()).unwrap();
    pass(&stage, &mut [&mut a], 0).await;
    for minute in 0..110 {
        let on = |minutes: std::ops::Range<i32>| if minutes.contains(&minute) { 1.5 } else { 0.0 };
        both(&stage, &mut a, (on(20..60), on(35..90))).await;
    }
    assert_eq!(a.view().problem, None);
    let told = stage.told.lock().clone();
    let [first, second, part, end] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!([first.firing, second.firing, part.firing, end.firing], [true, true, true, false]);
    let orders = [first, second, part, end].map(|alarm| alarm.order.is_some());
    assert_eq!(orders, [true, true, false, false]);
    let (inputs, both) = ("the watched answers not", "the inputs have changed and the answers with them");
    assert!(first.sentence.contains(inputs), "{}", first.sentence);
    assert!(second.sentence.contains(both) && second.sentence.contains("; already drifting"), "{}", second.sentence);
    let left = "the answers have changed and the watched inputs not";
    assert!(
        part.sentence.contains("in part: in.x; still drifting") && part.sentence.contains(left),
        "{}",
        part.sentence
    );
    assert!(part.numbers["query"].as_str().unwrap().contains("\"out.y\""), "{}", part.numbers);
    assert!(end.sentence.ends_with("again as its reference: out.y"), "{}", end.sentence);
}

/// What a detector calls raises an alert and ends it, gives no order, and a new leader goes on with what it has seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_detector_is_told_of_orders_nothing_and_survives_its_leader() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let declared = spec(json!({
        "columns": ["out.z"], "recoverAfter": "5m", "severity": "critical", "onDrift": {"rollout": "abort"},
        "detectors": [{"columns": ["in.x"], "pageHinkley": {"threshold": 150.0}}]
    }));
    a.monitors.declare(&declare(), declared.clone(), a.monitors.ctx.now()).unwrap();
    pass(&stage, &mut [&mut a], 0).await;
    let begun = Timestamp(stage.clock.now().micros() - MINUTE);
    let mut b = Server::new(&db, &temp.ctx, &stage, "b");
    b.monitors.declare(&declare(), declared.clone(), b.monitors.ctx.now()).unwrap();
    for minute in 0..40 {
        *stage.shift.lock() = if (20..25).contains(&minute) { 2.0 } else { 0.0 };
        if minute < 12 {
            pass(&stage, &mut [&mut a, &mut b], 100).await;
        } else {
            pass(&stage, &mut [&mut b], 100).await;
        }
    }
    drop(a);
    pass(&stage, &mut [&mut b], 0).await;
    let (mut one, mut whole) = (Sampler::from(begun), Watch::new(begun, &declared));
    for rows in stage.journal.lock().iter() {
        one.take(rows, &declared).unwrap();
    }
    for minute in one.close(stage.clock.now()) {
        whole.fold(&minute, &declared, &References::default());
    }
    let found = b.watch();
    assert_eq!(b.view().problem, None);
    assert_eq!(found.detectors, whole.detectors, "as one that never stopped");
    assert_eq!((found.detectors[0].seen, found.why.as_ref()), (4_000, None), "no model is asked for a detector");
    let told = stage.told.lock().clone();
    assert!(told.len() >= 2 && told[0].firing && !told.last().unwrap().firing, "{told:?}");
    assert!(told.iter().all(|alarm| alarm.order.is_none()), "{told:?}");
    let apart = |alarm: &Alarm| {
        alarm.about == crate::live::About::Detected && alarm.severity == crate::live::spec::Severity::Warning
    };
    assert!(told.iter().all(apart), "what may be nothing pages nobody: {told:?}");
    assert!(told[0].sentence.contains("in.x by Page-Hinkley"), "{}", told[0].sentence);
    let events = db.outbox_take(Decision::TOPIC, 100).await.unwrap();
    let event: Decision = serde_json::from_value(events[0].body.clone()).unwrap();
    assert_eq!(event.decision, "detected");
    assert!(super::super::super::why(&b.view()).is_empty());
}

/// A monitor that stands still for long is somebody's matter, until it goes on, whoever leads then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_that_stands_still_is_told_of_once_and_when_it_goes_on() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let declared = spec(json!({"severity": "critical", "onDrift": {"rollout": "abort"}}));
    a.monitors.declare(&declare(), declared, a.monitors.ctx.now()).unwrap();
    pass(&stage, &mut [&mut a], 100).await;
    let told = |stage: &Stage| -> Vec<Alarm> { std::mem::take(&mut *stage.told.lock()) };
    // A short while is nobody's matter.
    *stage.dark.lock() = true;
    pass(&stage, &mut [&mut a], 100).await;
    assert_eq!(a.view().state(), "stopped");
    *stage.dark.lock() = false;
    for _ in 0..SITS_OUT {
        pass(&stage, &mut [&mut a], 100).await;
    }
    assert_eq!((a.view().problem, told(&stage)), (None, Vec::new()));
    for anew in [false, true] {
        *stage.dark.lock() = true;
        for _ in 0..30 {
            pass(&stage, &mut [&mut a], 100).await;
        }
        let begun = told(&stage);
        let [begin] = begun.as_slice() else { panic!("{begun:?}") };
        assert_eq!(
            (begin.about, begin.firing, begin.severity, begin.order),
            (crate::live::About::Stopped, true, crate::live::spec::Severity::Warning, None)
        );
        assert_eq!(begin.sentence, "monitor churn-drift does not watch stable of churn: the journal does not answer");
        *stage.dark.lock() = false;
        if anew {
            a.controller.leader.lost();
            a.controller.begin_anew();
        }
        for _ in 0..SITS_OUT {
            pass(&stage, &mut [&mut a], 100).await;
        }
        let ended = told(&stage);
        let [end] = ended.as_slice() else { panic!("{ended:?}") };
        assert_eq!((end.about, end.firing), (begin.about, false), "{end:?}");
        assert_eq!(end.sentence, "monitor churn-drift watches stable of churn again");
    }
    // Taken away while it stands still: nothing else would end it.
    *stage.dark.lock() = true;
    for _ in 0..30 {
        pass(&stage, &mut [&mut a], 100).await;
    }
    a.monitors.withdraw(&declare());
    pass(&stage, &mut [&mut a], 0).await;
    let all = told(&stage);
    assert_eq!(all.iter().map(|alarm| alarm.firing).collect::<Vec<_>>(), [true, false], "{all:?}");
    assert_eq!(
        all[1].sentence,
        "monitor churn-drift stood still, with stable of churn unwatched until it was taken away"
    );
}

/// Nobody has looked at it yet when its first rows come, and when somebody does, the next minute has begun.
async fn what_comes_after_the_declaration_is_its_own(temp: TempDb) {
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let (mut a, mut b) = (Server::new(&db, &temp.ctx, &stage, "a"), Server::new(&db, &temp.ctx, &stage, "b"));
    let since = stage.clock.now();
    a.monitors.declare(&declare(), spec(json!({})), since).unwrap();
    pass(&stage, &mut [], 300).await;
    // The other server hears of it a little later, and leads.
    b.monitors.declare(&declare(), spec(json!({})), since).unwrap();
    // Of another severity before anybody has begun, it still counts from its first declaration.
    let severe = spec(json!({"severity": "critical"}));
    b.monitors.declare(&declare(), severe.clone(), stage.clock.now()).unwrap();
    pass(&stage, &mut [&mut b, &mut a], 200).await;
    pass(&stage, &mut [&mut b, &mut a], 0).await;
    assert_eq!(b.watch().rows, [500, 256 + 200], "each once");
    // Another test counts from its own declaration.
    let other = stage.clock.now();
    b.monitors.declare(&declare(), MonitorSpec { level: 0.001, ..severe }, other).unwrap();
    pass(&stage, &mut [], 100).await;
    pass(&stage, &mut [&mut b, &mut a], 50).await;
    pass(&stage, &mut [&mut b, &mut a], 0).await;
    assert_eq!(b.watch().rows, [150, 150]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_after_the_declaration_is_its_own_on_sqlite() {
    what_comes_after_the_declaration_is_its_own(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_after_the_declaration_is_its_own_on_postgres() {
    what_comes_after_the_declaration_is_its_own(TempDb::postgres()).await;
}

/// A drift is told although the rows behind it cannot be read, and explained once they can; where they never can, not at each
/// look anew.
#[tokio::test]
async fn a_drift_whose_rows_cannot_be_read_is_told_and_explained_later() {
    for (failures, asked) in [(1, true), (100, false)] {
        let temp = TempDb::sqlite();
        let db = temp.open_with(&[MIGRATIONS]).await;
        let stage = stage(&temp.clock);
        let mut a = Server::new(&db, &temp.ctx, &stage, "a");
        a.monitors.declare(&declare(), spec(json!({"columns": ["in.x"]})), a.monitors.ctx.now()).unwrap();
        *stage.unreadable.lock() = failures;
        for minute in 0..50 {
            *stage.shift.lock() = if minute < 20 { 0.0 } else { 2.0 };
            pass(&stage, &mut [&mut a], 300).await;
        }
        let told = a.monitors.transitions(&read(), u64::MAX, 100).await.unwrap();
        let problem = told.last().unwrap().1.numbers["why"]["problem"].as_str().unwrap().to_owned();
        assert!(problem.contains("could not be read") && problem.contains("the journal is busy"), "{problem}");
        let why = a.watch().why.unwrap();
        assert_eq!((why.rows > 0, why.problem.is_none()), (asked, asked), "{why:?}");
        assert_eq!(*stage.unreadable.lock(), if asked { 0 } else { failures - 3 }, "three looks in a row, of an hour");
    }
}

/// Neither is one that comes while an earlier one's explanation is still young.
#[tokio::test]
async fn a_second_drift_whose_rows_cannot_be_read_is_explained_at_the_next_look() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    a.monitors.declare(&declare(), spec(json!({"columns": ["in.*"]})), a.monitors.ctx.now()).unwrap();
    *stage.more.lock() = 1;
    let mut explained = None;
    for minute in 0..80 {
        let (shift, second) = (if minute < 20 { 0.0 } else { 2.0 }, if minute < 35 { 0.0 } else { 2.0 });
        (*stage.shift.lock(), *stage.apart.lock()) = (shift, second - shift);
        if minute == 35 {
            explained = a.watch().why;
            *stage.unreadable.lock() = 1;
        }
        pass(&stage, &mut [&mut a], 300).await;
    }
    let told = a.monitors.transitions(&read(), u64::MAX, 100).await.unwrap();
    assert_eq!(*stage.unreadable.lock(), 0, "asked at the second drift: {told:?}");
    let (before, now) = (explained.unwrap(), a.watch().why.unwrap());
    assert!(before.rows > 0 && now.rows > 0 && now.at > before.at, "{before:?}\n{now:?}");
    assert!(now.at.micros() - before.at.micros() < 60 * MINUTE, "before the first one's hour is over");
}

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
    a.monitors.declare(&declare(), spec(declared)).unwrap();
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

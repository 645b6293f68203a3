//! One segment of a deployment beside the others.

use super::*;

/// Of one journal the rows of a segment are watched, and all others are what they are compared with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_is_watched_beside_the_others() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let declared = json!({"window": "30m", "segment": {"in.plan": "gold"}, "reference": {"segment": "others"}});
    a.monitors.declare(&declare(), spec(declared), a.monitors.ctx.now()).unwrap();
    pass(&stage, &mut [&mut a], 0).await;
    for minute in 0..50 {
        let start = stage.clock.now().micros();
        {
            let (mut dice, mut journal) = (stage.dice.lock(), stage.journal.lock());
            // Gold alone is another from the middle on, and a third of the rows.
            let by = |i: usize| if minute >= 25 && i.is_multiple_of(3) { 1.0 } else { 0.0 };
            let x: Float64Array = (0..450).map(|i| Some(dice.normal() + by(i))).collect();
            let plan: StringArray = (0..450).map(|i| (i % 3 < 2).then_some(["gold", "free"][i % 3 % 2])).collect();
            let at = (0..450).map(|i| start + i * MINUTE / 450).collect();
            let lines = Lines { at, first_id: 5_000_000 + minute * 1_000, variant: "stable", version: "3" };
            journal.push(batch(&lines, vec![("in.x", Arc::new(x) as ArrayRef), ("in.plan", Arc::new(plan))]));
        }
        pass(&stage, &mut [&mut a], 0).await;
    }
    let watch = a.watch();
    assert_eq!((a.view().problem, watch.beside.clone()), (None, Some(("churn".into(), "3".into()))));
    assert!(watch.rows[0] >= 48 * 150 && watch.rows[0] <= 50 * 150, "{:?}", watch.rows);
    let columns: Vec<&str> = watch.tracks().map(|(name, ..)| name).collect();
    assert_eq!(columns, ["in.x"], "what tells them apart is not watched");
    assert_eq!(watch.tracks["in.x"].standing, super::super::super::track::Standing::Drift);
    let told = a.monitors.transitions(&read(), u64::MAX, 100).await.unwrap();
    let (sentence, numbers) = (&told[0].1.sentence, &told[0].1.numbers);
    let said = "stable of churn version 3 where in.plan = gold has drifted from stable of churn where not (in.plan = gold) since";
    assert!(sentence.starts_with(said), "{sentence}");
    assert_eq!((&numbers["segment"], told.len()), (&json!({"in.plan": "gold"}), 1));
    assert!(numbers["query"].as_str().unwrap().contains(" AND \"in.plan\" = 'gold' AND at >= "), "{numbers}");
}

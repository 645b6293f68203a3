//! What is counted.

use super::*;

/// Answers of every kind: 3 ms of churn by two keys, one failed, one forced, one in the shadow of another, a quarter of a
/// shared call of 8 ms, and one whose payload was not kept.
async fn busy() -> World {
    let world = World::new().await;
    let mut sampled = answer(2, "churn");
    (sampled.outputs, sampled.caller) = (Arc::default(), "key:k2".into());
    let mut failed = answer(3, "churn");
    failed.outcome = Outcome::Failed { kind: ErrorKind::Internal, message: "broken".into() };
    let forced = Prediction { assignment: Assignment { forced: true, ..Assignment::default() }, ..answer(4, "churn") };
    let shadow =
        Prediction { assignment: Assignment { shadow_of: Some(id(1)), ..Assignment::default() }, ..answer(5, "churn") };
    let mut shared = answer(6, "spam");
    (shared.rows, shared.batch_rows, shared.timing.engine_ns) = (3, 12, 8_000_000);
    shared.outputs = Arc::default();
    let mut elsewhere = answer(7, "batch");
    (elsewhere.protocol, elsewhere.batch_rows, elsewhere.timing.engine_ns) = (Protocol::Batch, 256, 5_000_000_000);
    for one in [answer(1, "churn"), sampled, failed, forced, shadow, shared, elsewhere] {
        world.journal.append(one);
    }
    world
}

#[tokio::test]
async fn every_answer_is_counted_with_its_share_of_the_call() {
    let world = busy().await;
    for sealed in [false, true] {
        if sealed {
            world.journal.seal().await.unwrap();
        }
        let report = world.report(&[By::Deployment]).await;
        let expected = [
            (vec!["batch"], 1, 5_000_000_000),
            (vec!["churn"], 5, 5_000_000),
            // 3 of 12 rows of 8 ms.
            (vec!["spam"], 1, 2_000_000),
        ];
        assert_eq!(lines(&report), expected, "sealed: {sealed}");
        let total = report.total.usage;
        assert_eq!((total.answers, total.requests, total.rows), (7, 6, 9));
        assert_eq!((total.compute_ns, total.away_ns, total.queue_ns), (5_007_000_000, 5_000_000_000, 14_000));
        assert!(report.prices.is_none() && report.host.is_none() && report.total.spent.total() == Money(0));
    }
    world.shut_down().await;
}

#[tokio::test]
async fn answers_are_told_apart_by_what_is_asked() {
    let world = busy().await;
    let mut asked = request(&[By::Outcome]);
    asked.deployment = Some(Name::new("churn").unwrap());
    let by_outcome = world.costs.report(&may(ReadCost), &asked).await.unwrap();
    let mut outcomes = lines(&by_outcome);
    outcomes.sort();
    let each = |name, n| (vec![name], n, u128::from(n) * 1_000_000);
    assert_eq!(outcomes, [each("failed", 1), each("forced", 1), each("shadow", 1), each("succeeded", 2)]);
    let by_key = world.report(&[By::Key, By::Deployment]).await;
    assert!(lines(&by_key).contains(&(vec!["key:k2", "churn"], 1, 1_000_000)), "{by_key:?}");
    let by_version = world.report(&[By::Version, By::Variant, By::Day]).await;
    assert!(lines(&by_version).contains(&(vec!["spam/1", "stable", "2026-03-10"], 1, 2_000_000)), "{by_version:?}");
    let whole = world.report(&[]).await;
    assert_eq!(lines(&whole), [(vec![], 7, 5_007_000_000)]);
    let kept: Vec<_> = whole.kept.iter().map(|k| (k.stored.what, k.stored.bytes)).collect();
    assert_eq!(kept, [("model", 5_000_000_000), ("journal", 1_000_000)]);
    assert_eq!(by_outcome.kept.len(), 1, "of one deployment, its journal alone");
    world.shut_down().await;
}

#[tokio::test]
async fn what_found_no_room_in_the_journal_is_counted_with_what_it_took() {
    let world = World::with_room(100).await;
    let n = 20_000;
    for i in 0..n {
        let mut one = answer(i, "churn");
        one.outputs = Arc::default();
        one.tokens = Some(Tokens { input: 3, output: 1 });
        world.journal.append(one);
    }
    let report = world.report(&[By::Outcome]).await;
    assert_eq!(report.total.usage.answers, n);
    assert_eq!(report.total.usage.compute_ns, u128::from(n) * 1_000_000, "{:?}", lines(&report));
    assert_eq!(report.total.usage.tokens, Tokens { input: 3 * n, output: n });
    assert!(lines(&report).iter().any(|(of, n, _)| of == &["unstored"] && *n > 0), "{:?}", lines(&report));
    world.shut_down().await;
}

#[tokio::test]
async fn a_tenant_sees_its_own_and_the_first_administrators_see_all() {
    let world = busy().await;
    let mut theirs = answer(8, "fraud");
    theirs.tenant = other();
    world.journal.append(theirs);
    let asked = request(&[By::Tenant]);
    let own = world.costs.report(&may_in(&other(), ReadCost), &asked).await.unwrap();
    assert_eq!(lines(&own), [(vec!["other"], 1, 1_000_000)]);
    assert!(own.kept.is_empty());
    let all = world.costs.report_all(&may(ReadAllCost), &asked).await.unwrap();
    assert_eq!(lines(&all), [(vec!["default"], 7, 5_007_000_000), (vec!["other"], 1, 1_000_000)]);
    let denied = world.costs.report_all(&may_in(&other(), ReadAllCost), &asked).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied);
    world.shut_down().await;
}

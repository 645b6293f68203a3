//! What demand says.

use super::*;
use crate::hints::HintKind;
use serde_json::json;

#[tokio::test]
async fn hints_rest_on_the_minutes_of_the_journal() {
    let world = World::new().await;
    // For a day, half of a call at once: thirty seconds of each minute.
    for n in 0..1_440 {
        let mut one = answer(n, "churn");
        one.at = Timestamp(NOON - 24 * HOUR + n as i64 * 60_000_000);
        one.timing.engine_ns = 30_000_000_000;
        world.journal.append(one);
    }
    let window = (Timestamp(NOON - 48 * HOUR), Timestamp(NOON));
    let free = world.costs.hints(&may(ReadCost), window, None).await.unwrap();
    let [instances] = free.hints.as_slice() else { panic!("{free:?}") };
    assert_eq!((instances.kind, instances.deployment.as_deref()), (HintKind::Instances, Some("churn")));
    let number = |key: &str| instances.numbers[key].as_f64().unwrap();
    assert_eq!((number("instances"), number("needed"), number("p99Busy")), (2.0, 1.0, 0.5));
    assert_eq!((number("minutes"), number("busyShare")), (1_440.0, 0.25));
    let spec = json!({"currency": "EUR", "offers": [{"name": "plan", "percent": 50, "committed": true}], "entries": [
        {"from": "2026-01-01", "host": {"hour": "1", "cpus": 2, "count": 3}},
    ]});
    world.costs.declare_prices(&Tenant::default(), &Name::new("list").unwrap(), serde_json::from_value(spec).unwrap());
    let priced = world.costs.hints(&may(ReadCost), window, None).await.unwrap();
    let of = |kind| priced.hints.iter().find(|h| h.kind == kind).unwrap();
    assert_eq!(of(HintKind::Machines).numbers["needed"], 1);
    // One machine in every hour: 1 × 730 hours × 50 %.
    assert_eq!(of(HintKind::Committed).numbers["savedPerMonth"], "365");
    world.shut_down().await;
}

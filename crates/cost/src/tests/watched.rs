//! Budgets over a real journal.

use super::*;
use crate::budget::{Alarm, BudgetSpec, Mark};
use parking_lot::Mutex;
use serde_json::json;

#[derive(Default)]
struct Told(Mutex<Vec<Vec<(Tenant, Alarm)>>>);

impl Alarms for Told {
    fn tell<'a>(&'a self, all: &'a [(Tenant, Alarm)]) -> PortResult<'a, ()> {
        self.0.lock().push(all.to_vec());
        Box::pin(async { Ok(()) })
    }
}

impl Told {
    /// What was active at the last look.
    fn active(&self) -> Vec<(String, Mark)> {
        let all = self.0.lock();
        let active = all.last().unwrap().iter().filter(|(_, a)| a.active);
        active.map(|(_, a)| (a.budget.to_string(), a.mark)).collect()
    }
}

fn declare(world: &World, name: &str, of: serde_json::Value) {
    let spec: BudgetSpec = serde_json::from_value(of).unwrap();
    spec.validate().unwrap();
    world.costs.declare_budget(&Tenant::default(), &Name::new(name).unwrap(), spec);
}

#[tokio::test]
async fn budgets_follow_what_is_spent() {
    let world = World::new().await;
    // Half of the day has gone.
    declare(&world, "churn", json!({"deployment": "churn", "computeSeconds": 1, "per": "day"}));
    declare(
        &world,
        "key",
        json!({"key": "key:k2", "computeSeconds": 1, "per": "month", "thresholds": [100], "forecast": false}),
    );
    let told = Arc::new(Told::default());
    let mut watch = Watch::new(world.costs.clone(), told.clone(), world.db.clone(), "one".into());
    watch.pass().await.unwrap();
    assert_eq!(told.active(), []);
    let slow = |n, deployment, ms: u64| {
        let mut one = answer(n, deployment);
        one.timing.engine_ns = ms * 1_000_000;
        one
    };
    world.journal.append(slow(1, "churn", 600));
    world.journal.append(slow(2, "spam", 5_000));
    watch.pass().await.unwrap();
    assert_eq!(told.0.lock().len(), 1, "it looks once a minute");
    world.clock.advance(61 * 1_000_000);
    watch.pass().await.unwrap();
    let name = |n: &str| n.to_owned();
    assert_eq!(told.active(), [(name("churn"), Mark::Percent(50)), (name("churn"), Mark::Forecast)]);
    // Hours later: what was read stays, and what came is added.
    world.clock.advance(3 * 3_600 * 1_000_000);
    let mut late = slow(3, "churn", 500);
    late.caller = "key:k2".into();
    late.at = world.ctx.now();
    let mut other = slow(4, "spam", 700);
    (other.caller, other.at) = ("key:k2".into(), world.ctx.now());
    world.journal.append(late);
    world.journal.append(other);
    world.journal.seal().await.unwrap();
    world.clock.advance(61 * 1_000_000);
    watch.pass().await.unwrap();
    let all = [Mark::Percent(50), Mark::Percent(80), Mark::Percent(100), Mark::Forecast];
    let mut expected: Vec<_> = all.into_iter().map(|m| (name("churn"), m)).collect();
    expected.push((name("key"), Mark::Percent(100)));
    assert_eq!(told.active(), expected);
    let standing = world.costs.standing(&Tenant::default(), &Name::new("churn").unwrap()).unwrap();
    assert_eq!((standing.compute_ns, standing.share), (1_100_000_000, Some(1.1)));
    // The next day begins anew; the month goes on.
    world.clock.advance(12 * 3_600 * 1_000_000);
    watch.pass().await.unwrap();
    assert_eq!(told.active(), [(name("key"), Mark::Percent(100))]);
    world.shut_down().await;
}

#[tokio::test]
async fn one_of_two_tells_and_both_know() {
    let world = World::new().await;
    declare(&world, "all", json!({"computeSeconds": 1, "per": "day", "thresholds": [1]}));
    world
        .journal
        .append(Prediction { timing: Timing { engine_ns: 2_000_000_000, ..Timing::default() }, ..answer(1, "churn") });
    let told = [Arc::new(Told::default()), Arc::new(Told::default())];
    for (told, owner) in told.iter().zip(["one", "two"]) {
        let mut watch = Watch::new(world.costs.clone(), told.clone(), world.db.clone(), owner.into());
        watch.pass().await.unwrap();
        assert!(world.costs.standing(&Tenant::default(), &Name::new("all").unwrap()).is_some());
    }
    assert_eq!((told[0].0.lock().len(), told[1].0.lock().len()), (1, 0));
    world.shut_down().await;
}

//! Budgets over a real journal.

use super::*;
use crate::budget::{Alarm, BudgetSpec, Mark};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::BTreeSet;

#[derive(Default)]
struct Told(Mutex<Vec<Vec<(Tenant, Alarm)>>>, Mutex<BTreeSet<Tenant>>);

impl Alarms for Told {
    fn tell<'a>(&'a self, all: &'a [(Tenant, Alarm)], nothing: &'a BTreeSet<Tenant>) -> PortResult<'a, ()> {
        self.0.lock().push(all.to_vec());
        self.1.lock().clone_from(nothing);
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

fn slow(world: &World, n: u64, deployment: &str, ms: u64) -> Prediction {
    let timing = Timing { engine_ns: ms * 1_000_000, ..Timing::default() };
    Prediction { timing, at: world.ctx.now(), ..answer(n, deployment) }
}

#[tokio::test]
async fn a_price_or_a_budget_that_changes_is_looked_at_at_once() {
    let world = World::new().await;
    declare(&world, "all", json!({"amount": "1", "per": "day", "thresholds": [50], "forecast": false}));
    world.journal.append(slow(&world, 1, "churn", 1_000));
    let told = Arc::new(Told::default());
    let mut watch = Watch::new(world.costs.clone(), told.clone(), world.db.clone(), "one".into());
    let list = Name::new("list").unwrap();
    let dear = |second: &str| {
        let spec = json!({"currency": "EUR", "entries": [{"from": "2026-01-01", "computeSecond": second}]});
        world.costs.declare_prices(&Tenant::default(), &list, serde_json::from_value(spec).unwrap());
    };
    watch.pass().await.unwrap();
    assert_eq!(told.active(), [], "there is no price");
    dear("0.6");
    watch.pass().await.unwrap();
    assert_eq!(told.active(), [("all".to_owned(), Mark::Percent(50))]);
    watch.pass().await.unwrap();
    dear("0.6");
    watch.pass().await.unwrap();
    assert_eq!(told.0.lock().len(), 2, "nothing changed");
    dear("0.1");
    watch.pass().await.unwrap();
    assert_eq!(told.active(), []);
    world.costs.withdraw_prices(&Tenant::default(), &list);
    watch.pass().await.unwrap();
    assert_eq!(told.0.lock().len(), 4);
    assert!(told.0.lock()[3].is_empty(), "without a price nothing is told of money");
    // A budget of a key, after one of everything: what was read before does not know of keys.
    dear("0.6");
    let of_key =
        json!({"key": "key:k1", "deployment": "churn", "computeSeconds": 1, "per": "month", "thresholds": [90]});
    declare(&world, "key", of_key);
    watch.pass().await.unwrap();
    assert!(told.active().contains(&("key".to_owned(), Mark::Percent(90))), "{:?}", told.active());
    world.shut_down().await;
}

#[tokio::test]
async fn what_is_no_longer_kept_was_spent_all_the_same() {
    let world = World::new().await;
    declare(&world, "brief", json!({"deployment": "brief", "computeSeconds": 1, "per": "month"}));
    declare(&world, "churn", json!({"deployment": "churn", "computeSeconds": 1, "per": "month"}));
    let told = Arc::new(Told::default());
    let mut watch = Watch::new(world.costs.clone(), told.clone(), world.db.clone(), "one".into());
    let mut early = slow(&world, 1, "brief", 700);
    early.at = Timestamp(NOON - 5 * 24 * HOUR);
    world.journal.append(early);
    world.journal.append(slow(&world, 2, "brief", 200));
    world.journal.seal().await.unwrap();
    watch.pass().await.unwrap();
    let stands = |name: &str| world.costs.standing(&Tenant::default(), &Name::new(name).unwrap()).unwrap();
    assert_eq!(stands("brief").share, Some(0.9));
    world.journal.set_retention(&Tenant::default(), "brief", Retention { days: Some(7), bytes: None });
    world.clock.advance(3 * 24 * 3_600 * 1_000_000);
    assert!(world.journal.clean_up().await.unwrap().files > 0);
    watch.pass().await.unwrap();
    assert_eq!(stands("brief").share, Some(0.9), "it is read anew after six hours");
    let problem = stands("brief").problem.unwrap();
    assert!(problem.contains("kept for 7 days, so what was before 2026-03-07"), "{problem}");
    assert_eq!(stands("churn").problem, None);
    world.shut_down().await;
}

#[tokio::test]
async fn a_tenant_whose_journal_cannot_be_read_keeps_nobody_else_from_hearing() {
    let world = World::new().await;
    let second = json!({"computeSeconds": 1, "per": "day", "thresholds": [50], "forecast": false});
    declare(&world, "all", second.clone());
    let spec: BudgetSpec = serde_json::from_value(second).unwrap();
    world.costs.declare_budget(&other(), &Name::new("all").unwrap(), spec);
    let mut theirs = slow(&world, 1, "fraud", 600);
    theirs.tenant = other();
    world.journal.append(theirs);
    world.journal.append(slow(&world, 2, "churn", 600));
    world.journal.seal().await.unwrap();
    let told = Arc::new(Told::default());
    let mut watch = Watch::new(world.costs.clone(), told.clone(), world.db.clone(), "one".into());
    let whole = world.spoil("tenant=other");
    watch.pass().await.unwrap();
    assert_eq!(told.active(), [("all".to_owned(), Mark::Percent(50))], "of the default tenant");
    assert_eq!(*told.1.lock(), BTreeSet::from([other()]), "nothing is over that could not be looked at");
    let stands = || world.costs.standing(&other(), &Name::new("all").unwrap()).unwrap();
    assert!(stands().share.is_none() && stands().problem.is_some(), "{:?}", stands());
    whole();
    world.clock.advance(61 * 1_000_000);
    watch.pass().await.unwrap();
    assert_eq!((told.active().len(), told.1.lock().len(), stands().share), (2, 0, Some(0.6)));
    // What was read stays, and it is said up to when.
    let _broken = world.spoil("tenant=other");
    world.clock.advance(61 * 1_000_000);
    watch.pass().await.unwrap();
    assert_eq!((told.active().len(), stands().share), (2, Some(0.6)));
    assert!(stands().problem.unwrap().contains("after 2026-03-10T12:01:01Z could not be read"), "{:?}", stands());
    world.shut_down().await;
}

/// Tokens of a model with a price of its own and those of others, in one budget.
#[tokio::test]
async fn a_budget_counts_tokens_at_the_price_of_their_model() {
    let world = World::new().await;
    declare(&world, "all", json!({"amount": "10", "per": "day", "thresholds": [100], "forecast": false}));
    let spec = json!({"currency": "EUR", "entries": [{"from": "2026-01-01", "tokens": [
        {"model": "small", "inputMillion": "1"}, {"inputMillion": "3", "outputMillion": "5"}]}]});
    let list = Name::new("list").unwrap();
    world.costs.declare_prices(&Tenant::default(), &list, serde_json::from_value(spec).unwrap());
    for (n, model) in [(1, "small"), (2, "large")] {
        let answer = answer(n, "talk");
        let target = Arc::new(Target { model: model.into(), ..Target::clone(&answer.target) });
        let tokens = Some(Tokens { input: 2_000_000, output: 400_000 });
        world.journal.append(Prediction { tokens, target, ..answer });
    }
    let told = Arc::new(Told::default());
    let mut watch = Watch::new(world.costs.clone(), told.clone(), world.db.clone(), "one".into());
    watch.pass().await.unwrap();
    let standing = world.costs.standing(&Tenant::default(), &Name::new("all").unwrap()).unwrap();
    assert_eq!(standing.spent.unwrap().0, "10".parse().unwrap(), "2, and 6 and 2");
    assert_eq!(told.active(), [("all".to_owned(), Mark::Percent(100))]);
    world.shut_down().await;
}

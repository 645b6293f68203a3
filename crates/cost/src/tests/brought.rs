//! What predictions brought.

use super::*;
use mainspring_core::event::{About, Feedback, FeedbackValue};
use mainspring_journal::SendFeedback;
use mainspring_testkit::eventually;
use serde_json::json;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn asked() -> RoiRequest {
    let of = request(&[]);
    RoiRequest { deployment: name("churn"), from: of.from, until: of.until, prices: None }
}

/// A conversion is worth 12.50, a return costs 3, and each of `basket` is worth a tenth.
fn worth() -> ValueSpec {
    let spec: ValueSpec = serde_json::from_value(json!({"deployment": "churn", "currency": "EUR", "outcomes": [
        {"outcome": "converted", "is": true, "value": "12.50"},
        {"outcome": "returned", "is": "yes", "value": "-3"},
        {"outcome": "basket", "value": "0.1"},
    ]}))
    .unwrap();
    spec.validate().unwrap();
    spec
}

async fn say(world: &World, n: u64, what: &str, value: FeedbackValue) {
    let feedback = Feedback {
        event: id(10_000 + n * 10 + what.len() as u64),
        at: Timestamp(NOON + n as i64),
        tenant: Tenant::default(),
        about: About::Prediction(id(n)),
        row: 0,
        name: what.into(),
        value,
    };
    world.journal.feedback(&may(SendFeedback), vec![feedback]).await.unwrap();
}

/// Sixty answers of stable and forty of v2, where every second converts, a failure, a late one, and a shadow.
async fn sold() -> World {
    let world = World::new().await;
    for n in 1..=100 {
        let mut one = answer(n, "churn");
        if n > 60 {
            let target = Target { variant: "v2".into(), version: "2".into(), ..Target::clone(&one.target) };
            one.target = Arc::new(target);
        }
        world.journal.append(one);
        if n % 2 == 0 {
            say(&world, n, "converted", FeedbackValue::Bool(true)).await;
        }
    }
    say(&world, 1, "converted", FeedbackValue::Bool(false)).await;
    say(&world, 2, "returned", FeedbackValue::Text("yes".into())).await;
    say(&world, 3, "basket", FeedbackValue::Number(20.25)).await;
    let failed = |n, kind| {
        let outcome = Outcome::Failed { kind, message: "no".into() };
        Prediction { outcome, ..answer(n, "churn") }
    };
    world.journal.append(failed(101, ErrorKind::Internal));
    world.journal.append(failed(102, ErrorKind::Overloaded));
    world.journal.append(Prediction {
        assignment: Assignment { shadow_of: Some(id(2)), ..Assignment::default() },
        ..answer(103, "churn")
    });
    eventually("feedback is in the journal", || async {
        world.costs.declare_value(&Tenant::default(), &name("value"), worth()).unwrap();
        world.costs.roi(&may(ReadCost), &asked()).await.is_ok_and(|roi| roi.whole.known == 52)
    })
    .await;
    world
}

#[tokio::test]
async fn what_predictions_brought_stands_beside_what_they_cost() {
    let world = sold().await;
    let free = world.costs.roi(&may(ReadCost), &asked()).await.unwrap();
    assert!(free.prices.is_none() && free.notes[0].contains("no price table"), "{:?}", free.notes);
    let spec =
        json!({"currency": "EUR", "entries": [{"from": "2026-01-01", "computeSecond": "10", "request": "0.01"}]});
    world.costs.declare_prices(&Tenant::default(), &name("list"), serde_json::from_value(spec).unwrap());
    let roi = world.costs.roi(&may(ReadCost), &asked()).await.unwrap();
    let whole = &roi.whole;
    assert_eq!((whole.predictions, whole.known, whole.successes), (100, 52, 51));
    // Fifty conversions, a return, and 20.25 tenths.
    assert_eq!(whole.value.to_string(), "624.025");
    // 103 ms at 10 a second, and 102 requests: nobody asked for the shadow.
    assert_eq!(whole.cost().to_string(), "2.05");
    assert_eq!(whole.cost_per_success().unwrap().to_string(), "0.040196078431");
    let part = |name| (whole.parts[name].answers, whole.parts[name].spent.total().to_string());
    assert_eq!(part("failed"), (1, "0.02".to_owned()));
    assert_eq!(part("unanswered"), (1, "0.02".to_owned()));
    assert_eq!(part("shadow"), (1, "0.01".to_owned()));
    let [stable, v2] = roi.groups.as_slice() else { panic!("{roi:?}") };
    assert_eq!((stable.variant.as_str(), stable.version.as_str(), stable.predictions), ("stable", "churn/1", 60));
    assert_eq!((v2.variant.as_str(), v2.predictions, v2.value.to_string()), ("v2", 40, "250".to_owned()));
    assert_eq!(whole.value, stable.value + v2.value);
    let mean = v2.mean.unwrap();
    let (low, high) = mean.interval.unwrap();
    assert!(mean.value == 6.25 && low < 6.25 && 6.25 < high && high - low < 40.0, "{mean:?}");
    world.shut_down().await;
}

#[tokio::test]
async fn one_number_that_is_none_does_not_drown_the_others() {
    let world = World::new().await;
    world.costs.declare_value(&Tenant::default(), &name("value"), worth()).unwrap();
    for n in 1..=40 {
        world.journal.append(answer(n, "churn"));
        // Together more millionths than a number of 64 bits has.
        say(&world, n, "basket", FeedbackValue::Number(if n <= 30 { 1e12 } else { 0.000_001 })).await;
    }
    for (n, number) in [(41, 1e300), (42, -1e300)] {
        world.journal.append(answer(n, "churn"));
        say(&world, n, "basket", FeedbackValue::Number(number)).await;
    }
    let known = || async { world.costs.roi(&may(ReadCost), &asked()).await.is_ok_and(|roi| roi.whole.known == 42) };
    eventually("feedback is in the journal", known).await;
    let roi = world.costs.roi(&may(ReadCost), &asked()).await.unwrap();
    assert_eq!(roi.whole.value.to_string(), "3000000000000.000001");
    assert!(
        roi.notes.iter().any(|note| note.starts_with("2 of 42 predictions have feedback beyond 1e12")),
        "{:?}",
        roi.notes
    );
    world.shut_down().await;
}

#[tokio::test]
async fn what_is_worth_nothing_known_is_not_reckoned() {
    let world = World::new().await;
    let none = world.costs.roi(&may(ReadCost), &asked()).await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NotFound);
    world.costs.declare_value(&Tenant::default(), &name("value"), worth()).unwrap();
    let twice = world.costs.declare_value(&Tenant::default(), &name("other"), worth()).unwrap_err();
    assert!(twice.contains("OutcomeValue/value"), "{twice}");
    let theirs = world.costs.roi(&may_in(&other(), ReadCost), &asked()).await.unwrap_err();
    assert_eq!(theirs.kind(), ErrorKind::NotFound, "a value is its tenant's");
    let dollars = json!({"currency": "USD", "entries": [{"from": "2026-01-01", "request": "1"}]});
    world.costs.declare_prices(&Tenant::default(), &name("list"), serde_json::from_value(dollars).unwrap());
    let mixed = world.costs.roi(&may(ReadCost), &asked()).await.unwrap_err();
    assert!(mixed.kind() == ErrorKind::InvalidInput && mixed.to_string().contains("EUR"), "{mixed}");
    world.shut_down().await;
}

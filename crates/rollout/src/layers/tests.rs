//! Places of a layer, of rollouts on several deployments.

use crate::action::{OrderRollout, StartRollout};
use crate::machine::Order;
use crate::spec::RolloutSpec;
use crate::{LayerError, MIGRATIONS, RolloutError, Rollouts};
use mainspring_core::{Authorized, ErrorKind, Failure, Name, Tenant};
use mainspring_testkit::{TempDb, may, may_in};
use std::sync::Arc;

fn spec(deployment: &str, layer: &str) -> RolloutSpec {
    let yaml = format!(
        "{{deployment: {deployment}, candidates: [{{name: v8, model: 'models:/m/8'}}], assignment: {{unit: key{layer}}},
          steps: [{{canary: {{weight: 5}}}}], decision: {{ship: noHarm}}}}"
    );
    let spec = crate::spec::tests::parse(&yaml).unwrap();
    spec.validate().unwrap();
    spec
}

/// A place of the layer `pricing`, of two halves.
fn half(deployment: &str, place: u16) -> RolloutSpec {
    spec(deployment, &format!(", layer: {{name: pricing, places: [50, 50], place: {place}}}"))
}

fn start(rollout: &str) -> Authorized<StartRollout> {
    may(StartRollout { rollout: Name::new(rollout).unwrap() })
}

fn key(rollout: &str) -> (Tenant, Name) {
    (Tenant::default(), Name::new(rollout).unwrap())
}

async fn rollouts(temp: &TempDb) -> Rollouts {
    let rollouts = Rollouts::new(temp.open_with(&[MIGRATIONS]).await, temp.ctx.clone());
    rollouts.refresh().await.unwrap();
    rollouts
}

/// As the controller does.
async fn begin(rollouts: &Rollouts, name: &str, spec: &RolloutSpec) -> Result<bool, RolloutError> {
    let begun = rollouts.create([(&key(name), Arc::new(spec.clone()))], None).await;
    rollouts.refresh().await.unwrap();
    begun.map(|all| all == [true])
}

async fn abort(rollouts: &Rollouts, name: &str) {
    let order = OrderRollout { rollout: Name::new(name).unwrap(), order: Order::Abort, reason: None };
    rollouts.order(&may(order)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_has_one_rollout_whatever_its_deployment() {
    let temp = TempDb::sqlite();
    let all = rollouts(&temp).await;
    all.declare(&start("a"), half("churn", 1)).unwrap();
    assert!(begin(&all, "a", &half("churn", 1)).await.unwrap());
    let error = all.declare(&start("b"), half("fraud", 1)).unwrap_err();
    assert_eq!(error.to_string(), "assignment.layer.place: place 1 of layer \"pricing\" is taken by rollout \"a\"");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().unwrap().contains("once a has ended"), "{:?}", error.hint());
    // Other sizes are other units, whatever the place.
    let uneven = spec("fraud", ", layer: {name: pricing, places: [40, 60], place: 2}");
    let error = all.declare(&start("b"), uneven).unwrap_err();
    assert!(error.to_string().contains("divides layer \"pricing\" as [50.0, 50.0], and this one as [40.0, 60.0]"));
    // The other place, another layer, no layer, and another tenant.
    all.declare(&start("b"), half("fraud", 2)).unwrap();
    all.declare(&start("c"), spec("fraud", ", layer: {name: colours, places: [40, 60], place: 1}")).unwrap();
    all.declare(&start("d"), spec("fraud", "")).unwrap();
    let other = Tenant::new("other").unwrap();
    let theirs = may_in(&other, StartRollout { rollout: Name::new("b").unwrap() });
    all.declare(&theirs, half("fraud", 1)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_still_to_begin_has_its_place_and_what_has_ended_has_none() {
    let temp = TempDb::sqlite();
    let all = rollouts(&temp).await;
    all.declare(&start("a"), half("churn", 1)).unwrap();
    assert!(matches!(all.declare(&start("b"), half("fraud", 1)), Err(RolloutError::Layer(LayerError::Taken { .. }))));
    // What is declared again is itself, and may change its place before it begins.
    all.declare(&start("a"), half("churn", 2)).unwrap();
    all.declare(&start("a"), half("churn", 1)).unwrap();
    begin(&all, "a", &half("churn", 1)).await.unwrap();
    all.declare(&start("a"), half("churn", 1)).unwrap();
    abort(&all, "a").await;
    all.declare(&start("b"), half("fraud", 1)).unwrap();
    begin(&all, "b", &half("fraud", 1)).await.unwrap();
    // It stays declared, and its next run would need the place.
    all.declare(&start("a"), half("churn", 1)).unwrap();
    let error = all.start(&start("a")).await.unwrap_err();
    assert!(matches!(&error, RolloutError::Layer(LayerError::Taken { by, .. }) if by == "b"), "{error}");
    abort(&all, "b").await;
    all.start(&start("a")).await.unwrap();
}

/// Two servers accept what the other has not read yet, and a server that has just begun has read nothing: the database decides.
async fn of_two_that_begin_at_once_one_does(temp: TempDb) {
    let (a, b) = (rollouts(&temp).await, rollouts(&temp).await);
    a.declare(&start("a"), half("churn", 1)).unwrap();
    b.declare(&start("b"), half("fraud", 1)).unwrap();
    let (first, second) = (half("churn", 1), half("fraud", 1));
    let begun = tokio::join!(begin(&a, "a", &first), begin(&b, "b", &second));
    let refused = |done: &Result<bool, RolloutError>| matches!(done, Err(RolloutError::Layer(_)));
    assert_eq!([refused(&begun.0), refused(&begun.1)].iter().filter(|refused| **refused).count(), 1, "{begun:?}");
    assert_eq!(a.runs().len(), 1);
    let new = Rollouts::new(temp.open_with(&[MIGRATIONS]).await, temp.ctx.clone());
    for (name, spec) in [("a", first), ("b", second)] {
        new.declare(&start(name), spec).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_begin_at_once_one_does_on_sqlite() {
    of_two_that_begin_at_once_one_does(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_begin_at_once_one_does_on_postgres() {
    of_two_that_begin_at_once_one_does(TempDb::postgres()).await;
}

//! The proof end to end: real ledger, real machine, simulated units, a fake clock.

use super::*;
use crate::machine::HoldCause;

const SPEC: &str = "
deployment: churn
candidates: [{name: v8, model: models:/churn/8}]
assignment: {unit: 'header:x-user-id'}
steps:
  - canary: {weight: 1, minExposures: 50, minDuration: 10m}
  - canary: {weight: 5, minExposures: 200, minDuration: 20m}
  - abTest: {weight: 50, minExposures: 1000, minDuration: 1h, maxDuration: 24h}
warmupExclude: 10s
maxDuration: 2d
metrics:
  guardrails: [{name: errors, kind: errors, nonInferiority: 0.005}, {name: p95, kind: quantile, source: latency, q: 0.95, margin: 1.3}]
  success: [{name: liked, kind: mean, source: 'label:liked', minEffect: 0.05}]
decision: {expectedUnits: 10000}
";

fn spec(yaml: &str) -> Arc<RolloutSpec> {
    let spec = crate::spec::tests::parse(yaml).unwrap();
    spec.validate().unwrap();
    Arc::new(spec)
}

fn behaviour() -> Behaviour {
    let mut behaviour = Behaviour::default();
    behaviour.labels.insert("liked".into(), (0.3, 0.0));
    behaviour
}

/// Ten thousand requests an hour of a drifting day; `change` makes the candidate.
fn world(change: impl FnOnce(&mut Behaviour)) -> World {
    let mut candidate = behaviour();
    change(&mut candidate);
    World { per_hour: 10_000.0, drift: 0.3, variants: vec![behaviour(), candidate], ..World::default() }
}

fn kinds(course: &Course) -> Vec<DecisionKind> {
    course.decisions.iter().map(|d| d.kind).collect()
}

#[test]
fn a_better_candidate_ships() {
    let better = world(|b| b.labels.get_mut("liked").unwrap().0 = 0.36);
    let course = run(&spec(SPEC), &better, 1, 48.0).unwrap();
    assert!(course.promoted() && !course.rolled_back(), "{:?}", course.decisions.last().map(|d| &d.sentence));
    let promoted = course.last(DecisionKind::Promoted).unwrap();
    assert!(promoted.because.contains(&"liked".to_owned()), "{:?}", promoted.because);
    let report = promoted.evidence.as_ref().unwrap();
    let effect = report.metric("liked").unwrap().effect.unwrap();
    assert!(effect.low.unwrap() < 0.08 && effect.high.unwrap() > 0.05, "{effect:?}");
    assert_eq!(course.state.phase, Phase::Succeeded);
}

#[test]
fn a_worse_one_rolls_back_within_its_first_steps() {
    let mut exposed = Vec::new();
    for seed in 0..9 {
        let worse = world(|b| {
            b.error_rate = 0.2;
        });
        let course = run(&spec(SPEC), &worse, seed, 48.0).unwrap();
        assert!(course.rolled_back() && !course.promoted(), "seed {seed}: {:?}", kinds(&course));
        assert_eq!(course.last(DecisionKind::RolledBack).unwrap().because, ["errors"]);
        exposed.push(course.exposed);
    }
    exposed.sort_by(f64::total_cmp);
    assert!(exposed[4] < 0.02, "median {exposed:?}");
}

#[test]
fn a_slow_one_is_caught_by_its_quantile() {
    let slow = world(|b| b.latency = 0.05);
    let course = run(&spec(SPEC), &slow, 2, 48.0).unwrap();
    let back = course.last(DecisionKind::RolledBack).unwrap();
    assert_eq!(back.because, ["p95"]);
    assert!(back.step < 2 && course.exposed < 0.03, "{} {}", back.step, course.exposed);
}

#[test]
fn a_biased_assignment_is_held() {
    let biased = World { lost: 0.25, ..world(|b| b.labels.get_mut("liked").unwrap().0 = 0.36) };
    let course = run(&spec(SPEC), &biased, 3, 30.0).unwrap();
    assert!(!course.promoted() && !course.rolled_back(), "{:?}", kinds(&course));
    assert_eq!(course.state.hold.as_ref().unwrap().cause, HoldCause::Untrusted);
}

#[test]
fn labels_that_come_late_reverse_a_promotion() {
    let yaml = SPEC
        .replace(
            "guardrails: [",
            "guardrails: [{name: fraud, kind: mean, source: 'label:fraud', direction: down, nonInferiority: 0.01, delay: 1d}, ",
        )
        .replace("kind: mean, source: 'label:liked'", "kind: mean, source: 'output:score'")
        + "rollback: {window: 3d}\n";
    let mut world = world(|b| {
        b.outputs.insert("score".into(), (0.6, 0.2));
        b.labels = [("fraud".to_owned(), (0.15, 0.0))].into();
    });
    world.variants[0].outputs.insert("score".into(), (0.5, 0.2));
    world.variants[0].labels = [("fraud".to_owned(), (0.05, 0.0))].into();
    world.label_delay = 24 * 3_600_000_000;
    world.per_hour = 3_000.0;
    let course = run(&spec(&yaml), &world, 4, 120.0).unwrap();
    let promoted = course.decisions.iter().position(|d| d.kind == DecisionKind::Promoted).unwrap();
    let back = course.decisions.iter().position(|d| d.kind == DecisionKind::RolledBack).unwrap();
    assert!(promoted < back, "{:?}", kinds(&course));
    assert_eq!(course.decisions[back].because, ["fraud"]);
    assert_eq!(course.state.phase, Phase::RolledBack);
}

#[test]
fn returning_users_are_clusters_and_a_ramp_with_drift_is_no_effect() {
    let mut promoted = 0;
    let mut rolled_back = 0;
    let yaml = SPEC
        .replace("weight: 1, minExposures: 50", "weight: 20, minExposures: 100")
        .replace("weight: 5, minExposures: 200", "weight: 30, minExposures: 150");
    let spec = spec(&yaml.replace("kind: mean, source: 'label:liked'", "kind: mean, source: 'output:score'"));
    for seed in 0..24 {
        let mut same = World { per_hour: 2_000.0, population: Some(1_500), habits: 3.0, ..world(|_| {}) };
        for variant in &mut same.variants {
            variant.outputs.insert("score".into(), (1.0, 1.0));
        }
        let course = run(&spec, &same, seed, 12.0).unwrap();
        promoted += u32::from(course.promoted());
        rolled_back += u32::from(course.rolled_back());
    }
    // Three standard deviations above 5 % of 24 are 4.4.
    assert!(promoted <= 4 && rolled_back <= 4, "{promoted} {rolled_back}");
}

#[test]
fn nothing_new_goes_to_a_person() {
    let course = run(&spec(SPEC), &World { per_hour: 3_000.0, ..world(|_| {}) }, 6, 48.0).unwrap();
    assert_eq!(course.state.phase, Phase::Review, "{:?}", kinds(&course));
}

#[test]
fn the_shadow_catches_what_answers_otherwise() {
    let yaml = SPEC.replace(
        "steps:\n",
        "steps:\n  - shadow: {percent: 50, duration: 10m, compare: {output: score, maxMeanAbsDiff: 0.05}}\n",
    );
    for (moved, caught) in [(0.0, false), (0.2, true)] {
        let mut world = world(|b| b.outputs = [("score".to_owned(), (0.5 + moved, 0.2))].into());
        world.variants[0].outputs.insert("score".into(), (0.5, 0.2));
        let course = run(&spec(&yaml), &world, 7, 3.0).unwrap();
        assert_eq!(course.rolled_back(), caught, "{:?}", kinds(&course));
        if caught {
            assert_eq!((course.exposed, course.state.strata.iter().all(|s| s.weights[1] == 0.0)), (0.0, true));
        } else {
            assert!(course.state.step >= 1);
        }
    }
}

#[test]
fn a_forecast_tells_power_and_time() {
    let quick = SPEC.replace("maxDuration: 24h", "maxDuration: 4h");
    let forecast = forecast(&spec(&quick), &world(|_| {}), 6).unwrap();
    assert!(forecast.power > 0.6 && forecast.false_promotions < 0.4, "{forecast:?}");
    assert!(forecast.hours[0] > 1.5 && forecast.hours[0] < 6.0, "{forecast:?}");
}

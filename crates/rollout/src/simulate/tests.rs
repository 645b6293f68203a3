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

/// Chance of one simulated rollout is not that of another, a little later.
#[test]
fn no_two_simulations_share_their_chance() {
    let mut drawn = std::collections::HashSet::new();
    let mut all = 0;
    for seed in 0..20 {
        let _course = drive(&spec(SPEC), &world(|_| ()), seed, 0.5, &mut |event| {
            if let Event::Exposure(e) = event {
                all += 1;
                // What is random in an id, and not the time.
                let id = e.id.to_string();
                drawn.insert(id[id.len() - 12..].to_owned());
            }
        });
    }
    assert!(all > 2_000);
    assert_eq!(drawn.len(), all);
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
    let world = World { per_hour: 3_000.0, ..world(|_| {}) };
    let courses: Vec<Course> = (0..6).map(|seed| run(&spec(SPEC), &world, seed, 48.0).unwrap()).collect();
    let ends: Vec<&str> = courses.iter().map(|c| c.decisions.last().unwrap().sentence.as_str()).collect();
    // One of twenty may be rolled back, and one promoted.
    assert!(courses.iter().filter(|c| c.state.phase == Phase::Review).count() >= 5, "{ends:#?}");
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

const BANDIT: &str = "
deployment: churn
candidates: [{name: v8, model: models:/churn/8}, {name: v9, model: models:/churn/9}]
assignment: {unit: 'header:x-user-id'}
steps:
  - canary: {weight: 20, minExposures: 100, minDuration: 10m}
  - bandit: {period: 1h, minWeight: 2, even: 10, bestAt: 99, minDuration: 4h, maxDuration: 2d}
warmupExclude: 10s
maxDuration: 3d
metrics:
  guardrails: [{name: errors, kind: errors, nonInferiority: 0.02}]
  success: [{name: liked, kind: mean, source: 'label:liked'}]
decision: {expectedUnits: 5000}
";

/// Three variants that are liked as often as said, in a day that drifts.
fn three(liked: [f64; 3]) -> World {
    let variant = |liked: f64| {
        let mut behaviour = behaviour();
        behaviour.labels.insert("liked".into(), (liked, 0.0));
        behaviour
    };
    World { per_hour: 1_500.0, drift: 0.3, variants: liked.map(variant).into(), ..World::default() }
}

#[test]
fn a_bandit_finds_the_best_gives_it_the_traffic_and_replays() {
    let spec = spec(BANDIT);
    let mut events = Vec::new();
    let course = drive(&spec, &three([0.30, 0.32, 0.42]), 1, 60.0, &mut |e| events.push(e.clone())).unwrap();
    let promoted = course.last(DecisionKind::Promoted);
    let promoted = promoted.unwrap_or_else(|| panic!("{:?}", course.decisions.last().map(|d| &d.sentence)));
    assert!(promoted.sentence.contains("promoted v9"), "{}", promoted.sentence);
    assert_eq!((course.state.phase, course.state.chosen), (Phase::Succeeded, Some(2)));
    let moved: Vec<&Decision> = course.decisions.iter().filter(|d| d.kind == DecisionKind::Reweighted).collect();
    assert!(!moved.is_empty() && moved.windows(2).all(|w| w[1].at.micros() - w[0].at.micros() >= 3_600_000_000));
    assert!(moved.last().unwrap().weights[2] > 0.4, "{:?}", moved.last().map(|d| &d.weights));
    // What each arm would have brought alone: near the truth, by all three estimates, whatever the weights were.
    let arms = &promoted.evidence.as_ref().unwrap().arms;
    let level = arms[0].mean / 0.30;
    for (arm, truth) in arms.iter().zip([0.30, 0.32, 0.42]) {
        for (name, value) in [("ips", arm.ips), ("snips", arm.snips), ("dr", arm.dr)] {
            let value = value.unwrap();
            let off = (value.value - truth * level).abs() / (value.standard_error + arms[0].standard_error);
            assert!(off < 4.0, "{name} of {}: {value:?} is not {}", arm.variant, truth * level);
        }
        assert!(arm.dr.unwrap().standard_error < arm.ips.unwrap().standard_error, "{arm:?}");
    }
    let created_at = Timestamp(1_767_225_600_000_000);
    let record = crate::Record {
        name: "simulated".into(),
        run: "run-1".into(),
        created_at,
        spec,
        decisions: course.decisions,
        earlier: Vec::new(),
    };
    let found = crate::replay(record, events);
    assert!(found.exact(), "{:?}", found.diverged.or(found.numbers.first().cloned()).map(|d| d.what));
}

#[test]
fn one_of_several_candidates_that_fails_is_taken_out_of_a_bandit() {
    let mut world = three([0.30, 0.30, 0.42]);
    world.variants[1].error_rate = 0.3;
    let course = run(&spec(BANDIT), &world, 3, 60.0).unwrap();
    let dropped = course.last(DecisionKind::Dropped).unwrap();
    assert_eq!((dropped.because.as_slice(), course.state.dropped.as_slice()), (&["errors".to_owned()][..], &[1][..]));
    assert!(course.promoted(), "{:?}", course.decisions.last().map(|d| &d.sentence));
}

#[test]
fn a_bandit_of_equals_promotes_seldom() {
    let promoted = (0..16).filter(|seed| run(&spec(BANDIT), &three([0.3; 3]), 100 + seed, 10.0).unwrap().promoted());
    // Three standard deviations above 5 % of 16 are 3.4.
    assert!(promoted.count() <= 3);
}

#[test]
fn what_is_known_of_users_before_narrows_what_is_shown() {
    let plain = SPEC.replace("kind: mean, source: 'label:liked'", "kind: mean, source: 'output:score'");
    let cuped = plain.replace("minEffect: 0.05", "minEffect: 0.05, cuped: {covariate: 'input:visits'}");
    let mut same = World { per_hour: 2_000.0, population: Some(1_500), habits: 3.0, ..world(|_| {}) };
    same.shown = Some("visits".to_owned());
    same.drift = 0.0;
    for variant in &mut same.variants {
        variant.outputs.insert("score".into(), (1.0, 1.0));
    }
    let width = |yaml: &str| {
        let yaml = &yaml
            .replace("maxDuration: 24h", "maxDuration: 4h")
            .replace("weight: 1, minExposures: 50", "weight: 20, minExposures: 100")
            .replace("weight: 5, minExposures: 200", "weight: 30, minExposures: 150")
            .replace("minExposures: 1000", "minExposures: 300");
        let course = run(&spec(yaml), &same, 5, 6.0).unwrap();
        let shown = course.decisions.iter().rev().find_map(|d| d.evidence.as_ref()?.metric("liked")?.effect).unwrap();
        (shown.high.unwrap() - shown.low.unwrap(), shown)
    };
    let ((wide, _), (narrow, effect)) = (width(&plain), width(&cuped));
    assert!(narrow < 0.6 * wide, "{narrow} of {wide}");
    assert!(effect.low.unwrap() < 0.0 && effect.high.unwrap() > 0.0, "there is no effect: {effect:?}");
}

const CONTEXTUAL: &str = "
deployment: d
candidates: [{name: v8, model: 'models:/m/2'}, {name: v9, model: 'models:/m/3'}]
assignment: {unit: 'header:x-user-id'}
steps:
  - contextualBandit:
      features: [{input: age, cuts: [40]}]
      period: 30m
      minWeight: 3
      minExposures: 100
      maxDuration: 20h
warmupExclude: 10s
maxDuration: 3d
metrics:
  guardrails: [{name: errors, kind: errors, nonInferiority: 0.02}]
  success: [{name: liked, kind: mean, source: 'label:liked'}]
decision: {expectedUnits: 5000}
";

/// The young like v8, the old like v9.
fn segments(drift: f64) -> World {
    let base = three([0.30; 3]);
    let here = |liked: [f64; 3]| three(liked).variants;
    let contexts = vec![here([0.30; 3]), here([0.30, 0.45, 0.22]), here([0.30, 0.22, 0.45])];
    World { drift, contexts, ..base }
}

/// Pearson's statistic of what was chosen against what was logged as its probability, in each time and context; in standard
/// deviations of its distribution.
fn misfit(course: &Course, events: &[Event]) -> f64 {
    let mut counts: std::collections::BTreeMap<(u64, u16), [f64; 3]> = std::collections::BTreeMap::new();
    for event in events {
        let Event::Exposure(e) = event else { continue };
        if let Some(context) = e.context {
            let at = ["stable", "v8", "v9"].iter().position(|v| **v == *e.variant).unwrap();
            counts.entry((e.generation, context)).or_default()[at] += 1.0;
        }
    }
    assert!(counts.len() > 10);
    let (mut statistic, mut freedom) = (0.0, 0.0);
    for ((generation, context), seen) in counts {
        let stratum = course.state.strata.iter().find(|s| s.generation == generation).unwrap();
        let weights = &stratum.contexts[usize::from(context)];
        let all: f64 = seen.iter().sum();
        for (seen, weight) in seen.iter().zip(weights) {
            statistic += (seen - all * weight.fraction()).powi(2) / (all * weight.fraction());
        }
        freedom += 2.0;
    }
    (statistic - freedom) / (2.0_f64 * freedom).sqrt()
}

#[test]
fn a_contextual_bandit_gives_each_segment_its_own_variant_and_shows_what_that_is_worth() {
    let spec = spec(CONTEXTUAL);
    let mut events = Vec::new();
    let course = drive(&spec, &segments(0.3), 7, 30.0, &mut |e| events.push(e.clone())).unwrap();
    assert!(misfit(&course, &events) < 5.0, "what is logged is what is done");
    let last = course.last(DecisionKind::Reweighted).unwrap_or_else(|| panic!("{:?}", course.decisions.last()));
    let evidence = last.evidence.as_ref().unwrap();
    assert_eq!(evidence.contexts.len(), 3);
    for (context, winner) in [(1, "v8"), (2, "v9")] {
        let best = evidence.contexts[context].arms.iter().max_by(|a, b| a.best.total_cmp(&b.best)).unwrap();
        assert_eq!((best.variant.as_str(), best.best > 0.95), (winner, true), "{:?}", evidence.contexts[context]);
        assert!(best.weight > 0.7, "{best:?}");
    }
    // Alone none would bring more than about a third; by context it is 0.45 less what exploration costs.
    let gains = &evidence.gains;
    assert_eq!(gains.len(), 3);
    for gain in gains {
        assert!(gain.gain.low.unwrap() > 0.0 && gain.gain.estimate < 0.2, "{gain:?}");
    }
    // Nothing is worth promoting for all: the better half pays for the worse.
    assert!(!course.promoted(), "{:?}", course.last(DecisionKind::Promoted).map(|d| &d.sentence));
    let created_at = Timestamp(1_767_225_600_000_000);
    let record = crate::Record {
        name: "simulated".into(),
        run: "run-7".into(),
        created_at,
        spec,
        decisions: course.decisions,
        earlier: Vec::new(),
    };
    let found = crate::replay(record, events);
    assert!(found.exact(), "{:?}", found.diverged.or(found.numbers.first().cloned()).map(|d| d.what));
}

#[test]
fn what_nobody_has_brought_is_seldom_shown_and_a_failing_one_is_out_of_every_context() {
    let spec = spec(CONTEXTUAL);
    let same = World { contexts: Vec::new(), ..segments(0.3) };
    let mut shown = 0;
    for seed in 0..12 {
        let course = run(&spec, &same, 200 + seed, 8.0).unwrap();
        let gains = course.decisions.iter().rev().find_map(|d| d.evidence.as_ref()).map(|e| e.gains.clone()).unwrap();
        shown += usize::from(gains.iter().any(|g| g.gain.low.unwrap() > 0.0));
        assert!(!course.promoted());
    }
    // Three deviations above 5 % of 12 are 2.9.
    assert!(shown <= 2, "{shown}");
    let mut failing = segments(0.0);
    for context in &mut failing.contexts {
        context[1].error_rate = 0.3;
    }
    let course = run(&spec, &failing, 3, 8.0).unwrap();
    let dropped = course.last(DecisionKind::Dropped).unwrap();
    assert_eq!((dropped.because.as_slice(), course.state.dropped.as_slice()), (&["errors".to_owned()][..], &[1][..]));
    let policy = course.state.row.as_ref().unwrap().policy.as_ref().unwrap();
    assert!(policy.splits.iter().all(|s| s.weight(1) == mainspring_traffic::Share::NONE));
}

#[test]
fn a_variant_that_is_best_in_every_segment_is_promoted() {
    let mut world = segments(0.3);
    world.contexts = vec![three([0.3, 0.3, 0.45]).variants; 3];
    let course = run(&spec(CONTEXTUAL), &world, 11, 30.0).unwrap();
    let promoted = course.last(DecisionKind::Promoted);
    let promoted = promoted.unwrap_or_else(|| panic!("{:?}", course.decisions.last().map(|d| &d.sentence)));
    assert!(promoted.sentence.contains("promoted v9"), "{}", promoted.sentence);
}

#[test]
fn a_context_whose_units_are_not_what_its_weights_promise_holds_the_rollout() {
    let course = run(&spec(CONTEXTUAL), &World { lost: 0.3, ..segments(0.0) }, 5, 4.0).unwrap();
    let held = course.last(DecisionKind::Held).unwrap_or_else(|| panic!("{:?}", course.decisions.last()));
    assert!(held.sentence.contains("cannot be trusted"), "{}", held.sentence);
    assert_eq!(course.last(DecisionKind::Reweighted).filter(|d| d.at > held.at), None);
}

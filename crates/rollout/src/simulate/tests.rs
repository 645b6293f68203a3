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

/// Less than two percent of the units meet what harms, in the median: also where it is seen in labels alone, and where these come
/// late and the first step is as long.
#[test]
fn a_worse_one_rolls_back_within_its_first_steps() {
    let failing = || world(|b| b.error_rate = 0.2);
    let disliked = || world(|b| b.labels.get_mut("liked").unwrap().0 = 0.1);
    let late = || World { label_delay: 3_600_000_000, ..disliked() };
    let long = SPEC.replace("minExposures: 50, minDuration: 10m", "minExposures: 50, minDuration: 150m");
    for (yaml, worse, because) in [(SPEC, failing(), "errors"), (SPEC, disliked(), "liked"), (&long, late(), "liked")] {
        let mut exposed = Vec::new();
        for seed in 0..9 {
            let course = run(&spec(yaml), &worse, seed, 48.0).unwrap();
            assert!(course.rolled_back() && !course.promoted(), "seed {seed}: {:?}", kinds(&course));
            assert_eq!(course.last(DecisionKind::RolledBack).unwrap().because, [because]);
            exposed.push(course.exposed);
        }
        exposed.sort_by(f64::total_cmp);
        assert!(exposed[4] < 0.02, "{because}: median {exposed:?}");
    }
    let soon = run(&spec(SPEC), &late(), 0, 48.0).unwrap();
    assert!(soon.exposed > 0.1, "a first step that is over before labels come shows nothing: {}", soon.exposed);
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
    let forecast = forecast(&spec(&quick), &world(|_| {}), 6, None).unwrap();
    let (better, same) = (forecast.better.unwrap(), forecast.same);
    assert!(better.promoted.part > 0.6 && same.promoted.part < 0.4, "{forecast:?}");
    let hours = better.decided.hours.unwrap();
    assert!(hours[0] > 1.5 && hours[0] < 6.0, "{forecast:?}");
    assert!(forecast.harmful.is_empty());
}

#[test]
fn whoever_must_agree_does_so_at_once() {
    let better = world(|b| b.labels.get_mut("liked").unwrap().0 = 0.36);
    let asked = SPEC.to_owned()
        + "approvals: [{before: canary, approvals: 2}, {before: promotion, group: risk}, {before: promotion, expires: 1h}]\n";
    let without = run(&spec(SPEC), &better, 1, 48.0).unwrap();
    let course = run(&spec(&asked), &better, 1, 48.0).unwrap();
    assert!(course.promoted() && course.decided, "{:?}", course.decisions.last().map(|d| &d.sentence));
    assert_eq!((kinds(&course), course.hours), (kinds(&without), without.hours));
}

/// Twenty minutes of a canary, then guardrails are shown to hold.
const GUARDED: &str = "
deployment: d
candidates: [{name: v2, model: models:/m/2}]
assignment: {unit: 'header:x-user-id'}
steps: [{canary: {weight: 40, minExposures: 200, minDuration: 20m}}]
warmupExclude: 0ms
maxDuration: 12h
metrics:
  guardrails:
    - {name: errors, kind: errors, nonInferiority: 0.02}
    - {name: correct, kind: mean, source: 'label:correct', nonInferiority: 0.03}
";

fn correct(per_hour: f64) -> World {
    let labels = [("correct".to_owned(), (0.9, 0.0))].into();
    World { per_hour, variants: vec![Behaviour { labels, ..Behaviour::default() }; 2], ..World::default() }
}

#[test]
fn guardrails_alone_say_how_soon_what_is_harmless_is_promoted_and_what_is_not_is_rolled_back() {
    let forecast = forecast(&spec(GUARDED), &correct(3_000.0), 8, Some(2.0)).unwrap();
    assert_eq!(forecast.better, None, "no metric has an effect");
    let same = &forecast.same;
    assert!(same.promoted.part > 0.8 && same.rolled_back.part < 0.2, "{forecast:?}");
    assert!(same.promoted.hours.unwrap()[0] > 0.33, "{forecast:?}");
    let broken: Vec<&str> = forecast.harmful.iter().map(|h| h.metric.as_str()).collect();
    assert_eq!(broken, ["errors", "correct"]);
    for harm in &forecast.harmful {
        assert!(harm.outcome.rolled_back.part > 0.7 && harm.outcome.promoted.part < 0.2, "{harm:?}");
        assert!(harm.outcome.rolled_back.hours.unwrap()[0] < 6.0, "{harm:?}");
    }
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    let [errors, correct] = &forecast.harmful[..] else { panic!("{forecast:?}") };
    assert!(near(errors.stable, 0.001) && near(errors.candidate, 0.041), "{errors:?}");
    assert!(near(correct.stable, 0.9) && near(correct.candidate, 0.84), "{correct:?}");
}

#[test]
fn harm_is_so_many_times_what_each_kind_of_guardrail_tolerates() {
    let guardrails = "
    - {name: rate, kind: errors}
    - {name: many, kind: errors, margin: 2, nonInferiority: 0.001}
    - {name: slow, kind: quantile, source: latency}
    - {name: none, kind: quantile, source: latency, margin: 1}
    - {name: mean, kind: mean, source: latency, nonInferiority: 0.003}
    - {name: lost, kind: mean, source: 'label:lost', direction: down, nonInferiority: 0.1}
    - {name: each, kind: ratio, source: 'label:paid', over: 'label:lost', nonInferiority: 0.5}
    - {name: score, kind: total, source: 'output:score', nonInferiority: 0.2}
";
    let (before, _) = GUARDED.split_once("    - {name: errors").unwrap();
    let spec = spec(&format!("{before}{guardrails}"));
    let stable = Behaviour {
        error_rate: 0.1,
        latency: 0.02,
        spread: 0.0,
        labels: [("lost".to_owned(), (0.85, 0.0)), ("paid".to_owned(), (20.0, 5.0))].into(),
        outputs: [("score".to_owned(), (1.0, 2.0))].into(),
    };
    let mut world = correct(0.1);
    world.variants = vec![stable.clone(); 2];
    assert_eq!(unharmed(&spec, &stable), ["none"]);
    let found = forecast(&spec, &world, 1, Some(3.0)).unwrap();
    let found: Vec<(&str, f64)> = found.harmful.iter().map(|h| (h.metric.as_str(), h.candidate - h.stable)).collect();
    let expected = [
        // Where the file does not say: 1.5 times as many failures, and times a quarter longer.
        ("rate", 0.15),
        ("many", 0.3),
        ("slow", 0.015),
        ("mean", 0.009),
        // A probability ends at 1.
        ("lost", 0.15),
        ("each", -1.275),
        ("score", -0.6),
    ];
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.0 == expected.0 && (found.1 - expected.1).abs() < 1e-9, "{found:?} is not {expected:?}");
    }
}

#[test]
fn what_has_no_verdict_is_counted_by_itself_and_in_no_median() {
    for then in ["review", "rollback"] {
        let yaml =
            GUARDED.replace("maxDuration: 12h", "maxDuration: 2h") + &format!("decision: {{atMaxDuration: {then}}}\n");
        // A hundred units show nothing.
        let nothing = forecast(&spec(&yaml), &correct(50.0), 4, None).unwrap();
        assert_eq!(
            (nothing.same.undecided(), nothing.same.rolled_back.part, nothing.same.decided.hours),
            (1.0, 0.0, None)
        );
        // Some are in time and some are not: the median is of those that are.
        let some = forecast(&spec(&yaml), &correct(740.0), 24, None).unwrap().same;
        assert!(some.undecided() > 0.1 && some.undecided() < 0.9, "{then}: {some:?}");
        assert!(some.decided.hours.unwrap()[1] < 2.0, "{then}: {some:?}");
    }
}

#[test]
fn labels_come_to_a_part_of_the_answers_and_late() {
    let minute = 60_000_000;
    let mut world = correct(60_000.0);
    let row = run(&spec(GUARDED), &world, 1, 0.1).unwrap().state.row;
    world.labelling.insert("correct".into(), Labelling { coverage: 0.25, delays: vec![minute, 3 * minute] });
    let mut traffic = Generator::new(world, 1, START);
    let until = |minutes: i64| START.plus_micros(minutes * minute);
    let labels = |events: &[Event]| events.iter().filter(|e| matches!(e, Event::Label(_))).count();
    let first = traffic.until(until(1), row.as_ref());
    assert_eq!(labels(&first), 0, "none comes before a minute is over");
    let (asked, mut told) = (first.len() as f64, Vec::new());
    for minute in 2..=6 {
        // Nobody asks any more.
        told.push(labels(&traffic.until(until(minute), None)) as f64);
    }
    // An eighth each, about a thousand requests: within four deviations.
    assert!((asked - 1_000.0).abs() < 130.0, "{asked}");
    assert!((told[0] / asked - 0.125).abs() < 0.042 && (told[2] / asked - 0.125).abs() < 0.042, "{told:?} of {asked}");
    assert_eq!((told[1], told[3], told[4]), (0.0, 0.0, 0.0));
}

#[test]
fn fewer_and_later_labels_take_longer() {
    let hours = |labelling: Option<Labelling>| {
        let mut world = correct(6_000.0);
        world.labelling.extend(labelling.map(|l| ("correct".to_owned(), l)));
        forecast(&spec(GUARDED), &world, 6, None).unwrap().same.promoted.hours.unwrap()[0]
    };
    let (all, part) = (hours(None), hours(Some(Labelling { coverage: 0.1, delays: Vec::new() })));
    let late = hours(Some(Labelling { coverage: 1.0, delays: vec![4 * 3_600_000_000] }));
    assert!(part > 2.0 * all && late > all + 3.0, "{all} {part} {late}");
}

#[test]
fn a_population_is_what_so_many_requests_show_so_many_of() {
    let seen = |requests: u64, different: u64| population(Units { requests, different });
    assert_eq!(seen(50_000, 200), Some(200), "all of them came back");
    assert_eq!(seen(500, 500), None, "nobody came back");
    assert_eq!(seen(10, 1), Some(1));
    // Of ten thousand, so many are seen by half as many and by as many requests.
    for (requests, different) in [(5_000, 3_935), (10_000, 6_321), (40_000, 9_817)] {
        let found = seen(requests, different).unwrap() as f64;
        assert!((found / 1e4 - 1.0).abs() < 0.005, "{found}");
    }
}

#[test]
fn a_journal_is_asked_for_units_coverage_delays_and_outputs() {
    let rows = serde_json::json!([
        ["in.user", "Utf8"],
        ["in.x", "List(Float32)"],
        ["out.p\"q", "Float32"],
        ["unit", "UInt64"]
    ]);
    let columns = Columns::read(rows.as_array().unwrap());
    let asks = |unit: &str| columns.traffic(&spec(&GUARDED.replace("header:x-user-id", unit)));
    assert!(asks("header:x-user-id").contains("count(unit), count(DISTINCT unit)"));
    assert!(asks("field:user").contains("count(\"in.user\"), count(DISTINCT \"in.user\")"));
    // A list is nobody's unit, and what is no column cannot be asked for.
    for unknown in ["field:x", "field:other", "request"] {
        assert!(asks(unknown).contains("0 AS known, 0 AS different"), "{unknown}");
    }
    assert!(columns.output("d", "p\"q").unwrap().contains("avg(CAST(\"out.p\"\"q\" AS DOUBLE))"));
    assert_eq!((columns.output("d", "x"), columns.output("d", "y")), (None, None));

    let traffic = serde_json::json!([[1500, 7200.0, 9_000_000_000_000_i64, 0.01, 2000.0, 0.5, 1400, 200]]);
    let mut seen = Observed::read(traffic.as_array().unwrap());
    assert_eq!((seen.per_hour(), seen.error_rate, seen.latency), (Some(750.0), Some(0.01), Some(0.002)));
    assert_eq!(seen.units, Some(Units { requests: 1400, different: 200 }));
    let mut label = serde_json::json!(["o'k", 0.3, 0.45, true, 1_000_000_i64, 8_000_000_000_000_i64]);
    label.as_array_mut().unwrap().extend((1..=10).map(|n| serde_json::json!(f64::from(n) * 1e6)));
    seen.labelled(&[label]);
    let known = &seen.labels["o'k"];
    assert_eq!((known.mean, known.deviation, known.labelling.delays.len()), (0.3, 0.0, 10));
    // Of those that are old enough for nearly every label to have come, then of all.
    let asked = seen.coverage_statements("d", "o'k");
    assert!(asked[0].contains("BETWEEN 1000000 AND 8999990000000") && asked[0].contains("'o''k'"), "{}", asked[0]);
    assert!(asked[1].contains("BETWEEN 1000000 AND 9000000000000"), "{}", asked[1]);
    assert!(!seen.covered("o'k", &[serde_json::json!([20, 10])]), "too few");
    assert!(seen.covered("o'k", &[serde_json::json!([1000, 120])]));
    assert_eq!(seen.labels["o'k"].labelling.coverage, 0.12);
    seen.put_out("score", &[serde_json::json!([0.5, 0.2])]);
    seen.put_out("empty", &[serde_json::json!([null, null])]);
    assert_eq!(seen.outputs, [("score".to_owned(), (0.5, 0.2))].into());
}

#[test]
fn without_units_or_traffic_the_journal_says_so() {
    let seen = Observed::read(&[serde_json::json!([1, 0.0, null, null, null, null, 0, 0])]);
    assert_eq!((seen.units, seen.per_hour(), seen.latency), (None, None, None));
}

#[test]
fn an_effect_on_an_output_is_forecast_too() {
    let yaml = SPEC.replace("kind: mean, source: 'label:liked'", "kind: mean, source: 'output:score'");
    let mut same = world(|_| {});
    for variant in &mut same.variants {
        variant.outputs.insert("score".into(), (0.5, 0.2));
    }
    let found = forecast(&spec(&yaml.replace("maxDuration: 24h", "maxDuration: 4h")), &same, 4, None).unwrap();
    assert!(found.better.unwrap().promoted.part > 0.6 && found.same.promoted.part < 0.5, "{found:?}");
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
        state: course.state.clone(),
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
        state: course.state.clone(),
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

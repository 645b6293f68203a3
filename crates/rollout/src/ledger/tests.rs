use super::*;
use crate::event::ShadowAnswer;
use crate::simulate::{Behaviour, Generator, World};
use crate::spec::RolloutSpec;
use mainspring_core::{ErrorKind, IdGen, SeededIds};
use proptest::prelude::*;
use std::sync::Arc;

const SECOND: i64 = 1_000_000;

fn spec(metrics: &str) -> RolloutSpec {
    let yaml = format!(
        "{{deployment: d, candidates: [{{name: b, model: 'models:/m/2'}}], steps: [{{abTest: {{maxDuration: 1d}}}}],
          warmupExclude: 0s, decision: {{expectedUnits: 1000}}, metrics: {metrics}}}"
    );
    let spec = crate::spec::tests::parse(&yaml).unwrap();
    spec.validate().unwrap();
    spec
}

fn errors_and_labels() -> RolloutSpec {
    spec(
        "{guardrails: [{name: errors, kind: errors}, {name: p95, kind: quantile, source: latency, q: 0.95}],
          success: [{name: liked, kind: mean, source: 'label:liked'}, {name: spent, kind: total, source: 'label:spent'}]}",
    )
}

fn stratum(generation: u64, start: i64, candidate: f64) -> Stratum {
    let weights = vec![1.0 - candidate, candidate];
    Stratum { generation, step: 0, start: Timestamp(start * SECOND), weights, contexts: Vec::new(), shadow: false }
}

fn ledger(spec: &RolloutSpec, strata: &[Stratum]) -> Ledger {
    let mut ledger = Ledger::new(Plan::of(spec), Limits::default());
    ledger.strata(strata);
    ledger
}

fn id(n: u64) -> EventId {
    SeededIds::new(n).event(Timestamp(SECOND))
}

fn exposure(n: u64, at: i64, unit: u64, variant: &str) -> Exposure {
    Exposure {
        at: Timestamp(at * SECOND),
        id: id(n),
        unit,
        variant: variant.into(),
        generation: 1,
        context: None,
        failed: None,
        latency_ns: 20_000_000,
        outputs: Vec::new(),
        inputs: Vec::new(),
    }
}

fn label(n: u64, at: i64, name: &str, value: f64) -> Event {
    Event::Label(Label { at: Timestamp(at * SECOND), about: id(n), row: 0, name: name.into(), value, truth: false })
}

/// A label that is true or false.
fn truth(n: u64, at: i64, name: &str, value: bool) -> Event {
    let (at, value) = (Timestamp(at * SECOND), f64::from(u8::from(value)));
    Event::Label(Label { at, about: id(n), row: 0, name: name.into(), value, truth: true })
}

#[test]
fn a_unit_counts_once_however_often_it_asks_and_fails() {
    let spec = errors_and_labels();
    let mut ledger = ledger(&spec, &[stratum(1, 0, 0.5)]);
    for n in 0..6 {
        let variant = if n % 2 == 0 { "stable" } else { "b" };
        let failed = (n % 2 == 1).then_some(ErrorKind::Internal);
        ledger.fold(&Event::Exposure(Exposure { failed, ..exposure(n, 1, n % 2, variant) }));
    }
    // The caller's own mistake is nobody's error.
    let own = Exposure { failed: Some(ErrorKind::InvalidInput), ..exposure(9, 1, 0, "stable") };
    ledger.fold(&Event::Exposure(own));
    ledger.look(Timestamp(2 * SECOND));
    let report = ledger.report();
    assert_eq!((report.units.clone(), report.answers.clone()), (vec![1, 1], vec![4, 3]));
    assert_eq!(report.metric("errors").unwrap().units, [0, 1]);
}

#[test]
fn what_is_only_reported_is_shown_and_takes_nothing_from_the_others() {
    let guarded = "{guardrails: [{name: errors, kind: errors}]";
    let alone = spec(&format!("{guarded}}}"));
    let spec = spec(&format!(
        "{guarded}, report: [{{name: score, kind: mean, source: 'output:score'}}, {{name: p95, kind: quantile, source: latency}}]}}"
    ));
    assert_eq!(Plan::of(&spec).metrics[0], Plan::of(&alone).metrics[0], "its error rates are its own");
    let mut ledger = ledger(&spec, &[stratum(1, 0, 0.5)]);
    for n in 0..2_000_u64 {
        let (candidate, noise) = (n % 2 == 1, (n / 2 % 7) as f64);
        let score = noise - if candidate { 2.0 } else { 0.0 };
        let outputs = vec![("score".into(), score)];
        let exposure = exposure(n, 1 + (n / 100) as i64, n, if candidate { "b" } else { "stable" });
        ledger.fold(&Event::Exposure(Exposure { outputs, ..exposure }));
    }
    ledger.look(Timestamp(60 * SECOND));
    let report = ledger.report();
    let score = report.metric("score").unwrap();
    assert_eq!((score.role, score.finding, score.required), (Role::Reported, Finding::Worse, false));
    let range = score.effect.unwrap();
    assert!(range.high.unwrap() < 0.0 && (range.estimate + 2.0).abs() < 0.1, "{range:?}");
    assert!(report.metric("p95").unwrap().role == Role::Reported);
}

/// One unit in fifty brings nearly all. Of a hundred none may be among them, which looks like a loss beyond doubt.
#[test]
fn what_few_units_bring_is_not_judged_by_a_small_share() {
    let spec = spec(
        "{guardrails: [{name: revenue, kind: mean, source: 'output:paid', nonInferiority: 0.5}], \
         report: [{name: told, kind: mean, source: 'output:paid'}]}",
    );
    let seen = |units: u64, lucky: u64| {
        let mut ledger = ledger(&spec, &[stratum(1, 0, 0.05)]);
        for n in 0..units {
            let variant = if n % 20 == 7 { "b" } else { "stable" };
            let paid = if variant == "stable" && n % 50 == 0 || variant == "b" && n % 50 < lucky { 500.0 } else { 1.0 };
            let exposure = exposure(n, 1 + (n / 1_000) as i64, n, variant);
            ledger.fold(&Event::Exposure(Exposure { outputs: vec![("paid".into(), paid)], ..exposure }));
        }
        ledger.look(Timestamp(600 * SECOND));
        let report = ledger.report();
        let found = report.metric("told").unwrap().finding;
        let judged = report.metric("revenue").unwrap().clone();
        assert_eq!(found, judged.finding, "nor told");
        judged
    };
    let early = seen(2_000, 0);
    assert_eq!(early.finding, Finding::Unclear, "{early:?}");
    assert!(early.effect.unwrap().high.unwrap() < -0.5, "its interval alone would call it worse: {early:?}");
    assert!(early.why.clone().unwrap().starts_with("few units make up most of it"), "{early:?}");
    assert_eq!(seen(20_000, 0).finding, Finding::Worse, "of a thousand some would be among them");
}

#[test]
fn what_does_not_belong_is_left_out_and_said() {
    let mut spec = errors_and_labels();
    spec.warmup_exclude = "10s".parse().unwrap();
    let mut ledger = ledger(&spec, &[stratum(1, 0, 0.5)]);
    ledger.fold(&Event::Exposure(exposure(1, 9, 1, "b")));
    ledger.fold(&Event::Exposure(Exposure { generation: 7, ..exposure(2, 20, 2, "b") }));
    ledger.fold(&Event::Exposure(exposure(3, 20, 3, "c")));
    ledger.fold(&Event::Exposure(exposure(4, 20, 4, "b")));
    ledger.fold(&label(1, 21, "liked", 1.0));
    // The same unit in the other variant, under the same weights.
    ledger.fold(&Event::Exposure(exposure(5, 22, 4, "stable")));
    ledger.look(Timestamp(30 * SECOND));
    let report = ledger.report();
    assert_eq!((report.excluded, report.strangers, report.unmatched), (1, 2, 1));
    assert_eq!(report.units, [0, 1]);
    assert_eq!(report.last_at[1], Some(Timestamp(20 * SECOND)));
    assert_eq!(report.metric("multipleExposure").unwrap().finding, Finding::Worse);
}

#[test]
fn answers_without_a_unit_are_counted_from_the_first_step_on_and_move_nothing() {
    let spec = errors_and_labels();
    let without = |n: u64, at: i64| Event::Unitless(crate::event::Unitless { at: Timestamp(at * SECOND), id: id(n) });
    let report = |unitless: &[Event]| {
        let mut ledger = ledger(&spec, &[stratum(1, 0, 0.0), stratum(2, 10, 0.5)]);
        for n in 0..20 {
            let variant = if n % 2 == 0 { "stable" } else { "b" };
            ledger.fold(&Event::Exposure(Exposure { generation: 2, ..exposure(n, 20, n, variant) }));
        }
        ledger.look(Timestamp(30 * SECOND));
        ledger.report();
        for event in unitless {
            ledger.fold(event);
        }
        ledger.look(Timestamp(40 * SECOND));
        ledger.report()
    };
    let (some, none) = (report(&[without(91, 9), without(92, 10), without(93, 35)]), report(&[]));
    assert_eq!(some.unitless, 2, "the first came before the first step");
    assert_eq!(Report { unitless: 0, ..(*some).clone() }, *none);
}

#[test]
fn the_latest_label_counts_in_whatever_order_they_come() {
    let spec = errors_and_labels();
    let mut all = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut ledger = ledger(&spec, &[stratum(1, 0, 0.5)]);
        for n in 0..40 {
            ledger.fold(&Event::Exposure(exposure(n, 1, n, if n % 2 == 0 { "stable" } else { "b" })));
            ledger.fold(&label(n, 2, "liked", f64::from(u8::from(n % 3 == 0))));
        }
        let said = [label(1, 5, "liked", 0.0), label(1, 6, "liked", 1.0), label(1, 4, "spent", 30.0)];
        for i in order {
            ledger.fold(&said[i]);
        }
        ledger.look(Timestamp(9 * SECOND));
        all.push(ledger.report());
    }
    assert_eq!(all[0].metrics, all[1].metrics);
    assert_eq!(all[0].metrics, all[2].metrics);
    // 3, 9, 15, 21, 27, 33, 39 and, since the last label, 1.
    assert_eq!(all[0].metric("liked").unwrap().candidate, Some(8.0 / 20.0));
    // A total counts all who were exposed.
    assert_eq!(all[0].metric("spent").unwrap().candidate, Some(30.0 / 20.0));
    assert_eq!(all[0].metric("spent").unwrap().units, [20, 20]);
}

#[test]
fn only_numbers_are_values() {
    let spec = errors_and_labels();
    let mut ledger = ledger(&spec, &[stratum(1, 0, 0.5)]);
    ledger.fold(&Event::Exposure(exposure(1, 1, 1, "b")));
    ledger.fold(&label(1, 2, "liked", f64::NAN));
    ledger.fold(&label(1, 3, "liked", f64::INFINITY));
    ledger.look(Timestamp(9 * SECOND));
    assert_eq!(ledger.report().metric("liked").unwrap().candidate, None);
    ledger.fold(&label(1, 4, "liked", 1.0));
    assert_eq!(ledger.report().metric("liked").unwrap().candidate, Some(1.0));
}

#[test]
fn memory_is_bounded_and_that_is_said() {
    let spec = errors_and_labels();
    let mut ledger = Ledger::new(Plan::of(&spec), Limits { units: 10, answers: 5 });
    ledger.strata(&[stratum(1, 0, 0.5)]);
    for n in 0..20 {
        ledger.fold(&Event::Exposure(exposure(n, 1, n, "stable")));
    }
    for n in 0..20 {
        ledger.fold(&label(n, 2, "liked", 1.0));
    }
    let report = ledger.report();
    assert_eq!((report.crowded_out, report.unmatched, report.forgotten), (10, 15, 5));
}

#[test]
fn a_mismatch_of_the_sample_ratio_is_found_and_a_ramp_is_none() {
    let spec = errors_and_labels();
    let strata = [stratum(1, 0, 0.05), stratum(2, 100, 0.5)];
    for (lost, want) in [(0, Finding::Unclear), (3, Finding::Worse)] {
        let mut ledger = ledger(&spec, &strata);
        for n in 0..4000_u64 {
            let (generation, variant) = if n < 2000 { (1, n % 20 == 0) } else { (2, n % 2 == 0) };
            if variant && n / 20 % 10 < lost {
                continue;
            }
            let e = exposure(n, 1 + n as i64 / 20, n, if variant { "b" } else { "stable" });
            ledger.fold(&Event::Exposure(Exposure { generation, ..e }));
        }
        ledger.look(Timestamp(300 * SECOND));
        assert_eq!(ledger.report().metric("srm").unwrap().finding, want);
    }
    let mut ledger = ledger(&spec, &[stratum(1, 0, 0.0)]);
    ledger.fold(&Event::Exposure(exposure(1, 1, 1, "b")));
    ledger.look(Timestamp(2 * SECOND));
    assert_eq!(ledger.report().metric("srm").unwrap().finding, Finding::Worse, "a variant without a share");
}

#[test]
fn the_shadow_is_compared_in_pairs() {
    let mut spec = errors_and_labels();
    let step = "{shadow: {percent: 100, duration: 1m, compare: {output: score, maxMeanAbsDiff: 0.1}}}";
    spec.steps.insert(0, serde_saphyr::from_str(step).unwrap());
    for (apart, want) in [(0.0, Finding::NonInferior), (0.02, Finding::NonInferior), (0.3, Finding::Worse)] {
        let mut ledger = ledger(&spec, &[Stratum { shadow: true, ..stratum(1, 0, 0.0) }]);
        for n in 0..400_u64 {
            let noise = f64::from(n as u32 % 7) / 100.0 * f64::from(u8::from(apart > 0.0));
            let outputs = |v: f64| vec![(Arc::from("score"), v)];
            let caller = Exposure { outputs: outputs(1.0), ..exposure(n, 1, n, "stable") };
            let failed = (n % 20 == 0).then_some(ErrorKind::Internal);
            let (at, of, variant) = (caller.at, caller.id, Arc::from("b"));
            let shadow = ShadowAnswer {
                at,
                id: id(n + 9000),
                of,
                variant,
                failed,
                latency_ns: 1,
                outputs: outputs(1.0 + apart + noise),
            };
            // The shadow's answer may be the first to arrive.
            if n % 2 == 0 {
                ledger.fold(&Event::Shadow(shadow.clone()));
            }
            ledger.fold(&Event::Exposure(caller));
            if n % 2 == 1 {
                ledger.fold(&Event::Shadow(shadow));
            }
        }
        ledger.look(Timestamp(10 * SECOND));
        let report = ledger.report();
        assert_eq!(report.shadow_units, 400);
        assert_eq!(report.metric("shadowDiff").unwrap().finding, want, "{apart}");
        assert_eq!(report.metric("shadowErrors").unwrap().units, [0, 20]);
        assert_eq!(report.metric("shadowErrors").unwrap().finding, Finding::Worse);
    }
}

/// What is found of a guardrail on a label that is the same of 700 units, after 500 and after all.
fn never(kind: &str, margin: f64, label: impl Fn(u64) -> Event) -> [Finding; 2] {
    let spec = spec(&format!(
        "{{guardrails: [{{name: fraud, kind: {kind}, source: 'label:fraud', direction: down, nonInferiority: {margin}}}]}}"
    ));
    let mut ledger = ledger(&spec, &[stratum(1, 0, 0.5)]);
    let mut find = |units: std::ops::Range<u64>| {
        for n in units.clone() {
            ledger.fold(&Event::Exposure(exposure(n, 1, n, if n % 2 == 0 { "stable" } else { "b" })));
            ledger.fold(&label(n));
        }
        ledger.look(Timestamp(units.end as i64 * SECOND));
        ledger.report().metric("fraud").unwrap().finding
    };
    [find(0..500), find(500..700)]
}

/// No label was ever true: a guardrail on it holds once so many in a row would be rare.
#[test]
fn an_event_that_never_happens_holds_its_guardrail() {
    for kind in ["mean", "total"] {
        let findings = never(kind, 0.01, |n| truth(n, 2, "fraud", false));
        assert_eq!(findings, [Finding::Unclear, Finding::NonInferior], "{kind}: ln 20 over 0.01 is 300 of each");
    }
}

/// What is true each time holds its guardrail in the same way: a very good model is no reason to wait for ever.
#[test]
fn what_always_happens_holds_its_guardrail() {
    let findings = never("mean", 0.01, |n| truth(n, 2, "fraud", true));
    assert_eq!(findings, [Finding::Unclear, Finding::NonInferior]);
}

/// The numbers 0 and 1 are as good as false and true once that is declared, and no longer when another one comes.
#[test]
fn numbers_that_are_declared_binary_hold_their_guardrail_until_one_is_not() {
    for kind in ["mean", "total"] {
        let declared = format!("{kind}, binary: true");
        let findings = never(&declared, 0.01, |n| label(n, 2, "fraud", 0.0));
        assert_eq!(findings, [Finding::Unclear, Finding::NonInferior], "{kind}");
    }
    let guardrail =
        "{name: fraud, kind: mean, binary: true, source: 'label:fraud', direction: down, nonInferiority: 0.01}";
    let mut ledger = ledger(&spec(&format!("{{guardrails: [{guardrail}]}}")), &[stratum(1, 0, 0.5)]);
    for n in 0..900 {
        ledger.fold(&Event::Exposure(exposure(n, 1, n, if n % 2 == 0 { "stable" } else { "b" })));
        if n != 899 {
            ledger.fold(&label(n, 2, "fraud", 0.0));
        }
    }
    ledger.look(Timestamp(3 * SECOND));
    assert_eq!(ledger.report().metric("fraud").unwrap().finding, Finding::NonInferior);
    ledger.fold(&label(899, 4, "fraud", 250.0));
    ledger.look(Timestamp(9 * SECOND));
    let report = ledger.report();
    let fraud = report.metric("fraud").unwrap();
    assert_ne!(fraud.finding, Finding::NonInferior);
    assert!(fraud.why.as_ref().unwrap().contains("neither 0 nor 1"), "{:?}", fraud.why);
}

/// One loss in a thousand units may be a thousand times the margin.
#[test]
fn amounts_that_are_all_0_show_nothing() {
    for kind in ["mean", "total"] {
        assert_eq!(never(kind, 0.01, |n| label(n, 2, "fraud", 0.0)), [Finding::Unclear; 2], "{kind}");
    }
    // Neither do several truths of one unit, where they are added up.
    for (kind, want) in [("mean", Finding::NonInferior), ("total", Finding::Unclear)] {
        let mut ledger = ledger(
            &spec(&format!(
                "{{guardrails: [{{name: fraud, kind: {kind}, source: 'label:fraud', direction: down, nonInferiority: 0.01}}]}}"
            )),
            &[stratum(1, 0, 0.5)],
        );
        for n in 0..1400 {
            let unit = n % 700;
            ledger.fold(&Event::Exposure(exposure(n, 1, unit, if unit % 2 == 0 { "stable" } else { "b" })));
            ledger.fold(&truth(n, 2, "fraud", false));
        }
        ledger.look(Timestamp(9 * SECOND));
        assert_eq!(ledger.report().metric("fraud").unwrap().finding, want, "{kind}");
    }
}

/// All users were seen while the candidate had a tenth of them, and nobody failed.
#[test]
fn a_rise_of_the_weight_teaches_something_of_units_that_are_known() {
    let spec = spec("{guardrails: [{name: errors, kind: errors, nonInferiority: 0.02}]}");
    let finding = |weights: &[f64], failing: u64| {
        let strata: Vec<Stratum> = (0..).zip(weights).map(|(i, w)| stratum(i as u64 + 1, 100 * i, *w)).collect();
        let mut ledger = ledger(&spec, &strata);
        for (pass, weight) in (0..).zip(weights) {
            for unit in 0..1000_u64 {
                // As a hash would, and those below the weight are the candidate's.
                let candidate = ((unit * 617 % 1000) as f64) < weight * 1000.0;
                let failed = (candidate && unit % 100 < failing).then_some(ErrorKind::Internal);
                let told =
                    exposure(1000 * pass + unit, 1 + 100 * pass as i64, unit, if candidate { "b" } else { "stable" });
                ledger.fold(&Event::Exposure(Exposure { generation: pass + 1, failed, ..told }));
            }
        }
        ledger.look(Timestamp(1000 * SECOND));
        ledger.report().metric("errors").unwrap().finding
    };
    assert_eq!(finding(&[0.1], 0), Finding::Unclear);
    assert_eq!(finding(&[0.1, 0.1], 0), Finding::Unclear, "nobody could have changed");
    assert_eq!(finding(&[0.1, 0.5], 0), Finding::NonInferior);
    assert_eq!(finding(&[0.1, 0.0, 0.1], 0), Finding::Unclear, "who came back is known");
    assert_eq!(finding(&[0.1, 0.5], 5), Finding::Worse);
}

/// Rollouts of 200 that hold the guardrail where the candidate fails more often by `worse`. Some units fail nearly always and
/// the others never, all of them return at each weight, and a look follows each.
fn held(worse: f64) -> usize {
    let spec = spec("{guardrails: [{name: errors, kind: errors, margin: 1, nonInferiority: 0.05}]}");
    let weights = [0.1, 0.3, 0.3, 0.6];
    let strata: Vec<Stratum> = (0..).zip(weights).map(|(i, w)| stratum(i as u64 + 1, 100 * i, w)).collect();
    let random = SeededIds::new(1);
    let chance = || (random.random() >> 11) as f64 / (1_u64 << 53) as f64;
    let one = |_: &usize| {
        let mut ledger = ledger(&spec, &strata);
        let units: Vec<(f64, f64)> = (0..2000).map(|_| (chance(), if chance() < 0.02 { 0.9 } else { 0.0 })).collect();
        for (pass, weight) in (0..).zip(weights) {
            for (unit, (bucket, rate)) in (0..).zip(&units) {
                let candidate = *bucket < weight;
                let failed = (chance() < rate + if candidate { worse } else { 0.0 }).then_some(ErrorKind::Internal);
                let told =
                    exposure(9000 * pass + unit, 1 + 100 * pass as i64, unit, if candidate { "b" } else { "stable" });
                ledger.fold(&Event::Exposure(Exposure { generation: pass + 1, failed, ..told }));
            }
            ledger.look(Timestamp(100 * (pass as i64 + 1) * SECOND));
        }
        ledger.report().metric("errors").unwrap().log_e.holds.unwrap() >= 20_f64.ln()
    };
    (0..200).filter(one).count()
}

#[test]
fn units_that_return_hold_a_guardrail_that_is_kept_and_no_other() {
    // Just what is tolerable: one of twenty, and three deviations of the simulation.
    let wrongly = held(0.05);
    assert!(wrongly <= 10 + 9, "{wrongly} of 200");
    let rightly = held(0.0);
    assert!(rightly >= 190, "{rightly} of 200");
}

#[test]
fn looks_follow_from_the_strata_alone() {
    let strata = [stratum(1, 100, 0.1), stratum(2, 5000, 0.5)];
    let mut at = Timestamp(0);
    let mut looks = Vec::new();
    while at < Timestamp(20_000 * SECOND) {
        at = looks::next(&strata, at).unwrap();
        looks.push(at.micros() / SECOND);
    }
    assert_eq!(looks[..3], [100, 101, 102]);
    assert!(looks.contains(&5000) && looks.windows(2).all(|w| w[0] < w[1]));
    assert!(looks.len() < 1500, "{}", looks.len());
    // Whoever knows only the first stratum meets the second on its way.
    let early: Vec<i64> = looks.iter().copied().take_while(|l| *l < 5000).collect();
    let mut at = Timestamp(0);
    for look in early {
        at = looks::next(&strata[..1], at).unwrap();
        assert_eq!(at.micros() / SECOND, look);
    }
    assert_eq!(looks::next(&[], Timestamp(0)), None);
}

fn events() -> (RolloutSpec, Vec<Stratum>, Vec<Event>) {
    let spec = Arc::new(errors_and_labels());
    let mut variant = Behaviour { error_rate: 0.02, ..Behaviour::default() };
    variant.labels.insert("liked".into(), (0.3, 0.0));
    variant.labels.insert("spent".into(), (5.0, 2.0));
    let world =
        World { per_hour: 36_000.0, population: Some(80), habits: 1.0, variants: vec![variant; 2], ..World::default() };
    let start = Timestamp(0);
    let mut pilot =
        crate::Pilot::new("r", Arc::clone(&spec), crate::State::new("x".into(), start, 0), Limits::default());
    let pins = crate::machine::Pins { stable: "models:/m/1".into(), candidates: vec!["models:/m/2".into()] };
    let facts =
        crate::Facts { pins: Some(pins), candidate: crate::machine::Readiness::Ready, ..crate::Facts::default() };
    while pilot.state().phase != crate::Phase::Step {
        let done = pilot.ask(start, &facts).unwrap().unwrap();
        pilot.adopt(done.state);
    }
    let mut traffic = Generator::new(world, 5, start);
    let events = traffic.until(Timestamp(60 * SECOND), pilot.state().row.as_ref());
    ((*spec).clone(), pilot.state().strata.clone(), events)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn batches_and_their_order_change_nothing(cuts in prop::collection::vec(0_usize..600, 0..6), swaps in prop::collection::vec((0_usize..600, 0_usize..600), 0..50)) {
        let (spec, strata, events) = events();
        let spec = Arc::new(spec);
        let state = crate::State { strata, ..crate::State::new("x".into(), Timestamp(0), 0) };
        let run = |batches: Vec<Vec<Event>>| {
            let mut pilot = crate::Pilot::new("r", Arc::clone(&spec), state.clone(), Limits::default());
            for batch in batches {
                pilot.push(batch);
            }
            pilot.advance(Timestamp(60 * SECOND));
            pilot.report()
        };
        let whole = run(vec![events.clone()]);
        let mut shuffled = events.clone();
        for (a, b) in swaps {
            let n = shuffled.len();
            shuffled.swap(a % n, b % n);
        }
        let mut batches = Vec::new();
        for cut in cuts {
            let at = cut % shuffled.len();
            // A batch that comes twice counts once.
            batches.push(shuffled[at..].to_vec());
        }
        batches.push(shuffled);
        prop_assert_eq!(&run(batches), &whole);
        // Looks as they come, instead of all at once at the end.
        let mut pilot = crate::Pilot::new("r", Arc::clone(&spec), state.clone(), Limits::default());
        for second in 1..=60 {
            let at = Timestamp(second * SECOND);
            let new = |e: &&Event| e.at() <= at && (second == 1 || e.at() > at.plus_micros(-SECOND));
            pilot.push(events.iter().filter(new).cloned());
            pilot.advance(at);
        }
        prop_assert_eq!(&pilot.report(), &whole);
    }
}

#[test]
fn units_that_return_in_later_strata_are_one_unit_each() {
    let spec = spec("{success: [{name: liked, kind: mean, source: 'output:score'}]}");
    let mut ledger = ledger(&spec, &[stratum(1, 0, 0.5), stratum(2, 100, 0.5)]);
    for n in 0..800_u64 {
        let (unit, generation) = (n % 400, 1 + n / 400);
        let variant = if unit % 2 == 0 { "stable" } else { "b" };
        let outputs = vec![(Arc::from("score"), f64::from((unit * 37 % 101) as u32))];
        ledger.fold(&Event::Exposure(Exposure { generation, outputs, ..exposure(n, 1 + n as i64 / 4, unit, variant) }));
        if n == 399 || n == 799 {
            ledger.look(Timestamp(n as i64 * SECOND));
        }
    }
    let report = ledger.report();
    let effect = report.metric("liked").unwrap().effect.unwrap();
    let width = effect.high.unwrap() - effect.low.unwrap();
    // Two independent halves of 400 would give an interval narrower by about √2.
    let once = {
        let spec = &spec;
        let mut ledger = Ledger::new(Plan::of(spec), Limits::default());
        ledger.strata(&[stratum(1, 0, 0.5)]);
        for unit in 0..400_u64 {
            let variant = if unit % 2 == 0 { "stable" } else { "b" };
            let outputs = vec![(Arc::from("score"), f64::from((unit * 37 % 101) as u32))];
            ledger.fold(&Event::Exposure(Exposure { outputs, ..exposure(unit, 1, unit, variant) }));
        }
        ledger.look(Timestamp(9 * SECOND));
        let effect = ledger.report().metric("liked").unwrap().effect.unwrap();
        effect.high.unwrap() - effect.low.unwrap()
    };
    assert!((width / once - 1.0).abs() < 0.1, "{width} {once}");
    assert_eq!(report.units, [200, 200]);
}

/// Of `units` units with a score each, half with each variant: stable's and the candidate's are uniform, the candidate's on
/// `wide` times the range around the same middle.
fn scored(units: u64, wide: f64) -> Arc<Report> {
    let spec = spec(
        "{guardrails: [{name: errors, kind: errors}],
          signals: [{name: mean, source: 'output:score', maxShift: 0.2}, {name: shape, source: 'output:score', psi: 0.1}]}",
    );
    let mut ledger = ledger(&spec, &[stratum(1, 0, 0.5)]);
    for n in 0..units {
        let (variant, wide) = if n % 2 == 0 { ("stable", 1.0) } else { ("b", wide) };
        let place = (n / 2 % 97) as f64 / 96.0 - 0.5;
        let outputs = vec![("score".into(), 0.5 + wide * place)];
        ledger.fold(&Event::Exposure(Exposure { outputs: outputs.clone(), ..exposure(n, 1, n, variant) }));
        // Only the first of a unit counts.
        ledger.fold(&Event::Exposure(Exposure { outputs, ..exposure(n + units, 1, n, variant) }));
    }
    ledger.look(Timestamp(2 * SECOND));
    ledger.report()
}

#[test]
fn a_distribution_that_widens_around_its_mean_is_a_signal() {
    let shape = |report: &Report| report.metric("shape").unwrap().clone();
    let report = scored(4000, 0.5);
    assert_eq!(report.metric("mean").unwrap().finding, Finding::Unclear, "the mean stayed");
    let found = shape(&report);
    assert_eq!((found.finding, found.scale), (Finding::Worse, Scale::Index));
    let effect = found.effect.unwrap();
    assert!(effect.low.unwrap() > 0.1 && effect.high.is_none() && effect.estimate > effect.low.unwrap(), "{effect:?}");
    // 200 of stable's units said what is usual; of the candidate's those were left out that came meanwhile.
    assert_eq!(found.units, [1800, 1801]);
    let same = shape(&scored(4000, 1.0));
    assert_eq!((same.finding, same.effect.unwrap().low), (Finding::Unclear, Some(0.0)));
    let few = shape(&scored(300, 0.5));
    assert_eq!(
        (few.finding, few.effect, few.why.as_deref()),
        (Finding::NoData, None, Some("50 more units of stable are needed to know what is usual"),)
    );
}

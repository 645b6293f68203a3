//! A contextual bandit.

use super::several::two;
use super::*;
use crate::ledger::{Arm, ContextArm, ContextReport, Gain, Range};

const SPEC: &str = "
deployment: churn
candidates: [{name: v8, model: models:/churn/8}, {name: v9, model: models:/churn/9}]
steps:
  - contextualBandit:
      features: [{input: age, cuts: [40]}]
      period: 1h
      minWeight: 2
      even: 0
      minExposures: 100
      bestAt: 95
      maxDuration: 2d
metrics:
  guardrails: [{name: errors, kind: errors}]
  success: [{name: liked, kind: mean, source: 'label:liked'}]
rollback: {window: 1d}
";

/// What is believed of the three variants in each context, to 0.01.
fn knows(hand: &mut Hand, shares: [f64; 3], means: [[f64; 3]; 3]) {
    let names = ["stable", "v8", "v9"];
    let here = |(context, means): (usize, &[f64; 3])| {
        let best = means.iter().copied().fold(f64::MIN, f64::max);
        let arm = |(name, mean): (&str, &f64)| ContextArm {
            variant: name.into(),
            units: 200,
            mean: *mean,
            standard_error: 0.01,
            best: if *mean == best { 0.98 } else { 0.01 },
            weight: 1.0 / 3.0,
        };
        let title = ["other age", "age < 40", "age ≥ 40"][context].to_owned();
        ContextReport {
            context: context as u16,
            title,
            share: shares[context],
            arms: names.into_iter().zip(means).map(arm).collect(),
        }
    };
    hand.report.contexts = means.iter().enumerate().map(here).collect();
    let arm = |(at, name): (usize, &str)| Arm {
        variant: name.into(),
        units: 500,
        mean: 0.3,
        standard_error: 0.01,
        best: [0.1, 0.2, 0.7][at],
        ips: None,
        snips: None,
        dr: None,
        effective: 500.0,
        over_stable: Some(Range { low: Some(0.01), estimate: 0.05, high: Some(0.09) }),
    };
    hand.report.arms = names.into_iter().enumerate().map(arm).collect();
}

fn splits(hand: &Hand) -> Vec<Vec<f64>> {
    let policy = hand.state.row.as_ref().unwrap().policy.as_ref().unwrap();
    policy.splits.iter().map(|s| s.weights().iter().map(|w| w.fraction()).collect()).collect()
}

/// Where the variants differ: v8 for the young, v9 for the old.
const APART: [[f64; 3]; 3] = [[0.3, 0.3, 0.3], [0.3, 0.5, 0.2], [0.3, 0.2, 0.5]];

#[test]
fn each_context_gets_its_own_weights_once_a_period() {
    let mut hand = two(SPEC);
    assert_eq!(hand.goes(1, 0), [DecisionKind::Started, DecisionKind::Advanced]);
    assert_eq!(splits(&hand), vec![vec![0.333_334, 0.333_333, 0.333_333]; 3], "nothing is known, so all alike");
    assert_eq!(hand.goes(61, 500), [], "nothing is known of the arms");
    knows(&mut hand, [0.0, 0.75, 0.25], APART);
    hand.report.arms[2].units = 99;
    assert_eq!(hand.goes(1, 500), [], "too few units of one");
    hand.report.arms[2].units = 100;
    assert_eq!(hand.goes(0, 500), [DecisionKind::Reweighted]);
    let now = splits(&hand);
    assert!(now[1][1] > 0.95 && now[2][2] > 0.95 && now[0][1] > 0.3, "{now:?}");
    assert!(now.iter().flatten().all(|w| *w >= 0.02), "{now:?}");
    // The traffic as a whole is what the contexts make of it.
    let whole = hand.state.weights();
    assert!((whole[1] - (0.75 * now[1][1] + 0.25 * now[2][1])).abs() < 1e-5, "{whole:?}");
    let last = hand.state.strata.last().unwrap();
    assert_eq!((last.contexts.len(), &last.weights), (3, &whole));
    assert!(hand.last().sentence.contains("age < 40: v8 96.0 %; age ≥ 40: v9 96.0 %"), "{}", hand.last().sentence);
    assert_eq!(hand.last().because, ["contextualBandit"]);
    assert_eq!(hand.goes(61, 500), [], "the same beliefs move nothing");
    knows(&mut hand, [0.0, 0.75, 0.25], [APART[0], APART[2], APART[1]]);
    assert_eq!(hand.goes(0, 500), [DecisionKind::Reweighted]);
}

#[test]
fn one_that_does_harm_loses_its_weight_in_every_context() {
    let mut hand = two(SPEC);
    hand.goes(1, 0);
    knows(&mut hand, [0.0, 0.5, 0.5], APART);
    hand.goes(61, 500);
    let before = splits(&hand);
    hand.line("errors", "v8").finding = Finding::Worse;
    assert_eq!(hand.goes(1, 500), [DecisionKind::Dropped]);
    for (was, is) in before.iter().zip(splits(&hand)) {
        assert_eq!((is[1], is[2]), (0.0, was[2]), "its part is stable's");
        assert!((is[0] - was[0] - was[1]).abs() < 1e-9);
    }
    // What is known of three is not of two.
    assert_eq!(hand.goes(61, 500), []);
    for context in &mut hand.report.contexts {
        context.arms.remove(1);
    }
    hand.report.arms.remove(1);
    assert_eq!(hand.goes(0, 500), [DecisionKind::Reweighted]);
    assert!(splits(&hand).iter().all(|w| w[1] == 0.0 && w[0] + w[2] > 0.999_999), "{:?}", splits(&hand));
}

#[test]
fn it_ends_when_the_context_makes_no_difference() {
    for (best, kind) in [([0.5, 0.3, 0.3], DecisionKind::RolledBack), ([0.3, 0.3, 0.5], DecisionKind::Promoted)] {
        let mut hand = two(SPEC);
        hand.goes(1, 0);
        hand.line("liked", "v9").finding = Finding::Better;
        knows(&mut hand, [0.0, 0.5, 0.5], [APART[0], best, best]);
        if kind == DecisionKind::Promoted {
            assert_eq!(hand.goes(1, 500), [], "its guardrail is not shown to hold");
            hand.line("errors", "v9").finding = Finding::NonInferior;
        }
        assert_eq!(hand.goes(1, 500), [kind]);
        assert!(hand.last().sentence.contains("the best in every context"), "{}", hand.last().sentence);
        assert!(hand.state.row.as_ref().unwrap().policy.is_none(), "one variant for all");
    }
}

#[test]
fn when_time_is_over_the_best_single_variant_is_promoted_or_a_person_decides() {
    let mut hand = two(SPEC);
    hand.goes(1, 0);
    knows(&mut hand, [0.0, 0.5, 0.5], APART);
    let gain = Range { low: Some(0.05), estimate: 0.1, high: Some(0.15) };
    hand.report.gains = vec![Gain { over: "v9".into(), units: 900, gain }];
    hand.goes(61, 500);
    let mut shown = two(SPEC);
    (shown.state, shown.now, shown.report) = (hand.state.clone(), hand.now, hand.report.clone());
    assert_eq!(hand.goes(2 * 24 * 60, 500), [DecisionKind::ReviewAsked]);
    assert!(hand.state.row.as_ref().unwrap().policy.is_some(), "it answers on as it learned");
    shown.log = hand.log[..hand.log.len() - 1].to_vec();
    shown.line("liked", "v9").finding = Finding::Better;
    shown.line("errors", "v9").finding = Finding::NonInferior;
    // Better where it is used is not better for all.
    shown.report.arms[2].over_stable = Some(Range { low: Some(-0.01), estimate: 0.05, high: Some(0.11) });
    let (state, log) = (shown.state.clone(), shown.log.clone());
    assert_eq!(shown.goes(2 * 24 * 60, 500), [DecisionKind::ReviewAsked]);
    (shown.state, shown.log) = (state, log);
    shown.report.arms[2].over_stable = Some(Range { low: Some(0.01), estimate: 0.05, high: Some(0.09) });
    assert_eq!(shown.goes(0, 500), [DecisionKind::Promoted]);
    let sentence = &shown.last().sentence;
    assert!(
        sentence.contains("v9 is the best single variant") && sentence.contains("more by 0.100, from 0.0500"),
        "{sentence}"
    );
    // Without an end it goes on.
    let mut forever = two(&SPEC.replace("      maxDuration: 2d\n", ""));
    forever.goes(1, 0);
    knows(&mut forever, [0.0, 0.5, 0.5], APART);
    assert_eq!(forever.goes(5 * 24 * 60, 500), [DecisionKind::Reweighted]);
}

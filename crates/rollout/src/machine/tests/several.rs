//! Several candidates, and a bandit among them.

use super::*;
use crate::ledger::Arm;

pub(super) const TWO: &str = "
deployment: churn
candidates: [{name: v8, model: models:/churn/8}, {name: v9, model: models:/churn/9}]
steps:
  - canary: {weight: 10, minExposures: 100, minDuration: 10m}
  - abTest: {weight: 50, minExposures: 200, minDuration: 30m, maxDuration: 2d}
metrics:
  guardrails: [{name: errors, kind: errors}]
  success: [{name: liked, kind: mean, source: 'label:liked'}]
rollback: {window: 1d, keepWarm: 10m}
";

const BANDIT: &str = "
deployment: churn
candidates: [{name: v8, model: models:/churn/8}, {name: v9, model: models:/churn/9}]
steps: [{bandit: {period: 1h, minWeight: 2, even: 0, minExposures: 100, bestAt: 95, maxDuration: 2d}}]
metrics:
  guardrails: [{name: errors, kind: errors}]
  success: [{name: liked, kind: mean, source: 'label:liked'}]
";

/// Both candidates have their own line of each metric.
pub(super) fn two(yaml: &str) -> Hand {
    let mut hand = Hand::new(yaml);
    let of = |name: &str, role: Role, variant: &str| MetricReport {
        variant: Some(variant.into()),
        ..metric(name, role, Finding::Unclear, true)
    };
    hand.report.metrics = vec![
        of("errors", Role::Guardrail, "v8"),
        of("errors", Role::Guardrail, "v9"),
        of("liked", Role::Success, "v8"),
        of("liked", Role::Success, "v9"),
        metric("srm", Role::Quality, Finding::Unclear, true),
    ];
    (hand.report.step_units, hand.report.last_at) = (vec![0; 3], vec![Some(Timestamp(0)); 3]);
    hand
}

impl Hand {
    pub(super) fn line(&mut self, name: &str, variant: &str) -> &mut MetricReport {
        let its = |m: &&mut MetricReport| m.name == name && m.is_of(variant);
        self.report.metrics.iter_mut().find(its).unwrap()
    }

    pub(super) fn goes(&mut self, minutes: i64, units: u64) -> Vec<DecisionKind> {
        self.now = self.now.plus_micros(minutes * MINUTE);
        self.facts.complete_until = self.now;
        self.report.last_at = vec![Some(self.now); 3];
        self.report.step_units = vec![units; 3];
        self.settle()
    }

    fn arms(&mut self, arms: [(&str, f64, f64); 3]) {
        let sum: f64 = arms.iter().map(|a| a.2).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        let arm = |(variant, mean, best): (&str, f64, f64)| Arm {
            variant: variant.into(),
            units: 500,
            mean,
            standard_error: 0.02,
            best,
            ips: None,
            snips: None,
            dr: None,
            effective: 500.0,
            over_stable: None,
        };
        self.report.arms = arms.map(arm).into();
    }
}

#[test]
fn a_candidate_that_does_harm_is_taken_out_and_the_other_goes_on() {
    let mut hand = two(TWO);
    assert_eq!(hand.goes(1, 0), [DecisionKind::Started, DecisionKind::Advanced]);
    assert_eq!(hand.state.weights(), [0.9, 0.05, 0.05], "they share ten percent");
    hand.line("errors", "v8").finding = Finding::Worse;
    assert_eq!(hand.goes(1, 50), [DecisionKind::Dropped]);
    assert_eq!((hand.state.weights(), hand.state.dropped.clone()), (vec![0.95, 0.0, 0.05], vec![1]));
    assert!(hand.last().sentence.starts_with("v8 is taken out: errors of v8 is worse"), "{}", hand.last().sentence);
    assert_eq!(hand.last().weights, [0.95, 0.0, 0.05]);
    // Nobody asks the one that is out, and that holds nothing up.
    assert_eq!(hand.goes(10, 200), [DecisionKind::Advanced]);
    assert_eq!(hand.state.weights(), [0.75, 0.0, 0.25]);
    hand.line("liked", "v9").finding = Finding::Better;
    assert_eq!(hand.goes(31, 300), [], "its guardrail is not shown to hold");
    hand.line("errors", "v9").finding = Finding::NonInferior;
    hand.now = hand.now.plus_micros(MINUTE);
    hand.facts.complete_until = hand.now;
    let done = hand.ask().unwrap();
    assert_eq!(done.follow.clone().unwrap().to, "models:/churn/9");
    assert!(done.decision.sentence.starts_with("promoted v9: liked of v9 is better"), "{}", done.decision.sentence);
    hand.take(done);
    assert_eq!(hand.state.weights(), [0.0, 0.0, 1.0]);
    // What the other one's labels say does not matter any more.
    hand.facts.settled = true;
    hand.line("liked", "v8").finding = Finding::Worse;
    assert_eq!(hand.goes(1, 300), [DecisionKind::Settled]);
    hand.line("liked", "v9").finding = Finding::Worse;
    hand.now = hand.now.plus_micros(MINUTE);
    let back = hand.ask().unwrap();
    assert_eq!((back.decision.kind, back.follow.unwrap().from.as_str()), (DecisionKind::RolledBack, "models:/churn/9"));
}

#[test]
fn the_last_one_that_does_harm_rolls_back() {
    let mut hand = two(TWO);
    hand.goes(1, 0);
    hand.facts.tripped = Some("20 of 30 failed".into());
    hand.facts.tripped_variant = Some("v9".into());
    assert_eq!(hand.goes(1, 10), [DecisionKind::Dropped]);
    assert_eq!(hand.state.weights(), [0.95, 0.05, 0.0]);
    hand.order(Order::Pause).unwrap();
    hand.facts.tripped = None;
    hand.line("errors", "v8").finding = Finding::Worse;
    assert_eq!(hand.goes(1, 10), [DecisionKind::RolledBack]);
    assert_eq!((hand.state.weights(), hand.state.phase), (vec![1.0, 0.0, 0.0], Phase::RolledBack));
}

#[test]
fn of_two_that_are_better_the_leader_is_promoted() {
    for (v8, v9, want) in [(0.4, 0.5, "v9"), (0.5, 0.4, "v8"), (0.5, 0.5, "v8")] {
        let mut hand = two(TWO);
        hand.goes(1, 0);
        hand.goes(11, 200);
        for (variant, value) in [("v8", v8), ("v9", v9)] {
            hand.line("errors", variant).finding = Finding::NonInferior;
            let liked = hand.line("liked", variant);
            (liked.finding, liked.candidate) = (Finding::Better, Some(value));
        }
        assert_eq!(hand.goes(31, 300), [DecisionKind::Promoted]);
        assert!(hand.last().sentence.contains(&format!("promoted {want}")), "{}", hand.last().sentence);
    }
}

#[test]
fn a_review_says_who_leads_and_that_one_is_promoted() {
    let mut hand = two(TWO);
    hand.goes(1, 0);
    assert!(hand.order(Order::Promote).unwrap_err().contains("none leads yet"));
    hand.goes(11, 200);
    hand.line("liked", "v9").candidate = Some(0.5);
    assert_eq!(hand.goes(2 * 24 * 60, 300), [DecisionKind::ReviewAsked]);
    assert!(hand.last().sentence.contains("; v9 leads; promote or abort it"), "{}", hand.last().sentence);
    hand.order(Order::Promote).unwrap();
    assert_eq!(hand.state.weights(), [0.0, 0.0, 1.0]);
    // The leader goes out: there is a comparison again.
    let mut gone = two(TWO);
    gone.goes(1, 0);
    gone.goes(11, 200);
    gone.line("liked", "v9").candidate = Some(0.5);
    gone.goes(2 * 24 * 60, 300);
    gone.line("errors", "v9").finding = Finding::Worse;
    assert_eq!(gone.goes(0, 300)[0], DecisionKind::Dropped);
    assert_eq!(gone.state.chosen, None);
}

#[test]
fn a_person_may_name_the_candidate_to_promote() {
    let mut hand = two(TWO);
    hand.goes(1, 0);
    let machine = |hand: &Hand| Machine { name: "churn-v8", spec: &hand.spec }.leading(&hand.state);
    assert_eq!(machine(&hand), None, "neither leads");
    assert!(hand.order(Order::Promote).unwrap_err().contains("say which one"));
    for none in [0, 3] {
        assert!(hand.order(Order::PromoteOne(none)).unwrap_err().contains("is not there any more"));
    }
    hand.order(Order::PromoteOne(2)).unwrap();
    assert_eq!((hand.state.weights(), hand.state.chosen), (vec![0.0, 0.0, 1.0], Some(2)));
    assert!(hand.last().sentence.contains("ada promoted v9"), "{}", hand.last().sentence);
    // In a review the one that leads is not the only one.
    let mut review = two(TWO);
    review.goes(1, 0);
    review.goes(11, 200);
    review.line("liked", "v9").candidate = Some(0.5);
    assert_eq!(review.goes(2 * 24 * 60, 300), [DecisionKind::ReviewAsked]);
    assert_eq!(machine(&review), Some(2));
    review.order(Order::PromoteOne(1)).unwrap();
    assert_eq!(review.state.weights(), [0.0, 1.0, 0.0]);
    // One that was taken out cannot be, and the one that is left needs no name.
    let mut gone = two(TWO);
    gone.goes(1, 0);
    gone.line("errors", "v9").finding = Finding::Worse;
    assert_eq!(gone.goes(1, 50), [DecisionKind::Dropped]);
    assert!(gone.order(Order::PromoteOne(2)).unwrap_err().contains("is not there any more"));
    assert_eq!(machine(&gone), Some(1));
    gone.order(Order::Promote).unwrap();
    assert_eq!(gone.state.weights(), [0.0, 1.0, 0.0]);
}

#[test]
fn an_order_for_one_candidate_does_not_go_past_people_either() {
    let mut hand = two(&format!("{TWO}approvals: [{{before: promotion, group: risk}}]\n"));
    hand.facts.starter = Some("key:ada".into());
    hand.goes(1, 0);
    hand.order_by("key:bob", &[], Order::PromoteOne(2)).unwrap();
    assert_eq!((hand.state.phase, hand.state.chosen), (Phase::Approval(ApprovalPoint::Promotion), Some(2)));
    hand.order_by("key:eve", &["risk"], Order::Approve).unwrap();
    assert_eq!(hand.state.weights(), [0.0, 0.0, 1.0]);
    let mut free = two(&format!("{TWO}approvals: [{{before: promotion}}]\n"));
    free.goes(1, 0);
    free.order(Order::PromoteOne(1)).unwrap();
    assert_eq!(free.state.phase, Phase::Promoting, "an order is an agreement where anybody may agree");
}

#[test]
fn a_bandit_moves_its_weights_once_a_period_and_ends_with_the_best() {
    let mut hand = two(BANDIT);
    assert_eq!(hand.goes(1, 0), [DecisionKind::Started, DecisionKind::Advanced]);
    assert_eq!(hand.state.weights(), [0.333_334, 0.333_333, 0.333_333]);
    assert_eq!(hand.goes(61, 500), [], "nothing is known of the arms");
    hand.arms([("stable", 0.30, 0.1), ("v8", 0.31, 0.2), ("v9", 0.36, 0.7)]);
    hand.report.arms[1].units = 99;
    assert_eq!(hand.goes(1, 500), [], "too few units of one");
    hand.report.arms[1].units = 500;
    assert_eq!(hand.goes(0, 500), [DecisionKind::Reweighted]);
    let weights = hand.state.weights();
    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9 && weights.iter().all(|w| *w >= 0.02), "{weights:?}");
    assert!(weights[2] > 0.45 && weights[0] < weights[1], "{weights:?}");
    assert_eq!(hand.last().weights, weights, "the probabilities with which units get them");
    assert_eq!(hand.state.strata.last().unwrap().weights, weights);
    hand.arms([("stable", 0.28, 0.05), ("v8", 0.36, 0.45), ("v9", 0.36, 0.5)]);
    assert_eq!(hand.goes(59, 500), [], "once in a period");
    assert_eq!(hand.goes(1, 500), [DecisionKind::Reweighted]);
    assert_eq!(hand.goes(61, 500), [], "the same weights are no move");
    // The best one is promoted when its guardrail holds and it is shown to be better, not before.
    hand.arms([("stable", 0.28, 0.01), ("v8", 0.30, 0.01), ("v9", 0.40, 0.98)]);
    assert_eq!(hand.goes(10, 500), [DecisionKind::Reweighted]);
    hand.line("liked", "v9").finding = Finding::Better;
    assert_eq!(hand.goes(10, 500), []);
    hand.line("errors", "v9").finding = Finding::NonInferior;
    assert_eq!(hand.goes(10, 500), [DecisionKind::Promoted]);
    assert!(hand.last().sentence.contains("v9 is the best with a probability of 0.98"), "{}", hand.last().sentence);
    assert_eq!(hand.last().because, ["bandit", "liked", "errors"]);
}

#[test]
fn a_bandit_whose_best_is_stable_goes_back_and_one_that_is_out_gets_nothing() {
    let mut hand = two(BANDIT);
    hand.goes(1, 0);
    hand.arms([("stable", 0.30, 0.1), ("v8", 0.31, 0.2), ("v9", 0.36, 0.7)]);
    hand.line("errors", "v9").finding = Finding::Worse;
    assert_eq!(hand.goes(1, 500), [DecisionKind::Dropped]);
    assert_eq!(hand.state.weights()[2], 0.0);
    hand.report.arms.pop();
    hand.report.arms[0].best = 0.3;
    hand.report.arms[1].best = 0.7;
    assert_eq!(hand.goes(61, 500), [DecisionKind::Reweighted]);
    let weights = hand.state.weights();
    assert!(weights[2] == 0.0 && (weights[0] + weights[1] - 1.0).abs() < 1e-9, "{weights:?}");
    hand.report.arms[0].best = 0.96;
    hand.report.arms[1].best = 0.04;
    assert_eq!(hand.goes(1, 500), [DecisionKind::RolledBack]);
    assert!(hand.last().sentence.contains("stable is the best"), "{}", hand.last().sentence);
}

#[test]
fn a_state_of_one_candidate_is_read_as_it_was_written() {
    let pins: Pins = serde_json::from_str(r#"{"stable": "models:/m/1", "candidate": "models:/m/2"}"#).unwrap();
    assert_eq!(pins.candidates, ["models:/m/2"]);
    assert_eq!(serde_json::from_str::<Pins>(&serde_json::to_string(&pins).unwrap()).unwrap(), pins);
}

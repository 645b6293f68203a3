mod barred;
mod checks;
mod contextual;
mod several;
mod signals;
mod webhooks;

use super::*;
use crate::ledger::{LogE, MetricReport, Scale};
use mainspring_stats::decision::{Finding, Role};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;

const SPEC: &str = "
deployment: churn
candidates: [{name: v8, model: models:/churn/8}]
steps:
  - shadow: {percent: 20, duration: 10m, minExposures: 50}
  - canary: {weight: 5, minExposures: 100, minDuration: 10m}
  - abTest: {weight: 50, minExposures: 200, minDuration: 30m, maxDuration: 2d}
warmupExclude: 10s
maxDuration: 7d
metrics:
  guardrails: [{name: errors, kind: errors}, {name: fraud, kind: mean, source: 'label:fraud', direction: down, nonInferiority: 0.01, delay: 12h}]
  success: [{name: liked, kind: mean, source: 'label:liked'}]
  signals: [{name: score, source: 'output:score', maxShift: 0.2}]
hardLimits: {errorRate: 0.2}
rollback: {window: 1d, keepWarm: 10m}
";

/// A rollout that a test moves by hand.
struct Hand {
    spec: RolloutSpec,
    state: State,
    now: Timestamp,
    report: Report,
    facts: Facts,
    log: Vec<Decision>,
}

fn metric(name: &str, role: Role, finding: Finding, required: bool) -> MetricReport {
    MetricReport {
        name: name.into(),
        variant: None,
        role,
        finding,
        required,
        stable: Some(0.1),
        candidate: Some(0.2),
        effect: None,
        scale: Scale::Difference,
        log_e: LogE::default(),
        units: [0; 2],
        cuped: None,
        tested: None,
        why: None,
    }
}

impl Hand {
    fn new(yaml: &str) -> Self {
        let spec = crate::spec::tests::parse(yaml).unwrap();
        spec.validate().unwrap();
        let now = Timestamp(0);
        let candidates = spec.candidates.iter().map(|c| c.model.clone()).collect();
        let pins = Pins { stable: "models:/churn/7".into(), candidates };
        let facts = Facts { pins: Some(pins), candidate: Readiness::Ready, ..Facts::default() };
        let report = Report {
            units: vec![0; 2],
            step_units: vec![0; 2],
            last_at: vec![Some(now); 2],
            metrics: vec![
                metric("errors", Role::Guardrail, Finding::Unclear, true),
                metric("fraud", Role::Guardrail, Finding::NoData, false),
                metric("liked", Role::Success, Finding::Unclear, true),
                metric("score", Role::Signal, Finding::Unclear, false),
                metric("srm", Role::Quality, Finding::Unclear, true),
            ],
            ..Report::default()
        };
        Self { spec, state: State::new("run".into(), now, 0), now, report, facts, log: Vec::new() }
    }

    fn find(&mut self, name: &str, finding: Finding) {
        self.report.metrics.iter_mut().find(|m| m.name == name).unwrap().finding = finding;
    }

    /// Time passes with traffic; everything that is to be done is done.
    fn after(&mut self, minutes: i64) -> Vec<DecisionKind> {
        self.now = self.now.plus_micros(minutes * MINUTE);
        self.facts.complete_until = self.now;
        self.report.last_at = vec![Some(self.now); 2];
        self.settle()
    }

    fn settle(&mut self) -> Vec<DecisionKind> {
        let mut kinds = Vec::new();
        while let Some(done) = self.ask() {
            kinds.push(done.decision.kind);
            self.take(done);
            assert!(kinds.len() < 10, "{kinds:?}");
        }
        kinds
    }

    fn ask(&self) -> Option<Transition> {
        let input = Input { now: self.now, report: &self.report, facts: &self.facts };
        Machine { name: "churn-v8", spec: &self.spec }.step(&self.state, input).unwrap()
    }

    fn take(&mut self, done: Transition) {
        assert_eq!(done.decision.seq, self.log.len() as u64 + 1);
        if done.row == RowChange::Keep {
            assert_eq!(done.state.generation, self.state.generation);
        } else {
            assert_eq!(done.state.generation, self.state.generation + 1, "each write of the row counts on by one");
        }
        self.state = serde_json::from_str(&serde_json::to_string(&done.state).unwrap()).unwrap();
        assert_eq!(self.state, done.state, "the state survives its text");
        self.log.push(done.decision);
    }

    fn order(&mut self, order: Order) -> Result<(), String> {
        self.order_by("ada", &[], order)
    }

    fn order_by(&mut self, by: &str, groups: &[&str], order: Order) -> Result<(), String> {
        let who = Who { by: by.to_owned(), groups: groups.iter().map(ToString::to_string).collect(), reason: None };
        let done = Machine { name: "churn-v8", spec: &self.spec }.order(&self.state, order, &who, self.now);
        let done = done.map_err(|e| e.to_string())?;
        assert_eq!((done.decision.by.as_str(), done.decision.order), (by, Some(order)));
        self.take(done);
        Ok(())
    }

    fn exposed(&mut self, units: u64) {
        self.report.step_units = vec![units; 2];
        self.report.shadow_units = units;
    }

    /// To the A/B test.
    fn testing(yaml: &str) -> Self {
        let mut hand = Self::new(yaml);
        hand.after(1);
        while hand.state.step < 2 {
            hand.exposed(1000);
            hand.after(11);
        }
        hand.exposed(0);
        assert_eq!((hand.state.phase, hand.state.weight()), (Phase::Step, 0.5));
        hand
    }

    fn last(&self) -> &Decision {
        self.log.last().unwrap()
    }
}

#[test]
fn it_goes_from_the_shadow_to_the_promotion_and_the_row_with_it() {
    let mut hand = Hand::new(SPEC);
    assert_eq!(hand.after(1), [DecisionKind::Started, DecisionKind::Advanced]);
    let row = hand.state.row.clone().unwrap();
    assert_eq!(row.shadow.as_ref().unwrap().share.fraction(), 0.2);
    assert_eq!((hand.state.weight(), row.generation(), hand.state.strata.len()), (0.0, 2, 2));
    assert_eq!(hand.after(11), [], "too few pairs");
    hand.exposed(100);
    assert_eq!(hand.after(0), [DecisionKind::Advanced]);
    assert_eq!((hand.state.weight(), hand.state.row.clone().unwrap().shadow), (0.05, None));
    assert_eq!(hand.after(9), [], "too early");
    assert_eq!(hand.after(1), [DecisionKind::Advanced]);
    assert!(hand.last().sentence.contains("A/B test 50%: 100 units got v8 in 10 min"), "{}", hand.last().sentence);
    hand.exposed(500);
    assert_eq!(hand.after(60), [], "nothing is shown yet");
    hand.find("liked", Finding::Better);
    assert_eq!(hand.after(1), [], "the guardrail is not shown to hold");
    hand.find("errors", Finding::NonInferior);
    assert_eq!(hand.after(1), [DecisionKind::Promoted]);
    assert_eq!(hand.last().because, ["liked", "errors"]);
    assert_eq!(hand.state.weight(), 1.0);
    assert_eq!(hand.after(60), [], "the deployment has not followed");
    hand.facts.settled = true;
    assert_eq!(hand.after(1), [DecisionKind::Settled]);
    assert_eq!(hand.after(23 * 60 - 2), [], "the window is a day from the promotion on");
    assert_eq!(hand.after(2), [DecisionKind::Succeeded]);
    assert!(hand.state.row.is_none() && !hand.state.active());
    assert_eq!(hand.after(10_000), []);
}

#[test]
fn a_promotion_tells_the_deployment_and_a_reversal_tells_it_back() {
    let mut hand = Hand::testing(SPEC);
    hand.exposed(500);
    hand.find("liked", Finding::Better);
    hand.find("errors", Finding::Better);
    hand.after(31);
    assert_eq!(hand.state.phase, Phase::Promoting);
    let promoted = hand.log.len();
    hand.facts.settled = true;
    hand.after(1);
    assert_eq!(hand.state.phase, Phase::Watching);
    // Labels that came late say that it is worse.
    hand.find("fraud", Finding::Worse);
    hand.facts.settled = false;
    hand.now = hand.now.plus_micros(MINUTE);
    let done = hand.ask().unwrap();
    let follow = done.follow.clone().unwrap();
    assert_eq!((follow.from.as_str(), follow.to.as_str()), ("models:/churn/8", "models:/churn/7"));
    assert_eq!((done.decision.kind, done.state.weight()), (DecisionKind::RolledBack, 0.0));
    assert!(done.decision.sentence.contains("after the promotion, fraud is worse"), "{}", done.decision.sentence);
    hand.take(done);
    assert_eq!(hand.after(11), [], "the row stays until the deployment itself is back");
    hand.facts.settled = true;
    assert_eq!(hand.after(1), [DecisionKind::Closed]);
    assert_eq!(hand.log[promoted - 1].kind, DecisionKind::Promoted);
}

/// What nobody could read within the window has not spoken for the candidate.
#[test]
fn a_rollback_window_that_nobody_could_look_into_stays_open() {
    let promoted = || {
        let mut hand = Hand::testing(SPEC);
        hand.exposed(500);
        hand.find("liked", Finding::Better);
        hand.find("errors", Finding::Better);
        hand.facts.settled = true;
        hand.after(31);
        assert_eq!(hand.state.phase, Phase::Watching);
        hand
    };
    let day = 24 * 60;
    let mut hand = promoted();
    let begun = hand.now;
    hand.after(60);
    // The journal cannot be read from here on, and the window goes by.
    hand.facts.silence = Some("the disk is gone".into());
    hand.now = hand.now.plus_micros(2 * MINUTE);
    assert_eq!(hand.settle(), [DecisionKind::Held]);
    assert_eq!(hand.state.hold.as_ref().unwrap().cause, HoldCause::NoNews);
    assert!(hand.last().sentence.ends_with("nothing for 2 min 0 s: the disk is gone"), "{}", hand.last().sentence);
    hand.now = hand.now.plus_micros(2 * day * MINUTE);
    assert_eq!(hand.settle(), [], "said once, and no end");
    assert_eq!((hand.state.phase, hand.state.weight()), (Phase::Watching, 1.0));
    // A part of what came meanwhile is no more than a part.
    hand.facts.complete_until = begun.plus_micros(day * MINUTE - SECOND);
    assert_eq!(hand.settle(), []);
    // Late labels that spoke against it are heard.
    let mut worse = promoted();
    worse.now = worse.now.plus_micros(2 * day * MINUTE);
    assert_eq!(worse.settle(), [DecisionKind::Held]);
    worse.find("fraud", Finding::Worse);
    assert_eq!(worse.after(1), [DecisionKind::RolledBack]);
    // And where none did, it ends.
    assert_eq!(hand.after(1), [DecisionKind::Released, DecisionKind::Succeeded]);
    assert!(hand.last().sentence.contains("nothing spoke against v8 within"), "{}", hand.last().sentence);
    // News that are a moment behind at the end are waited for, and that is worth no word.
    let mut late = promoted();
    late.after(day - 1);
    late.now = late.now.plus_micros(MINUTE);
    late.facts.complete_until = late.now.plus_micros(-SECOND);
    assert_eq!(late.settle(), []);
    late.facts.complete_until = late.now;
    assert_eq!(late.settle(), [DecisionKind::Succeeded]);
}

#[test]
fn whatever_is_worse_rolls_back_from_wherever_it_is() {
    for (name, finding) in [("errors", Finding::Worse), ("liked", Finding::Worse), ("fraud", Finding::Worse)] {
        let mut hand = Hand::testing(SPEC);
        hand.find(name, finding);
        assert_eq!(hand.after(1), [DecisionKind::RolledBack], "{name}");
        assert_eq!((hand.state.phase, hand.state.weight()), (Phase::RolledBack, 0.0));
        assert_eq!(hand.last().because, [name]);
        assert_eq!(hand.after(9), []);
        assert_eq!(hand.after(1), [DecisionKind::Closed], "kept warm for ten minutes");
        assert!(hand.state.row.is_none());
    }
    let mut paused = Hand::testing(SPEC);
    paused.order(Order::Pause).unwrap();
    paused.find("errors", Finding::Worse);
    assert_eq!(paused.after(1), [DecisionKind::RolledBack], "guardrails are watched while it is paused");
}

#[test]
fn a_hard_limit_acts_without_statistics_and_without_news() {
    let mut hand = Hand::testing(SPEC);
    hand.facts.tripped = Some("replica a: 40 of 60 requests failed".into());
    hand.now = hand.now.plus_micros(10 * MINUTE);
    assert_eq!(hand.settle(), [DecisionKind::RolledBack]);
    assert!(hand.last().sentence.contains("40 of 60"));
}

#[test]
fn a_signal_pauses_and_calm_resumes() {
    let mut hand = Hand::testing(SPEC);
    hand.find("score", Finding::Worse);
    assert_eq!(hand.after(1), [DecisionKind::Paused]);
    assert_eq!((hand.state.phase, hand.state.weight()), (Phase::Alarmed, 0.5));
    assert_eq!(hand.after(60), []);
    hand.find("score", Finding::Unclear);
    assert_eq!(hand.after(1), [DecisionKind::Resumed]);
}

#[test]
fn what_cannot_be_trusted_or_is_not_known_holds() {
    let mut hand = Hand::testing(SPEC);
    hand.exposed(500);
    hand.find("liked", Finding::Better);
    hand.find("errors", Finding::Better);
    hand.find("srm", Finding::Worse);
    assert_eq!(hand.after(31), [DecisionKind::Held]);
    assert_eq!(hand.state.hold.as_ref().unwrap().cause, HoldCause::Untrusted);
    assert_eq!(hand.after(100), [], "said once");
    hand.find("srm", Finding::Unclear);
    hand.facts.candidate = Readiness::Loading("replica b loads it".into());
    assert_eq!(hand.after(1), [DecisionKind::Held]);
    assert_eq!(hand.state.hold.as_ref().unwrap().cause, HoldCause::NotReady);
    hand.facts.candidate = Readiness::Ready;
    // No event, and no word that there is none.
    hand.now = hand.now.plus_micros(2 * MINUTE);
    assert_eq!(hand.settle(), [DecisionKind::Held]);
    assert_eq!(hand.state.hold.as_ref().unwrap().cause, HoldCause::NoNews);
    // The journal answers, and nobody asks the candidate.
    hand.now = hand.now.plus_micros(40 * MINUTE);
    hand.facts.complete_until = hand.now;
    assert_eq!(hand.settle(), [DecisionKind::Held]);
    assert_eq!(hand.state.hold.as_ref().unwrap().cause, HoldCause::NoData);
    assert_eq!(hand.after(1), [DecisionKind::Released, DecisionKind::Promoted]);
}

/// Answers of the candidate to requests without a unit are no news of it, and the hold says which part is missing.
#[test]
fn a_hold_says_that_requests_lack_the_unit() {
    for (unit, unitless, want) in [
        (
            "header:X-User-Id",
            4614,
            "no unit asked v8 for 39 min 50 s: 4614 answers had no header x-user-id, which is the unit",
        ),
        ("field:user_id", 1, "no unit asked v8 for 39 min 50 s: 1 answers had no input user_id, which is the unit"),
        ("key", 7, "no unit asked v8 for 39 min 50 s: 7 answers had no API key, which is the unit"),
        ("key", 0, "nobody asked v8 for 39 min 50 s"),
        ("request", 3, "nobody asked v8 for 39 min 50 s"),
    ] {
        let mut hand = Hand::testing(&format!("{SPEC}assignment: {{unit: '{unit}'}}\n"));
        hand.report.unitless = unitless;
        hand.now = hand.now.plus_micros(40 * MINUTE);
        hand.facts.complete_until = hand.now;
        assert_eq!(hand.settle(), [DecisionKind::Held], "{unit}");
        assert_eq!(hand.state.hold.as_ref().unwrap().reason, want);
    }
    // In the shadow the candidate answers whoever asks, and what is missing are units of stable.
    let mut hand = Hand::new(&format!("{SPEC}assignment: {{unit: 'header:x-user-id'}}\n"));
    hand.after(1);
    hand.report.unitless = 100;
    hand.now = hand.now.plus_micros(40 * MINUTE);
    hand.facts.complete_until = hand.now;
    hand.report.last_at = vec![None, Some(hand.now)];
    assert_eq!(hand.settle(), [DecisionKind::Held]);
    assert!(hand.last().sentence.contains("no unit asked stable for 39 min"), "{}", hand.last().sentence);
}

#[test]
fn silence_rolls_back_only_where_that_is_declared() {
    let silent = format!("{SPEC}decision: {{onNoNews: {{hold: 5m, then: rollback}}}}\n");
    for (yaml, want) in [(SPEC, vec![]), (silent.as_str(), vec![DecisionKind::RolledBack])] {
        let mut hand = Hand::testing(yaml);
        hand.now = hand.now.plus_micros(2 * MINUTE);
        assert_eq!(hand.settle(), [DecisionKind::Held]);
        hand.now = hand.now.plus_micros(6 * MINUTE);
        assert_eq!(hand.settle(), want);
    }
}

#[test]
fn a_failed_preflight_lets_nobody_see_the_candidate() {
    let check = |passed| Checked::new("signature", passed, "it takes no column age");
    for (facts, sentence) in [
        (Facts { candidate: Readiness::Failed("out of memory".into()), ..Facts::default() }, "out of memory"),
        (Facts { candidate: Readiness::Ready, checks: vec![check(Some(false))], ..Facts::default() }, "no column age"),
    ] {
        let mut hand = Hand::new(SPEC);
        hand.facts.candidate = Readiness::Loading("downloading".into());
        assert_eq!(hand.after(0), [DecisionKind::Started]);
        assert_eq!(hand.after(1), []);
        hand.facts = facts;
        assert_eq!(hand.settle(), [DecisionKind::RolledBack]);
        assert!(hand.last().sentence.contains(sentence), "{}", hand.last().sentence);
        assert!(hand.state.strata.iter().all(|s| s.weights[1] == 0.0));
    }
    let mut slow = Hand::new(SPEC);
    slow.facts.checks = vec![check(None)];
    assert_eq!(slow.after(0), [DecisionKind::Started]);
    assert_eq!(slow.after(31), [DecisionKind::RolledBack]);
    // What else is not ready says why.
    let mut beside = Hand::new(SPEC);
    beside.facts.candidate = Readiness::Loading("stable: models:/churn/7 does not answer".into());
    assert_eq!(beside.after(0), [DecisionKind::Started]);
    assert_eq!(beside.after(31), [DecisionKind::RolledBack]);
    assert!(beside.last().sentence.ends_with("within 30m: stable: models:/churn/7 does not answer"));
}

#[test]
fn sentences_about_two_candidates_are_in_the_plural() {
    let both = SPEC.replace("models:/churn/8}]", "models:/churn/8}, {name: v9, model: models:/churn/9}]");
    let both = both.replace("  - shadow: {percent: 20, duration: 10m, minExposures: 50}\n", "");
    let mut hand = Hand::new(&both);
    assert_eq!(hand.after(1), [DecisionKind::Started, DecisionKind::Advanced]);
    let said: Vec<&str> = hand.log.iter().map(|d| d.sentence.as_str()).collect();
    assert_eq!(said[0], "v8 and v9 (models:/churn/8, models:/churn/9) are loaded beside models:/churn/7");
    assert!(said[1].contains("v8 and v9 are ready and warm; 0 checks passed"), "{}", said[1]);
}

#[test]
fn it_waits_for_a_deployment_that_another_rollout_has() {
    let mut hand = Hand::new(SPEC);
    hand.facts.blocked = Some("rollout \"other\" has it".into());
    assert_eq!(hand.after(0), [DecisionKind::Held]);
    assert_eq!(hand.after(60), []);
    assert!(hand.state.row.is_none());
    hand.facts.blocked = None;
    hand.state.generation = 41;
    assert_eq!(hand.after(1), [DecisionKind::Started, DecisionKind::Advanced]);
    assert_eq!(hand.state.row.as_ref().unwrap().generation(), 43);
}

#[test]
fn people_approve_skip_promote_and_abort() {
    let mut hand = Hand::new(&format!("{SPEC}approvals: [{{before: canary}}, {{before: promotion}}]\n"));
    hand.after(1);
    assert!(hand.order(Order::Approve).unwrap_err().contains("nothing waits"));
    hand.exposed(100);
    assert_eq!(hand.after(11), [DecisionKind::ApprovalAsked]);
    assert_eq!((hand.state.phase, hand.state.weight()), (Phase::Approval(ApprovalPoint::Canary), 0.0));
    hand.order(Order::Approve).unwrap();
    assert_eq!((hand.state.phase, hand.state.weight()), (Phase::Step, 0.05));
    assert_eq!(hand.after(1), [], "the step begins with the approval");
    hand.order(Order::Skip).unwrap();
    assert_eq!(hand.state.weight(), 0.5);
    assert!(hand.order(Order::Skip).unwrap_err().contains("last step"));
    hand.exposed(500);
    hand.find("liked", Finding::Better);
    hand.find("errors", Finding::Better);
    assert_eq!(hand.after(31), [DecisionKind::ApprovalAsked]);
    assert_eq!(hand.after(31), []);
    hand.order(Order::Approve).unwrap();
    assert_eq!((hand.state.phase, hand.state.weight()), (Phase::Promoting, 1.0));
    hand.order(Order::Abort).unwrap();
    assert_eq!((hand.state.phase, hand.state.weight()), (Phase::RolledBack, 0.0));
    assert!(hand.order(Order::Abort).unwrap_err().contains("has ended"));
    let mut forced = Hand::testing(SPEC);
    forced.order(Order::Promote).unwrap();
    assert_eq!(forced.state.weight(), 1.0);
}

#[test]
fn time_that_is_up_is_a_matter_for_a_person_or_for_stable() {
    for (yaml, kind, phase) in [
        (SPEC.to_owned(), DecisionKind::ReviewAsked, Phase::Review),
        (format!("{SPEC}decision: {{atMaxDuration: rollback}}\n"), DecisionKind::RolledBack, Phase::RolledBack),
    ] {
        let mut hand = Hand::testing(&yaml);
        hand.exposed(500);
        assert_eq!(hand.after(2 * 24 * 60 - 1), []);
        assert_eq!(hand.after(1), [kind]);
        assert_eq!(hand.state.phase, phase);
        assert!(hand.last().sentence.contains("liked is unclear"), "{}", hand.last().sentence);
    }
}

#[test]
fn without_success_metrics_the_guardrails_decide() {
    let plain = "
deployment: churn
candidates: [{name: v8, model: models:/churn/8}]
steps: [{canary: {weight: 5, minExposures: 100, minDuration: 10m}}]
metrics: {guardrails: [{name: errors, kind: errors}]}
";
    for (extra, finding, want) in [
        ("", Finding::Unclear, vec![]),
        ("", Finding::NonInferior, vec![DecisionKind::Promoted]),
        ("", Finding::NoData, vec![]),
        ("decision: {ship: noHarm}\n", Finding::Unclear, vec![DecisionKind::Promoted]),
        ("decision: {ship: noHarm}\n", Finding::NoData, vec![]),
        ("decision: {ship: noHarm}\n", Finding::Worse, vec![DecisionKind::RolledBack]),
    ] {
        let mut hand = Hand::new(&format!("{plain}{extra}"));
        hand.report.metrics = vec![metric("errors", Role::Guardrail, Finding::Unclear, true)];
        hand.after(1);
        hand.exposed(100);
        hand.find("errors", finding);
        assert_eq!(hand.after(10), want, "{extra} {finding:?}");
    }
}

#[test]
fn two_of_a_group_must_agree_and_not_who_began_it() {
    let mut hand =
        Hand::new(&format!("{SPEC}approvals: [{{before: promotion, group: risk, approvals: 2, expires: 1h}}]\n"));
    hand.facts.starter = None;
    assert_eq!(hand.after(0), [DecisionKind::Held]);
    assert!(hand.last().sentence.contains("who began it"), "{}", hand.last().sentence);
    hand.facts.starter = Some("key:ada".into());
    assert!(hand.after(1).contains(&DecisionKind::Started));
    hand.settle();
    while hand.state.step < 2 {
        hand.order(Order::Skip).unwrap();
    }
    hand.order_by("key:bob", &[], Order::Promote).unwrap();
    assert_eq!(hand.state.phase, Phase::Approval(ApprovalPoint::Promotion), "an order is not enough");
    assert!(
        hand.last().sentence.ends_with("the promotion waits for 2 approvals of group risk"),
        "{}",
        hand.last().sentence
    );
    let refused = |hand: &mut Hand, by: &str, groups: &[&str], order| hand.order_by(by, groups, order).unwrap_err();
    assert!(refused(&mut hand, "key:bob", &[], Order::Approve).contains("waits for 2 approvals of group risk"));
    assert!(refused(&mut hand, "key:bob", &["ops"], Order::Approve).contains("of group risk"));
    assert!(refused(&mut hand, "session:ada", &["risk"], Order::Approve).contains("whoever began it may not"));
    assert!(refused(&mut hand, "key:bob", &["risk"], Order::Promote).contains("an order is not enough"));
    let since = hand.state.since;
    hand.order_by("session:bob", &["risk", "ops"], Order::Approve).unwrap();
    assert_eq!((hand.last().kind, hand.state.since), (DecisionKind::Agreed, since));
    assert!(hand.last().sentence.ends_with("it waits for 1 more approval of group risk"), "{}", hand.last().sentence);
    assert!(
        refused(&mut hand, "key:bob", &["risk"], Order::Approve).contains("they have already"),
        "one person, two ways in"
    );
    assert_eq!(hand.state.weight(), 0.5, "the weights stay meanwhile");
    hand.order_by("key:eve", &["risk"], Order::Approve).unwrap();
    assert_eq!((hand.last().kind, hand.state.phase), (DecisionKind::Promoted, Phase::Promoting));
    assert!(hand.last().sentence.contains("key:bob and key:eve approved"), "{}", hand.last().sentence);
}

/// Four eyes are those of two people: whoever is in two groups speaks for the one where nobody else does.
#[test]
fn nobody_speaks_for_two_groups() {
    let waits = |approvals: &str| {
        let mut hand = Hand::new(&format!("{SPEC}approvals: [{approvals}]\n"));
        hand.facts.starter = Some("key:ada".into());
        hand.after(0);
        hand.settle();
        while hand.state.phase != Phase::Approval(ApprovalPoint::Canary) {
            hand.order(Order::Skip).unwrap();
        }
        hand
    };
    let groups = "{before: canary, group: risk}, {before: canary, group: legal}";
    let mut hand = waits(&format!("{{before: canary}}, {groups}"));
    for who in ["key:eve", "key:ann"] {
        hand.order_by(who, &["risk", "legal"], Order::Approve).unwrap();
        assert_eq!(hand.state.phase, Phase::Approval(ApprovalPoint::Canary));
    }
    // Anybody will do now: eve and ann are counted for the groups.
    assert!(hand.last().sentence.contains("waits for 1 "), "{}", hand.last().sentence);
    hand.order_by("key:bob", &[], Order::Approve).unwrap();
    assert_eq!(hand.state.phase, Phase::Step);
    // A second one of a group does not stand for the other.
    let mut hand = waits(groups);
    hand.order_by("key:eve", &["risk"], Order::Approve).unwrap();
    let refused = hand.order_by("key:ann", &["risk"], Order::Approve).unwrap_err();
    assert!(refused.contains("1 approval of group legal"), "{refused}");
}

#[test]
fn approvals_that_do_not_come_in_time_take_everything_back() {
    let two = "approvals: [{before: canary, group: risk}, {before: canary, group: legal, expires: 30m}]\n";
    let mut hand = Hand::new(&format!("{SPEC}{two}"));
    hand.facts.starter = Some("key:ada".into());
    hand.after(0);
    hand.settle();
    while hand.state.phase != Phase::Approval(ApprovalPoint::Canary) {
        hand.order(Order::Skip).unwrap();
    }
    assert!(hand.order_by("key:bob", &["risk"], Order::Promote).unwrap_err().contains("an order is not enough"));
    hand.order_by("key:bob", &["risk"], Order::Approve).unwrap();
    assert!(hand.order_by("key:eve", &["risk"], Order::Approve).unwrap_err().contains("1 approval of group legal"));
    assert_eq!(hand.after(29), []);
    assert_eq!(hand.after(1), [DecisionKind::RolledBack]);
    assert!(
        hand.last().sentence.contains("1 approval of group legal did not come within 30m"),
        "{}",
        hand.last().sentence
    );
}

#[test]
fn that_the_evidence_is_full_is_said_once_and_holds_nothing_up() {
    let mut hand = Hand::testing(SPEC);
    hand.report.units = vec![600_000, 400_000];
    hand.report.crowded_out = 3;
    assert_eq!(hand.settle(), [DecisionKind::Full]);
    assert!(hand.last().sentence.contains("after the first 1000000"), "{}", hand.last().sentence);
    assert_eq!((hand.state.phase, &hand.state.hold), (Phase::Step, &None));
    hand.report.crowded_out = 9;
    assert_eq!(hand.settle(), []);
    hand.report.forgotten = 1;
    assert_eq!(hand.settle(), [DecisionKind::Full]);
    assert!(hand.last().sentence.contains("labels that still come") && !hand.last().sentence.contains("units"));
}

#[test]
fn a_hold_says_why_the_journal_is_silent() {
    let mut hand = Hand::testing(SPEC);
    hand.facts.silence = Some("the journal has over 2000000 answers".into());
    hand.now = hand.now.plus_micros(2 * MINUTE);
    assert_eq!(hand.settle(), [DecisionKind::Held]);
    assert!(hand.last().sentence.ends_with(": the journal has over 2000000 answers"), "{}", hand.last().sentence);
}

//! What follows when the comparison cannot be trusted, what is only reported, and a window that nobody can look into.

use super::*;

fn with(quality: &str) -> String {
    SPEC.replace("hardLimits", &format!("  quality: {{{quality}}}\nhardLimits"))
}

#[test]
fn a_check_that_fails_holds_rolls_back_or_warns_as_the_file_says() {
    for (name, field) in [("srm", "srm"), ("multipleExposure", "multipleExposure")] {
        for (on_fail, kind) in
            [("hold", DecisionKind::Held), ("rollback", DecisionKind::RolledBack), ("warn", DecisionKind::Warned)]
        {
            let mut hand = Hand::testing(&with(&format!("{field}: {{onFail: {on_fail}}}")));
            hand.report.metrics.push(metric("multipleExposure", Role::Quality, Finding::Unclear, true));
            hand.find(name, Finding::Worse);
            assert_eq!(hand.after(1), [kind], "{name} {on_fail}");
            assert!(hand.last().sentence.contains("cannot be trusted"), "{}", hand.last().sentence);
            if kind != DecisionKind::Held {
                assert_eq!(hand.last().because, [name]);
            }
            assert_eq!(hand.after(1), [], "it is said once");
        }
    }
}

#[test]
fn what_is_warned_of_does_not_stop_a_promotion_and_what_holds_does() {
    for (on_fail, promoted) in [("warn", true), ("hold", false)] {
        let mut hand = Hand::testing(&with(&format!("srm: {{onFail: {on_fail}}}")));
        hand.exposed(500);
        hand.find("srm", Finding::Worse);
        hand.find("liked", Finding::Better);
        hand.find("errors", Finding::NonInferior);
        assert_eq!(hand.after(31).contains(&DecisionKind::Promoted), promoted, "{on_fail}");
    }
}

#[test]
fn nobody_who_asks_is_a_matter_of_the_file_too() {
    for (on_fail, kind) in
        [("hold", DecisionKind::Held), ("rollback", DecisionKind::RolledBack), ("warn", DecisionKind::Warned)]
    {
        let mut hand = Hand::testing(&with(&format!("noData: {{after: 5m, onFail: {on_fail}}}")));
        hand.now = hand.now.plus_micros(6 * MINUTE);
        hand.facts.complete_until = hand.now;
        assert_eq!(hand.settle(), [kind], "{on_fail}");
        assert!(hand.last().sentence.contains("nobody asked v8 for 5 min 50 s"), "{}", hand.last().sentence);
    }
}

#[test]
fn what_is_only_reported_decides_nothing() {
    let mut hand = Hand::testing(SPEC);
    hand.report.metrics.push(metric("length", Role::Reported, Finding::NoData, false));
    hand.exposed(500);
    hand.find("liked", Finding::Better);
    hand.find("errors", Finding::NonInferior);
    hand.find("length", Finding::Worse);
    assert_eq!(hand.after(31), [DecisionKind::Promoted]);
    assert_eq!(hand.last().because, ["liked", "errors"]);
    // Nor does it hold up a decision while it has no data.
    let mut hand = Hand::testing(SPEC);
    hand.report.metrics.push(metric("length", Role::Reported, Finding::NoData, false));
    hand.exposed(500);
    hand.find("liked", Finding::Better);
    hand.find("errors", Finding::NonInferior);
    assert_eq!(hand.after(31), [DecisionKind::Promoted]);
}

#[test]
fn a_person_keeps_a_candidate_into_whose_window_nobody_can_look() {
    let mut hand = Hand::testing(SPEC);
    hand.exposed(500);
    hand.find("liked", Finding::Better);
    hand.find("errors", Finding::Better);
    hand.after(31);
    hand.facts.settled = true;
    hand.after(1);
    assert_eq!(hand.state.phase, Phase::Watching);
    let refused = hand.order(Order::Promote).unwrap_err();
    assert!(refused.contains("its window ends by itself; abort takes it back"), "{refused}");
    hand.facts.silence = Some("the disk is gone".into());
    hand.now = hand.now.plus_micros(2 * 1440 * MINUTE);
    assert_eq!(hand.settle(), [DecisionKind::Held]);
    hand.order(Order::Promote).unwrap();
    assert_eq!((hand.state.phase, hand.last().kind), (Phase::Succeeded, DecisionKind::Succeeded));
    let said = &hand.last().sentence;
    assert!(said.starts_with("ada kept v8 before the window was over") && said.contains("the disk is gone"), "{said}");
    assert!(hand.state.row.is_none() && !hand.state.active());
}

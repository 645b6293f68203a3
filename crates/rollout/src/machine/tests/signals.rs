//! Signals that a person let pass.

use super::*;

/// In the A/B test, stopped by its signal.
fn stopped() -> Hand {
    let mut hand = Hand::testing(SPEC);
    hand.find("score", Finding::Worse);
    assert_eq!(hand.after(1), [DecisionKind::Paused]);
    hand
}

#[test]
fn who_resumes_past_a_signal_is_not_stopped_by_it_again() {
    let mut hand = stopped();
    hand.order(Order::Resume).unwrap();
    assert!(hand.last().sentence.contains("ada resumed it; let pass until calm: score"), "{}", hand.last().sentence);
    assert_eq!(hand.state.phase, Phase::Step);
    assert_eq!(hand.after(60), [], "it goes on while the signal lasts");
    assert_eq!(hand.state.let_pass().map(Signal::title).collect::<Vec<_>>(), ["score"]);
    // And as far as a promotion.
    hand.exposed(500);
    hand.find("liked", Finding::Better);
    hand.find("errors", Finding::Better);
    assert_eq!(hand.after(1), [DecisionKind::Promoted]);
}

#[test]
fn a_signal_that_goes_and_comes_back_stops_it_again() {
    let mut hand = stopped();
    hand.order(Order::Resume).unwrap();
    hand.find("score", Finding::Unclear);
    assert_eq!(hand.after(1), [DecisionKind::Calmed]);
    assert_eq!((hand.last().because.as_slice(), hand.state.phase), (&["score".to_owned()][..], Phase::Step));
    assert_eq!(hand.after(1), [], "said once");
    hand.find("score", Finding::Worse);
    assert_eq!(hand.after(1), [DecisionKind::Paused]);
}

#[test]
fn another_signal_stops_it_and_only_that_one_is_waited_for() {
    let mut hand = stopped();
    hand.order(Order::Resume).unwrap();
    hand.report.metrics.push(metric("shape", Role::Signal, Finding::Worse, false));
    assert_eq!(hand.after(1), [DecisionKind::Paused]);
    assert_eq!(hand.last().because, ["shape"]);
    hand.find("shape", Finding::Unclear);
    assert_eq!(hand.after(1), [DecisionKind::Resumed], "score was let pass before");
    // Both are let pass by whoever resumes while both last.
    hand.find("shape", Finding::Worse);
    assert_eq!(hand.after(1), [DecisionKind::Paused]);
    hand.order(Order::Resume).unwrap();
    assert_eq!(hand.after(1), []);
    assert_eq!(hand.state.acknowledged.len(), 2);
}

#[test]
fn a_step_is_skipped_past_its_signal_and_the_next_one_goes_on() {
    let mut hand = Hand::new(SPEC);
    hand.after(1);
    hand.exposed(100);
    hand.after(10);
    assert_eq!((hand.state.step, hand.state.phase), (1, Phase::Step));
    hand.find("score", Finding::Worse);
    assert_eq!(hand.after(1), [DecisionKind::Paused]);
    hand.order(Order::Skip).unwrap();
    assert!(hand.last().sentence.contains("let pass until calm: score"), "{}", hand.last().sentence);
    assert_eq!((hand.state.step, hand.after(60)), (2, vec![]));
}

#[test]
fn the_next_step_asks_again_for_what_was_let_pass_in_this_one() {
    let mut hand = Hand::new(SPEC);
    hand.after(1);
    hand.exposed(100);
    hand.after(10);
    hand.find("score", Finding::Worse);
    hand.after(1);
    hand.order(Order::Resume).unwrap();
    assert_eq!(hand.after(10), [DecisionKind::Advanced, DecisionKind::Paused]);
}

#[test]
fn a_pause_by_a_person_in_between_changes_nothing() {
    let mut hand = stopped();
    hand.order(Order::Pause).unwrap();
    hand.order(Order::Resume).unwrap();
    assert_eq!(hand.after(60), []);
    // What comes while a person has paused it was not there when it stopped, so it stops it.
    let mut later = Hand::testing(SPEC);
    later.order(Order::Pause).unwrap();
    later.find("score", Finding::Worse);
    later.after(1);
    later.order(Order::Resume).unwrap();
    assert_eq!(later.after(1), [DecisionKind::Paused]);
}

#[test]
fn the_signal_of_one_candidate_is_not_that_of_another() {
    let mut hand = several::two(
        &several::TWO
            .replace("rollback:", "  signals: [{name: score, source: 'output:score', maxShift: 0.2}]\nrollback:"),
    );
    let of = |variant: &str, finding| MetricReport {
        variant: Some(variant.into()),
        ..metric("score", Role::Signal, finding, false)
    };
    hand.report.metrics.extend([of("v8", Finding::Worse), of("v9", Finding::Unclear)]);
    hand.goes(1, 0);
    assert_eq!(hand.state.phase, Phase::Alarmed);
    hand.order(Order::Resume).unwrap();
    assert_eq!(hand.goes(1, 10), []);
    hand.line("score", "v9").finding = Finding::Worse;
    assert_eq!(hand.goes(1, 10), [DecisionKind::Paused]);
    assert!(hand.last().sentence.contains("score of v9") && !hand.last().sentence.contains("score of v8"));
    hand.order(Order::Resume).unwrap();
    // Nobody asks for the signal of one that is out.
    hand.line("errors", "v8").finding = Finding::Worse;
    assert_eq!(hand.goes(1, 10), [DecisionKind::Dropped]);
    hand.line("score", "v8").finding = Finding::Unclear;
    assert_eq!(hand.goes(1, 10), []);
}

#[test]
fn a_state_from_before_is_read_and_stops_once_more() {
    let mut hand = stopped();
    let mut old = serde_json::to_value(&hand.state).unwrap();
    let known = old.as_object_mut().unwrap();
    assert!(known.remove("alarms").is_some());
    assert!(!known.contains_key("acknowledged"), "what is empty is not written");
    hand.state = serde_json::from_value(old).unwrap();
    hand.order(Order::Resume).unwrap();
    assert_eq!(hand.after(1), [DecisionKind::Paused]);
    hand.order(Order::Resume).unwrap();
    assert_eq!(hand.after(1), []);
}

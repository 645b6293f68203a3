//! What follows from window after window.

use super::*;
use crate::live::rows::tests::spec;
use serde_json::json;

const MINUTE: i64 = 60_000_000;

fn declared(limit: serde_json::Value) -> MonitorSpec {
    let mut estimate = json!({"metric": "accuracy", "window": "10m"});
    estimate.as_object_mut().unwrap().extend(limit.as_object().unwrap().clone());
    spec(json!({"label": {"name": "y", "wait": "30m"}, "estimate": estimate, "recoverAfter": "20m", "minRows": 100}))
}

fn begun(spec: &MonitorSpec) -> Outlook {
    Outlook::new(spec.estimate.clone().unwrap(), Timestamp(0))
}

fn seen(rows: u64, value: f64) -> Seen {
    Seen { rows, value, low: value - 0.04, high: value + 0.04, reference: Some(0.9), labeled: 0, realized: None }
}

/// The next window's estimate.
fn next(outlook: &mut Outlook, spec: &MonitorSpec, found: Option<Seen>) -> Option<Turn> {
    let position = outlook.until.plus_micros(10 * MINUTE);
    let due = outlook.due(position, spec).unwrap();
    assert_eq!(due, Due::Estimate(outlook.until, position));
    outlook.fold(due, Ok(found), spec)
}

#[test]
fn it_is_told_once_when_it_is_sure_and_again_when_it_has_held_for_a_while() {
    let spec = declared(json!({"below": 0.8}));
    let mut outlook = begun(&spec);
    let mut said = Vec::new();
    for value in [0.9, 0.79, 0.75, 0.7, 0.79, 0.85, 0.7, 0.81, 0.82, 0.9] {
        said.push((next(&mut outlook, &spec, Some(seen(500, value))), outlook.standing.as_str()));
    }
    assert_eq!(
        said,
        [
            (None, "steady"),
            // The interval holds the limit.
            (None, "doubtful"),
            (Some(Turn::Degraded), "degraded"),
            (None, "degraded"),
            (None, "degraded"),
            // Above it, and not for long yet.
            (None, "degraded"),
            (None, "degraded"),
            (None, "degraded"),
            (Some(Turn::Restored), "steady"),
            (None, "steady"),
        ]
    );
    assert_eq!(outlook.looks.len(), 10);
    assert_eq!(outlook.since, Timestamp(80 * MINUTE));
}

#[test]
fn a_window_of_few_rows_or_of_none_says_nothing() {
    let spec = declared(json!({"below": 0.8}));
    let mut outlook = begun(&spec);
    assert_eq!(next(&mut outlook, &spec, Some(seen(99, 0.2))), None);
    assert_eq!((outlook.standing, outlook.looks[0].enough), (Prospect::Waiting, false));
    assert_eq!(next(&mut outlook, &spec, None), None);
    assert_eq!(outlook.looks.len(), 1, "a window without rows is none");
    assert_eq!(next(&mut outlook, &spec, Some(seen(100, 0.2))), Some(Turn::Degraded));
}

#[test]
fn a_drop_is_from_what_the_reference_really_was_and_of_an_error_a_rise() {
    let spec = declared(json!({"drop": 0.1}));
    let mut outlook = begun(&spec);
    assert_eq!(next(&mut outlook, &spec, Some(seen(500, 0.77))), None);
    assert_eq!(next(&mut outlook, &spec, Some(seen(500, 0.75))), Some(Turn::Degraded));
    assert_eq!(outlook.looks[1].limit.map(Limit::value), Some(0.8));
    let unknown = Seen { reference: None, ..seen(500, 0.1) };
    let mut outlook = begun(&spec);
    assert_eq!(next(&mut outlook, &spec, Some(unknown)), None);
    assert!(outlook.problem.as_deref().unwrap().contains("no accuracy to have dropped from"));
    let error = EstimateSpec { metric: spec::Metric::Mae, ..spec.estimate.clone().unwrap() };
    assert_eq!(error.limit(Some(2.0)), Some(Limit::Above(2.1)));
}

#[test]
fn what_cannot_be_estimated_is_passed_over_and_said_until_the_next_is() {
    let spec = declared(json!({"below": 0.8}));
    let mut outlook = begun(&spec);
    next(&mut outlook, &spec, Some(seen(500, 0.5)));
    let due = outlook.due(Timestamp(20 * MINUTE), &spec).unwrap();
    assert_eq!(outlook.fold(due, Err("no output has probabilities".into()), &spec), None);
    assert_eq!(outlook.problem.as_deref(), Some("no output has probabilities"));
    assert!(outlook.is_degraded(), "that nothing is known is no recovery");
    next(&mut outlook, &spec, None);
    assert!(outlook.problem.is_some(), "a window without rows tells nothing of it");
    next(&mut outlook, &spec, Some(seen(500, 0.5)));
    assert_eq!(outlook.problem, None);
}

#[test]
fn labels_stand_beside_their_window_once_their_wait_is_over() {
    let spec = declared(json!({"below": 0.8}));
    let mut outlook = begun(&spec);
    let early = Seen { labeled: 3, realized: Some(1.0), ..seen(500, 0.9) };
    next(&mut outlook, &spec, Some(early));
    assert_eq!(outlook.looks[0].realized, Some(1.0), "as far as they are known");
    // The next windows come first, and the labels' wait is not over.
    for _ in 0..3 {
        next(&mut outlook, &spec, Some(seen(500, 0.9)));
    }
    assert_eq!(outlook.due(Timestamp(40 * MINUTE - 1), &spec), None);
    let due = outlook.due(Timestamp(40 * MINUTE), &spec).unwrap();
    assert_eq!(due, Due::Truth(Timestamp(0), Timestamp(10 * MINUTE)));
    let known = Seen { labeled: 480, realized: Some(0.71), ..seen(500, 0.4) };
    assert_eq!(outlook.fold(due, Ok(Some(known)), &spec), None);
    let look = outlook.looks[0];
    assert_eq!((look.value, look.labeled, look.realized), (0.9, 480, Some(0.71)), "what was estimated stays");
    assert_eq!(outlook.due(Timestamp(40 * MINUTE), &spec), None, "once");
    assert_eq!(outlook.standing, Prospect::Steady);
}

#[test]
fn memory_is_bounded_and_a_long_time_without_a_leader_is_not_caught_up_with() {
    let spec = declared(json!({"below": 0.8}));
    let mut outlook = begun(&spec);
    for _ in 0..200 {
        next(&mut outlook, &spec, Some(seen(500, 0.9)));
    }
    assert_eq!((outlook.looks.len(), outlook.looks[0].from), (168, Timestamp(320 * MINUTE)));
    let due = outlook.due(Timestamp(12_005 * MINUTE), &spec).unwrap();
    assert_eq!(due.span().0, Timestamp((12_000 - 1_680) * MINUTE));
}

use super::*;
use serde_json::json;

#[test]
fn an_effect_shows_its_confidence_sequence_and_open_ends() {
    let open = json!({"scale": "ratio", "effect": {"estimate": 1.2, "low": 0.9}});
    assert_eq!(effect(&open), "×1.2 [0.9, ∞]");
    assert_eq!(effect(&json!({"scale": "difference"})), "");
}

#[test]
fn what_is_not_counted_is_said_and_nothing_where_everything_is() {
    let left =
        json!({"leftOut": {"unitless": 4614, "carrier": "header x-user-id", "warmUp": 12, "strangers": 0, "late": 3}});
    assert_eq!(
        unitless(&left).unwrap(),
        "4614 answers are not counted: their requests had no header x-user-id, which is the unit"
    );
    assert_eq!(
        left_out(&left).unwrap(),
        "left out: 12 answers of the warm-up; 3 events that came after their look, and count since"
    );
    let none = json!({"leftOut": {"unitless": 0, "warmUp": 0}});
    assert_eq!((unitless(&none), left_out(&none), left_out(&json!({}))), (None, None, None));
}

#[test]
fn numbers_that_are_elsewhere_or_of_a_decision_are_called_so() {
    let remark = elsewhere(&json!({"name": "churn-v8", "phase": "step"})).unwrap();
    assert!(remark.contains("the server that decides has them"), "{remark}");
    let here = json!({"phase": "step", "evidenceUntil": "2026-11-25T12:00:00Z"});
    assert_eq!((elsewhere(&here), elsewhere(&json!({"phase": "pending"}))), (None, None));
    assert!(until(&here).unwrap().starts_with("evidence up to 2026-11-25 12:00"));
    let over = json!({"phase": "rolledBack", "evidenceUntil": "2026-11-25T12:00:00Z", "evidenceOf": 7});
    assert_eq!(until(&over).unwrap(), "evidence of decision 7, the last one with numbers, up to 2026-11-25 12:00");
    assert_eq!((elsewhere(&over), until(&json!({}))), (None, None));
}

#[test]
fn a_chosen_test_and_its_looks_are_named() {
    let grouped = json!({"test": "groupSequential", "alpha": 0.01, "looks": {"due": 3, "of": 5}});
    assert_eq!(tested(&grouped), " (groupSequential at 1 %, look 3 of 5)");
    assert_eq!((tested(&json!({"test": "msprt"})), tested(&Value::Null)), (" (msprt)".into(), String::new()));
}

#[test]
fn signals_that_were_let_pass_are_named() {
    let view = json!({"passedSignals": ["score", "shape of v9"]});
    assert!(passed(&view).unwrap().ends_with(": score, shape of v9"));
    assert_eq!(passed(&json!({"phase": "step"})), None);
}

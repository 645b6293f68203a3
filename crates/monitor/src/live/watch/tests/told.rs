//! What is told of a look is of all that drifts then, whichever look found it.

use super::*;
use crate::live::{View, why};
use mainspring_core::Name;
use std::sync::Arc;

const ANSWERS: &str = "the answers have changed and the watched inputs not";
const INPUTS: &str = "the inputs have changed and the watched answers not";
const BOTH: &str = "the inputs have changed and the answers with them";

/// An input and an output that move apart from each other, by so many standard deviations.
fn apart(dice: &mut Dice, at: i64, (input, output): (f64, f64)) -> Minute {
    let mut normal = |by: f64| Cells::Numbers((0..200).map(|_| dice.normal() + by).collect());
    let columns = [("in.x".to_owned(), normal(input)), ("out.y".to_owned(), normal(output))];
    let (model, version) = ("churn".to_owned(), "3".to_owned());
    Minute {
        at: Timestamp(at * MINUTE),
        model,
        version,
        seen: 200,
        rows: 200,
        in_time: Vec::new(),
        columns: columns.into(),
    }
}

fn declared() -> MonitorSpec {
    spec(json!({"window": "12m", "recoverAfter": "5m", "reference": {"firstRows": 1000}}))
}

/// The last sentence of `why`, which says what to do.
fn to_do(watch: &Watch) -> String {
    let (name, spec) = (Name::new("churn-drift").unwrap(), Arc::new(declared()));
    let view = View { name, spec, watch: Some(Arc::new(watch.clone())), late: 0, problem: None };
    why(&view).pop().unwrap_or_default()
}

/// Folds four hours in which columns move as `by` says, and gives what was told, each with what was to be done then.
fn hours(by: impl Fn(i64) -> (f64, f64)) -> Vec<(Transition, String)> {
    let spec = declared();
    let (mut watch, mut dice, mut told) = (Watch::new(Timestamp(0), &spec), Dice::new(17), Vec::new());
    for at in 0..240 {
        let new = watch.fold(&apart(&mut dice, at, by(at)), &spec, &References::default());
        told.extend(new.into_iter().map(|t| (t, to_do(&watch))));
    }
    told
}

fn on(at: i64, minutes: std::ops::Range<i64>) -> f64 {
    if minutes.contains(&at) { 1.5 } else { 0.0 }
}

#[test]
fn a_later_look_names_what_drifts_already_and_what_to_do_about_all_of_it() {
    for (first, (input, output)) in [(ANSWERS, (90..240, 60..240)), (INPUTS, (60..240, 90..240))] {
        let told = hours(|at| (on(at, input.clone()), on(at, output.clone())));
        let [(one, at_one), (two, at_two)] = told.as_slice() else { panic!("{told:?}") };
        let (new, old) = if first == ANSWERS { ("in.x", "out.y") } else { ("out.y", "in.x") };
        assert!(one.sentence.contains(old) && !one.sentence.contains(new), "{}", one.sentence);
        assert!(one.sentence.contains(first) && at_one.contains(first), "{} {at_one}", one.sentence);
        // What is new comes first, each with its own time.
        let sentence = &two.sentence;
        let (told, before) = sentence.split_once("; already drifting since about 01:0").unwrap();
        assert!(told.contains("has drifted since about 01:3") || told.contains("since about 01:2"), "{told}");
        assert!(told.contains(new) && !told.contains(old) && before.contains(old), "{sentence}");
        assert!(sentence.contains(BOTH) && !sentence.contains("the watched"), "{sentence}");
        assert!(at_two.contains(BOTH), "{at_two}");
        let columns = |key: &str| two.numbers[key].as_array().unwrap().iter().map(|c| c["column"].clone()).collect();
        let (turned, also): (Vec<serde_json::Value>, Vec<serde_json::Value>) =
            (columns("columns"), columns("alsoDrifting"));
        assert_eq!((turned, also), (vec![json!(new)], vec![json!(old)]));
        // What a picture is drawn from goes with it, of both: the window has left the reference's bins.
        let pictures = two.numbers["pictures"].as_array().unwrap();
        assert_eq!(pictures.iter().map(|p| p["column"].clone()).collect::<Vec<_>>(), [json!(new), json!(old)]);
        for picture in pictures {
            let counts =
                |key: &str| picture[key].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect::<Vec<_>>();
            let (was, now) = (counts("referenceCounts"), counts("windowCounts"));
            // The last is of rows without a value.
            assert_eq!((was.len(), picture["edges"].as_array().unwrap().len() + 2), (now.len(), was.len()));
            let share = |of: &[u64]| of[of.len() - 2] as f64 / of.iter().sum::<u64>() as f64;
            assert!(share(&now) > 2.0 * share(&was), "{picture}");
        }
        let query = two.numbers["query"].as_str().unwrap();
        assert!(query.contains(&format!("\"{new}\", \"{old}\"")), "{query}");
    }
}

#[test]
fn a_recovery_in_part_says_what_is_left_and_what_to_do_about_that() {
    let told = hours(|at| (on(at, 60..120), on(at, 90..200)));
    let kinds: Vec<(TransitionKind, bool)> = told.iter().map(|(t, _)| (t.kind, t.drifting)).collect();
    let (drifted, recovered) = (TransitionKind::Drifted, TransitionKind::Recovered);
    assert_eq!(kinds, [(drifted, true), (drifted, true), (recovered, true), (recovered, false)]);
    let (part, at_part) = &told[2];
    let (of, left) = part.sentence.split_once("; still drifting since about 01:").unwrap();
    assert!(of.ends_with("is again as its reference in part: in.x"), "{of}");
    assert!(left.contains("out.y (") && left.contains(ANSWERS) && !left.contains("in.x"), "{left}");
    assert!(at_part.contains(ANSWERS), "{at_part}");
    assert_eq!((&part.numbers["columns"][0]["column"], part.ends()), (&json!("in.x"), true));
    let end = &told[3].0.sentence;
    assert!(end.ends_with("is again as its reference: out.y"), "{end}");
}

//! Another profile is saved while a version is watched.

use super::*;
use crate::profile::Profile;

/// The profile of a file with these columns of 3,000 rows, each moved by so many standard deviations.
fn profiled(dice: &mut Dice, columns: &[(&str, f64)]) -> Profile {
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    let head: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut row = || columns.iter().map(|(_, by)| (dice.normal() + by).to_string()).collect::<Vec<_>>().join(",");
    let rows: Vec<String> = (0..3_000).map(|_| row()).collect();
    std::fs::write(file.path(), format!("{}\n{}\n", head.join(","), rows.join("\n"))).unwrap();
    crate::profile::profile(&crate::Table::open(file.path()).unwrap(), 1).unwrap()
}

/// What was saved as the `n`th; with nothing, that nothing is.
fn saved(profile: Option<&Profile>, n: i64) -> References {
    let saved = profile.map(|_| Saved { source: "train.csv".into(), at: Timestamp(n) });
    let whose = Compared { model: "churn".into(), version: "3".into(), saved, unused: None };
    References::new(profile).whose(whose)
}

fn origins(watch: &Watch) -> Vec<(&str, &'static str, bool)> {
    let seen = |track: &Track| track.tested() > 0;
    watch.tracks().map(|(name, _, track)| (name, track.origin.as_str(), seen(track))).collect()
}

#[test]
fn columns_of_a_profile_that_is_saved_later_begin_anew_and_the_others_go_on() {
    let spec = spec(json!({"window": "30m", "minRows": 100, "reference": {"firstRows": 1000}}));
    let mut dice = Dice::new(12);
    let numbers = |dice: &mut Dice, at: i64| {
        let mut normal = || Cells::Numbers((0..200).map(|_| dice.normal()).collect());
        let columns = [("in.x".to_owned(), normal()), ("in.z".to_owned(), normal()), ("out.y".to_owned(), normal())];
        Minute { columns: columns.into(), ..minute(dice, at, 200, 0.0) }
    };
    let (mut watch, mut told) = (Watch::new(Timestamp(0), &spec), Vec::new());
    let mut fold = |watch: &mut Watch, from: i64, references: &References| -> Vec<Transition> {
        let mut told = Vec::new();
        for at in from..from + 20 {
            told.extend(watch.fold(&numbers(&mut dice, at), &spec, references));
            watch.settle(Timestamp((at + 1) * MINUTE));
        }
        told
    };
    told.extend(fold(&mut watch, 0, &saved(None, 0)));
    assert_eq!(
        origins(&watch),
        [("in.x", "first-rows", true), ("in.z", "first-rows", true), ("out.y", "first-rows", true)]
    );
    // One of the columns is in it, elsewhere than the rows are.
    let mut other = Dice::new(99);
    let first = profiled(&mut other, &[("x", 2.0), ("w", 0.0)]);
    let rows = watch.rows;
    let anew = watch.compare_with(&saved(Some(&first), 1), &spec).unwrap();
    assert_eq!((anew.kind, anew.drifting, anew.ends(), watch.rows), (TransitionKind::Replaced, false, false, rows));
    assert_eq!(
        anew.sentence,
        "the profile of train.csv was saved with version 3 of churn; watched anew against it: in.x"
    );
    assert_eq!((&anew.numbers["anew"], anew.at), (&json!(["in.x"]), watch.position));
    assert_eq!(
        origins(&watch),
        [("in.x", "profile", false), ("in.z", "first-rows", true), ("out.y", "first-rows", true)]
    );
    assert_eq!(watch.tracks["in.x"].tests, 2, "both tests share its part of the level");
    // The same data profiled again is nothing new.
    assert_eq!(watch.compare_with(&saved(Some(&first), 2), &spec), None);
    assert_eq!(watch.compared.as_ref().unwrap().saved.as_ref().unwrap().at, Timestamp(2));
    told.extend(fold(&mut watch, 20, &saved(Some(&first), 2)));
    assert_eq!((told.len(), watch.tracks["in.x"].standing), (1, Standing::Drift), "{told:?}");
    // A right one comes, of another column, and the drift from the wrong one ends.
    let second = profiled(&mut other, &[("z", 0.0)]);
    let anew = watch.compare_with(&saved(Some(&second), 3), &spec).unwrap();
    assert!(!watch.drifting && anew.ends() && !anew.drifting && watch.since == watch.position, "{anew:?}");
    let said = "; watched anew against it: in.z; it does not have in.x, of which first rows count anew; a drift ends with that";
    assert!(anew.sentence.ends_with(said), "{}", anew.sentence);
    assert_eq!(
        origins(&watch),
        [("in.x", "first-rows", false), ("in.z", "profile", false), ("out.y", "first-rows", true)]
    );
    let again: Watch = serde_json::from_str(&serde_json::to_string(&watch).unwrap()).unwrap();
    assert_eq!(again, watch);
}

#[test]
fn a_profile_without_a_watched_column_changes_nothing_and_says_so() {
    let spec = spec(json!({"columns": ["in.x"]}));
    let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(6));
    for at in 0..20 {
        watch.fold(&minute(&mut dice, at, 200, 0.0), &spec, &saved(None, 0));
    }
    let before = watch.tracks.clone();
    let told = watch.compare_with(&saved(Some(&profiled(&mut dice, &[("w", 0.0)])), 1), &spec).unwrap();
    assert!(
        told.sentence.ends_with("it has none of the watched columns, which go on as they were"),
        "{}",
        told.sentence
    );
    assert_eq!((watch.tracks, told.ends()), (before, false));
}

/// What still drifts goes on, and is told with what to do about it.
#[test]
fn a_drift_that_a_new_profile_does_not_end_goes_on() {
    let spec = spec(json!({"window": "30m", "columns": ["in.x", "out.y"], "reference": {"firstRows": 1000}}));
    let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(8));
    for at in 0..60 {
        watch.fold(&minute(&mut dice, at, 200, if at < 20 { 0.0 } else { 1.5 }), &spec, &saved(None, 0));
    }
    assert_eq!(watch.drifted().len(), 2);
    let told = watch.compare_with(&saved(Some(&profiled(&mut dice, &[("x", 1.5)])), 1), &spec).unwrap();
    assert!(watch.drifting && told.drifting && told.ends(), "{told:?}");
    assert!(told.sentence.contains("a drift ends with that; still drifting since about 00:"), "{}", told.sentence);
    assert!(told.sentence.contains("the answers have changed and the watched inputs not"), "{}", told.sentence);
    assert!(told.numbers["query"].as_str().unwrap().contains("\"out.y\" FROM"), "{}", told.numbers);
}

/// Which profile a state of an earlier version began with is not in it: it goes on.
#[test]
fn a_state_of_an_earlier_version_goes_on() {
    let spec = spec(json!({"columns": ["in.x"]}));
    let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(6));
    let profile = profiled(&mut dice, &[("x", 0.0)]);
    watch.fold(&minute(&mut dice, 0, 200, 0.0), &spec, &References::new(Some(&profile)));
    assert_eq!(watch.compared, None);
    let told = watch.fold(&minute(&mut dice, 1, 200, 0.0), &spec, &saved(Some(&profile), 7));
    assert!(told.is_empty() && watch.tracks["in.x"].tests == 1);
    assert_eq!(watch.compared.as_ref().unwrap().saved.as_ref().unwrap().at, Timestamp(7));
}

/// A label is compared with the profile's target, an error with its own first ones whatever is saved.
#[test]
fn a_label_begins_anew_against_the_profiles_target() {
    let spec = spec(json!({"columns": ["in.x"], "label": {"name": "y", "column": "target"}}));
    let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(3));
    for at in 0..20 {
        watch.fold(&minute(&mut dice, at, 200, 0.0), &spec, &saved(None, 0));
        let mut normal = || Cells::Numbers((0..200).map(|_| dice.normal()).collect());
        let columns = [("label.y".to_owned(), normal()), ("error.y".to_owned(), normal())];
        let labelled = Minute { columns: columns.into(), ..minute(&mut dice, at, 200, 0.0) };
        watch.fold_labels(&labelled, &spec, &saved(None, 0));
    }
    let told = watch.compare_with(&saved(Some(&profiled(&mut dice, &[("target", 0.0)])), 1), &spec).unwrap();
    assert_eq!(told.numbers["anew"], json!(["label.y"]));
    let origin = |name: &str| watch.truth.tracks[name].origin;
    assert_eq!((origin("label.y"), origin("error.y")), (Origin::Profile, Origin::FirstRows));
}

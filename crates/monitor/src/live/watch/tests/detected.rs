//! Stream detectors of a monitor: what is told of them, and what resets them.

use super::*;
use crate::live::detectors::Sight;

fn declared() -> MonitorSpec {
    spec(json!({
        "columns": ["in.plan"], "recoverAfter": "5m", "label": {"name": "y", "wait": "10m"}, "reference": {"firstRows": 1000},
        "detectors": [{"columns": ["in.x"], "adwin": {}}, {"columns": ["error.y"], "ddm": {}}]
    }))
}

fn sights(watch: &Watch) -> Vec<(&str, &str, Sight)> {
    watch.detectors.iter().map(|d| (d.column.as_str(), d.name(), d.sight)).collect()
}

#[test]
fn a_change_is_told_once_ends_after_a_quiet_time_and_names_its_numbers() {
    let spec = declared();
    let (mut watch, mut dice, mut told) = (Watch::new(Timestamp(0), &spec), Dice::new(11), Vec::new());
    for at in 0..50 {
        let by = if at < 20 { 0.0 } else { 2.0 };
        let x = Cells::Numbers((0..100).map(|_| dice.normal() + by).collect());
        let minute = Minute { columns: [("in.x".to_owned(), x)].into(), ..minute(&mut dice, at, 100, 0.0) };
        told.extend(watch.fold(&minute, &spec, &References::default()));
        watch.settle(Timestamp((at + 1) * MINUTE));
        // A state that was stored goes on as if nothing had happened.
        watch = serde_json::from_str(&serde_json::to_string(&watch).unwrap()).unwrap();
        assert_eq!(watch.detecting, told.last().is_some_and(|t| t.kind == TransitionKind::Detected), "{at}");
        assert!(!watch.drifting, "no column has drifted by the monitor's own test");
    }
    // The monitor's own test does not watch the column.
    assert!(watch.tracks.is_empty());
    let [begin, end] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((begin.kind, begin.at.micros() / MINUTE, begin.drifting), (TransitionKind::Detected, 21, false));
    assert_eq!((end.kind, end.drifting, begin.ends(), end.ends()), (TransitionKind::Quieted, false, false, true));
    assert_eq!([begin.about(), end.about()], [About::Detected; 2]);
    assert_eq!([begin.goes_on(), end.goes_on()], [true, false]);
    assert!((25..28).contains(&(end.at.micros() / MINUTE)), "{end:?}");
    for words in
        ["stable of churn version 3 detectors call a change: in.x by ADWIN (mean ", "bounds no rate of false alarms"]
    {
        assert!(begin.sentence.contains(words), "{}", begin.sentence);
    }
    assert!(end.sentence.contains("no further change was called for 5m: in.x by ADWIN"), "{}", end.sentence);
    let numbers = &begin.numbers["detections"][0];
    assert_eq!((numbers["column"].as_str(), numbers["detector"].as_str()), (Some("in.x"), Some("adwin")));
    assert!(numbers["since"].as_f64().unwrap() > numbers["before"].as_f64().unwrap() + 0.5, "{numbers}");
    assert!(begin.numbers["query"].as_str().unwrap().contains("\"in.x\""));
    assert_eq!(sights(&watch), [("in.x", "adwin", Sight::Steady)]);
}

/// One plan's values move, of two: its own detector says so, and that of the other does not.
#[test]
fn a_segments_detector_sees_its_rows_alone() {
    let spec = spec(json!({
        "columns": ["in.plan"], "segments": ["in.plan"], "reference": {"firstRows": 1000},
        "detectors": [{"columns": ["in.*"], "adwin": {}, "bySegment": true}]
    }));
    let (mut watch, mut dice, mut told) = (Watch::new(Timestamp(0), &spec), Dice::new(13), Vec::new());
    for at in 0..60 {
        let gold = |row: usize| row.is_multiple_of(10);
        let by = |row: usize| if at >= 40 && gold(row) { 2.0 } else { 0.0 };
        let x = Cells::Numbers((0..100).map(|row| dice.normal() + by(row)).collect());
        let plan = Cells::Texts((0..100).map(|row| Some(if gold(row) { "gold" } else { "free" }.into())).collect());
        let columns = [("in.x".to_owned(), x), ("in.plan".to_owned(), plan)].into();
        let minute = Minute { columns, ..minute(&mut dice, at, 100, 0.0) };
        told.extend(watch.fold(&minute, &spec, &References::default()));
        watch = serde_json::from_str(&serde_json::to_string(&watch).unwrap()).unwrap();
    }
    let of = |part: Option<&str>| {
        let found = |d: &&crate::live::detectors::Detector| d.column == "in.x" && d.part().as_deref() == part;
        watch.detectors.iter().find(found).unwrap()
    };
    assert_eq!(watch.detectors.iter().filter(|d| d.column != "in.x").count(), 0, "texts are no numbers");
    let (gold, free, all) = (of(Some("in.plan = gold")), of(Some("in.plan = free")), of(None));
    assert!(gold.detections >= 1 && free.detections == 0, "{} {}", gold.detections, free.detections);
    // Its values are known after two hundred rows, and are seen from the next ones on.
    assert_eq!((all.seen, free.seen, gold.seen), (6_000, 59 * 90, 59 * 10));
    let first = told.iter().find(|t| t.numbers["detections"][0]["segment"] == "in.plan = gold").unwrap();
    assert!(first.sentence.contains("in.x where in.plan = gold by ADWIN (mean "), "{}", first.sentence);
    // Of a column that is redacted now no segment is told.
    watch.hide(&["in.plan".to_owned()], &spec);
    assert!(watch.detectors.iter().all(|d| d.segment.is_none()), "{:?}", watch.detectors.len());
}

/// The errors of labelled rows, in the order of their predictions; another version begins anew.
#[test]
fn an_error_that_rises_is_seen_in_the_order_of_predictions_and_a_new_version_resets() {
    let spec = declared();
    let (mut watch, mut dice, mut told) = (Watch::new(Timestamp(0), &spec), Dice::new(12), Vec::new());
    let errors = |dice: &mut Dice, at: i64, wrong: f64| {
        let error = Cells::Numbers((0..64).map(|_| f64::from(u8::from(dice.unit() < wrong))).collect());
        Minute { columns: [("error.y".to_owned(), error)].into(), ..minute(dice, at, 64, 0.0) }
    };
    // A call ends when it has been quiet for five minutes.
    for at in 0..28 {
        watch.fold(&minute(&mut dice, at, 64, 0.0), &spec, &References::default());
        watch.settle(Timestamp((at + 1) * MINUTE));
        let labels = errors(&mut dice, at, if at < 25 { 0.1 } else { 0.6 });
        let now: Vec<Transition> = watch.fold_labels(&labels, &spec, &References::default());
        told.extend(now.into_iter().filter(|t| t.numbers["detections"][0]["column"] == "error.y").map(|t| (at, t)));
    }
    let (at, first) = told.iter().find(|(at, _)| *at >= 25).unwrap();
    assert!((25..=26).contains(at) && first.kind == TransitionKind::Detected, "{at} {first:?}");
    assert!(first.sentence.contains("error.y by DDM (mean 0."), "{}", first.sentence);
    assert!(first.numbers["query"].as_str().unwrap().contains("feedback_name = 'y'"), "{}", first.numbers);
    assert!(sights(&watch).iter().any(|(column, ..)| *column == "error.y"));
    let replaced = Minute { version: "4".into(), ..minute(&mut dice, 28, 64, 0.0) };
    let anew = watch.fold(&replaced, &spec, &References::default());
    let [quieted, replaced] = anew.as_slice() else { panic!("{anew:?}") };
    assert_eq!((quieted.kind, replaced.kind), (TransitionKind::Quieted, TransitionKind::Replaced));
    assert!(quieted.sentence.contains("begin anew with another version: error.y by DDM"), "{}", quieted.sentence);
    assert!(!quieted.goes_on() && !watch.detecting, "{anew:?}");
    let kept: Vec<(&str, u64)> = watch.detectors.iter().map(|d| (d.column.as_str(), d.seen)).collect();
    assert_eq!(kept, [("in.x", 64)], "from the first row of the new version on");
}

#[test]
fn detectors_are_bounded_and_a_redacted_column_takes_its_detection_along() {
    let spec = spec(json!({"columns": ["in.plan"], "detectors": [{"columns": ["in.c*"], "adwin": {}}]}));
    let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(13));
    let mut wide = |at: i64, by: f64| {
        let cells = |dice: &mut Dice| Cells::Numbers((0..100).map(|_| dice.normal() + by).collect());
        let columns = (0..130).map(|c| (format!("in.c{c:03}"), cells(&mut dice))).collect();
        Minute { columns, ..minute(&mut dice, at, 100, 0.0) }
    };
    for at in 0..10 {
        watch.fold(&wide(at, if at < 8 { 0.0 } else { 3.0 }), &spec, &References::default());
        watch.settle(Timestamp((at + 1) * MINUTE));
    }
    assert_eq!((watch.detectors.len(), watch.undetected), (128, [2, 0]));
    assert!(watch.detecting && !watch.drifting && watch.drifted().len() == 128);
    let all: Vec<String> = (0..130).map(|c| format!("in.c{c:03}")).collect();
    let told = watch.hide(&all, &spec);
    let [end] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((end.kind, end.ends(), end.goes_on()), (TransitionKind::Quieted, true, false));
    assert!(!watch.detecting && watch.detectors.is_empty(), "{end:?}");
}

/// An earlier version kept what detectors call as drift of the monitor: that drift ends, and what they call begins.
#[test]
fn a_state_that_took_a_call_for_drift_ends_it_and_tells_the_call() {
    let spec = declared();
    let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(11));
    for at in 0..22 {
        let by = if at < 20 { 0.0 } else { 2.0 };
        let x = Cells::Numbers((0..100).map(|_| dice.normal() + by).collect());
        let minute = Minute { columns: [("in.x".to_owned(), x)].into(), ..minute(&mut dice, at, 100, 0.0) };
        watch.fold(&minute, &spec, &References::default());
    }
    assert!(watch.detecting && watch.part_detectors(&spec).is_empty(), "nothing is new");
    let mut old = serde_json::to_value(&watch).unwrap();
    old["drifting"] = true.into();
    old.as_object_mut().unwrap().remove("detecting").unwrap();
    let mut watch: Watch = serde_json::from_value(old).unwrap();
    let told = watch.part_detectors(&spec);
    let [drift, call] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((drift.about(), drift.ends(), drift.goes_on()), (About::Drift, true, false));
    assert!(drift.sentence.contains("has not drifted by the monitor's own test"), "{}", drift.sentence);
    assert_eq!((call.about(), call.goes_on()), (About::Detected, true));
    assert!(call.sentence.contains("detectors call a change: in.x by ADWIN"), "{}", call.sentence);
    assert!(watch.detecting && !watch.drifting && watch.part_detectors(&spec).is_empty());
}

/// Where the reference is answered meanwhile, detectors see the watched side alone, also while the other one rests.
#[test]
fn beside_another_variant_detectors_see_their_own_side() {
    let spec = spec(json!({"reference": {"variant": "v2"}, "detectors": [{"columns": ["in.x"], "pageHinkley": {}}]}));
    let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(14));
    for at in 0..6 {
        let mine = minute(&mut dice, at, 100, 0.0);
        let theirs = (at % 2 == 0).then(|| minute(&mut dice, at, 100, 5.0));
        watch.fold_beside((&mine, theirs.as_ref()), &spec);
        watch.settle(Timestamp((at + 1) * MINUTE));
    }
    let [detector] = watch.detectors.as_slice() else { panic!() };
    assert_eq!((detector.seen, detector.detections), (600, 0), "the other side is five deviations away");
}

/// What a reference is made of is past: detectors begin where the monitor was declared.
#[test]
fn a_window_before_the_declaration_is_not_detected_in() {
    let spec = spec(json!({
        "reference": {"window": "30m"}, "window": "30m", "detectors": [{"columns": ["in.x"], "adwin": {}}]
    }));
    let (mut watch, mut dice) = (Watch::new(Timestamp(30 * MINUTE), &spec), Dice::new(15));
    for at in 0..32 {
        let by = if at < 15 { 0.0 } else { 4.0 };
        watch.fold(&minute(&mut dice, at, 100, by), &spec, &References::default());
        watch.settle(Timestamp((at + 1) * MINUTE));
    }
    let [detector] = watch.detectors.as_slice() else { panic!() };
    assert_eq!((detector.seen, detector.detections), (200, 0));
}

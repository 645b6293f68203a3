//! Detectors on columns: the very rows of the library, what they do not see, and what a file may say.

use super::*;
use crate::live::rows::MINUTE;
use crate::live::rows::tests::spec;
use crate::live::watch::tests::{Dice, in_time};
use mainspring_stats::stream::PageHinkleyLimits;
use serde_json::json;

fn declared(detector: serde_json::Value) -> MonitorSpec {
    spec(json!({"detectors": [detector], "label": {"name": "y"}, "recoverAfter": "5m"}))
}

fn detector(spec: &MonitorSpec, column: &str, cells: &Cells) -> Option<Detector> {
    Detector::new((0, &spec.detectors[0]), (column, cells), Timestamp(0))
}

/// The rows at which changes are called are those of the library, in the order of time, whatever order they stand in, and
/// however they are cut into looks and stored in between.
#[test]
fn the_rows_of_a_change_are_those_of_the_library() {
    let mut dice = Dice::new(9);
    let stream: Vec<f64> =
        (0..2_400).map(|i| dice.unit() + if (900..1_700).contains(&i) { 0.8 } else { 0.0 }).collect();
    let (mut adwin, mut kswin) = (Adwin::default(), Kswin::new(0.0001, 60, 30, 3).unwrap());
    let limits = PageHinkleyLimits { threshold: 5.0, ..PageHinkleyLimits::default() };
    let (mut page, mut ddm) = (PageHinkley::new(limits), Ddm::default());
    let mut called: [Vec<usize>; 4] = Default::default();
    for (i, x) in stream.iter().enumerate() {
        let late = ddm.push(*x > 1.0);
        let changes = [
            adwin.push(*x).is_some(),
            kswin.push(*x).is_some(),
            page.push(*x).is_some(),
            matches!(late, Level::Drift(_)),
        ];
        called.iter_mut().zip(changes).filter(|(_, change)| *change).for_each(|(all, _)| all.push(i));
    }
    assert!(called.iter().all(|all| !all.is_empty()), "{called:?}");
    for (which, json) in [
        json!({"columns": ["in.x"], "adwin": {}}),
        json!({"columns": ["in.x"], "kswin": {"alpha": 0.0001, "windowSize": 60, "seed": 3}}),
        json!({"columns": ["in.x"], "pageHinkley": {"threshold": 5.0}}),
        json!({"columns": ["in.x"], "ddm": {}}),
    ]
    .into_iter()
    .enumerate()
    {
        let spec = declared(json);
        let seen: Vec<f64> =
            if which == 3 { stream.iter().map(|x| f64::from(u8::from(*x > 1.0))).collect() } else { stream.clone() };
        let mut mine = detector(&spec, "in.x", &Cells::Numbers(seen.clone())).unwrap();
        let mut rows = Vec::new();
        for (look, part) in seen.chunks(10).enumerate() {
            // The sample stands backwards.
            let cells = Cells::Numbers(part.iter().rev().copied().collect());
            let at = look as i64 * MINUTE;
            let order: Vec<_> =
                in_time(at, part.len()).into_iter().map(|(row, at)| (part.len() - 1 - row, at)).collect();
            mine.fold(Some(&cells), &order, (Timestamp(at), &spec));
            let text = serde_json::to_string(&mine).unwrap();
            mine = serde_json::from_str(&text).unwrap();
            assert!(text.len() < 12_000, "{}", text.len());
            if let Some(last) = mine.last.filter(|last| last.at.micros() >= at) {
                rows.push((last.at.micros() - at) as usize * 10 / MINUTE as usize + look * 10);
                assert_eq!(last.value, seen[*rows.last().unwrap()]);
            }
        }
        assert_eq!(rows, called[which], "{}", mine.name());
        assert_eq!((mine.seen, mine.skipped, mine.detections), (2_400, 0, rows.len() as u64));
    }
}

#[test]
fn a_change_is_dated_about_when_it_began_and_forgotten_after_a_quiet_time() {
    let spec = declared(json!({"columns": ["in.x"], "adwin": {}}));
    let (mut dice, mut mine, mut turns) = (Dice::new(3), None, Vec::new());
    for minute in 0..60_i64 {
        let by = if minute < 30 { 0.0 } else { 2.0 };
        let cells = Cells::Numbers((0..100).map(|_| dice.normal() + by).collect());
        let at = Timestamp(minute * MINUTE);
        let mine = mine.get_or_insert_with(|| detector(&spec, "in.x", &cells).unwrap());
        turns.extend(mine.fold(Some(&cells), &in_time(at.micros(), 100), (at, &spec)).map(|turn| (minute, turn)));
    }
    let mine = mine.unwrap();
    let Detection { begun, before, since, .. } = mine.last.unwrap();
    assert!((28..=31).contains(&(begun.micros() / MINUTE)), "{begun:?}");
    assert!(before < 0.5 && since > 1.0, "{before} {since}");
    // Five minutes after the last call.
    assert!(matches!(turns.as_slice(), [(30, Turn::Detected), (35..=37, Turn::Recovered)]), "{turns:?}");
    assert_eq!(mine.sight, Sight::Steady);
    assert!(mine.marks.0.len() <= MARKS);
}

#[test]
fn what_is_missing_is_no_value_and_what_is_no_number_is_counted() {
    let spec = declared(json!({"columns": ["in.x", "in.*", "error.y"], "ddm": {"warmStart": 5}}));
    let text = |value: &str| Some(Box::from(value));
    let mixed = Cells::Texts(vec![text("true"), None, text("no"), text("false")]);
    let mut mine = detector(&spec, "in.x", &mixed).unwrap();
    mine.fold(Some(&mixed), &in_time(0, 4), (Timestamp(0), &spec));
    assert_eq!((mine.seen, mine.skipped, mine.sight), (2, 1, Sight::Steady));
    let far = Cells::Numbers(vec![0.5, f64::NAN, 1.0, f64::MAX, 0.0]);
    mine.fold(Some(&far), &in_time(0, 5), (Timestamp(0), &spec));
    assert_eq!((mine.seen, mine.skipped), (4, 3));
    // A column of texts is taken where it is named, and says why nothing comes of it.
    let words = Cells::Texts(vec![text("a"), text("b")]);
    let mut named = detector(&spec, "in.x", &words).unwrap();
    named.fold(Some(&words), &in_time(0, 2), (Timestamp(0), &spec));
    assert_eq!((named.seen, named.skipped, named.sight), (0, 2, Sight::Unlike));
    assert!(detector(&spec, "in.other", &words).is_none() && detector(&spec, "in.other", &mixed).is_some());
    // Numbers at the end of their range leave nothing behind that JSON does not have.
    let spec = declared(json!({"columns": ["in.x"], "adwin": {"clock": 1}}));
    let wide = Cells::Numbers([1e99, -1e99, f64::MAX].repeat(40));
    let mut mine = detector(&spec, "in.x", &wide).unwrap();
    mine.fold(Some(&wide), &in_time(0, 120), (Timestamp(0), &spec));
    assert_eq!((mine.seen, mine.skipped), (80, 40));
    let again: Detector = serde_json::from_str(&serde_json::to_string(&mine).unwrap()).unwrap();
    assert_eq!(again, mine);
}

/// What is not told is as `river` 0.26 has it.
#[test]
fn the_defaults_are_rivers() {
    let written = |detector: serde_json::Value| serde_json::to_value(&declared(detector).detectors[0]).unwrap();
    for (detector, defaults) in [
        ("adwin", json!({"delta": 0.002, "clock": 32, "maxBuckets": 5, "minWindowLength": 5, "gracePeriod": 10})),
        ("kswin", json!({"alpha": 0.005, "windowSize": 100, "statSize": 30, "seed": 0})),
        (
            "pageHinkley",
            json!({"minInstances": 30, "delta": 0.005, "threshold": 50.0, "alpha": 0.9999, "mode": "both"}),
        ),
        ("ddm", json!({"warmStart": 30, "warningThreshold": 2.0, "driftThreshold": 3.0})),
    ] {
        let spec = written(json!({"columns": ["in.x"], detector: {}}));
        assert_eq!(spec[detector], defaults, "{detector}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    for (detector, place) in [
        (json!({"columns": ["in.x"]}), "detectors[0] is of 0 detectors; it must be exactly one"),
        (json!({"columns": ["in.x"], "ddm": {}, "adwin": {}}), "detectors[0] is of 2 detectors"),
        (json!({"columns": [], "ddm": {}}), "detectors[0].columns is empty"),
        (json!({"columns": ["error.z"], "ddm": {}}), "detectors[0].columns is of \"error.z\""),
        (json!({"columns": ["in.x"], "adwin": {"delta": 1.0}}), "detectors[0].adwin.delta is 1"),
        (json!({"columns": ["in.x"], "adwin": {"clock": 0}}), "detectors[0].adwin.clock is 0"),
        (json!({"columns": ["in.x"], "adwin": {"maxBuckets": 65}}), "detectors[0].adwin.maxBuckets is 65"),
        (json!({"columns": ["in.x"], "kswin": {"windowSize": 59}}), "detectors[0].kswin.statSize is 30"),
        (json!({"columns": ["in.x"], "kswin": {"windowSize": 1001}}), "detectors[0].kswin.windowSize is 1001"),
        (json!({"columns": ["in.x"], "kswin": {"alpha": 0.0}}), "detectors[0].kswin.alpha is 0"),
        (json!({"columns": ["in.x"], "pageHinkley": {"threshold": 0.0}}), "detectors[0].pageHinkley.threshold is 0"),
        (json!({"columns": ["in.x"], "pageHinkley": {"alpha": 1.5}}), "detectors[0].pageHinkley.alpha is 1.5"),
        (json!({"columns": ["in.x"], "ddm": {"driftThreshold": 1.0}}), "detectors[0].ddm.driftThreshold is 1"),
    ] {
        let whole = json!({"deployment": "churn", "label": {"name": "y"}, "detectors": [detector]});
        let spec: MonitorSpec = serde_json::from_value(whole.clone()).unwrap();
        let why = spec.validate().unwrap_err().to_string();
        assert!(why.contains(place), "{whole}: {why}");
    }
    let unknown = json!({"deployment": "churn", "detectors": [{"columns": ["in.x"], "adwin": {"min_delta": 1}}]});
    assert!(serde_json::from_value::<MonitorSpec>(unknown).is_err());
}

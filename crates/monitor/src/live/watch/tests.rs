//! Simulated traffic, minute by minute.

use super::*;
use crate::live::rows::Sampler;
use crate::live::rows::tests::{Lines, batch, spec};
use crate::live::track::portion;
use arrow::array::{ArrayRef, StringArray};
use serde_json::json;
use std::sync::Arc;

mod detected;
mod references;
mod told;

/// A stream without a pattern.
pub(crate) struct Dice(u64);

impl Dice {
    /// Neighbouring seeds begin far from each other: the step between two throws is no multiple of theirs.
    pub(crate) fn new(seed: u64) -> Self {
        Self(crate::lowest::mark(seed))
    }

    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (crate::lowest::mark(self.0) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normal, by Box and Muller.
    pub(crate) fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// Numbers and words, moved by `shift` standard deviations and by `shift` of the words.
fn minute(dice: &mut Dice, at: i64, rows: usize, shift: f64) -> Minute {
    let x: Vec<f64> = (0..rows).map(|_| dice.normal() + shift).collect();
    let y: Vec<f64> = x.iter().map(|x| f64::from(u8::from(x + dice.normal() > 0.0))).collect();
    let word = |dice: &mut Dice| {
        let plan = if dice.unit() < 0.6 - shift.min(0.5) { "basic" } else { "plus" };
        (dice.unit() > 0.1).then(|| Box::from(plan))
    };
    let plan: Vec<Option<Box<str>>> = (0..rows).map(|_| word(dice)).collect();
    let columns = [
        ("in.x".to_owned(), Cells::Numbers(x)),
        ("in.plan".to_owned(), Cells::Texts(plan)),
        ("out.y".to_owned(), Cells::Numbers(y)),
    ];
    Minute {
        at: Timestamp(at * MINUTE),
        model: "churn".into(),
        version: "3".into(),
        seen: rows as u64 * 10,
        rows,
        in_time: in_time(at * MINUTE, rows),
        columns: columns.into(),
    }
}

/// Rows that came as they stand there, evenly over a minute.
pub(crate) fn in_time(at: i64, rows: usize) -> Vec<(usize, Timestamp)> {
    (0..rows).map(|row| (row, Timestamp(at + row as i64 * MINUTE / rows as i64))).collect()
}

fn standings(watch: &Watch) -> Vec<(&str, &'static str)> {
    watch.tracks().map(|(name, _, track)| (name, track.standing.as_str())).collect()
}

/// All that is said of a minute is of ten seconds, of another version, too.
#[test]
fn a_look_may_be_shorter_than_a_minute() {
    let step = 10_000_000;
    let spec = spec(json!({"every": "10s", "window": "30m", "minRows": 100, "reference": {"firstRows": 2000}}));
    let (mut watch, mut dice, mut told) = (Watch::new(Timestamp(7 * step + 5), &spec), Dice::new(4), Vec::new());
    assert_eq!(watch.position, Timestamp(7 * step));
    for look in 7..60 {
        let shift = if look < 30 { 0.0 } else { 2.0 };
        let minute = Minute { at: Timestamp(look * step), ..minute(&mut dice, 0, 200, shift) };
        told.extend(watch.fold(&minute, &spec, &References::default()));
        watch.settle(Timestamp((look + 1) * step + 3));
    }
    let x = &watch.tracks["in.x"];
    assert!(told[0].at.micros() <= 36 * step && x.changed_at.unwrap().micros() <= 33 * step, "{told:?} {x:?}");
    assert_eq!(watch.position, Timestamp(60 * step));
    let other = Minute { at: Timestamp(60 * step), version: "4".into(), ..minute(&mut dice, 0, 200, 0.0) };
    watch.fold(&other, &spec, &References::default());
    watch.settle(Timestamp(61 * step + 9));
    assert_eq!((watch.version.as_str(), watch.position, watch.step()), ("4", Timestamp(61 * step), step));
    let again: Watch = serde_json::from_str(&serde_json::to_string(&watch).unwrap()).unwrap();
    assert_eq!(again, watch);
}

#[test]
fn drift_is_found_named_dated_and_forgiven() {
    let spec = spec(json!({"window": "30m", "recoverAfter": "10m", "reference": {"firstRows": 2000}}));
    let (mut watch, mut dice, mut told) = (Watch::new(Timestamp(0), &spec), Dice::new(1), Vec::new());
    let shift = |at| if (100..200).contains(&at) { 0.8 } else { 0.0 };
    for at in 0..400 {
        let minute = minute(&mut dice, at, 200, shift(at));
        told.extend(watch.fold(&minute, &spec, &References::default()));
        if at == 99 {
            assert_eq!(standings(&watch), [("in.plan", "steady"), ("in.x", "steady"), ("out.y", "steady")]);
            assert!(told.is_empty());
        }
        if at == 150 {
            assert_eq!(standings(&watch), [("in.plan", "drift"), ("in.x", "drift"), ("out.y", "drift")]);
        }
    }
    let (drifted, recovered): (Vec<&Transition>, Vec<&Transition>) =
        told.iter().partition(|t| t.kind == TransitionKind::Drifted);
    let first = drifted[0];
    assert!((101..125).contains(&(first.at.micros() / MINUTE)), "{first:?}");
    assert!(first.drifting && first.sentence.contains("version 3 has drifted since about 01:"), "{}", first.sentence);
    let x = watch.tracks["in.x"].clone();
    assert_eq!((x.standing, x.tests), (Standing::Steady, 2), "a second test has begun");
    assert!(!watch.drifting && !recovered.last().unwrap().drifting && recovered.last().unwrap().ends());
    let end = recovered.last().unwrap().at.micros() / MINUTE;
    assert!((210..260).contains(&end), "{end}");
    // About when it began: within five minutes.
    let dated: Vec<i64> = drifted
        .iter()
        .flat_map(|t| t.numbers["columns"].as_array().unwrap().clone())
        .map(|c| c["changedAtMicros"].as_i64().unwrap() / MINUTE)
        .collect();
    assert!(dated.len() == 3 && dated.iter().all(|at| (95..=105).contains(at)), "{dated:?}");
    let sides: Vec<&str> = ["in.x", "out.y"].map(crate::live::words::side).to_vec();
    assert_eq!(sides, ["covariate", "prediction"]);
}

/// Something that is sure and small is no drift.
#[test]
fn a_small_change_is_shifted_however_sure_it_is() {
    let spec = spec(json!({"columns": ["in.x"], "window": "6h", "reference": {"firstRows": 8000}}));
    let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(7));
    for at in 0..600 {
        let minute = minute(&mut dice, at, 256, if at < 60 { 0.0 } else { 0.12 });
        assert!(watch.fold(&minute, &spec, &References::default()).is_empty(), "minute {at}");
    }
    let x = &watch.tracks["in.x"];
    assert_eq!(x.standing, Standing::Shifted, "{:?} {:?}", x.moved, x.evidence());
}

/// 400 monitors of three columns over 200 minutes, with a look after each: at most `level` of them ever tell anything.
/// The binomial's mean and three standard deviations, for a level that can be counted.
#[test]
fn without_a_change_alarms_are_as_rare_as_promised() {
    let spec = spec(json!({"level": 0.1, "minEffect": 0.0, "minRows": 1, "reference": {"firstRows": 1000}}));
    let runs = 400;
    let mut alarms = 0;
    for run in 0..runs {
        let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(1_000 + run));
        let mut sure = false;
        for at in 0..200 {
            watch.fold(&minute(&mut dice, at, 64, 0.0), &spec, &References::default());
            sure |= watch.tracks().any(|(_, _, t)| t.tested() > 0 && t.evidence().0 >= t.evidence().1);
        }
        alarms += u32::from(sure);
    }
    let most = 0.1 * runs as f64 + 3.0 * (0.09 * runs as f64).sqrt();
    assert!(f64::from(alarms) <= most, "{alarms} of {runs}, at most {most}");
}

#[test]
fn a_minute_counts_once_and_a_stored_state_goes_on_as_if_nothing_had_happened() {
    let spec = spec(json!({"segments": ["in.plan"]}));
    let minutes: Vec<Minute> = {
        let mut dice = Dice::new(3);
        (0..90).map(|at| minute(&mut dice, at, 128, if at < 60 { 0.0 } else { 1.0 })).collect()
    };
    let (mut whole, mut broken) = (Watch::new(Timestamp(0), &spec), Watch::new(Timestamp(0), &spec));
    let (mut told, mut told_broken) = (Vec::new(), Vec::new());
    for (at, minute) in minutes.iter().enumerate() {
        told.extend(whole.fold(minute, &spec, &References::default()));
        whole.settle(minute.at.plus_micros(MINUTE));
        told_broken.extend(broken.fold(minute, &spec, &References::default()));
        broken.settle(minute.at.plus_micros(MINUTE));
        if at % 7 == 0 {
            broken = serde_json::from_str(&serde_json::to_string(&broken).unwrap()).unwrap();
            told_broken.extend(broken.fold(minute, &spec, &References::default()));
        }
    }
    assert_eq!(told, told_broken);
    assert_eq!(whole, broken);
    assert!(!told.is_empty() && whole.rows == [90 * 1280, 90 * 128]);
}

#[test]
fn another_version_begins_anew_and_ends_the_drift_of_the_one_before() {
    let spec = spec(json!({"window": "30m"}));
    let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(5));
    for at in 0..60 {
        watch.fold(&minute(&mut dice, at, 200, if at < 20 { 0.0 } else { 1.0 }), &spec, &References::default());
    }
    assert!(watch.drifting);
    let next = Minute { version: "4".into(), ..minute(&mut dice, 60, 200, 1.0) };
    let told = watch.fold(&next, &spec, &References::default());
    assert_eq!((told.len(), told[0].kind, told[0].ends()), (1, TransitionKind::Replaced, true));
    assert!(told[0].sentence.contains("version 4 answers instead of version 3, whose drift ends"));
    assert_eq!((watch.version.as_str(), watch.drifting, watch.rows), ("4", false, [2_000, 200]));
}

/// One plan's users change, the others do not: the segment is named.
#[test]
fn a_segment_that_drifts_is_named() {
    let spec = spec(json!({"segments": ["in.plan"], "columns": ["in.x"], "window": "30m"}));
    let (mut watch, mut dice, mut told) = (Watch::new(Timestamp(0), &spec), Dice::new(11), Vec::new());
    for at in 0..200 {
        let mut minute = minute(&mut dice, at, 256, 0.0);
        let plan = minute.columns["in.plan"].clone();
        if at >= 100
            && let (Cells::Texts(plan), Some(Cells::Numbers(x))) = (plan, minute.columns.get_mut("in.x"))
        {
            plan.iter().zip(x).filter(|(p, _)| p.as_deref() == Some("plus")).for_each(|(_, x)| *x += 1.5);
        }
        told.extend(watch.fold(&minute, &spec, &References::default()));
    }
    let columns: Vec<serde_json::Value> =
        told.iter().flat_map(|t| t.numbers["columns"].as_array().unwrap().clone()).collect();
    assert!(columns.iter().any(|c| c["segment"] == "in.plan = plus"), "{columns:?}");
    assert!(columns.iter().all(|c| c["segment"] != "in.plan = basic"), "{columns:?}");
}

#[test]
fn a_reference_from_a_profile_needs_no_rows_of_its_own() {
    let spec = spec(json!({"minRows": 100}));
    let mut dice = Dice::new(2);
    let known: Vec<f64> = (0..4_000).map(|_| dice.normal()).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("train.csv");
    let lines: Vec<String> =
        known.iter().map(|x| format!("{x},{}", if dice.unit() < 0.6 { "basic" } else { "plus" })).collect();
    std::fs::write(&file, format!("x,plan\n{}\n", lines.join("\n"))).unwrap();
    let profile = crate::profile::profile(&crate::Table::open(&file).unwrap(), 2).unwrap();
    let text = serde_json::to_string(&profile).unwrap();
    let references = References::new(Some(&serde_json::from_str(&text).unwrap()));
    let mut watch = Watch::new(Timestamp(0), &spec);
    let mut told = Vec::new();
    for at in 0..20 {
        let mut minute = minute(&mut dice, at, 200, 0.0);
        // The training data had no missing plans.
        if let Some(Cells::Texts(plan)) = minute.columns.get_mut("in.plan") {
            plan.iter_mut().filter(|p| p.is_none()).for_each(|p| *p = Some("basic".into()));
        }
        told.extend(watch.fold(&minute, &spec, &references));
    }
    let origins: Vec<&str> = watch.tracks().map(|(_, _, t)| t.origin.as_str()).collect();
    assert_eq!(origins, ["profile", "profile", "first-rows"]);
    assert_eq!(standings(&watch)[1], ("in.x", "steady"), "{told:?}");
    // A column that is gone has no value in any row.
    for at in 20..40 {
        let mut minute = minute(&mut dice, at, 200, 0.0);
        minute.columns.remove("in.x");
        told.extend(watch.fold(&minute, &spec, &references));
    }
    assert_eq!(watch.tracks["in.x"].standing, Standing::Drift);
    // Words where there were numbers cannot be compared, and are no drift.
    let mut minute = minute(&mut dice, 40, 200, 0.0);
    minute.columns.insert("in.x".into(), Cells::Texts(vec![Some("1.0".into()); 200]));
    watch.fold(&minute, &spec, &references);
    assert_eq!(watch.tracks["in.x"].standing, Standing::Unlike);
}

/// A minute of texts of about so many words, none of them twice, as the sampler gives them.
fn said(dice: &mut Dice, at: i64, words: f64, spec: &crate::live::MonitorSpec) -> Minute {
    let text = |i: i64| -> Option<String> {
        let words = (words + 3.0 * dice.normal()).max(1.0) as i64;
        (i % 50 != 0).then(|| (0..words).map(|w| format!("w{at:04}x{i:03}y{w:02}a")).collect::<Vec<_>>().join(" "))
    };
    let texts: ArrayRef = Arc::new((0..200).map(text).collect::<StringArray>());
    let lines = Lines { at: vec![at * MINUTE; 200], first_id: (at * 200) as u64, variant: "stable", version: "3" };
    let mut sampler = Sampler::from(Timestamp(at * MINUTE));
    sampler.take(&batch(&lines, vec![("in.comment", texts)]), spec).unwrap();
    sampler.close(Timestamp((at + 1) * MINUTE)).remove(0)
}

#[test]
fn free_text_drifts_by_its_form_and_not_because_every_text_is_new() {
    let asked = |texts: bool| {
        let texts = if texts { json!(["in.comment"]) } else { json!([]) };
        spec(json!({"minRows": 200, "texts": texts, "window": "10m"}))
    };
    let mut dice = Dice::new(9);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("train.jsonl");
    let lines: Vec<String> = (0..20)
        .flat_map(|at| match said(&mut dice, 1_000 + at, 12.0, &asked(false)).columns.remove("in.comment") {
            Some(Cells::Texts(texts)) => texts,
            other => panic!("{other:?}"),
        })
        .map(|text| json!({ "comment": text }).to_string())
        .collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let profile = crate::profile::profile(&crate::Table::open(&file).unwrap(), 2).unwrap();
    let profile = serde_json::from_str(&serde_json::to_string(&profile).unwrap()).unwrap();
    for references in [References::new(Some(&profile)), References::default()] {
        let spec = asked(true);
        let mut watch = Watch::new(Timestamp(0), &spec);
        let mut told = Vec::new();
        for at in 0..40 {
            told.extend(watch.fold(&said(&mut dice, at, 12.0, &spec), &spec, &references));
        }
        let names: Vec<&str> = standings(&watch).into_iter().map(|(name, _)| name).collect();
        let forms = ["in.comment:length", "in.comment:non-letters %", "in.comment:sentences", "in.comment:words"];
        assert_eq!((names, told.as_slice()), (forms.to_vec(), &[][..]));
        for at in 40..60 {
            told.extend(watch.fold(&said(&mut dice, at, 24.0, &spec), &spec, &references));
        }
        assert_eq!(told[0].kind, TransitionKind::Drifted);
        assert!(told[0].sentence.contains("in.comment:words"), "{}", told[0].sentence);
        assert!(told[0].numbers["query"].as_str().unwrap().contains("\"in.comment\""), "{}", told[0].numbers);
        let drifted: Vec<&str> = watch.drifted().into_iter().collect();
        assert!(drifted.contains(&"in.comment:length") && !drifted.contains(&"in.comment:sentences"), "{drifted:?}");
        let from_profile = watch.tracks["in.comment:words"].origin == Origin::Profile;
        assert_eq!(from_profile, references.of("in.comment:words").is_some());
    }
    // By its values alone nothing is seen of it.
    let spec = asked(false);
    let mut watch = Watch::new(Timestamp(0), &spec);
    for at in 0..60 {
        let words = if at < 40 { 12.0 } else { 24.0 };
        assert!(watch.fold(&said(&mut dice, at, words, &spec), &spec, &References::default()).is_empty());
    }
    assert_eq!(standings(&watch), [("in.comment", "steady")]);
}

#[test]
fn a_window_before_the_declaration_is_a_reference() {
    let spec = spec(json!({"reference": {"window": "30m"}, "columns": ["in.x"]}));
    let start = 10_000 * MINUTE;
    let mut watch = Watch::new(Timestamp(start), &spec);
    assert_eq!(watch.position, Timestamp(start - 30 * MINUTE));
    let mut dice = Dice::new(9);
    for at in 9_970..10_030 {
        let minute = minute(&mut dice, at, 200, if at < 10_010 { 0.0 } else { 1.0 });
        let told = watch.fold(&minute, &spec, &References::default());
        let x = &watch.tracks["in.x"];
        assert_eq!(x.standing == Standing::Learning, at < 9_999, "{at}");
        assert!(told.is_empty() || at >= 10_010);
    }
    let x = &watch.tracks["in.x"];
    assert_eq!((x.origin, x.reference().unwrap().rows()), (Origin::Window, 5_400), "nine tenths of 30 minutes");
    assert_eq!(x.standing, Standing::Drift);
}

/// The first half of a long window is not the whole of it.
#[test]
fn a_long_window_is_learnt_from_all_of_it() {
    let spec = spec(json!({"reference": {"window": "400m"}, "columns": ["in.x"]}));
    let start = 10_000 * MINUTE;
    let (mut watch, mut dice) = (Watch::new(Timestamp(start), &spec), Dice::new(4));
    for at in 9_600..10_001 {
        let minute = minute(&mut dice, at, 200, if at < 9_800 { 0.0 } else { 100.0 });
        watch.fold(&minute, &spec, &References::default());
    }
    let reference = watch.tracks["in.x"].reference().unwrap();
    let edges = reference.edges.as_ref().unwrap();
    let low: u64 = reference.counts.iter().zip(edges).filter(|(_, edge)| **edge < 50.0).map(|(n, _)| n).sum();
    let share = low as f64 / reference.rows() as f64;
    assert!((0.4..0.6).contains(&share), "{share} of {} rows", reference.rows());
}

#[test]
fn segments_are_those_of_many_rows_and_their_level_is_no_more_than_it_was() {
    let spec = spec(json!({"segments": ["in.plan", "in.country"], "columns": ["in.x", "in.z"]}));
    let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(21));
    for at in 0..40 {
        let mut minute = minute(&mut dice, at, 10, 0.0);
        // Ten rows of one value say nothing of the next.
        let plan = format!("p{}", if at == 0 { 99 } else { at % 4 });
        minute.columns.insert("in.plan".into(), Cells::Texts(vec![Some(plan.into()); 10]));
        // Columns that come when the segments are known, and a segment's column that comes when the columns are.
        if at >= 25 {
            minute.columns.insert("in.z".into(), Cells::Numbers(vec![1.0; 10]));
        }
        if at >= 5 {
            minute.columns.insert("in.country".into(), Cells::Texts(vec![Some("at".into()); 10]));
        }
        watch.fold(&minute, &spec, &References::default());
        assert_eq!(watch.segments.contains_key("in.plan"), at >= 19, "{at}");
    }
    let values: Vec<&str> = watch.segments["in.plan"].iter().map(|s| s.value.as_str()).collect();
    assert_eq!((values.len(), values[0], values[4]), (5, "p1", "p99"));
    let names = |of: &str| watch.segments[of][0].tracks.keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!((names("in.plan"), names("in.country")), (vec!["in.x", "in.z"], vec!["in.x", "in.z"]));
    assert_eq!(watch.tracks().count(), 2 + 5 * 2 + 2);
    let level: f64 = watch.tracks().map(|(_, _, track)| track.level).sum();
    assert!(level <= spec.level && level > 0.9 * spec.level, "{level}");
}

#[test]
fn a_monitor_of_too_many_tracks_says_how_many_it_leaves_out() {
    let spec = spec(json!({"segments": ["in.plan"], "columns": ["in.c*"]}));
    let mut watch = Watch::new(Timestamp(0), &spec);
    let word = |row: usize| Some(Box::from(format!("p{}", row % 8)));
    let mut columns = BTreeMap::from([("in.plan".to_owned(), Cells::Texts((0..200).map(word).collect()))]);
    columns.extend((0..300).map(|c| (format!("in.c{c}"), Cells::Numbers(vec![f64::from(c); 200]))));
    for at in 0..3 {
        let (model, version) = ("churn".to_owned(), "3".to_owned());
        let at = Timestamp(at * MINUTE);
        let minute = Minute { at, model, version, seen: 200, rows: 200, in_time: Vec::new(), columns: columns.clone() };
        watch.fold(&minute, &spec, &References::default());
        assert_eq!((watch.tracks().count(), watch.left_out), (2_000, 700));
    }
    assert!(watch.segments["in.plan"][0].tracks.len() == 300 && watch.segments["in.plan"][7].tracks.is_empty());
}

#[test]
fn portions_of_a_level_add_up_to_no_more_than_it() {
    let sum: f64 = (1..100_000).map(portion).sum();
    assert!(sum < 1.0 && sum > 0.999);
}

/// 200 monitors of 200 minutes with labels and their error tell no more often than promised, and what they tell of the error
/// is told apart.
#[test]
fn labels_are_watched_apart_and_share_the_level() {
    let spec = spec(json!({
        "level": 0.1, "minEffect": 0.0, "minRows": 1, "reference": {"firstRows": 1000}, "columns": ["in.x"],
        "label": {"name": "y", "wait": "1d"}
    }));
    let labels = |dice: &mut Dice, at: i64, wrong: f64| {
        let draw = |dice: &mut Dice, p: f64| f64::from(u8::from(dice.unit() < p));
        let y: Vec<f64> = (0..64).map(|_| draw(dice, 0.16)).collect();
        let error: Vec<f64> = (0..64).map(|_| draw(dice, wrong)).collect();
        let columns = [("label.y".to_owned(), Cells::Numbers(y)), ("error.y".to_owned(), Cells::Numbers(error))];
        Minute { columns: columns.into(), ..minute(dice, at, 64, 0.0) }
    };
    let mut alarms = 0;
    for run in 0..200 {
        let (mut watch, mut dice, mut told) = (Watch::new(Timestamp(0), &spec), Dice::new(7_000 + run), false);
        for at in 0..200 {
            told |= !watch.fold(&minute(&mut dice, at, 64, 0.0), &spec, &References::default()).is_empty();
            told |= !watch.fold_labels(&labels(&mut dice, at, 0.1), &spec, &References::default()).is_empty();
        }
        assert_eq!(watch.tracks().count(), 3);
        let level: f64 = watch.tracks().map(|(_, _, track)| track.level).sum();
        assert!(level <= spec.level, "{level}");
        alarms += u32::from(told);
    }
    // A binomial's mean and three standard deviations.
    assert!(f64::from(alarms) <= 200.0 * 0.1 + 3.0 * (200.0_f64 * 0.1 * 0.9).sqrt(), "{alarms}");
    let (mut watch, mut dice, mut told) = (Watch::new(Timestamp(0), &spec), Dice::new(5), Vec::new());
    for at in 0..120 {
        watch.fold(&minute(&mut dice, at, 64, 0.0), &spec, &References::default());
        let wrong = if at < 60 { 0.1 } else { 0.4 };
        told.extend(watch.fold_labels(&labels(&mut dice, at, wrong), &spec, &References::default()));
    }
    let columns: Vec<&str> =
        told[0].numbers["columns"].as_array().unwrap().iter().map(|c| c["column"].as_str().unwrap()).collect();
    assert_eq!((columns, told[0].numbers["columns"][0]["drift"].as_str()), (vec!["error.y"], Some("concept")));
    // It is told when it is known, and dated by its predictions.
    assert!(
        told[0].at >= Timestamp(60 * MINUTE)
            && told[0].numbers["columns"][0]["changedAtMicros"].as_i64() >= Some(55 * MINUTE)
    );
    // Another version's labels are nobody's, and the minute counts once.
    let rows = watch.truth.rows;
    watch.settle_labels(Timestamp(120 * MINUTE));
    watch.fold_labels(&labels(&mut dice, 119, 0.4), &spec, &References::default());
    watch.fold_labels(&Minute { version: "4".into(), ..labels(&mut dice, 121, 0.4) }, &spec, &References::default());
    assert_eq!(watch.truth.rows, rows);
    watch.fold(&Minute { version: "4".into(), ..minute(&mut dice, 125, 64, 0.0) }, &spec, &References::default());
    assert!(watch.truth.tracks.is_empty() && watch.truth.until == Timestamp(125 * MINUTE));
}

/// Of a segment the labels and the error are watched apart, and the level is shared out among all of them.
#[test]
fn labels_are_watched_by_segment_with_their_errors() {
    let spec = spec(json!({
        "level": 0.1, "minRows": 100, "reference": {"firstRows": 1000}, "columns": ["in.x"], "segments": ["in.plan"],
        "label": {"name": "y", "wait": "1d"}, "window": "1h"
    }));
    let labels = |dice: &mut Dice, at: i64, wrong: f64| {
        let mut labelled = minute(dice, at, 64, 0.0);
        let Cells::Texts(plan) = labelled.columns["in.plan"].clone() else { unreachable!() };
        let plus = |row: usize| plan[row].as_deref() == Some("plus");
        let y = (0..64).map(|_| f64::from(u8::from(dice.unit() < 0.5))).collect();
        let error = (0..64).map(|row| f64::from(u8::from(dice.unit() < if plus(row) { wrong } else { 0.1 }))).collect();
        labelled.columns.insert("label.y".to_owned(), Cells::Numbers(y));
        labelled.columns.insert("error.y".to_owned(), Cells::Numbers(error));
        labelled
    };
    let (mut watch, mut dice, mut told) = (Watch::new(Timestamp(0), &spec), Dice::new(11), Vec::new());
    for at in 0..240 {
        watch.fold(&minute(&mut dice, at, 64, 0.0), &spec, &References::default());
        let wrong = if at < 120 { 0.1 } else { 0.8 };
        told.extend(watch.fold_labels(&labels(&mut dice, at, wrong), &spec, &References::default()));
    }
    let level: f64 = watch.tracks().map(|(_, _, track)| track.level).sum();
    assert!(level <= spec.level, "{level}");
    let of: Vec<(&str, Option<(&str, &str)>)> = watch
        .tracks()
        .filter(|(name, _, track)| *name == "error.y" && track.standing == Standing::Drift)
        .map(|(name, part, _)| (name, part))
        .collect();
    assert!(of.contains(&("error.y", Some(("in.plan", "plus")))), "{of:?}");
    assert!(!of.contains(&("error.y", Some(("in.plan", "basic")))), "{of:?}");
    assert!(told.iter().any(|t| t.sentence.contains("error.y where in.plan = plus")), "{told:?}");
    // How wrong it was in the last hour, with what is known of it.
    let wrong: BTreeMap<Option<(&str, &str)>, Wrong<'_>> = watch.truth.wrong().map(|w| (w.segment, w)).collect();
    for (part, value) in [(Some(("in.plan", "plus")), 0.8), (Some(("in.plan", "basic")), 0.1)] {
        let found = wrong[&part];
        let interval = found.measure.interval.unwrap();
        assert_eq!(found.metric, "error_rate");
        assert!(interval.low < value && value < interval.high && interval.high - interval.low < 0.1, "{found:?}");
    }
    let rows: u64 = wrong[&None].rows;
    assert!((50 * 64..=70 * 64).contains(&rows), "of the window alone: {rows}");
    let written = serde_json::to_string(&watch).unwrap();
    assert_eq!(serde_json::from_str::<Watch>(&written).unwrap(), watch);
}

#[test]
fn a_label_is_compared_with_the_profiles_target() {
    let spec = spec(json!({"minRows": 100, "label": {"name": "y", "column": "target"}}));
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    let lines: Vec<String> =
        (0..2_000).map(|i: u32| format!("{},{}\n", i % 7, u8::from(i.is_multiple_of(5)))).collect();
    let lines = lines.concat();
    std::fs::write(file.path(), format!("x,target\n{lines}")).unwrap();
    let profile = crate::profile::profile(&crate::Table::open(file.path()).unwrap(), 1).unwrap();
    let references = References::new(Some(&profile));
    let (mut watch, mut dice, mut told) = (Watch::new(Timestamp(0), &spec), Dice::new(1), Vec::new());
    for at in 0..20 {
        watch.fold(&minute(&mut dice, at, 64, 0.0), &spec, &references);
        let y: Vec<f64> = (0..64).map(|_| f64::from(u8::from(dice.unit() < 0.6))).collect();
        let labelled =
            Minute { columns: [("label.y".to_owned(), Cells::Numbers(y))].into(), ..minute(&mut dice, at, 64, 0.0) };
        told.extend(watch.fold_labels(&labelled, &spec, &references));
    }
    assert_eq!(watch.truth.tracks["label.y"].origin, Origin::Profile);
    assert!(
        told.iter().any(|t| t.sentence.contains("label.y")
            && t.sentence.contains("the inputs have changed and what is true with them")),
        "{told:?}"
    );
}

/// Two variants in a day that goes up and down: what both do is no drift, what one does alone is.
#[test]
fn what_is_answered_meanwhile_is_a_reference_that_knows_the_hour() {
    let spec = spec(json!({"variant": "v8", "window": "30m", "columns": ["in.x", "in.plan"], "segments": ["in.plan"],
        "reference": {"variant": "stable"}}));
    let (mut watch, mut dice, mut told) = (Watch::new(Timestamp(0), &spec), Dice::new(1_000_003), Vec::new());
    let season = |at: i64| if at / 30 % 2 == 0 { 0.0 } else { 1.5 };
    for at in 0..240 {
        let own = if at < 150 { 0.0 } else { 0.6 };
        let mine = minute(&mut dice, at, 100, season(at) + own);
        let theirs = Minute { version: "2".into(), ..minute(&mut dice, at, 200, season(at)) };
        // A minute in which nobody answered beside tells nothing.
        let beside = (at % 7 != 3).then_some(&theirs);
        told.extend(watch.fold_beside((&mine, beside), &spec));
        if at == 149 {
            assert!(told.is_empty(), "{told:?}");
            assert!(watch.tracks().all(|(_, _, track)| track.origin == Origin::Beside), "{:?}", standings(&watch));
            assert_eq!(watch.tracks["in.x"].standing, Standing::Steady, "{:?}", watch.tracks["in.x"].moved);
        }
    }
    assert_eq!(watch.tracks["in.x"].standing, Standing::Drift);
    let first = &told[0];
    assert!((150..175).contains(&(first.at.micros() / MINUTE)), "{first:?}");
    // A stored state goes on alike, and another version of either side begins anew.
    let again: Watch = serde_json::from_str(&serde_json::to_string(&watch).unwrap()).unwrap();
    assert_eq!(again, watch);
    let (mine, theirs) = (minute(&mut dice, 240, 100, 0.0), minute(&mut dice, 240, 100, 0.0));
    let replaced = watch.fold_beside((&mine, Some(&theirs)), &spec);
    assert!(replaced[0].sentence.contains("what it is compared with is version 3 now"), "{}", replaced[0].sentence);
    assert!(!watch.drifting && watch.beside == Some(("churn".into(), "3".into())));
}

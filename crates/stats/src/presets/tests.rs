//! Each preset beside the tool whose choices it makes.

use super::*;
use crate::testing::{cases, list, near, number, numbers, sides};

#[test]
fn evidently_chooses_and_judges_the_same() {
    let cases = cases(include_str!("../../oracles/evidently.json"));
    for case in list(&cases["columns"]) {
        let [reference, current] = sides(case);
        let found = judge(Preset::Evidently, &reference, &current, 0.05).unwrap();
        assert_eq!(found.method, case["method"], "{case}");
        assert_eq!(found.threshold, number(&case["threshold"]), "{case}");
        near(found.score, number(&case["score"]), 1e-9, &case.to_string());
        assert_eq!(found.verdict == Verdict::Drift, case["drift"] == true, "{case}");
    }
}

#[test]
fn evidently_makes_the_test_that_it_is_told_to() {
    let cases = cases(include_str!("../../oracles/evidently.json"));
    for case in list(&cases["explicit"]) {
        let [reference, current] = sides(case);
        let names: Vec<&str> = if case["kind"] == "categories" {
            CategoryTest::NAMED[1..].iter().map(|(name, _)| *name).collect()
        } else {
            NumberTest::NAMED.iter().map(|(name, _)| *name).collect()
        };
        for name in names {
            let told = match case["kind"].as_str() {
                Some("categories") => Tests { categories: Some(name.parse().unwrap()), ..Tests::default() },
                // Of whole numbers of which there are few, it makes a test of categories.
                Some("whole") if distinct(&current) <= 10 => continue,
                _ => Tests { numbers: Some(name.parse().unwrap()), ..Tests::default() },
            };
            let found = judge_by(told, &reference, &current).unwrap();
            near(found.score, number(&case["scores"][name]), 1e-9, &format!("{name} of {case}"));
        }
    }
    let kind = |name: &str| {
        let told = Tests { numbers: Some(name.parse().unwrap()), ..Tests::default() };
        let side = |from: f64| Values::Numbers { values: (0..40).map(|i| from + f64::from(i)).collect(), whole: false };
        let found = judge_by(told, &side(0.0), &side(9.0)).unwrap();
        (found.kind, found.threshold)
    };
    assert_eq!((kind("ks"), kind("anderson")), ((Score::PValue, 0.05), (Score::PValue, 0.1)));
    assert_eq!((kind("ed"), kind("psi")), ((Score::Distance, 0.1), (Score::Distance, 0.1)));
    assert!("median".parse::<NumberTest>().unwrap_err().contains("cramer_von_mises"));
}

fn distinct(values: &Values) -> usize {
    let Values::Numbers { values, .. } = values else { return 0 };
    Sample::new(values.clone()).distinct()
}

#[test]
fn nannyml_has_the_same_chunks_and_thresholds() {
    let cases = cases(include_str!("../../oracles/nannyml.json"));
    for case in list(&cases["columns"]) {
        let [reference, current] = sides(case);
        let found = judge(Preset::NannyMl, &reference, &current, 0.05).unwrap();
        near(found.threshold, number(&case["threshold"]), 1e-9, &case.to_string());
        let theirs = numbers(&case["chunks"]);
        assert_eq!(found.chunks.len(), theirs.len(), "{case}");
        found.chunks.iter().zip(theirs).for_each(|(x, y)| near(*x, y, 1e-9, &case.to_string()));
        let alerts = list(&case["alerts"]).iter().any(|a| a == true);
        assert_eq!(found.verdict == Verdict::Drift, alerts, "{case}");
    }
}

#[test]
fn whylogs_has_the_same_p_values() {
    let cases = cases(include_str!("../../oracles/whylogs.json"));
    for case in list(&cases["columns"]) {
        let [reference, current] = sides(case);
        let found = judge(Preset::Whylogs, &reference, &current, 0.05).unwrap();
        assert_eq!(found.method, case["method"], "{case}");
        near(found.score, number(&case["score"]), 1e-9, &case.to_string());
        let category = match found.verdict {
            Verdict::Drift => "DRIFT",
            Verdict::Possible => "POSSIBLE_DRIFT",
            Verdict::Steady => "NO_DRIFT",
        };
        assert_eq!(category, case["category"], "{case}");
    }
}

fn ramp(n: usize, from: f64, missing: usize) -> Values {
    let mut coin = crate::stream::Coin::new(n as u64);
    let value = |i: usize, u: f64| if missing > 0 && i.is_multiple_of(missing) { f64::NAN } else { u + from };
    Values::Numbers { values: (0..n).map(|i| value(i, coin.unit())).collect(), whole: false }
}

/// Also a change that is only in what is missing.
#[test]
fn the_sequential_preset_says_since_when() {
    let reference = ramp(5_000, 0.0, 10);
    let steady = judge(Preset::Sequential, &reference, &ramp(20_000, 0.0, 10), 0.01).unwrap();
    assert_eq!((steady.verdict, steady.since), (Verdict::Steady, None), "{steady:?}");
    let (Values::Numbers { values: mut rows, .. }, Values::Numbers { values: later, .. }) =
        (ramp(8_000, 0.0, 10), ramp(2_000, 0.2, 10))
    else {
        unreachable!("numbers")
    };
    rows.extend(later);
    let moved = judge(Preset::Sequential, &reference, &Values::Numbers { values: rows, whole: false }, 0.01).unwrap();
    let since = moved.since.unwrap();
    assert!((8_000..8_400).contains(&since) && moved.score >= 100.0, "{moved:?}");
    let gone = judge(Preset::Sequential, &reference, &ramp(3_000, 0.0, 2), 0.01).unwrap();
    assert_eq!(gone.verdict, Verdict::Drift);
}

/// Files that are sorted are compared as sets: the same values are no drift, others are.
#[test]
fn a_sorted_reference_makes_the_order_of_rows_count_for_nothing() {
    let sorted = |from: f64| {
        let Values::Numbers { mut values, .. } = ramp(4_000, from, 0) else { unreachable!("numbers") };
        values.sort_by(f64::total_cmp);
        Values::Numbers { values, whole: false }
    };
    let same = judge(Preset::Sequential, &sorted(0.0), &sorted(0.0), 0.01).unwrap();
    assert_eq!((same.verdict, same.method), (Verdict::Steady, "conformal martingale, rows by chance"), "{same:?}");
    let moved = judge(Preset::Sequential, &sorted(0.0), &sorted(0.2), 0.01).unwrap();
    assert_eq!((moved.verdict, moved.since), (Verdict::Drift, None));
    let labels =
        |split: usize| Values::Categories { values: (0..4_000).map(|i| u32::from(i >= split)).collect(), text: true };
    assert_eq!(judge(Preset::Sequential, &labels(2_000), &labels(2_000), 0.01).unwrap().verdict, Verdict::Steady);
    assert_eq!(judge(Preset::Sequential, &labels(2_000), &labels(3_000), 0.01).unwrap().verdict, Verdict::Drift);
}

#[test]
fn columns_without_an_answer_say_why() {
    let texts = |n: u32| Values::Categories { values: (0..n).collect(), text: true };
    assert_eq!(judge(Preset::Evidently, &texts(50), &texts(50), 0.05), Err(NoFinding::Text));
    let empty = Values::Numbers { values: vec![f64::NAN; 20], whole: false };
    let full = ramp(20, 0.0, 0);
    for preset in [Preset::Evidently, Preset::NannyMl, Preset::Whylogs] {
        assert_eq!(judge(preset, &empty, &full, 0.05), Err(NoFinding::Empty("reference")));
        assert_eq!(judge(preset, &full, &empty, 0.05), Err(NoFinding::Empty("current data")));
    }
    assert_eq!(judge(Preset::NannyMl, &ramp(9, 0.0, 0), &full, 0.05), Err(NoFinding::Chunks(9)));
    for preset in [Preset::Evidently, Preset::NannyMl, Preset::Whylogs, Preset::Sequential] {
        assert_eq!(judge(preset, &full, &texts(20), 0.05), Err(NoFinding::Kinds));
        assert_eq!(preset.as_str().parse(), Ok(preset));
    }
}

/// What a profile from outside may say of its bins: indices into its counts come of it.
#[test]
fn a_calibration_whose_bins_do_not_fit_is_refused() {
    let read =
        |text: &serde_json::Value| serde_json::from_value::<Calibration>(text.clone()).map_err(|e| e.to_string());
    let counts = |n: usize| vec![1_u64; n];
    for (wrong, why) in [
        (serde_json::json!({"edges": [1.0, 2.0], "counts": counts(3)}), "3 counts, 4"),
        (serde_json::json!({"edges": [1.0, 2.0], "counts": counts(5)}), "5 counts, 4"),
        (serde_json::json!({"edges": [], "counts": []}), "0 counts, 2"),
        (serde_json::json!({"edges": [2.0, 1.0], "counts": counts(4)}), "ascend"),
        (serde_json::json!({"edges": [1.0, 1.0], "counts": counts(4)}), "ascend"),
        (serde_json::json!({"edges": (0..40).collect::<Vec<_>>(), "counts": counts(42)}), "40 edges"),
        (serde_json::json!({"edges": null, "counts": counts(3)}), "3 counts, 257"),
        (serde_json::json!({"edges": null, "counts": []}), "0 counts, 257"),
        (serde_json::json!({"edges": [], "counts": [u64::MAX, 1]}), "more rows"),
        (serde_json::json!({"edges": [], "counts": [u64::MAX / 2, 1]}), "more rows"),
    ] {
        let refused = read(&wrong).unwrap_err();
        assert!(refused.contains(why), "{wrong}: {refused}");
    }
    let numbers = [0.0, f64::NEG_INFINITY, f64::INFINITY, f64::NAN, 3.0].repeat(400);
    for right in [
        Calibration::new(&Values::Numbers { values: numbers, whole: false }).unwrap(),
        Calibration::new(&Values::Numbers { values: vec![f64::NAN], whole: false }).unwrap(),
        Calibration::hashed(),
    ] {
        assert_eq!(read(&serde_json::to_value(&right).unwrap()).unwrap(), right);
        let ends = [f64::NEG_INFINITY, f64::MIN, f64::MAX, f64::INFINITY].map(|v| right.bin_of_number(v));
        assert!(ends[0] == ends[1] && ends[2] == ends[3] && ends.iter().all(|bin| *bin < right.counts.len()));
    }
}

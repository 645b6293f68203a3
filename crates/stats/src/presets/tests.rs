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

fn asked(preset: Preset, categories: bool, name: &str) -> Tests {
    let test = Some(Asked::from(name));
    let named = if categories { (None, test) } else { (test, None) };
    Tests::named(preset, named.0, named.1).unwrap().unwrap()
}

#[test]
fn evidently_makes_the_test_that_it_is_told_to() {
    let cases = cases(include_str!("../../oracles/evidently.json"));
    let mut made = Vec::new();
    for case in list(&cases["explicit"]) {
        let [reference, current] = sides(case);
        let categories = case["kind"] == "categories";
        // Of whole numbers of which there are few, it makes a test of categories.
        if case["kind"] == "whole" && distinct(&current) <= 10 {
            continue;
        }
        for (name, told) in case["scores"].as_object().unwrap() {
            let found = asked(Preset::Evidently, categories, name).judge(&reference, &current).unwrap();
            // Of a thousand draws: three deviations of each side.
            let within = if name == "TVD" { 0.07 } else { 1e-9 };
            near(found.score, number(&told["score"]), within, &format!("{name} of {case}"));
            assert_eq!(found.threshold, number(&told["threshold"]), "{name}");
            assert_eq!(found.verdict == Verdict::Drift, told["drift"] == true, "{name} of {case}");
            made.push(name.clone());
        }
    }
    let there = evidently::NumberTest::NAMED.iter().map(|(name, _)| *name);
    let there = there.chain(evidently::CategoryTest::NAMED.iter().map(|(name, _)| *name));
    assert_eq!(there.filter(|name| !made.iter().any(|m| m == name)).collect::<Vec<_>>(), [""; 0], "not compared");
}

#[test]
fn a_test_is_asked_for_by_its_name_and_may_have_another_threshold() {
    let side = |from: f64| Values::Numbers { values: (0..40).map(|i| from + f64::from(i)).collect(), whole: false };
    let judged = |preset, test, threshold| {
        let tests = Tests::named(preset, Some(Asked { test, threshold }), None).unwrap().unwrap();
        tests.judge(&side(0.0), &side(9.0)).unwrap()
    };
    let own = judged(Preset::Evidently, "ks", None);
    assert_eq!((own.kind, own.threshold, own.verdict), (Score::PValue, 0.05, Verdict::Steady));
    assert_eq!(judged(Preset::Evidently, "ks", Some(own.score)).verdict, Verdict::Drift, "at the threshold itself");
    assert_eq!(judged(Preset::Evidently, "psi", Some(1e9)).verdict, Verdict::Steady);
    let found = judged(Preset::NannyMl, "wasserstein", Some(1e9));
    assert_eq!((found.threshold, found.verdict), (1e9, Verdict::Steady));
    let wrong = |preset, numbers, categories| Tests::named(preset, numbers, categories).unwrap_err();
    assert!(wrong(Preset::Evidently, Some("median".into()), None).contains("cramer_von_mises"));
    assert!(wrong(Preset::NannyMl, None, Some("chisquare".into())).contains("l_infinity"));
    assert!(wrong(Preset::Whylogs, Some("ks".into()), None).contains("whylogs"));
    let set = |test, threshold| Some(Asked { test, threshold: Some(threshold) });
    assert!(wrong(Preset::NannyMl, None, set("chi2", 0.1)).contains("chi2"));
    for threshold in [0.0, -1.0, f64::NAN] {
        assert!(wrong(Preset::Evidently, set("ks", threshold), None).contains("no threshold"));
    }
    assert_eq!(Tests::named(Preset::Sequential, None, None), Ok(None));
}

#[test]
fn a_test_of_two_categories_is_refused_for_more() {
    let side = |k: u32| Values::Categories { values: (0..60).map(|i| i % k).collect(), text: true };
    for name in ["z", "fisher_exact"] {
        let test = asked(Preset::Evidently, true, name);
        assert_eq!(test.judge(&side(3), &side(3)), Err(NoFinding::Test(NoTest::Categories(3))), "{name}");
        assert_eq!(test.judge(&side(1), &side(1)).unwrap().verdict, Verdict::Steady, "{name}");
    }
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
        for (name, told) in case["methods"].as_object().unwrap() {
            let test = asked(Preset::NannyMl, case["kind"] == "categories", name);
            let found = test.judge(&reference, &current).unwrap();
            let theirs = numbers(&told["chunks"]);
            assert_eq!(found.chunks.len(), theirs.len(), "{name} of {case}");
            found.chunks.iter().zip(theirs).for_each(|(x, y)| near(*x, y, 1e-9, &format!("{name} of {case}")));
            near(found.threshold, number(&told["threshold"]), 1e-9, &format!("{name} of {case}"));
            let alerts = list(&told["alerts"]).iter().any(|a| a == true);
            assert_eq!(found.verdict == Verdict::Drift, alerts, "{name} of {case}");
            if name == "jensen_shannon" {
                assert_eq!(judge(Preset::NannyMl, &reference, &current, 0.05).unwrap(), found);
            }
        }
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

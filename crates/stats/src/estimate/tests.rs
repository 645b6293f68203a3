//! What estimates are of, and what they cannot see.

use super::*;
use crate::stream::Coin;

/// Scores whose share of true rows is their square, and the classes that they say.
fn rows(seed: u64, n: usize, lift: f64) -> (Vec<f64>, Vec<u32>, Vec<u32>) {
    let mut coin = Coin::new(seed);
    let (mut given, mut said, mut truth) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..n {
        let score = coin.unit() * (1.0 - lift) + lift;
        given.extend([1.0 - score, score]);
        said.push(u32::from(score >= 0.5));
        truth.push(u32::from(coin.unit() < score * score));
    }
    (given, said, truth)
}

#[test]
fn a_shift_of_the_inputs_is_estimated_without_a_label() {
    let (given, said, truth) = rows(1, 8_000, 0.0);
    let cbpe = Cbpe::fit(Classified { classes: 2, given: &given, said: &said }, &truth, 10).unwrap();
    assert!(cbpe.is_calibrated());
    // Most rows now score where the model is wrong most.
    let (given, said, truth) = rows(2, 4_000, 0.4);
    let found = cbpe.estimate(Classified { classes: 2, given: &given, said: &said });
    let accuracy = found.iter().find(|e| e.metric == "accuracy").unwrap();
    let right = said.iter().zip(&truth).filter(|(s, t)| s == t).count() as f64 / said.len() as f64;
    assert!(accuracy.low < right && right < accuracy.high, "{accuracy:?} {right}");
    assert!(accuracy.alert && accuracy.value < accuracy.lower_threshold.unwrap());
    assert!(cbpe.estimate(Classified { classes: 2, given: &[], said: &[] }).is_empty());
    assert!(cbpe.estimate(Classified { classes: 3, given: &given, said: &said[..2666] }).is_empty());
}

#[test]
fn too_little_to_learn_from_is_said() {
    let (given, said, _) = rows(3, 50, 0.0);
    let few = Classified { classes: 2, given: &given[..40], said: &said[..20] };
    assert_eq!(Cbpe::fit(few, &[0; 20], 10).unwrap_err(), NoEstimate::Rows(20, 100));
    let (given, said, _) = rows(3, 200, 0.0);
    let one = Classified { classes: 2, given: &given, said: &said };
    assert_eq!(Cbpe::fit(one, &[1; 200], 10).unwrap_err(), NoEstimate::Class(0));
    let few = Predicted { said: &[0.0; 9], features: &[] };
    assert_eq!(Dle::fit(few, &[0.0; 9], 10).unwrap_err(), NoEstimate::Rows(9, 100));
}

#[test]
fn isotonic_pools_what_falls_and_is_level_beyond() {
    let rows = [(0.1, false), (0.2, true), (0.3, false), (0.4, true), (0.4, false), (0.9, true)];
    let line = Isotonic::fit(rows.into_iter().chain([(f64::NAN, true)]));
    // 0.2 and 0.3 fall, and are one half together with the tie.
    assert_eq!([0.0, 0.1, 0.2, 0.3, 0.4, 0.9, 2.0].map(|x| line.at(x)), [0.0, 0.0, 0.5, 0.5, 0.5, 1.0, 1.0]);
    assert!((line.at(0.15) - 0.25).abs() < 1e-12 && (line.at(0.65) - 0.75).abs() < 1e-12);
    assert!(line.at(f64::NAN).is_nan());
    assert_eq!(Isotonic::default().at(0.3), 0.3);
}

#[test]
fn a_forest_learns_steps_and_says_when_there_is_nothing_to_learn() {
    let mut coin = Coin::new(5);
    let x: Vec<f64> = (0..3_000).map(|i| if i % 10 == 0 { f64::NAN } else { coin.unit() }).collect();
    let noise: Vec<f64> = (0..3_000).map(|_| coin.unit()).collect();
    let step = |x: f64| if x.is_nan() { 5.0 } else { f64::from(u8::from(x > 0.5)) };
    let target: Vec<f64> = x.iter().zip(&noise).map(|(x, e)| step(*x) + 0.2 * (e - 0.5)).collect();
    let columns = [Feature::Numbers(&x)];
    let cuts = Cuts::of(&columns);
    let rows = cuts.bins(&columns);
    let forest = Forest::fit(&cuts, &rows, &target, 1);
    let at = |forest: &Forest, x: f64| forest.at(&cuts.bins(&[Feature::Numbers(&[x])]), 0);
    assert!(forest.explained().unwrap() > 0.97, "{:?}", forest.explained());
    for (x, want) in [(0.2, 0.0), (0.8, 1.0), (f64::NAN, 5.0)] {
        assert!((at(&forest, x) - want).abs() < 0.05, "{x}: {}", at(&forest, x));
    }
    let nothing = Forest::fit(&cuts, &rows, &noise, 1);
    assert!(nothing.explained().unwrap() < 0.02, "{:?}", nothing.explained());
    assert!((at(&nothing, 0.3) - 0.5).abs() < 0.1);
}

#[test]
fn words_are_learnt_and_do_not_tell_of_the_rows_that_they_are_checked_on() {
    let mut coin = Coin::new(8);
    let (rows, missing) = (4_000_u32, crate::presets::MISSING);
    let words: Vec<u32> = (0..rows).map(|i| if i % 10 == 0 { missing } else { (i * 7) % 30 }).collect();
    let noise: Vec<f64> = (0..rows).map(|_| coin.unit()).collect();
    let target: Vec<f64> = words.iter().zip(&noise).map(|(w, e)| f64::from(w.wrapping_mul(11) % 30) + e).collect();
    let fit = |words: &[u32], target: &[f64]| {
        let columns = [Feature::Words(words)];
        let cuts = Cuts::of(&columns);
        let forest = Forest::fit(&cuts, &cuts.bins(&columns), target, 1);
        (forest, cuts)
    };
    let (forest, cuts) = fit(&words, &target);
    assert!(forest.explained().unwrap() > 0.95, "{:?}", forest.explained());
    let mean = |forest: &Forest, cuts: &Cuts, word: u32| forest.at(&cuts.bins(&[Feature::Words(&[word])]), 0);
    assert!((mean(&forest, &cuts, 7) - 17.5).abs() < 1.0, "{}", mean(&forest, &cuts, 7));
    // Words of 100 rows each, and of one row each, with nothing to learn from them.
    for each in [100, 1] {
        let words: Vec<u32> = (0..rows).map(|i| i / each).collect();
        let (forest, cuts) = fit(&words, &noise);
        assert!(forest.explained().unwrap() < 0.01, "{each}: {:?}", forest.explained());
        assert!((mean(&forest, &cuts, 3) - mean(&forest, &cuts, 999_999)).abs() < 0.2);
    }
}

#[test]
fn a_threshold_beyond_what_is_possible_is_none() {
    let made = |limits| Estimate::new("accuracy", 1.0, 0.1, ((0.0, 1.0), Some(limits)));
    let inside = made((0.2, 0.9));
    assert_eq!((inside.lower_threshold, inside.upper_threshold, inside.alert), (Some(0.2), Some(0.9), true));
    for limits in [(0.0, 1.0), (-0.1, 1.2)] {
        let beyond = made(limits);
        assert_eq!((beyond.lower_threshold, beyond.upper_threshold, beyond.alert), (None, None, false));
    }
}

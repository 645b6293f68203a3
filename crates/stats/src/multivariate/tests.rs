//! Beside numpy, NannyML and Evidently, whose numbers `oracles/run.py` wrote down; and how often there is a false alarm.

use super::eigen::eigen;
use super::*;
use crate::presets::{self, MISSING, Preset, Side, VectorTest, Verdict};
use crate::special::normal_quantile;
use crate::testing::{cases, column, labels, list, near, number, numbers};
use crate::twosample::NoTest;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::HashMap;

#[test]
fn numpy_has_the_same_eigenvalues() {
    let theirs = numbers(&cases(include_str!("../../oracles/multivariate.json"))["eigenvalues"]);
    let n = theirs.len();
    let cell = |i: usize, j: usize| 1.0 / (1 + i + j) as f64 + if i == j { 0.1 * i as f64 } else { 0.0 };
    let ours = eigen((0..n).map(|i| (0..n).map(|j| cell(i, j)).collect()).collect());
    ours.values.iter().zip(&theirs).for_each(|(x, y)| near(*x, *y, 1e-10, "eigenvalue"));
}

proptest! {
    /// Also of matrices that lack rank.
    #[test]
    fn a_matrix_times_its_eigenvector_is_longer_by_the_eigenvalue(
        factors in prop::collection::vec(prop::collection::vec(-3.0..3.0_f64, 7), 1..9),
    ) {
        let sum = |i: usize, j: usize| factors.iter().map(|f| f[i] * f[j]).sum::<f64>();
        let matrix: Vec<Vec<f64>> = (0..7).map(|i| (0..7).map(|j| sum(i, j)).collect()).collect();
        let found = eigen(matrix.clone());
        let trace: f64 = (0..7).map(|i| matrix[i][i]).sum();
        prop_assert!((found.values.iter().sum::<f64>() - trace).abs() < 1e-10 * (1.0 + trace));
        for (at, (value, vector)) in found.values.iter().zip(&found.vectors).enumerate() {
            for (row, x) in matrix.iter().zip(vector) {
                prop_assert!((eigen::dot(row, vector) - value * x).abs() < 1e-10 * (1.0 + trace));
            }
            for other in &found.vectors[..at] {
                prop_assert!(eigen::dot(other, vector).abs() < 1e-10);
            }
        }
    }
}

/// The columns of one side of a table.
enum Made {
    Numbers(Vec<f64>),
    Categories(Vec<u32>),
}

impl Made {
    fn cells(&self) -> Cells<'_> {
        match self {
            Self::Numbers(values) => Cells::Numbers(values),
            Self::Categories(values) => Cells::Categories(values),
        }
    }
}

fn table(case: &Value, side: usize) -> Vec<Made> {
    let mix = if side == 2 && case["apart"] == true { 0.0 } else { number(&case["mix"]) };
    let mut before: Option<Vec<f64>> = None;
    let made = |spec: &Value| {
        if spec[0] == "categories" {
            return Made::Categories(labels(&spec[side]));
        }
        let mut values = column(&spec[side]);
        if let Some(before) = before.as_ref().filter(|_| mix != 0.0) {
            values.iter_mut().zip(before).for_each(|(x, y)| *x += mix * y);
        }
        before = Some(values.clone());
        Made::Numbers(values)
    };
    list(&case["columns"]).iter().map(made).collect()
}

fn cells(made: &[Made]) -> Vec<Cells<'_>> {
    made.iter().map(Made::cells).collect()
}

/// The first third, or the rest.
fn third(made: &Made, part: usize) -> Cells<'_> {
    let some = |n: usize| if part == 0 { 0..n / 3 } else { n / 3..n };
    match made {
        Made::Numbers(v) => Cells::Numbers(&v[some(v.len())]),
        Made::Categories(v) => Cells::Categories(&v[some(v.len())]),
    }
}

/// In two parts that merge, as threads would.
fn learnt(reference: &[Made]) -> Reconstruction {
    let numeric: Vec<bool> = reference.iter().map(|c| matches!(c, Made::Numbers(_))).collect();
    let cut = |part: usize| reference.iter().map(|made| third(made, part)).collect::<Vec<Cells>>();
    let survey = |part| {
        let mut survey = Survey::new(&numeric);
        survey.push(&cut(part));
        survey
    };
    let mut whole = survey(0);
    whole.merge(survey(1));
    let encoding = whole.encoding(|_, a, b| a.cmp(&b));
    let [mut sums, rest] = [0, 1].map(|part| {
        let mut sums = Covariance::new(&encoding);
        sums.push(&encoding, &cut(part));
        sums
    });
    sums.merge(&rest);
    sums.reconstruction(encoding).unwrap()
}

#[test]
fn nannyml_reconstructs_with_the_same_errors() {
    for case in list(&cases(include_str!("../../oracles/multivariate.json"))["tables"]) {
        let [reference, current] = [1, 2].map(|side| table(case, side));
        let pca = learnt(&reference);
        assert_eq!(pca.components() as f64, number(&case["components"]), "{case}");
        let errors = |side: &[Made]| {
            let mut errors = Vec::new();
            pca.errors(&cells(side), &mut errors);
            errors
        };
        let [before, now] = [errors(&reference), errors(&current)];
        let chunks = before.chunks(before.len() / 10).map(|c| c.iter().sum::<f64>() / c.len() as f64);
        chunks.zip(numbers(&case["reference"])).for_each(|(x, y)| near(x, y, 1e-9, "a chunk of the reference"));
        let found = presets::reconstruction(&before, &now).unwrap();
        let theirs = numbers(&case["chunks"]);
        assert_eq!(found.chunks.len(), theirs.len());
        found.chunks.iter().zip(theirs).for_each(|(x, y)| near(*x, y, 1e-9, &case["name"].to_string()));
        let upper = number(&case["upper"]);
        let lower = case["lower"].as_f64().unwrap_or(f64::NAN);
        assert!((found.threshold - upper).abs() < 1e-9 || (found.threshold - lower).abs() < 1e-9, "{case}");
        let alerts = list(&case["alerts"]);
        assert_eq!(found.since.is_some(), alerts.iter().any(|a| a == true), "{case}");
        assert_eq!(found.verdict == Verdict::Drift, found.since.is_some());
    }
}

#[test]
fn too_little_error_is_an_alert_too() {
    let errors = |level: f64| (0..100).map(|i| level + 0.01 * f64::from(i % 10)).collect::<Vec<_>>();
    let found = presets::reconstruction(&errors(1.0), &errors(0.5)).unwrap();
    assert!(found.verdict == Verdict::Drift && found.score < found.threshold, "{found:?}");
    let steady: Vec<f64> = (0..100).map(|i| 1.0 + f64::from(i / 10) * 0.01).collect();
    assert_eq!(presets::reconstruction(&steady, &steady).unwrap().verdict, Verdict::Steady);
    assert!(presets::reconstruction(&steady[..9], &steady).is_err());
}

fn features(case: &Value) -> (Table, [usize; 2]) {
    let [reference, current] = [1, 2].map(|side| table(case, side));
    let mut rows = [0; 2];
    let join = |(at, (a, b)): (usize, (Made, Made))| {
        let drawn = match (a, b) {
            (Made::Numbers(a), Made::Numbers(b)) => {
                rows = [a.len(), b.len()];
                Drawn::Numbers([a, b].concat())
            }
            (Made::Categories(a), Made::Categories(b)) => {
                rows = [a.len(), b.len()];
                let all = [a, b].concat();
                let names = all.iter().map(|v| (*v, format!("c{v:02}"))).collect();
                Drawn::Categories(all, names)
            }
            _ => unreachable!("a column has one kind"),
        };
        (format!("x{at}"), drawn)
    };
    let columns: Vec<(String, Drawn)> = reference.into_iter().zip(current).enumerate().map(join).collect();
    (Table::new(&columns), rows)
}

#[test]
fn boosted_trees_come_to_the_same_verdict() {
    for case in list(&cases(include_str!("../../oracles/multivariate.json"))["tables"]) {
        let (made, rows) = features(case);
        let found = apart(&made.rows, rows, 1).unwrap();
        let judged = presets::classified(Preset::NannyMl, &found, rows[0], 0.05).unwrap();
        assert_eq!(judged.verdict == Verdict::Drift, case["trees"] == true, "{case}: {found:?}");
        if case["name"] == "untied" {
            let heaviest = made.heaviest(&found.weights, 3);
            assert!(heaviest.iter().all(|w| w.name.contains('×') || w.name.contains('²')), "{heaviest:?}");
            assert!(found.auc.low > 0.65 && found.auc.high < 1.0 && found.p_value < 1e-6, "{found:?}");
        }
        if case["name"] == "steady" {
            assert!(found.p_value > 0.01 && found.auc.low < 0.5, "{found:?}");
        }
    }
}

fn vectors(case: &Value, side: usize) -> Vectors {
    let [seed, rows, scale, shift] = numbers(&case["sides"][side])[..] else { unreachable!("four numbers") };
    let width = number(&case["width"]);
    let cells = column(&serde_json::json!([seed, rows * width, scale, shift, 0, 0]));
    Vectors::new(width as usize, cells)
}

fn side(drawn: Vectors) -> Side {
    let mut side = Side::new(1);
    drawn.rows().for_each(|row| side.push(row));
    side
}

#[test]
fn evidently_has_the_same_scores_of_vectors() {
    for case in list(&cases(include_str!("../../oracles/embeddings.json"))["vectors"]) {
        let sides = [0, 1].map(|at| side(vectors(case, at)));
        let judged = |test: &str| {
            let test: VectorTest = test.parse().unwrap();
            presets::vectors(Preset::Evidently, test, &sides, (0.05, 3)).unwrap().0
        };
        let same = |test: &str, theirs: &Value| {
            let found = judged(test);
            near(found.score, number(&theirs[0]), 1e-9, test);
            assert_eq!(found.verdict == Verdict::Drift, theirs[1] == true, "{test} {case}: {found:?}");
        };
        same("mmd", &case["mmd"]);
        same("ratio", &case["ratio"]);
        for distance in ["euclidean", "cosine", "cityblock", "chebyshev"] {
            same(distance, &case["distance"][distance]);
        }
        let model = judged("model");
        assert_eq!(model.verdict == Verdict::Drift, case["model"] == true, "{case}: {model:?}");
    }
}

#[test]
fn evidently_has_the_same_forms_of_texts() {
    for case in list(&cases(include_str!("../../oracles/embeddings.json"))["texts"]) {
        let text = case[0].as_str().unwrap();
        let ours = Form::of(text).numbers();
        // Its words are of the letters a to z, and not parted by tabs and new lines.
        let theirs = numbers(&case[1]);
        ours.iter().zip(theirs).for_each(|(x, y)| near(*x, y, 1e-12, text));
    }
}

/// Draws of about a normal distribution.
fn normal(coin: &mut Coin) -> f64 {
    normal_quantile(coin.unit().max(1e-12))
}

/// Within three deviations of what so many runs would show.
#[track_caller]
fn about(alarms: usize, runs: usize, level: f64) {
    let share = alarms as f64 / runs as f64;
    let error = (level * (1.0 - level) / runs as f64).sqrt();
    assert!((share - level).abs() <= 3.0 * error, "{alarms} of {runs} runs at {level}");
}

#[test]
fn the_classifier_alarms_falsely_as_often_as_it_says() {
    let (runs, level) = (500, 0.05);
    let mut coin = Coin::new(11);
    let mut alarms = 0;
    for run in 0..runs {
        let sizes = [60, 90];
        let mut made = |_| {
            let shared: Vec<f64> = (0..150).map(|_| normal(&mut coin)).collect();
            Drawn::Numbers(shared.iter().map(|x| x + normal(&mut coin)).collect())
        };
        let columns: Vec<(String, Drawn)> = (0..3).map(|at| (format!("x{at}"), made(at))).collect();
        let found = apart(&Table::new(&columns).rows, sizes, run).unwrap();
        alarms += usize::from(found.p_value <= level);
    }
    about(alarms, runs as usize, level);
}

#[test]
fn the_discrepancy_alarms_falsely_as_often_as_it_says() {
    let (runs, level) = (500, 0.05);
    let mut coin = Coin::new(12);
    let mut alarms = 0;
    for run in 0..runs {
        let mut made = |rows: usize| Vectors::new(4, (0..4 * rows).map(|_| normal(&mut coin)).collect());
        let (a, b) = (made(25), made(30));
        alarms += usize::from(mmd(&a, &b).unwrap().p_value(199, run) <= level);
    }
    about(alarms, runs as usize, level);
}

/// A change of the spread alone, which no mean and no linear classifier sees.
#[test]
fn the_discrepancy_sees_another_spread() {
    let mut coin = Coin::new(13);
    let mut made = |scale: f64| Vectors::new(4, (0..400).map(|_| scale * normal(&mut coin)).collect());
    let (a, b) = (made(1.0), made(1.7));
    let found = mmd(&a, &b).unwrap().p_value(999, 1);
    assert!(found <= 0.001 + 1e-9, "{found}");
    let judged = presets::vectors(Preset::Sequential, VectorTest::Mmd, &[side(a), side(b)], (0.01, 1)).unwrap().0;
    assert_eq!(judged.verdict, Verdict::Drift);
}

/// Complaints, of which `late` in ten are about deliveries.
fn complaints(seed: u64, n: usize, late: u64) -> Vec<String> {
    let mut coin = Coin::new(seed);
    let parts = ["the shoes", "my coat", "this lamp", "a chair", "one table", "those books"];
    let about = ["broke after a week", "has the wrong colour", "smells of paint", "does not fit"];
    (0..n)
        .map(|_| {
            let number = coin.below(100_000);
            let what = parts[coin.below(6) as usize];
            let why =
                if coin.below(10) < late { "came late, the Parcel was lost" } else { about[coin.below(4) as usize] };
            format!("Order {number}: {what} {why}.")
        })
        .collect()
}

#[test]
fn texts_are_told_apart_by_the_words_that_changed() {
    let lines = |seed, late| complaints(seed, 300, late);
    let judge = |a: &[String], b: &[String]| {
        let (a, b): (Vec<&str>, Vec<&str>) =
            (a.iter().map(String::as_str).collect(), b.iter().map(String::as_str).collect());
        texts_apart(&a, &b, 4, 5).unwrap()
    };
    let (same, _) = judge(&lines(1, 1), &lines(2, 1));
    assert!(same.p_value > 0.01, "{same:?}");
    let (moved, words) = judge(&lines(1, 1), &lines(3, 6));
    assert!(moved.auc.low > 0.6 && moved.p_value < 1e-6, "{:?}", moved.auc);
    for word in ["late", "parcel", "lost"] {
        assert!(words.iter().any(|w| w.name == word && w.weight > 0.0), "{word}: {words:?}");
    }
    let (other, letters) = (["我的鞋子坏了"; 20], ["包裹丢失了"; 20]);
    let (apart, characters) = texts_apart(&other, &letters, 9, 1).unwrap();
    assert!(apart.auc.area > 0.99 && characters.iter().any(|w| w.name == "包" && w.weight > 0.0), "{characters:?}");
}

#[test]
fn what_cannot_be_told_says_why() {
    let few = Table::new(&[("x".into(), Drawn::Numbers(vec![1.0; 17]))]);
    assert_eq!(apart(&few.rows, [10, 7], 1), Err(NoTest::TooFew { have: 7, need: 8 }));
    // Nothing varies: nothing is learnt, and nothing is evidence.
    let flat =
        Table::new(&[("x".into(), Drawn::Numbers(vec![1.0; 40])), ("y".into(), Drawn::Numbers(vec![f64::NAN; 40]))]);
    let found = apart(&flat.rows, [20, 20], 1).unwrap();
    assert_eq!((found.auc.area, found.p_value), (0.5, 1.0));
    let categories = |missing: usize| (0..60).map(|i| if i % 30 < missing { MISSING } else { 7 }).collect::<Vec<u32>>();
    let holes = [&categories(3)[..30], &categories(20)[..30]].concat();
    let table = Table::new(&[("c".into(), Drawn::Categories(holes, HashMap::from([(7, "seven".to_owned())])))]);
    let found = apart(&table.rows, [30, 30], 1).unwrap();
    assert!(found.p_value < 0.05, "{found:?}");
    let names: Vec<String> = table.heaviest(&found.weights, 2).into_iter().map(|w| w.name).collect();
    assert!(names.contains(&"c missing".to_owned()) && names.contains(&"c = seven".to_owned()), "{names:?}");
    let one = Vectors::new(2, vec![1.0; 8]);
    assert_eq!(mmd(&one, &one).map(|m| m.squared), Err(NoTest::NoSpread));
    assert_eq!(mmd(&one, &Vectors::new(3, vec![1.0; 9])).map(|m| m.squared), Err(NoTest::Lengths(3, 2)));
    let level = presets::vectors(Preset::Sequential, VectorTest::Ratio, &[side(one.clone()), side(one)], (0.05, 1));
    assert_eq!(level.unwrap_err(), presets::NoFinding::Level);
    assert!("manhattan".parse::<VectorTest>().is_err());
}

/// Of more vectors than are kept, each has the same chance; the mean is of all.
#[test]
fn of_many_vectors_some_are_kept() {
    let mut side = Side::new(2);
    (0..10_000).for_each(|i| side.push(&[f64::from(i)]));
    assert_eq!((side.means().count(), side.means().mean()), (10_000, vec![4_999.5]));
    let mut kept: Vec<f64> = side.drawn().rows().map(|row| row[0]).collect();
    kept.sort_by(f64::total_cmp);
    kept.dedup();
    assert_eq!(kept.len(), 2_000);
    let mean = kept.iter().sum::<f64>() / 2_000.0;
    assert!((mean - 4_999.5).abs() < 4.0 * 2_887.0 / 2_000_f64.sqrt(), "{mean}");
}

#[test]
fn rows_are_drawn_evenly() {
    assert_eq!(drawn(5, 9, 1), [0, 1, 2, 3, 4]);
    let mut counts = [0; 20];
    for seed in 0..2_000 {
        let chosen = drawn(20, 5, seed);
        assert!(chosen.len() == 5 && chosen.is_sorted());
        for row in chosen {
            counts[row] += 1;
        }
    }
    assert!(counts.iter().all(|n| (400..600).contains(n)), "{counts:?}");
}

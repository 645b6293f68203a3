//! The metrics beside scikit-learn's and statsmodels', on the same rows.

use super::*;
use crate::stream::Coin;
use crate::testing::{cases, list, near, number, numbers};
use serde_json::Value;

const CLOSE: f64 = 1e-9;

fn all() -> Value {
    cases(include_str!("../../oracles/performance.json"))
}

fn spec(case: &Value) -> [f64; 4] {
    numbers(&case["spec"]).try_into().unwrap()
}

fn on_grid(u: f64, grid: f64) -> f64 {
    if grid > 0.0 { (u * grid).floor() / grid } else { u }
}

fn error(measure: Measure, level: Level) -> f64 {
    let i = measure.interval.unwrap();
    (i.high - i.low) / 2.0 / level.z()
}

/// The standard error behind an interval that was made on the scale of log-odds.
fn log_odds_error(measure: Measure, level: Level) -> f64 {
    let i = measure.interval.unwrap();
    let odds = |x: f64| (x / (1.0 - x)).ln();
    (odds(i.high) - odds(i.low)) / 2.0 / level.z() * measure.value * (1.0 - measure.value)
}

#[test]
fn scores_are_as_in_scikit_learn() {
    let level = Level::default();
    for case in list(&all()["binary"]) {
        let [seed, n, grid, bend] = spec(case);
        let mut coin = Coin::new(seed as u64);
        let (mut whole, mut parts) = (Scored::default(), [Scored::default(), Scored::default()]);
        for i in 0..n as usize {
            let score = on_grid(coin.unit(), grid);
            let truth = coin.unit() < score.powf(bend);
            assert!(whole.push(score, truth) && parts[i % 2].push(score, truth));
        }
        let [mut merged, other] = parts;
        merged.merge(&other);
        for scored in [&whole, &merged] {
            let area = scored.roc_auc(level).unwrap();
            near(area.value, number(&case["roc_auc"]), CLOSE, "area");
            near(log_odds_error(area, level), number(&case["delong"]), CLOSE, "DeLong");
            near(scored.average_precision(level).unwrap().value, number(&case["average_precision"]), CLOSE, "AP");
            near(scored.log_loss(level).unwrap().value, number(&case["log_loss"]), CLOSE, "log loss");
            near(scored.brier(level).unwrap().value, number(&case["brier"]), CLOSE, "Brier");
            let curve = Calibration::of(scored, 10).unwrap().curve(level);
            assert_eq!(curve.len(), list(&case["curve"]).len());
            for (bin, want) in curve.iter().zip(list(&case["curve"])) {
                near(bin.predicted, number(&want[0]), CLOSE, "predicted");
                near(bin.observed.value, number(&want[1]), CLOSE, "observed");
            }
            let line = recalibration(scored, level).unwrap();
            let large = &case["large"];
            for (ours, theirs) in
                [(line.intercept, &case["line"][0]), (line.slope, &case["line"][1]), (line.in_the_large, large)]
            {
                near(ours.value, number(&theirs[0]), 1e-8, "recalibration");
                near(error(ours, level), number(&theirs[1]), 1e-7, "its error");
            }
        }
    }
}

#[test]
fn classes_are_as_in_scikit_learn() {
    let level = Level::default();
    for case in list(&all()["classes"]) {
        let [seed, n, k, hit] = spec(case);
        let classes = k as usize;
        let mut coin = Coin::new(seed as u64);
        let (mut confusion, mut given) = (Confusion::new(classes), Probabilities::new(classes));
        for _ in 0..n as usize {
            let (a, b, c) = (coin.unit(), coin.unit(), coin.unit());
            let truth = (a * a * k) as usize;
            confusion.push(truth, if b < hit { truth } else { (c * k) as usize });
            let mut weights: Vec<f64> = (0..classes).map(|_| coin.unit()).collect();
            weights[truth] += hit;
            let total: f64 = weights.iter().sum();
            for weight in &mut weights {
                *weight /= total;
            }
            assert!(given.push(&weights, truth));
        }
        let value = |m: Option<Measure>| m.unwrap().value;
        near(value(confusion.accuracy(level)), number(&case["accuracy"]), CLOSE, "accuracy");
        near(value(confusion.balanced_accuracy(level)), number(&case["balanced"]), CLOSE, "balanced");
        for class in 0..classes {
            near(value(confusion.precision(class, level)), number(&case["each"][0][class]), CLOSE, "precision");
            near(value(confusion.recall(class, level)), number(&case["each"][1][class]), CLOSE, "recall");
            near(value(confusion.f1(class, level)), number(&case["each"][2][class]), CLOSE, "F1");
            assert_eq!(confusion.support(class) as f64, number(&case["each"][3][class]));
        }
        for (how, name) in [(Average::Macro, "macro"), (Average::Weighted, "weighted")] {
            let want = numbers(&case[name]);
            near(value(confusion.precision_average(how, level)), want[0], CLOSE, name);
            near(value(confusion.recall_average(how, level)), want[1], CLOSE, name);
            near(value(confusion.f1_average(how, level)), want[2], CLOSE, name);
        }
        near(number(&case["micro"][2]), number(&case["accuracy"]), CLOSE, "micro F1 is the accuracy");
        near(value(confusion.matthews(level)), number(&case["matthews"]), CLOSE, "Matthews");
        let kappa = confusion.kappa(level).unwrap();
        near(kappa.value, number(&case["kappa"]), CLOSE, "kappa");
        let ends = kappa.interval.map(|i| (i.high.atanh() - i.low.atanh()) / 2.0 / level.z()).unwrap();
        near(ends * (1.0 - kappa.value.powi(2)), number(&case["kappa_error"]), CLOSE, "its error");
        near(value(given.log_loss(level)), number(&case["log_loss"]), CLOSE, "log loss");
        near(value(given.brier(level)), number(&case["brier"]), CLOSE, "Brier");
        near(value(given.roc_auc(level)), number(&case["roc_auc"]), CLOSE, "area");
        if classes == 2 {
            // Each class against the other is the same area twice, and so is its error.
            let one = given.of(1).roc_auc(level).unwrap();
            near(error(given.roc_auc(level).unwrap(), level), log_odds_error(one, level), 2e-3, "its error");
        }
        for (row, want) in confusion.rows().zip(list(&case["table"])) {
            assert_eq!(row.iter().map(|n| *n as f64).collect::<Vec<_>>(), numbers(want));
        }
    }
}

#[test]
fn numbers_are_as_in_scikit_learn() {
    let level = Level::default();
    for case in list(&all()["numbers"]) {
        let [seed, n, scale, noise] = spec(case);
        let mut coin = Coin::new(seed as u64);
        let (mut whole, mut errors) = (Regression::default(), Vec::new());
        let mut parts = [Regression::default(); 3];
        for i in 0..n as usize {
            let truth = coin.unit() * scale + 0.5;
            let predicted = truth * (1.0 + noise * (coin.unit() - 0.4));
            assert!(whole.push(truth, predicted));
            parts[i * 3 / n as usize].push(truth, predicted);
            errors.push(predicted - truth);
        }
        let mut merged = Regression::default();
        for part in &parts {
            merged.merge(part);
        }
        for found in [&whole, &merged] {
            let value = |m: Option<Measure>| m.unwrap().value;
            near(value(found.mae(level)), number(&case["mae"]), CLOSE, "MAE");
            near(value(found.mse(level)), number(&case["mse"]), CLOSE, "MSE");
            near(value(found.rmse(level)), number(&case["rmse"]), CLOSE, "RMSE");
            near(value(found.rmsle(level)), number(&case["rmsle"]), CLOSE, "RMSLE");
            near(value(found.mape(level)), number(&case["mape"]), CLOSE, "MAPE");
            near(value(found.r2(level)), number(&case["r2"]), CLOSE, "R²");
        }
        near(error(merged.r2(level).unwrap(), level), error(whole.r2(level).unwrap(), level), 1e-9, "merged");
        near(median_absolute_error(&mut errors, level).unwrap().value, number(&case["median"]), CLOSE, "median");
    }
}

#[test]
fn orders_are_as_in_scikit_learn() {
    let level = Level::default();
    for case in list(&all()["queries"]) {
        let [seed, n, grid, rare] = spec(case);
        let mut coin = Coin::new(seed as u64);
        let mut items: Vec<Item> = (0..n as usize)
            .map(|_| {
                let (score, u) = (on_grid(coin.unit(), grid), coin.unit());
                Item { score, relevance: if u < rare { (u / rare * 3.0).floor() + 1.0 } else { 0.0 } }
            })
            .collect();
        let mut found = Ranking::new(number(&case["k"]) as usize);
        found.push(&mut items.clone());
        near(found.ndcg(level).unwrap().value, number(&case["ndcg"]), CLOSE, "NDCG");
        if case["average"].is_number() {
            near(found.average_precision(level).unwrap().value, number(&case["average"]), CLOSE, "MAP");
            let best = items.iter().map(|i| i.relevance).fold(0.0, f64::max);
            let first = items.iter().position(|i| i.relevance == best).unwrap();
            items.iter_mut().enumerate().for_each(|(at, i)| i.relevance = if at == first { 1.0 } else { 0.0 });
            let mut one = Ranking::new(items.len());
            one.push(&mut items);
            near(one.reciprocal_rank(level).unwrap().value, number(&case["reciprocal"]), CLOSE, "MRR");
        }
    }
}

#[test]
fn shares_and_their_difference_are_as_in_statsmodels() {
    for case in list(&all()["shares"]) {
        let [part, n, low, high, alpha] = numbers(case)[..] else { unreachable!("five numbers") };
        let found = wilson(part as u64, n as u64, Level::new(1.0 - alpha).unwrap()).unwrap();
        near(found.interval.unwrap().low, low, CLOSE, "Wilson");
        near(found.interval.unwrap().high, high, CLOSE, "Wilson");
    }
    for case in list(&all()["apart"]) {
        let [a, m, b, n, low, high] = numbers(case)[..] else { unreachable!("six numbers") };
        let [a, b] = [(a, m), (b, n)].map(|(part, n)| wilson(part as u64, n as u64, Level::default()).unwrap());
        let found = difference(&a, &b).interval.unwrap();
        near(found.low, low, CLOSE, "Newcombe");
        near(found.high, high, CLOSE, "Newcombe");
    }
}

#[test]
fn groups_are_treated_as_alike_as_fairlearn_says() {
    let level = Level::default();
    for case in list(&cases(include_str!("../../oracles/fairlearn.json"))) {
        let [seed, n, k, bias] = spec(case);
        let mut coin = Coin::new(seed as u64);
        let mut groups = vec![Treated::default(); k as usize];
        for _ in 0..n as usize {
            let (a, b, c) = (coin.unit(), coin.unit(), coin.unit());
            let group = (a * a * k) as usize;
            let hit = 0.8 - bias * group as f64 / k;
            let truth = b < 0.4;
            let said = c < if truth { hit } else { 0.3 * hit };
            let of = &mut groups[group];
            of.answers += 1;
            of.selected += u64::from(said);
            match (truth, said) {
                (true, true) => of.true_positives += 1,
                (true, false) => of.false_negatives += 1,
                (false, true) => of.false_positives += 1,
                (false, false) => of.true_negatives += 1,
            }
        }
        let found = fairness(&groups, level);
        assert_eq!(found.len(), 8);
        for (name, measure) in found {
            near(measure.value, number(&case[name]), CLOSE, name);
            let i = measure.interval.unwrap();
            assert!(i.low <= measure.value && measure.value <= i.high, "{name}: {measure:?}");
            // Both are found out: where there is a bias, and where there is none.
            let apart = if name.ends_with("ratio") { i.high < 1.0 } else { i.low > 0.0 };
            assert!(bias > 0.0 || !apart, "{name}: {measure:?}");
            assert!(n < 1000.0 || apart || name.starts_with("predictive"), "{name}: {measure:?}");
        }
    }
}

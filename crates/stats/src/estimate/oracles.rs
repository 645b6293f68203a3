//! Estimates beside NannyML's, on the same rows.

use super::*;
use crate::stream::Coin;
use crate::testing::{cases, list, near, number, numbers};
use serde_json::Value;

fn all() -> Value {
    cases(include_str!("../../oracles/cbpe.json"))
}

struct Rows {
    given: Vec<f64>,
    said: Vec<u32>,
    truth: Vec<u32>,
    classes: usize,
}

impl Rows {
    fn binary(spec: &Value) -> Self {
        let [seed, n, _, bend] = numbers(spec)[..] else { unreachable!("four numbers") };
        let mut coin = Coin::new(seed as u64);
        let mut rows = Self { given: Vec::new(), said: Vec::new(), truth: Vec::new(), classes: 2 };
        for _ in 0..n as usize {
            let score = coin.unit();
            rows.given.extend([1.0 - score, score]);
            rows.said.push(u32::from(score >= 0.5));
            rows.truth.push(u32::from(coin.unit() < score.powf(bend)));
        }
        rows
    }

    fn classes(spec: &Value) -> Self {
        let [seed, n, k, hit] = numbers(spec)[..] else { unreachable!("four numbers") };
        let classes = k as usize;
        let mut coin = Coin::new(seed as u64);
        let mut rows = Self { given: Vec::new(), said: Vec::new(), truth: Vec::new(), classes };
        for _ in 0..n as usize {
            let draws: Vec<f64> = (0..3 + classes).map(|_| coin.unit()).collect();
            let truth = (draws[0] * draws[0] * k) as usize;
            let mut weights = draws[3..].to_vec();
            weights[truth] += hit;
            let total: f64 = weights.iter().sum();
            rows.given.extend(weights.iter().map(|w| w / total));
            rows.said.push(if draws[1] < hit { truth as u32 } else { (draws[2] * k) as u32 });
            rows.truth.push(truth as u32);
        }
        rows
    }

    fn of(&self, from: usize, until: usize) -> Classified<'_> {
        let given = &self.given[from * self.classes..until * self.classes];
        Classified { classes: self.classes, given, said: &self.said[from..until] }
    }
}

/// Chunks as NannyML cuts them.
fn chunks(n: usize) -> Vec<(usize, usize)> {
    let size = n / 10;
    (0..n).step_by(size).map(|from| (from, (from + size).min(n))).collect()
}

fn same(ours: &Estimate, theirs: &[Value], (within, wide): (f64, f64)) {
    let what = ours.metric;
    near(ours.value, number(&theirs[0]), within, what);
    let error = number(&theirs[1]);
    near(ours.low, (number(&theirs[0]) - 3.0 * error).max(0.0), wide, what);
    // Where theirs is the end of what is possible, ours is none.
    assert!(ours.lower_threshold != Some(0.0) && ours.upper_threshold != Some(1.0), "{ours:?}");
    near(ours.lower_threshold.unwrap_or(0.0), number(&theirs[2]), 1e-9, what);
    near(ours.upper_threshold.unwrap_or(1.0), number(&theirs[3]), 1e-9, what);
}

#[test]
fn classifiers_are_estimated_as_by_nannyml() {
    let all = all();
    let binary = list(&all["binary"]).iter().map(|case| (case, Rows::binary as fn(&Value) -> Rows));
    let many = list(&all["classes"]).iter().map(|case| (case, Rows::classes as fn(&Value) -> Rows));
    for (case, rows) in binary.chain(many) {
        let (reference, analysis) = (rows(&case["reference"]), rows(&case["analysis"]));
        let n = reference.said.len();
        let cbpe = Cbpe::fit(reference.of(0, n), &reference.truth, 10).unwrap();
        if let Some(calibrated) = case["calibrated"].as_bool() {
            assert_eq!(cbpe.is_calibrated(), calibrated, "{}", case["reference"]);
        }
        for (at, (from, until)) in chunks(analysis.said.len()).into_iter().enumerate() {
            let found = cbpe.estimate(analysis.of(from, until));
            assert_eq!(found.len(), case["metrics"].as_object().unwrap().len());
            for ours in found {
                // Resamples are drawn by chance.
                let wide = if ours.metric == "average_precision" { 0.05 } else { 1e-9 };
                let theirs = list(&case["metrics"][ours.metric][at]);
                same(&ours, theirs, (1e-9, wide));
                assert_eq!(f64::from(u8::from(ours.alert)), number(&theirs[4]), "{}", ours.metric);
            }
        }
    }
}

fn regression(spec: &Value) -> (Vec<Vec<f64>>, Vec<f64>, Vec<f64>) {
    let [seed, n, lift] = numbers(spec)[..] else { unreachable!("three numbers") };
    let mut coin = Coin::new(seed as u64);
    let (mut columns, mut truth, mut said) = (vec![Vec::new(), Vec::new()], Vec::new(), Vec::new());
    for _ in 0..n as usize {
        let draws = [(); 4].map(|()| coin.unit());
        let (a, b) = (draws[0] * (1.0 - lift) + lift, draws[1]);
        columns[0].push(a);
        columns[1].push(b);
        truth.push(10.0 * a + 5.0 * b + 20.0);
        said.push(truth[truth.len() - 1] + 4.0 * a * (draws[2] + draws[3] - 1.0));
    }
    (columns, truth, said)
}

/// NannyML's second model is another one: its estimates are within its own band of three sampling errors.
#[test]
fn regressions_are_estimated_within_nannymls_band() {
    for case in list(&all()["numbers"]) {
        let (features, truth, said) = regression(&case["reference"]);
        let columns = [Feature::Numbers(&features[0]), Feature::Numbers(&features[1])];
        let dle = Dle::fit(Predicted { said: &said, features: &columns }, &truth, 10).unwrap();
        assert!(dle.explained().unwrap() > 0.15, "{:?}", dle.explained());
        let (features, truth, said) = regression(&case["analysis"]);
        for (at, (from, until)) in chunks(said.len()).into_iter().enumerate() {
            let features: Vec<Feature<'_>> = features.iter().map(|c| Feature::Numbers(&c[from..until])).collect();
            let found = dle.estimate(Predicted { said: &said[from..until], features: &features });
            assert_eq!(found.len(), 6);
            for ours in found {
                let theirs = list(&case["metrics"][ours.metric][at]);
                let (value, error) = (number(&theirs[0]), number(&theirs[1]));
                assert!(
                    (ours.value - value).abs() < 3.0 * error,
                    "{}: {} and {value} ± {error}",
                    ours.metric,
                    ours.value
                );
                near(ours.high - ours.value, 3.0 * error, 1e-9, ours.metric);
                near(ours.lower_threshold.unwrap_or(0.0), number(&theirs[2]), 1e-9, ours.metric);
            }
            // And it is what is true, within its own.
            let mean = truth[from..until].iter().zip(&said[from..until]).map(|(t, s)| (t - s).abs()).sum::<f64>()
                / (until - from) as f64;
            let mae = dle.estimate(Predicted { said: &said[from..until], features: &features })[0];
            assert!(mae.low <= mean && mean <= mae.high, "{mean} {mae:?}");
        }
    }
}

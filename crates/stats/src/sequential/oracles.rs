//! Our numbers beside those of independent packages, which `oracles/run.py` wrote down and checks anew where they are
//! installed. To one part in 10⁹, but for boundaries that the other side only solves to 10⁻⁷ in probability.

use super::quantile::BetaBinomial;
use super::*;
use crate::bandit::{Posterior, best_probabilities};
use crate::offpolicy::{Logged, OffPolicy};
use serde_json::Value;

fn cases(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["cases"].take()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

#[track_caller]
fn same(ours: f64, theirs: &Value) {
    let theirs = number(theirs);
    assert!((ours - theirs).abs() <= 1e-9 * (1.0 + theirs.abs()), "{ours} is not {theirs}");
}

fn pair(pairs: &Value, case: &Value) -> [UnitMoments; 2] {
    let side = |i: usize| {
        let mut moments = UnitMoments::default();
        for row in list(&pairs[case["pair"].as_u64().unwrap() as usize][i]) {
            let row = numbers(row);
            moments.add(&UnitTotals { value: row[0], denominator: row[1], covariate: row[2] });
        }
        moments
    };
    [side(0), side(1)]
}

#[test]
fn gbstats_has_the_same_intervals_for_means_ratios_and_cuped() {
    let cases = cases(include_str!("../../oracles/gbstats.json"));
    for case in list(&cases["sequential"]) {
        let [control, treatment] = pair(&cases["pairs"], case);
        let contrast = Contrast {
            measure: if case["measure"] == "ratio" { Measure::Ratio } else { Measure::Mean },
            scale: if case["scale"] == "relative" { Scale::Relative } else { Scale::Absolute },
            cuped: case["measure"] == "cuped",
        };
        let effect = compare(&control, &treatment, contrast).unwrap();
        same(effect.value, &case["estimate"]);
        same(effect.standard_error.powi(2), &case["variance"]);
        let cs = AsymptoticCs::two_sided(number(&case["alpha"]), number(&case["tuned_for"])).unwrap();
        let interval = cs.interval(&effect);
        same(interval.low, &case["low"]);
        same(interval.high, &case["high"]);
        same((-cs.log_e(&effect, 0.0)).exp().min(1.0), &case["p"]);
    }
    for case in list(&cases["srm"]) {
        let counts: Vec<u64> = numbers(&case["counts"]).iter().map(|c| *c as u64).collect();
        same(chi_square_p(&counts, &numbers(&case["weights"])), &case["p"]);
    }
}

#[test]
fn savvi_has_the_same_multinomial_evidence() {
    let cases = cases(include_str!("../../oracles/savvi.json"));
    for case in list(&cases["multinomial"]) {
        let mut test = Multinomial::new(&numbers(&case["theta"]), number(&case["k"])).unwrap();
        for (batch, log_e) in list(&case["batches"]).iter().zip(list(&case["log_e"])) {
            test.observe(&numbers(batch).iter().map(|c| *c as u64).collect::<Vec<_>>()).unwrap();
            same(test.log_e(), log_e);
        }
    }
}

#[test]
fn spotify_confidence_has_the_same_differences_and_nearly_the_same_boundaries() {
    let cases = cases(include_str!("../../oracles/spotify.json"));
    for case in list(&cases["z_test"]) {
        let [control, treatment] = pair(&cases["pairs"], case);
        let contrast = Contrast { measure: Measure::Mean, scale: Scale::Absolute, cuped: false };
        let effect = compare(&control, &treatment, contrast).unwrap();
        let half = crate::special::normal_quantile(0.975) * effect.standard_error;
        same(effect.value, &case["difference"]);
        same(effect.value - half, &case["low"]);
        same(effect.value + half, &case["high"]);
    }
    for case in list(&cases["bounds"]) {
        let spending = Spending::Power(number(&case["rho"]));
        let design = GroupSequential::new(number(&case["alpha"]), Sides::Two, spending).unwrap();
        let bounds = design.boundaries(&numbers(&case["fractions"])).unwrap();
        for (ours, theirs) in bounds.iter().zip(numbers(&case["bounds"])) {
            // It solves each side alone and by the trapezoid rule, to 10⁻⁷ in probability.
            assert!((ours - theirs).abs() < 2e-3, "{ours} is not {theirs}");
        }
    }
}

fn mixtures(cases: &Value) {
    for case in list(&cases["normal"]) {
        // Their process has its own clock: the sum s at variance v is an effect of z = s/√v at v units.
        let (s, v) = (number(&case["s"]), number(&case["v"]));
        let effect = Effect { value: s / v, standard_error: 1.0 / v.sqrt(), units: v };
        let (alpha, tuned_for) = (number(&case["alpha"]), number(&case["v_opt"]));
        if case["one_sided"] == true {
            let cs = AsymptoticCs::one_sided(alpha, tuned_for).unwrap();
            same(cs.log_e_one_sided(&effect, 0.0, Side::Above), &case["log_e"]);
        } else {
            same(AsymptoticCs::two_sided(alpha, tuned_for).unwrap().log_e(&effect, 0.0), &case["log_e"]);
        }
    }
    for case in list(&cases["beta_binomial"]) {
        let mixture = BetaBinomial::new(number(&case["p"]), number(&case["tuned_for"]), 0.05);
        let (k, n) = (number(&case["k"]), number(&case["n"]));
        let ours =
            if case["one_sided"] == true { mixture.log_e_one_sided(k, n, Side::Above) } else { mixture.log_e(k, n) };
        same(ours, &case["log_e"]);
    }
}

#[test]
fn confseq_has_the_same_bets_and_mixtures() {
    let cases = cases(include_str!("../../oracles/confseq.json"));
    mixtures(&cases);
    for case in list(&cases["betting"]) {
        let mut test = HedgedCapital::new(number(&case["null"]), number(&case["alpha"])).unwrap();
        for (value, log_e) in numbers(&case["values"]).iter().zip(list(&case["log_e"])) {
            test.push(*value).unwrap();
            same(test.log_e(), log_e);
        }
    }
}

#[test]
fn expectation_has_the_same_mixtures() {
    mixtures(&cases(include_str!("../../oracles/expectation.json")));
}

#[test]
fn obp_has_the_same_off_policy_values() {
    let cases = cases(include_str!("../../oracles/obp.json"));
    let mut estimates = OffPolicy::default();
    for row in list(&cases["answers"]) {
        let row = numbers(row);
        let [reward, propensity, target, predicted, baseline] = row[..] else { unreachable!("five numbers") };
        estimates.push(&Logged { reward, propensity, target, predicted, baseline }).unwrap();
    }
    same(estimates.ips().unwrap().value, &cases["ips"]);
    same(estimates.snips().unwrap().value, &cases["snips"]);
    same(estimates.doubly_robust().unwrap().value, &cases["dr"]);
}

#[test]
fn scipy_has_the_same_crossing_probabilities_and_best_arms() {
    let cases = cases(include_str!("../../oracles/scipy.json"));
    let design = GroupSequential::new(0.05, Sides::Two, Spending::Pocock).unwrap();
    for case in list(&cases["two_looks"]) {
        let (t, bounds) = (numbers(&case["fractions"]), numbers(&case["bounds"]));
        let crossing = design.crossing(&t, &bounds, number(&case["drift"])).unwrap();
        crossing.iter().zip(list(&case["crossing"])).for_each(|(ours, theirs)| same(*ours, theirs));
    }
    for case in list(&cases["best_arm"]) {
        let beta = case["kind"] == "beta";
        let arm = |p: &Value| {
            let (a, b) = (number(&p[0]), number(&p[1]));
            if beta {
                Posterior::Beta { successes: a, failures: b }
            } else {
                Posterior::Normal { mean: a, standard_error: b }
            }
        };
        let arms: Vec<Posterior> = list(&case["parameters"]).iter().map(arm).collect();
        let best = best_probabilities(&arms).unwrap();
        best.iter().zip(list(&case["best"])).for_each(|(ours, theirs)| same(*ours, theirs));
    }
}

//! Our numbers beside scipy's and Evidently's, which `oracles/run.py` wrote down.

use super::bins::{Rule, edges, histogram, histogram_of};
use super::*;
use crate::testing::{cases, column, labels, list, near, number, numbers};
use serde_json::Value;

const CLOSE: f64 = 1e-9;

#[track_caller]
fn same(ours: Result<Test, NoTest>, theirs: &Value, what: &str) {
    let ours = ours.unwrap();
    near(ours.statistic, number(&theirs[0]), CLOSE, what);
    near(ours.p_value, number(&theirs[1]), CLOSE, what);
}

fn samples(case: &Value) -> [Sample; 2] {
    [0, 1].map(|i| Sample::new(column(&case["specs"][i])))
}

#[test]
fn scipy_has_the_same_tests_of_numbers() {
    let cases = cases(include_str!("../../oracles/twosample.json"));
    for case in list(&cases["pairs"]) {
        let [a, b] = samples(case);
        let name = |test: &str| format!("{test} of {}", case["specs"]);
        same(kolmogorov_smirnov(&a, &b), &case["ks"], &name("ks"));
        same(kolmogorov_smirnov_of(a.values(), b.values()), &case["ks"], &name("ks"));
        same(cramer_von_mises(&a, &b), &case["cvm"], &name("cvm"));
        same(epps_singleton(&a, &b), &case["es"], &name("es"));
        same(t_test(&a.moments(), &b.moments()), &case["t"], &name("t"));
        same(mann_whitney(&a, &b, Alternative::Different), &case["mannw_two"], &name("mannw"));
        same(mann_whitney(&a, &b, Alternative::Less), &case["mannw_less"], &name("mannw less"));
        same(mann_whitney(&a, &b, Alternative::Greater), &case["mannw_greater"], &name("mannw greater"));
        same(anderson_darling(&a, &b), &case["anderson"], &name("anderson"));
        near(wasserstein(&a, &b).unwrap(), number(&case["wasserstein"]), CLOSE, &name("wasserstein"));
        near(energy(&a, &b).unwrap(), number(&case["energy"]), CLOSE, &name("energy"));
    }
    for case in list(&cases["tail"]) {
        let [n, d, p] = numbers(case)[..] else { unreachable!("three numbers") };
        near(kolmogorov_tail(n, d), p, CLOSE, &format!("tail of {n} at {d}"));
    }
}

#[test]
fn numpy_has_the_same_bins_and_distances() {
    for case in list(&cases(include_str!("../../oracles/twosample.json"))["pairs"]) {
        let [a, b] = samples(case);
        let equal = |ours: &[f64], theirs: &Value| {
            let theirs = numbers(theirs);
            assert_eq!(ours.len(), theirs.len(), "{}", case["specs"]);
            ours.iter().zip(theirs).for_each(|(x, y)| near(*x, y, 1e-13, "edge"));
        };
        let both = edges(&[&a, &b], Rule::Sturges, false);
        equal(&both, &case["sturges"]);
        equal(&edges(&[&a], Rule::Doane, false), &case["doane"]);
        let whole = Sample::new(a.values().iter().map(|v| (v * 4.0).floor()).collect());
        equal(&edges(&[&whole], Rule::Sturges, true), &case["whole"]);
        let [p, q] = [&a, &b].map(|s| distance::shares(&histogram(s, &both), s.len() as u64));
        for (edges, s) in [(&both, &a), (&both, &b), (&edges(&[&a], Rule::Doane, false), &b)] {
            let back: Vec<f64> = s.values().iter().rev().copied().collect();
            assert_eq!(histogram_of(&back, edges), histogram(s, edges), "{}", case["specs"]);
        }
        near(distance::jensen_shannon(&p, &q), number(&case["js"]), CLOSE, "js");
        near(distance::hellinger(&p, &q), number(&case["hellinger"]), CLOSE, "hellinger");
        near(distance::total_variation(&p, &q), number(&case["tv"]), CLOSE, "tv");
        near(distance::l_infinity(&p, &q), number(&case["linf"]), CLOSE, "linf");
    }
}

#[test]
fn scipy_has_the_same_tests_of_counts() {
    for case in list(&cases(include_str!("../../oracles/twosample.json"))["counts"]) {
        let [a, b] = ["reference", "current"].map(|s| numbers(&case[s]).iter().map(|c| *c as u64).collect::<Vec<_>>());
        same(chi_square(&a, &b), &case["chi2"], "chi2");
        same(g_test(&a, &b), &case["g"], "g");
        same(contingency(&a, &b), &case["contingency"], "contingency");
        if let Some(p) = case["fisher"].as_f64() {
            near(fisher_exact(&a, &b).unwrap().p_value, p, CLOSE, "fisher");
            same(z_proportions((a[0], a.iter().sum()), (b[0], b.iter().sum())), &case["z"], "z");
        } else {
            assert_eq!(fisher_exact(&a, &b), Err(NoTest::Categories(a.len())));
        }
    }
}

/// Shares as Evidently's `get_binned_data` makes them.
fn evidently_shares(case: &Value) -> [Vec<f64>; 2] {
    let counted = |a: &[u64], b: &[u64]| {
        let side = |x: &[u64]| distance::shares(x, x.iter().sum());
        [side(a), side(b)]
    };
    let by_value = |a: &[f64], b: &[f64]| {
        let mut keys: Vec<f64> = a.iter().chain(b).copied().collect();
        keys.sort_by(f64::total_cmp);
        keys.dedup();
        let count = |x: &[f64]| keys.iter().map(|k| x.iter().filter(|v| *v == k).count() as u64).collect::<Vec<_>>();
        counted(&count(a), &count(b))
    };
    if case["kind"] == "categories" {
        let [a, b] = [0, 1].map(|i| {
            let there = labels(&case["specs"][i]).into_iter().filter(|v| *v != u32::MAX);
            there.map(f64::from).collect::<Vec<_>>()
        });
        return by_value(&a, &b);
    }
    let whole = case["kind"] == "whole";
    let cut = |x: f64| if whole { x.trunc() } else { x };
    let [a, b] = [0, 1].map(|i| Sample::new(column(&case["specs"][i]).into_iter().map(cut).collect()));
    if a.distinct() > 20 {
        let edges = edges(&[&a, &b], Rule::Sturges, whole);
        return counted(&histogram(&a, &edges), &histogram(&b, &edges));
    }
    by_value(a.values(), b.values())
}

#[test]
fn evidently_has_the_same_scores() {
    for case in list(&cases(include_str!("../../oracles/evidently.json"))["explicit"]) {
        let theirs = |name: &str| number(&case["scores"][name]["score"]);
        let what = format!("{case}");
        let [mut p, mut q] = evidently_shares(case);
        near(distance::jensen_shannon(&p, &q), theirs("jensenshannon"), CLOSE, &what);
        if case["kind"] == "categories" {
            near(distance::hellinger(&p, &q), theirs("hellinger"), CLOSE, &what);
        }
        distance::fill_zeros(&mut p);
        distance::fill_zeros(&mut q);
        near(distance::psi(&p, &q), theirs("psi"), CLOSE, &what);
        near(distance::kullback_leibler(&p, &q), theirs("kl_div"), CLOSE, &what);
        if case["kind"] == "numbers" {
            let [a, b] = samples(case);
            near(energy(&a, &b).unwrap(), theirs("ed"), CLOSE, &what);
            near(epps_singleton(&a, &b).unwrap().p_value, theirs("es"), CLOSE, &what);
            near(cramer_von_mises(&a, &b).unwrap().p_value, theirs("cramer_von_mises"), CLOSE, &what);
            near(anderson_darling(&a, &b).unwrap().p_value, theirs("anderson"), CLOSE, &what);
            near(t_test(&a.moments(), &b.moments()).unwrap().p_value, theirs("t_test"), CLOSE, &what);
            let less = mann_whitney(&a, &b, Alternative::Less).unwrap();
            near(less.p_value, theirs("mannw"), CLOSE, &what);
            near(kolmogorov_smirnov(&a, &b).unwrap().p_value, theirs("ks"), CLOSE, &what);
        }
    }
}

#[test]
fn what_cannot_be_tested_says_why() {
    let (one, same) = (Sample::new(vec![1.0]), Sample::new(vec![2.0; 30]));
    let none = Sample::new(vec![f64::NAN, f64::INFINITY]);
    assert!(none.is_empty());
    assert_eq!(kolmogorov_smirnov(&none, &one), Err(NoTest::TooFew { have: 0, need: 1 }));
    assert_eq!(cramer_von_mises(&one, &same), Err(NoTest::TooFew { have: 1, need: 2 }));
    assert_eq!(epps_singleton(&same, &same), Err(NoTest::NoSpread));
    assert_eq!(anderson_darling(&same, &same), Err(NoTest::NoSpread));
    assert_eq!(mann_whitney(&same, &same, Alternative::Different), Err(NoTest::NoSpread));
    assert_eq!(t_test(&same.moments(), &same.moments()), Err(NoTest::NoSpread));
    assert_eq!(chi_square(&[1, 2], &[1]), Err(NoTest::Lengths(1, 2)));
    assert_eq!(chi_square(&[5, 0], &[4, 1]).unwrap().p_value, 0.0);
    assert_eq!(contingency(&[0, 0], &[1, 1]), Err(NoTest::TooFew { have: 0, need: 1 }));
    // Equal samples are no evidence, and zeros of either sign are one value.
    assert_eq!(kolmogorov_smirnov(&same, &same).unwrap(), Test { statistic: 0.0, p_value: 1.0 });
    assert_eq!(Sample::new(vec![0.0, -0.0]).distinct(), 1);
}

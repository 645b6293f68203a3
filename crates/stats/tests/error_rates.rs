//! Type-I error and power with a look after every batch, in some rollouts of each kind. `examples/error_rates.rs`
//! counts 10,000.

mod sim;

use sim::{TRIALS, Traffic, allowance, power, rate};

const RUNS: u64 = 200;

fn check(traffic: Traffic) {
    for trial in TRIALS.iter().filter(|trial| trial.traffic.contains(&traffic)) {
        let found = rate(trial, traffic, 0.0, RUNS);
        let kind = if trial.exact { "exact" } else { "asymptotic" };
        assert!(found <= allowance(RUNS), "{} ({kind}) under {traffic:?}: {found}", trial.name);
    }
}

#[test]
fn nothing_is_found_where_there_is_nothing() {
    check(Traffic::Flat);
}

#[test]
fn a_drifting_baseline_is_no_effect() {
    check(Traffic::Drift);
}

#[test]
fn weights_that_rise_are_no_effect() {
    check(Traffic::Ramp);
}

#[test]
fn what_is_there_is_mostly_found() {
    for trial in TRIALS {
        let found = rate(trial, Traffic::Flat, trial.effect, 50);
        assert!(found > 0.5, "{}: {found}", trial.name);
    }
}

#[test]
fn the_power_is_the_published_one() {
    for power in power::published(1_000).into_iter().chain([power::asymptotic(1_000)]) {
        assert!((power.simulated - power.published).abs() < 0.05, "{}: {}", power.name, power.simulated);
    }
}

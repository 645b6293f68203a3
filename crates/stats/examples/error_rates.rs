//! How often each sequential test rejects where there is nothing to find, with a look after every batch, in 10,000
//! simulated rollouts; and how often it finds an effect.
//!
//! `cargo run --release -p mainspring-stats --example error_rates [-- RUNS]`
//!
//! Ends with 1 when a rate is above α = 5 % by more than three standard deviations, or a power more than 5 points from
//! the published one.

#[path = "../tests/sim/mod.rs"]
mod sim;

use sim::{BURN_IN, TRIALS, Traffic, UNITS, allowance, power, rate};
use std::io::{Result, Write};
use std::process::ExitCode;

fn main() -> Result<ExitCode> {
    let runs = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let mut out = std::io::stdout();
    let mut wrong = 0;
    writeln!(out, "{runs} rollouts of {UNITS} units; asymptotic tests look from {BURN_IN} units on")?;
    writeln!(out, "rejected at 5 %, percent (at most {:.2} is chance)\n", 100.0 * allowance(runs))?;
    writeln!(out, "{:42} {:>10} {:>6} {:>6} {:>6} {:>7}", "test", "", "flat", "drift", "ramp", "effect")?;
    for trial in TRIALS {
        write!(out, "{:42} {:>10}", trial.name, if trial.exact { "exact" } else { "asymptotic" })?;
        for traffic in [Traffic::Flat, Traffic::Drift, Traffic::Ramp] {
            if trial.traffic.contains(&traffic) {
                let found = rate(trial, traffic, 0.0, runs);
                wrong += u32::from(found > allowance(runs));
                write!(out, " {:6.2}", 100.0 * found)?;
            } else {
                write!(out, " {:>6}", "-")?;
            }
            out.flush()?;
        }
        writeln!(out, " {:7.2}", 100.0 * rate(trial, Traffic::Flat, trial.effect, runs / 10))?;
    }
    writeln!(out, "\n{:42} {:>10} {:>10}", "power, percent", "published", "simulated")?;
    for power in power::published(runs).into_iter().chain([power::asymptotic(runs)]) {
        wrong += u32::from((power.simulated - power.published).abs() > 0.05);
        writeln!(out, "{:42} {:10.2} {:10.2}", power.name, 100.0 * power.published, 100.0 * power.simulated)?;
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

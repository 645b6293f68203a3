//! Whole rollouts on simulated units, the real ledger and the real machine: how often a candidate that is no better is
//! promoted, how often one that is no worse is rolled back, and what happens to good and bad ones.
//!
//! `cargo run --release -p mainspring-rollout --example whole_rollouts [-- RUNS]`
//!
//! Ends with 1 when an error rate is above α = 5 % by more than three standard deviations.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use mainspring_rollout::RolloutSpec;
use mainspring_rollout::machine::RowFailed;
use mainspring_rollout::simulate::{Behaviour, Course, World, run};
use std::process::ExitCode;
use std::sync::Arc;

const SPEC: &str = r#"{
    "deployment": "d", "candidates": [{"name": "b", "model": "models:/m/2"}], "warmupExclude": "10s",
    "assignment": {"unit": "header:x-user-id"},
    "steps": [
        {"canary": {"weight": 5, "minExposures": 50, "minDuration": "10m"}},
        {"canary": {"weight": 20, "minExposures": 100, "minDuration": "30m"}},
        {"abTest": {"weight": 50, "minExposures": 300, "minDuration": "1h", "maxDuration": "12h"}}
    ],
    "metrics": {
        "guardrails": [
            {"name": "errors", "kind": "errors", "nonInferiority": 0.02},
            {"name": "p95", "kind": "quantile", "source": "latency", "q": 0.95, "margin": 1.3}
        ],
        "success": [{"name": "liked", "kind": "mean", "source": "label:liked"}]
    },
    "decision": {"expectedUnits": 5000}
}"#;

/// What the candidate is, beside a stable that is liked in 30 %.
const CANDIDATES: [(&str, f64, f64, f64); 4] = [
    ("no different", 0.3, 0.005, 0.02),
    ("liked in 38 %", 0.38, 0.005, 0.02),
    ("ten times the errors", 0.3, 0.05, 0.02),
    ("half as fast", 0.3, 0.005, 0.04),
];

fn behaviour(liked: f64, error_rate: f64, latency: f64) -> Behaviour {
    Behaviour { error_rate, latency, labels: [("liked".to_owned(), (liked, 0.0))].into(), ..Behaviour::default() }
}

/// The world's name, and what it is beside the candidate.
fn worlds() -> [(&'static str, World); 3] {
    let steady = World { per_hour: 2_000.0, ..World::default() };
    let drifting = World { drift: 0.8, ..steady.clone() };
    let returning = World { population: Some(3_000), ..drifting.clone() };
    [("steady", steady), ("drifting", drifting), ("drifting, users return", returning)]
}

fn summary(courses: &[Course]) -> [f64; 4] {
    let part =
        |f: &dyn Fn(&Course) -> bool| courses.iter().filter(|c| f(c)).count() as f64 / courses.len().max(1) as f64;
    let mut exposed: Vec<f64> = courses.iter().map(|c| c.exposed).collect();
    let mut hours: Vec<f64> = courses.iter().map(|c| c.hours).collect();
    exposed.sort_by(f64::total_cmp);
    hours.sort_by(f64::total_cmp);
    let middle = |v: &[f64]| v.get(v.len() / 2).copied().unwrap_or_default();
    [part(&Course::promoted), part(&Course::rolled_back), middle(&exposed), middle(&hours)]
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let runs: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let spec: RolloutSpec = serde_json::from_str(SPEC)?;
    spec.validate()?;
    let spec = Arc::new(spec);
    let allowed = 0.05 + 3.0 * (0.05 * 0.95 / runs as f64).sqrt();
    let mut wrong = false;
    println!("{runs} rollouts each; an error rate of at most {:.2} % is chance", 100.0 * allowed);
    println!(
        "{:24} {:22} {:>9} {:>11} {:>9} {:>7}",
        "traffic", "candidate", "promoted", "rolled back", "exposed", "hours"
    );
    for (name, world) in worlds() {
        for (candidate, liked, errors, latency) in CANDIDATES {
            let variants = vec![behaviour(0.3, 0.005, 0.02), behaviour(liked, errors, latency)];
            let world = World { variants, ..world.clone() };
            let courses: Result<Vec<Course>, RowFailed> =
                (0..runs).map(|seed| run(&spec, &world, seed, 16.0)).collect();
            let [promoted, rolled_back, exposed, hours] = summary(&courses?);
            wrong |= liked <= 0.3 && promoted > allowed;
            wrong |= candidate == "no different" && rolled_back > allowed;
            let percent = |x: f64| format!("{:.2} %", 100.0 * x);
            let columns = [percent(promoted), percent(rolled_back), percent(exposed)];
            println!("{name:24} {candidate:22} {:>9} {:>11} {:>9} {hours:7.2}", columns[0], columns[1], columns[2]);
        }
    }
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

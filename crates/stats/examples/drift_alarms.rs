//! How often a stream that does not drift is said to, with a look after every value (or window), and how soon a drift
//! is found, in simulated streams.
//!
//! `cargo run --release -p mainspring-stats --example drift_alarms [-- RUNS]`
//!
//! Ends with 1 when our own test alarms in more than α = 5 % of the streams by more than three standard deviations.

#[path = "../tests/drift/mod.rs"]
mod drift;

use drift::detectors::{DETECTORS, STREAMS, false_alarms};
use drift::{ALPHA, COLUMNS, Change, Column, Scene, WINDOW, allowance, conformal, delay, rate, windows};
use std::io::{Result, Write};
use std::process::ExitCode;

const LENGTH: usize = 50_000;

fn main() -> Result<ExitCode> {
    let runs = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let mut out = std::io::stdout();
    let mut wrong = false;
    detectors(&mut out, runs.min(400))?;
    writeln!(out, "\n{runs} streams of {LENGTH} values without drift, a look after each")?;
    writeln!(out, "alarms at 5 %, percent (at most {:.2} is chance)\n", 100.0 * allowance(runs))?;
    let looks = LENGTH / WINDOW;
    let bonferroni = ALPHA / looks as f64;
    writeln!(
        out,
        "{:16} {:>10} {:>10} {:>16} {:>16}",
        "column", "reference", "conformal", "KS, each at 5 %", "KS, Bonferroni"
    )?;
    for (name, column) in COLUMNS {
        for reference in [500, 5_000] {
            let scene = Scene::still(column, reference, LENGTH);
            let ours = rate(runs, |seed| conformal(&scene, seed));
            wrong |= ours > allowance(runs);
            write!(out, "{name:16} {reference:>10} {:>10.2}", 100.0 * ours)?;
            if matches!(column, Column::Normal | Column::Ties) {
                let some = runs.min(200);
                let naive = rate(some, |seed| windows(&scene, seed, ALPHA));
                let strict = rate(some, |seed| windows(&scene, seed, bonferroni));
                write!(out, " {:>16.1} {:>16.1}", 100.0 * naive, 100.0 * strict)?;
            }
            writeln!(out)?;
        }
    }
    delays(&mut out, runs.min(200), bonferroni)?;
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What monitors run beside their own test where they are asked to.
fn detectors(out: &mut impl Write, runs: u64) -> Result<()> {
    writeln!(
        out,
        "{runs} streams without drift: percent that a detector calls changed at its defaults, and calls a stream\n"
    )?;
    write!(out, "{:16} {:22}", "detector", "stream")?;
    let lengths = [1_000, 10_000, 50_000];
    for length in lengths {
        write!(out, " {length:>16}")?;
    }
    writeln!(out)?;
    for (name, detector) in DETECTORS {
        for (of, stream) in STREAMS {
            let found: Vec<(f64, f64)> =
                lengths.iter().map(|length| false_alarms(detector, stream, (runs, *length))).collect();
            if found.iter().all(|(share, _)| *share == 0.0) && name == "DDM" {
                continue;
            }
            write!(out, "{name:16} {of:22}")?;
            for (share, calls) in found {
                write!(out, " {:>7.1} {calls:>8.2}", 100.0 * share)?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

fn delays(out: &mut impl Write, runs: u64, bonferroni: f64) -> Result<()> {
    writeln!(
        out,
        "\nvalues from the change to the alarm, median of {runs}; reference 5,000; KS in windows of {WINDOW}\n"
    )?;
    writeln!(
        out,
        "{:30} {:>8} {:>10} {:>8} {:>8} {:>16} {:>8}",
        "change", "quiet", "conformal", "missed", "early", "KS, Bonferroni", "missed"
    )?;
    let changes = [
        ("mean by 0.1 σ", Change::Shift(0.1)),
        ("mean by 0.2 σ", Change::Shift(0.2)),
        ("mean by 0.5 σ", Change::Shift(0.5)),
        ("mean by 1 σ", Change::Shift(1.0)),
        ("spread by 1.2", Change::Spread(1.2)),
        ("spread by 1.5", Change::Spread(1.5)),
    ];
    for (name, change) in changes {
        for quiet in [0, 2_000, 25_000] {
            let scene = Scene { column: Column::Normal, reference: 5_000, quiet, after: LENGTH - quiet, change };
            let ours = delay(&scene, runs, |seed| conformal(&scene, seed));
            let theirs = delay(&scene, runs, |seed| windows(&scene, seed, bonferroni));
            let shown = |d: Option<usize>| d.map_or("-".to_owned(), |d| d.to_string());
            writeln!(
                out,
                "{name:30} {quiet:>8} {:>10} {:>7.0}% {:>7.0}% {:>16} {:>7.0}%",
                shown(ours.median),
                100.0 * ours.missed,
                100.0 * ours.early,
                shown(theirs.median),
                100.0 * theirs.missed
            )?;
        }
    }
    Ok(())
}

//! `mainspring estimate`: how good predictions probably are before there are labels.

use crate::args::{EstimateArgs, Output};
use crate::error::CliError;
use crate::monitor::apart;
use crate::output::{Mark, either, line, mark, note, table};
use mainspring_monitor::Table;
use mainspring_monitor::estimate::{Chunk, Estimated, Question, estimate};
use mainspring_stats::estimate::Estimate;
use std::process::ExitCode;

/// Learns from one file and says what it means for the other.
///
/// # Errors
/// [`CliError`] when a file cannot be read, or there is nothing to go by.
pub async fn run(args: EstimateArgs, out: Output) -> Result<ExitCode, CliError> {
    let question = Question {
        label: args.label,
        prediction: args.prediction,
        scores: args.score,
        positive: args.positive,
        features: args.features,
        chunks: args.chunks as usize,
    };
    let (reference, current) = (args.reference, args.current);
    let found = apart(move || estimate(&Table::open(&reference)?, &Table::open(&current)?, &question)).await?;
    either(out, &found, || people(&found));
    Ok(if args.fail_on_alert && found.alert { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn people(found: &Estimated) {
    let mut metrics: Vec<&str> = Vec::new();
    for metric in found.chunks.iter().flat_map(|c| &c.metrics) {
        if !metrics.contains(&metric.metric) {
            metrics.push(metric.metric);
        }
    }
    let head: Vec<&str> = ["from row", "rows"].into_iter().chain(metrics.iter().copied()).collect();
    table(&head, found.chunks.iter().map(|chunk| row(chunk, &metrics)));
    if let Some(explained) = found.explained {
        note(format!("{:.0} % of the variance of absolute errors was learnt from the inputs", 100.0 * explained));
    }
    if found.calibrated == Some(true) {
        note("probabilities were calibrated on the reference");
    }
    let [before, now] = found.left_out;
    if before + now > 0 {
        note(format!("rows without all that is needed: {before} of the reference, {now} of the current file"));
    }
    let [reference, current] = found.rows;
    let beyond = found.chunks.iter().filter(|c| c.metrics.iter().any(|m| m.alert)).count();
    let state = if beyond == 0 { Mark::Good } else { Mark::Bad };
    let text = format!(
        "{beyond} of {} parts are beyond what the reference was ({current} rows, reference {reference}), by {}",
        found.chunks.len(),
        found.method
    );
    line(mark(state, text));
}

fn row(chunk: &Chunk, metrics: &[&str]) -> Vec<String> {
    let shown = |m: &Estimate| {
        let text = format!("{} ({} to {})", round(m.value), round(m.low), round(m.high));
        if m.alert { mark(Mark::Bad, text) } else { text }
    };
    let cells =
        metrics.iter().map(|name| chunk.metrics.iter().find(|m| m.metric == *name).map(shown).unwrap_or_default());
    [chunk.from.to_string(), chunk.rows.to_string()].into_iter().chain(cells).collect()
}

fn round(x: f64) -> String {
    match x {
        x if x != 0.0 && x.abs() < 1e-3 => format!("{x:.1e}"),
        x if x.abs() >= 100.0 => format!("{x:.1}"),
        x => format!("{x:.3}"),
    }
}

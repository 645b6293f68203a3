//! `mainspring estimate`: how good predictions probably are before there are labels.

use crate::args::{EstimateArgs, Output};
use crate::client::{Server, segment};
use crate::error::CliError;
use crate::monitor::apart;
use crate::output::{Mark, cell, either, line, mark, note, table, time};
use crate::sides::{Side, rows, window_body};
use mainspring_core::ErrorKind;
use mainspring_monitor::Table;
use mainspring_monitor::estimate::{Asked, Chunk, Estimated, Source, estimate_sources};
use mainspring_monitor::segment::Labelled;
use mainspring_stats::estimate::Estimate;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Learns from one side and says what it means for the other.
///
/// # Errors
/// [`CliError`] when a side cannot be read, or there is nothing to go by.
pub async fn run(server: &Server, args: EstimateArgs, out: Output) -> Result<ExitCode, CliError> {
    let asked = Asked {
        label: args.label,
        prediction: args.prediction,
        scores: args.score,
        positive: args.positive,
        features: args.features,
        chunks: args.chunks as usize,
    };
    let [reference, current] = [&args.reference, &args.current].map(|side| Side::from(side.as_str()));
    if let (Side::Version(uri), Side::Window(of)) = (&reference, &current) {
        let found = there(server, (uri, of), asked).await?;
        either(out, &found, || people_there(&found));
        let alert = args.fail_on_alert && found["alert"] == true;
        return Ok(if alert { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    let reference = source(server, reference, Labelled { name: &asked.label, only: true }).await?;
    let current = source(server, current, Labelled { name: &asked.label, only: false }).await?;
    let found = apart(move || estimate_sources(reference, current, &asked)).await?;
    either(out, &found, || people(&found));
    Ok(if args.fail_on_alert && found.alert { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The server's estimate of a window from the file that a version names, which is not given away.
async fn there(server: &Server, (uri, of): (&str, &str), asked: Asked) -> Result<Value, CliError> {
    let (name, window) = window_body(of)?;
    let body = json!({
        "window": window, "reference": { "model": uri }, "label": asked.label, "prediction": asked.prediction,
        "scores": asked.scores, "positive": asked.positive, "chunks": asked.chunks,
    });
    server.post(&format!("/api/v1/deployments/{}/estimate", segment(&name)), &body).await
}

fn people_there(found: &Value) {
    let parts = found["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let metrics = |part: &Value| part["metrics"].as_array().cloned().unwrap_or_default();
    let names: Vec<String> = metrics(&found["whole"]).iter().map(|metric| cell(&metric["name"])).collect();
    let head: Vec<&str> = ["since", "rows"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let row = |part: &Value| {
        let number = |value: &Value| value.as_f64().map(round).unwrap_or_default();
        let metric = |metric: &Value| {
            let text =
                format!("{} ({} to {})", number(&metric["value"]), number(&metric["low"]), number(&metric["high"]));
            let text = if metric["alert"] == true { mark(Mark::Bad, text) } else { text };
            if metric["realized"].is_null() { text } else { format!("{text}, really {}", number(&metric["realized"])) }
        };
        let cells = metrics(part);
        let cells = cells.iter().map(metric);
        [time(&part["since"]), cell(&part["rows"])].into_iter().chain(cells).collect::<Vec<_>>()
    };
    table(&head, parts.iter().map(row));
    let beyond = |part: &&Value| metrics(part).iter().any(|metric| metric["alert"] == true);
    let unkept = found["unkept"].as_u64().unwrap_or(0);
    if unkept > 0 {
        note(format!("the payload of {unkept} rows was not kept (`journal: {{sample}}`)"));
    }
    let rows = ["rows", "referenceRows"].map(|key| found[key].as_u64().unwrap_or(0));
    conclude((parts.iter().filter(beyond).count(), parts.len()), rows, found["method"].as_str().unwrap_or_default());
}

/// The last line: how many parts are beyond what the reference was.
fn conclude((beyond, parts): (usize, usize), [current, reference]: [u64; 2], method: &str) {
    let state = if beyond == 0 { Mark::Good } else { Mark::Bad };
    let text = format!(
        "{beyond} of {parts} parts are beyond what the reference was ({current} rows, reference {reference}), by {method}"
    );
    line(mark(state, text));
}

/// A file, or live rows with their labels.
async fn source(server: &Server, side: Side, label: Labelled<'_>) -> Result<Source, CliError> {
    match side {
        Side::File(file) => Ok(Source::File(apart(move || Table::open(&file)).await?)),
        Side::Window(of) => {
            let kept = rows(server, &of, Some(label)).await?;
            Ok(Source::Live(kept, format!("deployment:{of}")))
        }
        Side::Profile(_) => {
            let message = "an estimate is of rows, and a profile keeps sketches of them";
            Err(CliError::new(ErrorKind::InvalidInput, message).hint("give a file, or deployment:NAME?last=24h"))
        }
        Side::Version(uri) => {
            let message = format!("{uri} is a reference for live rows, and for nothing else");
            let hint = format!("write: mainspring estimate {uri} deployment:NAME?last=24h");
            Err(CliError::new(ErrorKind::InvalidInput, message).hint(hint))
        }
    }
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
    conclude((beyond, found.chunks.len()), [current, reference], found.method);
}

fn row(chunk: &Chunk, metrics: &[&str]) -> Vec<String> {
    let shown = |m: &Estimate| {
        let text = format!("{} ({} to {})", round(m.value), round(m.low), round(m.high));
        let text = if m.alert { mark(Mark::Bad, text) } else { text };
        match chunk.realized.iter().find(|really| really.metric == m.metric) {
            Some(really) => format!("{text}, really {}", round(really.value)),
            None => text,
        }
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

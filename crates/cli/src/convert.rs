//! `mainspring convert` and `optimize`: a job of the server, followed to its end.

use crate::args::{Output, RowArgs};
use crate::client::{Server, segment};
use crate::error::CliError;
use crate::output::{Mark, cell, json, line, mark, note, size, table};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mainspring_core::ErrorKind;
use serde_json::{Value, json};
use std::time::Duration;

/// How often the job is looked at.
const POLL: Duration = Duration::from_millis(200);

/// Starts the job, shows what it does, and prints the proof. Ctrl-C cancels the job.
///
/// # Errors
/// [`CliError`] when the file cannot be read, the model cannot be converted, or its answers differ.
pub async fn run(server: &Server, mut asked: Value, rows: &RowArgs, out: Output) -> Result<(), CliError> {
    if let Some(fields) = asked.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    asked["env"] = json!(rows.env);
    if let Some(path) = &rows.data {
        let content = std::fs::read(path)
            .map_err(|e| CliError::new(ErrorKind::InvalidInput, format!("cannot read {}: {e}", path.display())))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        asked["data"] = json!({ "name": name, "content": STANDARD.encode(content) });
    }
    let job = server.post("/api/v1/conversions", &asked).await?;
    let url = format!("/api/v1/conversions/{}", segment(&cell(&job["id"])));
    let ended = tokio::select! {
        ended = follow(server, &url, out) => ended?,
        _interrupted = tokio::signal::ctrl_c() => {
            server.delete(&url).await?;
            return Err(CliError::new(ErrorKind::Cancelled, "the conversion was cancelled"));
        }
    };
    match out {
        Output::Json => json(&ended),
        Output::Table => {
            if let Some(findings) = ended.get("findings") {
                proof(findings);
            }
        }
    }
    outcome(&ended, out)
}

/// Shows each step once, until the job has ended.
async fn follow(server: &Server, url: &str, out: Output) -> Result<Value, CliError> {
    let mut shown = 0;
    loop {
        let job = server.get(url).await?;
        let forgotten = job["forgotten"].as_u64().unwrap_or_default();
        let steps = job["steps"].as_array().cloned().unwrap_or_default();
        let total = forgotten + steps.len() as u64;
        if out == Output::Table {
            let new = usize::try_from(total.saturating_sub(shown)).unwrap_or(0).min(steps.len());
            for step in &steps[steps.len() - new..] {
                note(format!("  {}", cell(step)));
            }
        }
        shown = total;
        if matches!(job["state"].as_str(), Some("done" | "failed" | "cancelled" | "interrupted")) {
            return Ok(job);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn outcome(job: &Value, out: Output) -> Result<(), CliError> {
    let error = &job["error"];
    if !error.is_null() {
        let kind = ErrorKind::ALL.into_iter().find(|k| error["kind"] == k.as_str()).unwrap_or(ErrorKind::Internal);
        let hint = error["hint"].as_str().map(str::to_owned);
        return Err(CliError { kind, message: cell(&error["message"]), hint });
    }
    if out == Output::Table {
        let (findings, source) = (&job["findings"], cell(&job["findings"]["source"]));
        let model = source.trim_start_matches("models:/").rsplit_once('/').map_or("", |(name, _)| name).to_owned();
        match job["version"].as_str() {
            Some(version) => {
                let chosen = cell(&findings["chosen"]);
                line(mark(
                    Mark::Good,
                    format!("registered as models:/{model}/{version} ({chosen}), made from {source}"),
                ));
                line("  it serves in place of that one where a deployment says prefer: onnx");
            }
            None => line(mark(Mark::Warn, "nothing that passes is faster by 3 %; nothing was registered")),
        }
    }
    Ok(())
}

/// What was compared, and how it came out.
fn proof(findings: &Value) {
    let what = cell(&findings["what"]);
    if !what.is_empty() {
        line(format!("{}: {what}", cell(&findings["framework"])));
    }
    line(format!("rows       {} from {}", cell(&findings["rows"]), cell(&findings["rowsFrom"])));
    line(format!("tolerance  {}", cell(&findings["rule"])));
    let batch = cell(&findings["batchRows"]);
    let scored = findings["measure"].as_str();
    let mut head = vec!["variant", "size", "one row", "batch", "same answer"];
    let in_batch = format!("{batch} rows");
    head[3] = &in_batch;
    head.extend(scored);
    head.push("verdict");
    let before = &findings["before"];
    let time = |us: &Value| duration(us.as_f64().unwrap_or_default());
    let name = if what.is_empty() { "as it is" } else { "in Python" };
    let bytes = |speed: &Value| match speed["bytes"].as_u64() {
        Some(0) | None => "–".to_owned(),
        Some(n) => size(n),
    };
    let score = |v: &Value| v.as_f64().map(|s| format!("{s:.4}")).unwrap_or_default();
    let mut first = vec![name.to_owned(), bytes(before), time(&before["rowUs"]), time(&before["batchUs"]), "–".into()];
    first.extend(scored.map(|_| score(&findings["score"])));
    first.push("–".into());
    let candidates = findings["candidates"].as_array().cloned().unwrap_or_default();
    let row = |c: &Value| {
        let speed = &c["speed"];
        let times = |us: &Value, n: &Value| format!("{} ({:.1}×)", time(us), n.as_f64().unwrap_or_default());
        let mut cells = vec![
            cell(&c["name"]),
            bytes(speed),
            times(&speed["rowUs"], &c["rowTimes"]),
            times(&speed["batchUs"], &c["batchTimes"]),
            format!("{} of {}", cell(&c["agreeing"]), cell(&findings["rows"])),
        ];
        cells.extend(scored.map(|_| score(&c["score"])));
        let refused = cell(&c["refused"]);
        cells.push(match (refused.is_empty(), c["name"] == findings["chosen"]) {
            (true, true) => "chosen".to_owned(),
            (true, false) => "passes".to_owned(),
            (false, _) => refused,
        });
        cells
    };
    let missed = findings["failed"].as_array().cloned().unwrap_or_default();
    if !candidates.is_empty() {
        table(&head, std::iter::once(first).chain(candidates.iter().map(row)));
    }
    for miss in &missed {
        line(format!("{} was not made: {}", cell(&miss["name"]), cell(&miss["reason"])));
    }
    for candidate in &candidates {
        worst(candidate);
    }
    for warning in warnings(findings) {
        line(mark(Mark::Warn, warning));
    }
}

/// What whoever relies on the proof should know.
fn warnings(findings: &Value) -> Vec<String> {
    findings["warnings"].as_array().map(|all| all.iter().map(cell).collect()).unwrap_or_default()
}

/// The worst row of the output that is furthest from the model's own, with both values.
fn worst(candidate: &Value) {
    let outputs = candidate["outputs"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(output) = outputs.first() {
        if output["difference"].is_null() && output["differing"] == 0 {
            return line(format!("no row of {} differs", cell(&candidate["name"])));
        }
        let apart = output["difference"].as_f64().map(|d| format!(", {d:.2e} apart")).unwrap_or_default();
        let others = if outputs.len() > 1 { format!(" (of {} outputs)", outputs.len()) } else { String::new() };
        line(format!(
            "worst row of {}: row {}, output {:?}{others}: {}, the model says {}{apart}",
            cell(&candidate["name"]),
            cell(&output["row"]),
            cell(&output["name"]),
            cell(&output["got"]),
            cell(&output["expected"]),
        ));
    }
}

/// Microseconds for people.
fn duration(us: f64) -> String {
    if us < 1000.0 { format!("{us:.1} µs") } else { format!("{:.2} ms", us / 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_of_the_findings_are_lines() {
        let said = "only 5 rows were compared, from the input example";
        assert_eq!(warnings(&json!({ "warnings": [said] })), [said]);
        // A server from before says none.
        assert!(warnings(&json!({ "rows": 5 })).is_empty());
    }
}

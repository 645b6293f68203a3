//! `mainspring rollout`: begin, look, watch, order, look back, replay, simulate.

mod simulate;
mod status;

pub use simulate::Assume;

use crate::args::{Output, RolloutCmd, Wait};
use crate::client::{Server, segment};
use crate::error::CliError;
use crate::output::{Mark, cell, either, json, line, mark, note, table, time};
use crate::resources;
use mainspring_core::ErrorKind;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// How often a rollout is looked at.
const POLL: Duration = Duration::from_secs(1);
/// Looks until a rollout must have begun: the controller passes once a second.
const BEGIN: u32 = 120;

fn url(name: &str) -> String {
    format!("/api/v1/rollouts/{}", segment(name))
}

/// Carries a command out.
///
/// # Errors
/// [`CliError`] when the server refuses it.
pub async fn run(server: &Server, command: RolloutCmd, out: Output) -> Result<(), CliError> {
    match command {
        RolloutCmd::Start { name: Some(name), .. } => {
            let view = server.post(&format!("{}/start", url(&name)), &json!({})).await?;
            either(out, &view, || {
                line(mark(Mark::Good, format!("rollout/{name} begins its run {}", cell(&view["run"]))));
            });
        }
        RolloutCmd::Start { files, .. } => start(server, &files, out).await?,
        RolloutCmd::Status { name: None } => {
            let all = server.get("/api/v1/rollouts").await?;
            either(out, &all, || list(&all));
        }
        RolloutCmd::Status { name: Some(name) } => {
            let view = server.get(&url(&name)).await?;
            either(out, &view, || status::show(&view));
        }
        RolloutCmd::Watch { name } => watch(server, &name, out).await?,
        RolloutCmd::Decisions { name, limit } => {
            let all = server.get(&format!("{}/decisions?limit={limit}", url(&name))).await?;
            either(out, &all, || {
                for decision in all["decisions"].as_array().into_iter().flatten().rev() {
                    line(sentence(decision));
                    worst_rows(decision);
                }
            });
        }
        RolloutCmd::Pause { name, why } => order(server, &name, "pause", [None, why.reason], out).await?,
        RolloutCmd::Resume { name, why } => order(server, &name, "resume", [None, why.reason], out).await?,
        RolloutCmd::Promote { name, candidate, why } => {
            order(server, &name, "promote", [candidate, why.reason], out).await?;
        }
        RolloutCmd::Abort { name, why } => order(server, &name, "abort", [None, why.reason], out).await?,
        RolloutCmd::Skip { name, why } => order(server, &name, "skip", [None, why.reason], out).await?,
        RolloutCmd::Approve { name, why } => order(server, &name, "approve", [None, why.reason], out).await?,
        RolloutCmd::Course { name, run } => {
            let all = server.get(&format!("{}/course{}", url(&name), of_run(run))).await?;
            either(out, &all, || status::course(&all));
        }
        RolloutCmd::Replay { name, run } => replay(server, &name, run, out).await?,
        RolloutCmd::Simulate(args) => simulate::run(server, &args, out).await?,
    }
    Ok(())
}

/// Declares what the files say, and waits until the rollouts in them have begun.
async fn start(server: &Server, files: &[PathBuf], out: Output) -> Result<(), CliError> {
    let before = server.get("/api/v1/rollouts").await?;
    let applied = resources::apply(server, files, Wait::none().limit(), out).await?;
    let kind = |one: &&Value| one["kind"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("rollout"));
    let rollouts: Vec<&Value> = applied.iter().filter(kind).collect();
    if rollouts.is_empty() {
        return Err(CliError::new(ErrorKind::InvalidInput, "there is no Rollout in what was declared")
            .hint("a file of one begins with kind: Rollout"));
    }
    for one in rollouts {
        let name = cell(&one["name"]);
        let known = before["rollouts"].as_array().into_iter().flatten().find(|r| r["name"] == one["name"]);
        let ended = known.filter(|r| matches!(r["phase"].as_str(), Some("rolledBack" | "succeeded")));
        if let Some(last) = ended.filter(|_| one["change"] == "unchanged") {
            let text =
                format!("rollout/{name} is as it was, and run {} of it has ended: {}", cell(&last["run"]), phase(last));
            return Err(CliError::new(ErrorKind::Conflict, text)
                .hint(format!("begin the next run with: mainspring rollout start {name}")));
        }
        refused(server, &name).await?;
        let last = ended.and_then(|r| r["run"].as_i64()).unwrap_or_default();
        let view = begun(server, &name, last).await?;
        if out == Output::Table {
            let hold =
                view["hold"]["reason"].as_str().map(|reason| format!(", it holds: {reason}")).unwrap_or_default();
            let (run, phase) = (cell(&view["run"]), phase(&view));
            line(format!("  run {run}: {phase}{hold}; look with: mainspring rollout watch {name}"));
        }
    }
    Ok(())
}

/// The run after number `last`, once there is one.
async fn begun(server: &Server, name: &str, last: i64) -> Result<Value, CliError> {
    for _ in 0..BEGIN {
        match server.get(&url(name)).await {
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Ok(view) if view["run"].as_i64().is_some_and(|run| run <= last) => {}
            answer => return answer,
        }
        tokio::time::sleep(POLL / 4).await;
    }
    Err(CliError::new(
        ErrorKind::DeadlineExceeded,
        format!("rollout/{name} is declared, and no run of it has begun yet"),
    )
    .hint(format!("see whether a server leads, in its log or with: mainspring rollout status {name}")))
}

/// Fails where the server cannot carry the declaration out: another rollout has its place, or another run of it is active.
async fn refused(server: &Server, name: &str) -> Result<(), CliError> {
    let one = server.get(&format!("/api/v1/resources/rollout/{}", segment(name))).await?;
    if one["status"]["state"] != "FAILED" {
        return Ok(());
    }
    let reason = cell(&one["status"]["reason"]);
    Err(CliError::new(ErrorKind::Conflict, format!("rollout/{name} is declared and does not begin: {reason}"))
        .hint(format!(
            "it begins by itself once the reason is gone; declare it otherwise, or take it back: mainspring delete rollout {name}"
        )))
}

/// Gives an order, to a candidate and for a reason where there are such.
async fn order(
    server: &Server,
    name: &str,
    order: &str,
    more: [Option<String>; 2],
    out: Output,
) -> Result<(), CliError> {
    let more = ["candidate", "reason"].into_iter().zip(more);
    let more: Vec<String> = more.filter_map(|(key, value)| Some(format!("{key}={}", segment(&value?)))).collect();
    let view = server.post(&format!("{}/orders/{order}?{}", url(name), more.join("&")), &json!({})).await?;
    let last = server.get(&format!("{}/decisions?limit=1", url(name))).await?;
    either(out, &view, || line(mark(Mark::Good, sentence(&last["decisions"][0]))));
    Ok(())
}

fn of_run(run: Option<i64>) -> String {
    run.map(|run| format!("?run={run}")).unwrap_or_default()
}

async fn replay(server: &Server, name: &str, run: Option<i64>, out: Output) -> Result<(), CliError> {
    let found = server.post(&format!("{}/replay{}", url(name), of_run(run)), &json!({})).await?;
    let diverged = found["diverged"].as_str();
    either(out, &found, || {
        let (same, all) = (cell(&found["same"]), cell(&found["decisions"]));
        let state = if diverged.is_some() { Mark::Bad } else { Mark::Good };
        line(mark(state, format!("{same} of {all} decisions follow from the journal")));
        for text in diverged.into_iter().map(str::to_owned).chain(texts(&found["numbers"])) {
            line(format!("  {text}"));
        }
    });
    match diverged {
        None => Ok(()),
        Some(_) => Err(CliError::new(ErrorKind::Conflict, "the journal does not lead to the recorded decisions")
            .hint("retention may have removed answers, or they are still with another replica")),
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(cell).collect()
}

fn percent(value: &Value) -> String {
    let percent = value.as_f64().unwrap_or_default() * 100.0;
    if percent == percent.round() { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

fn sentence(decision: &Value) -> String {
    // A person's order names the person; what names nobody is the controller's.
    format!("{}  {}", seconds(&decision["at"]), cell(&decision["sentence"]))
}

/// The rows of a replay that were the furthest apart.
fn worst_rows(decision: &Value) {
    let checks = decision["checks"].as_array().into_iter().flatten();
    let rows: Vec<&Value> = checks.flat_map(|c| c["replay"]["worst"].as_array().into_iter().flatten()).collect();
    if rows.is_empty() {
        return;
    }
    let row = |r: &&Value| ["request", "row", "output", "stable", "candidate"].map(|c| cell(&r[c])).to_vec();
    table(&["request", "row", "output", "stable", "candidate"], rows.iter().map(row));
}

/// To the second: rollouts may decide several times a minute.
fn seconds(at: &Value) -> String {
    let text = cell(at);
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(clock)) => format!("{day} {clock}"),
        _ => text,
    }
}

/// The part of the units that get a candidate; nothing while there is none.
fn weight(view: &Value) -> String {
    let variants = view["variants"].as_array().map_or(&[][..], Vec::as_slice);
    let parts: f64 = variants.iter().skip(1).filter_map(|v| v["weight"].as_f64()).sum();
    // Sums of decimal parts are off by a few units of the last place.
    let parts = (parts * 1e6).round() / 1e6;
    if variants.len() < 2 { String::new() } else { percent(&json!(parts)) }
}

fn list(all: &Value) {
    let rows: Vec<Vec<String>> = all["rollouts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|r| {
            let step = r["steps"].as_array().into_iter().flatten().find(|s| s["state"] == "now");
            let step = step.map(|s| cell(&s["title"])).unwrap_or_default();
            let weight = weight(r);
            let waits = cell(&r["hold"]["reason"]);
            vec![cell(&r["name"]), cell(&r["deployment"]), cell(&r["phase"]), step, weight, time(&r["since"]), waits]
        })
        .collect();
    if rows.is_empty() {
        return line("there are no rollouts; begin one with: mainspring rollout start -f rollout.yaml");
    }
    table(&["name", "deployment", "phase", "step", "candidate", "since", "waits for"], rows);
}

fn phase(view: &Value) -> String {
    match view["phase"].as_str().unwrap_or_default() {
        "rolledBack" => "rolled back".to_owned(),
        "approval" => "waits for an approval".to_owned(),
        "review" => "time is up without a verdict; promote or abort it".to_owned(),
        "watching" => "promoted; late labels can still reverse it".to_owned(),
        other => other.to_owned(),
    }
}

/// Four digits that count.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A rollback as a failure, of the last decisions, the newest last.
fn rolled_back(name: &str, decisions: &[Value]) -> CliError {
    let why = decisions.iter().rev().find(|d| d["kind"] == "rolledBack").map(|d| cell(&d["sentence"]));
    let why = why.map(|why| format!(": {}", why.trim_start_matches("rolled back: "))).unwrap_or_default();
    CliError::new(ErrorKind::Conflict, format!("rollout/{name} was rolled back{why}"))
        .hint(format!("see what led to it: mainspring rollout decisions {name}"))
}

/// Shows a rollout as it goes: the whole screen on a terminal, each decision as a line elsewhere.
///
/// # Errors
/// [`CliError`] once it has been rolled back, also by an order, and when the server does not answer.
async fn watch(server: &Server, name: &str, out: Output) -> Result<(), CliError> {
    let screen = out == Output::Table && std::io::stdout().is_terminal();
    let mut told = 0;
    loop {
        let view = server.get(&url(name)).await?;
        let decisions = server.get(&format!("{}/decisions?limit=50", url(name))).await?;
        let mut decisions = decisions["decisions"].as_array().cloned().unwrap_or_default();
        decisions.reverse();
        if screen {
            // Home, then clear: nothing flickers.
            line("\u{1b}[H\u{1b}[2J".to_owned());
            status::show(&view);
            line("");
            decisions.iter().rev().take(8).rev().for_each(|d| line(sentence(d)));
            note("Ctrl-C stops watching; the rollout goes on");
        } else {
            for decision in decisions.iter().filter(|d| d["seq"].as_u64().unwrap_or(0) > told) {
                match out {
                    Output::Json => json(decision),
                    Output::Table => line(sentence(decision)),
                }
            }
        }
        told = decisions.last().and_then(|d| d["seq"].as_u64()).unwrap_or(told);
        match view["phase"].as_str() {
            Some("succeeded") => return Ok(()),
            Some("rolledBack") => return Err(rolled_back(name, &decisions)),
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_digits_that_count() {
        let shown: Vec<String> = [0.0, 0.012_346, 1.0, -0.5, 1234.2, 1e-12].into_iter().map(short).collect();
        assert_eq!(shown, ["0", "0.01235", "1", "-0.5", "1234", "0"]);
        let shares = json!({"variants": [{"weight": 0.4}, {"weight": 0.1}, {"weight": 0.2}, {"weight": 0.3}]});
        assert_eq!((weight(&shares), weight(&json!({"variants": []}))), ("60 %".to_owned(), String::new()));
        assert_eq!((percent(&json!(0.05)), percent(&json!(0.125))), ("5 %".to_owned(), "12.5 %".to_owned()));
    }

    #[test]
    fn a_rollback_is_a_failure_that_says_why() {
        let said =
            [json!({"kind": "rolledBack", "sentence": "rolled back: ada aborted it"}), json!({"kind": "closed"})];
        let error = rolled_back("churn-v8", &said);
        assert_eq!(error.exit_code(), 1);
        assert_eq!(error.to_string(), "rollout/churn-v8 was rolled back: ada aborted it");
    }
}

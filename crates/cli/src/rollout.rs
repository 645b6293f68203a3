//! `mainspring rollout`: begin, look, watch, order, replay, simulate.

mod simulate;

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
            either(out, &view, || status(&view));
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
        RolloutCmd::Pause { name } => order(server, &name, "pause", out).await?,
        RolloutCmd::Resume { name } => order(server, &name, "resume", out).await?,
        RolloutCmd::Promote { name } => order(server, &name, "promote", out).await?,
        RolloutCmd::Abort { name } => order(server, &name, "abort", out).await?,
        RolloutCmd::Skip { name } => order(server, &name, "skip", out).await?,
        RolloutCmd::Approve { name } => order(server, &name, "approve", out).await?,
        RolloutCmd::Replay { name, run } => replay(server, &name, run, out).await?,
        RolloutCmd::Simulate(args) => simulate::run(server, &args, out).await?,
    }
    Ok(())
}

/// Declares what the files say, and waits until the rollouts in them have begun.
async fn start(server: &Server, files: &[PathBuf], out: Output) -> Result<(), CliError> {
    for one in resources::apply(server, files, Wait::none().limit(), out).await? {
        if !one["kind"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("rollout")) {
            continue;
        }
        let name = cell(&one["name"]);
        let mut left = BEGIN;
        let view = loop {
            match server.get(&url(&name)).await {
                Err(error) if error.kind == ErrorKind::NotFound && left > 0 => left -= 1,
                answer => break answer?,
            }
            tokio::time::sleep(POLL / 4).await;
        };
        if out == Output::Table {
            line(format!("  run {}: {}; look with: mainspring rollout watch {name}", cell(&view["run"]), phase(&view)));
        }
    }
    Ok(())
}

async fn order(server: &Server, name: &str, order: &str, out: Output) -> Result<(), CliError> {
    let view = server.post(&format!("{}/orders/{order}", url(name)), &json!({})).await?;
    let last = server.get(&format!("{}/decisions?limit=1", url(name))).await?;
    either(out, &view, || line(mark(Mark::Good, sentence(&last["decisions"][0]))));
    Ok(())
}

async fn replay(server: &Server, name: &str, run: Option<i64>, out: Output) -> Result<(), CliError> {
    let which = run.map(|run| format!("?run={run}")).unwrap_or_default();
    let found = server.post(&format!("{}/replay{which}", url(name)), &json!({})).await?;
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

/// What a bandit knows of its variants.
fn arms(view: &Value) {
    let arms: Vec<&Value> = view["arms"].as_array().into_iter().flatten().collect();
    if arms.is_empty() {
        return;
    }
    let value = |v: &Value| match v["value"].as_f64() {
        Some(mean) => format!("{} ± {}", short(mean), short(v["standardError"].as_f64().unwrap_or_default())),
        None => String::new(),
    };
    line("");
    table(
        &["variant", "units", "mean", "the best with", "alone it would bring (DR)"],
        arms.into_iter().map(|arm| {
            let units = cell(&arm["units"]);
            vec![cell(&arm["variant"]), units, value(&arm["mean"]), percent(&arm["best"]), value(&arm["dr"])]
        }),
    );
}

/// What a contextual bandit knows, and what it has brought.
fn contexts(view: &Value) {
    let mut seen: Vec<&Value> = view["contexts"].as_array().into_iter().flatten().collect();
    seen.retain(|c| c["share"].as_f64().is_some_and(|share| share > 0.0));
    if seen.is_empty() {
        return;
    }
    line("");
    let row = |c: &Value, a: &Value| {
        let mean = short(a["mean"]["value"].as_f64().unwrap_or_default());
        vec![
            cell(&c["title"]),
            percent(&c["share"]),
            cell(&a["variant"]),
            percent(&a["weight"]),
            cell(&a["units"]),
            mean,
            percent(&a["best"]),
        ]
    };
    let arms = |c: &Value| c["arms"].as_array().map(Vec::as_slice).unwrap_or_default().to_vec();
    table(
        &["context", "of the traffic", "variant", "weight", "units", "mean", "the best with"],
        seen.into_iter().flat_map(|c| arms(c).iter().map(|a| row(c, a)).collect::<Vec<_>>()),
    );
    for gain in view["gains"].as_array().into_iter().flatten() {
        let end = |key: &str| gain["gain"][key].as_f64().map_or_else(|| "unbounded".to_owned(), short);
        let (over, estimate) = (cell(&gain["over"]), end("estimate"));
        line(format!(
            "choosing by context brought {estimate} more than {over} alone, {} to {}",
            end("low"),
            end("high")
        ));
    }
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

/// A rollout on one screen.
fn status(view: &Value) {
    let run = cell(&view["run"]);
    line(format!("rollout/{} on {}, run {run}: {}", cell(&view["name"]), cell(&view["deployment"]), phase(view)));
    if let Some(reason) = view["hold"]["reason"].as_str() {
        line(mark(Mark::Warn, format!("it holds: {reason}")));
    }
    if view["approval"].is_object() {
        line(mark(Mark::Warn, missing(&view["approval"])));
    }
    let step = |s: &Value| match s["state"].as_str() {
        Some("now") => format!("[{}]", cell(&s["title"])),
        Some("done") => format!("{} ✓", cell(&s["title"])),
        _ => cell(&s["title"]),
    };
    line(format!("  {}", view["steps"].as_array().into_iter().flatten().map(step).collect::<Vec<_>>().join(" → ")));
    line("");
    let variants = view["variants"].as_array().into_iter().flatten();
    table(
        &["variant", "model", "weight", "units", "in this step", "answers"],
        variants.map(|v| {
            let count = |key: &str| cell(&v[key]);
            let (name, model) = (cell(&v["name"]), cell(&v["model"]));
            vec![name, model, percent(&v["weight"]), count("units"), count("stepUnits"), count("answers")]
        }),
    );
    let metrics: Vec<&Value> = view["metrics"].as_array().into_iter().flatten().collect();
    if metrics.is_empty() {
        return;
    }
    line("");
    table(
        &["metric", "role", "stable", "candidate", "effect", "finding"],
        metrics.into_iter().map(|m| {
            let finding = match m["why"].as_str() {
                Some(why) => format!("{}: {why}", words(&m["finding"])),
                None => words(&m["finding"]),
            };
            let known = m["knownUnits"].as_u64().map(|n| format!(" of {n} units")).unwrap_or_default();
            let finding = match m["varianceExplained"].as_f64() {
                Some(_) => {
                    format!("{finding}; {} of the variance known before{known}", percent(&m["varianceExplained"]))
                }
                None => finding,
            };
            vec![cell(&m["name"]), cell(&m["role"]), number(&m["stable"]), number(&m["candidate"]), effect(m), finding]
        }),
    );
    arms(view);
    contexts(view);
    let until = time(&view["evidenceUntil"]);
    if !until.is_empty() {
        line(format!("\nevidence up to {until}; `effect` is valid however often you look"));
    }
}

/// Who must still agree.
fn missing(approval: &Value) -> String {
    let need = |n: &Value| {
        let by = texts(&n["by"]);
        let of = n["group"].as_str().map(|group| format!(" of group {group}")).unwrap_or_default();
        let so_far = if by.is_empty() { String::new() } else { format!(" (so far {})", by.join(", ")) };
        format!("{} of {} approvals{of}{so_far}", by.len(), cell(&n["wanted"]))
    };
    let all: Vec<String> = approval["needs"].as_array().into_iter().flatten().map(need).collect();
    let not = approval["notBy"].as_str().map(|by| format!("; not by {by}, who began it")).unwrap_or_default();
    let until = approval["expiresAt"].as_str().map(|_| format!("; until {}", time(&approval["expiresAt"])));
    format!("before {}: {}{not}{}", cell(&approval["before"]), all.join(", "), until.unwrap_or_default())
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

fn words(value: &Value) -> String {
    cell(value).replace('-', " ")
}

fn number(value: &Value) -> String {
    value.as_f64().map(short).unwrap_or_default()
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

fn effect(metric: &Value) -> String {
    let effect = &metric["effect"];
    let Some(estimate) = effect["estimate"].as_f64() else { return String::new() };
    let end = |v: &Value, open: &str| v.as_f64().map_or_else(|| open.to_owned(), short);
    let sign = if metric["scale"] == "ratio" { "×" } else { "" };
    format!("{sign}{} [{}, {}]", short(estimate), end(&effect["low"], "−∞"), end(&effect["high"], "∞"))
}

/// Shows a rollout as it goes: the whole screen on a terminal, each decision as a line elsewhere.
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
            status(&view);
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
            Some("succeeded" | "rolledBack") => return Ok(()),
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
    fn an_effect_shows_its_confidence_sequence_and_open_ends() {
        let open = json!({"scale": "ratio", "effect": {"estimate": 1.2, "low": 0.9}});
        assert_eq!(effect(&open), "×1.2 [0.9, ∞]");
        assert_eq!(effect(&json!({"scale": "difference"})), "");
    }
}

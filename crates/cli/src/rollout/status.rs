//! A rollout on one screen: where it is, who gets what, what is measured, and what is not.

use super::{percent, phase, short, texts};
use crate::output::{Mark, cell, line, mark, table, time};
use serde_json::Value;

/// A rollout on one screen.
pub(super) fn show(view: &Value) {
    let run = cell(&view["run"]);
    line(format!("rollout/{} on {}, run {run}: {}", cell(&view["name"]), cell(&view["deployment"]), phase(view)));
    if let Some(reason) = view["hold"]["reason"].as_str() {
        line(mark(Mark::Warn, format!("it holds: {reason}")));
    }
    if view["approval"].is_object() {
        line(mark(Mark::Warn, missing(&view["approval"])));
    }
    for remark in frozen(view).into_iter().chain(passed(view)).chain(unitless(view)) {
        line(mark(Mark::Warn, remark));
    }
    let step = |s: &Value| match s["state"].as_str() {
        Some("now") => format!("[{}]", cell(&s["title"])),
        Some("done") => format!("{} ✓", cell(&s["title"])),
        Some("skipped") => format!("{} (skipped)", cell(&s["title"])),
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
    metrics(view);
    arms(view);
    contexts(view);
    for remark in elsewhere(view).into_iter().chain(left_out(view)).chain(until(view)) {
        line(format!("\n{remark}"));
    }
}

/// What is measured; nothing where nothing is, or somewhere else.
fn metrics(view: &Value) {
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
            let finding = format!("{finding}{}", tested(&m["tested"]));
            vec![cell(&m["name"]), cell(&m["role"]), number(&m["stable"]), number(&m["candidate"]), effect(m), finding]
        }),
    );
}

/// Variants whose version nothing new may take.
fn frozen(view: &Value) -> Vec<String> {
    let variants = view["variants"].as_array().into_iter().flatten();
    variants.filter_map(|v| Some(format!("{}: {}", cell(&v["name"]), v["frozen"].as_str()?))).collect()
}

/// How a metric is tested, where the file says it.
fn tested(tested: &Value) -> String {
    let Some(test) = tested["test"].as_str() else { return String::new() };
    let alpha = tested["alpha"].as_f64().map(|a| format!(" at {}", percent(&Value::from(a)))).unwrap_or_default();
    let looks = &tested["looks"];
    let looks = looks["of"].as_u64().map(|of| format!(", look {} of {of}", cell(&looks["due"]))).unwrap_or_default();
    format!(" ({test}{alpha}{looks})")
}

/// Signals that somebody let pass.
fn passed(view: &Value) -> Option<String> {
    let signals = texts(&view["passedSignals"]);
    let names = signals.join(", ");
    (!signals.is_empty()).then(|| format!("let pass by a person, and stops this step again once it was calm: {names}"))
}

/// Answers to requests that lack the unit.
fn unitless(view: &Value) -> Option<String> {
    let left = &view["leftOut"];
    let count = left["unitless"].as_u64().filter(|n| *n > 0)?;
    let carrier = left["carrier"].as_str().unwrap_or("unit");
    Some(format!("{count} answers are not counted: their requests had no {carrier}, which is the unit"))
}

/// What else is not in the numbers, and what came late.
fn left_out(view: &Value) -> Option<String> {
    const KINDS: [(&str, &str); 6] = [
        ("warmUp", "answers of the warm-up"),
        ("strangers", "answers of other generations or variants"),
        ("unmatchedLabels", "labels about answers that are not counted"),
        ("crowdedOut", "answers of units that found no place"),
        ("forgotten", "answers forgotten, for which labels may still come"),
        ("late", "events that came after their look, and count since"),
    ];
    let left = &view["leftOut"];
    let some = |(key, words): (&str, &str)| Some(format!("{} {words}", left[key].as_u64().filter(|n| *n > 0)?));
    let all: Vec<String> = KINDS.into_iter().filter_map(some).collect();
    (!all.is_empty()).then(|| format!("left out: {}", all.join("; ")))
}

/// That the numbers are not here: they are in the memory of the one server that decides.
fn elsewhere(view: &Value) -> Option<String> {
    let counted = ["step", "paused", "alarmed", "review", "approval", "promoting", "watching"];
    let expected = view["phase"].as_str().is_some_and(|phase| counted.contains(&phase));
    (expected && view["evidenceUntil"].is_null()).then(|| {
        let log = format!("mainspring rollout decisions {}", cell(&view["name"]));
        format!("no numbers here: the server that decides has them, and this is another or has only just begun; see also: {log}")
    })
}

/// Until when the numbers are.
fn until(view: &Value) -> Option<String> {
    let until = Some(time(&view["evidenceUntil"])).filter(|until| !until.is_empty())?;
    Some(match view["evidenceOf"].as_u64() {
        Some(decision) => format!("evidence of decision {decision}, the last one with numbers, up to {until}"),
        None => format!("evidence up to {until}; `effect` is valid however often you look"),
    })
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

/// Who must still agree.
fn missing(approval: &Value) -> String {
    let need = |n: &Value| {
        let by = texts(&n["by"]);
        let of = n["group"].as_str().map(|group| format!(" of group {group}")).unwrap_or_default();
        let so_far = if by.is_empty() { String::new() } else { format!(" (so far {})", by.join(", ")) };
        format!("{} of {} approvals{of}{so_far}", by.len(), cell(&n["wanted"]))
    };
    let people = approval["needs"].as_array().into_iter().flatten().map(need);
    let webhooks = texts(&approval["webhooks"]).into_iter().map(|name| format!("webhook {name}"));
    let all: Vec<String> = people.chain(webhooks).collect();
    let not = approval["notBy"].as_str().map(|by| format!("; not by {by}, who began it")).unwrap_or_default();
    let until = approval["expiresAt"].as_str().map(|_| format!("; until {}", time(&approval["expiresAt"])));
    format!("before {}: {}{not}{}", cell(&approval["before"]), all.join(", "), until.unwrap_or_default())
}

fn words(value: &Value) -> String {
    cell(value).replace('-', " ")
}

fn number(value: &Value) -> String {
    value.as_f64().map(short).unwrap_or_default()
}

fn effect(metric: &Value) -> String {
    let effect = &metric["effect"];
    let Some(estimate) = effect["estimate"].as_f64() else { return String::new() };
    let end = |v: &Value, open: &str| v.as_f64().map_or_else(|| open.to_owned(), short);
    let sign = if metric["scale"] == "ratio" { "×" } else { "" };
    format!("{sign}{} [{}, {}]", short(estimate), end(&effect["low"], "−∞"), end(&effect["high"], "∞"))
}

#[cfg(test)]
mod tests;

/// Rows of one metric that are shown of its course; the last one always.
const ROWS: usize = 12;

/// How sure each metric was over time.
pub(super) fn course(all: &Value) {
    let metrics = all["metrics"].as_array().into_iter().flatten();
    let mut shown = metrics.filter_map(|m| Some((m, m["points"].as_array()?))).peekable();
    if shown.peek().is_none() {
        line("no metric has an effect yet, or the journal no longer has the answers");
    }
    for (i, (metric, points)) in shown.enumerate() {
        if i > 0 {
            line("");
        }
        let every = points.len().div_ceil(ROWS).max(1);
        let rows = points.iter().rev().step_by(every).collect::<Vec<_>>().into_iter().rev();
        line(format!("{} ({}, {})", cell(&metric["name"]), cell(&metric["role"]), cell(&metric["scale"])));
        table(
            &["until", "effect", "units of stable", "of the candidate"],
            rows.map(|p| {
                let said = serde_json::json!({"effect": p["effect"], "scale": metric["scale"]});
                // To the second: early looks are that near.
                let at = cell(&p["at"]).get(..19).map(|at| at.replace('T', " ")).unwrap_or_default();
                vec![at, effect(&said), cell(&p["units"][0]), cell(&p["units"][1])]
            }),
        );
    }
}

//! `mainspring monitor`: what live traffic looks like beside its reference.

use crate::args::{MonitorCmd, Output};
use crate::client::{Server, segment};
use crate::error::CliError;
use crate::html;
use crate::output::{Mark, cell, either, json, line, mark, note, table, time};
use crate::performance::measure;
use serde_json::Value;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

/// How often a monitor is looked at.
const POLL: Duration = Duration::from_secs(2);
/// Columns that a screen shows.
const SCREEN: usize = 20;
/// Windows of an estimate that are shown.
const WINDOWS: usize = 12;

fn url(name: &str) -> String {
    format!("/api/v1/monitors/{}", segment(name))
}

/// Carries a command out.
///
/// # Errors
/// [`CliError`] when the server refuses it.
pub async fn run(server: &Server, command: MonitorCmd, (out, to): (Output, Option<String>)) -> Result<(), CliError> {
    match command {
        MonitorCmd::Report { name } => report(server, &name, (out, to)).await?,
        MonitorCmd::List => {
            let all = server.get("/api/v1/monitors").await?;
            either(out, &all, || list(&all));
        }
        MonitorCmd::Show { name } => {
            let view = server.get(&url(&name)).await?;
            let why = server.get(&format!("{}/why", url(&name))).await?;
            either(out, &view, || {
                show(&view, usize::MAX);
                because(&why);
            });
        }
        MonitorCmd::Why { name } => {
            let why = server.get(&format!("{}/why", url(&name))).await?;
            either(out, &why, || {
                because(&why);
                causes(&why);
            });
        }
        MonitorCmd::History { name, column, segment: part, last } => {
            let named = [("column", &column), ("segment", &part)];
            let named = named.iter().filter_map(|(key, value)| Some(format!("&{key}={}", segment(value.as_ref()?))));
            let all = server
                .get(&format!("{}/history?last={}{}", url(&name), segment(&last), named.collect::<String>()))
                .await?;
            either(out, &all, || history(&all));
        }
        MonitorCmd::Events { name, limit } => {
            let all = server.get(&format!("{}/events?limit={limit}", url(&name))).await?;
            either(out, &all, || events(&all).iter().for_each(|event| line(sentence(event))));
        }
        MonitorCmd::Watch { name } => watch(server, &name, out).await?,
    }
    Ok(())
}

/// A monitor with the distributions of its columns: a file, or a page to standard output, or JSON.
async fn report(server: &Server, name: &str, (out, to): (Output, Option<String>)) -> Result<(), CliError> {
    let mut view = server.get(&url(name)).await?;
    let news = events(&server.get(&format!("{}/events?limit=50", url(name))).await?);
    let mut distributions = Vec::new();
    for column in html::ordered(&view).into_iter().take(html::ASKED) {
        let segment = column["segment"].as_str().map(|s| format!("&segment={}", segment(s))).unwrap_or_default();
        let of = format!("{}/distribution?column={}{segment}", url(name), segment_of(column));
        distributions.push(server.get(&of).await?);
    }
    match (out, to) {
        (_, Some(to)) => html::save(html::monitor(&view, &news, &distributions), Path::new(&to))?,
        (Output::Table, None) => line(html::page(html::monitor(&view, &news, &distributions)).trim_end()),
        (Output::Json, None) => {
            view["events"] = Value::Array(news);
            view["distributions"] = Value::Array(distributions);
            json(&view);
        }
    }
    Ok(())
}

fn segment_of(column: &Value) -> String {
    segment(&cell(&column["name"]))
}

fn list(all: &Value) {
    let rows: Vec<Vec<String>> = all["monitors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|m| {
            let why = m["problem"].as_str().map_or_else(|| why(m), str::to_owned);
            let part = m["segment"].as_str().map(|s| format!(" where {s}")).unwrap_or_default();
            let of = format!("{} {}{part}", cell(&m["deployment"]), cell(&m["variant"]));
            vec![cell(&m["name"]), of, cell(&m["version"]), state(m), time(&m["since"]), cell(&m["rows"]), why]
        })
        .collect();
    if rows.is_empty() {
        return line("there are no monitors; declare one: mainspring apply -f monitor.yaml");
    }
    table(&["name", "watches", "version", "state", "since", "rows", "why"], rows);
}

/// What has drifted, and what is estimated to be beyond its limit.
fn why(view: &Value) -> String {
    let drifted = names(&view["drifted"]);
    let estimated = &view["estimated"];
    let degraded = (estimated["standing"] == "degraded")
        .then(|| format!("{} {} by its estimate", cell(&estimated["metric"]), cell(&estimated["limit"])));
    [Some(drifted).filter(|names| !names.is_empty()), degraded].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn names(list: &Value) -> String {
    list.as_array().into_iter().flatten().map(cell).collect::<Vec<_>>().join(", ")
}

fn state(view: &Value) -> String {
    let word = cell(&view["state"]);
    let how = match word.as_str() {
        "drifting" | "degraded" | "stopped" => Mark::Bad,
        "steady" => Mark::Good,
        _ => Mark::Warn,
    };
    mark(how, word)
}

/// A monitor on one screen, the columns that moved most first.
fn show(view: &Value, most: usize) {
    let (name, deployment, variant) = (cell(&view["name"]), cell(&view["deployment"]), cell(&view["variant"]));
    let version = view["version"].as_str().map(|v| format!(" version {v}")).unwrap_or_default();
    let part = view["segment"].as_str().map(|s| format!(" where {s}")).unwrap_or_default();
    line(format!("monitor/{name} on {variant} of {deployment}{version}{part}: {}", state(view)));
    if let Some(other) = view["comparedWith"].as_str() {
        line(format!("  beside {other}"));
    }
    if let Some(problem) = view["problem"].as_str() {
        line(mark(Mark::Bad, format!("it does not go on: {problem}")));
    }
    if view["seenUntil"].is_string() {
        let (rows, sampled, until) = (cell(&view["rows"]), cell(&view["sampled"]), time(&view["seenUntil"]));
        line(format!("  {rows} rows up to {until}, {sampled} of them sampled; {} came too late", cell(&view["late"])));
    }
    if let Some(unused) = view["unusedDataset"].as_str() {
        line(mark(Mark::Warn, format!("  {unused}")));
    }
    if let Some(left_out @ 1..) = view["leftOut"].as_u64() {
        line(mark(Mark::Warn, format!("  {left_out} columns are not watched: list fewer in `columns` or `segments`")));
    }
    let mut columns: Vec<&Value> = view["columns"].as_array().into_iter().flatten().collect();
    if columns.is_empty() {
        estimate(view);
        detectors(view);
        let why = if view["rows"].as_u64().unwrap_or(0) == 0 {
            "  no row has been looked at yet: those of a minute, or of `every`, are looked at a few seconds after its end"
        } else {
            "  no column of these rows is watched: `columns` fits none, or they are lists of over 64 elements"
        };
        return line(why);
    }
    columns.sort_by(|a, b| beyond(b).total_cmp(&beyond(a)));
    line("");
    table(
        &["column", "where", "drift", "standing", "moved", "by chance", "sure", "changed", "reference"],
        columns.iter().take(most).map(|c| row(c)),
    );
    if columns.len() > most {
        note(format!("and {} more: mainspring monitor show {name}", columns.len() - most));
    }
    errors(view);
    estimate(view);
    detectors(view);
    let effect = percent(&view["minEffect"]);
    note(format!("drift is what is sure and moved {effect} of the rows beyond chance, over {}", cell(&view["window"])));
}

/// How wrong the model was, by the labels that came in time.
fn errors(view: &Value) {
    let all: Vec<&Value> = view["label"]["errors"].as_array().into_iter().flatten().collect();
    let Some(metric) = all.first().map(|e| cell(&e["metric"])) else { return };
    let row = |e: &&Value| vec![cell(&e["segment"]), measure(Some(e)), cell(&e["rows"])];
    line("");
    table(&["where", &metric, "labelled rows"], all.iter().map(row));
}

/// How good the answers probably are, window by window, the latest last.
fn estimate(view: &Value) {
    let found = &view["estimate"];
    let Some(metric) = found["metric"].as_str() else { return };
    let standing = cell(&found["standing"]);
    let how = match standing.as_str() {
        "degraded" => Mark::Bad,
        "steady" => Mark::Good,
        _ => Mark::Warn,
    };
    let (limit, window) = (cell(&found["limit"]), cell(&found["window"]));
    line("");
    line(format!("{metric} as estimated of each {window}: {} (told when it is surely {limit})", mark(how, standing)));
    if let Some(problem) = found["problem"].as_str() {
        line(mark(Mark::Warn, format!("  {problem}")));
    }
    let windows = found["windows"].as_array().map(Vec::as_slice).unwrap_or_default();
    if windows.is_empty() {
        return line("  no window with rows has ended yet");
    }
    let number = |value: &Value| value.as_f64().map(|v| format!("{v:.4}")).unwrap_or_default();
    let row = |w: &Value| {
        vec![
            time(&w["since"]),
            cell(&w["rows"]),
            number(&w["value"]),
            format!("{} to {}", number(&w["low"]), number(&w["high"])),
            number(&w["limit"]),
            number(&w["realized"]),
            cell(&w["labeled"]),
        ]
    };
    let latest = &windows[windows.len().saturating_sub(WINDOWS)..];
    table(&["window from", "rows", "estimated", "between", "limit", "by labels", "labelled"], latest.iter().map(row));
    if windows.iter().any(|w| w["enough"] == false) {
        note("nothing follows from a window with fewer rows than `minRows`");
    }
    line("  it does not see that the same inputs now mean something else: only labels do");
}

/// What stream detectors say, beside what they do not promise.
fn detectors(view: &Value) {
    let all: Vec<&Value> = view["detectors"].as_array().into_iter().flatten().collect();
    if all.is_empty() {
        return;
    }
    line("");
    table(
        &[
            "column",
            "where",
            "detector",
            "standing",
            "seen",
            "not seen",
            "calls",
            "last call",
            "began",
            "mean before",
            "since",
        ],
        all.iter().map(|d| detected(d)),
    );
    // What it is worth stands beside it, also where nobody reads notes.
    let level = view["level"].as_f64().map(|level| format!("{:.3} %", 100.0 * level)).unwrap_or_default();
    let promise = "at its defaults it may call a change in nearly every long stream without one";
    line(format!("  a detector bounds no rate of false alarms: {promise}"));
    line(format!("  what the monitor's own test calls drift is none in {level} of the versions at most"));
    if let Some(left_out @ 1..) = view["undetected"].as_u64() {
        line(mark(Mark::Warn, format!("  {left_out} columns have no detector: a monitor has at most 128, list fewer")));
    }
}

fn detected(detector: &Value) -> Vec<String> {
    let standing = cell(&detector["standing"]);
    let how = match standing.as_str() {
        "drift" => Mark::Bad,
        "steady" => Mark::Good,
        _ => Mark::Warn,
    };
    let last = &detector["last"];
    let number = |value: &Value| value.as_f64().map(|v| format!("{v:.4}")).unwrap_or_default();
    vec![
        cell(&detector["name"]),
        cell(&detector["segment"]),
        cell(&detector["detector"]),
        mark(how, standing),
        cell(&detector["seen"]),
        cell(&detector["skipped"]),
        cell(&detector["detections"]),
        time(&last["at"]),
        time(&last["begunAt"]),
        number(&last["before"]),
        number(&last["since"]),
    ]
}

/// Why it drifts, a sentence a line.
fn because(why: &Value) {
    for sentence in why["sentences"].as_array().into_iter().flatten() {
        line(cell(sentence));
    }
}

fn causes(why: &Value) {
    let all: Vec<&Value> = why["causes"].as_array().into_iter().flatten().collect();
    if all.is_empty() {
        if why["sentences"].as_array().is_none_or(Vec::is_empty) {
            line("nothing drifts");
        }
        return;
    }
    let number = |value: &Value| value.as_f64().map(|v| format!("{v:.4}")).unwrap_or_default();
    line("");
    let rows = all.iter().map(|c| {
        vec![
            cell(&c["name"]),
            percent(&c["moved"]),
            number(&c["importance"]),
            number(&c["weight"]),
            number(&c["shift"]),
        ]
    });
    table(&["column", "moved", "importance", "moved × importance", "mean moved by"], rows);
    note(format!(
        "of {}, by {} rows that the model was asked again; nothing of that is in the journal",
        cell(&why["output"]),
        cell(&why["rows"])
    ));
}

/// A line a look and column, the oldest first.
fn history(all: &Value) {
    let points: Vec<&Value> = all["points"].as_array().into_iter().flatten().collect();
    if points.is_empty() {
        return line("no look of it is kept: a column is looked at once it has a reference");
    }
    let rows = points.iter().flat_map(|p| {
        p["columns"].as_array().into_iter().flatten().map(|c| {
            vec![
                time(&p["at"]),
                cell(&c["name"]),
                cell(&c["segment"]),
                percent(&c["distance"]),
                percent(&c["chance"]),
                cell(&c["standing"]),
            ]
        })
    });
    table(&["at", "column", "where", "moved", "by chance", "standing"], rows);
}

/// How much more it moved than by chance.
pub fn beyond(column: &Value) -> f64 {
    column["distance"].as_f64().unwrap_or(0.0) - column["chance"].as_f64().unwrap_or(0.0)
}

/// How far the proof of a change is.
pub fn sure(column: &Value) -> String {
    match (column["logE"].as_f64(), column["logSure"].as_f64(), column["learned"].as_u64()) {
        (_, _, Some(learned)) => format!("{learned} rows learnt"),
        (Some(log_e), Some(sure), None) if log_e >= sure => "yes".to_owned(),
        (Some(log_e), Some(sure), None) => format!("{:.0} % of the way", 100.0 * (log_e / sure).clamp(0.0, 1.0)),
        _ => String::new(),
    }
}

fn row(column: &Value) -> Vec<String> {
    let standing = cell(&column["standing"]);
    let how = match standing.as_str() {
        "drift" => Mark::Bad,
        "steady" => Mark::Good,
        _ => Mark::Warn,
    };
    vec![
        cell(&column["name"]),
        cell(&column["segment"]),
        cell(&column["drift"]),
        mark(how, standing),
        percent(&column["distance"]),
        percent(&column["chance"]),
        sure(column),
        time(&column["changedAt"]),
        cell(&column["reference"]),
    ]
}

fn percent(value: &Value) -> String {
    format!("{:.1} %", 100.0 * value.as_f64().unwrap_or_default())
}

/// Oldest first.
fn events(all: &Value) -> Vec<Value> {
    let mut events = all["events"].as_array().cloned().unwrap_or_default();
    events.reverse();
    events
}

fn sentence(event: &Value) -> String {
    format!("{}  {}: {}", time(&event["at"]), cell(&event["kind"]), cell(&event["sentence"]))
}

/// Shows a monitor as it goes: the whole screen on a terminal, each event as a line elsewhere.
async fn watch(server: &Server, name: &str, out: Output) -> Result<(), CliError> {
    let screen = out == Output::Table && std::io::stdout().is_terminal();
    let mut told = 0;
    loop {
        let view = server.get(&url(name)).await?;
        let news = events(&server.get(&format!("{}/events?limit=50", url(name))).await?);
        if screen {
            // Home, then clear: nothing flickers.
            line("\u{1b}[H\u{1b}[2J".to_owned());
            show(&view, SCREEN);
            line("");
            news.iter().rev().take(5).rev().for_each(|event| line(sentence(event)));
            note("Ctrl-C stops watching; the monitor goes on");
        } else {
            for event in news.iter().filter(|e| e["seq"].as_u64().unwrap_or(0) > told) {
                match out {
                    Output::Json => json(event),
                    Output::Table => line(sentence(event)),
                }
            }
        }
        told = news.last().and_then(|e| e["seq"].as_u64()).unwrap_or(told);
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_column_says_how_far_its_proof_is() {
        let sure = |more: Value| {
            let mut column =
                json!({"standing": "steady", "logE": 2.0, "logSure": 8.0, "distance": 0.25, "chance": 0.05});
            column.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            row(&column)[6].clone()
        };
        assert_eq!(sure(json!({})), "25 % of the way");
        assert_eq!(sure(json!({"logE": 9.0})), "yes");
        assert_eq!(sure(json!({"learned": 300})), "300 rows learnt");
        assert_eq!(percent(&json!(0.123)), "12.3 %");
    }
}

//! `mainspring performance`: how good a deployment's predictions were, from the labels that came.

use crate::age::parse_age;
use crate::args::{Output, PerformanceArgs};
use crate::client::{Server, segment};
use crate::error::CliError;
use crate::html;
use crate::output::{cell, either, line, note, table, time};
use crate::sides;
use mainspring_core::ErrorKind;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Asks the server and prints a line for each metric, a column for each group.
///
/// # Errors
/// [`CliError`] when an argument is wrong or the server refuses.
pub async fn run(server: &Server, args: &PerformanceArgs, out: Output) -> Result<(), CliError> {
    let asked = asked(args)?;
    let path = format!("/api/v1/deployments/{}/performance", segment(&args.deployment));
    let report = server.post(&path, &asked).await?;
    if let Some(file) = &args.html {
        html::save(html::performance(&report), file)?;
    }
    either(out, &report, || people(&report));
    Ok(())
}

fn asked(args: &PerformanceArgs) -> Result<Value, CliError> {
    // JSON has no word for what is no number.
    if !(args.confidence > 0.0 && args.confidence < 1.0) {
        let message = format!("--confidence is {}; it must be between 0 and 1", args.confidence);
        return Err(CliError::new(ErrorKind::InvalidInput, message).hint("95 % are --confidence 0.95"));
    }
    let mut asked = json!({ "by": args.by, "label": args.label, "k": args.k, "confidence": args.confidence });
    match &args.from {
        Some(from) => asked["from"] = json!(from),
        None => asked["lastSeconds"] = json!(parse_age(&args.last)?.as_secs()),
    }
    let optional = [
        ("until", &args.until),
        ("prediction", &args.prediction),
        ("score", &args.score),
        ("task", &args.task),
        ("positive", &args.positive),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            asked[key] = json!(value);
        }
    }
    if !args.segment.is_empty() {
        asked["segment"] = parts(&args.segment)?;
    }
    if !args.worth.is_empty() {
        asked["worth"] = worth(&args.worth)?;
    }
    Ok(asked)
}

/// `in.plan=gold` into `{"in.plan": "gold"}`.
fn parts(texts: &[String]) -> Result<Value, CliError> {
    let mut all = BTreeMap::new();
    for text in texts {
        let pair = text.split_once('=').filter(|(column, _)| !column.is_empty());
        let (column, value) = pair.ok_or_else(|| {
            CliError::new(ErrorKind::InvalidInput, format!("--segment {text:?} is not COLUMN=VALUE"))
                .hint("the predictions of a plan are --segment in.plan=gold")
        })?;
        sides::narrow(&mut all, column, value).map_err(|e| e.hint(format!("see all of them: --by {column}")))?;
    }
    Ok(json!(all))
}

/// `churned:stayed=-20` into `{"churned": {"stayed": -20}}`.
fn worth(texts: &[String]) -> Result<Value, CliError> {
    let mut all: Map<String, Value> = Map::new();
    for text in texts {
        let parts = text.rsplit_once('=').and_then(|(pair, value)| {
            let (truth, predicted) = pair.split_once(':')?;
            Some((truth, predicted, value.parse::<f64>().ok().filter(|v| v.is_finite())?))
        });
        let (truth, predicted, value) = parts.ok_or_else(|| {
            CliError::new(ErrorKind::InvalidInput, format!("--worth {text:?} is not TRUTH:PREDICTED=NUMBER"))
                .hint("what a case of class 1 is worth that was taken for 0: --worth 1:0=-20")
        })?;
        all.entry(truth).or_insert_with(|| json!({}))[predicted] = json!(value);
    }
    Ok(Value::Object(all))
}

fn people(report: &Value) {
    let groups: Vec<&Value> = report["groups"].as_array().into_iter().flatten().collect();
    let columns: Vec<&Value> = std::iter::once(&report["overall"]).chain(groups.iter().copied()).collect();
    let names: Vec<String> = columns.iter().map(|group| called(group)).collect();
    let head: Vec<&str> = std::iter::once("metric").chain(names.iter().map(String::as_str)).collect();
    let metrics = metrics(&columns);
    let counts = |what: &str, key: &str| {
        std::iter::once(what.to_owned()).chain(columns.iter().map(|g| cell(&g[key]))).collect::<Vec<_>>()
    };
    let measured = metrics.iter().map(|(name, class)| {
        let shown = if class.is_null() { name.clone() } else { format!("{name} ({})", cell(class)) };
        std::iter::once(shown).chain(columns.iter().map(|g| measure(find(g, name, class)))).collect()
    });
    table(&head, [counts("predictions", "rows"), counts("labelled", "labeled")].into_iter().chain(measured));
    differences(report, &names[1..]);
    fairness(report);
    for text in report["notes"].as_array().into_iter().flatten() {
        note(cell(text));
    }
    line(summary(report));
    note(format!("intervals hold what is true {} % of the time", cell(&json!(percent(&report["confidence"])))));
}

/// What was measured, and how much of it is labelled.
pub fn summary(report: &Value) -> String {
    let (rows, labeled) = (report["overall"]["rows"].as_u64(), report["overall"]["labeled"].as_u64());
    let (rows, labeled) = (rows.unwrap_or_default(), labeled.unwrap_or_default());
    let segment = report["segment"].as_str().map(|s| format!(" where {s}")).unwrap_or_default();
    let mut text = format!(
        "{} of {}{segment}, {} to {}: {labeled} of {rows} predictions are labelled",
        cell(&report["task"]),
        cell(&report["deployment"]),
        time(&report["from"]),
        time(&report["until"])
    );
    if let Some(delay) = report["delay"].as_object() {
        let seconds = |key: &str| span(delay[key].as_f64().unwrap_or_default());
        text.push_str(&format!("; labels come after {} (95 %: {})", seconds("medianSeconds"), seconds("p95Seconds")));
        if let Some(young @ 1..) = delay["mayCome"].as_u64() {
            text.push_str(&format!(", so {young} more may come"));
        }
    }
    text
}

fn percent(share: &Value) -> f64 {
    (share.as_f64().unwrap_or_default() * 1e4).round() / 1e2
}

/// What a group is called by.
pub fn called(group: &Value) -> String {
    let by: Vec<String> =
        group["by"].as_object().into_iter().flatten().map(|(k, v)| format!("{k} {}", cell(v))).collect();
    if by.is_empty() { "all".into() } else { by.join(", ") }
}

/// Names and classes of the metrics that any group has, in their order.
pub fn metrics(groups: &[&Value]) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = Vec::new();
    for metric in groups.iter().flat_map(|g| g["metrics"].as_array().into_iter().flatten()) {
        let key = (cell(&metric["name"]), metric["class"].clone());
        if !found.contains(&key) {
            found.push(key);
        }
    }
    found
}

/// A group's metric.
pub fn find<'a>(group: &'a Value, name: &str, class: &Value) -> Option<&'a Value> {
    group["metrics"].as_array()?.iter().find(|m| m["name"] == name && m["class"] == *class)
}

/// A number and its interval; nothing without one.
pub fn measure(of: Option<&Value>) -> String {
    let Some(of) = of else { return String::new() };
    let value = round(of["value"].as_f64().unwrap_or(f64::NAN));
    match (of["low"].as_f64(), of["high"].as_f64()) {
        (Some(low), Some(high)) => format!("{value} ({} to {})", round(low), round(high)),
        _ => value,
    }
}

fn round(x: f64) -> String {
    match x {
        x if x != 0.0 && x.abs() < 1e-3 => format!("{x:.1e}"),
        x if x.abs() >= 1e6 => format!("{x:.3e}"),
        x if x.abs() >= 100.0 => format!("{x:.1}"),
        x => format!("{x:.3}"),
    }
}

fn span(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// What is surely not the same as in the largest group, whatever number of comparisons was made.
/// How unlike the groups are treated, the most and the least of them.
fn fairness(report: &Value) {
    let found: Vec<&Value> = report["fairness"].as_array().into_iter().flatten().collect();
    let Some(class) = found.first().map(|m| cell(&m["class"])) else { return };
    table(
        &[&format!("between groups ({class})"), "value"],
        found.iter().map(|m| vec![cell(&m["name"]), measure(Some(m))]),
    );
}

fn differences(report: &Value, names: &[String]) {
    let all = report["comparisons"].as_array().map_or(0, Vec::len);
    for found in report["comparisons"].as_array().into_iter().flatten() {
        let Some(name) = found["group"].as_u64().and_then(|at| names.get(at as usize)) else { continue };
        if found["differs"] == true {
            let class = found["class"].as_str().map(|c| format!(" ({c})")).unwrap_or_default();
            let ratio = found.get("ratio").map(|r| format!("; ratio {}", measure(Some(r)))).unwrap_or_default();
            line(format!(
                "{name}: {}{class} differs from {} by {}{ratio}",
                cell(&found["name"]),
                names.first().map_or("the largest", String::as_str),
                measure(Some(&found["difference"]))
            ));
        }
    }
    if all > 0 {
        let share = cell(&json!(percent(&report["confidence"])));
        note(format!("of {all} comparisons, those that differ do so {share} % sure together (Bonferroni)"));
    }
}

//! What a monitor sees.

use super::{DRAWN, LISTED};
use crate::monitors::{beyond, sure};
use crate::output::{cell, time};
use mainspring_report::{Card, Cell, Chart, Mood, Report, Section, Table, number, percent};
use serde_json::Value;

/// Columns whose distributions are asked for: those that moved most.
pub const ASKED: usize = DRAWN / 2;

/// The report of a monitor: its view, its events, and distributions of its columns in the order of [`ordered`].
pub fn monitor(view: &Value, events: &[Value], distributions: &[Value]) -> Report {
    let columns = ordered(view);
    let (state, name) = (cell(&view["state"]), cell(&view["name"]));
    let drifted = view["drifted"].as_array().map_or(0, Vec::len);
    let mut verdict = format!("{state}: {drifted} of {} columns drifted", cell(&view["watched"]));
    let estimated = &view["estimated"];
    if estimated["standing"] == "degraded" {
        let what = format!("{} {}", cell(&estimated["metric"]), cell(&estimated["limit"]));
        verdict = format!("{verdict}; surely {what} by its estimate");
    }
    if let Some(problem) = view["problem"].as_str() {
        verdict = format!("{verdict}; it does not go on: {problem}");
    }
    let share = |key: &str| percent(view[key].as_f64().unwrap_or(f64::NAN));
    let facts = [
        ("Deployment", format!("{} {}", cell(&view["deployment"]), cell(&view["variant"]))),
        ("Model", format!("{} {}", cell(&view["model"]), cell(&view["version"])).trim().to_owned()),
        ("Rows", format!("{}, {} of them sampled", cell(&view["rows"]), cell(&view["sampled"]))),
        ("Seen until", time(&view["seenUntil"])),
        ("Window", cell(&view["window"])),
        ("False alarms", format!("at most {} for a version, over all columns and looks", share("level"))),
        ("Drift is", format!("what is sure and moved {} of the rows beyond chance", share("minEffect"))),
    ];
    let cards = columns.iter().zip(distributions).map(|(column, of)| card(column, of)).collect();
    let mut says = Vec::new();
    if columns.len() > distributions.len() {
        says.push(format!("The {} that moved most, of {}.", distributions.len(), columns.len()));
    }
    let apart = [estimate(view), detectors(view)].into_iter().flatten();
    let distributions = Section { title: "Distributions".into(), says, cards, ..Section::default() };
    let sections = std::iter::once(listed(&columns)).chain(apart).chain([distributions, told(events)]).collect();
    Report {
        title: format!("Monitor {name}"),
        verdict,
        mood: match state.as_str() {
            "drifting" | "degraded" | "stopped" => Mood::Bad,
            "steady" => Mood::Good,
            _ => Mood::Warn,
        },
        facts: facts.into_iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.to_owned(), v)).collect(),
        sections,
        ..Report::default()
    }
}

/// Columns, those that moved most beyond chance first, and before them those that have drifted.
pub fn ordered(view: &Value) -> Vec<&Value> {
    let mut columns: Vec<&Value> = view["columns"].as_array().into_iter().flatten().collect();
    let drift = |c: &Value| c["standing"] == "drift";
    columns.sort_by(|a, b| drift(b).cmp(&drift(a)).then(beyond(b).total_cmp(&beyond(a))));
    columns
}

fn mood(column: &Value) -> Mood {
    match column["standing"].as_str() {
        Some("drift") => Mood::Bad,
        Some("steady") => Mood::Good,
        _ => Mood::Warn,
    }
}

fn share(column: &Value, key: &str) -> String {
    percent(column[key].as_f64().unwrap_or(0.0))
}

fn listed(columns: &[&Value]) -> Section {
    let row = |c: &&Value| -> Vec<Cell> {
        vec![
            cell(&c["name"]).into(),
            cell(&c["segment"]).into(),
            Cell::new(cell(&c["standing"]), mood(c)),
            cell(&c["drift"]).into(),
            share(c, "distance").into(),
            share(c, "chance").into(),
            sure(c).into(),
            time(&c["changedAt"]).into(),
            cell(&c["reference"]).into(),
        ]
    };
    let head = ["column", "where", "standing", "drift of", "moved", "by chance", "sure", "changed", "reference"];
    let table = Table {
        caption: "What is seen of each column, what drifted first".into(),
        head: head.map(str::to_owned).into(),
        rows: columns.iter().take(LISTED).map(row).collect(),
    };
    Section { title: "Columns".into(), table: Some(table), ..Section::default() }
}

/// What stream detectors say, beside what they do not promise; nothing where there are none.
fn detectors(view: &Value) -> Option<Section> {
    let all = view["detectors"].as_array().filter(|all| !all.is_empty())?;
    let value = |of: &Value| of.as_f64().map(number).unwrap_or_default();
    let row = |d: &Value| -> Vec<Cell> {
        let last = &d["last"];
        vec![
            cell(&d["name"]).into(),
            cell(&d["segment"]).into(),
            cell(&d["detector"]).into(),
            Cell::new(cell(&d["standing"]), mood(d)),
            cell(&d["seen"]).into(),
            cell(&d["detections"]).into(),
            time(&last["at"]).into(),
            time(&last["begunAt"]).into(),
            value(&last["before"]).into(),
            value(&last["since"]).into(),
        ]
    };
    let head =
        ["column", "where", "detector", "standing", "seen", "calls", "last call", "began", "mean before", "mean since"];
    let table = Table {
        caption: "What each has called".into(),
        head: head.map(str::to_owned).into(),
        rows: all.iter().map(row).collect(),
    };
    let level = percent(view["level"].as_f64().unwrap_or(f64::NAN));
    let mut says = vec![
        "A detector bounds no rate of false alarms: at its defaults it may call a change in nearly every long stream without one."
            .to_owned(),
        format!("What the monitor's own test calls drift, under Columns, is none in {level} of the versions at most."),
    ];
    if let Some(left_out @ 1..) = view["undetected"].as_u64() {
        says.push(format!("{left_out} columns have no detector: a monitor has at most 128."));
    }
    Some(Section { title: "Stream detectors".into(), says, table: Some(table), ..Section::default() })
}

/// How good the answers probably are, the newest window first; nothing where that is not asked for.
fn estimate(view: &Value) -> Option<Section> {
    let found = view.get("estimate").filter(|found| found.is_object())?;
    let value = |of: &Value| of.as_f64().map(number).unwrap_or_default();
    let row = |w: &Value| -> Vec<Cell> {
        vec![
            time(&w["since"]).into(),
            cell(&w["rows"]).into(),
            value(&w["value"]).into(),
            format!("{} to {}", value(&w["low"]), value(&w["high"])).into(),
            value(&w["limit"]).into(),
            value(&w["realized"]).into(),
            cell(&w["labeled"]).into(),
        ]
    };
    let head = ["window from", "rows", "estimated", "between", "limit", "by labels", "labelled"];
    let windows = found["windows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let table = Table {
        caption: format!("{} of each {}, the newest first", cell(&found["metric"]), cell(&found["window"])),
        head: head.map(str::to_owned).into(),
        rows: windows.iter().rev().map(row).collect(),
    };
    let mut says = vec![format!(
        "{}: told when it is surely {}. It does not see that the same inputs now mean something else: only labels do.",
        cell(&found["standing"]),
        cell(&found["limit"])
    )];
    says.extend(found["problem"].as_str().map(str::to_owned));
    let title = format!("Estimated {}", cell(&found["metric"]));
    Some(Section { title, says, table: Some(table), ..Section::default() })
}

fn card(column: &Value, of: &Value) -> Card {
    let segment = column["segment"].as_str().map(|s| format!(" where {s}")).unwrap_or_default();
    let moved = format!("{}, by chance {}", share(column, "distance"), share(column, "chance"));
    let mut facts = vec![("moved".to_owned(), moved), ("sure".to_owned(), sure(column))];
    if column["changedAt"].is_string() {
        facts.push(("changed".into(), time(&column["changedAt"])));
    }
    Card {
        title: format!("{}{segment}", cell(&column["name"])),
        badge: cell(&column["standing"]),
        mood: mood(column),
        facts,
        says: Vec::new(),
        chart: chart(of),
    }
}

/// Shares by the bins that the test has; the last one is of missing values.
fn chart(of: &Value) -> Option<Chart> {
    let counts = |key: &str| -> Option<Vec<f64>> { of[key].as_array()?.iter().map(Value::as_f64).collect() };
    let (was, now) = (counts("referenceCounts")?, counts("windowCounts")?);
    let edges: Option<Vec<f64>> = of["edges"].as_array().map(|edges| edges.iter().filter_map(Value::as_f64).collect());
    let total = |of: &[f64]| of.iter().sum::<f64>();
    let (all_was, all_now) = (total(&was), total(&now));
    if was.len() != now.len() || all_was + all_now == 0.0 {
        return None;
    }
    let last = was.len() - 1;
    let name = |at: usize| match &edges {
        _ if at == last => "missing".to_owned(),
        None => format!("values {}", at + 1),
        Some(edges) => match (at.checked_sub(1).and_then(|at| edges.get(at)), edges.get(at)) {
            (_, Some(upper)) => format!("≤ {}", number(*upper)),
            (Some(lower), None) => format!("> {}", number(*lower)),
            (None, None) => "all".to_owned(),
        },
    };
    let part = |of: f64, all: f64| if all > 0.0 { of / all } else { 0.0 };
    let bars = was.iter().zip(&now).enumerate().map(|(at, (a, b))| (name(at), [part(*a, all_was), part(*b, all_now)]));
    let bars = bars.filter(|(name, shares)| name != "missing" || shares.iter().any(|s| *s > 0.0));
    Some(Chart::Bars { bars: bars.collect() })
}

fn told(events: &[Value]) -> Section {
    let row = |e: &Value| -> Vec<Cell> {
        let mood = if e["drifting"] == true { Mood::Bad } else { Mood::Good };
        let kind = Cell::new(cell(&e["kind"]), mood);
        vec![time(&e["at"]).into(), kind, cell(&e["sentence"]).into()]
    };
    let table = Table {
        caption: "What it has told, newest first".into(),
        head: ["at", "what", "in words"].map(str::to_owned).into(),
        rows: events.iter().rev().map(row).collect(),
    };
    Section { title: "Events".into(), table: Some(table), ..Section::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bins_are_named_by_their_edges_and_missing_values_only_where_there_are_some() {
        let of = json!({"edges": [1.5, 3.0], "referenceCounts": [1, 2, 1, 0], "windowCounts": [0, 0, 8, 0]});
        let Some(Chart::Bars { bars }) = chart(&of) else { panic!() };
        let expected = [("≤ 1.500", [0.25, 0.0]), ("≤ 3", [0.5, 0.0]), ("> 3", [0.25, 1.0])];
        assert_eq!(bars, expected.map(|(name, shares)| (name.to_owned(), shares)));
        assert!(chart(&json!({"referenceCounts": [0], "windowCounts": [0]})).is_none());
        assert!(chart(&json!(null)).is_none());
    }

    #[test]
    fn detectors_and_what_is_estimated_are_apart_from_the_columns() {
        let view = json!({
            "name": "m", "state": "degraded", "watched": 0, "drifted": [], "level": 0.01, "minEffect": 0.1, "columns": [],
            "estimated": {"metric": "accuracy", "limit": "below 0.9", "standing": "degraded"},
            "estimate": {
                "metric": "accuracy", "limit": "below 0.9", "standing": "degraded", "window": "1h",
                "windows": [{
                    "since": "2026-11-25T10:00:00Z", "rows": 900, "value": 0.7125, "low": 0.6815, "high": 0.7435, "limit": 0.9,
                    "realized": 0.7015, "labeled": 850,
                }],
            },
            "detectors": [{
                "name": "in.<x>", "segment": "in.plan = gold", "detector": "adwin", "standing": "drift", "seen": 900, "skipped": 0,
                "detections": 2, "last": {
                    "at": "2026-11-25T10:00:00Z", "begunAt": "2026-11-25T09:00:00Z", "value": 9.0, "before": 1.25, "since": 8.75,
                },
            }],
            "undetected": 3,
        });
        let page = monitor(&view, &[], &[]).html();
        for words in [
            "surely accuracy below 0.9 by its estimate",
            "Estimated accuracy",
            "0.7125",
            "0.7015",
            "Stream detectors",
            "in.&lt;x&gt;",
            "in.plan = gold",
            "adwin",
            "8.750",
            "bounds no rate of false alarms",
            "3 columns have no detector",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        let bare = json!({"name": "m", "state": "steady", "detectors": [], "columns": []});
        let page = monitor(&bare, &[], &[]).html();
        assert!(!page.contains("Stream detectors") && !page.contains("Estimated"));
    }

    #[test]
    fn what_drifted_comes_first_even_where_less_moved() {
        let column = |name: &str, standing: &str, distance: f64| json!({"name": name, "standing": standing, "distance": distance, "chance": 0.0, "logE": 0.0, "logSure": 1.0});
        let view = json!({
            "name": "m", "state": "drifting", "watched": 3, "drifted": ["b"], "level": 0.05, "minEffect": 0.1,
            "columns": [column("a", "shifted", 0.9), column("<b>", "drift", 0.2), column("c", "steady", 0.1)],
        });
        let page = monitor(
            &view,
            &[json!({"at": "2026-11-25T10:00:00Z", "kind": "drifted", "sentence": "s"})],
            &[json!({"edges": null, "referenceCounts": [1, 1], "windowCounts": [2, 0]})],
        )
        .html();
        let of = |name: &str| page.find(&format!("<th scope=\"row\"><bdi>{name}</bdi>")).unwrap();
        assert!(of("&lt;b&gt;") < of("a") && of("a") < of("c"));
        assert!(page.contains("The 1 that moved most, of 3.") && page.contains("drifting: 1 of 3 columns drifted"));
    }
}

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
    let sections = vec![
        listed(&columns),
        Section { title: "Distributions".into(), says, cards, ..Section::default() },
        told(events),
    ];
    Report {
        title: format!("Monitor {name}"),
        verdict,
        mood: match state.as_str() {
            "drifting" | "stopped" => Mood::Bad,
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

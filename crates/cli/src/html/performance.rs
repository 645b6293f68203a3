//! How good predictions were.

use crate::output::{cell, time};
use crate::performance::{called, find, measure, metrics, summary};
use mainspring_report::{Card, Cell, Chart, Mood, Report, Section, Table, percent};
use serde_json::Value;

/// Groups that a chart shows, the largest.
const GROUPS: usize = 30;
/// Classes of a confusion matrix.
const CLASSES: usize = 40;

/// The report of the server's answer.
pub fn performance(report: &Value) -> Report {
    let groups = report["groups"].as_array().into_iter().flatten();
    let all: Vec<&Value> = std::iter::once(&report["overall"]).chain(groups).collect();
    let mut sections = vec![listed(report, &all), drawn(&all)];
    sections.extend(differences(report, &all));
    sections.extend(confusion(report));
    sections.extend(calibration(&report["overall"]));
    let says: Vec<String> = report["notes"].as_array().into_iter().flatten().map(cell).collect();
    if !says.is_empty() {
        sections.push(Section { title: "To be known".into(), says, ..Section::default() });
    }
    let facts = [
        ("Task", cell(&report["task"])),
        ("Prediction", cell(&report["prediction"])),
        ("From", time(&report["from"])),
        ("Until", time(&report["until"])),
        ("Intervals hold what is true", percent(report["confidence"].as_f64().unwrap_or(f64::NAN))),
    ];
    Report {
        title: format!("Performance of {}", cell(&report["deployment"])),
        verdict: summary(report),
        facts: facts.into_iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.to_owned(), v)).collect(),
        sections,
        ..Report::default()
    }
}

fn label((name, class): &(String, Value)) -> String {
    if class.is_null() { name.clone() } else { format!("{name} ({})", cell(class)) }
}

fn listed(report: &Value, all: &[&Value]) -> Section {
    let found = metrics(all);
    let head = ["group", "predictions", "labelled"].into_iter().map(str::to_owned);
    let head = head.chain(found.iter().map(label)).collect();
    let row = |group: &&Value| -> Vec<Cell> {
        let counts = [called(group), cell(&group["rows"]), cell(&group["labeled"])];
        let measured = found.iter().map(|(name, class)| measure(find(group, name, class)));
        counts.into_iter().chain(measured).map(Cell::from).collect()
    };
    let caption = format!("Metrics of {} with their intervals, by group", cell(&report["deployment"]));
    let table = Table { caption, head, rows: all.iter().map(row).collect() };
    Section { title: "Metrics".into(), table: Some(table), ..Section::default() }
}

fn drawn(all: &[&Value]) -> Section {
    let cards = metrics(all).into_iter().map(|(name, class)| {
        let rows = all.iter().take(GROUPS + 1).filter_map(|group| {
            let of = find(group, &name, &class)?;
            let ends = of["low"].as_f64().zip(of["high"].as_f64()).map(|(a, b)| [a, b]);
            Some((called(group), of["value"].as_f64()?, ends))
        });
        let chart = Some(Chart::Intervals { rows: rows.collect() });
        let how = all.iter().find_map(|g| find(g, &name, &class)?["method"].as_str().map(str::to_owned));
        let facts = how.map(|how| ("interval".to_owned(), how)).into_iter().collect();
        Card { title: label(&(name, class)), facts, chart, ..Card::default() }
    });
    let says = if all.len() > GROUPS + 1 { vec![format!("The {GROUPS} largest groups.")] } else { Vec::new() };
    Section { title: "By group".into(), says, cards: cards.collect(), ..Section::default() }
}

/// What surely differs from the largest group.
fn differences(report: &Value, all: &[&Value]) -> Option<Section> {
    let found = report["comparisons"].as_array().into_iter().flatten().filter(|c| c["differs"] == true);
    let rows: Vec<Vec<Cell>> = found
        .filter_map(|c| {
            let group = all.get(usize::try_from(c["group"].as_u64()?).ok()? + 1)?;
            let metric = label(&(cell(&c["name"]), c["class"].clone()));
            let (difference, ratio) = (measure(Some(&c["difference"])), measure(c.get("ratio")));
            Some(vec![called(group).into(), metric.into(), Cell::new(difference, Mood::Warn), ratio.into()])
        })
        .collect();
    let head = ["group", "metric", "difference", "ratio"].map(str::to_owned).into();
    let caption = "Groups that differ from the largest one, all of them right together (Bonferroni)".to_owned();
    (!rows.is_empty()).then(|| Section {
        title: "Differences".into(),
        table: Some(Table { caption, head, rows }),
        ..Section::default()
    })
}

fn confusion(report: &Value) -> Option<Section> {
    let rows = report["overall"]["confusion"].as_array().filter(|rows| !rows.is_empty() && rows.len() <= CLASSES)?;
    let classes: Vec<String> = report["classes"].as_array().into_iter().flatten().map(cell).collect();
    let name = |at: usize| classes.get(at).cloned().unwrap_or_else(|| at.to_string());
    let head = std::iter::once("true ↓ predicted →".to_owned()).chain((0..rows.len()).map(name)).collect();
    let row = |(at, row): (usize, &Value)| -> Vec<Cell> {
        let counts = row.as_array().into_iter().flatten().enumerate();
        let cells = counts.map(|(to, n)| Cell::new(cell(n), if at == to { Mood::Good } else { Mood::Plain }));
        std::iter::once(Cell::from(name(at))).chain(cells).collect()
    };
    let rows = rows.iter().enumerate().map(row).collect();
    let table = Table { caption: "Rows by true and by predicted class".into(), head, rows };
    Some(Section { title: "Confusion".into(), table: Some(table), ..Section::default() })
}

fn calibration(overall: &Value) -> Option<Section> {
    let bins = overall["calibration"].as_array().filter(|bins| !bins.is_empty())?;
    let share = |bin: &Value, key: &str| percent(bin[key].as_f64().unwrap_or(f64::NAN));
    let row = |bin: &Value| -> Vec<Cell> {
        vec![share(bin, "predicted").into(), share(bin, "observed").into(), cell(&bin["rows"]).into()]
    };
    let table = Table {
        caption: "Mean probability, and how often it was so".into(),
        head: ["predicted", "observed", "rows"].map(str::to_owned).into(),
        rows: bins.iter().map(row).collect(),
    };
    Some(Section { title: "Calibration".into(), table: Some(table), ..Section::default() })
}

//! What came of rules.

use super::LISTED;
use crate::validate::{on, what};
use mainspring_monitor::quality::{RuleResult, Severity, Validation};
use mainspring_report::{Card, Cell, Mood, Report, Section, Table, percent};

/// Results with a card each.
const SHOWN: usize = 100;

/// The report of a validation of `file`, broken rules first.
pub fn validate(found: &Validation, file: &str) -> Report {
    let mut results: Vec<&RuleResult> = found.results.iter().collect();
    results.sort_by_key(|r| (r.success, r.severity != Severity::Critical));
    let s = found.statistics;
    let rows = results.iter().take(LISTED).map(|r| row(r)).collect();
    let head = ["expectation", "on", "verdict", "unexpected", "severity", "what was met"].map(str::to_owned).into();
    let table = Table { caption: "Each expectation, broken ones first".into(), head, rows };
    let broken: Vec<Card> = results.iter().filter(|r| !r.examples.is_empty()).take(SHOWN).map(|r| card(r)).collect();
    let mut sections = vec![Section { title: "Expectations".into(), table: Some(table), ..Section::default() }];
    if !broken.is_empty() {
        sections.push(Section { title: "Rows that broke them".into(), cards: broken, ..Section::default() });
    }
    Report {
        title: format!("Validation of {file}"),
        verdict: format!("{} of {} expectations kept", s.successful, s.evaluated),
        mood: match (s.failed, s.warned) {
            (0, 0) => Mood::Good,
            (0, _) => Mood::Warn,
            _ => Mood::Bad,
        },
        facts: vec![
            ("Rows".into(), found.rows.to_string()),
            ("Broken, critical".into(), s.failed.to_string()),
            ("Broken, others".into(), s.warned.to_string()),
        ],
        sections,
        ..Report::default()
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

fn verdict(result: &RuleResult) -> (Mood, &'static str) {
    match (result.success, result.severity) {
        (true, _) => (Mood::Good, "kept"),
        (false, Severity::Critical) => (Mood::Bad, "broken"),
        (false, _) => (Mood::Warn, "broken"),
    }
}

fn unexpected(result: &RuleResult) -> String {
    match (result.looked, result.unexpected) {
        (Some(looked), Some(unexpected)) if looked > 0 => {
            format!("{unexpected} of {looked} ({})", percent(unexpected as f64 / looked as f64))
        }
        _ => String::new(),
    }
}

fn row(result: &RuleResult) -> Vec<Cell> {
    let (mood, verdict) = verdict(result);
    let kind = result.kind.strip_prefix("expect_").unwrap_or(&result.kind);
    vec![
        kind.into(),
        on(result).into(),
        Cell::new(verdict, mood),
        unexpected(result).into(),
        word(result.severity).into(),
        what(result).into(),
    ]
}

fn card(result: &RuleResult) -> Card {
    let (mood, badge) = verdict(result);
    let kind = result.kind.strip_prefix("expect_").unwrap_or(&result.kind);
    let value = |v: &serde_json::Value| if v.is_null() { "missing".to_owned() } else { crate::output::cell(v) };
    let facts = result.examples.iter().map(|e| {
        let values: Vec<String> = e.values.iter().map(|(name, v)| format!("{name}: {}", value(v))).collect();
        (format!("row {}", e.row), values.join(", "))
    });
    Card {
        title: format!("{kind} {}", on(result)),
        badge: badge.into(),
        mood,
        says: vec![unexpected(result)],
        facts: facts.collect(),
        chart: None,
    }
}

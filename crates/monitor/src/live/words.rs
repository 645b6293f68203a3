//! Transitions in words and numbers.

use super::spec::MonitorSpec;
use super::track::Turn;
use super::watch::{Transition, TransitionKind, Turned, Watch};
use mainspring_core::Timestamp;
use mainspring_query::{identifier, literal};
use serde_json::{Value, json};

/// Columns that a sentence names.
const NAMED: usize = 5;

/// What a column's drift is called.
pub fn side(column: &str) -> &'static str {
    if column.starts_with("out.") { "prediction" } else { "covariate" }
}

/// `14:02` of the day, in UTC.
fn clock(at: Timestamp) -> String {
    let minutes = at.micros().div_euclid(60_000_000).rem_euclid(24 * 60);
    format!("{:02}:{:02} UTC", minutes / 60, minutes % 60)
}

fn name(turned: &Turned) -> String {
    match &turned.segment {
        Some(segment) => format!("{} where {segment}", turned.column),
        None => turned.column.clone(),
    }
}

fn column(turned: &Turned) -> Value {
    let (log_e, sure) = turned.evidence;
    json!({
        "column": turned.column, "segment": turned.segment, "drift": side(&turned.column),
        "distance": turned.moved.distance, "chance": turned.moved.chance, "rows": turned.moved.rows,
        "logE": log_e, "logSure": sure, "changedAtMicros": turned.changed_at.map(Timestamp::micros),
    })
}

fn list(these: &[&Turned]) -> String {
    let named: Vec<String> = these
        .iter()
        .take(NAMED)
        .map(|t| match t.turn {
            Turn::Drifted => format!("{} ({:.0} % of its rows are elsewhere)", name(t), 100.0 * t.moved.beyond()),
            Turn::Recovered => name(t),
        })
        .collect();
    match these.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// What to do, by what has drifted.
fn advice(these: &[&Turned]) -> &'static str {
    let covariate = these.iter().any(|t| side(&t.column) == "covariate");
    let prediction = these.iter().any(|t| side(&t.column) == "prediction");
    match (covariate, prediction) {
        (true, true) => {
            "the inputs have changed and the answers with them: look at where these columns come from, then train on newer data"
        }
        (true, false) => "the inputs have changed and the watched answers not: look at where these columns come from",
        _ => "the answers have changed and the watched inputs not: look at inputs that are not watched, and at labels",
    }
}

/// The rows behind it.
fn query(spec: &MonitorSpec, since: Option<Timestamp>, these: &[&Turned]) -> String {
    let mut columns: Vec<String> = these.iter().map(|t| identifier(&t.column)).collect();
    columns.dedup();
    columns.truncate(NAMED);
    let since =
        since.map(|at| format!(" AND at >= arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.micros()));
    format!(
        "SELECT event_id, at, {} FROM predictions WHERE deployment = {} AND variant = {}{} ORDER BY at LIMIT 100",
        columns.join(", "),
        literal(spec.deployment.as_str()),
        literal(&spec.variant),
        since.unwrap_or_default()
    )
}

/// Columns that have drifted, or have recovered.
pub(super) fn transition(
    (kind, at): (TransitionKind, Timestamp),
    watch: &Watch,
    spec: &MonitorSpec,
    these: &[&Turned],
) -> Transition {
    let since = these.iter().filter_map(|t| t.changed_at).min();
    let of = format!("{} of {} version {}", spec.variant, spec.deployment, watch.version);
    let sentence = match kind {
        TransitionKind::Drifted => {
            let since = since.map(|at| format!(" since about {}", clock(at))).unwrap_or_default();
            format!("{of} has drifted{since}: {}; {}", list(these), advice(these))
        }
        TransitionKind::Recovered | TransitionKind::Replaced => {
            let still = if watch.drifting { "; others are still drifting" } else { "" };
            format!("{of} is again as its reference: {}{still}", list(these))
        }
    };
    let numbers = json!({
        "deployment": spec.deployment, "variant": spec.variant, "model": watch.model, "version": watch.version,
        "level": spec.level, "minEffect": spec.min_effect, "rows": watch.rows[0], "sampled": watch.rows[1],
        "columns": these.iter().map(|t| column(t)).collect::<Vec<_>>(), "query": query(spec, since, these),
    });
    Transition { kind, at, drifting: watch.drifting, sentence, numbers }
}

/// Another version answers.
pub(super) fn replaced(was: &Watch, now: &Watch) -> Transition {
    let ended = if was.drifting { ", whose drift ends with it" } else { "" };
    let sentence = format!(
        "version {} answers instead of version {}{ended}; it is watched from its first row",
        now.version, was.version
    );
    let numbers = json!({"model": now.model, "version": now.version, "before": {"model": was.model, "version": was.version, "drifting": was.drifting}});
    Transition { kind: TransitionKind::Replaced, at: now.begun, drifting: false, sentence, numbers }
}

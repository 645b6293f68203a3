//! `mainspring rollout simulate`: how long a rollout would take, and how often it would be right, on the traffic that the
//! deployment has. Whatever the journal and the file do not say is assumed, and shown as an assumption.

mod premises;
#[cfg(test)]
mod tests;

use super::short;
use crate::args::{Output, SimulateArgs};
use crate::client::Server;
use crate::error::CliError;
use crate::output::{Mark, either, line, mark, note, table};
use crate::resources::read;
use clap::Args;
use mainspring_core::ErrorKind;
use mainspring_rollout::simulate::{Columns, Ended, Forecast, Harmful, Observed, Outcome, forecast};
use mainspring_rollout::spec::{AtMaxDuration, MetricKind, MetricSpec, Ship};
use mainspring_rollout::{Plan, RolloutSpec};
use premises::{Given, premises};
use serde_json::{Value, json};
use std::sync::Arc;

/// By how many times what a guardrail tolerates a harmful candidate is worse, where nobody says.
const HARM: f64 = 2.0;
/// Where a number comes from that nobody gave and nothing was measured of.
const ASSUMED: &str = "assumed";
const JOURNAL: &str = "the journal";

/// What to assume, whatever the journal says.
#[derive(Debug, Clone, Default, Args)]
pub struct Assume {
    /// The part of the answers that get a label, 0 to 1; as the journal says when left out
    #[arg(long, value_name = "NAME=PART")]
    pub coverage: Vec<String>,
    /// How long after its answer a label comes; as the journal says when left out
    #[arg(long, value_name = "NAME=DURATION")]
    pub label_delay: Vec<String>,
    /// Simulate candidates that are worse by so many times what a guardrail tolerates; 2 when left out where no metric has a
    /// minEffect
    #[arg(long, value_name = "TIMES")]
    pub harm: Option<f64>,
}

fn bad(message: impl Into<String>) -> CliError {
    CliError::new(ErrorKind::InvalidInput, message)
}

/// Simulates the rollout that a file declares.
///
/// # Errors
/// [`CliError`] when the file declares none, or nothing is known of the traffic.
pub async fn run(server: &Server, args: &SimulateArgs, out: Output) -> Result<(), CliError> {
    let spec = declared(args)?;
    let given = Given::read(args, &args.assume, &spec)?;
    let seen = match observed(server, &spec).await {
        Ok(seen) => seen,
        Err(error) if args.per_hour.is_some() => {
            note(format!("nothing is taken from the journal: {error}"));
            Observed::default()
        }
        Err(error) => return Err(error),
    };
    let premises = premises(&given, &spec, &seen)?;
    for warning in &premises.warnings {
        note(mark(Mark::Warn, warning));
    }
    if out == Output::Table {
        table(
            &["it rests on", "which is", "from"],
            premises.assumptions.iter().map(|a| vec![a.what.clone(), a.value.clone(), a.from.clone()]),
        );
        note(format!("simulating {} rollouts of each kind of candidate …", args.runs));
    }
    let (world, harm, runs) = (premises.world.clone(), premises.harm, args.runs);
    let simulated = Arc::clone(&spec);
    let found = tokio::task::spawn_blocking(move || forecast(&simulated, &world, runs, harm)).await;
    let found = found.map_err(|e| CliError::new(ErrorKind::Internal, e.to_string()))?;
    let found = found.map_err(|e| CliError::new(ErrorKind::Internal, e.to_string()))?;
    let whole = json!({
        "perHour": premises.world.per_hour,
        "assumptions": premises.assumptions,
        "warnings": premises.warnings,
        "forecast": document(&found)
    });
    either(out, &whole, || sentences(&found, &spec).into_iter().for_each(line));
    Ok(())
}

/// The rollout of the file.
fn declared(args: &SimulateArgs) -> Result<Arc<RolloutSpec>, CliError> {
    let source = args.file.display().to_string();
    let documents = mainspring_resource::parse(&read(&args.file)?, &source).map_err(|e| bad(e.to_string()))?;
    let document = documents.into_iter().find(|d| d.kind.eq_ignore_ascii_case("rollout"));
    let document = document.ok_or_else(|| bad(format!("{source} declares no Rollout")))?;
    let spec = mainspring_rollout::kind().check(&document).map_err(|e| bad(e.to_string()))?;
    let spec: RolloutSpec = serde_json::from_value(spec).map_err(|e| bad(e.to_string()))?;
    forecastable(&spec)?;
    Ok(Arc::new(spec))
}

/// What is promoted for being better needs to say how much better. What only must not be worse says that in its guardrails.
fn forecastable(spec: &RolloutSpec) -> Result<(), CliError> {
    if spec.ship() == Ship::Better && !has_effect(spec) {
        return Err(bad("no success metric says what effect is worth finding")
            .hint("give one a minEffect, in the metric's own unit"));
    }
    Ok(())
}

fn has_effect(spec: &RolloutSpec) -> bool {
    spec.metrics.success.iter().any(|m| m.min_effect.is_some())
}

/// What the journal says.
async fn observed(server: &Server, spec: &RolloutSpec) -> Result<Observed, CliError> {
    let ask = async |sql: String| -> Result<Vec<Value>, CliError> {
        let answer = server.post("/api/v1/query", &json!({ "sql": sql })).await?;
        Ok(answer["rows"].as_array().cloned().unwrap_or_default())
    };
    let (deployment, plan) = (spec.deployment.as_str(), Plan::of(spec));
    let columns = Columns::read(&ask(Columns::statement().to_owned()).await?);
    let mut seen = Observed::read(&ask(columns.traffic(spec)).await?);
    if seen.requests < 2 {
        return Err(bad(format!("the journal has no traffic of {deployment:?} to plan with"))
            .hint("say how much there will be: --per-hour 5000"));
    }
    let labels = plan.labels();
    if !labels.is_empty() {
        seen.labelled(&ask(Observed::labels_statement(deployment)).await?);
    }
    for label in labels {
        for sql in seen.coverage_statements(deployment, &label) {
            if seen.covered(&label, &ask(sql).await?) {
                break;
            }
        }
    }
    for output in plan.outputs() {
        if let Some(sql) = columns.output(deployment, &output) {
            seen.put_out(&output, &ask(sql).await?);
        }
    }
    Ok(seen)
}

/// The forecast for machines. `power` is what is promoted with the effect, `falsePromotions` without any; they are null where no
/// metric has an effect.
fn document(found: &Forecast) -> Value {
    let outcome = |outcome: &Outcome| {
        let Outcome { promoted, rolled_back, decided } = outcome;
        let undecided = outcome.undecided();
        json!({"promoted": promoted, "rolledBack": rolled_back, "decided": decided, "undecided": undecided})
    };
    let harmful = |harm: &Harmful| {
        let Harmful { metric, stable, candidate, outcome: became } = harm;
        json!({"metric": metric, "stable": stable, "candidate": candidate, "outcome": outcome(became)})
    };
    json!({
        "runs": found.runs,
        "power": found.better.map(|b| b.promoted.part),
        "hours": found.better.and_then(|b| b.decided.hours),
        "falsePromotions": found.better.map(|_| found.same.promoted.part),
        "falseRollbacks": found.same.rolled_back.part,
        "better": found.better.as_ref().map(outcome),
        "same": outcome(&found.same),
        "harmful": found.harmful.iter().map(harmful).collect::<Vec<_>>()
    })
}

/// The forecast for people.
fn sentences(found: &Forecast, spec: &RolloutSpec) -> Vec<String> {
    let mut lines = vec![format!("\nof {} rollouts each", found.runs)];
    if let Some(better) = &found.better {
        lines.extend(outcome("a candidate with the effect", better, spec));
    }
    let same = if found.better.is_some() { "a candidate without any effect" } else { "a harmless candidate" };
    lines.extend(outcome(same, &found.same, spec));
    for harm in &found.harmful {
        let metric = spec.metrics.guardrails.iter().find(|m| m.name == harm.metric);
        let value = |number: f64| metric.map_or_else(|| short(number), |metric| level(metric, number));
        let (stable, candidate) = (value(harm.stable), value(harm.candidate));
        let title = format!("a harmful candidate, {}: {candidate} instead of {stable}", harm.metric);
        lines.extend(outcome(&title, &harm.outcome, spec));
    }
    lines
}

/// What breaks a guardrail, in words.
fn level(metric: &MetricSpec, number: f64) -> String {
    match metric.kind {
        MetricKind::Errors => format!("{} fail", part(number)),
        MetricKind::Quantile => format!("{} in the median", seconds(number)),
        MetricKind::Mean | MetricKind::Total | MetricKind::Ratio => short(number),
    }
}

fn outcome(title: &str, outcome: &Outcome, spec: &RolloutSpec) -> Vec<String> {
    let after = |ended: &Ended| match ended.hours {
        Some([median, most]) => format!(", after {} in the median and {} at nine of ten", hours(median), hours(most)),
        None => String::new(),
    };
    let ended = |word: &str, ended: &Ended| format!("  {word} in {}{}", part(ended.part), after(ended));
    let then = match spec.decision.at_max_duration {
        AtMaxDuration::Review => "a person decides",
        AtMaxDuration::Rollback => "stable takes everything back",
    };
    let undecided = outcome.undecided();
    let then = if undecided > 0.0 { format!("; then {then}") } else { String::new() };
    vec![
        title.to_owned(),
        ended("promoted", &outcome.promoted),
        ended("rolled back", &outcome.rolled_back),
        format!("  no verdict in {}{then}", part(undecided)),
    ]
}

fn spread((mean, deviation): (f64, f64)) -> String {
    format!("mean {}, deviation {}", short(mean), short(deviation))
}

fn part(part: f64) -> String {
    let digits = if part > 0.0 && part < 0.01 { 2 } else { 1 };
    format!("{:.digits$} %", part * 100.0)
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{} ms", short(seconds * 1e3)) } else { format!("{} s", short(seconds)) }
}

fn hours(hours: f64) -> String {
    if hours * 60.0 < 1.0 {
        format!("{:.0} s", hours * 3600.0)
    } else if hours < 1.0 {
        format!("{:.0} min", hours * 60.0)
    } else if hours < 48.0 {
        format!("{hours:.1} h")
    } else {
        format!("{:.1} days", hours / 24.0)
    }
}

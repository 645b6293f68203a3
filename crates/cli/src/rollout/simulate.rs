//! `mainspring rollout simulate`: how long a rollout would take, and how often it would be right, on the traffic that the
//! deployment has.

use crate::args::{Output, SimulateArgs};
use crate::client::Server;
use crate::error::CliError;
use crate::output::{cell, either, line, note};
use crate::resources::read;
use mainspring_core::ErrorKind;
use mainspring_rollout::RolloutSpec;
use mainspring_rollout::simulate::{Behaviour, World, forecast};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

fn bad(message: impl Into<String>) -> CliError {
    CliError::new(ErrorKind::InvalidInput, message)
}

/// Simulates the rollout that a file declares.
///
/// # Errors
/// [`CliError`] when the file declares none, or nothing is known of the traffic.
pub async fn run(server: &Server, args: &SimulateArgs, out: Output) -> Result<(), CliError> {
    let source = args.file.display().to_string();
    let documents = mainspring_resource::parse(&read(&args.file)?, &source).map_err(|e| bad(e.to_string()))?;
    let document = documents.into_iter().find(|d| d.kind.eq_ignore_ascii_case("rollout"));
    let document = document.ok_or_else(|| bad(format!("{source} declares no Rollout")))?;
    let spec = mainspring_rollout::kind().check(&document).map_err(|e| bad(e.to_string()))?;
    let spec: RolloutSpec = serde_json::from_value(spec).map_err(|e| bad(e.to_string()))?;
    if spec.metrics.success.iter().all(|m| m.min_effect.is_none()) {
        return Err(bad("no success metric says what effect is worth finding")
            .hint("give one a minEffect, in the metric's own unit"));
    }
    let seen = match seen(server, spec.deployment.as_str()).await {
        Ok(seen) => seen,
        Err(error) if args.per_hour.is_some() => {
            note(format!("the journal was not asked: {error}"));
            Seen::default()
        }
        Err(error) => return Err(error),
    };
    let world = world(args, &spec, &seen)?;
    let per_hour = world.per_hour;
    let (spec, runs) = (Arc::new(spec), args.runs);
    if out == Output::Table {
        note(format!("simulating {} rollouts at {per_hour:.0} requests an hour …", 2 * runs));
    }
    let found = tokio::task::spawn_blocking(move || forecast(&spec, &world, runs)).await;
    let found = found.map_err(|e| CliError::new(ErrorKind::Internal, e.to_string()))?;
    let found = found.map_err(|e| CliError::new(ErrorKind::Internal, e.to_string()))?;
    let whole = json!({ "perHour": per_hour, "forecast": found });
    either(out, &whole, || {
        let part = |p: f64| format!("{:.1} %", p * 100.0);
        line(format!("with the effect     promoted in {} of {runs} rollouts", part(found.power)));
        line(format!(
            "                    after {} in the median, {} at nine of ten",
            hours(found.hours[0]),
            hours(found.hours[1])
        ));
        line(format!(
            "without any effect  promoted in {}, rolled back in {}",
            part(found.false_promotions),
            part(found.false_rollbacks)
        ));
    });
    Ok(())
}

fn hours(hours: f64) -> String {
    if hours < 1.0 {
        format!("{:.0} min", hours * 60.0)
    } else if hours < 48.0 {
        format!("{hours:.1} h")
    } else {
        format!("{:.1} days", hours / 24.0)
    }
}

/// What the journal says of a deployment.
#[derive(Debug, Default)]
struct Seen {
    per_hour: Option<f64>,
    error_rate: Option<f64>,
    latency: Option<f64>,
    spread: Option<f64>,
    labels: HashMap<String, (f64, f64)>,
}

async fn seen(server: &Server, deployment: &str) -> Result<Seen, CliError> {
    let ask = async |sql: String| -> Result<Vec<Value>, CliError> {
        let answer = server.post("/api/v1/query", &json!({ "sql": sql })).await?;
        Ok(answer["rows"].as_array().cloned().unwrap_or_default())
    };
    // The last day there is, so that nights and mornings are both in it.
    let of = format!(
        "deployment = '{deployment}' AND \"row\" = 0 AND shadow_of IS NULL AND at > (SELECT max(at) FROM predictions \
         WHERE deployment = '{deployment}') - INTERVAL '1 day'"
    );
    let traffic = format!(
        "SELECT count(*), date_part('epoch', max(at)) - date_part('epoch', min(at)), \
         avg(CASE WHEN outcome = 'failed' THEN 1.0 ELSE 0.0 END), median(total_us), stddev(ln(greatest(total_us, 1))) \
         FROM predictions WHERE {of}"
    );
    let rows = ask(traffic).await?;
    let number = |row: &Value, at: usize| row[at].as_f64();
    let first = rows.first().cloned().unwrap_or_default();
    let (count, seconds) = (number(&first, 0).unwrap_or(0.0), number(&first, 1).unwrap_or(0.0));
    if count < 2.0 {
        return Err(bad(format!("the journal has no traffic of {deployment:?} to plan with"))
            .hint("say how much there will be: --per-hour 5000"));
    }
    let labels = format!(
        "SELECT feedback_name, avg(feedback_number), stddev(feedback_number), \
         bool_and(feedback_number = 0 OR feedback_number = 1) FROM labeled WHERE deployment = '{deployment}' \
         AND feedback_number IS NOT NULL GROUP BY feedback_name"
    );
    let labels = ask(labels).await?;
    let label = |row: &Value| {
        // One that is always 0 or 1 is drawn as such.
        let spread = if row[3] == true { 0.0 } else { number(row, 2).unwrap_or(0.0) };
        Some((cell(&row[0]), (number(row, 1)?, spread)))
    };
    Ok(Seen {
        per_hour: (seconds >= 60.0).then(|| count / seconds * 3600.0),
        error_rate: number(&first, 2),
        latency: number(&first, 3).map(|us| us / 1e6),
        spread: number(&first, 4),
        labels: labels.iter().filter_map(label).collect(),
    })
}

fn world(args: &SimulateArgs, spec: &RolloutSpec, seen: &Seen) -> Result<World, CliError> {
    let per_hour = args.per_hour.or(seen.per_hour).ok_or_else(|| {
        bad("the journal has less than a minute of traffic to plan with")
            .hint("say how much there will be: --per-hour 5000")
    })?;
    let fallback = Behaviour::default();
    let mut labels = seen.labels.clone();
    for given in &args.baseline {
        let wrong = || bad(format!("--baseline {given:?} is not NAME=MEAN or NAME=MEAN:DEVIATION"));
        let (name, numbers) = given.split_once('=').ok_or_else(wrong)?;
        let (mean, deviation) = numbers.split_once(':').unwrap_or((numbers, "0"));
        let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite());
        let (Some(mean), Some(deviation)) = (number(mean), number(deviation)) else { return Err(wrong()) };
        labels.insert(name.to_owned(), (mean, deviation));
    }
    let plan = mainspring_rollout::Plan::of(spec);
    if let Some(unknown) = plan.labels().into_iter().find(|l| !labels.contains_key(l)) {
        return Err(bad(format!("the journal has no labels {unknown:?} to plan with")).hint(format!(
            "say what they are like: --baseline {unknown}=0.1, or {unknown}=20:5 with their deviation"
        )));
    }
    if let Some(output) = plan.outputs().first() {
        return Err(bad(format!("the simulation knows no values of output {output:?}"))
            .hint("simulate on labels, errors and times; leave metrics of outputs out of the file for it"));
    }
    let stable = Behaviour {
        error_rate: seen.error_rate.unwrap_or(fallback.error_rate),
        latency: seen.latency.unwrap_or(fallback.latency),
        spread: seen.spread.unwrap_or(fallback.spread),
        labels,
        outputs: HashMap::new(),
    };
    Ok(World { per_hour, population: args.population, variants: vec![stable.clone(), stable], ..World::default() })
}

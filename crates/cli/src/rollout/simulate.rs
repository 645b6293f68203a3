//! `mainspring rollout simulate`: how long a rollout would take, and how often it would be right, on the traffic that the
//! deployment has. Whatever the journal and the file do not say is assumed, and shown as an assumption.

use super::short;
use crate::args::{Output, SimulateArgs};
use crate::client::Server;
use crate::error::CliError;
use crate::output::{Mark, either, line, mark, note, table};
use crate::resources::read;
use clap::Args;
use mainspring_core::ErrorKind;
use mainspring_resource::HumanDuration;
use mainspring_rollout::simulate::{
    Behaviour, Columns, Ended, Forecast, Harmful, Labelling, Observed, Outcome, SHADOW_NOISE, World, forecast,
    population, unharmed,
};
use mainspring_rollout::spec::{AtMaxDuration, MetricKind, MetricSpec, Ship};
use mainspring_rollout::{Plan, RolloutSpec};
use mainspring_stats::decision::Direction;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;
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

/// What the flags say.
#[derive(Debug, Default)]
struct Given {
    per_hour: Option<f64>,
    population: Option<u64>,
    /// Mean and deviation by name, `output:NAME` for an output.
    baseline: HashMap<String, (f64, f64)>,
    coverage: HashMap<String, f64>,
    /// Microseconds.
    delay: HashMap<String, i64>,
    harm: Option<f64>,
}

impl Given {
    fn read(args: &SimulateArgs, assume: &Assume, spec: &RolloutSpec) -> Result<Self, CliError> {
        if let Some(harm) = assume.harm.filter(|harm| !(*harm > 1.0 && harm.is_finite())) {
            return Err(bad(format!("--harm {harm}: what a guardrail tolerates is no harm; give more than 1")));
        }
        let labels = Plan::of(spec).labels();
        let part = |text: &str| text.parse().ok().filter(|part| *part > 0.0 && *part <= 1.0);
        let delay = |text: &str| i64::try_from(text.parse::<HumanDuration>().ok()?.0.as_micros()).ok();
        Ok(Self {
            per_hour: args.per_hour,
            population: args.population,
            baseline: named(&args.baseline, ("--baseline", "NAME=MEAN or NAME=MEAN:DEVIATION"), baseline)?,
            coverage: measured(named(&assume.coverage, ("--coverage", "NAME=PART, 0 to 1"), part)?, &labels)?,
            delay: measured(named(&assume.label_delay, ("--label-delay", "NAME=DURATION, as in 2h"), delay)?, &labels)?,
            harm: assume.harm,
        })
    }
}

/// A flag's `NAME=…`, as often as it was given.
fn named<T>(
    given: &[String],
    (flag, form): (&str, &str),
    read: impl Fn(&str) -> Option<T>,
) -> Result<HashMap<String, T>, CliError> {
    let one = |text: &String| {
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), read(value)?))
    };
    given.iter().map(|text| one(text).ok_or_else(|| bad(format!("{flag} {text:?} is not {form}")))).collect()
}

/// Only labels that the file measures: another name is a mistake that nothing else would show.
fn measured<T>(given: HashMap<String, T>, labels: &[String]) -> Result<HashMap<String, T>, CliError> {
    match given.keys().find(|name| !labels.contains(name)) {
        Some(name) => Err(bad(format!("no metric of the file measures label {name:?}; it has {}", labels.join(", ")))),
        None => Ok(given),
    }
}

fn baseline(text: &str) -> Option<(f64, f64)> {
    let (mean, deviation) = text.split_once(':').unwrap_or((text, "0"));
    let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite());
    Some((number(mean)?, number(deviation)?))
}

/// One thing that a forecast rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Assumption {
    what: String,
    value: String,
    /// The journal, a flag, the file, or `assumed`.
    from: String,
}

/// Everything that a forecast rests on.
#[derive(Debug, Default)]
struct Premises {
    world: World,
    harm: Option<f64>,
    assumptions: Vec<Assumption>,
    warnings: Vec<String>,
}

impl Premises {
    fn say(&mut self, what: impl Into<String>, value: impl Into<String>, from: impl Into<String>) {
        self.assumptions.push(Assumption { what: what.into(), value: value.into(), from: from.into() });
    }
}

fn premises(given: &Given, spec: &RolloutSpec, seen: &Observed) -> Result<Premises, CliError> {
    let harm = given.harm.or_else(|| (!has_effect(spec)).then_some(HARM));
    let mut all = Premises { harm, ..Premises::default() };
    all.world.per_hour = requests(&mut all, given, seen)?;
    all.world.population = units(&mut all, given, spec, seen);
    let mut stable = answers(&mut all, seen);
    for label in Plan::of(spec).labels() {
        let (values, labelling) = labelled(&mut all, given, seen, &label)?;
        stable.labels.insert(label.clone(), values);
        all.world.labelling.insert(label, labelling);
    }
    for output in Plan::of(spec).outputs() {
        let values = put_out(&mut all, given, seen, &output)?;
        stable.outputs.insert(output, values);
    }
    all.world.variants = vec![stable.clone(), stable.clone()];
    candidates(&mut all, given, spec, &stable);
    circumstances(&mut all, spec);
    Ok(all)
}

/// The time that the journal's traffic is measured over.
fn lately(seen: &Observed) -> String {
    format!("{JOURNAL}, its last {}", hours(seen.seconds / 3600.0))
}

fn requests(all: &mut Premises, given: &Given, seen: &Observed) -> Result<f64, CliError> {
    let (per_hour, from) = match (given.per_hour, seen.per_hour()) {
        (Some(given), _) => (given, "--per-hour".to_owned()),
        (None, Some(seen_per_hour)) => (seen_per_hour, lately(seen)),
        (None, None) => {
            return Err(bad("the journal has less than a minute of traffic to plan with")
                .hint("say how much there will be: --per-hour 5000"));
        }
    };
    all.say("requests", format!("{per_hour:.0} an hour, evenly by day and night"), from);
    Ok(per_hour)
}

/// How many units there are; `None` where each request is one.
fn units(all: &mut Premises, given: &Given, spec: &RolloutSpec, seen: &Observed) -> Option<u64> {
    let unit = spec.assignment.unit.trim();
    let each = "each request is one of its own";
    if let Some(many) = given.population {
        all.say("units", format!("{many} in all"), "--population");
        return Some(many);
    }
    if unit == "request" {
        all.say("units", each, "the file");
        return None;
    }
    let Some(known) = seen.units else {
        all.say("units", each, format!("{ASSUMED}; --population N says otherwise"));
        // An input is journaled, or not, with the payload; a deployment names only what else a request carries.
        let journal = if unit.starts_with("field:") {
            String::new()
        } else {
            format!(", or have the journal know them with `journal: {{unit: \"{unit}\"}}` in the deployment")
        };
        all.warnings.push(format!(
            "nothing is known of the units of {unit}, so each request is taken to be another one; where they come back, a \
             rollout takes longer: say how many there are with --population N{journal}"
        ));
        return None;
    };
    let many = population(known);
    let share = part(known.requests as f64 / seen.requests.max(known.requests) as f64);
    let all_of_them = many.map_or_else(|| each.to_owned(), |many| format!("{many} in all"));
    let value = format!("{all_of_them}: {} different {unit} in {} requests", known.different, known.requests);
    all.say("units", value, format!("{}; --population N says otherwise", lately(seen)));
    if known.requests < seen.requests {
        all.say("requests with a unit", format!("all, though the journal knows it of {share}"), ASSUMED);
    }
    many
}

fn answers(all: &mut Premises, seen: &Observed) -> Behaviour {
    let fallback = Behaviour::default();
    let stable = Behaviour {
        error_rate: seen.error_rate.unwrap_or(fallback.error_rate),
        latency: seen.latency.unwrap_or(fallback.latency),
        spread: seen.spread.unwrap_or(fallback.spread),
        ..fallback
    };
    let from = |known: bool| if known { lately(seen) } else { ASSUMED.to_owned() };
    all.say("failures", format!("{} of the answers", part(stable.error_rate)), from(seen.error_rate.is_some()));
    let time =
        format!("{} in the median, its logarithm with deviation {}", seconds(stable.latency), short(stable.spread));
    all.say("time to answer", time, from(seen.latency.is_some() && seen.spread.is_some()));
    stable
}

/// Values of a label, which answers get it, and when.
fn labelled(
    all: &mut Premises,
    given: &Given,
    seen: &Observed,
    label: &str,
) -> Result<((f64, f64), Labelling), CliError> {
    let known = seen.labels.get(label);
    let (values, from) = match (given.baseline.get(label), known) {
        (Some(given), _) => (*given, "--baseline"),
        (None, Some(known)) => ((known.mean, known.deviation), JOURNAL),
        (None, None) => {
            return Err(bad(format!("the journal has no labels {label:?} to plan with")).hint(format!(
                "say what they are like: --baseline {label}=0.1, or {label}=20:5 with their deviation"
            )));
        }
    };
    let value = if values.1 == 0.0 { format!("1 in {}, else 0", part(values.0)) } else { spread(values) };
    all.say(format!("label {label}"), value, from);
    let found = known.map(|known| known.labelling.clone());
    let or = |flag: &str, said: bool, form: &str| match (said, &found) {
        (true, _) => flag.to_owned(),
        (false, Some(_)) => JOURNAL.to_owned(),
        (false, None) => format!("{ASSUMED}; {flag} {label}={form} says otherwise"),
    };
    let (coverage, delay) = (given.coverage.get(label), given.delay.get(label));
    let (covered, late) =
        (or("--coverage", coverage.is_some(), "PART"), or("--label-delay", delay.is_some(), "DURATION"));
    let found = found.unwrap_or_default();
    let labelling = Labelling {
        coverage: coverage.copied().unwrap_or(found.coverage),
        delays: delay.map_or(found.delays, |delay| vec![*delay]),
    };
    let which =
        if labelling.coverage < 1.0 { format!("{}, by chance", part(labelling.coverage)) } else { "all".to_owned() };
    all.say(format!("answers with {label}"), which, covered);
    all.say(format!("{label} comes"), lateness(&labelling.delays), late);
    Ok((values, labelling))
}

/// How long after its answer a label comes, in words; `delays` are microseconds, in their order.
fn lateness(delays: &[i64]) -> String {
    let at = |us: i64| hours(us as f64 / 3.6e9);
    match delays {
        [] => "at once".to_owned(),
        [one] => format!("{} after the answer", at(*one)),
        [.., last] => {
            let middle = i64::midpoint(delays[(delays.len() - 1) / 2], delays[delays.len() / 2]);
            format!("{} after the answer in the median, nearly all within {}", at(middle), at(*last))
        }
    }
}

fn put_out(all: &mut Premises, given: &Given, seen: &Observed, output: &str) -> Result<(f64, f64), CliError> {
    let name = format!("output:{output}");
    let (values, from) = match (given.baseline.get(&name), seen.outputs.get(output)) {
        (Some(given), _) => (*given, "--baseline".to_owned()),
        (None, Some(known)) => (*known, lately(seen)),
        (None, None) => {
            return Err(bad(format!("the journal has no numbers of output {output:?} to plan with"))
                .hint(format!("say what they are like, with their deviation: --baseline {name}=0.5:0.2")));
        }
    };
    all.say(format!("output {output}"), format!("{}, normal", spread(values)), from);
    Ok(values)
}

/// What tells the candidates from stable.
fn candidates(all: &mut Premises, given: &Given, spec: &RolloutSpec, stable: &Behaviour) {
    for metric in &spec.metrics.success {
        if let Some(effect) = metric.min_effect {
            let sign = if metric.direction() == Direction::Up { '+' } else { '−' };
            let each = if metric.kind == MetricKind::Total { " with each answer" } else { "" };
            let value = format!("{sign}{}{each}", short(effect));
            all.say(format!("effect on {}", metric.name), value, "the file's minEffect");
        }
    }
    if let Some(times) = all.harm.filter(|_| !spec.metrics.guardrails.is_empty()) {
        let value = format!("one guardrail is broken by {} times what it tolerates", short(times));
        let from =
            given.harm.map_or_else(|| format!("{ASSUMED}; --harm TIMES says otherwise"), |_| "--harm".to_owned());
        all.say("harm", value, from);
        let nothing = unharmed(spec, stable);
        if !nothing.is_empty() {
            all.say("no harm to", nothing.join(", "), "the file: nothing is tolerable");
        }
    }
    all.say("candidates", "no different from stable in anything else", ASSUMED);
}

/// What is not simulated.
fn circumstances(all: &mut Premises, spec: &RolloutSpec) {
    all.say("preflight", "passes at once, and nothing is ever silent", ASSUMED);
    if !spec.approvals.is_empty() {
        all.say("approvals", "given at once", ASSUMED);
    }
    if spec.hard_limits.is_some() {
        all.say("hardLimits", "not simulated", ASSUMED);
    }
    if all.world.population.is_some() {
        all.say("units among themselves", "alike: two answers of one differ as those of two", ASSUMED);
    }
    let metrics = spec.metrics.guardrails.iter().chain(&spec.metrics.success);
    if metrics.clone().any(|m| m.cuped.is_some()) {
        all.say("cuped", "explains nothing", ASSUMED);
    }
    if spec.steps.iter().any(|s| s.shadow.as_ref().is_some_and(|shadow| shadow.compare.is_some())) {
        let value = format!("differs from the caller's output by {SHADOW_NOISE} of its deviation");
        all.say("the same output in the shadow", value, ASSUMED);
    }
    if spec.steps.iter().any(|s| s.contextual_bandit.is_some()) {
        all.say("contexts", "all as frequent, and no different", ASSUMED);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use mainspring_rollout::simulate::{ObservedLabel, Units};

    /// What [`Assume`] takes from the command line.
    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        assume: Assume,
    }

    /// The rest of it.
    #[derive(Debug, Parser)]
    struct Rest {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn args(baseline: &[&str]) -> SimulateArgs {
        let fixed = ["simulate", "-f", "rollout.yaml", "--per-hour", "1000"].into_iter();
        Rest::try_parse_from(fixed.chain(baseline.iter().flat_map(|text| ["--baseline", text]))).unwrap().args
    }

    fn spec(more: Value) -> RolloutSpec {
        let mut spec = json!({
            "deployment": "d", "candidates": [{"name": "v2", "model": "models:/m/2"}],
            "assignment": {"unit": "header:x-user-id"}, "steps": [{"canary": {"weight": 10}}],
            "metrics": {"guardrails": [
                {"name": "errors", "kind": "errors", "nonInferiority": 0.02},
                {"name": "right", "kind": "mean", "source": "label:correct", "nonInferiority": 0.02}
            ]}
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    fn effect(source: &str) -> RolloutSpec {
        spec(json!({"metrics": {"success": [{"name": "m", "kind": "mean", "source": source, "minEffect": 0.1}]}}))
    }

    fn given(baseline: &[&str], flags: &[&str], spec: &RolloutSpec) -> Result<Given, CliError> {
        let flags = Flags::try_parse_from(std::iter::once(&"simulate").chain(flags)).unwrap();
        Given::read(&args(baseline), &flags.assume, spec)
    }

    fn observed() -> Observed {
        let labelling = Labelling { coverage: 0.12, delays: vec![60_000_000, 7_200_000_000, 86_400_000_000] };
        let label = ObservedLabel { mean: 0.9, deviation: 0.0, labelling, between: (0, 0) };
        Observed {
            requests: 1500,
            seconds: 7200.0,
            units: Some(Units { requests: 1500, different: 200 }),
            labels: [("correct".to_owned(), label)].into(),
            outputs: [("score".to_owned(), (0.5, 0.2))].into(),
            ..Observed::default()
        }
    }

    /// What is assumed of one thing, and from where.
    fn of(premises: &Premises, what: &str) -> (String, String) {
        let found = premises.assumptions.iter().find(|a| a.what == what);
        found.map_or_else(|| panic!("{what}: {:?}", premises.assumptions), |a| (a.value.clone(), a.from.clone()))
    }

    #[test]
    fn the_journal_says_units_and_which_answers_have_labels_and_when() {
        let spec = spec(json!({}));
        let found = premises(&given(&[], &[], &spec).unwrap(), &spec, &observed()).unwrap();
        assert_eq!((found.world.population, found.warnings.len()), (Some(200), 0));
        assert_eq!(found.world.labelling["correct"], observed().labels["correct"].labelling);
        let (units, from) = of(&found, "units");
        assert_eq!(units, "200 in all: 200 different header:x-user-id in 1500 requests");
        assert!(from.contains("--population") && from.starts_with("the journal, its last 2.0 h"), "{from}");
        assert_eq!(of(&found, "answers with correct"), ("12.0 %, by chance".into(), "the journal".into()));
        let late = "2.0 h after the answer in the median, nearly all within 24.0 h";
        assert_eq!(of(&found, "correct comes"), (late.into(), "the journal".into()));
    }

    #[test]
    fn flags_say_otherwise_and_a_wrong_one_is_refused() {
        let spec = spec(json!({}));
        let flags = ["--coverage", "correct=0.5", "--label-delay", "correct=30m", "--harm", "3"];
        let found = premises(&given(&[], &flags, &spec).unwrap(), &spec, &observed()).unwrap();
        let labelling = Labelling { coverage: 0.5, delays: vec![1_800_000_000] };
        assert_eq!((found.harm, &found.world.labelling["correct"]), (Some(3.0), &labelling));
        assert_eq!(of(&found, "answers with correct").1, "--coverage");
        assert_eq!(of(&found, "correct comes"), ("30 min after the answer".into(), "--label-delay".into()));
        assert_eq!(of(&found, "harm").1, "--harm");
        for wrong in [
            ["--coverage", "correct=1.5"],
            ["--coverage", "correct"],
            ["--label-delay", "correct=soon"],
            ["--coverage", "correkt=0.5"],
            ["--harm", "1"],
        ] {
            assert_eq!(given(&[], &wrong, &spec).unwrap_err().kind, ErrorKind::InvalidInput, "{wrong:?}");
        }
        assert!(given(&["correct=much"], &[], &spec).is_err());
    }

    #[test]
    fn what_nobody_knows_is_assumed_and_says_which_flag_changes_it() {
        let spec = spec(json!({"approvals": [{"before": "promotion"}]}));
        let found = premises(&given(&["correct=0.9"], &[], &spec).unwrap(), &spec, &Observed::default()).unwrap();
        assert_eq!(found.world.population, None);
        assert!(found.warnings.len() == 1 && found.warnings[0].contains("--population"), "{:?}", found.warnings);
        let assumed = |what: &str| of(&found, what).1;
        assert_eq!(assumed("units"), "assumed; --population N says otherwise");
        assert_eq!(assumed("answers with correct"), "assumed; --coverage correct=PART says otherwise");
        assert_eq!(assumed("correct comes"), "assumed; --label-delay correct=DURATION says otherwise");
        assert_eq!(of(&found, "failures"), ("0.10 % of the answers".into(), "assumed".into()));
        assert_eq!(of(&found, "approvals"), ("given at once".into(), "assumed".into()));
        assert_eq!((found.harm, assumed("harm")), (Some(2.0), "assumed; --harm TIMES says otherwise".into()));
        assert!(found.warnings[0].contains("journal: {unit: \"header:x-user-id\"}"), "{:?}", found.warnings);
        let field = self::spec(json!({"assignment": {"unit": "field:user"}}));
        let found = premises(&given(&["correct=0.9"], &[], &field).unwrap(), &field, &Observed::default()).unwrap();
        assert!(
            found.warnings[0].contains("field:user") && !found.warnings[0].contains("journal:"),
            "{:?}",
            found.warnings
        );
        // What each request is by the file itself is no assumption.
        let request = self::spec(json!({"assignment": {"unit": "request"}}));
        let found = premises(&given(&["correct=0.9"], &[], &request).unwrap(), &request, &observed()).unwrap();
        assert_eq!((found.world.population, found.warnings.len(), of(&found, "units").1), (None, 0, "the file".into()));
    }

    #[test]
    fn outputs_are_what_the_journal_has_or_a_baseline_says() {
        let spec = effect("output:score");
        let found = premises(&given(&[], &[], &spec).unwrap(), &spec, &observed()).unwrap();
        assert_eq!((found.harm, &found.world.variants[0].outputs["score"]), (None, &(0.5, 0.2)));
        assert_eq!(of(&found, "effect on m").0, "+0.1");
        let given = given(&["output:score=3:1"], &[], &spec).unwrap();
        let found = premises(&given, &spec, &Observed::default()).unwrap();
        assert_eq!(found.world.variants[0].outputs["score"], (3.0, 1.0));
        let refused = premises(&self::given(&[], &[], &spec).unwrap(), &spec, &Observed::default()).unwrap_err();
        assert!(refused.hint.unwrap().contains("--baseline output:score="));
    }

    #[test]
    fn guardrails_alone_are_forecast_and_a_better_one_needs_its_effect() {
        assert!(forecastable(&spec(json!({}))).is_ok());
        assert!(forecastable(&effect("latency")).is_ok());
        let vague = json!({"metrics": {"success": [{"name": "m", "kind": "mean", "source": "latency"}]}});
        assert!(forecastable(&spec(vague)).unwrap_err().hint.unwrap().contains("minEffect"));
    }

    #[test]
    fn what_has_no_verdict_is_said_beside_the_median_of_the_others() {
        let ended = |part: f64, hours: Option<[f64; 2]>| Ended { part, hours };
        let times = Some([0.5, 3.0]);
        let same = Outcome { promoted: ended(0.75, times), rolled_back: ended(0.0, None), decided: ended(0.75, times) };
        let worse = Outcome { promoted: ended(0.0, None), rolled_back: ended(1.0, times), decided: ended(1.0, times) };
        let harmful = Harmful { metric: "errors".into(), stable: 0.001, candidate: 0.041, outcome: worse };
        let found = Forecast { runs: 20, better: None, same, harmful: vec![harmful] };
        let lines = [
            "\nof 20 rollouts each",
            "a harmless candidate",
            "  promoted in 75.0 %, after 30 min in the median and 3.0 h at nine of ten",
            "  rolled back in 0.0 %",
            "  no verdict in 25.0 %; then a person decides",
            "a harmful candidate, errors: 4.1 % fail instead of 0.10 % fail",
            "  promoted in 0.0 %",
            "  rolled back in 100.0 %, after 30 min in the median and 3.0 h at nine of ten",
            "  no verdict in 0.0 %",
        ];
        assert_eq!(sentences(&found, &spec(json!({}))), lines);
        let told = document(&found);
        assert_eq!((&told["power"], &told["same"]["undecided"]), (&Value::Null, &json!(0.25)));
        let told = document(&Forecast { better: Some(same), ..found });
        assert_eq!(
            (&told["power"], &told["hours"], &told["falsePromotions"]),
            (&json!(0.75), &json!(times), &json!(0.75))
        );
    }
}

//! What a forecast rests on: what the journal says, else the flags, else what is assumed.

use super::{ASSUMED, Assume, HARM, JOURNAL, bad, has_effect, hours, part, seconds, spread};
use crate::args::SimulateArgs;
use crate::error::CliError;
use crate::rollout::short;
use mainspring_resource::HumanDuration;
use mainspring_rollout::simulate::{Behaviour, Labelling, Observed, SHADOW_NOISE, World, population, unharmed};
use mainspring_rollout::spec::MetricKind;
use mainspring_rollout::{Plan, RolloutSpec};
use mainspring_stats::decision::Direction;
use serde::Serialize;
use std::collections::HashMap;

/// What the flags say.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) per_hour: Option<f64>,
    pub(super) population: Option<u64>,
    /// Mean and deviation by name, `output:NAME` for an output.
    pub(super) baseline: HashMap<String, (f64, f64)>,
    pub(super) coverage: HashMap<String, f64>,
    /// Microseconds.
    pub(super) delay: HashMap<String, i64>,
    pub(super) harm: Option<f64>,
}

impl Given {
    pub(super) fn read(args: &SimulateArgs, assume: &Assume, spec: &RolloutSpec) -> Result<Self, CliError> {
        if let Some(harm) = assume.harm.filter(|harm| !(*harm > 1.0 && harm.is_finite())) {
            return Err(bad(format!("--harm {harm}: what a guardrail tolerates is no harm; give more than 1")));
        }
        if let Some(hours) = args.per_hour.filter(|n| !(*n > 0.0 && n.is_finite())) {
            return Err(bad(format!("--per-hour {hours}: without requests nothing happens; give more than 0")));
        }
        if args.population == Some(0) || args.runs == 0 {
            let flag = if args.runs == 0 { "--runs" } else { "--population" };
            return Err(bad(format!("{flag} 0: nothing can be counted; give 1 or more")));
        }
        let labels = Plan::of(spec).labels();
        let outputs = Plan::of(spec).outputs().into_iter().map(|name| format!("output:{name}"));
        let values: Vec<String> = labels.iter().cloned().chain(outputs).collect();
        let part = |text: &str| text.parse().ok().filter(|part| *part > 0.0 && *part <= 1.0);
        let delay = |text: &str| i64::try_from(text.parse::<HumanDuration>().ok()?.0.as_micros()).ok();
        Ok(Self {
            per_hour: args.per_hour,
            population: args.population,
            baseline: measured(
                named(&args.baseline, ("--baseline", "NAME=MEAN or NAME=MEAN:DEVIATION"), baseline)?,
                &values,
            )?,
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

/// Only what the file measures: another name is a mistake that nothing else would show.
fn measured<T>(given: HashMap<String, T>, known: &[String]) -> Result<HashMap<String, T>, CliError> {
    match given.keys().find(|name| !known.contains(name)) {
        Some(name) => Err(bad(format!("no metric of the file measures {name:?}; it has {}", known.join(", ")))),
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
pub(super) struct Assumption {
    pub(super) what: String,
    pub(super) value: String,
    /// The journal, a flag, the file, or `assumed`.
    pub(super) from: String,
}

/// Everything that a forecast rests on.
#[derive(Debug, Default)]
pub(super) struct Premises {
    pub(super) world: World,
    pub(super) harm: Option<f64>,
    pub(super) assumptions: Vec<Assumption>,
    pub(super) warnings: Vec<String>,
}

impl Premises {
    fn say(&mut self, what: impl Into<String>, value: impl Into<String>, from: impl Into<String>) {
        self.assumptions.push(Assumption { what: what.into(), value: value.into(), from: from.into() });
    }
}

pub(super) fn premises(given: &Given, spec: &RolloutSpec, seen: &Observed) -> Result<Premises, CliError> {
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

//! What many simulated rollouts say together.

use super::{Behaviour, Course, World, run};
use crate::machine::{DecisionKind, RowFailed};
use crate::spec::{AtMaxDuration, MetricKind, MetricSpec, MetricTest, RolloutSpec, Source};
use mainspring_stats::decision::Direction;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Rollouts that ended in one way.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// The part of all, 0 to 1.
    pub part: f64,
    /// Hours until then: median and nine tenths; nothing where none ended so.
    pub hours: Option<[f64; 2]>,
}

/// What became of the rollouts of one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Promoted, also where late labels reversed it.
    pub promoted: Ended,
    /// Rolled back because something was worse; not because time was up.
    pub rolled_back: Ended,
    /// One of both; the others are without a verdict when time is up.
    pub decided: Ended,
}

impl Outcome {
    /// The part without a verdict, 0 to 1.
    pub fn undecided(&self) -> f64 {
        1.0 - self.decided.part
    }
}

/// A candidate that breaks one guardrail, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Harmful {
    /// The guardrail.
    pub metric: String,
    /// What breaks it, of stable: the part of the answers that fail, the median time in seconds, or the mean of its source.
    pub stable: f64,
    /// The same of the candidate.
    pub candidate: f64,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// What many simulated rollouts say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// Rollouts simulated of each candidate.
    pub runs: u64,
    /// The smallest effect that the success metrics want to find is there: what is promoted is the power. Nothing where no
    /// metric says an effect.
    pub better: Option<Outcome>,
    /// The candidate is no different: harmless, and no better.
    pub same: Outcome,
    /// One guardrail is broken, the others are not; of each guardrail that tolerates anything.
    pub harmful: Vec<Harmful>,
}

/// Simulates `runs` rollouts of a candidate with the smallest effect that the success metrics want to find, as many of one that
/// is no different, and with `harm` as many of one for each guardrail that is worse by so many times what is tolerable.
///
/// # Errors
/// As [`run`].
pub fn forecast(spec: &Arc<RolloutSpec>, world: &World, runs: u64, harm: Option<f64>) -> Result<Forecast, RowFailed> {
    let stable = world.variants.first().cloned().unwrap_or_default();
    // Time that is up is told apart from what is worse, whatever the file does then.
    let mut reviewed = (**spec).clone();
    reviewed.decision.at_max_duration = AtMaxDuration::Review;
    let crowd = Crowd { spec: Arc::new(reviewed), world, stable: &stable, runs };
    // Of several candidates the first one has the effect; all of them do harm, since one of them is only taken out.
    let better = improved(spec, &stable).map(|candidate| crowd.outcome(0, &candidate, 1)).transpose()?;
    let same = crowd.outcome(1, &stable, 1)?;
    let mut harmful = Vec::new();
    for (kind, harmed) in (2..).zip(harm.map(|times| harms(spec, &stable, times)).unwrap_or_default()) {
        let outcome = crowd.outcome(kind, &harmed.behaviour, spec.candidates.len())?;
        harmful.push(Harmful { metric: harmed.metric, stable: harmed.from, candidate: harmed.to, outcome });
    }
    Ok(Forecast { runs, better, same, harmful })
}

/// Guardrails that tolerate nothing, so that no number of times it is a harm to forecast.
pub fn unharmed(spec: &RolloutSpec, stable: &Behaviour) -> Vec<String> {
    let harms = harms(spec, stable, 1.0);
    let guardrails = spec.metrics.guardrails.iter().map(|m| m.name.clone());
    guardrails.filter(|name| harms.iter().all(|harm| harm.metric != *name)).collect()
}

/// Many rollouts in one world.
struct Crowd<'a> {
    spec: Arc<RolloutSpec>,
    world: &'a World,
    stable: &'a Behaviour,
    runs: u64,
}

impl Crowd<'_> {
    /// What becomes of the `kind`-th candidate, which is the first `several` of them.
    fn outcome(&self, kind: u64, candidate: &Behaviour, several: usize) -> Result<Outcome, RowFailed> {
        let hours = self.spec.max_duration.0.as_secs_f64() / 3600.0 + 1.0;
        let mut variants = vec![self.stable.clone(); self.spec.candidates.len() + 1];
        variants.iter_mut().skip(1).take(several).for_each(|variant| variant.clone_from(candidate));
        let world = World { variants, contexts: Vec::new(), ..self.world.clone() };
        // Of each course only what is counted: the decisions of thousands are large.
        let [mut promoted, mut rolled_back, mut decided] = [const { Vec::new() }; 3];
        for seed in 0..self.runs {
            let course = run(&self.spec, &world, kind * self.runs + seed, hours)?;
            promoted.extend(course.hours_to(DecisionKind::Promoted));
            rolled_back.extend(course.hours_to(DecisionKind::RolledBack));
            decided.extend(verdict(&course));
        }
        let ended = |times: Vec<f64>| ended(times, self.runs);
        Ok(Outcome { promoted: ended(promoted), rolled_back: ended(rolled_back), decided: ended(decided) })
    }
}

fn verdict(course: &Course) -> Option<f64> {
    course.decided.then_some(course.hours)
}

fn ended(mut times: Vec<f64>, runs: u64) -> Ended {
    times.sort_by(f64::total_cmp);
    let at = |q: f64| times.get((times.len() as f64 * q) as usize).copied();
    Ended { part: times.len() as f64 / runs.max(1) as f64, hours: at(0.5).zip(at(0.9)).map(|(a, b)| [a, b]) }
}

/// A candidate with the smallest effects that are worth finding; nothing where no success metric says one.
fn improved(spec: &RolloutSpec, stable: &Behaviour) -> Option<Behaviour> {
    let mut better = None;
    for metric in &spec.metrics.success {
        let Some(effect) = metric.min_effect else { continue };
        let before: &Behaviour = better.as_ref().unwrap_or(stable);
        let after = moved(metric, before, if metric.direction() == Direction::Up { effect } else { -effect });
        better = Some(after.map_or_else(|| before.clone(), |(behaviour, _)| behaviour));
    }
    better
}

/// A candidate that breaks a guardrail.
struct Harmed {
    metric: String,
    from: f64,
    to: f64,
    behaviour: Behaviour,
}

/// For each guardrail a candidate that is worse by `times` what it tolerates; none where that is no change.
fn harms(spec: &RolloutSpec, stable: &Behaviour, times: f64) -> Vec<Harmed> {
    let harm = |metric: &MetricSpec| {
        let (behaviour, [from, to]) = harmed(metric, stable, times)?;
        (from != to).then(|| Harmed { metric: metric.name.clone(), from, to, behaviour })
    };
    spec.metrics.guardrails.iter().filter_map(harm).collect()
}

/// The candidate, and what breaks the guardrail before and after.
fn harmed(metric: &MetricSpec, stable: &Behaviour, times: f64) -> Option<(Behaviour, [f64; 2])> {
    match metric.kind {
        MetricKind::Errors => {
            let rate = stable.error_rate;
            // One that keeps the margin or what is tolerable holds, so harm is beyond both.
            let by_ratio = if metric.test() == MetricTest::Betting { 0.0 } else { rate * (metric.margin() - 1.0) };
            let tolerable = metric.non_inferiority().max(by_ratio);
            let worse = (rate + times * tolerable).min(1.0);
            Some((Behaviour { error_rate: worse, ..stable.clone() }, [rate, worse]))
        }
        // The margin is one of the time itself.
        MetricKind::Quantile => {
            let worse = stable.latency * (1.0 + times * (metric.margin() - 1.0));
            Some((Behaviour { latency: worse, ..stable.clone() }, [stable.latency, worse]))
        }
        MetricKind::Mean | MetricKind::Total | MetricKind::Ratio => {
            let margin = times * metric.non_inferiority();
            moved(metric, stable, if metric.direction() == Direction::Up { -margin } else { margin })
        }
    }
}

/// The behaviour in which a metric is moved by so much by its source alone, and the source's mean before and after; of a ratio
/// the numerator, of a total what each answer adds. `None` where nothing is known of the source.
fn moved(metric: &MetricSpec, from: &Behaviour, by: f64) -> Option<(Behaviour, [f64; 2])> {
    let by = by * metric.over.as_ref().map_or(Some(1.0), |over| mean(from, over))?;
    let (mut behaviour, source) = (from.clone(), metric.source.as_ref()?);
    match source {
        Source::Label(name) => {
            let (mean, deviation) = behaviour.labels.get_mut(name)?;
            // One that is true or false is a probability.
            *mean = if *deviation == 0.0 { (*mean + by).clamp(0.0, 1.0) } else { *mean + by };
        }
        Source::Output(name) => behaviour.outputs.get_mut(name)?.0 += by,
        Source::Latency => behaviour.latency = (from.latency + by / from.tail()).max(1e-6),
    }
    let means = [mean(from, source)?, mean(&behaviour, source)?];
    Some((behaviour, means))
}

fn mean(behaviour: &Behaviour, source: &Source) -> Option<f64> {
    match source {
        Source::Label(name) => behaviour.labels.get(name).map(|label| label.0),
        Source::Output(name) => behaviour.outputs.get(name).map(|output| output.0),
        Source::Latency => Some(behaviour.latency * behaviour.tail()),
    }
}

impl Behaviour {
    /// The mean of a log-normal time is its median so many times.
    fn tail(&self) -> f64 {
        (self.spread.powi(2) / 2.0).exp()
    }
}

//! How long a rollout would take, and how often it would find what is there: the real ledger and the real machine on
//! simulated units, without a clock.

#[cfg(test)]
mod tests;
mod traffic;

pub use traffic::{Behaviour, Generator, World};

use crate::event::Event;
use crate::ledger::Limits;
use crate::machine::{Decision, DecisionKind, Facts, Phase, Pins, Readiness, RowFailed, State};
use crate::pilot::Pilot;
use crate::spec::{MetricKind, RolloutSpec, Source};
use mainspring_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How one simulated rollout went.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The decisions.
    pub decisions: Vec<Decision>,
    /// The state at the end.
    pub state: State,
    /// Hours from the beginning to the verdict, or to the end of the simulation.
    pub hours: f64,
    /// The part of all units that got a candidate before the verdict.
    pub exposed: f64,
}

impl Course {
    /// Whether it was promoted at some time.
    pub fn promoted(&self) -> bool {
        self.decisions.iter().any(|d| d.kind == DecisionKind::Promoted)
    }

    /// Whether it was rolled back.
    pub fn rolled_back(&self) -> bool {
        self.decisions.iter().any(|d| d.kind == DecisionKind::RolledBack)
    }

    /// The last decision of this kind.
    pub fn last(&self, kind: DecisionKind) -> Option<&Decision> {
        self.decisions.iter().rev().find(|d| d.kind == kind)
    }
}

/// Runs one rollout from its beginning to its end, at most `hours` of its time.
///
/// # Errors
/// [`RowFailed`] for a spec that was not validated.
pub fn run(spec: &Arc<RolloutSpec>, world: &World, seed: u64, hours: f64) -> Result<Course, RowFailed> {
    drive(spec, world, seed, hours, &mut |_| {})
}

/// As [`run`], and `journal` hears of every event.
///
/// # Errors
/// As [`run`].
pub fn drive(
    spec: &Arc<RolloutSpec>,
    world: &World,
    seed: u64,
    hours: f64,
    journal: &mut dyn FnMut(&Event),
) -> Result<Course, RowFailed> {
    let start = Timestamp(1_767_225_600_000_000);
    let end = start.plus_micros((hours * 3.6e9) as i64);
    let mut now = start;
    let mut traffic = Generator::new(world.clone(), seed, start);
    let mut pilot =
        Pilot::new("simulated", Arc::clone(spec), State::new(format!("run-{seed}"), start, 0), Limits::default());
    let mut decisions = Vec::new();
    let candidates = (2..).take(spec.candidates.len()).map(|version: u32| format!("models:/simulated/{version}"));
    let pins = Pins { stable: "models:/simulated/1".to_owned(), candidates: candidates.collect() };
    let mut verdict = None;
    while now < end && pilot.state().active() {
        // In a step evidence decides, and it is looked at ever more rarely; else the time of a clock.
        let since = pilot.state().strata.last().map_or(start, |s| s.start);
        let pause = ((now.micros() - since.micros()) / 100).clamp(1_000_000, 600_000_000);
        now = now.plus_micros(pause).min(end);
        let events = traffic.until(now, pilot.state().row.as_ref());
        for event in &events {
            journal(event);
        }
        pilot.push(events);
        pilot.advance(now);
        let facts = Facts {
            pins: Some(pins.clone()),
            candidate: Readiness::Ready,
            starter: Some("simulated".to_owned()),
            settled: true,
            complete_until: now,
            ..Facts::default()
        };
        while let Some(done) = pilot.ask(now, &facts)? {
            if verdict.is_none()
                && matches!(
                    done.decision.kind,
                    DecisionKind::Promoted | DecisionKind::RolledBack | DecisionKind::ReviewAsked
                )
            {
                verdict = Some((now, pilot.report().units.clone()));
            }
            decisions.push(done.decision);
            pilot.adopt(done.state);
        }
        if pilot.state().phase == Phase::Review {
            break;
        }
    }
    let (at, units) = verdict.unwrap_or_else(|| (now, pilot.report().units.clone()));
    let all: u64 = units.iter().sum();
    let candidate: u64 = units.iter().skip(1).sum();
    Ok(Course {
        decisions,
        state: pilot.state().clone(),
        hours: (at.micros() - start.micros()) as f64 / 3.6e9,
        exposed: candidate as f64 / all.max(1) as f64,
    })
}

/// What many simulated rollouts say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// Rollouts simulated, with the effect and without.
    pub runs: u64,
    /// The part that is promoted when the effect is there: the power.
    pub power: f64,
    /// The part that is promoted when nothing is better.
    pub false_promotions: f64,
    /// The part that is rolled back although nothing is worse.
    pub false_rollbacks: f64,
    /// Hours to the verdict with the effect: median and nine tenths.
    pub hours: [f64; 2],
}

/// Simulates `runs` rollouts with the smallest effect that the success metrics want to find, and as many without any.
///
/// # Errors
/// As [`run`].
pub fn forecast(spec: &Arc<RolloutSpec>, world: &World, runs: u64) -> Result<Forecast, RowFailed> {
    let hours = spec.max_duration.0.as_secs_f64() / 3600.0 + 1.0;
    // Of several candidates the first one has the effect.
    let same = World { variants: vec![base(world); spec.candidates.len() + 1], contexts: Vec::new(), ..world.clone() };
    let mut better = same.clone();
    if let Some(first) = better.variants.get_mut(1) {
        *first = improved(spec, &base(world));
    }
    let (mut times, mut power, mut promoted, mut rolled_back) = (Vec::new(), 0, 0, 0);
    for seed in 0..runs {
        let with = run(spec, &better, seed, hours)?;
        power += u64::from(with.promoted());
        times.push(with.hours);
        let without = run(spec, &same, seed + runs, hours)?;
        promoted += u64::from(without.promoted());
        rolled_back += u64::from(without.rolled_back());
    }
    times.sort_by(f64::total_cmp);
    let at = |q: f64| {
        times.get(((times.len() as f64 * q) as usize).min(times.len().saturating_sub(1))).copied().unwrap_or(0.0)
    };
    let part = |n: u64| n as f64 / runs.max(1) as f64;
    Ok(Forecast {
        runs,
        power: part(power),
        false_promotions: part(promoted),
        false_rollbacks: part(rolled_back),
        hours: [at(0.5), at(0.9)],
    })
}

fn base(world: &World) -> Behaviour {
    world.variants.first().cloned().unwrap_or_default()
}

/// A candidate with the smallest effect that is worth finding.
fn improved(spec: &RolloutSpec, stable: &Behaviour) -> Behaviour {
    let mut better = stable.clone();
    for metric in &spec.metrics.success {
        let effect = metric.min_effect.unwrap_or_default();
        let up = metric.direction() == mainspring_stats::decision::Direction::Up;
        let signed = if up { effect } else { -effect };
        match (&metric.source, metric.kind) {
            (Some(Source::Label(name)), _) => {
                if let Some(label) = better.labels.get_mut(name) {
                    label.0 += signed;
                }
            }
            (Some(Source::Output(name)), _) => {
                if let Some(output) = better.outputs.get_mut(name) {
                    output.0 += signed;
                }
            }
            (Some(Source::Latency), MetricKind::Mean) => {
                // The mean of a log-normal time is its median times a factor of its spread.
                better.latency = (better.latency + signed / (better.spread.powi(2) / 2.0).exp()).max(1e-6);
            }
            (Some(Source::Latency) | None, _) => {}
        }
    }
    better
}

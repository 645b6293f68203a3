//! How long a rollout would take, and how often it would find what is there: the real ledger and the real machine on
//! simulated units, without a clock.

mod forecast;
mod journal;
#[cfg(test)]
mod tests;
mod traffic;

pub use forecast::{Ended, Forecast, Harmful, Outcome, forecast, unharmed};
pub use journal::{Columns, Observed, ObservedLabel, Units, population};
pub use traffic::{Behaviour, Generator, Labelling, SHADOW_NOISE, World};

use crate::event::Event;
use crate::ledger::Limits;
use crate::machine::{Decision, DecisionKind, Facts, Phase, Pins, Readiness, RowFailed, State};
use crate::pilot::Pilot;
use crate::spec::RolloutSpec;
use mainspring_core::Timestamp;
use std::sync::Arc;

/// When simulated rollouts begin.
const START: Timestamp = Timestamp(1_767_225_600_000_000);

/// How one simulated rollout went.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The decisions.
    pub decisions: Vec<Decision>,
    /// The state at the end.
    pub state: State,
    /// Hours from the beginning to the verdict, or to the end of the simulation.
    pub hours: f64,
    /// Whether it was promoted or rolled back; else time was up, or something held it to the end.
    pub decided: bool,
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

    /// Hours from the beginning to the first decision of this kind.
    pub fn hours_to(&self, kind: DecisionKind) -> Option<f64> {
        self.decisions.iter().find(|d| d.kind == kind).map(|d| hours_since(START, d.at))
    }

    /// The last decision of this kind.
    pub fn last(&self, kind: DecisionKind) -> Option<&Decision> {
        self.decisions.iter().rev().find(|d| d.kind == kind)
    }
}

fn hours_since(start: Timestamp, at: Timestamp) -> f64 {
    (at.micros() - start.micros()) as f64 / 3.6e9
}

/// The spec as if whoever must agree, people and webhooks, did so at once: nobody is there to wait for.
fn agreed(spec: &Arc<RolloutSpec>) -> Arc<RolloutSpec> {
    if spec.approvals.is_empty() && spec.preflight.webhooks.is_empty() {
        return Arc::clone(spec);
    }
    let mut alone = RolloutSpec::clone(spec);
    alone.approvals.clear();
    alone.preflight.webhooks.clear();
    Arc::new(alone)
}

/// Runs one rollout from its beginning to its end, at most `hours` of its time. Approvals are given at once.
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
    let (spec, start) = (agreed(spec), START);
    let end = start.plus_micros((hours * 3.6e9) as i64);
    let mut now = start;
    let mut traffic = Generator::new(world.clone(), seed, start);
    let mut pilot =
        Pilot::new("simulated", Arc::clone(&spec), State::new(format!("run-{seed}"), start, 0), Limits::default());
    let mut decisions = Vec::new();
    let candidates = (2..).take(spec.candidates.len()).map(|version: u32| format!("models:/simulated/{version}"));
    let pins = Pins { stable: "models:/simulated/1".to_owned(), candidates: candidates.collect() };
    let (mut verdict, mut decided) = (None, false);
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
                decided = done.decision.kind != DecisionKind::ReviewAsked;
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
        hours: hours_since(start, at),
        decided,
        exposed: candidate as f64 / all.max(1) as f64,
    })
}

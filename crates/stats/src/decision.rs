//! From many metrics to one decision.

use crate::sequential::{Evidence, Interval};
use serde::{Deserialize, Serialize};

/// What a metric is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// One of the reasons for the change: at least one must get better.
    Success,
    /// Must not get worse than its margin; if it does, roll back.
    Guardrail,
    /// Worth a look by a person: pause, and go on by itself once it is calm.
    Signal,
    /// Only reported: decides nothing.
    Reported,
    /// Whether the comparison can be trusted at all: sample ratio, units seen in two variants, missing data.
    Quality,
}

/// Which way a metric is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// More is better.
    Up,
    /// Less is better.
    Down,
}

/// What a metric's test says so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// Better than the control, significantly.
    Better,
    /// No worse than the margin allows, significantly.
    NonInferior,
    /// Not decided.
    Unclear,
    /// Worse than the control, or than the margin allows, significantly; a signal or quality check that fails.
    Worse,
    /// Nothing was measured, or the test could not be made: neither passed nor failed.
    NoData,
}

impl Finding {
    /// Reads a confidence sequence of candidate − control. `margin` is how much worse is tolerable, 0 or more, in the
    /// effect's unit.
    ///
    /// For a guardrail `Worse` means worse than the margin; between zero and the margin it is not a reason to act. For
    /// a success metric the margin should be 0.
    pub fn of_interval(effect: &Interval, direction: Direction, margin: f64) -> Self {
        let (low, high) = match direction {
            Direction::Up => (effect.low, effect.high),
            Direction::Down => (-effect.high, -effect.low),
        };
        if low.is_nan() || high.is_nan() {
            Self::NoData
        } else if high < -margin {
            Self::Worse
        } else if low > 0.0 {
            Self::Better
        } else if low > -margin {
            Self::NonInferior
        } else {
            Self::Unclear
        }
    }

    /// Reads an e-process against "the guardrail holds" at `alpha`. What is not rejected is [`Finding::Unclear`]: to
    /// show that a guardrail holds takes a test against its margin.
    pub fn of_harm(evidence: &Evidence, alpha: f64) -> Self {
        if evidence.rejects(alpha) { Self::Worse } else { Self::Unclear }
    }
}

/// One metric's part in the decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name, for the reasons.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What its test says.
    pub finding: Finding,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A success metric is better, all guardrails hold, nothing got worse, and the data can be trusted.
    Ship,
    /// A guardrail is broken, or a success metric got worse.
    RollBack,
    /// The comparison cannot be trusted: stay where we are.
    Untrusted,
    /// A metric that is needed has no data: stay where we are.
    Hold,
    /// A signal asks for a person.
    Pause,
    /// Nothing against it, not enough for it: go on measuring.
    Continue,
}

/// A verdict and the metrics that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What to do.
    pub verdict: Verdict,
    /// The names of the metrics that decided, in the order given; for [`Verdict::Continue`] those that are unclear.
    pub because: Vec<String>,
}

/// The decision rule of many metrics (Schultzberg, Ankargren and Frånberg, "Risk-aware product decisions in A/B tests
/// with multiple metrics", arXiv:2402.11609), with its verdicts in the order of urgency:
/// roll back, untrusted, hold, pause, ship, continue. Harm comes before trust, since rolling back is the safe side.
///
/// Without a success metric it never ships: a rollout that only must not harm declares that as its success.
pub fn decide(metrics: &[Metric]) -> Decision {
    let names = |of: &dyn Fn(&Metric) -> bool| -> Vec<String> {
        metrics.iter().filter(|m| of(m)).map(|m| m.name.clone()).collect()
    };
    let matters = |m: &Metric| matches!(m.role, Role::Success | Role::Guardrail);
    let urgent: [(Verdict, Vec<String>); 5] = [
        (Verdict::RollBack, names(&|m| matters(m) && m.finding == Finding::Worse)),
        (Verdict::Untrusted, names(&|m| m.role == Role::Quality && m.finding == Finding::Worse)),
        (Verdict::Hold, names(&|m| !matches!(m.role, Role::Signal | Role::Reported) && m.finding == Finding::NoData)),
        (Verdict::Pause, names(&|m| m.role == Role::Signal && m.finding == Finding::Worse)),
        (Verdict::Ship, shipping(metrics)),
    ];
    for (verdict, because) in urgent {
        if !because.is_empty() {
            return Decision { verdict, because };
        }
    }
    Decision { verdict: Verdict::Continue, because: names(&|m| matters(m) && m.finding != Finding::Better) }
}

/// The success metrics that are better, if all guardrails hold.
fn shipping(metrics: &[Metric]) -> Vec<String> {
    let holds = |m: &Metric| m.role != Role::Guardrail || matches!(m.finding, Finding::NonInferior | Finding::Better);
    if !metrics.iter().all(holds) {
        return Vec::new();
    }
    let better = |m: &&Metric| m.role == Role::Success && m.finding == Finding::Better;
    metrics.iter().filter(better).map(|m| m.name.clone()).collect()
}

/// The error rates of the single tests, so that the decision keeps its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ErrorRates {
    /// For the superiority test of each success metric: α over their number.
    pub success: f64,
    /// For the non-inferiority test of each guardrail: α itself. All of them must pass, so that more guardrails only
    /// make shipping by mistake rarer (an intersection-union test).
    pub guardrail: f64,
    /// For the test of each success metric and guardrail for harm: α over their number, so that a harmless candidate
    /// is rolled back with probability α at most.
    pub harm: f64,
    /// The probability of missing an effect to plan each test's size for: β over the number of guardrails + 1, because
    /// a good candidate must pass them all. Quality checks and tests for harm can stop it too; their own error rates
    /// come on top.
    pub beta: f64,
}

impl ErrorRates {
    /// After arXiv:2402.11609, for a decision with `alpha` and `beta` and these numbers of metrics.
    pub fn plan(alpha: f64, beta: f64, successes: usize, guardrails: usize) -> Self {
        let part = |rate: f64, n: usize| rate / n.max(1) as f64;
        Self {
            success: part(alpha, successes),
            guardrail: alpha,
            harm: part(alpha, successes + guardrails),
            beta: part(beta, guardrails + 1),
        }
    }
}

#[cfg(test)]
mod tests;

//! How many times as often a candidate has an event as its control, under changing weights and load.

use super::{InvalidSetting, Side, between, rate_of_error};
use crate::special::ln_mean_exp;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Ratios on the grid, evenly in asinh(100·ln r): fine around 1, up to about 240 and down to its inverse.
const HALF: usize = 100;
const POINTS: usize = 2 * HALF + 1;
const SCALE: f64 = 0.01;
const STEP: f64 = 0.07;

/// The ratio r of two event rates (or of two small probabilities), from counts of events alone.
///
/// Given that an event happened while the candidate had the share θ of the units, it fell to the candidate with
/// probability θr/(θr + 1 − θ): the intensity common to both, with its nights, weekends and outages, cancels
/// (Lindon and Malek, arXiv:2011.03567, for inhomogeneous Bernoulli and Poisson processes). The
/// likelihood of each r on a grid is a sum over events, so that steps with other weights, batches and replicas
/// simply add; mixtures over the grid are e-processes. Exact, without a burn-in, for independent units; count
/// *units* with an event, not events. Memory: 201 numbers.
///
/// Where most units have the event, r is the ratio of the two probabilities, since assignment is what is random
/// and not the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct RateRatio {
    events: [u64; 2],
    /// ln of the likelihood of each ratio of the grid, relative to the ratio 1.
    log_likelihood: [f64; POINTS],
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    events: [u64; 2],
    log_likelihood: Vec<f64>,
}

impl Default for RateRatio {
    fn default() -> Self {
        Self { events: [0; 2], log_likelihood: [0.0; POINTS] }
    }
}

/// ln r and r − 1 of each place of the grid.
static GRID: LazyLock<[(f64, f64); POINTS]> = LazyLock::new(|| {
    std::array::from_fn(|place| {
        let log = SCALE * ((place as f64 - HALF as f64) * STEP).sinh();
        (log, log.exp_m1())
    })
});

/// ln r at a place of the grid.
fn log_ratio(place: usize) -> f64 {
    GRID[place].0
}

/// ln of each ratio of the grid.
pub(super) fn ratios() -> impl Iterator<Item = f64> + Clone {
    (0..POINTS).map(log_ratio)
}

impl RateRatio {
    /// Events of the control and of the candidate while the candidate's share of the units of both was `share`,
    /// strictly between 0 and 1.
    pub fn observe(&mut self, control: u64, candidate: u64, share: f64) -> Result<(), InvalidSetting> {
        let share = between("share", share, (0.0, 1.0), "strictly between 0 and 1")?;
        if control + candidate == 0 {
            return Ok(());
        }
        self.events[0] += control;
        self.events[1] += candidate;
        let (all, candidate) = ((control + candidate) as f64, candidate as f64);
        for ((log, less_one), sum) in GRID.iter().zip(&mut self.log_likelihood) {
            // ln of (θr)ˣ(1−θ)ʸ/(θr + 1 − θ)ⁿ over the same at r = 1
            *sum += candidate * log - all * (share * less_one).ln_1p();
        }
        Ok(())
    }

    /// Adds what another replica, or another step, has seen.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.events.iter_mut().zip(other.events) {
            *ours += theirs;
        }
        for (ours, theirs) in self.log_likelihood.iter_mut().zip(&other.log_likelihood) {
            *ours += theirs;
        }
    }

    /// Events of the control and of the candidate.
    pub fn events(&self) -> [u64; 2] {
        self.events
    }

    /// ln of the e-process against "the ratio is at most (for [`Side::Above`]) `null`": the mean over ratios beyond
    /// it on the grid. `null` is rounded outwards to the grid, to the conservative side: by 1 in 1,000 near 1.
    pub fn log_e(&self, null: f64, side: Side) -> f64 {
        if self.events == [0; 2] {
            return 0.0;
        }
        let at = match side {
            Side::Above => (0..POINTS).find(|p| log_ratio(*p) >= null.ln() - 1e-12),
            Side::Below => (0..POINTS).rev().find(|p| log_ratio(*p) <= null.ln() + 1e-12),
        };
        let Some(at) = at else { return 0.0 };
        let beyond = match side {
            Side::Above => &self.log_likelihood[at + 1..],
            Side::Below => &self.log_likelihood[..at],
        };
        if beyond.is_empty() {
            return 0.0;
        }
        ln_mean_exp(beyond.iter().copied()) - self.log_likelihood[at]
    }

    /// The ratios of the grid that no two-sided mixture rejects at `alpha`, rounded outwards by one place: holds
    /// the true ratio at all looks at once with probability 1 − α. (0, 1, ∞) where the grid ends.
    pub fn interval(&self, alpha: f64) -> Result<super::Interval, InvalidSetting> {
        let threshold = -rate_of_error(alpha)?.ln();
        let mixture = ln_mean_exp(self.log_likelihood.iter().copied());
        let kept = |p: &usize| mixture - self.log_likelihood[*p] < threshold;
        let first = (0..POINTS).find(kept).unwrap_or(HALF);
        let last = (0..POINTS).rev().find(kept).unwrap_or(HALF);
        let best = (0..POINTS).max_by(|a, b| self.log_likelihood[*a].total_cmp(&self.log_likelihood[*b]));
        Ok(super::Interval {
            low: if first == 0 { 0.0 } else { log_ratio(first - 1).exp() },
            estimate: log_ratio(best.filter(|_| self.events != [0; 2]).unwrap_or(HALF)).exp(),
            high: if last == POINTS - 1 { f64::INFINITY } else { log_ratio(last + 1).exp() },
        })
    }
}

impl TryFrom<Stored> for RateRatio {
    type Error = crate::InvalidSketch;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let found = stored.log_likelihood.len();
        let log_likelihood = stored.log_likelihood.try_into().map_err(|_| crate::InvalidSketch {
            sketch: "rate ratio",
            why: format!("it has {found} points, {POINTS} are needed"),
        })?;
        Ok(Self { events: stored.events, log_likelihood })
    }
}

impl From<RateRatio> for Stored {
    fn from(ratio: RateRatio) -> Self {
        Self { events: ratio.events, log_likelihood: ratio.log_likelihood.to_vec() }
    }
}

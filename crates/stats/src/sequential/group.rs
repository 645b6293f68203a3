//! Group-sequential tests: a known end and some looks on the way, for data that come in batches.

use super::{InvalidSetting, between};
use crate::special::{gauss, normal_cdf, normal_pdf, normal_quantile};
use serde::{Deserialize, Serialize};

/// How the error rate is spent over the information fraction t (Lan and DeMets, Biometrika 1983).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spending {
    /// 2 − 2Φ(z_{α/2}/√t): hardly anything early, in the manner of O'Brien and Fleming.
    OBrienFleming,
    /// α·ln(1 + (e − 1)t): evenly, in the manner of Pocock.
    Pocock,
    /// α·t^ρ with this ρ > 0 (Kim and DeMets, Biometrika 1987).
    Power(f64),
}

/// Whether both directions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// Only high values of the statistic reject.
    One,
    /// High and low values reject; each side spends half of α.
    Two,
}

/// A group-sequential design. Its guarantee needs an estimate that is normal with independent increments, which
/// differences of means are in the limit; it does not hold for looks that were chosen by what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GroupSequential {
    alpha: f64,
    sides: Sides,
    spending: Spending,
}

/// One look at a test whose variance is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GroupLook {
    /// The part of the planned end that was seen, above 0 and at most 1: what may be spent by then follows from it alone.
    pub fraction: f64,
    /// The variance of the score (the sum whose increments are independent), on any scale: two looks are the more alike the
    /// nearer it is at the one to what it is at the other.
    pub information: f64,
}

/// The looks make no design.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GroupSequentialError {
    /// Fractions must rise from above 0 to at most 1.
    #[error("the information fractions {0:?} must rise, from above 0 to at most 1")]
    Fractions(Vec<f64>),
    /// What is known must rise from look to look.
    #[error("the information {0:?} must rise from look to look, from above 0")]
    Information(Vec<f64>),
    /// One boundary for each look.
    #[error("{bounds} boundaries were given for {looks} looks")]
    Bounds {
        /// Boundaries.
        bounds: usize,
        /// Looks.
        looks: usize,
    },
}

/// Lower end of what a one-sided test integrates over, in standard deviations.
const FAR: f64 = 9.0;

/// The density of the score statistic on the paths that crossed no boundary yet: (place, weight × density).
struct Paths {
    nodes: Vec<(f64, f64)>,
    information: f64,
    drift: f64,
}

impl GroupSequential {
    /// At the error rate `alpha`, for both sides together.
    pub fn new(alpha: f64, sides: Sides, spending: Spending) -> Result<Self, InvalidSetting> {
        let alpha = between("alpha", alpha, (0.0, 0.5), "between 0 and one half")?;
        if let Spending::Power(rho) = spending {
            super::positive("rho", rho)?;
        }
        Ok(Self { alpha, sides, spending })
    }

    /// What one side may have spent by the fraction `t` of the information.
    pub fn spent(&self, t: f64) -> f64 {
        let alpha = match self.sides {
            Sides::One => self.alpha,
            Sides::Two => self.alpha / 2.0,
        };
        match self.spending {
            Spending::OBrienFleming => 2.0 * normal_cdf(normal_quantile(alpha / 2.0) / t.sqrt()),
            Spending::Pocock => alpha * (t * (std::f64::consts::E - 1.0)).ln_1p(),
            Spending::Power(rho) => alpha * t.powf(rho),
        }
    }

    /// The boundary of the z statistic at each look; reject beyond it. The fractions are of the information (units)
    /// at the planned end. Give all looks so far: a boundary depends on those before it and not on those to come, so
    /// neither their number nor their times have to be known beforehand.
    ///
    /// Computed by the recursion of Armitage, McPherson and Rowe (1969) with Gauss-Legendre quadrature; accurate to
    /// about 10⁻⁹. ∞ where nothing may be spent yet.
    pub fn boundaries(&self, fractions: &[f64]) -> Result<Vec<f64>, GroupSequentialError> {
        let looks: Vec<GroupLook> = fractions.iter().map(|t| GroupLook { fraction: *t, information: *t }).collect();
        self.boundaries_at(&looks)
    }

    /// The same where the variance of a unit is not constant, or units come back: how much may be spent goes by the fraction,
    /// and how alike two looks are by the information (two time scales: Lan and DeMets, Biometrics 1989). Only the ratios of
    /// the information matter.
    pub fn boundaries_at(&self, looks: &[GroupLook]) -> Result<Vec<f64>, GroupSequentialError> {
        let fractions: Vec<f64> = looks.iter().map(|look| look.fraction).collect();
        check(&fractions)?;
        let known: Vec<f64> = looks.iter().map(|look| look.information).collect();
        let rises = known.iter().all(|i| *i > 0.0 && i.is_finite()) && known.windows(2).all(|w| w[0] < w[1]);
        if !rises {
            return Err(GroupSequentialError::Information(known));
        }
        let mut paths = Paths::start(0.0);
        let mut bounds = Vec::with_capacity(looks.len());
        let mut spent = 0.0;
        for (t, information) in fractions.iter().zip(&known) {
            let at = information / known[0];
            let target = self.spent(*t);
            let bound = paths.solve(at, target - spent);
            spent = target;
            bounds.push(bound);
            paths = paths.next(at, bound, self.sides);
        }
        Ok(bounds)
    }

    /// The probability of crossing first at each look, when the z statistic at fraction 1 has the mean `drift` (the
    /// effect over its standard error at the planned end). Their sum is the power; with drift 0 it is α.
    pub fn crossing(&self, fractions: &[f64], bounds: &[f64], drift: f64) -> Result<Vec<f64>, GroupSequentialError> {
        check(fractions)?;
        if bounds.len() != fractions.len() {
            return Err(GroupSequentialError::Bounds { bounds: bounds.len(), looks: fractions.len() });
        }
        let mut paths = Paths::start(drift);
        let mut probabilities = Vec::with_capacity(bounds.len());
        for (t, bound) in fractions.iter().zip(bounds) {
            let below = match self.sides {
                Sides::One => 0.0,
                Sides::Two => paths.beyond(*t, -bound, -1.0),
            };
            probabilities.push(paths.beyond(*t, *bound, 1.0) + below);
            paths = paths.next(*t, *bound, self.sides);
        }
        Ok(probabilities)
    }

    /// The drift at which the design has the power `power`, strictly between α and 1. The planned number of units is
    /// that of a single look times (drift ÷ the single look's drift)².
    pub fn drift_for(&self, fractions: &[f64], power: f64) -> Result<f64, GroupSequentialError> {
        let bounds = self.boundaries(fractions)?;
        let (mut low, mut high) = (0.0, 20.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            let reached: f64 = self.crossing(fractions, &bounds, middle)?.iter().sum();
            if reached < power { low = middle } else { high = middle }
        }
        Ok(f64::midpoint(low, high))
    }
}

fn check(fractions: &[f64]) -> Result<(), GroupSequentialError> {
    let rise = fractions.windows(2).all(|w| w[0] < w[1]);
    let inside = fractions.iter().all(|t| *t > 0.0 && *t <= 1.0 + 1e-12);
    if rise && inside { Ok(()) } else { Err(GroupSequentialError::Fractions(fractions.to_vec())) }
}

impl Paths {
    fn start(drift: f64) -> Self {
        Self { nodes: vec![(0.0, 1.0)], information: 0.0, drift }
    }

    /// Standard deviation and mean of what comes until `t`.
    fn step(&self, t: f64) -> (f64, f64) {
        ((t - self.information).sqrt(), self.drift * (t - self.information))
    }

    /// The probability that the statistic at `t` is beyond z = `bound`; `sign` is 1 for above and −1 for below.
    fn beyond(&self, t: f64, bound: f64, sign: f64) -> f64 {
        let (sd, mean) = self.step(t);
        let edge = bound * t.sqrt();
        self.nodes.iter().map(|(u, w)| w * normal_cdf(sign * (u + mean - edge) / sd)).sum()
    }

    /// The z boundary that is crossed upwards at `t` with this probability.
    fn solve(&self, t: f64, probability: f64) -> f64 {
        if probability <= 1e-16 {
            return f64::INFINITY;
        }
        let (mut low, mut high) = (-FAR, 2.0 * FAR);
        for _ in 0..64 {
            let middle = f64::midpoint(low, high);
            if self.beyond(t, middle, 1.0) > probability { low = middle } else { high = middle }
        }
        f64::midpoint(low, high)
    }

    /// The paths that stay within the boundary at `t`.
    fn next(&self, t: f64, bound: f64, sides: Sides) -> Self {
        let (sd, mean) = self.step(t);
        let centre = self.drift * t;
        let reach = FAR * t.sqrt();
        let high = (bound * t.sqrt()).min(centre + reach);
        let low = match sides {
            Sides::One => centre - reach,
            Sides::Two => (-bound * t.sqrt()).max(centre - reach),
        };
        if low >= high {
            return Self { nodes: Vec::new(), information: t, drift: self.drift };
        }
        // The density is as smooth as the last step is wide.
        let panels = ((high - low) / (1.5 * sd)).ceil().clamp(4.0, 400.0);
        let width = (high - low) / panels;
        let nodes = (0..panels as usize)
            .flat_map(|panel| gauss(low + panel as f64 * width, low + (panel + 1) as f64 * width))
            .map(|(y, w)| {
                let density: f64 = self.nodes.iter().map(|(u, v)| v * normal_pdf((y - u - mean) / sd)).sum();
                (y, w * density / sd)
            })
            .collect();
        Self { nodes, information: t, drift: self.drift }
    }
}

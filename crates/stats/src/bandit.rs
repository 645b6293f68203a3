//! Top-two Thompson sampling with a floor, and the probabilities that it used.

use crate::special::{beta_cdf, gauss, ln_beta, normal_cdf, normal_pdf};
use serde::{Deserialize, Serialize};

/// What is believed about an arm's mean reward.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Posterior {
    /// A probability, after `successes` and `failures` on a uniform prior: Beta(1 + s, 1 + f).
    Beta {
        /// Units that succeeded; 0 or more.
        successes: f64,
        /// Units that did not; 0 or more.
        failures: f64,
    },
    /// A mean whose estimate is normal: its standard error is positive.
    Normal {
        /// The estimate.
        mean: f64,
        /// Its standard error.
        standard_error: f64,
    },
}

/// How a bandit shares out its traffic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TopTwo {
    /// The probability of playing the first of the two, 0 to 1; ½ finds the best arm fastest in general (Russo, "Simple
    /// Bayesian Algorithms for Best Arm Identification", COLT 2016, arXiv:1602.08448).
    pub first: f64,
    /// The least that every arm gets, 0 to 1/k: no arm starves, and no propensity comes near 0.
    pub floor: f64,
    /// The part of the traffic that is assigned evenly, whatever is believed: δₜ of the mixture adaptive design (Liang
    /// and Bojinov, arXiv:2311.05794), so that effects can be inferred from a bandit's data. 0 to 1.
    pub even: f64,
}

/// Arms or settings that make no bandit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BanditError {
    /// Under two arms.
    #[error("a bandit needs two arms or more; {0} were given")]
    Arms(usize),
    /// A posterior that is none.
    #[error(
        "what is believed about arm {0} is no distribution: counts must be 0 or more, a standard error positive, all finite"
    )]
    Posterior(usize),
    /// `first` or `even` outside 0 to 1, or `floor` outside 0 to 1/k.
    #[error(
        "first {first} and even {even} must be between 0 and 1, floor {floor} between 0 and 1 over the number of arms"
    )]
    Settings {
        /// `first`.
        first: f64,
        /// `floor`.
        floor: f64,
        /// `even`.
        even: f64,
    },
}

/// Standard deviations from the mean beyond which a posterior counts as nothing.
const REACH: f64 = 9.0;

impl Posterior {
    fn valid(self) -> bool {
        match self {
            Self::Beta { successes, failures } => [successes, failures].iter().all(|n| n.is_finite() && *n >= 0.0),
            Self::Normal { mean, standard_error } => {
                mean.is_finite() && standard_error.is_finite() && standard_error > 0.0
            }
        }
    }

    fn parameters(self) -> (f64, f64) {
        match self {
            Self::Beta { successes, failures } => (1.0 + successes, 1.0 + failures),
            Self::Normal { mean, standard_error } => (mean, standard_error),
        }
    }

    fn mean_and_sd(self) -> (f64, f64) {
        let (a, b) = self.parameters();
        match self {
            Self::Beta { .. } => (a / (a + b), (a * b / ((a + b).powi(2) * (a + b + 1.0))).sqrt()),
            Self::Normal { .. } => (a, b),
        }
    }

    fn density(self, x: f64) -> f64 {
        let (a, b) = self.parameters();
        match self {
            Self::Beta { .. } => ((a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - ln_beta(a, b)).exp(),
            Self::Normal { .. } => normal_pdf((x - a) / b) / b,
        }
    }

    fn cdf(self, x: f64) -> f64 {
        let (a, b) = self.parameters();
        match self {
            Self::Beta { .. } => beta_cdf(x, a, b),
            Self::Normal { .. } => normal_cdf((x - a) / b),
        }
    }

    fn support(self) -> (f64, f64) {
        match self {
            Self::Beta { .. } => (0.0, 1.0),
            Self::Normal { .. } => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }
}

/// The probability of each arm to be the best: ∫ fᵢ(x)·Π Fⱼ(x) dx by quadrature, to about 10⁻¹⁰. No random draws: the
/// same beliefs give the same weights everywhere, and the propensities are exact.
pub fn best_probabilities(arms: &[Posterior]) -> Result<Vec<f64>, BanditError> {
    if arms.len() < 2 {
        return Err(BanditError::Arms(arms.len()));
    }
    if let Some(bad) = arms.iter().position(|arm| !arm.valid()) {
        return Err(BanditError::Posterior(bad));
    }
    let mut all: Vec<f64> = (0..arms.len()).map(|i| best_probability(arms, i)).collect();
    let sum: f64 = all.iter().sum();
    for p in &mut all {
        *p /= sum;
    }
    Ok(all)
}

fn best_probability(arms: &[Posterior], i: usize) -> f64 {
    let (mean, sd) = arms[i].mean_and_sd();
    let (least, most) = arms[i].support();
    let (low, high) = ((mean - 2.0 * REACH * sd).max(least), (mean + 2.0 * REACH * sd).min(most));
    // Where any of the functions bends.
    let mut cuts = vec![low, high];
    for arm in arms {
        let (mean, sd) = arm.mean_and_sd();
        cuts.extend([-8.0, -5.0, -3.0, -1.5, 0.0, 1.5, 3.0, 5.0, 8.0].map(|k| (mean + k * sd).clamp(low, high)));
    }
    cuts.sort_unstable_by(f64::total_cmp);
    cuts.dedup();
    let piece = |low: f64, high: f64| -> f64 {
        gauss(low, high)
            .map(|(x, w)| {
                let others = arms.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, arm)| arm.cdf(x));
                w * arms[i].density(x) * others.product::<f64>()
            })
            .sum()
    };
    cuts.windows(2).map(|w| piece(w[0], w[1])).sum()
}

impl TopTwo {
    /// The weights of the arms for the next period, adding up to 1. They are the propensities to log: assign by them,
    /// not by draws of your own.
    ///
    /// The first candidate is each arm with its probability αᵢ of being best; with probability `first` it is played,
    /// else draws go on until another arm is best (arXiv:1602.08448, section 4):
    /// ψᵢ = αᵢ·(β + (1 − β)·Σ_{j≠i} αⱼ/(1 − αⱼ)). Then the even part and the floor are mixed in.
    pub fn weights(&self, arms: &[Posterior]) -> Result<Vec<f64>, BanditError> {
        let best = best_probabilities(arms)?;
        let k = arms.len() as f64;
        let Self { first, floor, even } = *self;
        let unit = 0.0..=1.0;
        if !(unit.contains(&first) && unit.contains(&even) && floor >= 0.0 && floor * k <= 1.0) {
            return Err(BanditError::Settings { first, floor, even });
        }
        // An arm that is best for certain leaves nothing to draw from: its rival is then any other arm.
        let odds: Vec<f64> = best.iter().map(|p| p / (1.0 - p)).collect();
        let certain = best.iter().position(|p| *p >= 1.0 - 1e-12);
        let weight = |(i, p): (usize, &f64)| match certain {
            Some(top) if top == i => first,
            Some(_) => (1.0 - first) / (k - 1.0),
            None => {
                let rivals: f64 = odds.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, o)| o).sum();
                p * (first + (1.0 - first) * rivals)
            }
        };
        let mut weights: Vec<f64> = best.iter().enumerate().map(weight).collect();
        let sum: f64 = weights.iter().sum();
        for w in &mut weights {
            *w = floor + (1.0 - k * floor) * (even / k + (1.0 - even) * *w / sum);
        }
        Ok(weights)
    }
}

#[cfg(test)]
mod tests;

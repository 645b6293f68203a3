//! What another policy would have brought, from answers whose propensities were logged.

use crate::sequential::{Effect, NoEffect, UnitMoments, UnitTotals};
use serde::{Deserialize, Serialize};

/// One answer with its reward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logged {
    /// What it brought.
    pub reward: f64,
    /// The probability with which the policy that ran chose this action here; positive.
    pub propensity: f64,
    /// The probability with which the policy to evaluate would have chosen it.
    pub target: f64,
    /// A model's reward for this action here; 0 without a model.
    pub predicted: f64,
    /// The model's reward here on average over what the policy to evaluate would choose; 0 without a model.
    pub baseline: f64,
}

/// An answer cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "an answer with propensity {propensity} and target probability {target} cannot be weighed: the first must be in (0, 1], the second in [0, 1]"
)]
pub struct Unweighable {
    /// The logged propensity.
    pub propensity: f64,
    /// The target's probability.
    pub target: f64,
}

/// Off-policy estimates, all at once, in 270 bytes. Accumulators of other answers merge exactly.
///
/// | estimate | formula | |
/// |---|---|---|
/// | IPS | mean of w·r | unbiased; Horvitz and Thompson 1952 |
/// | SNIPS | Σw·r / Σw | biased by O(1/n), far less noisy; Swaminathan and Joachims, NIPS 2015, equation 8 |
/// | DR | mean of q̄ + w·(r − q) | unbiased if propensities *or* model are right; Dudík, Langford and Li, ICML 2011, arXiv:1103.4601, equation 1 |
///
/// with w = target ÷ propensity. The standard errors are those of independent answers, SNIPS by the delta method; for
/// answers of returning users push each user's averages. They are normal in the limit only: look at
/// [`OffPolicy::effective`] before believing one.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct OffPolicy {
    /// value: w·r, denominator: w
    weighed: UnitMoments,
    /// value: the terms of DR
    robust: UnitMoments,
    squares: f64,
    largest: f64,
}

impl OffPolicy {
    /// One answer.
    pub fn push(&mut self, answer: &Logged) -> Result<(), Unweighable> {
        let Logged { reward, propensity, target, predicted, baseline } = *answer;
        if !(propensity > 0.0 && propensity <= 1.0 && (0.0..=1.0).contains(&target)) {
            return Err(Unweighable { propensity, target });
        }
        let w = target / propensity;
        self.weighed.add(&UnitTotals { value: w * reward, denominator: w, covariate: 0.0 });
        self.robust.add(&UnitTotals { value: baseline + w * (reward - predicted), ..UnitTotals::default() });
        self.squares += w * w;
        self.largest = self.largest.max(w);
        Ok(())
    }

    /// Adds what `other`, with other answers, has seen.
    pub fn merge(&mut self, other: &Self) {
        self.weighed.merge(&other.weighed);
        self.robust.merge(&other.robust);
        self.squares += other.squares;
        self.largest = self.largest.max(other.largest);
    }

    /// Inverse propensity scoring.
    pub fn ips(&self) -> Result<Effect, NoEffect> {
        self.weighed.mean_effect()
    }

    /// Self-normalised inverse propensity scoring.
    pub fn snips(&self) -> Result<Effect, NoEffect> {
        self.weighed.ratio_effect()
    }

    /// Doubly robust.
    pub fn doubly_robust(&self) -> Result<Effect, NoEffect> {
        self.robust.mean_effect()
    }

    /// How many answers under the target policy itself would be worth as much: (Σw)²/Σw² (Kish 1965).
    pub fn effective(&self) -> f64 {
        let sum = self.weighed.means().denominator * self.weighed.units() as f64;
        if self.squares > 0.0 { sum * sum / self.squares } else { 0.0 }
    }

    /// The largest weight: a few large ones make every estimate doubtful.
    pub fn largest_weight(&self) -> f64 {
        self.largest
    }
}

#[cfg(test)]
mod tests;

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

/// Off-policy estimates, all at once, in 260 bytes. Accumulators of other units merge exactly.
///
/// | estimate | formula | |
/// |---|---|---|
/// | IPS | mean of w·r | unbiased; Horvitz and Thompson 1952 |
/// | SNIPS | Σw·r / Σw | biased by O(1/n), far less noisy; Swaminathan and Joachims, NIPS 2015 |
/// | DR | mean of q̄ + w·(r − q) | unbiased if propensities *or* model are right; Dudík, Langford and Li, ICML 2011, arXiv:1103.4601 |
///
/// with w = target ÷ propensity. Means are over answers; the standard errors are those of independent units, each with all
/// of its answers, by the delta method (Liang and Zeger, Biometrika 1986). They are normal in the limit only: look at
/// [`OffPolicy::effective`] before believing one.
///
/// Where some of the actions that were chosen from are left out of the evaluation, the answers that got one of them are left
/// out as well, and of the others the propensity is the one *given that they got an action that is left*: the logged one over
/// the sum of the logged ones of all that are left. With the logged one itself every weight would be too large by that factor.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct OffPolicy {
    /// Of units. value: Σw·r, denominator: Σw
    weighed: UnitMoments,
    /// value: Σw·r, denominator: answers
    plain: UnitMoments,
    /// value: the sum of the terms of DR, denominator: answers
    robust: UnitMoments,
    squares: f64,
    largest: f64,
}

impl OffPolicy {
    /// One answer of a unit that has no other.
    ///
    /// # Errors
    /// [`Unweighable`]; nothing was counted then.
    pub fn push(&mut self, answer: &Logged) -> Result<(), Unweighable> {
        self.push_unit(std::slice::from_ref(answer))
    }

    /// All answers of one unit; nothing happens where there are none.
    ///
    /// # Errors
    /// [`Unweighable`]; nothing of the unit was counted then.
    pub fn push_unit(&mut self, answers: &[Logged]) -> Result<(), Unweighable> {
        let (mut weighed, mut robust) = (UnitTotals::default(), UnitTotals::default());
        let (mut squares, mut largest) = (0.0, self.largest);
        for Logged { reward, propensity, target, predicted, baseline } in answers.iter().copied() {
            if !(propensity > 0.0 && propensity <= 1.0 && (0.0..=1.0).contains(&target)) {
                return Err(Unweighable { propensity, target });
            }
            let w = target / propensity;
            weighed.value += w * reward;
            weighed.denominator += w;
            robust.value += baseline + w * (reward - predicted);
            robust.denominator += 1.0;
            squares += w * w;
            largest = largest.max(w);
        }
        if answers.is_empty() {
            return Ok(());
        }
        self.weighed.add(&weighed);
        self.plain.add(&UnitTotals { denominator: robust.denominator, ..weighed });
        self.robust.add(&robust);
        self.squares += squares;
        self.largest = largest;
        Ok(())
    }

    /// Adds what `other`, with other answers, has seen.
    pub fn merge(&mut self, other: &Self) {
        self.weighed.merge(&other.weighed);
        self.plain.merge(&other.plain);
        self.robust.merge(&other.robust);
        self.squares += other.squares;
        self.largest = self.largest.max(other.largest);
    }

    /// Inverse propensity scoring.
    pub fn ips(&self) -> Result<Effect, NoEffect> {
        self.plain.ratio_effect()
    }

    /// Self-normalised inverse propensity scoring.
    pub fn snips(&self) -> Result<Effect, NoEffect> {
        self.weighed.ratio_effect()
    }

    /// Doubly robust.
    pub fn doubly_robust(&self) -> Result<Effect, NoEffect> {
        self.robust.ratio_effect()
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

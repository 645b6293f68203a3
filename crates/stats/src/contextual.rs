//! Contextual bandits: a linear model of the reward that learns from one answer at a time, and probabilities for the
//! actions that its estimates call for.
//!
//! The two are apart on purpose: the model may be wrong for long, the probabilities that are logged are exact always,
//! so [`OffPolicy`](crate::offpolicy::OffPolicy) can say afterwards what another policy would have brought.
//!
//! [`RewardModel`] hashes whatever features there are; [`Grid`] has a few contexts that are known before the first answer, and
//! says how sure it is.

mod pooled;

pub use pooled::{Belief, Grid, Weighed, usual};

use serde::{Deserialize, Serialize};

/// One feature: where its weight is, as a hash of its name, and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feature {
    /// A 64-bit hash of the name.
    pub key: u64,
    /// Its value; 1 for a word or a category.
    pub value: f32,
}

impl Feature {
    /// The feature "both": what an action is worth in this context is a weight of their product.
    pub fn with(self, other: Self) -> Self {
        // Not symmetric, so that (a of b) and (b of a) differ; odd, so that no bit is lost.
        let key = (self.key.rotate_left(23) ^ other.key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { key, value: self.value * other.value }
    }
}

/// A linear regression of the reward on hashed features, by normalised adaptive gradients: Ross, Mineiro and Langford,
/// "Normalized online learning", UAI 2013, arXiv:1305.6646 (algorithm NAG), which Vowpal Wabbit uses too. Neither the
/// features' scales nor a learning rate have to be known. Memory: 12 bytes for each of `2^bits` weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardModel {
    bits: u8,
    weights: Vec<f32>,
    /// The sum of squared gradients.
    squares: Vec<f32>,
    /// The largest value seen.
    scales: Vec<f32>,
    /// Answers learnt, and the sum of their squared normalised features.
    learnt: f64,
    spread: f64,
}

/// Settings that make no model or no policy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ContextualError {
    /// Weights outside 2⁸ to 2²².
    #[error("a reward model has 2^8 to 2^22 weights, not 2^{0}")]
    Bits(u8),
    /// No action to choose from.
    #[error("there is no action to choose from")]
    NoAction,
    /// A value that is not a finite number.
    #[error("{0} is not a finite number")]
    NotFinite(&'static str),
    /// A floor that leaves nothing to decide.
    #[error("floor is {floor}; with {actions} actions it must be between 0 and {most}")]
    Floor {
        /// What was given.
        floor: f64,
        /// How many actions there are.
        actions: usize,
        /// One over their number.
        most: f64,
    },
    /// A `gamma` that is not positive.
    #[error("gamma is {0}; it must be a positive number")]
    Gamma(f64),
}

/// NAG's learning rate, as in Vowpal Wabbit.
const RATE: f64 = 0.5;

impl RewardModel {
    /// Knows nothing: every estimate is 0.
    ///
    /// # Errors
    /// [`ContextualError::Bits`].
    pub fn new(bits: u8) -> Result<Self, ContextualError> {
        if !(8..=22).contains(&bits) {
            return Err(ContextualError::Bits(bits));
        }
        let zeros = vec![0.0; 1 << bits];
        Ok(Self { bits, weights: zeros.clone(), squares: zeros.clone(), scales: zeros, learnt: 0.0, spread: 0.0 })
    }

    fn slot(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - u32::from(self.bits))) as usize
    }

    /// The reward that these features lead to expect.
    pub fn estimate(&self, features: &[Feature]) -> f64 {
        features.iter().map(|f| f64::from(self.weights[self.slot(f.key)]) * f64::from(f.value)).sum()
    }

    /// Learns what these features brought. `importance` is how many such answers this one stands for, 1 for one.
    ///
    /// # Errors
    /// [`ContextualError::NotFinite`]; nothing was learnt then.
    pub fn learn(&mut self, features: &[Feature], reward: f64, importance: f64) -> Result<(), ContextualError> {
        if !reward.is_finite() {
            return Err(ContextualError::NotFinite("the reward"));
        }
        if !(importance.is_finite() && importance >= 0.0) {
            return Err(ContextualError::NotFinite("the importance"));
        }
        if features.iter().any(|f| !f.value.is_finite()) {
            return Err(ContextualError::NotFinite("a feature"));
        }
        let used: Vec<(usize, f32)> =
            features.iter().filter(|f| f.value != 0.0).map(|f| (self.slot(f.key), f.value)).collect();
        for &(at, value) in &used {
            if value.abs() > self.scales[at] {
                // A weight learnt on a smaller scale would be too large on this one.
                self.weights[at] *= (self.scales[at] / value).powi(2);
                self.scales[at] = value.abs();
            }
            self.spread += importance * f64::from(value / self.scales[at]).powi(2);
        }
        self.learnt += importance;
        if used.is_empty() {
            return Ok(());
        }
        let error = self.estimate(features) - reward;
        let global = RATE * (self.learnt / self.spread).sqrt();
        for (at, value) in used {
            let gradient = 2.0 * importance * error * f64::from(value);
            let squares = f64::from(self.squares[at]) + gradient * gradient;
            self.squares[at] = squares as f32;
            if squares > 0.0 {
                let step = global * gradient / (f64::from(self.scales[at]) * squares.sqrt());
                self.weights[at] = (f64::from(self.weights[at]) - step) as f32;
            }
        }
        Ok(())
    }

    /// Answers learnt.
    pub fn learnt(&self) -> f64 {
        self.learnt
    }
}

/// Inverse gap weighting: SquareCB of Foster and Rakhlin, ICML 2020, arXiv:2002.04926. An action that is thought worse
/// by a gap gets 1 ÷ (K + γ·gap), the best one the rest. No draw is needed to know the probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct InverseGap {
    /// γ after the first answer; positive. Rewards are taken to be about 0 to 1: scale γ by one over their range.
    pub gamma: f64,
    /// γ grows with the answers learnt to this power; ½ is the paper's.
    pub growth: f64,
    /// The least that every action gets, 0 to 1/K.
    pub floor: f64,
}

impl Default for InverseGap {
    fn default() -> Self {
        Self { gamma: 10.0, growth: 0.5, floor: 0.01 }
    }
}

impl InverseGap {
    /// The probabilities of actions with these estimated rewards, adding up to 1, after `learnt` answers. A floor over
    /// 1/K is 1/K, so that one setting serves any number of actions.
    ///
    /// # Errors
    /// [`ContextualError`] for estimates or settings that are no policy.
    pub fn probabilities(&self, estimates: &[f64], learnt: f64) -> Result<Vec<f64>, ContextualError> {
        let k = estimates.len() as f64;
        if estimates.is_empty() {
            return Err(ContextualError::NoAction);
        }
        if estimates.iter().any(|e| !e.is_finite()) {
            return Err(ContextualError::NotFinite("an estimate"));
        }
        let gamma = self.gamma * learnt.max(1.0).powf(self.growth);
        if !(gamma.is_finite() && gamma > 0.0) {
            return Err(ContextualError::Gamma(self.gamma));
        }
        if !(0.0..=1.0).contains(&self.floor) {
            return Err(ContextualError::Floor { floor: self.floor, actions: estimates.len(), most: 1.0 / k });
        }
        let floor = self.floor.min(1.0 / k);
        let best = (0..estimates.len()).max_by(|a, b| estimates[*a].total_cmp(&estimates[*b])).unwrap_or(0);
        let mut all: Vec<f64> = estimates.iter().map(|e| 1.0 / (k + gamma * (estimates[best] - e))).collect();
        all[best] = 0.0;
        all[best] = 1.0 - all.iter().sum::<f64>();
        for p in &mut all {
            *p = floor + (1.0 - k * floor) * *p;
        }
        Ok(all)
    }
}

/// The action that a number from 0 to below 1 means: the one in whose part of the unit interval it falls.
pub fn pick(probabilities: &[f64], draw: f64) -> usize {
    let mut left = draw;
    for (i, p) in probabilities.iter().enumerate() {
        left -= p;
        if left < 0.0 {
            return i;
        }
    }
    // Rounding leaves a sliver at the end; it belongs to the last that can be chosen at all.
    probabilities.iter().rposition(|p| *p > 0.0).unwrap_or(0)
}

#[cfg(test)]
mod tests;

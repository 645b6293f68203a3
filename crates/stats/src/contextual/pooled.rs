//! What each action brings in each of a few contexts, where chance chose it with probabilities that were logged.
//!
//! A context is a place on a grid: one level of each feature. What an action brings there is believed to be an overall mean,
//! something for each feature's level, and something of the context's own, all of them normal: linear Thompson sampling
//! (Agrawal and Goyal, "Thompson Sampling for Contextual Bandits with Linear Payoffs", ICML 2013, arXiv:1209.3352), with an
//! indicator for each level and for each context as its features. So a context that was seldom seen is thought to be like
//! those beside it, and one that was seen often speaks for itself, whatever the linear part cannot say.

use super::ContextualError;
use crate::bandit::Posterior;
use serde::{Deserialize, Serialize};

/// How far a feature's level moves an action's mean, in variances of the reward: half a standard deviation.
const LEVEL: f64 = 0.25;
/// The same of what is a context's own: a quarter of one.
const OWN: f64 = 0.0625;

/// Rewards of one action in one context, weighed by one over the probability with which it was chosen: sums, 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Weighed {
    count: f64,
    reward: f64,
    squared: f64,
    /// Σw, Σw², Σw·r, Σw²·r, Σw²·r².
    sums: [f64; 5],
}

impl Weighed {
    /// One answer.
    ///
    /// # Errors
    /// [`ContextualError::NotFinite`] for a reward that is no number, or a propensity that is not in (0, 1].
    pub fn push(&mut self, reward: f64, propensity: f64) -> Result<(), ContextualError> {
        if !reward.is_finite() {
            return Err(ContextualError::NotFinite("the reward"));
        }
        if !(propensity > 0.0 && propensity <= 1.0) {
            return Err(ContextualError::NotFinite("one over the propensity"));
        }
        let w = 1.0 / propensity;
        self.count += 1.0;
        self.reward += reward;
        self.squared += reward * reward;
        for (sum, more) in self.sums.iter_mut().zip([w, w * w, w * reward, w * w * reward, w * w * reward * reward]) {
            *sum += more;
        }
        Ok(())
    }

    /// Answers.
    pub fn count(&self) -> u64 {
        self.count as u64
    }

    /// The mean reward, self-normalised (SNIPS); `None` without an answer.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sums[2] / self.sums[0])
    }

    /// Σ(r − r̄)².
    fn deviations(&self) -> f64 {
        if self.count > 0.0 { (self.squared - self.reward * self.reward / self.count).max(0.0) } else { 0.0 }
    }

    /// The variance of [`Weighed::mean`], and one answer more that varies as much as `usual`: few answers that happen to be
    /// alike are not certain.
    fn variance(&self, usual: f64) -> f64 {
        let [w, ww, wr, wwr, wwrr] = self.sums;
        let mean = wr / w;
        let spread = (wwrr - 2.0 * mean * wwr + mean * mean * ww).max(0.0);
        (spread + ww / self.count * usual) / (w * w)
    }
}

/// The contexts, counted with the last feature changing fastest, and what is known of rewards before any was seen there.
#[derive(Debug, Clone, Copy)]
pub struct Grid<'a> {
    /// Levels of each feature.
    pub levels: &'a [usize],
    /// What an action brings that nothing is known of.
    pub centre: f64,
    /// The variance of a reward; positive.
    pub spread: f64,
}

/// What is believed of an action's mean in one context; normal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    /// The mean.
    pub mean: f64,
    /// How far it may be off; positive.
    pub standard_error: f64,
}

impl Belief {
    /// For the rules of [`crate::bandit`], where more is better: `sign` is −1 where less is.
    pub fn posterior(self, sign: f64) -> Posterior {
        Posterior::Normal { mean: sign * self.mean, standard_error: self.standard_error }
    }
}

impl Grid<'_> {
    /// How many contexts there are.
    pub fn contexts(&self) -> usize {
        self.levels.iter().product()
    }

    /// The level of each feature in a context.
    fn place(&self, context: usize) -> Vec<usize> {
        let mut place = vec![0; self.levels.len()];
        let mut rest = context;
        for (at, levels) in place.iter_mut().zip(self.levels).rev() {
            (*at, rest) = (rest % levels, rest / levels);
        }
        place
    }

    /// How much what an action brings in one context says of what it brings in another, before anything was seen.
    fn prior(&self, a: &[usize], b: &[usize]) -> f64 {
        let same = a.iter().zip(b).filter(|(a, b)| a == b).count();
        let own = if same == a.len() { OWN } else { 0.0 };
        self.spread * (1.0 + LEVEL * same as f64 + own)
    }

    /// What is believed of one action in each context, from what was seen of it there: `seen` is in the order of the contexts. The linear model in its dual form: one equation a
    /// context that something was seen in, whatever the number of features.
    ///
    /// # Errors
    /// [`ContextualError::NotFinite`] where the numbers are no numbers, or `spread` is not positive.
    pub fn beliefs(&self, seen: &[Weighed]) -> Result<Vec<Belief>, ContextualError> {
        if !(self.spread > 0.0 && self.spread.is_finite() && self.centre.is_finite()) {
            return Err(ContextualError::NotFinite("what is known of the reward"));
        }
        let places: Vec<Vec<usize>> = (0..self.contexts()).map(|c| self.place(c)).collect();
        let known: Vec<usize> = (0..places.len()).filter(|c| seen.get(*c).is_some_and(|s| s.count > 0.0)).collect();
        let mut matrix: Vec<Vec<f64>> =
            known.iter().map(|a| known.iter().map(|b| self.prior(&places[*a], &places[*b])).collect()).collect();
        for (i, c) in known.iter().enumerate() {
            matrix[i][i] += seen[*c].variance(self.spread);
        }
        let root = cholesky(matrix).ok_or(ContextualError::NotFinite("a variance"))?;
        let apart: Vec<f64> = known.iter().map(|c| seen[*c].mean().unwrap_or(self.centre) - self.centre).collect();
        let apart = forward(&root, apart);
        let belief = |place: &Vec<usize>| {
            let towards = known.iter().map(|c| self.prior(place, &places[*c])).collect();
            let towards = forward(&root, towards);
            let mean: f64 = towards.iter().zip(&apart).map(|(a, b)| a * b).sum();
            let less: f64 = towards.iter().map(|a| a * a).sum();
            let variance = (self.prior(place, place) - less).max(self.spread * 1e-12);
            Belief { mean: self.centre + mean, standard_error: variance.sqrt() }
        };
        Ok(places.iter().map(belief).collect())
    }
}

/// The mean and the variance of a reward over all of `seen`, within each of them; `None` while nothing varies.
pub fn usual<'a>(seen: impl Iterator<Item = &'a Weighed> + Clone) -> Option<(f64, f64)> {
    let count: f64 = seen.clone().map(|s| s.count).sum();
    let groups = seen.clone().filter(|s| s.count > 0.0).count() as f64;
    let mean = seen.clone().map(|s| s.reward).sum::<f64>() / count;
    let variance = seen.map(Weighed::deviations).sum::<f64>() / (count - groups);
    (count > groups && variance > 0.0).then_some((mean, variance))
}

/// The lower triangular root of a symmetric matrix; `None` when it is not positive.
fn cholesky(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    for i in 0..matrix.len() {
        for j in 0..=i {
            let done: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            let left = matrix[i][j] - done;
            if i == j {
                if left.is_nan() || left <= 0.0 {
                    return None;
                }
                matrix[i][i] = left.sqrt();
            } else {
                matrix[i][j] = left / matrix[j][j];
            }
        }
    }
    Some(matrix)
}

/// Solves L·x = b.
fn forward(root: &[Vec<f64>], mut b: Vec<f64>) -> Vec<f64> {
    for i in 0..b.len() {
        let done: f64 = (0..i).map(|k| root[i][k] * b[k]).sum();
        b[i] = (b[i] - done) / root[i][i];
    }
    b
}

#[cfg(test)]
mod tests;

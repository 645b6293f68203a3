//! Predicted numbers beside true ones.

use super::interval::{Level, Measure, Method};
use crate::moments::Moments;
use crate::special::beta_cdf;
use serde::{Deserialize, Serialize};

/// The mean of what was seen, ± z standard errors.
pub fn mean(of: &Moments, level: Level) -> Option<Measure> {
    let value = of.mean()?;
    let error = of.stddev().map_or(f64::NAN, |s| s / (of.count() as f64).sqrt());
    Some(if error > 0.0 {
        let reach = level.z() * error;
        Measure::between(value, (value - reach, value + reach), Method::CentralLimit)
    } else {
        Measure::bare(value)
    })
}

/// Errors of predicted numbers: what all metrics but the median need, in a fixed size.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Regression {
    error: Moments,
    absolute: Moments,
    square: Moments,
    /// |error| / |truth|, of rows whose truth is not zero.
    relative: Moments,
    /// 2·|error| / (|truth| + |predicted|).
    symmetric: Moments,
    /// (ln(1 + truth) − ln(1 + predicted))², of rows where both are above −1.
    log: Moments,
    apart: Apart,
}

/// Central sums of the truth y, alone and with the squared error u: what the variance of R² is made of. About the mean
/// of y, which moves as parts merge.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Apart {
    n: f64,
    mean: f64,
    /// Σ(y − mean)^k for k of 2, 3, 4.
    powers: [f64; 3],
    /// Σu, Σu(y − mean), Σu(y − mean)².
    with: [f64; 3],
    /// Σu².
    squares: f64,
}

impl Apart {
    fn one(truth: f64, square: f64) -> Self {
        Self { n: 1.0, mean: truth, powers: [0.0; 3], with: [square, 0.0, 0.0], squares: square * square }
    }

    /// The same sums about a mean that is `by` higher.
    fn moved(&self, by: f64) -> Self {
        let ([two, three, four], [u, uy, uyy]) = (self.powers, self.with);
        let b2 = by * by;
        let powers = [
            two + self.n * b2,
            three - 3.0 * by * two - self.n * b2 * by,
            four - 4.0 * by * three + 6.0 * b2 * two + self.n * b2 * b2,
        ];
        let with = [u, uy - by * u, uyy - 2.0 * by * uy + b2 * u];
        Self { mean: self.mean + by, powers, with, ..*self }
    }

    fn merge(&mut self, other: &Self) {
        if other.n == 0.0 {
            return;
        }
        let by = (other.mean - self.mean) * other.n / (self.n + other.n);
        let mine = if self.n == 0.0 { Self { mean: other.mean, ..*self } } else { self.moved(by) };
        let theirs = other.moved(mine.mean - other.mean);
        for i in 0..3 {
            self.powers[i] = mine.powers[i] + theirs.powers[i];
            self.with[i] = mine.with[i] + theirs.with[i];
        }
        self.n += other.n;
        self.mean = mine.mean;
        self.squares += other.squares;
    }
}

impl Regression {
    /// Adds a row. One that is not finite is not counted: `false`.
    pub fn push(&mut self, truth: f64, predicted: f64) -> bool {
        let error = predicted - truth;
        if !error.is_finite() || !truth.is_finite() {
            return false;
        }
        self.error.push(error);
        self.absolute.push(error.abs());
        self.square.push(error * error);
        if truth != 0.0 {
            self.relative.push((error / truth).abs());
        }
        let size = truth.abs() + predicted.abs();
        self.symmetric.push(if size > 0.0 { 2.0 * error.abs() / size } else { 0.0 });
        if truth > -1.0 && predicted > -1.0 {
            self.log.push((predicted.ln_1p() - truth.ln_1p()).powi(2));
        }
        self.apart.merge(&Apart::one(truth, error * error));
        true
    }

    /// Adds what `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        self.error.merge(&other.error);
        self.absolute.merge(&other.absolute);
        self.square.merge(&other.square);
        self.relative.merge(&other.relative);
        self.symmetric.merge(&other.symmetric);
        self.log.merge(&other.log);
        self.apart.merge(&other.apart);
    }

    /// Rows seen.
    pub fn count(&self) -> u64 {
        self.error.count()
    }

    /// Mean of predicted − true: above zero, too much is predicted.
    pub fn bias(&self, level: Level) -> Option<Measure> {
        mean(&self.error, level)
    }

    /// Mean absolute error.
    pub fn mae(&self, level: Level) -> Option<Measure> {
        mean(&self.absolute, level).map(|m| m.at_least(0.0))
    }

    /// Mean squared error.
    pub fn mse(&self, level: Level) -> Option<Measure> {
        mean(&self.square, level).map(|m| m.at_least(0.0))
    }

    /// Its root, with the roots of its ends.
    pub fn rmse(&self, level: Level) -> Option<Measure> {
        self.mse(level).map(|m| m.map(f64::sqrt))
    }

    /// The root of the mean square of the difference of ln(1 + x). `None` where a row is at or below −1.
    pub fn rmsle(&self, level: Level) -> Option<Measure> {
        if self.log.count() < self.count() {
            return None;
        }
        mean(&self.log, level).map(|m| m.at_least(0.0).map(f64::sqrt))
    }

    /// Mean of |error| / |truth|, over the rows whose truth is not zero.
    pub fn mape(&self, level: Level) -> Option<Measure> {
        mean(&self.relative, level).map(|m| m.at_least(0.0))
    }

    /// Rows that [`Self::mape`] leaves out.
    pub fn zeros(&self) -> u64 {
        self.count() - self.relative.count()
    }

    /// Mean of 2·|error| / (|truth| + |predicted|), 0 to 2.
    pub fn smape(&self, level: Level) -> Option<Measure> {
        mean(&self.symmetric, level).map(|m| m.at_least(0.0))
    }

    /// The share of the variance that is explained. `None` where what is true does not vary.
    pub fn r2(&self, level: Level) -> Option<Measure> {
        let Apart { n, powers: [spread, _, fourth], with: [left, _, both], squares, .. } = self.apart;
        if n < 2.0 || spread <= 0.0 {
            return None;
        }
        let rest = left / spread;
        let value = 1.0 - rest;
        // A row moves R² by −(u − rest (y − mean)²) / variance.
        let moved = (squares - 2.0 * rest * both + rest * rest * fourth).max(0.0);
        let error = moved.sqrt() / spread;
        if error <= 0.0 {
            return Some(Measure::bare(value));
        }
        let reach = level.z() * error;
        Some(Measure::between(value, (value - reach, (value + reach).min(1.0)), Method::Delta))
    }
}

/// The median of absolute errors, between two of them. Sorts the column; `None` of an empty one.
pub fn median_absolute_error(errors: &mut [f64], level: Level) -> Option<Measure> {
    for error in errors.iter_mut() {
        *error = error.abs();
    }
    errors.sort_unstable_by(f64::total_cmp);
    let n = errors.len();
    if n == 0 {
        return None;
    }
    let value = f64::midpoint(errors[(n - 1) / 2], errors[n / 2]);
    let Some(outside) = outside(n as u64, level.alpha() / 2.0) else { return Some(Measure::bare(value)) };
    let ends = (errors[outside as usize], errors[n - 1 - outside as usize]);
    Some(Measure::between(value, ends, Method::OrderStatistics))
}

/// How many values of `n` may be left out on either side, so that the median is outside with at most `tail`: the
/// greatest k with P(Binomial(n, ½) ≤ k) ≤ tail. `None` where even the least value is not sure to be below it.
fn outside(n: u64, tail: f64) -> Option<u64> {
    let at_most = |k: u64| beta_cdf(0.5, (n - k) as f64, k as f64 + 1.0);
    if at_most(0) > tail {
        return None;
    }
    let (mut low, mut high) = (0, n / 2);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if at_most(middle) <= tail { low = middle } else { high = middle - 1 }
    }
    Some(low)
}

//! Count, mean and variance in one pass.

use serde::{Deserialize, Serialize};

/// Running count, mean and sum of squared deviations.
///
/// Updated after Welford (1962), merged after Chan, Golub and LeVeque (1983), so that neither
/// cancels catastrophically.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    count: u64,
    mean: f64,
    m2: f64,
}

impl Moments {
    /// Adds one finite number.
    #[inline]
    pub fn push(&mut self, value: f64) {
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.m2 += delta * (value - self.mean);
    }

    /// Adds many finite numbers: two passes over the slice, then one merge. Faster than pushing
    /// each, since no step waits for a division.
    pub fn extend(&mut self, values: &[f64]) {
        if values.is_empty() {
            return;
        }
        let mean = sum(values, |v| v) / values.len() as f64;
        let m2 = sum(values, |v| (v - mean) * (v - mean));
        self.merge(&Self { count: values.len() as u64, mean, m2 });
    }

    /// Adds everything that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (n, m) = (self.count as f64, other.count as f64);
        let total = n + m;
        let delta = other.mean - self.mean;
        self.mean += delta * (m / total);
        self.m2 += other.m2 + delta * delta * (n * m / total);
        self.count += other.count;
    }

    /// Numbers seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Arithmetic mean; `None` when nothing was seen.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// Unbiased variance (divided by n − 1); `None` under two numbers.
    pub fn variance(&self) -> Option<f64> {
        (self.count > 1).then(|| self.m2.max(0.0) / (self.count - 1) as f64)
    }

    /// Square root of [`Moments::variance`].
    pub fn stddev(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }
}

/// The sum of `f` over `values`, in eight parts side by side: one after the other, each addition would
/// wait for the one before.
fn sum(values: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let mut parts = [0.0; 8];
    let (eights, rest) = values.as_chunks::<8>();
    for eight in eights {
        for (part, v) in parts.iter_mut().zip(eight) {
            *part += f(*v);
        }
    }
    parts.iter().sum::<f64>() + rest.iter().map(|v| f(*v)).sum::<f64>()
}

#[cfg(test)]
mod tests;

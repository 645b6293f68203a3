//! Whether an estimate is near enough to normal for an asymptotic test.

use super::{Effect, UnitTotals};

/// How skewed an estimate may be; see [`Skewness::allows`].
const MOST: f64 = 0.3;

/// The skewness of what units bring: of all variants together, since one that has few units has not seen its own tail.
///
/// Where a few units make up most of a metric, such as revenue, a variant with a small share first looks worse and far more
/// certain than it is: its mean lacks the large values, and so does its variance. A number of units as the burn-in does not
/// catch that, since how many it takes depends on the tail. Memory: ten numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Skewness {
    n: u64,
    /// The first unit's value and denominator: what is summed is the distance from them, which rounds less.
    origin: [f64; 2],
    /// v, d; vv, vd, dd; vvv, vvd, vdd, ddd.
    sums: [f64; 9],
}

impl Skewness {
    /// A unit that was not seen before. Its totals must be finite.
    pub fn add(&mut self, unit: &UnitTotals) {
        if self.n == 0 {
            *self = Self { origin: [unit.value, unit.denominator], ..Self::default() };
        }
        self.n += 1;
        self.count(unit, 1.0);
    }

    /// Takes a unit out that was added with these totals. Nothing happens when there is none.
    pub fn remove(&mut self, unit: &UnitTotals) {
        if let Some(left) = self.n.checked_sub(1) {
            self.n = left;
            self.count(unit, -1.0);
        }
    }

    fn count(&mut self, unit: &UnitTotals, sign: f64) {
        let (v, d) = (unit.value - self.origin[0], unit.denominator - self.origin[1]);
        let terms = [v, d, v * v, v * d, d * d, v * v * v, v * v * d, v * d * d, d * d * d];
        self.sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += sign * term);
    }

    /// The skewness of the units' values; of a ratio, of what each is above what its denominator lets expect. 0 where nothing
    /// varies.
    pub fn value(&self) -> f64 {
        let n = self.n as f64;
        let [v, d, vv, vd, dd, vvv, vvd, vdd, ddd] = self.sums.map(|sum| sum / n);
        let (value, denominator) = (v + self.origin[0], d + self.origin[1]);
        let r = if denominator == 0.0 { 0.0 } else { value / denominator };
        let first = v - r * d;
        let second = vv - 2.0 * r * vd + r * r * dd;
        let third = vvv - 3.0 * r * vvd + 3.0 * r * r * vdd - r * r * r * ddd;
        let variance = second - first * first;
        let skewness = (third - 3.0 * first * second + 2.0 * first.powi(3)) / variance.powf(1.5);
        // A variance that is nothing but rounding makes it anything.
        if variance > 1e-12 * second && skewness.is_finite() { skewness } else { 0.0 }
    }

    /// Whether a difference between two variants, of which `units` were seen, is near enough to normal.
    ///
    /// Cumulants of independent units add up, so that the difference of two means over n and m of them has the skewness
    /// s·|1/n − 1/m| ∕ √(1/n + 1/m), which is 0 for an even split, and the first term by which its distribution differs from the
    /// normal one is a sixth of it (Hall, "The Bootstrap and Edgeworth Expansion", 1992, §2.3). With [`Effect::units`], which is
    /// 4 ∕ (1/n + 1/m), it is 2·s·|n − m| ∕ ((n + m)·√units). It may be 0.3 at most, where simulated rollouts keep their error
    /// rates (`examples/error_rates.rs`).
    pub fn allows(&self, effect: &Effect, units: [u64; 2]) -> bool {
        let [n, m] = units.map(|n| n as f64);
        let uneven = (n - m).abs() / (n + m).max(1.0);
        2.0 * self.value().abs() * uneven <= MOST * effect.units.sqrt()
    }
}

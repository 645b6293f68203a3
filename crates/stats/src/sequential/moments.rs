//! Sums over units of assignment: what every test of a mean reads.

use serde::{Deserialize, Serialize};

/// What one unit (a user, a session) has brought so far.
///
/// The unit of analysis is the unit of assignment, never the request: requests of one user are alike, and taken
/// as independent they would make every interval too narrow.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct UnitTotals {
    /// The metric's total; the numerator of a ratio.
    pub value: f64,
    /// The denominator of a ratio, such as the unit's requests; unused for a mean over units.
    pub denominator: f64,
    /// Something known about the unit before it was assigned, for CUPED; 0 when there is nothing.
    pub covariate: f64,
}

/// Count, means and comoments of (value, denominator, covariate) over units: 80 bytes, whatever was seen.
///
/// A unit that comes back is [`UnitMoments::replace`]d: the caller keeps the totals of each unit, which makes the
/// variance cluster-robust by construction. Accumulators of disjoint units merge exactly.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct UnitMoments {
    n: u64,
    mean: [f64; 3],
    /// Sums of products of deviations: vv, vd, vc, dd, dc, cc.
    co: [f64; 6],
}

/// The pairs of [`UnitMoments::co`].
const PAIRS: [(usize, usize); 6] = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)];

impl UnitMoments {
    /// A unit that was not seen before. Its totals must be finite.
    pub fn add(&mut self, unit: &UnitTotals) {
        let v = [unit.value, unit.denominator, unit.covariate];
        self.n += 1;
        let n = self.n as f64;
        let delta: [f64; 3] = std::array::from_fn(|i| v[i] - self.mean[i]);
        for (mean, delta) in self.mean.iter_mut().zip(delta) {
            *mean += delta / n;
        }
        for (co, (i, j)) in self.co.iter_mut().zip(PAIRS) {
            *co += delta[i] * delta[j] * ((n - 1.0) / n);
        }
    }

    /// Takes a unit out that was added with exactly these totals: it switched variants, or turned out to be
    /// no customer. Nothing happens when there is none.
    pub fn remove(&mut self, unit: &UnitTotals) {
        if self.n <= 1 {
            *self = Self::default();
            return;
        }
        let v = [unit.value, unit.denominator, unit.covariate];
        let n = self.n as f64;
        self.n -= 1;
        let delta: [f64; 3] = std::array::from_fn(|i| v[i] - self.mean[i]);
        for (mean, delta) in self.mean.iter_mut().zip(delta) {
            *mean -= delta / (n - 1.0);
        }
        for (co, (i, j)) in self.co.iter_mut().zip(PAIRS) {
            *co -= delta[i] * delta[j] * (n / (n - 1.0));
        }
        for diagonal in [0, 3, 5] {
            self.co[diagonal] = self.co[diagonal].max(0.0);
        }
    }

    /// A unit came back: its totals were `old` and are now `new`.
    pub fn replace(&mut self, old: &UnitTotals, new: &UnitTotals) {
        self.remove(old);
        self.add(new);
    }

    /// Adds everything that `other` has seen; its units must be others.
    pub fn merge(&mut self, other: &Self) {
        if other.n == 0 {
            return;
        }
        if self.n == 0 {
            *self = *other;
            return;
        }
        let (n, m) = (self.n as f64, other.n as f64);
        let delta: [f64; 3] = std::array::from_fn(|i| other.mean[i] - self.mean[i]);
        for ((co, theirs), (i, j)) in self.co.iter_mut().zip(other.co).zip(PAIRS) {
            *co += theirs + delta[i] * delta[j] * (n * m / (n + m));
        }
        for (mean, delta) in self.mean.iter_mut().zip(delta) {
            *mean += delta * (m / (n + m));
        }
        self.n += other.n;
    }

    /// Units seen.
    pub fn units(&self) -> u64 {
        self.n
    }

    /// Means of value, denominator and covariate; zero when nothing was seen.
    pub fn means(&self) -> UnitTotals {
        let [value, denominator, covariate] = self.mean;
        UnitTotals { value, denominator, covariate }
    }

    /// Unbiased (co)variance; 0 under two units. 0 is value, 1 denominator, 2 covariate.
    pub(crate) fn covariance(&self, a: usize, b: usize) -> f64 {
        let pair = (a.min(b), a.max(b));
        let at = PAIRS.iter().position(|p| *p == pair).unwrap_or_default();
        if self.n < 2 { 0.0 } else { self.co[at] / (self.n - 1) as f64 }
    }
}

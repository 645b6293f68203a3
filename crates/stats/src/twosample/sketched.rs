//! The same from sketches, with the error that the sketches bring.
//!
//! The error of a rank is that of the sketch ([`crate::Kll::rank_error`], which 99 % of ranks stay within); what is
//! computed from ranks says how far it may be from the answer on all values.

use super::distance;
use crate::{Frequent, Kll, NumericProfile};

/// A number from sketches.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// How far the number of all values may be from it.
    pub error: f64,
}

/// Both have values.
fn both(reference: &Kll, current: &Kll) -> Option<f64> {
    (reference.count() > 0 && current.count() > 0).then(|| reference.rank_error() + current.rank_error())
}

/// The values at which either sketch steps, with the two shares at or below each.
fn steps(reference: &Kll, current: &Kll) -> Vec<(f64, f64, f64)> {
    let (a, b) = (reference.view(), current.view());
    let mut merged: Vec<(f64, f64, f64)> = Vec::with_capacity(2 * (reference.retained() + current.retained()));
    let (mut left, mut right) = (a.steps().peekable(), b.steps().peekable());
    let (mut f, mut g) = (0.0, 0.0);
    loop {
        let value = match (left.peek(), right.peek()) {
            (Some(x), Some(y)) => x.0.min(y.0),
            (Some(x), None) => x.0,
            (None, Some(y)) => y.0,
            (None, None) => return merged,
        };
        while let Some(step) = left.next_if(|s| s.0 <= value) {
            f = step.1;
        }
        while let Some(step) = right.next_if(|s| s.0 <= value) {
            g = step.1;
        }
        merged.push((value, f, g));
    }
}

/// The greatest difference of the distribution functions. Its error is the sum of both sketches' rank errors.
pub fn kolmogorov_smirnov(reference: &Kll, current: &Kll) -> Option<Estimate> {
    let error = both(reference, current)?;
    let value = steps(reference, current).iter().map(|(_, f, g)| (f - g).abs()).fold(0.0, f64::max);
    Some(Estimate { value, error })
}

/// The first Wasserstein distance, in the column's unit. Its error is both rank errors over the range of the values:
/// wide where the tails are long.
pub fn wasserstein(reference: &Kll, current: &Kll) -> Option<Estimate> {
    let error = both(reference, current)?;
    let steps = steps(reference, current);
    let value = steps.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[0].1 - pair[0].2).abs()).sum();
    let range = reference.max()?.max(current.max()?) - reference.min()?.min(current.min()?);
    Some(Estimate { value, error: error * range })
}

/// Wasserstein's distance over the reference's standard deviation (divided by n), at least 0.001: Evidently's.
pub fn wasserstein_normed(reference: &NumericProfile, current: &NumericProfile) -> Option<Estimate> {
    let plain = wasserstein(&reference.quantiles, &current.quantiles)?;
    let n = reference.moments.count() as f64;
    let norm = reference.moments.variance().map_or(0.0, |v| v * (n - 1.0) / n).sqrt().max(0.001);
    Some(Estimate { value: plain.value / norm, error: plain.error / norm })
}

/// Inner edges that cut the reference into `bins` parts of about equal weight; fewer where values repeat. A value
/// belongs to the first bin whose edge is not below it.
pub fn quantile_edges(reference: &Kll, bins: usize) -> Vec<f64> {
    let view = reference.view();
    let mut edges: Vec<f64> = (1..bins)
        .filter_map(|i| view.quantile(i as f64 / bins as f64))
        .filter(|e| Some(*e) < reference.max())
        .collect();
    edges.dedup();
    edges
}

/// The share of each bin between `edges`, of what the sketch has seen. Each is wrong by at most twice its rank error.
pub fn shares(sketch: &Kll, edges: &[f64]) -> Vec<f64> {
    let view = sketch.view();
    let mut below = 0.0;
    let mut shares: Vec<f64> = edges
        .iter()
        .map(|edge| {
            let rank = view.rank(*edge).unwrap_or(0.0);
            let share = rank - below;
            below = rank;
            share
        })
        .collect();
    shares.push(1.0 - below);
    shares
}

/// Shares of the most frequent values of either stream, and of all others together, in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct Categories {
    /// The values; the others come after the last.
    pub values: Vec<String>,
    /// Shares of the reference, one more than values.
    pub reference: Vec<f64>,
    /// Shares of the current stream.
    pub current: Vec<f64>,
    /// How far a share of the reference, and of the current stream, may be from the truth.
    pub error: (f64, f64),
}

/// The categories of two streams. With fewer different values than the sketches hold, the shares are exact.
pub fn categories(reference: &Frequent, current: &Frequent) -> Option<Categories> {
    let (n, m) = (reference.count() as f64, current.count() as f64);
    if n == 0.0 || m == 0.0 {
        return None;
    }
    let (a, b) = (reference.top(usize::MAX), current.top(usize::MAX));
    let mut values: Vec<String> = a.iter().chain(&b).map(|i| i.value.clone()).collect();
    values.sort();
    values.dedup();
    let side = |items: &[crate::FrequentItem], total: f64| {
        let mut shares = vec![0.0; values.len() + 1];
        for item in items {
            if let Ok(at) = values.binary_search(&item.value) {
                shares[at] = item.count as f64 / total;
            }
        }
        let named: f64 = shares.iter().sum();
        if let Some(rest) = shares.last_mut() {
            *rest = (1.0 - named).max(0.0);
        }
        let error = items.iter().map(|i| (i.at_most - i.at_least) as f64 / total).fold(0.0, f64::max);
        (shares, error)
    };
    let ((reference, error_a), (current, error_b)) = (side(&a, n), side(&b, m));
    Some(Categories { values, reference, current, error: (error_a, error_b) })
}

impl Categories {
    /// The greatest difference of a share. Its error is that of both shares.
    pub fn l_infinity(&self) -> Estimate {
        let value = distance::l_infinity(&self.reference, &self.current);
        Estimate { value, error: self.error.0 + self.error.1 }
    }

    /// Total variation. Its error is half of the errors of all shares.
    pub fn total_variation(&self) -> Estimate {
        let value = distance::total_variation(&self.reference, &self.current);
        let bins = self.reference.len() as f64;
        Estimate { value, error: (bins * (self.error.0 + self.error.1) / 2.0).min(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Sample, kolmogorov_smirnov_distance, wasserstein as exact_wasserstein};
    use super::*;
    use proptest::prelude::*;

    fn pair(seed: u64, n: usize, shift: f64) -> (Vec<f64>, Vec<f64>) {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let u = (state >> 11) as f64 / (1_u64 << 53) as f64;
            -(1.0 - u).ln()
        };
        let a = (0..n).map(|_| next()).collect();
        (a, (0..n / 2).map(|_| next() + shift).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// The bound on a rank holds for 99 % of ranks, and these are some hundred at once: three times it is never
        /// passed.
        #[test]
        fn sketches_stay_within_their_error(seed: u64, n in 2_000_usize..60_000, shift in 0.0..0.5) {
            let (a, b) = pair(seed, n, shift);
            let (mut x, mut y) = (Kll::default(), Kll::default());
            x.extend(&a);
            y.extend(&b);
            let (a, b) = (Sample::new(a), Sample::new(b));
            let ks = kolmogorov_smirnov(&x, &y).unwrap();
            prop_assert!((ks.value - kolmogorov_smirnov_distance(&a, &b).unwrap()).abs() <= 3.0 * ks.error);
            let w = wasserstein(&x, &y).unwrap();
            prop_assert!((w.value - exact_wasserstein(&a, &b).unwrap()).abs() <= w.error);
            let edges = quantile_edges(&x, 10);
            let shares = shares(&x, &edges);
            prop_assert!(shares.len() == 10 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!(shares.iter().all(|s| (s - 0.1).abs() < 2.0 * x.rank_error()), "{shares:?}");
        }
    }

    #[test]
    fn few_values_and_few_categories_are_exact() {
        let (a, b) = pair(7, 60, 0.3);
        let (mut x, mut y) = (Kll::default(), Kll::default());
        x.extend(&a);
        y.extend(&b);
        let ks = kolmogorov_smirnov(&x, &y).unwrap().value;
        let truth = kolmogorov_smirnov_distance(&Sample::new(a), &Sample::new(b)).unwrap();
        assert!((ks - truth).abs() < 1e-12);
        let (mut p, mut q) = (Frequent::default(), Frequent::default());
        p.push("a", 6);
        p.push("b", 2);
        q.push("a", 1);
        q.push("c", 3);
        let both = categories(&p, &q).unwrap();
        assert_eq!(both.values, ["a", "b", "c"]);
        assert_eq!(both.reference, [0.75, 0.25, 0.0, 0.0]);
        assert_eq!(both.l_infinity(), Estimate { value: 0.75, error: 0.0 });
        assert_eq!(both.total_variation().value, 0.75);
        assert!(categories(&p, &Frequent::default()).is_none() && kolmogorov_smirnov(&x, &Kll::default()).is_none());
    }

    /// One value that makes up most of the column takes several quantiles: they are one edge.
    #[test]
    fn repeated_values_make_fewer_bins() {
        let mut sketch = Kll::default();
        sketch.extend(&[0.0; 900]);
        sketch.extend(&(0..100).map(f64::from).collect::<Vec<_>>());
        let edges = quantile_edges(&sketch, 10);
        assert_eq!(edges, [0.0]);
        assert!((shares(&sketch, &edges)[0] - 0.901).abs() < 0.03);
    }
}

//! The same from sketches, with the error that the sketches bring.
//!
//! The error of a rank is that of the sketch ([`crate::Kll::rank_error`], which 99 % of ranks stay within); what is
//! computed from ranks says how far it may be from the answer on all values. Counts of frequent values have bounds that
//! are never passed ([`crate::Frequent::error`]); what is computed from them is the nearest to no difference that they
//! allow, or says how far it may be off.

use crate::{Frequent, Kll, NumericProfile};
use std::collections::HashMap;

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

/// How many times the greater error of both sketches, as a share, a value must surely have to be told apart: with less,
/// its bounds say little, and make those of the others wider.
const CLEAR: f64 = 2.0;
/// Rows that a value must surely have to be told apart where a sketch has an error: of what came once or twice, shares
/// differ by chance alone.
const FEWEST: u64 = 5;

/// How often something came. The truth is within, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Not less often.
    pub at_least: u64,
    /// Not more often.
    pub at_most: u64,
}

/// How often the categories came in one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Of each category.
    pub bounds: Vec<Bounds>,
    /// Of all together.
    pub total: u64,
}

impl Counted {
    fn new(sketch: &Frequent, values: &[String]) -> Self {
        let known: HashMap<String, u64> =
            sketch.top(usize::MAX).into_iter().map(|item| (item.value, item.at_least)).collect();
        let (total, error) = (sketch.count(), sketch.error());
        // Rows that the lower bounds leave open: no value can have more of them than there are.
        let open = known.values().fold(total, |rows, n| rows.saturating_sub(*n));
        let mut bounds: Vec<Bounds> = values
            .iter()
            .map(|value| known.get(value).copied().unwrap_or(0))
            .map(|at_least| Bounds { at_least, at_most: at_least + error.min(open) })
            .collect();
        let others = bounds.iter().fold(total, |rows, b| rows.saturating_sub(b.at_least));
        let named = error.saturating_mul(bounds.len() as u64).min(open);
        bounds.push(Bounds { at_least: others.saturating_sub(named), at_most: others });
        Self { bounds, total }
    }

    /// Bounds as shares, the lower one first.
    fn shares(&self) -> impl Iterator<Item = (f64, f64)> {
        let total = self.total as f64;
        self.bounds.iter().map(move |b| (b.at_least as f64 / total, b.at_most as f64 / total))
    }
}

/// The values that both sketches can tell apart, and all others together as one more category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories {
    /// The values told apart; the others come after the last.
    pub values: Vec<String>,
    /// Of the reference.
    pub reference: Counted,
    /// Of the current stream.
    pub current: Counted,
}

/// The values that surely came so often that an error of this share is small beside it; all where there is none.
fn clear(sketch: &Frequent, error: f64) -> impl Iterator<Item = String> {
    let least = if error > 0.0 { (CLEAR * error * sketch.count() as f64).max(FEWEST as f64) } else { 0.0 };
    sketch.top(usize::MAX).into_iter().filter(move |item| item.at_least as f64 >= least).map(|item| item.value)
}

/// The categories of two streams; `None` where one is empty. With fewer different values than the sketches hold, all
/// are told apart and counted exactly. With more, it is those that surely came, on one side at least, so often that the
/// sketches' errors are small beside it; they may be none.
pub fn categories(reference: &Frequent, current: &Frequent) -> Option<Categories> {
    let sides = [reference, current];
    if sides.iter().any(|side| side.count() == 0) {
        return None;
    }
    let error = sides.iter().map(|side| side.error() as f64 / side.count() as f64).fold(0.0, f64::max);
    let mut values: Vec<String> = sides.into_iter().flat_map(|side| clear(side, error)).collect();
    values.sort();
    values.dedup();
    let [reference, current] = sides.map(|side| Counted::new(side, &values));
    Some(Categories { values, reference, current })
}

impl Categories {
    /// The counts of the reference and of the current stream, where the sketches know them.
    pub fn exact(&self) -> Option<[Vec<u64>; 2]> {
        let sides = [&self.reference, &self.current];
        let known = |side: &Counted| side.bounds.iter().all(|b| b.at_least == b.at_most);
        sides.into_iter().all(known).then(|| sides.map(|side| side.bounds.iter().map(|b| b.at_least).collect()))
    }

    /// Shares of each category that are nearest to each other within the bounds: of the reference, and now. They need
    /// not add up to one. A term of a distance that is zero where they are equal, and greater the further they are
    /// apart, is least here, so that the sum is no more than that of any counts within the bounds.
    fn nearest(&self) -> impl Iterator<Item = (f64, f64)> {
        self.reference.shares().zip(self.current.shares()).map(|(was, now)| match () {
            () if was.1 < now.0 => (was.1, now.0),
            () if now.1 < was.0 => (was.0, now.1),
            () => (was.0.max(now.0), was.0.max(now.0)),
        })
    }

    /// The least that Jensen and Shannon's distance in nats can be ([`super::distance::jensen_shannon`]), of any counts
    /// within the bounds. So it is no more than that of all values: what is told together is not further apart than its
    /// parts.
    pub fn least_jensen_shannon(&self) -> f64 {
        let entropy = |p: f64, middle: f64| if p > 0.0 { p * (p / middle).ln() } else { 0.0 };
        let term = |(p, q)| entropy(p, f64::midpoint(p, q)) + entropy(q, f64::midpoint(p, q));
        (self.nearest().map(term).sum::<f64>().max(0.0) / 2.0).sqrt()
    }

    /// Probability of a change of one value's share at least as great, had both streams one distribution: of the value
    /// that changed most, and the greatest of any counts within the bounds.
    ///
    /// Of the rows with a value, so many are the reference's as a hypergeometric distribution says, the tails of which
    /// are within Chernoff's bound (Hoeffding 1963, section 6). Values share the level by how often they came in both
    /// streams together, which says nothing of how they are dealt out to the two: so it holds however many values there
    /// are, and whichever of them are told apart.
    pub fn greatest_p_value(&self) -> f64 {
        let (n, m) = (self.reference.total as f64, self.current.total as f64);
        let entropy = |rows: f64, expected: f64| if rows > 0.0 { rows * (rows / expected).ln() } else { 0.0 };
        let sides = self.reference.bounds.iter().zip(&self.current.bounds);
        let rows = sides.map(|(was, now)| was.at_least.saturating_add(now.at_least));
        // Without the others: what they are depends on the values told apart.
        let named = self.nearest().zip(rows).take(self.values.len());
        named.fold(1.0, |greatest: f64, ((p, q), rows)| {
            let expected = (p * n + q * m) / (n + m);
            let apart = entropy(p * n, expected * n) + entropy(q * m, expected * m);
            greatest.min(2.0 * (-apart).exp() * (n + m) / rows as f64)
        })
    }

    /// The greatest difference of a share.
    pub fn l_infinity(&self) -> Estimate {
        let (values, errors): (Vec<f64>, Vec<f64>) = self.apart().unzip();
        Estimate { value: values.into_iter().fold(0.0, f64::max), error: errors.into_iter().fold(0.0, f64::max) }
    }

    /// Total variation of the categories told apart.
    pub fn total_variation(&self) -> Estimate {
        let (value, error) = self.apart().fold((0.0, 0.0), |sum, (value, error)| (sum.0 + value, sum.1 + error));
        Estimate { value: value / 2.0, error: (error / 2.0).min(1.0) }
    }

    /// How far the middles of each category's bounds are apart, and how far the truth may be from that.
    fn apart(&self) -> impl Iterator<Item = (f64, f64)> {
        self.reference.shares().zip(self.current.shares()).map(|(was, now)| {
            let value = f64::midpoint(was.0, was.1) - f64::midpoint(now.0, now.1);
            (value.abs(), f64::midpoint(was.1 - was.0, now.1 - now.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::distance::{self, jensen_shannon};
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

        /// The truth is within the bounds, no distance is more than that of all values, and no p-value less than that
        /// of the true counts.
        #[test]
        fn categories_say_no_more_than_all_values(
            seed: u64, most in 60.0..1_500.0, n in 300_usize..9_000, shift in 0.0..2.0
        ) {
            // Exponential numbers by their whole part: few are frequent, many are rare.
            let (a, b) = pair(seed, n, 0.0);
            let whole = |values: &[f64], scale: f64| values.iter().map(|v| (v * scale) as usize).collect::<Vec<_>>();
            let (a, b) = (whole(&a, most / 6.0), whole(&b, (1.0 + shift) * most / 6.0));
            let all = 1 + a.iter().chain(&b).max().copied().unwrap_or(0);
            let count = |values: &[usize]| {
                values.iter().fold(vec![0; all], |mut counts, v| { counts[*v] += 1; counts })
            };
            let sketch = |values: &[usize]| {
                values.iter().fold(Frequent::default(), |mut sketch, v| { sketch.push(&v.to_string(), 1); sketch })
            };
            let both = categories(&sketch(&a), &sketch(&b)).unwrap();
            let truth = |values: &[usize]| {
                let counts: Vec<u64> = count(values);
                let mut told: Vec<u64> = both.values.iter().map(|v| counts[v.parse::<usize>().unwrap()]).collect();
                told.push(values.len() as u64 - told.iter().sum::<u64>());
                (counts, told)
            };
            let ((a, told_a), (b, told_b)) = (truth(&a), truth(&b));
            for (side, told) in [(&both.reference, &told_a), (&both.current, &told_b)] {
                let within = side.bounds.iter().zip(told).all(|(b, n)| b.at_least <= *n && *n <= b.at_most);
                prop_assert!(within && side.bounds.len() == told.len(), "{side:?} {told:?}");
            }
            let js = jensen_shannon(&distance::shares(&a, a.iter().sum()), &distance::shares(&b, b.iter().sum()));
            prop_assert!(both.least_jensen_shannon() <= js + 1e-12);
            let known = |told: Vec<u64>| Counted {
                total: told.iter().sum(),
                bounds: told.into_iter().map(|n| Bounds { at_least: n, at_most: n }).collect(),
            };
            let exact = Categories { reference: known(told_a), current: known(told_b), values: both.values.clone() };
            prop_assert!(both.greatest_p_value() >= exact.greatest_p_value() * (1.0 - 1e-9));
            let (l, tv) = (both.l_infinity(), both.total_variation());
            prop_assert!((l.value - exact.l_infinity().value).abs() <= l.error + 1e-12);
            prop_assert!((tv.value - exact.total_variation().value).abs() <= tv.error + 1e-12);
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
        assert_eq!(both.exact(), Some([vec![6, 2, 0, 0], vec![1, 0, 3, 0]]));
        let truth = jensen_shannon(&[0.75, 0.25, 0.0], &[0.25, 0.0, 0.75]);
        assert!((both.least_jensen_shannon() - truth).abs() < 1e-12);
        assert_eq!(both.l_infinity(), Estimate { value: 0.75, error: 0.0 });
        assert_eq!(both.total_variation().value, 0.75);
        assert!(categories(&p, &Frequent::default()).is_none() && kolmogorov_smirnov(&x, &Kll::default()).is_none());
    }

    /// 30 of 100 rows against 70 of 100: 100·KL(0.3 ‖ 0.5) = 8.23, and half of all rows have the value.
    #[test]
    fn a_p_value_is_chernoffs_bound_over_the_values_share() {
        let (mut p, mut q) = (Frequent::default(), Frequent::default());
        for (value, was, now) in [("a", 30, 70), ("b", 70, 30)] {
            p.push(value, was);
            q.push(value, now);
        }
        let both = categories(&p, &q).unwrap();
        let expected = 2.0 * (-100.0 * (0.3 * 0.6_f64.ln() + 0.7 * 1.4_f64.ln())).exp() / 0.5;
        assert!((both.greatest_p_value() / expected - 1.0).abs() < 1e-9, "{}", both.greatest_p_value());
        assert_eq!(categories(&p, &p).unwrap().greatest_p_value(), 1.0);
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

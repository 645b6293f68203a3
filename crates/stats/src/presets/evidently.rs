//! Evidently 0.7.23: `ValueDrift` without a method, on a `Dataset` whose types it inferred.
//!
//! What is odd about it, and kept:
//! - Types are those of the *current* data. Whole numbers with at most ten different values are categories, but not
//!   where one is missing: pandas then makes them floating point. Texts of which more than half differ are prose.
//! - The reference's size alone chooses between p-values and distances.
//! - chi² takes the reference's shares for the truth, so that a value that the reference lacks is drift for certain.
//! - KS drifts at p ≤ 0.05, the others at p < 0.05.
//! - Wasserstein is over the reference's standard deviation divided by n, at least 0.001.
//! - Jensen–Shannon is in nats, over the values as they are: its bins are for more than 20 different numbers, which it
//!   is never asked about.

use super::{Counts, Finding, NoFinding, NumberTest, Score, Values, Verdict};
use crate::Moments;
use crate::twosample::distance::{jensen_shannon, shares};
use crate::twosample::{NoTest, chi_square, kolmogorov_smirnov_of, wasserstein_of, z_proportions};
use std::borrow::Cow;

/// Rows of the reference up to which it uses p-values.
pub(super) const SMALL: usize = 1_000;
/// Different numbers up to which they are tested as categories.
const FEW: usize = 5;
/// Different whole numbers up to which a column is one of categories.
const CATEGORIES: usize = 10;
pub(super) const LEVEL: f64 = 0.05;
pub(super) const DISTANCE: f64 = 0.1;

/// `test` is its `num_stattest`: of columns of numbers, however few different ones there are.
pub(super) fn judge(reference: &Values, current: &Values, test: Option<NumberTest>) -> Result<Finding, NoFinding> {
    match (reference, current) {
        (Values::Numbers { values: a, .. }, Values::Numbers { values: b, whole }) => {
            let (finite_a, finite_b) = (finite(a, "reference")?, finite(b, "current data")?);
            let category = *whole && finite_b.len() == b.len() && at_most(CATEGORIES, finite_b.iter());
            if category || test.is_none() && at_most(FEW, finite_a.iter().chain(finite_b.iter())) {
                categories(&Counts::of_numbers(a, b)?)
            } else {
                numbers(&finite_a, &finite_b, test)
            }
        }
        (Values::Categories { values: a, .. }, Values::Categories { values: b, text }) => {
            let counts = Counts::of_categories(a, b)?;
            let different = counts.current.iter().filter(|n| **n > 0).count() as u64;
            if *text && 2 * different > counts.totals().1 {
                return Err(NoFinding::Text);
            }
            categories(&counts)
        }
        _ => Err(NoFinding::Kinds),
    }
}

pub(super) fn finding(method: &'static str, kind: Score, score: f64, drifted: bool) -> Finding {
    let threshold = if kind == Score::PValue { LEVEL } else { DISTANCE };
    Finding { method, kind, score, threshold, verdict: Verdict::when(drifted), since: None, chunks: Vec::new() }
}

/// The numbers that there are.
fn finite<'a>(values: &'a [f64], side: &'static str) -> Result<Cow<'a, [f64]>, NoFinding> {
    // Without an early end, so that it runs over many at once.
    let all = values.iter().fold(true, |all, v| all & v.is_finite());
    let there: Cow<[f64]> =
        if all { values.into() } else { values.iter().copied().filter(|v| v.is_finite()).collect() };
    if there.is_empty() { Err(NoFinding::Empty(side)) } else { Ok(there) }
}

/// Whether there are no more than `most` different numbers.
fn at_most<'a>(most: usize, mut values: impl Iterator<Item = &'a f64>) -> bool {
    let mut seen: Vec<f64> = Vec::with_capacity(most + 1);
    values.all(|v| {
        if !seen.contains(v) {
            seen.push(*v);
        }
        seen.len() <= most
    })
}

fn numbers(reference: &[f64], current: &[f64], test: Option<NumberTest>) -> Result<Finding, NoFinding> {
    let few = reference.len() <= SMALL;
    if test.map_or(few, |test| test == NumberTest::KolmogorovSmirnov) {
        let p = kolmogorov_smirnov_of(reference, current)?.p_value;
        return Ok(finding("K-S p_value", Score::PValue, p, p <= LEVEL));
    }
    let n = reference.len() as f64;
    let mut moments = Moments::default();
    moments.extend(reference);
    let deviation = moments.variance().map_or(0.0, |v| v * (n - 1.0) / n).sqrt();
    let distance = wasserstein_of(reference, current)? / deviation.max(0.001);
    Ok(finding("Wasserstein distance (normed)", Score::Distance, distance, distance >= DISTANCE))
}

fn categories(counts: &Counts) -> Result<Finding, NoFinding> {
    let (n, m) = counts.totals();
    if n as usize > SMALL {
        let score = jensen_shannon(&shares(&counts.reference, n), &shares(&counts.current, m));
        return Ok(finding("Jensen-Shannon distance", Score::Distance, score, score >= DISTANCE));
    }
    if counts.distinct() > 2 {
        let p = chi_square(&counts.reference, &counts.current)?.p_value;
        return Ok(finding("chi-square p_value", Score::PValue, p, p < LEVEL));
    }
    let p = match z_proportions((counts.reference[0], n), (counts.current[0], m)) {
        Ok(test) => test.p_value,
        Err(NoTest::NoSpread) => 1.0,
        Err(other) => return Err(other.into()),
    };
    Ok(finding("Z-test p_value", Score::PValue, p, p < LEVEL))
}

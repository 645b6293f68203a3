//! Tests of counts in categories.

use super::{NoTest, Test};
use crate::special::{binomial_pmf, chi_square_sf, normal_cdf};

fn total(counts: &[u64]) -> f64 {
    counts.iter().map(|c| *c as f64).sum()
}

/// Both lists over the same categories, neither empty.
fn pair(reference: &[u64], current: &[u64]) -> Result<(f64, f64), NoTest> {
    if reference.len() != current.len() {
        return Err(NoTest::Lengths(current.len(), reference.len()));
    }
    let (n, m) = (total(reference), total(current));
    if n == 0.0 || m == 0.0 {
        return Err(NoTest::TooFew { have: 0, need: 1 });
    }
    Ok((n, m))
}

/// Pearson's chi² of the current counts against the reference's shares, taken as the truth: Evidently's `chisquare`. A
/// category that the reference does not have makes it infinite, and the p-value 0.
///
/// # Errors
/// [`NoTest`] when the lists differ in length or a sample is empty.
pub fn chi_square(reference: &[u64], current: &[u64]) -> Result<Test, NoTest> {
    divergence(reference, current, |observed, expected| (observed - expected).powi(2) / expected)
}

/// The likelihood ratio against the reference's shares. Evidently's `g_test` is this where both samples have one size
/// (for others it fails).
///
/// # Errors
/// As [`chi_square`].
pub fn g_test(reference: &[u64], current: &[u64]) -> Result<Test, NoTest> {
    divergence(reference, current, |o, e| if o == 0.0 { 0.0 } else { 2.0 * o * (o / e).ln() })
}

fn divergence(reference: &[u64], current: &[u64], term: impl Fn(f64, f64) -> f64) -> Result<Test, NoTest> {
    let (n, m) = pair(reference, current)?;
    let seen = || reference.iter().zip(current).filter(|(r, c)| **r + **c > 0);
    let statistic: f64 =
        seen().map(|(r, c)| if *r == 0 { f64::INFINITY } else { term(*c as f64, *r as f64 * (m / n)) }).sum();
    let freedom = seen().count() as f64 - 1.0;
    let p_value = match () {
        () if statistic.is_infinite() => 0.0,
        () if freedom < 1.0 => 1.0,
        () => chi_square_sf(statistic, freedom),
    };
    Ok(Test { statistic, p_value })
}

/// Chi² of homogeneity: both samples are random. As `scipy.stats.chi2_contingency`, with Yates' correction for two
/// categories; NannyML's `chi2`.
///
/// # Errors
/// As [`chi_square`].
pub fn contingency(reference: &[u64], current: &[u64]) -> Result<Test, NoTest> {
    let (n, m) = pair(reference, current)?;
    let rows: Vec<[f64; 2]> =
        reference.iter().zip(current).filter(|(r, c)| **r + **c > 0).map(|(r, c)| [*r as f64, *c as f64]).collect();
    let freedom = rows.len() as f64 - 1.0;
    if freedom < 1.0 {
        return Ok(Test { statistic: 0.0, p_value: 1.0 });
    }
    let statistic = rows
        .iter()
        .flat_map(|row| [(row, row[0], n), (row, row[1], m)])
        .map(|(row, observed, side)| {
            let expected = (row[0] + row[1]) * side / (n + m);
            let mut apart = (expected - observed).abs();
            if freedom == 1.0 {
                apart -= apart.min(0.5);
            }
            apart * apart / expected
        })
        .sum();
    Ok(Test { statistic, p_value: chi_square_sf(statistic, freedom) })
}

/// Fisher's exact test for two categories, two-sided: the probability of all tables that are no likelier than this one.
/// The statistic is the odds ratio.
///
/// # Errors
/// [`NoTest`] when there are other than two categories, or a sample is empty.
pub fn fisher_exact(reference: &[u64], current: &[u64]) -> Result<Test, NoTest> {
    let (n, m) = pair(reference, current)?;
    let ([a, b], [c, d]) = (reference, current) else { return Err(NoTest::Categories(reference.len())) };
    let (a, b, c, d) = (*a as f64, *b as f64, *c as f64, *d as f64);
    let first = a + c;
    if first == 0.0 || b + d == 0.0 {
        return Ok(Test { statistic: f64::NAN, p_value: 1.0 });
    }
    // Hypergeometric, from binomials with the pooled share: their product cancels it.
    let share = first / (n + m);
    let all = binomial_pmf(first, n + m, share);
    let probability = |x: f64| binomial_pmf(x, n, share) * binomial_pmf(first - x, m, share) / all;
    let limit = probability(a) * (1.0 + 1e-12);
    let (low, high) = ((first - m).max(0.0) as u64, first.min(n) as u64);
    let p_value: f64 = (low..=high).map(|x| probability(x as f64)).filter(|p| *p <= limit).sum();
    let statistic = if b * c > 0.0 { a * d / (b * c) } else { f64::INFINITY };
    Ok(Test { statistic, p_value: p_value.min(1.0) })
}

/// Z of two proportions with a pooled variance, two-sided: `hits` of each sample's size.
///
/// # Errors
/// [`NoTest`] when a sample is empty, or all or none are hits.
pub fn z_proportions(reference: (u64, u64), current: (u64, u64)) -> Result<Test, NoTest> {
    let ((x, n), (y, m)) = ((reference.0 as f64, reference.1 as f64), (current.0 as f64, current.1 as f64));
    if n == 0.0 || m == 0.0 {
        return Err(NoTest::TooFew { have: 0, need: 1 });
    }
    let pooled = (x + y) / (n + m);
    let deviation = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    if deviation <= 0.0 {
        return Err(NoTest::NoSpread);
    }
    let statistic = (x / n - y / m) / deviation;
    Ok(Test { statistic, p_value: 2.0 * normal_cdf(-statistic.abs()) })
}

//! Tests of counts in categories.

use super::{NoTest, Test};
use crate::special::{binomial_pmf, chi_square_sf, normal_cdf};
use crate::stream::Coin;

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
    let probability = |x: f64| hypergeometric(x, first, (n, m));
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

/// P(X = `x`) of the first of two groups of `n` and `m`, when `hits` of all are drawn. From binomials with the pooled share:
/// their product cancels it.
fn hypergeometric(x: f64, hits: f64, (n, m): (f64, f64)) -> f64 {
    let share = hits / (n + m);
    binomial_pmf(x, n, share) * binomial_pmf(hits - x, m, share) / binomial_pmf(hits, n + m, share)
}

/// Draws of [`total_variation`], as many as Evidently makes.
const DRAWS: usize = 1_000;

/// Half of the sum of the differences of the shares, and how often it is as much when the rows of both sides are dealt out
/// anew, of 1,000 times: Evidently's `TVD`, from another sequence of random numbers, always the same.
///
/// # Errors
/// As [`chi_square`].
pub fn total_variation(reference: &[u64], current: &[u64]) -> Result<Test, NoTest> {
    let (n, m) = pair(reference, current)?;
    let sizes = [reference, current].map(|side| side.iter().sum::<u64>());
    // In rows of both: whole numbers, which are equal or not.
    let apart = |was: u64, now: u64| {
        let [was, now] = [(was, sizes[1]), (now, sizes[0])].map(|(rows, other)| u128::from(rows) * u128::from(other));
        was.abs_diff(now)
    };
    let observed: u128 = reference.iter().zip(current).map(|(was, now)| apart(*was, *now)).sum();
    let mut coin = Coin::new(0);
    let as_far = (0..DRAWS).filter(|_| {
        let (mut places, mut others) = (sizes[0], sizes[1]);
        let mut sum = 0;
        for all in reference.iter().zip(current).map(|(was, now)| was + now) {
            let was = dealt(all, (places, others), &mut coin);
            sum += apart(was, all - was);
            places -= was;
            others -= all - was;
        }
        sum >= observed
    });
    let p_value = as_far.count() as f64 / DRAWS as f64;
    Ok(Test { statistic: observed as f64 / (2.0 * n * m), p_value })
}

/// How many of `hits` rows fall into the first group, at random. From the likeliest number outwards, so that as many steps
/// are made as there are numbers within a deviation.
fn dealt(hits: u64, (places, others): (u64, u64), coin: &mut Coin) -> u64 {
    let (low, high) = (hits.saturating_sub(others), hits.min(places));
    let (k, n, m) = (hits as f64, places as f64, others as f64);
    let middle = (((k + 1.0) * (n + 1.0) / (n + m + 2.0)) as u64).clamp(low, high);
    let start = hypergeometric(middle as f64, k, (n, m));
    // P(x + 1) / P(x).
    let step = |x: u64| {
        let x = x as f64;
        (k - x) * (n - x) / ((x + 1.0) * (m - k + x + 1.0))
    };
    let (mut up, mut down) = ((middle, start), (middle, start));
    let mut left = coin.unit() - start;
    while left >= 0.0 && (up.0 < high || down.0 > low) {
        if up.0 < high {
            up = (up.0 + 1, up.1 * step(up.0));
            left -= up.1;
            if left < 0.0 {
                return up.0;
            }
        }
        if down.0 > low {
            down = (down.0 - 1, down.1 / step(down.0 - 1));
            left -= down.1;
            if left < 0.0 {
                return down.0;
            }
        }
    }
    middle
}

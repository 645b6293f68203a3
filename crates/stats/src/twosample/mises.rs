//! Cramér and von Mises: the mean squared difference of the distribution functions.

use super::walk::steps;
use super::{NoTest, Sample, Test, enough};
use crate::special::{bessel_k_scaled, ln_gamma};
use std::collections::BTreeMap;
use std::f64::consts::PI;

/// Up to this many values in each sample the p-value is exact.
const EXACT: usize = 20;

/// The two-sample test: as `scipy.stats.cramervonmises_2samp` with its method `auto`.
///
/// # Errors
/// [`NoTest::TooFew`] when a sample has fewer than two values.
pub fn cramer_von_mises(reference: &Sample, current: &Sample) -> Result<Test, NoTest> {
    enough(reference, current, 2)?;
    let (n, m) = (reference.len(), current.len());
    let u = anderson_u(reference, current);
    let (x, y) = (n as f64, m as f64);
    let (k, total) = (x * y, x + y);
    let statistic = u / (k * total) - (4.0 * k - 1.0) / (6.0 * total);
    let p_value = if n.max(m) <= EXACT { exact(u, n, m) } else { asymptotic(statistic, x, y) };
    Ok(Test { statistic, p_value })
}

/// Equation 10 of Anderson (1962), with midranks.
fn anderson_u(a: &Sample, b: &Sample) -> f64 {
    let (mut left, mut right) = (0.0, 0.0);
    let (mut i, mut j) = (0, 0);
    for step in steps(a.values(), b.values()) {
        // Ranks i + j + 1 to step.a + step.b, which are shared.
        let rank = ((i + j + 1 + step.a + step.b) as f64) / 2.0;
        (i..step.a).for_each(|at| left += (rank - (at + 1) as f64).powi(2));
        (j..step.b).for_each(|at| right += (rank - (at + 1) as f64).powi(2));
        (i, j) = (step.a, step.b);
    }
    a.len() as f64 * left + b.len() as f64 * right
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The share of all orders with a statistic at least as large (Xiao, Gordon and Yakovlev 2006).
fn exact(u: f64, n: usize, m: usize) -> f64 {
    let (n, m) = (n as i64, m as i64);
    let lcm = n / gcd(n, m) * m;
    let (a, b) = (lcm / n, lcm / m);
    let mn = (n * m) as f64;
    let zeta = ((lcm * lcm * (n + m)) as f64 * (6.0 * u - mn * (4.0 * mn - 1.0)) / (6.0 * mn * mn)).floor() as i64;
    // How many paths to each place have which value.
    let mut row: Vec<BTreeMap<i64, u64>> = vec![BTreeMap::new(); n as usize + 1];
    row[0].insert(0, 1);
    for y in 0..=m {
        let mut left: BTreeMap<i64, u64> = BTreeMap::new();
        for (x, here) in row.iter_mut().enumerate() {
            for (value, paths) in std::mem::take(here) {
                *left.entry(value).or_default() += paths;
            }
            let step = (a * x as i64 - b * y).pow(2);
            left = left.into_iter().map(|(value, paths)| (value + step, paths)).collect();
            here.clone_from(&left);
        }
    }
    let paths = row.last().map(|r| (r.range(zeta..).map(|(_, p)| *p).sum::<u64>(), r.values().sum::<u64>()));
    paths.map_or(1.0, |(far, all)| far as f64 / all as f64)
}

fn asymptotic(statistic: f64, n: f64, m: f64) -> f64 {
    let (k, total) = (n * m, n + m);
    let mean = (1.0 + 1.0 / total) / 6.0;
    let variance =
        (total + 1.0) * (4.0 * k * total - 3.0 * (n * n + m * m) - 2.0 * k) / (45.0 * total * total * 4.0 * k);
    let t = 1.0 / 6.0 + (statistic - mean) / (45.0 * variance).sqrt();
    if t < 0.003 { 1.0 } else { (1.0 - limit_cdf(t)).max(0.0) }
}

/// The limiting distribution (Csörgő and Faraway 1996, equation 1.2). Ended where `scipy` ends it.
fn limit_cdf(x: f64) -> f64 {
    let mut sum = 0.0;
    for k in 0..1000 {
        let k = f64::from(k);
        let u = (ln_gamma(k + 0.5) - ln_gamma(k + 1.0)).exp() / (PI.powf(1.5) * x.sqrt());
        let y = 4.0 * k + 1.0;
        let q = y * y / (16.0 * x);
        let term = u * y.sqrt() * (-2.0 * q).exp() * bessel_k_scaled(0.25, q);
        sum += term;
        if term < 1e-7 {
            break;
        }
    }
    sum
}

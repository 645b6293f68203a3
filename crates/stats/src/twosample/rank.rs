//! Tests of ranks: Mann–Whitney and Anderson–Darling.

use super::walk::{Step, steps};
use super::{NoTest, Sample, Test, enough};
use crate::special::{ln_gamma, normal_cdf};

/// Which difference a test looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alternative {
    /// Any.
    Different,
    /// The reference is stochastically less than the current sample.
    Less,
    /// The reference is stochastically greater.
    Greater,
}

/// With a sample up to this long, and no ties, the p-value is exact.
const EXACT: usize = 8;

/// Mann and Whitney's U: as `scipy.stats.mannwhitneyu(reference, current)` with its method `auto`. Evidently asks for
/// [`Alternative::Less`].
///
/// # Errors
/// [`NoTest`] when a sample is empty, or all values are the same.
pub fn mann_whitney(reference: &Sample, current: &Sample, alternative: Alternative) -> Result<Test, NoTest> {
    enough(reference, current, 1)?;
    let (n, m) = (reference.len(), current.len());
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, Step { value: 0.0, a: 0, b: 0 });
    for step in steps(reference.values(), current.values()) {
        let (from, to) = (before.a + before.b, step.a + step.b);
        let t = (to - from) as f64;
        ties += t * t * t - t;
        ranks += (step.a - before.a) as f64 * (from + 1 + to) as f64 / 2.0;
        before = step;
    }
    let (x, y) = (n as f64, m as f64);
    let statistic = ranks - x * (x + 1.0) / 2.0;
    let (u, sides) = match alternative {
        Alternative::Greater => (statistic, 1.0),
        Alternative::Less => (x * y - statistic, 1.0),
        Alternative::Different => (statistic.max(x * y - statistic), 2.0),
    };
    let tail = if n.min(m) <= EXACT && ties == 0.0 {
        exact_tail(u as usize, n.min(m), n.max(m))
    } else {
        let total = x + y;
        let deviation = (x * y / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)))).sqrt();
        if deviation <= 0.0 || deviation.is_nan() {
            return Err(NoTest::NoSpread);
        }
        normal_cdf(-(u - x * y / 2.0 - 0.5) / deviation)
    };
    Ok(Test { statistic, p_value: (sides * tail).clamp(0.0, 1.0) })
}

/// P(U ≥ u) without ties, n ≤ m, by Löffler's recursion (1983) from the nearer end.
fn exact_tail(u: usize, n: usize, m: usize) -> f64 {
    let mirrored = n * m - u;
    let most = u.min(mirrored);
    let mut sigma = vec![0_i64; most + 1];
    for d in 1..=n {
        (d..=most).step_by(d).for_each(|at| sigma[at] += d as i64);
    }
    for d in m + 1..=m + n {
        (d..=most).step_by(d).for_each(|at| sigma[at] -= d as i64);
    }
    let mut ways = vec![0.0; most + 1];
    ways[0] = 1.0;
    for at in 1..=most {
        let sum: f64 = (0..at).map(|i| ways[i] * sigma[at - i] as f64).sum();
        ways[at] = sum / at as f64;
    }
    let (n, m) = (n as f64, m as f64);
    let all = (ln_gamma(n + m + 1.0) - ln_gamma(n + 1.0) - ln_gamma(m + 1.0)).exp();
    let below = ways.iter().sum::<f64>() / all;
    if u < mirrored { 1.0 - below + ways[most] / all } else { below }
}

/// Anderson and Darling's test of two samples with midranks: as `scipy.stats.anderson_ksamp`. The p-value is
/// interpolated from the published table, which reaches from 0.001 to 0.25: outside it is one of these.
///
/// # Errors
/// [`NoTest`] when a sample is empty, both have fewer than four values together, or all are the same.
pub fn anderson_darling(reference: &Sample, current: &Sample) -> Result<Test, NoTest> {
    enough(reference, current, 1)?;
    let sizes = [reference.len() as f64, current.len() as f64];
    let total = sizes[0] + sizes[1];
    if total < 4.0 {
        return Err(NoTest::TooFew { have: total as usize, need: 4 });
    }
    let (mut sum, mut before, mut different) = (0.0, Step { value: 0.0, a: 0, b: 0 }, 0);
    for step in steps(reference.values(), current.values()) {
        different += 1;
        let here = [(step.a - before.a) as f64, (step.b - before.b) as f64];
        let tied = here[0] + here[1];
        let below = (before.a + before.b) as f64 + tied / 2.0;
        let middle = [before.a as f64 + here[0] / 2.0, before.b as f64 + here[1] / 2.0];
        let scale = below * (total - below) - total * tied / 4.0;
        for (size, middle) in sizes.iter().zip(middle) {
            sum += tied / total * (total * middle - below * size).powi(2) / scale / size;
        }
        before = step;
    }
    if different < 2 {
        return Err(NoTest::NoSpread);
    }
    let statistic = (sum * (total - 1.0) / total - 1.0) / deviation(sizes, total);
    Ok(Test { statistic, p_value: table(statistic) })
}

/// Scholz and Stephens (1987), equation 4, for two samples.
fn deviation(sizes: [f64; 2], total: f64) -> f64 {
    let k = 2.0;
    let inverse = 1.0 / sizes[0] + 1.0 / sizes[1];
    let n = total as u64;
    let (mut h, mut g) = (0.0, 0.0);
    // h = Σ 1/i to n − 1, g = Σ_{i<j} 1/((n − i) j)
    for (at, i) in (2..n).rev().enumerate() {
        h += 1.0 / i as f64;
        g += h / (at + 2) as f64;
    }
    h += 1.0;
    let a = (4.0 * g - 6.0) * (k - 1.0) + (10.0 - 6.0 * g) * inverse;
    let b = (2.0 * g - 4.0) * k * k + 8.0 * h * k + (2.0 * g - 14.0 * h - 4.0) * inverse - 8.0 * h + 4.0 * g - 6.0;
    let c = (6.0 * h + 2.0 * g - 2.0) * k * k + (4.0 * h - 4.0 * g + 6.0) * k + (2.0 * h - 6.0) * inverse + 4.0 * h;
    let d = (2.0 * h + 6.0) * k * k - 4.0 * h * k;
    let variance =
        (a * total.powi(3) + b * total * total + c * total + d) / ((total - 1.0) * (total - 2.0) * (total - 3.0));
    variance.sqrt()
}

/// The p-value between the published critical values for two samples, by a parabola of its logarithm.
fn table(statistic: f64) -> f64 {
    const LEVELS: [f64; 7] = [0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001];
    #[expect(clippy::approx_constant, reason = "a critical value, not e")]
    const CRITICAL: [f64; 7] = [0.325, 1.226, 1.961, 2.718, 3.752, 4.592, 6.546];
    if statistic < CRITICAL[0] {
        return LEVELS[0];
    }
    if statistic > CRITICAL[6] {
        return LEVELS[6];
    }
    // Least squares in orthogonal polynomials over the critical values.
    let n = CRITICAL.len() as f64;
    let mean = CRITICAL.iter().sum::<f64>() / n;
    let second: f64 = CRITICAL.iter().map(|x| (x - mean).powi(2)).sum();
    let skew: f64 = CRITICAL.iter().map(|x| (x - mean).powi(3)).sum();
    let parabola = |x: f64| (x - mean).powi(2) - skew / second * (x - mean) - second / n;
    let mut fit = [0.0; 3];
    let mut norm = 0.0;
    for (x, level) in CRITICAL.iter().zip(LEVELS) {
        let y = level.ln();
        fit[0] += y / n;
        fit[1] += y * (x - mean) / second;
        fit[2] += y * parabola(*x);
        norm += parabola(*x).powi(2);
    }
    (fit[0] + fit[1] * (statistic - mean) + fit[2] / norm * parabola(statistic)).exp()
}

//! Kolmogorov and Smirnov: the greatest difference of the distribution functions.

use super::buckets::kolmogorov_smirnov_distance_of;
use super::walk::steps;
use super::{NoTest, Sample, Test, enough};
use crate::special::{binomial_pmf, stirling_error};
use std::f64::consts::PI;

/// Above this many values in a sample the p-value is asymptotic.
const EXACT: usize = 10_000;

/// The two-sample test, two-sided: as `scipy.stats.ks_2samp` with its method `auto`.
///
/// # Errors
/// [`NoTest::TooFew`] when a sample is empty.
pub fn kolmogorov_smirnov(reference: &Sample, current: &Sample) -> Result<Test, NoTest> {
    Ok(judged(reference.len(), current.len(), kolmogorov_smirnov_distance(reference, current)?))
}

/// The same of finite numbers in any order. Large samples are not sorted.
///
/// # Errors
/// [`NoTest::TooFew`] when a sample is empty.
pub fn kolmogorov_smirnov_of(reference: &[f64], current: &[f64]) -> Result<Test, NoTest> {
    Ok(judged(reference.len(), current.len(), kolmogorov_smirnov_distance_of(reference, current)?))
}

fn judged(n: usize, m: usize, statistic: f64) -> Test {
    if n.max(m) <= EXACT {
        return exact(n, m, statistic);
    }
    let (n, m) = (n as f64, m as f64);
    // Half to even, as numpy rounds.
    let p_value = kolmogorov_tail((n * m / (n + m)).round_ties_even(), statistic);
    Test { statistic, p_value }
}

/// Its statistic alone: the greatest difference of the distribution functions, 0 to 1.
///
/// # Errors
/// [`NoTest::TooFew`] when a sample is empty.
pub fn kolmogorov_smirnov_distance(reference: &Sample, current: &Sample) -> Result<f64, NoTest> {
    enough(reference, current, 1)?;
    let (n, m) = (reference.len() as f64, current.len() as f64);
    let steps = steps(reference.values(), current.values());
    Ok(steps.map(|s| (s.a as f64 / n - s.b as f64 / m).abs()).fold(0.0, f64::max))
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The share of all orders of the pooled values that reach the distance.
fn exact(n: usize, m: usize, distance: f64) -> Test {
    let g = gcd(n, m);
    let whole = (n / g) * m;
    let h = (distance * whole as f64).round_ties_even() as usize;
    let statistic = h as f64 / whole as f64;
    let p_value = match h {
        0 => 1.0,
        _ if n == m => outside_square(n, h),
        _ => outside(n.max(m), n.min(m), g, h),
    };
    Test { statistic, p_value: p_value.clamp(0.0, 1.0) }
}

/// Both samples of one size: reflections (Gnedenko and Korolyuk 1951).
fn outside_square(n: usize, h: usize) -> f64 {
    let mut p = 0.0;
    for k in (0..=n / h).rev() {
        let mut term = 1.0;
        for j in 0..h {
            term *= (n as f64 - (k * h) as f64 - j as f64) / ((n + k * h + j) as f64 + 1.0);
        }
        p = term * (1.0 - p);
    }
    2.0 * p
}

/// The share of lattice paths from (0, 0) to (m, n), m ≥ n, that leave the band |n·x − m·y| < h·g, column by column
/// (Hodges 1958).
fn outside(m: usize, n: usize, g: usize, h: usize) -> f64 {
    let (mg, ng) = (m / g, n / g);
    let mut low = 0;
    let mut high = h.div_ceil(mg).min(n + 1);
    let mut column = vec![1.0; n + 1];
    column[..high].fill(0.0);
    for i in 1..=m {
        let reached = ng * i;
        let (was_low, was_high) = (low, high);
        low = if reached >= h { ((reached - h) / mg + 1).min(n) } else { 0 };
        high = (reached + h).div_ceil(mg).min(n + 1);
        if high <= low {
            return 1.0;
        }
        // Places that the band enters were outside it before.
        column[was_high..high.max(was_high)].fill(1.0);
        let mut value = if low == 0 { 0.0 } else { 1.0 };
        for (j, place) in column.iter_mut().enumerate().take(high).skip(low.max(was_low)) {
            value = (*place * i as f64 + value * j as f64) / (i + j) as f64;
            *place = value;
        }
    }
    column[high - 1]
}

/// P(Dₙ ≥ d) of the one-sample, two-sided statistic, with the choices of method of Simard and L'Ecuyer (2011). `n` is
/// a whole number.
pub fn kolmogorov_tail(n: f64, d: f64) -> f64 {
    let t = n * d;
    if n < 1.0 || t <= 0.5 {
        return 1.0;
    }
    if d >= 1.0 {
        return 0.0;
    }
    let tail = if t <= 1.0 {
        // Ruben and Gambino (1982).
        let factorial = stirling_error(n) + 0.5 * (2.0 * PI * n).ln() - n;
        1.0 - (factorial + n * (2.0 * t - 1.0).ln()).exp()
    } else if t >= n - 1.0 {
        2.0 * (1.0 - d).powf(n)
    } else if d >= 0.5 || t * d >= if n <= 140.0 { 4.0 } else { 2.2 } {
        if t * d >= 370.0 { 0.0 } else { 2.0 * one_sided(n, d) }
    } else if n <= 140.0 || (n <= 100_000.0 && n * d.powf(1.5) <= 1.4) {
        1.0 - durbin(n as u64, d)
    } else {
        pelz_good(n, d)
    };
    tail.clamp(0.0, 1.0)
}

/// P(Dₙ⁺ ≥ d) (Smirnov; Birnbaum and Tingey 1951), each term as a binomial probability so that none cancels.
fn one_sided(n: f64, d: f64) -> f64 {
    let mut sum = 0.0;
    for j in 0..=(n * (1.0 - d)).floor() as u64 {
        let p = d + j as f64 / n;
        if p >= 1.0 {
            break;
        }
        sum += d / p * binomial_pmf(j as f64, n, p);
    }
    sum
}

/// P(Dₙ < d) by Durbin's matrix (Marsaglia, Tsang and Wang 2003).
fn durbin(n: u64, d: f64) -> f64 {
    let t = n as f64 * d;
    let k = t.ceil() as usize;
    let h = k as f64 - t;
    let m = 2 * k - 1;
    let mut matrix = vec![0.0; m * m];
    for i in 0..m {
        for j in 0..m.min(i + 2) {
            matrix[i * m + j] = 1.0;
        }
    }
    for i in 0..m {
        matrix[i * m] -= h.powi(i as i32 + 1);
        matrix[(m - 1) * m + i] -= h.powi((m - i) as i32);
    }
    if 2.0 * h > 1.0 {
        matrix[(m - 1) * m] += (2.0 * h - 1.0).powi(m as i32);
    }
    for i in 0..m {
        for j in 0..m.min(i + 1) {
            for g in 1..=(i + 1 - j) {
                matrix[i * m + j] /= g as f64;
            }
        }
    }
    let (power, mut exponent) = power(&matrix, m, n);
    let mut p = power[(k - 1) * m + k - 1];
    for i in 1..=n {
        p *= i as f64 / n as f64;
        if p < 1e-140 {
            p *= 1e140;
            exponent -= 140;
        }
    }
    p * 10_f64.powi(exponent)
}

fn multiply(a: &[f64], b: &[f64], m: usize) -> Vec<f64> {
    let mut product = vec![0.0; m * m];
    for i in 0..m {
        for (l, x) in a[i * m..(i + 1) * m].iter().enumerate().filter(|(_, x)| **x != 0.0) {
            let row = &b[l * m..(l + 1) * m];
            product[i * m..(i + 1) * m].iter_mut().zip(row).for_each(|(p, y)| *p += x * y);
        }
    }
    product
}

/// The n-th power, with its power of ten.
fn power(matrix: &[f64], m: usize, n: u64) -> (Vec<f64>, i32) {
    if n == 1 {
        return (matrix.to_vec(), 0);
    }
    let (half, exponent) = power(matrix, m, n / 2);
    let (mut product, mut exponent) = (multiply(&half, &half, m), 2 * exponent);
    if n % 2 == 1 {
        product = multiply(matrix, &product, m);
    }
    if product[(m / 2) * m + m / 2] > 1e140 {
        for x in &mut product {
            *x *= 1e-140;
        }
        exponent += 140;
    }
    (product, exponent)
}

/// P(Dₙ ≥ d) by the expansion of Pelz and Good (1976), in the form for small z.
fn pelz_good(n: f64, d: f64) -> f64 {
    let z = n.sqrt() * d;
    let (z2, pi2) = (z * z, PI * PI);
    let (z4, z6) = (z2 * z2, z2 * z2 * z2);
    let log_q = -pi2 / 8.0 / z2;
    if log_q < -708.0 {
        return 1.0;
    }
    let (pi4, pi6) = (pi2 * pi2, pi2 * pi2 * pi2);
    let q = log_q.exp();
    let mut k = [0.0; 4];
    let most = (16.0 * z / PI).ceil() as i32;
    for i in (1..=most).rev() {
        let odd = f64::from(2 * i - 1).powi(2);
        let terms = [
            1.0,
            -z2 + pi2 / 4.0 * odd,
            6.0 * z6 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * pi2 / 4.0 * odd + pi4 * (1.0 - 2.0 * z2) / 16.0 * odd * odd,
            -30.0 * z6 - 90.0 * z4 * z4
                + pi2 * (135.0 * z4 - 96.0 * z6) / 4.0 * odd
                + pi4 * (-60.0 * z2 + 212.0 * z4) / 16.0 * odd * odd
                + pi6 * (5.0 - 30.0 * z2) / 64.0 * odd.powi(3),
        ];
        let step = q.powi(8 * i);
        k.iter_mut().zip(terms).for_each(|(k, term)| *k = *k * step + term);
    }
    let root = (2.0 * PI).sqrt();
    let scale = [z, 6.0 * z4, 72.0 * z4 * z2 * z, 6480.0 * z4 * z6];
    k.iter_mut().zip(scale).for_each(|(k, s)| *k *= q * root / s);
    let q = (-pi2 / 2.0 / z2).exp();
    for i in 1..=most {
        let i2 = f64::from(i).powi(2);
        let term = i2 * q.powi(i * i);
        k[2] -= term * pi2 * root / (36.0 * z2 * z);
        k[3] += (3.0 * z2 - pi2 * i2) * term * pi2 * root / (216.0 * z6);
    }
    1.0 - k[0] - k[1] / n.sqrt() - k[2] / n - k[3] / n.powf(1.5)
}

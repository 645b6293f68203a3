//! Epps and Singleton: the difference of the characteristic functions at two places.

use super::{NoTest, Sample, Test, enough};
use crate::special::chi_square_sf;

const PLACES: [f64; 2] = [0.4, 0.8];
type Matrix = [[f64; 4]; 4];

/// The test, with the small-sample correction below 25 values: as `scipy.stats.epps_singleton_2samp`.
///
/// # Errors
/// [`NoTest`] when a sample has fewer than five values, or half of the pooled values are the same.
pub fn epps_singleton(reference: &Sample, current: &Sample) -> Result<Test, NoTest> {
    enough(reference, current, 5)?;
    let spread = interquartile_range(reference, current) / 2.0;
    if spread <= 0.0 {
        return Err(NoTest::NoSpread);
    }
    let (n, m) = (reference.len() as f64, current.len() as f64);
    let total = n + m;
    let ((mean_a, cov_a), (mean_b, cov_b)) = (moments(reference, spread), moments(current, spread));
    let mut covariance: Matrix = [[0.0; 4]; 4];
    for i in 0..4 {
        for j in 0..4 {
            covariance[i][j] = total / n * cov_a[i][j] + total / m * cov_b[i][j];
        }
    }
    let (values, vectors) = eigen(covariance);
    let largest = values.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
    let (mut statistic, mut rank) = (0.0, 0.0);
    for (value, vector) in values.iter().zip(vectors) {
        if value.abs() > 4.0 * f64::EPSILON * largest {
            let along: f64 = (0..4).map(|i| vector[i] * (mean_a[i] - mean_b[i])).sum();
            statistic += total * along * along / value;
            rank += 1.0;
        }
    }
    if n.max(m) < 25.0 {
        statistic /= 1.0 + total.powf(-0.45) + 10.1 * (n.powf(-1.7) + m.powf(-1.7));
    }
    Ok(Test { statistic, p_value: chi_square_sf(statistic, rank) })
}

/// Of the pooled values, between percentiles as numpy interpolates them.
fn interquartile_range(a: &Sample, b: &Sample) -> f64 {
    let mut pooled: Vec<f64> = a.values().iter().chain(b.values()).copied().collect();
    pooled.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| {
        let place = q * (pooled.len() - 1) as f64;
        let (low, high) = (pooled[place.floor() as usize], pooled[place.ceil() as usize]);
        low + (high - low) * place.fract()
    };
    at(0.75) - at(0.25)
}

/// Mean and covariance (divided by n) of cosines and sines at the places.
fn moments(sample: &Sample, spread: f64) -> ([f64; 4], Matrix) {
    let waves = |x: f64| {
        let [(s1, c1), (s2, c2)] = PLACES.map(|t| (t / spread * x).sin_cos());
        [c1, c2, s1, s2]
    };
    let n = sample.len() as f64;
    let mut mean = [0.0; 4];
    for x in sample.values() {
        mean.iter_mut().zip(waves(*x)).for_each(|(m, w)| *m += w / n);
    }
    let mut covariance: Matrix = [[0.0; 4]; 4];
    for x in sample.values() {
        let mut w = waves(*x);
        w.iter_mut().zip(mean).for_each(|(w, m)| *w -= m);
        for i in 0..4 {
            for j in 0..4 {
                covariance[i][j] += w[i] * w[j] / n;
            }
        }
    }
    (mean, covariance)
}

/// Eigenvalues and eigenvectors of a symmetric matrix, by Jacobi's rotations.
fn eigen(mut a: Matrix) -> ([f64; 4], Matrix) {
    let mut vectors: Matrix = [[0.0; 4]; 4];
    (0..4).for_each(|i| vectors[i][i] = 1.0);
    for _ in 0..64 {
        let off: f64 = (0..4).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j].powi(2)).sum();
        if off == 0.0 {
            break;
        }
        for p in 0..4 {
            for q in p + 1..4 {
                rotate(&mut a, &mut vectors, p, q);
            }
        }
    }
    ([a[0][0], a[1][1], a[2][2], a[3][3]], vectors)
}

fn rotate(a: &mut Matrix, vectors: &mut Matrix, p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for row in a.iter_mut() {
        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
    }
    for i in 0..4 {
        (a[p][i], a[q][i]) = (c * a[p][i] - s * a[q][i], s * a[p][i] + c * a[q][i]);
        (vectors[p][i], vectors[q][i]) = (c * vectors[p][i] - s * vectors[q][i], s * vectors[p][i] + c * vectors[q][i]);
    }
}

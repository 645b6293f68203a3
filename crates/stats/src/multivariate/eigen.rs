//! Eigenvalues and vectors of a covariance matrix.

/// Sweeps over all pairs; in practice six to ten suffice.
const SWEEPS: usize = 60;
/// Cosine of the angle between two rows that counts as a right one.
const RIGHT: f64 = 1e-14;

/// Of a symmetric matrix without negative eigenvalues.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigen {
    /// The greatest first.
    pub values: Vec<f64>,
    /// A unit vector each, in the same order. Those of eigenvalues that are 0 within rounding are 0 themselves.
    pub vectors: Vec<Vec<f64>>,
}

/// Decomposes `rows`, a symmetric matrix without negative eigenvalues, by turning pairs of its rows until all stand at
/// right angles (Hestenes 1958): they are then the eigenvectors, as long as their eigenvalues. About 50·n³ operations
/// over whole rows.
pub fn eigen(mut rows: Vec<Vec<f64>>) -> Eigen {
    let n = rows.len();
    // What a row is shorter than, over the longest one, is rounding.
    let rounding = 8.0 * n as f64 * f64::EPSILON;
    for _ in 0..SWEEPS {
        let longest = rows.iter().map(|row| dot(row, row)).fold(0.0, f64::max);
        let mut turned = false;
        for i in 1..n {
            let (before, after) = rows.split_at_mut(i);
            let Some(second) = after.first_mut() else { break };
            for first in before {
                turned |= turn(first, second, longest * rounding * rounding);
            }
        }
        if !turned {
            break;
        }
    }
    let mut pairs: Vec<(f64, Vec<f64>)> = rows.into_iter().map(|row| (dot(&row, &row).sqrt(), row)).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let least = pairs.first().map_or(0.0, |p| p.0) * rounding;
    for (value, vector) in &mut pairs {
        let by = if *value > least { 1.0 / *value } else { 0.0 };
        for x in vector {
            *x *= by;
        }
    }
    let (values, vectors) = pairs.into_iter().unzip();
    Eigen { values, vectors }
}

/// Turns two rows in their plane until they stand at a right angle; says whether that took anything. Rows whose squared
/// length is up to `nothing` are left.
fn turn(first: &mut [f64], second: &mut [f64], nothing: f64) -> bool {
    let (a, b, c) = (dot(first, first), dot(second, second), dot(first, second));
    if a <= nothing || b <= nothing || c.abs() <= RIGHT * (a * b).sqrt() {
        return false;
    }
    let zeta = (b - a) / (2.0 * c);
    let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = cosine * tangent;
    for (x, y) in first.iter_mut().zip(second) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
    true
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut parts = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in a.iter().zip(b) {
        for (part, (x, y)) in parts.iter_mut().zip(x.iter().zip(y)) {
            *part += x * y;
        }
    }
    parts.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f64>()
}

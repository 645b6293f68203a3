//! Distances between two lists of shares over the same bins.

/// What stands in for a share of zero, where a logarithm would be infinite: Evidently's rule, 0.0001, or a millionth of
/// the smallest share where that is at most 0.0001.
pub fn fill_zeros(shares: &mut [f64]) {
    let smallest = shares.iter().copied().filter(|s| *s > 0.0).fold(f64::INFINITY, f64::min);
    let fill = if smallest <= 0.0001 { smallest / 1e6 } else { 0.0001 };
    shares.iter_mut().filter(|s| **s == 0.0).for_each(|s| *s = fill);
}

/// Counts as shares of `total`.
pub fn shares(counts: &[u64], total: u64) -> Vec<f64> {
    counts.iter().map(|c| *c as f64 / total as f64).collect()
}

fn relative_entropy(p: f64, q: f64) -> f64 {
    if p > 0.0 { p * (p / q).ln() } else { 0.0 }
}

fn sum(shares: &[f64]) -> f64 {
    shares.iter().sum()
}

/// The square root of the Jensen–Shannon divergence in nats, after both are made to add up to one: 0 to √ln 2, as
/// `scipy.spatial.distance.jensenshannon`. Divided by √ln 2 it is that in bits, 0 to 1.
pub fn jensen_shannon(reference: &[f64], current: &[f64]) -> f64 {
    let (n, m) = (sum(reference), sum(current));
    let divergence: f64 = reference
        .iter()
        .zip(current)
        .map(|(p, q)| {
            let (p, q) = (p / n, q / m);
            let middle = f64::midpoint(p, q);
            relative_entropy(p, middle) + relative_entropy(q, middle)
        })
        .sum();
    (divergence.max(0.0) / 2.0).sqrt()
}

/// Hellinger's distance, 0 to 1.
pub fn hellinger(reference: &[f64], current: &[f64]) -> f64 {
    let squares: f64 = reference.iter().zip(current).map(|(p, q)| (p.sqrt() - q.sqrt()).powi(2)).sum();
    squares.sqrt() / std::f64::consts::SQRT_2
}

/// The population stability index: infinite where only one side has a bin, unless [`fill_zeros`] was there.
pub fn psi(reference: &[f64], current: &[f64]) -> f64 {
    reference.iter().zip(current).filter(|(p, q)| p != q).map(|(p, q)| (p - q) * (p / q).ln()).sum()
}

/// The divergence of Kullback and Leibler of the reference from the current shares, in nats, after both are made to
/// add up to one.
pub fn kullback_leibler(reference: &[f64], current: &[f64]) -> f64 {
    let (n, m) = (sum(reference), sum(current));
    reference.iter().zip(current).map(|(p, q)| relative_entropy(p / n, q / m)).sum()
}

/// The greatest difference of a share, 0 to 1.
pub fn l_infinity(reference: &[f64], current: &[f64]) -> f64 {
    reference.iter().zip(current).map(|(p, q)| (p - q).abs()).fold(0.0, f64::max)
}

/// Half of the sum of the differences, 0 to 1: the greatest difference in the probability of any set of bins.
pub fn total_variation(reference: &[f64], current: &[f64]) -> f64 {
    reference.iter().zip(current).map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0
}

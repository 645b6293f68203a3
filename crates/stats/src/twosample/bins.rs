//! Numbers into bins of equal width, as `numpy.histogram` makes them.

use super::Sample;

/// How many bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// 1 + log₂ n (Sturges 1926).
    Sturges,
    /// Sturges' with an allowance for skewness (Doane 1976).
    Doane,
    /// So many.
    Count(usize),
}

/// Edges of the bins over both samples' range. `whole` is whether the column's type is of whole numbers, whose bins
/// numpy never makes narrower than one.
pub fn edges(samples: &[&Sample], rule: Rule, whole: bool) -> Vec<f64> {
    let n: usize = samples.iter().map(|s| s.len()).sum();
    let ends = || samples.iter().filter_map(|s| Some((*s.values().first()?, *s.values().last()?)));
    let Some((least, most)) = ends().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return Vec::new() };
    let range = most - least;
    let mut width = match rule {
        Rule::Count(bins) => return spread((least, most), bins.max(1)),
        Rule::Sturges => range / ((n as f64).log2() + 1.0),
        Rule::Doane => doane(samples, n as f64, range),
    };
    if whole && width < 1.0 {
        width = 1.0;
    }
    let (low, high) = if range == 0.0 { (least - 0.5, most + 0.5) } else { (least, most) };
    let bins = if width > 0.0 { ((high - low) / width).ceil() as usize } else { 1 };
    spread((low, high), bins.max(1))
}

fn spread((low, high): (f64, f64), bins: usize) -> Vec<f64> {
    let (low, high) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
    let step = (high - low) / bins as f64;
    let mut edges: Vec<f64> = (0..bins).map(|i| i as f64 * step + low).collect();
    edges.push(high);
    edges
}

fn doane(samples: &[&Sample], n: f64, range: f64) -> f64 {
    if n <= 2.0 {
        return 0.0;
    }
    let values = || samples.iter().flat_map(|s| s.values());
    let mean = values().sum::<f64>() / n;
    let deviation = (values().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    if deviation <= 0.0 {
        return 0.0;
    }
    let skewness = values().map(|v| ((v - mean) / deviation).powi(3)).sum::<f64>() / n;
    let error = (6.0 * (n - 2.0) / ((n + 1.0) * (n + 3.0))).sqrt();
    range / (1.0 + n.log2() + (1.0 + skewness.abs() / error).log2())
}

/// [`histogram`] of finite numbers in any order.
pub fn histogram_of(values: &[f64], edges: &[f64]) -> Vec<u64> {
    let Some(bins) = edges.len().checked_sub(1).filter(|bins| *bins > 0) else { return Vec::new() };
    let (low, high) = (edges[0], edges[bins]);
    let scale = bins as f64 / (high - low);
    let mut counts = vec![0; bins];
    for v in values.iter().filter(|v| (low..=high).contains(*v)) {
        // Where it would be by its distance, then where the edges say.
        let mut at = (((v - low) * scale) as usize).min(bins - 1);
        while at > 0 && *v < edges[at] {
            at -= 1;
        }
        while at + 1 < bins && *v >= edges[at + 1] {
            at += 1;
        }
        counts[at] += 1;
    }
    counts
}

/// How many values fall into each bin. The last holds its upper edge; what is outside is in none.
pub fn histogram(sample: &Sample, edges: &[f64]) -> Vec<u64> {
    let values = sample.values();
    let Some((last, inner)) = edges.split_last() else { return Vec::new() };
    let mut places: Vec<usize> = inner.iter().map(|edge| values.partition_point(|v| v < edge)).collect();
    places.push(values.partition_point(|v| v <= last));
    places.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect()
}

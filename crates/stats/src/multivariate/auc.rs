//! The area under the ROC curve: how often a row of one side scores above one of the other.

use crate::special::normal_quantile;
use crate::twosample::Sample;

/// An area with its interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Auc {
    /// Probability that a row of the current data scores above one of the reference; equal scores count half.
    pub area: f64,
    /// Lower end of the 95 % interval (DeLong, DeLong and Clarke-Pearson 1988).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Of the scores of both sides, of which neither is empty.
pub fn auc(reference: &Sample, current: &Sample) -> Auc {
    let above = placements(current.values(), reference.values());
    // How often a row of the reference is below one of the current data.
    let below: Vec<f64> = placements(reference.values(), current.values()).into_iter().map(|p| 1.0 - p).collect();
    let area = mean(&above);
    let error = (spread(&above) / above.len() as f64 + spread(&below) / below.len() as f64).sqrt();
    let margin = normal_quantile(0.975) * error;
    Auc { area, low: (area - margin).max(0.0), high: (area + margin).min(1.0) }
}

/// The area that a score without any knowledge stays under with probability `level`.
pub fn chance_auc(reference: usize, current: usize, level: f64) -> f64 {
    let (n, m) = (reference as f64, current as f64);
    (0.5 + normal_quantile(level) * ((n + m + 1.0) / (12.0 * n * m)).sqrt()).min(1.0)
}

/// For each of `values` the share of `others` below it, of equals the half. Both ascend.
fn placements(values: &[f64], others: &[f64]) -> Vec<f64> {
    let (mut below, mut upto) = (0, 0);
    let place = |x: &f64| {
        below += others[below..].iter().take_while(|y| *y < x).count();
        upto = upto.max(below);
        upto += others[upto..].iter().take_while(|y| *y <= x).count();
        (below + upto) as f64 / (2 * others.len()) as f64
    };
    values.iter().map(place).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Variance, divided by n − 1; 0 under two values.
fn spread(values: &[f64]) -> f64 {
    let middle = mean(values);
    values.iter().map(|v| (v - middle).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0).max(1.0)
}

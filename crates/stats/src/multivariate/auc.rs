//! The area under the ROC curve: how often a row of one side scores above one of the other.

use crate::performance::{Level, area};
use crate::special::normal_quantile;
use crate::twosample::Sample;

/// An area with its interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Auc {
    /// Probability that a row of the current data scores above one of the reference; equal scores count half.
    pub area: f64,
    /// Lower end of the 95 % interval (DeLong, DeLong and Clarke-Pearson 1988, on log-odds).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Of the scores of both sides, `None` where one is empty.
pub fn auc(reference: &Sample, current: &Sample) -> Option<Auc> {
    let found = area(current.values(), reference.values(), Level::default())?;
    let (low, high) = found.interval.map_or((found.value, found.value), |i| (i.low, i.high));
    Some(Auc { area: found.value, low, high })
}

/// The area that a score without any knowledge stays under with probability `level`.
pub fn chance_auc(reference: usize, current: usize, level: f64) -> f64 {
    let (n, m) = (reference as f64, current as f64);
    (0.5 + normal_quantile(level) * ((n + m + 1.0) / (12.0 * n * m)).sqrt()).min(1.0)
}

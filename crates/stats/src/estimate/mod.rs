//! How good predictions probably are while nobody knows what is true.
//!
//! [`Cbpe`] reads it off the probabilities of a classifier: once these are calibrated, each says how likely its row is to
//! be right (confidence-based performance estimation, as NannyML 0.13 does it, with its band of three sampling errors).
//! [`Dle`] learns from a reference how large errors of a regression are where (direct loss estimation). Both hold while
//! only the inputs drift: what they cannot see is that the same inputs now mean something else.

mod cbpe;
mod dle;
mod forest;
mod isotonic;
mod sampling;
mod splits;

#[cfg(test)]
mod oracles;
#[cfg(test)]
mod tests;

pub use cbpe::{Cbpe, Classified, Estimate, NoEstimate};
pub use dle::{Dle, Predicted};
pub use forest::{Binned, Cuts, Feature, Forest};
pub use isotonic::Isotonic;

/// Standard deviations of the reference's chunks beyond which an estimate is an alert, and sampling errors of its band.
const DEVIATIONS: f64 = 3.0;

/// The mean of what is finite, less and plus three standard deviations (divided by n): NannyML's thresholds, of estimates
/// and of drift.
pub(crate) fn thresholds(realized: &[f64]) -> Option<(f64, f64)> {
    let there: Vec<f64> = realized.iter().copied().filter(|x| x.is_finite()).collect();
    if there.is_empty() {
        return None;
    }
    let mean = there.iter().sum::<f64>() / there.len() as f64;
    let reach = DEVIATIONS * deviation(&there);
    Some((mean - reach, mean + reach))
}

/// Divided by n, as numpy's.
fn deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt()
}

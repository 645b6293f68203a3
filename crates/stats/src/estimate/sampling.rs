//! How far a metric of n rows is off by chance, from the reference (NannyML's `sampling_error`).
//!
//! What is odd about it, and kept: ranks of the area under the ROC curve leave out the lowest positive, and the errors of
//! many classes' F1 lack the factor that those of one have. Its resamples for the average precision are drawn by chance;
//! ours are drawn from a seed.

use super::deviation;
use crate::performance::{Level, Scored};
use crate::stream::Coin;

const RESAMPLES: usize = 50;
const LARGEST: usize = 50_000;
const SEED: u64 = 0x0063_6270_6531_7265;

/// Which metric of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Precision,
    Recall,
    F1,
    Specificity,
}

/// The standard deviation of a row's part of the metric, and the share of rows that have one.
pub(super) type Spread = (f64, f64);

/// Zeros and ones of the rows that a metric is of. `truth` and `said` are whether rows are of the class.
pub(super) fn part(part: Part, truth: &[bool], said: &[bool], factor: bool) -> Spread {
    let n = truth.len() as f64;
    let mut counts = [[0.0_f64; 2]; 2];
    truth.iter().zip(said).for_each(|(t, s)| counts[usize::from(*t)][usize::from(*s)] += 1.0);
    let [[tn, fp], [missed, tp]] = counts;
    let (hits, misses) = match part {
        Part::Precision => (tp, fp),
        Part::Recall => (tp, missed),
        Part::F1 => (tp, missed + fp),
        Part::Specificity => (tn, fp),
    };
    let all = hits + misses;
    if all == 0.0 {
        return (f64::NAN, 0.0);
    }
    let share = hits / all;
    let scale = if part == Part::F1 && factor { all / (0.5 * misses + hits) } else { 1.0 };
    (scale * (share * (1.0 - share)).sqrt(), all / n)
}

/// Of the area under the ROC curve.
pub(super) fn area(truth: &[bool], scores: &[f64]) -> Spread {
    let n = truth.len() as f64;
    let many = truth.iter().filter(|t| **t).count() as f64 > 0.5 * n;
    let mut rows: Vec<(f64, bool)> =
        scores.iter().zip(truth).map(|(s, t)| if many { (1.0 - s, !t) } else { (*s, *t) }).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives: Vec<usize> = rows.iter().enumerate().filter(|(_, r)| r.1).map(|(at, _)| at).collect();
    let negatives = n - positives.len() as f64;
    // Zero stands for the negatives and for a positive that is first: it is dropped where there are negatives.
    let ranks: Vec<f64> =
        positives.iter().filter(|at| **at > 0).enumerate().map(|(i, at)| (*at as f64 - i as f64) / negatives).collect();
    (deviation(&ranks), positives.len() as f64 / n)
}

/// Of the average precision: of resamples, and how large they were.
pub(super) fn average_precision(truth: &[bool], scores: &[f64]) -> Spread {
    let size = (truth.len() / 2).min(LARGEST);
    let mut coin = Coin::new(SEED);
    let drawn: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let mut sample = Scored::default();
            for _ in 0..size {
                let at = coin.below(truth.len() as u64) as usize;
                sample.push(scores[at], truth[at]);
            }
            sample.average_precision(Level::default()).map(|m| m.value)
        })
        .collect();
    (deviation(&drawn), size as f64)
}

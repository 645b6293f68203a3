//! Scores of one class of two.

use super::interval::{Level, Measure, Method};
use super::regression::mean;
use crate::moments::Moments;

/// Scores of rows that were of the class, and of rows that were not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scored {
    positive: Vec<f64>,
    negative: Vec<f64>,
    log_loss: Moments,
    brier: Moments,
    outside: bool,
}

/// A part of the column that has the same score, the highest first: how many positives and negatives.
type Tie = (u64, u64);

impl Scored {
    /// Adds a row. A score that is not finite is not counted: `false`.
    pub fn push(&mut self, score: f64, truth: bool) -> bool {
        if !score.is_finite() {
            return false;
        }
        if truth {
            self.positive.push(score);
        } else {
            self.negative.push(score);
        }
        self.outside |= !(0.0..=1.0).contains(&score);
        // As far from 0 and 1 as scikit-learn keeps it.
        let p = score.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
        self.log_loss.push(-if truth { p.ln() } else { (1.0 - p).ln() });
        self.brier.push((score - if truth { 1.0 } else { 0.0 }).powi(2));
        true
    }

    /// Adds what `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        self.positive.extend_from_slice(&other.positive);
        self.negative.extend_from_slice(&other.negative);
        self.log_loss.merge(&other.log_loss);
        self.brier.merge(&other.brier);
        self.outside |= other.outside;
    }

    /// Rows of the class, and others.
    pub fn counts(&self) -> (u64, u64) {
        (self.positive.len() as u64, self.negative.len() as u64)
    }

    /// Whether all scores may be probabilities.
    pub fn are_probabilities(&self) -> bool {
        !self.outside
    }

    /// Score and truth of each row.
    pub fn rows(&self) -> impl Iterator<Item = (f64, bool)> + Clone {
        self.positive.iter().map(|s| (*s, true)).chain(self.negative.iter().map(|s| (*s, false)))
    }

    /// The probability that a row of the class scores higher than another. `None` without rows of both.
    pub fn roc_auc(&self, level: Level) -> Option<Measure> {
        area(&self.positive, &self.negative, level)
    }

    /// The area under precision by recall, as steps. `None` without a row of the class.
    pub fn average_precision(&self, level: Level) -> Option<Measure> {
        if self.positive.is_empty() {
            return None;
        }
        let total = self.positive.len() as f64;
        let (mut hits, mut said, mut area) = (0, 0, 0.0);
        for (positive, negative) in self.ties() {
            hits += positive;
            said += positive + negative;
            area += positive as f64 / total * hits as f64 / said as f64;
        }
        let error = (area * (1.0 - area) / total).sqrt();
        Some(Measure::share(area, error, (level, Method::Logit)))
    }

    fn ties(&self) -> Vec<Tie> {
        let mut all: Vec<(f64, bool)> = self.rows().collect();
        all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut ties: Vec<Tie> = Vec::new();
        let mut last = f64::NAN;
        for (score, truth) in all {
            if score != last {
                ties.push((0, 0));
                last = score;
            }
            if let Some(tie) = ties.last_mut() {
                if truth { tie.0 += 1 } else { tie.1 += 1 }
            }
        }
        ties
    }

    /// The mean of −ln of the probability that was given to what was true. `None` unless scores are probabilities.
    pub fn log_loss(&self, level: Level) -> Option<Measure> {
        if self.outside { None } else { mean(&self.log_loss, level).map(|m| m.at_least(0.0)) }
    }

    /// The mean square of how far the probability was from 0 or 1. `None` unless scores are probabilities.
    pub fn brier(&self, level: Level) -> Option<Measure> {
        if self.outside { None } else { mean(&self.brier, level).map(|m| m.at_least(0.0)) }
    }
}

/// How often a row of `positive` scores higher than one of `negative`, ties counting half (DeLong, DeLong and
/// Clarke-Pearson 1988). Its interval is on the scale of log-odds, which keeps its level with some tens of rows as well
/// (Pepe 2003); an area of 0 or 1 has none. `None` without rows on both sides.
pub(crate) fn area(positive: &[f64], negative: &[f64], level: Level) -> Option<Measure> {
    let parts = components(positive, negative)?;
    let error = (parts.variance(0) + parts.variance(1)).sqrt();
    // Of one row nothing is known of the spread.
    let error = if error.is_finite() { error } else { 0.0 };
    Some(Measure::share(parts.area, error, (level, Method::DeLong)))
}

/// DeLong's: for each row, the share of the other side's rows that it stands right to; ties count half.
pub(super) struct Components {
    pub area: f64,
    pub positive: Vec<f64>,
    pub negative: Vec<f64>,
}

impl Components {
    /// Of the mean of one side: the variance over the number; infinite for one row.
    fn variance(&self, side: usize) -> f64 {
        let values = if side == 0 { &self.positive } else { &self.negative };
        let n = values.len() as f64;
        values.iter().map(|v| (v - self.area).powi(2)).sum::<f64>() / (n - 1.0) / n
    }
}

/// `None` without rows on both sides. In n log n (Sun and Xu 2014).
pub(super) fn components(positive: &[f64], negative: &[f64]) -> Option<Components> {
    if positive.is_empty() || negative.is_empty() {
        return None;
    }
    let sorted = |values: &[f64]| {
        let mut values: Vec<f64> = values.iter().map(|v| v + 0.0).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let (above, below) = (sorted(positive), sorted(negative));
    let share = |sorted: &[f64], x: f64| {
        let (less, not_more) = (sorted.partition_point(|v| *v < x), sorted.partition_point(|v| *v <= x));
        (less as f64 + (not_more - less) as f64 / 2.0) / sorted.len() as f64
    };
    let positive: Vec<f64> = positive.iter().map(|x| share(&below, *x)).collect();
    let negative: Vec<f64> = negative.iter().map(|x| 1.0 - share(&above, *x)).collect();
    let area = positive.iter().sum::<f64>() / positive.len() as f64;
    Some(Components { area, positive, negative })
}

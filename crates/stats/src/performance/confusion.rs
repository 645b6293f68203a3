//! Which class was predicted for which.

use super::interval::{Level, Measure, Method, wilson};
use serde::{Deserialize, Serialize};

/// Counts by true and predicted class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    classes: usize,
    /// Row-major: a row for each true class.
    counts: Vec<u64>,
}

/// How the metrics of classes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Average {
    /// Each class counts the same.
    Macro,
    /// Each class counts as often as it is true.
    Weighted,
}

impl Confusion {
    /// Nothing seen of so many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Adds one row. Classes are numbered from 0; one that is not there is not counted.
    pub fn push(&mut self, truth: usize, predicted: usize) {
        if truth < self.classes && predicted < self.classes {
            self.counts[truth * self.classes + predicted] += 1;
        }
    }

    /// Adds what `other` has seen of the same classes.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.classes, other.classes);
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
    }

    /// How many classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How often `predicted` was said of `truth`.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.classes + predicted]
    }

    /// A row for each true class.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks(self.classes.max(1))
    }

    /// Rows seen.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How often the class was true.
    pub fn support(&self, class: usize) -> u64 {
        (0..self.classes).map(|j| self.count(class, j)).sum()
    }

    /// How often it was predicted.
    pub fn predicted(&self, class: usize) -> u64 {
        (0..self.classes).map(|i| self.count(i, class)).sum()
    }

    fn correct(&self) -> u64 {
        (0..self.classes).map(|c| self.count(c, c)).sum()
    }

    /// Classes that were true or predicted: those that scikit-learn averages over.
    fn seen(&self) -> Vec<usize> {
        (0..self.classes).filter(|c| self.support(*c) + self.predicted(*c) > 0).collect()
    }

    /// Share of rows that were right: of one class a row, F1, precision and recall by `micro` too.
    pub fn accuracy(&self, level: Level) -> Option<Measure> {
        wilson(self.correct(), self.total(), level)
    }

    /// Of the rows of the class, the share that was found: the true positive rate.
    pub fn recall(&self, class: usize, level: Level) -> Option<Measure> {
        wilson(self.count(class, class), self.support(class), level)
    }

    /// Of the rows said to be of the class, the share that was.
    pub fn precision(&self, class: usize, level: Level) -> Option<Measure> {
        wilson(self.count(class, class), self.predicted(class), level)
    }

    /// Of the rows of other classes, the share that was not said to be of this one.
    pub fn specificity(&self, class: usize, level: Level) -> Option<Measure> {
        let others = self.total() - self.support(class);
        wilson(others - self.false_positives(class), others, level)
    }

    /// Of the rows of other classes, the share that was said to be of this one.
    pub fn false_positive_rate(&self, class: usize, level: Level) -> Option<Measure> {
        wilson(self.false_positives(class), self.total() - self.support(class), level)
    }

    /// Share of all rows that were said to be of the class.
    pub fn selection_rate(&self, class: usize, level: Level) -> Option<Measure> {
        wilson(self.predicted(class), self.total(), level)
    }

    fn false_positives(&self, class: usize) -> u64 {
        self.predicted(class) - self.count(class, class)
    }

    /// The harmonic mean of precision and recall: 2J/(1 + J) of the Jaccard index J, which is a share.
    pub fn f1(&self, class: usize, level: Level) -> Option<Measure> {
        let hit = self.count(class, class);
        let either = self.support(class) + self.predicted(class) - hit;
        let mut found = wilson(hit, either, level)?.map(|j| 2.0 * j / (1.0 + j));
        if let Some(interval) = &mut found.interval {
            interval.method = Method::WilsonOfJaccard;
        }
        Some(found)
    }

    /// The mean of the recalls of the classes that were true.
    pub fn balanced_accuracy(&self, level: Level) -> Option<Measure> {
        let recalls: Vec<Measure> = (0..self.classes).filter_map(|c| self.recall(c, level)).collect();
        if recalls.is_empty() {
            return None;
        }
        let n = recalls.len() as f64;
        let value = recalls.iter().map(|r| r.value).sum::<f64>() / n;
        let reach = |side: &dyn Fn(&Measure) -> f64| recalls.iter().map(|r| side(r).powi(2)).sum::<f64>().sqrt() / n;
        let low = value - reach(&|r| r.interval.map_or(0.0, |i| r.value - i.low));
        let high = value + reach(&|r| r.interval.map_or(0.0, |i| i.high - r.value));
        Some(Measure::between(value, (low.max(0.0), high.min(1.0)), Method::Mover))
    }

    /// The variance of a function of the shares of the cells whose gradient is `gradient(truth, predicted)`, over n.
    fn error(&self, gradient: impl Fn(usize, usize) -> f64) -> f64 {
        let n = self.total() as f64;
        let (mut mean, mut square) = (0.0, 0.0);
        for i in 0..self.classes {
            for j in 0..self.classes {
                let share = self.count(i, j) as f64 / n;
                // Where nothing was counted a gradient may have no value.
                if share > 0.0 {
                    let g = gradient(i, j);
                    mean += share * g;
                    square += share * g * g;
                }
            }
        }
        ((square - mean * mean).max(0.0) / n).sqrt()
    }

    fn shares(&self, class: usize) -> (f64, f64, f64) {
        let n = self.total() as f64;
        (self.count(class, class) as f64 / n, self.support(class) as f64 / n, self.predicted(class) as f64 / n)
    }

    /// The mean of `score(hit, true, predicted)` of each class, all as shares of the rows, with its slopes.
    fn averaged(&self, how: Average, level: Level, score: impl Fn(f64, f64, f64) -> [f64; 4]) -> Option<Measure> {
        let seen = self.seen();
        if seen.is_empty() {
            return None;
        }
        let each = 1.0 / seen.len() as f64;
        let parts: Vec<Option<([f64; 4], f64)>> = (0..self.classes)
            .map(|c| {
                let (hit, truth, predicted) = self.shares(c);
                let weight = if how == Average::Macro { each } else { truth };
                seen.contains(&c).then(|| (score(hit, truth, predicted), weight))
            })
            .collect();
        let value = parts.iter().flatten().map(|(s, weight)| s[0] * weight).sum();
        let error = self.error(|i, j| {
            let mut slope = 0.0;
            if let Some((s, weight)) = &parts[i] {
                slope += weight * s[2] + if how == Average::Weighted { s[0] } else { 0.0 };
                slope += if i == j { weight * s[1] } else { 0.0 };
            }
            if let Some((s, weight)) = &parts[j] {
                slope += weight * s[3];
            }
            slope
        });
        Some(Measure::share(value, error, (level, Method::Delta)))
    }

    /// F1 over classes; one that was neither true nor predicted is left out, as in scikit-learn.
    pub fn f1_average(&self, how: Average, level: Level) -> Option<Measure> {
        self.averaged(how, level, |hit, truth, predicted| {
            let both = truth + predicted;
            let f = 2.0 * hit / both;
            [f, 2.0 / both, -f / both, -f / both]
        })
    }

    /// Precision over classes; that of one that was never predicted is zero, as in scikit-learn.
    pub fn precision_average(&self, how: Average, level: Level) -> Option<Measure> {
        self.averaged(how, level, |hit, _, predicted| {
            if predicted > 0.0 {
                [hit / predicted, 1.0 / predicted, 0.0, -hit / (predicted * predicted)]
            } else {
                [0.0; 4]
            }
        })
    }

    /// Recall over classes; that of one that was never true is zero, as in scikit-learn.
    pub fn recall_average(&self, how: Average, level: Level) -> Option<Measure> {
        self.averaged(how, level, |hit, truth, _| {
            if truth > 0.0 { [hit / truth, 1.0 / truth, -hit / (truth * truth), 0.0] } else { [0.0; 4] }
        })
    }

    /// Matthews' correlation, of many classes as Gorodkin (2004) has it. Zero, without an interval, where one class
    /// is all that was true or predicted.
    pub fn matthews(&self, level: Level) -> Option<Measure> {
        if self.total() == 0 {
            return None;
        }
        let shares: Vec<_> = (0..self.classes).map(|c| self.shares(c)).collect();
        let sum = |f: fn(&(f64, f64, f64)) -> f64| shares.iter().map(f).sum::<f64>();
        let covariance = sum(|s| s.0) - sum(|s| s.1 * s.2);
        let (truth, predicted) = (1.0 - sum(|s| s.1 * s.1), 1.0 - sum(|s| s.2 * s.2));
        // A sum of squares of shares is one but for the last digit where there is one class.
        if truth < 1e-15 || predicted < 1e-15 {
            return Some(Measure::bare(0.0));
        }
        let scale = (truth * predicted).sqrt();
        let value = covariance / scale;
        let error = self.error(|i, j| {
            let hit = if i == j { 1.0 } else { 0.0 };
            (hit - shares[i].2 - shares[j].1) / scale + value * (shares[i].1 / truth + shares[j].2 / predicted)
        });
        Some(Measure::agreement(value, error, level))
    }

    /// Cohen's kappa. `None` where chance alone agrees always.
    pub fn kappa(&self, level: Level) -> Option<Measure> {
        if self.total() == 0 {
            return None;
        }
        let shares: Vec<_> = (0..self.classes).map(|c| self.shares(c)).collect();
        let observed: f64 = shares.iter().map(|s| s.0).sum();
        let chance: f64 = shares.iter().map(|s| s.1 * s.2).sum();
        let room = 1.0 - chance;
        if room < 1e-15 {
            return None;
        }
        let value = (observed - chance) / room;
        let error = self.error(|i, j| {
            let hit = if i == j { 1.0 } else { 0.0 };
            // d/dp of (o − e)/(1 − e), with de = predicted(i) + truth(j).
            (hit - (1.0 - value) * (shares[i].2 + shares[j].1)) / room
        });
        Some(Measure::agreement(value, error, level))
    }

    /// The mean value of a row, where `worth[truth][predicted]` is what each outcome brings. `None` where it is not of
    /// these classes.
    pub fn worth(&self, worth: &[Vec<f64>], level: Level) -> Option<Measure> {
        let n = self.total();
        if n == 0 || worth.len() != self.classes || worth.iter().any(|row| row.len() != self.classes) {
            return None;
        }
        let share = |i: usize, j: usize| self.count(i, j) as f64 / n as f64;
        let cells = || (0..self.classes).flat_map(|i| (0..self.classes).map(move |j| (i, j)));
        let value: f64 = cells().map(|(i, j)| share(i, j) * worth[i][j]).sum();
        if n < 2 {
            return Some(Measure::bare(value));
        }
        let variance: f64 = cells().map(|(i, j)| share(i, j) * (worth[i][j] - value).powi(2)).sum();
        let reach = level.z() * (variance / (n - 1) as f64).sqrt();
        Some(Measure::between(value, (value - reach, value + reach), Method::CentralLimit))
    }
}

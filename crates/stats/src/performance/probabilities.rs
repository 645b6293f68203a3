//! A probability for each of many classes.

use super::interval::{Level, Measure, Method};
use super::regression::mean;
use super::scored::{Scored, components};
use crate::moments::Moments;

/// Probabilities of rows, and their true classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Probabilities {
    classes: usize,
    /// Row-major.
    given: Vec<f64>,
    truth: Vec<u32>,
    log_loss: Moments,
    brier: Moments,
}

impl Probabilities {
    /// Nothing seen of so many classes.
    pub fn new(classes: usize) -> Self {
        let (given, truth) = (Vec::new(), Vec::new());
        Self { classes, given, truth, log_loss: Moments::default(), brier: Moments::default() }
    }

    /// Adds a row. One of another length, or with what is no probability, or of a class that is not there, is not
    /// counted: `false`.
    pub fn push(&mut self, given: &[f64], truth: usize) -> bool {
        if given.len() != self.classes || truth >= self.classes || given.iter().any(|p| !(0.0..=1.0).contains(p)) {
            return false;
        }
        self.given.extend_from_slice(given);
        self.truth.push(truth as u32);
        self.log_loss.push(-given[truth].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln());
        let squares = given.iter().enumerate().map(|(c, p)| (p - if c == truth { 1.0 } else { 0.0 }).powi(2));
        self.brier.push(squares.sum());
        true
    }

    /// Adds what `other` has seen of the same classes.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.classes, other.classes);
        self.given.extend_from_slice(&other.given);
        self.truth.extend_from_slice(&other.truth);
        self.log_loss.merge(&other.log_loss);
        self.brier.merge(&other.brier);
    }

    /// Rows seen.
    pub fn count(&self) -> u64 {
        self.truth.len() as u64
    }

    /// The mean of −ln of the probability of what was true.
    pub fn log_loss(&self, level: Level) -> Option<Measure> {
        mean(&self.log_loss, level).map(|m| m.at_least(0.0))
    }

    /// The mean over rows of the sum over classes of (probability − truth)²: Brier's own form, 0 to 2.
    pub fn brier(&self, level: Level) -> Option<Measure> {
        mean(&self.brier, level).map(|m| m.at_least(0.0))
    }

    /// One class against all others.
    pub fn of(&self, class: usize) -> Scored {
        let mut scored = Scored::default();
        for (row, truth) in self.given.chunks(self.classes.max(1)).zip(&self.truth) {
            scored.push(row[class], *truth as usize == class);
        }
        scored
    }

    /// The mean of the areas under the ROC curves of each class against all others. `None` where a class was never
    /// true: then scikit-learn refuses too.
    pub fn roc_auc(&self, level: Level) -> Option<Measure> {
        let n = self.truth.len();
        if n == 0 || self.classes < 2 {
            return None;
        }
        // What each row moves the mean of the areas by.
        let mut moved = vec![0.0; n];
        let mut value = 0.0;
        for class in 0..self.classes {
            let column: Vec<f64> = self.given.iter().skip(class).step_by(self.classes).copied().collect();
            let is = |at: &usize| self.truth[*at] as usize == class;
            let (positive, negative): (Vec<usize>, Vec<usize>) = (0..n).partition(is);
            let pick = |rows: &[usize]| rows.iter().map(|at| column[*at]).collect::<Vec<_>>();
            let parts = components(&pick(&positive), &pick(&negative))?;
            value += parts.area / self.classes as f64;
            for (rows, side) in [(&positive, &parts.positive), (&negative, &parts.negative)] {
                let scale = n as f64 / rows.len() as f64 / self.classes as f64;
                rows.iter().zip(side).for_each(|(at, component)| moved[*at] += (component - parts.area) * scale);
            }
        }
        let error = moved.iter().map(|m| m * m).sum::<f64>().sqrt() / n as f64;
        if error <= 0.0 {
            return Some(Measure::bare(value));
        }
        let reach = level.z() * error;
        Some(Measure::between(value, ((value - reach).max(0.0), (value + reach).min(1.0)), Method::DeLong))
    }
}

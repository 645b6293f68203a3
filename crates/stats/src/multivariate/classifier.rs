//! Can a classifier tell the two sides apart? The two-sample test of Lopez-Paz and Oquab (2017).
//!
//! One half of each side's rows, drawn by chance, trains a logistic regression to tell current rows from reference
//! rows; the other half is scored. Had both sides one distribution, the scores of the held-out rows would be in an order
//! by chance, whatever was learnt: so the rank test of them is exact, and DeLong's interval holds. With folds that take
//! turns, the areas of two folds go up and down together even without drift (each learns from what the other is tested
//! on), and their mean is less certain than a formula for held-out rows says.

use super::auc::{Auc, auc, chance_auc};
use crate::stream::Coin;
use crate::twosample::{Alternative, NoTest, Sample, mann_whitney};
use std::collections::VecDeque;

/// Rows of a side without which nothing is learnt.
const LEAST: usize = 8;
/// Steps at most; what is learnt after some tens hardly changes.
const STEPS: usize = 60;
/// A gain that is too small to go on for, relative to the loss.
const GAIN: f64 = 1e-7;
/// Past steps that the curvature is told from.
const MEMORY: usize = 8;

/// Rows of features, those of the reference first.
pub trait Features {
    /// How many features there are.
    fn width(&self) -> usize;
    /// The row times `weights`.
    fn dot(&self, row: usize, weights: &[f64]) -> f64;
    /// Adds `by` times the row.
    fn add(&self, row: usize, by: f64, to: &mut [f64]);
    /// The row times itself.
    fn square(&self, row: usize) -> f64;
}

/// How well the sides can be told apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Apart {
    /// Of the held-out rows: 0.5 is not at all, 1 is always.
    pub auc: Auc,
    /// Probability of such an area or a greater one, had both sides one distribution.
    pub p_value: f64,
    /// Held-out rows of the reference and of the current data.
    pub rows: [usize; 2],
    /// What each feature adds to the log-odds that a row is a current one.
    pub weights: Vec<f64>,
}

impl Apart {
    /// The area that a score without any knowledge stays under with probability `level`.
    pub fn chance(&self, level: f64) -> f64 {
        chance_auc(self.rows[0], self.rows[1], level)
    }
}

/// Tells `rows` of the reference and of the current data apart, which are the rows of `features` in this order. The
/// same `seed` draws the same halves.
///
/// # Errors
/// [`NoTest::TooFew`] when a side has fewer than eight rows.
pub fn apart(features: &impl Features, rows: [usize; 2], seed: u64) -> Result<Apart, NoTest> {
    let [n, m] = rows;
    if n.min(m) < LEAST {
        return Err(NoTest::TooFew { have: n.min(m), need: LEAST });
    }
    let mut coin = Coin::new(seed);
    let [reference, current] = [halves(0..n, &mut coin), halves(n..n + m, &mut coin)];
    let train = Train { features, rows: [reference.0, current.0] };
    let weights = train.learn();
    let score = |rows: &[usize]| Sample::new(rows.iter().map(|row| features.dot(*row, &weights)).collect());
    let (a, b) = (score(&reference.1), score(&current.1));
    let held = [reference.1.len(), current.1.len()];
    let p_value = match mann_whitney(&a, &b, Alternative::Less) {
        Ok(test) => test.p_value,
        // Nothing was learnt: all score the same.
        Err(NoTest::NoSpread) => 1.0,
        Err(other) => return Err(other),
    };
    let auc = auc(&a, &b).ok_or(NoTest::TooFew { have: n.min(m), need: LEAST })?;
    Ok(Apart { auc, p_value, rows: held, weights })
}

/// Two halves by chance.
fn halves(rows: std::ops::Range<usize>, coin: &mut Coin) -> (Vec<usize>, Vec<usize>) {
    let mut rows: Vec<usize> = rows.collect();
    for i in (1..rows.len()).rev() {
        rows.swap(i, coin.below(i as u64 + 1) as usize);
    }
    let rest = rows.split_off(rows.len() / 2);
    (rows, rest)
}

/// Logistic regression: the loss of the two sides, each as a whole counting half, and a normal prior by which a row's
/// features all together move the log-odds by about one. The last weight is the intercept, which has no prior.
struct Train<'a, F> {
    features: &'a F,
    rows: [Vec<usize>; 2],
}

impl<F: Features> Train<'_, F> {
    /// Limited-memory BFGS (Nocedal 1980) from no knowledge.
    fn learn(&self) -> Vec<f64> {
        let width = self.features.width();
        let all = || self.rows.iter().flatten();
        let penalty = all().map(|row| self.features.square(*row)).sum::<f64>() / all().count() as f64;
        let mut weights = vec![0.0; width + 1];
        let (mut loss, mut slope) = self.loss(&weights, penalty);
        let mut past: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
        for _ in 0..STEPS {
            let direction = descent(&slope, &past);
            let down = product(&direction, &slope);
            let mut length = if past.is_empty() { 1.0 / product(&slope, &slope).sqrt().max(1e-12) } else { 1.0 };
            let found = loop {
                let there: Vec<f64> = weights.iter().zip(&direction).map(|(w, d)| w + length * d).collect();
                let (its, gradient) = self.loss(&there, penalty);
                if its <= loss + 1e-4 * length * down {
                    break Some((there, its, gradient));
                }
                length /= 2.0;
                if length < 1e-10 {
                    break None;
                }
            };
            let Some((there, its, gradient)) = found else { break };
            let step: Vec<f64> = there.iter().zip(&weights).map(|(a, b)| a - b).collect();
            let bend: Vec<f64> = gradient.iter().zip(&slope).map(|(a, b)| a - b).collect();
            let gain = loss - its;
            (weights, loss, slope) = (there, its, gradient);
            if gain <= GAIN * loss {
                break;
            }
            if product(&step, &bend) > 0.0 {
                past.push_back((step, bend));
                if past.len() > MEMORY {
                    past.pop_front();
                }
            }
        }
        weights.truncate(width);
        weights
    }

    /// Loss and its gradient.
    fn loss(&self, weights: &[f64], penalty: f64) -> (f64, Vec<f64>) {
        let (inner, intercept) = weights.split_at(self.features.width());
        let intercept = intercept.first().copied().unwrap_or(0.0);
        let total = self.rows.iter().map(Vec::len).sum::<usize>() as f64;
        let mut gradient: Vec<f64> = inner.iter().map(|w| penalty * w).chain([0.0]).collect();
        let mut loss = 0.5 * penalty * product(inner, inner);
        for (rows, sign) in self.rows.iter().zip([-1.0, 1.0]) {
            let each = total / (2.0 * rows.len() as f64);
            for row in rows {
                let margin = sign * (self.features.dot(*row, inner) + intercept);
                // ln(1 + e^−margin), without overflow.
                loss += each * ((-margin.abs()).exp().ln_1p() + (-margin).max(0.0));
                let pull = -sign * each / (1.0 + margin.exp());
                let (to, last) = gradient.split_at_mut(inner.len());
                self.features.add(*row, pull, to);
                if let Some(last) = last.first_mut() {
                    *last += pull;
                }
            }
        }
        (loss, gradient)
    }
}

/// Downhill, by the curvature of past steps.
fn descent(slope: &[f64], past: &VecDeque<(Vec<f64>, Vec<f64>)>) -> Vec<f64> {
    let mut direction: Vec<f64> = slope.iter().map(|g| -g).collect();
    let add = |to: &mut [f64], by: f64, of: &[f64]| to.iter_mut().zip(of).for_each(|(x, y)| *x += by * y);
    let mut shares = Vec::with_capacity(past.len());
    for (step, bend) in past.iter().rev() {
        let share = product(step, &direction) / product(step, bend);
        add(&mut direction, -share, bend);
        shares.push(share);
    }
    if let Some((step, bend)) = past.back() {
        let scale = product(step, bend) / product(bend, bend);
        for d in &mut direction {
            *d *= scale;
        }
    }
    for ((step, bend), share) in past.iter().zip(shares.into_iter().rev()) {
        let back = product(bend, &direction) / product(step, bend);
        add(&mut direction, share - back, step);
    }
    direction
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Rows that have a number for each feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    width: usize,
    cells: Vec<f64>,
}

impl Dense {
    /// Rows of `width` numbers, one after the other.
    pub fn new(width: usize, cells: Vec<f64>) -> Self {
        Self { width, cells }
    }

    /// Brings each feature to mean 0 and deviation 1 over all rows, of whichever side. One that does not vary becomes 0.
    pub fn standardize(&mut self) {
        let width = self.width;
        for at in 0..width {
            let mut moments = crate::Moments::default();
            self.cells.iter().skip(at).step_by(width).for_each(|x| moments.push(*x));
            let (mean, deviation) = (moments.mean().unwrap_or(0.0), moments.stddev().unwrap_or(0.0));
            let by = if deviation > 1e-12 * mean.abs() { 1.0 / deviation } else { 0.0 };
            self.cells.iter_mut().skip(at).step_by(width).for_each(|x| *x = (*x - mean) * by);
        }
    }

    fn row(&self, row: usize) -> &[f64] {
        self.cells.get(row * self.width..(row + 1) * self.width).unwrap_or_default()
    }
}

impl Features for Dense {
    fn width(&self) -> usize {
        self.width
    }

    fn dot(&self, row: usize, weights: &[f64]) -> f64 {
        super::eigen::dot(self.row(row), weights)
    }

    fn add(&self, row: usize, by: f64, to: &mut [f64]) {
        to.iter_mut().zip(self.row(row)).for_each(|(t, x)| *t += by * x);
    }

    fn square(&self, row: usize) -> f64 {
        super::eigen::dot(self.row(row), self.row(row))
    }
}

/// Rows of which most features are 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sparse {
    width: usize,
    /// Where each row ends.
    ends: Vec<usize>,
    places: Vec<u32>,
    cells: Vec<f32>,
}

impl Sparse {
    /// No rows of so many features.
    pub fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// Adds a row: features, of which each is less than the width, and their numbers.
    pub fn push(&mut self, row: impl IntoIterator<Item = (u32, f32)>) {
        for (place, cell) in row.into_iter().filter(|(place, _)| (*place as usize) < self.width) {
            self.places.push(place);
            self.cells.push(cell);
        }
        self.ends.push(self.places.len());
    }

    /// The features of a row that are not 0.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (u32, f32)> {
        let from = if row == 0 { 0 } else { self.ends[row - 1] };
        (from..self.ends[row]).map(|at| (self.places[at], self.cells[at]))
    }
}

impl Features for Sparse {
    fn width(&self) -> usize {
        self.width
    }

    fn dot(&self, row: usize, weights: &[f64]) -> f64 {
        self.row(row).map(|(place, cell)| f64::from(cell) * weights[place as usize]).sum()
    }

    fn add(&self, row: usize, by: f64, to: &mut [f64]) {
        self.row(row).for_each(|(place, cell)| to[place as usize] += by * f64::from(cell));
    }

    fn square(&self, row: usize) -> f64 {
        self.row(row).map(|(_, cell)| f64::from(cell).powi(2)).sum()
    }
}

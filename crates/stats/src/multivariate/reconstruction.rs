//! How much of a row is lost when only the reference's main directions are kept: NannyML 0.13.1's
//! `DataReconstructionDriftCalculator`, in three passes over the reference and one over the current data, with memory
//! for the columns' square and for the different categories.
//!
//! What it does, and is kept:
//! - A missing number becomes the reference's mean, a missing category its most frequent one (of equals the least).
//! - A category becomes its share of the reference; one that the reference lacks becomes 0.
//! - Each column is then brought to mean 0 and deviation 1 (divided by n); one that does not vary keeps its unit.
//! - Of the principal components as many are kept as it takes to explain more than 65 % of the variance. A row's error
//!   is its distance from what they say of it.
//!
//! Infinite numbers, which `NannyML` refuses, count as missing here; so does a category that is missing in whatever way,
//! where it fills NaN (from a CSV) and takes pandas' None (from Parquet) for one more category.

use super::eigen::{dot, eigen};
use crate::Moments;
use crate::presets::MISSING;
use std::cmp::Ordering;
use std::collections::HashMap;

/// Share of the variance that is kept.
const KEPT: f64 = 0.65;

/// Some rows of one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cells<'a> {
    /// Numbers; what is missing is not finite.
    Numbers(&'a [f64]),
    /// Categories by their number; what is missing is [`MISSING`].
    Categories(&'a [u32]),
}

impl Cells<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Categories(values) => values.len(),
        }
    }
}

/// The first pass: what fills holes, and each column's scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    rows: u64,
    columns: Vec<Seen>,
}

#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Numbers(Moments),
    Categories(HashMap<u32, u64>),
}

impl Survey {
    /// Of columns of which these say whether they are numbers.
    pub fn new(numeric: &[bool]) -> Self {
        let seen = |n: &bool| if *n { Seen::Numbers(Moments::default()) } else { Seen::Categories(HashMap::new()) };
        Self { rows: 0, columns: numeric.iter().map(seen).collect() }
    }

    /// Adds rows: a list of cells for each column. Cells of the other kind count as missing.
    pub fn push(&mut self, columns: &[Cells]) {
        self.rows += columns.first().map_or(0, Cells::len) as u64;
        for (seen, cells) in self.columns.iter_mut().zip(columns) {
            match (seen, cells) {
                (Seen::Numbers(moments), Cells::Numbers(values)) => {
                    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
                    moments.extend(&finite);
                }
                (Seen::Categories(counts), Cells::Categories(values)) => {
                    values.iter().filter(|v| **v != MISSING).for_each(|v| *counts.entry(*v).or_default() += 1);
                }
                _ => {}
            }
        }
    }

    /// Adds the rows that another survey of the same columns has seen.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        for (ours, theirs) in self.columns.iter_mut().zip(other.columns) {
            match (ours, theirs) {
                (Seen::Numbers(a), Seen::Numbers(b)) => a.merge(&b),
                (Seen::Categories(a), Seen::Categories(b)) => {
                    for (v, n) in b {
                        *a.entry(v).or_default() += n;
                    }
                }
                _ => {}
            }
        }
    }

    /// How a row becomes numbers of one scale. `order` says of two categories of the column at a place which is less.
    pub fn encoding(self, order: impl Fn(usize, u32, u32) -> Ordering) -> Encoding {
        let rows = self.rows as f64;
        let code = |(at, seen): (usize, Seen)| seen.code(rows, |a, b| order(at, a, b));
        Encoding(self.columns.into_iter().enumerate().map(code).collect())
    }
}

impl Seen {
    fn code(self, rows: f64, order: impl Fn(u32, u32) -> Ordering) -> Code {
        match self {
            Self::Numbers(moments) => {
                let mean = moments.mean().unwrap_or(0.0);
                // Filled with the mean, the holes add nothing but rows.
                let squares = moments.variance().unwrap_or(0.0) * (moments.count() as f64 - 1.0).max(0.0);
                Code { meaning: Meaning::Number, fill: mean, mean, scale: scale(mean, squares / rows, rows) }
            }
            Self::Categories(mut counts) => {
                let present: u64 = counts.values().sum();
                let usual = counts.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| order(*b.0, *a.0))).map(|(v, _)| *v);
                if let Some(usual) = usual {
                    *counts.entry(usual).or_default() += rows as u64 - present;
                }
                let shares: HashMap<u32, f64> = counts.iter().map(|(v, n)| (*v, *n as f64 / rows)).collect();
                let mean = shares.values().map(|s| s * s).sum::<f64>();
                let variance = shares.values().map(|s| s * (s - mean).powi(2)).sum::<f64>();
                let fill = usual.and_then(|v| shares.get(&v)).copied().unwrap_or(0.0);
                Code { meaning: Meaning::Shares(shares), fill, mean, scale: scale(mean, variance, rows) }
            }
        }
    }
}

/// The deviation, or 1 where it is but rounding.
fn scale(mean: f64, variance: f64, rows: f64) -> f64 {
    let rounding = rows * f64::EPSILON * variance + (rows * mean * f64::EPSILON).powi(2);
    if variance <= rounding || variance.is_nan() { 1.0 } else { variance.sqrt() }
}

/// How rows become numbers of one scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding(Vec<Code>);

#[derive(Debug, Clone, PartialEq)]
struct Code {
    meaning: Meaning,
    fill: f64,
    mean: f64,
    scale: f64,
}

#[derive(Debug, Clone, PartialEq)]
enum Meaning {
    Number,
    Shares(HashMap<u32, f64>),
}

impl Encoding {
    /// Calls `f` with each row, a number for each column.
    fn rows(&self, columns: &[Cells], mut f: impl FnMut(&[f64])) {
        let mut row = vec![0.0; self.0.len()];
        for at in 0..columns.first().map_or(0, Cells::len) {
            for ((cell, code), cells) in row.iter_mut().zip(&self.0).zip(columns) {
                let raw = match (cells, &code.meaning) {
                    (Cells::Numbers(values), Meaning::Number) if values[at].is_finite() => values[at],
                    (Cells::Categories(values), Meaning::Shares(shares)) if values[at] != MISSING => {
                        shares.get(&values[at]).copied().unwrap_or(0.0)
                    }
                    _ => code.fill,
                };
                *cell = (raw - code.mean) / code.scale;
            }
            f(&row);
        }
    }
}

/// The second pass: sums of products of each two columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Covariance {
    rows: u64,
    sums: Vec<f64>,
    /// Row by row up to the diagonal.
    products: Vec<Vec<f64>>,
}

impl Covariance {
    /// Of no rows of so many columns.
    pub fn new(encoding: &Encoding) -> Self {
        let n = encoding.0.len();
        Self { rows: 0, sums: vec![0.0; n], products: (1..=n).map(|n| vec![0.0; n]).collect() }
    }

    /// Adds rows.
    pub fn push(&mut self, encoding: &Encoding, columns: &[Cells]) {
        encoding.rows(columns, |row| {
            self.rows += 1;
            self.sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            for (products, x) in self.products.iter_mut().zip(row) {
                products.iter_mut().zip(row).for_each(|(sum, y)| *sum += x * y);
            }
        });
    }

    /// Adds the rows that another has seen, of the same columns.
    pub fn merge(&mut self, other: &Self) {
        let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(x, y)| *x += y);
        self.rows += other.rows;
        add(&mut self.sums, &other.sums);
        self.products.iter_mut().zip(&other.products).for_each(|(a, b)| add(a, b));
    }

    /// The directions that explain most. `None` when nothing varies.
    pub fn reconstruction(self, encoding: Encoding) -> Option<Reconstruction> {
        let rows = self.rows as f64;
        let center: Vec<f64> = self.sums.iter().map(|s| s / rows).collect();
        let n = center.len();
        let entry = |i: usize, j: usize| {
            let (i, j) = (i.max(j), i.min(j));
            (self.products[i][j] - rows * center[i] * center[j]) / (rows - 1.0)
        };
        let found = eigen((0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect());
        let total: f64 = found.values.iter().sum();
        if total.is_nan() || total <= 0.0 {
            return None;
        }
        let mut explained = 0.0;
        let mut basis = Vec::new();
        for (value, vector) in found.values.iter().zip(found.vectors) {
            explained += value / total;
            basis.push(vector);
            if explained > KEPT {
                break;
            }
        }
        Some(Reconstruction { encoding, center, basis })
    }
}

/// What the reference's main directions say of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconstruction {
    encoding: Encoding,
    center: Vec<f64>,
    basis: Vec<Vec<f64>>,
}

impl Reconstruction {
    /// How many directions are kept.
    pub fn components(&self) -> usize {
        self.basis.len()
    }

    /// Appends each row's error to `to`.
    pub fn errors(&self, columns: &[Cells], to: &mut Vec<f64>) {
        let mut rest = vec![0.0; self.center.len()];
        self.encoding.rows(columns, |row| {
            for (left, (x, mean)) in rest.iter_mut().zip(row.iter().zip(&self.center)) {
                *left = x - mean;
            }
            for direction in &self.basis {
                let along = dot(&rest, direction);
                rest.iter_mut().zip(direction).for_each(|(left, d)| *left -= along * d);
            }
            to.push(dot(&rest, &rest).sqrt());
        });
    }
}

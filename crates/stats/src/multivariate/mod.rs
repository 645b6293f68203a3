//! Whether rows as wholes have changed: what no column shows alone, vectors and texts.
//!
//! | what | how | memory | source |
//! |---|---|---|---|
//! | a table's rows | [`Survey`], [`Covariance`], [`Reconstruction`]: error of reconstruction from principal components | the columns' square | NannyML 0.13.1, to 10⁻⁶ |
//! | a table's rows | [`Table`] and [`apart`]: a classifier on drawn rows | the drawn rows | Lopez-Paz and Oquab (2017) |
//! | vectors | [`ratio`], [`Distance`], [`mmd`] and its permutation test, [`apart`] | the drawn rows; of [`mmd`] their square; of [`Means`] one vector | Evidently 0.7.23, to 10⁻⁹ on the same rows |
//! | texts | [`texts_apart`]: a classifier on words, and which words; [`Form`] | the drawn texts | |
//!
//! p-values are for one look: see [`crate::stream::Conformal`] for a stream.

mod auc;
mod classifier;
mod eigen;
mod reconstruction;
mod table;
mod vectors;
mod words;

#[cfg(test)]
mod tests;

pub use auc::{Auc, auc, chance_auc};
pub use classifier::{Apart, Dense, Features, Sparse, apart};
pub use reconstruction::{Cells, Covariance, Encoding, Reconstruction, Survey};
pub use table::{Drawn, Table};
pub(crate) use vectors::{COMPONENT, LEAST};
pub use vectors::{Discrepancy, Distance, Means, Vectors, mmd, ratio};
pub use words::{Form, texts_apart};

use crate::stream::Coin;
use serde::{Deserialize, Serialize};

/// A feature by which the sides can be told apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weighted {
    /// Its name, or the word.
    pub name: String,
    /// What it adds to the log-odds that a row is a current one: above 0 it speaks for the current data.
    pub weight: f64,
}

/// `wanted` of so many rows by chance, in ascending order; all when there are fewer. The same `seed` draws the same.
pub fn drawn(rows: usize, wanted: usize, seed: u64) -> Vec<usize> {
    let mut coin = Coin::new(seed);
    let mut left = wanted.min(rows);
    let mut chosen = Vec::with_capacity(left);
    for row in 0..rows {
        if left > 0 && coin.below((rows - row) as u64) < left as u64 {
            chosen.push(row);
            left -= 1;
        }
    }
    chosen
}

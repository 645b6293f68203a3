//! What is kept of a column: enough for drift, quality and a histogram, in a few kilobytes.

use crate::{Distinct, Frequent, Kll, Moments};
use serde::{Deserialize, Serialize};

/// k of a column's quantile sketch: rank error about 2 %, at most 4 KiB.
const COLUMN_K: u16 = 128;

/// A column of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumericProfile {
    /// Values that were absent.
    pub missing: u64,
    /// Values that were NaN.
    pub nan: u64,
    /// Values that were plus or minus infinity.
    pub infinite: u64,
    /// Mean and variance of the finite values.
    pub moments: Moments,
    /// Quantiles of the finite values, with exact minimum and maximum.
    pub quantiles: Kll,
}

impl Default for NumericProfile {
    fn default() -> Self {
        Self { missing: 0, nan: 0, infinite: 0, moments: Moments::default(), quantiles: Kll::new(COLUMN_K) }
    }
}

impl NumericProfile {
    /// Adds values. Those that are not finite are counted and taken out of the list.
    pub fn extend(&mut self, values: &mut Vec<f64>) {
        // Without an early end, so that it runs over many at once.
        if !values.iter().fold(true, |all, v| all & v.is_finite()) {
            let nan = values.iter().filter(|v| v.is_nan()).count() as u64;
            let before = values.len() as u64;
            values.retain(|v| v.is_finite());
            self.nan += nan;
            self.infinite += before - values.len() as u64 - nan;
        }
        self.moments.extend(values);
        self.quantiles.extend(values);
    }

    /// Adds everything that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        self.missing += other.missing;
        self.nan += other.nan;
        self.infinite += other.infinite;
        self.moments.merge(&other.moments);
        self.quantiles.merge(&other.quantiles);
    }

    /// As [`NumericProfile::merge`] with each of `others`, at a fraction of the cost.
    pub fn merge_all(&mut self, others: &[&Self]) {
        for other in others {
            self.missing += other.missing;
            self.nan += other.nan;
            self.infinite += other.infinite;
            self.moments.merge(&other.moments);
        }
        self.quantiles.merge_all(&others.iter().map(|other| &other.quantiles).collect::<Vec<_>>());
    }

    /// Values seen, absent ones included.
    pub fn count(&self) -> u64 {
        self.moments.count() + self.missing + self.nan + self.infinite
    }
}

/// A column of texts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TextProfile {
    /// Values that were there.
    pub present: u64,
    /// Values that were absent.
    pub missing: u64,
    /// How many different ones.
    pub distinct: Distinct,
    /// The most frequent ones.
    pub frequent: Frequent,
}

impl TextProfile {
    /// Adds one value.
    pub fn push(&mut self, value: &str) {
        self.present += 1;
        self.distinct.push(value.as_bytes());
        self.frequent.push(value, 1);
    }

    /// Adds everything that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        self.present += other.present;
        self.missing += other.missing;
        self.distinct.merge(&other.distinct);
        self.frequent.merge(&other.frequent);
    }

    /// Values seen, absent ones included.
    pub fn count(&self) -> u64 {
        self.present + self.missing
    }
}

#[cfg(test)]
mod tests;

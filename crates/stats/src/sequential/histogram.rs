//! Counts in bins that widen by a factor: ranks that are exact at the edges, however many values there are.

use super::{InvalidSetting, positive};
use crate::InvalidSketch;
use serde::{Deserialize, Serialize};

/// Each bin ends 2 % above where it begins.
const GROWTH: f64 = 1.02;
/// Bins at most: from 1 to 10¹⁷.
const MOST: usize = 2_000;

/// A histogram of positive numbers such as latencies.
///
/// Beside [`crate::Kll`], which answers any rank within an error that is too large for a test of the p99, this one
/// answers the number of values up to an edge exactly, so that what is built on it stays exact; only places are
/// rounded, to 2 %. Memory: 117 numbers for each factor of ten. Histograms with the same limits merge by addition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct LogHistogram {
    lowest: f64,
    highest: f64,
    total: u64,
    /// Bin 0 ends at `lowest`; the last has no end.
    bins: Vec<u64>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    lowest: f64,
    highest: f64,
    bins: Vec<u64>,
}

impl LogHistogram {
    /// For values that matter between `lowest` and `highest`; what lies outside is counted at the ends.
    pub fn new(lowest: f64, highest: f64) -> Result<Self, InvalidSetting> {
        let (lowest, highest) = (positive("lowest", lowest)?, positive("highest", highest)?);
        let bins = (libm::log(highest / lowest) / libm::log(GROWTH)).ceil() + 2.0;
        if !(3.0..=MOST as f64).contains(&bins) {
            return Err(InvalidSetting { what: "highest", given: highest, must: "1 to 16 powers of ten over lowest" });
        }
        Ok(Self { lowest, highest, total: 0, bins: vec![0; bins as usize] })
    }

    /// Counts a value. NaN is not counted.
    pub fn push(&mut self, value: f64) {
        if let Some(bin) = self.bin(value) {
            self.bins[bin] += 1;
            self.total += 1;
        }
    }

    /// Adds what `other` has counted; false, and nothing, when its limits are others.
    pub fn merge(&mut self, other: &Self) -> bool {
        let same = self.lowest == other.lowest && self.highest == other.highest;
        if same {
            for (ours, theirs) in self.bins.iter_mut().zip(&other.bins) {
                *ours += theirs;
            }
            self.total += other.total;
        }
        same
    }

    /// Values counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The bin whose values are above its lower and up to its upper edge.
    fn bin(&self, value: f64) -> Option<usize> {
        if value.is_nan() {
            return None;
        }
        if value <= self.lowest {
            return Some(0);
        }
        let place = (libm::log(value / self.lowest) / libm::log(GROWTH)).ceil().max(1.0);
        let mut bin = (place as usize).min(self.bins.len() - 1);
        // The logarithm rounds; the edges decide.
        if value <= self.edge(bin - 1) {
            bin -= 1;
        } else if value > self.edge(bin) {
            bin += 1;
        }
        Some(bin.min(self.bins.len() - 1))
    }

    /// Where bin `bin` ends.
    pub(crate) fn edge(&self, bin: usize) -> f64 {
        if bin + 1 >= self.bins.len() { f64::INFINITY } else { self.lowest * libm::pow(GROWTH, bin as f64) }
    }

    /// The bin of `value`, rounded up: all values up to `value` lie in it or below.
    pub(crate) fn bin_above(&self, value: f64) -> usize {
        self.bin(value).unwrap_or(self.bins.len() - 1)
    }

    /// (upper edge, values up to it) for each bin.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut sum = 0;
        self.bins.iter().enumerate().map(move |(bin, count)| {
            sum += count;
            (self.edge(bin), sum)
        })
    }

    /// The least edge up to which `rank` values lie; ∞ when there are fewer within the limits, 0 for rank 0.
    pub fn at_rank(&self, rank: u64) -> f64 {
        if rank == 0 {
            return 0.0;
        }
        let mut sum = 0;
        let reaches = |count: &u64| {
            sum += count;
            sum >= rank
        };
        self.bins.iter().position(reaches).map_or(f64::INFINITY, |bin| self.edge(bin))
    }

    /// Where the bin of the value with this rank begins: the value is above it. 0 for rank 0 and for the lowest bin.
    pub fn below_rank(&self, rank: u64) -> f64 {
        let mut before = 0.0;
        for (edge, sum) in self.cumulative() {
            if rank == 0 || sum >= rank {
                return before;
            }
            before = edge;
        }
        before
    }
}

impl TryFrom<Stored> for LogHistogram {
    type Error = InvalidSketch;

    fn try_from(stored: Stored) -> Result<Self, InvalidSketch> {
        let invalid = |why: String| InvalidSketch { sketch: "histogram", why };
        let mut histogram = Self::new(stored.lowest, stored.highest).map_err(|e| invalid(e.to_string()))?;
        if histogram.bins.len() != stored.bins.len() {
            return Err(invalid(format!("it has {} bins, {} are needed", stored.bins.len(), histogram.bins.len())));
        }
        let total = stored.bins.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        histogram.total = total.ok_or_else(|| invalid("its counts overflow".to_owned()))?;
        histogram.bins = stored.bins;
        Ok(histogram)
    }
}

impl From<LogHistogram> for Stored {
    fn from(h: LogHistogram) -> Self {
        Self { lowest: h.lowest, highest: h.highest, bins: h.bins }
    }
}

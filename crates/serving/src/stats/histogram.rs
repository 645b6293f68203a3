//! A fixed log-linear histogram of nanoseconds that many threads record into without a lock.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Values below this share the first bucket.
const FIRST_BITS: u32 = 8;
/// Values from this power of two on share the last bucket: 2^37 ns are 137 s.
const LAST_BITS: u32 = 37;
/// Buckets in an octave: 8, so a quantile is at most 12.5 % too high.
const SUB_BITS: u32 = 3;
const BUCKETS: usize = 2 + (((LAST_BITS - FIRST_BITS) as usize) << SUB_BITS);

/// Counts by duration. 8 buckets an octave from 256 ns to 137 s; about 2 kB.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), sum_ns: AtomicU64::new(0) }
    }
}

fn index(ns: u64) -> usize {
    if ns < 1 << FIRST_BITS {
        return 0;
    }
    let exponent = ns.ilog2();
    if exponent >= LAST_BITS {
        return BUCKETS - 1;
    }
    let sub = (ns >> (exponent - SUB_BITS)) & ((1 << SUB_BITS) - 1);
    1 + (((exponent - FIRST_BITS) as usize) << SUB_BITS) + sub as usize
}

/// The first value that is beyond bucket `index`.
fn bound(index: usize) -> u64 {
    if index == 0 {
        return 1 << FIRST_BITS;
    }
    if index >= BUCKETS - 1 {
        return u64::MAX;
    }
    let exponent = FIRST_BITS + ((index - 1) >> SUB_BITS) as u32;
    let sub = ((index - 1) & ((1 << SUB_BITS) - 1)) as u64;
    ((1 << SUB_BITS) + sub + 1) << (exponent - SUB_BITS)
}

impl Histogram {
    /// Counts one value.
    pub fn record(&self, ns: u64) {
        self.buckets[index(ns)].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// A copy of the counts.
    pub fn view(&self) -> HistogramView {
        let buckets: Vec<(u64, u64)> = self
            .buckets
            .iter()
            .enumerate()
            .filter_map(|(i, b)| Some(b.load(Ordering::Relaxed)).filter(|n| *n > 0).map(|n| (bound(i), n)))
            .collect();
        let count = buckets.iter().map(|(_, n)| n).sum();
        HistogramView { buckets, count, sum_ns: self.sum_ns.load(Ordering::Relaxed) }
    }
}

/// Counts of a histogram at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistogramView {
    /// Buckets that are not empty, in order: the first value beyond the bucket (nanoseconds), and
    /// how many values are in it.
    pub buckets: Vec<(u64, u64)>,
    /// Values in all.
    pub count: u64,
    /// Their sum, nanoseconds.
    pub sum_ns: u64,
}

impl HistogramView {
    /// The value, nanoseconds, that a share `q` (0 to 1) of the values does not exceed, rounded up
    /// to its bucket's bound (at most 12.5 % more). `None` when nothing was recorded.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let rank = (q.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.buckets.iter().find_map(|(bound, n)| {
            seen += n;
            // No value is more than their sum: what never waits has a queue of nothing, not of a bucket.
            (seen >= rank).then_some((*bound).min(self.sum_ns))
        })
    }

    /// How many values lie in buckets that end at or before `limit`: a Prometheus `le` bucket.
    pub fn at_most(&self, limit: Duration) -> u64 {
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        self.buckets.iter().take_while(|(bound, _)| *bound <= limit).map(|(_, n)| n).sum()
    }

    /// The mean, nanoseconds; 0 when nothing was recorded.
    pub fn mean_ns(&self) -> u64 {
        self.sum_ns.checked_div(self.count).unwrap_or(0)
    }
}

//! Quantiles in a stream with bounded memory.
//!
//! The sketch of Karnin, Lang and Liberty, "Optimal Quantile Approximation in Streams" (FOCS 2016):
//! a tower of compactors. An item on level `h` stands for `2^h` items of the stream. A full
//! compactor sorts its items and promotes every other one, starting at the first or the second by a
//! fair coin. Capacities shrink by 2/3 per level downwards, never below a minimum.
//!
//! The coin is a SplitMix64 sequence that starts from a constant, so that the same stream gives the
//! same sketch in every run: windows and drift verdicts replay exactly.

use crate::InvalidSketch;
use serde::{Deserialize, Serialize};

/// Capacity below which no upper level shrinks.
const MIN_CAPACITY: usize = 8;
/// Capacity of level 0, where items arrive: larger than the theory asks, so that one sort serves
/// many items.
const BASE_CAPACITY: usize = 64;
/// Levels that a stream of `u64::MAX` items could fill.
const MAX_LEVELS: usize = 64;

/// A quantile sketch over finite numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Kll {
    k: u16,
    n: u64,
    min: f64,
    max: f64,
    coin: u64,
    /// `levels[0]` is in order of arrival, the others are sorted.
    levels: Vec<Vec<f64>>,
}

/// The stored form, checked before it becomes a [`Kll`].
#[derive(Deserialize)]
struct Stored {
    k: u16,
    n: u64,
    min: f64,
    max: f64,
    coin: u64,
    levels: Vec<Vec<f64>>,
}

impl TryFrom<Stored> for Kll {
    type Error = InvalidSketch;

    fn try_from(s: Stored) -> Result<Self, InvalidSketch> {
        let invalid = |why: String| InvalidSketch { sketch: "KLL", why };
        if s.k < MIN_CAPACITY as u16 {
            return Err(invalid(format!("k is {}, at least {MIN_CAPACITY} is needed", s.k)));
        }
        if s.levels.is_empty() || s.levels.len() > MAX_LEVELS {
            return Err(invalid(format!("it has {} levels", s.levels.len())));
        }
        let weight = s
            .levels
            .iter()
            .enumerate()
            .try_fold(0_u64, |sum, (h, l)| (l.len() as u64).checked_mul(1 << h).and_then(|w| sum.checked_add(w)));
        if weight != Some(s.n) {
            return Err(invalid(format!("its items weigh {weight:?}, it claims {}", s.n)));
        }
        if s.levels.iter().flatten().any(|v| !v.is_finite()) {
            return Err(invalid("an item is not a finite number".into()));
        }
        if s.levels.iter().skip(1).any(|l| !l.is_sorted()) {
            return Err(invalid("a level is not sorted".into()));
        }
        Ok(Self { k: s.k, n: s.n, min: s.min, max: s.max, coin: s.coin, levels: s.levels })
    }
}

impl Default for Kll {
    /// k = 200: single-sided rank error about 1.3 %.
    fn default() -> Self {
        Self::new(200)
    }
}

impl Kll {
    /// An empty sketch. A larger `k` (at least 8) is more exact and takes more memory.
    pub fn new(k: u16) -> Self {
        let k = k.max(MIN_CAPACITY as u16);
        Self {
            k,
            n: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            coin: 0x6d61_696e_7370_7267,
            levels: vec![Vec::new()],
        }
    }

    /// Items seen.
    pub fn count(&self) -> u64 {
        self.n
    }

    /// Smallest item, exact.
    pub fn min(&self) -> Option<f64> {
        (self.n > 0).then_some(self.min)
    }

    /// Largest item, exact.
    pub fn max(&self) -> Option<f64> {
        (self.n > 0).then_some(self.max)
    }

    /// Items held now.
    pub fn retained(&self) -> usize {
        self.levels.iter().map(Vec::len).sum()
    }

    /// Bytes held now, for memory limits.
    pub fn byte_len(&self) -> usize {
        size_of::<Self>()
            + self.levels.iter().map(|l| l.capacity() * size_of::<f64>() + size_of::<Vec<f64>>()).sum::<usize>()
    }

    /// Rank error that 99 % of queries stay within: `2.296 / k^0.9021`, the constants that Apache
    /// DataSketches fitted to the same compaction scheme.
    pub fn rank_error(&self) -> f64 {
        2.296 / f64::from(self.k).powf(0.9021)
    }

    /// Adds one number. Numbers that are not finite have no rank and are left out.
    #[inline]
    pub fn push(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.n += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let base = &mut self.levels[0];
        base.push(value);
        if base.len() >= BASE_CAPACITY {
            self.compress();
        }
    }

    /// Adds everything that `other` has seen. Sketches of different `k` merge to the smaller one.
    pub fn merge(&mut self, other: &Self) {
        if other.n == 0 {
            return;
        }
        self.k = self.k.min(other.k);
        self.n += other.n;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.coin ^= other.coin.rotate_left(32);
        while self.levels.len() < other.levels.len() {
            self.levels.push(Vec::new());
        }
        self.levels[0].extend_from_slice(&other.levels[0]);
        for (mine, theirs) in self.levels.iter_mut().zip(&other.levels).skip(1) {
            merge_sorted(mine, theirs);
        }
        self.compress();
    }

    /// Gives spare memory back; worth it once a sketch no longer grows.
    pub fn shrink(&mut self) {
        self.levels.iter_mut().for_each(Vec::shrink_to_fit);
    }

    /// Share of items at or below `value`, 0 to 1.
    pub fn rank(&self, value: f64) -> Option<f64> {
        if self.n == 0 {
            return None;
        }
        let below: u64 =
            self.levels.iter().enumerate().map(|(h, l)| (l.iter().filter(|v| **v <= value).count() as u64) << h).sum();
        Some(below as f64 / self.n as f64)
    }

    /// The item at rank `q` (0 to 1), e.g. `0.99` for p99. For several, take [`Kll::view`] once.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.view().quantile(q)
    }

    /// The sketch as a sorted list with weights, for many queries.
    pub fn view(&self) -> KllView {
        let mut items: Vec<(f64, u64)> =
            self.levels.iter().enumerate().flat_map(|(h, l)| l.iter().map(move |v| (*v, 1_u64 << h))).collect();
        items.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut total = 0;
        for item in &mut items {
            total += item.1;
            item.1 = total;
        }
        KllView { items, n: self.n, min: self.min, max: self.max }
    }

    fn capacity(&self, level: usize) -> usize {
        if level == 0 {
            return BASE_CAPACITY;
        }
        let depth = self.levels.len() - 1 - level;
        let scaled = f64::from(self.k) * (2.0_f64 / 3.0).powi(depth as i32);
        (scaled.ceil() as usize).max(MIN_CAPACITY)
    }

    /// Compacts the lowest full level until the whole is within its budget: a lower level may
    /// overflow while an upper one has room, which keeps more items and so lowers the error.
    fn compress(&mut self) {
        loop {
            let budget: usize = (0..self.levels.len()).map(|h| self.capacity(h)).sum();
            if self.retained() < budget {
                return;
            }
            let Some(level) = (0..self.levels.len()).find(|h| self.levels[*h].len() >= self.capacity(*h)) else {
                return;
            };
            self.compact(level);
        }
    }

    fn compact(&mut self, level: usize) {
        if level + 1 == self.levels.len() {
            self.levels.push(Vec::new());
        }
        let odd = self.flip();
        let mut items = std::mem::take(&mut self.levels[level]);
        if level == 0 {
            items.sort_unstable_by(f64::total_cmp);
        }
        // An odd item out stays where it is: weights must add up to n.
        let left = (items.len() % 2 == 1).then(|| items.pop()).flatten();
        let promoted: Vec<f64> = items.iter().copied().skip(usize::from(odd)).step_by(2).collect();
        items.clear();
        items.extend(left);
        self.levels[level] = items;
        merge_sorted(&mut self.levels[level + 1], &promoted);
    }

    /// SplitMix64 (Steele, Lea, Flood 2014); one bit of it.
    fn flip(&mut self) -> bool {
        self.coin = self.coin.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.coin;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) & 1 == 1
    }
}

/// Merges sorted `from` into sorted `into`, from the back, without a second buffer.
fn merge_sorted(into: &mut Vec<f64>, from: &[f64]) {
    let mut i = into.len();
    let mut j = from.len();
    into.resize(i + j, 0.0);
    let mut at = into.len();
    while j > 0 {
        at -= 1;
        if i > 0 && into[i - 1] > from[j - 1] {
            i -= 1;
            into[at] = into[i];
        } else {
            j -= 1;
            into[at] = from[j];
        }
    }
}

/// A [`Kll`] flattened for queries.
#[derive(Debug, Clone)]
pub struct KllView {
    /// Items with the weight at or below them, ascending.
    items: Vec<(f64, u64)>,
    n: u64,
    min: f64,
    max: f64,
}

impl KllView {
    /// The smallest held item with at least `q·n` items at or below it; exact at 0 and 1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.n == 0 || q.is_nan() {
            return None;
        }
        if q <= 0.0 {
            return Some(self.min);
        }
        if q >= 1.0 {
            return Some(self.max);
        }
        let wanted = (q * self.n as f64).ceil() as u64;
        let at = self.items.partition_point(|(_, cumulative)| *cumulative < wanted);
        Some(self.items.get(at).map_or(self.max, |(v, _)| *v))
    }

    /// Share of items at or below `value`.
    pub fn rank(&self, value: f64) -> Option<f64> {
        if self.n == 0 {
            return None;
        }
        let at = self.items.partition_point(|(v, _)| *v <= value);
        let below = if at == 0 { 0 } else { self.items[at - 1].1 };
        Some(below as f64 / self.n as f64)
    }

    /// Items and the share of the stream at or below each: the steps of the distribution function,
    /// what a histogram or a two-sample test reads.
    pub fn steps(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.items.iter().map(|(v, c)| (*v, *c as f64 / self.n as f64))
    }
}

#[cfg(test)]
mod tests;

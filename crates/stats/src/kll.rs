//! Quantiles in a stream with bounded memory.
//!
//! The sketch of Karnin, Lang and Liberty, "Optimal Quantile Approximation in Streams" (FOCS 2016):
//! a tower of compactors. An item on level `h` stands for `2^h` items of the stream. A full
//! compactor sorts its items and promotes every other one, starting at the first or the second by a
//! fair coin. Capacities shrink by 2/3 per level downwards, never below a minimum. Once the tower is
//! high, its foot is a sampler, as in the paper: of each block of `2^base` items one, drawn at random,
//! enters at level `base`, so that a fast stream costs next to nothing an item.
//!
//! The coin is a SplitMix64 sequence that starts from a constant, so that the same stream gives the
//! same sketch in every run: windows and drift verdicts replay exactly.

mod binary;
mod many;
mod view;

use crate::InvalidSketch;
use serde::{Deserialize, Serialize};

pub use view::KllView;

/// Capacity below which no upper level shrinks.
const MIN_CAPACITY: usize = 8;
/// Capacity of the level where items arrive: larger than the theory asks, so that one sort serves
/// many items.
const BASE_CAPACITY: usize = 64;
/// Levels below the top that are compactors, not the sampler. The sampler then draws some 256·k items
/// of the stream, whose own error, 1 in 32·√k, is a fraction of the compactors'.
const DEPTH: usize = 8;
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
    block: Block,
    /// `levels[block.base]` is in order of arrival, the others are sorted.
    levels: Vec<Vec<f64>>,
    /// Items that may enter before the next [`Kll::compress`].
    #[serde(skip)]
    room: usize,
}

/// The sampler: the block of items that is passing by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Block {
    /// It has `2^base` items, and the one that is drawn enters on this level.
    base: u8,
    /// Items of it seen so far.
    seen: u64,
    /// Which one is drawn, from 0.
    drawn: u64,
    /// The one that is drawn, or the first until it comes.
    item: f64,
}

/// The stored form, checked before it becomes a [`Kll`].
#[derive(Deserialize)]
struct Stored {
    k: u16,
    n: u64,
    min: f64,
    max: f64,
    coin: u64,
    block: Block,
    levels: Vec<Vec<f64>>,
}

impl TryFrom<Stored> for Kll {
    type Error = InvalidSketch;

    fn try_from(s: Stored) -> Result<Self, InvalidSketch> {
        let invalid = |why: String| InvalidSketch { sketch: "KLL", why };
        let base = usize::from(s.block.base);
        if s.k < MIN_CAPACITY as u16 {
            return Err(invalid(format!("k is {}, at least {MIN_CAPACITY} is needed", s.k)));
        }
        if s.levels.is_empty() || s.levels.len() > MAX_LEVELS || base >= s.levels.len() {
            return Err(invalid(format!("it has {} levels and begins at level {base}", s.levels.len())));
        }
        if s.block.seen >= 1 << base || s.block.drawn >= 1 << base {
            return Err(invalid("its sampler is past the end of a block".into()));
        }
        let weight = s.levels.iter().enumerate().try_fold(s.block.seen, |sum, (h, l)| {
            (l.len() as u64).checked_mul(1 << h).and_then(|w| sum.checked_add(w))
        });
        if weight != Some(s.n) {
            return Err(invalid(format!("its items weigh {weight:?}, it claims {}", s.n)));
        }
        if s.levels.iter().flatten().chain([&s.block.item]).any(|v| !v.is_finite()) {
            return Err(invalid("an item is not a finite number".into()));
        }
        if s.levels.iter().enumerate().any(|(h, l)| h != base && !l.is_sorted()) {
            return Err(invalid("a level is not sorted".into()));
        }
        let Stored { k, n, min, max, coin, block, levels } = s;
        let mut whole = Self { k, n, min, max, coin, block, levels, room: 0 };
        whole.room = whole.budget().saturating_sub(whole.retained());
        Ok(whole)
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
            block: Block { base: 0, seen: 0, drawn: 0, item: 0.0 },
            levels: vec![Vec::new()],
            room: BASE_CAPACITY,
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
        if value.is_finite() {
            self.extend(&[value]);
        }
    }

    /// Adds finite numbers: much cheaper than pushing each.
    pub fn extend(&mut self, values: &[f64]) {
        debug_assert!(values.iter().all(|v| v.is_finite()), "a number without a rank");
        self.n += values.len() as u64;
        self.min = extreme(values, self.min, |a, b| a < b);
        self.max = extreme(values, self.max, |a, b| a > b);
        let mut rest = values;
        while !rest.is_empty() {
            if self.room == 0 {
                self.compress();
            }
            rest = if self.block.base == 0 { self.take_all(rest) } else { self.sample(rest) };
        }
    }

    /// Takes as many items as there is room for; returns what is left.
    fn take_all<'a>(&mut self, values: &'a [f64]) -> &'a [f64] {
        let (now, rest) = values.split_at(self.room.clamp(1, values.len()));
        self.levels[0].extend_from_slice(now);
        self.room = self.room.saturating_sub(now.len());
        rest
    }

    /// Lets items pass until the block is whole; returns what is left.
    fn sample<'a>(&mut self, values: &'a [f64]) -> &'a [f64] {
        let block = &mut self.block;
        let (now, rest) = values.split_at(((1 << block.base) - block.seen).min(values.len() as u64) as usize);
        if block.seen == 0 {
            block.item = now[0];
        }
        if let Some(item) = block.drawn.checked_sub(block.seen).and_then(|i| now.get(i as usize)) {
            block.item = *item;
        }
        block.seen += now.len() as u64;
        if block.seen == 1 << block.base {
            block.seen = 0;
            let (item, base) = (block.item, block.base);
            self.levels[usize::from(base)].push(item);
            self.room = self.room.saturating_sub(1);
            self.block.drawn = self.random() & ((1 << base) - 1);
        }
        rest
    }

    /// Ends the block early: what stands for its items goes to the levels whose weights add up to them.
    fn end_block(&mut self) {
        let (seen, item) = (std::mem::take(&mut self.block.seen), self.block.item);
        for level in (0..64).filter(|h| seen >> h & 1 == 1) {
            merge_sorted(&mut self.levels[level], &[item]);
        }
    }

    /// Lets items enter on a higher level.
    fn raise(&mut self, base: usize) {
        self.end_block();
        self.levels[usize::from(self.block.base)].sort_unstable_by(f64::total_cmp);
        self.block.base = base as u8;
        self.block.drawn = self.random() & ((1 << base) - 1);
    }

    /// Adds everything that `other` has seen. Sketches of different `k` merge to the smaller one.
    pub fn merge(&mut self, other: &Self) {
        if other.n == 0 {
            return;
        }
        let mut other = other.clone();
        while self.levels.len() < other.levels.len() {
            self.levels.push(Vec::new());
        }
        // The higher of the two samplers goes on, the other ends.
        let base = usize::from(self.block.base.max(other.block.base));
        while other.levels.len() <= base {
            other.levels.push(Vec::new());
        }
        other.raise(base);
        if usize::from(self.block.base) < base {
            self.raise(base);
        }
        self.k = self.k.min(other.k);
        self.n += other.n;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.coin ^= other.coin.rotate_left(32);
        for (level, (mine, theirs)) in self.levels.iter_mut().zip(&other.levels).enumerate() {
            if level == base { mine.extend_from_slice(theirs) } else { merge_sorted(mine, theirs) }
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
        let passing = if self.block.item <= value { self.block.seen } else { 0 };
        Some((below + passing) as f64 / self.n as f64)
    }

    /// The item at rank `q` (0 to 1), e.g. `0.99` for p99. For several, take [`Kll::view`] once.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.view().quantile(q)
    }

    /// The sketch as a sorted list with weights, for many queries.
    pub fn view(&self) -> KllView {
        let mut items: Vec<(f64, u64)> =
            self.levels.iter().enumerate().flat_map(|(h, l)| l.iter().map(move |v| (*v, 1_u64 << h))).collect();
        if self.block.seen > 0 {
            items.push((self.block.item, self.block.seen));
        }
        KllView::new(items, self.n, (self.min, self.max))
    }

    fn capacity(&self, level: usize) -> usize {
        if level == usize::from(self.block.base) {
            return BASE_CAPACITY;
        }
        let depth = self.levels.len() - 1 - level;
        let scaled = f64::from(self.k) * (2.0_f64 / 3.0).powi(depth as i32);
        (scaled.ceil() as usize).max(MIN_CAPACITY)
    }

    /// Compacts the lowest full level until the whole is within its budget: a lower level may
    /// overflow while an upper one has room, which keeps more items and so lowers the error.
    fn compress(&mut self) {
        // It changes only with the levels, and costs more than what it is compared with.
        let (mut budget, mut levels) = (self.budget(), self.levels.len());
        while self.retained() >= budget {
            let Some(level) = (0..self.levels.len()).find(|h| self.levels[*h].len() >= self.capacity(*h)) else {
                break;
            };
            self.compact(level);
            if self.levels.len() != levels {
                (budget, levels) = (self.budget(), self.levels.len());
            }
        }
        let base = self.levels.len().saturating_sub(1 + DEPTH);
        if base > usize::from(self.block.base) {
            self.raise(base);
        }
        self.room = self.budget().saturating_sub(self.retained());
    }

    /// Items that may be held.
    fn budget(&self) -> usize {
        (0..self.levels.len()).map(|h| self.capacity(h)).sum()
    }

    fn compact(&mut self, level: usize) {
        if level + 1 == self.levels.len() {
            self.levels.push(Vec::new());
        }
        let odd = self.random() & 1 == 1;
        let mut items = std::mem::take(&mut self.levels[level]);
        if level == usize::from(self.block.base) {
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

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn random(&mut self) -> u64 {
        self.coin = self.coin.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.coin;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The one of `values` and `known` that comes before all others, in eight parts side by side.
fn extreme(values: &[f64], known: f64, before: impl Fn(f64, f64) -> bool) -> f64 {
    let first = |a: f64, b: f64| if before(b, a) { b } else { a };
    let (eights, rest) = values.as_chunks::<8>();
    let parts = eights.iter().fold([known; 8], |mut parts, eight| {
        parts.iter_mut().zip(eight).for_each(|(part, v)| *part = first(*part, *v));
        parts
    });
    parts.iter().chain(rest).fold(known, |a, b| first(a, *b))
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

#[cfg(test)]
mod tests;

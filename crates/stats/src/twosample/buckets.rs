//! Distances of large samples without sorting them.
//!
//! One pass counts both samples in buckets. Between the buckets' edges the difference of the distribution functions is then
//! known, and within a bucket it can move no further than the bucket's own shares. Only buckets in which that can decide
//! are sorted: those that can hold the greatest difference, or a change of its sign. The others need their counts, or the
//! sum of their values. So the answers are those of sorting everything, up to rounding of the area.
//!
//! Buckets lie closer where some drawn values do: the range of these is cut into equal cells, and each cell into as many
//! buckets as its share of them asks for. A bucket that holds very much all the same is cut again.

use super::walk::steps;
use super::{NoTest, Sample};

/// Equal cells of the range, beside one for what is below and one for what is above it.
const CELLS: usize = 1_022;
/// Buckets of all cells at most: each has one, and the rest are shared out.
const BUCKETS: usize = 1 << 13;
/// Values that are drawn to know where they are dense.
const DRAWN: usize = 4_096;
/// Of these, how many lie beyond each end of the range.
const BEYOND: usize = 4;
/// Values of both samples from which buckets are faster than sorting.
const LARGE: usize = 1 << 15;
/// How often buckets are cut into buckets; what is left is sorted.
const DEPTH: usize = 4;
/// Added to a number, it makes the last bits those of the nearest whole number: 1.5 · 2⁵².
const NEAREST: f64 = 6_755_399_441_055_744.0;

/// What is below: how many values of each sample, of how many.
#[derive(Debug, Clone, Copy)]
struct Below {
    counts: [usize; 2],
    sizes: [f64; 2],
}

impl Below {
    fn difference(&self) -> f64 {
        self.counts[0] as f64 / self.sizes[0] - self.counts[1] as f64 / self.sizes[1]
    }

    fn and(&self, more: [usize; 2]) -> Self {
        Self { counts: [self.counts[0] + more[0], self.counts[1] + more[1]], sizes: self.sizes }
    }
}

/// A bucket's values: how many, and the sum of their distances from its upper edge, in its width.
type Tally = [f64; 2];

/// A cell: its first bucket, and how many it has.
type Cell = [f64; 2];

/// Buckets over the range of two samples.
struct Cut {
    /// Where the cells begin. Edges count from here: far from zero, sums would not be exact.
    low: f64,
    /// Cells in a unit.
    scale: f64,
    cells: Box<[Cell; CELLS + 2]>,
    /// Lower edges of the buckets, and the upper of the last.
    edges: Vec<f64>,
    tallies: [Vec<Tally>; 2],
}

/// One bucket of a [`Cut`].
struct Bucket {
    at: usize,
    below: Below,
    counts: [usize; 2],
    /// ∫ (F − G) over it.
    signed: f64,
}

/// Some of the values, evenly over both samples, sorted.
fn drawn(samples: [&[f64]; 2]) -> Vec<f64> {
    let step = ((samples[0].len() + samples[1].len()) / DRAWN).max(1);
    let mut all: Vec<f64> = samples.iter().flat_map(|values| values.iter().step_by(step).copied()).collect();
    all.sort_unstable_by(f64::total_cmp);
    all
}

impl Cut {
    /// `None` where there is no range to cut, or none that numbers can express.
    fn new(samples: [&[f64]; 2]) -> Option<Self> {
        let drawn = drawn(samples);
        let (low, high) = (*drawn.get(BEYOND)?, *drawn.get(drawn.len().checked_sub(1 + BEYOND)?)?);
        let ends = samples.map(range);
        let ends = [ends[0].0.min(ends[1].0) - low, ends[0].1.max(ends[1].1) - low];
        let (scale, width) = (CELLS as f64 / (high - low), (high - low) / CELLS as f64);
        if !(scale.is_normal() && width.is_normal() && ends.iter().all(|end| end.is_finite())) {
            return None;
        }
        let mut cut = Self {
            low,
            scale,
            cells: Box::new([[0.0, 1.0]; CELLS + 2]),
            edges: vec![ends[0]],
            tallies: [vec![[0.0; 2]; BUCKETS], vec![[0.0; 2]; BUCKETS]],
        };
        let shared = (BUCKETS - CELLS - 2) as f64 / drawn.len() as f64;
        for value in &drawn {
            cut.cells[cut.cell(*value).0][1] += shared;
        }
        for (at, cell) in cut.cells.iter_mut().enumerate() {
            let outside = at == 0 || at == CELLS + 1;
            let count = if outside { 1.0 } else { cell[1].floor() };
            *cell = [(cut.edges.len() - 1) as f64, count];
            let from = (at as f64 - 1.0) * width;
            // Each but the first lower edge is the upper one of the bucket before.
            cut.edges.extend((1..=count as usize).map(|i| if at == 0 { 0.0 } else { from + width * i as f64 / count }));
        }
        if let Some(last) = cut.edges.last_mut() {
            *last = ends[1].max(high - low);
        }
        for (side, values) in samples.into_iter().enumerate() {
            let mut tallies = std::mem::take(&mut cut.tallies[side]);
            if let Ok(tallies) = <&mut [Tally; BUCKETS]>::try_from(tallies.as_mut_slice()) {
                cut.each(values, |_, at, past| tallies[at] = [tallies[at][0] + 1.0, tallies[at][1] + past]);
            }
            cut.tallies[side] = tallies;
        }
        Some(cut)
    }

    /// A value's cell, and how far it is in it, 0 to 1.
    #[inline]
    fn cell(&self, value: f64) -> (usize, f64) {
        let place = ((value - self.low) * self.scale).clamp(-0.5, CELLS as f64 + 0.5) + 0.5;
        let nearest = place + NEAREST;
        ((nearest.to_bits() as usize & 0xffff).min(CELLS + 1), place - (nearest - NEAREST) + 0.5)
    }

    /// Each value with its bucket, and how far it is from the bucket's upper edge in the bucket's width.
    #[inline]
    fn each(&self, values: &[f64], mut f: impl FnMut(f64, usize, f64)) {
        for value in values {
            let (cell, within) = self.cell(*value);
            let [first, count] = self.cells[cell];
            let place = within * count - 0.5;
            let nearest = place + NEAREST;
            let whole = nearest - NEAREST;
            f(*value, (first + whole + NEAREST).to_bits() as usize & (BUCKETS - 1), 0.5 - (place - whole));
        }
    }

    /// The lower and the upper edge of a bucket, from where the cells begin.
    fn edges(&self, at: usize) -> [f64; 2] {
        [self.edges[at], self.edges[at + 1]]
    }

    /// Whether a bucket's values may be farther from its edges than it is wide.
    fn is_open(&self, at: usize) -> bool {
        at == 0 || at + 2 == self.edges.len()
    }

    /// All buckets in their order.
    fn buckets(&self, mut below: Below) -> impl Iterator<Item = Bucket> + '_ {
        self.edges.windows(2).enumerate().map(move |(at, edges)| {
            let tallies = [self.tallies[0][at], self.tallies[1][at]];
            let counts = tallies.map(|tally| tally[0] as usize);
            // A value counts from where it is to the bucket's upper edge.
            let past = tallies[0][1] / below.sizes[0] - tallies[1][1] / below.sizes[1];
            let bucket = Bucket { at, below, counts, signed: (below.difference() + past) * (edges[1] - edges[0]) };
            below = below.and(counts);
            bucket
        })
    }

    /// The values of the wanted buckets less `zero`, bucket by bucket.
    fn gather(&self, samples: [&[f64]; 2], wanted: &[Bucket], zero: f64) -> [Vec<f64>; 2] {
        let mut gathered = [Vec::new(), Vec::new()];
        if wanted.is_empty() {
            return gathered;
        }
        for (side, values) in samples.into_iter().enumerate() {
            // Where a bucket's next value goes, and how far the next but one; what is not wanted goes behind the end,
            // for which no branch has to be foretold.
            let (mut next, mut sum) = (vec![(usize::MAX, 0_usize); BUCKETS], 0);
            for bucket in wanted {
                next[bucket.at] = (sum, 1);
                sum += bucket.counts[side];
            }
            let mut all = vec![0.0; sum + 1];
            self.each(values, |value, at, _| {
                let (place, step) = next[at];
                all[place.min(sum)] = value - zero;
                next[at].0 = place + step;
            });
            all.truncate(sum);
            gathered[side] = all;
        }
        gathered
    }
}

/// The least and the greatest of the values.
fn range(values: &[f64]) -> (f64, f64) {
    let (eights, rest) = values.as_chunks::<8>();
    let (mut least, mut most) = ([f64::INFINITY; 8], [f64::NEG_INFINITY; 8]);
    for eight in eights {
        for (at, v) in eight.iter().enumerate() {
            least[at] = if *v < least[at] { *v } else { least[at] };
            most[at] = if *v > most[at] { *v } else { most[at] };
        }
    }
    let ends = least.iter().zip(&most).map(|(a, b)| (*a, *b)).chain(rest.iter().map(|v| (*v, *v)));
    ends.fold((f64::INFINITY, f64::NEG_INFINITY), |a, b| (a.0.min(b.0), a.1.max(b.1)))
}

fn sorted(samples: [&[f64]; 2]) -> [Sample; 2] {
    samples.map(|values| Sample::new(values.to_vec()))
}

/// Calls `f` with each wanted bucket and its values.
fn refine(wanted: &[Bucket], gathered: &[Vec<f64>; 2], mut f: impl FnMut(&Bucket, [&[f64]; 2])) {
    let mut rest = [gathered[0].as_slice(), gathered[1].as_slice()];
    for bucket in wanted {
        let parts = [0, 1].map(|side| rest[side].split_at(bucket.counts[side]));
        rest = parts.map(|(_, rest)| rest);
        f(bucket, parts.map(|(part, _)| part));
    }
}

/// The greatest |F − G| at these values.
fn greatest(samples: [&[f64]; 2], below: Below, depth: usize) -> f64 {
    let cut = (depth < DEPTH && samples[0].len() + samples[1].len() >= LARGE).then(|| Cut::new(samples)).flatten();
    let Some(cut) = cut else {
        let [a, b] = sorted(samples);
        return steps(a.values(), b.values()).map(|s| below.and([s.a, s.b]).difference().abs()).fold(0.0, f64::max);
    };
    let ends = cut.buckets(below).map(|b| b.below.and(b.counts).difference().abs());
    let mut most = ends.fold(0.0, f64::max);
    // Where only one sample has values, the difference is greatest at an end.
    let reaches = |b: &Bucket| {
        let [up, down] = [[b.counts[0], 0], [0, b.counts[1]]].map(|more| b.below.and(more).difference().abs());
        b.counts[0] > 0 && b.counts[1] > 0 && up.max(down) > most
    };
    let wanted: Vec<Bucket> = cut.buckets(below).filter(reaches).collect();
    // As they are: two that differ little must not become one.
    let gathered = cut.gather(samples, &wanted, 0.0);
    refine(&wanted, &gathered, |bucket, parts| most = most.max(greatest(parts, bucket.below, depth + 1)));
    most
}

/// ∫ |F − G| over `edges`, all values within.
fn area(samples: [&[f64]; 2], below: Below, edges: [f64; 2], depth: usize) -> f64 {
    let cut = (depth < DEPTH && samples[0].len() + samples[1].len() >= LARGE).then(|| Cut::new(samples)).flatten();
    let Some(cut) = cut else {
        let [a, b] = sorted(samples);
        let (mut sum, mut from, mut height) = (0.0, edges[0], below.difference().abs());
        for step in steps(a.values(), b.values()) {
            sum += (step.value - from) * height;
            (from, height) = (step.value, below.and([step.a, step.b]).difference().abs());
        }
        return sum + (edges[1] - from) * height;
    };
    let [first, last] = [cut.edges[0], cut.edges[cut.edges.len() - 1]].map(|edge| cut.low + edge);
    let end = below.and([samples[0].len(), samples[1].len()]);
    let mut sum = (first - edges[0]) * below.difference().abs() + (edges[1] - last) * end.difference().abs();
    let mut wanted = Vec::new();
    for bucket in cut.buckets(below) {
        let [up, down] = [[bucket.counts[0], 0], [0, bucket.counts[1]]].map(|more| bucket.below.and(more).difference());
        // Without a change of sign it is the sum of the values that counts.
        let known = (up <= 0.0 || down >= 0.0) && !cut.is_open(bucket.at);
        if known { sum += bucket.signed.abs() } else { wanted.push(bucket) }
    }
    let gathered = cut.gather(samples, &wanted, cut.low);
    refine(&wanted, &gathered, |bucket, parts| sum += area(parts, bucket.below, cut.edges(bucket.at), depth + 1));
    sum
}

fn whole(samples: [&[f64]; 2]) -> Result<Below, NoTest> {
    let have = samples[0].len().min(samples[1].len());
    if have == 0 {
        return Err(NoTest::TooFew { have, need: 1 });
    }
    Ok(Below { counts: [0; 2], sizes: samples.map(|values| values.len() as f64) })
}

/// The statistic of Kolmogorov and Smirnov of finite numbers in any order: the same as of sorted samples.
///
/// # Errors
/// [`NoTest::TooFew`] when a sample is empty.
pub(super) fn kolmogorov_smirnov_distance_of(reference: &[f64], current: &[f64]) -> Result<f64, NoTest> {
    let samples = [reference, current];
    Ok(greatest(samples, whole(samples)?, 0))
}

/// [`super::wasserstein`] of finite numbers in any order, within 10⁻¹⁰ of it.
///
/// # Errors
/// [`NoTest::TooFew`] when a sample is empty.
pub fn wasserstein_of(reference: &[f64], current: &[f64]) -> Result<f64, NoTest> {
    let samples = [reference, current];
    let below = whole(samples)?;
    let ends = samples.map(range);
    let edges = [ends[0].0.min(ends[1].0), ends[0].1.max(ends[1].1)];
    Ok(area(samples, below, edges, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Coin;
    use crate::twosample::{kolmogorov_smirnov_distance, wasserstein};

    /// A shape of the column from a number between 0 and 1.
    type Shape = fn(f64) -> f64;

    const SHAPES: [(&str, Shape); 9] = [
        ("even", |u| u),
        ("exponential", |u| -(1.0 - u).ln()),
        ("far from zero", |u| 1e9 + u),
        ("heavy tails", |u| (std::f64::consts::PI * (u - 0.5)).tan()),
        ("heaviest tails", |u| (1.0 / (1.0 - u)).powi(8)),
        ("whole", |u| (u * 50.0).floor()),
        ("two values", |u| f64::from(u < 0.3)),
        ("a point and a range", |u| if u < 0.6 { -0.0 } else { u }),
        ("no range that a number can be", |u| (u - 0.5) * f64::MAX * 1.9),
    ];

    fn drawn(seed: u64, n: usize, shape: Shape, shift: f64) -> Vec<f64> {
        let mut coin = Coin::new(seed);
        (0..n).map(|_| shape((coin.unit() + shift).fract())).collect()
    }

    #[test]
    fn buckets_say_what_sorting_says() {
        for (name, shape) in SHAPES {
            for (n, m, shift) in [(40_000, 40_000, 0.0), (60_000, 20_001, 0.0), (40_000, 40_000, 0.2), (50_000, 1, 0.0)]
            {
                let (a, b) = (drawn(1, n, shape, 0.0), drawn(2, m, shape, shift));
                let (x, y) = (Sample::new(a.clone()), Sample::new(b.clone()));
                let found = kolmogorov_smirnov_distance_of(&a, &b).unwrap();
                assert_eq!(found, kolmogorov_smirnov_distance(&x, &y).unwrap(), "{name}, {n} and {m}, {shift}");
                let (found, want) = (wasserstein_of(&a, &b).unwrap(), wasserstein(&x, &y).unwrap());
                // Both overflow where the range does.
                let near = (found - want).abs() <= 1e-10 * want || found.is_infinite() && want.is_infinite();
                assert!(near, "{name}, {n} and {m}, {shift}: {found} {want}");
            }
        }
    }

    #[test]
    fn the_same_values_are_no_distance_apart() {
        let a = drawn(3, 50_000, |u| u, 0.0);
        let back: Vec<f64> = a.iter().rev().copied().collect();
        assert_eq!(kolmogorov_smirnov_distance_of(&a, &back).unwrap(), 0.0);
        assert!(wasserstein_of(&a, &back).unwrap() < 1e-15);
        assert_eq!(wasserstein_of(&[], &a), Err(NoTest::TooFew { have: 0, need: 1 }));
        assert_eq!(kolmogorov_smirnov_distance_of(&a, &[]), Err(NoTest::TooFew { have: 0, need: 1 }));
    }
}

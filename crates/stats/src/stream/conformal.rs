//! Our own test of drift: a stream against its reference, looked at all the time.
//!
//! While the stream is exchangeable with the reference, the rank of each new value among all before it is uniform, and
//! independent of the ranks before (Vovk, Gammerman and Shafer 2005, theorem 8.2). [`Conformal`] bets against that. Its
//! wealth starts at one and is a martingale as long as nothing has changed, so that by Ville's inequality it reaches
//! 1/α with probability at most α *in all time*: it can be looked at after each value, and the size of the reference
//! does not matter, because the reference is ranked together with the stream and not taken for the truth.
//!
//! Values are ranked by the bin that they fall in, and by chance within it. The bins must not be chosen by looking at
//! the values that are counted as the reference: take them from other rows, or let them be fixed.
//!
//! A bet is a density on ranks: shares of the ranks seen, smoothed, in equal cells. Several bettors remember differently
//! long, one keeps its money, and after each value a little of the wealth is shared out among all (Herbster and Warmuth
//! 1998), so that a change after a long quiet time is found by those who forgot it.

use super::Coin;
use crate::InvalidSketch;
use serde::{Deserialize, Serialize};

/// Cells of a bet.
const CELLS: usize = 16;
/// How many values a bettor's prior counts for.
const PRIOR: f64 = 96.0;
/// Values that a bettor remembers, about; the last remembers all.
const MEMORY: [f64; 4] = [128.0, 1_024.0, 8_192.0, f64::INFINITY];
const BETTORS: usize = MEMORY.len();
/// What a bettor keeps of its memory with each value.
const KEEP: [f64; MEMORY.len()] = [1.0 - 1.0 / MEMORY[0], 1.0 - 1.0 / MEMORY[1], 1.0 - 1.0 / MEMORY[2], 1.0];
/// The share of its wealth that the one who does not bet begins with.
const RESERVE: f64 = 0.5;

/// A martingale over a stream's bins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Conformal {
    /// Reference and stream together, by bin.
    bag: Vec<u64>,
    total: u64,
    seen: u64,
    /// Shares of the wealth: bettors, then the one who does not bet.
    weights: [f64; MEMORY.len() + 1],
    cells: [[f64; CELLS]; MEMORY.len()],
    /// Those of each bettor together.
    sums: [f64; MEMORY.len()],
    log_wealth: f64,
    /// The most that the wealth ever was, as a logarithm.
    peak: f64,
    coin: Coin,
}

/// The stored form, checked before it becomes a [`Conformal`].
#[derive(Deserialize)]
struct Stored {
    bag: Vec<u64>,
    total: u64,
    seen: u64,
    weights: [f64; MEMORY.len() + 1],
    cells: [[f64; CELLS]; MEMORY.len()],
    /// Not in what an earlier version stored.
    sums: Option<[f64; MEMORY.len()]>,
    log_wealth: f64,
    peak: f64,
    coin: Coin,
}

impl TryFrom<Stored> for Conformal {
    type Error = InvalidSketch;

    fn try_from(s: Stored) -> Result<Self, InvalidSketch> {
        let invalid = |why: &str| Err(InvalidSketch { sketch: "conformal", why: why.into() });
        if s.bag.iter().try_fold(0_u64, |sum, n| sum.checked_add(*n)) != Some(s.total) || s.bag.is_empty() {
            return invalid("its bins do not add up");
        }
        let sums = s.sums.unwrap_or_else(|| s.cells.map(|cells| cells.iter().sum()));
        let numbers = s.weights.iter().chain(s.cells.iter().flatten()).chain(&sums);
        if numbers.clone().any(|n| !(n.is_finite() && *n >= 0.0)) || (s.weights.iter().sum::<f64>() - 1.0).abs() > 1e-6
        {
            return invalid("its shares are none");
        }
        if !s.log_wealth.is_finite() || s.peak.is_nan() {
            return invalid("its wealth is not a number");
        }
        let Stored { bag, total, seen, weights, cells, log_wealth, peak, coin, .. } = s;
        Ok(Self { bag, total, seen, weights, cells, sums, log_wealth, peak, coin })
    }
}

impl Conformal {
    /// From the reference's counts by bin. The seed decides ranks within a bin; the same seed and stream give the same
    /// wealth.
    ///
    /// # Errors
    /// [`InvalidSketch`] when there is no bin.
    pub fn new(reference: &[u64], seed: u64) -> Result<Self, InvalidSketch> {
        if reference.is_empty() {
            return Err(InvalidSketch { sketch: "conformal", why: "the reference has no bins".into() });
        }
        let mut weights = [(1.0 - RESERVE) / MEMORY.len() as f64; MEMORY.len() + 1];
        weights[MEMORY.len()] = RESERVE;
        Ok(Self {
            bag: reference.to_vec(),
            total: reference.iter().sum(),
            seen: 0,
            weights,
            cells: [[0.0; CELLS]; MEMORY.len()],
            sums: [0.0; MEMORY.len()],
            log_wealth: 0.0,
            peak: 0.0,
            coin: Coin::new(seed),
        })
    }

    /// One more value of the stream, by its bin; a bin that there is none of counts as the last.
    pub fn push(&mut self, bin: usize) {
        let bin = bin.min(self.bag.len() - 1);
        let above: u64 = self.bag[bin + 1..].iter().sum();
        let cell = self.cell(bin, above);
        self.bet(cell);
    }

    /// The cell of a value that so many of the bag are above; it is in the bag then.
    #[inline]
    fn cell(&mut self, bin: usize, above: u64) -> usize {
        let within = self.coin.unit() * (self.bag[bin] + 1) as f64;
        let rank = (above as f64 + within) / (self.total + 1) as f64;
        self.bag[bin] += 1;
        self.total += 1;
        ((rank * CELLS as f64) as usize).min(CELLS - 1)
    }

    /// For very many values one after another: each costs a fraction of a push, and the wealth is the same but for rounding.
    pub fn run(&mut self) -> Run<'_> {
        let leaves = self.bag.len().next_power_of_two();
        let mut tree = vec![0; 2 * leaves];
        tree[leaves..leaves + self.bag.len()].copy_from_slice(&self.bag);
        for at in (1..leaves).rev() {
            tree[at] = tree[2 * at] + tree[2 * at + 1];
        }
        let cells = std::array::from_fn(|cell| self.cells.each_ref().map(|cells| cells[cell]));
        let (sums, money, most) = (self.sums, self.weights, (self.peak - self.log_wealth).exp());
        Run { test: self, tree, leaves, cells, sums, one: [1.0; BETTORS], back: [1.0; BETTORS], money, most }
    }

    /// More values whose order is not known, as counts by bin: in an order by chance.
    pub fn push_counts(&mut self, counts: &[u64]) {
        let mut left: Vec<u64> = counts.to_vec();
        for remaining in (1..=left.iter().sum::<u64>()).rev() {
            let mut at = self.coin.below(remaining);
            let bin = left.iter().position(|n| {
                let here = at < *n;
                at = if here { at } else { at - n };
                here
            });
            if let Some(bin) = bin {
                left[bin] -= 1;
                self.push(bin);
            }
        }
    }

    fn bet(&mut self, cell: usize) {
        let cell = cell.min(CELLS - 1);
        let mut weights = self.weights;
        for (weight, (cells, seen)) in weights.iter_mut().zip(self.cells.iter().zip(&self.sums)) {
            *weight *= (CELLS as f64 * cells[cell] + PRIOR) / (seen + PRIOR);
        }
        self.earn(weights);
        for ((cells, sum), keep) in self.cells.iter_mut().zip(&mut self.sums).zip(KEEP) {
            *cells = cells.map(|c| c * keep);
            cells[cell] += 1.0;
            *sum = *sum * keep + 1.0;
        }
    }

    /// Takes what the bettors have now, and shares a little of it out among all.
    #[inline]
    fn earn(&mut self, weights: [f64; MEMORY.len() + 1]) {
        let sum = sum(&weights);
        self.log_wealth += ln(sum);
        self.peak = self.peak.max(self.log_wealth);
        self.seen += 1;
        let share = share(self.seen);
        let each = share / weights.len() as f64;
        let scale = (1.0 - share) / sum;
        self.weights = weights.map(|w| w * scale + each);
    }

    /// Values of the stream so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// ln of the wealth now.
    pub fn log_wealth(&self) -> f64 {
        self.log_wealth
    }

    /// ln of the most that the wealth ever was: reject at α once it reaches ln(1/α). It stays rejected.
    pub fn peak(&self) -> f64 {
        self.peak
    }

    /// A p-value that holds at all times: one over the greatest wealth.
    pub fn p_value(&self) -> f64 {
        (-self.peak).exp().min(1.0)
    }
}

/// Values in a row, with sums over the bins at hand. What the bettors remember is not made less with each value, each new one
/// weighs more instead; and what they have is not made shares of one with each value, so that it needs no logarithm either.
#[derive(Debug)]
pub struct Run<'a> {
    test: &'a mut Conformal,
    /// A node's sum is that of its two below, 2n and 2n + 1; the bins begin at `leaves`.
    tree: Vec<u64>,
    leaves: usize,
    /// What the bettors remember of each cell, in what a value weighed at the beginning.
    cells: [[f64; BETTORS]; CELLS],
    /// What they remember in all.
    sums: [f64; BETTORS],
    /// What a value weighs now for each of them, and one over that.
    one: [f64; BETTORS],
    back: [f64; BETTORS],
    /// What bettors and the one who does not bet have, in what the whole wealth was at the beginning.
    money: [f64; BETTORS + 1],
    /// The most that all of them ever had together, in the same.
    most: f64,
}

/// What a value may weigh before all is made less.
const HEAVIEST: f64 = 1e60;
/// How much wealth may grow, or one over it shrink, before it is counted anew.
const RICHEST: f64 = 1e100;

impl Run<'_> {
    /// As [`Conformal::push`]. Says whether the wealth is greater than ever.
    #[inline]
    pub fn push(&mut self, bin: usize) -> bool {
        let bin = bin.min(self.test.bag.len() - 1);
        let (mut at, mut above) = (self.leaves + bin, 0);
        // As many steps for each bin, and no branch in them.
        while at > 1 {
            self.tree[at] += 1;
            above += self.tree[at | 1] & ((at as u64 & 1).wrapping_sub(1));
            at /= 2;
        }
        let cell = self.test.cell(bin, above);
        let here = &mut self.cells[cell];
        for bettor in 0..BETTORS {
            let seen = here[bettor] * self.back[bettor];
            self.money[bettor] *= (CELLS as f64 * seen + PRIOR) / (self.sums[bettor] + PRIOR);
            self.one[bettor] *= 1.0 / KEEP[bettor];
            self.back[bettor] *= KEEP[bettor];
            here[bettor] += self.one[bettor];
            self.sums[bettor] = self.sums[bettor] * KEEP[bettor] + 1.0;
        }
        let wealth = sum(&self.money);
        self.test.seen += 1;
        let share = share(self.test.seen);
        let each = wealth * (share / self.money.len() as f64);
        self.money = self.money.map(|money| money * (1.0 - share) + each);
        let new = wealth > self.most;
        self.most = if new { wealth } else { self.most };
        if self.one[0] > HEAVIEST || !(1.0 / RICHEST..RICHEST).contains(&wealth) {
            self.settle();
        }
        new
    }

    /// Values of the stream so far.
    pub fn seen(&self) -> u64 {
        self.test.seen
    }

    /// As [`Conformal::peak`].
    pub fn peak(&self) -> f64 {
        self.test.peak.max(self.test.log_wealth + self.most.ln())
    }

    /// Writes down what is known by now, and counts in that.
    fn settle(&mut self) {
        let wealth = sum(&self.money);
        let peak = self.peak();
        let test = &mut *self.test;
        test.peak = peak;
        test.log_wealth += wealth.ln();
        test.weights = self.money.map(|money| money / wealth);
        test.sums = self.sums;
        for (cell, here) in self.cells.iter_mut().enumerate() {
            for ((seen, back), cells) in here.iter_mut().zip(&self.back).zip(&mut test.cells) {
                *seen *= back;
                cells[cell] = *seen;
            }
        }
        (self.one, self.back) = ([1.0; BETTORS], [1.0; BETTORS]);
        (self.money, self.most) = (test.weights, (test.peak - test.log_wealth).exp());
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.settle();
    }
}

/// In pairs: one after the other, each addition would wait for the one before.
#[inline]
fn sum(money: &[f64; BETTORS + 1]) -> f64 {
    (money[0] + money[1]) + (money[2] + money[3]) + money[4]
}

/// The part of the wealth that is shared out after so many values.
#[inline]
fn share(seen: u64) -> f64 {
    1.0 / (seen as f64 + 64.0)
}

/// The natural logarithm; near one, where a bet mostly stays, by the series of the inverse hyperbolic tangent.
fn ln(x: f64) -> f64 {
    if (x - 1.0).abs() >= 0.125 {
        return x.ln();
    }
    let z = (x - 1.0) / (x + 1.0);
    let square = z * z;
    let series = [1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0];
    2.0 * z * series.into_iter().fold(0.0, |sum, term| sum * square + term)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_as_many_pushes() {
        for bins in [1, 2, 33, 34, 257] {
            let counts: Vec<u64> = (0..bins).map(|i| i * i % 7).collect();
            let (mut one, mut other) = (Conformal::new(&counts, 3).unwrap(), Conformal::new(&counts, 3).unwrap());
            let bins: Vec<usize> = (0..40_000).map(|i| (i * i + i / 3) % 300).collect();
            for bin in &bins {
                one.push(*bin);
            }
            let mut run = other.run();
            let mut peak = run.peak();
            for bin in &bins[..30_000] {
                let new = run.push(*bin);
                assert!(run.peak() >= peak - 1e-9 && (new || run.peak() <= peak + 1e-9), "{} {peak}", run.peak());
                peak = run.peak();
            }
            assert_eq!(run.seen(), 30_000);
            drop(run);
            for bin in &bins[30_000..] {
                other.push(*bin);
            }
            let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-7 * a.abs().max(1.0), "{a} {b}");
            near(one.log_wealth(), other.log_wealth());
            near(one.peak(), other.peak());
            one.cells.iter().flatten().zip(other.cells.iter().flatten()).for_each(|(a, b)| near(*a, *b));
            assert_eq!((one.bag, one.total, one.coin), (other.bag, other.total, other.coin));
        }
    }

    #[test]
    fn the_logarithm_is_one() {
        for i in 1..4_000 {
            let x = f64::from(i) / 2_000.0;
            assert!((ln(x) - x.ln()).abs() <= 1e-15 * x.ln().abs().max(0.1), "{x}");
        }
        assert_eq!(ln(1.0), 0.0);
    }
}

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
        self.bag[bin] += 1;
        self.total += 1;
        let cell = cell(self.coin.unit(), [above, self.bag[bin], self.total].map(signed));
        self.bet(cell);
    }

    /// For very many values one after another: each costs a fraction of a push, and the wealth is the same but for rounding.
    pub fn run(&mut self) -> Run<'_> {
        let leaves = self.bag.len().next_power_of_two();
        let mut tree = vec![0; 2 * leaves];
        tree[leaves..].iter_mut().zip(&self.bag).for_each(|(leaf, n)| *leaf = signed(*n));
        for at in (1..leaves).rev() {
            tree[at] = tree[2 * at] + tree[2 * at + 1];
        }
        let cells = std::array::from_fn(|cell| self.cells.each_ref().map(|cells| cells[cell]));
        let purse = Purse {
            total: signed(self.total),
            seen: self.seen,
            coin: self.coin,
            sums: self.sums,
            one: [1.0; BETTORS],
            back: [1.0; BETTORS],
            money: self.weights,
            most: (self.peak - self.log_wealth).exp(),
        };
        Run { test: self, tree, leaves, cells, purse }
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
    tree: Vec<i64>,
    leaves: usize,
    /// What the bettors remember of each cell, in what a value weighed at the beginning.
    cells: [[f64; BETTORS]; CELLS],
    purse: Purse,
}

/// What changes with each value, small enough for a processor's registers.
#[derive(Debug, Clone)]
struct Purse {
    total: i64,
    seen: u64,
    coin: Coin,
    /// What the bettors remember in all.
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
    /// As [`Conformal::push`] of each of these bins, up to the first with which the wealth is greater than ever. Says how
    /// many it took, that one among them.
    pub fn push(&mut self, bins: &[usize]) -> Option<usize> {
        let last = self.test.bag.len() - 1;
        let mut done = 0;
        while done < bins.len() {
            let mut purse = self.purse.clone();
            let (mut new, mut far) = (false, false);
            for bin in &bins[done..] {
                let (mut at, mut above) = (self.leaves + (*bin).min(last), 0);
                self.tree[at] += 1;
                let here = self.tree[at];
                // As many steps for each bin, and no branch in them.
                while at > 1 {
                    above += self.tree[at | 1] & ((at as i64 & 1) - 1);
                    at /= 2;
                    self.tree[at] += 1;
                }
                purse.total += 1;
                let cell = cell(purse.coin.unit(), [above, here, purse.total]);
                let wealth = purse.bet(&mut self.cells[cell]);
                done += 1;
                new = wealth > purse.most;
                purse.most = if new { wealth } else { purse.most };
                far = purse.one[0] > HEAVIEST || !(1.0 / RICHEST..RICHEST).contains(&wealth);
                if new || far {
                    break;
                }
            }
            self.purse = purse;
            if far {
                self.settle();
            }
            if new {
                return Some(done);
            }
        }
        None
    }

    /// Values of the stream so far.
    pub fn seen(&self) -> u64 {
        self.purse.seen
    }

    /// As [`Conformal::peak`].
    pub fn peak(&self) -> f64 {
        self.test.peak.max(self.test.log_wealth + self.purse.most.ln())
    }

    /// Writes down what is known by now, and counts in that.
    fn settle(&mut self) {
        let wealth = sum(&self.purse.money);
        let peak = self.peak();
        let (test, purse) = (&mut *self.test, &mut self.purse);
        test.bag.iter_mut().zip(&self.tree[self.leaves..]).for_each(|(n, leaf)| *n = leaf.unsigned_abs());
        (test.total, test.seen, test.coin) = (purse.total.unsigned_abs(), purse.seen, purse.coin);
        test.peak = peak;
        test.log_wealth += wealth.ln();
        test.weights = purse.money.map(|money| money / wealth);
        test.sums = purse.sums;
        for (cell, here) in self.cells.iter_mut().enumerate() {
            for ((seen, back), cells) in here.iter_mut().zip(&purse.back).zip(&mut test.cells) {
                *seen *= back;
                cells[cell] = *seen;
            }
        }
        (purse.one, purse.back) = ([1.0; BETTORS], [1.0; BETTORS]);
        (purse.money, purse.most) = (test.weights, (test.peak - test.log_wealth).exp());
    }
}

impl Purse {
    /// Bets on a value that fell into the cell of which the bettors remember this much. All that they have then.
    #[inline]
    fn bet(&mut self, here: &mut [f64; BETTORS]) -> f64 {
        for bettor in 0..BETTORS {
            let seen = here[bettor] * self.back[bettor];
            self.money[bettor] *= (CELLS as f64 * seen + PRIOR) / (self.sums[bettor] + PRIOR);
            self.one[bettor] *= 1.0 / KEEP[bettor];
            self.back[bettor] *= KEEP[bettor];
            here[bettor] += self.one[bettor];
            self.sums[bettor] = self.sums[bettor] * KEEP[bettor] + 1.0;
        }
        let wealth = sum(&self.money);
        self.seen += 1;
        let share = share(self.seen);
        let each = wealth * (share / self.money.len() as f64);
        self.money = self.money.map(|money| money * (1.0 - share) + each);
        wealth
    }
}

/// The cell of a value that so many of the bag are above, by chance among those of its bin; it is in the bag.
#[inline]
fn cell(chance: f64, [above, here, total]: [i64; 3]) -> usize {
    let rank = (above as f64 + chance * here as f64) / total as f64;
    ((rank * CELLS as f64) as i64).clamp(0, CELLS as i64 - 1) as usize
}

/// A count as a processor turns it into a float in one step. No bag has half as many values as fit.
#[inline]
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
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
            let (mut peak, mut at) = (run.peak(), 0);
            while at < 30_000 {
                let some = &bins[at..30_000.min(at + 700)];
                let new = run.push(some);
                at += new.unwrap_or(some.len());
                assert_eq!(run.seen(), at as u64);
                let there = if new.is_some() { run.peak() >= peak } else { (run.peak() - peak).abs() < 1e-9 };
                assert!(there, "{} {peak}", run.peak());
                peak = run.peak();
            }
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

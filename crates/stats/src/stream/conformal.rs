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
        let numbers = s.weights.iter().chain(s.cells.iter().flatten());
        if numbers.clone().any(|n| !(n.is_finite() && *n >= 0.0)) || (s.weights.iter().sum::<f64>() - 1.0).abs() > 1e-6
        {
            return invalid("its shares are none");
        }
        if !s.log_wealth.is_finite() || s.peak.is_nan() {
            return invalid("its wealth is not a number");
        }
        let Stored { bag, total, seen, weights, cells, log_wealth, peak, coin } = s;
        Ok(Self { bag, total, seen, weights, cells, log_wealth, peak, coin })
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
            log_wealth: 0.0,
            peak: 0.0,
            coin: Coin::new(seed),
        })
    }

    /// One more value of the stream, by its bin; a bin that there is none of counts as the last.
    pub fn push(&mut self, bin: usize) {
        let bin = bin.min(self.bag.len() - 1);
        let above: u64 = self.bag[bin + 1..].iter().sum();
        let within = self.coin.unit() * (self.bag[bin] + 1) as f64;
        let rank = (above as f64 + within) / (self.total + 1) as f64;
        self.bet(((rank * CELLS as f64) as usize).min(CELLS - 1));
        self.bag[bin] += 1;
        self.total += 1;
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
        let mut sum = 0.0;
        for (weight, cells) in self.weights.iter_mut().zip(&self.cells) {
            let seen: f64 = cells.iter().sum();
            *weight *= (CELLS as f64 * cells[cell] + PRIOR) / (seen + PRIOR);
            sum += *weight;
        }
        sum += self.weights[MEMORY.len()];
        self.log_wealth += sum.ln();
        self.peak = self.peak.max(self.log_wealth);
        self.seen += 1;
        let share = 1.0 / (self.seen as f64 + 64.0);
        let each = share / self.weights.len() as f64;
        self.weights.iter_mut().for_each(|w| *w = (1.0 - share) * *w / sum + each);
        for (cells, memory) in self.cells.iter_mut().zip(MEMORY) {
            let keep = 1.0 - 1.0 / memory;
            for c in cells.iter_mut() {
                *c *= keep;
            }
            cells[cell] += 1.0;
        }
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

//! Two streams beside each other: whether they still look alike, whatever happens to both.
//!
//! Rows of both sides come in groups, of the same minute say. While both sides are alike *within each group*, it is chance
//! which of a group's rows are of which side: given the group's values, each way of dealing the sides out is as likely as any
//! other. [`Sides`] bets against that, row by row in an order by chance, with the odds that its bettors have learnt for the
//! row's bin. The wealth is a martingale (each factor's mean is one, given what was seen before), so that by Ville's inequality
//! it reaches 1/α with probability at most α in all time. What changes from group to group alike on both sides, such as day
//! and night, costs nothing and brings nothing.
//!
//! Rows that belong together and are all of one side, such as those of one request or of one person whose variant stays the
//! same, are not dealt out one by one. If a few make a large part of all rows, that is a difference of the two sides.

use super::Coin;
use crate::InvalidSketch;
use serde::{Deserialize, Serialize};

/// How many rows a bettor's prior counts for: odds begin even.
const PRIOR: f64 = 96.0;
/// Rows that a bettor remembers of each side, about; the last remembers all.
const MEMORY: [f64; 2] = [1_024.0, f64::INFINITY];
/// The share of its wealth that the one who does not bet begins with.
const RESERVE: f64 = 0.5;

/// What a bettor remembers: rows by bin of either side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Bettor {
    seen: [Vec<f64>; 2],
    sums: [f64; 2],
}

impl Bettor {
    /// The odds of the first side for a row of `bin`, against what they are for any row.
    fn odds(&self, bin: usize) -> f64 {
        let [mine, theirs] = &self.seen;
        let pooled = (mine[bin] + theirs[bin] + 0.5) / (self.sums[0] + self.sums[1] + 0.5 * mine.len() as f64);
        let share = |side: usize| (self.seen[side][bin] + PRIOR * pooled) / (self.sums[side] + PRIOR);
        share(0) / share(1)
    }

    fn learn(&mut self, side: usize, bin: usize, memory: f64) {
        let keep = 1.0 - 1.0 / memory;
        if keep < 1.0 {
            for n in &mut self.seen[side] {
                *n *= keep;
            }
            self.sums[side] *= keep;
        }
        self.seen[side][bin] += 1.0;
        self.sums[side] += 1.0;
    }
}

impl Bettor {
    /// Thousandths of a row decide on no bet, and are as short as whole numbers where the state is stored. A bet may rest on
    /// anything that was known before it.
    fn shorten(&mut self) {
        for (seen, sum) in self.seen.iter_mut().zip(&mut self.sums) {
            for n in seen.iter_mut() {
                *n = (*n * 1_000.0).round() / 1_000.0;
            }
            *sum = seen.iter().sum();
        }
    }
}

/// A martingale over pairs of samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Sides {
    bettors: Vec<Bettor>,
    /// Shares of the wealth: bettors, then the one who does not bet.
    weights: [f64; MEMORY.len() + 1],
    seen: u64,
    log_wealth: f64,
    peak: f64,
    coin: Coin,
}

/// The stored form, checked before it becomes a [`Sides`].
#[derive(Deserialize)]
struct Stored {
    bettors: Vec<Bettor>,
    weights: [f64; MEMORY.len() + 1],
    seen: u64,
    log_wealth: f64,
    peak: f64,
    coin: Coin,
}

impl TryFrom<Stored> for Sides {
    type Error = InvalidSketch;

    fn try_from(s: Stored) -> Result<Self, InvalidSketch> {
        let invalid = |why: &str| Err(InvalidSketch { sketch: "sides", why: why.into() });
        let bins = s.bettors.first().map_or(0, |b| b.seen[0].len());
        if s.bettors.len() != MEMORY.len() || bins == 0 {
            return invalid("it has not as many bettors as there are");
        }
        let alike = s.bettors.iter().all(|b| b.seen.iter().all(|side| side.len() == bins));
        let numbers = s.bettors.iter().flat_map(|b| b.seen.iter().flatten().chain(&b.sums)).chain(&s.weights);
        if !alike || numbers.clone().any(|n| !(n.is_finite() && *n >= 0.0)) {
            return invalid("its counts are none");
        }
        if (s.weights.iter().sum::<f64>() - 1.0).abs() > 1e-6 || !s.log_wealth.is_finite() || s.peak.is_nan() {
            return invalid("its wealth is not a number");
        }
        let Stored { bettors, weights, seen, log_wealth, peak, coin } = s;
        Ok(Self { bettors, weights, seen, log_wealth, peak, coin })
    }
}

impl Sides {
    /// For values in `bins` bins. The seed decides the order of a group's rows.
    ///
    /// # Errors
    /// [`InvalidSketch`] when there is no bin.
    pub fn new(bins: usize, seed: u64) -> Result<Self, InvalidSketch> {
        if bins == 0 {
            return Err(InvalidSketch { sketch: "sides", why: "there are no bins".into() });
        }
        let bettor = Bettor { seen: [vec![0.0; bins], vec![0.0; bins]], sums: [0.0; 2] };
        let mut weights = [(1.0 - RESERVE) / MEMORY.len() as f64; MEMORY.len() + 1];
        weights[MEMORY.len()] = RESERVE;
        Ok(Self {
            bettors: vec![bettor; MEMORY.len()],
            weights,
            seen: 0,
            log_wealth: 0.0,
            peak: 0.0,
            coin: Coin::new(seed),
        })
    }

    /// A group of rows of both sides, by bin; a bin that there is none of counts as the last. A group of one side alone
    /// tells nothing.
    pub fn push(&mut self, mine: &[usize], theirs: &[usize]) {
        if mine.is_empty() || theirs.is_empty() {
            return;
        }
        let last = self.bettors[0].seen[0].len() - 1;
        let side = |bins: &[usize], side: usize| bins.iter().map(|b| (side, (*b).min(last))).collect::<Vec<_>>();
        let mut rows = side(mine, 0);
        rows.extend(side(theirs, 1));
        for at in (1..rows.len()).rev() {
            rows.swap(at, self.coin.below(at as u64 + 1) as usize);
        }
        let mut left = [mine.len() as f64, theirs.len() as f64];
        for (side, bin) in rows {
            let chance = left[0] / (left[0] + left[1]);
            left[side] -= 1.0;
            self.bet((side, bin), chance);
        }
        self.seen += mine.len() as u64;
        for (bettor, _) in self.bettors.iter_mut().zip(MEMORY).filter(|(_, memory)| memory.is_finite()) {
            bettor.shorten();
        }
    }

    /// One row, of which the first side's chance was `chance`.
    fn bet(&mut self, (side, bin): (usize, usize), chance: f64) {
        if chance > 0.0 && chance < 1.0 {
            let mut sum = self.weights[MEMORY.len()];
            for (weight, bettor) in self.weights.iter_mut().zip(&self.bettors) {
                let odds = bettor.odds(bin);
                // What was bet on the side that it is, over the chance of that.
                let of_mine = odds / (chance * odds + 1.0 - chance);
                *weight *= if side == 0 { of_mine } else { of_mine / odds };
                sum += *weight;
            }
            self.log_wealth += sum.ln();
            self.peak = self.peak.max(self.log_wealth);
            let share = 1.0 / (self.seen as f64 + 64.0);
            let each = share / self.weights.len() as f64;
            self.weights.iter_mut().for_each(|w| *w = (1.0 - share) * *w / sum + each);
        }
        for (bettor, memory) in self.bettors.iter_mut().zip(MEMORY) {
            bettor.learn(side, bin, memory);
        }
    }

    /// Rows of the first side so far.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bin of 32 of a number between 0 and 1, raised to a power.
    fn draw(coin: &mut Coin, power: f64) -> usize {
        ((coin.unit().powf(power) * 32.0) as usize).min(31)
    }

    /// Ten minutes in which both sides are at the top, ten in which they are at the bottom, for ever.
    fn season(minute: u64) -> f64 {
        if (minute / 10).is_multiple_of(2) { 0.4 } else { 2.5 }
    }

    #[test]
    fn what_happens_to_both_sides_is_no_difference_and_alarms_are_as_rare_as_promised() {
        let (runs, mut alarms) = (300, 0);
        for run in 0..runs {
            let mut coin = Coin::new(run * 7 + 1);
            let mut sides = Sides::new(33, run).unwrap();
            for minute in 0..150 {
                let power = season(minute);
                let mut rows = |n: usize| (0..n).map(|_| draw(&mut coin, power)).collect::<Vec<_>>();
                let (mine, theirs) = (rows(8 + run as usize % 40), rows(64));
                sides.push(&mine, &theirs);
            }
            alarms += u32::from(sides.peak() >= (1.0_f64 / 0.05).ln());
        }
        // A binomial's mean and three standard deviations.
        assert!(f64::from(alarms) <= 300.0 * 0.05 + 3.0 * (300.0_f64 * 0.05 * 0.95).sqrt(), "{alarms}");
    }

    #[test]
    fn a_difference_is_found_within_a_season() {
        let mut coin = Coin::new(5);
        let mut sides = Sides::new(33, 1).unwrap();
        let mut found = None;
        for minute in 0..120 {
            let power = season(minute);
            let mine: Vec<usize> =
                (0..128).map(|_| draw(&mut coin, if minute < 40 { power } else { power * 1.5 })).collect();
            let theirs: Vec<usize> = (0..128).map(|_| draw(&mut coin, power)).collect();
            sides.push(&mine, &theirs);
            if found.is_none() && sides.peak() >= 1_000.0_f64.ln() {
                found = Some(minute);
            }
        }
        assert!(found.is_some_and(|minute| (41..70).contains(&minute)), "{found:?}");
        assert_eq!(sides.seen(), 120 * 128);
    }

    /// It is written each minute for each column.
    #[test]
    fn a_state_of_many_bins_is_short() {
        let (mut coin, mut sides) = (Coin::new(2), Sides::new(257, 1).unwrap());
        for _ in 0..120 {
            let mut rows = || (0..256).map(|_| (coin.unit() * coin.unit() * 257.0) as usize).collect::<Vec<_>>();
            let (mine, theirs) = (rows(), rows());
            sides.push(&mine, &theirs);
        }
        let length = serde_json::to_string(&sides).unwrap().len();
        assert!(length < 8_000, "{length}");
    }

    #[test]
    fn one_side_alone_tells_nothing_and_a_stored_one_goes_on_alike() {
        let mut sides = Sides::new(4, 9).unwrap();
        sides.push(&[1, 2, 3], &[]);
        assert_eq!((sides.seen(), sides.log_wealth()), (0, 0.0));
        sides.push(&[1, 2, 9], &[0, 0, 1]);
        let text = serde_json::to_string(&sides).unwrap();
        let mut again: Sides = serde_json::from_str(&text).unwrap();
        for one in [&mut sides, &mut again] {
            one.push(&[3, 3], &[0, 1, 2]);
        }
        assert_eq!(sides, again);
        let wrong = text.replacen("\"bettors\":[{", "\"bettors\":[{\"sums\":[0,0],\"seen\":[[1],[1,2]]},{", 1);
        assert!(serde_json::from_str::<Sides>(&wrong).is_err());
        assert!(Sides::new(0, 1).is_err());
    }
}

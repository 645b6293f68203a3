//! Means of bounded values, without any asymptotics: capital from bets.

use super::effect::Interval;
use super::{InvalidSetting, between, rate_of_error};
use crate::InvalidSketch;
use serde::{Deserialize, Serialize};
use std::f64::consts::LN_2;

/// A bet is at most this part of the one that could lose everything.
const TRUNCATE: f64 = 0.5;

/// The bets of the predictable plug-in (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
/// betting", JRSS B 2024, arXiv:2010.09686): λₜ = √(2·ln(2/α) ÷ (σ̂²ₜ₋₁·t·ln(1+t))), from the past alone; as in
/// the authors' package `confseq`, to the last digit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Bets {
    /// 2·ln(2/α)
    aim: f64,
    n: u64,
    sum: f64,
    squares: f64,
}

impl Bets {
    fn new(alpha: f64) -> Self {
        Self { aim: 2.0 * (2.0 / alpha).ln(), n: 0, sum: 0.5, squares: 0.25 }
    }

    /// The bet on the next value, which is then taken in.
    fn next(&mut self, x: f64) -> f64 {
        let t = (self.n + 1) as f64;
        let variance = self.squares / t;
        let bet = (self.aim / (t * t.ln_1p() * variance)).sqrt();
        self.n += 1;
        self.sum += x;
        let mean = (self.sum / (t + 1.0)).min(1.0);
        self.squares += (x - mean).powi(2);
        bet
    }
}

/// What bets on both sides of one null mean have brought.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Capital {
    log_up: f64,
    log_down: f64,
}

impl Capital {
    fn bet(&mut self, x: f64, m: f64, bet: f64) {
        self.log_up += (bet.min(TRUNCATE / m) * (x - m)).ln_1p();
        self.log_down += (-bet.min(TRUNCATE / (1.0 - m)) * (x - m)).ln_1p();
    }

    /// ln of the larger half.
    fn log_e(&self) -> f64 {
        self.log_up.max(self.log_down) - LN_2
    }
}

/// The hedged capital process against "the mean is m" for values in [0, 1] (arXiv:2010.09686): half of the
/// capital bets that the mean is higher, half that it is lower. Exact at every n.
///
/// Each value's mean given the past must be m; independent values of one distribution are the usual case. It does not
/// merge, because each bet depends on what came before; processes of disjoint streams multiply.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HedgedCapital {
    null: f64,
    bets: Bets,
    capital: Capital,
}

impl HedgedCapital {
    /// Against the mean `null`, strictly between 0 and 1; `alpha` is where the bets aim, and any level may be tested.
    pub fn new(null: f64, alpha: f64) -> Result<Self, InvalidSetting> {
        let null = between("null", null, (0.0, 1.0), "strictly between 0 and 1")?;
        Ok(Self { null, bets: Bets::new(rate_of_error(alpha)?), capital: Capital::default() })
    }

    /// One value. What lies outside [0, 1] or is no number is refused, since one such value could break the guarantee.
    pub fn push(&mut self, x: f64) -> Result<(), InvalidSetting> {
        let bet = self.bets.next(unit(x)?);
        self.capital.bet(x, self.null, bet);
        Ok(())
    }

    /// ln of the e-value now.
    pub fn log_e(&self) -> f64 {
        self.capital.log_e()
    }
}

fn unit(x: f64) -> Result<f64, InvalidSetting> {
    if (0.0..=1.0).contains(&x) {
        return Ok(x);
    }
    Err(InvalidSetting { what: "a value of a bounded metric", given: x, must: "between 0 and 1" })
}

/// Means on the grid of a [`BettingCs`].
const GRID: usize = 500;

/// The betting confidence sequence for a mean in [0, 1], on a grid of 500 means: its lower end is the last mean that
/// the bets on a higher one rejected, its upper end the first that the bets on a lower one did. So it holds the true mean
/// exactly as promised, also between places of the grid. Memory: 1,000 numbers; time: two bets a value for each mean that
/// is still in, so feed it units, not requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredCs")]
pub struct BettingCs {
    alpha: f64,
    bets: Bets,
    capital: Vec<Capital>,
    /// Places that the bets on a higher mean rejected, from below.
    from_below: usize,
    /// Places that the bets on a lower mean rejected, from above.
    from_above: usize,
}

impl BettingCs {
    /// At the error rate `alpha`.
    pub fn new(alpha: f64) -> Result<Self, InvalidSetting> {
        let alpha = rate_of_error(alpha)?;
        let capital = vec![Capital::default(); GRID];
        Ok(Self { alpha, bets: Bets::new(alpha), capital, from_below: 0, from_above: 0 })
    }

    fn place(i: usize) -> f64 {
        (i as f64 + 0.5) / GRID as f64
    }

    /// One value in [0, 1]; others are refused.
    pub fn push(&mut self, x: f64) -> Result<(), InvalidSetting> {
        let bet = self.bets.next(unit(x)?);
        // Each side has half of the error rate.
        let threshold = (2.0 / self.alpha).ln();
        // One place beyond each end goes on, since truth may lie between two places that are both out.
        let (first, last) = (self.from_below.saturating_sub(1), (GRID - self.from_above).min(GRID - 1));
        for (i, capital) in self.capital.iter_mut().enumerate().take(last + 1).skip(first) {
            capital.bet(x, Self::place(i), bet);
        }
        while self.from_below <= last && self.capital[self.from_below].log_up >= threshold {
            self.from_below += 1;
        }
        while GRID - self.from_above > first && self.capital[GRID - self.from_above - 1].log_down >= threshold {
            self.from_above += 1;
        }
        Ok(())
    }

    /// Holds the mean at all looks at once with probability 1 − α.
    pub fn interval(&self) -> Interval {
        let n = self.bets.n as f64;
        Interval {
            low: self.from_below.checked_sub(1).map_or(0.0, Self::place),
            estimate: if n > 0.0 { (self.bets.sum - 0.5) / n } else { 0.5 },
            high: if self.from_above == 0 { 1.0 } else { Self::place(GRID - self.from_above) },
        }
    }
}

/// The stored form, checked before it becomes a [`BettingCs`].
#[derive(Deserialize)]
struct StoredCs {
    alpha: f64,
    bets: Bets,
    capital: Vec<Capital>,
    from_below: usize,
    from_above: usize,
}

impl TryFrom<StoredCs> for BettingCs {
    type Error = InvalidSketch;

    fn try_from(stored: StoredCs) -> Result<Self, InvalidSketch> {
        let StoredCs { alpha, bets, capital, from_below, from_above } = stored;
        if capital.len() != GRID || from_below > GRID || from_above > GRID {
            let why = format!("it has {} means of {GRID}, {from_below} and {from_above} are out", capital.len());
            return Err(InvalidSketch { sketch: "betting confidence sequence", why });
        }
        Ok(Self { alpha, bets, capital, from_below, from_above })
    }
}

//! Two variants and a bounded metric, without any asymptotics.

use super::{InvalidSetting, Side, between};
use crate::special::ln_mean_exp;
use serde::{Deserialize, Serialize};

/// How many bets there are, each half of the one before.
const BETS: usize = 14;

/// The largest bet, of the one that could lose everything: near it, since where nothing ever fails it alone counts.
const BOLDEST: f64 = 0.95;

/// One unit that was assigned at random between a control and a candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exposure {
    /// Whether it got the candidate.
    pub candidate: bool,
    /// The probability of the candidate, of the two, when it was assigned; strictly between 0 and 1.
    pub propensity: f64,
    /// Its metric, in [0, 1].
    pub value: f64,
}

/// E-process for the difference of two means of a metric in [0, 1] (Waudby-Smith, Wu, Ramdas, Karampatziakis and
/// Mineiro, "Anytime-valid off-policy inference for contextual bandits", arXiv:2210.10768, for a policy of
/// two arms).
///
/// Each unit gives Z = (A/π − (1−A)/(1−π))·(Y − ŷ), whose mean is the effect on this unit, whatever its baseline: ŷ is
/// the pooled mean before it and takes noise out without harm. Null hypothesis: at no time is the mean effect, given
/// the past, beyond `null`. So it is exact, without a burn-in, under drifting baselines, under weights that change from
/// unit to unit, and for bandits, as long as π is the probability that was really used. The price beside
/// [`super::AsymptoticCs`] is power at small weights.
///
/// The capital is spread over fixed fractions of the largest safe bet, so that processes of disjoint streams merge
/// exactly: each fraction's winnings multiply. Memory: 17 numbers. A unit counts once, when its value is final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BettingAb {
    null: f64,
    side: Side,
    n: u64,
    sum: f64,
    log_capital: [f64; BETS],
}

impl BettingAb {
    /// Against "the candidate's mean less the control's is at most (for [`Side::Above`]) `null`"; `null` is a
    /// non-inferiority margin where it is not 0, strictly between −1 and 1.
    pub fn new(null: f64, side: Side) -> Result<Self, InvalidSetting> {
        let null = between("null", null, (-1.0, 1.0), "strictly between -1 and 1")?;
        Ok(Self { null, side, n: 0, sum: 0.0, log_capital: [0.0; BETS] })
    }

    /// One unit.
    pub fn push(&mut self, unit: Exposure) -> Result<(), InvalidSetting> {
        let pi = between("propensity", unit.propensity, (0.0, 1.0), "strictly between 0 and 1")?;
        if !(0.0..=1.0).contains(&unit.value) {
            let what = "a value of a bounded metric";
            return Err(InvalidSetting { what, given: unit.value, must: "between 0 and 1" });
        }
        let centre = (self.sum + 0.5) / (self.n as f64 + 1.0);
        let rest = unit.value - centre;
        let z = if unit.candidate { rest / pi } else { -rest / (1.0 - pi) };
        let (gain, worst) = match self.side {
            Side::Above => (z - self.null, (centre / pi).max((1.0 - centre) / (1.0 - pi)) + self.null),
            Side::Below => (self.null - z, ((1.0 - centre) / pi).max(centre / (1.0 - pi)) - self.null),
        };
        // Without a loss to fear there is a gain for certain; a bet that is a part of 1 keeps it finite.
        let worst = worst.max(1e-9);
        let mut fraction = BOLDEST;
        for capital in &mut self.log_capital {
            *capital += (fraction * gain / worst).ln_1p();
            fraction *= 0.5;
        }
        self.n += 1;
        self.sum += unit.value;
        Ok(())
    }

    /// Multiplies with the process of other units against the same null hypothesis; false, and nothing, when it is
    /// against another.
    pub fn merge(&mut self, other: &Self) -> bool {
        let same = self.null == other.null && self.side == other.side;
        if same {
            for (ours, theirs) in self.log_capital.iter_mut().zip(&other.log_capital) {
                *ours += theirs;
            }
            self.n += other.n;
            self.sum += other.sum;
        }
        same
    }

    /// Units seen.
    pub fn units(&self) -> u64 {
        self.n
    }

    /// ln of the e-value now.
    pub fn log_e(&self) -> f64 {
        ln_mean_exp(self.log_capital.iter().copied())
    }
}

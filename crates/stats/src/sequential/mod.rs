//! Tests that may be looked at after every batch, and stopped whenever they have seen enough.
//!
//! Two currencies. An *e-value* is a number whose mean is at most 1 while the null hypothesis holds: evidence as
//! a bet's winnings; reject at α once it reaches 1/α. An e-*process* keeps that promise at every stopping time, so
//! that looking often costs nothing (Ville 1939; Ramdas, Grünwald, Vovk and Shafer, arXiv:2210.01948). A
//! *confidence sequence* holds the true value at all times at once with probability 1 − α.

mod asymptotic;
mod betting;
mod betting_ab;
mod effect;
mod evidence;
mod group;
mod histogram;
mod moments;
mod msprt;
mod multinomial;
mod psi;
mod quantile;
mod rate;
mod skew;
mod strata;

pub use asymptotic::AsymptoticCs;
pub use betting::{BettingCs, HedgedCapital};
pub use betting_ab::{BettingAb, Exposure};
pub use effect::{Contrast, Effect, Interval, Measure, NoEffect, Scale, compare};
pub use evidence::Evidence;
pub use group::{GroupLook, GroupSequential, GroupSequentialError, Sides, Spending};
pub use histogram::LogHistogram;
pub use moments::{UnitMoments, UnitTotals};
pub use msprt::Msprt;
pub use multinomial::{CountsError, Multinomial, chi_square_p};
pub use psi::StabilityIndex;
pub use quantile::{Exceedance, QuantileCs, SlowerTest};
pub use rate::RateRatio;
pub use skew::Skewness;
pub use strata::{Strata, Visit};

/// Which way a one-sided test looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Evidence that the true value is above the null.
    Above,
    /// Evidence that it is below.
    Below,
}

/// A setting of a test is outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{what} is {given}; it must be {must}")]
pub struct InvalidSetting {
    /// The name of the setting.
    pub what: &'static str,
    /// What was given.
    pub given: f64,
    /// The range.
    pub must: &'static str,
}

/// `given` when it lies strictly between `low` and `high`.
pub(crate) fn between(
    what: &'static str,
    given: f64,
    (low, high): (f64, f64),
    must: &'static str,
) -> Result<f64, InvalidSetting> {
    if given > low && given < high { Ok(given) } else { Err(InvalidSetting { what, given, must }) }
}

/// An error rate: between 0 and 1.
pub(crate) fn rate_of_error(alpha: f64) -> Result<f64, InvalidSetting> {
    between("alpha", alpha, (0.0, 1.0), "between 0 and 1")
}

/// A positive, finite number.
pub(crate) fn positive(what: &'static str, given: f64) -> Result<f64, InvalidSetting> {
    between(what, given, (0.0, f64::INFINITY), "positive and finite")
}

#[cfg(test)]
mod oracles;
#[cfg(test)]
mod tests;

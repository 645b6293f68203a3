//! Change in a stream, watched value by value.
//!
//! | detector | watches | false alarms |
//! |---|---|---|
//! | [`Conformal`] | a column against its reference | at most α *ever*, exactly, however often it is looked at |
//! | [`Sides`] | a column of two streams at once | at most α *ever*, exactly, whatever happens to both at once |
//! | [`Adwin`] | the mean of numbers | a bound on each cut, not on all |
//! | [`Kswin`] | the distribution of numbers | α at each value, so many in time |
//! | [`PageHinkley`] | the mean of numbers | none is stated; set by hand |
//! | [`Ddm`] | a rate of errors | none is stated |
//!
//! The last four are the detectors of `river` 0.26, with its defaults and to its numbers; they need no reference, and
//! begin anew after a change, but for [`Adwin`] and [`Kswin`], which keep what came after it, as their authors have it. [`Conformal`] is our own default.

mod adwin;
mod conformal;
mod ddm;
mod kswin;
mod page_hinkley;
mod sides;

#[cfg(test)]
mod oracles;

pub use adwin::{Adwin, AdwinLimits};
pub use conformal::Conformal;
pub use ddm::{Ddm, Level};
pub use kswin::Kswin;
pub use page_hinkley::{Direction, PageHinkley, PageHinkleyLimits};
pub use sides::Sides;

/// A small sequence of numbers without a pattern, the same for the same seed: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Coin(u64);

impl Coin {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 to `n`, without it.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

/// A change that a detector calls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// How many values there are since it began, about; the value that was seen last is one of them.
    pub values: u64,
    /// Mean of what the detector still knows of before.
    pub before: f64,
    /// Mean of the values since.
    pub since: f64,
}

/// The mean, updated as `river` does.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
struct Mean {
    n: f64,
    mean: f64,
}

impl Mean {
    fn push(&mut self, x: f64) {
        self.n += 1.0;
        self.mean += (x - self.mean) / self.n;
    }

    /// The change that began after `before`, a mean of the first of these values and not of all.
    fn since(&self, before: Self) -> Change {
        let values = self.n - before.n;
        let since = (self.n * self.mean - before.n * before.mean) / values;
        Change { values: values as u64, before: before.mean, since }
    }
}

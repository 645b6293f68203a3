//! Mergeable sketches, moments, and tests that may be looked at all the time: pure mathematics, no I/O, no clock, no
//! hidden randomness.
//!
//! | what | type | memory | error |
//! |---|---|---|---|
//! | quantiles, ranks | [`Kll`] | about 3·k numbers | [`Kll::rank_error`] |
//! | mean, variance | [`Moments`] | 24 bytes | rounding |
//! | distinct values | [`Distinct`] | 1 KiB | about 3 % |
//! | most frequent values | [`Frequent`] | 96 values | 3.5/128 of the stream at worst |
//! | a column of numbers | [`NumericProfile`] | the first two together | |
//! | a column of texts | [`TextProfile`] | the next two together | |
//!
//! Every one of these merges: the sketch of a union is the merge of the sketches, within the same bounds.
//!
//! For comparing variants, in [`sequential`]:
//!
//! | question | type | guarantee | merges |
//! |---|---|---|---|
//! | difference of means or ratios, with CUPED, by unit | [`sequential::AsymptoticCs`] over [`sequential::Strata`] | in the limit of a late first look | yes |
//! | the same, with effects expected in the metric's unit | [`sequential::Msprt`] | the same | yes |
//! | the same, with a planned end and few looks | [`sequential::GroupSequential`] | normal estimates | yes |
//! | whether few units bring too much of it to say | [`sequential::Skewness`] | as simulated | no |
//! | difference of means in \[0, 1\] | [`sequential::BettingAb`] | exact, also under drift and changing weights | disjoint units |
//! | one mean in \[0, 1\] | [`sequential::BettingCs`] | exact | no |
//! | sample ratio; errors of many variants | [`sequential::Multinomial`] | exact, also under drift and changing weights | counts of a step |
//! | how much more often one variant errs | [`sequential::RateRatio`] | exact, also under drift and changing weights | yes |
//! | a quantile; whether one is slower | [`sequential::QuantileCs`], [`sequential::SlowerTest`] | exact for one distribution | yes |
//! | the same under drift | [`sequential::Exceedance`] | exact | yes |
//!
//! [`decision`] makes one decision of them, [`bandit`] shares out traffic, [`contextual`] chooses by what is known about
//! each request, [`offpolicy`] says what another policy would
//! have brought.
//!
//! For drift, [`twosample`] has the tests and distances between two samples or their sketches, [`presets`] the choices
//! that other tools make among them, and [`stream`] detectors that watch a stream, of which [`stream::Conformal`] may be
//! looked at all the time. [`multivariate`] compares rows as wholes, vectors and texts.
//!
//! [`performance`] has the metrics of predictions whose truth is known, with intervals, [`estimate`] what they probably
//! are while it is not.

pub mod bandit;
pub mod categorical;
pub mod contextual;
pub mod decision;
pub mod estimate;
mod hash;
pub mod kll;
pub mod moments;
pub mod multivariate;
pub mod offpolicy;
pub mod performance;
pub mod presets;
pub mod profile;
pub mod sequential;
mod special;
pub mod stream;
#[expect(clippy::many_single_char_names, reason = "the names of the formulas")]
pub mod twosample;

#[cfg(test)]
mod testing;

pub use categorical::{Distinct, Frequent, FrequentItem};
pub use kll::{Kll, KllView};
pub use moments::Moments;
pub use profile::{NumericProfile, TextProfile};

/// Stored bytes are not a sketch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stored {sketch} sketch is not valid: {why}")]
pub struct InvalidSketch {
    /// Which kind of sketch was expected.
    pub sketch: &'static str,
    /// What is wrong with it.
    pub why: String,
}

//! Mergeable sketches and moments: pure mathematics, no I/O, no clock, no hidden randomness.
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
//! Every type merges: the sketch of a union is the merge of the sketches, within the same bounds.

pub mod categorical;
pub mod kll;
pub mod moments;
pub mod profile;

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

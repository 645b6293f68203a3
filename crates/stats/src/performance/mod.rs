//! How good predictions were, once it is known what was true: metrics with intervals.
//!
//! | task | type | state |
//! |---|---|---|
//! | which class | [`Confusion`] | counts; merges |
//! | how probable one class of two | [`Scored`] | the scores; merges |
//! | how probable each of many classes | [`Probabilities`] | the probabilities; merges |
//! | a number | [`Regression`] | moments; merges; the [`median_absolute_error`] needs the column |
//! | an order | [`Ranking`] | moments over queries; merges |
//! | whether groups are treated alike | [`Treated`] | counts of each group; add |
//! | whether a probability means what it says | [`Calibration`] | counts and sums of bins; merges |
//!
//! A window is the merge of its parts. Each [`Measure`] has an interval and says by which [`Method`]; where no method is
//! valid (a standard error of zero, one row), it has none. Values are those of scikit-learn 1.9 where it has the metric.
//! [`difference`] and [`ratio`] compare two measures that were taken on different rows.

mod calibration;
mod confusion;
mod fairness;
mod interval;
mod probabilities;
mod ranking;
mod regression;
mod scored;

#[cfg(test)]
#[expect(clippy::many_single_char_names, reason = "uniform draws")]
mod oracles;
#[cfg(test)]
mod tests;

pub use calibration::{Bin, Calibration, Recalibration, recalibration};
pub use confusion::{Average, Confusion};
pub use fairness::{FAIRNESS, Treated, fairness};
pub use interval::{Interval, Level, Measure, Method, difference, ratio, wilson};
pub use probabilities::Probabilities;
pub use ranking::{Item, Ranking};
pub use regression::{Regression, mean, median_absolute_error};
pub use scored::Scored;
pub(crate) use scored::area;

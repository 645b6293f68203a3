//! What a table's columns look like, and whether they still look like that.
//!
//! [`profile`] reads a file once (CSV twice: its types are found first), in lanes that merge, and keeps sketches of
//! each column: memory depends on the columns, not on the rows. [`drift`] compares the columns of two files by one of
//! the presets of [`mainspring_stats::presets`], columns in memory as far as 256 MiB go. [`performance`] measures what a
//! deployment answered against the labels that came for it. [`estimate`] says how good
//! predictions probably are before there are any labels. [`quality`] checks data against rules.

mod column;
pub mod drift;
mod error;
pub mod estimate;
pub mod live;
mod lowest;
pub mod performance;
pub mod profile;
pub mod quality;
mod said;
pub mod segment;
pub mod sketches;
mod table;
#[cfg(test)]
mod tests;

pub use column::{Kind, element};
pub use error::MonitorError;
pub use table::Table;

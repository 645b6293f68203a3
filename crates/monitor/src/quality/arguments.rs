//! The arguments of expectations, by Great Expectations' names.

use super::end::{self, End};
use super::suite::Pattern;
use serde::Deserialize;
use serde_json::Value;

/// Ends of a range; one may be left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub min_value: Option<f64>,
    pub max_value: Option<f64>,
    pub strict_min: bool,
    pub strict_max: bool,
}

impl Range {
    pub fn holds(&self, x: f64) -> bool {
        let above = self.min_value.is_none_or(|min| if self.strict_min { x > min } else { x >= min });
        let below = self.max_value.is_none_or(|max| if self.strict_max { x < max } else { x <= max });
        above && below
    }

    pub(super) fn sound(&self) -> Result<(), String> {
        match (self.min_value, self.max_value) {
            (None, None) => Err("give min_value, max_value or both".into()),
            (Some(min), Some(max)) if min > max => Err(format!("min_value {min} is above max_value {max}")),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bounds {
    pub min_value: Option<f64>,
    pub max_value: Option<f64>,
    #[serde(default)]
    pub strict_min: bool,
    #[serde(default)]
    pub strict_max: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Equal {
    pub value: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnSet {
    pub column_set: Vec<String>,
    #[serde(default = "yes")]
    pub exact_match: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnList {
    pub column_list: Vec<String>,
    /// `never`: a row with a missing value counts too.
    pub ignore_row_if: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfColumn {
    pub column: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfType {
    pub column: String,
    pub type_: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfTypes {
    pub column: String,
    pub type_list: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InRange {
    pub column: String,
    pub min_value: Option<End>,
    pub max_value: Option<End>,
    #[serde(default)]
    pub strict_min: bool,
    #[serde(default)]
    pub strict_max: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InSet {
    pub column: String,
    pub value_set: Vec<Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Matching {
    pub column: String,
    pub regex: Pattern,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MatchingList {
    pub column: String,
    pub regex_list: Vec<Pattern>,
    /// One of them is enough when it is left out.
    pub match_on: Option<MatchOn>,
}

/// How many of several expressions must match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum MatchOn {
    Any,
    All,
}

impl MatchingList {
    pub(super) fn sound(&self) -> Result<(), String> {
        if self.regex_list.is_empty() {
            return Err("regex_list is empty; give at least one expression".into());
        }
        Ok(())
    }
}

/// Each value beside the one before it that is not missing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InOrder {
    pub column: String,
    /// Equal neighbours break it.
    #[serde(default)]
    pub strictly: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MostCommon {
    pub column: String,
    pub value_set: Vec<Value>,
    /// Of several that are as common one is enough.
    #[serde(default)]
    pub ties_okay: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PairInSet {
    #[serde(rename = "column_A")]
    pub a: String,
    #[serde(rename = "column_B")]
    pub b: String,
    /// `null` is a missing value.
    pub value_pairs_set: Vec<(Value, Value)>,
    /// As of [`Pair`].
    pub ignore_row_if: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfLength {
    pub column: String,
    pub value: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pair {
    #[serde(rename = "column_A")]
    pub a: String,
    #[serde(rename = "column_B")]
    pub b: String,
    #[serde(default)]
    pub or_equal: bool,
    /// `both_values_are_missing`, `either_value_is_missing` or `neither`.
    pub ignore_row_if: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sum {
    pub column_list: Vec<String>,
    #[serde(rename = "sum_total")]
    pub total: f64,
    pub ignore_row_if: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quantiles {
    pub column: String,
    pub quantile_ranges: QuantileRanges,
    /// Great Expectations writes `false`.
    #[serde(default)]
    pub allow_relative_error: bool,
}

/// Quantiles, 0 to 1, and the range that the value of each is in; either end of it may be left open.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuantileRanges {
    pub quantiles: Vec<f64>,
    value_ranges: Vec<(Option<f64>, Option<f64>)>,
}

impl QuantileRanges {
    /// The range of each.
    pub fn ranges(&self) -> impl Iterator<Item = (f64, Range)> {
        let range = |&(min_value, max_value): &(Option<f64>, Option<f64>)| Range {
            min_value,
            max_value,
            strict_min: false,
            strict_max: false,
        };
        self.quantiles.iter().copied().zip(self.value_ranges.iter().map(range))
    }

    pub(super) fn sound(&self) -> Result<(), String> {
        let (quantiles, ranges) = (self.quantiles.len(), self.value_ranges.len());
        if quantiles == 0 || quantiles != ranges {
            return Err(format!(
                "there are {quantiles} quantiles and {ranges} value_ranges; give each quantile its range"
            ));
        }
        for (quantile, range) in self.ranges() {
            if !(0.0..=1.0).contains(&quantile) {
                return Err(format!("the quantile {quantile} is not from 0 to 1"));
            }
            range.sound().map_err(|why| format!("the range of the quantile {quantile}: {why}"))?;
        }
        Ok(())
    }
}

fn yes() -> bool {
    true
}

impl From<&Bounds> for Range {
    fn from(b: &Bounds) -> Self {
        Self { min_value: b.min_value, max_value: b.max_value, strict_min: b.strict_min, strict_max: b.strict_max }
    }
}

impl From<&InRange> for Range {
    fn from(b: &InRange) -> Self {
        let (min_value, max_value) = (b.min_value.map(|end| end.at), b.max_value.map(|end| end.at));
        Self { min_value, max_value, strict_min: b.strict_min, strict_max: b.strict_max }
    }
}

impl InRange {
    /// Whether it is about dates and times.
    pub fn is_of_times(&self) -> bool {
        [self.min_value, self.max_value].into_iter().flatten().any(|end| end.is_time)
    }

    /// Of a rule about numbers.
    pub(super) fn sound(&self) -> Result<(), String> {
        if self.is_of_times() {
            return Err("min_value or max_value is a date or a time, and it is about numbers".into());
        }
        Range::from(self).sound()
    }

    /// Of a rule about numbers, or about dates and times.
    pub(super) fn sound_of_either(&self) -> Result<(), String> {
        match (self.min_value, self.max_value) {
            (Some(min), Some(max)) if min.is_time != max.is_time => {
                Err("of min_value and max_value one is a number and the other a date or a time".into())
            }
            (Some(min), Some(max)) if min.is_time && min.at > max.at => {
                Err(format!("min_value {} is after max_value {}", end::shown(min.at), end::shown(max.at)))
            }
            _ => Range::from(self).sound(),
        }
    }
}

fn ignored(word: Option<&str>, words: [&str; 3]) -> Result<(), String> {
    match word {
        Some(word) if !words.contains(&word) => {
            Err(format!("ignore_row_if is {word:?}; it is one of {}", words.join(", ")))
        }
        _ => Ok(()),
    }
}

/// Columns that are taken together: there is at least one.
pub(super) fn several(columns: &[String], word: Option<&str>) -> Result<(), String> {
    if columns.is_empty() {
        return Err("column_list is empty; name the columns that are taken together".into());
    }
    ignored(word, ["all_values_are_missing", "any_value_is_missing", "never"])
}

pub(super) fn pair(word: Option<&str>) -> Result<(), String> {
    ignored(word, ["both_values_are_missing", "either_value_is_missing", "neither"])
}

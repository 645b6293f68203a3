//! What can be expected.

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

    fn sound(&self) -> Result<(), String> {
        match (self.min_value, self.max_value) {
            (None, None) => Err("give min_value, max_value or both".into()),
            (Some(min), Some(max)) if min > max => Err(format!("min_value {min} is above max_value {max}")),
            _ => Ok(()),
        }
    }
}

/// An expectation with its arguments.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", content = "kwargs", rename_all = "snake_case")]
#[allow(clippy::enum_variant_names, reason = "the names are Great Expectations'")]
pub(super) enum Check {
    ExpectTableRowCountToBeBetween(Bounds),
    ExpectTableRowCountToEqual(Equal),
    ExpectTableColumnsToMatchSet(ColumnSet),
    ExpectTableColumnsToMatchOrderedList(ColumnList),
    ExpectTableRowsToBeUnique(Nothing),
    ExpectColumnToExist(OfColumn),
    ExpectColumnValuesToBeOfType(OfType),
    ExpectColumnValuesToBeInTypeList(OfTypes),
    ExpectColumnValuesToNotBeNull(OfColumn),
    ExpectColumnValuesToBeNull(OfColumn),
    ExpectColumnValuesToBeBetween(InRange),
    ExpectColumnValuesToBeInSet(InSet),
    ExpectColumnValuesToNotBeInSet(InSet),
    ExpectColumnValuesToBeUnique(OfColumn),
    ExpectColumnValuesToMatchRegex(Matching),
    ExpectColumnValuesToNotMatchRegex(Matching),
    ExpectColumnValueLengthsToBeBetween(InRange),
    ExpectColumnValueLengthsToEqual(OfLength),
    ExpectColumnPairValuesAToBeGreaterThanB(Pair),
    ExpectColumnPairValuesToBeEqual(Pair),
    ExpectCompoundColumnsToBeUnique(ColumnList),
    ExpectMulticolumnSumToEqual(Sum),
    ExpectColumnMeanToBeBetween(InRange),
    ExpectColumnMedianToBeBetween(InRange),
    ExpectColumnStdevToBeBetween(InRange),
    ExpectColumnMinToBeBetween(InRange),
    ExpectColumnMaxToBeBetween(InRange),
    ExpectColumnSumToBeBetween(InRange),
    ExpectColumnUniqueValueCountToBeBetween(InRange),
    ExpectColumnProportionOfUniqueValuesToBeBetween(InRange),
    ExpectColumnDistinctValuesToBeInSet(InSet),
    ExpectColumnDistinctValuesToContainSet(InSet),
    ExpectColumnDistinctValuesToEqualSet(InSet),
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
    pub min_value: Option<f64>,
    pub max_value: Option<f64>,
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
        Self { min_value: b.min_value, max_value: b.max_value, strict_min: b.strict_min, strict_max: b.strict_max }
    }
}

impl Check {
    /// All names.
    pub const NAMES: [&'static str; 33] = [
        "expect_table_row_count_to_be_between",
        "expect_table_row_count_to_equal",
        "expect_table_columns_to_match_set",
        "expect_table_columns_to_match_ordered_list",
        "expect_table_rows_to_be_unique",
        "expect_column_to_exist",
        "expect_column_values_to_be_of_type",
        "expect_column_values_to_be_in_type_list",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_be_null",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_be_unique",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_not_match_regex",
        "expect_column_value_lengths_to_be_between",
        "expect_column_value_lengths_to_equal",
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_compound_columns_to_be_unique",
        "expect_multicolumn_sum_to_equal",
        "expect_column_mean_to_be_between",
        "expect_column_median_to_be_between",
        "expect_column_stdev_to_be_between",
        "expect_column_min_to_be_between",
        "expect_column_max_to_be_between",
        "expect_column_sum_to_be_between",
        "expect_column_unique_value_count_to_be_between",
        "expect_column_proportion_of_unique_values_to_be_between",
        "expect_column_distinct_values_to_be_in_set",
        "expect_column_distinct_values_to_contain_set",
        "expect_column_distinct_values_to_equal_set",
    ];

    /// Whether its arguments make sense together.
    pub fn sound(&self) -> Result<(), String> {
        match self {
            Self::ExpectTableRowCountToBeBetween(b) => Range::from(b).sound(),
            Self::ExpectColumnValuesToBeBetween(b)
            | Self::ExpectColumnValueLengthsToBeBetween(b)
            | Self::ExpectColumnMeanToBeBetween(b)
            | Self::ExpectColumnMedianToBeBetween(b)
            | Self::ExpectColumnStdevToBeBetween(b)
            | Self::ExpectColumnMinToBeBetween(b)
            | Self::ExpectColumnMaxToBeBetween(b)
            | Self::ExpectColumnSumToBeBetween(b)
            | Self::ExpectColumnUniqueValueCountToBeBetween(b)
            | Self::ExpectColumnProportionOfUniqueValuesToBeBetween(b) => Range::from(b).sound(),
            Self::ExpectCompoundColumnsToBeUnique(c) => several(&c.column_list, c.ignore_row_if.as_deref()),
            Self::ExpectMulticolumnSumToEqual(c) => several(&c.column_list, c.ignore_row_if.as_deref()),
            Self::ExpectColumnPairValuesToBeEqual(p) if p.or_equal => Err("or_equal is of greater_than".into()),
            Self::ExpectColumnPairValuesAToBeGreaterThanB(p) | Self::ExpectColumnPairValuesToBeEqual(p) => {
                pair(p.ignore_row_if.as_deref())
            }
            _ => Ok(()),
        }
    }

    /// Whether rows keep it or break it, so that a share of them may.
    pub fn counts_rows(&self) -> bool {
        matches!(
            self,
            Self::ExpectColumnValuesToNotBeNull(_)
                | Self::ExpectColumnValuesToBeNull(_)
                | Self::ExpectColumnValuesToBeBetween(_)
                | Self::ExpectColumnValuesToBeInSet(_)
                | Self::ExpectColumnValuesToNotBeInSet(_)
                | Self::ExpectColumnValuesToBeUnique(_)
                | Self::ExpectColumnValuesToMatchRegex(_)
                | Self::ExpectColumnValuesToNotMatchRegex(_)
                | Self::ExpectColumnValueLengthsToBeBetween(_)
                | Self::ExpectColumnValueLengthsToEqual(_)
                | Self::ExpectColumnPairValuesAToBeGreaterThanB(_)
                | Self::ExpectColumnPairValuesToBeEqual(_)
                | Self::ExpectCompoundColumnsToBeUnique(_)
                | Self::ExpectMulticolumnSumToEqual(_)
                | Self::ExpectTableRowsToBeUnique(_)
        )
    }

    /// Whether a row keeps or breaks it by itself, or every row does by its type.
    pub fn is_of_rows(&self) -> bool {
        match self {
            Self::ExpectColumnValuesToBeUnique(_)
            | Self::ExpectCompoundColumnsToBeUnique(_)
            | Self::ExpectTableRowsToBeUnique(_) => false,
            Self::ExpectColumnToExist(_)
            | Self::ExpectColumnValuesToBeOfType(_)
            | Self::ExpectColumnValuesToBeInTypeList(_) => true,
            other => other.counts_rows(),
        }
    }

    /// Whether it looks at values at all, so that some rows may be left out.
    pub fn has_rows(&self) -> bool {
        !matches!(
            self,
            Self::ExpectTableColumnsToMatchSet(_)
                | Self::ExpectTableColumnsToMatchOrderedList(_)
                | Self::ExpectColumnToExist(_)
                | Self::ExpectColumnValuesToBeOfType(_)
                | Self::ExpectColumnValuesToBeInTypeList(_)
        )
    }

    /// Columns whose values it looks at.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::ExpectTableRowCountToBeBetween(_)
            | Self::ExpectTableRowCountToEqual(_)
            | Self::ExpectTableColumnsToMatchSet(_)
            | Self::ExpectTableColumnsToMatchOrderedList(_)
            | Self::ExpectTableRowsToBeUnique(_) => Vec::new(),
            Self::ExpectColumnToExist(c)
            | Self::ExpectColumnValuesToNotBeNull(c)
            | Self::ExpectColumnValuesToBeNull(c)
            | Self::ExpectColumnValuesToBeUnique(c) => vec![&c.column],
            Self::ExpectColumnValuesToBeOfType(c) => vec![&c.column],
            Self::ExpectColumnValuesToBeInTypeList(c) => vec![&c.column],
            Self::ExpectColumnValueLengthsToEqual(c) => vec![&c.column],
            Self::ExpectColumnValuesToMatchRegex(c) | Self::ExpectColumnValuesToNotMatchRegex(c) => vec![&c.column],
            Self::ExpectColumnValuesToBeInSet(c)
            | Self::ExpectColumnValuesToNotBeInSet(c)
            | Self::ExpectColumnDistinctValuesToBeInSet(c)
            | Self::ExpectColumnDistinctValuesToContainSet(c)
            | Self::ExpectColumnDistinctValuesToEqualSet(c) => vec![&c.column],
            Self::ExpectColumnPairValuesAToBeGreaterThanB(p) | Self::ExpectColumnPairValuesToBeEqual(p) => {
                vec![&p.a, &p.b]
            }
            Self::ExpectCompoundColumnsToBeUnique(c) => c.column_list.iter().map(String::as_str).collect(),
            Self::ExpectMulticolumnSumToEqual(c) => c.column_list.iter().map(String::as_str).collect(),
            Self::ExpectColumnValuesToBeBetween(b)
            | Self::ExpectColumnValueLengthsToBeBetween(b)
            | Self::ExpectColumnMeanToBeBetween(b)
            | Self::ExpectColumnMedianToBeBetween(b)
            | Self::ExpectColumnStdevToBeBetween(b)
            | Self::ExpectColumnMinToBeBetween(b)
            | Self::ExpectColumnMaxToBeBetween(b)
            | Self::ExpectColumnSumToBeBetween(b)
            | Self::ExpectColumnUniqueValueCountToBeBetween(b)
            | Self::ExpectColumnProportionOfUniqueValuesToBeBetween(b) => vec![&b.column],
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
fn several(columns: &[String], word: Option<&str>) -> Result<(), String> {
    if columns.is_empty() {
        return Err("column_list is empty; name the columns that are taken together".into());
    }
    ignored(word, ["all_values_are_missing", "any_value_is_missing", "never"])
}

fn pair(word: Option<&str>) -> Result<(), String> {
    ignored(word, ["both_values_are_missing", "either_value_is_missing", "neither"])
}

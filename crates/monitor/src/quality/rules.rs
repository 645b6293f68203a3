//! What can be expected.

use super::arguments::{
    Bounds, ColumnList, ColumnSet, Equal, InOrder, InRange, InSet, Matching, MatchingList, MostCommon, Nothing,
    OfColumn, OfLength, OfType, OfTypes, Pair, PairInSet, Quantiles, Range, Sum, pair, several,
};
use serde::Deserialize;

/// An expectation with its arguments.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", content = "kwargs", rename_all = "snake_case")]
#[allow(clippy::enum_variant_names, reason = "the names are Great Expectations'")]
pub(super) enum Check {
    ExpectTableRowCountToBeBetween(Bounds),
    ExpectTableRowCountToEqual(Equal),
    ExpectTableColumnCountToBeBetween(Bounds),
    ExpectTableColumnCountToEqual(Equal),
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
    ExpectColumnValuesToBeIncreasing(InOrder),
    ExpectColumnValuesToBeDecreasing(InOrder),
    ExpectColumnValuesToMatchRegex(Matching),
    ExpectColumnValuesToNotMatchRegex(Matching),
    ExpectColumnValuesToMatchRegexList(MatchingList),
    ExpectColumnValuesToNotMatchRegexList(MatchingList),
    ExpectColumnValuesToBeJsonParseable(OfColumn),
    ExpectColumnValueLengthsToBeBetween(InRange),
    ExpectColumnValueLengthsToEqual(OfLength),
    ExpectColumnPairValuesAToBeGreaterThanB(Pair),
    ExpectColumnPairValuesToBeEqual(Pair),
    ExpectColumnPairValuesToBeInSet(PairInSet),
    ExpectSelectColumnValuesToBeUniqueWithinRecord(ColumnList),
    ExpectCompoundColumnsToBeUnique(ColumnList),
    ExpectMulticolumnSumToEqual(Sum),
    ExpectColumnMeanToBeBetween(InRange),
    ExpectColumnMedianToBeBetween(InRange),
    ExpectColumnQuantileValuesToBeBetween(Quantiles),
    ExpectColumnStdevToBeBetween(InRange),
    ExpectColumnMinToBeBetween(InRange),
    ExpectColumnMaxToBeBetween(InRange),
    ExpectColumnSumToBeBetween(InRange),
    ExpectColumnUniqueValueCountToBeBetween(InRange),
    ExpectColumnProportionOfUniqueValuesToBeBetween(InRange),
    ExpectColumnProportionOfNonNullValuesToBeBetween(InRange),
    ExpectColumnMostCommonValueToBeInSet(MostCommon),
    ExpectColumnDistinctValuesToBeInSet(InSet),
    ExpectColumnDistinctValuesToContainSet(InSet),
    ExpectColumnDistinctValuesToEqualSet(InSet),
}

impl Check {
    /// All names.
    pub const NAMES: [&'static str; 45] = [
        "expect_table_row_count_to_be_between",
        "expect_table_row_count_to_equal",
        "expect_table_column_count_to_be_between",
        "expect_table_column_count_to_equal",
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
        "expect_column_values_to_be_increasing",
        "expect_column_values_to_be_decreasing",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_not_match_regex",
        "expect_column_values_to_match_regex_list",
        "expect_column_values_to_not_match_regex_list",
        "expect_column_values_to_be_json_parseable",
        "expect_column_value_lengths_to_be_between",
        "expect_column_value_lengths_to_equal",
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_pair_values_to_be_in_set",
        "expect_select_column_values_to_be_unique_within_record",
        "expect_compound_columns_to_be_unique",
        "expect_multicolumn_sum_to_equal",
        "expect_column_mean_to_be_between",
        "expect_column_median_to_be_between",
        "expect_column_quantile_values_to_be_between",
        "expect_column_stdev_to_be_between",
        "expect_column_min_to_be_between",
        "expect_column_max_to_be_between",
        "expect_column_sum_to_be_between",
        "expect_column_unique_value_count_to_be_between",
        "expect_column_proportion_of_unique_values_to_be_between",
        "expect_column_proportion_of_non_null_values_to_be_between",
        "expect_column_most_common_value_to_be_in_set",
        "expect_column_distinct_values_to_be_in_set",
        "expect_column_distinct_values_to_contain_set",
        "expect_column_distinct_values_to_equal_set",
    ];

    /// Whether its arguments make sense together.
    pub fn sound(&self) -> Result<(), String> {
        match self {
            Self::ExpectTableRowCountToBeBetween(b) | Self::ExpectTableColumnCountToBeBetween(b) => {
                Range::from(b).sound()
            }
            Self::ExpectColumnValuesToBeBetween(b)
            | Self::ExpectColumnMinToBeBetween(b)
            | Self::ExpectColumnMaxToBeBetween(b) => b.sound_of_either(),
            Self::ExpectColumnValueLengthsToBeBetween(b)
            | Self::ExpectColumnMeanToBeBetween(b)
            | Self::ExpectColumnMedianToBeBetween(b)
            | Self::ExpectColumnStdevToBeBetween(b)
            | Self::ExpectColumnSumToBeBetween(b)
            | Self::ExpectColumnUniqueValueCountToBeBetween(b)
            | Self::ExpectColumnProportionOfUniqueValuesToBeBetween(b)
            | Self::ExpectColumnProportionOfNonNullValuesToBeBetween(b) => b.sound(),
            Self::ExpectColumnQuantileValuesToBeBetween(q) if q.allow_relative_error => {
                Err("allow_relative_error is true; quantiles are right within 0.2 % of the rows in any case, so leave it out".into())
            }
            Self::ExpectColumnQuantileValuesToBeBetween(q) => q.quantile_ranges.sound(),
            Self::ExpectColumnValuesToNotMatchRegexList(m) if m.match_on.is_some() => {
                Err("match_on is of match_regex_list; here no expression may match".into())
            }
            Self::ExpectColumnValuesToMatchRegexList(m) | Self::ExpectColumnValuesToNotMatchRegexList(m) => m.sound(),
            Self::ExpectCompoundColumnsToBeUnique(c) | Self::ExpectSelectColumnValuesToBeUniqueWithinRecord(c) => {
                several(&c.column_list, c.ignore_row_if.as_deref())
            }
            Self::ExpectMulticolumnSumToEqual(c) => several(&c.column_list, c.ignore_row_if.as_deref()),
            Self::ExpectColumnPairValuesToBeEqual(p) if p.or_equal => Err("or_equal is of greater_than".into()),
            Self::ExpectColumnPairValuesAToBeGreaterThanB(p) | Self::ExpectColumnPairValuesToBeEqual(p) => {
                pair(p.ignore_row_if.as_deref())
            }
            Self::ExpectColumnPairValuesToBeInSet(p) => pair(p.ignore_row_if.as_deref()),
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
                | Self::ExpectColumnValuesToBeIncreasing(_)
                | Self::ExpectColumnValuesToBeDecreasing(_)
                | Self::ExpectColumnValuesToMatchRegex(_)
                | Self::ExpectColumnValuesToNotMatchRegex(_)
                | Self::ExpectColumnValuesToMatchRegexList(_)
                | Self::ExpectColumnValuesToNotMatchRegexList(_)
                | Self::ExpectColumnValuesToBeJsonParseable(_)
                | Self::ExpectColumnValueLengthsToBeBetween(_)
                | Self::ExpectColumnValueLengthsToEqual(_)
                | Self::ExpectColumnPairValuesAToBeGreaterThanB(_)
                | Self::ExpectColumnPairValuesToBeEqual(_)
                | Self::ExpectColumnPairValuesToBeInSet(_)
                | Self::ExpectSelectColumnValuesToBeUniqueWithinRecord(_)
                | Self::ExpectCompoundColumnsToBeUnique(_)
                | Self::ExpectMulticolumnSumToEqual(_)
                | Self::ExpectTableRowsToBeUnique(_)
        )
    }

    /// Whether a row keeps or breaks it by itself, or every row does by its type.
    pub fn is_of_rows(&self) -> bool {
        match self {
            Self::ExpectColumnValuesToBeUnique(_)
            | Self::ExpectColumnValuesToBeIncreasing(_)
            | Self::ExpectColumnValuesToBeDecreasing(_)
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
                | Self::ExpectTableColumnCountToBeBetween(_)
                | Self::ExpectTableColumnCountToEqual(_)
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
            | Self::ExpectTableColumnCountToBeBetween(_)
            | Self::ExpectTableColumnCountToEqual(_)
            | Self::ExpectTableColumnsToMatchSet(_)
            | Self::ExpectTableColumnsToMatchOrderedList(_)
            | Self::ExpectTableRowsToBeUnique(_) => Vec::new(),
            Self::ExpectColumnToExist(c)
            | Self::ExpectColumnValuesToNotBeNull(c)
            | Self::ExpectColumnValuesToBeNull(c)
            | Self::ExpectColumnValuesToBeJsonParseable(c)
            | Self::ExpectColumnValuesToBeUnique(c) => vec![&c.column],
            Self::ExpectColumnValuesToBeIncreasing(c) | Self::ExpectColumnValuesToBeDecreasing(c) => vec![&c.column],
            Self::ExpectColumnMostCommonValueToBeInSet(c) => vec![&c.column],
            Self::ExpectColumnValuesToBeOfType(c) => vec![&c.column],
            Self::ExpectColumnValuesToBeInTypeList(c) => vec![&c.column],
            Self::ExpectColumnValueLengthsToEqual(c) => vec![&c.column],
            Self::ExpectColumnQuantileValuesToBeBetween(c) => vec![&c.column],
            Self::ExpectColumnValuesToMatchRegex(c) | Self::ExpectColumnValuesToNotMatchRegex(c) => vec![&c.column],
            Self::ExpectColumnValuesToMatchRegexList(c) | Self::ExpectColumnValuesToNotMatchRegexList(c) => {
                vec![&c.column]
            }
            Self::ExpectColumnValuesToBeInSet(c)
            | Self::ExpectColumnValuesToNotBeInSet(c)
            | Self::ExpectColumnDistinctValuesToBeInSet(c)
            | Self::ExpectColumnDistinctValuesToContainSet(c)
            | Self::ExpectColumnDistinctValuesToEqualSet(c) => vec![&c.column],
            Self::ExpectColumnPairValuesAToBeGreaterThanB(p) | Self::ExpectColumnPairValuesToBeEqual(p) => {
                vec![&p.a, &p.b]
            }
            Self::ExpectColumnPairValuesToBeInSet(p) => vec![&p.a, &p.b],
            Self::ExpectCompoundColumnsToBeUnique(c) | Self::ExpectSelectColumnValuesToBeUniqueWithinRecord(c) => {
                c.column_list.iter().map(String::as_str).collect()
            }
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
            | Self::ExpectColumnProportionOfUniqueValuesToBeBetween(b)
            | Self::ExpectColumnProportionOfNonNullValuesToBeBetween(b) => vec![&b.column],
        }
    }
}

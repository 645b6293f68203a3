"""Rules for data, by Great Expectations: more cases for cases.py. The table is made in the crate `monitor` as well."""

import contextlib
import os
import sys

ROWS = 200


def table():
    import pandas as pd

    def column(value, missing):
        return [None if i % missing == 0 else value(i) for i in range(ROWS)]

    return pd.DataFrame({
        "id": [i - (i % 40 == 7) for i in range(ROWS)],
        "age": column(lambda i: float(i * 37 % 130 - 5), 11),
        "plan": column(lambda i: ("basic", "plus", "gold", "pro")[i * i % 7 % 4], 13),
        "low": column(lambda i: float(i * 7 % 20), 17),
        "high": column(lambda i: float(i * 11 % 25), 19),
        "code": [f"A{i % 9}" if i % 10 != 3 else "x" * (i % 4) for i in range(ROWS)],
    })


RULES = [
    ("expect_table_row_count_to_be_between", {"min_value": 100, "max_value": 200}),
    ("expect_table_row_count_to_equal", {"value": 199}),
    ("expect_table_columns_to_match_set", {"column_set": ["id", "age", "plan", "low", "high", "code"]}),
    ("expect_table_columns_to_match_set", {"column_set": ["id", "age"], "exact_match": False}),
    ("expect_table_columns_to_match_ordered_list", {"column_list": ["age", "id", "plan", "low", "high", "code"]}),
    ("expect_column_to_exist", {"column": "age"}),
    ("expect_column_values_to_not_be_null", {"column": "age"}),
    ("expect_column_values_to_not_be_null", {"column": "age", "mostly": 0.9}),
    ("expect_column_values_to_be_null", {"column": "age", "mostly": 0.05}),
    ("expect_column_values_to_be_between", {"column": "age", "min_value": 0, "max_value": 120}),
    ("expect_column_values_to_be_between", {"column": "age", "min_value": 0, "strict_min": True, "mostly": 0.96}),
    ("expect_column_values_to_be_between", {"column": "age", "max_value": 100, "strict_max": True}),
    ("expect_column_values_to_be_in_set", {"column": "plan", "value_set": ["basic", "plus"]}),
    ("expect_column_values_to_be_in_set", {"column": "low", "value_set": [0, 1, 2, 3.0]}),
    ("expect_column_values_to_not_be_in_set", {"column": "plan", "value_set": ["gold"], "mostly": 0.5}),
    ("expect_column_values_to_be_unique", {"column": "id"}),
    ("expect_column_values_to_be_unique", {"column": "age"}),
    ("expect_column_values_to_match_regex", {"column": "code", "regex": "A[0-4]"}),
    ("expect_column_values_to_match_regex", {"column": "code", "regex": "[0-4]"}),
    ("expect_column_values_to_not_match_regex", {"column": "code", "regex": "x+$"}),
    ("expect_column_values_to_not_match_regex", {"column": "code", "regex": "[0-4]"}),
    ("expect_column_value_lengths_to_be_between", {"column": "code", "min_value": 1, "max_value": 2}),
    ("expect_column_value_lengths_to_equal", {"column": "code", "value": 2}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "high", "column_B": "low"}),
    ("expect_column_pair_values_a_to_be_greater_than_b",
     {"column_A": "high", "column_B": "low", "or_equal": True, "ignore_row_if": "either_value_is_missing"}),
    ("expect_column_pair_values_to_be_equal",
     {"column_A": "high", "column_B": "low", "ignore_row_if": "both_values_are_missing"}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["low", "high"]}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["low", "plan"], "ignore_row_if": "any_value_is_missing"}),
    ("expect_multicolumn_sum_to_equal",
     {"column_list": ["low", "high"], "sum_total": 20, "ignore_row_if": "any_value_is_missing"}),
    ("expect_column_mean_to_be_between", {"column": "age", "min_value": 50, "max_value": 60}),
    ("expect_column_stdev_to_be_between", {"column": "age", "max_value": 30}),
    ("expect_column_min_to_be_between", {"column": "age", "min_value": -5}),
    ("expect_column_max_to_be_between", {"column": "age", "max_value": 120}),
    ("expect_column_sum_to_be_between", {"column": "low", "min_value": 1000, "max_value": 2000}),
    ("expect_column_median_to_be_between", {"column": "id", "min_value": 90, "max_value": 110}),
    ("expect_column_unique_value_count_to_be_between", {"column": "plan", "min_value": 4, "max_value": 4}),
    ("expect_column_proportion_of_unique_values_to_be_between", {"column": "id", "min_value": 0.99}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "plan", "value_set": ["basic", "plus", "gold"]}),
    ("expect_column_distinct_values_to_contain_set", {"column": "plan", "value_set": ["basic", "plus"]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "plan", "value_set": ["basic", "plus", "gold", "pro"]}),
    ("expect_column_distinct_values_to_equal_set",
     {"column": "plan", "value_set": ["basic", "plus", "gold", "basic", "plus"]}),
    ("expect_column_distinct_values_to_contain_set", {"column": "low", "value_set": [7, 1, 7.0]}),
    ("expect_table_column_count_to_be_between", {"min_value": 1, "max_value": 5}),
    ("expect_table_column_count_to_equal", {"value": 6}),
    ("expect_column_values_to_be_increasing", {"column": "id"}),
    ("expect_column_values_to_be_increasing", {"column": "id", "strictly": True}),
    ("expect_column_values_to_be_increasing", {"column": "age", "mostly": 0.7}),
    ("expect_column_values_to_be_decreasing", {"column": "age"}),
    ("expect_column_values_to_match_regex", {"column": "code", "regex": r"^A(?!3)\d$"}),
    ("expect_column_values_to_not_match_regex", {"column": "code", "regex": r"(?<=A)[0-4]"}),
    ("expect_column_values_to_match_regex_list", {"column": "code", "regex_list": ["^A[0-4]$", "^x+$"]}),
    ("expect_column_values_to_match_regex_list", {"column": "code", "regex_list": ["^A", "[2-7]"], "match_on": "all"}),
    ("expect_column_values_to_not_match_regex_list", {"column": "code", "regex_list": ["^A[0-2]$", "^x+$"]}),
    ("expect_column_values_to_be_json_parseable", {"column": "code"}),
    ("expect_column_pair_values_to_be_in_set",
     {"column_A": "low", "column_B": "plan", "value_pairs_set": [[7, "plus"], [14, "basic"], [8, "gold"], [2, None], [None, "pro"]]}),
    ("expect_column_pair_values_to_be_in_set",
     {"column_A": "low", "column_B": "high", "ignore_row_if": "either_value_is_missing",
      "value_pairs_set": [[low, high] for low in range(10) for high in range(20)]}),
    ("expect_column_pair_values_to_be_in_set",
     {"column_A": "low", "column_B": "plan", "ignore_row_if": "neither", "value_pairs_set": [[None, None], [7, "plus"], [0, "basic"]]}),
    ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["low", "high", "age"]}),
    ("expect_select_column_values_to_be_unique_within_record",
     {"column_list": ["low", "high"], "ignore_row_if": "any_value_is_missing"}),
    ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["age", "low", "high"], "ignore_row_if": "never"}),
    ("expect_column_proportion_of_non_null_values_to_be_between", {"column": "age", "min_value": 0.9, "max_value": 0.95}),
    ("expect_column_proportion_of_non_null_values_to_be_between", {"column": "age", "min_value": 0.95}),
    ("expect_column_most_common_value_to_be_in_set", {"column": "plan", "value_set": ["basic"]}),
    ("expect_column_most_common_value_to_be_in_set", {"column": "plan", "value_set": ["plus", "gold"]}),
    ("expect_column_most_common_value_to_be_in_set", {"column": "low", "value_set": [1, 3]}),
    ("expect_column_most_common_value_to_be_in_set", {"column": "low", "value_set": [7, 14, 3], "ties_okay": True}),
    ("expect_column_quantile_values_to_be_between",
     {"column": "age", "quantile_ranges": {"quantiles": [0.1, 0.5, 0.9], "value_ranges": [[0, 20], [None, 70], [100, None]]}}),
    ("expect_column_quantile_values_to_be_between",
     {"column": "id", "quantile_ranges": {"quantiles": [0.0, 0.25, 1.0], "value_ranges": [[0, 0], [45, 55], [None, 150]]}}),
]


def great_expectations():
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # Progress is printed.
    with contextlib.redirect_stdout(sys.stderr):
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
        batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": table()})
        found = []
        for name, kwargs in RULES:
            rule = getattr(gx.expectations, "".join(word.capitalize() for word in name.split("_")))
            given = batch.validate(rule(**kwargs)).to_json_dict()
            result = given["result"]
            observed = result.get("observed_value")
            found.append({"type": name, "kwargs": kwargs, "success": bool(given["success"]),
                          "unexpected": result.get("unexpected_count"),
                          "observed": observed if isinstance(observed, (int, float)) else None})
    return "great_expectations", {"rules": found}

//! Each rule on a small table, by hand; suites as they are written; what is inferred.

use super::*;
use crate::profile::{Profile, profile};
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Float64Type;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

fn table() -> RecordBatch {
    let columns: [(&str, ArrayRef); 7] = [
        ("id", Arc::new(Int64Array::from(vec![9_007_199_254_740_992, 9_007_199_254_740_993, 3, 4, 4, 6]))),
        (
            "age",
            Arc::new(Float64Array::from(vec![Some(20.0), Some(30.0), None, Some(130.0), Some(f64::NAN), Some(-1.0)])),
        ),
        (
            "plan",
            Arc::new(StringArray::from(vec![
                Some("basic"),
                Some("plus"),
                None,
                Some("basic"),
                Some("gold"),
                Some("plus"),
            ])),
        ),
        ("paid", Arc::new(BooleanArray::from(vec![true, true, false, false, true, true]))),
        ("low", Arc::new(Int64Array::from(vec![Some(1), Some(5), None, None, Some(2), Some(3)]))),
        ("high", Arc::new(Int64Array::from(vec![Some(2), Some(4), None, Some(1), Some(2), Some(9)]))),
        (
            "day",
            Arc::new(StringArray::from(vec!["2026-01-02", "2026-01-03", "x", "2026-1-4", "2026-01-05", "2026-01-06"])),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap()
}

fn checked(suite: &Suite) -> Validation {
    let batch = table();
    let mut checker = Checker::new(suite, &batch.schema());
    // In two batches: nothing may depend on where they end.
    checker.see(&batch.slice(0, 4)).unwrap();
    checker.see(&batch.slice(4, 2)).unwrap();
    checker.finish()
}

#[track_caller]
fn check(kind: &str, kwargs: Value) -> RuleResult {
    let rule = Rule::new(kind, kwargs, Severity::Critical).unwrap();
    checked(&Suite { name: None, rules: vec![rule] }).results.remove(0)
}

/// (rows looked at, rows that broke it)
#[track_caller]
fn counts(kind: &str, kwargs: Value) -> (u64, u64) {
    let found = check(kind, kwargs);
    assert_eq!(found.error, None);
    (found.looked.unwrap(), found.unexpected.unwrap())
}

#[test]
fn rules_about_rows_count_those_that_break_them() {
    for (kind, kwargs, want) in [
        ("expect_column_values_to_not_be_null", json!({"column": "age"}), (6, 2)),
        ("expect_column_values_to_be_null", json!({"column": "plan"}), (6, 5)),
        ("expect_column_values_to_be_between", json!({"column": "age", "min_value": 0, "max_value": 120}), (4, 2)),
        ("expect_column_values_to_be_between", json!({"column": "age", "min_value": 20, "strict_min": true}), (4, 2)),
        ("expect_column_values_to_be_between", json!({"column": "plan", "max_value": 1}), (5, 5)),
        ("expect_column_values_to_be_in_set", json!({"column": "plan", "value_set": ["basic", "plus"]}), (5, 1)),
        ("expect_column_values_to_be_in_set", json!({"column": "paid", "value_set": [true]}), (6, 2)),
        ("expect_column_values_to_be_in_set", json!({"column": "low", "value_set": [1, 2, 3.0]}), (4, 1)),
        ("expect_column_values_to_not_be_in_set", json!({"column": "plan", "value_set": ["gold"]}), (5, 1)),
        // Neighbours that are one number as floating point are two; the two fours are both broken.
        ("expect_column_values_to_be_unique", json!({"column": "id"}), (6, 2)),
        ("expect_column_values_to_match_regex", json!({"column": "day", "regex": r"\d{4}-\d\d-\d\d$"}), (6, 2)),
        ("expect_column_values_to_not_match_regex", json!({"column": "day", "regex": "x"}), (6, 1)),
        // Wherever it stands.
        ("expect_column_values_to_match_regex", json!({"column": "plan", "regex": "l"}), (5, 2)),
        ("expect_column_values_to_not_match_regex", json!({"column": "plan", "regex": "s|g"}), (5, 5)),
        ("expect_column_value_lengths_to_be_between", json!({"column": "plan", "max_value": 4}), (5, 2)),
        ("expect_column_value_lengths_to_equal", json!({"column": "day", "value": 10}), (6, 2)),
        ("expect_column_pair_values_a_to_be_greater_than_b", json!({"column_A": "high", "column_B": "low"}), (5, 3)),
        (
            "expect_column_pair_values_a_to_be_greater_than_b",
            json!({"column_A": "high", "column_B": "low", "or_equal": true, "ignore_row_if": "either_value_is_missing"}),
            (4, 1),
        ),
        ("expect_column_pair_values_to_be_equal", json!({"column_A": "high", "column_B": "low"}), (5, 4)),
        ("expect_compound_columns_to_be_unique", json!({"column_list": ["plan", "paid"]}), (6, 2)),
        ("expect_multicolumn_sum_to_equal", json!({"column_list": ["low", "high"], "sum_total": 12}), (5, 4)),
        ("expect_table_rows_to_be_unique", json!({}), (6, 0)),
        // Over the end of the first batch, and past what is missing.
        ("expect_column_values_to_be_increasing", json!({"column": "low"}), (4, 1)),
        ("expect_column_values_to_be_decreasing", json!({"column": "low"}), (4, 2)),
        ("expect_column_values_to_be_increasing", json!({"column": "day"}), (6, 2)),
        ("expect_column_values_to_match_regex", json!({"column": "day", "regex": r"^2026(?!-1)-0\d"}), (6, 2)),
        ("expect_column_values_to_be_json_parseable", json!({"column": "paid"}), (6, 0)),
        ("expect_column_values_to_be_json_parseable", json!({"column": "plan"}), (5, 5)),
        (
            "expect_column_pair_values_to_be_in_set",
            json!({"column_A": "plan", "column_B": "paid", "value_pairs_set": [["basic", true], [null, false], ["plus", true]]}),
            (6, 2),
        ),
        (
            "expect_select_column_values_to_be_unique_within_record",
            json!({"column_list": ["low", "high", "id"]}),
            (6, 2),
        ),
    ] {
        assert_eq!(counts(kind, kwargs.clone()), want, "{kind} {kwargs}");
    }
}

#[test]
fn an_expression_that_takes_too_long_breaks_the_rule_either_way() {
    let plans: ArrayRef = Arc::new(StringArray::from(vec!["a".repeat(60), "b".to_owned()]));
    let batch = RecordBatch::try_from_iter([("plan", plans)]).unwrap();
    for (kind, want) in [("expect_column_values_to_match_regex", 2), ("expect_column_values_to_not_match_regex", 1)] {
        let kwargs = json!({"column": "plan", "regex": "^(?:(?=a)a|a)*c$"});
        let rule = Rule::new(kind, kwargs, Severity::Critical).unwrap();
        let mut checker = Checker::new(&Suite { name: None, rules: vec![rule] }, &batch.schema());
        checker.see(&batch).unwrap();
        assert_eq!(checker.finish().results[0].unexpected, Some(want), "{kind}");
    }
}

#[test]
fn mostly_is_a_share_of_the_rows_that_have_a_value() {
    let rule = |mostly: f64| {
        let kwargs = json!({"column": "age", "min_value": 0, "max_value": 120, "mostly": mostly});
        check("expect_column_values_to_be_between", kwargs).success
    };
    assert!(rule(0.5) && !rule(0.51));
}

#[test]
fn rules_about_columns_say_what_they_found() {
    for (kind, kwargs, observed, success) in [
        ("expect_table_row_count_to_equal", json!({"value": 6}), json!(6), true),
        ("expect_table_row_count_to_be_between", json!({"min_value": 7}), json!(6), false),
        ("expect_column_to_exist", json!({"column": "age"}), json!(true), true),
        ("expect_column_to_exist", json!({"column": "aged"}), json!(false), false),
        ("expect_column_values_to_be_of_type", json!({"column": "id", "type_": "int64"}), json!("Int64"), true),
        ("expect_column_values_to_be_of_type", json!({"column": "id", "type_": "text"}), json!("Int64"), false),
        (
            "expect_column_values_to_be_in_type_list",
            json!({"column": "age", "type_list": ["integer", "number"]}),
            json!("Float64"),
            true,
        ),
        ("expect_column_mean_to_be_between", json!({"column": "low", "min_value": 2}), json!(2.75), true),
        ("expect_column_sum_to_be_between", json!({"column": "low", "max_value": 10}), json!(11.0), false),
        ("expect_column_min_to_be_between", json!({"column": "age", "min_value": -1}), json!(-1.0), true),
        ("expect_column_max_to_be_between", json!({"column": "age", "max_value": 120}), json!(130.0), false),
        (
            "expect_column_unique_value_count_to_be_between",
            json!({"column": "plan", "max_value": 2}),
            json!(3.0),
            false,
        ),
        (
            "expect_column_proportion_of_unique_values_to_be_between",
            json!({"column": "plan", "min_value": 0.6}),
            json!(0.6),
            true,
        ),
        (
            "expect_column_most_common_value_to_be_in_set",
            json!({"column": "plan", "value_set": ["basic"]}),
            json!({"values": ["basic", "plus"], "as_common": 2, "times": 2}),
            false,
        ),
        (
            "expect_column_most_common_value_to_be_in_set",
            json!({"column": "plan", "value_set": ["basic"], "ties_okay": true}),
            json!({"values": ["basic", "plus"], "as_common": 2, "times": 2}),
            true,
        ),
        (
            "expect_column_distinct_values_to_equal_set",
            json!({"column": "plan", "value_set": ["basic", "plus", "pro"]}),
            json!({"outside": ["gold"], "absent": ["pro"]}),
            false,
        ),
        // What stands there twice is there once.
        (
            "expect_column_distinct_values_to_equal_set",
            json!({"column": "plan", "value_set": ["basic", "gold", "plus", "basic", "plus"]}),
            json!({"outside": [], "absent": []}),
            true,
        ),
        (
            "expect_column_distinct_values_to_contain_set",
            json!({"column": "low", "value_set": [1, "1", 1.0, 5, 7, 7]}),
            json!({"outside": ["2", "3"], "absent": [7]}),
            false,
        ),
        (
            "expect_column_distinct_values_to_contain_set",
            json!({"column": "plan", "value_set": ["basic", "plus"]}),
            json!({"outside": ["gold"], "absent": []}),
            true,
        ),
        (
            "expect_table_columns_to_match_set",
            json!({"column_set": ["id", "age", "plan", "paid", "low", "high", "month"]}),
            json!({"absent": ["month"], "more": ["day"]}),
            false,
        ),
    ] {
        let found = check(kind, kwargs.clone());
        assert_eq!((found.observed, found.success), (Some(observed), success), "{kind} {kwargs}");
    }
    let deviation = check("expect_column_stdev_to_be_between", json!({"column": "low", "max_value": 2}));
    assert!((deviation.observed.unwrap().as_f64().unwrap() - 1.707_825_127_659_933).abs() < 1e-12);
}

#[test]
fn a_broken_rule_shows_its_rows_and_new_values() {
    let found = check("expect_column_values_to_be_in_set", json!({"column": "plan", "value_set": ["basic", "plus"]}));
    assert_eq!(found.observed, Some(json!({"outside": ["gold"]})));
    assert_eq!(json!(found.examples), json!([{"row": 4, "values": {"plan": "gold"}}]));
    let absent = check("expect_column_values_to_not_be_null", json!({"column": "plann"}));
    assert_eq!(absent.error.as_deref(), Some("there is no column \"plann\"; did you mean \"plan\"?"));
    assert!(!absent.success && absent.looked.is_none());
}

#[test]
fn a_rule_may_be_about_some_rows() {
    let text = "
expectations:
  - type: expect_column_values_to_be_between
    kwargs: {column: age, min_value: 0}
    when: [{column: plan, in: [plus]}]
  - type: expect_column_values_to_be_unique
    kwargs: {column: id}
    severity: warning
  - {type: expect_table_row_count_to_equal, kwargs: {value: 2}, when: [{column: plan, in: [plus]}]}
";
    let suite = Suite::parse(text).unwrap();
    let found = checked(&suite);
    assert_eq!((found.results[0].looked, found.results[0].unexpected), (Some(2), Some(1)));
    assert_eq!(json!(found.results[0].examples), json!([{"row": 5, "values": {"age": -1, "plan": "plus"}}]));
    assert!(found.results[2].success, "{:?}", found.results[2]);
    assert_eq!((found.success, found.statistics.failed, found.statistics.warned), (false, 1, 1));
    let again = Suite::parse(&suite.to_yaml()).unwrap();
    assert_eq!(again.to_yaml(), suite.to_yaml());
    assert_eq!(checked(&again), found);
}

#[test]
fn great_expectations_own_files_are_read() {
    let one = r#"{"name": "s", "id": "a", "meta": {"great_expectations_version": "1.5.0"}, "notes": null,
        "expectations": [{"type": "expect_column_values_to_be_between", "id": "b", "severity": "critical", "meta": {},
          "notes": "as agreed", "description": null, "rendered_content": [{"name": "atomic.prescriptive.summary"}],
          "kwargs": {"column": "age", "min_value": 0.0, "max_value": null, "mostly": 0.5}}]}"#;
    let zero = r#"{"expectation_suite_name": "s", "data_asset_type": null, "ge_cloud_id": null,
        "expectations": [{"expectation_type": "expect_column_values_to_be_between", "meta": {}, "ge_cloud_id": null,
          "kwargs": {"column": "age", "min_value": 0, "row_condition": null, "condition_parser": null}}]}"#;
    for (text, success) in [(one, true), (zero, false)] {
        let suite = Suite::parse(text).unwrap();
        assert_eq!(suite.name.as_deref(), Some("s"));
        assert_eq!(checked(&suite).success, success);
    }
}

#[test]
fn what_is_no_rule_says_why() {
    let one = |kind: &str, kwargs: &str| {
        Suite::parse(&format!("expectations:\n  - {{type: {kind}, kwargs: {kwargs}}}")).unwrap_err().to_string()
    };
    for (kind, kwargs, says) in [
        ("expect_column_values_to_be_betwen", "{}", "did you mean \"expect_column_values_to_be_between\"?"),
        ("expect_column_values_to_be_between", "{column: a}", "give min_value, max_value or both"),
        ("expect_column_values_to_be_between", "{column: a, min_value: 3, max_value: 1}", "is above max_value"),
        ("expect_column_values_to_be_between", "{column: a, min: 3}", "unknown field `min`"),
        ("expect_column_values_to_be_between", "{min_value: 3}", "missing field `column`"),
        ("expect_column_values_to_be_in_set", "{column: a, value_set: [1], mostly: 2}", "from 0 to 1"),
        ("expect_column_values_to_match_regex", "{column: a, regex: '('}", "no regular expression"),
        ("expect_column_mean_to_be_between", "{column: a, min_value: 1, mostly: 0.9}", "no mostly"),
        ("expect_column_values_to_be_null", "{column: a, row_condition: 'x > 3'}", "write `when`"),
        ("expect_compound_columns_to_be_unique", "{column_list: [a], ignore_row_if: often}", "is one of"),
        ("expect_column_values_to_be_between", "{column: a, min_value: soon}", "a date (2026-01-31) or a time"),
        ("expect_column_values_to_be_between", "{column: a, min_value: 3, max_value: '2026-01-01'}", "one is a number"),
        (
            "expect_column_min_to_be_between",
            "{column: a, min_value: '2026-02-01', max_value: '2026-01-31T10:00:00Z'}",
            "min_value 2026-02-01 is after max_value 2026-01-31 10:00:00 UTC",
        ),
        ("expect_column_mean_to_be_between", "{column: a, min_value: '2026-01-01'}", "it is about numbers"),
        (
            "expect_column_quantile_values_to_be_between",
            "{column: a, quantile_ranges: {quantiles: [0.5, 0.9], value_ranges: [[1, 2]]}}",
            "there are 2 quantiles and 1 value_ranges",
        ),
        (
            "expect_column_quantile_values_to_be_between",
            "{column: a, quantile_ranges: {quantiles: [50], value_ranges: [[1, 2]]}}",
            "the quantile 50 is not from 0 to 1",
        ),
        (
            "expect_column_quantile_values_to_be_between",
            "{column: a, quantile_ranges: {quantiles: [0.5], value_ranges: [[null, null]]}}",
            "the range of the quantile 0.5: give min_value",
        ),
        (
            "expect_column_quantile_values_to_be_between",
            "{column: a, quantile_ranges: {quantiles: [0.5], value_ranges: [[1, 2]]}, allow_relative_error: true}",
            "leave it out",
        ),
    ] {
        let said = one(kind, kwargs);
        assert!(said.contains(says) && said.contains("expectation 1"), "{said}");
    }
    assert!(matches!(Suite::parse("expectations: 3"), Err(SuiteError::Form(_))));
    assert!(matches!(Suite::parse("rules: []"), Err(SuiteError::Form(_))));
    let when = "expectations: [{type: expect_column_to_exist, kwargs: {column: a}, when: [{column: b, in: [1]}]}]";
    assert!(Suite::parse(when).unwrap_err().to_string().contains("no when"));
}

/// As Great Expectations writes it, with open ends.
#[test]
fn quantiles_are_each_within_their_range() {
    let n = 20_000_i64;
    // Every value from 1 on once, in an order without a pattern.
    let x: Float64Array = (0..n).map(|i| Some((i * 7_919 % n + 1) as f64)).collect();
    let batch = RecordBatch::try_from_iter_with_nullable([("x", Arc::new(x) as ArrayRef, true)]).unwrap();
    let said = |ranges: Value| {
        let quantiles = json!({"quantiles": [0, 0.25, 0.5, 1], "value_ranges": ranges});
        let kwargs = json!({"column": "x", "quantile_ranges": quantiles, "allow_relative_error": false});
        let rule = Rule::new("expect_column_quantile_values_to_be_between", kwargs, Severity::Critical).unwrap();
        let mut checker = Checker::new(&Suite { name: None, rules: vec![rule] }, &batch.schema());
        checker.see(&batch.slice(0, 9_000)).unwrap();
        checker.see(&batch.slice(9_000, 11_000)).unwrap();
        let found = checker.finish().results.remove(0);
        (found.success, found.observed.unwrap())
    };
    let (success, observed) = said(json!([[1, 1], [4_900, 5_100], [null, 10_100], [20_000, null]]));
    assert!(success, "{observed}");
    let values: Vec<f64> = observed["values"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    for (value, exact) in values.iter().zip([1.0, 5_000.0, 10_000.0, 20_000.0]) {
        assert!((value - exact).abs() <= 0.002 * n as f64, "{values:?}");
    }
    let (success, observed) = said(json!([[1, 1], [5_200, null], [null, 10_100], [20_000, null]]));
    assert_eq!((success, &observed["in_range"]), (false, &json!([true, false, true, true])));
    // A column without a number has no quantile.
    let none = check(
        "expect_column_quantile_values_to_be_between",
        json!({"column": "plan", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 1]]}}),
    );
    assert!(!none.success);
}

/// Dates and times are compared as moments, whatever column holds them and however they are written.
#[test]
fn a_value_of_a_list_is_a_column_of_its_own() {
    let lists = vec![
        Some(vec![Some(0.1), Some(0.9)]),
        Some(vec![Some(0.8)]),
        None,
        Some(vec![Some(0.5), None]),
        Some(vec![Some(7.0), Some(0.2)]),
    ];
    let scores = ListArray::from_iter_primitive::<Float64Type, _, _>(lists);
    let batch = RecordBatch::try_from_iter([("scores", Arc::new(scores) as ArrayRef)]).unwrap();
    let check = |kind: &str, kwargs: Value| {
        let rules = vec![Rule::new(kind, kwargs, Severity::Critical).unwrap()];
        let mut checker = Checker::new(&Suite { name: None, rules }, &batch.schema());
        checker.see(&batch.slice(0, 3)).unwrap();
        checker.see(&batch.slice(3, 2)).unwrap();
        checker.finish().results.remove(0)
    };
    let first = check("expect_column_values_to_be_between", json!({"column": "scores[0]", "max_value": 1}));
    assert_eq!((first.looked, first.unexpected, first.success), (Some(4), Some(1), false));
    assert_eq!((first.examples[0].row, &first.examples[0].values["scores[0]"]), (4, &json!(7)));
    let second = check("expect_column_values_to_not_be_null", json!({"column": "scores[1]"}));
    assert_eq!((second.looked, second.unexpected), (Some(5), Some(3)));
    let mean = check("expect_column_mean_to_be_between", json!({"column": "scores[1]", "min_value": 0.5}));
    assert!(mean.success && mean.observed == Some(json!(0.55)), "{mean:?}");
    assert!(check("expect_column_to_exist", json!({"column": "scores[0]"})).success);
    let none = check("expect_column_values_to_not_be_null", json!({"column": "score[0]"}));
    assert!(none.error.is_some_and(|e| e.contains("no column \"score[0]\"")));
}

#[test]
fn dates_are_between_dates() {
    let between = "expect_column_values_to_be_between";
    // Neither "x" nor "2026-1-4" is a date.
    let since = |day: &str, strict: bool| json!({"column": "day", "min_value": day, "strict_min": strict});
    assert_eq!(counts(between, since("2026-01-03", false)), (6, 3));
    assert_eq!(counts(between, since("2026-01-03", true)), (6, 4));
    assert_eq!(counts(between, json!({"column": "day", "max_value": "2026-01-02T23:00:00-05:00"})), (6, 4));
    assert_eq!(counts(between, json!({"column": "age", "min_value": "2026-01-03"})), (4, 4), "numbers are no dates");
    let first = check("expect_column_min_to_be_between", json!({"column": "day", "max_value": "2026-01-02"}));
    assert_eq!((first.success, first.observed.unwrap()), (true, json!("2026-01-02")));
    let last = check("expect_column_max_to_be_between", json!({"column": "day", "max_value": "2026-01-05T12:00:00"}));
    assert_eq!((last.success, last.observed.unwrap()), (false, json!("2026-01-06")));
    let micros = |at: &str| super::end::moment(at).unwrap() as i64;
    let times = vec![Some(micros("2026-01-02T08:00:00")), None, Some(micros("2026-01-03T09:30:00"))];
    let columns: [(&str, ArrayRef); 2] = [
        ("time", Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))),
        ("date", Arc::new(Date32Array::from(vec![20_454, 20_455, 20_456]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap();
    for (kwargs, want) in [
        (json!({"column": "time", "min_value": "2026-01-02T08:00:00Z", "max_value": "2026-01-03"}), (2, 1)),
        (json!({"column": "date", "min_value": "2026-01-02", "max_value": "2026-01-02T00:00:00"}), (3, 2)),
    ] {
        let rule = Rule::new(between, kwargs.clone(), Severity::Critical).unwrap();
        let mut checker = Checker::new(&Suite { name: None, rules: vec![rule] }, &batch.schema());
        checker.see(&batch).unwrap();
        let found = checker.finish().results.remove(0);
        assert_eq!((found.looked.unwrap(), found.unexpected.unwrap()), want, "{kwargs}");
    }
}

/// Of a long text only its beginning is known: a set of beginnings holds none of the texts.
#[test]
fn texts_that_are_cut_are_no_set() {
    let folder = tempfile::tempdir().unwrap();
    let sets = |name: &str, bytes: usize| {
        let path = folder.path().join(name);
        let lines: Vec<String> = (0..200).map(|i| ["a", "b"][i % 2].repeat(bytes)).collect();
        std::fs::write(&path, format!("text\n{}\n", lines.join("\n"))).unwrap();
        let reference = Table::open(&path).unwrap();
        let suite = infer(&profile(&reference, 1).unwrap()).unwrap();
        assert!(super::check(&reference, &suite).unwrap().success, "{}", suite.to_yaml());
        suite.rules.iter().filter(|r| r.kind == "expect_column_values_to_be_in_set").count()
    };
    assert_eq!((sets("short.csv", 128), sets("long.csv", 129)), (1, 0));
}

fn numbered(folder: &std::path::Path, name: &str, rows: std::ops::Range<i64>, plan: &str) -> PathBuf {
    let n = (rows.end - rows.start) as usize;
    let even = |i: i64| (i as f64 * 0.618_033_988_749_894_9).fract();
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(rows.clone().collect::<Int64Array>())),
        ("spent", Arc::new(rows.clone().map(|i| (i % 10 != 3).then(|| even(i))).collect::<Float64Array>())),
        ("plan", Arc::new(rows.map(|i| Some(if i % 3 == 0 { plan } else { "plus" })).collect::<StringArray>())),
        ("country", Arc::new(StringArray::from(vec!["CH"; n]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap();
    let path = folder.join(name);
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

#[test]
fn a_suite_of_a_profile_is_kept_by_its_table_and_its_like_and_broken_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, rows, plan| Table::open(&numbered(folder.path(), name, rows, plan)).unwrap();
    let reference = open("a.parquet", 0..2_000, "basic");
    let found = profile(&reference, 2).unwrap();
    // As `mainspring profile` writes it, and reads it again.
    let found: Profile = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    let suite = sharpened(infer(&found).unwrap(), &found, &reference).unwrap();
    let kinds: Vec<&str> = suite.rules.iter().map(|r| r.kind.as_str()).collect();
    for kind in [
        "expect_table_columns_to_match_set",
        "expect_column_values_to_be_in_set",
        "expect_column_quantile_values_to_be_between",
        "expect_column_values_to_be_unique",
        "expect_table_rows_to_be_unique",
    ] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let failed = |table: &Table| -> Vec<String> {
        let found = super::check(table, &suite).unwrap();
        found.results.iter().filter(|r| !r.success).map(|r| format!("{} {}", r.kind, r.kwargs["column"])).collect()
    };
    assert_eq!(failed(&reference), Vec::<String>::new());
    assert_eq!(failed(&open("b.parquet", 0..900, "basic")), Vec::<String>::new());
    let other = failed(&open("c.parquet", 0..900, "gold"));
    assert_eq!(other, ["expect_column_values_to_be_in_set \"plan\""]);
    // Numbers have quartiles; ids do not, whose next ones are others.
    let quartiles: Vec<&Rule> = suite.rules.iter().filter(|r| r.kind.contains("quantile")).collect();
    assert!(
        quartiles.len() == 1 && quartiles[0].kwargs["column"] == "spent" && quartiles[0].severity == Severity::Warning
    );
    assert_eq!(failed(&open("d.parquet", 1_000..4_000, "basic")), Vec::<String>::new());
    // A tenth of the reference is missing, and of another sample a little more by chance; a fifth is no chance.
    let lacking = |name: &str, every: usize| {
        let path = folder.path().join(name);
        let spent = |i: usize| if i.is_multiple_of(every) { String::new() } else { format!("0.{i:03}") };
        let lines: Vec<String> = (0..1_000).map(|i| format!("{i},{},plus,CH", spent(i))).collect();
        std::fs::write(&path, format!("id,spent,plan,country\n{}\n", lines.join("\n"))).unwrap();
        let missing = failed(&Table::open(&path).unwrap());
        missing.into_iter().filter(|rule| rule.contains("null")).collect::<Vec<_>>()
    };
    assert_eq!(lacking("e.csv", 9), Vec::<String>::new());
    assert_eq!(lacking("f.csv", 5), ["expect_column_values_to_not_be_null \"spent\""]);
}

use super::*;
use crate::quality::{Checker, Suite};
use arrow::array::{Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use serde_json::json;
use std::sync::Arc;

/// The rows of a batch, as somebody else would hold them.
struct Held(RecordBatch);

impl Rows for Held {
    fn number(&self, column: usize, row: usize) -> Option<f64> {
        let column = self.0.column(column);
        let any = column.as_any();
        let number = any
            .downcast_ref::<Float64Array>()
            .map(|v| v.value(row))
            .or_else(|| any.downcast_ref::<Float32Array>().map(|v| f64::from(v.value(row))))
            .or_else(|| any.downcast_ref::<Int64Array>().map(|v| v.value(row) as f64));
        number.filter(|x| column.is_valid(row) && !x.is_nan())
    }

    fn text(&self, column: usize, row: usize) -> Option<&str> {
        let any = self.0.column(column).as_any();
        if let Some(values) = any.downcast_ref::<BooleanArray>() {
            return values.is_valid(row).then(|| if values.value(row) { "true" } else { "false" });
        }
        any.downcast_ref::<StringArray>().filter(|v| v.is_valid(row)).map(|v| v.value(row))
    }
}

fn rows() -> RecordBatch {
    let columns: [(&str, ArrayRef); 6] = [
        (
            "age",
            Arc::new(Float64Array::from(vec![Some(30.0), None, Some(-1.0), Some(151.0), Some(f64::NAN), Some(0.0)])),
        ),
        (
            "plan",
            Arc::new(StringArray::from(vec![Some("basic"), Some("plus"), None, Some("gold"), Some("plüs"), Some("")])),
        ),
        ("low", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5, 6]))),
        ("high", Arc::new(Int64Array::from(vec![1, 3, 2, 5, 5, 9]))),
        ("paid", Arc::new(BooleanArray::from(vec![true, false, true, true, false, true]))),
        ("share", Arc::new(Float32Array::from(vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.7]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true))).unwrap()
}

fn columns(batch: &RecordBatch) -> Vec<RowColumn> {
    let of = |f: &Arc<arrow::datatypes::Field>| RowColumn { name: f.name().clone(), kind: f.data_type().clone() };
    batch.schema().fields().iter().map(of).collect()
}

fn rule(kind: &str, kwargs: &Value, when: &[(String, Vec<Value>)]) -> RowRule {
    RowRule::new(kind, kwargs.as_object().unwrap(), when, false).unwrap()
}

/// (rows that the rule is about, those that break it)
fn judged(kind: &str, kwargs: &Value, when: &[(String, Vec<Value>)]) -> (u64, u64) {
    let batch = rows();
    let checker = RowChecker::new(&[rule(kind, kwargs, when)], &columns(&batch)).unwrap();
    let (mut apart, mut broken) = (0, 0);
    checker.look(&Held(batch), 6, &mut |_, _, is_broken| if is_broken { broken += 1 } else { apart += 1 });
    (6 - apart, broken)
}

#[test]
fn rows_that_come_alone_are_judged_as_those_of_a_file() {
    let when = [("plan".to_owned(), vec![json!("basic"), json!("gold"), json!("plus")])];
    for (kind, kwargs) in [
        ("expect_column_values_to_not_be_null", json!({"column": "age"})),
        ("expect_column_values_to_be_null", json!({"column": "plan"})),
        ("expect_column_values_to_be_between", json!({"column": "age", "min_value": 0, "max_value": 120})),
        ("expect_column_values_to_be_between", json!({"column": "age", "min_value": 0, "strict_min": true})),
        ("expect_column_values_to_be_between", json!({"column": "plan", "min_value": "2026-01-01"})),
        ("expect_column_values_to_be_in_set", json!({"column": "plan", "value_set": ["basic", "plus"]})),
        ("expect_column_values_to_be_in_set", json!({"column": "paid", "value_set": [true]})),
        ("expect_column_values_to_be_in_set", json!({"column": "low", "value_set": [1, 2.0, "3"]})),
        ("expect_column_values_to_not_be_in_set", json!({"column": "plan", "value_set": ["gold"]})),
        ("expect_column_values_to_match_regex", json!({"column": "plan", "regex": "^[a-z]+$"})),
        ("expect_column_values_to_not_match_regex", json!({"column": "plan", "regex": "l"})),
        ("expect_column_value_lengths_to_be_between", json!({"column": "plan", "min_value": 1, "max_value": 4})),
        ("expect_column_value_lengths_to_equal", json!({"column": "plan", "value": 4})),
        ("expect_column_pair_values_a_to_be_greater_than_b", json!({"column_A": "high", "column_B": "low"})),
        (
            "expect_column_pair_values_a_to_be_greater_than_b",
            json!({"column_A": "high", "column_B": "age", "or_equal": true}),
        ),
        ("expect_column_pair_values_to_be_equal", json!({"column_A": "high", "column_B": "low"})),
        ("expect_column_pair_values_to_be_equal", json!({"column_A": "plan", "column_B": "paid"})),
        ("expect_multicolumn_sum_to_equal", json!({"column_list": ["low", "high"], "sum_total": 5})),
        ("expect_column_values_to_match_regex_list", json!({"column": "plan", "regex_list": ["^b(?!x)", "s$"]})),
        (
            "expect_column_values_to_match_regex_list",
            json!({"column": "plan", "regex_list": ["^p", "s$"], "match_on": "all"}),
        ),
        ("expect_column_values_to_not_match_regex_list", json!({"column": "plan", "regex_list": ["^b", "s$"]})),
        ("expect_column_values_to_be_json_parseable", json!({"column": "plan"})),
        (
            "expect_column_pair_values_to_be_in_set",
            json!({"column_A": "low", "column_B": "plan", "value_pairs_set": [[1, "basic"], [3, null], [2, "gold"]]}),
        ),
        ("expect_select_column_values_to_be_unique_within_record", json!({"column_list": ["low", "high", "age"]})),
    ] {
        for when in [&when[..], &[]] {
            let conditions =
                when.iter().map(|(c, among)| Condition { column: c.clone(), among: among.clone() }).collect();
            let one = Rule::told(kind, kwargs.as_object().unwrap().clone(), conditions, Severity::Critical).unwrap();
            let batch = rows();
            let mut checker = Checker::new(&Suite { name: None, rules: vec![one] }, &batch.schema());
            checker.see(&batch).unwrap();
            let found = checker.finish().results.remove(0);
            let want = (found.looked.unwrap(), found.unexpected.unwrap());
            assert_eq!(judged(kind, &kwargs, when), want, "{kind} {kwargs} {when:?}");
        }
    }
}

#[test]
fn a_bound_is_what_a_column_of_32_bits_holds_of_it() {
    let pairs = json!({"column_A": "share", "column_B": "low", "value_pairs_set": [[0.1, 1], [0.2, 2], [0.7, 7]]});
    assert_eq!(judged("expect_column_pair_values_to_be_in_set", &pairs, &[]), (6, 4));
    let between = json!({"column": "share", "min_value": 0.1, "max_value": 0.7});
    assert_eq!(judged("expect_column_values_to_be_between", &between, &[]), (6, 0));
    let set = json!({"column": "share", "value_set": [0.1, 0.2, 0.3]});
    assert_eq!(judged("expect_column_values_to_be_in_set", &set, &[]), (6, 3));
}

#[test]
fn what_no_row_can_be_held_to_is_refused_with_the_reason() {
    let new = |kind: &str, kwargs: Value, whole| RowRule::new(kind, kwargs.as_object().unwrap(), &[], whole).map(drop);
    for kind in ["expect_column_mean_to_be_between", "expect_column_distinct_values_to_be_in_set"] {
        let kwargs = if kind.contains("mean") {
            json!({"column": "age", "max_value": 1})
        } else {
            json!({"column": "age", "value_set": [1]})
        };
        assert!(new(kind, kwargs, false).unwrap_err().contains("Monitor"), "{kind}");
    }
    assert!(
        new("expect_column_values_to_be_unique", json!({"column": "age"}), false).unwrap_err().contains("together")
    );
    assert!(
        new("expect_column_values_to_be_betwen", json!({"column": "age"}), false).unwrap_err().contains("did you mean")
    );
    for kind in ["expect_multicolumn_sum_to_equal", "expect_compound_columns_to_be_unique"] {
        let none = json!({"column_list": [], "sum_total": 1});
        let none = if kind.contains("sum") { none } else { json!({"column_list": []}) };
        assert!(new(kind, none, false).unwrap_err().contains("column_list is empty"), "{kind}");
    }
    let mostly = json!({"column": "age", "mostly": 0.9});
    assert!(new("expect_column_values_to_not_be_null", mostly.clone(), true).unwrap_err().contains("mostly"));
    assert_eq!(new("expect_column_values_to_not_be_null", mostly, false), Ok(()));

    let batch = rows();
    let bind = |kind: &str, kwargs: &Value| RowChecker::new(&[rule(kind, kwargs, &[])], &columns(&batch)).map(drop);
    let why = |kind: &str, kwargs: Value| bind(kind, &kwargs).unwrap_err().1;
    assert!(why("expect_column_values_to_not_be_null", json!({"column": "aeg"})).contains("did you mean \"age\""));
    assert!(why("expect_column_values_to_be_between", json!({"column": "plan", "max_value": 1})).contains("numbers"));
    let since = json!({"column": "age", "min_value": "2026-01-01"});
    assert!(why("expect_column_values_to_be_between", since).contains("dates and times"));
    assert!(why("expect_column_values_to_match_regex", json!({"column": "age", "regex": "1"})).contains("texts"));
    assert!(why("expect_column_values_to_be_of_type", json!({"column": "age", "type_": "text"})).contains("Float64"));
    assert_eq!(bind("expect_column_values_to_be_of_type", &json!({"column": "in.age", "type_": "number"})), Ok(()));
}

#[test]
fn what_is_wrong_is_said_without_the_value() {
    let batch = rows();
    let said = |kind: &str, kwargs: Value, row| {
        let checker = RowChecker::new(&[rule(kind, &kwargs, &[])], &columns(&batch)).unwrap();
        checker.why(0, &Held(batch.clone()), row)
    };
    let range = json!({"column": "age", "min_value": 0, "max_value": 120});
    assert_eq!(said("expect_column_values_to_be_between", range.clone(), 3), "column \"age\" is above 120");
    assert_eq!(said("expect_column_values_to_be_between", range, 2), "column \"age\" is below 0");
    let day = json!({"column": "plan", "min_value": "2026-01-01"});
    assert_eq!(said("expect_column_values_to_be_between", day, 3), "column \"plan\" is no date or time");
    let share = json!({"column": "share", "max_value": 0.2});
    assert_eq!(said("expect_column_values_to_be_between", share, 3), "column \"share\" is above 0.2");
    assert_eq!(said("expect_column_values_to_not_be_null", json!({"column": "age"}), 1), "column \"age\" is missing");
    let set = said("expect_column_values_to_be_in_set", json!({"column": "plan", "value_set": ["basic"]}), 3);
    assert!(set.contains("not in its set") && !set.contains("gold"), "{set}");
}

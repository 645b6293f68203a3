//! Rules beside Great Expectations' own, on the table of `crates/stats/oracles/quality.py`.

use super::*;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use serde_json::Value;
use std::sync::Arc;

const ROWS: i64 = 200;

fn table() -> RecordBatch {
    let numbers = |missing: i64, value: fn(i64) -> i64| -> ArrayRef {
        Arc::new((0..ROWS).map(|i| (i % missing != 0).then(|| value(i) as f64)).collect::<Float64Array>())
    };
    let plans = ["basic", "plus", "gold", "pro"];
    let plan: StringArray = (0..ROWS).map(|i| (i % 13 != 0).then(|| plans[(i * i % 7 % 4) as usize])).collect();
    let code = |i: i64| if i % 10 == 3 { "x".repeat((i % 4) as usize) } else { format!("A{}", i % 9) };
    let columns: [(&str, ArrayRef); 6] = [
        ("id", Arc::new((0..ROWS).map(|i| i - i64::from(i % 40 == 7)).collect::<Int64Array>())),
        ("age", numbers(11, |i| i * 37 % 130 - 5)),
        ("plan", Arc::new(plan)),
        ("low", numbers(17, |i| i * 7 % 20)),
        ("high", numbers(19, |i| i * 11 % 25)),
        ("code", Arc::new((0..ROWS).map(|i| Some(code(i))).collect::<StringArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap()
}

#[test]
fn rules_say_what_great_expectations_says() {
    let told: Value = serde_json::from_str(include_str!("../../../stats/oracles/great_expectations.json")).unwrap();
    let rules = told["cases"]["rules"].as_array().unwrap();
    let batch = table();
    for case in rules {
        let rule = Rule::new(case["type"].as_str().unwrap(), case["kwargs"].clone(), Severity::Critical).unwrap();
        let mut checker = Checker::new(&Suite { name: None, rules: vec![rule] }, &batch.schema());
        checker.see(&batch.slice(0, 77)).unwrap();
        checker.see(&batch.slice(77, 123)).unwrap();
        let found = checker.finish().results.remove(0);
        assert_eq!((found.error.as_deref(), found.success), (None, case["success"].as_bool().unwrap()), "{case}");
        if let (Some(ours), Some(theirs)) = (found.unexpected, case["unexpected"].as_u64()) {
            assert_eq!(ours, theirs, "{case}");
        }
        if let (Some(ours), Some(theirs)) = (found.observed.and_then(|o| o.as_f64()), case["observed"].as_f64()) {
            // Their median is between two values, that of a sketch is one of them.
            let within = if case["type"] == "expect_column_median_to_be_between" { 0.5 } else { 1e-9 };
            assert!((ours - theirs).abs() <= within * (1.0 + theirs.abs().min(1.0)), "{ours} {case}");
        }
    }
    assert!(rules.len() > 60);
}

use super::*;
use arrow::array::{BooleanArray, Float32Array, Int64Array, ListArray, StringArray};
use arrow::datatypes::Float64Type;
use std::sync::Arc;

fn segment(json: serde_json::Value) -> Segment {
    serde_json::from_value(json).unwrap()
}

fn batch() -> RecordBatch {
    let list = |row: &[f64]| Some(row.iter().copied().map(Some).collect::<Vec<_>>());
    let lists = [list(&[1.0, 2.0]), list(&[1.0]), None, list(&[3.0, 2.0])];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("variant", Arc::new(StringArray::from(vec!["a", "a", "b", "b"]))),
        ("in.plan", Arc::new(StringArray::from(vec![Some("gold"), Some("free"), None, Some("gold")]))),
        ("in.tries", Arc::new(Int64Array::from(vec![3, 3, 4, 4]))),
        ("in.rate", Arc::new(Float32Array::from(vec![0.1, 0.2, 0.1, 0.1]))),
        ("in.new", Arc::new(BooleanArray::from(vec![true, false, true, true]))),
        ("in.list", Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true))).unwrap()
}

#[test]
fn a_row_is_of_a_segment_when_all_of_its_columns_say_so() {
    for (json, rows) in [
        (serde_json::json!({}), [true; 4]),
        (serde_json::json!({"in.plan": "gold"}), [true, false, false, true]),
        (serde_json::json!({"in.tries": 3}), [true, true, false, false]),
        (serde_json::json!({"in.rate": 0.1}), [true, false, true, true]),
        (serde_json::json!({"in.new": true, "variant": "b"}), [false, false, true, true]),
        (serde_json::json!({"in.list[1]": 2}), [true, false, false, true]),
        (serde_json::json!({"in.other": "x"}), [false; 4]),
        (serde_json::json!({"in.tries": "many"}), [false; 4]),
        (serde_json::json!({"in.tries": "3..4"}), [true, true, false, false]),
        (serde_json::json!({"in.tries": "4.."}), [false, false, true, true]),
        (serde_json::json!({"in.rate": "0.1..0.2"}), [true, false, true, true]),
        (serde_json::json!({"in.rate": "..0.1"}), [false; 4]),
        (serde_json::json!({"in.list[1]": "1..9", "in.new": true}), [true, false, false, true]),
        (serde_json::json!({"in.tries": "4..3"}), [false; 4]),
        (serde_json::json!({"in.tries": ".."}), [false; 4]),
        (serde_json::json!({"in.plan": "1..2"}), [false; 4]),
    ] {
        assert_eq!(segment(json.clone()).rows(&batch()).unwrap(), rows, "{json}");
    }
}

#[test]
fn the_same_in_sql() {
    let known = [
        ("variant", "Utf8"),
        ("in.plan", "Utf8"),
        ("in.rate", "Float32"),
        ("in.new", "Boolean"),
        ("in.list", "List(Float64, field: 'element')"),
        ("at", "Timestamp(µs, \"UTC\")"),
    ];
    let sql = |json| segment(json).condition("churn", &known, "p.");
    let of = |json: serde_json::Value| sql(json).unwrap();
    assert_eq!(
        of(serde_json::json!({"in.plan": "o'clock", "variant": "a"})),
        "p.\"in.plan\" = 'o''clock' AND p.\"variant\" = 'a'"
    );
    assert_eq!(of(serde_json::json!({"plan": "gold"})), "p.\"in.plan\" = 'gold'", "an input, as `--by` takes it");
    assert_eq!(
        of(serde_json::json!({"in.rate": 0.1})),
        "arrow_cast(p.\"in.rate\", 'Float32') = arrow_cast(0.1, 'Float32')"
    );
    assert_eq!(
        of(serde_json::json!({"in.list[1]": 2})),
        "arrow_cast(p.\"in.list\"[2], 'Float64') = arrow_cast(2.0, 'Float64')"
    );
    assert_eq!(
        of(serde_json::json!({"in.rate": "-1..0.5"})),
        "arrow_cast(p.\"in.rate\", 'Float32') >= arrow_cast(-1.0, 'Float32') \
         AND arrow_cast(p.\"in.rate\", 'Float32') < arrow_cast(0.5, 'Float32')"
    );
    assert_eq!(of(serde_json::json!({"in.plan": "1..2"})), "p.\"in.plan\" = '1..2'", "a text is a text");
    let people = segment(serde_json::json!({"in.rate": "1e3..", "in.plan": "gold"})).likely();
    assert_eq!(people, " AND \"in.plan\" = 'gold' AND \"in.rate\" >= 1000");
    assert_eq!(of(serde_json::json!({"in.new": true})), "p.\"in.new\" = true");
    for (json, why) in [
        (serde_json::json!({"in.plam": "gold"}), "\"churn\" has no column \"in.plam\" in this time"),
        (serde_json::json!({"in.rate": "high"}), "\"in.rate\" holds numbers, and \"high\" is none"),
        (serde_json::json!({"in.rate": "3..1"}), "\"in.rate\" holds numbers, and \"3..1\" is none"),
        (serde_json::json!({"in.new": "yes"}), "\"in.new\" holds true and false, and \"yes\" is none"),
        (
            serde_json::json!({"in.list[18446744073709551615]": 2}),
            "\"churn\" has no column \"in.list[18446744073709551615]\" in this time",
        ),
        (serde_json::json!({"at": "now"}), "\"churn\" has no column \"at\" in this time"),
    ] {
        assert_eq!(sql(json).unwrap_err().to_string(), why);
    }
    let near = sql(serde_json::json!({"in.plam": "gold"})).unwrap_err();
    assert_eq!(near.hint().as_deref(), Some("did you mean in.plan?"));
}

#[test]
fn segments_exclude_each_other_by_a_column_that_both_name() {
    let gold = segment(serde_json::json!({"in.plan": "gold"}));
    assert!(gold.excludes(&segment(serde_json::json!({"in.plan": "free", "in.new": true}))));
    assert!(!gold.excludes(&segment(serde_json::json!({"in.new": true}))));
    assert!(!gold.excludes(&gold));
    let tries = |value: serde_json::Value| segment(serde_json::json!({"in.tries": value}));
    assert!(!tries(1.into()).excludes(&tries(1.0.into())), "they are the same rows");
    assert!(tries(1.into()).excludes(&tries(2.into())) && tries(1.into()).excludes(&tries("one".into())));
    for (a, b, apart) in [
        ("1..3", "3..5", true),
        ("1..3", "2..5", false),
        ("..3", "3", true),
        ("..3", "2.5", false),
        ("3..", "..3", true),
        ("3..", "4..", false),
        ("1..3", "one", true),
    ] {
        let [a, b] = [a, b].map(|text| tries(text.into()));
        assert_eq!((a.excludes(&b), b.excludes(&a)), (apart, apart), "{a} and {b}");
    }
    assert_eq!(segment(serde_json::json!({"in.a": 1, "in.b": true})).to_string(), "in.a = 1 and in.b = true");
}

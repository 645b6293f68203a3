use super::*;
use datafusion::arrow::array::{Array, AsArray, Float32Array, Int32Array};
use datafusion::arrow::datatypes::Float64Type;

fn schema(fields: &[(&str, DataType)]) -> Schema {
    Schema::new(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), false)).collect::<Vec<_>>())
}

#[test]
fn types_widen_only_as_far_as_needed() {
    use DataType::{Binary, Boolean, Float32, Float64, Int8, Int32, Int64, UInt64, Utf8};
    for (a, b, expected) in [
        (Int32, Int32, Int32),
        (Int8, Int32, Int64),
        (Int64, UInt64, Float64),
        (Float32, Int64, Float64),
        (Float32, Utf8, Utf8),
        (Boolean, Int64, Utf8),
        (Binary, Utf8, Binary),
    ] {
        assert_eq!(wider(&a, &b), expected, "{a} and {b}");
        assert_eq!(wider(&b, &a), expected, "{b} and {a}");
    }
}

#[test]
fn missing_columns_are_null_and_others_are_cast() {
    let whole = union(
        &schema(&[("id", DataType::Int32)]),
        [
            &schema(&[("id", DataType::Int32), ("z", DataType::Float32)]),
            &schema(&[("a", DataType::Utf8), ("z", DataType::Int32)]),
        ]
        .into_iter(),
    );
    let names: Vec<_> = whole.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["id", "a", "z"]);
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int32Array::from(vec![1])) as ArrayRef),
        ("z", Arc::new(Float32Array::from(vec![0.5])) as ArrayRef),
    ])
    .unwrap();
    let aligned = align(&batch, &whole, &BTreeMap::new()).unwrap();
    assert!(aligned["a"].is_null(0));
    assert_eq!(aligned["z"].as_primitive::<Float64Type>().value(0), 0.5);
}

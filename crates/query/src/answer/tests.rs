use super::*;
use datafusion::arrow::array::{
    ArrayRef, BinaryArray, Float32Array, Float64Array, ListArray, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::Int32Type;
use serde_json::json;
use std::sync::Arc;

#[test]
fn every_type_has_a_json_form_and_no_number_loses_its_value() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("f32", Arc::new(Float32Array::from(vec![Some(0.1), None]))),
        ("f64", Arc::new(Float64Array::from(vec![f64::NAN, f64::NEG_INFINITY]))),
        ("u64", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("text", Arc::new(StringArray::from(vec!["ä\"", ""]))),
        ("bytes", Arc::new(BinaryArray::from_vec(vec![b"\xff\x00", b""]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_500_000, 0]).with_timezone("UTC"))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let answer = Answer { schema: batch.schema(), batches: vec![batch], truncated: false };
    let expected = [
        [
            json!(0.1),
            json!("NaN"),
            json!(u64::MAX),
            json!("ä\""),
            json!("ff00"),
            json!("1970-01-01T00:00:01.500Z"),
            json!([1, null]),
        ],
        [json!(null), json!("-Infinity"), json!(0), json!(""), json!(""), json!("1970-01-01T00:00:00Z"), json!(null)],
    ];
    assert_eq!(answer.values(), expected);
    assert_eq!(answer.objects()[0]["u64"], json!(u64::MAX));
    assert_eq!((answer.rows(), answer.columns().len()), (2, 7));
}

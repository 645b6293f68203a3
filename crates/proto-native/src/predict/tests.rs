use super::{rows, table};
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, Tensor};
use mainspring_engine::{Content, Signature, TensorSpec};
use mainspring_serving::Cell;
use serde_json::{Map, Value, json};

fn objects(value: Value) -> Vec<Map<String, Value>> {
    serde_json::from_value(value).unwrap()
}

#[test]
fn rows_become_a_table_with_nulls_where_they_lack_a_column() {
    let rows = objects(json!([{"b": 1, "a": 1.5}, {"a": "x", "c": true}]));
    let t = table(rows, &["b", "z", "a"], false).unwrap();
    assert_eq!(t.columns.iter().map(|c| &**c).collect::<Vec<_>>(), ["b", "a", "c"]);
    assert_eq!(t.rows(), 2);
    assert_eq!(t.cells[..3], [Cell::Int(1), Cell::Float(1.5), Cell::Null]);
    assert_eq!(t.cells[3..], [Cell::Null, Cell::Text("x".into()), Cell::Bool(true)]);
}

#[test]
fn a_nested_value_stays_as_it_is_both_ways() {
    let t = table(objects(json!([{"a": [1, {"b": null}]}, {"a": {"x": 1.5}}])), &[], false).unwrap();
    assert_eq!(t.cells, [Cell::Json(r#"[1,{"b":null}]"#.into()), Cell::Json(r#"{"x":1.5}"#.into())]);
    let text = Tensor::from_strings(vec![2], vec![r#"[1,NaN,{"b":"ü"}]"#.into(), "7".into()]).unwrap();
    let mut signature = nothing();
    signature.outputs.push(TensorSpec { content: Content::Json, ..TensorSpec::new("n", DType::Bytes, &[-1]) });
    let got = rows(&[named("n", text.clone()), named("t", text)], &signature, 2);
    assert_eq!(Value::from(got[0].clone()), json!({"n": [1, "NaN", {"b": "ü"}], "t": r#"[1,NaN,{"b":"ü"}]"#}));
    assert_eq!(Value::from(got[1].clone()), json!({"n": 7, "t": "7"}));
}

fn nothing() -> Signature {
    Signature { inputs: Vec::new(), outputs: Vec::new() }
}

fn named(name: &str, tensor: Tensor) -> NamedTensor {
    NamedTensor { name: name.into(), tensor }
}

#[test]
fn outputs_come_back_by_row() {
    let label = Tensor::from_vec(DType::Int64, vec![2], vec![0_i64, -7]).unwrap();
    let scores = Tensor::from_vec(DType::Fp32, vec![2, 2], vec![0.1_f32, 0.9, f32::NAN, f32::INFINITY]).unwrap();
    let text = Tensor::from_strings(vec![2], vec!["a".into(), "b".into()]).unwrap();
    let got = rows(&[named("label", label), named("scores", scores), named("text", text)], &nothing(), 2);
    assert_eq!(Value::from(got[0].clone()), json!({"label": 0, "scores": [0.1, 0.9], "text": "a"}));
    assert_eq!(Value::from(got[1].clone()), json!({"label": -7, "scores": ["NaN", "Infinity"], "text": "b"}));
}

#[test]
fn an_output_without_rows_stands_in_each() {
    let whole = Tensor::from_vec(DType::Fp64, vec![3], vec![1.0_f64, 2.0, 3.0]).unwrap();
    assert_eq!(Value::from(rows(&[named("w", whole)], &nothing(), 2)[1].clone()), json!({"w": [1.0, 2.0, 3.0]}));
}

#[test]
fn a_column_the_model_does_not_know_is_refused_with_the_nearest() {
    let e = table(objects(json!([{"x[0]": 1, "x[l]": 2}])), &["x[0]", "x[1]"], true).unwrap_err();
    assert!(e.message.contains("unexpected column \"x[l]\" (did you mean \"x["), "{}", e.message);
}

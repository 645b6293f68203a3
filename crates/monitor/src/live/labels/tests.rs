use super::*;
use crate::live::rows::Sampler;
use crate::live::rows::tests::{Lines, batch, spec};
use arrow::array::{BooleanArray, Float32Array, Int64Array, StringArray};
use mainspring_core::Timestamp;
use serde_json::json;

fn labelled(kind: &str, values: [&str; 3], output: (&str, ArrayRef)) -> RecordBatch {
    mixed([kind; 3], values, output)
}

fn mixed(kinds: [&str; 3], values: [&str; 3], output: (&str, ArrayRef)) -> RecordBatch {
    let lines = Lines { at: vec![5; 3], first_id: 0, variant: "stable", version: "3" };
    let number = |v: &&str| match *v {
        "true" => Some(1.0),
        "false" => Some(0.0),
        v => v.parse().ok(),
    };
    let numbers: Float64Array = values.iter().map(number).collect();
    let columns = vec![
        output,
        ("out.of_another", Arc::new(Float64Array::new_null(3)) as ArrayRef),
        ("label_value", Arc::new(StringArray::from(values.to_vec()))),
        ("label_type", Arc::new(StringArray::from(kinds.to_vec()))),
        ("label_number", Arc::new(numbers)),
    ];
    batch(&lines, columns)
}

fn error(kind: &str, values: [&str; 3], output: (&str, ArrayRef)) -> Vec<f64> {
    let spec = spec(json!({"label": {"name": "y"}}));
    let found = watched(&labelled(kind, values, output), (spec.label.as_ref().unwrap(), &[])).unwrap();
    found.column_by_name("error.y").unwrap().as_primitive::<Float64Type>().iter().map(|v| v.unwrap_or(-1.0)).collect()
}

#[test]
fn an_error_is_a_distance_of_numbers_with_fractions_and_else_another_value() {
    let floats = || Arc::new(Float32Array::from(vec![1.5, 2.0, 0.0])) as ArrayRef;
    assert_eq!(error("number", ["1", "2", "-1"], ("out.p", floats())), [0.5, 0.0, 1.0]);
    let ints = || Arc::new(Int64Array::from(vec![Some(0), Some(2), None])) as ArrayRef;
    assert_eq!(error("number", ["0", "1", "1"], ("out.p", ints())), [0.0, 1.0, -1.0]);
    // Truth values are 1 and 0 where the model says so.
    assert_eq!(error("bool", ["false", "true", "true"], ("out.p", ints())), [0.0, 1.0, -1.0]);
    let truth = Arc::new(BooleanArray::from(vec![true, false, true])) as ArrayRef;
    assert_eq!(error("number", ["1", "1", "1"], ("out.p", truth)), [0.0, 1.0, 0.0]);
    let words = Arc::new(StringArray::from(vec!["a", "b", "c"])) as ArrayRef;
    assert_eq!(error("text", ["a", "c", "c"], ("out.p", words)), [0.0, 1.0, 0.0]);
}

#[test]
fn what_is_watched_of_labels_has_the_envelope_and_no_outputs() {
    let spec = spec(json!({"label": {"name": "y"}, "columns": ["in.*"]}));
    let ints = Arc::new(Int64Array::from(vec![0, 1, 1])) as ArrayRef;
    let found =
        watched(&labelled("number", ["0", "1", "0"], ("out.p", ints)), (spec.label.as_ref().unwrap(), &[])).unwrap();
    let mut sampler = Sampler::from(Timestamp(0));
    sampler.take(&found, &spec).unwrap();
    let minutes = sampler.close(Timestamp(60_000_000));
    let names: Vec<&str> = minutes[0].columns.keys().map(String::as_str).collect();
    assert_eq!((names, minutes[0].rows), (vec!["error.y", "label.y"], 3));
}

#[test]
fn a_label_of_another_kind_is_no_value_and_does_not_turn_the_others_into_texts() {
    let spec = spec(json!({"label": {"name": "y"}}));
    let floats = Arc::new(Float32Array::from(vec![1.5, 2.0, 0.0])) as ArrayRef;
    let rows = mixed(["number", "text", "number"], ["1", "many", "-1"], ("out.p", floats));
    let found = watched(&rows, (spec.label.as_ref().unwrap(), &[])).unwrap();
    for (name, values) in [("label.y", [Some(1.0), None, Some(-1.0)]), ("error.y", [Some(0.5), None, Some(1.0)])] {
        let column = found.column_by_name(name).unwrap().as_primitive::<Float64Type>();
        assert_eq!(column.iter().collect::<Vec<_>>(), values, "{name}");
    }
    let words = Arc::new(StringArray::from(vec!["a", "b", "1"])) as ArrayRef;
    let rows = mixed(["text", "text", "number"], ["a", "b", "1"], ("out.p", words));
    let found = watched(&rows, (spec.label.as_ref().unwrap(), &[])).unwrap();
    let label = found.column_by_name("label.y").unwrap().as_string::<i32>();
    assert_eq!(label.iter().collect::<Vec<_>>(), [Some("a"), Some("b"), Some("1")]);
}

/// An output that nobody can tell, or that is named and is not there, has no error.
#[test]
fn without_a_prediction_the_label_is_watched_alone() {
    let spec = spec(json!({"label": {"name": "y", "prediction": "out.z"}}));
    let ints = Arc::new(Int64Array::from(vec![0, 1, 1])) as ArrayRef;
    let found =
        watched(&labelled("number", ["0", "1", "0"], ("out.p", ints)), (spec.label.as_ref().unwrap(), &[])).unwrap();
    assert!(found.column_by_name("error.y").is_none() && found.column_by_name("label.y").is_some());
}

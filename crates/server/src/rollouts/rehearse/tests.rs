//! What the journal kept of a request makes the same tensors again, and what it did not keep is named.

use super::recorded::{Unmade, inputs, lines};
use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::datatypes::{Float32Type, Int64Type};
use mainspring_core::{DType, Target, Tensor};
use mainspring_engine::{AnswerForm, Signature, TensorSpec};
use mainspring_serving::{ColumnSpec, ColumnType, Contract, MlflowInputs, MlflowSignature, Mlmodel};
use std::sync::Arc;

fn contract(inputs: &[(&str, DType, &[i64])], columns: Option<&[(&str, ColumnType)]>) -> Contract {
    let spec = |(name, dtype, shape): &(&str, DType, &[i64])| TensorSpec::new(*name, *dtype, shape);
    let mlmodel = columns.map(|columns| {
        let column = |(name, kind): &(&str, ColumnType)| ColumnSpec {
            name: Some((*name).into()),
            kind: kind.clone(),
            required: true,
        };
        let inputs = Some(MlflowInputs::Columns(columns.iter().map(column).collect()));
        Arc::new(Mlmodel { signature: Some(MlflowSignature { inputs, ..Default::default() }), ..Default::default() })
    });
    let target = Target {
        deployment: "d".into(),
        variant: "stable".into(),
        model: "m".into(),
        version: "1".into(),
        columns: Arc::default(),
    };
    Contract {
        target: Arc::new(target),
        signature: Signature { inputs: inputs.iter().map(spec).collect(), outputs: Vec::new() },
        platform: "test",
        answer: AnswerForm::Tensors,
        max_batch_rows: 0,
        streams: false,
        labels: Vec::new(),
        mlmodel,
    }
}

fn rows(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn list<T: arrow::datatypes::ArrowPrimitiveType>(rows: Vec<Option<Vec<T::Native>>>) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<T, _, _>(
        rows.into_iter().map(|row| row.map(|row| row.into_iter().map(Some).collect::<Vec<_>>())),
    ))
}

fn floats(tensor: &Tensor) -> (Vec<usize>, Vec<f32>) {
    (tensor.shape().to_vec(), tensor.to_vec::<f32>().unwrap())
}

#[test]
fn columns_values_and_lists_become_what_they_were() {
    let takes = [("age", ColumnType::Double), ("visits", ColumnType::Long)];
    let stacked = contract(&[("X", DType::Fp32, &[-1, 2])], Some(&takes));
    let kept = rows(vec![
        ("in.visits", Arc::new(Int64Array::from(vec![3, 4]))),
        ("in.age", Arc::new(Float64Array::from(vec![1.5, 2.5]))),
    ]);
    let made = inputs(&kept, &stacked).unwrap();
    assert_eq!(floats(&made[0].tensor), (vec![2, 2], vec![1.5, 3.0, 2.5, 4.0]), "in the signature's order");

    let several = contract(
        &[
            ("x", DType::Fp32, &[-1, 2, -1]),
            ("n", DType::Int64, &[-1, 1]),
            ("b", DType::Bool, &[-1]),
            ("t", DType::Bytes, &[-1]),
        ],
        None,
    );
    let kept = rows(vec![
        ("in.x", list::<Float32Type>(vec![Some(vec![1.0, 2.0, 3.0, 4.0]), Some(vec![5.0, 6.0, 7.0, 8.0])])),
        ("in.n", Arc::new(Int64Array::from(vec![7, 8]))),
        ("in.b", Arc::new(BooleanArray::from(vec![true, false]))),
        ("in.t", Arc::new(StringArray::from(vec!["a", "bc"]))),
    ]);
    let made = inputs(&kept, &several).unwrap();
    assert_eq!(made[0].tensor.shape(), [2, 2, 2]);
    assert_eq!((made[1].tensor.shape(), made[1].tensor.to_vec::<i64>().unwrap()), (&[2, 1][..], vec![7, 8]));
    assert_eq!(made[2].tensor.to_vec::<u8>().unwrap(), [1, 0]);
    assert_eq!(made[3].tensor.strings().unwrap(), ["a", "bc"]);

    // A tensor without a dimension of rows stands whole in the first one.
    let whole = contract(&[("x", DType::Int64, &[2, 2])], None);
    let kept = rows(vec![("in.x", list::<Int64Type>(vec![Some(vec![1, 2, 3, 4]), None]))]);
    assert_eq!(inputs(&kept, &whole).unwrap()[0].tensor.shape(), [2, 2]);
}

#[test]
fn what_was_not_kept_is_named() {
    let one = contract(&[("x", DType::Fp32, &[-1])], None);
    let why = |columns: Vec<(&str, ArrayRef)>| inputs(&rows(columns), &one).unwrap_err();
    let digest: ArrayRef = Arc::new(StringArray::from(vec!["xxh3:00;FP32[9]"]));
    assert_eq!(why(vec![("in.x.digest", digest)]), Unmade::TooLarge);
    assert_eq!(why(vec![("in.y", Arc::new(Float32Array::from(vec![1.0])))]), Unmade::Unreadable);
    assert_eq!(why(vec![("in.x", Arc::new(Float32Array::from(vec![None])))]), Unmade::Unreadable);
    let ragged = list::<Float32Type>(vec![Some(vec![1.0]), Some(vec![1.0, 2.0])]);
    assert_eq!(why(vec![("in.x", ragged)]), Unmade::Unreadable);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["[redacted]"]));
    let text = contract(&[("x", DType::Bytes, &[-1])], None);
    assert_eq!(inputs(&rows(vec![("in.x", Arc::clone(&texts))]), &text).unwrap_err(), Unmade::Redacted);
    let column = contract(&[("x", DType::Bytes, &[-1])], Some(&[("x", ColumnType::String)]));
    assert_eq!(inputs(&rows(vec![("in.x", texts)]), &column).unwrap_err(), Unmade::Redacted);
}

#[test]
fn a_golden_file_is_read_line_by_line_and_its_faults_have_a_line() {
    let x = r#"{"name": "x", "shape": [1], "datatype": "FP32", "data": [0.1]}"#;
    let good =
        format!("{{\"inputs\": [{x}], \"parameters\": {{\"k\": 2}}, \"outputs\": [{x}]}}\n\n{{\"inputs\": [{x}]}}\n");
    let asked = lines(good.as_bytes()).unwrap();
    let ids: Vec<&str> = asked.iter().map(|a| a.id.as_str()).collect();
    assert_eq!(ids, ["line 1", "line 3"]);
    assert!(asked[1].expected().is_none());
    assert_eq!(floats(&asked[0].expected().unwrap()[0].tensor).1, [0.1]);
    let (made, params) = asked[0].made(&contract(&[("x", DType::Fp32, &[-1])], None)).unwrap();
    assert_eq!((floats(&made[0].tensor).1, params.values.len()), (vec![0.1], 1));
    let refused = |text: &str| lines(text.as_bytes()).err().unwrap();
    assert!(refused("").contains("no lines"));
    assert!(refused(&format!("{{\"inputs\": [{x}]}}\n{{")).starts_with("line 2: "));
    assert!(refused(&format!("{{\"inputs\": [{x}], \"outputs\": [{{}}]}}")).starts_with("line 1: outputs: "));
    // What names no output would agree with any answer.
    assert!(refused(&format!("{{\"inputs\": [{x}], \"outputs\": []}}")).contains("names none"));
}

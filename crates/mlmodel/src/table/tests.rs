use super::*;
use crate::mlmodel::{ColumnType, MlflowSignature, Mlmodel};
use mainspring_core::{DType, Target, Tensor};
use mainspring_engine::{AnswerForm, Signature, TensorSpec};

fn contract(inputs: &[(&str, DType, &[i64])], columns: Option<&[(&str, ColumnType, bool)]>) -> Contract {
    let spec = |(name, dtype, shape): &(&str, DType, &[i64])| TensorSpec::new(*name, *dtype, shape);
    let mlmodel = columns.map(|columns| {
        let column = |(name, kind, required): &(&str, ColumnType, bool)| ColumnSpec {
            name: Some((*name).into()),
            kind: kind.clone(),
            required: *required,
        };
        let inputs = Some(MlflowInputs::Columns(columns.iter().map(column).collect()));
        Arc::new(Mlmodel { signature: Some(MlflowSignature { inputs, ..Default::default() }), ..Default::default() })
    });
    Contract {
        target: Arc::new(Target {
            deployment: "d".into(),
            variant: "stable".into(),
            model: "m".into(),
            version: "1".into(),
            columns: Arc::default(),
        }),
        signature: Signature { inputs: inputs.iter().map(spec).collect(), outputs: Vec::new() },
        platform: "test",
        answer: AnswerForm::Tensors,
        max_batch_rows: 0,
        streams: false,
        labels: Vec::new(),
        mlmodel,
    }
}

fn table(columns: &[&str], width: usize, cells: Vec<Cell>) -> Table {
    Table { columns: columns.iter().map(|c| Arc::from(*c)).collect(), width, cells }
}

use Cell::{Bool, Float, Int, Null};

fn text(t: &'static str) -> Cell {
    Cell::Text(Bytes::from_static(t.as_bytes()))
}

#[test]
fn columns_stack_in_the_signatures_order_whatever_theirs() {
    let takes = [("a", ColumnType::Double, true), ("b", ColumnType::Long, true)];
    let contract = contract(&[("X", DType::Fp32, &[-1, 2])], Some(&takes));
    let given = table(&["b", "extra", "a"], 3, vec![Int(2), text("x"), Float(1.5), Int(4), Null, Int(3)]);
    let tensors = contract.tensors(&given).unwrap();
    assert_eq!((&*tensors[0].name, tensors[0].tensor.shape()), ("X", &[2, 2][..]));
    assert_eq!(tensors[0].tensor.to_vec::<f32>().unwrap(), [1.5, 2.0, 3.0, 4.0]);
}

#[test]
fn each_input_takes_its_column() {
    let inputs: [(&str, DType, &[i64]); 3] =
        [("n", DType::Int64, &[-1, 1]), ("s", DType::Bytes, &[-1]), ("f", DType::Bool, &[-1, 1])];
    let contract = contract(&inputs, None);
    let given = table(&["s", "f", "n"], 3, vec![text("x"), Bool(true), Float(7.0), text("y"), Bool(false), Int(8)]);
    let tensors = contract.tensors(&given).unwrap();
    assert_eq!(tensors[0].tensor.to_vec::<i64>().unwrap(), [7, 8]);
    assert_eq!(tensors[1].tensor.strings().unwrap(), [Bytes::from_static(b"x"), Bytes::from_static(b"y")]);
    assert_eq!((tensors[2].tensor.shape(), tensors[2].tensor.to_vec::<u8>().unwrap()), (&[2, 1][..], vec![1, 0]));
}

#[test]
fn rows_without_names_go_by_place() {
    let contract = contract(&[("X", DType::Fp64, &[-1, -1])], None);
    let tensors = contract.tensors(&table(&[], 2, vec![Int(1), Float(2.5)])).unwrap();
    assert_eq!(tensors[0].tensor.to_vec::<f64>().unwrap(), [1.0, 2.5]);
}

#[test]
fn a_model_that_leaves_the_rank_open_takes_rows_and_columns() {
    let contract = contract(&[("X", DType::Fp64, &[])], None);
    let tensors = contract.tensors(&table(&["a", "b"], 2, vec![Int(1), Float(2.5)])).unwrap();
    assert_eq!(tensors[0].tensor.shape(), [1, 2]);
}

#[test]
fn the_column_at_fault_is_named() {
    let takes =
        [("age", ColumnType::Double, true), ("visits", ColumnType::Long, true), ("note", ColumnType::Double, false)];
    let contract = contract(&[("X", DType::Fp32, &[-1, 3])], Some(&takes));
    let error = |columns: &[&str], cells: Vec<Cell>| {
        contract.tensors(&table(columns, columns.len(), cells)).unwrap_err().to_string()
    };
    let missing = error(&["agee", "visits"], vec![Int(1), Int(2)]);
    assert!(missing.contains(r#"column "age" is missing (the request has "agee")"#), "{missing}");
    let kind = error(&["age", "visits"], vec![Int(1), Int(2), text("old"), Int(3)]);
    assert!(kind.contains(r#"column "age" is double, but row 1 has "old""#), "{kind}");
    assert!(error(&["age", "visits"], vec![Int(1), Float(2.5)]).contains(r#"column "visits" is long"#));
    assert!(error(&["age", "visits"], vec![Int(1), Null]).contains(r#"column "visits" is long, but row 0 has null"#));
    assert!(error(&["age", "age"], vec![Int(1), Int(1)]).contains("twice"));
    assert!(error(&["age", "visits"], vec![Int(1)]).contains("do not fill"));
    let tensors = contract.tensors(&table(&["age", "visits"], 2, vec![Null, Int(2)])).unwrap();
    let values = tensors[0].tensor.to_vec::<f32>().unwrap();
    assert!(values[0].is_nan() && values[1] == 2.0 && values[2].is_nan());
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let contract = contract(&[("x", DType::Uint8, &[-1, 1])], None);
    assert!(contract.tensors(&table(&["x"], 1, vec![Int(255)])).is_ok());
    assert!(contract.tensors(&table(&["x"], 1, vec![Int(256)])).is_err());
    assert!(contract.tensors(&table(&["x"], 1, vec![Float(1.5)])).is_err());
}

/// One cell as the only value of a column of this type, for an input of this type.
fn one(dtype: DType, kind: ColumnType, cell: Cell) -> Result<Tensor, String> {
    let contract = contract(&[("x", dtype, &[-1])], Some(&[("x", kind, true)]));
    let tensors = contract.tensors(&table(&["x"], 1, vec![cell])).map_err(|e| e.to_string())?;
    Ok(tensors[0].tensor.clone())
}

#[test]
fn declared_columns_take_what_mlflow_takes() {
    for (kind, dtype) in [(ColumnType::Integer, DType::Int32), (ColumnType::Long, DType::Int64)] {
        for (cell, expected) in [(Bool(true), 1), (Float(-2.0), -2), (text(" 7 "), 7), (text("-8"), -8)] {
            let tensor = one(dtype, kind.clone(), cell.clone()).unwrap();
            let got = tensor.to_vec::<i32>().map(|v| i64::from(v[0])).or_else(|| tensor.to_vec::<i64>().map(|v| v[0]));
            assert_eq!(got, Some(expected), "{cell:?}");
        }
    }
    for (cell, expected) in
        [(Bool(false), 0.0), (Int(3), 3.0), (text("1e3"), 1000.0), (text("-inf"), f64::NEG_INFINITY)]
    {
        assert_eq!(one(DType::Fp64, ColumnType::Double, cell).unwrap().to_vec::<f64>().unwrap(), [expected]);
    }
    assert!(one(DType::Fp32, ColumnType::Float, text("nan")).unwrap().to_vec::<f32>().unwrap()[0].is_nan());
    for (cell, expected) in [(Bool(true), 1), (Int(0), 0), (Float(1.0), 1)] {
        assert_eq!(one(DType::Bool, ColumnType::Boolean, cell).unwrap().to_vec::<u8>().unwrap(), [expected]);
    }
    for (cell, expected) in [
        (Int(-5), "-5"),
        (Bool(true), "True"),
        (Bool(false), "False"),
        (Float(1.0), "1.0"),
        (Float(1e300), "1e+300"),
        (Float(1.5e-5), "1.5e-05"),
        (Float(1e16), "1e+16"),
        (Float(0.0001), "0.0001"),
    ] {
        let tensor = one(DType::Bytes, ColumnType::String, cell).unwrap();
        assert_eq!(tensor.strings().unwrap(), [Bytes::from_static(expected.as_bytes())]);
    }
}

#[test]
fn nothing_is_cut_to_the_size_of_a_declared_column() {
    for (dtype, kind, cell) in [
        (DType::Int32, ColumnType::Integer, Int(1 << 31)),
        (DType::Int64, ColumnType::Integer, Int(1 << 31)),
        (DType::Fp32, ColumnType::Integer, Int(1 << 31)),
        (DType::Int64, ColumnType::Long, Float(1.5)),
        (DType::Int64, ColumnType::Long, Float(9.3e18)),
        (DType::Int64, ColumnType::Long, text("1.5")),
        (DType::Int64, ColumnType::Long, text("one")),
        (DType::Int64, ColumnType::Long, Null),
        (DType::Bool, ColumnType::Boolean, Int(2)),
        (DType::Bool, ColumnType::Boolean, text("true")),
        (DType::Bool, ColumnType::Boolean, Null),
        (DType::Fp32, ColumnType::Boolean, Int(2)),
        (DType::Fp32, ColumnType::Double, text("much")),
        (DType::Fp32, ColumnType::String, Int(1)),
        (DType::Bytes, ColumnType::String, Null),
        (DType::Bytes, ColumnType::String, Float(f64::NAN)),
        (DType::Bytes, ColumnType::Binary, Int(1)),
    ] {
        let error = one(dtype, kind.clone(), cell.clone()).unwrap_err();
        assert!(error.starts_with(&format!("column \"x\" is {}, but row 0 has ", kind.as_str())), "{cell:?}: {error}");
    }
}

#[test]
fn an_image_is_not_columns() {
    let contract = contract(&[("image", DType::Fp32, &[-1, 3, 8, 8])], None);
    let error = contract.tensors(&table(&["image"], 1, vec![Int(1)])).unwrap_err();
    assert!(matches!(error, ColumnError::NotColumns { .. }), "{error}");
}

proptest::proptest! {
    #[test]
    fn any_table_is_built_or_refused(width in 0_usize..5, ints in proptest::collection::vec(proptest::num::i64::ANY, 0..20)) {
        let contract = contract(&[("X", DType::Int16, &[-1, 2])], None);
        let given = table(&[], width, ints.into_iter().map(Int).collect());
        if let Ok(tensors) = contract.tensors(&given) {
            proptest::prop_assert_eq!(tensors[0].tensor.rows(), given.rows());
        }
    }
}

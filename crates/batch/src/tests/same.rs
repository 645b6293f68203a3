//! The quick way to tensors gives what serving's way gives.

use super::*;
use arrow::compute::cast;
use proptest::prelude::*;

fn kinds() -> impl Strategy<Value = ColumnType> {
    prop_oneof![
        Just(ColumnType::Double),
        Just(ColumnType::Float),
        Just(ColumnType::Long),
        Just(ColumnType::Integer),
        Just(ColumnType::Boolean),
        Just(ColumnType::String),
    ]
}

fn types() -> impl Strategy<Value = DataType> {
    prop_oneof![
        Just(DataType::Float64),
        Just(DataType::Float32),
        Just(DataType::Int64),
        Just(DataType::Int32),
        Just(DataType::UInt8),
        Just(DataType::UInt64),
        Just(DataType::Boolean),
        Just(DataType::Utf8),
    ]
}

fn dtypes() -> impl Strategy<Value = DType> {
    prop_oneof![
        Just(DType::Fp32),
        Just(DType::Fp64),
        Just(DType::Int64),
        Just(DType::Int32),
        Just(DType::Uint8),
        Just(DType::Bytes)
    ]
}

fn cells() -> impl Strategy<Value = Vec<Option<f64>>> {
    let one = prop_oneof![
        6 => (-200_i32..200).prop_map(|n| Some(f64::from(n))),
        2 => any::<f64>().prop_map(Some),
        1 => Just(None)
    ];
    proptest::collection::vec(one, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn is_the_same(
        declared in proptest::option::of(kinds()), kind in types(), dtype in dtypes(), values in cells(),
        stacked in any::<bool>(), text in any::<bool>()
    ) {
        let column: Float64Array = values.into_iter().collect();
        let column = cast(&column, if text { &DataType::Utf8 } else { &kind }).unwrap();
        let shape = if stacked { vec![-1, -1] } else { vec![-1] };
        let spec = TensorSpec::new("x", dtype, &shape);
        let signature = Signature { inputs: vec![spec], outputs: Vec::new() };
        let declared: Vec<(&str, ColumnType)> = declared.into_iter().map(|k| ("x", k)).collect();
        let contract = Arc::new(contract(signature, &declared));
        let schema = Arc::new(Schema::new(vec![Field::new("x", column.data_type().clone(), true)]));
        let rows = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
        let columns = Columns::new(contract, &schema, None, text).unwrap();
        let quick = columns.tensors(&rows, 7).map_err(|e| e.to_string());
        let slow = columns.through_table(&rows, 7).map_err(|e| e.to_string());
        match (quick, slow) {
            (Ok(quick), Ok(slow)) => {
                prop_assert_eq!(quick.len(), slow.len());
                let same = quick[0].tensor.to_wire() == slow[0].tensor.to_wire()
                    || quick[0].tensor.to_vec::<f32>().zip(slow[0].tensor.to_vec::<f32>()).is_some_and(|(a, b)| {
                        a.iter().zip(&b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
                    })
                    || quick[0].tensor.to_vec::<f64>().zip(slow[0].tensor.to_vec::<f64>()).is_some_and(|(a, b)| {
                        a.iter().zip(&b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
                    });
                prop_assert!(same, "{:?} {:?}", quick, slow);
                prop_assert_eq!(quick[0].tensor.shape(), slow[0].tensor.shape());
            }
            (quick, slow) => prop_assert_eq!(quick, slow),
        }
    }
}

proptest::proptest! {
    /// However text is cut, its rows are those of the CSV reader.
    #[test]
    fn rows_of_csv_are_counted_as_they_are_read(fields in proptest::collection::vec("[ab\",\n]{0,4}", 2..60)) {
        let mut text = Vec::new();
        {
            let mut writer = csv_writer(&mut text);
            writer(&["a".to_owned(), "b".to_owned()]);
            for pair in fields.chunks_exact(2) {
                writer(pair);
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, &text).unwrap();
        let source = crate::plan::Source::plan(&path, "x".into(), Format::Csv, 1).unwrap();
        proptest::prop_assert_eq!(source.rows as usize, fields.len() / 2);
        let mut read = 0;
        for shard in &source.shards {
            for rows in crate::read::Rows::open(&source, shard, 7).unwrap() {
                read += rows.unwrap().1.num_rows();
            }
        }
        proptest::prop_assert_eq!(read, fields.len() / 2);
    }
}

/// Writes records as RFC 4180 says.
fn csv_writer(out: &mut Vec<u8>) -> impl FnMut(&[String]) + '_ {
    move |fields| {
        let quoted: Vec<String> = fields.iter().map(|f| format!("\"{}\"", f.replace('"', "\"\""))).collect();
        out.extend_from_slice(quoted.join(",").as_bytes());
        out.push(b'\n');
    }
}

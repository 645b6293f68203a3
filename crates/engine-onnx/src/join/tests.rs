use super::edit::{put, put_number};
use super::split::split;
use super::{Feed, joined};
use crate::model::OnnxModel;
use crate::scan::scan;
use crate::tests::{data, engine, floats, load, named};
use bytes::Bytes;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, ErrorKind, Failure, Tensor};
use mainspring_engine::{LoadOptions, Model, RunCx, together, zeros};

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(data().join(format!("{name}.onnx"))).unwrap()
}

/// What is joined beforehand, by name; of what the model that runs takes.
fn feeds(name: &str) -> Vec<Vec<String>> {
    let Some(split) = split(&bytes_of(name)) else { return Vec::new() };
    let named = |feed: &Feed| match feed {
        Feed::Plain(at) => vec![at.to_string()],
        Feed::Matrix(matrix) => matrix.columns.iter().map(|c| c.spec.name.to_string()).collect(),
    };
    split.feeds.iter().map(named).collect()
}

/// The model as ONNX Runtime runs it whole.
fn whole(name: &str) -> OnnxModel {
    let environment = engine().environment.unwrap();
    let path = data().join(format!("{name}.onnx"));
    let options = LoadOptions { instances: 1, threads: 1, ..LoadOptions::default() };
    OnnxModel::of(&environment, &path, &options, &scan(&path).unwrap(), None).unwrap()
}

/// Numbers that casts round, overflow or keep, a different one in every place.
fn odd(dtype: DType, shape: &[usize], salt: usize) -> Tensor {
    let count = shape.iter().product::<usize>();
    let singles = [0.1, -0.0, f32::NAN, f32::MAX, 1.5e-45, f32::NEG_INFINITY];
    let doubles = [0.1, 1e300, -1e-300, f64::NAN, 16_777_217.0, f64::INFINITY];
    let wholes = [i64::MAX, i64::MIN, (1 << 53) + 1, 16_777_217, -1, 0];
    let pick = |i: usize| (i * 7 + salt) % 6;
    let shape = shape.to_vec();
    match dtype {
        DType::Fp32 => Tensor::from_vec(dtype, shape, (0..count).map(|i| singles[pick(i)]).collect()),
        DType::Fp64 => Tensor::from_vec(dtype, shape, (0..count).map(|i| doubles[pick(i)]).collect()),
        DType::Int64 => Tensor::from_vec(dtype, shape, (0..count).map(|i| wholes[pick(i)]).collect()),
        DType::Uint8 => Tensor::from_vec(dtype, shape, (0..count).map(|i| (i + salt) as u8).collect()),
        DType::Bytes => Tensor::from_strings(shape, (0..count).map(|i| Bytes::from(format!("{salt}.{i}"))).collect()),
        other => panic!("{other}"),
    }
    .unwrap()
}

fn table(model: &dyn Model, rows: usize) -> Vec<NamedTensor> {
    let value = |(salt, spec): (usize, &mainspring_engine::TensorSpec)| {
        let width = spec.shape[1..].iter().map(|width| usize::try_from(*width).unwrap());
        let shape: Vec<usize> = std::iter::once(rows).chain(width).collect();
        named(&spec.name, odd(spec.dtype, &shape, salt))
    };
    model.signature().inputs.iter().enumerate().map(value).collect()
}

#[test]
fn columns_that_are_only_joined_come_as_matrices() {
    assert_eq!(feeds("vectorized"), [["a", "whole", "b"]]);
    assert_eq!(feeds("concatenated"), [&["c", "small", "a"][..], &["d", "b"], &["2"]]);
    let all: Vec<_> = (0..30).map(|i| format!("f{i}")).collect();
    for table in ["table", "converted", "converted_singles", "converted_whole"] {
        assert_eq!(feeds(table), [&all[..]], "{table}");
    }
    assert_eq!(feeds("converted_mixed"), [&["age", "visits", "income"][..], &["0"]]);
    for kept in ["used", "given", "twice", "rows", "default", "fixed", "within"] {
        assert!(feeds(&format!("joined_{kept}")).is_empty(), "{kept}");
    }
    for kept in ["iris", "add_sub", "every_type", "pipeline"] {
        assert!(feeds(kept).is_empty(), "{kept}");
    }
}

/// To the bit, and with the same names, types and shapes, however many rows come.
#[test]
fn the_answer_is_that_of_the_whole_model() {
    let converted = ["converted", "converted_singles", "converted_whole", "converted_mixed"];
    for name in ["vectorized", "concatenated", "table"].into_iter().chain(converted) {
        let (split, whole) = (load(name).unwrap(), whole(name));
        assert_eq!(format!("{:?}", split.signature()), format!("{:?}", whole.signature()), "{name}");
        for rows in [1, 2, 255, 256, 257, 1000] {
            let inputs = table(&whole, rows);
            let wanted = whole.run(&inputs, &RunCx::default()).unwrap();
            let got = split.run(&inputs, &RunCx::default()).unwrap();
            for (got, wanted) in got.iter().zip(&wanted) {
                assert_eq!((&got.name, got.tensor.shape()), (&wanted.name, wanted.tensor.shape()), "{name}");
                assert_eq!(got.tensor.to_wire(), wanted.tensor.to_wire(), "{name}: {} of {rows} rows", got.name);
            }
        }
    }
}

/// Requests of one row, of as many as are filled at a time, of none and of more.
#[test]
fn the_answer_to_several_requests_is_that_to_their_rows_under_each_other() {
    for name in ["concatenated", "converted_mixed", "pipeline"] {
        let model = load(name).unwrap();
        let requests: Vec<_> = [1, 3, 256, 1, 0, 700].map(|rows| table(&*model, rows)).into();
        let requests: Vec<&[NamedTensor]> = requests.iter().map(Vec::as_slice).collect();
        let wanted = model.run(&together(&requests).unwrap(), &RunCx::default()).unwrap();
        let got = model.run_together(&requests, &RunCx::default()).unwrap();
        assert_eq!((wanted[0].tensor.rows(), got.tokens.len()), (961, 0), "{name}");
        for (got, wanted) in got.outputs.iter().zip(&wanted) {
            assert_eq!((&got.name, got.tensor.shape()), (&wanted.name, wanted.tensor.shape()), "{name}");
            assert_eq!(got.tensor.to_wire(), wanted.tensor.to_wire(), "{name}: {}", got.name);
        }
        // Whose columns are of different lengths is the caller's fault, whoever else is in the call.
        if name == "concatenated" {
            let mut short = requests[1].to_vec();
            short[0].tensor = short[0].tensor.slice_rows(0, 2);
            let error = model.run_together(&[requests[0], &short], &RunCx::default()).unwrap_err();
            assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("\"a\""), "{error}");
        }
    }
}

#[test]
fn a_column_that_does_not_fit_the_others_is_the_callers_fault_and_named() {
    let model = load("concatenated").unwrap();
    let good = zeros(model.signature(), 3).unwrap();
    let mut short = good.clone();
    short[0].tensor = floats(&[2, 1], &[1., 2.]);
    let mut other = good.clone();
    other[0].tensor = Tensor::from_vec(DType::Fp64, vec![3, 1], vec![1_f64; 3]).unwrap();
    for (inputs, name) in [(&short, "\"a\""), (&other, "\"a\""), (&good[..5].to_vec(), "\"small\"")] {
        let error = model.run(inputs, &RunCx::default()).unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(name), "{error}");
    }
    assert!(model.run(&good, &RunCx::default()).is_ok());
}

/// A file of 16 MiB may have hundreds of thousands of inputs; finding one among them must not take a look at all.
#[test]
fn a_table_of_very_many_columns_is_split_in_one_go() {
    let mut graph = Vec::new();
    let names: Vec<String> = (0..100_000).map(|n| format!("c{n}")).collect();
    let mut node = Vec::new();
    for name in &names {
        put(&mut node, 1, name.as_bytes());
    }
    put(&mut node, 2, b"m");
    put(&mut node, 4, b"Concat");
    let mut axis = Vec::new();
    put(&mut axis, 1, b"axis");
    put_number(&mut axis, 3, 1);
    put(&mut node, 5, &axis);
    put(&mut graph, 1, &node);
    for name in &names {
        let (mut one, mut shape, mut tensor, mut of, mut info) = (vec![], vec![], vec![], vec![], vec![]);
        put_number(&mut one, 1, 1);
        put(&mut shape, 1, &[]);
        put(&mut shape, 1, &one);
        put_number(&mut tensor, 1, 1);
        put(&mut tensor, 2, &shape);
        put(&mut of, 1, &tensor);
        put(&mut info, 1, name.as_bytes());
        put(&mut info, 2, &of);
        put(&mut graph, 11, &info);
    }
    let mut model = Vec::new();
    put(&mut model, 7, &graph);
    // In the square of them it would take the test's whole time.
    let split = split(&model).unwrap();
    assert!(matches!(&split.feeds[..], [Feed::Matrix(matrix)] if matrix.columns.len() == names.len()));
}

#[test]
fn without_matrices_nothing_is_copied() {
    let inputs = [named("x", floats(&[1, 1], &[1.0]))];
    assert!(matches!(joined(&[], &[&inputs]), Ok(std::borrow::Cow::Borrowed(_))));
}

proptest::proptest! {
    /// A file that was damaged is left to ONNX Runtime, which says what is wrong with it.
    #[test]
    fn any_damage_to_a_model_is_survived(at in proptest::collection::vec((0_usize..4096, proptest::num::u8::ANY), 1..6), cut in 0_usize..4096) {
        for name in ["vectorized", "concatenated", "joined_within", "converted_mixed"] {
            let mut bytes = bytes_of(name);
            for (at, byte) in &at {
                let at = at % bytes.len();
                bytes[at] = *byte;
            }
            let _ = split(&bytes);
            bytes.truncate(cut % bytes.len());
            let _ = split(&bytes);
        }
    }
}

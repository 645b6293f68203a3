use crate::{OnnxRuntime, find};
use bytes::Bytes;
use half::{bf16, f16};
use mainspring_core::tensor::{Data, NamedTensor};
use mainspring_core::{DType, ErrorKind, Failure, Tensor};
use mainspring_engine::{Engine, EngineError, LoadOptions, Model, ModelFiles, RunCx, zeros};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod exported;

pub(crate) fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data")
}

pub(crate) fn engine() -> OnnxRuntime {
    let engine = OnnxRuntime::open(mainspring_testkit::onnxruntime().as_deref(), 0);
    assert!(engine.library().is_ok(), "{:?}: run `make setup` first", engine.library());
    engine
}

pub(crate) fn load(name: &str) -> Result<Arc<dyn Model>, EngineError> {
    let files = ModelFiles { root: data(), entry: format!("{name}.onnx").into(), flavor: "onnx".into() };
    engine().load(&files, &LoadOptions::default())
}

pub(crate) fn named(name: &str, tensor: Tensor) -> NamedTensor {
    NamedTensor { name: name.into(), tensor }
}

pub(crate) fn floats(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_vec(DType::Fp32, shape.to_vec(), values.to_vec()).unwrap()
}

#[test]
fn a_model_answers_in_its_own_order() {
    let model = load("add_sub").unwrap();
    let names: Vec<&str> = model.signature().inputs.iter().map(|i| &*i.name).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(model.signature().inputs[0].shape, [-1, 2]);
    let inputs = [named("b", floats(&[1, 2], &[5., 7.])), named("a", floats(&[1, 2], &[1., 2.]))];
    let outputs = model.run(&inputs, &RunCx::default()).unwrap();
    assert_eq!((&*outputs[0].name, outputs[0].tensor.to_vec::<f32>().unwrap()), ("sum", vec![6., 9.]));
    assert_eq!((&*outputs[1].name, outputs[1].tensor.to_vec::<f32>().unwrap()), ("difference", vec![4., 5.]));
}

/// Two values that say whether they went through.
fn two(dtype: DType) -> Tensor {
    let shape = vec![1, 2];
    let made = match dtype {
        DType::Bool => Tensor::from_vec(dtype, shape, vec![1_u8, 0]),
        DType::Uint8 => Tensor::from_vec(dtype, shape, vec![u8::MAX, 1]),
        DType::Uint16 => Tensor::from_vec(dtype, shape, vec![u16::MAX, 1]),
        DType::Uint32 => Tensor::from_vec(dtype, shape, vec![u32::MAX, 1]),
        DType::Uint64 => Tensor::from_vec(dtype, shape, vec![u64::MAX, 1]),
        DType::Int8 => Tensor::from_vec(dtype, shape, vec![i8::MIN, 1]),
        DType::Int16 => Tensor::from_vec(dtype, shape, vec![i16::MIN, 1]),
        DType::Int32 => Tensor::from_vec(dtype, shape, vec![i32::MIN, 1]),
        DType::Int64 => Tensor::from_vec(dtype, shape, vec![i64::MIN, 1]),
        DType::Fp16 => Tensor::from_vec(dtype, shape, vec![f16::from_f32(0.5), f16::INFINITY]),
        DType::Bf16 => Tensor::from_vec(dtype, shape, vec![bf16::from_f32(0.5), bf16::INFINITY]),
        DType::Fp32 => Tensor::from_vec(dtype, shape, vec![f32::MIN_POSITIVE, f32::NEG_INFINITY]),
        DType::Fp64 => Tensor::from_vec(dtype, shape, vec![f64::MIN_POSITIVE, f64::NEG_INFINITY]),
        DType::Bytes => Tensor::from_strings(shape, vec!["".into(), "Grüße".into()]),
    };
    made.unwrap()
}

#[test]
fn every_element_type_goes_through_unchanged() {
    let model = load("every_type").unwrap();
    let inputs: Vec<_> = model.signature().inputs.iter().map(|i| named(&i.name, two(i.dtype))).collect();
    assert_eq!(inputs.len(), DType::ALL.len());
    let outputs = model.run(&inputs, &RunCx::default()).unwrap();
    for (given, got) in inputs.iter().zip(&outputs) {
        assert_eq!(given.tensor.to_wire(), got.tensor.to_wire(), "{}", given.name);
        assert_eq!(given.tensor.shape(), got.tensor.shape());
    }
}

/// Their values are kept from call to call, as `kept.rs` says: nothing of one call may be seen in another.
#[test]
fn many_small_inputs_are_those_of_their_own_call() {
    let model = load("every_number").unwrap();
    let one: Vec<_> = model.signature().inputs.iter().map(|i| named(&i.name, two(i.dtype))).collect();
    assert_eq!(one.len(), DType::ALL.len() - 2);
    let none = zeros(model.signature(), 1).unwrap();
    let three = zeros(model.signature(), 3).unwrap();
    let mut unaligned = one.clone();
    for input in &mut unaligned {
        let mut padded = vec![7];
        padded.extend_from_slice(&input.tensor.to_wire());
        input.tensor = Tensor::from_raw(input.tensor.dtype(), vec![1, 2], Bytes::from(padded).slice(1..)).unwrap();
    }
    let mut told = Vec::new();
    for inputs in [&one, &none, &three, &unaligned, &none, &one] {
        told.push((inputs, model.run(inputs, &RunCx::default()).unwrap()));
    }
    // After the last call, which filled the values of the first anew.
    for (inputs, outputs) in &told {
        for (given, got) in inputs.iter().zip(outputs) {
            assert_eq!(given.tensor.to_wire(), got.tensor.to_wire(), "{}", given.name);
            assert_eq!(given.tensor.shape(), got.tensor.shape());
        }
    }
}

/// ONNX Runtime gives an output that is an input as the value that it was given, whose memory is the request's, or a copy's
/// that goes with the call.
#[test]
fn an_output_that_is_an_input_outlives_it() {
    let model = load("passthrough").unwrap();
    let values: Vec<f32> = (0..20_000_u16).map(f32::from).collect();
    for shift in [0, 1] {
        let mut padded = vec![0_u8; shift];
        padded.extend_from_slice(bytemuck::cast_slice(&values));
        let tensor = Tensor::from_raw(DType::Fp32, vec![5_000, 4], Bytes::from(padded).slice(shift..)).unwrap();
        let outputs = model.run(&[named("x", tensor.clone())], &RunCx::default()).unwrap();
        let (Data::Raw(given), Data::Raw(got)) = (tensor.data(), outputs[0].tensor.data()) else { unreachable!() };
        assert!(!given.as_ptr_range().contains(&got.as_ptr()), "it is the request's own memory");
        drop(tensor);
        // Whatever was given back is used anew.
        let others: Vec<Vec<u8>> = (0..64).map(|_| vec![7; 80_000]).collect();
        assert_eq!(outputs[0].tensor.as_slice::<f32>(), Some(&values[..]));
        drop(others);
    }
}

#[test]
fn unaligned_bytes_give_the_same_answer() {
    let model = load("identity").unwrap();
    let values = floats(&[2, 4], &[1., 2., 3., 4., 5., 6., 7., 8.]);
    for shift in 0..8 {
        let mut padded = vec![0_u8; shift];
        padded.extend_from_slice(&values.to_wire());
        let tensor = Tensor::from_raw(DType::Fp32, vec![2, 4], Bytes::from(padded).slice(shift..)).unwrap();
        let outputs = model.run(&[named("x", tensor)], &RunCx::default()).unwrap();
        assert_eq!(outputs[0].tensor, values);
    }
}

#[test]
fn values_that_cannot_be_taken_are_the_callers_fault() {
    let model = load("every_type").unwrap();
    let mut inputs = zeros(model.signature(), 1).unwrap();
    let text = inputs.iter().position(|i| &*i.name == "in_text").unwrap();
    inputs[text].tensor = Tensor::from_strings(vec![1, 2], vec![Bytes::from_static(&[0xff]), "".into()]).unwrap();
    let e = model.run(&inputs, &RunCx::default()).unwrap_err();
    assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains("UTF-8"), "{e}");

    let mut inputs = zeros(model.signature(), 1).unwrap();
    let flag = inputs.iter().position(|i| &*i.name == "in_bool").unwrap();
    inputs[flag].tensor = Tensor::from_raw(DType::Bool, vec![1, 2], Bytes::from_static(&[0, 7])).unwrap();
    assert_eq!(model.run(&inputs, &RunCx::default()).unwrap_err().kind(), ErrorKind::InvalidInput);

    let gather = load("gather").unwrap();
    let outside = Tensor::from_vec(DType::Int64, vec![1, 1], vec![99_i64]).unwrap();
    assert!(matches!(gather.run(&[named("i", outside)], &RunCx::default()), Err(EngineError::Run { .. })));
    let inside = Tensor::from_vec(DType::Int64, vec![1, 1], vec![2_i64]).unwrap();
    let good = gather.run(&[named("i", inside)], &RunCx::default()).unwrap();
    assert_eq!(good[0].tensor.to_vec::<f32>().unwrap(), [30.]);
}

#[test]
fn an_output_that_is_not_as_declared_is_an_error_and_nan_is_not() {
    let model = load("wrong_shape").unwrap();
    let shaped = |columns: i64| {
        let shape = Tensor::from_vec(DType::Int64, vec![2], vec![-1, columns]).unwrap();
        model.run(&[named("x", floats(&[2, 4], &[0.; 8])), named("shape", shape)], &RunCx::default())
    };
    assert!(shaped(2).is_ok());
    let e = shaped(4).unwrap_err();
    assert!(matches!(e, EngineError::WrongOutput { .. }) && e.to_string().contains("\"y\""), "{e}");

    let nan = load("nan").unwrap().run(&[named("x", floats(&[2, 1], &[0., 2.]))], &RunCx::default()).unwrap();
    let values = nan[0].tensor.to_vec::<f32>().unwrap();
    assert!(values[0].is_nan() && values[1] == 1.);
}

#[test]
fn files_that_cannot_be_served_say_why() {
    let corrupt = load("corrupt").unwrap_err();
    assert!(matches!(corrupt, EngineError::Load { .. }) && corrupt.to_string().contains("corrupt.onnx"), "{corrupt}");
    let gone = load("nobody").unwrap_err();
    assert!(gone.to_string().contains("nobody.onnx"), "{gone}");
}

#[test]
fn probabilities_in_maps_become_a_tensor_with_class_names() {
    let rows = floats(&[2, 4], &[5.1, 3.5, 1.4, 0.2, 5.9, 3.0, 5.1, 1.8]);
    let plain = load("iris").unwrap().run(&[named("X", rows.clone())], &RunCx::default()).unwrap();
    for (file, classes) in [("zipmap", ["0", "1", "2"]), ("zipmap_text", ["setosa", "versicolor", "virginica"])] {
        let model = load(file).unwrap();
        assert_eq!(
            (model.signature().outputs[1].dtype, &*model.signature().outputs[1].shape),
            (DType::Fp32, &[-1, -1][..])
        );
        let labels = model.labels(1).expect("learned at load");
        assert_eq!(labels.iter().map(|l| &**l).collect::<Vec<_>>(), classes);
        assert!(model.labels(0).is_none());
        let outputs = model.run(&[named("X", rows.clone())], &RunCx::default()).unwrap();
        assert_eq!(outputs[1].tensor.shape(), [2, 3]);
        let near = |a: &Tensor, b: &Tensor| {
            a.to_vec::<f32>().unwrap().iter().zip(b.to_vec::<f32>().unwrap()).all(|(a, b)| (a - b).abs() < 1e-5)
        };
        assert!(near(&outputs[1].tensor, &plain[1].tensor), "{file}: {outputs:?}");
    }
}

#[test]
fn answers_agree_with_scikit_learn() {
    let table = std::fs::read_to_string(data().join("iris_expected.csv")).unwrap();
    let rows: Vec<Vec<f32>> = table.lines().map(|l| l.split(',').map(|v| v.parse().unwrap()).collect()).collect();
    let inputs: Vec<f32> = rows.iter().flat_map(|r| r[..4].to_vec()).collect();
    let outputs =
        load("iris").unwrap().run(&[named("X", floats(&[rows.len(), 4], &inputs))], &RunCx::default()).unwrap();
    let got = outputs[1].tensor.to_vec::<f32>().unwrap();
    for (want, got) in rows.iter().zip(got.chunks(3)) {
        assert!(want[4..].iter().zip(got).all(|(w, g)| (w - g).abs() < 1e-5), "{want:?} {got:?}");
    }
}

#[test]
fn a_large_output_outlives_its_model() {
    let model = load("identity").unwrap();
    let values: Vec<f32> = (0..40_000_u16).map(f32::from).collect();
    let outputs = model.run(&[named("x", floats(&[10_000, 4], &values))], &RunCx::default()).unwrap();
    drop(model);
    assert_eq!(outputs[0].tensor.as_slice::<f32>().unwrap(), values);
}

#[test]
fn a_deadline_that_has_passed_runs_nothing() {
    let model = load("identity").unwrap();
    let cx =
        RunCx { deadline: Some(Instant::now().checked_sub(Duration::from_millis(1)).unwrap()), ..RunCx::default() };
    let e = model.run(&[named("x", floats(&[1, 4], &[0.; 4]))], &cx).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::DeadlineExceeded);
}

#[test]
fn many_threads_share_few_sessions_and_each_gets_its_own_answer() {
    let files = ModelFiles { root: data(), entry: "identity.onnx".into(), flavor: "onnx".into() };
    let model = engine().load(&files, &LoadOptions { instances: 2, threads: 1, ..LoadOptions::default() }).unwrap();
    assert_eq!(model.instances(), 2);
    std::thread::scope(|scope| {
        for thread in 0..8_u16 {
            let model = &model;
            scope.spawn(move || {
                for i in 0..200_u16 {
                    let given = floats(&[1, 4], &[f32::from(thread), f32::from(i), 0., 1.]);
                    let got = model.run(&[named("x", given.clone())], &RunCx::default()).unwrap();
                    assert_eq!(got[0].tensor, given);
                }
            });
        }
    });
}

#[test]
fn a_machine_without_the_library_says_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let e = find(Some(&dir.path().join("libonnxruntime.so"))).unwrap_err();
    assert!(e.to_string().contains("does not exist") && e.hint().unwrap().contains("doctor"), "{e}");
    let old = dir.path().join("libonnxruntime.so.1.19.2");
    std::fs::write(&old, b"").unwrap();
    let e = find(Some(&old)).unwrap_err();
    assert!(e.to_string().contains("1.19") && e.to_string().contains("1.24"), "{e}");
    let newer = dir.path().join("libonnxruntime.so.1.32.0");
    std::fs::write(&newer, b"").unwrap();
    assert_eq!(find(Some(&newer)).unwrap().version.as_deref(), Some("1.32.0"));
}

#[test]
fn a_damaged_library_is_an_error_and_does_not_end_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let whole = std::fs::read(&engine().library().unwrap().path).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    for (name, bytes, says) in [
        ("empty.so", &whole[..0], "too short"),
        ("text.so", &[b'x'; 200][..], "no ELF header"),
        ("header.so", &whole[..80], "cut short"),
        ("half.so", &whole[..whole.len() / 2], "cut short"),
    ] {
        let reason = crate::elf::check(&write(name, bytes)).unwrap_err();
        assert!(reason.contains(says), "{name}: {reason}");
    }
    crate::elf::check(&write("whole.so", &whole)).unwrap();
}

proptest::proptest! {
    #[test]
    fn any_bytes_after_an_elf_header_are_looked_at_without_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("library.so");
        let header = [b"\x7fELF\x02\x01".as_slice(), &bytes].concat();
        std::fs::write(&path, header).unwrap();
        let _ = crate::elf::check(&path);
    }

    #[test]
    fn any_bytes_as_a_model_are_an_error(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("model.onnx"), &bytes).unwrap();
        let files = ModelFiles { root: dir.path().to_owned(), entry: "model.onnx".into(), flavor: "onnx".into() };
        let loaded = engine().load(&files, &LoadOptions { instances: 1, threads: 1, ..LoadOptions::default() });
        proptest::prop_assert!(loaded.is_err());
    }
}

#[test]
fn the_engine_keeps_every_promise_of_the_port() {
    let files = |name: &str| ModelFiles { root: data(), entry: format!("{name}.onnx").into(), flavor: "onnx".into() };
    let fixtures = mainspring_engine::suite::Fixtures {
        identity: files("identity"),
        corrupt: files("corrupt"),
        options: LoadOptions::default(),
    };
    assert_eq!(mainspring_engine::suite::check(&engine(), &fixtures), Ok(()));
}

//! What exporters leave behind: each model is served, or refused at load with the reason.

use super::{engine, floats, load, named};
use crate::scan::scan;
use bytes::Bytes;
use mainspring_core::{DType, Tensor};
use mainspring_engine::{Engine, EngineError, LoadOptions, ModelFiles, RunCx};
use std::path::{Path, PathBuf};

fn values(model: &str, shape: &[usize]) -> Result<Tensor, EngineError> {
    let count = shape.iter().product::<usize>();
    let given: Vec<f32> = (0..count).map(|i| i as f32).collect();
    let outputs = load(model)?.run(&[named("x", floats(shape, &given))], &RunCx::default())?;
    Ok(outputs[0].tensor.clone())
}

#[test]
fn the_batch_of_the_example_that_was_left_in_the_output_is_no_batch() {
    let signature = load("left_batch").unwrap().signature().clone();
    assert_eq!((&*signature.outputs[0].shape, signature.batchable()), (&[-1, 4][..], true));
    assert_eq!(values("left_batch", &[3, 4]).unwrap().shape(), [3, 4]);
    // A first dimension that is fixed on both sides stays.
    let fixed = load("fixed").unwrap().signature().clone();
    assert_eq!((&*fixed.outputs[0].shape, fixed.batchable()), (&[3][..], false));
}

#[test]
fn a_model_without_shapes_takes_any() {
    assert_eq!(load("open_rank").unwrap().signature().inputs[0].shape, [0_i64; 0]);
    for shape in [&[][..], &[2], &[2, 4]] {
        assert_eq!(values("open_rank", shape).unwrap().shape(), shape);
    }
    // ONNX Runtime cannot tell a scalar from it.
    assert_eq!(values("scalar", &[]).unwrap().shape(), [0_usize; 0]);
}

#[test]
fn an_input_with_a_default_is_not_asked_for_and_a_model_may_have_no_input() {
    let model = load("defaulted").unwrap();
    assert_eq!(model.signature().inputs.len(), 1);
    let got = values("defaulted", &[1, 4]).unwrap();
    assert_eq!(got.to_vec::<f32>().unwrap(), [1.0, 3.0, 5.0, 7.0]);
    let constant = load("no_inputs").unwrap().run(&[], &RunCx::default()).unwrap();
    assert_eq!(constant[0].tensor.to_vec::<f32>().unwrap(), [1.0, 2.0]);
}

#[test]
fn a_pipeline_takes_texts_and_numbers_side_by_side() {
    let model = load("pipeline").unwrap();
    let inputs: Vec<_> = model.signature().inputs.iter().map(|i| (&*i.name, i.dtype, &*i.shape)).collect();
    assert_eq!(inputs, [("city", DType::Bytes, &[-1, 1][..]), ("age", DType::Fp32, &[-1, 1])]);
    let city = Tensor::from_strings(vec![2, 1], vec![Bytes::from("Oslo"), Bytes::from("Rome")]).unwrap();
    let outputs =
        model.run(&[named("city", city), named("age", floats(&[2, 1], &[3.0, 4.0]))], &RunCx::default()).unwrap();
    assert_eq!(outputs[0].tensor.strings().unwrap(), [Bytes::from("yes"), Bytes::from("no")]);
    let classes: Vec<_> = model.labels(1).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(classes, ["no", "yes"]);
}

#[test]
fn the_classes_of_a_pipeline_that_refuses_zeros_are_known_at_load() {
    // No city is the empty text, so that a row of zeros shows nothing.
    let model = load("strict_pipeline").unwrap();
    let zeros = mainspring_engine::zeros(model.signature(), 1).unwrap();
    assert!(model.run(&zeros, &RunCx::default()).is_err());
    let classes: Vec<_> = model.labels(1).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(classes, ["no", "yes"]);
    let city = Tensor::from_strings(vec![1, 1], vec![Bytes::from("Oslo")]).unwrap();
    let outputs = model.run(&[named("city", city), named("age", floats(&[1, 1], &[3.0]))], &RunCx::default()).unwrap();
    let probabilities = outputs[1].tensor.to_vec::<f32>().unwrap();
    assert!(probabilities[1] > probabilities[0], "{probabilities:?}");
    let numbered = scan(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data/zipmap.onnx")).unwrap();
    let (output, classes) = numbered.classes.first().unwrap();
    assert_eq!(output, "output_probability");
    assert_eq!(classes.iter().map(|c| &**c).collect::<Vec<_>>(), ["0", "1", "2"]);
}

#[test]
fn what_cannot_be_served_is_refused_at_load_with_the_reason() {
    for (model, says) in [
        ("optional", "\"x\" is "),
        ("sequence_in", "\"x\" is "),
        ("sequence_out", "\"y\" is "),
        ("sequence_out", "only tensors can be served"),
        ("float8", "which cannot be served"),
        ("new_opset", "export it with a lower target_opset, or install a newer onnxruntime"),
        ("new_ir", "export it with a lower target_opset, or install a newer onnxruntime"),
        ("foreign_operator", "operators of other libraries cannot be served"),
    ] {
        let refused = load(model).unwrap_err();
        let text = refused.to_string();
        assert!(matches!(refused, EngineError::Load { .. }), "{model}: {text}");
        assert!(text.contains(says) && text.contains(&format!("{model}.onnx")), "{model}: {text}");
    }
}

/// A folder with the model whose weights lie beside it, the name of the weights put in place of its own.
fn external(folder: &Path, name: &str) -> Result<Tensor, EngineError> {
    let own = "weights.data";
    assert_eq!(own.len(), name.len(), "the name has its length in front");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data");
    let mut model = std::fs::read(data.join("external.onnx")).unwrap();
    let places: Vec<usize> = (0..model.len() - own.len()).filter(|i| model[*i..].starts_with(own.as_bytes())).collect();
    assert!(places.len() > 1);
    for at in places {
        model[at..at + own.len()].copy_from_slice(name.as_bytes());
    }
    std::fs::write(folder.join("model.onnx"), model).unwrap();
    let files = ModelFiles { root: folder.to_owned(), entry: "model.onnx".into(), flavor: "onnx".into() };
    let model = engine().load(&files, &LoadOptions { instances: 1, threads: 1, ..LoadOptions::default() })?;
    let outputs = model.run(&[named("x", floats(&[1, 4], &[1.0, 2.0, 3.0, 4.0]))], &RunCx::default())?;
    Ok(outputs[0].tensor.clone())
}

fn weights() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data/weights.data")
}

#[test]
fn weights_beside_the_model_are_found_and_counted() {
    assert_eq!(values("external", &[1, 4]).unwrap().to_vec::<f32>().unwrap(), [0.0, 6.0, 12.0, 18.0]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data/external.onnx");
    let both = path.metadata().unwrap().len() + weights().metadata().unwrap().len();
    assert_eq!(scan(&path).unwrap().bytes, both);
}

#[test]
fn weights_outside_of_the_models_folder_are_never_read() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(weights(), dir.path().join("ghts.data")).unwrap();
    std::fs::copy(weights(), folder.join("copied__.dat")).unwrap();
    assert!(external(&folder, "copied__.dat").is_ok());
    #[cfg(unix)]
    std::os::unix::fs::symlink(dir.path().join("ghts.data"), folder.join("linkedto.dat")).unwrap();
    for name in ["../ghts.data", "/eights.data", "linkedto.dat", "..\\ghts.data"] {
        let refused = external(&folder, name).unwrap_err().to_string();
        assert!(refused.contains("which is not inside the model's folder"), "{name}: {refused}");
    }
    let absent = external(&folder, "nobody__.dat").unwrap_err().to_string();
    assert!(absent.contains("\"nobody__.dat\"") && absent.contains("log the file beside the model"), "{absent}");
    // The mark of ONNX Runtime's own for weights at an address in memory.
    let marked = external(&folder, "*/_ORT_MEM__").unwrap_err().to_string();
    assert!(marked.contains("_ORT_MEM__"), "{marked}");
    std::fs::write(folder.join("tooshort.dat"), [0; 10]).unwrap();
    assert!(matches!(external(&folder, "tooshort.dat"), Err(EngineError::Load { .. })));
}

#[test]
fn every_model_here_is_walked_over_and_every_cut_is_noticed() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data");
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(weights(), dir.path().join("weights.data")).unwrap();
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "onnx") || path.ends_with("corrupt.onnx") {
            continue;
        }
        scan(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let cut = dir.path().join("cut.onnx");
        // The graph is one field: cut anywhere inside it, it ends behind the file.
        for length in [whole.len() / 4, whole.len() / 2, whole.len() - 20] {
            std::fs::write(&cut, &whole[..length]).unwrap();
            let refused = scan(&cut).unwrap_err();
            assert!(refused.contains("it is not an ONNX model, at byte"), "{}: {refused}", path.display());
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_walked_over_without_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.onnx");
        // As the graph of a model, so that something of it is looked into.
        let head = [0x3a, bytes.len().min(127) as u8];
        std::fs::write(&path, [&head[..], &bytes].concat()).unwrap();
        let _ = scan(&path);
    }
}

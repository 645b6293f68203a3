use super::*;

/// As `mlflow.onnx.log_model` of MLflow 3.17 writes it, environments left out.
const ONNX: &str = r#"
artifact_path: /tmp/artifacts
flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_version: 1.19.0
    providers:
    - CPUExecutionProvider
  python_function:
    data: model.onnx
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.onnx
    python_version: 3.11.2
is_signature_from_type_hint: false
mlflow_version: 3.17.2
model_id: m-2f1c
run_id: 5d3a
saved_input_example_info:
  artifact_path: input_example.json
  pandas_orient: split
  serving_input_path: serving_input_example.json
  type: dataframe
signature:
  inputs: '[{"type": "double", "name": "age", "required": true}, {"type": "long", "name": "visits", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: '[{"name": "top", "type": "long", "default": 3, "shape": null}]'
type_hint_from_example: false
"#;

#[test]
fn an_onnx_model_is_read() {
    let model = Mlmodel::parse(ONNX).unwrap();
    assert_eq!(model.flavors["onnx"].as_deref(), Some(Path::new("model.onnx")));
    assert_eq!((model.run_id.as_deref(), model.model_id.as_deref()), (Some("5d3a"), Some("m-2f1c")));
    assert_eq!(model.serving_input.as_deref(), Some(Path::new("serving_input_example.json")));
    let signature = model.signature.unwrap();
    let Some(MlflowInputs::Columns(columns)) = signature.inputs else { panic!("columns") };
    assert_eq!(
        (columns[0].name.as_deref(), &columns[0].kind, columns[0].required),
        (Some("age"), &ColumnType::Double, true)
    );
    assert!(!columns[1].required);
    let Some(MlflowInputs::Tensors(tensors)) = signature.outputs else { panic!("tensors") };
    assert_eq!((tensors[0].name.as_deref(), &*tensors[0].dtype, &*tensors[0].shape), (None, "int64", &[-1][..]));
    assert_eq!((&*signature.params[0].name, &signature.params[0].default), ("top", &serde_json::json!(3)));
}

#[test]
fn models_without_signature_or_with_nulls_are_read() {
    let bare = Mlmodel::parse("flavors: {sklearn: {pickled_model: model.pkl}}\nsignature: null\n").unwrap();
    assert!(bare.signature.is_none() && bare.flavors["sklearn"].is_none());
    let nulls =
        "flavors: {onnx: {data: m.onnx}}\nsignature: {inputs: null, outputs: '[{\"type\": \"long\"}]', params: null}";
    let nulls = Mlmodel::parse(nulls).unwrap().signature.unwrap();
    assert!(nulls.inputs.is_none() && nulls.outputs.is_some() && nulls.params.is_empty());
}

#[test]
fn what_is_wrong_is_named() {
    let error = |text: &str| Mlmodel::parse(text).unwrap_err().to_string();
    assert!(error("flavors: [").starts_with("MLmodel: "));
    assert!(error("flavors: {onnx: {data: ../../etc/passwd}}").contains("not inside the model's folder"));
    assert!(error("flavors: {onnx: {data: /etc/passwd}}").contains("not inside the model's folder"));
    assert!(error("signature: {inputs: '[{'}").contains("signature.inputs"));
    assert!(error("signature: {inputs: '[{\"type\": \"tensor\"}]'}").contains("tensor-spec"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,300}") {
        let _ = Mlmodel::parse(&text);
    }

    #[test]
    fn any_signature_text_is_read_or_refused(json in "[\\[\\]{}\",:a-z0-9 -]{0,120}") {
        let quoted = serde_json::to_string(&json).unwrap();
        let _ = Mlmodel::parse(&format!("signature: {{inputs: {quoted}}}"));
    }
}

#[test]
fn a_conversion_says_what_is_answered_with() {
    let read = |text: &str| Mlmodel::parse(text).unwrap().answer;
    assert_eq!(read("metadata: {mainspring: {answer: array}}"), Some(mainspring_engine::AnswerForm::Array));
    assert_eq!(read("metadata: {mainspring: {answer: other}}"), None);
    assert_eq!(read("metadata: {answer: array}"), None);
    assert_eq!(read("metadata: null"), None);
}

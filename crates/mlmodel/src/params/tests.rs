use super::GivenParams;
use crate::contract::Contract;
use crate::mlmodel::{MlflowSignature, Mlmodel, ParamSpec};
use mainspring_core::{DType, Target};
use mainspring_engine::{AnswerForm, Signature, TensorSpec};
use mainspring_wire::Node;
use std::sync::Arc;

fn contract(answer: AnswerForm) -> Contract {
    let param = |name: &str, kind: &str, shape| ParamSpec {
        name: name.into(),
        kind: kind.into(),
        default: serde_json::Value::Null,
        shape,
    };
    let params = vec![
        param("heat", "double", None),
        param("top", "integer", None),
        param("stop", "string", Some(vec![-1])),
        param("raw", "boolean", None),
        param("more", "object", None),
    ];
    let signature = Some(MlflowSignature { params, ..MlflowSignature::default() });
    Contract {
        target: Arc::new(Target {
            deployment: "m".into(),
            variant: "stable".into(),
            model: "m".into(),
            version: "1".into(),
            columns: Arc::default(),
        }),
        signature: Signature { inputs: vec![TensorSpec::new("x", DType::Fp32, &[-1])], outputs: Vec::new() },
        platform: "text",
        answer,
        max_batch_rows: 0,
        labels: Vec::new(),
        mlmodel: Some(Arc::new(Mlmodel { signature, ..Mlmodel::default() })),
        streams: false,
    }
}

fn given(text: &str, flat: bool) -> GivenParams {
    let Node::Map(values) = Node::parse(text.as_bytes()).unwrap() else { panic!("{text}") };
    GivenParams { values, flat }
}

/// What the model gets.
fn taken(text: &str) -> Result<Option<String>, String> {
    let params = contract(AnswerForm::Array).params(given(text, false));
    params.map(|p| p.map(|p| p.as_str().to_owned())).map_err(|e| e.to_string())
}

#[test]
fn declared_ones_are_handed_on_in_the_signatures_order_and_others_left_out() {
    let all = r#"{"raw":true,"stop":["a"],"mine":[{}],"top":3,"heat":NaN,"more":{"a":[1]}}"#;
    let handed = r#"{"heat":NaN,"top":3,"stop":["a"],"raw":true,"more":{"a":[1]}}"#;
    assert_eq!(taken(all).unwrap().unwrap(), handed);
    assert_eq!(taken(r#"{"top":null}"#).unwrap().unwrap(), r#"{"top":null}"#);
    assert_eq!(taken("{}"), Ok(None));
    assert_eq!(taken(r#"{"mine":1}"#), Ok(None));
    assert_eq!(contract(AnswerForm::Tensors).params(given(all, false)), Ok(None), "MLflow gives an ONNX model none");
}

#[test]
fn what_is_of_another_type_is_named() {
    for (wrong, says) in [
        (r#"{"heat":"hot"}"#, "params.heat must be double, it is \"hot\""),
        (r#"{"top":1.5}"#, "params.top must be integer, it is 1.5"),
        (r#"{"top":2147483648}"#, "params.top must be integer, it is 2147483648"),
        (r#"{"stop":"a"}"#, "params.stop must be a list of string, it is \"a\""),
        (r#"{"stop":["a",1]}"#, "params.stop[1] must be string, it is 1"),
        (r#"{"raw":1}"#, "params.raw must be boolean, it is 1"),
    ] {
        assert_eq!(taken(wrong).unwrap_err(), says);
        assert!(contract(AnswerForm::Tensors).params(given(wrong, false)).is_err());
    }
}

#[test]
fn a_protocol_without_lists_sends_them_as_text() {
    let sent = given(r#"{"stop":"[\"a\",\"b\"]","more":"{\"a\":1}","heat":1}"#, true);
    let got = contract(AnswerForm::Array).params(sent).unwrap().unwrap();
    assert_eq!(got.as_str(), r#"{"heat":1,"stop":["a","b"],"more":{"a":1}}"#);
    assert!(contract(AnswerForm::Array).params(given(r#"{"stop":"a"}"#, true)).is_err());
}

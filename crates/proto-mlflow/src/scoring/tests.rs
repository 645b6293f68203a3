mod forms;

use super::input::{is_v2, read, read_table};
use super::output::render;
use super::*;
use bytes::Bytes;
use mainspring_core::{DType, NamedTensor, Target, Tensor};
use mainspring_engine::{AnswerForm, Content, Signature, TensorSpec};
use mainspring_serving::{
    ColumnSpec, ColumnType, Contract, MlflowInputs, MlflowSignature, Mlmodel, ParamSpec, TensorColumn,
};
use mainspring_wire::Node;
use proptest::prelude::*;
use std::time::Duration;

fn spec(name: &str, dtype: DType, shape: &[i64]) -> TensorSpec {
    TensorSpec::new(name, dtype, shape)
}

fn contract(inputs: Vec<TensorSpec>, declared: impl Into<Option<MlflowInputs>>) -> Contract {
    let signature =
        declared.into().map(|inputs| MlflowSignature { inputs: Some(inputs), ..MlflowSignature::default() });
    Contract {
        target: Arc::new(Target {
            deployment: "d".into(),
            variant: "stable".into(),
            model: "m".into(),
            version: "1".into(),
            columns: Arc::default(),
        }),
        signature: Signature { inputs, outputs: Vec::new() },
        platform: "onnxruntime_onnx",
        answer: AnswerForm::Tensors,
        max_batch_rows: 64,
        streams: false,
        labels: Vec::new(),
        mlmodel: Some(Arc::new(Mlmodel { signature, ..Mlmodel::default() })),
    }
}

fn columns(names: &[&str]) -> MlflowInputs {
    let column = |n: &&str| ColumnSpec { name: Some((*n).into()), kind: ColumnType::Double, required: true };
    MlflowInputs::Columns(names.iter().map(column).collect())
}

fn tensors(name: &str, shape: &[i64]) -> MlflowInputs {
    let tensor =
        TensorColumn { name: Some(name.into()), dtype: "float32".into(), shape: shape.to_vec(), required: true };
    MlflowInputs::Tensors(vec![tensor])
}

/// One FP32 input of two columns.
fn wide(declared: impl Into<Option<MlflowInputs>>) -> Contract {
    contract(vec![spec("X", DType::Fp32, &[-1, 2])], declared)
}

fn take(text: &str, contract: &Contract) -> Result<Input, InputError> {
    read(Node::parse(text.as_bytes())?, contract)
}

fn values(text: &str, contract: &Contract) -> Vec<f32> {
    take(text, contract).unwrap().tensors[0].tensor.to_vec().unwrap()
}

fn message(text: &str, contract: &Contract) -> String {
    take(text, contract).unwrap_err().to_string()
}

#[test]
fn the_four_forms_are_the_same_rows() {
    let named = wide(columns(&["a", "b"]));
    for text in [
        r#"{"dataframe_split":{"index":[0,1],"columns":["b","a"],"data":[[2,1],[4,3.0]]}}"#,
        r#"{"dataframe_records":[{"a":1,"b":2},{"b":4,"a":3}]}"#,
        r#"{"instances":[{"a":1,"b":2},{"a":3,"b":4}]}"#,
        r#"{"inputs":{"b":[2,4],"a":[1,3]},"params":{"x":1},"other":"ignored"}"#,
        r#"{"inputs":[[1,2],[3,4]]}"#,
        r#"{"instances":[[1,2],[3,4]]}"#,
        r#"{"inputs":{"a":[[1],[3]],"b":[[2],[4]]}}"#,
        r#"{"inputs":[{"a":1,"b":2},{"a":3,"b":4}]}"#,
    ] {
        assert_eq!(values(text, &named), [1.0, 2.0, 3.0, 4.0], "{text}");
        assert!(take(text, &named).unwrap().frame, "{text}");
    }
}

#[test]
fn without_a_signature_only_data_frames_answer_with_records() {
    let bare = wide(None);
    let frame = take(r#"{"dataframe_split":{"columns":["a","b"],"data":[[1,2]]}}"#, &bare).unwrap();
    assert!(frame.frame);
    let array = take(r#"{"inputs":[[1,2]]}"#, &bare).unwrap();
    assert!(!array.frame);
    assert_eq!(frame.tensors, array.tensors);
    let feed = take(r#"{"inputs":{"X":[[1,2]]}}"#, &bare).unwrap();
    assert_eq!(feed, array);
}

#[test]
fn a_tensor_signature_takes_arrays() {
    let image = contract(vec![spec("img", DType::Fp32, &[-1, 2, 2])], tensors("img", &[-1, 2, 2]));
    let nested = "[[[1,2],[3,4]],[[5,6],[7,8]]]";
    for text in [
        format!(r#"{{"inputs":{nested}}}"#),
        format!(r#"{{"inputs":{{"img":{nested}}}}}"#),
        format!(r#"{{"instances":{nested}}}"#),
        r#"{"instances":[{"img":[[1,2],[3,4]]},{"img":[[5,6],[7,8]]}]}"#.to_owned(),
        r#"{"dataframe_split":{"columns":["img"],"data":[[[1,2,3,4]],[[5,6,7,8]]]}}"#.to_owned(),
    ] {
        let input = take(&text, &image).unwrap();
        assert_eq!(input.tensors[0].tensor.shape(), [2, 2, 2], "{text}");
        assert_eq!(input.tensors[0].tensor.to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert!(!input.frame);
    }
}

#[test]
fn several_inputs_are_taken_by_name() {
    let two = contract(vec![spec("age", DType::Int64, &[-1, 1]), spec("city", DType::Bytes, &[-1, 1])], None);
    let input = take(r#"{"dataframe_records":[{"city":"Rome","age":3},{"age":4,"city":"Oslo"}]}"#, &two).unwrap();
    assert_eq!(input.tensors[0].tensor.to_vec::<i64>().unwrap(), [3, 4]);
    assert_eq!(input.tensors[1].tensor.strings().unwrap(), [Bytes::from("Rome"), Bytes::from("Oslo")]);
    let named = take(r#"{"inputs":{"age":[[3],[4]],"city":[["Rome"],["Oslo"]]}}"#, &two).unwrap();
    assert_eq!(named.tensors, input.tensors);
    assert_eq!(
        message(r#"{"inputs":[[1,2]]}"#, &two),
        "inputs must be an object with an array for each input: \"age\", \"city\""
    );
    assert_eq!(
        message(r#"{"inputs":{"age":[[3]],"cty":[["Rome"]]}}"#, &two),
        "input \"city\": is missing (the request has \"cty\"); the model takes \"age\", \"city\""
    );
}

#[test]
fn a_column_of_bytes_is_base64_text() {
    let declared =
        MlflowInputs::Columns(vec![ColumnSpec { name: Some("raw".into()), kind: ColumnType::Binary, required: true }]);
    let model = contract(vec![spec("raw", DType::Bytes, &[-1])], declared);
    for text in [
        r#"{"dataframe_split":{"columns":["other","raw"],"data":[[1,"aGk="],[2,"eW\nVz"]]}}"#,
        r#"{"dataframe_records":[{"raw":"aGk="},{"raw":"eWVz"}]}"#,
        r#"{"inputs":{"raw":["aGk=","eWVz"]}}"#,
        r#"{"inputs":["aGk=","eWVz"]}"#,
    ] {
        let input = take(text, &model).unwrap();
        assert_eq!(input.tensors[0].tensor.strings().unwrap(), [Bytes::from("hi"), Bytes::from("yes")], "{text}");
    }
    let error = message(r#"{"dataframe_records":[{"raw":"aGk="},{"raw":"a"}]}"#, &model);
    let start = "column \"raw\" is binary, which is base64 text in JSON, but row 1 has ";
    assert!(error.starts_with(start), "{error}");
    // CSV has no such rule.
    let csv = Body::read(Media::Csv, None, &Bytes::from("raw\naGk=\n"), &model).unwrap();
    let Body::Scoring(csv) = csv else { panic!("{csv:?}") };
    assert_eq!(csv.tensors[0].tensor.strings().unwrap(), [Bytes::from("aGk=")]);
}

#[test]
fn a_list_is_no_value_of_a_declared_column_and_nothing_in_any_other() {
    let model = wide(columns(&["a", "b"]));
    assert_eq!(
        message(r#"{"dataframe_records":[{"a":1,"b":2},{"a":1,"b":[2]}]}"#, &model),
        "column \"b\" is double, but row 1 has a list"
    );
    assert_eq!(
        message(r#"{"dataframe_split":{"columns":["b","a"],"data":[[{"x":1},2]]}}"#, &model),
        "column \"b\" is double, but row 0 has an object"
    );
    assert_eq!(values(r#"{"dataframe_records":[{"a":1,"b":2,"more":[1,{}]}]}"#, &model), [1.0, 2.0]);
}

/// A model of one list column and one of numbers.
fn nested() -> Contract {
    let mut contract = contract(vec![spec("tags", DType::Bytes, &[-1]), spec("n", DType::Fp64, &[-1])], {
        let column = |name: &str, kind| ColumnSpec { name: Some(name.into()), kind, required: true };
        MlflowInputs::Columns(vec![column("tags", ColumnType::Other("array".into())), column("n", ColumnType::Double)])
    });
    contract.signature.inputs[0].content = Content::Json;
    contract
}

fn texts(tensor: &Tensor) -> Vec<String> {
    tensor.strings().unwrap().iter().map(|t| String::from_utf8(t.to_vec()).unwrap()).collect()
}

#[test]
fn nested_columns_come_in_every_form() {
    for body in [
        r#"{"dataframe_records":[{"tags":["a"],"n":1},{"n":2,"tags":[[],{"b":null}]}]}"#,
        r#"{"dataframe_split":{"columns":["n","tags"],"data":[[1,["a"]],[2,[[],{"b":null}]]]}}"#,
        r#"{"inputs":[{"tags":["a"],"n":1},{"n":2,"tags":[[],{"b":null}]}]}"#,
    ] {
        let input = take(body, &nested()).unwrap();
        assert_eq!(texts(&input.tensors[0].tensor), [r#"["a"]"#, r#"[[],{"b":null}]"#], "{body}");
        assert_eq!(input.tensors[1].tensor.to_vec::<f64>().unwrap(), [1.0, 2.0]);
    }
    // An object of columns is one row, as in MLflow.
    let one = take(r#"{"inputs":{"tags":["a","b"],"n":1}}"#, &nested()).unwrap();
    assert_eq!(texts(&one.tensors[0].tensor), [r#"["a","b"]"#]);
    let wrong = message(r#"{"dataframe_records":[{"tags":[],"n":[1]}]}"#, &nested());
    assert_eq!(wrong, "column \"n\" is double, but row 0 has a list");
}

#[test]
fn a_list_holds_the_values_of_the_only_column_without_a_name() {
    let column = ColumnSpec { name: None, kind: ColumnType::Other("object".into()), required: true };
    let mut contract = contract(vec![spec("0", DType::Bytes, &[-1])], MlflowInputs::Columns(vec![column]));
    contract.signature.inputs[0].content = Content::Json;
    for form in ["inputs", "instances"] {
        let input = take(&format!(r#"{{"{form}":[{{"role":"user"}},[1],2]}}"#), &contract).unwrap();
        assert_eq!(texts(&input.tensors[0].tensor), [r#"{"role":"user"}"#, "[1]", "2"]);
    }
}

#[test]
fn a_request_for_a_language_model_is_one_row_beside_its_parameters() {
    let heat: ParamSpec = serde_json::from_str(r#"{"name":"heat","type":"double"}"#).unwrap();
    let prompt = ColumnSpec { name: Some("prompt".into()), kind: ColumnType::String, required: true };
    let signature = MlflowSignature {
        inputs: Some(MlflowInputs::Columns(vec![prompt])),
        params: vec![heat],
        ..MlflowSignature::default()
    };
    let mlmodel = Some(Arc::new(Mlmodel { signature: Some(signature), ..Mlmodel::default() }));
    let bare = contract(vec![spec("prompt", DType::Bytes, &[-1])], None);
    let model = Contract { answer: AnswerForm::Map, mlmodel, ..bare };
    let input = take(r#"{"prompt":"hi","heat":0.5,"other":[1]}"#, &model).unwrap();
    assert!(input.bare && input.tensors.len() == 1);
    assert_eq!(texts(&input.tensors[0].tensor), ["hi"]);
    assert_eq!(input.params, [("heat".into(), Node::Float(0.5))]);
    // An ONNX model is none.
    assert!(take(r#"{"prompt":"hi"}"#, &Contract { answer: AnswerForm::Tensors, ..model }).is_err());
}

#[test]
fn nested_values_and_bytes_are_written_as_mlflow_writes_them() {
    let output = |name: &str, values: &[&'static [u8]]| {
        let values: Vec<Bytes> = values.iter().map(|v| Bytes::from_static(v)).collect();
        NamedTensor { name: name.into(), tensor: Tensor::from_strings(vec![values.len()], values).unwrap() }
    };
    let outputs = [output("any", &[b"{\"a\":NaN}", b"[1]"]), output("raw", &[&[255; 60], b""])];
    let mut contract = Contract { answer: AnswerForm::Frame, ..nested() };
    for (name, content) in [("any", Content::Json), ("raw", Content::Binary)] {
        contract.signature.outputs.push(TensorSpec { content, ..spec(name, DType::Bytes, &[-1]) });
    }
    let line = "/".repeat(76);
    let expected =
        format!(r#"{{"predictions": [{{"any": {{"a":NaN}}, "raw": "{line}\n////\n"}}, {{"any": [1], "raw": ""}}]}}"#);
    assert_eq!(String::from_utf8(render(&outputs, &contract, true)).unwrap(), expected);
    // A cell of a data frame may be a list.
    let pair = Tensor::from_vec(DType::Int64, vec![2, 2], vec![1_i64, 2, 3, 4]).unwrap();
    let pair = [NamedTensor { name: "v".into(), tensor: pair }];
    contract.signature.outputs = vec![spec("v", DType::Int64, &[-1, -1])];
    let written = String::from_utf8(render(&pair, &contract, true)).unwrap();
    assert_eq!(written, r#"{"predictions": [{"v": [1, 2]}, {"v": [3, 4]}]}"#);
}

#[test]
fn params_are_an_object_for_a_model_that_takes_some() {
    let spec: ParamSpec = serde_json::from_str(r#"{"name":"top","type":"long"}"#).unwrap();
    let signature = MlflowSignature { params: vec![spec], ..MlflowSignature::default() };
    let model = Contract {
        mlmodel: Some(Arc::new(Mlmodel { signature: Some(signature), ..Mlmodel::default() })),
        ..wide(None)
    };
    let with = |params: &str| format!(r#"{{"inputs":[[1,2]],"params":{params}}}"#);
    assert_eq!(message(&with("3"), &model), "params must be an object, it is a number");
    assert!(take(&with("3"), &wide(None)).unwrap().params.is_empty());
    assert!(take(&with("null"), &model).unwrap().params.is_empty());
    let params = take(&with(r#"{"top":3,"other":[]}"#), &model).unwrap().params;
    assert_eq!(params, [("top".into(), Node::Int(3)), ("other".into(), Node::List(Vec::new()))]);
}

#[test]
fn lists_that_promise_more_elements_than_fit_in_memory_are_ragged() {
    // 64 levels of two, of which only the first is deeper.
    let text = format!(r#"{{"inputs":{}1{}}}"#, "[".repeat(62), ",0]".repeat(62));
    assert!(message(&text, &wide(None)).contains("ragged"), "{}", message(&text, &wide(None)));
    let text = format!(r#"{{"inputs":{}1{}}}"#, "[".repeat(62), ",0,0,0]".repeat(62));
    assert!(message(&text, &wide(None)).contains("ragged"));
}

#[test]
fn missing_values_are_nan_as_python_writes_them() {
    let named = wide(columns(&["a", "b"]));
    let got = values(r#"{"dataframe_split":{"columns":["a","b"],"data":[[NaN,null]]}}"#, &named);
    assert!(got[0].is_nan() && got[1].is_nan());
    let got = values(r#"{"inputs":[[-Infinity,1e400]]}"#, &wide(None));
    assert_eq!(got, [f32::NEG_INFINITY, f32::INFINITY]);
}

#[test]
fn wrong_requests_are_refused_by_name() {
    let named = wide(columns(&["age", "income"]));
    let start = "the input must be a JSON object with exactly one of dataframe_split, dataframe_records, instances and inputs; it ";
    assert_eq!(message("{}", &named), format!("{start}is empty"));
    assert_eq!(message("[]", &named), format!("{start}is a list"));
    assert_eq!(message(r#"{"inputs":[],"instances":[]}"#, &named), format!("{start}has inputs, instances"));
    assert_eq!(message(r#"{"data":1}"#, &named), format!("{start}has data"));
    let said = Classic::read(br#"{"data":1}"#, &named).unwrap_err().to_string();
    assert_eq!(said, "the input must be a JSON object with exactly one of instances and inputs; it has data");
    assert_eq!(message("{", &named), "the body is not JSON: expected a member name in quotes, at byte 1");
    assert_eq!(
        message(r#"{"dataframe_split":{"columns":["age"],"data":[[1]]}}"#, &named),
        "column \"income\" is missing; the model takes \"age\", \"income\""
    );
    assert!(message(r#"{"dataframe_records":[{"age":1,"incme":2}]}"#, &named).contains("the request has \"incme\""));
    assert_eq!(
        message(r#"{"dataframe_records":[{"age":1,"income":"high"}]}"#, &named),
        "column \"income\" is double, but row 0 has \"high\""
    );
    assert_eq!(
        message(r#"{"dataframe_split":{"columns":["age","income"],"data":[[1,2],[3]]}}"#, &named),
        "dataframe_split.data[1] has 1 values, there are 2 columns"
    );
    assert_eq!(message(r#"{"dataframe_split":{"columns":["a"]}}"#, &named), "dataframe_split has no data");
    assert_eq!(
        message(r#"{"dataframe_split":{"columns":["a"],"data":[],"rows":1}}"#, &named),
        "dataframe_split has \"rows\"; it takes columns, data and index"
    );
    assert_eq!(
        message(r#"{"dataframe_records":{"a":1}}"#, &named),
        "dataframe_records must be a list of objects, it is an object"
    );
    let bare = wide(None);
    assert_eq!(
        message(r#"{"inputs":[[1,2],[3]]}"#, &bare),
        "input \"X\": the lists are ragged: they differ in length or depth"
    );
    assert_eq!(message(r#"{"inputs":[["x",2]]}"#, &bare), "input \"X\": element 0 is \"x\", the input takes FP32");
}

#[test]
fn csv_is_read_as_pandas_reads_it() {
    let named = wide(columns(&["a", "b"]));
    let table = csv::table(b"\xef\xbb\xbf,b,a\n0,2,1\n1,,True\n", None).unwrap();
    assert_eq!(table.columns.iter().map(|c| &**c).collect::<Vec<_>>(), ["Unnamed: 0", "b", "a"]);
    let table = csv::table(b",b,a\n0,2,1\n1,,3e2\n", None).unwrap();
    let got: Vec<f32> = read_table(&table, &named).unwrap().tensors[0].tensor.to_vec().unwrap();
    assert_eq!(got[..3], [1.0, 2.0, 300.0]);
    assert!(got[3].is_nan());
    let text = Some(MlflowInputs::Columns(vec![ColumnSpec {
        name: Some("zip".into()),
        kind: ColumnType::String,
        required: true,
    }]));
    let table = csv::table(b"zip\n00123\n", text.as_ref()).unwrap();
    assert_eq!(table.cells, [mainspring_serving::Cell::Text(Bytes::from("00123"))]);
    assert!(csv::table(b"a,b\n1\n", None).unwrap_err().to_string().starts_with("the body is not CSV"));
    assert!(csv::table(b"", None).is_err());
    assert!(csv::table(b"a\n\xff\n", None).unwrap_err().to_string().contains("not UTF-8"));
}

#[test]
fn a_v2_body_is_recognised() {
    let v2 = Node::parse(br#"{"inputs":[{"name":"X","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"#).unwrap();
    assert!(is_v2(&v2));
    assert!(!is_v2(&Node::parse(br#"{"inputs":[{"name":"x"}]}"#).unwrap()));
}

#[test]
fn content_types_follow_mlflows_rules() {
    let of = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(text).unwrap());
        media(&headers)
    };
    assert_eq!(of("application/json").unwrap(), Media::JsonRows);
    assert_eq!(of("Application/JSON; charset=UTF-8").unwrap(), Media::JsonRows);
    assert_eq!(of("text/csv;charset=utf-8").unwrap(), Media::CsvEither);
    assert_eq!(of("text/csv; header=present").unwrap(), Media::Csv);
    assert_eq!(of("Text/CSV; charset=utf-8; Header=\"absent\"").unwrap(), Media::CsvPlain);
    assert!(of("text/csv; header=maybe").unwrap_err().message.contains("present or absent"));
    assert!(of("application/json; header=absent").unwrap_err().message.contains("\"header\""));
    assert!(of("text/csv; charset=latin-1").unwrap_err().message.contains("only UTF-8"));
    assert!(of("application/json; format=pandas").unwrap_err().message.contains("\"format\""));
    assert!(of("application/x-www-form-urlencoded").unwrap_err().message.contains("application/x-npy are understood"));
    assert!(media(&HeaderMap::new()).is_err());
}

fn output(name: &str, tensor: Tensor) -> NamedTensor {
    NamedTensor { name: name.into(), tensor }
}

fn text(outputs: &[NamedTensor], contract: &Contract, frame: bool) -> String {
    String::from_utf8(render(outputs, contract, frame)).unwrap()
}

#[test]
fn answers_have_mlflows_shapes() {
    let plain = wide(None);
    let y = output("y", Tensor::from_vec(DType::Fp32, vec![2, 2], vec![0.1_f32, 1.0, f32::NAN, -2.0]).unwrap());
    assert_eq!(
        text(std::slice::from_ref(&y), &plain, false),
        r#"{"predictions": {"y": [[0.10000000149011612, 1.0], [NaN, -2.0]]}}"#
    );
    // MLflow flattens an output into rows, whatever its shape.
    assert_eq!(
        text(std::slice::from_ref(&y), &plain, true),
        r#"{"predictions": [{"y": 0.10000000149011612}, {"y": 1.0}, {"y": NaN}, {"y": -2.0}]}"#
    );
    let label = output("label", Tensor::from_vec(DType::Int64, vec![2], vec![7_i64, -1]).unwrap());
    assert_eq!(
        text(&[label.clone(), y.clone()], &plain, true),
        concat!(
            r#"{"predictions": [{"label": 7, "y": [0.10000000149011612, 1.0]}, "#,
            r#"{"label": -1, "y": [NaN, -2.0]}]}"#
        )
    );
    let name = output("name", Tensor::from_strings(vec![2], vec![Bytes::from("a\""), Bytes::from("é")]).unwrap());
    assert_eq!(
        text(&[label.clone(), name], &plain, true),
        r#"{"predictions": [{"label": 7, "name": "a\""}, {"label": -1, "name": "é"}]}"#
    );
    // Class probabilities of a ZipMap are objects by class.
    let mut labelled = wide(None);
    labelled.labels = vec![None, Some(vec![Arc::from("no"), Arc::from("yes")].into())];
    assert_eq!(
        text(&[label.clone(), y.clone()], &labelled, true),
        concat!(
            r#"{"predictions": [{"label": 7, "y": {"no": 0.10000000149011612, "yes": 1.0}}, "#,
            r#"{"label": -1, "y": {"no": NaN, "yes": -2.0}}]}"#
        )
    );
    assert_eq!(
        text(&[label, y], &labelled, false),
        concat!(
            r#"{"predictions": {"label": [7, -1], "#,
            r#""y": [{"no": 0.10000000149011612, "yes": 1.0}, {"no": NaN, "yes": -2.0}]}}"#
        )
    );
}

#[test]
fn answers_have_the_form_in_which_the_models_library_gives_them() {
    let y = output("y", Tensor::from_vec(DType::Fp64, vec![2], vec![0.5, 1.0]).unwrap());
    let form = |answer| {
        let contract = Contract { answer, ..wide(columns(&["a", "b"])) };
        text(std::slice::from_ref(&y), &contract, true)
    };
    assert_eq!(form(AnswerForm::Array), r#"{"predictions": [0.5, 1.0]}"#);
    assert_eq!(form(AnswerForm::Frame), r#"{"predictions": [{"y": 0.5}, {"y": 1.0}]}"#);
    assert_eq!(form(AnswerForm::Map), r#"{"predictions": {"y": [0.5, 1.0]}}"#);
    let matrix = output("y", Tensor::from_vec(DType::Int64, vec![1, 2], vec![1_i64, 2]).unwrap());
    let contract = Contract { answer: AnswerForm::Array, ..wide(None) };
    assert_eq!(text(&[matrix], &contract, false), r#"{"predictions": [[1, 2]]}"#);
}

#[tokio::test]
async fn errors_have_mlflows_shape() {
    let response = render_error(ErrorKind::InvalidInput, "a \"b\"", Some("do c"));
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    assert_eq!(body, r#"{"error_code": "BAD_REQUEST", "message": "a \"b\"; do c"}"#);
    let late = render_error(ErrorKind::DeadlineExceeded, "late", None);
    assert_eq!(late.status(), StatusCode::GATEWAY_TIMEOUT);
    let nobody = render_error(ErrorKind::Unauthenticated, "who?", None);
    assert_eq!((nobody.status(), nobody.headers().contains_key("www-authenticate")), (StatusCode::UNAUTHORIZED, true));
    // Rounded up: whoever comes back early is refused again.
    let busy = mainspring_http::ApiError {
        retry_after: Some(Duration::from_millis(1500)),
        ..mainspring_http::ApiError::new(ErrorKind::Overloaded, "busy")
    };
    assert_eq!(busy.rendered(render_error).headers()["retry-after"], "2");
}

proptest! {
    #[test]
    fn arbitrary_bodies_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let body = Bytes::from(bytes);
        for contract in [wide(None), wide(columns(&["a", "b"])), wide(tensors("X", &[-1, 2]))] {
            for media in [Media::Json, Media::JsonRows, Media::Csv, Media::CsvRows, Media::JsonLines, Media::Npy] {
                let _ = Body::read(media, None, &body, &contract);
            }
            for media in [Media::CsvEither, Media::CsvPlain] {
                let _ = Body::read(media, None, &body, &contract);
            }
            let _ = Body::read(Media::Json, Some(3), &body, &contract);
            let _ = Classic::read(&body, &contract);
        }
    }

    #[test]
    fn mutated_requests_never_panic(at in 0_usize..200, byte in any::<u8>(), form in 0_usize..4) {
        let text = [
            r#"{"dataframe_split":{"columns":["a","b"],"data":[[1,2.5],[NaN,null]]},"params":{}}"#,
            r#"{"dataframe_records":[{"a":1,"b":true},{"b":"x","a":[1,2]}]}"#,
            r#"{"instances":[{"a":[1,2],"b":[[3]]},{"a":[1,2],"b":[[3]]}]}"#,
            r#"{"inputs":[{"name":"X","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"#,
        ][form];
        let mut bytes = text.as_bytes().to_vec();
        let len = bytes.len();
        bytes[at % len] = byte;
        for contract in [wide(None), wide(columns(&["a", "b"])), wide(tensors("X", &[-1, 2]))] {
            let _ = Body::read(Media::Json, None, &Bytes::from(bytes.clone()), &contract);
        }
    }
}

use super::response::numbers;
use super::*;
use bytes::Bytes;
use mainspring_core::{DType, NamedTensor, Tensor};

mod classes;
mod properties;

fn parse(text: &str) -> Result<InferBody, BodyError> {
    let body = Bytes::copy_from_slice(text.as_bytes());
    InferBody::parse(&body, body.len())
}

fn message(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn one(dtype: &str, shape: &str, data: &str) -> Result<Tensor, BodyError> {
    let text = format!(r#"{{"inputs":[{{"name":"x","shape":{shape},"datatype":"{dtype}","data":{data}}}]}}"#);
    parse(&text).map(|b| b.inputs[0].tensor.clone())
}

fn one_message(dtype: &str, shape: &str, data: &str) -> String {
    one(dtype, shape, data).unwrap_err().to_string()
}

#[test]
fn flat_and_nested_data_are_the_same_tensor() {
    let flat = one("FP32", "[2,3]", "[1,2.5,-3e2,4,5,6]").unwrap();
    let nested = one("FP32", "[2,3]", "[[1,2.5,-3e2],[4,5,6]]").unwrap();
    assert_eq!(flat, nested);
    assert_eq!(flat.to_vec::<f32>().unwrap(), [1.0, 2.5, -300.0, 4.0, 5.0, 6.0]);
    assert_eq!(flat.shape(), [2, 3]);
}

#[test]
fn one_element_is_read_as_any_other_is() {
    for shape in ["[1]", "[1,1]", "[]"] {
        for data in ["[2.5]", " [ 2.5 ] ", "[\n2.5]"] {
            assert_eq!(one("FP32", shape, data).unwrap().to_vec::<f32>().unwrap(), [2.5], "{shape} {data}");
        }
    }
    assert_eq!(one("FP32", "[1,1]", "[[2.5]]").unwrap().to_vec::<f32>().unwrap(), [2.5]);
    // What is wrong is said as for two elements of the shape [2].
    for (data, two) in [("[]", "[1]"), ("[1,2]", "[1,2,3]"), ("[1", "[1,1"), ("[1}", "[1,1}"), ("[[1],[2]]", "[[1,1]]")]
    {
        let (one, two) = (one("INT32", "[1]", data).unwrap_err(), one("INT32", "[2]", two).unwrap_err());
        assert_eq!(std::mem::discriminant(&one), std::mem::discriminant(&two), "{data}: {one}; {two}");
    }
    assert!(one_message("UINT8", "[1]", "[256]").contains("inputs[0].data[0]"));
    assert!(one_message("INT32", "[1]", r#"["1"]"#).contains("inputs[0].data[0]"));
    assert!(one_message("INT32", "[1]", "[1 2]").contains("expected ',' or ']'"));
}

#[test]
fn members_come_in_any_order() {
    let body = parse(
        r#"{"outputs":[{"parameters":{"binary_data":true},"name":"y"}],
            "inputs":[{"data":[[1,2]],"extra":{"deep":[1,{"a":null}]},"datatype":"INT64","name":"x","shape":[1,2]}],
            "parameters":{"timeout":1500,"mine":{"any":"thing"}},"id":"é\u00e9\n"}"#,
    )
    .unwrap();
    assert_eq!(body.id.as_deref(), Some("éé\n"));
    assert_eq!(body.timeout_us, Some(1500));
    assert_eq!(body.inputs[0].tensor.to_vec::<i64>().unwrap(), [1, 2]);
    assert_eq!(body.outputs.unwrap(), [Wanted { name: "y".into(), binary: Some(true), classes: 0 }]);
}

#[test]
fn digits_in_any_number_are_the_number() {
    let digits = "9081726354102938475601";
    for length in 1..=digits.len() {
        let whole = &digits[..length];
        let read = one("UINT64", "[1]", &format!("[{whole}]")).ok().map(|t| t.to_vec::<u64>().unwrap()[0]);
        assert_eq!(read, whole.parse().ok(), "{whole}");
        for text in [format!("0.{whole}"), format!("{whole}.5"), format!("-{whole}e-3"), format!("0.000{whole}")] {
            let read = one("FP64", "[1]", &format!("[{text}]")).unwrap().to_vec::<f64>().unwrap()[0];
            assert_eq!(read.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
        for wrong in [format!("1{whole}:"), format!("1{whole}/"), format!("1{whole}\u{660}")] {
            assert!(one("FP64", "[1]", &format!("[{wrong}]")).is_err(), "{wrong}");
        }
    }
}

/// However the text of an input before it was: one that is written alike is read by its form, with the same result.
#[test]
fn an_input_is_what_it_says_whatever_stood_before() {
    let texts = [
        r#"{"name": "a", "shape": [1, 1], "datatype": "FP32", "data": [1.5]}"#,
        r#"{"name": "b", "shape": [1, 1], "datatype": "FP32", "data": [[-2]]}"#,
        r#"{"name": "\u0063", "shape": [1, 1], "datatype": "FP32", "data": [3]}"#,
        r#"{"name": "d", "shape": [1, 1], "datatype": "FP64", "data": [4]}"#,
        r#"{"name": "e", "shape": [2, 1], "datatype": "FP64", "data": [5, 6], "extra": "data"}"#,
        r#"{"name": "f", "shape": [2, 1], "datatype": "FP64", "data": [7, 8], "extra": "data"}"#,
        r#"{"data": [9], "name": "g", "shape": [1], "datatype": "INT64"}"#,
        r#"{"shape":[1],"datatype":"BYTES","data":["x\"y"],"name":"h"}"#,
        r#"{"name":"","shape":[1],"datatype":"BYTES","data":["z"]}"#,
        r#"{"name":"Grüße, und ein langer Name","shape":[1],"datatype":"BYTES","data":["ü"]}"#,
    ];
    let alone = |text: &str| parse(&format!(r#"{{"inputs":[{text}]}}"#)).unwrap().inputs.remove(0);
    for first in texts {
        for second in texts {
            let both = parse(&format!("{{\"inputs\":[{first},\n {second} , {first}]}}")).unwrap().inputs;
            assert_eq!(both, [alone(first), alone(second), alone(first)], "{first} {second}");
        }
    }
    // What is wrong is said of the input that it is wrong in.
    let wrong = |second: &str| message(&format!(r#"{{"inputs":[{},{second}]}}"#, texts[0]));
    let said = wrong(r#"{"name": "b", "shape": [1, 1], "datatype": "FP32", "data": ["x"]}"#);
    assert!(said.contains("inputs[1].data[0]"), "{said}");
    let said = wrong(r#"{"name": "b", "shape": [1, 1], "datatype": "FP32", "data": [1.5, 2]}"#);
    assert!(said.contains("inputs[1]"), "{said}");
    let said = wrong(r#"{"name": "b", "shape": [1, 1], "datatype": "FP32", "data": [1.5], "name": "b"}"#);
    assert!(said.contains("inputs[1].name"), "{said}");
    assert!(parse(&format!(r#"{{"inputs":[{}"#, texts[0])).is_err());
}

#[test]
fn optional_members_may_be_null_or_empty() {
    let body = parse(r#"{"id":null,"parameters":null,"outputs":[],"inputs":[]}"#).unwrap();
    assert_eq!(body, InferBody::default());
}

#[test]
fn every_type_reads_what_it_holds() {
    assert_eq!(one("BOOL", "[4]", "[true,false,1,0]").unwrap().to_vec::<u8>().unwrap(), [1, 0, 1, 0]);
    assert_eq!(one("UINT8", "[2]", "[0,255]").unwrap().to_vec::<u8>().unwrap(), [0, 255]);
    assert_eq!(one("INT8", "[2]", "[-128,127]").unwrap().to_vec::<i8>().unwrap(), [-128, 127]);
    assert_eq!(one("UINT16", "[1]", "[65535]").unwrap().to_vec::<u16>().unwrap(), [65535]);
    assert_eq!(one("INT16", "[1]", "[-32768]").unwrap().to_vec::<i16>().unwrap(), [-32768]);
    assert_eq!(one("UINT32", "[1]", "[4294967295]").unwrap().to_vec::<u32>().unwrap(), [u32::MAX]);
    assert_eq!(one("INT32", "[1]", "[-2147483648]").unwrap().to_vec::<i32>().unwrap(), [i32::MIN]);
    let big = "[9223372036854775807,9007199254740993]";
    assert_eq!(one("INT64", "[2]", big).unwrap().to_vec::<i64>().unwrap(), [i64::MAX, 9_007_199_254_740_993]);
    assert_eq!(one("UINT64", "[1]", "[18446744073709551615]").unwrap().to_vec::<u64>().unwrap(), [u64::MAX]);
    assert_eq!(one("FP64", "[1]", "[0.1]").unwrap().to_vec::<f64>().unwrap(), [0.1]);
    let special = one("FP32", "[3]", "[NaN,Infinity,-Infinity]").unwrap().to_vec::<f32>().unwrap();
    assert!(special[0].is_nan() && special[1] == f32::INFINITY && special[2] == f32::NEG_INFINITY);
    let text = one("BYTES", "[1,3]", r#"[["plain","\u00e4\"\\","" ]]"#).unwrap();
    assert_eq!(text.strings().unwrap(), [Bytes::from("plain"), Bytes::from("ä\"\\"), Bytes::new()]);
    assert_eq!(one("FP32", "[]", "7").unwrap().to_vec::<f32>().unwrap(), [7.0]);
    assert_eq!(one("FP32", "[0,3]", "[]").unwrap().len(), 0);
    assert_eq!(one("FP32", "[2,0]", "[[],[]]").unwrap().len(), 0);
}

#[test]
fn plain_strings_share_the_body() {
    let text = r#"{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["shared"]}]}"#;
    let body = Bytes::from_static(text.as_bytes());
    let parsed = InferBody::parse(&body, body.len()).unwrap();
    let value = &parsed.inputs[0].tensor.strings().unwrap()[0];
    assert!(body.as_ptr_range().contains(&value.as_ptr()));
}

#[test]
fn wrong_data_is_refused_by_name() {
    assert_eq!(one_message("FP32", "[1,3]", "[1,2]"), "inputs[0].data: shape [1, 3] needs 3 elements, got 2");
    assert_eq!(
        one_message("FP32", "[2,2]", "[[1,2],[3]]"),
        "inputs[0].data is ragged: a list of 2 and a list of 1 stand side by side"
    );
    assert_eq!(
        one_message("FP32", "[2,2]", "[[1,2],3]"),
        "inputs[0].data is ragged: a list has both elements and lists in it"
    );
    assert_eq!(
        one_message("FP32", "[2,2]", "[1,[2,3]]"),
        "inputs[0].data is ragged: a list has both elements and lists in it"
    );
    assert_eq!(
        one_message("FP32", "[2,2]", "[[[1],[2]],[3,4]]"),
        "inputs[0].data is ragged: some elements are nested deeper than others"
    );
    assert_eq!(
        one_message("FP32", "[3,2]", "[[1,2,3],[4,5,6]]"),
        "inputs[0].data is nested as [2, 3], but the shape is [3, 2]"
    );
    assert_eq!(one_message("INT8", "[2]", "[1,128]"), "inputs[0].data[1]: 128 does not fit INT8");
    assert_eq!(one_message("UINT8", "[1]", "[-1]"), "inputs[0].data[0]: -1 does not fit UINT8");
    assert_eq!(one_message("INT64", "[1]", "[1.5]"), "inputs[0].data[0]: 1.5 does not fit INT64");
    assert_eq!(one_message("FP32", "[1]", "[1e39]"), "inputs[0].data[0]: 1e39 does not fit FP32");
    assert_eq!(one_message("FP32", "[1]", "[\"1\"]"), "inputs[0].data[0] must be a number, got a string");
    assert_eq!(one_message("FP32", "[1]", "[null]"), "inputs[0].data[0] must be a number, got null");
    assert_eq!(one_message("BYTES", "[1]", "[1]"), "inputs[0].data[0] must be a string, got a number");
    assert_eq!(one_message("FP32", "[2]", "{}"), "inputs[0].data must be an array, got an object");
    assert_eq!(
        one_message("FP16", "[1]", "[1]"),
        "inputs[0].data is FP16, which cannot be sent as JSON: send it as binary data (binary_data_size)"
    );
    assert_eq!(one_message("FP32", "[-1]", "[1]"), "inputs[0].shape[0] is -1: a dimension of a request is 0 or more");
    assert_eq!(one_message("FLOAT32", "[1]", "[1]"), "inputs[0].datatype is \"FLOAT32\", which is not a v2 datatype");
    assert_eq!(
        one_message("fp32", "[1]", "[1]"),
        "inputs[0].datatype is \"fp32\", which is not a v2 datatype, did you mean FP32?"
    );
    let huge = "[4294967296,4294967296,4294967296]";
    assert!(one_message("FP32", huge, "[1]").contains("more elements than fit in memory"));
    // A shape that promises a lot reserves no more than the body can hold.
    assert!(one_message("FP32", "[1000000000000]", "[1]").contains("needs 1000000000000 elements, got 1"));
}

#[test]
fn wrong_requests_are_refused_by_name() {
    assert_eq!(message("{}"), "inputs is missing");
    assert_eq!(message("[]"), "the request must be an object, got an array");
    assert_eq!(message(""), "the body is not JSON: expected a value, at byte 0");
    assert_eq!(
        message(r#"{"inputs":[]} x"#),
        "the body is not JSON: there is more after the end of the JSON value, at byte 14"
    );
    assert_eq!(message(r#"{"inputs":{}}"#), "inputs must be an array, got an object");
    assert_eq!(message(r#"{"inputs":[3]}"#), "inputs[0] must be an object, got a number");
    assert_eq!(message(r#"{"inputs":[],"inputs":[]}"#), "inputs is given twice");
    assert_eq!(message(r#"{"id":3,"inputs":[]}"#), "id must be a string, got a number");
    assert_eq!(message(r#"{"inputs":[{"name":"x","shape":[1],"data":[1]}]}"#), "inputs[0].datatype is missing");
    assert_eq!(message(r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]}"#), "inputs[0].data is missing");
    assert_eq!(message(r#"{"inputs":[],"outputs":[{"name":"y"},{"name":"y"}]}"#), "output \"y\" is requested twice");
    assert_eq!(
        message(r#"{"inputs":[],"parameters":{"timeout":-1}}"#),
        "parameters.timeout must be a whole number of 0 or more, got -1"
    );
    assert_eq!(
        message(r#"{"inputs":[],"parameters":{"binary_data_output":"yes"}}"#),
        "parameters.binary_data_output must be true or false, got a string"
    );
    // Triton passes a priority over for a model without priority levels.
    assert!(parse(r#"{"inputs":[],"parameters":{"sequence_id":0,"sequence_start":false,"priority":7}}"#).is_ok());
    assert_eq!(
        message(r#"{"inputs":[],"parameters":{"priority":"high"}}"#),
        "parameters.priority must be a whole number, got a string"
    );
    assert_eq!(
        message(r#"{"inputs":[],"parameters":{"sequence_id":"a"}}"#),
        "a sequence of requests (parameters.sequence_id) is not supported by this server"
    );
    assert_eq!(
        message(r#"{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":-1}}]}"#),
        "outputs[0].parameters.classification must be a whole number of 0 or more, got -1"
    );
    let region = r#"{"name":"x","shape":[1],"datatype":"FP32","parameters":{"shared_memory_region":"r"}}"#;
    assert_eq!(
        message(&format!(r#"{{"inputs":[{region}]}}"#)),
        "shared memory (inputs[0].parameters.shared_memory_region) is not supported by this server"
    );
    assert_eq!(
        message(&format!(r#"{{"inputs":[],"outputs":[{region}]}}"#)),
        "shared memory (outputs[0].parameters.shared_memory_region) is not supported by this server"
    );
    assert_eq!(message(r#"{"inputs":[{"parameters":[]}]}"#), "inputs[0].parameters must be an object, got an array");
    assert_eq!(
        message(r#"{"inputs":[],"outputs":[{"parameters":3}]}"#),
        "outputs[0].parameters must be an object, got a number"
    );
    let deep = format!("{{\"inputs\":[],\"x\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    assert!(message(&deep).contains("nested too deeply"));
    let deep = one_message("FP32", "[1]", &format!("{}1{}", "[".repeat(100), "]".repeat(100)));
    assert!(deep.contains("nested too deeply"), "{deep}");
}

fn with_blob(json: &str, blob: &[u8]) -> Result<InferBody, BodyError> {
    let body = Bytes::from([json.as_bytes(), blob].concat());
    InferBody::parse(&body, json.len())
}

#[test]
fn binary_data_follows_in_the_order_of_the_inputs() {
    let json = r#"{"inputs":[
        {"name":"a","shape":[2],"datatype":"FP16","parameters":{"binary_data_size":4}},
        {"name":"b","shape":[1],"datatype":"INT32","data":[9]},
        {"name":"c","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":9}}]}"#;
    let blob = [0x00, 0x3c, 0x00, 0x40, 1, 0, 0, 0, b'x', 0, 0, 0, 0];
    let body = with_blob(json, &blob).unwrap();
    assert_eq!(body.inputs[0].tensor.to_wire().as_ref(), &blob[..4]);
    assert_eq!(body.inputs[1].tensor.to_vec::<i32>().unwrap(), [9]);
    assert_eq!(body.inputs[2].tensor.strings().unwrap(), [Bytes::from("x"), Bytes::new()]);
}

#[test]
fn binary_data_that_does_not_add_up_is_refused() {
    let json = r#"{"inputs":[{"name":"a","shape":[1],"datatype":"INT32","parameters":{"binary_data_size":4}}]}"#;
    assert_eq!(
        with_blob(json, &[0; 3]).unwrap_err().to_string(),
        "inputs[0].parameters.binary_data_size is 4, but only 3 bytes of binary data are left"
    );
    assert_eq!(
        with_blob(json, &[0; 5]).unwrap_err().to_string(),
        "1 bytes of binary data are left over: the binary_data_size of the inputs do not add up to the body"
    );
    let short = json.replace(":4}", ":2}");
    assert_eq!(
        with_blob(&short, &[0; 2]).unwrap_err().to_string(),
        "inputs[0]: shape [1] of INT32 needs 4 bytes, got 2"
    );
    let both = json.replace("\"shape\"", "\"data\":[1],\"shape\"");
    assert_eq!(
        with_blob(&both, &[0; 4]).unwrap_err().to_string(),
        "inputs[0] must be given either as data or as binary_data_size, got both"
    );
    let text = json.replace("INT32", "BYTES");
    assert!(with_blob(&text, &[9, 0, 0, 0]).unwrap_err().to_string().contains("ends inside element 0"));
    let body = Bytes::from_static(b"{}");
    assert_eq!(
        InferBody::parse(&body, 3).unwrap_err().to_string(),
        "Inference-Header-Content-Length is 3, but the body has 2 bytes"
    );
    let cut = Bytes::from_static("{\"id\":\"é\"}".as_bytes());
    assert_eq!(
        InferBody::parse(&cut, 8).unwrap_err().to_string(),
        "the JSON part of the body is not UTF-8 text, at byte 7"
    );
}

fn outputs() -> Vec<NamedTensor> {
    vec![
        NamedTensor {
            name: "p".into(),
            tensor: Tensor::from_vec(DType::Fp32, vec![2, 2], vec![0.1_f32, 1.0, f32::NAN, f32::NEG_INFINITY]).unwrap(),
        },
        NamedTensor {
            name: "label".into(),
            tensor: Tensor::from_strings(vec![2], vec![Bytes::from("a\"\u{1}"), Bytes::from("é")]).unwrap(),
        },
    ]
}

fn want(name: &str, binary: Option<bool>) -> Wanted {
    Wanted { name: name.into(), binary, classes: 0 }
}

fn reply(outputs: &[NamedTensor]) -> Reply<'_> {
    Reply {
        model: "m",
        version: "3",
        id: Some("7"),
        prediction: None,
        variant: None,
        flags: None,
        outputs,
        classes: Classes { batched: true, labels: &[] },
    }
}

#[test]
fn responses_are_written_as_triton_writes_them() {
    let outputs = outputs();
    let all = render(reply(&outputs), Selection { wanted: None, binary: false }).unwrap();
    assert_eq!(
        std::str::from_utf8(&all.json).unwrap(),
        concat!(
            r#"{"id":"7","model_name":"m","model_version":"3","outputs":["#,
            r#"{"name":"p","datatype":"FP32","shape":[2,2],"data":[0.1,1.0,NaN,-Infinity]},"#,
            r#"{"name":"label","datatype":"BYTES","shape":[2],"data":["a\"\u0001","é"]}]}"#
        )
    );
    assert!(!all.binary);
}

#[test]
fn requested_outputs_come_in_the_order_asked_for() {
    let outputs = outputs();
    let wanted = [want("label", None), want("p", Some(false))];
    let mixed = render(reply(&outputs), Selection { wanted: Some(&wanted), binary: true }).unwrap();
    let json: &str = std::str::from_utf8(&mixed.json).unwrap();
    assert!(json.contains(
        r#"{"name":"label","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":13}},{"name":"p""#
    ));
    assert_eq!(mixed.blobs, [Bytes::from_static(b"\x03\0\0\0a\"\x01\x02\0\0\0\xc3\xa9")]);
    assert!(mixed.binary);
    let wrong = [want("labl", None)];
    assert_eq!(
        render(reply(&outputs), Selection { wanted: Some(&wrong), binary: false }).unwrap_err().to_string(),
        "unexpected output \"labl\" (did you mean \"label\"?); the model has \"p\", \"label\""
    );
}

#[test]
fn bytes_that_are_not_text_need_binary_data() {
    let outputs = [NamedTensor {
        name: "raw".into(),
        tensor: Tensor::from_strings(vec![1], vec![Bytes::from_static(&[0xff])]).unwrap(),
    }];
    assert!(matches!(
        render(reply(&outputs), Selection { wanted: None, binary: false }),
        Err(BodyError::OutputNotText { .. })
    ));
    assert!(render(reply(&outputs), Selection { wanted: None, binary: true }).is_ok());
}

#[test]
fn half_precision_is_written_as_numbers() {
    let mut out = Vec::new();
    numbers(&mut out, DType::Fp16, &half::f16::from_f32(1.5).to_le_bytes());
    out.push(b' ');
    numbers(&mut out, DType::Bf16, &half::bf16::from_f32(-2.0).to_le_bytes());
    assert_eq!(out, b"1.5 -2.0");
}

#[test]
fn numbers_on_the_edge_are_rounded_as_the_standard_library_rounds_them() {
    // The middle between two 32-bit floats, and its neighbours.
    let middle = f64::from(1.0_f32) + f64::from(f32::EPSILON) / 2.0;
    for text in [
        format!("{middle:.60}"),
        format!("{middle:.60}1"),
        "1.00000005960464477539".to_owned(),
        "1.000000059604644776".to_owned(),
        "16777217".to_owned(),
        "9007199254740993".to_owned(),
        "1.4e-45".to_owned(),
        "7e-46".to_owned(),
        "3.4028235677973366e38".to_owned(),
        "3.4028235677973365e38".to_owned(),
        "0.000000000000000000000001".to_owned(),
        "123456789012345678901234567890".to_owned(),
        "-0.0".to_owned(),
        "1e-400".to_owned(),
    ] {
        assert_same(&text);
    }
    assert!(one("FP32", "[1]", "[-0]").unwrap().to_vec::<f32>().unwrap()[0].is_sign_negative());
}

/// Both widths must be what Rust's own parser says, bit by bit; infinite is out of range.
fn assert_same(text: &str) {
    let wide = one("FP64", "[1]", &format!("[{text}]")).ok().map(|t| t.to_vec::<f64>().unwrap()[0].to_bits());
    let expected = text.parse::<f64>().ok().filter(|v| v.is_finite()).map(f64::to_bits);
    assert_eq!(wide, expected, "{text} as FP64");
    let narrow = one("FP32", "[1]", &format!("[{text}]")).ok().map(|t| t.to_vec::<f32>().unwrap()[0].to_bits());
    let expected = text.parse::<f32>().ok().filter(|v| v.is_finite()).map(f32::to_bits);
    assert_eq!(narrow, expected, "{text} as FP32");
}

//! The v2 request body: JSON, and JSON with binary data behind it.

use crate::fills_its_shape;
use bytes::Bytes;
use mainspring_core::{DType, NamedTensor};
use mainspring_wire::{BodyError, InferBody, Node, response};
use serde_json::{Map, Value, json};

/// A body of JSON alone.
pub fn json(body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    let read = InferBody::parse(&body, body.len());
    is_json(&body, read.as_ref().err());
    match read {
        Ok(request) => accepted(&request),
        Err(why) => refused(&why, body.len()),
    }
}

/// A body with binary data; the first two bytes say how long its JSON is.
pub fn binary(data: &[u8]) {
    let Some((length, body)) = data.split_first_chunk::<2>() else { return };
    let header = usize::from(u16::from_le_bytes(*length));
    let body = Bytes::copy_from_slice(body);
    match InferBody::parse(&body, header) {
        Ok(request) => {
            assert!(header <= body.len());
            accepted(&request);
            // Bytes that nobody asked for are never passed over.
            let longer = Bytes::from([&body[..], b"\0"].concat());
            assert!(matches!(InferBody::parse(&longer, header), Err(BodyError::BinaryLeft { left: 1 })));
        }
        Err(why) => refused(&why, body.len()),
    }
}

/// What is accepted is JSON, and what is refused as no JSON is none: by serde_json, which knows
/// neither the words for not-a-number nor a limit of depth in what it skips.
fn is_json(body: &[u8], refused: Option<&BodyError>) {
    let Ok(text) = std::str::from_utf8(body) else { return };
    let theirs = serde_json::from_str::<serde::de::IgnoredAny>(text);
    let words = text.contains("NaN") || text.contains("Infinity");
    match refused {
        None => assert!(words || theirs.is_ok(), "accepted, but it is no JSON: {theirs:?}"),
        Some(BodyError::Syntax { what, .. }) => {
            let ours_alone = ["nested too deeply", "half of a surrogate pair"].contains(what);
            assert!(ours_alone || theirs.is_err(), "refused as no JSON ({what}), but it is");
        }
        Some(_) => {}
    }
}

/// A request goes through both of its forms unchanged.
fn accepted(request: &InferBody) {
    request.inputs.iter().for_each(|input| fills_its_shape(&input.tensor));
    if request.params.iter().any(|(_, value)| has_nan(value)) {
        return;
    }
    let (head, blobs) = rendered(request, true).expect("every tensor has a binary form");
    let whole = Bytes::from([head.as_slice(), &blobs].concat());
    assert_eq!(InferBody::parse(&whole, head.len()).as_ref(), Ok(request), "as binary data");
    if let Some((text, _)) = rendered(request, false) {
        let text = Bytes::from(text);
        let again = InferBody::parse(&text, text.len());
        let again = again.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&text)));
        same(request, &again);
    }
}

/// Not-a-number is not itself.
fn has_nan(value: &Node) -> bool {
    match value {
        Node::Float(number) => number.is_nan(),
        Node::List(items) => items.iter().any(has_nan),
        Node::Map(members) => members.iter().any(|(_, value)| has_nan(value)),
        Node::Null | Node::Bool(_) | Node::Int(_) | Node::Text(_) => false,
    }
}

/// JSON has one not-a-number and one true; binary data has many.
fn same(request: &InferBody, again: &InferBody) {
    let rest = |body: &InferBody| InferBody { inputs: Vec::new(), params: Vec::new(), ..body.clone() };
    assert_eq!(rest(request), rest(again));
    assert_eq!(request.inputs.len(), again.inputs.len());
    for (one, other) in request.inputs.iter().zip(&again.inputs) {
        let text = |input: &NamedTensor| {
            let mut out = Vec::new();
            response::data(&mut out, &input.tensor);
            (input.name.clone(), input.tensor.dtype(), input.tensor.shape().to_vec(), out)
        };
        assert_eq!(text(one), text(other));
    }
}

/// The request as a client writes it: JSON and the binary data of its inputs. `None` when JSON cannot
/// carry one of them.
fn rendered(request: &InferBody, binary: bool) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut inputs = Vec::new();
    let mut blobs = Vec::new();
    for input in &request.inputs {
        let tensor = &input.tensor;
        let mut text = Vec::new();
        response::string(&mut text, &input.name);
        let name = String::from_utf8(text).expect("names are text");
        let shape = json!(tensor.shape());
        let start = format!("{{\"name\":{name},\"datatype\":\"{}\",\"shape\":{shape}", tensor.dtype());
        if binary {
            let blob = tensor.to_wire();
            inputs.push(format!("{start},\"parameters\":{{\"binary_data_size\":{}}}}}", blob.len()));
            blobs.extend_from_slice(&blob);
        } else {
            if matches!(tensor.dtype(), DType::Fp16 | DType::Bf16) {
                return None;
            }
            let mut data = Vec::new();
            if !response::data(&mut data, tensor) {
                return None;
            }
            inputs.push(format!("{start},\"data\":[{}]}}", String::from_utf8(data).expect("JSON is text")));
        }
    }
    let mut parameters = Map::new();
    parameters.insert("binary_data_output".into(), json!(request.binary_output));
    parameters.extend(request.timeout_us.map(|t| ("timeout".to_owned(), json!(t))));
    let mut parameters = Value::Object(parameters).to_string();
    if !request.params.is_empty() {
        let own = Node::Map(request.params.clone()).to_json();
        let own = std::str::from_utf8(&own).expect("JSON is text");
        parameters.pop();
        parameters = format!("{parameters},{}", &own[1..]);
    }
    let mut members = vec![format!("\"parameters\":{parameters}"), format!("\"inputs\":[{}]", inputs.join(","))];
    members.extend(request.id.as_ref().map(|id| format!("\"id\":{}", json!(&**id))));
    members.extend(request.outputs.as_ref().map(|outputs| {
        let outputs: Vec<Value> = outputs
            .iter()
            .map(|w| {
                let mut form = Map::new();
                form.extend(w.binary.map(|binary| ("binary_data".to_owned(), json!(binary))));
                form.insert("classification".into(), json!(w.classes));
                json!({"name": &*w.name, "parameters": form})
            })
            .collect();
        format!("\"outputs\":{}", Value::Array(outputs))
    }));
    Some((format!("{{{}}}", members.join(",")).into_bytes(), blobs))
}

/// A refusal says where.
fn refused(why: &BodyError, length: usize) {
    let named = |path: &str| {
        let known = ["inputs", "outputs", "parameters", "id", "the request"];
        assert!(known.iter().any(|k| path.starts_with(k)), "no position: {why}");
        let of_one = path.strip_prefix("inputs").or_else(|| path.strip_prefix("outputs")).unwrap_or("");
        assert!(of_one.is_empty() || of_one.starts_with('['), "which one? {why}");
        assert!(why.to_string().contains(path));
    };
    match why {
        BodyError::Syntax { at, .. } | BodyError::Utf8 { at } => assert!(*at <= length),
        BodyError::Missing { path }
        | BodyError::Twice { path }
        | BodyError::Type { path, .. }
        | BodyError::DType { path, .. }
        | BodyError::Dimension { path, .. }
        | BodyError::Range { path, .. }
        | BodyError::Ragged { path, .. }
        | BodyError::Nesting { path, .. }
        | BodyError::Tensor { path, .. }
        | BodyError::BinaryOnly { path, .. }
        | BodyError::BinaryShort { path, .. } => named(path),
        BodyError::Unsupported { what } => {
            assert!(["inputs[", "outputs[", "parameters."].iter().any(|k| what.contains(k)), "no position: {why}");
        }
        BodyError::HeaderLength { given, body } => assert!(given > body),
        BodyError::BinaryLeft { left } => assert!(*left > 0),
        BodyError::DuplicateOutput { name } => assert!(why.to_string().contains(&format!("{name:?}"))),
        other => panic!("not about a request: {other}"),
    }
}

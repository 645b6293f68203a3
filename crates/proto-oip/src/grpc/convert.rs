//! Between protobuf messages and tensors. Bytes are shared with the message, not copied.

use crate::pb;
use crate::pb::infer_parameter::ParameterChoice;
use crate::pb::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use crate::pb::model_infer_response::InferOutputTensor;
use bytes::Bytes;
use mainspring_core::{DType, NamedTensor, Tensor, TensorError};
use mainspring_engine::Part;
use mainspring_serving::{Answer, AnswerParts};
use mainspring_wire::{BodyError, Classes, InferBody, Node, Wanted, classified, response};
use std::collections::HashMap;
use std::sync::Arc;

/// Parameter of a response that carries the prediction's id, for feedback.
const PREDICTION_ID: &str = "prediction_id";
/// Parameter of a response in a stream that carries the variant that answered.
pub(super) const VARIANT: &str = "variant";
/// The rules that its rows broke.
pub(super) const FLAGS: &str = "flags";

/// Reads a request.
///
/// # Errors
/// [`BodyError`] naming the input at fault.
pub(crate) fn request(message: pb::ModelInferRequest) -> Result<InferBody, BodyError> {
    let mut body = InferBody { id: text(message.id), ..InferBody::default() };
    parameters(&message.parameters, &mut body)?;
    body.inputs = inputs(message.inputs, message.raw_input_contents)?;
    body.outputs = outputs(message.outputs)?;
    Ok(body)
}

/// A text, absent when empty: protobuf cannot tell the two apart.
fn text(value: String) -> Option<Arc<str>> {
    if value.is_empty() { None } else { Some(value.into()) }
}

fn parameters(given: &HashMap<String, pb::InferParameter>, body: &mut InferBody) -> Result<(), BodyError> {
    for (name, value) in given {
        match name.as_str() {
            "timeout" => body.timeout_us = Some(count("parameters.timeout", value)?),
            "sequence_id" if !nothing(value) => {
                return Err(BodyError::Unsupported { what: "a sequence of requests (parameters.sequence_id)".into() });
            }
            // Triton passes it over for a model without priority levels, which is every model here.
            "priority" => drop(count("parameters.priority", value)?),
            // It asks how a stream ends.
            "triton_enable_empty_final_response" => {}
            _ => body.params.extend(node(value).map(|node| (Arc::from(name.as_str()), node))),
        }
    }
    Ok(())
}

/// A parameter that may be the model's own.
fn node(value: &pb::InferParameter) -> Option<Node> {
    Some(match value.parameter_choice.as_ref()? {
        ParameterChoice::BoolParam(b) => Node::Bool(*b),
        ParameterChoice::Int64Param(n) => Node::Int(*n),
        ParameterChoice::Uint64Param(n) => i64::try_from(*n).map_or(Node::Float(*n as f64), Node::Int),
        ParameterChoice::StringParam(s) => Node::Text(Bytes::copy_from_slice(s.as_bytes())),
        ParameterChoice::DoubleParam(x) => Node::Float(*x),
    })
}

fn count(path: &str, value: &pb::InferParameter) -> Result<u64, BodyError> {
    let count = match &value.parameter_choice {
        Some(ParameterChoice::Int64Param(n)) => u64::try_from(*n).ok(),
        Some(ParameterChoice::Uint64Param(n)) => Some(*n),
        _ => None,
    };
    count.ok_or_else(|| BodyError::Type {
        path: path.to_owned(),
        want: "a whole number of 0 or more",
        got: format!("{:?}", value.parameter_choice),
    })
}

/// Whether a parameter is true.
pub(crate) fn yes(value: &pb::InferParameter) -> bool {
    matches!(value.parameter_choice, Some(ParameterChoice::BoolParam(true)))
}

/// Whether a parameter says no more than its absence would.
fn nothing(value: &pb::InferParameter) -> bool {
    match &value.parameter_choice {
        None => true,
        Some(ParameterChoice::BoolParam(b)) => !b,
        Some(ParameterChoice::Int64Param(n)) => *n == 0,
        Some(ParameterChoice::Uint64Param(n)) => *n == 0,
        Some(ParameterChoice::StringParam(s)) => s.is_empty(),
        Some(ParameterChoice::DoubleParam(x)) => *x == 0.0,
    }
}

fn inputs(given: Vec<InferInputTensor>, raw: Vec<Bytes>) -> Result<Vec<NamedTensor>, BodyError> {
    // Before the contents are counted, of which an input in shared memory has none.
    let shared = |input: &InferInputTensor| input.parameters.get("shared_memory_region").is_some_and(|p| !nothing(p));
    if let Some(i) = given.iter().position(shared) {
        let what = format!("shared memory (inputs[{i}].parameters.shared_memory_region)");
        return Err(BodyError::Unsupported { what });
    }
    if !raw.is_empty() && raw.len() != given.len() {
        return Err(BodyError::Type {
            path: "raw_input_contents".into(),
            want: "one entry an input",
            got: format!("{} entries for {} inputs", raw.len(), given.len()),
        });
    }
    let mut raw = raw.into_iter();
    given.into_iter().enumerate().map(|(i, input)| named(i, input, raw.next())).collect()
}

fn named(i: usize, input: InferInputTensor, raw: Option<Bytes>) -> Result<NamedTensor, BodyError> {
    let dtype = DType::parse(&input.datatype).ok_or_else(|| BodyError::DType {
        path: format!("inputs[{i}].datatype"),
        nearest: mainspring_core::nearest(&input.datatype, DType::ALL.map(DType::as_str)),
        got: input.datatype.clone(),
    })?;
    let shape = input
        .shape
        .iter()
        .enumerate()
        .map(|(d, dim)| {
            let path = || format!("inputs[{i}].shape[{d}]");
            usize::try_from(*dim).map_err(|_| BodyError::Dimension { path: path(), got: dim.to_string() })
        })
        .collect::<Result<Vec<usize>, _>>()?;
    let tensor = match (raw, input.contents) {
        (Some(_), Some(contents)) if contents != pb::InferTensorContents::default() => {
            return Err(BodyError::Type {
                path: format!("inputs[{i}]"),
                want: "given either in contents or in raw_input_contents",
                got: "both".into(),
            });
        }
        (Some(raw), _) => Tensor::from_wire(dtype, shape, raw),
        (None, contents) => typed(i, dtype, shape, contents.unwrap_or_default())?,
    };
    let tensor = tensor.map_err(|source| BodyError::Tensor { path: format!("inputs[{i}]"), source })?;
    Ok(NamedTensor { name: input.name.into(), tensor })
}

/// A tensor from the field of its type. `Err` is a wrong element, the inner error a wrong count.
fn typed(
    i: usize,
    dtype: DType,
    shape: Vec<usize>,
    given: pb::InferTensorContents,
) -> Result<Result<Tensor, TensorError>, BodyError> {
    Ok(match dtype {
        DType::Bool => Tensor::from_vec(dtype, shape, given.bool_contents.into_iter().map(u8::from).collect()),
        DType::Uint8 => Tensor::from_vec::<u8>(dtype, shape, narrow(i, dtype, &given.uint_contents)?),
        DType::Uint16 => Tensor::from_vec::<u16>(dtype, shape, narrow(i, dtype, &given.uint_contents)?),
        DType::Uint32 => Tensor::from_vec(dtype, shape, given.uint_contents),
        DType::Uint64 => Tensor::from_vec(dtype, shape, given.uint64_contents),
        DType::Int8 => Tensor::from_vec::<i8>(dtype, shape, narrow(i, dtype, &given.int_contents)?),
        DType::Int16 => Tensor::from_vec::<i16>(dtype, shape, narrow(i, dtype, &given.int_contents)?),
        DType::Int32 => Tensor::from_vec(dtype, shape, given.int_contents),
        DType::Int64 => Tensor::from_vec(dtype, shape, given.int64_contents),
        DType::Fp32 => Tensor::from_vec(dtype, shape, given.fp32_contents),
        DType::Fp64 => Tensor::from_vec(dtype, shape, given.fp64_contents),
        DType::Bytes => Tensor::from_strings(shape, given.bytes_contents),
        DType::Fp16 | DType::Bf16 => {
            return Err(BodyError::Type {
                path: format!("inputs[{i}]"),
                want: "given in raw_input_contents: its datatype has no field in contents",
                got: dtype.to_string(),
            });
        }
    })
}

fn narrow<T: TryFrom<S>, S: Copy + ToString>(i: usize, dtype: DType, wide: &[S]) -> Result<Vec<T>, BodyError> {
    wide.iter()
        .enumerate()
        .map(|(e, value)| {
            T::try_from(*value).map_err(|_| BodyError::Range {
                path: format!("inputs[{i}].contents[{e}]"),
                value: value.to_string(),
                dtype,
            })
        })
        .collect()
}

fn outputs(given: Vec<InferRequestedOutputTensor>) -> Result<Option<Vec<Wanted>>, BodyError> {
    let mut wanted: Vec<Wanted> = Vec::with_capacity(given.len());
    for (i, output) in given.into_iter().enumerate() {
        let path = |member: &str| format!("outputs[{i}].parameters.{member}");
        if output.parameters.get("shared_memory_region").is_some_and(|p| !nothing(p)) {
            let what = format!("shared memory ({})", path("shared_memory_region"));
            return Err(BodyError::Unsupported { what });
        }
        let classes = match output.parameters.get("classification") {
            Some(value) => usize::try_from(count(&path("classification"), value)?).unwrap_or(usize::MAX),
            None => 0,
        };
        if wanted.iter().any(|w| *w.name == *output.name) {
            return Err(BodyError::DuplicateOutput { name: output.name });
        }
        wanted.push(Wanted { name: output.name.into(), binary: None, classes });
    }
    Ok(if wanted.is_empty() { None } else { Some(wanted) })
}

/// Writes an answer: the outputs wanted, in that order, all of them raw.
pub(crate) fn response(model: &str, body: &InferBody, answer: &Answer) -> Result<pb::ModelInferResponse, BodyError> {
    let how = Classes { batched: answer.contract.max_batch_rows > 0, labels: &answer.contract.labels };
    let all = classified(&answer.outputs, body.outputs.as_deref(), how)?;
    let picked: Vec<&NamedTensor> = match &body.outputs {
        None => all.iter().collect(),
        Some(wanted) => wanted
            .iter()
            .map(|w| {
                let found = all.iter().find(|o| o.name == w.name);
                found.ok_or_else(|| response::unknown(&w.name, all.iter().map(|o| &*o.name)))
            })
            .collect::<Result<_, _>>()?,
    };
    let outputs = picked.iter().map(|o| described(o)).collect();
    Ok(pb::ModelInferResponse {
        model_name: model.to_owned(),
        model_version: answer.target.version.to_string(),
        id: body.id.as_deref().unwrap_or_default().to_owned(),
        parameters: HashMap::from([parameter(PREDICTION_ID, ParameterChoice::StringParam(answer.id.to_string()))]),
        outputs,
        raw_output_contents: picked.iter().map(|o| o.tensor.to_wire()).collect(),
    })
}

/// Writes a part of an answer, or the empty response after the last one.
pub(crate) fn part(model: &str, body: &InferBody, answer: &AnswerParts, part: Option<Part>) -> pb::ModelInferResponse {
    let last = part.is_none();
    let outputs = part.map(|p| p.outputs).unwrap_or_default();
    let told = [
        parameter(PREDICTION_ID, ParameterChoice::StringParam(answer.id.to_string())),
        parameter(VARIANT, ParameterChoice::StringParam(answer.target.variant.to_string())),
        parameter("triton_final_response", ParameterChoice::BoolParam(last)),
    ];
    let flags = answer.flags.as_ref().map(|flags| parameter(FLAGS, ParameterChoice::StringParam(flags.to_string())));
    pb::ModelInferResponse {
        model_name: model.to_owned(),
        model_version: answer.target.version.to_string(),
        id: body.id.as_deref().unwrap_or_default().to_owned(),
        parameters: told.into_iter().chain(flags).collect(),
        outputs: outputs.iter().map(described).collect(),
        raw_output_contents: outputs.iter().map(|o| o.tensor.to_wire()).collect(),
    }
}

fn described(output: &NamedTensor) -> InferOutputTensor {
    InferOutputTensor {
        name: output.name.to_string(),
        datatype: output.tensor.dtype().as_str().to_owned(),
        shape: output.tensor.shape().iter().map(|d| i64::try_from(*d).unwrap_or(i64::MAX)).collect(),
        parameters: HashMap::new(),
        contents: None,
    }
}

/// An entry of a parameter map.
pub(crate) fn parameter(name: &str, value: ParameterChoice) -> (String, pb::InferParameter) {
    (name.to_owned(), pb::InferParameter { parameter_choice: Some(value) })
}

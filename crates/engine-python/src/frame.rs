//! Frames on the socket: `MSW1`, the length of a JSON header (u32), the length of the body (u64), both
//! little-endian, then the two. The body holds the bytes of the tensors that the header names, each at
//! a multiple of 8.

use crate::nested;
use crate::size::Cost;
use bytes::Bytes;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, Tensor};
use mainspring_engine::{AnswerForm, Content, Part, Signature, TensorSpec};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes before the header.
pub(crate) const PREFIX: usize = 16;
const MAGIC: &[u8; 4] = b"MSW1";
/// More than any header or answer that makes sense; what claims more is garbage.
const MAX_HEADER: u32 = 16 << 20;
const MAX_BODY: u64 = 2 << 30;
/// Bodies up to this go out with their header in one piece.
const SMALL: usize = 64 << 10;

/// A frame on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Prefix, header, and the body when it is small.
    pub head: Vec<u8>,
    /// The rest of the body.
    pub parts: Vec<Bytes>,
}

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub header: Bytes,
    pub body: Bytes,
}

#[derive(Serialize)]
struct Call<'a> {
    tensors: Vec<Named<'a>>,
    /// A JSON object as Python writes it, which is more than JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a str>,
    /// Whether the answer is wanted in parts, each of which waits for a [`More`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

/// Whether another part is wanted.
#[derive(Debug, Serialize)]
pub(crate) struct More {
    pub more: bool,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    dtype: &'static str,
    shape: &'a [usize],
    bytes: usize,
}

/// What a worker is told first.
#[derive(Debug, Serialize)]
pub(crate) struct Order<'a> {
    pub root: &'a str,
    pub memory: Option<u64>,
    /// What a worker before it found out about the model.
    pub known: Option<Known<'a>>,
}

/// What only a call of the model shows.
#[derive(Debug, Serialize)]
pub(crate) struct Known<'a> {
    pub form: Form,
    pub outputs: &'a [Spec],
}

/// A worker's answer to its [`Order`].
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Ready {
    pub inputs: Vec<Spec>,
    pub outputs: Vec<Spec>,
    pub form: Form,
    /// Whether it can answer in parts.
    #[serde(default)]
    pub streams: bool,
    /// Its MLflow signature, as `signature` in an `MLmodel` file but in JSON.
    #[serde(default)]
    pub signature: Option<String>,
    /// What a call with one row takes; not of a worker that was told what another one found out.
    #[serde(default)]
    pub cost: Option<Cost>,
    pub python: String,
    pub mlflow: String,
}

/// An input or output as the worker says it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub name: Arc<str>,
    pub dtype: DType,
    pub shape: Vec<i64>,
    #[serde(default)]
    pub optional: bool,
    #[serde(default)]
    pub content: Content,
}

/// What the model's own library hands its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    Array,
    Frame,
    Map,
}

/// How a worker reports that something did not go well.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Failure {
    /// Values that cannot be handed to the model.
    Refused { refused: String },
    /// The model is not, or does not answer, what can be served.
    Wrong { wrong: String },
    /// An exception.
    Raised { raised: String, message: String, values: bool },
}

/// What came instead of a frame that makes sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the worker's answer makes no sense: {0}")]
pub(crate) struct Garbled(pub String);

#[derive(Deserialize)]
struct Tensors {
    tensors: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    name: Arc<str>,
    dtype: DType,
    shape: Vec<usize>,
    bytes: usize,
    /// Of a part; of a whole answer, the [`Ready`] says it.
    #[serde(default)]
    content: Content,
}

/// What a worker says while it answers in parts.
#[derive(Debug)]
pub(crate) enum Streamed {
    /// One more part.
    Part(Part),
    /// There was no further one.
    End,
}

#[derive(Deserialize)]
struct End {
    #[serde(rename = "end")]
    _end: bool,
}

impl From<Form> for AnswerForm {
    fn from(form: Form) -> Self {
        match form {
            Form::Array => Self::Array,
            Form::Frame => Self::Frame,
            Form::Map => Self::Map,
        }
    }
}

impl Ready {
    /// The signature as the port has it.
    pub fn tensors(&self) -> Signature {
        let specs = |from: &[Spec]| {
            let spec = |s: &Spec| TensorSpec {
                name: Arc::clone(&s.name),
                dtype: s.dtype,
                shape: s.shape.iter().map(|d| (*d).max(-1)).collect(),
                optional: s.optional,
                content: s.content,
            };
            from.iter().map(spec).collect()
        };
        Signature { inputs: specs(&self.inputs), outputs: specs(&self.outputs) }
    }
}

fn padding(len: usize) -> usize {
    len.wrapping_neg() % 8
}

/// A frame without a body.
pub(crate) fn plain(header: &impl Serialize) -> Result<Outgoing, serde_json::Error> {
    Ok(assemble(&serde_json::to_vec(header)?, Vec::new()))
}

/// The frame of a call.
pub(crate) fn call(inputs: &[NamedTensor], params: Option<&str>, stream: bool) -> Result<Outgoing, serde_json::Error> {
    let parts: Vec<Bytes> = inputs.iter().map(|i| i.tensor.to_wire()).collect();
    let tensors = inputs
        .iter()
        .zip(&parts)
        .map(|(input, part)| Named {
            name: &input.name,
            dtype: input.tensor.dtype().as_str(),
            shape: input.tensor.shape(),
            bytes: part.len(),
        })
        .collect();
    Ok(assemble(&serde_json::to_vec(&Call { tensors, params, stream })?, parts))
}

fn assemble(header: &[u8], parts: Vec<Bytes>) -> Outgoing {
    let body: usize = parts.iter().map(|p| p.len() + padding(p.len())).sum();
    let small = body <= SMALL;
    let mut head = Vec::with_capacity(PREFIX + header.len() + if small { body } else { 0 });
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&(header.len() as u32).to_le_bytes());
    head.extend_from_slice(&(body as u64).to_le_bytes());
    head.extend_from_slice(header);
    if !small {
        let zeros = Bytes::from_static(&[0; 8]);
        let padded = parts.into_iter().flat_map(|p| {
            let pad = zeros.slice(0..padding(p.len()));
            [p, pad]
        });
        return Outgoing { head, parts: padded.filter(|p| !p.is_empty()).collect() };
    }
    for part in parts {
        head.extend_from_slice(&part);
        head.resize(head.len() + padding(part.len()), 0);
    }
    Outgoing { head, parts: Vec::new() }
}

/// Lengths of header and body.
pub(crate) fn lengths(prefix: &[u8; PREFIX]) -> Result<(usize, usize), Garbled> {
    let [m0, m1, m2, m3, h0, h1, h2, h3, body @ ..] = *prefix;
    let (header, body) = (u32::from_le_bytes([h0, h1, h2, h3]), u64::from_le_bytes(body));
    if [m0, m1, m2, m3] != *MAGIC {
        return Err(Garbled("it does not begin as a frame".into()));
    }
    if header > MAX_HEADER || body > MAX_BODY {
        return Err(Garbled(format!("it claims {header} + {body} bytes")));
    }
    Ok((header as usize, usize::try_from(body).unwrap_or(usize::MAX)))
}

/// The tensors of an answer, or what the worker reports instead.
pub(crate) fn tensors(frame: &Incoming) -> Result<Result<Vec<NamedTensor>, Failure>, Garbled> {
    let Ok(Tensors { tensors: described }) = serde_json::from_slice(&frame.header) else {
        return serde_json::from_slice::<Failure>(&frame.header).map(Err).map_err(|e| Garbled(e.to_string()));
    };
    Ok(Ok(read(frame, described)?.into_iter().map(|(named, _)| named).collect()))
}

/// The next part of an answer, its end, or what the worker reports instead.
pub(crate) fn streamed(frame: &Incoming) -> Result<Result<Streamed, Failure>, Garbled> {
    if let Ok(Tensors { tensors: described }) = serde_json::from_slice(&frame.header) {
        let mut part = Part { outputs: Vec::new(), contents: Vec::new() };
        for (mut named, content) in read(frame, described)? {
            if content == Content::Json {
                named.tensor =
                    nested::incoming(&named.tensor).map_err(|e| Garbled(format!("output {:?}: {e}", named.name)))?;
            }
            part.outputs.push(named);
            part.contents.push(content);
        }
        return Ok(Ok(Streamed::Part(part)));
    }
    if serde_json::from_slice::<End>(&frame.header).is_ok() {
        return Ok(Ok(Streamed::End));
    }
    serde_json::from_slice::<Failure>(&frame.header).map(Err).map_err(|e| Garbled(e.to_string()))
}

fn read(frame: &Incoming, described: Vec<Described>) -> Result<Vec<(NamedTensor, Content)>, Garbled> {
    let mut at = 0_usize;
    let mut named = Vec::with_capacity(described.len());
    for Described { name, dtype, shape, bytes, content } in described {
        let end = at.checked_add(bytes).filter(|end| *end <= frame.body.len());
        let end = end.ok_or_else(|| Garbled(format!("output {name:?} goes beyond its body")))?;
        let tensor = Tensor::from_wire(dtype, shape, frame.body.slice(at..end));
        let tensor = tensor.map_err(|e| Garbled(format!("output {name:?}: {e}")))?;
        named.push((NamedTensor { name, tensor }, content));
        at = end.saturating_add(padding(bytes)).min(frame.body.len());
    }
    Ok(named)
}

/// What a worker says once it is ready, or why it is not.
pub(crate) fn ready(frame: &Incoming) -> Result<Result<Ready, Failure>, Garbled> {
    match serde_json::from_slice::<Ready>(&frame.header) {
        Ok(ready) => Ok(Ok(ready)),
        Err(why) => match serde_json::from_slice::<Failure>(&frame.header) {
            Ok(failure) => Ok(Err(failure)),
            Err(_) => Err(Garbled(why.to_string())),
        },
    }
}

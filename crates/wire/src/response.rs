//! The inference response, written by hand into one buffer.

use super::classes::{Classes, classified};
use super::error::BodyError;
use super::request::Wanted;
use bytes::Bytes;
use mainspring_core::tensor::Data;
use mainspring_core::{DType, EventId, NamedTensor, Tensor};

/// What goes into a response beside its outputs.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// Name of the deployment, as it was asked for.
    pub model: &'a str,
    /// Version that answered.
    pub version: &'a str,
    /// The caller's id.
    pub id: Option<&'a str>,
    /// Written as `parameters.prediction_id` where a protocol has no header to carry it.
    pub prediction: Option<EventId>,
    /// Written as `parameters.variant` beside it, where a protocol has no header to carry it.
    pub variant: Option<&'a str>,
    /// Rules that the rows broke, written as `parameters.flags` where a protocol has no header to carry it.
    pub flags: Option<&'a str>,
    /// What the model returned.
    pub outputs: &'a [NamedTensor],
    /// How outputs are read for their classes, where those are asked for.
    pub classes: Classes<'a>,
}

/// A rendered response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The JSON part.
    pub json: Bytes,
    /// Binary data of the outputs, in the order in which the JSON names them. Empty for a response
    /// of JSON alone.
    pub blobs: Vec<Bytes>,
    /// Whether any output is binary, even an empty one: then the JSON part has its own length header.
    pub binary: bool,
}

impl Rendered {
    /// Bytes of the whole response.
    pub fn len(&self) -> usize {
        self.json.len() + self.blobs.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole response as one piece.
    pub fn joined(self) -> Bytes {
        if self.blobs.is_empty() {
            return self.json;
        }
        let mut out = Vec::with_capacity(self.len());
        out.extend_from_slice(&self.json);
        for blob in &self.blobs {
            out.extend_from_slice(blob);
        }
        out.into()
    }
}

/// Which outputs go out in which form.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// Outputs asked for; `None` is all.
    pub wanted: Option<&'a [Wanted]>,
    /// Whether an output that does not say goes out as binary data.
    pub binary: bool,
}

/// Writes a response. Not-a-number and infinities in JSON are written `NaN`, `Infinity` and
/// `-Infinity`: JSON has no form for them, and these are the words that Triton writes and that
/// `tritonclient`, `kserve` and Python's `json` read. A caller with a strict parser asks for binary
/// data.
///
/// # Errors
/// [`BodyError::UnknownOutput`] for an output that the model does not have;
/// [`BodyError::OutputNotText`] for bytes that JSON cannot carry; [`BodyError::NoClasses`] for classes of
/// texts.
pub fn render(reply: Reply<'_>, selection: Selection<'_>) -> Result<Rendered, BodyError> {
    write(reply, selection, None)
}

/// Writes a part of an answer, or what follows the last one: with `parameters.triton_final_response`.
///
/// # Errors
/// As [`render`].
pub fn render_part(reply: Reply<'_>, selection: Selection<'_>, last: bool) -> Result<Rendered, BodyError> {
    write(reply, selection, Some(last))
}

fn write(reply: Reply<'_>, selection: Selection<'_>, last: Option<bool>) -> Result<Rendered, BodyError> {
    let outputs = classified(reply.outputs, selection.wanted, reply.classes)?;
    let reply = Reply { outputs: &outputs, ..reply };
    let mut out = Vec::with_capacity(estimate(&reply, selection));
    out.push(b'{');
    if let Some(id) = reply.id {
        out.extend_from_slice(b"\"id\":");
        string(&mut out, id);
        out.push(b',');
    }
    out.extend_from_slice(b"\"model_name\":");
    string(&mut out, reply.model);
    out.extend_from_slice(b",\"model_version\":");
    string(&mut out, reply.version);
    if let Some(prediction) = reply.prediction {
        out.extend_from_slice(b",\"parameters\":{\"prediction_id\":\"");
        out.extend_from_slice(prediction.0.hyphenated().encode_lower(&mut [0; 36]).as_bytes());
        out.push(b'"');
        if let Some(variant) = reply.variant {
            out.extend_from_slice(b",\"variant\":");
            string(&mut out, variant);
        }
        if let Some(flags) = reply.flags {
            out.extend_from_slice(b",\"flags\":");
            string(&mut out, flags);
        }
        if let Some(last) = last {
            out.extend_from_slice(b",\"triton_final_response\":");
            out.extend_from_slice(if last { b"true" } else { b"false" });
        }
        out.push(b'}');
    }
    out.extend_from_slice(b",\"outputs\":[");
    let mut blobs = Vec::new();
    let mut binary = false;
    for (i, (tensor, as_binary)) in select(reply.outputs, selection)?.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        output(&mut out, tensor, as_binary.then_some(&mut blobs))?;
        binary |= as_binary;
    }
    out.extend_from_slice(b"]}");
    Ok(Rendered { json: out.into(), blobs, binary })
}

/// The outputs to send, in the order asked for, and whether each is binary.
fn select<'a>(outputs: &'a [NamedTensor], selection: Selection<'_>) -> Result<Vec<(&'a NamedTensor, bool)>, BodyError> {
    let Some(wanted) = selection.wanted else {
        return Ok(outputs.iter().map(|o| (o, selection.binary)).collect());
    };
    wanted
        .iter()
        .map(|w| {
            let found = outputs.iter().find(|o| o.name == w.name);
            let tensor = found.ok_or_else(|| unknown(&w.name, outputs.iter().map(|o| &*o.name)))?;
            Ok((tensor, w.binary.unwrap_or(selection.binary)))
        })
        .collect()
}

/// The error for an output that is not among `names`.
pub fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> BodyError {
    BodyError::UnknownOutput {
        name: name.to_owned(),
        nearest: mainspring_core::nearest(name, names.clone()).map(str::to_owned),
        expected: names.map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", "),
    }
}

/// Room for the JSON part, so that it grows at most once.
fn estimate(reply: &Reply<'_>, selection: Selection<'_>) -> usize {
    let per_value = |t: &Tensor| match t.dtype() {
        DType::Bytes => t.byte_len() + 4 * t.len(),
        DType::Fp64 | DType::Int64 | DType::Uint64 => 20 * t.len(),
        _ => 12 * t.len(),
    };
    let values: usize = if selection.binary { 0 } else { reply.outputs.iter().map(|o| per_value(&o.tensor)).sum() };
    160 + reply.id.map_or(0, str::len) + 120 * reply.outputs.len() + values
}

fn output(out: &mut Vec<u8>, named: &NamedTensor, blobs: Option<&mut Vec<Bytes>>) -> Result<(), BodyError> {
    let tensor = &named.tensor;
    out.extend_from_slice(b"{\"name\":");
    string(out, &named.name);
    out.extend_from_slice(b",\"datatype\":\"");
    out.extend_from_slice(tensor.dtype().as_str().as_bytes());
    out.extend_from_slice(b"\",\"shape\":[");
    let mut digits = itoa::Buffer::new();
    for (i, dim) in tensor.shape().iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(digits.format(*dim).as_bytes());
    }
    if let Some(blobs) = blobs {
        let blob = tensor.to_wire();
        out.extend_from_slice(b"],\"parameters\":{\"binary_data_size\":");
        out.extend_from_slice(digits.format(blob.len()).as_bytes());
        out.extend_from_slice(b"}}");
        blobs.push(blob);
    } else {
        out.extend_from_slice(b"],\"data\":[");
        if !data(out, tensor) {
            return Err(BodyError::OutputNotText { name: named.name.to_string() });
        }
        out.extend_from_slice(b"]}");
    }
    Ok(())
}

/// Writes the elements with commas between them. False when an element is not text.
pub fn data(out: &mut Vec<u8>, tensor: &Tensor) -> bool {
    match tensor.data() {
        Data::Strings(values) => {
            for (i, value) in values.iter().enumerate() {
                let Ok(text) = std::str::from_utf8(value) else { return false };
                if i > 0 {
                    out.push(b',');
                }
                string(out, text);
            }
        }
        Data::Raw(bytes) => numbers(out, tensor.dtype(), bytes),
    }
    true
}

/// One row of elements: `dtype`'s little-endian bytes as JSON numbers with commas between them.
pub fn numbers(out: &mut Vec<u8>, dtype: DType, bytes: &[u8]) {
    match dtype {
        DType::Bool => each::<1>(out, bytes, |o, b| o.extend_from_slice(if b == [0] { b"false" } else { b"true" })),
        DType::Uint8 => each::<1>(out, bytes, |o, b| whole(o, b[0])),
        DType::Int8 => each::<1>(out, bytes, |o, b| whole(o, i8::from_le_bytes(b))),
        DType::Uint16 => each::<2>(out, bytes, |o, b| whole(o, u16::from_le_bytes(b))),
        DType::Int16 => each::<2>(out, bytes, |o, b| whole(o, i16::from_le_bytes(b))),
        DType::Uint32 => each::<4>(out, bytes, |o, b| whole(o, u32::from_le_bytes(b))),
        DType::Int32 => each::<4>(out, bytes, |o, b| whole(o, i32::from_le_bytes(b))),
        DType::Uint64 => each::<8>(out, bytes, |o, b| whole(o, u64::from_le_bytes(b))),
        DType::Int64 => each::<8>(out, bytes, |o, b| whole(o, i64::from_le_bytes(b))),
        DType::Fp16 => each::<2>(out, bytes, |o, b| single(o, half::f16::from_le_bytes(b).to_f32())),
        DType::Bf16 => each::<2>(out, bytes, |o, b| single(o, half::bf16::from_le_bytes(b).to_f32())),
        DType::Fp32 => each::<4>(out, bytes, |o, b| single(o, f32::from_le_bytes(b))),
        DType::Fp64 => each::<8>(out, bytes, |o, b| double(o, f64::from_le_bytes(b))),
        DType::Bytes => {}
    }
}

#[inline]
fn each<const N: usize>(out: &mut Vec<u8>, bytes: &[u8], write: impl Fn(&mut Vec<u8>, [u8; N])) {
    let mut first = true;
    for element in bytes.as_chunks::<N>().0 {
        if !first {
            out.push(b',');
        }
        first = false;
        write(out, *element);
    }
}

#[inline]
fn whole(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The shortest text that reads back as the same 32-bit number.
#[inline]
fn single(out: &mut Vec<u8>, value: f32) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(word(f64::from(value)));
    }
}

/// The shortest text that reads back as the same 64-bit number.
#[inline]
pub fn double(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(word(value));
    }
}

fn word(value: f64) -> &'static [u8] {
    if value.is_nan() {
        b"NaN"
    } else if value > 0.0 {
        b"Infinity"
    } else {
        b"-Infinity"
    }
}

/// Writes a JSON string.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (i, b) in bytes.iter().enumerate() {
        if !matches!(b, b'"' | b'\\' | 0..=0x1f) {
            continue;
        }
        out.extend_from_slice(bytes.get(plain..i).unwrap_or_default());
        plain = i + 1;
        escape(out, *b);
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
    out.push(b'"');
}

#[cold]
fn escape(out: &mut Vec<u8>, b: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match b {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
    }
}

//! Rows of named values to a table, and tensors back to values by row.

use bytes::Bytes;
use half::{bf16, f16};
use mainspring_core::tensor::{Data, NamedTensor, Tensor};
use mainspring_core::{DType, ErrorKind, nearest};
use mainspring_engine::{Content, Signature};
use mainspring_http::ApiError;
use mainspring_serving::{Cell, Table};
use mainspring_wire::Node;
use serde_json::{Map, Number, Value};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

#[cfg(test)]
mod tests;

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(b) => Cell::Bool(b),
        Value::Number(n) => n.as_i64().map_or_else(|| Cell::Float(n.as_f64().unwrap_or(f64::NAN)), Cell::Int),
        Value::String(text) => Cell::Text(Bytes::from(text)),
        // Nested columns take it; where the model takes something else, the table says so.
        nested @ (Value::Array(_) | Value::Object(_)) => Cell::Json(nested.to_string().into()),
    }
}

/// The rows as a table. Columns stand in the order of `known`, further ones after them; a row that
/// lacks one has null there.
///
/// # Errors
/// [`ApiError`] naming the column when `only` and it is not known.
pub(crate) fn table(rows: Vec<Map<String, Value>>, known: &[&str], only: bool) -> Result<Table, ApiError> {
    let mut columns: Vec<Arc<str>> = Vec::new();
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    let given: BTreeSet<&str> = rows.iter().flat_map(Map::keys).map(String::as_str).collect();
    if only && let Some(stranger) = given.iter().find(|g| !known.contains(g)) {
        let near = nearest(stranger, known.iter().copied());
        let near = near.map(|n| format!(" (did you mean {n:?}?)")).unwrap_or_default();
        let message = format!("unexpected column {stranger:?}{near}; the model takes {}", known.join(", "));
        return Err(ApiError::new(ErrorKind::InvalidInput, message));
    }
    let first = known.iter().copied().filter(|k| given.contains(k));
    for name in first.chain(given.iter().copied()) {
        if !places.contains_key(name) {
            let name: Arc<str> = name.into();
            places.insert(Arc::clone(&name), columns.len());
            columns.push(name);
        }
    }
    let width = columns.len();
    let mut cells = vec![Cell::Null; width * rows.len()];
    for (r, row) in rows.into_iter().enumerate() {
        for (name, value) in row {
            if let Some(place) = places.get(name.as_str()) {
                cells[r * width + place] = cell(value);
            }
        }
    }
    Ok(Table { columns, width, cells })
}

/// A number as JSON; what JSON has no literal for is `"NaN"`, `"Infinity"` or `"-Infinity"`.
fn number(value: f64) -> Value {
    if let Some(n) = Number::from_f64(value) {
        return Value::Number(n);
    }
    Value::String(
        if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned(),
    )
}

/// A 32-bit float in its own shortest decimal form, not in that of the double it becomes.
fn short(value: f32) -> Value {
    number(value.to_string().parse().unwrap_or_else(|_| f64::from(value)))
}

fn read<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> Value) -> Vec<Value> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| convert(*chunk)).collect()
}

/// A nested value of an answer.
fn nested(node: Node) -> Value {
    match node {
        Node::Null => Value::Null,
        Node::Bool(b) => Value::Bool(b),
        Node::Int(n) => n.into(),
        Node::Float(x) => number(x),
        Node::Text(text) => Value::String(String::from_utf8_lossy(&text).into_owned()),
        Node::List(all) => all.into_iter().map(nested).collect(),
        Node::Map(all) => all.into_iter().map(|(k, v)| (k.to_string(), nested(v))).collect(),
    }
}

/// Every element of a tensor as JSON.
fn values(tensor: &Tensor, content: Content) -> Vec<Value> {
    let bytes = match tensor.data() {
        Data::Strings(texts) if content == Content::Json => {
            return texts.iter().map(|t| Node::parse(t).map_or(Value::Null, nested)).collect();
        }
        Data::Strings(texts) => {
            return texts.iter().map(|t| Value::String(String::from_utf8_lossy(t).into_owned())).collect();
        }
        Data::Raw(bytes) => bytes,
    };
    match tensor.dtype() {
        DType::Bool => bytes.iter().map(|b| Value::Bool(*b != 0)).collect(),
        DType::Uint8 => bytes.iter().map(|b| (*b).into()).collect(),
        DType::Int8 => bytes.iter().map(|b| b.cast_signed().into()).collect(),
        DType::Uint16 => read(bytes, |b| u16::from_le_bytes(b).into()),
        DType::Int16 => read(bytes, |b| i16::from_le_bytes(b).into()),
        DType::Uint32 => read(bytes, |b| u32::from_le_bytes(b).into()),
        DType::Int32 => read(bytes, |b| i32::from_le_bytes(b).into()),
        DType::Uint64 => read(bytes, |b| u64::from_le_bytes(b).into()),
        DType::Int64 => read(bytes, |b| i64::from_le_bytes(b).into()),
        DType::Fp16 => read(bytes, |b| short(f16::from_le_bytes(b).to_f32())),
        DType::Bf16 => read(bytes, |b| short(bf16::from_le_bytes(b).to_f32())),
        DType::Fp32 => read(bytes, |b| short(f32::from_le_bytes(b))),
        DType::Fp64 => read(bytes, |b| number(f64::from_le_bytes(b))),
        DType::Bytes => Vec::new(),
    }
}

/// Outputs by row: a value where a row has one element, an array where it has several. An output
/// without one entry a row stands whole in each row. `signature` says which texts are nested values.
pub(crate) fn rows(outputs: &[NamedTensor], signature: &Signature, count: usize) -> Vec<Map<String, Value>> {
    let mut rows = vec![Map::new(); count];
    for output in outputs {
        let spec = signature.outputs.iter().find(|spec| spec.name == output.name);
        let all = values(&output.tensor, spec.map_or(Content::Text, |spec| spec.content));
        let per_row = if output.tensor.rows() == count && count > 0 { all.len() / count } else { 0 };
        for (i, row) in rows.iter_mut().enumerate() {
            let value = match per_row {
                0 => Value::Array(all.clone()),
                1 => all.get(i).cloned().unwrap_or(Value::Null),
                n => Value::Array(all.get(i * n..(i + 1) * n).unwrap_or_default().to_vec()),
            };
            row.insert(output.name.to_string(), value);
        }
    }
    rows
}

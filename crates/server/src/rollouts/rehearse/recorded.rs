//! Requests that were answered before: from the journal, or from a golden file, as inputs of the model again.

use super::{Key, Rehearsals, Trouble, later};
use crate::deployments::acting_for;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{self as t, DataType, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, Failure, Tenant, Tensor};
use mainspring_engine::TensorSpec;
use mainspring_query::{Limits, Query, QueryJournal, identifier, literal};
use mainspring_registry::ModelUri;
use mainspring_rollout::rehearsal::LeftOut;
use mainspring_rollout::spec::ReplaySpec;
use mainspring_serving::{Cell, Contract, Describe, GivenParams, MlflowInputs, Table};
use mainspring_wire::InferBody;
use serde_json::Value;
use std::sync::Arc;

/// Rows of the journal that are read at most.
const MOST_ROWS: usize = 50_000;
/// Requests that are looked at for each one that is wanted: those without a payload are passed over.
const PASSED_OVER: usize = 10;
/// Bytes of a golden file.
const MOST_BYTES: u64 = 64 << 20;
/// Lines of a golden file.
const MOST_LINES: usize = 10_000;
/// What stands in the place of a redacted text.
const REDACTED: &str = "[redacted]";

/// A request that is asked again.
pub(super) struct Asked {
    /// Its prediction's id, or its line in the file.
    pub id: String,
    what: What,
}

enum What {
    /// Its rows in the journal.
    Rows(RecordBatch),
    /// A line of a golden file.
    Golden { inputs: Vec<NamedTensor>, params: GivenParams, outputs: Option<Vec<NamedTensor>> },
}

/// Why a recorded request cannot be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmade {
    Redacted,
    TooLarge,
    Unreadable,
}

impl Asked {
    /// What must be answered, where a file says it.
    pub fn expected(&self) -> Option<&[NamedTensor]> {
        match &self.what {
            What::Golden { outputs, .. } => outputs.as_deref(),
            What::Rows(_) => None,
        }
    }

    /// The inputs and parameters as a version takes them.
    pub fn made(&self, contract: &Contract) -> Result<(Vec<NamedTensor>, GivenParams), Unmade> {
        match &self.what {
            What::Golden { inputs, params, .. } => Ok((inputs.clone(), params.clone())),
            What::Rows(rows) => Ok((inputs(rows, contract)?, params(rows)?)),
        }
    }
}

impl Rehearsals {
    /// The newest requests of a deployment whose inputs are kept, the newest first, and how many newer ones are not.
    pub(super) async fn recorded(
        &self,
        key: &Key,
        spec: &ReplaySpec,
        contract: &Contract,
    ) -> Result<(Vec<Asked>, LeftOut), Trouble> {
        let inner = &self.0;
        let (gate, who) = (&inner.gate, acting_for(&key.tenant));
        let describe = Describe { deployment: Some(key.deployment.clone()) };
        let view = inner.serving.describe(&gate.authorize(&who, describe).map_err(|e| later(&e))?);
        let redacted = view.map(|view| view.spec.journal.redact.clone()).unwrap_or_default();
        let auth = gate.authorize(&who, QueryJournal).map_err(|e| later(&e))?;
        let limits = Limits { rows: 2 * MOST_ROWS, ..Limits::default() };
        let query = Query::new(inner.journal.clone(), limits).of_deployment(key.deployment.as_str());
        let of = format!("deployment = {} AND shadow_of IS NULL AND outcome = 'ok'", literal(key.deployment.as_str()));
        let wanted = spec.requests as usize;
        let newest = format!(
            "SELECT at, rows, payload FROM predictions WHERE {of} AND \"row\" = 0 ORDER BY at DESC LIMIT {}",
            (PASSED_OVER * wanted).min(2 * MOST_ROWS)
        );
        let answer = query.sql(&auth, &newest).await.map_err(|e| later(&e))?;
        let Heads { span, requests, mut left_out } = heads(answer.batches(), wanted);
        let Some((from, to)) = span else { return Ok((Vec::new(), left_out)) };
        if redacted.iter().any(|name| takes(contract, name)) {
            left_out.redacted += requests as u64;
            return Ok((Vec::new(), left_out));
        }
        let columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'predictions'";
        let columns = query.sql(&auth, columns).await.map_err(|e| later(&e))?.values();
        let columns = columns.into_iter().filter_map(|row| row.first()?.as_str().map(str::to_owned));
        let columns: Vec<String> = columns.filter(|c| c.starts_with("in.")).map(|c| identifier(&c)).collect();
        let time = |micros: i64| format!("arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')");
        let rows = format!(
            "SELECT event_id, params{}{} FROM predictions WHERE {of} AND payload = 'kept' AND at >= {} AND at <= {} \
             ORDER BY at DESC, event_id, \"row\"",
            if columns.is_empty() { "" } else { ", " },
            columns.join(", "),
            time(from),
            time(to)
        );
        let answer = query.sql(&auth, &rows).await.map_err(|e| later(&e))?;
        let Some(first) = answer.batches().first() else { return Ok((Vec::new(), left_out)) };
        let all = concat_batches(&first.schema(), answer.batches()).map_err(|e| Trouble::Refused(e.to_string()))?;
        let mut asked = by_request(&all);
        asked.truncate(wanted);
        Ok((asked, left_out))
    }

    /// The requests of a golden file.
    pub(super) async fn golden(&self, tenant: &Tenant, uri: &str) -> Result<Vec<Asked>, Trouble> {
        let refused = |e: &dyn Failure| Trouble::Refused(format!("the golden file {uri} cannot be read: {e}"));
        let parsed: ModelUri = uri.parse().map_err(|e: mainspring_registry::RegistryError| refused(&e))?;
        let found = self.0.registry.resolve(tenant, &parsed).await.map_err(|e| refused(&e))?;
        let artifacts = self.0.registry.artifacts();
        let size = artifacts.head(&found.artifacts).await.map_err(|e| refused(&e))?.size;
        if size > MOST_BYTES {
            return Err(Trouble::Refused(format!("the golden file {uri} has {size} bytes, more than {MOST_BYTES}")));
        }
        let bytes = artifacts.get(&found.artifacts).await.map_err(|e| refused(&e))?;
        lines(&bytes).map_err(|why| Trouble::Refused(format!("the golden file {uri}, {why}")))
    }
}

/// The newest requests, as far as they are wanted.
struct Heads {
    /// The times of the oldest and of the newest.
    span: Option<(i64, i64)>,
    requests: usize,
    left_out: LeftOut,
}

fn heads(batches: &[RecordBatch], wanted: usize) -> Heads {
    let mut heads = Heads { span: None, requests: 0, left_out: LeftOut::default() };
    let mut lines = 0_usize;
    for batch in batches {
        let (Some(at), Some(rows), Some(payload)) = (
            batch.column(0).as_primitive_opt::<TimestampMicrosecondType>(),
            batch.column(1).as_primitive_opt::<Int32Type>(),
            batch.column(2).as_string_opt::<i32>(),
        ) else {
            continue;
        };
        for i in 0..batch.num_rows() {
            match payload.value(i) {
                "kept" => {}
                "dropped" => {
                    heads.left_out.dropped += 1;
                    continue;
                }
                _ => {
                    heads.left_out.sampled += 1;
                    continue;
                }
            }
            lines += usize::try_from(rows.value(i)).unwrap_or(1).max(1);
            if heads.requests == wanted || lines > MOST_ROWS {
                return heads;
            }
            heads.requests += 1;
            heads.span = Some((at.value(i), heads.span.map_or(at.value(i), |(_, newest)| newest)));
        }
    }
    heads
}

/// Whether a name is one of the model's inputs or of its columns.
fn takes(contract: &Contract, name: &str) -> bool {
    let columns = declared(contract).unwrap_or_default();
    contract.signature.inputs.iter().any(|i| *i.name == *name)
        || contract.target.columns.iter().any(|c| **c == *name)
        || columns.iter().any(|c| c.name.as_deref() == Some(name))
}

fn declared(contract: &Contract) -> Option<&[mainspring_serving::ColumnSpec]> {
    match contract.mlflow()?.inputs.as_ref()? {
        MlflowInputs::Columns(columns) if columns.iter().all(|c| c.name.is_some()) => Some(columns),
        _ => None,
    }
}

/// The lines of one request stand together.
fn by_request(all: &RecordBatch) -> Vec<Asked> {
    let Some(ids) = all.column(0).as_string_opt::<i32>() else { return Vec::new() };
    let mut asked = Vec::new();
    let mut start = 0;
    for end in 1..=all.num_rows() {
        if end == all.num_rows() || ids.value(end) != ids.value(start) {
            asked.push(Asked { id: ids.value(start).to_owned(), what: What::Rows(all.slice(start, end - start)) });
            start = end;
        }
    }
    asked
}

fn params(rows: &RecordBatch) -> Result<GivenParams, Unmade> {
    let params = rows.column_by_name("params").and_then(|c| c.as_string_opt::<i32>());
    let Some(text) = params.filter(|c| c.is_valid(0)).map(|c| c.value(0)) else { return Ok(GivenParams::default()) };
    if text.contains(REDACTED) {
        return Err(Unmade::Redacted);
    }
    GivenParams::recorded(text).ok_or(Unmade::Unreadable)
}

/// The tensors that the rows of one request were made of.
pub(super) fn inputs(rows: &RecordBatch, contract: &Contract) -> Result<Vec<NamedTensor>, Unmade> {
    let column = |name: &str| rows.column_by_name(&format!("in.{name}"));
    let digested = |spec: &TensorSpec| column(&format!("{}.digest", spec.name)).is_some_and(|c| c.is_valid(0));
    if contract.signature.inputs.iter().any(digested) {
        return Err(Unmade::TooLarge);
    }
    if let Some(declared) = declared(contract) {
        let names = declared.iter().filter_map(|c| c.name.as_deref());
        let there: Vec<(&str, &ArrayRef)> = names.filter_map(|name| Some((name, column(name)?))).collect();
        let mut columns = Vec::with_capacity(there.len());
        for (_, column) in &there {
            columns.push(cells(column)?.into_iter());
        }
        let mut all = Vec::with_capacity(there.len() * rows.num_rows());
        for _ in 0..rows.num_rows() {
            all.extend(columns.iter_mut().filter_map(Iterator::next));
        }
        let names = there.iter().map(|(name, _)| Arc::from(*name)).collect();
        let table = Table { columns: names, width: there.len(), cells: all };
        return contract.tensors(&table).map_err(|_| Unmade::Unreadable);
    }
    let mut tensors = Vec::new();
    for spec in &contract.signature.inputs {
        match column(&spec.name) {
            Some(column) => {
                let tensor = tensor(spec, column)?;
                tensors.push(NamedTensor { name: Arc::clone(&spec.name), tensor });
            }
            None if spec.optional => {}
            None => return Err(Unmade::Unreadable),
        }
    }
    Ok(tensors)
}

fn cells(column: &ArrayRef) -> Result<Vec<Cell>, Unmade> {
    let to = |kind: &DataType| cast(column, kind).map_err(|_| Unmade::Unreadable);
    let kind = column.data_type();
    Ok(match kind {
        DataType::Null => vec![Cell::Null; column.len()],
        DataType::Boolean => column.as_boolean().iter().map(|b| b.map_or(Cell::Null, Cell::Bool)).collect(),
        kind if kind.is_integer() => {
            to(&DataType::Int64)?.as_primitive::<Int64Type>().iter().map(|n| n.map_or(Cell::Null, Cell::Int)).collect()
        }
        kind if kind.is_floating() => {
            let numbers = to(&DataType::Float64)?;
            numbers.as_primitive::<Float64Type>().iter().map(|n| n.map_or(Cell::Null, Cell::Float)).collect()
        }
        DataType::Utf8 | DataType::Binary => {
            let text = |b: Option<&[u8]>| b.map_or(Cell::Null, |b| Cell::Text(Bytes::copy_from_slice(b)));
            let bytes = to(&DataType::Binary)?;
            let bytes = bytes.as_binary::<i32>();
            if bytes.iter().flatten().any(|b| b == REDACTED.as_bytes()) {
                return Err(Unmade::Redacted);
            }
            bytes.iter().map(text).collect()
        }
        _ => return Err(Unmade::Unreadable),
    })
}

/// A column as one tensor, as the journal's layout says: a value a row, a list a row, or all in the first row.
fn tensor(spec: &TensorSpec, column: &ArrayRef) -> Result<Tensor, Unmade> {
    let rows = column.len();
    let fixed = |dims: &[i64]| dims.iter().map(|d| usize::try_from(*d).ok()).collect::<Option<Vec<usize>>>();
    let Some(list) = column.as_list_opt::<i32>() else {
        let shape = std::iter::once(rows).chain(spec.shape.iter().skip(1).map(|_| 1)).collect();
        return filled(spec.dtype, shape, column);
    };
    let whole = !spec.batched() && (rows == 1 || (1..rows).all(|i| list.is_null(i)));
    if whole && list.is_valid(0) {
        let values = list.value(0);
        let shape = fixed(&spec.shape).filter(|s| s.iter().product::<usize>() == values.len());
        return filled(spec.dtype, shape.unwrap_or_else(|| vec![values.len()]), &values);
    }
    let lengths: Vec<usize> = (0..rows).map(|i| list.value_length(i).unsigned_abs() as usize).collect();
    let width = lengths.first().copied().unwrap_or(0);
    if list.null_count() > 0 || lengths.iter().any(|l| *l != width) {
        return Err(Unmade::Unreadable);
    }
    let (from, to) = (list.value_offsets()[0] as usize, list.value_offsets()[rows] as usize);
    let values = list.values().slice(from, to - from);
    // One dimension may be open: the others say how long it is.
    let dims = spec.shape.get(1..).unwrap_or_default();
    let known: usize = dims.iter().filter_map(|d| usize::try_from(*d).ok()).product();
    let open = dims.iter().filter(|d| **d < 0).count();
    let rest = match open {
        _ if dims.is_empty() => vec![width],
        0 => fixed(dims).unwrap_or_default(),
        1 if known > 0 => dims.iter().map(|d| usize::try_from(*d).unwrap_or(width / known)).collect(),
        _ => return Err(Unmade::Unreadable),
    };
    filled(spec.dtype, std::iter::once(rows).chain(rest).collect(), &values)
}

fn filled(dtype: DType, shape: Vec<usize>, values: &ArrayRef) -> Result<Tensor, Unmade> {
    if values.null_count() > 0 {
        return Err(Unmade::Unreadable);
    }
    macro_rules! numbers {
        ($kind:expr, $arrow:ty) => {{
            let values = cast(values, &$kind).map_err(|_| Unmade::Unreadable)?;
            if values.null_count() > 0 {
                return Err(Unmade::Unreadable);
            }
            Tensor::from_vec(dtype, shape, values.as_primitive::<$arrow>().values().to_vec())
        }};
    }
    let tensor = match dtype {
        DType::Bool => {
            let values = cast(values, &DataType::Boolean).map_err(|_| Unmade::Unreadable)?;
            let values: Vec<u8> = values.as_boolean().iter().map(|b| u8::from(b == Some(true))).collect();
            Tensor::from_vec(dtype, shape, values)
        }
        DType::Bytes => {
            let values = cast(values, &DataType::Binary).map_err(|_| Unmade::Unreadable)?;
            let texts: Vec<Bytes> = values.as_binary::<i32>().iter().flatten().map(Bytes::copy_from_slice).collect();
            if texts.iter().any(|text| text == REDACTED) {
                return Err(Unmade::Redacted);
            }
            Tensor::from_strings(shape, texts)
        }
        DType::Uint8 => numbers!(DataType::UInt8, t::UInt8Type),
        DType::Uint16 => numbers!(DataType::UInt16, t::UInt16Type),
        DType::Uint32 => numbers!(DataType::UInt32, t::UInt32Type),
        DType::Uint64 => numbers!(DataType::UInt64, t::UInt64Type),
        DType::Int8 => numbers!(DataType::Int8, t::Int8Type),
        DType::Int16 => numbers!(DataType::Int16, t::Int16Type),
        DType::Int32 => numbers!(DataType::Int32, t::Int32Type),
        DType::Int64 => numbers!(DataType::Int64, t::Int64Type),
        DType::Fp16 => numbers!(DataType::Float16, t::Float16Type),
        DType::Fp32 => numbers!(DataType::Float32, t::Float32Type),
        DType::Fp64 => numbers!(DataType::Float64, t::Float64Type),
        DType::Bf16 => return Err(Unmade::Unreadable),
    };
    tensor.map_err(|_| Unmade::Unreadable)
}

/// Lines of `{"inputs": [...], "parameters": {...}, "outputs": [...]}` with tensors as in the Open Inference Protocol.
pub(super) fn lines(bytes: &[u8]) -> Result<Vec<Asked>, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("it is no UTF-8 text: {e}"))?;
    let mut asked = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if asked.len() == MOST_LINES {
            return Err(format!("it has more than {MOST_LINES} lines"));
        }
        let wrong = |why: String| format!("line {}: {why}", at + 1);
        let mut line: Value = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
        let body = |value: Value| {
            let text = Bytes::from(value.to_string());
            let length = text.len();
            InferBody::parse(&text, length).map_err(|e| e.to_string())
        };
        let outputs = match line.get_mut("outputs").map(Value::take) {
            None | Some(Value::Null) => None,
            Some(outputs) => {
                let outputs = body(serde_json::json!({ "inputs": outputs }));
                let outputs = outputs.map_err(|e| wrong(format!("outputs: {e}")))?.inputs;
                if outputs.is_empty() {
                    // Nothing would be compared, and everything be the same.
                    return Err(wrong("outputs: it names none; leave it out to compare with stable".to_owned()));
                }
                Some(outputs)
            }
        };
        if let Some(line) = line.as_object_mut() {
            line.remove("outputs");
        }
        let InferBody { inputs, params, .. } = body(line).map_err(wrong)?;
        let params = GivenParams { values: params, flat: true };
        asked.push(Asked { id: format!("line {}", at + 1), what: What::Golden { inputs, params, outputs } });
    }
    if asked.is_empty() { Err("it has no lines".to_owned()) } else { Ok(asked) }
}

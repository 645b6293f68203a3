//! Warm-up: the first calls of a version, which also measure how its requests should run.

use crate::contract::Contract;
use crate::error::ServeError;
use crate::load::unmeasured;
use crate::stats::nanos;
use crate::table::{Cell, Table};
use crate::view::Execution;
use mainspring_core::Tensor;
use mainspring_core::tensor::{NamedTensor, TensorError};
use mainspring_engine::{EngineError, Model, RunCx, stack, zeros};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A call that stays under this may run on the thread that answers the request,
const INLINE: Duration = Duration::from_micros(200);
/// and one that takes a nanosecond more for so many bytes of input: as long as that thread is busy with
/// reading them, and the next one would first have to fetch them from its cache.
const BYTES_A_NS: u64 = 5;
/// Time for one measurement, as far as single calls allow.
const BUDGET: Duration = Duration::from_millis(30);
const CALLS: usize = 15;
/// A model slower than this is not warmed with a full batch, which would take rows times as long.
const SLOW: Duration = Duration::from_millis(50);

/// What warm-up found.
pub(crate) struct Warmth {
    pub execution: Execution,
    pub warnings: Vec<String>,
}

/// Runs the model with zeros, with the example if there is one, and with a full batch of either.
///
/// A model that answers with another type or shape than it declares is not fit to serve: that is
/// an error. One that merely refuses zeros is noted and queued, because nothing is known of it.
pub(crate) fn up(model: &dyn Model, example: Option<Vec<NamedTensor>>, max_rows: usize) -> Result<Warmth, ServeError> {
    let signature = model.signature();
    let mut warnings = Vec::new();
    let mut batched = signature.batchable() && max_rows > 1;
    let from_example = match &example {
        Some(inputs) => note(median(model, inputs), "the input example", &mut warnings)?,
        None => None,
    };
    let from_zeros = match zeros(signature, 1) {
        Ok(inputs) => note(median(model, &inputs), "a row of zeros", &mut warnings)?,
        Err(error) => {
            warnings.push(format!("cannot warm up with zeros: {error}"));
            None
        }
    };
    // The example is what requests look like; zeros of a text or an image may take no time at all.
    let Some(one) = from_example.max(from_zeros) else {
        return Ok(Warmth { execution: unmeasured(batched), warnings });
    };
    let mut per_row = one;
    if signature.batchable() {
        let rows = if one > SLOW { 2 } else { max_rows.clamp(2, 256) };
        // Zeros may be no values of the model's: an unknown category, a text without words.
        let (made, of) = match example.filter(|_| from_example.is_some()) {
            Some(example) => (repeated(&example, rows), "the input example"),
            None => (zeros(signature, rows), "zeros"),
        };
        let Ok(inputs) = made else {
            return Ok(Warmth { execution: unmeasured(batched), warnings });
        };
        match whole(model, &inputs, rows) {
            Ok(true) => {
                let many = note(median(model, &inputs), &format!("a batch of {of}"), &mut warnings)?;
                per_row = many.map_or(one, |m| m.saturating_sub(one) / u32::try_from(rows - 1).unwrap_or(1));
            }
            Ok(false) => {
                batched = false;
                warnings.push(format!("requests do not share calls: {rows} rows did not give {rows} rows"));
            }
            Err(error @ EngineError::WrongOutput { .. }) => return Err(error.into()),
            Err(error) => {
                batched = false;
                warnings.push(format!("requests do not share calls: {rows} rows of {of} failed: {error}"));
            }
        }
    }
    let (one_row_ns, per_row_ns) = (nanos(one), nanos(per_row).max(1));
    let inline_ns = nanos(INLINE) + zeros(signature, 1).map_or(0, |inputs| size(&inputs)) / BYTES_A_NS;
    let inline_rows = match inline_ns.checked_sub(one_row_ns) {
        Some(_) if model.waits() => 0,
        Some(left) => usize::try_from(1 + left / per_row_ns).unwrap_or(1).min(4096),
        None => 0,
    };
    Ok(Warmth { execution: Execution { inline_rows, batched, one_row_ns, per_row_ns }, warnings })
}

/// Bytes of the inputs of a call.
fn size(inputs: &[NamedTensor]) -> u64 {
    inputs.iter().map(|i| i.tensor.byte_len() as u64).sum()
}

/// A wrong output ends the load; any other failure is noted.
fn note(
    result: Result<Duration, EngineError>,
    with: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<Duration>, ServeError> {
    match result {
        Ok(time) => Ok(Some(time)),
        Err(error @ EngineError::WrongOutput { .. }) => Err(error.into()),
        Err(error) => {
            warnings.push(format!("warm-up with {with} failed: {error}"));
            Ok(None)
        }
    }
}

/// The median time of a call, after a first one that does not count.
fn median(model: &dyn Model, inputs: &[NamedTensor]) -> Result<Duration, EngineError> {
    let started = Instant::now();
    model.run(inputs, &RunCx::default())?;
    let mut times = Vec::with_capacity(CALLS);
    while times.is_empty() || (times.len() < CALLS && started.elapsed() < BUDGET) {
        let call = Instant::now();
        model.run(inputs, &RunCx::default())?;
        times.push(call.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// `rows` rows, those of `example` over and over.
fn repeated(example: &[NamedTensor], rows: usize) -> Result<Vec<NamedTensor>, TensorError> {
    let tile = |given: &NamedTensor| {
        let have = given.tensor.rows().max(1);
        let parts: Vec<Tensor> = (0..rows.div_ceil(have)).map(|_| given.tensor.clone()).collect();
        let parts: Vec<&Tensor> = parts.iter().collect();
        let tensor = stack(&parts)?.slice_rows(0, rows);
        Ok(NamedTensor { name: Arc::clone(&given.name), tensor })
    };
    example.iter().map(tile).collect()
}

/// Whether as many rows come out as went in: a free first dimension is not always the batch.
fn whole(model: &dyn Model, inputs: &[NamedTensor], rows: usize) -> Result<bool, EngineError> {
    let outputs = model.run(inputs, &RunCx::default())?;
    Ok(outputs.iter().all(|o| o.tensor.shape().first() == Some(&rows)))
}

/// The input example that was logged with an MLflow model, as inputs; `None` when there is none or
/// it does not fit (it is only an example).
pub(crate) fn example(root: &Path, contract: &Contract) -> Option<Vec<NamedTensor>> {
    let file = contract.mlmodel.as_ref()?.serving_input.as_ref()?;
    let text = std::fs::read_to_string(root.join(file)).ok()?;
    let body: serde_json::Value = serde_json::from_str(&text).ok()?;
    let split = body.get("dataframe_split")?;
    let columns: Vec<Arc<str>> = match split.get("columns")?.as_array() {
        Some(names) => names.iter().map(|n| n.as_str().map_or_else(|| n.to_string().into(), Arc::from)).collect(),
        None => Vec::new(),
    };
    let mut table = Table { width: columns.len(), columns, cells: Vec::new() };
    for row in split.get("data")?.as_array()?.iter().take(64) {
        table.cells.extend(row.as_array()?.iter().map(cell));
    }
    let mut inputs = contract.tensors(&table).ok()?;
    contract.signature.accept(&mut inputs).ok()?;
    Some(inputs)
}

fn cell(value: &serde_json::Value) -> Cell {
    match value {
        serde_json::Value::Bool(b) => Cell::Bool(*b),
        serde_json::Value::Number(n) => {
            n.as_i64().map(Cell::Int).or_else(|| n.as_f64().map(Cell::Float)).unwrap_or(Cell::Null)
        }
        serde_json::Value::String(s) => Cell::Text(s.clone().into()),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => Cell::Json(value.to_string().into()),
        serde_json::Value::Null => Cell::Null,
    }
}

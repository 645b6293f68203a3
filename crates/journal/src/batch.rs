//! Events of one target and one layout, column by column, on their way to an Arrow batch.

use crate::layout::{self, Layout};
use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt16Array, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use column::Column;
use mainspring_core::{
    Assignment, Cached, ErrorKind, EventId, NamedTensor, Outcome, Prediction, Protocol, Target, Tenant, Timestamp,
    Timing, Tokens,
};
use std::ops::Range;
use std::sync::Arc;

mod column;
mod digest;

/// Rows after which a batch is written without waiting for its time. A batch is in memory four times while it
/// is encoded, and the writer keeps a core from requests for as long as one takes.
pub(crate) const MAX_ROWS: usize = 2048;
/// Bytes after which a batch is written without waiting for its time.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// What `payload` says of an event whose payload is there.
const KEPT: &str = "kept";

/// A batch being filled.
pub(crate) struct Batch {
    pub tenant: Tenant,
    pub target: Arc<Target>,
    pub layout: Layout,
    pub schema: SchemaRef,
    pub fingerprint: u64,
    lines: Vec<Line>,
    payload: Vec<Column>,
    bytes: usize,
    /// Events whose payload was dropped for want of memory.
    pub payloads_dropped: u64,
}

/// What the envelope says of one line.
struct Line {
    id: EventId,
    row: i32,
    at: i64,
    protocol: Protocol,
    client_id: Option<Arc<str>>,
    caller: Arc<str>,
    assignment: Assignment,
    failed: Option<(ErrorKind, Arc<str>)>,
    rows: i32,
    batch_rows: i32,
    timing: Timing,
    flags: Option<Arc<str>>,
    params: Option<Arc<str>>,
    payload: &'static str,
    tokens: Option<Tokens>,
    cached: Option<Cached>,
}

impl Line {
    fn of(p: &Prediction, row: usize, payload: &'static str) -> Self {
        Self {
            id: p.id,
            row: row as i32,
            at: p.at.micros(),
            protocol: p.protocol,
            client_id: p.client_id.clone(),
            caller: Arc::clone(&p.caller),
            assignment: p.assignment,
            failed: match &p.outcome {
                Outcome::Ok => None,
                Outcome::Failed { kind, message } => Some((*kind, Arc::clone(message))),
            },
            rows: i32::try_from(p.rows).unwrap_or(i32::MAX),
            batch_rows: i32::try_from(p.batch_rows).unwrap_or(i32::MAX),
            timing: p.timing,
            flags: p.flags.as_ref().and_then(|flags| flags.get(row)?.clone()),
            // As a tensor without a row dimension does.
            params: p.params.as_ref().filter(|_| payload == KEPT && row == 0).map(Arc::clone),
            payload,
            // They are the request's: its first line has them.
            tokens: p.tokens.filter(|_| row == 0),
            cached: p.cached,
        }
    }
}

/// The envelope's columns, in the order of [`layout::envelope_fields`].
fn envelope(lines: &[Line], target: &Target) -> Result<Vec<ArrayRef>, ArrowError> {
    let constant =
        |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, lines.len()))) };
    let word = |f: fn(&Line) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(lines.iter().map(f))) };
    let number = |f: fn(&Line) -> i32| -> ArrayRef { Arc::new(Int32Array::from_iter_values(lines.iter().map(f))) };
    let micros = |f: fn(&Timing) -> u64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(lines.iter().map(|l| f(&l.timing) as f64 / 1000.0)))
    };
    let at = TimestampMicrosecondArray::from_iter_values(lines.iter().map(|l| l.at)).with_timezone("UTC");
    let forced: BooleanBuffer = lines.iter().map(|l| l.assignment.forced).collect();
    let propensity = Float32Array::from_iter_values(lines.iter().map(|l| l.assignment.propensity));
    Ok(vec![
        ids(lines)?,
        number(|l| l.row),
        Arc::new(at),
        constant(&target.variant),
        constant(&target.model),
        constant(&target.version),
        word(|l| l.protocol.as_str()),
        maybe(lines, |l| l.client_id.as_deref()),
        Arc::new(BooleanArray::new(forced, None)),
        Arc::new(propensity),
        Arc::new(lines.iter().map(|l| l.assignment.unit).collect::<UInt64Array>()),
        Arc::new(lines.iter().map(|l| l.assignment.generation).collect::<UInt64Array>()),
        Arc::new(lines.iter().map(|l| l.assignment.context).collect::<UInt16Array>()),
        others(lines, |l| l.assignment.shadow_of),
        word(|l| if l.failed.is_none() { "ok" } else { "failed" }),
        maybe(lines, |l| l.failed.as_ref().map(|(kind, _)| kind.as_str())),
        maybe(lines, |l| l.failed.as_ref().map(|(_, message)| &**message)),
        number(|l| l.rows),
        number(|l| l.batch_rows),
        micros(|t| t.queue_ns),
        micros(|t| t.features_ns),
        micros(|t| t.engine_ns),
        micros(|t| t.encode_ns),
        micros(|t| t.total_ns),
        maybe(lines, |l| l.flags.as_deref()),
        maybe(lines, |l| l.params.as_deref()),
        word(|l| l.payload),
        word(|l| &l.caller),
        others(lines, |l| l.cached.map(|cached| cached.from)),
        Arc::new(lines.iter().map(|l| l.cached.map(|c| c.saved_ns as f64 / 1000.0)).collect::<Float64Array>()),
        tokens(lines, |t| t.input),
        tokens(lines, |t| t.output),
    ])
}

/// Ids of other predictions: whose shadow a line ran in, or whose answer it repeats; mostly nobody's.
fn others(lines: &[Line], of: fn(&Line) -> Option<EventId>) -> ArrayRef {
    if lines.iter().all(|l| of(l).is_none()) {
        return Arc::new(StringArray::new_null(lines.len()));
    }
    Arc::new(lines.iter().map(|l| of(l).map(|id| id.to_string())).collect::<StringArray>())
}

fn tokens(lines: &[Line], of: fn(Tokens) -> u64) -> ArrayRef {
    let number = |l: &Line| l.tokens.map(|t| i64::try_from(of(t)).unwrap_or(i64::MAX));
    Arc::new(lines.iter().map(number).collect::<Int64Array>())
}

fn ids(lines: &[Line]) -> Result<ArrayRef, ArrowError> {
    const LENGTH: usize = uuid::fmt::Hyphenated::LENGTH;
    let mut text = vec![0; lines.len() * LENGTH];
    for (line, text) in lines.iter().zip(text.chunks_exact_mut(LENGTH)) {
        line.id.0.hyphenated().encode_lower(text);
    }
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(LENGTH, lines.len()));
    Ok(Arc::new(StringArray::try_new(offsets, text.into(), None)?))
}

/// A text column that is mostly empty.
fn maybe(lines: &[Line], f: fn(&Line) -> Option<&str>) -> ArrayRef {
    if lines.iter().all(|l| f(l).is_none()) {
        return Arc::new(StringArray::new_null(lines.len()));
    }
    Arc::new(lines.iter().map(f).collect::<StringArray>())
}

impl Batch {
    pub fn new(tenant: Tenant, target: Arc<Target>, layout: Layout) -> Self {
        let schema = layout.schema();
        let payload = layout.slots.iter().map(Column::of).collect();
        Self {
            tenant,
            target,
            fingerprint: layout::fingerprint(&schema),
            layout,
            schema,
            lines: Vec::new(),
            payload,
            bytes: 0,
            payloads_dropped: 0,
        }
    }

    /// Whether this batch takes events of `tenant` and `target`.
    pub fn is_for(&self, tenant: &Tenant, target: &Arc<Target>) -> bool {
        (Arc::ptr_eq(&self.target, target) || self.target == *target) && self.tenant == *tenant
    }

    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    pub fn is_full(&self) -> bool {
        self.rows() >= MAX_ROWS || self.bytes >= MAX_BYTES
    }

    /// Adds `lines` of an event; its tensors have this batch's layout, or there are none, or memory has no
    /// room for them (`payload`).
    pub fn push(&mut self, p: &Prediction, lines: Range<usize>, payload: bool) {
        let (word, kept) = match (has_payload(p), payload) {
            (true, true) => (KEPT, true),
            (true, false) => ("dropped", false),
            (false, _) => ("absent", false),
        };
        self.payloads_dropped += u64::from(word == "dropped" && lines.start == 0);
        self.bytes += lines.len() * size_of::<Line>();
        self.lines.extend(lines.clone().map(|row| Line::of(p, row, word)));
        if !kept {
            self.payload.iter_mut().for_each(|c| c.push_nulls(lines.len()));
            return;
        }
        if lines.start == 0 {
            self.bytes += p.params.as_ref().map_or(0, |params| params.len());
        }
        let rows = layout::rows_of(p);
        // Outputs first: large ones have just been computed, and are still in the cache.
        let (inputs, outputs) = self.payload.split_at_mut(p.inputs.len());
        for (column, tensor) in outputs.iter_mut().zip(p.outputs.iter()).chain(inputs.iter_mut().zip(p.inputs.iter())) {
            self.bytes += column.bytes_of(lines.len(), tensor.tensor.byte_len() / rows);
            let (per_row, row_wise) = layout::per_row(tensor, rows);
            // Without a row dimension the whole tensor stands with row 0.
            let (start, end) = (lines.start, if row_wise { lines.end } else { lines.end.min(1).max(lines.start) });
            column.push_lines(&tensor.tensor, (per_row, row_wise), start..end);
            column.push_nulls(lines.end - end);
        }
    }

    /// Predictions that carry their caller's own id, once each.
    pub fn client_ids(&self) -> impl Iterator<Item = ClientId> + '_ {
        self.lines.iter().filter(|l| l.row == 0).filter_map(|l| {
            Some(ClientId {
                tenant: self.tenant.clone(),
                target: Arc::clone(&self.target),
                id: Arc::clone(l.client_id.as_ref()?),
                prediction: l.id,
                at: Timestamp(l.at),
            })
        })
    }

    /// The rows as an Arrow batch.
    pub fn finish(self) -> Result<RecordBatch, ArrowError> {
        let mut columns = envelope(&self.lines, &self.target)?;
        for column in self.payload {
            column.finish_into(&mut columns)?;
        }
        RecordBatch::try_new(self.schema, columns)
    }
}

/// A prediction that carried its caller's own id.
pub(crate) struct ClientId {
    pub tenant: Tenant,
    pub target: Arc<Target>,
    pub id: Arc<str>,
    pub prediction: EventId,
    pub at: Timestamp,
}

/// Bytes of an event's tensors that would be stored.
pub(crate) fn payload_bytes(p: &Prediction) -> usize {
    if !has_payload(p) {
        return 0;
    }
    let lines = layout::rows_of(p);
    let bytes =
        |t: &NamedTensor| if layout::is_digested(t, lines) { lines * digest::LENGTH } else { t.tensor.byte_len() };
    p.inputs.iter().chain(p.outputs.iter()).map(bytes).sum::<usize>() + p.params.as_ref().map_or(0, |p| p.len())
}

/// Whether an event brings tensors to store. A failed request's tensors are not stored: whatever a
/// caller invents would otherwise become columns.
pub(crate) fn has_payload(p: &Prediction) -> bool {
    p.outcome == Outcome::Ok && !(p.inputs.is_empty() && p.outputs.is_empty())
}

/// Lines that an event has in the journal: one a row, one when it failed.
pub(crate) fn lines(p: &Prediction) -> usize {
    if p.outcome == Outcome::Ok { layout::rows_of(p) } else { 1 }
}

#[cfg(test)]
mod tests;

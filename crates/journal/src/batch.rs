//! Events of one target and one layout, column by column, on their way to an Arrow batch.

use crate::layout::{self, Form, Layout, Slot};
use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use column::Column;
use mainspring_core::{NamedTensor, Outcome, Prediction, Target, Tenant};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

mod column;
mod digest;

/// Rows after which a batch is written without waiting for its time.
pub(crate) const MAX_ROWS: usize = 8192;
/// Bytes after which a batch is written without waiting for its time.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// A batch being filled.
pub(crate) struct Batch {
    pub tenant: Tenant,
    pub target: Arc<Target>,
    pub layout: Layout,
    pub schema: SchemaRef,
    pub fingerprint: u64,
    pub last_used: Instant,
    envelope: Envelope,
    payload: Vec<Column>,
    bytes: usize,
    /// Events whose payload was dropped for want of memory, since the last [`Batch::take`].
    pub payloads_dropped: u64,
}

#[derive(Default)]
struct Envelope {
    event_id: StringBuilder,
    row: Vec<i32>,
    at: Vec<i64>,
    protocol: StringBuilder,
    client_id: StringBuilder,
    forced: Vec<bool>,
    propensity: Vec<f32>,
    unit: Vec<Option<u64>>,
    outcome: StringBuilder,
    error_kind: StringBuilder,
    error: StringBuilder,
    rows: Vec<i32>,
    batch_rows: Vec<i32>,
    times: [Vec<f64>; 5],
    payload: StringBuilder,
}

fn micros(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

impl Envelope {
    fn push(&mut self, p: &Prediction, lines: Range<usize>, payload: &str) {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let id: &str = p.id.0.hyphenated().encode_lower(&mut text);
        let t = &p.timing;
        let times = [t.queue_ns, t.features_ns, t.engine_ns, t.encode_ns, t.total_ns].map(micros);
        let (outcome, kind, message) = match &p.outcome {
            Outcome::Ok => ("ok", None, None),
            Outcome::Failed { kind, message } => ("failed", Some(kind.as_str()), Some(&**message)),
        };
        for line in lines {
            self.event_id.append_value(id);
            self.row.push(line as i32);
            self.at.push(p.at.micros());
            self.protocol.append_value(p.protocol.as_str());
            self.client_id.append_option(p.client_id.as_deref());
            self.forced.push(p.assignment.forced);
            self.propensity.push(p.assignment.propensity);
            self.unit.push(p.assignment.unit);
            self.outcome.append_value(outcome);
            self.error_kind.append_option(kind);
            self.error.append_option(message);
            self.rows.push(i32::try_from(p.rows).unwrap_or(i32::MAX));
            self.batch_rows.push(i32::try_from(p.batch_rows).unwrap_or(i32::MAX));
            for (column, value) in self.times.iter_mut().zip(times) {
                column.push(value);
            }
            self.payload.append_value(payload);
        }
    }

    fn take(&mut self, target: &Target) -> Vec<ArrayRef> {
        let n = self.row.len();
        let constant =
            |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, n))) };
        let at = TimestampMicrosecondArray::from(std::mem::take(&mut self.at)).with_timezone("UTC");
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.event_id.finish()),
            Arc::new(Int32Array::from(std::mem::take(&mut self.row))),
            Arc::new(at),
            constant(&target.variant),
            constant(&target.model),
            constant(&target.version),
            Arc::new(self.protocol.finish()),
            Arc::new(self.client_id.finish()),
            Arc::new(BooleanArray::from(std::mem::take(&mut self.forced))),
            Arc::new(Float32Array::from(std::mem::take(&mut self.propensity))),
            Arc::new(units(std::mem::take(&mut self.unit))),
            Arc::new(self.outcome.finish()),
            Arc::new(self.error_kind.finish()),
            Arc::new(self.error.finish()),
            Arc::new(Int32Array::from(std::mem::take(&mut self.rows))),
            Arc::new(Int32Array::from(std::mem::take(&mut self.batch_rows))),
        ];
        for times in &mut self.times {
            columns.push(Arc::new(Float64Array::from(std::mem::take(times))));
        }
        columns.push(Arc::new(self.payload.finish()));
        columns
    }
}

fn units(values: Vec<Option<u64>>) -> UInt64Array {
    let nulls = values.iter().any(Option::is_none).then(|| values.iter().map(Option::is_some).collect::<NullBuffer>());
    let values: ScalarBuffer<u64> = values.into_iter().map(Option::unwrap_or_default).collect();
    UInt64Array::new(values, nulls)
}

impl Batch {
    pub fn new(tenant: Tenant, target: Arc<Target>, layout: Layout) -> Self {
        let schema = layout.schema();
        let payload = layout.slots.iter().flat_map(columns_of).collect();
        Self {
            tenant,
            target,
            fingerprint: layout::fingerprint(&schema),
            layout,
            schema,
            last_used: Instant::now(),
            envelope: Envelope::default(),
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
        self.envelope.row.len()
    }

    pub fn is_full(&self) -> bool {
        self.rows() >= MAX_ROWS || self.bytes >= MAX_BYTES
    }

    /// Adds `lines` of an event; its tensors have this batch's layout, or there are none.
    pub fn push(&mut self, p: &Prediction, lines: Range<usize>, payload_dropped: bool) {
        let has_payload = has_payload(p);
        let payload = match (has_payload, payload_dropped) {
            (true, _) => "kept",
            (false, true) => "dropped",
            (false, false) => "absent",
        };
        self.bytes += lines.len() * 200;
        self.envelope.push(p, lines.clone(), payload);
        if !has_payload {
            self.payload.iter_mut().for_each(|c| c.push_nulls(lines.len()));
            return;
        }
        let rows = p.rows.max(1) as usize;
        let mut columns = self.payload.iter_mut();
        for (slot, tensor) in self.layout.slots.iter().zip(p.inputs.iter().chain(p.outputs.iter())) {
            self.bytes += tensor.tensor.byte_len() * lines.len() / rows;
            push_tensor(slot, tensor, rows, lines.clone(), &mut columns);
        }
    }

    /// The rows so far as an Arrow batch; this one is empty then.
    pub fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = self.envelope.take(&self.target);
        for column in &mut self.payload {
            columns.push(column.take()?);
        }
        self.bytes = 0;
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

/// Whether an event brings tensors to store. A failed request's tensors are not stored: whatever a
/// caller invents would otherwise become columns.
pub(crate) fn has_payload(p: &Prediction) -> bool {
    p.outcome == Outcome::Ok && !(p.inputs.is_empty() && p.outputs.is_empty())
}

/// Lines that an event has in the journal: one a row, one when it failed.
pub(crate) fn lines(p: &Prediction) -> usize {
    if p.outcome == Outcome::Ok { p.rows.max(1) as usize } else { 1 }
}

fn columns_of(slot: &Slot) -> Vec<Column> {
    match &slot.form {
        Form::Scalar => vec![Column::new(slot)],
        Form::List => vec![Column::list(slot)],
        Form::Columns(names) => names.iter().map(|_| Column::new(slot)).collect(),
        Form::Digest => vec![Column::text()],
    }
}

fn push_tensor<'a>(
    slot: &Slot,
    tensor: &NamedTensor,
    rows: usize,
    lines: Range<usize>,
    columns: &mut impl Iterator<Item = &'a mut Column>,
) {
    let (n, row_wise) = layout::per_row(tensor, rows);
    let t = &tensor.tensor;
    if let Form::Columns(names) = &slot.form {
        for (j, column) in columns.take(names.len()).enumerate() {
            lines.clone().for_each(|line| column.push(t, line * n + j, 1));
        }
        return;
    }
    let Some(column) = columns.next() else { return };
    // Without a row dimension the whole tensor stands with row 0.
    let with_value = if row_wise { lines.clone() } else { lines.start..lines.end.min(1).max(lines.start) };
    match slot.form {
        Form::Scalar => column.push(t, with_value.start * usize::from(row_wise), with_value.len()),
        Form::List => column.push_lists(t, with_value.start * n * usize::from(row_wise), n, with_value.len()),
        Form::Digest => with_value.clone().for_each(|line| column.push_text(&digest::of(t, line, n, row_wise))),
        Form::Columns(_) => {}
    }
    column.push_nulls(lines.len() - with_value.len());
}

#[cfg(test)]
mod tests;

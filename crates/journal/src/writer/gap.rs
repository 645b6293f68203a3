//! Records of what is missing.

use crate::layout;
use crate::log::StreamHeader;
use crate::queue::{Taken, Uncounted};
use crate::snapshot::Kind;
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use arrow::error::ArrowError;
use mainspring_core::{Target, Timestamp, Tokens};
use std::sync::Arc;

/// The reason of a gap whose events were answers in the shadow of others, which no tile counts.
pub const OF_SHADOWS: &str = "the queue is full; they were answers in the shadow of others";

/// One line of kind `gap`.
pub(super) struct Gap {
    at: Timestamp,
    until: Timestamp,
    target: Arc<Target>,
    reason: &'static str,
    events: u64,
    failed: u64,
    payloads: u64,
    compute_us: f64,
    tokens: Tokens,
}

/// Payloads that were dropped; their events are in the log.
pub(super) fn of_payloads(target: &Arc<Target>, payloads: u64, now: Timestamp) -> Gap {
    let target = Arc::clone(target);
    Gap {
        at: now,
        until: now,
        target,
        reason: "memory for payloads is full",
        events: 0,
        failed: 0,
        payloads,
        compute_us: 0.0,
        tokens: Tokens::default(),
    }
}

/// Events that are only counted.
pub(super) fn of_events(target: &Arc<Target>, uncounted: &Uncounted) -> impl Iterator<Item = Gap> {
    let (r, shadows) = (&uncounted.requests, uncounted.shadows);
    let gap = |reason, events, failed, taken: Taken| Gap {
        at: uncounted.since,
        until: uncounted.until,
        target: Arc::clone(target),
        reason,
        events,
        failed,
        payloads: events,
        compute_us: taken.compute_ns as f64 / 1000.0,
        tokens: taken.tokens,
    };
    let asked = gap("the queue is full", r.requests, r.errors(), uncounted.taken);
    [asked, gap(OF_SHADOWS, shadows.events, shadows.failed, shadows.taken)].into_iter().filter(|g| g.events > 0)
}

/// Adds rows that the disk did not take to what has to be recorded.
pub(super) fn add_lost(
    lost: &mut Vec<(StreamHeader, Gap)>,
    header: &StreamHeader,
    batch: &RecordBatch,
    now: Timestamp,
) {
    if header.kind != Kind::Prediction || batch.num_rows() == 0 {
        return;
    }
    let text = |name: &str| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
    let first = |name: &str| -> Arc<str> { text(name).map_or("", |c| c.value(0)).into() };
    let target = Target {
        deployment: header.deployment.clone().unwrap_or_default(),
        variant: first("variant"),
        model: first("model"),
        version: first("version"),
        columns: Arc::default(),
    };
    let rows = batch.column_by_name("row").and_then(|c| c.as_primitive_opt::<Int32Type>());
    let events = rows.map_or(0, |r| r.values().iter().filter(|r| **r == 0).count() as u64);
    let failed = text("outcome").map_or(0, |c| c.iter().flatten().filter(|o| *o == "failed").count() as u64);
    let (target, reason) = (Arc::new(target), "the disk takes no writes");
    add(
        lost,
        header.clone(),
        Gap {
            at: now,
            until: now,
            target,
            reason,
            events,
            failed,
            payloads: events,
            compute_us: compute_us(batch),
            tokens: tokens(batch),
        },
    );
}

/// What the answers of a batch took of the engine, microseconds.
fn compute_us(batch: &RecordBatch) -> f64 {
    let count = |name: &str| batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int32Type>());
    let engine = batch.column_by_name("engine_us").and_then(|c| c.as_primitive_opt::<Float64Type>());
    let (Some(row), Some(rows), Some(shared), Some(engine)) =
        (count("row"), count("rows"), count("batch_rows"), engine)
    else {
        return 0.0;
    };
    let share = |i: usize| {
        let (own, all) = (f64::from(rows.value(i)), f64::from(shared.value(i)));
        engine.value(i) * if all > own { own / all } else { 1.0 }
    };
    (0..batch.num_rows()).filter(|i| row.value(*i) == 0).map(share).sum()
}

/// What the answers of a batch took of tokens.
fn tokens(batch: &RecordBatch) -> Tokens {
    let cached = batch.column_by_name("cached_from");
    let spent = |i: usize| cached.is_none_or(|c| c.is_null(i));
    let sum = |name: &str| {
        let column = batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int64Type>());
        let of = column.into_iter().flat_map(|c| c.iter().enumerate().filter(|(i, _)| spent(*i)));
        of.filter_map(|(_, n)| u64::try_from(n?).ok()).sum()
    };
    Tokens { input: sum("tokens_in"), output: sum("tokens_out") }
}

/// Adds a gap to those that wait; one for the same reason and target becomes longer.
pub(super) fn add(lost: &mut Vec<(StreamHeader, Gap)>, header: StreamHeader, gap: Gap) {
    let same = |(h, g): &&mut (StreamHeader, Gap)| {
        h.tenant == header.tenant && g.target == gap.target && g.reason == gap.reason
    };
    let Some((_, known)) = lost.iter_mut().find(same) else {
        lost.push((header, gap));
        return;
    };
    known.at = known.at.min(gap.at);
    known.until = known.until.max(gap.until);
    known.events += gap.events;
    known.failed += gap.failed;
    known.payloads += gap.payloads;
    known.compute_us += gap.compute_us;
    known.tokens = known.tokens + gap.tokens;
}

impl Gap {
    pub fn batch(&self) -> Result<RecordBatch, ArrowError> {
        let at = |t: Timestamp| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from(vec![t.micros()]).with_timezone("UTC"))
        };
        let text = |s: &str| -> ArrayRef { Arc::new(StringArray::from(vec![s])) };
        let number = |n: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![i64::try_from(n).unwrap_or(i64::MAX)])) };
        let columns = vec![
            at(self.at),
            at(self.until),
            text(&self.target.variant),
            text(&self.target.model),
            text(&self.target.version),
            text(self.reason),
            number(self.events),
            number(self.failed),
            number(self.payloads),
            Arc::new(Float64Array::from(vec![self.compute_us])),
            number(self.tokens.input),
            number(self.tokens.output),
        ];
        RecordBatch::try_new(layout::gap_schema(), columns)
    }
}

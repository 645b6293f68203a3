//! From journaled rows to tiles: the same for new rows and at recovery.

use super::{Column, MAX_COLUMNS, MINUTE, SeriesKey, Tile, Tiles};
use crate::log::StreamHeader;
use crate::queue::Overflow;
use crate::snapshot::Kind;
use crate::writer::OF_SHADOWS;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::{filter_record_batch, is_null};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use mainspring_core::ErrorKind;
use mainspring_stats::TextProfile;

/// Lists up to this long have a profile for each element.
const MAX_ELEMENTS: usize = 64;

fn column<'a, T: 'static>(batch: &'a RecordBatch, name: &str) -> Option<&'a T> {
    batch.column_by_name(name)?.as_any().downcast_ref::<T>()
}

fn key(header: &StreamHeader, batch: &RecordBatch) -> Option<SeriesKey> {
    let first = |name: &str| column::<StringArray>(batch, name).map_or(String::new(), |c| c.value(0).to_owned());
    Some(SeriesKey {
        tenant: header.tenant.clone(),
        deployment: header.deployment.clone()?,
        variant: first("variant"),
        model: first("model"),
        version: first("version"),
    })
}

/// The rows that somebody got as an answer; `None` when all are. Rows of the envelope's version 1 are.
fn without_shadows(batch: &RecordBatch) -> Option<RecordBatch> {
    let shadows = column::<StringArray>(batch, "shadow_of")?;
    if shadows.null_count() == shadows.len() {
        return None;
    }
    // What cannot be told apart is left out: a tile must not count a shadow.
    filter_record_batch(batch, &is_null(shadows).ok()?).ok().or_else(|| Some(batch.slice(0, 0)))
}

impl Tiles {
    /// Counts rows of one stream; all rows of a batch are of one target. Gaps are counted only when
    /// `gaps` says so: a running writer has counted them by [`Tiles::absorb_overflow`].
    pub(crate) fn absorb(&self, header: &StreamHeader, batch: &RecordBatch, gaps: bool) {
        if batch.num_rows() == 0 {
            return;
        }
        match header.kind {
            Kind::Prediction => match without_shadows(batch) {
                Some(real) if real.num_rows() > 0 => self.absorb_predictions(header, &real),
                Some(_) => {}
                None => self.absorb_predictions(header, batch),
            },
            Kind::Gap if gaps => self.absorb_gaps(header, batch),
            Kind::Gap | Kind::Feedback | Kind::Decision => {}
        }
    }

    fn absorb_predictions(&self, header: &StreamHeader, batch: &RecordBatch) {
        let Some(key) = key(header, batch) else { return };
        let Some(at) = column::<TimestampMicrosecondArray>(batch, "at") else { return };
        let mut minutes: Vec<i64> = at.values().iter().map(|t| t - t.rem_euclid(MINUTE)).collect();
        minutes.sort_unstable();
        minutes.dedup();
        let mut all = self.0.series.lock();
        let series = all.entry(key).or_default();
        for minute in &minutes {
            let tile = series.open(*minute);
            if minutes.len() == 1 {
                tile.absorb(batch);
                return;
            }
            let mask: BooleanArray = at.values().iter().map(|t| Some(t - t.rem_euclid(MINUTE) == *minute)).collect();
            if let Ok(part) = filter_record_batch(batch, &mask) {
                tile.absorb(&part);
            }
        }
    }

    fn absorb_gaps(&self, header: &StreamHeader, batch: &RecordBatch) {
        let (Some(at), Some(events), Some(failed)) = (
            column::<TimestampMicrosecondArray>(batch, "at"),
            column::<Int64Array>(batch, "events"),
            column::<Int64Array>(batch, "failed"),
        ) else {
            return;
        };
        let reasons = column::<StringArray>(batch, "reason");
        for i in 0..batch.num_rows() {
            let Some(key) = key(header, &batch.slice(i, 1)) else { continue };
            let n = u64::try_from(events.value(i)).unwrap_or(0);
            if n == 0 || reasons.is_some_and(|r| r.value(i) == OF_SHADOWS) {
                continue;
            }
            let minute = at.value(i) - at.value(i).rem_euclid(MINUTE);
            let mut all = self.0.series.lock();
            let requests = &mut all.entry(key).or_default().open(minute).requests;
            requests.requests += n;
            requests.unstored += n;
            if let Ok(failed @ 1..) = u64::try_from(failed.value(i)) {
                requests.fail(ErrorKind::Overloaded, failed);
            }
        }
    }

    /// Counts what found no room in the queue.
    pub(crate) fn absorb_overflow(&self, overflow: &Overflow) {
        let mut all = self.0.series.lock();
        for ((tenant, target), uncounted) in overflow.iter().filter(|(_, u)| u.requests.requests > 0) {
            let key = SeriesKey {
                tenant: tenant.as_str().to_owned(),
                deployment: target.deployment.clone(),
                variant: target.variant.to_string(),
                model: target.model.to_string(),
                version: target.version.to_string(),
            };
            let at = uncounted.since.micros();
            let tile = all.entry(key).or_default().open(at - at.rem_euclid(MINUTE));
            tile.requests.merge(&uncounted.requests);
        }
    }
}

impl Tile {
    fn absorb(&mut self, batch: &RecordBatch) {
        self.absorb_requests(batch);
        self.absorb_columns(batch);
    }

    /// Adds the inputs and outputs of rows of the journal, which have the column `payload` beside them. Requests are not
    /// counted.
    pub fn absorb_columns(&mut self, batch: &RecordBatch) {
        let schema = batch.schema();
        let payload = schema.fields().iter().zip(batch.columns());
        let mut scratch = Vec::new();
        let kept = payload_rows(batch);
        for (field, values) in payload.filter(|(f, _)| f.name().starts_with("in.") || f.name().starts_with("out.")) {
            let seen = Seen { kept, scratch: &mut scratch };
            match field.data_type() {
                DataType::List(_) => self.absorb_list(field.name(), values.as_list::<i32>(), seen),
                _ => self.absorb_column(field.name(), values, seen),
            }
        }
    }

    fn absorb_requests(&mut self, batch: &RecordBatch) {
        let times =
            ["queue_us", "features_us", "engine_us", "encode_us", "total_us"].map(|n| column::<Float64Array>(batch, n));
        let (Some(row), Some(rows), Some(forced), Some(kinds), Some(payload)) = (
            column::<Int32Array>(batch, "row"),
            column::<Int32Array>(batch, "rows"),
            column::<BooleanArray>(batch, "forced"),
            column::<StringArray>(batch, "error_kind"),
            column::<StringArray>(batch, "payload"),
        ) else {
            return;
        };
        let [Some(queue), Some(features), Some(engine), Some(encode), Some(total)] = times else { return };
        let requests = &mut self.requests;
        let times = [queue, features, engine, encode, total].map(|c| c.values().as_ref());
        // A request is counted with its first line.
        let is_first = |i: &usize| row.value(*i) == 0;
        for i in (0..batch.num_rows()).filter(is_first) {
            let failed = (!kinds.is_null(i)).then(|| kind_named(kinds.value(i)));
            requests.count(failed, u64::try_from(rows.value(i)).unwrap_or(0), forced.value(i));
            requests.payloads_dropped += u64::from(payload.value(i) == "dropped");
        }
        if kinds.null_count() == kinds.len() && row.values().iter().all(|r| *r == 0) {
            requests.times(times);
        } else {
            let is_answer = |i: &usize| is_first(i) && kinds.is_null(*i);
            let of_answers = |t: &[f64]| (0..t.len()).filter(is_answer).map(|i| t[i]).collect::<Vec<_>>();
            requests.times(times.map(of_answers).each_ref().map(Vec::as_slice));
        }
    }

    fn entry(&mut self, name: &str) -> Option<&mut Column> {
        if !self.columns.contains_key(name) {
            if self.columns.len() >= MAX_COLUMNS {
                return None;
            }
            self.columns.insert(name.to_owned(), Column::default());
        }
        self.columns.get_mut(name)
    }

    fn absorb_column(&mut self, name: &str, values: &ArrayRef, seen: Seen<'_>) {
        let out = name.starts_with("out.");
        let Some(column) = self.entry(name) else { return };
        if let Some(texts) = values.as_string_opt::<i32>() {
            let profile = column.text.get_or_insert_default();
            texts.iter().flatten().for_each(|v| profile.push(v));
            profile.missing += missing(texts, seen.kept);
            return;
        }
        if !numbers(values, seen.scratch) {
            return;
        }
        let profile = column.numeric.get_or_insert_default();
        profile.extend(seen.scratch);
        profile.missing += missing(values, seen.kept);
        if out && values.data_type().is_integer() {
            classes(column.text.get_or_insert_default(), seen.scratch);
        }
    }

    /// A profile for each element when all lists are equally long and not too long.
    fn absorb_list(&mut self, name: &str, lists: &ListArray, seen: Seen<'_>) {
        let mut lengths = lists.offsets().lengths().zip(0..).filter(|(_, i)| lists.is_valid(*i)).map(|(n, _)| n);
        let Some(n) = lengths.next() else { return };
        if n == 0 || n > MAX_ELEMENTS || lengths.any(|m| m != n) || !lists.values().data_type().is_numeric() {
            return;
        }
        let mut all = Vec::new();
        if !numbers(lists.values(), &mut all) {
            return;
        }
        let start = lists.offsets().first().map_or(0, |o| *o as usize);
        for j in 0..n {
            let Some(column) = self.entry(&format!("{name}[{j}]")) else { return };
            let profile = column.numeric.get_or_insert_default();
            seen.scratch.clear();
            seen.scratch.extend(all.iter().skip(start + j).step_by(n));
            profile.extend(seen.scratch);
            profile.missing += missing(lists, seen.kept);
        }
    }
}

/// What a column needs beside its values.
struct Seen<'a> {
    /// Rows whose payload was kept.
    kept: u64,
    scratch: &'a mut Vec<f64>,
}

/// Rows that could have a value: those whose payload was kept.
fn payload_rows(batch: &RecordBatch) -> u64 {
    column::<StringArray>(batch, "payload").map_or(0, |c| c.iter().flatten().filter(|p| *p == "kept").count() as u64)
}

fn missing(values: &dyn Array, kept: u64) -> u64 {
    kept.saturating_sub((values.len() - values.null_count()) as u64)
}

fn kind_named(name: &str) -> ErrorKind {
    ErrorKind::ALL.into_iter().find(|k| k.as_str() == name).unwrap_or(ErrorKind::Internal)
}

/// Whole numbers as classes. Equal neighbours and equal values are common, so they are counted first.
fn classes(profile: &mut TextProfile, values: &mut [f64]) {
    values.sort_unstable_by(f64::total_cmp);
    for equal in values.chunk_by(|a, b| a == b) {
        let text = format!("{}", equal[0]);
        profile.present += equal.len() as u64;
        profile.distinct.push(text.as_bytes());
        profile.frequent.push(&text, equal.len() as u64);
    }
}

/// Puts each number that is there into `into`; false when the type is not one of numbers.
#[expect(clippy::cast_lossless, reason = "one macro arm serves types with and without a lossless cast")]
fn numbers(values: &ArrayRef, into: &mut Vec<f64>) -> bool {
    into.clear();
    macro_rules! each {
        ($($ty:ident => $arrow:ty),*) => {
            match values.data_type() {
                DataType::Boolean => into.extend(values.as_boolean().iter().flatten().map(|v| f64::from(u8::from(v)))),
                $(DataType::$ty => {
                    let array = values.as_primitive::<$arrow>();
                    if array.null_count() == 0 {
                        into.extend(array.values().iter().map(|v| *v as f64));
                    } else {
                        into.extend(array.iter().flatten().map(|v| v as f64));
                    }
                })*
                _ => return false,
            }
        };
    }
    each!(
        Float32 => Float32Type, Float64 => Float64Type, Int8 => Int8Type, Int16 => Int16Type, Int32 => Int32Type,
        Int64 => Int64Type, UInt8 => UInt8Type, UInt16 => UInt16Type, UInt32 => UInt32Type, UInt64 => UInt64Type
    );
    true
}

//! The rows of a window as they are, for what their sketches cannot tell: the newest so many, in the order in which they came.

use super::window::{COLUMNS, instant};
use super::{Wanted, WindowError, values};
use crate::column::Kind;
use crate::performance::{begins, labels};
use crate::table::Table;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use mainspring_core::{Authorized, Timestamp};
use mainspring_query::{Query, QueryJournal, identifier, literal};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

/// Rows that are read at most, the newest.
const MOST_ROWS: usize = 100_000;
/// Bytes that they take at most, about: they are held at once, and sent.
const MOST_BYTES: usize = 96 << 20;
/// Rows of one part, whose size is known only once it is read.
const PART: usize = 10_000;
/// How far back the first part reaches, microseconds; later ones further, where there is little in them.
const FIRST: i64 = 3_600_000_000;
/// What stands in the place of a redacted text.
const REDACTED: &str = "[redacted]";
/// Under which key of the schema's metadata [`About`] is sent.
const ABOUT: &str = "mainspring";
/// Columns beside inputs and outputs: when, which prediction, which row of it.
const ENVELOPE: [&str; 3] = ["at", "event_id", "row"];
/// The column with what was true.
pub(crate) const LABEL: &str = "label";

/// Which label the rows come with.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    /// Name of the feedback.
    pub name: &'a str,
    /// Whether rows without one are left out.
    pub only: bool,
}

/// What must be known to read the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// From here on, microseconds: later than was asked for where there were too many rows.
    pub since: Timestamp,
    /// Whether there were older ones in this time.
    pub partial: bool,
    /// Rows of the deployment that were answered in this time and whose payload was not kept.
    pub unkept: u64,
}

/// Rows that were kept.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// What must be known of them.
    pub about: About,
    /// The first has everything's schema: [`ENVELOPE`], inputs, outputs, and `label` where one was asked for.
    batches: Vec<RecordBatch>,
}

/// Reads the newest rows of a window.
///
/// # Errors
/// [`WindowError`].
pub(crate) async fn rows(
    query: &Query,
    auth: &Authorized<QueryJournal>,
    wanted: &Wanted,
    label: Option<Labelled<'_>>,
) -> Result<Kept, WindowError> {
    let name = wanted.deployment.as_str();
    let begins = if label.is_some() { begins(wanted.from) } else { wanted.from };
    let query = query.of_deployment(name).since(begins).reaching(PART);
    let known = query.sql(auth, COLUMNS).await?.values();
    let known: Vec<(&str, &str)> =
        known.iter().filter_map(|row| Some((row.first()?.as_str()?, row.get(1)?.as_str()?))).collect();
    let source = source(wanted, &known, label)?;
    let unkept = unkept(&query, auth, wanted).await?;
    let (mut parts, mut read, mut bytes) = (Vec::new(), 0, 0);
    let (mut until, mut step, mut before) = (wanted.until, FIRST, None::<String>);
    while until > wanted.from && read < MOST_ROWS && bytes < MOST_BYTES {
        let from = until.plus_micros(-step).max(wanted.from);
        let most = PART.min(MOST_ROWS - read);
        let part = query.sql_limited(auth, &source.part(from, until, before.as_deref(), most), most).await?;
        let batches = part.batches();
        let rows = part.rows();
        read += rows;
        bytes += batches.iter().map(RecordBatch::get_array_memory_size).sum::<usize>();
        before = (rows == most).then(|| batches.last().and_then(oldest)).flatten();
        parts.extend(batches.iter().cloned());
        if before.is_some() {
            continue;
        }
        until = from;
        if rows < PART / 4 {
            step = step.saturating_mul(4);
        }
    }
    let partial = until > wanted.from;
    let batches = in_order(&parts, label.is_some()).map_err(|e| WindowError::Rows(e.to_string()))?;
    let first = batches.first().and_then(|batch| at(batch, 0)).filter(|_| partial);
    Ok(Kept { about: About { since: first.unwrap_or(wanted.from), partial, unkept }, batches })
}

/// What the parts are read from.
struct Source {
    columns: Vec<String>,
    labels: String,
    condition: String,
}

fn source(wanted: &Wanted, known: &[(&str, &str)], label: Option<Labelled<'_>>) -> Result<Source, WindowError> {
    let mut condition = wanted.condition(known, "p.")?;
    let payload = |name: &&str| (name.starts_with("in.") || name.starts_with("out.")) && !name.ends_with(".digest");
    let names = ENVELOPE.into_iter().chain(known.iter().map(|(name, _)| *name).filter(payload));
    let mut columns: Vec<String> = names.map(|name| format!("p.{}", identifier(name))).collect();
    let joined = label.map_or(String::new(), |label| {
        columns.extend(["value", "value_type", "value_number"].map(|part| format!("f.{part} AS label_{part}")));
        // What is judged by its label is what callers got.
        condition.push_str(" AND p.outcome = 'ok' AND NOT p.forced");
        let (join, labels) = (if label.only { "" } else { "LEFT " }, labels(label.name, wanted.of()));
        format!(" {join}JOIN ({labels}) f ON f.prediction_id = p.event_id AND f.\"row\" = p.\"row\"")
    });
    Ok(Source { columns, labels: joined, condition })
}

impl Source {
    /// The newest rows from `from` on and before `until`, and `before` a row that was read.
    fn part(&self, from: Timestamp, until: Timestamp, before: Option<&str>, most: usize) -> String {
        format!(
            "SELECT {} FROM predictions p{} WHERE {} AND p.at >= {} AND p.at < {}{} \
             ORDER BY p.at DESC, p.event_id DESC, p.\"row\" DESC LIMIT {most}",
            self.columns.join(", "),
            self.labels,
            self.condition,
            instant(from),
            instant(until),
            before.unwrap_or_default(),
        )
    }
}

/// How many rows were answered without being kept.
async fn unkept(query: &Query, auth: &Authorized<QueryJournal>, wanted: &Wanted) -> Result<u64, WindowError> {
    let sql = format!(
        "SELECT count(*) FROM predictions WHERE {} AND outcome = 'ok' AND payload <> 'kept' AND at >= {} AND at < {}",
        wanted.scope(""),
        instant(wanted.from),
        instant(wanted.until)
    );
    let counted = query.sql(auth, &sql).await?.values();
    Ok(counted.first().and_then(|row| row.first()?.as_u64()).unwrap_or(0))
}

/// The condition of rows that are older than the last one of a part.
fn oldest(batch: &RecordBatch) -> Option<String> {
    let last = batch.num_rows().checked_sub(1)?;
    let moment = instant(at(batch, last)?);
    let id = cast(batch.column_by_name("event_id")?, &DataType::Utf8).ok()?;
    let id = literal(id.as_string::<i32>().value(last));
    let row = cast(batch.column_by_name("row")?, &DataType::Int64).ok()?;
    let row = row.as_primitive::<Int64Type>().value(last);
    Some(format!(
        " AND (p.at < {moment} OR (p.at = {moment} AND (p.event_id < {id} OR (p.event_id = {id} AND p.\"row\" < {row}))))"
    ))
}

fn at(batch: &RecordBatch, row: usize) -> Option<Timestamp> {
    let all = cast(batch.column_by_name("at")?, &DataType::Int64).ok()?;
    (row < all.len()).then(|| Timestamp(all.as_primitive::<Int64Type>().value(row)))
}

/// Parts that were read backwards, the oldest row first; what was true as one column.
fn in_order(parts: &[RecordBatch], labelled: bool) -> Result<Vec<RecordBatch>, ArrowError> {
    let whole = parts.iter().rev().map(|part| {
        let order = UInt32Array::from_iter_values((0..part.num_rows() as u32).rev());
        take_record_batch(part, &order)
    });
    let whole: Vec<RecordBatch> = whole.collect::<Result<_, _>>()?;
    if !labelled {
        return Ok(whole);
    }
    // Of all rows together: whether labels are numbers is not known of a part.
    let Some(first) = whole.first() else { return Ok(whole) };
    let all = concat_batches(&first.schema(), &whole)?;
    let label = labels_of(&all)?;
    let schema = all.schema();
    let columns = schema.fields().iter().map(|f| f.name().as_str()).zip(all.columns());
    let columns = columns.filter(|(name, _)| !name.starts_with("label_")).chain([(LABEL, &label)]);
    let columns = columns.map(|(name, values)| (name, Arc::clone(values), true));
    Ok(vec![RecordBatch::try_from_iter_with_nullable(columns)?])
}

/// Labels as numbers or as true and false, where all of them are, and as texts otherwise.
fn labels_of(all: &RecordBatch) -> Result<ArrayRef, ArrowError> {
    let column = |name: &str, kind: &DataType| match all.column_by_name(name) {
        Some(values) => cast(values, kind),
        None => Err(ArrowError::SchemaError(format!("no column {name}"))),
    };
    let (values, kinds) = (column("label_value", &DataType::Utf8)?, column("label_value_type", &DataType::Utf8)?);
    let numbers = column("label_value_number", &DataType::Float64)?;
    let (kinds, numbers) = (kinds.as_string::<i32>(), numbers.as_primitive::<Float64Type>());
    let only = |kind: &str| kinds.iter().flatten().all(|k| k == kind);
    let there = || kinds.iter().zip(numbers).map(|(kind, number)| number.filter(|_| kind.is_some()));
    Ok(if only("bool") && kinds.null_count() < kinds.len() {
        Arc::new(there().map(|v| v.map(|v| v != 0.0)).collect::<BooleanArray>())
    } else if only("number") {
        Arc::new(there().collect::<Float64Array>())
    } else {
        values
    })
}

impl Kept {
    /// How many.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The names of its columns.
    pub(crate) fn names(&self) -> Vec<String> {
        let schema = self.batches.first().map(RecordBatch::schema);
        schema.iter().flat_map(|schema| schema.fields()).map(|field| field.name().clone()).collect()
    }

    /// A column's parts, or those of an element of a list (`in.list[2]`); none where it is not there.
    pub(crate) fn column(&self, name: &str) -> Vec<ArrayRef> {
        self.batches.iter().filter_map(|batch| values(batch, name).ok().flatten()).collect()
    }

    /// Whether there is such a column, or element of one.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.kind(name).is_some()
    }

    /// The type of a column, or of an element of one.
    pub(crate) fn kind(&self, name: &str) -> Option<DataType> {
        let first = values(self.batches.first()?, name).ok()??;
        Some(first.data_type().clone())
    }

    /// Some of its columns, each by a new name and where that is said as another type, as a table that is called `name`.
    ///
    /// # Errors
    /// What Arrow says of columns that are not there.
    pub(crate) fn called(&self, name: &str, columns: &[(&str, &str, Option<&DataType>)]) -> Result<Table, ArrowError> {
        let one = |batch: &RecordBatch, (new, from, kind): &(&str, &str, Option<&DataType>)| {
            let values = values(batch, from)?.ok_or_else(|| ArrowError::SchemaError(format!("no column {from}")))?;
            let values = kind.map_or_else(|| Ok(Arc::clone(&values)), |kind| cast(&values, kind))?;
            Ok::<_, ArrowError>(((*new).to_owned(), values, true))
        };
        let called = |batch: &RecordBatch| {
            let columns = columns.iter().map(|column| one(batch, column)).collect::<Result<Vec<_>, _>>()?;
            RecordBatch::try_from_iter_with_nullable(columns)
        };
        Ok(Table::live(name, self.batches.iter().map(called).collect::<Result<_, _>>()?, Vec::new()))
    }

    /// As a stream of Arrow, with what must be known in its metadata.
    ///
    /// # Errors
    /// What Arrow says of columns that it cannot write.
    pub fn to_arrow(&self) -> Result<Vec<u8>, ArrowError> {
        let about = serde_json::to_string(&self.about).map_err(|e| ArrowError::ExternalError(Box::new(e)))?;
        let fields = self.batches.first().map(|batch| batch.schema().fields().clone()).unwrap_or_default();
        let schema = Arc::new(Schema::new_with_metadata(fields, HashMap::from([(ABOUT.to_owned(), about)])));
        let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
        for batch in &self.batches {
            writer.write(&RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec())?)?;
        }
        writer.into_inner()
    }

    /// What [`Kept::to_arrow`] wrote.
    ///
    /// # Errors
    /// What Arrow says of what is no such stream.
    pub fn from_arrow(bytes: impl Read) -> Result<Self, ArrowError> {
        let reader = StreamReader::try_new(bytes, None)?;
        let about = reader.schema().metadata().get(ABOUT).cloned().unwrap_or_default();
        let about = serde_json::from_str(&about)
            .map_err(|e| ArrowError::SchemaError(format!("it does not say which rows it has: {e}")))?;
        Ok(Self { about, batches: reader.collect::<Result<_, _>>()? })
    }

    /// Its inputs and outputs, without those of these names, as a table that is called `name`. A column is called as in `file`,
    /// the table on the other side, where that has it without `in.` or `out.`; an input comes before an output.
    ///
    /// # Errors
    /// What Arrow says of rows that differ in their columns.
    pub fn table(&self, name: &str, without: &[String], file: Option<&Table>) -> Result<Table, ArrowError> {
        let Some(first) = self.batches.first() else { return Ok(Table::live(name, Vec::new(), Vec::new())) };
        let schema = first.schema();
        let mut names: Vec<(usize, String)> = Vec::new();
        for side in ["in.", "out."] {
            for (place, field) in schema.fields().iter().enumerate() {
                let Some(bare) = field.name().strip_prefix(side).filter(|_| !without.contains(field.name())) else {
                    continue;
                };
                let there = file.is_some_and(|file| file.schema().index_of(bare).is_ok());
                let taken = names.iter().any(|(_, name)| name == bare);
                names.push((place, if there && !taken { bare } else { field.name() }.to_owned()));
            }
        }
        names.sort_by_key(|(place, _)| *place);
        let called = |batch: &RecordBatch| {
            let columns = names.iter().map(|(place, name)| (name.clone(), Arc::clone(batch.column(*place)), true));
            RecordBatch::try_from_iter_with_nullable(columns)
        };
        let batches: Vec<RecordBatch> = self.batches.iter().map(called).collect::<Result<_, _>>()?;
        let columns = |name: &str| batches.iter().filter_map(|b| b.column_by_name(name)).collect::<Vec<_>>();
        let unkept = names.iter().map(|(_, name)| name.clone()).filter(|name| is_unkept(&columns(name))).collect();
        Ok(Table::live(name, batches, unkept))
    }
}

/// Whether there are values, and all of them stand for what was not to be kept: NaN, or the word for redacted texts.
fn is_unkept(columns: &[&ArrayRef]) -> bool {
    let mut any = false;
    for column in columns {
        any |= column.null_count() < column.len();
        let kept = match Kind::of(column.data_type()) {
            Kind::Number => cast(column, &DataType::Float64)
                .is_ok_and(|values| values.as_primitive::<Float64Type>().iter().flatten().any(|v| !v.is_nan())),
            Kind::Text => cast(column, &DataType::Utf8)
                .is_ok_and(|values| values.as_string::<i32>().iter().flatten().any(|text| text != REDACTED)),
            _ => column.null_count() < column.len(),
        };
        if kept {
            return false;
        }
    }
    any
}

#[cfg(test)]
mod tests;

//! A uniform sample of each minute's rows, from the journal's batches.

use super::narrow::Kept;
use super::why::Given;
use super::{form, labels};
use crate::column::{Kind, numbers, texts};
use crate::live::spec::{MonitorSpec, Whose};
use crate::lowest::{Lowest, mark};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use mainspring_core::Timestamp;
use std::collections::BTreeMap;

/// Microseconds of a minute.
pub const MINUTE: i64 = 60_000_000;
/// Rows that are kept of a minute.
pub const SAMPLED: usize = 256;
/// Rows beyond those that are held before they are looked through: each is a number of every column.
const MORE: usize = 32;
/// Columns that are watched; further ones are not.
pub const MOST_COLUMNS: usize = 1_024;
/// Lists up to this long are a column for each element.
pub(super) const MOST_ELEMENTS: usize = 64;

/// Values of one column, a row each.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// NaN is missing; what has no end is the last number that has one.
    Numbers(Vec<f64>),
    /// `None` is missing.
    Texts(Vec<Option<Box<str>>>),
}

impl Cells {
    fn missing(like: &Self, rows: usize) -> Self {
        match like {
            Self::Numbers(_) => Self::Numbers(vec![f64::NAN; rows]),
            Self::Texts(_) => Self::Texts(vec![None; rows]),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    /// Those of some rows, in that order.
    pub(super) fn at(&self, rows: &[usize]) -> Self {
        match self {
            Self::Numbers(values) => Self::Numbers(rows.iter().map(|row| values[*row]).collect()),
            Self::Texts(values) => Self::Texts(rows.iter().map(|row| values[*row].clone()).collect()),
        }
    }

    /// Puts `more` behind; what is of the other kind has no value here.
    fn extend(&mut self, more: Self) {
        match (self, more) {
            (Self::Numbers(mine), Self::Numbers(more)) => mine.extend(more),
            (Self::Texts(mine), Self::Texts(more)) => mine.extend(more),
            (mine, more) => {
                let missing = Self::missing(mine, more.len());
                mine.extend(missing);
            }
        }
    }
}

/// Values of one column while their minute is open: of many columns they are most of what a monitor holds.
enum Held {
    Numbers(Kept),
    Texts(Vec<Option<Box<str>>>),
}

impl Held {
    /// As many missing values as there are rows without the column.
    fn missing(like: &Cells, rows: usize) -> Self {
        match like {
            Cells::Numbers(_) => Self::Numbers(std::iter::repeat_n(f64::NAN, rows).collect()),
            Cells::Texts(_) => Self::Texts(vec![None; rows]),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    /// So many rows in which it was not.
    fn skip(&mut self, rows: usize) {
        match self {
            Self::Numbers(values) => values.extend(std::iter::repeat_n(f64::NAN, rows)),
            Self::Texts(values) => values.extend(std::iter::repeat_n(None, rows)),
        }
    }

    /// Puts `more` behind; what is of the other kind has no value here.
    fn extend(&mut self, more: Cells) {
        match (self, more) {
            (Self::Numbers(mine), Cells::Numbers(more)) => mine.extend(more),
            (Self::Texts(mine), Cells::Texts(more)) => mine.extend(more),
            (mine, more) => mine.skip(more.len()),
        }
    }

    fn arrange(&mut self, order: &[usize]) {
        match self {
            Self::Numbers(values) => values.arrange(order),
            Self::Texts(values) => *values = order.iter().map(|at| values[*at].take()).collect(),
        }
    }

    fn cells(self) -> Cells {
        match self {
            Self::Numbers(values) => Cells::Numbers(values.values().collect()),
            Self::Texts(values) => Cells::Texts(values),
        }
    }
}

/// What is known of one minute of one version, or of what is looked at together where that is shorter.
#[derive(Debug, Clone, PartialEq)]
pub struct Minute {
    /// When it begins.
    pub at: Timestamp,
    /// The registered model, or the file.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Rows that it had.
    pub seen: u64,
    /// Rows of the sample, at most [`SAMPLED`], in an order by chance.
    pub rows: usize,
    /// The same rows in the order in which they came, each with when it did.
    pub in_time: Vec<(usize, Timestamp)>,
    /// Their values by column: `in.<name>`, `out.<name>`.
    pub columns: BTreeMap<String, Cells>,
}

/// When a row came: of one moment in the order of their ids, and of one request in the order of its rows.
type Came = (i64, u128, i32);

type Key = (i64, String, String);

struct Bucket {
    seen: u64,
    lowest: Lowest,
    came: Vec<Came>,
    columns: BTreeMap<String, Held>,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { seen: 0, lowest: Lowest::new(SAMPLED).and(MORE), came: Vec::new(), columns: BTreeMap::new() }
    }
}

/// Takes batches, gives minutes, or what is looked at together where that is shorter.
pub struct Sampler {
    /// How long that is, microseconds.
    step: i64,
    open: BTreeMap<Key, Bucket>,
    /// Minutes before this one were given away.
    closed: i64,
    late: u64,
}

/// The envelope's columns that decide.
struct Envelope<'a> {
    id: &'a StringArray,
    row: &'a Int32Array,
    at: &'a TimestampMicrosecondArray,
    variant: &'a StringArray,
    model: &'a StringArray,
    version: &'a StringArray,
    forced: &'a BooleanArray,
    outcome: &'a StringArray,
    payload: &'a StringArray,
    shadow_of: Option<&'a StringArray>,
}

impl<'a> Envelope<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        fn column<'a, T: 'static>(batch: &'a RecordBatch, name: &str) -> Option<&'a T> {
            batch.column_by_name(name)?.as_any().downcast_ref::<T>()
        }
        Some(Self {
            id: column(batch, "event_id")?,
            row: column(batch, "row")?,
            at: column(batch, "at")?,
            variant: column(batch, "variant")?,
            model: column(batch, "model")?,
            version: column(batch, "version")?,
            forced: column(batch, "forced")?,
            outcome: column(batch, "outcome")?,
            payload: column(batch, "payload")?,
            shadow_of: column(batch, "shadow_of"),
        })
    }

    /// Whether a caller got this row from a variant that was not asked for by name, and its values are there.
    fn counts(&self, i: usize, whose: Whose<'_>) -> bool {
        whose.variant.is_none_or(|variant| self.variant.value(i) == variant)
            && whose.version.is_none_or(|version| self.version.value(i) == version)
            && self.outcome.value(i) == "ok"
            && self.payload.value(i) == "kept"
            && !self.forced.value(i)
            && self.shadow_of.is_none_or(|s| s.is_null(i))
    }

    fn came(&self, i: usize) -> Came {
        let digits = self.id.value(i).bytes().filter_map(|b| char::from(b).to_digit(16));
        let id = digits.fold(0_u128, |id, digit| (id << 4) | u128::from(digit));
        (self.at.value(i), id, self.row.value(i))
    }

    fn mark(&self, i: usize) -> u64 {
        // The id's last 16 digits are its random part.
        let id = self.id.value(i).as_bytes();
        let digits = id.iter().rev().filter_map(|b| char::from(*b).to_digit(16)).take(16);
        let random = digits.fold(0_u64, |sum, digit| (sum << 4) | u64::from(digit));
        mark(mark(random).wrapping_add(u64::try_from(self.row.value(i)).unwrap_or(0)))
    }
}

impl Sampler {
    /// Begins with the minute at `from`; rows of earlier ones are late.
    pub fn from(from: Timestamp) -> Self {
        Self { step: MINUTE, open: BTreeMap::new(), closed: from.micros(), late: 0 }
    }

    /// The same, with another length than a minute.
    #[must_use]
    pub fn every(self, step: i64) -> Self {
        Self { step, ..self }
    }

    /// Takes the rows of a batch that count.
    ///
    /// # Errors
    /// What Arrow says of values that it cannot read.
    pub fn take(&mut self, batch: &RecordBatch, spec: &MonitorSpec) -> Result<(), ArrowError> {
        self.take_of(batch, spec, spec.whose())
    }

    /// Takes the rows of a batch that count and are of those that are named.
    ///
    /// # Errors
    /// What Arrow says of values that it cannot read.
    pub fn take_of(&mut self, batch: &RecordBatch, spec: &MonitorSpec, whose: Whose<'_>) -> Result<(), ArrowError> {
        let Some(envelope) = Envelope::of(batch) else { return Ok(()) };
        let part = whose.part.rows(batch)?;
        let mut runs: Vec<(Key, Vec<u32>)> = Vec::new();
        for i in 0..batch.num_rows() {
            if !envelope.counts(i, whose) || part.as_ref().is_some_and(|of| !of[i]) {
                continue;
            }
            let at = envelope.at.value(i);
            let minute = at - at.rem_euclid(self.step);
            if minute < self.closed {
                self.late += 1;
                continue;
            }
            let (model, version) = (envelope.model.value(i), envelope.version.value(i));
            match runs.last_mut() {
                Some(((m, of, v), rows)) if *m == minute && of == model && v == version => rows.push(i as u32),
                _ => runs.push(((minute, model.to_owned(), version.to_owned()), vec![i as u32])),
            }
        }
        for (key, rows) in runs {
            self.open.entry(key).or_default().take(batch, &envelope, (rows, spec))?;
        }
        Ok(())
    }

    /// Rows that came after their minute had been given away.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Gives the minutes that end at or before `until`, the oldest first.
    pub fn close(&mut self, until: Timestamp) -> Vec<Minute> {
        let end = until.micros() - until.micros().rem_euclid(self.step);
        if end <= self.closed {
            return Vec::new();
        }
        self.closed = end;
        let later = self.open.split_off(&(end, String::new(), String::new()));
        std::mem::replace(&mut self.open, later).into_iter().map(|(key, bucket)| bucket.minute(key)).collect()
    }
}

impl Bucket {
    fn take(
        &mut self,
        batch: &RecordBatch,
        envelope: &Envelope<'_>,
        (mut rows, spec): (Vec<u32>, &MonitorSpec),
    ) -> Result<(), ArrowError> {
        self.seen += rows.len() as u64;
        rows.retain(|i| {
            let mark = envelope.mark(*i as usize);
            let wanted = self.lowest.wants(mark);
            if wanted {
                self.lowest.push(mark);
            }
            wanted
        });
        if rows.is_empty() {
            return Ok(());
        }
        let before = self.lowest.len() - rows.len();
        self.came.extend(rows.iter().map(|i| envelope.came(*i as usize)));
        let chosen = UInt32Array::from(rows);
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let name = field.name();
            let truth = labels::is_truth(name);
            if !(truth || name.starts_with("in.") || name.starts_with("out.")) {
                continue;
            }
            let wanted = |name: &str| truth || spec.reads(name);
            let values = take(column, &chosen, None)?;
            for (name, cells) in in_form(cells(name, &values)?, spec) {
                if !wanted(&name) || (self.columns.len() >= MOST_COLUMNS && !self.columns.contains_key(&name)) {
                    continue;
                }
                let mine = self.columns.entry(name).or_insert_with(|| Held::missing(&cells, before));
                if mine.len() > before {
                    // An element of a list and a column that is called like it: the first of them has the name.
                    continue;
                }
                // A batch of another layout did not have it.
                mine.skip(before.saturating_sub(mine.len()));
                mine.extend(cells);
            }
        }
        if self.lowest.crowded() {
            self.settle();
        }
        Ok(())
    }

    fn settle(&mut self) {
        let rows = self.lowest.len();
        let order = self.lowest.settle();
        self.came = order.iter().map(|at| self.came[*at]).collect();
        for held in self.columns.values_mut() {
            held.skip(rows.saturating_sub(held.len()));
            held.arrange(&order);
        }
    }

    fn minute(mut self, (at, model, version): Key) -> Minute {
        self.settle();
        let Self { seen, lowest, came, columns } = self;
        let mut in_time: Vec<usize> = (0..came.len()).collect();
        in_time.sort_unstable_by_key(|row| came[*row]);
        let in_time = in_time.into_iter().map(|row| (row, Timestamp(came[row].0))).collect();
        let columns = columns.into_iter().map(|(name, held)| (name, held.cells())).collect();
        Minute { at: Timestamp(at), model, version, seen, rows: lowest.len(), in_time, columns }
    }
}

/// The same with the form of free texts in the place of these.
fn in_form(columns: Vec<(String, Cells)>, spec: &MonitorSpec) -> Vec<(String, Cells)> {
    let each = columns.into_iter().flat_map(|(name, cells)| match &cells {
        Cells::Texts(texts) if spec.is_free_text(&name) => form::columns(&name, texts),
        Cells::Texts(_) | Cells::Numbers(_) => vec![(name, cells)],
    });
    each.collect()
}

/// The inputs of all rows of some batches.
///
/// # Errors
/// What Arrow says of values that it cannot read.
pub(super) fn inputs(batches: &[RecordBatch]) -> Result<Given, ArrowError> {
    let mut given = Given::default();
    for batch in batches {
        for (field, values) in batch.schema().fields().iter().zip(batch.columns()) {
            if !field.name().starts_with("in.") {
                continue;
            }
            for (name, cells) in cells(field.name(), values)? {
                let mine = given.columns.entry(name).or_insert_with(|| Cells::missing(&cells, 0));
                mine.extend(Cells::missing(mine, given.rows.saturating_sub(mine.len())));
                mine.extend(cells);
            }
        }
        given.rows += batch.num_rows();
        for cells in given.columns.values_mut() {
            cells.extend(Cells::missing(cells, given.rows.saturating_sub(cells.len())));
        }
    }
    Ok(given)
}

/// A column as numbers or texts; a list as one for each element; nothing for what is neither.
fn cells(name: &str, values: &ArrayRef) -> Result<Vec<(String, Cells)>, ArrowError> {
    if let DataType::List(_) = values.data_type() {
        return elements(name, values);
    }
    Ok(plain(values)?.map(|cells| (name.to_owned(), cells)).into_iter().collect())
}

fn plain(values: &ArrayRef) -> Result<Option<Cells>, ArrowError> {
    match Kind::of(values.data_type()) {
        Kind::Integer | Kind::Number => {
            let mut all = Vec::with_capacity(values.len());
            numbers(values, |v| all.push(v.unwrap_or(f64::NAN).clamp(f64::MIN, f64::MAX)))?;
            Ok(Some(Cells::Numbers(all)))
        }
        Kind::Boolean | Kind::Text => {
            let mut all = Vec::with_capacity(values.len());
            texts(values, |v| all.push(v.map(Box::from)))?;
            Ok(Some(Cells::Texts(all)))
        }
        Kind::Time | Kind::Other => Ok(None),
    }
}

/// Each row by itself, so that it does not matter which rows share a batch: what a row's list does not reach is missing
/// there, and a list that is too long has no elements.
fn elements(name: &str, values: &ArrayRef) -> Result<Vec<(String, Cells)>, ArrowError> {
    let lists = values.as_list::<i32>();
    let length = |i: usize| if lists.is_valid(i) { usize::try_from(lists.value_length(i)).unwrap_or(0) } else { 0 };
    let lengths: Vec<usize> = (0..lists.len()).map(length).map(|n| if n > MOST_ELEMENTS { 0 } else { n }).collect();
    let place = |j: usize| -> UInt32Array {
        lengths.iter().enumerate().map(|(i, n)| (*n > j).then(|| lists.value_offsets()[i] as u32 + j as u32)).collect()
    };
    let mut all = Vec::new();
    for j in 0..lengths.iter().copied().max().unwrap_or(0) {
        if let Some(cells) = plain(&take(lists.values(), &place(j), None)?)? {
            all.push((format!("{name}[{j}]"), cells));
        }
    }
    Ok(all)
}

/// Of each minute in which several versions answered, the one with the most rows, and of two as many the one that `before`
/// names: around a swap both are there, and going back and forth would begin everything anew each time.
pub(crate) fn most_of_each(minutes: Vec<Minute>, before: (&str, &str)) -> Vec<Minute> {
    let mut kept: Vec<Minute> = Vec::with_capacity(minutes.len());
    for minute in minutes {
        let rank = |m: &Minute| (m.seen, (m.model.as_str(), m.version.as_str()) == before);
        match kept.last_mut().filter(|last| last.at == minute.at) {
            Some(last) if rank(last) >= rank(&minute) => {}
            Some(last) => *last = minute,
            None => kept.push(minute),
        }
    }
    kept
}

#[cfg(test)]
pub(crate) mod tests;

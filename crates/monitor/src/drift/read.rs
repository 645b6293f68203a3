//! Columns of both files, read beside each other in as few passes as memory allows.
//!
//! A Parquet file is read column by column, each by a thread of its own. In a CSV, in JSON Lines and in Arrow's format
//! a column is only found by going through all of the file, so that as many columns as fit into [`HELD`] are taken in a pass.
//! How many that is decides on no number: a column's values are the same in any pass.

use super::broken::{Seen, Sort};
use super::vectors;
use crate::column::{Kind, numbers_into, texts as each_text};
use crate::error::MonitorError;
use crate::table::Table;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use mainspring_stats::presets::{MISSING, Values};
use std::collections::HashMap;

/// Bytes of values, of both files, that are held at a time where files are read row by row: sixteen columns of numbers of
/// a million rows on each side. Half of it would read such tables twice as often, and more of it is not there on a
/// machine of 1 GiB, beside the copies that the tests make.
pub(super) const HELD: usize = 256 << 20;
/// Bytes that a different text costs beside its own: its entry in the list, and the allocator's.
const ENTRY: usize = 64;

/// What is compared: a column, or the columns of a prefix.
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) parts: Option<Vec<String>>,
}

impl Unit {
    /// The columns that it is of.
    fn columns(&self) -> &[String] {
        self.parts.as_deref().unwrap_or(std::slice::from_ref(&self.name))
    }

    /// How it is held.
    fn form(&self, tables: [&Table; 2]) -> Form {
        let kinds = tables.map(|table| kind(table, &self.name));
        let lists = |table: &Table| stored(table, &self.name).is_some_and(vectors::are);
        if self.parts.is_some() {
            Form::Parts
        } else if tables.into_iter().all(lists) {
            Form::Lists
        } else if kinds.iter().any(|kind| matches!(kind, Kind::Time | Kind::Other)) {
            Form::Counted
        } else {
            Form::Values
        }
    }

    /// Bytes that its values take on both sides, as far as that is known beforehand.
    fn foreseen(&self, tables: [&Table; 2]) -> usize {
        let form = self.form(tables);
        let width = |table| match form {
            Form::Values if kind(table, &self.name).is_numeric() => size_of::<f64>(),
            Form::Values => size_of::<u32>(),
            Form::Parts | Form::Lists | Form::Counted => 0,
        };
        tables.into_iter().map(|table| table.known_rows().saturating_mul(width(table))).sum()
    }
}

/// How a unit is held.
#[derive(Clone, Copy)]
enum Form {
    Parts,
    Lists,
    Values,
    /// Only whether there are any.
    Counted,
}

/// Both sides of a unit, read or as they fill.
pub(super) enum Sides {
    /// A value a row; numbers are as short as 32 bits where one side has no longer ones.
    Values([Values; 2], Labels, bool),
    /// Of lists, or of a column for each component.
    Vectors([vectors::Read; 2], bool),
    /// What is not compared row by row.
    Counted([Counted; 2]),
}

/// Texts of both sides by their number.
#[derive(Default)]
pub(super) struct Labels {
    pub(super) known: HashMap<String, u32>,
    bytes: usize,
}

/// What is known of a column that is only counted.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    /// Rows, where it was read.
    pub(super) rows: u64,
    /// Whether there is a value.
    any: bool,
    /// Records and bytes may be large: they are not read, and taken to be there.
    read: bool,
}

impl Sides {
    fn new(unit: &Unit, tables: [&Table; 2], room: impl Fn() -> Vec<f64>) -> Self {
        match unit.form(tables) {
            Form::Parts => Self::Vectors([vectors::Read::new(), vectors::Read::new()], false),
            Form::Lists => Self::Vectors([vectors::Read::new(), vectors::Read::new()], true),
            Form::Counted => Self::Counted(tables.map(|table| Counted::new(table, &unit.name))),
            Form::Values => {
                let short = |table| stored(table, &unit.name) == Some(&DataType::Float32);
                let sides = tables.map(|table| values(table, &unit.name, &room));
                Self::Values(sides, Labels::default(), short(tables[0]) != short(tables[1]))
            }
        }
    }

    /// Whether this side of it is read.
    fn is_read(&self, side: usize) -> bool {
        !matches!(self, Self::Counted(sides) if !sides[side].read)
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Values(sides, labels, _) => labels.bytes + sides.iter().map(size).sum::<usize>(),
            Self::Vectors(sides, _) => sides.iter().map(vectors::Read::bytes).sum(),
            Self::Counted(_) => 0,
        }
    }

    /// Adds some rows of a side.
    fn take(&mut self, side: usize, columns: &[&ArrayRef]) -> Result<(), ArrowError> {
        let [first, ..] = columns else { return Ok(()) };
        match self {
            Self::Values(sides, labels, short) => match &mut sides[side] {
                Values::Numbers { values, .. } => {
                    let before = values.len();
                    numbers_into(first, values)?;
                    if *short {
                        // What was 0.1 to one of them is it to the other.
                        values[before..].iter_mut().for_each(|value| *value = f64::from(*value as f32));
                    }
                    Ok(())
                }
                Values::Categories { values, .. } => {
                    each_text(first, |text| values.push(text.map_or(MISSING, |text| labels.of(text))))
                }
            },
            Self::Vectors(sides, true) => vectors::lists(first, &mut sides[side]),
            Self::Vectors(sides, false) => vectors::parts(columns, &mut sides[side]),
            Self::Counted(sides) => sides[side].take(first),
        }
    }
}

impl Labels {
    fn of(&mut self, text: &str) -> u32 {
        let before = self.known.len();
        let label = label(&mut self.known, text);
        if self.known.len() > before {
            self.bytes += ENTRY + text.len();
        }
        label
    }
}

impl Counted {
    fn new(table: &Table, name: &str) -> Self {
        let read = kind(table, name) != Kind::Other;
        let any = !read && stored(table, name).is_some_and(|kind| *kind != DataType::Null);
        Self { rows: 0, any, read }
    }

    fn take(&mut self, column: &ArrayRef) -> Result<(), ArrowError> {
        self.rows += column.len() as u64;
        self.any |= if Kind::of(column.data_type()) == Kind::Number {
            let mut values = Vec::new();
            numbers_into(column, &mut values)?;
            values.iter().any(|v| v.is_finite())
        } else {
            column.logical_null_count() < column.len()
        };
        Ok(())
    }
}

/// Room for a column's values. Growing would copy everything, and need the memory twice.
fn values(table: &Table, name: &str, room: impl Fn() -> Vec<f64>) -> Values {
    let kind = kind(table, name);
    if kind.is_numeric() {
        let mut values = room();
        values.clear();
        values.reserve_exact(table.known_rows());
        Values::Numbers { values, whole: kind == Kind::Integer }
    } else {
        Values::Categories { values: Vec::with_capacity(table.known_rows()), text: kind == Kind::Text }
    }
}

fn size(values: &Values) -> usize {
    match values {
        Values::Numbers { values, .. } => size_of_val(values.as_slice()),
        Values::Categories { values, .. } => size_of_val(values.as_slice()),
    }
}

/// Both files, and how much of them is held.
pub(super) struct Reader<'a> {
    pub(super) tables: [&'a Table; 2],
    /// Bytes of values; see [`HELD`].
    pub(super) held: usize,
    /// Units that are held at least, however large they are.
    pub(super) least: usize,
}

impl Reader<'_> {
    /// Reads as many of the first units as fit, at least one, in one pass of each file. `room` is memory that is free again.
    ///
    /// # Errors
    /// [`MonitorError`] when a file cannot be read.
    pub(super) fn pass(&self, units: &[Unit], room: impl Fn() -> Vec<f64>) -> Result<Vec<Sides>, MonitorError> {
        let mut filling: Vec<Sides> =
            units[..self.fitting(units)].iter().map(|unit| Sides::new(unit, self.tables, &room)).collect();
        for side in [0, 1] {
            self.side(side, units, &mut filling)?;
        }
        Ok(filling)
    }

    fn fitting(&self, units: &[Unit]) -> usize {
        let mut bytes = 0_usize;
        let fit = units.iter().take_while(|unit| {
            bytes = bytes.saturating_add(unit.foreseen(self.tables));
            bytes <= self.held
        });
        fit.count().max(self.least).max(1).min(units.len())
    }

    /// Reads one file's columns. What turns out to be too much is let go, from the last unit on, and read in another pass.
    fn side(&self, side: usize, units: &[Unit], filling: &mut Vec<Sides>) -> Result<(), MonitorError> {
        let table = self.tables[side];
        let place = |name: &String| table.schema().index_of(name).map_err(|e| table.wrong(&e));
        let wanted = |(unit, filled): (&Unit, &Sides)| {
            let columns = if filled.is_read(side) { unit.columns() } else { &[] };
            columns.iter().map(place).collect()
        };
        let wanted: Vec<Vec<usize>> = units.iter().zip(&*filling).map(wanted).collect::<Result<_, MonitorError>>()?;
        let mut places: Vec<usize> = wanted.iter().flatten().copied().collect();
        places.sort_unstable();
        if places.is_empty() {
            return Ok(());
        }
        for part in 0..table.parts() {
            for batch in table.rows(part, Some(&places))? {
                let batch = batch.map_err(|e| table.wrong(&e))?;
                for (filled, wanted) in filling.iter_mut().zip(&wanted) {
                    filled.take(side, &those(&batch, &places, wanted)).map_err(|e| table.wrong(&e))?;
                }
                self.let_go(filling);
            }
        }
        Ok(())
    }

    fn let_go(&self, filling: &mut Vec<Sides>) {
        let mut bytes: usize = filling.iter().map(Sides::bytes).sum();
        while bytes > self.held && filling.len() > self.least.max(1) {
            bytes -= filling.pop().map_or(0, |filled| filled.bytes());
        }
    }
}

/// The wanted columns of a batch that has those at `places`, ascending.
fn those<'a>(batch: &'a RecordBatch, places: &[usize], wanted: &[usize]) -> Vec<&'a ArrayRef> {
    wanted.iter().filter_map(|at| batch.columns().get(places.binary_search(at).ok()?)).collect()
}

/// What is known of a column of values before any test.
pub(super) fn seen(values: &Values, table: &Table) -> Seen {
    let (sort, any) = match values {
        Values::Numbers { values, .. } => (Sort::Numbers, values.iter().any(|v| v.is_finite())),
        Values::Categories { values, text } => {
            (if *text { Sort::Text } else { Sort::Truth }, values.iter().any(|v| *v != MISSING))
        }
    };
    Seen { sort, any, format: table.file_format() }
}

/// What is known of a column that was only counted.
pub(super) fn counted(counted: Counted, table: &Table, name: &str) -> Seen {
    let sort = stored(table, name).map_or(Sort::Nested, Sort::of);
    Seen { sort, any: counted.any, format: table.file_format() }
}

fn stored<'a>(table: &'a Table, name: &str) -> Option<&'a DataType> {
    table.schema().field_with_name(name).ok().map(Field::data_type)
}

pub(super) fn kind(table: &Table, name: &str) -> Kind {
    stored(table, name).map_or(Kind::Other, Kind::of)
}

/// The number of a text, a new one where it has none.
pub(super) fn label(labels: &mut HashMap<String, u32>, text: &str) -> u32 {
    if let Some(label) = labels.get(text) {
        return *label;
    }
    let label = labels.len() as u32;
    labels.insert(text.to_owned(), label);
    label
}

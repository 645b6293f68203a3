//! A part of a deployment's rows: those that have certain values in certain columns.

mod range;
mod rows;
mod window;

pub use rows::{About, Kept, Labelled};
pub(crate) use rows::{LABEL, rows};
pub use window::{Wanted, Window, WindowError, window};

use self::range::Range;
use crate::column::{Kind, element, numbers, texts, values};
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use mainspring_core::{ErrorKind, Failure, nearest};
use mainspring_query::{identifier, literal};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Columns of the journal's envelope that tell rows apart, beside inputs and outputs.
pub const FIELDS: [&str; 5] = ["variant", "model", "version", "protocol", "caller"];

/// Columns with the value that a row of it has in each: `in.plan` is `gold`, and `in.age` `30..40`, where it holds numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Segment(BTreeMap<String, String>);

/// A value as people write it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Value {
    Truth(bool),
    Number(serde_json::Number),
    Text(String),
}

/// How a segment is written: what its schema says.
pub(crate) type Written = BTreeMap<String, Value>;

impl<'de> Deserialize<'de> for Segment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let shown = |value| match value {
            Value::Truth(yes) => yes.to_string(),
            Value::Number(n) => n.to_string(),
            Value::Text(text) => text,
        };
        let written = Written::deserialize(from)?;
        Ok(Self(written.into_iter().map(|(column, value)| (column, shown(value))).collect()))
    }
}

impl FromIterator<(String, String)> for Segment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(all: T) -> Self {
        Self(all.into_iter().collect())
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (column, value)) in self.0.iter().enumerate() {
            let and = if at == 0 { "" } else { " and " };
            write!(f, "{and}{column} = {value}")?;
        }
        Ok(())
    }
}

/// Why rows cannot be told apart by a segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// There is no such column.
    #[error("{deployment:?} has no column {name:?} in this time")]
    Column {
        /// Whose.
        deployment: String,
        /// What was asked for.
        name: String,
        /// Which one is called about so.
        near: Option<String>,
    },
    /// A column without values to be told apart by.
    #[error("{column:?} holds {kind}, by which rows are not told apart")]
    Kind {
        /// Which.
        column: String,
        /// Its type.
        kind: String,
    },
    /// A number is compared with a text.
    #[error("{column:?} holds {holds}, and {value:?} is none")]
    Value {
        /// Which.
        column: String,
        /// What it holds.
        holds: &'static str,
        /// What was asked for.
        value: String,
    },
}

impl Failure for SegmentError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Column { near: Some(near), .. } => Some(format!("did you mean {near}?")),
            Self::Column { .. } => {
                let fields = FIELDS.join(", ");
                Some(format!("a segment is of an input (in.NAME), an output (out.NAME), or of {fields}"))
            }
            Self::Kind { .. } => Some("numbers, texts and truth values tell rows apart".to_owned()),
            Self::Value { holds: NUMBERS, .. } => {
                Some("write a number, or from which one on and below which: 30..40, 30.., ..40".to_owned())
            }
            Self::Value { .. } => None,
        }
    }
}

const NUMBERS: &str = "numbers";

/// A column of the journal as SQL has it, with its type in Arrow: `in.x`, `x` where there is an input of that name, and the
/// element `in.list[3]` of a list. `known` are the names and types of all columns, `fields` those of the envelope that may be
/// meant.
pub(crate) fn expression(
    known: &[(&str, &str)],
    asked: &str,
    (prefix, fields): (&str, &[&str]),
) -> Option<(String, String, String)> {
    let called = |name: &str| known.iter().find(|(column, _)| *column == name).copied();
    let plain = |name: &str| called(name).map(|(name, kind)| (name.to_owned(), identifier(name), kind.to_owned()));
    let of_list = |name: &str| {
        let (list, place) = element(name)?;
        let (_, kind) = called(list)?;
        // `List(Float64)`, `List(non-null Int64, field: 'element')`.
        let inner = kind.split_once('(')?.1.trim_end_matches(')').split(',').next()?;
        let inner = inner.trim().trim_start_matches("non-null ").to_owned();
        kind.contains("List").then(|| (name.to_owned(), format!("{}[{}]", identifier(list), place + 1), inner))
    };
    let found = plain(asked).filter(|_| asked.contains('.') || fields.contains(&asked)).or_else(|| of_list(asked));
    let input = format!("in.{asked}");
    let (name, sql, kind) = found.or_else(|| plain(&input)).or_else(|| of_list(&input))?;
    Some((name, format!("{prefix}{sql}"), kind))
}

fn truth(value: &str) -> Option<bool> {
    value.parse().ok()
}

impl Segment {
    /// Whether it is all rows.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// The columns that it is of.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether no row can be of both: they want different values of one column.
    pub fn excludes(&self, other: &Self) -> bool {
        // 1 and 1.0 are one number, which is in 0..2.
        let apart = |a: &str, b: &str| match (Range::read(a), Range::read(b)) {
            (Some(a), Some(b)) => !a.meets(b),
            _ => a != b,
        };
        self.0.iter().any(|(column, value)| other.0.get(column).is_some_and(|theirs| apart(theirs, value)))
    }

    /// The condition of SQL that a row of it fulfils. `known` are the names and types of the journal's columns, `prefix` is
    /// what stands before them (`p.`).
    ///
    /// # Errors
    /// [`SegmentError`], of the first column at fault.
    pub fn condition(&self, deployment: &str, known: &[(&str, &str)], prefix: &str) -> Result<String, SegmentError> {
        let conditions: Result<Vec<String>, SegmentError> = self
            .0
            .iter()
            .map(|(asked, value)| {
                let (name, sql, kind) =
                    expression(known, asked, (prefix, &FIELDS)).ok_or_else(|| SegmentError::Column {
                        deployment: deployment.to_owned(),
                        name: asked.clone(),
                        near: nearest(asked, known.iter().map(|(name, _)| *name)).map(str::to_owned),
                    })?;
                let wrong = |holds| SegmentError::Value { column: name.clone(), holds, value: value.clone() };
                if kind.contains("Utf8") {
                    return Ok(format!("{sql} = {}", literal(value)));
                }
                if kind == "Boolean" {
                    let yes = truth(value).ok_or_else(|| wrong("true and false"))?;
                    return Ok(format!("{sql} = {yes}"));
                }
                if ["Int", "UInt", "Float"].iter().any(|k| kind.starts_with(k)) {
                    let range = Range::read(value).ok_or_else(|| wrong(NUMBERS))?;
                    // What was a 32-bit number is written as short as that is.
                    let kind = if kind == "Float32" { "Float32" } else { "Float64" };
                    let cast = |of: &str| format!("arrow_cast({of}, '{kind}')");
                    return Ok(range.condition(&cast(&sql), |end| cast(&format!("{end:?}"))));
                }
                Err(SegmentError::Kind { column: name, kind })
            })
            .collect();
        Ok(conditions?.join(" AND "))
    }

    /// The same for a query that people read, where types are not known: from `AND` on.
    pub(crate) fn likely(&self) -> String {
        let said = |column: &str, value: &str| match Range::read(value) {
            Some(range) => range.condition(column, |end| end.to_string()),
            None => format!("{column} = {}", literal(value)),
        };
        let column = |name: &str| match element(name) {
            Some((list, place)) => format!("{}[{}]", identifier(list), place + 1),
            None => identifier(name),
        };
        let conditions = self.0.iter().map(|(name, value)| format!(" AND {}", said(&column(name), value)));
        conditions.collect::<Vec<_>>().concat()
    }

    /// Which rows of a batch of the journal are of it. A column that the batch does not have, or that cannot be compared,
    /// has no such value.
    ///
    /// # Errors
    /// What Arrow says of values that it cannot read.
    pub(crate) fn rows(&self, batch: &RecordBatch) -> Result<Vec<bool>, ArrowError> {
        let mut all = vec![true; batch.num_rows()];
        for (column, value) in &self.0 {
            match values(batch, column)? {
                Some(values) => only(&mut all, &values, value)?,
                None => all.fill(false),
            }
        }
        Ok(all)
    }
}

/// Leaves of `all` those rows whose value is `wanted`.
fn only(all: &mut [bool], values: &ArrayRef, wanted: &str) -> Result<(), ArrowError> {
    let mut row = all.iter_mut();
    let mut keep = |is: bool| {
        if let Some(kept) = row.next() {
            *kept &= is;
        }
    };
    match Kind::of(values.data_type()) {
        Kind::Integer | Kind::Number => {
            let short = *values.data_type() == DataType::Float32;
            let wanted = Range::read(wanted).map(|range| if short { range.short() } else { range });
            let is = |v: f64| wanted.is_some_and(|range| range.holds(v));
            numbers(values, |v| keep(v.is_some_and(is)))
        }
        Kind::Boolean | Kind::Text => texts(values, |v| keep(v == Some(wanted))),
        Kind::Time | Kind::Other => {
            all.fill(false);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;

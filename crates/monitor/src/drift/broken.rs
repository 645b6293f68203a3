//! Columns of the reference that cannot be compared any more: what is wrong with them is no drift, and worse.

use super::Outcome;
use crate::column::Kind;
use arrow::datatypes::DataType;
use mainspring_stats::presets::NoFinding;
use serde::Serialize;
use std::fmt::{Display, Formatter, Result};

const TIMES: &str = "it holds times, which move on by themselves";
const NESTED: &str = "it holds lists, records or bytes; of these only lists of numbers in two files are compared";
const COUNTED: &str = "it holds true and false, which live rows have as 1 and 0";
/// Of a column that live rows have and nothing that can be compared is kept of.
pub(crate) const UNKEPT: &str =
    "nothing is kept of its live values, which are redacted, NaN, or of a type that is not counted";
const UNTYPED: &str =
    "it holds numbers in a CSV, which says no types, and texts that all are numbers on the other side";

/// What became of a column of the reference that cannot be compared any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "camelCase")]
pub enum Broken {
    /// The current side lacks it.
    Gone,
    /// It had values, and has none.
    Empty,
    /// Its values are of another kind.
    Kind {
        /// On the reference.
        was: Sort,
        /// Now.
        is: Sort,
    },
    /// Its vectors have another length.
    Length {
        /// Numbers of a vector of the reference.
        was: usize,
        /// Of one now.
        is: usize,
    },
}

impl Broken {
    /// In one word, for a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Empty => "empty",
            Self::Kind { .. } | Self::Length { .. } => "changed",
        }
    }
}

impl Display for Broken {
    /// What follows the column's name in a sentence.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Gone => f.write_str("is gone"),
            Self::Empty => f.write_str("has no values any more"),
            Self::Kind { was, is } => write!(f, "was {was}, is {is}"),
            Self::Length { was, is } => write!(f, "was vectors of {was} numbers, is vectors of {is}"),
        }
    }
}

/// What kinds of values are told apart: those of one sort can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Sort {
    /// Whole ones and others.
    Numbers,
    /// Texts.
    Text,
    /// True and false.
    Truth,
    /// Dates, times and spans.
    Times,
    /// Lists.
    Lists,
    /// What is only counted, and known no better.
    Nested,
}

impl Sort {
    /// Of a type in Arrow.
    pub(super) fn of(kind: &DataType) -> Self {
        match kind {
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::ListView(_)
            | DataType::LargeListView(_) => Self::Lists,
            other => Kind::of(other).into(),
        }
    }

    /// Whether a test of both can be made: truth values are compared as the texts that they are in a CSV.
    fn tests_with(self, other: Self) -> bool {
        let texts = |sort| matches!(sort, Self::Text | Self::Truth);
        (self == Self::Numbers && other == Self::Numbers) || (texts(self) && texts(other))
    }
}

impl From<Kind> for Sort {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Integer | Kind::Number => Self::Numbers,
            Kind::Boolean => Self::Truth,
            Kind::Text => Self::Text,
            Kind::Time => Self::Times,
            Kind::Other => Self::Nested,
        }
    }
}

impl Display for Sort {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Numbers => "numbers",
            Self::Text => "text",
            Self::Truth => "true and false",
            Self::Times => "times",
            Self::Lists => "lists",
            Self::Nested => "lists, records or bytes",
        })
    }
}

/// What is known of a column of one side before any test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) sort: Sort,
    /// Whether any row has a value; an infinite number is none.
    pub(crate) any: bool,
    /// As [`Table::format`](crate::Table::format) has it; nothing of live rows.
    pub(crate) format: Option<&'static str>,
}

/// What is said of a column of which no test can be made; `None` where one can. `digits` says whether all texts of the side
/// that has texts are numbers.
pub(crate) fn untested(was: Seen, now: Seen, digits: impl FnOnce() -> bool) -> Option<Outcome> {
    if was.any && !now.any {
        return Some(Outcome::Broken(Broken::Empty));
    }
    let skipped = |why: &str| Some(Outcome::Skipped(why.to_owned()));
    match (was.sort, now.sort) {
        (a, b) if a.tests_with(b) => None,
        _ if !was.any => skipped(&NoFinding::Empty("reference").to_string()),
        (Sort::Times, Sort::Times) => skipped(TIMES),
        (Sort::Lists | Sort::Nested, Sort::Lists | Sort::Nested) => skipped(NESTED),
        _ => Some(changed(was, now, digits)),
    }
}

/// Of two sorts: a change, unless two formats would have written the same values so.
fn changed(was: Seen, now: Seen, digits: impl FnOnce() -> bool) -> Outcome {
    let from_csv = |side: Seen| side.sort == Sort::Numbers && side.format == Some("csv");
    let live = was.format.is_none() || now.format.is_none();
    let artefact = match (was.sort, now.sort) {
        _ if alike(was.format, now.format) => None,
        // JSON has no times, and a CSV not all of them: they are texts there, or numbers.
        (Sort::Times, Sort::Text | Sort::Numbers) | (Sort::Text | Sort::Numbers, Sort::Times) => Some(TIMES),
        // A CSV has no lists.
        (Sort::Lists | Sort::Nested, Sort::Text) | (Sort::Text, Sort::Lists | Sort::Nested) => Some(NESTED),
        (Sort::Nested, _) | (_, Sort::Nested) if live => Some(NESTED),
        (Sort::Truth, Sort::Numbers) | (Sort::Numbers, Sort::Truth) if live => Some(COUNTED),
        // Names of digits, such as postcodes, look like numbers where no types are written.
        (Sort::Numbers, Sort::Text) | (Sort::Text, Sort::Numbers) if from_csv(was) || from_csv(now) => {
            digits().then_some(UNTYPED)
        }
        _ => None,
    };
    match artefact {
        Some(why) => Outcome::Skipped(why.to_owned()),
        None => Outcome::Broken(Broken::Kind { was: was.sort, is: now.sort }),
    }
}

/// Whether two formats write the same values as the same types.
fn alike(a: Option<&str>, b: Option<&str>) -> bool {
    let typed = |format| matches!(format, Some("parquet" | "arrow"));
    a == b || (typed(a) && typed(b))
}

/// Whether all are numbers.
pub(crate) fn digits<'a>(mut texts: impl Iterator<Item = &'a str>) -> bool {
    texts.all(|text| text.trim().parse::<f64>().is_ok())
}

//! A column of a batch as numbers, as texts, or as neither.

mod element;

pub use element::element;
pub(crate) use element::{kind_of, values};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use serde::{Deserialize, Serialize};

/// What a column holds, as statistics see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// True or false.
    Boolean,
    /// Texts, and what reads as one.
    Text,
    /// Dates, times and spans: numbers, in their own unit.
    Time,
    /// Lists, records, bytes: only counted.
    Other,
}

impl Kind {
    /// Of a type in Arrow.
    pub(crate) fn of(kind: &DataType) -> Self {
        match kind {
            DataType::Dictionary(_, value) => Self::of(value),
            DataType::RunEndEncoded(_, value) => Self::of(value.data_type()),
            DataType::Boolean => Self::Boolean,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            kind if kind.is_integer() => Self::Integer,
            kind if kind.is_floating() => Self::Number,
            DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
                Self::Number
            }
            kind if kind.is_temporal() && !matches!(kind, DataType::Interval(_)) => Self::Time,
            _ => Self::Other,
        }
    }

    /// Whether it is seen as numbers.
    pub(crate) fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Number | Self::Time)
    }
}

/// Calls `f` with each row's number, or `None` where it is missing.
pub(crate) fn numbers(column: &ArrayRef, mut f: impl FnMut(Option<f64>)) -> Result<(), ArrowError> {
    let plain = match column.data_type() {
        DataType::Float64 => column.clone(),
        kind if Kind::of(kind) == Kind::Time => cast(&cast(column, &whole(kind))?, &DataType::Float64)?,
        _ => cast(column, &DataType::Float64)?,
    };
    plain.as_primitive::<Float64Type>().iter().for_each(&mut f);
    Ok(())
}

/// Adds each row's number, NaN where it is missing.
pub(crate) fn numbers_into(column: &ArrayRef, into: &mut Vec<f64>) -> Result<(), ArrowError> {
    match column.as_primitive_opt::<Float64Type>() {
        Some(plain) if plain.null_count() == 0 => into.extend_from_slice(plain.values()),
        _ => numbers(column, |v| into.push(v.unwrap_or(f64::NAN)))?,
    }
    Ok(())
}

/// The integer that a date or a time is stored as.
fn whole(kind: &DataType) -> DataType {
    match kind {
        DataType::Date32 | DataType::Time32(_) => DataType::Int32,
        _ => DataType::Int64,
    }
}

/// Calls `f` with each row's text, or `None` where it is missing.
pub(crate) fn texts(column: &ArrayRef, mut f: impl FnMut(Option<&str>)) -> Result<(), ArrowError> {
    if let Some(values) = column.as_any().downcast_ref::<BooleanArray>() {
        values.iter().for_each(|v| f(v.map(|v| if v { "true" } else { "false" })));
        return Ok(());
    }
    let plain = cast(column, &DataType::LargeUtf8)?;
    plain.as_string::<i64>().iter().for_each(&mut f);
    Ok(())
}

//! From labelled rows of the journal to the columns `label.NAME` and `error.NAME`.

use super::spec::LabelSpec;
use crate::column::{Kind, numbers, texts};
use crate::performance::predicted;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use std::sync::Arc;

const LABEL: &str = "label.";
const ERROR: &str = "error.";

/// Whether a column is of what turned out to be true.
pub(super) fn is_truth(column: &str) -> bool {
    column.starts_with(LABEL) || column.starts_with(ERROR)
}

/// Whether it is `error.NAME`.
pub(super) fn is_error(column: &str) -> bool {
    column.starts_with(ERROR)
}

/// The label's name of `label.NAME`.
pub(super) fn label_of(column: &str) -> Option<&str> {
    column.strip_prefix(LABEL)
}

/// A value as it is compared with another.
enum Known<'a> {
    Number(f64),
    Text(&'a str),
}

impl Known<'_> {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => self.number().is_some_and(|a| other.number() == Some(a)),
        }
    }

    /// As a number: a text that is one, and 1 and 0 of true and false.
    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Text("true") => Some(1.0),
            Self::Text("false") => Some(0.0),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

/// Labelled rows as the journal gives them (outputs, `label_value`, `label_type`, `label_number`), with the columns that
/// are watched in the place of these, and `segments` as they are.
///
/// Labels are numbers where most of them are, and texts where most are not: of a few of the other kind, which somebody sent
/// by mistake, a number then has no value, and not all the others. The error of a number with a fraction is how far it is
/// from the label, and none where that is no number; of anything else whether it is another.
///
/// # Errors
/// What Arrow says of values that it cannot read.
pub(super) fn watched(
    batch: &RecordBatch,
    (spec, segments): (&LabelSpec, &[String]),
) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("labelled rows without {name}")))
    };
    let text = |name: &str| cast(column(name)?, &DataType::Utf8);
    let (value, kind) = (text("label_value")?, text("label_type")?);
    let number = cast(column("label_number")?, &DataType::Float64)?;
    let (value, kind, number) =
        (value.as_string::<i32>(), kind.as_string::<i32>(), number.as_primitive::<Float64Type>());
    let numbers = (0..kind.len()).filter(|row| value.is_valid(*row) && kind.value(*row) == "number").count();
    let mostly = 2 * numbers >= value.len() - value.null_count();
    let label: ArrayRef = if mostly { Arc::new(number.clone()) } else { Arc::new(value.clone()) };
    let error = errors(batch, spec, |row| match (value.is_valid(row), kind.value(row)) {
        (false, _) => None,
        (true, "number") if number.is_valid(row) => Some(Known::Number(number.value(row))),
        (true, _) => Some(Known::Text(value.value(row))),
    })?;
    let segment = |name: &str| segments.iter().any(|segment| segment == name);
    let envelope = |name: &str| segment(name) || !(name.starts_with("out.") || name.starts_with("label_"));
    let schema = batch.schema();
    let mut all: Vec<(&str, ArrayRef)> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(field, _)| envelope(field.name()))
        .map(|(field, values)| (field.name().as_str(), Arc::clone(values)))
        .collect();
    let (label_name, error_name) = (format!("{LABEL}{}", spec.name), format!("{ERROR}{}", spec.name));
    all.push((&label_name, label));
    if let Some(error) = error {
        all.push((&error_name, Arc::new(error)));
    }
    RecordBatch::try_from_iter_with_nullable(all.into_iter().map(|(name, values)| (name, values, true)))
}

/// The error of each row; nothing where it cannot be told what was predicted.
fn errors<'a>(
    batch: &RecordBatch,
    spec: &LabelSpec,
    truth: impl Fn(usize) -> Option<Known<'a>>,
) -> Result<Option<Float64Array>, ArrowError> {
    let schema = batch.schema();
    let there = |values: &ArrayRef| values.logical_null_count() < values.len();
    let all = schema.fields().iter().zip(batch.columns());
    let outputs = all.filter(|(f, values)| f.name().starts_with("out.") && there(values));
    let name = match &spec.prediction {
        Some(name) => Some(name.clone()),
        // Columns of other versions have no value here.
        None => predicted(outputs.map(|(f, _)| (f.name().as_str(), f.data_type().to_string()))),
    };
    let Some(values) = name.and_then(|name| batch.column_by_name(&name)) else { return Ok(None) };
    let exact = !values.data_type().is_floating();
    let mut errors = Vec::with_capacity(values.len());
    let mut push = |predicted: Option<Known<'_>>| {
        let error = match (predicted, truth(errors.len())) {
            (Some(Known::Number(p)), Some(t)) if !exact => t.number().map(|t| (p - t).abs()),
            (Some(p), Some(t)) => Some(f64::from(u8::from(!p.is(&t)))),
            _ => None,
        };
        errors.push(error);
    };
    match Kind::of(values.data_type()) {
        Kind::Integer | Kind::Number => numbers(values, |v| push(v.map(Known::Number)))?,
        Kind::Boolean | Kind::Text => texts(values, |v| push(v.map(Known::Text)))?,
        Kind::Time | Kind::Other => return Ok(None),
    }
    Ok(Some(errors.into()))
}

#[cfg(test)]
mod tests;

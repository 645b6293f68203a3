//! From the rows and columns of a scoring request to the tensors a model takes.

mod build;
#[cfg(test)]
mod tests;

use crate::contract::Contract;
use crate::mlmodel::{ColumnSpec, MlflowInputs};
use bytes::Bytes;
use mainspring_core::tensor::{NamedTensor, TensorError};
use mainspring_core::{ErrorKind, Failure};
use std::borrow::Cow;
use std::sync::Arc;

/// One value of a table, as a protocol read it.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing: JSON `null`, an empty CSV field.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text, or the bytes of a binary column.
    Text(Bytes),
    /// A list or an object, as the text of a JSON value.
    Json(Bytes),
}

/// Texts that pandas takes for a missing value (`pandas.io.parsers`, `STR_NA_VALUES`).
const MISSING: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
];

impl Cell {
    /// A field of CSV as pandas reads it: as it is in a column of `text`; else what looks like a number
    /// or a truth value is one.
    pub fn written(field: &str, text: bool) -> Self {
        if MISSING.contains(&field) {
            return Self::Null;
        }
        if text {
            return Self::Text(Bytes::copy_from_slice(field.as_bytes()));
        }
        let trimmed = field.trim();
        match trimmed {
            "True" | "TRUE" | "true" => return Self::Bool(true),
            "False" | "FALSE" | "false" => return Self::Bool(false),
            _ => {}
        }
        if let Ok(whole) = trimmed.parse::<i64>() {
            return Self::Int(whole);
        }
        match trimmed.parse::<f64>() {
            Ok(number) => Self::Float(number),
            Err(_) => Self::Text(Bytes::copy_from_slice(field.as_bytes())),
        }
    }

    fn describe(&self) -> Cow<'static, str> {
        match self {
            Self::Null => "null".into(),
            Self::Bool(b) => b.to_string().into(),
            Self::Int(n) => n.to_string().into(),
            Self::Float(x) => x.to_string().into(),
            Self::Json(json) if json.first() == Some(&b'[') => "a list".into(),
            Self::Json(_) => "an object".into(),
            Self::Text(t) => {
                let text = String::from_utf8_lossy(t);
                let short: String = text.chars().take(40).collect();
                if short.len() < text.len() { format!("{short:?}…").into() } else { format!("{short:?}").into() }
            }
        }
    }
}

/// Rows and columns: what `dataframe_split`, `dataframe_records`, CSV and lists of records come to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Column names in order; empty when the request does not name them.
    pub columns: Vec<Arc<str>>,
    /// Columns in a row; the length of `columns` when that is not empty.
    pub width: usize,
    /// Values, row after row.
    pub cells: Vec<Cell>,
}

impl Table {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }
}

/// How a table does not fit a model. Every message names the column.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ColumnError {
    /// A required column that is not there.
    #[error("column {column:?} is missing{}; the model takes {expected}", .nearest.as_ref().map(|n| format!(" (the request has {n:?})")).unwrap_or_default())]
    Missing {
        /// The column.
        column: String,
        /// A column of the request with nearly this name.
        nearest: Option<String>,
        /// Columns that the model takes.
        expected: String,
    },
    /// The same column twice.
    #[error("column {column:?} is given twice")]
    Duplicate {
        /// The column.
        column: String,
    },
    /// A value of another type.
    #[error("column {column:?} is {expected}, but row {row} has {got}")]
    Type {
        /// The column.
        column: String,
        /// Type that the model takes.
        expected: String,
        /// Row of the value, from 0.
        row: usize,
        /// The value.
        got: String,
    },
    /// Another number of columns than the model takes.
    #[error("the request has {got} columns, the model takes {expected}")]
    Width {
        /// Columns given.
        got: usize,
        /// Columns taken.
        expected: usize,
    },
    /// Cells that do not fill the rows.
    #[error("{cells} values do not fill rows of {width} columns")]
    Ragged {
        /// Values given.
        cells: usize,
        /// Columns in a row.
        width: usize,
    },
    /// A model whose input has dimensions that columns cannot fill.
    #[error("input {input:?} has shape {shape:?}, which columns cannot fill; send it as a tensor")]
    NotColumns {
        /// The input.
        input: String,
        /// Its shape.
        shape: Vec<i64>,
    },
    /// Values that do not make a tensor.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl Failure for ColumnError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

impl Contract {
    /// Turns a table into the model's inputs, in the model's order.
    ///
    /// A model with one input of two dimensions takes all columns side by side, in the order of the
    /// MLflow signature; any other model takes a column an input, by name. With a column signature,
    /// columns that it does not name are ignored, a missing optional one is filled with NaN (or
    /// empty text), and values must fit the declared type: whole numbers pass for floating-point, truth
    /// values and numbers written as text for numbers, numbers for text; nothing is cut to size.
    ///
    /// # Errors
    /// [`ColumnError`] naming the column at fault.
    pub fn tensors(&self, table: &Table) -> Result<Vec<NamedTensor>, ColumnError> {
        if table.width == 0 || !table.cells.len().is_multiple_of(table.width) {
            return Err(ColumnError::Ragged { cells: table.cells.len(), width: table.width });
        }
        for (i, column) in table.columns.iter().enumerate() {
            if table.columns[..i].contains(column) {
                return Err(ColumnError::Duplicate { column: column.to_string() });
            }
        }
        let declared: Option<&[ColumnSpec]> = match self.mlflow().and_then(|s| s.inputs.as_ref()) {
            Some(MlflowInputs::Columns(columns)) => Some(columns),
            _ => None,
        };
        match self.signature.inputs.as_slice() {
            // A model that leaves the rank open takes what a data frame is: rows and columns.
            [only] if matches!(only.shape.len(), 0 | 2) => build::stacked(only, declared, table).map(|t| vec![t]),
            inputs => build::by_name(inputs, declared, table),
        }
    }
}

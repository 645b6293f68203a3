//! Rows as they come back, the same from both databases.

use crate::error::StoreError;
use crate::value::Value;
use std::sync::Arc;

/// One row of a result. Columns are found by name, without regard to ASCII case, because Postgres
/// folds names to lower case and SQLite does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident, $opt:ident: $ty:ty, $what:literal, $convert:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`StoreError::Column`] when there is no such column, when it is NULL or of another type.
        pub fn $name(&self, column: &str) -> Result<$ty, StoreError> {
            let value = self.get(column)?;
            $convert(value).ok_or_else(|| wrong(column, $what, value))
        }

        #[doc = concat!("Like [`Row::", stringify!($name), "`], with `None` for NULL.")]
        ///
        /// # Errors
        /// [`StoreError::Column`] when there is no such column or it is of another type.
        pub fn $opt(&self, column: &str) -> Result<Option<$ty>, StoreError> {
            match self.get(column)? {
                Value::Null => Ok(None),
                value => $convert(value).map(Some).ok_or_else(|| wrong(column, $what, value)),
            }
        }
    )*};
}

impl Row {
    pub(crate) fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// The names of the columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The value of a column, as it came.
    ///
    /// # Errors
    /// [`StoreError::Column`] when there is no such column.
    pub fn get(&self, column: &str) -> Result<&Value, StoreError> {
        let at = self.columns.iter().position(|c| c.eq_ignore_ascii_case(column));
        at.and_then(|i| self.values.get(i)).ok_or_else(|| StoreError::Column {
            column: column.to_owned(),
            wanted: "a value",
            found: format!("nothing: the columns are {}", self.columns.join(", ")),
        })
    }

    /// The text of a column, taken out of the row: NULL stays there.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn take_text(&mut self, column: &str) -> Result<String, StoreError> {
        let at = self.columns.iter().position(|c| c.eq_ignore_ascii_case(column));
        match at.and_then(|i| self.values.get_mut(i)) {
            Some(value @ Value::Text(_)) => match std::mem::replace(value, Value::Null) {
                Value::Text(text) => Ok(text),
                other => Err(wrong(column, "text", &other)),
            },
            _ => self.text(column),
        }
    }

    getters! {
        /// A whole number. A boolean reads as 0 or 1, and a float without a fraction as itself.
        int, opt_int: i64, "an integer", as_int;
        /// A float. A whole number reads as the nearest float.
        real, opt_real: f64, "a float", as_real;
        /// Text.
        text, opt_text: String, "text", |v: &Value| match v {
            Value::Text(t) => Some(t.clone()),
            _ => None,
        };
        /// Bytes.
        blob, opt_blob: Vec<u8>, "bytes", |v: &Value| match v {
            Value::Blob(b) => Some(b.clone()),
            _ => None,
        };
        /// A boolean; SQLite's 0 and 1 count as such.
        bool, opt_bool: bool, "a boolean", |v: &Value| match v {
            Value::Bool(b) => Some(*b),
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            _ => None,
        };
    }
}

fn as_int(value: &Value) -> Option<i64> {
    // 2^63 as a float; every whole float below it fits.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Int(i) => Some(*i),
        Value::Bool(b) => Some((*b).into()),
        Value::Real(r) if r.fract() == 0.0 && (-LIMIT..LIMIT).contains(r) => Some(*r as i64),
        _ => None,
    }
}

fn as_real(value: &Value) -> Option<f64> {
    match value {
        Value::Real(r) => Some(*r),
        Value::Int(i) => Some(*i as f64),
        _ => None,
    }
}

fn wrong(column: &str, wanted: &'static str, found: &Value) -> StoreError {
    StoreError::Column { column: column.to_owned(), wanted, found: found.type_name().to_owned() }
}

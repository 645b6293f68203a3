//! What a query answers, and how it looks as JSON.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::Serialize;
use serde_json::{Map, Value};

/// Rows in the order in which the query gave them.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) truncated: bool,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its Arrow type, e.g. `Int64`, `Utf8`, `Timestamp(µs, "UTC")`.
    #[serde(rename = "type")]
    pub data_type: String,
}

impl Answer {
    /// The rows as Arrow.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Whether there were more rows than the limit.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// The columns.
    pub fn columns(&self) -> Vec<ColumnInfo> {
        let of = |f: &datafusion::arrow::datatypes::FieldRef| ColumnInfo {
            name: f.name().clone(),
            data_type: f.data_type().to_string(),
        };
        self.schema.fields().iter().map(of).collect()
    }

    /// The rows as JSON arrays in the order of the columns. Numbers that JSON has no words for are the
    /// texts `NaN`, `Infinity` and `-Infinity`; binary is hexadecimal; times are RFC 3339.
    pub fn values(&self) -> Vec<Vec<Value>> {
        let row = |b: &RecordBatch, i: usize| b.columns().iter().map(|c| json(c, i)).collect();
        self.batches.iter().flat_map(|b| (0..b.num_rows()).map(move |i| row(b, i))).collect()
    }

    /// The rows as JSON objects. A name that stands twice keeps its last value; [`Answer::values`]
    /// keeps both.
    pub fn objects(&self) -> Vec<Map<String, Value>> {
        let names: Vec<String> = self.schema.fields().iter().map(|f| f.name().clone()).collect();
        self.values().into_iter().map(|row| names.iter().cloned().zip(row).collect()).collect()
    }
}

fn float(v: f64) -> Value {
    let word = if v.is_nan() {
        "NaN"
    } else if v > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    serde_json::Number::from_f64(v).map_or_else(|| word.into(), Value::Number)
}

/// A 32-bit float as the shortest number that reads back as the same 32-bit float: 0.1, not
/// 0.10000000149.
fn short_float(v: f32) -> Value {
    v.to_string().parse().map_or_else(|_| float(v.into()), float)
}

fn json(array: &dyn Array, i: usize) -> Value {
    if array.is_null(i) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(i).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(i).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(i).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(i).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(i).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(i).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(i).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(i).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(i).into(),
        DataType::Float16 => short_float(array.as_primitive::<Float16Type>().value(i).to_f32()),
        DataType::Float32 => short_float(array.as_primitive::<Float32Type>().value(i)),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(i)),
        DataType::Utf8 => array.as_string::<i32>().value(i).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(i).into(),
        DataType::Utf8View => array.as_string_view().value(i).into(),
        DataType::Binary => hex::encode(array.as_binary::<i32>().value(i)).into(),
        DataType::LargeBinary => hex::encode(array.as_binary::<i64>().value(i)).into(),
        DataType::BinaryView => hex::encode(array.as_binary_view().value(i)).into(),
        DataType::List(_) => list(&array.as_list::<i32>().value(i)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(i)),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(i)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            Value::Object(fields.iter().zip(columns).map(|(f, c)| (f.name().clone(), json(c, i))).collect())
        }
        // Times, dates, decimals, intervals, dictionaries: as Arrow writes them.
        _ => ArrayFormatter::try_new(array, &FormatOptions::default())
            .map_or(Value::Null, |f| f.value(i).to_string().into()),
    }
}

fn list(items: &dyn Array) -> Value {
    Value::Array((0..items.len()).map(|i| json(items, i)).collect())
}

#[cfg(test)]
mod tests;

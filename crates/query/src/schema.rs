//! One schema for files of many: columns by name, types widened where deployments differ.

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The union of columns by name: the first schema's order first, further payload columns by name.
/// Every column may be NULL, since some file may lack it.
pub(crate) fn union<'a>(first: &Schema, others: impl Iterator<Item = &'a Schema>) -> SchemaRef {
    let mut fixed: Vec<Field> = first.fields().iter().map(|f| nullable(f, f.data_type())).collect();
    let mut more: BTreeMap<String, DataType> = BTreeMap::new();
    for field in others.flat_map(|s| s.fields().iter()) {
        if let Some(known) = fixed.iter_mut().find(|f| f.name() == field.name()) {
            *known = nullable(known, &wider(known.data_type(), field.data_type()));
        } else {
            let ty = more.get(field.name()).map_or_else(|| plain(field.data_type()), |ty| wider(ty, field.data_type()));
            more.insert(field.name().clone(), ty);
        }
    }
    fixed.extend(more.into_iter().map(|(name, ty)| Field::new(name, ty, true)));
    Arc::new(Schema::new(fixed))
}

fn nullable(field: &Field, ty: &DataType) -> Field {
    Field::new(field.name(), plain(ty), true)
}

/// The same type with lists of nullable elements under Arrow's usual name.
fn plain(ty: &DataType) -> DataType {
    match ty {
        DataType::List(item) => DataType::List(Arc::new(Field::new("item", plain(item.data_type()), true))),
        other => other.clone(),
    }
}

/// A type that both fit: the same, a wider number, or text.
fn wider(a: &DataType, b: &DataType) -> DataType {
    let (a, b) = (plain(a), plain(b));
    if a == b {
        return a;
    }
    match (&a, &b) {
        (DataType::List(x), DataType::List(y)) => {
            let item = wider(x.data_type(), y.data_type());
            DataType::List(Arc::new(Field::new("item", item, true)))
        }
        _ if a.is_integer() && b.is_integer() && !is_u64(&a) && !is_u64(&b) => DataType::Int64,
        _ if a.is_numeric() && b.is_numeric() => DataType::Float64,
        (DataType::Binary, DataType::Utf8) | (DataType::Utf8, DataType::Binary) => DataType::Binary,
        _ => DataType::Utf8,
    }
}

fn is_u64(ty: &DataType) -> bool {
    *ty == DataType::UInt64
}

/// The rows of `batch` under `schema`: cast, NULL where it lacks a column, and `extra` columns with one
/// value for all rows.
pub(crate) fn align(
    batch: &RecordBatch,
    schema: &SchemaRef,
    extra: &BTreeMap<&str, Option<String>>,
) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| -> Result<ArrayRef> {
        let n = batch.num_rows();
        if let Some(value) = extra.get(field.name().as_str()) {
            let text: StringArray = std::iter::repeat_n(value.as_deref(), n).collect();
            return Ok(cast(&text, field.data_type())?);
        }
        match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(column) => Ok(cast(column, field.data_type())?),
            None => Ok(new_null_array(field.data_type(), n)),
        }
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

#[cfg(test)]
mod tests;

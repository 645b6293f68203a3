//! Columns by name, elements of lists included: `scores[2]` is the third value of each row's list.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;

/// The list and the place in it, from 0, that `list[3]` names.
pub fn element(column: &str) -> Option<(&str, usize)> {
    let (list, place) = column.strip_suffix(']')?.rsplit_once('[')?;
    // No list is longer.
    Some((list, usize::try_from(place.parse::<i32>().ok()?).ok()?))
}

/// The type of a column, or of an element of one; `None` where there is none.
pub(crate) fn kind_of(schema: &Schema, name: &str) -> Option<DataType> {
    if let Ok(field) = schema.field_with_name(name) {
        return Some(field.data_type().clone());
    }
    let (list, place) = element(name)?;
    match schema.field_with_name(list).ok()?.data_type() {
        DataType::List(item) | DataType::LargeList(item) => Some(item.data_type().clone()),
        DataType::FixedSizeList(item, width) if place < *width as usize => Some(item.data_type().clone()),
        _ => None,
    }
}

/// A column's values, or those of an element of one: missing where a row's list does not reach so far.
///
/// # Errors
/// What Arrow says of values that it cannot read.
pub(crate) fn values(batch: &RecordBatch, name: &str) -> Result<Option<ArrayRef>, ArrowError> {
    if let Some(values) = batch.column_by_name(name) {
        return Ok(Some(ArrayRef::clone(values)));
    }
    let Some((list, place)) = element(name) else { return Ok(None) };
    let Some(lists) = batch.column_by_name(list) else { return Ok(None) };
    let of = |ends: &dyn Fn(usize) -> (usize, usize)| -> UInt64Array {
        let at = |row: usize| {
            let (first, end) = ends(row);
            (lists.is_valid(row) && first + place < end).then_some((first + place) as u64)
        };
        (0..lists.len()).map(at).collect()
    };
    let (inner, places) = if let Some(lists) = lists.as_list_opt::<i32>() {
        let at = lists.value_offsets();
        (lists.values(), of(&|row| (at[row] as usize, at[row + 1] as usize)))
    } else if let Some(lists) = lists.as_list_opt::<i64>() {
        let at = lists.value_offsets();
        (lists.values(), of(&|row| (at[row] as usize, at[row + 1] as usize)))
    } else if let Some(lists) = lists.as_fixed_size_list_opt() {
        let width = lists.value_length() as usize;
        (lists.values(), of(&|row| (row * width, (row + 1) * width)))
    } else {
        return Ok(None);
    };
    take(inner, &places, None).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{FixedSizeListArray, LargeListArray, ListArray};
    use arrow::datatypes::{Field, Int32Type};
    use std::sync::Arc;

    #[test]
    fn an_element_of_any_kind_of_list_is_a_column() {
        let rows = || vec![Some(vec![Some(1), Some(2)]), None, Some(vec![Some(3), None]), Some(vec![Some(5), Some(6)])];
        let short = vec![Some(vec![Some(1), Some(2)]), None, Some(vec![Some(3)]), Some(vec![])];
        let lists: [(&str, ArrayRef); 4] = [
            ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows()))),
            ("large", Arc::new(LargeListArray::from_iter_primitive::<Int32Type, _, _>(rows()))),
            ("fixed", Arc::new(FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(rows(), 2))),
            ("short", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(short))),
        ];
        let batch = RecordBatch::try_from_iter(lists).unwrap();
        // A part of a batch begins within its lists.
        for (batch, from) in [(batch.clone(), 0), (batch.slice(2, 2), 2)] {
            let of = |name: &str| -> Option<Vec<Option<i32>>> {
                let values = values(&batch, name).unwrap()?;
                assert_eq!(kind_of(&batch.schema(), name), Some(values.data_type().clone()), "{name}");
                Some(values.as_primitive::<arrow::datatypes::Int32Type>().iter().collect())
            };
            for name in ["list", "large", "fixed"] {
                assert_eq!(of(&format!("{name}[0]")).unwrap(), [Some(1), None, Some(3), Some(5)][from..], "{name}");
                assert_eq!(of(&format!("{name}[1]")).unwrap(), [Some(2), None, None, Some(6)][from..], "{name}");
            }
            assert_eq!(of("short[1]").unwrap(), [Some(2), None, None, None][from..]);
            assert_eq!(of("list[7]").unwrap(), [None; 4][from..], "nothing says how long its lists are");
        }
        let schema = batch.schema();
        for name in ["fixed[2]", "list[-1]", "list[x]", "list", "none[0]"] {
            assert_eq!(kind_of(&schema, name).is_some(), name == "list", "{name}");
        }
        let plain = Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("b[0]", DataType::Utf8, true)]);
        assert_eq!((kind_of(&plain, "a[0]"), kind_of(&plain, "b[0]")), (None, Some(DataType::Utf8)));
    }
}

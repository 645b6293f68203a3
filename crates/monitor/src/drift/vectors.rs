//! Vectors of a file: a column of lists of numbers, or columns of one prefix.

use crate::column::numbers;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use mainspring_stats::presets::Side;
use std::sync::Arc;

/// Draws the vectors that are kept.
const SEED: u64 = 0x7665_6374;

/// Whether a type is one of lists of numbers.
pub(crate) fn are(kind: &DataType) -> bool {
    match kind {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().is_numeric()
        }
        _ => false,
    }
}

/// Vectors, and how many rows have none: a missing one, or one with a hole or an infinite number in it.
pub(super) struct Read {
    pub(super) side: Side,
    pub(super) rows: u64,
    /// Not all are of one length.
    pub(super) uneven: bool,
}

impl Read {
    pub(super) fn new() -> Self {
        Self { side: Side::new(SEED), rows: 0, uneven: false }
    }

    /// Of the vectors that are kept.
    pub(super) fn bytes(&self) -> usize {
        let kept = self.side.drawn();
        kept.len() * kept.width() * size_of::<f64>()
    }

    fn push(&mut self, vector: &[f64]) {
        self.rows += 1;
        if vector.is_empty() || vector.iter().any(|x| !x.is_finite()) {
            return;
        }
        let width = self.side.drawn().width();
        if width != 0 && width != vector.len() {
            self.uneven = true;
            return;
        }
        self.side.push(vector);
    }
}

/// Calls `see` with each row's list of numbers, NaN where one is missing; nothing of a row without a list.
pub(crate) fn each(column: &ArrayRef, mut see: impl FnMut(&[f64])) -> Result<(), ArrowError> {
    let item = Arc::new(arrow::datatypes::Field::new("item", DataType::Float64, true));
    let lists = cast(column, &DataType::LargeList(item))?;
    let lists = lists.as_list::<i64>();
    let mut vector = Vec::new();
    for row in 0..lists.len() {
        vector.clear();
        if lists.is_valid(row) {
            let values = lists.value(row);
            vector.extend(values.as_primitive::<Float64Type>().iter().map(|x| x.unwrap_or(f64::NAN)));
        }
        see(&vector);
    }
    Ok(())
}

/// Adds rows of a column of lists.
pub(super) fn lists(column: &ArrayRef, read: &mut Read) -> Result<(), ArrowError> {
    each(column, |vector| read.push(vector))
}

/// Adds rows of columns of numbers, one component each.
pub(super) fn parts(columns: &[&ArrayRef], read: &mut Read) -> Result<(), ArrowError> {
    let rows = columns.first().map_or(0, Array::len);
    let mut cells = vec![0.0; rows * columns.len()];
    for (at, column) in columns.iter().enumerate() {
        let mut places = cells.iter_mut().skip(at).step_by(columns.len());
        numbers(column, |x| {
            if let Some(place) = places.next() {
                *place = x.unwrap_or(f64::NAN);
            }
        })?;
    }
    cells.chunks_exact(columns.len().max(1)).for_each(|vector| read.push(vector));
    Ok(())
}

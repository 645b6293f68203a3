//! Vectors of a file: a column of lists of numbers, or columns of one prefix.

use crate::column::numbers;
use crate::error::MonitorError;
use crate::table::Table;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use mainspring_stats::presets::Side;
use std::sync::Arc;

/// Draws the vectors that are kept.
const SEED: u64 = 0x7665_6374;

/// Whether a type is one of lists of numbers.
pub(super) fn are(kind: &DataType) -> bool {
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
    fn new() -> Self {
        Self { side: Side::new(SEED), rows: 0, uneven: false }
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

/// Of a column of lists.
pub(super) fn lists(table: &Table, at: usize) -> Result<Read, MonitorError> {
    let mut read = Read::new();
    for part in 0..table.parts() {
        for batch in table.rows(part, Some(at))? {
            let batch = batch.map_err(|e| table.wrong(&e))?;
            each_list(batch.column(0), &mut read).map_err(|e| table.wrong(&e))?;
        }
    }
    Ok(read)
}

fn each_list(column: &ArrayRef, read: &mut Read) -> Result<(), ArrowError> {
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
        read.push(&vector);
    }
    Ok(())
}

/// Of columns of numbers, one component each.
pub(super) fn columns(table: &Table, names: &[String]) -> Result<Read, MonitorError> {
    let mut read = Read::new();
    for part in 0..table.parts() {
        for batch in table.rows(part, None)? {
            let batch = batch.map_err(|e| table.wrong(&e))?;
            let mut cells = vec![0.0; batch.num_rows() * names.len()];
            for (at, name) in names.iter().enumerate() {
                let Some(column) = batch.column_by_name(name) else { continue };
                let mut places = cells.iter_mut().skip(at).step_by(names.len());
                numbers(column, |x| {
                    if let Some(place) = places.next() {
                        *place = x.unwrap_or(f64::NAN);
                    }
                })
                .map_err(|e| table.wrong(&e))?;
            }
            cells.chunks_exact(names.len().max(1)).for_each(|vector| read.push(vector));
        }
    }
    Ok(read)
}

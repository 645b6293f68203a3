//! Columns of numbers as tensors, straight from Arrow's buffers.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
};
use mainspring_mlmodel::ColumnType;

/// One column's places in a row-major tensor.
pub(super) struct Spread<'a, T> {
    pub out: &'a mut [T],
    pub from: usize,
    pub step: usize,
}

impl<T: Copy> Spread<'_, T> {
    fn put<V: Copy>(self, values: &[V], convert: impl Fn(V) -> T, nulls: (&ArrayRef, T)) {
        let (column, missing) = nulls;
        for (place, value) in self.out[self.from..].iter_mut().step_by(self.step).zip(values) {
            *place = convert(*value);
        }
        if let Some(valid) = column.nulls().filter(|n| n.null_count() > 0) {
            for row in (0..column.len()).filter(|row| valid.is_null(*row)) {
                self.out[self.from + row * self.step] = missing;
            }
        }
    }
}

/// The columns in which a missing number is NaN and any number is welcome.
fn any_number(kind: Option<&ColumnType>) -> bool {
    matches!(kind, None | Some(ColumnType::Float | ColumnType::Double))
}

/// Whether a whole-number column needs no look at its values.
fn whole_enough(column: &ArrayRef, kind: Option<&ColumnType>) -> bool {
    column.null_count() == 0
        && matches!(
            (kind, column.data_type()),
            (
                Some(ColumnType::Integer),
                DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16,
            ) | (
                Some(ColumnType::Long),
                DataType::Int8
                    | DataType::Int16
                    | DataType::Int32
                    | DataType::Int64
                    | DataType::UInt8
                    | DataType::UInt16
                    | DataType::UInt32,
            )
        )
}

macro_rules! floats {
    ($name:ident, $type:ty) => {
        pub(super) fn $name(
            column: &ArrayRef,
            kind: Option<&ColumnType>,
            text: bool,
            spread: Spread<'_, $type>,
        ) -> bool {
            if !(any_number(kind) || whole_enough(column, kind)) {
                return false;
            }
            let nan = (column, <$type>::NAN);
            macro_rules! from {
                ($arrow:ty) => {
                    spread.put(column.as_primitive::<$arrow>().values(), |v| f64::from(v) as $type, nan)
                };
            }
            match column.data_type() {
                DataType::Float32 => from!(Float32Type),
                DataType::Float64 => from!(Float64Type),
                DataType::Int8 => from!(Int8Type),
                DataType::Int16 => from!(Int16Type),
                DataType::Int32 => from!(Int32Type),
                DataType::UInt8 => from!(UInt8Type),
                DataType::UInt16 => from!(UInt16Type),
                DataType::UInt32 => from!(UInt32Type),
                DataType::Int64 => {
                    spread.put(column.as_primitive::<Int64Type>().values(), |v| v as f64 as $type, nan);
                }
                DataType::Utf8 if text => return written(column.as_string(), spread, |x| x as $type),
                _ => return false,
            }
            true
        }
    };
}

floats!(floats32, f32);
floats!(floats64, f64);

/// Numbers as CSV has them; false when a text is none.
fn written<T: Copy>(texts: &StringArray, spread: Spread<'_, T>, convert: impl Fn(f64) -> T) -> bool {
    for (place, text) in spread.out[spread.from..].iter_mut().step_by(spread.step).zip(texts) {
        let Some(text) = text else {
            *place = convert(f64::NAN);
            continue;
        };
        match text.trim().parse::<f64>() {
            Ok(number) => *place = convert(number),
            Err(_) => return false,
        }
    }
    true
}

macro_rules! wholes {
    ($name:ident, $type:ty, [$($kind:ident => $arrow:ty),*]) => {
        pub(super) fn $name(column: &ArrayRef, kind: Option<&ColumnType>, _: bool, spread: Spread<'_, $type>) -> bool {
            let fits = match kind {
                None => column.null_count() == 0,
                kind => whole_enough(column, kind),
            };
            if !fits {
                return false;
            }
            match column.data_type() {
                $(DataType::$kind => {
                    spread.put(column.as_primitive::<$arrow>().values(), <$type>::from, (column, 0));
                })*
                _ => return false,
            }
            true
        }
    };
}

wholes!(wholes64, i64, [Int8 => Int8Type, Int16 => Int16Type, Int32 => Int32Type, Int64 => Int64Type,
    UInt8 => UInt8Type, UInt16 => UInt16Type, UInt32 => UInt32Type]);
wholes!(wholes32, i32, [Int8 => Int8Type, Int16 => Int16Type, Int32 => Int32Type, UInt8 => UInt8Type,
    UInt16 => UInt16Type]);

//! How a column's values come into the rows of a matrix.

use crate::types::by_type;
use mainspring_core::DType;

/// Writes the rows in the first slice, so many bytes each, into the second, whose rows begin so many bytes apart.
pub(super) type Fill = fn(&[u8], &mut [u8], usize, usize);

/// A number as ONNX's `Cast` makes a floating one of it: rounded to the nearest.
trait Number: bytemuck::Pod {
    fn single(self) -> f32;
    fn double(self) -> f64;
}

macro_rules! number {
    ($($type:ty)*) => {$(
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_lossless, reason = "the cast is the model's")]
        impl Number for $type {
            fn single(self) -> f32 {
                self as f32
            }

            fn double(self) -> f64 {
                self as f64
            }
        }
    )*};
}
number!(u8 u16 u32 u64 i8 i16 i32 i64 f32 f64);

macro_rules! half {
    ($($type:ty)*) => {$(
        impl Number for $type {
            fn single(self) -> f32 {
                self.to_f32()
            }

            fn double(self) -> f64 {
                self.to_f64()
            }
        }
    )*};
}
half!(half::f16 half::bf16);

/// What brings numbers of the type `from` to `to`, through another type where the model casts twice; `None` where the
/// model's own nodes have to.
pub(super) fn fill(from: DType, through: Option<DType>, to: DType) -> Option<Fill> {
    if from == to && through.is_none_or(|through| through == to) {
        return from.size().map(|_| copied as Fill);
    }
    // True and false are checked where they are given to ONNX Runtime.
    by_type!(from, of(through, to), else None)
}

fn of<T: Number>(through: Option<DType>, to: DType) -> Option<Fill> {
    #[expect(clippy::cast_possible_truncation, reason = "the cast is the model's")]
    Some(match (through, to) {
        (None | Some(DType::Fp32), DType::Fp32) => |raw, into, row, stride| each(raw, into, row, stride, T::single),
        (None | Some(DType::Fp64), DType::Fp64) => |raw, into, row, stride| each(raw, into, row, stride, T::double),
        (Some(DType::Fp64), DType::Fp32) => {
            |raw, into, row, stride| each(raw, into, row, stride, |value: T| value.double() as f32)
        }
        (Some(DType::Fp32), DType::Fp64) => {
            |raw, into, row, stride| each(raw, into, row, stride, |value: T| f64::from(value.single()))
        }
        _ => return None,
    })
}

fn each<T: Number, U: bytemuck::Pod>(raw: &[u8], into: &mut [u8], row: usize, stride: usize, cast: impl Fn(T) -> U) {
    for (into, values) in into.chunks_mut(stride).zip(raw.chunks_exact(row)) {
        for (into, value) in into.chunks_exact_mut(size_of::<U>()).zip(values.chunks_exact(size_of::<T>())) {
            into.copy_from_slice(bytemuck::bytes_of(&cast(bytemuck::pod_read_unaligned(value))));
        }
    }
}

fn copied(raw: &[u8], into: &mut [u8], row: usize, stride: usize) {
    for (into, values) in into.chunks_mut(stride).zip(raw.chunks_exact(row)) {
        into[..row].copy_from_slice(values);
    }
}

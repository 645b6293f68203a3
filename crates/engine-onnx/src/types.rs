//! Element types: ONNX's and ours, and Rust's for numbers.

use mainspring_core::DType;
use ort::value::TensorElementType;

/// The types that both sides have, with the numbers that `onnx.proto` gives them.
const TYPES: [(u64, TensorElementType, DType); 14] = [
    (1, TensorElementType::Float32, DType::Fp32),
    (2, TensorElementType::Uint8, DType::Uint8),
    (3, TensorElementType::Int8, DType::Int8),
    (4, TensorElementType::Uint16, DType::Uint16),
    (5, TensorElementType::Int16, DType::Int16),
    (6, TensorElementType::Int32, DType::Int32),
    (7, TensorElementType::Int64, DType::Int64),
    (8, TensorElementType::String, DType::Bytes),
    (9, TensorElementType::Bool, DType::Bool),
    (10, TensorElementType::Float16, DType::Fp16),
    (11, TensorElementType::Float64, DType::Fp64),
    (12, TensorElementType::Uint32, DType::Uint32),
    (13, TensorElementType::Uint64, DType::Uint64),
    (16, TensorElementType::Bfloat16, DType::Bf16),
];

/// Ours for ONNX Runtime's.
pub(crate) fn of_runtime(ty: TensorElementType) -> Option<DType> {
    TYPES.iter().find(|(_, of, _)| *of == ty).map(|(_, _, dtype)| *dtype)
}

/// Ours for a number of `onnx.proto`.
pub(crate) fn of_file(number: u64) -> Option<DType> {
    TYPES.iter().find(|(of, _, _)| *of == number).map(|(_, _, dtype)| *dtype)
}

/// The number that `onnx.proto` gives a type of ours.
pub(crate) fn in_file(dtype: DType) -> Option<u64> {
    TYPES.iter().find(|(_, _, of)| *of == dtype).map(|(number, _, _)| *number)
}

/// Calls a function that is generic in the type of numbers; `else` for what is no number.
macro_rules! by_type {
    ($dtype:expr, $function:ident ( $($argument:expr),* ), else $other:expr) => {
        match $dtype {
            DType::Uint8 => $function::<u8>($($argument),*),
            DType::Uint16 => $function::<u16>($($argument),*),
            DType::Uint32 => $function::<u32>($($argument),*),
            DType::Uint64 => $function::<u64>($($argument),*),
            DType::Int8 => $function::<i8>($($argument),*),
            DType::Int16 => $function::<i16>($($argument),*),
            DType::Int32 => $function::<i32>($($argument),*),
            DType::Int64 => $function::<i64>($($argument),*),
            DType::Fp16 => $function::<half::f16>($($argument),*),
            DType::Bf16 => $function::<half::bf16>($($argument),*),
            DType::Fp32 => $function::<f32>($($argument),*),
            DType::Fp64 => $function::<f64>($($argument),*),
            DType::Bool | DType::Bytes => $other,
        }
    };
}
pub(crate) use by_type;

//! Lists as tensors.

use crate::error::BatchError;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{self as t, DataType};
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, Tensor};
use mainspring_engine::TensorSpec;
use std::sync::Arc;

/// A column of lists as one tensor.
pub(super) fn list(spec: &TensorSpec, rows: &RecordBatch, at: usize, first: u64) -> Result<NamedTensor, BatchError> {
    let column = rows.column(at);
    let wrong = |reason: String| BatchError::Tensor {
        column: rows.schema_ref().field(at).name().clone(),
        input: spec.name.to_string(),
        reason,
    };
    let n = rows.num_rows();
    let want: Vec<i64> = spec.shape.iter().skip(1).copied().collect();
    let fixed = want.iter().try_fold(1_usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?));
    let (values, lengths): (ArrayRef, Vec<usize>) = match column.data_type() {
        DataType::FixedSizeList(_, size) => {
            let list = column.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap_or(0);
            (list.values().slice(list.value_offset(0) as usize, n * size), vec![size; n])
        }
        _ => {
            let list = cast(column, &plain_list(column.data_type())).map_err(|e| wrong(e.to_string()))?;
            let list = list.as_list::<i32>();
            let offsets = list.value_offsets();
            let (from, to) = (offsets[0] as usize, offsets[n] as usize);
            let lengths = offsets.windows(2).map(|w| (w[1] - w[0]) as usize).collect();
            (list.values().slice(from, to - from), lengths)
        }
    };
    if let Some(row) = (0..n).find(|i| column.is_null(*i)) {
        return Err(wrong(format!("row {} has no value", first + row as u64)));
    }
    let width = fixed.or(lengths.first().copied()).unwrap_or(0);
    if let Some(row) = lengths.iter().position(|l| *l != width) {
        let got = lengths[row];
        return Err(wrong(format!("row {} has {got} values where the input takes {width}", first + row as u64)));
    }
    if values.null_count() > 0 {
        let at = (0..values.len()).find(|i| values.is_null(*i)).unwrap_or(0);
        return Err(wrong(format!("row {} has a missing value", first + (at / width.max(1)) as u64)));
    }
    let shape: Vec<usize> = match (fixed, want.len()) {
        (Some(_), _) => std::iter::once(n).chain(want.iter().map(|d| usize::try_from(*d).unwrap_or(1))).collect(),
        (None, 0 | 1) => vec![n, width],
        (None, _) => return Err(wrong(format!("its shape {:?} leaves more than one dimension open", spec.shape))),
    };
    macro_rules! numbers {
        ($kind:expr, $arrow:ty) => {{
            let values = cast(&values, &$kind).map_err(|e| wrong(e.to_string()))?;
            if values.null_count() > 0 {
                return Err(wrong(format!("a value of it does not fit {}", spec.dtype)));
            }
            Tensor::from_vec(spec.dtype, shape, values.as_primitive::<$arrow>().values().to_vec())
        }};
    }
    let tensor = match spec.dtype {
        DType::Fp32 => numbers!(DataType::Float32, t::Float32Type),
        DType::Fp64 => numbers!(DataType::Float64, t::Float64Type),
        DType::Int8 => numbers!(DataType::Int8, t::Int8Type),
        DType::Int16 => numbers!(DataType::Int16, t::Int16Type),
        DType::Int32 => numbers!(DataType::Int32, t::Int32Type),
        DType::Int64 => numbers!(DataType::Int64, t::Int64Type),
        DType::Uint8 => numbers!(DataType::UInt8, t::UInt8Type),
        DType::Uint16 => numbers!(DataType::UInt16, t::UInt16Type),
        DType::Uint32 => numbers!(DataType::UInt32, t::UInt32Type),
        DType::Uint64 => numbers!(DataType::UInt64, t::UInt64Type),
        other => return Err(wrong(format!("lists cannot become {other}"))),
    };
    let tensor = tensor.map_err(|e| wrong(e.to_string()))?;
    Ok(NamedTensor { name: Arc::clone(&spec.name), tensor })
}

fn plain_list(kind: &DataType) -> DataType {
    match kind {
        DataType::LargeList(item) => DataType::List(Arc::clone(item)),
        other => other.clone(),
    }
}

//! One column being filled.

use super::digest;
use crate::layout::{Form, Slot};
use arrow::array::{
    Array, ArrayData, ArrayRef, BinaryBuilder, BooleanArray, BooleanBufferBuilder, ListArray, NullBufferBuilder,
    StringBuilder, UInt32Array, make_array,
};
use arrow::buffer::{MutableBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use half::{bf16, f16};
use mainspring_core::tensor::Data;
use mainspring_core::{DType, Tensor};
use std::ops::Range;
use std::sync::Arc;

/// Values of one type with their gaps. What a tensor becomes; mostly one column of the batch.
pub(super) enum Column {
    Fixed {
        ty: DataType,
        width: usize,
        bytes: MutableBuffer,
        nulls: NullBufferBuilder,
    },
    /// FP16 and BF16 on their way to 32-bit floats.
    Half {
        bytes: MutableBuffer,
        nulls: NullBufferBuilder,
    },
    Bool {
        bits: BooleanBufferBuilder,
        nulls: NullBufferBuilder,
    },
    Text(StringBuilder),
    Binary(BinaryBuilder),
    List {
        item: DataType,
        offsets: Vec<i32>,
        nulls: NullBufferBuilder,
        items: Box<Column>,
    },
    /// Row by row as they came; taken apart into `width` columns only when the batch is done.
    Table {
        width: usize,
        items: Box<Column>,
    },
    /// What tensors leave that are too big to keep. Made at once: the bytes are still in the cache of the
    /// thread that read or computed them, and their memory is free for the next request.
    Digest(StringBuilder),
}

fn no_nulls() -> NullBufferBuilder {
    NullBufferBuilder::new(0)
}

impl Column {
    /// The column of a slot.
    pub fn of(slot: &Slot) -> Self {
        match &slot.form {
            Form::Scalar => Self::elements(slot),
            Form::List => {
                let (item, items) = (slot.item_type(), Box::new(Self::elements(slot)));
                Self::List { item, offsets: vec![0], nulls: no_nulls(), items }
            }
            Form::Columns(names) => Self::Table { width: names.len(), items: Box::new(Self::elements(slot)) },
            Form::Digest => Self::Digest(StringBuilder::new()),
        }
    }

    fn elements(slot: &Slot) -> Self {
        match slot.dtype {
            DType::Bool => Self::Bool { bits: BooleanBufferBuilder::new(0), nulls: no_nulls() },
            DType::Fp16 | DType::Bf16 => Self::Half { bytes: MutableBuffer::new(0), nulls: no_nulls() },
            DType::Bytes if slot.binary => Self::Binary(BinaryBuilder::new()),
            DType::Bytes => Self::Text(StringBuilder::new()),
            dtype => Self::Fixed {
                ty: slot.item_type(),
                width: dtype.size().unwrap_or(1),
                bytes: MutableBuffer::new(0),
                nulls: no_nulls(),
            },
        }
    }

    /// Bytes that `n` values of a tensor with `each` bytes a value will have in the batch.
    pub fn bytes_of(&self, n: usize, each: usize) -> usize {
        n * if matches!(self, Self::Digest(_)) { digest::LENGTH } else { each }
    }

    /// Adds lines of `tensor`, which has `n` elements a row.
    pub fn push_lines(&mut self, tensor: &Tensor, (n, row_wise): (usize, bool), lines: Range<usize>) {
        match self {
            Self::List { offsets, nulls, items, .. } => {
                items.push(tensor, lines.start * n, n * lines.len());
                let mut end = offsets.last().copied().unwrap_or(0);
                for _ in lines.clone() {
                    end += n as i32;
                    offsets.push(end);
                }
                nulls.append_n_non_nulls(lines.len());
            }
            Self::Table { items, .. } => items.push(tensor, lines.start * n, n * lines.len()),
            Self::Digest(texts) => lines.for_each(|line| texts.append_value(digest::of(tensor, line, row_wise))),
            _ => self.push(tensor, lines.start, lines.len()),
        }
    }

    /// Adds elements `start..start + n` of `tensor`.
    fn push(&mut self, tensor: &Tensor, start: usize, n: usize) {
        match tensor.data() {
            Data::Raw(raw) => {
                let width = tensor.dtype().size().unwrap_or(1);
                let raw = raw.get(start * width..(start + n) * width).unwrap_or_default();
                self.push_raw(raw, n, tensor.dtype());
            }
            Data::Strings(strings) => {
                for s in strings.get(start..start + n).unwrap_or_default() {
                    match self {
                        // The layout put tensors with other bytes into a binary column.
                        Self::Text(b) => b.append_value(String::from_utf8_lossy(s)),
                        Self::Binary(b) => b.append_value(s),
                        _ => {}
                    }
                }
            }
        }
    }

    fn push_raw(&mut self, raw: &[u8], n: usize, dtype: DType) {
        match self {
            Self::Fixed { bytes, nulls, .. } => {
                bytes.extend_from_slice(raw);
                nulls.append_n_non_nulls(n);
            }
            Self::Half { bytes, nulls } => {
                for pair in raw.chunks_exact(2) {
                    let bits = u16::from_le_bytes([pair[0], pair[1]]);
                    let value = if dtype == DType::Fp16 {
                        f16::from_bits(bits).to_f32()
                    } else {
                        bf16::from_bits(bits).to_f32()
                    };
                    bytes.extend_from_slice(&value.to_le_bytes());
                }
                nulls.append_n_non_nulls(n);
            }
            Self::Bool { bits, nulls } => {
                for b in raw {
                    bits.append(*b != 0);
                }
                nulls.append_n_non_nulls(n);
            }
            _ => {}
        }
    }

    /// Adds `n` lines without a value.
    pub fn push_nulls(&mut self, n: usize) {
        if n == 0 {
            return;
        }
        match self {
            Self::Fixed { width, bytes, nulls, .. } => {
                bytes.extend_zeros(n * *width);
                nulls.append_n_nulls(n);
            }
            Self::Half { bytes, nulls } => {
                bytes.extend_zeros(n * 4);
                nulls.append_n_nulls(n);
            }
            Self::Bool { bits, nulls } => {
                bits.append_n(n, false);
                nulls.append_n_nulls(n);
            }
            Self::Text(b) | Self::Digest(b) => (0..n).for_each(|_| b.append_null()),
            Self::Binary(b) => (0..n).for_each(|_| b.append_null()),
            Self::List { offsets, nulls, .. } => {
                let end = offsets.last().copied().unwrap_or(0);
                offsets.extend(std::iter::repeat_n(end, n));
                nulls.append_n_nulls(n);
            }
            Self::Table { width, items } => items.push_nulls(n * *width),
        }
    }

    /// Adds the values to `columns`.
    pub fn finish_into(self, columns: &mut Vec<ArrayRef>) -> Result<(), ArrowError> {
        let Self::Table { width, items } = self else {
            columns.push(self.finish()?);
            return Ok(());
        };
        let items = items.finish()?;
        // A batch is far shorter than the index type can count: MAX_ROWS by MAX_COLUMNS.
        let end = items.len() as u32;
        for column in 0..width as u32 {
            let places = UInt32Array::from_iter_values((column..end).step_by(width));
            columns.push(take(&items, &places, None)?);
        }
        Ok(())
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Fixed { ty, width, bytes, nulls } => fixed(ty, width, bytes, nulls)?,
            Self::Half { bytes, nulls } => fixed(DataType::Float32, 4, bytes, nulls)?,
            Self::Bool { mut bits, mut nulls } => Arc::new(BooleanArray::new(bits.finish(), nulls.finish())),
            Self::Text(mut b) | Self::Digest(mut b) => Arc::new(b.finish()),
            Self::Binary(mut b) => Arc::new(b.finish()),
            Self::List { item, offsets, mut nulls, items } => {
                let field = Arc::new(Field::new("element", item, false));
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(ListArray::try_new(field, offsets, items.finish()?, nulls.finish())?)
            }
            // Only `finish_into` takes it apart.
            Self::Table { items, .. } => items.finish()?,
        })
    }
}

fn fixed(
    ty: DataType,
    width: usize,
    bytes: MutableBuffer,
    mut nulls: NullBufferBuilder,
) -> Result<ArrayRef, ArrowError> {
    let len = bytes.len() / width;
    let data = ArrayData::builder(ty).len(len).add_buffer(bytes.into()).nulls(nulls.finish()).build()?;
    Ok(make_array(data))
}

//! One column being filled.

use crate::layout::Slot;
use arrow::array::{
    ArrayData, ArrayRef, BinaryBuilder, BooleanArray, BooleanBufferBuilder, ListArray, NullBufferBuilder,
    StringBuilder, make_array,
};
use arrow::buffer::{MutableBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use half::{bf16, f16};
use mainspring_core::tensor::Data;
use mainspring_core::{DType, Tensor};
use std::sync::Arc;

/// Values of one type with their gaps.
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
}

fn no_nulls() -> NullBufferBuilder {
    NullBufferBuilder::new(0)
}

impl Column {
    /// A column of the slot's element type.
    pub fn new(slot: &Slot) -> Self {
        match slot.dtype {
            DType::Bool => Self::Bool { bits: BooleanBufferBuilder::new(0), nulls: no_nulls() },
            DType::Fp16 | DType::Bf16 => Self::Half { bytes: MutableBuffer::new(0), nulls: no_nulls() },
            DType::Bytes if slot.binary => Self::Binary(BinaryBuilder::new()),
            DType::Bytes => Self::text(),
            dtype => Self::Fixed {
                ty: slot.item_type(),
                width: dtype.size().unwrap_or(1),
                bytes: MutableBuffer::new(0),
                nulls: no_nulls(),
            },
        }
    }

    /// A column of lists of the slot's element type.
    pub fn list(slot: &Slot) -> Self {
        Self::List { item: slot.item_type(), offsets: vec![0], nulls: no_nulls(), items: Box::new(Self::new(slot)) }
    }

    /// A column of texts.
    pub fn text() -> Self {
        Self::Text(StringBuilder::new())
    }

    /// Adds elements `start..start + n` of `tensor`.
    pub fn push(&mut self, tensor: &Tensor, start: usize, n: usize) {
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

    /// Adds `lists` lists of `n` elements each, from element `start` of `tensor` on.
    pub fn push_lists(&mut self, tensor: &Tensor, start: usize, n: usize, lists: usize) {
        let Self::List { offsets, nulls, items, .. } = self else { return };
        items.push(tensor, start, n * lists);
        let mut end = offsets.last().copied().unwrap_or(0);
        for _ in 0..lists {
            end += n as i32;
            offsets.push(end);
        }
        nulls.append_n_non_nulls(lists);
    }

    /// Adds a text to a text column.
    pub fn push_text(&mut self, text: &str) {
        if let Self::Text(b) = self {
            b.append_value(text);
        }
    }

    /// Adds `n` absent values.
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
            Self::Text(b) => (0..n).for_each(|_| b.append_null()),
            Self::Binary(b) => (0..n).for_each(|_| b.append_null()),
            Self::List { offsets, nulls, .. } => {
                let end = offsets.last().copied().unwrap_or(0);
                offsets.extend(std::iter::repeat_n(end, n));
                nulls.append_n_nulls(n);
            }
        }
    }

    /// The values so far; the column is empty then.
    pub fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Fixed { ty, width, bytes, nulls } => fixed(ty.clone(), *width, bytes, nulls)?,
            Self::Half { bytes, nulls } => fixed(DataType::Float32, 4, bytes, nulls)?,
            Self::Bool { bits, nulls } => Arc::new(BooleanArray::new(bits.finish(), nulls.finish())),
            Self::Text(b) => Arc::new(b.finish()),
            Self::Binary(b) => Arc::new(b.finish()),
            Self::List { item, offsets, nulls, items } => {
                let offsets = std::mem::replace(offsets, vec![0]);
                let field = Arc::new(Field::new("element", item.clone(), false));
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(ListArray::try_new(field, offsets, items.take()?, nulls.finish())?)
            }
        })
    }
}

fn fixed(
    ty: DataType,
    width: usize,
    bytes: &mut MutableBuffer,
    nulls: &mut NullBufferBuilder,
) -> Result<ArrayRef, ArrowError> {
    let bytes = std::mem::replace(bytes, MutableBuffer::new(0));
    let len = bytes.len() / width;
    let data = ArrayData::builder(ty).len(len).add_buffer(bytes.into()).nulls(nulls.finish()).build()?;
    Ok(make_array(data))
}

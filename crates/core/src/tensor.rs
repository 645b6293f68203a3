//! Tensors: a data type, a shape and bytes. Row-major, little-endian, shared without copies.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// Element types, named as the Open Inference Protocol names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum DType {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    /// Variable-length byte strings.
    Bytes,
}

impl DType {
    /// Every type.
    pub const ALL: [Self; 14] = [
        Self::Bool,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Fp16,
        Self::Bf16,
        Self::Fp32,
        Self::Fp64,
        Self::Bytes,
    ];

    /// Bytes an element takes; `None` for [`DType::Bytes`].
    pub fn size(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }

    /// The Open Inference Protocol's name, e.g. `FP32`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// The type with this Open Inference Protocol name; the inverse of [`DType::as_str`]. Asked for each input of a
    /// request, so it compares once rather than with each name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "BOOL" => Self::Bool,
            "UINT8" => Self::Uint8,
            "UINT16" => Self::Uint16,
            "UINT32" => Self::Uint32,
            "UINT64" => Self::Uint64,
            "INT8" => Self::Int8,
            "INT16" => Self::Int16,
            "INT32" => Self::Int32,
            "INT64" => Self::Int64,
            "FP16" => Self::Fp16,
            "BF16" => Self::Bf16,
            "FP32" => Self::Fp32,
            "FP64" => Self::Fp64,
            "BYTES" => Self::Bytes,
            _ => return None,
        })
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is inside a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Fixed-size elements, little-endian, row-major. May be unaligned when it is a slice of a
    /// request body; whoever needs alignment checks and copies.
    Raw(Raw),
    /// Variable-length elements of a [`DType::Bytes`] tensor.
    Strings(Arc<[Bytes]>),
}

/// The dimensions of a tensor. Few tensors have more than four, and a request may have hundreds of tensors.
pub type Shape = SmallVec<[usize; 4]>;

/// A tensor. Cloning shares the data.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    dtype: DType,
    shape: Shape,
    data: Data,
}

/// A tensor and the name the model knows it by.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Input or output name.
    pub name: Arc<str>,
    /// The values.
    pub tensor: Tensor,
}

/// Why bytes are not a tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The shape asks for another number of bytes than were given.
    #[error("shape {shape:?} of {dtype} needs {expected} bytes, got {got}")]
    ByteLength {
        /// Element type.
        dtype: DType,
        /// Shape given.
        shape: Vec<usize>,
        /// Bytes the shape needs.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// The shape asks for another number of elements than were given.
    #[error("shape {shape:?} needs {expected} elements, got {got}")]
    ElementCount {
        /// Shape given.
        shape: Vec<usize>,
        /// Elements the shape needs.
        expected: usize,
        /// Elements given.
        got: usize,
    },
    /// The product of the dimensions does not fit in memory.
    #[error("shape {shape:?} has more elements than fit in memory")]
    Overflow {
        /// Shape given.
        shape: Vec<usize>,
    },
    /// A BYTES block whose length prefixes do not add up.
    #[error(
        "BYTES data ends inside element {element} (each element is a 4-byte little-endian length, then that many bytes)"
    )]
    TruncatedString {
        /// Index of the element at fault.
        element: usize,
    },
    /// Raw bytes for a BYTES tensor, or strings for another type.
    #[error("{dtype} data cannot be given this way")]
    WrongForm {
        /// Element type.
        dtype: DType,
    },
}

/// Elements of a shape; `None` when the product overflows.
#[inline]
pub fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d))
}

struct Pod<T>(Vec<T>);

impl<T: bytemuck::Pod> AsRef<[u8]> for Pod<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// Words of eight bytes that live in the tensor itself.
const FEW: usize = 4;

/// The bytes of numbers: shared, or a few in place. A request of a table has an input a column with a number or some
/// for each, and would allocate for each of them.
#[derive(Clone)]
pub struct Raw(Bits);

#[derive(Clone)]
enum Bits {
    Shared(Bytes),
    Few { words: [u64; FEW], bytes: u8 },
}

impl Raw {
    /// Several pieces together as one, aligned for every element type.
    pub fn joined<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let len: usize = pieces.clone().map(<[u8]>::len).sum();
        let fill = |room: &mut [u64]| {
            let mut rest: &mut [u8] = bytemuck::cast_slice_mut(room);
            for piece in pieces {
                let (here, after) = rest.split_at_mut(piece.len());
                here.copy_from_slice(piece);
                rest = after;
            }
        };
        if len <= FEW * 8 {
            let mut words = [0; FEW];
            fill(&mut words);
            return Self(Bits::Few { words, bytes: len as u8 });
        }
        let mut words = vec![0; len.div_ceil(8)];
        fill(&mut words);
        Self::of_words(words, len)
    }

    /// The first `len` bytes of words, which are aligned for every element type.
    pub fn of_words(words: Vec<u64>, len: usize) -> Self {
        let mut bytes = Bytes::from_owner(Pod(words));
        bytes.truncate(len);
        bytes.into()
    }

    /// One value: its size is known when this is compiled, so that nothing is called to copy it.
    fn one<T: bytemuck::Pod>(value: &T) -> Self {
        let bytes = size_of::<T>();
        if bytes > FEW * 8 {
            return Self::joined(std::iter::once(bytemuck::bytes_of(value)));
        }
        let mut words = [0; FEW];
        bytemuck::bytes_of_mut(&mut words)[..bytes].copy_from_slice(bytemuck::bytes_of(value));
        Self(Bits::Few { words, bytes: bytes as u8 })
    }

    /// The same as shared bytes: without a copy when they are.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Bits::Shared(bytes) => bytes.clone(),
            Bits::Few { .. } => Bytes::copy_from_slice(self),
        }
    }

    fn part(&self, range: std::ops::Range<usize>) -> Self {
        match &self.0 {
            Bits::Shared(bytes) => bytes.slice(range).into(),
            Bits::Few { .. } => Self::joined(std::iter::once(&self[range])),
        }
    }
}

impl From<Bytes> for Raw {
    fn from(bytes: Bytes) -> Self {
        Self(Bits::Shared(bytes))
    }
}

impl std::ops::Deref for Raw {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bits::Shared(bytes) => bytes,
            Bits::Few { words, bytes } => &bytemuck::cast_slice(words)[..usize::from(*bytes)],
        }
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

fn overflow(shape: &[usize]) -> TensorError {
    TensorError::Overflow { shape: shape.to_vec() }
}

fn miscounted(shape: &[usize], expected: usize, got: usize) -> TensorError {
    TensorError::ElementCount { shape: shape.to_vec(), expected, got }
}

/// Whether so many elements of `T` fill a shape of `dtype`.
fn filled<T>(dtype: DType, shape: &[usize], got: usize) -> Result<(), TensorError> {
    if dtype.size() != Some(size_of::<T>()) {
        return Err(TensorError::WrongForm { dtype });
    }
    match element_count(shape) {
        None => Err(overflow(shape)),
        Some(expected) if expected != got => Err(miscounted(shape, expected, got)),
        Some(_) => Ok(()),
    }
}

impl Tensor {
    /// A tensor over bytes that are already in the wire layout.
    ///
    /// # Errors
    /// [`TensorError`] when the length does not match the shape, or the type is BYTES.
    pub fn from_raw(dtype: DType, shape: impl Into<Shape>, bytes: impl Into<Raw>) -> Result<Self, TensorError> {
        let (shape, bytes) = (shape.into(), bytes.into());
        let size = dtype.size().ok_or(TensorError::WrongForm { dtype })?;
        let expected = element_count(&shape).and_then(|n| n.checked_mul(size)).ok_or_else(|| overflow(&shape))?;
        if bytes.len() != expected {
            return Err(TensorError::ByteLength { dtype, shape: shape.to_vec(), expected, got: bytes.len() });
        }
        Ok(Self { dtype, shape, data: Data::Raw(bytes) })
    }

    /// A tensor that takes over a vector of numbers without a copy; the bytes stay aligned for `T`.
    ///
    /// # Errors
    /// [`TensorError`] when the count does not match the shape, or `T` has another width than
    /// `dtype`.
    pub fn from_vec<T: bytemuck::Pod + Send + Sync>(
        dtype: DType,
        shape: impl Into<Shape>,
        values: Vec<T>,
    ) -> Result<Self, TensorError> {
        let shape = shape.into();
        filled::<T>(dtype, &shape, values.len())?;
        Ok(Self { dtype, shape, data: Data::Raw(Bytes::from_owner(Pod(values)).into()) })
    }

    /// A tensor of numbers that are copied, aligned for `T`: quicker than a vector of their own where they are few.
    ///
    /// # Errors
    /// As [`Tensor::from_vec`].
    pub fn from_slice<T: bytemuck::Pod + Send + Sync>(
        dtype: DType,
        shape: impl Into<Shape>,
        values: &[T],
    ) -> Result<Self, TensorError> {
        let shape = shape.into();
        filled::<T>(dtype, &shape, values.len())?;
        let raw = match values {
            [value] => Raw::one(value),
            _ => Raw::joined(std::iter::once(bytemuck::cast_slice(values))),
        };
        Ok(Self { dtype, shape, data: Data::Raw(raw) })
    }

    /// A BYTES tensor.
    ///
    /// # Errors
    /// [`TensorError`] when the count does not match the shape.
    pub fn from_strings(shape: impl Into<Shape>, values: Vec<Bytes>) -> Result<Self, TensorError> {
        let shape = shape.into();
        let expected = element_count(&shape).ok_or_else(|| overflow(&shape))?;
        if values.len() != expected {
            return Err(miscounted(&shape, expected, values.len()));
        }
        Ok(Self { dtype: DType::Bytes, shape, data: Data::Strings(values.into()) })
    }

    /// A tensor from the wire: raw little-endian numbers, or for BYTES a u32 little-endian length
    /// before each element (the binary tensor extension of the Open Inference Protocol).
    ///
    /// # Errors
    /// [`TensorError`] when the bytes do not fill the shape exactly.
    pub fn from_wire(dtype: DType, shape: impl Into<Shape>, bytes: Bytes) -> Result<Self, TensorError> {
        if dtype != DType::Bytes {
            return Self::from_raw(dtype, shape, bytes);
        }
        let mut values = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let element = values.len();
            let Some((prefix, _)) = rest.split_first_chunk::<4>() else {
                return Err(TensorError::TruncatedString { element });
            };
            let len = u32::from_le_bytes(*prefix) as usize;
            let _prefix = rest.split_to(4);
            if rest.len() < len {
                return Err(TensorError::TruncatedString { element });
            }
            values.push(rest.split_to(len));
        }
        Self::from_strings(shape, values)
    }

    /// The wire form that [`Tensor::from_wire`] reads. Free for numbers, or a copy of a few; built for BYTES.
    pub fn to_wire(&self) -> Bytes {
        match &self.data {
            Data::Raw(bytes) => bytes.to_bytes(),
            Data::Strings(values) => {
                let mut out = Vec::with_capacity(values.iter().map(|v| v.len() + 4).sum());
                for v in values.iter() {
                    out.extend_from_slice(&(v.len() as u32).to_le_bytes());
                    out.extend_from_slice(v);
                }
                out.into()
            }
        }
    }

    /// Element type.
    #[inline]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Dimensions.
    #[inline]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values.
    #[inline]
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        element_count(&self.shape).unwrap_or(0)
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first dimension: how many rows a batch of it counts. A scalar is one row.
    #[inline]
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Bytes held, for memory limits.
    #[inline]
    pub fn byte_len(&self) -> usize {
        match &self.data {
            Data::Raw(b) => b.len(),
            Data::Strings(v) => v.iter().map(|b| b.len() + 16).sum(),
        }
    }

    /// The numbers, when the type is as wide as `T` and the bytes are aligned for it.
    pub fn as_slice<T: bytemuck::Pod>(&self) -> Option<&[T]> {
        match &self.data {
            Data::Raw(b) if self.dtype.size() == Some(size_of::<T>()) => bytemuck::try_cast_slice(b).ok(),
            _ => None,
        }
    }

    /// The numbers as a vector, copied: works for unaligned data too. `None` when `T` has another
    /// width than the type.
    pub fn to_vec<T: bytemuck::Pod>(&self) -> Option<Vec<T>> {
        match &self.data {
            Data::Raw(b) if self.dtype.size() == Some(size_of::<T>()) => {
                Some(bytemuck::allocation::pod_collect_to_vec::<u8, T>(b))
            }
            _ => None,
        }
    }

    /// The strings of a BYTES tensor.
    pub fn strings(&self) -> Option<&[Bytes]> {
        match &self.data {
            Data::Strings(v) => Some(v),
            Data::Raw(_) => None,
        }
    }

    /// A column `[n, 1]` as `[n]`, or, where it is to be `nested`, the other way round. Any other shape stays what it is.
    #[inline]
    pub fn column(&mut self, nested: bool) {
        match (&self.shape[..], nested) {
            ([_], true) => self.shape.push(1),
            ([_, 1], false) => self.shape.truncate(1),
            _ => {}
        }
    }

    /// Rows `start..end` of the first dimension. Shares the data.
    pub fn slice_rows(&self, start: usize, end: usize) -> Self {
        let rows = self.rows().max(1);
        let (start, end) = (start.min(rows), end.min(rows).max(start.min(rows)));
        if end - start == self.rows() {
            return self.clone();
        }
        let per_row = self.len() / rows;
        let mut shape = self.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = end - start;
        }
        let data = match &self.data {
            Data::Raw(b) => {
                let width = per_row * self.dtype.size().unwrap_or(1);
                Data::Raw(b.part(start * width..end * width))
            }
            Data::Strings(v) => Data::Strings(v[start * per_row..end * per_row].to_vec().into()),
        };
        Self { dtype: self.dtype, shape, data }
    }
}

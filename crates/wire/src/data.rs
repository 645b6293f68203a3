//! The `data` of an input: flat or nested lists, read straight into a vector of the right type.

use super::cursor::Cursor;
use super::error::BodyError;
use bytes::Bytes;
use mainspring_core::tensor::{Shape, element_count};
use mainspring_core::{DType, Tensor};
use smallvec::SmallVec;

/// Tensors of more dimensions than this are refused; ONNX Runtime and NumPy stop earlier.
const MAX_RANK: usize = 64;

/// What is known of an input when its data is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec<'s> {
    /// Its place in `inputs`, for messages.
    pub(crate) input: usize,
    /// Its element type.
    pub(crate) dtype: DType,
    /// Its shape.
    pub(crate) shape: &'s [usize],
}

impl Spec<'_> {
    fn path(&self) -> String {
        format!("inputs[{}].data", self.input)
    }
}

/// Reads the value under the cursor as the data of `spec`. Strings without escapes share `body`, in
/// which the cursor's text starts at byte 0.
pub(crate) fn read(cursor: &mut Cursor<'_>, spec: Spec<'_>, body: &Bytes) -> Result<Tensor, BodyError> {
    match spec.dtype {
        DType::Bool => numbers::<u8>(cursor, spec, boolean),
        DType::Uint8 => numbers::<u8>(cursor, spec, whole),
        DType::Uint16 => numbers::<u16>(cursor, spec, whole),
        DType::Uint32 => numbers::<u32>(cursor, spec, whole),
        DType::Uint64 => numbers::<u64>(cursor, spec, whole),
        DType::Int8 => numbers::<i8>(cursor, spec, whole),
        DType::Int16 => numbers::<i16>(cursor, spec, whole),
        DType::Int32 => numbers::<i32>(cursor, spec, whole),
        DType::Int64 => numbers::<i64>(cursor, spec, whole),
        DType::Fp32 => numbers::<f32>(cursor, spec, single),
        DType::Fp64 => numbers::<f64>(cursor, spec, double),
        dtype @ (DType::Fp16 | DType::Bf16) => Err(BodyError::BinaryOnly { path: spec.path(), dtype }),
        DType::Bytes => {
            let mut lists = Lists::new(cursor, spec);
            lists.value(&|c: &mut Cursor<'_>| string(c, body))?;
            Tensor::from_strings(spec.shape, lists.finish()?.into_vec())
                .map_err(|source| BodyError::Tensor { path: spec.path(), source })
        }
    }
}

fn numbers<T: bytemuck::Pod + Send + Sync>(
    cursor: &mut Cursor<'_>,
    spec: Spec<'_>,
    leaf: impl Fn(&mut Cursor<'_>) -> Result<T, Leaf>,
) -> Result<Tensor, BodyError> {
    let shape = Shape::from_slice(spec.shape);
    if let Some(value) = only(cursor, spec, &leaf) {
        return Tensor::from_slice(spec.dtype, shape, &[value])
            .map_err(|source| BodyError::Tensor { path: spec.path(), source });
    }
    let mut lists = Lists::new(cursor, spec);
    lists.value(&leaf)?;
    let values = lists.finish()?;
    let tensor = if values.spilled() {
        Tensor::from_vec(spec.dtype, shape, values.into_vec())
    } else {
        Tensor::from_slice(spec.dtype, shape, &values)
    };
    tensor.map_err(|source| BodyError::Tensor { path: spec.path(), source })
}

/// The element of a list that has no other, for a tensor that has no other: what a request of a table brings for each column.
/// Of anything else the cursor stays where it is.
#[inline]
fn only<T>(cursor: &mut Cursor<'_>, spec: Spec<'_>, leaf: impl Fn(&mut Cursor<'_>) -> Result<T, Leaf>) -> Option<T> {
    if spec.shape.iter().any(|size| *size != 1) {
        return None;
    }
    let mut ahead = cursor.clone();
    // What is wrong with it is said when it is read as any other.
    let value = ahead.eat(b'[').then(|| leaf(&mut ahead).ok()).flatten()?;
    ahead.eat(b']').then(|| *cursor = ahead)?;
    Some(value)
}

/// The elements of an input. A request of a table has an input a column, with few rows each.
type Values<T> = SmallVec<[T; 4]>;

/// Why an element could not be read.
enum Leaf {
    /// The text is not JSON.
    Syntax(BodyError),
    /// A JSON value of another type.
    Type(&'static str),
    /// A number that does not fit, as written.
    Range(String),
}

impl From<BodyError> for Leaf {
    fn from(e: BodyError) -> Self {
        Self::Syntax(e)
    }
}

#[inline]
fn is_number(cursor: &mut Cursor<'_>) -> Result<(), Leaf> {
    match cursor.peek() {
        Some(b'0'..=b'9' | b'-' | b'N' | b'I') => Ok(()),
        _ => Err(Leaf::Type("a number")),
    }
}

fn whole<T: TryFrom<u64> + TryFrom<i64> + std::str::FromStr>(cursor: &mut Cursor<'_>) -> Result<T, Leaf> {
    is_number(cursor)?;
    let number = cursor.decimal()?;
    number.whole().ok_or_else(|| Leaf::Range(number.text.to_owned()))
}

fn single(cursor: &mut Cursor<'_>) -> Result<f32, Leaf> {
    is_number(cursor)?;
    let number = cursor.decimal()?;
    number.f32().ok_or_else(|| Leaf::Range(number.text.to_owned()))
}

fn double(cursor: &mut Cursor<'_>) -> Result<f64, Leaf> {
    is_number(cursor)?;
    let number = cursor.decimal()?;
    number.f64().ok_or_else(|| Leaf::Range(number.text.to_owned()))
}

fn boolean(cursor: &mut Cursor<'_>) -> Result<u8, Leaf> {
    match cursor.peek() {
        Some(b't') if cursor.word("true") => Ok(1),
        Some(b'f') if cursor.word("false") => Ok(0),
        Some(b'0' | b'1') => match cursor.number()? {
            "0" => Ok(0),
            "1" => Ok(1),
            other => Err(Leaf::Range(other.to_owned())),
        },
        _ => Err(Leaf::Type("true or false")),
    }
}

fn string(cursor: &mut Cursor<'_>, body: &Bytes) -> Result<Bytes, Leaf> {
    if cursor.peek() != Some(b'"') {
        return Err(Leaf::Type("a string"));
    }
    let start = cursor.at() + 1;
    Ok(match cursor.string()? {
        std::borrow::Cow::Borrowed(text) => body.slice(start..start + text.len()),
        std::borrow::Cow::Owned(text) => Bytes::from(text),
    })
}

/// Lists within lists: collects the elements and checks that the nesting is even.
struct Lists<'c, 'a, 's, T> {
    cursor: &'c mut Cursor<'a>,
    spec: Spec<'s>,
    values: Values<T>,
    /// Length of the lists at each depth, once one has ended.
    dims: SmallVec<[Option<usize>; 4]>,
    /// The depth at which elements stand, once one was seen.
    leaves_at: Option<usize>,
}

impl<'c, 'a, 's, T> Lists<'c, 'a, 's, T> {
    fn new(cursor: &'c mut Cursor<'a>, spec: Spec<'s>) -> Self {
        // A shape may promise more than the body holds: an element takes two bytes at least.
        let room = cursor.room() / 2 + 1;
        let count = element_count(spec.shape).unwrap_or(0).min(room);
        Self { cursor, spec, values: Values::with_capacity(count), dims: SmallVec::new(), leaves_at: None }
    }

    /// A list, or a bare element for a tensor of one element.
    fn value<F>(&mut self, leaf: &F) -> Result<(), BodyError>
    where
        F: Fn(&mut Cursor<'a>) -> Result<T, Leaf>,
    {
        if self.cursor.peek() == Some(b'[') {
            return self.list(0, leaf);
        }
        if element_count(self.spec.shape) != Some(1) {
            let got = self.cursor.kind().to_owned();
            return Err(BodyError::Type { path: self.spec.path(), want: "an array", got });
        }
        self.element(leaf)
    }

    fn list<F>(&mut self, depth: usize, leaf: &F) -> Result<(), BodyError>
    where
        F: Fn(&mut Cursor<'a>) -> Result<T, Leaf>,
    {
        if depth >= MAX_RANK {
            return Err(self.cursor.syntax("nested too deeply"));
        }
        self.cursor.bump();
        if self.cursor.eat(b']') {
            return self.ended(depth, 0);
        }
        let nested = self.cursor.peek() == Some(b'[');
        if !nested && *self.leaves_at.get_or_insert(depth) != depth {
            return Err(self.ragged("some elements are nested deeper than others".to_owned()));
        }
        let mut length = 0;
        loop {
            if nested {
                if self.cursor.peek() != Some(b'[') {
                    return Err(self.ragged("a list has both elements and lists in it".to_owned()));
                }
                self.list(depth + 1, leaf)?;
            } else {
                self.element(leaf)?;
            }
            length += 1;
            if !self.cursor.more(b']', "expected ',' or ']' in the data")? {
                return self.ended(depth, length);
            }
        }
    }

    #[inline]
    fn element<F>(&mut self, leaf: &F) -> Result<(), BodyError>
    where
        F: Fn(&mut Cursor<'a>) -> Result<T, Leaf>,
    {
        match leaf(self.cursor) {
            Ok(value) => {
                self.values.push(value);
                Ok(())
            }
            Err(bad) => Err(self.bad(bad)),
        }
    }

    #[cold]
    fn bad(&mut self, bad: Leaf) -> BodyError {
        let path = || format!("inputs[{}].data[{}]", self.spec.input, self.values.len());
        match bad {
            Leaf::Syntax(e) => e,
            Leaf::Type(_) if self.cursor.clone().peek() == Some(b'[') => {
                self.ragged("a list has both elements and lists in it".to_owned())
            }
            Leaf::Type(want) => BodyError::Type { path: path(), want, got: self.cursor.clone().kind().to_owned() },
            Leaf::Range(value) => BodyError::Range { path: path(), value, dtype: self.spec.dtype },
        }
    }

    fn ragged(&self, what: String) -> BodyError {
        BodyError::Ragged { path: self.spec.path(), what }
    }

    fn ended(&mut self, depth: usize, length: usize) -> Result<(), BodyError> {
        while self.dims.len() <= depth {
            self.dims.push(None);
        }
        let before = *self.dims[depth].get_or_insert(length);
        if before == length {
            Ok(())
        } else {
            Err(self.ragged(format!("a list of {before} and a list of {length} stand side by side")))
        }
    }

    /// The elements. Nested lists must have the lengths of the shape; a flat list any shape.
    fn finish(self) -> Result<Values<T>, BodyError> {
        if self.dims.len() > 1 {
            let nested: Vec<usize> = self.dims.iter().map(|d| d.unwrap_or(0)).collect();
            if nested != self.spec.shape {
                return Err(BodyError::Nesting { path: self.spec.path(), nested, shape: self.spec.shape.to_vec() });
            }
        }
        Ok(self.values)
    }
}

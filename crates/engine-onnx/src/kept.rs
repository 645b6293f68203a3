//! Input values that outlive a call.
//!
//! A model of a table has an input for each column, and a request has a number or a few for each. To make a value over
//! a tensor's bytes takes several allocations here and in ONNX Runtime; to copy such few bytes into one that is there
//! takes none.

use crate::convert::{self, misfit};
use crate::types::by_type;
use mainspring_core::tensor::{Data, NamedTensor, Shape};
use mainspring_core::{DType, Tensor};
use mainspring_engine::EngineError;
use ort::session::SessionInputValue;
use ort::value::{PrimitiveTensorElementType, Tensor as OrtTensor};
use std::collections::VecDeque;

/// Inputs from which on their values are kept.
const MANY: usize = 4;
/// Bytes of an input up to which it is copied. An output may be an input's own memory, as far as ONNX Runtime is
/// concerned; such an output is copied before the next call fills it.
const FEW: usize = 256;
const _: () = assert!(FEW <= convert::COPY, "an output that is a kept value is copied");
/// Sets of values that a session keeps: callers at the same time come in calls of so many numbers of rows.
const SETS: usize = 8;
/// Values that a session keeps, in all its sets.
const VALUES: usize = 1024;
/// Bytes that a value takes here and in ONNX Runtime, beside what it holds. Measured with ONNX Runtime 1.32.
const VALUE: u64 = 700;

/// The values of a session's last calls with many small inputs; the next one that has the same types and shapes
/// fills them.
#[derive(Default)]
pub(crate) struct Kept {
    /// The one that was used last comes first.
    sets: VecDeque<Set>,
}

struct Set {
    forms: Vec<(DType, Shape)>,
    values: Vec<SessionInputValue<'static>>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("sets", &self.sets.len()).finish_non_exhaustive()
    }
}

impl Kept {
    /// Whether these inputs are so many and so small.
    pub(crate) fn takes(inputs: &[NamedTensor]) -> bool {
        let copied = |t: &Tensor| !matches!(t.dtype(), DType::Bool | DType::Bytes) && t.byte_len() <= FEW;
        inputs.len() >= MANY && inputs.iter().all(|input| copied(&input.tensor))
    }

    /// The values with what the inputs hold, which [`Kept::takes`].
    pub(crate) fn filled(&mut self, inputs: &[NamedTensor]) -> Result<&[SessionInputValue<'static>], EngineError> {
        match self.sets.iter().position(|set| set.is_for(inputs)) {
            Some(at) => {
                self.sets.swap(0, at);
                for (value, input) in self.sets[0].values.iter_mut().zip(inputs) {
                    refill(value, &input.tensor)?;
                }
            }
            None => {
                self.sets.push_front(Set::of(inputs)?);
                self.sets.truncate(sets(inputs.len()));
            }
        }
        Ok(&self.sets[0].values)
    }

    /// Bytes that a session may come to keep for a model of so many inputs.
    pub(crate) fn most(inputs: usize) -> u64 {
        if inputs < MANY { 0 } else { (inputs * sets(inputs)) as u64 * (VALUE + FEW as u64) }
    }
}

/// How many sets of so many inputs are kept.
fn sets(inputs: usize) -> usize {
    (VALUES / inputs.max(1)).clamp(1, SETS)
}

impl Set {
    fn of(inputs: &[NamedTensor]) -> Result<Self, EngineError> {
        let form = |input: &NamedTensor| (input.tensor.dtype(), Shape::from_slice(input.tensor.shape()));
        let values = inputs.iter().map(|input| made(&input.tensor)).collect::<Result<_, _>>()?;
        Ok(Self { forms: inputs.iter().map(form).collect(), values })
    }

    fn is_for(&self, inputs: &[NamedTensor]) -> bool {
        let same = |((dtype, shape), input): (&(DType, Shape), &NamedTensor)| {
            *dtype == input.tensor.dtype() && **shape == *input.tensor.shape()
        };
        self.forms.len() == inputs.len() && self.forms.iter().zip(inputs).all(same)
    }
}

fn made(tensor: &Tensor) -> Result<SessionInputValue<'static>, EngineError> {
    fn of<T>(tensor: &Tensor) -> Result<SessionInputValue<'static>, EngineError>
    where
        T: bytemuck::Pod + PrimitiveTensorElementType + std::fmt::Debug,
    {
        let values: Vec<T> = tensor.to_vec().ok_or_else(|| misfit(tensor))?;
        convert::failed(OrtTensor::from_array((tensor.shape(), values.into_boxed_slice()))).map(Into::into)
    }
    by_type!(tensor.dtype(), of(tensor), else Err(misfit(tensor)))
}

fn refill(value: &mut SessionInputValue<'static>, tensor: &Tensor) -> Result<(), EngineError> {
    fn of<T>(value: &mut SessionInputValue<'static>, tensor: &Tensor, bytes: &[u8]) -> Result<(), EngineError>
    where
        T: bytemuck::Pod + PrimitiveTensorElementType,
    {
        let SessionInputValue::Owned(value) = value else { return Err(misfit(tensor)) };
        let (_, room) = convert::failed(value.try_extract_tensor_mut::<T>())?;
        // Of the same type and shape.
        bytemuck::cast_slice_mut::<T, u8>(room).copy_from_slice(bytes);
        Ok(())
    }
    let Data::Raw(bytes) = tensor.data() else { return Err(misfit(tensor)) };
    by_type!(tensor.dtype(), of(value, tensor, bytes), else Err(misfit(tensor)))
}

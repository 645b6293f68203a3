//! A body that is one tensor and nothing else: `Inference-Header-Content-Length: 0`.

use bytes::Bytes;
use mainspring_core::tensor::Shape;
use mainspring_core::{DType, NamedTensor, Tensor};
use mainspring_engine::{Signature, TensorSpec};
use mainspring_wire::{BodyError, InferBody};

/// Reads the whole body as the model's only input, a batch of one. All outputs are wanted, as
/// binary data. A BYTES input takes the body as its one element, without a length before it.
///
/// # Errors
/// [`BodyError::RawBody`] when the model has several inputs or more than one free dimension besides
/// the batch; [`BodyError::Tensor`] when the body does not fill the shape.
pub(crate) fn request(signature: &Signature, body: Bytes) -> Result<InferBody, BodyError> {
    let [input] = signature.inputs.as_slice() else {
        let why = format!("the model has {} inputs, and a raw body is exactly one", signature.inputs.len());
        return Err(BodyError::RawBody { why });
    };
    let tensor = if input.dtype == DType::Bytes {
        let shape = input.shape.iter().map(|d| usize::try_from(*d).unwrap_or(1)).collect::<Shape>();
        Tensor::from_strings(shape, vec![body])
    } else {
        let shape = shape(input, body.len())?;
        Tensor::from_raw(input.dtype, shape, body)
    };
    let tensor = tensor.map_err(|source| BodyError::Tensor { path: format!("input {:?}", input.name), source })?;
    let inputs = vec![NamedTensor { name: input.name.clone(), tensor }];
    Ok(InferBody { inputs, binary_output: true, ..InferBody::default() })
}

/// The declared shape with a batch of one; one more free dimension follows from the body's length.
fn shape(input: &TensorSpec, bytes: usize) -> Result<Vec<usize>, BodyError> {
    let mut shape: Vec<Option<usize>> = input.shape.iter().map(|d| usize::try_from(*d).ok()).collect();
    let free = shape.iter().filter(|d| d.is_none()).count();
    if let (true, Some(first)) = (free > 0 && input.batched(), shape.first_mut()) {
        *first = Some(1);
    }
    let known = shape.iter().flatten().try_fold(1_usize, |n, d| n.checked_mul(*d)).unwrap_or(0);
    let mut open: Vec<&mut Option<usize>> = shape.iter_mut().filter(|d| d.is_none()).collect();
    match open.as_mut_slice() {
        [] => {}
        [only] => {
            let elements = bytes / input.dtype.size().unwrap_or(1);
            **only = Some(elements.checked_div(known).unwrap_or(0));
        }
        more => {
            let why = format!("input {:?} has {} free dimensions besides the batch", input.name, more.len());
            return Err(BodyError::RawBody { why });
        }
    }
    Ok(shape.into_iter().map(|d| d.unwrap_or(0)).collect())
}

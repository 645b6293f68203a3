//! Several requests in one call.

use bytes::Bytes;
use mainspring_core::tensor::{Data, NamedTensor, Raw, Shape, TensorError};
use mainspring_core::{DType, Tensor};
use std::sync::Arc;

/// Rows of several tensors under each other, those of the first on top. They agree in everything but the number of rows.
///
/// # Errors
/// [`TensorError`] when they do not.
pub fn stack(parts: &[&Tensor]) -> Result<Tensor, TensorError> {
    let Some(first) = parts.first() else { return Tensor::from_strings(vec![0], Vec::new()) };
    let mut shape = Shape::from_slice(first.shape());
    if let Some(rows) = shape.first_mut() {
        *rows = parts.iter().map(|p| p.rows()).sum();
    }
    if first.dtype() == DType::Bytes {
        let all: Vec<Bytes> = parts.iter().filter_map(|p| p.strings()).flatten().cloned().collect();
        return Tensor::from_strings(shape, all);
    }
    let raw = parts.iter().filter_map(|part| match part.data() {
        Data::Raw(bytes) => Some(&**bytes),
        Data::Strings(_) => None,
    });
    Tensor::from_raw(first.dtype(), shape, Raw::joined(raw))
}

/// The inputs of several requests, the rows of each under each other.
///
/// # Errors
/// As [`stack`].
pub fn together(requests: &[&[NamedTensor]]) -> Result<Vec<NamedTensor>, TensorError> {
    let inputs = requests.first().map_or(0, |first| first.len());
    (0..inputs).filter_map(|at| stacked(requests, at).transpose()).collect()
}

/// The input of several requests that stands at this place; `None` where they have none there.
///
/// # Errors
/// As [`stack`].
pub fn stacked(requests: &[&[NamedTensor]], at: usize) -> Result<Option<NamedTensor>, TensorError> {
    let Some(first) = requests.first().and_then(|inputs| inputs.get(at)) else { return Ok(None) };
    if requests.len() == 1 {
        return Ok(Some(first.clone()));
    }
    let parts: Vec<&Tensor> = requests.iter().filter_map(|inputs| inputs.get(at)).map(|input| &input.tensor).collect();
    Ok(Some(NamedTensor { name: Arc::clone(&first.name), tensor: stack(&parts)? }))
}

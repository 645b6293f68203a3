//! Tensors to and from ONNX Runtime's values.

use crate::types::{by_type, of_runtime};
use bytes::Bytes;
use mainspring_core::tensor::{Data, TensorError};
use mainspring_core::{DType, Tensor};
use mainspring_engine::EngineError;
use ort::session::SessionInputValue;
use ort::value::{DynValue, Outlet, PrimitiveTensorElementType, TensorElementType, TensorRef, ValueType};

/// What an output is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A tensor.
    Tensor,
    /// A map from class to probability for each row, as scikit-learn's classifiers give through
    /// ZipMap. Served as one FP32 tensor `[rows, classes]`.
    Maps {
        /// Whether classes are texts; numbers otherwise.
        text: bool,
    },
}

/// Type, shape and form of an input or output; the reason when it cannot be served.
pub(crate) fn spec(outlet: &Outlet) -> Result<(DType, Vec<i64>, Form), String> {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => match of_runtime(*ty) {
            Some(dtype) => Ok((dtype, shape.iter().map(|d| (*d).max(-1)).collect(), Form::Tensor)),
            None => Err(format!("{:?} has the element type {ty:?}, which cannot be served", outlet.name())),
        },
        other => match maps(other) {
            Some(text) => Ok((DType::Fp32, vec![-1, -1], Form::Maps { text })),
            None => Err(format!(
                "{:?} is {other}; only tensors can be served (for a scikit-learn model: skl2onnx.to_onnx(model, X[:1], \
                 options={{\"zipmap\": False}}))",
                outlet.name()
            )),
        },
    }
}

/// Whether a type is `sequence<map<class, float>>`, and if so whether classes are texts.
fn maps(of: &ValueType) -> Option<bool> {
    let ValueType::Sequence(inner) = of else { return None };
    match &**inner {
        ValueType::Map { key: TensorElementType::String, value: TensorElementType::Float32 } => Some(true),
        ValueType::Map { key: TensorElementType::Int64, value: TensorElementType::Float32 } => Some(false),
        _ => None,
    }
}

fn run_error(e: &ort::Error) -> EngineError {
    // What is refused before the model runs is the values' fault.
    let bad_input = e.code() == ort::ErrorCode::InvalidArgument;
    EngineError::Run { reason: e.message().to_owned(), bad_input }
}

/// What ONNX Runtime said while it ran.
pub(crate) fn failed<T>(result: ort::Result<T>) -> Result<T, EngineError> {
    result.map_err(|e| run_error(&e))
}

/// A value over the tensor's own bytes, or over a copy in `spare` when they are not aligned.
pub(crate) fn input<'a>(tensor: &'a Tensor, spare: &'a mut Vec<u64>) -> Result<SessionInputValue<'a>, EngineError> {
    let bytes: &'a [u8] = match tensor.data() {
        Data::Strings(values) => return strings(tensor, values),
        Data::Raw(bytes) => aligned(bytes, tensor.dtype(), spare),
    };
    fn view<'a, T>(tensor: &'a Tensor, bytes: &'a [u8]) -> Result<SessionInputValue<'a>, EngineError>
    where
        T: bytemuck::Pod + PrimitiveTensorElementType + std::fmt::Debug,
    {
        let values: &[T] = bytemuck::try_cast_slice(bytes).map_err(|_| misfit(tensor))?;
        failed(TensorRef::from_array_view((tensor.shape(), values))).map(Into::into)
    }
    if tensor.dtype() == DType::Bool {
        let values: &[bool] = bytemuck::checked::try_cast_slice(bytes)
            .map_err(|_| EngineError::Run { reason: "BOOL elements are the bytes 0 and 1".into(), bad_input: true })?;
        return failed(TensorRef::from_array_view((tensor.shape(), values))).map(Into::into);
    }
    by_type!(tensor.dtype(), view(tensor, bytes), else Err(misfit(tensor)))
}

pub(crate) fn misfit(tensor: &Tensor) -> EngineError {
    EngineError::Tensor(TensorError::WrongForm { dtype: tensor.dtype() })
}

/// A slice of a request body may begin anywhere; ONNX Runtime wants elements aligned.
fn aligned<'a>(bytes: &'a [u8], dtype: DType, spare: &'a mut Vec<u64>) -> &'a [u8] {
    let width = dtype.size().unwrap_or(1);
    if bytes.as_ptr().align_offset(width) == 0 {
        return bytes;
    }
    spare.resize(bytes.len().div_ceil(8), 0);
    let copy: &mut [u8] = &mut bytemuck::cast_slice_mut(spare)[..bytes.len()];
    copy.copy_from_slice(bytes);
    copy
}

fn strings<'a>(tensor: &Tensor, values: &[Bytes]) -> Result<SessionInputValue<'a>, EngineError> {
    let texts = values.iter().enumerate().map(|(i, v)| {
        let refused = |what: &str| EngineError::Run { reason: format!("element {i} {what}"), bad_input: true };
        match std::str::from_utf8(v) {
            Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
            Ok(_) => Err(refused("has a zero byte, which ends an ONNX string")),
            Err(_) => Err(refused("is not UTF-8, and ONNX strings are")),
        }
    });
    let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
    failed(ort::value::Tensor::from_string_array((tensor.shape(), &texts[..]))).map(Into::into)
}

/// Outputs up to this are copied: shorter than handing ONNX Runtime's own value over, and whoever
/// keeps the output then does not keep the session's memory.
pub(crate) const COPY: usize = 16 * 1024;

/// Keeps an output alive for as long as its bytes are used.
struct Owner<T> {
    value: DynValue,
    element: std::marker::PhantomData<fn() -> T>,
}

impl<T: bytemuck::Pod + PrimitiveTensorElementType> AsRef<[u8]> for Owner<T> {
    fn as_ref(&self) -> &[u8] {
        self.value.try_extract_tensor::<T>().map(|(_, values)| bytemuck::cast_slice(values)).unwrap_or_default()
    }
}

/// The tensor in an output value: small ones copied, large ones handed over as they are. Where a model's output is one of
/// its inputs, ONNX Runtime gives the value that it was given, over memory that is its caller's: `lent` says so of it, and
/// it is copied.
pub(crate) fn output(value: DynValue, lent: impl Fn(&[u8]) -> bool) -> Result<Tensor, EngineError> {
    let ValueType::Tensor { ty, .. } = value.dtype() else {
        return Err(EngineError::Run { reason: "an output is no tensor".into(), bad_input: false });
    };
    let dtype = of_runtime(*ty).ok_or_else(|| EngineError::Run {
        reason: format!("an output has the element type {ty:?}"),
        bad_input: false,
    })?;
    fn take<T>(dtype: DType, value: DynValue, lent: impl Fn(&[u8]) -> bool) -> Result<Tensor, EngineError>
    where
        T: bytemuck::Pod + PrimitiveTensorElementType + Send + Sync,
    {
        let (shape, values) = failed(value.try_extract_tensor::<T>())?;
        let dims = dims(shape);
        if size_of_val(values) <= COPY || lent(bytemuck::cast_slice(values)) {
            return Ok(Tensor::from_slice(dtype, dims, values)?);
        }
        let owner = Owner::<T> { value, element: std::marker::PhantomData };
        Ok(Tensor::from_raw(dtype, dims, Bytes::from_owner(owner))?)
    }
    fn other(dtype: DType, value: &DynValue) -> Result<Tensor, EngineError> {
        if dtype == DType::Bool {
            let (shape, values) = failed(value.try_extract_tensor::<bool>())?;
            return Ok(Tensor::from_vec(dtype, dims(shape), values.iter().map(|b| u8::from(*b)).collect())?);
        }
        let (shape, values) = failed(value.try_extract_strings())?;
        Ok(Tensor::from_strings(dims(shape), values.into_iter().map(Bytes::from).collect())?)
    }
    by_type!(dtype, take(dtype, value, lent), else other(dtype, &value))
}

fn dims(shape: &[i64]) -> Vec<usize> {
    shape.iter().map(|d| usize::try_from(*d).unwrap_or(0)).collect()
}

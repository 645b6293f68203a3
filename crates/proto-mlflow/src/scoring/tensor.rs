//! Nested lists as tensors.

use super::error::InputError;
use bytes::Bytes;
use half::{bf16, f16};
use mainspring_core::tensor::element_count;
use mainspring_core::{DType, NamedTensor, Tensor, TensorError};
use mainspring_engine::TensorSpec;
use mainspring_wire::Node;
use std::sync::Arc;

/// The tensor that an input takes from a nested list (or a bare value). Whole numbers pass for
/// floating-point ones; a list of fewer dimensions than the input has is laid out in its shape when
/// the elements fill it.
///
/// # Errors
/// [`InputError::Value`] naming the input.
pub(crate) fn build(spec: &TensorSpec, node: &Node) -> Result<NamedTensor, InputError> {
    let wrong = |what: String| InputError::Value { input: spec.name.to_string(), what };
    let mut shape = Vec::new();
    measure(node, &mut shape);
    // The first of each depth may promise more elements than there are.
    let mut leaves = Vec::with_capacity(element_count(&shape).unwrap_or(0).min(1 << 16));
    flatten(node, &shape, &mut leaves).map_err(wrong)?;
    let shape = fit(spec, shape);
    let tensor = convert(spec.dtype, shape, &leaves).map_err(wrong)?;
    Ok(NamedTensor { name: Arc::clone(&spec.name), tensor })
}

/// The lengths of the lists, by the first of each depth.
fn measure(node: &Node, shape: &mut Vec<usize>) {
    if let Node::List(items) = node {
        shape.push(items.len());
        if let Some(first) = items.first() {
            measure(first, shape);
        }
    }
}

fn flatten<'n>(node: &'n Node, shape: &[usize], leaves: &mut Vec<&'n Node>) -> Result<(), String> {
    match (node, shape.split_first()) {
        (Node::List(items), Some((length, inner))) if items.len() == *length => {
            items.iter().try_for_each(|item| flatten(item, inner, leaves))
        }
        (Node::List(_), _) => Err("the lists are ragged: they differ in length or depth".into()),
        (Node::Map(_), _) => Err("an object stands where a number or a text should".into()),
        (_, Some(_)) => Err("the lists are ragged: a value stands beside a list".into()),
        (leaf, None) => {
            leaves.push(leaf);
            Ok(())
        }
    }
}

/// The declared shape when the elements fill it row by row, else the shape as nested.
fn fit(spec: &TensorSpec, nested: Vec<usize>) -> Vec<usize> {
    if nested.len() == spec.shape.len() || nested.is_empty() {
        return nested;
    }
    let mut declared: Vec<Option<usize>> = spec.shape.iter().map(|d| usize::try_from(*d).ok()).collect();
    if let Some(first @ None) = declared.first_mut() {
        *first = nested.first().copied();
    }
    let Some(declared) = declared.into_iter().collect::<Option<Vec<usize>>>() else { return nested };
    if element_count(&declared) == element_count(&nested) { declared } else { nested }
}

fn convert(dtype: DType, shape: Vec<usize>, leaves: &[&Node]) -> Result<Tensor, String> {
    let made = match dtype {
        DType::Bool => Tensor::from_vec(dtype, shape, each(leaves, dtype, boolean)?),
        DType::Uint8 => Tensor::from_vec::<u8>(dtype, shape, each(leaves, dtype, whole)?),
        DType::Uint16 => Tensor::from_vec::<u16>(dtype, shape, each(leaves, dtype, whole)?),
        DType::Uint32 => Tensor::from_vec::<u32>(dtype, shape, each(leaves, dtype, whole)?),
        DType::Uint64 => Tensor::from_vec::<u64>(dtype, shape, each(leaves, dtype, whole)?),
        DType::Int8 => Tensor::from_vec::<i8>(dtype, shape, each(leaves, dtype, whole)?),
        DType::Int16 => Tensor::from_vec::<i16>(dtype, shape, each(leaves, dtype, whole)?),
        DType::Int32 => Tensor::from_vec::<i32>(dtype, shape, each(leaves, dtype, whole)?),
        DType::Int64 => Tensor::from_vec::<i64>(dtype, shape, each(leaves, dtype, whole)?),
        DType::Fp16 => Tensor::from_vec(dtype, shape, each(leaves, dtype, |n| float(n).map(f16::from_f64))?),
        DType::Bf16 => Tensor::from_vec(dtype, shape, each(leaves, dtype, |n| float(n).map(bf16::from_f64))?),
        DType::Fp32 => Tensor::from_vec(dtype, shape, each(leaves, dtype, |n| float(n).map(|x| x as f32))?),
        DType::Fp64 => Tensor::from_vec(dtype, shape, each(leaves, dtype, float)?),
        DType::Bytes => Tensor::from_strings(shape, each(leaves, dtype, text)?),
    };
    made.map_err(|e: TensorError| e.to_string())
}

fn each<T>(leaves: &[&Node], dtype: DType, read: impl Fn(&Node) -> Option<T>) -> Result<Vec<T>, String> {
    leaves
        .iter()
        .enumerate()
        .map(|(i, leaf)| read(leaf).ok_or_else(|| format!("element {i} is {}, the input takes {dtype}", leaf.shown())))
        .collect()
}

fn boolean(node: &Node) -> Option<u8> {
    match node {
        Node::Bool(b) => Some(u8::from(*b)),
        Node::Int(n @ (0 | 1)) => u8::try_from(*n).ok(),
        _ => None,
    }
}

fn whole<T: TryFrom<i64>>(node: &Node) -> Option<T> {
    match node {
        Node::Int(n) => T::try_from(*n).ok(),
        // Below 2^53 every whole number is exact.
        Node::Float(x) if x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0 => T::try_from(*x as i64).ok(),
        _ => None,
    }
}

fn float(node: &Node) -> Option<f64> {
    match node {
        Node::Int(n) => Some(*n as f64),
        Node::Float(x) => Some(*x),
        Node::Null => Some(f64::NAN),
        _ => None,
    }
}

fn text(node: &Node) -> Option<Bytes> {
    match node {
        Node::Text(text) => Some(text.clone()),
        _ => None,
    }
}

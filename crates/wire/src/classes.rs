//! Triton's classification extension: an output's top classes in place of its values.

use super::error::BodyError;
use super::request::Wanted;
use bytes::Bytes;
use half::{bf16, f16};
use mainspring_core::{DType, NamedTensor, Tensor};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

/// Class names along an output's second dimension.
pub type Labels = Option<Arc<[Arc<str>]>>;

/// How an answer's outputs are to be read for their classes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Classes<'a> {
    /// Whether the first dimension counts rows, each of which has a top of its own.
    pub batched: bool,
    /// Class names by output; an output without them is told by index alone.
    pub labels: &'a [Labels],
}

/// The outputs, with those that are wanted as classes (`parameters.classification: n`) turned into BYTES
/// `[rows, n]` of `value:index[:label]`, largest value first. Values are written as Triton writes them:
/// six places after the point for floating-point ones.
///
/// # Errors
/// [`BodyError::NoClasses`] for an output of texts.
pub fn classified<'a>(
    outputs: &'a [NamedTensor],
    wanted: Option<&[Wanted]>,
    how: Classes<'_>,
) -> Result<Cow<'a, [NamedTensor]>, BodyError> {
    let asked: Vec<&Wanted> = wanted.unwrap_or_default().iter().filter(|w| w.classes > 0).collect();
    if asked.is_empty() {
        return Ok(Cow::Borrowed(outputs));
    }
    let turned = outputs.iter().enumerate().map(|(i, output)| {
        let Some(wanted) = asked.iter().find(|w| w.name == output.name) else { return Ok(output.clone()) };
        let top = Top { rows: rows(&output.tensor, how.batched), classes: wanted.classes, labels: how.labels.get(i) };
        let tensor = top.of(&output.tensor).ok_or_else(|| BodyError::NoClasses { name: output.name.to_string() })?;
        Ok(NamedTensor { name: Arc::clone(&output.name), tensor })
    });
    turned.collect::<Result<Vec<_>, _>>().map(Cow::Owned)
}

/// Rows that have a top of their own; `None` when the whole output has one.
fn rows(tensor: &Tensor, batched: bool) -> Option<usize> {
    tensor.shape().first().copied().filter(|_| batched)
}

struct Top<'a> {
    rows: Option<usize>,
    classes: usize,
    labels: Option<&'a Labels>,
}

impl Top<'_> {
    /// `None` for texts.
    fn of(&self, tensor: &Tensor) -> Option<Tensor> {
        macro_rules! whole {
            ($type:ty) => {
                self.pick(&tensor.to_vec::<$type>()?, |v| v.to_string())
            };
        }
        macro_rules! real {
            ($type:ty, $wide:expr) => {{
                let wide: Vec<f64> = tensor.to_vec::<$type>()?.into_iter().map($wide).collect();
                self.pick(&wide, |v| fixed(*v))
            }};
        }
        match tensor.dtype() {
            DType::Bool | DType::Uint8 => whole!(u8),
            DType::Uint16 => whole!(u16),
            DType::Uint32 => whole!(u32),
            DType::Uint64 => whole!(u64),
            DType::Int8 => whole!(i8),
            DType::Int16 => whole!(i16),
            DType::Int32 => whole!(i32),
            DType::Int64 => whole!(i64),
            DType::Fp16 => real!(f16, f64::from),
            DType::Bf16 => real!(bf16, f64::from),
            DType::Fp32 => real!(f32, f64::from),
            DType::Fp64 => real!(f64, std::convert::identity),
            DType::Bytes => None,
        }
    }

    fn pick<T: PartialOrd>(&self, values: &[T], text: impl Fn(&T) -> String) -> Option<Tensor> {
        let rows = self.rows.unwrap_or(1);
        let width = values.len().checked_div(rows).unwrap_or(0);
        let count = self.classes.min(width);
        let mut out = Vec::with_capacity(rows * count);
        for row in values.chunks_exact(width.max(1)) {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|a, b| descending(&row[*a], &row[*b]));
            out.extend(order.iter().take(count).map(|i| Bytes::from(self.told(*i, &text(&row[*i])))));
        }
        let shape = if self.rows.is_some() { vec![rows, count] } else { vec![count] };
        Tensor::from_strings(shape, out).ok()
    }

    fn told(&self, index: usize, value: &str) -> String {
        match self.labels.and_then(|l| l.as_ref()).and_then(|l| l.get(index)) {
            Some(label) => format!("{value}:{index}:{label}"),
            None => format!("{value}:{index}"),
        }
    }
}

/// The larger first; what is no number last.
fn descending<T: PartialOrd>(a: &T, b: &T) -> Ordering {
    let number = |x: &T| x.partial_cmp(x).is_some();
    b.partial_cmp(a).unwrap_or_else(|| number(b).cmp(&number(a)))
}

/// As C writes `%f`.
fn fixed(value: f64) -> String {
    format!("{value:.6}").to_ascii_lowercase()
}

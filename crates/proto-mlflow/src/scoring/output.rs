//! Answers as MLflow writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mainspring_core::tensor::Data;
use mainspring_core::{DType, NamedTensor, Tensor};
use mainspring_engine::{AnswerForm, Content};
use mainspring_serving::Contract;
use mainspring_wire::response::{double, numbers, string};
use std::sync::Arc;

/// Class names of an output's second dimension.
pub(super) type Labels = Option<Arc<[Arc<str>]>>;

/// `{"predictions": …}` in the form in which the model's own library answers: a list of records for a
/// data frame, a list for an array, an object of arrays for arrays by name. For a model of MLflow's
/// onnx flavour, it is a list of records where MLflow would answer with a data frame, else an object
/// of arrays. FP32 is written with the digits of the 64-bit number it widens to, as Python does.
///
/// In records MLflow flattens every output and fails when the lengths then differ; such outputs are
/// written here with their first dimension as rows and the rest as nested lists.
pub(crate) fn render(outputs: &[NamedTensor], contract: &Contract, frame: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + outputs.iter().map(|o| 24 * o.tensor.len()).sum::<usize>());
    out.extend_from_slice(b"{\"predictions\": ");
    bare(&mut out, outputs, contract, frame);
    out.push(b'}');
    out
}

/// The same without the object around it.
pub(crate) fn bare(out: &mut Vec<u8>, outputs: &[NamedTensor], contract: &Contract, frame: bool) {
    let of = |i: usize| Of::output(contract, i);
    match (contract.answer, outputs) {
        (AnswerForm::Array, [only]) => {
            let of = Of { labels: None, ..of(0) };
            Values { tensor: &only.tensor, shape: only.tensor.shape(), of, short: false }.nested(out);
        }
        // A cell of a data frame may be a list.
        (AnswerForm::Frame, _) => records(out, outputs, &of, false),
        (AnswerForm::Tensors, _) if frame => records(out, outputs, &of, true),
        (AnswerForm::Tensors | AnswerForm::Map | AnswerForm::Array, _) => arrays(out, outputs, &of),
    }
}

/// What is known of an output beside its tensor.
pub(super) struct Of {
    pub content: Content,
    pub labels: Labels,
}

impl Of {
    /// Of output `i`.
    pub fn output(contract: &Contract, i: usize) -> Self {
        let content = contract.signature.outputs.get(i).map(|o| o.content).unwrap_or_default();
        Self { content, labels: contract.labels.get(i).cloned().flatten() }
    }
}

fn arrays(out: &mut Vec<u8>, outputs: &[NamedTensor], of: &dyn Fn(usize) -> Of) {
    out.push(b'{');
    for (i, output) in outputs.iter().enumerate() {
        comma(out, i);
        string(out, &output.name);
        out.extend_from_slice(b": ");
        let values = Values { tensor: &output.tensor, shape: output.tensor.shape(), of: of(i), short: false };
        values.nested(out);
    }
    out.push(b'}');
}

fn records(out: &mut Vec<u8>, outputs: &[NamedTensor], of: &dyn Fn(usize) -> Of, flat: bool) {
    // An output with labels is a list of one object a row to MLflow.
    let length = |i: usize, t: &Tensor| if !flat || of(i).labels.is_some() { t.rows() } else { t.len() };
    let lengths: Vec<usize> = outputs.iter().enumerate().map(|(i, o)| length(i, &o.tensor)).collect();
    let even = lengths.windows(2).all(|w| w[0] == w[1]);
    let rows = if even {
        lengths.first().copied().unwrap_or(0)
    } else {
        outputs.iter().map(|o| o.tensor.rows()).min().unwrap_or(0)
    };
    let columns: Vec<Values<'_>> = outputs
        .iter()
        .enumerate()
        .map(|(i, o)| {
            let of = of(i);
            // Flat elements when the lengths agree, whole rows otherwise.
            let shape =
                if flat && even && of.labels.is_none() { &[] } else { o.tensor.shape().get(1..).unwrap_or_default() };
            Values { tensor: &o.tensor, shape, of, short: false }
        })
        .collect();
    out.push(b'[');
    for row in 0..rows {
        comma(out, row);
        out.push(b'{');
        for (i, (values, output)) in columns.iter().zip(outputs).enumerate() {
            comma(out, i);
            string(out, &output.name);
            out.extend_from_slice(b": ");
            values.row(out, row);
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// Bytes as MLflow writes them (`base64.encodebytes`): in lines of 76 characters, each with its end.
fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut text = String::with_capacity(bytes.len() / 57 * 77 + 80);
    for line in bytes.chunks(57) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    string(out, &text);
}

fn comma(out: &mut Vec<u8>, i: usize) {
    if i > 0 {
        out.extend_from_slice(b", ");
    }
}

/// Elements of an output, seen in a shape.
pub(super) struct Values<'a> {
    pub tensor: &'a Tensor,
    /// Dimensions of what one call writes.
    pub shape: &'a [usize],
    pub of: Of,
    /// Whether FP32 is written with its own shortest digits.
    pub short: bool,
}

impl Values<'_> {
    /// All of it.
    pub fn nested(&self, out: &mut Vec<u8>) {
        self.level(out, self.shape, 0);
    }

    /// The part with index `row`.
    pub fn row(&self, out: &mut Vec<u8>, row: usize) {
        let size: usize = self.shape.iter().product();
        self.level(out, self.shape, row * size);
    }

    fn level(&self, out: &mut Vec<u8>, shape: &[usize], at: usize) {
        match (shape, &self.of.labels) {
            ([], _) => self.element(out, at),
            ([length], Some(labels)) if labels.len() == *length => {
                out.push(b'{');
                for (i, label) in labels.iter().enumerate() {
                    comma(out, i);
                    string(out, label);
                    out.extend_from_slice(b": ");
                    self.element(out, at + i);
                }
                out.push(b'}');
            }
            ([length, inner @ ..], _) => {
                let size: usize = inner.iter().product();
                out.push(b'[');
                for i in 0..*length {
                    comma(out, i);
                    self.level(out, inner, at + i * size);
                }
                out.push(b']');
            }
        }
    }

    fn element(&self, out: &mut Vec<u8>, at: usize) {
        match self.tensor.data() {
            Data::Strings(values) => {
                let value = values.get(at).map(Bytes::as_ref).unwrap_or_default();
                match self.of.content {
                    Content::Text => string(out, &String::from_utf8_lossy(value)),
                    Content::Json => out.extend_from_slice(value),
                    Content::Binary => base64(out, value),
                }
            }
            Data::Raw(bytes) => {
                let dtype = self.tensor.dtype();
                let size = dtype.size().unwrap_or(1);
                let element = bytes.get(at * size..(at + 1) * size).unwrap_or_default();
                match (dtype, element.first_chunk::<4>()) {
                    (DType::Fp32, Some(four)) if !self.short => double(out, f64::from(f32::from_le_bytes(*four))),
                    _ => numbers(out, dtype, element),
                }
            }
        }
    }
}

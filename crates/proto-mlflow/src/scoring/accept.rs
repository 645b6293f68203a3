//! Answers in the forms that SageMaker's clients ask for.

use super::error::InputError;
use super::output::{self, Of, Values};
use http::HeaderMap;
use http::header::ACCEPT;
use mainspring_core::NamedTensor;
use mainspring_core::tensor::Data;
use mainspring_engine::Content;
use mainspring_serving::Contract;
use mainspring_wire::npy;
use mainspring_wire::response::string;

/// In which form an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// MLflow's JSON.
    Json,
    /// A line a row, without a header.
    Csv,
    /// An object a row.
    JsonLines,
    /// The one output as NumPy writes it to a file.
    Npy,
}

impl Accepted {
    /// The first of the forms that `Accept` names; JSON when it names none or takes any.
    ///
    /// # Errors
    /// What it names, when nothing of it is written here.
    pub fn of(headers: &HeaderMap) -> Result<Self, String> {
        let Some(value) = headers.get(ACCEPT) else { return Ok(Self::Json) };
        let text = value.to_str().unwrap_or("?");
        let forms = text.split(',').map(|item| item.split(';').next().unwrap_or("").trim().to_ascii_lowercase());
        let known = |form: String| match form.as_str() {
            "" | "*/*" | "application/*" | "application/json" => Some(Self::Json),
            "text/csv" | "text/*" => Some(Self::Csv),
            "application/jsonlines" | "application/x-jsonlines" => Some(Self::JsonLines),
            "application/x-npy" => Some(Self::Npy),
            _ => None,
        };
        forms.into_iter().find_map(known).ok_or_else(|| text.to_owned())
    }
}

/// The media type and the body of an answer. `frame` is whether MLflow would answer with records.
///
/// # Errors
/// [`InputError::Shape`] for outputs that the form cannot hold.
pub fn written(
    outputs: &[NamedTensor],
    contract: &Contract,
    accepted: Accepted,
    frame: bool,
) -> Result<(&'static str, Vec<u8>), InputError> {
    Ok(match accepted {
        Accepted::Json => ("application/json", output::render(outputs, contract, frame)),
        Accepted::Csv => ("text/csv", csv(outputs)),
        Accepted::JsonLines => ("application/jsonlines", lines(outputs, contract)),
        Accepted::Npy => ("application/x-npy", array(outputs)?),
    })
}

fn rows(outputs: &[NamedTensor]) -> usize {
    outputs.iter().map(|o| o.tensor.rows()).min().unwrap_or(0)
}

fn csv(outputs: &[NamedTensor]) -> Vec<u8> {
    let mut out = Vec::new();
    for row in 0..rows(outputs) {
        let mut first = true;
        for output in outputs {
            let width = output.tensor.len() / output.tensor.rows().max(1);
            for at in row * width..(row + 1) * width {
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                match output.tensor.data() {
                    Data::Strings(all) => field(&mut out, all.get(at).map_or(&[], |t| t)),
                    Data::Raw(_) => Values {
                        tensor: &output.tensor,
                        shape: &[],
                        of: Of { content: Content::Text, labels: None },
                        short: true,
                    }
                    .row(&mut out, at),
                }
            }
        }
        out.push(b'\n');
    }
    out
}

/// A text as a field: in quotes where it has to be.
fn field(out: &mut Vec<u8>, text: &[u8]) {
    if !text.iter().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

fn lines(outputs: &[NamedTensor], contract: &Contract) -> Vec<u8> {
    let mut out = Vec::new();
    for row in 0..rows(outputs) {
        out.push(b'{');
        for (i, output) in outputs.iter().enumerate() {
            if i > 0 {
                out.extend_from_slice(b", ");
            }
            string(&mut out, &output.name);
            out.extend_from_slice(b": ");
            let of = Of::output(contract, i);
            let shape = output.tensor.shape().get(1..).unwrap_or_default();
            Values { tensor: &output.tensor, shape, of, short: true }.row(&mut out, row);
        }
        out.extend_from_slice(b"}\n");
    }
    out
}

fn array(outputs: &[NamedTensor]) -> Result<Vec<u8>, InputError> {
    let wrong = |what: String| InputError::Shape { field: "Accept: application/x-npy".into(), what };
    let [only] = outputs else {
        return Err(wrong(format!("holds one array, and the model has {} outputs", outputs.len())));
    };
    npy::write(&only.tensor).ok_or_else(|| wrong(format!("holds numbers, and output {:?} is text", only.name)))
}

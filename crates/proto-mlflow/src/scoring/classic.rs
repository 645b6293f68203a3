//! Rows and columns as TensorFlow Serving's REST protocol has them, which KServe's first one took over.

use super::error::InputError;
use super::input::{self, Input};
use super::output::{Of, Values};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainspring_core::NamedTensor;
use mainspring_serving::Contract;
use mainspring_wire::Node;
use mainspring_wire::response::string;

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Classic {
    /// The model's inputs.
    pub input: Input,
    /// Whether it is in columns (`inputs`) rather than rows (`instances`).
    pub columns: bool,
    /// The signature that it names.
    pub signature_name: Option<String>,
}

impl Classic {
    /// Reads `{"instances": …}` or `{"inputs": …}`; bytes are `{"b64": "…"}`.
    ///
    /// # Errors
    /// [`InputError`] naming the place, the field, the column or the input at fault.
    pub fn read(body: &[u8], contract: &Contract) -> Result<Self, InputError> {
        let mut node = Node::parse(body)?;
        unpack(&mut node)?;
        let columns = node.get("inputs").is_some() && node.get("instances").is_none();
        let signature_name = match node.get("signature_name") {
            None | Some(Node::Null) => None,
            Some(Node::Text(text)) => Some(String::from_utf8_lossy(text).into_owned()),
            Some(other) => {
                let what = format!("must be a string, it is {}", other.kind());
                return Err(InputError::Shape { field: "signature_name".into(), what });
            }
        };
        let input = input::read(node, contract).map_err(|e| match e {
            // Who speaks this protocol has never heard of data frames.
            InputError::Form(has) => InputError::Classic(has),
            other => other,
        })?;
        Ok(Self { input, columns, signature_name })
    }
}

/// Puts the bytes of `{"b64": "…"}` in its place.
fn unpack(node: &mut Node) -> Result<(), InputError> {
    match node {
        Node::List(items) => items.iter_mut().try_for_each(unpack),
        Node::Map(members) => {
            if let [(name, Node::Text(text))] = members.as_slice()
                && **name == *"b64"
            {
                let bytes = STANDARD.decode(text).map_err(|e| InputError::Shape {
                    field: "b64".into(),
                    what: format!("must be base64 text: {e}"),
                })?;
                *node = Node::Text(bytes.into());
                return Ok(());
            }
            members.iter_mut().try_for_each(|(_, value)| unpack(value))
        }
        _ => Ok(()),
    }
}

/// `{"predictions": …}`, a value a row, or `{"outputs": …}`, an array an output. One output goes without
/// its name.
pub fn classic(outputs: &[NamedTensor], contract: &Contract, columns: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + outputs.iter().map(|o| 24 * o.tensor.len()).sum::<usize>());
    out.extend_from_slice(if columns { b"{\"outputs\": " } else { b"{\"predictions\": " });
    let values = |i: usize, skip: usize| Values {
        tensor: &outputs[i].tensor,
        shape: outputs[i].tensor.shape().get(skip..).unwrap_or_default(),
        of: Of::output(contract, i),
        short: true,
    };
    let each = |out: &mut Vec<u8>, write: &dyn Fn(&mut Vec<u8>, usize)| {
        if outputs.len() == 1 {
            return write(out, 0);
        }
        out.push(b'{');
        for (i, output) in outputs.iter().enumerate() {
            if i > 0 {
                out.extend_from_slice(b", ");
            }
            string(out, &output.name);
            out.extend_from_slice(b": ");
            write(out, i);
        }
        out.push(b'}');
    };
    if columns {
        each(&mut out, &|out, i| values(i, 0).nested(out));
    } else {
        out.push(b'[');
        for row in 0..outputs.iter().map(|o| o.tensor.rows()).min().unwrap_or(0) {
            if row > 0 {
                out.extend_from_slice(b", ");
            }
            each(&mut out, &|out, i| values(i, 1).row(out, row));
        }
        out.push(b']');
    }
    out.push(b'}');
    out
}

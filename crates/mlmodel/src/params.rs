//! Parameters: what a request says beside its data, checked against the model's signature.

use crate::contract::Contract;
use crate::mlmodel::ParamSpec;
use bytes::Bytes;
use mainspring_core::{ErrorKind, Failure};
use mainspring_engine::{AnswerForm, Params};
use mainspring_wire::Node;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Parameters as a request gives them: in any order, with names that the model may not know.
#[derive(Debug, Clone, Default)]
pub struct GivenParams {
    /// Values by name. Without an allocation when there are none.
    pub values: Vec<(Arc<str>, Node)>,
    /// Whether the protocol has no lists and objects, so that a text may hold one as JSON.
    pub flat: bool,
}

/// A parameter that is not of the type that the signature declares.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("params.{name} must be {want}, it is {got}")]
pub struct ParamError {
    /// Name of the parameter, with the place in a list.
    pub name: String,
    /// What it must be.
    pub want: String,
    /// What it is.
    pub got: String,
}

impl Failure for ParamError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

impl GivenParams {
    /// Those of a recorded request, the text of an object; `None` when it is none.
    pub fn recorded(text: &str) -> Option<Self> {
        match Node::parse(text.as_bytes()) {
            Ok(Node::Map(values)) => Some(Self { values, flat: false }),
            _ => None,
        }
    }
}

impl Contract {
    /// The parameters to hand to the model: those that its signature declares, in its order; `None` when
    /// there are none. As in MLflow, others are left out, and a model of the onnx flavor is given none,
    /// though what it declares is checked.
    ///
    /// # Errors
    /// [`ParamError`] naming the parameter.
    pub fn params(&self, given: GivenParams) -> Result<Option<Params>, ParamError> {
        if given.values.is_empty() {
            return Ok(None);
        }
        let declared = self.mlflow().map(|s| s.params.as_slice()).unwrap_or_default();
        let unknown: Vec<&str> =
            given.values.iter().map(|(n, _)| &**n).filter(|n| !declared.iter().any(|d| d.name == *n)).collect();
        if !unknown.is_empty() {
            // A level that does not let callers fill the log.
            tracing::debug!(
                deployment = %self.target.deployment, names = unknown.join(", "),
                "parameters that the model's signature does not declare are ignored"
            );
        }
        let mut taken = Vec::new();
        for spec in declared {
            let Some((name, value)) = given.values.iter().find(|(n, _)| **n == *spec.name) else { continue };
            let unpacked = if given.flat { unpack(spec, value) } else { None };
            let value = unpacked.unwrap_or_else(|| value.clone());
            check(spec, &value)?;
            taken.push((Arc::clone(name), value));
        }
        if taken.is_empty() || self.answer == AnswerForm::Tensors {
            return Ok(None);
        }
        let text = Node::Map(taken).to_json();
        Ok(Some(Params::new(&String::from_utf8_lossy(&text))))
    }
}

/// The text of parameters, which is an object, with `hidden` in place of the values of some; `None` when it is
/// no object.
pub fn without_params(params: &str, names: &[String], hidden: &'static str) -> Option<String> {
    let Ok(Node::Map(mut values)) = Node::parse(params.as_bytes()) else { return None };
    for (_, value) in values.iter_mut().filter(|(name, _)| names.iter().any(|n| **n == **name)) {
        *value = Node::Text(Bytes::from_static(hidden.as_bytes()));
    }
    String::from_utf8(Node::Map(values).to_json().into()).ok()
}

/// A list or an object that came as the text of one.
fn unpack(spec: &ParamSpec, value: &Node) -> Option<Node> {
    let scalar = spec.shape.is_none() && spec.kind != "object";
    match value {
        Node::Text(text) if !scalar => Node::parse(text).ok().filter(|n| !n.scalar()),
        _ => None,
    }
}

fn check(spec: &ParamSpec, value: &Node) -> Result<(), ParamError> {
    let wrong = |name: String, want: String, got: &Node| Err(ParamError { name, want, got: got.shown() });
    match (&spec.shape, value) {
        (None, value) if is(&spec.kind, value) => Ok(()),
        (None, value) => wrong(spec.name.clone(), spec.kind.clone(), value),
        (Some(_), Node::List(items)) => match items.iter().position(|item| !is(&spec.kind, item)) {
            Some(at) => wrong(format!("{}[{at}]", spec.name), spec.kind.clone(), &items[at]),
            None => Ok(()),
        },
        (Some(_), other) => wrong(spec.name.clone(), format!("a list of {}", spec.kind), other),
    }
}

/// Whether a value is of one of MLflow's types (`DataType`): nothing passes for any, whole numbers for
/// floating-point ones, not the other way round. What this does not know is left to the model.
fn is(kind: &str, value: &Node) -> bool {
    match (kind, value) {
        (_, Node::Null) => true,
        ("boolean", value) => matches!(value, Node::Bool(_)),
        ("integer", value) => matches!(value, Node::Int(n) if i32::try_from(*n).is_ok()),
        ("long", value) => matches!(value, Node::Int(_)),
        ("float" | "double", value) => matches!(value, Node::Int(_) | Node::Float(_)),
        ("string" | "datetime" | "binary", value) => matches!(value, Node::Text(_)),
        _ => true,
    }
}

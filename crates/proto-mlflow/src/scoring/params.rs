//! `params`: what a request may say beside its data, checked against the signature.

use super::error::InputError;
use super::node::Node;
use super::tensor::shown;
use mainspring_serving::ParamSpec;

/// Checks the parameters that the signature declares; others are left alone, as in MLflow, and so is
/// everything when it declares none.
///
/// # Errors
/// [`InputError::Shape`] naming the parameter.
pub(crate) fn check(given: &Node, declared: &[ParamSpec]) -> Result<(), InputError> {
    let wrong = |field: String, what: String| InputError::Shape { field, what };
    if declared.is_empty() || matches!(given, Node::Null) {
        return Ok(());
    }
    if !matches!(given, Node::Map(_)) {
        return Err(wrong("params".into(), format!("must be an object, it is {}", given.kind())));
    }
    for spec in declared {
        let Some(value) = given.get(&spec.name) else { continue };
        let field = format!("params.{}", spec.name);
        match (&spec.shape, value) {
            (None, value) if is(&spec.kind, value) => {}
            (None, value) => return Err(wrong(field, format!("must be {}, it is {}", spec.kind, shown(value)))),
            (Some(_), Node::List(items)) => {
                if let Some((i, item)) = items.iter().enumerate().find(|(_, item)| !is(&spec.kind, item)) {
                    return Err(wrong(
                        format!("{field}[{i}]"),
                        format!("must be {}, it is {}", spec.kind, shown(item)),
                    ));
                }
            }
            (Some(_), other) => {
                return Err(wrong(field, format!("must be a list of {}, it is {}", spec.kind, other.kind())));
            }
        }
    }
    Ok(())
}

/// Whether a value is of one of MLflow's types (`DataType`): whole numbers pass for floating-point ones,
/// not the other way round. A type that this does not know is left to the model.
fn is(kind: &str, value: &Node) -> bool {
    match kind {
        "boolean" => matches!(value, Node::Bool(_)),
        "integer" => matches!(value, Node::Int(n) if i32::try_from(*n).is_ok()),
        "long" => matches!(value, Node::Int(_)),
        "float" | "double" => matches!(value, Node::Int(_) | Node::Float(_)),
        "string" | "datetime" | "binary" => matches!(value, Node::Text(_)),
        _ => true,
    }
}

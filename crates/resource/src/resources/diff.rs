//! What differs between two specs, field by field.

use super::types::FieldChange;
use serde_json::Value;
use std::collections::BTreeSet;

/// Every leaf that differs. Lists are compared whole: their elements have no names to match by.
pub(super) fn fields(before: Option<&Value>, after: Option<&Value>) -> Vec<FieldChange> {
    let mut out = Vec::new();
    walk("", before, after, &mut out);
    out
}

fn walk(path: &str, before: Option<&Value>, after: Option<&Value>, out: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    let (b, a) = (before.and_then(Value::as_object), after.and_then(Value::as_object));
    if b.is_none() && a.is_none() || before.is_some() && b.is_none() || after.is_some() && a.is_none() {
        out.push(FieldChange { path: path.to_owned(), before: before.cloned(), after: after.cloned() });
        return;
    }
    let keys: BTreeSet<&String> = b.into_iter().chain(a).flat_map(|m| m.keys()).collect();
    for key in keys {
        let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        walk(&inner, b.and_then(|m| m.get(key)), a.and_then(|m| m.get(key)), out);
    }
}

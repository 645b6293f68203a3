//! Documents: YAML or JSON text into values that remember where each part stood.

mod build;
mod scalar;

use crate::API_VERSION;
use crate::error::ResourceError;
use mainspring_core::{Name, nearest};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub use build::Place;

/// The most text that one apply may carry, bytes.
pub(crate) const MAX_TEXT: usize = 1 << 20;

/// One declared thing, as a document gave it.
#[derive(Debug, Clone)]
pub struct Document {
    /// Kind as written: `Deployment`.
    pub kind: String,
    /// Name.
    pub name: Name,
    /// Everything but `apiVersion`, `kind` and `name`.
    pub spec: Map<String, Value>,
    /// Where the document came from: a file name.
    pub source: String,
    /// Where each value stood, by path; the key's own place is under `path` with a `#` in front.
    places: BTreeMap<String, Place>,
}

impl Document {
    /// `file:line:column` of the value at `path`, or of the nearest part around it.
    pub fn at(&self, path: &str) -> String {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(&format!("#{path}")).or_else(|| self.places.get(path)) {
                return format!("{}:{place}", self.source);
            }
            match path.rfind(['.', '[']) {
                Some(cut) => path = &path[..cut],
                None if path.is_empty() => return self.source.clone(),
                None => path = "",
            }
        }
    }
}

/// Reads every document of `text`. `source` is its name in error messages.
///
/// # Errors
/// [`ResourceError`] with file, line and column when the text is not YAML, is too large or too
/// deep, uses aliases, repeats a key, or lacks `apiVersion`, `kind` or `name`.
pub fn parse(text: &str, source: &str) -> Result<Vec<Document>, ResourceError> {
    if text.len() > MAX_TEXT {
        let reason = format!("{} bytes; at most {MAX_TEXT} are taken", text.len());
        return Err(ResourceError::Syntax { at: source.to_owned(), reason });
    }
    let trees = build::trees(text)
        .map_err(|(place, reason)| ResourceError::Syntax { at: format!("{source}:{place}"), reason })?;
    let mut documents = Vec::with_capacity(trees.len());
    for tree in trees {
        let mut places = BTreeMap::new();
        let start = tree.place;
        let value = tree.into_value("", &mut places);
        // `---` with nothing after it is no document.
        if !value.is_null() {
            documents.push(header(value, places, source, start)?);
        }
    }
    if documents.is_empty() { Err(ResourceError::Empty(source.to_owned())) } else { Ok(documents) }
}

fn header(
    value: Value,
    places: BTreeMap<String, Place>,
    source: &str,
    start: Place,
) -> Result<Document, ResourceError> {
    let Value::Object(mut spec) = value else {
        let reason = "a document is a mapping with apiVersion, kind and name".to_owned();
        return Err(ResourceError::Syntax { at: format!("{source}:{start}"), reason });
    };
    let mut take = |key: &str| match spec.remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => {
            let place = places.get(key).copied().unwrap_or(start);
            Err(ResourceError::Syntax { at: format!("{source}:{place}"), reason: format!("{key} is a text") })
        }
        None => {
            let near = nearest(key, spec.keys().map(String::as_str)).map(|n| format!("; is {n:?} meant to be it?"));
            let reason = format!("{key} is missing{}", near.unwrap_or_default());
            Err(ResourceError::Syntax { at: format!("{source}:{start}"), reason })
        }
    };
    let at = |key: &str| format!("{source}:{}", places.get(key).copied().unwrap_or(start));
    let version = take("apiVersion")?;
    if version != API_VERSION {
        let reason = format!("apiVersion {version:?} is not known here; use {API_VERSION:?}");
        return Err(ResourceError::Syntax { at: at("apiVersion"), reason });
    }
    let kind = take("kind")?;
    let name = take("name")?;
    let name = Name::new(&name).map_err(|e| ResourceError::Name { at: at("name"), source: e })?;
    Ok(Document { kind, name, spec, source: source.to_owned(), places })
}

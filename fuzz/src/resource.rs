//! Resource documents, and the spec of the kind `Deployment` in them.

use mainspring_resource::{API_VERSION, Document, ResourceError, parse};
use mainspring_serving::DeploymentSpec;
use serde_json::{Map, Value, json};

/// Documents written as YAML or JSON.
pub fn document(text: &str) {
    match parse(text, "f.yaml") {
        Ok(documents) => {
            assert!(!documents.is_empty());
            let again: String = documents.iter().map(|d| format!("---\n{}\n", written(d))).collect();
            let again = parse(&again, "f.yaml").unwrap_or_else(|e| panic!("{e} in {again}"));
            let known = |d: &Document| (d.kind.clone(), d.name.clone(), d.spec.clone());
            assert_eq!(documents.iter().map(known).collect::<Vec<_>>(), again.iter().map(known).collect::<Vec<_>>());
            for document in &documents {
                places(document, text);
                spec(&document.spec);
            }
        }
        Err(ResourceError::Syntax { at, reason }) => {
            assert!(!reason.is_empty());
            inside(&at, text);
        }
        Err(ResourceError::Name { at, .. }) => inside(&at, text),
        Err(ResourceError::Empty(source)) => assert_eq!(source, "f.yaml"),
        Err(other) => panic!("not about a text: {other}"),
    }
}

/// The document as JSON, which is YAML too.
fn written(document: &Document) -> Value {
    let mut all = Map::new();
    all.insert("apiVersion".into(), json!(API_VERSION));
    all.insert("kind".into(), json!(document.kind));
    all.insert("name".into(), json!(document.name.as_str()));
    all.extend(document.spec.clone());
    Value::Object(all)
}

/// `file:line:column` of a place in the text.
fn inside(at: &str, text: &str) {
    let place = at.strip_prefix("f.yaml:").unwrap_or_else(|| panic!("no position: {at}"));
    let (line, column) = place.split_once(':').unwrap_or_else(|| panic!("no column: {at}"));
    let (line, column): (usize, usize) = (line.parse().expect(at), column.parse().expect(at));
    // YAML's own line breaks: CR LF, CR and LF.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text.split('\n').collect();
    assert!((1..=lines.len() + 1).contains(&line), "{at}, but there are {} lines", lines.len());
    let width = lines.get(line - 1).map_or(0, |l| l.chars().count());
    assert!((1..=width + 2).contains(&column), "{at}, but the line has {width} characters");
}

fn places(document: &Document, text: &str) {
    for key in document.spec.keys() {
        inside(&document.at(key), text);
    }
    inside(&document.at(""), text);
    inside(&document.at("nothing.here[3]"), text);
}

/// A spec that is accepted is the same after it was written and read again, as `apply` compares it.
fn spec(spec: &Map<String, Value>) {
    let Ok(read) = serde_json::from_value::<DeploymentSpec>(Value::Object(spec.clone())) else { return };
    let written = serde_json::to_value(&read).expect("a spec can be written");
    let again: DeploymentSpec = serde_json::from_value(written.clone()).unwrap_or_else(|e| panic!("{e}: {written}"));
    assert_eq!(again, read, "{written}");
}

//! Events of OpenLineage.

use mainspring_lineage::{Event, Facet, RunState, Subject, Thing};
use mainspring_proto_lineage::emit::{Dataset, described};
use serde_json::json;

/// What a refusal is about: a field of the event, or the text as a whole.
const NAMED: [&str; 11] =
    ["eventTime", "eventType", "producer", "schemaURL", "run", "job", "dataset", "inputs", "outputs", "JSON", "nested"];

/// An event as text.
pub fn event(text: &str) {
    match mainspring_proto_lineage::event(text) {
        Ok(read) => {
            assert_eq!(read.body, text.trim(), "it is kept as it was sent");
            let Some(written) = written(&read) else { return };
            let again = mainspring_proto_lineage::event(&written).unwrap_or_else(|e| panic!("{e}: {written}"));
            assert_eq!(Event { body: String::new(), ..again }, Event { body: String::new(), ..read }, "{written}");
        }
        Err(wrong) => {
            let said = wrong.to_string();
            assert!(NAMED.iter().any(|name| said.contains(name)), "{said:?} names nothing of {text:?}");
        }
    }
}

/// The event as JSON; `None` when its time has no form that is read.
fn written(event: &Event) -> Option<String> {
    let time = described(event.at, &Dataset::default())["eventTime"].as_str()?.to_owned();
    let mut fields = vec![
        format!("\"eventTime\":{}", json!(time)),
        "\"producer\":\"a:\",\"schemaURL\":\"a:\"".to_owned(),
        format!("\"inputs\":{}", list(&event.inputs)),
        format!("\"outputs\":{}", list(&event.outputs)),
    ];
    match &event.subject {
        Subject::Run { id, state, facets: said, job } => {
            fields.push(format!("\"run\":{{\"runId\":{},\"facets\":{}}}", json!(id), facets(said)));
            fields.push(format!("\"job\":{}", thing(job)));
            fields.extend(state.map(|s| format!("\"eventType\":{}", json!(RunState::as_str(s)))));
        }
        Subject::Job(job) => fields.push(format!("\"job\":{}", thing(job))),
        Subject::Dataset(dataset) => fields.push(format!("\"dataset\":{}", thing(dataset))),
    }
    (!time.is_empty()).then(|| format!("{{{}}}", fields.join(",")))
}

fn list(things: &[Thing]) -> String {
    format!("[{}]", things.iter().map(thing).collect::<Vec<_>>().join(","))
}

fn thing(t: &Thing) -> String {
    format!("{{\"namespace\":{},\"name\":{},\"facets\":{}}}", json!(t.namespace), json!(t.name), facets(&t.facets))
}

/// Each as it was sent, whatever its numbers are; one that was taken away says so.
fn facets(facets: &[Facet]) -> String {
    let gone = "{\"_producer\":\"a:\",\"_schemaURL\":\"a:\",\"_deleted\":true}";
    let facet = |f: &Facet| format!("{}:{}", json!(f.name), f.body.as_deref().unwrap_or(gone));
    format!("{{{}}}", facets.iter().map(facet).collect::<Vec<_>>().join(","))
}

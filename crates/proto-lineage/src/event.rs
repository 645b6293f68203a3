//! One event of OpenLineage, checked by the rules of its schema. What it does not rule is kept byte by byte.

use mainspring_core::{ErrorKind, Failure, Timestamp};
use mainspring_http::body::parse;
use mainspring_lineage::{Event, Facet, MAX_DATASETS, RunState, Subject, Thing};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The deepest that an event is nested. Who reads it back has a stack, too.
const MAX_NESTING: usize = 128;
/// The longest namespace, bytes; and the longest name.
const MAX_NAMESPACE: usize = 1_024;
const MAX_NAME: usize = 1_024;

/// Why an event is not taken.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(pub(crate) String);

impl Failure for Wrong {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }

    fn hint(&self) -> Option<String> {
        Some("the rules are those of https://openlineage.io/spec/2-0-2/OpenLineage.json".into())
    }
}

type Facets = BTreeMap<String, Box<RawValue>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventBody {
    event_type: Option<String>,
    event_time: Option<String>,
    producer: Option<String>,
    #[serde(rename = "schemaURL")]
    schema_url: Option<String>,
    run: Option<RunBody>,
    job: Option<ThingBody>,
    dataset: Option<ThingBody>,
    inputs: Option<Vec<ThingBody>>,
    outputs: Option<Vec<ThingBody>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunBody {
    run_id: Option<String>,
    facets: Option<Facets>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThingBody {
    namespace: Option<String>,
    name: Option<String>,
    facets: Option<Facets>,
    input_facets: Option<Facets>,
    output_facets: Option<Facets>,
}

/// What every facet has.
#[derive(Deserialize)]
struct FacetHead {
    #[serde(rename = "_producer")]
    producer: Option<String>,
    #[serde(rename = "_schemaURL")]
    schema_url: Option<String>,
    #[serde(rename = "_deleted")]
    deleted: Option<bool>,
}

/// Reads one event.
///
/// # Errors
/// [`Wrong`], naming the field.
pub fn event(text: &str) -> Result<Event, Wrong> {
    if nesting(text) > MAX_NESTING {
        return Err(Wrong(format!("the event is nested deeper than {MAX_NESTING}")));
    }
    let body: EventBody = parse(text.as_bytes()).map_err(|e| Wrong(e.message))?;
    let at = time(&required(body.event_time, "eventTime")?)?;
    uri(&required(body.producer, "producer")?, "producer")?;
    uri(&required(body.schema_url, "schemaURL")?, "schemaURL")?;
    let inputs = datasets(body.inputs, "inputs")?;
    let outputs = datasets(body.outputs, "outputs")?;
    if inputs.len() + outputs.len() > MAX_DATASETS {
        return Err(Wrong(format!("inputs and outputs are more than {MAX_DATASETS} datasets")));
    }
    let state = body.event_type.map(|word| {
        let known = || RunState::ALL.map(|(_, word)| word).join(", ");
        RunState::parse(&word).ok_or_else(|| Wrong(format!("eventType is {word:?}; it must be one of {}", known())))
    });
    let state = state.transpose()?;
    let subject = match (body.run, body.job, body.dataset) {
        (Some(run), Some(job), _) => Subject::Run {
            id: run_id(run.run_id)?,
            state,
            facets: facets(run.facets, "run.facets")?,
            job: thing(job, "job")?,
        },
        (Some(_), None, None) => return Err(Wrong("job is missing: a run is a run of a job".into())),
        (None, Some(_), Some(_)) => {
            return Err(Wrong("job and dataset are both there; without a run an event is about one of them".into()));
        }
        (None, Some(job), None) => Subject::Job(thing(job, "job")?),
        (_, None, Some(dataset)) => Subject::Dataset(thing(dataset, "dataset")?),
        (None, None, None) => {
            return Err(Wrong("run and job, job or dataset are missing: the event is about nothing".into()));
        }
    };
    Ok(Event { at, subject, inputs, outputs, body: text.trim().to_owned() })
}

fn required(value: Option<String>, path: &str) -> Result<String, Wrong> {
    value.ok_or_else(|| Wrong(format!("{path} is missing")))
}

/// How deep a JSON text is nested, without recursion.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A date-time of RFC 3339. Some clients leave the offset out; they mean UTC.
fn time(text: &str) -> Result<Timestamp, Wrong> {
    let parsed =
        OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339));
    let wrong = || Wrong(format!("eventTime is {text:?}; it must be a time like 2026-01-31T12:00:00.000Z"));
    let nanos = parsed.map_err(|_| wrong())?.unix_timestamp_nanos();
    i64::try_from(nanos.div_euclid(1_000)).map(Timestamp).map_err(|_| wrong())
}

/// An absolute URI, by what RFC 3986 says of its scheme and its characters.
fn uri(text: &str, path: &str) -> Result<(), Wrong> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let printable = text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&b));
    if named && printable {
        return Ok(());
    }
    Err(Wrong(format!("{path} is {text:?}; it must be a URI, e.g. https://example.com/my-pipeline")))
}

fn run_id(given: Option<String>) -> Result<String, Wrong> {
    let text = required(given, "run.runId")?;
    let shape = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    if text.len() == 36 && text.bytes().enumerate().all(shape) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Wrong(format!("run.runId is {text:?}; it must be a UUID")))
}

fn datasets(given: Option<Vec<ThingBody>>, path: &str) -> Result<Vec<Thing>, Wrong> {
    given.unwrap_or_default().into_iter().enumerate().map(|(i, d)| thing(d, &format!("{path}[{i}]"))).collect()
}

fn thing(body: ThingBody, path: &str) -> Result<Thing, Wrong> {
    let namespace = named(body.namespace, &format!("{path}.namespace"), MAX_NAMESPACE)?;
    let name = named(body.name, &format!("{path}.name"), MAX_NAME)?;
    // What is said of one reading or one writing stays with its event.
    facets(body.input_facets, &format!("{path}.inputFacets"))?;
    facets(body.output_facets, &format!("{path}.outputFacets"))?;
    Ok(Thing { namespace, name, facets: facets(body.facets, &format!("{path}.facets"))? })
}

fn named(given: Option<String>, path: &str, longest: usize) -> Result<String, Wrong> {
    let text = required(given, path)?;
    if text.is_empty() {
        return Err(Wrong(format!("{path} is empty")));
    }
    if text.len() > longest {
        return Err(Wrong(format!("{path} has {} bytes; {longest} are the most", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong(format!("{path} is {text:?}; control characters are no part of a name")));
    }
    Ok(text)
}

fn facets(given: Option<Facets>, path: &str) -> Result<Vec<Facet>, Wrong> {
    given.unwrap_or_default().into_iter().map(|(name, raw)| facet(name, &raw, path)).collect()
}

fn facet(name: String, raw: &RawValue, path: &str) -> Result<Facet, Wrong> {
    let path = format!("{path}.{name}");
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Wrong(format!("{path:?} is no name of a facet")));
    }
    let head: FacetHead = serde_json::from_str(raw.get())
        .map_err(|e| Wrong(format!("{path} is no facet: it must be an object with _producer and _schemaURL ({e})")))?;
    for (field, value) in [("_producer", head.producer), ("_schemaURL", head.schema_url)] {
        let field = format!("{path}.{field}");
        uri(&required(value, &field)?, &field)?;
    }
    let body = (head.deleted != Some(true)).then(|| raw.get().to_owned());
    Ok(Facet { name, body })
}

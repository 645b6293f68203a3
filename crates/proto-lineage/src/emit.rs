//! Events going out: what happens here, in the words of OpenLineage 2-0-2.

use crate::shape::iso;
use mainspring_core::Timestamp;
use mainspring_lineage::RunState;
use serde_json::{Map, Value, json};

/// Who says so.
const PRODUCER: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/tree/v", env!("CARGO_PKG_VERSION"));
const SPEC: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/";

/// A job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `BATCH` or `SERVICE`.
    pub processing: &'static str,
    /// What it does: `TRAINING`, `CONVERSION`, `PREDICTION`, `DEPLOYMENT`.
    pub does: &'static str,
}

/// A dataset.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Which state of it: a digest.
    pub version: Option<String>,
    /// Columns, each with its type.
    pub fields: Vec<(String, Option<String>)>,
    /// Other names of it; namespace, name and kind.
    pub symlinks: Vec<(String, String, &'static str)>,
    /// Rows written, for an output.
    pub rows: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone)]
pub struct Said {
    /// When.
    pub at: Timestamp,
    /// The run and the state that it is in since; `None` when a job is described outside any run.
    pub run: Option<(String, RunState)>,
    /// The job.
    pub job: Job,
    /// What it reads.
    pub inputs: Vec<Dataset>,
    /// What it writes.
    pub outputs: Vec<Dataset>,
}

fn facet(schema: &str, mut body: Map<String, Value>) -> Value {
    body.insert("_producer".into(), PRODUCER.into());
    body.insert("_schemaURL".into(), format!("https://openlineage.io/spec/facets/{schema}").into());
    Value::Object(body)
}

fn object(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn dataset(d: &Dataset, written: bool) -> Value {
    let mut facets = Map::new();
    if let Some(version) = &d.version {
        let body = object([("datasetVersion", version.as_str().into())]);
        let schema = "1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet";
        facets.insert("version".into(), facet(schema, body));
    }
    if !d.fields.is_empty() {
        let field = |(name, kind): &(String, Option<String>)| match kind {
            Some(kind) => json!({ "name": name, "type": kind }),
            None => json!({ "name": name }),
        };
        let body = object([("fields", d.fields.iter().map(field).collect())]);
        facets.insert("schema".into(), facet("1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet", body));
    }
    if !d.symlinks.is_empty() {
        let link = |(namespace, name, kind): &(String, String, &str)| json!({ "namespace": namespace, "name": name, "type": kind });
        let body = object([("identifiers", d.symlinks.iter().map(link).collect())]);
        facets.insert("symlinks".into(), facet("1-0-1/SymlinksDatasetFacet.json#/$defs/SymlinksDatasetFacet", body));
    }
    let mut out = json!({ "namespace": d.namespace, "name": d.name, "facets": facets });
    if let (Some(rows), true) = (d.rows, written) {
        let schema = "1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/OutputStatisticsOutputDatasetFacet";
        let statistics = facet(schema, object([("rowCount", rows.into())]));
        out["outputFacets"] = json!({ "outputStatistics": statistics });
    }
    out
}

/// The event.
pub fn render(said: &Said) -> Value {
    let job = &said.job;
    let kind = object([
        ("processingType", job.processing.into()),
        ("integration", "MAINSPRING".into()),
        ("jobType", job.does.into()),
    ]);
    let facets = json!({ "jobType": facet("2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet", kind) });
    let mut event = json!({
        "eventTime": iso(said.at),
        "producer": PRODUCER,
        "schemaURL": format!("{SPEC}{}", if said.run.is_some() { "RunEvent" } else { "JobEvent" }),
        "job": { "namespace": job.namespace, "name": job.name, "facets": facets },
        "inputs": said.inputs.iter().map(|d| dataset(d, false)).collect::<Vec<_>>(),
        "outputs": said.outputs.iter().map(|d| dataset(d, true)).collect::<Vec<_>>(),
    });
    if let Some((id, state)) = &said.run {
        event["eventType"] = state.as_str().into();
        event["run"] = json!({ "runId": id, "facets": {} });
    }
    event
}

/// The event that describes a dataset outside any run and any job.
pub fn described(at: Timestamp, said: &Dataset) -> Value {
    json!({
        "eventTime": iso(at),
        "producer": PRODUCER,
        "schemaURL": format!("{SPEC}DatasetEvent"),
        "dataset": dataset(said, false),
    })
}

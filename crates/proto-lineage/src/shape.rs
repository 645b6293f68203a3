//! Jobs, datasets and runs in the shapes of Marquez.

use mainspring_core::Timestamp;
use mainspring_lineage::{KeptRun, KeptThing, NAMESPACE};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) type Facets = BTreeMap<String, Box<RawValue>>;

/// A time as Marquez writes it; times before the year 0 or after 9999 have no such form.
pub(crate) fn iso(at: Timestamp) -> String {
    let nanos = i128::from(at.micros()) * 1_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    time.and_then(|t| t.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Namespace and name.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub namespace: String,
    pub name: String,
}

impl From<(String, String)> for Id {
    fn from((namespace, name): (String, String)) -> Self {
        Self { namespace, name }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NamespaceShape {
    pub name: String,
    pub created_at: String,
    pub updated_at: String,
    pub owner_name: &'static str,
    pub description: Option<String>,
    pub is_hidden: bool,
}

impl NamespaceShape {
    pub fn new((name, first, last): (String, Timestamp, Timestamp)) -> Self {
        let description = (name == NAMESPACE).then(|| "what is made on this server".to_owned());
        let (created_at, updated_at) = (iso(first), iso(last));
        Self { name, created_at, updated_at, owner_name: "anonymous", description, is_hidden: false }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunShape {
    pub id: String,
    pub created_at: String,
    pub updated_at: String,
    pub nominal_start_time: Option<String>,
    pub nominal_end_time: Option<String>,
    pub state: &'static str,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    pub duration_ms: Option<i64>,
    pub args: BTreeMap<String, String>,
    pub job: Id,
    pub facets: Facets,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NominalTime {
    nominal_start_time: Option<String>,
    nominal_end_time: Option<String>,
}

impl From<KeptRun> for RunShape {
    fn from(run: KeptRun) -> Self {
        let facets = facets(run.facets);
        let nominal: Option<NominalTime> = said(&facets, "nominalTime");
        let (nominal_start_time, nominal_end_time) =
            nominal.map_or((None, None), |n| (n.nominal_start_time, n.nominal_end_time));
        let took = run.started.zip(run.ended).map(|(from, to)| (to.micros() - from.micros()) / 1_000);
        Self {
            id: run.id,
            created_at: iso(run.created),
            updated_at: iso(run.updated),
            nominal_start_time,
            nominal_end_time,
            state: match run.state.as_deref() {
                Some("START" | "RUNNING") => "RUNNING",
                Some("COMPLETE") => "COMPLETED",
                Some("ABORT") => "ABORTED",
                Some("FAIL") => "FAILED",
                _ => "NEW",
            },
            started_at: run.started.map(iso),
            ended_at: run.ended.map(iso),
            duration_ms: took,
            args: BTreeMap::new(),
            job: run.job.into(),
            facets,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobShape {
    pub id: Id,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub name: String,
    pub simple_name: String,
    pub parent_job_name: Option<String>,
    pub parent_job_uuid: Option<String>,
    pub created_at: String,
    pub updated_at: String,
    pub namespace: String,
    pub inputs: Vec<Id>,
    pub outputs: Vec<Id>,
    pub location: Option<String>,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub latest_run: Option<RunShape>,
    pub facets: Facets,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatasetShape {
    pub id: Id,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub name: String,
    pub physical_name: String,
    pub created_at: String,
    pub updated_at: String,
    pub namespace: String,
    pub source_name: String,
    pub fields: Vec<Field>,
    pub tags: Vec<String>,
    pub last_modified_at: Option<String>,
    pub description: Option<String>,
    pub deleted: bool,
    pub facets: Facets,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Schema {
    fields: Option<Vec<Field>>,
}

#[derive(Deserialize)]
struct Documentation {
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobType {
    processing_type: Option<String>,
}

#[derive(Deserialize)]
struct Location {
    url: Option<String>,
}

#[derive(Deserialize)]
struct Source {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lifecycle {
    lifecycle_state_change: Option<String>,
}

fn facets(kept: Vec<(String, String)>) -> Facets {
    kept.into_iter().filter_map(|(name, body)| Some((name, RawValue::from_string(body).ok()?))).collect()
}

/// What a facet says, if it is there and of the form that its schema describes. Senders may send what they like.
fn said<T: serde::de::DeserializeOwned>(facets: &Facets, name: &str) -> Option<T> {
    serde_json::from_str(facets.get(name)?.get()).ok()
}

fn description(facets: &Facets) -> Option<String> {
    said::<Documentation>(facets, "documentation").and_then(|d| d.description)
}

impl From<KeptThing> for JobShape {
    fn from(job: KeptThing) -> Self {
        let facets = facets(job.facets);
        let kind: Option<JobType> = said(&facets, "jobType");
        let serves = job.namespace == NAMESPACE && job.name.starts_with("deployments/");
        let kind = match kind.and_then(|k| k.processing_type).as_deref() {
            Some("STREAMING" | "STREAM") => "STREAM",
            Some("SERVICE") => "SERVICE",
            None if serves => "SERVICE",
            _ => "BATCH",
        };
        Self {
            id: (job.namespace.clone(), job.name.clone()).into(),
            kind,
            simple_name: job.name.clone(),
            name: job.name,
            parent_job_name: None,
            parent_job_uuid: None,
            created_at: iso(job.created),
            updated_at: iso(job.updated),
            namespace: job.namespace,
            inputs: job.inputs.into_iter().map(Into::into).collect(),
            outputs: job.outputs.into_iter().map(Into::into).collect(),
            location: said::<Location>(&facets, "sourceCodeLocation").and_then(|l| l.url),
            description: description(&facets),
            tags: Vec::new(),
            latest_run: job.latest.map(Into::into),
            facets,
        }
    }
}

impl From<KeptThing> for DatasetShape {
    fn from(dataset: KeptThing) -> Self {
        let facets = facets(dataset.facets);
        let lifecycle: Option<Lifecycle> = said(&facets, "lifecycleStateChange");
        Self {
            id: (dataset.namespace.clone(), dataset.name.clone()).into(),
            kind: "DB_TABLE",
            physical_name: dataset.name.clone(),
            name: dataset.name,
            created_at: iso(dataset.created),
            updated_at: iso(dataset.updated),
            source_name: said::<Source>(&facets, "dataSource")
                .and_then(|s| s.name)
                .unwrap_or_else(|| dataset.namespace.clone()),
            namespace: dataset.namespace,
            fields: said::<Schema>(&facets, "schema").and_then(|s| s.fields).unwrap_or_default(),
            tags: Vec::new(),
            last_modified_at: None,
            description: description(&facets),
            deleted: lifecycle.and_then(|l| l.lifecycle_state_change).as_deref() == Some("DROP"),
            facets,
        }
    }
}

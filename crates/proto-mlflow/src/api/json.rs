//! Entities on the wire, as protobuf's JSON form writes them: `snake_case`, 64-bit integers as
//! numbers, empty lists left out, NaN as text.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue};
use mainspring_registry::{
    Alias, DatasetInput, Experiment, Listing, LoggedModel, Metric, ModelOutput, ModelVersion, Pair, RegisteredModel,
    Run, RunInfo,
};
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// A JSON answer.
pub(super) fn answer<T: Serialize>(body: &T) -> Response {
    let bytes = match serde_json::to_vec(body) {
        Ok(bytes) => bytes,
        Err(e) => {
            let message = format!("the answer could not be written: {e}");
            return super::render_error(mainspring_core::ErrorKind::Internal, &message, None);
        }
    };
    let mut response = bytes.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `{}`: clients of `/api/2.0` refuse a body that is not JSON.
pub(super) fn empty() -> Response {
    answer(&serde_json::Map::new())
}

/// A double; NaN and the infinities are text.
pub(super) struct Num(pub f64);

impl Serialize for Num {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0.is_nan() {
            s.serialize_str("NaN")
        } else if self.0.is_infinite() {
            s.serialize_str(if self.0 > 0.0 { "Infinity" } else { "-Infinity" })
        } else {
            s.serialize_f64(self.0)
        }
    }
}

fn none<T>(list: &[T]) -> bool {
    list.is_empty()
}

#[derive(Serialize)]
pub(super) struct ExperimentJson<'a> {
    experiment_id: String,
    name: &'a str,
    artifact_location: &'a str,
    lifecycle_stage: &'a str,
    last_update_time: i64,
    creation_time: i64,
    #[serde(skip_serializing_if = "none")]
    tags: &'a [Pair],
}

impl<'a> From<&'a Experiment> for ExperimentJson<'a> {
    fn from(e: &'a Experiment) -> Self {
        Self {
            experiment_id: e.id.to_string(),
            name: &e.name,
            artifact_location: &e.artifact_location,
            lifecycle_stage: e.stage.as_str(),
            last_update_time: e.updated,
            creation_time: e.created,
            tags: &e.tags,
        }
    }
}

#[derive(Serialize)]
pub(super) struct RunInfoJson<'a> {
    run_uuid: &'a str,
    run_id: &'a str,
    run_name: &'a str,
    experiment_id: String,
    user_id: &'a str,
    status: &'a str,
    start_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    artifact_uri: &'a str,
    lifecycle_stage: &'a str,
}

impl<'a> From<&'a RunInfo> for RunInfoJson<'a> {
    fn from(r: &'a RunInfo) -> Self {
        Self {
            run_uuid: &r.id,
            run_id: &r.id,
            run_name: &r.name,
            experiment_id: r.experiment.to_string(),
            user_id: &r.user,
            status: r.status.as_str(),
            start_time: r.started,
            end_time: r.ended.filter(|t| *t != 0),
            artifact_uri: &r.artifact_uri,
            lifecycle_stage: r.stage.as_str(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct MetricJson<'a> {
    key: &'a str,
    value: Num,
    timestamp: i64,
    step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
}

impl<'a> From<&'a Metric> for MetricJson<'a> {
    fn from(m: &'a Metric) -> Self {
        Self {
            key: &m.key,
            value: Num(m.value),
            timestamp: m.timestamp,
            step: m.step,
            model_id: m.model_id.as_deref(),
            dataset_name: m.dataset_name.as_deref(),
            dataset_digest: m.dataset_digest.as_deref(),
            run_id: m.run_id.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct RunDataJson<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricJson<'a>>,
    #[serde(skip_serializing_if = "none")]
    params: &'a [Pair],
    #[serde(skip_serializing_if = "none")]
    tags: &'a [Pair],
}

#[derive(Serialize)]
struct DatasetJson<'a> {
    name: &'a str,
    digest: &'a str,
    source_type: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
}

#[derive(Serialize)]
struct DatasetInputJson<'a> {
    #[serde(skip_serializing_if = "none")]
    tags: &'a [Pair],
    dataset: DatasetJson<'a>,
}

impl<'a> From<&'a DatasetInput> for DatasetInputJson<'a> {
    fn from(i: &'a DatasetInput) -> Self {
        let d = &i.dataset;
        Self {
            tags: &i.tags,
            dataset: DatasetJson {
                name: &d.name,
                digest: &d.digest,
                source_type: &d.source_type,
                source: &d.source,
                schema: d.schema.as_deref(),
                profile: d.profile.as_deref(),
            },
        }
    }
}

#[derive(Serialize)]
struct ModelInputJson<'a> {
    model_id: &'a str,
}

#[derive(Serialize)]
struct InputsJson<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dataset_inputs: Vec<DatasetInputJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_inputs: Vec<ModelInputJson<'a>>,
}

#[derive(Serialize)]
struct OutputsJson<'a> {
    #[serde(skip_serializing_if = "none")]
    model_outputs: &'a [ModelOutput],
}

#[derive(Serialize)]
pub(super) struct RunJson<'a> {
    info: RunInfoJson<'a>,
    data: RunDataJson<'a>,
    inputs: InputsJson<'a>,
    outputs: OutputsJson<'a>,
}

impl<'a> From<&'a Run> for RunJson<'a> {
    fn from(r: &'a Run) -> Self {
        Self {
            info: (&r.info).into(),
            data: RunDataJson { metrics: r.metrics.iter().map(Into::into).collect(), params: &r.params, tags: &r.tags },
            inputs: InputsJson {
                dataset_inputs: r.inputs.iter().map(Into::into).collect(),
                model_inputs: r.model_inputs.iter().map(|model_id| ModelInputJson { model_id }).collect(),
            },
            outputs: OutputsJson { model_outputs: &r.model_outputs },
        }
    }
}

impl<'a> From<&'a Arc<Run>> for RunJson<'a> {
    fn from(r: &'a Arc<Run>) -> Self {
        Self::from(&**r)
    }
}

#[derive(Serialize)]
struct LoggedModelInfoJson<'a> {
    model_id: &'a str,
    experiment_id: String,
    name: &'a str,
    creation_timestamp_ms: i64,
    last_updated_timestamp_ms: i64,
    artifact_uri: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_run_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<&'a str>,
    #[serde(skip_serializing_if = "none")]
    tags: &'a [Pair],
}

#[derive(Serialize)]
struct LoggedModelDataJson<'a> {
    #[serde(skip_serializing_if = "none")]
    params: &'a [Pair],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricJson<'a>>,
}

#[derive(Serialize)]
pub(super) struct LoggedModelJson<'a> {
    info: LoggedModelInfoJson<'a>,
    data: LoggedModelDataJson<'a>,
}

impl<'a> From<&'a LoggedModel> for LoggedModelJson<'a> {
    fn from(m: &'a LoggedModel) -> Self {
        Self {
            info: LoggedModelInfoJson {
                model_id: &m.id,
                experiment_id: m.experiment.to_string(),
                name: &m.name,
                creation_timestamp_ms: m.created,
                last_updated_timestamp_ms: m.updated,
                artifact_uri: &m.artifact_uri,
                status: m.status.wire(),
                model_type: m.model_type.as_deref(),
                source_run_id: m.source_run_id.as_deref(),
                status_message: m.status_message.as_deref(),
                tags: &m.tags,
            },
            data: LoggedModelDataJson { params: &m.params, metrics: m.metrics.iter().map(Into::into).collect() },
        }
    }
}

#[derive(Serialize)]
pub(super) struct VersionJson<'a> {
    name: &'a str,
    version: String,
    creation_timestamp: i64,
    last_updated_timestamp: i64,
    current_stage: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<&'a str>,
    #[serde(skip_serializing_if = "none")]
    tags: &'a [Pair],
    #[serde(skip_serializing_if = "none")]
    aliases: &'a [String],
}

impl<'a> From<&'a ModelVersion> for VersionJson<'a> {
    fn from(v: &'a ModelVersion) -> Self {
        Self {
            name: &v.name,
            version: v.version.to_string(),
            creation_timestamp: v.created,
            last_updated_timestamp: v.updated,
            current_stage: &v.stage,
            description: v.description.as_deref(),
            source: &v.source,
            run_id: v.run_id.as_deref(),
            // A version is there when its row is; nothing is copied in the background.
            status: "READY",
            run_link: v.run_link.as_deref(),
            model_id: v.model_id.as_deref(),
            tags: &v.tags,
            aliases: &v.aliases,
        }
    }
}

#[derive(Serialize)]
struct AliasJson<'a> {
    alias: &'a str,
    version: String,
}

#[derive(Serialize)]
pub(super) struct ModelJson<'a> {
    name: &'a str,
    creation_timestamp: i64,
    last_updated_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    latest_versions: Vec<VersionJson<'a>>,
    #[serde(skip_serializing_if = "none")]
    tags: &'a [Pair],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<AliasJson<'a>>,
}

impl<'a> From<&'a RegisteredModel> for ModelJson<'a> {
    fn from(m: &'a RegisteredModel) -> Self {
        let alias = |a: &'a Alias| AliasJson { alias: &a.alias, version: a.version.to_string() };
        Self {
            name: &m.name,
            creation_timestamp: m.created,
            last_updated_timestamp: m.updated,
            description: m.description.as_deref().filter(|d| !d.is_empty()),
            latest_versions: m.latest.iter().map(Into::into).collect(),
            tags: &m.tags,
            aliases: m.aliases.iter().map(alias).collect(),
        }
    }
}

#[derive(Serialize)]
struct FileJson<'a> {
    path: &'a str,
    is_dir: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct ListingJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    root_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileJson<'a>>,
}

impl<'a> ListingJson<'a> {
    /// Paths below the root, with the root's URI.
    pub fn of(listing: &'a Listing) -> Self {
        let file = |e: &'a mainspring_registry::Listed| FileJson {
            path: &e.path,
            is_dir: e.is_dir,
            file_size: (!e.is_dir).then_some(e.size),
        };
        Self { root_uri: Some(&listing.root_uri), files: listing.entries.iter().map(file).collect() }
    }

    /// Names only: what the proxy lists.
    pub fn names(listing: &'a Listing) -> Self {
        let mut all = Self::of(listing);
        all.root_uri = None;
        for f in &mut all.files {
            f.path = f.path.rsplit('/').next().unwrap_or_default();
        }
        all
    }
}

/// One page of a search under the list's own name.
pub(super) fn page<'a, T, J: From<&'a T> + Serialize>(
    name: &'static str,
    page: &'a mainspring_registry::Page<T>,
) -> Response {
    struct PageJson<J>(&'static str, Vec<J>, Option<String>);
    impl<J: Serialize> Serialize for PageJson<J> {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeMap;
            let mut map = s.serialize_map(None)?;
            if !self.1.is_empty() {
                map.serialize_entry(self.0, &self.1)?;
            }
            if let Some(token) = &self.2 {
                map.serialize_entry("next_page_token", token)?;
            }
            map.end()
        }
    }
    answer(&PageJson(name, page.items.iter().map(J::from).collect(), page.next.clone()))
}

/// An object with one entry.
pub(super) fn one<T: Serialize>(name: &'static str, value: &T) -> Response {
    struct One<'a, T>(&'static str, &'a T);
    impl<T: Serialize> Serialize for One<'_, T> {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeMap;
            let mut map = s.serialize_map(Some(1))?;
            map.serialize_entry(self.0, self.1)?;
            map.end()
        }
    }
    answer(&One(name, value))
}

//! What the protocol tells about models: metadata, readiness, configuration, statistics, the index.

use super::json_response;
use crate::error::Refused;
use crate::rest::infer::Path;
use crate::state::{OipState, caller};
use crate::view;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use mainspring_core::{ErrorKind, Principal};
use mainspring_engine::TensorSpec;
use mainspring_http::read_body;
use mainspring_serving::{Counted, DeploymentStats, VersionStats};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Who asks, and for which model and version.
struct Asked {
    caller: Arc<Principal>,
    path: Path,
}

impl Asked {
    async fn of(state: &OipState, request: Request) -> Result<Self, Refused> {
        let (mut parts, _) = request.into_parts();
        let path = Path::of(&mut parts, state).await?;
        Ok(Self { caller: caller(&parts.extensions)?, path })
    }
}

fn tensors(specs: &[TensorSpec]) -> Vec<Value> {
    specs.iter().map(|s| json!({ "name": s.name, "datatype": s.dtype.as_str(), "shape": s.shape })).collect()
}

pub(crate) async fn metadata(State(state): State<OipState>, request: Request) -> Result<Response, Refused> {
    let asked = Asked::of(&state, request).await?;
    let deployment = state.view(&asked.caller, asked.path.model())?;
    let version = view::pick(&deployment, asked.path.version())?;
    let body = json!({
        "name": deployment.name,
        "versions": view::versions(&deployment),
        "platform": version.contract.platform,
        "inputs": tensors(&version.contract.signature.inputs),
        "outputs": tensors(&version.contract.signature.outputs),
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// 200 when the model answers, 503 when it is known but does not.
pub(crate) async fn ready(State(state): State<OipState>, request: Request) -> Result<Response, Refused> {
    let asked = Asked::of(&state, request).await?;
    let deployment = state.view(&asked.caller, asked.path.model())?;
    let ready = match asked.path.version() {
        Some(_) => view::pick(&deployment, asked.path.version())?.state == mainspring_serving::State::Ready,
        None => deployment.ready(),
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(json_response(status, &json!({ "name": deployment.name, "ready": ready })))
}

pub(crate) async fn config(State(state): State<OipState>, request: Request) -> Result<Response, Refused> {
    let asked = Asked::of(&state, request).await?;
    let deployment = state.view(&asked.caller, asked.path.model())?;
    let version = view::pick(&deployment, asked.path.version())?;
    let contract = &version.contract;
    let tensor = |s: &TensorSpec| {
        json!({
            "name": s.name,
            "data_type": view::config_type(s.dtype),
            "dims": view::config_dims(contract, &s.shape),
        })
    };
    let mut body = json!({
        "name": deployment.name,
        "platform": contract.platform,
        "backend": view::backend(contract),
        "max_batch_size": view::max_batch_size(contract),
        "input": contract.signature.inputs.iter().map(tensor).collect::<Vec<_>>(),
        "output": contract.signature.outputs.iter().map(tensor).collect::<Vec<_>>(),
        "instance_group": [{ "name": deployment.name, "kind": "KIND_CPU", "count": version.instances }],
    });
    if contract.max_batch_rows > 0 {
        let delay = deployment.spec.engine.batch.max_delay.0.as_micros();
        body["dynamic_batching"] = json!({ "max_queue_delay_microseconds": delay as u64 });
    }
    if deployment.spec.cache.is_some() {
        body["response_cache"] = json!({ "enable": true });
    }
    if contract.streams {
        body["model_transaction_policy"] = json!({ "decoupled": true });
    }
    Ok(json_response(StatusCode::OK, &body))
}

pub(crate) async fn stats(State(state): State<OipState>, request: Request) -> Result<Response, Refused> {
    let asked = Asked::of(&state, request).await?;
    let all = state.stats(&asked.caller, Some(asked.path.model()))?;
    let list: Vec<Value> = versions_of(&all, asked.path.version()).map(version_stats).collect();
    if list.is_empty() && asked.path.version().is_some() {
        let message = format!(
            "deployment {:?} has no version {:?}",
            asked.path.model(),
            asked.path.version().unwrap_or_default()
        );
        return Err(Refused::new(ErrorKind::NotFound, message));
    }
    Ok(json_response(StatusCode::OK, &json!({ "model_stats": list })))
}

pub(crate) async fn all_stats(State(state): State<OipState>, request: Request) -> Result<Response, Refused> {
    let caller = caller(request.extensions())?;
    let all = state.stats(&caller, None)?;
    let list: Vec<Value> = versions_of(&all, None).map(version_stats).collect();
    Ok(json_response(StatusCode::OK, &json!({ "model_stats": list })))
}

/// Versions of these deployments, all or the one asked for.
pub(crate) fn versions_of<'a>(
    all: &'a [DeploymentStats],
    version: Option<&'a str>,
) -> impl Iterator<Item = &'a VersionStats> {
    all.iter().flat_map(|d| &d.versions).filter(move |v| version.is_none_or(|wanted| *v.target.version == *wanted))
}

fn counted(c: Counted) -> Value {
    json!({ "count": c.count, "ns": c.ns })
}

/// Input and output of the engine are counted with the engine: it takes and gives tensors as they
/// are.
fn version_stats(v: &VersionStats) -> Value {
    let zero = counted(Counted::default());
    let of = |h: &mainspring_serving::HistogramView| json!({ "count": h.count, "ns": h.sum_ns });
    let batches: Vec<Value> = v
        .batches
        .iter()
        .map(|b| {
            json!({
                "batch_size": b.rows,
                "compute_input": { "count": b.executions, "ns": 0 },
                "compute_infer": { "count": b.executions, "ns": b.engine_ns },
                "compute_output": { "count": b.executions, "ns": 0 },
            })
        })
        .collect();
    json!({
        "name": v.target.deployment,
        "version": v.target.version,
        "last_inference": v.last_inference.map_or(0, mainspring_core::Timestamp::millis),
        "inference_count": v.inference_count,
        "execution_count": v.execution_count,
        "inference_stats": {
            "success": counted(v.success),
            "fail": counted(v.fail),
            "queue": of(&v.queue),
            "compute_input": zero,
            "compute_infer": of(&v.engine),
            "compute_output": of(&v.encode),
            "cache_hit": counted(v.cache.hits),
            "cache_miss": counted(v.cache.misses),
        },
        "response_stats": {},
        "batch_stats": batches,
        "memory_usage": [{ "type": "CPU", "id": 0, "byte_size": v.memory_bytes }],
    })
}

/// The body of the index request; clients send nothing, `{}` or this.
#[derive(Debug, Default, Deserialize)]
struct IndexRequest {
    #[serde(default)]
    ready: Option<bool>,
}

pub(crate) async fn index(State(state): State<OipState>, request: Request) -> Result<Response, Refused> {
    let caller = caller(request.extensions())?;
    let bytes = read_body(request.into_body(), 64 << 10).await?;
    let asked: IndexRequest = if bytes.trim_ascii().is_empty() {
        IndexRequest::default()
    } else {
        serde_json::from_slice(&bytes)
            .map_err(|e| Refused::new(ErrorKind::InvalidInput, format!("the body is not an index request: {e}")))?
    };
    let entries: Vec<Value> = view::index(&state.views(&caller)?, asked.ready.unwrap_or(false))
        .into_iter()
        .map(|e| json!({ "name": e.name, "version": e.version, "state": e.state, "reason": e.reason }))
        .collect();
    Ok(json_response(StatusCode::OK, &Value::Array(entries)))
}

//! Deployments, their traffic, and calling one.

use super::{Failures, Reply};
use crate::convert::deployments::{columns, summary, versions};
use crate::dto::Number;
use crate::dto::deployments::{
    DeploymentBatches, DeploymentDetail, DeploymentList, DeploymentRules, DeploymentStats, DeploymentSummary, LiveTick,
    PredictAnswer, PredictRequest,
};
use crate::extract::{Seg, deployment_name};
use crate::live::ticks;
use crate::predict::{rows, table};
use crate::state::NativeState;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use mainspring_core::{Authorized, ErrorKind, Name, NamedTensor, Principal, Protocol, nearest};
use mainspring_http::{ApiError, Caller, Head, body::parse, read_body, sse};
use mainspring_serving::{
    Ask, Contract, DeploymentView, Describe, GivenParams, Infer, InferRequest, Picked, ReadStats, Refusal,
};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Instant;

/// Every deployment of the caller's tenant.
pub(crate) fn views(s: &NativeState, who: &Arc<Principal>) -> Result<Vec<DeploymentView>, ApiError> {
    Ok(s.serving.list(&s.may(who, Describe { deployment: None })?))
}

/// The line of each deployment.
pub(crate) fn summaries(s: &NativeState, who: &Arc<Principal>) -> Result<Vec<DeploymentSummary>, ApiError> {
    let stats = s.serving.stats(&s.may(who, ReadStats { deployment: None })?);
    let views = views(s, who)?;
    let line = |v: &DeploymentView| summary(v, stats.iter().find(|s| s.name == v.name));
    Ok(views.iter().map(line).collect())
}

/// The refusal of a name that nothing is deployed under.
fn nobody(s: &NativeState, who: &Arc<Principal>, name: &Name) -> ApiError {
    let known = views(s, who).unwrap_or_default();
    let near = nearest(name.as_str(), known.iter().map(|d| d.name.as_str()));
    let near = near.map(|n| format!("; did you mean {n:?}?")).unwrap_or_default();
    ApiError::new(ErrorKind::NotFound, format!("there is no deployment {:?}{near}", name.as_str()))
        .hint("list them: GET /api/v1/deployments")
}

fn stats_of(
    s: &NativeState,
    who: &Arc<Principal>,
    name: &Name,
) -> Result<mainspring_serving::DeploymentStats, ApiError> {
    let auth = s.may(who, ReadStats { deployment: Some(name.clone()) })?;
    s.serving.stats(&auth).into_iter().next().ok_or_else(|| nobody(s, who, name))
}

/// What is known of a request that never came to the model.
#[derive(Default)]
struct Known {
    version: Option<String>,
    picked: Option<Picked>,
    client_id: Option<Arc<str>>,
}

/// Leaves such a request in the journal.
fn refuse(s: &NativeState, auth: &Authorized<Infer>, (known, received): (Known, Instant), why: ApiError) -> ApiError {
    let Known { version, picked, client_id } = known;
    let (kind, message) = (why.kind, why.message.clone());
    s.serving.refuse(auth, Refusal { version, picked, client_id, protocol: Protocol::Native, received, kind, message });
    why
}

#[utoipa::path(get, path = "/api/v1/deployments", operation_id = "listDeployments", tag = "deployments",
    responses((status = 200, description = "Every deployment", body = DeploymentList), Failures))]
pub(crate) async fn list_deployments(State(s): State<NativeState>, Caller(who): Caller) -> Reply<DeploymentList> {
    Ok(Json(DeploymentList { deployments: summaries(&s, &who)? }))
}

#[utoipa::path(get, path = "/api/v1/deployments/{name}", operation_id = "getDeployment", tag = "deployments",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "The deployment", body = DeploymentDetail), Failures))]
pub(crate) async fn get_deployment(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
) -> Reply<DeploymentDetail> {
    let name = deployment_name(&name)?;
    let stats = stats_of(&s, &who, &name)?;
    let view = s.serving.describe(&s.may(&who, Describe { deployment: Some(name.clone()) })?);
    let view = view.ok_or_else(|| nobody(&s, &who, &name))?;
    let spec = serde_json::to_value(&*view.spec)
        .map_err(|e| ApiError::new(ErrorKind::Internal, format!("the spec cannot be shown: {e}")))?;
    Ok(Json(DeploymentDetail {
        summary: summary(&view, Some(&stats)),
        spec,
        versions: view.versions.iter().map(Into::into).collect(),
        stats: versions(&stats),
    }))
}

#[utoipa::path(get, path = "/api/v1/deployments/{name}/stats", operation_id = "getDeploymentStats", tag = "deployments",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "Counters and latencies per version", body = DeploymentStats), Failures))]
pub(crate) async fn get_deployment_stats(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
) -> Reply<DeploymentStats> {
    let stats = stats_of(&s, &who, &deployment_name(&name)?)?;
    Ok(Json(DeploymentStats { name, versions: versions(&stats) }))
}

#[utoipa::path(get, path = "/api/v1/deployments/{name}/batches", operation_id = "getDeploymentBatches", tag = "deployments",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "Why batches closed", body = DeploymentBatches), Failures))]
pub(crate) async fn get_deployment_batches(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
) -> Reply<DeploymentBatches> {
    let known = deployment_name(&name)?;
    let batches = s.serving.batches(&s.may(&who, ReadStats { deployment: Some(known.clone()) })?);
    let batches = batches.ok_or_else(|| nobody(&s, &who, &known))?;
    Ok(Json(DeploymentBatches { name, versions: batches.into_iter().map(Into::into).collect() }))
}

#[utoipa::path(get, path = "/api/v1/deployments/{name}/rules", operation_id = "getDeploymentRules", tag = "deployments",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "What the rows of requests must keep, and how many did not", body = DeploymentRules), Failures))]
pub(crate) async fn get_deployment_rules(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
) -> Reply<DeploymentRules> {
    let stats = stats_of(&s, &who, &deployment_name(&name)?)?;
    Ok(Json(DeploymentRules { name, rules: stats.rules.into_iter().map(Into::into).collect() }))
}

#[utoipa::path(get, path = "/api/v1/deployments/{name}/live", operation_id = "watchDeployment", tag = "deployments",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "Server-sent events named tick, one a second", body = LiveTick, content_type = "text/event-stream"), Failures))]
pub(crate) async fn watch_deployment(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
) -> Result<Response, ApiError> {
    let name = deployment_name(&name)?;
    stats_of(&s, &who, &name)?;
    let auth = s.may(&who, ReadStats { deployment: Some(name) })?;
    Ok(sse(ticks(s.serving, auth, s.ctx.clone()), s.ctx.tasks.cancelled()))
}

#[utoipa::path(get, path = "/api/v1/live", operation_id = "watchDeployments", tag = "deployments",
    responses((status = 200, description = "Server-sent events named tick, one a second, for every deployment", body = LiveTick, content_type = "text/event-stream"), Failures))]
pub(crate) async fn watch_deployments(State(s): State<NativeState>, Caller(who): Caller) -> Result<Response, ApiError> {
    let auth = s.may(&who, ReadStats { deployment: None })?;
    Ok(sse(ticks(s.serving, auth, s.ctx.clone()), s.ctx.tasks.cancelled()))
}

#[utoipa::path(post, path = "/api/v1/deployments/{name}/predict", operation_id = "predict", tag = "deployments",
    params(("name" = String, Path, description = "Name")),
    request_body = PredictRequest,
    responses((status = 200, description = "What the model said", body = PredictAnswer), Failures))]
pub(crate) async fn predict(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
    request: Request,
) -> Reply<PredictAnswer> {
    let received = Instant::now();
    let (parts, body) = request.into_parts();
    let auth = s.may(&who, Infer { deployment: deployment_name(&name)? })?;
    let request = match read_body(body, s.max_body).await {
        Ok(bytes) => parse::<PredictRequest>(&bytes),
        Err(e) => Err(e.into()),
    };
    let request = request.map_err(|e| refuse(&s, &auth, (Known::default(), received), e))?;
    let client_id: Option<Arc<str>> = request.id.map(Into::into);
    let version = request.version;
    let ask = Ask { version: version.as_deref(), head: &Head(&parts.headers) };
    let picked = match s.serving.pick(&auth, ask) {
        Ok(picked) => picked,
        Err(e) => return Err(refuse(&s, &auth, (Known { version, picked: None, client_id }, received), e.into())),
    };
    let inputs = match inputs(request.rows, picked.contract()) {
        Ok(inputs) => inputs,
        Err(e) => {
            let known = Known { version: None, picked: Some(picked), client_id };
            return Err(refuse(&s, &auth, (known, received), e));
        }
    };
    let count = inputs.first().map_or(0, |i| i.tensor.rows());
    let request = InferRequest {
        version: None,
        picked: Some(picked),
        client_id,
        inputs,
        params: GivenParams::default(),
        protocol: Protocol::Native,
        deadline: None,
        received,
    };
    let answer = s.serving.infer(&auth, request).await?;
    let reply = PredictAnswer {
        id: answer.id.to_string(),
        deployment: name,
        variant: answer.target.variant.to_string(),
        model: answer.target.model.to_string(),
        version: answer.target.version.to_string(),
        predictions: rows(&answer.outputs, &answer.contract.signature, count),
        latency_ms: Number(received.elapsed().as_secs_f64() * 1e3),
        flags: answer.flags.iter().flat_map(|f| f.split(',')).map(str::to_owned).collect(),
    };
    answer.encoded().await?;
    Ok(Json(reply))
}

/// The rows of a request as a model takes them.
fn inputs(given: Vec<Map<String, Value>>, contract: &Contract) -> Result<Vec<NamedTensor>, ApiError> {
    let known = columns(contract);
    let names: Vec<&str> = known.iter().map(|c| c.name.as_str()).collect();
    let made = contract.mlflow().is_none() && !names.is_empty();
    Ok(contract.tensors(&table(given, &names, made)?)?)
}

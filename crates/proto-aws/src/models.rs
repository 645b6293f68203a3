//! The contract of a container that hosts several models: load, list, describe, unload, invoke.
//!
//! A model that is loaded is a declared deployment, so that it outlives a restart, is in the history and
//! can be changed by other means as well. Its URL is what `model` of a deployment may be.

use crate::AwsState;
use crate::error::Plain;
use crate::runtime::{Target, rows};
use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use http::StatusCode;
use mainspring_core::{ErrorKind, Name, Principal, Protocol};
use mainspring_http::{Caller, Json as JsonBody};
use mainspring_proto_mlflow::scoring::{self, Call, Door};
use mainspring_resource::{Apply, Delete, parse};
use mainspring_serving::{DeploymentView, Describe};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

const KIND: &str = "deployment";
/// Models of one answer at most.
const PAGE: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Load {
    model_name: String,
    url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Model {
    model_name: String,
    model_url: String,
}

impl From<&DeploymentView> for Model {
    fn from(view: &DeploymentView) -> Self {
        Self { model_name: view.name.to_string(), model_url: view.spec.model.clone() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Models {
    models: Vec<Model>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Page {
    next_page_token: Option<String>,
}

fn name(text: &str) -> Result<Name, Plain> {
    Name::new(text).map_err(|e| Plain::new(ErrorKind::NotFound, format!("there is no model {text:?}: {e}")))
}

/// The deployment, if there is one.
fn find(state: &AwsState, who: &Arc<Principal>, name: &Name) -> Result<Option<DeploymentView>, Plain> {
    let auth = state.gate.authorize(who, Describe { deployment: Some(name.clone()) })?;
    Ok(state.serving.describe(&auth))
}

pub(crate) async fn list(
    State(state): State<AwsState>,
    Caller(who): Caller,
    Query(page): Query<Page>,
) -> Result<Json<Models>, Plain> {
    let auth = state.gate.authorize(&who, Describe { deployment: None })?;
    let all = state.serving.list(&auth);
    let after = page.next_page_token.unwrap_or_default();
    let mut rest = all.iter().filter(|v| v.name.as_str() > after.as_str());
    let models: Vec<Model> = rest.by_ref().take(PAGE).map(Model::from).collect();
    let next_page_token = rest.next().and_then(|_| models.last().map(|m| m.model_name.clone()));
    Ok(Json(Models { models, next_page_token }))
}

pub(crate) async fn describe(
    State(state): State<AwsState>,
    Caller(who): Caller,
    Path(model): Path<String>,
) -> Result<Json<Model>, Plain> {
    let name = name(&model)?;
    match find(&state, &who, &name)? {
        Some(view) => Ok(Json(Model::from(&view))),
        None => Err(Plain::new(ErrorKind::NotFound, format!("there is no model {model:?}"))),
    }
}

/// 200 once the model answers, 409 when there is one of that name, the reason when it cannot be loaded:
/// it is then not declared either.
pub(crate) async fn load(
    State(state): State<AwsState>,
    Caller(who): Caller,
    JsonBody(load): JsonBody<Load>,
) -> Result<StatusCode, Plain> {
    let name = Name::new(&load.model_name)
        .map_err(|e| Plain::new(ErrorKind::InvalidInput, format!("model_name is {:?}: {e}", load.model_name)))?;
    if find(&state, &who, &name)?.is_some() {
        return Err(Plain::new(ErrorKind::AlreadyExists, format!("model {:?} is loaded already", load.model_name)));
    }
    let document = serde_json::json!({
        "apiVersion": "mainspring/v1", "kind": "Deployment", "name": name.as_str(), "model": load.url,
    });
    let mut allowed = Vec::new();
    for document in parse(&document.to_string(), "request")? {
        let action = Apply { kind: KIND.to_owned(), name: name.to_string() };
        allowed.push((state.gate.authorize(&who, action)?, document));
    }
    state.resources.apply(allowed).await?;
    let auth = state.gate.authorize(&who, Describe { deployment: Some(name.clone()) })?;
    let view = state.serving.settled(&auth, &name).await?;
    if view.ready() {
        return Ok(StatusCode::OK);
    }
    let auth = state.gate.authorize(&who, Delete { kind: KIND.to_owned(), name: name.to_string() })?;
    state.resources.delete(&auth).await?;
    let reason = view.reason.unwrap_or_else(|| view.state.to_string());
    Err(Plain::new(ErrorKind::InvalidInput, format!("model {:?} cannot be loaded: {reason}", load.model_name)))
}

pub(crate) async fn unload(
    State(state): State<AwsState>,
    Caller(who): Caller,
    Path(model): Path<String>,
) -> Result<StatusCode, Plain> {
    let name = name(&model)?;
    let auth = state.gate.authorize(&who, Delete { kind: KIND.to_owned(), name: name.to_string() })?;
    state.resources.delete(&auth).await?;
    Ok(StatusCode::OK)
}

pub(crate) async fn invoke(
    State(state): State<AwsState>,
    Caller(who): Caller,
    Path(model): Path<String>,
    request: Request,
) -> Result<Response, Plain> {
    let received = Instant::now();
    let (parts, body) = request.into_parts();
    let failed = |why: scoring::Refused| Plain::scoring(&why);
    let door = Door::new(Protocol::Sagemaker, received, &parts.headers).map_err(failed)?;
    let head = Target(&parts.headers);
    let call = Call::open(&state.scoring, &who, name(&model)?, door, &head).map_err(failed)?;
    rows(call, &parts.headers, body).await.map_err(failed)
}

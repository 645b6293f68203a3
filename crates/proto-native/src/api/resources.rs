//! Declared resources.

use super::{Failures, Reply};
use crate::dto::resources::{
    Applied, ApplyAnswer, ApplyQuery, DiffAnswer, History, KindList, KindView, ResourceList, ResourceQuery,
    ResourceView, RollbackRequest,
};
use crate::extract::{Params, Seg, page_size};
use crate::state::NativeState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use mainspring_core::ErrorKind;
use mainspring_http::{ApiError, Caller, Json as JsonBody, read_body};
use mainspring_resource::{Apply, Delete, Document, Read, Rollback, parse};
use serde_json::Value;

/// The most text that one request may carry, bytes; the parser's own limit is lower.
const MAX_TEXT: usize = 4 << 20;

/// The documents in a body.
async fn documents(query: &ApplyQuery, body: Body) -> Result<Vec<Document>, ApiError> {
    let bytes = read_body(body, MAX_TEXT).await?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| ApiError::new(ErrorKind::InvalidInput, format!("the documents are not UTF-8: {e}")))?;
    Ok(parse(text, query.file.as_deref().unwrap_or("request"))?)
}

fn lower(kind: &str) -> String {
    kind.to_lowercase()
}

#[utoipa::path(post, path = "/api/v1/apply", operation_id = "applyResources", tag = "resources",
    params(ApplyQuery),
    request_body(content = String, content_type = "application/yaml", description = "One or more YAML or JSON documents"),
    responses((status = 200, description = "What was done, in the order of the documents", body = ApplyAnswer), Failures))]
pub(crate) async fn apply_resources(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(query): Params<ApplyQuery>,
    body: Body,
) -> Reply<ApplyAnswer> {
    let mut allowed = Vec::new();
    for document in documents(&query, body).await? {
        let action = Apply { kind: lower(&document.kind), name: document.name.to_string() };
        allowed.push((s.may(&who, action)?, document));
    }
    let applied = s.resources.apply(allowed).await?;
    Ok(Json(ApplyAnswer { applied: applied.into_iter().map(Into::into).collect() }))
}

#[utoipa::path(post, path = "/api/v1/diff", operation_id = "diffResources", tag = "resources",
    params(ApplyQuery),
    request_body(content = String, content_type = "application/yaml", description = "One or more YAML or JSON documents"),
    responses((status = 200, description = "What applying would do", body = DiffAnswer), Failures))]
pub(crate) async fn diff_resources(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(query): Params<ApplyQuery>,
    body: Body,
) -> Reply<DiffAnswer> {
    let mut diffs = Vec::new();
    for document in documents(&query, body).await? {
        let action = Read { kind: lower(&document.kind), name: document.name.to_string() };
        diffs.push(s.resources.diff(&s.may(&who, action)?, &document).await?.into());
    }
    Ok(Json(DiffAnswer { diffs }))
}

#[utoipa::path(get, path = "/api/v1/resources", operation_id = "listResources", tag = "resources",
    params(ResourceQuery),
    responses((status = 200, description = "Resources by kind and name", body = ResourceList), Failures))]
pub(crate) async fn list_resources(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(query): Params<ResourceQuery>,
) -> Reply<ResourceList> {
    let kind = query.kind.as_deref().map_or_else(|| "*".to_owned(), lower);
    let auth = s.may(&who, Read { kind, name: "*".to_owned() })?;
    let limit = page_size(query.limit, 100)? as usize;
    let page = s.resources.list(&auth, limit, query.page_token.as_deref()).await?;
    let resources = page.resources.into_iter().map(Into::into).collect();
    Ok(Json(ResourceList { resources, next_page_token: page.next }))
}

#[utoipa::path(get, path = "/api/v1/resources/{kind}/{name}", operation_id = "getResource", tag = "resources",
    params(("kind" = String, Path, description = "Kind, e.g. Deployment"), ("name" = String, Path, description = "Name")),
    responses((status = 200, description = "The resource", body = ResourceView), Failures))]
pub(crate) async fn get_resource(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg((kind, name)): Seg<(String, String)>,
) -> Reply<ResourceView> {
    let auth = s.may(&who, Read { kind: lower(&kind), name })?;
    Ok(Json(s.resources.get(&auth).await?.into()))
}

#[utoipa::path(delete, path = "/api/v1/resources/{kind}/{name}", operation_id = "deleteResource", tag = "resources",
    params(("kind" = String, Path, description = "Kind, e.g. Deployment"), ("name" = String, Path, description = "Name")),
    responses((status = 200, description = "The deletion", body = Applied), Failures))]
pub(crate) async fn delete_resource(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg((kind, name)): Seg<(String, String)>,
) -> Reply<Applied> {
    let auth = s.may(&who, Delete { kind: lower(&kind), name })?;
    Ok(Json(s.resources.delete(&auth).await?.into()))
}

#[utoipa::path(get, path = "/api/v1/resources/{kind}/{name}/history", operation_id = "getResourceHistory", tag = "resources",
    params(("kind" = String, Path, description = "Kind, e.g. Deployment"), ("name" = String, Path, description = "Name")),
    responses((status = 200, description = "Every generation, newest first", body = History), Failures))]
pub(crate) async fn get_resource_history(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg((kind, name)): Seg<(String, String)>,
) -> Reply<History> {
    let auth = s.may(&who, Read { kind: lower(&kind), name })?;
    let generations = s.resources.history(&auth).await?;
    Ok(Json(History { generations: generations.into_iter().map(Into::into).collect() }))
}

#[utoipa::path(post, path = "/api/v1/resources/{kind}/{name}/rollback", operation_id = "rollbackResource", tag = "resources",
    params(("kind" = String, Path, description = "Kind, e.g. Deployment"), ("name" = String, Path, description = "Name")),
    request_body = RollbackRequest,
    responses((status = 200, description = "The new generation", body = Applied), Failures))]
pub(crate) async fn rollback_resource(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg((kind, name)): Seg<(String, String)>,
    JsonBody(request): JsonBody<RollbackRequest>,
) -> Reply<Applied> {
    let auth = s.may(&who, Rollback { kind: lower(&kind), name })?;
    Ok(Json(s.resources.rollback(&auth, request.to_generation).await?.into()))
}

#[utoipa::path(get, path = "/api/v1/schemas", operation_id = "listKinds", tag = "resources",
    responses((status = 200, description = "The kinds that can be declared", body = KindList), Failures))]
pub(crate) async fn list_kinds(State(s): State<NativeState>, Caller(who): Caller) -> Reply<KindList> {
    s.may(&who, Read { kind: "*".to_owned(), name: "*".to_owned() })?;
    let kinds = s.resources.kinds().all().iter();
    let kinds = kinds.map(|k| KindView { kind: k.name.to_owned(), description: k.description.to_owned() });
    Ok(Json(KindList { kinds: kinds.collect() }))
}

#[utoipa::path(get, path = "/api/v1/schemas/{kind}", operation_id = "getSchema", tag = "resources",
    params(("kind" = String, Path, description = "Kind, e.g. Deployment")),
    responses((status = 200, description = "The JSON Schema of the kind", body = Object), Failures))]
pub(crate) async fn get_schema(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(kind): Seg<String>,
) -> Reply<Value> {
    s.may(&who, Read { kind: lower(&kind), name: "*".to_owned() })?;
    Ok(Json(s.resources.kinds().find(&kind)?.schema.clone()))
}

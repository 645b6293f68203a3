//! Registered models.

use super::{Failures, Reply};
use crate::convert::models::lineage;
use crate::dto::models::{
    AliasRequest, AliasView, FreezeRequest, Lineage, ModelDetail, ModelPage, ModelQuery, ModelVersionView, PurgeAnswer,
    PurgeRequest,
};
use crate::extract::{Params, Seg, page_size};
use crate::state::NativeState;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use mainspring_core::{ErrorKind, Principal};
use mainspring_http::{ApiError, Caller, Json as JsonBody};
use mainspring_registry::actions::{DeleteAlias, FreezeVersion, Purge, ReadModel, SetAlias, UnfreezeVersion};
use mainspring_registry::{ModelSearch, ModelVersion};
use std::sync::Arc;
use std::time::Duration;

/// Versions of one model that a page shows at most.
const VERSIONS: i64 = 1000;
/// Versions whose lineage is followed at most, newest first.
const LINEAGE: usize = 100;

/// The versions of a model, newest first.
async fn versions(s: &NativeState, who: &Arc<Principal>, name: &str) -> Result<Vec<ModelVersion>, ApiError> {
    let order_by = vec!["version_number DESC".to_owned()];
    let search = ModelSearch { order_by, ..ModelSearch::versions_of(name, VERSIONS) };
    Ok(s.registry.search_versions(&s.may(who, ReadModel::on(name))?, &search).await?.items)
}

#[utoipa::path(get, path = "/api/v1/models", operation_id = "listModels", tag = "models",
    params(ModelQuery),
    responses((status = 200, description = "A page of models", body = ModelPage), Failures))]
pub(crate) async fn list_models(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(query): Params<ModelQuery>,
) -> Reply<ModelPage> {
    let auth = s.may(&who, ReadModel::any())?;
    let search = ModelSearch {
        filter: query.filter.unwrap_or_default(),
        max_results: page_size(query.limit, 100)?.into(),
        page_token: query.page_token,
        ..ModelSearch::default()
    };
    let page = s.registry.search_models(&auth, &search).await?;
    Ok(Json(ModelPage { models: page.items.into_iter().map(Into::into).collect(), next_page_token: page.next }))
}

#[utoipa::path(get, path = "/api/v1/models/{name}", operation_id = "getModel", tag = "models",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "The model with its versions", body = ModelDetail), Failures))]
pub(crate) async fn get_model(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
) -> Reply<ModelDetail> {
    let model = s.registry.model(&s.may(&who, ReadModel::on(&name))?, &name).await?;
    let versions = versions(&s, &who, &name).await?;
    Ok(Json(ModelDetail { model: model.into(), versions: versions.into_iter().map(Into::into).collect() }))
}

#[utoipa::path(get, path = "/api/v1/models/{name}/lineage", operation_id = "getLineage", tag = "models",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "From data sets over runs and versions to deployments", body = Lineage), Failures))]
pub(crate) async fn get_lineage(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
) -> Reply<Lineage> {
    let auth = s.may(&who, ReadModel::on(&name))?;
    s.registry.model(&auth, &name).await?;
    let mut followed = Vec::new();
    for version in versions(&s, &who, &name).await?.into_iter().take(LINEAGE) {
        followed.push(s.registry.lineage(&auth, &name, version.version).await?);
    }
    let deployed = super::deployments::views(&s, &who)?;
    Ok(Json(lineage(name, followed, &deployed)))
}

#[utoipa::path(put, path = "/api/v1/models/{name}/aliases/{alias}", operation_id = "setAlias", tag = "models",
    params(("name" = String, Path, description = "Name"), ("alias" = String, Path, description = "Alias")),
    request_body = AliasRequest,
    responses((status = 200, description = "The alias", body = AliasView), Failures))]
pub(crate) async fn set_alias(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg((name, alias)): Seg<(String, String)>,
    JsonBody(request): JsonBody<AliasRequest>,
) -> Reply<AliasView> {
    let version = number(&request.version)?;
    s.registry.set_alias(&s.may(&who, SetAlias::on(&name))?, &name, &alias, version).await?;
    Ok(Json(AliasView { name, alias, version: request.version }))
}

#[utoipa::path(delete, path = "/api/v1/models/{name}/aliases/{alias}", operation_id = "deleteAlias", tag = "models",
    params(("name" = String, Path, description = "Name"), ("alias" = String, Path, description = "Alias")),
    responses((status = 204, description = "The alias is gone"), Failures))]
pub(crate) async fn delete_alias(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg((name, alias)): Seg<(String, String)>,
) -> Result<StatusCode, ApiError> {
    s.registry.delete_alias(&s.may(&who, DeleteAlias::on(&name))?, &name, &alias).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn number(version: &str) -> Result<i64, ApiError> {
    let wrong = || ApiError::new(ErrorKind::InvalidInput, format!("version is {version:?}; it must be a number"));
    version.parse().map_err(|_| wrong())
}

#[utoipa::path(post, path = "/api/v1/models/{name}/versions/{version}/freeze", operation_id = "freezeVersion", tag = "models",
    params(("name" = String, Path, description = "Name"), ("version" = String, Path, description = "Version")),
    request_body = FreezeRequest,
    responses((status = 200, description = "The version, which nothing new may take", body = ModelVersionView), Failures))]
pub(crate) async fn freeze_version(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg((name, version)): Seg<(String, String)>,
    JsonBody(request): JsonBody<FreezeRequest>,
) -> Reply<ModelVersionView> {
    let auth = s.may(&who, FreezeVersion::on(&name))?;
    let frozen = s.registry.freeze_version(&auth, (&name, number(&version)?), &request.reason).await?;
    Ok(Json(frozen.into()))
}

#[utoipa::path(delete, path = "/api/v1/models/{name}/versions/{version}/freeze", operation_id = "unfreezeVersion", tag = "models",
    params(("name" = String, Path, description = "Name"), ("version" = String, Path, description = "Version")),
    responses((status = 200, description = "The version, which may be taken again", body = ModelVersionView), Failures))]
pub(crate) async fn unfreeze_version(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg((name, version)): Seg<(String, String)>,
) -> Reply<ModelVersionView> {
    let auth = s.may(&who, UnfreezeVersion::on(&name))?;
    Ok(Json(s.registry.unfreeze_version(&auth, (&name, number(&version)?)).await?.into()))
}

#[utoipa::path(post, path = "/api/v1/purge", operation_id = "purge", tag = "models",
    request_body = PurgeRequest,
    responses((status = 200, description = "What was freed, or with `dryRun` would be", body = PurgeAnswer), Failures))]
pub(crate) async fn purge(
    State(s): State<NativeState>,
    Caller(who): Caller,
    JsonBody(request): JsonBody<PurgeRequest>,
) -> Reply<PurgeAnswer> {
    let auth = s.may(&who, Purge::any())?;
    let older_than = Duration::from_secs(request.older_than_seconds);
    let report = if request.dry_run {
        s.registry.purge_plan(&auth, older_than).await?
    } else {
        s.registry.purge(&auth, older_than).await?
    };
    Ok(Json(report.into()))
}

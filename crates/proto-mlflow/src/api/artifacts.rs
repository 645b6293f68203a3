//! Lists of artifacts.

use super::MlflowState;
use super::error::Failed;
use super::json::{ListingJson, answer};
use super::request::Fields;
use axum::extract::{Path, State};
use axum::response::Response;
use mainspring_http::Caller;
use mainspring_registry::ArtifactRoot;
use mainspring_registry::actions::ReadArtifact;

pub(super) async fn list(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let (id, path) = (f.run_id()?, f.text_or_empty("path")?);
    let auth = s.may(&who, ReadArtifact::on(&id))?;
    let found = s.registry.list_artifacts(&auth, &ArtifactRoot::Run(id), &path).await?;
    Ok(answer(&ListingJson::of(&found)))
}

pub(super) async fn list_logged_model(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    Path(id): Path<String>,
    f: Fields,
) -> Result<Response, Failed> {
    let path = f.text_or_empty("artifact_directory_path")?;
    let auth = s.may(&who, ReadArtifact::on(&id))?;
    let found = s.registry.list_artifacts(&auth, &ArtifactRoot::LoggedModel(id), &path).await?;
    Ok(answer(&ListingJson::of(&found)))
}

pub(super) async fn list_store(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let path = f.text_or_empty("path")?;
    let auth = s.may(&who, ReadArtifact::on(&path))?;
    let found = s.registry.list_artifacts(&auth, &ArtifactRoot::Store, &path).await?;
    Ok(answer(&ListingJson::names(&found)))
}

//! `model-versions/*`.

use super::MlflowState;
use super::error::Failed;
use super::json::{VersionJson, answer, empty, one, page};
use super::models::search_of;
use super::request::Fields;
use axum::extract::State;
use axum::response::Response;
use mainspring_http::Caller;
use mainspring_registry::actions::{CreateVersion, DeleteVersion, ReadModel, TransitionStage, UpdateVersion};
use mainspring_registry::{NewVersion, Pair, validate};
use serde_json::json;

/// The version's number: clients send it as text, some as a number.
pub(super) fn number(f: &Fields) -> Result<i64, Failed> {
    match f.text("version") {
        Ok(Some(text)) if !text.is_empty() => Ok(validate::version(&text)?),
        Ok(_) => Err(Fields::missing("version")),
        Err(not_text) => f.int("version")?.ok_or(not_text),
    }
}

pub(super) async fn create(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    mut f: Fields,
) -> Result<Response, Failed> {
    let new = NewVersion {
        name: f.required("name")?,
        source: f.required("source")?,
        run_id: f.text("run_id")?,
        model_id: f.text("model_id")?,
        run_link: f.text("run_link")?,
        description: f.text("description")?,
        tags: f.pairs("tags")?,
    };
    let auth = s.may(&who, CreateVersion::on(&new.name))?;
    let version = s.registry.create_version(&auth, new).await?;
    Ok(one("model_version", &VersionJson::from(&version)))
}

pub(super) async fn get(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let (name, version) = (f.required("name")?, number(&f)?);
    let auth = s.may(&who, ReadModel::on(&name))?;
    let version = s.registry.version(&auth, &name, version).await?;
    Ok(one("model_version", &VersionJson::from(&version)))
}

pub(super) async fn search(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let asked = search_of(&f, 200_000)?;
    let auth = s.may(&who, ReadModel::any())?;
    let found = s.registry.search_versions(&auth, &asked).await?;
    Ok(page::<_, VersionJson<'_>>("model_versions", &found))
}

pub(super) async fn update(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let (name, version, description) = (f.required("name")?, number(&f)?, f.text("description")?);
    let auth = s.may(&who, UpdateVersion::on(&name))?;
    let version = s.registry.describe_version(&auth, &name, version, description).await?;
    Ok(one("model_version", &VersionJson::from(&version)))
}

pub(super) async fn delete(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let (name, version) = (f.required("name")?, number(&f)?);
    let auth = s.may(&who, DeleteVersion::on(&name))?;
    s.registry.delete_version(&auth, &name, version).await?;
    Ok(empty())
}

pub(super) async fn transition(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let (name, version, stage) = (f.required("name")?, number(&f)?, f.required("stage")?);
    let archive = f.flag("archive_existing_versions")?.unwrap_or(false);
    let auth = s.may(&who, TransitionStage::on(&name))?;
    let version = s.registry.transition_stage(&auth, (&name, version), &stage, archive).await?;
    Ok(one("model_version", &VersionJson::from(&version)))
}

pub(super) async fn set_tag(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let (name, version) = (f.required("name")?, number(&f)?);
    let tag = Pair::new(f.required("key")?, f.text_or_empty("value")?);
    let auth = s.may(&who, UpdateVersion::on(&name))?;
    s.registry.set_version_tag(&auth, &name, version, tag).await?;
    Ok(empty())
}

pub(super) async fn delete_tag(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let (name, version, key) = (f.required("name")?, number(&f)?, f.required("key")?);
    let auth = s.may(&who, UpdateVersion::on(&name))?;
    s.registry.delete_version_tag(&auth, &name, version, &key).await?;
    Ok(empty())
}

pub(super) async fn download_uri(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let (name, version) = (f.required("name")?, number(&f)?);
    let auth = s.may(&who, ReadModel::on(&name))?;
    let version = s.registry.version(&auth, &name, version).await?;
    Ok(answer(&json!({"artifact_uri": version.storage})))
}

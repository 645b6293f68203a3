//! `registered-models/*`.

use super::MlflowState;
use super::error::Failed;
use super::json::{ModelJson, VersionJson, empty, one, page};
use super::request::Fields;
use axum::extract::State;
use axum::response::Response;
use mainspring_http::Caller;
use mainspring_registry::actions::{CreateModel, DeleteAlias, DeleteModel, ReadModel, SetAlias, UpdateModel};
use mainspring_registry::{ModelSearch, Pair, validate};

pub(super) async fn create(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    mut f: Fields,
) -> Result<Response, Failed> {
    let (name, tags, description) = (f.required("name")?, f.pairs("tags")?, f.text("description")?);
    let auth = s.may(&who, CreateModel::on(&name))?;
    let model = s.registry.create_model(&auth, &name, tags, description).await?;
    Ok(one("registered_model", &ModelJson::from(&model)))
}

pub(super) async fn get(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let name = f.required("name")?;
    let auth = s.may(&who, ReadModel::on(&name))?;
    let model = s.registry.model(&auth, &name).await?;
    Ok(one("registered_model", &ModelJson::from(&model)))
}

pub(super) fn search_of(f: &Fields, max_results: i64) -> Result<ModelSearch, Failed> {
    Ok(ModelSearch {
        filter: f.text_or_empty("filter")?,
        order_by: f.texts("order_by")?,
        max_results: f.int("max_results")?.unwrap_or(max_results),
        page_token: f.text("page_token")?,
        ..ModelSearch::default()
    })
}

pub(super) async fn search(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let asked = search_of(&f, 100)?;
    let auth = s.may(&who, ReadModel::any())?;
    let found = s.registry.search_models(&auth, &asked).await?;
    Ok(page::<_, ModelJson<'_>>("registered_models", &found))
}

pub(super) async fn rename(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let (name, to) = (f.required("name")?, f.required("new_name")?);
    let auth = s.may(&who, UpdateModel::on(&name))?;
    let model = s.registry.rename_model(&auth, &name, &to).await?;
    Ok(one("registered_model", &ModelJson::from(&model)))
}

pub(super) async fn update(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let (name, description) = (f.required("name")?, f.text_or_empty("description")?);
    let auth = s.may(&who, UpdateModel::on(&name))?;
    let model = s.registry.describe_model(&auth, &name, Some(description)).await?;
    Ok(one("registered_model", &ModelJson::from(&model)))
}

pub(super) async fn delete(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let name = f.required("name")?;
    let auth = s.may(&who, DeleteModel::on(&name))?;
    s.registry.delete_model(&auth, &name).await?;
    Ok(empty())
}

pub(super) async fn set_tag(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let name = f.required("name")?;
    let tag = Pair::new(f.required("key")?, f.text_or_empty("value")?);
    let auth = s.may(&who, UpdateModel::on(&name))?;
    s.registry.set_model_tag(&auth, &name, tag).await?;
    Ok(empty())
}

pub(super) async fn delete_tag(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let (name, key) = (f.required("name")?, f.required("key")?);
    let auth = s.may(&who, UpdateModel::on(&name))?;
    s.registry.delete_model_tag(&auth, &name, &key).await?;
    Ok(empty())
}

pub(super) async fn latest(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let name = f.required("name")?;
    let stages: Vec<&str> = f.texts("stages")?.iter().map(|t| validate::stage(t)).collect::<Result<_, _>>()?;
    let auth = s.may(&who, ReadModel::on(&name))?;
    let mut versions = s.registry.model(&auth, &name).await?.latest;
    versions.retain(|v| stages.is_empty() || stages.contains(&v.stage.as_str()));
    let page_of = mainspring_registry::Page { items: versions, next: None };
    Ok(page::<_, VersionJson<'_>>("model_versions", &page_of))
}

pub(super) async fn set_alias(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let (name, alias) = (f.required("name")?, f.required("alias")?);
    let version = super::versions::number(&f)?;
    let auth = s.may(&who, SetAlias::on(&name))?;
    s.registry.set_alias(&auth, &name, &alias, version).await?;
    Ok(empty())
}

pub(super) async fn delete_alias(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let (name, alias) = (f.required("name")?, f.required("alias")?);
    let auth = s.may(&who, DeleteAlias::on(&name))?;
    s.registry.delete_alias(&auth, &name, &alias).await?;
    Ok(empty())
}

pub(super) async fn get_by_alias(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let (name, alias) = (f.required("name")?, f.required("alias")?);
    let auth = s.may(&who, ReadModel::on(&name))?;
    let version = s.registry.version_by_alias(&auth, &name, &alias).await?;
    Ok(one("model_version", &VersionJson::from(&version)))
}

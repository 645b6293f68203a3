//! `logged-models/*`.

use super::MlflowState;
use super::error::Failed;
use super::experiments::ids;
use super::json::{LoggedModelJson, empty, one, page};
use super::request::Fields;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use mainspring_http::Caller;
use mainspring_registry::actions::{CreateLoggedModel, DeleteLoggedModel, ReadLoggedModel, UpdateLoggedModel};
use mainspring_registry::{
    DatasetFilter, LoggedModelOrder, LoggedModelSearch, LoggedModelStatus, NewLoggedModel, validate,
};

pub(super) async fn create(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    mut f: Fields,
) -> Result<Response, Failed> {
    let new = NewLoggedModel {
        experiment: validate::experiment_id(&f.required("experiment_id")?)?,
        name: f.text("name")?.filter(|n| !n.is_empty()),
        model_type: f.text("model_type")?,
        source_run_id: f.text("source_run_id")?,
        params: f.pairs("params")?,
        tags: f.pairs("tags")?,
    };
    let auth = s.may(&who, CreateLoggedModel::on(new.experiment.to_string()))?;
    let model = s.registry.create_logged_model(&auth, new).await?;
    Ok(one("model", &LoggedModelJson::from(&model)))
}

pub(super) async fn get(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let f = Fields::from_query(query.as_deref().unwrap_or_default());
    let deleted = f.flag("allow_deleted")?.unwrap_or(false);
    let auth = s.may(&who, ReadLoggedModel::on(&id))?;
    let model = s.registry.logged_model(&auth, &id, deleted).await?;
    Ok(one("model", &LoggedModelJson::from(&model)))
}

pub(super) async fn finalize(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    Path(id): Path<String>,
    f: Fields,
) -> Result<Response, Failed> {
    let status = f.choice("status", &LoggedModelStatus::ALL)?.ok_or_else(|| Fields::missing("status"))?;
    let auth = s.may(&who, UpdateLoggedModel::on(&id))?;
    let model = s.registry.finalize_logged_model(&auth, &id, status).await?;
    Ok(one("model", &LoggedModelJson::from(&model)))
}

pub(super) async fn delete(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    Path(id): Path<String>,
) -> Result<Response, Failed> {
    let auth = s.may(&who, DeleteLoggedModel::on(&id))?;
    s.registry.delete_logged_model(&auth, &id).await?;
    Ok(empty())
}

pub(super) async fn set_tags(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    Path(id): Path<String>,
    mut f: Fields,
) -> Result<Response, Failed> {
    let tags = f.pairs("tags")?;
    let auth = s.may(&who, UpdateLoggedModel::on(&id))?;
    let model = s.registry.set_logged_model_tags(&auth, &id, tags).await?;
    Ok(one("model", &LoggedModelJson::from(&model)))
}

pub(super) async fn delete_tag(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    Path((id, key)): Path<(String, String)>,
) -> Result<Response, Failed> {
    let auth = s.may(&who, UpdateLoggedModel::on(&id))?;
    s.registry.delete_logged_model_tag(&auth, &id, &key).await?;
    Ok(empty())
}

pub(super) async fn log_params(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    Path(id): Path<String>,
    mut f: Fields,
) -> Result<Response, Failed> {
    let params = f.pairs("params")?;
    let auth = s.may(&who, UpdateLoggedModel::on(&id))?;
    s.registry.log_model_params(&auth, &id, params).await?;
    Ok(empty())
}

fn dataset(f: &Fields) -> Result<DatasetFilter, Failed> {
    Ok(DatasetFilter {
        name: f.text_or_empty("dataset_name")?,
        digest: f.text("dataset_digest")?.filter(|d| !d.is_empty()),
    })
}

fn order(f: &Fields) -> Result<LoggedModelOrder, Failed> {
    let dataset = dataset(f)?;
    if dataset.digest.is_some() && dataset.name.is_empty() {
        return Err(Failed::invalid("`dataset_digest` can only be specified if `dataset_name` is also specified."));
    }
    Ok(LoggedModelOrder {
        field: f
            .text("field_name")?
            .filter(|n| !n.is_empty())
            .ok_or_else(|| Failed::invalid("`field_name` in the `order_by` clause must be specified."))?,
        ascending: f.flag("ascending")?.unwrap_or(true),
        dataset: Some(dataset).filter(|d| !d.name.is_empty()),
    })
}

pub(super) async fn search(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    mut f: Fields,
) -> Result<Response, Failed> {
    let experiments = ids(&f)?;
    if experiments.is_empty() {
        return Err(Fields::missing("experiment_ids"));
    }
    let asked = LoggedModelSearch {
        experiments,
        filter: f.text_or_empty("filter")?,
        datasets: f.objects("datasets")?.iter().map(dataset).collect::<Result<_, _>>()?,
        order_by: f.objects("order_by")?.iter().map(order).collect::<Result<_, _>>()?,
        max_results: f.int("max_results")?.filter(|n| *n != 0).unwrap_or(50),
        page_token: f.text("page_token")?,
    };
    let auth = s.may(&who, ReadLoggedModel::any())?;
    let found = s.registry.search_logged_models(&auth, &asked).await?;
    Ok(page::<_, LoggedModelJson<'_>>("models", &found))
}

//! `experiments/*`.

use super::MlflowState;
use super::error::Failed;
use super::json::{ExperimentJson, answer, empty, one, page};
use super::request::Fields;
use axum::extract::State;
use axum::response::Response;
use mainspring_http::Caller;
use mainspring_registry::actions::{
    CreateExperiment, DeleteExperiment, ReadExperiment, RestoreExperiment, UpdateExperiment,
};
use mainspring_registry::{ExperimentSearch, Pair, View, validate};
use serde_json::json;

/// `view_type` and `run_view_type`.
pub(super) const VIEWS: [(View, &str, i64); 3] =
    [(View::Active, "ACTIVE_ONLY", 1), (View::Deleted, "DELETED_ONLY", 2), (View::All, "ALL", 3)];

pub(super) fn id(f: &Fields) -> Result<i64, Failed> {
    Ok(validate::experiment_id(&f.required("experiment_id")?)?)
}

pub(super) fn ids(f: &Fields) -> Result<Vec<i64>, Failed> {
    Ok(f.texts("experiment_ids")?.iter().map(|t| validate::experiment_id(t)).collect::<Result<_, _>>()?)
}

pub(super) async fn create(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    mut f: Fields,
) -> Result<Response, Failed> {
    let name = f.required("name")?;
    let location = f.text("artifact_location")?;
    let tags = f.pairs("tags")?;
    let auth = s.may(&who, CreateExperiment::on(&name))?;
    let id = s.registry.create_experiment(&auth, &name, location.as_deref(), tags).await?;
    Ok(answer(&json!({"experiment_id": id.to_string()})))
}

pub(super) async fn get(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let id = id(&f)?;
    let auth = s.may(&who, ReadExperiment::on(id.to_string()))?;
    let found = s.registry.experiment(&auth, id).await?;
    Ok(one("experiment", &ExperimentJson::from(&found)))
}

pub(super) async fn get_by_name(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let name = f.required("experiment_name")?;
    let auth = s.may(&who, ReadExperiment::on(&name))?;
    let found = s.registry.experiment_by_name(&auth, &name).await?;
    Ok(one("experiment", &ExperimentJson::from(&found)))
}

pub(super) async fn search(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let asked = ExperimentSearch {
        view: f.choice("view_type", &VIEWS)?.unwrap_or_default(),
        filter: f.text_or_empty("filter")?,
        order_by: f.texts("order_by")?,
        // MLflow takes an absent number for 0 here and refuses it.
        max_results: f.int("max_results")?.unwrap_or(0),
        page_token: f.text("page_token")?,
    };
    let auth = s.may(&who, ReadExperiment::any())?;
    let found = s.registry.search_experiments(&auth, &asked).await?;
    Ok(page::<_, ExperimentJson<'_>>("experiments", &found))
}

pub(super) async fn delete(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let id = id(&f)?;
    let auth = s.may(&who, DeleteExperiment::on(id.to_string()))?;
    s.registry.delete_experiment(&auth, id).await?;
    Ok(empty())
}

pub(super) async fn restore(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let id = id(&f)?;
    let auth = s.may(&who, RestoreExperiment::on(id.to_string()))?;
    s.registry.restore_experiment(&auth, id).await?;
    Ok(empty())
}

pub(super) async fn update(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let (id, name) = (id(&f)?, f.required("new_name")?);
    let auth = s.may(&who, UpdateExperiment::on(id.to_string()))?;
    s.registry.rename_experiment(&auth, id, &name).await?;
    Ok(empty())
}

pub(super) async fn set_tag(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let id = id(&f)?;
    let tag = Pair::new(f.required("key")?, f.text_or_empty("value")?);
    let auth = s.may(&who, UpdateExperiment::on(id.to_string()))?;
    s.registry.set_experiment_tag(&auth, id, tag).await?;
    Ok(empty())
}

pub(super) async fn delete_tag(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let (id, key) = (id(&f)?, f.required("key")?);
    let auth = s.may(&who, UpdateExperiment::on(id.to_string()))?;
    s.registry.delete_experiment_tag(&auth, id, &key).await?;
    Ok(empty())
}

pub(super) async fn search_datasets(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let ids = ids(&f)?;
    if ids.is_empty() {
        return Err(Failed::invalid("SearchDatasets request must specify at least one experiment_id."));
    }
    if ids.len() > 20 {
        return Err(Failed::invalid(format!(
            "SearchDatasets request cannot specify more than 20 experiment_ids. Received {} experiment_ids.",
            ids.len()
        )));
    }
    let auth = s.may(&who, ReadExperiment::any())?;
    let found = s.registry.datasets(&auth, &ids).await?;
    let summaries: Vec<_> = found
        .iter()
        .map(|d| {
            let mut entry = json!({
                "experiment_id": d.experiment.to_string(), "name": d.name, "digest": d.digest,
            });
            if let (Some(context), Some(object)) = (&d.context, entry.as_object_mut()) {
                object.insert("context".into(), context.clone().into());
            }
            entry
        })
        .collect();
    Ok(answer(&json!({"dataset_summaries": summaries})))
}

//! `runs/*`.

use super::MlflowState;
use super::error::Failed;
use super::experiments::{VIEWS, ids};
use super::json::{RunInfoJson, RunJson, empty, one, page};
use super::request::Fields;
use axum::extract::State;
use axum::response::Response;
use mainspring_http::Caller;
use mainspring_registry::actions::{CreateRun, DeleteRun, LogRun, ReadRun, RestoreRun, UpdateRun};
use mainspring_registry::{
    Dataset, DatasetInput, ModelOutput, NewRun, Pair, RunChange, RunSearch, RunStatus, validate,
};

pub(super) async fn create(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    mut f: Fields,
) -> Result<Response, Failed> {
    let new = NewRun {
        experiment: validate::experiment_id(&f.text_or_empty("experiment_id")?)?,
        name: f.text_or_empty("run_name")?,
        user: f.text_or_empty("user_id")?,
        started: f.int("start_time")?.unwrap_or(0),
        tags: f.pairs("tags")?,
    };
    let auth = s.may(&who, CreateRun::on(new.experiment.to_string()))?;
    let run = s.registry.create_run(&auth, new).await?;
    Ok(one("run", &RunJson::from(&run)))
}

pub(super) async fn get(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let id = f.run_id()?;
    let auth = s.may(&who, ReadRun::on(&id))?;
    let run = s.registry.run(&auth, &id).await?;
    Ok(one("run", &RunJson::from(&run)))
}

pub(super) async fn update(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let id = f.run_id()?;
    let change = RunChange {
        status: f.choice("status", &RunStatus::ALL)?,
        ended: f.int("end_time")?,
        name: f.text("run_name")?,
    };
    let auth = s.may(&who, UpdateRun::on(&id))?;
    let info = s.registry.update_run(&auth, &id, change).await?;
    Ok(one("run_info", &RunInfoJson::from(&info)))
}

pub(super) async fn delete(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let id = f.run_id()?;
    let auth = s.may(&who, DeleteRun::on(&id))?;
    s.registry.delete_run(&auth, &id).await?;
    Ok(empty())
}

pub(super) async fn restore(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let id = f.run_id()?;
    let auth = s.may(&who, RestoreRun::on(&id))?;
    s.registry.restore_run(&auth, &id).await?;
    Ok(empty())
}

pub(super) async fn search(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let max_results = f.int("max_results")?.unwrap_or(1000);
    if max_results > validate::MAX_RESULTS {
        return Err(Failed::invalid(format!(
            "Invalid value {max_results} for parameter 'max_results' supplied. It must be at most {}",
            validate::MAX_RESULTS
        )));
    }
    let asked = RunSearch {
        experiments: ids(&f)?,
        view: f.choice("run_view_type", &VIEWS)?.unwrap_or_default(),
        filter: f.text_or_empty("filter")?,
        order_by: f.texts("order_by")?,
        max_results,
        page_token: f.text("page_token")?,
    };
    let auth = s.may(&who, ReadRun::any())?;
    let found = s.registry.search_runs(&auth, &asked).await?;
    Ok(page::<_, RunJson<'_>>("runs", &found))
}

pub(super) async fn log_param(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let id = f.run_id()?;
    let param = Pair::new(f.required("key")?, f.text_or_empty("value")?);
    let auth = s.may(&who, LogRun::on(&id))?;
    s.registry.log_param(&auth, &id, param).await?;
    Ok(empty())
}

pub(super) async fn set_tag(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let id = f.run_id()?;
    let tag = Pair::new(f.required("key")?, f.text_or_empty("value")?);
    let auth = s.may(&who, LogRun::on(&id))?;
    s.registry.set_run_tag(&auth, &id, tag).await?;
    Ok(empty())
}

pub(super) async fn delete_tag(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let (id, key) = (f.run_id()?, f.required("key")?);
    let auth = s.may(&who, LogRun::on(&id))?;
    s.registry.delete_run_tag(&auth, &id, &key).await?;
    Ok(empty())
}

pub(super) async fn log_model(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let (id, model) = (f.run_id()?, f.required("model_json")?);
    let auth = s.may(&who, LogRun::on(&id))?;
    s.registry.record_model(&auth, &id, &model).await?;
    Ok(empty())
}

fn dataset_input(mut f: Fields) -> Result<DatasetInput, Failed> {
    let tags = f.pairs("tags")?;
    let mut d = f.object("dataset")?.ok_or_else(|| Failed::invalid("Dataset cannot be None"))?;
    let mut need = |field: &str| -> Result<String, Failed> {
        d.take_text(field)?.ok_or_else(|| Failed::invalid(format!("Dataset {field} cannot be None")))
    };
    let (name, digest) = (need("name")?, need("digest")?);
    let (source_type, source) = (need("source_type")?, need("source")?);
    let dataset =
        Dataset { name, digest, source_type, source, schema: d.take_text("schema")?, profile: d.take_text("profile")? };
    Ok(DatasetInput { dataset, tags })
}

pub(super) async fn log_inputs(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    mut f: Fields,
) -> Result<Response, Failed> {
    let id = f.run_id()?;
    let datasets = f.objects("datasets")?.into_iter().map(dataset_input).collect::<Result<_, _>>()?;
    let models = f.objects("models")?.iter().map(|m| m.required("model_id")).collect::<Result<_, _>>()?;
    let auth = s.may(&who, LogRun::on(&id))?;
    s.registry.log_inputs(&auth, &id, datasets, models).await?;
    Ok(empty())
}

pub(super) async fn log_outputs(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    mut f: Fields,
) -> Result<Response, Failed> {
    let id = f.run_id()?;
    if !f.has("models")? {
        return Err(Fields::missing("models"));
    }
    let output = |m: Fields| -> Result<ModelOutput, Failed> {
        Ok(ModelOutput { model_id: m.required("model_id")?, step: m.int("step")?.unwrap_or(0) })
    };
    let models = f.objects("models")?.into_iter().map(output).collect::<Result<_, _>>()?;
    let auth = s.may(&who, LogRun::on(&id))?;
    s.registry.log_outputs(&auth, &id, models).await?;
    Ok(empty())
}

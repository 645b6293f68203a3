//! Where a model version may come from.

use super::versions::NewVersion;
use super::{aliases, logged_models, models, runs, versions};
use crate::error::{RegistryError, Result};
use crate::sql::logged_models as sql;
use crate::types::{LoggedModel, ModelVersion, Pair};
use crate::uri::{self, ModelUri};
use mainspring_core::Tenant;
use mainspring_store::Conn;

/// The tag of a logged model that lists the versions registered from it.
const MODEL_VERSIONS: &str = "mlflow.modelVersions";
/// The two sources that MLflow's clients write for prompts, which have no files.
const PROMPT_SOURCES: [&str; 2] = ["prompt-template", "dummy-source"];

/// A checked source.
pub(super) struct Origin {
    pub source: String,
    pub storage: String,
    pub run_id: Option<String>,
    pub model_id: Option<String>,
}

fn outside(source: &str, id: &str) -> RegistryError {
    RegistryError::Invalid(format!(
        "Invalid model version source: '{source}'. The {id} request parameter must identify the resource that \
         contains the source."
    ))
}

/// Refuses relative parts, also percent-encoded ones.
fn no_relative_parts(source: &str) -> Result<()> {
    let mut text = source.to_owned();
    loop {
        if text.contains('\0') || text.split('/').any(|part| part == "..") {
            return Err(RegistryError::Invalid(format!(
                "Invalid model version source: '{source}'. If supplying a source as an http, https, local file path, \
                 ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path \
                 references present. Please provide an absolute path."
            )));
        }
        match uri::decode(&text.replace('+', " ")) {
            Some(next) if next != text && text.contains('%') => text = next,
            _ => return Ok(()),
        }
    }
}

/// Whether a source is a path on somebody's disk.
fn is_local(source: &str) -> bool {
    match source.split_once(':') {
        None => true,
        // A single letter is a Windows drive.
        Some((scheme, _)) => scheme.len() <= 1 || scheme.eq_ignore_ascii_case("file") || scheme.contains('/'),
    }
}

/// Whether a URI is at or below another, both in this server's store.
pub(super) fn within(source: &str, root: &str) -> bool {
    let (Some(source), Some(root)) = (uri::proxied(source), uri::proxied(root)) else { return false };
    let parts =
        |text: &str| -> Option<Vec<String>> { text.split('/').filter(|p| !p.is_empty()).map(uri::decode).collect() };
    match (parts(source), parts(root)) {
        (Some(source), Some(root)) => !root.is_empty() && source.starts_with(&root),
        _ => false,
    }
}

/// Checks the source of a new version and finds where its files really are.
pub(super) async fn check(c: &mut Conn, tenant: &Tenant, new: &NewVersion) -> Result<Origin> {
    let some = |id: &Option<String>| id.clone().filter(|t| !t.is_empty());
    let (run_id, model_id) = (some(&new.run_id), some(&new.model_id));
    let source = new.source.clone();
    if models::is_prompt(&new.tags) {
        if !PROMPT_SOURCES.contains(&source.as_str()) {
            return Err(RegistryError::Invalid(format!(
                "Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder."
            )));
        }
        return Ok(Origin { storage: source.clone(), source, run_id, model_id });
    }
    if is_local(&source) {
        return Err(RegistryError::Invalid(format!(
            "Invalid model version source: '{source}'. To use a local path as a model version source, the run_id \
             request parameter has to be specified and the local path has to be contained within the artifact \
             directory of the run specified by the run_id; the artifacts of this server are addressed as \
             mlflow-artifacts:/"
        )));
    }
    no_relative_parts(&source)?;
    if source.starts_with("models:") {
        return of_model(c, tenant, new, source).await;
    }
    if let Some(id) = model_id {
        return of_logged(c, tenant, &id, run_id, source).await;
    }
    of_run(c, tenant, run_id, source).await
}

/// `models:/m-…`, or a copy of another version.
async fn of_model(c: &mut Conn, tenant: &Tenant, new: &NewVersion, source: String) -> Result<Origin> {
    let parsed: ModelUri = source.parse().map_err(|_| outside(&source, "model_id"))?;
    let original = match parsed {
        ModelUri::Logged { id } => {
            if new.model_id.as_ref() != Some(&id) {
                return Err(outside(&source, "model_id"));
            }
            let model = logged_models::get(c, tenant, &id).await.map_err(|_| outside(&source, "model_id"))?;
            let run_id = new.run_id.clone().filter(|r| !r.is_empty()).or(model.source_run_id);
            return Ok(Origin { source, storage: model.artifact_uri, run_id, model_id: Some(id) });
        }
        other => version_of(c, tenant, &other).await?,
    };
    if models::is_prompt(&models::get(c, tenant, &original.name).await?.tags) {
        return Err(RegistryError::Invalid(format!(
            "Invalid model version source: '{source}'. Prompt versions cannot be used as model version sources."
        )));
    }
    let differs = |said: &Option<String>, is: &Option<String>| {
        said.as_ref().is_some_and(|s| s.as_str() != is.as_deref().unwrap_or_default())
    };
    if differs(&new.run_id, &original.run_id) || differs(&new.model_id, &original.model_id) {
        return Err(RegistryError::Invalid(format!(
            "Invalid model version source: '{source}'. The run_id and model_id request parameters must match the \
             referenced model version."
        )));
    }
    Ok(Origin {
        source: format!("models:/{}/{}", original.name, original.version),
        storage: original.storage,
        run_id: original.run_id,
        model_id: original.model_id,
    })
}

/// The version that a URI names.
pub(super) async fn version_of(c: &mut Conn, tenant: &Tenant, uri: &ModelUri) -> Result<ModelVersion> {
    match uri {
        ModelUri::Version { name, version } => versions::get(c, tenant, name, *version).await,
        ModelUri::Alias { name, alias } => aliases::get(c, tenant, name, alias).await,
        ModelUri::Latest { name } => aliases::get(c, tenant, name, "latest").await,
        ModelUri::Stage { name, stage } => {
            let model = models::get(c, tenant, name).await?;
            model.latest.into_iter().find(|v| v.stage == *stage).ok_or_else(|| {
                RegistryError::NotFound(format!("No versions of model with name '{name}' and stage '{stage}' found"))
            })
        }
        ModelUri::Logged { .. } | ModelUri::Run { .. } => {
            Err(RegistryError::Invalid(format!("{uri} does not name a model version")))
        }
    }
}

async fn of_logged(c: &mut Conn, tenant: &Tenant, id: &str, run_id: Option<String>, source: String) -> Result<Origin> {
    if source.starts_with("runs:") {
        return Err(outside(&source, "model_id"));
    }
    let model: LoggedModel = logged_models::get(c, tenant, id).await.map_err(|_| outside(&source, "model_id"))?;
    if uri::proxied(&source).is_some() && !within(&source, &model.artifact_uri) {
        return Err(outside(&source, "model_id"));
    }
    let run_id = run_id.or(model.source_run_id);
    Ok(Origin { storage: source.clone(), source, run_id, model_id: Some(model.id) })
}

async fn of_run(c: &mut Conn, tenant: &Tenant, run_id: Option<String>, source: String) -> Result<Origin> {
    let foreign = uri::proxied(&source).is_none();
    if !source.starts_with("runs:") && foreign {
        // Another object store: MLflow's clients read it themselves.
        return Ok(Origin { storage: source.clone(), source, run_id, model_id: None });
    }
    let Some(id) = run_id else { return Err(outside(&source, "run_id")) };
    let run = runs::info(c, tenant, &id).await.map_err(|_| outside(&source, "run_id"))?;
    if foreign {
        return match source.parse() {
            Ok(ModelUri::Run { id: named, path }) if named == id => {
                Ok(Origin { storage: format!("{}/{path}", run.artifact_uri), source, run_id: Some(id), model_id: None })
            }
            _ => Err(outside(&source, "run_id")),
        };
    }
    if !within(&source, &run.artifact_uri) {
        return Err(outside(&source, "run_id"));
    }
    Ok(Origin { storage: source.clone(), source, run_id: Some(id), model_id: None })
}

/// Notes on a logged model that a version was registered from it.
pub(super) async fn note_registration(c: &mut Conn, tenant: &Tenant, id: &str, version: &ModelVersion) -> Result<()> {
    let model = logged_models::get(c, tenant, id).await?;
    let before = model.tags.iter().find(|t| t.key == MODEL_VERSIONS).map(|t| t.value.as_str()).unwrap_or_default();
    let mut list: Vec<serde_json::Value> = serde_json::from_str(before).unwrap_or_default();
    let entry = serde_json::json!({"name": version.name, "version": version.version});
    if !list.contains(&entry) {
        list.push(entry);
    }
    let tag = Pair::new(MODEL_VERSIONS, serde_json::Value::from(list).to_string());
    sql::set_pairs(c, tenant, id, "logged_model_tags", &[tag]).await?;
    Ok(())
}

//! Logging to runs: the path that training loops hammer. One call is one transaction of a few
//! statements, whatever the batch holds.

use super::runs;
use crate::actions::LogRun;
use crate::error::{RegistryError, Result};
use crate::points::{Point, sanitise};
use crate::registry::Registry;
use crate::sql::log::{self, Target};
use crate::types::{Metric, Pair};
use crate::validate;
use mainspring_core::Authorized;
use mainspring_store::Conn;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// The tag under which old clients list the models of a run.
const LOGGED_MODELS: &str = "mlflow.log-model.history";
/// Bytes of that list. It is JSON, so it is never cut in the middle as other tags are.
const MAX_HISTORY: usize = 64 << 10;
/// What each entry of it says.
const MODEL_FIELDS: [&str; 4] = ["artifact_path", "flavors", "utc_time_created", "run_id"];

/// What one call logs to a run.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Metric values, at most 1000.
    pub metrics: Vec<Metric>,
    /// Params, at most 100.
    pub params: Vec<Pair>,
    /// Tags, at most 100.
    pub tags: Vec<Pair>,
}

/// A batch after all checks.
struct Checked {
    points: BTreeMap<String, Vec<Point>>,
    model_metrics: Vec<Metric>,
    params: Vec<Pair>,
    tags: Vec<Pair>,
    seq: i64,
}

async fn add_params(c: &mut Conn, to: &Target<'_>, params: &[Pair]) -> Result<()> {
    if params.is_empty() || log::add_params(c, to, params).await? == params.len() as u64 {
        return Ok(());
    }
    // Some were there. The same value again is fine, another one is not.
    let there: BTreeMap<String, String> =
        log::params(c, to, params).await?.into_iter().map(|p| (p.key, p.value)).collect();
    let changed: Vec<(&Pair, &String)> =
        params.iter().filter_map(|p| there.get(&p.key).filter(|old| **old != p.value).map(|old| (p, old))).collect();
    match changed.as_slice() {
        [] => Ok(()),
        [(p, old)] if params.len() == 1 => Err(RegistryError::Invalid(format!(
            "Changing param values is not allowed. Param with key='{}' was already logged with value='{old}' for run \
             ID='{}'. Attempted logging new value '{}'.",
            p.key, to.run, p.value
        ))),
        many => {
            let list: Vec<String> = many
                .iter()
                .map(|(p, old)| format!("{{'key': '{}', 'old_value': '{old}', 'new_value': '{}'}}", p.key, p.value))
                .collect();
            Err(RegistryError::Invalid(format!(
                "Changing param values is not allowed. Params were already logged='[{}]' for run ID='{}'.",
                list.join(", "),
                to.run
            )))
        }
    }
}

impl Registry {
    /// Logs metrics, params and tags to an active run, all or nothing.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for the run; [`RegistryError::Invalid`] when it is deleted, a
    /// limit is passed, or a param has another value already.
    pub async fn log_batch(&self, auth: &Authorized<LogRun>, run: &str, batch: Batch) -> Result<()> {
        let Batch { metrics, params, tags } = batch;
        validate::run_id(run)?;
        validate::batch(&metrics, &params, &tags)?;
        let one = metrics.len() == 1;
        let mut points: BTreeMap<String, Vec<Point>> = BTreeMap::new();
        let mut model_metrics = Vec::new();
        for (i, mut m) in metrics.into_iter().enumerate() {
            validate::metric(&m, &if one { String::new() } else { format!("metrics[{i}]") })?;
            m.value = sanitise(m.value);
            let point = Point { step: m.step, timestamp: m.timestamp, value: m.value };
            if let Some(of_key) = points.get_mut(&m.key) {
                of_key.push(point);
            } else {
                points.insert(m.key.clone(), vec![point]);
            }
            if m.model_id.is_some() {
                model_metrics.push(m);
            }
        }
        let indexed = |name: &str, i: usize| format!("{name}[{i}]");
        let params = params
            .into_iter()
            .enumerate()
            .map(|(i, p)| validate::param(p, &indexed("params", i)))
            .collect::<Result<_>>()?;
        let tags = tags
            .into_iter()
            .enumerate()
            .map(|(i, t)| validate::run_tag(t, &indexed("tags", i)))
            .collect::<Result<_>>()?;
        self.write_batch(auth, run, Checked { points, model_metrics, params, tags, seq: self.next_seq() }).await
    }

    async fn write_batch(&self, auth: &Authorized<LogRun>, run: &str, batch: Checked) -> Result<()> {
        let (tenant, id, has_points) = (auth.tenant().clone(), run.to_owned(), !batch.points.is_empty());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    let info = runs::touch(c, &tenant, &id).await?;
                    let to = Target { tenant: &tenant, experiment: info.experiment, run: &id };
                    add_params(c, &to, &batch.params).await?;
                    log::add_points(c, &to, &batch.points, batch.seq).await?;
                    log::add_model_metrics(c, &to, &batch.model_metrics).await?;
                    log::set_tags(c, &to, &batch.tags).await?;
                    if let Some(name) = batch.tags.iter().rev().find(|t| t.key == runs::RUN_NAME) {
                        crate::sql::runs::rename(c, &tenant, &id, &name.value).await?;
                    }
                    Ok::<_, RegistryError>(())
                })
            })
            .await?;
        if has_points {
            self.note_chunks(auth.tenant(), run);
        }
        Ok(())
    }

    /// Logs one metric value.
    ///
    /// # Errors
    /// As [`Registry::log_batch`].
    pub async fn log_metric(&self, auth: &Authorized<LogRun>, run: &str, metric: Metric) -> Result<()> {
        self.log_batch(auth, run, Batch { metrics: vec![metric], ..Batch::default() }).await
    }

    /// Logs one param.
    ///
    /// # Errors
    /// As [`Registry::log_batch`].
    pub async fn log_param(&self, auth: &Authorized<LogRun>, run: &str, param: Pair) -> Result<()> {
        let param = validate::param(param, "")?;
        self.log_batch(auth, run, Batch { params: vec![param], ..Batch::default() }).await
    }

    /// Sets one tag.
    ///
    /// # Errors
    /// As [`Registry::log_batch`].
    pub async fn set_run_tag(&self, auth: &Authorized<LogRun>, run: &str, tag: Pair) -> Result<()> {
        let tag = validate::run_tag(tag, "")?;
        self.log_batch(auth, run, Batch { tags: vec![tag], ..Batch::default() }).await
    }

    /// Removes a tag of an active run.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when the run has no such tag.
    pub async fn delete_run_tag(&self, auth: &Authorized<LogRun>, run: &str, key: &str) -> Result<()> {
        let (tenant, run, key) = (auth.tenant().clone(), run.to_owned(), key.to_owned());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    let info = runs::touch(c, &tenant, &run).await?;
                    let to = Target { tenant: &tenant, experiment: info.experiment, run: &run };
                    if log::delete_tag(c, &to, &key).await? == 0 {
                        return Err(RegistryError::NotFound(format!("No tag with name: {key} in run with id {run}")));
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Appends a model's description to the list that clients before MLflow 3 keep in a run's tag.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] when the description lacks what such a list needs.
    pub async fn record_model(&self, auth: &Authorized<LogRun>, run: &str, json: &str) -> Result<()> {
        let model: Value = serde_json::from_str(json)
            .map_err(|_| RegistryError::Invalid(format!("Malformed model info. \n {json} \n is not a valid JSON.")))?;
        let lacking: Vec<&str> = MODEL_FIELDS.into_iter().filter(|k| model.get(*k).is_none()).collect();
        if !lacking.is_empty() {
            return Err(RegistryError::Invalid(format!("Model json is missing mandatory fields: {lacking:?}")));
        }
        let (tenant, run) = (auth.tenant().clone(), run.to_owned());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    let info = runs::touch(c, &tenant, &run).await?;
                    let to = Target { tenant: &tenant, experiment: info.experiment, run: &run };
                    let before = log::tag(c, &to, LOGGED_MODELS).await?.unwrap_or_default();
                    log::set_tags(c, &to, &[Pair::new(LOGGED_MODELS, longer(&before, model))]).await?;
                    Ok(())
                })
            })
            .await
    }
}

/// The list of a run's models with one more. The oldest go when it grows too long; of one that is too
/// long by itself only what every entry says stays.
fn longer(before: &str, mut model: Value) -> String {
    if model.to_string().len() > MAX_HISTORY
        && let Some(fields) = model.as_object_mut()
    {
        fields.retain(|k, _| MODEL_FIELDS.contains(&k.as_str()));
    }
    let mut list: VecDeque<Value> = serde_json::from_str(before).unwrap_or_default();
    list.push_back(model);
    let mut text = json!(list).to_string();
    while text.len() > MAX_HISTORY && list.len() > 1 {
        list.pop_front();
        text = json!(list).to_string();
    }
    text
}

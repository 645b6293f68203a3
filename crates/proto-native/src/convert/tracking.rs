//! Experiments and runs.

use crate::dto::tracking::{
    ComparedMetric, ComparedParam, Comparison, DatasetView, ExperimentView, MetricPoint, RunSummary,
};
use crate::dto::{Number, Time};
use mainspring_core::Timestamp;
use mainspring_registry as domain;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Tags that MLflow's clients write by themselves.
const SYSTEM: &str = "mlflow.";
const PARENT: &str = "mlflow.parentRunId";
const CONTEXT: &str = "mlflow.data.context";

pub(crate) fn time(ms: i64) -> Time {
    Time(Timestamp::from_millis(ms))
}

pub(crate) fn map(pairs: Vec<domain::Pair>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|p| (p.key, p.value)).collect()
}

impl From<domain::Experiment> for ExperimentView {
    fn from(e: domain::Experiment) -> Self {
        Self {
            id: e.id.to_string(),
            name: e.name,
            lifecycle: e.stage.as_str().to_owned(),
            created_at: time(e.created),
            updated_at: time(e.updated),
            runs: None,
            last_run_at: None,
            tags: map(e.tags),
        }
    }
}

impl From<domain::ExperimentSummary> for ExperimentView {
    fn from(s: domain::ExperimentSummary) -> Self {
        Self { runs: Some(s.runs), last_run_at: s.last_run.map(time), ..s.experiment.into() }
    }
}

/// A run's line, and the tags that the line leaves out.
pub(crate) fn split(run: domain::Run) -> (RunSummary, BTreeMap<String, String>) {
    let (system, own): (Vec<_>, Vec<_>) = run.tags.into_iter().partition(|t| t.key.starts_with(SYSTEM));
    let parent_id = system.iter().find(|t| t.key == PARENT).map(|t| t.value.clone());
    let line = RunSummary {
        id: run.info.id,
        name: run.info.name,
        experiment_id: run.info.experiment.to_string(),
        status: run.info.status.as_str().to_owned(),
        lifecycle: run.info.stage.as_str().to_owned(),
        user: run.info.user,
        started_at: Some(time(run.info.started)),
        ended_at: run.info.ended.map(time),
        metrics: run.metrics.into_iter().map(|m| (m.key, Number(m.value))).collect(),
        params: map(run.params),
        tags: map(own),
        parent_id,
    };
    (line, map(system))
}

impl From<Arc<domain::Run>> for RunSummary {
    fn from(run: Arc<domain::Run>) -> Self {
        Arc::unwrap_or_clone(run).into()
    }
}

impl From<domain::Run> for RunSummary {
    fn from(run: domain::Run) -> Self {
        split(run).0
    }
}

impl From<domain::DatasetInput> for DatasetView {
    fn from(d: domain::DatasetInput) -> Self {
        let context = d.tags.into_iter().find(|t| t.key == CONTEXT).map(|t| t.value);
        let of = d.dataset;
        Self { name: of.name, digest: of.digest, source_type: of.source_type, source: of.source, context }
    }
}

impl From<domain::points::Point> for MetricPoint {
    fn from(p: domain::points::Point) -> Self {
        Self { step: p.step, at_ms: p.timestamp, value: Number(p.value) }
    }
}

fn keys<'a, V: 'a>(maps: impl Iterator<Item = &'a BTreeMap<String, V>>) -> BTreeSet<String> {
    maps.flat_map(|m| m.keys().cloned()).collect()
}

/// Whether not all values are the same; NaN is the same as NaN.
fn differs<T>(values: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    values.windows(2).any(|w| !same(&w[0], &w[1]))
}

/// Runs side by side, key by key.
pub(crate) fn compare(runs: Vec<RunSummary>) -> Comparison {
    let params = keys(runs.iter().map(|r| &r.params)).into_iter().map(|key| {
        let values: Vec<Option<String>> = runs.iter().map(|r| r.params.get(&key).cloned()).collect();
        ComparedParam { differs: differs(&values, PartialEq::eq), key, values }
    });
    let params = params.collect();
    let metrics = keys(runs.iter().map(|r| &r.metrics)).into_iter().map(|key| {
        let values: Vec<Option<Number>> = runs.iter().map(|r| r.metrics.get(&key).copied()).collect();
        let bits = |n: &Option<Number>| n.map(|n| n.0.to_bits());
        ComparedMetric { differs: differs(&values, |a, b| bits(a) == bits(b)), key, values }
    });
    let metrics = metrics.collect();
    Comparison { runs, params, metrics }
}

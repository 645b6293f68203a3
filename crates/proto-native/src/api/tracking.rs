//! Experiments and runs.

use super::{Failures, Reply};
use crate::convert::downsample::downsample;
use crate::convert::tracking::{compare, split};
use crate::dto::tracking::{
    ArtifactEntry, ArtifactList, ArtifactQuery, CompareRequest, Comparison, ExperimentPage, ExperimentQuery,
    MetricHistory, MetricQuery, RunDetail, RunPage, RunSearch,
};
use crate::extract::{Params, Seg, page_size};
use crate::state::NativeState;
use axum::Json;
use axum::extract::State;
use mainspring_core::{ErrorKind, Principal};
use mainspring_http::{ApiError, Caller, Json as JsonBody};
use mainspring_registry::actions::{ReadArtifact, ReadExperiment, ReadModel, ReadRun};
use mainspring_registry::{ArtifactRoot, ExperimentSearch, ModelSearch, View, points::Point};
use std::sync::Arc;

fn view(given: Option<&str>) -> Result<View, ApiError> {
    match given.unwrap_or("active") {
        "active" => Ok(View::Active),
        "deleted" => Ok(View::Deleted),
        "all" => Ok(View::All),
        other => {
            let message = format!("view is {other:?}; it must be active, deleted or all");
            Err(ApiError::new(ErrorKind::InvalidInput, message))
        }
    }
}

fn experiment_ids(given: &[String]) -> Result<Vec<i64>, ApiError> {
    let parse = |id: &String| {
        id.parse().map_err(|_| ApiError::new(ErrorKind::InvalidInput, format!("{id:?} is no experiment's id")))
    };
    given.iter().map(parse).collect()
}

/// The newest thousand active experiments.
pub(crate) async fn active_experiments(s: &NativeState, who: &Arc<Principal>) -> Result<Vec<i64>, ApiError> {
    let auth = s.may(who, ReadExperiment::any())?;
    let page = s.registry.search_experiments(&auth, &ExperimentSearch::default()).await?;
    Ok(page.items.into_iter().map(|e| e.id).collect())
}

#[utoipa::path(get, path = "/api/v1/experiments", operation_id = "listExperiments", tag = "tracking",
    params(ExperimentQuery),
    responses((status = 200, description = "A page of experiments", body = ExperimentPage), Failures))]
pub(crate) async fn list_experiments(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(query): Params<ExperimentQuery>,
) -> Reply<ExperimentPage> {
    let auth = s.may(&who, ReadExperiment::any())?;
    let search = ExperimentSearch {
        view: view(query.view.as_deref())?,
        filter: query.filter.unwrap_or_default(),
        order_by: vec!["last_update_time DESC".to_owned()],
        max_results: page_size(query.limit, 100)?.into(),
        page_token: query.page_token,
    };
    let page = s.registry.experiments_with_counts(&auth, &search).await?;
    let experiments = page.items.into_iter().map(Into::into).collect();
    Ok(Json(ExperimentPage { experiments, next_page_token: page.next }))
}

#[utoipa::path(post, path = "/api/v1/runs/search", operation_id = "searchRuns", tag = "tracking",
    request_body = RunSearch,
    responses((status = 200, description = "A page of runs", body = RunPage), Failures))]
pub(crate) async fn search_runs(
    State(s): State<NativeState>,
    Caller(who): Caller,
    JsonBody(request): JsonBody<RunSearch>,
) -> Reply<RunPage> {
    let auth = s.may(&who, ReadRun::any())?;
    let experiments = match experiment_ids(&request.experiment_ids)? {
        none if none.is_empty() => active_experiments(&s, &who).await?,
        some => some,
    };
    let search = mainspring_registry::RunSearch {
        experiments,
        view: view(request.view.as_deref())?,
        filter: request.filter.unwrap_or_default(),
        order_by: request.order_by,
        max_results: page_size(request.limit, 100)?.into(),
        page_token: request.page_token,
    };
    let page = s.registry.search_runs(&auth, &search).await?;
    Ok(Json(RunPage { runs: page.items.into_iter().map(Into::into).collect(), next_page_token: page.next }))
}

#[utoipa::path(post, path = "/api/v1/runs/compare", operation_id = "compareRuns", tag = "tracking",
    request_body = CompareRequest,
    responses((status = 200, description = "The runs side by side", body = Comparison), Failures))]
pub(crate) async fn compare_runs(
    State(s): State<NativeState>,
    Caller(who): Caller,
    JsonBody(request): JsonBody<CompareRequest>,
) -> Reply<Comparison> {
    let count = request.run_ids.len();
    if !(2..=50).contains(&count) {
        return Err(ApiError::new(
            ErrorKind::InvalidInput,
            format!("runIds has {count} entries; it must have 2 to 50"),
        ));
    }
    let mut runs = Vec::with_capacity(count);
    for id in &request.run_ids {
        runs.push(s.registry.run(&s.may(&who, ReadRun::on(id))?, id).await?.into());
    }
    Ok(Json(compare(runs)))
}

#[utoipa::path(get, path = "/api/v1/runs/{id}", operation_id = "getRun", tag = "tracking",
    params(("id" = String, Path, description = "Id")),
    responses((status = 200, description = "The run", body = RunDetail), Failures))]
pub(crate) async fn get_run(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(id): Seg<String>,
) -> Reply<RunDetail> {
    let run = s.registry.run(&s.may(&who, ReadRun::on(&id))?, &id).await?;
    let search =
        ModelSearch { filter: format!("run_id = '{}'", run.info.id), max_results: 1000, ..ModelSearch::default() };
    let versions = s.registry.search_versions(&s.may(&who, ReadModel::any())?, &search).await?;
    let artifact_uri = run.info.artifact_uri.clone();
    let datasets = run.inputs.clone().into_iter().map(Into::into).collect();
    let (run, system_tags) = split(run);
    let model_versions = versions.items.into_iter().map(Into::into).collect();
    Ok(Json(RunDetail { run, system_tags, datasets, model_versions, artifact_uri }))
}

#[utoipa::path(get, path = "/api/v1/runs/{id}/metric", operation_id = "getMetricHistory", tag = "tracking",
    params(("id" = String, Path, description = "Id"), MetricQuery),
    responses((status = 200, description = "The metric over the steps of the run", body = MetricHistory), Failures))]
pub(crate) async fn get_metric_history(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(id): Seg<String>,
    Params(query): Params<MetricQuery>,
) -> Reply<MetricHistory> {
    let max = query.points.unwrap_or(1000);
    if !(2..=10_000).contains(&max) {
        return Err(ApiError::new(ErrorKind::InvalidInput, format!("points is {max}; it must be between 2 and 10000")));
    }
    let auth = s.may(&who, ReadRun::on(&id))?;
    let mut points: Vec<Point> = s.registry.metric_history(&auth, &id, &query.key, (None, None)).await?.items;
    points.sort_by_key(|p| (p.step, p.timestamp));
    let total = points.len() as u64;
    let points = downsample(points, max as usize).into_iter().map(Into::into).collect();
    Ok(Json(MetricHistory { key: query.key, points, total }))
}

#[utoipa::path(get, path = "/api/v1/runs/{id}/artifacts", operation_id = "listRunArtifacts", tag = "tracking",
    params(("id" = String, Path, description = "Id"), ArtifactQuery),
    responses((status = 200, description = "The content of a folder of the run", body = ArtifactList), Failures))]
pub(crate) async fn list_run_artifacts(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(id): Seg<String>,
    Params(query): Params<ArtifactQuery>,
) -> Reply<ArtifactList> {
    let auth = s.may(&who, ReadArtifact::on(&id))?;
    let path = query.path.unwrap_or_default();
    let listing = s.registry.list_artifacts(&auth, &ArtifactRoot::Run(id), &path).await?;
    let entry = |e: mainspring_registry::Listed| ArtifactEntry {
        path: e.path,
        is_dir: e.is_dir,
        size: (!e.is_dir).then_some(e.size),
    };
    let mut entries: Vec<ArtifactEntry> = listing.entries.into_iter().map(entry).collect();
    entries.sort_by(|a, b| b.is_dir.cmp(&a.is_dir).then_with(|| a.path.cmp(&b.path)));
    Ok(Json(ArtifactList { entries }))
}

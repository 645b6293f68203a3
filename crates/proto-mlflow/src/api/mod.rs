//! MLflow's tracking, registry and artifact API, as the MLflow 3 Python client speaks it.
//!
//! Every path is served under `/api/2.0`, `/api/3.0`, `/ajax-api/2.0` and `/ajax-api/3.0`. What
//! MLflow has and this server has not (traces, webhooks, scorers, the gateway, …) answers 501
//! `NOT_IMPLEMENTED`; what MLflow has not either, 404 `ENDPOINT_NOT_FOUND`.

mod artifacts;
mod batch;
mod error;
mod experiments;
mod files;
mod json;
mod logged_models;
mod metrics;
mod models;
mod range;
mod request;
mod runs;
mod server;
mod versions;

#[cfg(test)]
mod tests;

pub use error::render_error;

use axum::Router;
use axum::routing::{any, delete, get, patch, post};
use error::Failed;
use mainspring_core::{Action, Authorized, Gate, Principal};
use mainspring_http::apart;
use mainspring_registry::Registry;
use std::sync::Arc;

/// The version of MLflow whose API this is; clients compare it before they use newer calls.
pub const MLFLOW_VERSION: &str = "3.17.2";

/// What the handlers need.
#[derive(Clone, Debug)]
pub struct MlflowState {
    /// Experiments, runs, models and their artifacts.
    pub registry: Registry,
    /// Decides who may do what.
    pub gate: Gate,
}

impl MlflowState {
    fn may<A: Action>(&self, who: &Arc<Principal>, action: A) -> Result<Authorized<A>, Failed> {
        Ok(self.gate.authorize(who, action)?)
    }
}

/// MLflow's routes. They expect a guard in front that sets [`mainspring_http::Caller`].
pub fn routes(state: MlflowState) -> Router {
    let mut router: Router<MlflowState> = Router::new();
    for prefix in ["/api/2.0", "/api/3.0", "/ajax-api/2.0", "/ajax-api/3.0"] {
        let at = |path: &str| format!("{prefix}{path}");
        router = router
            .nest(&at("/mlflow"), api().fallback(any(server::unknown)))
            .nest(&at("/mlflow-artifacts"), proxy().fallback(any(server::unknown)))
            // MLflow's own definition of this path lacks a slash, and its routes follow it.
            .route(&format!("{prefix}mlflow/experiments/search-datasets"), post(experiments::search_datasets));
    }
    router
        .route("/v1/traces", post(server::not_built))
        .route("/graphql", any(server::not_built))
        .route("/get-artifact", get(files::get_artifact))
        .route("/model-versions/get-artifact", get(files::get_version_artifact))
        .with_state(state)
}

/// Routes that answer everybody: health, the version, and what a client asks before it has
/// credentials.
pub fn open_routes() -> Router {
    Router::new()
        .route("/health", get(server::health))
        .route("/version", get(server::version))
        .route("/api/3.0/mlflow/server-info", get(server::info))
        .route("/ajax-api/3.0/mlflow/server-info", get(server::info))
}

fn api() -> Router<MlflowState> {
    experiment_routes().merge(run_routes()).merge(long_routes()).merge(logged_model_routes()).merge(model_routes())
}

fn experiment_routes() -> Router<MlflowState> {
    Router::new()
        .route("/experiments/create", post(experiments::create))
        .route("/experiments/get", get(experiments::get))
        .route("/experiments/get-by-name", get(experiments::get_by_name))
        .route("/experiments/search", post(experiments::search).get(experiments::search))
        .route("/experiments/delete", post(experiments::delete))
        .route("/experiments/restore", post(experiments::restore))
        .route("/experiments/update", post(experiments::update))
        .route("/experiments/set-experiment-tag", post(experiments::set_tag))
        .route("/experiments/delete-experiment-tag", post(experiments::delete_tag))
        .route("/experiments/search-datasets", post(experiments::search_datasets))
}

fn run_routes() -> Router<MlflowState> {
    Router::new()
        .route("/runs/create", post(runs::create))
        .route("/runs/get", get(runs::get))
        .route("/runs/update", post(runs::update))
        .route("/runs/delete", post(runs::delete))
        .route("/runs/restore", post(runs::restore))
        .route("/runs/log-metric", post(batch::log_metric))
        .route("/runs/log-parameter", post(runs::log_param))
        .route("/runs/set-tag", post(runs::set_tag))
        .route("/runs/delete-tag", post(runs::delete_tag))
        .route("/runs/log-batch", post(batch::log_batch))
        .route("/runs/log-model", post(runs::log_model))
        .route("/runs/log-inputs", post(runs::log_inputs))
        .route("/runs/outputs", post(runs::log_outputs))
        .route("/artifacts/list", get(artifacts::list))
        .route("/artifacts/presigned-upload-url", post(server::no_presigned_upload))
        .route("/artifacts/presigned-download-url", post(server::no_presigned_download))
        .route("/upload-artifact", post(files::upload))
}

/// What may answer with megabytes, which take a while to write.
fn long_routes() -> Router<MlflowState> {
    apart(
        Router::new()
            .route("/runs/search", post(runs::search))
            .route("/metrics/get-history", get(metrics::history))
            .route("/metrics/get-history-bulk", get(metrics::history_bulk))
            .route("/metrics/get-history-bulk-interval", get(metrics::history_interval)),
    )
}

fn logged_model_routes() -> Router<MlflowState> {
    use logged_models as m;
    Router::new()
        .route("/logged-models", post(m::create))
        .route("/logged-models/search", post(m::search))
        .route("/logged-models/{id}", get(m::get).patch(m::finalize).delete(m::delete))
        .route("/logged-models/{id}/tags", patch(m::set_tags))
        .route("/logged-models/{id}/tags/{*key}", delete(m::delete_tag))
        .route("/logged-models/{id}/params", post(m::log_params))
        .route("/logged-models/{id}/artifacts/directories", get(artifacts::list_logged_model))
        .route("/logged-models/{id}/artifacts/files", get(files::get_logged_model_artifact))
}

fn model_routes() -> Router<MlflowState> {
    Router::new()
        .route("/registered-models/create", post(models::create))
        .route("/registered-models/get", get(models::get))
        .route("/registered-models/search", get(models::search).post(models::search))
        .route("/registered-models/rename", post(models::rename))
        .route("/registered-models/update", patch(models::update))
        .route("/registered-models/delete", delete(models::delete))
        .route("/registered-models/set-tag", post(models::set_tag))
        .route("/registered-models/delete-tag", delete(models::delete_tag))
        .route("/registered-models/get-latest-versions", get(models::latest).post(models::latest))
        .route(
            "/registered-models/alias",
            post(models::set_alias).delete(models::delete_alias).get(models::get_by_alias),
        )
        .route("/model-versions/create", post(versions::create))
        .route("/model-versions/get", get(versions::get))
        .route("/model-versions/search", get(versions::search).post(versions::search))
        .route("/model-versions/update", patch(versions::update))
        .route("/model-versions/delete", delete(versions::delete))
        .route("/model-versions/transition-stage", post(versions::transition))
        .route("/model-versions/set-tag", post(versions::set_tag))
        .route("/model-versions/delete-tag", delete(versions::delete_tag))
        .route("/model-versions/get-download-uri", get(versions::download_uri))
}

/// The artifact proxy: what `mlflow-artifacts:/` addresses.
fn proxy() -> Router<MlflowState> {
    Router::new()
        .route("/artifacts", get(artifacts::list_store))
        .route("/artifacts/", get(artifacts::list_store))
        .route("/artifacts/{*path}", get(files::download).put(files::put).delete(files::remove))
        .route("/mpu/create/{*path}", post(server::no_multipart_upload))
        .route("/mpu/complete/{*path}", post(server::no_multipart_upload))
        .route("/mpu/abort/{*path}", post(server::no_multipart_upload))
        .route("/presigned/{*path}", get(server::no_presigned_download))
}

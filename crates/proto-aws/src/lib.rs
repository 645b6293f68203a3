//! Amazon SageMaker, from both of its sides: the runtime API that `boto3` calls
//! (`/endpoints/{name}/invocations`), and what SageMaker asks of a container with several models
//! (`/models`). An endpoint is a deployment, and so is a model.
//!
//! The container's `/ping` and `/invocations` are those of MLflow's scoring, which answer for the default
//! deployment, and read what SageMaker's clients send as well.

mod error;
mod models;
mod runtime;

pub use error::{render_error, render_plain};

use axum::Router;
use axum::routing::{get, post};
use mainspring_core::Gate;
use mainspring_proto_mlflow::scoring::ScoringState;
use mainspring_resource::Resources;
use mainspring_serving::Serving;

/// What the protocol needs from the rest of the server.
#[derive(Clone)]
pub struct AwsState {
    /// Deployments.
    pub serving: Serving,
    /// What is declared: a model that is loaded is a declared deployment.
    pub resources: Resources,
    /// Decides who may do what.
    pub gate: Gate,
    /// Reads rows and writes answers.
    pub scoring: ScoringState,
}

impl std::fmt::Debug for AwsState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AwsState")
    }
}

/// The runtime API. Refusals are to be shown with [`render_error`].
pub fn runtime(state: AwsState) -> Router {
    Router::new()
        .route("/endpoints/{name}/invocations", post(runtime::invoke))
        .route("/endpoints/{name}/async-invocations", post(runtime::not_built))
        .route("/endpoints/{name}/invocations-response-stream", post(runtime::not_built))
        .with_state(state)
}

/// The contract of a container with several models. Refusals are to be shown with [`render_plain`].
pub fn container(state: AwsState) -> Router {
    Router::new()
        .route("/models", get(models::list).post(models::load))
        .route("/models/{name}", get(models::describe).delete(models::unload))
        .route("/models/{name}/invoke", post(models::invoke))
        .with_state(state)
}

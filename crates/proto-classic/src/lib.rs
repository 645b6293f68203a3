//! The first protocols of model servers: KServe's v1 and TensorFlow Serving's over REST. Their paths are
//! the same, so each answer has what both ask for, and what OpenAI's clients look for under `/v1/models`
//! too.

mod models;
mod predict;

pub use models::render_error;

use axum::Router;
use axum::routing::get;
use mainspring_core::Gate;
use mainspring_proto_mlflow::scoring::ScoringState;
use mainspring_serving::Serving;

/// What the protocol needs from the rest of the server.
#[derive(Clone)]
pub struct ClassicState {
    /// Deployments.
    pub serving: Serving,
    /// Decides who may do what.
    pub gate: Gate,
    /// Reads rows.
    pub scoring: ScoringState,
}

impl std::fmt::Debug for ClassicState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClassicState")
    }
}

/// `/v1/models`. Refusals are to be shown with [`render_error`].
pub fn routes(state: ClassicState) -> Router {
    Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{model}", get(models::one).post(predict::by_name))
        .route("/v1/models/{model}/metadata", get(models::metadata))
        .route("/v1/models/{model}/versions/{version}", get(models::version).post(predict::by_version))
        .route("/v1/models/{model}/versions/{version}/metadata", get(models::version_metadata))
        .route("/v1/models/{model}/labels/{label}", get(models::no_labels).post(models::no_labels))
        .route("/v1/models/{model}/labels/{label}/metadata", get(models::no_labels))
        .with_state(state)
}

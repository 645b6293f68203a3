//! The HTTP/REST door: `/v2/…`.

mod generate;
pub(crate) mod infer;
pub(crate) mod models;
mod raw;

use crate::error::Refused;
use crate::state::OipState;
use crate::ws;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use mainspring_core::ErrorKind;
use serde_json::json;

use crate::view::{EXTENSIONS, SERVER_NAME, VERSION};

/// Routes of the protocol for callers that a guard has authenticated; render its refusals with
/// [`crate::render_error`].
pub fn routes(state: OipState) -> Router {
    Router::new()
        .route("/v2", get(metadata))
        .route("/v2/", get(metadata))
        .route("/v2/models/stats", get(models::all_stats))
        .route("/v2/models/{model}", get(models::metadata))
        .route("/v2/models/{model}/ready", get(models::ready))
        .route("/v2/models/{model}/config", get(models::config))
        .route("/v2/models/{model}/stats", get(models::stats))
        .route("/v2/models/{model}/infer", post(infer::infer))
        .route("/v2/models/{model}/generate", post(generate::whole))
        .route("/v2/models/{model}/generate_stream", post(generate::stream))
        .route("/v2/models/{model}/ws", get(ws::upgrade))
        .route("/v2/models/{model}/versions/{version}", get(models::metadata))
        .route("/v2/models/{model}/versions/{version}/ready", get(models::ready))
        .route("/v2/models/{model}/versions/{version}/config", get(models::config))
        .route("/v2/models/{model}/versions/{version}/stats", get(models::stats))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer::infer))
        .route("/v2/models/{model}/versions/{version}/generate", post(generate::whole))
        .route("/v2/models/{model}/versions/{version}/generate_stream", post(generate::stream))
        .route("/v2/models/{model}/versions/{version}/ws", get(ws::upgrade))
        .route("/v2/repository/index", post(models::index))
        .route("/v2/repository/{repository}/index", post(models::index))
        .merge(unsupported())
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
}

/// What Triton has and this server has not: each path answers 501 and says what is missing.
fn unsupported() -> Router<OipState> {
    Router::new()
        .route("/v2/repository/models/{model}/load", any(no_model_control))
        .route("/v2/repository/models/{model}/unload", any(no_model_control))
        .route("/v2/repository/{repository}/models/{model}/load", any(no_model_control))
        .route("/v2/repository/{repository}/models/{model}/unload", any(no_model_control))
        .route("/v2/models/{model}/trace/setting", any(no_trace))
        .route("/v2/models/{model}/versions/{version}/trace/setting", any(no_trace))
        .route("/v2/trace/setting", any(no_trace))
        .route("/v2/logging", any(no_logging))
        .route("/v2/systemsharedmemory/{*rest}", any(no_shared_memory))
        .route("/v2/cudasharedmemory/{*rest}", any(no_shared_memory))
}

/// Liveness and readiness, for probes that carry no key: `GET /v2/health/live` and
/// `GET /v2/health/ready`. They tell nothing but the state, and belong in front of the guard.
pub fn probes(state: OipState) -> Router {
    Router::new().route("/v2/health/live", get(live)).route("/v2/health/ready", get(server_ready)).with_state(state)
}

async fn metadata() -> Response {
    json_response(StatusCode::OK, &json!({ "name": SERVER_NAME, "version": VERSION, "extensions": EXTENSIONS }))
}

async fn live(State(state): State<OipState>) -> Response {
    json_response(StatusCode::OK, &json!({ "live": true, "ready": state.ready() }))
}

/// One body for three readers: Triton's client looks at the status, KServe's at `ready`, and the text
/// of the protocol says `live`.
async fn server_ready(State(state): State<OipState>) -> Response {
    let ready = state.ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_response(status, &json!({ "live": true, "ready": ready }))
}

/// A small JSON answer.
pub(crate) fn json_response(status: StatusCode, body: &serde_json::Value) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, json)], body.to_string()).into_response()
}

fn not_built(what: &str, instead: &str) -> Refused {
    Refused::new(ErrorKind::Unimplemented, format!("{what} is not supported by this server")).hint(instead)
}

pub(crate) fn model_control() -> Refused {
    not_built(
        "loading and unloading models through the repository API",
        "declare a Deployment: mainspring apply -f FILE",
    )
}

pub(crate) fn shared_memory() -> Refused {
    not_built("shared memory", "send tensors as binary data in the body")
}

pub(crate) fn trace() -> Refused {
    not_built("changing trace settings through this API", "set up OpenTelemetry in mainspring.toml")
}

pub(crate) fn logging() -> Refused {
    not_built("changing log settings through this API", "set the log filter when starting the server")
}

async fn no_model_control() -> Refused {
    model_control()
}

async fn no_trace() -> Refused {
    trace()
}

async fn no_logging() -> Refused {
    logging()
}

async fn no_shared_memory() -> Refused {
    shared_memory()
}

async fn wrong_method(method: http::Method, uri: http::Uri) -> Response {
    let mut response =
        Refused::new(ErrorKind::InvalidInput, format!("{method} is not a method of {}", uri.path())).into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

//! What the server says about itself, and what it does not do.

use super::MLFLOW_VERSION;
use super::error::Failed;
use super::json::answer;
use axum::extract::OriginalUri;
use axum::response::Response;
use http::{Method, Uri};
use serde_json::json;

pub(super) async fn health() -> &'static str {
    "OK"
}

/// Plain text, as MLflow's: clients parse it before they export spans.
pub(super) async fn version() -> &'static str {
    MLFLOW_VERSION
}

/// What a client asks first. Nothing here is secret.
pub(super) async fn info() -> Response {
    answer(&json!({
        "store_type": "SqlStore",
        "workspaces_enabled": false,
        "trace_archival_enabled": false,
        "multipart_uploads_enabled": false,
        "multipart_downloads_enabled": false,
        "presigned_upload_run_id_supported": false,
        "presigned_upload_model_id_supported": false,
        "features_enabled": {"gateway": false},
    }))
}

/// What MLflow serves beside tracking, registry and artifacts.
const ELSEWHERE: [&str; 19] = [
    "traces",
    "unified-traces",
    "get-online-trace-details",
    "get-trace-artifact",
    "assessments",
    "webhooks",
    "datasets",
    "scorers",
    "issues",
    "label-schemas",
    "review-queues",
    "prompt-optimization",
    "workspaces",
    "gateway",
    "gateway-proxy",
    "jobs",
    "users",
    "ui-telemetry",
    "demo",
];

pub(super) async fn not_built(method: Method, OriginalUri(uri): OriginalUri) -> Failed {
    Failed::not_built(format!("{method} {} is part of MLflow's API that this server does not have", uri.path()))
}

/// Paths without a handler. `below` is the path under MLflow's prefix.
pub(super) async fn unknown(method: Method, original: OriginalUri, below: Uri) -> Failed {
    let first = below.path().trim_start_matches('/').split('/').next().unwrap_or_default();
    if ELSEWHERE.contains(&first) || below.path().starts_with("/runs/create-promptlab-run") {
        return not_built(method, original).await;
    }
    Failed::no_endpoint(format!("no endpoint {method} {}", original.0.path()))
}

// The texts below are MLflow's own: its client knows them and falls back to a plain transfer.

pub(super) async fn no_multipart_upload() -> Failed {
    Failed::not_built("Multipart upload is not supported for the current artifact repository")
}

pub(super) async fn no_presigned_upload() -> Failed {
    Failed::not_built("Presigned upload is not supported for the current artifact repository")
}

pub(super) async fn no_presigned_download() -> Failed {
    Failed::not_built("Multipart download is not supported for the current artifact repository")
}

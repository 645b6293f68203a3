//! The web console, embedded into the binary and served under `/ui`.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use mainspring_http::assets::asset;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../console/dist"]
#[allow_missing = true]
struct Files;

/// Whether this binary carries the console.
pub fn embedded() -> bool {
    Files::get("index.html").is_some()
}

/// `/ui/…`, and `/` by Accept.
pub fn routes() -> Router {
    Router::new()
        .route("/ui", get(|| async { Redirect::permanent("/ui/") }))
        .route("/ui/", get(|headers: HeaderMap| async move { page("", &headers) }))
        .route("/ui/{*path}", get(|Path(path): Path<String>, headers: HeaderMap| async move { page(&path, &headers) }))
        .route("/", get(root))
}

async fn root(headers: HeaderMap) -> Response {
    let wants_page = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|a| a.contains("text/html"));
    if wants_page {
        Redirect::temporary("/ui/").into_response()
    } else {
        // KServe's v1 protocol asks `/` for the status.
        axum::Json(serde_json::json!({"status": "alive", "name": "mainspring", "version": crate::VERSION}))
            .into_response()
    }
}

fn page(path: &str, headers: &HeaderMap) -> Response {
    if embedded() {
        asset::<Files>(path, headers)
    } else {
        (StatusCode::NOT_FOUND, "this binary was built without its console; build it with: make build\n")
            .into_response()
    }
}

//! One exported span a request, continuing the caller's trace (W3C Trace Context). The layer is put
//! on only when traces are exported, so that nobody else pays for it.

use crate::telemetry::TRACE_TARGET;
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Instrument, field::Empty, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|v| v.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// Puts the spans around every route of `app`.
pub fn layer(app: Router) -> Router {
    app.layer(middleware::from_fn(span))
}

/// Names follow OpenTelemetry's semantic conventions for HTTP servers.
async fn span(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| request.uri().path().to_owned(), |p| p.as_str().to_owned());
    let span = info_span!(
        target: TRACE_TARGET,
        "request",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = %request.method(),
        http.route = route,
        url.path = request.uri().path(),
        http.response.status_code = Empty,
        mainspring.prediction_id = Empty,
        mainspring.variant = Empty,
        mainspring.model_version = Empty,
    );
    // Refused only when the span is disabled, and then there is nothing to continue.
    let _unsampled = span.set_parent(TraceContextPropagator::new().extract(&Headers(request.headers())));
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    for (field, header) in [
        ("mainspring.prediction_id", "mainspring-prediction-id"),
        ("mainspring.variant", "mainspring-variant"),
        ("mainspring.model_version", "mainspring-model-version"),
    ] {
        if let Some(text) = response.headers().get(header).and_then(|v| v.to_str().ok()) {
            span.record(field, text);
        }
    }
    response
}

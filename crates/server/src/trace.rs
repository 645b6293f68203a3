//! Exported spans: one for each request, continuing the caller's trace (W3C Trace Context), and under
//! it where the time of its prediction went. The layer is put on only when traces are exported, so
//! that nobody else pays for it.

use crate::telemetry::TRACE_TARGET;
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use mainspring_core::{Outcome, Prediction};
use mainspring_http::Peer;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;
use std::time::{Duration, SystemTime};
use tracing::{Instrument, Span, field::Empty, info_span};
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
    app.layer(middleware::from_fn(around))
}

async fn around(request: Request, next: Next) -> Response {
    let grpc = request.headers().get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/grpc"));
    let span = if grpc { grpc_span(request.uri().path()) } else { http_span(&request) };
    // Refused only when the span is disabled, and then there is nothing to continue.
    let _unsampled = span.set_parent(TraceContextPropagator::new().extract(&Headers(request.headers())));
    let response = next.run(request).instrument(span.clone()).await;
    if grpc {
        // An answer without messages has its status here; that of others follows their messages.
        let code = response.headers().get("grpc-status").and_then(|v| v.to_str().ok()?.parse::<i64>().ok());
        span.record("rpc.grpc.status_code", code.unwrap_or(0));
        if code.is_some_and(|c| c != 0) {
            span.record("otel.status_code", "ERROR");
        }
    } else {
        span.record("http.response.status_code", response.status().as_u16());
        if response.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }
    response
}

/// Names follow OpenTelemetry's semantic conventions for HTTP servers.
fn http_span(request: &Request) -> Span {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| request.uri().path().to_owned(), |p| p.as_str().to_owned());
    let tls = request.extensions().get::<Peer>().is_some_and(Peer::tls);
    info_span!(
        target: TRACE_TARGET,
        "request",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = %request.method(),
        http.route = route,
        url.path = request.uri().path(),
        url.scheme = if tls { "https" } else { "http" },
        http.response.status_code = Empty,
    )
}

/// And for gRPC servers.
fn grpc_span(path: &str) -> Span {
    let name = path.trim_start_matches('/');
    let (service, method) = name.rsplit_once('/').unwrap_or(("", name));
    info_span!(
        target: TRACE_TARGET,
        "request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
    )
}

/// Adds where a prediction's time went to the span of its request. A message of a WebSocket or of a
/// gRPC stream has no request of its own and becomes a trace of its own.
pub fn prediction(tracer: &SdkTracer, prediction: &Prediction) {
    let end = opentelemetry::time::now();
    let mut request = Span::current().context();
    let own = !request.span().span_context().is_valid();
    if own {
        let began = before(end, prediction.timing.total_ns);
        let name = format!("infer {}", prediction.target.deployment);
        let span = tracer.span_builder(name).with_kind(SpanKind::Server).with_start_time(began);
        request = Context::new().with_span(span.start_with_context(tracer, &Context::new()));
    }
    let span = request.span();
    if !span.span_context().is_sampled() {
        return;
    }
    for attribute in attributes(prediction) {
        span.set_attribute(attribute);
    }
    match &prediction.outcome {
        Outcome::Ok => parts(tracer, prediction, &request, end),
        Outcome::Failed { kind, message } => {
            span.set_attribute(KeyValue::new("error.type", kind.as_str()));
            // A request that is wrong is the caller's error, not this server's.
            if own || kind.http_status() >= 500 {
                span.set_status(Status::error(message.to_string()));
            }
        }
    }
    if own {
        span.end_with_timestamp(end);
    }
}

fn attributes(p: &Prediction) -> [KeyValue; 7] {
    let text = |key, value: &str| KeyValue::new(key, value.to_owned());
    [
        text("mainspring.prediction_id", &p.id.to_string()),
        text("mainspring.deployment", &p.target.deployment),
        text("mainspring.variant", &p.target.variant),
        text("mainspring.model", &p.target.model),
        text("mainspring.model_version", &p.target.version),
        text("mainspring.protocol", p.protocol.as_str()),
        KeyValue::new("mainspring.rows", i64::from(p.rows)),
    ]
}

/// The parts end to end, the last of them now: only their lengths were measured, and what lies
/// between them (waking a task) is too short to matter.
fn parts(tracer: &SdkTracer, p: &Prediction, request: &Context, end: SystemTime) {
    let t = &p.timing;
    let mut until = end;
    for (name, ns) in
        [("encode", t.encode_ns), ("engine", t.engine_ns), ("features", t.features_ns), ("queue", t.queue_ns)]
    {
        // Features are looked up only where they are declared.
        if ns == 0 && name == "features" {
            continue;
        }
        let from = before(until, ns);
        let mut span = tracer.span_builder(name).with_kind(SpanKind::Internal).with_start_time(from);
        if name == "engine" {
            span = span.with_attributes([KeyValue::new("mainspring.batch_rows", i64::from(p.batch_rows))]);
        }
        span.start_with_context(tracer, request).end_with_timestamp(until);
        until = from;
    }
}

fn before(time: SystemTime, ns: u64) -> SystemTime {
    time.checked_sub(Duration::from_nanos(ns)).unwrap_or(time)
}

//! What an OpenTelemetry collector receives.

use crate::harness::{Server, fixture, wait_for};
use crate::journey::identity_input;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

/// Keeps what it is sent: the resource's attributes, and the spans.
#[derive(Clone, Default)]
struct Collector {
    resource: Arc<Mutex<Vec<KeyValue>>>,
    spans: Arc<Mutex<Vec<Span>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            *self.resource.lock().unwrap() = resource.resource.unwrap_or_default().attributes;
            self.spans.lock().unwrap().extend(resource.scope_spans.into_iter().flat_map(|s| s.spans));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts to listen; returns the endpoint.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = tonic::service::Routes::new(TraceServiceServer::new(self.clone())).into_axum_router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        endpoint
    }

    fn find(&self, wanted: impl Fn(&Span) -> bool) -> Option<Span> {
        self.spans.lock().unwrap().iter().find(|s| wanted(s)).cloned()
    }

    fn children(&self, of: &Span) -> Vec<Span> {
        let spans = self.spans.lock().unwrap();
        let mut found: Vec<Span> = spans.iter().filter(|s| s.parent_span_id == of.span_id).cloned().collect();
        found.sort_by_key(|s| (s.start_time_unix_nano, s.end_time_unix_nano));
        found
    }
}

fn text_of(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|a| a.key == key)?;
    match &found.value {
        Some(AnyValue { value: Some(Value::StringValue(text)), .. }) => Some(text.clone()),
        Some(AnyValue { value: Some(Value::IntValue(n)), .. }) => Some(n.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_a_span_of_its_callers_trace_with_the_parts_of_its_time_under_it() {
    let collector = Collector::default();
    let dir = tempfile::tempdir().unwrap();
    // No request is traced but those whose caller traces.
    let flags = ["--otlp-endpoint", &collector.start().await, "--otlp-sample", "0"];
    let mut server = Server::on(&dir.path().join("data"), &flags).await;
    server.register("echo", &fixture("identity.onnx")).await;
    server.deploy("echo", "identity.onnx").await;
    let input = identity_input(&server, "echo").await;
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let infer = || server.request("POST", "/v2/models/echo/infer").header("traceparent", &parent);
    let response = infer().json(&input).send().await.unwrap();
    let id = response.headers()["mainspring-prediction-id"].to_str().unwrap().to_owned();
    assert_eq!(infer().json(&json!({})).send().await.unwrap().status(), 400);
    assert_eq!(server.post("/v2/models/echo/infer", &input).await.0, 200);
    // What waits in the exporter is sent at the end.
    assert!(server.stop().success());

    let by_id = |s: &Span| text_of(&s.attributes, "mainspring.prediction_id").as_ref() == Some(&id);
    let span = wait_for("the span", || collector.find(by_id)).await;
    assert_eq!((hex(&span.trace_id).as_str(), hex(&span.parent_span_id).as_str()), (TRACE, "b7ad6b7169203331"));
    assert_eq!(span.name, "POST /v2/models/{model}/infer");
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("http.route", "/v2/models/{model}/infer"),
        ("url.path", "/v2/models/echo/infer"),
        ("mainspring.deployment", "echo"),
        ("mainspring.variant", "stable"),
        ("mainspring.model_version", "2"),
        ("mainspring.rows", "1"),
    ] {
        assert_eq!(text_of(&span.attributes, key).as_deref(), Some(value), "{key}");
    }
    let parts = collector.children(&span);
    assert_eq!(parts.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["queue", "engine", "encode"]);
    for pair in parts.windows(2) {
        assert_eq!(pair[0].end_time_unix_nano, pair[1].start_time_unix_nano);
    }
    let (first, last) = (&parts[0], &parts[2]);
    assert!(first.start_time_unix_nano >= span.start_time_unix_nano, "{span:?} {first:?}");
    assert!(last.end_time_unix_nano <= span.end_time_unix_nano, "{span:?} {last:?}");
    assert!(parts[1].end_time_unix_nano > parts[1].start_time_unix_nano, "the engine took no time");

    let wrong = collector.find(|s| text_of(&s.attributes, "http.response.status_code").as_deref() == Some("400"));
    assert_eq!(text_of(&wrong.unwrap().attributes, "error.type").as_deref(), Some("invalid_input"));
    assert_eq!(collector.spans.lock().unwrap().len(), 5, "two requests and three parts; the third was not sampled");
    let resource = collector.resource.lock().unwrap();
    assert_eq!(text_of(&resource, "service.name").as_deref(), Some("mainspring"));
    assert!(text_of(&resource, "service.version").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_disturbs_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--otlp-endpoint", "http://127.0.0.1:9", "--otlp-sample", "1"];
    let mut server = Server::on(&dir.path().join("data"), &flags).await;
    server.deploy("echo", "identity.onnx").await;
    let input = identity_input(&server, "echo").await;
    for _ in 0..20 {
        assert_eq!(server.post("/v2/models/echo/infer", &input).await.0, 200);
    }
    assert!(server.stop().success());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, b| format!("{text}{b:02x}"))
}

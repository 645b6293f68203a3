//! Logs and traces of the process.

use crate::config::{LogFormat, Settings};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use std::io::IsTerminal as _;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Keeps the exporter alive; [`Telemetry::flush`] sends what is left.
#[derive(Debug, Default)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Why logs or traces could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("log.level = {filter:?} is not a log filter: {reason}")]
    Filter {
        /// Text given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The exporter cannot be made.
    #[error("cannot export traces to {endpoint}: {reason}")]
    Otlp {
        /// Endpoint given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Telemetry {
    /// Starts logging to standard error, and exporting traces when an endpoint is set. Must run
    /// inside the async runtime.
    ///
    /// # Errors
    /// [`TelemetryError`] when the filter or the endpoint is wrong.
    pub fn start(settings: &Settings) -> Result<Self, TelemetryError> {
        let filter = EnvFilter::try_new(&settings.log_level)
            .map_err(|e| TelemetryError::Filter { filter: settings.log_level.clone(), reason: e.to_string() })?;
        let lines = match settings.log_format {
            LogFormat::Text => tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()))
                .with_target(false)
                .boxed(),
            LogFormat::Json => tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).boxed(),
        };
        let provider = settings.otlp_endpoint.as_deref().map(|e| exporter(e, settings.otlp_sample)).transpose()?;
        let telemetry = Self { provider };
        let traces = telemetry.tracer().map(|tracer| {
            tracing_opentelemetry::layer().with_tracer(tracer).with_filter(tracing_subscriber::filter::filter_fn(
                |meta| meta.is_span() && meta.target() == TRACE_TARGET,
            ))
        });
        // A second start in one process (tests) keeps the first subscriber.
        let _already = tracing_subscriber::registry().with(lines.with_filter(filter)).with(traces).try_init();
        Ok(telemetry)
    }

    /// Where spans go; `None` when no traces are exported.
    pub fn tracer(&self) -> Option<SdkTracer> {
        self.provider.as_ref().map(|p| p.tracer("mainspring"))
    }

    /// Sends what is still waiting. Blocks up to the exporter's own timeout.
    pub fn flush(&self) {
        if let Some(provider) = &self.provider
            && let Err(e) = provider.shutdown()
        {
            tracing::warn!(error = %e, "the last traces could not be sent");
        }
    }
}

/// Target of the spans that are exported.
pub const TRACE_TARGET: &str = "mainspring::request";

fn exporter(endpoint: &str, sample: f64) -> Result<SdkTracerProvider, TelemetryError> {
    let span_exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|e| TelemetryError::Otlp { endpoint: endpoint.to_owned(), reason: e.to_string() })?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(span_exporter)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample))))
        .with_resource(resource())
        .build())
}

/// Who tells: with what `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` say.
pub fn resource() -> Resource {
    Resource::builder()
        .with_service_name("mainspring")
        .with_attribute(KeyValue::new("service.version", crate::VERSION))
        .build()
}

/// The attributes of a resource, with what tells this process from others.
pub fn told_by(resource: &Resource, instance: String) -> Vec<opentelemetry_proto::tonic::common::v1::KeyValue> {
    let of = resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let of = of.chain([KeyValue::new("service.instance.id", instance)]);
    opentelemetry_proto::transform::common::tonic::Attributes::from(of).0
}

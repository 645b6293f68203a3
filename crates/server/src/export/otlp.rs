//! Metrics to an OpenTelemetry collector: OTLP over gRPC, cumulative, what `/metrics` shows.
//!
//! Sums are since the start (or since they began anew), so that nothing is lost when a round is: it is tried a few
//! times, and the next round tells everything.

mod names;
mod points;
#[cfg(test)]
mod tests;

use crate::error::StartError;
use crate::metrics::Source;
use crate::telemetry::{resource, told_by};
use mainspring_core::{Ctx, ErrorKind};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use points::Series;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take at shutdown.
const LAST_PATIENCE: Duration = Duration::from_secs(2);
/// Tries of one round, and the wait after the first that failed; each further one is twice as long.
const TRIES: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Intervals until a collector that takes no metrics is asked again.
const DEAF: u32 = 10;

type Headers = Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>;

/// Tells a collector.
pub struct Exporter {
    client: MetricsServiceClient<Channel>,
    endpoint: String,
    interval: Duration,
    headers: Headers,
    resource: Resource,
    series: Series,
    failing: bool,
    /// Tenants that were left out last time.
    left_out: usize,
}

impl Exporter {
    /// To `endpoint`, every `interval`.
    ///
    /// # Errors
    /// [`StartError`] when the address or a header of `OTEL_EXPORTER_OTLP_HEADERS` cannot be used.
    pub fn new(endpoint: &str, interval: Duration, replica: String, ctx: &Ctx) -> Result<Self, StartError> {
        let address = Endpoint::from_shared(endpoint.to_owned()).map_err(|e| wrong("use otlp.endpoint", e))?;
        let channel = address.connect_timeout(PATIENCE).timeout(PATIENCE).connect_lazy();
        let given = ["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
        let given = given.into_iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
        Ok(Self {
            client: MetricsServiceClient::new(channel),
            endpoint: endpoint.to_owned(),
            interval,
            headers: headers(&given).map_err(|e| wrong("read OTEL_EXPORTER_OTLP_HEADERS", e))?,
            resource: Resource { attributes: told_by(&resource(), replica), ..Resource::default() },
            series: Series::new(nanos(ctx)),
            failing: false,
            left_out: 0,
        })
    }

    /// Until shutdown; then once more.
    pub async fn run(mut self, source: Source, ctx: Ctx) {
        let stop = ctx.tasks.cancelled();
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let Some(request) = self.request(&source, &ctx) else { continue };
            match stop.run_until_cancelled(self.round(&request)).await {
                Some(Err(status)) if status.code() == Code::Unimplemented => {
                    tracing::info!(endpoint = self.endpoint, "the collector takes no metrics; it is asked again later");
                    // One that was set up anew may take them.
                    if stop.run_until_cancelled(tokio::time::sleep(self.interval * DEAF)).await.is_none() {
                        return;
                    }
                }
                Some(outcome) => self.note(outcome),
                None => break,
            }
        }
        if let Some(request) = self.request(&source, &ctx) {
            match tokio::time::timeout(LAST_PATIENCE, self.send(&request)).await {
                Ok(Ok(())) => {}
                Ok(Err(status)) => tracing::warn!(error = %status.message(), "the last metrics could not be sent"),
                Err(_) => tracing::warn!("the last metrics could not be sent in time"),
            }
        }
    }

    fn request(&mut self, source: &Source, ctx: &Ctx) -> Option<ExportMetricsServiceRequest> {
        let families = super::everything(source, &mut self.left_out)?;
        let metrics = self.series.metrics(&families, nanos(ctx));
        let scope = InstrumentationScope {
            name: "mainspring".into(),
            version: crate::VERSION.into(),
            ..InstrumentationScope::default()
        };
        let scope = ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() };
        let of = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![scope],
            schema_url: String::new(),
        };
        Some(ExportMetricsServiceRequest { resource_metrics: vec![of] })
    }

    async fn round(&self, request: &ExportMetricsServiceRequest) -> Result<(), Status> {
        let mut wait = FIRST_WAIT;
        for _ in 1..TRIES {
            match self.send(request).await {
                Err(status) if passes(status.code()) => tokio::time::sleep(wait.min(self.interval)).await,
                outcome => return outcome,
            }
            wait *= 2;
        }
        self.send(request).await
    }

    async fn send(&self, request: &ExportMetricsServiceRequest) -> Result<(), Status> {
        let mut request = Request::new(request.clone());
        for (key, value) in &self.headers {
            request.metadata_mut().insert(key.clone(), value.clone());
        }
        let answer = self.client.clone().export(request).await?.into_inner();
        if let Some(part) = answer.partial_success.filter(|p| p.rejected_data_points > 0) {
            let (points, why) = (part.rejected_data_points, part.error_message);
            tracing::warn!(points, why, "the collector refused some metrics");
        }
        Ok(())
    }

    /// Says once that it fails, and once that it works again.
    fn note(&mut self, outcome: Result<(), Status>) {
        match (outcome, self.failing) {
            (Err(status), false) => {
                let (endpoint, error) = (&self.endpoint, status.message());
                tracing::warn!(endpoint, code = ?status.code(), error, "metrics could not be sent; trying on");
                self.failing = true;
            }
            (Ok(()), true) => {
                tracing::info!(endpoint = self.endpoint, "metrics are sent again");
                self.failing = false;
            }
            _ => {}
        }
    }
}

fn wrong(doing: &'static str, why: impl std::fmt::Display) -> StartError {
    StartError::Part { doing, kind: ErrorKind::InvalidInput, message: why.to_string(), hint: None }
}

fn nanos(ctx: &Ctx) -> u64 {
    u64::try_from(ctx.now().micros()).unwrap_or(0).saturating_mul(1_000)
}

/// What OTLP says may work when it is tried again.
fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Aborted
            | Code::OutOfRange
            | Code::DataLoss
            | Code::ResourceExhausted
    )
}

/// `key=value,key=value` with values percent-encoded.
fn headers(text: &str) -> Result<Headers, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').ok_or("a header is not KEY=VALUE")?;
            let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8();
            let value = value.map_err(|_| format!("the value of {key:?} is no text"))?;
            let key = key.trim().to_ascii_lowercase();
            let parsed = key.parse().map_err(|_| format!("{key:?} is no name of a header"))?;
            let value = value.parse().map_err(|_| format!("the value of {key:?} cannot be sent"))?;
            Ok((parsed, value))
        })
        .collect()
}

//! Metrics to Amazon CloudWatch: `PutMetricData`, or documents of the Embedded Metric Format for whoever reads the log.
//!
//! Every series costs money there, so that only what is asked for is told, by few dimensions, and at most so many.

mod data;
mod emf;
mod put;
#[cfg(test)]
mod tests;

pub use data::By;
pub use emf::Sink;

use crate::alerts::Sender;
use crate::error::StartError;
use crate::metrics::Source;
use data::{Datum, Metric, Tally};
use mainspring_artifact::AwsSigner;
use mainspring_core::Ctx;
use mainspring_http::Reach;
use std::time::Duration;

/// How long the last round may take.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// What is told, and to whom.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    /// Where documents go.
    pub emf: Option<Sink>,
    /// Which region's service is called.
    pub region: Option<String>,
    /// At which address, where it is not Amazon's own.
    pub endpoint: Option<String>,
    /// Of all metrics.
    pub namespace: String,
    /// How often.
    pub interval: Duration,
    /// Which metrics.
    pub metrics: Vec<Metric>,
    /// By what.
    pub by: By,
    /// Series at most.
    pub most: usize,
}

/// Tells, once an interval.
pub struct Exporter {
    how: CloudWatch,
    tally: Tally,
    put: Option<put::Putter>,
    replica: String,
    failing: bool,
    left_out: bool,
    /// Tenants that were left out last time.
    tenants_left_out: usize,
}

impl Exporter {
    /// As the settings say; `replica` tells this process from others.
    ///
    /// # Errors
    /// [`StartError`] when TLS or the settings of AWS cannot be used.
    pub fn new(how: &CloudWatch, replica: String) -> Result<Self, StartError> {
        let put = how.region.as_ref().map(|region| {
            let aws = AwsSigner::new(&[]).map_err(StartError::part("read the settings of AWS"))?;
            let sender =
                Sender::new(Reach::Anywhere, aws).map_err(StartError::part("make ready to call CloudWatch"))?;
            Ok::<_, StartError>(put::Putter::new(sender, region, how.endpoint.as_deref()))
        });
        let tally = Tally::new(how.metrics.clone(), how.by);
        Ok(Self {
            how: how.clone(),
            tally,
            put: put.transpose()?,
            replica,
            failing: false,
            left_out: false,
            tenants_left_out: 0,
        })
    }

    /// Until shutdown; then once more.
    pub async fn run(mut self, source: Source, ctx: Ctx) {
        let stop = ctx.tasks.cancelled();
        let mut ticks = tokio::time::interval(self.how.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let Some(data) = self.data(&source) else { continue };
            // What was not sent until shutdown waits, and is sent with the last numbers.
            let Some(outcome) = stop.run_until_cancelled(self.tell(&data, &ctx)).await else { break };
            self.note(outcome);
        }
        if let Some(data) = self.data(&source) {
            match tokio::time::timeout(LAST_PATIENCE, self.tell(&data, &ctx)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(error, "the last numbers did not reach CloudWatch"),
                Err(_) => tracing::warn!("the last numbers did not reach CloudWatch in time"),
            }
        }
    }

    fn data(&mut self, source: &Source) -> Option<Vec<Datum>> {
        let families = super::everything(source, &mut self.tenants_left_out)?;
        let mut data = self.tally.data(&families);
        if data.len() > self.how.most {
            let (series, most) = (data.len(), self.how.most);
            if !std::mem::replace(&mut self.left_out, true) {
                tracing::warn!(
                    series,
                    most,
                    "more series than cloudwatch.most; the last ones are left out, those of the last tenants first"
                );
            }
            data.truncate(most);
        }
        Some(data)
    }

    async fn tell(&mut self, data: &[Datum], ctx: &Ctx) -> Result<(), String> {
        let (namespace, at) = (self.how.namespace.as_str(), ctx.now());
        let written = match &self.how.emf {
            Some(sink) => sink.write(&emf::documents((namespace, &self.replica), at, data)).await,
            None => Ok(()),
        };
        if let Some(put) = &mut self.put {
            put.put(put::bodies(namespace, at, data), &ctx.tasks.cancelled()).await?;
        }
        written
    }

    /// Says once that it fails, and once that it works again.
    fn note(&mut self, outcome: Result<(), String>) {
        match (outcome, self.failing) {
            (Err(error), false) => {
                tracing::warn!(error, "metrics did not reach CloudWatch; trying on");
                self.failing = true;
            }
            (Ok(()), true) => {
                tracing::info!("metrics reach CloudWatch again");
                self.failing = false;
            }
            _ => {}
        }
    }
}

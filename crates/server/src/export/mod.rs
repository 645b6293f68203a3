//! What is measured, told to others by itself: an OpenTelemetry collector, Amazon CloudWatch.

mod cloudwatch;
mod otlp;

pub use cloudwatch::{By, CloudWatch};

use crate::config::Settings;
use crate::error::StartError;
use crate::metrics::{Everything, Families, Source};
use mainspring_core::Ctx;

/// Starts what the settings ask for; it ends at shutdown, after it has told the last numbers. `replica` tells this process
/// from others.
///
/// # Errors
/// [`StartError`] when a receiver's address cannot be used.
pub fn start(settings: &Settings, source: &Source, replica: String, ctx: &Ctx) -> Result<(), StartError> {
    if let (Some(endpoint), Some(interval)) = (&settings.otlp_endpoint, settings.otlp_interval) {
        let exporter = otlp::Exporter::new(endpoint, interval, replica.clone(), ctx)?;
        drop(ctx.tasks.spawn_graceful(exporter.run(source.clone(), ctx.clone())));
    }
    if settings.cloudwatch.region.is_some() || settings.cloudwatch.emf.is_some() {
        let exporter = cloudwatch::Exporter::new(&settings.cloudwatch, replica)?;
        drop(ctx.tasks.spawn_graceful(exporter.run(source.clone(), ctx.clone())));
    }
    Ok(())
}

/// What all tenants do; says so when more or fewer of them than last time, `before`, are left out.
fn everything(source: &Source, before: &mut usize) -> Option<Families> {
    let all = source.everything();
    let Everything { families, left_out } =
        all.inspect_err(|error| tracing::error!(%error, "the server may not read its metrics")).ok()?;
    if std::mem::replace(before, left_out) != left_out && left_out > 0 {
        tracing::warn!(tenants = left_out, "more series than are told; the last tenants by name are left out");
    }
    Some(families)
}

//! What is measured, told to others by itself: an OpenTelemetry collector.

mod otlp;

use crate::config::Settings;
use crate::error::StartError;
use crate::metrics::Source;
use mainspring_core::Ctx;

/// Starts what the settings ask for; it ends at shutdown, after it has told the last numbers. `replica` tells this process
/// from others.
///
/// # Errors
/// [`StartError`] when a receiver's address cannot be used.
pub fn start(settings: &Settings, source: &Source, replica: String, ctx: &Ctx) -> Result<(), StartError> {
    if let (Some(endpoint), Some(interval)) = (&settings.otlp_endpoint, settings.otlp_interval) {
        let exporter = otlp::Exporter::new(endpoint, interval, replica, ctx)?;
        drop(ctx.tasks.spawn_graceful(exporter.run(source.clone(), ctx.clone())));
    }
    Ok(())
}

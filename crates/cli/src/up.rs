//! `mainspring up`.

use crate::args::ServerArgs;
use crate::error::CliError;
use crate::output::note;
use mainspring_core::ErrorKind;
use mainspring_server::config::{Layers, Resolved, Settings};
use mainspring_server::telemetry::Telemetry;
use owo_colors::OwoColorize;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often the allocator is asked to give memory back.
const SETTLE: Duration = Duration::from_secs(1);

/// Resolves the settings from flags, environment, file and defaults.
///
/// # Errors
/// [`CliError`] naming the source, the setting and the value at fault.
pub fn resolve(args: &ServerArgs) -> Result<(Resolved, Settings), CliError> {
    let mut layers = Layers { flags: args.flags.clone(), env: std::env::vars().collect(), file: None };
    let fail = |e: mainspring_server::config::ConfigError| CliError::from_failure(&e);
    if let Some(path) = &args.config {
        layers = layers.with_file(path).map_err(fail)?;
    } else if Path::new("mainspring.toml").is_file() {
        layers = layers.with_file(Path::new("mainspring.toml")).map_err(fail)?;
    }
    let resolved = layers.resolve().map_err(fail)?;
    let settings = Settings::from_resolved(&resolved).map_err(fail)?;
    Ok((resolved, settings))
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// [`CliError`] when it cannot start, or stops by itself.
pub async fn run(args: &ServerArgs) -> Result<ExitCode, CliError> {
    let began = Instant::now();
    let (resolved, settings) = resolve(args)?;
    let telemetry = Telemetry::start(&settings).map_err(|e| CliError::new(ErrorKind::InvalidInput, e.to_string()))?;
    let grace = settings.shutdown_grace;
    let server =
        mainspring_server::start(settings, Some(resolved), &telemetry).await.map_err(|e| CliError::from_failure(&e))?;
    banner(&server, began);

    let signal = settled(stop_signal()).await?;
    note(format!("\n{signal}: finishing running requests (at most {} s; again to stop at once)", grace.as_secs()));
    let forced = tokio::select! {
        clean = server.shutdown(grace) => !clean,
        _again = stop_signal() => true,
    };
    // The exporter blocks on its own connection; the runtime's threads must stay free meanwhile.
    let _sent = tokio::task::spawn_blocking(move || telemetry.flush()).await;
    if forced {
        note("stopped before every request was finished".yellow());
        return Ok(ExitCode::FAILURE);
    }
    note("stopped");
    Ok(ExitCode::SUCCESS)
}

fn banner(server: &mainspring_server::Running, began: Instant) {
    let about = server.about();
    let row = |name: &str, value: &str| note(format!("  {:<10} {value}", name.dimmed()));
    note(format!(
        "{} {} ready in {:.2} s",
        "mainspring".bold(),
        mainspring_server::VERSION,
        began.elapsed().as_secs_f64()
    ));
    row("url", &about.url.cyan().to_string());
    row("console", &format!("{}/ui/", about.url).cyan().to_string());
    row("data", &about.data);
    row("metadata", &about.database);
    row("artifacts", &about.artifacts);
    row("engine", &about.engine);
    for remark in &about.remarks {
        note(format!("  {} {remark}", "!".yellow()));
    }
}

/// Waits for `end`, and meanwhile has the allocator give back what it no longer needs.
async fn settled<T>(end: impl Future<Output = T>) -> T {
    let mut end = std::pin::pin!(end);
    loop {
        match tokio::time::timeout(SETTLE, end.as_mut()).await {
            Ok(ended) => return ended,
            Err(_) => mainspring_process::settle(),
        }
    }
}

/// Waits for Ctrl-C or SIGTERM and says which it was.
async fn stop_signal() -> Result<&'static str, CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    let fail = |e: std::io::Error| CliError::new(ErrorKind::Internal, format!("cannot listen for signals: {e}"));
    let mut term = signal(SignalKind::terminate()).map_err(fail)?;
    let mut int = signal(SignalKind::interrupt()).map_err(fail)?;
    Ok(tokio::select! {
        _ = int.recv() => "interrupted",
        _ = term.recv() => "asked to stop",
    })
}

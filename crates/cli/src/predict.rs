//! `mainspring predict`: the model of a server over a whole file, on this machine.

mod model;
mod progress;

use crate::args::PredictArgs;
use crate::client::Server;
use crate::error::CliError;
use crate::output::{Mark, line, mark, note, size};
use crate::up::resolve;
use mainspring_batch::{BatchError, Finished, Format, Job, LoadedModel, OnError, Place, Report};
use mainspring_core::{Ctx, ErrorKind};
use mainspring_engine::{Environment, Watch, Worker, WrongLimit};
use owo_colors::OwoColorize;
use progress::Bar;
use serde_json::json;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folders for engines that processes of one user hold at a time.
const SLOTS: usize = 64;

/// Runs a model over a file.
///
/// # Errors
/// [`CliError`] naming the row and the column where it is about one.
pub async fn run(server: &Server, args: &PredictArgs, output: Option<&str>) -> Result<(), CliError> {
    let Some(output) = output else {
        return Err(
            CliError::new(ErrorKind::InvalidInput, "predict has no file to write").hint("name it: -o out.parquet")
        );
    };
    let on_error: OnError = args.on_error.parse().map_err(|e: String| CliError::new(ErrorKind::InvalidInput, e))?;
    if on_error == OnError::Fail && args.max_errors.is_some() {
        let message = "--max-errors says how many rows may fail, and --on-error fail lets none";
        return Err(CliError::new(ErrorKind::InvalidInput, message).hint("add --on-error skip or --on-error keep"));
    }
    let fail = |e: BatchError| CliError::from_failure(&e);
    let worker = worker(args)?;
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    let (input, output) = (Place::parse(&args.input, &[]).map_err(fail)?, Place::parse(output, &[]).map_err(fail)?);
    let cache = cache()?;
    let job = Job {
        input,
        input_format: format(args.input_format.as_deref())?,
        output,
        output_format: format(args.output_format.as_deref())?,
        columns: args.columns.clone(),
        prefix: args.prefix.clone(),
        threads,
        batch_rows: args.batch_rows,
        on_error,
        max_errors: args.max_errors,
        restart: args.restart,
        overwrite: args.overwrite,
        id: Ctx::system().event_id(),
        scratch: cache.join("predict"),
    };
    let bar = Arc::new(Bar::new());
    bar.say("fetching the model");
    let (id, root) = model::fetch(server, &args.model, &cache.join("models")).await?;
    // Held until the end: what is in it goes with the next process that takes it.
    let (engines_folder, _slot) = slot(&cache.join("engines"))?;
    let (resolved, mut settings) = resolve(&args.settings())?;
    let told = resolved.rows().into_iter().any(|(key, value, _)| key.name == "python-models" && value != "auto");
    // The code of a model is trusted as far as the server is: one on this machine is the user's own.
    settings.python_models &= told || server.on_this_machine();
    let engines =
        mainspring_server::open_engines(&settings, &engines_folder).await.map_err(|e| CliError::from_failure(&e))?.all;
    let says = Arc::clone(&bar);
    let watch = Watch::new(move |text| says.say(text), || false);
    let loaded = tokio::task::spawn_blocking(move || LoadedModel::open(&engines, &root, id, (threads, worker, watch)))
        .await
        .map_err(|e| CliError::new(ErrorKind::Internal, format!("opening the model broke off: {e}")))?
        .map_err(fail)?;
    let shown = Arc::clone(&bar);
    let outcome = mainspring_batch::run(job, loaded, Arc::new(move |at| shown.show(at))).await;
    bar.clear();
    let finished = outcome.map_err(fail)?;
    tell(server, &finished.report).await?;
    summary(&finished);
    finished.close().map_err(fail)
}

/// How a model in Python runs.
fn worker(args: &PredictArgs) -> Result<Worker, CliError> {
    let usual = Worker::default();
    let worker = Worker {
        environment: if args.environment == "own" { Environment::Own } else { Environment::Shared },
        timeout: args.timeout.map_or(usual.timeout, |limit| limit.0),
        start_timeout: args.start_timeout.map_or(usual.start_timeout, |limit| limit.0),
        memory: args.memory.map(|limit| limit.0),
        // It is the user's own model, on their own rows.
        show_errors: true,
    };
    let Some(wrong) = worker.wrong() else { return Ok(worker) };
    let flag = match wrong {
        WrongLimit::Timeout => "--timeout",
        WrongLimit::StartTimeout => "--start-timeout",
        WrongLimit::Memory => "--memory",
    };
    Err(CliError::new(ErrorKind::InvalidInput, format!("{flag} must be {}", wrong.expected())))
}

fn format(text: Option<&str>) -> Result<Option<Format>, CliError> {
    text.map(str::parse).transpose().map_err(|e: String| CliError::new(ErrorKind::InvalidInput, e))
}

/// `$XDG_CACHE_HOME/mainspring`.
fn cache() -> Result<PathBuf, CliError> {
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|p| !p.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").filter(|p| !p.is_empty()).map(|h| Path::new(&h).join(".cache"));
    base.or_else(home).map(|b| b.join("mainspring")).ok_or_else(|| {
        CliError::new(ErrorKind::InvalidInput, "there is no folder for copies of models")
            .hint("set HOME or XDG_CACHE_HOME")
    })
}

/// A folder that no other process uses now.
fn slot(root: &Path) -> Result<(PathBuf, File), CliError> {
    let failed = |path: &Path, e: std::io::Error| {
        CliError::new(ErrorKind::Internal, format!("cannot use {}: {e}", path.display()))
    };
    for at in 0..SLOTS {
        let folder = root.join(at.to_string());
        std::fs::create_dir_all(&folder).map_err(|e| failed(&folder, e))?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(|e| failed(&path, e))?;
        match lock.try_lock() {
            Ok(()) => return Ok((folder, lock)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(failed(&path, e)),
        }
    }
    Err(CliError::new(ErrorKind::Unavailable, format!("{SLOTS} runs use {} already", root.display())))
}

/// A path as it is from everywhere on this machine.
fn whole(place: &str) -> String {
    match std::path::absolute(place) {
        Ok(path) if !place.contains("://") => path.display().to_string(),
        _ => place.to_owned(),
    }
}

/// The run is one event of the server's journal.
async fn tell(server: &Server, report: &Report) -> Result<(), CliError> {
    let body = json!({
        "id": report.id,
        "model": report.model.name,
        "version": report.model.version,
        "input": whole(&report.input),
        "output": whole(&report.output),
        "rows": report.rows,
        "bytes": report.bytes,
        "batchRows": report.batch_rows,
        "engineMs": report.engine_ns as f64 / 1e6,
        "tookMs": report.took.as_secs_f64() * 1e3,
    });
    server.post("/api/v1/batches", &body).await.map(drop).map_err(|e| {
        let message = format!("{} is written, but the server could not be told of the run: {e}", report.output);
        CliError::new(e.kind, message).hint("run the same command again: it only tells the server then")
    })
}

fn summary(finished: &Finished) {
    let report = &finished.report;
    let seconds = report.took.as_secs_f64();
    let new = report.rows - report.resumed;
    note(format!(
        "{} rows in {seconds:.1} s ({:.0} rows/s, {} a call, {})",
        report.rows,
        new as f64 / seconds.max(1e-9),
        report.batch_rows,
        report.engine
    ));
    if report.resumed > 0 {
        note(format!("  {} of them were done by an earlier run", report.resumed));
    }
    if report.failed > 0 {
        let told = report.failures.clone().unwrap_or_else(|| "the column prediction_error".into());
        note(mark(Mark::Warn, format!("{} rows have no answer; {told} says why", report.failed)));
    }
    let row = |name: &str, value: String| line(format!("{:<14} {value}", name.dimmed()));
    row("model", format!("{} version {}", report.model.name, report.model.version));
    row("output", format!("{} ({})", report.output, size(report.bytes)));
    row("prediction id", report.id.clone());
}

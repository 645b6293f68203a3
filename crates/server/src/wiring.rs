//! Opening each part with the settings it needs.

use crate::config::{JournalSync, Settings};
use crate::data::DataDir;
use crate::error::StartError;
use mainspring_artifact::{ArtifactPath, Artifacts};
use mainspring_core::{Ctx, Failure};
use mainspring_engine::Engine;
use mainspring_engine_onnx::OnnxRuntime;
use mainspring_engine_python::{PythonRuntime, PythonSettings};
use mainspring_engine_text::TextRuntime;
use mainspring_journal::{Journal, JournalSettings, Retention, SyncMode};
use mainspring_store::{Db, DbSettings, MigrationSet, Pending, StoreError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Every domain's tables.
pub(crate) const MIGRATIONS: &[MigrationSet] = &[
    mainspring_registry::MIGRATIONS,
    mainspring_resource::MIGRATIONS,
    mainspring_security::MIGRATIONS,
    mainspring_journal::MIGRATIONS,
    mainspring_personalize::MIGRATIONS,
    mainspring_rollout::MIGRATIONS,
    mainspring_rollout::NEWS_MIGRATIONS,
    mainspring_monitor::live::MIGRATIONS,
    mainspring_convert::MIGRATIONS,
    mainspring_lineage::MIGRATIONS,
    mainspring_alert::MIGRATIONS,
];

fn database_settings(settings: &Settings) -> DbSettings {
    match &settings.database {
        Some(url) => DbSettings::postgres(url.clone()),
        None => DbSettings::sqlite(settings.data.join("mainspring.db")),
    }
}

/// Opens the metadata database and brings its schema up to date.
///
/// # Errors
/// [`StartError`] when it does not answer, or a newer version made it.
pub async fn open_database(settings: &Settings, ctx: &Ctx) -> Result<Db, StartError> {
    Db::open(&database_settings(settings), MIGRATIONS, ctx)
        .await
        .map_err(StartError::part("open the metadata database"))
}

/// What a start would apply to the database. Changes nothing.
///
/// # Errors
/// Why it cannot be used.
pub async fn pending_migrations(settings: &Settings) -> Result<Pending, StoreError> {
    Db::pending(&database_settings(settings), MIGRATIONS, &Ctx::system()).await
}

/// Copies the database into a new file, as it is.
///
/// # Errors
/// [`StoreError::Backup`].
pub async fn back_up_database(settings: &Settings, to: &std::path::Path) -> Result<(), StoreError> {
    Db::backup(&database_settings(settings), to).await
}

/// Opens the artifact store.
///
/// # Errors
/// [`StartError`] when the folder or the bucket cannot be used.
pub fn open_artifacts(settings: &Settings, data: &DataDir) -> Result<Artifacts, StartError> {
    let local = data.artifacts();
    let url = settings.artifacts.clone().unwrap_or_else(|| local.to_string_lossy().into_owned());
    Artifacts::open(&url, &data.cache()).map_err(StartError::part("open the artifact store"))
}

/// Writes a small object to the artifact store, reads it and deletes it.
///
/// # Errors
/// What the store said.
pub async fn probe_artifacts(settings: &Settings) -> Result<(), String> {
    let url = settings.artifacts.clone().unwrap_or_default();
    let say = |e: &dyn Failure| e.to_string();
    let store = Artifacts::open(&url, &settings.data.join("cache")).map_err(|e| say(&e))?;
    let path = ArtifactPath::parse(&format!("probe-{}/x", std::process::id())).map_err(|e| e.to_string())?;
    store.put(&path, "probe".into()).await.map_err(|e| say(&e))?;
    store.get(&path).await.map_err(|e| say(&e))?;
    store.delete_prefix(&path).await.map_err(|e| say(&e))?;
    Ok(())
}

/// Opens the journal and recovers what a crash left.
///
/// # Errors
/// [`StartError`] when its folder cannot be used.
pub async fn open_journal(
    settings: &Settings,
    data: &DataDir,
    (artifacts, db): (&Artifacts, &Db),
    ctx: &Ctx,
) -> Result<Journal, StartError> {
    let defaults = JournalSettings::new(data.journal());
    let (sync, emit_every) = match settings.journal_sync {
        JournalSync::Interval(every) => (SyncMode::Interval(every), defaults.emit_every.min(every)),
        JournalSync::Always => (SyncMode::Always, defaults.emit_every),
    };
    let journal = JournalSettings {
        sync,
        emit_every,
        max_bytes: settings.journal_memory,
        seal_after: settings.journal_seal_after,
        retention: Retention { days: Some(days(settings.journal_keep)), bytes: Some(settings.journal_keep_bytes) },
        quiet: mainspring_process::settle_thread,
        ..defaults
    };
    Journal::open(journal, artifacts.clone(), db.clone(), ctx.clone())
        .await
        .map_err(StartError::part("open the journal"))
}

/// Whole days, rounded up; the journal's files are by day.
fn days(keep: Duration) -> u32 {
    u32::try_from(keep.as_secs().div_ceil(86_400)).unwrap_or(u32::MAX)
}

/// Every engine of this process.
pub struct Engines {
    /// ONNX Runtime, or why it is missing.
    pub onnx: OnnxRuntime,
    /// Models in processes of their own.
    pub python: PythonRuntime,
    /// All of them, as deployments ask them.
    pub all: Vec<Arc<dyn Engine>>,
}

/// Opens every engine, in the order in which they are asked: the first that runs one of a model's flavors
/// runs it. `python` is a folder of this process's own.
///
/// # Errors
/// [`StartError::Engine`] when the folder cannot be used.
pub async fn open_engines(settings: &Settings, python: &Path) -> Result<Engines, StartError> {
    let (library, threads) = (settings.onnxruntime.clone(), settings.engine_threads);
    // Loading the library maps 20 MB and runs its initialisers.
    let onnx = tokio::task::spawn_blocking(move || OnnxRuntime::open(library.as_deref(), threads))
        .await
        .map_err(|e| StartError::Engine(e.to_string()))?;
    let settings =
        PythonSettings { python: settings.python.clone(), folder: python.to_owned(), allowed: settings.python_models };
    let python = PythonRuntime::open(settings).map_err(|e| StartError::Engine(format!("{}: {e}", python.display())))?;
    let text = TextRuntime::over(Arc::new(onnx.clone()));
    Ok(Engines { all: vec![Arc::new(text), Arc::new(python.clone())], onnx, python })
}

/// Where ONNX Runtime is, and which version.
///
/// # Errors
/// Where it was looked for, and how to get it.
pub fn find_onnx_runtime(settings: &Settings) -> Result<String, String> {
    mainspring_engine_onnx::find(settings.onnxruntime.as_deref())
        .map(|found| found.to_string())
        .map_err(|e| e.to_string())
}

/// Which Python the server would use.
///
/// # Errors
/// Where it was looked for.
pub fn find_python(settings: &Settings) -> Result<mainspring_engine_python::Found, String> {
    mainspring_engine_python::find(settings.python.as_deref()).map_err(|e| e.to_string())
}

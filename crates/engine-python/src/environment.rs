//! Environments built from what models ask for, kept by what they hold.

mod build;
mod keep;
mod named;
#[cfg(test)]
mod tests;

pub(crate) use keep::Held;

use crate::find::{Found, ask, on_path};
use build::Build;
use mainspring_engine::{EngineError, Watch};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Changes when environments are built in another way, so that old ones are not taken for new ones.
const RECIPE: &str = "1";
/// How often a load looks whether another one has finished the same environment.
const POLL: Duration = Duration::from_millis(100);

/// The folder of environments. Each is called by the digest of what it was built from, and is either
/// whole or not there.
#[derive(Debug)]
pub(crate) struct Environments {
    folder: PathBuf,
    held: keep::Holders,
}

/// What a model asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its `requirements.txt`.
    pub requirements: String,
    /// The version of Python that it was logged with, when it says one.
    pub python: Option<String>,
}

impl Environments {
    pub fn new(folder: PathBuf) -> Self {
        let new = Self { folder, held: keep::Holders::default() };
        new.sweep(keep::LIMITS);
        new
    }

    /// The interpreter of the environment for the model in `root`, built now if it has to be. `own` is
    /// the server's Python.
    ///
    /// # Errors
    /// [`EngineError::Load`] naming what cannot be installed; [`EngineError::GivenUp`].
    pub fn of(&self, root: &Path, own: Result<Found, EngineError>, watch: &Watch) -> Result<PathBuf, EngineError> {
        let path = root.join("requirements.txt").display().to_string();
        let failed = |reason: String| EngineError::Load { path: path.clone(), reason };
        let wanted = read(root).map_err(|e| {
            failed(format!(
                "{e}, so there is nothing to build its environment from; log it with the log_model of mlflow, or declare \
                 engine.python.env: shared to run it in the server's own Python"
            ))
        })?;
        let uv = on_path("uv");
        let (python, version) = choose(&wanted, own, uv.is_some()).map_err(&failed)?;
        let id = digest(&named::with_files(root, &wanted.requirements), &version);
        let build = |part: &Path| {
            Build { root, requirements: &wanted.requirements, python: &python, uv: uv.as_deref(), part }.run(watch)
        };
        self.layer(&id, watch, build).map_err(|why| match why {
            EngineError::Load { reason, .. } => failed(reason),
            other => other,
        })
    }

    /// The interpreter of the environment called `id`, which `build` makes in the folder that it is given
    /// unless it is there.
    ///
    /// # Errors
    /// What `build` says; [`EngineError::Load`] when the folder cannot be written;
    /// [`EngineError::GivenUp`].
    pub fn layer(
        &self,
        id: &str,
        watch: &Watch,
        build: impl FnOnce(&Path) -> Result<(), EngineError>,
    ) -> Result<PathBuf, EngineError> {
        let failed = |reason: String| EngineError::Load { path: self.folder.display().to_string(), reason };
        let environment = self.folder.join(id);
        let interpreter = environment.join("bin/python");
        if interpreter.exists() {
            keep::used(&environment);
            return Ok(interpreter);
        }
        std::fs::create_dir_all(&self.folder).map_err(|e| failed(format!("{}: {e}", self.folder.display())))?;
        let _lock = self.lock(id, watch, &failed)?;
        if interpreter.exists() {
            keep::used(&environment);
            return Ok(interpreter);
        }
        let part = self.folder.join(format!("{id}.part"));
        let built = build(&part).and_then(|()| {
            keep::weigh(&part);
            std::fs::rename(&part, &environment).map_err(|e| failed(format!("{}: {e}", environment.display())))
        });
        if let Err(why) = built {
            if let Err(error) = std::fs::remove_dir_all(&part) {
                tracing::debug!(%error, path = %part.display(), "nothing to take away of a failed environment");
            }
            return Err(why);
        }
        tracing::info!(environment = %environment.display(), "a Python environment is built");
        keep::used(&environment);
        let _held = self.hold(&interpreter);
        self.sweep(keep::LIMITS);
        Ok(interpreter)
    }

    /// One load at a time builds an environment; the lock goes with the process that holds it.
    fn lock(&self, id: &str, watch: &Watch, failed: &dyn Fn(String) -> EngineError) -> Result<File, EngineError> {
        let path = self.folder.join(format!("{id}.lock"));
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|e| failed(format!("{}: {e}", path.display())))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if watch.gone() => return Err(EngineError::GivenUp),
                Err(TryLockError::WouldBlock) => {
                    watch.say("waiting for another load, which builds the same Python environment");
                    std::thread::sleep(POLL);
                }
                Err(TryLockError::Error(e)) => return Err(failed(format!("{}: {e}", path.display()))),
            }
        }
    }
}

/// What the model in `root` asks for.
fn read(root: &Path) -> Result<Wanted, String> {
    let requirements = std::fs::read_to_string(root.join("requirements.txt"))
        .map_err(|_| "the model has no requirements.txt".to_owned())?;
    let python = std::fs::read_to_string(root.join("python_env.yaml")).ok().and_then(|text| python_of(&text));
    Ok(Wanted { requirements, python })
}

/// `3.11.7` of the line `python: 3.11.7` of a `python_env.yaml`.
fn python_of(text: &str) -> Option<String> {
    let value = text.lines().find_map(|l| l.strip_prefix("python:"))?;
    let value = value.trim().trim_matches(['"', '\'']);
    let plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_digit() || c == '.');
    plain.then(|| value.to_owned())
}

/// `3.11` of `3.11.7`.
fn minor(version: &str) -> &str {
    version.match_indices('.').nth(1).map_or(version, |(at, _)| &version[..at])
}

/// The interpreter (or, for uv, the version) to build with, and its version. What was pickled by one
/// minor version of Python is not sure to load in another.
fn choose(wanted: &Wanted, own: Result<Found, EngineError>, uv: bool) -> Result<(PathBuf, String), String> {
    let Some(version) = wanted.python.as_deref() else {
        return own.map(|found| (found.path, found.version)).map_err(|e| e.to_string());
    };
    if let Ok(found) = &own
        && minor(&found.version) == minor(version)
    {
        return Ok((found.path.clone(), found.version.clone()));
    }
    let program = format!("python{}", minor(version));
    if let Some(path) = on_path(&program)
        && let Ok((found, _)) = ask(&path)
    {
        return Ok((path, found));
    }
    if uv {
        // It finds or fetches the version.
        return Ok((minor(version).into(), minor(version).to_owned()));
    }
    let own = own.map_or_else(|e| e.to_string(), |found| found.to_string());
    Err(format!(
        "the model was logged with Python {version}, and there is no {program} on the PATH (the server's Python: {own}); \
         install {program} or uv, or declare engine.python.env: shared"
    ))
}

/// What an environment is called by.
pub(crate) fn digest(requirements: &str, version: &str) -> String {
    let mut hash = Sha256::new();
    for part in [RECIPE, version, std::env::consts::ARCH, std::env::consts::OS] {
        hash.update(part.as_bytes());
        hash.update([0_u8]);
    }
    let lines = requirements.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    for line in lines {
        hash.update(line.as_bytes());
        hash.update([b'\n']);
    }
    hex::encode(&hash.finalize()[..16])
}

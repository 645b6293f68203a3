//! Which Python the server uses.

use mainspring_engine::EngineError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Python that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The interpreter, absolute. A link of a virtual environment is kept as it is: the environment is
    /// found through it.
    pub path: PathBuf,
    /// How it was found, in words.
    pub how: &'static str,
    /// Its version: `3.11.7`.
    pub version: String,
    /// The version of the mlflow package that it has.
    pub mlflow: Option<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}: {})", self.version, self.how, self.path.display())
    }
}

/// Looks for the server's Python: the explicit one, then the environment `.venv` of the working
/// folder, then `python3` on the path. Runs it once to ask for its version.
///
/// # Errors
/// [`EngineError::Missing`] naming the places, or the one that does not run.
pub fn find(explicit: Option<&Path>) -> Result<Found, EngineError> {
    let (path, how) = match explicit {
        Some(path) => (path.to_owned(), "set with --python"),
        None => {
            let venv = PathBuf::from(".venv/bin/python");
            if venv.is_file() {
                (venv, "in .venv")
            } else if let Some(path) = on_path("python3") {
                (path, "on the PATH")
            } else {
                return Err(missing("there is neither .venv/bin/python nor python3 on the PATH".into()));
            }
        }
    };
    let path = std::path::absolute(&path).map_err(|e| missing(format!("{}: {e}", path.display())))?;
    let (version, mlflow) = ask(&path).map_err(|e| missing(format!("{} ({how}) {e}", path.display())))?;
    Ok(Found { path, how, version, mlflow })
}

fn missing(reason: String) -> EngineError {
    EngineError::Missing { engine: "Python", reason }
}

/// A program in one of the folders of `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|p| p.is_file())
}

const QUESTION: &str = "\
import sys
print('%d.%d.%d' % sys.version_info[:3])
try:
    from importlib.metadata import version
    print(version('mlflow'))
except Exception:
    pass
";

/// Version of an interpreter, and of its mlflow.
///
/// # Errors
/// Why it cannot be run, to follow its path in a sentence.
pub(crate) fn ask(python: &Path) -> Result<(String, Option<String>), String> {
    let out = Command::new(python)
        .args(["-I", "-c", QUESTION])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot be run: {e}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let mut lines = text.lines().map(str::trim);
    match lines.next().filter(|v| v.starts_with("3.")) {
        Some(version) => Ok((version.to_owned(), lines.next().filter(|l| !l.is_empty()).map(str::to_owned))),
        None => Err(format!(
            "is no Python 3: {}",
            String::from_utf8_lossy(&out.stderr).lines().last().unwrap_or("it said nothing")
        )),
    }
}

//! Where ONNX Runtime's shared library is.

use mainspring_engine::EngineError;
use std::fmt;
use std::path::{Path, PathBuf};

/// The oldest release whose interface this binary speaks.
pub(crate) const OLDEST: (u32, u32) = (1, 24);

/// A library that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// How it was found, in words.
    pub how: &'static str,
    /// Its version, when the file name says it.
    pub version: Option<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version.as_deref().unwrap_or("version unknown until it is loaded");
        write!(f, "{version} ({}: {})", self.how, self.path.display())
    }
}

/// Looks for the library: the explicit path or `ORT_DYLIB_PATH`, then the Python environment of the
/// working folder or the active one, then beside this binary, then the system's folders.
///
/// # Errors
/// [`EngineError::Missing`] naming every place, or the one file that is too old.
pub fn find(explicit: Option<&Path>) -> Result<Found, EngineError> {
    let named = explicit.map(|p| (p.to_owned(), "set with --onnxruntime"));
    let named = named.or_else(|| std::env::var_os("ORT_DYLIB_PATH").map(|p| (p.into(), "set with ORT_DYLIB_PATH")));
    if let Some((path, how)) = named {
        if !path.is_file() {
            return Err(missing(format!("{} does not exist ({how})", path.display())));
        }
        return checked(Found { version: version_of(&path), path, how });
    }
    let places = places();
    let mut too_old = None;
    for (folder, how) in &places {
        let Some(path) = newest_library(folder) else { continue };
        match checked(Found { version: version_of(&path), path, how }) {
            Ok(found) => return Ok(found),
            Err(e) => too_old = Some(e),
        }
    }
    let looked: Vec<String> = places.iter().map(|(p, _)| p.display().to_string()).collect();
    Err(too_old.unwrap_or_else(|| missing(format!("no libonnxruntime.so in {}", looked.join(", ")))))
}

fn missing(reason: String) -> EngineError {
    EngineError::Missing { engine: "ONNX Runtime", reason }
}

/// Refuses a library whose name says that it is too old.
fn checked(found: Found) -> Result<Found, EngineError> {
    let numbers =
        found.version.as_deref().map(|v| v.split('.').map_while(|n| n.parse::<u32>().ok()).collect::<Vec<_>>());
    match numbers.as_deref() {
        Some([major, minor, ..]) if (*major, *minor) < OLDEST => Err(missing(format!(
            "{} is version {major}.{minor}; {}.{} or newer is needed (pip install -U onnxruntime)",
            found.path.display(),
            OLDEST.0,
            OLDEST.1
        ))),
        _ => Ok(found),
    }
}

fn places() -> Vec<(PathBuf, &'static str)> {
    let mut places = Vec::new();
    if let Ok(here) = std::env::current_dir() {
        places.extend(capi(&here.join(".venv")).into_iter().map(|p| (p, "in .venv")));
    }
    if let Some(active) = std::env::var_os("VIRTUAL_ENV") {
        places.extend(capi(Path::new(&active)).into_iter().map(|p| (p, "in the active Python environment")));
    }
    if let Some(beside) = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)) {
        places.push((beside.clone(), "beside this binary"));
        places.push((beside.join("../lib"), "beside this binary"));
    }
    for system in
        ["/usr/local/lib", "/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
    {
        places.push((PathBuf::from(system), "on the system"));
    }
    places
}

/// Where the `onnxruntime` wheel keeps its library, for each Python of an environment.
fn capi(environment: &Path) -> Vec<PathBuf> {
    let pythons = std::fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
    pythons.map(|python| python.path().join("site-packages/onnxruntime/capi")).filter(|p| p.is_dir()).collect()
}

/// The newest `libonnxruntime.so[.X.Y.Z]` of a folder.
fn newest_library(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let libraries = entries.map(|e| e.path()).filter(|path| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name == "libonnxruntime.so" || name.starts_with("libonnxruntime.so.") || name == "libonnxruntime.dylib"
    });
    libraries.max_by_key(|path| {
        let version = version_of(path).unwrap_or_default();
        version.split('.').map(|n| n.parse::<u32>().unwrap_or(0)).collect::<Vec<_>>()
    })
}

/// `1.32.0` of `libonnxruntime.so.1.32.0`, through links.
fn version_of(path: &Path) -> Option<String> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = real.file_name()?.to_str()?;
    let version = name.split_once(".so.")?.1;
    version.chars().all(|c| c.is_ascii_digit() || c == '.').then(|| version.to_owned())
}

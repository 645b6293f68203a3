//! The URIs that name a model and the places where artifacts are.

use crate::error::{RegistryError, Result};
use mainspring_artifact::ArtifactPath;
use mainspring_core::Tenant;
use std::fmt;
use std::str::FromStr;

/// A model, as MLflow's clients name one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelUri {
    /// `models:/name/3`
    Version {
        /// The registered model.
        name: String,
        /// Its version.
        version: i64,
    },
    /// `models:/name@alias`
    Alias {
        /// The registered model.
        name: String,
        /// The alias.
        alias: String,
    },
    /// `models:/name/Production`
    Stage {
        /// The registered model.
        name: String,
        /// The stage, in its canonical spelling.
        stage: &'static str,
    },
    /// `models:/name/latest`
    Latest {
        /// The registered model.
        name: String,
    },
    /// `models:/m-…`
    Logged {
        /// The logged model.
        id: String,
    },
    /// `runs:/id/path`
    Run {
        /// The run.
        id: String,
        /// The path below the run's artifacts.
        path: String,
    },
}

impl fmt::Display for ModelUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { name, version } => write!(f, "models:/{name}/{version}"),
            Self::Alias { name, alias } => write!(f, "models:/{name}@{alias}"),
            Self::Stage { name, stage } => write!(f, "models:/{name}/{stage}"),
            Self::Latest { name } => write!(f, "models:/{name}/latest"),
            Self::Logged { id } => write!(f, "models:/{id}"),
            Self::Run { id, path } => write!(f, "runs:/{id}/{path}"),
        }
    }
}

fn improper(text: &str) -> RegistryError {
    RegistryError::Invalid(format!(
        "Not a proper models:/ URI: {text}. Models URIs must be of the form 'models:/name/suffix' or \
         'models:/name@alias' where suffix is a version, stage, or the string 'latest' and where alias is a \
         registered model alias. Only one of suffix or alias can be defined at a time."
    ))
}

impl FromStr for ModelUri {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(rest) = text.strip_prefix("runs:/") {
            let (id, path) = rest.trim_start_matches('/').split_once('/').unwrap_or_default();
            return if id.is_empty() || path.is_empty() {
                Err(RegistryError::Invalid(format!(
                    "Not a proper runs:/ URI: {text}. Runs URIs must be of the form 'runs:/<run_id>/run-relative/path'"
                )))
            } else {
                Ok(Self::Run { id: id.into(), path: path.trim_end_matches('/').into() })
            };
        }
        let rest = text.strip_prefix("models:/").ok_or_else(|| improper(text))?.trim_start_matches('/');
        match rest.split_once('/') {
            Some((name, suffix)) => from_suffix(name, suffix).ok_or_else(|| improper(text))?,
            None => match rest.rsplit_once('@') {
                Some((name, alias)) if !name.trim().is_empty() && !alias.trim().is_empty() => {
                    Ok(Self::Alias { name: name.into(), alias: alias.into() })
                }
                Some(_) => Err(improper(text)),
                None if rest.trim().is_empty() => Err(improper(text)),
                None => Ok(Self::Logged { id: rest.into() }),
            },
        }
    }
}

fn from_suffix(name: &str, suffix: &str) -> Option<Result<ModelUri>> {
    if name.trim().is_empty() || suffix.trim().is_empty() || suffix.contains('/') {
        return None;
    }
    let name = name.to_owned();
    if suffix.chars().all(|c| c.is_ascii_digit()) {
        return suffix.parse().ok().map(|version| Ok(ModelUri::Version { name, version }));
    }
    if suffix.eq_ignore_ascii_case("latest") {
        return Some(Ok(ModelUri::Latest { name }));
    }
    Some(crate::validate::stage(suffix).map(|stage| ModelUri::Stage { name, stage }))
}

/// The scheme under which this server's own artifacts are addressed.
pub const PROXY: &str = "mlflow-artifacts:";

/// The folder of a tenant's artifacts in the store. The store is shared with other domains, so
/// what the proxy can reach starts here and nowhere else.
pub(crate) fn tenant_root(tenant: &Tenant) -> String {
    format!("mlflow/{tenant}")
}

/// The path in a URI of this server's store, `1/abc/artifacts/model` in
/// `mlflow-artifacts:/1/abc/artifacts/model` or in
/// `http://host/api/2.0/mlflow-artifacts/artifacts/1/abc/artifacts/model`; `None` when the URI
/// belongs to another store.
pub fn proxied(uri: &str) -> Option<&str> {
    if let Some(rest) = uri.strip_prefix(PROXY) {
        return Some(match rest.strip_prefix("//") {
            // An authority names the server; what it is does not matter here.
            Some(with_host) => with_host.split_once('/').map_or("", |(_, path)| path),
            None => rest.trim_start_matches('/'),
        });
    }
    let http = uri.starts_with("http://") || uri.starts_with("https://");
    http.then(|| uri.split_once("/api/2.0/mlflow-artifacts/artifacts/").map(|(_, path)| path)).flatten()
}

/// The place in the artifact store of `path` below the location `uri` of a tenant.
///
/// # Errors
/// [`RegistryError::Elsewhere`] when the location is in another store, and
/// [`RegistryError::Invalid`] when the path tries to leave it.
pub fn locate(tenant: &Tenant, uri: &str, path: &str) -> Result<ArtifactPath> {
    let base = proxied(uri).ok_or_else(|| {
        RegistryError::Elsewhere(format!(
            "the artifacts at {uri} are not in this server's store; read them from there directly"
        ))
    })?;
    let bad = || RegistryError::invalid("Invalid path");
    safe(path)?;
    // A URI's path is percent-encoded and may repeat its slashes; the path below it is taken as it is.
    let base = decode(base).ok_or_else(bad)?;
    let mut full = tenant_root(tenant);
    let below = Some(path.trim_end_matches('/'));
    for part in base.split('/').chain(below).filter(|part| !part.is_empty()) {
        full.push('/');
        full.push_str(part);
    }
    ArtifactPath::parse(&full).map_err(|_| bad())
}

/// Refuses a path that leaves its folder, also when it is percent-encoded once or several times.
///
/// # Errors
/// [`RegistryError::Invalid`] with MLflow's text, `Invalid path`.
pub fn safe(path: &str) -> Result<()> {
    let bad = || RegistryError::invalid("Invalid path");
    let mut text = path.to_owned();
    loop {
        let drive = text.as_bytes().get(1) == Some(&b':') && text.starts_with(|c: char| c.is_ascii_alphabetic());
        if text.starts_with(['/', '\\'])
            || drive
            || text.contains(['\\', '\0', '#'])
            || text.split('/').any(|part| part == "..")
            || text.starts_with("file:")
        {
            return Err(bad());
        }
        let next = decode(&text).ok_or_else(bad)?;
        if next == text {
            return Ok(());
        }
        text = next;
    }
}

/// Percent-decodes once; `None` when the result is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(b) = bytes.get(at) {
        match (b, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(*b);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

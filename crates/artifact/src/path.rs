//! Paths that cannot leave the store.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The folder at the root of a local store that holds uploads until they are whole.
pub(crate) const STAGING: &str = ".staging";

/// The longest path in bytes: S3's limit of 1024 for a key, less room for a prefix.
const LONGEST: usize = 900;
/// The longest segment in bytes: the limit of common file systems.
const LONGEST_SEGMENT: usize = 255;

/// The path of a file or folder inside the store: segments joined by `/`, relative to the root,
/// e.g. `1/abc/artifacts/model/MLmodel`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactPath(Arc<str>);

/// Why a text is not an [`ArtifactPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a path inside the artifact store: {reason}")]
pub struct PathError {
    /// The text given, cut to 200 characters.
    pub text: String,
    /// Which rule it breaks.
    pub reason: &'static str,
}

impl ArtifactPath {
    /// The root of the store.
    pub fn root() -> Self {
        Self(Arc::from(""))
    }

    /// Checks `text`: one or more segments joined by single slashes, without a slash at either end,
    /// without `.` and `..`, backslashes, control characters, a drive letter or a scheme; at most
    /// 900 bytes, 255 in a segment.
    ///
    /// # Errors
    /// [`PathError`] with the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        match broken(text) {
            None => Ok(Self(text.into())),
            Some(reason) => Err(PathError { text: text.chars().take(200).collect(), reason }),
        }
    }

    /// The path as text; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root of the store.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path `below` this one.
    ///
    /// # Errors
    /// [`PathError`] when `below` or the whole breaks a rule.
    pub fn join(&self, below: &str) -> Result<Self, PathError> {
        if self.is_root() {
            return Self::parse(below);
        }
        if let Some(reason) = broken_shape(below) {
            return Err(PathError { text: below.chars().take(200).collect(), reason });
        }
        Self::parse(&format!("{}/{below}", self.0))
    }

    /// The last segment; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The folder that holds this; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map_or("", |(parent, _)| parent).into()))
    }

    /// What is left of this path below `folder`; `None` when it is not below it. A folder is not
    /// below itself.
    pub fn below<'a>(&'a self, folder: &Self) -> Option<&'a str> {
        if folder.is_root() {
            return (!self.is_root()).then_some(self.as_str());
        }
        self.0.strip_prefix(folder.as_str())?.strip_prefix('/')
    }

    /// The segments from the root down.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|s| !s.is_empty())
    }
}

fn broken(text: &str) -> Option<&'static str> {
    if let Some(reason) = broken_shape(text) {
        return Some(reason);
    }
    let first = text.split('/').next().unwrap_or_default();
    if first.eq_ignore_ascii_case(STAGING) {
        return Some("the folder .staging is the store's own");
    }
    let drive = matches!(first.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    (drive || first.ends_with(':')).then_some("it starts with a drive letter or a scheme")
}

fn broken_shape(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > LONGEST {
        return Some("it is longer than 900 bytes");
    }
    if text.starts_with('/') {
        return Some("it starts with a slash");
    }
    for segment in text.split('/') {
        let reason = match segment {
            "" => "it has an empty segment",
            "." | ".." => "it has a segment . or ..",
            s if s.len() > LONGEST_SEGMENT => "it has a segment longer than 255 bytes",
            s if s.contains('\\') => "it has a backslash",
            s if s.chars().any(char::is_control) => "it has a control character",
            _ => continue,
        };
        return Some(reason);
    }
    None
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for ArtifactPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

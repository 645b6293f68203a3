//! Layers of text become values, each with its origin.

use super::keys::{KEYS, Key, Kind};
use mainspring_core::{ErrorKind, Failure, nearest};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line.
    Flag(String),
    /// An environment variable.
    Env(String),
    /// A key of the file.
    File(PathBuf),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag --{flag}"),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}, {message}", path.display())]
    Syntax {
        /// File.
        path: PathBuf,
        /// What the parser said, with line and column.
        message: String,
    },
    /// A key that does not exist.
    #[error("{origin}: there is no setting {key:?}{}", .nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    Unknown {
        /// Key given.
        key: String,
        /// Where.
        origin: Origin,
        /// Nearest key there is.
        nearest: Option<String>,
    },
    /// A value that does not parse.
    #[error("{origin}: {key} = {value:?}: {reason}")]
    Value {
        /// Setting.
        key: &'static str,
        /// Text given; `***` for secrets.
        value: String,
        /// Where.
        origin: Origin,
        /// What was expected.
        reason: String,
    },
}

impl Failure for ConfigError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }

    fn hint(&self) -> Option<String> {
        Some("see every setting with its origin: mainspring config".into())
    }
}

/// The texts that were given, before they are looked at. The environment is an argument, so that
/// precedence is tested without touching the process.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// Flags by setting name.
    pub flags: BTreeMap<String, String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// The file, when there is one.
    pub file: Option<(PathBuf, String)>,
}

impl Layers {
    /// Reads `path` as the file layer.
    ///
    /// # Errors
    /// [`ConfigError::Read`] when it cannot be read.
    pub fn with_file(mut self, path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        self.file = Some((path.to_owned(), text));
        Ok(self)
    }

    /// Picks the winning text of every setting.
    ///
    /// # Errors
    /// [`ConfigError`] for a file that is not TOML or has unknown keys, unknown `MAINSPRING_…`
    /// variables, and values that do not parse.
    pub fn resolve(&self) -> Result<Resolved, ConfigError> {
        let file = self.file_values()?;
        self.refuse_unknown_env()?;
        let mut values = BTreeMap::new();
        for key in KEYS {
            let (text, origin) = self.pick(key, &file);
            check(key, &text).map_err(|reason| ConfigError::Value {
                key: key.name,
                value: if key.secret { "***".into() } else { text.clone() },
                origin: origin.clone(),
                reason,
            })?;
            values.insert(key.name, (text, origin));
        }
        Ok(Resolved { values })
    }

    fn pick(&self, key: &Key, file: &BTreeMap<String, String>) -> (String, Origin) {
        if let Some(text) = self.flags.get(key.name) {
            return (text.clone(), Origin::Flag(key.flag()));
        }
        let env = key.env();
        if let Some(text) = self.env.get(&env) {
            return (text.clone(), Origin::Env(env));
        }
        if let (Some(text), Some((path, _))) = (file.get(key.name), &self.file) {
            return (text.clone(), Origin::File(path.clone()));
        }
        (key.default.to_owned(), Origin::Default)
    }

    fn refuse_unknown_env(&self) -> Result<(), ConfigError> {
        // Read by the client side of the command and by the tests, not by the server.
        const OTHERS: [&str; 3] = ["MAINSPRING_SERVER", "MAINSPRING_API_KEY", "MAINSPRING_CONFIG"];
        for name in self.env.keys().filter(|n| n.starts_with("MAINSPRING_")) {
            let known = KEYS.iter().any(|k| k.env() == *name)
                || OTHERS.contains(&name.as_str())
                || name.starts_with("MAINSPRING_TEST_")
                || name.starts_with(mainspring_webhook::ENV_PREFIX)
                || name == "MAINSPRING_BIN";
            if !known {
                let all: Vec<String> = KEYS.iter().map(Key::env).collect();
                return Err(ConfigError::Unknown {
                    key: name.clone(),
                    origin: Origin::Env(name.clone()),
                    nearest: nearest(name, all.iter().map(String::as_str)).map(str::to_owned),
                });
            }
        }
        Ok(())
    }

    fn file_values(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let Some((path, text)) = &self.file else { return Ok(BTreeMap::new()) };
        let table: toml::Table = text
            .parse()
            .map_err(|e: toml::de::Error| ConfigError::Syntax { path: path.clone(), message: place(text, &e) })?;
        let mut out = BTreeMap::new();
        flatten("", &table, &mut out);
        for key in out.keys() {
            if !KEYS.iter().any(|k| k.name == key) {
                return Err(ConfigError::Unknown {
                    key: key.clone(),
                    origin: Origin::File(path.clone()),
                    nearest: nearest(key, KEYS.iter().map(|k| k.name)).map(str::to_owned),
                });
            }
        }
        Ok(out)
    }
}

/// What is wrong and where, without the line itself, which may hold a secret.
fn place(text: &str, e: &toml::de::Error) -> String {
    let before = e.span().and_then(|s| text.get(..s.start)).unwrap_or_default();
    let (line, last) = (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default());
    format!("line {line}, column {}: {}", last.chars().count() + 1, e.message())
}

fn flatten(prefix: &str, table: &toml::Table, out: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let text = match value {
            toml::Value::Table(inner) => {
                flatten(&name, inner, out);
                continue;
            }
            toml::Value::String(s) => s.clone(),
            toml::Value::Array(items) => items
                .iter()
                .map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned))
                .collect::<Vec<_>>()
                .join(","),
            other => other.to_string(),
        };
        out.insert(name, text);
    }
}

fn check(key: &Key, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    match key.kind {
        Kind::Text | Kind::Path | Kind::List => Ok(()),
        Kind::Count => text.parse::<u64>().map(drop).map_err(|_| "expected a whole number".into()),
        Kind::Switch => parse_switch(text).map(drop),
        Kind::Duration => parse_duration(text).map(drop),
        Kind::Bytes => parse_bytes(text).map(drop),
        Kind::OneOf(words) if words.contains(&text) => Ok(()),
        Kind::OneOf(words) => Err(format!("expected one of {}", words.join(", "))),
    }
}

fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(at)
}

/// `250ms`, `30s`, `10m`, `2h`, `7d`.
///
/// # Errors
/// What was expected instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let n: u64 = number.parse().map_err(|_| "expected a duration such as 250ms, 30s, 10m, 2h or 7d".to_owned())?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("{unit:?} is not a unit of time; use ms, s, m, h or d")),
    };
    Ok(Duration::from_millis(n.saturating_mul(ms)))
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let n: u64 = number.parse().map_err(|_| "expected a size such as 64MiB".to_owned())?;
    let scale = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1_u64 << 40,
        _ => return Err(format!("{unit:?} is not a unit of size; use KiB, MiB, GiB or TiB")),
    };
    Ok(n.saturating_mul(scale))
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Every setting's winning text and origin.
#[derive(Debug, Clone)]
pub struct Resolved {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Resolved {
    /// Setting, value (`***` when it is secret and set) and origin, in the table's order.
    pub fn rows(&self) -> Vec<(&'static Key, String, &Origin)> {
        KEYS.iter()
            .filter_map(|key| {
                let (_, origin) = self.values.get(key.name)?;
                Some((key, self.shown(key.name), origin))
            })
            .collect()
    }

    /// Where a value is from.
    pub(super) fn origin(&self, key: &'static str) -> Origin {
        self.rows().into_iter().find(|(k, ..)| k.name == key).map_or(Origin::Default, |(_, _, origin)| origin.clone())
    }

    /// A value as it may be printed.
    pub(super) fn shown(&self, key: &'static str) -> String {
        let secret = KEYS.iter().any(|k| k.name == key && k.secret);
        match self.text(key) {
            Some(_) if secret => "***".to_owned(),
            text => text.unwrap_or_default().to_owned(),
        }
    }

    /// What another command is told to find the same settings: flags that said them, and a file that it would not look
    /// for by itself.
    pub(crate) fn again(&self, keys: &[&'static str]) -> String {
        let (mut flags, mut file, mut hidden) = (String::new(), None, false);
        for key in keys {
            match self.origin(key) {
                Origin::Flag(flag) if KEYS.iter().any(|k| k.name == *key && k.secret) => {
                    let scheme = self.text(key).and_then(|t| t.split_once("://")).map_or("", |(scheme, _)| scheme);
                    flags.push_str(&format!(" --{flag} '{scheme}://...'"));
                    hidden = true;
                }
                Origin::Flag(flag) => {
                    flags.push_str(&format!(" --{flag} {}", quoted(self.text(key).unwrap_or_default())));
                }
                Origin::File(path) if path != Path::new("mainspring.toml") => file = Some(path),
                Origin::File(_) | Origin::Env(_) | Origin::Default => {}
            }
        }
        if let Some(path) = file {
            flags.push_str(&format!(" --config {}", quoted(&path.display().to_string())));
        }
        // It may hold a password, and this is printed.
        if hidden { flags + " (with what you gave there)" } else { flags }
    }

    pub(super) fn text(&self, key: &'static str) -> Option<&str> {
        self.values.get(key).map(|(t, _)| t.as_str()).filter(|t| !t.is_empty())
    }

    pub(super) fn path(&self, key: &'static str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    pub(super) fn count(&self, key: &'static str) -> u64 {
        self.text(key).and_then(|t| t.parse().ok()).unwrap_or(0)
    }

    pub(super) fn switch(&self, key: &'static str) -> bool {
        self.text(key).and_then(|t| parse_switch(t).ok()).unwrap_or(false)
    }

    pub(super) fn duration(&self, key: &'static str) -> Duration {
        self.text(key).and_then(|t| parse_duration(t).ok()).unwrap_or_default()
    }

    pub(super) fn bytes(&self, key: &'static str) -> u64 {
        self.text(key).and_then(|t| parse_bytes(t).ok()).unwrap_or(0)
    }

    pub(super) fn list(&self, key: &'static str) -> Vec<String> {
        self.text(key)
            .map(|t| t.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect())
            .unwrap_or_default()
    }
}

//! Which database, and how it is used.

use crate::error::StoreError;
use mainspring_core::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// Which database to open.
#[derive(Debug, Clone)]
pub struct DbSettings {
    pub(crate) target: Target,
    pub(crate) connections: u32,
    pub(crate) wait: Duration,
    pub(crate) statement: Duration,
}

#[derive(Debug, Clone)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    Postgres(Secret),
}

impl DbSettings {
    /// A SQLite file; it and its folder are made when they do not exist. Four threads read.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self::new(Target::Sqlite(path.into()), 4, Duration::from_secs(5))
    }

    /// A Postgres database by its URL (`postgres://user:password@host:5432/name?sslmode=require`).
    /// At most 16 connections.
    pub fn postgres(url: Secret) -> Self {
        Self::new(Target::Postgres(url), 16, Duration::from_secs(3))
    }

    fn new(target: Target, connections: u32, wait: Duration) -> Self {
        Self { target, connections, wait, statement: Duration::from_secs(30) }
    }

    /// `postgres://…` or `postgresql://…` is Postgres; `sqlite:PATH`, `sqlite://PATH` and a plain
    /// path are SQLite.
    ///
    /// # Errors
    /// [`StoreError::Settings`] for an empty text, for another scheme and for SQLite in memory.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let refuse = |reason: &str| StoreError::Settings { given: redact(text), reason: reason.to_owned() };
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::postgres(Secret::new(text)));
        }
        let path = match text.strip_prefix("sqlite:") {
            Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
            None => text,
        };
        if path.is_empty() {
            return Err(refuse("the path is empty"));
        }
        if path.starts_with(":memory:") {
            return Err(refuse("a database in memory forgets everything at exit; give a file"));
        }
        if path.contains("://") {
            return Err(refuse("only SQLite and Postgres are supported"));
        }
        Ok(Self::sqlite(path))
    }

    /// How many connections at most: Postgres's pool, or SQLite's threads that read. At least one.
    pub fn connections(mut self, most: u32) -> Self {
        self.connections = most.max(1);
        self
    }

    /// How long a transaction waits to begin before it is refused.
    pub fn wait(mut self, longest: Duration) -> Self {
        self.wait = longest;
        self
    }

    /// How long one statement may run on Postgres before it is ended and its transaction rolled back;
    /// 30 s when not said. SQLite's statements run to their end.
    pub fn statement(mut self, longest: Duration) -> Self {
        self.statement = longest;
        self
    }

    /// The database's name for messages: a path, or a URL without its user and password.
    pub fn display(&self) -> String {
        match &self.target {
            Target::Sqlite(path) => path.display().to_string(),
            Target::Postgres(url) => redact(url.reveal()),
        }
    }
}

/// The text without what may be secret: user, password and query of a URL.
fn redact(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let rest = rest.split('?').next().unwrap_or_default();
    // The last '@' before the path ends the credentials; a password may itself contain '@'.
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{place}")
}

//! The process of a model that runs in Python.

use super::{ByteSize, HumanDuration};
use mainspring_engine::{Environment, Worker, WrongLimit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The process of a model that runs in Python.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PythonSpec {
    /// Where its packages come from.
    pub env: PythonEnv,
    /// How long one call may take. A call that takes longer fails, and its process is stopped and
    /// started again.
    pub timeout: HumanDuration,
    /// How long the process may take to start and open the model.
    pub start_timeout: HumanDuration,
    /// Bytes that the process may allocate. No limit when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Whether callers see the text of the model's exceptions. It may hold what they should not
    /// see, so by default they see the exception's type, and the log has the rest.
    pub show_errors: bool,
}

/// Where the packages of a model that runs in Python come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PythonEnv {
    /// An environment built from the model's own requirements, kept for the next model that has the
    /// same.
    #[default]
    Auto,
    /// The server's own Python.
    Shared,
}

impl Default for PythonSpec {
    fn default() -> Self {
        let Worker { timeout, start_timeout, memory, show_errors, .. } = Worker::default();
        Self {
            env: PythonEnv::default(),
            timeout: HumanDuration(timeout),
            start_timeout: HumanDuration(start_timeout),
            memory: memory.map(ByteSize),
            show_errors,
        }
    }
}

impl PythonSpec {
    /// The first limit that makes no sense: its field, what it is, and what it must be.
    pub(super) fn wrong(&self) -> Option<(&'static str, String, &'static str)> {
        let limit = self.worker().wrong()?;
        let (field, got) = match limit {
            WrongLimit::Timeout => ("engine.python.timeout", self.timeout.to_string()),
            WrongLimit::StartTimeout => ("engine.python.startTimeout", self.start_timeout.to_string()),
            WrongLimit::Memory => ("engine.python.memory", self.memory.map(|m| m.to_string()).unwrap_or_default()),
        };
        Some((field, got, limit.expected()))
    }

    /// What the engine is told.
    pub(crate) fn worker(&self) -> Worker {
        Worker {
            environment: match self.env {
                PythonEnv::Auto => Environment::Own,
                PythonEnv::Shared => Environment::Shared,
            },
            timeout: self.timeout.0,
            start_timeout: self.start_timeout.0,
            memory: self.memory.map(|m| m.0),
            show_errors: self.show_errors,
        }
    }
}

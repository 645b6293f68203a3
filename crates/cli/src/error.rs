//! How a command fails: a message, what to do next, and an exit code.

use mainspring_core::{ErrorKind, Failure};

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    /// Decides the exit code.
    pub kind: ErrorKind,
    /// What happened, to what.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl CliError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// With a remedy.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// From any of the house's errors.
    pub fn from_failure(e: &dyn Failure) -> Self {
        Self { kind: e.kind(), message: e.to_string(), hint: e.hint() }
    }

    /// 1 failed, 2 wrong input, 3 unreachable, 4 not allowed.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::InvalidInput | ErrorKind::TooLarge => 2,
            ErrorKind::Unavailable => 3,
            ErrorKind::Unauthenticated | ErrorKind::Denied => 4,
            _ => 1,
        }
    }
}

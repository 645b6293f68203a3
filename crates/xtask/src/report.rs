//! What a check says.

use std::fmt;
use std::path::PathBuf;

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Path from the root of the repository.
    pub file: String,
    /// Line from 1, where one is meant.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl Finding {
    /// A finding about a whole file.
    pub fn file(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, what: what.into() }
    }

    /// A finding about one line.
    pub fn line(file: impl Into<String>, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.into(), line: Some(line), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// The outcome of a check that ran to its end.
#[derive(Debug, Default)]
pub struct Checked {
    /// What must be mended; the check passes when there is none.
    pub findings: Vec<Finding>,
    /// What is worth a look and fails nothing.
    pub notes: Vec<String>,
    /// What was looked at, for the closing line.
    pub summary: String,
}

/// Why a check could not run.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what it must be.
    #[error("cannot understand {what}: {why}")]
    Parse {
        /// What was read.
        what: String,
        /// What the parser said.
        why: String,
    },
    /// A program could not run or failed.
    #[error("`{command}` failed: {why}")]
    Command {
        /// What was run.
        command: String,
        /// What it said.
        why: String,
    },
}

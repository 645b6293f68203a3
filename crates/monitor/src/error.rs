//! Why a file cannot be looked at.

use mainspring_core::{ErrorKind, Failure};
use std::path::{Path, PathBuf};

/// Why a file cannot be profiled or compared.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// A name that says nothing about the format.
    #[error("{} does not say what it is: its name ends in none of .parquet, .csv, .jsonl and .arrow", .0.display())]
    Format(PathBuf),
    /// The file is not there, or may not be read.
    #[error("{} cannot be read: {source}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what its name says.
    #[error("{} cannot be read as {format}: {reason}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// As what.
        format: &'static str,
        /// Why.
        reason: String,
    },
    /// A row is not what it should be.
    #[error("row {row} of {}: {reason}", file.display())]
    Row {
        /// The file.
        file: PathBuf,
        /// Its number, from 1 on.
        row: u64,
        /// Why.
        reason: String,
    },
    /// The two files share no column.
    #[error("the files have no column in common; the reference has {}", list(.0))]
    Columns(Vec<String>),
    /// A name that no column has.
    #[error("neither side has a column {name:?}; there are {}", list(there))]
    Column {
        /// The name.
        name: String,
        /// Those that there are.
        there: Vec<String>,
    },
    /// A beginning of names that no column has.
    #[error("both files have no column of numbers whose name begins with {0:?}")]
    Prefix(String),
    /// An error rate outside its range.
    #[error("the error rate is {0}; it must be between 0 and 1")]
    Level(f64),
    /// No rules could be made of what was found.
    #[error(transparent)]
    Suite(#[from] crate::quality::SuiteError),
    /// What a column of a profile keeps is no sketch.
    #[error("column {column:?}: {source}")]
    Sketch {
        /// The column.
        column: String,
        /// Why.
        source: mainspring_stats::InvalidSketch,
    },
    /// There is nothing to estimate from.
    #[error(transparent)]
    Estimate(#[from] crate::estimate::Unanswered),
    /// A worker ended without an answer.
    #[error("a thread that read {} ended early", .0.display())]
    Thread(PathBuf),
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut text = names.iter().take(SHOWN).map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

impl MonitorError {
    pub(crate) fn read(file: &Path, format: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Read { file: file.to_owned(), format, reason: reason.to_string() }
    }
}

impl Failure for MonitorError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Open { source, .. } if source.kind() == std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            Self::Open { .. } | Self::Thread(_) | Self::Suite(_) => ErrorKind::Internal,
            Self::Format(_)
            | Self::Read { .. }
            | Self::Row { .. }
            | Self::Columns(_)
            | Self::Column { .. }
            | Self::Level(_)
            | Self::Sketch { .. }
            | Self::Estimate(_)
            | Self::Prefix(_) => ErrorKind::InvalidInput,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Format(_) => Some("give it an ending that says what it is".into()),
            Self::Columns(_) => Some("compare two files of the same table".into()),
            Self::Read { format: "csv", .. } => Some(
                "a CSV has a header line of different names, and as many fields in each line as in that one".into(),
            ),
            _ => None,
        }
    }
}

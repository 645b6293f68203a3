//! Why a run over a file stops.

use mainspring_artifact::ArtifactError;
use mainspring_core::{ErrorKind, Failure};
use mainspring_engine::{EngineError, SignatureError};
use mainspring_mlmodel::{ColumnError, FilesError};
use std::path::{Path, PathBuf};

/// Why a run over a file stops. What is about a row names it, counted from 0 over the whole input.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// A name that says nothing about the format.
    #[error("{name} does not say what it is: its name ends in none of .parquet, .csv, .jsonl and .arrow")]
    Format {
        /// The file.
        name: String,
    },
    /// The input cannot be read as what it is said to be.
    #[error("{name} cannot be read as {format}: {reason}")]
    Input {
        /// The file.
        name: String,
        /// As which format.
        format: &'static str,
        /// Why.
        reason: String,
    },
    /// A row cannot be read.
    #[error("row {row} cannot be read: {reason}")]
    Unreadable {
        /// From 0.
        row: u64,
        /// Why, with the column where it is known.
        reason: String,
    },
    /// A value does not fit the column that the model takes.
    #[error("row {row}, column {column:?}: the model takes {expected}, the row has {got}")]
    Value {
        /// From 0.
        row: u64,
        /// The column.
        column: String,
        /// Type that the model takes.
        expected: String,
        /// The value.
        got: String,
    },
    /// The columns do not fit the model.
    #[error(transparent)]
    Columns(ColumnError),
    /// A column that the model takes as a tensor.
    #[error("column {column:?} cannot be the model's input {input:?}: {reason}")]
    Tensor {
        /// The column.
        column: String,
        /// The input.
        input: String,
        /// Why.
        reason: String,
    },
    /// The inputs do not fit the model.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The model failed on one row.
    #[error("row {row}: {source}")]
    Row {
        /// From 0.
        row: u64,
        /// What the engine said.
        source: EngineError,
    },
    /// The model failed on rows that it takes one by one.
    #[error("rows {first} to {last}: {source}")]
    Rows {
        /// From 0.
        first: u64,
        /// The last of them.
        last: u64,
        /// What the engine said.
        source: EngineError,
    },
    /// The model cannot be opened.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model's files are no model.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A model that takes a fixed number of rows.
    #[error("the model takes exactly {rows} rows a call (input {input:?}), so it cannot run over a file")]
    FixedRows {
        /// Rows that it takes.
        rows: i64,
        /// The input that says so.
        input: String,
    },
    /// An output that is not one value, or one list, for each row.
    #[error("output {output:?} has shape {shape:?} for {rows} rows: it cannot be joined to them")]
    Shape {
        /// The output.
        output: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Rows that went in.
        rows: usize,
    },
    /// An output whose text is not UTF-8.
    #[error("row {row}: output {output:?} is not UTF-8 text")]
    NotText {
        /// From 0.
        row: u64,
        /// The output.
        output: String,
    },
    /// A column of the input has the name of one that is added.
    #[error("the input has a column {column:?} already")]
    Taken {
        /// The column.
        column: String,
    },
    /// A chosen column that is not in the input.
    #[error("the input has no column {column:?}{}", .nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    NoColumn {
        /// The column.
        column: String,
        /// The nearest one.
        nearest: Option<String>,
    },
    /// Columns that the output's format cannot hold.
    #[error("{format} cannot hold column {column:?}, which is {kind}")]
    Unwritable {
        /// The output's format.
        format: &'static str,
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// The output is there already.
    #[error("{output} is there already")]
    Exists {
        /// The output.
        output: String,
    },
    /// An unfinished run of something else is where this one would be.
    #[error("{folder} holds an unfinished run that differs from this one: {difference}")]
    OtherRun {
        /// The run's folder.
        folder: String,
        /// In what.
        difference: String,
    },
    /// Another process works on it.
    #[error("another process works on {folder}")]
    Busy {
        /// The run's folder.
        folder: String,
    },
    /// The input changed between two looks at it.
    #[error("{name} changed during the run")]
    Changed {
        /// The file.
        name: String,
    },
    /// More rows failed than may.
    #[error("{failed} rows failed, and {allowed} may; row {row}: {reason}")]
    TooMany {
        /// How many did by now.
        failed: u64,
        /// How many may.
        allowed: u64,
        /// The last of them, from 0.
        row: u64,
        /// Why.
        reason: String,
    },
    /// A shard gave another number of rows than were counted.
    #[error("{read} rows were read from row {first} on where {counted} were counted")]
    Count {
        /// The shard's first row, from 0.
        first: u64,
        /// Rows counted when the input was cut into shards.
        counted: u64,
        /// Rows read.
        read: u64,
    },
    /// A file cannot be read or written.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// `cannot read`, `cannot write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The object store failed.
    #[error(transparent)]
    Store(#[from] ArtifactError),
    /// A part of this program failed.
    #[error("{0}")]
    Broken(String),
}

impl BatchError {
    pub(crate) fn reading(path: &Path, source: std::io::Error) -> Self {
        Self::Io { what: "cannot read", path: path.to_owned(), source }
    }

    pub(crate) fn writing(path: &Path, source: std::io::Error) -> Self {
        Self::Io { what: "cannot write", path: path.to_owned(), source }
    }

    /// An error about columns in rows that begin at `first`.
    pub(crate) fn column(error: ColumnError, first: u64) -> Self {
        match error {
            ColumnError::Type { column, expected, row, got } => {
                Self::Value { row: first + row as u64, column, expected, got }
            }
            other => Self::Columns(other),
        }
    }
}

impl Failure for BatchError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Format { .. }
            | Self::Input { .. }
            | Self::Unreadable { .. }
            | Self::Value { .. }
            | Self::Columns(_)
            | Self::Tensor { .. }
            | Self::Signature(_)
            | Self::FixedRows { .. }
            | Self::Shape { .. }
            | Self::NotText { .. }
            | Self::Taken { .. }
            | Self::NoColumn { .. }
            | Self::Unwritable { .. }
            | Self::TooMany { .. }
            | Self::Count { .. } => ErrorKind::InvalidInput,
            Self::Row { source, .. } | Self::Rows { source, .. } | Self::Engine(source) => source.kind(),
            Self::Files(e) => e.kind(),
            Self::Exists { .. } => ErrorKind::AlreadyExists,
            Self::OtherRun { .. } | Self::Busy { .. } | Self::Changed { .. } => ErrorKind::Conflict,
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            Self::Io { .. } | Self::Broken(_) => ErrorKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Format { .. } => "say it: --input-format or --output-format",
            Self::Unreadable { .. } => "mend the row and run the command again: what is done already is kept",
            Self::Value { .. } | Self::Row { .. } => {
                "mend the row and run the command again, what is done already is kept; or go on without such rows: \
                 --on-error skip (or keep)"
            }
            Self::TooMany { .. } => "mend the rows, or let more of them fail: --max-errors",
            Self::Columns(ColumnError::Width { .. }) => {
                "name the columns that the model takes, in its order: --columns a,b,c"
            }
            Self::Taken { .. } => "give the added columns names of their own: --prefix second_",
            Self::Unwritable { .. } => "write Parquet, Arrow or JSON lines instead",
            Self::Exists { .. } => "name another output, or replace it: --overwrite",
            Self::OtherRun { .. } => "finish that run with its own arguments, or begin anew: --restart",
            Self::Changed { .. } => "begin anew with the input as it is now: --restart",
            Self::Count { .. } => {
                "a line may end in a bare carriage return, or a quote may be missing: write the file again with a CSV library"
            }
            Self::Engine(EngineError::TooSlow { .. }) | Self::Rows { source: EngineError::TooSlow { .. }, .. } => {
                "let a call take longer, or give it fewer rows, and run the command again, what is done already is kept: \
                 --timeout 10m, --batch-rows 100"
            }
            Self::Engine(e) | Self::Rows { source: e, .. } => return e.hint(),
            Self::Files(e) => return e.hint(),
            Self::Store(e) => return e.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

//! Why a query has no answer.

use crate::explain;
use crate::tables;
use datafusion::error::DataFusionError;
use mainspring_core::{ErrorKind, Failure};
use mainspring_journal::JournalError;
use std::time::Duration;

/// A query that failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is not a query over these tables.
    #[error("the query is not valid: {0}")]
    Invalid(String),
    /// A statement that would change something.
    #[error("only queries can be run here: {0}")]
    ReadOnly(String),
    /// A value met on the way cannot be computed, e.g. a division by zero or a text that is no number.
    #[error("the query cannot be computed: {0}")]
    Compute(String),
    /// It took longer than allowed.
    #[error("the query took longer than {:?} and was stopped", .0)]
    Timeout(Duration),
    /// It needs more memory than allowed.
    #[error("the query needs more than {limit_mib} MiB of memory: {detail}")]
    Memory {
        /// The limit, MiB.
        limit_mib: usize,
        /// What asked for more.
        detail: String,
    },
    /// Too many queries run now, and none ended while this one waited.
    #[error("{0} queries run already, and none of them ended in time for this one")]
    Busy(usize),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Something that is not the query's fault.
    #[error("the query failed: {0}")]
    Internal(String),
}

impl QueryError {
    pub(crate) fn of(e: &DataFusionError, sql: &str, memory: usize) -> Self {
        let text = || e.strip_backtrace();
        match e.find_root() {
            DataFusionError::Plan(m) if is_write(m) => Self::ReadOnly(m.clone()),
            DataFusionError::SQL(..)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Plan(_)
            | DataFusionError::Diagnostic(..)
            | DataFusionError::Collection(_) => Self::Invalid(explain::invalid(e, sql)),
            DataFusionError::ResourcesExhausted(m) => Self::Memory { limit_mib: memory >> 20, detail: m.clone() },
            DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => Self::Compute(text()),
            _ => Self::Internal(text()),
        }
    }
}

/// DataFusion's words for a plan that the options forbid.
fn is_write(message: &str) -> bool {
    ["DDL not supported", "DML not supported", "Statement not supported"].iter().any(|m| message.starts_with(m))
}

impl Failure for QueryError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::ReadOnly(_) | Self::Compute(_) => ErrorKind::InvalidInput,
            Self::Timeout(_) => ErrorKind::DeadlineExceeded,
            Self::Memory { .. } => ErrorKind::TooLarge,
            Self::Busy(_) => ErrorKind::Overloaded,
            Self::Journal(e) => e.kind(),
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Busy(_)).then_some(Duration::from_secs(2))
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Invalid(_) => Some(format!(
                "tables: {}; write a column with a dot in double quotes, \"in.age\"",
                tables::NAMES.join(", ")
            )),
            Self::ReadOnly(_) => Some("to write results somewhere, read them here and write them there".into()),
            Self::Timeout(_) | Self::Memory { .. } => {
                Some("narrow it by deployment and date, or read the Parquet files with another engine".into())
            }
            Self::Busy(_) => Some("send it again in a few seconds".into()),
            Self::Journal(e) => e.hint(),
            Self::Compute(_) | Self::Internal(_) => None,
        }
    }
}

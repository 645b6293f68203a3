//! Why a question about cost has no answer.

use crate::ports::PortError;
use mainspring_core::{Denied, ErrorKind, Failure};
use mainspring_query::QueryError;
use mainspring_store::StoreError;
use std::time::Duration;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    /// The journal could not be asked.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another part of the server did not answer.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The caller may not read the journal.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// More lines than are told.
    #[error("there are over {0} lines")]
    Many(usize),
    /// A table that nobody declared.
    #[error("there is no price table {name:?}; there {}", there(known))]
    NoTable {
        /// Which one was asked for.
        name: String,
        /// Which there are.
        known: Vec<String>,
    },
    /// Several tables, and none of them is named `default`.
    #[error("there are several price tables and none is called default: {}", known.join(", "))]
    Tables {
        /// Which.
        known: Vec<String>,
    },
    /// Nobody declared what the deployment's outcomes are worth.
    #[error("nothing says what the outcomes of {deployment:?} are worth")]
    NoValue {
        /// Which deployment.
        deployment: String,
    },
    /// Values and prices are in different currencies.
    #[error("outcomes are worth {values} and the price table {table} is in {costs}; neither is converted")]
    Currencies {
        /// That of the values.
        values: String,
        /// That of the table.
        costs: String,
        /// The table.
        table: String,
    },
    /// Only the default tenant sees the others.
    #[error("tenant {0:?} does not see what others cost")]
    OtherTenants(String),
    /// The answer of the journal is not what was asked for.
    #[error("the journal's answer cannot be read: {0}")]
    Broken(String),
}

fn there(known: &[String]) -> String {
    if known.is_empty() { "are none".to_owned() } else { format!("are {}", known.join(", ")) }
}

impl Failure for CostError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Query(e) => e.kind(),
            Self::Store(e) => e.kind(),
            Self::Port(e) => e.kind,
            Self::Denied(e) => e.kind(),
            Self::Many(_) => ErrorKind::TooLarge,
            Self::NoTable { .. } | Self::NoValue { .. } => ErrorKind::NotFound,
            Self::Tables { .. } | Self::Currencies { .. } => ErrorKind::InvalidInput,
            Self::OtherTenants(_) => ErrorKind::Denied,
            Self::Broken(_) => ErrorKind::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Query(e) => e.retry_after(),
            Self::Store(e) => e.retry_after(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Query(e) => e.hint(),
            Self::Store(e) => e.hint(),
            Self::Denied(e) => e.hint(),
            Self::Many(_) => Some("ask by less, or for less time".into()),
            Self::NoTable { .. } => Some("declare it: mainspring apply -f, with kind: PriceTable".into()),
            Self::Tables { .. } => Some("say which: --prices NAME, or call one of them default".into()),
            Self::NoValue { .. } => Some("declare it: mainspring apply -f, with kind: OutcomeValue".into()),
            Self::Currencies { .. } => Some("name a table in that currency: --prices NAME".into()),
            Self::OtherTenants(_) => Some("leave tenant out of what is grouped by".into()),
            Self::Port(_) | Self::Broken(_) => None,
        }
    }
}

//! Objectives of deployments, their error budgets, and when a budget burns too fast: the rules of the SRE workbook,
//! chapter 5. No I/O.

mod burn;
mod kept;
mod rules;
#[cfg(test)]
mod tests;

pub use burn::{Burn, RULES, Rule, Standing, WINDOWS, judge};
pub use kept::RuleLimit;
pub use rules::rules;

use mainspring_core::{ErrorKind, Name, Tenant, Timestamp};
use std::time::Duration;

/// How long a budget lasts.
pub const PERIOD: Duration = Duration::from_secs(30 * 86_400);

/// Whose counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// Whose.
    pub tenant: Tenant,
    /// The deployment.
    pub deployment: Name,
    /// What is counted: `availability`, `latency 20000us` or `rule age:between`.
    pub counted: String,
}

/// The version that alone answers a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answering {
    /// Its registered model.
    pub model: String,
    /// The version.
    pub version: String,
    /// For how long no other did.
    pub held: Duration,
}

/// An objective of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// Whose.
    pub tenant: Tenant,
    /// The deployment.
    pub deployment: Name,
    /// Its name: `availability`, `p99`.
    pub name: String,
    /// The share of requests that are to be good, less than 1.
    pub target: f64,
    /// For a latency: a request that takes longer is not good.
    pub within: Option<Duration>,
    /// Requests that a window must have before anything is said of it.
    pub minimum: u64,
    /// What to do when it burns.
    pub runbook: Option<String>,
    /// Who answers; nothing while a rollout decides, since several may.
    pub answers: Option<Answering>,
}

impl Objective {
    /// Whose counts tell of it. A new threshold is counted anew.
    pub fn series(&self) -> Series {
        let counted = match self.within {
            None => "availability".to_owned(),
            Some(within) => format!("latency {}us", within.as_micros()),
        };
        Series { tenant: self.tenant.clone(), deployment: self.deployment.clone(), counted }
    }

    /// The share of requests that may fail.
    pub fn allowed(&self) -> f64 {
        1.0 - self.target
    }
}

/// Whether a failure is the server's: one of the caller's own counts neither as good nor as bad.
pub fn faulty(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Overloaded | ErrorKind::DeadlineExceeded | ErrorKind::Unavailable | ErrorKind::Internal => true,
        ErrorKind::InvalidInput
        | ErrorKind::Unauthenticated
        | ErrorKind::Denied
        | ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::TooLarge
        | ErrorKind::Cancelled
        | ErrorKind::Unimplemented => false,
    }
}

/// A minute of a series, as one replica counted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// When the minute begins.
    pub at: Timestamp,
    /// Requests that count.
    pub total: u64,
    /// Those that were not good.
    pub bad: u64,
}

/// What all replicas counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Whose.
    pub tenant: Tenant,
    /// The deployment.
    pub deployment: String,
    /// [`Series::counted`].
    pub counted: String,
    /// Requests and bad ones in each of [`WINDOWS`].
    pub windows: [(u64, u64); WINDOWS.len()],
}

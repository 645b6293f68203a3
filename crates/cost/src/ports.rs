//! What cost needs from the rest of the server.

use futures::future::BoxFuture;
use mainspring_core::{ErrorKind, Principal, Tenant};
use std::sync::Arc;

/// Another part of the server did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// What it said.
    pub message: String,
}

/// An answer of another part.
pub type PortResult<'a, T> = BoxFuture<'a, Result<T, PortError>>;

/// Bytes that are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// `model` or `journal`.
    pub what: &'static str,
    /// `churn/3`, or the deployment.
    pub of: String,
    /// How many now.
    pub bytes: u64,
}

/// A version that answers, in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The deployment.
    pub deployment: String,
    /// The registered model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Calls that may run at once.
    pub instances: usize,
}

/// The rest of the server.
pub trait House: Send + Sync + 'static {
    /// Every tenant that has anything.
    fn tenants(&self) -> PortResult<'_, Vec<Tenant>>;

    /// For how many days, today included, a tenant's journal is kept: that of one deployment, or of the one that is kept for
    /// the shortest time. `None` when it is kept for ever.
    fn days(&self, tenant: &Tenant, deployment: Option<&str>) -> Option<u32>;

    /// What `who` may see of what is kept now: files of model versions, and sealed files of the journal.
    fn stored<'a>(&'a self, who: &'a Arc<Principal>) -> PortResult<'a, Vec<Stored>>;

    /// What `who` may see of what answers now.
    fn running<'a>(&'a self, who: &'a Arc<Principal>) -> PortResult<'a, Vec<Running>>;
}

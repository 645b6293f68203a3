//! What personalizers need from the rest of the house: a log of what was chosen and what it brought.

use futures::future::BoxFuture;
use mainspring_core::{ErrorKind, EventId, Failure, Prediction, Principal, Tenant, Timestamp};
use serde_json::Value;
use std::sync::Arc;

/// A choice that the log knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Its id.
    pub id: EventId,
    /// When it was made.
    pub at: Timestamp,
    /// The caller's own id.
    pub client_id: Option<String>,
    /// The context.
    pub context: Value,
    /// Id and features of the action that was chosen.
    pub action: (String, Value),
    /// What it brought already.
    pub rewards: Vec<f64>,
}

/// Why the log cannot be written or read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// What happened, to what.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure for PortError {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// The log of choices.
pub trait Log: Send + Sync {
    /// Keeps a choice; never waits.
    fn append(&self, choice: Prediction);

    /// Keeps what a choice brought, by our id or else by the caller's; when it returns, that is kept for good.
    fn reward<'a>(
        &'a self,
        who: &'a Arc<Principal>,
        of: (&'a str, Result<EventId, String>),
        value: f64,
    ) -> BoxFuture<'a, Result<(), PortError>>;

    /// The choices of a personalizer since a time.
    fn since<'a>(
        &'a self,
        tenant: &'a Tenant,
        name: &'a str,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Past>, PortError>>;
}

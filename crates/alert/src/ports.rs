//! What alerts need from the rest of the server.

use crate::render::{Freeze, Outgoing};
use crate::signal::Happening;
use crate::slo::{Count, Objective, RuleLimit};
use futures::future::BoxFuture;
use mainspring_core::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Another part of the server did not answer; asked again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PortError(pub String);

/// Why a receiver did not take something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What it said, or what happened on the way; without any secret.
    pub reason: String,
    /// Whether sending it again does not help.
    pub for_good: bool,
    /// How long it asks to wait.
    pub after: Option<Duration>,
}

/// Freezes versions.
pub trait Freezer: Send + Sync + 'static {
    /// Keeps a version from being taken by anything new; `Ok` when it is so, also when it was before. Called again until it is,
    /// unless the refusal is for good.
    fn freeze(&self, freeze: Freeze) -> BoxFuture<'_, Result<(), Refused>>;
}

/// Sends.
pub trait Courier: Send + Sync + 'static {
    /// Sends once, within seconds; `Ok` when the receiver has taken it.
    fn send(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<(), Refused>>;
}

/// Lists of what happened, each read in order.
pub trait Happenings: Send + Sync + 'static {
    /// What follows on the known positions, of every list; some of it when it is much. A list that is not among them
    /// is read from its beginning.
    fn after<'a>(&'a self, known: &'a BTreeMap<String, u64>) -> BoxFuture<'a, Result<Vec<Happening>, PortError>>;
}

/// Deployments and what this process counted of their requests.
pub trait Traffic: Send + Sync + 'static {
    /// What is declared, of all tenants.
    fn objectives(&self) -> Vec<Objective>;

    /// The minutes from `since` on that have requests, as this process counts them now.
    fn minutes(&self, objective: &Objective, since: Timestamp) -> Vec<Count>;

    /// How many rows may break which rule, of all tenants.
    fn rules(&self) -> Vec<RuleLimit>;

    /// The minutes from `since` on in which this process judged rows by a rule: all of them, and those that broke it.
    fn judged(&self, limit: &RuleLimit, since: Timestamp) -> Vec<Count>;
}

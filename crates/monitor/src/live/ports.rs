//! What monitors need from the rest of the server. Each is asked again after a failure; none but
//! [`Models::training`] may wait for long.

use super::action::SaveProfile;
use super::spec::{MonitorSpec, RolloutOrder, Severity};
use crate::profile::Profile;
use arrow::array::RecordBatch;
use futures::future::BoxFuture;
use mainspring_core::{Authorized, ErrorKind, Name, Tenant, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Another part of the server did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// Of which kind.
    pub kind: ErrorKind,
    /// Why.
    pub message: String,
}

/// The answer of a port.
pub type PortResult<'a, T> = BoxFuture<'a, Result<T, PortError>>;

/// Which rows a monitor wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Whose.
    pub tenant: Tenant,
    /// The deployment, and which columns of it.
    pub spec: Arc<MonitorSpec>,
    /// From here on.
    pub from: Timestamp,
}

/// A part of the rows.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// In any order, each row once, as the journal lays them out.
    pub batches: Vec<RecordBatch>,
    /// No row that was received before this is missing any more.
    pub complete_until: Timestamp,
    /// Whether there are more to be had at once.
    pub more: bool,
}

/// The rows of one deployment: all that are kept since a moment, then what comes.
pub trait RowStream: Send {
    /// What has come since the last call, without waiting for more; a part of it when it is much. After an error the
    /// stream is of no more use.
    fn next(&mut self) -> PortResult<'_, Rows>;
}

/// The journal.
pub trait Traffic: Send + Sync + 'static {
    /// Opens a stream.
    fn follow(&self, wanted: Wanted) -> PortResult<'_, Box<dyn RowStream>>;
}

/// What a version was trained on.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The profile of it.
    pub profile: Profile,
    /// What it is called.
    pub source: String,
    /// The server's own permission to save it with the version, which goes into the audit trail.
    pub auth: Authorized<SaveProfile>,
}

/// The registered models.
pub trait Models: Send + Sync + 'static {
    /// Name and version of what a URI (`models:/churn@champion`) means now.
    fn resolve<'a>(&'a self, tenant: &'a Tenant, uri: &'a str) -> PortResult<'a, (String, String)>;

    /// What a version was trained on, where it is known and can be read; it may take long. Only the controller asks, for one
    /// version after the other, when a monitor needs a profile and none is saved.
    fn training<'a>(&'a self, tenant: &'a Tenant, model: &'a str, version: &'a str) -> PortResult<'a, Option<Trained>>;
}

/// What somebody must hear of: a monitor that begins or ceases to see drift.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alarm {
    /// Whose.
    pub tenant: Tenant,
    /// The monitor.
    pub monitor: String,
    /// What it watches.
    pub deployment: Name,
    /// Which variant of it.
    pub variant: String,
    /// Whether there is drift now; all that is told with one monitor is one alarm.
    pub firing: bool,
    /// When it turned.
    pub at: Timestamp,
    /// How bad it is.
    pub severity: Severity,
    /// For people.
    pub sentence: String,
    /// Where it is written what to do.
    pub runbook: Option<String>,
    /// What is to happen to the deployment's rollout.
    pub order: Option<RolloutOrder>,
    /// The numbers that it rests on, and the query that shows the rows.
    pub numbers: serde_json::Value,
}

/// Whom alarms concern.
pub trait Alarms: Send + Sync + 'static {
    /// Passes an alarm on and carries out its order. At least once and in order: called again until it succeeds.
    fn tell<'a>(&'a self, alarm: &'a Alarm) -> PortResult<'a, ()>;
}

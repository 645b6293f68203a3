//! What monitors need from the rest of the server. Each is asked again after a failure; none but
//! [`Models::training`] may wait for long.

use super::action::SaveProfile;
use super::spec::{MonitorSpec, RolloutOrder, Severity};
use crate::estimate::{Report, Request};
use crate::profile::Profile;
use arrow::array::RecordBatch;
use futures::future::BoxFuture;
use mainspring_core::{Authorized, ErrorKind, Name, Tenant, Timestamp};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::path::PathBuf;
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
    /// Columns that the deployment redacts, `in.NAME`: what stands in their place is not what came. They are not among the
    /// batches' columns.
    pub hidden: Vec<String>,
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

    /// The labelled rows that were received from `wanted.from` on and before `until`, both whole minutes, or before an
    /// earlier minute where there are too many; each with the columns of the journal's envelope, its outputs, the columns of the spec's segments, and its label
    /// as `label_value`, `label_type` and `label_number`. Only rows of the spec's segment and labels that came within its wait
    /// count.
    fn labels(&self, wanted: Wanted, until: Timestamp) -> PortResult<'_, Rows>;

    /// The latest rows of the spec's segment that the version of `of` answered, those alone that count, at most `most` and none before
    /// `wanted.from`: their inputs. However much or little there is since then, about so many are read.
    fn recent(&self, wanted: Wanted, of: Asked, most: usize) -> PortResult<'_, Rows>;
}

/// Which model is asked again.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Whose.
    pub tenant: Tenant,
    /// Where it answers.
    pub deployment: Name,
    /// Its version.
    pub version: String,
}

/// An answer to a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A number, or a probability of each class.
    Numbers(Vec<f64>),
    /// A class by its name.
    Class(String),
}

impl Answer {
    /// How far another answer is from it: by how much, by which share of probability, or 1 where it is another class.
    pub fn change(&self, other: &Self) -> f64 {
        match (self, other) {
            (Self::Numbers(a), Self::Numbers(b)) => {
                let all: f64 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
                if a.len() > 1 { all / 2.0 } else { all }
            }
            (Self::Class(a), Self::Class(b)) => f64::from(u8::from(a != b)),
            _ => 1.0,
        }
    }
}

/// Answers to some rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answered {
    /// The output that they are, `out.score`.
    pub output: String,
    /// One for each row.
    pub rows: Vec<Answer>,
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

/// A version that was registered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FreshVersion {
    /// Whose.
    pub tenant: Tenant,
    /// The model.
    pub model: String,
    /// Its number.
    pub version: String,
    /// When.
    pub at: Timestamp,
}

/// A file of the store that a version names, copied for whoever reads it.
#[derive(Debug)]
pub struct NamedFile {
    /// The copy.
    pub path: PathBuf,
    /// What it is, in words.
    pub source: String,
    /// The copy is there as long as this.
    pub held: Box<dyn Any + Send>,
}

/// The registered models.
pub trait Models: Send + Sync + 'static {
    /// Name and version of what a URI (`models:/churn@champion`) means now.
    fn resolve<'a>(&'a self, tenant: &'a Tenant, uri: &'a str) -> PortResult<'a, (String, String)>;

    /// What a version was trained on, where it is known and can be read; it may take long. It is asked for one version after
    /// the other, when a profile is needed and none is saved.
    fn training<'a>(&'a self, tenant: &'a Tenant, model: &'a str, version: &'a str) -> PortResult<'a, Option<Trained>>;

    /// How large the file is that [`Self::training`] would read, bytes; `None` where it would find none.
    fn training_size<'a>(&'a self, _: &'a Tenant, _: &'a str, _: &'a str) -> PortResult<'a, Option<u64>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Versions of all tenants that were registered after a moment, the oldest first.
    fn registered(&self, _: Timestamp) -> PortResult<'_, Vec<FreshVersion>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// A number that is another one once there may be a new version.
    fn changed(&self) -> u64 {
        0
    }

    /// Why [`Self::training`] has nothing of a version whose run names what it was trained on: `the run's dataset "train" is
    /// /data/train.csv, which is not in this server's store`. `None` where the run names nothing, or it is not known.
    fn unused<'a>(&'a self, _: &'a Tenant, _: &'a str, _: &'a str) -> PortResult<'a, Option<String>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// The file of predictions with labels that a version names as a reference; `None` where it names none.
    fn reference<'a>(&'a self, _: &'a Tenant, _: &'a str, _: &'a str) -> PortResult<'a, Option<NamedFile>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// Estimates of performance.
pub trait Estimates: Send + Sync + 'static {
    /// Estimates a window of the tenant's rows; nothing where it has none. It may take long: it waits for its turn, reads many
    /// rows and learns from them. Dropped, it is given up.
    fn estimate<'a>(&'a self, tenant: &'a Tenant, request: Request) -> PortResult<'a, Option<Report>>;
}

/// What an alarm is about: each begins and ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum About {
    /// Columns that have drifted.
    #[default]
    Drift,
    /// A metric that is estimated.
    Estimate,
    /// Changes that stream detectors call, which may be none.
    Detected,
    /// The monitor itself, which does not go on: nobody is told what it would see.
    Stopped,
}

/// What somebody must hear of: a monitor that begins or ceases to see drift, or answers that are probably worse.
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
    /// What it is about; before there were estimates all alarms were of drift.
    #[serde(default)]
    pub about: About,
    /// Whether it goes on now; all that is told of one thing with one monitor is one alarm.
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

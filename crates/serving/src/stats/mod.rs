//! Counters of a version: atomics that requests add to, and the copies that others read.

mod histogram;
mod recorder;
#[cfg(test)]
mod tests;

pub use histogram::{Histogram, HistogramView};
pub(crate) use recorder::{Recorder, Sample};

use crate::rules::RuleView;
use crate::view::Execution;
use mainspring_core::{ErrorKind, Name, Target, Timestamp, Tokens};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How many, and how long they took together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counted {
    /// How many.
    pub count: u64,
    /// Nanoseconds in all.
    pub ns: u64,
}

/// Requests that failed in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FailureCount {
    /// Which way.
    pub kind: ErrorKind,
    /// How many requests.
    pub count: u64,
}

/// Why a batch stopped waiting for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClosedBy {
    /// It was full, or the next request did not fit.
    Size,
    /// Its oldest request had waited for `maxDelay`.
    Delay,
    /// An instance was or became idle.
    Idle,
    /// The next request's tensors had other dimensions.
    Shape,
    /// The model does not take several requests in one call.
    Alone,
    /// It never waited: the call was quick enough to run on the request's own thread.
    Inline,
}

impl ClosedBy {
    /// Every reason.
    pub const ALL: [Self; 6] = [Self::Size, Self::Delay, Self::Idle, Self::Shape, Self::Alone, Self::Inline];

    /// The name in views and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Delay => "delay",
            Self::Idle => "idle",
            Self::Shape => "shape",
            Self::Alone => "alone",
            Self::Inline => "inline",
        }
    }
}

/// Calls of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchStats {
    /// Rows in the call: exact up to 128, then the next power of two.
    pub rows: usize,
    /// How many calls.
    pub executions: u64,
    /// Nanoseconds in the engine.
    pub engine_ns: u64,
}

/// Why a version's batches closed, and how large they were.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Batches {
    /// The version.
    pub version: Arc<str>,
    /// Whether requests that name no version go to it.
    pub current: bool,
    /// Rows of one call at most.
    pub max_rows: u32,
    /// How long a batch may wait, milliseconds.
    pub max_delay_ms: f64,
    /// How its requests run, as warm-up measured it; `None` once the version is unloaded.
    pub execution: Option<Execution>,
    /// Calls by the reason that closed their batch.
    pub closed: Vec<(ClosedBy, u64)>,
    /// Calls by rows.
    pub rows: Vec<BatchStats>,
    /// Requests that wait now.
    pub waiting: usize,
}

/// Answers that are kept of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CacheStats {
    /// Requests whose answer was kept, and the time to find it.
    pub hits: Counted,
    /// Requests that went to the model, and the time to look for an answer.
    pub misses: Counted,
    /// Answers that are kept now.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Counters of one version.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionStats {
    /// Deployment, variant, model and version.
    pub target: Arc<Target>,
    /// Whether requests that name no version go to it.
    pub current: bool,
    /// When it last answered.
    pub last_inference: Option<Timestamp>,
    /// Rows answered.
    pub inference_count: u64,
    /// Those of them whose answer was kept: no engine was asked.
    pub kept_count: u64,
    /// Calls of the engine.
    pub execution_count: u64,
    /// Requests answered, and the time from arrival to the encoded answer.
    pub success: Counted,
    /// Requests failed or refused, and the time until then.
    pub fail: Counted,
    /// The same by kind.
    pub failures: Vec<FailureCount>,
    /// Waiting of answered requests, before the engine.
    pub queue: HistogramView,
    /// Answered requests in the engine; a shared call counts for each request in it.
    pub engine: HistogramView,
    /// Encoding of answers.
    pub encode: HistogramView,
    /// From arrival to the encoded answer.
    pub total: HistogramView,
    /// Calls by size.
    pub batches: Vec<BatchStats>,
    /// Output values that were NaN.
    pub nan_outputs: u64,
    /// Answers that are kept.
    pub cache: CacheStats,
    /// Tokens that were spent, where the model counts them.
    pub tokens: Tokens,
    /// Memory held, bytes; 0 once it is unloaded.
    pub memory_bytes: u64,
    /// Processes started in place of one that ended; `None` of a model that has none of its own, and once it is unloaded.
    pub restarts: Option<u64>,
}

/// Counters of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentStats {
    /// Its name.
    pub name: Name,
    /// Requests in flight now.
    pub in_flight: usize,
    /// Requests refused when no version could answer, by kind.
    pub unserved: Vec<FailureCount>,
    /// Version changes that failed.
    pub failed_loads: u64,
    /// Its rules, and what each counted.
    pub rules: Vec<RuleView>,
    /// Its versions, the current one first; those that are loaded, and the last ones before, 16 in all.
    pub versions: Vec<VersionStats>,
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

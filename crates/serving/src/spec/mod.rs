//! The spec of the kind `Deployment`.

mod cache;
mod not_built;
mod python;
mod rules;
mod slo;
#[cfg(test)]
mod tests;
mod units;

pub use cache::CacheSpec;
pub use mainspring_resource::{ByteSize, HumanDuration};
pub use python::{PythonEnv, PythonSpec};
pub use rules::{MOST_RULES, RuleAction, RuleAlert, RuleCondition, RuleSeverity, RuleSpec, RulesSpec};
pub use slo::{Percent, SloSpec};
pub use units::Instances;

use mainspring_core::{ErrorKind, Failure, Name};
use mainspring_traffic::UnitFrom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// What a deployment should be: which model answers, how it runs, what is refused, what is
/// recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Deployment")]
pub struct DeploymentSpec {
    /// The model, by an MLflow URI: `models:/name@alias`, `models:/name/3`, `runs:/id/path`.
    pub model: String,
    /// `onnx`: the newest version that `mainspring convert` or `optimize` made from this one serves in its
    /// place; while there is none, or it cannot be loaded, this one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefer: Option<Prefer>,
    /// How it runs.
    #[serde(default)]
    pub engine: EngineSpec,
    /// What is refused instead of queued.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// What the journal keeps of its requests.
    #[serde(default)]
    pub journal: JournalSpec,
    /// Answers that are given again to the same request, without the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheSpec>,
    /// Whether it answers MLflow scoring requests that name no deployment. One deployment at most.
    #[serde(default)]
    pub default: bool,
    /// What it promises: budgets, and alerts when one burns too fast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<SloSpec>,
    /// What the rows of its requests must keep: a request with one that does not is refused, flagged or counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<RulesSpec>,
    #[serde(default, skip_serializing)]
    features: not_built::Features,
    #[serde(default, skip_serializing)]
    scale: not_built::Scale,
    #[serde(default, skip_serializing)]
    variants: not_built::Variants,
}

/// What may serve in place of the model that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Prefer {
    /// A conversion to ONNX that was proven to answer the same.
    Onnx,
}

/// How a model runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EngineSpec {
    /// Calls that may run at once: `auto` (one a core; one for a model that runs in Python) or a
    /// number.
    #[serde(default)]
    pub instances: Instances,
    /// How requests share a call, for models too slow to run each request at once.
    #[serde(default)]
    pub batch: BatchSpec,
    /// The process of a model that runs in Python.
    #[serde(default)]
    pub python: PythonSpec,
}

/// How requests share a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BatchSpec {
    /// Rows of one call at most. A request with more rows runs alone; requests are never split.
    #[schemars(range(min = 1, max = 65536))]
    pub max_rows: u32,
    /// How long the oldest request may wait for company while an instance is idle. `0ms` starts as
    /// soon as an instance is idle, with whatever waits by then.
    pub max_delay: HumanDuration,
}

impl Default for BatchSpec {
    fn default() -> Self {
        Self { max_rows: 64, max_delay: HumanDuration(Duration::ZERO) }
    }
}

/// What is refused instead of queued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LimitsSpec {
    /// Requests that may wait or run at once; one more is refused as overload.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: u32,
    /// How long after its arrival a request may still be answered: one that waits then never starts, and nobody
    /// waits for the end of one that runs. A request's own deadline counts when it is earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<HumanDuration>,
    /// Bytes of one request's tensors at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_request_bytes: Option<ByteSize>,
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self { max_in_flight: 1024, deadline: None, max_request_bytes: None }
    }
}

/// What the journal keeps of a deployment's requests. Every answer is counted whatever this says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct JournalSpec {
    /// Share of requests, 0 to 1, whose inputs and outputs are kept.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
    /// Inputs, columns or parameters whose values are never kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
    /// Who asks, `header:NAME`, `cookie:NAME` or `key`: its hash stands with each row, also while no rollout decides, so that the next
    /// rollout knows what its units did before. Give it what `assignment.unit` of the rollouts says; inputs need not be named.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub unit: Option<UnitFrom>,
    /// Days that are kept, today included; else as the server is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
    /// Size over which the oldest files go; else as the server is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_bytes: Option<ByteSize>,
}

impl Default for JournalSpec {
    fn default() -> Self {
        Self { sample: 1.0, redact: Vec::new(), unit: None, keep_days: None, keep_bytes: None }
    }
}

/// Why a spec cannot be deployed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// A name that the protocols need for themselves.
    #[error("a deployment cannot be called {name:?}: /v2/models/stats is the statistics of all deployments")]
    ReservedName {
        /// The name.
        name: String,
    },
    /// No model.
    #[error("model is empty; give an MLflow URI such as models:/churn@champion")]
    NoModel,
    /// A number outside its range.
    #[error("{field} is {got}; it must be {expected}")]
    Range {
        /// Path of the field.
        field: &'static str,
        /// Value given.
        got: String,
        /// The range.
        expected: &'static str,
    },
}

impl Failure for SpecError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

impl DeploymentSpec {
    /// A spec with every other field at its default.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            prefer: None,
            engine: EngineSpec::default(),
            limits: LimitsSpec::default(),
            journal: JournalSpec::default(),
            cache: None,
            default: false,
            slo: None,
            rules: None,
            features: not_built::Features,
            scale: not_built::Scale,
            variants: not_built::Variants,
        }
    }

    /// Checks what types and serde cannot: the name, and the ranges of numbers.
    ///
    /// # Errors
    /// [`SpecError`] naming the field at fault.
    pub fn validate(&self, name: &Name) -> Result<(), SpecError> {
        if name.as_str() == "stats" {
            return Err(SpecError::ReservedName { name: name.to_string() });
        }
        if self.model.trim().is_empty() {
            return Err(SpecError::NoModel);
        }
        let range = |ok: bool, field, got: String, expected| {
            if ok { Ok(()) } else { Err(SpecError::Range { field, got, expected }) }
        };
        let sample = self.journal.sample;
        range((0.0..=1.0).contains(&sample), "journal.sample", sample.to_string(), "between 0 and 1")?;
        if let Some(unit) = &self.journal.unit {
            let fits = matches!(unit, UnitFrom::Header(_) | UnitFrom::Cookie(_) | UnitFrom::Key);
            let expected = "header:NAME, cookie:NAME or key; an input is in the journal by itself";
            range(fits, "journal.unit", unit.to_string(), expected)?;
        }
        let rows = self.engine.batch.max_rows;
        range((1..=65_536).contains(&rows), "engine.batch.maxRows", rows.to_string(), "between 1 and 65536")?;
        let delay = self.engine.batch.max_delay;
        range(delay.0 <= Duration::from_secs(10), "engine.batch.maxDelay", delay.to_string(), "at most 10s")?;
        let flight = self.limits.max_in_flight;
        range((1..=1_000_000).contains(&flight), "limits.maxInFlight", flight.to_string(), "between 1 and 1000000")?;
        if let Some(deadline) = self.limits.deadline {
            range(!deadline.0.is_zero(), "limits.deadline", deadline.to_string(), "longer than 0ms")?;
        }
        if let Instances::Count(n) = self.engine.instances {
            range((1..=1024).contains(&n), "engine.instances", n.to_string(), "auto, or between 1 and 1024")?;
        }
        if let Some((field, got, expected)) = self.engine.python.wrong() {
            return Err(SpecError::Range { field, got, expected });
        }
        if let Some((field, got, expected)) = self.slo.as_ref().and_then(SloSpec::wrong) {
            return Err(SpecError::Range { field, got, expected });
        }
        if let Some((field, got, expected)) = self.rules.as_ref().and_then(RulesSpec::wrong) {
            return Err(SpecError::Range { field, got, expected });
        }
        if let Some((field, got, expected)) = self.cache.as_ref().and_then(CacheSpec::wrong) {
            return Err(SpecError::Range { field, got, expected });
        }
        Ok(())
    }
}

//! What others say: that something is wrong or no longer wrong, and that something happened.

use crate::sha::short;
use mainspring_core::{Tenant, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Info,
    /// Somebody looks at it on a working day.
    Ticket,
    /// Somebody looks at it now.
    Page,
}

impl Severity {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Ticket => "ticket",
            Self::Page => "page",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// An objective of a deployment.
    Slo,
    /// A monitor's verdict.
    Drift,
    /// A rollout's decision.
    Rollout,
    /// Rows that break a deployment's rules.
    Quality,
    /// What is spent of a budget.
    Budget,
}

impl Source {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slo => "slo",
            Self::Drift => "drift",
            Self::Rollout => "rollout",
            Self::Quality => "quality",
            Self::Budget => "budget",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an alert says, apart from its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// What it is: `SloBurn`.
    pub name: String,
    /// What it is about.
    pub source: Source,
    /// How severe.
    pub severity: Severity,
    /// What tells it from others of the name: `deployment`, `objective`, …
    pub labels: BTreeMap<String, String>,
    /// In words, with the numbers that matter.
    pub sentence: String,
    /// The numbers that justify it.
    pub numbers: Value,
    /// A query of the journal that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// The console's page, below the server's address: `/ui/deployments/churn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// What a stream detector of a monitor calls, which promises no rate of false alarms.
pub const DETECTED_CHANGE: &str = "DetectedChange";
/// A monitor that does not go on: what it would see nobody is told.
pub const MONITOR_STOPPED: &str = "MonitorStopped";

impl Subject {
    /// Whether the version that it is about may be frozen for it: not for what may be nothing, nor for what is not its own.
    pub fn may_freeze(&self) -> bool {
        let own = ![DETECTED_CHANGE, MONITOR_STOPPED].contains(&self.name.as_str());
        own && matches!(self.source, Source::Slo | Source::Drift)
    }

    /// What two reports of the same have in common: name, source, severity and labels.
    pub fn fingerprint(&self) -> String {
        let labels = self.labels.iter().flat_map(|(k, v)| [k.as_str(), v.as_str()]);
        short([self.name.as_str(), self.source.as_str(), self.severity.as_str()].into_iter().chain(labels))
    }

    /// Its labels, and `name`, `source` and `severity` beside them: what matchers see.
    pub fn facets(&self) -> BTreeMap<String, String> {
        let mut all = self.labels.clone();
        let own =
            [("name", self.name.as_str()), ("source", self.source.as_str()), ("severity", self.severity.as_str())];
        all.extend(own.map(|(k, v)| (k.to_owned(), v.to_owned())));
        all
    }

    /// The deployment that it is about, when it is about one.
    pub fn deployment(&self) -> &str {
        self.labels.get("deployment").map_or("", String::as_str)
    }
}

/// One look at something that may be wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// What it would be.
    pub subject: Subject,
    /// Whether it is wrong now.
    pub active: bool,
    /// How long it must be right without a break before the alert is over.
    pub keep: Duration,
}

/// Something that happened once, from a list that is read in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// The list: `rollout/default/churn-v8/1`.
    pub stream: String,
    /// Whose.
    pub tenant: Tenant,
    /// Its place in the list, from 1.
    pub position: u64,
    /// When.
    pub at: Timestamp,
    /// What; nothing when nobody needs to hear of it.
    pub subject: Option<Subject>,
}

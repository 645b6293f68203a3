//! How good the answers probably are while nobody knows what is true: an estimate of each window, what follows from it, and
//! what its labels said once they came.
//!
//! [`Outlook`] is pure and a part of [`Watch`](super::Watch): the same findings in the same order give the same state. It says
//! what is to be found out next ([`Due`]); [`work`] does it beside everything else, since learning from a reference may take
//! long. A window that was being estimated when the leader went is estimated again by the next one.

pub mod spec;
pub(super) mod words;
mod work;

pub(super) use work::{Wants, Work, is_passing};

use super::spec::MonitorSpec;
use mainspring_core::Timestamp;
use serde::{Deserialize, Serialize};
use spec::{EstimateSpec, KEPT, Limit, micros};

/// What is said of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prospect {
    /// No window with enough rows has been estimated.
    #[default]
    Waiting,
    /// It is not beyond its limit.
    Steady,
    /// It is beyond it, and may not be: the interval holds the limit.
    Doubtful,
    /// A whole interval was beyond the limit, and `recoverAfter` has not passed since.
    Degraded,
}

impl Prospect {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Steady => "steady",
            Self::Doubtful => "doubtful",
            Self::Degraded => "degraded",
        }
    }
}

/// What was found out of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Rows that it was made of.
    pub rows: u64,
    /// The estimate.
    pub value: f64,
    /// Three sampling errors below it.
    pub low: f64,
    /// And above it.
    pub high: f64,
    /// The metric of the labelled rows that were learnt from.
    pub reference: Option<f64>,
    /// Rows whose label is known.
    pub labeled: u64,
    /// The metric of these.
    pub realized: Option<f64>,
}

/// A window that was estimated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Look {
    /// Its rows came from here on,
    pub from: Timestamp,
    /// and before then.
    pub until: Timestamp,
    /// How many they were.
    pub rows: u64,
    /// The estimate.
    pub value: f64,
    /// Three sampling errors below it.
    pub low: f64,
    /// And above it.
    pub high: f64,
    /// What it must not pass; `None` where there is nothing to have dropped from.
    pub limit: Option<Limit>,
    /// Whether its rows were enough for anything to follow.
    pub enough: bool,
    /// Rows whose label had come,
    pub labeled: u64,
    /// and what the metric of these really is.
    pub realized: Option<f64>,
    /// Whether the labels' wait was over by then.
    pub settled: bool,
}

impl Look {
    fn is_beyond(&self) -> bool {
        self.limit.is_some_and(|limit| limit.is_passed(self.value))
    }

    /// Whether the whole interval is beyond the limit.
    fn is_surely_beyond(&self) -> bool {
        self.limit.is_some_and(|limit| limit.is_passed(self.low) && limit.is_passed(self.high))
    }
}

/// What is to be found out next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// How good the answers of this time probably are.
    Estimate(Timestamp, Timestamp),
    /// How good they really were, now that its labels' wait is over.
    Truth(Timestamp, Timestamp),
}

impl Due {
    pub fn span(self) -> (Timestamp, Timestamp) {
        match self {
            Self::Estimate(from, until) | Self::Truth(from, until) => (from, until),
        }
    }
}

/// What turned with a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Degraded,
    Restored,
}

/// The estimates of a version, window by window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outlook {
    /// What is asked for.
    pub(super) spec: EstimateSpec,
    /// What is said.
    pub standing: Prospect,
    /// Since which window.
    pub since: Timestamp,
    /// Windows before this moment are estimated or passed over.
    pub until: Timestamp,
    /// The latest windows, the oldest first.
    pub looks: Vec<Look>,
    /// Why the last window has no estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Since when no window was beyond its limit; none where the last one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    good_since: Option<Timestamp>,
}

impl Outlook {
    /// Nothing estimated yet; the first window begins with `at`.
    pub(super) fn new(spec: EstimateSpec, at: Timestamp) -> Self {
        let (standing, looks) = (Prospect::Waiting, Vec::new());
        Self { spec, standing, since: at, until: at, looks, problem: None, good_since: None }
    }

    /// The last window that something followed from.
    pub(super) fn last(&self) -> Option<&Look> {
        self.looks.iter().rfind(|look| look.enough)
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.standing == Prospect::Degraded
    }

    /// What is to be found out, when all rows before `position` are there: the next window, or else the labels of an
    /// earlier one. Of a long time without a leader only so many windows are caught up with as are kept.
    pub(super) fn due(&self, position: Timestamp, spec: &MonitorSpec) -> Option<Due> {
        let long = self.spec.micros(spec).max(1);
        let behind = (position.micros() - self.until.micros()) / long;
        if behind > 0 {
            let passed = (behind - i64::from(KEPT)).max(0);
            let from = self.until.plus_micros(passed.saturating_mul(long));
            return Some(Due::Estimate(from, from.plus_micros(long)));
        }
        let wait = spec.label.as_ref().map_or(i64::MAX, |label| micros(label.wait.0));
        let over = |look: &&Look| !look.settled && look.until.micros().saturating_add(wait) <= position.micros();
        self.looks.iter().find(over).map(|look| Due::Truth(look.from, look.until))
    }

    /// Takes what was found out: nothing of a window without rows, and why where nothing could be.
    pub(super) fn fold(&mut self, due: Due, found: Result<Option<Seen>, String>, spec: &MonitorSpec) -> Option<Turn> {
        let (from, until) = due.span();
        if let Due::Truth(..) = due {
            let seen = found.ok().flatten();
            if let Some(look) = self.looks.iter_mut().find(|look| look.from == from && look.until == until) {
                look.settled = true;
                if let Some(seen) = seen {
                    (look.labeled, look.realized) = (seen.labeled, seen.realized);
                }
            }
            return None;
        }
        self.until = until;
        let seen = match found {
            // Where nobody asked, nothing new is known of what was the matter.
            Ok(seen) => seen?,
            Err(problem) => {
                self.problem = Some(problem);
                return None;
            }
        };
        let Seen { rows, value, low, high, reference, labeled, realized } = seen;
        let (limit, enough) = (self.spec.limit(reference), rows >= spec.min_rows);
        let look = Look { from, until, rows, value, low, high, limit, enough, labeled, realized, settled: false };
        self.looks.push(look);
        self.problem = None;
        let most = usize::try_from(KEPT).unwrap_or(usize::MAX);
        self.looks.drain(..self.looks.len().saturating_sub(most));
        if limit.is_none() {
            let metric = self.spec.metric.as_str();
            self.problem =
                Some(format!("the labelled rows that are learnt from have no {metric} to have dropped from"));
        }
        if enough { self.judge(&look, spec) } else { None }
    }

    fn judge(&mut self, look: &Look, spec: &MonitorSpec) -> Option<Turn> {
        let before = self.standing;
        self.good_since = if look.is_beyond() { None } else { Some(self.good_since.unwrap_or(look.from)) };
        let quiet =
            self.good_since.is_some_and(|since| look.until.micros() - since.micros() >= micros(spec.recover_after.0));
        self.standing = match before {
            _ if look.is_surely_beyond() => Prospect::Degraded,
            Prospect::Degraded if !quiet => Prospect::Degraded,
            _ if look.is_beyond() => Prospect::Doubtful,
            _ => Prospect::Steady,
        };
        if self.standing != before {
            self.since = look.from;
        }
        match (before, self.standing) {
            (Prospect::Degraded, Prospect::Degraded) => None,
            (_, Prospect::Degraded) => Some(Turn::Degraded),
            (Prospect::Degraded, _) => Some(Turn::Restored),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;

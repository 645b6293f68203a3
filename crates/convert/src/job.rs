//! A job as it stands.

use crate::findings::Findings;
use mainspring_core::{ErrorKind, Timestamp};
use serde::{Deserialize, Serialize};

/// Steps of a job that are kept; an installer has many lines.
const STEPS: usize = 200;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Another one runs.
    Waiting,
    /// Runs.
    Running,
    /// Ended; what came of it is in the findings.
    Done,
    /// Ended without a result.
    Failed,
    /// Was cancelled.
    Cancelled,
    /// The process that ran it ended before it did.
    Interrupted,
}

impl State {
    pub(crate) const ALL: [Self; 6] =
        [Self::Waiting, Self::Running, Self::Done, Self::Failed, Self::Cancelled, Self::Interrupted];

    /// The word shown: `running`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether nothing more happens.
    pub fn ended(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// `convert` or `optimize`.
    pub task: &'static str,
    /// The model, as it was named.
    pub model: String,
    /// Where it stands.
    pub state: State,
    /// When it was asked for.
    pub created: Timestamp,
    /// What it did and what came of it.
    pub course: Course,
}

/// What a job did, and what came of it. It is kept in the database as JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// What it did so far, oldest first.
    pub steps: Vec<String>,
    /// Steps before these that are not kept any more.
    pub forgotten: usize,
    /// What it found out, also when it failed for that.
    pub findings: Option<Findings>,
    /// The version that was registered.
    pub version: Option<String>,
    /// Why it failed.
    pub error: Option<Why>,
}

/// Why a job ended without a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The kind of failure, as [`ErrorKind::as_str`] says it.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Why {
    pub(crate) fn new(kind: ErrorKind, message: String, hint: Option<String>) -> Self {
        Self { kind: kind.as_str().to_owned(), message, hint }
    }
}

impl Job {
    pub(crate) fn step(&mut self, what: &str) {
        if self.course.steps.len() == STEPS {
            self.course.steps.remove(0);
            self.course.forgotten += 1;
        }
        self.course.steps.push(what.to_owned());
    }

    /// The same job once it is known that nobody runs it any more.
    pub(crate) fn interrupted(mut self) -> Self {
        self.state = State::Interrupted;
        self.course.error = Some(Why::new(
            ErrorKind::Unavailable,
            format!(
                "the server that worked on {} stopped before it was done; nothing was registered since",
                self.model
            ),
            Some(format!("start it again: mainspring {} {}", self.task, self.model)),
        ));
        self
    }
}

//! What others say: a run of a job changed its state, a job or a dataset was described.

use mainspring_core::Timestamp;

/// The most datasets that one event names, inputs and outputs together.
pub const MAX_DATASETS: usize = 10_000;

/// Which of the two things that lineage is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ThingKind {
    /// Something that runs.
    Job,
    /// Something that is read or written.
    Dataset,
}

impl ThingKind {
    /// The word stored, and the prefix of its nodes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Dataset => "dataset",
        }
    }
}

/// One facet, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet {
    /// Its name.
    pub name: String,
    /// Its JSON; `None` takes the facet away.
    pub body: Option<String>,
}

/// A job or a dataset, as an event describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// Where the name is unique.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// What is said of it.
    pub facets: Vec<Facet>,
}

/// The state that an event brings a run into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RunState {
    Start,
    Running,
    Complete,
    Abort,
    Fail,
    /// Says more of a run and leaves its state as it is.
    Other,
}

impl RunState {
    /// Every state with the word of an event.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Start, "START"),
        (Self::Running, "RUNNING"),
        (Self::Complete, "COMPLETE"),
        (Self::Abort, "ABORT"),
        (Self::Fail, "FAIL"),
        (Self::Other, "OTHER"),
    ];

    /// The word of an event.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(s, _)| *s == self).map_or("OTHER", |(_, word)| word)
    }

    /// The state with this word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, word)| *word == text).map(|(s, _)| *s)
    }

    /// Whether the run is over with it.
    pub fn ends(self) -> bool {
        matches!(self, Self::Complete | Self::Abort | Self::Fail)
    }
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A run of a job.
    Run {
        /// The run, a UUID in lower case with hyphens.
        id: String,
        /// The state it is in since; `None` where the event does not say.
        state: Option<RunState>,
        /// What is said of the run.
        facets: Vec<Facet>,
        /// The job.
        job: Thing,
    },
    /// A job, outside any run.
    Job(Thing),
    /// A dataset, outside any run.
    Dataset(Thing),
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it happened, by the sender's clock.
    pub at: Timestamp,
    /// What it is about.
    pub subject: Subject,
    /// Datasets that are read.
    pub inputs: Vec<Thing>,
    /// Datasets that are written.
    pub outputs: Vec<Thing>,
    /// The event as it was sent, JSON.
    pub body: String,
}

impl Event {
    /// What makes it the same event when it is sent again: run, state and time; or the thing and the time.
    pub(crate) fn key(&self) -> String {
        let (kind, of, which) = match &self.subject {
            Subject::Run { id, state, .. } => ("run", id, state.map_or("", RunState::as_str)),
            Subject::Job(t) => ("job", &t.namespace, t.name.as_str()),
            Subject::Dataset(t) => ("dataset", &t.namespace, t.name.as_str()),
        };
        digest(&[kind, of, which, &self.at.micros().to_string()])
    }
}

/// 32 hexadecimal digits for these texts: a key of fixed length, whatever the length of names.
pub(crate) fn digest(parts: &[&str]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        // With the length in front, no two lists of texts are the same bytes.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(&hash.finalize()[..16])
}

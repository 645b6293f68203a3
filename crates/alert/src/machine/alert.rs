//! One alert: firing, resolved.

use crate::signal::{Signal, Subject};
use mainspring_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It is an alert.
    Firing,
    /// It was one.
    Resolved,
    /// Something that happened; it is told once.
    Happened,
}

impl Phase {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Happened => "happened",
        }
    }
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// [`Subject::fingerprint`]; of something that happened, its own.
    pub fingerprint: String,
    /// What it says.
    pub subject: Subject,
    /// Where it is.
    pub phase: Phase,
    /// When the phase began.
    pub since: Timestamp,
    /// When it began to fire last.
    pub started: Timestamp,
    /// When it was last seen to be wrong.
    pub seen: Timestamp,
    /// Counts what the journal heard of it, from 1.
    pub sequence: u64,
}

/// What a look changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Changed {
    /// Nothing that anybody sees.
    Nothing,
    /// The alert is to be kept so; no phase changed.
    Updated(Alert),
    /// It began to fire.
    Raised(Alert),
    /// It is over.
    Resolved(Alert),
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn passed(since: Timestamp, now: Timestamp, time: Duration) -> bool {
    now.micros().saturating_sub(since.micros()) >= micros(time)
}

/// Takes one look. Looks come in the order of time; one that comes late changes nothing back.
pub fn look(before: Option<&Alert>, signal: &Signal, now: Timestamp) -> Changed {
    let Signal { subject, active, keep } = signal;
    let known = before.filter(|alert| alert.phase == Phase::Firing);
    match (known, active) {
        (None, false) => Changed::Nothing,
        (None, true) => Changed::Raised(Alert {
            fingerprint: subject.fingerprint(),
            subject: subject.clone(),
            phase: Phase::Firing,
            since: now,
            started: now,
            seen: now,
            sequence: before.map_or(0, |b| b.sequence) + 1,
        }),
        (Some(alert), _) if now < alert.seen => Changed::Nothing,
        (Some(alert), true) => Changed::Updated(Alert { subject: subject.clone(), seen: now, ..alert.clone() }),
        // How long is asked of this look and not of the one that raised it: what is no longer declared ends at once.
        (Some(alert), false) if !passed(alert.seen, now, *keep) => Changed::Nothing,
        (Some(alert), false) => {
            // What justified it stays; what is true now is the sentence.
            let mut over = alert.clone();
            over.subject.sentence.clone_from(&subject.sentence);
            Changed::Resolved(Alert { phase: Phase::Resolved, since: now, sequence: alert.sequence + 1, ..over })
        }
    }
}

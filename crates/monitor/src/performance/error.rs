//! Why there is no report.

use super::{MOST_CLASSES, MOST_GROUPS};
use crate::segment::SegmentError;
use mainspring_core::{ErrorKind, Failure};
use mainspring_query::QueryError;
use std::time::Duration;

/// When the next report may have its turn.
const RETRY: Duration = Duration::from_secs(5);

/// Why performance cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum PerformanceError {
    /// The journal could not be asked.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Nothing was predicted.
    #[error("{deployment:?} has answered nothing{} in this time", within(segment.as_deref()))]
    NoPredictions {
        /// Whose.
        deployment: String,
        /// Of which segment.
        segment: Option<String>,
    },
    /// Rows cannot be told apart so.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// Nothing is labelled.
    #[error("none of the {predictions} predictions of {deployment:?} has feedback called {label:?}{}", others(names))]
    NoLabels {
        /// Whose.
        deployment: String,
        /// Of how many.
        predictions: u64,
        /// Which name was asked for.
        label: String,
        /// Which others there are.
        names: Vec<String>,
    },
    /// There is no such column.
    #[error("{deployment:?} has no {what} {name:?}; there are {}", list(there))]
    Column {
        /// Whose.
        deployment: String,
        /// Output or column.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        there: Vec<String>,
    },
    /// More than one output may be the prediction.
    #[error("{deployment:?} has several outputs: {}", list(.outputs))]
    Outputs {
        /// Whose.
        deployment: String,
        /// Which.
        outputs: Vec<String>,
    },
    /// A column that is neither a number nor a text.
    #[error("{0:?} holds {1}, which cannot be compared with labels")]
    Type(String, String),
    /// Labels and predictions do not go together.
    #[error("{0}")]
    Unfit(String),
    /// Too much at once.
    #[error("there are over {0} predictions in this time, more than are looked at together")]
    Many(usize),
    /// Another report takes long.
    #[error("another report on performance is being made, and took over {0:?}")]
    Busy(Duration),
    /// Too many groups.
    #[error("{by} has over {MOST_GROUPS} different values")]
    Groups {
        /// By what.
        by: String,
    },
    /// Too many classes.
    #[error("labels and predictions have over {MOST_CLASSES} different values")]
    Classes,
    /// The work broke off.
    #[error("measuring broke off: {0}")]
    Broken(String),
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn within(segment: Option<&str>) -> String {
    segment.map(|segment| format!(" where {segment}")).unwrap_or_default()
}

fn others(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; there is {}", names.join(", ")) }
}

impl Failure for PerformanceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Query(e) => e.kind(),
            Self::Segment(e) => e.kind(),
            Self::NoPredictions { .. } | Self::NoLabels { .. } => ErrorKind::NotFound,
            Self::Column { .. }
            | Self::Outputs { .. }
            | Self::Type(..)
            | Self::Unfit(_)
            | Self::Groups { .. }
            | Self::Classes => ErrorKind::InvalidInput,
            Self::Many(_) => ErrorKind::TooLarge,
            Self::Busy(_) => ErrorKind::Overloaded,
            Self::Broken(_) => ErrorKind::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Query(e) => e.retry_after(),
            Self::Busy(_) => Some(RETRY),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Query(e) => return e.hint(),
            Self::Segment(e) => return e.hint(),
            Self::NoPredictions { .. } => "look further back, e.g. --last 7d".into(),
            Self::NoLabels { names, .. } if names.is_empty() => {
                "send what turned out to be true to /api/v1/feedback: predictionId is ours, id with deployment is your own".into()
            }
            Self::NoLabels { .. } => "name the feedback: --label NAME".into(),
            Self::Outputs { .. } => "say which is the prediction: --prediction NAME".into(),
            Self::Many(_) => "ask for less time, e.g. --last 6h".into(),
            Self::Busy(_) => "ask again in a few seconds".into(),
            Self::Groups { .. } => "group by a column with fewer values; numbers are cut into quarters".into(),
            Self::Classes => "say what they are: --task regression".into(),
            Self::Type(..) => "say which output is the prediction: --prediction NAME".into(),
            Self::Column { .. } | Self::Unfit(_) | Self::Broken(_) => return None,
        })
    }
}

//! What a rollout is told of the traffic.

use mainspring_core::{ErrorKind, EventId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// One answer that a caller got, from a variant that was chosen at random.
///
/// Forced choices, held-out units and answers of stable in the place of a candidate that was not ready are none:
/// [`crate::Events`] leaves them out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// When the request arrived.
    pub at: Timestamp,
    /// The prediction's id.
    pub id: EventId,
    /// The hash of the unit (`traffic::unit_id`).
    pub unit: u64,
    /// The variant that answered.
    pub variant: Arc<str>,
    /// The generation of the routing row that chose it.
    pub generation: u64,
    /// The context of the request, where that row chose by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u16>,
    /// How the request failed, if it did.
    pub failed: Option<ErrorKind>,
    /// From the request to the answer, nanoseconds.
    pub latency_ns: u64,
    /// Numbers of the answer, of the outputs that were asked for; several of one name when it has several rows. Where a row
    /// has no finite number, its place is kept.
    #[serde(deserialize_with = "numbers")]
    pub outputs: Vec<(Arc<str>, f64)>,
    /// Numbers of the request's first row, of the inputs that were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "numbers")]
    pub inputs: Vec<(Arc<str>, f64)>,
}

/// What a candidate in the shadow answered to a request that a caller had answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowAnswer {
    /// When it was asked.
    pub at: Timestamp,
    /// Its own id.
    pub id: EventId,
    /// The id of the answer that the caller got.
    pub of: EventId,
    /// The variant in the shadow.
    pub variant: Arc<str>,
    /// How it failed, if it did.
    pub failed: Option<ErrorKind>,
    /// How long it took, nanoseconds.
    pub latency_ns: u64,
    /// As of [`Exposure::outputs`], in the same order.
    #[serde(deserialize_with = "numbers")]
    pub outputs: Vec<(Arc<str>, f64)>,
}

/// What somebody later said about one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// When it was received.
    pub at: Timestamp,
    /// The id of the prediction.
    pub about: EventId,
    /// Which instance of the request.
    pub row: u32,
    /// What was measured.
    pub name: Arc<str>,
    /// Its value; true and false are 1 and 0.
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// Whether it is true or false, and so never more than 1.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truth: bool,
}

/// JSON says null for a number that is not finite. It stays one that nothing is counted of, rather than make everything
/// around it unreadable.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

/// As [`number`]. None is left out: the rows of two answers are compared by their places.
fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Arc<str>, f64)>, D::Error> {
    let read = Vec::<(Arc<str>, Option<f64>)>::deserialize(from)?;
    Ok(read.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
}

/// An answer that a caller got while a rollout decided, whose request lacked what the unit is taken from: it was served and
/// is in no statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unitless {
    /// When the request arrived.
    pub at: Timestamp,
    /// The prediction's id.
    pub id: EventId,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// A caller got an answer.
    Exposure(Exposure),
    /// A candidate answered in the shadow.
    Shadow(ShadowAnswer),
    /// An answer was judged.
    Label(Label),
    /// A caller without a unit got an answer.
    Unitless(Unitless),
}

impl Event {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Exposure(e) => e.at,
            Self::Shadow(s) => s.at,
            Self::Label(l) => l.at,
            Self::Unitless(u) => u.at,
        }
    }

    /// The order in which events are folded, whatever the order in which they came: by time, answers before what is
    /// said about them, then by id.
    pub(crate) fn order(&self) -> (Timestamp, u8, EventId, u32, &str) {
        match self {
            Self::Exposure(e) => (e.at, 0, e.id, 0, ""),
            Self::Shadow(s) => (s.at, 1, s.id, 0, ""),
            Self::Label(l) => (l.at, 2, l.about, l.row, &l.name),
            Self::Unitless(u) => (u.at, 3, u.id, 0, ""),
        }
    }
}

/// Whether a failure is the server's doing: what a candidate can be blamed for.
pub(crate) fn blamed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::DeadlineExceeded | ErrorKind::Overloaded)
}

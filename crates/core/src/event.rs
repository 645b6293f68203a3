//! The events of the one stream. A prediction carries one id; everything joins on it.

use crate::clock::Timestamp;
use crate::error::ErrorKind;
use crate::id::EventId;
use crate::principal::Tenant;
use crate::tensor::NamedTensor;
use serde::{Deserialize, Serialize};
use std::ops::Add;
use std::sync::Arc;

/// By which door a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Protocol {
    OipRest,
    OipGrpc,
    OipWebsocket,
    MlflowScoring,
    Native,
    /// KServe's first protocol, and TensorFlow Serving's over REST.
    KserveV1,
    Sagemaker,
    /// A run over a whole file.
    Batch,
    /// A choice among actions.
    Personalizer,
}

impl Protocol {
    /// Stable name for the journal and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OipRest => "oip-rest",
            Self::OipGrpc => "oip-grpc",
            Self::OipWebsocket => "oip-websocket",
            Self::MlflowScoring => "mlflow-scoring",
            Self::Native => "native",
            Self::KserveV1 => "kserve-v1",
            Self::Sagemaker => "sagemaker",
            Self::Batch => "batch",
            Self::Personalizer => "personalizer",
        }
    }
}

/// What answered: one value per loaded version, shared by all its predictions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The deployment asked for.
    pub deployment: Arc<str>,
    /// The variant that answered; `stable` when there is only one.
    pub variant: Arc<str>,
    /// The registered model, or the file.
    pub model: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// Names of the columns of its one input `[rows, columns]`; empty when its signature has none.
    pub columns: Arc<[Arc<str>]>,
}

/// How the variant was chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assignment {
    /// The caller named the version or variant: served, journaled, left out of statistics.
    pub forced: bool,
    /// The probability with which this variant was chosen (1 with a single variant).
    pub propensity: f32,
    /// Hash of the unit of assignment, when a rollout decides and the request has its unit.
    pub unit: Option<u64>,
    /// Generation of the routing row that chose at random; `None` where there was no chance in it or its unit
    /// was missing. Only what has one counts in a rollout's statistics.
    pub generation: Option<u64>,
    /// The context of the request, by which the row chose its weights; `None` where they are the same for all requests.
    pub context: Option<u16>,
    /// The prediction that the caller got instead of this one, which ran in its shadow.
    pub shadow_of: Option<EventId>,
}

impl Default for Assignment {
    fn default() -> Self {
        Self { forced: false, propensity: 1.0, unit: None, generation: None, context: None, shadow_of: None }
    }
}

/// How a prediction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Ok,
    /// Refused or failed.
    Failed {
        /// Which kind of failure.
        kind: ErrorKind,
        /// The message that the caller saw.
        message: Arc<str>,
    },
}

/// Where the time went, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// Waiting for admission and for a batch.
    pub queue_ns: u64,
    /// Looking features up.
    pub features_ns: u64,
    /// In the engine, the whole batch.
    pub engine_ns: u64,
    /// Turning outputs into the protocol's bytes.
    pub encode_ns: u64,
    /// From the parsed request to the encoded answer.
    pub total_ns: u64,
}

/// Tokens of a text that a model read, and of what it wrote, as it counts them itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// Read.
    pub input: u64,
    /// Written; none where the answer is no text.
    pub output: u64,
}

impl Add for Tokens {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { input: self.input.saturating_add(other.input), output: self.output.saturating_add(other.output) }
    }
}

/// An answer that the same version gave before to the same request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cached {
    /// The prediction that it was computed for.
    pub from: EventId,
    /// What that took of the engine, nanoseconds: [`Prediction::compute_ns`].
    pub saved_ns: u64,
}

/// One answered (or refused) request: one event id, `rows` journal rows.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// The id that everything joins on.
    pub id: EventId,
    /// When the request arrived.
    pub at: Timestamp,
    /// Whose.
    pub tenant: Tenant,
    /// What answered.
    pub target: Arc<Target>,
    /// By which door.
    pub protocol: Protocol,
    /// The caller's own id, echoed untouched.
    pub client_id: Option<Arc<str>>,
    /// Who asked, as audit names them: `key:ab12cd34`, `session:…`, `loopback`. Never the key itself.
    pub caller: Arc<str>,
    /// How the variant was chosen.
    pub assignment: Assignment,
    /// How it ended.
    pub outcome: Outcome,
    /// Instances in the request.
    pub rows: u32,
    /// Rows of the engine call it shared.
    pub batch_rows: u32,
    /// Where the time went.
    pub timing: Timing,
    /// Tokens of the answer, where its model counts them; of a cached one those that were not spent.
    pub tokens: Option<Tokens>,
    /// Where the answer is from, when no engine was asked.
    pub cached: Option<Cached>,
    /// The names of the rules that each row broke, `age:between,plan:in_set`; one for all of a request that is refused.
    pub flags: Option<Arc<[Option<Arc<str>>]>>,
    /// Parameters of the call, the text of a JSON object; part of the payload.
    pub params: Option<Arc<str>>,
    /// What went in; empty when the payload was not sampled.
    pub inputs: Arc<[NamedTensor]>,
    /// What came out; empty when the payload was not sampled or the request failed.
    pub outputs: Arc<[NamedTensor]>,
}

impl Prediction {
    /// The part of its engine call that this answer took, nanoseconds: its rows among those that shared the call.
    pub fn compute_ns(&self) -> u64 {
        match self.protocol {
            // A run over a file is one answer, however many rows each of its calls had.
            Protocol::Batch => self.timing.engine_ns,
            _ => share_ns(self.timing.engine_ns, self.rows, self.batch_rows),
        }
    }

    /// Tokens that were spent on this answer.
    pub fn spent_tokens(&self) -> Tokens {
        if self.cached.is_some() { Tokens::default() } else { self.tokens.unwrap_or_default() }
    }
}

/// The share of `rows` among the `batch_rows` of an engine call of `engine_ns`; all of it where nothing shared it.
pub fn share_ns(engine_ns: u64, rows: u32, batch_rows: u32) -> u64 {
    if batch_rows <= rows {
        return engine_ns;
    }
    let share = u128::from(engine_ns) * u128::from(rows) / u128::from(batch_rows);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// What a person or a system later said about one prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feedback {
    /// Id of this piece of feedback; sending it twice counts once.
    pub event: EventId,
    /// When it was received.
    pub at: Timestamp,
    /// Whose.
    pub tenant: Tenant,
    /// About which answer.
    pub about: About,
    /// Which instance of the request, from 0.
    pub row: u32,
    /// What was measured: `label`, `reward`, `converted`, …
    pub name: String,
    /// Its value.
    pub value: FeedbackValue,
}

/// Which prediction feedback is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// By our id.
    Prediction(EventId),
    /// By the caller's own id.
    ClientId {
        /// The deployment within which the id is unique.
        deployment: String,
        /// The id that the caller sent with the request.
        id: String,
    },
}

/// A value of feedback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FeedbackValue {
    /// True or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A class or a comment.
    Text(String),
}

/// What a controller decided by itself, or a person through it, with the numbers that justify it. Written to
/// the outbox under [`Decision::TOPIC`] in the transaction that carries it out, so that it is never dropped; the
/// journal keeps it as kind `decision`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision<Numbers = serde_json::Value> {
    /// Its own id; what is relayed twice counts once.
    pub event: EventId,
    /// When it was taken.
    pub at: Timestamp,
    /// Whose.
    pub tenant: Tenant,
    /// The deployment whose traffic it changes.
    pub deployment: String,
    /// Who decided: kind and name of the declared thing, `Rollout/churn-v8`.
    pub by: String,
    /// Counts the decisions of `by` from 1, without gaps.
    pub sequence: u64,
    /// What it is: `started`, `advanced`, `held`, `promoted`, `rolled-back`, …
    pub decision: String,
    /// The same for people, with the reason.
    pub sentence: String,
    /// The numbers that it rests on: effects, confidence sequences, e-values, exposures, weights.
    pub numbers: Numbers,
}

impl Decision {
    /// The outbox topic of decisions on their way to the journal.
    pub const TOPIC: &'static str = "journal.decision";
}

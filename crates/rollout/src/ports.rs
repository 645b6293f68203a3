//! What a rollout needs from the rest of the server. Each is asked again after a failure; none may wait for long.

use crate::event::Event;
use crate::machine::{Checked, Follow, Freeze, Pins, Readiness};
use crate::spec::{CandidateSpec, RolloutSpec, Source, WebhookSpec};
use futures::future::BoxFuture;
use mainspring_core::{Name, Tenant, Timestamp};
use mainspring_traffic::Row;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Another part of the server did not answer; asked again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PortError(pub String);

/// The answer of a port.
pub type PortResult<'a, T> = BoxFuture<'a, Result<T, PortError>>;

/// What the replicas say about the variants of a row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetView {
    /// Whether the candidates with a part of the traffic, or all of them while none has any, can answer, warm, in every
    /// replica that serves the deployment, and every one of them has the row of this generation.
    pub candidate: Readiness,
    /// A hard limit that a replica says was broken under this rollout, by one that has a part of the traffic.
    pub tripped: Option<Tripped>,
}

/// A broken hard limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tripped {
    /// The variant that broke it.
    pub variant: String,
    /// The numbers.
    pub why: String,
}

/// The deployments, in all replicas.
pub trait Fleet: Send + Sync + 'static {
    /// What the deployment answers with now, and what the candidates mean, all pinned to versions. An alias is resolved. An
    /// error while the deployment answers with something else than it declares.
    fn pins<'a>(
        &'a self,
        tenant: &'a Tenant,
        deployment: &'a Name,
        candidates: &'a [CandidateSpec],
    ) -> PortResult<'a, Pins>;

    /// How the variants of `row` are.
    fn view<'a>(&'a self, tenant: &'a Tenant, deployment: &'a Name, row: &'a Row) -> PortResult<'a, FleetView>;

    /// Of each of these pinned models, why nothing new may take it; nothing where it may.
    fn frozen<'a>(&'a self, tenant: &'a Tenant, models: &'a [String]) -> PortResult<'a, Vec<Option<String>>>;

    /// Whether what the deployment itself declares resolves to the variant of `row` that has all the traffic. Asked only
    /// where that decides.
    fn settled<'a>(&'a self, tenant: &'a Tenant, deployment: &'a Name, row: &'a Row) -> PortResult<'a, bool>;

    /// The checks of the preflight: one answer for each check that `spec` names (`signature`, `replay`, `gate:METRIC`, `modelCard`, and
    /// `names` where outputs or inputs are measured; with several candidates of each, `signature of v9`),
    /// nothing passed while one still runs. Called each second until all have an answer; a check that was begun for this
    /// generation of the row is not begun again.
    fn checks<'a>(
        &'a self,
        tenant: &'a Tenant,
        deployment: &'a Name,
        row: &'a Row,
        spec: &'a RolloutSpec,
    ) -> PortResult<'a, Vec<Checked>>;
}

/// Which events a rollout wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose.
    pub tenant: Tenant,
    /// The deployment.
    pub deployment: Name,
    /// From here on.
    pub from: Timestamp,
    /// The generations of its rows from this one on.
    pub generation: u64,
    /// Names of labels.
    pub labels: Vec<String>,
    /// Names of outputs.
    pub outputs: Vec<String>,
    /// Names of inputs.
    pub inputs: Vec<String>,
}

/// What is wanted of the time before a rollout began.
#[derive(Debug, Clone, PartialEq)]
pub struct Before {
    /// Whose.
    pub tenant: Tenant,
    /// The deployment.
    pub deployment: Name,
    /// When the rollout began: nothing since may count.
    pub until: Timestamp,
    /// What is a unit.
    pub unit: String,
    /// The metrics, what each is of, and how far back.
    pub metrics: Vec<(String, Source, Duration)>,
}

/// What units did before a rollout began.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Earlier {
    /// The metric.
    pub metric: String,
    /// The mean of each unit (`traffic::unit_id`) that is known.
    pub means: Vec<(u64, f64)>,
}

/// A part of the events.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// In any order; each once.
    pub events: Vec<Event>,
    /// Nothing before this is missing any more, of any replica.
    pub complete_until: Timestamp,
    /// Whether this is a part of a long past of which more follows: what is known so far decides nothing.
    pub reading: bool,
}

/// The events of one rollout: all that are kept since its beginning, then what comes.
pub trait EventStream: Send {
    /// What has come since the last call, without waiting for more; a part of it when it is much. An exposure is an answer
    /// to a caller with the row's generation in its assignment; an answer in the shadow has the id of the caller's. Who
    /// lacks the unit while a row decides is [`Event::Unitless`].
    fn next(&mut self) -> PortResult<'_, Batch>;
}

/// The journal.
pub trait Events: Send + Sync + 'static {
    /// Opens a stream.
    fn follow(&self, wanted: Wanted) -> PortResult<'_, Box<dyn EventStream>>;

    /// What units did before; asked once, before any event is folded.
    fn before(&self, wanted: Before) -> PortResult<'_, Vec<Earlier>>;
}

/// What the deployment itself declares: its alias, or its own model.
pub trait Declarations: Send + Sync + 'static {
    /// Makes the deployment declare `follow.to`: its alias is moved when it names one, else its model is changed. Called
    /// again until it succeeds, also after it did. A frozen version is refused, unless the deployment goes back to it. A deployment that is gone is no error: nobody is left to declare it.
    fn follow<'a>(&'a self, tenant: &'a Tenant, follow: &'a Follow) -> PortResult<'a, ()>;

    /// Keeps a model's version from being taken by anything new, until a person ends that. Called again until it succeeds, also
    /// after it did.
    fn freeze<'a>(&'a self, tenant: &'a Tenant, freeze: &'a Freeze) -> PortResult<'a, ()>;

    /// Who declared a rollout last, as audit knows them; `None` when nobody declares it any more.
    fn author<'a>(&'a self, tenant: &'a Tenant, rollout: &'a Name) -> PortResult<'a, Option<String>>;
}

/// A question to a webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Whose rollout it is about, and whose secret signs it.
    pub tenant: Tenant,
    /// Who is asked.
    pub webhook: WebhookSpec,
    /// Which question this is.
    pub id: String,
    /// What is sent, JSON.
    pub body: String,
}

/// What a webhook said, in words that follow its name, without any secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It agrees: `answered 200`.
    Yes(String),
    /// It does not: `answered 403: not before Monday`.
    No(String),
    /// It did not answer, or says that it cannot now.
    Nothing(String),
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub said: Said,
    /// How long it wants not to be asked again.
    pub after: Option<Duration>,
}

impl Answer {
    /// An answer that asks for no pause.
    pub fn new(said: Said) -> Self {
        Self { said, after: None }
    }
}

/// Asks webhooks.
pub trait Webhooks: Send + Sync + 'static {
    /// Asks once, signed, and waits no longer than the webhook's timeout.
    fn ask(&self, question: Question) -> BoxFuture<'_, Answer>;
}

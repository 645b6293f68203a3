//! What the handlers work with.

use crate::dto::journal::BatchRun;
use crate::dto::system::{Config, Health, Info};
use futures::future::BoxFuture;
use mainspring_alert::Alerts;
use mainspring_convert::Conversions;
use mainspring_core::{Action, Authorized, Ctx, Denied, EventId, Gate, Principal, Timestamp};
use mainspring_cost::Costs;
use mainspring_http::ApiError;
use mainspring_journal::Journal;
use mainspring_lineage::Lineage;
use mainspring_monitor::live::Monitors;
use mainspring_monitor::performance::Performance;
use mainspring_query::Query;
use mainspring_registry::Registry;
use mainspring_resource::Resources;
use mainspring_rollout::{Events, Rollouts};
use mainspring_security::Security;
use mainspring_serving::Serving;
use std::sync::Arc;
use std::time::Duration;

/// What only the whole server knows. The server answers it.
pub trait Views: Send + Sync + 'static {
    /// What this server is.
    fn info(&self) -> Info;

    /// Whether it takes requests, and what of it does not work. Asked by every probe: it must not
    /// block.
    fn health(&self) -> Health;

    /// Every setting and where its value comes from; secrets are hidden.
    fn config(&self) -> Config;

    /// Notes a run over a file, with its id and time, in the lineage, where `who` may send to it.
    fn predicted<'a>(
        &'a self,
        who: &'a Arc<Principal>,
        of: (EventId, Timestamp),
        run: &'a BatchRun,
    ) -> BoxFuture<'a, Result<(), ApiError>>;
}

/// The domains behind the API.
#[derive(Clone)]
pub struct NativeState {
    /// Experiments, runs, models.
    pub registry: Registry,
    /// Deployments.
    pub serving: Serving,
    /// Conversions to ONNX.
    pub conversions: Conversions,
    /// Rollouts.
    pub rollouts: Rollouts,
    /// The events that their evidence is made of.
    pub rollout_events: Arc<dyn Events>,
    /// Monitors, and the profiles of versions.
    pub monitors: Monitors,
    /// Alerts and objectives.
    pub alerts: Alerts,
    /// Upper bounds of the duration buckets on the metrics page.
    pub buckets: Vec<Duration>,
    /// Predictions and feedback.
    pub journal: Journal,
    /// SQL over the journal.
    pub query: Query,
    /// How good predictions were.
    pub performance: Performance,
    /// What answers cost, and what they brought.
    pub costs: Costs,
    /// What was made from what.
    pub lineage: Lineage,
    /// Keys and sessions.
    pub security: Security,
    /// Declared state.
    pub resources: Resources,
    /// The door that every handler asks.
    pub gate: Gate,
    /// The server itself.
    pub views: Arc<dyn Views>,
    /// Time, ids, and the token that ends live streams at shutdown.
    pub ctx: Ctx,
    /// The largest body of a prediction or of feedback, bytes.
    pub max_body: usize,
}

impl std::fmt::Debug for NativeState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NativeState")
    }
}

impl NativeState {
    pub(crate) fn may<A: Action>(&self, who: &Arc<Principal>, action: A) -> Result<Authorized<A>, Denied> {
        self.gate.authorize(who, action)
    }
}

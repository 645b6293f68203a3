//! OFREP, OpenFeature's protocol of remote evaluation: which variant of a deployment a unit gets, for the SDKs of
//! feature flags. An application that shows one variant's page and asks the other's model would spoil both; here it
//! asks the same routing row that requests do.
//!
//! | flag key | value |
//! |---|---|
//! | `churn` | text: the name of the variant that answers the unit's requests; `stable` without a rollout |
//! | `churn:v8` | truth value: whether that is `v8` |
//!
//! The unit is the context's `targetingKey`, wherever requests carry it (`header:x-user-id`, `cookie:uid`, `field:user_id`); of
//! a cookie it may be left out, then the request's own counts; with `key` it is the caller itself. Evaluating is no exposure: that is counted when a request is answered.

mod evaluate;

pub use evaluate::render_error;

use axum::Router;
use axum::routing::post;
use mainspring_core::Gate;
use mainspring_serving::Serving;

/// What the protocol needs from the rest of the server.
#[derive(Clone)]
pub struct FlagsState {
    /// Deployments and who answers for them.
    pub serving: Serving,
    /// Decides who may do what.
    pub gate: Gate,
}

impl std::fmt::Debug for FlagsState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FlagsState")
    }
}

/// `/ofrep/v1`. Refusals are to be shown with [`render_error`].
pub fn routes(state: FlagsState) -> Router {
    Router::new()
        .route("/ofrep/v1/evaluate/flags", post(evaluate::all))
        .route("/ofrep/v1/evaluate/flags/{key}", post(evaluate::one))
        .with_state(state)
}

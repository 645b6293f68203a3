//! Azure Personalizer's REST API: rank, reward, activate. Its SDKs build their paths below an endpoint, which here is
//! `http://HOST:PORT/personalizers/NAME`.

mod personalizer;

pub use personalizer::render_error;

use axum::Router;
use axum::routing::post;
use mainspring_core::Gate;
use mainspring_personalize::Personalizers;

/// What the protocol needs from the rest of the server.
#[derive(Debug, Clone)]
pub struct AzureState {
    /// What chooses.
    pub personalizers: Personalizers,
    /// Decides who may do what.
    pub gate: Gate,
}

/// `/personalizers/{name}/personalizer/{version}`. Refusals are to be shown with [`render_error`].
pub fn routes(state: AzureState) -> Router {
    let below = Router::new()
        .route("/rank", post(personalizer::rank))
        .route("/events/{event}/reward", post(personalizer::reward))
        .route("/events/{event}/activate", post(personalizer::activate))
        .route("/multislot/rank", post(personalizer::multislot))
        .route("/multislot/events/{event}/reward", post(personalizer::multislot))
        .route("/multislot/events/{event}/activate", post(personalizer::multislot));
    Router::new().nest("/personalizers/{name}/personalizer/{version}", below).with_state(state)
}

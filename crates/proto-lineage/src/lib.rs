//! OpenLineage, spec 2-0-2: `POST /api/v1/lineage` takes run, dataset and job events, `/api/v1/lineage/batch` many of
//! them. What they say is read with the paths and shapes of Marquez. Going out, [`emit`] says what happens here in
//! the same events.

pub mod emit;
mod event;
mod graph;
mod marquez;
mod receive;
mod shape;

pub use event::{Wrong, event};

use axum::Router;
use axum::routing::{get, post};
use mainspring_core::Gate;
use mainspring_lineage::Lineage;

/// What the protocol needs from the rest of the server.
#[derive(Clone)]
pub struct LineageState {
    /// Events and the graph.
    pub lineage: Lineage,
    /// Decides who may do what.
    pub gate: Gate,
    /// The largest body, bytes, also after it was unpacked.
    pub max_body: usize,
}

impl std::fmt::Debug for LineageState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineageState").field("lineage", &self.lineage).finish_non_exhaustive()
    }
}

/// Below `/api/v1`. Refusals are problem+json.
pub fn routes(state: LineageState) -> Router {
    Router::new()
        .route("/api/v1/lineage", get(graph::lineage).post(receive::one))
        .route("/api/v1/lineage/batch", post(receive::batch))
        .route("/api/v1/events/lineage", get(marquez::events))
        .route("/api/v1/namespaces", get(marquez::namespaces))
        .route("/api/v1/namespaces/{namespace}", get(marquez::namespace))
        .route("/api/v1/namespaces/{namespace}/jobs", get(marquez::jobs))
        .route("/api/v1/namespaces/{namespace}/jobs/{job}", get(marquez::job))
        .route("/api/v1/namespaces/{namespace}/jobs/{job}/runs", get(marquez::runs))
        .route("/api/v1/namespaces/{namespace}/datasets", get(marquez::datasets))
        .route("/api/v1/namespaces/{namespace}/datasets/{dataset}", get(marquez::dataset))
        .route("/api/v1/jobs/runs/{id}", get(marquez::run))
        .with_state(state)
}

#[cfg(test)]
mod tests;

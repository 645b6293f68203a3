//! MLflow's REST API and scoring protocol.

mod api;
pub mod scoring;

pub use api::{MLFLOW_VERSION, MlflowState, open_routes, render_error, routes};

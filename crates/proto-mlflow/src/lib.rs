//! MLflow's REST API and scoring protocol.

pub mod scoring;

//! MLflow's REST API and scoring protocol.

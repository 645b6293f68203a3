//! Experiments, runs, metrics, logged models, registered models, versions, aliases and lineage,
//! with the semantics that MLflow's clients expect.
//!
//! Every operation takes an [`mainspring_core::Authorized`] action from [`actions`]; its tenant is
//! the principal's. Changes of experiments, runs, models, versions and aliases are audited in their
//! own transaction.

pub mod actions;
mod error;
mod names;
mod ops;
pub mod page;
pub mod points;
mod registry;
pub mod search;
mod shown;
mod sql;
mod told;
pub mod types;
pub mod uri;
pub mod validate;

pub use error::{RegistryError, Result};
pub use ops::{
    ArtifactRoot, Batch, DatasetFilter, Download, Lineage, Listed, Listing, LoggedModelOrder, LoggedModelSearch,
    MAX_POINTS, ModelSearch, NewLoggedModel, NewRun, NewVersion, PurgeReport, Resolved, RunChange, RunSearch, Sample,
};
pub use registry::{ExperimentSearch, Registry};
pub use sql::MIGRATIONS;
pub use told::{Changed, Told};
pub use types::*;
pub use uri::ModelUri;

#[cfg(test)]
mod tests;

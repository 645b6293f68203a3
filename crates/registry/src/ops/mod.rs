//! The registry's operations, one file a noun.

mod aliases;
mod artifacts;
mod compact;
mod experiments;
pub(crate) mod freeze;
mod history;
mod inputs;
mod lineage;
mod logged_models;
mod logging;
mod models;
mod purge;
mod resolve;
mod runs;
mod source;
mod versions;

pub use artifacts::{ArtifactRoot, Download, Listed, Listing};
pub use history::{MAX_POINTS, Sample};
pub use lineage::Lineage;
pub use logged_models::{DatasetFilter, LoggedModelOrder, LoggedModelSearch, NewLoggedModel};
pub use logging::Batch;
pub use models::ModelSearch;
pub use purge::PurgeReport;
pub use resolve::Resolved;
pub use runs::{NewRun, RunChange, RunSearch};
pub use versions::NewVersion;

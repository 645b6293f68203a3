//! Model versions.

use clap::Subcommand;

/// What to do with a version.
#[derive(Debug, Subcommand)]
pub enum ModelCmd {
    /// Keep a version from being taken by anything new: aliases, production, deployments and rollouts; what serves it goes on
    Freeze {
        /// NAME/VERSION
        version: String,
        /// Why; shown to whoever is refused
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// End that
    Unfreeze {
        /// NAME/VERSION
        version: String,
    },
}

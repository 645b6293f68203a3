//! API keys.

use super::ServerArgs;
use clap::Subcommand;

/// What to do with keys. These work on the data folder directly when the server is not running, so
/// that the first key can be made before it listens anywhere but on loopback.
#[derive(Debug, Subcommand)]
pub enum KeyCmd {
    /// Make a key; it is shown once
    Create {
        /// What the key is for
        label: String,
        /// What it may do, each including the ones before it
        #[arg(long, default_value = "infer", value_parser = ["infer", "read", "write", "admin"])]
        role: String,
        /// Tenant whose data it sees
        #[arg(long, default_value = "default")]
        tenant: String,
        /// Group that whoever has it is in, for what a group must approve; once for each
        #[arg(long = "group", value_name = "NAME")]
        groups: Vec<String>,
        /// Lifetime, e.g. `90d`; for ever when left out
        #[arg(long, value_name = "AGE")]
        expires: Option<String>,
        /// Write to the data folder instead of asking the server
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        settings: ServerArgs,
    },
    /// List keys, never their secrets
    List,
    /// Replace a key's secret; the old one stays valid for a while
    Rotate {
        /// Key id
        id: String,
        /// How long the old secret stays valid
        #[arg(long, default_value = "1h", value_name = "AGE")]
        grace: String,
        /// Lifetime of the new key, e.g. `90d`; as long as the old one was made for when left out
        #[arg(long, value_name = "AGE")]
        expires: Option<String>,
    },
    /// End a key at once
    Revoke {
        /// Key id
        id: String,
    },
}

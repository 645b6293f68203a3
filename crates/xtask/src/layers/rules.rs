//! `layers.toml`.

use crate::report::Trouble;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The rules of the house.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rules {
    /// Tiers, lowest first.
    #[serde(rename = "tier")]
    pub tiers: Vec<Tier>,
    /// Dependencies inside one tier, by the crate that has them.
    #[serde(default)]
    pub same_tier: Vec<SameTier>,
    /// Third-party crates that only some of ours may name.
    #[serde(default, rename = "restricted")]
    pub restricted: Vec<Restricted>,
    /// Crates whose manifest may leave the workspace's lints.
    #[serde(default)]
    pub own_lints: Vec<OwnLints>,
    /// Lengths of files.
    pub files: Lengths,
}

/// One tier.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// What people call it.
    pub name: String,
    /// Folders under `crates/`.
    pub crates: Vec<String>,
    /// Tests of every crate may use these.
    #[serde(default, rename = "for-tests")]
    pub for_tests: bool,
}

/// Allowed dependencies of one crate on others of its tier.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SameTier {
    /// The crate that depends.
    pub from: String,
    /// What it may depend on.
    pub to: Vec<String>,
    /// For what.
    pub why: String,
}

/// Third-party crates with owners.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restricted {
    /// Names on the registry.
    pub crates: Vec<String>,
    /// Folders that may name them; a `*` at the end stands for anything.
    pub only: Vec<String>,
    /// For what.
    pub why: String,
}

/// A crate with lints of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnLints {
    /// Folder.
    #[serde(rename = "crate")]
    pub krate: String,
    /// For what.
    pub why: String,
}

/// Lengths of source files, in lines.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lengths {
    /// Above this a file is named in the notes.
    pub soft: usize,
    /// Above this the check fails.
    pub hard: usize,
    /// Folders that are looked at.
    pub folders: Vec<String>,
    /// Endings that are looked at.
    pub endings: Vec<String>,
    /// Paths that hold what people did not write; a prefix.
    #[serde(default)]
    pub skip: Vec<String>,
    /// Files above the hard limit with the length that they must not pass; may only shrink.
    #[serde(default)]
    pub ratchet: BTreeMap<String, usize>,
}

impl Rules {
    /// Reads the rules.
    ///
    /// # Errors
    /// [`Trouble::Parse`] naming the line.
    pub fn parse(text: &str) -> Result<Self, Trouble> {
        toml::from_str(text).map_err(|e| Trouble::Parse { what: "layers.toml".to_owned(), why: e.to_string() })
    }

    /// The tier of a crate, from 0.
    pub fn tier(&self, folder: &str) -> Option<usize> {
        self.tiers.iter().position(|tier| tier.crates.iter().any(|c| c == folder))
    }
}

//! Who is asking, and for whom.

use crate::name::{Name, NameError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Arc, LazyLock};

static DEFAULT: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("default"));

/// Whose data it is. A column in every table; `default` always exists.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// Checks `text` by the rules of [`Name`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        Name::new(text).map(|n| Self(n.shared()))
    }

    /// The tenant as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self(Arc::clone(&DEFAULT))
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tenant {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// What a key may do, each including the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Call deployments and send feedback.
    Infer,
    /// Also read experiments, models, deployments, journal and metrics.
    Read,
    /// Also log runs, register models, deploy and change what is deployed.
    Write,
    /// Also manage keys, purge, back up.
    Admin,
}

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// A stable label for audit: `key:ab12cd34`, `session:…`, `loopback`.
    pub subject: Arc<str>,
    /// Whose data it may see.
    pub tenant: Tenant,
    /// What it may do.
    pub role: Role,
    /// The groups that it is in: who may agree to what is asked of a group.
    pub groups: Arc<[Name]>,
}

impl Principal {
    /// The operator on the machine itself, who needs no key.
    pub fn loopback() -> Self {
        Self { subject: Arc::from("loopback"), tenant: Tenant::default(), role: Role::Admin, groups: Arc::default() }
    }

    /// The server acting for itself: start-up, background jobs.
    pub fn system() -> Self {
        Self { subject: Arc::from("system"), ..Self::loopback() }
    }
}

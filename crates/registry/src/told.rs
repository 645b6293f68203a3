//! Changes told to others through the outbox.

use crate::error::Result;
use crate::types::RunStatus;
use mainspring_core::{EventId, Tenant, Timestamp};
use mainspring_store::Conn;
use serde::{Deserialize, Serialize};

/// A change, as it stands in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Whose.
    pub tenant: Tenant,
    /// When.
    pub at: Timestamp,
    /// What changed.
    pub what: Changed,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changed {
    /// A run began, or came into another state.
    Run {
        /// Its id.
        id: String,
        /// The state, in MLflow's word.
        status: String,
    },
    /// A model version was registered.
    Version {
        /// The model.
        name: String,
        /// The version.
        version: i64,
    },
}

impl Changed {
    pub(crate) fn run(id: &str, status: RunStatus) -> Self {
        Self::Run { id: id.to_owned(), status: status.as_str().to_owned() }
    }
}

impl Told {
    /// The outbox's topic.
    pub const TOPIC: &'static str = "registry";
}

/// Writes what is to be told into the transaction of the change.
pub(crate) async fn tell(c: &mut Conn, told: Option<(EventId, Told)>) -> Result<()> {
    if let Some((id, told)) = told {
        let body = serde_json::to_value(&told).unwrap_or_default();
        c.outbox(Told::TOPIC, id, &body).await?;
    }
    Ok(())
}

//! What a collector outside is to be told: events in the outbox, written when something happened.

use crate::error::Result;
use crate::lineage::Lineage;
use crate::sql::write;
use mainspring_core::{Tenant, Timestamp};
use serde::{Deserialize, Serialize};

/// The outbox's topic.
pub const TOPIC: &str = "lineage";

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Whose.
    pub tenant: Tenant,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happened {
    /// A deployment answers with another version than before.
    Deployed {
        /// The deployment.
        deployment: String,
        /// The model.
        model: String,
        /// Its version.
        version: String,
    },
    /// Something else, as the event that says so.
    Event(serde_json::Value),
}

impl Lineage {
    /// Tells that a deployment answers with a version, unless that was told last. Called again and again with what
    /// is so, by whoever holds the lease.
    ///
    /// # Errors
    /// [`crate::LineageError::Store`].
    pub async fn deployed(&self, tenant: &Tenant, deployment: &str, (model, version): (&str, &str)) -> Result<()> {
        if !self.told {
            return Ok(());
        }
        let at = self.ctx.now();
        let what = Happened::Deployed { deployment: deployment.into(), model: model.into(), version: version.into() };
        let (key, state) = (format!("deployment:{deployment}"), format!("{model}/{version}"));
        let (event, told) = (self.ctx.ids.event(at), Told { tenant: tenant.clone(), at, what });
        let body = serde_json::to_value(&told).unwrap_or_default();
        self.db
            .write(move |c| {
                Box::pin(async move {
                    if write::told(c, &told.tenant, &key, &state).await? {
                        c.outbox(TOPIC, event, &body).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Tells of something else.
    ///
    /// # Errors
    /// [`crate::LineageError::Store`].
    pub async fn tell(&self, tenant: &Tenant, what: Happened) -> Result<()> {
        if !self.told {
            return Ok(());
        }
        let at = self.ctx.now();
        let body = serde_json::to_value(Told { tenant: tenant.clone(), at, what }).unwrap_or_default();
        let event = self.ctx.ids.event(at);
        self.db.write(move |c| Box::pin(async move { Ok(c.outbox(TOPIC, event, &body).await?) })).await
    }
}

//! What a collector outside is to be told: events in the outbox, written when something happened.

use crate::actions::SendLineage;
use crate::error::Result;
use crate::event::Event;
use crate::lineage::Lineage;
use crate::sql::write;
use mainspring_core::{Authorized, Tenant, Timestamp};
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

    /// Keeps an event about something that happened here, and tells of it as `said` in the same transaction. An event
    /// that was kept before is not told again.
    ///
    /// # Errors
    /// [`crate::LineageError::Store`].
    pub async fn announce(&self, auth: &Authorized<SendLineage>, event: Event, said: serde_json::Value) -> Result<()> {
        let (tenant, at, tells) = (auth.tenant().clone(), self.ctx.now(), self.told);
        let (id, told) = (self.ctx.ids.event(at), Told { tenant: tenant.clone(), at, what: Happened::Event(said) });
        let body = serde_json::to_value(told).unwrap_or_default();
        self.db
            .write(move |c| {
                Box::pin(async move {
                    if write::keep(c, &tenant, &event, at).await? && tells {
                        c.outbox(TOPIC, id, &body).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

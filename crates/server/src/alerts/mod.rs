//! The kind AlertChannel, and what alerts need from the rest of the server.

mod answering;
mod courier;
mod freezing;
mod happenings;
mod judged;
mod mail;
#[cfg(test)]
mod tests;
mod traffic;

pub use courier::{Sender, said};
pub use freezing::Brake;
pub use traffic::Slos;

use crate::config::Settings;
use crate::error::StartError;
use mainspring_alert::{Alerts, ChannelSpec, Controller as Leader, Ports};
use mainspring_artifact::AwsSigner;
use mainspring_core::{Ctx, Name, Tenant};
use mainspring_http::Reach;
use mainspring_resource::{Controller, Declaration, Kind};
use mainspring_store::Db;
use mainspring_store::sql::Passes;
use mainspring_webhook::Vault;
use serde_json::{Value, json};
use std::sync::Arc;

/// Which hosts what is declared may have something sent to.
pub fn reach(settings: &Settings) -> Reach {
    if settings.alerts_anywhere { Reach::Anywhere } else { Reach::Public }
}

/// Opens alerts as the settings say.
///
/// # Errors
/// [`StartError`] when TLS or the settings of AWS cannot be used.
pub fn open(settings: &Settings, db: Db, ctx: &Ctx, brake: Brake) -> Result<Alerts, StartError> {
    let aws = AwsSigner::new(&[]).map_err(StartError::part("read the settings of AWS"))?;
    let sender = Sender::new(reach(settings), aws).map_err(StartError::part("make the sender of alerts ready"))?;
    let alerts = Alerts::new(db, ctx.clone(), Vault::new(&settings.secrets), Arc::new(sender));
    Ok(alerts.frozen_by(Arc::new(brake)))
}

/// Alert channels, carried out for the server itself.
#[derive(Debug, Clone)]
pub struct Channels {
    /// Sends to them.
    pub alerts: Alerts,
}

impl Channels {
    /// The kind, to be registered.
    pub fn kind(&self) -> Kind {
        mainspring_alert::kind().carried_by(Arc::new(self.clone()))
    }
}

impl Controller for Channels {
    fn declare(&self, tenant: &Tenant, name: &Name, Declaration { spec, .. }: Declaration<'_>) -> Result<(), String> {
        let spec: ChannelSpec =
            serde_json::from_value(spec.clone()).map_err(|e| format!("the declared spec cannot be read: {e}"))?;
        self.alerts.declare(tenant, name, spec);
        Ok(())
    }

    fn withdraw(&self, tenant: &Tenant, name: &Name) {
        self.alerts.withdraw(tenant, name);
    }

    fn status(&self, tenant: &Tenant, name: &Name) -> Option<Value> {
        let health = self.alerts.health(tenant, name)?;
        let reason = health.err().map(|reason| format!("the last notice was not taken: {reason}"));
        let state = if reason.is_none() { "READY" } else { "FAILED" };
        Some(json!({"state": state, "reason": reason, "settled": true}))
    }
}

/// Starts what watches objectives and sends alerts; ends at shutdown. `replica` names the data of this process.
pub fn start(parts: &crate::start::Parts, ctx: &Ctx, (url, replica): (String, String)) {
    parts.alerts.reached_at(url);
    let ports = Ports {
        happenings: Arc::new(happenings::Decisions::new(parts.rollouts.clone(), parts.gate.clone())),
        traffic: Arc::new(traffic::Counted {
            slos: parts.slos.clone(),
            journal: parts.journal.clone(),
            judged: judged::Judged::new(parts.serving.clone(), parts.gate.clone(), ctx.clone()),
            answering: answering::Answers {
                serving: parts.serving.clone(),
                journal: parts.journal.clone(),
                gate: parts.gate.clone(),
                ctx: ctx.clone(),
            },
        }),
    };
    let owner = ctx.event_id().to_string();
    let leader = Leader::new(parts.alerts.clone(), ports, owner, replica);
    drop(ctx.tasks.spawn_graceful(leader.run(ctx.clone())));
}

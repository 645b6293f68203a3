//! The kind Monitor: what resource keeps is carried out by monitor; its rows are the journal's, its references come from
//! the registry, and its orders go to rollouts.

mod again;
mod alarms;
mod estimates;
mod models;
mod named;
mod rows;

pub use models::Registered;

use crate::deployments::acting_for;
use crate::start::Parts;
use mainspring_core::{Ctx, Gate, Name, Tenant};
use mainspring_monitor::live::{Controller as Loop, DeclareMonitor, MonitorSpec, Monitors, Ports, ReadMonitors};
use mainspring_query::{Limits, Query};
use mainspring_resource::{Controller, Declaration, Kind};
use mainspring_store::sql::Passes;
use serde_json::{Value, json};
use std::sync::Arc;

/// Rows of one query at most.
const MOST_ROWS: usize = 100_000;

/// Monitors, carried out for the server itself.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Carries them out.
    pub monitors: Monitors,
    /// Decides who may do what.
    pub gate: Gate,
}

impl Declared {
    /// The kind, to be registered.
    pub fn kind(&self) -> Kind {
        mainspring_monitor::live::kind().carried_by(Arc::new(self.clone()))
    }
}

impl Controller for Declared {
    fn declare(
        &self,
        tenant: &Tenant,
        name: &Name,
        Declaration { spec, since }: Declaration<'_>,
    ) -> Result<(), String> {
        let spec: MonitorSpec =
            serde_json::from_value(spec.clone()).map_err(|e| format!("the declared spec cannot be read: {e}"))?;
        let declare = DeclareMonitor { monitor: name.clone() };
        let auth = self.gate.authorize(&acting_for(tenant), declare).map_err(|e| e.to_string())?;
        self.monitors.declare(&auth, spec, since).map_err(|e| e.to_string())
    }

    fn withdraw(&self, tenant: &Tenant, name: &Name) {
        match self.gate.authorize(&acting_for(tenant), DeclareMonitor { monitor: name.clone() }) {
            Ok(auth) => self.monitors.withdraw(&auth),
            Err(error) => tracing::error!(monitor = %name, %error, "cannot take the monitor away"),
        }
    }

    fn status(&self, tenant: &Tenant, name: &Name) -> Option<Value> {
        let read = ReadMonitors { monitor: Some(name.clone()) };
        let view = self.monitors.status(&self.gate.authorize(&acting_for(tenant), read).ok()?)?;
        let drifted: Vec<&str> = view.watch.iter().flat_map(|watch| watch.drifted()).collect();
        let names = &drifted[..drifted.len().min(5)];
        let reason = match (&view.problem, names.is_empty()) {
            (Some(problem), _) => Some(problem.clone()),
            (None, false) => Some(format!("{} columns have drifted: {}", drifted.len(), names.join(", "))),
            (None, true) => None,
        };
        Some(json!({
            "state": view.state(), "reason": reason, "settled": true,
            "version": view.watch.as_ref().map(|w| w.version.clone()),
        }))
    }
}

/// Starts what carries monitors out; ends at shutdown.
pub fn start(parts: &Parts, ctx: &Ctx) {
    let limits = Limits { rows: MOST_ROWS, ..Limits::default() };
    let traffic = rows::JournalRows {
        journal: parts.journal.clone(),
        query: Query::new(parts.journal.clone(), limits),
        serving: parts.serving.clone(),
        gate: parts.gate.clone(),
        ctx: ctx.clone(),
    };
    let alarms =
        alarms::Deputy { alerts: parts.alerts.clone(), rollouts: parts.rollouts.clone(), gate: parts.gate.clone() };
    let answers = again::Loaded { serving: parts.serving.clone(), gate: parts.gate.clone() };
    let estimates = estimates::Windows { performance: parts.performance.clone(), gate: parts.gate.clone() };
    let ports = Ports {
        traffic: Arc::new(traffic),
        alarms: Arc::new(alarms),
        answers: Arc::new(answers),
        estimates: Arc::new(estimates),
    };
    let owner = ctx.event_id().to_string();
    drop(ctx.tasks.spawn_graceful(Loop::new(parts.monitors.clone(), ports, owner).run(ctx.clone())));
}

//! The kind Rollout: what resource keeps is carried out by rollout; its rows are served, its evidence is the journal's.

mod events;
mod fleet;
mod news;
mod rehearse;
#[cfg(test)]
mod tests;
mod webhooks;

use events::JournalEvents;
pub use fleet::{Declarer, Replica};
use mainspring_store::sql::Passes;

use crate::alerts;
use crate::config::Settings;
use crate::deployments::{acting_for, frozen};
use crate::error::StartError;
use mainspring_core::{Ctx, Gate, Name, Tenant};
use mainspring_registry::Registry;
use mainspring_resource::{Controller, Declaration, Invalid, Kind};
use mainspring_rollout::{Events, Fleet, ReadRollouts, RolloutSpec, Rollouts, StartRollout};
use mainspring_serving::{Deploy, ServeError, Serving};
use mainspring_webhook::Vault;
use news::{EveryJournal, EveryReplica, Wire};
use rehearse::Rehearsals;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use webhooks::Asker;

/// How often it is looked what other replicas decided.
const LOOK: Duration = Duration::from_millis(500);

/// Rollouts, carried out for the server itself.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Carries them out.
    pub rollouts: Rollouts,
    /// Knows which versions are frozen.
    pub registry: Registry,
    /// Decides who may do what.
    pub gate: Gate,
}

impl Declared {
    /// The kind, to be registered.
    pub fn kind(&self) -> Kind {
        let declared = self.clone();
        let allowed = move |tenant: &Tenant, name: &Name, spec: &Value| declared.takes(tenant, name, spec);
        mainspring_rollout::kind().allowed_by(allowed).carried_by(Arc::new(self.clone()))
    }

    /// Whether a rollout may take its candidates: none that is frozen, unless it is what is declared already, which ends or
    /// waits by itself.
    fn takes(&self, tenant: &Tenant, name: &Name, spec: &Value) -> Result<(), Invalid> {
        let candidates = spec.get("candidates").and_then(Value::as_array).into_iter().flatten();
        for (i, candidate) in candidates.enumerate() {
            let model = candidate.get("model").and_then(Value::as_str).unwrap_or_default();
            let Some(reason) = frozen(&self.registry, tenant, model) else { continue };
            let read = ReadRollouts { rollout: Some(name.clone()) };
            let known =
                self.gate.authorize(&acting_for(tenant), read).ok().and_then(|auth| self.rollouts.status(&auth));
            let has = known.is_some_and(|view| {
                !view.run.state.phase.ended() && view.run.spec.candidates.iter().any(|c| c.model == model)
            });
            if !has {
                return Err(Invalid { path: format!("candidates[{i}].model"), reason });
            }
        }
        Ok(())
    }
}

impl Controller for Declared {
    fn declare(&self, tenant: &Tenant, name: &Name, Declaration { spec, .. }: Declaration<'_>) -> Result<(), String> {
        let spec: RolloutSpec =
            serde_json::from_value(spec.clone()).map_err(|e| format!("the declared spec cannot be read: {e}"))?;
        let start = StartRollout { rollout: name.clone() };
        let auth = self.gate.authorize(&acting_for(tenant), start).map_err(|e| e.to_string())?;
        self.rollouts.declare(&auth, spec).map_err(|e| e.to_string())
    }

    fn withdraw(&self, tenant: &Tenant, name: &Name) {
        match self.gate.authorize(&acting_for(tenant), StartRollout { rollout: name.clone() }) {
            Ok(auth) => self.rollouts.withdraw(&auth),
            Err(error) => tracing::error!(rollout = %name, %error, "cannot take the rollout away"),
        }
    }

    fn status(&self, tenant: &Tenant, name: &Name) -> Option<Value> {
        let read = ReadRollouts { rollout: Some(name.clone()) };
        let view = self.rollouts.status(&self.gate.authorize(&acting_for(tenant), read).ok()?)?;
        let state = &view.run.state;
        Some(json!({
            "state": state.phase.as_str(),
            "reason": state.hold.as_ref().map(|hold| hold.reason.clone()),
            "step": state.step,
            "weight": state.weight(),
            "settled": true,
        }))
    }
}

/// Hands the routing rows to this process's deployments, until shutdown.
async fn route(rollouts: Rollouts, serving: Serving, gate: Gate, wire: Option<Wire>) {
    let mut changes = rollouts.changes();
    let mut held: BTreeMap<(Tenant, Name), u64> = BTreeMap::new();
    loop {
        if let Err(error) = rollouts.refresh().await {
            tracing::debug!(%error, "cannot look for routing rows; the last ones stay");
        }
        for routing in rollouts.rows().iter() {
            let key = (routing.tenant.clone(), routing.deployment.clone());
            let generation = routing.row.as_ref().map_or(0, |_| routing.generation);
            // A deployment that was declared anew has no row yet.
            let serves = serving.generation(&key.0, &key.1).unwrap_or(0);
            if held.get(&key) == Some(&generation) && serves == generation {
                continue;
            }
            // What it answers by this row is to be told.
            if let Some(wire) = wire.as_ref().filter(|_| routing.row.is_some()) {
                wire.listen();
            }
            match hand(&serving, &gate, &key, routing.row.clone()) {
                Ok(()) => drop(held.insert(key, generation)),
                Err(error) => tracing::debug!(deployment = %key.1, %error, "cannot route as the rollout says"),
            }
        }
        let _changed_or_late = tokio::time::timeout(LOOK, changes.changed()).await;
    }
}

fn hand(
    serving: &Serving,
    gate: &Gate,
    (tenant, deployment): &(Tenant, Name),
    row: Option<Arc<mainspring_traffic::Row>>,
) -> Result<(), String> {
    let action = Deploy { deployment: deployment.clone() };
    let auth = gate.authorize(&acting_for(tenant), action).map_err(|e| e.to_string())?;
    match serving.route(&auth, row) {
        // A row that is older than what is in place: it is on its way to be replaced here, too.
        Ok(()) | Err(ServeError::Stale(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// The events of rollouts as they are on record, for replays: what this process has, what is sealed, and what the others
/// have told that is not.
pub fn recorded(parts: &crate::start::Parts, ctx: &Ctx) -> Arc<dyn Events> {
    let own = JournalEvents::of(parts, ctx);
    if parts.db.is_shared() { Arc::new(EveryJournal { own, wire: Wire::of(parts, ctx) }) } else { Arc::new(own) }
}

/// Starts what carries rollouts out; ends at shutdown.
///
/// # Errors
/// [`StartError`] when TLS cannot be set up for what asks webhooks.
pub fn start(settings: &Settings, parts: &crate::start::Parts, ctx: &Ctx) -> Result<(), StartError> {
    let asker = Asker::new(alerts::reach(settings), Vault::new(&settings.secrets), ctx.clone());
    let asker = asker.map_err(StartError::part("make what asks webhooks ready"))?;
    let (serving, registry, gate) = (parts.serving.clone(), parts.registry.clone(), parts.gate.clone());
    let rehearsals =
        Rehearsals::new(parts.journal.clone(), serving.clone(), registry.clone(), gate.clone(), ctx.clone());
    let own = Replica { serving, registry, gate, rehearsals };
    let journal = JournalEvents::of(parts, ctx);
    // A database in a file is one process's alone.
    let wire = parts.db.is_shared().then(|| Wire::of(parts, ctx));
    let (fleet, events): (Arc<dyn Fleet>, Arc<dyn Events>) = if let Some(wire) = wire.clone() {
        drop(ctx.tasks.spawn_graceful(wire.clone().run()));
        (Arc::new(EveryReplica { own, wire: wire.clone() }), Arc::new(EveryJournal { own: journal, wire }))
    } else {
        (Arc::new(own), Arc::new(journal))
    };
    let ports = mainspring_rollout::Ports {
        fleet,
        events,
        declarations: Arc::new(Declarer {
            registry: parts.registry.clone(),
            resources: parts.resources.clone(),
            gate: parts.gate.clone(),
        }),
        webhooks: Arc::new(asker),
    };
    let owner = ctx.event_id().to_string();
    let controller = mainspring_rollout::Controller::new(
        parts.rollouts.clone(),
        ports,
        owner,
        mainspring_rollout::Limits::default(),
    );
    drop(ctx.tasks.spawn_graceful(controller.run(ctx.clone())));
    let (rollouts, serving, gate) = (parts.rollouts.clone(), parts.serving.clone(), parts.gate.clone());
    drop(ctx.tasks.spawn("route as rollouts say", route(rollouts, serving, gate, wire)));
    Ok(())
}

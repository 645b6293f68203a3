//! Keeps what is deployed the same as what is declared, and writes back what it found.

use mainspring_core::{Ctx, Gate, Name, Principal, Tenant};
use mainspring_journal::{Journal, Retention};
use mainspring_resource::{Resource, Resources};
use mainspring_serving::{Deploy, DeploymentSpec, DeploymentView, Describe, Serving, Undeploy};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often other processes' changes are looked for, and states written back.
const EVERY: Duration = Duration::from_millis(500);

type Key = (Tenant, Name);

/// The loop that follows declared deployments.
#[derive(Debug)]
pub struct Reconciler {
    resources: Resources,
    serving: Serving,
    gate: Gate,
    journal: Journal,
    /// Generation deployed, by deployment.
    deployed: BTreeMap<Key, i64>,
    /// State last written, by deployment.
    told: BTreeMap<Key, serde_json::Value>,
}

fn acting_for(tenant: &Tenant) -> Arc<Principal> {
    Arc::new(Principal { tenant: tenant.clone(), ..Principal::system() })
}

impl Reconciler {
    /// A loop over these.
    pub fn new(resources: Resources, serving: Serving, gate: Gate, journal: Journal) -> Self {
        Self { resources, serving, gate, journal, deployed: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Deploys what is declared and goes on following it until shutdown.
    pub fn start(mut self, ctx: &Ctx) {
        let mut changes = self.resources.changes();
        drop(ctx.tasks.spawn("reconcile deployments", async move {
            loop {
                changes.mark_unchanged();
                self.pass().await;
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(EVERY) => {
                        if let Err(error) = self.resources.poll().await {
                            tracing::warn!(%error, "cannot look for declared changes; what is deployed goes on");
                        }
                    }
                }
            }
        }));
    }

    async fn pass(&mut self) {
        let declared = match self.resources.of_kind("Deployment").await {
            Ok(declared) => declared,
            Err(error) => {
                tracing::warn!(%error, "cannot read what is declared; what is deployed goes on");
                return;
            }
        };
        let wanted: BTreeMap<Key, Resource> =
            declared.into_iter().map(|r| ((r.tenant.clone(), r.name.clone()), r)).collect();
        let gone: Vec<Key> = self.deployed.keys().filter(|k| !wanted.contains_key(k)).cloned().collect();
        for key in gone {
            self.undeploy(&key);
        }
        for (key, resource) in &wanted {
            if self.deployed.get(key) != Some(&resource.generation) {
                self.deploy(key, resource).await;
            }
            self.report(key, resource).await;
        }
    }

    async fn deploy(&mut self, key: &Key, resource: &Resource) {
        // Once each generation: a refusal is written down and stands until the spec changes.
        self.deployed.insert(key.clone(), resource.generation);
        let spec: DeploymentSpec = match serde_json::from_value(resource.spec.clone()) {
            Ok(spec) => spec,
            Err(error) => {
                tracing::error!(deployment = %key.1, %error, "the declared spec cannot be read");
                return;
            }
        };
        let own = Retention { days: spec.journal.keep_days, bytes: spec.journal.keep_bytes.map(|b| b.0) };
        self.journal.set_retention(&key.0, key.1.as_str(), own);
        let action = Deploy { deployment: key.1.clone() };
        let done = match self.gate.authorize(&acting_for(&key.0), action) {
            Ok(auth) => self.serving.deploy(&auth, spec).map_err(|e| e.to_string()),
            Err(denied) => Err(denied.to_string()),
        };
        if let Err(error) = done {
            tracing::error!(deployment = %key.1, error, "cannot deploy");
            self.tell(key, resource.generation, json!({"state": "FAILED", "reason": error})).await;
        }
    }

    fn undeploy(&mut self, key: &Key) {
        self.deployed.remove(key);
        self.told.remove(key);
        let action = Undeploy { deployment: key.1.clone() };
        let done = match self.gate.authorize(&acting_for(&key.0), action) {
            Ok(auth) => self.serving.undeploy(&auth).map_err(|e| e.to_string()),
            Err(denied) => Err(denied.to_string()),
        };
        if let Err(error) = done {
            tracing::error!(deployment = %key.1, error, "cannot take the deployment away");
        }
    }

    /// Writes a deployment's state back when it changed.
    async fn report(&mut self, key: &Key, resource: &Resource) {
        let action = Describe { deployment: Some(key.1.clone()) };
        let Ok(auth) = self.gate.authorize(&acting_for(&key.0), action) else { return };
        let Some(view) = self.serving.describe(&auth) else { return };
        self.tell(key, resource.generation, status(&view)).await;
    }

    async fn tell(&mut self, key: &Key, generation: i64, status: serde_json::Value) {
        if self.told.get(key) == Some(&status) {
            return;
        }
        match self.resources.set_status(&key.0, ("Deployment", key.1.as_str()), generation, &status).await {
            Ok(()) => drop(self.told.insert(key.clone(), status)),
            Err(error) => tracing::warn!(deployment = %key.1, %error, "cannot write the state down"),
        }
    }
}

fn status(view: &DeploymentView) -> serde_json::Value {
    let current = view.current().map(|v| v.contract.target.version.to_string());
    json!({"state": view.state.as_str(), "reason": view.reason, "version": current})
}

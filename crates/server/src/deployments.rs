//! The kind Deployment: what resource keeps is carried out by serving.

use crate::alerts::Slos;
use mainspring_core::{Gate, Name, Principal, Tenant};
use mainspring_journal::{Journal, Retention};
use mainspring_registry::actions::FreezeVersion;
use mainspring_registry::{ModelUri, Registry, RegistryError};
use mainspring_resource::{Controller, Declaration, Invalid, Kind};
use mainspring_serving::{Deploy, DeploymentSpec, Describe, Serving, Undeploy};
use serde_json::{Value, json};
use std::sync::Arc;

/// Deployments, carried out for the server itself.
#[derive(Debug, Clone)]
pub struct Deployments {
    serving: Serving,
    journal: Journal,
    slos: Slos,
    registry: Registry,
    gate: Gate,
}

/// Why nothing new may take what a model URI names; nothing where it may.
pub(crate) fn frozen(registry: &Registry, tenant: &Tenant, uri: &str) -> Option<String> {
    registry.frozen(tenant, &uri.parse().ok()?)
}

/// Why a text names no model, where it does not: nothing that is declared later could make it one.
fn names_no_model(text: &str) -> Option<Invalid> {
    text.parse::<ModelUri>().err()?;
    let name = if text.contains([':', '/', '@']) { "churn" } else { text };
    let reason = format!(
        "{text:?} is not the URI of a model; write for example models:/{name}@champion, models:/{name}/3 or runs:/RUN_ID/model"
    );
    Some(Invalid { path: "model".to_owned(), reason })
}

/// Keeps a version from being taken by anything new, as the server itself; one that is frozen already stays as it is.
pub(crate) async fn freeze(
    registry: &Registry,
    gate: &Gate,
    (tenant, model, version): (&Tenant, &str, i64),
    reason: &str,
) -> Result<(), String> {
    let auth = gate.authorize(&acting_for(tenant), FreezeVersion::on(model)).map_err(|e| e.to_string())?;
    match registry.freeze_version(&auth, (model, version), reason).await {
        // Deleted since: nothing is left that anybody could take.
        Ok(_) | Err(RegistryError::NotFound(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// The server, acting on what a tenant declared.
pub(crate) fn acting_for(tenant: &Tenant) -> Arc<Principal> {
    Arc::new(Principal { tenant: tenant.clone(), ..Principal::system() })
}

impl Deployments {
    /// Carried out by `serving`; `journal` keeps their predictions for as long as they say, and `slos` what they promise.
    pub fn new(serving: Serving, journal: Journal, slos: Slos, (registry, gate): (Registry, Gate)) -> Self {
        Self { serving, journal, slos, registry, gate }
    }

    /// Whether a deployment may take the model that it names, which must be a URI of one: a frozen version only where it
    /// has it already.
    fn takes(&self, tenant: &Tenant, name: &Name, spec: &Value) -> Result<(), Invalid> {
        let declared = spec.get("model").and_then(Value::as_str).unwrap_or_default();
        if let Some(invalid) = names_no_model(declared) {
            return Err(invalid);
        }
        let Some(reason) = frozen(&self.registry, tenant, declared) else { return Ok(()) };
        let action = Describe { deployment: Some(name.clone()) };
        let view = self.gate.authorize(&acting_for(tenant), action).ok().and_then(|auth| self.serving.describe(&auth));
        let has = view.is_some_and(|view| {
            let names = |v: &mainspring_serving::VersionView| {
                format!("models:/{}/{}", v.contract.target.model, v.contract.target.version)
            };
            view.spec.model == declared || view.versions.iter().any(|v| names(v) == declared)
        });
        if has { Ok(()) } else { Err(Invalid { path: "model".to_owned(), reason }) }
    }

    /// The kind, to be registered.
    pub fn kind(&self) -> Kind {
        let schema = serde_json::to_value(schemars::schema_for!(DeploymentSpec)).unwrap_or_default();
        Kind::of("Deployment", "a model version that answers requests", schema, |name, spec: &DeploymentSpec| {
            let invalid = |reason: String| Invalid { path: String::new(), reason };
            spec.validate(name).map_err(|e| invalid(e.to_string()))?;
            spec.rules
                .as_ref()
                .map_or(Ok(()), |rules| crate::rules::read(rules).map(drop))
                .map_err(|e| invalid(e.to_string()))
        })
        .allowed_by({
            let deployments = self.clone();
            move |tenant, name, spec| deployments.takes(tenant, name, spec)
        })
        // Scoring requests that name no deployment have one answer.
        .one_at_most("default")
        .carried_by(Arc::new(self.clone()))
    }
}

impl Controller for Deployments {
    fn declare(&self, tenant: &Tenant, name: &Name, Declaration { spec, .. }: Declaration<'_>) -> Result<(), String> {
        let spec: DeploymentSpec =
            serde_json::from_value(spec.clone()).map_err(|e| format!("the declared spec cannot be read: {e}"))?;
        let auth =
            self.gate.authorize(&acting_for(tenant), Deploy { deployment: name.clone() }).map_err(|e| e.to_string())?;
        let own = Retention { days: spec.journal.keep_days, bytes: spec.journal.keep_bytes.map(|b| b.0) };
        self.journal.set_retention(tenant, name.as_str(), own);
        self.slos.set(tenant, name, Some(&spec));
        self.serving.deploy(&auth, spec).map_err(|e| e.to_string())
    }

    fn withdraw(&self, tenant: &Tenant, name: &Name) {
        self.slos.set(tenant, name, None);
        match self.gate.authorize(&acting_for(tenant), Undeploy { deployment: name.clone() }) {
            // A declaration that was refused left nothing to take away.
            Ok(auth) => drop(self.serving.undeploy(&auth)),
            Err(error) => tracing::error!(deployment = %name, %error, "cannot take the deployment away"),
        }
    }

    fn status(&self, tenant: &Tenant, name: &Name) -> Option<Value> {
        let action = Describe { deployment: Some(name.clone()) };
        let view = self.serving.describe(&self.gate.authorize(&acting_for(tenant), action).ok()?)?;
        let version = view.current().map(|v| v.contract.target.version.to_string());
        Some(json!({
            "state": view.state.as_str(), "reason": view.reason, "choice": view.choice, "version": version, "settled": view.settled,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_model_uri_is_refused_where_it_is_declared() {
        for uri in
            ["models:/churn@champion", "models:/churn/3", "models:/churn/latest", "models:/m-12ab", "runs:/a1/model"]
        {
            assert_eq!(names_no_model(uri), None, "{uri}");
        }
        let bare = names_no_model("churn").unwrap();
        assert_eq!(bare.path, "model");
        assert!(bare.reason.contains("models:/churn@champion"), "{}", bare.reason);
        for text in
            ["churn@champion", "models:/churn/no/such", "s3://bucket/model", "mlflow-artifacts:/1/a/model", "./model"]
        {
            assert!(names_no_model(text).unwrap().reason.contains("models:/churn/3"), "{text}");
        }
    }
}

//! rollout asks how the variants of a deployment are; serving and the registry know.

#[cfg(test)]
mod tests;

use super::rehearse::{self, Rehearsals};
use crate::conversions::newest_made_from;
use crate::deployments::{self, acting_for, frozen};
use mainspring_core::{ErrorKind, Failure, Gate, Name, Tenant};
use mainspring_registry::actions::{ReadModel, ReturnAlias, SetAlias};
use mainspring_registry::{ModelUri, Registry, Resolved};
use mainspring_resource::{Apply, Read, ResourceError, Resources};
use mainspring_rollout::machine::{Checked, Follow, Freeze, Pins, Readiness};
use mainspring_rollout::news::{Place, Standing};
use mainspring_rollout::spec::{CandidateSpec, RolloutSpec};
use mainspring_rollout::{Declarations, Fleet, FleetView, Plan, PortError, PortResult, Tripped};
use mainspring_serving::{Contract, DeploymentView, Describe, Serving, VariantState, VariantView, VersionView};
use mainspring_traffic::{Row, Share};
use serde_json::Value;

fn port(e: &dyn Failure) -> PortError {
    PortError(e.to_string())
}

/// The deployments of this process.
#[derive(Debug, Clone)]
pub struct Replica {
    /// Knows how they are.
    pub serving: Serving,
    /// Knows what a URI means.
    pub registry: Registry,
    /// Decides who may do what.
    pub gate: Gate,
    /// Asks requests again.
    pub rehearsals: Rehearsals,
}

/// Whether a variant can answer here. One that was beyond a hard limit is loaded: that it gets nothing is said apart.
fn readiness(variant: &VariantView) -> Readiness {
    match variant.state {
        VariantState::Loading => Readiness::Loading(reason(variant)),
        VariantState::Failed => Readiness::Failed(reason(variant)),
        VariantState::Ready | VariantState::ShadowOnly | VariantState::Tripped => Readiness::Ready,
    }
}

/// Why a variant does not answer.
fn reason(variant: &VariantView) -> String {
    format!("{}: {}", variant.name, variant.reason.as_deref().unwrap_or("it is not loaded"))
}

/// Whether stable is here what the row names. Until it is, what answered before stands in its place, and no answer counts.
fn stable(view: &DeploymentView) -> Readiness {
    let Some(stable) = view.variants.first() else { return Readiness::Ready };
    let Some(current) = view.current() else { return Readiness::Loading(reason(stable)) };
    let registered = matches!(stable.model.parse(), Ok(ModelUri::Version { .. }));
    let stands = match view.spec.prefer {
        None if registered => named(current) == stable.model,
        // What was made from it may answer in its place, or nobody knows its version beforehand: what is wrong is said.
        _ => stable.reason.is_none(),
    };
    if stands {
        return Readiness::Ready;
    }
    let why = stable.reason.as_deref().unwrap_or("it is being loaded");
    Readiness::Loading(format!(
        "{}: {} is to answer, and {} still does: {why}",
        stable.name,
        stable.model,
        named(current)
    ))
}

/// What answers, as a registered version is named.
fn named(version: &VersionView) -> String {
    let target = &version.contract.target;
    format!("models:/{}/{}", target.model, target.version)
}

/// How the variants of a deployment are here: stable, and the candidates that get requests, or all of them while none does.
fn together(view: &DeploymentView) -> FleetView {
    let all = view.variants.get(1..).unwrap_or_default();
    let none = all.iter().all(|v| v.weight == Share::NONE);
    let asked = || all.iter().filter(|v| none || v.weight != Share::NONE);
    let trip = asked().find_map(|v| Some((v, v.trip.as_ref()?)));
    let tripped = trip.map(|(v, trip)| Tripped { variant: v.name.clone(), why: trip.to_string() });
    let candidate = asked().map(readiness).find(|r| *r != Readiness::Ready);
    FleetView { candidate: candidate.unwrap_or_else(|| stable(view)), tripped }
}

/// How the candidates of a deployment are here, for other processes; nothing while no rollout decides.
pub(super) fn standing(view: &DeploymentView, of: Place) -> Option<Standing> {
    let FleetView { candidate, tripped } = together(view);
    let (rollout, generation) = (view.rollout.clone()?, view.variants.get(1)?.generation);
    Some(Standing { of, rollout, generation, candidate, tripped })
}

/// What a URI means now, as one that means the same for ever.
async fn pinned(registry: &Registry, tenant: &Tenant, uri: &str) -> Result<String, PortError> {
    let parsed = model_uri(uri)?;
    if matches!(parsed, ModelUri::Run { .. }) {
        return Ok(uri.to_owned());
    }
    let found = registry.resolve(tenant, &parsed).await.map_err(|e| port(&e))?;
    Ok(lasting(uri, &found))
}

fn model_uri(uri: &str) -> Result<ModelUri, PortError> {
    uri.parse().map_err(|e: mainspring_registry::RegistryError| port(&e))
}

/// The URI that means for ever what `uri` means now.
fn lasting(uri: &str, found: &Resolved) -> String {
    if found.version.parse::<i64>().is_ok() {
        return format!("models:/{}/{}", found.name, found.version);
    }
    // A logged model and a run have an id, which never means another one.
    uri.to_owned()
}

impl Replica {
    /// The deployment as it is here; nothing where there is none.
    fn look(&self, tenant: &Tenant, deployment: &Name) -> Result<Option<DeploymentView>, PortError> {
        let action = Describe { deployment: Some(deployment.clone()) };
        let auth = self.gate.authorize(&acting_for(tenant), action).map_err(|e| port(&e))?;
        Ok(self.serving.describe(&auth))
    }

    fn describe(&self, tenant: &Tenant, deployment: &Name) -> Result<DeploymentView, PortError> {
        let missing = || PortError(format!("there is no deployment {:?}", deployment.as_str()));
        self.look(tenant, deployment)?.ok_or_else(missing)
    }

    /// What the deployment answers with now, pinned. Where it declares something else by now, which is being loaded or cannot
    /// be, there is no such thing as stable: the candidate would be compared with what is about to go, and a rollback would
    /// end, once the row is taken away, at a version that nobody has compared or that does not load.
    async fn stable(&self, tenant: &Tenant, view: &DeploymentView) -> Result<String, PortError> {
        let Some(current) = view.current() else {
            let reason = view.reason.as_deref().unwrap_or_default();
            return Err(PortError(format!("deployment {:?} does not answer: {reason}", view.name.as_str())));
        };
        let declared = view.spec.model.as_str();
        let found = self.registry.resolve(tenant, &model_uri(declared)?).await.map_err(|e| port(&e))?;
        let target = &current.contract.target;
        let same = *target.model == *found.name && *target.version == *found.version;
        if same || self.made_from(tenant, view, &found).await?.as_deref() == Some(&*target.version) {
            return Ok(lasting(declared, &found));
        }
        // A hold says this once: why it is so may change, and is in the deployment's own status.
        Err(PortError(format!(
            "deployment {:?} is to answer with version {} of {} ({declared}), and still answers with version {} of {}; its \
             status says why",
            view.name.as_str(),
            found.version,
            found.name,
            target.version,
            target.model,
        )))
    }

    /// The version that answers in place of the declared one, where the deployment prefers what was made from it.
    async fn made_from(
        &self,
        tenant: &Tenant,
        view: &DeploymentView,
        declared: &Resolved,
    ) -> Result<Option<String>, PortError> {
        if view.spec.prefer.is_none() {
            return Ok(None);
        }
        let action = ReadModel::on(&declared.name);
        let auth = self.gate.authorize(&acting_for(tenant), action).map_err(|e| port(&e))?;
        newest_made_from(&self.registry, &auth, &declared.name, &declared.version).await.map_err(|e| port(&e))
    }

    async fn gate_on(
        &self,
        tenant: &Tenant,
        candidate: &str,
        gate: &mainspring_rollout::spec::GateSpec,
    ) -> Result<Checked, PortError> {
        let name = format!("gate:{}", gate.metric);
        let failed = |detail: String| Checked::new(name.as_str(), Some(false), detail);
        let Ok(ModelUri::Version { name: model, version }) = candidate.parse() else {
            return Ok(failed(format!(
                "{candidate} is no registered version, so it has no run whose metrics are known"
            )));
        };
        let auth = self.gate.authorize(&acting_for(tenant), ReadModel::on(&model)).map_err(|e| port(&e))?;
        let lineage = self.registry.lineage(&auth, &model, version).await.map_err(|e| port(&e))?;
        let metrics = lineage.run.map(|run| run.metrics).unwrap_or_default();
        let Some(metric) = metrics.iter().find(|m| m.key == gate.metric) else {
            return Ok(failed(format!("the run of {candidate} has no metric {:?}", gate.metric)));
        };
        let value = metric.value;
        // What is no number keeps no bound.
        let kept = gate.min.is_none_or(|min| value >= min) && gate.max.is_none_or(|max| value <= max);
        let bounds = match (gate.min, gate.max) {
            (Some(min), Some(max)) => format!("from {min} to {max}"),
            (Some(min), None) => format!("at least {min}"),
            (None, Some(max)) => format!("at most {max}"),
            (None, None) => "anything".to_owned(),
        };
        let detail = format!("{} is {value}; it must be {bounds}", gate.metric);
        Ok(Checked::new(name, Some(kept), detail))
    }

    /// Whether somebody wrote down what a version is. A card that is empty says nothing.
    async fn model_card(&self, tenant: &Tenant, candidate: &str) -> Result<Checked, PortError> {
        let uri = model_uri(candidate)?;
        if let ModelUri::Version { name, version } = &uri {
            let auth = self.gate.authorize(&acting_for(tenant), ReadModel::on(name)).map_err(|e| port(&e))?;
            let version = self.registry.version(&auth, name, *version).await.map_err(|e| port(&e))?;
            if version.description.is_some_and(|text| !text.trim().is_empty()) {
                return Ok(Checked::new("modelCard", Some(true), "the version has a description"));
            }
        }
        let found = self.registry.resolve(tenant, &uri).await.map_err(|e| port(&e))?;
        for card in CARDS {
            let path = found.artifacts.join(card).map_err(|e| PortError(e.to_string()))?;
            match self.registry.artifacts().get(&path).await {
                Ok(text) if !text.trim_ascii().is_empty() => {
                    return Ok(Checked::new("modelCard", Some(true), format!("the model has {card}")));
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(port(&error)),
            }
        }
        let detail = format!(
            "{candidate} has no model card: describe the version, or log one of {} with the model",
            CARDS.join(", ")
        );
        Ok(Checked::new("modelCard", Some(false), detail))
    }
}

/// Files of a model that say what it is.
const CARDS: [&str; 3] = ["MODEL_CARD.md", "model_card.md", "README.md"];

/// Whether `candidate` takes every request that `stable` takes, and answers with the same outputs.
fn signature(stable: &Contract, candidate: &Contract) -> Checked {
    let mut differences = Vec::new();
    for (side, old, new) in [
        ("input", &stable.signature.inputs, &candidate.signature.inputs),
        ("output", &stable.signature.outputs, &candidate.signature.outputs),
    ] {
        for spec in old {
            match new.iter().find(|s| s.name == spec.name) {
                None => differences.push(format!("it has no {side} {:?}", &*spec.name)),
                Some(other) if other.dtype != spec.dtype || !fits(&spec.shape, &other.shape) => {
                    let (new, old) = (other.dtype.as_str(), spec.dtype.as_str());
                    let (name, shape) = (&*spec.name, &other.shape);
                    differences
                        .push(format!("{side} {name:?} is {new} {shape:?}, and {old} {:?} in stable", spec.shape));
                }
                Some(_) => {}
            }
        }
        if side == "input" {
            let added = new.iter().filter(|s| old.iter().all(|o| o.name != s.name));
            differences.extend(added.map(|s| format!("it wants an input {:?} that stable does not take", &*s.name)));
        }
    }
    let columns = |c: &Contract| c.mlflow().and_then(|m| m.inputs.clone());
    if differences.is_empty() && columns(stable) != columns(candidate) {
        differences.push("its signature names other columns, or other types of them".to_owned());
    }
    let detail =
        if differences.is_empty() { "inputs and outputs are stable's".to_owned() } else { differences.join("; ") };
    Checked::new("signature", Some(differences.is_empty()), detail)
}

/// Whether what is measured is there: a name that no model has would be waited for until the end. Nothing where no name is
/// measured, or a model does not say what it has.
fn names(plan: &Plan, stable: &Contract, candidate: &Contract) -> Option<Checked> {
    let mut missing = Vec::new();
    for (side, wanted, of) in [
        ("output", plan.outputs(), [&stable.signature.outputs, &candidate.signature.outputs]),
        ("input", plan.inputs(), [&stable.signature.inputs, &candidate.signature.inputs]),
    ] {
        for name in wanted {
            let there: Vec<_> = of.iter().flat_map(|specs| specs.iter()).collect();
            let known: Vec<&str> = of[0].iter().map(|spec| &*spec.name).collect();
            match there.iter().find(|spec| *spec.name == *name) {
                _ if known.is_empty() => {}
                None => missing.push(format!(
                    "no model has the {side} {name:?} that is measured; stable has {}",
                    known.join(", ")
                )),
                Some(spec) if spec.shape.iter().skip(1).any(|n| *n > 1) => {
                    missing.push(format!("{side} {name:?} is a list, which has no one number to measure"));
                }
                Some(_) => {}
            }
        }
    }
    let measured = !(plan.outputs().is_empty() && plan.inputs().is_empty());
    let detail = if missing.is_empty() { "what is measured is there".to_owned() } else { missing.join("; ") };
    measured.then(|| Checked::new("names", Some(missing.is_empty()), detail))
}

/// Whether what has one shape has the other too; -1 is any size.
fn fits(stable: &[i64], candidate: &[i64]) -> bool {
    stable.len() == candidate.len() && stable.iter().zip(candidate).all(|(a, b)| a == b || *b < 0)
}

impl Fleet for Replica {
    fn pins<'a>(
        &'a self,
        tenant: &'a Tenant,
        deployment: &'a Name,
        candidates: &'a [CandidateSpec],
    ) -> PortResult<'a, Pins> {
        Box::pin(async move {
            let view = self.describe(tenant, deployment)?;
            let stable = self.stable(tenant, &view).await?;
            let mut pins = Pins { stable, candidates: Vec::new() };
            for candidate in candidates {
                let model = pinned(&self.registry, tenant, &candidate.model).await?;
                if let Some(reason) = frozen(&self.registry, tenant, &model) {
                    return Err(PortError(reason));
                }
                pins.candidates.push(model);
            }
            Ok(pins)
        })
    }

    fn view<'a>(&'a self, tenant: &'a Tenant, deployment: &'a Name, row: &'a Row) -> PortResult<'a, FleetView> {
        Box::pin(async move {
            let view = self.describe(tenant, deployment)?;
            if view.variants.get(1).is_none_or(|v| v.generation != row.generation()) {
                let candidate = Readiness::Loading("the routing row has not reached the deployment yet".into());
                return Ok(FleetView { candidate, tripped: None });
            }
            Ok(together(&view))
        })
    }

    fn frozen<'a>(&'a self, tenant: &'a Tenant, models: &'a [String]) -> PortResult<'a, Vec<Option<String>>> {
        let known = models.iter().map(|model| frozen(&self.registry, tenant, model)).collect();
        Box::pin(std::future::ready(Ok(known)))
    }

    fn settled<'a>(&'a self, tenant: &'a Tenant, deployment: &'a Name, row: &'a Row) -> PortResult<'a, bool> {
        Box::pin(async move {
            let winner = row.variants.iter().enumerate().max_by_key(|(at, _)| row.route.split().weight(*at as u16));
            let Some(view) = self.look(tenant, deployment)? else {
                // Of a deployment that was deleted nothing is left to be turned back, and nothing was promoted.
                return Ok(winner.is_some_and(|(at, _)| at == 0));
            };
            let declared = pinned(&self.registry, tenant, &view.spec.model).await?;
            Ok(winner.is_some_and(|(_, variant)| declared == variant.model))
        })
    }

    fn checks<'a>(
        &'a self,
        tenant: &'a Tenant,
        deployment: &'a Name,
        row: &'a Row,
        spec: &'a RolloutSpec,
    ) -> PortResult<'a, Vec<Checked>> {
        Box::pin(async move {
            let view = self.describe(tenant, deployment)?;
            let (mut checks, plan, spec) = (Vec::new(), Plan::of(spec), &spec.preflight);
            for (at, variant) in row.variants.iter().enumerate().skip(1) {
                let mut its = Vec::new();
                let version = view.variants.get(at).and_then(|v| v.version.clone());
                let candidate = view.versions.iter().find(|v| Some(&v.contract.target.version) == version.as_ref());
                let both = view.current().zip(candidate);
                if spec.signature {
                    its.push(match both {
                        Some((stable, candidate)) => signature(&stable.contract, &candidate.contract),
                        None => Checked::new("signature", None, "it is being loaded"),
                    });
                }
                its.extend(both.and_then(|(stable, candidate)| names(&plan, &stable.contract, &candidate.contract)));
                for gate in &spec.gates {
                    its.push(self.gate_on(tenant, &variant.model, gate).await?);
                }
                if spec.model_card {
                    its.push(self.model_card(tenant, &variant.model).await?);
                }
                if let Some(replay) = &spec.replay {
                    let ready = |v: &&VariantView| v.state == VariantState::Ready && v.generation == row.generation();
                    its.push(match view.variants.get(at).filter(ready) {
                        // What takes other inputs need not be asked.
                        Some(_) if its.iter().any(|check| check.passed == Some(false)) => {
                            Checked::new("replay", Some(false), "nothing was asked again, since another check failed")
                        }
                        Some(_) => {
                            let (tenant, deployment) = (tenant.clone(), deployment.clone());
                            let (rollout, generation) = (row.rollout.clone(), row.generation());
                            let variant = variant.name.clone();
                            let key = rehearse::Key { tenant, deployment, rollout, generation, variant };
                            self.rehearsals.check(key, replay)
                        }
                        None => Checked::new("replay", None, "the candidate is being loaded"),
                    });
                }
                if row.variants.len() > 2 {
                    for check in &mut its {
                        check.name = format!("{} of {}", check.name, variant.name);
                    }
                }
                checks.extend(its);
            }
            Ok(checks)
        })
    }
}

/// What deployments declare: an alias of the registry, or their own model.
#[derive(Debug, Clone)]
pub struct Declarer {
    /// Where aliases are.
    pub registry: Registry,
    /// Where declarations are.
    pub resources: Resources,
    /// Decides who may do what.
    pub gate: Gate,
}

impl Declarations for Declarer {
    fn follow<'a>(&'a self, tenant: &'a Tenant, follow: &'a Follow) -> PortResult<'a, ()> {
        Box::pin(async move {
            let who = acting_for(tenant);
            let read = Read { kind: "deployment".into(), name: follow.deployment.clone() };
            let auth = self.gate.authorize(&who, read).map_err(|e| port(&e))?;
            let resource = match self.resources.get(&auth).await {
                Ok(resource) => resource,
                // Deleted since: nothing is left that could follow.
                Err(ResourceError::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(port(&error)),
            };
            let declared = resource.spec.get("model").and_then(Value::as_str).unwrap_or_default();
            if let (Ok(ModelUri::Alias { name, alias }), Ok(ModelUri::Version { name: to, version })) =
                (declared.parse(), follow.to.parse())
                && name == to
            {
                if follow.back {
                    let auth = self.gate.authorize(&who, ReturnAlias::on(&name)).map_err(|e| port(&e))?;
                    return self.registry.return_alias(&auth, &name, &alias, version).await.map_err(|e| port(&e));
                }
                let auth = self.gate.authorize(&who, SetAlias::on(&name)).map_err(|e| port(&e))?;
                return self.registry.set_alias(&auth, &name, &alias, version).await.map_err(|e| port(&e));
            }
            if declared == follow.to {
                return Ok(());
            }
            let mut document = resource.spec.clone();
            document["apiVersion"] = mainspring_resource::API_VERSION.into();
            document["kind"] = resource.kind.clone().into();
            document["name"] = resource.name.as_str().into();
            document["model"] = follow.to.clone().into();
            let text = document.to_string();
            let documents = mainspring_resource::parse(&text, &format!("rollout {}", follow.rollout));
            let mut writes = Vec::new();
            for document in documents.map_err(|e| port(&e))? {
                let action = Apply { kind: document.kind.to_lowercase(), name: document.name.to_string() };
                writes.push((self.gate.authorize(&who, action).map_err(|e| port(&e))?, document));
            }
            self.resources.apply(writes).await.map(drop).map_err(|e| port(&e))
        })
    }

    fn freeze<'a>(&'a self, tenant: &'a Tenant, freeze: &'a Freeze) -> PortResult<'a, ()> {
        Box::pin(async move {
            // A logged model and a run's files are no version that could be kept from anybody.
            let Ok(ModelUri::Version { name, version }) = freeze.model.parse() else { return Ok(()) };
            let version = (tenant, name.as_str(), version);
            deployments::freeze(&self.registry, &self.gate, version, &freeze.reason).await.map_err(PortError)
        })
    }

    fn author<'a>(&'a self, tenant: &'a Tenant, rollout: &'a Name) -> PortResult<'a, Option<String>> {
        Box::pin(async move {
            let read = Read { kind: "rollout".into(), name: rollout.to_string() };
            let auth = self.gate.authorize(&acting_for(tenant), read).map_err(|e| port(&e))?;
            match self.resources.get(&auth).await {
                Ok(resource) => Ok(Some(resource.updated_by)),
                // Nobody declares it.
                Err(ResourceError::NotFound { .. }) => Ok(None),
                Err(error) => Err(port(&error)),
            }
        })
    }
}

//! The kinds PriceTable, Budget and OutcomeValue, and what cost needs from the rest of the server.

mod alarms;

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use mainspring_core::{Ctx, Failure, Gate, Name, Principal, Tenant, Timestamp};
use mainspring_cost::{
    BudgetSpec, Costs, House, PortError, PortResult, PriceSpec, Running, Stored, ValueSpec, Watch, budget,
    outcome_value, price_table,
};
use mainspring_journal::Journal;
use mainspring_registry::actions::ReadModel;
use mainspring_registry::uri::locate;
use mainspring_registry::{ModelSearch, Registry};
use mainspring_resource::{Controller, Declaration, Kind};
use mainspring_serving::{Describe, Serving};
use mainspring_store::sql::Passes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Versions whose files are counted, and of how many at once.
const VERSIONS: i64 = 10_000;
const AT_ONCE: usize = 8;
/// How long what was counted holds, microseconds: a bucket is asked once for each version.
const HOLDS: i64 = 300_000_000;

/// Starts what watches budgets; ends at shutdown.
pub fn start(parts: &crate::start::Parts, ctx: &Ctx) {
    let alarms = alarms::Treasurer { alerts: parts.alerts.clone() };
    let watch = Watch::new(parts.costs.clone(), Arc::new(alarms), parts.db.clone(), ctx.event_id().to_string());
    drop(ctx.tasks.spawn_graceful(watch.run(ctx.clone())));
}

/// The kinds of cost, to be registered.
pub fn kinds(costs: &Costs) -> [Kind; 3] {
    [
        price_table().carried_by(Arc::new(Prices(costs.clone()))),
        budget().carried_by(Arc::new(Budgets(costs.clone()))),
        outcome_value().carried_by(Arc::new(Values(costs.clone()))),
    ]
}

/// Price tables, carried out for the server itself.
#[derive(Debug, Clone)]
struct Prices(Costs);

/// Budgets, carried out for the server itself.
#[derive(Debug, Clone)]
struct Budgets(Costs);

/// What outcomes are worth, for the server itself.
#[derive(Debug, Clone)]
struct Values(Costs);

fn ready() -> Value {
    json!({"state": "READY", "reason": null, "settled": true})
}

fn read<S: serde::de::DeserializeOwned>(spec: &Value) -> Result<S, String> {
    serde_json::from_value(spec.clone()).map_err(|e| format!("the declared spec cannot be read: {e}"))
}

impl Controller for Prices {
    fn declare(&self, tenant: &Tenant, name: &Name, Declaration { spec, .. }: Declaration<'_>) -> Result<(), String> {
        let spec: PriceSpec = read(spec)?;
        self.0.declare_prices(tenant, name, spec);
        Ok(())
    }

    fn withdraw(&self, tenant: &Tenant, name: &Name) {
        self.0.withdraw_prices(tenant, name);
    }

    fn status(&self, _: &Tenant, _: &Name) -> Option<Value> {
        Some(ready())
    }
}

impl Controller for Budgets {
    fn declare(&self, tenant: &Tenant, name: &Name, Declaration { spec, .. }: Declaration<'_>) -> Result<(), String> {
        let spec: BudgetSpec = read(spec)?;
        self.0.declare_budget(tenant, name, spec);
        Ok(())
    }

    fn withdraw(&self, tenant: &Tenant, name: &Name) {
        self.0.withdraw_budget(tenant, name);
    }

    fn status(&self, tenant: &Tenant, name: &Name) -> Option<Value> {
        let Some(standing) = self.0.standing(tenant, name) else { return Some(ready()) };
        let state = if standing.share.is_some() { "READY" } else { "FAILED" };
        Some(json!({
            "state": state, "reason": standing.problem, "settled": true,
            "spentPercent": standing.share.map(|s| s * 100.0), "forecastPercent": standing.forecast.map(|f| f * 100.0),
        }))
    }
}

impl Controller for Values {
    fn declare(&self, tenant: &Tenant, name: &Name, Declaration { spec, .. }: Declaration<'_>) -> Result<(), String> {
        let spec: ValueSpec = read(spec)?;
        self.0.declare_value(tenant, name, spec)
    }

    fn withdraw(&self, tenant: &Tenant, name: &Name) {
        self.0.withdraw_value(tenant, name);
    }

    fn status(&self, _: &Tenant, _: &Name) -> Option<Value> {
        Some(ready())
    }
}

/// What is kept and what runs.
#[derive(Debug, Clone)]
pub struct Household {
    /// Knows model versions and their files.
    pub registry: Registry,
    /// Knows what answers.
    pub serving: Serving,
    /// Has sealed files.
    pub journal: Journal,
    /// Decides who may do what.
    pub gate: Gate,
    /// Time.
    pub ctx: Ctx,
    /// What was counted last.
    pub counted: Counted,
}

/// What lay at each place of a tenant's versions, and when that was counted. Clones share it.
pub type Counted = Arc<Mutex<HashMap<(Tenant, String), (Timestamp, u64)>>>;

fn port(e: &dyn Failure) -> PortError {
    PortError { kind: e.kind(), message: e.to_string() }
}

impl Household {
    /// Bytes of each version's files. Versions of the same files have them once, with the first.
    async fn models(&self, who: &Arc<Principal>) -> Result<Vec<Stored>, PortError> {
        let auth = self.gate.authorize(who, ReadModel::any()).map_err(|e| port(&e))?;
        let now = self.ctx.now();
        let search = ModelSearch { max_results: VERSIONS, ..ModelSearch::default() };
        let found = self.registry.search_versions(&auth, &search).await.map_err(|e| port(&e))?;
        let mut by_place: BTreeMap<String, String> = BTreeMap::new();
        for version in &found.items {
            let name = format!("{}/{}", version.name, version.version);
            let place = by_place.entry(version.storage.clone()).or_insert_with(|| name.clone());
            if (version.name.as_str(), version.version) < split(place) {
                *place = name;
            }
        }
        // What lies in another server's store is not kept here.
        let here = by_place.into_iter().filter_map(|(place, of)| Some((locate(&who.tenant, &place, "").ok()?, of)));
        let artifacts = self.registry.artifacts();
        let fresh = |at: &Timestamp| now.micros() - at.micros() < HOLDS;
        self.counted.lock().retain(|_, (at, _)| fresh(at));
        let each = here.map(|(path, of)| async move {
            let place = (who.tenant.clone(), path.to_string());
            let known = self.counted.lock().get(&place).map(|(_, bytes)| *bytes);
            let bytes = match known {
                Some(bytes) => bytes,
                None => artifacts.usage(&path).await.map_err(|e| port(&e))?,
            };
            if known.is_none() {
                self.counted.lock().insert(place, (now, bytes));
            }
            Ok::<_, PortError>(Stored { what: "model", of, bytes })
        });
        let mut stored: Vec<Stored> = futures::stream::iter(each).buffered(AT_ONCE).try_collect().await?;
        stored.sort_by(|a, b| split(&a.of).cmp(&split(&b.of)));
        Ok(stored)
    }
}

/// `churn/3` as a name and a number.
fn split(of: &str) -> (&str, i64) {
    let (name, version) = of.rsplit_once('/').unwrap_or((of, ""));
    (name, version.parse().unwrap_or(0))
}

impl House for Household {
    fn tenants(&self) -> PortResult<'_, Vec<Tenant>> {
        Box::pin(async move { self.registry.tenants().await.map_err(|e| port(&e)) })
    }

    fn days(&self, tenant: &Tenant, deployment: Option<&str>) -> Option<u32> {
        self.journal.kept_days(tenant, deployment)
    }

    fn stored<'a>(&'a self, who: &'a Arc<Principal>) -> PortResult<'a, Vec<Stored>> {
        Box::pin(async move {
            let mut stored = self.models(who).await?;
            let sealed = self.journal.sealed_bytes(&who.tenant).await.map_err(|e| port(&e))?;
            stored.extend(sealed.into_iter().map(|(deployment, bytes)| Stored {
                what: "journal",
                of: deployment.unwrap_or_default(),
                bytes,
            }));
            Ok(stored)
        })
    }

    fn running<'a>(&'a self, who: &'a Arc<Principal>) -> BoxFuture<'a, Result<Vec<Running>, PortError>> {
        Box::pin(async move {
            let auth = self.gate.authorize(who, Describe { deployment: None }).map_err(|e| port(&e))?;
            let all = self.serving.list(&auth);
            let versions = all.iter().flat_map(|view| view.versions.iter());
            let running = versions.map(|v| {
                let target = &v.contract.target;
                Running {
                    deployment: target.deployment.to_string(),
                    model: target.model.to_string(),
                    version: target.version.to_string(),
                    instances: v.instances,
                }
            });
            Ok(running.collect())
        })
    }
}

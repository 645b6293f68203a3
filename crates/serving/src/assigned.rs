//! Who would answer a unit, without a request.

use crate::action::Infer;
use crate::error::ServeError;
use crate::pick;
use crate::serving::Serving;
use mainspring_core::{Authorized, Name, Tenant};
use mainspring_traffic::{RequestHead, UnitFrom, Why};
use std::sync::Arc;

/// Who would answer a unit's requests now.
#[derive(Debug, Clone, PartialEq)]
pub struct Assigned {
    /// The rollout that decides; `None` when nothing does.
    pub rollout: Option<String>,
    /// The variant.
    pub variant: String,
    /// Every variant there is, stable first.
    pub variants: Vec<String>,
    /// Its version.
    pub version: Arc<str>,
    /// Why; `None` when there is nothing to choose.
    pub why: Option<Why>,
    /// The probability with which the unit got it.
    pub propensity: f64,
    /// Which write of the routing row decides.
    pub generation: Option<u64>,
    /// What the rollout assigns by, where that was not named or cannot be: this is not what a unit would get then.
    pub unit_is_missing: Option<UnitFrom>,
    /// Whether the rollout assigns by what requests carry, too, so that this is not what one would get.
    pub by_inputs: bool,
}

impl Serving {
    /// The generation of the row that decides about a deployment; `None` when none does. It tells nothing else, so it
    /// needs no permission.
    pub fn generation(&self, tenant: &Tenant, deployment: &Name) -> Option<u64> {
        let deployment = self.find(tenant, deployment).ok()?;
        let row = deployment.row.load();
        row.as_ref().map(|row| row.generation())
    }

    /// Who would answer `unit`, the value that requests carry where the rollout looks for it. The caller's own key is
    /// the unit where the rollout says so; and the cookie of its own request where no unit is named, since a page's script cannot
    /// read one that is `HttpOnly`. Nothing is counted by asking.
    ///
    /// # Errors
    /// [`ServeError::NoDeployment`], and [`ServeError::NotReady`] when nothing answers.
    pub fn assigned(
        &self,
        auth: &Authorized<Infer>,
        unit: Option<&[u8]>,
        head: &dyn RequestHead,
    ) -> Result<Assigned, ServeError> {
        let deployment = self.find(auth.tenant(), &auth.action().deployment)?;
        let route = deployment.route.load();
        let current = pick::answering(&deployment, &route, None, pick::explains(auth.who()))?;
        let Some(traffic) = &route.traffic else {
            let variant = current.facts.contract.target.variant.to_string();
            return Ok(Assigned {
                rollout: None,
                variants: vec![variant.clone()],
                variant,
                version: Arc::clone(&current.facts.contract.target.version),
                why: None,
                propensity: 1.0,
                generation: None,
                unit_is_missing: None,
                by_inputs: false,
            });
        };
        let row = &traffic.row;
        let unit = match &row.unit {
            UnitFrom::Key => pick::key(auth.who()),
            // Each request is a unit of its own, so nobody's requests all go to one variant.
            UnitFrom::Request => None,
            from @ UnitFrom::Cookie(_) => unit.or_else(|| from.beside(head)),
            UnitFrom::Header(_) | UnitFrom::Field(_) => unit,
        };
        let made = traffic.waits();
        let mut choice = row.route.choose(unit.unwrap_or_default());
        let loaded = traffic.able(current, choice.variant, made).map_or_else(
            || {
                choice = row.route.fallback();
                current
            },
            |(loaded, _)| loaded,
        );
        Ok(Assigned {
            rollout: Some(row.rollout.clone()),
            variant: row.route.variant(choice.variant).to_owned(),
            variants: row.route.variants().to_vec(),
            version: Arc::clone(&loaded.facts.contract.target.version),
            why: Some(choice.why),
            propensity: choice.propensity,
            generation: Some(row.generation()),
            by_inputs: row.policy.is_some(),
            unit_is_missing: unit.is_none().then(|| row.unit.clone()),
        })
    }
}

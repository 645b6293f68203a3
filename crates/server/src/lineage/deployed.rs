//! Notes with which version each deployment answers, whatever the collector does: a version that answers while the
//! collector is away is told, too.

use super::known::House;
use crate::deployments::acting_for;
use mainspring_core::Tenant;
use mainspring_lineage::Lineage;
use mainspring_serving::{DeploymentView, Describe};
use mainspring_store::sql::{Lead, Leader, Passes};
use std::collections::HashMap;

/// Notes what changed.
pub struct Noter {
    house: House,
    lineage: Lineage,
    leader: Leader,
    noted: Noted,
}

/// The version, as model and number, that was noted of each deployment.
#[derive(Default)]
struct Noted(HashMap<(Tenant, String), (String, String)>);

/// A deployment and the version that it answers with.
struct Answers {
    deployment: String,
    with: (String, String),
}

impl Noted {
    /// Those that differ from what was noted.
    fn news(&self, tenant: &Tenant, now: impl Iterator<Item = Answers>) -> Vec<Answers> {
        now.filter(|a| self.0.get(&(tenant.clone(), a.deployment.clone())) != Some(&a.with)).collect()
    }
}

impl Noter {
    /// Of the deployments of `house`, into the outbox of `lineage`, while `leader` leads.
    pub fn new(house: House, lineage: Lineage, leader: Leader) -> Self {
        Self { house, lineage, leader, noted: Noted::default() }
    }

    async fn note(&mut self) -> Result<(), String> {
        match self.leader.lead().await.map_err(|e| e.to_string())? {
            Lead::No => return Ok(()),
            // Another one may have noted more since.
            Lead::Taken => self.noted = Noted::default(),
            Lead::Kept => {}
        }
        for tenant in self.house.registry.tenants().await.map_err(|e| e.to_string())? {
            let auth = self.house.gate.authorize(&acting_for(&tenant), Describe { deployment: None });
            let now = self.house.serving.list(&auth.map_err(|e| e.to_string())?);
            for new in self.noted.news(&tenant, now.iter().filter_map(answers)) {
                let (model, version) = &new.with;
                let noted = self.lineage.deployed(&tenant, &new.deployment, (model, version)).await;
                noted.map_err(|e| e.to_string())?;
                self.noted.0.insert((tenant.clone(), new.deployment), new.with);
            }
        }
        Ok(())
    }
}

fn answers(view: &DeploymentView) -> Option<Answers> {
    let target = &view.current()?.contract.target;
    Some(Answers { deployment: view.name.to_string(), with: (target.model.to_string(), target.version.to_string()) })
}

impl Passes for Noter {
    type Error = String;
    const STANDS_STILL: &'static str = "changes of deployments are not noted for the lineage collector";

    fn pass(&mut self) -> impl Future<Output = Result<(), String>> + Send {
        self.note()
    }

    fn leader(&mut self) -> &mut Leader {
        &mut self.leader
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_news() {
        let mut noted = Noted::default();
        let (ours, other) = (Tenant::default(), Tenant::new("other").unwrap());
        let answers = |version: &str| Answers { deployment: "d".into(), with: ("m".into(), version.into()) };
        let news = |noted: &Noted, tenant, version| noted.news(tenant, std::iter::once(answers(version))).len();
        assert_eq!(news(&noted, &ours, "1"), 1);
        noted.0.insert((ours.clone(), "d".into()), ("m".into(), "1".into()));
        assert_eq!((news(&noted, &ours, "1"), news(&noted, &ours, "2"), news(&noted, &other, "1")), (0, 1, 1));
    }
}

//! Registered models.

use super::tracking::{map, time};
use crate::dto::models::{
    Lineage, LineageDeployment, LineageVersion, ModelVersionView, ModelView, PurgeAnswer, PurgeKept, VersionFrozen,
};
use mainspring_convert::lineage::Derived;
use mainspring_registry as domain;
use mainspring_serving::DeploymentView;

impl From<domain::RegisteredModel> for ModelView {
    fn from(m: domain::RegisteredModel) -> Self {
        let newest = m.latest.iter().map(|v| v.version).max();
        Self {
            name: m.name,
            description: m.description.unwrap_or_default(),
            created_at: time(m.created),
            updated_at: time(m.updated),
            aliases: m.aliases.into_iter().map(|a| (a.alias, a.version.to_string())).collect(),
            tags: map(m.tags),
            latest_version: newest.map(|v| v.to_string()),
        }
    }
}

impl From<domain::ModelVersion> for ModelVersionView {
    fn from(v: domain::ModelVersion) -> Self {
        Self {
            name: v.name,
            version: v.version.to_string(),
            status: "READY".to_owned(),
            stage: v.stage,
            description: v.description.unwrap_or_default(),
            created_at: time(v.created),
            updated_at: time(v.updated),
            run_id: v.run_id,
            source: v.source,
            aliases: v.aliases,
            tags: map(v.tags),
            frozen: v.frozen.map(|f| VersionFrozen { by: f.by, at: time(f.at), reason: f.reason }),
        }
    }
}

impl From<domain::PurgeReport> for PurgeAnswer {
    fn from(r: domain::PurgeReport) -> Self {
        Self {
            runs: r.runs.len() as u64,
            experiments: r.experiments.len() as u64,
            models: r.logged_models.len() as u64,
            files: r.files,
            bytes: r.bytes,
            kept: r.kept.into_iter().map(|(id, served_by)| PurgeKept { id, served_by }).collect(),
            elsewhere: r.elsewhere,
        }
    }
}

/// Joins versions and their runs with the deployments that answer with them.
pub(crate) fn lineage(model: String, versions: Vec<domain::Lineage>, deployed: &[DeploymentView]) -> Lineage {
    let versions = versions
        .into_iter()
        .map(|l| {
            let number = l.version.version.to_string();
            let answers = |d: &&DeploymentView| {
                d.current().is_some_and(|v| *v.contract.target.model == *model && *v.contract.target.version == *number)
            };
            let deployments = deployed.iter().filter(answers).map(|d| LineageDeployment {
                name: d.name.to_string(),
                version: number.clone(),
                model: d.spec.model.clone(),
            });
            let deployments = deployments.collect();
            let datasets = l.run.as_ref().map(|r| r.inputs.clone()).unwrap_or_default();
            let tags = l.version.tags.iter().map(|t| (t.key.as_str(), t.value.as_str()));
            let made_from = Derived::read(&model, number.clone(), tags).from;
            LineageVersion {
                made_from,
                version: l.version.into(),
                run: l.run.map(Into::into),
                datasets: datasets.into_iter().map(Into::into).collect(),
                deployments,
            }
        })
        .collect();
    Lineage { model, versions }
}

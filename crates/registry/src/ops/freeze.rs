//! Versions that nothing may take any more, until a person ends that.
//!
//! A frozen version stays readable, and what answers with it goes on: what was decided against it is that nothing new may
//! begin to. The columns of the version are what holds; the tag `mainspring.frozen` shows it where MLflow's clients look, and
//! no client can set or remove it.

use super::versions;
use crate::actions::{FreezeVersion, UnfreezeVersion};
use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::sql;
use crate::types::{FROZEN_TAG, Frozen, ModelVersion, Pair};
use crate::uri::ModelUri;
use mainspring_core::{Authorized, Tenant};
use mainspring_store::Conn;
use std::collections::HashMap;
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The most characters of a reason.
const MOST: usize = 1_000;

/// The frozen versions of all tenants, as of a number of [`Registry::changes`].
#[derive(Debug, Default)]
pub(crate) struct Known {
    seen: u64,
    all: HashMap<Tenant, Vec<Marked>>,
}

/// A frozen version, and what else than its number and aliases means it.
#[derive(Debug)]
struct Marked {
    version: ModelVersion,
    /// It is the newest of its stage, which `models:/NAME/STAGE` means.
    of_stage: bool,
    /// It is the newest of all, which `models:/NAME/latest` means.
    newest: bool,
}

impl Marked {
    fn is(&self, uri: &ModelUri) -> bool {
        let version = &self.version;
        match uri {
            ModelUri::Version { name, version: number } => version.name == *name && version.version == *number,
            ModelUri::Alias { name, alias } if alias.eq_ignore_ascii_case("latest") => {
                version.name == *name && self.newest
            }
            ModelUri::Alias { name, alias } => version.name == *name && version.aliases.contains(alias),
            ModelUri::Stage { name, stage } => version.name == *name && self.of_stage && version.stage == *stage,
            ModelUri::Latest { name } => version.name == *name && self.newest,
            ModelUri::Logged { .. } | ModelUri::Run { .. } => false,
        }
    }
}

async fn marked(c: &mut Conn) -> Result<HashMap<Tenant, Vec<Marked>>> {
    let mut all = HashMap::new();
    for (tenant, versions) in sql::versions::frozen(c).await? {
        let mut names: Vec<String> = versions.iter().map(|v| v.name.clone()).collect();
        names.dedup();
        let latest = sql::versions::latest(c, &tenant, &names).await?;
        let mark = |version: ModelVersion| {
            let same = |v: &&ModelVersion| v.name == version.name;
            let of_stage = latest.iter().filter(same).any(|v| v.version == version.version);
            let newest = latest.iter().filter(same).all(|v| v.version <= version.version);
            Marked { version, of_stage, newest }
        };
        all.insert(tenant, versions.into_iter().map(mark).collect());
    }
    Ok(all)
}

/// Why a version may not be taken, and what ends that.
pub(crate) fn refusal(version: &ModelVersion, frozen: &Frozen) -> String {
    let (name, number) = (&version.name, version.version);
    let at = day(frozen.at);
    format!(
        "Model Version (name={name}, version={number}) is frozen since {at} by {}: {}. What serves it goes on, and nothing new \
         may take it; a person ends that with `mainspring model unfreeze {name}/{number}`",
        frozen.by, frozen.reason
    )
}

/// A time in milliseconds for people, UTC.
fn day(ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1_000)).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| ms.to_string())
}

/// Refuses a version that is frozen.
pub(crate) fn free(version: &ModelVersion) -> Result<()> {
    match &version.frozen {
        Some(frozen) => Err(RegistryError::Frozen(refusal(version, frozen))),
        None => Ok(()),
    }
}

/// Refuses a tag that only a freeze may set.
pub(crate) fn tag_is_free(key: &str) -> Result<()> {
    if key != FROZEN_TAG {
        return Ok(());
    }
    Err(RegistryError::invalid(format!(
        "The tag '{FROZEN_TAG}' shows that a version is frozen, and does not make it so. Use `mainspring model freeze` or \
         `mainspring model unfreeze`"
    )))
}

impl Registry {
    /// Freezes a version: no alias can be moved to it, nor a stage of production, and no deployment or rollout may take it.
    /// One that is frozen already stays as it is, with its first reason.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`]; [`RegistryError::Invalid`] for a reason that is empty or too long.
    pub async fn freeze_version(
        &self,
        auth: &Authorized<FreezeVersion>,
        (name, version): (&str, i64),
        reason: &str,
    ) -> Result<ModelVersion> {
        // One line: it is printed in many terminals.
        let reason: String = reason.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if reason.is_empty() || reason.chars().count() > MOST {
            return Err(RegistryError::invalid(format!("Say why the version is frozen, in 1 to {MOST} characters")));
        }
        let (tenant, audit, name, now) = (auth.tenant().clone(), auth.audit(), name.to_owned(), self.now());
        let frozen = Frozen { by: audit.subject.to_string(), at: now, reason };
        self.change(audit, move |c, audit| {
            Box::pin(async move {
                sql::lock_models(c, &tenant).await?;
                audit.says(format!("version {version}: {}", frozen.reason));
                if versions::get(c, &tenant, &name, version).await?.frozen.is_none() {
                    sql::versions::freeze(c, &tenant, (&name, version), Some(&frozen)).await?;
                    let shown = format!("{} by {}: {}", day(now), frozen.by, frozen.reason);
                    sql::versions::set_tag(c, &tenant, (&name, version), &Pair::new(FROZEN_TAG, shown)).await?;
                }
                versions::get(c, &tenant, &name, version).await
            })
        })
        .await
    }

    /// Ends a freeze.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`]; [`RegistryError::State`] when the version is not frozen.
    pub async fn unfreeze_version(
        &self,
        auth: &Authorized<UnfreezeVersion>,
        (name, version): (&str, i64),
    ) -> Result<ModelVersion> {
        let (tenant, audit, name) = (auth.tenant().clone(), auth.audit(), name.to_owned());
        self.change(audit, move |c, audit| {
            Box::pin(async move {
                sql::lock_models(c, &tenant).await?;
                audit.says(format!("version {version}"));
                if versions::get(c, &tenant, &name, version).await?.frozen.is_none() {
                    let text = format!("Model Version (name={name}, version={version}) is not frozen");
                    return Err(RegistryError::State(text));
                }
                sql::versions::freeze(c, &tenant, (&name, version), None).await?;
                sql::versions::delete_tag(c, &tenant, &name, version, FROZEN_TAG).await?;
                versions::get(c, &tenant, &name, version).await
            })
        })
        .await
    }

    /// Why nothing new may take what a URI names, as this process knows it: on a database that others share, up to half a second
    /// old. Does not wait, so that whoever declares something can ask.
    ///
    /// Versions are asked for by their number, by an alias that points at them, by their stage or as the latest. A logged model and
    /// a run's files are no version, and are never frozen.
    pub fn frozen(&self, tenant: &Tenant, uri: &ModelUri) -> Option<String> {
        let known = Arc::clone(&self.inner.frozen.read());
        let version = &known.all.get(tenant)?.iter().find(|marked| marked.is(uri))?.version;
        Some(refusal(version, version.frozen.as_ref()?))
    }

    /// Learns which versions are frozen as of a number of [`Registry::changes`] or later, unless that is known. Says whether it
    /// had to.
    pub(crate) async fn learn_frozen(&self, seen: u64) -> Result<bool> {
        if self.inner.frozen.read().seen >= seen {
            return Ok(false);
        }
        let all = self.inner.db.read(|c| Box::pin(async move { marked(c).await })).await?;
        let mut known = self.inner.frozen.write();
        // Another look may have begun later and ended sooner.
        if known.seen <= seen {
            *known = Arc::new(Known { seen, all });
        }
        Ok(true)
    }
}

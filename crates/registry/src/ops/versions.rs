//! Model versions.

use super::{freeze, models, source};
use crate::actions::{CreateVersion, DeleteVersion, ReadModel, TransitionStage, UpdateVersion};
use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::sql::{self, versions};
use crate::told::{Changed, Told, tell};
use crate::types::{ModelVersion, Page, Pair};
use crate::{search, validate};
use mainspring_core::{Authorized, Tenant};
use mainspring_store::Conn;

/// A version to be created.
#[derive(Debug, Clone, Default)]
pub struct NewVersion {
    /// The registered model; it must exist.
    pub name: String,
    /// Where the model is: `models:/m-…`, `models:/other/3`, `runs:/…`, `mlflow-artifacts:/…` or
    /// the address of an object store.
    pub source: String,
    /// The run it comes from; `None` when the client did not say.
    pub run_id: Option<String>,
    /// The logged model it comes from; `None` when the client did not say.
    pub model_id: Option<String>,
    /// A link to the run in another server.
    pub run_link: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Tags.
    pub tags: Vec<Pair>,
}

fn no_version(name: &str, version: i64) -> RegistryError {
    RegistryError::NotFound(format!("Model Version (name={name}, version={version}) not found"))
}

/// The version, unless it is deleted.
pub(crate) async fn get(c: &mut Conn, tenant: &Tenant, name: &str, version: i64) -> Result<ModelVersion> {
    validate::model_name(name)?;
    versions::get(c, tenant, name, version).await?.ok_or_else(|| no_version(name, version))
}

impl Registry {
    /// Creates the next version of a registered model.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for the model; [`RegistryError::Invalid`] when the source is a
    /// path outside the store or does not belong to the run or logged model that is named.
    pub async fn create_version(&self, auth: &Authorized<CreateVersion>, new: NewVersion) -> Result<ModelVersion> {
        validate::model_name(&new.name)?;
        new.tags.iter().try_for_each(validate::model_tag)?;
        new.tags.iter().try_for_each(|tag| freeze::tag_is_free(&tag.key))?;
        let (tenant, audit, now) = (auth.tenant().clone(), auth.audit(), self.now());
        // The number is not known before the transaction.
        let told = self.told(&tenant, Changed::Version { name: new.name.clone(), version: 0 });
        self.change(audit, move |c, audit| {
            Box::pin(async move {
                sql::lock_models(c, &tenant).await?;
                models::get(c, &tenant, &new.name).await?;
                let from = source::check(c, &tenant, &new).await?;
                let version = ModelVersion {
                    version: versions::next_number(c, &tenant, &new.name).await?,
                    name: new.name,
                    created: now,
                    updated: now,
                    description: new.description,
                    stage: "None".into(),
                    source: from.source,
                    storage: from.storage,
                    run_id: from.run_id,
                    model_id: from.model_id,
                    run_link: new.run_link,
                    tags: new.tags,
                    aliases: Vec::new(),
                    frozen: None,
                };
                audit.says(format!("version {}", version.version));
                versions::insert(c, &tenant, &version).await?;
                sql::models::touch(c, &tenant, &version.name, now).await?;
                if let Some(id) = &version.model_id {
                    source::note_registration(c, &tenant, id, &version).await?;
                }
                let what = Changed::Version { name: version.name.clone(), version: version.version };
                tell(c, told.map(|(id, told)| (id, Told { what, ..told }))).await?;
                get(c, &tenant, &version.name, version.version).await
            })
        })
        .await
    }

    /// Tenant, model and number of the versions that were registered after a moment, and when, the oldest first, of all tenants and
    /// in milliseconds; for the server itself, which makes ready what others will ask for.
    ///
    /// # Errors
    /// [`RegistryError::Store`].
    pub async fn registered_since(&self, after: i64) -> Result<Vec<(Tenant, String, i64, i64)>> {
        Ok(self.inner.db.read(move |c| Box::pin(async move { sql::versions::registered(c, after).await })).await?)
    }

    /// A version with its tags and aliases.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn version(&self, auth: &Authorized<ReadModel>, name: &str, version: i64) -> Result<ModelVersion> {
        let (tenant, name) = (auth.tenant().clone(), name.to_owned());
        self.inner.db.read(move |c| Box::pin(async move { get(c, &tenant, &name, version).await })).await
    }

    /// Changes a version's description.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn describe_version(
        &self,
        auth: &Authorized<UpdateVersion>,
        name: &str,
        version: i64,
        description: Option<String>,
    ) -> Result<ModelVersion> {
        let (tenant, mut audit, name, now) = (auth.tenant().clone(), auth.audit(), name.to_owned(), self.now());
        audit.says(format!("version {version}: description"));
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    sql::lock_models(c, &tenant).await?;
                    let mut v = get(c, &tenant, &name, version).await?;
                    v.description = description;
                    v.updated = now;
                    versions::update(c, &tenant, &v).await?;
                    c.audit(&audit).await?;
                    Ok(v)
                })
            })
            .await
    }

    /// Moves a version to a stage, and with `archive` the others of that stage to `Archived`.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`]; [`RegistryError::Invalid`] for an unknown stage, or for
    /// `archive` with a stage other than `Staging` and `Production`; [`RegistryError::Frozen`] for a frozen version that is to
    /// come into production.
    pub async fn transition_stage(
        &self,
        auth: &Authorized<TransitionStage>,
        (name, version): (&str, i64),
        stage: &str,
        archive: bool,
    ) -> Result<ModelVersion> {
        let canonical = validate::stage(stage)?;
        if archive && !matches!(canonical, "Staging" | "Production") {
            return Err(RegistryError::Invalid(format!(
                "Model version transition cannot archive existing model versions because '{stage}' is not an Active \
                 stage. Valid stages are ['Staging', 'Production']"
            )));
        }
        let (tenant, audit, name, now) = (auth.tenant().clone(), auth.audit(), name.to_owned(), self.now());
        self.change(audit, move |c, audit| {
            Box::pin(async move {
                sql::lock_models(c, &tenant).await?;
                let mut v = get(c, &tenant, &name, version).await?;
                if canonical == "Production" && v.stage != canonical {
                    freeze::free(&v)?;
                }
                audit.says(format!("version {version}: {} to {canonical}", v.stage));
                canonical.clone_into(&mut v.stage);
                v.updated = now;
                if archive {
                    versions::archive_others(c, &tenant, &v).await?;
                }
                versions::update(c, &tenant, &v).await?;
                sql::models::touch(c, &tenant, &name, now).await?;
                Ok(v)
            })
        })
        .await
    }

    /// Deletes a version and the aliases that point at it. Its number is not given again.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn delete_version(&self, auth: &Authorized<DeleteVersion>, name: &str, version: i64) -> Result<()> {
        let (tenant, audit, name, now) = (auth.tenant().clone(), auth.audit(), name.to_owned(), self.now());
        self.change(audit, move |c, audit| {
            Box::pin(async move {
                sql::lock_models(c, &tenant).await?;
                get(c, &tenant, &name, version).await?;
                audit.says(format!("version {version}"));
                versions::delete(c, &tenant, &name, version, now).await?;
                sql::models::touch(c, &tenant, &name, now).await?;
                Ok(())
            })
        })
        .await
    }

    /// Sets a tag of a version.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn set_version_tag(
        &self,
        auth: &Authorized<UpdateVersion>,
        name: &str,
        version: i64,
        tag: Pair,
    ) -> Result<()> {
        validate::model_tag(&tag)?;
        freeze::tag_is_free(&tag.key)?;
        let (tenant, audit, name) = (auth.tenant().clone(), auth.audit(), name.to_owned());
        // Which version stands for which is told by tags.
        self.change(audit, move |c, audit| {
            Box::pin(async move {
                get(c, &tenant, &name, version).await?;
                audit.says(format!("version {version}: tag {}", tag.key));
                versions::set_tag(c, &tenant, (&name, version), &tag).await?;
                Ok(())
            })
        })
        .await
    }

    /// Removes a tag of a version, if it has it.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for the version.
    pub async fn delete_version_tag(
        &self,
        auth: &Authorized<UpdateVersion>,
        name: &str,
        version: i64,
        key: &str,
    ) -> Result<()> {
        validate::key(key, "key")?;
        freeze::tag_is_free(key)?;
        let (tenant, audit) = (auth.tenant().clone(), auth.audit());
        let (name, key) = (name.to_owned(), key.to_owned());
        self.change(audit, move |c, audit| {
            Box::pin(async move {
                get(c, &tenant, &name, version).await?;
                audit.says(format!("version {version}: no tag {key}"));
                versions::delete_tag(c, &tenant, &name, version, &key).await?;
                Ok(())
            })
        })
        .await
    }

    /// Searches versions, last changed first unless an order is given.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for a filter, an order, a page size or a token that is wrong.
    pub async fn search_versions(
        &self,
        auth: &Authorized<ReadModel>,
        asked: &super::ModelSearch,
    ) -> Result<Page<ModelVersion>> {
        let (q, offset, limit) = asked.query(&search::VERSIONS, 200_000)?;
        let tenant = auth.tenant().clone();
        let found =
            self.inner.db.read(move |c| Box::pin(async move { versions::search(c, &tenant, &q).await })).await?;
        Ok(crate::page::cut(found, offset, limit))
    }
}

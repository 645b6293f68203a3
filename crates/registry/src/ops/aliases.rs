//! Aliases of model versions.

use super::{freeze, models, versions};
use crate::actions::{DeleteAlias, ReadModel, ReturnAlias, SetAlias};
use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::sql::{lock_models, models as sql};
use crate::types::ModelVersion;
use crate::validate;
use mainspring_core::{AuditRecord, Authorized, Tenant};
use mainspring_store::Conn;

/// The version that an alias, or the word `latest`, points at.
pub(crate) async fn get(c: &mut Conn, tenant: &Tenant, name: &str, alias: &str) -> Result<ModelVersion> {
    validate::alias(alias)?;
    if alias.eq_ignore_ascii_case("latest") {
        let model = models::get(c, tenant, name).await?;
        let newest = model.latest.into_iter().max_by_key(|v| v.version);
        return newest.ok_or_else(|| RegistryError::NotFound(format!("Latest version not found for model {name}.")));
    }
    match sql::alias(c, tenant, name, alias).await? {
        Some(version) => versions::get(c, tenant, name, version).await,
        None => {
            models::get(c, tenant, name).await?;
            // MLflow's store answers 400 here, and clients tell it apart from a missing model.
            Err(RegistryError::Invalid(format!("Registered model alias {alias} not found.")))
        }
    }
}

impl Registry {
    /// Points an alias at a version; it may exist and point elsewhere.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for the version, [`RegistryError::Invalid`] for a reserved word,
    /// [`RegistryError::Frozen`] for a frozen version that the alias does not point at already.
    pub async fn set_alias(&self, auth: &Authorized<SetAlias>, name: &str, alias: &str, version: i64) -> Result<()> {
        self.point_alias((auth.tenant().clone(), auth.audit()), (name, alias, version), false).await
    }

    /// Points an alias back at the version that a promotion took it from. That one may be frozen meanwhile: it is nothing new, and
    /// a rollback has nowhere else to go (ADR 0039).
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for the version, [`RegistryError::Invalid`] for a reserved word.
    pub async fn return_alias(
        &self,
        auth: &Authorized<ReturnAlias>,
        name: &str,
        alias: &str,
        version: i64,
    ) -> Result<()> {
        self.point_alias((auth.tenant().clone(), auth.audit()), (name, alias, version), true).await
    }

    async fn point_alias(
        &self,
        (tenant, audit): (Tenant, AuditRecord),
        (name, alias, version): (&str, &str, i64),
        back: bool,
    ) -> Result<()> {
        validate::model_name(name)?;
        validate::alias(alias)?;
        validate::alias_not_reserved(alias)?;
        let (name, alias) = (name.to_owned(), alias.to_owned());
        self.change(audit, move |c, audit| {
            Box::pin(async move {
                lock_models(c, &tenant).await?;
                let to = versions::get(c, &tenant, &name, version).await?;
                let was = match sql::alias(c, &tenant, &name, &alias).await? {
                    Some(was) if was != version => format!(", was {was}"),
                    _ => String::new(),
                };
                audit.says(format!("{alias} is version {version}{was}"));
                if !back && !to.aliases.contains(&alias) {
                    freeze::free(&to)?;
                }
                sql::set_alias(c, &tenant, &name, &alias, version).await?;
                Ok(())
            })
        })
        .await
    }

    /// Removes an alias, if the model has it.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for the model.
    pub async fn delete_alias(&self, auth: &Authorized<DeleteAlias>, name: &str, alias: &str) -> Result<()> {
        validate::alias(alias)?;
        let (tenant, audit) = (auth.tenant().clone(), auth.audit());
        let (name, alias) = (name.to_owned(), alias.to_owned());
        self.change(audit, move |c, audit| {
            Box::pin(async move {
                models::get(c, &tenant, &name).await?;
                let was = sql::alias(c, &tenant, &name, &alias).await?;
                audit.says(
                    was.map_or_else(|| format!("{alias}, which it lacked"), |was| format!("{alias} was version {was}")),
                );
                sql::delete_alias(c, &tenant, &name, &alias).await?;
                Ok(())
            })
        })
        .await
    }

    /// The version that an alias points at; `latest` is the newest version of all.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for the model, [`RegistryError::Invalid`] for the alias.
    pub async fn version_by_alias(
        &self,
        auth: &Authorized<ReadModel>,
        name: &str,
        alias: &str,
    ) -> Result<ModelVersion> {
        let (tenant, name, alias) = (auth.tenant().clone(), name.to_owned(), alias.to_owned());
        self.inner.db.read(move |c| Box::pin(async move { get(c, &tenant, &name, &alias).await })).await
    }
}

//! From a model URI to the files to load.

use super::{logged_models, runs, source};
use crate::actions::ReadModel;
use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::uri::{self, ModelUri};
use mainspring_artifact::ArtifactPath;
use mainspring_core::{Authorized, ErrorKind, Failure, Tenant};
use mainspring_store::Conn;

/// What a model URI means now. An alias or a stage may mean something else later: watch
/// [`Registry::changes`].
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The registered model; the logged model's name or the run's path when it is not registered.
    pub name: String,
    /// The version number; the id of the logged model or the run when it is not registered.
    pub version: String,
    /// The alias it was asked for by.
    pub alias: Option<String>,
    /// The run it comes from.
    pub run_id: Option<String>,
    /// The logged model it comes from.
    pub model_id: Option<String>,
    /// The folder of its files.
    pub artifacts: ArtifactPath,
    /// The text of its `MLmodel`, when it has one.
    pub mlmodel_yaml: Option<String>,
}

/// What the database knows, before the files are looked at.
struct Found {
    name: String,
    version: String,
    run_id: Option<String>,
    model_id: Option<String>,
    storage: String,
}

async fn find(c: &mut Conn, tenant: &Tenant, uri: &ModelUri) -> Result<Found> {
    Ok(match uri {
        ModelUri::Logged { id } => {
            let m = logged_models::get(c, tenant, id).await?;
            Found {
                name: m.name,
                version: m.id.clone(),
                run_id: m.source_run_id,
                model_id: Some(m.id),
                storage: m.artifact_uri,
            }
        }
        ModelUri::Run { id, path } => {
            let run = runs::info(c, tenant, id).await?;
            Found {
                name: path.rsplit('/').next().unwrap_or(path).to_owned(),
                version: run.id.clone(),
                storage: format!("{}/{path}", run.artifact_uri),
                run_id: Some(run.id),
                model_id: None,
            }
        }
        named => {
            let v = source::version_of(c, tenant, named).await?;
            Found {
                name: v.name,
                version: v.version.to_string(),
                run_id: v.run_id,
                model_id: v.model_id,
                storage: v.storage,
            }
        }
    })
}

impl Registry {
    /// Finds the files that a model URI names.
    ///
    /// # Errors
    /// As [`Registry::resolve`].
    pub async fn resolve_as(&self, auth: &Authorized<ReadModel>, uri: &ModelUri) -> Result<Resolved> {
        self.resolve(auth.tenant(), uri).await
    }

    /// Finds the files that a model URI names, for the server itself: it loads what a declared
    /// deployment names, and declaring it was authorised. A user's look goes through
    /// [`Registry::resolve_as`].
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for the model, version, alias or run;
    /// [`RegistryError::Elsewhere`] when its files are in another store.
    pub async fn resolve(&self, tenant: &Tenant, uri: &ModelUri) -> Result<Resolved> {
        let (owner, asked) = (tenant.clone(), uri.clone());
        let found =
            self.inner.db.read(move |c| Box::pin(async move { find(c, &owner, &asked).await })).await.map_err(|e| {
                match e {
                    // Where a model is looked for, an unknown alias is a thing that is not there.
                    RegistryError::Invalid(text) if text.starts_with("Registered model alias") => {
                        RegistryError::NotFound(text)
                    }
                    other => other,
                }
            })?;
        let artifacts = uri::locate(tenant, &found.storage, "")?;
        let mlmodel = uri::locate(tenant, &found.storage, "MLmodel")?;
        let mlmodel_yaml = match self.inner.artifacts.get(&mlmodel).await {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(e.into()),
        };
        let alias = match uri {
            ModelUri::Alias { alias, .. } => Some(alias.clone()),
            _ => None,
        };
        Ok(Resolved {
            name: found.name,
            version: found.version,
            alias,
            run_id: found.run_id,
            model_id: found.model_id,
            artifacts,
            mlmodel_yaml,
        })
    }
}

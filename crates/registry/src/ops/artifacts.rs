//! Reading and writing the files of runs, logged models and versions.

use super::{logged_models, runs, versions};
use crate::actions::{DeleteArtifact, ReadArtifact, WriteArtifact};
use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::uri;
use bytes::Bytes;
use futures::Stream;
use mainspring_artifact::{ArtifactPath, Opened};
use mainspring_core::{Authorized, ErrorKind, Failure, Tenant};
use std::io;

/// Below what a path is meant.
#[derive(Debug, Clone)]
pub enum ArtifactRoot {
    /// A run's artifacts.
    Run(String),
    /// A logged model's files.
    LoggedModel(String),
    /// A model version's files.
    Version(String, i64),
    /// The tenant's whole store: what `mlflow-artifacts:/` addresses.
    Store,
}

/// A file on its way out.
#[derive(Debug)]
pub struct Download {
    /// Its name without folders.
    pub name: String,
    /// Its size, its tag, and its content whole or in part; memory use does not depend on the size.
    pub file: Opened,
}

/// A file or folder of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its path below the root.
    pub path: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Bytes of a file.
    pub size: u64,
}

/// The files of a folder and the URI of its root.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Where the root is.
    pub root_uri: String,
    /// Files and folders; paths are below the root.
    pub entries: Vec<Listed>,
}

impl Registry {
    async fn location(&self, tenant: &Tenant, root: &ArtifactRoot) -> Result<String> {
        let (tenant, root) = (tenant.clone(), root.clone());
        self.inner
            .db
            .read(move |c| {
                Box::pin(async move {
                    Ok::<_, RegistryError>(match root {
                        ArtifactRoot::Run(id) => runs::info(c, &tenant, &id).await?.artifact_uri,
                        ArtifactRoot::LoggedModel(id) => logged_models::get(c, &tenant, &id).await?.artifact_uri,
                        ArtifactRoot::Version(name, version) => {
                            versions::get(c, &tenant, &name, version).await?.storage
                        }
                        ArtifactRoot::Store => uri::PROXY.to_owned() + "/",
                    })
                })
            })
            .await
    }

    async fn place(&self, tenant: &Tenant, root: &ArtifactRoot, path: &str) -> Result<(String, ArtifactPath)> {
        uri::safe(path)?;
        let location = match root {
            ArtifactRoot::Store => format!("{}/", uri::PROXY),
            other => self.location(tenant, other).await?,
        };
        let place = uri::locate(tenant, &location, path)?;
        Ok((location, place))
    }

    /// The files and folders directly below `path`; none when nothing is there.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for the run, model or version; [`RegistryError::Invalid`] for a
    /// path that leaves it; [`RegistryError::Elsewhere`] when it is in another store.
    pub async fn list_artifacts(
        &self,
        auth: &Authorized<ReadArtifact>,
        root: &ArtifactRoot,
        path: &str,
    ) -> Result<Listing> {
        let (root_uri, place) = self.place(auth.tenant(), root, path).await?;
        let folder = path.trim_matches('/');
        let found = match self.inner.artifacts.list(&place).await {
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let below = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let entries = found
            .into_iter()
            .map(|e| {
                let name = e.path.as_str().rsplit('/').next().unwrap_or_default();
                Listed { path: below(name), is_dir: e.is_dir, size: e.size }
            })
            .collect();
        Ok(Listing { root_uri, entries })
    }

    /// Opens a file.
    ///
    /// # Errors
    /// As [`Registry::list_artifacts`]; [`RegistryError::Artifact`] when there is no such file.
    pub async fn open_artifact(
        &self,
        auth: &Authorized<ReadArtifact>,
        root: &ArtifactRoot,
        path: &str,
    ) -> Result<Download> {
        let (_, place) = self.place(auth.tenant(), root, path).await?;
        let file = self.inner.artifacts.open_file(&place).await?;
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Download { name, file })
    }

    /// Writes a file as it arrives and returns its size. A file that breaks off is not kept.
    ///
    /// # Errors
    /// As [`Registry::list_artifacts`]; [`RegistryError::Artifact`] when the disk is full or the
    /// stream fails.
    pub async fn write_artifact(
        &self,
        auth: &Authorized<WriteArtifact>,
        root: &ArtifactRoot,
        path: &str,
        content: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<u64> {
        if path.trim_matches('/').is_empty() {
            return Err(RegistryError::invalid("Invalid path"));
        }
        let (_, place) = self.place(auth.tenant(), root, path).await?;
        Ok(self.inner.artifacts.put_stream(&place, content).await?)
    }

    /// Deletes a file or a folder with all below it.
    ///
    /// # Errors
    /// As [`Registry::list_artifacts`].
    pub async fn delete_artifacts(&self, auth: &Authorized<DeleteArtifact>, path: &str) -> Result<u64> {
        if path.trim_matches('/').is_empty() {
            return Err(RegistryError::invalid("Invalid path"));
        }
        let (_, place) = self.place(auth.tenant(), &ArtifactRoot::Store, path).await?;
        let audit = auth.audit();
        self.inner.db.write(move |c| Box::pin(async move { c.audit(&audit).await })).await?;
        Ok(self.inner.artifacts.delete_prefix(&place).await?)
    }
}

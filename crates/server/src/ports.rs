//! Where domains meet: each small port that one domain owns, answered with another domain.

use crate::conversions::newest_made_from;
use crate::deployments::{acting_for, frozen};
use crate::trace;
use futures::future::BoxFuture;
use mainspring_artifact::{ArtifactError, ArtifactPath, Artifacts};
use mainspring_core::{ErrorKind, Failure, Gate, Name, Prediction, Principal, Tenant};
use mainspring_http::{AuthFailure, Authenticator, Credential};
use mainspring_journal::Journal;
use mainspring_registry::actions::ReadModel;
use mainspring_registry::{ModelUri, Registry};
use mainspring_security::{AuthError, Security};
use mainspring_serving::{Kept, ModelSource, NotKept, PredictionSink, Resolved, SourceError};
use opentelemetry_sdk::trace::SdkTracer;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// serving asks where a model is; the registry knows, and the artifact store brings it to disk.
#[derive(Debug)]
pub struct Models {
    /// Knows what a URI means now.
    pub registry: Registry,
    /// Holds the files.
    pub artifacts: Artifacts,
    /// Asked in the server's own name.
    pub gate: Gate,
}

fn source_error(e: &dyn Failure, uri: &str) -> SourceError {
    SourceError { kind: e.kind(), message: format!("cannot resolve {uri}: {e}"), hint: e.hint() }
}

/// A model on local disk: its folder, or the `.onnx` file that the path names. Its folder comes with such a file, since
/// what the file keeps outside itself lies beside it.
async fn local(artifacts: &Artifacts, at: &ArtifactPath) -> Result<PathBuf, ArtifactError> {
    let nothing = match artifacts.local_dir(at).await {
        Err(e @ ArtifactError::NotFound { .. }) => e,
        found => return found,
    };
    let is_graph = Path::new(at.name()).extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
    let Some(folder) = at.parent().filter(|_| is_graph) else { return Err(nothing) };
    artifacts.head(at).await?;
    Ok(artifacts.local_dir(&folder).await?.join(at.name()))
}

impl ModelSource for Models {
    fn resolve<'a>(&'a self, tenant: &'a Tenant, uri: &'a str) -> BoxFuture<'a, Result<Resolved, SourceError>> {
        Box::pin(async move {
            let parsed: ModelUri =
                uri.parse().map_err(|e: mainspring_registry::RegistryError| source_error(&e, uri))?;
            let found = self.registry.resolve(tenant, &parsed).await.map_err(|e| source_error(&e, uri))?;
            let root = local(&self.artifacts, &found.artifacts).await.map_err(|e| source_error(&e, uri))?;
            if !root.exists() {
                return Err(SourceError {
                    kind: ErrorKind::NotFound,
                    message: format!("{uri} has no artifacts at {}", found.artifacts),
                    hint: Some("log the model's files before deploying it".into()),
                });
            }
            Ok(Resolved { model: found.name, version: found.version, root, mlmodel: found.mlmodel_yaml })
        })
    }

    fn faster<'a>(
        &'a self,
        tenant: &'a Tenant,
        of: &'a Resolved,
    ) -> BoxFuture<'a, Result<Option<Resolved>, SourceError>> {
        Box::pin(async move {
            let named = format!("models:/{}/{}", of.model, of.version);
            // A run's model or a bare file has no versions.
            let Ok(ModelUri::Version { name, version }) = named.parse() else { return Ok(None) };
            let auth = self.gate.authorize(&acting_for(tenant), ReadModel::on(&name));
            let auth = auth.map_err(|e| source_error(&e, &named))?;
            let made = newest_made_from(&self.registry, &auth, &name, &version.to_string()).await;
            match made.map_err(|e| source_error(&e, &named))? {
                Some(made) => self.resolve(tenant, &format!("models:/{name}/{made}")).await.map(Some),
                None => Ok(None),
            }
        })
    }

    fn refused(&self, tenant: &Tenant, uri: &str, found: &Resolved) -> Option<String> {
        // An alias or a number means what somebody chose, before it was frozen.
        let shifts = match uri.parse().ok()? {
            ModelUri::Latest { .. } | ModelUri::Stage { .. } => true,
            ModelUri::Alias { alias, .. } => alias.eq_ignore_ascii_case("latest"),
            ModelUri::Version { .. } | ModelUri::Logged { .. } | ModelUri::Run { .. } => false,
        };
        let means = format!("models:/{}/{}", found.model, found.version);
        frozen(&self.registry, tenant, &means).filter(|_| shifts)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.registry.changes()
    }
}

/// serving hands predictions on; the journal keeps them, and a trace shows where their time went.
#[derive(Debug)]
pub struct Recorder {
    /// Keeps them.
    pub journal: Journal,
    /// Where spans go; `None` when no traces are exported.
    pub tracer: Option<SdkTracer>,
}

impl PredictionSink for Recorder {
    fn append(&self, prediction: Prediction) -> Option<Kept> {
        if let Some(tracer) = &self.tracer {
            trace::prediction(tracer, &prediction);
        }
        if !self.journal.is_durable() {
            self.journal.append(prediction);
            return None;
        }
        let durable = self.journal.append_durable(prediction);
        Some(Box::pin(async move {
            durable.await.map_err(|e| NotKept { kind: e.kind(), message: e.to_string(), hint: e.hint() })
        }))
    }

    fn answered_last(&self, tenant: &Tenant, deployment: &Name, variant: &str) -> Option<(String, String)> {
        self.journal.tiles().answered_last(tenant, deployment.as_str(), variant)
    }
}

/// The guard asks who somebody is; security knows.
#[derive(Debug)]
pub struct Doorman {
    /// Knows keys and sessions.
    pub security: Security,
    /// Who a request without credentials is; `None` when everybody needs a key.
    pub loopback: Option<Arc<Principal>>,
    /// Further host names by which a loopback server may be called.
    pub hosts: Vec<String>,
}

impl Authenticator for Doorman {
    fn authenticate(&self, credential: Credential<'_>, from: IpAddr) -> Result<Arc<Principal>, AuthFailure> {
        let who = match credential {
            Credential::Key(key) => self.security.authenticate_key(key, from),
            Credential::Session { token, csrf, safe } => {
                self.security.authenticate_session(token, (!safe).then_some(csrf))
            }
        };
        who.map_err(|e| match e {
            AuthError::UnknownKey => AuthFailure::UnknownKey,
            AuthError::ExpiredKey => AuthFailure::ExpiredKey,
            AuthError::SessionEnded => AuthFailure::SessionEnded,
            AuthError::Csrf => AuthFailure::Csrf,
            AuthError::Throttled(wait) => AuthFailure::Throttled(wait),
        })
    }

    fn loopback(&self) -> Option<Arc<Principal>> {
        self.loopback.clone()
    }

    fn hosts(&self) -> &[String] {
        &self.hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring_testkit::artifacts::TempArtifacts;

    fn path(text: &str) -> ArtifactPath {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_bare_file_is_a_model_with_what_lies_beside_it() {
        let a = TempArtifacts::local();
        a.put("run/artifacts/model.onnx", "graph").await;
        a.put("run/artifacts/other.onnx", "another graph").await;
        a.put("run/artifacts/weights/data", "weights").await;
        let file = local(&a.store, &path("run/artifacts/model.onnx")).await.unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "graph");
        assert_eq!(std::fs::read_to_string(file.with_file_name("weights").join("data")).unwrap(), "weights");
        let folder = local(&a.store, &path("run/artifacts")).await.unwrap();
        assert_eq!(folder, file.parent().unwrap(), "a folder stays one");
        for nothing in ["run/artifacts/none.onnx", "run/artifacts/weights/data", "none/model.onnx"] {
            let refused = local(&a.store, &path(nothing)).await;
            assert_eq!(refused, Err(ArtifactError::NotFound { path: nothing.into() }));
        }
        a.put("run/artifacts/folder.onnx/MLmodel", "flavors: {}").await;
        let folder = local(&a.store, &path("run/artifacts/folder.onnx")).await.unwrap();
        assert!(folder.join("MLmodel").is_file(), "a folder by such a name is a folder");
    }
}

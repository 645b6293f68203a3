//! Where domains meet: each small port that one domain owns, answered with another domain.

use crate::trace;
use futures::future::BoxFuture;
use mainspring_artifact::Artifacts;
use mainspring_core::{ErrorKind, Failure, Prediction, Principal, Tenant};
use mainspring_http::{AuthFailure, Authenticator, Credential};
use mainspring_journal::Journal;
use mainspring_registry::{ModelUri, Registry};
use mainspring_security::{AuthError, Security};
use mainspring_serving::{ModelSource, PredictionSink, Resolved, SourceError};
use opentelemetry_sdk::trace::SdkTracer;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// serving asks where a model is; the registry knows, and the artifact store brings it to disk.
#[derive(Debug)]
pub struct Models {
    /// Knows what a URI means now.
    pub registry: Registry,
    /// Holds the files.
    pub artifacts: Artifacts,
}

fn source_error(e: &dyn Failure, uri: &str) -> SourceError {
    SourceError { kind: e.kind(), message: format!("cannot resolve {uri}: {e}"), hint: e.hint() }
}

impl ModelSource for Models {
    fn resolve<'a>(&'a self, tenant: &'a Tenant, uri: &'a str) -> BoxFuture<'a, Result<Resolved, SourceError>> {
        Box::pin(async move {
            let parsed: ModelUri =
                uri.parse().map_err(|e: mainspring_registry::RegistryError| source_error(&e, uri))?;
            let found = self.registry.resolve(tenant, &parsed).await.map_err(|e| source_error(&e, uri))?;
            let root = self.artifacts.local_dir(&found.artifacts).await.map_err(|e| source_error(&e, uri))?;
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
    fn append(&self, prediction: Prediction) {
        if let Some(tracer) = &self.tracer {
            trace::prediction(tracer, &prediction);
        }
        self.journal.append(prediction);
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

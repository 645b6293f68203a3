mod bodies;
mod clients;
mod guarding;
mod lanes;
mod serving;

use crate::{AuthFailure, Authenticator, Credential, ServeSettings, TlsSettings, serve};
use axum::Router;
use mainspring_core::{Principal, Role, Tasks, Tenant};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long a test waits for what has to happen. Only a test that fails waits as long.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server on a free port, stopped by dropping its tasks' token.
struct Running {
    address: SocketAddr,
    tasks: Tasks,
    done: tokio::task::JoinHandle<()>,
}

impl Running {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn stop(self) {
        assert!(self.tasks.shutdown(PATIENCE).await);
        self.done.await.unwrap();
    }
}

async fn start(app: Router, settings: ServeSettings) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = Tasks::new();
    let done = tasks.spawn_graceful({
        let tasks = tasks.clone();
        async move { serve(listener, app, settings, &tasks).await }
    });
    Running { address, tasks, done }
}

fn patient() -> ServeSettings {
    ServeSettings { grace: PATIENCE, ..ServeSettings::default() }
}

fn self_signed(dir: &std::path::Path) -> TlsSettings {
    TlsSettings::self_signed(vec!["localhost".into(), "127.0.0.1".into()], dir).unwrap()
}

/// Knows the key `right`, the session `s1` with CSRF token `c1`, and optionally loopback.
struct Known {
    loopback: bool,
    hosts: Vec<String>,
}

fn reader(subject: &str) -> Arc<Principal> {
    Arc::new(Principal {
        subject: subject.into(),
        tenant: Tenant::default(),
        role: Role::Read,
        ..Principal::loopback()
    })
}

impl Authenticator for Known {
    fn authenticate(&self, credential: Credential<'_>, _from: IpAddr) -> Result<Arc<Principal>, AuthFailure> {
        match credential {
            Credential::Key("right") => Ok(reader("key:right")),
            Credential::Key(_) => Err(AuthFailure::UnknownKey),
            Credential::Session { token: "s1", csrf, safe } if safe || csrf == Some("c1") => Ok(reader("session:s1")),
            Credential::Session { token: "s1", .. } => Err(AuthFailure::Csrf),
            Credential::Session { .. } => Err(AuthFailure::SessionEnded),
        }
    }

    fn loopback(&self) -> Option<Arc<Principal>> {
        self.loopback.then(|| Arc::new(Principal::loopback()))
    }

    fn hosts(&self) -> &[String] {
        &self.hosts
    }
}

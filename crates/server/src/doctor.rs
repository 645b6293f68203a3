//! What is missing on this machine, in plain words, with the command that mends it.

use crate::config::{Resolved, Settings};
use crate::{console, keys, wiring};
use mainspring_core::{Ctx, Failure};
use mainspring_http::TlsSettings;
use mainspring_security::{Security, SecuritySettings};
use mainspring_store::Pending;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing to do.
    Good,
    /// The server works, but something does not.
    Warn,
    /// The server cannot work like this.
    Bad,
}

/// One thing looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at.
    pub what: &'static str,
    /// How it ended.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, when there is something to do.
    pub mend: Option<String>,
}

fn good(what: &'static str, found: impl Into<String>) -> Check {
    Check { what, state: State::Good, found: found.into(), mend: None }
}

fn not(what: &'static str, state: State, found: impl Into<String>, mend: impl Into<String>) -> Check {
    Check { what, state, found: found.into(), mend: Some(mend.into()) }
}

/// Looks at everything `mainspring up` with these settings would need; `given` says where they are from.
pub async fn examine(settings: &Settings, given: Option<&Resolved>) -> Vec<Check> {
    let mut checks = vec![
        onnx_runtime(settings),
        python(settings),
        data(&settings.data),
        disk(&settings.data),
        port(settings),
        console_check(),
    ];
    checks.push(database(settings).await);
    checks.push(artifacts(settings).await);
    checks.extend(certificate(settings));
    let lacks = if settings.open_on_loopback() { None } else { lacks_key(settings).await };
    checks.push(exposure(settings, lacks, given));
    checks
}

fn onnx_runtime(settings: &Settings) -> Check {
    match wiring::find_onnx_runtime(settings) {
        Ok(found) => good("ONNX Runtime", found),
        Err(e) => not(
            "ONNX Runtime",
            State::Warn,
            e,
            "python3 -m venv .venv && .venv/bin/pip install onnxruntime   (1.24 or newer), or name the library with --onnxruntime",
        ),
    }
}

fn python(settings: &Settings) -> Check {
    const WHAT: &str = "Python";
    const MEND: &str = "python3 -m venv .venv && .venv/bin/pip install mlflow   (and what the models use), or name a Python with --python";
    if !settings.python_models {
        return good(WHAT, "models that run in Python are refused here (--python-models)".to_owned());
    }
    match wiring::find_python(settings) {
        Ok(found) => match &found.mlflow {
            Some(mlflow) => good(WHAT, format!("{found} with mlflow {mlflow}")),
            None => not(
                WHAT,
                State::Warn,
                format!("{found} without mlflow: models with engine.python.env: shared cannot run"),
                MEND,
            ),
        },
        Err(e) => not(WHAT, State::Warn, e, MEND),
    }
}

fn data(path: &Path) -> Check {
    const WHAT: &str = "data folder";
    if !path.exists() {
        let parent = path.ancestors().skip(1).find(|p| p.as_os_str().is_empty() || p.exists());
        let parent = parent.filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return match tempfile_in(parent) {
            Ok(()) => good(WHAT, format!("{} will be made", path.display())),
            Err(e) => not(
                WHAT,
                State::Bad,
                format!("cannot make {}: {e}", path.display()),
                "name a folder you may write with --data",
            ),
        };
    }
    match tempfile_in(path) {
        Ok(()) => good(WHAT, path.display().to_string()),
        Err(e) => not(
            WHAT,
            State::Bad,
            format!("cannot write {}: {e}", path.display()),
            format!("chown -R $USER {}", path.display()),
        ),
    }
}

fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".mainspring-probe-{}", std::process::id()));
    std::fs::write(&probe, b"probe")?;
    std::fs::remove_file(&probe)
}

fn disk(path: &Path) -> Check {
    const WHAT: &str = "free disk";
    const LOW: u64 = 2 << 30;
    let Some(folder) = path.ancestors().find(|p| p.exists()).or(Some(Path::new("."))) else {
        return good(WHAT, "unknown");
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match free_bytes(folder) {
        Some(free) if free < LOW => not(
            WHAT,
            State::Warn,
            format!("{:.1} GiB left", gib(free)),
            "free some, or shorten journal.keep and journal.keep-bytes",
        ),
        Some(free) => good(WHAT, format!("{:.1} GiB left", gib(free))),
        None => not(WHAT, State::Warn, "cannot tell how much is left", "look with: df -h"),
    }
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// Free bytes by `df`, the one way to ask that needs no unsafe code.
fn free_bytes(folder: &Path) -> Option<u64> {
    let out = std::process::Command::new("df").args(["-Pk"]).arg(folder).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    let kib: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib * 1024)
}

fn port(settings: &Settings) -> Check {
    let address = SocketAddr::new(settings.host, settings.port);
    match std::net::TcpListener::bind(address) {
        Ok(_) => good("port", format!("{address} is free")),
        Err(e) => not(
            "port",
            State::Warn,
            format!("cannot listen on {address}: {e}"),
            "stop what listens there, or take another with --port",
        ),
    }
}

fn console_check() -> Check {
    if console::embedded() {
        good("console", "in this binary")
    } else {
        not("console", State::Warn, "this binary was built without it", "make build")
    }
}

async fn database(settings: &Settings) -> Check {
    const WHAT: &str = "metadata";
    let place = if settings.database.is_some() { "Postgres answers" } else { "SQLite in the data folder" };
    match wiring::pending_migrations(settings).await {
        Ok(Pending { steps: 0, .. }) => good(WHAT, place),
        Ok(Pending { steps, .. }) => {
            good(WHAT, format!("{place}; the next start makes or upgrades its tables ({steps} steps)"))
        }
        Err(e) => not(
            WHAT,
            State::Bad,
            e.to_string(),
            e.hint().unwrap_or_else(|| "check --database, and that it runs".into()),
        ),
    }
}

async fn artifacts(settings: &Settings) -> Check {
    const WHAT: &str = "artifacts";
    let Some(url) = &settings.artifacts else { return good(WHAT, "a folder in the data folder") };
    match wiring::probe_artifacts(settings).await {
        Ok(()) => good(WHAT, format!("{url} can be written and read")),
        Err(e) => not(WHAT, State::Bad, e, "check --artifacts and the AWS_… environment"),
    }
}

/// The files of `tls.cert` and `tls.key`, where they are set.
fn certificate(settings: &Settings) -> Option<Check> {
    const WHAT: &str = "TLS";
    let (cert, key) = settings.tls.as_ref()?;
    Some(match TlsSettings::from_files(cert, key) {
        Ok(_) => good(WHAT, format!("{} and its key can be read", cert.display())),
        Err(e) => not(
            WHAT,
            State::Bad,
            e.to_string(),
            "name PEM files that this user can read with --tls-cert and --tls-key, or try it with --tls-self-signed",
        ),
    })
}

/// Whether the database has no key that works; `None` where that cannot be told without an upgrade of it.
async fn lacks_key(settings: &Settings) -> Option<bool> {
    match wiring::pending_migrations(settings).await {
        Ok(Pending { new: true, .. }) => return Some(true),
        Ok(Pending { steps: 0, .. }) => {}
        _ => return None,
    }
    let ctx = Ctx::system();
    let db = wiring::open_database(settings, &ctx).await.ok()?;
    let security = Security::open(db.clone(), &ctx, SecuritySettings::default()).await.ok();
    let lacks = security.map(|security| !security.has_keys());
    ctx.tasks.shutdown(Duration::from_secs(5)).await;
    db.close().await;
    lacks
}

fn exposure(settings: &Settings, lacks_key: Option<bool>, given: Option<&Resolved>) -> Check {
    const WHAT: &str = "access";
    if settings.open_on_loopback() {
        return good(WHAT, "loopback only, no key needed");
    }
    if lacks_key == Some(true) {
        let address = SocketAddr::new(settings.host, settings.port);
        let found = format!("requests to {address} would need an API key, and none exists yet");
        return not(WHAT, State::Bad, found, keys::first_key(given));
    }
    if settings.host.is_loopback() {
        return good(WHAT, "loopback only; a key is needed");
    }
    if settings.tls.is_none() && !settings.tls_self_signed {
        return not(
            WHAT,
            State::Warn,
            format!("{} is reachable from outside without TLS", settings.host),
            "set tls.cert and tls.key, or put a TLS proxy in front",
        );
    }
    good(WHAT, format!("{} with TLS; a key is needed", settings.host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;
    use mainspring_core::Role;

    async fn found(settings: &Settings, given: &Resolved, what: &str) -> Check {
        let checks = examine(settings, Some(given)).await;
        checks.into_iter().find(|c| c.what == what).unwrap()
    }

    #[tokio::test]
    async fn what_up_refuses_is_bad_and_has_its_command() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let flags = [("data", data.to_str().unwrap()), ("host", "0.0.0.0"), ("port", "0"), ("tls-self-signed", "true")];
        let flags = flags.map(|(k, v)| (k.replace("tls-", "tls."), v.to_owned())).into();
        let given = Layers { flags, ..Layers::default() }.resolve().unwrap();
        let settings = Settings::from_resolved(&given).unwrap();
        let access = found(&settings, &given, "access").await;
        assert_eq!(access.state, State::Bad, "{access:?}");
        assert!(access.mend.unwrap().ends_with(&format!("--offline --data {}", data.display())));
        assert!(!data.exists(), "looking makes nothing");

        let key = keys::NewKey {
            label: "first".into(),
            role: Role::Admin,
            tenant: "default".into(),
            groups: Vec::new(),
            expires: None,
        };
        crate::create_key(settings.clone(), key).await.unwrap();
        assert_eq!(found(&settings, &given, "access").await.state, State::Good);

        let files = Some((folder.path().join("cert.pem"), folder.path().join("key.pem")));
        let unread = Settings { tls: files.clone(), tls_self_signed: false, ..settings };
        let tls = found(&unread, &given, "TLS").await;
        assert_eq!(tls.state, State::Bad);
        assert!(tls.found.contains("cert.pem") && tls.mend.unwrap().contains("--tls-cert"), "{}", tls.found);
        TlsSettings::self_signed(vec!["localhost".into()], folder.path()).unwrap();
        assert_eq!(found(&unread, &given, "TLS").await.state, State::Good);
    }
}

//! What is missing on this machine, in plain words, with the command that mends it.

use crate::config::Settings;
use crate::{console, wiring};
use mainspring_core::Failure;
use mainspring_store::Pending;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::Path;

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

/// Looks at everything `mainspring up` with these settings would need.
pub async fn examine(settings: &Settings) -> Vec<Check> {
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
    checks.push(exposure(settings));
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

fn exposure(settings: &Settings) -> Check {
    const WHAT: &str = "access";
    if settings.open_on_loopback() {
        return good(WHAT, "loopback only, no key needed");
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

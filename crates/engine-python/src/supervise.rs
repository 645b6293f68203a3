//! A command that is watched: each of its lines is heard, and it is stopped when nobody waits any more.

use crate::worker::{INHERITED, signal};
use mainspring_engine::{EngineError, Watch};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longer than any installation or export that makes progress.
const LIMIT: Duration = Duration::from_secs(1800);
const TICK: Duration = Duration::from_millis(100);
/// Lines kept for the error.
const LINES: usize = 8;
/// What an installer sees of the server's environment, beside all that begins with one of [`FOR_IT`].
const FOR_INSTALLERS: [&str; 10] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
];
const FOR_IT: [&str; 6] = ["PIP_", "UV_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/// Arguments of an interpreter that installs what follows them.
pub(crate) const PIP_INSTALL: [&str; 8] =
    ["-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"];

/// A command and who hears it.
pub(crate) struct Supervised<'a> {
    pub command: Command,
    pub watch: &'a Watch,
    /// Called with each line that is not empty.
    pub line: &'a dyn Fn(&str),
}

/// How a command ended.
pub(crate) struct Outcome {
    pub success: bool,
    /// In words, to follow its name.
    pub how: String,
    /// Its last lines.
    pub last: Vec<String>,
}

/// Lets a command see what an installer needs: indexes, proxies, certificates.
pub(crate) fn installer_sees(command: &mut Command) {
    command.env_clear();
    for (name, value) in std::env::vars_os() {
        let known = name.to_str().is_some_and(|n| {
            FOR_INSTALLERS.contains(&n) || FOR_IT.iter().any(|p| n.to_ascii_uppercase().starts_with(p))
        });
        if known {
            command.env(name, value);
        }
    }
}

/// Lets a command see what a worker sees, for it runs the model's code.
pub(crate) fn worker_sees(command: &mut Command, scratch: &Path) {
    command.env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("TMPDIR", scratch).env("MLFLOW_DISABLE_TELEMETRY", "true");
}

impl Supervised<'_> {
    /// Runs it to its end.
    ///
    /// # Errors
    /// [`EngineError::Load`] when it cannot be started or takes longer than any should;
    /// [`EngineError::GivenUp`].
    pub fn run(mut self) -> Result<Outcome, EngineError> {
        let program = self.command.get_program().to_string_lossy().into_owned();
        let broken = |e: std::io::Error| failed(format!("cannot run {program}: {e}"));
        let (out, writer) = std::io::pipe().map_err(broken)?;
        self.command.stdin(Stdio::null()).process_group(0);
        self.command.stdout(writer.try_clone().map_err(broken)?).stderr(writer);
        let mut child = self.command.spawn().map_err(broken)?;
        // Its end of the pipe is open in the child alone from here on.
        drop(self.command);
        let (sent, lines) = channel();
        let read = move || {
            for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
                if sent.send(String::from_utf8_lossy(&line).trim().to_owned()).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("installer-log".into()).spawn(read).map_err(broken)?;
        let mut last = VecDeque::new();
        let until = Instant::now() + LIMIT;
        let ended = loop {
            match lines.recv_timeout(TICK) {
                Ok(line) if line.is_empty() => {}
                Ok(line) => {
                    (self.line)(&line);
                    if last.len() == LINES {
                        last.pop_front();
                    }
                    last.push_back(line);
                }
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
                Err(RecvTimeoutError::Timeout) if self.watch.gone() => break Err(EngineError::GivenUp),
                Err(RecvTimeoutError::Timeout) if Instant::now() >= until => {
                    break Err(failed(format!("{program} had not ended after {LIMIT:?}")));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        if ended.is_err() {
            signal("KILL", &format!("-{}", child.id()));
        }
        let status = child.wait().map_err(broken)?;
        ended?;
        Ok(Outcome { success: status.success(), how: format!("ended with {status}"), last: last.into() })
    }
}

fn failed(reason: String) -> EngineError {
    EngineError::Load { path: String::new(), reason }
}

//! Building one environment, with uv where it is installed and with venv and pip where not.

use mainspring_engine::{EngineError, Watch};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longer than any installation that makes progress.
const LIMIT: Duration = Duration::from_secs(1800);
const TICK: Duration = Duration::from_millis(100);
/// Characters of a line that are shown as progress.
const SHOWN: usize = 120;
/// Lines kept for the error.
const LINES: usize = 8;
/// What an installer sees of the server's environment, beside all that begins with one of [`FOR_IT`].
const INHERITED: [&str; 10] = [
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

/// One environment to build.
pub(super) struct Build<'a> {
    /// The model's folder, which requirements may name files of.
    pub root: &'a Path,
    pub requirements: &'a str,
    /// The interpreter; with uv it may be a version.
    pub python: &'a Path,
    pub uv: Option<&'a Path>,
    /// Where to.
    pub part: &'a Path,
}

impl Build<'_> {
    /// Builds it.
    ///
    /// # Errors
    /// [`EngineError::Load`] with the requirement at fault and the installer's last lines;
    /// [`EngineError::GivenUp`].
    pub fn run(&self, watch: &Watch) -> Result<(), EngineError> {
        if self.part.exists() {
            std::fs::remove_dir_all(self.part).map_err(|e| failed(format!("{}: {e}", self.part.display())))?;
        }
        let (make, fill) = match self.uv {
            Some(uv) => (self.with_uv(uv), self.filled_by_uv(uv)),
            None => (self.with_venv(), self.filled_by_pip()),
        };
        watch.say("building the model's Python environment");
        self.step(make, watch)?;
        self.step(fill, watch)
    }

    fn with_venv(&self) -> Command {
        let mut command = Command::new(self.python);
        command.args(["-I", "-m", "venv"]).arg(self.part);
        command
    }

    fn filled_by_pip(&self) -> Command {
        let mut command = Command::new(self.part.join("bin/python"));
        command.args([
            "-I",
            "-m",
            "pip",
            "install",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
        ]);
        command.args(["-r", "requirements.txt"]);
        command
    }

    fn with_uv(&self, uv: &Path) -> Command {
        let mut command = Command::new(uv);
        command.args(["venv", "--relocatable", "--python"]).arg(self.python).arg(self.part);
        command
    }

    fn filled_by_uv(&self, uv: &Path) -> Command {
        let mut command = Command::new(uv);
        command.args(["pip", "install", "--compile-bytecode", "--python"]).arg(self.part.join("bin/python"));
        command.args(["-r", "requirements.txt"]);
        command
    }

    /// Runs one command, each of its lines as progress.
    fn step(&self, mut command: Command, watch: &Watch) -> Result<(), EngineError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let broken = |e: std::io::Error| failed(format!("cannot run {program}: {e}"));
        let (out, writer) = std::io::pipe().map_err(broken)?;
        command.current_dir(self.root).stdin(Stdio::null());
        command.stdout(writer.try_clone().map_err(broken)?).stderr(writer);
        command.env_clear().process_group(0);
        for (name, value) in std::env::vars_os() {
            let known = name.to_str().is_some_and(|n| {
                INHERITED.contains(&n) || FOR_IT.iter().any(|p| n.to_ascii_uppercase().starts_with(p))
            });
            if known {
                command.env(name, value);
            }
        }
        let mut child = command.spawn().map_err(broken)?;
        drop(command);
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
                    tracing::info!(target: "mainspring_model", "{line}");
                    // Some lines list every package there is.
                    let short: String = line.chars().take(SHOWN).collect();
                    watch.say(&format!("building the model's Python environment: {short}"));
                    if last.len() == LINES {
                        last.pop_front();
                    }
                    last.push_back(line);
                }
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
                Err(RecvTimeoutError::Timeout) if watch.gone() => break Err(EngineError::GivenUp),
                Err(RecvTimeoutError::Timeout) if Instant::now() >= until => {
                    break Err(failed(format!("its environment was not built after {LIMIT:?}")));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        if ended.is_err() {
            crate::worker::signal("KILL", &format!("-{}", child.id()));
        }
        let status = child.wait().map_err(broken)?;
        ended?;
        if status.success() { Ok(()) } else { Err(failed(reason(last.make_contiguous(), self.requirements))) }
    }
}

fn failed(reason: String) -> EngineError {
    EngineError::Load { path: String::new(), reason }
}

/// Why an installation failed: the requirement that the installer names, and its last lines.
pub(super) fn reason(lines: &[String], requirements: &str) -> String {
    let names = requirements.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with(['#', '-']));
    let mut at_fault: Vec<&str> = names
        .filter(|wanted| {
            let name = wanted.split(['=', '<', '>', '!', '~', '[', ';', ' ', '@']).next().unwrap_or(wanted);
            // A word of its own in a line that tells of an error.
            lines.iter().any(|l| {
                let tells = ["error", "no matching", "could not", "was not found", "no solution", "because", "failed"];
                let lower = l.to_lowercase();
                tells.iter().any(|t| lower.contains(t))
                    && l.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))).any(|w| w == name)
            })
        })
        .collect();
    at_fault.dedup();
    let whose = match at_fault.as_slice() {
        [] => "its requirements cannot be installed".to_owned(),
        some => format!("its requirement {} cannot be installed", some.join(", ")),
    };
    format!("{whose}; the installer's last lines: {}", lines.join(" | "))
}

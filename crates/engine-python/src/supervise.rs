//! A command that is watched: each of its lines is heard, and it is stopped when nobody waits any more.

use crate::worker::signal;
use mainspring_engine::{EngineError, Watch};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Longer than any installation or export that makes progress.
const LIMIT: Duration = Duration::from_secs(1800);
const TICK: Duration = Duration::from_millis(100);
/// Between a command's last word and its end.
const SETTLE: Duration = Duration::from_millis(10);
/// Lines kept for the error.
const LINES: usize = 8;
/// A longer line is cut into several.
const WIDTH: u64 = 4096;
/// Lines that wait to be heard; a command that writes faster waits as well.
const WAITING: usize = 256;
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

/// What a worker sees of the server's environment; nothing else of it, for there are secrets in it.
const INHERITED: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"];

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
    command.env("TMPDIR", scratch);
    // The libraries of a model report to their makers unless they are told not to.
    command.env("MLFLOW_DISABLE_TELEMETRY", "true").env("ORT_DISABLE_TELEMETRY", "1");
    command.env("HF_HUB_DISABLE_TELEMETRY", "1").env("DO_NOT_TRACK", "1");
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
        let (sent, lines) = sync_channel(WAITING);
        let read = move || {
            let mut out = BufReader::new(out);
            let mut line = Vec::new();
            while let Ok(1..) = out.by_ref().take(WIDTH).read_until(b'\n', &mut line) {
                if sent.send(String::from_utf8_lossy(&line).trim().to_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        };
        std::thread::Builder::new().name("installer-log".into()).spawn(read).map_err(broken)?;
        let mut last = VecDeque::new();
        let until = Instant::now() + LIMIT;
        let ended = loop {
            if self.watch.gone() {
                break Err(EngineError::GivenUp);
            }
            if Instant::now() >= until {
                break Err(failed(format!("{program} had not ended after {LIMIT:?}")));
            }
            match lines.recv_timeout(TICK) {
                Ok(line) if line.is_empty() => {}
                Ok(line) => {
                    (self.line)(&line);
                    if last.len() == LINES {
                        last.pop_front();
                    }
                    last.push_back(line);
                }
                Err(RecvTimeoutError::Timeout) => {}
                // It says no more; that it has ended is another matter.
                Err(RecvTimeoutError::Disconnected) => match child.try_wait() {
                    Ok(None) => std::thread::sleep(SETTLE),
                    Ok(Some(_)) | Err(_) => break Ok(()),
                },
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Runs a script of the shell until it has written `enough` lines, and gives up on it then.
    fn shell(script: &str, enough: usize) -> (Result<Outcome, EngineError>, Vec<String>) {
        let gone = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&gone);
        let watch = Watch::new(|_| {}, move || heard.load(Ordering::Relaxed));
        let (count, lines) = (Cell::new(0), RefCell::new(Vec::new()));
        let line = |line: &str| {
            count.set(count.get() + 1);
            lines.borrow_mut().push(line.to_owned());
            gone.store(count.get() >= enough, Ordering::Relaxed);
        };
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let outcome = Supervised { command, watch: &watch, line: &line }.run();
        (outcome, lines.into_inner())
    }

    #[test]
    fn a_command_that_never_stops_talking_is_stopped() {
        let (outcome, lines) = shell("while :; do echo on and on; done", 1000);
        assert!(matches!(outcome, Err(EngineError::GivenUp)));
        assert_eq!(lines.len(), 1000);
    }

    #[test]
    fn a_command_that_says_no_more_is_waited_for_and_can_be_stopped() {
        let (outcome, _) = shell("echo one; exec >&- 2>&-; sleep 0.1; exit 3", usize::MAX);
        let outcome = outcome.unwrap();
        assert!(!outcome.success && outcome.how.contains('3') && outcome.last == ["one"], "{}", outcome.how);
        let (outcome, _) = shell("echo one; exec >&- 2>&-; sleep 600", 1);
        assert!(matches!(outcome, Err(EngineError::GivenUp)));
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let (outcome, lines) = shell("head -c 100000 /dev/zero | tr '\\0' x; echo; echo last", usize::MAX);
        assert!(outcome.unwrap().success);
        assert!(lines.iter().all(|l| l.len() as u64 <= WIDTH));
        assert_eq!((lines.iter().map(String::len).sum::<usize>(), &**lines.last().unwrap()), (100_004, "last"));
    }
}

//! Child processes that never outlive the test process, however it ends.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A process that is stopped when this is dropped, or when the test process dies: a small shell
/// watches a pipe that closes with it.
#[derive(Debug)]
pub struct Guarded {
    watcher: Child,
    pipe: Option<ChildStdin>,
}

/// Runs the program in the background; when standard input closes, stops it with the signal STOP
/// and removes what REMOVE names.
const WATCH: &str = r#""$@" </dev/null &
pid=$!
cat >/dev/null
kill -s "$STOP" $pid 2>/dev/null
wait $pid 2>/dev/null
[ -z "$REMOVE" ] || rm -rf -- "$REMOVE""#;

impl Guarded {
    /// Starts `command` (a program and its arguments), with its output in the file `log`; stops it
    /// with the signal `stop`, and removes the file or folder `remove` after it has ended.
    pub fn start(command: &[String], log: &Path, stop: &str, remove: Option<&Path>) -> Self {
        let output = std::fs::File::create(log).expect("a log file in a temporary folder");
        let mut watcher = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .args(command)
            .env("STOP", stop)
            .env("REMOVE", remove.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a log file"))
            .stderr(output)
            .spawn()
            .expect("sh runs");
        let pipe = watcher.stdin.take();
        Self { watcher, pipe }
    }

    /// Whether the watcher is there still.
    pub fn is_running(&mut self) -> bool {
        self.watcher.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Stops the process and waits until it is gone.
    pub fn stop(&mut self) {
        self.pipe = None;
        // It ends because its pipe is closed; there is nothing to do about an error.
        let _ = self.watcher.wait();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port of 127.0.0.1 that is free now, and that nobody gets who does not ask for this very one: it is below
/// those that the system hands out, and each test process begins to look at another place.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(31);
    let candidate = |_| 10_000 + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
    let mut ports = (0..20_000).map(candidate).filter_map(|port| u16::try_from(port).ok());
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a port on loopback")
}

/// Runs the ignored test `name` of this test binary in a process of its own, with `MAINSPRING_CHILD`
/// set to `argument`, reads its lines that start with `ack ` until there are `count`, then kills it
/// with SIGKILL. Returns what followed `ack ` on every line that it managed to print.
pub fn kill_after_acks(name: &str, argument: &Path, count: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("the path of this test binary"))
        .args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"])
        .env("MAINSPRING_CHILD", argument)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test binary starts again");
    let output = child.stdout.take().expect("a pipe from the child");
    let mut acks = Vec::new();
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { break };
        if let Some(ack) = line.trim_start().strip_prefix("ack ") {
            acks.push(ack.to_owned());
            if acks.len() == count {
                // SIGKILL on Unix. The lines still in the pipe are read before the loop ends.
                child.kill().expect("the child can be killed");
            }
        }
    }
    let status = child.wait().expect("the child can be waited for");
    assert!(acks.len() >= count, "the child ended by itself after {} of {count} acks: {status}", acks.len());
    acks
}

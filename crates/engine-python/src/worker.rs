//! One worker process: started, called, ended.

use crate::frame::{self, Failure, Garbled, Incoming, Known, More, Order, Outgoing, PREFIX, Ready, Streamed};
use crate::grow::{Growth, Held};
use crate::size::Machine;
use crate::supervise::worker_sees;
use crate::tail::Tail;
use crate::tools::WORKER;
use bytes::{Bytes, BytesMut};
use mainspring_core::EventId;
use mainspring_engine::{Part, Worker as Limits};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BOOT: &str = include_str!("boot.py");
/// How often a wait looks at its limit, and at whether the worker still lives.
const TICK: Duration = Duration::from_millis(100);
/// Most answers are shorter than this.
const PIECE: usize = 16 << 10;
/// Memory for an answer of up to this many bytes is taken before they are there.
const TRUSTED: usize = 256 << 20;
/// How long the log of a worker that has ended is waited for.
const LOG: Duration = Duration::from_secs(2);
/// How long a worker that is to be stopped gets to write where it was.
const TRACE: Duration = Duration::from_secs(2);

/// How to start the workers of a model.
#[derive(Debug)]
pub(crate) struct Start {
    /// The model's interpreter.
    pub python: PathBuf,
    /// The model's folder, or its Python file.
    pub model: PathBuf,
    /// The deployment, for log lines and the list of processes.
    pub name: Arc<str>,
    /// Where each worker gets a folder for what it writes.
    pub scratch: PathBuf,
    pub limits: Limits,
    /// Threads inside one call; 0 leaves it to the model.
    pub threads: usize,
}

/// Why a worker did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot be started at all.
    Spawn(String),
    /// It ended, in words.
    Ended(String),
    /// It took longer than it may.
    TooSlow,
    /// What it sent makes no sense.
    Garbled(Garbled),
    /// Nobody waits for it any more.
    GivenUp,
}

impl From<Garbled> for Fault {
    fn from(garbled: Garbled) -> Self {
        Self::Garbled(garbled)
    }
}

/// A running worker. Dropped, it and all it started are gone.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    stream: UnixStream,
    tail: Arc<Tail>,
    ended: Option<ExitStatus>,
    /// Calls that were sent; the worker counts them too.
    calls: u64,
    /// Once it is ready.
    growth: Option<Growth>,
    _scratch: TempDir,
}

impl Worker {
    /// Starts the process; it has not opened the model yet. `ended` is called when it closes its log.
    pub fn spawn(start: &Start, ended: impl FnOnce() + Send + 'static) -> Result<Self, Fault> {
        let failed = |e: std::io::Error| Fault::Spawn(format!("cannot start {}: {e}", start.python.display()));
        let scratch = tempfile::Builder::new().prefix("worker-").tempdir_in(&start.scratch).map_err(failed)?;
        let (stream, theirs) = UnixStream::pair().map_err(failed)?;
        let (log, writer) = std::io::pipe().map_err(failed)?;
        let mut command = Command::new(&start.python);
        command.args(["-I", "-B", "-u", "-c", BOOT, "mainspring-worker", &*start.name]);
        command.current_dir(scratch.path());
        worker_sees(&mut command, scratch.path());
        // The programs of the environment before those of the machine.
        if let Some(bin) = start.python.parent() {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let folders = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
            command.env("PATH", std::env::join_paths(folders).unwrap_or(path));
        }
        if start.threads > 0 {
            command.env("OMP_NUM_THREADS", start.threads.to_string());
        }
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        command.stdout(writer.try_clone().map_err(failed)?).stderr(writer);
        let child = command.spawn().map_err(failed)?;
        // Its ends of the socket and the pipe are open in it alone from here on.
        drop(command);
        let tail = Tail::follow(log, Arc::clone(&start.name), child.id(), ended);
        let (tail, why) = match tail {
            Ok(tail) => (tail, None),
            Err(e) => (Arc::default(), Some(e)),
        };
        let worker = Self { child, stream, tail, ended: None, calls: 0, growth: None, _scratch: scratch };
        match why.or_else(|| worker.ticking().err()) {
            Some(e) => Err(failed(e)),
            None => Ok(worker),
        }
    }

    fn ticking(&self) -> std::io::Result<()> {
        self.stream.set_read_timeout(Some(TICK)).and_then(|()| self.stream.set_write_timeout(Some(TICK)))
    }

    /// Lets it open the model. `known` is what a worker before it found out; `gone` says whether
    /// nobody waits any more.
    pub fn open(
        &mut self,
        start: &Start,
        known: Option<&Ready>,
        gone: &dyn Fn() -> bool,
    ) -> Result<Result<Ready, Failure>, Fault> {
        let begun = Instant::now();
        let until = begun + start.limits.start_timeout;
        let root = start.model.to_string_lossy();
        let known = known.map(|k| Known { form: k.form, outputs: &k.outputs });
        let order = Order { root: &root, memory: start.limits.memory, known };
        let order = frame::plain(&order).map_err(|e| Fault::Spawn(e.to_string()))?;
        let wait = Wait { until, gone };
        self.write(&(WORKER.len() as u32).to_le_bytes(), &wait)?;
        self.write(WORKER.as_bytes(), &wait)?;
        self.write(&order.head, &wait)?;
        let ready = frame::ready(&self.receive(&wait)?)?;
        let (now, limit) = (Instant::now(), start.limits.memory);
        self.growth = Some(Growth::of(self.held(limit), limit, now - begun, now));
        Ok(ready)
    }

    /// What it holds, where that is so much that another one shall take its place.
    pub fn too_much(&mut self, limit: Option<u64>) -> Option<Held> {
        let mut growth = self.growth.take()?;
        let held = growth.too_much(Instant::now(), || self.held(limit), || Machine::now().free);
        self.growth = Some(growth);
        held
    }

    /// What its limit counts, where it has one, else what is resident. Bytes.
    fn held(&self, limit: Option<u64>) -> u64 {
        if limit.is_some() { of_status(self.pid(), "VmData:") } else { resident(self.pid()) }
    }

    /// Sends a call and waits for its answer.
    pub fn call(&mut self, call: &Outgoing, ids: &[EventId], limit: Duration) -> Result<Incoming, Fault> {
        self.calls += 1;
        self.tail.begin(self.calls, ids);
        let wait = Wait { until: Instant::now() + limit, gone: &|| false };
        let answer = self.send(call, &wait).and_then(|()| self.receive(&wait));
        self.tail.end();
        answer
    }

    /// Sends a call and hands out the parts of its answer until `take` wants none or there is none.
    pub fn stream(
        &mut self,
        call: &Outgoing,
        ids: &[EventId],
        limit: Duration,
        take: &mut dyn FnMut(Part) -> bool,
    ) -> Result<Result<(), Failure>, Fault> {
        self.calls += 1;
        self.tail.begin(self.calls, ids);
        let end = self.parts(call, limit, take);
        self.tail.end();
        end
    }

    fn parts(
        &mut self,
        call: &Outgoing,
        limit: Duration,
        take: &mut dyn FnMut(Part) -> bool,
    ) -> Result<Result<(), Failure>, Fault> {
        let waits = || Wait { until: Instant::now() + limit, gone: &|| false };
        self.send(call, &waits())?;
        loop {
            let frame = self.receive(&waits())?;
            let part = match frame::streamed(&frame)? {
                Ok(Streamed::Part(part)) => part,
                Ok(Streamed::End) => return Ok(Ok(())),
                Err(failure) => return Ok(Err(failure)),
            };
            let more = frame::plain(&More { more: take(part) }).map_err(|e| Fault::Spawn(e.to_string()))?;
            self.send(&more, &waits())?;
        }
    }

    /// All in few system calls: one for each column wakes the worker as often.
    fn send(&mut self, frame: &Outgoing, wait: &Wait<'_>) -> Result<(), Fault> {
        let parts = frame.parts.iter().map(|part| IoSlice::new(part));
        let mut slices: Vec<IoSlice<'_>> = std::iter::once(IoSlice::new(&frame.head)).chain(parts).collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            match self.stream.write_vectored(left) {
                Ok(0) => return Err(self.gone()),
                Ok(count) => IoSlice::advance_slices(&mut left, count),
                Err(e) => self.idle(&e, wait)?,
            }
        }
        Ok(())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process is there.
    pub fn lives(&mut self) -> bool {
        self.status().is_none()
    }

    /// The last lines that it wrote; of one that has ended or is about to, all of its last lines.
    pub fn last_lines(&self, ending: bool) -> Vec<String> {
        self.tail.last(if ending { LOG } else { Duration::ZERO })
    }

    fn status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
            if self.ended.is_some() {
                // What it started outlives it in its group. Ids are given out in turn, so nobody else has this one yet.
                signal("KILL", &format!("-{}", self.pid()));
            }
        }
        self.ended
    }

    fn write(&mut self, mut bytes: &[u8], wait: &Wait<'_>) -> Result<(), Fault> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(self.gone()),
                Ok(count) => bytes = &bytes[count..],
                Err(e) => self.idle(&e, wait)?,
            }
        }
        Ok(())
    }

    fn receive(&mut self, wait: &Wait<'_>) -> Result<Incoming, Fault> {
        // Most answers come in one piece.
        let mut first = BytesMut::zeroed(PIECE);
        let mut have = 0;
        while have < PREFIX {
            have += self.read(&mut first[have..], wait)?;
        }
        let prefix = first.first_chunk::<PREFIX>().copied().unwrap_or_default();
        let (header, body) = frame::lengths(&prefix)?;
        let whole = PREFIX + header + body;
        if have > whole {
            return Err(Garbled("it goes on after its end".into()).into());
        }
        let few = whole <= PIECE;
        first.resize(whole.min(TRUSTED), 0);
        while have < whole {
            if have == first.len() {
                // A claim that large has to be filled to be believed.
                first.resize(whole.min(2 * have), 0);
            }
            have += self.read(&mut first[have..], wait)?;
        }
        // A few values do not keep the whole buffer.
        let bytes = if few { Bytes::copy_from_slice(&first) } else { first.freeze() };
        Ok(Incoming { header: bytes.slice(PREFIX..PREFIX + header), body: bytes.slice(PREFIX + header..) })
    }

    /// Reads what is there, at least a byte.
    fn read(&mut self, into: &mut [u8], wait: &Wait<'_>) -> Result<usize, Fault> {
        loop {
            match self.stream.read(into) {
                Ok(0) => return Err(self.gone()),
                Ok(count) => return Ok(count),
                Err(e) => self.idle(&e, wait)?,
            }
        }
    }

    /// Nothing moved for a tick, or something broke.
    fn idle(&mut self, e: &std::io::Error, wait: &Wait<'_>) -> Result<(), Fault> {
        match e.kind() {
            ErrorKind::Interrupted => Ok(()),
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                // A process that it started may still hold its end of the socket.
                if self.status().is_some() {
                    return Err(self.gone());
                }
                if (wait.gone)() {
                    return Err(Fault::GivenUp);
                }
                if Instant::now() >= wait.until {
                    self.trace();
                    return Err(Fault::TooSlow);
                }
                Ok(())
            }
            _ => Err(self.gone()),
        }
    }

    /// Lets it write into its log where it is, which ends it.
    fn trace(&mut self) {
        signal("ABRT", &self.pid().to_string());
        let until = Instant::now() + TRACE;
        while self.status().is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How it ended, in words.
    fn gone(&mut self) -> Fault {
        let until = Instant::now() + LOG;
        while self.status().is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        Fault::Ended(match self.ended {
            None => "it closed its socket".into(),
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("it exited with code {code}"),
                (None, Some(9)) => "it was killed (signal 9), as the system does when memory runs out".into(),
                (None, signal) => format!("it was ended by signal {}", signal.unwrap_or_default()),
            },
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Its group first: the id of the group is its own, and free for others once it is waited for.
        if self.ended.is_none() {
            signal("KILL", &format!("-{}", self.pid()));
            // The process itself, in case it has no group of its own yet.
            let _gone_already = self.child.kill();
        }
        if let Err(error) = self.child.wait() {
            tracing::warn!(%error, pid = self.pid(), "cannot wait for a worker");
        }
    }
}

struct Wait<'a> {
    until: Instant,
    gone: &'a dyn Fn() -> bool,
}

/// Sends a signal to a process, or to a group when `to` begins with a dash. Through the shell: the
/// standard library can only kill, and only the process itself.
pub(crate) fn signal(name: &str, to: &str) {
    let sent = Command::new("/bin/sh")
        .args(["-c", "kill -s $0 -- $1", name, to])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if let Err(error) = sent {
        tracing::warn!(%error, "cannot run /bin/sh to send a signal");
    }
}

/// Resident memory of a process, bytes; 0 where the system does not say.
pub(crate) fn resident(pid: u32) -> u64 {
    of_status(pid, "VmRSS:")
}

/// A line of the system's words on a process, bytes; 0 where it is not there.
pub(crate) fn of_status(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(name));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

//! The workers of a model, and the thread that starts one in place of each that ended.

use crate::frame::{Failure, Incoming, Outgoing, Ready};
use crate::grow::Held;
use crate::size::{self, Machine};
use crate::worker::{Fault, Start, Worker, resident};
use mainspring_core::EventId;
use mainspring_engine::{EngineError, Part, Watch};
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// After this many deaths without a single answer in between, calls are refused for a while.
const DEATHS: u32 = 5;
/// Before the second start in a row; doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// How long calls are refused at first; doubles as well.
const FIRST_REFUSAL: Duration = Duration::from_secs(30);
const LONGEST_REFUSAL: Duration = Duration::from_secs(300);
/// Between the end of a worker's log and the end of its process.
const SETTLE: Duration = Duration::from_millis(50);

/// A model's workers. Dropped, all of them are gone.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    start: Start,
    /// How many there are to be.
    wanted: AtomicUsize,
    state: Mutex<State>,
    moved: Condvar,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Worker>,
    /// Processes that have opened the model.
    pids: Vec<u32>,
    /// Idle, busy and starting ones.
    alive: usize,
    /// Deaths since the last answer.
    deaths: u32,
    /// Starts in a row that failed; answers of the other workers say nothing about them.
    failed_starts: u32,
    /// When the next one may be started.
    not_before: Option<Instant>,
    /// Until when calls are refused; stays until a worker runs again.
    refused: Option<Instant>,
    /// Workers that ran and ended, and those that took the place of one.
    ended: u64,
    restarts: u64,
    /// The one that holds too much, by its process, and goes on until another has taken its place.
    tired: Option<Tired>,
    /// Some worker's log ended: look after them.
    look: bool,
}

#[derive(Debug, Clone, Copy)]
struct Tired {
    pid: u32,
    /// Whether the other one is there.
    replaced: bool,
}

impl Pool {
    /// Starts the first worker and waits until it has opened the model; the others follow. How many is decided by the
    /// first one when `wanted` is 0.
    ///
    /// # Errors
    /// What [`mainspring_engine::Engine::load`] promises.
    pub fn open(start: Start, wanted: usize, watch: &Watch) -> Result<(Self, Ready), EngineError> {
        let path = if start.model.is_dir() { start.model.join("MLmodel") } else { start.model.clone() };
        let path = path.display().to_string();
        let failed = |reason: String| EngineError::Load { path: path.clone(), reason };
        let shared = Arc::new(Shared {
            start,
            wanted: AtomicUsize::new(wanted),
            state: Mutex::default(),
            moved: Condvar::new(),
            closed: AtomicBool::new(false),
        });
        let (opened, first) = channel();
        let mine = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("worker-keeper".into()).spawn(move || mine.keep(&opened));
        let pool = Self { shared, thread: Some(thread.map_err(|e| failed(e.to_string()))?) };
        loop {
            match first.recv_timeout(Duration::from_millis(100)) {
                Ok(Ok(ready)) => return Ok((pool, ready)),
                Ok(Err(reason)) => return Err(failed(reason)),
                Err(RecvTimeoutError::Timeout) if watch.gone() => return Err(EngineError::GivenUp),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(failed("its keeper ended; the log says why".into())),
            }
        }
    }

    /// A worker to call, waiting for one until `deadline`.
    ///
    /// # Errors
    /// [`EngineError::Deadline`]; [`EngineError::Down`] when none is there and none is started soon.
    pub fn lease(&self, deadline: Option<Instant>) -> Result<Lease<'_>, EngineError> {
        let mut state = self.shared.state.lock();
        loop {
            while let Some(mut worker) = state.idle.pop() {
                if worker.lives() {
                    return Ok(Lease { pool: self, worker: Some(worker), answered: false });
                }
                drop(state);
                self.shared.lost(worker, "while it was idle");
                state = self.shared.state.lock();
            }
            let now = Instant::now();
            if let Some(until) = state.refused.filter(|until| *until > now) {
                return Err(down(state.deaths, until - now));
            }
            match deadline {
                Some(at) if at <= now => return Err(EngineError::Deadline),
                Some(at) => {
                    let _woken_or_late = self.shared.moved.wait_until(&mut state, at);
                }
                None => self.shared.moved.wait(&mut state),
            }
        }
    }

    /// Resident memory of the workers, bytes.
    pub fn memory(&self) -> u64 {
        let pids = self.shared.state.lock().pids.clone();
        pids.into_iter().map(resident).sum()
    }

    /// Whether a call would find a worker, or one that is to be there soon.
    ///
    /// # Errors
    /// [`EngineError::Down`], as [`Pool::lease`].
    pub fn health(&self) -> Result<(), EngineError> {
        let state = self.shared.state.lock();
        match state.refused {
            Some(until) if state.pids.is_empty() => {
                Err(down(state.deaths, until.saturating_duration_since(Instant::now())))
            }
            _ => Ok(()),
        }
    }

    pub fn restarts(&self) -> u64 {
        self.shared.state.lock().restarts
    }

    pub fn size(&self) -> usize {
        self.shared.wanted.load(Ordering::Relaxed).max(1)
    }

    #[cfg(test)]
    pub fn pids(&self) -> Vec<u32> {
        self.shared.state.lock().pids.clone()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        let idle = std::mem::take(&mut self.shared.state.lock().idle);
        self.shared.moved.notify_all();
        drop(idle);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(deployment = %self.shared.start.name, "the keeper of a model's workers panicked");
        }
    }
}

fn down(deaths: u32, wait: Duration) -> EngineError {
    let again = match wait.as_secs() {
        0 if wait.is_zero() => "now".to_owned(),
        seconds => format!("in {} s", seconds + 1),
    };
    EngineError::Down { reason: format!("it ended {deaths} times in a row; it is started again {again}"), again: wait }
}

/// A worker for one call.
#[derive(Debug)]
pub(crate) struct Lease<'a> {
    pool: &'a Pool,
    worker: Option<Worker>,
    answered: bool,
}

impl Lease<'_> {
    /// Calls it. What goes wrong costs this call and the worker.
    pub fn call(mut self, call: &Outgoing, ids: &[EventId]) -> Result<Incoming, EngineError> {
        let limit = self.pool.shared.start.limits.timeout;
        let worker = self.worker.as_mut().ok_or_else(absent)?;
        let answer = worker.call(call, ids, limit).map_err(|fault| fault.of_call(limit))?;
        self.answered = true;
        Ok(answer)
    }

    /// Calls it for an answer in parts. The limit is that of each part.
    pub fn stream(
        mut self,
        call: &Outgoing,
        ids: &[EventId],
        take: &mut dyn FnMut(Part) -> bool,
    ) -> Result<Result<(), Failure>, EngineError> {
        let limit = self.pool.shared.start.limits.timeout;
        let worker = self.worker.as_mut().ok_or_else(absent)?;
        let end = worker.stream(call, ids, limit, take).map_err(|fault| fault.of_call(limit))?;
        self.answered = true;
        Ok(end)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(worker) = self.worker.take() else { return };
        let shared = &self.pool.shared;
        if !self.answered {
            shared.lost(worker, "during a call");
            return;
        }
        let mut worker = worker;
        let held = worker.too_much(shared.start.limits.memory);
        let mut state = shared.state.lock();
        state.deaths = 0;
        let begun = held.is_some() && state.tires(worker.pid());
        state.idle.push(worker);
        let done = state.relieved();
        drop(state);
        shared.moved.notify_all();
        drop(done);
        if let Some(held) = held.filter(|_| begun) {
            shared.tells(held);
        }
    }
}

fn absent() -> EngineError {
    EngineError::Died { reason: "it was not there".into() }
}

impl Fault {
    fn of_call(self, limit: Duration) -> EngineError {
        match self {
            Self::TooSlow => EngineError::TooSlow { limit },
            fault => EngineError::Died { reason: fault.in_words() },
        }
    }

    fn in_words(self) -> String {
        match self {
            Self::Spawn(why) | Self::Ended(why) => why,
            Self::TooSlow => "it took too long".into(),
            Self::Garbled(why) => why.to_string(),
            Self::GivenUp => "it was not waited for".into(),
        }
    }
}

impl Shared {
    /// The keeper's life.
    fn keep(self: Arc<Self>, opened: &Sender<Result<Ready, String>>) {
        self.state.lock().alive = 1;
        let ready = match self.begin(None) {
            Ok((worker, ready)) => {
                self.decide(&ready, worker.pid());
                self.add(worker);
                ready
            }
            Err(why) => {
                let _nobody_waits = opened.send(Err(why));
                return;
            }
        };
        tracing::info!(
            deployment = %self.start.name, python = ready.python, mlflow = ready.mlflow, "the model's worker is ready"
        );
        let _nobody_waits = opened.send(Ok(ready.clone()));
        while self.missing() {
            match self.begin(Some(&ready)) {
                Ok((worker, _)) => self.add(worker),
                Err(why) => {
                    tracing::error!(deployment = %self.start.name, why, "cannot start the model's worker again");
                    self.state.lock().did_not_start();
                    self.moved.notify_all();
                }
            }
        }
    }

    /// Starts a worker and lets it open the model; the reason when it does not, for the operator.
    fn begin(self: &Arc<Self>, known: Option<&Ready>) -> Result<(Worker, Ready), String> {
        let weak: Weak<Self> = Arc::downgrade(self);
        let ended = move || {
            // The log of a process is closed a moment before the process is gone.
            std::thread::sleep(SETTLE);
            if let Some(shared) = weak.upgrade() {
                shared.state.lock().look = true;
                shared.moved.notify_all();
            }
        };
        let mut worker = Worker::spawn(&self.start, ended).map_err(Fault::in_words)?;
        let gone = || self.closed.load(Ordering::Relaxed);
        let reason = match worker.open(&self.start, known, &gone) {
            Ok(Ok(ready)) => return Ok((worker, ready)),
            Ok(Err(Failure::Wrong { wrong })) => return Err(wrong),
            Ok(Err(Failure::Refused { refused })) => return Err(refused),
            Ok(Err(Failure::Raised { raised, message, .. })) => match &*raised {
                "ModuleNotFoundError" | "ImportError" => format!(
                    "{raised}: {message}; the model's Python is {}, and what it misses belongs into the model's \
                     requirements (engine.python.env: auto) or into that Python (env: shared)",
                    self.start.python.display()
                ),
                _ => format!("{raised}: {message}"),
            },
            Err(Fault::TooSlow) => {
                format!(
                    "it was not open after {:?} (engine.python.startTimeout; of predict --start-timeout)",
                    self.start.limits.start_timeout
                )
            }
            Err(fault) => fault.in_words(),
        };
        let lines = worker.last_lines(true);
        let lines = telling(&lines);
        Err(if lines.is_empty() { reason } else { format!("{reason}; its last lines: {}", lines.join(" | ")) })
    }

    /// Decides how many workers there are to be, unless somebody has said it.
    fn decide(&self, ready: &Ready, first: u32) {
        if self.wanted.load(Ordering::Relaxed) > 0 {
            return;
        }
        let (machine, held) = (Machine::now(), resident(first));
        let count = size::workers(ready.cost, held, machine);
        self.wanted.store(count, Ordering::Relaxed);
        tracing::info!(
            deployment = %self.start.name, workers = count, cost = ?ready.cost, resident = held, ?machine,
            "the number of the model's workers is chosen"
        );
    }

    fn add(&self, worker: Worker) {
        let mut state = self.state.lock();
        state.pids.push(worker.pid());
        let more = state.alive > self.wanted.load(Ordering::Relaxed);
        if let Some(tired) = state.tired.as_mut().filter(|_| more) {
            tired.replaced = true;
        } else if state.restarts < state.ended {
            state.restarts += 1;
        }
        state.refused = None;
        state.failed_starts = 0;
        state.idle.push(worker);
        let done = state.relieved();
        drop(state);
        self.moved.notify_all();
        drop(done);
    }

    fn tells(&self, held: Held) {
        tracing::warn!(
            deployment = %self.start.name, held = held.now, at_first = held.first, limit = self.start.limits.memory,
            "a worker of the model is about to run out of memory: another takes its place, and no call is lost"
        );
    }

    /// Waits until a worker is missing and may be started; `false` when the model is closed.
    fn missing(&self) -> bool {
        let mut state = self.state.lock();
        loop {
            if self.closed.load(Ordering::Relaxed) {
                return false;
            }
            if std::mem::take(&mut state.look) {
                let (live, dead) = std::mem::take(&mut state.idle).into_iter().fold((vec![], vec![]), sorted);
                state.idle = live;
                if !dead.is_empty() {
                    drop(state);
                    for worker in dead {
                        self.lost(worker, "while it was idle");
                    }
                    state = self.state.lock();
                    continue;
                }
            }
            if state.alive < self.wanted.load(Ordering::Relaxed) + usize::from(state.tired.is_some()) {
                match state.not_before.filter(|at| *at > Instant::now()) {
                    None => break,
                    Some(at) => {
                        let _woken_or_due = self.moved.wait_until(&mut state, at);
                    }
                }
            } else {
                self.moved.wait(&mut state);
            }
        }
        state.alive += 1;
        true
    }

    /// A worker ended, or has to.
    fn lost(&self, mut worker: Worker, when: &str) {
        let lives = worker.lives();
        let (pid, lines) = (worker.pid(), worker.last_lines(!lives).join("\n"));
        drop(worker);
        let mut state = self.state.lock();
        state.left(pid);
        state.died();
        let deaths = state.deaths;
        drop(state);
        self.moved.notify_all();
        tracing::error!(
            deployment = %self.start.name, pid, stopped = lives, deaths, last_lines = lines,
            "the model's worker ended {when}"
        );
    }
}

/// Of the last lines, those that tell most: the last ones; of a worker that was stopped those before it was, and
/// where it was then, the innermost place first.
fn telling(lines: &[String]) -> Vec<String> {
    let place = |start: &str| lines.iter().position(|l| l.starts_with(start));
    let last = |lines: &[String]| lines[lines.len().saturating_sub(5)..].to_vec();
    match (place("Fatal Python error"), place("Current thread")) {
        (Some(end), Some(at)) => [last(&lines[..end]), lines[at..lines.len().min(at + 5)].to_vec()].concat(),
        _ => last(lines),
    }
}

fn sorted((mut live, mut dead): (Vec<Worker>, Vec<Worker>), mut worker: Worker) -> (Vec<Worker>, Vec<Worker>) {
    if worker.lives() {
        live.push(worker);
    } else {
        dead.push(worker);
    }
    (live, dead)
}

impl State {
    /// Whether the worker `pid` is the one whose place another takes from now on: one at a time, for each is there twice.
    fn tires(&mut self, pid: u32) -> bool {
        let begins = self.tired.is_none();
        if begins {
            self.tired = Some(Tired { pid, replaced: false });
        }
        begins
    }

    /// The worker in whose place there is another now, as soon as it is idle. Its end is no death.
    fn relieved(&mut self) -> Option<Worker> {
        let tired = self.tired.filter(|t| t.replaced)?;
        let at = self.idle.iter().position(|w| w.pid() == tired.pid)?;
        let worker = self.idle.swap_remove(at);
        self.left(tired.pid);
        self.alive = self.alive.saturating_sub(1);
        Some(worker)
    }

    /// The worker `pid` is none of them any more.
    fn left(&mut self, pid: u32) {
        self.pids.retain(|p| *p != pid);
        self.ended += 1;
        if let Some(tired) = self.tired.filter(|t| t.pid == pid) {
            self.restarts += u64::from(tired.replaced);
            self.tired = None;
        }
    }

    fn did_not_start(&mut self) {
        self.died();
        self.failed_starts += 1;
        let wait = after(FIRST_WAIT, self.failed_starts - 1).min(LONGEST_REFUSAL);
        self.not_before = self.not_before.max(Some(Instant::now() + wait));
    }

    fn died(&mut self) {
        self.alive = self.alive.saturating_sub(1);
        self.deaths += 1;
        let now = Instant::now();
        self.not_before = match self.deaths {
            0 | 1 => None,
            n if n < DEATHS => Some(now + after(FIRST_WAIT, n - 2)),
            n => {
                let until = now + after(FIRST_REFUSAL, n - DEATHS).min(LONGEST_REFUSAL);
                self.refused = Some(until);
                Some(until)
            }
        };
    }
}

fn after(first: Duration, doubled: u32) -> Duration {
    first.saturating_mul(1 << doubled.min(12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_never_starts_is_tried_ever_less_often_while_others_answer() {
        let mut state = State::default();
        let mut waits = Vec::new();
        for _ in 0..14 {
            state.alive = 2;
            state.did_not_start();
            waits.push(state.not_before.unwrap().duration_since(Instant::now()));
            // As an answer of the other worker does.
            state.deaths = 0;
        }
        let longest = Duration::from_secs(299);
        assert!(waits.windows(2).all(|w| w[0] < w[1] || w[1] > longest), "{waits:?}");
        assert!(waits[0] <= FIRST_WAIT && waits[13] > longest, "{waits:?}");
        assert_eq!(state.refused, None, "calls go on");
    }
}

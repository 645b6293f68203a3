//! How a model is to be opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How to open a model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// How many calls may run at once; 0 lets the engine choose.
    pub instances: usize,
    /// Threads inside one call; 0 lets the engine choose.
    pub threads: usize,
    /// For whom: the deployment's name, for log lines.
    pub name: Arc<str>,
    /// For engines that run a model in a process of its own.
    pub worker: Worker,
    /// Hears what takes long.
    pub watch: Watch,
}

/// The longest that a worker may be waited for, and the least memory with which one can begin, bytes.
const LONGEST: Duration = Duration::from_hours(24);
const LEAST: u64 = 64 << 20;

/// The process of a model, for engines that give it one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// With which packages it runs.
    pub environment: Environment,
    /// How long one call may take before the process is stopped.
    pub timeout: Duration,
    /// How long it may take to start and open the model.
    pub start_timeout: Duration,
    /// Bytes that the process may allocate; `None` sets no limit.
    pub memory: Option<u64>,
    /// Whether callers see the text of the model's exceptions, or their type only.
    pub show_errors: bool,
}

/// A limit of a [`Worker`] that no process can keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongLimit {
    /// [`Worker::timeout`].
    Timeout,
    /// [`Worker::start_timeout`].
    StartTimeout,
    /// [`Worker::memory`].
    Memory,
}

impl WrongLimit {
    /// What it must be.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Timeout | Self::StartTimeout => "longer than 0ms, and at most 24h",
            Self::Memory => "at least 64MiB",
        }
    }
}

impl Worker {
    /// The first limit that makes no sense.
    pub fn wrong(&self) -> Option<WrongLimit> {
        let never = |limit: Duration| limit.is_zero() || limit > LONGEST;
        let found = [
            (never(self.timeout), WrongLimit::Timeout),
            (never(self.start_timeout), WrongLimit::StartTimeout),
            (self.memory.is_some_and(|memory| memory < LEAST), WrongLimit::Memory),
        ];
        found.into_iter().find_map(|(wrong, limit)| wrong.then_some(limit))
    }
}

/// Where the packages of a model come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Environment {
    /// Built from what the model itself asks for.
    #[default]
    Own,
    /// What the server's own Python has.
    Shared,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            environment: Environment::Own,
            timeout: Duration::from_secs(60),
            start_timeout: Duration::from_secs(120),
            memory: None,
            show_errors: false,
        }
    }
}

type Says = dyn Fn(&str) + Send + Sync;
type Gone = dyn Fn() -> bool + Send + Sync;

/// Who waits for a load: hears how it goes, and may give it up.
#[derive(Clone, Default)]
pub struct Watch {
    says: Option<Arc<Says>>,
    gone: Option<Arc<Gone>>,
}

impl Watch {
    /// `says` is told what is being done, a line each; `gone` says whether nobody waits any more.
    pub fn new(says: impl Fn(&str) + Send + Sync + 'static, gone: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { says: Some(Arc::new(says)), gone: Some(Arc::new(gone)) }
    }

    /// Something that takes a while has begun.
    pub fn say(&self, what: &str) {
        if let Some(says) = &self.says {
            says(what);
        }
    }

    /// Whether nobody waits any more.
    pub fn gone(&self) -> bool {
        self.gone.as_ref().is_some_and(|gone| gone())
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

//! Jobs: started, read, cancelled. They live in memory; what they register lives in the registry.

use crate::action::{Convert, ReadConversion};
use crate::error::ConvertError;
use crate::findings::Findings;
use crate::order::Order;
use crate::ports::Models;
use crate::run;
use mainspring_core::{Authorized, Ctx, ErrorKind, Failure, Tenant, Timestamp};
use mainspring_engine::{Engine, Watch};
use mainspring_engine_python::PythonRuntime;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Jobs that may wait or run; one more is refused.
const WAITING: usize = 16;
/// Jobs that are kept after they ended.
const KEPT: usize = 64;
/// Steps of a job that are kept; an installer has many lines.
const STEPS: usize = 200;

/// What conversions work with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A folder of its own, for what jobs write while they run. What an earlier process left there goes.
    pub folder: PathBuf,
    /// Builds environments and runs programs in them.
    pub python: PythonRuntime,
    /// The engine that has to open what was made.
    pub onnx: Arc<dyn Engine>,
}

/// Conversions of one server. Cheap to clone.
#[derive(Clone)]
pub struct Conversions(Arc<Inner>);

impl std::fmt::Debug for Conversions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Conversions")
    }
}

pub(crate) struct Inner {
    pub models: Arc<dyn Models>,
    pub python: PythonRuntime,
    pub onnx: Arc<dyn Engine>,
    pub folder: PathBuf,
    ctx: Ctx,
    /// Programs measure time, so one runs at once.
    turn: Semaphore,
    jobs: Mutex<VecDeque<Entry>>,
}

struct Entry {
    tenant: Tenant,
    cancel: CancellationToken,
    job: Job,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Another one runs.
    Waiting,
    /// Runs.
    Running,
    /// Ended; what came of it is in the findings.
    Done,
    /// Ended without a result.
    Failed,
    /// Was cancelled.
    Cancelled,
}

impl State {
    /// The word shown: `running`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens.
    pub fn ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A job as it stands.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// `convert` or `optimize`.
    pub task: &'static str,
    /// The model, as it was named.
    pub model: String,
    /// Where it stands.
    pub state: State,
    /// When it was asked for.
    pub created: Timestamp,
    /// What it did so far, oldest first.
    pub steps: Vec<String>,
    /// Steps before these that are not kept any more.
    pub forgotten: usize,
    /// What it found out, also when it failed for that.
    pub findings: Option<Findings>,
    /// The version that was registered.
    pub version: Option<String>,
    /// Why it failed: kind, message, and what to do next.
    pub error: Option<(ErrorKind, String, Option<String>)>,
}

impl Conversions {
    /// Makes the folder ready.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn open(settings: Settings, models: Arc<dyn Models>, ctx: Ctx) -> std::io::Result<Self> {
        let Settings { folder, python, onnx } = settings;
        let folder = std::path::absolute(folder)?;
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let (turn, jobs) = (Semaphore::new(1), Mutex::default());
        Ok(Self(Arc::new(Inner { models, python, onnx, folder, ctx, turn, jobs })))
    }

    /// Starts a job and gives its id at once.
    ///
    /// # Errors
    /// [`ConvertError::Order`] when the order makes no sense; [`ConvertError::Busy`].
    pub fn start(&self, auth: &Authorized<Convert>, order: Order) -> Result<Job, ConvertError> {
        order.validate().map_err(ConvertError::Order)?;
        let inner = Arc::clone(&self.0);
        let job = Job {
            id: inner.ctx.event_id().to_string(),
            task: order.task.name(),
            model: order.model.clone(),
            state: State::Waiting,
            created: inner.ctx.now(),
            steps: Vec::new(),
            forgotten: 0,
            findings: None,
            version: None,
            error: None,
        };
        let cancel = inner.ctx.tasks.cancelled().child_token();
        {
            let mut jobs = inner.jobs.lock();
            let waiting = jobs.iter().filter(|e| !e.job.state.ended()).count();
            if waiting >= WAITING {
                return Err(ConvertError::Busy(waiting));
            }
            jobs.push_front(Entry { tenant: auth.tenant().clone(), cancel: cancel.clone(), job: job.clone() });
            while jobs.len() > KEPT && jobs.back().is_some_and(|e| e.job.state.ended()) {
                jobs.pop_back();
            }
        }
        let (who, id) = (Arc::clone(auth.who()), job.id.clone());
        // It watches its own token: a program that runs has to be stopped, not forgotten.
        drop(self.0.ctx.tasks.spawn_graceful(async move { work(inner, who, id, order, cancel).await }));
        Ok(job)
    }

    /// A job of the caller's tenant.
    ///
    /// # Errors
    /// [`ConvertError::NoJob`].
    pub fn job(&self, auth: &Authorized<ReadConversion>, id: &str) -> Result<Job, ConvertError> {
        let jobs = self.0.jobs.lock();
        let found = jobs.iter().find(|e| e.job.id == id && e.tenant == *auth.tenant());
        found.map(|e| e.job.clone()).ok_or_else(|| ConvertError::NoJob(id.to_owned()))
    }

    /// Every job of the caller's tenant, newest first.
    pub fn jobs(&self, auth: &Authorized<ReadConversion>) -> Vec<Job> {
        let jobs = self.0.jobs.lock();
        jobs.iter().filter(|e| e.tenant == *auth.tenant()).map(|e| e.job.clone()).collect()
    }

    /// Stops a job; one that has ended stays as it is.
    ///
    /// # Errors
    /// [`ConvertError::NoJob`].
    pub fn cancel(&self, auth: &Authorized<Convert>, id: &str) -> Result<(), ConvertError> {
        let jobs = self.0.jobs.lock();
        let found = jobs.iter().find(|e| e.job.id == id && e.tenant == *auth.tenant());
        found.map(|e| e.cancel.cancel()).ok_or_else(|| ConvertError::NoJob(id.to_owned()))
    }
}

impl Inner {
    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) {
        if let Some(entry) = self.jobs.lock().iter_mut().find(|e| e.job.id == id) {
            change(&mut entry.job);
        }
    }

    fn step(&self, id: &str, what: &str) {
        self.change(id, |job| {
            if job.steps.len() == STEPS {
                job.steps.remove(0);
                job.forgotten += 1;
            }
            job.steps.push(what.to_owned());
        });
    }
}

async fn work(
    inner: Arc<Inner>,
    who: Arc<mainspring_core::Principal>,
    id: String,
    order: Order,
    cancel: CancellationToken,
) {
    // A job that runs is not dropped: its program hears of the end by its watch, and its folder goes with it.
    let ended = async {
        let _turn = tokio::select! {
            turn = inner.turn.acquire() => turn.map_err(|_| ConvertError::Cancelled)?,
            () = cancel.cancelled() => return Err(ConvertError::Cancelled),
        };
        inner.change(&id, |job| job.state = State::Running);
        let (heard, name, gone) = (Arc::clone(&inner), id.clone(), cancel.clone());
        let watch = Watch::new(move |what| heard.step(&name, what), move || gone.is_cancelled());
        let found = |findings: &Findings| inner.change(&id, |job| job.findings = Some(findings.clone()));
        run::run(&inner, &who, order, watch, found).await
    }
    .await;
    inner.change(&id, |job| match ended {
        Ok((findings, version)) => {
            job.state = State::Done;
            job.findings = Some(findings);
            job.version = version;
        }
        Err(error) => {
            tracing::warn!(job = %job.id, model = %job.model, %error, "a conversion ended without a result");
            job.state = if error.kind() == ErrorKind::Cancelled { State::Cancelled } else { State::Failed };
            job.error = Some((error.kind(), error.to_string(), error.hint()));
        }
    });
}

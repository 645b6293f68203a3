//! Jobs: started, read, cancelled. Each is a row of the database, so every replica sees them and they outlive the
//! process; the one that was asked runs it, and says every few seconds that it still does.

use crate::action::{Convert, ReadConversion};
use crate::error::ConvertError;
use crate::findings::Findings;
use crate::job::{Course, Job, State, Why};
use crate::order::Order;
use crate::ports::Models;
use crate::{run, sql};
use futures::future::{self, BoxFuture};
use mainspring_core::{Authorized, Ctx, ErrorKind, Failure, Principal};
use mainspring_engine::{Engine, Watch};
use mainspring_engine_python::PythonRuntime;
use mainspring_store::{Db, FutureExt};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Jobs that may wait or run in one process; one more is refused.
const WAITING: usize = 16;
/// Jobs of a tenant that are kept after they ended.
const KEPT: i64 = 200;
/// How often what a job did is written down.
const TICK: Duration = Duration::from_millis(300);
/// How often a job of which there is nothing new is said to be running; many times in [`sql::SILENT`].
const BEAT: Duration = Duration::from_secs(3);
/// In the folder of conversions: by what name this replica is known there.
const REPLICA: &str = "replica";

/// What conversions work with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A folder of its own, for what jobs write while they run. What an earlier process left there goes.
    pub folder: PathBuf,
    /// Where jobs are kept.
    pub db: Db,
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
    db: Db,
    replica: String,
    ctx: Ctx,
    /// Programs measure time, so one runs at once.
    turn: Arc<Semaphore>,
    /// Jobs of this process, by id.
    mine: Mutex<HashMap<String, Mine>>,
}

/// A job of this process.
struct Mine {
    job: Job,
    cancel: CancellationToken,
    /// Whether the database does not know all of it.
    news: bool,
}

impl Conversions {
    /// Makes the folder ready. What an earlier process of this folder worked on is interrupted.
    ///
    /// # Errors
    /// [`ConvertError::Io`] when the folder cannot be written, [`ConvertError::Store`].
    pub async fn open(settings: Settings, models: Arc<dyn Models>, ctx: Ctx) -> Result<Self, ConvertError> {
        let Settings { folder, db, python, onnx } = settings;
        let io = |e: std::io::Error| ConvertError::Io(format!("{}: {e}", folder.display()));
        let folder = std::path::absolute(&folder).map_err(io)?;
        let replica = prepare(&folder, &ctx).map_err(io)?;
        let mine = replica.clone();
        db.write(move |c| async move { sql::forsake(c, &mine).await }.boxed()).await?;
        let (turn, mine) = (Arc::new(Semaphore::new(1)), Mutex::default());
        Ok(Self(Arc::new(Inner { models, python, onnx, folder, db, replica, ctx, turn, mine })))
    }

    /// Starts a job and gives it at once.
    ///
    /// # Errors
    /// [`ConvertError::Order`] when the order makes no sense; [`ConvertError::Busy`]; [`ConvertError::Store`].
    pub async fn start(&self, auth: &Authorized<Convert>, order: Order) -> Result<Job, ConvertError> {
        order.validate().map_err(ConvertError::Order)?;
        let inner = Arc::clone(&self.0);
        let job = Job {
            id: inner.ctx.event_id().to_string(),
            task: order.task.name(),
            model: order.model.clone(),
            state: State::Waiting,
            created: inner.ctx.now(),
            course: Course::default(),
        };
        let cancel = inner.ctx.tasks.cancelled().child_token();
        {
            let mut mine = inner.mine.lock();
            if mine.len() >= WAITING {
                return Err(ConvertError::Busy(mine.len()));
            }
            mine.insert(job.id.clone(), Mine { job: job.clone(), cancel: cancel.clone(), news: false });
        }
        let (tenant, audit) = (auth.tenant().clone(), auth.audit());
        let (row, replica) = (job.clone(), inner.replica.clone());
        let kept = inner.db.write(move |c| {
            async move {
                sql::insert(c, &tenant, &row, &replica, KEPT).await?;
                c.audit(&audit).await
            }
            .boxed()
        });
        if let Err(e) = kept.await {
            inner.mine.lock().remove(&job.id);
            return Err(e.into());
        }
        let (who, id) = (Arc::clone(auth.who()), job.id.clone());
        let line = Line { turn: in_line(&self.0.turn), cancel };
        // It watches its own token: a program that runs has to be stopped, not forgotten.
        drop(self.0.ctx.tasks.spawn_graceful(async move { work(inner, who, id, order, line).await }));
        Ok(job)
    }

    /// A job of the caller's tenant, whichever replica runs it.
    ///
    /// # Errors
    /// [`ConvertError::NoJob`]; [`ConvertError::Store`].
    pub async fn job(&self, auth: &Authorized<ReadConversion>, id: &str) -> Result<Job, ConvertError> {
        let (tenant, wanted) = (auth.tenant().clone(), id.to_owned());
        let found = self.0.db.read(move |c| async move { sql::one(c, &tenant, &wanted).await }.boxed()).await?;
        found.ok_or_else(|| ConvertError::NoJob(id.to_owned()))
    }

    /// Every job of the caller's tenant, newest first.
    ///
    /// # Errors
    /// [`ConvertError::Store`].
    pub async fn jobs(&self, auth: &Authorized<ReadConversion>) -> Result<Vec<Job>, ConvertError> {
        let tenant = auth.tenant().clone();
        Ok(self.0.db.read(move |c| async move { sql::all(c, &tenant).await }.boxed()).await?)
    }

    /// Stops a job, within seconds where another replica runs it; one that has ended stays as it is.
    ///
    /// # Errors
    /// [`ConvertError::NoJob`]; [`ConvertError::Store`].
    pub async fn cancel(&self, auth: &Authorized<Convert>, id: &str) -> Result<(), ConvertError> {
        let (tenant, wanted, audit) = (auth.tenant().clone(), id.to_owned(), auth.audit());
        let told = self.0.db.write(move |c| {
            async move {
                let there = sql::cancel(c, &tenant, &wanted).await?;
                if there {
                    c.audit(&audit).await?;
                }
                Ok::<_, mainspring_store::StoreError>(there)
            }
            .boxed()
        });
        if !told.await? {
            return Err(ConvertError::NoJob(id.to_owned()));
        }
        if let Some(mine) = self.0.mine.lock().get(id) {
            mine.cancel.cancel();
        }
        Ok(())
    }
}

/// Empties the folder but for the name of this replica, which it gives.
fn prepare(folder: &Path, ctx: &Ctx) -> std::io::Result<String> {
    let file = folder.join(REPLICA);
    let known = std::fs::read_to_string(&file).ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let name = known.unwrap_or_else(|| ctx.event_id().to_string());
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    std::fs::write(&file, &name)?;
    Ok(name)
}

impl Inner {
    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) {
        if let Some(mine) = self.mine.lock().get_mut(id) {
            change(&mut mine.job);
            mine.news = true;
        }
    }

    /// Writes down how a job stands. Somebody may have asked another replica to stop it.
    async fn save(&self, id: &str) {
        let job = self.mine.lock().get_mut(id).map(|mine| {
            mine.news = false;
            mine.job.clone()
        });
        let Some(job) = job else { return };
        match self.db.write(move |c| async move { sql::save(c, &job).await }.boxed()).await {
            Ok(false) => {}
            Ok(true) => {
                if let Some(mine) = self.mine.lock().get(id) {
                    mine.cancel.cancel();
                }
            }
            Err(error) => {
                tracing::warn!(job = id, %error, "cannot write down how a conversion stands");
                self.change(id, |_| {});
            }
        }
    }

    /// Runs `work` and keeps the database told of it.
    async fn told<T>(&self, id: &str, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut said = Instant::now();
        loop {
            tokio::select! {
                ended = &mut work => return ended,
                () = tokio::time::sleep(TICK) => {}
            }
            let news = self.mine.lock().get(id).is_some_and(|mine| mine.news);
            if news || said.elapsed() >= BEAT {
                self.save(id).await;
                said = Instant::now();
            }
        }
    }

    /// Notes what became of a job. One that the end of the process cut short is left to be found interrupted.
    fn end(&self, id: &str, ended: Result<run::Ended, ConvertError>) {
        let stopping = self.ctx.tasks.cancelled().is_cancelled();
        self.change(id, |job| match ended {
            Ok((findings, version)) => {
                job.state = State::Done;
                job.course.findings = Some(findings);
                job.course.version = version;
            }
            Err(error) if stopping && error.kind() == ErrorKind::Cancelled => {
                let cut = job.clone().interrupted();
                *job = cut;
            }
            Err(error) => {
                tracing::warn!(job = %job.id, model = %job.model, %error, "a conversion ended without a result");
                job.state = if error.kind() == ErrorKind::Cancelled { State::Cancelled } else { State::Failed };
                job.course.error = Some(Why::new(error.kind(), error.to_string(), error.hint()));
            }
        });
    }
}

/// A job's place among those that wait.
struct Line {
    turn: BoxFuture<'static, Result<OwnedSemaphorePermit, AcquireError>>,
    cancel: CancellationToken,
}

/// The next place in the line for `turn`. It is taken now: tasks begin in any order, and jobs run in that of their orders.
fn in_line(turn: &Arc<Semaphore>) -> BoxFuture<'static, Result<OwnedSemaphorePermit, AcquireError>> {
    let mut waits = Arc::clone(turn).acquire_owned().boxed();
    match waits.as_mut().now_or_never() {
        Some(turn) => future::ready(turn).boxed(),
        None => waits,
    }
}

async fn work(inner: Arc<Inner>, who: Arc<Principal>, id: String, order: Order, line: Line) {
    let Line { turn, cancel } = line;
    // A job that runs is not dropped: its program hears of the end by its watch, and its folder goes with it.
    let job = async {
        let _turn = tokio::select! {
            turn = turn => turn.map_err(|_| ConvertError::Cancelled)?,
            () = cancel.cancelled() => return Err(ConvertError::Cancelled),
        };
        inner.change(&id, |job| job.state = State::Running);
        let (heard, name, gone) = (Arc::clone(&inner), id.clone(), cancel.clone());
        let step = move |what: &str| heard.change(&name, |job| job.step(what));
        let watch = Watch::new(step, move || gone.is_cancelled());
        let found = |findings: &Findings| inner.change(&id, |job| job.course.findings = Some(findings.clone()));
        run::run(&inner, &who, order, watch, found).await
    };
    let ended = inner.told(&id, job).await;
    inner.end(&id, ended);
    inner.save(&id).await;
    inner.mine.lock().remove(&id);
}

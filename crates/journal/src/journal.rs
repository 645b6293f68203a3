//! The handle that everything else holds.

use crate::error::JournalError;
use crate::fed::Fed;
use crate::feedback;
use crate::live::MicroBatch;
use crate::log::recover::{Found, Recovery, recover};
use crate::log::segment::SegmentId;
use crate::queue::Queue;
use crate::readers::Readers;
use crate::relay;
use crate::retention;
use crate::seal::{self, SealJob};
use crate::settings::{JournalSettings, SyncMode};
use crate::snapshot::OpenSegment;
use crate::stats::{Counters, JournalStats};
use crate::tally;
use crate::tiles::{TileSnapshot, Tiles};
use crate::writer::{Command, Writer};
use mainspring_artifact::Artifacts;
use mainspring_core::{Ctx, Prediction, Timestamp};
use mainspring_process::tally::Tally;
use mainspring_store::Db;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Micro-batches that a slow subscriber may fall behind: 25 seconds.
const LIVE_CAPACITY: usize = 256;
/// Callers' own ids that may wait for the database.
const CLIENT_IDS: usize = 100_000;

/// What the writer, the sealer and the handles share.
pub(crate) struct Shared {
    pub settings: JournalSettings,
    pub queue: Queue,
    /// Where it is counted what is written.
    pub tally: Option<Arc<Tally>>,
    pub counters: Arc<Counters>,
    pub tiles: Tiles,
    /// The tiles as they stood when the last segment ended, for the sealer.
    pub snapshot: Mutex<Arc<TileSnapshot>>,
    pub live: broadcast::Sender<Arc<MicroBatch>>,
    /// The segments on disk, oldest first; the last may be being written.
    pub segments: Mutex<Vec<OpenSegment>>,
    pub artifacts: Artifacts,
    pub db: Db,
    pub ctx: Ctx,
    pub fed: Fed,
    pub retention: retention::Overrides,
    pub readers: Arc<Readers>,
    /// When to clean up early.
    pub due: retention::Due,
    /// Held as long as the folder is ours.
    _lock: File,
}

struct Inner {
    shared: Arc<Shared>,
    commands: crossbeam_channel::Sender<Command>,
    ended: watch::Receiver<bool>,
    recovery: Recovery,
}

/// The journal of this process. Cloning shares it.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({})", self.0.shared.settings.dir.display())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer ends by itself once it has written what waits.
        end(&self.shared, &self.commands);
    }
}

impl Journal {
    /// Opens the folder, recovers what an earlier process left, and starts the writer. `db` must have
    /// been opened with [`MIGRATIONS`](crate::MIGRATIONS).
    ///
    /// At shutdown ([`Tasks::shutdown`](mainspring_core::Tasks::shutdown)) the journal seals what it
    /// has and ends: shut tasks down after the last request was answered.
    ///
    /// # Errors
    /// [`JournalError`] when the folder cannot be used, or another process uses it.
    pub async fn open(settings: JournalSettings, artifacts: Artifacts, db: Db, ctx: Ctx) -> Result<Self, JournalError> {
        let (lock, opened) = {
            let settings = settings.clone();
            tokio::task::spawn_blocking(move || Opened::open(&settings)).await.map_err(|_| JournalError::Closed)??
        };
        let counters = Arc::new(Counters::default());
        let shared = Arc::new(Shared {
            queue: Queue::new(&settings, Arc::clone(&counters), opened.tally.clone()),
            tally: opened.tally,
            counters,
            snapshot: Mutex::new(Arc::new(opened.tiles.snapshot(&found(&opened.found)))),
            tiles: opened.tiles,
            live: broadcast::Sender::new(LIVE_CAPACITY),
            segments: Mutex::new(opened.found.iter().map(open_segment).collect()),
            artifacts,
            db,
            fed: Fed::default(),
            retention: retention::Overrides::default(),
            readers: Arc::default(),
            due: retention::Due::default(),
            settings,
            ctx: ctx.clone(),
            _lock: lock,
        });
        let (commands, asked) = crossbeam_channel::unbounded();
        let (to_sealer, jobs) = mpsc::unbounded_channel();
        for segment in &opened.found {
            let job = SealJob { segment: Some(open_segment(segment)), waiting: Vec::new() };
            let _receiver_is_alive = to_sealer.send(job);
        }
        let (to_index, ids) = mpsc::channel(CLIENT_IDS);
        let next = opened.found.iter().map(|f| f.id.sequence + 1).max().unwrap_or(0);
        let writer = Writer::new(Arc::clone(&shared), asked, to_sealer, to_index, next);
        let (end, ended) = watch::channel(false);
        let dir = shared.settings.dir.clone();
        std::thread::Builder::new()
            .name("journal-writer".into())
            .spawn(move || writer.run())
            .map_err(JournalError::io("start the writer of", dir))?;
        let sealing = seal::run(Arc::clone(&shared), jobs);
        ctx.tasks.spawn_graceful(async move {
            sealing.await;
            let _nobody_waits = end.send(true);
        });
        let journal = Self(Arc::new(Inner { shared, commands, ended, recovery: opened.recovery }));
        journal.start_tasks(ids);
        Ok(journal)
    }

    fn start_tasks(&self, ids: mpsc::Receiver<crate::batch::ClientId>) {
        let shared = &self.0.shared;
        let tasks = &shared.ctx.tasks;
        tasks.spawn_graceful(feedback::index::run(Arc::clone(shared), ids));
        tasks.spawn("journal-relay", relay::run(Arc::clone(shared), self.0.commands.clone()));
        tasks.spawn("journal-retention", retention::run(Arc::clone(shared)));
        let (stop, shared, commands) = (tasks.cancelled(), Arc::clone(shared), self.0.commands.clone());
        tasks.spawn_graceful(async move {
            stop.cancelled().await;
            end(&shared, &commands);
        });
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// What the start found of earlier processes.
    pub fn recovery(&self) -> &Recovery {
        &self.0.recovery
    }

    /// Takes an event. Never waits and never fails: out of memory, its payload is dropped, then the
    /// event is only counted; both are counted in [`JournalStats`] and recorded as kind `gap`.
    #[inline]
    pub fn append(&self, prediction: Prediction) {
        self.0.shared.queue.push(&prediction, None);
    }

    /// Takes an event, now; the future waits until it is on disk. Events that come together share one
    /// `fsync`.
    ///
    /// # Errors
    /// [`JournalError::NotDurable`] when the disk did not take it (it may still, later),
    /// [`JournalError::Full`] when there was no room, [`JournalError::Closed`] after the end.
    pub fn append_durable(
        &self,
        prediction: Prediction,
    ) -> impl Future<Output = Result<(), JournalError>> + Send + use<> {
        let (ack, done) = oneshot::channel();
        self.0.shared.queue.push(&prediction, Some(ack));
        async { done.await.map_err(|_| JournalError::Closed)? }
    }

    /// Whether replies wait for the disk: callers then use [`Journal::append_durable`].
    pub fn is_durable(&self) -> bool {
        self.0.shared.settings.sync == SyncMode::Always
    }

    /// Rows as they are journaled, in batches of a tenth of a second. Subscribers share them; one that
    /// falls behind is told how many it missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<MicroBatch>> {
        self.0.shared.live.subscribe()
    }

    /// Sketches of every minute, hour and day.
    pub fn tiles(&self) -> &Tiles {
        &self.0.shared.tiles
    }

    /// The journal's own counters.
    pub fn stats(&self) -> JournalStats {
        let open = self.0.shared.segments.lock().iter().filter(|s| !s.sealed).count() as u64;
        self.0.shared.counters.read(self.0.shared.queue.appended(), open)
    }

    /// Until when all feedback that this process took is in the log; zero before the outbox was first read.
    pub fn fed_until(&self) -> Timestamp {
        self.0.shared.fed.until()
    }

    /// Since when there may be rows that are in this process's log alone; `None` when all are sealed.
    pub fn unsealed_since(&self) -> Option<Timestamp> {
        let segments = self.0.shared.segments.lock();
        let begun = |s: &OpenSegment| s.id.id.get_timestamp().map(|at| at.to_unix());
        let first = segments.iter().filter(|s| !s.sealed).filter_map(begun).min();
        first.map(|(seconds, nanos)| Timestamp((seconds as i64) * 1_000_000 + i64::from(nanos / 1_000)))
    }

    /// Waits until everything appended so far is on disk and visible to queries and tiles.
    ///
    /// # Errors
    /// [`JournalError::NotDurable`] when the disk does not take it.
    pub async fn flush(&self) -> Result<(), JournalError> {
        self.ask(Command::Flush).await
    }

    /// Waits until everything appended so far is Parquet in the artifact store.
    ///
    /// # Errors
    /// [`JournalError`] when the disk or the store does not take it; sealing goes on trying.
    pub async fn seal(&self) -> Result<(), JournalError> {
        self.flush().await?;
        self.ask(Command::Seal).await
    }

    pub(crate) async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), JournalError>>) -> Command,
    ) -> Result<(), JournalError> {
        let (done, answer) = oneshot::channel();
        self.0.commands.send(command(done)).map_err(|_| JournalError::Closed)?;
        self.0.shared.queue.wake_now();
        answer.await.map_err(|_| JournalError::Closed)?
    }

    /// Takes no more events, seals what there is, and waits for the end. Events appended later are only
    /// counted.
    pub async fn close(&self) {
        end(&self.0.shared, &self.0.commands);
        let mut ended = self.0.ended.clone();
        let _sealer_gone = ended.wait_for(|e| *e).await;
    }
}

/// No more events first, then the word to the writer: what it drains after that word is all there is.
fn end(shared: &Shared, commands: &crossbeam_channel::Sender<Command>) {
    shared.queue.close();
    let _already_closed = commands.send(Command::Close);
    shared.queue.wake_now();
}

fn found(segments: &[Found]) -> Vec<SegmentId> {
    segments.iter().map(|f| f.id).collect()
}

fn open_segment(found: &Found) -> OpenSegment {
    OpenSegment { id: found.id, path: found.path.clone(), len: found.len, sealed: false }
}

/// What the folder held.
struct Opened {
    tiles: Tiles,
    found: Vec<Found>,
    recovery: Recovery,
    tally: Option<Arc<Tally>>,
}

impl Opened {
    fn open(settings: &JournalSettings) -> Result<(File, Self), JournalError> {
        let dir = &settings.dir;
        std::fs::create_dir_all(dir).map_err(JournalError::io("create", dir))?;
        let lock_path = dir.join("lock");
        let lock = File::create(&lock_path).map_err(JournalError::io("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse { path: dir.clone() }),
            Err(TryLockError::Error(e)) => return Err(JournalError::io("lock", &lock_path)(e)),
        }
        let _no_leftovers = std::fs::remove_dir_all(dir.join("sealing"));
        let tiles = Tiles::in_folder(dir);
        let (tally, lost) = tally::open(dir);
        let mut recovery = Recovery { lost, ..Recovery::default() };
        let covered: HashSet<_> = match tiles.restore(dir) {
            Ok(covered) => {
                recovery.tiles_restored = covered.is_some();
                covered.unwrap_or_default().into_iter().collect()
            }
            Err(e) => {
                tracing::warn!(error = %e, "tiles of earlier minutes are lost; the log's are rebuilt");
                HashSet::new()
            }
        };
        let found = recover(dir, &mut recovery, |id, rows| {
            if !covered.contains(id) {
                tiles.absorb(&rows.header, &rows.batch, true);
            }
        })?;
        for cut in &recovery.cut {
            tracing::warn!(segment = %cut.segment.display(), bytes = cut.bytes, why = cut.why, "cut a torn tail");
        }
        if let Some(lost @ 1..) = lost {
            tracing::warn!(lost, "predictions that the process before this one had not written when it was killed");
        }
        Ok((lock, Self { tiles, found, recovery, tally }))
    }
}

#[cfg(test)]
mod tests;

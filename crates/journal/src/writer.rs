//! The writer: one thread that turns waiting events into batches, log frames and tiles.

use crate::batch::{Batch, ClientId};
use crate::error::JournalError;
use crate::journal::Shared;
use crate::layout;
use crate::live::{MicroBatch, Slice};
use crate::log::StreamHeader;
use crate::log::segment::{Segment, SegmentId};
use crate::queue::Ack;
use crate::seal::SealJob;
use crate::settings::SyncMode;
use crate::snapshot::{Kind, OpenSegment};
use crate::stats::spend;
use crate::tally;
use arrow::array::RecordBatch;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

mod gap;
pub use gap::OF_SHADOWS;
mod rotate;

/// Encoded bytes that are written without waiting for the time.
const WRITE_BYTES: usize = 1 << 20;
/// Encoded bytes that a full disk may keep in memory, at least.
const MIN_HELD: usize = 8 << 20;
/// How long it waits before it tries a failing disk again.
const RETRY: Duration = Duration::from_millis(500);
/// How long nothing has come when it is quiet,
const QUIET: Duration = Duration::from_secs(1);
/// and after how many rows that is worth something.
const MUCH: u64 = 1_000;
/// How often minutes that are over leave memory.
const ROLL: Duration = Duration::from_secs(60);
type Done = oneshot::Sender<Result<(), JournalError>>;

/// What others ask of the writer.
pub(crate) enum Command {
    /// Everything so far is on disk and visible.
    Flush(Done),
    /// Everything so far is sealed.
    Seal(Done),
    /// Rows that are ready made; told when they are on disk.
    Rows(StreamHeader, RecordBatch, Done),
    /// Finish and end.
    Close,
}

pub(crate) struct Writer {
    pub shared: Arc<Shared>,
    pub commands: crossbeam_channel::Receiver<Command>,
    pub sealer: mpsc::UnboundedSender<SealJob>,
    pub client_ids: mpsc::Sender<ClientId>,
    pub next_sequence: u64,
    state: State,
}

#[derive(Default)]
struct State {
    segment: Option<Segment>,
    /// Waiting for the disk.
    acks: Vec<Ack>,
    slices: Vec<Slice>,
    /// A record of a gap waits to be written.
    unwritten: bool,
    /// What the disk did not take, to be recorded once it takes writes again.
    lost: Vec<(StreamHeader, gap::Gap)>,
    emit_at: Option<Instant>,
    sync_at: Option<Instant>,
    retry_at: Option<Instant>,
    /// Predictions in what waits for the disk.
    unwritten_events: u64,
    /// Rows since it was quiet last, and when it is quiet unless more come.
    rows: u64,
    quiet_at: Option<Instant>,
    /// A sync of the segment failed: what it holds may be gone, whatever a later sync says.
    suspect: bool,
    /// When the tiles were last put down for the sealer.
    snapshot_at: Option<Instant>,
    /// When tiles were last rolled up.
    rolled_at: Option<Instant>,
    closing: bool,
}

impl Writer {
    pub fn new(
        shared: Arc<Shared>,
        commands: crossbeam_channel::Receiver<Command>,
        sealer: mpsc::UnboundedSender<SealJob>,
        client_ids: mpsc::Sender<ClientId>,
        next_sequence: u64,
    ) -> Self {
        Self { shared, commands, sealer, client_ids, next_sequence, state: State::default() }
    }

    /// Runs until told to close. Should it stop at a bug, the journal says so, and events are only counted.
    pub fn run(self) {
        // Not held: whoever was told of the end may open the folder again, and finds it free.
        let shared = Arc::downgrade(&self.shared);
        if std::panic::catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            let Some(shared) = shared.upgrade() else { return };
            tracing::error!("the journal's writer stopped at a bug: events are counted and not stored until a restart");
            shared.counters.degraded.store(1, Relaxed);
            shared.counters.failed(&shared.counters.write_errors, "the writer stopped at a bug".into());
            shared.queue.close();
        }
    }

    fn work(mut self) {
        self.shared.queue.attach(std::thread::current());
        loop {
            let begun = Instant::now();
            let urgent = self.shared.queue.take_urgent();
            let commands: Vec<Command> = self.commands.try_iter().collect();
            let asked = urgent || self.state.closing || !commands.is_empty() || is_due(self.state.emit_at);
            if asked {
                self.take_events();
            } else if self.state.emit_at.is_none() && !self.shared.queue.is_empty() {
                self.state.emit_at = Some(begun + self.shared.settings.emit_every);
            }
            self.count_overflow();
            let mut seals = Vec::new();
            for command in commands {
                match command {
                    Command::Flush(done) => self.state.acks.push(done),
                    Command::Seal(done) => seals.push(done),
                    Command::Rows(header, batch, done) => self.store_asked(header, batch, done),
                    Command::Close => self.state.closing = true,
                }
            }
            self.persist(asked);
            self.rotate_if_due(seals);
            self.roll_if_due();
            if is_due(self.state.quiet_at) {
                (self.state.rows, self.state.quiet_at) = (0, None);
                (self.shared.settings.quiet)();
            }
            spend(&self.shared.counters.spent.awake, begun);
            if self.state.closing && self.shared.queue.is_empty() && self.commands.is_empty() {
                self.finish();
                return;
            }
            self.sleep();
        }
    }

    fn roll_if_due(&mut self) {
        if self.state.rolled_at.is_none_or(|at| at.elapsed() >= ROLL) {
            let begun = Instant::now();
            self.shared.tiles.roll(self.shared.ctx.now());
            self.state.rolled_at = Some(begun);
            spend(&self.shared.counters.spent.rotate, begun);
        }
    }

    /// Takes what requests left, into tiles and log frames.
    fn take_events(&mut self) {
        self.state.emit_at = None;
        let mut batches = Vec::new();
        self.shared.queue.take(&mut batches, &mut self.state.acks);
        for batch in batches {
            self.state.rows += batch.rows() as u64;
            self.emit(batch);
        }
        if self.state.rows >= MUCH {
            self.state.quiet_at = Some(Instant::now() + QUIET);
        }
    }

    fn emit(&mut self, batch: Batch) {
        for id in batch.client_ids() {
            if self.client_ids.try_send(id).is_err() {
                self.shared.counters.client_ids_skipped.fetch_add(1, Relaxed);
            }
        }
        let header = StreamHeader {
            tenant: batch.tenant.as_str().to_owned(),
            kind: Kind::Prediction,
            deployment: Some(batch.target.deployment.clone()),
            fingerprint: batch.fingerprint,
        };
        let (lines, dropped) = (batch.rows() as u64, batch.payloads_dropped);
        let gap = (dropped > 0).then(|| gap::of_payloads(&batch.target, dropped, self.shared.ctx.now()));
        match batch.finish() {
            Ok(rows) => self.store(header.clone(), rows),
            Err(e) => {
                tracing::error!(error = %e, lines, "rows cannot be put into columns and are lost");
                self.shared.counters.rows_lost.fetch_add(lines, Relaxed);
                self.shared.counters.failed(&self.shared.counters.write_errors, e.to_string());
            }
        }
        if let Some(gap) = gap {
            self.store_gap(header, gap);
        }
    }

    /// Counts a request's rows in tiles and keeps them; what cannot be kept is on record as lost.
    fn store(&mut self, header: StreamHeader, batch: RecordBatch) {
        let spent = &Arc::clone(&self.shared.counters).spent;
        let begun = Instant::now();
        self.shared.tiles.absorb(&header, &batch, false);
        spend(&spent.tiles, begun);
        if self.keep(&header, &batch).is_err() {
            self.shared.counters.rows_lost.fetch_add(batch.num_rows() as u64, Relaxed);
            gap::add_lost(&mut self.state.lost, &header, &batch, self.shared.ctx.now());
        }
        self.show(header, batch);
    }

    /// Keeps rows for one who waits. What is refused is not lost: the other still has it and is told.
    fn store_asked(&mut self, header: StreamHeader, batch: RecordBatch, done: Done) {
        if let Err(refused) = self.keep(&header, &batch) {
            let _gone = done.send(Err(refused));
            return;
        }
        self.state.acks.push(done);
        self.show(header, batch);
    }

    /// Hands rows to the segment.
    fn keep(&mut self, header: &StreamHeader, batch: &RecordBatch) -> Result<(), JournalError> {
        let begun = Instant::now();
        let pushed = self.open_segment().and_then(|segment| segment.push(header, batch));
        spend(&self.shared.counters.spent.encode, begun);
        match &pushed {
            Ok(()) => self.state.unwritten_events += tally::events(header.kind, batch),
            Err(e) => self.failed(e),
        }
        if self.state.segment.as_ref().map_or(0, Segment::pending_bytes) >= WRITE_BYTES {
            self.write();
        }
        pushed
    }

    /// Shows rows to those who follow the stream.
    fn show(&mut self, header: StreamHeader, batch: RecordBatch) {
        if self.shared.live.receiver_count() > 0 {
            self.state.slices.push(Slice { header: Arc::new(header), batch });
        }
    }

    /// The segment to append to. Refuses when the disk has not taken what waits already.
    fn open_segment(&mut self) -> Result<&mut Segment, JournalError> {
        let limit = self.shared.settings.max_bytes.max(MIN_HELD);
        if self.state.segment.is_none() {
            let id = SegmentId { sequence: self.next_sequence, id: self.shared.ctx.event_id().0 };
            let segment = Segment::new(&self.shared.settings.dir, id);
            self.next_sequence += 1;
            let open = OpenSegment { id, path: segment.path.clone(), len: segment.written(), sealed: false };
            self.shared.segments.lock().push(open);
            self.state.segment = Some(segment);
        }
        match &mut self.state.segment {
            Some(s) if s.pending_bytes() < limit => Ok(s),
            _ => Err(JournalError::NotDurable { why: "the disk takes no writes and memory is full".into() }),
        }
    }

    /// Writes and syncs what is due; with `asked` there may be something new to write.
    fn persist(&mut self, asked: bool) {
        if asked || self.state.unwritten {
            self.state.unwritten = false;
            self.publish();
            self.write();
        } else if is_due(self.state.retry_at) {
            self.write();
        }
        let unsynced = self.state.segment.as_ref().is_some_and(Segment::is_unsynced);
        if unsynced && (!self.state.acks.is_empty() || is_due(self.state.sync_at)) {
            self.sync();
        }
        self.answer();
    }

    fn publish(&mut self) {
        if self.state.slices.is_empty() {
            return;
        }
        let slices = std::mem::take(&mut self.state.slices);
        // Fails when the last subscriber has just left.
        let _nobody = self.shared.live.send(Arc::new(MicroBatch { slices }));
    }

    fn write(&mut self) {
        // A full disk is asked again now and then, not by each event.
        if self.state.retry_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        let Some(segment) = &mut self.state.segment else { return };
        let begun = Instant::now();
        let written = segment.write();
        spend(&self.shared.counters.spent.write, begun);
        match written {
            Ok((0, _)) => {}
            Ok((bytes, rows)) => {
                let counters = &self.shared.counters;
                counters.bytes.fetch_add(bytes, Relaxed);
                counters.rows.fetch_add(rows, Relaxed);
                counters.degraded.store(0, Relaxed);
                self.state.retry_at = None;
                let events = std::mem::take(&mut self.state.unwritten_events);
                if let Some(tally) = &self.shared.tally {
                    tally.add(tally::WRITTEN, events);
                }
                let written = segment.written();
                if let Some(open) = self.shared.segments.lock().last_mut() {
                    open.len = written;
                }
                if self.state.sync_at.is_none() {
                    let settings = &self.shared.settings;
                    let left = match settings.sync {
                        // What is written now has waited for its batch already.
                        SyncMode::Interval(every) => every.saturating_sub(settings.emit_every),
                        SyncMode::Always => Duration::ZERO,
                    };
                    self.state.sync_at = Some(Instant::now() + left);
                }
                for (header, gap) in std::mem::take(&mut self.state.lost) {
                    self.store_gap(header, gap);
                }
            }
            Err(e) => self.failed(&e),
        }
    }

    fn sync(&mut self) {
        let Some(segment) = &mut self.state.segment else { return };
        let begun = Instant::now();
        let synced = segment.sync();
        spend(&self.shared.counters.spent.sync, begun);
        match synced {
            Ok(()) => {
                let counters = &self.shared.counters;
                counters.syncs.fetch_add(1, Relaxed);
                self.state.sync_at = None;
                // When it was the sync that failed, no write follows that would say so.
                if segment.pending_bytes() == 0 {
                    counters.degraded.store(0, Relaxed);
                    self.state.retry_at = None;
                }
            }
            Err(e) => {
                self.state.suspect = true;
                self.failed(&e);
            }
        }
    }

    /// Tells those who wait for the disk, when nothing of theirs is in memory any more.
    fn answer(&mut self) {
        if self.state.acks.is_empty() {
            return;
        }
        let safe = self.state.retry_at.is_none()
            && self.state.segment.as_ref().is_none_or(|s| s.pending_bytes() == 0 && !s.is_unsynced());
        for ack in self.state.acks.drain(..) {
            let result = if safe {
                Ok(())
            } else {
                let why = self.shared.counters.last_error.lock().clone();
                Err(JournalError::NotDurable { why: why.unwrap_or_else(|| "the writer is behind".into()) })
            };
            let _gone = ack.send(result);
        }
    }

    fn failed(&mut self, e: &JournalError) {
        let counters = &self.shared.counters;
        if counters.degraded.swap(1, Relaxed) == 0 {
            tracing::error!(error = %e, "the journal cannot write; it retries and keeps counting");
            self.shared.due.now();
        }
        counters.failed(&counters.write_errors, e.to_string());
        let retry_at = *self.state.retry_at.insert(Instant::now() + RETRY);
        self.state.sync_at = self.state.sync_at.map(|_| retry_at);
    }

    fn count_overflow(&mut self) {
        let overflow = self.shared.queue.take_overflow();
        if overflow.is_empty() {
            return;
        }
        self.shared.tiles.absorb_overflow(&overflow);
        for ((tenant, target), uncounted) in &overflow {
            let header = StreamHeader {
                tenant: tenant.as_str().to_owned(),
                kind: Kind::Gap,
                deployment: Some(target.deployment.clone()),
                fingerprint: 0,
            };
            for gap in gap::of_events(target, uncounted) {
                self.store_gap(header.clone(), gap);
            }
        }
    }

    /// Puts a gap on record; one that finds no room waits for the disk.
    fn store_gap(&mut self, mut header: StreamHeader, gap: gap::Gap) {
        let Ok(batch) = gap.batch() else { return };
        header.kind = Kind::Gap;
        header.fingerprint = layout::fingerprint(&batch.schema());
        if self.keep(&header, &batch).is_err() {
            gap::add(&mut self.state.lost, header, gap);
            return;
        }
        self.state.unwritten = true;
        self.show(header, batch);
    }
}

fn is_due(at: Option<Instant>) -> bool {
    at.is_some_and(|at| at <= Instant::now())
}

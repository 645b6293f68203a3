//! The writer: one thread that turns waiting events into batches, log frames and tiles.

use crate::batch::{self, Batch};
use crate::error::JournalError;
use crate::journal::Shared;
use crate::layout::{self, Layout, Names};
use crate::live::{MicroBatch, Slice};
use crate::log::StreamHeader;
use crate::log::segment::{Segment, SegmentId};
use crate::queue::{Ack, Item};
use crate::seal::SealJob;
use crate::settings::SyncMode;
use crate::snapshot::{Kind, OpenSegment};
use arrow::array::RecordBatch;
use mainspring_core::{Prediction, Target, Tenant};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

mod gap;
mod rotate;

/// How long the writer lets events gather before it takes them.
const LINGER: Duration = Duration::from_millis(5);
/// Encoded bytes that are written without waiting for the time.
const WRITE_BYTES: usize = 1 << 20;
/// Encoded bytes that a full disk may keep in memory, at least.
const MIN_HELD: usize = 8 << 20;
/// How long it waits before it tries a failing disk again.
const RETRY: Duration = Duration::from_millis(500);
/// A batch that took nothing for this long is forgotten.
const FORGET: Duration = Duration::from_secs(60);
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

/// A prediction that carried its caller's own id.
pub(crate) struct ClientId {
    pub tenant: Tenant,
    pub target: Arc<Target>,
    pub id: Arc<str>,
    pub prediction: mainspring_core::EventId,
    pub at: mainspring_core::Timestamp,
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
    batches: Vec<Batch>,
    segment: Option<Segment>,
    /// Waiting for the disk.
    acks: Vec<Ack>,
    slices: Vec<Slice>,
    /// What the disk did not take, to be recorded once it takes writes again.
    lost: Vec<(StreamHeader, gap::Gap)>,
    emit_at: Option<Instant>,
    sync_at: Option<Instant>,
    retry_at: Option<Instant>,
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

    /// Runs until told to close.
    pub fn run(mut self) {
        self.shared.queue.attach(std::thread::current());
        let (mut items, mut spare) = (Vec::new(), Vec::new());
        loop {
            let urgent = self.shared.queue.take_urgent();
            let commands: Vec<Command> = self.commands.try_iter().collect();
            self.shared.queue.drain(&mut items, &mut spare);
            self.absorb_all(&mut items);
            self.count_overflow();
            let asked = urgent || !commands.is_empty() || !self.state.acks.is_empty();
            let mut seals = Vec::new();
            for command in commands {
                match command {
                    Command::Flush(done) => self.state.acks.push(done),
                    Command::Seal(done) => seals.push(done),
                    Command::Rows(header, batch, done) => {
                        self.store(header, batch);
                        self.state.acks.push(done);
                    }
                    Command::Close => self.state.closing = true,
                }
            }
            self.persist(asked);
            self.rotate_if_due(seals);
            if self.state.closing && self.shared.queue.is_empty() && self.commands.is_empty() {
                self.finish();
                return;
            }
            self.sleep();
        }
    }

    fn absorb_all(&mut self, items: &mut Vec<Item>) {
        let mut names: Option<(Arc<Target>, Names)> = None;
        for item in items.drain(..) {
            let p = &item.prediction;
            if names.as_ref().is_none_or(|(t, _)| !Arc::ptr_eq(t, &p.target)) {
                let of = self.shared.descriptions.of(p.tenant.as_str(), &p.target.deployment);
                names = Some((Arc::clone(&p.target), of));
            }
            if let Some((_, names)) = &names {
                self.absorb(&item, names);
            }
            self.state.acks.extend(item.ack);
        }
    }

    fn absorb(&mut self, item: &Item, names: &Names) {
        let p = &item.prediction;
        if let Some(id) = &p.client_id {
            self.index(p, id);
        }
        let at = self.batch_for(p, names);
        self.state.batches[at].payloads_dropped += u64::from(item.payload_dropped);
        let lines = batch::lines(p);
        let mut from = 0;
        while from < lines {
            let room = batch::MAX_ROWS.saturating_sub(self.state.batches[at].rows()).max(1);
            let to = lines.min(from + room);
            self.state.batches[at].push(p, from..to, item.payload_dropped);
            from = to;
            if self.state.batches[at].is_full() {
                self.emit(at);
            }
        }
        if self.state.emit_at.is_none() {
            self.state.emit_at = Some(Instant::now() + self.shared.settings.emit_every);
        }
    }

    fn index(&self, p: &Prediction, id: &Arc<str>) {
        let entry = ClientId {
            tenant: p.tenant.clone(),
            target: Arc::clone(&p.target),
            id: Arc::clone(id),
            prediction: p.id,
            at: p.at,
        };
        if self.client_ids.try_send(entry).is_err() {
            self.shared.counters.client_ids_skipped.fetch_add(1, Relaxed);
        }
    }

    /// The batch that takes `p`; a new one when none fits.
    fn batch_for(&mut self, p: &Prediction, names: &Names) -> usize {
        let bare = !batch::has_payload(p);
        let batches = &mut self.state.batches;
        let found = batches.iter().position(|b| b.is_for(&p.tenant, &p.target) && (bare || b.layout.matches(p, names)));
        if let Some(at) = found {
            return at;
        }
        let layout = if bare { Layout::default() } else { Layout::of(p, names) };
        batches.push(Batch::new(p.tenant.clone(), Arc::clone(&p.target), layout));
        batches.len() - 1
    }

    /// Turns a batch's rows into tiles and log frames.
    fn emit(&mut self, at: usize) {
        let batch = &mut self.state.batches[at];
        let dropped = std::mem::take(&mut batch.payloads_dropped);
        let header = StreamHeader {
            tenant: batch.tenant.as_str().to_owned(),
            kind: Kind::Prediction,
            deployment: Some(batch.target.deployment.clone()),
            fingerprint: batch.fingerprint,
        };
        batch.last_used = Instant::now();
        let target = Arc::clone(&batch.target);
        let gap = (dropped > 0).then(|| gap::of_payloads(&target, dropped, self.shared.ctx.now()));
        match batch.take() {
            Ok(rows) => self.store(header.clone(), rows),
            Err(e) => self.shared.counters.failed(&self.shared.counters.write_errors, e.to_string()),
        }
        if let Some(gap) = gap {
            self.store_gap(header, gap);
        }
    }

    /// Counts rows in tiles, shows them to subscribers and hands them to the segment.
    fn store(&mut self, header: StreamHeader, batch: RecordBatch) {
        self.shared.tiles.absorb(&header, &batch, false);
        if let Err(e) = self.open_segment().and_then(|segment| segment.push(&header, &batch)) {
            self.shared.counters.rows_lost.fetch_add(batch.num_rows() as u64, Relaxed);
            gap::add_lost(&mut self.state.lost, &header, &batch, self.shared.ctx.now());
            self.failed(&e);
        }
        let waiting = self.state.segment.as_ref().map_or(0, Segment::pending_bytes);
        if waiting >= WRITE_BYTES && self.state.retry_at.is_none() {
            self.write();
        }
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
            let open = OpenSegment { id, path: segment.path.clone(), len: segment.written() };
            self.shared.open.lock().push(open);
            self.state.segment = Some(segment);
        }
        match &mut self.state.segment {
            Some(s) if s.pending_bytes() < limit => Ok(s),
            _ => Err(JournalError::NotDurable { why: "the disk takes no writes and memory is full".into() }),
        }
    }

    /// Emits, writes and syncs what is due; with `asked` everything is.
    fn persist(&mut self, asked: bool) {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if asked || due(self.state.emit_at) {
            self.state.emit_at = None;
            for at in 0..self.state.batches.len() {
                if self.state.batches[at].rows() > 0 {
                    self.emit(at);
                }
            }
            self.state.batches.retain(|b| b.rows() > 0 || b.last_used.elapsed() < FORGET);
            self.publish();
            self.write();
        } else if due(self.state.retry_at) {
            self.write();
        }
        let unsynced = self.state.segment.as_ref().is_some_and(Segment::is_unsynced);
        if unsynced && (!self.state.acks.is_empty() || due(self.state.sync_at)) {
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
        let Some(segment) = &mut self.state.segment else { return };
        match segment.write() {
            Ok((0, _)) => {}
            Ok((bytes, rows)) => {
                let counters = &self.shared.counters;
                counters.bytes.fetch_add(bytes, Relaxed);
                counters.rows.fetch_add(rows, Relaxed);
                counters.degraded.store(0, Relaxed);
                self.state.retry_at = None;
                let written = segment.written();
                if let Some(open) = self.shared.open.lock().last_mut() {
                    open.len = written;
                }
                if self.state.sync_at.is_none() {
                    let every = match self.shared.settings.sync {
                        SyncMode::Interval(every) => every,
                        SyncMode::Always => Duration::ZERO,
                    };
                    self.state.sync_at = Some(Instant::now() + every);
                }
                for (header, gap) in std::mem::take(&mut self.state.lost) {
                    self.store_gap(header, gap);
                    self.state.emit_at.get_or_insert_with(Instant::now);
                }
            }
            Err(e) => self.failed(&e),
        }
    }

    fn sync(&mut self) {
        let Some(segment) = &mut self.state.segment else { return };
        match segment.sync() {
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
            Err(e) => self.failed(&e),
        }
    }

    /// Tells those who wait for the disk, when nothing of theirs is in memory any more.
    fn answer(&mut self) {
        if self.state.acks.is_empty() {
            return;
        }
        let safe = self.state.batches.iter().all(|b| b.rows() == 0)
            && self.state.retry_at.is_none()
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
        }
        counters.failed(&counters.write_errors, e.to_string());
        let retry_at = Instant::now() + RETRY;
        self.state.retry_at = Some(retry_at);
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
            self.store_gap(header, gap::of_events(target, uncounted));
        }
        self.state.emit_at.get_or_insert_with(Instant::now);
    }

    fn store_gap(&mut self, mut header: StreamHeader, gap: gap::Gap) {
        let Ok(batch) = gap.batch() else { return };
        header.kind = Kind::Gap;
        header.fingerprint = layout::fingerprint(&batch.schema());
        self.store(header, batch);
    }
}

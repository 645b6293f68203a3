//! The atomics of one version.

use super::{BatchStats, CacheStats, ClosedBy, Counted, FailureCount, Histogram, VersionStats};
use crate::cache::Lookup;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, ErrorKind, Target, Tensor, Timestamp, Timing, Tokens};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Exact sizes up to this, powers of two beyond.
const EXACT: usize = 128;
const SIZES: usize = EXACT + 64;

#[derive(Debug, Default)]
struct Cell {
    count: AtomicU64,
    ns: AtomicU64,
}

impl Cell {
    fn add(&self, ns: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.ns.fetch_add(ns, Ordering::Relaxed);
    }

    fn view(&self) -> Counted {
        Counted { count: self.count.load(Ordering::Relaxed), ns: self.ns.load(Ordering::Relaxed) }
    }
}

/// What one answered request adds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub at: Timestamp,
    pub rows: u32,
    pub timing: Timing,
    /// Whether it was kept: no engine was asked.
    pub cached: bool,
}

/// Counters that requests add to.
#[derive(Debug)]
pub(crate) struct Recorder {
    last: AtomicI64,
    rows: AtomicU64,
    kept_rows: AtomicU64,
    executions: AtomicU64,
    success: Cell,
    fail: Cell,
    failures: [AtomicU64; ErrorKind::ALL.len()],
    queue: Histogram,
    engine: Histogram,
    encode: Histogram,
    total: Histogram,
    sizes: Box<[Cell]>,
    closed: [AtomicU64; ClosedBy::ALL.len()],
    nans: AtomicU64,
    hits: Cell,
    misses: Cell,
    tokens_in: AtomicU64,
    tokens_out: AtomicU64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            last: AtomicI64::new(i64::MIN),
            rows: AtomicU64::new(0),
            kept_rows: AtomicU64::new(0),
            executions: AtomicU64::new(0),
            success: Cell::default(),
            fail: Cell::default(),
            failures: Default::default(),
            queue: Histogram::default(),
            engine: Histogram::default(),
            encode: Histogram::default(),
            total: Histogram::default(),
            sizes: (0..SIZES).map(|_| Cell::default()).collect(),
            closed: Default::default(),
            nans: AtomicU64::new(0),
            hits: Cell::default(),
            misses: Cell::default(),
            tokens_in: AtomicU64::new(0),
            tokens_out: AtomicU64::new(0),
        }
    }
}

fn size_index(rows: usize) -> usize {
    if rows <= EXACT { rows } else { (EXACT + rows.next_power_of_two().ilog2() as usize).min(SIZES - 1) }
}

fn size_of_index(index: usize) -> usize {
    if index <= EXACT { index } else { 1 << (index - EXACT) }
}

/// Hardly any output has one: whether a part has any, which the compiler turns into vectors, takes a fraction of what counting
/// takes.
fn nans<T: bytemuck::Pod>(tensor: &Tensor, is_nan: impl Fn(T) -> bool) -> u64 {
    let any = |part: &&[T]| part.iter().fold(false, |any, v| any | is_nan(*v));
    let part = |part: &[T]| part.iter().filter(|v| is_nan(**v)).count() as u64;
    let count = |values: &[T]| values.chunks(1 << 10).filter(any).map(part).sum::<u64>();
    match tensor.as_slice() {
        Some(values) => count(values),
        // What came out of another process lies where its header ends.
        None => tensor.to_vec().map_or(0, |values| count(&values)),
    }
}

impl Recorder {
    /// A call of the engine ended, whether well or not.
    pub fn executed(&self, rows: usize, engine_ns: u64, closed: ClosedBy) {
        self.executions.fetch_add(1, Ordering::Relaxed);
        self.sizes[size_index(rows)].add(engine_ns);
        self.closed[closed as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A request was answered and its answer encoded.
    pub fn answered(&self, sample: Sample) {
        self.last.fetch_max(sample.at.0, Ordering::Relaxed);
        self.rows.fetch_add(u64::from(sample.rows), Ordering::Relaxed);
        self.success.add(sample.timing.total_ns);
        if sample.cached {
            self.kept_rows.fetch_add(u64::from(sample.rows), Ordering::Relaxed);
        } else {
            self.queue.record(sample.timing.queue_ns);
            self.engine.record(sample.timing.engine_ns);
        }
        self.encode.record(sample.timing.encode_ns);
        self.total.record(sample.timing.total_ns);
    }

    /// An answer was looked for among those that are kept.
    pub fn looked_up(&self, lookup: Lookup, ns: u64) {
        match lookup {
            Lookup::Hit => self.hits.add(ns),
            Lookup::Miss => self.misses.add(ns),
            Lookup::Bypass => {}
        }
    }

    /// Tokens were spent.
    pub fn spent(&self, tokens: Tokens) {
        self.tokens_in.fetch_add(tokens.input, Ordering::Relaxed);
        self.tokens_out.fetch_add(tokens.output, Ordering::Relaxed);
    }

    /// A request failed or was refused.
    pub fn failed(&self, kind: ErrorKind, total_ns: u64) {
        self.fail.add(total_ns);
        if let Some(place) = ErrorKind::ALL.iter().position(|k| *k == kind) {
            self.failures[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts the NaN values among outputs.
    pub fn count_nans(&self, outputs: &[NamedTensor]) {
        let nans: u64 = outputs
            .iter()
            .map(|o| match o.tensor.dtype() {
                DType::Fp32 => nans(&o.tensor, f32::is_nan),
                DType::Fp64 => nans(&o.tensor, f64::is_nan),
                DType::Fp16 => nans(&o.tensor, half::f16::is_nan),
                DType::Bf16 => nans(&o.tensor, half::bf16::is_nan),
                _ => 0,
            })
            .sum();
        if nans > 0 {
            self.nans.fetch_add(nans, Ordering::Relaxed);
        }
    }

    /// Requests answered, and failed.
    pub fn counts(&self) -> (u64, u64) {
        (self.success.view().count, self.fail.view().count)
    }

    /// Mean time in the engine, nanoseconds.
    pub fn mean_engine_ns(&self) -> u64 {
        let calls: Counted = self
            .sizes
            .iter()
            .map(Cell::view)
            .fold(Counted::default(), |a, b| Counted { count: a.count + b.count, ns: a.ns + b.ns });
        calls.ns.checked_div(calls.count).unwrap_or(0)
    }

    pub fn failures(&self) -> Vec<FailureCount> {
        ErrorKind::ALL
            .iter()
            .zip(&self.failures)
            .map(|(kind, n)| FailureCount { kind: *kind, count: n.load(Ordering::Relaxed) })
            .filter(|f| f.count > 0)
            .collect()
    }

    pub fn sizes(&self) -> Vec<BatchStats> {
        self.sizes
            .iter()
            .enumerate()
            .map(|(i, cell)| (size_of_index(i), cell.view()))
            .filter(|(_, c)| c.count > 0)
            .map(|(rows, c)| BatchStats { rows, executions: c.count, engine_ns: c.ns })
            .collect()
    }

    pub fn closed(&self) -> Vec<(ClosedBy, u64)> {
        ClosedBy::ALL.iter().map(|by| (*by, self.closed[*by as usize].load(Ordering::Relaxed))).collect()
    }

    /// A copy; the caller fills in what only it knows.
    pub fn view(&self, target: Arc<Target>) -> VersionStats {
        let last = self.last.load(Ordering::Relaxed);
        VersionStats {
            target,
            current: false,
            last_inference: (last != i64::MIN).then_some(Timestamp(last)),
            inference_count: self.rows.load(Ordering::Relaxed),
            kept_count: self.kept_rows.load(Ordering::Relaxed),
            execution_count: self.executions.load(Ordering::Relaxed),
            success: self.success.view(),
            fail: self.fail.view(),
            failures: self.failures(),
            queue: self.queue.view(),
            engine: self.engine.view(),
            encode: self.encode.view(),
            total: self.total.view(),
            batches: self.sizes(),
            nan_outputs: self.nans.load(Ordering::Relaxed),
            cache: CacheStats { hits: self.hits.view(), misses: self.misses.view(), ..CacheStats::default() },
            tokens: Tokens {
                input: self.tokens_in.load(Ordering::Relaxed),
                output: self.tokens_out.load(Ordering::Relaxed),
            },
            memory_bytes: 0,
            restarts: None,
        }
    }
}

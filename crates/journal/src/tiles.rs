//! Tiles: what is kept of each minute of each version, small enough to keep and mergeable into any
//! window.
//!
//! A tile is a minute of one deployment, variant and version: how many requests, how they ended, where
//! the time went, and a profile of each input and output column. The minutes of an hour become one tile when the last of
//! them is older than [`KEEP_MINUTES`], the hours of a day when it is older than [`KEEP_HOURS`], days go after
//! [`KEEP_DAYS`]. A window is the merge of the tiles that begin in it, so a window older than the minutes is exact to the
//! hour. Columns of tiles that nobody adds to any more are [parked](parked) in files, and so are those of others when
//! they hold more than memory allows; when the disk takes none, all of these times are shorter.

use mainspring_core::{ErrorKind, Tenant, Timing};
use mainspring_stats::{Kll, NumericProfile, TextProfile};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use series::Series;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod absorb;
mod live;
mod parked;
mod roll;
mod series;
mod store;
mod window;

pub(crate) use store::{TileSnapshot, write};

pub use live::{LiveWindow, Point, Quantiles};
pub use window::Window;

pub(crate) const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Minutes that are kept as minutes.
pub const KEEP_MINUTES: i64 = 90;
/// Hours that are kept as hours.
pub const KEEP_HOURS: i64 = 72;
/// Days that are kept.
pub const KEEP_DAYS: i64 = 90;
/// Columns of one tile; further ones are not profiled.
const MAX_COLUMNS: usize = 1_024;
/// Bytes that all tiles may hold in memory, beside those of the last two minutes. Past it columns go to files.
const MAX_BYTES: usize = 16 << 20;
/// Bytes of a text column's profile, about: a HyperLogLog sketch and a map of frequent values.
const TEXT_BYTES: usize = 8 << 10;

/// Durations in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Sum, for the mean.
    pub sum_us: f64,
    /// Quantiles.
    pub quantiles: Kll,
}

impl Default for Latency {
    fn default() -> Self {
        Self { sum_us: 0.0, quantiles: Kll::new(200) }
    }
}

impl Latency {
    fn extend(&mut self, us: &[f64]) {
        self.sum_us += us.iter().sum::<f64>();
        self.quantiles.extend(us);
    }

    fn merge(&mut self, other: &Self) {
        self.sum_us += other.sum_us;
        self.quantiles.merge(&other.quantiles);
    }
}

/// Requests of one tile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestTile {
    /// Requests, however they ended.
    pub requests: u64,
    /// Rows answered.
    pub rows: u64,
    /// Failed requests by kind.
    pub failed: Vec<(ErrorKind, u64)>,
    /// Requests that named their version or variant.
    pub forced: u64,
    /// Requests whose payload was dropped because memory was full.
    pub payloads_dropped: u64,
    /// Requests that are counted here but stand in no log, because memory was full.
    pub unstored: u64,
    /// From the parsed request to the encoded answer, of what was answered: a failure is neither quick nor slow. Tiles that
    /// earlier versions wrote have failures among them.
    pub total: Latency,
    /// Waiting for admission and a batch.
    pub queue: Latency,
    /// Looking features up; requests without features are left out.
    pub features: Latency,
    /// In the engine.
    pub engine: Latency,
    /// Encoding the answer.
    pub encode: Latency,
}

impl RequestTile {
    /// Counts one request.
    pub(crate) fn record(&mut self, failed: Option<ErrorKind>, rows: u32, forced: bool, timing: &Timing) {
        let us = |ns: u64| ns as f64 / 1000.0;
        self.count(failed, u64::from(rows), forced);
        if failed.is_some() {
            return;
        }
        let times = [timing.queue_ns, timing.features_ns, timing.engine_ns, timing.encode_ns, timing.total_ns];
        self.times(times.map(|ns| [us(ns)]).each_ref().map(<[f64; 1]>::as_slice));
    }

    fn count(&mut self, failed: Option<ErrorKind>, rows: u64, forced: bool) {
        self.requests += 1;
        self.forced += u64::from(forced);
        match failed {
            None => self.rows += rows,
            Some(kind) => self.fail(kind, 1),
        }
    }

    fn fail(&mut self, kind: ErrorKind, n: u64) {
        match self.failed.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, count)) => *count += n,
            None => self.failed.push((kind, n)),
        }
    }

    /// Queue, features, engine, encode, total, each of the same answers.
    fn times(&mut self, [queue, features, engine, encode, total]: [&[f64]; 5]) {
        self.queue.extend(queue);
        for us in features.iter().filter(|us| **us > 0.0) {
            self.features.extend(std::slice::from_ref(us));
        }
        self.engine.extend(engine);
        self.encode.extend(encode);
        self.total.extend(total);
    }

    /// Requests that failed, of every kind.
    pub fn errors(&self) -> u64 {
        self.failed.iter().map(|(_, n)| n).sum()
    }

    /// Adds everything that `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        self.merge_counts(other);
        self.total.merge(&other.total);
        self.queue.merge(&other.queue);
        self.features.merge(&other.features);
        self.engine.merge(&other.engine);
        self.encode.merge(&other.encode);
    }

    /// All but the times.
    fn merge_counts(&mut self, other: &Self) {
        self.requests += other.requests;
        self.rows += other.rows;
        self.forced += other.forced;
        self.payloads_dropped += other.payloads_dropped;
        self.unstored += other.unstored;
        other.failed.iter().for_each(|(kind, n)| self.fail(*kind, *n));
    }
}

/// A profile of one column, by its type. Whole numbers that come out of a model are classes as often
/// as quantities, so they have both.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Column {
    /// For numbers and booleans (0 and 1).
    pub numeric: Option<NumericProfile>,
    /// For texts, and for whole numbers that come out.
    pub text: Option<TextProfile>,
}

impl Column {
    fn merge(&mut self, other: &Self) {
        if let Some(theirs) = &other.numeric {
            self.numeric.get_or_insert_default().merge(theirs);
        }
        if let Some(theirs) = &other.text {
            self.text.get_or_insert_default().merge(theirs);
        }
    }
}

/// One minute, hour or day of one version, or a merge of several.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tile {
    /// Requests.
    pub requests: RequestTile,
    /// Profiles by column name: `in.<name>`, `out.<name>`, `in.<name>[3]` for the element of a list.
    pub columns: BTreeMap<String, Column>,
}

impl Tile {
    /// Adds everything that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        self.requests.merge(&other.requests);
        self.merge_columns(&other.columns);
    }

    /// Bytes held, about.
    fn byte_len(&self) -> usize {
        let r = &self.requests;
        let times = [&r.total, &r.queue, &r.features, &r.engine, &r.encode];
        size_of::<Self>() + times.iter().map(|t| t.quantiles.byte_len()).sum::<usize>() + self.column_bytes()
    }

    /// Those of the columns.
    fn column_bytes(&self) -> usize {
        let numeric = |c: &Column| c.numeric.as_ref().map_or(0, |n| n.quantiles.byte_len());
        let column = |(name, c): (&String, &Column)| {
            size_of::<Column>() + name.len() + numeric(c) + c.text.as_ref().map_or(0, |_| TEXT_BYTES)
        };
        self.columns.iter().map(column).sum()
    }

    /// Gives spare memory back once the tile no longer grows.
    fn shrink(&mut self) {
        let r = &mut self.requests;
        for times in [&mut r.total, &mut r.queue, &mut r.features, &mut r.engine, &mut r.encode] {
            times.quantiles.shrink();
        }
        for numeric in self.columns.values_mut().filter_map(|c| c.numeric.as_mut()) {
            numeric.quantiles.shrink();
        }
    }
}

/// Whose tiles.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct SeriesKey {
    tenant: String,
    deployment: Arc<str>,
    variant: String,
    model: String,
    version: String,
}

/// All tiles of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tiles(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Never held over a file or a merge: requests' statistics are read under it.
    series: Mutex<BTreeMap<SeriesKey, Series>>,
    /// The journal's folder; without one all columns stay in memory.
    dir: Option<PathBuf>,
    /// The number of the next file of columns.
    next: Mutex<u64>,
}

impl Tiles {
    /// Tiles whose columns may go to files below `dir`.
    pub(crate) fn in_folder(dir: &Path) -> Self {
        let next = Mutex::new(parked::next(dir));
        Self(Arc::new(Inner { series: Mutex::default(), dir: Some(dir.to_owned()), next }))
    }

    /// Deployments of a tenant that have tiles.
    pub fn deployments(&self, tenant: &Tenant) -> Vec<Arc<str>> {
        let all = self.0.series.lock();
        let mut names: Vec<Arc<str>> =
            all.keys().filter(|k| k.tenant == tenant.as_str()).map(|k| Arc::clone(&k.deployment)).collect();
        names.dedup();
        names
    }

    /// Forgets a deployment.
    pub fn forget(&self, tenant: &Tenant, deployment: &str) {
        self.0.series.lock().retain(|k, _| k.tenant != tenant.as_str() || *k.deployment != *deployment);
    }
}

#[cfg(test)]
mod tests;

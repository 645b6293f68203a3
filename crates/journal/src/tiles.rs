//! Tiles: what is kept of each minute of each version, small enough to keep and mergeable into any
//! window.
//!
//! A tile is a minute of one deployment, variant and version: how many requests, how they ended, where
//! the time went, and a profile of each input and output column. Minutes roll into hours after
//! [`KEEP_MINUTES`], hours into days after [`KEEP_HOURS`], days go after [`KEEP_DAYS`]. A window is the
//! merge of the tiles that begin in it, so a window older than the minutes is exact to the hour. When many
//! versions hold more than memory allows, all of these times are shorter.

use mainspring_core::{ErrorKind, Tenant, Timestamp, Timing};
use mainspring_stats::{Kll, NumericProfile, TextProfile};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

mod absorb;
mod live;
mod store;

pub(crate) use store::{TileSnapshot, write};

pub use live::{LiveWindow, Point, Quantiles};

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
const MAX_COLUMNS: usize = 256;
/// Bytes that all tiles may hold. Past it they roll up earlier.
const MAX_BYTES: usize = 64 << 20;
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
    /// From the parsed request to the encoded answer.
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

    /// Queue, features, engine, encode, total, each of the same requests.
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
        self.requests += other.requests;
        self.rows += other.rows;
        self.forced += other.forced;
        self.payloads_dropped += other.payloads_dropped;
        self.unstored += other.unstored;
        other.failed.iter().for_each(|(kind, n)| self.fail(*kind, *n));
        self.total.merge(&other.total);
        self.queue.merge(&other.queue);
        self.features.merge(&other.features);
        self.engine.merge(&other.engine);
        self.encode.merge(&other.encode);
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
        for (name, column) in &other.columns {
            if let Some(mine) = self.columns.get_mut(name) {
                mine.merge(column);
            } else if self.columns.len() < MAX_COLUMNS {
                self.columns.insert(name.clone(), column.clone());
            }
        }
    }

    /// Bytes held, about.
    fn byte_len(&self) -> usize {
        let r = &self.requests;
        let times = [&r.total, &r.queue, &r.features, &r.engine, &r.encode];
        let numeric = |c: &Column| c.numeric.as_ref().map_or(0, |n| n.quantiles.byte_len());
        let column = |(name, c): (&String, &Column)| {
            size_of::<Column>() + name.len() + numeric(c) + c.text.as_ref().map_or(0, |_| TEXT_BYTES)
        };
        size_of::<Self>()
            + times.iter().map(|t| t.quantiles.byte_len()).sum::<usize>()
            + self.columns.iter().map(column).sum::<usize>()
    }

    /// Gives spare memory back once the tile no longer grows.
    fn shrink(&mut self) {
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

/// Tiles of one version over time, by the microsecond at which each begins.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Series {
    minutes: BTreeMap<i64, Tile>,
    hours: BTreeMap<i64, Tile>,
    days: BTreeMap<i64, Tile>,
}

impl Series {
    fn between(&self, since: i64, until: i64) -> impl Iterator<Item = (i64, &Tile)> {
        let range = move |m| BTreeMap::range(m, since..until.max(since)).map(|(at, t)| (*at, t));
        range(&self.days).chain(range(&self.hours)).chain(range(&self.minutes))
    }

    /// Rolls up what is older than a share of the times for which tiles are kept.
    fn roll(&mut self, now: i64, share: i64) {
        roll(&mut self.minutes, &mut self.hours, HOUR, now - KEEP_MINUTES * MINUTE / share);
        roll(&mut self.hours, &mut self.days, DAY, now - KEEP_HOURS * HOUR / share);
        self.days = self.days.split_off(&(now - KEEP_DAYS * DAY / share));
    }

    fn byte_len(&self) -> usize {
        [&self.minutes, &self.hours, &self.days].iter().flat_map(|t| t.values()).map(Tile::byte_len).sum()
    }
}

/// Moves tiles that begin before `before` from `fine` into the coarser tile that covers them.
fn roll(fine: &mut BTreeMap<i64, Tile>, coarse: &mut BTreeMap<i64, Tile>, step: i64, before: i64) {
    let kept = fine.split_off(&before);
    for (at, tile) in std::mem::replace(fine, kept) {
        coarse.entry(at - at.rem_euclid(step)).or_default().merge(&tile);
    }
}

/// The merge of one version's tiles in a window.
#[derive(Debug, Clone)]
pub struct Window {
    /// The variant.
    pub variant: String,
    /// The registered model, or the file.
    pub model: String,
    /// Its version.
    pub version: String,
    /// What was seen.
    pub tile: Tile,
}

/// All tiles of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tiles(Arc<Mutex<BTreeMap<SeriesKey, Series>>>);

impl Tiles {
    /// The window from `since` up to but not including `until`, by variant and version.
    pub fn windows(&self, tenant: &Tenant, deployment: &str, since: Timestamp, until: Timestamp) -> Vec<Window> {
        let all = self.0.lock();
        all.iter()
            .filter(|(key, _)| key.tenant == tenant.as_str() && *key.deployment == *deployment)
            .filter_map(|(key, series)| {
                let tile =
                    series.between(since.micros(), until.micros()).map(|(_, t)| t.clone()).reduce(|mut a, b| {
                        a.merge(&b);
                        a
                    })?;
                let (variant, model, version) = (key.variant.clone(), key.model.clone(), key.version.clone());
                Some(Window { variant, model, version, tile })
            })
            .collect()
    }

    /// The same window over all variants and versions.
    pub fn merged(&self, tenant: &Tenant, deployment: &str, since: Timestamp, until: Timestamp) -> Tile {
        let mut whole = Tile::default();
        self.windows(tenant, deployment, since, until).iter().for_each(|w| whole.merge(&w.tile));
        whole
    }

    /// Deployments of a tenant that have tiles.
    pub fn deployments(&self, tenant: &Tenant) -> Vec<Arc<str>> {
        let all = self.0.lock();
        let mut names: Vec<Arc<str>> =
            all.keys().filter(|k| k.tenant == tenant.as_str()).map(|k| Arc::clone(&k.deployment)).collect();
        names.dedup();
        names
    }

    /// Forgets a deployment.
    pub fn forget(&self, tenant: &Tenant, deployment: &str) {
        self.0.lock().retain(|k, _| k.tenant != tenant.as_str() || *k.deployment != *deployment);
    }

    /// Rolls minutes into hours and hours into days, by the time `now`.
    pub(crate) fn roll(&self, now: Timestamp) {
        self.roll_within(now, MAX_BYTES);
    }

    fn roll_within(&self, now: Timestamp, most: usize) {
        let mut all = self.0.lock();
        // From all of the time down to a sixty-fourth, which leaves the running minute and day.
        for share in (0..7).map(|n| 1 << n) {
            all.values_mut().for_each(|s| s.roll(now.micros(), share));
            if all.values().map(Series::byte_len).sum::<usize>() <= most {
                break;
            }
        }
        all.retain(|_, s| !(s.minutes.is_empty() && s.hours.is_empty() && s.days.is_empty()));
    }
}

#[cfg(test)]
mod tests;

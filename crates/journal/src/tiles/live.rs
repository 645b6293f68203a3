//! Windows for people: rates and percentiles of the last minutes.

use super::series::Held;
use super::{DAY, HOUR, MINUTE, RequestTile, Series, SeriesKey, Tile, Tiles};
use mainspring_core::{ErrorKind, Tenant, Timestamp};
use mainspring_stats::Kll;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Percentiles of a duration, microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

impl Quantiles {
    fn of(sum: f64, sketch: &Kll) -> Option<Self> {
        let view = sketch.view();
        Some(Self {
            mean: sum / sketch.count() as f64,
            p50: view.quantile(0.5)?,
            p95: view.quantile(0.95)?,
            p99: view.quantile(0.99)?,
            max: sketch.max()?,
        })
    }
}

/// One minute of a deployment, or the whole window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// When it begins.
    pub at: Timestamp,
    /// Requests, however they ended.
    pub requests: u64,
    /// Requests a second; for the running minute, of its elapsed part.
    pub requests_per_second: f64,
    /// Rows answered.
    pub rows: u64,
    /// Failed requests.
    pub errors: u64,
    /// Failed requests by kind.
    pub errors_by_kind: Vec<(ErrorKind, u64)>,
    /// Share of requests that failed, 0 to 1.
    pub error_rate: f64,
    /// From the parsed request to the encoded answer, microseconds; absent without requests.
    pub total: Option<Quantiles>,
    /// Waiting for admission and a batch.
    pub queue: Option<Quantiles>,
    /// Looking features up; absent when no request had features.
    pub features: Option<Quantiles>,
    /// In the engine.
    pub engine: Option<Quantiles>,
    /// Encoding the answer.
    pub encode: Option<Quantiles>,
}

impl Point {
    fn of(at: i64, seconds: f64, tile: &RequestTile) -> Self {
        let quantiles = |l: &super::Latency| Quantiles::of(l.sum_us, &l.quantiles);
        let errors = tile.errors();
        Self {
            at: Timestamp(at),
            requests: tile.requests,
            requests_per_second: tile.requests as f64 / seconds.max(1.0),
            rows: tile.rows,
            errors,
            errors_by_kind: tile.failed.clone(),
            error_rate: if tile.requests == 0 { 0.0 } else { errors as f64 / tile.requests as f64 },
            total: quantiles(&tile.total),
            queue: quantiles(&tile.queue),
            features: quantiles(&tile.features),
            engine: quantiles(&tile.engine),
            encode: quantiles(&tile.encode),
        }
    }
}

/// The last minutes of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveWindow {
    /// All of the window.
    pub whole: Point,
    /// Each minute of it, oldest first; minutes without requests are there with zeros.
    pub minutes: Vec<Point>,
    /// The whole window by variant and version.
    pub versions: Vec<VersionPoint>,
}

/// The window of one version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionPoint {
    /// The variant.
    pub variant: String,
    /// The registered model, or the file.
    pub model: String,
    /// Its version.
    pub version: String,
    /// What was seen.
    pub point: Point,
}

/// Tiles by when each begins.
type Minutes = Vec<(i64, Arc<Tile>)>;

impl Tiles {
    /// The minutes of each version of a deployment, to be merged without the lock.
    fn held_minutes(&self, tenant: &Tenant, deployment: &str, range: Range<i64>) -> Vec<(SeriesKey, Minutes)> {
        let all = self.0.series.lock();
        let of = all.iter().filter(|(k, _)| k.tenant == tenant.as_str() && *k.deployment == *deployment);
        let tiles = |series: &Series| {
            series.minutes.range(range.clone()).map(|(at, held)| (*at, Arc::clone(&held.tile))).collect()
        };
        of.map(|(key, series)| (key.clone(), tiles(series))).collect()
    }

    /// Requests of each minute from the one of `since` on that had any, over all variants and versions. A minute that
    /// has become part of an hour is not among them.
    pub fn minutes(&self, tenant: &Tenant, deployment: &str, since: Timestamp) -> Vec<(Timestamp, RequestTile)> {
        let since = since.micros() - since.micros().rem_euclid(MINUTE);
        let mut minutes: BTreeMap<i64, RequestTile> = BTreeMap::new();
        for (at, tile) in
            self.held_minutes(tenant, deployment, since..i64::MAX).into_iter().flat_map(|(_, tiles)| tiles)
        {
            minutes.entry(at).or_default().merge(&tile.requests);
        }
        minutes.into_iter().map(|(at, tile)| (Timestamp(at), tile)).collect()
    }

    /// The end of the last minute, hour or day in which another version than this one had requests; nothing when none had, as
    /// far as tiles are kept. What reached no version does not count.
    pub fn last_of_others(
        &self,
        tenant: &Tenant,
        deployment: &str,
        (model, version): (&str, &str),
    ) -> Option<Timestamp> {
        let all = self.0.series.lock();
        let others = all.iter().filter(|(k, _)| {
            k.tenant == tenant.as_str()
                && *k.deployment == *deployment
                && !k.version.is_empty()
                && (k.model != model || k.version != version)
        });
        let last = |(_, series): (&SeriesKey, &Series)| {
            let ends = [(&series.minutes, MINUTE), (&series.hours, HOUR), (&series.days, DAY)];
            ends.into_iter().filter_map(|(held, length)| Some(held.last_key_value()?.0 + length)).max()
        };
        others.filter_map(last).max().map(Timestamp)
    }

    /// The model and version that answered last as a variant, as far as tiles are kept: to the minute for some ninety of them,
    /// then to the hour and the day. Of two versions in one such part it is either.
    pub fn answered_last(&self, tenant: &Tenant, deployment: &str, variant: &str) -> Option<(String, String)> {
        let all = self.0.series.lock();
        let of = all.iter().filter(|(k, _)| {
            k.tenant == tenant.as_str() && *k.deployment == *deployment && k.variant == variant && !k.version.is_empty()
        });
        let last = |series: &Series| {
            let levels = [(&series.minutes, MINUTE), (&series.hours, HOUR), (&series.days, DAY)];
            let answered = |(held, length): (&BTreeMap<i64, Held>, i64)| {
                Some(held.iter().rev().find(|(_, held)| held.tile.requests.rows > 0)?.0 + length)
            };
            levels.into_iter().filter_map(answered).max()
        };
        let (key, _) = of.filter_map(|(key, series)| Some((key, last(series)?))).max_by_key(|(_, at)| *at)?;
        Some((key.model.clone(), key.version.clone()))
    }

    /// The last minutes up to `now`: whole minutes and the running one, at most
    /// [`KEEP_MINUTES`](super::KEEP_MINUTES).
    pub fn live(&self, tenant: &Tenant, deployment: &str, last: Duration, now: Timestamp) -> LiveWindow {
        let count = (last.as_secs().div_ceil(60) as i64).clamp(1, super::KEEP_MINUTES);
        let running = now.micros() - now.micros().rem_euclid(MINUTE);
        let since = running - (count - 1) * MINUTE;
        let elapsed = |from: i64| (now.micros() - from) as f64 / 1e6;
        let mut minutes: BTreeMap<i64, RequestTile> =
            (0..count).map(|i| (since + i * MINUTE, RequestTile::default())).collect();
        let mut whole = RequestTile::default();
        let mut versions = Vec::new();
        for (key, tiles) in self.held_minutes(tenant, deployment, since..running + MINUTE) {
            let mut version = RequestTile::default();
            for (at, tile) in tiles {
                minutes.entry(at).or_default().merge(&tile.requests);
                version.merge(&tile.requests);
            }
            if version.requests > 0 {
                whole.merge(&version);
                versions.push(VersionPoint {
                    variant: key.variant,
                    model: key.model,
                    version: key.version,
                    point: Point::of(since, elapsed(since), &version),
                });
            }
        }
        LiveWindow {
            whole: Point::of(since, elapsed(since), &whole),
            minutes: minutes
                .iter()
                .map(|(at, tile)| Point::of(*at, if *at == running { elapsed(*at) } else { 60.0 }, tile))
                .collect(),
            versions,
        }
    }
}

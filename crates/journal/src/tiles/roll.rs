//! Rolling up and parking. Only the writer adds to tiles and rolls them, so what it looked at under the lock is there
//! when it comes back with what it has read, merged or written meanwhile, unless the deployment was forgotten.

use super::parked::{self, Parked};
use super::series::{Held, Level};
use super::{DAY, HOUR, KEEP_DAYS, KEEP_HOURS, KEEP_MINUTES, MAX_BYTES, MINUTE, SeriesKey, Tile, Tiles};
use crate::error::JournalError;
use mainspring_core::Timestamp;
use std::path::Path;
use std::sync::Arc;

/// A tile of a series.
struct Place {
    key: SeriesKey,
    level: Level,
    at: i64,
}

/// Before when tiles roll up, microseconds.
#[derive(Clone, Copy)]
struct Until {
    minutes: i64,
    hours: i64,
    days: i64,
}

impl Until {
    /// `share` is by how much all times for which tiles are kept are shorter, because memory is short. Where it is not,
    /// whole hours and days roll up, so that each is merged once.
    fn new(now: i64, share: i64) -> Self {
        let whole = |at: i64, step: i64| if share == 1 { at - at.rem_euclid(step) } else { at };
        Self {
            minutes: whole(now - KEEP_MINUTES * MINUTE / share, HOUR),
            hours: whole(now - KEEP_HOURS * HOUR / share, DAY),
            days: now - KEEP_DAYS * DAY / share,
        }
    }
}

impl Tiles {
    /// Rolls minutes into hours and hours into days, by the time `now`, and parks what need not be in memory.
    pub(crate) fn roll(&self, now: Timestamp) {
        self.roll_within(now, MAX_BYTES);
    }

    pub(super) fn roll_within(&self, now: Timestamp, most: usize) {
        let now = now.micros();
        self.fold(Until::new(now, 1));
        if let Some(dir) = &self.0.dir
            && let Err(error) = self.park(Until::new(now, 1), dir, most)
        {
            tracing::warn!(%error, "columns of tiles cannot go to disk; they are kept for a shorter time");
        }
        // From all of the time down to a sixty-fourth, which leaves the running minute and day. What is open is bounded
        // by its columns; where nothing else is in memory, nothing is gained.
        for share in (0..7).map(|n| 1 << n) {
            if self.held() <= most || (self.0.dir.is_some() && self.parkable().is_empty()) {
                break;
            }
            self.fold(Until::new(now, share));
        }
        self.0.series.lock().retain(|_, s| !s.is_empty());
    }

    fn held(&self) -> usize {
        self.0.series.lock().values().map(super::Series::byte_len).sum()
    }

    /// Tiles that could be parked, the oldest first, each with the bytes of its columns.
    fn parkable(&self) -> Vec<(Place, usize)> {
        let all = self.0.series.lock();
        let of = |key: &SeriesKey, (level, at, bytes)| (Place { key: key.clone(), level, at }, bytes);
        let mut found: Vec<(Place, usize)> =
            all.iter().flat_map(|(key, s)| s.parkable().map(move |one| of(key, one))).collect();
        found.sort_by_key(|(place, _)| place.at);
        found
    }

    fn fold(&self, until: Until) {
        for (level, before) in [(Level::Minute, until.minutes), (Level::Hour, until.hours)] {
            for place in self.foldable(level, before) {
                self.fold_into(&place, before);
            }
        }
        for series in self.0.series.lock().values_mut() {
            series.days = series.days.split_off(&until.days);
        }
    }

    /// The hours or days that tiles of `level` from before `before` fall into.
    fn foldable(&self, level: Level, before: i64) -> Vec<Place> {
        let (Some(into), step) = level.coarser() else { return Vec::new() };
        let mut found = Vec::new();
        for (key, series) in &mut *self.0.series.lock() {
            let mut starts: Vec<i64> =
                series.level(level).range(..before).map(|(at, _)| at - at.rem_euclid(step)).collect();
            starts.dedup();
            found.extend(starts.into_iter().map(|at| Place { key: key.clone(), level: into, at }));
        }
        found
    }

    /// Merges the finer tiles of an hour or a day that are from before `before` into it.
    fn fold_into(&self, to: &Place, before: i64) {
        let Some((fine, step)) = to.level.finer() else { return };
        let end = before.min(to.at + step);
        let (parts, was) = {
            let mut all = self.0.series.lock();
            let Some(series) = all.get_mut(&to.key) else { return };
            let parts: Vec<Held> =
                series.level(fine).range(to.at..end.max(to.at)).map(|(_, held)| held.clone()).collect();
            (parts, series.level(to.level).get(&to.at).cloned())
        };
        if parts.is_empty() {
            return;
        }
        let mut tile = was.as_ref().map(|was| Tile::clone(&was.tile)).unwrap_or_default();
        for held in was.iter().filter(|was| was.parked.is_some()) {
            self.fetch(held.parked.as_ref(), &mut tile);
        }
        for part in &parts {
            tile.merge(&part.tile);
            self.fetch(part.parked.as_ref(), &mut tile);
        }
        tile.shrink();
        let mut all = self.0.series.lock();
        let Some(series) = all.get_mut(&to.key) else { return };
        let tiles = series.level(fine);
        let there = tiles.range(to.at..end.max(to.at)).map(|(_, held)| held);
        if !there.eq(&parts) {
            return;
        }
        tiles.retain(|at, _| !(to.at..end).contains(at));
        series.level(to.level).insert(to.at, Held { tile: Arc::new(tile), parked: None });
    }

    /// Brings columns back to memory. What cannot be read is lost, and said to be.
    fn fetch(&self, parked: Option<&Parked>, into: &mut Tile) {
        let (Some(dir), Some(parked)) = (&self.0.dir, parked) else { return };
        match parked::read(dir, parked) {
            Ok(columns) => into.merge_columns(&columns),
            Err(error) => tracing::error!(%error, "columns of a tile are lost"),
        }
    }

    /// Parks what is rolled up as a whole, then the oldest of the rest until it is within `most` bytes.
    fn park(&self, until: Until, dir: &Path, most: usize) -> Result<(), JournalError> {
        let mut held = self.held();
        for (place, bytes) in self.parkable() {
            let closed = match place.level {
                Level::Minute => false,
                Level::Hour => place.at < until.minutes,
                Level::Day => place.at < until.hours,
            };
            if closed || held > most {
                self.park_one(&place, dir)?;
                held = held.saturating_sub(bytes);
            }
        }
        Ok(())
    }

    /// Puts a tile's columns into a file.
    fn park_one(&self, of: &Place, dir: &Path) -> Result<(), JournalError> {
        let find = |all: &mut std::collections::BTreeMap<SeriesKey, super::Series>| {
            all.get_mut(&of.key)?.level(of.level).get(&of.at).cloned()
        };
        let Some(was) = find(&mut self.0.series.lock()) else { return Ok(()) };
        let mut whole = Tile { columns: was.tile.columns.clone(), ..Tile::default() };
        self.fetch(was.parked.as_ref(), &mut whole);
        let number = {
            let mut next = self.0.next.lock();
            *next += 1;
            *next - 1
        };
        let parked = Some(parked::write(dir, number, &whole.columns)?);
        let tile = Arc::new(Tile { requests: was.tile.requests.clone(), ..Tile::default() });
        let mut all = self.0.series.lock();
        if find(&mut all).is_some_and(|now| now == was)
            && let Some(series) = all.get_mut(&of.key)
        {
            series.level(of.level).insert(of.at, Held { tile, parked });
        }
        Ok(())
    }
}

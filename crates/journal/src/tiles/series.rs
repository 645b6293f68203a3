//! Tiles of one version over time, and where their columns are.

use super::parked::{self, Parked};
use super::{Column, DAY, HOUR, KEEP_DAYS, KEEP_HOURS, KEEP_MINUTES, MINUTE, Tile};
use crate::error::JournalError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// A tile, whose columns may be in a file. Columns that came later are in memory beside it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Held {
    pub tile: Tile,
    pub parked: Option<Parked>,
}

impl Held {
    /// Brings the columns back to memory. What cannot be read is lost, and said to be.
    fn fetch(&mut self, dir: Option<&Path>) {
        let (Some(dir), Some(parked)) = (dir, self.parked.take()) else { return };
        match parked::read(dir, &parked, &|_| true) {
            Ok(columns) => self.tile.merge_columns(&columns),
            Err(error) => tracing::error!(%error, "columns of a tile are lost"),
        }
    }

    /// Puts the columns into a file.
    fn park(&mut self, dir: &Path, next: &mut u64) -> Result<(), JournalError> {
        if self.tile.columns.is_empty() {
            return Ok(());
        }
        self.fetch(Some(dir));
        let parked = parked::write(dir, *next, &self.tile.columns)?;
        *next += 1;
        self.parked = Some(parked);
        self.tile.columns = BTreeMap::new();
        Ok(())
    }
}

/// Tiles of one version over time, by the microsecond at which each begins.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Series {
    pub minutes: BTreeMap<i64, Held>,
    pub hours: BTreeMap<i64, Held>,
    pub days: BTreeMap<i64, Held>,
}

/// A moment of rolling up.
#[derive(Clone, Copy)]
pub(super) struct Roll<'a> {
    pub now: i64,
    /// By how much all times for which tiles are kept are shorter, because memory is short.
    pub share: i64,
    pub dir: Option<&'a Path>,
}

impl Series {
    pub fn between(&self, since: i64, until: i64) -> impl Iterator<Item = &Held> {
        let range = move |m| BTreeMap::range(m, since..until.max(since)).map(|(_, t)| t);
        range(&self.days).chain(range(&self.hours)).chain(range(&self.minutes))
    }

    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty() && self.hours.is_empty() && self.days.is_empty()
    }

    /// The tile of a minute. Opening a new one closes the one before it.
    pub fn open(&mut self, minute: i64) -> &mut Tile {
        if !self.minutes.contains_key(&minute)
            && let Some(mut last) = self.minutes.last_entry()
        {
            last.get_mut().tile.shrink();
        }
        &mut self.minutes.entry(minute).or_default().tile
    }

    /// Rolls up what is older than a share of the times for which tiles are kept.
    pub fn roll(&mut self, by: Roll<'_>) {
        let Roll { now, share, dir } = by;
        roll(&mut self.minutes, &mut self.hours, (HOUR, now - KEEP_MINUTES * MINUTE / share), dir);
        roll(&mut self.hours, &mut self.days, (DAY, now - KEEP_HOURS * HOUR / share), dir);
        self.days = self.days.split_off(&(now - KEEP_DAYS * DAY / share));
    }

    /// Parks hours and days that no later minute falls into.
    pub fn park_closed(&mut self, now: i64, dir: &Path, next: &mut u64) -> Result<(), JournalError> {
        let hour = now - KEEP_MINUTES * MINUTE - HOUR;
        let day = now - KEEP_HOURS * HOUR - DAY;
        for held in self.hours.range_mut(..hour).chain(self.days.range_mut(..day)).map(|(_, held)| held) {
            held.park(dir, next)?;
        }
        Ok(())
    }

    /// Tiles that could be parked, with when each begins and the bytes that its columns hold: all but the last two
    /// minutes, in which rows are still counted.
    pub fn parkable(&self) -> impl Iterator<Item = (Level, i64, usize)> {
        let open = self.minutes.len().saturating_sub(2);
        let of = |level: Level, tiles: &BTreeMap<i64, Held>, n: usize| {
            let sized = tiles.iter().take(n).map(move |(at, held)| (level, *at, held.tile.column_bytes()));
            sized.filter(|(_, _, bytes)| *bytes > 0).collect::<Vec<_>>()
        };
        let (minutes, hours) = (of(Level::Minute, &self.minutes, open), of(Level::Hour, &self.hours, usize::MAX));
        of(Level::Day, &self.days, usize::MAX).into_iter().chain(hours).chain(minutes)
    }

    pub fn park(&mut self, (level, at): (Level, i64), dir: &Path, next: &mut u64) -> Result<(), JournalError> {
        let tiles = match level {
            Level::Minute => &mut self.minutes,
            Level::Hour => &mut self.hours,
            Level::Day => &mut self.days,
        };
        tiles.get_mut(&at).map_or(Ok(()), |held| held.park(dir, next))
    }

    pub fn parked(&self) -> impl Iterator<Item = &Parked> {
        self.between(i64::MIN, i64::MAX).filter_map(|held| held.parked.as_ref())
    }

    pub fn byte_len(&self) -> usize {
        self.between(i64::MIN, i64::MAX).map(|held| held.tile.byte_len()).sum()
    }
}

/// How long a tile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Minute,
    Hour,
    Day,
}

/// Moves tiles that begin before `before` from `fine` into the coarser tile that covers them.
fn roll(
    fine: &mut BTreeMap<i64, Held>,
    coarse: &mut BTreeMap<i64, Held>,
    (step, before): (i64, i64),
    dir: Option<&Path>,
) {
    let kept = fine.split_off(&before);
    for (at, mut held) in std::mem::replace(fine, kept) {
        held.fetch(dir);
        let into = coarse.entry(at - at.rem_euclid(step)).or_default();
        into.fetch(dir);
        into.tile.merge(&held.tile);
    }
}

/// Tiles as they were stored before columns could be in files.
#[derive(Deserialize)]
pub(super) struct Before {
    minutes: BTreeMap<i64, Tile>,
    hours: BTreeMap<i64, Tile>,
    days: BTreeMap<i64, Tile>,
}

impl From<Before> for Series {
    fn from(before: Before) -> Self {
        let held = |tiles: BTreeMap<i64, Tile>| {
            tiles.into_iter().map(|(at, tile)| (at, Held { tile, parked: None })).collect()
        };
        Self { minutes: held(before.minutes), hours: held(before.hours), days: held(before.days) }
    }
}

impl Tile {
    /// Adds columns of another tile of the same time.
    pub(super) fn merge_columns(&mut self, columns: &BTreeMap<String, Column>) {
        for (name, column) in columns {
            if let Some(mine) = self.columns.get_mut(name) {
                mine.merge(column);
            } else if self.columns.len() < super::MAX_COLUMNS {
                self.columns.insert(name.clone(), column.clone());
            }
        }
    }
}

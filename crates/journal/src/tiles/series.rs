//! Tiles of one version over time, and where their columns are.

use super::parked::Parked;
use super::{Column, DAY, HOUR, Tile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A tile, whose columns may be in a file. Columns that came later are in memory beside it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Held {
    pub tile: Arc<Tile>,
    pub parked: Option<Parked>,
}

/// The very same: nothing was added since the one was cloned of the other.
impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tile, &other.tile) && self.parked == other.parked
    }
}

/// Tiles of one version over time, by the microsecond at which each begins.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Series {
    pub minutes: BTreeMap<i64, Held>,
    pub hours: BTreeMap<i64, Held>,
    pub days: BTreeMap<i64, Held>,
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
            Arc::make_mut(&mut last.get_mut().tile).shrink();
        }
        Arc::make_mut(&mut self.minutes.entry(minute).or_default().tile)
    }

    pub fn level(&mut self, level: Level) -> &mut BTreeMap<i64, Held> {
        match level {
            Level::Minute => &mut self.minutes,
            Level::Hour => &mut self.hours,
            Level::Day => &mut self.days,
        }
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

impl Level {
    /// What tiles of this level roll into, and how long that is, microseconds.
    pub fn coarser(self) -> (Option<Self>, i64) {
        match self {
            Self::Minute => (Some(Self::Hour), HOUR),
            Self::Hour => (Some(Self::Day), DAY),
            Self::Day => (None, DAY),
        }
    }

    /// What rolls into tiles of this level, and how long one of this level is, microseconds.
    pub fn finer(self) -> Option<(Self, i64)> {
        match self {
            Self::Minute => None,
            Self::Hour => Some((Self::Minute, HOUR)),
            Self::Day => Some((Self::Hour, DAY)),
        }
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
            tiles.into_iter().map(|(at, tile)| (at, Held { tile: Arc::new(tile), parked: None })).collect()
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

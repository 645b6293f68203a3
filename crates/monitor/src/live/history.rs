//! How far columns had moved, look by look: what a timeline is drawn of.

use super::track::Standing;
use super::watch::Watch;
use mainspring_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Columns of one look that are kept, those that moved most.
const KEPT: usize = 64;
/// Looks are kept by the minute for so long, microseconds; the last of each hour is kept longer.
pub(super) const MINUTES: i64 = 6 * HOUR;
/// How long the last of each hour is kept.
pub(super) const HOURS: i64 = 30 * 24 * HOUR;
pub(super) const HOUR: i64 = 3_600_000_000;

/// How far a column had moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Effect {
    /// The column.
    pub column: String,
    /// Which rows of it, `in.plan = gold`; all when there is none.
    pub segment: Option<String>,
    /// The share of the window's rows that would have had to move.
    pub distance: f32,
    /// What chance alone brought.
    pub chance: f32,
    /// What was said of it.
    pub standing: Standing,
}

/// The stored form, a list: names of fields would be longer than what is in them.
type Stored = (String, Option<String>, f32, f32, Standing);

impl From<Stored> for Effect {
    fn from((column, segment, distance, chance, standing): Stored) -> Self {
        Self { column, segment, distance, chance, standing }
    }
}

impl From<Effect> for Stored {
    fn from(e: Effect) -> Self {
        (e.column, e.segment, e.distance, e.chance, e.standing)
    }
}

impl Effect {
    /// What is left beyond chance.
    pub fn beyond(&self) -> f32 {
        (self.distance - self.chance).max(0.0)
    }
}

/// One look at a monitor's columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Rows before this moment were in it.
    pub at: Timestamp,
    /// Its columns, those first that moved most; at most 64.
    pub columns: Vec<Effect>,
}

impl Point {
    /// What a watch sees now; `at` is the end of its last minute.
    pub(super) fn of(watch: &Watch, at: Timestamp) -> Self {
        let compared = watch.tracks().filter(|(_, _, track)| track.reference().is_some() && track.moved.rows > 0);
        let mut columns: Vec<Effect> = compared
            .map(|(name, of, track)| Effect {
                column: name.to_owned(),
                segment: of.map(|(column, value)| format!("{column} = {value}")),
                distance: track.moved.distance as f32,
                chance: track.moved.chance as f32,
                standing: track.standing,
            })
            .collect();
        columns.sort_by(|a, b| b.beyond().total_cmp(&a.beyond()));
        columns.truncate(KEPT);
        Self { at, columns }
    }

    /// The hour that it is of.
    pub(super) fn hour(&self) -> i64 {
        self.at.micros() - self.at.micros().rem_euclid(HOUR)
    }
}

/// Of the looks of one pass those that are kept: each of the last hours, of before the last of each hour.
pub(super) fn kept(points: Vec<Point>, now: Timestamp) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        let old = point.at.micros() < now.micros() - MINUTES;
        if let Some(last) = kept.last_mut().filter(|last| old && last.hour() == point.hour()) {
            *last = point;
        } else {
            kept.push(point);
        }
    }
    kept
}

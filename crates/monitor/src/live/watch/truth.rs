//! What turned out to be true: labels and the error that they show, beside what was asked and answered.

use super::scores::Score;
use super::{
    Fold, Minute, MonitorSpec, References, Segment, Timestamp, Track, Transition, Turned, Watch, beginning,
    turned_in_segments,
};
use crate::live::labels;
use crate::live::track::Origin;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Columns that are planned for: the label, and the error.
const PLANNED: f64 = 2.0;

/// What is known of the labels of a version.
///
/// A label belongs to the minute of its prediction. All of a minute's are looked at once, when the wait for them is over, and
/// in the order of their predictions: in the order in which they come, those that come sooner would look more frequent at
/// first, and that is no drift.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Truth {
    /// Labels of predictions before this minute are looked at.
    pub until: Timestamp,
    /// Labelled rows so far.
    pub rows: u64,
    /// `label.NAME` and `error.NAME`.
    pub tracks: BTreeMap<String, Track>,
    /// The same by segment, by the segments' columns.
    #[serde(default)]
    pub segments: BTreeMap<String, Vec<Segment>>,
    /// How wrong the model was.
    #[serde(default)]
    pub(super) scores: Vec<Score>,
}

impl Watch {
    /// Folds the labelled rows of a minute whose wait is over. Those of a version that answers no more tell nothing.
    pub fn fold_labels(&mut self, minute: &Minute, spec: &MonitorSpec, references: &References) -> Vec<Transition> {
        if spec.label.is_none() || minute.at < self.truth.until || self.is_new(minute) {
            return Vec::new();
        }
        let fold = Fold {
            minute,
            beside: None,
            spec,
            references,
            learn_until: self.learn_until,
            tracks: self.tracks().count(),
        };
        let watched: Vec<String> = minute.columns.keys().filter(|name| labels::is_truth(name)).cloned().collect();
        // Half of it is for segments, where there are any.
        let part = spec.level * beginning(spec) / PLANNED / f64::from(1 + u8::from(!spec.segments.is_empty()));
        for name in watched.iter().filter(|name| !self.truth.tracks.contains_key(*name)).cloned().collect::<Vec<_>>() {
            let known = if fold.learn_until.is_some() { None } else { references.of_truth(&name, spec).cloned() };
            let origin = if known.is_some() { Origin::Profile } else { fold.origin() };
            self.truth.tracks.insert(name, Track::new(origin, known, (part, minute.at)));
        }
        self.take_up_labels_of_segments(fold, (&watched, part));
        self.truth.rows += minute.seen;
        let all: Vec<usize> = (0..minute.rows).collect();
        let tracks = self.truth.tracks.iter_mut();
        let mut turned: Vec<Turned> = tracks.filter_map(|(name, track)| fold.one(name, track, &all, None)).collect();
        turned.extend(turned_in_segments(fold, &mut self.truth.segments));
        let values = self.values();
        self.truth.score(minute, spec, &values);
        // It is known now, however long ago the predictions were.
        let at = self.position.max(fold.end());
        let mut told = self.tell(&turned, at, spec);
        told.extend(self.detect(fold, true, at));
        told
    }

    /// The values that are watched apart, each with its column.
    pub(super) fn values(&self) -> Vec<(String, String)> {
        let of = |(column, all): (&String, &Vec<Segment>)| -> Vec<(String, String)> {
            all.iter().map(|segment| (column.clone(), segment.value.clone())).collect()
        };
        self.segments.iter().flat_map(of).collect()
    }

    /// Begins the tracks of labels and errors that are missing in segments; `part` is what there is of the level for each of
    /// the columns `watched`.
    fn take_up_labels_of_segments(&mut self, fold: Fold<'_>, (watched, part): (&[String], f64)) {
        let values = self.values();
        // A state of an earlier version has spent all of it.
        let spent = self.truth.tracks.values().any(|track| track.level > part * 1.001);
        for (of, value) in &values {
            let all = self.truth.segments.entry(of.clone()).or_default();
            let known = all.iter().position(|segment| segment.value == *value);
            let place = known.unwrap_or_else(|| {
                all.push(Segment { value: value.clone(), tracks: BTreeMap::new() });
                all.len() - 1
            });
            for name in watched {
                let has = |all: &BTreeMap<String, Vec<Segment>>| all[of][place].tracks.contains_key(name);
                if has(&self.truth.segments) {
                    continue;
                }
                let level = if spent { self.level_of_later(fold.spec) } else { part / values.len() as f64 };
                let track = Track::new(fold.origin(), None, (level, fold.minute.at));
                if let Some(segment) = self.truth.segments.get_mut(of).and_then(|all| all.get_mut(place)) {
                    segment.tracks.insert(name.clone(), track);
                }
            }
        }
    }

    /// All labels of predictions before `until` are folded.
    pub fn settle_labels(&mut self, until: Timestamp) {
        self.truth.until = self.truth.until.max(Timestamp(until.micros() - until.micros().rem_euclid(self.step())));
    }

    /// The minute before which labels are to be looked at now: rows are known up to the watch's position.
    pub(crate) fn labels_due(&self, spec: &MonitorSpec) -> Option<Timestamp> {
        let wait = i64::try_from(spec.label.as_ref()?.wait.0.as_micros()).unwrap_or(i64::MAX);
        let due = self.position.micros().saturating_sub(wait);
        let due = due - due.rem_euclid(self.step());
        (!self.version.is_empty() && due >= self.truth.until.micros() + self.step()).then_some(Timestamp(due))
    }
}

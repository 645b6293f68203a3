//! All columns of one version: their tracks, and what is to be told of them.

use super::detectors::Detector;
use super::outlook::Outlook;
use super::ports::About;
use super::rows::{Cells, MINUTE, Minute};
use super::spec::MonitorSpec;
use super::track::{Origin, Standing, Track, Turn};
use super::why::Why;
use super::words;
use mainspring_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

mod detected;
mod estimated;
mod references;
mod scores;
mod truth;

pub(super) use references::Anew;
pub use references::{Compared, References, Saved};
pub use scores::Wrong;
pub use truth::Truth;

/// Values of a segment's column that are watched apart.
const VALUES: usize = 8;
/// How long a value may be, in bytes, to be a segment: it stands in sentences, alerts and logs.
const LONGEST: usize = 128;
/// Rows without which no live reference is made, and no value is known to be frequent.
const FEWEST: u64 = 200;
/// Tracks of one monitor, those of segments included: its whole state is written each minute.
const MOST_TRACKS: usize = 2_000;
/// What those get of the level that are there at the beginning; the rest is for columns that come later.
const BEGINNING: f64 = 0.9;

/// A value of a segment's column, with the tracks of the rows that have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The value as text.
    pub value: String,
    /// By column.
    pub tracks: BTreeMap<String, Track>,
}

/// Values of a segment's column until the frequent ones are known.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Counting {
    /// Rows that were looked at.
    rows: u64,
    counts: BTreeMap<String, u64>,
}

impl Counting {
    /// The most frequent values, the most frequent first.
    fn frequent(self) -> Vec<String> {
        let mut all: Vec<(String, u64)> = self.counts.into_iter().collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.into_iter().take(VALUES).map(|(value, _)| value).collect()
    }
}

/// The state of a monitor. The same minutes give the same state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watch {
    /// The model that answers.
    pub model: String,
    /// Its version; empty until it has answered.
    pub version: String,
    /// Since when this version is watched.
    pub begun: Timestamp,
    /// Minutes before this one are folded.
    pub position: Timestamp,
    /// Rows of the version so far, and those of them that were sampled.
    pub rows: [u64; 2],
    /// Whether any column has drifted by the monitor's own test.
    pub drifting: bool,
    /// Since when it is so.
    pub since: Timestamp,
    /// Whether any stream detector calls a change.
    #[serde(default)]
    pub detecting: bool,
    /// All rows, by column.
    pub tracks: BTreeMap<String, Track>,
    /// Segments by their column.
    pub segments: BTreeMap<String, Vec<Segment>>,
    /// Model and version of the rows that it is compared with, where these are answered meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<(String, String)>,
    /// The version whose profile its columns are compared with, where a saved one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<Compared>,
    /// What turned out to be true.
    #[serde(default)]
    pub truth: Truth,
    /// Stream detectors, one a column of all rows, or of a segment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detectors: Vec<Detector>,
    /// Columns, of detectors, that the last look had and that these do not watch, because there are 128 already: of rows,
    /// and of what was true.
    #[serde(default)]
    pub undetected: [u64; 2],
    /// What is estimated of its answers, where that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlook: Option<Outlook>,
    /// What its drift does to the answers, when that was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub why: Option<Why>,
    /// Columns, of all rows or of a segment, that the last minute had and that are not watched, because a monitor
    /// watches at most 2,000.
    #[serde(default)]
    pub left_out: u64,
    /// References made of live rows end with this minute, where they are made of a time.
    learn_until: Option<Timestamp>,
    /// How long what is looked at together is, microseconds; nothing of a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<i64>,
    /// Segments' columns whose frequent values are not known yet.
    #[serde(default)]
    counting: BTreeMap<String, Counting>,
    /// Columns that the first minute had, and tracks that came later: how the level is shared out.
    first: u32,
    later: u32,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransitionKind {
    /// Columns have drifted.
    Drifted,
    /// Stream detectors called changes, which they may do without any.
    Detected,
    /// Detectors have called no further change for a while, or begin anew.
    Quieted,
    /// Columns are again as their reference is.
    Recovered,
    /// Another version answers, or another profile was saved: another reference counts.
    Replaced,
    /// A metric that is estimated is surely beyond its limit.
    Degraded,
    /// It has not been beyond it for a while, or nothing is known of it any more.
    Restored,
}

impl TransitionKind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drifted => "drifted",
            Self::Detected => "detected",
            Self::Quieted => "quieted",
            Self::Recovered => "recovered",
            Self::Replaced => "replaced",
            Self::Degraded => "degraded",
            Self::Restored => "restored",
        }
    }
}

/// A change that somebody should hear of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// What.
    pub kind: TransitionKind,
    /// When.
    pub at: Timestamp,
    /// Whether anything is drifting now, by the monitor's own test.
    pub drifting: bool,
    /// Whether a stream detector calls a change now.
    #[serde(default)]
    pub detecting: bool,
    /// For people, with the numbers and what to do.
    pub sentence: String,
    /// The numbers that it rests on.
    pub numbers: serde_json::Value,
}

impl Transition {
    /// What it is about.
    pub fn about(&self) -> About {
        match self.kind {
            TransitionKind::Degraded | TransitionKind::Restored => About::Estimate,
            TransitionKind::Detected | TransitionKind::Quieted => About::Detected,
            TransitionKind::Drifted | TransitionKind::Recovered | TransitionKind::Replaced => About::Drift,
        }
    }

    /// Whether what it is about goes on after it. What ends while something else goes on is no end.
    pub fn goes_on(&self) -> bool {
        match self.kind {
            TransitionKind::Drifted | TransitionKind::Detected | TransitionKind::Degraded => true,
            TransitionKind::Restored => false,
            TransitionKind::Quieted => self.detecting,
            TransitionKind::Recovered | TransitionKind::Replaced => self.drifting,
        }
    }

    /// Whether what it is about ended with it, if no other goes on.
    pub fn ends(&self) -> bool {
        match self.kind {
            TransitionKind::Drifted | TransitionKind::Detected | TransitionKind::Degraded => false,
            TransitionKind::Recovered | TransitionKind::Restored | TransitionKind::Quieted => true,
            TransitionKind::Replaced => self.numbers["before"]["drifting"] == true,
        }
    }
}

/// A column that has turned.
pub(super) struct Turned {
    pub column: String,
    /// `in.plan = gold`, where it is a segment.
    pub segment: Option<String>,
    pub turn: Turn,
    pub moved: super::track::Moved,
    /// ln of the e-value, and of its threshold.
    pub evidence: (f64, f64),
    pub changed_at: Option<Timestamp>,
}

/// What a minute is folded with.
#[derive(Clone, Copy)]
struct Fold<'a> {
    minute: &'a Minute,
    /// The rows of the same minute that it is compared with, where these are live.
    beside: Option<&'a Minute>,
    spec: &'a MonitorSpec,
    references: &'a References,
    learn_until: Option<Timestamp>,
    /// How many there are.
    tracks: usize,
}

impl Fold<'_> {
    fn end(&self) -> Timestamp {
        self.minute.at.plus_micros(self.spec.step())
    }

    fn enough(&self, rows: u64) -> bool {
        match self.learn_until {
            Some(until) => self.end() >= until && rows >= FEWEST,
            None => rows >= u64::from(self.spec.reference.first_rows),
        }
    }

    fn origin(&self) -> Origin {
        match (self.beside, self.learn_until) {
            (Some(_), _) => Origin::Beside,
            (None, Some(_)) => Origin::Window,
            (None, None) => Origin::FirstRows,
        }
    }

    /// `part` is the segment's column and value.
    fn one(&self, name: &str, track: &mut Track, rows: &[usize], part: Option<(&str, &str)>) -> Option<Turned> {
        let cells = self.minute.columns.get(name);
        let (evidence, changed_at) = (track.evidence(), track.changed_at);
        let at = (self.minute.at, self.spec);
        let turn = match self.beside {
            Some(beside) => {
                let theirs: Vec<usize> = match part {
                    None => (0..beside.rows).collect(),
                    Some((of, value)) => {
                        let cells = beside.columns.get(of);
                        (0..beside.rows).filter(|row| cells.is_some_and(|cells| is(cells, *row, value))).collect()
                    }
                };
                track.fold_beside((cells, rows), (beside.columns.get(name), &theirs), at)?
            }
            None => track.fold(cells, rows, at, (self.tracks, |rows| self.enough(rows)))?,
        };
        let segment = part.map(|(of, value)| format!("{of} = {value}"));
        let drifted = turn == Turn::Drifted;
        Some(Turned {
            column: name.to_owned(),
            segment,
            turn,
            moved: track.moved,
            evidence: if drifted { track.evidence() } else { evidence },
            changed_at: if drifted { track.changed_at } else { changed_at },
        })
    }
}

impl Watch {
    /// Nothing seen yet; begins with the minute of `at`. With a window, references are made of the rows before `at`.
    pub fn new(at: Timestamp, spec: &MonitorSpec) -> Self {
        let step = spec.step();
        let whole = |at: i64| Timestamp(at - at.rem_euclid(step));
        let before = spec.reference.window.map(|w| i64::try_from(w.0.as_micros()).unwrap_or(i64::MAX));
        let position = whole(at.micros().saturating_sub(before.unwrap_or(0)));
        let learn_until = before.map(|_| whole(at.micros()));
        let truth = Truth { until: position, ..Truth::default() };
        let every = (step != MINUTE).then_some(step);
        Self { begun: at, position, since: at, learn_until, truth, every, ..Self::default() }
    }

    /// How long what is looked at together is, microseconds.
    pub(crate) fn step(&self) -> i64 {
        self.every.unwrap_or(MINUTE)
    }

    /// Whether a minute is of a version that has not been seen before it: its references are to be found first.
    pub fn is_new(&self, minute: &Minute) -> bool {
        self.version != minute.version || self.model != minute.model
    }

    /// Folds a minute together with the rows that it is compared with. Without either nothing can be said of it.
    pub(crate) fn fold_beside(
        &mut self,
        (minute, beside): (&Minute, Option<&Minute>),
        spec: &MonitorSpec,
    ) -> Vec<Transition> {
        if minute.at < self.position {
            return Vec::new();
        }
        let Some(beside) = beside else {
            // Detectors need no other side.
            let fold =
                Fold { minute, beside: None, spec, references: &References::default(), learn_until: None, tracks: 0 };
            return if self.is_new(minute) { Vec::new() } else { self.detect(fold, false, fold.end()) };
        };
        let mut told = Vec::new();
        let other = (beside.model.as_str(), beside.version.as_str());
        let before = self.beside.as_ref().map(|(model, version)| (model.as_str(), version.as_str()));
        let alone = !self.is_new(minute);
        if !alone || before != Some(other) {
            let anew = before.is_some_and(|before| before != other);
            let of = (other.0.to_owned(), other.1.to_owned());
            if !alone {
                told.extend(self.outlast_estimate(minute, spec));
            }
            told.extend(self.outlast_detectors(minute.at, spec));
            told.extend(self.replace(minute, false).map(|t| if anew { words::other(t, &of.1, alone) } else { t }));
            self.beside = Some(of);
        }
        told.extend(self.look(Fold {
            minute,
            beside: Some(beside),
            spec,
            references: &References::default(),
            learn_until: None,
            tracks: 0,
        }));
        told
    }

    /// Folds a minute. One that was folded before changes nothing.
    pub fn fold(&mut self, minute: &Minute, spec: &MonitorSpec, references: &References) -> Vec<Transition> {
        let mut told = Vec::new();
        if minute.at < self.position {
            return told;
        }
        let learning = self.learn_until.is_some_and(|until| minute.at < until);
        if self.is_new(minute) {
            if learning && !self.version.is_empty() {
                // A window is learnt from whichever version answered.
                (self.model, self.version) = (minute.model.clone(), minute.version.clone());
            } else {
                told.extend(self.outlast_estimate(minute, spec));
                told.extend(self.outlast_detectors(minute.at, spec));
                told.extend(self.replace(minute, learning));
            }
        }
        if self.compared.is_none() {
            // Of a state that an earlier version wrote, too: which profile it began with is not known, and it goes on.
            self.compared = references.compared().cloned();
        }
        told.extend(self.look(Fold {
            minute,
            beside: None,
            spec,
            references,
            learn_until: self.learn_until,
            tracks: 0,
        }));
        told
    }

    fn look(&mut self, fold: Fold<'_>) -> Vec<Transition> {
        self.rows[0] += fold.minute.seen;
        self.rows[1] += fold.minute.rows as u64;
        self.take_up(fold);
        let turned = self.turn(Fold { tracks: self.tracks().count(), ..fold });
        let mut told = self.tell(&turned, fold.end(), fold.spec);
        told.extend(self.detect(fold, false, fold.end()));
        told
    }

    /// Whether anything drifts, from `at` on where that is new, and whether detectors call a change.
    fn stand(&mut self, at: Timestamp) {
        let detecting = self.detecting().next().is_some();
        self.detecting = detecting;
        let drifting = self.surely_drifted().next().is_some();
        if drifting != self.drifting {
            (self.drifting, self.since) = (drifting, at);
        }
    }

    /// What is to be told of the columns that have turned, at the moment `at`.
    fn tell(&mut self, turned: &[Turned], at: Timestamp, spec: &MonitorSpec) -> Vec<Transition> {
        self.stand(at);
        let mut told = Vec::new();
        for kind in [TransitionKind::Drifted, TransitionKind::Recovered] {
            let of = |t: &&Turned| (t.turn == Turn::Drifted) == (kind == TransitionKind::Drifted);
            let these: Vec<&Turned> = turned.iter().filter(of).collect();
            if !these.is_empty() {
                told.push(words::transition((kind, at), self, spec, &these));
            }
        }
        told
    }

    /// Lets go of columns that are redacted now: what stands in their place is not what came, and would be drift. What is
    /// told is that a drift, or what detectors called, has ended with them.
    pub(crate) fn hide(&mut self, hidden: &[String], spec: &MonitorSpec) -> Vec<Transition> {
        let stays = |name: &str| !is_hidden(name, hidden);
        let named = self.tracks().flat_map(|(name, of, _)| [Some(name), of.map(|(of, _)| of)]).flatten();
        let of_detectors = self.detectors.iter().flat_map(|d| {
            let of = d.segment.as_ref().map(|(of, _)| of.as_str());
            std::iter::once(d.column.as_str()).chain(of)
        });
        let named = named.chain(of_detectors);
        let gone = named.filter(|name| !stays(name)).map(str::to_owned).next();
        self.counting.retain(|name, _| stays(name));
        let Some(gone) = gone else { return Vec::new() };
        self.tracks.retain(|name, _| stays(name));
        self.detectors.retain(|d| stays(&d.column) && d.segment.as_ref().is_none_or(|(of, _)| stays(of)));
        self.segments.retain(|of, _| stays(of));
        self.truth.segments.retain(|of, _| stays(of));
        self.truth.forget(stays);
        for segment in self.segments.values_mut().flatten() {
            segment.tracks.retain(|name, _| stays(name));
        }
        let was = (self.drifting, self.detecting);
        self.stand(self.position);
        let ended =
            [(TransitionKind::Recovered, was.0 && !self.drifting), (TransitionKind::Quieted, was.1 && !self.detecting)];
        ended.into_iter().filter(|(_, ended)| *ended).map(|(kind, _)| words::hidden(kind, &gone, self, spec)).collect()
    }

    /// All minutes before `until` are folded.
    pub fn settle(&mut self, until: Timestamp) {
        self.position = self.position.max(Timestamp(until.micros() - until.micros().rem_euclid(self.step())));
    }

    /// Every track with its column, and its segment's column and value where it is of one.
    pub fn tracks(&self) -> impl Iterator<Item = (&str, Option<(&str, &str)>, &Track)> {
        let all = self.tracks.iter().chain(&self.truth.tracks).map(|(name, track)| (name.as_str(), None, track));
        let apart = self.segments.iter().chain(&self.truth.segments).flat_map(|(of, values)| {
            values.iter().flat_map(move |segment| {
                let key = (of.as_str(), segment.value.as_str());
                segment.tracks.iter().map(move |(name, track)| (name.as_str(), Some(key), track))
            })
        });
        all.chain(apart)
    }

    /// Numbers that are kept until they are references: what makes a state large.
    pub(super) fn kept(&self) -> usize {
        self.tracks().map(|(_, _, track)| track.kept()).sum()
    }

    /// Columns that have drifted, whole or in a segment, or of which a detector says so, each once.
    pub fn drifted(&self) -> BTreeSet<&str> {
        self.surely_drifted().chain(self.detecting().map(|detector| detector.column.as_str())).collect()
    }

    /// Those that have drifted by the monitor's own test.
    pub(super) fn surely_drifted(&self) -> impl Iterator<Item = &str> {
        self.tracks().filter(|(_, _, track)| track.standing == Standing::Drift).map(|(name, _, _)| name)
    }

    /// Another version answers: everything begins anew.
    fn replace(&mut self, minute: &Minute, learning: bool) -> Option<Transition> {
        let was = std::mem::take(self);
        *self = Self {
            model: minute.model.clone(),
            version: minute.version.clone(),
            begun: minute.at,
            position: was.position,
            since: if was.drifting || was.version.is_empty() { minute.at } else { was.since },
            // What was learnt of one version's time says nothing of another's.
            learn_until: was.learn_until.filter(|_| learning || was.version.is_empty()),
            every: was.every,
            // Where only what it is compared with is another one, its answers are as good as they were.
            outlook: was.outlook.clone(),
            truth: Truth {
                until: if was.version.is_empty() { was.truth.until } else { minute.at },
                ..Truth::default()
            },
            ..Self::default()
        };
        (!was.version.is_empty()).then(|| words::replaced(&was, self))
    }

    /// Begins the tracks that are missing: of columns, then of each segment's, the most frequent value's first.
    fn take_up(&mut self, fold: Fold<'_>) {
        let Fold { minute, spec, .. } = fold;
        let watched: Vec<&String> = minute.columns.keys().filter(|name| spec.wants(name)).collect();
        if self.first == 0 {
            self.first = watched.len() as u32;
        }
        let mut room = MOST_TRACKS.saturating_sub(self.tracks().count());
        self.left_out = 0;
        let part = beginning(spec);
        let planned = self.tracks.is_empty().then(|| spec.level * part / f64::from(self.first.max(1)));
        for name in &watched {
            if self.tracks.contains_key(*name) || !self.has_room(&mut room) {
                continue;
            }
            let known = if fold.learn_until.is_some() { None } else { fold.references.of(name).cloned() };
            let origin = if known.is_some() { Origin::Profile } else { fold.origin() };
            let level = planned.unwrap_or_else(|| self.level_of_later(spec));
            self.tracks.insert((*name).clone(), Track::new(origin, known, (level, minute.at)));
        }
        for of in &spec.segments {
            let found = self.look_for_segments(of, minute);
            let values = self.segments.get(of).map_or(0, Vec::len);
            // Equal parts for each segment's column, and of it for each track that it begins with.
            let tracks = watched.iter().filter(|name| **name != of).count() * values;
            let planned = found.then(|| spec.level * part / (spec.segments.len() * tracks.max(1)) as f64);
            for (at, name) in (0..values).flat_map(|at| watched.iter().map(move |name| (at, *name))) {
                let has = self.segments.get(of).is_some_and(|all| all[at].tracks.contains_key(name));
                if name == of || has || !self.has_room(&mut room) {
                    continue;
                }
                let level = planned.unwrap_or_else(|| self.level_of_later(spec));
                if let Some(segment) = self.segments.get_mut(of).and_then(|all| all.get_mut(at)) {
                    segment.tracks.insert(name.clone(), Track::new(fold.origin(), None, (level, minute.at)));
                }
            }
        }
    }

    fn has_room(&mut self, room: &mut usize) -> bool {
        let has = *room > 0;
        *room = room.saturating_sub(1);
        self.left_out += u64::from(!has);
        has
    }

    /// Counts a segment's values until its frequent ones are known; says whether they became so with this minute.
    fn look_for_segments(&mut self, of: &str, minute: &Minute) -> bool {
        let Some(cells) = minute.columns.get(of).filter(|_| !self.segments.contains_key(of)) else { return false };
        let counting = self.counting.entry(of.to_owned()).or_default();
        counting.rows += minute.rows as u64;
        let plain = |value: &String| value.len() <= LONGEST && !value.chars().any(char::is_control);
        for value in (0..minute.rows).filter_map(|row| shown(cells, row)).filter(plain) {
            *counting.counts.entry(value).or_default() += 1;
        }
        if counting.rows < FEWEST {
            return false;
        }
        let frequent = self.counting.remove(of).map(Counting::frequent).unwrap_or_default();
        let empty = |value| Segment { value, tracks: BTreeMap::new() };
        self.segments.insert(of.to_owned(), frequent.into_iter().map(empty).collect());
        true
    }

    /// The part of the level of a track that was not there at the beginning.
    fn level_of_later(&mut self, spec: &MonitorSpec) -> f64 {
        self.later += 1;
        let n = f64::from(self.later);
        spec.level * (1.0 - BEGINNING) / (n * (n + 1.0))
    }

    fn turn(&mut self, fold: Fold<'_>) -> Vec<Turned> {
        let all: Vec<usize> = (0..fold.minute.rows).collect();
        let mut turned: Vec<Turned> =
            self.tracks.iter_mut().filter_map(|(name, track)| fold.one(name, track, &all, None)).collect();
        turned.extend(turned_in_segments(fold, &mut self.segments));
        turned
    }
}

fn turned_in_segments(fold: Fold<'_>, segments: &mut BTreeMap<String, Vec<Segment>>) -> Vec<Turned> {
    let mut turned = Vec::new();
    for (of, values) in segments {
        let Some(cells) = fold.minute.columns.get(of) else { continue };
        for segment in values {
            let rows: Vec<usize> = (0..fold.minute.rows).filter(|row| is(cells, *row, &segment.value)).collect();
            let part = Some((of.as_str(), segment.value.as_str()));
            let found = segment.tracks.iter_mut().filter_map(|(column, track)| fold.one(column, track, &rows, part));
            turned.extend(found);
        }
    }
    turned
}

/// Whether a column, or the list that it is an element of, is among these.
pub(super) fn is_hidden(name: &str, hidden: &[String]) -> bool {
    let list = name.split_once('[').map(|(list, _)| list);
    hidden.iter().any(|of| of == name || Some(of.as_str()) == list)
}

/// What cannot be read is looked at again: an earlier version kept effects that are no numbers, which JSON does not have.
fn readable<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Why>, D::Error> {
    Ok(serde_json::from_value(serde_json::Value::deserialize(from)?).ok())
}

/// What each part of a monitor gets of its level, of what there is at the beginning: columns, segments, labels.
fn beginning(spec: &MonitorSpec) -> f64 {
    BEGINNING / f64::from(1 + u8::from(!spec.segments.is_empty()) + u8::from(spec.label.is_some()))
}

fn shown(cells: &Cells, row: usize) -> Option<String> {
    match cells {
        Cells::Numbers(values) => Some(values[row]).filter(|v| !v.is_nan()).map(|v| v.to_string()),
        Cells::Texts(values) => values[row].as_deref().map(str::to_owned),
    }
}

fn is(cells: &Cells, row: usize, value: &str) -> bool {
    match cells {
        Cells::Numbers(_) => shown(cells, row).is_some_and(|v| v == value),
        Cells::Texts(values) => values[row].as_deref() == Some(value),
    }
}

#[cfg(test)]
pub(crate) mod tests;

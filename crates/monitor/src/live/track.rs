//! One column, of all rows or of a segment: its reference, the bet against it, and how far it has moved.

use super::learned::{Learned, Learning, Sample};
use super::rows::Cells;
use super::spec::MonitorSpec;
use mainspring_core::Timestamp;
use mainspring_stats::presets::Calibration;
use mainspring_stats::stream::{Conformal, Sides};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Parts of the window in which distances are measured.
const PARTS: i64 = 6;
/// The part of the first rows that decides on the bins, and how many these are at most: the others are counted as they come,
/// and not kept.
const PILOT_PART: u64 = 4;
const MOST_PILOT: u64 = 1_024;
/// Rows that a reference made of a window keeps at most, evenly over all of it; at least half of them, once it had as many.
const MOST_OF_WINDOW: usize = 8_192;
/// The same where there are many columns.
const LEAST_OF_WINDOW: usize = 2_048;
/// Numbers that all columns of a monitor keep together, about.
const NUMBERS: usize = 1 << 20;
/// Rows that decide on the bins of a column whose reference is answered meanwhile.
const PILOT: u64 = 1_000;
/// Rows of a reference without which nothing is said.
const FEWEST: u64 = 200;
/// The seed of ranks within a bin: fixed, so that a replay gives the same wealth.
const SEED: u64 = 0x006d_6f6e_6974_6f72;
/// How far above its lowest the bet's wealth may stand, as a logarithm, while nothing has changed yet.
const QUIET: f64 = 1.0;

/// What is said of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its reference is being made.
    Learning,
    /// Too few rows yet.
    Waiting,
    /// Nothing that is sure.
    Steady,
    /// It is sure that something has changed, and it is less than counts as drift.
    Shifted,
    /// It is sure, and it is much.
    Drift,
    /// It cannot be compared.
    Unlike,
}

impl Standing {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Waiting => "waiting",
            Self::Steady => "steady",
            Self::Shifted => "shifted",
            Self::Drift => "drift",
            Self::Unlike => "unlike",
        }
    }
}

/// Where a reference comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A saved profile.
    Profile,
    /// The version's own first rows.
    FirstRows,
    /// The rows before the monitor was declared.
    Window,
    /// Rows that are answered meanwhile.
    Beside,
}

impl Origin {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::FirstRows => "first-rows",
            Self::Window => "window",
            Self::Beside => "beside",
        }
    }
}

/// Rows of a part of the window by bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Part {
    at: i64,
    counts: Vec<u32>,
    /// Those of the reference, where it is answered meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beside: Option<Vec<u32>>,
}

/// What was measured over the window.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// Sampled rows in the window.
    pub rows: u64,
    /// Total variation between the window and the reference: the share of rows that would have to move.
    pub distance: f64,
    /// What chance alone brings on average with so many rows.
    pub chance: f64,
}

impl Moved {
    /// What is left beyond chance.
    pub fn beyond(&self) -> f64 {
        (self.distance - self.chance).max(0.0)
    }
}

/// A change of a column's standing that somebody should hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Drifted,
    Recovered,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Track {
    /// Where its reference comes from.
    pub origin: Origin,
    /// What is said of it.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
    /// When the change that is being seen began, about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// What was measured last.
    pub moved: Moved,
    /// Tests of this column so far: each drift that ends begins another.
    pub tests: u32,
    /// Its part of the level.
    pub level: f64,
    learned: Option<Learned>,
    reference: Option<Calibration>,
    bet: Option<Box<Conformal>>,
    /// The bet where both sides are live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sides: Option<Box<Sides>>,
    parts: VecDeque<Part>,
    /// The lowest that the bet's wealth was, as a logarithm, and when it last was near it.
    low: (f64, Timestamp),
    calm_since: Option<Timestamp>,
}

/// The share of a level that the `n`th of things, from 1, gets, of which there may be any number: the first nine tenths,
/// and all together no more than one.
pub(crate) fn portion(n: u32) -> f64 {
    let n = f64::from(n.max(1));
    if n < 2.0 { 0.9 } else { 0.1 / (n * (n - 1.0)) }
}

impl Track {
    /// A column at its beginning; `level` is the probability of a false alarm that it may have for ever.
    pub(crate) fn new(origin: Origin, reference: Option<Calibration>, (level, at): (f64, Timestamp)) -> Self {
        let mut track = Self {
            origin,
            standing: Standing::Learning,
            since: at,
            changed_at: None,
            moved: Moved::default(),
            tests: 0,
            level,
            learned: None,
            reference: None,
            bet: None,
            sides: None,
            parts: VecDeque::new(),
            low: (0.0, at),
            calm_since: None,
        };
        if let Some(reference) = reference {
            track.compare_with(reference, at);
        }
        track
    }

    /// Another reference, or one that is to be learnt: what was seen beside the one before counts no more. Its tests so far have
    /// had their part of the level, so that the promise holds over all of them.
    pub(crate) fn begin_anew(&mut self, (origin, reference): (Origin, Option<Calibration>), at: Timestamp) {
        let tests = self.tests;
        *self = Self { tests, ..Self::new(origin, None, (self.level, at)) };
        if let Some(reference) = reference {
            self.compare_with(reference, at);
        }
    }

    fn compare_with(&mut self, reference: Calibration, at: Timestamp) {
        self.reference = Some(reference);
        self.learned = None;
        self.begin(at);
    }

    /// Begins a test of its own.
    fn begin(&mut self, at: Timestamp) {
        let Some(reference) = &self.reference else { return };
        self.tests += 1;
        let seed = SEED.wrapping_add(u64::from(self.tests));
        if self.origin == Origin::Beside {
            self.sides = Sides::new(reference.counts.len(), seed).ok().map(Box::new);
        } else {
            self.bet = Conformal::new(&reference.counts, seed).ok().map(Box::new);
        }
        self.low = (0.0, at);
        self.calm_since = None;
        self.changed_at = None;
        self.stand(Standing::Waiting, at);
    }

    fn stand(&mut self, standing: Standing, at: Timestamp) {
        if self.standing != standing {
            self.standing = standing;
            self.since = at;
        }
    }

    /// The bins that it is compared in, with the reference's rows.
    pub fn reference(&self) -> Option<&Calibration> {
        self.reference.as_ref()
    }

    /// Rows of the window by bin.
    pub fn window(&self) -> Option<Vec<u64>> {
        let mut sum = vec![0; self.reference.as_ref()?.counts.len()];
        for part in &self.parts {
            part.counts.iter().zip(&mut sum).for_each(|(n, sum)| *sum += u64::from(*n));
        }
        Some(sum)
    }

    /// Rows that the present test has seen.
    pub fn tested(&self) -> u64 {
        self.sides.as_ref().map_or_else(|| self.bet.as_ref().map_or(0, |bet| bet.seen()), |sides| sides.seen())
    }

    /// ln of the most that the present bet has won, and of what it needs to be sure.
    pub fn evidence(&self) -> (f64, f64) {
        let sure = -(self.level * portion(self.tests)).ln();
        (self.wealth().1, sure)
    }

    /// ln of what the present bet has, and of the most that it had.
    fn wealth(&self) -> (f64, f64) {
        match (&self.sides, &self.bet) {
            (Some(sides), _) => (sides.log_wealth(), sides.peak()),
            (None, Some(bet)) => (bet.log_wealth(), bet.peak()),
            (None, None) => (0.0, 0.0),
        }
    }

    /// How many of the rows that make its reference it has; `None` when it has one.
    pub fn learned(&self) -> Option<u64> {
        self.reference.is_none().then(|| self.learned.as_ref().map_or(0, Learned::rows))
    }

    /// Numbers that are kept until they are its reference.
    pub(super) fn kept(&self) -> usize {
        self.learned.as_ref().map_or(0, Learned::kept)
    }

    /// Takes the rows `rows` of a minute's cells, or notices that the column was not in it. `enough` says whether what
    /// was learned, in rows, makes a reference now; `tracks` is how many there are.
    pub(crate) fn fold(
        &mut self,
        cells: Option<&Cells>,
        rows: &[usize],
        (at, spec): (Timestamp, &MonitorSpec),
        (tracks, enough): (usize, impl Fn(u64) -> bool),
    ) -> Option<Turn> {
        if self.standing == Standing::Unlike || rows.is_empty() {
            return None;
        }
        let Some(reference) = &self.reference else {
            self.learn(cells?, rows, at, self.learning(spec, tracks));
            if self.learned.as_ref().is_some_and(|learned| enough(learned.rows()) && learned.has_counted(FEWEST)) {
                self.learn_no_more(at);
            }
            return None;
        };
        let Some(bins) = bins(reference, cells, rows) else {
            self.stand(Standing::Unlike, at);
            return None;
        };
        self.count((&bins, None), at, spec);
        if self.standing == Standing::Drift {
            return self.look_for_recovery(at, spec);
        }
        if let Some(bet) = &mut self.bet {
            for bin in &bins {
                bet.push(*bin);
            }
        }
        self.date(at, spec);
        self.judge(at, spec)
    }

    /// The same where the reference is what is answered in the same minute: `theirs`.
    pub(crate) fn fold_beside(
        &mut self,
        (cells, rows): (Option<&Cells>, &[usize]),
        (theirs, beside): (Option<&Cells>, &[usize]),
        (at, spec): (Timestamp, &MonitorSpec),
    ) -> Option<Turn> {
        if self.standing == Standing::Unlike || rows.is_empty() || beside.is_empty() {
            return None;
        }
        let Some(reference) = &self.reference else {
            // These rows decide on the bins and are not counted in them.
            self.learn(theirs?, beside, at, self.learning(spec, 1));
            if self.learned.as_ref().is_some_and(|learned| learned.rows() >= PILOT)
                && let Some(learned) = self.learned.take()
            {
                self.compare_with(learned.bins(), at);
            }
            return None;
        };
        let (Some(mine), Some(theirs)) = (bins(reference, cells, rows), bins(reference, theirs, beside)) else {
            self.stand(Standing::Unlike, at);
            return None;
        };
        self.count((&mine, Some(&theirs)), at, spec);
        if self.standing == Standing::Drift {
            return self.look_for_recovery(at, spec);
        }
        if let Some(sides) = &mut self.sides {
            sides.push(&mine, &theirs);
        }
        self.date(at, spec);
        self.judge(at, spec)
    }

    /// Remembers when the bet was last near its lowest.
    fn date(&mut self, at: Timestamp, spec: &MonitorSpec) {
        let (wealth, peak) = self.wealth();
        self.low.0 = self.low.0.min(wealth);
        if wealth <= self.low.0 + QUIET && peak < self.evidence().1 {
            self.low.1 = at.plus_micros(spec.step());
        }
    }

    fn learning(&self, spec: &MonitorSpec, tracks: usize) -> Learning {
        let most = (NUMBERS / tracks.max(1)).clamp(LEAST_OF_WINDOW, MOST_OF_WINDOW) / 2 * 2;
        let first = u64::from(spec.reference.first_rows) / PILOT_PART;
        Learning { pilot: (self.origin == Origin::FirstRows).then_some(first.clamp(1, MOST_PILOT)), most }
    }

    fn learn(&mut self, cells: &Cells, rows: &[usize], at: Timestamp, how: Learning) {
        let learned = self.learned.get_or_insert_with(|| match cells {
            Cells::Numbers(_) => Learned::Numbers(Sample::default()),
            Cells::Texts(_) => Learned::Texts(Calibration::hashed()),
        });
        match (learned, cells) {
            (mine, Cells::Numbers(values)) => {
                if !rows.iter().all(|row| mine.number(values[*row], how)) {
                    self.stand(Standing::Unlike, at);
                }
            }
            (Learned::Texts(mine), Cells::Texts(values)) => {
                for row in rows {
                    let bin = mine.bin_of_text(values[*row].as_deref());
                    mine.counts[bin] += 1;
                }
            }
            _ => self.stand(Standing::Unlike, at),
        }
    }

    fn learn_no_more(&mut self, at: Timestamp) {
        let reference = self.learned.take().and_then(|learned| learned.calibration().ok());
        if let Some(reference) = reference {
            self.compare_with(reference, at);
        }
    }

    /// Counts a minute's rows into the window and measures how far it is from the reference.
    fn count(&mut self, (bins, beside): (&[usize], Option<&[usize]>), at: Timestamp, spec: &MonitorSpec) {
        let Some(reference) = &mut self.reference else { return };
        let span = i64::try_from(spec.window.0.as_micros()).unwrap_or(i64::MAX);
        let step = (span / PARTS).max(1);
        let start = at.micros() - at.micros().rem_euclid(step);
        if self.parts.back().is_none_or(|p| p.at != start) {
            let none = vec![0; reference.counts.len()];
            self.parts.push_back(Part { at: start, beside: beside.map(|_| none.clone()), counts: none });
        }
        if let Some(part) = self.parts.back_mut() {
            for bin in bins {
                part.counts[*bin] += 1;
            }
            if let Some(counts) = &mut part.beside {
                for bin in beside.into_iter().flatten() {
                    counts[*bin] += 1;
                }
            }
        }
        while self.parts.front().is_some_and(|p| p.at <= start - step * PARTS) {
            self.parts.pop_front();
        }
        if beside.is_some() {
            // The reference is as old as the window.
            reference.counts.fill(0);
            for counts in self.parts.iter().filter_map(|part| part.beside.as_ref()) {
                counts.iter().zip(&mut reference.counts).for_each(|(n, sum)| *sum += u64::from(*n));
            }
        }
        let reference = reference.counts.clone();
        self.moved = moved(&reference, &self.window().unwrap_or_default());
    }

    fn judge(&mut self, at: Timestamp, spec: &MonitorSpec) -> Option<Turn> {
        let (peak, sure) = self.evidence();
        let known = self.reference.as_ref().map_or(0, Calibration::rows);
        let few = self.tested() < spec.min_rows || self.moved.rows < spec.min_rows || known < spec.min_rows.min(FEWEST);
        if peak < sure {
            self.stand(if few { Standing::Waiting } else { Standing::Steady }, at);
            return None;
        }
        self.changed_at.get_or_insert(self.low.1);
        if few || self.moved.beyond() < spec.min_effect {
            self.stand(if few { Standing::Waiting } else { Standing::Shifted }, at);
            return None;
        }
        self.stand(Standing::Drift, at);
        Some(Turn::Drifted)
    }

    /// Less than half of what counts as drift, for as long as was asked for.
    fn look_for_recovery(&mut self, at: Timestamp, spec: &MonitorSpec) -> Option<Turn> {
        if self.moved.rows < spec.min_rows || self.moved.beyond() >= spec.min_effect / 2.0 {
            self.calm_since = None;
            return None;
        }
        let since = *self.calm_since.get_or_insert(at);
        let calm = at.micros() - since.micros();
        if calm < i64::try_from(spec.recover_after.0.as_micros()).unwrap_or(i64::MAX) {
            return None;
        }
        self.begin(at);
        Some(Turn::Recovered)
    }
}

/// The bins of the rows; `None` when they are of another kind than the reference. A column that is not there has no
/// value in any row.
fn bins(reference: &Calibration, cells: Option<&Cells>, rows: &[usize]) -> Option<Vec<usize>> {
    let missing = reference.counts.len() - 1;
    match (cells, reference.edges.is_some()) {
        (None, _) => Some(vec![missing; rows.len()]),
        (Some(Cells::Numbers(values)), true) => {
            Some(rows.iter().map(|row| reference.bin_of_number(values[*row])).collect())
        }
        (Some(Cells::Texts(values)), false) => {
            Some(rows.iter().map(|row| reference.bin_of_text(values[*row].as_deref())).collect())
        }
        // A column without any value has no type of its own.
        (Some(Cells::Numbers(values)), false) if rows.iter().all(|row| values[*row].is_nan()) => {
            Some(vec![missing; rows.len()])
        }
        (Some(Cells::Texts(values)), true) if rows.iter().all(|row| values[*row].is_none()) => {
            Some(vec![missing; rows.len()])
        }
        _ => None,
    }
}

/// Total variation of two lists of counts, and its mean when both are samples of one distribution: of each bin the mean
/// absolute difference of two shares, about normal.
fn moved(reference: &[u64], window: &[u64]) -> Moved {
    let (n, m) = (reference.iter().sum::<u64>() as f64, window.iter().sum::<u64>() as f64);
    if n == 0.0 || m == 0.0 {
        return Moved { rows: m as u64, ..Moved::default() };
    }
    let (mut distance, mut chance) = (0.0, 0.0);
    for (a, b) in reference.iter().zip(window) {
        let (a, b) = (*a as f64, *b as f64);
        distance += (a / n - b / m).abs() / 2.0;
        let pooled = (a + b) / (n + m);
        let deviation = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
        chance += deviation * (2.0 / std::f64::consts::PI).sqrt() / 2.0;
    }
    Moved { rows: m as u64, distance, chance }
}

//! Stream detectors that a monitor may run beside its own test: `river`'s, by its names, to its defaults.
//!
//! They see a column's values one by one in the order of time, of the rows that the monitor samples. None of them bounds
//! how often it calls a change that is not there, so what they say is told apart from what the monitor's own test says,
//! and gives no order.

mod spec;

pub use spec::{AdwinSpec, DdmSpec, DetectorSpec, KswinSpec, Mode, PageHinkleySpec};

use super::rows::Cells;
use super::spec::MonitorSpec;
use mainspring_core::Timestamp;
use mainspring_stats::stream::{Adwin, Change, Ddm, Kswin, Level, PageHinkley};
use serde::{Deserialize, Serialize};

/// Marks that say when a value came.
const MARKS: usize = 64;
/// Numbers further from 0 than this are none: their squares would have no end.
const FARTHEST: f64 = 1e100;

/// A detector with what it has seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Method {
    Adwin(Adwin),
    Kswin(Kswin),
    PageHinkley(PageHinkley),
    Ddm(Ddm),
}

/// What is said of a detector's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sight {
    /// It has not seen a value yet.
    Waiting,
    /// It calls no change.
    Steady,
    /// It would not be surprised (DDM alone).
    Warning,
    /// It called a change, not longer ago than `recoverAfter`.
    Drift,
    /// No value of the column is one that it can see.
    Unlike,
}

impl Sight {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Steady => "steady",
            Self::Warning => "warning",
            Self::Drift => "drift",
            Self::Unlike => "unlike",
        }
    }
}

/// A change that was called.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detection {
    /// When the row came at which it was called.
    pub at: Timestamp,
    /// That row's value.
    pub value: f64,
    /// When it began, about.
    pub begun: Timestamp,
    /// The mean of what the detector knew of before.
    pub before: f64,
    /// The mean since.
    pub since: f64,
}

/// What turned with a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Detected,
    Recovered,
}

/// When values came: of the newest each look, of the older ones ever fewer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Marks(Vec<(u64, Timestamp)>);

impl Marks {
    /// The `n`th value came at this moment.
    fn set(&mut self, n: u64, at: Timestamp) {
        if self.0.len() >= MARKS {
            let mut keep = false;
            self.0.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.0.push((n, at));
    }

    /// About when the `n`th came; no earlier than the first that is remembered.
    fn of(&self, n: u64) -> Option<Timestamp> {
        let after = self.0.partition_point(|(first, _)| *first <= n);
        self.0.get(after.saturating_sub(1)).map(|(_, at)| *at)
    }
}

/// A detector on a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detector {
    /// The column.
    pub column: String,
    /// The column and the value of the segment whose rows alone it sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<(String, String)>,
    /// Its place among the spec's detectors.
    pub(super) place: usize,
    /// What is said of it.
    pub sight: Sight,
    /// Since when.
    pub since: Timestamp,
    /// Values that it has seen.
    pub seen: u64,
    /// Values that it could not see: they are no numbers, or for DDM neither 0 nor 1.
    pub skipped: u64,
    /// Changes that it has called.
    pub detections: u64,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Detection>,
    method: Method,
    marks: Marks,
}

impl Detector {
    /// Nothing seen yet; `None` where the spec's detector makes no sense, or takes no such column.
    pub(super) fn new(
        (place, spec): (usize, &DetectorSpec),
        (column, cells): (&str, &Cells),
        at: Timestamp,
    ) -> Option<Self> {
        let method = spec.method("detectors").ok()?;
        let rows = match cells {
            Cells::Numbers(values) => values.len(),
            Cells::Texts(values) => values.len(),
        };
        let sees = (0..rows).any(|row| matches!(value(cells, row), Value::Number(_)));
        (sees || spec.names(column)).then(|| Self {
            column: column.to_owned(),
            segment: None,
            place,
            sight: Sight::Waiting,
            since: at,
            seen: 0,
            skipped: 0,
            detections: 0,
            last: None,
            method,
            marks: Marks::default(),
        })
    }

    /// The same of the rows of a segment alone.
    pub(super) fn of_segment(self, segment: Option<(String, String)>) -> Self {
        Self { segment, ..self }
    }

    /// `in.plan = gold`, where it is of a segment.
    pub fn part(&self) -> Option<String> {
        self.segment.as_ref().map(|(column, value)| format!("{column} = {value}"))
    }

    /// What it is called: `adwin`, `kswin`, `pageHinkley`, `ddm`.
    pub fn name(&self) -> &'static str {
        match self.method {
            Method::Adwin(_) => "adwin",
            Method::Kswin(_) => "kswin",
            Method::PageHinkley(_) => "pageHinkley",
            Method::Ddm(_) => "ddm",
        }
    }

    /// Sees the rows of a look in the order of time.
    pub(super) fn fold(
        &mut self,
        cells: Option<&Cells>,
        in_time: &[(usize, Timestamp)],
        (at, spec): (Timestamp, &MonitorSpec),
    ) -> Option<Turn> {
        let called = self.detections;
        let (mut marked, mut warns) = (false, self.sight == Sight::Warning);
        for (row, came) in in_time {
            let value = match cells.map_or(Value::Missing, |cells| value(cells, *row)) {
                Value::Missing => continue,
                Value::Number(value) if self.sees(value) => value,
                Value::Number(_) | Value::Other => {
                    self.skipped += 1;
                    continue;
                }
            };
            self.seen += 1;
            if !marked {
                self.marks.set(self.seen, *came);
                marked = true;
            }
            let change = match &mut self.method {
                Method::Adwin(adwin) => adwin.push(value),
                Method::Kswin(kswin) => kswin.push(value),
                Method::PageHinkley(test) => test.push(value),
                Method::Ddm(ddm) => {
                    let level = ddm.push(value != 0.0);
                    warns = level == Level::Warning;
                    if let Level::Drift(change) = level { Some(change) } else { None }
                }
            };
            if let Some(Change { values, before, since }) = change {
                let begun = self.marks.of((self.seen + 1).saturating_sub(values)).unwrap_or(*came);
                self.detections += 1;
                self.last = Some(Detection { at: *came, value, begun, before, since });
            }
        }
        self.judge((called < self.detections, warns), at, spec)
    }

    fn sees(&self, value: f64) -> bool {
        value.abs() <= FARTHEST && (!matches!(self.method, Method::Ddm(_)) || value == 0.0 || value == 1.0)
    }

    fn judge(&mut self, (called, warns): (bool, bool), at: Timestamp, spec: &MonitorSpec) -> Option<Turn> {
        let before = self.sight;
        let quiet = i64::try_from(spec.recover_after.0.as_micros()).unwrap_or(i64::MAX);
        let end = at.plus_micros(spec.step()).micros();
        let lasts = self.last.is_some_and(|last| end.saturating_sub(last.at.micros()) < quiet);
        self.sight = match before {
            _ if called => Sight::Drift,
            Sight::Drift if lasts => Sight::Drift,
            _ if warns => Sight::Warning,
            _ if self.seen > 0 => Sight::Steady,
            _ if self.skipped > 0 => Sight::Unlike,
            _ => Sight::Waiting,
        };
        if self.sight != before {
            self.since = at;
        }
        match (before, self.sight) {
            (Sight::Drift, Sight::Drift) => None,
            (_, Sight::Drift) => Some(Turn::Detected),
            (Sight::Drift, _) => Some(Turn::Recovered),
            _ => None,
        }
    }
}

/// A row's value.
enum Value {
    Missing,
    /// True and false are 1 and 0.
    Number(f64),
    /// A text that is none.
    Other,
}

fn value(cells: &Cells, row: usize) -> Value {
    match cells {
        Cells::Numbers(values) if values[row].is_nan() => Value::Missing,
        Cells::Numbers(values) => Value::Number(values[row]),
        Cells::Texts(values) => match values[row].as_deref() {
            None => Value::Missing,
            Some("true") => Value::Number(1.0),
            Some("false") => Value::Number(0.0),
            Some(_) => Value::Other,
        },
    }
}

#[cfg(test)]
mod tests;

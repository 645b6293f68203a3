//! How wrong the model was over the window, by the labels that came in time: of all rows, and of each segment's.

use super::{Cells, Minute, MonitorSpec, Timestamp, Truth, is};
use crate::live::labels;
use mainspring_stats::Moments;
use mainspring_stats::performance::{Level, Measure, mean, wilson};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Parts of the window.
const PARTS: i64 = 6;

/// Errors of a part of the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Part {
    at: i64,
    errors: Moments,
}

/// Errors of the rows that have a value in a column, or of all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Score {
    /// The column and the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    segment: Option<(String, String)>,
    /// Whether there are distances among them, and not only right and wrong.
    far: bool,
    parts: VecDeque<Part>,
}

/// How wrong the model was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wrong<'a> {
    /// Of which segment: its column and value.
    pub segment: Option<(&'a str, &'a str)>,
    /// `error_rate`, the share of answers that were another value, or `mean_absolute_error`.
    pub metric: &'static str,
    /// Labelled rows of the sample that were compared.
    pub rows: u64,
    /// The value, with what it is in 95 % of cases.
    pub measure: Measure,
}

impl Score {
    fn push(&mut self, at: Timestamp, span: i64, errors: impl Iterator<Item = f64>) {
        let step = (span / PARTS).max(1);
        let start = at.micros() - at.micros().rem_euclid(step);
        if self.parts.back().is_none_or(|part| part.at != start) {
            self.parts.push_back(Part { at: start, errors: Moments::default() });
        }
        while self.parts.front().is_some_and(|part| part.at <= start - step * PARTS) {
            self.parts.pop_front();
        }
        let Some(part) = self.parts.back_mut() else { return };
        for error in errors.filter(|error| error.is_finite()) {
            self.far |= error != 0.0 && error != 1.0;
            part.errors.push(error);
        }
    }

    fn wrong(&self) -> Option<Wrong<'_>> {
        let mut all = Moments::default();
        self.parts.iter().for_each(|part| all.merge(&part.errors));
        let (rows, level) = (all.count(), Level::default());
        let (metric, measure) = if self.far {
            ("mean_absolute_error", mean(&all, level)?)
        } else {
            ("error_rate", wilson((all.mean()? * rows as f64).round() as u64, rows, level)?)
        };
        let segment = self.segment.as_ref().map(|(column, value)| (column.as_str(), value.as_str()));
        Some(Wrong { segment, metric, rows, measure })
    }
}

impl Truth {
    /// How wrong the model was over the window: of all rows first, then of each segment, the most frequent value first.
    pub fn wrong(&self) -> impl Iterator<Item = Wrong<'_>> {
        self.scores.iter().filter_map(Score::wrong)
    }

    /// Keeps those alone whose segments' columns stay.
    pub(super) fn forget(&mut self, stays: impl Fn(&str) -> bool) {
        self.scores.retain(|score| score.segment.as_ref().is_none_or(|(column, _)| stays(column)));
    }

    /// Adds the errors of a minute's rows. `segments` are the values that are watched apart.
    pub(super) fn score(&mut self, minute: &Minute, spec: &MonitorSpec, segments: &[(String, String)]) {
        let Some(errors) = minute.columns.iter().find_map(|(name, cells)| match cells {
            Cells::Numbers(errors) if labels::is_error(name) => Some(errors),
            _ => None,
        }) else {
            return;
        };
        let span = i64::try_from(spec.window.0.as_micros()).unwrap_or(i64::MAX);
        let parts = std::iter::once(None).chain(segments.iter().map(Some));
        for part in parts {
            let rows = match part {
                None => Some((0..minute.rows).collect::<Vec<_>>()),
                Some((of, value)) => {
                    minute.columns.get(of).map(|cells| (0..minute.rows).filter(|row| is(cells, *row, value)).collect())
                }
            };
            let Some(rows) = rows.filter(|rows| !rows.is_empty()) else { continue };
            let known = self.scores.iter().position(|score| score.segment.as_ref() == part);
            let place = known.unwrap_or_else(|| {
                self.scores.push(Score { segment: part.cloned(), ..Score::default() });
                self.scores.len() - 1
            });
            self.scores[place].push(minute.at, span, rows.iter().map(|row| errors[*row]));
        }
    }
}

//! Both sides of each column, judged.

use super::broken::{Broken, UNKEPT, digits, untested};
use super::read::{Counted, Reader, Sides, Unit, counted, kind, seen};
use super::rows::{self, Together};
use super::{ColumnReport, Comparison, Outcome, Told, texts, vectors};
use crate::column::Kind;
use crate::error::MonitorError;
use crate::table::Table;
use mainspring_stats::multivariate::Drawn;
use mainspring_stats::presets::{self, MISSING, Preset, Values};
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

const NOTHING: &str = "it holds neither numbers, texts nor vectors";

/// What is known of a unit.
pub(super) struct Found {
    pub(super) column: ColumnReport,
    pub(super) rows: [u64; 2],
    /// Its part in a table of drawn rows.
    pub(super) drawn: Option<Drawn>,
}

pub(super) struct Task<'a> {
    tables: [&'a Table; 2],
    how: Comparison<'a>,
    /// For one column.
    level: f64,
    columns: usize,
    /// Bytes of values that are held where files are read row by row.
    held: usize,
    /// Rows of each side that stand for the table, the same of each column.
    chosen: [OnceLock<Vec<usize>>; 2],
    /// Room of columns that are done with: fresh memory costs more than what is done with it.
    spare: Mutex<Vec<Vec<f64>>>,
}

impl<'a> Task<'a> {
    /// Of so many units, with so many bytes of values in a pass.
    pub(super) fn new(tables: [&'a Table; 2], how: Comparison<'a>, (columns, held): (usize, usize)) -> Self {
        let looks = columns + usize::from(how.preset == Preset::Sequential && columns > 1);
        let level = how.level / looks as f64;
        let chosen = [OnceLock::new(), OnceLock::new()];
        Self { tables, how, level, columns, held, chosen, spare: Mutex::default() }
    }

    /// What is found of each unit, in their order.
    ///
    /// # Errors
    /// [`MonitorError`] when a file cannot be read.
    pub(super) fn all(&self, units: &[Unit]) -> Result<Vec<Found>, MonitorError> {
        let threads = self.how.threads.max(1);
        let reader = Reader { tables: self.tables, held: self.held, least: threads };
        if self.tables.iter().all(|table| table.by_column()) {
            return self.beside(units, |unit| {
                let read = reader.pass(std::slice::from_ref(unit), || self.room())?;
                let read = read.into_iter().next().ok_or_else(|| self.ended())?;
                Ok(self.judged(unit, read))
            });
        }
        let mut found = Vec::with_capacity(units.len());
        while found.len() < units.len() {
            let left = &units[found.len()..];
            let read = reader.pass(left, || self.room())?;
            found.extend(self.beside(left.iter().zip(read), |(unit, read)| Ok(self.judged(unit, read)))?);
        }
        Ok(found)
    }

    /// Does some work on each item, in as many threads as there may be; the answers are in the items' order.
    fn beside<I: Send, T: Send>(
        &self,
        items: impl IntoIterator<Item = I, IntoIter: Send>,
        work: impl Fn(I) -> Result<T, MonitorError> + Sync,
    ) -> Result<Vec<T>, MonitorError> {
        let items = Mutex::new(items.into_iter().enumerate());
        let done = Mutex::new(Vec::new());
        let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
        let worker = || {
            while let Some((at, item)) = next() {
                let answer = (at, work(item));
                done.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.how.threads.max(1) {
                scope.spawn(worker);
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, answer)| answer).collect()
    }

    fn ended(&self) -> MonitorError {
        MonitorError::Thread(self.tables[1].file().to_owned())
    }

    fn judged(&self, unit: &Unit, read: Sides) -> Found {
        if self.tables.iter().any(|table| table.is_unkept(&unit.name)) {
            return self.plain(&unit.name, Outcome::Skipped(UNKEPT.to_owned()), [0, 0]);
        }
        match read {
            Sides::Vectors(sides, _) => self.vectors(&unit.name, sides),
            Sides::Counted(sides) => self.counted(&unit.name, sides),
            Sides::Values(sides, labels, _) => self.values(&unit.name, sides, &labels.known),
        }
    }

    /// Of a column of which only outcome and rows are told.
    fn plain(&self, name: &str, outcome: Outcome, rows: [u64; 2]) -> Found {
        Found { column: ColumnReport::plain(name, kind(self.tables[1], name), outcome), rows, drawn: None }
    }

    fn vectors(&self, name: &str, sides: [vectors::Read; 2]) -> Found {
        let rows = sides.each_ref().map(|side| side.rows);
        let uneven = sides.iter().any(|side| side.uneven);
        let sides = sides.map(|side| side.side);
        let broken = match sides.each_ref().map(|side| (side.drawn().is_empty(), side.drawn().width())) {
            [(false, _), (true, _)] => Some(Broken::Empty),
            [(false, was), (false, is)] if was != is && !uneven => Some(Broken::Length { was, is }),
            _ => None,
        };
        let (outcome, apart) = if let Some(broken) = broken {
            (Outcome::Broken(broken), None)
        } else if uneven {
            (Outcome::Skipped("its vectors are not all of one length".into()), None)
        } else {
            match presets::vectors(self.how.preset, self.how.vectors, &sides, (self.level, rows::SEED)) {
                Ok((finding, found)) => (Outcome::Finding(finding), found.map(|found| Told::new(&found, Vec::new()))),
                Err(why) => (Outcome::Skipped(why.to_string()), None),
            }
        };
        let column = ColumnReport { apart, ..ColumnReport::plain(name, Kind::Other, outcome) };
        Found { column, rows, drawn: None }
    }

    /// Of a column that holds on a side what is not compared.
    fn counted(&self, name: &str, sides: [Counted; 2]) -> Found {
        let [was, now] = [0, 1].map(|side| counted(sides[side], self.tables[side], name));
        // Texts were not kept: none is known to be a number.
        let outcome = untested(was, now, || false).unwrap_or_else(|| Outcome::Skipped(NOTHING.to_owned()));
        self.plain(name, outcome, sides.map(|side| side.rows))
    }

    fn values(&self, name: &str, [mut reference, mut current]: [Values; 2], labels: &HashMap<String, u32>) -> Found {
        let rows = [&reference, &current].map(|side| side.len() as u64);
        empty_as(&mut reference, &current);
        empty_as(&mut current, &reference);
        let [was, now] = [seen(&reference, self.tables[0]), seen(&current, self.tables[1])];
        if let Some(outcome) = untested(was, now, || digits(labels.keys().map(String::as_str))) {
            self.done_with([reference, current]);
            return self.plain(name, outcome, rows);
        }
        let (a, b) = (reference, current);
        if self.by_words(&a, &b) {
            let found = texts::compare(self.how.preset, [&a, &b], labels, self.level);
            let mut all = self.plain(name, found.outcome, rows);
            (all.column.apart, all.column.shape) = (found.apart, found.shape);
            return all;
        }
        let drawn = self.drawn([&a, &b], labels);
        let found = match self.how.tests {
            Some(tests) => tests.judge(&a, &b),
            None => presets::judge(self.how.preset, &a, &b, self.level),
        };
        let outcome = match found {
            Ok(finding) => Outcome::Finding(finding),
            Err(why) => Outcome::Skipped(why.to_string()),
        };
        self.done_with([a, b]);
        Found { drawn, ..self.plain(name, outcome, rows) }
    }

    fn room(&self) -> Vec<f64> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn done_with(&self, sides: [Values; 2]) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let values = sides.into_iter().filter_map(|side| match side {
            Values::Numbers { values, .. } => Some(values),
            Values::Categories { .. } => None,
        });
        // More than what is compared at a time would be held beside what is read.
        let free = (2 * self.how.threads.max(1)).saturating_sub(spare.len());
        spare.extend(values.take(free));
    }

    /// Whether these texts are compared by their words, not as values: Evidently looks at the current ones alone.
    fn by_words(&self, reference: &Values, current: &Values) -> bool {
        let texts = |side: &Values| matches!(side, Values::Categories { text: true, .. });
        texts(reference)
            && texts(current)
            && match self.how.preset {
                Preset::Evidently => texts::prose(current),
                Preset::Sequential => texts::prose(reference) || texts::prose(current),
                Preset::NannyMl | Preset::Whylogs => false,
            }
    }

    fn drawn(&self, sides: [&Values; 2], labels: &HashMap<String, u32>) -> Option<Drawn> {
        if self.how.preset != Preset::Sequential || self.columns < 2 {
            return None;
        }
        let places = [0, 1].map(|at| self.chosen[at].get_or_init(|| rows::chosen(sides[at].len(), self.columns)));
        rows::drawn(sides, places.map(Vec::as_slice), labels)
    }

    /// Rows as wholes: `NannyML`'s reconstruction, or our classifier.
    pub(super) fn together(
        &self,
        shared: &[&String],
        drawn: &[(String, Drawn)],
        all: [u64; 2],
    ) -> Result<Vec<Together>, MonitorError> {
        match self.how.preset {
            Preset::NannyMl if shared.len() > 1 => {
                let outcome = rows::reconstructed(self.tables[0], self.tables[1], shared)?;
                Ok(vec![Together { outcome, apart: None }])
            }
            Preset::Sequential if drawn.len() > 1 => {
                let rows = [0, 1].map(|at| self.chosen[at].get().map_or(0, Vec::len));
                Ok(vec![rows::classified(self.how.preset, drawn, (rows, all[0]), self.level)])
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// A column without a value has no type in a CSV: it is what the other side is.
fn empty_as(side: &mut Values, other: &Values) {
    if let (Values::Categories { values, .. }, Values::Numbers { .. }) = (&*side, other)
        && values.iter().all(|v| *v == MISSING)
    {
        *side = Values::Numbers { values: vec![f64::NAN; values.len()], whole: false };
    }
}

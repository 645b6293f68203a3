//! Two files, column by column.

mod rows;
mod texts;
mod vectors;

pub use rows::Together;
pub use texts::Shape;

use crate::column::{Kind, numbers_into, texts as each_text};
use crate::error::MonitorError;
use crate::table::Table;
use mainspring_stats::multivariate::{Apart, Auc, Drawn, Weighted};
use mainspring_stats::presets::{self, Finding, MISSING, NumberTest, Preset, Score, Values, VectorTest, Verdict};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// From which share of drifted columns Evidently says that the table has drifted.
pub(crate) const SHARE: f64 = 0.5;

/// How two files are compared.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// Whose choices.
    pub preset: Preset,
    /// For [`Preset::Evidently`]: the test of numbers, where it is not to choose.
    pub test: Option<NumberTest>,
    /// For [`Preset::Sequential`]: the probability of any false alarm in the table. The others have their own.
    pub level: f64,
    /// Columns that are compared at a time; each takes two columns' memory.
    pub threads: usize,
    /// How vectors are compared.
    pub vectors: VectorTest,
    /// Beginnings of names: all columns of numbers with one are the components of a vector.
    pub prefixes: &'a [String],
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whose choices.
    pub preset: Preset,
    /// Rows of the reference and of the current file.
    pub rows: [u64; 2],
    /// In the order of the reference.
    pub columns: Vec<ColumnReport>,
    /// Columns of the current file that the reference lacks.
    pub added: Vec<String>,
    /// Columns of the reference that the current file lacks.
    pub removed: Vec<String>,
    /// Of rows as wholes, where the preset looks at them.
    pub together: Vec<Together>,
    /// Of the whole table.
    pub verdict: Verdict,
}

/// What was found in a column.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// What the preset says, or why it says nothing.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Of texts and vectors: how well both sides can be told apart, and by which words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apart: Option<Told>,
    /// Of texts: what has become of their form. It does not decide.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shape: Vec<Shape>,
}

/// How well a classifier tells reference and current data apart.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// On rows that it did not learn from.
    pub auc: Auc,
    /// Probability of such an area or a greater one without drift.
    pub p_value: f64,
    /// Those rows: of the reference, of the current data.
    pub held_out: [usize; 2],
    /// What it goes by most: above 0 it speaks for the current data.
    pub by: Vec<Weighted>,
}

impl Told {
    fn new(found: &Apart, by: Vec<Weighted>) -> Self {
        Self { auc: found.auc, p_value: found.p_value, held_out: found.rows, by }
    }
}

/// What a preset says of a column.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Its finding.
    Finding(Finding),
    /// Why there is none.
    Skipped(String),
}

impl Report {
    /// How many columns have drifted, and how many were compared.
    pub fn drifted(&self) -> (usize, usize) {
        let found = || {
            self.columns.iter().filter_map(|c| match &c.outcome {
                Outcome::Finding(finding) => Some(finding),
                Outcome::Skipped(_) => None,
            })
        };
        (found().filter(|f| f.verdict == Verdict::Drift).count(), found().count())
    }
}

/// Compares the columns that both files have. Blocks.
///
/// # Errors
/// [`MonitorError`] when a file cannot be read, or they share no column.
pub fn compare(reference: &Table, current: &Table, how: Comparison) -> Result<Report, MonitorError> {
    if !(how.level > 0.0 && how.level < 1.0) {
        return Err(MonitorError::Level(how.level));
    }
    let names = |table: &Table| table.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    let (there, here) = (names(reference), names(current));
    let only = |a: &[String], b: &[String]| a.iter().filter(|n| !b.contains(n)).cloned().collect::<Vec<_>>();
    let shared: Vec<&String> = there.iter().filter(|n| here.contains(n)).collect();
    if shared.is_empty() {
        return Err(MonitorError::Columns(there));
    }
    let units = units(&shared, [reference, current], how.prefixes)?;
    let looks = units.len() + usize::from(how.preset == Preset::Sequential && units.len() > 1);
    let level = how.level / looks as f64;
    let task = Task {
        reference,
        current,
        how,
        level,
        columns: units.len(),
        chosen: [OnceLock::new(), OnceLock::new()],
        spare: Mutex::default(),
    };
    let found = task.all(&units)?;
    let mut rows: [u64; 2] = [0; 2];
    let (mut columns, mut drawn) = (Vec::with_capacity(found.len()), Vec::new());
    for one in found {
        // A column that is not read counts none.
        rows = [0, 1].map(|side| one.rows[side].max(rows[side]));
        drawn.extend(one.drawn.map(|rows| (one.column.name.clone(), rows)));
        columns.push(one.column);
    }
    let mut report = Report {
        preset: how.preset,
        rows,
        columns,
        added: only(&here, &there),
        removed: only(&there, &here),
        together: task.together(&shared, &drawn, rows)?,
        verdict: Verdict::Steady,
    };
    let (drifted, compared) = report.drifted();
    let whole = |t: &Together| matches!(&t.outcome, Outcome::Finding(f) if f.verdict == Verdict::Drift);
    let much = match how.preset {
        Preset::Evidently => compared > 0 && drifted as f64 / compared as f64 >= SHARE,
        _ => drifted > 0 || report.together.iter().any(whole),
    };
    if much {
        report.verdict = Verdict::Drift;
    }
    Ok(report)
}

/// What is compared: a column, or the columns of a prefix.
struct Unit {
    name: String,
    parts: Option<Vec<String>>,
}

/// Columns that are in no group each for itself, then the groups.
fn units(shared: &[&String], tables: [&Table; 2], prefixes: &[String]) -> Result<Vec<Unit>, MonitorError> {
    let mut left: Vec<&String> = shared.to_vec();
    let mut groups = Vec::new();
    for prefix in prefixes {
        let part =
            |name: &&&String| name.starts_with(prefix.as_str()) && tables.iter().all(|t| kind(t, name).is_numeric());
        let parts: Vec<String> = left.iter().filter(part).map(|name| (*name).clone()).collect();
        if parts.is_empty() {
            return Err(MonitorError::Prefix(prefix.clone()));
        }
        left.retain(|name| !parts.contains(name));
        groups.push(Unit { name: format!("{prefix}*"), parts: Some(parts) });
    }
    Ok(left.into_iter().map(|name| Unit { name: name.clone(), parts: None }).chain(groups).collect())
}

/// What is known of a unit.
struct Found {
    column: ColumnReport,
    rows: [u64; 2],
    /// Its part in a table of drawn rows.
    drawn: Option<Drawn>,
}

struct Task<'a> {
    reference: &'a Table,
    current: &'a Table,
    how: Comparison<'a>,
    /// For one column.
    level: f64,
    columns: usize,
    /// Rows of each side that stand for the table, the same of each column.
    chosen: [OnceLock<Vec<usize>>; 2],
    /// Room of columns that are done with: fresh memory costs more than what is done with it.
    spare: Mutex<Vec<Vec<f64>>>,
}

impl Task<'_> {
    fn all(&self, units: &[Unit]) -> Result<Vec<Found>, MonitorError> {
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..self.how.threads.clamp(1, units.len().max(1)) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(unit) = units.get(at) else { break };
                        let found = self.unit(unit).map(|found| (at, found));
                        done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(found);
                    }
                });
            }
        });
        let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut found = done.into_iter().collect::<Result<Vec<(usize, Found)>, _>>()?;
        if found.len() < units.len() {
            return Err(MonitorError::Thread(self.current.file().to_owned()));
        }
        found.sort_by_key(|(at, _)| *at);
        Ok(found.into_iter().map(|(_, found)| found).collect())
    }

    fn unit(&self, unit: &Unit) -> Result<Found, MonitorError> {
        let tables = [self.reference, self.current];
        if let Some(parts) = &unit.parts {
            let [a, b] = tables.map(|table| vectors::columns(table, parts));
            return Ok(self.vectors(&unit.name, [a?, b?]));
        }
        let name = &unit.name;
        let lists = |table: &Table| table.schema().field_with_name(name).is_ok_and(|f| vectors::are(f.data_type()));
        if tables.into_iter().all(lists) {
            let read = |table: &Table| {
                let at = table.schema().index_of(name).map_err(|e| table.wrong(&e))?;
                vectors::lists(table, at)
            };
            let [a, b] = tables.map(read);
            return Ok(self.vectors(name, [a?, b?]));
        }
        self.column(name)
    }

    fn vectors(&self, name: &str, sides: [vectors::Read; 2]) -> Found {
        let rows = sides.each_ref().map(|side| side.rows);
        let uneven = sides.iter().any(|side| side.uneven);
        let sides = sides.map(|side| side.side);
        let (outcome, apart) = if uneven {
            (Outcome::Skipped("its vectors are not all of one length".into()), None)
        } else {
            match presets::vectors(self.how.preset, self.how.vectors, &sides, (self.level, rows::SEED)) {
                Ok((finding, found)) => (Outcome::Finding(finding), found.map(|found| Told::new(&found, Vec::new()))),
                Err(why) => (Outcome::Skipped(why.to_string()), None),
            }
        };
        let column = ColumnReport { name: name.to_owned(), kind: Kind::Other, outcome, apart, shape: Vec::new() };
        Found { column, rows, drawn: None }
    }

    fn column(&self, name: &str) -> Result<Found, MonitorError> {
        let kinds = [self.reference, self.current].map(|t| kind(t, name));
        let plain = |outcome, rows, drawn| {
            let column =
                ColumnReport { name: name.to_owned(), kind: kinds[1], outcome, apart: None, shape: Vec::new() };
            Found { column, rows, drawn }
        };
        if kinds.contains(&Kind::Time) {
            let outcome = Outcome::Skipped("it holds times, which move on by themselves".into());
            return Ok(plain(outcome, [0; 2], None));
        }
        let mut labels = HashMap::new();
        let mut reference = read(self.reference, name, (&mut labels, self.room()))?;
        let mut current = read(self.current, name, (&mut labels, self.room()))?;
        empty_as(&mut reference, current.as_ref());
        empty_as(&mut current, reference.as_ref());
        let rows = [&reference, &current].map(|side| side.as_ref().map_or(0, |v| v.len() as u64));
        let (Some(a), Some(b)) = (reference, current) else {
            let outcome = Outcome::Skipped("it holds neither numbers, texts nor vectors".into());
            return Ok(plain(outcome, rows, None));
        };
        if self.by_words(&a, &b) {
            let found = texts::compare(self.how.preset, [&a, &b], &labels, self.level);
            let mut all = plain(found.outcome, rows, None);
            (all.column.apart, all.column.shape) = (found.apart, found.shape);
            return Ok(all);
        }
        let drawn = self.drawn([&a, &b], &labels);
        let found = match (self.how.preset, self.how.test) {
            (Preset::Evidently, Some(test)) => presets::judge_by(test, &a, &b),
            (preset, _) => presets::judge(preset, &a, &b, self.level),
        };
        let outcome = match found {
            Ok(finding) => Outcome::Finding(finding),
            Err(why) => Outcome::Skipped(why.to_string()),
        };
        self.done_with([a, b]);
        Ok(plain(outcome, rows, drawn))
    }

    fn room(&self) -> Vec<f64> {
        self.spare.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn done_with(&self, sides: [Values; 2]) {
        let mut spare = self.spare.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        spare.extend(sides.into_iter().filter_map(|side| match side {
            Values::Numbers { values, .. } => Some(values),
            Values::Categories { .. } => None,
        }));
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
    fn together(
        &self,
        shared: &[&String],
        drawn: &[(String, Drawn)],
        all: [u64; 2],
    ) -> Result<Vec<Together>, MonitorError> {
        match self.how.preset {
            Preset::NannyMl if shared.len() > 1 => {
                let outcome = rows::reconstructed(self.reference, self.current, shared)?;
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
fn empty_as(side: &mut Option<Values>, other: Option<&Values>) {
    if let (Some(Values::Categories { values, .. }), Some(Values::Numbers { .. })) = (&*side, other)
        && values.iter().all(|v| *v == MISSING)
    {
        *side = Some(Values::Numbers { values: vec![f64::NAN; values.len()], whole: false });
    }
}

fn kind(table: &Table, name: &str) -> Kind {
    table.schema().field_with_name(name).map_or(Kind::Other, |f| Kind::of(f.data_type()))
}

/// All rows of a column; `None` when it holds what is not compared. `labels` numbers texts for both files; `values` is room
/// for numbers.
fn read(
    table: &Table,
    name: &str,
    (labels, mut values): (&mut HashMap<String, u32>, Vec<f64>),
) -> Result<Option<Values>, MonitorError> {
    let kind = kind(table, name);
    let Ok(at) = table.schema().index_of(name) else { return Ok(None) };
    let mut categories = Vec::new();
    values.clear();
    if kind == Kind::Other {
        return Ok(None);
    }
    // Growing would copy everything, and need the memory twice.
    if kind.is_numeric() {
        values.reserve_exact(table.known_rows());
    } else {
        categories.reserve_exact(table.known_rows());
    }
    for part in 0..table.parts() {
        for batch in table.rows(part, Some(at))? {
            let batch = batch.map_err(|e| table.wrong(&e))?;
            let column = batch.column(0);
            let done = if kind.is_numeric() {
                numbers_into(column, &mut values)
            } else {
                each_text(column, |text| categories.push(text.map_or(MISSING, |text| label(labels, text))))
            };
            done.map_err(|e| table.wrong(&e))?;
        }
    }
    Ok(Some(if kind.is_numeric() {
        Values::Numbers { values, whole: kind == Kind::Integer }
    } else {
        Values::Categories { values: categories, text: kind == Kind::Text }
    }))
}

fn label(labels: &mut HashMap<String, u32>, text: &str) -> u32 {
    if let Some(label) = labels.get(text) {
        return *label;
    }
    let label = labels.len() as u32;
    labels.insert(text.to_owned(), label);
    label
}

/// A score as people read it: `p = 0.012`, `0.34`, `e = 1.2e5`, `AUC 0.61`.
pub fn shown(kind: Score, number: f64) -> String {
    let text = match number {
        x if x != 0.0 && (x.abs() < 1e-3 || x.abs() >= 1e5) => format!("{x:.1e}"),
        x => format!("{x:.3}"),
    };
    match kind {
        Score::PValue => format!("p = {text}"),
        Score::EValue => format!("e = {text}"),
        Score::Auc => format!("AUC {text}"),
        Score::Distance => text,
    }
}

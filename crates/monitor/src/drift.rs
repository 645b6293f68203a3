//! Two files, column by column.

use crate::column::{Kind, numbers, texts};
use crate::error::MonitorError;
use crate::table::Table;
use mainspring_stats::presets::{self, Finding, MISSING, Preset, Score, Values, Verdict};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// From which share of drifted columns Evidently says that the table has drifted.
pub(crate) const SHARE: f64 = 0.5;

/// How two files are compared.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// Whose choices.
    pub preset: Preset,
    /// For [`Preset::Sequential`]: the probability of any false alarm in the table. The others have their own.
    pub level: f64,
    /// Columns that are compared at a time; each takes two columns' memory.
    pub threads: usize,
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
    let task = Task { reference, current, preset: how.preset, level: how.level / shared.len() as f64 };
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..how.threads.clamp(1, shared.len()) {
            scope.spawn(|| {
                while let Some(name) = shared.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = task.column(name);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(found);
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut found = done.into_iter().collect::<Result<HashMap<String, (ColumnReport, [u64; 2])>, _>>()?;
    let mut columns = Vec::with_capacity(shared.len());
    let mut rows: [u64; 2] = [0; 2];
    for name in shared {
        let (column, its) = found.remove(name).ok_or_else(|| MonitorError::Thread(current.file().to_owned()))?;
        // A column that is not read counts none.
        rows = [0, 1].map(|side| its[side].max(rows[side]));
        columns.push(column);
    }
    let mut report = Report {
        preset: how.preset,
        rows,
        columns,
        added: only(&here, &there),
        removed: only(&there, &here),
        verdict: Verdict::Steady,
    };
    let (drifted, compared) = report.drifted();
    let much = match how.preset {
        Preset::Evidently => compared > 0 && drifted as f64 / compared as f64 >= SHARE,
        _ => drifted > 0,
    };
    if much {
        report.verdict = Verdict::Drift;
    }
    Ok(report)
}

struct Task<'a> {
    reference: &'a Table,
    current: &'a Table,
    preset: Preset,
    /// For one column.
    level: f64,
}

impl Task<'_> {
    fn column(&self, name: &str) -> Result<(String, (ColumnReport, [u64; 2])), MonitorError> {
        let kinds = [self.reference, self.current].map(|t| kind(t, name));
        if kinds.contains(&Kind::Time) {
            let outcome = Outcome::Skipped("it holds times, which move on by themselves".into());
            return Ok((name.to_owned(), (ColumnReport { name: name.to_owned(), kind: kinds[1], outcome }, [0; 2])));
        }
        let mut labels = HashMap::new();
        let mut reference = read(self.reference, name, &mut labels)?;
        let mut current = read(self.current, name, &mut labels)?;
        empty_as(&mut reference, current.as_ref());
        empty_as(&mut current, reference.as_ref());
        let rows = [&reference, &current].map(|side| side.as_ref().map_or(0, |v| v.len() as u64));
        let outcome = match (reference, current) {
            (Some(a), Some(b)) => match presets::judge(self.preset, &a, &b, self.level) {
                Ok(finding) => Outcome::Finding(finding),
                Err(why) => Outcome::Skipped(why.to_string()),
            },
            _ => Outcome::Skipped("it holds neither numbers nor texts".into()),
        };
        Ok((name.to_owned(), (ColumnReport { name: name.to_owned(), kind: kinds[1], outcome }, rows)))
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

/// All rows of a column; `None` when it holds what is not compared. `labels` numbers texts for both files.
fn read(table: &Table, name: &str, labels: &mut HashMap<String, u32>) -> Result<Option<Values>, MonitorError> {
    let kind = kind(table, name);
    let Ok(at) = table.schema().index_of(name) else { return Ok(None) };
    let (mut values, mut categories) = (Vec::new(), Vec::new());
    if kind == Kind::Other {
        return Ok(None);
    }
    for part in 0..table.parts() {
        for batch in table.rows(part, Some(at))? {
            let batch = batch.map_err(|e| table.wrong(&e))?;
            let column = batch.column(0);
            let done = if kind.is_numeric() {
                numbers(column, |v| values.push(v.unwrap_or(f64::NAN)))
            } else {
                texts(column, |text| categories.push(text.map_or(MISSING, |text| label(labels, text))))
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

/// A score as people read it: `p = 0.012`, `0.34`, `e = 1.2e5`.
pub fn shown(kind: Score, number: f64) -> String {
    let text = match number {
        x if x != 0.0 && (x.abs() < 1e-3 || x.abs() >= 1e5) => format!("{x:.1e}"),
        x => format!("{x:.3}"),
    };
    match kind {
        Score::PValue => format!("p = {text}"),
        Score::EValue => format!("e = {text}"),
        Score::Distance => text,
    }
}

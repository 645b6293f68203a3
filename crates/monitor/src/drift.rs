//! Two tables, column by column.

mod broken;
mod read;
mod rows;
mod task;
#[cfg(test)]
mod tests;
mod texts;
mod vectors;

pub use broken::{Broken, Sort};
pub use rows::Together;
pub use texts::Shape;

pub(crate) use broken::{Seen, UNKEPT, digits, untested};
pub(crate) use vectors::{are as are_vectors, each as each_vector};

use crate::column::Kind;
use crate::error::MonitorError;
use crate::table::Table;
use mainspring_stats::multivariate::{Apart, Auc, Weighted};
use mainspring_stats::presets::{Finding, Preset, Score, Tests, VectorTest, Verdict};
use read::{HELD, Unit, kind};
use serde::Serialize;
use task::Task;

/// From which share of drifted columns Evidently says that the table has drifted.
const SHARE: f64 = 0.5;

/// How two files are compared.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// Whose choices.
    pub preset: Preset,
    /// Tests of the preset that it is not to choose itself.
    pub tests: Option<Tests>,
    /// Of which columns.
    pub among: Among<'a>,
    /// For [`Preset::Sequential`]: the probability of any false alarm in the table. The others have their own.
    pub level: f64,
    /// Columns that are compared at a time; each takes two columns' memory. Files that are read row by row take 256 MiB
    /// beside that.
    pub threads: usize,
    /// How vectors are compared.
    pub vectors: VectorTest,
    /// Beginnings of names: all columns of numbers with one are the components of a vector.
    pub prefixes: &'a [String],
}

impl Comparison<'_> {
    /// All columns, one at a time, by what the preset chooses itself, vectors by a classifier.
    pub fn new(preset: Preset) -> Self {
        let (tests, among, vectors) = (None, Among::default(), VectorTest::Model);
        Self { preset, tests, among, level: 0.05, threads: 1, vectors, prefixes: &[] }
    }
}

/// The columns of both sides that are looked at, each as a side or a table calls it (`age` is `in.age` too).
#[derive(Debug, Clone, Copy, Default)]
pub struct Among<'a> {
    /// These alone; all where none is named.
    pub only: &'a [String],
    /// Not these.
    pub ignored: &'a [String],
}

/// `in.age` and `out.age` are both `age` to a table.
pub(crate) fn bare(name: &str) -> &str {
    name.strip_prefix("in.").or_else(|| name.strip_prefix("out.")).unwrap_or(name)
}

impl Among<'_> {
    pub(crate) fn keeps(&self, name: &str) -> bool {
        let names = |list: &[String]| list.iter().any(|wanted| wanted == name || wanted == bare(name));
        (self.only.is_empty() || names(self.only)) && !names(self.ignored)
    }

    /// Whether each name is one of these.
    pub(crate) fn known<'n>(&self, names: impl Iterator<Item = &'n str> + Clone) -> Result<(), MonitorError> {
        let missing = |wanted: &&String| !names.clone().any(|name| *wanted == name || *wanted == bare(name));
        match self.only.iter().chain(self.ignored).find(missing) {
            Some(wanted) => {
                let mut there: Vec<String> = names.map(str::to_owned).collect();
                there.sort();
                there.dedup();
                Err(MonitorError::Column { name: wanted.clone(), there })
            }
            None => Ok(()),
        }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whose choices.
    pub preset: Preset,
    /// Rows of the reference and of the current file.
    pub rows: [u64; 2],
    /// In the order of the reference; then vectors of a prefix, then what is gone.
    pub columns: Vec<ColumnReport>,
    /// Those of them that cannot be compared any more, by name: they are not among the ones that drifted.
    pub broken: Vec<String>,
    /// Columns of the current file that the reference lacks.
    pub added: Vec<String>,
    /// Columns of the reference that the current file lacks.
    pub removed: Vec<String>,
    /// Of rows as wholes, where the preset looks at them.
    pub together: Vec<Together>,
    /// Of the whole table; a broken column is a drift of it.
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
    /// There can be none any more.
    Broken(Broken),
}

impl ColumnReport {
    /// Of a column that is not there any more.
    pub(crate) fn gone(name: &str, kind: Kind) -> Self {
        Self::plain(name, kind, Outcome::Broken(Broken::Gone))
    }

    pub(crate) fn plain(name: &str, kind: Kind, outcome: Outcome) -> Self {
        Self { name: name.to_owned(), kind, outcome, apart: None, shape: Vec::new() }
    }
}

impl Report {
    /// How many columns have drifted, and how many were compared; broken ones are in neither.
    pub fn drifted(&self) -> (usize, usize) {
        let found = || {
            self.columns.iter().filter_map(|c| match &c.outcome {
                Outcome::Finding(finding) => Some(finding),
                Outcome::Skipped(_) | Outcome::Broken(_) => None,
            })
        };
        (found().filter(|f| f.verdict == Verdict::Drift).count(), found().count())
    }

    /// What became of the broken columns, by name.
    pub fn breaks(&self) -> impl Iterator<Item = (&str, Broken)> {
        self.columns.iter().filter_map(|column| match column.outcome {
            Outcome::Broken(what) => Some((column.name.as_str(), what)),
            Outcome::Finding(_) | Outcome::Skipped(_) => None,
        })
    }

    /// Evidently's verdict of a table in which some columns have drifted and the table has not, in a sentence.
    pub fn below(&self) -> Option<String> {
        let (drifted, compared) = self.drifted();
        (drifted > 0 && self.verdict != Verdict::Drift).then(|| {
            format!(
                "{drifted} of {compared} columns drifted, but not the table: {} says that of one when {:.0} % of its \
                 columns have, and --fail-on-drift looks at the table",
                self.preset.as_str(),
                100.0 * SHARE
            )
        })
    }

    /// With what follows from its columns.
    pub(crate) fn concluded(mut self) -> Self {
        self.broken = self.breaks().map(|(name, _)| name.to_owned()).collect();
        let (drifted, compared) = self.drifted();
        let whole = |t: &Together| matches!(&t.outcome, Outcome::Finding(f) if f.verdict == Verdict::Drift);
        let much = match self.preset {
            Preset::Evidently => compared > 0 && drifted as f64 / compared as f64 >= SHARE,
            Preset::NannyMl | Preset::Whylogs | Preset::Sequential => drifted > 0 || self.together.iter().any(whole),
        };
        let drift = much || !self.broken.is_empty();
        self.verdict = if drift { Verdict::Drift } else { Verdict::Steady };
        self
    }
}

/// Compares the columns that both files have, and says which of the reference's cannot be compared any more. Blocks.
///
/// # Errors
/// [`MonitorError`] when a file cannot be read, or they share no column.
pub fn compare(reference: &Table, current: &Table, how: Comparison) -> Result<Report, MonitorError> {
    compare_within(reference, current, how, HELD)
}

/// As [`compare`], with so many bytes of values in a pass.
fn compare_within(reference: &Table, current: &Table, how: Comparison, held: usize) -> Result<Report, MonitorError> {
    if !(how.level > 0.0 && how.level < 1.0) {
        return Err(MonitorError::Level(how.level));
    }
    let all = |table: &Table| table.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    let (mut there, mut here) = (all(reference), all(current));
    how.among.known(there.iter().chain(&here).map(String::as_str))?;
    for names in [&mut there, &mut here] {
        names.retain(|name| how.among.keeps(name));
    }
    let only = |a: &[String], b: &[String]| a.iter().filter(|n| !b.contains(n)).cloned().collect::<Vec<_>>();
    let shared: Vec<&String> = there.iter().filter(|n| here.contains(n)).collect();
    if shared.is_empty() {
        return Err(MonitorError::Columns(there));
    }
    let tables = [reference, current];
    let units = units(&shared, tables, how.prefixes)?;
    let task = Task::new(tables, how, (units.len(), held));
    let found = task.all(&units)?;
    let mut rows: [u64; 2] = [0; 2];
    let (mut columns, mut drawn) = (Vec::with_capacity(found.len()), Vec::new());
    for one in found {
        // A column that is not read counts none.
        rows = [0, 1].map(|side| one.rows[side].max(rows[side]));
        drawn.extend(one.drawn.map(|rows| (one.column.name.clone(), rows)));
        columns.push(one.column);
    }
    let removed = only(&there, &here);
    // Live rows have inputs and outputs alone: what else a file has, such as a label, is not gone.
    if reference.is_live() || !current.is_live() {
        columns.extend(removed.iter().map(|name| ColumnReport::gone(name, kind(reference, name))));
    }
    let report = Report {
        preset: how.preset,
        rows,
        columns,
        broken: Vec::new(),
        added: only(&here, &there),
        removed,
        together: task.together(&shared, &drawn, rows)?,
        verdict: Verdict::Steady,
    };
    Ok(report.concluded())
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

//! Drift between two sides of which only sketches are kept: a saved profile, a window of live rows.

mod pictures;

pub use pictures::{Picture, Shares};

use crate::column::Kind;
use crate::drift::{ColumnReport, Outcome, Report, SHARE};
use crate::error::MonitorError;
use crate::profile::Profile;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mainspring_stats::presets::{NoFinding, Preset, Sketched, Verdict, judge_sketched};
use mainspring_stats::{Frequent, InvalidSketch, Kll};

/// A column's sketches as they are written: DataSketches' bytes in base 64.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written<'a> {
    /// KLL of its finite numbers.
    pub kll: Option<&'a str>,
    /// Their standard deviation, divided by n − 1.
    pub deviation: Option<f64>,
    /// Frequent items of its texts.
    pub frequent_items: Option<&'a str>,
    /// Share of its rows without a value.
    pub missing: Option<f64>,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: Kind,
    numbers: Option<Sketched>,
    texts: Option<Sketched>,
    missing: Option<f64>,
}

/// One side's columns.
#[derive(Debug, Clone, Default)]
pub struct Sketches {
    rows: u64,
    columns: Vec<Column>,
}

/// `in.age` and `out.age` are both `age` to a table.
fn bare(name: &str) -> &str {
    name.strip_prefix("in.").or_else(|| name.strip_prefix("out.")).unwrap_or(name)
}

/// Share of the rows that lack a value; `None` without a row.
pub fn share(missing: u64, present: u64) -> Option<f64> {
    let rows = missing + present;
    (rows > 0).then(|| missing as f64 / rows as f64)
}

fn bytes(text: &str, sketch: &'static str) -> Result<Vec<u8>, InvalidSketch> {
    STANDARD.decode(text).map_err(|e| InvalidSketch { sketch, why: e.to_string() })
}

impl Sketches {
    /// A side of so many rows, without columns yet.
    pub fn new(rows: u64) -> Self {
        Self { rows, columns: Vec::new() }
    }

    /// The columns of a profile.
    ///
    /// # Errors
    /// [`MonitorError::Sketch`] when what is in it is no sketch.
    pub fn of(profile: &Profile) -> Result<Self, MonitorError> {
        let mut side = Self::new(profile.rows);
        for column in &profile.columns {
            let numbers = column.numbers.as_ref();
            let written = Written {
                kll: numbers.map(|n| n.kll.as_str()),
                deviation: numbers.and_then(|n| n.deviation),
                frequent_items: column.texts.as_ref().map(|t| t.frequent_items.as_str()),
                missing: share(column.missing, column.present),
            };
            side.add(&column.name, column.kind, written)?;
        }
        Ok(side)
    }

    /// Adds a column.
    ///
    /// # Errors
    /// [`MonitorError::Sketch`] when what is given is no sketch.
    pub fn add(&mut self, name: &str, kind: Kind, written: Written<'_>) -> Result<(), MonitorError> {
        let wrong = |source| MonitorError::Sketch { column: name.to_owned(), source };
        let kll = written.kll.map(|text| bytes(text, "KLL").and_then(|b| Kll::from_datasketches(&b)));
        let frequent =
            written.frequent_items.map(|text| bytes(text, "frequent items").and_then(|b| Frequent::from_bytes(&b)));
        let numbers = kll.transpose().map_err(wrong)?;
        self.columns.push(Column {
            name: name.to_owned(),
            kind,
            numbers: numbers.map(|quantiles| Sketched::Numbers { quantiles, deviation: written.deviation }),
            texts: frequent.transpose().map_err(wrong)?.map(Sketched::Texts),
            missing: written.missing,
        });
        Ok(())
    }

    /// Without the columns of these names: those that tell the rows of one side from others.
    #[must_use]
    pub fn without(mut self, names: &[String]) -> Self {
        self.columns.retain(|column| !names.contains(&column.name));
        self
    }

    /// The column of this name. Where one of the two has no side, it is whichever side there is, an input before an output;
    /// an input is never an output.
    fn column(&self, name: &str) -> Option<&Column> {
        let called = |name: &str| self.columns.iter().find(|c| c.name == name);
        let other = || {
            let bare = bare(name);
            if bare == name {
                called(&format!("in.{name}")).or_else(|| called(&format!("out.{name}")))
            } else {
                called(bare)
            }
        };
        called(name).or_else(other)
    }
}

/// Compares the columns that both sides have, those of live rows by their name without `in.` and `out.`.
///
/// # Errors
/// [`MonitorError::Columns`] when they share none.
pub fn compare_sketches(reference: &Sketches, current: &Sketches, preset: Preset) -> Result<Report, MonitorError> {
    let mut columns = Vec::new();
    for column in &reference.columns {
        if let Some(other) = current.column(&column.name) {
            columns.push(ColumnReport {
                name: other.name.clone(),
                kind: other.kind,
                outcome: outcome(preset, column, other),
                apart: None,
                shape: Vec::new(),
            });
        }
    }
    if columns.is_empty() {
        return Err(MonitorError::Columns(reference.columns.iter().map(|c| c.name.clone()).collect()));
    }
    let only = |a: &Sketches, b: &Sketches| {
        a.columns.iter().filter(|c| b.column(&c.name).is_none()).map(|c| c.name.clone()).collect::<Vec<_>>()
    };
    let mut report = Report {
        preset,
        rows: [reference.rows, current.rows],
        columns,
        added: only(current, reference),
        removed: only(reference, current),
        together: Vec::new(),
        verdict: Verdict::Steady,
    };
    let (drifted, compared) = report.drifted();
    let much = match preset {
        Preset::Evidently => compared > 0 && drifted as f64 / compared as f64 >= SHARE,
        _ => drifted > 0,
    };
    if much {
        report.verdict = Verdict::Drift;
    }
    Ok(report)
}

fn outcome(preset: Preset, reference: &Column, current: &Column) -> Outcome {
    if reference.kind == Kind::Time || current.kind == Kind::Time {
        return Outcome::Skipped("it holds times, which move on by themselves".into());
    }
    let found = match (reference, current) {
        (Column { numbers: Some(a), .. }, Column { numbers: Some(b), .. })
        | (Column { texts: Some(a), .. }, Column { texts: Some(b), .. }) => judge_sketched(preset, a, b),
        _ => Err(NoFinding::Kinds),
    };
    match found {
        Ok(finding) => Outcome::Finding(finding),
        Err(why) => Outcome::Skipped(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;
    use crate::profile::profile;

    fn side(shift: f64, name: &str) -> Sketches {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.csv");
        let even = |i: u32| (f64::from(i) * 0.618_033_988_749_894_9).fract();
        let lines: Vec<String> = (0..3_000)
            .map(|i| format!("{},{},{}", even(i) + shift, if even(7 * i) < 0.7 { "a" } else { "b" }, even(3 * i)))
            .collect();
        std::fs::write(&file, format!("{name},plan,only_{name}\n{}\n", lines.join("\n"))).unwrap();
        Sketches::of(&profile(&Table::open(&file).unwrap(), 1).unwrap()).unwrap()
    }

    #[test]
    fn profiles_are_compared_by_their_sketches_and_live_columns_by_their_bare_name() {
        for preset in [Preset::Evidently, Preset::Whylogs] {
            let report = compare_sketches(&side(0.0, "x"), &side(0.4, "in.x"), preset).unwrap();
            let verdicts: Vec<(&str, Verdict)> = report
                .columns
                .iter()
                .map(|c| match &c.outcome {
                    Outcome::Finding(found) => (c.name.as_str(), found.verdict),
                    Outcome::Skipped(why) => panic!("{}: {why}", c.name),
                })
                .collect();
            assert_eq!(verdicts, [("in.x", Verdict::Drift), ("plan", Verdict::Steady)], "{preset:?}");
            assert_eq!((report.removed, report.added), (vec!["only_x".to_owned()], vec!["only_in.x".to_owned()]));
            assert_eq!((report.rows, report.verdict), ([3_000, 3_000], Verdict::Drift));
        }
    }

    #[test]
    fn an_input_is_not_compared_with_an_output_of_its_name() {
        let names = |side: &[&str]| {
            let mut made = Sketches::new(1);
            for name in side {
                made.add(name, Kind::Time, Written::default()).unwrap();
            }
            made
        };
        let pairs = |a: &[&str], b: &[&str]| {
            let report = compare_sketches(&names(a), &names(b), Preset::Whylogs).unwrap();
            (report.columns.into_iter().map(|c| c.name).collect::<Vec<_>>(), report.removed, report.added)
        };
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let found = pairs(&["in.x", "out.x", "in.y"], &["in.x", "in.y"]);
        assert_eq!(found, (owned(&["in.x", "in.y"]), owned(&["out.x"]), owned(&[])));
        let found = pairs(&["x", "y"], &["out.x", "in.x", "out.y"]);
        assert_eq!((found.0, found.1), (owned(&["in.x", "out.y"]), owned(&[])));
        assert_eq!(pairs(&["out.x"], &["x"]).0, ["x"]);
    }

    #[test]
    fn what_is_no_sketch_names_its_column() {
        let mut side = Sketches::new(1);
        let why = side.add("age", Kind::Number, Written { kll: Some("AAAA"), ..Written::default() }).unwrap_err();
        assert!(why.to_string().starts_with("column \"age\""), "{why}");
        assert!(side.add("age", Kind::Number, Written { kll: Some("?"), ..Written::default() }).is_err());
        assert!(matches!(
            compare_sketches(&Sketches::new(1), &Sketches::new(1), Preset::Whylogs),
            Err(MonitorError::Columns(_))
        ));
    }
}

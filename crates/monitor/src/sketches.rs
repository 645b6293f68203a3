//! Drift between two sides of which only sketches are kept: a saved profile, a window of live rows.

mod pictures;

pub use pictures::{Picture, Shares};

use crate::column::Kind;
use crate::drift::{Among, Broken, ColumnReport, Outcome, Report, Seen, UNKEPT, bare, digits, untested};
use crate::error::MonitorError;
use crate::profile::{Profile, Vectors};
use crate::table::named_format;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mainspring_stats::presets::{Components, NoFinding, Preset, Sketched, Verdict, components, judge_sketched};
use mainspring_stats::{Frequent, InvalidSketch, Kll};
use std::path::Path;

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
    /// Of its lists of numbers.
    pub vectors: Option<&'a Vectors>,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: Kind,
    numbers: Option<Sketched>,
    texts: Option<Sketched>,
    missing: Option<f64>,
    vectors: Option<Vectors>,
}

impl Column {
    /// What is known of it before any test.
    fn seen(&self, format: Option<&'static str>) -> Seen {
        let sketched = [&self.numbers, &self.texts].into_iter().flatten().any(|sketch| sketch.count() > 0);
        // Of lists, records and bytes there are no sketches: they are there unless all are known to be missing.
        let counted = self.kind == Kind::Other && self.missing.is_none_or(|share| share < 1.0);
        Seen { sort: self.kind.into(), any: sketched || counted, format }
    }

    /// Whether it has rows and nothing was kept of them: what is redacted, NaN, or of a type that live rows do not count.
    fn is_unkept(&self) -> bool {
        let sketched = self.numbers.is_some() || self.texts.is_some();
        !sketched && self.kind != Kind::Other && self.missing.is_none_or(|share| share < 1.0)
    }

    /// Whether all texts that are known are numbers.
    fn digits(&self) -> bool {
        let Some(Sketched::Texts(frequent)) = &self.texts else { return false };
        let known = frequent.top(usize::MAX);
        !known.is_empty() && digits(known.iter().map(|item| item.value.as_str()))
    }
}

/// One side's columns.
#[derive(Debug, Clone, Default)]
pub struct Sketches {
    rows: u64,
    /// The format of the file that they are of; nothing of live rows.
    format: Option<&'static str>,
    columns: Vec<Column>,
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
    /// A side of so many live rows, without columns yet.
    pub fn new(rows: u64) -> Self {
        Self { rows, format: None, columns: Vec::new() }
    }

    /// The columns of a profile.
    ///
    /// # Errors
    /// [`MonitorError::Sketch`] when what is in it is no sketch.
    pub fn of(profile: &Profile) -> Result<Self, MonitorError> {
        let format = named_format(Path::new(&profile.file));
        let mut side = Self { format, ..Self::new(profile.rows) };
        for column in &profile.columns {
            let numbers = column.numbers.as_ref();
            let written = Written {
                kll: numbers.map(|n| n.kll.as_str()),
                deviation: numbers.and_then(|n| n.deviation),
                frequent_items: column.texts.as_ref().map(|t| t.frequent_items.as_str()),
                missing: share(column.missing, column.present),
                vectors: column.vectors.as_ref(),
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
            vectors: written.vectors.cloned(),
        });
        Ok(())
    }

    /// Without the columns of these names: those that tell the rows of one side from others.
    #[must_use]
    pub fn without(mut self, names: &[String]) -> Self {
        self.columns.retain(|column| !names.contains(&column.name));
        self
    }

    /// Both sides with these columns alone.
    ///
    /// # Errors
    /// [`MonitorError::Column`] for a name that neither has.
    pub fn among(mut sides: [Self; 2], among: Among) -> Result<[Self; 2], MonitorError> {
        among.known(sides.iter().flat_map(|side| &side.columns).map(|column| column.name.as_str()))?;
        for side in &mut sides {
            side.columns.retain(|column| among.keeps(&column.name));
        }
        Ok(sides)
    }

    /// Whether all its columns are inputs and outputs.
    fn is_live(&self) -> bool {
        self.columns.iter().all(|column| bare(&column.name) != column.name)
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

/// Compares the columns that both sides have, those of live rows by their name without `in.` and `out.`, and says which of
/// the reference's cannot be compared any more. A column of a file that is neither an input nor an output of live rows, such
/// as a label, is not gone.
///
/// # Errors
/// [`MonitorError::Columns`] when they share none.
pub fn compare_sketches(reference: &Sketches, current: &Sketches, preset: Preset) -> Result<Report, MonitorError> {
    let formats = [reference.format, current.format];
    let pair = |was: &Column| {
        let now = current.column(&was.name)?;
        Some(ColumnReport::plain(&now.name, now.kind, outcome(preset, [was, now], formats)))
    };
    let mut columns: Vec<ColumnReport> = reference.columns.iter().filter_map(pair).collect();
    if columns.is_empty() {
        return Err(MonitorError::Columns(reference.columns.iter().map(|c| c.name.clone()).collect()));
    }
    if reference.is_live() || !current.is_live() {
        let gone = reference.columns.iter().filter(|c| current.column(&c.name).is_none());
        columns.extend(gone.map(|column| ColumnReport::gone(&column.name, column.kind)));
    }
    let only = |a: &Sketches, b: &Sketches| {
        a.columns.iter().filter(|c| b.column(&c.name).is_none()).map(|c| c.name.clone()).collect::<Vec<_>>()
    };
    let report = Report {
        preset,
        rows: [reference.rows, current.rows],
        columns,
        broken: Vec::new(),
        added: only(current, reference),
        removed: only(reference, current),
        together: Vec::new(),
        verdict: Verdict::Steady,
    };
    Ok(report.concluded())
}

/// What is said of a column of both sides, which are of files of these formats.
fn outcome(preset: Preset, [was, now]: [&Column; 2], formats: [Option<&'static str>; 2]) -> Outcome {
    if was.is_unkept() || now.is_unkept() {
        return Outcome::Skipped(UNKEPT.into());
    }
    if let Some((a, b)) = was.vectors.as_ref().zip(now.vectors.as_ref()) {
        return of_vectors(preset, a, b);
    }
    let (before, after) = (was.seen(formats[0]), now.seen(formats[1]));
    match both(was, now) {
        Some((a, b)) if after.any || !before.any => match judge_sketched(preset, a, b) {
            Ok(finding) => Outcome::Finding(finding),
            Err(why) => Outcome::Skipped(why.to_string()),
        },
        _ => untested(before, after, || was.digits() || now.digits())
            .unwrap_or_else(|| Outcome::Skipped(NoFinding::Kinds.to_string())),
    }
}

/// Vectors by the means of their components.
fn of_vectors(preset: Preset, was: &Vectors, now: &Vectors) -> Outcome {
    match (was.count, now.count) {
        (1.., 0) => return Outcome::Broken(Broken::Empty),
        (1.., 1..) if was.uneven + now.uneven > 0 => {
            return Outcome::Skipped("its vectors are not all of one length".to_owned());
        }
        (1.., 1..) if was.dimension != now.dimension => {
            return Outcome::Broken(Broken::Length { was: was.dimension, is: now.dimension });
        }
        _ => {}
    }
    let [a, b] =
        [was, now].map(|side| Components { count: side.count, means: &side.means, deviations: &side.deviations });
    match components(preset, a, b) {
        Ok(finding) => Outcome::Finding(finding),
        Err(why) => Outcome::Skipped(why.to_string()),
    }
}

/// Sketches of the same sort. Whole numbers that come out are kept as texts, too: they may be classes.
fn both<'a>(was: &'a Column, now: &'a Column) -> Option<(&'a Sketched, &'a Sketched)> {
    if was.kind == Kind::Time || now.kind == Kind::Time {
        return None;
    }
    was.numbers.as_ref().zip(now.numbers.as_ref()).or_else(|| was.texts.as_ref().zip(now.texts.as_ref()))
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
                .filter_map(|c| match &c.outcome {
                    Outcome::Finding(found) => Some((c.name.as_str(), found.verdict)),
                    Outcome::Skipped(why) => panic!("{}: {why}", c.name),
                    Outcome::Broken(_) => None,
                })
                .collect();
            assert_eq!(verdicts, [("in.x", Verdict::Drift), ("plan", Verdict::Steady)], "{preset:?}");
            assert_eq!(report.breaks().collect::<Vec<_>>(), [("only_x", Broken::Gone)]);
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
            let there = report.columns.iter().filter(|c| !report.broken.contains(&c.name)).map(|c| c.name.clone());
            (there.collect::<Vec<_>>(), report.removed, report.added)
        };
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let found = pairs(&["in.x", "out.x", "in.y"], &["in.x", "in.y"]);
        assert_eq!(found, (owned(&["in.x", "in.y"]), owned(&["out.x"]), owned(&[])));
        let found = pairs(&["x", "y"], &["out.x", "in.x", "out.y"]);
        assert_eq!((found.0, found.1), (owned(&["in.x", "out.y"]), owned(&[])));
        assert_eq!(pairs(&["out.x"], &["x"]).0, ["x"]);
    }

    /// The sketches of a file's profile.
    fn of(name: &str, text: &str) -> Sketches {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        Sketches::of(&profile(&Table::open(&file).unwrap(), 1).unwrap()).unwrap()
    }

    #[test]
    fn a_column_that_is_gone_or_changed_or_empty_breaks_the_table() {
        let rows = |line: &dyn Fn(i32) -> String| (0..200).map(|i| line(i) + "\n").collect::<String>();
        let full = of("a.csv", &format!("kept,gone,kind,empty\n{}", rows(&|i| format!("{i},{i},{i},{i}"))));
        let now = of("b.csv", &format!("kept,kind,empty,new\n{}", rows(&|i| format!("{i},v{i},,1"))));
        for preset in [Preset::Evidently, Preset::Whylogs] {
            let report = compare_sketches(&full, &now, preset).unwrap();
            let found: Vec<String> = report.breaks().map(|(name, what)| format!("{name} {what}")).collect();
            assert_eq!(found, ["kind was numbers, is text", "empty has no values any more", "gone is gone"]);
            assert_eq!((report.drifted(), report.verdict), ((0, 1), Verdict::Drift), "{report:?}");
            assert_eq!(report.added, ["new"]);
            // What was not there before is not missed.
            let back =
                compare_sketches(&of("c.csv", "kept,empty\n1,\n"), &of("d.csv", "kept,empty,new\n1,2,3\n"), preset);
            assert_eq!(back.unwrap().broken, Vec::<String>::new());
        }
    }

    #[test]
    fn lists_are_called_what_they_are() {
        let lines = |of: &str| (0..50).map(|i| format!("{{\"x\":{i},\"seen\":{of}}}")).collect::<Vec<_>>().join("\n");
        let reference = of("a.jsonl", &lines("[\"a\"]"));
        let said = |now: &Sketches| {
            let report = compare_sketches(&reference, now, Preset::Evidently).unwrap();
            match &report.columns.iter().find(|c| c.name == "seen").unwrap().outcome {
                Outcome::Skipped(why) => why.clone(),
                Outcome::Broken(what) => what.to_string(),
                Outcome::Finding(found) => panic!("{found:?}"),
            }
        };
        let why = said(&of("b.jsonl", &lines("[\"a\"]")));
        assert!(why.starts_with("it holds lists, records or bytes"), "{why}");
        assert_eq!(said(&of("b.jsonl", &lines("\"none\""))), "was lists, records or bytes, is text");
    }

    #[test]
    fn a_label_is_not_gone_from_live_rows_and_an_input_is() {
        let mut live = Sketches::new(5);
        let frequent = STANDARD.encode(Frequent::default().to_bytes());
        live.add("in.plan", Kind::Text, Written { frequent_items: Some(&frequent), ..Written::default() }).unwrap();
        let reference = of("a.csv", "plan,label\ngold,1\n");
        let report = compare_sketches(&reference, &live, Preset::Whylogs).unwrap();
        assert_eq!((&report.removed[..], &report.broken[..]), (&["label".to_owned()][..], &["in.plan".to_owned()][..]));
        // Live rows count what is true as 1, and know nothing of dates.
        let flags = of("b.csv", "plan,paid,day,late\ngold,true,2024-01-01,2\nfree,false,2024-01-02,1\n");
        let mut counted = Kll::new(200);
        (0..9).for_each(|i| counted.push(f64::from(i % 2)));
        let kept = STANDARD.encode(counted.to_datasketches());
        live.add("in.paid", Kind::Number, Written { kll: Some(&kept), ..Written::default() }).unwrap();
        live.add("in.day", Kind::Text, Written { missing: Some(0.0), ..Written::default() }).unwrap();
        live.add("in.late", Kind::Text, Written { missing: Some(1.0), ..Written::default() }).unwrap();
        let report = compare_sketches(&flags, &live, Preset::Whylogs).unwrap();
        assert_eq!(report.broken, ["in.plan", "in.late"], "{report:?}");
        assert!(report.breaks().all(|(_, what)| what == Broken::Empty), "{report:?}");
        let mut before = live.clone();
        before.add("in.age", Kind::Number, Written::default()).unwrap();
        let report = compare_sketches(&before, &live, Preset::Whylogs).unwrap();
        assert_eq!(report.breaks().collect::<Vec<_>>(), [("in.age", Broken::Gone)]);
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

    /// Profiles keep of embeddings what can be merged: their components' means and spreads.
    #[test]
    fn vectors_of_profiles_are_compared_by_the_means_of_their_components() {
        let even = |i: u32| (f64::from(i) * 0.618_033_988_749_894_9).fract();
        let side = |name: &str, dimension: u32, shift: f64| {
            let cell = |i: u32, j: u32| even(5 * i + 7 * j * j) + if j < 3 { shift } else { 0.0 };
            let line = |i: u32| {
                let cells: Vec<String> = (0..dimension).map(|j| cell(i, j).to_string()).collect();
                // One with a hole is no vector.
                if i == 7 { "{\"seen\":[0.5,null]}".to_owned() } else { format!("{{\"seen\":[{}]}}", cells.join(",")) }
            };
            of(name, &(0..1_000).map(line).collect::<Vec<_>>().join("\n"))
        };
        let found = |now: &Sketches, preset| {
            let report = compare_sketches(&side("a.jsonl", 8, 0.0), now, preset).unwrap();
            match &report.columns[0].outcome {
                Outcome::Finding(found) => format!("{} {} {:?}", found.method, found.score, found.verdict),
                Outcome::Skipped(why) => why.clone(),
                Outcome::Broken(what) => what.to_string(),
            }
        };
        assert_eq!(found(&side("b.jsonl", 8, 0.0), Preset::Evidently), "ratio of means 0 Steady");
        assert_eq!(found(&side("b.jsonl", 8, 0.2), Preset::Evidently), "ratio of means 0.375 Drift");
        assert_eq!(found(&side("b.jsonl", 9, 0.0), Preset::Evidently), "was vectors of 8 numbers, is vectors of 9");
        assert!(found(&side("b.jsonl", 8, 0.2), Preset::Whylogs).contains("vectors"));
        let none = of("b.jsonl", &vec!["{\"seen\":[null,1.0]}"; 20].join("\n"));
        assert_eq!(found(&none, Preset::Evidently), "has no values any more");
        let Some(kept) = &side("a.jsonl", 8, 0.0).columns[0].vectors else { unreachable!("they are kept") };
        assert_eq!((kept.count, kept.dimension, kept.uneven, kept.norms.len()), (999, 8, 0, 9));
        assert!(kept.means.iter().all(|mean| (mean - 0.5).abs() < 0.01), "{:?}", kept.means);
        assert!(kept.deviations.iter().all(|spread| (spread - 0.289).abs() < 0.01), "{:?}", kept.deviations);
    }
}

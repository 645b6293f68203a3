//! Files of each format, profiled and compared.

use crate::drift::{Among, Broken, ColumnReport, Comparison, Outcome, compare};
use crate::profile::{Profile, profile};
use crate::{MonitorError, Table};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::ipc::writer::FileWriter;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mainspring_stats::presets::{Preset, Tests, VectorTest, Verdict};
use mainspring_stats::{Distinct, Frequent, Kll};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const ROWS: i64 = 5_000;

/// Numbers in an order without chance: a golden-ratio sequence.
fn even(i: i64) -> f64 {
    (i as f64 * 0.618_033_988_749_894_9).fract()
}

fn batch(shift: f64) -> RecordBatch {
    let spent: Float64Array = (0..ROWS).map(|i| (i % 10 != 3).then(|| even(i) + shift)).collect();
    let double: Float64Array = (0..ROWS).map(|i| Some(-2.0 * even(i))).collect();
    let visits: Int64Array = (0..ROWS).map(|i| Some((even(7 * i) * 40.0) as i64)).collect();
    let plan: StringArray =
        (0..ROWS).map(|i| (i % 4 != 0).then(|| if even(3 * i) < 0.75 { "basic" } else { "plus" })).collect();
    let paid: BooleanArray = (0..ROWS).map(|i| Some(i % 2 == 0)).collect();
    let at: TimestampMillisecondArray = (0..ROWS).map(|i| Some(1_700_000_000_000 + i)).collect();
    let columns: [(&str, ArrayRef); 6] = [
        ("spent", Arc::new(spent)),
        ("double", Arc::new(double)),
        ("visits", Arc::new(visits)),
        ("plan", Arc::new(plan)),
        ("paid", Arc::new(paid)),
        ("at", Arc::new(at)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn write(folder: &Path, name: &str, batch: &RecordBatch) -> PathBuf {
    let path = folder.join(name);
    let file = File::create(&path).unwrap();
    if name.ends_with("parquet") {
        let groups = WriterProperties::builder().set_max_row_group_row_count(Some(600)).build();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(groups)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    } else if name.ends_with("csv") {
        arrow::csv::Writer::new(file).write(batch).unwrap();
    } else if name.ends_with("jsonl") {
        let mut writer = arrow::json::LineDelimitedWriter::new(file);
        writer.write(batch).unwrap();
        writer.finish().unwrap();
    } else {
        let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
        for start in (0..batch.num_rows()).step_by(600) {
            writer.write(&batch.slice(start, 600.min(batch.num_rows() - start))).unwrap();
        }
        writer.finish().unwrap();
    }
    path
}

fn of(path: &Path, threads: usize) -> Profile {
    profile(&Table::open(path).unwrap(), threads).unwrap()
}

#[test]
fn a_profile_has_what_is_in_the_file_whatever_its_format() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["t.parquet", "t.csv", "t.arrow", "t.jsonl"] {
        let whole = batch(0.0);
        // JSON has no times.
        let kept = if name.ends_with("jsonl") { whole.project(&[0, 1, 2, 3, 4]).unwrap() } else { whole };
        let found = of(&write(folder.path(), name, &kept), 2);
        if name.ends_with("jsonl") {
            let mut names: Vec<_> = found.columns.iter().map(|c| (c.name.as_str(), c.present)).collect();
            names.sort_unstable();
            assert_eq!(names[..3], [("double", 5_000), ("paid", 5_000), ("plan", 3_750)]);
            continue;
        }
        assert_eq!((found.rows, found.columns.len()), (5_000, 6), "{name}");
        let [spent, _, visits, plan, paid, at] = &found.columns[..] else { unreachable!("six columns") };
        assert_eq!((spent.present, spent.missing), (4_500, 500), "{name}");
        let numbers = spent.numbers.as_ref().unwrap();
        assert!((numbers.mean.unwrap() - 0.5).abs() < 0.01 && numbers.max.unwrap() < 1.0);
        let kll = Kll::from_datasketches(&STANDARD.decode(&numbers.kll).unwrap()).unwrap();
        assert!((kll.rank(0.25).unwrap() - 0.25).abs() < 2.0 * numbers.rank_error);
        assert!((visits.distinct - 40.0).abs() < 2.0, "{}", visits.distinct);
        let hll = Distinct::from_bytes(&STANDARD.decode(&visits.hll).unwrap()).unwrap();
        assert_eq!(hll.estimate(), visits.distinct);
        let texts = plan.texts.as_ref().unwrap();
        assert_eq!((texts.frequent[0].0.as_str(), texts.count_error, texts.longest), ("basic", 0, 5), "{name}");
        let items = Frequent::from_bytes(&STANDARD.decode(&texts.frequent_items).unwrap()).unwrap();
        assert_eq!(items.count(), plan.present);
        assert_eq!(paid.texts.as_ref().unwrap().frequent.len(), 2);
        assert!(at.numbers.is_some() && at.texts.is_none(), "{name}: {:?}", at.kind);
        let pair = found.correlations.iter().find(|c| c.columns == ["spent", "double"]).unwrap();
        assert!((pair.pearson + 1.0).abs() < 1e-12, "{}", pair.pearson);
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "t.parquet", &batch(0.0));
    let text = |threads| serde_json::to_string(&of(&path, threads)).unwrap();
    assert_eq!(text(1), text(4));
}

#[test]
fn each_preset_finds_the_column_that_moved_and_only_that() {
    let folder = tempfile::tempdir().unwrap();
    let reference = Table::open(&write(folder.path(), "a.parquet", &batch(0.0))).unwrap();
    let current = Table::open(&write(folder.path(), "b.csv", &batch(0.3))).unwrap();
    for preset in [Preset::Evidently, Preset::NannyMl, Preset::Whylogs, Preset::Sequential] {
        let how = Comparison { level: 0.01, threads: 2, ..Comparison::new(preset) };
        let report = compare(&reference, &current, how).unwrap();
        assert_eq!(report.rows, [5_000, 5_000]);
        for column in &report.columns {
            match &column.outcome {
                Outcome::Finding(found) => {
                    let moved = column.name == "spent";
                    assert_eq!(found.verdict == Verdict::Drift, moved, "{preset:?} {}: {found:?}", column.name);
                }
                Outcome::Skipped(why) => assert!(column.name == "at" && why.contains("times"), "{why}"),
                Outcome::Broken(what) => unreachable!("{} {what}", column.name),
            }
        }
        assert_eq!(report.drifted(), (1, 5), "{preset:?}");
        assert_eq!(report.verdict == Verdict::Drift, preset != Preset::Evidently);
    }
    for (preset, name, method) in [
        (Preset::Evidently, "ks", "K-S p_value"),
        (Preset::NannyMl, "kolmogorov_smirnov", "Kolmogorov-Smirnov statistic"),
    ] {
        let tests = Tests::named(preset, Some(name.into()), None).unwrap();
        let told = compare(&reference, &current, Comparison { tests, ..Comparison::new(preset) }).unwrap();
        let tested = |c: &ColumnReport| matches!(&c.outcome, Outcome::Finding(f) if f.method == method);
        assert!(told.columns.iter().any(tested), "{told:?}");
    }
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let compared = |only: &[&str], ignored: &[&str]| {
        let (only, ignored) = (named(only), named(ignored));
        let among = Among { only: &only, ignored: &ignored };
        let report = compare(&reference, &current, Comparison { among, ..Comparison::new(Preset::Evidently) })?;
        let names = report.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        Ok::<_, MonitorError>((names, report.verdict))
    };
    assert_eq!(compared(&["spent"], &[]).unwrap(), (named(&["spent"]), Verdict::Drift));
    let (rest, verdict) = compared(&[], &["spent"]).unwrap();
    assert!(!rest.contains(&"spent".to_owned()) && rest.len() > 3 && verdict == Verdict::Steady, "{rest:?}");
    let wrong = compared(&["spend"], &[]).unwrap_err().to_string();
    assert!(wrong.contains("\"spend\"") && wrong.contains("\"spent\""), "{wrong}");
}

#[test]
fn files_that_cannot_be_compared_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let whole = batch(0.0);
    let a = Table::open(&write(folder.path(), "a.parquet", &whole.project(&[0]).unwrap())).unwrap();
    let b = Table::open(&write(folder.path(), "b.arrow", &whole.project(&[1, 0]).unwrap())).unwrap();
    let c = Table::open(&write(folder.path(), "c.arrow", &whole.project(&[2]).unwrap())).unwrap();
    let how = Comparison::new(Preset::Evidently);
    let report = compare(&a, &b, how).unwrap();
    assert_eq!((report.added, report.columns.len()), (vec!["double".to_owned()], 1));
    assert!(matches!(compare(&a, &c, how), Err(MonitorError::Columns(_))));
    assert!(matches!(compare(&a, &b, Comparison { level: 1.0, ..how }), Err(MonitorError::Level(_))));
    let named = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Table::open(&path)
    };
    assert!(matches!(named("x.txt", "a\n1\n"), Err(MonitorError::Format(_))));
    assert!(matches!(named("x.parquet", "a\n1\n"), Err(MonitorError::Read { .. })));
    assert!(matches!(Table::open(&folder.path().join("none.csv")), Err(MonitorError::Open { .. })));
    let ragged = named("ragged.csv", "a,b\n1,2\n3\n");
    assert!(ragged.is_err() || profile(&ragged.unwrap(), 1).is_err());
    assert!(matches!(named("twice.csv", "a,b,a\n1,2,3\n"), Err(MonitorError::Read { .. })));
    let empty = named("empty.csv", "a,b\n").unwrap();
    assert_eq!(profile(&empty, 1).unwrap().rows, 0);
}

/// A column that has lost all its values has no type in a CSV; that it lost them is seen whatever the test.
#[test]
fn a_column_that_went_empty_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let table = |name: &str, line: &dyn Fn(i64) -> String| {
        let path = folder.path().join(name);
        let lines: Vec<String> = (0..800).map(line).collect();
        std::fs::write(&path, format!("\u{feff}id,x\n{}\n", lines.join("\n"))).unwrap();
        Table::open(&path).unwrap()
    };
    let full = table("full.csv", &|i| format!("\"{}\",{}", i % 50, even(i)));
    let empty = table("empty.csv", &|i| format!("{},NaN", i % 50));
    assert_eq!(full.schema().field(0).name(), "id");
    let found = |preset| {
        let how = Comparison::new(preset);
        compare(&full, &empty, how).unwrap().columns.remove(1).outcome
    };
    for preset in [Preset::Sequential, Preset::Evidently, Preset::NannyMl, Preset::Whylogs] {
        assert!(matches!(found(preset), Outcome::Broken(Broken::Empty)), "{preset:?}");
    }
}

/// Complaints about shoes, of which some are about deliveries, all different.
fn complaints(late: i64) -> StringArray {
    (0..1_200)
        .map(|i| {
            let why = if (even(i) * 10.0) as i64 <= late { "never came, the parcel is lost" } else { "does not fit" };
            Some(format!("Case {:.9}: my pair of shoes {why}.", even(i + 31 * late)))
        })
        .collect()
}

fn vectors(shift: f32) -> arrow::array::ListArray {
    let cell = |i: i64, j: i64| Some(even(i * 5 + 7 * j * j + 3) as f32 + if j == 1 { shift } else { 0.0 });
    arrow::array::ListArray::from_iter_primitive::<arrow::datatypes::Float32Type, _, _>(
        (0..1_200).map(|i| (i % 100 != 7).then(|| (0..4).map(|j| cell(i, j)).collect::<Vec<_>>())),
    )
}

/// A table of texts, vectors in a list and in columns, and two numbers that go together by `tie`.
fn mixed(folder: &Path, name: &str, (late, shift, tie): (i64, f32, f64)) -> Table {
    let part = |j: i64| -> Float64Array {
        (0..1_200).map(|i| Some(even(3 * i + 11 * j) + if j == 0 { f64::from(shift) } else { 0.0 })).collect()
    };
    let first: Float64Array = (0..1_200).map(|i| Some(even(i))).collect();
    let second: Float64Array =
        (0..1_200).map(|i| Some(even(if even(17 * i + 5) < tie { i } else { 29 * i + 13 }))).collect();
    let columns: [(&str, ArrayRef); 6] = [
        ("said", Arc::new(complaints(late))),
        ("seen", Arc::new(vectors(shift))),
        ("part_0", Arc::new(part(0))),
        ("part_1", Arc::new(part(1))),
        ("first", Arc::new(first)),
        ("second", Arc::new(second)),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
    Table::open(&write(folder, name, &batch)).unwrap()
}

#[test]
fn texts_vectors_and_rows_as_wholes_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let reference = mixed(folder.path(), "a.parquet", (1, 0.0, 1.0));
    let same = mixed(folder.path(), "b.arrow", (1, 0.0, 1.0));
    let moved = mixed(folder.path(), "c.parquet", (6, 0.2, 0.2));
    let prefixes = ["part_".to_owned()];
    let judged = |preset, vectors, current: &Table| {
        let how = Comparison { threads: 2, vectors, prefixes: &prefixes, ..Comparison::new(preset) };
        compare(&reference, current, how).unwrap()
    };
    for (preset, test) in [
        (Preset::Sequential, VectorTest::Model),
        (Preset::Sequential, VectorTest::Mmd),
        (Preset::Evidently, VectorTest::Model),
        (Preset::Evidently, VectorTest::Ratio),
    ] {
        let steady = judged(preset, test, &same);
        assert_eq!((steady.verdict, steady.drifted()), (Verdict::Steady, (0, 5)), "{steady:?}");
        let found = judged(preset, test, &moved);
        let names: Vec<&str> = found.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["said", "seen", "first", "second", "part_*"]);
        for column in [&found.columns[0], &found.columns[1], &found.columns[4]] {
            let Outcome::Finding(finding) = &column.outcome else { unreachable!("{column:?}") };
            assert_eq!(finding.verdict, Verdict::Drift, "{preset:?} {test:?} {column:?}");
        }
        let words = &found.columns[0].apart.as_ref().unwrap().by;
        assert!(words.iter().any(|w| w.name == "parcel" && w.weight > 0.0), "{words:?}");
        assert!(found.columns[0].shape.iter().any(|s| s.name == "length" && s.finding.verdict == Verdict::Drift));
    }
    // Each of the two is as it was; together they are not.
    let whole = judged(Preset::Sequential, VectorTest::Model, &moved);
    let [together] = &whole.together[..] else { unreachable!("one classifier") };
    let by = &together.apart.as_ref().unwrap().by;
    assert!(matches!(&together.outcome, Outcome::Finding(f) if f.verdict == Verdict::Drift), "{together:?}");
    assert_eq!(by[0].name, "first × second", "{by:?}");
    for (current, verdict) in [(&same, Verdict::Steady), (&moved, Verdict::Drift)] {
        let report = judged(Preset::NannyMl, VectorTest::Model, current);
        assert!(matches!(&report.together[0].outcome, Outcome::Finding(f) if f.verdict == verdict), "{report:?}");
        assert!(matches!(&report.columns[1].outcome, Outcome::Skipped(why) if why.contains("no test of vectors")));
    }
    let none = ["other_".to_owned()];
    let how = Comparison { prefixes: &none, ..Comparison::new(Preset::Evidently) };
    assert!(matches!(compare(&reference, &same, how), Err(MonitorError::Prefix(_))));
}

//! Broken tables, and files that are read row by row.

use super::*;
use crate::Table;
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, NullArray, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::Float64Type;
use mainspring_stats::presets::{Tests, VectorTest};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const PRESETS: [Preset; 4] = [Preset::Sequential, Preset::Evidently, Preset::NannyMl, Preset::Whylogs];
const ROWS: i64 = 400;

/// Numbers in an order without chance: a golden-ratio sequence.
fn even(i: i64) -> f64 {
    (i as f64 * 0.618_033_988_749_894_9).fract()
}

fn how(preset: Preset) -> Comparison<'static> {
    Comparison { vectors: VectorTest::Ratio, ..Comparison::new(preset) }
}

/// A file of these columns in the format that its name says.
fn table(folder: &Path, name: &str, columns: Vec<(String, ArrayRef)>) -> Table {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let path = folder.join(name);
    let file = File::create(&path).unwrap();
    if name.ends_with("parquet") {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    } else if name.ends_with("csv") {
        arrow::csv::Writer::new(file).write(&batch).unwrap();
    } else if name.ends_with("jsonl") {
        let mut writer = arrow::json::LineDelimitedWriter::new(file);
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
    } else {
        let mut writer = arrow::ipc::writer::FileWriter::try_new(file, &batch.schema()).unwrap();
        for start in [0, 150, 300] {
            writer.write(&batch.slice(start, 150.min(batch.num_rows() - start))).unwrap();
        }
        writer.finish().unwrap();
    }
    Table::open(&path).unwrap()
}

fn numbers() -> ArrayRef {
    Arc::new((0..ROWS).map(|i| (i % 9 != 4).then(|| even(i))).collect::<Float64Array>())
}

fn whole(of: impl Fn(i64) -> i64) -> ArrayRef {
    Arc::new((0..ROWS).map(|i| Some(of(i))).collect::<Int64Array>())
}

fn texts(of: impl Fn(i64) -> Option<String>) -> ArrayRef {
    Arc::new((0..ROWS).map(of).collect::<StringArray>())
}

fn times() -> ArrayRef {
    Arc::new((0..ROWS).map(|i| Some(1_700_000_000_000 + i)).collect::<TimestampMillisecondArray>())
}

fn lists(length: usize) -> ArrayRef {
    let cell = |i: i64, j: usize| Some(even(5 * i + j as i64));
    let rows = (0..ROWS).map(|i| Some((0..length).map(|j| cell(i, j)).collect::<Vec<_>>()));
    Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows))
}

/// A column `kept`, and one `x` of this.
fn with(x: ArrayRef) -> Vec<(String, ArrayRef)> {
    vec![("kept".into(), numbers()), ("x".into(), x)]
}

fn outcome_of<'a>(report: &'a Report, name: &str) -> &'a Outcome {
    &report.columns.iter().find(|c| c.name == name).unwrap().outcome
}

#[test]
fn a_column_that_is_gone_or_changed_or_empty_breaks_the_table_and_has_not_drifted() {
    let folder = tempfile::tempdir().unwrap();
    let none = || texts(|_| None);
    let kind = |was, is| Broken::Kind { was, is };
    let cases: [(&str, ArrayRef, Option<ArrayRef>, Broken); 9] = [
        ("is gone", numbers(), None, Broken::Gone),
        (
            "was numbers, is text",
            numbers(),
            Some(texts(|i| Some(format!("v{}", i % 7)))),
            kind(Sort::Numbers, Sort::Text),
        ),
        (
            "was text, is numbers",
            texts(|i| Some(format!("v{}", i % 7))),
            Some(numbers()),
            kind(Sort::Text, Sort::Numbers),
        ),
        (
            "was true and false, is numbers",
            Arc::new((0..ROWS).map(|i| Some(i % 2 == 0)).collect::<BooleanArray>()),
            Some(whole(|i| i % 2)),
            kind(Sort::Truth, Sort::Numbers),
        ),
        ("was times, is text", times(), Some(texts(|i| Some(format!("day {i}")))), kind(Sort::Times, Sort::Text)),
        ("has no values any more", numbers(), Some(Arc::new(Float64Array::from(vec![f64::NAN; 400]))), Broken::Empty),
        ("has no values any more", texts(|i| Some(format!("v{}", i % 7))), Some(none()), Broken::Empty),
        (
            "has no values any more",
            times(),
            Some(Arc::new(TimestampMillisecondArray::from(vec![None; 400]))),
            Broken::Empty,
        ),
        ("has no values any more", whole(|i| i), Some(Arc::new(NullArray::new(400))), Broken::Empty),
    ];
    for (at, (words, was, is, what)) in cases.into_iter().enumerate() {
        let current = is.map_or_else(|| with(numbers())[..1].to_vec(), with);
        for ending in ["parquet", "csv"] {
            let reference = table(folder.path(), &format!("a{at}.{ending}"), with(was.clone()));
            let now = table(folder.path(), &format!("b{at}.{ending}"), current.clone());
            for preset in PRESETS {
                let report = compare(&reference, &now, how(preset)).unwrap();
                let found: Vec<(&str, Broken)> = report.breaks().collect();
                assert_eq!(found, [("x", what)], "{words}, {preset:?}, {ending}: {report:?}");
                assert_eq!((what.to_string().as_str(), &report.broken[..]), (words, &["x".to_owned()][..]));
                assert_eq!((report.verdict, report.drifted()), (Verdict::Drift, (0, 1)), "{words}, {preset:?}");
                let written = serde_json::to_value(&report).unwrap();
                assert_eq!(written["broken"], json!(["x"]));
                assert!(written["columns"][1]["broken"]["what"].is_string(), "{written}");
            }
        }
    }
    let kinds = serde_json::to_value(Outcome::Broken(kind(Sort::Numbers, Sort::Text))).unwrap();
    assert_eq!(kinds, json!({ "broken": { "what": "kind", "was": "numbers", "is": "text" } }));
}

#[test]
fn vectors_that_are_gone_shorter_or_text_break_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let reference = table(folder.path(), "a.parquet", with(lists(4)));
    let breaks = |name: &str, x: ArrayRef| {
        let report = compare(&reference, &table(folder.path(), name, with(x)), how(Preset::Evidently)).unwrap();
        let found: Vec<String> = report.breaks().map(|(name, what)| format!("{name} {what}")).collect();
        found.join("; ")
    };
    assert_eq!(breaks("same.arrow", lists(4)), "");
    assert_eq!(breaks("short.parquet", lists(3)), "x was vectors of 4 numbers, is vectors of 3");
    assert_eq!(breaks("text.parquet", texts(|_| Some("[1]".into()))), "x was lists, is text");
    assert_eq!(
        breaks(
            "empty.parquet",
            Arc::new(ListArray::new_null(
                Arc::new(arrow::datatypes::Field::new("item", arrow::datatypes::DataType::Float64, true)),
                400
            ))
        ),
        "x has no values any more"
    );
}

#[test]
fn new_columns_and_columns_that_never_had_values_break_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let reference = table(folder.path(), "a.parquet", with(texts(|_| None)));
    let mut more = with(texts(|i| Some(format!("v{}", i % 7))));
    more.push(("new".into(), numbers()));
    let current = table(folder.path(), "b.parquet", more);
    // NannyML's reconstruction of one column that varies is exact, and any other one an alert.
    for preset in [Preset::Evidently, Preset::Whylogs] {
        let report = compare(&reference, &current, how(preset)).unwrap();
        assert_eq!((&report.broken[..], report.verdict), (&[][..], Verdict::Steady), "{report:?}");
        assert_eq!(report.added, ["new"]);
    }
}

/// What a format cannot write is no change of the table.
#[test]
fn formats_that_write_the_same_values_in_other_types_break_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let skipped = |reference: &Table, current: &Table, word: &str| {
        let report = compare(reference, current, how(Preset::Whylogs)).unwrap();
        let Outcome::Skipped(why) = outcome_of(&report, "x") else { unreachable!("{report:?}") };
        assert!(why.contains(word) && report.broken.is_empty() && report.verdict == Verdict::Steady, "{report:?}");
    };
    let codes = |i: i64| Some(format!("0{}", 1_000 + i % 90));
    let postcodes = table(folder.path(), "codes.parquet", with(texts(codes)));
    let guessed = table(folder.path(), "codes.csv", with(texts(codes)));
    skipped(&postcodes, &guessed, "says no types");
    skipped(&guessed, &postcodes, "says no types");
    let named = table(folder.path(), "named.parquet", with(texts(|i| Some(format!("N-{}", i % 90)))));
    let report = compare(&guessed, &named, how(Preset::Whylogs)).unwrap();
    assert_eq!(report.broken, ["x"], "a CSV of numbers is not these texts");
    let dated = table(folder.path(), "dated.parquet", with(times()));
    let written =
        table(folder.path(), "dated.jsonl", with(texts(|i| Some(format!("2024-01-01T00:00:{:02}Z", i % 60)))));
    skipped(&dated, &written, "times");
    let vectors = table(folder.path(), "vectors.parquet", with(lists(2)));
    let flat = table(folder.path(), "vectors.csv", with(texts(|i| Some(format!("[{i}, 2]")))));
    skipped(&vectors, &flat, "lists");
}

#[test]
fn a_table_below_evidentlys_share_says_what_decides() {
    let folder = tempfile::tempdir().unwrap();
    let columns = |moved: f64| -> Vec<(String, ArrayRef)> {
        let shifted = |i| Some(even(i) + moved);
        let mut all: Vec<(String, ArrayRef)> = (0..6).map(|at| (format!("c{at}"), numbers())).collect();
        all.push(("moved".into(), Arc::new((0..ROWS).map(shifted).collect::<Float64Array>())));
        all
    };
    let reference = table(folder.path(), "a.parquet", columns(0.0));
    let current = table(folder.path(), "b.parquet", columns(0.5));
    let report = compare(&reference, &current, how(Preset::Evidently)).unwrap();
    assert_eq!((report.drifted(), report.verdict), ((1, 7), Verdict::Steady));
    let said = report.below().unwrap();
    assert!(said.starts_with("1 of 7 columns drifted, but not the table"), "{said}");
    assert!(said.contains("50 %") && said.ends_with("--fail-on-drift looks at the table"), "{said}");
    assert_eq!(compare(&reference, &reference, how(Preset::Evidently)).unwrap().below(), None);
    assert_eq!(compare(&reference, &current, how(Preset::Whylogs)).unwrap().below(), None);
}

/// Thirty-three columns of each kind, of which some move.
fn wide(moved: f64) -> Vec<(String, ArrayRef)> {
    let mut all: Vec<(String, ArrayRef)> = Vec::new();
    for at in 0..12 {
        let shift = if at % 5 == 3 { moved } else { 0.0 };
        let float = |i: i64| ((i + at) % 11 != 5).then(|| even(i * (at + 1)) + shift);
        all.push((format!("n{at}"), Arc::new((0..ROWS).map(float).collect::<Float64Array>())));
        all.push((format!("w{at}"), whole(|i| (even(i * (at + 3)) * 20.0 + 10.0 * shift) as i64)));
    }
    for at in 0..4 {
        // Texts that come in another order on the current side, and some that only one side has.
        let word = |i: i64| format!("word-{}", (even(i * (at + 2) + (moved * 7.0) as i64) * (5.0 + moved)) as i64);
        all.push((format!("t{at}"), texts(|i| (i % 13 != 2).then(|| word(i)))));
    }
    let said = |i: i64| {
        Some(format!("case {} of {} things that {} came", i, i % 7, if moved > 0.0 { "never" } else { "all" }))
    };
    all.push(("prose".into(), texts(said)));
    all.push(("paid".into(), Arc::new((0..ROWS).map(|i| Some(even(i) > 0.3)).collect::<BooleanArray>())));
    all.push(("at".into(), times()));
    all.push(("part_0".into(), Arc::new((0..ROWS).map(|i| Some(even(3 * i))).collect::<Float64Array>())));
    all.push(("part_1".into(), Arc::new((0..ROWS).map(|i| Some(even(7 * i) + moved)).collect::<Float64Array>())));
    all
}

fn passes(table: &Table) -> usize {
    table.passes.swap(0, Ordering::Relaxed)
}

#[test]
fn rows_are_read_in_one_pass_or_in_as_many_as_memory_asks_for_with_the_same_results() {
    let folder = tempfile::tempdir().unwrap();
    let open = |ending: &str| {
        [("a", 0.0), ("b", 0.4)].map(|(name, moved)| table(folder.path(), &format!("{name}.{ending}"), wide(moved)))
    };
    let (columnar, csv, arrow) = (open("parquet"), open("csv"), open("arrow"));
    let prefixes = ["part_".to_owned()];
    let wasserstein = Tests::named(Preset::Evidently, Some("wasserstein".into()), None).unwrap();
    let presets = PRESETS.map(|preset| (preset, None)).into_iter();
    for (preset, tests) in presets.chain([(Preset::Evidently, wasserstein)]) {
        let how = Comparison { tests, prefixes: &prefixes, ..how(preset) };
        let told = |[a, b]: [&Table; 2], held, threads| {
            let mut report = compare_within(a, b, Comparison { threads, ..how }, held).unwrap();
            // The reconstruction's sums are in another order in each run, and end in another digit.
            report.together.retain(|_| preset != Preset::NannyMl);
            serde_json::to_string(&report).unwrap()
        };
        let want = told([&columnar[0], &columnar[1]], HELD, 2);
        // Rows as wholes are reconstructed in passes of their own.
        let own = if preset == Preset::NannyMl { [3, 1] } else { [0, 0] };
        passes(&csv[0]);
        passes(&csv[1]);
        assert_eq!(told([&csv[0], &csv[1]], HELD, 2), want, "{preset:?}");
        assert_eq!([passes(&csv[0]), passes(&csv[1])], own.map(|own| own + 1), "{preset:?}");
        // Room of 8 columns of numbers on both sides: five groups or so, and what the texts let go.
        assert_eq!(told([&csv[0], &csv[1]], 8 * 16 * 400, 2), want, "{preset:?}");
        let often = passes(&csv[0]);
        assert!((4..=10).contains(&(often - own[0])), "{preset:?}: {often}");
        // Next to no room: a column at a time and thread.
        assert_eq!(told([&csv[0], &csv[1]], 1, 1), want, "{preset:?}");
        assert_eq!(passes(&csv[0]), own[0] + 32, "{preset:?}");
        assert_eq!(told([&arrow[0], &csv[1]], 20_000, 3), want, "{preset:?}");
        assert_eq!(told([&columnar[0], &csv[1]], 20_000, 3), want, "{preset:?}");
    }
}

/// What a file's names and rows say of its size does not tell how long its texts are.
#[test]
fn columns_that_turn_out_too_large_are_left_for_another_pass() {
    let folder = tempfile::tempdir().unwrap();
    let long = |side: &str| -> Vec<(String, ArrayRef)> {
        let text = |at: i64, i: i64| Some(format!("{side}{at}-{i}-{}", "x".repeat(200)));
        (0..6).map(|at| (format!("t{at}"), texts(|i| text(at, i)))).collect()
    };
    let [a, b] = ["a", "b"].map(|side| table(folder.path(), &format!("{side}.csv"), long(side)));
    let told = |held| serde_json::to_string(&compare_within(&a, &b, how(Preset::Whylogs), held).unwrap()).unwrap();
    let want = told(HELD);
    assert_eq!([passes(&a), passes(&b)], [1, 1]);
    // Six columns of places in a list are 20 kB; a column's texts are 200 kB.
    assert_eq!(told(500_000), want);
    let [of_a, of_b] = [passes(&a), passes(&b)];
    assert_eq!([of_a, of_b], [3, 3], "two columns at a time");
}

#[test]
fn json_lines_give_what_parquet_gives_in_one_pass() {
    let folder = tempfile::tempdir().unwrap();
    let columns = |moved| {
        let mut all = wide(moved);
        // JSON has no times, and finds its columns in an order of its own.
        all.retain(|(name, _)| name != "at");
        all.push(("seen".into(), lists(3)));
        all
    };
    let open = |ending: &str| {
        [("a", 0.0), ("b", 0.4)].map(|(name, moved)| table(folder.path(), &format!("{name}.{ending}"), columns(moved)))
    };
    let (columnar, lines) = (open("parquet"), open("jsonl"));
    let told = |[a, b]: &[Table; 2]| -> Vec<Value> {
        let report = compare(a, b, how(Preset::Evidently)).unwrap();
        let mut found: Vec<Value> = report.columns.iter().map(|c| serde_json::to_value(c).unwrap()).collect();
        found.sort_by_key(|column| column["name"].to_string());
        found
    };
    let want = told(&columnar);
    assert_eq!(told(&lines), want);
    assert_eq!([passes(&lines[0]), passes(&lines[1])], [1, 1]);
}

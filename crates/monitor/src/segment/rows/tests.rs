use super::*;
use crate::drift::{Comparison, Outcome, compare};
use arrow::array::{Float32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use mainspring_stats::presets::{Preset, Verdict};

type Columns<'a> = Vec<(&'a str, ArrayRef)>;

/// Rows of so many moments from `first` backwards, as a part of the journal is read.
fn part(first: i64, n: i64, more: Columns<'_>) -> RecordBatch {
    let moments = || (0..n).map(move |i| first - i);
    let ids: StringArray = moments().map(|at| Some(format!("id-{at:04}"))).collect();
    let columns: Columns<'_> = vec![
        ("at", Arc::new(moments().map(Some).collect::<TimestampMicrosecondArray>())),
        ("event_id", Arc::new(ids)),
        ("row", Arc::new((0..n).map(Some).collect::<Int64Array>())),
    ];
    let columns = columns.into_iter().chain(more).map(|(name, values)| (name, values, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn kept(batches: Vec<RecordBatch>) -> Kept {
    Kept { about: About { since: Timestamp(3), partial: true, unkept: 7 }, batches }
}

#[test]
fn parts_that_were_read_backwards_are_in_order_and_come_over_the_wire() {
    let ages = |values: &[f32]| Arc::new(Float32Array::from(values.to_vec())) as ArrayRef;
    let parts = [part(5, 2, vec![("in.age", ages(&[5.0, 4.0]))]), part(3, 3, vec![("in.age", ages(&[3.0, 2.0, 1.0]))])];
    let older = oldest(&parts[0]).unwrap();
    assert!(older.contains("p.event_id < 'id-0004'") && older.contains("p.\"row\" < 1"), "{older}");
    let whole = kept(in_order(&parts, false).unwrap());
    let back = Kept::from_arrow(whole.to_arrow().unwrap().as_slice()).unwrap();
    assert_eq!((back.about, back.rows()), (whole.about, 5));
    let table = back.table("deployment:churn", &[], None).unwrap();
    let mut read = Vec::new();
    let see = |row: &[Option<&str>]| {
        read.push(row[0].unwrap().to_owned());
        Ok(())
    };
    table.cells(&["in.age"], see).unwrap();
    assert_eq!(read, ["1.0", "2.0", "3.0", "4.0", "5.0"]);
    assert!(Kept::from_arrow(&b"no rows"[..]).is_err());
}

#[test]
fn labels_are_numbers_or_truths_only_where_all_of_them_are() {
    let labelled = |kinds: &[Option<&str>]| {
        let n = kinds.len() as i64;
        let values: StringArray =
            kinds.iter().map(|kind| kind.map(|k| if k == "text" { "yes" } else { "1" })).collect();
        let numbers: Float64Array = kinds.iter().map(|kind| kind.filter(|k| *k != "text").map(|_| 1.0)).collect();
        let columns: Columns<'_> = vec![
            ("label_value", Arc::new(values)),
            ("label_value_type", Arc::new(kinds.iter().copied().collect::<StringArray>())),
            ("label_value_number", Arc::new(numbers)),
        ];
        let rows = in_order(&[part(n, n, columns)], true).unwrap();
        let column = Arc::clone(rows[0].column_by_name(LABEL).unwrap());
        assert_eq!(rows[0].num_columns(), 4);
        (column.data_type().clone(), column.null_count())
    };
    assert_eq!(labelled(&[Some("number"), None, Some("number")]), (DataType::Float64, 1));
    assert_eq!(labelled(&[Some("bool"), None]), (DataType::Boolean, 1));
    assert_eq!(labelled(&[Some("bool"), Some("text"), Some("number")]), (DataType::Utf8, 0));
    assert_eq!(labelled(&[None]).1, 1);
}

fn judged(reference: &Table, current: &Table) -> crate::drift::Report {
    compare(reference, current, Comparison::new(Preset::Whylogs)).unwrap()
}

#[test]
fn live_rows_are_compared_with_a_file_by_its_names_and_as_shortly_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("train.csv");
    let lines: Vec<String> = (0..400).map(|i| format!("{},{},1", f64::from(i % 10) / 10.0, i % 7)).collect();
    std::fs::write(&file, format!("rate,sum,label\n{}\n", lines.join("\n"))).unwrap();
    let file = Table::open(&file).unwrap();
    let rates: Float32Array = (0..400_i16).rev().map(|i| Some(f32::from(i % 10) / 10.0)).collect();
    let sums: Int64Array = (0..400).map(|i| Some(i % 7)).collect();
    let hidden: Float32Array = (0..400).map(|_| Some(f32::NAN)).collect();
    let word: StringArray = (0..400).map(|_| Some(REDACTED)).collect();
    let columns: Columns<'_> = vec![
        ("in.rate", Arc::new(rates)),
        ("in.plan", Arc::new(StringArray::from(vec!["gold"; 400]))),
        ("out.sum", Arc::new(sums)),
        ("out.rate", Arc::new(hidden)),
        ("in.name", Arc::new(word)),
    ];
    let whole = kept(vec![part(400, 400, columns)]);
    let live = whole.table("deployment:churn", &["in.plan".to_owned()], Some(&file)).unwrap();
    let names: Vec<&str> = live.schema().fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["rate", "sum", "out.rate", "in.name"], "an input before an output of its name");
    let report = judged(&file, &live);
    assert_eq!((report.verdict, report.drifted(), report.rows), (Verdict::Steady, (0, 2), [400, 400]), "{report:?}");
    // 0.1 of 32 bits is not that of 64: compared as they are, no value would be the same.
    let scores: Vec<f64> = report
        .columns
        .iter()
        .filter_map(|c| if let Outcome::Finding(found) = &c.outcome { Some(found.score) } else { None })
        .collect();
    assert!(scores.iter().all(|score| *score > 0.99), "{scores:?}");
    assert_eq!((report.removed, report.broken.len()), (vec!["label".to_owned()], 0));
    // Beside live rows as a reference, what a file lacks is gone, and what was redacted is not compared.
    let turned = judged(&whole.table("deployment:churn", &[], None).unwrap(), &live);
    assert_eq!(turned.broken, ["in.rate", "in.plan", "out.sum"]);
    let skipped =
        turned.columns.iter().filter(|c| matches!(&c.outcome, Outcome::Skipped(why) if why.contains("redacted")));
    assert_eq!(skipped.map(|c| c.name.as_str()).collect::<Vec<_>>(), ["out.rate", "in.name"]);
}

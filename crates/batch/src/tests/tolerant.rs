//! Rows that fail while the others go on.

use super::*;
use serde_json::Value;

/// The text of `table`, with rows that cannot be numbers and rows that the model refuses.
fn spoilt(path: &Path, rows: usize, spoilt: &[usize], refused: &[usize]) {
    let mut text = String::from("id,a,b,note\n");
    for i in 0..rows {
        let (a, b) = match i {
            i if spoilt.contains(&i) => ("plenty".to_owned(), i.to_string()),
            i if refused.contains(&i) => ("-1".to_owned(), i.to_string()),
            i => ((i as f64 * 0.5).to_string(), i.to_string()),
        };
        text.push_str(&format!("{i},{a},{b},note {i}\n"));
    }
    std::fs::write(path, text).unwrap();
}

fn told(output: &Path) -> Vec<Value> {
    let path = format!("{}.errors.jsonl", output.display());
    std::fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn numbers(out: &RecordBatch, column: &str) -> Vec<i64> {
    out.column_by_name(column).unwrap().as_primitive::<Int64Type>().values().to_vec()
}

#[tokio::test]
async fn rows_that_fail_are_left_out_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.csv"), dir.path().join("out.parquet"));
    // The first row, two side by side, the last; over several calls.
    let (bad, refused) = ([0, 1_500, 1_501, 2_999], [700, 1_502]);
    spoilt(&input, 3_000, &bad, &refused);
    let job = Job { on_error: OnError::Skip, batch_rows: Some(512), ..job(&input, &output) };
    let report = go(job, loaded(&adder(), &AB, "1")).await.unwrap();
    assert_eq!((report.rows, report.failed), (2_994, 6));
    assert_eq!(report.failures.as_deref(), Some(&*format!("{}.errors.jsonl", output.display())));
    let out = read(&output);
    let left: Vec<i64> = (0..3_000).filter(|i| ![0, 700, 1_500, 1_501, 1_502, 2_999].contains(i)).collect();
    assert_eq!(numbers(&out, "prediction_row"), left);
    let sums = out.column_by_name("sum").unwrap().as_primitive::<Float32Type>();
    assert!(left.iter().zip(sums.values()).all(|(i, sum)| *sum == *i as f32 * 1.5));
    let lines = told(&output);
    assert_eq!(
        lines.iter().map(|l| l["row"].as_u64().unwrap()).collect::<Vec<_>>(),
        [0, 700, 1_500, 1_501, 1_502, 2_999]
    );
    assert_eq!(lines[0]["column"], "a");
    assert!(lines[0]["error"].as_str().unwrap().contains("\"plenty\""), "{}", lines[0]);
    assert!(
        lines[1]["column"].is_null() && lines[1]["error"].as_str().unwrap().contains("no such row"),
        "{}",
        lines[1]
    );
}

#[tokio::test]
async fn rows_that_fail_are_kept_without_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.csv"), dir.path().join("out.parquet"));
    spoilt(&input, 200, &[17], &[18, 199]);
    let job = Job { on_error: OnError::Keep, ..job(&input, &output) };
    let report = go(job, loaded(&adder(), &AB, "1")).await.unwrap();
    assert_eq!((report.rows, report.failed, report.failures), (200, 3, None));
    let out = read(&output);
    assert_eq!(numbers(&out, "prediction_row"), (0..200).collect::<Vec<i64>>());
    let (sums, why) = (out.column_by_name("sum").unwrap(), out.column_by_name("prediction_error").unwrap());
    for i in 0..200 {
        let failed = [17, 18, 199].contains(&i);
        assert_eq!((sums.is_null(i), why.is_null(i)), (failed, !failed), "row {i}");
    }
    assert!(why.as_string::<i32>().value(17).starts_with("column \"a\": the model takes double"));
}

#[tokio::test]
async fn nothing_but_failures_is_an_output_too() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.csv"), dir.path().join("out.parquet"));
    let all: Vec<usize> = (0..50).collect();
    spoilt(&input, 50, &[], &all);
    let skip = Job { on_error: OnError::Skip, batch_rows: None, ..job(&input, &output) };
    let report = go(skip, loaded(&adder(), &AB, "1")).await.unwrap();
    assert_eq!((report.rows, report.failed, told(&output).len()), (0, 50, 50));
    let schema = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&output).unwrap()).unwrap();
    assert!(schema.schema().field_with_name("sum").is_ok());
    // The same without a failure: what was told before is gone.
    spoilt(&input, 50, &[], &[]);
    let skip = Job { on_error: OnError::Skip, overwrite: true, ..job(&input, &output) };
    let report = go(skip, loaded(&adder(), &AB, "1")).await.unwrap();
    assert_eq!((report.rows, report.failed, told(&output).len()), (50, 0, 0));
}

#[tokio::test]
async fn too_many_failures_end_the_run_and_a_worker_that_is_gone_does_too() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.csv"), dir.path().join("out.parquet"));
    spoilt(&input, 1_000, &[3, 400, 800], &[]);
    let some = |most| Job { on_error: OnError::Skip, max_errors: Some(most), ..job(&input, &output) };
    let e = go(some(2), loaded(&adder(), &AB, "1")).await.unwrap_err();
    assert!(matches!(&e, BatchError::TooMany { failed: 3, allowed: 2, row: 800, .. }), "{e}");
    assert!(!output.exists() && !output.with_extension("parquet.errors.jsonl").exists());
    let gone = Arc::new(Adder::new(2, 3));
    let e = go(some(9), loaded(&gone, &AB, "1")).await.unwrap_err();
    assert!(e.to_string().contains("pulled the plug"), "{e}");
    assert_eq!(go(some(3), loaded(&adder(), &AB, "1")).await.unwrap().failed, 3);
}

#[tokio::test]
async fn a_run_that_goes_on_tells_of_failures_before_and_after() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.csv"), dir.path().join("out.parquet"));
    let rows = crate::SHARD_ROWS as usize * 2 + 1_000;
    let bad = [5, rows / 2, rows - 1];
    spoilt(&input, rows, &bad, &[]);
    let job = || Job { on_error: OnError::Skip, threads: 1, batch_rows: Some(8_192), ..job(&input, &output) };
    // Enough calls for the first shard.
    let weak = Arc::new(Adder::new(2, 45));
    assert!(go(job(), loaded(&weak, &AB, "1")).await.is_err());
    let report = go(job(), loaded(&adder(), &AB, "1")).await.unwrap();
    assert!(report.resumed > 0 && report.rows == rows as u64 - 3, "{report:?}");
    let lines: Vec<u64> = told(&output).iter().map(|l| l["row"].as_u64().unwrap()).collect();
    assert_eq!(lines, bad.map(|b| b as u64));
}

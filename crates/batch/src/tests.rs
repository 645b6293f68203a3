//! Whole runs with a small engine in Rust.

mod carry;
mod same;
mod tolerant;

use crate::columns::Columns;
use crate::model::{LoadedModel, ModelId};
use crate::{BatchError, Format, Job, OnError, Place, Progress, run};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Float32Type, Int64Type, Schema};
use mainspring_core::{Ctx, DType, NamedTensor, Target, Tensor};
use mainspring_engine::{AnswerForm, EngineError, Model, RunCx, Signature, TensorSpec};
use mainspring_mlmodel::{ColumnSpec, ColumnType, Contract, MlflowInputs, MlflowSignature, Mlmodel};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Adds the columns of `X` up. Refuses a row that begins with -1; stops for good after so many calls.
#[derive(Debug)]
struct Adder {
    signature: Signature,
    left: AtomicI64,
    rows: AtomicU64,
}

impl Adder {
    fn new(columns: i64, calls: i64) -> Self {
        let spec = |name: &str, shape: &[i64]| TensorSpec::new(name, DType::Fp32, shape);
        let signature = Signature { inputs: vec![spec("X", &[-1, columns])], outputs: vec![spec("sum", &[-1, 1])] };
        Self { signature, left: AtomicI64::new(calls), rows: AtomicU64::new(0) }
    }
}

impl Model for Adder {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn answer(&self) -> AnswerForm {
        AnswerForm::Tensors
    }

    fn waits(&self) -> bool {
        false
    }

    fn run(&self, inputs: &[NamedTensor], _: &RunCx) -> Result<Vec<NamedTensor>, EngineError> {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(EngineError::Died { reason: "pulled the plug".into() });
        }
        let width = inputs[0].tensor.shape()[1];
        let values: Vec<f32> = inputs[0].tensor.to_vec().unwrap();
        if values.chunks_exact(width).any(|row| row[0] == -1.0) {
            return Err(EngineError::Run { reason: "no such row".into(), bad_input: true });
        }
        let sums: Vec<f32> = values.chunks_exact(width).map(|row| row.iter().sum()).collect();
        self.rows.fetch_add(sums.len() as u64, Ordering::SeqCst);
        let tensor = Tensor::from_vec(DType::Fp32, vec![sums.len(), 1], sums)?;
        Ok(vec![NamedTensor { name: "sum".into(), tensor }])
    }

    fn instances(&self) -> usize {
        1
    }

    fn memory_bytes(&self) -> u64 {
        0
    }
}

fn contract(signature: Signature, columns: &[(&str, ColumnType)]) -> Contract {
    let column = |(name, kind): &(&str, ColumnType)| ColumnSpec {
        name: Some((*name).into()),
        kind: kind.clone(),
        required: true,
    };
    let inputs = (!columns.is_empty()).then(|| MlflowInputs::Columns(columns.iter().map(column).collect()));
    let declared = MlflowSignature { inputs, ..MlflowSignature::default() };
    Contract {
        target: Arc::new(Target {
            deployment: "".into(),
            variant: "batch".into(),
            model: "adder".into(),
            version: "1".into(),
            columns: Arc::default(),
        }),
        signature,
        platform: "test",
        answer: AnswerForm::Tensors,
        max_batch_rows: 0,
        streams: false,
        labels: Vec::new(),
        mlmodel: Some(Arc::new(Mlmodel { signature: Some(declared), ..Mlmodel::default() })),
    }
}

fn loaded(model: &Arc<Adder>, columns: &[(&str, ColumnType)], version: &str) -> LoadedModel {
    LoadedModel {
        id: ModelId { name: "adder".into(), version: version.into() },
        contract: Arc::new(contract(model.signature.clone(), columns)),
        model: Arc::clone(model) as Arc<dyn Model>,
        engine: "adding",
        files: "same".into(),
    }
}

const AB: [(&str, ColumnType); 2] = [("a", ColumnType::Double), ("b", ColumnType::Double)];

fn adder() -> Arc<Adder> {
    Arc::new(Adder::new(2, i64::MAX))
}

fn job(input: &Path, output: &Path) -> Job {
    Job {
        input: Place::Local(input.to_owned()),
        input_format: None,
        output: Place::Local(output.to_owned()),
        output_format: None,
        columns: None,
        prefix: String::new(),
        threads: 2,
        batch_rows: Some(1000),
        on_error: OnError::Fail,
        max_errors: None,
        restart: false,
        overwrite: false,
        id: Ctx::system().event_id(),
        scratch: output.with_extension("scratch"),
    }
}

async fn go(job: Job, model: LoadedModel) -> Result<crate::Report, BatchError> {
    let finished = run(job, model, Arc::new(|_| {})).await?;
    let report = finished.report.clone();
    finished.close()?;
    Ok(report)
}

/// Ids, two numbers and a text a row; the second number is missing in every hundredth.
fn table(rows: usize) -> RecordBatch {
    let id = Int64Array::from_iter_values(0..rows as i64);
    let a = Float64Array::from_iter_values((0..rows).map(|i| i as f64 * 0.5));
    let b: Float64Array = (0..rows).map(|i| (i % 100 != 99).then_some(i as f64)).collect();
    let note = StringArray::from_iter_values((0..rows).map(|i| format!("a \"quoted\", note\nof {i}")));
    let columns: [(&str, ArrayRef); 4] =
        [("id", Arc::new(id)), ("a", Arc::new(a)), ("b", Arc::new(b)), ("note", Arc::new(note))];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn write(path: &Path, batch: &RecordBatch) {
    let file = std::fs::File::create(path).unwrap();
    match Format::of(path.to_str().unwrap()).unwrap() {
        Format::Parquet => {
            let properties = parquet::file::properties::WriterProperties::builder()
                .set_max_row_group_row_count(Some(70_000))
                .build();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
            writer.write(batch).unwrap();
            writer.close().unwrap();
        }
        Format::Csv => arrow::csv::Writer::new(file).write(batch).unwrap(),
        Format::Jsonl => {
            let mut writer = arrow::json::LineDelimitedWriter::new(file);
            writer.write(batch).unwrap();
            writer.finish().unwrap();
        }
        Format::Arrow => {
            let mut writer = arrow::ipc::writer::FileWriter::try_new(file, &batch.schema()).unwrap();
            for from in (0..batch.num_rows()).step_by(50_000) {
                writer.write(&batch.slice(from, (batch.num_rows() - from).min(50_000))).unwrap();
            }
            writer.finish().unwrap();
        }
    }
}

fn read(path: &Path) -> RecordBatch {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Every row is there once, in order, with its own sum.
fn check(out: &RecordBatch, rows: usize) {
    assert_eq!(out.num_rows(), rows);
    let column = |name: &str| out.column_by_name(name).unwrap();
    let numbers = column("prediction_row").as_primitive::<Int64Type>();
    let ids = arrow::compute::cast(column("id"), &DataType::Int64).unwrap();
    let sums = column("sum").as_primitive::<Float32Type>();
    for i in 0..rows {
        assert_eq!((numbers.value(i), ids.as_primitive::<Int64Type>().value(i)), (i as i64, i as i64));
        let expected = if i % 100 == 99 { f32::NAN } else { i as f32 * 0.5 + i as f32 };
        assert!(sums.value(i) == expected || (expected.is_nan() && sums.value(i).is_nan()), "row {i}");
        assert_eq!(column("note").as_string::<i32>().value(i), format!("a \"quoted\", note\nof {i}"));
    }
    let id = column("prediction_id").as_string::<i32>();
    assert!((0..rows).all(|i| id.value(i) == id.value(0)));
}

#[tokio::test]
async fn every_format_is_read_and_joined_to_the_answers() {
    let folder = tempfile::tempdir().unwrap();
    let rows = 150_000;
    for ending in ["parquet", "csv", "jsonl", "arrow"] {
        let (input, output) =
            (folder.path().join(format!("in.{ending}")), folder.path().join(format!("{ending}.parquet")));
        write(&input, &table(rows));
        let model = adder();
        let report = go(job(&input, &output), loaded(&model, &AB, "1")).await.unwrap();
        assert_eq!((report.rows, report.resumed), (rows as u64, 0), "{ending}");
        // The probe for the output's columns aside, each row went to the model once.
        assert_eq!(model.rows.load(Ordering::SeqCst), rows as u64 + 16, "{ending}");
        let out = read(&output);
        check(&out, rows);
        let kind = |name: &str| out.schema().field_with_name(name).unwrap().data_type().clone();
        assert_eq!(kind("a"), DataType::Float64, "{ending}");
        // Nothing says what an undeclared column of CSV is.
        assert_eq!(kind("id"), if ending == "csv" { DataType::Utf8 } else { DataType::Int64 }, "{ending}");
        assert!(!output.with_extension("parquet.run").exists());
    }
}

#[tokio::test]
async fn every_format_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, input) = (3_000, folder.path().join("in.parquet"));
    write(&input, &table(rows));
    for ending in ["csv", "jsonl", "arrow"] {
        let output = folder.path().join(format!("out.{ending}"));
        go(job(&input, &output), loaded(&adder(), &AB, "1")).await.unwrap();
        // What it wrote, it reads: the model is run over its own output.
        let again = folder.path().join(format!("{ending}-again.parquet"));
        let error = go(job(&output, &again), loaded(&adder(), &AB, "1")).await.unwrap_err();
        assert!(matches!(&error, BatchError::Taken { column } if column == "sum"), "{error}");
        assert!(!again.with_extension("parquet.run").exists());
        let renamed = Job { prefix: "second_".into(), ..job(&output, &again) };
        go(renamed, loaded(&adder(), &AB, "1")).await.unwrap();
        let again = read(&again);
        let number = |name: &str| {
            let column = arrow::compute::cast(again.column_by_name(name).unwrap(), &DataType::Float64).unwrap();
            let values = column.as_primitive::<arrow::datatypes::Float64Type>().iter().enumerate();
            // JSON has no NaN.
            values.filter(|(i, _)| i % 100 != 99).map(|(_, v)| v).collect::<Vec<_>>()
        };
        assert_eq!(&number("sum"), &number("second_sum"), "{ending}");
        assert_eq!(&number("prediction_row"), &number("second_prediction_row"), "{ending}");
        let text = std::fs::read(&output).unwrap();
        let text = String::from_utf8_lossy(&text);
        match ending {
            "csv" => {
                assert!(text.starts_with("id,a,b,note,sum,prediction_id,prediction_row\n"), "{text:.80}");
                assert!(text.contains("1,0.5,1.0,\"a \"\"quoted\"\", note\nof 1\",1.5,"), "{text:.300}");
            }
            "jsonl" => {
                let line: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
                assert_eq!((&line["sum"], &line["prediction_row"]), (&1.5.into(), &1.into()));
                assert_eq!(text.lines().count(), rows);
            }
            _ => assert!(text.starts_with("ARROW1")),
        }
    }
}

#[tokio::test]
async fn a_run_that_broke_off_goes_on_and_its_output_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, input) = (200_000, folder.path().join("in.parquet"));
    write(&input, &table(rows));
    let whole = folder.path().join("whole.parquet");
    let id = Ctx::system().event_id();
    go(Job { id, ..job(&input, &whole) }, loaded(&adder(), &AB, "1")).await.unwrap();
    let output = folder.path().join("out.parquet");
    let (mut attempts, mut predicted) = (0, 0);
    let report = loop {
        // Enough calls for a shard a thread and a bit.
        let model = Arc::new(Adder::new(2, 200));
        match go(Job { id, ..job(&input, &output) }, loaded(&model, &AB, "1")).await {
            Ok(report) => break report,
            Err(e) => assert!(e.to_string().contains("pulled the plug"), "{e}"),
        }
        predicted += model.rows.load(Ordering::SeqCst);
        attempts += 1;
        assert!(!output.exists() && attempts < 20);
    };
    assert!(attempts >= 1 && report.resumed > 0 && report.rows == rows as u64);
    assert!(predicted < 2 * rows as u64, "{predicted} rows in {attempts} attempts: done shards were done again");
    assert_eq!(std::fs::read(&output).unwrap(), std::fs::read(&whole).unwrap());
}

#[tokio::test]
async fn an_unfinished_run_of_something_else_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.csv"), folder.path().join("out.csv"));
    write(&input, &table(150_000));
    // Enough calls to learn the columns and for the first shard.
    let dead = Arc::new(Adder::new(2, 18));
    let large = Job { batch_rows: Some(8192), threads: 1, ..job(&input, &output) };
    go(large, loaded(&dead, &AB, "1")).await.unwrap_err();
    let other = go(job(&input, &output), loaded(&adder(), &AB, "2")).await.unwrap_err();
    assert!(other.to_string().ends_with("the model's version was 1, and is 2"), "{other}");
    let again = Job { restart: true, ..job(&input, &output) };
    assert_eq!(go(again, loaded(&adder(), &AB, "2")).await.unwrap().rows, 150_000);
    let there = go(job(&input, &output), loaded(&adder(), &AB, "2")).await.unwrap_err();
    assert!(matches!(there, BatchError::Exists { .. }), "{there}");
    assert!(!folder.path().join("out.csv.run").exists());
    go(Job { overwrite: true, ..job(&input, &output) }, loaded(&adder(), &AB, "2")).await.unwrap();
}

#[tokio::test]
async fn a_part_that_was_taken_away_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.csv"), folder.path().join("out.jsonl"));
    write(&input, &table(150_000));
    // Enough calls to learn the columns and for the first shard.
    let dead = Arc::new(Adder::new(2, 18));
    let large = Job { batch_rows: Some(8192), threads: 1, ..job(&input, &output) };
    go(large, loaded(&dead, &AB, "1")).await.unwrap_err();
    std::fs::remove_file(folder.path().join("out.jsonl.run/000000.part")).unwrap();
    let report = go(job(&input, &output), loaded(&adder(), &AB, "1")).await.unwrap();
    assert_eq!((report.rows, report.resumed), (150_000, 0));
    assert_eq!(std::fs::read_to_string(&output).unwrap().lines().count(), 150_000);
}

#[tokio::test]
async fn two_processes_do_not_work_on_one_output() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.csv"), folder.path().join("out.csv"));
    write(&input, &table(10));
    let finished = run(job(&input, &output), loaded(&adder(), &AB, "1"), Arc::new(|_| {})).await.unwrap();
    let second = go(Job { overwrite: true, ..job(&input, &output) }, loaded(&adder(), &AB, "1")).await.unwrap_err();
    assert!(matches!(second, BatchError::Busy { .. }), "{second}");
    finished.close().unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_row_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let fails = async |name: &str, text: &str| {
        std::fs::write(path(name), text).unwrap();
        let error = go(job(&path(name), &path("out.csv")), loaded(&adder(), &AB, "1")).await.unwrap_err();
        error.to_string()
    };
    let good = (0..5_000).map(|i| format!("{i},1")).collect::<Vec<_>>().join("\n") + "\n";
    let bad = fails("a.csv", &format!("a,b\n{good}7,much\n8,9\n")).await;
    assert_eq!(bad, r#"row 5000, column "b": the model takes double, the row has "much""#);
    let refused = fails("b.csv", &format!("a,b\n{good}8,9\n-1,9\n")).await;
    assert!(refused.starts_with("row 5001: ") && refused.contains("no such row"), "{refused}");
    let short = fails("c.csv", &format!("a,b\n{good}8\n")).await;
    assert!(short.starts_with("row 5000 cannot be read: "), "{short}");
    let open = fails("d.csv", &format!("a,b\n{good}8,\"9\n")).await;
    assert!(open.contains("row 5000 has a quote that is not closed"), "{open}");
    let missing = fails("e.csv", "a,bb\n1,2\n").await;
    assert!(
        missing.starts_with(r#"column "b" is missing (the request has "bb")"#) || missing.contains(r#""b" is missing"#),
        "{missing}"
    );
    let json = fails("f.jsonl", "{\"a\":1,\"b\":2}\n{\"a\":1,\"b\":\n").await;
    assert!(json.contains("row 1"), "{json}");
    let mixed = fails("g.jsonl", "{\"a\":1,\"b\":2}\n{\"a\":1,\"b\":{}}\n").await;
    assert!(mixed.contains('b'), "{mixed}");
    let nothing = go(job(&path("none.csv"), &path("out.csv")), loaded(&adder(), &AB, "1")).await.unwrap_err();
    assert!(nothing.to_string().contains("none.csv"), "{nothing}");
}

#[tokio::test]
async fn without_a_signature_the_columns_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.parquet"), folder.path().join("out.parquet"));
    write(&input, &table(500));
    let error = go(job(&input, &output), loaded(&adder(), &[], "1")).await.unwrap_err();
    assert!(matches!(error, BatchError::Columns(_)), "{error}");
    let named = Job { columns: Some(vec!["a".into(), "b".into()]), ..job(&input, &output) };
    go(named, loaded(&adder(), &[], "1")).await.unwrap();
    check(&read(&output), 500);
    let unknown = Job { columns: Some(vec!["a".into(), "bee".into()]), overwrite: true, ..job(&input, &output) };
    let error = go(unknown, loaded(&adder(), &[], "1")).await.unwrap_err();
    assert!(error.to_string().starts_with(r#"the input has no column "bee""#), "{error}");
}

#[tokio::test]
async fn an_empty_input_gives_an_empty_output_with_the_same_columns() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["csv", "parquet", "arrow"] {
        let (input, output) =
            (folder.path().join(format!("in.{ending}")), folder.path().join(format!("out-{ending}.csv")));
        write(&input, &table(0));
        if ending == "csv" {
            std::fs::write(&input, "id,a,b,note\n").unwrap();
        }
        assert_eq!(go(job(&input, &output), loaded(&adder(), &AB, "1")).await.unwrap().rows, 0, "{ending}");
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "id,a,b,note,sum,prediction_id,prediction_row\n");
    }
}

#[tokio::test]
async fn lists_become_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.jsonl"), folder.path().join("out.jsonl"));
    std::fs::write(&input, "{\"k\":1,\"X\":[1,2.5]}\n{\"k\":2,\"X\":[3,4]}\n").unwrap();
    go(job(&input, &output), loaded(&adder(), &[], "1")).await.unwrap();
    let text = std::fs::read_to_string(&output).unwrap();
    let sums: Vec<f64> =
        text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["sum"].as_f64().unwrap()).collect();
    assert_eq!(sums, [3.5, 7.0]);
    std::fs::write(&input, "{\"X\":[1,2.5]}\n{\"X\":[3]}\n").unwrap();
    let error = go(Job { overwrite: true, ..job(&input, &output) }, loaded(&adder(), &[], "1")).await.unwrap_err();
    assert!(error.to_string().contains("row 1 has 1 values where the input takes 2"), "{error}");
}

#[tokio::test]
async fn progress_reaches_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.parquet"), folder.path().join("out.parquet"));
    write(&input, &table(200_000));
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let watch = Arc::new(move |p: Progress| told.lock().unwrap().push(p));
    run(job(&input, &output), loaded(&adder(), &AB, "1"), watch).await.unwrap().close().unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!((seen.first(), seen.last()), (Some(&Progress::Planning), Some(&Progress::Joining)));
    let last = seen.iter().rfind(|p| matches!(p, Progress::Rows { .. }));
    assert_eq!(last, Some(&Progress::Rows { done: 200_000, resumed: 0, of: 200_000 }));
}

#[tokio::test]
async fn a_bucket_holds_input_and_output() {
    let place = mainspring_testkit::s3::place();
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("in.parquet");
    write(&local, &table(3_000));
    let store = mainspring_artifact::Artifacts::open_with(&place.url, folder.path(), &place.options).unwrap();
    let key = |name: &str| mainspring_artifact::ArtifactPath::parse(name).unwrap();
    store.put(&key("in.parquet"), std::fs::read(&local).unwrap().into()).await.unwrap();
    let at = |name: &str| Place::parse(&format!("{}/{name}", place.url), &place.options).unwrap();
    let scratch = folder.path().join("scratch");
    let there = |model| {
        let job = Job {
            input: at("in.parquet"),
            output: at("out.parquet"),
            scratch: scratch.clone(),
            ..job(&local, &PathBuf::from("unused"))
        };
        go(job, model)
    };
    there(loaded(&Arc::new(Adder::new(2, 2)), &AB, "1")).await.unwrap_err();
    let report = there(loaded(&adder(), &AB, "1")).await.unwrap();
    assert_eq!(report.rows, 3_000);
    let copy = folder.path().join("copy.parquet");
    std::fs::write(&copy, store.get(&key("out.parquet")).await.unwrap()).unwrap();
    check(&read(&copy), 3_000);
    assert!(matches!(there(loaded(&adder(), &AB, "1")).await.unwrap_err(), BatchError::Exists { .. }));
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
}

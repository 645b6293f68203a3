//! Columns that go over as they are.

use super::{AB, adder, go, job, loaded, read, table, write};
use crate::{Job, OnError};
use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Int32Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Int32Type, Int64Type};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use std::path::Path;
use std::sync::Arc;

/// The columns of [`table`] between others of many types, with gaps.
fn mixed(rows: usize) -> RecordBatch {
    let given = table(rows);
    let some = |i: usize| !i.is_multiple_of(7);
    let words: StringArray = (0..rows).map(|i| some(i).then(|| ["north", "south", "east"][i % 3])).collect();
    let coded = cast(&words, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))).unwrap();
    let times: TimestampMicrosecondArray = (0..rows).map(|i| some(i).then_some(i as i64 * 1_000)).collect();
    let money: Decimal128Array = (0..rows).map(|i| some(i).then_some(i as i128 * 25)).collect();
    let lists =
        (0..rows).map(|i| some(i).then(|| (0..i % 4).map(|v| some(v + i).then_some(v as i32)).collect::<Vec<_>>()));
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
    let inner: Int32Array = (0..rows).map(|i| some(i + 3).then_some(i as i32)).collect();
    let inner =
        StructArray::from(vec![(Arc::new(Field::new("x", DataType::Int32, true)), Arc::new(inner) as ArrayRef)]);
    let extra: [(&str, ArrayRef); 5] = [
        ("region", coded),
        ("seen", Arc::new(times.with_timezone("UTC"))),
        ("paid", Arc::new(money.with_precision_and_scale(20, 2).unwrap())),
        ("tags", Arc::new(lists)),
        ("at", Arc::new(inner)),
    ];
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (i, field) in given.schema().fields().iter().enumerate() {
        columns.push((extra[i].0.into(), Arc::clone(&extra[i].1)));
        columns.push((field.name().clone(), Arc::clone(given.column(i))));
    }
    columns.push((extra[4].0.into(), Arc::clone(&extra[4].1)));
    RecordBatch::try_from_iter(columns).unwrap()
}

fn write_groups(path: &Path, batch: &RecordBatch, rows: usize) {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(parquet::basic::ZstdLevel::default()))
        .set_max_row_group_row_count(Some(rows))
        .build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn metadata(path: &Path) -> ParquetMetaData {
    ParquetMetaDataReader::new().parse_and_finish(&std::fs::File::open(path).unwrap()).unwrap()
}

/// How the columns `a` and `sum` are compressed, group by group, and how many rows those have.
fn groups(path: &Path) -> Vec<(i64, Compression, Compression)> {
    let metadata = metadata(path);
    let compression = |group: &parquet::file::metadata::RowGroupMetaData, name: &str| {
        group.columns().iter().find(|c| c.column_path().string() == name).unwrap().compression()
    };
    metadata.row_groups().iter().map(|g| (g.num_rows(), compression(g, "a"), compression(g, "sum"))).collect()
}

#[tokio::test]
async fn what_the_model_does_not_add_is_copied_byte_by_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.parquet"), folder.path().join("out.parquet"));
    let given = mixed(50_000);
    write_groups(&input, &given, 20_000);
    let report = go(job(&input, &output), loaded(&adder(), &AB, "1")).await.unwrap();
    assert_eq!(report.rows, 50_000);
    let zstd = Compression::ZSTD(parquet::basic::ZstdLevel::default());
    let expected: Vec<_> = [20_000, 20_000, 10_000].map(|n| (n, zstd, Compression::SNAPPY)).into();
    assert_eq!(groups(&output), expected);
    let (before, after) = (metadata(&input), metadata(&output));
    for (before, after) in before.row_groups().iter().zip(after.row_groups()) {
        for (before, after) in before.columns().iter().zip(after.columns()) {
            assert_eq!(before.compressed_size(), after.compressed_size(), "{}", before.column_path());
            assert_eq!(before.statistics(), after.statistics(), "{}", before.column_path());
        }
    }
    let out = read(&output);
    super::check(&out, 50_000);
    for field in given.schema().fields() {
        let (was, is) = (given.column_by_name(field.name()).unwrap(), out.column_by_name(field.name()).unwrap());
        assert_eq!(&cast(was, is.data_type()).unwrap(), is, "{}", field.name());
    }
    assert_eq!(out.schema().field_with_name("region").unwrap().data_type(), &DataType::Utf8);
}

/// The same rows whichever way they go, and each way where it belongs.
#[tokio::test]
async fn rows_that_cannot_go_over_as_they_are_are_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let given = mixed(30_000);
    let fitting = folder.path().join("fitting.parquet");
    write_groups(&fitting, &given, 10_000);
    let run = async |name: &str, input: &Path, change: &dyn Fn(&mut Job)| {
        let output = folder.path().join(name);
        let mut job = job(input, &output);
        change(&mut job);
        go(job, loaded(&adder(), &AB, "1")).await.unwrap();
        let as_they_are = groups(&output).iter().all(|(_, given, added)| given != added);
        (as_they_are, read(&output))
    };
    let (copied, reference) = run("copied.parquet", &fitting, &|_| {}).await;
    assert!(copied);
    // Rows may be missing, many small groups would be many parts, and large ones are too few for the threads.
    let (copied, skipping) = run("skipping.parquet", &fitting, &|job| job.on_error = OnError::Skip).await;
    assert!(!copied);
    let small = folder.path().join("small.parquet");
    write_groups(&small, &given, 1_000);
    let (copied, small) = run("small-out.parquet", &small, &|_| {}).await;
    assert!(!copied);
    let large = folder.path().join("large.parquet");
    let many = mixed(150_000);
    write_groups(&large, &many, 150_000);
    let (copied, large) = run("large-out.parquet", &large, &|_| {}).await;
    assert!(!copied);
    super::check(&large, 150_000);
    for other in [skipping, small] {
        for field in reference.schema().fields().iter().filter(|f| f.name() != "prediction_id") {
            assert_eq!(reference.column_by_name(field.name()), other.column_by_name(field.name()), "{}", field.name());
        }
    }
}

#[tokio::test]
async fn a_run_goes_on_with_the_shards_that_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.parquet"), folder.path().join("out.parquet"));
    write_groups(&input, &table(60_000), 10_000);
    let broken = Arc::new(super::Adder::new(2, 25));
    let error = go(Job { threads: 1, ..job(&input, &output) }, loaded(&broken, &AB, "1")).await.unwrap_err();
    assert!(error.to_string().contains("pulled the plug"), "{error}");
    let manifest = output.with_extension("parquet.run").join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("\"carried\":true"), "{text}");
    let report = go(job(&input, &output), loaded(&adder(), &AB, "1")).await.unwrap();
    assert_eq!((report.rows, report.resumed), (60_000, 20_000));
    super::check(&read(&output), 60_000);

    // One that an older release began had other shards.
    let (input, output) = (folder.path().join("older.parquet"), folder.path().join("older-out.parquet"));
    write(&input, &table(150_000));
    let broken = Arc::new(super::Adder::new(2, 100));
    let begun = Job { threads: 1, on_error: OnError::Fail, ..job(&input, &output) };
    go(begun, loaded(&broken, &AB, "1")).await.unwrap_err();
    let manifest = output.with_extension("parquet.run").join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("\"carried\":true,\"done\":{\"0\""), "{text}");
    std::fs::write(&manifest, text.replace("\"carried\":true,", "")).unwrap();
    let report = go(job(&input, &output), loaded(&adder(), &AB, "1")).await.unwrap();
    assert_eq!((report.rows, report.resumed), (150_000, 70_000));
    let out = read(&output);
    assert_eq!(out.column_by_name("prediction_row").unwrap().as_primitive::<Int64Type>().len(), 150_000);
    assert_eq!(out.column_by_name("sum").unwrap().as_primitive::<Float32Type>().null_count(), 0);
    super::check(&out, 150_000);
}

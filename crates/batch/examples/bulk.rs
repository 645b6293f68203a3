//! A run over a file beside ONNX Runtime alone over the same file.
//!
//! `cargo run --release -p mainspring-batch --example bulk -- MODEL.onnx COLUMNS [ROWS] [LIBONNXRUNTIME]`
//!
//! The model takes one FP32 input `[rows, COLUMNS]`. The floor reads the columns and runs the model on every
//! core, and writes nothing; the run also joins, writes and keeps checkpoints.

use arrow::array::{ArrayRef, AsArray, Float32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Float32Type;
use mainspring_batch::{Job, LoadedModel, ModelId, OnError, Place, run};
use mainspring_core::{Ctx, DType, NamedTensor, Tensor};
use mainspring_engine::{Engine, LoadOptions, ModelFiles, RunCx, Watch, Worker};
use mainspring_engine_onnx::OnnxRuntime;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

type Failed = Box<dyn Error + Send + Sync>;

const GROUP: usize = 1 << 17;
/// Rows a call of the floor: what the run measures for boosted trees.
const CALL: usize = 1024;

/// An id, the columns of the model and a text; the same values each time.
fn write(path: &Path, rows: usize, columns: usize) -> Result<(), Failed> {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let mut writer: Option<ArrowWriter<File>> = None;
    for from in (0..rows).step_by(GROUP) {
        let n = GROUP.min(rows - from);
        let mut fields: Vec<(String, ArrayRef)> =
            vec![("id".into(), Arc::new(Int64Array::from_iter_values((from..from + n).map(|i| i as i64))))];
        for c in 0..columns {
            let values = Float32Array::from_iter_values((0..n).map(|_| random()));
            fields.push((format!("c{c}"), Arc::new(values)));
        }
        let regions = (from..from + n).map(|i| ["north", "south", "east", "west"][i % 4]);
        fields.push(("region".into(), Arc::new(StringArray::from_iter_values(regions))));
        let batch = RecordBatch::try_from_iter(fields)?;
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(GROUP)).build();
        match &mut writer {
            Some(writer) => writer.write(&batch)?,
            None => {
                let mut made = ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties))?;
                made.write(&batch)?;
                writer = Some(made);
            }
        }
    }
    writer.map(ArrowWriter::close).transpose()?;
    Ok(())
}

/// ONNX Runtime over the file, a row group a thread at a time.
fn floor(path: &Path, model: &Path, columns: usize, threads: usize, onnx: &OnnxRuntime) -> Result<Duration, Failed> {
    let files = ModelFiles {
        root: model.parent().unwrap_or(Path::new(".")).to_owned(),
        entry: model.file_name().map(PathBuf::from).unwrap_or_default(),
        flavor: "onnx".into(),
    };
    let model = onnx.load(&files, &LoadOptions::default())?;
    let input = Arc::clone(&model.signature().inputs[0].name);
    let groups = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.metadata().num_row_groups();
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let work = || -> Result<(), Failed> {
        loop {
            let group = next.fetch_add(1, Ordering::Relaxed);
            if group >= groups {
                return Ok(());
            }
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
            let mask = parquet::arrow::ProjectionMask::leaves(reader.parquet_schema(), 1..=columns);
            for batch in reader.with_row_groups(vec![group]).with_projection(mask).with_batch_size(CALL).build()? {
                let batch = batch?;
                let n = batch.num_rows();
                let mut values = vec![0_f32; n * columns];
                for (c, column) in batch.columns().iter().enumerate() {
                    for (row, value) in column.as_primitive::<Float32Type>().values().iter().enumerate() {
                        values[row * columns + c] = *value;
                    }
                }
                let tensor = Tensor::from_vec(DType::Fp32, vec![n, columns], values)?;
                model.run(&[NamedTensor { name: Arc::clone(&input), tensor }], &RunCx::default())?;
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|t| t.join().map_err(|_| "a thread of the floor panicked")?)
    })?;
    Ok(began.elapsed())
}

fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) / 1024
}

#[tokio::main]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Failed> {
    let mut args = std::env::args().skip(1);
    let (model, columns) = (PathBuf::from(args.next().ok_or("which model?")?), args.next().ok_or("how many columns?")?);
    let columns: usize = columns.parse()?;
    let rows: usize = args.next().map_or(Ok(1_000_000), |r| r.parse())?;
    let library = args.next().map(PathBuf::from);
    let onnx = OnnxRuntime::open(library.as_deref(), 0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let folder = tempfile::tempdir()?;
    let (input, output) = (folder.path().join("in.parquet"), folder.path().join("out.parquet"));
    write(&input, rows, columns)?;
    let size = input.metadata()?.len();
    println!(
        "{rows} rows, {columns} columns of the model and 2 more, {} MB; {threads} threads; {} MB so far",
        size >> 20,
        peak()
    );
    let names: Vec<String> = (0..columns).map(|c| format!("c{c}")).collect();
    let engines: Vec<Arc<dyn Engine>> = vec![Arc::new(onnx.clone())];
    for _ in 0..3 {
        let bare = floor(&input, &model, columns, threads, &onnx)?;
        let id = ModelId { name: "bulk".into(), version: "1".into() };
        let loaded = LoadedModel::open(&engines, &model, id, (threads, Worker::default(), Watch::default()))?;
        let job = Job {
            input: Place::Local(input.clone()),
            input_format: None,
            output: Place::Local(output.clone()),
            output_format: None,
            columns: Some(names.clone()),
            prefix: String::new(),
            threads,
            batch_rows: None,
            on_error: OnError::Fail,
            max_errors: None,
            restart: false,
            overwrite: true,
            id: Ctx::system().event_id(),
            scratch: folder.path().to_owned(),
        };
        let finished = run(job, loaded, Arc::new(|_| {})).await?;
        let report = finished.report.clone();
        finished.close()?;
        println!(
            "ONNX Runtime alone {:.2} s; the run {:.2} s ({:.2} times; {:.2} s in the engine, {} rows a call, {} MB written); {} MB at most",
            bare.as_secs_f64(),
            report.took.as_secs_f64(),
            report.took.as_secs_f64() / bare.as_secs_f64(),
            report.engine_ns as f64 / 1e9 / threads as f64,
            report.batch_rows,
            report.bytes >> 20,
            peak(),
        );
    }
    Ok(())
}

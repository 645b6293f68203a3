//! What the tests of this crate share.

use crate::log::frame::Rows;
use crate::{Journal, JournalSettings, Kind, MIGRATIONS};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use mainspring_artifact::Artifacts;
use mainspring_core::{
    Assignment, Ctx, DType, EventId, ManualClock, NamedTensor, Outcome, Prediction, Protocol, Target, Tenant, Tensor,
    Timestamp, Timing,
};
use mainspring_store::{Db, DbSettings};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// 2026-03-01T00:00:00Z in microseconds.
pub const START: i64 = 1_772_323_200_000_000;

pub struct World {
    pub clock: ManualClock,
    pub dir: PathBuf,
    pub ctx: Ctx,
    pub journal: Journal,
}

pub fn settings(dir: &Path) -> JournalSettings {
    JournalSettings { emit_every: Duration::from_millis(5), ..JournalSettings::new(dir.join("log")) }
}

/// A journal in `dir` as a new process would open it.
pub async fn open(dir: &Path) -> World {
    open_with(settings(dir)).await
}

pub async fn open_with(settings: JournalSettings) -> World {
    let dir = settings.dir.parent().unwrap().to_path_buf();
    std::fs::create_dir_all(&dir).unwrap();
    let clock = ManualClock::at(Timestamp(START + 60_000_000));
    let ctx = Ctx { clock: Arc::new(clock.clone()), ..Ctx::system() };
    let db = Db::open(&DbSettings::sqlite(dir.join("meta.db")), &[MIGRATIONS], &ctx).await.unwrap();
    let url = dir.join("artifacts");
    let artifacts = Artifacts::open(url.to_str().unwrap(), &dir.join("cache")).unwrap();
    let journal = Journal::open(settings, artifacts, db, ctx.clone()).await.unwrap();
    World { clock, dir, ctx, journal }
}

impl World {
    /// Ends everything that holds the folder.
    pub async fn shut_down(self) -> PathBuf {
        let Self { dir, ctx, journal, .. } = self;
        journal.close().await;
        assert!(ctx.tasks.shutdown(mainspring_testkit::PATIENCE).await, "tasks did not end");
        drop(journal);
        dir
    }

    /// Ids of every row there is, sealed or not.
    pub async fn ids(&self) -> Vec<(String, i32)> {
        let snapshot = self.journal.snapshot(&Tenant::default(), Kind::Prediction).await.unwrap();
        let mut ids: Vec<_> = snapshot.live.iter().flat_map(|r: &Rows| row_ids(&r.batch)).collect();
        ids.extend(snapshot.files.iter().flat_map(|f| read(&f.path)).flat_map(|b| row_ids(&b)));
        ids.sort();
        ids
    }
}

/// The sum of a 64-bit column over all predictions of the journal.
pub async fn sum_of(world: &World, column: &str) -> i64 {
    let snapshot = world.journal.snapshot(&Tenant::default(), Kind::Prediction).await.unwrap();
    let live: Vec<_> = snapshot.live.into_iter().map(|r| r.batch).collect();
    sum(&live, column) + snapshot.files.iter().map(|f| sum(&read(&f.path), column)).sum::<i64>()
}

/// The rows of a Parquet file.
pub fn read(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

pub fn row_ids(batch: &RecordBatch) -> Vec<(String, i32)> {
    let ids = batch["event_id"].as_string::<i32>();
    let rows = batch["row"].as_primitive::<Int32Type>();
    (0..batch.num_rows()).map(|i| (ids.value(i).to_owned(), rows.value(i))).collect()
}

/// The sum of a 64-bit column over batches.
pub fn sum(batches: &[RecordBatch], column: &str) -> i64 {
    batches.iter().map(|b| b[column].as_primitive::<Int64Type>().iter().flatten().sum::<i64>()).sum()
}

pub fn texts(batches: &[RecordBatch], column: &str) -> Vec<Option<String>> {
    let all = batches
        .iter()
        .flat_map(|b| b[column].as_string::<i32>().iter().map(|t| t.map(str::to_owned)).collect::<Vec<_>>());
    all.collect()
}

pub fn count_nulls(batches: &[RecordBatch], column: &str) -> usize {
    batches.iter().map(|b| b[column].null_count()).sum()
}

pub fn target(deployment: &str, version: &str) -> Arc<Target> {
    Arc::new(Target {
        deployment: deployment.into(),
        variant: "stable".into(),
        model: deployment.into(),
        version: version.into(),
        columns: Arc::default(),
    })
}

pub fn id(n: u64) -> EventId {
    EventId(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(n)))
}

pub fn tensor<T: bytemuck::Pod + Send + Sync>(
    name: &str,
    dtype: DType,
    shape: &[usize],
    values: Vec<T>,
) -> NamedTensor {
    NamedTensor { name: name.into(), tensor: Tensor::from_vec(dtype, shape.to_vec(), values).unwrap() }
}

pub fn strings(name: &str, shape: &[usize], values: &[&[u8]]) -> NamedTensor {
    let values = values.iter().map(|v| bytes::Bytes::copy_from_slice(v)).collect();
    NamedTensor { name: name.into(), tensor: Tensor::from_strings(shape.to_vec(), values).unwrap() }
}

/// An answered request with one row of two features and one output.
pub fn prediction(n: u64, to: &Arc<Target>) -> Prediction {
    Prediction {
        id: id(n),
        at: Timestamp(START + n as i64),
        tenant: Tenant::default(),
        target: Arc::clone(to),
        protocol: Protocol::OipRest,
        client_id: None,
        caller: "key:k1".into(),
        assignment: Assignment::default(),
        outcome: Outcome::Ok,
        rows: 1,
        batch_rows: 1,
        timing: Timing { queue_ns: 1000, features_ns: 0, engine_ns: 5000, encode_ns: 500, total_ns: 8000 + n },
        tokens: None,
        cached: None,
        flags: None,
        params: None,
        inputs: Arc::new([tensor("x", DType::Fp32, &[1, 2], vec![n as f32, -1.5])]),
        outputs: Arc::new([tensor("y", DType::Int64, &[1], vec![(n % 2) as i64])]),
    }
}

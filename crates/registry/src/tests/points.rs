//! Points that were logged one by one, and merged behind the scenes.

use super::Fixture;
use crate::actions::{DeleteRun, LogRun, Purge, ReadRun};
use crate::points::Point;
use crate::sql::chunks::MANY;
use crate::{Batch, MIGRATIONS, Metric, Registry, Sample};
use mainspring_core::Tenant;
use mainspring_store::{Db, args};
use std::time::Duration;

const CHUNKS: &str = "SELECT COUNT(*) AS n FROM metric_chunks";

impl Fixture {
    async fn point(&self, run: &str, key: &str, (value, timestamp, step): (f64, i64, i64)) {
        // Two replicas may otherwise number two chunks alike under a clock that stands still.
        self.clock.advance(1);
        let metric = Metric::new(key, value, timestamp, step);
        self.registry.log_metric(&self.may(LogRun::on(run)), run, metric).await.unwrap();
    }

    /// What every way of reading a metric shows, each value by its bits.
    async fn readings(&self, run: &str, key: &str) -> Vec<Vec<(i64, i64, u64)>> {
        let bits = |p: &Point| (p.step, p.timestamp, p.value.to_bits());
        let auth = self.may(ReadRun::any());
        let whole = self.registry.metric_history(&auth, run, key, (None, None)).await.unwrap().items;
        let first = self.registry.metric_history(&auth, run, key, (Some(100), None)).await.unwrap();
        let next = self.registry.metric_history(&auth, run, key, (Some(100), first.next.as_deref())).await.unwrap();
        let ids = [run.to_owned()];
        let bulk = self.registry.metric_history_bulk(&auth, &ids, key, 150).await.unwrap();
        let sample = Sample { max: 40, within: Some((3, 200)) };
        let plot = self.registry.metric_history_sampled(&auth, &ids, key, sample).await.unwrap();
        let alone = |pairs: Vec<(String, Point)>| pairs.iter().map(|(_, p)| bits(p)).collect::<Vec<_>>();
        let page = |points: &[Point]| points.iter().map(bits).collect::<Vec<_>>();
        vec![page(&whole), page(&first.items), page(&next.items), alone(bulk), alone(plot)]
    }
}

/// Repeated, unordered, equal in part, not a number.
fn awkward(i: i64) -> (f64, i64, i64) {
    let value = match i % 7 {
        0 => f64::NAN,
        1 => -0.0,
        2 => 0.0,
        _ => (i % 5) as f64 / 3.0,
    };
    (value, i * 37 % 101, i * 53 % 211)
}

#[tokio::test]
async fn merged_points_read_the_same() {
    let f = Fixture::new().await;
    let run = f.run(0, "r").await;
    for i in 0..400 {
        f.point(&run, "m", awkward(i)).await;
        if i < 10 {
            f.point(&run, "few", awkward(i)).await;
        }
    }
    let before = f.readings(&run, "m").await;
    assert_eq!(f.number(CHUNKS).await, 410);
    assert_eq!(f.registry.compact().await.unwrap(), 1);
    assert_eq!(f.number(CHUNKS).await, 11);
    assert_eq!(f.readings(&run, "m").await, before);
    assert_eq!(f.registry.compact().await.unwrap(), 0);

    // Logging goes on; what is large enough is left alone.
    for i in 400..600 {
        f.point(&run, "m", awkward(i)).await;
    }
    let before = f.readings(&run, "m").await;
    assert_eq!(f.registry.compact().await.unwrap(), 1);
    assert_eq!(f.number(CHUNKS).await, 12);
    assert_eq!(f.readings(&run, "m").await, before);

    f.registry.delete_run(&f.may(DeleteRun::on(&run)), &run).await.unwrap();
    f.registry.purge(&f.may(Purge::any()), Duration::ZERO).await.unwrap();
    assert_eq!(f.number(CHUNKS).await, 0);
}

#[tokio::test]
async fn small_batches_share_a_chunk_until_they_are_merged() {
    let f = Fixture::new().await;
    let run = f.run(0, "r").await;
    let log = async |from: i64, to: i64| {
        for i in from..to {
            f.clock.advance(1);
            let (value, timestamp, step) = awkward(i);
            let metrics = ["a", "b", "é"].map(|key| Metric::new(key, value + key.len() as f64, timestamp, step));
            let batch = Batch { metrics: metrics.to_vec(), ..Batch::default() };
            f.registry.log_batch(&f.may(LogRun::on(&run)), &run, batch).await.unwrap();
        }
    };
    log(0, 100).await;
    f.point(&run, "a", awkward(100)).await;
    assert_eq!(f.number(CHUNKS).await, 101);
    let read = async || [f.readings(&run, "a").await, f.readings(&run, "b").await, f.readings(&run, "é").await];
    let before = read().await;
    assert_eq!((before[0][0].len(), before[1][0].len()), (101, 100));
    assert_eq!(f.registry.compact().await.unwrap(), 1);
    assert_eq!(f.number(CHUNKS).await, 4, "one for each metric, and the single point");
    assert_eq!(read().await, before);
    log(200, 210).await;
    assert_eq!(f.number(CHUNKS).await, 14);
    assert_eq!(f.readings(&run, "b").await[0].len(), 110);

    // What is large has its rows by metric from the start.
    let metrics = (0..200).map(|i| Metric::new(if i % 2 == 0 { "a" } else { "c" }, 0.5, 5000 + i, i)).collect();
    let batch = Batch { metrics, ..Batch::default() };
    f.registry.log_batch(&f.may(LogRun::on(&run)), &run, batch).await.unwrap();
    assert_eq!(f.number(CHUNKS).await, 16);
    assert_eq!(f.readings(&run, "c").await[0].len(), 100);
}

#[tokio::test]
async fn more_chunks_than_one_transaction_takes_are_merged_in_several() {
    let f = Fixture::new().await;
    let run = f.run(0, "r").await;
    for i in 0..2500 {
        f.point(&run, "m", (0.5, i, i)).await;
    }
    f.registry.compact().await.unwrap();
    assert!(f.number(CHUNKS).await < 5);
    let steps: Vec<i64> = f.readings(&run, "m").await[0].iter().map(|p| p.0).collect();
    assert_eq!(steps, (0..2500).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_restart_forgot_is_found_by_the_next_reader() {
    let f = Fixture::new().await;
    let run = f.run(0, "r").await;
    for i in 0..MANY as i64 {
        f.point(&run, "m", (0.5, i, i)).await;
    }
    let again = Registry::open(f.db.clone(), f.registry.artifacts().clone(), mainspring_core::Ctx::system()).await;
    let again = again.unwrap();
    assert_eq!(again.compact().await.unwrap(), 0);
    again.metric_history(&f.may(ReadRun::on(&run)), &run, "m", (None, None)).await.unwrap();
    assert_eq!(again.compact().await.unwrap(), 1);
    assert_eq!(f.number(CHUNKS).await, 1);
}

#[tokio::test]
async fn replicas_that_log_and_merge_at_once_lose_and_double_nothing() {
    let (a, b) = Fixture::replicas().await;
    let run = a.run(0, "r").await;
    let log = async |f: &Fixture, from: i64| {
        for i in from..from + 300 {
            f.point(&run, "m", (0.5, i, i)).await;
        }
    };
    let merge = async |f: &Fixture| {
        for _ in 0..60 {
            f.registry.note_chunks(&Tenant::default(), &run);
            f.registry.compact().await.unwrap();
        }
    };
    tokio::join!(log(&a, 0), log(&b, 300), merge(&a), merge(&b));
    merge(&a).await;
    assert!(a.number(CHUNKS).await < 2 * MANY as i64);
    // Straight from the rows: a reader would drop a point that is there twice.
    let bytes = a.number("SELECT SUM(length(points)) AS n FROM metric_chunks").await;
    assert_eq!(bytes, 600 * 24);
    let steps: Vec<i64> = b.readings(&run, "m").await[0].iter().map(|p| p.0).collect();
    assert_eq!(steps, (0..600).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failure_in_the_middle_leaves_all_points_and_is_tried_again() {
    let f = Fixture::new().await;
    let run = f.run(0, "r").await;
    for i in 0..100 {
        f.point(&run, "m", awkward(i)).await;
    }
    let before = f.readings(&run, "m").await;
    // The merged chunk is refused after the small ones were taken out.
    let refuse = "CREATE TRIGGER full BEFORE INSERT ON metric_chunks WHEN length(NEW.points) > 24 \
                  BEGIN SELECT RAISE(ABORT, 'no space'); END";
    f.execute(refuse, args![]).await;
    assert!(f.registry.compact().await.is_err());
    assert_eq!(f.number(CHUNKS).await, 100);
    assert_eq!(f.readings(&run, "m").await, before);
    f.execute("DROP TRIGGER full", args![]).await;
    assert_eq!(f.registry.compact().await.unwrap(), 1);
    assert_eq!(f.readings(&run, "m").await, before);
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_taken_over() {
    let f = Fixture::new().await;
    let settings = mainspring_store::DbSettings::sqlite(f.kept.folder.path().join("old.db"));
    let first = mainspring_store::MigrationSet { migrations: &MIGRATIONS.migrations[..1], ..MIGRATIONS };
    let ctx = mainspring_core::Ctx::system();
    Db::open(&settings, &[first], &ctx).await.unwrap().close().await;
    Db::open(&settings, &[MIGRATIONS], &ctx).await.unwrap().close().await;
}

use super::*;
use crate::snapshot::Kind;
use crate::testing::*;
use crate::{JournalSettings, SyncMode};
use mainspring_core::{Tenant, Timestamp};
use std::time::Instant;

/// A stop between putting the files into the store and deleting the segment.
#[tokio::test]
async fn a_crash_between_seal_and_delete_neither_loses_nor_doubles() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let world = open(dir.path()).await;
    (0..20).for_each(|n| world.journal.append(prediction(n, &target("churn", "1"))));
    world.journal.flush().await.unwrap();
    let segment = world.journal.shared().open.lock()[0].path.clone();
    let copy = std::fs::read(&segment).unwrap();
    world.journal.seal().await.unwrap();
    let expected = world.ids().await;
    assert_eq!(expected.len(), 20);
    world.shut_down().await;

    // The segment is back, as if it had never been deleted; with it the tiles of before.
    std::fs::write(&segment, &copy).unwrap();
    std::fs::remove_file(log.join("tiles.bin")).unwrap();
    let world = open(dir.path()).await;
    assert_eq!(world.journal.recovery().rows, 20);
    assert_eq!(world.ids().await, expected, "while the segment is sealed again");
    world.journal.seal().await.unwrap();
    assert_eq!(world.ids().await, expected, "after it was sealed again");
    let count = world.journal.tiles().merged(&Tenant::default(), "churn", Timestamp(0), Timestamp(i64::MAX));
    assert_eq!(count.requests.requests, 20);
    world.shut_down().await;

    // Once more, with tiles that have seen the segment.
    std::fs::write(&segment, &copy).unwrap();
    let world = open(dir.path()).await;
    world.journal.seal().await.unwrap();
    assert_eq!(world.ids().await, expected);
    let count = world.journal.tiles().merged(&Tenant::default(), "churn", Timestamp(0), Timestamp(i64::MAX));
    assert_eq!(count.requests.requests, 20);
    world.shut_down().await;
}

#[tokio::test]
async fn rows_of_two_days_and_two_deployments_go_to_their_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    for n in 0..4_u64 {
        let mut p = prediction(n, &target(if n < 2 { "a" } else { "b" }, "1"));
        p.at = Timestamp(START + (n as i64 % 2) * 86_400_000_000);
        world.journal.append(p);
    }
    world.journal.seal().await.unwrap();
    let files = world.journal.snapshot(&Tenant::default(), Kind::Prediction).await.unwrap().files;
    let mut partitions: Vec<_> = files.iter().map(|f| (f.deployment.clone().unwrap(), f.date.clone())).collect();
    partitions.sort();
    let expected = [("a", "2026-03-01"), ("a", "2026-03-02"), ("b", "2026-03-01"), ("b", "2026-03-02")];
    assert_eq!(partitions, expected.map(|(d, t)| (d.to_owned(), t.to_owned())));
    assert!(files.iter().all(|f| read(&f.path).iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>() == 1));
    world.shut_down().await;
}

/// The store cannot be written: rows stay in the log, are still read, and are sealed once it can.
#[tokio::test]
async fn a_store_that_is_away_delays_sealing_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    world.journal.append(prediction(1, &target("churn", "1")));
    // A file stands where the folder has to be made.
    let blocker = dir.path().join("artifacts").join(store::ROOT);
    std::fs::create_dir_all(blocker.parent().unwrap()).unwrap();
    std::fs::write(&blocker, "in the way").unwrap();
    let refused = world.journal.seal().await;
    assert!(matches!(refused, Err(JournalError::NotSealed { .. })), "{refused:?}");
    assert!(world.journal.stats().seal_errors > 0);
    std::fs::remove_file(&blocker).unwrap();
    assert_eq!(world.ids().await.len(), 1);
    world.journal.seal().await.unwrap();
    assert_eq!(world.journal.stats().segments_open, 0);
    assert_eq!(world.ids().await.len(), 1);
    world.shut_down().await;
}

#[tokio::test]
async fn segments_are_sealed_by_size_and_by_age() {
    for (seal_bytes, seal_after) in [(4096, Duration::from_secs(3600)), (u64::MAX, Duration::from_millis(50))] {
        let dir = tempfile::tempdir().unwrap();
        let world = open_with(JournalSettings { seal_bytes, seal_after, ..settings(dir.path()) }).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut n = 0;
        while world.journal.stats().segments_sealed < 2 {
            world.journal.append(prediction(n, &target("churn", "1")));
            n += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(Instant::now() < deadline, "nothing was sealed: {:?}", world.journal.stats());
        }
        assert_eq!(world.ids().await.len() as u64, n);
        world.shut_down().await;
    }
}

/// A small file system of its own, unmounted at the end. Needs root; without it there is none.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &std::path::Path, kib: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={kib}k");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|s| s.success()).then(|| Self(at.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[tokio::test]
async fn on_a_full_disk_the_writer_lives_counts_and_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("log");
    let Some(_disk) = SmallDisk::mount(&small, 4096) else {
        eprintln!("skipped: mounting a tmpfs needs root");
        return;
    };
    let world = open_with(JournalSettings {
        sync: SyncMode::Always,
        seal_after: Duration::from_secs(3600),
        ..settings(dir.path())
    })
    .await;
    let to = target("churn", "1");
    let filler = small.join("filler");
    let mut acknowledged = Vec::new();
    let first = prediction(0, &to);
    acknowledged.push(first.id.to_string());
    world.journal.append_durable(first).await.unwrap();
    // Fill what is left, then go on.
    let block = vec![0_u8; 4096];
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &block).is_ok() {}
    let mut refused = 0;
    for n in 1..200 {
        let p = prediction(n, &to);
        let text = p.id.to_string();
        match world.journal.append_durable(p).await {
            Ok(()) => acknowledged.push(text),
            Err(JournalError::NotDurable { why }) => {
                assert!(why.contains("space") || why.contains("disk"), "{why}");
                refused += 1;
            }
            Err(e) => panic!("{e}"),
        }
    }
    let stats = world.journal.stats();
    assert!(refused > 0 && stats.write_errors > 0 && stats.degraded, "{refused} refused: {stats:?}");
    let count = world.journal.tiles().merged(&Tenant::default(), "churn", Timestamp(0), Timestamp(i64::MAX));
    assert_eq!(count.requests.requests, 200, "every request is counted while the disk is full");
    // What was acknowledged can be read meanwhile.
    let found = world.ids().await;
    assert!(acknowledged.iter().all(|id| found.iter().any(|(f, _)| f == id)));
    // Room again: the writer catches up by itself.
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    world.journal.append(prediction(200, &to));
    let deadline = Instant::now() + Duration::from_secs(20);
    while world.journal.flush().await.is_err() {
        assert!(Instant::now() < deadline, "{:?}", world.journal.stats());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stats = world.journal.stats();
    assert!(!stats.degraded);
    let rows = world.ids().await;
    assert_eq!(rows.len() as u64 + stats.rows_lost, 201);
    world.shut_down().await;
}

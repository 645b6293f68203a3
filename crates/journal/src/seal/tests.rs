use super::*;
use crate::feedback::{self, Relayed};
use crate::snapshot::Kind;
use crate::testing::*;
use crate::writer::Command;
use crate::{JournalError, JournalSettings, Retention, SendFeedback};
use mainspring_core::event::{About, Feedback, FeedbackValue};
use mainspring_core::{ErrorKind, Failure, Tenant, Timestamp};
use mainspring_store::OutboxEvent;
use mainspring_testkit::{PATIENCE, TinyDisk};
use std::time::Instant;

/// A stop between putting the files into the store and deleting the segment.
#[tokio::test]
async fn a_crash_between_seal_and_delete_neither_loses_nor_doubles() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let world = open(dir.path()).await;
    (0..20).for_each(|n| world.journal.append(prediction(n, &target("churn", "1"))));
    world.journal.flush().await.unwrap();
    let segment = world.journal.shared().segments.lock()[0].path.clone();
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

/// A start with an old segment: queries come while it is being sealed, at every moment of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_row_is_seen_once_at_every_moment_of_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    (0..20).for_each(|n| world.journal.append(prediction(n, &target("churn", "1"))));
    let expected = world.ids().await;
    let segment = world.journal.shared().segments.lock()[0].path.clone();
    let copy = std::fs::read(&segment).unwrap();
    world.shut_down().await;
    for round in 0..20 {
        std::fs::write(&segment, &copy).unwrap();
        std::fs::remove_dir_all(dir.path().join("artifacts")).unwrap();
        let world = open(dir.path()).await;
        let mut looks = 0;
        while looks < 3 || world.journal.stats().segments_open > 0 {
            assert_eq!(world.ids().await, expected, "round {round}, look {looks}");
            looks += 1;
        }
        world.shut_down().await;
    }
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
        let deadline = Instant::now() + PATIENCE;
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

/// Log, database and store on a disk that fills up and gets room again.
#[tokio::test]
async fn on_a_full_disk_answers_go_on_feedback_is_refused_and_what_is_lost_is_on_record() {
    let disk = TinyDisk::mount(48 << 10);
    let world = open_with(JournalSettings { max_bytes: 1 << 20, ..settings(disk.path()) }).await;
    let (to, auth) = (target("churn", "1"), mainspring_testkit::may(SendFeedback));
    let label = |event: u64| Feedback {
        event: id(1_000_000 + event),
        at: Timestamp(START),
        tenant: Tenant::default(),
        about: About::Prediction(id(0)),
        row: 0,
        name: "label".into(),
        value: FeedbackValue::Bool(true),
    };
    world.journal.append_durable(prediction(0, &to)).await.unwrap();
    world.journal.feedback(&auth, vec![label(0)]).await.unwrap();
    world.journal.flush().await.unwrap();

    let filler = disk.fill(0);
    // What is left of the log's last block may take a row or two.
    let (mut sent, mut counted) = (1, 0);
    let refused = loop {
        let done = world.journal.append_durable(prediction(sent, &to)).await;
        sent += 1;
        if done.is_err() {
            break done;
        }
        assert!(sent < 10, "the disk is not full");
    };
    assert!(matches!(&refused, Err(JournalError::NotDurable { why }) if why.contains("space")), "{refused:?}");
    // More than memory may hold, at a rate that the queue can take.
    let deadline = Instant::now() + PATIENCE;
    while world.journal.stats().rows_lost == 0 {
        let tokens = Some(mainspring_core::Tokens { input: 2, output: 0 });
        for n in sent..sent + 1000 {
            world.journal.append(mainspring_core::Prediction { tokens, ..prediction(n, &to) });
        }
        (sent, counted) = (sent + 1000, counted + 1000);
        assert!(matches!(world.journal.flush().await, Err(JournalError::NotDurable { .. })));
        assert!(Instant::now() < deadline, "{:?}", world.journal.stats());
    }
    assert!(world.journal.stats().degraded);
    let requests =
        || world.journal.tiles().merged(&Tenant::default(), "churn", Timestamp(0), Timestamp(i64::MAX)).requests;
    assert_eq!(requests().requests, sent, "every request is counted while the disk is full");
    // The database's log may have room in what it takes on the disk already.
    let mut event = 1;
    let refused = loop {
        match world.journal.feedback(&auth, vec![label(event)]).await {
            Ok(_) => event += 1,
            Err(refused) => break refused,
        }
        assert!(event < 100_000, "the disk is not full");
    };
    assert_eq!(Failure::kind(&refused), ErrorKind::Unavailable, "{refused}");
    assert!(refused.to_string().contains("full"), "{refused}");
    // Rows that somebody waits for are refused, which is no loss: feedback is still in the database.
    let lost = world.journal.stats().rows_lost;
    let one = Relayed { tenant: Tenant::default(), feedback: label(0), prediction: Some(id(0)) };
    let body = serde_json::to_value(&one).unwrap();
    let relayed = OutboxEvent { id: id(7), topic: String::new(), body, at: Timestamp(START) };
    let (header, rows) = feedback::rows::streams(&[relayed]).unwrap().remove(0);
    let refused = world.journal.ask(|done| Command::Rows(header, rows, done)).await;
    assert!(matches!(refused, Err(JournalError::NotDurable { .. })), "{refused:?}");
    assert_eq!(world.journal.stats().rows_lost, lost);
    // What was acknowledged before can be read meanwhile.
    assert!(world.ids().await.contains(&(id(0).to_string(), 0)));

    std::fs::remove_file(&filler).unwrap();
    while world.journal.flush().await.is_err() {
        assert!(Instant::now() < deadline, "{:?}", world.journal.stats());
    }
    world.journal.feedback(&auth, vec![label(event)]).await.unwrap();
    world.journal.append_durable(prediction(sent, &to)).await.unwrap();
    let stats = world.journal.stats();
    assert!(!stats.degraded && stats.events_dropped == 0, "{stats:?}");
    assert_eq!(world.ids().await.len() as u64 + stats.rows_lost, sent + 1);
    let gaps = world.journal.snapshot(&Tenant::default(), Kind::Gap).await.unwrap().live;
    let gaps: Vec<_> = gaps.into_iter().map(|r| r.batch).collect();
    assert_eq!(sum(&gaps, "events") as u64, stats.rows_lost);
    assert_eq!((sum(&gaps, "tokens_in") + sum_of(&world, "tokens_in").await) as u64, 2 * counted);
    assert_eq!(texts(&gaps, "reason")[0].as_deref(), Some("the disk takes no writes"));
    world.journal.seal().await.unwrap();
    assert_eq!(world.ids().await.len() as u64 + stats.rows_lost, sent + 1);
    world.shut_down().await;
}

/// Many times the disk's size passes through: what is too much goes in time, by itself.
#[tokio::test]
async fn retention_keeps_a_fast_stream_from_filling_the_disk() {
    let disk = TinyDisk::mount(6 << 10);
    let world = open_with(JournalSettings {
        seal_bytes: 256 << 10,
        retention: Retention { days: None, bytes: Some(512 << 10) },
        ..settings(disk.path())
    })
    .await;
    let to = target("churn", "1");
    // Bytes that no compression makes smaller.
    let mut noise = 1_u64;
    let mut row = |n: u64| {
        let values = (0..256).map(|_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f32::from_bits((noise >> 41) as u32 | 0x3f00_0000)
        });
        let x = tensor("x", mainspring_core::DType::Fp32, &[1, 256], values.collect());
        mainspring_core::Prediction { inputs: Arc::new([x]), ..prediction(n, &to) }
    };
    let (mut n, deadline) = (0, Instant::now() + PATIENCE);
    while world.journal.stats().bytes < 4 * (6 << 20) {
        (n..n + 100).for_each(|n| world.journal.append(row(n)));
        n += 100;
        world.journal.flush().await.unwrap();
        // As fast as sealing goes: a log that outruns it is another matter.
        while world.journal.stats().segments_open > 2 {
            assert!(Instant::now() < deadline, "{:?}", world.journal.stats());
            tokio::task::yield_now().await;
        }
        assert!(Instant::now() < deadline, "{:?}", world.journal.stats());
    }
    world.journal.seal().await.unwrap();
    world.journal.clean_up().await.unwrap();
    let stats = world.journal.stats();
    assert_eq!((stats.write_errors, stats.seal_errors, stats.rows), (0, 0, n), "{stats:?}");
    let files = world.journal.snapshot(&Tenant::default(), Kind::Prediction).await.unwrap().files;
    assert!(files.iter().map(|f| f.bytes).sum::<u64>() <= 512 << 10);
    let last = id(n - 1).to_string();
    assert!(world.ids().await.iter().any(|(id, _)| *id == last), "the newest stay");
    world.shut_down().await;
}

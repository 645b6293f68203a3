use super::*;
use crate::snapshot::Kind;
use crate::testing::*;
use mainspring_core::{Outcome, Prediction, Tenant, Timestamp, Tokens};
use parking_lot::Mutex;
use std::time::Duration;

const CHILD: &str = "MAINSPRING_JOURNAL_TEST_CHILD";
const HASTY: &str = "MAINSPRING_JOURNAL_HASTY_CHILD";

#[tokio::test]
async fn what_is_appended_can_be_read_at_once_and_after_sealing() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let to = target("churn", "3");
    (0..100).for_each(|n| world.journal.append(prediction(n, &to)));
    assert_eq!(world.ids().await.len(), 100);
    world.journal.seal().await.unwrap();
    let expected: Vec<_> = (0..100).map(|n| (id(n).to_string(), 0)).collect();
    assert_eq!(world.ids().await, expected);
    let snapshot = world.journal.snapshot(&Tenant::default(), Kind::Prediction).await.unwrap();
    assert!(snapshot.live.is_empty());
    assert_eq!(snapshot.files.len(), 1);
    let path = snapshot.files[0].path.to_str().unwrap();
    assert!(path.contains("tenant=default/kind=prediction/deployment=churn/date=2026-03-01/"), "{path}");
    let stats = world.journal.stats();
    assert_eq!((stats.appended, stats.rows, stats.segments_sealed, stats.events_dropped), (100, 100, 1, 0));
    world.shut_down().await;
}

#[tokio::test]
async fn another_tenant_sees_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    world.journal.append(prediction(1, &target("churn", "1")));
    world.journal.flush().await.unwrap();
    let other = Tenant::new("other").unwrap();
    assert!(world.journal.snapshot(&other, Kind::Prediction).await.unwrap().live.is_empty());
    world.journal.seal().await.unwrap();
    assert!(world.journal.snapshot(&other, Kind::Prediction).await.unwrap().files.is_empty());
    world.shut_down().await;
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let ctx = Ctx::system();
    let again = Journal::open(
        settings(dir.path()),
        world.journal.shared().artifacts.clone(),
        world.journal.shared().db.clone(),
        ctx,
    )
    .await;
    assert!(matches!(again, Err(JournalError::InUse { .. })));
    world.shut_down().await;
}

#[tokio::test]
async fn shutdown_seals_what_was_appended() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let to = target("churn", "1");
    (0..10).for_each(|n| world.journal.append(prediction(n, &to)));
    assert!(world.ctx.tasks.shutdown(mainspring_testkit::PATIENCE).await);
    drop(world);
    let logs = std::fs::read_dir(dir.path().join("log")).unwrap();
    let left: Vec<_> = logs.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "log")).collect();
    assert!(left.is_empty(), "{left:?}");
    let again = open(dir.path()).await;
    assert_eq!(again.ids().await.len(), 10);
    assert_eq!(again.journal.recovery().segments, 0);
    assert!(again.journal.recovery().tiles_restored);
    again.shut_down().await;
}

#[tokio::test]
async fn a_writer_that_goes_quiet_after_much_work_says_so_once() {
    static QUIET: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let quiet = || QUIET.lock().push(std::thread::current().name().unwrap_or_default().to_owned());
    let dir = tempfile::tempdir().unwrap();
    let world = open_with(JournalSettings { quiet, ..settings(dir.path()) }).await;
    let to = target("churn", "1");
    (0..100).for_each(|n| world.journal.append(prediction(n, &to)));
    world.journal.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(QUIET.lock().is_empty(), "a hundred rows leave nothing worth a look");
    (100..1_800).for_each(|n| world.journal.append(prediction(n, &to)));
    let told = async {
        while QUIET.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(mainspring_testkit::PATIENCE, told).await.expect("it is called");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(*QUIET.lock(), ["journal-writer"], "once, by the thread that worked");
    world.shut_down().await;
}

#[tokio::test]
async fn without_memory_payloads_go_first_and_every_request_stays_counted() {
    let dir = tempfile::tempdir().unwrap();
    let shards = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 16);
    let one_payload = 16;
    let world = open_with(JournalSettings {
        max_bytes: one_payload * 10 * shards,
        max_events: 20 * shards,
        emit_every: Duration::from_secs(3600),
        ..settings(dir.path())
    })
    .await;
    let to = target("churn", "1");
    // One thread fills one shard far faster than the writer empties it.
    let mut failed = prediction(0, &to);
    failed.outcome = Outcome::Failed { kind: mainspring_core::ErrorKind::Overloaded, message: "busy".into() };
    let mut shadow = prediction(0, &to);
    shadow.assignment.shadow_of = Some(id(1));
    let mut sent = 0;
    while world.journal.stats().events_dropped < 50 {
        for n in 0..500 {
            world.journal.append(match n % 10 {
                0 | 5 => failed.clone(),
                3 => shadow.clone(),
                _ => Prediction { tokens: Some(Tokens { input: 3, output: 1 }), ..prediction(sent + n, &to) },
            });
        }
        sent += 500;
        assert!(sent < 5_000_000, "the writer kept up");
    }
    world.journal.flush().await.unwrap();
    let stats = world.journal.stats();
    assert!(stats.payloads_dropped > 0 && stats.events_dropped > 0, "{stats:?}");
    let tile = |w: &World| w.journal.tiles().merged(&Tenant::default(), "churn", Timestamp(0), Timestamp(i64::MAX));
    let seen = tile(&world).requests;
    assert_eq!((seen.requests, seen.errors()), (sent / 10 * 9, sent / 5), "a shadow is no request");
    assert!(seen.unstored < stats.events_dropped, "some of those were in a shadow");
    assert_eq!(world.ids().await.len() as u64 + stats.events_dropped, sent);
    // The gap is on record, and a restart without a tile snapshot still counts everything.
    let gaps = world.journal.snapshot(&Tenant::default(), Kind::Gap).await.unwrap().live;
    let gaps: Vec<_> = gaps.into_iter().map(|r| r.batch).collect();
    assert_eq!(sum(&gaps, "events") as u64, stats.events_dropped);
    for (column, each) in [("tokens_in", 3), ("tokens_out", 1)] {
        let all = sum(&gaps, column) + sum_of(&world, column).await;
        assert_eq!(all as u64, sent / 10 * 7 * each, "each token is counted once: {column}");
    }
    assert!(sum(&gaps, "payloads") as u64 >= stats.payloads_dropped);
    let fresh = Tiles::default();
    recover(&dir.path().join("log"), &mut Recovery::default(), |_, rows| fresh.absorb(&rows.header, &rows.batch, true))
        .unwrap();
    let again = fresh.merged(&Tenant::default(), "churn", Timestamp(0), Timestamp(i64::MAX)).requests;
    assert_eq!((again.requests, again.errors(), again.unstored), (seen.requests, seen.errors(), seen.unstored));
    world.shut_down().await;
}

#[tokio::test]
async fn a_durable_event_does_not_wait_for_its_batch() {
    let dir = tempfile::tempdir().unwrap();
    let slow = JournalSettings { emit_every: Duration::from_secs(3600), ..settings(dir.path()) };
    let world = open_with(slow).await;
    // Taken when it is handed over, not when somebody waits for it.
    drop(world.journal.append_durable(prediction(1, &target("churn", "1"))));
    world.journal.append_durable(prediction(2, &target("churn", "1"))).await.unwrap();
    let stats = world.journal.stats();
    assert!(stats.rows == 2 && stats.syncs >= 1, "{stats:?}");
    world.shut_down().await;
}

#[tokio::test]
async fn after_the_end_events_are_refused_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    world.journal.close().await;
    let refused = world.journal.append_durable(prediction(1, &target("churn", "1"))).await;
    assert!(matches!(refused, Err(JournalError::Closed)), "{refused:?}");
    assert_eq!(world.journal.stats().events_dropped, 1);
    assert!(matches!(world.journal.flush().await, Err(JournalError::Closed)));
    world.shut_down().await;
}

#[tokio::test]
async fn subscribers_hear_rows_and_a_slow_one_is_told_what_it_missed() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let mut live = world.journal.subscribe();
    let to = target("churn", "1");
    world.journal.append(prediction(7, &to));
    let batch = live.recv().await.unwrap();
    assert_eq!(row_ids(&batch.slices[0].batch), [(id(7).to_string(), 0)]);
    assert_eq!(batch.slices[0].header.deployment.as_deref(), Some("churn"));
    for n in 0..(LIVE_CAPACITY as u64 + 10) {
        world.journal.append(prediction(n, &to));
        world.journal.flush().await.unwrap();
    }
    assert!(matches!(live.recv().await, Err(broadcast::error::RecvError::Lagged(missed)) if missed >= 10));
    world.shut_down().await;
}

/// Not a test of its own: the process that the next test kills.
#[tokio::test]
async fn child_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let world = open(std::path::Path::new(&dir)).await;
    let to = target("churn", "1");
    let mut acknowledged = std::fs::File::create(std::path::Path::new(&dir).join("acknowledged")).unwrap();
    for n in 0.. {
        use std::io::Write;
        let p = prediction(n, &to);
        let text = p.id.to_string();
        world.journal.append_durable(p).await.unwrap();
        // One write call a line, so that the parent sees whole lines.
        acknowledged.write_all(format!("{text}\n").as_bytes()).unwrap();
        if n % 500 == 499 {
            world.journal.seal().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let me = std::env::current_exe().unwrap();
    let mut last = 0;
    for round in 0..4_u64 {
        std::fs::remove_file(dir.path().join("acknowledged")).ok();
        let mut child = std::process::Command::new(&me)
            .args(["--exact", "journal::tests::child_appends_until_it_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let acknowledged = || std::fs::read_to_string(dir.path().join("acknowledged")).unwrap_or_default();
        // Killed at another place each time: between fsyncs, and around the sealing of 500 rows.
        let enough = [50, 497, 503, 1100][round as usize];
        let deadline = std::time::Instant::now() + mainspring_testkit::PATIENCE;
        while acknowledged().lines().count() < enough {
            assert!(std::time::Instant::now() < deadline, "the child stopped");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let world = open(dir.path()).await;
        let rows = world.ids().await;
        let mut unique = rows.clone();
        unique.dedup();
        let found: std::collections::HashSet<String> = unique.into_iter().map(|(id, _)| id).collect();
        for line in acknowledged().lines() {
            assert!(found.contains(line), "round {round}: {line} was acknowledged and is gone");
        }
        // Each process starts its ids anew; a row is there as often as it was appended, never more.
        let most = rows.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap();
        assert!(most <= round as usize + 1, "round {round}: a row stands {most} times");
        let tile = world.journal.tiles().merged(&Tenant::default(), "churn", Timestamp(0), Timestamp(i64::MAX));
        assert_eq!(tile.requests.requests, rows.len() as u64, "round {round}: tiles and rows agree");
        assert!(rows.len() >= last + enough, "round {round}: {} rows after {last}", rows.len());
        last = rows.len();
        world.shut_down().await;
    }
}

/// Not a test of its own either: it appends as fast as it can, waits for nothing, and says how far it is.
#[tokio::test]
async fn child_appends_and_waits_for_nothing() {
    use std::os::unix::fs::FileExt;
    let Some(dir) = std::env::var_os(HASTY) else { return };
    let world = open(std::path::Path::new(&dir)).await;
    let to = target("churn", "1");
    let done = std::fs::File::create(std::path::Path::new(&dir).join("done")).unwrap();
    for n in 0_u64.. {
        world.journal.append(prediction(n, &to));
        done.write_all_at(&(n + 1).to_le_bytes(), 0).unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_counts_what_it_lost() {
    let dir = tempfile::tempdir().unwrap();
    if mainspring_process::tally::Tally::open(&dir.path().join("try")).unwrap().is_none() {
        eprintln!("skipped: the file system of {} is none on which it is counted", dir.path().display());
        return;
    }
    let me = std::env::current_exe().unwrap();
    let (mut before, mut lost) = (0, 0);
    for round in 0..3_u64 {
        let world = open(dir.path()).await;
        assert_eq!(world.journal.recovery().lost, (round > 0).then_some(0), "who ends by itself loses nothing");
        world.shut_down().await;
        let mut child = std::process::Command::new(&me)
            .args(["--exact", "journal::tests::child_appends_and_waits_for_nothing", "--nocapture"])
            .env(HASTY, dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let done = || {
            let bytes = std::fs::read(dir.path().join("done")).unwrap_or_default();
            bytes.try_into().map_or(0, u64::from_le_bytes)
        };
        let deadline = std::time::Instant::now() + mainspring_testkit::PATIENCE;
        while done() < 2_000 * (round + 1) {
            assert!(std::time::Instant::now() < deadline, "the child stopped");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let world = open(dir.path()).await;
        let gaps = world.journal.snapshot(&Tenant::default(), Kind::Gap).await.unwrap();
        let live: Vec<_> = gaps.live.into_iter().map(|r| r.batch).collect();
        let counted = sum(&live, "events") + gaps.files.iter().map(|f| sum(&read(&f.path), "events")).sum::<i64>();
        let there = world.ids().await.len() as u64 + counted as u64;
        let this = world.journal.recovery().lost.unwrap();
        // Killed between an event and the word about it, it had appended one more.
        let all = there - before + this;
        assert!(
            (done()..=done() + 1).contains(&all),
            "round {round}: {there} - {before} and {this} lost of {}",
            done()
        );
        (before, lost) = (there, lost + this);
        std::fs::remove_file(dir.path().join("done")).unwrap();
        world.shut_down().await;
    }
    assert!(lost > 0, "nothing was lost, so nothing was shown");
}

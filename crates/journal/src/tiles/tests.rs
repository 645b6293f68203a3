use super::*;
use crate::testing::*;
use mainspring_core::{DType, Outcome};
use std::time::Duration;

fn tenant() -> Tenant {
    Tenant::default()
}

#[tokio::test]
async fn a_window_says_what_was_sent() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let (one, two) = (target("churn", "1"), target("churn", "2"));
    for n in 0..300 {
        let mut p = prediction(n, if n < 100 { &one } else { &two });
        p.at = Timestamp(START + (n as i64 % 3) * MINUTE);
        p.timing.total_ns = (n + 1) * 1000;
        if n % 10 == 9 {
            p.outcome = Outcome::Failed { kind: ErrorKind::DeadlineExceeded, message: "late".into() };
        }
        world.journal.append(p);
    }
    world.journal.flush().await.unwrap();
    let tiles = world.journal.tiles();
    let windows = tiles.windows(&tenant(), "churn", Timestamp(START), Timestamp(START + 3 * MINUTE));
    assert_eq!(
        windows.iter().map(|w| (w.version.as_str(), w.tile.requests.requests)).collect::<Vec<_>>(),
        [("1", 100), ("2", 200)]
    );
    assert_eq!(windows[1].tile.requests.failed, [(ErrorKind::DeadlineExceeded, 20)]);
    let first = tiles.merged(&tenant(), "churn", Timestamp(START), Timestamp(START + MINUTE));
    assert_eq!(first.requests.requests, 100);
    let whole = tiles.merged(&tenant(), "churn", Timestamp(0), Timestamp(i64::MAX));
    let total = whole.requests.total.quantiles.view();
    assert!((total.quantile(0.5).unwrap() - 150.0).abs() <= 300.0 * 0.03);
    assert_eq!(total.quantile(1.0), Some(300.0));
    let x1 = whole.columns["in.x[1]"].numeric.as_ref().unwrap();
    assert_eq!((x1.count(), x1.moments.mean(), x1.moments.variance()), (270, Some(-1.5), Some(0.0)));
    let y = &whole.columns["out.y"];
    assert_eq!(y.text.as_ref().unwrap().frequent.top(1)[0].value, "0", "classes that come out are counted");
    assert_eq!(y.numeric.as_ref().unwrap().count(), 270);
    world.shut_down().await;
}

#[tokio::test]
async fn a_shadow_is_journaled_and_in_no_tile() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let world = open(dir.path()).await;
        if round == 0 {
            for n in 0..40 {
                let mut p = prediction(n, &target("churn", "1"));
                p.assignment.shadow_of = (n % 4 == 0).then(|| id(1000 + n));
                world.journal.append(p);
            }
            let mut alone = prediction(40, &target("churn", "2"));
            alone.assignment.shadow_of = Some(id(1));
            world.journal.append(alone);
        }
        world.journal.flush().await.unwrap();
        let windows = world.journal.tiles().windows(&tenant(), "churn", Timestamp(0), Timestamp(i64::MAX));
        let counts: Vec<_> = windows.iter().map(|w| (w.version.as_str(), w.tile.requests.requests)).collect();
        assert_eq!(counts, [("1", 30)], "round {round}: as it happens, and rebuilt from the log");
        assert_eq!(windows[0].tile.columns["out.y"].numeric.as_ref().unwrap().count(), 30);
        assert_eq!(world.ids().await.len(), 41);
        world.shut_down().await;
    }
}

#[tokio::test]
async fn tiles_survive_a_restart_and_count_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = 0;
    for round in 0..3 {
        let world = open(dir.path()).await;
        let count =
            || world.journal.tiles().merged(&tenant(), "churn", Timestamp(0), Timestamp(i64::MAX)).requests.requests;
        assert_eq!(count(), expected, "round {round}");
        (0..50).for_each(|n| world.journal.append(prediction(n, &target("churn", "1"))));
        world.journal.seal().await.unwrap();
        (0..7).for_each(|n| world.journal.append(prediction(n, &target("churn", "1"))));
        world.journal.flush().await.unwrap();
        expected += 57;
        assert_eq!(count(), expected);
        world.shut_down().await;
    }
}

#[tokio::test]
async fn a_damaged_snapshot_is_reported_and_the_log_is_counted_again() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    world.journal.append(prediction(1, &target("churn", "1")));
    world.journal.seal().await.unwrap();
    world.shut_down().await;
    std::fs::write(store::path(&dir.path().join("log")), b"not tiles").unwrap();
    let world = open(dir.path()).await;
    assert!(!world.journal.recovery().tiles_restored);
    world.journal.append(prediction(2, &target("churn", "1")));
    assert_eq!(world.ids().await.len(), 2);
    world.shut_down().await;
}

#[test]
fn minutes_roll_into_hours_and_days_and_the_window_stays_whole() {
    let tiles = Tiles::default();
    let key = SeriesKey {
        tenant: "default".into(),
        deployment: "d".into(),
        variant: "v".into(),
        model: "m".into(),
        version: "1".into(),
    };
    let start = START - START.rem_euclid(DAY);
    // A tile every ten minutes for twenty days.
    let count = 20 * 24 * 6;
    for i in 0..count {
        let mut tile = Tile::default();
        tile.requests.record(None, 1, false, &Timing { total_ns: i, ..Timing::default() });
        tiles.0.lock().entry(key.clone()).or_default().minutes.insert(start + i as i64 * 10 * MINUTE, tile);
    }
    let now = start + count as i64 * 10 * MINUTE;
    tiles.roll(Timestamp(now));
    {
        let all = tiles.0.lock();
        let series = &all[&key];
        assert!(series.minutes.len() <= KEEP_MINUTES as usize / 10 + 1, "{}", series.minutes.len());
        assert!(series.hours.len() <= KEEP_HOURS as usize + 24, "{}", series.hours.len());
        assert!(series.days.len() >= 16, "{}", series.days.len());
    }
    let all = tiles.merged(&tenant(), "d", Timestamp(0), Timestamp(i64::MAX)).requests;
    assert_eq!((all.requests, all.total.quantiles.count()), (count, count));
    tiles.roll(Timestamp(now + 200 * DAY));
    assert!(tiles.deployments(&tenant()).is_empty(), "old days go");
}

#[test]
fn past_their_memory_tiles_roll_up_early_and_the_counts_stay() {
    let tiles = Tiles::default();
    let now = START - START.rem_euclid(DAY) + 12 * HOUR;
    for version in 0..10 {
        let key = SeriesKey {
            tenant: "default".into(),
            deployment: "d".into(),
            variant: "v".into(),
            model: "m".into(),
            version: version.to_string(),
        };
        let mut all = tiles.0.lock();
        let series = all.entry(key).or_default();
        for minute in 0..60 {
            let mut tile = Tile::default();
            tile.requests.record(None, 1, false, &Timing::default());
            tile.columns.entry("in.x".into()).or_default().numeric.get_or_insert_default().extend(&mut vec![0.5; 500]);
            series.minutes.insert(now - minute * MINUTE, tile);
        }
    }
    let held = || tiles.0.lock().values().map(Series::byte_len).sum::<usize>();
    tiles.roll_within(Timestamp(now), usize::MAX);
    let most = held() / 4;
    tiles.roll_within(Timestamp(now), most);
    assert!(held() <= most, "{} bytes of {most}", held());
    let whole = tiles.merged(&tenant(), "d", Timestamp(0), Timestamp(i64::MAX));
    assert_eq!((whole.requests.requests, whole.columns["in.x"].numeric.as_ref().unwrap().count()), (600, 300_000));
}

#[test]
fn the_live_window_has_every_minute_and_the_rates_of_each() {
    let tiles = Tiles::default();
    let mut overflow = crate::queue::Overflow::new();
    for minute in [0, 2] {
        let mut requests = RequestTile::default();
        for n in 0..120_u64 {
            let failed = (n % 4 == 0).then_some(ErrorKind::Internal);
            requests.record(failed, 1, false, &Timing { total_ns: 1_000_000, ..Timing::default() });
        }
        let at = Timestamp(START + minute * MINUTE);
        let uncounted =
            crate::queue::Uncounted { since: at, until: at, requests, shadows: crate::queue::Shadows::default() };
        overflow.insert((tenant(), target("d", "1")), uncounted);
        tiles.absorb_overflow(&overflow);
        overflow.clear();
    }
    // Thirty seconds into the third minute.
    let now = Timestamp(START + 2 * MINUTE + 30_000_000);
    let live = tiles.live(&tenant(), "d", Duration::from_secs(180), now);
    assert_eq!(live.minutes.iter().map(|m| m.requests).collect::<Vec<_>>(), [120, 0, 120]);
    assert_eq!(live.minutes.iter().map(|m| m.requests_per_second).collect::<Vec<_>>(), [2.0, 0.0, 4.0]);
    assert_eq!((live.whole.requests, live.whole.errors, live.whole.error_rate), (240, 60, 0.25));
    assert_eq!(live.whole.total.unwrap().p99, 1000.0);
    assert!(live.minutes[1].total.is_none());
    assert_eq!(live.versions.len(), 1);
}

#[tokio::test]
async fn missing_values_are_those_of_rows_whose_payload_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let to = target("churn", "1");
    let mut p = prediction(0, &to);
    p.inputs = Arc::new([tensor("f", DType::Fp64, &[1], vec![f64::NAN])]);
    world.journal.append(p);
    let mut unsampled = prediction(1, &to);
    (unsampled.inputs, unsampled.outputs) = (Arc::default(), Arc::default());
    world.journal.append(unsampled);
    world.journal.flush().await.unwrap();
    let whole = world.journal.tiles().merged(&tenant(), "churn", Timestamp(0), Timestamp(i64::MAX));
    let f = whole.columns["in.f"].numeric.as_ref().unwrap();
    assert_eq!((whole.requests.requests, f.count(), f.nan, f.missing), (2, 1, 1, 0));
    world.shut_down().await;
}

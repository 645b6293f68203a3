use super::series::Held;
use super::*;
use crate::testing::*;
use mainspring_core::{DType, Outcome, Timestamp};
use mainspring_stats::NumericProfile;
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
    // The last one failed, and a failure is neither quick nor slow.
    assert_eq!((total.quantile(1.0), whole.requests.total.quantiles.count()), (Some(299.0), 270));
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
        tiles
            .0
            .series
            .lock()
            .entry(key.clone())
            .or_default()
            .minutes
            .insert(start + i as i64 * 10 * MINUTE, Held { tile: Arc::new(tile), parked: None });
    }
    let now = start + count as i64 * 10 * MINUTE;
    tiles.roll(Timestamp(now));
    let others = |version| tiles.last_of_others(&tenant(), "d", ("m", version)).map(Timestamp::micros);
    assert_eq!((others("1"), others("2")), (None, Some(now - 9 * MINUTE)), "the end of the other's last minute");
    {
        // Later, but without an answer; earlier, with one; and as another variant.
        let answered = |variant: &str, version: &str, at: i64, rows| {
            let mut tile = Tile::default();
            tile.requests.record((rows == 0).then_some(ErrorKind::Internal), rows, false, &Timing::default());
            let key = SeriesKey { variant: variant.into(), version: version.into(), ..key.clone() };
            let held = Held { tile: Arc::new(tile), parked: None };
            tiles.0.series.lock().entry(key).or_default().minutes.insert(at, held);
        };
        answered("v", "2", now + MINUTE, 0);
        answered("v", "3", now - 60 * MINUTE, 1);
        answered("w", "4", now + MINUTE, 1);
        let last = |variant| tiles.answered_last(&tenant(), "d", variant).map(|(model, version)| model + &version);
        assert_eq!((last("v"), last("w"), last("x")), (Some("m1".into()), Some("m4".into()), None));
        tiles.0.series.lock().retain(|k, _| *k == key);
    }
    {
        let all = tiles.0.series.lock();
        let series = &all[&key];
        // An hour rolls up as a whole.
        assert!(series.minutes.len() <= (KEEP_MINUTES as usize + 60) / 10, "{}", series.minutes.len());
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
        let mut all = tiles.0.series.lock();
        let series = all.entry(key).or_default();
        for minute in 0..60 {
            let mut tile = Tile::default();
            tile.requests.record(None, 1, false, &Timing::default());
            tile.columns.entry("in.x".into()).or_default().numeric.get_or_insert_default().extend(&mut vec![0.5; 500]);
            series.minutes.insert(now - minute * MINUTE, Held { tile: Arc::new(tile), parked: None });
        }
    }
    let held = || tiles.0.series.lock().values().map(Series::byte_len).sum::<usize>();
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
        let uncounted = crate::queue::Uncounted {
            since: at,
            until: at,
            requests,
            taken: crate::queue::Taken::default(),
            shadows: crate::queue::Shadows::default(),
        };
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
    let minutes = |since| tiles.minutes(&tenant(), "d", Timestamp(since));
    let counts: Vec<_> = minutes(START + 1).iter().map(|(at, t)| (at.micros(), t.requests, t.errors())).collect();
    assert_eq!(counts, [(START, 120, 30), (START + 2 * MINUTE, 120, 30)]);
    assert_eq!(minutes(START + MINUTE).len(), 1);
    assert!(tiles.minutes(&tenant(), "other", Timestamp(0)).is_empty());
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

fn key(version: usize) -> SeriesKey {
    SeriesKey {
        tenant: "default".into(),
        deployment: "d".into(),
        variant: "v".into(),
        model: "m".into(),
        version: version.to_string(),
    }
}

/// A tile of `columns` columns that have seen enough to be as large as they become.
fn full(columns: usize, rows: usize, seed: usize) -> Tile {
    let mut tile = Tile::default();
    tile.requests.record(None, 1, false, &Timing::default());
    for column in 0..columns {
        let mut values: Vec<f64> =
            (0..rows).map(|i| ((i * 7_919 + column * 31 + seed) as f64 * 0.618_033_988_749_894_9).fract()).collect();
        let numeric = tile.columns.entry(format!("in.c{column}")).or_default().numeric.get_or_insert_default();
        numeric.extend(&mut values);
    }
    tile.shrink();
    tile
}

fn put(tiles: &Tiles, version: usize, minute: i64, tile: Tile) {
    let mut all = tiles.0.series.lock();
    all.entry(key(version)).or_default().minutes.insert(minute, Held { tile: Arc::new(tile), parked: None });
}

#[test]
fn columns_in_files_are_in_windows_as_if_they_were_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (parked, plain) = (Tiles::in_folder(folder.path()), Tiles::default());
    let now = START - START.rem_euclid(DAY) + 12 * HOUR;
    for minute in 0..300 {
        put(&parked, 0, now - minute * MINUTE, full(3, 300, minute as usize));
        put(&plain, 0, now - minute * MINUTE, full(3, 300, minute as usize));
    }
    parked.roll_within(Timestamp(now), 0);
    plain.roll_within(Timestamp(now), usize::MAX);
    let held: usize = parked.0.series.lock().values().map(|s| s.parkable().count()).sum();
    assert_eq!(held, 0, "all but the running minutes is on disk");
    let window = |tiles: &Tiles| tiles.merged(&tenant(), "d", Timestamp(0), Timestamp(i64::MAX));
    let (a, b) = (window(&parked), window(&plain));
    assert_eq!((a.requests.requests, a.columns.len()), (300, 3));
    let (a, b) = (a.columns["in.c1"].numeric.as_ref().unwrap(), b.columns["in.c1"].numeric.as_ref().unwrap());
    assert_eq!((a.count(), a.quantiles.count()), (90_000, 90_000));
    assert!((a.moments.mean().unwrap() - b.moments.mean().unwrap()).abs() < 1e-12);
    assert!((a.quantiles.quantile(0.5).unwrap() - 0.5).abs() < 2.0 * a.quantiles.rank_error());
    // Rows that come late for a minute in a file are added to it.
    put(&parked, 1, now - MINUTE, Tile::default());
    {
        let mut all = parked.0.series.lock();
        let held = all.get_mut(&key(0)).unwrap().minutes.get_mut(&(now - 60 * MINUTE)).unwrap();
        Arc::make_mut(&mut held.tile).merge(&full(1, 10, 0));
    }
    parked.roll_within(Timestamp(now), 0);
    let late = window(&parked).columns["in.c0"].numeric.as_ref().unwrap().count();
    assert_eq!(late, 90_010);
}

/// More columns than are read at a time, and tiles that do not all have the same.
#[test]
fn a_window_of_many_columns_is_read_in_parts_and_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (parked, plain) = (Tiles::in_folder(folder.path()), Tiles::default());
    let now = START - START.rem_euclid(DAY) + 12 * HOUR;
    for minute in 0..20 {
        let columns = if minute % 2 == 0 { 100 } else { 71 };
        put(&parked, 0, now - minute * MINUTE, full(columns, 40, minute as usize));
        put(&plain, 0, now - minute * MINUTE, full(columns, 40, minute as usize));
    }
    parked.roll_within(Timestamp(now), 0);
    let window = |tiles: &Tiles| {
        let whole = tiles.merged(&tenant(), "d", Timestamp(0), Timestamp(i64::MAX));
        let of = |(name, column): (String, Column)| (name, column.numeric.unwrap());
        whole.columns.into_iter().map(of).collect::<BTreeMap<String, NumericProfile>>()
    };
    let (a, b) = (window(&parked), window(&plain));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, numeric) in &a {
        let tiles = if name.strip_prefix("in.c").unwrap().parse::<usize>().unwrap() < 71 { 20 } else { 10 };
        assert_eq!((numeric.count(), numeric.quantiles.count()), (tiles * 40, tiles * 40), "{name}");
        let (low, high) = (numeric.quantiles.min(), numeric.quantiles.max());
        assert_eq!((low, high), (b[name].quantiles.min(), b[name].quantiles.max()));
    }
}

/// An hour is written once, when its last minute is old enough, and rows that come for it after that are in it too.
#[test]
fn an_hour_is_merged_and_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let tiles = Tiles::in_folder(folder.path());
    let hour = START - START.rem_euclid(HOUR);
    (0..60).for_each(|minute| put(&tiles, 0, hour + minute * MINUTE, full(2, 100, minute as usize)));
    let files = || std::fs::read_dir(parked::folder(folder.path())).map_or(0, Iterator::count);
    let held = |level: &dyn Fn(&Series) -> usize| tiles.0.series.lock().get(&key(0)).map_or(0, level);
    let kept = KEEP_MINUTES * MINUTE;
    for minute in 0..60 {
        tiles.roll(Timestamp(hour + kept + minute * MINUTE));
        assert_eq!((held(&|s| s.minutes.len()), held(&|s| s.hours.len()), files()), (60, 0, 0), "{minute}");
    }
    tiles.roll(Timestamp(hour + kept + HOUR));
    assert_eq!((held(&|s| s.minutes.len()), held(&|s| s.hours.len()), files()), (0, 1, 1));
    put(&tiles, 0, hour + 7 * MINUTE, full(2, 5, 0));
    tiles.roll(Timestamp(hour + kept + HOUR));
    assert_eq!((held(&|s| s.minutes.len()), held(&|s| s.hours.len()), files()), (0, 1, 2));
    let whole = tiles.merged(&tenant(), "d", Timestamp(0), Timestamp(i64::MAX));
    assert_eq!((whole.requests.requests, whole.columns["in.c1"].numeric.as_ref().unwrap().count()), (61, 6_005));
}

/// The look of a request's statistics at the tiles must not wait for the disk.
#[test]
fn the_lock_is_free_while_files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let tiles = Tiles::in_folder(folder.path());
    let now = START - START.rem_euclid(DAY) + 12 * HOUR;
    (0..300).for_each(|minute| put(&tiles, 0, now - minute * MINUTE, full(20, 300, minute as usize)));
    let (done, rolling) = (std::sync::atomic::AtomicBool::new(false), tiles.clone());
    let (mut looks, mut longest) = (0, Duration::ZERO);
    let took = std::thread::scope(|scope| {
        let roll = scope.spawn(|| {
            let begun = std::time::Instant::now();
            rolling.roll_within(Timestamp(now), 0);
            done.store(true, std::sync::atomic::Ordering::Release);
            begun.elapsed()
        });
        while !done.load(std::sync::atomic::Ordering::Acquire) {
            let begun = std::time::Instant::now();
            drop(tiles.0.series.lock());
            longest = longest.max(begun.elapsed());
            // Whatever is where: no look misses a minute.
            let all = tiles.0.series.lock();
            let requests: u64 = all[&key(0)].between(0, i64::MAX).map(|held| held.tile.requests.requests).sum();
            assert_eq!(requests, 300);
            looks += 1;
        }
        roll.join().unwrap()
    });
    assert!(looks > 10 && longest < took / 4, "{looks} looks, the longest {longest:?} of {took:?}");
}

#[test]
fn files_that_no_snapshot_names_are_removed_and_those_that_one_names_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let now = START - START.rem_euclid(DAY) + 12 * HOUR;
    let files = || std::fs::read_dir(parked::folder(folder.path())).map_or(0, Iterator::count);
    let window = |tiles: &Tiles| {
        let columns = tiles.merged(&tenant(), "d", Timestamp(0), Timestamp(i64::MAX)).columns;
        columns.get("in.c0").and_then(|c| c.numeric.as_ref()).map_or(0, mainspring_stats::NumericProfile::count)
    };
    let tiles = Tiles::in_folder(folder.path());
    (0..200).for_each(|minute| put(&tiles, 0, now - minute * MINUTE, full(2, 50, 0)));
    tiles.roll_within(Timestamp(now), 0);
    store::write(folder.path(), &tiles.snapshot(&[])).unwrap();
    let kept = files();
    assert!(kept > 80, "{kept}");
    // Later ones of a process that is killed before its next snapshot.
    (0..30).for_each(|minute| put(&tiles, 1, now - (500 + minute) * MINUTE, full(2, 50, 0)));
    tiles.roll_within(Timestamp(now), 0);
    assert!(files() > kept);
    drop(tiles);
    let tiles = Tiles::in_folder(folder.path());
    assert!(tiles.restore(folder.path()).unwrap().is_some());
    assert_eq!((files(), window(&tiles)), (kept, 200 * 50));
    // What is rolled up is in fewer files, once the snapshot that says so is on disk.
    tiles.roll_within(Timestamp(now + 10 * HOUR), 0);
    assert_eq!(window(&tiles), 200 * 50);
    store::write(folder.path(), &tiles.snapshot(&[])).unwrap();
    assert!(files() <= 5, "{}", files());
    assert_eq!(window(&tiles), 200 * 50);
    // A damaged file costs its columns, not the window.
    let victim = std::fs::read_dir(parked::folder(folder.path())).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&victim).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 0xff;
    std::fs::write(&victim, bytes).unwrap();
    let whole = tiles.merged(&tenant(), "d", Timestamp(0), Timestamp(i64::MAX));
    assert_eq!(whole.requests.requests, 200);
    assert!(window(&tiles) < 200 * 50);
}

/// What the tiles of 20 deployments of 500 columns hold in memory while minutes pass, and a day of one on disk.
#[test]
fn memory_and_disk_of_wide_deployments_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let tiles = Tiles::in_folder(folder.path());
    let now = START - START.rem_euclid(HOUR);
    let wide = full(500, 20_000, 1);
    for minute in 0..3 {
        let at = now + minute * MINUTE;
        (0..20).for_each(|version| put(&tiles, version, at, wide.clone()));
        tiles.roll(Timestamp(at));
        let held: usize = tiles.0.series.lock().values().map(Series::byte_len).sum();
        assert!(held < 200_000_000, "minute {minute}: {held} bytes");
    }
    let one = parked::write(folder.path(), 1_000_000, &wide.columns).unwrap();
    let day = one.bytes * (KEEP_MINUTES as u64 + 24 + 1);
    assert!(day < 200_000_000, "{day} bytes");
}

#[test]
fn tiles_of_the_form_before_are_read() {
    #[derive(Serialize)]
    struct Old {
        minutes: BTreeMap<i64, Tile>,
        hours: BTreeMap<i64, Tile>,
        days: BTreeMap<i64, Tile>,
    }
    let folder = tempfile::tempdir().unwrap();
    let minutes = BTreeMap::from([(START, full(1, 10, 0))]);
    let old = Old { minutes, hours: BTreeMap::new(), days: BTreeMap::new() };
    let covered: Vec<crate::log::segment::SegmentId> = Vec::new();
    let body = postcard::to_stdvec(&(covered, vec![(key(0), old)])).unwrap();
    let mut bytes = b"MSJT\x02\0\0\0".to_vec();
    bytes.extend(crc32fast::hash(&body).to_le_bytes());
    bytes.extend(body);
    std::fs::write(store::path(folder.path()), bytes).unwrap();
    let tiles = Tiles::in_folder(folder.path());
    assert!(tiles.restore(folder.path()).unwrap().is_some());
    assert_eq!(tiles.merged(&tenant(), "d", Timestamp(0), Timestamp(i64::MAX)).columns.len(), 1);
}

//! How long a window of thirty days of twenty columns takes from rolled-up tiles, and what they need on disk.
//!
//! `cargo run --release -p mainspring-journal --example thirty_days`
//!
//! A journal lives through thirty days by a clock that is set by hand, with rows enough in each tile that its sketches
//! are as large as they become. Ends with 1 when the window takes 50 ms or more.

use mainspring_artifact::Artifacts;
use mainspring_core::{
    Assignment, Ctx, DType, EventId, ManualClock, NamedTensor, Outcome, Prediction, Protocol, Target, Tenant, Tensor,
    Timestamp, Timing,
};
use mainspring_journal::{Journal, JournalSettings, MIGRATIONS};
use mainspring_store::{Db, DbSettings};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

const COLUMNS: usize = 20;
/// Rows of a tile: of a request, and requests.
const ROWS: [usize; 2] = [500, 8];
const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-03-01T00:00:00Z in microseconds.
const START: i64 = 1_772_323_200_000_000;
const LIMIT: Duration = Duration::from_millis(50);

fn prediction(n: u64, at: i64, target: &Arc<Target>) -> Result<Prediction, Box<dyn Error>> {
    let value = |i: usize| ((n as usize * 7_919 + i * 31) as f64 * 0.618_033_988_749_894_9).fract() as f32;
    let values: Vec<f32> = (0..ROWS[0] * COLUMNS).map(value).collect();
    let tensor = |name: &str, columns: usize, values: Vec<f32>| {
        let tensor = Tensor::from_vec(DType::Fp32, vec![ROWS[0], columns], values)?;
        Ok::<_, Box<dyn Error>>(NamedTensor { name: name.into(), tensor })
    };
    Ok(Prediction {
        id: EventId(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(n))),
        at: Timestamp(at),
        tenant: Tenant::default(),
        target: Arc::clone(target),
        protocol: Protocol::OipRest,
        client_id: None,
        assignment: Assignment::default(),
        outcome: Outcome::Ok,
        rows: ROWS[0] as u32,
        batch_rows: ROWS[0] as u32,
        timing: Timing { queue_ns: 1_000, features_ns: 0, engine_ns: 5_000, encode_ns: 500, total_ns: 8_000 },
        params: None,
        caller: "loopback".into(),
        flags: None,
        inputs: Arc::new([tensor("x", COLUMNS, values)?]),
        outputs: Arc::new([tensor("y", 1, vec![0.5; ROWS[0]])?]),
    })
}

/// When each tile's rows come: a day each until three days are left, an hour each until ninety minutes are.
fn times(now: i64) -> Vec<i64> {
    let mut all: Vec<i64> = (3..30).rev().map(|days| now - days * DAY - HOUR).collect();
    all.extend((2..72).rev().map(|hours| now - hours * HOUR));
    all.extend((0..90).rev().map(|minutes| now - minutes * MINUTE));
    all
}

fn size(folder: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let now = START + 40 * DAY;
    let clock = ManualClock::at(Timestamp(now - 31 * DAY));
    let ctx = Ctx { clock: Arc::new(clock.clone()), ..Ctx::system() };
    let db = Db::open(&DbSettings::sqlite(folder.path().join("meta.db")), &[MIGRATIONS], &ctx).await?;
    let (objects, log) = (folder.path().join("artifacts"), folder.path().join("log"));
    let artifacts = Artifacts::open(&objects.to_string_lossy(), &folder.path().join("cache"))?;
    let journal = Journal::open(JournalSettings::new(log.clone()), artifacts, db, ctx.clone()).await?;
    let target = Arc::new(Target {
        deployment: "d".into(),
        variant: "stable".into(),
        model: "m".into(),
        version: "1".into(),
        columns: Arc::default(),
    });
    let mut n = 0;
    for at in times(now) {
        clock.advance(at - ctx.now().micros());
        for _ in 0..ROWS[1] {
            journal.append(prediction(n, at, &target)?);
            n += 1;
        }
        // Tiles roll up with it.
        journal.seal().await?;
    }
    let (tenant, since) = (Tenant::default(), Timestamp(now - 30 * DAY));
    let mut taken = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        let tile = journal.tiles().merged(&tenant, "d", since, Timestamp(now + MINUTE));
        taken.push(begun.elapsed());
        if tile.columns.len() != COLUMNS + 1 || tile.requests.requests != n {
            return Err(format!(
                "the window has {} columns, {} requests of {n}",
                tile.columns.len(),
                tile.requests.requests
            )
            .into());
        }
    }
    taken.sort();
    let median = taken[taken.len() / 2];
    let mut out = std::io::stdout();
    writeln!(
        out,
        "a window of 30 days of {COLUMNS} columns: {:.1} ms ({:.1} to {:.1})",
        ms(median),
        ms(taken[0]),
        ms(taken[19])
    )?;
    writeln!(out, "tiles parked on disk: {:.1} MB", size(&log.join("tiles"))? as f64 / 1e6)?;
    journal.close().await;
    Ok(if median < LIMIT { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

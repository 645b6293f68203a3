//! How long a window of thirty days of twenty columns takes from rolled-up tiles, and what a day of five hundred columns takes
//! on disk.
//!
//! `cargo run --release -p mainspring-journal --example thirty_days`
//!
//! A journal lives by a clock that is set by hand, with rows enough in each tile that its sketches are about as large as they
//! become. Beside the window stands what it takes to read the bytes of its files. Ends with 1 when the window takes 50 ms or
//! more, or the day 200 MB.

use mainspring_artifact::Artifacts;
use mainspring_core::{
    Assignment, Ctx, DType, EventId, ManualClock, NamedTensor, Outcome, Prediction, Protocol, Target, Tenant, Tensor,
    Timestamp, Timing,
};
// The allocator is the binary's.
use mainspring_journal::{Journal, JournalSettings, MIGRATIONS};
use mainspring_process as process;
use mainspring_store::{Db, DbSettings};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-03-01T00:00:00Z in microseconds.
const START: i64 = 1_772_323_200_000_000;
const LIMIT: Duration = Duration::from_millis(50);
/// Of a day on disk.
const BYTES: u64 = 200_000_000;
/// Looks at a window.
const LOOKS: usize = 20;

/// What is answered each time.
#[derive(Clone, Copy)]
struct Shape {
    columns: usize,
    rows: usize,
    requests: usize,
}

const NARROW: Shape = Shape { columns: 20, rows: 500, requests: 8 };
const WIDE: Shape = Shape { columns: 500, rows: 1_024, requests: 1 };

fn prediction(n: u64, at: i64, (target, shape): (&Arc<Target>, Shape)) -> Result<Prediction, Box<dyn Error>> {
    let Shape { columns, rows, .. } = shape;
    let value = |i: usize| ((n as usize * 7_919 + i * 31) as f64 * 0.618_033_988_749_894_9).fract() as f32;
    let tensor = |name: String, columns: usize, values: Vec<f32>| {
        let tensor = Tensor::from_vec(DType::Fp32, vec![rows, columns], values)?;
        Ok::<_, Box<dyn Error>>(NamedTensor { name: name.into(), tensor })
    };
    // A list has a profile for each element up to a length that wide models exceed.
    let inputs = (0..columns).step_by(50).map(|from| {
        let columns = 50.min(columns - from);
        tensor(format!("x{from}"), columns, (from * rows..(from + columns) * rows).map(value).collect())
    });
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    Ok(Prediction {
        id: EventId(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(n))),
        at: Timestamp(at),
        tenant: Tenant::default(),
        target: Arc::clone(target),
        protocol: Protocol::OipRest,
        client_id: None,
        assignment: Assignment::default(),
        outcome: Outcome::Ok,
        rows: rows as u32,
        batch_rows: rows as u32,
        timing: Timing { queue_ns: 1_000, features_ns: 0, engine_ns: 5_000, encode_ns: 500, total_ns: 8_000 },
        params: None,
        caller: "loopback".into(),
        tokens: None,
        cached: None,
        flags: None,
        inputs: inputs.into(),
        outputs: Arc::new([tensor("y".to_owned(), 1, vec![0.5; rows])?]),
    })
}

/// When each tile's rows come: a day each until three days are left, an hour each until ninety minutes are.
fn times(now: i64, days: i64) -> Vec<i64> {
    let mut all: Vec<i64> = (3..days).rev().map(|days| now - days * DAY - HOUR).collect();
    all.extend((2..24 * days.min(3)).rev().map(|hours| now - hours * HOUR));
    all.extend((0..90).rev().map(|minutes| now - minutes * MINUTE));
    all
}

struct World {
    /// Of the journal; removed with it.
    folder: tempfile::TempDir,
    clock: ManualClock,
    now: i64,
    /// Requests that it has seen.
    requests: u64,
}

impl World {
    async fn open(&self) -> Result<Open, Box<dyn Error>> {
        let (folder, clock) = (self.folder.path(), Arc::new(self.clock.clone()));
        let ctx = Ctx { clock, ..Ctx::system() };
        let db = Db::open(&DbSettings::sqlite(folder.join("meta.db")), &[MIGRATIONS], &ctx).await?;
        let artifacts = Artifacts::open(&folder.join("artifacts").to_string_lossy(), &folder.join("cache"))?;
        let journal = Journal::open(JournalSettings::new(self.log()), artifacts, db, ctx.clone()).await?;
        Ok(Open { journal, ctx })
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Of a journal that answered for so many days, and is closed.
    async fn lived(days: i64, shape: Shape) -> Result<Self, Box<dyn Error>> {
        let now = START + 40 * DAY;
        let clock = ManualClock::at(Timestamp(now - (days + 1) * DAY));
        let mut world = Self { folder: tempfile::tempdir()?, clock, now, requests: 0 };
        let open = world.open().await?;
        let target = Arc::new(Target {
            deployment: "d".into(),
            variant: "stable".into(),
            model: "m".into(),
            version: "1".into(),
            columns: Arc::default(),
        });
        for at in times(now, days) {
            world.clock.advance(at - open.ctx.now().micros());
            for _ in 0..shape.requests {
                open.journal.append(prediction(world.requests, at, (&target, shape))?);
                world.requests += 1;
            }
            // Tiles roll up with it.
            open.journal.seal().await?;
        }
        open.close().await?;
        Ok(world)
    }

    /// Bytes of its tiles on disk.
    fn tiles(&self) -> std::io::Result<u64> {
        let files = std::fs::read_dir(self.log().join("tiles")).into_iter().flatten();
        let parked: u64 = files.map(|file| Ok(file?.metadata()?.len())).sum::<std::io::Result<u64>>()?;
        Ok(parked + std::fs::metadata(self.log().join("tiles.bin"))?.len())
    }

    /// Reads those bytes.
    fn read(&self) -> std::io::Result<usize> {
        let files = std::fs::read_dir(self.log().join("tiles")).into_iter().flatten();
        files.map(|file| Ok(std::fs::read(file?.path())?.len())).sum()
    }
}

/// A journal with what runs for it.
struct Open {
    journal: Journal,
    ctx: Ctx,
}

impl Open {
    async fn close(self) -> Result<(), Box<dyn Error>> {
        self.journal.close().await;
        let ended = self.ctx.tasks.shutdown(Duration::from_secs(60)).await;
        if ended { Ok(()) } else { Err("the journal did not end".into()) }
    }
}

/// The window's looks, the first apart: of a journal that has just been opened.
async fn windows(world: &World) -> Result<(Duration, Vec<Duration>), Box<dyn Error>> {
    let open = world.open().await?;
    let (tenant, since) = (Tenant::default(), Timestamp(world.now - 30 * DAY));
    let mut taken = Vec::new();
    for _ in 0..=LOOKS {
        let begun = Instant::now();
        let tile = open.journal.tiles().merged(&tenant, "d", since, Timestamp(world.now + MINUTE));
        taken.push(begun.elapsed());
        if tile.columns.len() != NARROW.columns + 1 || tile.requests.requests != world.requests {
            let (columns, requests) = (tile.columns.len(), tile.requests.requests);
            return Err(format!("the window has {columns} columns, {requests} requests of {}", world.requests).into());
        }
    }
    open.close().await?;
    let first = taken.remove(0);
    taken.sort();
    Ok((first, taken))
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    process::begin();
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<ExitCode, Box<dyn Error>> {
    let mut out = std::io::stdout();
    let world = World::lived(30, NARROW).await?;
    let (first, taken) = windows(&world).await?;
    let begun = Instant::now();
    world.read()?;
    let floor = begun.elapsed();
    let median = taken[taken.len() / 2];
    writeln!(
        out,
        "a window of 30 days of {} columns: {:.1} ms ({:.1} to {:.1})",
        NARROW.columns,
        ms(median),
        ms(taken[0]),
        ms(taken[LOOKS - 1])
    )?;
    writeln!(out, "the first after a start: {:.1} ms", ms(first))?;
    writeln!(out, "reading the bytes of its files: {:.1} ms", ms(floor))?;
    writeln!(out, "its tiles on disk: {:.1} MB", world.tiles()? as f64 / 1e6)?;
    drop(world);
    let day = World::lived(1, WIDE).await?.tiles()?;
    writeln!(out, "a day of tiles of {} columns on disk: {:.1} MB", WIDE.columns, day as f64 / 1e6)?;
    Ok(if median < LIMIT && day < BYTES { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

//! What a window of 30 days of 20 columns costs: `cargo run --release -p mainspring-journal --example tile_window`.
//!
//! A deployment of 20 columns answers 200 requests in each hour of 30 days; the tiles roll up as they would. Then the
//! window of all 30 days is read, and what the tiles take on disk is told.

use mainspring_artifact::Artifacts;
use mainspring_core::{
    Assignment, Ctx, DType, ManualClock, NamedTensor, Outcome, Prediction, Protocol, Target, Tenant, Tensor, Timestamp,
    Timing,
};
// The allocator is the binary's.
use mainspring_heap as _;
use mainspring_journal::{Journal, JournalSettings, MIGRATIONS};
use mainspring_store::{Db, DbSettings};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const COLUMNS: usize = 20;
const DAYS: i64 = 30;
const REQUESTS: i64 = 200;
const HOUR: i64 = 3_600_000_000;
const START: i64 = 1_772_323_200_000_000;

fn event(ctx: &Ctx, target: &Arc<Target>, (at, n): (i64, i64)) -> Result<Prediction, Box<dyn Error>> {
    let features: Vec<f32> = (0..COLUMNS as i64).map(|i| ((n * 7_919 + i * 104_729) % 100_003) as f32).collect();
    let input = Tensor::from_vec(DType::Fp32, vec![1, COLUMNS], features)?;
    Ok(Prediction {
        id: ctx.event_id(),
        at: Timestamp(at),
        tenant: Tenant::default(),
        target: Arc::clone(target),
        protocol: Protocol::OipRest,
        client_id: None,
        caller: "loopback".into(),
        assignment: Assignment::default(),
        outcome: Outcome::Ok,
        rows: 1,
        batch_rows: 1,
        timing: Timing { engine_ns: 4_000, total_ns: 9_000, ..Timing::default() },
        flags: None,
        params: None,
        inputs: Arc::new([NamedTensor { name: "features".into(), tensor: input }]),
        outputs: Arc::default(),
    })
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let clock = ManualClock::at(Timestamp(START));
    let ctx = Ctx { clock: Arc::new(clock.clone()), ..Ctx::system() };
    let db = Db::open(&DbSettings::sqlite(folder.path().join("meta.db")), &[MIGRATIONS], &ctx).await?;
    let store = folder.path().join("artifacts").to_string_lossy().into_owned();
    let artifacts = Artifacts::open(&store, &folder.path().join("cache"))?;
    let dir = folder.path().join("log");
    let journal = Journal::open(JournalSettings::new(&dir), artifacts, db, ctx.clone()).await?;
    let target = Arc::new(Target {
        deployment: "bench".into(),
        variant: "stable".into(),
        model: "bench".into(),
        version: "1".into(),
        columns: (0..COLUMNS).map(|i| Arc::from(format!("c{i}"))).collect(),
    });
    let mut out = std::io::stdout();
    for hour in 0..DAYS * 24 {
        for n in 0..REQUESTS {
            let at = START + hour * HOUR + n * (HOUR / REQUESTS);
            journal.append(event(&ctx, &target, (at, hour * REQUESTS + n))?);
        }
        clock.advance(HOUR);
        if hour % 6 == 5 {
            journal.seal().await?;
        }
    }
    journal.seal().await?;
    let (tiles, tenant) = (journal.tiles().clone(), Tenant::default());
    let mut best = f64::INFINITY;
    let mut seen: u64 = 0;
    for _ in 0..10 {
        let begun = Instant::now();
        let windows = tiles.windows(&tenant, "bench", Timestamp(START), Timestamp(START + DAYS * 24 * HOUR));
        best = best.min(begun.elapsed().as_secs_f64() * 1e3);
        seen = windows[0].tile.columns.values().filter_map(|c| Some(c.numeric.as_ref()?.count())).sum();
    }
    writeln!(out, "{DAYS} days, {COLUMNS} columns: {best:.1} ms at best of 10, {seen} values")?;
    let snapshot = std::fs::metadata(dir.join("tiles.bin")).map_or(0, |m| m.len());
    let kept = size(&dir.join("tiles")) + snapshot;
    writeln!(out, "columns on disk: {:.1} MB", kept as f64 / 1e6)?;
    journal.close().await;
    Ok(())
}

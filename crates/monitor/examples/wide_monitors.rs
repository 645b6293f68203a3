//! What monitors of very many columns hold in memory, minute by minute: `cargo run --release -p mainspring-monitor --example
//! wide_monitors [MINUTES] [DEPLOYMENTS] [COLUMNS]`.
//!
//! The controller and its database are real; the rows are made on the spot and kept by nobody else, and the clock is set by
//! hand, so that hours pass in seconds. All that is resident beyond the beginning is the monitors'.

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use mainspring_core::{Clock, Ctx, ManualClock, Name, Tenant, Timestamp};
// The allocator is the binary's.
use mainspring_monitor::estimate::{Report, Request};
use mainspring_monitor::live::rows::MINUTE;
use mainspring_monitor::live::{
    Alarm, Alarms, Answered, Answers, Asked, Controller, DeclareMonitor, Estimates, Given, MIGRATIONS, Models,
    MonitorSpec, Monitors, PortResult, Ports, RowStream, Rows, Traffic, Trained, Wanted,
};
use mainspring_process as process;
use mainspring_store::{Db, DbSettings};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;

/// Rows that a deployment answers at once, and how often, microseconds.
const ROWS: usize = 64;
const EACH: i64 = 10_000_000;
const START: i64 = 1_772_323_200_000_000;

struct Rest {
    clock: ManualClock,
    names: Arc<Vec<String>>,
}

struct Stream {
    clock: ManualClock,
    names: Arc<Vec<String>>,
    next: i64,
}

fn rows(at: i64, names: &[String]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let same = |word: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(word, ROWS))) };
    let id = |i: usize| format!("{:032x}", (u128::from(at as u64) << 64) | ((i as u128 + 1) * 0x9e37_79b9_7f4a_7c15));
    let value = |column: usize, i: usize| {
        let n = (at as u64).wrapping_add((column * ROWS + i) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((n ^ (n >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40) as f32
    };
    let mut all: Vec<(&str, ArrayRef)> = vec![
        ("event_id", Arc::new((0..ROWS).map(|i| Some(id(i))).collect::<StringArray>())),
        ("row", Arc::new(Int32Array::from_iter_values(0..ROWS as i32))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![at; ROWS]).with_timezone("UTC"))),
        ("variant", same("stable")),
        ("model", same("wide")),
        ("version", same("1")),
        ("forced", Arc::new(BooleanArray::from(vec![false; ROWS]))),
        ("shadow_of", Arc::new(StringArray::new_null(ROWS))),
        ("outcome", same("ok")),
        ("payload", same("kept")),
    ];
    for (column, name) in names.iter().enumerate() {
        all.push((name, Arc::new(Float32Array::from_iter_values((0..ROWS).map(|i| value(column, i))))));
    }
    RecordBatch::try_from_iter_with_nullable(all.into_iter().map(|(name, column)| (name, column, true)))
}

impl RowStream for Stream {
    fn next(&mut self) -> PortResult<'_, Rows> {
        Box::pin(async move {
            let (now, mut batches) = (self.clock.now(), Vec::new());
            while self.next <= now.micros() {
                batches.extend(rows(self.next, &self.names).ok());
                self.next += EACH;
            }
            Ok(Rows { batches, complete_until: now.plus_micros(-5_000_000), more: false, hidden: Vec::new() })
        })
    }
}

impl Traffic for Rest {
    fn follow(&self, wanted: Wanted) -> PortResult<'_, Box<dyn RowStream>> {
        let (clock, names) = (self.clock.clone(), Arc::clone(&self.names));
        let stream: Box<dyn RowStream> = Box::new(Stream { clock, names, next: wanted.from.micros() });
        Box::pin(async move { Ok(stream) })
    }

    fn labels(&self, _: Wanted, until: Timestamp) -> PortResult<'_, Rows> {
        Box::pin(
            async move { Ok(Rows { batches: Vec::new(), complete_until: until, more: false, hidden: Vec::new() }) },
        )
    }

    fn recent(&self, _: Wanted, _: Asked, _: usize) -> PortResult<'_, Rows> {
        Box::pin(async { Ok(Rows::default()) })
    }
}

impl Alarms for Rest {
    fn tell<'a>(&'a self, _: &'a Alarm) -> PortResult<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl Answers for Rest {
    fn again<'a>(&'a self, _: &'a Asked, _: Given) -> PortResult<'a, Answered> {
        Box::pin(async { Ok(Answered::default()) })
    }
}

impl Estimates for Rest {
    fn estimate<'a>(&'a self, _: &'a Tenant, _: Request) -> PortResult<'a, Option<Report>> {
        Box::pin(async { Ok(None) })
    }
}

impl Models for Rest {
    fn resolve<'a>(&'a self, _: &'a Tenant, uri: &'a str) -> PortResult<'a, (String, String)> {
        Box::pin(async move { Ok((uri.to_owned(), "1".to_owned())) })
    }

    fn training<'a>(&'a self, _: &'a Tenant, _: &'a str, _: &'a str) -> PortResult<'a, Option<Trained>> {
        Box::pin(async { Ok(None) })
    }
}

/// Resident now and at most, megabytes.
fn resident() -> Result<[f64; 2], Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok()).unwrap_or(0.0) / 1e3
    };
    Ok([of("VmRSS:"), of("VmHWM:")])
}

fn main() -> Result<(), Box<dyn Error>> {
    process::begin();
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let given: Vec<usize> = std::env::args().skip(1).map(|n| n.parse()).collect::<Result<_, _>>()?;
    let of = |at: usize, else_: usize| given.get(at).copied().unwrap_or(else_);
    let (minutes, deployments, columns) = (of(0, 12), of(1, 20), of(2, 500));
    let folder = tempfile::tempdir()?;
    let clock = ManualClock::at(Timestamp(START));
    let ctx = Ctx { clock: Arc::new(clock.clone()), ..Ctx::system() };
    let file = folder.path().join("meta.db");
    let db = Db::open(&DbSettings::sqlite(file), &[MIGRATIONS], &ctx).await?;
    let names = Arc::new((0..columns).map(|i| format!("in.f{i:03}")).collect());
    let rest = Arc::new(Rest { clock: clock.clone(), names });
    let monitors = Monitors::new(db, ctx, rest.clone());
    let ports = Ports { traffic: rest.clone(), alarms: rest.clone(), answers: rest.clone(), estimates: rest };
    let mut controller = Controller::new(monitors.clone(), ports, "one".to_owned());
    controller.pass().await?;
    let mut out = std::io::stdout();
    let [before, _] = resident()?;
    for i in 0..deployments {
        let name = Name::new(&format!("wide{i:02}"))?;
        let spec: MonitorSpec = serde_json::from_value(serde_json::json!({"deployment": name.as_str()}))?;
        monitors.declare(&mainspring_testkit::may(DeclareMonitor { monitor: name }), spec, clock.now())?;
    }
    writeln!(out, "{deployments} monitors of {columns} columns; before them {before:.0} MB")?;
    for minute in 0..minutes {
        // What was most in this minute.
        std::fs::write("/proc/self/clear_refs", "5")?;
        for _ in 0..MINUTE / 1_000_000 {
            clock.advance(1_000_000);
            controller.pass().await?;
            process::settle();
        }
        let [now, most] = resident()?;
        writeln!(out, "minute {minute}: {:+.0} MB, at most {:+.0} MB", now - before, most - before)?;
    }
    Ok(())
}

//! What journaling costs: nanoseconds an append, and the processor time of the writer at a steady rate.
//!
//! `cargo run --release -p mainspring-journal --example append [-- FOLDER]`
//!
//! Each event has 30 float features and two outputs, as a tabular model's. The floor beside it is a copy
//! of the same bytes. With a folder, the Parquet files stay there.

use mainspring_artifact::Artifacts;
use mainspring_core::{
    Assignment, Ctx, DType, NamedTensor, Outcome, Prediction, Protocol, Target, Tenant, Tensor, TensorError, Timing,
};
// The allocator is the binary's.
use mainspring_journal::{Journal, JournalSettings, MIGRATIONS};
use mainspring_process as _;
use mainspring_store::{Db, DbSettings};
use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FEATURES: usize = 30;
const BURST: usize = 10_000;
const SECONDS: u64 = 10;

fn tensor<T: Copy + Send + Sync + bytemuck::Pod>(
    name: &Arc<str>,
    dtype: DType,
    values: Vec<T>,
) -> Result<NamedTensor, TensorError> {
    let shape = vec![1, values.len()];
    Ok(NamedTensor { name: Arc::clone(name), tensor: Tensor::from_vec(dtype, shape, values)? })
}

/// What is the same for all events.
struct Maker {
    ctx: Ctx,
    target: Arc<Target>,
    names: [Arc<str>; 3],
}

impl Maker {
    fn new(ctx: Ctx) -> Self {
        let target = Target {
            deployment: "bench".into(),
            variant: "stable".into(),
            model: "bench".into(),
            version: "1".into(),
            columns: (0..FEATURES).map(|i| Arc::from(format!("feature_{i}"))).collect(),
        };
        Self { ctx, target: Arc::new(target), names: ["features".into(), "label".into(), "probabilities".into()] }
    }

    fn event(&self, n: usize) -> Result<Prediction, TensorError> {
        let features = (0..FEATURES).map(|i| ((n * 31 + i * 17) % 1000) as f32 / 10.0).collect();
        let p = (n % 100) as f32 / 100.0;
        Ok(Prediction {
            id: self.ctx.event_id(),
            at: self.ctx.now(),
            tenant: Tenant::default(),
            target: Arc::clone(&self.target),
            protocol: Protocol::OipRest,
            client_id: None,
            caller: "loopback".into(),
            assignment: Assignment::default(),
            outcome: Outcome::Ok,
            rows: 1,
            batch_rows: 1,
            timing: Timing { engine_ns: 4000, total_ns: 9000 + n as u64 % 5000, ..Timing::default() },
            tokens: None,
            cached: None,
            flags: None,
            params: None,
            inputs: Arc::new([tensor::<f32>(&self.names[0], DType::Fp32, features)?]),
            outputs: Arc::new([
                tensor::<i64>(&self.names[1], DType::Int64, vec![i64::from(p > 0.5)])?,
                tensor::<f32>(&self.names[2], DType::Fp32, vec![1.0 - p, p])?,
            ]),
        })
    }
}

/// Processor seconds so far of threads whose name begins with `name`, from Linux' /proc.
fn cpu_seconds(name: &str) -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let ticks: u64 = tasks
        .flatten()
        .filter_map(|t| std::fs::read_to_string(t.path().join("stat")).ok())
        .filter_map(|stat| {
            let (head, tail) = stat.rsplit_once(')')?;
            head.split_once('(')?.1.starts_with(name).then_some(())?;
            let fields: Vec<&str> = tail.split_whitespace().collect();
            Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
        })
        .sum();
    // Linux reports in hundredths of a second on every architecture it runs on today.
    ticks as f64 / 100.0
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    let given = std::env::args().nth(1);
    let dir =
        given.clone().map_or_else(|| std::env::temp_dir().join(format!("journal-{}", std::process::id())), Into::into);
    std::fs::create_dir_all(&dir)?;
    let ctx = Ctx::system();
    let db = Db::open(&DbSettings::sqlite(dir.join("meta.db")), &[MIGRATIONS], &ctx).await?;
    let artifacts = Artifacts::open(&dir.join("artifacts").to_string_lossy(), &dir.join("cache"))?;
    let journal = Journal::open(JournalSettings::new(dir.join("log")), artifacts, db, ctx.clone()).await?;
    let maker = Maker::new(ctx.clone());

    writeln!(out, "floor: copy of the same bytes   {:7.0} ns an event", floor(&maker)?)?;
    let mut spent = Vec::new();
    for _ in 0..20 {
        let events = (0..BURST).map(|n| maker.event(n)).collect::<Result<Vec<_>, _>>()?;
        let start = Instant::now();
        for event in events {
            journal.append(event);
        }
        spent.push(start.elapsed().as_nanos() as f64 / BURST as f64);
        journal.flush().await?;
    }
    spent.sort_by(f64::total_cmp);
    let median = spent[spent.len() / 2];
    writeln!(out, "append, one thread              {median:7.0} ns an event (median of {})", spent.len())?;

    for rate in [10_000, 50_000] {
        let maker = &maker;
        let before = (cpu_seconds("journal-writer"), cpu_seconds("tokio"), journal.stats());
        let start = Instant::now();
        let sent = steady(&journal, maker, rate)?;
        journal.flush().await?;
        let share = |before: f64, name| (cpu_seconds(name) - before) / start.elapsed().as_secs_f64() * 100.0;
        let (writer, others) = (share(before.0, "journal-writer"), share(before.1, "tokio"));
        writeln!(
            out,
            "{sent:6} events/s for {SECONDS} s: writer {writer:4.1} % of a core, sealing and database {others:4.1} %"
        )?;
        let after = journal.stats();
        let rows = (after.rows - before.2.rows) as f64;
        for ((stage, from), (_, to)) in before.2.spent.stages().into_iter().zip(after.spent.stages()) {
            writeln!(out, "        {stage:8} {:7.0} ns a row", (to - from) as f64 / rows)?;
        }
    }
    let start = Instant::now();
    journal.seal().await?;
    writeln!(out, "seal what is left: {:.2} s", start.elapsed().as_secs_f64())?;
    let stats = journal.stats();
    writeln!(
        out,
        "rows {}, {:.0} bytes a row in the log, {} segments sealed, payloads dropped {}, events dropped {}, {}",
        stats.rows,
        stats.bytes as f64 / stats.rows as f64,
        stats.segments_sealed,
        stats.payloads_dropped,
        stats.events_dropped,
        resident()
    )?;
    journal.close().await;
    ctx.tasks.shutdown(Duration::from_secs(30)).await;
    if given.is_none() {
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

/// Memory of this process, from Linux' /proc.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or("VmRSS unknown").replace('\t', " ")
}

/// Nanoseconds to copy one event's bytes into memory that is reused.
fn floor(maker: &Maker) -> Result<f64, TensorError> {
    let event = maker.event(1)?;
    let bytes: usize = size_of::<Prediction>()
        + event.inputs.iter().chain(event.outputs.iter()).map(|t| t.tensor.byte_len()).sum::<usize>();
    let from = vec![7_u8; bytes * BURST];
    let mut to = vec![0_u8; bytes * BURST];
    let start = Instant::now();
    for (to, from) in to.chunks_exact_mut(bytes).zip(from.chunks_exact(bytes)) {
        to.copy_from_slice(black_box(from));
    }
    black_box(&to);
    Ok(start.elapsed().as_nanos() as f64 / BURST as f64)
}

/// Appends at a steady rate, a millisecond's worth at a time; returns the rate reached.
fn steady(journal: &Journal, maker: &Maker, rate: usize) -> Result<u64, TensorError> {
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < Duration::from_secs(SECONDS) {
        let due = (start.elapsed().as_secs_f64() * rate as f64) as usize;
        while sent < due {
            journal.append(maker.event(sent)?);
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(sent as u64 / SECONDS)
}

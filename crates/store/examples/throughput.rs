//! Measures the SQLite side of the store beside its floors: the rate at which this disk syncs, and that of
//! one-row commits through `rusqlite` alone, with the same settings and no thread between. A disk's own rate
//! changes by the second, so what is compared takes turns:
//!
//! ```text
//! cargo run --release -p mainspring-store --example throughput [FOLDER]
//! ```
//!
//! FOLDER is on the disk to be measured; a temporary one is made in it, or in the system's place
//! for them.
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use mainspring_core::Ctx;
use mainspring_store::{Conn, Db, DbSettings, FutureExt, Migration, MigrationSet, StoreError, args};
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

const SET: MigrationSet = MigrationSet {
    domain: "throughput",
    migrations: &[Migration {
        version: 1,
        name: "rows",
        sqlite: "CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
        postgres: "CREATE TABLE rows (id BIGINT PRIMARY KEY, body TEXT NOT NULL)",
    }],
};
const INSERT: &str = "INSERT INTO rows (id, body) VALUES ($1, $2)";
/// Statements in one transaction.
const STATEMENTS: i64 = 50_000;
/// How long each rate is measured, and how often what takes turns.
const LONG: Duration = Duration::from_millis(700);
const ROUNDS: usize = 9;
const CLIENTS: [i64; 3] = [1, 8, 64];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = match std::env::args().nth(1) {
        Some(parent) => tempfile::tempdir_in(parent)?,
        None => tempfile::tempdir()?,
    };
    let db = Db::open(&DbSettings::sqlite(folder.path().join("rate.db")), &[SET], &Ctx::system()).await?;
    for round in 0..3 {
        println!("inserts in one transaction:             {:>9.0}/s", inserts(&db, round * STATEMENTS).await?);
        println!("reads by key in one transaction:        {:>9.0}/s", reads(&db).await?);
    }
    println!("reads by key, one transaction each:     {:>9.0}/s", single_reads(&db).await?);
    let mut raw = Raw::open(folder.path())?;
    let mut rates: [Vec<f64>; 5] = Default::default();
    for _ in 0..ROUNDS {
        rates[0].push(syncs(folder.path())?);
        rates[1].push(raw.commits()?);
        for (rates, clients) in rates[2..].iter_mut().zip(CLIENTS) {
            rates.push(commits(&db, clients).await?);
        }
    }
    let floor = median(&mut rates[1].clone());
    let names = ["fdatasync of 4 KiB, overwritten", "one-row commits, rusqlite alone"].map(str::to_owned);
    let ours = CLIENTS.map(|n| format!("one-row commits, {n} clients"));
    for (name, rates) in names.iter().chain(&ours).zip(&mut rates) {
        let middle = median(rates);
        println!("{name:<38}  {middle:>9.0}/s, {:.2} of rusqlite alone", middle / floor);
    }
    db.close().await;
    Ok(())
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// One connection with the store's settings.
struct Raw {
    conn: rusqlite::Connection,
    next: i64,
}

impl Raw {
    fn open(folder: &Path) -> rusqlite::Result<Self> {
        let conn = rusqlite::Connection::open(folder.join("raw.db"))?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.execute_batch("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")?;
        Ok(Self { conn, next: 0 })
    }

    fn commits(&mut self) -> rusqlite::Result<f64> {
        let body = "x".repeat(100);
        let (started, first) = (Instant::now(), self.next);
        while started.elapsed() < LONG {
            self.next += 1;
            self.conn.prepare_cached("INSERT INTO rows (id, body) VALUES (?1, ?2)")?.execute((self.next, &body))?;
        }
        Ok(rate(self.next - first, started))
    }
}

/// Keys of the rows that clients commit.
static NEXT: AtomicI64 = AtomicI64::new(1_000_000_000);

fn rate(count: i64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

fn syncs(folder: &Path) -> std::io::Result<f64> {
    let mut file = std::fs::File::create(folder.join("floor"))?;
    file.write_all(&vec![0; 4 << 20])?;
    file.sync_all()?;
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < LONG {
        // In place, as SQLite writes its log once that has been round.
        file.seek(std::io::SeekFrom::Start(count as u64 % 1024 * 4096))?;
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(rate(count, started))
}

async fn inserts(db: &Db, from: i64) -> Result<f64, StoreError> {
    db.write(move |c: &mut Conn| {
        async move {
            let body = "x".repeat(100);
            let started = Instant::now();
            for id in from..from + STATEMENTS {
                c.execute(INSERT, args![id, &body]).await?;
            }
            Ok(rate(STATEMENTS, started))
        }
        .boxed()
    })
    .await
}

async fn reads(db: &Db) -> Result<f64, StoreError> {
    db.read(|c: &mut Conn| {
        async move {
            let started = Instant::now();
            for id in 0..STATEMENTS {
                let row = c.query_opt("SELECT id, body FROM rows WHERE id = $1", args![id]).await?;
                row.ok_or(StoreError::Closed)?.text("body")?;
            }
            Ok(rate(STATEMENTS, started))
        }
        .boxed()
    })
    .await
}

async fn single_reads(db: &Db) -> Result<f64, StoreError> {
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < LONG {
        let id = count % STATEMENTS;
        let sql = "SELECT id, body FROM rows WHERE id = $1";
        db.read(move |c: &mut Conn| async move { c.query_opt(sql, args![id]).await }.boxed()).await?;
        count += 1;
    }
    Ok(rate(count, started))
}

async fn commits(db: &Db, clients: i64) -> Result<f64, StoreError> {
    let started = Instant::now();
    let each = (0..clients).map(|_| async move {
        let mut count = 0;
        while started.elapsed() < LONG {
            let id = NEXT.fetch_add(1, Ordering::Relaxed);
            let body = "x".repeat(100);
            db.write(move |c: &mut Conn| async move { c.execute(INSERT, args![id, body]).await }.boxed()).await?;
            count += 1;
        }
        Ok::<_, StoreError>(count)
    });
    let counts = futures::future::try_join_all(each).await?;
    Ok(rate(counts.iter().sum(), started))
}

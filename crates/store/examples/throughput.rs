//! Measures the SQLite side of the store beside its floor, the rate at which this disk syncs:
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
use std::io::Write;
use std::path::Path;
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
/// How long each rate is measured.
const LONG: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = match std::env::args().nth(1) {
        Some(parent) => tempfile::tempdir_in(parent)?,
        None => tempfile::tempdir()?,
    };
    println!("raw fdatasync of 4 KiB appended:        {:>9.0}/s", syncs(folder.path())?);
    let db = Db::open(&DbSettings::sqlite(folder.path().join("rate.db")), &[SET], &Ctx::system()).await?;
    for round in 0..3 {
        println!("inserts in one transaction:             {:>9.0}/s", inserts(&db, round * STATEMENTS).await?);
        println!("reads by key in one transaction:        {:>9.0}/s", reads(&db).await?);
    }
    println!("reads by key, one transaction each:     {:>9.0}/s", single_reads(&db).await?);
    for clients in [1, 8, 64] {
        println!("durable one-row commits, {clients:>2} clients:    {:>9.0}/s", commits(&db, clients).await?);
    }
    db.close().await;
    Ok(())
}

fn rate(count: i64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

fn syncs(folder: &Path) -> std::io::Result<f64> {
    let mut file = std::fs::File::create(folder.join("floor"))?;
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < LONG {
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
    let each = (0..clients).map(|client| async move {
        let mut count = 0;
        while started.elapsed() < LONG {
            let id = 1_000_000_000 * clients + 1_000_000 * client + count;
            let body = "x".repeat(100);
            db.write(move |c: &mut Conn| async move { c.execute(INSERT, args![id, body]).await }.boxed()).await?;
            count += 1;
        }
        Ok::<_, StoreError>(count)
    });
    let counts = futures::future::try_join_all(each).await?;
    Ok(rate(counts.iter().sum(), started))
}

//! The table of bulletins.

use crate::error::RolloutError;
use mainspring_core::Timestamp;
use mainspring_store::{Conn, Migration, MigrationSet, args};

/// The table of what processes tell each other.
pub const NEWS_MIGRATIONS: MigrationSet = MigrationSet {
    domain: "rollout news",
    migrations: &[
        Migration { version: 1, name: "bulletins", sqlite: SQLITE_1, postgres: POSTGRES_1 },
        Migration { version: 2, name: "processes that live", sqlite: SQLITE_2, postgres: POSTGRES_2 },
    ],
};

const SQLITE_1: &str = "
CREATE TABLE rollout_news (
    process TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (process, seq)
) STRICT;
";

const POSTGRES_1: &str = "
CREATE TABLE rollout_news (
    process TEXT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL, until BIGINT NOT NULL, body BYTEA NOT NULL,
    PRIMARY KEY (process, seq)
);
";

const SQLITE_2: &str = "
CREATE TABLE rollout_process (process TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT;
";

const POSTGRES_2: &str = "
CREATE TABLE rollout_process (process TEXT NOT NULL PRIMARY KEY, at BIGINT NOT NULL);
";

/// Writes that a process lives.
pub(crate) async fn beat(c: &mut Conn, process: &str, at: Timestamp) -> Result<(), RolloutError> {
    let sql = "INSERT INTO rollout_process (process, at) VALUES ($1, $2)
               ON CONFLICT (process) DO UPDATE SET at = excluded.at";
    c.execute(sql, args![process, at]).await?;
    Ok(())
}

/// When each process but `own` said last that it lives.
pub(crate) async fn beats(c: &mut Conn, own: &str) -> Result<Vec<(String, Timestamp)>, RolloutError> {
    let sql = "SELECT process, at FROM rollout_process WHERE process <> $1 ORDER BY process";
    let rows = c.query(sql, args![own]).await?;
    rows.iter().map(|row| Ok((row.text("process")?, Timestamp(row.int("at")?)))).collect()
}

/// A process ends.
pub(crate) async fn gone(c: &mut Conn, process: &str) -> Result<(), RolloutError> {
    c.execute("DELETE FROM rollout_process WHERE process = $1", args![process]).await?;
    Ok(())
}

/// A bulletin as it is in the database.
pub(crate) struct Stored {
    pub seq: i64,
    pub at: Timestamp,
    pub body: Vec<u8>,
}

/// Writes a bulletin; one that is there already was written before its answer was lost.
pub(crate) async fn tell(
    c: &mut Conn,
    (process, seq): (&str, i64),
    (at, until): (Timestamp, Timestamp),
    body: Vec<u8>,
) -> Result<(), RolloutError> {
    let sql = "INSERT INTO rollout_news (process, seq, at, until, body) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (process, seq) DO NOTHING";
    c.execute(sql, args![process, seq, at, until, body]).await?;
    Ok(())
}

pub(crate) async fn heads(c: &mut Conn, own: &str) -> Result<Vec<(String, i64)>, RolloutError> {
    let sql = "SELECT process, MAX(seq) AS seq FROM rollout_news WHERE process <> $1 GROUP BY process ORDER BY process";
    let rows = c.query(sql, args![own]).await?;
    rows.iter().map(|row| Ok((row.text("process")?, row.int("seq")?))).collect()
}

pub(crate) async fn after(c: &mut Conn, process: &str, after: i64, most: u32) -> Result<Vec<Stored>, RolloutError> {
    let sql = "SELECT seq, at, body FROM rollout_news WHERE process = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    let rows = c.query(sql, args![process, after, most]).await?;
    let stored = |row: &mainspring_store::Row| {
        Ok(Stored { seq: row.int("seq")?, at: Timestamp(row.int("at")?), body: row.blob("body")? })
    };
    rows.iter().map(stored).collect()
}

pub(crate) async fn forget(c: &mut Conn, process: &str, until: Timestamp) -> Result<(), RolloutError> {
    c.execute("DELETE FROM rollout_news WHERE process = $1 AND until < $2", args![process, until]).await?;
    Ok(())
}

pub(crate) async fn forget_all(c: &mut Conn, at: Timestamp) -> Result<(), RolloutError> {
    c.execute("DELETE FROM rollout_news WHERE at < $1", args![at]).await?;
    c.execute("DELETE FROM rollout_process WHERE at < $1", args![at]).await?;
    Ok(())
}

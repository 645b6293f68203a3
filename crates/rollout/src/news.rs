//! What processes that share a database tell each other of their rollouts: the answers that each gave, until the journal
//! has them where everybody reads it, and how the variants are there.
//!
//! A process numbers its bulletins from 1, so that a reader knows which it has; each event is in one bulletin.

use crate::error::RolloutError;
use crate::event::{Event, Label};
use crate::machine::Readiness;
use crate::ports::Tripped;
use crate::sql::news as sql;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use mainspring_core::{Name, Tenant, Timestamp};
use mainspring_store::{Db, FutureExt};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Bulletins that are read at once.
const MOST: u32 = 200;

/// What one process says at a time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Bulletin {
    /// What the process answered before this moment is in this bulletin or in an earlier one.
    pub until: Timestamp,
    /// What it answered.
    pub traffic: Vec<Traffic>,
    /// What was said about answers, by tenant: whichever rollout wants it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Said>,
    /// How its variants are.
    pub standings: Vec<Standing>,
    /// Whether answers went by that no bulletin tells of. They are sealed now: who reads looks there again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
}

/// Labels that a tenant was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Whose.
    pub tenant: String,
    /// Each once.
    pub labels: Vec<Label>,
}

/// A deployment, by tenant and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    tenant: String,
    deployment: String,
}

impl Place {
    /// The place of a deployment.
    pub fn new(tenant: &Tenant, deployment: &Name) -> Self {
        Self { tenant: tenant.as_str().to_owned(), deployment: deployment.as_str().to_owned() }
    }
}

/// What one deployment answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Which one.
    pub of: Place,
    /// What it answered, each once; labels are in [`Bulletin::labels`].
    pub events: Vec<Event>,
}

/// How the candidates of a rollout are in one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Of which deployment.
    pub of: Place,
    /// Which rollout decides there.
    pub rollout: String,
    /// By which row.
    pub generation: u64,
    /// Whether the candidates can answer.
    pub candidate: Readiness,
    /// The hard limit that one was beyond.
    pub tripped: Option<Tripped>,
}

/// A bulletin in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered {
    /// Whose it is.
    pub process: String,
    /// Counts those of the process, from 1.
    pub seq: i64,
    /// When it was written, by that process's clock.
    pub at: Timestamp,
    /// What it says.
    pub bulletin: Bulletin,
}

/// Bulletins of one process, as far as they were read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Told {
    /// In their order; without those that cannot be understood.
    pub bulletins: Vec<Numbered>,
    /// The number of the last one that was read, understood or not; nothing when there was none.
    pub last: Option<i64>,
}

/// Where bulletins are kept.
#[derive(Debug, Clone)]
pub struct News {
    db: Db,
    /// Processes that were not understood; that is said once of each.
    strange: Arc<Mutex<BTreeSet<String>>>,
}

impl News {
    /// Those of the processes on `db`, which must have been opened with [`crate::NEWS_MIGRATIONS`].
    pub fn new(db: Db) -> Self {
        Self { db, strange: Arc::default() }
    }

    /// Writes a bulletin.
    ///
    /// # Errors
    /// [`RolloutError::Store`]; it may be written again.
    pub async fn tell(&self, numbered: &Numbered) -> Result<(), RolloutError> {
        let Numbered { process, seq, at, bulletin } = numbered;
        let (process, seq, at, until) = (process.clone(), *seq, *at, bulletin.until);
        let body = packed(bulletin)?;
        self.db.write(move |c| async move { sql::tell(c, (&process, seq), (at, until), body).await }.boxed()).await
    }

    /// Writes that `process` lives at this moment of its own clock.
    ///
    /// # Errors
    /// [`RolloutError::Store`].
    pub async fn beat(&self, process: &str, at: Timestamp) -> Result<(), RolloutError> {
        let process = process.to_owned();
        self.db.write(move |c| async move { sql::beat(c, &process, at).await }.boxed()).await
    }

    /// When each process but `own` said last that it lives, by its own clock.
    ///
    /// # Errors
    /// [`RolloutError::Store`].
    pub async fn beats(&self, own: &str) -> Result<Vec<(String, Timestamp)>, RolloutError> {
        let own = own.to_owned();
        self.db.read(move |c| async move { sql::beats(c, &own).await }.boxed()).await
    }

    /// `process` ends: nobody is to wait for it.
    ///
    /// # Errors
    /// [`RolloutError::Store`].
    pub async fn gone(&self, process: &str) -> Result<(), RolloutError> {
        let process = process.to_owned();
        self.db.write(move |c| async move { sql::gone(c, &process).await }.boxed()).await
    }

    /// The number of the last bulletin of every process but `own`.
    ///
    /// # Errors
    /// [`RolloutError::Store`].
    pub async fn heads(&self, own: &str) -> Result<Vec<(String, i64)>, RolloutError> {
        let own = own.to_owned();
        self.db.read(move |c| async move { sql::heads(c, &own).await }.boxed()).await
    }

    /// The bulletins of `process` after number `after`; 200 at most. One that cannot be understood, such as another version's,
    /// is left out: what it tells is known once it is sealed.
    ///
    /// # Errors
    /// [`RolloutError::Store`].
    pub async fn after(&self, process: &str, after: i64) -> Result<Told, RolloutError> {
        let process = process.to_owned();
        let read = self.db.read(move |c| {
            async move { sql::after(c, &process, after, MOST).await.map(|rows| (process, rows)) }.boxed()
        });
        let (process, rows): (String, Vec<sql::Stored>) = read.await?;
        let mut told = Told::default();
        for sql::Stored { seq, at, body } in rows {
            told.last = Some(seq);
            match unpacked(&body) {
                Ok(bulletin) => told.bulletins.push(Numbered { process: process.clone(), seq, at, bulletin }),
                Err(error) if self.strange.lock().insert(process.clone()) => {
                    tracing::warn!(server = %process, %error, "what this server says of its rollouts counts once it is sealed");
                }
                Err(_) => {}
            }
        }
        Ok(told)
    }

    /// Forgets what `process` said of answers before `until`: the journal has them where everybody reads it.
    ///
    /// # Errors
    /// [`RolloutError::Store`].
    pub async fn forget(&self, process: &str, until: Timestamp) -> Result<(), RolloutError> {
        let process = process.to_owned();
        self.db.write(move |c| async move { sql::forget(c, &process, until).await }.boxed()).await
    }

    /// Forgets what anybody said before `at`, also processes that are no more.
    ///
    /// # Errors
    /// [`RolloutError::Store`].
    pub async fn forget_all(&self, at: Timestamp) -> Result<(), RolloutError> {
        self.db.write(move |c| async move { sql::forget_all(c, at).await }.boxed()).await
    }
}

fn stored(reason: impl std::fmt::Display) -> RolloutError {
    RolloutError::Stored { what: "bulletin", reason: reason.to_string() }
}

fn packed(bulletin: &Bulletin) -> Result<Vec<u8>, RolloutError> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut out, bulletin).map_err(stored)?;
    out.finish().map_err(stored)
}

fn unpacked(body: &[u8]) -> Result<Bulletin, RolloutError> {
    serde_json::from_reader(std::io::BufReader::new(GzDecoder::new(body))).map_err(stored)
}

#[cfg(test)]
mod tests;

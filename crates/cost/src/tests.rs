//! The domain over a real journal.

use super::*;
use crate::report::Line;
use mainspring_artifact::Artifacts;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{
    Assignment, Cached, Ctx, DType, ErrorKind, EventId, Failure, ManualClock, Name, Outcome, Prediction, Principal,
    Protocol, Target, Tenant, Tensor, Timestamp, Timing, Tokens,
};
use mainspring_journal::{Journal, JournalSettings, Retention};
use mainspring_query::{Limits, Query};
use mainspring_store::{Db, DbSettings};
use mainspring_testkit::{PATIENCE, may, may_in, open_gate};
use std::sync::Arc;

mod billed;
mod brought;
mod counted;
mod measured;
mod priced;
mod watched;

/// 2026-03-10T12:00:00Z.
pub(crate) const NOON: i64 = 1_773_144_000_000_000;
pub(crate) const HOUR: i64 = 3_600_000_000;

/// A cellar with two tenants.
struct Cellar;

impl House for Cellar {
    fn tenants(&self) -> PortResult<'_, Vec<Tenant>> {
        Box::pin(async { Ok(vec![Tenant::default(), other()]) })
    }

    fn days(&self, _: &Tenant, deployment: Option<&str>) -> Option<u32> {
        // What is asked of `brief` is kept for a week.
        Some(if deployment == Some("brief") { 7 } else { 90 })
    }

    fn stored<'a>(&'a self, who: &'a Arc<Principal>) -> PortResult<'a, Vec<Stored>> {
        let kept = |what, of: &str, bytes| Stored { what, of: of.into(), bytes };
        let own = who.tenant == Tenant::default();
        let all = vec![kept("model", "churn/1", 5_000_000_000), kept("journal", "churn", 1_000_000)];
        Box::pin(async move { Ok(if own { all } else { Vec::new() }) })
    }

    fn running<'a>(&'a self, _: &'a Arc<Principal>) -> PortResult<'a, Vec<Running>> {
        let one = Running { deployment: "churn".into(), model: "churn".into(), version: "1".into(), instances: 2 };
        Box::pin(async { Ok(vec![one]) })
    }
}

pub(crate) fn other() -> Tenant {
    Tenant::new("other").unwrap()
}

pub(crate) struct World {
    dir: tempfile::TempDir,
    pub ctx: Ctx,
    pub clock: ManualClock,
    pub db: Db,
    pub journal: Journal,
    pub costs: Costs,
}

impl World {
    pub async fn new() -> Self {
        Self::with_room(128 << 10).await
    }

    /// A journal in which so many events may wait.
    pub async fn with_room(events: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp(NOON));
        let ctx = Ctx { clock: Arc::new(clock.clone()), ..Ctx::system() };
        let settings = DbSettings::sqlite(dir.path().join("meta.db"));
        let db = Db::open(&settings, &[mainspring_journal::MIGRATIONS], &ctx).await.unwrap();
        let (kept, cache) = (dir.path().join("artifacts"), dir.path().join("cache"));
        let artifacts = Artifacts::open(kept.to_str().unwrap(), &cache).unwrap();
        let settings = JournalSettings { max_events: events, ..JournalSettings::new(dir.path().join("log")) };
        let journal = Journal::open(settings, artifacts, db.clone(), ctx.clone()).await.unwrap();
        let query = Query::new(journal.clone(), Limits::default());
        let costs = Costs::new(&query, Arc::new(Cellar), open_gate(Arc::clone(&ctx.clock)), ctx.clone());
        Self { dir, ctx, clock, db, journal, costs }
    }

    pub async fn report(&self, by: &[By]) -> Report {
        self.costs.report(&may(ReadCost), &request(by)).await.unwrap()
    }

    /// Breaks the sealed files whose path has `part` in it; what is answered mends them.
    pub fn spoil(&self, part: &str) -> impl FnOnce() + use<> {
        let mut folders = vec![self.dir.path().join("artifacts")];
        let mut before = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_str().unwrap().contains(part) {
                    let bytes = std::fs::read(&path).unwrap();
                    std::fs::write(&path, vec![0; bytes.len()]).unwrap();
                    before.push((path, bytes));
                }
            }
        }
        assert!(!before.is_empty(), "nothing of {part} is sealed");
        move || before.into_iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap())
    }

    pub async fn shut_down(self) {
        self.journal.close().await;
        assert!(self.ctx.tasks.shutdown(PATIENCE).await);
    }
}

/// The day around noon.
pub(crate) fn request(by: &[By]) -> Request {
    Request {
        from: Timestamp(NOON - 12 * HOUR),
        until: Timestamp(NOON + 12 * HOUR),
        by: by.to_vec(),
        deployment: None,
        prices: None,
    }
}

pub(crate) fn id(n: u64) -> EventId {
    EventId(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(n)))
}

/// An answer of one row that had its engine call to itself for a millisecond.
pub(crate) fn answer(n: u64, deployment: &str) -> Prediction {
    Prediction {
        id: id(n),
        at: Timestamp(NOON + n as i64),
        tenant: Tenant::default(),
        target: Arc::new(Target {
            deployment: deployment.into(),
            variant: "stable".into(),
            model: deployment.into(),
            version: "1".into(),
            columns: Arc::default(),
        }),
        protocol: Protocol::OipRest,
        client_id: None,
        caller: "key:k1".into(),
        assignment: Assignment::default(),
        outcome: Outcome::Ok,
        rows: 1,
        batch_rows: 1,
        timing: Timing { engine_ns: 1_000_000, queue_ns: 2_000, total_ns: 1_200_000, ..Timing::default() },
        tokens: None,
        cached: None,
        flags: None,
        params: None,
        inputs: Arc::default(),
        outputs: Arc::new([NamedTensor {
            name: "y".into(),
            tensor: Tensor::from_vec(DType::Fp32, vec![1], vec![1.0_f32]).unwrap(),
        }]),
    }
}

pub(crate) fn lines(report: &Report) -> Vec<(Vec<&str>, u64, u128)> {
    report
        .lines
        .iter()
        .map(|l| (l.of.iter().map(String::as_str).collect(), l.usage.answers, l.usage.compute_ns))
        .collect()
}

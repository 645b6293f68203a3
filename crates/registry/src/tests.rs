//! The registry over a folder and SQLite, or two of it over one Postgres, with a clock that stands
//! still.

mod freeze;
mod models;
mod points;
mod pure;
mod purge;
mod runs;
mod shared;
mod shown;

use crate::{MIGRATIONS, Registry};
use mainspring_artifact::Artifacts;
use mainspring_core::{Action, Authorized, Ctx, Gate, ManualClock, Principal, Role, Tasks, Tenant, Timestamp};
use mainspring_store::{Db, DbSettings, StoreError, Value};
use mainspring_testkit::{TempDb, open_gate};
use std::path::Path;
use std::sync::Arc;

/// A registry whose files, and whose database, go when it does.
struct Fixture {
    registry: Registry,
    db: Db,
    clock: ManualClock,
    gate: Gate,
    who: Arc<Principal>,
    kept: Arc<Kept>,
}

/// What registries that belong together share.
struct Kept {
    folder: tempfile::TempDir,
    _database: Option<TempDb>,
}

impl Fixture {
    /// Over SQLite.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = DbSettings::sqlite(folder.path().join("meta.db"));
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        Self::over(&settings, clock, 7, Arc::new(Kept { folder, _database: None })).await
    }

    /// Two processes that share a Postgres database, a folder of artifacts and a clock.
    async fn replicas() -> (Self, Self) {
        let database = TempDb::postgres();
        let (settings, clock) = (database.settings.clone(), database.clock.clone());
        let kept = Arc::new(Kept { folder: tempfile::tempdir().unwrap(), _database: Some(database) });
        let first = Self::over(&settings, clock.clone(), 7, Arc::clone(&kept)).await;
        let second = Self::over(&settings, clock, 8, kept).await;
        (first, second)
    }

    async fn over(settings: &DbSettings, clock: ManualClock, seed: u64, kept: Arc<Kept>) -> Self {
        let ctx = Ctx {
            clock: Arc::new(clock.clone()),
            ids: Arc::new(mainspring_core::SeededIds::new(seed)),
            tasks: Tasks::new(),
        };
        let db = Db::open(settings, &[MIGRATIONS], &ctx).await.unwrap();
        let registry = Registry::open(db.clone(), artifacts_in(kept.folder.path()), ctx).await.unwrap();
        let gate = open_gate(Arc::new(clock.clone()));
        Self { registry, db, clock, gate, who: Arc::new(Principal::loopback()), kept }
    }

    /// The one number that a query returns as `n`.
    async fn number(&self, sql: &'static str) -> i64 {
        let read = self.db.read(move |c| {
            Box::pin(async move { c.query_opt(sql, Vec::new()).await?.map_or(Ok::<_, StoreError>(0), |r| r.int("n")) })
        });
        read.await.unwrap()
    }

    async fn execute(&self, sql: &'static str, args: Vec<Value>) -> u64 {
        self.db.write(move |c| Box::pin(async move { c.execute(sql, args).await })).await.unwrap()
    }

    fn may<A: Action>(&self, action: A) -> Authorized<A> {
        self.gate.authorize(&self.who, action).unwrap()
    }

    fn as_tenant(&mut self, name: &str) {
        let tenant = Tenant::new(name).unwrap();
        self.who = Arc::new(Principal { subject: "key:x".into(), tenant, role: Role::Admin, ..Principal::loopback() });
    }
}

fn artifacts_in(folder: &Path) -> Artifacts {
    Artifacts::open(&folder.join("artifacts").display().to_string(), &folder.join("cache")).unwrap()
}

//! The registry over SQLite and a folder, with a clock that stands still.

mod models;
mod pure;
mod runs;

use crate::{MIGRATIONS, Registry};
use mainspring_artifact::Artifacts;
use mainspring_core::{
    Action, AuditRecord, AuditSink, Authorized, Ctx, Decision, Effect, Gate, ManualClock, Policy, Principal, Resource,
    Role, Tasks, Tenant, Timestamp,
};
use mainspring_store::{Db, DbSettings};
use std::sync::Arc;

struct Open;

impl Policy for Open {
    fn decide(&self, _: &Principal, _: &'static str, _: Effect, _: &Resource) -> Decision {
        Decision::Allow
    }
}

impl AuditSink for Open {
    fn record(&self, _: AuditRecord) {}
}

/// A registry in a temporary folder.
struct Fixture {
    registry: Registry,
    db: Db,
    clock: ManualClock,
    gate: Gate,
    who: Arc<Principal>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let ctx = Ctx {
            clock: Arc::new(clock.clone()),
            ids: Arc::new(mainspring_core::SeededIds::new(7)),
            tasks: Tasks::new(),
        };
        let db = Db::open(&DbSettings::sqlite(folder.path().join("meta.db")), &[MIGRATIONS], &ctx).await.unwrap();
        let files = folder.path().join("artifacts").display().to_string();
        let artifacts = Artifacts::open(&files, &folder.path().join("cache")).unwrap();
        let registry = Registry::open(db.clone(), artifacts, ctx).await.unwrap();
        let gate = Gate::new(Arc::new(Open), Arc::new(Open), Arc::new(clock.clone()));
        Self { registry, db, clock, gate, who: Arc::new(Principal::loopback()), _folder: folder }
    }

    fn may<A: Action>(&self, action: A) -> Authorized<A> {
        self.gate.authorize(&self.who, action).unwrap()
    }

    fn as_tenant(&mut self, name: &str) {
        let tenant = Tenant::new(name).unwrap();
        self.who = Arc::new(Principal { subject: "key:x".into(), tenant, role: Role::Admin });
    }
}

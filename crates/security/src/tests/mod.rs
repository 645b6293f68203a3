mod keys;
mod sessions;
mod trail;
mod units;

use crate::{CreateKey, CreatedKey, NewKey, RolePolicy, Security, SecuritySettings};
use mainspring_core::{
    Action, AuditRecord, AuditSink, Authorized, Clock, Ctx, Gate, ManualClock, Principal, Role, SystemIds, Tasks,
    Tenant, Timestamp,
};
use mainspring_store::{Db, DbSettings};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const START: Timestamp = Timestamp(1_700_000_000_000_000);

#[derive(Debug, Default)]
struct NoTrail;

impl AuditSink for NoTrail {
    fn record(&self, _record: AuditRecord) {}
}

/// A database and a clock that several handles, like several replicas, share.
struct World {
    _dir: tempfile::TempDir,
    db: Db,
    clock: ManualClock,
    ctx: Ctx,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(START);
        let ctx = Ctx { clock: Arc::new(clock.clone()), ids: Arc::new(SystemIds), tasks: Tasks::new() };
        let db = Db::open(&DbSettings::sqlite(dir.path().join("db")), &[crate::MIGRATIONS], &ctx).await.unwrap();
        Self { _dir: dir, db, clock, ctx }
    }

    async fn open(&self) -> Security {
        let settings = SecuritySettings { poll: Duration::from_millis(20), ..SecuritySettings::default() };
        Security::open(self.db.clone(), &self.ctx, settings).await.unwrap()
    }

    fn gate(&self) -> Gate {
        Gate::new(Arc::new(RolePolicy), Arc::new(NoTrail), Arc::new(self.clock.clone()) as Arc<dyn Clock>)
    }

    fn may<A: Action>(&self, who: &Arc<Principal>, action: A) -> Authorized<A> {
        self.gate().authorize(who, action).unwrap()
    }

    async fn create(&self, security: &Security, by: &Arc<Principal>, role: Role) -> CreatedKey {
        let new = NewKey { label: "test".into(), role, tenant: None, groups: Vec::new(), expires_at: None };
        security.create_key(&self.may(by, CreateKey { label: "test".into() }), new).await.unwrap()
    }
}

fn operator() -> Arc<Principal> {
    Arc::new(Principal::loopback())
}

fn admin_of(tenant: &str) -> Arc<Principal> {
    Arc::new(Principal {
        subject: "key:x".into(),
        tenant: Tenant::new(tenant).unwrap(),
        role: Role::Admin,
        ..Principal::loopback()
    })
}

/// Waits until `condition` holds, for at most a minute.
async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while !condition().await {
        assert!(std::time::Instant::now() < deadline, "the condition never held");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

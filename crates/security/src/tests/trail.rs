use super::{World, admin_of, until};
use crate::{ReadAudit, RolePolicy, Trail};
use mainspring_core::{Clock, Gate, Principal, Role, Tenant};
use std::sync::Arc;
use std::time::Duration;

fn reader(tenant: &str) -> Arc<Principal> {
    Arc::new(Principal {
        subject: "key:r".into(),
        tenant: Tenant::new(tenant).unwrap(),
        role: Role::Read,
        ..Principal::loopback()
    })
}

#[tokio::test]
async fn a_denial_is_written_with_its_reason() {
    let world = World::new().await;
    let security = world.open().await;
    let trail = Trail::start(world.db.clone(), &world.ctx);
    let gate =
        Gate::new(Arc::new(RolePolicy), Arc::clone(&trail) as _, Arc::new(world.clock.clone()) as Arc<dyn Clock>);
    let denied = gate.authorize(&reader("red"), ReadAudit).unwrap_err();
    assert!(denied.to_string().contains("needs the role admin"), "{denied}");
    let read = world.may(&admin_of("red"), ReadAudit);
    until(async || security.audit(&read, None, 10).await.unwrap().len() == 1).await;
    let line = security.audit(&read, None, 10).await.unwrap().remove(0);
    assert!(!line.allowed);
    assert_eq!((line.action.as_str(), line.subject.as_str()), ("audit.read", "key:r"));
    assert!(security.audit(&world.may(&admin_of("blue"), ReadAudit), None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_flood_of_denials_is_counted_not_written_and_shutdown_writes_the_rest() {
    let world = World::new().await;
    let security = world.open().await;
    let trail = Trail::start(world.db.clone(), &world.ctx);
    let gate =
        Gate::new(Arc::new(RolePolicy), Arc::clone(&trail) as _, Arc::new(world.clock.clone()) as Arc<dyn Clock>);
    for _ in 0..5000 {
        assert!(gate.authorize(&reader("red"), ReadAudit).is_err());
    }
    let stats = trail.stats();
    assert_eq!((stats.denials, stats.lost), (5000, 0));
    assert!(stats.suppressed > 4000, "{stats:?}");
    let read = world.may(&admin_of("red"), ReadAudit);
    assert!(world.ctx.tasks.shutdown(Duration::from_mins(1)).await);
    let written = security.audit(&read, None, 1000).await.unwrap().len() as u64;
    assert_eq!(written, stats.denials - stats.suppressed);
}

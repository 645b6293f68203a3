use super::{HERE, START, World, admin_of, operator, until};
use crate::{AuthError, CreateKey, ListKeys, NewKey, RevokeKey, RotateKey, SecurityError};
use mainspring_core::{Failure, Role, Tenant};
use mainspring_store::{FutureExt, StoreError, args};
use std::time::Duration;

const HOUR: i64 = 3_600_000_000;

#[tokio::test]
async fn a_key_works_as_whom_it_was_made_for() {
    let world = World::new().await;
    let security = world.open().await;
    assert!(!security.has_keys());
    let made = world.create(&security, &operator(), Role::Write).await;
    assert!(security.has_keys());
    let who = security.authenticate_key(made.key.reveal(), HERE).unwrap();
    assert_eq!((who.role, who.tenant.as_str()), (Role::Write, "default"));
    assert_eq!(&*who.subject, format!("key:{}", made.info.id));

    let mut wrong = made.key.reveal().to_owned();
    let last = if wrong.pop() == Some('A') { 'B' } else { 'A' };
    wrong.push(last);
    assert_eq!(security.authenticate_key(&wrong, HERE), Err(AuthError::UnknownKey));
}

#[tokio::test]
async fn neither_the_database_nor_debug_output_holds_the_secret() {
    let world = World::new().await;
    let security = world.open().await;
    let made = world.create(&security, &operator(), Role::Read).await;
    let secret = made.key.reveal().rsplit_once('_').map(|(_, s)| s.to_owned()).unwrap();
    let rows: Result<_, StoreError> =
        world.db.read(|c| async move { c.query("SELECT * FROM api_keys", args![]).await }.boxed()).await;
    assert!(!format!("{:?}", rows.unwrap()).contains(&secret));
    assert!(!format!("{made:?}").contains(&secret));
}

#[tokio::test]
async fn an_expired_key_stops_by_itself() {
    let world = World::new().await;
    let security = world.open().await;
    let auth = world.may(&operator(), CreateKey { label: "short".into() });
    let new =
        |expires_at| NewKey { label: "short".into(), role: Role::Read, tenant: None, groups: Vec::new(), expires_at };
    let made = security.create_key(&auth, new(Some(START.plus_micros(HOUR)))).await.unwrap();
    assert!(security.authenticate_key(made.key.reveal(), HERE).is_ok());
    world.clock.advance(HOUR);
    assert_eq!(security.authenticate_key(made.key.reveal(), HERE), Err(AuthError::ExpiredKey));
    assert!(!security.has_keys());
    assert!(matches!(security.create_key(&auth, new(Some(START))).await, Err(SecurityError::Past)));
}

#[tokio::test]
async fn a_revoked_key_stops_at_once_and_soon_everywhere() {
    let world = World::new().await;
    let (here, there) = (world.open().await, world.open().await);
    let made = world.create(&here, &operator(), Role::Read).await;
    until(async || there.authenticate_key(made.key.reveal(), HERE).is_ok()).await;
    here.revoke_key(&world.may(&operator(), RevokeKey { id: made.info.id.clone() })).await.unwrap();
    assert_eq!(here.authenticate_key(made.key.reveal(), HERE), Err(AuthError::UnknownKey));
    until(async || there.authenticate_key(made.key.reveal(), HERE).is_err()).await;
    let listed = here.list_keys(&world.may(&operator(), ListKeys)).await.unwrap();
    assert!(listed[0].revoked_at.is_some());
}

#[tokio::test]
async fn a_rotated_key_works_until_its_grace_ends() {
    let world = World::new().await;
    let security = world.open().await;
    let old = world.create(&security, &operator(), Role::Write).await;
    let rotate = || world.may(&operator(), RotateKey { id: old.info.id.clone() });
    let new = security.rotate_key(&rotate(), Duration::from_hours(1), None).await.unwrap();
    assert_eq!((new.info.role, new.info.label.as_str()), (Role::Write, "test"));
    for key in [&old, &new] {
        assert!(security.authenticate_key(key.key.reveal(), HERE).is_ok());
    }
    let again = security.rotate_key(&rotate(), Duration::ZERO, None).await.unwrap_err();
    assert!(matches!(&again, SecurityError::Replaced { by, .. } if *by == new.info.id), "{again}");
    assert!(!again.to_string().contains("revoked") && again.hint().unwrap().ends_with(&new.info.id), "{again}");
    world.clock.advance(HOUR);
    // Its grace is over, and still it is the other one that is to be rotated.
    let late = security.rotate_key(&rotate(), Duration::ZERO, None).await.unwrap_err();
    assert!(matches!(late, SecurityError::Replaced { .. }), "{late}");
    assert_eq!(security.authenticate_key(old.key.reveal(), HERE), Err(AuthError::ExpiredKey));
    assert!(security.authenticate_key(new.key.reveal(), HERE).is_ok());
}

#[tokio::test]
async fn a_rotated_key_lasts_as_long_as_the_old_one_was_made_for() {
    let world = World::new().await;
    let security = world.open().await;
    let auth = world.may(&operator(), CreateKey { label: "ci".into() });
    let days = |n: i64| n * 24 * HOUR;
    let made =
        |expires_at| NewKey { label: "ci".into(), role: Role::Read, tenant: None, groups: Vec::new(), expires_at };
    let old = security.create_key(&auth, made(Some(START.plus_micros(days(90))))).await.unwrap();
    let forever = security.create_key(&auth, made(None)).await.unwrap();
    world.clock.advance(days(89));
    let now = START.plus_micros(days(89));
    let rotate = |id: &str| world.may(&operator(), RotateKey { id: id.to_owned() });
    let hour = Duration::from_hours(1);
    let new = security.rotate_key(&rotate(&old.info.id), hour, None).await.unwrap();
    assert_eq!(new.info.expires_at, Some(now.plus_micros(days(90))));
    // The next rotation goes by the new one's lifetime, unless it is told.
    let never = security.rotate_key(&rotate(&new.info.id), hour, Some(Duration::ZERO)).await;
    assert!(matches!(never, Err(SecurityError::Past)));
    let told = security.rotate_key(&rotate(&new.info.id), hour, Some(Duration::from_hours(48))).await.unwrap();
    assert_eq!(told.info.expires_at, Some(now.plus_micros(days(2))));
    let still = security.rotate_key(&rotate(&forever.info.id), hour, None).await.unwrap();
    assert_eq!(still.info.expires_at, None);
    world.clock.advance(HOUR);
    assert_eq!(security.authenticate_key(old.key.reveal(), HERE), Err(AuthError::ExpiredKey));
}

#[tokio::test]
async fn tenants_do_not_see_or_touch_each_others_keys() {
    let world = World::new().await;
    let security = world.open().await;
    let (red, blue) = (admin_of("red"), admin_of("blue"));
    let made = world.create(&security, &red, Role::Read).await;
    assert!(security.list_keys(&world.may(&blue, ListKeys)).await.unwrap().is_empty());
    let revoked = security.revoke_key(&world.may(&blue, RevokeKey { id: made.info.id.clone() })).await;
    assert!(matches!(revoked, Err(SecurityError::NoSuchKey { .. })));
    let rotated =
        security.rotate_key(&world.may(&blue, RotateKey { id: made.info.id.clone() }), Duration::ZERO, None).await;
    assert!(matches!(rotated, Err(SecurityError::NoSuchKey { .. })));
    assert!(security.authenticate_key(made.key.reveal(), HERE).is_ok());

    let for_red = NewKey {
        label: "x".into(),
        role: Role::Read,
        tenant: Some(red.tenant.clone()),
        groups: Vec::new(),
        expires_at: None,
    };
    let auth = world.may(&blue, CreateKey { label: "x".into() });
    assert!(matches!(security.create_key(&auth, for_red.clone()).await, Err(SecurityError::OtherTenant { .. })));
    let auth = world.may(&operator(), CreateKey { label: "x".into() });
    assert_eq!(security.create_key(&auth, for_red).await.unwrap().info.tenant, Tenant::new("red").unwrap());
    assert_eq!(security.list_keys(&world.may(&operator(), ListKeys)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn last_use_is_kept_to_the_minute_across_restarts() {
    let world = World::new().await;
    let security = world.open().await;
    let made = world.create(&security, &operator(), Role::Read).await;
    let seen =
        async |s: &crate::Security| s.list_keys(&world.may(&operator(), ListKeys)).await.unwrap()[0].last_used_at;
    assert_eq!(seen(&security).await, None);
    security.authenticate_key(made.key.reveal(), HERE).unwrap();
    assert_eq!(seen(&security).await, Some(START));
    world.clock.advance(1_000_000);
    security.authenticate_key(made.key.reveal(), HERE).unwrap();
    assert_eq!(seen(&security).await, Some(START), "not written again within the minute");
    security.flush_uses().await.unwrap();
    assert_eq!(seen(&world.open().await).await, Some(START));
}

#[tokio::test]
async fn each_change_is_audited_and_labels_are_checked() {
    let world = World::new().await;
    let security = world.open().await;
    let made = world.create(&security, &operator(), Role::Read).await;
    security.revoke_key(&world.may(&operator(), RevokeKey { id: made.info.id.clone() })).await.unwrap();
    let trail = security.audit(&world.may(&operator(), crate::ReadAudit), None, 10).await.unwrap();
    let actions: Vec<_> = trail.iter().map(|e| e.action.as_str()).collect();
    assert_eq!(actions, ["key.revoke", "key.create"]);
    for label in [String::new(), "  ".into(), "x".repeat(201)] {
        let new = NewKey { label, role: Role::Read, tenant: None, groups: Vec::new(), expires_at: None };
        let auth = world.may(&operator(), CreateKey { label: "x".into() });
        assert!(matches!(security.create_key(&auth, new).await, Err(SecurityError::Label(_))));
    }
}

#[tokio::test]
async fn a_flood_of_wrong_keys_is_throttled_but_a_right_one_passes() {
    let world = World::new().await;
    let security = world.open().await;
    let made = world.create(&security, &operator(), Role::Read).await;
    let wrong = "msk_0000000000000000_x";
    let mut throttled = 0;
    for _ in 0..40 {
        match security.authenticate_key(wrong, HERE) {
            Err(AuthError::Throttled(wait)) => {
                assert!(wait <= Duration::from_mins(1));
                throttled += 1;
            }
            other => assert_eq!(other, Err(AuthError::UnknownKey)),
        }
    }
    assert_eq!(throttled, 10);
    assert!(security.authenticate_key(made.key.reveal(), HERE).is_ok());
    let other = "192.0.2.1".parse().unwrap();
    assert_eq!(security.authenticate_key(wrong, other), Err(AuthError::UnknownKey));
}

use super::{World, operator, until};
use crate::{AuthError, CloseSession, OpenSession, RevokeKey, SecurityError, Session};
use mainspring_core::Role;

const HOUR: i64 = 3_600_000_000;

async fn login(world: &World, security: &crate::Security) -> (Session, String) {
    let made = world.create(security, &operator(), Role::Write).await;
    let who = security.authenticate_key(made.key.reveal(), super::HERE).unwrap();
    let session = security.login(&world.may(&who, OpenSession), made.key.reveal()).await.unwrap();
    (session, made.info.id)
}

#[tokio::test]
async fn a_session_is_who_its_key_is_and_needs_its_csrf_token_to_change_things() {
    let world = World::new().await;
    let security = world.open().await;
    let (session, _) = login(&world, &security).await;
    let token = session.token.reveal();
    let who = security.authenticate_session(token, None).unwrap();
    assert_eq!(who.role, Role::Write);
    assert!(who.subject.starts_with("session:"));
    assert!(security.authenticate_session(token, Some(Some(&session.csrf))).is_ok());
    for wrong in [None, Some(""), Some("0"), Some(token)] {
        assert_eq!(security.authenticate_session(token, Some(wrong)), Err(AuthError::Csrf));
    }
    assert_eq!(security.authenticate_session("other", None), Err(AuthError::SessionEnded));
}

#[tokio::test]
async fn a_session_ends_when_idle_and_in_any_case() {
    let world = World::new().await;
    let security = world.open().await;
    let (session, _) = login(&world, &security).await;
    let token = session.token.reveal();
    for _ in 0..23 {
        world.clock.advance(7 * HOUR);
        assert!(security.authenticate_session(token, None).is_ok(), "used every 7 hours");
    }
    world.clock.advance(7 * HOUR);
    assert_eq!(security.authenticate_session(token, None), Err(AuthError::SessionEnded), "a week is over");

    let (session, _) = login(&world, &security).await;
    world.clock.advance(8 * HOUR);
    assert_eq!(security.authenticate_session(session.token.reveal(), None), Err(AuthError::SessionEnded), "idle");
}

#[tokio::test]
async fn a_session_outlives_a_restart_but_not_logout_or_its_key() {
    let world = World::new().await;
    let security = world.open().await;
    let (session, _) = login(&world, &security).await;
    let token = session.token.reveal();
    let other = world.open().await;
    let who = other.authenticate_session(token, None).unwrap();
    other.logout(&world.may(&who, CloseSession), token).await.unwrap();
    assert_eq!(other.authenticate_session(token, None), Err(AuthError::SessionEnded));
    until(async || security.authenticate_session(token, None).is_err()).await;

    let (session, key) = login(&world, &security).await;
    security.revoke_key(&world.may(&operator(), RevokeKey { id: key })).await.unwrap();
    assert_eq!(security.authenticate_session(session.token.reveal(), None), Err(AuthError::SessionEnded));
}

#[tokio::test]
async fn nobody_logs_in_with_another_ones_key() {
    let world = World::new().await;
    let security = world.open().await;
    let made = world.create(&security, &operator(), Role::Write).await;
    let auth = world.may(&operator(), OpenSession);
    let refused = security.login(&auth, made.key.reveal()).await;
    assert!(matches!(refused, Err(SecurityError::Auth(AuthError::UnknownKey))));
    assert!(matches!(security.login(&auth, "msk_x").await, Err(SecurityError::Auth(_))));
}

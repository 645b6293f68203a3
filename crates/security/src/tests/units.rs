use crate::key::{Parts, generate, id_text};
use crate::throttle::Throttle;
use crate::{RolePolicy, csrf_of};
use mainspring_core::{Decision, Effect, Policy, Principal, Resource, Role, Tenant};
use proptest::prelude::*;
use std::net::IpAddr;
use std::time::{Duration, Instant};

#[test]
fn a_role_covers_itself_and_what_is_below() {
    let roles = [Role::Infer, Role::Read, Role::Write, Role::Admin];
    let effects = [Effect::Infer, Effect::Read, Effect::Write, Effect::Admin];
    for (r, role) in roles.into_iter().enumerate() {
        let who = Principal { subject: "s".into(), tenant: Tenant::default(), role, ..Principal::loopback() };
        for (e, effect) in effects.into_iter().enumerate() {
            let on = Resource { kind: "x", name: "y".into() };
            let allowed = RolePolicy.decide(&who, "x.y", effect, &on) == Decision::Allow;
            assert_eq!(allowed, r >= e, "{role:?} {effect:?}");
        }
    }
}

#[test]
fn keys_differ_and_parse_back() {
    let (one, hash) = generate(7).unwrap();
    let (two, _) = generate(7).unwrap();
    assert_ne!(one, two);
    let parts = Parts::parse(one.reveal()).unwrap();
    assert_eq!((parts.id, parts.hash()), (7, hash));
    assert_eq!(one.reveal().len(), "msk_".len() + 16 + 1 + 43);
    assert!(one.reveal().contains(&id_text(7)));
}

#[test]
fn a_csrf_token_belongs_to_one_session() {
    assert_eq!(csrf_of("a"), csrf_of("a"));
    assert_ne!(csrf_of("a"), csrf_of("b"));
}

#[test]
fn the_throttle_forgets_after_its_window_and_counts_a_64_as_one() {
    let throttle = Throttle::new(2, Duration::from_secs(10));
    let now = Instant::now();
    let one: IpAddr = "2001:db8::1".parse().unwrap();
    let two: IpAddr = "2001:db8::ffff:2".parse().unwrap();
    assert_eq!(throttle.failed(one, now), None);
    assert_eq!(throttle.failed(two, now), None);
    assert_eq!(throttle.failed(one, now + Duration::from_secs(4)), Some(Duration::from_secs(6)));
    assert_eq!(throttle.failed(one, now + Duration::from_secs(10)), None);
}

proptest! {
    #[test]
    fn any_text_as_a_key_is_refused_without_panic(text in ".{0,100}", tail in "[_a-f0-9é]{0,40}") {
        prop_assume!(Parts::parse(&text).is_none_or(|p| text.starts_with(&format!("msk_{}", id_text(p.id)))));
        let _maybe = Parts::parse(&format!("msk_{tail}"));
    }
}

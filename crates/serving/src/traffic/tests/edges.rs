//! What callers must not be able to do to a candidate, and a shadow to those whom it follows.

use super::{USER, last, limits};
use crate::testing::{Rig, Said, limited, name, other, request, reweighted, row, shadowed, until};
use crate::{Ask, HumanDuration, Infer, InferRequest, VariantState};
use mainspring_core::{Assignment, ErrorKind, Failure};
use mainspring_traffic::{Contexts, Feature, Levels, Policy, Row, Share, Split, UnitFrom, unit_id};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_limit_of_time_that_the_caller_sets_never_trips_a_candidate() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "quick 2");
    let first = limited(&row("request", &[("1", 0), ("2", 100)]), limits(0.01));
    rig.route(Some(first.clone())).unwrap();
    rig.settled("m").await;
    let late = || InferRequest { deadline: Some(Instant::now()), ..request(&[1.0]) };
    for _ in 0..60 {
        assert_eq!(rig.infer(late()).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    }
    assert_eq!(rig.describe("m").unwrap().variants[1].state, VariantState::Ready);
    // The deployment's own limit is the candidate's to keep, whatever the caller says beside it.
    rig.deploy("m", |s| s.limits.deadline = Some(HumanDuration(Duration::from_nanos(1)))).unwrap();
    rig.settled("m").await;
    let patient = || InferRequest { deadline: Some(Instant::now() + Duration::from_mins(1)), ..request(&[1.0]) };
    for _ in 0..60 {
        let _late_until_it_trips = rig.infer(patient()).await;
    }
    assert_eq!(rig.describe("m").unwrap().variants[1].state, VariantState::Tripped);
}

#[tokio::test]
async fn a_candidate_that_was_taken_out_may_begin_anew() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "panics 2");
    let first = limited(&row("request", &[("1", 0), ("2", 100)]), limits(0.2));
    rig.route(Some(first.clone())).unwrap();
    rig.settled("m").await;
    let state = || rig.describe("m").unwrap().variants[1].state;
    let fail = async || {
        for _ in 0..30 {
            let _some_fail = rig.ask(&[1.0]).await;
        }
    };
    fail().await;
    assert_eq!(state(), VariantState::Tripped);
    // The rollback, and the next run of the same rollout.
    let back = reweighted(&first, &[100, 0]);
    rig.route(Some(back.clone())).unwrap();
    assert_eq!(state(), VariantState::Ready);
    rig.route(Some(reweighted(&back, &[0, 100]))).unwrap();
    assert_eq!(state(), VariantState::Ready);
    fail().await;
    assert_eq!(state(), VariantState::Tripped, "it is watched again");
}

#[tokio::test]
async fn stable_is_counted_however_many_candidates_were_tried() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    for version in 2..22 {
        let version = version.to_string();
        rig.shelf.put(&version, "quick 2");
        let next = row("request", &[("1", 100), (&version, 0)]);
        rig.route(Some(Row { rollout: version.clone(), ..next })).unwrap();
        rig.settled("m").await;
        rig.ask(&[1.0]).await.unwrap();
    }
    let stats = &rig.serving.stats(&rig.auth(crate::ReadStats { deployment: None }))[0];
    let stable = stats.versions.iter().find(|v| &*v.target.variant == "stable").expect("stable has no counters");
    assert_eq!((stable.inference_count, stats.versions.len()), (20, 16));
}

#[tokio::test]
async fn a_slow_shadow_takes_no_thread_from_those_whom_it_follows() {
    let rig = Rig::serving("busy 1", |_| {}).await;
    rig.shelf.put("2", "gated 2");
    rig.route(Some(shadowed(&row("request", &[("1", 100), ("2", 0)]), 100, 8))).unwrap();
    rig.settled("m").await;
    rig.engine.door.shut();
    for _ in 0..20 {
        // Both are too slow to run on the caller's thread, and the shadow stands at the door.
        let asked = tokio::time::timeout(Duration::from_secs(30), rig.ask(&[5.0])).await;
        assert_eq!(asked.expect("the shadow holds it up").unwrap(), [6.0]);
    }
    let shadow = || rig.describe("m").unwrap().variants[1].shadow.unwrap();
    assert_eq!((shadow().in_flight, shadow().answered), (8, 0));
    rig.engine.door.open();
    until(|| shadow().answered == 8).await;
}

#[tokio::test]
async fn an_answer_in_parts_has_a_shadow_in_parts() {
    let rig = Rig::serving("parts 10", |_| {}).await;
    rig.shelf.put("2", "parts 20");
    rig.route(Some(shadowed(&row("request", &[("1", 100), ("2", 0)]), 100, 8))).unwrap();
    rig.settled("m").await;
    let auth = rig.auth(Infer { deployment: name("m") });
    let mut answer = rig.serving.infer_parts(&auth, request(&[3.0])).unwrap();
    let mut parts = 0;
    while let Some(part) = answer.next().await {
        part.unwrap();
        parts += 1;
    }
    until(|| rig.sink.0.lock().len() == 2).await;
    let events = rig.sink.0.lock().clone();
    let (shadows, real): (Vec<_>, Vec<_>) = events.iter().partition(|e| e.assignment.shadow_of.is_some());
    assert_eq!((parts, shadows[0].assignment.shadow_of), (3, Some(real[0].id)));
    assert_eq!(real[0].outputs[0].tensor.to_vec::<f32>().unwrap(), [10.0, 11.0, 12.0]);
    assert_eq!(shadows[0].outputs[0].tensor.to_vec::<f32>().unwrap(), [20.0, 21.0, 22.0]);
    // A caller that goes has got nothing to compare with.
    let mut left = rig.serving.infer_parts(&auth, request(&[3.0])).unwrap();
    left.next().await.unwrap().unwrap();
    drop(left);
    until(|| rig.sink.0.lock().len() == 3).await;
    assert_eq!(rig.describe("m").unwrap().variants[1].shadow.unwrap().answered, 1);
}

#[tokio::test]
async fn what_is_said_of_a_unit_is_what_its_requests_get() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "other 2");
    let auth = rig.auth(Infer { deployment: name("m") });
    let all = &[("1", 0), ("2", 100)];
    rig.route(Some(row("field:x", all))).unwrap();
    rig.settled("m").await;
    // The candidate takes other inputs, so requests go to stable.
    let said = rig.serving.assigned(&auth, Some(b"5"), &()).unwrap();
    rig.ask(&[5.0]).await.unwrap();
    assert_eq!((said.variant.as_str(), &*last(&rig).target.variant, said.unit_is_missing), ("stable", "stable", None));
    rig.route(Some(other(&row("request", all)))).unwrap();
    rig.settled("m").await;
    assert_eq!(rig.serving.assigned(&auth, Some(b"5"), &()).unwrap().unit_is_missing, Some(UnitFrom::Request));
    rig.route(Some(row("cookie:uid", all))).unwrap();
    rig.settled("m").await;
    let missing = |unit, head: &Said| rig.serving.assigned(&auth, unit, head).unwrap().unit_is_missing;
    let uid = "cookie:uid".parse().ok();
    assert_eq!(missing(None, &Said("x-user", "5".into())), uid);
    assert_eq!(missing(None, &Said("cookie", "uid=5".into())), None, "its own cookie");
    assert_eq!(missing(Some(b"5"), &Said("cookie", String::new())), None);
    rig.route(Some(other(&row("key", all)))).unwrap();
    rig.settled("m").await;
    assert_eq!(rig.serving.assigned(&auth, Some(b"5"), &()).unwrap().unit_is_missing, Some(UnitFrom::Key));
    let keyed = rig.keyed("key:ab12", Infer { deployment: name("m") });
    assert_eq!(rig.serving.assigned(&keyed, None, &()).unwrap().unit_is_missing, None);
}

#[tokio::test]
async fn the_variant_is_known_before_the_answer_and_is_the_one_that_answers() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    let auth = rig.auth(Infer { deployment: name("m") });
    let pick = || rig.serving.pick(&auth, Ask { version: None, head: &() }).unwrap();
    assert_eq!(pick().variant(&[]).as_str(), "stable");
    rig.shelf.put("2", "quick 2");
    for unit in ["field:x", "request"] {
        rig.route(Some(other(&row(unit, &[("1", 50), ("2", 50)])))).unwrap();
        rig.settled("m").await;
        for user in 0..20_u8 {
            let asked = request(&[f32::from(user)]);
            let mut picked = pick();
            let variant = picked.variant(&asked.inputs);
            let answer = rig.serving.infer(&auth, InferRequest { picked: Some(picked), ..asked }).await.unwrap();
            assert_eq!(variant.as_str(), &*answer.target.variant, "{unit} {user}");
        }
        rig.route(None).unwrap();
        rig.settled("m").await;
    }
}

#[tokio::test]
async fn a_policy_chooses_by_the_inputs_and_the_journal_says_how() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "quick 2");
    let feature = Feature { input: "x".into(), levels: Levels::Cuts(vec![10.0]) };
    let split = |ppm| {
        let share = |ppm| Share::from_ppm(ppm).unwrap();
        Split::new(&[share(1_000_000 - ppm), share(ppm)]).unwrap()
    };
    let splits = vec![split(500_000), split(200_000), split(900_000)];
    let policy = Policy { contexts: Contexts::new(vec![feature]).unwrap(), splits };
    let row = Row { policy: Some(policy), ..row("header:x-user", &[("1", 50), ("2", 50)]) };
    rig.route(Some(row.clone())).unwrap();
    rig.settled("m").await;
    let mut seen = [[0; 2]; 3];
    for user in 0..60 {
        let user = format!("user-{user}");
        for (value, context) in [(1.0, 1), (20.0, 2), (f32::NAN, 0)] {
            let choice = row.choose(user.as_bytes(), Some(context));
            let got = rig.ask_as((USER, &user), value).await.unwrap();
            assert!(value.is_nan() || got == value + 1.0 + f32::from(choice.variant), "{user} with {value}: {got}");
            let Assignment { context: journaled, generation, propensity, unit, .. } = last(&rig).assignment;
            assert_eq!((journaled, generation, unit), (Some(context), Some(1), Some(unit_id(user.as_bytes()))));
            assert_eq!(propensity, choice.propensity as f32);
            seen[usize::from(context)][usize::from(choice.variant)] += 1;
        }
    }
    assert!(seen[1][0] > 2 * seen[1][1] && seen[2][1] > 2 * seen[2][0], "{seen:?}");
    // Without its unit a request is answered by chance of its own and counted nowhere.
    rig.ask(&[1.0]).await.unwrap();
    let Assignment { context, generation, unit, .. } = last(&rig).assignment;
    assert_eq!((context, generation, unit), (None, None, None));
    let auth = rig.auth(Infer { deployment: name("m") });
    assert!(rig.serving.assigned(&auth, Some(b"user-1"), &()).unwrap().by_inputs);
}

use crate::testing::{Rig, named, request, reweighted, row, shadowed, spawn, until};
use crate::{Ask, Infer, InferRequest, ServeError, State, VariantState};
use mainspring_core::{DType, ErrorKind, Failure, Name, Outcome, Prediction, Tensor};
use mainspring_traffic::{HardLimits, Share, unit_id};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

mod edges;
mod real;

const USER: &str = "x-user";

/// Version 1 adds 1 and is stable, version 2 adds 2 and is the candidate with `percent` of the traffic.
async fn rig(unit: &str, percent: u32) -> Rig {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "quick 2");
    rig.route(Some(row(unit, &[("1", 100 - percent), ("2", percent)]))).unwrap();
    let view = rig.settled("m").await;
    assert!(view.variants.iter().all(|v| v.state == VariantState::Ready), "{:?}", view.variants);
    rig
}

fn last(rig: &Rig) -> Prediction {
    rig.sink.0.lock().last().unwrap().clone()
}

#[tokio::test]
async fn each_unit_gets_its_variant_and_the_journal_says_how() {
    let rig = rig("header:x-user", 30).await;
    let row = row("header:x-user", &[("1", 70), ("2", 30)]);
    let mut of_candidate = 0;
    for user in 0..200 {
        let user = format!("user-{user}");
        let choice = row.route.choose(user.as_bytes());
        let version = f32::from(choice.variant) + 1.0;
        for retry in 0..2 {
            assert_eq!(rig.ask_as((USER, &user), 10.0).await.unwrap(), 10.0 + version, "{user}, {retry}");
            let event = last(&rig);
            assert_eq!(&*event.target.variant, ["stable", "v2"][usize::from(choice.variant)]);
            assert_eq!(*event.target.version, version.to_string());
            let how = event.assignment;
            assert_eq!((how.forced, how.generation, how.unit), (false, Some(1), Some(unit_id(user.as_bytes()))));
            assert!((f64::from(how.propensity) - choice.propensity).abs() < 1e-6);
        }
        of_candidate += u32::from(choice.variant);
    }
    assert!((30..90).contains(&of_candidate), "{of_candidate} of 200 at 30 %");
    let view = rig.describe("m").unwrap();
    let seen: Vec<_> = view.variants.iter().map(|v| (v.name.as_str(), v.version.as_deref(), v.weight.ppm())).collect();
    assert_eq!(seen, [("stable", Some("1"), 700_000), ("v2", Some("2"), 300_000)]);
    assert_eq!((view.rollout.as_deref(), view.versions.len()), (Some("r"), 2));
    assert!(view.versions[0].current && !view.versions[1].current);
    assert!(view.choice.unwrap().contains("models:/m@champion is looked at again"));
}

#[tokio::test]
async fn without_a_row_there_is_no_assignment() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    assert_eq!(rig.ask_as((USER, "a"), 1.0).await.unwrap(), 2.0);
    assert_eq!(last(&rig).assignment, mainspring_core::Assignment::default());
    assert!(rig.describe("m").unwrap().variants.is_empty());
}

#[tokio::test]
async fn a_request_without_its_unit_is_answered_and_not_counted() {
    let rig = rig("header:x-user", 50).await;
    for _ in 0..50 {
        rig.ask(&[1.0]).await.unwrap();
        let how = last(&rig).assignment;
        assert_eq!((how.generation, how.unit), (None, None));
    }
    let versions: Vec<_> = rig.sink.0.lock().iter().map(|e| e.target.version.to_string()).collect();
    assert!(versions.contains(&"1".into()) && versions.contains(&"2".into()), "each by its own id");
    assert!(rig.ask_as((USER, ""), 1.0).await.is_ok());
    assert_eq!(last(&rig).assignment.unit, None, "an empty header is no unit");
}

#[tokio::test]
async fn a_cookie_is_a_unit_whatever_stands_beside_it() {
    let rig = rig("cookie:uid", 50).await;
    for (cookies, unit) in [
        ("uid=42", Some(unit_id(b"42"))),
        ("theme=dark; uid=\"42\"; lang=de", Some(unit_id(b"42"))),
        ("uid=42; uid=43", Some(unit_id(b"42"))),
        ("uid=", None),
        ("theme=dark", None),
    ] {
        rig.ask_as(("cookie", cookies), 1.0).await.unwrap();
        let how = last(&rig).assignment;
        assert_eq!((how.unit, how.generation), (unit, unit.map(|_| 1)), "{cookies}");
    }
    rig.ask_as((USER, "42"), 1.0).await.unwrap();
    assert_eq!(last(&rig).assignment.unit, None, "a header is no cookie");
}

#[tokio::test]
async fn the_journal_knows_a_cookie_while_no_rollout_decides() {
    let rig = Rig::serving("quick 1", |spec| spec.journal.unit = Some("cookie:uid".parse().unwrap())).await;
    for (cookies, unit) in [("a=1; uid=7", Some(unit_id(b"7"))), ("a=1", None)] {
        rig.ask_as(("cookie", cookies), 1.0).await.unwrap();
        assert_eq!(last(&rig).assignment.unit, unit);
    }
}

#[tokio::test]
async fn each_request_is_a_unit_where_the_row_says_so() {
    let rig = rig("request", 50).await;
    for _ in 0..20 {
        rig.ask(&[1.0]).await.unwrap();
        let event = last(&rig);
        assert_eq!(event.assignment.unit, Some(unit_id(event.id.as_bytes())));
        assert_eq!(event.assignment.generation, Some(1));
    }
}

#[tokio::test]
async fn the_callers_key_is_a_unit() {
    let rig = rig("key", 50).await;
    rig.ask(&[1.0]).await.unwrap();
    assert_eq!(last(&rig).assignment.unit, None, "loopback has no key");
    let auth = rig.keyed("key:ab12", Infer { deployment: Name::new("m").unwrap() });
    let answers = async || {
        let answer = rig.serving.infer(&auth, request(&[1.0])).await.unwrap();
        let version = answer.target.version.to_string();
        answer.encoded().await.unwrap();
        version
    };
    let first = answers().await;
    assert_eq!(last(&rig).assignment.unit, Some(unit_id(b"key:ab12")));
    assert_eq!(answers().await, first);
}

#[tokio::test]
async fn an_input_is_a_unit_whatever_its_type() {
    let rig = rig("field:x", 50).await;
    let row = row("field:x", &[("1", 50), ("2", 50)]);
    let mut seen = [false; 2];
    for user in 0..20_u8 {
        let variant = row.route.choose(user.to_string().as_bytes()).variant;
        let got = rig.ask(&[f32::from(user), 7.0]).await.unwrap();
        assert_eq!(got[0], f32::from(user) + 1.0 + f32::from(variant), "unit {user}");
        assert_eq!(last(&rig).assignment.unit, Some(unit_id(user.to_string().as_bytes())));
        seen[usize::from(variant)] = true;
    }
    assert_eq!(seen, [true; 2]);
    rig.ask(&[f32::NAN]).await.unwrap();
    assert_eq!(last(&rig).assignment.unit, None);
}

#[tokio::test]
async fn a_candidate_of_other_inputs_is_kept_out_of_what_was_made_for_stable() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "other 2");
    rig.route(Some(row("field:x", &[("1", 0), ("2", 100)]))).unwrap();
    let view = rig.settled("m").await;
    assert!(view.variants[1].reason.as_ref().unwrap().contains("takes other inputs"), "{:?}", view.variants[1]);
    assert_eq!(rig.ask(&[5.0]).await.unwrap(), [6.0]);
    assert_eq!(last(&rig).assignment.generation, None);
    // By a header the choice is made first, and inputs are made for what was chosen.
    rig.route(Some(crate::testing::other(&row("header:x-user", &[("1", 0), ("2", 100)])))).unwrap();
    let auth = rig.auth(Infer { deployment: Name::new("m").unwrap() });
    let picked = rig.serving.pick(&auth, Ask { version: None, head: &() }).unwrap();
    assert_eq!(&*picked.contract().signature.inputs[0].name, "z");
    let inputs = vec![named("z", Tensor::from_vec(DType::Fp32, vec![1, 1], vec![5.0_f32]).unwrap())];
    let answer = rig.serving.infer(&auth, InferRequest { picked: Some(picked), inputs, ..request(&[]) }).await.unwrap();
    assert_eq!(&*answer.target.version, "2");
}

#[tokio::test]
async fn who_names_a_variant_or_a_version_gets_it_and_is_not_counted() {
    let rig = rig("header:x-user", 0).await;
    let force = |name: &'static str| rig.ask_as(("x-mainspring-variant", name), 1.0);
    assert_eq!(force("v2").await.unwrap(), 3.0);
    let how = last(&rig).assignment;
    assert_eq!((how.forced, how.generation, how.unit), (true, None, None));
    assert_eq!(force("stable").await.unwrap(), 2.0);
    let error = force("v9").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "deployment \"m\" has no variant \"v9\"; it has stable, v2");
    let mut versioned = request(&[1.0]);
    versioned.version = Some("2".into());
    let answer = rig.infer(versioned).await.unwrap();
    assert_eq!(&*answer.target.variant, "v2");
    drop(answer);
    assert!(last(&rig).assignment.forced);
    let mut unknown = request(&[1.0]);
    unknown.version = Some("3".into());
    let error = rig.infer(unknown).await.unwrap_err();
    assert!(error.to_string().ends_with("it serves 1, 2"), "{error}");
}

#[tokio::test]
async fn while_a_candidate_loads_stable_answers_uncounted_and_then_it_takes_its_units() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "slow 2");
    rig.engine.door.shut();
    rig.route(Some(row("header:x-user", &[("1", 0), ("2", 100)]))).unwrap();
    until(|| rig.describe("m").unwrap().variants[1].reason.as_deref().is_some_and(|r| r.contains("slowly"))).await;
    let view = rig.describe("m").unwrap();
    assert_eq!((view.variants[1].state, view.state, view.settled), (VariantState::Loading, State::Ready, false));
    assert_eq!(rig.ask_as((USER, "a"), 1.0).await.unwrap(), 2.0);
    let how = last(&rig).assignment;
    assert_eq!((how.generation, how.propensity), (None, 1.0));
    let error = rig.ask_as(("x-mainspring-variant", "v2"), 1.0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    rig.engine.door.open();
    rig.settled("m").await;
    assert_eq!(rig.ask_as((USER, "a"), 1.0).await.unwrap(), 3.0);
    assert_eq!(last(&rig).assignment.generation, Some(1));
}

#[tokio::test]
async fn nothing_counts_while_a_variant_with_traffic_cannot_answer() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "quick 2");
    rig.shelf.put("3", "slow 3");
    rig.engine.door.shut();
    rig.route(Some(row("request", &[("1", 40), ("2", 30), ("3", 30)]))).unwrap();
    until(|| rig.describe("m").unwrap().variants[1].state == VariantState::Ready).await;
    for _ in 0..20 {
        rig.ask(&[1.0]).await.unwrap();
        assert_eq!(last(&rig).assignment.generation, None);
    }
    rig.engine.door.open();
    rig.settled("m").await;
    rig.ask(&[1.0]).await.unwrap();
    assert_eq!(last(&rig).assignment.generation, Some(1));
}

#[tokio::test]
async fn until_the_stable_that_a_row_names_is_there_nothing_counts_as_stable() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "slow 2");
    rig.engine.door.shut();
    rig.route(Some(row("request", &[("2", 100)]))).unwrap();
    assert_eq!(rig.ask(&[1.0]).await.unwrap(), [2.0], "what answered goes on");
    assert_eq!(last(&rig).assignment.generation, None);
    rig.engine.door.open();
    rig.settled("m").await;
    assert_eq!(rig.ask(&[1.0]).await.unwrap(), [3.0]);
    assert_eq!(last(&rig).assignment.generation, Some(1));
}

#[tokio::test]
async fn a_candidate_that_fails_says_why_and_stable_answers() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "bad");
    rig.route(Some(row("request", &[("1", 50), ("2", 50)]))).unwrap();
    let view = rig.settled("m").await;
    assert!(view.ready() && view.reason.is_none(), "{view:?}");
    assert_eq!(view.variants[1].state, VariantState::Failed);
    assert!(view.variants[1].reason.as_ref().unwrap().contains("it is bad"));
    for _ in 0..20 {
        assert_eq!(rig.ask(&[1.0]).await.unwrap(), [2.0]);
    }
    let caller = rig.caller(crate::Describe { deployment: Some(Name::new("m").unwrap()) });
    assert_eq!(rig.serving.describe(&caller).unwrap().variants[1].reason, None, "who may only call is not told");
}

#[tokio::test]
async fn an_older_row_is_refused_and_the_same_one_is_a_repetition() {
    let rig = rig("header:x-user", 10).await;
    let first = row("header:x-user", &[("1", 90), ("2", 10)]);
    let second = reweighted(&first, &[50, 50]);
    rig.route(Some(second.clone())).unwrap();
    rig.route(Some(second.clone())).unwrap();
    let error = rig.route(Some(first.clone())).unwrap_err();
    assert!(matches!(error, ServeError::Stale(_)) && error.kind() == ErrorKind::Conflict, "{error}");
    assert_eq!(rig.describe("m").unwrap().variants[1].generation, 2);
    let mut next = first;
    next.rollout = "another".into();
    rig.route(Some(next)).unwrap();
    assert_eq!(rig.describe("m").unwrap().rollout.as_deref(), Some("another"));
    let mut broken = second;
    broken.variants.pop();
    assert!(matches!(rig.route(Some(broken)), Err(ServeError::Row(_))));
}

#[tokio::test]
async fn weights_hold_at_once_even_while_something_loads() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "quick 2");
    rig.shelf.put("3", "slow 3");
    let first = row("header:x-user", &[("1", 0), ("2", 100), ("3", 0)]);
    rig.engine.door.shut();
    rig.route(Some(first.clone())).unwrap();
    until(|| rig.describe("m").unwrap().variants[1].state == VariantState::Ready).await;
    assert_eq!(rig.ask_as((USER, "a"), 1.0).await.unwrap(), 3.0);
    rig.route(Some(reweighted(&first, &[100, 0, 0]))).unwrap();
    assert_eq!(rig.ask_as((USER, "a"), 1.0).await.unwrap(), 2.0);
    assert_eq!(rig.describe("m").unwrap().variants[2].state, VariantState::Loading);
    rig.engine.door.open();
    rig.settled("m").await;
    assert_eq!(rig.describe("m").unwrap().variants[2].state, VariantState::Ready);
}

#[tokio::test]
async fn a_load_that_the_next_row_has_no_place_for_is_given_up() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "patient 2");
    rig.shelf.put("3", "quick 3");
    rig.route(Some(row("request", &[("1", 100), ("2", 0)]))).unwrap();
    until(|| rig.describe("m").unwrap().variants[1].reason.as_deref() == Some("opening")).await;
    let mut next = row("request", &[("1", 100), ("3", 0)]);
    next.rollout = "next".into();
    rig.route(Some(next)).unwrap();
    let view = rig.settled("m").await;
    assert_eq!((view.variants[1].version.as_deref(), view.variants[1].state), (Some("3"), VariantState::Ready));
    until(|| rig.engine.given_up.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_promotion_neither_reloads_nor_drops_a_request() {
    for kind in ["quick", "busy"] {
        let rig = Rig::serving(&format!("{kind} 1"), |_| {}).await;
        rig.shelf.put("2", &format!("{kind} 2"));
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let load: Vec<_> = (0..4)
            .map(|_| {
                let (rig, stop, done) = (rig.clone(), Arc::clone(&stop), Arc::clone(&done));
                spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        let got = rig.ask(&[10.0]).await.expect("no request fails while a rollout goes by");
                        assert!((11.0..=12.0).contains(&got[0]));
                        done.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        let first = row("request", &[("1", 90), ("2", 10)]);
        rig.route(Some(first.clone())).unwrap();
        let loaded_at = rig.settled("m").await.versions[1].loaded_at;
        let some = async || {
            let before = done.load(Ordering::Relaxed);
            until(|| done.load(Ordering::Relaxed) > before + 20).await;
        };
        some().await;
        rig.route(Some(reweighted(&first, &[0, 100]))).unwrap();
        some().await;
        // What began before the weights held may end much later.
        let begun = rig.sink.0.lock().iter().map(|e| e.at).max().unwrap();
        rig.shelf.point("2");
        some().await;
        assert_eq!(&*rig.describe("m").unwrap().current().unwrap().contract.target.version, "1", "the alias waits");
        rig.route(None).unwrap();
        let view = rig.settled("m").await;
        some().await;
        stop.store(true, Ordering::Relaxed);
        for task in load {
            task.await.unwrap();
        }
        let current = view.current().unwrap();
        assert_eq!((&*current.contract.target.version, &*current.contract.target.variant), ("2", "stable"));
        assert_eq!(current.loaded_at, loaded_at, "it was not loaded again");
        assert!(view.variants.is_empty() && view.rollout.is_none());
        let events = rig.sink.0.lock().clone();
        assert!(events.iter().all(|e| e.outcome == Outcome::Ok));
        let back = events.iter().find(|e| e.at > begun && &*e.target.version != "2");
        assert!(back.is_none(), "somebody went back to version 1: {back:?}");
        until(|| rig.engine.loaded.load(Ordering::SeqCst) == 1).await;
        assert_eq!(
            rig.stats().inference_count,
            events.iter().filter(|e| &*e.target.variant == "stable" && &*e.target.version == "2").count() as u64
        );
    }
}

#[tokio::test]
async fn a_rollout_that_is_let_go_leaves_stable_alone() {
    let rig = rig("request", 50).await;
    rig.route(None).unwrap();
    assert!(rig.settled("m").await.variants.is_empty());
    until(|| rig.engine.loaded.load(Ordering::SeqCst) == 1).await;
    assert_eq!(rig.ask(&[1.0]).await.unwrap(), [2.0]);
    assert_eq!(last(&rig).assignment.generation, None);
    assert_eq!(rig.describe("m").unwrap().choice, None);
    rig.undeploy("m").unwrap();
    until(|| rig.engine.loaded.load(Ordering::SeqCst) == 0).await;
}

/// Whether two variants of one version are one model in memory, each with its own name and counters.
#[tokio::test]
async fn a_candidate_that_is_the_same_version_shares_the_model() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    let mut same = row("request", &[("1", 50), ("1", 50)]);
    same.rollout = "aa".into();
    rig.route(Some(same)).unwrap();
    rig.settled("m").await;
    assert_eq!(rig.engine.loaded.load(Ordering::SeqCst), 1);
    for _ in 0..40 {
        rig.ask(&[1.0]).await.unwrap();
    }
    let count = |variant: &str| rig.sink.0.lock().iter().filter(|e| &*e.target.variant == variant).count() as u64;
    assert!(count("stable") > 0 && count("v1") > 0);
    let stats = &rig.serving.stats(&rig.auth(crate::ReadStats { deployment: None }))[0];
    for version in &stats.versions {
        assert_eq!(version.inference_count, count(&version.target.variant), "{}", version.target.variant);
    }
    rig.undeploy("m").unwrap();
    until(|| rig.engine.loaded.load(Ordering::SeqCst) == 0).await;
}

fn limits(error_rate: f64) -> HardLimits {
    HardLimits {
        error_rate: Some(Share::from_fraction(error_rate).unwrap()),
        p99: None,
        window: Duration::from_secs(60),
        min_requests: 20,
    }
}

#[tokio::test]
async fn a_candidate_that_crashes_is_taken_out_at_once() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "panics 2");
    let first = row("request", &[("1", 50), ("2", 50)]);
    let first = crate::testing::limited(&first, limits(0.2));
    rig.route(Some(first.clone())).unwrap();
    assert_eq!(rig.settled("m").await.variants[1].state, VariantState::Ready);
    let mut failed = 0;
    for _ in 0..400 {
        failed += u32::from(rig.ask(&[1.0]).await.is_err());
    }
    assert_eq!(failed, 20, "as many as it takes to judge");
    let view = &rig.describe("m").unwrap().variants[1];
    assert_eq!(view.state, VariantState::Tripped);
    let trip = view.trip.as_ref().unwrap();
    assert_eq!((trip.requests, trip.failed), (20, 20));
    assert!(view.reason.as_ref().unwrap().starts_with("20 of 20 requests failed within 60s"), "{view:?}");
    let events = rig.sink.0.lock().clone();
    let tripped = events.iter().rposition(|e| &*e.target.variant == "v2").unwrap();
    assert!(tripped < 200 && events[..tripped].iter().all(|e| e.assignment.generation == Some(1)));
    assert!(events[tripped + 1..].iter().all(|e| e.assignment.generation.is_none()), "one half is no sample");
    assert!(rig.ask_as(("x-mainspring-variant", "v2"), 0.0).await.is_ok(), "who names it still gets it");
    // Another weight is no pardon, and neither is the same row again; other limits are.
    let second = reweighted(&first, &[20, 80]);
    rig.route(Some(second.clone())).unwrap();
    assert_eq!(rig.describe("m").unwrap().variants[1].state, VariantState::Tripped);
    let third = crate::testing::limited(&reweighted(&second, &[50, 50]), limits(0.3));
    rig.route(Some(third)).unwrap();
    assert_eq!(rig.describe("m").unwrap().variants[1].state, VariantState::Ready);
}

#[tokio::test]
async fn bad_requests_and_forced_ones_never_trip_a_candidate() {
    let rig = Rig::serving("picky 1", |_| {}).await;
    rig.shelf.put("2", "picky 2");
    let row = crate::testing::limited(&row("request", &[("1", 0), ("2", 100)]), limits(0.01));
    rig.route(Some(row)).unwrap();
    rig.settled("m").await;
    for _ in 0..60 {
        assert_eq!(rig.ask(&[-1.0]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(rig.describe("m").unwrap().variants[1].state, VariantState::Ready);
    let rig = Rig::serving("panics 1", |_| {}).await;
    rig.shelf.put("2", "panics 2");
    let row = crate::testing::limited(&crate::testing::row("request", &[("1", 0), ("2", 100)]), limits(0.01));
    rig.route(Some(row)).unwrap();
    rig.settled("m").await;
    for _ in 0..60 {
        assert!(rig.ask_as(("x-mainspring-variant", "v2"), 1.0).await.is_err());
    }
    assert_eq!(rig.describe("m").unwrap().variants[1].state, VariantState::Ready);
}

#[tokio::test]
async fn a_shadow_answers_beside_and_nobody_gets_or_counts_it() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "quick 2");
    rig.route(Some(shadowed(&row("request", &[("1", 100), ("2", 0)]), 100, 8))).unwrap();
    let view = rig.settled("m").await;
    assert_eq!(view.variants[1].state, VariantState::ShadowOnly);
    for n in 0..10 {
        assert_eq!(rig.ask(&[5.0]).await.unwrap(), [6.0]);
        until(|| rig.sink.0.lock().len() == 2 * (n + 1)).await;
    }
    let events = rig.sink.0.lock().clone();
    let (shadows, real): (Vec<_>, Vec<_>) = events.iter().partition(|e| e.assignment.shadow_of.is_some());
    assert_eq!((shadows.len(), real.len()), (10, 10));
    for (shadow, real) in shadows.iter().zip(&real) {
        assert_eq!(shadow.assignment.shadow_of, Some(real.id));
        assert_eq!((shadow.assignment.generation, real.assignment.generation), (None, Some(1)));
        assert_eq!(shadow.assignment.unit, real.assignment.unit);
        assert_eq!((&*shadow.target.variant, &*shadow.target.version), ("v2", "2"));
        assert_eq!(shadow.outputs[0].tensor.to_vec::<f32>().unwrap(), [7.0]);
        assert_eq!(shadow.inputs[0].tensor, real.inputs[0].tensor);
    }
    let seen = rig.describe("m").unwrap().variants[1].shadow.unwrap();
    assert_eq!((seen.answered, seen.failed, seen.dropped, seen.in_flight), (10, 0, 0, 0));
    let stats = &rig.serving.stats(&rig.auth(crate::ReadStats { deployment: None }))[0];
    let answered: Vec<_> = stats.versions.iter().map(|v| (&*v.target.variant, v.inference_count)).collect();
    assert!(answered.contains(&("stable", 10)) && answered.contains(&("v2", 0)), "{answered:?}");
}

#[tokio::test]
async fn a_shadow_that_is_busy_drops_and_delays_nobody() {
    let rig = Rig::serving("quick 1", |s| s.limits.max_in_flight = 1).await;
    rig.shelf.put("2", "gated 2");
    let first = shadowed(&row("request", &[("1", 100), ("2", 0)]), 100, 2);
    rig.route(Some(first.clone())).unwrap();
    rig.settled("m").await;
    rig.engine.door.shut();
    for _ in 0..5 {
        assert_eq!(rig.ask(&[5.0]).await.unwrap(), [6.0]);
    }
    let shadow = || rig.describe("m").unwrap().variants[1].shadow.unwrap();
    assert_eq!((shadow().in_flight, shadow().dropped), (2, 3));
    rig.engine.door.open();
    until(|| shadow().answered == 2 && shadow().in_flight == 0).await;
    // The next row of the rollout counts on.
    rig.route(Some(shadowed(&reweighted(&first, &[90, 10]), 0, 2))).unwrap();
    assert_eq!((shadow().answered, shadow().dropped), (2, 3));
    rig.ask(&[5.0]).await.unwrap();
    assert_eq!(shadow().in_flight, 0, "a share of nothing asks nothing");
}

#[tokio::test]
async fn a_shadow_that_fails_fails_alone() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "panics 2");
    rig.route(Some(shadowed(&row("request", &[("1", 100), ("2", 0)]), 100, 8))).unwrap();
    rig.settled("m").await;
    assert_eq!(rig.ask(&[5.0]).await.unwrap(), [6.0]);
    until(|| rig.sink.0.lock().len() == 2).await;
    let events = rig.sink.0.lock().clone();
    let shadow = events.iter().find(|e| e.assignment.shadow_of.is_some()).unwrap();
    assert!(matches!(&shadow.outcome, Outcome::Failed { kind: ErrorKind::Internal, .. }), "{:?}", shadow.outcome);
    until(|| rig.describe("m").unwrap().variants[1].shadow.unwrap().failed == 1).await;
    // What is asked by name has no shadow.
    assert_eq!(rig.ask_as(("x-mainspring-variant", "stable"), 5.0).await.unwrap(), 6.0);
    assert_eq!(rig.describe("m").unwrap().variants[1].shadow.unwrap().in_flight, 0);
}

#[tokio::test]
async fn a_shadow_of_other_inputs_says_that_it_cannot_be_one() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "other 2");
    rig.route(Some(shadowed(&row("request", &[("1", 100), ("2", 0)]), 100, 8))).unwrap();
    let view = rig.settled("m").await;
    assert!(view.variants[1].reason.as_ref().unwrap().contains("cannot run in its shadow"), "{:?}", view.variants);
    assert_eq!(rig.ask(&[5.0]).await.unwrap(), [6.0]);
    assert_eq!(rig.describe("m").unwrap().variants[1].shadow.unwrap().in_flight, 0);
}

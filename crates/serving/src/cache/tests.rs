use super::*;
use crate::testing::{Rig, name, named, request, reweighted, row, rows, spawn, until};
use crate::{CacheSpec, DeploymentSpec, HumanDuration, Infer};
use mainspring_core::{DType, Outcome, Prediction};
use std::time::Duration;

fn spec(ttl: Duration, max_bytes: u64) -> CacheSpec {
    CacheSpec { ttl: HumanDuration(ttl), max_bytes: crate::ByteSize(max_bytes) }
}

fn minute(declared: &mut DeploymentSpec) {
    declared.cache = Some(spec(Duration::from_mins(1), 1 << 20));
}

fn floats(values: &[f32]) -> NamedTensor {
    named("x", Tensor::from_vec(DType::Fp32, vec![values.len(), 1], values.to_vec()).unwrap())
}

fn kept(values: &[f32], at: Timestamp) -> KeptAnswer {
    let ctx = mainspring_core::Ctx::system();
    let (outputs, from) = ([floats(values)].into(), ctx.ids.event(at));
    KeptAnswer { outputs, from, at, spent_ns: 7, tokens: None, batch_rows: 1 }
}

#[tokio::test]
async fn the_same_request_gets_the_answer_that_is_kept() {
    let rig = Rig::serving("quick 1", minute).await;
    let first = rig.infer(rows(2, &[1.0, 2.0])).await.unwrap();
    assert_eq!(first.cache, Some(Lookup::Miss));
    let calls = rig.engine.calls.lock().len();
    let again = rig.infer(rows(2, &[1.0, 2.0])).await.unwrap();
    assert_eq!((again.cache, again.batch_rows, &again.outputs), (Some(Lookup::Hit), 2, &first.outputs));
    assert_ne!(again.id, first.id, "each answer is a prediction");
    assert_eq!(rig.engine.calls.lock().len(), calls, "the model was asked");
    let ids = (first.id, again.id);
    first.encoded().await.unwrap();
    again.encoded().await.unwrap();
    let journal = rig.sink.0.lock();
    let [computed, repeated] = journal.as_slice() else { panic!("{journal:?}") };
    assert_eq!((computed.id, computed.cached), (ids.0, None));
    let cached = repeated.cached.unwrap();
    assert_eq!((repeated.id, cached.from, &repeated.outcome), (ids.1, ids.0, &Outcome::Ok));
    assert_eq!((cached.saved_ns, repeated.compute_ns()), (computed.compute_ns(), 0));
    assert_eq!((repeated.inputs.len(), repeated.outputs.len(), repeated.rows), (1, 1, 2), "it is journaled whole");
    let stats = rig.stats();
    assert_eq!((stats.success.count, stats.inference_count, stats.execution_count), (2, 4, 1));
    assert_eq!(stats.kept_count, 2);
    assert_eq!((stats.cache.hits.count, stats.cache.misses.count, stats.cache.entries), (1, 1, 1));
    assert_eq!((stats.engine.count, stats.total.count), (1, 2), "what no engine did says nothing of the engine");
}

#[tokio::test]
async fn without_a_cache_nothing_is_kept() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    for _ in 0..2 {
        assert_eq!(rig.infer(request(&[1.0])).await.unwrap().cache, None);
    }
    assert_eq!(rig.stats().execution_count, 2);
    rig.deploy("m", minute).unwrap();
    rig.settled("m").await;
    let looked = [rig.infer(request(&[1.0])).await.unwrap().cache, rig.infer(request(&[1.0])).await.unwrap().cache];
    assert_eq!(looked, [Some(Lookup::Miss), Some(Lookup::Hit)], "declared later it holds without a load");
    rig.deploy("m", |s| s.cache = Some(spec(Duration::from_mins(2), 1 << 20))).unwrap();
    rig.settled("m").await;
    assert_eq!(rig.infer(request(&[1.0])).await.unwrap().cache, Some(Lookup::Miss), "kept under another rule");
    rig.deploy("m", |_| {}).unwrap();
    rig.settled("m").await;
    assert_eq!(rig.infer(request(&[1.0])).await.unwrap().cache, None);
}

#[tokio::test]
async fn another_version_has_answers_of_its_own() {
    let rig = Rig::serving("quick 1", minute).await;
    assert_eq!(rig.ask(&[1.0]).await.unwrap(), [2.0]);
    rig.shelf.put("2", "quick 2");
    rig.shelf.point("2");
    until(|| rig.describe("m").is_some_and(|view| view.versions[0].contract.target.version.as_ref() == "2")).await;
    assert_eq!(rig.ask(&[1.0]).await.unwrap(), [3.0]);
    assert_eq!(rig.ask(&[1.0]).await.unwrap(), [3.0]);
    assert_eq!(rig.stats().cache.hits.count, 1);
}

/// Of two versions, and of one version that stands beside itself: an A/A test is one of two caches, too.
#[tokio::test]
async fn no_variant_gets_the_answer_of_another() {
    for (candidate, adds) in [("2", 2.0), ("1", 1.0)] {
        let rig = Rig::serving("quick 1", minute).await;
        rig.shelf.put("2", "quick 2");
        let first = row("header:user", &[("1", 50), (candidate, 50)]);
        rig.route(Some(first.clone())).unwrap();
        until(|| rig.describe("m").is_some_and(|view| view.variants.iter().all(|v| v.version.is_some()))).await;
        let variants = [("stable", 2.0), (&*format!("v{candidate}"), 1.0 + adds)];
        for (variant, answer) in variants {
            let all = [rig.ask_named(variant, 1.0).await.unwrap(), rig.ask_named(variant, 1.0).await.unwrap()];
            assert_eq!(all, [answer; 2]);
        }
        // Other weights, and the same versions: what is kept stays.
        rig.route(Some(reweighted(&first, &[20, 80]))).unwrap();
        rig.settled("m").await;
        for (variant, answer) in variants {
            assert_eq!(rig.ask_named(variant, 1.0).await.unwrap(), answer);
        }
        let journal = rig.sink.0.lock();
        let computed: Vec<_> = journal.iter().filter(|p| p.cached.is_none()).collect();
        assert_eq!(computed.len(), 2, "one for each variant");
        for kept in journal.iter().filter(|p| p.cached.is_some()) {
            let origin = computed.iter().find(|p| Some(p.id) == kept.cached.map(|c| c.from)).unwrap();
            assert_eq!(origin.target, kept.target, "an answer of one variant for another");
        }
    }
}

/// A variant with a tenth of the traffic would have less of it kept, and seem slower and more prone to fail for that.
#[tokio::test]
async fn what_counts_in_a_comparison_is_computed() {
    let rig = Rig::serving("quick 1", minute).await;
    rig.shelf.put("2", "quick 2");
    rig.route(Some(row("header:user", &[("1", 50), ("2", 50)]))).unwrap();
    until(|| rig.describe("m").is_some_and(|view| view.variants.iter().all(|v| v.version.is_some()))).await;
    for user in (0..40).chain(0..40) {
        rig.ask_as(("user", &format!("u{user}")), 1.0).await.unwrap();
    }
    let counts = |p: &Prediction| p.assignment.generation.is_some() && p.cached.is_none();
    assert!(rig.sink.0.lock().iter().all(counts));
    // A request without a unit is in no comparison.
    rig.ask_as(("nobody", "u1"), 1.0).await.unwrap();
    let journal = rig.sink.0.lock();
    let last = journal.last().unwrap();
    assert!(last.assignment.generation.is_none() && last.cached.is_some(), "{last:?}");
    assert_eq!(Lookup::Bypass.status(), "mainspring; fwd=bypass");
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let rig = Rig::serving("picky 1", minute).await;
    for _ in 0..2 {
        rig.ask(&[-1.0]).await.unwrap_err();
    }
    let stats = rig.stats();
    assert_eq!((stats.cache.hits.count, stats.cache.misses.count, stats.cache.entries), (0, 2, 0));
    assert_eq!(rig.ask(&[1.0]).await.unwrap(), [2.0]);
}

#[tokio::test]
async fn what_is_kept_takes_no_place_among_those_in_flight() {
    let rig = Rig::serving("gated 1", |s| {
        minute(s);
        s.limits.max_in_flight = 1;
    })
    .await;
    rig.ask(&[1.0]).await.unwrap();
    rig.engine.door.shut();
    let other = rig.clone();
    let waiting = spawn(async move { other.ask(&[2.0]).await });
    until(|| rig.engine.door.inside.load(Ordering::SeqCst) == 1).await;
    assert_eq!(rig.ask(&[1.0]).await.unwrap(), [2.0], "it needs no model");
    assert!(rig.ask(&[3.0]).await.is_err(), "one that does is too many");
    rig.engine.door.open();
    assert_eq!(waiting.await.unwrap().unwrap(), [3.0]);
}

#[tokio::test]
async fn a_shadow_is_asked_also_where_the_answer_was_kept() {
    let rig = Rig::serving("quick 1", minute).await;
    rig.shelf.put("2", "quick 2");
    rig.route(Some(crate::testing::shadowed(&row("header:user", &[("1", 100), ("2", 0)]), 100, 8))).unwrap();
    until(|| rig.describe("m").is_some_and(|view| view.variants.iter().all(|v| v.version.is_some()))).await;
    for _ in 0..2 {
        rig.ask_as(("nobody", "u1"), 1.0).await.unwrap();
    }
    until(|| rig.sink.0.lock().iter().filter(|p| p.assignment.shadow_of.is_some()).count() == 2).await;
    let journal = rig.sink.0.lock();
    let shadows: Vec<_> = journal.iter().filter(|p| p.assignment.shadow_of.is_some()).collect();
    assert!(shadows.iter().all(|p| p.cached.is_none()), "a shadow is to show what the model does");
    assert_eq!(journal.iter().filter(|p| p.cached.is_some()).count(), 1);
}

#[test]
fn an_answer_is_given_again_until_its_time_is_over() {
    let answers = Answers::of(Some(&spec(Duration::from_secs(5), 1 << 20))).unwrap();
    let (at, key) = (Timestamp(1_000_000), [1; 32]);
    answers.keep(key, kept(&[1.0], at));
    assert_eq!(answers.find(&key, at.plus_micros(4_999_999)).unwrap().at, at);
    assert!(answers.find(&key, at.plus_micros(5_000_000)).is_none());
    assert!(answers.find(&[2; 32], at).is_none());
    // A later answer to the same request is younger.
    answers.keep(key, kept(&[2.0], at.plus_micros(6_000_000)));
    assert!(answers.find(&key, at.plus_micros(7_000_000)).is_some());
    assert!(answers.keep([3; 32], kept(&[3.0], at.plus_micros(12_000_000))), "time to look for what is too old");
    answers.sweep(at.plus_micros(12_000_000));
    assert_eq!(answers.size().0, 1);
}

#[test]
fn answers_take_no_more_memory_than_they_may() {
    let most = 1 << 16;
    let answers = Answers::of(Some(&spec(Duration::from_mins(1), most))).unwrap();
    for n in 0..10_000_u64 {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&n.to_le_bytes());
        answers.keep(key, kept(&[n as f32; 32], Timestamp(0)));
        assert!(answers.size().1 <= most);
    }
    assert!(answers.size().0 > 50, "{:?}", answers.size());
    answers.keep([7; 32], kept(&vec![1.0; 1 << 16], Timestamp(0)));
    assert!(answers.find(&[7; 32], Timestamp(0)).is_none(), "one that is larger than all of it");
}

#[test]
fn what_is_kept_holds_no_larger_memory_alive() {
    let large = Tensor::from_vec(DType::Fp32, vec![1000, 1], vec![1.0_f32; 1000]).unwrap();
    let slice = named("y", large.slice_rows(10, 110));
    let own = owned(&slice).unwrap();
    assert_eq!(own, slice);
    assert_ne!(own.tensor.as_slice::<f32>().unwrap().as_ptr(), slice.tensor.as_slice::<f32>().unwrap().as_ptr());
    let body = bytes::Bytes::from(vec![b'a'; 1000]);
    let texts = named("t", Tensor::from_strings(vec![1], vec![body.slice(10..20)]).unwrap());
    assert_ne!(owned(&texts).unwrap().tensor.strings().unwrap()[0].as_ptr(), body[10..].as_ptr());
}

#[test]
fn requests_that_differ_have_different_keys() {
    let text = |name: &str, values: &[&str]| {
        let values = values.iter().map(|v| bytes::Bytes::copy_from_slice(v.as_bytes())).collect::<Vec<_>>();
        named(name, Tensor::from_strings(vec![values.len()], values).unwrap())
    };
    let wide = named("x", Tensor::from_vec(DType::Fp32, vec![1, 2], vec![1.0_f32, 2.0]).unwrap());
    let whole = named("x", Tensor::from_vec(DType::Int32, vec![2, 1], vec![1_i32, 2]).unwrap());
    let params = Params::new(r#"{"heat":1.5}"#);
    let all = [
        key(&[floats(&[1.0, 2.0])], None),
        key(&[floats(&[1.0, 2.5])], None),
        key(&[wide], None),
        key(&[whole], None),
        key(&[floats(&[1.0, 2.0])], Some(&params)),
        key(&[text("x", &["ab", "c"])], None),
        key(&[text("x", &["a", "bc"])], None),
        key(&[text("x", &["ab"]), text("y", &["c"])], None),
        key(&[text("xy", &["ab", "c"])], None),
    ];
    for (i, a) in all.iter().enumerate() {
        assert!(all[i + 1..].iter().all(|b| a != b), "{i}");
    }
    assert_eq!(key(&[floats(&[1.0, 2.0])], None), all[0]);
}

#[test]
fn a_clock_that_was_set_back_keeps_no_answer_for_longer() {
    let answers = Answers::of(Some(&spec(Duration::from_secs(5), 1 << 20))).unwrap();
    let at = Timestamp(1_000_000_000);
    answers.keep([1; 32], kept(&[1.0], at));
    assert!(answers.find(&[1; 32], at.plus_micros(-4_000_000)).is_some());
    assert!(answers.find(&[1; 32], at.plus_micros(-6_000_000)).is_none());
}

#[tokio::test]
async fn a_large_request_is_not_looked_for() {
    let rig = Rig::serving("quick 1", |s| {
        minute(s);
        s.cache = Some(spec(Duration::from_mins(1), 1 << 30));
    })
    .await;
    let fits = usize::try_from(LARGEST).unwrap() / 4;
    for (values, found) in [(fits, [Some(Lookup::Miss), Some(Lookup::Hit)]), (fits + 1, [None, None])] {
        let x = || rows(values, &vec![1.0; values]);
        assert_eq!([rig.infer(x()).await.unwrap().cache, rig.infer(x()).await.unwrap().cache], found);
    }
}

#[tokio::test]
async fn answers_in_parts_are_not_kept() {
    let rig = Rig::serving("parts 1", minute).await;
    let auth = rig.auth(Infer { deployment: name("m") });
    for _ in 0..2 {
        let mut parts = rig.serving.infer_parts(&auth, request(&[2.0])).unwrap();
        while let Some(part) = parts.next().await {
            part.unwrap();
        }
    }
    assert_eq!(rig.stats().cache.hits.count + rig.stats().cache.misses.count, 0);
    assert!(rig.sink.0.lock().iter().all(|p| p.cached.is_none()));
}

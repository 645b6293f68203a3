use crate::testing::{Rig, request, rows, until};
use crate::{BatchSpec, ClosedBy, DeploymentSpec, HumanDuration, Instances, ServeError};
use mainspring_core::{ErrorKind, Failure};
use proptest::prelude::*;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn batches(max_rows: u32, max_delay: Duration) -> impl FnOnce(&mut DeploymentSpec) {
    move |spec| {
        spec.engine.instances = Instances::Count(1);
        spec.engine.batch = BatchSpec { max_rows, max_delay: HumanDuration(max_delay) };
    }
}

/// Starts `requests` while the one instance is held, lets go, and returns what each got.
async fn together_or_not(rig: &Rig, requests: Vec<Vec<f32>>) -> Vec<Result<Vec<f32>, ServeError>> {
    rig.engine.door.shut();
    let holder = rig.ask(&[0.5]);
    let waiting = || {
        let auth = rig.auth(crate::ReadStats { deployment: Some(crate::testing::name("m")) });
        rig.serving.batches(&auth).unwrap()[0].waiting
    };
    let count = requests.len();
    let all = futures::future::join_all(requests.iter().map(|r| rig.ask(r)));
    let open = async {
        until(|| rig.engine.door.inside.load(Ordering::SeqCst) == 1 && waiting() == count).await;
        rig.engine.door.open();
    };
    let (held, got, ()) = futures::join!(holder, all, open);
    held.unwrap();
    got
}

async fn together(rig: &Rig, requests: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    together_or_not(rig, requests).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn requests_that_wait_share_a_call_up_to_the_limit() {
    let rig = Rig::serving("gated 1", batches(4, Duration::ZERO)).await;
    let got = together(&rig, (1..=6_u8).map(|i| vec![f32::from(i)]).collect()).await;
    assert_eq!(got, (1..=6_u8).map(|i| vec![f32::from(i) + 1.0]).collect::<Vec<_>>());
    let stats = rig.stats();
    assert_eq!((stats.inference_count, stats.execution_count), (7, 3), "one alone, four, two");
    assert_eq!((rig.closed(ClosedBy::Size), rig.closed(ClosedBy::Idle)), (1, 2));
    let journal = rig.sink.0.lock();
    assert_eq!(journal.iter().filter(|e| e.batch_rows == 4).count(), 4);
}

#[tokio::test]
async fn a_request_is_never_split_and_a_large_one_runs_alone() {
    let rig = Rig::serving("gated 1", batches(4, Duration::ZERO)).await;
    let got = together(&rig, vec![vec![1.0; 3], vec![2.0; 3], vec![3.0; 9]]).await;
    assert_eq!(got, [vec![2.0; 3], vec![3.0; 3], vec![4.0; 9]]);
    let sizes: Vec<_> = rig.stats().batches.iter().map(|b| (b.rows, b.executions)).collect();
    assert_eq!(sizes, [(1, 1), (3, 2), (9, 1)]);
}

#[tokio::test]
async fn rows_of_another_width_wait_for_the_next_call() {
    let rig = Rig::serving("gated 1", batches(64, Duration::ZERO)).await;
    rig.engine.door.shut();
    let open = async {
        until(|| rig.engine.door.inside.load(Ordering::SeqCst) == 1).await;
        rig.engine.door.open();
    };
    let (a, b, c, ()) = futures::join!(
        rig.infer(rows(1, &[1.0])),
        rig.infer(rows(1, &[1.0, 2.0])),
        rig.infer(rows(1, &[1.0, 2.0, 3.0])),
        open
    );
    assert_eq!(c.unwrap().outputs[0].tensor.shape(), [1, 3]);
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(rig.closed(ClosedBy::Shape), 1);
}

#[tokio::test]
async fn a_delay_gathers_requests_while_an_instance_is_idle() {
    // Long enough for a machine that is busy with something else between two of the five.
    let rig = Rig::serving("busy 1", batches(64, Duration::from_millis(500))).await;
    let requests = (0..5).map(|_| rig.ask(&[1.0]));
    for got in futures::future::join_all(requests).await {
        assert_eq!(got.unwrap(), [2.0]);
    }
    assert_eq!((rig.stats().execution_count, rig.closed(ClosedBy::Delay)), (1, 1));
    let full = futures::future::join_all((0..2).map(|_| rig.ask(&[1.0; 32]))).await;
    assert!(full.iter().all(Result::is_ok));
    assert_eq!(rig.closed(ClosedBy::Size), 1, "a full batch does not wait");
}

#[tokio::test]
async fn a_model_that_changes_the_number_of_rows_is_not_batched() {
    let rig = Rig::serving("fewer", batches(8, Duration::ZERO)).await;
    let view = rig.describe("m").unwrap();
    let version = view.current().unwrap();
    assert!(!version.execution.batched && version.warnings[0].contains("do not share calls"), "{version:?}");
    assert_eq!(rig.ask(&[1.0, 2.0]).await.unwrap(), [1.0]);
}

#[tokio::test]
async fn a_panic_in_the_engine_is_an_error_of_that_request_only() {
    let rig = Rig::serving("panics", |spec| spec.engine.instances = Instances::Count(1)).await;
    assert!(rig.describe("m").unwrap().ready());
    let loaded = rig.infer(request(&[1.0])).await.unwrap_err();
    assert_eq!(loaded.kind(), ErrorKind::Internal);
    assert_eq!(rig.ask(&[0.0]).await.unwrap(), [0.0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn each_caller_gets_its_own_rows(sizes in proptest::collection::vec(1_usize..9, 1..20), max_rows in 1_u32..12) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let rig = Rig::serving("gated 1", batches(max_rows, Duration::ZERO)).await;
            let requests: Vec<Vec<f32>> = sizes
                .iter()
                .enumerate()
                .map(|(i, n)| (0..*n).map(|row| (i * 100 + row + 1) as f32).collect())
                .collect();
            let got = together(&rig, requests.clone()).await;
            for (asked, got) in requests.iter().zip(&got) {
                prop_assert_eq!(&asked.iter().map(|v| v + 1.0).collect::<Vec<_>>(), got);
            }
            let stats = rig.stats();
            prop_assert_eq!(stats.inference_count as usize, 1 + sizes.iter().sum::<usize>());
            let rows: u64 = stats.batches.iter().map(|b| b.rows as u64 * b.executions).sum();
            prop_assert_eq!(rows, stats.inference_count);
            let largest = sizes.iter().max().copied().unwrap_or(1).max(max_rows as usize);
            prop_assert!(stats.batches.iter().all(|b| b.rows <= largest));
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn values_that_the_model_refuses_fail_their_own_request_only() {
    let rig = Rig::serving("picky 1", batches(8, Duration::ZERO)).await;
    rig.engine.door.shut();
    let holder = rig.ask(&[0.5]);
    let requests = [vec![1.0], vec![-1.0], vec![2.0, 3.0]];
    let all = futures::future::join_all(requests.iter().map(|r| rig.ask(r)));
    let waiting = || {
        let auth = rig.auth(crate::ReadStats { deployment: Some(crate::testing::name("m")) });
        rig.serving.batches(&auth).unwrap()[0].waiting
    };
    let open = async {
        until(|| rig.engine.door.inside.load(Ordering::SeqCst) == 1 && waiting() == 3).await;
        rig.engine.door.open();
    };
    let (held, got, ()) = futures::join!(holder, all, open);
    held.unwrap();
    assert_eq!(got[0].as_ref().unwrap(), &[2.0]);
    assert_eq!(got[1].as_ref().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(got[2].as_ref().unwrap(), &[3.0, 4.0]);
}

fn param(text: &str) -> crate::GivenParams {
    let mainspring_wire::Node::Map(values) = mainspring_wire::Node::parse(text.as_bytes()).unwrap() else { panic!() };
    crate::GivenParams { values, flat: false }
}

/// A model behind a door in another process, whose signature has a parameter.
async fn with_params() -> Rig {
    let rig = Rig::new();
    rig.shelf.put("1", "apart 1");
    rig.shelf.mlmodel(
        "1",
        "flavors:\n  onnx: {data: model.onnx}\nsignature:\n  params: '[{\"name\": \"heat\", \"type\": \"double\", \"default\": 1.0, \"shape\": null}]'\n",
    );
    rig.deploy("m", batches(64, Duration::ZERO)).unwrap();
    assert!(rig.settled("m").await.ready());
    rig
}

#[tokio::test]
async fn requests_with_other_parameters_are_never_in_one_call() {
    let rig = with_params().await;
    let before = rig.engine.calls.lock().len();
    rig.engine.door.shut();
    let ask = |params: Option<&str>| {
        let params = params.map(param).unwrap_or_default();
        rig.infer(crate::InferRequest { params, ..request(&[1.0]) })
    };
    let holder = ask(None);
    let order = [Some(r#"{"heat":1}"#), Some(r#"{"heat":1}"#), Some(r#"{"heat":2}"#), None, Some(r#"{"mine":3}"#)];
    let all = futures::future::join_all(order.iter().map(|p| ask(*p)));
    let waiting = || {
        let auth = rig.auth(crate::ReadStats { deployment: Some(crate::testing::name("m")) });
        rig.serving.batches(&auth).unwrap()[0].waiting
    };
    let open = async {
        until(|| rig.engine.door.inside.load(Ordering::SeqCst) == 1 && waiting() == 5).await;
        rig.engine.door.open();
    };
    let (held, got, ()) = futures::join!(holder, all, open);
    let id = held.unwrap().id;
    let ids: Vec<_> = got.into_iter().map(|a| a.unwrap().id).collect();
    let calls: Vec<_> = rig.engine.calls.lock()[before..].to_vec();
    let seen: Vec<_> =
        calls.iter().map(|c| (c.params.as_ref().map(mainspring_engine::Params::as_str), c.ids.clone())).collect();
    // A parameter that the signature does not have says nothing.
    assert_eq!(
        seen,
        [
            (None, vec![id]),
            (Some(r#"{"heat":1}"#), ids[..2].to_vec()),
            (Some(r#"{"heat":2}"#), vec![ids[2]]),
            (None, ids[3..].to_vec()),
        ]
    );
    let journaled: Vec<_> = rig.sink.0.lock().iter().map(|p| (p.id, p.params.as_deref().map(str::to_owned))).collect();
    assert!(journaled.contains(&(ids[2], Some(r#"{"heat":2}"#.into()))) && journaled.contains(&(ids[3], None)));
    rig.deploy("m", |s| s.journal.redact = vec!["heat".into()]).unwrap();
    assert!(rig.settled("m").await.ready());
    let hidden = ask(Some(r#"{"heat":3}"#)).await.unwrap().id;
    let kept: Vec<_> = rig.sink.0.lock().iter().filter(|p| p.id == hidden).map(|p| p.params.clone()).collect();
    assert_eq!(kept, [Some(r#"{"heat":"[redacted]"}"#.into())]);
    let wrong = ask(Some(r#"{"heat":"hot"}"#)).await.unwrap_err();
    assert_eq!(
        (wrong.kind(), wrong.to_string()),
        (ErrorKind::InvalidInput, "params.heat must be double, it is \"hot\"".into())
    );
}

#[tokio::test]
async fn requests_that_are_ready_together_share_a_call_on_their_thread() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    let asked: Vec<Vec<f32>> = (1..=5_u8).map(|i| vec![f32::from(i); usize::from(i)]).collect();
    let got = futures::future::join_all(asked.iter().map(|values| rig.ask(values))).await;
    for (asked, got) in asked.iter().zip(got) {
        assert_eq!(got.unwrap(), asked.iter().map(|v| v + 1.0).collect::<Vec<_>>());
    }
    assert_eq!((rig.stats().inference_count, rig.stats().execution_count, rig.closed(ClosedBy::Inline)), (15, 1, 1));
    assert!(rig.sink.0.lock().iter().all(|event| event.batch_rows == 15));
    let (a, b, c) =
        futures::join!(rig.infer(rows(1, &[1.0])), rig.infer(rows(1, &[1.0, 2.0])), rig.infer(rows(1, &[3.0])),);
    assert_eq!((a.unwrap().batch_rows, b.unwrap().batch_rows, c.unwrap().batch_rows), (2, 1, 2), "another width");
}

#[tokio::test]
async fn a_call_on_the_thread_has_no_more_rows_than_a_batch() {
    let rig = Rig::serving("quick 1", batches(4, Duration::ZERO)).await;
    let got = futures::future::join_all((0..3).map(|_| rig.ask(&[1.0; 3]))).await;
    assert!(got.into_iter().all(|answer| answer.unwrap() == [2.0; 3]));
    assert_eq!(rig.stats().execution_count, 3);
    let alone = Rig::serving("quick 1", batches(1, Duration::ZERO)).await;
    let got = futures::future::join_all((0..3).map(|_| alone.ask(&[1.0]))).await;
    assert!(got.into_iter().all(|answer| answer.unwrap() == [2.0]));
    assert_eq!(alone.stats().execution_count, 3);
}

#[tokio::test]
async fn values_that_the_model_refuses_fail_no_other_request_of_the_thread() {
    let rig = Rig::serving("picky 1", |_| {}).await;
    let asked = [vec![-1.0], vec![1.0], vec![-2.0], vec![2.0, 3.0]];
    let got = futures::future::join_all(asked.iter().map(|values| rig.ask(values))).await;
    let got: Vec<_> = got.into_iter().map(|answer| answer.map_err(|e| e.kind())).collect();
    let refused = Err(ErrorKind::InvalidInput);
    assert_eq!(got, [refused.clone(), Ok(vec![2.0]), refused, Ok(vec![3.0, 4.0])]);
}

#[tokio::test]
async fn who_goes_away_takes_nobody_along() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    let (mut first, mut second) = (Box::pin(rig.ask(&[1.0])), Box::pin(rig.ask(&[2.0])));
    let mut third = Box::pin(rig.ask(&[3.0]));
    assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
    assert!(futures::poll!(&mut third).is_pending());
    drop(first);
    assert_eq!((second.await.unwrap(), third.await.unwrap()), (vec![3.0], vec![4.0]));
    let (mut first, mut second) = (Box::pin(rig.ask(&[1.0])), Box::pin(rig.ask(&[2.0])));
    assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
    drop(second);
    assert_eq!(first.await.unwrap(), [2.0]);
    let events = rig.sink.0.lock();
    assert_eq!(events.iter().filter(|e| e.outcome == mainspring_core::Outcome::Ok).count(), 3, "{events:?}");
    assert_eq!(events.len(), 5, "who went away is in the journal too");
}

/// Sixteen requests of one value each, of which those at `bad` are negative.
fn sixteen(bad: &[usize]) -> Vec<Vec<f32>> {
    (0..16_u8).map(|i| vec![if bad.contains(&i.into()) { -1.0 } else { f32::from(i) + 1.0 }]).collect()
}

#[tokio::test]
async fn a_request_that_ends_the_worker_or_gives_too_many_rows_fails_alone() {
    for (kind, bad) in
        [("mortal 1", vec![0]), ("mortal 1", vec![15]), ("mortal 1", vec![3, 12]), ("extra 1", vec![5, 6, 9])]
    {
        let rig = Rig::serving(kind, batches(16, Duration::ZERO)).await;
        let asked = sixteen(&bad);
        let got = together_or_not(&rig, asked.clone()).await;
        for (at, (asked, got)) in asked.iter().zip(got).enumerate() {
            match got {
                Ok(values) => assert_eq!((values, bad.contains(&at)), (vec![asked[0] + 1.0], false), "{kind} {at}"),
                Err(error) => assert!(bad.contains(&at) && error.kind() == ErrorKind::Internal, "{kind} {at}: {error}"),
            }
        }
        // By itself it is not answered either.
        assert_eq!(rig.ask(&[-1.0]).await.unwrap_err().kind(), ErrorKind::Internal);
    }
}

#[tokio::test]
async fn a_model_that_ends_its_process_at_anything_is_not_tried_over_and_over() {
    let rig = Rig::serving("mortal 1", batches(16, Duration::ZERO)).await;
    let before = rig.engine.calls.lock().len();
    let got = together_or_not(&rig, vec![vec![-1.0]; 16]).await;
    assert!(got.iter().all(Result::is_err));
    assert_eq!(rig.engine.calls.lock().len() - before, 1 + 4, "what holds the instance, and less than five deaths");
}

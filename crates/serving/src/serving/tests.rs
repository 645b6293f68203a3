use crate::testing::{Rig, name, request, rows, spawn, until};
use crate::{DeploymentSpec, Describe, HumanDuration, Infer, Instances, Refusal, ServeError, State};
use mainspring_core::{DType, ErrorKind, Failure, Outcome, Protocol, Tensor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn slow(spec: &mut DeploymentSpec) {
    spec.engine.instances = Instances::Count(1);
}

/// A question of the house's own is answered and leaves no trace.
#[tokio::test]
async fn what_is_asked_again_is_answered_and_not_recorded() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    let auth = rig.auth(Infer { deployment: name("m") });
    let inputs = rows(2, &[1.0, 2.0, 3.0, 4.0]).inputs;
    let again = rig.serving.again(&auth, "1", inputs.clone()).await.unwrap();
    assert_eq!(again[0].tensor.to_vec::<f32>().unwrap(), [2.0, 3.0, 4.0, 5.0]);
    assert!(rig.sink.0.lock().is_empty(), "it is in the journal");
    assert_eq!(rig.stats().inference_count, 0, "it is counted");
    let unknown = rig.serving.again(&auth, "7", inputs).await.unwrap_err();
    assert!(matches!(unknown, ServeError::NoVersion { .. }), "{unknown}");
    assert!(rig.serving.again(&auth, "1", Vec::new()).await.is_err());
}

#[tokio::test]
async fn an_answer_is_counted_and_journaled_with_its_payload() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    let mut asked = rows(2, &[1.0, 2.0, 3.0, 4.0]);
    asked.client_id = Some("mine".into());
    let answer = rig.infer(asked).await.unwrap();
    assert_eq!(answer.outputs[0].tensor.to_vec::<f32>().unwrap(), [2.0, 3.0, 4.0, 5.0]);
    assert_eq!((&*answer.target.version, answer.client_id.as_deref(), answer.batch_rows), ("1", Some("mine"), 2));
    assert!(rig.sink.0.lock().is_empty(), "an answer is recorded when it is encoded");
    let id = answer.id;
    answer.encoded().await.unwrap();
    let journal = rig.sink.0.lock();
    let event = &journal[0];
    assert_eq!((event.id, event.rows, &event.outcome), (id, 2, &Outcome::Ok));
    assert_eq!((event.inputs.len(), event.outputs.len()), (1, 1));
    assert!(event.timing.total_ns >= event.timing.engine_ns && !event.assignment.forced);
    let stats = rig.stats();
    assert_eq!((stats.inference_count, stats.execution_count, stats.success.count), (2, 1, 1));
    assert_eq!(rig.closed(crate::ClosedBy::Inline), 1, "a quick model runs on the caller's thread");
}

#[tokio::test]
async fn an_answer_that_is_dropped_or_cannot_be_rendered_is_journaled() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    drop(rig.infer(request(&[1.0])).await.unwrap());
    rig.infer(request(&[1.0])).await.unwrap().failed(ErrorKind::Internal, "NaN is not JSON");
    let journal = rig.sink.0.lock();
    assert_eq!(journal[0].outcome, Outcome::Ok);
    assert!(matches!(&journal[1].outcome, Outcome::Failed { message, .. } if &**message == "NaN is not JSON"));
}

#[tokio::test]
async fn requests_that_do_not_fit_are_refused_by_name_and_journaled() {
    let rig = Rig::serving("quick 1", |s| s.limits.max_request_bytes = Some("1KiB".parse().unwrap())).await;
    let mut wrong = request(&[1.0]);
    wrong.inputs[0].name = "z".into();
    assert!(rig.infer(wrong).await.unwrap_err().to_string().contains("\"z\""));
    let mut integers = request(&[1.0]);
    integers.inputs[0].tensor = Tensor::from_vec(DType::Int32, vec![1, 1], vec![1_i32]).unwrap();
    assert!(rig.infer(integers).await.unwrap_err().to_string().contains("\"x\" is FP32, got INT32"));
    assert!(matches!(rig.infer(rows(0, &[])).await, Err(ServeError::NoRows)));
    let large = rig.infer(request(&[0.0; 1000])).await.unwrap_err();
    assert!(matches!(large, ServeError::TooLarge { bytes: 4000, limit: 1024, .. }), "{large}");
    let mut forced = request(&[1.0]);
    forced.version = Some("7".into());
    let no_version = rig.infer(forced).await.unwrap_err();
    assert!(no_version.kind() == ErrorKind::NotFound && no_version.to_string().contains("it serves 1"));
    assert_eq!(rig.sink.0.lock().len(), 5);
    assert_eq!(rig.stats().fail.count, 4);

    let auth = rig.auth(Infer { deployment: name("n") });
    let nobody = rig.serving.infer(&auth, request(&[1.0])).await.unwrap_err();
    assert!(nobody.to_string().contains("there is no deployment \"n\"; did you mean \"m\"?"), "{nobody}");
    assert_eq!(rig.sink.0.lock().len(), 5, "an unknown deployment has no journal");
}

/// A refusal may repeat a value, so the journal has its text only where it has the values, too.
#[tokio::test]
async fn a_failure_of_which_not_all_values_are_kept_is_journaled_without_its_text() {
    for (redact, sample, secret) in [(true, 1.0, true), (false, 0.0, true), (false, 1.0, false)] {
        let rig = Rig::serving("quick 1", |s| {
            s.journal.redact = redact.then(|| "x".to_owned()).into_iter().collect();
            s.journal.sample = sample;
        })
        .await;
        let refusal = Refusal {
            version: None,
            picked: None,
            client_id: None,
            protocol: Protocol::OipRest,
            received: Instant::now(),
            kind: ErrorKind::InvalidInput,
            message: "row 0 has \"SECRET-4711\"".into(),
        };
        rig.serving.refuse(&rig.auth(Infer { deployment: name("m") }), refusal).unwrap();
        // A model's words, after it was asked.
        rig.infer(request(&[1.0])).await.unwrap().failed(ErrorKind::Internal, "it raised KeyError: SECRET-4711");
        let mut unknown = request(&[1.0]);
        unknown.inputs[0].name = "SECRET-4711".into();
        assert!(rig.infer(unknown).await.unwrap_err().to_string().contains("SECRET-4711"), "the caller is told");
        let journal = rig.sink.0.lock();
        assert_eq!(journal.len(), 3);
        for event in journal.iter() {
            let Outcome::Failed { kind, message } = &event.outcome else { panic!("{:?}", event.outcome) };
            assert!(matches!(kind, ErrorKind::InvalidInput | ErrorKind::Internal));
            assert_eq!(!message.contains("SECRET-4711"), secret, "{message}");
            assert_eq!(message.contains("the text is left out"), secret, "{message}");
        }
    }
}

#[tokio::test]
async fn a_forced_version_is_served_and_marked() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    let mut forced = request(&[1.0]);
    forced.version = Some("1".into());
    rig.infer(forced).await.unwrap().encoded().await.unwrap();
    assert!(rig.sink.0.lock()[0].assignment.forced);
}

#[tokio::test]
async fn what_a_protocol_refuses_is_journaled_too() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    let refusal = || Refusal {
        version: None,
        picked: None,
        client_id: None,
        protocol: Protocol::OipRest,
        received: Instant::now(),
        kind: ErrorKind::InvalidInput,
        message: "not JSON".into(),
    };
    let id = rig.serving.refuse(&rig.auth(Infer { deployment: name("m") }), refusal()).unwrap();
    assert_eq!(rig.sink.0.lock()[0].id, id);
    assert_eq!(rig.stats().failures[0].kind, ErrorKind::InvalidInput);
    assert!(rig.serving.refuse(&rig.auth(Infer { deployment: name("n") }), refusal()).is_none());
}

#[tokio::test]
async fn overload_is_refused_with_a_time_to_come_back() {
    let rig = Rig::serving("gated 1", |s| {
        slow(s);
        s.limits.max_in_flight = 2;
    })
    .await;
    rig.engine.door.shut();
    let (one, two) = (rig.clone(), rig.clone());
    let tasks = [spawn(async move { one.ask(&[1.0]).await }), spawn(async move { two.ask(&[1.0]).await })];
    until(|| rig.engine.door.inside.load(Ordering::SeqCst) == 1).await;
    let busy = || rig.serving.stats(&rig.auth(crate::ReadStats { deployment: None }))[0].in_flight;
    until(|| busy() == 2).await;
    let refused = rig.infer(request(&[1.0])).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    assert!(refused.retry_after().unwrap() >= Duration::from_millis(10));
    rig.engine.door.open();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), [2.0]);
    }
    assert_eq!(busy(), 0);
}

#[tokio::test]
async fn a_caller_that_goes_leaves_the_queue_and_nothing_runs_for_it() {
    let rig = Rig::serving("gated 1", slow).await;
    rig.engine.door.shut();
    let first = rig.clone();
    let first = spawn(async move { first.ask(&[1.0]).await });
    until(|| rig.engine.door.inside.load(Ordering::SeqCst) == 1).await;
    let second = rig.clone();
    let second = spawn(async move { second.ask(&[2.0]).await });
    let waiting = || {
        let auth = rig.auth(crate::ReadStats { deployment: Some(name("m")) });
        rig.serving.batches(&auth).unwrap()[0].waiting
    };
    until(|| waiting() == 1).await;
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    assert_eq!(waiting(), 0);
    rig.engine.door.open();
    first.await.unwrap().unwrap();
    assert_eq!(rig.stats().execution_count, 1);
    let journal = rig.sink.0.lock();
    assert!(matches!(journal[0].outcome, Outcome::Failed { kind: ErrorKind::Cancelled, .. }));
}

#[tokio::test]
async fn a_deadline_ends_the_wait_and_the_model_never_sees_the_request() {
    let rig = Rig::serving("gated 1", |s| {
        slow(s);
        s.limits.deadline = Some(HumanDuration(Duration::from_secs(30)));
    })
    .await;
    rig.engine.door.shut();
    let first = rig.clone();
    let first = spawn(async move { first.ask(&[1.0]).await });
    until(|| rig.engine.door.inside.load(Ordering::SeqCst) == 1).await;
    let mut hurried = request(&[2.0]);
    hurried.deadline = Some(Instant::now() + Duration::from_millis(20));
    assert_eq!(rig.infer(hurried).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    let mut late = request(&[2.0]);
    late.received = Instant::now().checked_sub(Duration::from_secs(31)).unwrap();
    assert_eq!(rig.infer(late).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    rig.engine.door.open();
    first.await.unwrap().unwrap();
    assert_eq!(rig.stats().execution_count, 1);
}

#[tokio::test]
async fn sampling_and_redaction_drop_payloads_and_nothing_else() {
    let rig = Rig::serving("quick 1", |s| s.journal.sample = 0.0).await;
    rig.ask(&[1.0]).await.unwrap();
    rig.deploy("m", |s| s.journal.redact = vec!["x".into()]).unwrap();
    rig.settled("m").await;
    rig.ask(&[1.0]).await.unwrap();
    {
        let journal = rig.sink.0.lock();
        assert!(journal[0].inputs.is_empty() && journal[0].outputs.is_empty() && journal[0].rows == 1);
        assert!(journal[1].inputs[0].tensor.to_vec::<f32>().unwrap()[0].is_nan());
        assert_eq!(journal[1].outputs[0].tensor.to_vec::<f32>().unwrap(), [2.0]);
    }
    rig.deploy("m", |s| s.journal.redact = vec!["y".into()]).unwrap();
    let view = rig.settled("m").await;
    assert!(view.ready() && view.reason.unwrap().contains("journal.redact names \"y\""));
}

#[tokio::test]
async fn a_redacted_column_is_blank_in_the_stacked_input() {
    let rig = Rig::new();
    rig.shelf.put("1", "quick 0");
    let columns = r#"[{"type": "double", "name": "age"}, {"type": "double", "name": "pay"}]"#;
    rig.shelf.mlmodel("1", &format!("flavors: {{onnx: {{data: model.onnx}}}}\nsignature: {{inputs: '{columns}'}}"));
    rig.deploy("m", |s| s.journal.redact = vec!["pay".into()]).unwrap();
    assert!(rig.settled("m").await.ready());
    rig.infer(rows(2, &[1.0, 2.0, 3.0, 4.0])).await.unwrap().encoded().await.unwrap();
    let kept = rig.sink.0.lock()[0].inputs[0].tensor.to_vec::<f32>().unwrap();
    assert!(kept[0] == 1.0 && kept[1].is_nan() && kept[2] == 3.0 && kept[3].is_nan());
}

#[tokio::test]
async fn failures_of_a_load_are_told_and_the_old_version_stays() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.shelf.put("2", "bad");
    rig.shelf.point("2");
    until(|| rig.describe("m").unwrap().reason.is_some_and(|r| r.contains("it is bad"))).await;
    assert_eq!(rig.describe("m").unwrap().state, State::Ready);
    assert_eq!(rig.ask(&[1.0]).await.unwrap(), [2.0]);
    rig.shelf.put("3", "wrong");
    rig.shelf.point("3");
    until(|| rig.describe("m").unwrap().reason.is_some_and(|r| r.contains("INT8"))).await;
    rig.shelf.put("4", "quick 4");
    rig.shelf.point("4");
    until(|| rig.describe("m").is_some_and(|v| v.current().is_some_and(|c| &*c.contract.target.version == "4"))).await;
    assert_eq!((rig.ask(&[1.0]).await.unwrap(), rig.describe("m").unwrap().reason), (vec![5.0], None));
}

#[tokio::test]
async fn a_first_load_that_fails_says_why_to_requests() {
    let rig = Rig::new();
    rig.shelf.put("1", "quick 1");
    rig.shelf.mlmodel("1", "flavors: {python_function: {}, sklearn: {}}");
    rig.deploy("m", |_| {}).unwrap();
    let view = rig.settled("m").await;
    assert_eq!(view.state, State::Failed);
    let error = rig.infer(request(&[1.0])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("sklearn") && error.to_string().contains("the engines here run: onnx"),
        "{error}"
    );
    assert_eq!(rig.sink.0.lock().len(), 1);
    assert!(rig.serving.ready(&rig.auth(Describe { deployment: Some(name("m")) }), None).is_err());
}

#[tokio::test]
async fn after_a_start_what_answered_last_answers_where_what_is_declared_cannot_be_loaded() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    assert_eq!(rig.ask(&[1.0]).await.unwrap(), [2.0]);
    rig.shelf.put("2", "bad");
    rig.shelf.point("2");
    until(|| rig.describe("m").unwrap().reason.is_some()).await;
    assert_eq!(rig.ask(&[1.0]).await.unwrap(), [2.0]);
    let next = rig.again();
    next.deploy("m", |_| {}).unwrap();
    let view = next.settled("m").await;
    // As before the start: it answers, and says what is wrong with what is declared.
    assert_eq!((view.state, &*view.current().unwrap().contract.target.version), (State::Ready, "1"));
    assert!(view.reason.is_some_and(|r| r.contains("version 2") || r.contains("/2")), "{:?}", next.describe("m"));
    assert_eq!(next.ask(&[1.0]).await.unwrap(), [2.0]);
    next.shelf.put("3", "quick 5");
    next.shelf.point("3");
    until(|| next.describe("m").is_some_and(|v| v.reason.is_none())).await;
    assert_eq!(next.ask(&[1.0]).await.unwrap(), [6.0]);
    // What has never answered has nothing to stand in for it, nor has a version that is gone.
    next.shelf.point("2");
    next.deploy("other", |_| {}).unwrap();
    assert_eq!(next.settled("other").await.state, State::Failed);
    let another = next.again();
    another.deploy("m", |spec| spec.model = "models:/m-two@champion".into()).unwrap();
    assert_eq!(another.settled("m").await.state, State::Failed, "what answered is another model's");
    std::fs::remove_dir_all(next.shelf.folder.path().join("3")).unwrap();
    let last = next.again();
    last.deploy("m", |_| {}).unwrap();
    assert_eq!(last.settled("m").await.state, State::Failed);
}

#[tokio::test]
async fn a_model_in_another_process_never_runs_on_the_callers_thread() {
    let rig = Rig::serving("apart 1", |_| {}).await;
    assert_eq!(rig.ask(&[1.0]).await.unwrap(), [2.0]);
    assert_eq!(rig.describe("m").unwrap().current().unwrap().execution.inline_rows, 0);
    assert_eq!((rig.closed(crate::ClosedBy::Inline), rig.closed(crate::ClosedBy::Idle)), (0, 1));
}

#[tokio::test]
async fn a_load_is_told_for_whom_it_is_and_shows_what_it_does() {
    let rig = Rig::new();
    rig.shelf.put("1", "slow 1");
    rig.engine.door.shut();
    rig.deploy("m", |s| s.engine.python.env = crate::PythonEnv::Shared).unwrap();
    until(|| rig.describe("m").unwrap().reason.as_deref() == Some("opening slowly for m, Shared")).await;
    assert_eq!(rig.describe("m").unwrap().state, State::Loading);
    rig.engine.door.open();
    assert!(rig.settled("m").await.ready());
    // A load that nobody waits for any more is told so.
    rig.shelf.put("2", "patient 1");
    rig.shelf.point("2");
    until(|| rig.describe("m").unwrap().reason.is_some_and(|r| r.contains("opening"))).await;
    rig.undeploy("m").unwrap();
    until(|| rig.engine.given_up.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_source_that_comes_back_is_asked_again() {
    let rig = Rig::new();
    rig.shelf.put("1", "quick 1");
    rig.shelf.fail(ErrorKind::Unavailable);
    rig.deploy("m", |_| {}).unwrap();
    assert!(rig.settled("m").await.reason.unwrap().contains("the registry is away"));
    rig.shelf.point("1");
    until(|| rig.describe("m").unwrap().ready()).await;
}

/// Deleting a newer version gives an older one its name; who froze that one did not mean it to answer again.
#[tokio::test]
async fn what_a_uri_comes_to_mean_by_itself_and_nothing_may_take_does_not_answer() {
    let rig = Rig::new();
    for version in ["1", "2"] {
        rig.shelf.put(version, &format!("quick {version}"));
    }
    rig.shelf.point("2");
    rig.deploy("m", |s| s.model = "models:/m/latest".into()).unwrap();
    assert!(rig.settled("m").await.ready());
    *rig.shelf.frozen.lock() = Some("1".into());
    rig.shelf.point("1");
    until(|| rig.describe("m").unwrap().reason.is_some()).await;
    let held = rig.describe("m").unwrap();
    assert_eq!((held.ready(), &*held.current().unwrap().contract.target.version), (true, "2"));
    let reason = held.reason.unwrap();
    assert_eq!(reason, "models:/m/latest means version 1 of m by now, and version 2 goes on: it is frozen");
    // A start knows nothing else, and what was frozen while it served goes on.
    rig.deploy("n", |s| s.model = "models:/m/latest".into()).unwrap();
    assert_eq!(&*rig.settled("n").await.current().unwrap().contract.target.version, "1");
    rig.shelf.changes.send_modify(|n| *n += 1);
    assert_eq!(rig.settled("n").await.reason, None);
    // Once a person ends it, it is taken.
    *rig.shelf.frozen.lock() = None;
    rig.shelf.changes.send_modify(|n| *n += 1);
    until(|| rig.describe("m").unwrap().reason.is_none()).await;
    assert_eq!(&*rig.describe("m").unwrap().current().unwrap().contract.target.version, "1");
}

#[tokio::test]
async fn a_change_of_the_engine_reloads_and_the_old_model_is_unloaded() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.deploy("m", |s| s.engine.instances = Instances::Count(3)).unwrap();
    assert_eq!(rig.settled("m").await.current().unwrap().instances, 3);
    until(|| rig.engine.loaded.load(Ordering::SeqCst) == 1).await;
    assert_eq!(rig.describe("m").unwrap().versions.len(), 1);
    rig.undeploy("m").unwrap();
    assert!(rig.describe("m").is_none() && rig.undeploy("m").is_err());
    until(|| rig.engine.loaded.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn the_default_is_the_deployment_that_says_so() {
    let rig = Rig::serving("quick 1", |s| s.default = true).await;
    let tenant = mainspring_core::Tenant::default();
    assert_eq!(rig.serving.default_deployment(&tenant), Some(name("m")));
    rig.deploy("m", |_| {}).unwrap();
    rig.deploy("n", |s| s.default = true).unwrap();
    assert_eq!(rig.serving.default_deployment(&tenant), Some(name("n")));
    assert!(rig.deploy("stats", |_| {}).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn versions_change_under_load_without_one_failure() {
    for kind in ["quick", "busy"] {
        let rig = Rig::serving(&format!("{kind} 1"), |_| {}).await;
        for version in 2..=6 {
            rig.shelf.put(&version.to_string(), &format!("{kind} {version}"));
        }
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let load: Vec<_> = (0..8)
            .map(|_| {
                let (rig, stop, done) = (rig.clone(), Arc::clone(&stop), Arc::clone(&done));
                spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        let got = rig.ask(&[10.0]).await.expect("no request fails during a change");
                        assert!((11.0..=16.0).contains(&got[0]));
                        done.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for version in 2..=6 {
            let (version, before) = (version.to_string(), done.load(Ordering::Relaxed));
            rig.shelf.point(&version);
            until(|| rig.describe("m").unwrap().current().is_some_and(|c| *c.contract.target.version == *version))
                .await;
            until(|| done.load(Ordering::Relaxed) > before + 20).await;
        }
        stop.store(true, Ordering::Relaxed);
        for task in load {
            task.await.unwrap();
        }
        until(|| rig.engine.loaded.load(Ordering::SeqCst) == 1).await;
        let journal = rig.sink.0.lock();
        assert!(journal.iter().all(|e| e.outcome == Outcome::Ok));
        assert_eq!(journal.len() as u64, done.load(Ordering::Relaxed));
    }
}

#[tokio::test]
async fn why_a_deployment_does_not_answer_is_for_those_who_may_look_at_it() {
    let rig = Rig::new();
    rig.shelf.put("1", "bad");
    rig.deploy("m", |_| {}).unwrap();
    assert!(!rig.settled("m").await.ready());
    let deployment = name("m");
    let looks = rig.infer(request(&[1.0])).await.unwrap_err();
    assert!(looks.to_string().contains("it is bad") && looks.hint().unwrap().contains("get deployment"), "{looks}");
    let auth = rig.caller(crate::Infer { deployment: deployment.clone() });
    let errors = [
        rig.serving.infer(&auth, request(&[1.0])).await.unwrap_err(),
        rig.serving.infer_parts(&auth, request(&[1.0])).unwrap_err(),
        rig.serving.contract(&auth, None).unwrap_err(),
        rig.serving.ready(&rig.caller(crate::Describe { deployment: Some(deployment.clone()) }), None).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), "deployment \"m\" is not ready");
        assert!(!error.hint().unwrap().contains("bad"));
    }
    let auth = rig.caller(crate::Describe { deployment: Some(deployment) });
    assert_eq!(rig.serving.describe(&auth).unwrap().reason, None);
    assert!(rig.describe("m").unwrap().reason.unwrap().contains("it is bad"));
}

#[tokio::test]
async fn what_was_made_from_the_named_version_serves_in_its_place() {
    let rig = Rig::serving("quick 1", |s| s.prefer = Some(crate::Prefer::Onnx)).await;
    let serves = async |version: &str, said: &str| {
        let there = || {
            rig.describe("m")
                .is_some_and(|v| v.settled && v.current().is_some_and(|c| &*c.contract.target.version == version))
        };
        until(there).await;
        let view = rig.describe("m").unwrap();
        assert!(view.ready() && view.reason.is_none(), "{:?}", view.reason);
        let choice = view.choice.unwrap();
        assert!(choice.contains(said), "{choice}");
        rig.ask(&[1.0]).await.unwrap()
    };
    assert_eq!(serves("1", "as it was logged").await, [2.0]);
    rig.shelf.put("1-faster", "quick 2");
    rig.shelf.point("1");
    assert_eq!(serves("1-faster", "made from version 1 and proven").await, [3.0]);
    // A version of which nothing was made serves itself; one whose conversion cannot be opened, too.
    rig.shelf.put("2", "quick 5");
    rig.shelf.mlmodel("2", "flavors: {onnx: {data: model.onnx}}");
    rig.shelf.point("2");
    assert_eq!(serves("2", "ONNX itself").await, [6.0]);
    rig.shelf.put("3", "quick 7");
    rig.shelf.put("3-faster", "bad");
    rig.shelf.point("3");
    assert_eq!(serves("3", "version 3-faster cannot be loaded").await, [8.0]);
}

#[tokio::test]
async fn a_model_that_is_down_is_not_ready_and_says_when_it_is_tried_again() {
    let rig = Rig::serving("quick 1", |_| {}).await;
    rig.engine.down.store(true, Ordering::SeqCst);
    let ready = || rig.serving.ready(&rig.auth(Describe { deployment: Some(name("m")) }), None);
    for error in [ready().unwrap_err(), rig.infer(request(&[1.0])).await.unwrap_err()] {
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Unavailable, Some(Duration::from_secs(30))));
    }
    let view = rig.describe("m").unwrap();
    assert_eq!((view.state, view.current().unwrap().state), (State::Failed, State::Failed));
    let reason = view.reason.unwrap();
    assert!(reason.contains("started again in 30 s") && reason.contains("the server's log"), "{reason}");
    rig.engine.down.store(false, Ordering::SeqCst);
    let view = rig.describe("m").unwrap();
    assert!(ready().is_ok() && view.ready() && view.reason.is_none(), "{view:?}");
}

#[tokio::test]
async fn a_model_that_may_open_another_time_is_tried_again() {
    let rig = Rig::new();
    rig.shelf.put("1", "later 1");
    rig.deploy("m", |_| {}).unwrap();
    let view = rig.settled("m").await;
    let reason = view.reason.unwrap_or_default();
    assert!(view.state == State::Failed && reason.contains("tried again by itself"), "{reason}");
    until(|| rig.describe("m").unwrap().ready()).await;
    assert_eq!((rig.ask(&[1.0]).await.unwrap(), rig.engine.tries.load(Ordering::SeqCst)), (vec![2.0], 3));
}
